"""The telemetry view: the log's readings in DuckDB, folded in by a thread of its own.

    view = TelemetryView(folder / "telemetry.duckdb", feed)
    view.start()
    view.buckets(Selection("urn:example:engine:1", ["T24", "Nf"], start, end), Cut(n=1000))

Nothing here is a source of truth. The file holds how many entries are folded in, in the same
transaction as their rows; a file that is lost, damaged, of another schema or of another log is made
anew from the log.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

import duckdb

from twinproof.errors import Corrupt, NotFound, TwinproofError
from twinproof.views.feed import Item
from twinproof.views.telemetry import buckets, digest, export, query, sql
from twinproof.views.telemetry.batch import Batch, Names
from twinproof.views.telemetry.database import RUN, Database, remove
from twinproof.views.telemetry.selection import Selection

CHUNK: Final = 1024
"""Entries that are read from the feed at once: at most 60 MiB."""
BATCH_ROWS: Final = 200_000
"""A transaction is closed once it has this many rows."""
LINGER: Final = 0.2
"""Seconds to wait after a commit: each costs some 10 ms of CPU, however few rows it has, and a busy log goes first."""
RETRY: Final = 1.0
"""Seconds until the thread tries again after a failure."""
MEMORY: Final = "1GB"
"""What DuckDB may use, queries and fold together."""


class Source(Protocol):
    """What the view needs of `Feed`."""

    @property
    def size(self) -> int: ...

    def read(self, start: int, limit: int) -> list[Item]: ...

    def listen(self, listener: Callable[[int], None]) -> Callable[[], None]: ...


class TelemetryView:
    """One per process and file. Methods may be called from any thread.

    Queries see one state of the view, name it as `reached`, and raise `NotFound` for an `as_of` that the
    view has not folded in yet, `StorageFailed` if the disk fails, and `Corrupt` if the file is damaged:
    the view is then made anew by the next `catch_up`.
    """

    def __init__(
        self, path: Path, source: Source, *, memory: str = MEMORY, threads: int | None = None, run: int = RUN
    ) -> None:
        self.path = path
        self._source = source
        self._memory = memory
        self._threads = threads
        self._run_rows = run
        self._folding = threading.RLock()
        self._progress = threading.Condition()
        self._news = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._unlisten: Callable[[], None] | None = None
        self._damaged = False
        self.problem: TwinproofError | None = None
        """Why the thread does not get on; it keeps trying."""
        self._database = self._open()

    def _open(self) -> Database:
        try:
            database = Database(self.path, memory=self._memory, threads=self._threads)
        except Corrupt:
            remove(self.path)
            database = Database(self.path, memory=self._memory, threads=self._threads)
        try:
            if not self._continues(database):
                database.clear()
        except BaseException:
            database.close()
            raise
        return database

    def _continues(self, database: Database) -> bool:
        """Whether the log holds what the file says was folded in last: logs can be restored or exchanged."""
        if not database.reached:
            return True
        if database.reached > self._source.size:
            return False
        return self._source.read(database.reached - 1, 1)[0].statement.digest == database.last

    # --- folding --------------------------------------------------------------------------------

    @property
    def reached(self) -> int:
        """Entries of the log that are folded in."""
        return self._database.reached

    def catch_up(self, limit: int | None = None) -> int:
        """Fold in up to `limit` more entries, by default all that are published; the number taken.

        Raises what the source raises, `StorageFailed` or `Corrupt`; whatever was raised, the view holds
        the readings of exactly the first `reached` entries.
        """
        taken = 0
        with self._folding:
            if self._damaged:
                self._reopen()
            while (limit is None or taken < limit) and self.reached < self._source.size:
                # Outside of `_noticing`: a damaged log is no reason to throw the view away.
                items = self._source.read(self.reached, CHUNK if limit is None else min(CHUNK, limit - taken))
                with self._noticing():
                    taken += self._fold(items)
        return taken

    def _fold(self, items: Sequence[Item]) -> int:
        database = self._database
        batch = Batch(database.names)
        for number, item in enumerate(items, 1):
            batch.add(item.index, item.statement.subject, item.payload)
            if batch.rows >= BATCH_ROWS or number == len(items):
                rows = batch.table() if batch.rows else None
                database.append(rows, item.index + 1, item.statement.digest)
                batch = Batch(database.names)
        if database.recent >= self._run_rows:
            database.sort_recent()
        with self._progress:
            self._progress.notify_all()
        return len(items)

    def _reopen(self) -> None:
        self._database.close(discard=True)
        self._database = self._open()
        self._damaged = False

    def rebuild(self) -> None:
        """Drop everything and fold the log in again; raises as `catch_up`."""
        with self._folding:
            if not self._damaged:
                with self._noticing():
                    self._database.clear()
            self.catch_up()

    def wait(self, index: int, timeout: float | None = None) -> bool:
        """Wait until entry `index` is folded in; False after `timeout` seconds without it."""
        with self._progress:
            return self._progress.wait_for(lambda: self.reached > index, timeout)

    # --- the thread -----------------------------------------------------------------------------

    def start(self) -> None:
        """Follow the source from a thread until `stop`."""
        if self._thread is None:
            self._stopping.clear()
            self._unlisten = self._source.listen(lambda _: self._news.set())
            self._thread = threading.Thread(target=self._follow, name="telemetry")
            self._thread.start()

    def stop(self) -> None:
        """End the thread; it finishes the transaction it is at."""
        if self._thread is not None:
            self._stopping.set()
            self._news.set()
            self._thread.join()
            self._thread = None
        if self._unlisten is not None:
            self._unlisten()
            self._unlisten = None

    def close(self) -> None:
        """Stop, wait for the queries that are under way, close the file."""
        self.stop()
        with self._folding:
            self._database.close()

    def _follow(self) -> None:
        while not self._stopping.is_set():
            self._news.clear()
            try:
                taken = self.catch_up(CHUNK)
            except TwinproofError as problem:
                self.problem = problem
                self._stopping.wait(RETRY)
                continue
            self.problem = None
            if taken < CHUNK:
                self._stopping.wait(LINGER)
                if self.reached >= self._source.size:
                    self._news.wait()

    # --- queries --------------------------------------------------------------------------------

    def raw(self, selection: Selection, *, limit: int = 10_000, after: str | None = None) -> query.Page:
        """Readings in the order of time, then of the log; `after` is the `next` of the page before."""
        with self._reading(selection.as_of) as (cursor, names, reached):
            return query.raw(cursor, names, selection, reached, limit, after)

    def latest(self, selection: Selection = Selection()) -> query.Page:  # noqa: B008 - immutable
        """The newest reading of each signal; as of an index by `as_of`, before a time by `end`."""
        with self._reading(selection.as_of) as (cursor, names, reached):
            return query.latest(cursor, names, selection, reached)

    def buckets(self, selection: Selection, cut: buckets.Cut) -> buckets.Buckets:
        """Aggregates of the numbers in equal spans of time, for each signal of each twin."""
        with self._reading(selection.as_of) as (cursor, names, reached):
            return buckets.buckets(cursor, names, selection, cut, reached)

    def query_sql(self, text: str, *, max_rows: int = 10_000, timeout: float = 10.0) -> sql.SqlResult:
        """One SELECT over `readings`; raises `Malformed` or `TooLarge` for the field `sql`."""
        with self._reading(None) as (cursor, _, reached):
            return sql.query_sql(cursor, text, max_rows=max_rows, timeout=timeout, reached=reached)

    def export(self, path: Path, selection: Selection, *, format: export.Format = "parquet") -> int:
        """Write all readings of a selection, in the order of time, to a file; the number of rows."""
        with self._reading(selection.as_of) as (cursor, names, _):
            reader = cursor.sql(query.rows_sql(selection.where(names))).to_arrow_reader(65_536)
            return export.write_file(path, format, reader.schema, reader)

    def digest(self) -> bytes:
        """SHA-256 of the content: equal for equal logs, however and in whatever steps it was folded in."""
        with self._reading(None) as (cursor, _, reached):
            return digest.digest(cursor, reached)

    @contextmanager
    def _reading(self, as_of: int | None) -> Iterator[tuple[duckdb.DuckDBPyConnection, Names, int]]:
        database = self._database
        with self._noticing(), database.reading() as (cursor, reached):
            if as_of is not None and as_of >= reached:
                raise NotFound(f"no entry {as_of} in the telemetry view yet: it has reached {reached} entries")
            yield cursor, database.names, reached

    @contextmanager
    def _noticing(self) -> Iterator[None]:
        """Let the next `catch_up` make a damaged file anew."""
        try:
            yield
        except Corrupt:
            self._damaged = True
            self._news.set()
            raise
