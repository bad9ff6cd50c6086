"""Topics of Sparkplug 3.0 (§4.1), and the STATE messages of a host application (§4.2.4).

spBv1.0/GROUP/NBIRTH/NODE                spBv1.0/GROUP/DDATA/NODE/DEVICE
spBv1.0/STATE/HOST      {"online": true, "timestamp": 1700000000000}
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Final, NamedTuple

from twinproof.errors import Malformed

NAMESPACE: Final = "spBv1.0"
MAX_STATE: Final = 1024
"""Bytes of a STATE message."""


class MessageType(StrEnum):
    """What an edge node or a host says."""

    NBIRTH = "NBIRTH"
    NDEATH = "NDEATH"
    NDATA = "NDATA"
    NCMD = "NCMD"
    DBIRTH = "DBIRTH"
    DDEATH = "DDEATH"
    DDATA = "DDATA"
    DCMD = "DCMD"


class Source(NamedTuple):
    """Who measures: an edge node, or one of its devices."""

    group: str
    node: str
    device: str | None = None

    def __str__(self) -> str:
        return "/".join(part for part in self if part is not None)


class Topic(NamedTuple):
    """What a topic says about its message."""

    type: MessageType
    source: Source


def check_id(value: str, field: str) -> str:
    """Refuse what cannot be a group, edge node, device or host identifier; raises `Malformed`."""
    if not value or any(character in "+#/\0" for character in value):
        raise Malformed(field, f"{value!r} is empty or holds one of + # /")
    return value


def parse_topic(topic: str) -> Topic:
    """Read the topic of an edge node's message or of a command; raises `Malformed`."""
    parts = topic.split("/")
    if len(parts) not in (4, 5) or parts[0] != NAMESPACE or parts[2] not in MessageType.__members__:
        raise Malformed("topic", f"{topic!r} is none of an edge node")
    kind = MessageType(parts[2])
    if (len(parts) == 5) != kind.startswith("D"):
        raise Malformed("topic", f"{topic!r}: a device stands in D… topics and only there")
    source = Source(*(check_id(part, "topic") for part in (parts[1], *parts[3:])))
    return Topic(kind, source)


def format_topic(kind: MessageType, source: Source) -> str:
    """The topic of a message."""
    return "/".join((NAMESPACE, source.group, kind, *(part for part in source[1:] if part is not None)))


def state_topic(host: str) -> str:
    """Where a host application says whether it is online."""
    return f"{NAMESPACE}/STATE/{check_id(host, 'host')}"


class State(NamedTuple):
    """Whether a host application is online; its will carries the timestamp of its birth."""

    online: bool
    timestamp: int
    """Milliseconds since 1970."""


def format_state(state: State) -> bytes:
    """The payload of a STATE message."""
    return json.dumps({"online": state.online, "timestamp": state.timestamp}, separators=(",", ":")).encode()


def parse_state(payload: bytes) -> State:
    """Read a STATE message; raises `Malformed`."""
    if len(payload) > MAX_STATE:
        raise Malformed("STATE", f"{len(payload)} bytes; at most {MAX_STATE}")
    try:
        value = json.loads(payload)
    except (ValueError, RecursionError):
        raise Malformed("STATE", "is not JSON") from None
    if type(value) is not dict or type(value.get("online")) is not bool or type(value.get("timestamp")) is not int:
        raise Malformed("STATE", "is not an object of online and timestamp")
    return State(value["online"], value["timestamp"])
