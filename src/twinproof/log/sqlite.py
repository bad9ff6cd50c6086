"""The embedded store: one SQLite file in WAL mode with synchronous=FULL.

    entry(idx, data)          position(key, idx)        tile(id, data)     id = level * 2^55 + n
    head(one, size, root, time, note)    checkpoint(size, time, note)    conflict(key, idx, data, time)

Files: the database (mode 0600, as are SQLite's -wal and -shm beside it) and `<name>.lock`, which the
one writing process holds locked. A copy for backup is made of the database with its -wal while no
process writes, or with SQLite's own backup command at any time.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from weakref import WeakSet

from twinproof.errors import ConfigError, Conflict, Corrupt, LogError, NotFound, StorageFailed
from twinproof.log.files import sync_folder
from twinproof.log.store import (
    KEEP_EVERY,
    MAX_CONFLICTS,
    Group,
    Head,
    KeptCheckpoint,
    KeptConflict,
    after_prefix,
    opens_period,
    require_head,
    require_same_text,
)

APPLICATION_ID: Final = 0x54575046
"""SQLite's `application_id` of a log: "TWPF"."""
SCHEMA_VERSION: Final = 1
"""SQLite's `user_version` of the tables below."""

_SCHEMA = """
CREATE TABLE entry (idx INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE position (key BLOB PRIMARY KEY, idx INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE tile (id INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE head (one INTEGER PRIMARY KEY CHECK (one = 1), size INTEGER NOT NULL, root BLOB NOT NULL,
                   time INTEGER NOT NULL, note BLOB NOT NULL);
CREATE TABLE checkpoint (size INTEGER PRIMARY KEY, time INTEGER NOT NULL, note BLOB NOT NULL);
CREATE TABLE conflict (key BLOB NOT NULL UNIQUE, idx INTEGER NOT NULL, data BLOB NOT NULL, time INTEGER NOT NULL);
"""
_KEPT = "(SELECT size, time, note FROM checkpoint UNION ALL SELECT size, time, note FROM head)"
_ASKED: Final = 256
"""Keys in one question; always that many, so that SQLite keeps one prepared statement."""
_FIND_MANY = f"SELECT key, idx FROM position WHERE key IN ({', '.join('?' * _ASKED)})"  # noqa: S608 - question marks only
_BUSY_SECONDS: Final = 10
_WAL_PAGES: Final = 4000
"""Pages of 4 KiB in the WAL before they move into the database: the tiles at the edge are rewritten by every
commit, and move only once."""


def _tile_id(level: int, n: int) -> int:
    return level << 55 | n


class _Connection:
    """Closes when its thread ends, together with the thread's locals."""

    def __init__(self, raw: sqlite3.Connection) -> None:
        self.raw = raw

    def __del__(self) -> None:
        self.raw.close()


