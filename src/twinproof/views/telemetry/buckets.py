"""Buckets: a chart's worth of aggregates over equal spans of time, gaps filled on demand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, isfinite, nextafter
from typing import Any, Final, Literal, NamedTuple, TypeAlias, get_args

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinproof.errors import Malformed, TooLarge
from twinproof.views.telemetry.batch import Names
from twinproof.views.telemetry.selection import Selection, seconds

MAX_BUCKETS: Final = 100_000
"""Of one series."""
MAX_CELLS: Final = 5_000_000
"""Buckets of all series together."""

Aggregate: TypeAlias = Literal["min", "max", "mean", "first", "last", "count"]
Fill: TypeAlias = Literal["none", "null", "previous", "linear"]
AGGREGATES: Final[tuple[Aggregate, ...]] = get_args(Aggregate)
FILLS: Final[tuple[Fill, ...]] = get_args(Fill)

_SQL: Final = {
    "min": "min(value)",
    "max": "max(value)",
    # Kahan summation: readings far from zero keep their digits.
    "mean": "favg(value)",
    "count": "count(*)",
}
_ENDS: Final = {"first": ("min(time)", "arg_min"), "last": ("max(time)", "arg_max")}

# The SQL here is put together from constants of this package, ids, and doubles that `seconds` spells.
# ruff: noqa: S608


@dataclass(frozen=True, slots=True)
class Grid:
    """How time is cut up: bucket i holds start + i × width <= time < start + (i + 1) × width."""

    start: float
    """Seconds since 1970."""
    end: float
    width: float
    """Seconds."""
    count: int


class Series(NamedTuple):
    """The buckets of one signal of one twin as Python values."""

    subject: str
    signal: str
    unit: str | None
    times: list[float]
    """The start of each bucket."""
    values: dict[str, list[Any]]
    """Aggregate -> a number per bucket; None where there is none."""


class Buckets(NamedTuple):
    """The answer to a bucketed query."""

    table: pa.Table
    """subject, signal, unit (dictionary-encoded), time, and a column per aggregate; by series, then time."""
    grid: Grid | None
    """None if there was nothing to cut up."""
    reached: int
    """Entries of the log that the view had folded in."""

    def series(self) -> list[Series]:
        """The table as Python values, a list per series."""
        found: dict[tuple[str, str, str | None], Series] = {}
        aggregates = self.table.column_names[4:]
        for subject, signal, unit, time, *cells in zip(*(c.to_pylist() for c in self.table.columns), strict=True):
            series = found.get((subject, signal, unit))
            if series is None:
                series = found[subject, signal, unit] = Series(subject, signal, unit, [], {a: [] for a in aggregates})
            series.times.append(time)
            for aggregate, cell in zip(aggregates, cells, strict=True):
                series.values[aggregate].append(cell)
        return list(found.values())


@dataclass(frozen=True, slots=True)
class Cut:
    """What is asked: either `n` buckets or buckets of `width` seconds. Raises `Malformed`, `TooLarge`."""

    n: int | None = None
    width: float | None = None
    aggregates: Sequence[Aggregate] = ("min", "max", "mean", "last")
    fill: Fill = "none"
    """For buckets without a number. none: left out; null: listed; previous, linear: valued after their neighbours."""

    def __post_init__(self) -> None:
        if (self.n is None) == (self.width is None):
            raise Malformed("n", "give either a number of buckets or their width")
        if self.n is not None and not 0 < self.n <= MAX_BUCKETS:
            raise TooLarge("n", f"{self.n} is not between 1 and {MAX_BUCKETS}")
        if self.width is not None and not (isfinite(self.width) and self.width > 0):
            raise Malformed("width", "is not a number of seconds above 0")
        if not self.aggregates or len(set(self.aggregates)) != len(self.aggregates):
            raise Malformed("aggregates", "are none, or one comes twice")
        for aggregate in self.aggregates:
            if aggregate not in AGGREGATES:
                raise Malformed("aggregates", f"{aggregate!r} is none of {', '.join(AGGREGATES)}")
        if self.fill not in FILLS:
            raise Malformed("fill", f"{self.fill!r} is none of {', '.join(FILLS)}")

    def grid(self, start: float, end: float) -> Grid:
        """The buckets of a span; raises `TooLarge` if there are too many."""
        if self.n is not None:
            return Grid(start, end, (end - start) / self.n, self.n)
        width = self.width or 1.0
        if (end - start) / width > MAX_BUCKETS:
            raise TooLarge("width", f"{width} s cuts {end - start:g} s into more than {MAX_BUCKETS} buckets")
        return Grid(start, end, width, max(1, ceil((end - start) / width)))


def buckets(cursor: duckdb.DuckDBPyConnection, names: Names, selection: Selection, cut: Cut, reached: int) -> Buckets:
    """The aggregates of a selection's numbers; without start or end, of the whole span that has some."""
    condition = selection.where(names) or "false"
    condition += " AND value IS NOT NULL"
    span = _span(cursor, condition, selection)
    if span is None:
        return Buckets(_table(names, cut, None, np.empty(0, np.int64), np.empty(0, np.int64), {}), None, reached)
    grid = cut.grid(*span)
    found = cursor.sql(_sql(condition, grid, cut.aggregates)).to_arrow_table()
    columns = {name: found[name].to_numpy() for name in found.column_names}
    series, numbers = columns.pop("series"), columns.pop("bucket")
    if cut.fill != "none":
        series, numbers, columns = _fill(series, numbers, columns, grid.count, cut.fill)
    return Buckets(_table(names, cut, grid, series, numbers, columns), grid, reached)


