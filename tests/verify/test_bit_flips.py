"""Every bit of a small bundle flipped: noticed, or in a place that means nothing, and then the history is the same."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.builders import LOG_KEY, START, TWIN, WITNESS, policy_of
from tests.spec_examples import DEVICE, example_log
from twinproof.errors import VerificationFailed
from twinproof.proof.note import SignerKey
from twinproof.twin.evidence import Manifest, format_bundle
from twinproof.verify import History, verify_bundle

POLICY = policy_of(LOG_KEY, witnesses=[WITNESS])
UNKNOWN = SignerKey("who.example", 4, b"\x31" * 32)


def small_bundle() -> bytes:
    """Three entries of a tree of five, a cosigned head with an unknown signature line, a mark."""
    log = example_log()
    log.record(DEVICE, 1.0, subject="urn:x")
    log.record(DEVICE, 2.0, at=START + 1)
    bundle = log.bundle(indices=[0, 1, 2], marks=[(2, START + 5)], cosigners=[WITNESS])
    head = log.checkpoint(cosigners=[WITNESS, UNKNOWN])
    return format_bundle(replace(bundle, head=head, manifest=Manifest(3, bundle.manifest.streams, "tests")))


def told(history: History) -> tuple[object, ...]:
    """All that a history says."""
    return (
        history.subject,
        history.head,
        history.entries,
        history.streams,
        history.authority.grants,
        history.authority.revoked,
        history.state.to_cbor(),
        history.remarks,
    )


@pytest.mark.parametrize("part", range(4))
def test_every_flipped_bit_is_noticed_or_means_nothing(part: int) -> None:
    data = small_bundle()
    good = told(verify_bundle(data, POLICY))
    assert good[0] == TWIN
    ignored = set()
    for at in range(part * len(data) // 4, (part + 1) * len(data) // 4):
        for bit in range(8):
            changed = bytearray(data)
            changed[at] ^= 1 << bit
            try:
                history = verify_bundle(bytes(changed), POLICY)
            except VerificationFailed:
                continue
            assert told(history) == good
            ignored.add(at)
    line = data.index(b"who.example")
    generator = data.index(b"\x65tests") + 1
    assert ignored <= {*range(line, data.index(b"\n", line)), *range(generator, generator + 5)}


def test_every_cut_is_noticed() -> None:
    data = small_bundle()
    for size in range(0, len(data), 7):
        with pytest.raises(VerificationFailed) as failure:
            verify_bundle(data[:size], POLICY)
        assert failure.value.step == 1
