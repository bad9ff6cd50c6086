"""SQLite for a chain: one file, several processes; every error in our words.

WAL with synchronous=FULL: a commit is on disk when it returns. Readers never wait for a writer; writers wait for each
other. Without a path the database is in memory and one connection serves all threads by turns.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from weakref import WeakSet

from twinproof.errors import ChainError, ConfigError, Corrupt, LogError, NotFound, StorageFailed

APPLICATION_ID: Final = 0x54575043
"""SQLite's `application_id` of a chain: "TWPC"."""
SCHEMA_VERSION: Final = 1
BUSY_SECONDS: Final = 30
"""How long a writer waits for the others."""

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID, STRICT;
CREATE TABLE block (number INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, header BLOB NOT NULL) STRICT;
CREATE TABLE tx (block INTEGER NOT NULL, position INTEGER NOT NULL, hash BLOB NOT NULL UNIQUE, sender BLOB NOT NULL,
                 raw BLOB NOT NULL, receipt BLOB NOT NULL, gas INTEGER NOT NULL, logs INTEGER NOT NULL,
                 PRIMARY KEY (block, position)) STRICT;
CREATE TABLE log (block INTEGER NOT NULL, position INTEGER NOT NULL, tx INTEGER NOT NULL, address BLOB NOT NULL,
                  topic BLOB, PRIMARY KEY (block, position)) WITHOUT ROWID, STRICT;
CREATE INDEX log_by_address ON log (address, block);
CREATE INDEX log_by_topic ON log (topic, block);
CREATE TABLE node (hash BLOB PRIMARY KEY, block INTEGER NOT NULL, data BLOB NOT NULL) WITHOUT ROWID, STRICT;
"""
# tx has row ids because rows of more than a quarter of a page would each take an overflow page without.
# tx.logs: how many logs the block had before this transaction. log.topic: the first. node.block: the last that made it.


class _Connection:
    """Closes when its thread ends, together with the thread's locals."""

    def __init__(self, raw: sqlite3.Connection) -> None:
        self.raw = raw

    def __del__(self) -> None:
        self.raw.close()


