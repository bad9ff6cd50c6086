"""From samples to payloads: what is checked when a sample is recorded, and which format a batch takes.

| batch                                                            | payload                        |
|------------------------------------------------------------------|--------------------------------|
| numbers alone, at least `TABLE_ROWS` rows, half of the table full | columns                        |
| any other, units with a SenML symbol                              | SenML                          |
| numbers whose unit has no SenML symbol, integers beyond 2^53      | columns, text and the like apart in SenML |

A row that `make_row` took can always be packed: signing a batch never fails for what is in it.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import floor, isfinite
from numbers import Integral, Real
from typing import Any, Final, NamedTuple, TypeAlias

from twinproof.errors import Corrupt, InternalError, Malformed, TooLarge
from twinproof.proof import cbor
from twinproof.twin.columns import COLUMNS, format_columns
from twinproof.twin.reading import RELATIVE_BELOW, TIME_LIMIT, Reading, check_name
from twinproof.twin.senml import MAX_INTEGER, SENML, format_senml
from twinproof.twin.units import check_ucum, senml_of

Value: TypeAlias = "float | int | bool | str | bytes"

MAX_ROW_VALUES: Final = 1024
"""Values of one call of `record`; a pack has no more columns."""
MAX_ROW_BYTES: Final = 40 * 1024
"""Size of a row, by `Row.size`: it fits in a statement whatever issuer and subject are."""
TABLE_ROWS: Final = 4
"""Fewer rows are no table: a typed array would save nothing."""

_SAMPLE_BYTES: Final = 32
"""What a value takes in a pack beside its name, unit and text, at most."""


class Sample(NamedTuple):
    """One value of a row."""

    name: str
    unit: str | None
    """UCUM code."""
    value: Value


class Row(NamedTuple):
    """The values of one instant."""

    time: float
    """Seconds since 1970."""
    samples: tuple[Sample, ...]

    @property
    def size(self) -> int:
        """Bytes that the row takes in a SenML pack, at most."""
        return sum(
            _SAMPLE_BYTES + len(sample.name) + len(sample.unit or "") + _value_size(sample.value)
            for sample in self.samples
        )


def make_row(values: Mapping[str, Value], units: Mapping[str, str], time: float) -> Row:
    """Check what somebody wants to record; raises `Malformed` (`TooLarge` for a limit) naming the value.

    Numbers of other libraries become int or float. `units` may name more than `values`.
    """
    if not values:
        raise Malformed("values", "there are none")
    if len(values) > MAX_ROW_VALUES:
        raise TooLarge("values", f"{len(values)} at once; at most {MAX_ROW_VALUES}")
    if not RELATIVE_BELOW <= time < TIME_LIMIT:
        raise Malformed("time", f"{time!r} is not between July 1978 and the year 9999; is the device's clock set?")
    row = Row(float(time), tuple(_sample(name, units.get(name), value) for name, value in values.items()))
    if row.size > MAX_ROW_BYTES:
        raise TooLarge("values", f"about {row.size} bytes at once; at most {MAX_ROW_BYTES}")
    return row


def _sample(name: str, unit: str | None, value: object) -> Sample:
    if type(name) is not str:
        raise Malformed("values", f"the name {name!r} is not text")
    check_name(name, name[:40] or "values")
    if unit is not None:
        check_ucum(unit, f"unit of {name}")
    plain = _plain(value, name)
    if isinstance(plain, str | bytes | bool) and unit is not None and senml_of(unit) is None:
        raise Malformed(f"unit of {name}", f"{unit!r} has no SenML symbol, which only numbers can do without")
    return Sample(name, unit, plain)


def _plain(value: object, name: str) -> Value:
    if isinstance(value, bool | bytes):
        return value
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Malformed(name, "text holds a lone surrogate, which UTF-8 cannot say") from None
        return value
    if isinstance(value, Integral):
        number = int(value)
        if not -(2**63) <= number < 2**64:
            raise Malformed(name, f"{number} does not fit in 64 bits")
        return number
    if isinstance(value, Real):
        if not isfinite(value):
            raise Malformed(name, f"{value!r} is not finite; leave a missing value out")
        return float(value)
    raise Malformed(name, f"{type(value).__name__} is neither a number, a boolean, text nor bytes")


def _value_size(value: Value) -> int:
    return len(value.encode()) if isinstance(value, str) else len(value) if isinstance(value, bytes) else 0


# --- the journal's form ---------------------------------------------------------------------


def format_row(row: Row) -> bytes:
    """The bytes that the outbox keeps for a row that is not signed yet."""
    return cbor.encode([row.time, [list(sample) for sample in row.samples]])


def parse_row(data: bytes) -> Row:
    """Read `format_row`'s bytes; raises `Corrupt`."""
    try:
        time, samples = cbor.decode(data, what="journalled row")
        return Row(float(time), tuple(Sample(*sample) for sample in samples))
    except (Malformed, TypeError, ValueError) as problem:
        raise Corrupt(f"the outbox holds a damaged sample ({problem}); the disk may be failing") from None


