"""Samples as people type and pipe them: `name=value[unit]`, CSV with a header, JSON lines.

Units are UCUM codes in square brackets behind the name (behind the value on the command line), so `[degR]` gives
`T24[[degR]]`. A column or key called `time` holds RFC 3339 times or POSIX seconds.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain
from typing import Any, Final, NamedTuple

from twinproof.errors import Malformed

TIME: Final = "time"
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,18})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?\Z")
_NAMED = re.compile(r"([^\[\]=]+)(?:\[(.+)\])?\Z")
_VALUED = re.compile(r"([^\[]*)(?:\[(.+)\])?\Z", re.DOTALL)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:[Zz]|[+-]\d\d:\d\d)\Z", re.ASCII)

Value = float | int | bool | str


class Samples(NamedTuple):
    """The values of one instant."""

    values: dict[str, Value]
    units: dict[str, str]
    time: float | None
    """POSIX seconds; None: now."""


def parse_arguments(words: Iterable[str]) -> Samples:
    """`name=value[unit]` words of the command line; raises `Malformed`."""
    values: dict[str, Value] = {}
    units: dict[str, str] = {}
    for word in words:
        name, equals, rest = word.partition("=")
        found = _VALUED.match(rest)
        if not equals or not name or found is None:
            raise Malformed(word, "not of the form name=value or name=value[unit]")
        if name in values:
            raise Malformed(name, "is given twice")
        if not found[1]:
            raise Malformed(name, "has no value; leave it out")
        values[name] = _measured(name, parse_value(found[1]), found[2])
        if found[2] is not None:
            units[name] = found[2]
    return Samples(values, units, None)


def parse_value(text: str) -> Value:
    """A number if it looks like one, `true` and `false`, else text."""
    number = _NUMBER.match(text)
    if number:
        return float(text) if number[1] or number[2] else int(text)
    return {"true": True, "false": False}.get(text, text)


def _measured(where: str, value: Value, unit: str | None) -> Value:
    """The value; with a unit it must be a number, so that no typing error turns a measurement into text."""
    if unit is not None and type(value) not in (int, float):
        raise Malformed(where, f"{value!r} has the unit {unit} and is no number such as 1480, -2.5 or 1e-3")
    return value


def parse_lines(lines: Iterable[str]) -> Iterator[Samples]:
    """CSV (the first line is the header) or JSON lines, told apart by the first character."""
    rest = iter(lines)
    first = next((line for line in rest if line.strip()), None)
    if first is None:
        raise Malformed("input", "holds no samples")
    every = chain([first], rest)
    return _json_lines(every) if first.lstrip().startswith("{") else _csv_rows(every)


def _csv_rows(lines: Iterable[str]) -> Iterator[Samples]:
    rows = csv.reader(lines, strict=True)
    try:
        header = [_split(name.strip(), "header") for name in next(rows)]
        names = [name for name, _ in header]
        if len(set(names)) < len(names):
            raise Malformed("header", "names a column twice")
        units = {name: unit for name, unit in header if unit is not None}
        for row in rows:
            where = f"line {rows.line_num}"
            if not row:
                continue
            if len(row) != len(header):
                raise Malformed(where, f"has {len(row)} columns, the header has {len(header)}")
            cells = {name: cell.strip() for name, cell in zip(names, row, strict=True)}
            time = parse_time(cells.pop(TIME), where) if TIME in cells else None
            # An empty cell is a missing sample.
            values = {
                name: _measured(f"{where}, {name}", parse_value(cell), units.get(name))
                for name, cell in cells.items()
                if cell
            }
            if values:
                yield Samples(values, units, time)
    except csv.Error as problem:
        raise Malformed(f"line {rows.line_num}", f"not CSV: {problem}") from None


def _json_lines(lines: Iterable[str]) -> Iterator[Samples]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"line {number}"
        try:
            record = json.loads(line, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            raise Malformed(where, "not a JSON object in one line") from None
        if type(record) is not dict:
            raise Malformed(where, "not a JSON object in one line")
        values: dict[str, Value] = {}
        units: dict[str, str] = {}
        time = parse_time(record.pop(TIME), where) if TIME in record else None
        for key, value in record.items():
            name, unit = _split(key, where)
            if value is None:
                continue
            if not isinstance(value, float | int | bool | str):
                raise Malformed(f"{where}, {name}", "neither a number, a boolean nor text")
            values[name] = _measured(f"{where}, {name}", value, unit)
            if unit is not None:
                units[name] = unit
        if values:
            yield Samples(values, units, time)


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _split(text: str, where: str) -> tuple[str, str | None]:
    found = _NAMED.match(text)
    if found is None:
        raise Malformed(where, f"{text!r} is not of the form name or name[unit]")
    return found[1], found[2]


def parse_time(value: object, where: str) -> float:
    """POSIX seconds of a number, its text, or an RFC 3339 time; raises `Malformed`."""
    if type(value) in (int, float):
        return float(value)  # type: ignore[arg-type]
    if type(value) is str:
        if _NUMBER.match(value):
            return float(value)
        if _MOMENT.match(value):
            try:
                return datetime.fromisoformat(value).astimezone(UTC).timestamp()
            except (ValueError, OverflowError):
                pass
    raise Malformed(f"{where}, time", f"{value!r} is neither POSIX seconds nor a time like 2026-01-31T12:00:00Z")
