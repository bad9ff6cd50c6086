"""A statement: one signed claim by a signer about a twin. Normative page: spec/statement.md.

    18([ << {1: alg, 3: content type, 4: kid, 15: {1: iss, 2: sub, 6: iat},
             -70001: seq, -70002: prev} >>,
         {},                                    empty in the log
         payload,
         signature ])

A COSE_Sign1 and a SCITT Signed Statement (RFC 9943) in deterministic CBOR. `iss` names the signer,
`sub` the twin, `kid` is the thumbprint (RFC 9679) of the key. `seq` numbers the stream (iss, sub)
from 0 without gaps; `prev` is the SHA-256 of the stream's previous statement, absent at 0.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Final, NamedTuple

from twinproof.errors import Malformed, TooLarge
from twinproof.proof import cose
from twinproof.proof.keys import ALGORITHM_NAMES, SIGNATURE_SIZE, PrivateKey, PublicKey

SEQ: Final = -70001
"""Header: place in the stream. Private-use label (RFC 9052 §11.1)."""
PREV: Final = -70002
"""Header: SHA-256 of the stream's previous statement."""

MAX_STATEMENT: Final = 60 * 1024
"""Bytes; a tlog-tiles entry bundle holds entries below 64 KiB."""
MAX_IRI: Final = 512
MAX_TIME: Final = 1 << 53
"""POSIX seconds; every integer below is also a float64."""
MAX_SEQ: Final = 1 << 63
DIGEST_SIZE: Final = 32

HIDDEN: Final = (
    r"\x00-\x1f\x7f-\xa0\xad\u061c\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000"
    r"\ud800-\uf8ff\ufdd0-\ufdef\ufeff\ufff0-\uffff\U000e0000-\U0010ffff"
)
"""What no name may hold, as a class of regular expressions: controls, spaces but U+0020, invisible and
bidirectional formatting, private use, noncharacters. Spelled out, because Unicode's own categories
change from version to version, and two verifiers must agree."""

_IRI_PART = rf"[^{HIDDEN} <>\"{{}}|\\^`%]*"
_IRI = re.compile(rf"[A-Za-z][A-Za-z0-9+.\-]*:(?!\Z){_IRI_PART}(?:%[0-9A-Fa-f]{{2}}{_IRI_PART})*\Z")
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+\-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+\-]{0,126}\Z")
_HEADERS: Final[dict[int | str, str]] = {
    cose.ALG: "alg",
    cose.CONTENT_TYPE: "content type",
    cose.KID: "kid",
    cose.CWT_CLAIMS: "CWT claims",
    SEQ: "seq",
    PREV: "prev",
}
_CLAIMS: Final[dict[int | str, str]] = {cose.ISS: "iss", cose.SUB: "sub", cose.IAT: "iat"}


def check_iri(text: object, field: str) -> str:
    """Return `text` if it is an IRI with a scheme (RFC 3987) of at most `MAX_IRI` characters.

    Nothing is normalised: two IRIs are the same if their characters are.
    """
    if type(text) is not str:
        raise Malformed(field, "not text")
    if len(text) > MAX_IRI:
        raise TooLarge(field, f"longer than {MAX_IRI} characters")
    if not _IRI.match(text):
        raise Malformed(field, "not an IRI with a scheme, such as urn:… or https://…")
    return text


def check_media_type(text: object, field: str) -> str:
    """Return `text` if it is a media type (RFC 6838 §4.2) in lower case and without parameters."""
    if type(text) is not str or not _MEDIA_TYPE.match(text):
        raise Malformed(field, "not a lower-case media type without parameters")
    return text


def shown(value: object) -> str:
    """`value` for a message: untrusted values can be long."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"


class Statement(NamedTuple):
    """A parsed statement, not verified until `check_statement`. A tuple, because intake makes thousands a second."""

    raw: bytes
    """The bytes that are logged."""
    protected: bytes
    payload: bytes
    signature: bytes
    algorithm: int
    content_type: str
    kid: bytes
    issuer: str
    subject: str
    issued_at: int
    """The signer's clock, POSIX seconds."""
    seq: int
    prev: bytes | None

    @property
    def digest(self) -> bytes:
        """SHA-256 of the logged bytes: what the next statement's `prev` and a grant's `via` name."""
        return sha256(self.raw).digest()


