"""Sparkplug B payloads on the wire: the protocol buffers of the Sparkplug specification, Appendix A.

    08 b8 d0 95 ff bc 31          1 timestamp  1700000000056 ms
    12 10                         2 metrics    one, of 16 bytes
       0a 05 53 70 65 65 64       1 name       "Speed"
       10 07                      2 alias      7
       20 09                      4 datatype   9 (Float)
       65 00 00 b9 44             12 float     1480.0
    18 00                         3 seq        0

A thin codec of our own, so that no generated code and no pinned runtime come in. Stricter than
protocol buffers ask: a field that may occur once occurs once, a value is given once, booleans are 0
or 1, text is UTF-8, and a known field has its own wire type. Fields that are not known are passed
over, as the extension ranges of the specification want it. What a value *means* depends on its
datatype, which data messages leave out: see `datatypes`.
"""

from __future__ import annotations

import struct
from typing import Any, Final

from twinproof.edge.sparkplug.messages import FIXED32, FIXED64, LENGTH, SHAPES, VARINT, WIRE, Field, Payload, Variant
from twinproof.errors import Malformed, TooLarge

MAX_PAYLOAD: Final = 4 * 1024 * 1024
"""Bytes of one message."""
MAX_PARTS: Final = 100_000
"""Metrics, rows, cells, properties and column names of one message, together."""
MAX_DEPTH: Final = 16
"""Templates and property sets hold each other."""


# --- reading --------------------------------------------------------------------------------


def parse_payload(data: bytes) -> Payload:
    """Read one message; raises `Malformed` (`TooLarge` for a limit) that names the field."""
    if len(data) > MAX_PAYLOAD:
        raise TooLarge("Payload", f"{len(data)} bytes; at most {MAX_PAYLOAD}")
    payload = _Reader(data).message("Payload", 0, len(data), 0)
    assert isinstance(payload, Payload)  # noqa: S101 - what the table says
    return payload


class _Reader:
    """Walks over one message's bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._parts = 0

    def message(self, shape: str, start: int, end: int, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise TooLarge(shape, f"nested more than {MAX_DEPTH} deep")
        made, fields = SHAPES[shape]
        values: dict[str, Any] = {}
        self._at = start
        while self._at < end:
            key = self._varint(end, shape)
            number, wire = key >> 3, key & 7
            field = fields.get(number)
            where = f"{shape}.{field.name if field else number}"
            if number == 0:
                raise Malformed(shape, "a field has the number 0")
            if field is None:
                self._skip(wire, end, where)
            elif field.repeated:
                self._repeated(field, wire, end, depth, where, values.setdefault(field.name, []))
            elif field.name in values:
                raise Malformed(where, "is given twice")
            else:
                value = self._value(field, wire, end, depth, where)
                values[field.name] = Variant(field.variant, value) if field.variant else value
        return made(**{name: tuple(value) if type(value) is list else value for name, value in values.items()})

    def _repeated(self, field: Field, wire: int, end: int, depth: int, where: str, found: list[Any]) -> None:
        if wire == LENGTH and field.kind == "uint32":  # packed, which every reader must take too
            stop = self._length(end, where)
            while self._at < stop:
                self._count()
                found.append(self._value(field, VARINT, stop, depth, where))
            return
        self._count()
        found.append(self._value(field, wire, end, depth, where))

    def _count(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise TooLarge("Payload", f"more than {MAX_PARTS} metrics, rows and the like")

    def _value(self, field: Field, wire: int, end: int, depth: int, where: str) -> Any:
        kind = field.kind
        if wire != WIRE.get(kind, LENGTH):
            raise Malformed(where, f"has wire type {wire}; a {kind} has not")
        if wire == VARINT:
            return _integer(kind, self._varint(end, where), where)
        if wire == FIXED32:
            return struct.unpack_from("<f", self._data, self._take(4, end, where))[0]
        if wire == FIXED64:
            return struct.unpack_from("<d", self._data, self._take(8, end, where))[0]
        stop = self._length(end, where)
        start, self._at = self._at, stop
        if kind in SHAPES:
            value = self.message(kind, start, stop, depth + 1)
            self._at = stop
            return value
        content = self._data[start:stop]
        if kind == "bytes":
            return content
        try:
            return content.decode()
        except UnicodeDecodeError:
            raise Malformed(where, "is not UTF-8") from None

    def _skip(self, wire: int, end: int, where: str) -> None:
        if wire == VARINT:
            self._varint(end, where)
        elif wire == LENGTH:
            self._at = self._length(end, where)
        elif wire in (FIXED32, FIXED64):
            self._take(4 if wire == FIXED32 else 8, end, where)
        else:
            raise Malformed(where, f"has wire type {wire}, which no field of Sparkplug has")

    def _length(self, end: int, where: str) -> int:
        """The end of what a length announces."""
        length = self._varint(end, where)
        if length > end - self._at:
            raise Malformed(where, "ends before its length says")
        return self._at + length

    def _take(self, size: int, end: int, where: str) -> int:
        at = self._at
        if size > end - at:
            raise Malformed(where, "is cut off")
        self._at = at + size
        return at

    def _varint(self, end: int, where: str) -> int:
        data, at, result = self._data, self._at, 0
        for shift in range(0, 70, 7):
            if at >= end:
                raise Malformed(where, "is cut off")
            byte = data[at]
            at += 1
            result |= (byte & 0x7F) << shift
            if byte < 0x80:
                self._at = at
                if result >> 64:
                    break
                return result
        raise Malformed(where, "an integer of more than 64 bits")


def _integer(kind: str, value: int, where: str) -> int | bool:
    if kind == "bool":
        if value > 1:
            raise Malformed(where, f"{value} is no boolean")
        return value == 1
    if kind == "uint32" and value >> 32:
        # Some encoders send a negative number in ten bytes; every protocol buffer reader keeps the low 32 bits.
        if value < 2**64 - 2**31:
            raise Malformed(where, f"{value} does not fit in 32 bits")
        return value & 0xFFFF_FFFF
    return value


# --- writing --------------------------------------------------------------------------------


def format_payload(payload: Payload) -> bytes:
    """The bytes of a message, fields in the order of their numbers; raises `Malformed` for values that do not fit."""
    return _format("Payload", payload)


def _format(shape: str, message: Any) -> bytes:
    out = bytearray()
    for number, field in SHAPES[shape][1].items():
        value = getattr(message, field.name)
        if field.variant:
            if value is None or value.kind != field.variant:
                continue
            value = value.value
        if value is None:
            continue
        for item in value if field.repeated else (value,):
            wire = WIRE.get(field.kind, LENGTH)
            out += _format_varint(number << 3 | wire)
            out += _format_value(field.kind, item, f"{shape}.{field.name}")
    return bytes(out)


def _format_value(kind: str, value: Any, where: str) -> bytes:
    if kind in SHAPES:
        content = _format(kind, value)
        return _format_varint(len(content)) + content
    if kind in ("float", "double"):
        try:
            return struct.pack("<f" if kind == "float" else "<d", value)
        except (struct.error, OverflowError):
            raise Malformed(where, f"{value!r} is no {kind}") from None
    if kind in ("string", "bytes"):
        content = value.encode() if kind == "string" else bytes(value)
        return _format_varint(len(content)) + content
    if not 0 <= value < 2 ** (32 if kind == "uint32" else 64):
        raise Malformed(where, f"{value} is no {kind}")
    return _format_varint(int(value))


def _format_varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
