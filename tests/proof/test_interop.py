"""Others read what is made here: proofbundle (tlog-proof), scitt-cose (receipts, statements), cwt (COSE_Sign1)."""

from __future__ import annotations

from random import Random
from typing import Any

import cwt
import pytest
import scitt_cose  # type: ignore[import-untyped]
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from proofbundle.tlogproof import verify_tlog_proof

from tests.proof import reference
from tests.proof.material import LOG, LOG_KEY, ORIGIN, PQ_WITNESS, PROOF, WITNESS, proof_file
from twinproof.errors import Malformed
from twinproof.proof import cose
from twinproof.proof.keys import EDDSA, ES256, P256_ORDER, PrivateKey
from twinproof.proof.receipt import format_inclusion, sign_root

P = PrivateKey(ES256, b"\x02" * 32)
WITNESSES = [str(WITNESS.verifier), str(PQ_WITNESS.verifier)]


def public_pem(key: PrivateKey) -> bytes:
    loaded = serialization.load_pem_private_key(key.to_pem(), password=None)
    assert isinstance(loaded, ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey)
    return loaded.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


# --- proofbundle ----------------------------------------------------------------------------


def proofbundle(data: bytes, entry: bytes, witnesses: list[str], threshold: int) -> dict[str, Any]:
    verdict: dict[str, Any] = verify_tlog_proof(
        data.decode(), entry, str(LOG.verifier), witnesses, threshold=threshold, expected_origin=ORIGIN
    )
    return verdict


def test_proofbundle_accepts_the_fixed_proof() -> None:
    verdict = proofbundle(PROOF, b"beta", WITNESSES[:1], 1)
    assert verdict["ok"] is True
    assert (verdict["tree_size"], verdict["index"], verdict["origin"]) == (3, 1, ORIGIN)


@pytest.mark.parametrize(("size", "index"), [(1, 0), (2, 1), (7, 4), (100, 63), (100, 99)])
def test_proofbundle_accepts_a_quorum_of_ed25519_and_ml_dsa(size: int, index: int) -> None:
    data = proof_file(LOG, WITNESS, PQ_WITNESS, size=size, index=index)
    verdict = proofbundle(data, b"entry %d" % index, WITNESSES, 2)
    assert verdict["ok"] is True, verdict
    assert proofbundle(data, b"entry %d" % (index + 1), WITNESSES, 2)["ok"] is False
    without = proof_file(LOG, WITNESS, size=size, index=index)
    assert proofbundle(without, b"entry %d" % index, WITNESSES, 2)["ok"] is False


def test_proofbundle_refuses_a_tampered_proof() -> None:
    data = proof_file(LOG, WITNESS, PQ_WITNESS)
    assert proofbundle(data, b"beta", WITNESSES, 2)["ok"] is True
    random = Random(1)
    for at in random.sample(range(len(data)), 80):
        changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        try:
            changed.decode()
        except UnicodeDecodeError:
            continue
        assert proofbundle(changed, b"beta", WITNESSES, 2)["ok"] is False, at


# --- scitt-cose -----------------------------------------------------------------------------

HASHES = reference.leaf_hashes(70)


def check_with_scitt_cose(receipt: bytes, entry: bytes, key: PrivateKey) -> Any:
    return scitt_cose.verify_receipt(receipt, leaf_entry_hex=entry.hex(), log_public_key_pem=public_pem(key))