class Database:
    """Raises `ConfigError` if the file is no chain of this version, `NotFound` if it is absent and only to be read,
    `StorageFailed` and `Corrupt`."""

    def __init__(self, path: Path | None, *, read_only: bool = False) -> None:
        self.path = path.absolute() if path else None
        self.name = str(self.path or "the chain in memory")
        self._read_only = read_only
        self._lock = threading.RLock()
        self._local = threading.local()
        self._readers: WeakSet[_Connection] = WeakSet()
        self._writer: sqlite3.Connection | None = None
        self._closed = False
        try:
            if not read_only:
                self._create_file()
                self._writer = self._open_writer()
            self._require_schema()
        except BaseException:  # an interrupt too must not leave the file open
            self.close()
            raise

    # --- opening and closing ------------------------------------------------------------------

    def _create_file(self) -> None:
        # Made here and not by SQLite, so that nobody else could read it even for a moment.
        if self.path is None:
            return
        try:
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except FileExistsError:
            return
        except OSError as problem:
            raise StorageFailed(f"{self.name}: {problem.strerror}") from None

    def _connect(self, mode: str) -> sqlite3.Connection:
        if self._closed:
            raise StorageFailed("the chain is closed")
        where = ":memory:" if self.path is None else f"{self.path.as_uri()}?mode={mode}"
        raw = sqlite3.connect(
            where, uri=self.path is not None, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        raw.execute("PRAGMA trusted_schema = OFF")
        return raw

    def _open_writer(self) -> sqlite3.Connection:
        with self._translated("open"):
            raw = self._connect("rw")
            try:
                # Takes effect in an empty database only: pages that compaction frees go back to the file system.
                raw.execute("PRAGMA auto_vacuum = INCREMENTAL")
                raw.execute("PRAGMA journal_mode = WAL")
                raw.execute("PRAGMA synchronous = FULL")
                raw.execute("PRAGMA fullfsync = ON")
                raw.execute("PRAGMA checkpoint_fullfsync = ON")
                raw.execute("BEGIN IMMEDIATE")  # another process may be creating the same tables
                if not raw.execute("SELECT 1 FROM sqlite_master").fetchone():
                    for statement in _SCHEMA.split(";"):  # executescript would commit first
                        raw.execute(statement)
                    raw.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                    raw.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
                raw.execute("COMMIT")
            except BaseException:  # closing rolls back what an interrupt left half done
                raw.close()
                raise
            return raw

    def _require_schema(self) -> None:
        if self.path is not None and not self.path.exists():
            raise NotFound(f"{self.name}: no such chain")
        if self.read("PRAGMA application_id")[0][0] != APPLICATION_ID:
            raise ConfigError(f"{self.name}: an SQLite file, but not a Twinproof chain")
        version = self.read("PRAGMA user_version")[0][0]
        if version != SCHEMA_VERSION:
            raise ConfigError(f"{self.name}: chain format {version}; this program reads format {SCHEMA_VERSION}")

    def close(self) -> None:
        """Nothing works afterwards; what was acknowledged is on disk already."""
        self._closed = True
        with self._lock:
            for reader in list(self._readers):
                reader.raw.close()
            self._discard_writer()

    def _discard_writer(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            with suppress(sqlite3.Error):
                writer.close()

    # --- SQLite's errors in our words ---------------------------------------------------------

    def _translate(self, problem: sqlite3.Error, doing: str) -> LogError:
        if self._closed:
            return StorageFailed("the chain is closed")
        code = getattr(problem, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CONSTRAINT):
            return Corrupt(f"{self.name}: {doing}: {problem}. Keep a copy of the file, and bring back a backup")
        advice = {
            sqlite3.SQLITE_FULL: "free some space and send again",
            sqlite3.SQLITE_READONLY: "the file or its folder is not writable",
            sqlite3.SQLITE_CANTOPEN: "does the file exist, and may this user read and write its folder?",
            sqlite3.SQLITE_BUSY: "another program holds the file locked",
        }.get(code, "the disk may be failing; see the system's log")
        return StorageFailed(f"{self.name}: {doing}: {problem}; {advice}")

    @contextmanager
    def _translated(self, doing: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as problem:
            raise self._translate(problem, doing) from problem

    # --- reading and writing ------------------------------------------------------------------

    def read(self, sql: str, values: Sequence[object] = ()) -> list[Any]:
        """All rows of one question, as of one moment."""
        with self._translated("read"):
            if self.path is None:
                with self._lock:
                    if self._writer is None:
                        raise StorageFailed("the chain is closed")
                    return self._writer.execute(sql, values).fetchall()
            reader: _Connection | None = getattr(self._local, "reader", None)
            if reader is None:
                reader = _Connection(self._open_reader())
                with self._lock:
                    self._readers.add(reader)
                self._local.reader = reader
            return reader.raw.execute(sql, values).fetchall()

    def _open_reader(self) -> sqlite3.Connection:
        mode = "ro"
        if self._read_only and self.path is not None and not os.access(self.path.parent, os.W_OK):
            # On a read-only medium SQLite cannot make its -shm file, and nobody can be writing.
            mode += "" if self.path.with_name(self.path.name + "-wal").exists() else "&immutable=1"
        raw = self._connect(mode)
        raw.execute("PRAGMA query_only = ON")
        return raw

    @contextmanager
    def transaction(self, doing: str) -> Iterator[sqlite3.Connection]:
        """All or nothing; no other writer, in any process, is between its first read and its last write."""
        if self._read_only:
            raise ChainError(f"{self.name} is open for reading only")
        with self._lock, self._translated(doing):
            if self.path is None and self._writer is None:
                raise StorageFailed("the chain is closed")
            writer = self._writer = self._writer or self._open_writer()
            done = False
            try:
                writer.execute("BEGIN IMMEDIATE")
                yield writer
                # The commit point: SQLite appends the transaction's last frame to the WAL and fsyncs it. A crash
                # before that leaves nothing; one after it leaves all, though the caller may never hear of it.
                writer.execute("COMMIT")
                done = True
            finally:
                if not done:
                    self._roll_back(writer)

    def shrink(self) -> None:
        """Give free pages back to the file system, as far as nobody else is busy."""
        with self._lock, suppress(sqlite3.OperationalError):
            if self._writer is not None:
                # A row without columns comes for each page, and `execute` stops at the first.
                self._writer.executescript("PRAGMA incremental_vacuum")
                self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _roll_back(self, writer: sqlite3.Connection) -> None:
        if self.path is None:
            writer.execute("ROLLBACK")
        else:
            # Closing rolls back. After a failed write the connection's state is not worth trusting.
            self._discard_writer()
