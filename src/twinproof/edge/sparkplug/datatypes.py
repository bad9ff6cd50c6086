"""What a value on the wire means: the datatypes of Sparkplug 3.0 §6.4.16.

Signed integers are two's complement in an unsigned field; senders disagree on whether 8 and 16 bits
are widened to 32, so both forms are read. Senders disagree as well on the field of an integer (Tahu
sends UInt32 as `long`), so either is read. Arrays are little-endian in `bytes`.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from math import isfinite
from typing import Final, TypeAlias

from twinproof.edge.sparkplug.messages import DataSet, Template, Variant
from twinproof.errors import Malformed, TooLarge

MAX_BOOLEANS: Final = 8 * 1024 * 1024

Scalar: TypeAlias = "int | float | bool | str | bytes"
Meaning: TypeAlias = "Scalar | tuple[Scalar, ...] | DataSet | Template"


class DataType(IntEnum):
    """The numbers of `Metric.datatype`."""

    UNKNOWN = 0
    INT8 = 1
    INT16 = 2
    INT32 = 3
    INT64 = 4
    UINT8 = 5
    UINT16 = 6
    UINT32 = 7
    UINT64 = 8
    FLOAT = 9
    DOUBLE = 10
    BOOLEAN = 11
    STRING = 12
    DATETIME = 13
    """Milliseconds since 1970."""
    TEXT = 14
    UUID = 15
    DATASET = 16
    BYTES = 17
    FILE = 18
    TEMPLATE = 19
    PROPERTY_SET = 20
    PROPERTY_SET_LIST = 21
    INT8_ARRAY = 22
    INT16_ARRAY = 23
    INT32_ARRAY = 24
    INT64_ARRAY = 25
    UINT8_ARRAY = 26
    UINT16_ARRAY = 27
    UINT32_ARRAY = 28
    UINT64_ARRAY = 29
    FLOAT_ARRAY = 30
    DOUBLE_ARRAY = 31
    BOOLEAN_ARRAY = 32
    STRING_ARRAY = 33
    DATETIME_ARRAY = 34


_SIGNED: Final = {DataType.INT8: 8, DataType.INT16: 16, DataType.INT32: 32, DataType.INT64: 64}
_UNSIGNED: Final = {
    DataType.UINT8: 8,
    DataType.UINT16: 16,
    DataType.UINT32: 32,
    DataType.UINT64: 64,
    DataType.DATETIME: 64,
}
_WIDE: Final = frozenset({DataType.INT64, DataType.UINT32, DataType.UINT64, DataType.DATETIME})
"""Integers that are sent in the `long` field."""
_KINDS: Final = {
    DataType.FLOAT: "float",
    DataType.DOUBLE: "double",
    DataType.BOOLEAN: "boolean",
    DataType.STRING: "string",
    DataType.TEXT: "string",
    DataType.UUID: "string",
    DataType.BYTES: "bytes",
    DataType.FILE: "bytes",
    DataType.DATASET: "dataset",
    DataType.TEMPLATE: "template",
}
_ARRAYS: Final = {
    DataType.INT8_ARRAY: "b",
    DataType.INT16_ARRAY: "h",
    DataType.INT32_ARRAY: "i",
    DataType.INT64_ARRAY: "q",
    DataType.UINT8_ARRAY: "B",
    DataType.UINT16_ARRAY: "H",
    DataType.UINT32_ARRAY: "I",
    DataType.UINT64_ARRAY: "Q",
    DataType.FLOAT_ARRAY: "f",
    DataType.DOUBLE_ARRAY: "d",
    DataType.DATETIME_ARRAY: "Q",
}


def datatype_of(number: int | None, field: str) -> DataType:
    """The datatype of this number; raises `Malformed` for `field`."""
    if number is None or not DataType.INT8 <= number <= DataType.DATETIME_ARRAY:
        raise Malformed(field, "has no datatype" if number is None else f"{number} is no datatype")
    return DataType(number)


def parse_value(variant: Variant, datatype: DataType, field: str) -> Meaning:
    """What `variant` means as a `datatype`; raises `Malformed` for `field` if it is none of that type."""
    kind, value = variant
    if datatype in _SIGNED or datatype in _UNSIGNED:
        if kind not in ("int", "long"):
            raise Malformed(field, f"a {datatype.name} in the field of a {kind}")
        if datatype in _UNSIGNED:
            return _unsigned(int(value), _UNSIGNED[datatype], field)
        return _signed(int(value), _SIGNED[datatype], 32 if kind == "int" else 64, field)
    if datatype in _ARRAYS or datatype in (DataType.BOOLEAN_ARRAY, DataType.STRING_ARRAY):
        if kind != "bytes":
            raise Malformed(field, f"a {datatype.name} in the field of a {kind}")
        return _parse_array(bytes(value), datatype, field)
    if kind != _KINDS.get(datatype):
        raise Malformed(field, f"a {datatype.name} in the field of a {kind}")
    if kind in ("float", "double") and not isfinite(value):
        raise Malformed(field, f"{value!r} is not finite")
    meaning: Meaning = value
    return meaning


def _unsigned(value: int, bits: int, field: str) -> int:
    if value >> bits:
        raise Malformed(field, f"{value} does not fit in {bits} bits")
    return value


def _signed(value: int, bits: int, width: int, field: str) -> int:
    """`value` has `bits` bits, or was widened to the field's `width`; a 32 bit number may come in a long field."""
    half: int = 1 << bits - 1
    for size in {bits, 32, width}:
        top: int = 1 << size
        if size >= bits and top - half <= value < top:
            return value - top
    if value < half:
        return value
    raise Malformed(field, f"{value} does not fit in {bits} bits with a sign")


