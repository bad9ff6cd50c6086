"""Deterministic CBOR (RFC 8949 §4.2.1) and nothing else.

    encode(value)  ->  the one encoding of `value`
    decode(data)   ->  the value, if `data` is that one encoding; otherwise `Malformed`

so `encode(decode(data)) == data` for all data that `decode` accepts. What is accepted:

| CBOR                          | Python          | refused                                            |
|-------------------------------|-----------------|----------------------------------------------------|
| unsigned, negative integers   | int             | long forms (a bignum is read as the tag it is)     |
| byte and text strings         | bytes, str      | indefinite length, long length forms, bad UTF-8    |
| arrays, maps                  | list, dict      | indefinite length; keys not int or text, unsorted  |
|                               |                 | (bytewise, of their encodings) or twice            |
| tags                          | Tagged          | (each user says which tags it takes)               |
| false, true, null             | False True None | undefined and all other simple values              |
| floats of 16, 32, 64 bits     | float           | any that a shorter float would hold; NaNs but 7e00 |

Depth is limited; lengths are checked against the bytes that are there before anything is made.
Sources: RFC 8949 §3, §4.2.1; the choice of a decoder of our own is argued in docs/design/kernel.md.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from math import isnan
from typing import Any, Final, TypeAlias

from twinproof.errors import Malformed, TooLarge

Value: TypeAlias = Any
"""int, bytes, str, bool, None, float, list[Value], dict[int | str, Value] or Tagged."""

MAX_DEPTH: Final = 16
"""Arrays, maps and tags inside each other; a SenML pack needs 3, a receipt 6."""

_HALF = struct.Struct(">e")
_SINGLE = struct.Struct(">f")
_DOUBLE = struct.Struct(">d")
_NAN = b"\xf9\x7e\x00"


@dataclass(frozen=True, slots=True)
class Tagged:
    """A value under a CBOR tag number (RFC 8949 §3.4)."""

    tag: int
    value: Value


_NESTING: Final = frozenset((list, tuple, dict, Tagged))


class EncodeError(TypeError, ValueError):
    """The program asked to encode something that this subset cannot say."""


# --- encoding -------------------------------------------------------------------------------


def head(major: int, argument: int) -> bytes:
    """The initial bytes of an item: major type 0..7 and its argument in the shortest form."""
    major <<= 5
    if argument < 24:
        return bytes((major | argument,))
    if argument < 0x100:
        return bytes((major | 24, argument))
    if argument < 0x10000:
        return bytes((major | 25,)) + argument.to_bytes(2, "big")
    if argument < 0x100000000:
        return bytes((major | 26,)) + argument.to_bytes(4, "big")
    if argument < 0x10000000000000000:
        return bytes((major | 27,)) + argument.to_bytes(8, "big")
    raise EncodeError(f"{argument} needs more than 64 bits")


def _text(value: str) -> bytes:
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise EncodeError("text holds a lone surrogate, which UTF-8 cannot say") from None


def encode(value: Value) -> bytes:
    """The deterministic encoding of `value`; raises `EncodeError` for what has none here."""
    out: list[bytes] = []
    _encode(value, out.append, 0)
    return b"".join(out)


def _encode(value: Value, put: Any, depth: int) -> None:
    kind = type(value)
    if depth == MAX_DEPTH and kind in _NESTING:
        raise EncodeError(f"nested deeper than {MAX_DEPTH}")
    if kind is int:
        put(head(0, value) if value >= 0 else head(1, -1 - value))
    elif kind is bytes:
        put(head(2, len(value)))
        put(value)
    elif kind is str:
        raw = _text(value)
        put(head(3, len(raw)))
        put(raw)
    elif kind is float:
        put(encode_float(value))
    elif kind is list or kind is tuple:
        put(head(4, len(value)))
        for item in value:
            _encode(item, put, depth + 1)
    elif kind is dict:
        put(head(5, len(value)))
        for key, item in sorted(((_encode_key(key), item) for key, item in value.items()), key=_first):
            put(key)
            _encode(item, put, depth + 1)
    elif kind is bool:
        put(b"\xf5" if value else b"\xf4")
    elif value is None:
        put(b"\xf6")
    elif kind is Tagged:
        if value.tag < 0:
            raise EncodeError(f"{value.tag} is no tag number")
        put(head(6, value.tag))
        _encode(value.value, put, depth + 1)
    else:
        raise EncodeError(f"no CBOR for {kind.__name__}")


def _first(pair: tuple[bytes, Value]) -> bytes:
    return pair[0]


def _encode_key(key: int | str) -> bytes:
    if type(key) is int:
        return head(0, key) if key >= 0 else head(1, -1 - key)
    if type(key) is str:
        raw = _text(key)
        return head(3, len(raw)) + raw
    raise EncodeError(f"a map key must be int or text, not {type(key).__name__}")


def encode_float(value: float) -> bytes:
    """The shortest of half, single and double precision that holds `value` exactly."""
    if isnan(value):
        return _NAN
    try:
        half = _HALF.pack(value)
        if _HALF.unpack(half)[0] == value:
            return b"\xf9" + half
    except OverflowError:
        pass
    try:
        single = _SINGLE.pack(value)
        if _SINGLE.unpack(single)[0] == value:
            return b"\xfa" + single
    except OverflowError:
        pass
    return b"\xfb" + _DOUBLE.pack(value)


# --- decoding -------------------------------------------------------------------------------


def decode(data: bytes, *, what: str = "CBOR", max_depth: int = MAX_DEPTH) -> Value:
    """The value that `data` encodes.

    `what` names the input in errors. Raises `Malformed` (`TooLarge` for nesting over `max_depth`)
    with the byte offset and the rule that was broken.
    """
    try:
        value, end = _decode(data, 0, max_depth)
    except _Refused as refusal:
        error = TooLarge if refusal.too_deep else Malformed
        raise error(what, f"{refusal.reason} at byte {refusal.offset}") from None
    except IndexError:
        raise Malformed(what, "ends in the middle of an item") from None
    if end != len(data):
        raise Malformed(what, f"{len(data) - end} bytes after the item")
    return value


def decode_sequence(data: bytes, *, what: str = "CBOR sequence", limit: int) -> list[bytes]:
    """Split a CBOR sequence (RFC 8742) into the encodings of its items.

    The items' heads and lengths are checked; text, key order, floats and depth are left to `decode`
    of each item. Raises `Malformed`, `TooLarge` for more than `limit` items.
    """
    items: list[bytes] = []
    start = 0
    while start < len(data):
        if len(items) == limit:
            raise TooLarge(what, f"more than {limit} items")
        try:
            end = skip(data, start)
        except _Refused as refusal:
            raise Malformed(what, f"item {len(items)}: {refusal.reason} at byte {refusal.offset}") from None
        except IndexError:
            raise Malformed(what, f"item {len(items)} ends in the middle") from None
        items.append(data[start:end])
        start = end
    return items


class _Refused(Exception):
    def __init__(self, reason: str, offset: int, *, too_deep: bool = False) -> None:
        self.reason = reason
        self.offset = offset
        self.too_deep = too_deep


def _argument(data: bytes, at: int, low: int) -> tuple[int, int]:
    """The argument of the item at `at` whose low five bits are `low` >= 24, and where it ends."""
    if low > 27:
        raise _Refused("indefinite length or reserved form", at)
    size = 1 << (low - 24)
    end = at + 1 + size
    raw = data[at + 1 : end]
    if len(raw) != size:
        raise IndexError
    value = int.from_bytes(raw, "big")
    if value < (24 if size == 1 else 1 << (size * 4)):
        raise _Refused("not the shortest form", at)
    return value, end


_SIMPLE_SIZES = {20: 1, 21: 1, 22: 1, 25: 3, 26: 5, 27: 9}
"""Bytes of false, true, null and the floats, by the low bits of their head."""


def skip(data: bytes, at: int, *, most: int | None = None) -> int:
    """Where the item at `at` ends, by its heads alone: the same end as `decode`'s where that accepts it.

    With `most`, no further than so many items inside each other and beside each other.
    """
    left = 1
    seen = 0
    while left:
        left -= 1
        seen += 1
        if most is not None and seen > most:
            raise _Refused(f"more than {most} items", at)
        first = data[at]
        major, low = first >> 5, first & 31
        if major == 7:
            size = _SIMPLE_SIZES.get(low)
            if size is None:
                raise _Refused("simple value or break that is not accepted", at)
            at += size
        else:
            argument, start = (low, at + 1) if low < 24 else _argument(data, at, low)
            if major in (2, 3):
                at = start + argument
            else:
                at = start
                left += (0, 0, 0, 0, argument, 2 * argument, 1)[major]
        if at + left > len(data):
            raise IndexError
    return at


def require_few(data: bytes, most: int, *, what: str) -> None:
    """Refuse, before anything is made of it, an item that holds more than `most` items; raises `TooLarge`.

    A byte can be an item, and an item in Python takes fifty times as much memory. Anything else that is
    wrong with `data` is left for `decode` to say.
    """
    try:
        skip(data, 0, most=most)
    except _Refused as refusal:
        if refusal.reason.startswith("more than"):
            raise TooLarge(what, f"{refusal.reason} at byte {refusal.offset}") from None
    except IndexError:
        pass


def _decode(data: bytes, at: int, depth: int) -> tuple[Value, int]:
    first = data[at]
    low = first & 31
    if first < 0xE0:
        if low < 24:
            argument, start = low, at + 1
        elif low == 24 and (argument := data[at + 1]) > 23:
            start = at + 2
        else:
            argument, start = _argument(data, at, low)
        major = first >> 5
        if major == 3 or major == 2:
            end = start + argument
            raw = data[start:end]
            if len(raw) != argument:
                raise IndexError
            if major == 2:
                return raw, end
            try:
                return raw.decode(), end
            except UnicodeDecodeError:
                raise _Refused("text is not UTF-8", at) from None
        if major == 0:
            return argument, start
        if major == 1:
            return -1 - argument, start
        if not depth:
            raise _Refused("nested too deep", at, too_deep=True)
        if major == 4:
            if argument > len(data) - start:
                raise IndexError
            items = []
            for _ in range(argument):
                first = data[start]
                if 0xA0 <= first < 0xB8 and depth > 1:  # a short map: a SenML record
                    item, start = _decode_map(data, start + 1, first - 0xA0, depth - 2)
                else:
                    item, start = _decode(data, start, depth - 1)
                items.append(item)
            return items, start
        if major == 5:
            return _decode_map(data, start, argument, depth - 1)
        value, end = _decode(data, start, depth - 1)
        return Tagged(argument, value), end
    if first == 0xFB or first == 0xFA or first == 0xF9:
        return _decode_float(data, at, first)
    if first == 0xF6:
        return None, at + 1
    if first == 0xF5:
        return True, at + 1
    if first == 0xF4:
        return False, at + 1
    raise _Refused("simple value or break that is not accepted", at)


def _decode_map(data: bytes, at: int, pairs: int, depth: int) -> tuple[dict[int | str, Value], int]:
    size = len(data)
    if 2 * pairs > size - at:
        raise IndexError
    result: dict[int | str, Value] = {}
    last = -1  # initial byte of the previous key
    previous = b""  # its encoding
    for _ in range(pairs):
        key_at = at
        first = data[at]
        key: int | str | None = _SHORT_INTEGERS[first]
        if key is not None:
            # One byte is the whole key, so a different initial byte alone decides the order.
            if first <= last:
                raise _Refused("map key is repeated or out of order", at)
            at += 1
        else:
            if first >> 5 not in (0, 1, 3):
                raise _Refused("map key is neither integer nor text", at)
            key, at = _decode(data, at, depth)
            if first < last or (first == last and data[key_at:at] <= previous):
                raise _Refused("map key is repeated or out of order", key_at)
            previous = data[key_at:at]
        last = first
        # The values of readings are mostly doubles, short texts and small integers: no call for those.
        first = data[at]
        if first == 0xFB and at + 9 <= size and data[at + 8]:
            value = _unpack_double(data, at + 1)[0]
            if value != value:
                raise _Refused("NaN is not the canonical one", at)
            result[key] = value
            at += 9
        elif 0x60 <= first < 0x78 and (end := at + first - 0x5F) <= size:
            try:
                result[key] = data[at + 1 : end].decode()
            except UnicodeDecodeError:
                raise _Refused("text is not UTF-8", at) from None
            at = end
        elif first == 0x18 and (integer := data[at + 1]) > 23:
            result[key] = integer
            at += 2
        else:
            result[key], at = _decode(data, at, depth)
    return result, at


_SHORT_INTEGERS: Final = tuple(
    first if first < 24 else 31 - first if 32 <= first < 56 else None for first in range(256)
)
"""By its initial byte, the integer that this byte is: 0..23 and -1..-24."""

_unpack_double = _DOUBLE.unpack_from

_FLOATS = {0xF9: (_HALF, 2), 0xFA: (_SINGLE, 4), 0xFB: (_DOUBLE, 8)}


def _decode_float(data: bytes, at: int, first: int) -> tuple[float, int]:
    form, size = _FLOATS[first]
    end = at + 1 + size
    if end > len(data):
        raise IndexError
    value: float = form.unpack_from(data, at + 1)[0]
    if value != value:
        if data[at:end] == _NAN:
            return value, end
        raise _Refused("NaN is not the canonical one", at)
    # A double whose lowest mantissa byte is set fits no shorter form: the common case, decided without packing.
    if size == 2 or (size == 8 and data[end - 1]) or len(encode_float(value)) == size + 1:
        return value, end
    raise _Refused("float is not in its shortest form", at)
