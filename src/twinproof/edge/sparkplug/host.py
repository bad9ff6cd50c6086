"""A Sparkplug host application: sessions of all edge nodes, rebirth requests, its own STATE (Sparkplug 3.0 §5.1).

Pure, as `session` is. What is to be published comes out as `Publish`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from twinproof.edge.sparkplug.codec import format_payload, parse_payload
from twinproof.edge.sparkplug.datatypes import DataType
from twinproof.edge.sparkplug.events import Event, Lost, Rebirth
from twinproof.edge.sparkplug.messages import Metric, Payload, Variant
from twinproof.edge.sparkplug.session import NodeSession, make_message
from twinproof.edge.sparkplug.signals import REBIRTH
from twinproof.edge.sparkplug.topics import (
    MessageType,
    Source,
    State,
    format_state,
    format_topic,
    parse_state,
    parse_topic,
    state_topic,
)
from twinproof.errors import Malformed

REORDER_TIMEOUT: Final = 2.0
"""Seconds that a missing message is waited for."""
MAX_NODES: Final = 10_000
REBIRTH_PACE: Final = 0.05
"""Seconds between requests to different edge nodes: a host that starts must not make all of them born at once."""


class Publish(NamedTuple):
    """A message for the broker."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False


@dataclass(slots=True)
class Outcome:
    """What follows from a message or from time."""

    events: list[Event] = field(default_factory=list)
    """All but `Rebirth`."""
    publish: list[Publish] = field(default_factory=list)


def rebirth_request(source: Source, now: float) -> Publish:
    """The command that asks an edge node for its births (§5.9)."""
    stamp = round(now * 1000)
    metric = Metric(REBIRTH, timestamp=stamp, datatype=DataType.BOOLEAN, value=Variant("boolean", True))
    return Publish(format_topic(MessageType.NCMD, source), format_payload(Payload(stamp, (metric,))))


class Host:
    """`host_id` makes it a primary host application, which says in STATE messages whether it is online.

    `wanted` tells which edge nodes are of interest; messages of others are passed over.
    """

    def __init__(
        self,
        *,
        host_id: str | None = None,
        reorder_timeout: float = REORDER_TIMEOUT,
        wanted: Callable[[Source], bool] = lambda node: True,
        max_nodes: int = MAX_NODES,
    ) -> None:
        self._host_id = host_id
        self._reorder_timeout = reorder_timeout
        self._wanted = wanted
        self._max_nodes = max_nodes
        self._nodes: dict[Source, NodeSession] = {}
        self._state: State | None = None
        """What we say of ourselves while connected."""
        self._requests: deque[Source] = deque()
        self._asked_at = float("-inf")

    @property
    def nodes(self) -> Iterable[NodeSession]:
        """The sessions of all edge nodes that were heard of."""
        return self._nodes.values()

    # --- the connection ---

    def will(self, now: float) -> Publish | None:
        """The last will of a connection that is about to be opened; its birth will carry the same time."""
        if self._host_id is None:
            return None
        self._state = State(False, round(now * 1000))
        return self._publish_state()

    def connected(self, now: float) -> Outcome:
        """The connection stands and the subscriptions are made: say so, and ask known nodes for their births."""
        outcome = Outcome()
        if self._host_id is not None:
            self._state = State(True, self._state.timestamp if self._state else round(now * 1000))
            outcome.publish.append(self._publish_state())
        for node in self._nodes.values():
            node.want_birth("the connection to the broker was lost")
        return self._finish(outcome, [], now)

    def disconnected(self, now: float) -> Outcome:
        """The connection is gone: everything is stale."""
        if self._state is not None:
            self._state = State(False, self._state.timestamp)
        self._requests.clear()
        return Outcome([event for node in self._nodes.values() for event in node.cut_off(now)])

    def goodbye(self, now: float) -> Publish | None:
        """What to publish before a connection is closed on purpose."""
        if self._host_id is None:
            return None
        self._state = State(False, round(now * 1000))
        return self._publish_state()

    def _publish_state(self) -> Publish:
        assert self._host_id is not None  # noqa: S101 - callers looked
        assert self._state is not None  # noqa: S101 - callers set it
        return Publish(state_topic(self._host_id), format_state(self._state), 1, True)

    # --- messages and time ---

    def receive(self, topic: str, data: bytes, now: float, *, retained: bool = False) -> Outcome:
        """Take a message; raises `Malformed` for a topic or a STATE that is none."""
        if self._host_id is not None and topic == state_topic(self._host_id):
            return self._take_state(data)
        where = parse_topic(topic)
        node = where.source._replace(device=None)
        # Births and deaths are never retained (§4.2): what a broker kept is older than its session.
        if where.type in (MessageType.NCMD, MessageType.DCMD) or retained or not self._wanted(node):
            return Outcome()
        session = self._nodes.get(node)
        if session is None:
            if len(self._nodes) >= self._max_nodes:
                return Outcome([Lost(where.source, now, f"more than {self._max_nodes} edge nodes")])
            session = self._nodes[node] = NodeSession(node, reorder_timeout=self._reorder_timeout)
        try:
            payload = parse_payload(data)
        except Malformed as problem:
            return self._finish(Outcome(), session.refuse(where.source, f"{where.type}: {problem}", now), now)
        return self._finish(Outcome(), session.receive(make_message(where, payload, data), now), now)

    def tick(self, now: float) -> Outcome:
        """What follows from the passing of time; call it when `due_in` says so."""
        events = [event for node in self._nodes.values() if node.due_in(now) <= 0 for event in node.tick(now)]
        return self._finish(Outcome(), events, now)

    def due_in(self, now: float) -> float:
        """Seconds until `tick` has something to do; infinite if nothing is awaited."""
        times = [node.due_in(now) for node in self._nodes.values()]
        if self._requests:
            times.append(self._asked_at + REBIRTH_PACE - now)
        return max(0.0, min(times, default=float("inf")))

    def _take_state(self, data: bytes) -> Outcome:
        state = parse_state(data)
        # The will of an earlier connection of ours may come after the birth of this one (§5.10).
        if self._state is not None and self._state.online and not state.online:
            return Outcome(publish=[self._publish_state()])
        return Outcome()

    def _finish(self, outcome: Outcome, events: Iterable[Event], now: float) -> Outcome:
        for event in events:
            if isinstance(event, Rebirth):
                self._requests.append(event.source)
            else:
                outcome.events.append(event)
        if self._requests and now - self._asked_at >= REBIRTH_PACE:
            self._asked_at = now
            outcome.publish.append(rebirth_request(self._requests.popleft(), now))
        return outcome
