"""COSE Receipts: made, parsed, checked; what is signed in them and what is not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.proof import reference
from tests.proof.material import LOG_KEY, ORIGIN
from twinproof.errors import BadProof, BadSignature, Malformed, TooLarge, TwinproofError
from twinproof.proof import cbor, cose, receipt
from twinproof.proof.keys import EDDSA, ES256, PrivateKey
from twinproof.proof.receipt import (
    CONSISTENCY,
    INCLUSION,
    check_consistency_receipt,
    check_inclusion_receipt,
    format_consistency,
    format_inclusion,
    parse_receipt,
    sign_root,
)

HASHES = reference.leaf_hashes(70)
ROOTS = [reference.mth(HASHES[:size]) for size in range(71)]
P = PrivateKey(ES256, b"\x02" * 32)
SIGNED = {size: sign_root(LOG_KEY, ORIGIN, size, ROOTS[size]) for size in range(1, 71)}


def inclusion(size: int, index: int) -> bytes:
    return format_inclusion(SIGNED[size], index, reference.path(index, HASHES[:size]))


def consistency(old: int, new: int) -> bytes:
    return format_consistency(SIGNED[new], old, reference.consistency(old, HASHES[:new]))


def test_every_leaf_of_trees_of_2_to_70_leaves() -> None:
    for size in range(2, 71):
        for index in range(0, size, 1 + size // 9):
            made = inclusion(size, index)
            read = parse_receipt(made)
            assert (read.kind, read.first, read.second) == (INCLUSION, size, index)
            assert (read.issuer, read.kid) == (ORIGIN, LOG_KEY.public.thumbprint)
            assert cose.format_sign1(read.sign1) == made
            assert check_inclusion_receipt(read, HASHES[index], LOG_KEY.public) == ROOTS[size]
            for other in {index ^ 1, (index + 1) % size} - {index}:
                with pytest.raises(TwinproofError):
                    check_inclusion_receipt(read, HASHES[other], LOG_KEY.public)


def test_consistency_receipts() -> None:
    for new in range(2, 71, 4):
        for old in range(1, new, 3):
            read = parse_receipt(consistency(old, new))
            assert (read.kind, read.first, read.second) == (CONSISTENCY, old, new)
            check_consistency_receipt(read, ROOTS[old], ROOTS[new], LOG_KEY.public)
            with pytest.raises(BadProof):
                check_consistency_receipt(read, ROOTS[old + 1], ROOTS[new], LOG_KEY.public)
            with pytest.raises(BadSignature):
                check_consistency_receipt(read, ROOTS[old], ROOTS[old], LOG_KEY.public)


def test_a_p256_log() -> None:
    signed = sign_root(P, ORIGIN, 5, ROOTS[5])
    read = parse_receipt(format_inclusion(signed, 3, reference.path(3, HASHES[:5])))
    assert check_inclusion_receipt(read, HASHES[3], P.public) == ROOTS[5]
    assert read.kid == P.public.thumbprint


def test_kinds_are_not_taken_for_each_other() -> None:
    with pytest.raises(BadProof, match="of inclusion, not of consistency"):
        check_consistency_receipt(parse_receipt(inclusion(5, 2)), ROOTS[2], ROOTS[5], LOG_KEY.public)
    with pytest.raises(BadProof, match="of consistency, not of inclusion"):
        check_inclusion_receipt(parse_receipt(consistency(2, 5)), HASHES[2], LOG_KEY.public)


def test_another_key_and_another_root_are_refused() -> None:
    read = parse_receipt(inclusion(5, 2))
    with pytest.raises(BadSignature):
        check_inclusion_receipt(read, HASHES[2], PrivateKey(EDDSA, b"\x05" * 32).public)
    with pytest.raises(Malformed, match="alg"):
        check_inclusion_receipt(read, HASHES[2], P.public)
    forged = sign_root(PrivateKey(EDDSA, b"\x05" * 32), ORIGIN, 5, ROOTS[5])
    with pytest.raises(BadSignature):
        check_inclusion_receipt(
            parse_receipt(format_inclusion(forged, 2, reference.path(2, HASHES[:5]))), HASHES[2], LOG_KEY.public
        )


def test_one_signature_serves_all_receipts_of_a_size() -> None:
    signatures = {parse_receipt(inclusion(6, index)).sign1.signature for index in range(6)}
    assert signatures == {SIGNED[6].signature}


def test_size_and_index_are_bound_by_the_signature() -> None:
    """(0, 3) and (0, 4) lead from leaf 0 to the root that was signed for 3: the protected size decides."""
    path = reference.path(0, HASHES[:3])
    moved = format_inclusion(receipt.SignedRoot(4, SIGNED[3].protected, SIGNED[3].signature), 0, path)
    with pytest.raises(Malformed, match="tree size"):
        parse_receipt(moved)
    old = reference.consistency(2, HASHES[:3])
    grown = format_consistency(receipt.SignedRoot(4, SIGNED[3].protected, SIGNED[3].signature), 2, old)
    with pytest.raises(Malformed, match="tree size"):
        parse_receipt(grown)
    # Within one size the index is bound: no other one leads there.
    for index in range(1, 3):
        other = parse_receipt(format_inclusion(SIGNED[3], index, path))
        with pytest.raises(TwinproofError):
            check_inclusion_receipt(other, HASHES[0], LOG_KEY.public)


def test_no_receipt_without_a_path() -> None:
    with pytest.raises(ValueError, match="at least one path hash"):
        format_inclusion(SIGNED[1], 0, [])
    with pytest.raises(ValueError, match="at least one path hash"):
        format_consistency(SIGNED[5], 5, [])


# --- parsing --------------------------------------------------------------------------------

CLAIMS = {cose.ISS: ORIGIN, cose.SUB: ORIGIN}
HEADERS: cose.Header = {
    cose.ALG: -8,
    cose.KID: b"k" * 32,
    cose.CWT_CLAIMS: CLAIMS,
    receipt.VDS: 1,
    receipt.TREE_SIZE: 2,
}
PATH = [bytes(32)]


def build(
    headers: Any = HEADERS,
    unprotected: Any = None,
    payload: Any = None,
    proof: Any = (2, 0, PATH),
    kind: Any = INCLUSION,
) -> bytes:
    proofs = {kind: [cbor.encode(list(proof) if isinstance(proof, tuple) else proof)]}
    return cose.format_sign1(
        cose.Sign1(
            cbor.encode(headers),
            {receipt.VDP: proofs} if unprotected is None else unprotected,
            payload,
            bytes(64),
        )
    )


def test_the_builder_makes_what_the_parser_takes() -> None:
    assert parse_receipt(build()).path == (bytes(32),)
    assert parse_receipt(build(kind=CONSISTENCY, proof=(1, 2, PATH * 126))).second == 2


def without(label: int) -> cose.Header:
    return {key: value for key, value in HEADERS.items() if key != label}


X5T: cose.Header = {**without(cose.KID), cose.X5T: b"t", cose.CWT_CLAIMS: {cose.ISS: "a:b", cose.SUB: "a:b"}}


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (b"", "receipt"),
        (build(headers=without(receipt.VDS)), "receipt vds"),
        (build(headers={**HEADERS, receipt.VDS: 2}), "receipt vds"),
        (build(headers={**HEADERS, receipt.VDS: 1.0}), "receipt vds"),
        (build(headers={**HEADERS, receipt.VDS: True}), "receipt vds"),
        (build(headers=without(receipt.TREE_SIZE)), "receipt tree size"),
        (build(headers={**HEADERS, receipt.TREE_SIZE: 3}), "receipt tree size"),
        (build(headers={**HEADERS, receipt.TREE_SIZE: 2.0}), "receipt tree size"),
        (build(kind=CONSISTENCY, proof=(2, 3, PATH)), "receipt tree size"),
        (build(headers=without(cose.CWT_CLAIMS)), "CWT claims"),
        (build(headers={**HEADERS, cose.CWT_CLAIMS: {cose.SUB: "s"}}), "iss"),
        (build(headers=without(cose.KID)), "kid"),
        (build(headers=X5T), "receipt kid"),
        (build(headers={**X5T, cose.KID: "text"}), "receipt kid"),
        (build(headers={**HEADERS, 99: 1}), "receipt"),
        (build(headers={**HEADERS, cose.CWT_CLAIMS: {cose.ISS: "a", cose.SUB: "b"}}), "receipt claims"),
        (build(headers={**HEADERS, cose.CWT_CLAIMS: {cose.ISS: "a", cose.SUB: "a", 6: 5}}), "receipt claims"),
        (build(headers=[]), "protected header"),
        (build(payload=bytes(32)), "receipt payload"),
        (build(unprotected={}), "receipt"),
        (build(unprotected={receipt.VDP: {INCLUSION: [b""]}, 4: b"k"}), "receipt"),
        (build(unprotected={receipt.VDP: []}), "receipt proofs"),
        (build(unprotected={receipt.VDP: {}}), "receipt proofs"),
        (build(unprotected={receipt.VDP: {-3: [b""]}}), "receipt proofs"),
        (build(unprotected={receipt.VDP: {"-1": [b""]}}), "receipt proofs"),
        (build(unprotected={receipt.VDP: {INCLUSION: [b""], CONSISTENCY: [b""]}}), "receipt proofs"),
        (build(unprotected={receipt.VDP: {INCLUSION: []}}), "receipt proofs"),
        (build(unprotected={receipt.VDP: {INCLUSION: b""}}), "receipt proofs"),
        (build(unprotected={receipt.VDP: {INCLUSION: [b"", b""]}}), "receipt proofs"),
        (build(unprotected={receipt.VDP: {INCLUSION: [[2, 0, PATH]]}}), "receipt proofs"),
        (build(unprotected={receipt.VDP: {INCLUSION: [b"\xff"]}}), "receipt proof"),
        (build(proof=2), "receipt proof"),
        (build(proof=(2, 0)), "receipt proof"),
        (build(proof=(2, 0, PATH, 0)), "receipt proof"),
        (build(proof=(2, 0, bytes(32))), "receipt proof"),
        (build(proof=(2, 0, bytes(32), bytes(32))), "receipt proof"),
        (build(proof=(-1, 0, PATH)), "receipt proof"),
        (build(proof=(2, -1, PATH)), "receipt proof"),
        (build(proof=(2.0, 0, PATH)), "receipt proof"),
        (build(proof=(2, False, PATH)), "receipt proof"),
        (build(proof=(2**63, 0, PATH)), "receipt proof"),
        (build(proof=(2, 0, [])), "receipt path"),
        (build(proof=(2, 0, [bytes(31)])), "receipt path"),
        (build(proof=(2, 0, ["x" * 32])), "receipt path"),
        (build(proof=(2, 0, PATH * 127)), "receipt path"),
    ],
)
def test_each_refusal(data: bytes, field: str) -> None:
    with pytest.raises(Malformed) as caught:
        parse_receipt(data)
    assert caught.value.field == field


def test_limit() -> None:
    with pytest.raises(TooLarge, match="the limit is 8192"):
        parse_receipt(build(headers={**HEADERS, "padding": bytes(8192)}))


@given(st.binary(max_size=60), st.integers(0, 200))
def test_any_bytes(data: bytes, at: int) -> None:
    good = inclusion(3, 1)
    for candidate in (data, good[:at] + data, good[:at] + data + good[at + len(data) :]):
        try:
            read = parse_receipt(candidate)
        except Malformed:
            continue
        assert cose.format_sign1(read.sign1) == candidate
