"""Wycheproof: Ed25519 and ECDSA P-256, with every deviation from its verdicts named."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from twinproof.errors import BadSignature
from twinproof.proof import keys
from twinproof.proof.keys import EDDSA, ES256, P256_ORDER, PublicKey


def cases(shared: Path, name: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    file = shared / "vectors" / "wycheproof" / "testvectors_v1" / f"{name}_test.json"
    content = json.loads(file.read_text())
    count = 0
    for group in content["testGroups"]:
        for case in group["tests"]:
            count += 1
            # Nothing is left to taste: these files mark no case as merely acceptable.
            assert case["result"] in ("valid", "invalid")
            yield group, case
    assert count == content["numberOfTests"]


def accepts(key: PublicKey, case: dict[str, Any], signature: bytes) -> bool:
    try:
        key.check(bytes.fromhex(case["msg"]), signature)
    except BadSignature:
        return False
    return True


def p256_key(group: dict[str, Any]) -> PublicKey:
    point = bytes.fromhex(group["publicKey"]["uncompressed"])
    assert point[:1] == b"\x04"
    return PublicKey(ES256, point[1:])


def test_ed25519(shared: Path) -> None:
    counts: Counter[str] = Counter()
    for group, case in cases(shared, "ed25519"):
        key = PublicKey(EDDSA, bytes.fromhex(group["publicKey"]["pk"]))
        accepted = accepts(key, case, bytes.fromhex(case["sig"]))
        assert accepted == (case["result"] == "valid"), (case["tcId"], case["comment"])
        counts[case["result"]] += 1
    assert counts == {"valid": 88, "invalid": 63}


def test_p256_p1363(shared: Path) -> None:
    counts: Counter[str] = Counter()
    for group, case in cases(shared, "ecdsa_secp256r1_sha256_p1363"):
        signature = bytes.fromhex(case["sig"])
        high = len(signature) == 64 and int.from_bytes(signature[32:], "big") > P256_ORDER // 2
        accepted = accepts(p256_key(group), case, signature)
        # A high s is valid ECDSA and refused here: the same signature must not have two forms.
        assert accepted == (case["result"] == "valid" and not high), (case["tcId"], case["comment"])
        counts[f"{case['result']}{' with high s' if high else ''}"] += 1
        if case["result"] == "valid" and high:
            low = signature[:32] + (P256_ORDER - int.from_bytes(signature[32:], "big")).to_bytes(32, "big")
            assert accepts(p256_key(group), case, low)
            counts["valid once made low"] += 1
    assert counts == {
        "valid": 103,
        "valid with high s": 70,
        "valid once made low": 70,
        "invalid": 44,
        "invalid with high s": 45,
    }


def test_p256_der(shared: Path) -> None:
    """COSE has no DER: strict DER of two numbers below 2^256 is checked as r || s, the rest has no such form."""
    counts: Counter[str] = Counter()
    for group, case in cases(shared, "ecdsa_secp256r1_sha256"):
        der = bytes.fromhex(case["sig"])
        try:
            r, s = decode_dss_signature(der)
            raw = r.to_bytes(32, "big") + s.to_bytes(32, "big")
        except (ValueError, OverflowError):
            assert case["result"] == "invalid", (case["tcId"], case["comment"])
            counts["not two numbers of 256 bits"] += 1
            continue
        assert encode_dss_signature(r, s) == der
        high = s > P256_ORDER // 2
        accepted = accepts(p256_key(group), case, raw)
        assert accepted == (case["result"] == "valid" and not high), (case["tcId"], case["comment"])
        counts[f"{case['result']}{' with high s' if high else ''}"] += 1
    assert counts == {
        "valid": 103,
        "valid with high s": 71,
        "invalid": 25,
        "invalid with high s": 50,
        "not two numbers of 256 bits": 235,
    }


def test_a_library_that_takes_small_order_keys_is_fooled() -> None:
    """What the next test guards against: OpenSSL lets the identity as a key "sign" everything."""
    identity = b"\x01" + bytes(31)
    lax = ed25519.Ed25519PublicKey.from_public_bytes(identity)
    lax.verify(identity + bytes(32), b"anything at all")
    with pytest.raises(BadSignature):
        keys.verify_ed25519(identity, b"anything at all", identity + bytes(32))


@pytest.mark.parametrize(
    "public",
    [
        # The eight points of small order and their non-canonical spellings: with them as the key, a
        # signature can be made that holds for nearly every message.
        "0100000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    ],
)
def test_small_order_keys_sign_nothing(public: str) -> None:
    identity = b"\x01" + bytes(31)
    key = PublicKey(EDDSA, bytes.fromhex(public))
    accepted = 0
    for number in range(32):
        # R = identity, s = 0 satisfies R = sB - hA whenever hA is the identity.
        for r in (identity, bytes.fromhex(public)):
            try:
                keys.verify_ed25519(key.raw, b"message %d" % number, r + bytes(32))
            except BadSignature:
                continue
            accepted += 1
    assert accepted == 0
