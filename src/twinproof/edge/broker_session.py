"""What a broker remembers: sessions with their queues, retained messages, who waits for room.

A message of QoS 1 or 2 goes to all sessions that want it, or, while one of them has no room, to none: `Hub.route` says
so, its publisher waits without an acknowledgement, and `Hub.release` lets it try again when room has come up. So what
is acknowledged is in every queue, and no queue grows beyond its limit, but by retained messages of new subscriptions.
Nothing here waits or does I/O; everything belongs to the thread of one event loop.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from twinproof.edge.broker_packets import FOR_EVER, QUOTA, TAKEN_OVER, Connect, Message, Subscription, Violation
from twinproof.edge.selection import MAX_PAYLOAD

MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """What a broker keeps in memory, at most."""

    packet: int = MAX_PAYLOAD + 128 * 1024
    """Bytes of one packet."""
    sessions: int = 100
    """Connected or kept; twice as many connections."""
    subscriptions: int = 1000
    """Of one session."""
    queue_messages: int = 10_000
    """Of one session, unacknowledged ones among them."""
    queue_bytes: int = 16 * MIB
    """Of one session; one message may go beyond."""
    retained_messages: int = 1000
    retained_bytes: int = 16 * MIB
    held_messages: int = 100
    """That one connection has published and that wait for room; no more is read from it then. Receive Maximum."""
    held_bytes: int = 4 * MIB


class Client(Protocol):
    """A connection, as sessions see it."""

    def wake(self) -> None:
        """There is something to send."""

    def release(self) -> None:
        """There may be room for what it has published."""

    def kick(self, answer: int) -> None:
        """End the connection, with this reason code if it speaks MQTT 5."""


@dataclass(slots=True)
class Delivery:
    """A message on its way to one session."""

    message: Message
    qos: int
    retain: bool
    kept: bool = False
    """Whether it is a copy of a retained message for a new subscription."""
    packet_id: int = 0
    again: bool = False
    """Flag DUP."""


class Session:
    """Of one client identifier (MQTT 5 §4.1)."""

    def __init__(self, name: str, limits: Limits) -> None:
        self.name = name
        self.subscriptions: dict[str, Subscription] = {}
        self.received: set[int] = set()
        """Packet identifiers of QoS 2 messages that were handed on and not released (§4.3.3)."""
        self.client: Client | None = None
        self.expiry = 0
        self.will: Message | None = None
        self.will_delay = 0
        self.timers: list[Any] = []
        self._limits = limits
        self._queue: deque[Delivery] = deque()
        self._sent: dict[int, Delivery] = {}
        self._kept: dict[str, Delivery] = {}
        """Topic → copy of a retained message that is not sent yet."""
        self._bytes = 0
        self._last_id = 0

    @property
    def full(self) -> bool:
        """Whether there is no room for another message."""
        waiting = len(self._queue) + len(self._sent)
        return waiting >= self._limits.queue_messages or self._bytes >= self._limits.queue_bytes

    def granted(self, message: Message, *, own: bool) -> tuple[int, bool] | None:
        """(QoS, RETAIN) with which this session gets a message, once even if many subscriptions match (§3.3.4)."""
        found = [
            each
            for each in self.subscriptions.values()
            if not (own and each.no_local) and each.pattern.match(message.topic) is not None
        ]
        if not found:
            return None
        retain = message.retain and any(each.as_published for each in found)
        return min(message.qos, max(each.qos for each in found)), retain

    def add(self, delivery: Delivery) -> None:
        """Queue a message."""
        self._queue.append(delivery)
        self._bytes += delivery.message.size

    def add_kept(self, message: Message, qos: int) -> None:
        """Queue a retained message; one of the same topic that still waits becomes this one, so they stay bounded."""
        waiting = self._kept.get(message.topic)
        if waiting is not None:
            self._bytes += message.size - waiting.message.size
            waiting.message, waiting.qos = message, max(qos, waiting.qos)
            return
        if len(self._kept) >= self._limits.retained_messages:
            raise Violation("SUBSCRIBE", "too many retained messages wait for this client already", QUOTA)
        self._kept[message.topic] = Delivery(message, qos, True, kept=True)
        self.add(self._kept[message.topic])

    def resume(self) -> None:
        """A new connection: what was sent and not acknowledged is sent again, first and in its order (§4.4)."""
        for delivery in self._sent.values():
            delivery.again = True
        self._queue.extendleft(reversed(self._sent.values()))
        self._sent.clear()

    def next(self, window: int, now: float) -> Delivery | None:
        """What is to be sent, while fewer than `window` messages are unacknowledged."""
        while self._queue:
            delivery = self._queue[0]
            if delivery.qos and len(self._sent) >= window:
                return None
            self._queue.popleft()
            if delivery.kept and not delivery.again:
                del self._kept[delivery.message.topic]
            expires = delivery.message.expires
            if expires is not None and expires <= now and not delivery.again:
                self._bytes -= delivery.message.size
                continue
            if delivery.qos:
                delivery.packet_id = delivery.packet_id or self._new_id()
                self._sent[delivery.packet_id] = delivery
            else:
                self._bytes -= delivery.message.size
            return delivery
        return None

    def _new_id(self) -> int:
        # What is sent again keeps its identifier and comes first, so all that are in use are in `_sent`.
        while True:
            self._last_id = self._last_id % 0xFFFF + 1
            if self._last_id not in self._sent:
                return self._last_id

    def acknowledge(self, packet_id: int) -> None:
        """PUBACK; for what is not unacknowledged it means nothing."""
        delivery = self._sent.pop(packet_id, None)
        if delivery is not None:
            self._bytes -= delivery.message.size


class Hub:
    """All sessions and retained messages."""

    def __init__(
        self,
        limits: Limits,
        monotonic: Callable[[], float],
        later: Callable[[float, Callable[[Session], None], Session], Any],
        tell: Callable[[Violation], None],
    ) -> None:
        """`later` calls a function with its argument after so many seconds, and returns what can be cancelled."""
        self.limits = limits
        self.monotonic = monotonic
        self.tell = tell
        self.waiting: dict[Client, None] = {}
        """Connections whose publications wait for room."""
        self._later = later
        self._sessions: dict[str, Session] = {}
        self._retained: dict[str, Message] = {}
        self._retained_bytes = 0

    # --- sessions ---

    def attach(self, client: Client, wanted: Connect) -> tuple[Session, bool]:
        """(the client's session, whether it was there); takes it over from another connection (§3.1.4)."""
        session = self._sessions.get(wanted.client_id)
        if session is not None and session.client is not None:
            session.client.kick(TAKEN_OVER)
            self.detach(session.client, session)
        session = self._sessions.get(wanted.client_id)
        if session is not None and wanted.clean:
            self._forget(session)
            session = None
        present = session is not None
        if session is None:
            if len(self._sessions) >= self.limits.sessions:
                raise Violation("CONNECT", f"there are {self.limits.sessions} sessions already", QUOTA)
            session = self._sessions[wanted.client_id] = Session(wanted.client_id, self.limits)
        self._cancel(session)
        session.client, session.expiry = client, wanted.expiry
        session.will, session.will_delay = wanted.will, wanted.will_delay
        session.resume()
        return session, present

    def detach(self, client: Client, session: Session) -> None:
        """The connection has ended: its will is published and its session kept, each as was asked for."""
        self.waiting.pop(client, None)
        if session.client is not client:
            return
        session.client = None
        if not session.expiry:
            self._forget(session)
            return
        if session.will is not None and session.will_delay:
            session.timers.append(self._later(session.will_delay, self._publish_will, session))
        else:
            self._publish_will(session)
        if session.expiry != FOR_EVER:
            session.timers.append(self._later(session.expiry, self._forget, session))

    def _forget(self, session: Session) -> None:
        self._cancel(session)
        del self._sessions[session.name]
        # A will that waits is due when its session ends (§3.1.3.2.2).
        self._publish_will(session)
        self.release()

    def _cancel(self, session: Session) -> None:
        for timer in session.timers:
            timer.cancel()
        session.timers.clear()

    def _publish_will(self, session: Session) -> None:
        will, session.will = session.will, None
        if will is not None:
            try:
                self.route(self.stamp(will), session, patient=False)
            except Violation as problem:
                self.tell(problem)

    # --- messages ---

    def stamp(self, message: Message) -> Message:
        """The message as it came in now."""
        if message.lifetime is None:
            return message
        return replace(message, expires=self.monotonic() + message.lifetime)

    def route(self, message: Message, sender: Session, *, patient: bool = True) -> bool:
        """Queue and retain a message as wanted; False, with nothing done, while a session has no room for it.

        Sessions without room go without messages of QoS 0, and without impatient ones. Raises `Violation` if there
        are too many retained messages.
        """
        found = []
        for session in self._sessions.values():
            granted = session.granted(message, own=session is sender)
            if granted is None or (not granted[0] and session.client is None):
                continue
            if not session.full:
                found.append((session, Delivery(message, *granted)))
            elif granted[0] and patient:
                return False
        if message.retain:
            self._retain(message)
        for session, delivery in found:
            session.add(delivery)
            if session.client is not None:
                session.client.wake()
        return True

    def release(self) -> None:
        """Somewhere there may be room."""
        for client in list(self.waiting):
            client.release()

    def _retain(self, message: Message) -> None:
        """The last message of a topic is kept, an empty one ends that (§3.3.1.3)."""
        old = self._retained.get(message.topic)
        size = self._retained_bytes - (old.size if old else 0) + (message.size if message.payload else 0)
        count = len(self._retained) + (old is None)
        if message.payload and (count > self.limits.retained_messages or size > self.limits.retained_bytes):
            raise Violation("PUBLISH", f"{message.topic!r:.60}: there is no room for another retained message", QUOTA)
        self._retained.pop(message.topic, None)
        if message.payload:
            self._retained[message.topic] = message
        self._retained_bytes = size

    def retained(self, wanted: list[Subscription]) -> Iterator[tuple[Message, int]]:
        """(retained message, QoS) that new subscriptions are to get, each once."""
        now = self.monotonic()
        for message in list(self._retained.values()):
            if message.expires is not None and message.expires <= now:
                del self._retained[message.topic]
                self._retained_bytes -= message.size
                continue
            found = [each.qos for each in wanted if each.pattern.match(message.topic) is not None]
            if found:
                yield message, min(message.qos, max(found))
