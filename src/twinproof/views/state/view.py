"""Folding the log into states, and asking for them, now or at a past entry."""

from __future__ import annotations

import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from twinproof.errors import NotFound, StorageFailed
from twinproof.twin.chain_event import ChainEvent
from twinproof.twin.description import Description
from twinproof.twin.state import TwinState
from twinproof.views.feed import Item
from twinproof.views.state import tables
from twinproof.views.state.fleet import FleetRow, read_lines, signer_of, write_line
from twinproof.views.state.ledger import keep_proposal, write_ledger
from twinproof.views.state.values import pack

SNAPSHOT_EVERY: Final = 256
"""Statements of a twin between two snapshots: the most that a look into the past folds."""
STATES_KEPT: Final = 20_000
"""Twin states kept in memory between folds."""
CHUNK: Final = 2048
"""Entries folded in one transaction."""


class Source(Protocol):
    """What the view needs of `Feed`."""

    @property
    def size(self) -> int: ...

    def read(self, start: int, limit: int) -> list[Item]: ...


class TwinRow(NamedTuple):
    """A twin in a list."""

    subject: str
    model: str | None
    lifecycle: str | None
    statements: int
    entry: int
    """Log index of its newest statement."""


class HistoryRow(NamedTuple):
    """An entry about a twin."""

    entry: int
    kind: str
    issuer: str
    time: int
    """The statement's `iat`."""


