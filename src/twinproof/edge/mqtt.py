"""The MQTT connector: subscribes, records, and acknowledges only when the log has it.

docs/connectors.md says what is promised. One thread does everything:

    poll ──▶ pending ──take──▶ outbox ──▶ window ──settled──▶ PUBACK
             (memory)          (disk)     (unacknowledged, in the order of the broker)

A message that cannot be understood passes through like the others, empty, so that acknowledgements keep their order.
"""

from __future__ import annotations

import os
import random
import threading
from collections import deque
from collections.abc import Callable, Mapping
from hashlib import sha256
from itertools import islice
from typing import Final

from twinproof.edge.backoff import Backoff
from twinproof.edge.bridge import Arrival, Bridge, Receipt, identify
from twinproof.edge.selection import Selected, select_payload
from twinproof.edge.session import Message, MqttSession
from twinproof.edge.sources import Acknowledge, MqttSource
from twinproof.errors import Malformed, Overloaded, StorageFailed, TwinproofError, Unreachable

TAKE_AT_ONCE: Final = 256
"""Messages of one transaction."""
MAX_PENDING: Final = 64 * 1024 * 1024
"""Bytes of messages that wait in memory for room in the outbox; with more, nothing is read from the broker."""
BUSY: Final = 0.02
"""Seconds between two looks at what the log has, while something waits for it."""
IDLE: Final = 0.25
LONGEST_WAIT: Final = 30.0
"""Seconds between two attempts to reach the broker."""

_jitter: Final = random.SystemRandom().random


def default_client_id(issuer: str, source: str) -> str:
    """23 characters, which every broker takes (MQTT 3.1.1 §3.1.3.1); the same after each restart."""
    return "tp-" + sha256(f"{issuer}\n{source}".encode()).hexdigest()[:20]