# --- packing --------------------------------------------------------------------------------


def pack(rows: Sequence[Row]) -> list[tuple[str, bytes]]:
    """The payloads, (content type, bytes), that together hold every sample of `rows`, in order."""
    try:
        return _pack(rows)
    except cbor.EncodeError as problem:
        if len(rows) == 1:
            raise InternalError(f"a checked row cannot be packed: {problem}") from None
    # Too long, or a table that loses something as a whole: its halves hold less.
    half = len(rows) // 2
    return pack(rows[:half]) + pack(rows[half:])


def _pack(rows: Sequence[Row]) -> list[tuple[str, bytes]]:
    numbers = [part for row in rows if (part := _only(row, numeric=True)).samples]
    others = [part for row in rows if (part := _only(row, numeric=False)).samples]
    needs_columns = any(_needs_columns(sample) for row in numbers for sample in row.samples)
    if needs_columns and others:
        return [_columns(numbers), _senml(others)]
    if not others and (needs_columns or _is_table(numbers)):
        return [_columns(numbers)]
    return [_senml(rows)]


def _only(row: Row, *, numeric: bool) -> Row:
    return Row(row.time, tuple(sample for sample in row.samples if (type(sample.value) in (int, float)) is numeric))


def _needs_columns(sample: Sample) -> bool:
    value = sample.value
    return (sample.unit is not None and senml_of(sample.unit) is None) or (
        type(value) is int and abs(value) > MAX_INTEGER
    )


def _is_table(rows: Sequence[Row]) -> bool:
    names = {(sample.name, sample.unit) for row in rows for sample in row.samples}
    filled = sum(len(row.samples) for row in rows)
    in_order = all(before.time <= after.time for before, after in pairwise(rows))
    return (
        len(rows) >= TABLE_ROWS
        and 2 * filled >= len(rows) * len(names)
        and len({name for name, _ in names}) == len(names)
        and in_order
    )


def _senml(rows: Sequence[Row]) -> tuple[str, bytes]:
    return SENML, format_senml(
        [Reading(sample.name, sample.value, sample.unit, row.time) for row in rows for sample in row.samples]
    )


def _columns(rows: Sequence[Row]) -> tuple[str, bytes]:
    rows = sorted(rows, key=lambda row: row.time)
    cells: dict[str, list[float | int | None]] = {}
    units: dict[str, str | None] = {}
    for number, row in enumerate(rows):
        for name, unit, value in row.samples:
            if units.setdefault(name, unit) != unit:
                raise cbor.EncodeError(f"{name} has two units")
            column = cells.setdefault(name, [None] * len(rows))
            assert isinstance(value, int | float)  # noqa: S101 - `_only` left nothing else
            column[number] = value
    columns = [(name, units[name], _numbers(name, column)) for name, column in cells.items()]
    return COLUMNS, _format_table([row.time for row in rows], columns)


def _format_table(times: list[float], columns: list[tuple[str, str | None, Sequence[float]]]) -> bytes:
    step = times[1] - times[0] if len(times) > 1 else 1.0
    if step > 0 and all(times[0] + number * step == time for number, time in enumerate(times)):
        return format_columns(_shorter(times[0]), columns, step=_shorter(step))
    # A whole number taken off a larger float leaves an exact difference, so each time comes back as it was.
    base = floor(times[0])
    return format_columns(base, columns, offsets=[time - base for time in times])


def _shorter(seconds: float) -> float | int:
    return int(seconds) if seconds == int(seconds) else seconds


def _numbers(name: str, column: list[float | int | None]) -> Sequence[float]:
    """The column in the smallest type that loses nothing; a missing value is NaN."""
    if all(type(value) is int for value in column):
        return [value for value in column if value is not None]
    if any(type(value) is int and abs(value) > MAX_INTEGER for value in column):
        raise cbor.EncodeError(f"{name}: a large integer among floats or gaps")
    doubles = array("d", [float("nan") if value is None else value for value in column])
    singles: array[Any] = array("f", doubles)
    exact = all(single == double or double != double for single, double in zip(singles, doubles, strict=True))
    return singles if exact else doubles
