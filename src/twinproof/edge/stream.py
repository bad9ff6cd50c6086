"""One device's stream about one twin: batches samples, numbers, chains and signs statements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from twinproof.edge.outbox import Outbox
from twinproof.edge.packing import MAX_ROW_BYTES, Row, Value, format_row, make_row, pack, parse_row
from twinproof.errors import ConfigError, Malformed, StorageFailed, StreamStopped, TooLarge
from twinproof.proof import cbor
from twinproof.proof.keys import PrivateKey
from twinproof.twin.description import DESCRIPTION, Description, Lifecycle, Relationship, format_description
from twinproof.twin.kinds import KINDS
from twinproof.twin.reading import RELATIVE_BELOW
from twinproof.twin.statement import MAX_TIME, Statement, parse_statement
from twinproof.twin.stream import StreamHead, sign_next
from twinproof.twin.units import check_ucum

BATCH_BYTES: Final = MAX_ROW_BYTES
"""A batch is closed when its samples reach this size, whatever their number."""
MAX_SAID: Final = 54 * 1024
"""Bytes of a payload given to `say`: with the longest issuer and subject it fits in a statement."""
_ROW_OVERHEAD: Final = 16


class Owner(Protocol):
    """What a stream needs of its recorder."""

    key: PrivateKey
    outbox: Outbox
    batch: int
    interval: float
    durable: bool
    open_bytes: int
    """Size of all open batches that are in memory alone."""

    def clock(self) -> float:
        """POSIX seconds."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back."""
        ...

    def check_room(self, size: int) -> None:
        """Raise `Overloaded` if the outbox has no room for it."""
        ...

    def changed(self) -> None:
        """Something can be sent."""
        ...