def _span(cursor: duckdb.DuckDBPyConnection, condition: str, selection: Selection) -> tuple[float, float] | None:
    start, end = selection.start, selection.end
    if start is None or end is None:
        ((first, last),) = cursor.execute(f"SELECT min(time), max(time) FROM points WHERE {condition}").fetchall()
        if first is None:
            return None
        start = first if start is None else start
        end = nextafter(last, float("inf")) if end is None else end
    return (start, end) if start < end else None


def _sql(condition: str, grid: Grid, aggregates: Sequence[Aggregate]) -> str:
    """One pass for minima, maxima, means and counts; another for the values at the ends of each bucket.

    Of several readings at the same time, the last in the log counts as the last and the first as the first: two passes
    that compare numbers are cheaper than one that compares pairs (time, position).
    """
    number = f"CAST(least(floor((time - {seconds(grid.start)}) / {seconds(grid.width)}), {grid.count - 1}) AS BIGINT)"
    ends = [name for name in aggregates if name in _ENDS]
    plain = [f'{_SQL[name]} AS "{name}"' for name in aggregates if name in _SQL]
    times = [f"{_ENDS[name][0]} AS {name}_time" for name in ends]
    parts = [
        f"p AS (SELECT (CAST(twin AS BIGINT) << 32) + signal AS series, {number} AS bucket, time, value, position"
        f" FROM points WHERE {condition})",
        f"cells AS MATERIALIZED (SELECT {', '.join(['series', 'bucket', *plain, *times])} FROM p GROUP BY ALL)",
    ]
    joins = ""
    for name in ends:
        parts.append(
            f"ends_{name} AS (SELECT p.series, p.bucket, {_ENDS[name][1]}(p.value, p.position) AS value"
            f" FROM p JOIN cells c ON c.series = p.series AND c.{name}_time = p.time GROUP BY ALL)"
        )
        joins += f" JOIN ends_{name} ON ends_{name}.series = c.series AND ends_{name}.bucket = c.bucket"
    shown = [f'ends_{name}.value AS "{name}"' if name in _ENDS else f'c."{name}"' for name in aggregates]
    return (
        f"WITH {', '.join(parts)} SELECT c.series, c.bucket, {', '.join(shown)} FROM cells c{joins}"
        " ORDER BY c.series, c.bucket"
    )


def _fill(
    series: npt.NDArray[np.int64],
    numbers: npt.NDArray[np.int64],
    columns: dict[str, npt.NDArray[Any]],
    count: int,
    fill: Fill,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], dict[str, npt.NDArray[Any]]]:
    """Every bucket of every series that has any; NaN where there is no value."""
    ids, which = np.unique(series, return_inverse=True)
    if len(ids) * count > MAX_CELLS:
        raise TooLarge("n", f"{len(ids)} series of {count} buckets; at most {MAX_CELLS} together, or fill none")
    cells = which * count + numbers
    whole: dict[str, npt.NDArray[Any]] = {}
    for name, values in columns.items():
        if name == "count":
            counts = np.zeros(len(ids) * count, np.int64)
            counts[cells] = values
            whole[name] = counts
            continue
        filled = np.full((len(ids), count), np.nan)
        filled.reshape(-1)[cells] = values
        if fill != "null":
            for row in filled:
                _bridge(row, fill)
        whole[name] = filled.reshape(-1)
    return np.repeat(ids, count), np.tile(np.arange(count, dtype=np.int64), len(ids)), whole


def _bridge(row: npt.NDArray[np.float64], fill: Fill) -> None:
    """Fill one series in place; what lies before its first value, or with `linear` after its last, stays empty."""
    known = np.flatnonzero(~np.isnan(row))
    places = np.arange(len(row))
    if fill == "linear":
        row[:] = np.interp(places, known, row[known], left=np.nan, right=np.nan)
        return
    before = np.searchsorted(known, places, side="right") - 1
    row[known[0] :] = row[known[before[known[0] :]]]


def _table(
    names: Names,
    cut: Cut,
    grid: Grid | None,
    series: npt.NDArray[np.int64],
    numbers: npt.NDArray[np.int64],
    columns: dict[str, npt.NDArray[Any]],
) -> pa.Table:
    twins, signals = series >> 32, series & 0xFFFFFFFF
    times = np.empty(0) if grid is None else grid.start + numbers * grid.width
    cells: dict[str, pa.Array] = {
        name: pa.array(
            columns.get(name, np.empty(0)), pa.int64() if name == "count" else pa.float64(), from_pandas=True
        )
        for name in cut.aggregates
    }
    return pa.table(
        {
            "subject": _named(twins, names.subjects),
            "signal": _named(signals, [name for name, _ in names.signals]),
            "unit": _named(signals, [unit for _, unit in names.signals]),
            "time": times,
            **cells,
        }
    )


def _named(ids: npt.NDArray[np.int64], words: Sequence[str | None]) -> pa.DictionaryArray:
    used, codes = np.unique(ids, return_inverse=True)
    chosen = [words[number] for number in used]
    # A null among the words would be legal Arrow, but Parquet cannot take it: the row is null instead.
    absent = np.array([word is None for word in chosen], np.bool_)[codes]
    return pa.DictionaryArray.from_arrays(
        pa.array(codes.astype(np.int32), mask=absent), pa.array([word or "" for word in chosen], pa.string())
    )
