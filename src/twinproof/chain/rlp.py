"""Recursive Length Prefix (Ethereum yellow paper, appendix B), strict: one encoding for each value.

Own, because a command that only reads a chain should not wait for a third of a second until a library is imported,
and because a decoder of untrusted bytes must refuse everything that is not canonical.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

from twinproof.errors import Malformed

Item: TypeAlias = "bytes | Sequence[Item]"
MAX_DEPTH: Final = 16
"""Lists within lists; an access list in a transaction needs 4."""


def encode(value: Item) -> bytes:
    """The bytes of a byte string or of a list."""
    if isinstance(value, bytes):
        if len(value) == 1 and value[0] < 0x80:
            return value
        return _prefix(0x80, len(value)) + value
    body = b"".join(map(encode, value))
    return _prefix(0xC0, len(body)) + body


def list_prefix(size: int) -> bytes:
    """What stands before a list whose members take `size` bytes."""
    return _prefix(0xC0, size)


def _prefix(base: int, size: int) -> bytes:
    if size < 56:
        return bytes((base + size,))
    length = integer(size)
    return bytes((base + 55 + len(length),)) + length


def integer(value: int) -> bytes:
    """A scalar: big-endian without leading zeros."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def decode(data: bytes, field: str = "rlp") -> bytes | list[Item]:
    """The one value in `data`; lists are lists. Raises `Malformed`."""
    value, end = _read(data, 0, len(data), field, 0)
    if end != len(data):
        raise Malformed(field, f"{len(data) - end} bytes stand behind the RLP value")
    return value


def _read(data: bytes, at: int, end: int, field: str, depth: int) -> tuple[bytes | list[Item], int]:
    if at >= end:
        raise Malformed(field, "RLP is cut short")
    first = data[at]
    if first < 0x80:
        return data[at : at + 1], at + 1
    start, size = _extent(data, at, end, field)
    stop = start + size
    if stop > end:
        raise Malformed(field, "RLP is cut short")
    if first < 0xC0:
        if size == 1 and data[start] < 0x80:
            raise Malformed(field, "RLP wraps a byte that stands for itself")
        return data[start:stop], stop
    if depth == MAX_DEPTH:
        raise Malformed(field, f"RLP lists are nested more than {MAX_DEPTH} deep")
    values: list[Item] = []
    while start < stop:
        value, start = _read(data, start, stop, field, depth + 1)
        values.append(value)
    return values, stop


def _extent(data: bytes, at: int, end: int, field: str) -> tuple[int, int]:
    """Where the content starts and how long it is."""
    short = data[at] - (0x80 if data[at] < 0xC0 else 0xC0)
    if short < 56:
        return at + 1, short
    width = short - 55
    if at + 1 + width > end:
        raise Malformed(field, "RLP is cut short")
    size = int.from_bytes(data[at + 1 : at + 1 + width], "big")
    if size < 56 or data[at + 1] == 0:
        raise Malformed(field, "an RLP length is not in its shortest form")
    return at + 1 + width, size


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
