"""Intake: from raw statements to durable log entries, through one writer thread.

Requests queue up; the thread takes what has gathered as one group and does, for all of it:

    read  ->  signatures, on all cores  ->  payload, stream, authority, clock, in order  ->  one commit

so the cost of a commit is shared, and order is decided in one place. Each statement gets its own
outcome: `Accepted`, or the error that says why not. A refused statement leaves no trace but one:
a second statement at a taken stream position is kept as evidence of equivocation.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final, NamedTuple, TypeAlias

from twinproof.errors import (
    BadSignature,
    Conflict,
    FutureDated,
    InternalError,
    Malformed,
    NotAuthorised,
    Overloaded,
    RolledBack,
    StorageFailed,
    StreamError,
    TooLarge,
    TwinproofError,
    UnknownSigner,
)
from twinproof.log.reader import Reader
from twinproof.log.store import Entry
from twinproof.log.writer import MAX_GROUP, MAX_GROUP_BYTES, Appended, Writer
from twinproof.node.config import Limits
from twinproof.node.models import Models
from twinproof.node.statements import logged, logged_about
from twinproof.proof.keys import PublicKey
from twinproof.twin.authority import AUTHORITY_KINDS, Authority, ModelOf
from twinproof.twin.kinds import Kind, kind_of
from twinproof.twin.statement import Statement, check_statement, parse_statement
from twinproof.twin.stream import StreamHead, check_next, next_seq, position, stream_prefix
from twinproof.views.feed import Item

HEADS_LIMIT: Final = 200_000
"""Stream heads kept in memory between groups, and twins' models; beyond it the cache starts anew from the log."""
CHUNK: Final = 64
"""Signatures checked per task: large enough to hide the hand-over, small enough to use all cores."""

CATCH_UP: Final = 1000
"""Entries read back at once for a listener that missed them."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The statement is durable at `index`; `new` is False if it was there before."""

    index: int
    new: bool


Outcome: TypeAlias = Accepted | TwinproofError


class GroupReport(NamedTuple):
    """What became of one group, for whoever measures."""

    outcomes: Sequence[Outcome]
    """All the same error if the group failed as a whole."""
    seconds: float
    """From taking the group to its outcomes."""
    commit_seconds: float | None
    """Of the durable write; None if nothing was written."""


@dataclass(slots=True)
class _Item:
    """A statement on its way; `read` and `kind` are set once it is parsed, else `outcome` is."""

    raw: bytes
    read: Statement = field(init=False)
    kind: Kind = field(init=False)
    payload: object = None
    outcome: Outcome | None = None


@dataclass(slots=True)
class _Staged:
    """What a group will append."""

    next_index: int
    items: list[_Item] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Request:
    raws: Sequence[bytes]
    size: int
    future: Future[list[Outcome]]


