"""RLP for whole transactions, blocks and states: `proof.rlp`, and numbers of up to 256 bits.

Our own strict codec, because a command that only reads a chain should not wait for a third of a second until a
library is imported, and because a decoder of untrusted bytes must refuse everything that is not canonical.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from twinproof.errors import Malformed
from twinproof.proof import rlp as strict

Item: TypeAlias = "bytes | Sequence[Item]"


def encode(value: Item) -> bytes:
    """The bytes of a byte string or of a list."""
    plain: Any = value  # any sequence will do for a list
    return strict.encode(plain)


def integer(value: int) -> bytes:
    """A scalar: big-endian without leading zeros."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def list_prefix(size: int) -> bytes:
    """What stands before a list whose members take `size` bytes."""
    if size < 56:
        return bytes((0xC0 + size,))
    length = integer(size)
    return bytes((0xF7 + len(length),)) + length


def decode(data: bytes, field: str = "rlp") -> Item:
    """The one value in `data`; lists are lists. Raises `Malformed`."""
    return strict.decode(data, field)


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
