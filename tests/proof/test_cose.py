"""COSE_Sign1: the working group's examples, what our profile refuses of them, headers and payloads."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.proof.material import LOG_KEY
from twinproof.errors import BadSignature, Malformed, TwinproofError
from twinproof.proof import cbor, cose
from twinproof.proof.cose import Sign1, check_signature, format_sign1, parse_sign1, scitt_claims, sig_structure
from twinproof.proof.keys import EDDSA, ES256, P256_ORDER, PrivateKey, PublicKey

ED = LOG_KEY
P = PrivateKey(ES256, b"\x02" * 32)

# --- examples of the COSE working group -----------------------------------------------------

ACCEPTED = ("eddsa-examples/eddsa-sig-01", "ecdsa-examples/ecdsa-sig-01", "sign1-tests/sign-pass-02")
REFUSED = {
    # invalid by their own account
    "sign1-tests/sign-fail-01": "not tagged as COSE_Sign1",
    "sign1-tests/sign-fail-02": "the ES256 signature",
    "sign1-tests/sign-fail-03": "the protected header says -999",
    "sign1-tests/sign-fail-04": "the protected header says 'unknown'",
    "sign1-tests/sign-fail-06": "the ES256 signature",
    "sign1-tests/sign-fail-07": "the ES256 signature",
    # valid COSE that the profile leaves out
    "sign1-tests/sign-pass-01": "the protected header says None",  # alg only in the unprotected header
    "sign1-tests/sign-pass-03": "not tagged as COSE_Sign1",  # untagged
    "ecdsa-examples/ecdsa-01": "not tagged as COSE_Sign1",  # COSE_Sign, several signers (tag 98)
    "ecdsa-examples/ecdsa-02": "not tagged as COSE_Sign1",
    "ecdsa-examples/ecdsa-03": "not tagged as COSE_Sign1",
    "ecdsa-examples/ecdsa-04": "not tagged as COSE_Sign1",
    "eddsa-examples/eddsa-01": "not tagged as COSE_Sign1",
    "eddsa-examples/eddsa-02": "not tagged as COSE_Sign1",
    "ecdsa-examples/ecdsa-sig-02": "ES256 needs 64 bytes, not 96",  # P-384
    "ecdsa-examples/ecdsa-sig-03": "ES256 needs 64 bytes, not 132",  # P-521
    "ecdsa-examples/ecdsa-sig-04": "the protected header says -36",  # P-256 with SHA-512
    "eddsa-examples/eddsa-sig-02": "Ed25519 needs 32 bytes, not 57",  # Ed448
}


def example(shared: Path, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((shared / "vectors" / "cose" / f"{name}.json").read_text())
    return content


def key_of(case: dict[str, Any]) -> PublicKey:
    source = case["input"].get("sign0") or case["input"]["sign"]["signers"][0]
    key = source["key"]
    if key["kty"] == "OKP":
        return PublicKey(EDDSA, bytes.fromhex(key["x_hex"]))
    return PublicKey(ES256, b"".join(urlsafe_b64decode(key[name] + "==") for name in "xy"))


def open_example(case: dict[str, Any]) -> Sign1:
    sign1 = parse_sign1(bytes.fromhex(case["output"]["cbor"]))
    aad = bytes.fromhex(case["input"].get("sign0", {}).get("external", ""))
    check_signature(sign1, key_of(case), external_aad=aad)
    return sign1


def with_low_s(sign1: Sign1) -> Sign1:
    s = int.from_bytes(sign1.signature[32:], "big")
    low = sign1.signature[:32] + min(s, P256_ORDER - s).to_bytes(32, "big")
    return Sign1(sign1.protected, sign1.unprotected, sign1.payload, low)


def test_every_example_is_listed(shared: Path) -> None:
    folder = shared / "vectors" / "cose"
    names = {str(file.relative_to(folder).with_suffix("")) for file in folder.rglob("*.json")}
    assert names == {*ACCEPTED, *REFUSED}
    assert len(names) == 21


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted_examples(shared: Path, name: str) -> None:
    case = example(shared, name)
    data = bytes.fromhex(case["output"]["cbor"])
    sign1 = parse_sign1(data)
    assert format_sign1(sign1) == data
    assert sign1.payload == b"This is the content."
    assert sign1.unprotected == {cose.KID: b"11"}
    aad = bytes.fromhex(case["input"]["sign0"].get("external", ""))
    signed = sig_structure(sign1.protected, sign1.payload, aad)
    assert signed == bytes.fromhex(case["intermediates"]["ToBeSign_hex"])
    if sign1.headers[cose.ALG] == ES256 and with_low_s(sign1) != sign1:
        with pytest.raises(BadSignature, match="high s"):
            check_signature(sign1, key_of(case), external_aad=aad)
        sign1 = with_low_s(sign1)
    check_signature(sign1, key_of(case), external_aad=aad)
    with pytest.raises(BadSignature):
        check_signature(sign1, key_of(case), external_aad=aad + b"\0")


@pytest.mark.parametrize("name", REFUSED)
def test_refused_examples(shared: Path, name: str) -> None:
    case = example(shared, name)
    with pytest.raises(TwinproofError, match=REFUSED[name]):
        open_example(case)


# --- signing and checking -------------------------------------------------------------------

LABELS = st.integers(-100, 100).filter(lambda label: label not in (cose.ALG, cose.CRIT)) | st.text(max_size=5)
HEADERS = st.dictionaries(LABELS, st.integers(0, 100) | st.binary(max_size=9) | st.text(max_size=5), max_size=4)


@given(headers=HEADERS, payload=st.binary(max_size=100))
def test_what_is_signed_verifies_and_comes_back(headers: cose.Header, payload: bytes) -> None:
    for key in (ED, P):
        signed = cose.sign(key, headers, payload)
        assert signed.headers == {**headers, cose.ALG: key.algorithm}
        assert parse_sign1(format_sign1(signed)) == signed
        check_signature(signed, key.public)
        assert cose.sign(key, headers, payload) == signed
        with pytest.raises(BadSignature):
            check_signature(signed, key.public, external_aad=b"x")
        with pytest.raises(BadSignature):
            check_signature(Sign1(signed.protected, {}, payload + b"\0", signed.signature), key.public)


@given(st.binary(max_size=40), st.binary(max_size=300), st.binary(max_size=40))
def test_the_sig_structure_is_the_cbor_of_its_parts(protected: bytes, payload: bytes, aad: bytes) -> None:
    assert sig_structure(protected, payload, aad) == cbor.encode(["Signature1", protected, aad, payload])


def test_detached_payloads() -> None:
    attached = cose.sign(ED, {}, b"payload")
    detached = Sign1(attached.protected, {}, None, attached.signature)
    check_signature(detached, ED.public, payload=b"payload")
    with pytest.raises(BadSignature):
        check_signature(detached, ED.public, payload=b"payloae")
    with pytest.raises(Malformed, match="payload: must be either attached or given"):
        check_signature(detached, ED.public)
    with pytest.raises(Malformed, match="payload: must be either attached or given"):
        check_signature(attached, ED.public, payload=b"payload")
    empty = cose.sign(ED, {}, b"")
    check_signature(empty, ED.public)
    with pytest.raises(Malformed, match="payload: must be either attached or given"):
        check_signature(empty, ED.public, payload=b"")


def signed_under(headers: bytes, key: PrivateKey = ED) -> Sign1:
    return Sign1(headers, {}, b"p", key.sign(sig_structure(headers, b"p")))


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        (cbor.encode({1: -7}), "alg: the protected header says -7, the key is for -8"),
        (cbor.encode({1: -19}), "alg: the protected header says -19"),
        (cbor.encode({1: "EdDSA"}), "alg: the protected header says 'EdDSA'"),
        (cbor.encode({1: -8.0}), "alg: the protected header says -8.0"),
        (cbor.encode({1: None}), "alg: the protected header says None"),
        (cbor.encode({1: [-8]}), r"alg: the protected header says \[-8\]"),
        (cbor.encode({"1": -8}), "alg: the protected header says None"),
        (b"\xa0", "alg: the protected header says None"),
        (b"", "alg: the protected header says None"),
        (cbor.encode({1: -8, 2: [4]}), "crit: marks headers critical"),
        (cbor.encode({1: -8, 2: []}), "crit: marks headers critical"),
        (cbor.encode([1, -8]), "protected header: not a map"),
        (cbor.encode(None), "protected header: not a map"),
        (cbor.encode({1: -8}) + b"\0", "protected header: 1 bytes after the item"),
        (bytes.fromhex("a1013807"), "protected header: not the shortest form at byte 2"),
        (bytes.fromhex("a201270127"), "protected header: map key is repeated"),
        (bytes.fromhex("bf0127ff"), "protected header: indefinite length"),
    ],
)
def test_protected_headers_that_are_refused_though_signed(headers: bytes, message: str) -> None:
    with pytest.raises(Malformed, match=message):
        check_signature(signed_under(headers), ED.public)


def test_a_key_of_the_other_kind_is_refused() -> None:
    with pytest.raises(Malformed, match="alg: the protected header says -8, the key is for -7"):
        check_signature(cose.sign(ED, {}, b""), P.public)
    with pytest.raises(BadSignature):
        check_signature(cose.sign(ED, {}, b""), PrivateKey(EDDSA, b"\x03" * 32).public)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([b"", {}, b"", b""], "not tagged as COSE_Sign1"),
        (cbor.Tagged(98, [b"", {}, b"", b""]), "not tagged as COSE_Sign1"),
        (cbor.Tagged(18, cbor.Tagged(18, [b"", {}, b"", b""])), "not an array of four"),
        (cbor.Tagged(18, [b"", {}, b""]), "not an array of four"),
        (cbor.Tagged(18, [b"", {}, b"", b"", b""]), "not an array of four"),
        (cbor.Tagged(18, {}), "not an array of four"),
        (cbor.Tagged(18, [{}, {}, b"", b""]), "protected header and signature must be byte strings"),
        (cbor.Tagged(18, ["", {}, b"", b""]), "protected header and signature must be byte strings"),
        (cbor.Tagged(18, [b"", {}, b"", None]), "protected header and signature must be byte strings"),
        (cbor.Tagged(18, [b"", [], b"", b""]), "unprotected header must be a map"),
        (cbor.Tagged(18, [b"", None, b"", b""]), "unprotected header must be a map"),
        (cbor.Tagged(18, [b"", {}, "", b""]), "payload must be a byte string or nil"),
        (cbor.Tagged(18, [b"", {}, False, b""]), "payload must be a byte string or nil"),
    ],
)
def test_each_refusal_of_the_envelope(value: Any, message: str) -> None:
    with pytest.raises(Malformed, match=f"statement: {message}"):
        parse_sign1(cbor.encode(value), what="statement")


@given(st.binary(max_size=60))
def test_any_bytes(data: bytes) -> None:
    for candidate in (data, b"\xd2\x84" + data, b"\xd2\x84\x43\xa1\x01\x27" + data):
        try:
            sign1 = parse_sign1(candidate)
            assert format_sign1(sign1) == candidate
            check_signature(sign1, ED.public)
        except TwinproofError:
            continue
        raise AssertionError("a forged signature")


# --- SCITT claims ---------------------------------------------------------------------------

GOOD: cose.Header = {cose.KID: b"k", cose.CWT_CLAIMS: {cose.ISS: "issuer", cose.SUB: "subject", cose.IAT: 1}}
URI = {cose.ISS: "https://issuer.example", cose.SUB: "s"}


@pytest.mark.parametrize(
    "headers",
    [
        GOOD,
        {cose.X5T: b"t", cose.CWT_CLAIMS: URI},
        {cose.X5CHAIN: b"c", cose.CWT_CLAIMS: URI},
        {cose.X5T: b"t", cose.CWT_CLAIMS: {**URI, cose.ISS: "u:" + "x" * 8190}},
    ],
)
def test_claims_that_scitt_takes(headers: cose.Header) -> None:
    assert scitt_claims(headers) == headers[cose.CWT_CLAIMS]


@pytest.mark.parametrize(
    ("headers", "field"),
    [
        ({cose.KID: b"k"}, "CWT claims"),
        ({**GOOD, cose.CWT_CLAIMS: b"\xa0"}, "CWT claims"),
        ({**GOOD, cose.CWT_CLAIMS: [1]}, "CWT claims"),
        ({**GOOD, cose.CWT_CLAIMS: {}}, "iss"),
        ({**GOOD, cose.CWT_CLAIMS: {cose.SUB: "s"}}, "iss"),
        ({**GOOD, cose.CWT_CLAIMS: {cose.ISS: b"i", cose.SUB: "s"}}, "iss"),
        ({**GOOD, cose.CWT_CLAIMS: {cose.ISS: "", cose.SUB: "s"}}, "iss"),
        ({**GOOD, cose.CWT_CLAIMS: {cose.ISS: "i"}}, "sub"),
        ({**GOOD, cose.CWT_CLAIMS: {cose.ISS: "i", cose.SUB: 1}}, "sub"),
        ({**GOOD, cose.CWT_CLAIMS: {cose.ISS: "i", cose.SUB: ""}}, "sub"),
        ({cose.CWT_CLAIMS: GOOD[cose.CWT_CLAIMS]}, "kid"),
        ({**GOOD, cose.KID: "k"}, "kid"),
        ({**GOOD, cose.KID: b""}, "kid"),
        ({**GOOD, cose.X5T: b"t"}, "iss"),
        ({**GOOD, cose.X5CHAIN: b"t"}, "iss"),
        ({cose.X5T: b"t", cose.CWT_CLAIMS: {**URI, cose.ISS: "u:" + "x" * 8191}}, "iss"),
    ],
)
def test_claims_that_scitt_refuses(headers: cose.Header, field: str) -> None:
    with pytest.raises(Malformed) as caught:
        scitt_claims(headers)
    assert caught.value.field == field
