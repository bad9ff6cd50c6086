"""The DuckDB file: its schema, one transaction per batch, and short-lived readers.

    progress   how far the log is folded in: `reached` entries, the last of which has the SHA-256 `last`
    twins      id -> subject              signals    id -> name, UCUM unit
    recent     readings in log order      sorted     older readings, in runs ordered by twin, signal, time

A chart of one signal reads the few row groups of `sorted` that hold it (their minima and maxima tell),
and all of `recent`, which is moved over when it has `RUN` rows. `points` is both together, `readings`
is `points` with names: what read-only SQL is meant to see.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa

from twinproof.errors import Corrupt, StorageFailed, TwinproofError
from twinproof.views.telemetry.batch import ROWS, Names

VERSION: Final = 1
"""Of the schema; a file of another version is made anew."""

RUN: Final = 1 << 21
"""Rows that are sorted together: 17 row groups of DuckDB, a second or two of work."""

_COLUMNS: Final = """
    position BIGINT NOT NULL, twin INTEGER NOT NULL, signal INTEGER NOT NULL, time DOUBLE NOT NULL,
    value DOUBLE, text VARCHAR, flag BOOLEAN, data BLOB, exact DECIMAL(20, 0), sum DOUBLE"""
_DROP: Final = """
    DROP VIEW IF EXISTS readings; DROP VIEW IF EXISTS points; DROP TABLE IF EXISTS progress;
    DROP TABLE IF EXISTS twins; DROP TABLE IF EXISTS signals;
    DROP TABLE IF EXISTS recent; DROP TABLE IF EXISTS sorted"""
_CREATE: Final = f"""
    CREATE TABLE progress (version INTEGER NOT NULL, reached BIGINT NOT NULL, last BLOB);
    CREATE TABLE twins (id INTEGER NOT NULL, subject VARCHAR NOT NULL);
    CREATE TABLE signals (id INTEGER NOT NULL, name VARCHAR NOT NULL, unit VARCHAR);
    CREATE TABLE recent ({_COLUMNS});
    CREATE TABLE sorted ({_COLUMNS});
    CREATE VIEW points AS SELECT * FROM sorted UNION ALL SELECT * FROM recent;
    CREATE VIEW readings AS
        SELECT t.subject, s.name AS signal, s.unit, p.time, make_timestamp(CAST(round(p.time * 1e6) AS BIGINT)) AS utc,
               p.value, p.text, p.flag, p.data, p.exact, p.sum,
               p.position // {ROWS} AS log_index, CAST(p.position % {ROWS} AS INTEGER) AS entry_row
        FROM points p JOIN twins t ON t.id = p.twin JOIN signals s ON s.id = p.signal;
    INSERT INTO progress VALUES ({VERSION}, 0, NULL)"""  # noqa: S608 - numbers of this module

_DAMAGE: Final = (
    duckdb.FatalException,
    duckdb.InternalException,
    duckdb.SerializationException,
)
_SIGNS_OF_DAMAGE: Final = ("Corrupt database file", "Could not read enough bytes", "Could not read all bytes")
"""In the message: DuckDB has no class of its own for these."""


def is_damage(problem: duckdb.Error) -> bool:
    """Whether the file's bytes are wrong, as opposed to a query, the disk or the memory."""
    return isinstance(problem, _DAMAGE) or any(sign in str(problem) for sign in _SIGNS_OF_DAMAGE)


