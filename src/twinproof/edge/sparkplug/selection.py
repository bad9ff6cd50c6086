"""From what a session says to observations of twins, by the rules of a mapping file ([[sparkplug]])."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from twinproof.edge.patterns import Pattern, contains, parse_pattern
from twinproof.edge.quality import Qualities, Quality
from twinproof.edge.selection import Observation, convert_value, observe
from twinproof.edge.signals import Signal
from twinproof.edge.sources import SparkplugRule, SparkplugSource
from twinproof.edge.sparkplug.datatypes import Meaning
from twinproof.edge.sparkplug.events import Event, Lost, Marked, Sample
from twinproof.edge.sparkplug.messages import DataSet, Template
from twinproof.edge.sparkplug.topics import NAMESPACE, MessageType, Source, state_topic
from twinproof.errors import Malformed

MAX_TOGETHER: Final = 256
"""Values of one observation."""
MAX_TEXT: Final = 64
"""Characters; a longer text is an observation of its own, so that none gets too large."""


class Target(NamedTuple):
    """Where a metric goes."""

    subject: str
    name: str
    signal: Signal
    quality: str | None
    """Name of the signal that says its quality."""


@dataclass(slots=True)
class Selection:
    """What is to be recorded, in order, and what cannot be."""

    observations: list[Observation] = field(default_factory=list)
    losses: list[tuple[str, float, str]] = field(default_factory=list)
    """(twin, seconds since 1970, reason)."""
    refused: list[tuple[str, Malformed]] = field(default_factory=list)
    """(what, why)."""


class Selector:
    """Applies the rules of one source."""

    def __init__(self, source: SparkplugSource) -> None:
        self._source = source
        self._targets: dict[Source, dict[str, list[Target]]] = {}
        self._quality: dict[tuple[Source, str], Quality] = {}
        self._qualities = Qualities()

    def wants(self, node: Source) -> bool:
        """Whether any rule is about this edge node or its devices."""
        return any(
            _match(rule.group, node.group) is not None and _match(rule.node, node.node) is not None
            for rule in self._source.map
        )

    @property
    def filters(self) -> list[str]:
        """Topic filters to subscribe to: all messages of the edge nodes, for they share one sequence; no commands."""
        found: dict[str, Pattern] = {}
        for rule in self._source.map:
            for kind in MessageType:
                if kind not in (MessageType.NCMD, MessageType.DCMD):
                    device = "/+" if kind.startswith("D") else ""
                    text = f"{NAMESPACE}/{rule.group.filter}/{kind}/{rule.node.filter}{device}"
                    found[text] = parse_pattern(text)
        patterns = list(found.values())
        wide = [one.filter for one in patterns if not any(contains(o, one) for o in patterns if o is not one)]
        return wide + ([state_topic(self._source.host_id)] if self._source.host_id else [])

    def select(self, events: Iterable[Event]) -> Selection:
        """What the events mean for the twins."""
        made = Selection()
        for event in events:
            match event:
                case Sample():
                    self._sample(event, made)
                case Marked():
                    self._mark(event, made)
                case Lost():
                    targets = self._of(event.source).values()
                    for subject in dict.fromkeys(target.subject for each in targets for target in each):
                        made.losses.append((subject, event.time, f"{event.source}: {event.reason}"))
                case _:
                    pass
        return made

    # --- values ---

    def _sample(self, sample: Sample, made: Selection) -> None:
        if sample.transient:
            return
        for target in self._of(sample.source).get(sample.name, ()):
            try:
                value = convert_value(target.signal, _plain(sample.value, target.name), target.name)
                units = {} if target.signal.unit is None else {target.name: target.signal.unit}
                seen = observe(target.subject, {target.name: value}, units, sample.time)
            except Malformed as problem:
                made.refused.append((f"{sample.name} of {sample.source}", problem))
                self._say(target, Quality.BAD, sample.time, made)
                continue
            _add(made.observations, seen)
            if not sample.historical:
                quality = self._quality.get((sample.source, sample.name), Quality.GOOD)
                self._say(target, quality, sample.time, made)

    # --- quality ---

    def _mark(self, mark: Marked, made: Selection) -> None:
        # A source that is born says nothing of its metrics yet: each is good when its value comes.
        if mark.name is None and mark.quality is not Quality.STALE:
            return
        targets = self._of(mark.source)
        for name in targets if mark.name is None else (mark.name,):
            self._quality[mark.source, name] = mark.quality
            for target in targets.get(name, ()):
                self._say(target, mark.quality, mark.time, made)

    def _say(self, target: Target, quality: Quality, time: float, made: Selection) -> None:
        if target.quality is not None and self._qualities.changes(target.subject, target.quality, quality):
            _add(made.observations, observe(target.subject, {target.quality: quality.value}, {}, time))

    # --- rules ---

    def _of(self, source: Source) -> dict[str, list[Target]]:
        known = self._targets.get(source)
        if known is None:
            known = self._targets[source] = {}
            for rule in self._source.map:
                groups = _groups(rule, source)
                if groups is not None:
                    subject = rule.twin.fill_iri(groups)
                    for signal in rule.signals:
                        name = signal.name.fill(groups)
                        quality = None if rule.quality is None else f"{name}{rule.quality}"
                        known.setdefault(signal.at or "", []).append(Target(subject, name, signal, quality))
        return known


def _match(pattern: Pattern | None, part: str | None) -> dict[str, str] | None:
    if pattern is not None and part is not None:
        return pattern.match(part)
    return {} if pattern is None and part is None else None


def _groups(rule: SparkplugRule, source: Source) -> dict[str, str] | None:
    found = [_match(rule.group, source.group), _match(rule.node, source.node), _match(rule.device, source.device)]
    if any(part is None for part in found):
        return None
    return {name: text for part in found if part is not None for name, text in part.items()}


def _plain(value: Meaning, name: str) -> int | float | bool | str | bytes:
    if isinstance(value, tuple | DataSet | Template):
        what = "array" if isinstance(value, tuple) else type(value).__name__
        raise Malformed(name, f"is a whole {what}; readings hold single values")
    return value


def _add(observations: list[Observation], seen: Observation) -> None:
    """Put the values of one moment of one twin together."""
    if observations:
        last = observations[-1]
        short = all(not isinstance(value, str) or len(value) <= MAX_TEXT for value in seen.values.values())
        if (
            (last.subject, last.time) == (seen.subject, seen.time)
            and last.values.keys().isdisjoint(seen.values)
            and len(last.values) < MAX_TOGETHER
            and short
        ):
            last.values.update(seen.values)
            last.units.update(seen.units)
            return
    observations.append(seen)
