"""Fleets that drift: many twins of a model whose cases name the same signal in the same direction.

A batch of sensors, the weather or another fuel moves a whole fleet; no single asset is at fault then. One case about
the model says so, and those of its twins are part of it (`node.cases`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final, Literal

from twinproof.node.cases import Way, leading, way_of
from twinproof.node.monitor_rules import MonitorRules
from twinproof.twin.alarm import MAX_STRAYS, Case, Fleet

FEWEST: Final = 3
"""Twins that stray alike, below which nothing is said of a fleet."""


class FleetCases:
    """The cases that stand, by model and rule."""

    def __init__(self, rules: MonitorRules) -> None:
        self._rules = rules
        self._cases: dict[tuple[str, str], dict[str, tuple[Case, set[Way]]]] = {}
        self._standing: dict[tuple[str, str], Way] = {}

    def hear(self, twin: str, rule: str, case: Case) -> None:
        """A case of a twin stands."""
        model = self._rules.models.get(twin)
        if model is not None:
            self._cases.setdefault((model, rule), {})[twin] = (case, leading(case))

    def forget(self, twin: str, rule: str) -> None:
        """A twin's case is over."""
        self._cases.get((self._rules.models.get(twin, ""), rule), {}).pop(twin, None)

    def stand(self, model: str, rule: str, case: Case) -> None:
        """The fleet's case stands."""
        self._standing[model, rule] = way_of(case.signals[0])

    def lie(self, model: str, rule: str) -> None:
        """It does not."""
        self._standing.pop((model, rule), None)

    def known(self) -> list[tuple[str, str]]:
        """Every model and rule with a case."""
        return sorted({*self._cases, *self._standing})

    def weigh(self, model: str, rule: str) -> Case | Literal[False] | None:
        """The case to raise about a model, False to clear it, None to leave it as it is; it then stands so."""
        members = self._rules.members(model, rule)
        cases = [known for twin, known in self._cases.get((model, rule), {}).items() if twin in members]
        held = self._rules.of(next(iter(members))).get(rule) if members else None
        standing = self._standing.get((model, rule))
        if standing is not None:
            strayed = sum(standing in ways for _, ways in cases)
            if held is not None and strayed >= held.monitor.share * len(members) / 2:
                return None
            self.lie(model, rule)
            return False
        if held is None or len(cases) < max(FEWEST, held.monitor.share * len(members)):
            return None
        newest = max(case.since for case, _ in cases)
        recent = [known for known in cases if known[0].since >= newest - held.monitor.window]
        counts = Counter(way for _, ways in recent for way in ways)
        strayed = max(counts.values())
        if strayed < max(FEWEST, held.monitor.share * len(members)):
            return None
        found = _case(held.monitor.detector, recent, counts, Fleet(strayed, len(members)))
        self.stand(model, rule, found)
        return found


def _case(detector: str, cases: Iterable[tuple[Case, set[Way]]], counts: dict[Way, int], fleet: Fleet) -> Case:
    named: dict[str, float] = {}
    for (name, low), count in sorted(counts.items(), key=lambda each: (-each[1], each[0])):
        part = count / fleet.twins
        named.setdefault(name, -part if low else part)
    way = way_of(next(iter(named.items())))
    since = min(case.since for case, ways in cases if way in ways)
    return Case(detector, fleet.strayed / fleet.twins, since, tuple(named.items())[:MAX_STRAYS], (), fleet)
