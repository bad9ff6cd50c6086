"""The outbox: what a device has said and not yet proven delivered, on a disk that may lose power.

One SQLite file, write-ahead log, synchronous=FULL: what a method stored is on the disk when it returns.

    streams     (issuer, subject) -> seq and digest of the last statement signed here
    statements  every signed statement, until it is pruned: queued, delivered, refused or abandoned
    journal     rows and payloads that wait to be signed

A statement and the stream's new head are written in one transaction, before anything is sent. So no
stream number is ever signed twice with different bytes, whatever moment the power fails; the one
exception is `set_aside`, by the operator's word, and then the next statement says so.

One process at a time holds the file; a second one is refused.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from twinproof.edge.schema import open_database
from twinproof.errors import InternalError, NotFound, Overloaded, StorageFailed
from twinproof.twin.statement import Statement
from twinproof.twin.stream import StreamHead, check_next

MEBIBYTE: Final = 1 << 20
DAY: Final = 86_400.0

_PRUNED_AT_ONCE: Final = 256


class State(StrEnum):
    """Where a statement is on its way."""

    QUEUED = "queued"
    DELIVERED = "delivered"
    """The log holds it."""
    REFUSED = "refused"
    """The log said no; `code` and `detail` say why. Its stream is stopped."""
    ABANDONED = "abandoned"
    """Set aside by the operator or overtaken by the log; kept as evidence, never sent again."""


@dataclass(frozen=True, slots=True)
class StreamRecord:
    """What the outbox knows of a stream."""

    id: int
    issuer: str
    subject: str
    known: bool
    """Whether `head` is certain. If not, the log must be asked before anything is signed."""
    head: StreamHead | None
    """The last statement that was signed here, or that the log told of."""
    reason: str | None
    """What the operator gave as the reason for going on after `set_aside`."""
    stopped: str | None
    """Code of the refusal that stopped the stream."""
    detail: str | None
    """What stopped it, in words."""


@dataclass(frozen=True, slots=True)
class Queued:
    """A statement to be sent."""

    id: int
    stream: int
    seq: int
    raw: bytes


@dataclass(frozen=True, slots=True)
class Journalled:
    """Something that waits to be signed: a row, or a payload of `content_type`."""

    id: int
    content_type: str | None
    item: bytes


@dataclass(frozen=True, slots=True)
class Settled:
    """A statement that the log took."""

    id: int
    index: int
    receipt: bytes | None
    checked: bool


@dataclass(frozen=True, slots=True)
class Kept:
    """A statement as the outbox keeps it."""

    seq: int
    digest: bytes
    raw: bytes | None
    """None once pruned; the log has it."""
    state: State
    index: int | None
    receipt: bytes | None
    """COSE Receipt."""
    checked: bool
    """Whether the receipt was verified with the log's key. If not, it was stored as it came."""
    code: str | None
    detail: str | None


@dataclass(slots=True)
class _Change:
    """What a transaction changes in the bytes that are kept; applied once it is committed."""

    undelivered: int = 0
    delivered: int = 0
    recount: bool = False
    """Set where the change is not simply added up."""


