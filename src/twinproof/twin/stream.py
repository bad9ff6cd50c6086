"""Streams: the statements of one issuer about one twin, numbered without gaps and chained.

A position key is `SHA-256(sub)[:16] || SHA-256(iss)[:16] || seq (8 bytes, big-endian)`: the log
orders by it, so one range scan finds a twin's statements, a stream's, or the head of a stream.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Final

from twinproof.errors import ChainBroken, Gap
from twinproof.proof.keys import PrivateKey
from twinproof.twin.statement import Statement, parse_statement, sign_statement

NAME_SIZE: Final = 16
"""Bytes of a hashed name: an accidental or forged collision costs 2^64 work and is refused, not merged."""
POSITION_SIZE: Final = 2 * NAME_SIZE + 8


@dataclass(frozen=True, slots=True)
class StreamHead:
    """The last statement of a stream."""

    seq: int
    digest: bytes


@lru_cache(maxsize=1 << 16)
def _hashed(name: str) -> bytes:
    return sha256(name.encode()).digest()[:NAME_SIZE]


def twin_prefix(subject: str) -> bytes:
    """The position keys of a twin's statements begin with these 16 bytes."""
    return _hashed(subject)


def stream_prefix(issuer: str, subject: str) -> bytes:
    """The position keys of a stream begin with these 32 bytes."""
    return _hashed(subject) + _hashed(issuer)


def position(statement: Statement) -> bytes:
    """The 40-byte position key of a statement."""
    return stream_prefix(statement.issuer, statement.subject) + statement.seq.to_bytes(8, "big")


def position_of(raw: bytes) -> bytes:
    """The position key of a statement's logged bytes; raises `Malformed`."""
    return position(parse_statement(raw))


def next_seq(head: StreamHead | None) -> int:
    """The number that a stream waits for."""
    return 0 if head is None else head.seq + 1


def check_next(head: StreamHead | None, statement: Statement) -> StreamHead:
    """The stream's head after `statement`, which must be the next one.

    Raises `Gap` if its number is beyond (or, with `expected` above it, before) the next one and
    `ChainBroken` if `prev` is not the digest of the head.
    """
    expected = next_seq(head)
    if statement.seq != expected:
        relation = "skips" if statement.seq > expected else "repeats"
        raise Gap(
            f"seq {statement.seq} {relation} numbers of {statement.issuer}'s stream about {statement.subject}: "
            f"the next one is {expected}",
            expected,
        )
    if head is not None and statement.prev != head.digest:
        raise ChainBroken(
            f"prev of seq {statement.seq} is not the SHA-256 of seq {head.seq} in {statement.issuer}'s stream "
            f"about {statement.subject}"
        )
    return StreamHead(statement.seq, statement.digest)


def sign_next(
    head: StreamHead | None,
    key: PrivateKey,
    *,
    issuer: str,
    subject: str,
    content_type: str,
    payload: bytes,
    issued_at: int,
) -> bytes:
    """The bytes of the statement that follows `head`, None for the first; raises as `sign_statement` does."""
    return sign_statement(
        key,
        issuer=issuer,
        subject=subject,
        content_type=content_type,
        payload=payload,
        seq=next_seq(head),
        prev=None if head is None else head.digest,
        issued_at=issued_at,
    )
