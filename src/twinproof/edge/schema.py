"""The outbox's tables, and how its file is opened: locked, and durable at each commit."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from twinproof.errors import ConfigError, StorageFailed

_APPLICATION_ID: Final = 0x7470_6F62
"""`tpob`: no other program's database is taken for an outbox."""
_VERSION: Final = 1

_SCHEMA: Final = f"""
BEGIN IMMEDIATE;
CREATE TABLE streams (
    id INTEGER PRIMARY KEY,
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    known INTEGER NOT NULL DEFAULT 0,
    seq INTEGER,
    digest BLOB,
    reason TEXT,
    stopped TEXT,
    detail TEXT,
    UNIQUE (issuer, subject)
) STRICT;
CREATE TABLE statements (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    stream INTEGER NOT NULL REFERENCES streams,
    seq INTEGER NOT NULL,
    digest BLOB NOT NULL,
    size INTEGER NOT NULL,
    state TEXT NOT NULL,
    log_index INTEGER,
    receipt BLOB,
    checked INTEGER NOT NULL DEFAULT 0,
    delivered_at REAL,
    code TEXT,
    detail TEXT,
    raw BLOB
) STRICT;
CREATE UNIQUE INDEX positions ON statements (stream, seq) WHERE state <> 'abandoned';
CREATE INDEX sizes ON statements (state, size);
CREATE INDEX waiting ON statements (id) WHERE state = 'queued';
CREATE INDEX delivered_whole ON statements (delivered_at) WHERE state = 'delivered' AND raw IS NOT NULL;
CREATE INDEX delivered_all ON statements (delivered_at) WHERE state = 'delivered';
CREATE TABLE journal (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    stream INTEGER NOT NULL REFERENCES streams,
    content_type TEXT,
    item BLOB NOT NULL
) STRICT;
CREATE INDEX journal_streams ON journal (stream, id);
PRAGMA application_id = {_APPLICATION_ID};
PRAGMA user_version = {_VERSION};
COMMIT;
"""


def open_database(path: Path) -> sqlite3.Connection:
    """The open, locked outbox at `path`, made if there is none.

    Raises `ConfigError` (in use, not an outbox, unreadable) or `StorageFailed`.
    """
    try:
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0)
    except sqlite3.Error as problem:
        raise ConfigError(f"outbox {path}: {problem}; does its folder exist?") from None
    try:
        # Exclusive before WAL: the lock is then held for as long as the process lives.
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("BEGIN IMMEDIATE").execute("COMMIT")
        application, version = (
            db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
        )
        tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if tables and application != _APPLICATION_ID:
            raise ConfigError(f"{path} is another program's database, not an outbox")
        if tables and version != _VERSION:
            raise ConfigError(f"outbox {path} has format {version}; this program reads format {_VERSION}")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        if not tables:
            db.executescript(_SCHEMA)
    except sqlite3.OperationalError as problem:
        db.close()
        if problem.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
            raise ConfigError(
                f"outbox {path} is in use by another process; one recorder at a time may hold it"
            ) from None
        raise StorageFailed(f"outbox {path}: {problem}") from None
    except sqlite3.DatabaseError as problem:
        db.close()
        raise ConfigError(
            f"outbox {path} cannot be read ({problem}). Move it away, do not delete it: "
            "the recorder then asks the log where its streams end and records the loss"
        ) from None
    except BaseException:
        db.close()
        raise
    return db
