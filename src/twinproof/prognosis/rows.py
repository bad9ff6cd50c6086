"""From readings in the log to the rows that a model reads: spec/prediction.md, "Rows". No numpy: auditors run this.

One `RowReader` per twin. It keeps the last cycle, and nothing else, so that it is rebuilt with the state.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import nan
from typing import Final

from twinproof.prognosis.record import MAX_CYCLE, Row
from twinproof.twin.columns import Columns
from twinproof.twin.reading import Reading

NEVER: Final = -1


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a model wants of readings."""

    settings: tuple[str, ...]
    signals: tuple[str, ...]
    cycle: str | None
    """Name of the reading that counts cycles; None: rows are counted."""


def samples(payload: object) -> list[dict[str, float]]:
    """The numbers of a statement by name, one map per time, by ascending time; none for other kinds."""
    if isinstance(payload, Columns):
        if payload.rows == 1:
            return [{name: float(values[0]) for name, _, values in payload.columns if values[0] == values[0]}]
        return _by_time(payload.readings())
    if isinstance(payload, list):
        return _by_time(payload)
    return []


def _by_time(readings: Iterable[Reading]) -> list[dict[str, float]]:
    found: dict[float, dict[str, float]] = {}
    for reading in readings:
        if type(reading.value) is float or type(reading.value) is int:
            found.setdefault(reading.time, {})[reading.name] = float(reading.value)
    return [found[time] for time in sorted(found)]


class RowReader:
    """Turns one twin's statements, in log order, into its rows."""

    __slots__ = ("_signals", "left_out", "newest", "wanted")

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.newest = NEVER
        """The last cycle."""
        self.left_out = 0
        """Rows whose cycle was no whole number or did not grow."""
        self._signals = frozenset(wanted.signals)

    def take(self, payload: object) -> list[Row]:
        """The rows of the next statement; most kinds have none."""
        wanted, rows = self.wanted, []
        for found in samples(payload):
            if self._signals.isdisjoint(found) or (wanted.cycle is not None and wanted.cycle not in found):
                continue
            cycle = self._cycle(found)
            if cycle is None:
                self.left_out += 1
                continue
            self.newest = cycle
            rows.append(Row(cycle, _values(wanted.settings, found), _values(wanted.signals, found)))
        return rows

    def _cycle(self, found: dict[str, float]) -> int | None:
        if self.wanted.cycle is None:
            # From 1: `NEVER` stands for no row yet.
            return max(self.newest, 0) + 1
        number = found[self.wanted.cycle]
        if not number.is_integer() or not max(self.newest, -1) < number <= MAX_CYCLE:
            return None
        return int(number)


def _values(names: Sequence[str], found: dict[str, float]) -> tuple[float, ...]:
    return tuple([found.get(name, nan) for name in names])
