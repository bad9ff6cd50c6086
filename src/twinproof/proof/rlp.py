"""Recursive Length Prefix, Ethereum's encoding of byte strings and lists; strict.

    dog = 83646f67        [dog, [], 0x0400] = c8 83646f67 c0 820400        "" = 80        0x05 = 05

Each value has one encoding: the shortest length, a single byte below 0x80 as itself. Everything else is refused.
Numbers are big-endian strings without leading zeros; 0 is the empty string. Source: Yellow Paper, appendix B.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from twinproof.errors import Malformed

Item: TypeAlias = "bytes | list[Item]"

MAX_DEPTH: Final = 8
"""Lists inside each other; transactions and receipts have four."""
MAX_INT: Final = 1 << 64
"""Numbers that are read lie below it."""


def encode(item: Item) -> bytes:
    """The one encoding of `item`."""
    if isinstance(item, bytes):
        return item if len(item) == 1 and item[0] < 0x80 else _length(0x80, len(item)) + item
    body = b"".join(map(encode, item))
    return _length(0xC0, len(body)) + body


def encode_int(number: int) -> bytes:
    """The encoding of a number that is not negative."""
    return encode(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def _length(offset: int, size: int) -> bytes:
    if size <= 55:
        return bytes((offset + size,))
    digits = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((offset + 55 + len(digits),)) + digits


def decode(data: bytes, what: str) -> Item:
    """The value of all of `data`; raises `Malformed` naming `what`. `encode(decode(x)) == x`."""
    item, end = _read(data, 0, len(data), MAX_DEPTH, what)
    if end != len(data):
        raise Malformed(what, f"{len(data) - end} bytes after the end")
    return item


def _read(data: bytes, at: int, end: int, depth: int, what: str) -> tuple[Item, int]:
    if at >= end:
        raise Malformed(what, "ends early")
    first = data[at]
    start = at + 1
    if first < 0x80:
        return data[at:start], start
    size = first & 0x3F
    if size > 55:
        digits = data[start : start + size - 55]
        start += size - 55
        size = int.from_bytes(digits, "big")
        if start > end or digits[0] == 0 or size <= 55:
            raise Malformed(what, "a length that is cut off or not the shortest")
    stop = start + size
    if stop > end:
        raise Malformed(what, "a length beyond the end")
    if first < 0xC0:
        if size == 1 and data[start] < 0x80:
            raise Malformed(what, "a byte below 128 that does not stand for itself")
        return data[start:stop], stop
    if not depth:
        raise Malformed(what, f"more than {MAX_DEPTH} lists inside each other")
    items: list[Item] = []
    while start < stop:
        item, start = _read(data, start, stop, depth - 1, what)
        items.append(item)
    return items, stop


# --- what a value must be ---------------------------------------------------------------------


def as_list(item: Item, field: str, low: int, high: int) -> list[Item]:
    """A list of `low` to `high` items; raises `Malformed`."""
    if not isinstance(item, list) or not low <= len(item) <= high:
        raise Malformed(field, f"not a list of {low}" + (f" to {high}" if high > low else ""))
    return item


def as_bytes(item: Item, field: str, size: int) -> bytes:
    """A string of `size` bytes; raises `Malformed`."""
    if not isinstance(item, bytes) or len(item) != size:
        raise Malformed(field, f"not a string of {size} bytes")
    return item


def as_int(item: Item, field: str) -> int:
    """A number below 2^64; raises `Malformed`."""
    if not isinstance(item, bytes) or item[:1] == b"\0" or len(item) > 8:
        raise Malformed(field, "not a number below 2^64 without leading zeros")
    return int.from_bytes(item, "big")