class MqttConnector:
    """See `edge.bridge.Connector`."""

    def __init__(
        self,
        source: MqttSource,
        bridge: Bridge,
        *,
        environment: Mapping[str, str] = os.environ,
        jitter: Callable[[], float] = _jitter,
    ) -> None:
        """Raises `ConfigError` for secrets and certificates that cannot be read."""
        self._source = source
        self._bridge = bridge
        self._session = MqttSession(
            source.broker,
            client_id=source.broker.client_id or default_client_id(bridge.issuer, source.name),
            filters=source.filters,
            qos=source.qos,
            in_flight=source.in_flight,
            retained=source.retained,
            environment=environment,
        )
        self._backoff = Backoff(jitter)
        self._told: str | None = None
        self._pending: deque[tuple[Message, Arrival]] = deque()
        self._pending_bytes = 0
        self._window: deque[tuple[int | None, Receipt]] = deque()
        """(packet identifier, receipt) of what is on the disk and not acknowledged, in the order of arrival."""
        self._unclosed = 0
        """Messages of the window since batches were last closed for its sake."""
        self._at_once = TAKE_AT_ONCE
        self._hold_until = float("-inf")
        self.connected = threading.Event()
        """Set while the source is subscribed."""

    def run(self, stopping: threading.Event) -> None:
        """See `Connector`."""
        while not stopping.is_set():
            try:
                self._start_over(present=self._session.connect())
                self.connected.set()
                while not stopping.is_set():
                    self._step()
                    self._backoff.succeeded()
                    self._told = None
            except Unreachable as problem:
                self.connected.clear()
                self._tell_once(problem)
                self._wait_out(stopping, min(LONGEST_WAIT, self._backoff.failed()))
        self._finish()

    def _start_over(self, *, present: bool) -> None:
        """A new connection: whatever was not acknowledged comes again, under the same identifiers, or never."""
        self._window.clear()
        self._unclosed = 0
        if not present:
            self._bridge.outbox.forget_packets(self._source.name)
            # The broker forgot what it sent us, so what waits here is all that is left of it.
            self._pending = deque((message, _without_packet(arrival)) for message, arrival in self._pending)
            return
        self._pending = deque(item for item in self._pending if item[1].packet is None)
        self._pending_bytes = sum(len(message.payload) for message, _ in self._pending)

    def _wait_out(self, stopping: threading.Event, seconds: float) -> None:
        """The broker is away: what was taken is still signed and delivered, by the recorder's own thread."""
        self._bridge.close_due((receipt for _, receipt in self._window), now=True)
        stopping.wait(seconds)

    def _finish(self) -> None:
        self.connected.clear()
        try:
            self._bridge.close_due((receipt for _, receipt in self._window), now=True)
            self._acknowledge()
        except TwinproofError as problem:
            self._bridge.tell(problem)
        self._session.close()

    # --- one turn ---

    def _step(self) -> None:
        busy = bool(self._window or self._pending)
        if self._pending_bytes > MAX_PENDING:
            self._session.serve(BUSY)
        else:
            for message in self._session.poll(BUSY if busy else IDLE):
                self._pending.append((message, self._arrival(message)))
                self._pending_bytes += len(message.payload)
        try:
            while self._pending and self._bridge.monotonic() >= self._hold_until:
                self._take()
            half = max(1, self._source.in_flight // 2)
            full = self._unclosed >= half
            self._bridge.close_due((receipt for _, receipt in self._window), now=full)
            if full:
                self._unclosed = 0
        except Overloaded as problem:
            # A batch may be larger than the room that is left, or than there ever is.
            if self._at_once > 1:
                self._at_once //= 2
            else:
                self._hold(problem, min(problem.retry_after, 5.0))
        except StorageFailed as problem:
            self._hold(problem, 1.0)
        self._acknowledge()

    def _take(self) -> None:
        batch = list(islice(self._pending, self._at_once))
        receipts = self._bridge.take(
            self._source.name, "mqtt", [arrival for _, arrival in batch], remember=self._source.remember
        )
        for (message, arrival), receipt in zip(batch, receipts, strict=True):
            self._pending.popleft()
            self._pending_bytes -= len(message.payload)
            self._window.append((arrival.packet, receipt))
        self._unclosed += len(batch)
        self._at_once = min(TAKE_AT_ONCE, 2 * self._at_once)

    def _hold(self, problem: TwinproofError, seconds: float) -> None:
        self._tell_once(problem)
        self._hold_until = self._bridge.monotonic() + seconds

    def _acknowledge(self) -> None:
        """In the order of arrival, as the standard demands."""
        if self._source.acknowledge is Acknowledge.OUTBOX:
            settled = len(self._window)
        else:
            settled = self._bridge.settled([receipt for _, receipt in self._window])
        for _ in range(settled):
            packet, _ = self._window.popleft()
            if packet is not None:
                self._session.acknowledge(packet)
        self._unclosed = min(self._unclosed, len(self._window))

    # --- a message ---

    def _arrival(self, message: Message) -> Arrival:
        """What is in a message; empty if there is nothing to record."""
        digest = identify(message.topic.encode(errors="replace"), message.payload)
        selected = Selected()
        if not message.retained or self._source.retained:
            try:
                selected = self._select(message)
            except Malformed as problem:
                self._bridge.reject(self._source.name, f"a message of topic {message.topic!r:.100}", problem)
        return Arrival(selected, digest, message.packet, message.again)

    def _select(self, message: Message) -> Selected:
        arrival = self._bridge.clock()
        parts = [
            select_payload(rule, groups, message.payload, arrival)
            for rule in self._source.map
            if (groups := rule.topic.match(message.topic)) is not None
        ]
        return Selected(
            tuple(item for part in parts for item in part.observations),
            tuple(item for part in parts for item in part.statements),
            bool(parts) and all(part.timed for part in parts),
        )

    def _tell_once(self, problem: TwinproofError) -> None:
        if problem.code != self._told:
            self._told = problem.code
            self._bridge.tell(problem)


def _without_packet(arrival: Arrival) -> Arrival:
    return Arrival(arrival.selected, arrival.digest)
