"""A small file must not cost a verifier its memory."""

from __future__ import annotations

import pytest

from tests.builders import small_log
from twinproof.errors import TooLarge, VerificationFailed
from twinproof.proof import cbor
from twinproof.twin.evidence import parse_bundle
from twinproof.verify import verify_bundle


def dense(count: int) -> bytes:
    """A bundle whose entries are `count` empty arrays, a byte each."""
    return b"\xa2gentries" + cbor.head(4, count) + b"\x80" * count + b"fformat" + cbor.encode("twinproof-bundle/1")


def test_a_dense_file_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cbor, "decode", lambda *_, **__: pytest.fail("decoded"))
    with pytest.raises(TooLarge, match="more than"):
        parse_bundle(dense(100_000))


def test_the_verifier_says_so_at_its_first_step() -> None:
    with pytest.raises(VerificationFailed, match="more than") as caught:
        verify_bundle(dense(100_000), small_log().policy())
    assert caught.value.step == 1


def test_what_else_is_wrong_is_left_to_the_decoder() -> None:
    for data in (b"", b"\xa1", b"\xff", b"\x18\x01", b"\x9f"):
        cbor.require_few(data, 10, what="x")


def test_honest_bundles_are_far_from_the_limit() -> None:
    data = small_log().bundle_bytes()
    cbor.require_few(data, len(data) // 64 + 256, what="bundle")