class Intake:
    """Checks statements and appends them. One per log; `submit` may be called from any thread."""

    def __init__(
        self,
        writer: Writer,
        reader: Reader,
        *,
        limits: Limits,
        clock: Callable[[], float],
        model_of: ModelOf | None = None,
        on_taken: Callable[[list[Item]], None] | None = None,
    ) -> None:
        """`model_of` may tell a twin's model faster than the log, and must be as new as the published head.

        `on_taken` gets what became durable, in log order, without gaps; it is called in the writer's thread.
        """
        self._writer = writer
        self._reader = reader
        self._limits = limits
        self._clock = clock
        self._streams: dict[bytes, StreamHead | None] = {}
        self._models = Models(reader, model_of)
        self._on_taken = on_taken
        self._told = reader.head().size
        """Entries that `on_taken` knows of."""
        self._cores = os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(self._cores, thread_name_prefix="signatures")
        self._queue: deque[_Request] = deque()
        self._queued_statements = 0
        self._queued_bytes = 0
        self._wake = threading.Condition()
        self._stopping = False
        self._doubtful = False
        """Whether authority statements were staged that may not have become durable."""
        self.on_group: Callable[[GroupReport], None] | None = None
        """Called in the writer's thread after each group."""
        self._commit_seconds: float | None = None
        self.authority = self._load_authority()
        self._thread = threading.Thread(target=self._run, name="writer")
        self._thread.start()

    # --- the callers' side ---

    def submit(self, raws: Sequence[bytes]) -> Future[list[Outcome]]:
        """Queue statements; the future gives their outcomes, in order, once they are durable.

        Raises `Overloaded` and keeps nothing if the queue is full or the node is stopping, `TooLarge` for
        more than one commit can hold.
        """
        size = sum(map(len, raws))
        if len(raws) > MAX_GROUP or size > MAX_GROUP_BYTES:
            raise TooLarge("batch", f"{len(raws)} statements, {size} bytes; at most {MAX_GROUP}, {MAX_GROUP_BYTES}")
        request = _Request(tuple(raws), size, Future())
        # From here on nobody can cancel it: what is being made durable is answered for.
        request.future.set_running_or_notify_cancel()
        with self._wake:
            if self._stopping:
                raise Overloaded("the node is stopping; send again when it is back", 5)
            if self._queue and (
                self._queued_statements + len(raws) > self._limits.queue_statements
                or self._queued_bytes + size > self._limits.queue_bytes
            ):
                raise Overloaded(f"{self._queued_statements} statements are waiting already; send again later", 1)
            self._queue.append(request)
            self._queued_statements += len(raws)
            self._queued_bytes += size
            self._wake.notify()
        return request.future

    @property
    def queued(self) -> tuple[int, int]:
        """Statements and bytes that wait for the writer."""
        return self._queued_statements, self._queued_bytes

    def require_ready(self) -> int:
        """The log's size; raises what keeps statements from being taken: `Overloaded` or a `LogError`.

        It reads an entry and, after a failed commit, writes the pin, so it tells when the disk is back.
        """
        if self._stopping or not self._thread.is_alive():
            raise Overloaded("the node is stopping", 5)
        size = self._writer.size
        self._reader.entry(size - 1)
        return size

    def stop(self) -> None:
        """Take no more, finish what is queued, end the thread."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._thread.join()
        self._pool.shutdown()

    def stream_head(self, issuer: str, subject: str) -> StreamHead | None:
        """The durable head of a stream, for a device that lost its own record."""
        return self._find_head(stream_prefix(issuer, subject))

    # --- the writer thread ---

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._queue and not self._stopping:
                    self._wake.wait()
                if not self._queue:
                    return
                group = self._take_group()
            self._answer(group)

    def _take_group(self) -> list[_Request]:
        most = min(self._limits.group_statements, MAX_GROUP)
        group: list[_Request] = []
        statements = size = 0
        while self._queue:
            request = self._queue[0]
            if group and (statements + len(request.raws) > most or size + request.size > MAX_GROUP_BYTES):
                break
            group.append(self._queue.popleft())
            statements += len(request.raws)
            size += request.size
        self._queued_statements -= statements
        self._queued_bytes -= size
        return group

    def _answer(self, group: list[_Request]) -> None:
        began, self._commit_seconds = perf_counter(), None
        try:
            outcomes = self._process([_Item(raw) for request in group for raw in request.raws])
        except Exception as problem:  # noqa: BLE001 - the thread must outlive any defect, and every caller hear of it
            known = isinstance(problem, TwinproofError)
            error = problem if isinstance(problem, TwinproofError) else InternalError(f"{type(problem).__name__}")
            _LOG.error("%d requests failed: %s: %s", len(group), error.code, problem, exc_info=not known)
            self._forget()
            if len(group) > 1 and not isinstance(error, (StorageFailed, Conflict, RolledBack)):
                # What one statement runs into must not take down those that happened to share its group.
                for request in group:
                    self._answer([request])
                return
            self._report([error] * sum(len(request.raws) for request in group), began)
            for request in group:
                request.future.set_exception(error)
        else:
            self._doubtful = False
            self._report(outcomes, began)
            at = 0
            for request in group:
                request.future.set_result(outcomes[at : at + len(request.raws)])
                at += len(request.raws)

    def _report(self, outcomes: Sequence[Outcome], began: float) -> None:
        if self.on_group is None:
            return
        try:
            self.on_group(GroupReport(outcomes, perf_counter() - began, self._commit_seconds))
        except Exception:  # noqa: BLE001 - what is measured must not touch what is taken
            _LOG.exception("measuring a group failed")

    def _process(self, items: list[_Item]) -> list[Outcome]:
        """Decide on every item; what is new becomes durable in one commit.

        An exception means that nothing of the group may be acknowledged: the caller forgets what
        was staged in memory. Statements that did become durable are found again when resent.
        """
        for item in items:
            _parse(item)
        # Asking for the size makes the writer find out what its last failure left behind, so that what is
        # remembered anew below is all that is durable, and the indices to come are right.
        staged = _Staged(self._writer.size)
        self._remember()
        self._tell_missed(staged.next_index)
        for run in _runs(items):
            self._check_signatures(run)
            for item in run:
                if item.outcome is None:
                    _parse_payload(item)
                if item.outcome is None:
                    self._stage(item, staged)
        if staged.items:
            began = perf_counter()
            results = self._writer.append([Entry(position(item.read), item.raw) for item in staged.items])
            self._commit_seconds = perf_counter() - began
            for item, result in zip(staged.items, results, strict=True):
                item.outcome = Accepted(result.index, result.new) if isinstance(result, Appended) else result
            self._tell(staged.items)
        return [_outcome(item) for item in items]

    def _tell(self, items: list[_Item]) -> None:
        if self._on_taken is None:
            return
        new = [
            Item(item.outcome.index, item.read, item.kind, item.payload)
            for item in items
            if isinstance(item.outcome, Accepted) and item.outcome.new
        ]
        if new:
            self._pass_on(self._on_taken, new)

    def _pass_on(self, on_taken: Callable[[list[Item]], None], items: list[Item]) -> None:
        self._told = items[-1].index + 1
        try:
            on_taken(items)
        except Exception:  # noqa: BLE001 - the statements are durable, whatever a listener makes of them
            _LOG.exception("a listener failed at entries %d to %d", items[0].index, items[-1].index)

    def _tell_missed(self, size: int) -> None:
        """What became durable though its commit was reported lost, and so was new to nobody."""
        while self._on_taken is not None and self._told < size:
            missed = []
            for index in range(self._told, min(self._told + CATCH_UP, size)):
                statement = logged(self._reader, index)
                kind = kind_of(statement)
                missed.append(Item(index, statement, kind, kind.parse(statement.payload, statement.issued_at)))
            self._pass_on(self._on_taken, missed)

    def _check_signatures(self, run: list[_Item]) -> None:
        tasks: list[tuple[_Item, PublicKey]] = []
        for item in run:
            if item.outcome is None:
                try:
                    tasks.append((item, self.authority.key(item.read.kid)))
                except NotAuthorised as problem:
                    item.outcome = problem
        # libsodium and OpenSSL release the GIL while they check, so threads use all cores; equal
        # shares, because the last chunk to end decides.
        share = max(CHUNK, -(-len(tasks) // self._cores))
        chunks = [tasks[at : at + share] for at in range(0, len(tasks), share)]
        if len(chunks) > 1:
            list(self._pool.map(_check_chunk, chunks))
        elif chunks:
            _check_chunk(chunks[0])

    def _stage(self, item: _Item, staged: _Staged) -> None:
        """Decide on one statement whose signature holds, in order."""
        statement = item.read
        stream = stream_prefix(statement.issuer, statement.subject)
        head = self._head(stream)
        if statement.seq < next_seq(head):
            self._stage_taken(item, staged)
            return
        try:
            after = check_next(head, statement)
            self._check_clock(statement)
            if statement.content_type in AUTHORITY_KINDS:
                self.authority.apply(staged.next_index, statement)
                self._doubtful = True
            else:
                self.authority.check(staged.next_index, statement, item.kind.capability, self._models.model_of)
                self._models.check(statement, item.payload)
        except (StreamError, FutureDated, NotAuthorised, Malformed, BadSignature) as problem:
            item.outcome = problem
            return
        self._streams[stream] = after
        self._models.took(statement, item.payload)
        staged.items.append(item)
        staged.next_index += 1

    def _stage_taken(self, item: _Item, staged: _Staged) -> None:
        """The position is taken: the writer tells a repeat (same index again) from an equivocation.

        But nobody equivocates in another's name: the key must be one that this issuer has or had.
        """
        try:
            self.authority.check(staged.next_index, item.read, None, self._models.model_of)
        except UnknownSigner as problem:
            item.outcome = problem
            return
        except NotAuthorised:
            pass
        staged.items.append(item)

    def _check_clock(self, statement: Statement) -> None:
        ahead = statement.issued_at - self._clock()
        if ahead > self._limits.clock_tolerance:
            raise FutureDated(
                f"iat {statement.issued_at} is {ahead:.0f} s ahead of the log's clock "
                f"(tolerance {self._limits.clock_tolerance} s); set the device's clock"
            )

    # --- what intake remembers, all of it read from the log ---

    def _head(self, stream: bytes) -> StreamHead | None:
        try:
            return self._streams[stream]
        except KeyError:
            head = self._streams[stream] = self._find_head(stream)
            return head

    def _find_head(self, stream: bytes) -> StreamHead | None:
        found = self._reader.last(stream)
        if found is None:
            return None
        statement = logged(self._reader, found[1])
        return StreamHead(statement.seq, statement.digest)

    def _load_authority(self) -> Authority:
        authority = Authority()
        subject = logged(self._reader, 0).subject
        for index, statement in logged_about(self._reader, subject):
            if statement.content_type in AUTHORITY_KINDS:
                authority.apply(index, statement)
        return authority

    def _forget(self) -> None:
        """After a failure memory may be ahead of the log, or behind it."""
        self._streams.clear()
        self._models.forget()

    def _remember(self) -> None:
        """Before a group: read the authority again if the last group failed on its way to the log."""
        if self._doubtful:
            self.authority = self._load_authority()
            self._doubtful = False
        # Only between groups: within one, memory is ahead of the log.
        if len(self._streams) > HEADS_LIMIT:
            self._streams.clear()
        self._models.trim()


def _outcome(item: _Item) -> Outcome:
    return item.outcome if item.outcome is not None else InternalError("a statement got no outcome")


def _parse(item: _Item) -> None:
    try:
        statement = parse_statement(item.raw)
        kind = kind_of(statement)
    except TwinproofError as problem:
        item.outcome = problem
    else:
        item.read, item.kind = statement, kind


def _parse_payload(item: _Item) -> None:
    """After the signature: 60 KiB can take 100 times as long to read as to check, so strangers may not ask for it."""
    try:
        item.payload = item.kind.parse(item.read.payload, item.read.issued_at)
    except TwinproofError as problem:
        item.outcome = problem


def _check_chunk(tasks: list[tuple[_Item, PublicKey]]) -> None:
    for item, key in tasks:
        try:
            check_statement(item.read, key)
        except TwinproofError as problem:
            item.outcome = problem


def _runs(items: list[_Item]) -> Iterator[list[_Item]]:
    """Cut a group after each authority statement: it may introduce the keys of those behind it."""
    run: list[_Item] = []
    for item in items:
        run.append(item)
        if item.outcome is None and item.read.content_type in AUTHORITY_KINDS:
            yield run
            run = []
    if run:
        yield run