class Stream:
    """What a recorder says about one twin. Made by `Recorder.twin`; any thread may call."""

    def __init__(self, owner: Owner, issuer: str, subject: str) -> None:
        self._owner = owner
        self._outbox = owner.outbox
        self._units: dict[str, str] = {}
        self.issuer = issuer
        self.subject = subject
        record = self._outbox.open_stream(issuer, subject)
        self.id = record.id
        self.ready = False
        """Whether statements may be signed: the head is known, and the log was asked once since the start."""
        self.leftover = bool(self._outbox.journalled(self.id, 1))
        """Whether the journal holds closed batches that wait to be signed."""
        self.stopped: StreamStopped | None = (
            stopped_error(issuer, subject, record.stopped, record.detail or "") if record.stopped else None
        )
        self._rows: list[Row] = []
        self._samples = 0
        self._size = 0
        self._opened_at: float | None = None

    # --- what an integrator calls ---

    def record(
        self, values: Mapping[str, Value], *, units: Mapping[str, str] | None = None, time: float | None = None
    ) -> None:
        """Take the values of one instant; they are signed with their batch.

        `units` are UCUM codes by name, beside those given to `Recorder.twin`; `time` is in seconds
        since 1970, now if it is not given. On return the samples are on disk if the recorder is
        `durable`, otherwise once their batch is closed (`batch`, `interval`, `flush`).

        Raises `Malformed` for values that no statement can hold, `Overloaded` if the outbox is
        full, `StorageFailed` if the disk refuses; then nothing of this call is kept.
        """
        owner = self._owner
        row = make_row(
            values, {**self._units, **units} if units else self._units, owner.clock() if time is None else time
        )
        item = format_row(row) if owner.durable else b""
        size = row.size + _ROW_OVERHEAD
        with self._outbox.lock:
            owner.check_room(len(item) or size)
            if owner.durable:
                self._outbox.journal(self.id, [(None, item)])
            self._grow(row, size)
            if self._samples >= owner.batch or self._size >= BATCH_BYTES or self.due_in() <= 0:
                try:
                    self.close_batch()
                except (StorageFailed, ConfigError):
                    if not owner.durable:
                        self._shrink(row, size)
                        raise
                    # The row is on disk; the next pump closes the batch, or says why it cannot.
                    self.leftover = True

    def say(self, content_type: str, payload: bytes) -> None:
        """Make a statement of another kind (`twin.kinds`), after what was recorded before it.

        It is on disk when this returns. Raises as `record` does; `Malformed` if the payload is none
        of its kind.
        """
        if len(payload) > MAX_SAID:
            raise TooLarge("payload", f"{len(payload)} bytes; at most {MAX_SAID}")
        # The very checks that the log will make, before the payload is bound to a place in the stream.
        kind = KINDS.get(content_type)
        if kind is None:
            raise Malformed("content type", f"{content_type!r} is no kind of statement; known are {', '.join(KINDS)}")
        kind.parse(payload, self._now())
        with self._outbox.lock:
            self._owner.check_room(len(payload))
            self.close_batch()
            if self.ready and not self.leftover:
                self._commit([(content_type, payload)])
            else:
                self._outbox.journal(self.id, [(content_type, payload)])
                self.leftover = True

    def describe(
        self,
        *,
        model: str | None = None,
        lifecycle: Lifecycle | None = None,
        set: Mapping[str, cbor.Value] | None = None,
        unset: Sequence[str] = (),
        relate: Sequence[Relationship] = (),
        unrelate: Sequence[Relationship] = (),
    ) -> None:
        """Say what the twin is, as a change; see `twin.description`. Raises as `say` does."""
        change = Description(model, lifecycle, dict(set) if set else None, tuple(unset), tuple(relate), tuple(unrelate))
        self.say(DESCRIPTION, format_description(change))

    def flush(self) -> None:
        """Close the open batch: on return everything recorded is on disk, signed or waiting to be."""
        self.close_batch()

    def add_units(self, units: Mapping[str, str]) -> None:
        """UCUM codes by name, for what is recorded from now on; raises `Malformed`."""
        for name, unit in units.items():
            check_ucum(unit, f"unit of {name}")
        self._units = {**self._units, **units}

    # --- batches ---

    def due_in(self) -> float:
        """Seconds until the open batch must be closed; infinite if there is none."""
        if self._opened_at is None:
            return float("inf")
        return self._opened_at + self._owner.interval - self._owner.monotonic()

    def close_batch(self) -> None:
        """Sign the open batch, or journal it if the stream may not sign now."""
        with self._outbox.lock:
            if self.ready:
                self._sign_journal()
                if self._rows:
                    self._commit(pack(self._rows))
            elif self._samples:
                if self._rows:
                    self._outbox.journal(self.id, [(None, format_row(row)) for row in self._rows])
                self.leftover = True
            if self._rows:
                self._owner.open_bytes -= self._size
            self._rows = []
            self._samples = self._size = 0
            self._opened_at = None

    def _grow(self, row: Row, size: int) -> None:
        if self._opened_at is None:
            self._opened_at = self._owner.monotonic()
            # Whoever pumps in the background sleeps until something is due, and this is due sooner.
            self._owner.changed()
        if not self._owner.durable:
            self._rows.append(row)
            self._owner.open_bytes += size
        self._samples += len(row.samples)
        self._size += size

    def _shrink(self, row: Row, size: int) -> None:
        self._rows.pop()
        self._owner.open_bytes -= size
        self._samples -= len(row.samples)
        self._size -= size
        if not self._rows:
            self._opened_at = None

    def close_leftover(self) -> None:
        """Sign the closed batches of the journal, if the stream may sign now."""
        if self.ready and self.leftover:
            # With `durable` the open batch is in the journal too: it ends early, once.
            if self._owner.durable:
                self.close_batch()
            else:
                self._sign_journal()

    def _sign_journal(self) -> None:
        """Batch by batch; each is one transaction."""
        with self._outbox.lock:
            while items := self._outbox.journalled(self.id, self._owner.batch):
                rows: list[Row] = []
                samples = size = 0
                last = 0
                for item in items:
                    if item.content_type is not None:
                        break
                    row = parse_row(item.item)
                    if rows and (samples >= self._owner.batch or size + row.size > BATCH_BYTES):
                        break
                    rows.append(row)
                    samples += len(row.samples)
                    size += row.size + _ROW_OVERHEAD
                    last = item.id
                first = items[0]
                if rows:
                    self._commit(pack(rows), journalled=last)
                elif first.content_type is not None:
                    self._commit([(first.content_type, first.item)], journalled=first.id)
            self.leftover = False

    # --- signing ---

    def _commit(self, payloads: Sequence[tuple[str, bytes]], *, journalled: int = 0) -> None:
        head = self._outbox.stream(self.id).head
        statements: list[Statement] = []
        for content_type, payload in payloads:
            statement = self.sign_next(head, content_type, payload)
            statements.append(statement)
            head = StreamHead(statement.seq, statement.digest)
        self._outbox.commit(self.id, statements, journalled=journalled)
        self._owner.changed()

    def _now(self) -> int:
        now = self._owner.clock()
        if not RELATIVE_BELOW <= now < MAX_TIME:
            raise ConfigError(f"the device's clock says {now!r} seconds since 1970; set it before recording")
        return int(now)

    def sign_next(self, head: StreamHead | None, content_type: str, payload: bytes) -> Statement:
        """The statement that follows `head`; it is not stored."""
        raw = sign_next(
            head,
            self._owner.key,
            issuer=self.issuer,
            subject=self.subject,
            content_type=content_type,
            payload=payload,
            issued_at=self._now(),
        )
        return parse_statement(raw)


_ADVICE: Final = {
    "equivocation": (
        "The log holds another statement at this place of the stream: this outbox was restored from an old copy, or"
        " the key is in use elsewhere. Find out which before going on; if the key may be in other hands, have its"
        " grant revoked. Everything is kept here. To go on behind the log's last statement: resume(reason), or"
        " `twinproof record --give-up REASON`"
    ),
    "log-behind": (
        "The log lacks statements that it acknowledged, and they are no longer kept here whole. Is this the right"
        " log? If it is, it lost entries: keep the outbox, its receipts prove it. To go on: resume(reason), or"
        " `twinproof record --give-up REASON`"
    ),
    "not-authorised": (
        "Have the log's operator grant this key what it says, then: retry(), or `twinproof record --retry`. To give"
        " the refused statements up: resume(reason), or `--give-up REASON`"
    ),
}
_AUTHORITY: Final = frozenset({"unknown-signer", "revoked", "out-of-scope", "outside-validity", "amplified"})


def stopped_error(issuer: str, subject: str, code: str, detail: str) -> StreamStopped:
    """The error that tells somebody why a stream stands still and what to do."""
    advice = _ADVICE.get("not-authorised" if code in _AUTHORITY else code) or (
        "Its successors are chained to it and wait. If the log was at fault: retry(), or `twinproof record --retry`."
        " To give them up: resume(reason), or `--give-up REASON`"
    )
    return StreamStopped(f"{issuer}'s stream about {subject} is stopped ({code}: {detail}). {advice}", code)
