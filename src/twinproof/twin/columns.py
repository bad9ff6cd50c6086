"""Columns: many samples of several sensors in a few typed arrays (spec/readings.md).

    {"bt": 1700000000, "dt": 0.5, "n": 4,                     four rows, half a second apart
     "c": [["T2", "[degR]", 85(h'...')], ["Nf", "1/min", 70(h'...')]]}

or, with "t": 86(h'...') in place of "dt" and "n", rows at given offsets from "bt". A typed array is
a CBOR tag on a byte string (RFC 8746 §2.1); only little-endian and one-byte elements are taken. In a
column of floats the canonical quiet NaN says that the sample is missing; no other NaN and no
infinity occurs. Reading a pack costs no Python statement per sample.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite, isinf, isnan, nan
from operator import gt
from typing import Any, Final, NamedTuple, TypeAlias

from twinproof.errors import Malformed, TooLarge
from twinproof.proof import cbor
from twinproof.twin.reading import MAX_PAYLOAD, RELATIVE_BELOW, TIME_LIMIT, Reading, check_name, check_size, check_time
from twinproof.twin.units import check_ucum

COLUMNS: Final = "application/vnd.twinproof.columns+cbor"
"""Content type of a statement whose payload is columns."""

MAX_COLUMNS: Final = 1024

Values: TypeAlias = "memoryview[Any]"
"""One number per row: int or float. `format` is the type code of `array`: BHIQ bhiq fd."""

_TYPES: Final = {
    64: "B",
    69: "H",
    70: "I",
    71: "Q",
    72: "b",
    77: "h",
    78: "i",
    79: "q",
    85: "f",
    86: "d",
}
"""RFC 8746 tag -> type code."""
_TAGS: Final = {code: tag for tag, code in _TYPES.items()}
_SIZES: Final = {code: array(code).itemsize for code in _TAGS}
_DOUBLES: Final = 86
_NAN_BITS: Final = {"f": ("I", 0x7FC00000), "d": ("Q", 0x7FF8000000000000)}
"""Float type code -> the integer type of its size and the bits of the canonical NaN."""
_INTEGER_RANGES: Final = (
    ("B", 0, 2**8),
    ("b", -(2**7), 2**7),
    ("H", 0, 2**16),
    ("h", -(2**15), 2**15),
    ("I", 0, 2**32),
    ("i", -(2**31), 2**31),
    ("Q", 0, 2**64),
    ("q", -(2**63), 2**63),
)
"""Smallest first, unsigned before signed."""


class Column(NamedTuple):
    """The samples of one sensor."""

    name: str
    """As a reading's name: RFC 8428 §4.5.1."""
    unit: str | None
    """UCUM code."""
    values: Values
    """One number per row; NaN where the sample is missing."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Rows of samples; either `step` or `offsets` is set."""

    base_time: float | int
    """Seconds since 1970 of the first row, or to which the offsets are added."""
    step: float | int | None
    """Seconds between rows."""
    offsets: Values | None
    """Seconds from `base_time`, never decreasing."""
    columns: tuple[Column, ...]

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.columns[0].values)

    def time(self, row: int) -> float:
        """Seconds since 1970 of a row."""
        offset = row * float(self.step or 0) if self.offsets is None else float(self.offsets[row])
        return float(self.base_time) + offset

    def times(self) -> list[float]:
        """The time of each row."""
        base = float(self.base_time)
        if self.offsets is not None:
            return [base + float(offset) for offset in self.offsets]
        step = float(self.step or 0)
        return [base + row * step for row in range(self.rows)]

    def readings(self) -> Iterator[Reading]:
        """Every sample that is not missing, row by row, in the order of the columns."""
        for row, time in enumerate(self.times()):
            for name, unit, values in self.columns:
                value = values[row]
                if value == value:
                    yield Reading(name, value, unit, time)

    def latest(self) -> list[Reading]:
        """The last sample of each column that has one."""
        found = []
        for name, unit, values in self.columns:
            row = next((row for row in range(len(values) - 1, -1, -1) if values[row] == values[row]), None)
            if row is not None:
                found.append(Reading(name, values[row], unit, self.time(row)))
        return found


