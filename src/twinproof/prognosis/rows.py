"""From readings in the log to the rows that a model reads: spec/prediction.md, "Rows". No numpy: auditors run this.

One `RowReader` per twin and episode. It keeps the last cycle and the first, and nothing else that rows depend on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import Final

from twinproof.prognosis.record import MAX_CYCLE, Row
from twinproof.twin.attestation import OVERHAUL, Attestation
from twinproof.twin.columns import Columns
from twinproof.twin.reading import Reading
from twinproof.twin.statement import Statement

NEVER: Final = -1


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a model wants of readings."""

    settings: tuple[str, ...]
    signals: tuple[str, ...]
    cycle: str | None
    """Name of the reading that counts cycles; None: rows are counted."""
    units: tuple[str | None, ...] | None = None
    """UCUM codes of the settings, then of the signals; None for a reading without one. None altogether: any."""


def episode_of(statement: Statement, payload: object) -> str | None:
    """Name of the episode that a statement begins, if it is an overhaul's."""
    overhaul = isinstance(payload, Attestation) and payload.type == OVERHAUL
    return statement.digest.hex() if overhaul else None


def units_of(payload: object) -> dict[str, str | None]:
    """The units in which a statement gives numbers, by name; none for other kinds."""
    if isinstance(payload, Columns):
        return {name: unit for name, unit, _ in payload.columns}
    if isinstance(payload, list):
        return {reading.name: reading.unit for reading in payload if isinstance(reading, Reading)}
    return {}


_ANY: Final[Mapping[str, str | None]] = {}


def samples(payload: object, units: Mapping[str, str | None] = _ANY) -> list[dict[str, float]]:
    """The numbers of a statement by name, one map per time, by ascending time; none for other kinds.

    What `units` names and comes in another unit is NaN: it is there, and says nothing.
    """
    if isinstance(payload, Columns):
        if payload.rows == 1:
            return [
                {
                    name: float(values[0]) if units.get(name, unit) == unit else nan
                    for name, unit, values in payload.columns
                    if values[0] == values[0]
                }
            ]
        return _by_time(payload.readings(), units)
    if isinstance(payload, list):
        return _by_time(payload, units)
    return []


def _by_time(readings: Iterable[Reading], units: Mapping[str, str | None]) -> list[dict[str, float]]:
    found: dict[float, dict[str, float]] = {}
    for reading in readings:
        if type(reading.value) is float or type(reading.value) is int:
            fits = units.get(reading.name, reading.unit) == reading.unit
            found.setdefault(reading.time, {})[reading.name] = float(reading.value) if fits else nan
    return [found[time] for time in sorted(found)]


class RowReader:
    """Turns one twin's statements, in log order, into its rows."""

    __slots__ = ("_signals", "_units", "before", "left_out", "newest", "strange", "wanted")

    def __init__(self, wanted: Wanted, *, renewed: bool = False) -> None:
        """`renewed`: the twin was overhauled, so that the first row has the cycle 1, whatever its number."""
        self.wanted = wanted
        self.before: int | None = None if renewed else 0
        """What is taken off the numbers of cycles; None until a renewed twin's first row."""
        self.strange: set[str] = set()
        """Settings and signals that came in another unit than the model's."""
        self.newest = NEVER
        """The last cycle."""
        self.left_out = 0
        """Rows whose cycle was no whole number or did not grow."""
        self._signals = frozenset(wanted.signals)
        names = (*wanted.settings, *wanted.signals)
        self._units = dict(zip(names, wanted.units, strict=True)) if wanted.units is not None else _ANY

    def take(self, payload: object) -> list[Row]:
        """The rows of the next statement; most kinds have none."""
        wanted, rows = self.wanted, []
        for found in samples(payload, self._units):
            if self._signals.isdisjoint(found) or (wanted.cycle is not None and wanted.cycle not in found):
                continue
            cycle = self._cycle(found)
            if cycle is None:
                self.left_out += 1
                continue
            self.newest = cycle
            if self.before is None:
                self.before = cycle - 1
            settings, signals = _values(wanted.settings, found), _values(wanted.signals, found)
            rows.append(Row(cycle - self.before, settings, signals))
            if self._units:
                self.strange |= {name for name in self._units if name in found and found[name] != found[name]}
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
