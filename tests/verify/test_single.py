"""Transparent statements and tlog-proofs: good ones, tampered ones, and every flipped bit."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.builders import (
    DEVICE,
    GATEWAY,
    LOG_KEY,
    LOG_PQ_KEY,
    PQ_WITNESS,
    WITNESS,
    Log,
    busy_log,
    policy_of,
    small_log,
)
from twinproof.errors import BadProof, BadSignature, Malformed, TooLarge, TwinproofError, Untrusted, VerificationFailed
from twinproof.proof import cose
from twinproof.proof.note import SignerKey
from twinproof.verify import MAX_RECEIPTS, MAX_TRANSPARENT, verify_tlog_proof, verify_transparent

LOG = small_log()
ENTRY = 3
GOOD = LOG.transparent(ENTRY)
KEY = DEVICE.key.public


def with_receipts(receipts: object, index: int = ENTRY, **more: int) -> bytes:
    sign1 = cose.parse_sign1(LOG.raws[index])
    unprotected: cose.Header = {cose.RECEIPTS: receipts}
    unprotected.update(more)
    return cose.format_sign1(cose.Sign1(sign1.protected, unprotected, sign1.payload, sign1.signature))


def receipt_of(index: int, log: Log = LOG) -> bytes:
    receipts = cose.parse_sign1(log.transparent(index)).unprotected[cose.RECEIPTS]
    receipt: bytes = receipts[0]
    return receipt


# --- transparent statements -----------------------------------------------------------------


@pytest.mark.parametrize("index", range(8))
def test_every_entry_has_a_transparent_statement(index: int) -> None:
    proven = verify_transparent(LOG.transparent(index), LOG.policy())
    assert proven.statement.raw == LOG.raws[index]
    assert (proven.index, proven.size, proven.origin, proven.signer_checked) == (index, 8, LOG.origin, False)


def test_the_signer_is_checked_if_its_key_is_given() -> None:
    assert verify_transparent(GOOD, LOG.policy(), KEY).signer_checked
    with pytest.raises(Malformed, match="another key"):
        verify_transparent(GOOD, LOG.policy(), GATEWAY.key.public)
    log = small_log()
    log.append(log.raws[7][:-1] + bytes((log.raws[7][-1] ^ 1,)))
    assert verify_transparent(log.transparent(8), log.policy()).index == 8
    with pytest.raises(BadSignature):
        verify_transparent(log.transparent(8), log.policy(), KEY)


def test_one_good_receipt_among_bad_ones_is_enough() -> None:
    data = with_receipts([b"nonsense", receipt_of(ENTRY + 1), receipt_of(ENTRY)])
    assert verify_transparent(data, LOG.policy()).index == ENTRY


def test_quorum_is_not_asked() -> None:
    trust = policy_of(LOG_KEY, witnesses=[WITNESS])
    assert verify_transparent(GOOD, trust).index == ENTRY


BAD: list[tuple[str, Callable[[], bytes], type[TwinproofError], str]] = [
    ("empty", lambda: b"", Malformed, "ends in the middle"),
    ("a logged statement", lambda: LOG.raws[ENTRY], Malformed, "1..16 receipts"),
    ("no receipts", lambda: with_receipts([]), Malformed, "1..16 receipts"),
    ("too many receipts", lambda: with_receipts([b""] * (MAX_RECEIPTS + 1)), Malformed, "1..16 receipts"),
    ("receipts as bytes", lambda: with_receipts(receipt_of(ENTRY)), Malformed, "1..16 receipts"),
    ("another unprotected header", lambda: with_receipts([receipt_of(ENTRY)], x=1), Malformed, "nothing else"),
    ("a receipt as text", lambda: with_receipts(["x"]), VerificationFailed, "not a byte string"),
    ("a receipt of nonsense", lambda: with_receipts([b"x"]), VerificationFailed, "receipt"),
    ("the receipt of another entry", lambda: with_receipts([receipt_of(4)]), VerificationFailed, "does not verify"),
    ("a receipt of another log", lambda: with_receipts([receipt_of(3, busy_log())]), VerificationFailed, "verify"),
    ("a trailing byte", lambda: GOOD + b"\0", Malformed, "after the item"),
    ("too large", lambda: GOOD + b"\0" * MAX_TRANSPARENT, TooLarge, "limit"),
    ("a hostile statement inside", lambda: GOOD.replace(b"senml+cbor", b"Senml+cbor"), Malformed, "content type"),
]


@pytest.mark.parametrize(("make", "error", "fragment"), [pytest.param(*row[1:], id=row[0]) for row in BAD])
def test_bad_transparent_statement(make: Callable[[], bytes], error: type[TwinproofError], fragment: str) -> None:
    with pytest.raises(error) as refusal:
        verify_transparent(make(), LOG.policy())
    assert type(refusal.value) is error
    assert fragment in str(refusal.value)


def test_a_log_that_the_policy_does_not_know() -> None:
    for trust in (
        policy_of(SignerKey(LOG.origin, 1, b"\x44" * 32)),
        policy_of(SignerKey("other.example", 1, LOG_KEY.seed)),
        policy_of(LOG_PQ_KEY),
    ):
        with pytest.raises(VerificationFailed, match="no Ed25519 key") as failure:
            verify_transparent(GOOD, trust)
        assert failure.value.step == 2


def test_every_flipped_bit_is_noticed_or_leaves_the_statement_as_it_was() -> None:
    """Size and index are not signed: some pairs beside the right one lead from the entry to the same root."""
    policy, accepted = LOG.policy(), set()
    for at in range(len(GOOD)):
        for bit in range(8):
            changed = bytearray(GOOD)
            changed[at] ^= 1 << bit
            try:
                proven = verify_transparent(bytes(changed), policy, KEY)
            except TwinproofError:
                continue
            assert proven.statement.raw == LOG.raws[ENTRY]
            assert (proven.index, proven.size) != (ENTRY, 8)
            accepted.add(at)
    proof_at = GOOD.index(b"\x83\x08\x03\x83")
    assert accepted <= {proof_at + 1, proof_at + 2}


# --- tlog-proofs ----------------------------------------------------------------------------


@pytest.mark.parametrize("index", range(8))
def test_every_entry_has_a_tlog_proof(index: int) -> None:
    proven, trusted = verify_tlog_proof(LOG.tlog_proof(index), LOG.raws[index], LOG.policy())
    assert (proven.statement.raw, proven.index, proven.size) == (LOG.raws[index], index, 8)
    assert trusted.checkpoint == LOG.head()


def test_the_quorum_is_asked_of_a_tlog_proof() -> None:
    log = Log(keys=(LOG_KEY, LOG_PQ_KEY))
    trust = policy_of(LOG_KEY, LOG_PQ_KEY, witnesses=[WITNESS, PQ_WITNESS])
    with pytest.raises(Untrusted, match="quorum"):
        verify_tlog_proof(log.tlog_proof(0, cosigners=[WITNESS]), log.raws[0], trust)
    _, trusted = verify_tlog_proof(log.tlog_proof(0, cosigners=[WITNESS, PQ_WITNESS]), log.raws[0], trust)
    assert trusted.witnesses == ("w0", "w1")


def test_bad_tlog_proofs() -> None:
    good, raw, policy = LOG.tlog_proof(ENTRY), LOG.raws[ENTRY], LOG.policy()
    assert verify_tlog_proof(good, raw, policy, KEY)[0].signer_checked
    with pytest.raises(BadProof):
        verify_tlog_proof(good, LOG.raws[4], policy)
    with pytest.raises(BadProof):
        verify_tlog_proof(LOG.tlog_proof(4), raw, policy)
    with pytest.raises(Untrusted):
        verify_tlog_proof(good, raw, policy_of(SignerKey(LOG.origin, 1, b"\x44" * 32)))
    with pytest.raises(Malformed, match="another key"):
        verify_tlog_proof(good, raw, policy, GATEWAY.key.public)
    log = small_log()
    log.append(b"no statement")
    with pytest.raises(Malformed, match="statement"):
        verify_tlog_proof(log.tlog_proof(8), log.raws[8], policy)


def test_every_flipped_bit_of_a_tlog_proof_is_noticed() -> None:
    good, raw, policy = LOG.tlog_proof(ENTRY), LOG.raws[ENTRY], LOG.policy()
    for at in range(len(good)):
        for bit in range(8):
            changed = bytearray(good)
            changed[at] ^= 1 << bit
            with pytest.raises(TwinproofError):
                verify_tlog_proof(bytes(changed), raw, policy)
