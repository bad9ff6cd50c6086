"""Delivers the statements of devices that sign themselves, unchanged.

| answer            | what is done                                                              |
|-------------------|---------------------------------------------------------------------------|
| Delivered         | dropped: the log has it                                                   |
| Refused: retry    | the stream waits                                                          |
| Refused: gap      | kept as refused, and sent again once the log has the statement before it  |
| Refused: other    | kept as refused, and told                                                 |
| Unreachable, busy | everything waits                                                          |
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from typing import Final

from twinproof.edge.arrivals import Carried, GatewayOutbox
from twinproof.edge.backoff import Backoff
from twinproof.edge.receipts import ReceiptChecker
from twinproof.edge.sinks import Delivered, Sink, send_each
from twinproof.errors import (
    BadProof,
    BadSignature,
    Overloaded,
    RefusedByLog,
    StorageFailed,
    TooLarge,
    TwinproofError,
    Unreachable,
    Untrusted,
)
from twinproof.proof.note import VerifierKey

SEND_STATEMENTS: Final = 256
SEND_BYTES: Final = 4 * 1024 * 1024
IDLE: Final = 30.0
"""Seconds without anything to carry."""

_jitter: Final = random.SystemRandom().random


class Carrier:
    """One thread's work: `pump` until nothing waits."""

    def __init__(
        self,
        outbox: GatewayOutbox,
        sink: Sink,
        *,
        log_keys: Sequence[VerifierKey] = (),
        tell: Callable[[TwinproofError], None],
        jitter: Callable[[], float] = _jitter,
    ) -> None:
        self._outbox = outbox
        self._sink = sink
        self._checker = ReceiptChecker(log_keys)
        self._tell = tell
        self._backoff = Backoff(jitter)
        self._told: str | None = None
        self._limit = SEND_STATEMENTS

    def run(self, stopping: threading.Event, wake: threading.Event) -> None:
        """Deliver until `stopping`; `wake` says that there is something new."""
        while not stopping.is_set():
            wake.clear()
            wait = self.pump()
            # A failure is waited out whatever comes in meanwhile.
            (stopping if self._backoff.failures else wake).wait(wait)

    def pump(self) -> float:
        """Send what waits; seconds until the next call can do something."""
        try:
            while batch := self._outbox.to_carry(self._limit, SEND_BYTES):
                if not self._send(batch):
                    return self._backoff.failed()
                self._backoff.succeeded()
                self._told = None
        except (Unreachable, Overloaded, Untrusted, BadProof, BadSignature, StorageFailed) as problem:
            if problem.code != self._told:
                self._told = problem.code
                self._tell(problem)
            retry_after = getattr(problem, "retry_after", None)
            return self._backoff.failed() if retry_after is None else self._backoff.asked(retry_after)
        return IDLE

    def _send(self, batch: Sequence[Carried]) -> bool:
        """One request; whether anything was settled."""
        try:
            answers = send_each(self._sink, [item.raw for item in batch])
        except TooLarge:
            self._limit = max(1, len(batch) // 2)
            return True
        delivered: list[Carried] = []
        refused: list[tuple[Carried, str, str]] = []
        try:
            for item, answer in zip(batch, answers, strict=True):
                if isinstance(answer, Delivered):
                    self._checker.check(item.raw, answer.receipt)
                    delivered.append(item)
                elif not answer.retry:
                    refused.append((item, answer.code, answer.detail))
        finally:
            self._outbox.settle_carried(delivered, refused)
        for item, code, detail in refused:
            where = f"{item.issuer}'s statement {item.seq} about {item.subject}"
            self._tell(RefusedByLog(f"the log refused {where} ({code}: {detail}); it is kept in the outbox", code))
        return bool(delivered or refused)
