"""An engine after a restart: from the state view, and a look back at each twin's newest statements.

The states tell which rules hold and which alarms stand. What they do not tell (since when a value is
over its limit, what a rate is compared with, which transitions were decided but never became durable)
comes from judging the last `look_back` statements of each twin again: what that decides and the log
does not have is proposed.
"""

from __future__ import annotations

from typing import Final, Protocol

from twinproof.errors import NotFound
from twinproof.twin.alarm import AlarmTransition, Transition
from twinproof.twin.columns import Columns
from twinproof.twin.description import Description, Lifecycle
from twinproof.twin.state import TwinState
from twinproof.views.alarms.engine import Engine, Held, Proposal, Watch, is_ours, settle
from twinproof.views.alarms.track import Change, Settings
from twinproof.views.feed import Item
from twinproof.views.state import StateView

UNIT_STATEMENTS: Final = 16
"""Statements of readings that are searched for the first unit that a rule met."""


class Source(Protocol):
    """What is needed of `Feed`."""

    def read(self, start: int, limit: int) -> list[Item]: ...


def rebuild(
    view: StateView, source: Source, issuer: str, settings: Settings | None = None
) -> tuple[Engine, int, list[Proposal]]:
    """The engine as it stands after the first `n` entries, `n`, and what it has to propose.

    `n` is what the view has reached. Raises `StorageFailed`.
    """
    return _Rebuild(view, source, Engine(issuer, settings)).run()


