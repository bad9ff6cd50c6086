"""A gateway's outbox: beside what waits for the log, which messages were taken, in the same transaction.

    packets   (source, packet identifier) -> digest of the message that last came under it
    heard     (source, digest) of the newest messages that carry their own time
    carried   statements of devices that sign themselves, until the log has them

**When is a message one that was taken before?** A broker delivers a message again until it has our acknowledgement,
and marks it: flag DUP, the same packet identifier (MQTT 5 §4.4). So a message with DUP whose digest is in `packets`
under its identifier was taken. The row stays after we acknowledged, for that may be lost, until the broker gives the
identifier to another message, which it may only do when it has the acknowledgement. A broker that lost the session
starts over, and so does `packets`.

What a publisher or a broker sent twice without knowing (its own acknowledgement was lost; it was restored from an old
copy) comes as a new message. It is known by its content, if it carries its own time: the same topic and bytes among
the newest of `heard` say nothing new. Without a time of its own it cannot be told from a value that came twice, and is
recorded twice.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from twinproof.edge.outbox import Outbox, _Change
from twinproof.errors import StorageFailed
from twinproof.twin.statement import Statement

KEPT_REFUSALS: Final = 1000
"""Carried statements that the log refused; older ones are dropped."""

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS packets (
    source TEXT NOT NULL,
    packet INTEGER NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY (source, packet)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS heard (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    source TEXT NOT NULL,
    digest BLOB NOT NULL,
    UNIQUE (source, digest)
) STRICT;
CREATE INDEX IF NOT EXISTS heard_order ON heard (source, id);
CREATE TABLE IF NOT EXISTS carried (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    digest BLOB NOT NULL UNIQUE,
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    seq INTEGER NOT NULL,
    raw BLOB NOT NULL,
    code TEXT,
    detail TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS carried_waiting ON carried (id) WHERE code IS NULL;
CREATE INDEX IF NOT EXISTS carried_next ON carried (issuer, subject, seq);
CREATE TABLE IF NOT EXISTS progress (
    source TEXT PRIMARY KEY,
    rows INTEGER NOT NULL,
    digest BLOB NOT NULL
) STRICT;
"""


class Carried(NamedTuple):
    """A device's statement on its way."""

    id: int
    issuer: str
    subject: str
    seq: int
    raw: bytes


class Tail(NamedTuple):
    """How far a stream goes: the newest row that waits to be signed, and the newest statement; 0 if none."""

    journal: int
    statement: int


