"""COSE_Sign1 (RFC 9052 §4.2), deterministic, tagged, and the SCITT header rules (RFC 9943).

    18([ protected: bstr .cbor map, unprotected: map, payload: bstr / nil, signature: bstr ])

    Sig_structure = ["Signature1", protected, external_aad, payload]

Taken are EdDSA and ES256 with the algorithm in the protected header. Everything is deterministic
CBOR, so a statement has exactly one encoding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from twinproof.errors import Malformed
from twinproof.proof import cbor
from twinproof.proof.keys import PrivateKey, PublicKey

TAG: Final = 18
"""CBOR tag of COSE_Sign1."""

ALG: Final = 1
CRIT: Final = 2
CONTENT_TYPE: Final = 3
KID: Final = 4
CWT_CLAIMS: Final = 15
"""Header with a map of CWT claims (RFC 9597)."""
X5CHAIN: Final = 33
X5T: Final = 34
RECEIPTS: Final = 394
"""Unprotected header with an array of receipts (RFC 9942)."""

ISS: Final = 1
SUB: Final = 2
IAT: Final = 6

Header = dict[int | str, cbor.Value]

_AAD_NONE = b"\x40"


@dataclass(frozen=True, slots=True)
class Sign1:
    """A parsed COSE_Sign1."""

    protected: bytes
    """The encoded protected header, as signed."""
    unprotected: Header
    payload: bytes | None
    """None if detached."""
    signature: bytes

    @property
    def headers(self) -> Header:
        """The protected header as a map."""
        if not self.protected:
            return {}
        value = cbor.decode(self.protected, what="protected header")
        if type(value) is not dict:
            raise Malformed("protected header", "not a map")
        return value


def parse_sign1(data: bytes, *, what: str = "COSE_Sign1") -> Sign1:
    """Read a tagged COSE_Sign1; raises `Malformed`. `format_sign1(parse_sign1(x)) == x`."""
    value = cbor.decode(data, what=what)
    if type(value) is not cbor.Tagged or value.tag != TAG:
        raise Malformed(what, "not tagged as COSE_Sign1 (18)")
    parts = value.value
    if type(parts) is not list or len(parts) != 4:
        raise Malformed(what, "not an array of four")
    protected, unprotected, payload, signature = parts
    if type(protected) is not bytes or type(signature) is not bytes:
        raise Malformed(what, "protected header and signature must be byte strings")
    if type(unprotected) is not dict:
        raise Malformed(what, "unprotected header must be a map")
    if payload is not None and type(payload) is not bytes:
        raise Malformed(what, "payload must be a byte string or nil")
    return Sign1(protected, unprotected, payload, signature)


def format_sign1(sign1: Sign1) -> bytes:
    """The bytes of a tagged COSE_Sign1."""
    return cbor.encode(cbor.Tagged(TAG, [sign1.protected, sign1.unprotected, sign1.payload, sign1.signature]))


def sig_structure(protected: bytes, payload: bytes, external_aad: bytes = b"") -> bytes:
    """The bytes that are signed (RFC 9052 §4.4)."""
    aad = cbor.head(2, len(external_aad)) + external_aad if external_aad else _AAD_NONE
    return b"".join(
        (b"\x84\x6aSignature1", cbor.head(2, len(protected)), protected, aad, cbor.head(2, len(payload)), payload)
    )


def sign(key: PrivateKey, headers: Header, payload: bytes) -> Sign1:
    """Sign `payload` under `headers`, to which the key's algorithm is added."""
    protected = cbor.encode({**headers, ALG: key.algorithm})
    return Sign1(protected, {}, payload, key.sign(sig_structure(protected, payload)))


def check_signature(sign1: Sign1, key: PublicKey, *, payload: bytes | None = None, external_aad: bytes = b"") -> None:
    """Raise `BadSignature` unless `key` signed this; `payload` is given just if it is detached.

    Raises `Malformed` if the protected algorithm is not the key's, if a critical header is marked
    (none is understood here), or if the payload is missing or given twice.
    """
    headers = sign1.headers
    if headers.get(ALG) != key.algorithm or type(headers[ALG]) is not int:
        raise Malformed("alg", f"the protected header says {headers.get(ALG)!r}, the key is for {key.algorithm}")
    if CRIT in headers:
        raise Malformed("crit", "marks headers critical that this verifier does not know")
    content = sign1.payload if payload is None else payload
    if content is None or (sign1.payload is not None and payload is not None):
        raise Malformed("payload", "must be either attached or given, not both or neither")
    key.check(sig_structure(sign1.protected, content, external_aad), sign1.signature)


def scitt_claims(headers: Header) -> Header:
    """The CWT claims of a Signed Statement or Receipt; raises `Malformed`.

    RFC 9943: claims in header 15 hold `iss` and `sub` as text; `kid` is there unless `x5t` or
    `x5chain` is, and then `iss` is a URI.
    """
    claims = headers.get(CWT_CLAIMS)
    if type(claims) is not dict:
        raise Malformed("CWT claims", "missing from the protected header (label 15)")
    for label, name in ((ISS, "iss"), (SUB, "sub")):
        if type(claims.get(label)) is not str or not claims[label]:
            raise Malformed(name, "missing from the CWT claims or not text")
    if X5T in headers or X5CHAIN in headers:
        if ":" not in claims[ISS] or len(claims[ISS]) > 8192:
            raise Malformed("iss", "must be a URI of at most 8192 characters with x5t or x5chain")
    elif type(headers.get(KID)) is not bytes or not headers[KID]:
        raise Malformed("kid", "missing from the protected header and neither x5t nor x5chain is there")
    return claims
