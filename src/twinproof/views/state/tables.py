"""The state view's tables, in one SQLite file that can be dropped at any time.

    meta(key, value)                                  reached, digest of the last entry folded in
    twin(id, sub, model, lifecycle, statements, entry, state)         the newest state of each twin
    snapshot(twin, entry, state)                      an older state, every `SNAPSHOT_EVERY` statements
    history(twin, entry, kind, issuer, time)          which entries are about a twin
    link(twin, name, target, since, until)            relationships; `until` is null while they hold
    property(twin, name, value, since, until)         reported properties, values as `values` packs them
    status(twin, model, lifecycle, since, until)      model and lifecycle, from the twin's first statement on
    alarm(twin, rule, name, severity, entry, time)    alarms that stand now
    part(twin, chain, contract, token, owner, status, parent, entry)              part tokens, as contracts told of them
    purchase(twin, chain, contract, number, agreement, state, since, token, entry)  maintenance orders
    proposal(twin, chain, contract, agreement, entry)                             agreements proposed for a twin
    fleet(twin, sub, model, entry, signed, line)      what a list of the fleet shows of a twin, as `fleet` writes it

`since` and `until` are log indices, `since <= at < until` means that the row held after entry `at`.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Final

from twinproof.errors import StorageFailed

VERSION: Final = 5
"""SQLite's `user_version`; a file of another version is made anew."""

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE twin (id INTEGER PRIMARY KEY, sub TEXT NOT NULL UNIQUE, model TEXT, lifecycle TEXT,
                   statements INTEGER NOT NULL, entry INTEGER NOT NULL, state BLOB NOT NULL);
CREATE INDEX twin_model ON twin (model);
CREATE TABLE snapshot (twin INTEGER, entry INTEGER, state BLOB NOT NULL, PRIMARY KEY (twin, entry)) WITHOUT ROWID;
CREATE TABLE history (twin INTEGER, entry INTEGER, kind TEXT NOT NULL, issuer INTEGER NOT NULL, time INTEGER NOT NULL,
                      PRIMARY KEY (twin, entry)) WITHOUT ROWID;
CREATE TABLE issuer (id INTEGER PRIMARY KEY, iss TEXT NOT NULL UNIQUE);
CREATE TABLE link (twin INTEGER, name TEXT, target TEXT, since INTEGER, until INTEGER,
                   PRIMARY KEY (twin, name, target, since)) WITHOUT ROWID;
CREATE INDEX link_target ON link (target, name);
CREATE TABLE property (twin INTEGER, name TEXT, value, since INTEGER, until INTEGER,
                       PRIMARY KEY (twin, name, since)) WITHOUT ROWID;
CREATE INDEX property_then ON property (name, value);
CREATE INDEX property_now ON property (name, value) WHERE until IS NULL;
CREATE TABLE status (twin INTEGER, model TEXT, lifecycle TEXT, since INTEGER, until INTEGER,
                     PRIMARY KEY (twin, since)) WITHOUT ROWID;
CREATE INDEX status_model ON status (model);
CREATE TABLE alarm (twin INTEGER, rule TEXT, name TEXT NOT NULL, severity TEXT, entry INTEGER NOT NULL,
                    time INTEGER NOT NULL, PRIMARY KEY (twin, rule)) WITHOUT ROWID;
CREATE TABLE part (twin INTEGER, chain INTEGER, contract BLOB, token BLOB, owner BLOB, status TEXT NOT NULL,
                   parent BLOB, entry INTEGER NOT NULL, PRIMARY KEY (twin, chain, contract, token)) WITHOUT ROWID;
CREATE INDEX part_token ON part (token);
CREATE INDEX part_parent ON part (parent) WHERE parent IS NOT NULL;
CREATE TABLE purchase (twin INTEGER, chain INTEGER, contract BLOB, number BLOB, agreement BLOB NOT NULL,
                       state TEXT NOT NULL, since INTEGER NOT NULL, token BLOB, entry INTEGER NOT NULL,
                       PRIMARY KEY (twin, chain, contract, number)) WITHOUT ROWID;
CREATE INDEX purchase_number ON purchase (number);
CREATE TABLE proposal (twin INTEGER, chain INTEGER, contract BLOB, agreement BLOB, entry INTEGER NOT NULL,
                       PRIMARY KEY (twin, chain, contract, agreement)) WITHOUT ROWID;
CREATE TABLE fleet (twin INTEGER PRIMARY KEY, sub TEXT NOT NULL UNIQUE, model TEXT, entry INTEGER NOT NULL,
                    signed INTEGER NOT NULL, line TEXT NOT NULL);
CREATE INDEX fleet_entry ON fleet (entry);
"""


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Open the view's file, made if need be; raises `StorageFailed`, `sqlite3.DatabaseError` for a damaged one."""
    try:
        if not read_only and not path.exists():
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        mode = "ro" if read_only else "rw"
        raw = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False
        )
    except (OSError, sqlite3.OperationalError) as problem:
        raise StorageFailed(f"{path}: {problem}") from problem
    try:
        if not read_only:
            raw.execute("PRAGMA journal_mode = WAL")
            # A power cut may take the last folds away, never half of one: the log gives them again.
            raw.execute("PRAGMA synchronous = NORMAL")
            (version,) = raw.execute("PRAGMA user_version").fetchone()
            if version not in (0, VERSION):
                raise sqlite3.DatabaseError(f"view format {version}")
            if version == 0:
                raw.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {VERSION}; COMMIT")
        else:
            raw.execute("PRAGMA query_only = ON")
    except BaseException:
        raw.close()
        raise
    return raw


def remove(path: Path) -> None:
    """Delete the view's files; the log gives everything again."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
