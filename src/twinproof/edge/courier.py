"""Delivery: asks the log where streams end, sends what is queued, and decides what each answer means.

| answer                    | meaning                                   | what is done                              |
|---------------------------|-------------------------------------------|-------------------------------------------|
| Delivered                 | the log holds it                          | receipt checked and stored                |
| Refused: retry            | not now (future-dated, …)                 | the stream waits, longer each time        |
| Refused: gap, chain-broken| log and outbox differ about the stream    | ask for the head, `_reconcile`            |
| Refused: equivocation     | another statement has this place          | the stream stops                          |
| Refused: any other        | the log will never take these bytes       | the stream stops                          |
| Unreachable, Overloaded   | nothing is known                          | everything waits, then the same is sent   |
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from twinproof.edge.backoff import Backoff
from twinproof.edge.outbox import Outbox, Queued, Settled, StreamRecord
from twinproof.edge.receipts import ReceiptChecker
from twinproof.edge.sinks import Delivered, Delivery, Refused, Sink, send_each
from twinproof.edge.stream import Stream, stopped_error
from twinproof.errors import (
    BadProof,
    BadSignature,
    Overloaded,
    TooLarge,
    TwinproofError,
    Unreachable,
    Untrusted,
)
from twinproof.proof.note import VerifierKey
from twinproof.twin.attestation import RESUME, Resume, format_resume
from twinproof.twin.stream import StreamHead, next_seq

SEND_STATEMENTS: Final = 256
"""Statements of one request, at most; fewer after the log found that too large."""
SEND_BYTES: Final = 4 * 1024 * 1024
MAX_REQUESTS: Final = 64
"""Requests of one `pump`."""
IDLE: Final = 60.0
"""Seconds that a pump with nothing to do may wait; a new statement wakes it earlier."""
PRUNE_EVERY: Final = 60.0
BUSY_IS_NEWS: Final = 5
"""Times in a row that the log may say "later" before somebody is told."""

LOST: Final = "the device has no record of this stream; what it had recorded and not delivered is missing"
OLD_COPY: Final = (
    "the device's record of this stream was older than the log: restored from a copy, or the key is used twice"
)


@dataclass(frozen=True, slots=True)
class Pumped:
    """What one `pump` did."""

    delivered: int
    refused: int
    wait: float
    """Seconds until the next call can do something; 0 if there is more to send now."""


@dataclass(slots=True)
class _Route:
    """What delivery remembers of a stream while the process runs."""

    stream: Stream
    backoff: Backoff
    asked: bool = False
    """Whether the log's head was compared with ours since the start, or since they were found to differ."""
    behind: bool = False
    """The log is ahead of us: what is queued must turn out to be there before anything new is signed."""
    hold_until: float = 0.0


@dataclass(slots=True)
class _Tally:
    delivered: int = 0
    refused: int = 0
    requests: int = 0


