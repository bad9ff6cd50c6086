"""An edge node and its devices, as their messages."""

from __future__ import annotations

from typing import Any

from twinproof.edge.sparkplug.codec import format_payload, parse_payload
from twinproof.edge.sparkplug.datatypes import DataType, format_value
from twinproof.edge.sparkplug.events import Event, Lost, Marked, Rebirth, Sample
from twinproof.edge.sparkplug.messages import Metric, Payload, PropertySet, PropertyValue, Variant
from twinproof.edge.sparkplug.session import Message, NodeSession, make_message
from twinproof.edge.sparkplug.topics import MessageType, Source, Topic, format_topic

START = 1_700_000_000.0
NODE = Source("plant", "edge1")
PRESS = Source("plant", "edge1", "press")

TYPES = {"Speed": DataType.DOUBLE, "Count": DataType.INT32, "On": DataType.BOOLEAN, "Temp": DataType.FLOAT}
ALIASES = {"Speed": 10, "Count": 11, "On": 12, "Temp": 20}


def metric(name: str, value: Any, time: float, *, birth: bool = False, **more: Any) -> Metric:
    """By name and alias in a birth, by alias alone in data."""
    quality = more.pop("quality", None)
    if quality is not None:
        more["properties"] = PropertySet(("Quality",), (PropertyValue(3, value=Variant("int", quality)),))
    given = None if value is None else format_value(value, TYPES[name])
    return Metric(
        name=name if birth else None,
        alias=more.pop("alias", ALIASES[name]),
        timestamp=round(time * 1000),
        datatype=TYPES[name] if birth else None,
        is_null=True if value is None else None,
        value=given,
        **more,
    )


class EdgeNode:
    """Numbers its messages as the specification says."""

    def __init__(self, bd_seq: int = 0) -> None:
        self.bd_seq = bd_seq
        self.seq = 0
        self.time = START

    def _make(self, kind: MessageType, source: Source, metrics: tuple[Metric, ...], seq: int | None) -> Message:
        payload = Payload(round(self.time * 1000), metrics, seq)
        raw = format_payload(payload)
        return make_message(Topic(kind, source), parse_payload(raw), raw)

    def _next(self) -> int:
        self.seq = (self.seq + 1) % 256
        self.time += 0.1
        return self.seq

    def _bd_seq(self) -> Metric:
        return Metric("bdSeq", datatype=DataType.UINT64, value=Variant("long", self.bd_seq))

    def nbirth(self, **values: Any) -> Message:
        self.seq = 0
        self.time += 0.1
        control = Metric("Node Control/Rebirth", datatype=DataType.BOOLEAN, value=Variant("boolean", False))
        metrics = [metric(name, value, self.time, birth=True) for name, value in ({"Speed": 1.0} | values).items()]
        return self._make(MessageType.NBIRTH, NODE, (self._bd_seq(), control, *metrics), 0)

    def ndeath(self, bd_seq: int | None = None) -> Message:
        number = Metric("bdSeq", datatype=8, value=Variant("long", self.bd_seq if bd_seq is None else bd_seq))
        return self._make(MessageType.NDEATH, NODE, (number,), None)

    def reconnect(self) -> None:
        self.bd_seq += 1

    def ndata(self, **values: Any) -> Message:
        seq = self._next()
        metrics = tuple(metric(name, value, self.time) for name, value in values.items())
        return self._make(MessageType.NDATA, NODE, metrics, seq)

    def send(self, kind: MessageType, source: Source, *metrics: Metric, seq: int | None = -1) -> Message:
        number = self._next() if seq == -1 else seq
        return self._make(kind, source, metrics, number)

    def dbirth(self, source: Source = PRESS, **values: Any) -> Message:
        seq = self._next()
        metrics = (metric(name, value, self.time, birth=True) for name, value in ({"Temp": 20.0} | values).items())
        return self._make(MessageType.DBIRTH, source, tuple(metrics), seq)

    def ddata(self, source: Source = PRESS, **values: Any) -> Message:
        seq = self._next()
        metrics = tuple(metric(name, value, self.time) for name, value in values.items())
        return self._make(MessageType.DDATA, source, metrics, seq)

    def ddeath(self, source: Source = PRESS) -> Message:
        return self._make(MessageType.DDEATH, source, (), self._next())


class Seen:
    """A session and all that it said."""

    def __init__(self) -> None:
        self.session = NodeSession(NODE, reorder_timeout=2.0)
        self.now = START
        self.events: list[Event] = []

    def take(self, *messages: Message) -> list[Event]:
        before = len(self.events)
        for message in messages:
            self.now += 0.1
            self.events += self.session.receive(message, self.now)
        return self.events[before:]

    def wait(self, seconds: float) -> list[Event]:
        self.now += seconds
        found = self.session.tick(self.now)
        self.events += found
        return found

    def values(self, name: str | None = None) -> list[Any]:
        return [e.value for e in self.events if isinstance(e, Sample) and name in (None, e.name)]

    @property
    def losses(self) -> list[str]:
        return [f"{e.source}: {e.reason}" for e in self.events if isinstance(e, Lost)]

    @property
    def marks(self) -> list[tuple[str, str | None, str]]:
        return [(str(e.source), e.name, e.quality.value) for e in self.events if isinstance(e, Marked)]

    @property
    def rebirths(self) -> list[str]:
        return [e.reason for e in self.events if isinstance(e, Rebirth)]


def topic_of(message: Message) -> str:
    return format_topic(message.topic.type, message.topic.source)


def raw_of(message: Message) -> bytes:
    return format_payload(message.payload)