class _Rebuild:
    def __init__(self, view: StateView, source: Source, engine: Engine) -> None:
        self._view = view
        self._source = source
        self._engine = engine
        self._end = view.reached

    def run(self) -> tuple[Engine, int, list[Proposal]]:
        engine = self._engine
        for (subject,) in self._view.query(
            "SELECT DISTINCT t.sub FROM history h JOIN twin t ON t.id = h.twin WHERE h.kind = 'rule' AND h.entry < ?",
            (self._end,),
        ):
            stated = {id_: held for id_, held in self._state(subject).live.rules.items() if is_ours(held.rule)}
            if stated:
                engine.stated[subject] = {
                    id_: Held(held.rule, held.entry, float(self._item(held.entry).statement.issued_at))
                    for id_, held in stated.items()
                }
        for subject, model, lifecycle, entry in self._view.query("SELECT sub, model, lifecycle, entry FROM twin", ()):
            if entry >= self._end:
                try:
                    state = self._state(subject)
                except NotFound:
                    continue
                model = state.model.value if state.model else None
                lifecycle = state.lifecycle.value if state.lifecycle else None
            if model is not None:
                engine.set_model(subject, model)
            if lifecycle == Lifecycle.RETIRED:
                engine.retired.add(subject)
        standing = {
            row[0] for row in self._view.query("SELECT DISTINCT t.sub FROM alarm a JOIN twin t ON t.id = a.twin", ())
        }
        found: list[Proposal] = []
        for subject in sorted({*engine.stated, *engine.models, *standing}):
            rules, _ = engine.rules_of(subject)
            if rules or subject in standing:
                found += self._watch(subject)
        return engine, self._end, found

    def _state(self, subject: str) -> TwinState:
        state = self._view.state(subject)
        # The view goes on meanwhile; what it took since then comes to the engine as items.
        return state if state.last_index < self._end else self._view.state(subject, at=self._end - 1)

    def _item(self, entry: int) -> Item:
        return self._source.read(entry, 1)[0]

    def _watch(self, subject: str) -> list[Proposal]:
        engine = self._engine
        try:
            state = self._state(subject)
        except NotFound:
            return []
        watch = Watch()
        watch.rules, watch.by_signal = engine.rules_of(subject)
        items = self._newest(subject)
        first = items[0].index if items else self._end
        watch.bound = self._bound(state, items)
        watch.revived = self._revived(items)
        engine.watches[subject] = watch
        for id_, alarm in state.live.alarms.items():
            if id_ in watch.rules or (alarm.active and self._is_ours(subject, id_)):
                watch.stand(id_).logged = alarm.active
        # As the log had them before the first item: a transition says how it was before.
        for item in reversed(items):
            if isinstance(item.payload, AlarmTransition) and item.payload.rule in watch.rules:
                watch.stand(item.payload.rule).logged = item.payload.transition is Transition.CLEAR
        engine.expect(subject, watch, watch.rules)
        self._seed(state, watch, first)
        for item in items:
            ours = isinstance(item.payload, AlarmTransition) and item.payload.rule in watch.rules
            if ours or isinstance(item.payload, list | Columns):
                engine.take(item)
        return self._settle(state, watch)

    def _settle(self, state: TwinState, watch: Watch) -> list[Proposal]:
        """What the look back decided and the log does not have; then the log's word holds."""
        engine, subject = self._engine, state.subject
        found = []
        for id_ in sorted({*watch.standing, *watch.tracks}):
            alarm = state.live.alarms.get(id_)
            standing = watch.stand(id_)
            standing.logged = alarm is not None and alarm.active
            standing.pending = settle(standing.pending, standing.logged)
            if id_ not in watch.rules and standing.logged:
                # The rule went while nobody was there to clear its alarm.
                standing.pending = [Change(Transition.CLEAR, None, float(alarm.time if alarm else 0))]
            found += [Proposal(subject, id_, *change) for change in standing.pending]
            engine.follow(subject, watch, id_, standing)
            if id_ in watch.tracks:
                engine.enqueue(subject, id_, watch.tracks[id_])
            engine.tidy(subject, watch, id_)
        return found

    # --- what the look back begins with -------------------------------------------------------

    def _newest(self, subject: str, kinds: str = "readings columns alarm description") -> list[Item]:
        rows = self._view.query(
            "SELECT entry FROM history WHERE twin = (SELECT id FROM twin WHERE sub = ?) AND entry < ? "
            "AND instr(?, kind) AND kind IN ('readings', 'columns', 'alarm', 'description') "
            "ORDER BY entry DESC LIMIT ?",
            (subject, self._end, kinds, self._engine.settings.look_back),
        )
        return [self._item(entry) for (entry,) in reversed(rows)]

    def _bound(self, state: TwinState, items: list[Item]) -> tuple[int, float]:
        """The entry since which the twin is of its model, as far as the look back shows."""
        if state.model is None:
            return (-1, 0.0)
        named = [item for item in items if isinstance(item.payload, Description) and item.payload.model is not None]
        bound = (state.model.entry, float(state.model.time))
        for item in reversed(named):
            if not isinstance(item.payload, Description) or item.payload.model != state.model.value:
                return bound
            bound = (item.index, float(item.statement.issued_at))
        if named:
            try:
                before = self._view.state(state.subject, at=named[0].index - 1).model
            except NotFound:
                before = None
            if before is not None and before.value == state.model.value:
                return (before.entry, float(before.time))
        return bound

    def _revived(self, items: list[Item]) -> tuple[int, float]:
        revived, retired = (-1, 0.0), False
        for item in items:
            if isinstance(item.payload, Description) and item.payload.lifecycle is not None:
                if retired and item.payload.lifecycle is not Lifecycle.RETIRED:
                    revived = (item.index, float(item.statement.issued_at))
                retired = item.payload.lifecycle is Lifecycle.RETIRED
        return revived

    def _seed(self, state: TwinState, watch: Watch, first: int) -> None:
        """What holds already when the look back begins at entry `first`."""
        for id_, held in watch.rules.items():
            latest = state.readings.get(held.rule.signal)
            if latest is None:
                continue
            track = self._engine.track(state.subject, watch, id_)
            if track.start < first and not track.is_missing:
                self._unit(state.subject, held.rule.signal, track.start, first, id_, watch)
            if not track.start < latest.entry < first:
                continue
            horizon = self._item(latest.entry).statement.issued_at + self._engine.settings.ahead
            numeric = type(latest.value) in (int, float) and track.takes_unit(latest.unit)
            if latest.time <= horizon and (numeric or track.is_missing):
                track.seed(latest.time, float(latest.value) if isinstance(latest.value, int | float) else None)

    def _unit(self, subject: str, signal: str, start: int, first: int, id_: str, watch: Watch) -> None:
        """The unit that the rule met first, where that is not far behind its beginning."""
        rows = self._view.query(
            "SELECT entry FROM history WHERE twin = (SELECT id FROM twin WHERE sub = ?) AND entry > ? AND entry < ? "
            "AND kind IN ('readings', 'columns') ORDER BY entry LIMIT ?",
            (subject, start, first, UNIT_STATEMENTS),
        )
        for (entry,) in rows:
            payload = self._item(entry).payload
            units: list[str | None] = []
            if isinstance(payload, Columns):
                units = [column.unit for column in payload.columns if column.name == signal]
            elif isinstance(payload, list):
                units = [r.unit for r in payload if r.name == signal and type(r.value) in (int, float)]
            if units:
                watch.tracks[id_].takes_unit(units[0])
                return

    def _is_ours(self, subject: str, rule: str) -> bool:
        """Whether the automation raised this alarm, as far as the look back shows."""
        raised = [
            item.statement.issuer
            for item in self._newest(subject, "alarm")
            if isinstance(item.payload, AlarmTransition)
            and item.payload.rule == rule
            and item.payload.transition is Transition.RAISE
        ]
        return bool(raised) and raised[-1] == self._engine.issuer