class Courier:
    """Delivers one issuer's streams. `pump`, `retry` and `resume` exclude each other."""

    def __init__(
        self,
        outbox: Outbox,
        sink: Sink,
        issuer: str,
        *,
        log_keys: Sequence[VerifierKey],
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        jitter: Callable[[], float],
        tell: Callable[[TwinproofError], None],
    ) -> None:
        self._outbox = outbox
        self._sink = sink
        self._issuer = issuer
        self._receipts = ReceiptChecker(log_keys)
        self._clock = clock
        self._monotonic = monotonic
        self._jitter = jitter
        self._tell = tell
        self._told: str | None = None
        self._untold: deque[TwinproofError] = deque()
        self._routes: dict[int, _Route] = {}
        self._backoff = Backoff(jitter)
        self._hold_until = float("-inf")
        self._send_limit = SEND_STATEMENTS
        self._pruned_at = float("-inf")
        self._pumping = threading.Lock()

    def add(self, stream: Stream) -> None:
        """Deliver this stream too."""
        self._routes[stream.id] = _Route(stream, Backoff(self._jitter))
        if stream.stopped is not None:
            self._untold.append(stream.stopped)

    def hold(self) -> float:
        """Seconds until the log is asked again."""
        return max(0.0, self._hold_until - self._monotonic())

    def failed(self, problem: TwinproofError) -> float:
        """Tell of a problem that concerns all streams; seconds to wait."""
        busy = isinstance(problem, Overloaded)
        wait = self._backoff.asked(problem.retry_after) if isinstance(problem, Overloaded) else self._backoff.failed()
        # An outage is told once, not at each attempt; being busy is none until it lasts.
        if type(problem).code != self._told and (not busy or self._backoff.failures >= BUSY_IS_NEWS):
            self._told = type(problem).code
            self._untold.append(problem)
        self._hold_until = self._monotonic() + wait
        return wait

    # --- one pass ---

    def pump(self, streams: Sequence[Stream]) -> Pumped:
        """See `Recorder.pump`."""
        try:
            return self._pump(streams)
        finally:
            self.tell()

    def tell(self) -> None:
        """Pass on what went wrong, while no lock is held: the listener may call the recorder."""
        while self._untold:
            self._tell(self._untold.popleft())

    def _pump(self, streams: Sequence[Stream]) -> Pumped:
        with self._pumping:
            for stream in streams:
                if stream.due_in() <= 0:
                    stream.close_batch()
                stream.close_leftover()
            tally = _Tally()
            if not self.hold():
                self._prune()
                try:
                    while tally.requests < MAX_REQUESTS and (self._ask_heads(tally) or self._send(tally)):
                        pass
                except (Unreachable, Overloaded, Untrusted, BadProof, BadSignature) as problem:
                    self._sign_offline()
                    self.failed(problem)
            return Pumped(tally.delivered, tally.refused, self._wait(streams, tally))

    def _prune(self) -> None:
        now = self._monotonic()
        if now - self._pruned_at >= PRUNE_EVERY:
            self._pruned_at = now
            self._outbox.prune(self._clock())

    def _wait(self, streams: Sequence[Stream], tally: _Tally) -> float:
        now = self._monotonic()
        times = [IDLE, *(stream.due_in() for stream in streams)]
        if self.hold():
            return max(0.0, min(*times, self.hold()))
        times += [route.hold_until - now for route in list(self._routes.values()) if route.hold_until > now]
        if tally.requests >= MAX_REQUESTS:
            times.append(0.0)
        return max(0.0, min(times))

    def _progress(self) -> None:
        self._backoff.succeeded()
        self._told = None

    # --- where streams end ---

    def _ask_heads(self, tally: _Tally) -> bool:
        """Ask for the head of each stream that must be compared; whether there was one."""
        now = self._monotonic()
        asked = False
        for route in list(self._routes.values()):
            stream = route.stream
            if route.asked or stream.stopped is not None or route.hold_until > now:
                continue
            if tally.requests >= MAX_REQUESTS:
                break
            if route.behind and self._outbox.count_queued(stream.id):
                continue
            tally.requests += 1
            head = self._sink.head(stream.issuer, stream.subject)
            self._progress()
            with self._outbox.lock:
                self._reconcile(route, head)
            asked = True
        return asked

    def _reconcile(self, route: _Route, log: StreamHead | None) -> None:
        """Compare the log's head with ours and decide how the stream goes on."""
        stream = route.stream
        ours = self._outbox.stream(stream.id)
        route.asked = True
        if not ours.known:
            self._adopt(route, ours, log)
        elif next_seq(log) > next_seq(ours.head):
            # What is queued may be what the log has, or differ from it: sending it tells.
            if self._outbox.count_queued(stream.id):
                route.behind, route.asked, stream.ready = True, False, False
                return
            self._adopt(route, ours, log)
        else:
            digest = None if log is None else self._outbox.digest_at(stream.id, log.seq)
            if log is not None and digest is not None and digest != log.digest:
                self._stop(stream, "equivocation", f"the log has another statement with seq {log.seq}")
                return
            if not self._outbox.queue_after(stream.id, -1 if log is None else log.seq):
                ends = "has no such stream" if log is None else f"ends at seq {log.seq}"
                self._stop(stream, "log-behind", f"the log {ends}; statements behind that are not here any more")
                return
        route.behind = False
        stream.ready = True
        stream.close_leftover()

    def _adopt(self, route: _Route, ours: StreamRecord, log: StreamHead | None) -> None:
        stream = route.stream
        reason = ours.reason or (OLD_COPY if ours.known else LOST)
        if log is None and ours.reason is None:
            self._outbox.adopt(stream.id, None, [])
        else:
            resume = stream.sign_next(log, RESUME, format_resume(Resume(reason)))
            self._outbox.adopt(stream.id, log, [resume])

    def _sign_offline(self) -> None:
        """The log was tried and is out of reach: streams whose end is known go on without it."""
        for route in list(self._routes.values()):
            stream = route.stream
            if not stream.ready and not route.behind and stream.stopped is None:
                with self._outbox.lock:
                    if self._outbox.stream(stream.id).known:
                        stream.ready = True
                        stream.close_leftover()

    # --- sending ---

    def _send(self, tally: _Tally) -> bool:
        """Send one request; whether there was anything to send."""
        now = self._monotonic()
        resting = [number for number, route in list(self._routes.items()) if route.hold_until > now]
        batch = self._outbox.queued(self._issuer, limit=self._send_limit, max_bytes=SEND_BYTES, without=resting)
        if not batch:
            return False
        tally.requests += 1
        try:
            answers = send_each(self._sink, [statement.raw for statement in batch])
        except TooLarge:
            self._send_limit = max(1, len(batch) // 2)
            return True
        with self._outbox.lock:
            self._take_answers(batch, answers, tally)
        return True

    def _take_answers(self, batch: Sequence[Queued], answers: Sequence[Delivery], tally: _Tally) -> None:
        settled: list[Settled] = []
        refused: dict[int, tuple[Queued, Refused]] = {}
        try:
            for statement, answer in zip(batch, answers, strict=True):
                # Behind a refused statement come only its consequences.
                if statement.stream in refused:
                    continue
                if isinstance(answer, Refused):
                    refused[statement.stream] = (statement, answer)
                else:
                    settled.append(self._accept(statement, answer))
        finally:
            self._outbox.settle(settled, self._clock())
            tally.delivered += len(settled)
        for statement, answer in refused.values():
            tally.refused += 1
            self._refuse(self._routes[statement.stream], statement, answer)
        for number in {statement.stream for statement in batch} - refused.keys():
            self._routes[number].backoff.succeeded()
        self._progress()

    def _accept(self, statement: Queued, answer: Delivered) -> Settled:
        checked = self._receipts.check(statement.raw, answer.receipt)
        return Settled(statement.id, answer.index, answer.receipt, checked)

    def _refuse(self, route: _Route, statement: Queued, answer: Refused) -> None:
        if answer.retry or answer.code in ("gap", "chain-broken"):
            if not answer.retry:
                route.asked = route.behind = route.stream.ready = False
            # The first time the log is asked at once; a log that keeps contradicting itself, ever later.
            pause = 0.0 if not answer.retry and not route.backoff.failures else 1.0
            route.hold_until = self._monotonic() + pause * route.backoff.failed()
            return
        self._stop(route.stream, answer.code, f"seq {statement.seq}: {answer.detail}", statement.id)

    def _stop(self, stream: Stream, code: str, detail: str, statement: int | None = None) -> None:
        self._outbox.stop(stream.id, code, detail, statement)
        stream.ready = False
        stream.stopped = stopped_error(stream.issuer, stream.subject, code, detail)
        self._untold.append(stream.stopped)

    # --- what a person decides ---

    def retry(self, stream: Stream) -> None:
        """See `Recorder.retry`."""
        with self._pumping, self._outbox.lock:
            self._outbox.restart(stream.id)
            self._go_on(stream)

    def resume(self, stream: Stream, reason: str) -> None:
        """See `Recorder.resume`."""
        with self._pumping, self._outbox.lock:
            stream.ready = False
            self._outbox.set_aside(stream.id, reason)
            self._go_on(stream)

    def _go_on(self, stream: Stream) -> None:
        stream.stopped = None
        stream.ready = False
        self._routes[stream.id] = _Route(stream, Backoff(self._jitter))
