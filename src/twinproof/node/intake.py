"""Intake: from raw statements to durable log entries, through one writer thread.

Requests queue up; the thread takes what has gathered as one group and does, for all of it:

    parse  ->  signatures, on all cores  ->  stream, authority, clock, in order  ->  one commit

so the cost of a commit is shared, and order is decided in one place. Each statement gets its own
outcome: `Accepted`, or the error that says why not. A refused statement leaves no trace but one:
a second statement at a taken stream position is kept as evidence of equivocation.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from twinproof.errors import (
    BadSignature,
    FutureDated,
    InternalError,
    Malformed,
    NotAuthorised,
    Overloaded,
    StreamError,
    TwinproofError,
)
from twinproof.log.reader import Reader
from twinproof.log.store import Entry
from twinproof.log.writer import Appended, Writer
from twinproof.node.config import Limits
from twinproof.proof.keys import PublicKey
from twinproof.twin.authority import AUTHORITY_KINDS, Authority
from twinproof.twin.description import DESCRIPTION, Description, parse_description
from twinproof.twin.kinds import Kind, kind_of
from twinproof.twin.statement import Statement, check_statement, parse_statement
from twinproof.twin.stream import StreamHead, check_next, next_seq, position, stream_prefix, twin_prefix

HEADS_LIMIT: Final = 200_000
"""Stream heads kept in memory; beyond it the cache starts anew from the log's index."""
CHUNK: Final = 64
"""Signatures checked per task: large enough to hide the hand-over, small enough to use all cores."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The statement is durable at `index`; `new` is False if it was there before."""

    index: int
    new: bool


Outcome: TypeAlias = Accepted | TwinproofError


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
    items: list[_Item]
    size: int
    future: Future[list[Outcome]]


class Intake:
    """Checks statements and appends them. One per log; `submit` may be called from any thread."""

    def __init__(self, writer: Writer, reader: Reader, *, limits: Limits, clock: Callable[[], float]) -> None:
        self._writer = writer
        self._reader = reader
        self._limits = limits
        self._clock = clock
        self._streams: dict[bytes, StreamHead | None] = {}
        self._models: dict[str, str | None] = {}
        self._cores = os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(self._cores, thread_name_prefix="signatures")
        self._queue: deque[_Request] = deque()
        self._queued_statements = 0
        self._queued_bytes = 0
        self._wake = threading.Condition()
        self._stopping = False
        self._authority_staged = False
        self.authority = self._load_authority()
        self._thread = threading.Thread(target=self._run, name="writer")
        self._thread.start()

    # --- the callers' side ---

    def submit(self, raws: Sequence[bytes]) -> Future[list[Outcome]]:
        """Queue statements; the future gives their outcomes, in order, once they are durable.

        Raises `Overloaded` and keeps nothing if the queue is full or the node is stopping.
        """
        size = sum(map(len, raws))
        request = _Request([_Item(raw) for raw in raws], size, Future())
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
            try:
                self._process([item for request in group for item in request.items])
            except Exception as problem:  # noqa: BLE001 - the thread must outlive any defect, and every caller hear of it
                self._fail(group, problem)
                continue
            self._authority_staged = False
            for request in group:
                request.future.set_result([_outcome(item) for item in request.items])

    def _take_group(self) -> list[_Request]:
        group: list[_Request] = []
        statements = 0
        while self._queue and (not group or statements + len(self._queue[0].items) <= self._limits.group_statements):
            request = self._queue.popleft()
            group.append(request)
            statements += len(request.items)
            self._queued_bytes -= request.size
        self._queued_statements -= statements
        return group

    def _fail(self, group: list[_Request], problem: Exception) -> None:
        self._forget()
        error = (
            problem if isinstance(problem, TwinproofError) else InternalError(f"{type(problem).__name__}: {problem}")
        )
        for request in group:
            request.future.set_exception(error)

    def _process(self, items: list[_Item]) -> None:
        """Decide on every item; what is new becomes durable in one commit.

        An exception means that nothing of the group may be acknowledged: the caller forgets what
        was staged in memory. Statements that did become durable are found again when resent.
        """
        for item in items:
            _parse(item)
        staged = _Staged(self._writer.size)
        for run in _runs(items):
            self._check_signatures(run)
            for item in run:
                if item.outcome is None:
                    self._stage(item, staged)
        if not staged.items:
            return
        results = self._writer.append([Entry(position(item.read), item.raw) for item in staged.items])
        for item, result in zip(staged.items, results, strict=True):
            item.outcome = Accepted(result.index, result.new) if isinstance(result, Appended) else result

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
            # Taken already: the writer tells a repeat (same index again) from an equivocation.
            staged.items.append(item)
            return
        try:
            after = check_next(head, statement)
            self._check_clock(statement)
            if statement.content_type in AUTHORITY_KINDS:
                self.authority.apply(staged.next_index, statement)
                self._authority_staged = True
            else:
                self.authority.check(staged.next_index, statement, item.kind.capability, self._model_of)
        except (StreamError, FutureDated, NotAuthorised, Malformed, BadSignature) as problem:
            item.outcome = problem
            return
        if len(self._streams) >= HEADS_LIMIT:
            self._streams.clear()
        self._streams[stream] = after
        if isinstance(item.payload, Description) and item.payload.model is not None:
            self._models[statement.subject] = item.payload.model
        staged.items.append(item)
        staged.next_index += 1

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
        statement = parse_statement(self._reader.entry(found[1]))
        return StreamHead(statement.seq, statement.digest)

    def _model_of(self, subject: str) -> str | None:
        if subject not in self._models:
            model = None
            for index in sorted(index for _, index in self._reader.scan(twin_prefix(subject))):
                statement = parse_statement(self._reader.entry(index))
                if statement.content_type == DESCRIPTION:
                    model = parse_description(statement.payload).model or model
            self._models[subject] = model
        return self._models[subject]

    def _load_authority(self) -> Authority:
        authority = Authority()
        genesis = parse_statement(self._reader.entry(0))
        subject = genesis.subject
        for index in sorted(index for _, index in self._reader.scan(twin_prefix(subject))):
            statement = parse_statement(self._reader.entry(index))
            if statement.content_type in AUTHORITY_KINDS:
                authority.apply(index, statement)
        return authority

    def _forget(self) -> None:
        """After a failed commit memory may be ahead of the log, or behind it: read it again."""
        self._streams.clear()
        self._models.clear()
        if self._authority_staged:
            self.authority = self._load_authority()
            self._authority_staged = False


def _outcome(item: _Item) -> Outcome:
    return item.outcome if item.outcome is not None else InternalError("a statement got no outcome")


def _parse(item: _Item) -> None:
    try:
        statement = parse_statement(item.raw)
        kind = kind_of(statement)
        item.payload = kind.parse(statement.payload, statement.issued_at)
    except TwinproofError as problem:
        item.outcome = problem
    else:
        item.read, item.kind = statement, kind


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