def sign_statement(
    key: PrivateKey,
    *,
    issuer: str,
    subject: str,
    content_type: str,
    payload: bytes,
    seq: int,
    prev: bytes | None,
    issued_at: int,
) -> bytes:
    """The bytes of a new statement. Raises what `parse_statement` would raise for them."""
    headers: cose.Header = {
        cose.CONTENT_TYPE: content_type,
        cose.KID: key.public.thumbprint,
        cose.CWT_CLAIMS: {cose.ISS: issuer, cose.SUB: subject, cose.IAT: issued_at},
        SEQ: seq,
    }
    if prev is not None:
        headers[PREV] = prev
    raw = cose.format_sign1(cose.sign(key, headers, payload))
    parse_statement(raw)
    return raw


def parse_statement(raw: bytes) -> Statement:
    """Read logged bytes; raises `Malformed` naming the field that breaks spec/statement.md."""
    if len(raw) > MAX_STATEMENT:
        raise TooLarge("statement", f"{len(raw)} bytes, the limit is {MAX_STATEMENT}")
    sign1 = cose.parse_sign1(raw, what="statement")
    if sign1.unprotected:
        raise Malformed("unprotected header", "must be empty in a logged statement")
    if sign1.payload is None:
        raise Malformed("payload", "must be attached")
    if len(sign1.signature) != SIGNATURE_SIZE:
        raise Malformed("signature", f"has {len(sign1.signature)} bytes, not {SIGNATURE_SIZE}")
    headers = sign1.headers
    _check_labels(headers, _HEADERS, "protected header")
    seq = headers[SEQ]
    if type(seq) is not int or not 0 <= seq < MAX_SEQ:
        raise Malformed("seq", f"header {SEQ} must be a number from 0 to 2^63-1")
    prev = headers.get(PREV)
    if not seq and PREV in headers:
        raise Malformed("prev", f"header {PREV} must be absent at seq 0")
    if seq and (type(prev) is not bytes or len(prev) != DIGEST_SIZE):
        raise Malformed("prev", f"header {PREV} must be {DIGEST_SIZE} bytes: the SHA-256 of the statement before")
    algorithm = headers[cose.ALG]
    if type(algorithm) is not int or algorithm not in ALGORITHM_NAMES:
        raise Malformed("alg", f"{shown(algorithm)} is neither EdDSA (-8) nor ES256 (-7)")
    content_type = check_media_type(headers[cose.CONTENT_TYPE], "content type")
    kid = headers[cose.KID]
    if type(kid) is not bytes or len(kid) != DIGEST_SIZE:
        raise Malformed("kid", "not a SHA-256 key thumbprint (RFC 9679)")
    claims = headers[cose.CWT_CLAIMS]
    if type(claims) is not dict:
        raise Malformed("CWT claims", "not a map")
    _check_labels(claims, _CLAIMS, "CWT claims")
    issued_at = claims[cose.IAT]
    if type(issued_at) is not int or not 0 < issued_at < MAX_TIME:
        raise Malformed("iat", "not a whole number of POSIX seconds")
    return Statement(
        raw=raw,
        protected=sign1.protected,
        payload=sign1.payload,
        signature=sign1.signature,
        algorithm=algorithm,
        content_type=content_type,
        kid=kid,
        issuer=check_iri(claims[cose.ISS], "iss"),
        subject=check_iri(claims[cose.SUB], "sub"),
        issued_at=issued_at,
        seq=seq,
        prev=prev,
    )


def _check_labels(found: cose.Header, names: dict[int | str, str], field: str) -> None:
    """All labels in `names` are there, but for `prev`, which `seq` decides on; and no other."""
    for label, name in names.items():
        if label not in found and name != "prev":
            raise Malformed(name, f"missing from the {field} (label {label})")
    for label in found:
        if label not in names:
            raise Malformed(field, f"has the unknown label {shown(label)}")


def signing_input(statement: Statement) -> bytes:
    """The bytes under the signature (RFC 9052 §4.4)."""
    return cose.sig_structure(statement.protected, statement.payload)


def check_statement(statement: Statement, key: PublicKey) -> None:
    """Raise `BadSignature` unless `key`, the one that `kid` names, signed this statement.

    Raises `Malformed` if `kid` names another key or `alg` is not the key's.
    """
    if key.thumbprint != statement.kid:
        raise Malformed("kid", f"names another key: {statement.kid.hex()}, not {key.thumbprint.hex()}")
    if key.algorithm != statement.algorithm:
        raise Malformed("alg", f"{statement.algorithm} is not the algorithm of the key that kid names")
    key.check(signing_input(statement), statement.signature)
