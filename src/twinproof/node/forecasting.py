"""The node's forecasting: states what the active models predict of the readings in the log, after each row once.

    predictor + readings in the log ─▶ rows ─▶ state of the twin ─▶ due? ─▶ forecast ─▶ `prediction` statement

It signs with a key of its own, FOLDER/keys/forecast.pem (ES256, which contracts check), as `log_subject#forecast`,
which the operator must grant `predict` (`twinproof predictor enable`). Where it stands is what it has stated: `until`
of its newest prediction of a twin is the first entry that it did not read. So there is no cursor that could disagree
with the log, and after a crash every row is predicted that was not, and none twice. Twins' states are rebuilt from the
log, or gone on with from a snapshot of them (forecast_snapshot).
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from twinproof.errors import ConfigError, Corrupt, Malformed, NotFound, StorageFailed, TwinproofError
from twinproof.node.assignments import Assignments
from twinproof.node.blobs import Blobs
from twinproof.node.forecast_snapshot import Snapshot
from twinproof.node.forecast_twins import Given, Run, RunKey, Twin, run_key, steps
from twinproof.node.node import Clock, WritingNode
from twinproof.node.service_keys import FORECAST, PATIENCE
from twinproof.node.statements import logged, logged_about
from twinproof.node.stating import Stating
from twinproof.node.tasks import Rounds
from twinproof.prognosis import quality
from twinproof.prognosis.live import LiveFleet
from twinproof.prognosis.quality import Forecast
from twinproof.prognosis.record import Row
from twinproof.prognosis.rows import RowReader, Wanted
from twinproof.prognosis.serve import load_predictor
from twinproof.prognosis.stated import per_mille, state_forecast
from twinproof.proof.keys import PrivateKey
from twinproof.twin.description import Description, Lifecycle
from twinproof.twin.kinds import parse_payload
from twinproof.twin.prediction import MAX_READS, PREDICTION, format_prediction, parse_prediction
from twinproof.twin.predictor import Predictor
from twinproof.twin.statement import Statement
from twinproof.views.feed import Feed
from twinproof.views.state import StateView

CHUNK: Final = 4096
"""Entries read at once: twins among them step side by side."""
BOUND_AT_ONCE: Final = 256
"""Twins whose histories are read side by side."""
MAX_QUEUE: Final = 4096
"""Predictions that wait; the log is read on when they are fewer."""

UNSURE: Final = -2
"""For the entry of a newest prediction that the log has to be asked for."""
KEEP_EVERY: Final = 300.0
"""Seconds between two snapshots."""
LOOK: Final = 0.2
"""Seconds between two looks whether to stop."""

_LOG = logging.getLogger(__name__)


class Stopped(Exception):
    """The task is to end; what is half done is done anew by the next start."""


class Stated(NamedTuple):
    """What the task hears again when a prediction is taken."""

    subject: str
    until: int


class Forecasting(Rounds):
    """One per node. `step` does one round; `tasks.Task` runs rounds in a thread."""

    def __init__(
        self,
        node: WritingNode,
        feed: Feed,
        states: StateView,
        key: PrivateKey,
        blobs: Blobs,
        *,
        clock: Clock,
        every_rows: int = 1,
        every_seconds: int = 0,
        views: Path | None = None,
        on_problem: Callable[[TwinproofError], None] | None = None,
    ) -> None:
        """A prediction is due after `every_rows` rows of a twin, at least `every_seconds` after the one before.

        `views`: where snapshots of the twins' states are kept, if they are to be.
        """
        super().__init__("forecasting", on_problem)
        self.issuer = FORECAST.issuer(node.config.origin)
        self.stated = 0
        """Predictions that became entries."""
        self.refused = 0
        """Predictions that the log will not take."""
        self.withheld: Counter[str] = Counter()
        """Rows after which nothing could be predicted, by the remark that says why."""
        self._node = node
        self._feed = feed
        self._states = states
        self._key = key
        self._blobs = blobs
        self._clock = clock
        self._every_rows = every_rows
        self._every_seconds = every_seconds
        self._stating = Stating[Stated](node, self.issuer, key, clock, taken=self._took, refused=self._refuse)
        self._snapshot = None if views is None else Snapshot(views, (every_rows, every_seconds))
        self._kept, self._kept_at = -1, clock()
        self._stopping = threading.Event()
        self._restart()

    def _restart(self) -> None:
        self._opened = False
        self._reached = 0
        self._assignments = Assignments()
        self._twins: dict[str, Twin] = {}
        self._runs: dict[RunKey, Run] = {}
        self._unusable: dict[bytes, tuple[TwinproofError, bool]] = {}
        self._pending: dict[str, list[Given]] = {}
        self._due: set[str] = set()
        self._stated: dict[str, tuple[int, float]] = {}
        """`until` of the newest own prediction and when, of twins that this process spoke of."""
        self._whole = False
        """Whether the states are those after `reached` entries."""

    @property
    def reached(self) -> int:
        """Entries read."""
        return self._reached

    @property
    def waiting(self) -> int:
        """Predictions that are not in the log yet."""
        return len(self._stating)

    @property
    def twins(self) -> int:
        """Twins with a predictor."""
        return len(self._twins)

    @property
    def rows_left_out(self) -> int:
        """Rows whose cycle was no whole number or did not grow."""
        return sum(twin.rows.left_out for twin in self._twins.values())

    # --- running ------------------------------------------------------------------------------

    def stop(self) -> None:
        """Leave the round under way as soon as may be; a thread that calls `step` is to be joined after this."""
        self._stopping.set()

    def _check_stop(self) -> None:
        if self._stopping.is_set():
            raise Stopped

    def _keep_sometimes(self) -> None:
        if abs(self._clock() - self._kept_at) >= KEEP_EVERY:
            self.keep()

    def keep(self) -> None:
        """Write a snapshot, if nothing is half done and anything is new; not beside `step`."""
        if self._snapshot is None or not self._whole or len(self._stating) or self._kept == self._reached:
            return
        self._kept, self._kept_at = self._reached, self._clock()
        self._snapshot.write(self._node.reader, self._reached, self._twins)

    def _after_defect(self) -> None:
        """The twins' states are rebuilt from the log alone."""
        self._stating.clear()
        self._restart()
        if self._snapshot is not None:
            self._snapshot.drop()

    def _round(self) -> None:
        """Read what is new and state what is due."""
        if not FORECAST.is_enabled(self._node, self._key):
            raise ConfigError("the node may not state predictions; let it with: twinproof predictor enable")
        enough = self._stopping.is_set
        # First what waits: who opens anew must find it in the log.
        self._stating.deliver(enough)
        try:
            while not enough() and len(self._stating) < MAX_QUEUE and self._read():
                self._stating.deliver(enough)
                self._keep_sometimes()
        except Stopped:
            return
        self._stating.deliver(enough)
        self._keep_sometimes()
        in_use = self._assignments.in_use()
        for name, (problem, _) in self._unusable.items():
            if name in in_use:
                raise problem

    def _read(self) -> bool:
        """Take in what is new; False if there was nothing."""
        self._whole = False
        try:
            if not self._opened:
                self._open()
            self._retry_models()
            items = self._feed.read(self._reached, CHUNK)
            for item in items:
                self._hear(item.index, item.statement, item.payload)
            self._flush()
            if items:
                self._reached = items[-1].index + 1
            self._tick()
        except BaseException:
            # Something is half done. The log knows what was stated, once what waits is in it.
            self._restart()
            raise
        self._whole = True
        return bool(items)

    # --- where it stands ------------------------------------------------------------------------

    def _open(self) -> None:
        # What is stated is read from the states: if these lagged behind, rows would be predicted twice.
        size, looks = self._feed.size, 0
        while not self._states.wait(size, LOOK):
            self._check_stop()
            if (looks := looks + 1) * LOOK > PATIENCE:
                raise StorageFailed("the states lag behind the log, so what is predicted cannot be told")
        reached = self._states.reached
        assignments = Assignments()
        for subject, model, lifecycle in self._states.query("SELECT sub, model, lifecycle FROM twin", ()):
            assignments.meet(subject, model, lifecycle == Lifecycle.RETIRED)
        rows = self._states.query(
            "SELECT DISTINCT t.sub FROM history h JOIN twin t ON t.id = h.twin WHERE h.kind = ? AND h.entry < ?",
            ("predictor", reached),
        )
        for (subject,) in rows:
            assignments.predictors[subject] = self._states.state(subject, at=reached - 1).live.predictors
        self._assignments, self._reached = assignments, reached
        self._resume()
        self._bind([subject for subject in assignments.assigned() if subject not in self._twins])
        self._opened = True

    def _resume(self) -> None:
        """Go on with the twins that the snapshot has, as a start without it would have them."""
        if self._snapshot is None:
            return
        restored = self._snapshot.read(
            self._node.reader, self._assignments.of, lambda standing: self._run(standing.predictor)
        )
        if restored is None:
            # The next start is to have one.
            self._kept_at = 0.0
            return
        newest = self._newest_said()
        for twin in restored.twins:
            stated, entry = twin.stated, newest.get(twin.subject, -1)
            if entry != twin.said or entry >= restored.size:
                twin.stated, twin.time = self._of_entry(entry)
                twin.said = entry
            # What the log refused, or what waits for its second, only the whole history tells right.
            if twin.stated >= stated and (not self._every_seconds or not twin.since):
                self._twins[twin.subject] = twin
            self._check_stop()
        at = restored.size
        while at < self._reached:
            self._check_stop()
            items = self._feed.read(at, min(CHUNK, self._reached - at))
            for item in items:
                known = self._twins.get(item.statement.subject)
                if known is not None:
                    self._take(known, item.index, item.statement, item.payload)
            self._flush()
            at = items[-1].index + 1

    def _newest_said(self) -> dict[str, int]:
        """Twin -> log index of the newest own prediction."""
        rows = self._states.query(
            "SELECT t.sub, MAX(h.entry) FROM history h JOIN twin t ON t.id = h.twin JOIN issuer i ON i.id = h.issuer"
            " WHERE h.kind = 'prediction' AND i.iss = ? GROUP BY t.sub",
            (self.issuer,),
        )
        return dict(rows)

    def _of_entry(self, entry: int | None) -> tuple[int, float]:
        if entry is None or entry < 0:
            return 0, 0.0
        statement = logged(self._node.reader, entry)
        return parse_prediction(statement.payload).until or 0, float(statement.issued_at)

    def _stated_before(self, subject: str) -> tuple[int, float]:
        """`until` and `iat` of the newest own prediction of a twin."""
        if subject in self._stated:
            return self._stated[subject]
        rows = self._states.query(
            "SELECT MAX(h.entry) FROM history h JOIN twin t ON t.id = h.twin JOIN issuer i ON i.id = h.issuer"
            " WHERE h.kind = 'prediction' AND t.sub = ? AND i.iss = ?",
            (subject, self.issuer),
        )
        return self._of_entry(rows[0][0])

    def _bind(self, subjects: Sequence[str]) -> None:
        """Give twins to their predictors, with the rows that the log has of them."""
        for at in range(0, len(subjects), BOUND_AT_ONCE):
            for subject in subjects[at : at + BOUND_AT_ONCE]:
                self._check_stop()
                self._bind_one(subject)
            self._flush()
            if len(self._stating) >= MAX_QUEUE:
                # Who cannot deliver hears so when everything is bound.
                with suppress(TwinproofError):
                    self._stating.deliver(self._stopping.is_set)

    def _bind_one(self, subject: str) -> None:
        self._twins.pop(subject, None)
        self._pending.pop(subject, None)
        self._due.discard(subject)
        standing = self._assignments.of(subject)
        run = None if standing is None else self._run(standing.predictor)
        if standing is None or run is None:
            return
        twin = Twin(subject, standing, run, run.fleet.add(), RowReader(run.wanted))
        twin.stated, twin.time = self._stated_before(subject)
        given: list[Given] = []
        for index, statement in logged_about(self._node.reader, subject):
            self._check_stop()
            if index >= self._reached:
                break
            rows = twin.take(statement, parse_payload(statement))
            if rows is None:
                given = []
            elif rows:
                given.append(Given(index, statement, rows))
        if not given and subject not in self._assignments.models:
            # What has a predictor may be a model of twins.
            return
        before = [each.entry for each in given if each.entry < standing.entry]
        twin.primer = before[-1] if before else -1
        self._twins[subject] = twin
        if given:
            self._pending[subject] = given

    def _run(self, predictor: Predictor) -> Run | None:
        key = run_key(predictor)
        if key not in self._runs:
            try:
                self._runs[key] = self._load(predictor)
            except NotFound:
                self._unusable[predictor.model] = (
                    ConfigError(
                        f"the model {predictor.model.hex()} is not in {self._node.folder / 'blobs'}; bring it with: "
                        "twinproof predictor import FILE"
                    ),
                    True,
                )
            except (Malformed, Corrupt) as problem:
                self._unusable[predictor.model] = problem, False
        return self._runs.get(key)

    def _load(self, predictor: Predictor) -> Run:
        loaded = load_predictor(self._blobs.get(predictor.model))
        if loaded.model.unit != predictor.unit:
            raise Malformed("predictor.unit", f"{predictor.unit}, but the model predicts {loaded.model.unit}")
        fleet, model = LiveFleet(loaded, per_mille(predictor.coverage, "predictor.coverage")), loaded.model
        return Run(predictor, fleet, Wanted(model.settings, model.signals, predictor.cycle, model.units))

    def _retry_models(self) -> None:
        """Models that were missing may have come."""
        came = [name for name, (_, missing) in self._unusable.items() if missing and self._blobs.has(name)]
        for name in came:
            del self._unusable[name]
        if came:
            self._bind([twin for twin in self._assignments.assigned() if twin not in self._twins])

    # --- reading --------------------------------------------------------------------------------

    def _hear(self, index: int, statement: Statement, payload: object) -> None:
        subject = statement.subject
        match payload:
            case Predictor():
                concerned = self._assignments.state(subject, payload, index)
                if payload.model in self._unusable:
                    del self._unusable[payload.model]
                self._assign(index, concerned)
            case Description():
                self._assignments.describe(subject, payload)
                self._assign(index, (subject,))
            case _:
                twin = self._twins.get(subject)
                if twin is None:
                    if subject in self._assignments.predictors:
                        self._assign(index, (subject,))
                else:
                    self._take(twin, index, statement, payload)

    def _take(self, twin: Twin, index: int, statement: Statement, payload: object) -> None:
        """What an entry says of a twin with a predictor."""
        rows = twin.take(statement, payload)
        if rows is None:
            self._pending.pop(twin.subject, None)
            self._due.discard(twin.subject)
        elif rows:
            self._pending.setdefault(twin.subject, []).append(Given(index, statement, rows))

    def _assign(self, index: int, subjects: Iterable[str]) -> None:
        """After entry `index`: bind those twins anew whose predictor is another now."""
        changed = []
        for subject in subjects:
            twin = self._twins.get(subject)
            if self._assignments.of(subject) != (twin.standing if twin else None):
                changed.append(subject)
        if changed:
            # Rows before are the old predictor's.
            self._flush()
            self._reached = index + 1
            self._bind(sorted(changed))

    def _flush(self) -> None:
        """Take the rows that wait, the twins side by side, and state what becomes due on the way."""
        pending, self._pending = self._pending, {}
        queues = [(self._twins[subject], list(steps(given))) for subject, given in pending.items()]
        at = 0
        while queues:
            self._check_stop()
            queues = [(twin, queue) for twin, queue in queues if at < len(queue)]
            rows: dict[int, tuple[Run, list[int], list[Row]]] = {}
            due: list[Twin] = []
            for twin, queue in queues:
                row, end = queue[at]
                _, slots, found = rows.setdefault(id(twin.run), (twin.run, [], []))
                slots.append(twin.slot)
                found.append(row)
                twin.since += 1
                if end is not None and self._ends(twin, end):
                    due.append(twin)
            for run, slots, found in rows.values():
                run.fleet.take(slots, found)
            self._forecast(due)
            at += 1

    def _ends(self, twin: Twin, given: Given) -> bool:
        """A statement is read; whether a prediction is due after it."""
        statement = given.statement
        first = twin.streams[statement.issuer][0] if statement.issuer in twin.streams else statement.seq
        twin.streams[statement.issuer] = first, statement.seq, statement.digest
        twin.until = given.entry + 1
        if given.entry < twin.stated:
            twin.since = 0
            return False
        if given.entry < twin.standing.entry:
            return given.entry == twin.primer
        return self._is_due(twin)

    def _is_due(self, twin: Twin) -> bool:
        if twin.since < self._every_rows:
            return False
        if self._clock() - twin.time < self._every_seconds:
            self._due.add(twin.subject)
            return False
        return True

    def _tick(self) -> None:
        """Predictions that came too soon after the one before, and are due now."""
        subjects, self._due = self._due, set()
        self._forecast([self._twins[subject] for subject in sorted(subjects) if self._is_due(self._twins[subject])])

    # --- stating --------------------------------------------------------------------------------

    def _forecast(self, due: Sequence[Twin]) -> None:
        runs: dict[int, list[Twin]] = {}
        for twin in due:
            runs.setdefault(id(twin.run), []).append(twin)
        for twins in runs.values():
            answers = twins[0].run.fleet.told([twin.slot for twin in twins])
            for twin, (forecast, drivers) in zip(twins, answers, strict=True):
                self._state(twin, forecast, drivers)

    def _state(self, twin: Twin, forecast: Forecast, drivers: Mapping[str, float]) -> None:
        self._due.discard(twin.subject)
        prediction = state_forecast(
            forecast, twin.standing.predictor, twin.reads(), twin.until, drivers=drivers, episode=twin.episode
        )
        if prediction is None or len(twin.streams) > MAX_READS:
            self._withhold(twin, forecast)
            return
        twin.withheld = ()
        twin.stated, twin.time, twin.since = twin.until, self._clock(), 0
        self._stated[twin.subject] = twin.stated, twin.time
        stated = Stated(twin.subject, twin.until)
        self._stating.add(twin.subject, PREDICTION, format_prediction(prediction), stated)

    def _withhold(self, twin: Twin, forecast: Forecast) -> None:
        remarks = forecast.quality.remarks & quality.REFUSING
        why = tuple(name for bit, name in quality.NAMES.items() if remarks & bit) or ("too many streams",)
        for name in why:
            self.withheld[name] += 1
        if twin.withheld != why:
            twin.withheld = why
            # A twin that has just begun is no reason to look up.
            level = logging.INFO if remarks == quality.TOO_SHORT else logging.WARNING
            _LOG.log(level, "nothing is predicted of %s at entry %d: %s", twin.subject, twin.until - 1, ", ".join(why))

    def _took(self, stated: Stated, index: int) -> None:
        self.stated += 1
        twin = self._twins.get(stated.subject)
        if twin is not None:
            twin.said = index

    def _refuse(self, stated: Stated, why: TwinproofError) -> None:
        self.refused += 1
        twin = self._twins.get(stated.subject)
        if twin is not None:
            twin.said = UNSURE
        _LOG.error("the log refuses the prediction of %s up to entry %d: %s", stated.subject, stated.until - 1, why)
