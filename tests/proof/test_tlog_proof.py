"""Offline proof files: the fixed one, every refusal, what is authenticated and what is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.proof.material import (
    CHECKPOINT,
    HASHES,
    LOG,
    NOTE,
    PQ_WITNESS,
    PROOF,
    STRANGER,
    TIME,
    WITNESS,
    policy_text,
    proof_file,
)
from twinproof.errors import BadProof, BadSignature, Malformed, TooLarge, Untrusted
from twinproof.proof.merkle import hash_leaf, hash_node
from twinproof.proof.policy import parse_policy
from twinproof.proof.tlog_proof import (
    MAX_EXTRA,
    MAX_HASHES,
    MAX_PROOF,
    TlogProof,
    check_tlog_proof,
    format_tlog_proof,
    parse_tlog_proof,
)

POLICY = parse_policy(policy_text("w1"))
H = "KhWNiv1I4/iMtBld/bKp5IF9lfpX/TREDZP5quXE+Cs="


def test_the_fixed_proof() -> None:
    assert proof_file(LOG, WITNESS) == PROOF
    proof = parse_tlog_proof(PROOF)
    assert proof == TlogProof(1, (HASHES[0], HASHES[2]), NOTE)
    assert format_tlog_proof(proof) == PROOF
    trusted = check_tlog_proof(proof, b"beta", POLICY)
    assert trusted.checkpoint == CHECKPOINT
    assert trusted.witnesses == ("w1",)
    assert trusted.not_after == TIME


def test_a_quorum_with_ml_dsa() -> None:
    policy = parse_policy(policy_text("both"))
    trusted = check_tlog_proof(parse_tlog_proof(proof_file(LOG, WITNESS, PQ_WITNESS)), b"beta", policy)
    assert trusted.witnesses == ("w1", "pq1")
    with pytest.raises(Untrusted, match="cosigned by 'w1': the quorum 'both' is not reached"):
        check_tlog_proof(parse_tlog_proof(proof_file(LOG, WITNESS)), b"beta", policy)


def test_every_entry_of_several_trees() -> None:
    policy = parse_policy(policy_text("none"))
    for size in (1, 2, 5, 8, 13):
        for index in range(size):
            proof = parse_tlog_proof(proof_file(LOG, index=index, size=size))
            check_tlog_proof(proof, b"entry %d" % index, policy)
            for other in range(size + 1):
                if other != index:
                    with pytest.raises(BadProof):
                        check_tlog_proof(proof, b"entry %d" % other, policy)
                    moved = TlogProof(other, proof.hashes, proof.checkpoint)
                    with pytest.raises(BadProof):
                        check_tlog_proof(moved, b"entry %d" % index, policy)


def test_entries_and_nodes_are_not_confused() -> None:
    inner = hash_node(HASHES[0], HASHES[1])
    for forged in (HASHES[0] + HASHES[1], b"\x01" + HASHES[0] + HASHES[1]):
        assert hash_leaf(forged) != inner
        with pytest.raises(BadProof):
            check_tlog_proof(TlogProof(0, (HASHES[2],), NOTE), forged, POLICY)


def test_extra_is_carried_and_decides_nothing() -> None:
    for extra in (b"", b"\x00\xff", b"x" * MAX_EXTRA):
        data = proof_file(LOG, WITNESS, extra=extra)
        proof = parse_tlog_proof(data)
        assert proof.extra == extra
        assert format_tlog_proof(proof) == data
        check_tlog_proof(proof, b"beta", POLICY)
        with pytest.raises(BadProof):
            check_tlog_proof(proof, extra, POLICY)


def test_what_a_checker_refuses() -> None:
    with pytest.raises(BadSignature):
        check_tlog_proof(TlogProof(1, (HASHES[0], HASHES[2]), NOTE.replace(b"\n3\n", b"\n4\n")), b"beta", POLICY)
    with pytest.raises(Untrusted):
        check_tlog_proof(parse_tlog_proof(proof_file(WITNESS, STRANGER)), b"beta", POLICY)
    with pytest.raises(Malformed, match="note: needs text"):
        check_tlog_proof(TlogProof(1, (), b""), b"beta", POLICY)


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("", "tlog-proof: has no empty line"),
        ("c2sp.org/tlog-proof@v1\nindex 1\n", "tlog-proof: has no empty line"),
        ("\n\n", "tlog-proof: does not begin with"),
        ("c2sp.org/tlog-proof@v2\nindex 1\n\n", "tlog-proof: does not begin with"),
        ("c2sp.org/tlog-proof@v1 \nindex 1\n\n", "tlog-proof: does not begin with"),
        ("c2sp.org/tlog-proof@v1\r\nindex 1\n\n", "tlog-proof: does not begin with"),
        (" c2sp.org/tlog-proof@v1\nindex 1\n\n", "tlog-proof: does not begin with"),
        ("c2sp.org/tlog-proof@v1\n\n", "tlog-proof: has no index line"),
        (f"c2sp.org/tlog-proof@v1\n{H}\nindex 1\n\n", "tlog-proof: has no index line"),
        ("c2sp.org/tlog-proof@v1\nindex 1\nextra AA==\n\n", "tlog-proof hash 0: not base64"),
        ("c2sp.org/tlog-proof@v1\nextra AA==\nextra AA==\nindex 1\n\n", "tlog-proof: has no index line"),
        ("c2sp.org/tlog-proof@v1\nextra\nindex 1\n\n", "tlog-proof: has no index line"),
        ("c2sp.org/tlog-proof@v1\nextra A\nindex 1\n\n", "tlog-proof extra: not base64"),
        ("c2sp.org/tlog-proof@v1\nextra AB==\nindex 1\n\n", "tlog-proof extra: not canonical base64"),
        ("c2sp.org/tlog-proof@v1\nextra AA==\n\n", "tlog-proof: has no index line"),
        ("c2sp.org/tlog-proof@v1\nindex\n\n", "tlog-proof: has no index line"),
        ("c2sp.org/tlog-proof@v1\nIndex 1\n\n", "tlog-proof: has no index line"),
        *(
            (f"c2sp.org/tlog-proof@v1\nindex {n}\n\n", "tlog-proof index: not a decimal number")
            for n in ("", "01", "+1", "-1", " 1", "1 ", "1_0", "0x1", "9223372036854775808", "9" * 5000)
        ),
        (f"c2sp.org/tlog-proof@v1\nindex 1\n{H[:-1]}\n\n", "tlog-proof hash 0: not base64"),
        (f"c2sp.org/tlog-proof@v1\nindex 1\n{H}\n{H} \n\n", "tlog-proof hash 1: not base64"),
        (f"c2sp.org/tlog-proof@v1\nindex 1\n{H[:-2]}t=\n\n", "tlog-proof hash 0: not canonical base64"),
        ("c2sp.org/tlog-proof@v1\nindex 1\nAAAA\n\n", "tlog-proof: a hash is not 32 bytes"),
        ("c2sp.org/tlog-proof@v1\nindex \u0661\n\n", "tlog-proof: not ASCII before the checkpoint"),
        (f"c2sp.org/tlog-proof@v1\nindex 1\n{(H + chr(10)) * (MAX_HASHES + 1)}\n", "64 hashes, the limit is 63"),
        (f"c2sp.org/tlog-proof@v1\nextra {'A' * 87384}\nindex 1\n\n", "65538 bytes, the limit is 65536"),
    ],
)
def test_each_refusal(head: str, message: str) -> None:
    with pytest.raises(Malformed) as caught:
        parse_tlog_proof(head.encode() + (NOTE if head.endswith("\n\n") else b""))
    assert message in str(caught.value)


def test_limits() -> None:
    assert (
        len(parse_tlog_proof(f"c2sp.org/tlog-proof@v1\nindex 1\n{(H + chr(10)) * MAX_HASHES}\n".encode()).hashes) == 63
    )
    with pytest.raises(TooLarge, match="the limit is 393216"):
        parse_tlog_proof(PROOF + bytes(MAX_PROOF))


PARTS = st.sampled_from(
    ["c2sp.org/tlog-proof@v1", "\n", "\n\n", "index ", "extra ", "1", "01", "AA==", H, " ", NOTE.decode()]
).map(str.encode)


@given(st.lists(PARTS | st.binary(max_size=4), max_size=12).map(b"".join))
def test_any_bytes(data: bytes) -> None:
    for candidate in (data, b"c2sp.org/tlog-proof@v1\n" + data, b"c2sp.org/tlog-proof@v1\nindex 1\n" + data):
        try:
            proof = parse_tlog_proof(candidate)
        except Malformed:
            continue
        assert format_tlog_proof(proof) == candidate


@given(
    index=st.integers(0, 2**63 - 1),
    hashes=st.lists(st.binary(min_size=32, max_size=32), max_size=MAX_HASHES),
    checkpoint=st.binary(max_size=80),
    extra=st.none() | st.binary(max_size=80),
)
def test_proofs_come_back(index: int, hashes: list[bytes], checkpoint: bytes, extra: bytes | None) -> None:
    proof = TlogProof(index, tuple(hashes), checkpoint, extra)
    assert parse_tlog_proof(format_tlog_proof(proof)) == proof
