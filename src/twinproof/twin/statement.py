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
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Final

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

_IRI = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[^\x00-\x20\x7f<>\"{}|\\^`\s]+\Z")
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+\-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+\-]{0,126}\Z")
_HEADERS: Final = frozenset({cose.ALG, cose.CONTENT_TYPE, cose.KID, cose.CWT_CLAIMS, SEQ, PREV})
_FIRST_HEADERS: Final = _HEADERS - {PREV}
_CLAIMS: Final = frozenset({cose.ISS, cose.SUB, cose.IAT})


def check_iri(text: object, field: str) -> str:
    """Return `text` if it is an IRI with a scheme (RFC 3987) of at most `MAX_IRI` characters."""
    if type(text) is not str:
        raise Malformed(field, "not text")
    if len(text) > MAX_IRI:
        raise TooLarge(field, f"longer than {MAX_IRI} characters")
    if not _IRI.match(text):
        raise Malformed(field, "not an IRI with a scheme, such as urn:… or https://…")
    return text


@dataclass(frozen=True)
class Statement:
    """A parsed statement. Nothing is verified until `check_statement`."""

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

    @cached_property
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
    seq = headers.get(SEQ)
    if type(seq) is not int or not 0 <= seq < MAX_SEQ:
        raise Malformed("seq", f"header {SEQ} must be a number from 0 to 2^63-1")
    _check_labels(headers, _HEADERS if seq else _FIRST_HEADERS, "protected header")
    prev = headers.get(PREV)
    if seq and (type(prev) is not bytes or len(prev) != DIGEST_SIZE):
        raise Malformed("prev", f"header {PREV} must be {DIGEST_SIZE} bytes")
    if headers[cose.ALG] not in ALGORITHM_NAMES or type(headers[cose.ALG]) is not int:
        raise Malformed("alg", f"{headers[cose.ALG]!r} is neither EdDSA (-8) nor ES256 (-7)")
    content_type = headers[cose.CONTENT_TYPE]
    if type(content_type) is not str or not _MEDIA_TYPE.match(content_type):
        raise Malformed("content type", "not a lower-case media type without parameters")
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
        algorithm=headers[cose.ALG],
        content_type=content_type,
        kid=kid,
        issuer=check_iri(claims[cose.ISS], "iss"),
        subject=check_iri(claims[cose.SUB], "sub"),
        issued_at=issued_at,
        seq=seq,
        prev=prev,
    )


def _check_labels(found: cose.Header, wanted: frozenset[int], field: str) -> None:
    if found.keys() != wanted:
        missing = ", ".join(str(label) for label in sorted(wanted - found.keys()))
        extra = ", ".join(repr(label) for label in found if label not in wanted)
        raise Malformed(
            field,
            "; ".join(filter(None, [missing and f"lacks {missing}", extra and f"has unknown or misplaced {extra}"])),
        )


def signing_input(statement: Statement) -> bytes:
    """The bytes under the signature (RFC 9052 §4.4)."""
    return cose.sig_structure(statement.protected, statement.payload)


def check_statement(statement: Statement, key: PublicKey) -> None:
    """Raise `BadSignature` unless `key`, the one that `kid` names, signed this statement."""
    if key.thumbprint != statement.kid or key.algorithm != statement.algorithm:
        raise Malformed("kid", "names another key")
    key.check(signing_input(statement), statement.signature)