class StateView:
    """One per process and file. Methods may be called from any thread.

    Everything asked is answered for the first `reached` entries of the log. A file that is lost, damaged
    or of another log is made anew by `catch_up`.
    """

    def __init__(self, path: Path, source: Source) -> None:
        self.path = path
        self._source = source
        self._lock = threading.RLock()
        self._progress = threading.Condition(self._lock)
        self._states: OrderedDict[str, TwinState] = OrderedDict()
        self._ids: dict[str, int] = {}
        self._issuers: dict[str, int] = {}
        self._local = threading.local()
        self._asked: list[sqlite3.Connection] = []
        self._generation = 0
        self._database = self._open()
        self._reached = self._stored_reached()

    def _open(self) -> sqlite3.Connection:
        try:
            return tables.connect(self.path)
        except sqlite3.DatabaseError:
            tables.remove(self.path)
            return tables.connect(self.path)

    def _stored_reached(self) -> int:
        """Entries folded in, 0 for a file that does not continue this log: logs can be restored or exchanged."""
        meta: dict[str, Any] = dict(self._database.execute("SELECT key, value FROM meta"))
        reached: int = meta.get("reached", 0)
        if reached and (
            reached > self._source.size or self._source.read(reached - 1, 1)[0].statement.digest != meta.get("last")
        ):
            self._clear()
            return 0
        return reached

    def _clear(self) -> None:
        self._generation += 1
        self._database.close()
        self._forget_readers()
        tables.remove(self.path)
        self._database = tables.connect(self.path)
        self._states.clear()
        self._ids.clear()
        self._issuers.clear()

    @property
    def reached(self) -> int:
        """Entries of the log that are folded in."""
        return self._reached

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            self._database.close()
            self._forget_readers()

    def _forget_readers(self) -> None:
        while self._asked:
            self._asked.pop().close()

    # --- folding ------------------------------------------------------------------------------

    def catch_up(self, limit: int | None = None) -> int:
        """Fold in what is published, at most `limit` entries; how many were taken. Raises `StorageFailed`.

        Each chunk is one transaction together with `reached`: whatever fails, the file holds the fold of
        exactly its first `reached` entries.
        """
        taken = 0
        while limit is None or taken < limit:
            # Read outside the lock: reading the log must not keep those waiting who ask.
            items = self._source.read(self._reached, CHUNK if limit is None else min(CHUNK, limit - taken))
            if not items:
                break
            with self._lock:
                self._fold(items)
                self._progress.notify_all()
            taken += len(items)
        return taken

    def rebuild(self) -> None:
        """Drop everything and fold the whole log again."""
        with self._lock:
            self._clear()
            self._reached = 0
            self.catch_up()

    def wait(self, reached: int, timeout: float) -> bool:
        """Wait until `reached` entries are folded in; False after `timeout` seconds without that."""
        with self._progress:
            return self._progress.wait_for(lambda: self._reached >= reached, timeout)

    def _fold(self, items: Sequence[Item]) -> None:
        database = self._database
        try:
            database.execute("BEGIN IMMEDIATE")
            touched: dict[str, TwinState] = {}
            history: list[tuple[int, int, str, int, int]] = []
            snapshots: list[tuple[int, int, bytes]] = []
            heard: set[str] = set()
            told: dict[str, tuple[int, int]] = {}
            for item in items:
                statement = item.statement
                subject = statement.subject
                state = touched.get(subject)
                if state is None:
                    state = touched[subject] = self._hold(subject)
                twin = self._ids[subject]
                if isinstance(item.payload, Description):
                    self._keep_status(twin, item.index, state, item.payload)
                    self._keep_intervals(twin, item.index, state, item.payload)
                elif not state.statements:
                    self._keep_status(twin, item.index, state, Description())
                if isinstance(item.payload, ChainEvent):
                    heard.add(subject)
                    keep_proposal(database, twin, item, item.payload)
                state.apply(item.index, statement, item.payload)
                told[subject] = statement.issued_at, signer_of(statement) | told.get(subject, (0, 0))[1]
                history.append((twin, item.index, item.kind.name, self._issuer(statement.issuer), statement.issued_at))
                if state.statements % SNAPSHOT_EVERY == 0:
                    snapshots.append((twin, item.index, state.to_cbor()))
            database.executemany("INSERT INTO history VALUES (?, ?, ?, ?, ?)", history)
            database.executemany("INSERT INTO snapshot VALUES (?, ?, ?)", snapshots)
            self._write_states(touched)
            for subject in heard:
                write_ledger(database, self._ids[subject], touched[subject])
            for subject, (time, signed) in told.items():
                write_line(database, self._ids[subject], touched[subject], time, signed)
            database.executemany(
                "INSERT OR REPLACE INTO meta VALUES (?, ?)",
                [("reached", items[-1].index + 1), ("last", items[-1].statement.digest)],
            )
            database.execute("COMMIT")
        except BaseException as problem:
            # Memory may be ahead of the file now; it is read again.
            self._states.clear()
            self._ids.clear()
            self._issuers.clear()
            if database.in_transaction:
                database.execute("ROLLBACK")
            if isinstance(problem, sqlite3.Error):
                raise StorageFailed(f"{self.path}: {problem}; the view is behind, the log is not affected") from problem
            raise
        self._reached = items[-1].index + 1
        while len(self._states) > STATES_KEPT:
            self._states.popitem(last=False)

    def _write_states(self, touched: dict[str, TwinState]) -> None:
        self._database.executemany(
            "UPDATE twin SET model = ?, lifecycle = ?, statements = ?, entry = ?, state = ? WHERE id = ?",
            [
                (
                    state.model.value if state.model else None,
                    state.lifecycle.value if state.lifecycle else None,
                    state.statements,
                    state.last_index,
                    state.to_cbor(),
                    self._ids[subject],
                )
                for subject, state in touched.items()
            ],
        )
        for subject, state in touched.items():
            twin = self._ids[subject]
            self._database.execute("DELETE FROM alarm WHERE twin = ?", (twin,))
            for rule, alarm in state.live.alarms.items():
                held = state.live.rules.get(rule)
                severity = held.rule.severity.value if held else None
                self._database.execute(
                    "INSERT INTO alarm VALUES (?, ?, ?, ?, ?, ?)",
                    (twin, rule, alarm.name, severity, alarm.entry, alarm.time),
                )

    def _hold(self, subject: str) -> TwinState:
        """The state to fold into, from memory, the file, or new."""
        state = self._states.pop(subject, None)
        if state is None or subject not in self._ids:
            row = self._database.execute("SELECT id, state FROM twin WHERE sub = ?", (subject,)).fetchone()
            if row is None:
                state = TwinState(subject)
                cursor = self._database.execute(
                    "INSERT INTO twin (sub, statements, entry, state) VALUES (?, 0, -1, x'')", (subject,)
                )
                self._ids[subject] = cursor.lastrowid or 0
            else:
                self._ids[subject] = row[0]
                state = TwinState.from_cbor(row[1])
        self._states[subject] = state
        return state

    def _issuer(self, issuer: str) -> int:
        known = self._issuers.get(issuer)
        if known is None:
            self._database.execute("INSERT OR IGNORE INTO issuer (iss) VALUES (?)", (issuer,))
            (known,) = self._database.execute("SELECT id FROM issuer WHERE iss = ?", (issuer,)).fetchone()
            self._issuers[issuer] = known
        return known

    def _keep_status(self, twin: int, index: int, state: TwinState, change: Description) -> None:
        """Begin a new interval of model and lifecycle where `change` alters them, or the twin begins."""
        before = (state.model and state.model.value, state.lifecycle and state.lifecycle.value)
        after = (change.model or before[0], change.lifecycle.value if change.lifecycle else before[1])
        if state.statements and after == before:
            return
        self._database.execute("UPDATE status SET until = ? WHERE twin = ? AND until IS NULL", (index, twin))
        self._database.execute("INSERT INTO status VALUES (?, ?, ?, ?, NULL)", (twin, *after, index))

    def _keep_intervals(self, twin: int, index: int, state: TwinState, change: Description) -> None:
        """Close and open the intervals of what `change` alters; `state` is the one before it."""
        ended = [(index, twin, name) for name in (*change.unset, *(change.set or ())) if name in state.properties]
        self._database.executemany("UPDATE property SET until = ? WHERE twin = ? AND name = ? AND until IS NULL", ended)
        self._database.executemany(
            "INSERT INTO property VALUES (?, ?, ?, ?, NULL)",
            [(twin, name, pack(value), index) for name, value in (change.set or {}).items()],
        )
        self._database.executemany(
            "UPDATE link SET until = ? WHERE twin = ? AND name = ? AND target = ? AND until IS NULL",
            [(index, twin, *link) for link in change.unrelate if link in state.relationships],
        )
        self._database.executemany(
            "INSERT INTO link VALUES (?, ?, ?, ?, NULL)",
            [(twin, *link, index) for link in change.relate if link not in state.relationships],
        )

    # --- asking -------------------------------------------------------------------------------

    @contextmanager
    def asking(self) -> Iterator[sqlite3.Connection]:
        """A connection of this thread's own that only reads, on one state of the file: no fold is waited for."""
        try:
            reader = self._reader()
            reader.execute("BEGIN")
            try:
                yield reader
            finally:
                reader.execute("COMMIT")
        except sqlite3.Error as problem:
            raise StorageFailed(f"{self.path}: {problem}") from problem

    def _reader(self) -> sqlite3.Connection:
        if getattr(self._local, "generation", None) != self._generation:
            with self._lock:
                self._local.reader = tables.connect(self.path, read_only=True)
                self._local.generation = self._generation
                self._asked.append(self._local.reader)
        reader: sqlite3.Connection = self._local.reader
        return reader

    def state(self, subject: str, *, at: int | None = None, time: int | None = None) -> TwinState:
        """A twin's state, the newest or the one after entry `at`, or after its last statement of `time` or earlier.

        `time` is POSIX seconds by the signers' clocks. The caller owns the result. Raises `NotFound` for a
        twin that the log says nothing about up to there.
        """
        with self.asking() as database:
            row = database.execute("SELECT id, state FROM twin WHERE sub = ?", (subject,)).fetchone()
            if row is None:
                raise NotFound(f"the log holds nothing about {subject}")
            twin, newest = row
            if time is not None:
                (at,) = database.execute(
                    "SELECT max(entry) FROM history WHERE twin = ? AND time <= ?", (twin, time)
                ).fetchone()
                if at is None:
                    raise NotFound(f"the log holds nothing about {subject} of {time} or earlier")
            if at is None:
                return TwinState.from_cbor(newest)
            if at >= self._reached:
                raise NotFound(f"entry {at} is not there yet: the view has {self._reached} entries")
            return self._fold_past(database, twin, subject, at)

    def _fold_past(self, database: sqlite3.Connection, twin: int, subject: str, at: int) -> TwinState:
        snapshot = database.execute(
            "SELECT state FROM snapshot WHERE twin = ? AND entry <= ? ORDER BY entry DESC LIMIT 1", (twin, at)
        ).fetchone()
        state = TwinState.from_cbor(snapshot[0]) if snapshot else TwinState(subject)
        rows = database.execute(
            "SELECT entry FROM history WHERE twin = ? AND entry > ? AND entry <= ? ORDER BY entry",
            (twin, state.last_index, at),
        ).fetchall()
        for (entry,) in rows:
            (item,) = self._source.read(entry, 1)
            state.apply(entry, item.statement, item.payload)
        if not state.statements:
            raise NotFound(f"the log holds nothing about {subject} up to entry {at}")
        return state

    def model(self, subject: str) -> str | None:
        """The model that a twin names; None for a twin that names none or is unknown."""
        with self.asking() as database:
            row = database.execute("SELECT model FROM twin WHERE sub = ?", (subject,)).fetchone()
            return row[0] if row else None

    def severities(self, subject: str) -> dict[str, str]:
        """Of the rules about a subject, such as a model, by id; none of one that is unknown."""
        with self.asking() as database:
            row = database.execute("SELECT state FROM twin WHERE sub = ?", (subject,)).fetchone()
        rules = TwinState.from_cbor(row[0]).live.rules if row else {}
        return {rule: held.rule.severity.value for rule, held in rules.items()}

    def twins(self, *, prefix: str = "", model: str | None = None, after: str = "", limit: int = 100) -> list[TwinRow]:
        """Twins in order of their IRIs, those after `after`; `prefix` and `model` choose."""
        end = prefix + "\U0010ffff"
        sql = (
            "SELECT sub, model, lifecycle, statements, entry FROM twin "
            "WHERE sub >= ? AND sub < ? AND sub > ? AND (? IS NULL OR model = ?) ORDER BY sub LIMIT ?"
        )
        with self.asking() as database:
            return [TwinRow(*row) for row in database.execute(sql, (prefix, end, after, model, model, limit))]

    def history(self, subject: str, *, after: int = -1, kind: str | None = None, limit: int = 100) -> list[HistoryRow]:
        """Entries about a twin after entry `after`, in log order."""
        sql = (
            "SELECT h.entry, h.kind, i.iss, h.time FROM history h JOIN issuer i ON i.id = h.issuer "
            "WHERE h.twin = (SELECT id FROM twin WHERE sub = ?) AND h.entry > ? AND (? IS NULL OR h.kind = ?) "
            "ORDER BY h.entry LIMIT ?"
        )
        with self.asking() as database:
            return [HistoryRow(*row) for row in database.execute(sql, (subject, after, kind, kind, limit))]

    def alarms(
        self, *, prefix: str = "", whole: bool = False, limit: int = 1000
    ) -> list[tuple[str, str, str, str | None, int, int]]:
        """(twin, rule, state's name, severity, entry, time) of the alarms that stand, newest first.

        Of the twins whose IRI begins with `prefix`, or if `whole` of the one whose IRI it is.
        """
        sql = (
            "SELECT t.sub, a.rule, a.name, a.severity, a.entry, a.time FROM alarm a JOIN twin t ON t.id = a.twin "
            "WHERE t.sub >= ? AND t.sub < ? ORDER BY a.entry DESC, a.rule LIMIT ?"
        )
        with self.asking() as database:
            return list(database.execute(sql, (prefix, prefix + ("\0" if whole else "\U0010ffff"), limit)))

    def fleet(
        self,
        ranges: Sequence[tuple[str, bool]],
        *,
        model: str | None = None,
        since: int = 0,
        after: str = "",
        limit: int = 1000,
        without: Sequence[tuple[str, bool]] = (),
    ) -> tuple[int, list[FleetRow]]:
        """How far the view is, and lines of twins in the order of their IRIs, as `fleet.read_lines` says."""
        if since >= self._reached:
            return self._reached, []
        with self.asking() as database:
            reached = database.execute("SELECT value FROM meta WHERE key = 'reached'").fetchone()
            lines = read_lines(database, ranges, model=model, since=since, after=after, limit=limit, without=without)
            return (reached[0] if reached else 0), lines

    def query(self, sql: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        """Rows of a SELECT over the tables; `sql` is the program's own, never a user's."""
        with self.asking() as database:
            return database.execute(sql, values).fetchall()

    def digest_rows(self) -> Iterator[tuple[Any, ...]]:
        """Everything that the view holds, in an order and form that depend on the log alone."""
        with self.asking() as database:
            yield from database.execute("SELECT sub, model, lifecycle, statements, entry, state FROM twin ORDER BY sub")
            for table, columns in (
                ("snapshot", "x.entry, x.state"),
                ("link", "x.name, x.target, x.since, x.until"),
                ("property", "x.name, x.value, x.since, x.until"),
                ("status", "x.model, x.lifecycle, x.since, x.until"),
                ("alarm", "x.rule, x.name, x.severity, x.entry, x.time"),
                ("part", "x.chain, x.contract, x.token, x.owner, x.status, x.parent, x.entry"),
                ("purchase", "x.chain, x.contract, x.number, x.agreement, x.state, x.since, x.token, x.entry"),
                ("proposal", "x.chain, x.contract, x.agreement, x.entry"),
                ("fleet", "x.entry, x.signed, x.line"),
            ):
                sql = f"SELECT t.sub, {columns} FROM {table} x JOIN twin t ON t.id = x.twin ORDER BY t.sub, {columns}"  # noqa: S608 - fixed words only
                for row in database.execute(sql):
                    yield (table, *row)
            yield from database.execute(
                "SELECT t.sub, h.entry, h.kind, i.iss, h.time FROM history h JOIN twin t ON t.id = h.twin "
                "JOIN issuer i ON i.id = h.issuer ORDER BY h.entry"
            )
