"""What chains read and write in RLP: `proof.rlp` with defaults, and values by their kind (Yellow Paper, appendix B)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias, cast

from twinproof.errors import Malformed
from twinproof.proof import rlp

Item: TypeAlias = "bytes | Sequence[Item]"


def encode(value: Item) -> bytes:
    """The bytes of a byte string, or of a list or tuple."""
    return rlp.encode(cast(rlp.Item, value))


def decode(data: bytes, field: str = "rlp") -> bytes | list[Item]:
    """The one value in `data`; lists are lists, at most `proof.rlp.MAX_DEPTH` deep. Raises `Malformed`."""
    return cast("bytes | list[Item]", rlp.decode(data, field))


def list_size(body: int) -> int:
    """Bytes of a list whose members take `body` bytes."""
    return body + 1 + (len(integer(body)) if body > 55 else 0)


def integer(value: int) -> bytes:
    """A scalar: big-endian without leading zeros."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def to_bytes(item: Item, field: str, size: int | None = None) -> bytes:
    """A byte string, of `size` bytes if given; raises `Malformed`."""
    if not isinstance(item, bytes):
        raise Malformed(field, "must be a byte string, not a list")
    if size is not None and len(item) != size:
        raise Malformed(field, f"must have {size} bytes, not {len(item)}")
    return item


def to_integer(item: Item, field: str, bits: int = 256) -> int:
    """A scalar below 2^bits; raises `Malformed`."""
    raw = to_bytes(item, field)
    if raw[:1] == b"\0":
        raise Malformed(field, "a number has leading zeros")
    if len(raw) * 8 > bits:
        raise Malformed(field, f"must be below 2^{bits}")
    return int.from_bytes(raw, "big")


def to_list(item: Item, field: str, length: int | None = None) -> Sequence[Item]:
    """A list, of `length` members if given; raises `Malformed`."""
    if isinstance(item, bytes):
        raise Malformed(field, "must be a list, not a byte string")
    if length is not None and len(item) != length:
        raise Malformed(field, f"must have {length} members, not {len(item)}")
    return item