def parse_columns(payload: bytes, issued_at: int) -> Columns:
    """The columns of a payload; a base time under 2^28 is relative to `issued_at`, the statement's `iat`.

    Raises `Malformed` (`TooLarge` for a limit) that names the field.
    """
    check_size(payload)
    content = cbor.decode(payload, what="columns", max_depth=4)
    if type(content) is not dict or set(content) not in ({"bt", "dt", "n", "c"}, {"bt", "t", "c"}):
        raise Malformed("columns", "is not a map of either bt, dt, n, c or bt, t, c")
    base_time = _finite(content["bt"], "bt")
    if base_time < RELATIVE_BELOW:
        base_time += issued_at
    step: float | int | None = None
    offsets: Values | None = None
    if "t" in content:
        offsets = _parse_offsets(content["t"])
        rows = len(offsets)
    else:
        step = _finite(content["dt"], "dt")
        if step <= 0:
            raise Malformed("dt", "is not above 0")
        rows = content["n"]
        if type(rows) is not int or rows < 1:
            raise Malformed("n", "is not a positive integer")
    result = Columns(base_time, step, offsets, _parse_columns(content["c"], rows))
    for row in (0, rows - 1):
        check_time(result.time(row), "t" if step is None else "dt")
    return result


def _finite(value: object, field: str) -> float | int:
    if (type(value) is not int and type(value) is not float) or not isfinite(value) or abs(value) > TIME_LIMIT:
        raise Malformed(field, "is not a number of seconds")
    return value


def _parse_offsets(value: object) -> Values:
    if not isinstance(value, cbor.Tagged) or value.tag != _DOUBLES:
        raise Malformed("t", f"is not a typed array of little-endian doubles (tag {_DOUBLES})")
    offsets = _parse_array(value, "t")
    if not len(offsets):
        raise Malformed("t", "has no rows")
    if not all(map(isfinite, offsets)):
        raise Malformed("t", "an offset is not finite")
    if any(map(gt, offsets, offsets[1:])):
        raise Malformed("t", "the offsets decrease")
    return offsets


def _parse_columns(value: object, rows: int) -> tuple[Column, ...]:
    if type(value) is not list or not value:
        raise Malformed("c", "is not an array of at least one column")
    if len(value) > MAX_COLUMNS:
        raise TooLarge("c", f"{len(value)} columns; at most {MAX_COLUMNS}")
    columns = []
    names: set[str] = set()
    for number, item in enumerate(value, 1):
        if type(item) is not list or len(item) != 3:
            raise Malformed(f"column {number}", "is not [name, unit, typed array]")
        name, unit, samples = item
        if type(name) is not str:
            raise Malformed(f"column {number}, name", "is not text")
        if unit is not None and type(unit) is not str:
            raise Malformed(f"column {number}, unit", "is neither text nor null")
        try:
            _check_title(name, unit)
        except Malformed as refusal:
            raise type(refusal)(f"column {number}, {refusal.field}", refusal.reason) from None
        if name in names:
            raise Malformed(f"column {number}, name", f"{name} is a column already")
        names.add(name)
        field = f"column {name}"
        values = _parse_array(samples, field)
        if len(values) != rows:
            raise Malformed(field, f"has {len(values)} samples; the pack has {rows} rows")
        if values.format in _NAN_BITS:
            _check_floats(values, field)
        columns.append(Column(name, unit, values))
    return tuple(columns)


@lru_cache(maxsize=2048)
def _check_title(name: str, unit: str | None) -> None:
    """A device sends the same few titles again and again; refusals are not remembered."""
    check_name(name, "name")
    if unit is not None:
        check_ucum(unit, "unit")


def _parse_array(value: object, field: str) -> Values:
    if not isinstance(value, cbor.Tagged) or value.tag not in _TYPES:
        tags = ", ".join(map(str, _TYPES))
        raise Malformed(field, f"is not a typed array of tag {tags}")
    code = _TYPES[value.tag]
    if type(value.value) is not bytes or len(value.value) % _SIZES[code]:
        raise Malformed(field, f"is not a byte string of {_SIZES[code]}-byte elements")
    return view(value.value, code)


