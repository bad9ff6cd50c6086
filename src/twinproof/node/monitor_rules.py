"""Which monitors are in force for which twins, as the log says: a fold of rules and descriptions.

A twin's own rule goes before its model's of the same id, whatever its test. A retired twin has none.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from twinproof.errors import Malformed
from twinproof.node.monitor_tracks import Held
from twinproof.prognosis.monitor import parse_monitor
from twinproof.twin.alarm import Rule, RuleRemoval


@dataclass(slots=True)
class MonitorRules:
    """One per monitoring task."""

    models: dict[str, str] = field(default_factory=dict)
    """Twin -> its model."""
    retired: set[str] = field(default_factory=set)
    unusable: dict[tuple[str, str], Malformed] = field(default_factory=dict)
    """By what the rule is about, and its id."""
    _stated: dict[str, dict[str, Held | None]] = field(default_factory=dict)
    """None: a rule of another kind, which stands before the model's of that id."""
    _twins_of: dict[str, set[str]] = field(default_factory=dict)
    _members: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    """Of `members`, until a rule or a twin changes: a fleet's alarms come one by one, and each asks for all of it."""

    def meet(self, twin: str, model: str | None, retired: bool) -> None:
        """What is known of a twin."""
        self._members.clear()
        if model is not None:
            self._twins_of.get(self.models.get(twin, ""), set()).discard(twin)
            self.models[twin] = model
            self._twins_of.setdefault(model, set()).add(twin)
        (self.retired.add if retired else self.retired.discard)(twin)

    def state(self, about: str, change: Rule | RuleRemoval, entry: int) -> set[str]:
        """A rule was stated or removed; the twins that it may concern."""
        self._members.clear()
        stated = self._stated.setdefault(about, {})
        before = stated.pop(change.id, None)
        self.unusable.pop((about, change.id), None)
        if isinstance(change, Rule):
            stated[change.id] = self._read(about, change, entry)
        if not stated:
            del self._stated[about]
        if before is None and stated.get(change.id) is None and about not in self._stated:
            return set()
        return {about} | self._twins_of.get(about, set())

    def _read(self, about: str, rule: Rule, entry: int) -> Held | None:
        if rule.monitor is None:
            return None
        try:
            return Held(about, rule, entry, parse_monitor(rule.monitor))
        except Malformed as problem:
            self.unusable[about, rule.id] = problem
            return None

    def of(self, twin: str) -> dict[str, Held]:
        """The monitors in force for a twin, by rule id."""
        if twin in self.retired:
            return {}
        both = {**self._stated.get(self.models.get(twin, ""), {}), **self._stated.get(twin, {})}
        return {id_: held for id_, held in both.items() if held is not None}

    def watched(self) -> list[str]:
        """Every subject with a monitor in force, in the order of the names."""
        concerned = set(self._stated)
        for about in self._stated:
            concerned |= self._twins_of.get(about, set())
        return sorted(twin for twin in concerned if self.of(twin))

    def members(self, model: str, rule: str) -> frozenset[str]:
        """Twins for which a model's monitor is in force."""
        found = self._members.get((model, rule))
        if found is None:
            held = {twin: self.of(twin).get(rule) for twin in self._twins_of.get(model, ())}
            found = frozenset(twin for twin, each in held.items() if each is not None and each.about == model)
            self._members[model, rule] = found
        return found
