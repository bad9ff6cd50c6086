"""The node's monitoring: states the cases that detectors make of the readings in the log.

    rule with a monitor + readings in the log ─▶ rows ─▶ a watch per twin and rule ─▶ `alarm` statement with its case
    cases of many twins of a model that stray alike ─▶ one `alarm` about the model

It signs with a key of its own, FOLDER/keys/monitor.pem, as `log_subject#monitor`, which the operator must grant
`predict` (`twinproof monitor enable`). A watch is a fold of its twin's rows, so it is made again from the log; each
alarm names the `entry` that decided it, and what an entry decided is stated once. There is no cursor that could
disagree with the log.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from twinproof.errors import ConfigError, NotFound, Overloaded, StorageFailed, TwinproofError
from twinproof.node.monitor_fleet import FleetCases
from twinproof.node.monitor_rules import MonitorRules
from twinproof.node.monitor_tracks import Decided, Track
from twinproof.node.node import Clock, WritingNode
from twinproof.node.service_keys import MONITOR, PATIENCE
from twinproof.node.statements import logged_about
from twinproof.node.stating import Stating
from twinproof.node.tasks import Rounds
from twinproof.proof.keys import PrivateKey
from twinproof.twin.alarm import (
    ALARM,
    AlarmTransition,
    Case,
    Rule,
    RuleRemoval,
    Transition,
    format_transition,
    parse_alarm,
)
from twinproof.twin.attestation import OVERHAUL, Attestation
from twinproof.twin.columns import Columns
from twinproof.twin.description import Description, Lifecycle
from twinproof.twin.kinds import parse_payload
from twinproof.twin.state import TwinState
from twinproof.twin.statement import Statement
from twinproof.views.feed import Feed
from twinproof.views.state import StateView

CHUNK: Final = 1024
"""Entries read between two deliveries."""
MAX_QUEUE: Final = 4096
"""Alarms that wait; the log is read on when they are fewer."""
STANDING: Final = (Transition.RAISE, Transition.CLEAR)

_LOG = logging.getLogger(__name__)


class Stated(NamedTuple):
    """What the task hears again when an alarm is taken or refused."""

    subject: str
    rule: str
    raised: bool


class Monitoring(Rounds):
    """One per node. `step` does one round; `tasks.Task` runs rounds in a thread."""

    def __init__(
        self,
        node: WritingNode,
        feed: Feed,
        states: StateView,
        key: PrivateKey,
        *,
        clock: Clock,
        on_problem: Callable[[TwinproofError], None] | None = None,
    ) -> None:
        super().__init__("monitoring", on_problem)
        self.issuer = MONITOR.issuer(node.config.origin)
        self.stated = 0
        """Alarms that became entries."""
        self.refused = 0
        """Alarms that the log will not take."""
        self._node = node
        self._feed = feed
        self._states = states
        self._key = key
        self._stating = Stating[Stated](node, self.issuer, key, clock, taken=self._took, refused=self._refuse)
        self._decided: dict[tuple[str, str], int] = {}
        """(subject, rule) -> the newest entry whose decision was handed in."""
        self._stopping = threading.Event()
        self._restart()

    def stop(self) -> None:
        """Let the round under way end soon."""
        self._stopping.set()

    def _restart(self) -> None:
        self._opened = False
        self._reached = 0
        self._rules = MonitorRules()
        self._tracks: dict[str, dict[str, Track]] = {}
        self._fleets = FleetCases(self._rules)

    @property
    def reached(self) -> int:
        """Entries read."""
        return self._reached

    @property
    def waiting(self) -> int:
        """Alarms that are not in the log yet."""
        return len(self._stating)

    @property
    def twins(self) -> int:
        """Twins that are watched."""
        return len(self._tracks)

    @property
    def findings(self) -> dict[tuple[str, str], Counter[str]]:
        """By twin and rule: readings passed over as late, ahead or unit, and `missing NAME`, since the task began."""
        found = {}
        for subject, tracks in list(self._tracks.items()):
            for id_, track in list(tracks.items()):
                counted = Counter({f"missing {name}": n for name, n in list(track.watch.missing.items())})
                counted.update(track.findings.copy())
                if counted:
                    found[subject, id_] = +counted
        return found

    def passed_over(self) -> Counter[str]:
        """The findings of all twins by late, ahead, unit and missing; any thread may ask."""
        total: Counter[str] = Counter()
        for found in self.findings.values():
            for name, number in found.items():
                total[name.partition(" ")[0]] += number
        return total

    # --- running ------------------------------------------------------------------------------

    def _after_defect(self) -> None:
        """Everything is made again from the log."""
        self._stating.clear()
        self._decided.clear()
        self._restart()

    def _round(self) -> None:
        """Read what is new and state what it decided."""
        if not MONITOR.is_enabled(self._node, self._key):
            raise ConfigError("the node may not state cases; let it with: twinproof monitor enable --folder NODE")
        # First what waits: who opens anew must find it in the log.
        self._stating.deliver()
        while len(self._stating) < MAX_QUEUE and not self._stopping.is_set() and self._read():
            self._stating.deliver()
        self._stating.deliver()
        for (about, rule), problem in self._rules.unusable.items():
            raise ConfigError(f"the monitor of rule {rule} about {about} cannot be read: {problem}")

    def _read(self) -> bool:
        """Take in what is new; False if there was nothing."""
        try:
            if not self._opened:
                self._open()
            items = self._feed.read(self._reached, CHUNK)
            for item in items:
                self._hear(item.index, item.statement, item.payload)
                self._reached = item.index + 1
        except BaseException:
            # Something is half done. The log knows what was stated, once what waits is in it.
            self._restart()
            raise
        return bool(items)

    def _open(self) -> None:
        if not self._states.wait(self._feed.size, PATIENCE):
            raise StorageFailed("the states lag behind the log, so what stands cannot be told")
        reached = self._states.reached
        for subject, model, lifecycle in self._states.query("SELECT sub, model, lifecycle FROM twin", ()):
            self._rules.meet(subject, model, lifecycle == Lifecycle.RETIRED)
        with_rules = self._states.query(
            "SELECT DISTINCT t.sub FROM history h JOIN twin t ON t.id = h.twin WHERE h.kind = 'rule' AND h.entry < ?",
            (reached,),
        )
        for (subject,) in with_rules:
            for held in self._state(subject, reached).live.rules.values():
                self._rules.state(subject, held.rule, held.entry)
        self._reached = reached
        for subject in self._rules.watched():
            self._bind(subject)
        self._settle(reached)
        self._opened = True

    def _settle(self, reached: int) -> None:
        """What stands in the log: cases of fleets are weighed, and what no rule holds for any more is cleared."""
        rows = self._states.query("SELECT DISTINCT t.sub FROM alarm a JOIN twin t ON t.id = a.twin", ())
        for (subject,) in rows:
            try:
                state = self._state(subject, reached)
            except NotFound:
                continue
            for id_, alarm in state.live.alarms.items():
                if alarm.case is None or not alarm.active:
                    continue
                if alarm.case.fleet is not None:
                    self._fleets.stand(subject, id_, alarm.case)
                elif id_ in self._tracks.get(subject, {}):
                    self._fleets.hear(subject, id_, alarm.case)
                elif self._is_ours(subject, id_):
                    self._say(reached - 1, subject, id_, Transition.CLEAR, float(alarm.time), None)
        for model, id_ in self._fleets.known():
            self._weigh(model, id_, reached - 1, 0.0)

    def _is_ours(self, subject: str, id_: str) -> bool:
        """Whether monitoring raised the alarm that stands."""
        raised = [
            said.issuer
            for _, said in logged_about(self._node.reader, subject)
            if said.content_type == ALARM
            and (change := parse_alarm(said.payload)).rule == id_
            and change.transition is Transition.RAISE
        ]
        return raised[-1:] == [self.issuer]

    def _state(self, subject: str, reached: int) -> TwinState:
        state = self._states.state(subject)
        # The view goes on meanwhile; what it took since then comes as items.
        return state if state.last_index < reached else self._states.state(subject, at=reached - 1)

    # --- binding ------------------------------------------------------------------------------

    def _bind(self, subject: str) -> None:
        """Make the twin's watches from what the log has of it, and state what nobody stated yet."""
        rules = self._rules.of(subject)
        self._tracks.pop(subject, None)
        if not rules:
            return
        if self._stopping.is_set():
            raise Overloaded("the node is being stopped", 1.0)
        history = [(at, said, parse_payload(said)) for at, said in logged_about(self._node.reader, subject)]
        for _, said, payload in history:
            if isinstance(payload, AlarmTransition) and said.issuer == self.issuer:
                self._remember(subject, payload)
        seen = [each for each in history if each[0] < self._reached]
        if subject not in self._rules.models and not any(isinstance(each[2], list | Columns) for each in seen):
            # What has a monitor may be a model of twins.
            return
        begun = _begun(seen, self._rules.models.get(subject))
        own = {id_: held.about == subject for id_, held in rules.items()}
        tracks = {
            id_: Track(held, max(held.entry, begun.revived, -1 if own[id_] else begun.bound))
            for id_, held in rules.items()
        }
        self._tracks[subject] = tracks
        for at, said, payload in seen:
            if isinstance(payload, AlarmTransition):
                self._follow(tracks, at, said, payload)
            elif isinstance(payload, list | Columns):
                self._judge(subject, tracks, at, said, payload)
            elif isinstance(payload, Attestation) and payload.type == OVERHAUL:
                self._renew(subject, tracks, at, said)

    def _remember(self, subject: str, said: AlarmTransition) -> None:
        key = subject, said.rule
        if said.entry is not None:
            self._decided[key] = max(said.entry, self._decided.get(key, -1))

    def _follow(self, tracks: dict[str, Track], at: int, said: Statement, change: AlarmTransition) -> None:
        """The log's word on an alarm, but for our own: a watch knows what it decided."""
        track = tracks.get(change.rule)
        if track is None or change.transition not in STANDING:
            return
        before = at < track.start or (change.entry is not None and change.entry < track.start)
        if said.issuer != self.issuer or before:
            track.watch.active = change.transition is Transition.RAISE

    # --- reading ------------------------------------------------------------------------------

    def _hear(self, index: int, statement: Statement, payload: object) -> None:
        subject = statement.subject
        match payload:
            case Rule() | RuleRemoval():
                dropped = isinstance(payload, RuleRemoval)
                concerned = self._rules.state(subject, payload, index)
                if dropped:
                    # Its alarm went with it.
                    self._fleets.lie(subject, payload.id)
                    self._tracks.get(subject, {}).pop(payload.id, None)
                self._rebind(index, statement, sorted(concerned), payload.id)
            case Description():
                ended = subject in self._rules.retired
                if payload.lifecycle is not None:
                    ended = payload.lifecycle is Lifecycle.RETIRED
                self._rules.meet(subject, payload.model, ended)
                self._rebind(index, statement, [subject], None)
            case Attestation() if payload.type == OVERHAUL:
                self._renew(subject, self._tracks.get(subject, {}), index, statement)
            case AlarmTransition():
                self._alarm(index, statement, payload)
            case list() | Columns():
                tracks = self._tracks.get(subject)
                if tracks is None and self._rules.of(subject):
                    self._rebind(index, statement, [subject], None)
                elif tracks:
                    self._judge(subject, tracks, index, statement, payload)

    def _rebind(self, index: int, statement: Statement, subjects: Iterable[str], only: str | None) -> None:
        """After entry `index`: make those watches anew whose rules are others now."""
        for subject in subjects:
            old, new = self._tracks.get(subject, {}), self._rules.of(subject)
            if {id_: track.held for id_, track in old.items()} == new:
                if not new:
                    self._tracks.pop(subject, None)
                continue
            for id_, track in old.items():
                if id_ not in new and track.watch.active:
                    self._say(index, subject, id_, Transition.CLEAR, float(statement.issued_at), None)
            self._reached = index + 1
            self._bind(subject)

    def _renew(self, subject: str, tracks: dict[str, Track], index: int, statement: Statement) -> None:
        """The asset was overhauled: what strayed does no longer, and a new warm-up begins."""
        for id_, track in tracks.items():
            decided = self._decided.get((subject, id_), -1)
            if track.watch.active and index >= track.start and index > decided:
                self._say(index, subject, id_, Transition.CLEAR, float(statement.issued_at), None)
            track.renew()

    def _judge(self, subject: str, tracks: dict[str, Track], index: int, statement: Statement, payload: object) -> None:
        for id_, track in tracks.items():
            before = track.watch.active
            found = track.take(index, statement, payload)
            # A statement of many rows decides once, after its last: `entry` cannot name less.
            if found and found[-1].change.raised != before and index > self._decided.get((subject, id_), -1):
                self._state_case(subject, id_, index, track, found[-1])

    def _state_case(self, subject: str, id_: str, index: int, track: Track, decided: Decided) -> None:
        if not decided.change.raised:
            self._say(index, subject, id_, Transition.CLEAR, decided.time, None)
            return
        detector, since = track.held.monitor.detector, decided.change.since
        case = Case(detector, decided.score, since, decided.signals, decided.hints)
        self._say(index, subject, id_, Transition.RAISE, decided.time, case)

    def _alarm(self, index: int, statement: Statement, change: AlarmTransition) -> None:
        subject = statement.subject
        if change.transition not in STANDING:
            return
        if statement.issuer == self.issuer:
            self._remember(subject, change)
        tracks = self._tracks.get(subject, {})
        self._follow(tracks, index, statement, change)
        raised = change.transition is Transition.RAISE
        if subject in self._rules.models:
            if raised and change.case is not None and change.rule in tracks:
                self._fleets.hear(subject, change.rule, change.case)
            else:
                self._fleets.forget(subject, change.rule)
            self._weigh(self._rules.models[subject], change.rule, index, change.time or float(statement.issued_at))
        elif statement.issuer != self.issuer:
            if raised and change.case is not None and change.case.fleet is not None:
                self._fleets.stand(subject, change.rule, change.case)
            else:
                self._fleets.lie(subject, change.rule)

    def _weigh(self, model: str, id_: str, index: int, time: float) -> None:
        """Whether so many of a model's twins stray alike that it is the fleet."""
        found = self._fleets.weigh(model, id_)
        if found is None:
            return
        if isinstance(found, Case):
            self._say(index, model, id_, Transition.RAISE, time or found.since, found)
        else:
            self._say(index, model, id_, Transition.CLEAR, time or None, None)

    # --- stating ------------------------------------------------------------------------------

    def _say(
        self, index: int, subject: str, id_: str, transition: Transition, time: float | None, case: Case | None
    ) -> None:
        self._decided[subject, id_] = index
        said = AlarmTransition(id_, transition, time=time, entry=index, case=case)
        about = Stated(subject, id_, transition is Transition.RAISE)
        self._stating.add(subject, ALARM, format_transition(said), about)

    def _took(self, stated: Stated, index: int) -> None:
        self.stated += 1

    def _refuse(self, stated: Stated, why: TwinproofError) -> None:
        self.refused += 1
        track = self._tracks.get(stated.subject, {}).get(stated.rule)
        if track is not None:
            # It is judged again, and stated if it still holds.
            track.watch.active = not stated.raised
        if stated.raised:
            self._fleets.lie(stated.subject, stated.rule)
        _LOG.error("the log refuses the alarm %s of %s: %s", stated.rule, stated.subject, why)


class _Begun(NamedTuple):
    """Entries that began something for a twin; -1 if it was always so."""

    bound: int
    """Since when it is of its model."""
    revived: int
    """The end of its last retirement."""


def _begun(history: Iterable[tuple[int, Statement, object]], model: str | None) -> _Begun:
    bound = revived = -1
    named: str | None = None
    retired = False
    for at, _, payload in history:
        if isinstance(payload, Description):
            if payload.model is not None and payload.model != named:
                named = payload.model
                bound = at if named == model else -1
            if payload.lifecycle is not None:
                now = payload.lifecycle is Lifecycle.RETIRED
                revived = at if retired and not now else revived
                retired = now
    return _Begun(bound, revived)