def view(little_endian: bytes, code: str, *, swap: bool = sys.byteorder == "big") -> Values:
    """The numbers in a typed array's bytes, without a copy where the host is little-endian too."""
    if not swap:
        return memoryview(little_endian).cast(code)  # type: ignore[call-overload, no-any-return]
    numbers: array[Any] = array(code)
    numbers.frombytes(little_endian)
    numbers.byteswap()
    return memoryview(numbers)


def _check_floats(values: Values, field: str) -> None:
    """Refuse infinities and NaNs other than the canonical one."""
    # One pass at C speed settles the common case: a sum is finite only if all that went in is.
    if isfinite(sum(values)):
        return
    if any(map(isinf, values)):
        raise Malformed(field, "a sample is infinite")
    code, bits = _NAN_BITS[values.format]
    if array(code, values.tobytes()).count(bits) != sum(map(isnan, values)):
        raise Malformed(field, "a missing sample is not the canonical NaN")


# --- formatting -----------------------------------------------------------------------------


def format_columns(
    base_time: float | int,
    columns: Iterable[tuple[str, str | None, Sequence[float] | Values]],
    *,
    step: float | int | None = None,
    offsets: Sequence[float] | Values | None = None,
) -> bytes:
    """The payload of `columns`: (name, UCUM unit, one number per row).

    Give either `step` or `offsets`, both in seconds; a single row needs neither. `array`s and typed
    memoryviews keep their element type; other sequences become the smallest integer type that holds
    them, or doubles, in which NaN says "missing". So format_columns(x.base_time, x.columns, step=x.step,
    offsets=x.offsets) gives back what `parse_columns` read. Raises `cbor.EncodeError` for what
    `parse_columns` would refuse.
    """
    if step is not None and offsets is not None:
        raise cbor.EncodeError("columns have either a step or offsets")
    arrays = [(name, unit, _array_of(values, name)) for name, unit, values in columns]
    if not arrays:
        raise cbor.EncodeError("there are no columns")
    content: dict[int | str, Any] = {"bt": base_time, "c": [[name, unit, _tagged(a)] for name, unit, a in arrays]}
    if offsets is not None:
        content["t"] = _tagged(array("d", offsets))
    else:
        content["n"] = rows = len(arrays[0][2])
        content["dt"] = 1 if step is None and rows == 1 else step
    payload = cbor.encode(content)
    if base_time < RELATIVE_BELOW:
        raise cbor.EncodeError(f"base time {base_time} would be read as relative to the statement's time")
    if len(payload) > MAX_PAYLOAD:
        raise cbor.EncodeError(f"the columns have {len(payload)} bytes; at most {MAX_PAYLOAD}")
    try:
        parse_columns(payload, 0)
    except Malformed as refusal:
        raise cbor.EncodeError(str(refusal)) from None
    return payload


def _array_of(values: Sequence[float] | Values, name: str) -> array[Any]:
    """The values in their own element type if they have one (`array`, memoryview), otherwise in the smallest."""
    numbers = values if isinstance(values, array) else array(_type_of(values, name), values)
    if numbers.typecode not in _TAGS:  # the long types of C, whose size depends on the host
        return array(_type_of(numbers.tolist(), name), numbers)
    if numbers.typecode in _NAN_BITS and not isfinite(sum(numbers)):
        return array(numbers.typecode, [nan if isnan(number) else number for number in numbers])
    return numbers


def _tagged(numbers: array[Any]) -> cbor.Tagged:
    if sys.byteorder == "big":
        numbers = numbers[:]
        numbers.byteswap()
    return cbor.Tagged(_TAGS[numbers.typecode], numbers.tobytes())


def _type_of(values: Sequence[float] | Values, name: str) -> str:
    if isinstance(values, memoryview) and values.format in _TAGS:
        return values.format
    if any(isinstance(value, float) for value in values):
        return "d"
    if not values or any(type(value) is not int for value in values):
        raise cbor.EncodeError(f"column {name}: no numbers, or something else than numbers")
    low, high = min(values), max(values)
    for code, lower, upper in _INTEGER_RANGES:
        if lower <= low and high < upper:
            return code
    raise cbor.EncodeError(f"column {name}: integers from {low} to {high} fit in no 64 bits")
