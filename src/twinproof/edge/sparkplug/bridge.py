"""The Sparkplug connector: a host application on one broker, whose samples are recorded. See docs/sparkplug.md.

One thread does everything:

    poll ──▶ Host (sessions, order, births) ──▶ Selector (rules) ──▶ waiting (memory) ──take──▶ outbox (disk)
                  └──▶ rebirth requests, STATE

Sparkplug's messages have QoS 0: a broker keeps nothing for a host, so what was sent while we were not connected is
missing, and said to be. When the outbox is full nothing is read from the broker, which then drops messages: their
sequence numbers are missing, and that is said as well.
"""

from __future__ import annotations

import os
import random
import threading
from collections import deque
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Final, Protocol

from twinproof.edge.backoff import Backoff
from twinproof.edge.bridge import Arrival, Bridge, identify
from twinproof.edge.mqtt import default_client_id
from twinproof.edge.quality import AWAY, Losses, recorded_before
from twinproof.edge.selection import Observation, Selected
from twinproof.edge.session import Message, MqttSession
from twinproof.edge.sources import SparkplugSource
from twinproof.edge.sparkplug.events import Lost
from twinproof.edge.sparkplug.host import Host, Outcome, Publish
from twinproof.edge.sparkplug.selection import Selector
from twinproof.errors import Malformed, Overloaded, StorageFailed, TwinproofError, Unreachable

TAKE_AT_ONCE: Final = 256
"""Observations of one transaction."""
MAX_WAITING: Final = 20_000
"""Observations that wait in memory for room in the outbox; with more, nothing is read from the broker."""
IDLE: Final = 0.25
LONGEST_WAIT: Final = 30.0
"""Seconds between two attempts to reach the broker."""

_jitter: Final = random.SystemRandom().random


class Client(Protocol):
    """What is needed of a connection to a broker: `edge.session.MqttSession`, or a test's own."""

    def connect(self) -> bool:
        """Connect and subscribe; raises `Unreachable`."""

    def poll(self, timeout: float) -> list[Message]:
        """What has come in; raises `Unreachable` when the connection ends."""

    def serve(self, timeout: float) -> None:
        """Keep the connection alive without reading; raises `Unreachable`."""

    def acknowledge(self, packet: int) -> None:
        """Acknowledge a message of QoS 1."""

    def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool) -> None:
        """Publish without waiting."""

    def close(self) -> None:
        """Say farewell, after publishing the will."""


class SparkplugConnector:
    """See `edge.bridge.Connector`."""

    def __init__(
        self,
        source: SparkplugSource,
        bridge: Bridge,
        *,
        environment: Mapping[str, str] = os.environ,
        jitter: Callable[[], float] = _jitter,
        make_client: Callable[[Publish | None], Client] | None = None,
    ) -> None:
        """`make_client` makes the client of each connection from its last will.

        Raises `ConfigError` for secrets and certificates that cannot be read.
        """
        self._source = source
        self._bridge = bridge
        self._environment = environment
        self._selector = Selector(source)
        self.host = Host(host_id=source.host_id, reorder_timeout=source.reorder_timeout, wanted=self._selector.wants)
        self._losses = Losses(source.name)
        self._away = recorded_before(bridge.recorder)
        self._make_client = make_client or self._new_client
        self._backoff = Backoff(jitter)
        self._told: str | None = None
        self._waiting: deque[Observation] = deque()
        self._hold_until = float("-inf")
        self.connected = threading.Event()
        """Set while the source is subscribed."""
        if make_client is None:
            self._new_client(None)

    def _new_client(self, will: Publish | None) -> Client:
        broker = self._source.broker
        return MqttSession(
            broker,
            client_id=broker.client_id or default_client_id(self._bridge.issuer, self._source.name),
            filters=self._selector.filters,
            clean=True,
            will=None if will is None else (will.topic, will.payload),
            environment=self._environment,
        )

    def run(self, stopping: threading.Event) -> None:
        """See `Connector`."""
        while not stopping.is_set():
            # Each connection has its own will: its time is that of the STATE birth.
            client = self._make_client(self.host.will(self._bridge.clock()))
            try:
                client.connect()
                self._follow(self.host.connected(self._bridge.clock()), client)
                self.connected.set()
                while not stopping.is_set():
                    self.step(client)
                    self._backoff.succeeded()
                    self._told = None
            except Unreachable as problem:
                self._part(None)
                self._tell_once(problem)
                stopping.wait(min(LONGEST_WAIT, self._backoff.failed()))
            else:
                self._part(client)

    def step(self, client: Client) -> None:
        """One turn: read, let time pass, put on the disk. Raises `Unreachable`."""
        wait = min(IDLE, self.host.due_in(self._bridge.clock()))
        if len(self._waiting) > MAX_WAITING:
            client.serve(wait)
        else:
            for message in client.poll(wait):
                self._receive(message, client)
        self._follow(self.host.tick(self._bridge.clock()), client)
        self._keep()

    def _receive(self, message: Message, client: Client) -> None:
        now = self._bridge.clock()
        try:
            outcome = self.host.receive(message.topic, message.payload, now, retained=message.retained)
        except Malformed as problem:
            self._bridge.reject(self._source.name, f"a message of topic {message.topic!r:.100}", problem)
        else:
            self._follow(outcome, client)
        if message.packet is not None:
            client.acknowledge(message.packet)

    def _follow(self, outcome: Outcome, client: Client | None) -> None:
        if client is not None:
            for message in outcome.publish:
                client.publish(message.topic, message.payload, qos=message.qos, retain=message.retain)
        selection = self._selector.select(outcome.events)
        for what, problem in selection.refused:
            self._bridge.reject(self._source.name, what, problem)
        for subject, time, reason in selection.losses:
            self._losses.note(subject, time, reason)
        self._waiting.extend(selection.observations)
        if self._away:
            for subject in {seen.subject for seen in selection.observations} & self._away:
                self._away.discard(subject)
                self._losses.note(subject, self._bridge.clock(), AWAY)

    def _part(self, client: Client | None) -> None:
        """The connection ended, or is ended: what is missing then is told by the next start."""
        self.connected.clear()
        outcome = self.host.disconnected(self._bridge.clock())
        if client is not None:
            outcome.events = [event for event in outcome.events if not isinstance(event, Lost)]
        self._follow(outcome, None)
        self._keep(all_losses=client is not None)
        if client is not None:
            client.close()

    def _keep(self, *, all_losses: bool = False) -> None:
        """Put on the disk what waits."""
        if self._bridge.monotonic() < self._hold_until and not all_losses:
            return
        try:
            while self._waiting:
                batch = list(islice(self._waiting, TAKE_AT_ONCE))
                arrival = Arrival(Selected(tuple(batch)), identify(b""))
                self._bridge.take(self._source.name, "sparkplug", [arrival])
                for _ in batch:
                    self._waiting.popleft()
            self._losses.tell(self._bridge.recorder, self._bridge.clock(), all=all_losses)
        except Overloaded as problem:
            self._hold(problem, min(problem.retry_after, 5.0))
        except StorageFailed as problem:
            self._hold(problem, 1.0)

    def _hold(self, problem: TwinproofError, seconds: float) -> None:
        self._tell_once(problem)
        self._hold_until = self._bridge.monotonic() + seconds

    def _tell_once(self, problem: TwinproofError) -> None:
        if problem.code != self._told:
            self._told = problem.code
            self._bridge.tell(problem)