@pytest.mark.parametrize("key", [LOG_KEY, P], ids=["Ed25519", "ES256"])
def test_scitt_cose_accepts_receipts_of_trees_of_2_to_70_leaves(key: PrivateKey) -> None:
    count = 0
    for size in range(2, 71):
        signed = sign_root(key, ORIGIN, size, reference.mth(HASHES[:size]))
        every = size in (2, 3, 7, 8, 33)
        for index in range(size) if every else {0, size // 3, size - 1}:
            made = format_inclusion(signed, index, reference.path(index, HASHES[:size]))
            result = check_with_scitt_cose(made, b"entry %d" % index, key)
            assert result.ok, (size, index, result.errors)
            assert (result.tree_size, result.leaf_index) == (size, index)
            assert (result.issuer, result.subject) == (ORIGIN, ORIGIN)
            count += 1
    assert count > 200


def test_scitt_cose_refuses_tampered_receipts() -> None:
    signed = sign_root(LOG_KEY, ORIGIN, 7, reference.mth(HASHES[:7]))
    made = format_inclusion(signed, 4, reference.path(4, HASHES[:7]))
    assert check_with_scitt_cose(made, b"entry 4", LOG_KEY).ok
    assert not check_with_scitt_cose(made, b"entry 5", LOG_KEY).ok
    assert not check_with_scitt_cose(made, b"entry 4", PrivateKey(EDDSA, b"\x05" * 32)).ok
    numbers = made.index(b"\x83\x07\x04") + 1
    for at in range(len(made)):
        changed = made[:at] + bytes([made[at] ^ 1]) + made[at + 1 :]
        if at not in (numbers, numbers + 1):  # unsigned: see test_receipt.py
            assert not check_with_scitt_cose(changed, b"entry 4", LOG_KEY).ok, at


def statement(key: PrivateKey) -> bytes:
    headers: cose.Header = {
        cose.CONTENT_TYPE: "application/example",
        cose.KID: key.public.thumbprint,
        cose.CWT_CLAIMS: {cose.ISS: "https://issuer.example", cose.SUB: "urn:asset:1"},
    }
    return cose.format_sign1(cose.sign(key, headers, b"payload"))


@pytest.mark.parametrize("key", [LOG_KEY, P], ids=["Ed25519", "ES256"])
def test_scitt_cose_accepts_statements(key: PrivateKey) -> None:
    data = statement(key)
    opened = scitt_cose.verify_sign1(data, public_key_pem=public_pem(key))
    assert opened.payload == b"payload"
    parsed = scitt_cose.parse_signed_statement(data, public_key_pem=public_pem(key))
    assert parsed["signature_verified"] is True
    assert (parsed["issuer"], parsed["subject"]) == ("https://issuer.example", "urn:asset:1")
    changed = data[:-1] + bytes([data[-1] ^ 1])
    assert scitt_cose.parse_signed_statement(changed, public_key_pem=public_pem(key))["signature_verified"] is False


def test_statements_of_scitt_cose_are_read_here() -> None:
    made = scitt_cose.sign_sign1(b"payload", private_key_pem=LOG_KEY.to_pem(), alg="EdDSA")
    sign1 = cose.parse_sign1(made)
    cose.check_signature(sign1, LOG_KEY.public)
    assert sign1.payload == b"payload"
    # It writes headers in the order of insertion, alg last: not deterministic CBOR, so not ours.
    made = scitt_cose.sign_sign1(b"payload", private_key_pem=LOG_KEY.to_pem(), alg="EdDSA", protected={4: b"kid"})
    with pytest.raises(Malformed, match="protected header: map key is repeated or out of order"):
        cose.check_signature(cose.parse_sign1(made), LOG_KEY.public)


# --- cwt ------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [LOG_KEY, P], ids=["Ed25519", "ES256"])
def test_cwt_accepts_our_cose_sign1(key: PrivateKey) -> None:
    data = statement(key)
    kid = key.public.thumbprint
    theirs = cwt.COSEKey.from_pem(public_pem(key), kid=kid)
    assert cwt.COSE.new().decode(data, theirs) == b"payload"
    changed = data[:-1] + bytes([data[-1] ^ 1])
    with pytest.raises(cwt.VerifyError):
        cwt.COSE.new().decode(changed, theirs)


@pytest.mark.parametrize("key", [LOG_KEY, P], ids=["Ed25519", "ES256"])
def test_cose_sign1_of_cwt_is_read_here(key: PrivateKey) -> None:
    theirs = cwt.COSEKey.from_pem(key.to_pem().decode(), kid=b"kid")
    made = cwt.COSE.new(alg_auto_inclusion=True, deterministic_header=True).encode_and_sign(
        b"payload", theirs, protected={4: b"kid"}
    )
    assert isinstance(made, bytes)
    sign1 = cose.parse_sign1(made)
    if key is P:  # cwt does not choose the low half of s
        s = int.from_bytes(sign1.signature[32:], "big")
        signature = sign1.signature[:32] + min(s, P256_ORDER - s).to_bytes(32, "big")
        sign1 = cose.Sign1(sign1.protected, sign1.unprotected, sign1.payload, signature)
    cose.check_signature(sign1, key.public)
    assert sign1.payload == b"payload"