class SqliteStore:
    """The `Store` Protocol over one file; `keep_every` in seconds.

    Raises `Conflict` if another process has the log open for writing, `ConfigError` if the file is
    not a log of this version, `StorageFailed` and `Corrupt` as `Store` says. With `read_only` the
    file is opened beside a writer and never changed.
    """

    def __init__(self, path: Path | str, *, keep_every: int = KEEP_EVERY, read_only: bool = False) -> None:
        self._path = Path(path).absolute()
        self._keep_every = keep_every
        self._read_only = read_only
        self._writing_lock = threading.Lock()
        self._local = threading.local()
        self._readers: WeakSet[_Connection] = WeakSet()
        self._readers_lock = threading.Lock()
        self._writer: sqlite3.Connection | None = None
        self._lock_file: int | None = None
        self._closed = False
        try:
            if not read_only:
                self._lock_file = self._take_lock()
                self._create_file()
                self._writer = self._open_writer()
            self._require_schema()
        except BaseException:
            self.close()
            raise

    # --- opening and closing ------------------------------------------------------------------

    def _take_lock(self) -> int:
        path = self._path.with_name(self._path.name + ".lock")
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as problem:
            raise StorageFailed(f"{path}: {problem.strerror}") from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(file)
            raise Conflict(
                f"{self._path} is open for writing elsewhere: one log has one writer. Stop it first"
            ) from None
        return file

    def _create_file(self) -> None:
        # Made here and not by SQLite, so that nobody else could read it even for a moment.
        try:
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            sync_folder(self._path.parent)
        except FileExistsError:
            return
        except OSError as problem:
            raise StorageFailed(f"{self._path}: {problem.strerror}") from None

    def _connect(self, mode: str) -> sqlite3.Connection:
        if self._closed:
            raise StorageFailed("the store is closed")
        raw = sqlite3.connect(
            f"{self._path.as_uri()}?{mode}",
            uri=True,
            timeout=_BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
        raw.text_factory = bytes  # a value turned into text is still read, and found to be wrong by its content
        raw.execute("PRAGMA trusted_schema = OFF")
        return raw

    def _open_writer(self) -> sqlite3.Connection:
        with self._translated("open"):
            raw = self._connect("mode=rw")
            try:
                raw.execute("PRAGMA journal_mode = WAL")
                raw.execute("PRAGMA synchronous = FULL")
                raw.execute("PRAGMA fullfsync = ON")
                raw.execute("PRAGMA checkpoint_fullfsync = ON")
                raw.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}")
                raw.execute("PRAGMA cache_size = -16384")
                if not raw.execute("SELECT 1 FROM sqlite_master").fetchone():
                    raw.executescript(
                        f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA application_id = {APPLICATION_ID};"
                        f"PRAGMA user_version = {SCHEMA_VERSION}; COMMIT"
                    )
            except BaseException:
                raw.close()
                raise
            return raw

    def _open_reader(self) -> sqlite3.Connection:
        mode = "mode=ro"
        if self._read_only and not os.access(self._path.parent, os.W_OK):
            # On a read-only medium SQLite cannot make its -shm file, and nobody can be writing.
            wal = self._path.with_name(self._path.name + "-wal")
            mode += "" if wal.exists() else "&immutable=1"
        raw = self._connect(mode)
        raw.execute("PRAGMA query_only = ON")
        return raw

    def _require_schema(self) -> None:
        if not self._path.exists():
            raise NotFound(f"{self._path}: no such log")
        application = self._read("PRAGMA application_id")[0][0]
        version = self._read("PRAGMA user_version")[0][0]
        if application != APPLICATION_ID:
            raise ConfigError(f"{self._path}: an SQLite file, but not a Twinproof log")
        if version != SCHEMA_VERSION:
            raise ConfigError(f"{self._path}: log format {version}; this program reads format {SCHEMA_VERSION}")

    def close(self) -> None:
        self._closed = True
        with self._readers_lock:
            for reader in list(self._readers):
                reader.raw.close()
        with self._writing_lock:
            self._discard_writer()
            if self._lock_file is not None:
                os.close(self._lock_file)
                self._lock_file = None

    # --- SQLite's errors in our words ---------------------------------------------------------

    def _translate(self, problem: sqlite3.Error, doing: str) -> LogError:
        if self._closed:
            return StorageFailed("the store is closed")
        code = getattr(problem, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return Corrupt(
                f"{self._path}: {doing}: {problem}. Stop the node, keep a copy of the file, and bring back a backup"
            )
        if isinstance(problem, sqlite3.IntegrityError):
            return Conflict(f"{self._path}: {doing}: a position or index of this group is taken ({problem})")
        advice = {
            sqlite3.SQLITE_FULL: "free some space and send again",
            sqlite3.SQLITE_READONLY: "the file or its folder is not writable",
            sqlite3.SQLITE_CANTOPEN: "does the file exist, and may this user read and write its folder?",
            sqlite3.SQLITE_BUSY: "another program holds the file locked",
        }.get(code, "the disk may be failing; see the system's log")
        return StorageFailed(f"{self._path}: {doing}: {problem}; {advice}")

    @contextmanager
    def _translated(self, doing: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as problem:
            raise self._translate(problem, doing) from problem

    # --- reading ------------------------------------------------------------------------------

    def _read(self, sql: str, values: Sequence[object] = ()) -> list[Any]:
        try:
            reader: _Connection | None = getattr(self._local, "reader", None)
            if reader is None:
                reader = _Connection(self._open_reader())
                with self._readers_lock:
                    self._readers.add(reader)
                self._local.reader = reader
            return reader.raw.execute(sql, values).fetchall()
        except sqlite3.Error as problem:
            raise self._translate(problem, "read") from problem

    def head(self) -> Head | None:
        rows = self._read("SELECT size, root, note, time FROM head")
        return Head(*rows[0]) if rows else None

    def entries(self, start: int, end: int) -> list[bytes]:
        rows = self._read("SELECT idx, data FROM entry WHERE idx >= ? AND idx < ? ORDER BY idx", (start, end))
        if len(rows) < end - start:
            raise NotFound(f"no entry {min(set(range(start, end)) - {row[0] for row in rows})}")
        return [self._blob(data, "entry", index) for index, data in rows]

    def _blob(self, value: object, table: str, key: object) -> bytes:
        if type(value) is not bytes:
            raise Corrupt(f"{self._path}: {table} {key} is not bytes; run twinproof fsck")
        return value

    def tile(self, level: int, n: int) -> bytes:
        rows = self._read("SELECT data FROM tile WHERE id = ?", (_tile_id(level, n),))
        if not rows:
            raise NotFound(f"no tile {n} at level {level}")
        return self._blob(rows[0][0], f"level {level} tile", n)

    def find(self, key: bytes) -> int | None:
        rows = self._read("SELECT idx FROM position WHERE key = ?", (key,))
        return rows[0][0] if rows else None

    def find_many(self, keys: Collection[bytes]) -> dict[bytes, int]:
        found: dict[bytes, int] = {}
        rest = list(keys)
        while rest:
            part, rest = rest[:_ASKED], rest[_ASKED:]
            found.update(self._read(_FIND_MANY, part + [b""] * (_ASKED - len(part))))
        return found

    def scan(self, prefix: bytes, after: bytes = b"", limit: int = 1000) -> list[tuple[bytes, int]]:
        start, strict = (after, ">") if after >= prefix else (prefix, ">=")
        end = after_prefix(prefix)
        where, values = (f"key {strict} ?", [start]) if end is None else (f"key {strict} ? AND key < ?", [start, end])
        return self._read(
            f"SELECT key, idx FROM position WHERE {where} ORDER BY key LIMIT ?",  # noqa: S608 - fixed words only
            [*values, limit],
        )

    def last(self, prefix: bytes) -> tuple[bytes, int] | None:
        end = after_prefix(prefix)
        where, values = ("key >= ?", [prefix]) if end is None else ("key >= ? AND key < ?", [prefix, end])
        rows = self._read(
            f"SELECT key, idx FROM position WHERE {where} ORDER BY key DESC LIMIT 1",  # noqa: S608 - fixed words only
            values,
        )
        return rows[0] if rows else None

    def _checkpoints(self, rest: str, values: Sequence[int]) -> list[KeptCheckpoint]:
        rows = self._read(f"SELECT size, time, note FROM {_KEPT} {rest}", values)  # noqa: S608 - fixed words only
        return [KeptCheckpoint(*row) for row in rows]

    def checkpoints(self, after: int = -1, limit: int | None = None) -> list[KeptCheckpoint]:
        return self._checkpoints("WHERE size > ? ORDER BY size LIMIT ?", (after, -1 if limit is None else limit))

    def checkpoint_at_or_after(self, size: int) -> KeptCheckpoint | None:
        return next(iter(self._checkpoints("WHERE size >= ? ORDER BY size LIMIT 1", (size,))), None)

    def checkpoint_at_or_before(self, size: int) -> KeptCheckpoint | None:
        return next(iter(self._checkpoints("WHERE size <= ? ORDER BY size DESC LIMIT 1", (size,))), None)

    def conflicts(self) -> list[KeptConflict]:
        return [KeptConflict(*row) for row in self._read("SELECT key, idx, data, time FROM conflict ORDER BY key")]

    # --- writing ------------------------------------------------------------------------------

    def _discard_writer(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            with suppress(sqlite3.Error):
                writer.close()

    @contextmanager
    def _transaction(self, doing: str) -> Iterator[sqlite3.Connection]:
        if self._read_only:
            raise StorageFailed(f"{self._path} is open for reading only")
        with self._writing_lock, self._translated(doing):
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
                    # Closing rolls back. After a failed write the connection's state is not worth trusting.
                    self._discard_writer()

    def commit(self, expected: Head | None, group: Group) -> None:
        head = group.head
        with self._transaction("commit") as writer:
            old = writer.execute("SELECT size, root, time, note FROM head").fetchone()
            require_head(expected, *(old[:2] if old else (None, None)))
            start = old[0] if old else 0
            writer.executemany(
                "INSERT INTO entry VALUES (?, ?)", enumerate((entry.data for entry in group.entries), start)
            )
            writer.executemany(
                "INSERT INTO position VALUES (?, ?)",
                [(entry.key, start + i) for i, entry in enumerate(group.entries)],
            )
            writer.executemany(
                "INSERT OR REPLACE INTO tile VALUES (?, ?)",
                [(_tile_id(level, n), data) for level, n, data in group.tiles],
            )
            if old and old[0] < head.size:
                (newest,) = writer.execute("SELECT time FROM checkpoint ORDER BY size DESC LIMIT 1").fetchone() or (
                    None,
                )
                if opens_period(old[2], newest, self._keep_every):
                    writer.execute("INSERT OR REPLACE INTO checkpoint VALUES (?, ?, ?)", (old[0], old[2], old[3]))
            writer.execute(
                "INSERT OR REPLACE INTO head VALUES (1, ?, ?, ?, ?)", (head.size, head.root, head.time, head.checkpoint)
            )

    def replace_checkpoint(self, size: int, note: bytes, time: int | None = None) -> None:
        with self._transaction("replace checkpoint") as writer:
            newest, newest_note = writer.execute("SELECT size, note FROM head").fetchone() or (-1, b"")
            kept = writer.execute("SELECT note FROM checkpoint WHERE size = ?", (size,)).fetchone()
            if size == newest:
                require_same_text(size, newest_note, note)
                writer.execute("UPDATE head SET note = ?", (note,))
            elif kept:
                require_same_text(size, kept[0], note)
                writer.execute("UPDATE checkpoint SET note = ? WHERE size = ?", (note, size))
            elif time is None or size > newest:
                raise NotFound(f"no kept checkpoint of size {size}")
            else:
                writer.execute("INSERT INTO checkpoint VALUES (?, ?, ?)", (size, time, note))

    def keep_conflict(self, key: bytes, index: int, data: bytes, time: int) -> None:
        known = "SELECT (SELECT count(*) FROM conflict) >= ? OR EXISTS (SELECT 1 FROM conflict WHERE key = ?)"
        if self._read(known, (MAX_CONFLICTS, key))[0][0]:
            return
        with self._transaction("keep conflict") as writer:
            if not writer.execute(known, (MAX_CONFLICTS, key)).fetchone()[0]:
                writer.execute("INSERT INTO conflict VALUES (?, ?, ?, ?)", (key, index, data, time))