def _parse_array(content: bytes, datatype: DataType, field: str) -> tuple[Scalar, ...]:
    if datatype is DataType.STRING_ARRAY:
        if content and not content.endswith(b"\0"):
            raise Malformed(field, "its last text is not terminated")
        try:
            return tuple(content[:-1].decode().split("\0")) if content else ()
        except UnicodeDecodeError:
            raise Malformed(field, "is not UTF-8") from None
    if datatype is DataType.BOOLEAN_ARRAY:
        count = int.from_bytes(content[:4], "little")
        if len(content) < 4 or len(content) - 4 != (count + 7) // 8:
            raise Malformed(field, f"{len(content)} bytes are no array of {count} booleans")
        if count > MAX_BOOLEANS:
            raise TooLarge(field, f"{count} booleans; at most {MAX_BOOLEANS}")
        return tuple(bool(content[4 + number // 8] >> (7 - number % 8) & 1) for number in range(count))
    code = _ARRAYS[datatype]
    size = struct.calcsize(f"<{code}")
    if len(content) % size:
        raise Malformed(field, f"{len(content)} bytes are no elements of {size} bytes")
    values = struct.unpack(f"<{len(content) // size}{code}", content)
    if code in "fd" and not all(map(isfinite, values)):
        raise Malformed(field, "an element is not finite")
    return values


def parse_table(dataset: DataSet, field: str) -> tuple[tuple[str, ...], list[tuple[Meaning | None, ...]]]:
    """The column names and the rows of a DataSet, an empty cell as None; raises `Malformed` for `field`."""
    width = dataset.num_of_columns
    if width != len(dataset.columns) or width != len(dataset.types):
        raise Malformed(field, f"{width} columns, {len(dataset.columns)} names and {len(dataset.types)} datatypes")
    types = [datatype_of(number, f"{field}.types") for number in dataset.types]
    rows: list[tuple[Meaning | None, ...]] = []
    for row in dataset.rows:
        if len(row.elements) != width:
            raise Malformed(field, f"a row of {len(row.elements)} cells; there are {width} columns")
        cells = zip(row.elements, types, strict=True)
        rows.append(tuple(parse_value(cell.value, kind, field) if cell.value else None for cell, kind in cells))
    return dataset.columns, rows


def format_value(value: Meaning, datatype: DataType, field: str = "value") -> Variant:
    """The reverse of `parse_value`, in the form of the Tahu libraries; raises `Malformed` for what does not fit."""
    if datatype in _SIGNED or datatype in _UNSIGNED:
        if not isinstance(value, int):
            raise Malformed(field, f"{value!r} is no integer")
        bits = _SIGNED.get(datatype) or _UNSIGNED[datatype]
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if datatype in _SIGNED else (0, 2**bits)
        if not low <= value < high:
            raise Malformed(field, f"{value} is no {datatype.name}")
        wide = datatype in _WIDE
        return Variant("long" if wide else "int", value % 2 ** (64 if wide else 32))
    if isinstance(value, tuple):
        return Variant("bytes", _format_array(value, datatype, field))
    if datatype not in _KINDS:
        raise Malformed(field, f"{value!r} is no {datatype.name}")
    return Variant(_KINDS[datatype], value)


def _format_array(values: tuple[Scalar, ...], datatype: DataType, field: str) -> bytes:
    if datatype is DataType.STRING_ARRAY:
        if any(not isinstance(value, str) or "\0" in value for value in values):
            raise Malformed(field, "texts without a zero character make an array of texts")
        return b"".join(str(value).encode() + b"\0" for value in values)
    if datatype is DataType.BOOLEAN_ARRAY:
        packed = bytearray((len(values) + 7) // 8)
        for number, value in enumerate(values):
            packed[number // 8] |= bool(value) << (7 - number % 8)
        return len(values).to_bytes(4, "little") + bytes(packed)
    if datatype not in _ARRAYS:
        raise Malformed(field, f"{datatype.name} is no array")
    try:
        return struct.pack(f"<{len(values)}{_ARRAYS[datatype]}", *values)
    except (struct.error, OverflowError):
        raise Malformed(field, f"an element is no {datatype.name}") from None
