"""What monitoring keeps of one monitor on one twin: rows with their times out of statements, and the watch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf
from typing import Final, NamedTuple

from twinproof.prognosis.cases import Change, Watch
from twinproof.prognosis.monitor import Monitor
from twinproof.prognosis.record import Row
from twinproof.prognosis.rows import RowReader, Wanted
from twinproof.twin.alarm import Rule
from twinproof.twin.columns import Columns
from twinproof.twin.reading import Reading
from twinproof.twin.statement import Statement

AHEAD: Final = 300.0
"""Seconds that a reading may be ahead of its statement's `iat`; beyond them its time is not believed."""


class Held(NamedTuple):
    """A rule with a monitor, in force somewhere."""

    about: str
    """The twin or model."""
    rule: Rule
    entry: int
    monitor: Monitor


class Decided(NamedTuple):
    """A raise or clear, and its evidence."""

    change: Change
    time: float
    """Of the row that decided."""
    score: float
    signals: tuple[tuple[str, float], ...]
    hints: tuple[str, ...]


@dataclass(eq=False, slots=True)
class Track:
    """One monitor on one twin."""

    held: Held
    start: int
    """The entry from which on the rule holds; rows before it say what is normal, and raise nothing."""
    watch: Watch = field(init=False)
    rows: RowReader = field(init=False)
    findings: Counter[str] = field(default_factory=Counter)
    """Readings passed over: late, ahead, unit."""
    newest: float = -inf
    units: dict[str, str | None] = field(init=False)

    def __post_init__(self) -> None:
        self.units = dict(self.held.monitor.units or {})
        self.renew()

    def renew(self) -> None:
        """Begin anew: the asset was overhauled, and what was normal for it is so no longer."""
        monitor = self.held.monitor
        self.watch = Watch(monitor)
        self.rows = RowReader(Wanted(monitor.settings, monitor.wanted, monitor.cycle))

    def take(self, index: int, statement: Statement, payload: object) -> list[Decided]:
        """Go on by a statement of readings; what it decided."""
        found, rule = [], self.held.rule
        for time, row in self._timed(statement, payload):
            verdict = self.watch.take(row)
            if index < self.start:
                continue
            change = self.watch.decide(verdict, time, rule.limit, rule.deadband)
            if change is not None:
                evidence, hints = self.watch.evidence(), self.watch.hints()
                found.append(Decided(change, time, verdict.score, evidence, hints if change.raised else ()))
        return found

    def _timed(self, statement: Statement, payload: object) -> Iterable[tuple[float, Row]]:
        if isinstance(payload, Columns):
            readings: Iterable[Reading] = payload.readings()
        elif isinstance(payload, list):
            readings = payload
        else:
            return
        monitor, horizon = self.held.monitor, statement.issued_at + AHEAD
        wanted = {*monitor.wanted, *monitor.settings, monitor.cycle}
        by_time: dict[float, list[Reading]] = {}
        for reading in readings:
            if reading.name not in wanted or type(reading.value) not in (int, float):
                continue
            if reading.time > horizon:
                self.findings["ahead"] += 1
            elif reading.unit != self.units.setdefault(reading.name, reading.unit):
                self.findings["unit"] += 1
            else:
                by_time.setdefault(reading.time, []).append(reading)
        for time in sorted(by_time):
            if monitor.cycle is None and time <= self.newest:
                self.findings["late"] += 1
                continue
            left_out = self.rows.left_out
            rows = self.rows.take(by_time[time])
            self.findings["late"] += self.rows.left_out - left_out
            if rows:
                self.newest = time
                yield time, rows[0]
