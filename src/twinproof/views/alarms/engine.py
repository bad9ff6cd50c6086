"""All rules on all twins: entries and the time in, raises and clears out.

Pure: `Engine.take(item)` and `Engine.tick(now)` change the engine and return proposals; who signs and
delivers them is `node.automation`. What stands in the log is the truth: an alarm statement that comes
by, whoever signed it, sets the alarm, and what was proposed but not taken is withdrawn by `refused`.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from twinproof.twin.alarm import AlarmTransition, Rule, RuleRemoval, Test, Transition
from twinproof.twin.columns import Columns
from twinproof.twin.description import Description, Lifecycle
from twinproof.twin.reading import Reading
from twinproof.views.alarms.track import SCALAR_ROWS, Change, Settings, Track
from twinproof.views.feed import Item

MAX_FINDINGS: Final = 10_000
"""Findings kept; further ones are counted under no name."""


LATE: Final = "older than what was judged already"


class Held(NamedTuple):
    """A rule that is in force somewhere."""

    rule: Rule
    entry: int
    time: float
    """The `iat` of its statement."""


class Proposal(NamedTuple):
    """A transition that should be stated."""

    subject: str
    rule: str
    transition: Transition
    value: float | None
    time: float
    """POSIX seconds, by the readings' clock."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Readings that a rule could not judge; `code` is late, ahead or unit."""

    count: int
    entry: int
    """The newest such entry."""
    text: str


@dataclass(slots=True)
class Standing:
    """An alarm as the log has it, and what is on its way there."""

    logged: bool = False
    pending: list[Change] = field(default_factory=list)

    @property
    def active(self) -> bool:
        """How it will stand when everything on its way has arrived."""
        return self.pending[-1].transition is Transition.RAISE if self.pending else self.logged


@dataclass(slots=True)
class Watch:
    """One twin that rules are in force for."""

    rules: Mapping[str, Held] = field(default_factory=dict)
    """By id; shared between twins that have just their model's."""
    by_signal: Mapping[str, Sequence[str]] = field(default_factory=dict)
    tracks: dict[str, Track] = field(default_factory=dict)
    standing: dict[str, Standing] = field(default_factory=dict)
    bound: tuple[int, float] = (-1, 0.0)
    """Entry that made the twin one of its model, and its `iat`."""
    revived: tuple[int, float] = (-1, 0.0)
    """Entry that ended a retirement, and its `iat`."""

    def stand(self, rule: str) -> Standing:
        """The alarm of a rule, made if need be."""
        found = self.standing.get(rule)
        if found is None:
            found = self.standing[rule] = Standing()
        return found


def is_ours(rule: Rule) -> bool:
    """Whether a rule is judged here: detectors are `node.monitoring`'s."""
    return rule.test is not Test.STRAYS


def by_signal(rules: Mapping[str, Held]) -> dict[str, list[str]]:
    """Rule ids by the signal that they look at, in order of the ids."""
    found: dict[str, list[str]] = {}
    for id_ in sorted(rules):
        found.setdefault(rules[id_].rule.signal, []).append(id_)
    return found