class GatewayOutbox(Outbox):
    """An outbox that also knows what came in. Methods may be called from any thread."""

    def __init__(self, path: Path | str, **limits: Any) -> None:
        self._outer: _Change | None = None
        self._doomed = False
        super().__init__(path, **limits)
        try:
            self._db.executescript(_TABLES)
        except sqlite3.Error as problem:
            self.close()
            raise StorageFailed(f"outbox {path}: {problem}") from None

    @contextmanager
    def together(self) -> Iterator[None]:
        """All that is stored in the block is one transaction; raises `StorageFailed` with nothing stored."""
        with super()._transaction() as change:
            self._outer, self._doomed = change, False
            try:
                yield
                # A part that failed may have been forgiven by its caller, but has left things half done.
                if self._doomed:
                    raise StorageFailed(f"outbox {self._path}: a part of a transaction failed; nothing was stored")
            finally:
                self._outer = None

    @contextmanager
    def _transaction(self) -> Iterator[_Change]:
        with self.lock:
            if self._outer is None:
                with super()._transaction() as change:
                    yield change
                return
            part = _Change()
            try:
                yield part
            except sqlite3.Error as problem:
                self._doomed = True
                raise StorageFailed(f"outbox {self._path}: {problem}; nothing was stored") from None
            except BaseException:  # half a group must not be stored, whatever ended it
                self._doomed = True
                raise
            self._outer.undelivered += part.undelivered
            self._outer.delivered += part.delivered
            self._outer.recount |= part.recount

    def check_room(self, size: int, *, retry_after: float) -> None:
        """See `Outbox`; what the open transaction has stored counts."""
        super().check_room(size + (self._outer.undelivered if self._outer else 0), retry_after=retry_after)

    # --- messages ---

    def came_again(self, source: str, packet: int, digest: bytes) -> bool:
        """Whether this message was taken under this packet identifier."""
        return bool(
            self._all("SELECT 1 FROM packets WHERE source = ? AND packet = ? AND digest = ?", source, packet, digest)
        )

    def note_packet(self, source: str, packet: int, digest: bytes) -> None:
        """Remember what came under an identifier."""
        with self._transaction():
            self._db.execute("INSERT OR REPLACE INTO packets VALUES (?, ?, ?)", (source, packet, digest))

    def forget_packets(self, source: str) -> None:
        """The broker lost the session: identifiers mean nothing any more."""
        with self._transaction():
            self._db.execute("DELETE FROM packets WHERE source = ?", (source,))

    def was_heard(self, source: str, digest: bytes) -> bool:
        """Whether a message with its own time is among those remembered."""
        return bool(self._all("SELECT 1 FROM heard WHERE source = ? AND digest = ?", source, digest))

    def note_heard(self, source: str, digest: bytes) -> None:
        """Remember a message with its own time."""
        with self._transaction():
            self._db.execute("INSERT OR IGNORE INTO heard (source, digest) VALUES (?, ?)", (source, digest))

    def forget_heard(self, source: str, keep: int) -> None:
        """Remember the newest `keep` messages alone."""
        with self._transaction():
            self._db.execute(
                "DELETE FROM heard WHERE source = ? AND id <= ifnull("
                "(SELECT id FROM heard WHERE source = ? ORDER BY id DESC LIMIT 1 OFFSET ?), 0)",
                (source, source, keep),
            )

    # --- how far streams are ---

    def tail(self, stream: int) -> Tail:
        """The end of what a stream holds now."""
        [(journal, statement)] = self._all(
            "SELECT (SELECT ifnull(max(id), 0) FROM journal WHERE stream = ?),"
            " (SELECT ifnull(max(id), 0) FROM statements INDEXED BY positions"
            " WHERE stream = ? AND state <> 'abandoned' AND seq ="
            " (SELECT seq FROM streams WHERE id = ?))",
            stream,
            stream,
            stream,
        )
        return Tail(journal, statement)

    def first_waiting(self, stream: int) -> Tail:
        """The oldest row and statement of a stream that the log does not have; 0 if there is none."""
        [(journal, statement)] = self._all(
            "SELECT (SELECT ifnull(min(id), 0) FROM journal WHERE stream = ?),"
            " (SELECT ifnull(min(id), 0) FROM statements WHERE stream = ? AND state = 'queued')",
            stream,
            stream,
        )
        return Tail(journal, statement)

    # --- statements of others ---

    def carry(self, statement: Statement, *, retry_after: float) -> None:
        """Keep a device's statement until the log has it; raises `Overloaded`."""
        with self._transaction() as change:
            self.check_room(len(statement.raw), retry_after=retry_after)
            done = self._db.execute(
                "INSERT OR IGNORE INTO carried (digest, issuer, subject, seq, raw) VALUES (?, ?, ?, ?, ?)",
                (statement.digest, statement.issuer, statement.subject, statement.seq, statement.raw),
            )
            change.undelivered = len(statement.raw) * done.rowcount
            # Refused once, and sent again by its device: the cause may be mended.
            self._db.execute("UPDATE carried SET code = NULL, detail = NULL WHERE digest = ?", (statement.digest,))

    def to_carry(self, limit: int, max_bytes: int) -> list[Carried]:
        """The oldest that wait, at least one if there is any."""
        found: list[Carried] = []
        size = 0
        for row in self._all(
            "SELECT id, issuer, subject, seq, raw FROM carried INDEXED BY carried_waiting"
            " WHERE code IS NULL ORDER BY id LIMIT ?",
            limit,
        ):
            size += len(row[4])
            if found and size > max_bytes:
                break
            found.append(Carried(*row))
        return found

    def is_carrying(self, digest: bytes) -> bool:
        """Whether a statement still waits for the log."""
        return bool(self._all("SELECT 1 FROM carried WHERE digest = ? AND code IS NULL", digest))

    def refusals(self) -> list[tuple[Carried, str, str]]:
        """(statement, code, words) of all that the log refused, the oldest first."""
        rows = self._all(
            "SELECT id, issuer, subject, seq, raw, code, detail FROM carried WHERE code IS NOT NULL ORDER BY id"
        )
        return [(Carried(*row[:5]), row[5], row[6]) for row in rows]

    def settle_carried(self, delivered: Sequence[Carried], refused: Sequence[tuple[Carried, str, str]]) -> None:
        """Drop what the log has; keep what it refused, as evidence. A gap that closes lets its successor go again."""
        with self._transaction() as change:
            change.recount = True
            for item in delivered:
                self._db.execute("DELETE FROM carried WHERE id = ?", (item.id,))
                self._db.execute(
                    "UPDATE carried SET code = NULL, detail = NULL"
                    " WHERE issuer = ? AND subject = ? AND seq = ? AND code = 'gap'",
                    (item.issuer, item.subject, item.seq + 1),
                )
            for item, code, detail in refused:
                self._db.execute("UPDATE carried SET code = ?, detail = ? WHERE id = ?", (code, detail, item.id))
            self._db.execute(
                "DELETE FROM carried WHERE code IS NOT NULL AND id <= ifnull("
                "(SELECT id FROM carried WHERE code IS NOT NULL ORDER BY id DESC LIMIT 1 OFFSET ?), 0)",
                (KEPT_REFUSALS,),
            )

    def _count(self) -> None:
        super()._count()
        tables = self._all("SELECT 1 FROM sqlite_master WHERE name = 'carried'")
        if tables:
            self._undelivered += self._all("SELECT ifnull(sum(length(raw)), 0) FROM carried")[0][0]

    # --- replayed files ---

    def progress(self, source: str) -> tuple[int, bytes]:
        """(rows that were taken, digest of the file's identity); (0, b"") if none."""
        found = self._all("SELECT rows, digest FROM progress WHERE source = ?", source)
        return found[0] if found else (0, b"")

    def note_progress(self, source: str, rows: int, digest: bytes) -> None:
        """Remember how many rows were taken."""
        with self._transaction():
            self._db.execute("INSERT OR REPLACE INTO progress VALUES (?, ?, ?)", (source, rows, digest))
