"""The OPC UA connector: subscriptions to one server's nodes, whose changes are recorded. See docs/opcua.md.

    server ──publish──▶ waiting (memory, bounded) ──take──▶ outbox (disk) ──▶ log

Each node of the mapping is a monitored item of one subscription (OPC 10000-4 §5.13, §5.14). Times are the source's.
What a server or a broken connection swallowed is said to be missing: overflow bits, sequence numbers that the server
cannot send again, every connection that ended.
"""

from __future__ import annotations

import asyncio
import os
import random
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from asyncua import ua
from asyncua.client.client import Client
from asyncua.crypto import security_policies
from asyncua.ua.uaerrors import UaError

from twinproof.edge.backoff import Backoff
from twinproof.edge.bridge import Arrival, Bridge, identify
from twinproof.edge.monitored import Change, Item, make_items, read_change
from twinproof.edge.quality import AWAY, Losses, Qualities, Quality, moment, recorded_before
from twinproof.edge.selection import Observation, Selected, convert_value, observe
from twinproof.edge.sources import OpcuaSecurity, OpcuaSource
from twinproof.errors import ConfigError, Malformed, Overloaded, StorageFailed, TwinproofError, Unreachable

ITEMS_AT_ONCE: Final = 200
"""Monitored items of one request."""
TAKE_AT_ONCE: Final = 256
MAX_WAITING: Final = 100_000
"""Observations that wait in memory for room in the outbox; what comes then is lost, and said to be."""
REQUEST_TIMEOUT: Final = 10.0
"""Seconds for each answer of the server."""
KEEP_ALIVE: Final = 10.0
"""Seconds after which the server speaks though nothing changed; three times that without a word is an end."""
RETRY_ITEMS: Final = 60.0
"""Seconds after which nodes that the server refused are tried again."""
TURN: Final = 0.02
"""Seconds between two looks at what came."""
LONGEST_WAIT: Final = 30.0
"""Seconds between two attempts to reach the server."""

_jitter: Final = random.SystemRandom().random
_ENDS: Final = (OSError, asyncio.TimeoutError, UaError, EOFError)
"""What a broken connection makes asyncua raise."""
_MODES: Final = {
    OpcuaSecurity.SIGN: ua.MessageSecurityMode.Sign,
    OpcuaSecurity.SIGN_AND_ENCRYPT: ua.MessageSecurityMode.SignAndEncrypt,
}