class Engine:
    """One owner, one thread; items in log order."""

    def __init__(self, issuer: str, settings: Settings | None = None) -> None:
        """`issuer` is who signs what is proposed here."""
        self.issuer = issuer
        self.settings = settings or Settings()
        self.findings: dict[tuple[str, str, str], Finding] = {}
        """By (twin, rule, code)."""
        self.watches: dict[str, Watch] = {}
        self.stated: dict[str, dict[str, Held]] = {}
        """Rules by the twin or model that they are about."""
        self.models: dict[str, str] = {}
        """Twin -> its model."""
        self.retired: set[str] = set()
        self._twins: dict[str, set[str]] = {}
        """Model -> twins."""
        self._shared: dict[str, tuple[Mapping[str, Held], Mapping[str, Sequence[str]]]] = {}
        """A model's rules and their index, for all of its twins."""
        self._queue: list[tuple[float, str, str]] = []
        """(when, twin, rule): when to look at a track without a reading, or earlier than need be."""

    # --- what comes in ------------------------------------------------------------------------

    def take(self, item: Item) -> list[Proposal]:
        """Take in the next entry; what it makes of the alarms."""
        payload = item.payload
        if isinstance(payload, (list, Columns)):
            watch = self.watches.get(item.statement.subject)
            return [] if watch is None else self._readings(item, watch)
        if isinstance(payload, AlarmTransition):
            return self._alarm(item, payload)
        if isinstance(payload, Rule | RuleRemoval):
            return self._rule(item, payload)
        if isinstance(payload, Description):
            return self._describe(item, payload)
        return []

    def tick(self, now: float) -> list[Proposal]:
        """Let time pass up to `now`, POSIX seconds: delays end, readings are missed."""
        found: list[Proposal] = []
        queue = self._queue
        while queue and queue[0][0] < now:
            when, subject, id_ = heapq.heappop(queue)
            watch = self.watches.get(subject)
            track = watch.tracks.get(id_) if watch else None
            if watch is None or track is None or track.queued != when:
                continue
            track.queued = None
            out: list[Change] = []
            track.advance(now, out)
            found += self._propose(subject, watch, id_, out)
            self.enqueue(subject, id_, track)
        return found

    def refused(self, proposal: Proposal) -> None:
        """This proposal will not be in the log, nor those after it about the same alarm, unless proposed again."""
        watch = self.watches.get(proposal.subject)
        standing = watch.standing.get(proposal.rule) if watch else None
        if watch is None or standing is None:
            return
        change = Change(proposal.transition, proposal.value, proposal.time)
        if change in standing.pending:
            del standing.pending[standing.pending.index(change) :]
            self.follow(proposal.subject, watch, proposal.rule, standing)

    # --- readings -----------------------------------------------------------------------------

    def _readings(self, item: Item, watch: Watch) -> list[Proposal]:
        found: list[Proposal] = []
        for id_, track, out in self._judge(item, watch):
            if out:
                found += self._propose(item.statement.subject, watch, id_, out)
            self.enqueue(item.statement.subject, id_, track)
        if len(found) > 1:
            found.sort(key=lambda proposal: (proposal.time, proposal.rule))
        return found

    def _judge(self, item: Item, watch: Watch) -> Iterator[tuple[str, Track, list[Change]]]:
        """Each track that the item has readings for, and what these changed."""
        payload = item.payload
        if isinstance(payload, Columns):
            yield from self._judge_columns(item, watch, payload)
        elif isinstance(payload, list):
            horizon = item.statement.issued_at + self.settings.ahead
            grouped: dict[str, list[Reading]] = {}
            for reading in payload:
                if reading.name in watch.by_signal:
                    if reading.time <= horizon:
                        grouped.setdefault(reading.name, []).append(reading)
                    else:
                        self._find_ahead(item, watch, reading.name, 1)
            for name, readings in grouped.items():
                readings.sort(key=lambda reading: reading.time)
                for id_, track in self._tracks(item, watch, name):
                    yield id_, track, self._judge_list(item, id_, track, readings)

    def _tracks(self, item: Item, watch: Watch, signal: str) -> Iterator[tuple[str, Track]]:
        for id_ in watch.by_signal[signal]:
            track = self.track(item.statement.subject, watch, id_)
            if item.index > track.start:
                yield id_, track

    def _judge_columns(self, item: Item, watch: Watch, columns: Columns) -> Iterator[tuple[str, Track, list[Change]]]:
        wanted = [column for column in columns.columns if column.name in watch.by_signal]
        times = _times(columns) if wanted else np.empty(0)
        near = times <= item.statement.issued_at + self.settings.ahead
        for name, unit, samples in wanted:
            values = np.asarray(samples, dtype=np.float64)
            there = ~np.isnan(values)
            t, v = times[there & near], values[there & near]
            if ahead := int(np.count_nonzero(there)) - len(t):
                self._find_ahead(item, watch, name, ahead)
            for id_, track in self._tracks(item, watch, name):
                out: list[Change] = []
                if not len(t):
                    continue
                if not track.takes_unit(unit):
                    self._find(item, id_, "unit", len(t), _units(unit, track.unit))
                    continue
                few = len(t) <= SCALAR_ROWS
                late = track.judge(t.tolist(), v.tolist(), out) if few else track.judge_rows(t, v, out)
                if late:
                    self._find(item, id_, "late", late, LATE)
                yield id_, track, out

    def _judge_list(self, item: Item, id_: str, track: Track, readings: list[Reading]) -> list[Change]:
        out: list[Change] = []
        if track.is_missing:
            late = track.judge([reading.time for reading in readings], None, out)
        else:
            times: list[float] = []
            values: list[float] = []
            for reading in readings:
                if type(reading.value) is float or type(reading.value) is int:
                    if track.takes_unit(reading.unit):
                        times.append(reading.time)
                        values.append(float(reading.value))
                    else:
                        self._find(item, id_, "unit", 1, _units(reading.unit, track.unit))
            late = track.judge(times, values, out)
        if late:
            self._find(item, id_, "late", late, LATE)
        return out

    def track(self, subject: str, watch: Watch, id_: str) -> Track:
        """The track of a rule in force, made when it is first needed: a model's rules hold for many twins."""
        track = watch.tracks.get(id_)
        if track is None:
            held = watch.rules[id_]
            own = self.stated.get(subject, {}).get(id_) is held
            start, time = max((held.entry, held.time), watch.revived, (-1, 0.0) if own else watch.bound)
            standing = watch.standing.get(id_)
            active = standing is not None and standing.active
            track = watch.tracks[id_] = Track(held.rule, self.settings, active=active, start=start, since=time)
        return track

    # --- proposals and the log ----------------------------------------------------------------

    def _propose(self, subject: str, watch: Watch, id_: str, changes: list[Change]) -> list[Proposal]:
        if changes:
            watch.stand(id_).pending += changes
        return [Proposal(subject, id_, *change) for change in changes]

    def enqueue(self, subject: str, id_: str, track: Track) -> None:
        """See to it that a tick finds what falls due on this track."""
        due = track.due()
        # What is queued for earlier finds out then that there is nothing to do, and queues itself anew.
        if due is not None and (track.queued is None or due < track.queued):
            track.queued = due
            heapq.heappush(self._queue, (due, subject, id_))

    def _alarm(self, item: Item, said: AlarmTransition) -> list[Proposal]:
        if said.transition not in (Transition.RAISE, Transition.CLEAR):
            return []
        subject, raised = item.statement.subject, said.transition is Transition.RAISE
        watch = self.watches.get(subject)
        if watch is None:
            if item.statement.issuer != self.issuer or not raised:
                return []
            watch = self.watches[subject] = Watch()
        elif said.rule not in watch.rules and said.rule not in watch.standing and item.statement.issuer != self.issuer:
            return []  # somebody else's alarm, which no rule of ours is about
        standing = watch.stand(said.rule)
        standing.logged = raised
        track = watch.tracks.get(said.rule)
        if track is not None and not standing.pending and said.time is not None and track.due() == said.time:
            # The clock brought this to light before a restart; it is the same change.
            track.advance(np.nextafter(said.time, np.inf).item(), standing.pending)
        at = next((n for n, change in enumerate(standing.pending) if _same(change, said)), None)
        if at is not None:
            del standing.pending[: at + 1]
        elif item.statement.issuer != self.issuer or not standing.pending:
            standing.pending.clear()
            self.follow(subject, watch, said.rule, standing)
        own = item.statement.issuer == self.issuer
        if own and said.rule not in watch.rules and standing.logged and not standing.pending:
            # It was on its way when the rule went.
            return self._propose(
                subject, watch, said.rule, [Change(Transition.CLEAR, None, float(item.statement.issued_at))]
            )
        self.tidy(subject, watch, said.rule)
        return []

    def follow(self, subject: str, watch: Watch, id_: str, standing: Standing) -> None:
        """Set a track to how its alarm stands."""
        track = watch.tracks.get(id_)
        if track is not None and track.active != standing.active:
            track.set_active(standing.active)
            self.enqueue(subject, id_, track)

    def tidy(self, subject: str, watch: Watch, id_: str) -> None:
        """Forget an alarm that is as the log and everything on its way there leave it."""
        standing = watch.standing.get(id_)
        if standing is not None and not standing.logged and not standing.pending:
            del watch.standing[id_]
        if not watch.rules and not watch.standing:
            self.watches.pop(subject, None)

    # --- which rules hold ---------------------------------------------------------------------

    def _rule(self, item: Item, change: Rule | RuleRemoval) -> list[Proposal]:
        subject = item.statement.subject
        stated = self.stated.setdefault(subject, {})
        if isinstance(change, Rule) and is_ours(change):
            stated[change.id] = Held(change, item.index, float(item.statement.issued_at))
        else:
            stated.pop(change.id, None)
            if not stated:
                del self.stated[subject]
            watch = self.watches.get(subject) if isinstance(change, RuleRemoval) else None
            if watch is not None and (standing := watch.standing.get(change.id)) is not None:
                # The removal of a twin's own rule takes the alarm out of its state: nothing is left to clear.
                standing.logged = False
                track = watch.tracks.get(change.id)
                if track is not None:
                    track.set_active(standing.active)
        self._shared.pop(subject, None)
        found = self.refresh(subject, item, only=change.id)
        for twin in sorted(self._twins.get(subject, ())):
            found += self.refresh(twin, item, only=change.id)
        return found

    def _describe(self, item: Item, change: Description) -> list[Proposal]:
        subject = item.statement.subject
        model, retired = self.models.get(subject), subject in self.retired
        if change.lifecycle is not None:
            (self.retired.add if change.lifecycle is Lifecycle.RETIRED else self.retired.discard)(subject)
        if change.model is not None:
            self.set_model(subject, change.model)
        rebound, revived = self.models.get(subject) != model, retired and subject not in self.retired
        if not rebound and retired == (subject in self.retired):
            return []
        return self.refresh(subject, item, rebound=rebound, revived=revived)

    def set_model(self, subject: str, model: str) -> None:
        """The twin is of this model from now on; `refresh` makes that count."""
        old = self.models.get(subject)
        if old is not None:
            self._twins[old].discard(subject)
        self.models[subject] = model
        self._twins.setdefault(model, set()).add(subject)

    def rules_of(self, subject: str) -> tuple[Mapping[str, Held], Mapping[str, Sequence[str]]]:
        """The rules in force for a twin, and their index; of two with one id the twin's own holds."""
        model = self.models.get(subject)
        own = self.stated.get(subject)
        if subject in self.retired or (own is None and model is None):
            return {}, {}
        shared = self._shared.get(model) if model is not None else None
        if shared is None and model is not None:
            rules = dict(self.stated.get(model, {}))
            shared = self._shared[model] = (rules, by_signal(rules))
        if own is None or model == subject:
            return shared if shared is not None else ({}, {})
        both = {**(shared[0] if shared else {}), **own}
        return both, by_signal(both)

    def refresh(
        self, subject: str, item: Item, *, rebound: bool = False, revived: bool = False, only: str | None = None
    ) -> list[Proposal]:
        """Make the rules in force count for a twin; `item` is the entry that changed them, or just the one `only`."""
        watch = self.watches.get(subject)
        rules, index = self.rules_of(subject)
        if watch is None:
            if not rules:
                return []
            watch = self.watches[subject] = Watch()
        old, watch.rules, watch.by_signal = watch.rules, rules, index
        moment = (item.index, float(item.statement.issued_at))
        watch.bound = moment if rebound else watch.bound
        watch.revived = moment if revived else watch.revived
        gone = [id_ for id_ in (old if only is None else (only,)) if id_ in old and rules.get(id_) is not old[id_]]
        found: list[Proposal] = []
        for id_ in gone:
            watch.tracks.pop(id_, None)
            standing = watch.standing.get(id_)
            if id_ not in rules and standing is not None and standing.active:
                found += self._propose(subject, watch, id_, [Change(Transition.CLEAR, None, moment[1])])
        self.expect(subject, watch, rules if only is None else (only,))
        for id_ in gone:
            self.tidy(subject, watch, id_)
        if not rules and not watch.standing:
            self.watches.pop(subject, None)
        return found

    def expect(self, subject: str, watch: Watch, ids: Iterable[str]) -> None:
        """Begin to wait for the readings that the rules `ids` would miss."""
        for id_ in ids:
            held = watch.rules.get(id_)
            if held is not None and held.rule.test is Test.MISSING and id_ not in watch.tracks:
                self.enqueue(subject, id_, self.track(subject, watch, id_))

    # --- findings -----------------------------------------------------------------------------

    def _find_ahead(self, item: Item, watch: Watch, signal: str, count: int) -> None:
        for id_ in watch.by_signal[signal]:
            self._find(item, id_, "ahead", count, f"more than {self.settings.ahead:g} s ahead of its statement")

    def _find(self, item: Item, rule: str, code: str, count: int, text: str) -> None:
        key = (item.statement.subject, rule, code)
        if key not in self.findings and len(self.findings) >= MAX_FINDINGS:
            key = ("", "", code)
        known = self.findings.get(key)
        self.findings[key] = Finding(count + (known.count if known else 0), item.index, text)


def _times(columns: Columns) -> NDArray[np.float64]:
    """`Columns.times` without a step of Python per row."""
    if columns.offsets is not None:
        offsets: NDArray[np.float64] = np.asarray(columns.offsets, dtype=np.float64)
    else:
        offsets = np.arange(columns.rows, dtype=np.float64) * float(columns.step or 0)
    return float(columns.base_time) + offsets


def _units(found: str | None, wanted: str | None) -> str:
    return f"unit {found or 'none'}, but the rule was first compared with values in {wanted or 'no unit'}"


def _same(change: Change, said: AlarmTransition) -> bool:
    return change.transition is said.transition and change.time == said.time


def settle(changes: Iterable[Change], active: bool) -> list[Change]:
    """Those of `changes` that can be stated one after the other when the alarm stands as `active` says."""
    kept = []
    for change in changes:
        raised = change.transition is Transition.RAISE
        if raised != active:
            kept.append(change)
            active = raised
    return kept