class Outbox:
    """The file. Methods may be called from any thread.

    Limits, in bytes of content (the file is somewhat larger): what is not delivered may take
    `max_bytes`, then `check_room` raises `Overloaded` and nothing is dropped. Delivered statements
    stay whole for `keep` seconds, their receipts for `keep_receipts`; both end sooner, oldest
    first, when together they take more than `keep_bytes`.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        max_bytes: int = 256 * MEBIBYTE,
        keep: float = 7 * DAY,
        keep_receipts: float = 365 * DAY,
        keep_bytes: int = 256 * MEBIBYTE,
    ) -> None:
        self._path = Path(path)
        self._max_bytes = max_bytes
        self._keep = keep
        self._keep_receipts = keep_receipts
        self._keep_bytes = keep_bytes
        self.lock = threading.RLock()
        """Held over each method; a caller may hold it over several."""
        self._undelivered = self._delivered = 0
        self._db = open_database(self._path)
        try:
            self._count()
        except BaseException:  # an interrupt too must not leave the file open
            self._db.close()
            raise

    def __enter__(self) -> Outbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the file."""
        with self.lock:
            self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[_Change]:
        """All or nothing; raises `StorageFailed` with nothing written."""
        change = _Change()
        with self.lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield change
                # The commit point: before it a power loss leaves nothing of the block, after it all of it.
                self._db.execute("COMMIT")
            except sqlite3.Error as problem:
                self._roll_back()
                raise StorageFailed(f"outbox {self._path}: {problem}; nothing was stored") from None
            except BaseException:
                self._roll_back()
                raise
            self._undelivered += change.undelivered
            self._delivered += change.delivered
            if change.recount:
                self._count()

    def _roll_back(self) -> None:
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        except sqlite3.Error:  # the error that led here is the one to tell
            pass

    def _all(self, sql: str, *values: Any) -> list[Any]:
        with self.lock:
            try:
                return self._db.execute(sql, values).fetchall()
            except sqlite3.Error as problem:
                raise StorageFailed(f"outbox {self._path}: {problem}") from None

    def _count(self) -> None:
        by_state = dict(self._all("SELECT state, sum(size) FROM statements GROUP BY state"))
        self._delivered = by_state.pop(State.DELIVERED, 0)
        self._undelivered = sum(by_state.values()) + self._all("SELECT ifnull(sum(length(item)), 0) FROM journal")[0][0]

    # --- room ---

    @property
    def undelivered_bytes(self) -> int:
        """Bytes that are queued, refused, abandoned or journalled."""
        return self._undelivered

    def check_room(self, size: int, *, retry_after: float) -> None:
        """Raise `Overloaded` if `size` more undelivered bytes are over the limit."""
        if self._undelivered + size > self._max_bytes:
            raise Overloaded(
                f"outbox {self._path} is full: {self._undelivered} of {self._max_bytes} bytes wait for delivery; "
                "nothing was kept of this call",
                retry_after,
            )

    def prune(self, now: float) -> None:
        """Drop delivered statements, then receipts, that are over their limits; `now` is POSIX seconds."""
        self._prune_by_age(now)
        while self._delivered > self._keep_bytes:
            with self._transaction() as change:
                change.recount = True
                self._prune_oldest()

    def _prune_by_age(self, now: float) -> None:
        whole = "statements INDEXED BY delivered_whole"
        either = "statements INDEXED BY delivered_all"
        old, oldest = now - self._keep, now - self._keep_receipts
        if self._all(
            f"SELECT 1 WHERE EXISTS (SELECT 1 FROM {whole}"  # noqa: S608 - names of ours
            " WHERE state = 'delivered' AND raw IS NOT NULL AND delivered_at < ?)"
            f" OR EXISTS (SELECT 1 FROM {either} WHERE state = 'delivered' AND delivered_at < ?)",
            old,
            oldest,
        ):
            with self._transaction() as change:
                change.recount = True
                self._db.execute(f"DELETE FROM {either} WHERE state = 'delivered' AND delivered_at < ?", (oldest,))  # noqa: S608
                self._db.execute(
                    f"UPDATE {whole} SET raw = NULL, size = ifnull(length(receipt), 0)"  # noqa: S608
                    " WHERE state = 'delivered' AND raw IS NOT NULL AND delivered_at < ?",
                    (old,),
                )

    def _prune_oldest(self) -> None:
        stripped = self._db.execute(
            "UPDATE statements SET raw = NULL, size = ifnull(length(receipt), 0) WHERE id IN"
            " (SELECT id FROM statements INDEXED BY delivered_whole WHERE state = 'delivered' AND raw IS NOT NULL"
            " ORDER BY delivered_at LIMIT ?)",
            (_PRUNED_AT_ONCE,),
        ).rowcount
        if not stripped:
            self._db.execute(
                "DELETE FROM statements WHERE id IN (SELECT id FROM statements INDEXED BY delivered_all"
                " WHERE state = 'delivered' ORDER BY delivered_at LIMIT ?)",
                (_PRUNED_AT_ONCE,),
            )

    # --- streams ---

    def open_stream(self, issuer: str, subject: str) -> StreamRecord:
        """The stream's record; a new one is not known until `adopt`."""
        with self._transaction():
            self._db.execute("INSERT OR IGNORE INTO streams (issuer, subject) VALUES (?, ?)", (issuer, subject))
        [(number,)] = self._all("SELECT id FROM streams WHERE issuer = ? AND subject = ?", issuer, subject)
        return self.stream(number)

    def stream(self, stream: int) -> StreamRecord:
        """The record as it is now; raises `NotFound`."""
        rows = self._all(
            "SELECT id, issuer, subject, known, seq, digest, reason, stopped, detail FROM streams WHERE id = ?", stream
        )
        if not rows:
            raise NotFound(f"the outbox has no stream {stream}")
        number, issuer, subject, known, seq, digest, reason, stopped, detail = rows[0]
        head = None if seq is None else StreamHead(seq, digest)
        return StreamRecord(number, issuer, subject, bool(known), head, reason, stopped, detail)

    def streams(self, issuer: str) -> list[StreamRecord]:
        """All streams of an issuer."""
        found = self._all("SELECT id FROM streams WHERE issuer = ? ORDER BY id", issuer)
        return [self.stream(number) for (number,) in found]

    def adopt(self, stream: int, head: StreamHead | None, statements: Sequence[Statement]) -> None:
        """Take the log's word for where the stream ends, and put `statements` (the resume) behind it."""
        with self._transaction() as change:
            change.recount = True
            self._db.execute(
                "UPDATE streams SET known = 1, seq = ?, digest = ?, reason = NULL WHERE id = ?",
                (head and head.seq, head and head.digest, stream),
            )
            self._db.execute(
                "UPDATE statements SET state = 'abandoned' WHERE stream = ? AND seq > ?",
                (stream, -1 if head is None else head.seq),
            )
            self._append(stream, statements)

    def stop(self, stream: int, code: str, detail: str, statement: int | None = None) -> None:
        """Send nothing more of the stream; `statement` is the one that the log refused."""
        with self._transaction():
            self._db.execute("UPDATE streams SET stopped = ?, detail = ? WHERE id = ?", (code, detail, stream))
            self._db.execute(
                "UPDATE statements SET state = 'refused', code = ?, detail = ? WHERE id = ? AND state = 'queued'",
                (code, detail, statement),
            )

    def restart(self, stream: int) -> None:
        """Queue the refused statement again, the same bytes, and let the stream go on."""
        with self._transaction():
            self._db.execute("UPDATE streams SET stopped = NULL, detail = NULL WHERE id = ?", (stream,))
            self._db.execute("UPDATE statements SET state = 'queued' WHERE stream = ? AND state = 'refused'", (stream,))

    def set_aside(self, stream: int, reason: str) -> None:
        """Give up what is queued or refused (it stays as evidence) and forget where the stream ends."""
        with self._transaction():
            self._db.execute(
                "UPDATE statements SET state = 'abandoned' WHERE stream = ? AND state IN ('queued', 'refused')",
                (stream,),
            )
            self._db.execute(
                "UPDATE streams SET known = 0, reason = ?, stopped = NULL, detail = NULL WHERE id = ?",
                (reason, stream),
            )

    def discard_abandoned(self, stream: int) -> int:
        """Delete what was set aside, which frees its room; returns how many statements."""
        with self._transaction() as change:
            change.recount = True
            deleted = self._db.execute("DELETE FROM statements WHERE stream = ? AND state = 'abandoned'", (stream,))
            return int(deleted.rowcount)

    # --- statements ---

    def commit(self, stream: int, statements: Sequence[Statement], *, journalled: int = 0) -> None:
        """Queue signed statements, move the head and drop the journal up to id `journalled`: one transaction."""
        with self._transaction() as change:
            if not self.stream(stream).known:
                raise InternalError("a statement was signed before the stream's head was known")
            self._append(stream, statements)
            freed = self._db.execute(
                "SELECT ifnull(sum(length(item)), 0) FROM journal WHERE stream = ? AND id <= ?", (stream, journalled)
            ).fetchone()[0]
            self._db.execute("DELETE FROM journal WHERE stream = ? AND id <= ?", (stream, journalled))
            change.undelivered = sum(len(statement.raw) for statement in statements) - freed

    def _append(self, stream: int, statements: Sequence[Statement]) -> None:
        head = self.stream(stream).head
        for statement in statements:
            head = check_next(head, statement)
            self._db.execute(
                "INSERT INTO statements (stream, seq, digest, raw, size, state) VALUES (?, ?, ?, ?, ?, 'queued')",
                (stream, statement.seq, statement.digest, statement.raw, len(statement.raw)),
            )
        if head is not None:
            self._db.execute("UPDATE streams SET seq = ?, digest = ? WHERE id = ?", (head.seq, head.digest, stream))

    def queued(self, issuer: str, *, limit: int, max_bytes: int, without: Collection[int] = ()) -> list[Queued]:
        """What to send next, oldest first and each stream in order; at least one statement, if there is any.

        Stopped streams and those in `without` are passed over.
        """
        found: list[Queued] = []
        size = 0
        marks = ",".join("?" * len(without))
        with self.lock:
            cursor = self._db.execute(
                "SELECT s.id, s.stream, s.seq, s.raw FROM statements s INDEXED BY waiting"  # noqa: S608
                " CROSS JOIN streams t ON t.id = s.stream"
                f" WHERE s.state = 'queued' AND t.stopped IS NULL AND t.issuer = ? AND t.id NOT IN ({marks})"
                " ORDER BY s.id LIMIT ?",
                (issuer, *without, limit),
            )
            try:
                for row in cursor:
                    size += len(row[3])
                    if found and size > max_bytes:
                        break
                    found.append(Queued(*row))
            except sqlite3.Error as problem:
                raise StorageFailed(f"outbox {self._path}: {problem}") from None
            finally:
                cursor.close()
        return found

    def count_queued(self, stream: int) -> int:
        """Statements of a stream that are not delivered."""
        found = self._all(
            "SELECT count(*) FROM statements INDEXED BY waiting WHERE stream = ? AND state = 'queued'", stream
        )
        return int(found[0][0])

    def settle(self, settled: Iterable[Settled], now: float) -> None:
        """Store the log's acknowledgements and receipts; `now` is POSIX seconds."""
        with self._transaction() as change:
            for item in settled:
                row = self._db.execute(
                    "UPDATE statements SET state = 'delivered', log_index = ?, receipt = ?, checked = ?,"
                    " delivered_at = ?, size = length(raw) + ? WHERE id = ? AND state = 'queued' RETURNING length(raw)",
                    (item.index, item.receipt, item.checked, now, len(item.receipt or b""), item.id),
                ).fetchone()
                if row is not None:
                    change.undelivered -= row[0]
                    change.delivered += row[0] + len(item.receipt or b"")

    def digest_at(self, stream: int, seq: int) -> bytes | None:
        """Digest of what was signed here for `seq`, as far as it is still known."""
        head = self.stream(stream).head
        if head is not None and head.seq == seq:
            return head.digest
        found = self._all(
            "SELECT digest FROM statements WHERE stream = ? AND seq = ? AND state <> 'abandoned'", stream, seq
        )
        return found[0][0] if found else None

    def queue_after(self, stream: int, seq: int) -> bool:
        """Queue again every statement beyond `seq`, which the log does not have.

        Returns False, and does nothing, if one of them is pruned.
        """
        record = self.stream(stream)
        end = -1 if record.head is None else record.head.seq
        with self._transaction() as change:
            change.recount = True
            whole = self._db.execute(
                "SELECT count(*) FROM statements INDEXED BY positions WHERE stream = ? AND seq > ?"
                " AND state <> 'abandoned' AND state IN ('queued', 'delivered') AND raw IS NOT NULL",
                (stream, seq),
            ).fetchone()[0]
            if whole != end - seq:
                return False
            self._db.execute(
                "UPDATE statements SET state = 'queued', size = length(raw), log_index = NULL, receipt = NULL,"
                " checked = 0, delivered_at = NULL"
                " WHERE stream = ? AND seq > ? AND state <> 'abandoned' AND state = 'delivered'",
                (stream, seq),
            )
        return True

    def statements(self, issuer: str, subject: str, *, first: int = 0) -> Iterator[Kept]:
        """What is kept of a stream from `seq` `first` on, in the order of signing."""
        last = 0
        while rows := self._all(
            "SELECT s.id, s.seq, s.digest, s.raw, s.state, s.log_index, s.receipt, s.checked, s.code, s.detail"
            " FROM statements s JOIN streams t ON t.id = s.stream"
            " WHERE t.issuer = ? AND t.subject = ? AND s.seq >= ? AND s.id > ? ORDER BY s.id LIMIT 100",
            issuer,
            subject,
            first,
            last,
        ):
            for last, seq, digest, raw, state, index, receipt, checked, code, detail in rows:  # noqa: B007
                yield Kept(seq, digest, raw, State(state), index, receipt, bool(checked), code, detail)

    # --- the journal ---

    def journal(self, stream: int, items: Sequence[tuple[str | None, bytes]]) -> None:
        """Keep (content type or None, bytes) until they are signed."""
        with self._transaction() as change:
            change.undelivered = sum(len(item) for _, item in items)
            self._db.executemany(
                "INSERT INTO journal (stream, content_type, item) VALUES (?, ?, ?)",
                [(stream, content_type, item) for content_type, item in items],
            )

    def journalled(self, stream: int, limit: int) -> list[Journalled]:
        """The oldest `limit` items of the journal."""
        found = self._all(
            "SELECT id, content_type, item FROM journal WHERE stream = ? ORDER BY id LIMIT ?", stream, limit
        )
        return [Journalled(*row) for row in found]
