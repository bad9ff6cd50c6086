"""Single readings: a page of them in the order of time, and the latest of each signal."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final, NamedTuple

import duckdb
import pyarrow as pa

from twinproof.errors import Malformed
from twinproof.views.telemetry.batch import ROWS, Names
from twinproof.views.telemetry.selection import Selection, seconds

MAX_ROWS: Final = 1_000_000
"""Of one page."""

_AFTER = re.compile(r"(0x[01]\.[0-9a-f]{1,13}p[+-][0-9]{1,4})@([0-9]{1,19})")
_SHOWN: Final = f"""
    t.subject, s.name AS signal, s.unit, p.time, p.value, p.text, p.flag, p.data, p.exact, p.sum,
    p.position // {ROWS} AS log_index, CAST(p.position % {ROWS} AS INTEGER) AS entry_row"""
_NAMED: Final = "JOIN twins t ON t.id = p.twin JOIN signals s ON s.id = p.signal"

# The SQL here is put together from constants of this package, ids, and doubles that `seconds` spells.
# ruff: noqa: S608


class Row(NamedTuple):
    """A reading as Python values."""

    subject: str
    signal: str
    unit: str | None
    time: float
    """Seconds since 1970."""
    value: float | int | bool | str | bytes | None
    """Numbers are floats, but for integers beyond 2^53."""
    sum: float | None
    log_index: int
    entry_row: int
    """Number of the SenML record, or row × columns + column; counted from 0."""


class Page(NamedTuple):
    """Readings, and how to go on."""

    table: pa.Table
    """subject, signal, unit, time, value, text, flag, data, exact, sum, log_index, entry_row."""
    next: str | None
    """Give it as `after` for the page that follows; None after the last one."""
    reached: int
    """Entries of the log that the view had folded in."""

    def rows(self) -> list[Row]:
        """The table as Python values."""
        return [_row(*cells) for cells in zip(*(column.to_pylist() for column in self.table.columns), strict=True)]


def _row(
    subject: str,
    signal: str,
    unit: str | None,
    time: float,
    value: float | None,
    text: str | None,
    flag: bool | None,
    data: bytes | None,
    exact: Decimal | None,
    total: float | None,
    log_index: int,
    entry_row: int,
) -> Row:
    whole = None if exact is None else int(exact)
    found = next((cell for cell in (whole, text, flag, data) if cell is not None), value)
    return Row(subject, signal, unit, time, found, total, log_index, entry_row)


def rows_sql(condition: str | None, *, order: str = "p.time, p.position") -> str:
    """All readings under a condition, in order."""
    return f"""SELECT {_SHOWN} FROM (SELECT * FROM points WHERE {condition or "false"}) p {_NAMED} ORDER BY {order}"""


def raw(
    cursor: duckdb.DuckDBPyConnection, names: Names, selection: Selection, reached: int, limit: int, after: str | None
) -> Page:
    """Up to `limit` readings in the order of time, then of the log; raises `Malformed`."""
    if not 0 < limit <= MAX_ROWS:
        raise Malformed("limit", f"is not between 1 and {MAX_ROWS}")
    condition = selection.where(names)
    if after is not None:
        time, position = _parse_after(after)
        beyond = f"time >= {seconds(time)} AND (time > {seconds(time)} OR position > {position})"
        condition = condition and f"{condition} AND {beyond}"
    table = cursor.sql(f"{rows_sql(condition)} LIMIT {limit + 1}").to_arrow_table()
    if table.num_rows <= limit:
        return Page(table, None, reached)
    last = table.slice(limit - 1, 1).to_pylist()[0]
    return Page(table.slice(0, limit), f"{last['time'].hex()}@{last['log_index'] * ROWS + last['entry_row']}", reached)


def _parse_after(text: str) -> tuple[float, int]:
    found = _AFTER.fullmatch(text)
    if not found:
        raise Malformed("after", "is not what an earlier page gave as next")
    return float.fromhex(found[1]), int(found[2])


def latest(cursor: duckdb.DuckDBPyConnection, names: Names, selection: Selection, reached: int) -> Page:
    """The newest reading of each twin's signal by name, by time and then by place in the log, as in `TwinState`."""
    condition = selection.where(names) or "false"
    # Two light passes: a maximum over the pair (time, position) costs ten times as much as one over a number.
    table = cursor.sql(f"""
        WITH p AS (SELECT * FROM points WHERE {condition}),
        newest AS MATERIALIZED (
            SELECT p.twin, s.name, max(p.time) AS time FROM p JOIN signals s ON s.id = p.signal GROUP BY ALL),
        last AS MATERIALIZED (
            SELECT max(p.position) AS position FROM p JOIN signals s ON s.id = p.signal
            JOIN newest n ON n.twin = p.twin AND n.name = s.name AND n.time = p.time GROUP BY p.twin, s.name)
        SELECT {_SHOWN} FROM p {_NAMED} WHERE p.position IN (SELECT position FROM last)
        ORDER BY t.subject, s.name""").to_arrow_table()
    return Page(table, None, reached)
