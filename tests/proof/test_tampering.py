"""Every byte of every signed format flipped in several bits: refused by an error of ours, or of the same meaning."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.proof import reference
from tests.proof.material import (
    CHECKPOINT,
    LOG,
    LOG_KEY,
    ORIGIN,
    PQ_WITNESS,
    STRANGER,
    WITNESS,
    checkpoint_note,
    policy_text,
    proof_file,
)
from twinproof.errors import TwinproofError, Untrusted
from twinproof.proof import cose, note
from twinproof.proof.checkpoint import parse_checkpoint
from twinproof.proof.keys import ES256, PrivateKey
from twinproof.proof.policy import Policy, TrustedCheckpoint, parse_policy
from twinproof.proof.receipt import (
    check_consistency_receipt,
    check_inclusion_receipt,
    format_consistency,
    format_inclusion,
    parse_receipt,
    sign_root,
)
from twinproof.proof.tlog_proof import check_tlog_proof, parse_tlog_proof

BITS = (0, 3, 5, 7)


def flips(data: bytes, step: int = 1) -> Iterator[tuple[int, bytes]]:
    for at in range(0, len(data), step):
        for bit in BITS:
            yield at, data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


def cuts(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Every prefix, every byte dropped and every byte doubled."""
    for at in range(len(data)):
        yield at, data[:at]
        yield at, data[:at] + data[at + 1 :]
        yield at, data[: at + 1] + data[at:]
    yield len(data), data + b"\n"
    yield len(data), data + b"\0"


def survivors(
    data: bytes, read: Callable[[bytes], object], changes: Iterator[tuple[int, bytes]]
) -> list[tuple[int, bytes, object]]:
    """The changed inputs that are accepted, with their place and meaning; an error that is not ours ends the test."""
    accepted = []
    for at, changed in changes:
        if changed == data:
            continue
        try:
            meaning = read(changed)
        except TwinproofError:
            continue
        accepted.append((at, changed, meaning))
    return accepted


def policy(quorum: str) -> Policy:
    return parse_policy(policy_text(quorum))


# --- notes and checkpoints ------------------------------------------------------------------


def test_a_note_whose_lines_are_all_known() -> None:
    data = checkpoint_note(LOG, WITNESS)
    trust = policy("w1")
    assert trust.check(data).checkpoint == CHECKPOINT
    assert survivors(data, trust.check, flips(data)) == []
    # A doubled byte or a cut between lines may leave whole lines behind; here every one of them is needed.
    assert survivors(data, trust.check, cuts(data)) == []


def test_a_note_with_an_unknown_line() -> None:
    """Flips in the stranger's line, and only those, change nothing: the line is not read beyond its name and ID."""
    data = checkpoint_note(LOG, STRANGER, WITNESS)
    trust = policy("w1")
    meaning = trust.check(data)
    start = data.index("— stranger".encode())
    end = data.index("— wit.example".encode())
    for changes in (flips(data), cuts(data)):
        for at, _, changed in survivors(data, trust.check, changes):
            assert start <= at < end
            assert changed == meaning
    accepted = survivors(data, trust.check, flips(data))
    assert len(accepted) > 100


def test_a_line_that_is_not_needed_may_turn_into_a_strangers_line() -> None:
    """A flip in the name or key ID of a witness beyond the quorum hides it and says nothing else."""
    data = checkpoint_note(LOG, WITNESS)
    trust = policy("none")
    whole = trust.check(data)
    line = data.index("— wit.example".encode())
    name_and_id = range(line + 4, line + len("— wit.example/w1 ".encode()) + 6)
    accepted = survivors(data, trust.check, flips(data))
    assert accepted
    for at, _, meaning in accepted:
        assert at in name_and_id
        assert isinstance(meaning, TrustedCheckpoint)
        assert meaning.checkpoint == whole.checkpoint
        assert (meaning.witnesses, meaning.times) == ((), ())


def test_an_ml_dsa_line() -> None:
    data = checkpoint_note(LOG, PQ_WITNESS)
    trust = policy("pq1")
    assert survivors(data, trust.check, flips(data, step=7)) == []
    head = data[: data.index(b"pq1 ") + 40]
    assert survivors(data, trust.check, ((at, changed + data[len(head) :]) for at, changed in flips(head))) == []


def test_the_parsers_alone_raise_nothing_else() -> None:
    data = checkpoint_note(LOG, STRANGER)
    for changes in (flips(data), cuts(data)):
        for _, changed, parsed in survivors(data, note.parse_note, changes):
            assert isinstance(parsed, note.Note)
            assert note.format_note(parsed) == changed
            try:
                checkpoint = parse_checkpoint(parsed.text)
            except TwinproofError:
                continue
            assert checkpoint.text == parsed.text


# --- policies -------------------------------------------------------------------------------


