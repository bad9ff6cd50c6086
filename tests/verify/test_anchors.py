"""Anchors in bundles: what they prove, whose word counts, and what an entry's bounds become."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.builders import DEVICE, START, Log
from tests.verify.anchorkit import anchor, block_at, recorded, with_anchors
from twinproof.errors import ChainUnreachable, VerificationFailed
from twinproof.proof.keccak import keccak256
from twinproof.testing.anchors import CONTRACT, DEFAULT_CHAIN, LOG_ID, AnchorBlock
from twinproof.twin.anchors import AnchorTrust, ExpectedAnchor
from twinproof.twin.evidence import format_bundle, parse_bundle
from twinproof.twin.grants import Capability
from twinproof.verify import History, TimeBracket, verify_bundle

SIZES = (4, 7, 10)


def anchored() -> tuple[Log, list[AnchorBlock], bytes]:
    """Ten entries; heads of 4, 7 and 10 anchored 20, 40 and 60 seconds after the start."""
    log = recorded()
    blocks = [
        block_at(log, size, START + 20 * at, before=at - 1, after=3, number=100 + at)
        for at, size in enumerate(SIZES, start=1)
    ]
    evidence = [block.evidence(at) for at, block in enumerate(blocks)]
    data = with_anchors(log, [anchor(log, part, size) for part, size in zip(evidence, SIZES, strict=True)])
    return log, blocks, data


def bounds(history: History) -> list[int | None]:
    return [None if entry.time.anchored is None else entry.time.anchored - START for entry in history.entries]


def test_anchors_bound_the_times_of_entries() -> None:
    log, blocks, data = anchored()
    history = verify_bundle(data, log.policy(), anchors=AnchorTrust(frozenset(block.hash for block in blocks)))
    assert [entry.index for entry in history.entries] == [2, 3, 4, 5, 6, 7, 8, 9]
    assert bounds(history) == [20, 20, 40, 40, 40, 60, 60, 60]
    assert {entry.time.not_after for entry in history.entries} == {START + 100}
    assert [entry.time.latest for entry in history.entries] == [entry.time.anchored for entry in history.entries]
    assert history.remarks == ()


def test_what_an_anchor_says() -> None:
    log, blocks, data = anchored()
    history = verify_bundle(data, log.policy(), anchors=AnchorTrust(frozenset([blocks[1].hash])))
    assert [(found.head.size, found.trusted) for found in history.anchors] == [(4, False), (7, True), (10, False)]
    head = history.anchors[1].head
    assert (head.chain_id, head.block_number, head.block_hash) == (DEFAULT_CHAIN, 102, blocks[1].hash)
    assert (head.contract, head.log_id, head.size, head.root) == (CONTRACT, LOG_ID, 7, log.head(7).root)
    assert (head.time, head.index, head.position) == (START + 40, 1, 0)
    assert head.transaction == keccak256(blocks[1].transactions[1])


def test_without_trust_anchors_are_linked_but_bound_nothing() -> None:
    log, _, data = anchored()
    told: list[str] = []
    history = verify_bundle(data, log.policy(), lambda number, title, found: told.append(found))
    assert told[2] == "0 older checkpoints lead to the head, 3 anchored ones too"
    assert set(bounds(history)) == {None}
    assert len(history.anchors) == 3
    assert history.remarks == (
        f"no time is taken from 3 of the anchors, on chain {DEFAULT_CHAIN}: of blocks that you do not trust",
    )
    plain = verify_bundle(log.bundle_bytes(), log.policy())
    assert [entry.time for entry in history.entries] == [entry.time for entry in plain.entries]
    assert plain.anchors == ()


def test_a_bundle_without_anchors_has_no_such_member() -> None:
    log = recorded()
    assert b"anchors" not in with_anchors(log, [])
    _, _, data = anchored()
    assert len(parse_bundle(data).anchors) == 3


def test_a_chain_can_be_asked() -> None:
    log, blocks, data = anchored()
    asked = []

    def confirms(chain_id: int, number: int, block_hash: bytes) -> bool:
        asked.append((chain_id, number, block_hash))
        return number != 102

    history = verify_bundle(data, log.policy(), anchors=AnchorTrust(confirms=confirms))
    assert asked == [(DEFAULT_CHAIN, block.number, block.hash) for block in blocks]
    assert bounds(history) == [20, 20, 60, 60, 60, 60, 60, 60]


def test_a_chain_that_does_not_answer_is_no_finding() -> None:
    log, _, data = anchored()

    def confirms(chain_id: int, number: int, block_hash: bytes) -> bool:
        raise ChainUnreachable("down")

    with pytest.raises(ChainUnreachable):
        verify_bundle(data, log.policy(), anchors=AnchorTrust(confirms=confirms))


@pytest.mark.parametrize(
    ("expected", "counts"),
    [
        (ExpectedAnchor(DEFAULT_CHAIN, CONTRACT), True),
        (ExpectedAnchor(DEFAULT_CHAIN, CONTRACT, LOG_ID), True),
        (ExpectedAnchor(1, CONTRACT), False),
        (ExpectedAnchor(DEFAULT_CHAIN, b"\x01" * 20), False),
        (ExpectedAnchor(DEFAULT_CHAIN, CONTRACT, b"\x01" * 32), False),
    ],
)
def test_other_contracts_and_logs_bound_nothing(expected: ExpectedAnchor, counts: bool) -> None:
    log, blocks, data = anchored()
    trust = AnchorTrust(frozenset(block.hash for block in blocks), expected=(expected,))
    history = verify_bundle(data, log.policy(), anchors=trust)
    assert (bounds(history)[0] == 20) is counts
    assert any("do not expect" in remark for remark in history.remarks) is not counts
    both = AnchorTrust(trust.blocks, expected=(expected, ExpectedAnchor(DEFAULT_CHAIN, CONTRACT)))
    assert bounds(verify_bundle(data, log.policy(), anchors=both))[0] == 20


def test_an_unexpected_contract_is_not_asked_about() -> None:
    log, _, data = anchored()
    trust = AnchorTrust(confirms=lambda *_: pytest.fail("asked"), expected=(ExpectedAnchor(5, CONTRACT),))
    assert not any(found.trusted for found in verify_bundle(data, log.policy(), anchors=trust).anchors)


def test_the_best_of_several_chains_counts() -> None:
    """A larger size can be anchored earlier elsewhere; of one size the earliest block counts."""
    log = recorded()
    made = [(5, START + 90, 1), (5, START + 70, 2), (7, START + 60, 1), (9, START + 80, 2)]
    blocks = [block_at(log, size, time, chain_id=chain) for size, time, chain in made]
    anchors = [anchor(log, block.evidence(0), size) for block, (size, _, _) in zip(blocks, made, strict=True)]
    trust = AnchorTrust(frozenset(block.hash for block in blocks))
    history = verify_bundle(with_anchors(log, anchors), log.policy(), anchors=trust)
    assert bounds(history) == [60, 60, 60, 60, 60, 80, 80, None]


def test_several_logs_and_events_in_one_block() -> None:
    log = recorded()
    block = AnchorBlock(time=START + 30)
    block.fill(140)
    first = block.anchor(size=3, root=log.head(3).root)
    block.fill(1)
    second = block.anchor(size=6, root=log.head(6).root, kind=0)
    anchors = [anchor(log, block.evidence(first), 3), anchor(log, block.evidence(second), 6)]
    history = verify_bundle(with_anchors(log, anchors), log.policy(), anchors=AnchorTrust(frozenset([block.hash])))
    assert bounds(history) == [30, 30, 30, 30, None, None, None, None]


@pytest.mark.parametrize("kind", range(5))
def test_transactions_of_every_type(kind: int) -> None:
    log = recorded()
    block = AnchorBlock(time=START + 30, chain_id=1 << 40)
    block.anchor(size=10, root=log.head(10).root, kind=kind)
    data = with_anchors(log, [anchor(log, block.evidence(0), 10)])
    history = verify_bundle(data, log.policy(), anchors=AnchorTrust(frozenset([block.hash])))
    assert set(bounds(history)) == {30}


def test_headers_of_later_forks_are_read() -> None:
    log = recorded()
    block = AnchorBlock(time=START + 30, later=(b"\x01", bytes(32)))
    block.anchor(size=10, root=log.head(10).root)
    data = with_anchors(log, [anchor(log, block.evidence(0), 10)])
    assert verify_bundle(data, log.policy()).anchors[0].head.time == START + 30


def test_a_claimed_time_far_after_the_anchor_is_refused() -> None:
    log = Log()
    log.grant(DEVICE, {Capability.RECORD})
    log.record(DEVICE, 1.0, at=START + 301)
    block = block_at(log, 3, START)
    data = with_anchors(log, [anchor(log, block.evidence(0), 3)])
    verify_bundle(data, log.policy())
    with pytest.raises(VerificationFailed, match=f"entry 2 claims .* was anchored by {START}") as failure:
        verify_bundle(data, log.policy(), anchors=AnchorTrust(frozenset([block.hash])))
    assert failure.value.step == 10
    later = block_at(log, 3, START + 1)
    history = verify_bundle(
        with_anchors(log, [anchor(log, later.evidence(0), 3)]),
        log.policy(),
        anchors=AnchorTrust(frozenset([later.hash])),
    )
    assert history.entries[0].time == TimeBracket(START + 301, None, None, START + 1)
    assert history.remarks == (), "a block's time is a known time"


def test_clocks_that_disagree_are_remarked() -> None:
    log = recorded()
    block = block_at(log, 10, START + 15)
    marked = log.bundle(marks=[(8, START + 50)])
    data = with_anchors(log, [anchor(log, block.evidence(0), 10)])
    data = format_bundle(replace(marked, anchors=parse_bundle(data).anchors))
    history = verify_bundle(data, log.policy(), anchors=AnchorTrust(frozenset([block.hash])))
    assert any("entry 8 is anchored before the log says it existed" in remark for remark in history.remarks)


def test_brackets_know_their_upper_end() -> None:
    assert TimeBracket(1, None, None).latest is None
    assert TimeBracket(1, None, 5).latest == 5
    assert TimeBracket(1, None, None, 4).latest == 4
    assert TimeBracket(1, None, 5, 4).latest == TimeBracket(1, None, 4, 5).latest == 4