class OpcuaConnector:
    """See `edge.bridge.Connector`."""

    def __init__(
        self,
        source: OpcuaSource,
        bridge: Bridge,
        *,
        environment: Mapping[str, str] = os.environ,
        jitter: Callable[[], float] = _jitter,
    ) -> None:
        """Raises `ConfigError` for a node id that is none, a secret that cannot be read, missing certificates."""
        self._source = source
        self._bridge = bridge
        self._password = source.password.read(environment) if source.password else None
        if source.security is not OpcuaSecurity.NONE:
            for name in ("cert", "key", "server_cert"):
                if getattr(source, name) is None:
                    raise ConfigError(
                        f"opcua {source.name!r}: {name} is missing, which security {source.security} needs"
                    )
        self.items = make_items(source)
        self._subjects = list(dict.fromkeys(item.subject for item in self.items.values()))
        self._backoff = Backoff(jitter)
        self._told: str | None = None
        self._losses = Losses(source.name)
        self._away = recorded_before(bridge.recorder) & set(self._subjects)
        self._qualities = Qualities()
        self._waiting: deque[Observation] = deque()
        self._hold_until = float("-inf")
        self._lost_at: float | None = None
        """When the connection ended, until there is a new one."""
        self._heard_at = 0.0
        self._expected = 1
        """The next sequence number of the subscription."""
        self._end: asyncio.Event
        self.connected = threading.Event()
        """Set while the nodes are subscribed."""

    def run(self, stopping: threading.Event) -> None:
        """See `Connector`."""
        asyncio.run(self._run(stopping))

    async def _run(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            try:
                await self._connection(stopping)
            except _ENDS as problem:
                words = str(problem) or type(problem).__name__
                self._tell_once(Unreachable(f"OPC UA server {self._source.url}: {words}"))
            if self.connected.is_set():
                self.connected.clear()
                self._part()
            await self._keep(all_losses=stopping.is_set())
            if not stopping.is_set():
                await asyncio.to_thread(stopping.wait, min(LONGEST_WAIT, self._backoff.failed()))

    # --- a connection ---

    async def _connection(self, stopping: threading.Event) -> None:
        self._end = asyncio.Event()
        client = await self._new_client()
        await client.connect()
        try:
            subscription = await self._subscribe(client)
            refused = await self._monitor(client, subscription, list(self.items))
            self._arrive()
            retry_at = self._bridge.monotonic() + RETRY_ITEMS
            while not stopping.is_set() and not self._end.is_set():
                await asyncio.sleep(TURN)
                now = self._bridge.monotonic()
                if now - self._heard_at > 3 * KEEP_ALIVE:
                    raise Unreachable(f"OPC UA server {self._source.url}: silent for {3 * KEEP_ALIVE:.0f} s")
                if refused and now >= retry_at:
                    refused, retry_at = await self._monitor(client, subscription, refused), now + RETRY_ITEMS
                await self._keep()
            if self._end.is_set():
                raise Unreachable(f"OPC UA server {self._source.url}: the connection or the subscription ended")
        except Unreachable as problem:
            self._tell_once(problem)
        finally:
            with suppress(*_ENDS):
                await asyncio.wait_for(client.disconnect(), REQUEST_TIMEOUT)

    async def _new_client(self) -> Client:
        source = self._source
        client = Client(source.url, timeout=REQUEST_TIMEOUT, watchdog_intervall=KEEP_ALIVE)
        client.name = client.description = "Twinproof gateway"
        client.application_uri = source.application_uri or self._bridge.issuer
        client.connection_lost_callback = self._on_lost
        if source.security is not OpcuaSecurity.NONE:
            policy = getattr(security_policies, f"SecurityPolicy{source.policy}")
            try:
                await client.set_security(
                    policy,
                    str(source.cert),
                    str(source.key),
                    server_certificate=str(source.server_cert),
                    mode=_MODES[source.security],
                )
            except (OSError, ValueError, TypeError) as problem:
                raise ConfigError(f"opcua {source.name!r}: certificate or key cannot be read: {problem}") from None
        if source.username is not None:
            client.set_user(source.username)
        if self._password is not None:
            client.set_password(self._password)
        return client

    async def _on_lost(self, _problem: Exception) -> None:
        self._end.set()

    async def _subscribe(self, client: Client) -> int:
        interval = self._source.publishing_interval
        parameters = ua.CreateSubscriptionParameters()
        parameters.RequestedPublishingInterval = interval
        keep_alive = max(1, round(KEEP_ALIVE * 1000 / interval))
        parameters.RequestedMaxKeepAliveCount = keep_alive
        parameters.RequestedLifetimeCount = 6 * keep_alive
        parameters.MaxNotificationsPerPublish = 10_000
        parameters.PublishingEnabled = True
        self._expected = 1
        self._heard_at = self._bridge.monotonic()

        async def publish(result: ua.PublishResult) -> None:
            await self._published(client, result)

        result = await client.uaclient.create_subscription(parameters, publish)
        return int(result.SubscriptionId)

    async def _monitor(self, client: Client, subscription: int, handles: Sequence[int]) -> list[int]:
        """Create the items; gives those that the server refused."""
        refused: list[int] = []
        for first in range(0, len(handles), ITEMS_AT_ONCE):
            some = handles[first : first + ITEMS_AT_ONCE]
            parameters = ua.CreateMonitoredItemsParameters()
            parameters.SubscriptionId = subscription
            parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
            parameters.ItemsToCreate = [self.items[handle].request(self._source) for handle in some]
            results = await client.uaclient.create_monitored_items(parameters)
            for handle, result in zip(some, results, strict=True):
                if not result.StatusCode.is_good():
                    refused.append(handle)
                    item = self.items[handle]
                    problem = Malformed(item.name, f"the server refuses {item.node}: {result.StatusCode.name}")
                    self._bridge.reject(self._source.name, f"a node of {item.subject}", problem)
                    self._say(item, Quality.BAD, self._bridge.clock())
        return refused

    def _arrive(self) -> None:
        """The connection stands; what changed while there was none is missing."""
        now = self._bridge.clock()
        if self._lost_at is not None:
            words = f"not connected from {moment(self._lost_at)}; changes since then are missing"
            for subject in self._subjects:
                self._losses.note(subject, now, words)
            self._lost_at = None
        for subject in self._away:
            self._losses.note(subject, now, AWAY)
        self._away = set()
        self._backoff.succeeded()
        self._told = None
        self.connected.set()

    def _part(self) -> None:
        now = self._bridge.clock()
        self._lost_at = now
        for item in self.items.values():
            self._say(item, Quality.STALE, now)

    # --- notifications ---

    async def _published(self, client: Client, result: ua.PublishResult) -> None:
        self._heard_at = self._bridge.monotonic()
        message = result.NotificationMessage
        number = int(message.SequenceNumber)
        # A keep-alive carries the number of the next message (OPC 10000-4 §7.26).
        while self._expected < number:
            await self._fetch(client, int(result.SubscriptionId), self._expected)
            self._expected += 1
        if message.NotificationData:
            self._expected = number + 1
            self._notified(message)

    async def _fetch(self, client: Client, subscription: int, number: int) -> None:
        """Ask again for a message that did not come."""
        try:
            self._notified(await client.uaclient.session.republish(subscription, number))
        except _ENDS as problem:
            for subject in self._subjects:
                words = f"message {number} of the server is missing ({str(problem) or type(problem).__name__})"
                self._losses.note(subject, self._bridge.clock(), words)

    def _notified(self, message: ua.NotificationMessage) -> None:
        for notification in message.NotificationData or ():
            if isinstance(notification, ua.DataChangeNotification):
                for changed in notification.MonitoredItems:
                    item = self.items.get(int(changed.ClientHandle))
                    if item is not None:
                        self._changed(item, changed.Value)
            elif isinstance(notification, ua.StatusChangeNotification):
                self._end.set()

    def _changed(self, item: Item, data: Any) -> None:
        now = self._bridge.clock()
        change = read_change(data, now)
        if change.overflow:
            self._losses.note(item.subject, now, f"{item.name}: the server's queue ran over")
        if item.last == (change.time, change.value, change.quality):
            return  # the server says again, after a reconnection, what it said before
        item.last = (change.time, change.value, change.quality)
        quality = change.quality
        if change.value is not None:
            quality = self._record(item, change)
        self._say(item, quality, change.time)

    def _record(self, item: Item, change: Change) -> Quality:
        units = {} if item.signal.unit is None else {item.name: item.signal.unit}
        try:
            value = convert_value(item.signal, change.value, item.name)
            self._wait(item.subject, observe(item.subject, {item.name: value}, units, change.time))
        except Malformed as problem:
            self._bridge.reject(self._source.name, f"a value of {item.node}", problem)
            return Quality.BAD
        return change.quality

    def _say(self, item: Item, quality: Quality, time: float) -> None:
        name = item.quality
        if name is not None and self._qualities.changes(item.subject, name, quality):
            try:
                self._wait(item.subject, observe(item.subject, {name: quality.value}, {}, time))
            except Malformed as problem:
                self._bridge.reject(self._source.name, f"the quality of {item.node}", problem)

    # --- to the disk ---

    def _wait(self, subject: str, seen: Observation) -> None:
        if len(self._waiting) >= MAX_WAITING:
            self._losses.note(subject, self._bridge.clock(), "the gateway's queue ran over; its outbox takes nothing")
        else:
            self._waiting.append(seen)

    async def _keep(self, *, all_losses: bool = False) -> None:
        if self._bridge.monotonic() < self._hold_until and not all_losses:
            return
        while self._waiting or all_losses or self._losses.due_in(self._bridge.clock()) <= 0:
            batch = [self._waiting.popleft() for _ in range(min(TAKE_AT_ONCE, len(self._waiting)))]
            # The disk is waited for elsewhere, so that the server's messages are still taken meanwhile.
            stored, problem = await asyncio.to_thread(self._store, tuple(batch), all_losses and not self._waiting)
            if not stored:
                self._waiting.extendleft(reversed(batch))
            if problem is not None:
                self._tell_once(problem)
                wait = min(problem.retry_after, 5.0) if isinstance(problem, Overloaded) else 1.0
                self._hold_until = self._bridge.monotonic() + wait
                return
            all_losses = all_losses and bool(self._waiting)

    def _store(self, batch: tuple[Observation, ...], all_losses: bool) -> tuple[bool, TwinproofError | None]:
        """Whether the batch is on the disk, and what went wrong."""
        stored = False
        try:
            if batch:
                self._bridge.take(self._source.name, "opcua", [Arrival(Selected(batch), identify(b""))])
            stored = True
            self._losses.tell(self._bridge.recorder, self._bridge.clock(), all=all_losses)
        except (Overloaded, StorageFailed) as problem:
            return stored, problem
        return stored, None

    def _tell_once(self, problem: TwinproofError) -> None:
        if problem.code != self._told:
            self._told = problem.code
            self._bridge.tell(problem)