def test_a_policy() -> None:
    """A changed policy is refused, or trusts no key that it did not trust before."""
    data = policy_text("both")
    original = parse_policy(data)
    trusted = {original.logs[0].key, *(witness.key for witness in original.witnesses.values())}
    signed = checkpoint_note(LOG, WITNESS, PQ_WITNESS)
    line = data.index(b"witness pq1")
    end = data.index(b"group")
    head, key, tail = data[: line + 80], data[line + 80 : end], data[end:]
    changes = [(at, changed + key + tail) for at, changed in flips(head)]
    changes += [(at, head + key + changed) for at, changed in flips(tail)]
    changes += [(at, head + changed + tail) for at, changed in flips(key, step=11)]
    accepted = survivors(data, parse_policy, iter(changes))
    for _, _, meaning in accepted:
        assert isinstance(meaning, Policy)
        assert {meaning.logs[0].key, *(witness.key for witness in meaning.witnesses.values())} <= trusted
        try:
            meaning.check(signed)
        except Untrusted:
            continue
    # Renaming a witness is not possible without breaking the group; a flip in a URL or name is all that is left.
    assert len(accepted) < len(changes) // 20


# --- proofs ---------------------------------------------------------------------------------


def test_a_tlog_proof() -> None:
    data = proof_file(LOG, WITNESS)
    trust = policy("w1")

    def read(changed: bytes) -> TrustedCheckpoint:
        return check_tlog_proof(parse_tlog_proof(changed), b"beta", trust)

    assert read(data).checkpoint == CHECKPOINT
    assert survivors(data, read, flips(data)) == []
    assert survivors(data, read, cuts(data)) == []


def test_the_extra_of_a_tlog_proof_is_the_one_part_that_is_not_authenticated() -> None:
    data = proof_file(LOG, WITNESS, extra=b"some extra data")
    trust = policy("w1")
    line = range(data.index(b"extra ") + 6, data.index(b"\nindex"))
    accepted = survivors(data, lambda changed: check_tlog_proof(parse_tlog_proof(changed), b"beta", trust), flips(data))
    assert accepted
    assert all(at in line for at, _, _ in accepted)


HASHES = reference.leaf_hashes(13)
ROOTS = [reference.mth(HASHES[:size]) for size in range(14)]


@pytest.mark.parametrize(("size", "index"), [(2, 0), (3, 2), (8, 5), (13, 12), (13, 3)])
def test_an_inclusion_receipt(size: int, index: int) -> None:
    """Only the unsigned size and index may change, and only to a pair whose path turns the same way."""
    data = format_inclusion(sign_root(LOG_KEY, ORIGIN, size, ROOTS[size]), index, reference.path(index, HASHES[:size]))

    def read(changed: bytes) -> bytes:
        return check_inclusion_receipt(parse_receipt(changed), HASHES[index], LOG_KEY.public)

    assert read(data) == ROOTS[size]
    numbers = data.index(b"\x83" + bytes([size, index])) + 1
    for changes in (flips(data), cuts(data)):
        for at, changed, root in survivors(data, read, changes):
            assert at in (numbers, numbers + 1)
            assert root == ROOTS[size]
            other = parse_receipt(changed)
            assert reference.turns(other.second, other.first) == reference.turns(index, size)
            assert other.sign1.protected == parse_receipt(data).sign1.protected


@pytest.mark.parametrize(("old", "new"), [(1, 2), (4, 8), (3, 7), (6, 13), (12, 13)])
def test_a_consistency_receipt(old: int, new: int) -> None:
    data = format_consistency(
        sign_root(LOG_KEY, ORIGIN, new, ROOTS[new]), old, reference.consistency(old, HASHES[:new])
    )

    def read(changed: bytes) -> None:
        check_consistency_receipt(parse_receipt(changed), ROOTS[old], ROOTS[new], LOG_KEY.public)

    read(data)
    numbers = data.index(b"\x83" + bytes([old, new])) + 1
    for changes in (flips(data), cuts(data)):
        for at, changed, _ in survivors(data, read, changes):
            assert at in (numbers, numbers + 1)
            other = parse_receipt(changed)
            assert reference.consistent(other.first, other.second, ROOTS[old], ROOTS[new], other.path)


@pytest.mark.parametrize("key", [LOG_KEY, PrivateKey(ES256, b"\x02" * 32)], ids=["Ed25519", "ES256"])
def test_a_cose_sign1(key: PrivateKey) -> None:
    """With the empty unprotected header of a logged statement there is no byte that is not authenticated."""
    claims = {cose.ISS: "https://issuer.example", cose.SUB: "urn:asset:1", cose.IAT: 1700000000}
    headers: cose.Header = {cose.CONTENT_TYPE: "text/plain", cose.KID: key.public.thumbprint, cose.CWT_CLAIMS: claims}
    data = cose.format_sign1(cose.sign(key, headers, b"payload of a statement"))

    def read(changed: bytes) -> cose.Sign1:
        sign1 = cose.parse_sign1(changed)
        cose.check_signature(sign1, key.public)
        return sign1

    def only_unprotected(changes: Iterator[tuple[int, bytes]]) -> None:
        # What is accepted differs in the unprotected header alone: the caller asks that to be empty.
        for _, _, sign1 in survivors(data, read, changes):
            assert isinstance(sign1, cose.Sign1)
            assert sign1.unprotected != {}
            assert (sign1.protected, sign1.payload, sign1.signature) == (
                read(data).protected,
                read(data).payload,
                read(data).signature,
            )

    only_unprotected(flips(data))
    only_unprotected(cuts(data))
