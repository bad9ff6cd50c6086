"""Stating: a service's statements on their way into the log, in order, each once.

A statement is signed onto the end of its stream when it is its turn; from then on the same bytes are handed in until
they are answered for, so an answer that got lost doubles nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from typing import Final, Generic, TypeVar

from twinproof.errors import (
    Conflict,
    InternalError,
    LogError,
    NotAuthorised,
    OutOfScope,
    Overloaded,
    StreamError,
    TwinproofError,
)
from twinproof.node.intake import Accepted, Outcome
from twinproof.node.node import Clock, WritingNode
from twinproof.node.service_keys import PATIENCE
from twinproof.proof.keys import PrivateKey
from twinproof.twin.stream import StreamHead, next_seq, sign_next

BATCH: Final = 256
"""Statements handed in at once."""
ATTEMPTS: Final = 3
"""Times that a statement is signed anew because its stream had moved."""

T = TypeVar("T")


@dataclass(slots=True)
class _Waiting(Generic[T]):
    subject: str
    content_type: str
    payload: bytes
    about: T
    raw: bytes | None = None
    head: StreamHead | None = None
    """The stream's head once `raw` is taken."""
    attempts: int = 0


class Stating(Generic[T]):
    """One per service; `T` is what the service wants to hear again when a statement is taken or refused."""

    def __init__(
        self,
        node: WritingNode,
        issuer: str,
        key: PrivateKey,
        clock: Clock,
        *,
        taken: Callable[[T, int], None],
        refused: Callable[[T, TwinproofError], None],
    ) -> None:
        """`taken(about, index)` and `refused(about, why)` are called within `deliver`."""
        self.issuer = issuer
        self._node = node
        self._key = key
        self._clock = clock
        self._taken = taken
        self._refused = refused
        self._queue: deque[_Waiting[T]] = deque()
        self._heads: dict[str, StreamHead | None] = {}

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, subject: str, content_type: str, payload: bytes, about: T) -> None:
        """Put a statement behind those that wait."""
        self._queue.append(_Waiting(subject, content_type, payload, about))

    def clear(self) -> None:
        """Forget those that wait; what has been handed in may be in the log."""
        self._queue.clear()
        self._heads.clear()

    def deliver(self, enough: Callable[[], bool] = lambda: False) -> None:
        """Hand in what waits, until `enough`, which is asked before each batch.

        Raises why it must wait on: what intake raises, `NotAuthorised` without a grant.
        """
        while self._queue and not enough():
            batch = [self._queue[n] for n in range(min(BATCH, len(self._queue)))]
            outcomes = self._submit(batch)
            again: list[_Waiting[T]] = []
            held: set[str] = set()
            problem: TwinproofError | None = None
            for waiting, outcome in zip(batch, outcomes, strict=True):
                self._queue.popleft()
                if isinstance(outcome, Accepted):
                    self._taken(waiting.about, outcome.index)
                    continue
                self._heads.pop(waiting.subject, None)
                moved = isinstance(outcome, StreamError) and waiting.attempts < ATTEMPTS
                if moved or waiting.subject in held:
                    # Its stream ends elsewhere than we thought, or the one before it was not taken.
                    waiting.raw = None
                    waiting.attempts += moved
                    again.append(waiting)
                elif _passing(outcome):
                    if isinstance(outcome, NotAuthorised):
                        waiting.raw = None
                    held.add(waiting.subject)
                    again.append(waiting)
                    problem = outcome
                else:
                    self._refused(waiting.about, outcome)
            self._queue.extendleft(reversed(again))
            if problem is not None:
                raise problem

    def _submit(self, batch: list[_Waiting[T]]) -> list[Outcome]:
        for waiting in batch:
            self._sign(waiting)
        try:
            answer = self._node.intake.submit([waiting.raw or b"" for waiting in batch])
            self._sign_ahead({waiting.subject for waiting in batch})
            return answer.result(PATIENCE)
        except (TwinproofError, TimeoutError, CancelledError) as problem:
            # Nothing is known: the same bytes again, later. What did become durable is then found.
            self._heads.clear()
            if isinstance(problem, TwinproofError):
                raise
            raise Overloaded("intake gives no answer", 1.0) from None

    def _sign_ahead(self, under_way: set[str]) -> None:
        """While intake works, sign what comes next, but onto no stream whose end is not known yet."""
        for waiting in islice(self._queue, BATCH, 2 * BATCH):
            if waiting.subject not in under_way:
                self._sign(waiting)

    def _sign(self, waiting: _Waiting[T]) -> None:
        if waiting.raw is None:
            if waiting.subject not in self._heads:
                self._heads[waiting.subject] = self._node.intake.stream_head(self.issuer, waiting.subject)
            head = self._heads[waiting.subject]
            waiting.raw = sign_next(
                head,
                self._key,
                issuer=self.issuer,
                subject=waiting.subject,
                content_type=waiting.content_type,
                payload=waiting.payload,
                issued_at=int(self._clock()),
            )
            waiting.head = StreamHead(next_seq(head), sha256(waiting.raw).digest())
        self._heads[waiting.subject] = waiting.head


def _passing(problem: TwinproofError) -> bool:
    """Whether it may be taken later: a grant may come, but one that is narrower on purpose is not waited for."""
    if isinstance(problem, OutOfScope):
        return False
    passing = (Overloaded, LogError, InternalError, Conflict, NotAuthorised)
    return isinstance(problem, passing) or problem.code == "future-dated"
