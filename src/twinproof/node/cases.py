"""The alarms that stand, with their cases, ranked: what an operator looks at first."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Final

from twinproof.node.states import States
from twinproof.twin.alarm import Case, Severity
from twinproof.twin.state import TwinState

ALIKE: Final = 3
"""Signals of a case that count for a fleet's, if their parts are half of the first one's or more."""
Way = tuple[str, bool]
"""A signal, and whether it is too low."""
_RANK: Final = {severity.value: rank for rank, severity in enumerate(Severity, 1)}


@dataclass(frozen=True, slots=True)
class RankedCase:
    """An alarm that a detector raised and that is not normal."""

    subject: str
    rule: str
    state: str
    """In the words of ISA-18.2."""
    severity: str | None
    """The twin's own rule says it, or its model's."""
    entry: int
    time: int
    case: Case
    part_of: str | None
    """The model of which a case says that many twins stray like this one."""

    @property
    def order(self) -> tuple[bool, int, bool, float, str, str]:
        """Sorts what matters most first: cases of fleets and of single assets, by severity and distance."""
        rank = _RANK.get(self.severity or "", 0)
        return self.part_of is not None, -rank, self.case.fleet is None, -self.case.score, self.subject, self.rule


def ranked_cases(states: States, prefix: str = "") -> list[RankedCase]:
    """Of all subjects that begin with `prefix`, most urgent first; those that are part of a fleet's case come last."""
    with states.asking() as database:
        folded = _Folded(database)
        rows = database.execute(
            "SELECT t.sub, a.rule FROM alarm a JOIN twin t ON t.id = a.twin WHERE t.sub >= ? AND t.sub < ?",
            (prefix, prefix + "\U0010ffff"),
        ).fetchall()
        found = [folded.case(subject, rule) for subject, rule in rows]
    return sorted((case for case in found if case is not None), key=lambda case: case.order)


def cases_of(states: States, alarms: list[tuple[str, str]]) -> dict[tuple[str, str], RankedCase]:
    """The cases among some alarms, by (subject, rule)."""
    with states.asking() as database:
        folded = _Folded(database)
        found = {key: folded.case(*key) for key in alarms}
    return {key: case for key, case in found.items() if case is not None}


class _Folded:
    """States as the view keeps them, each read once."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._kept: dict[str, TwinState | None] = {}

    def case(self, subject: str, rule: str) -> RankedCase | None:
        state = self._state(subject)
        alarm = state.live.alarms.get(rule) if state else None
        if state is None or alarm is None or alarm.case is None:
            return None
        model = self._state(state.model.value) if state.model else None
        held = state.live.rules.get(rule) or (model.live.rules.get(rule) if model else None)
        shared = model.live.alarms.get(rule) if model else None
        part = model is not None and shared is not None and shared.active and _alike(alarm.case, shared.case)
        return RankedCase(
            subject, rule, alarm.name, held.rule.severity.value if held else None, alarm.entry, alarm.time, alarm.case,
            model.subject if model is not None and part else None,
        )  # fmt: skip

    def _state(self, subject: str) -> TwinState | None:
        if subject not in self._kept:
            row = self._database.execute("SELECT state FROM twin WHERE sub = ?", (subject,)).fetchone()
            self._kept[subject] = TwinState.from_cbor(row[0]) if row and row[0] else None
        return self._kept[subject]


def way_of(signal: tuple[str, float]) -> Way:
    """A signal of a case, with its direction."""
    return signal[0], signal[1] < 0


def leading(case: Case) -> set[Way]:
    """What strays most in a case."""
    least = abs(case.signals[0][1]) / 2
    return {way_of(signal) for signal in case.signals[:ALIKE] if abs(signal[1]) >= least}


def _alike(own: Case, shared: Case | None) -> bool:
    return shared is not None and shared.fleet is not None and way_of(shared.signals[0]) in leading(own)