class Database:
    """One open file. `append` and `clear` belong to one thread, `reading` to any.

    Every method raises `Corrupt` if the file turns out to be damaged, `StorageFailed` if the disk
    fails or another process has the file open.
    """

    def __init__(self, path: Path, *, memory: str, threads: int | None) -> None:
        self.path = path
        self._changed = threading.Condition()
        self._readers = 0
        self._closed = False
        if not path.exists():
            self._remove()  # a write-ahead log without its database
        settings: dict[str, Any] = {
            # No SQL, ours or a user's, touches a file, the network or an extension, nor can it change that.
            "enable_external_access": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
            "python_enable_replacements": False,
            "memory_limit": memory,
            "max_temp_directory_size": "4GB",
            "lock_configuration": True,
        }
        if threads is not None:
            settings["threads"] = threads
        try:
            self._connection = duckdb.connect(str(path), config=settings)
        except duckdb.Error as problem:
            raise _open_failure(path, problem) from problem
        try:
            with self._guarded():
                self._prepare()
        except BaseException:
            self._connection.close()
            raise

    def _prepare(self) -> None:
        found = self._connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE table_name = 'progress'"
        ).fetchall()
        if found:
            rows = self._connection.execute("SELECT version FROM progress").fetchall()
            if rows != [(VERSION,)]:
                raise Corrupt(f"{self.path} has another schema")
        else:
            self._create()
        self.load()

    def _create(self) -> None:
        self._connection.execute(f"BEGIN; {_DROP}; {_CREATE}; COMMIT")

    def load(self) -> None:
        """Read progress and dictionaries, as they are after the last commit."""
        with self._guarded():
            found = self._connection.execute(
                "SELECT reached, last, (SELECT count(*) FROM recent) FROM progress"
            ).fetchall()
            if len(found) != 1:
                raise Corrupt(f"{self.path} does not say how far it is")
            self.reached: int
            self.last: bytes | None
            self.recent: int
            self.reached, self.last, self.recent = found[0]
            twins = self._connection.execute("SELECT subject FROM twins ORDER BY id").fetchall()
            signals = self._connection.execute("SELECT name, unit FROM signals ORDER BY id").fetchall()
        self.names = Names((subject for (subject,) in twins), signals)
        self._known = len(self.names.subjects), len(self.names.signals)

    # --- writing --------------------------------------------------------------------------------

    def append(self, rows: pa.Table | None, reached: int, last: bytes) -> None:
        """Add rows and set how far the log is folded in, both or neither."""
        connection = self._connection
        twins, signals = self._known
        new_twins = [(number + twins, subject) for number, subject in enumerate(self.names.subjects[twins:])]
        new_signals = [(number + signals, *signal) for number, signal in enumerate(self.names.signals[signals:])]
        try:
            with self._guarded():
                connection.execute("BEGIN")
                if new_twins:
                    self._insert(
                        "twins", pa.table(dict(zip(("id", "subject"), zip(*new_twins, strict=True), strict=True)))
                    )
                if new_signals:
                    columns = dict(zip(("id", "name", "unit"), zip(*new_signals, strict=True), strict=True))
                    self._insert("signals", pa.table({**columns, "unit": pa.array(columns["unit"], pa.string())}))
                if rows is not None:
                    self._insert("recent", rows)
                connection.execute("UPDATE progress SET reached = ?, last = ?", [reached, last])
                # From here on rows and progress are on disk together; a crash before it leaves neither.
                connection.execute("COMMIT")
        except TwinproofError:
            self._roll_back()
            raise
        self.reached, self.last = reached, last
        self._known = len(self.names.subjects), len(self.names.signals)
        self.recent += rows.num_rows if rows is not None else 0

    def _insert(self, table: str, rows: pa.Table) -> None:
        columns = ", ".join(rows.column_names)
        self._connection.register("batch", rows)
        try:
            self._connection.execute(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM batch")  # noqa: S608
        finally:
            self._connection.unregister("batch")

    def _roll_back(self) -> None:
        """Forget what was not committed, ids in memory included."""
        try:
            self._connection.execute("ROLLBACK")
        except duckdb.Error:
            return  # no transaction, or nothing left to roll back: the caller opens the file anew
        self.load()

    def sort_recent(self) -> None:
        """Move the rows of `recent` to a new run of `sorted`."""
        with self._guarded():
            try:
                self._connection.execute(
                    "BEGIN; INSERT INTO sorted SELECT * FROM recent ORDER BY twin, signal, time, position;"
                    "DELETE FROM recent; COMMIT"
                )
            except duckdb.Error:
                self._connection.execute("ROLLBACK")
                raise
        self.recent = 0

    def clear(self) -> None:
        """Drop everything; the log is to be folded in from its first entry."""
        with self._guarded():
            self._create()
        self.load()

    # --- reading --------------------------------------------------------------------------------

    @contextmanager
    def reading(self) -> Iterator[tuple[duckdb.DuckDBPyConnection, int]]:
        """A read-only transaction and the number of entries that it sees."""
        with self._changed:
            if self._closed:
                raise StorageFailed("the telemetry view is closed")
            self._readers += 1
            cursor = self._connection.cursor()
        try:
            with self._guarded():
                cursor.execute("BEGIN TRANSACTION READ ONLY")
                ((reached,),) = cursor.execute("SELECT reached FROM progress").fetchall()
                yield cursor, reached
        finally:
            cursor.close()
            with self._changed:
                self._readers -= 1
                self._changed.notify_all()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except duckdb.Error as problem:
            kind = Corrupt if is_damage(problem) else StorageFailed
            raise kind(f"telemetry view {self.path}: {first_line(problem)}") from problem

    # --- the end --------------------------------------------------------------------------------

    def close(self, *, discard: bool = False) -> None:
        """Close, once nobody reads any more; with `discard`, remove the file."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._changed.wait_for(lambda: not self._readers)
        try:
            self._connection.close()
        except duckdb.Error:
            if not discard:
                raise
        if discard:
            self._remove()

    def _remove(self) -> None:
        remove(self.path)


def remove(path: Path) -> None:
    """Remove a database file and its write-ahead log; raises `StorageFailed`."""
    try:
        for name in (path, path.with_name(f"{path.name}.wal")):
            name.unlink(missing_ok=True)
    except OSError as problem:
        raise StorageFailed(f"cannot remove {problem.filename}: {problem.strerror}") from problem


def first_line(problem: Exception) -> str:
    """DuckDB's messages continue with advice and the query."""
    return str(problem).partition("\n")[0]


def _open_failure(path: Path, problem: duckdb.Error) -> TwinproofError:
    """A damaged file is removed, so one that is locked, or that the system does not open, must not count as such."""
    message = f"cannot open telemetry view {path}: {first_line(problem)}"
    outside = isinstance(
        problem, (duckdb.ConnectionException, duckdb.ProgrammingError, duckdb.OutOfMemoryException)
    ) or any(
        sign in str(problem)
        for sign in ("Could not set lock", "Cannot open file", "No space left", "Input/output error")
    )
    return StorageFailed(message) if outside else Corrupt(message)
