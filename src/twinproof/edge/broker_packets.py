"""Control packets of MQTT 3.1.1 and MQTT 5 (OASIS standards), as a broker reads and writes them.

    type and flags (1 byte), remaining length (1 to 4 bytes), then what the type says

Reading is strict: flags, lengths, text, topics and properties are as the standard has them and nothing is left over,
or `Violation` is raised. Sections are those of MQTT 5; most of them apply to 3.1.1 alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple, NoReturn

from twinproof.edge.patterns import Pattern
from twinproof.errors import Malformed

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = range(1, 8)
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT = range(8, 15)
V311: Final = 4
V5: Final = 5
FOR_EVER: Final = 0xFFFF_FFFF
"""Session Expiry Interval of a session that does not expire (§3.1.2.11.2)."""

# Reason codes (§2.4). 3.1.1 has none: there the connection is closed.
WITH_WILL, MALFORMED, PROTOCOL_ERROR, WRONG_VERSION, BAD_CLIENT_ID = 0x04, 0x81, 0x82, 0x84, 0x85
SHUTTING_DOWN, BAD_METHOD, TIMED_OUT, TAKEN_OVER = 0x8B, 0x8C, 0x8D, 0x8E
NO_ALIAS, TOO_LARGE, QUOTA, NO_SHARED, NO_IDENTIFIERS = 0x94, 0x95, 0x97, 0x9E, 0xA1
_CODES_311: Final = {WRONG_VERSION: 1, BAD_CLIENT_ID: 2}
"""The rest is 3, server unavailable (3.1.1 §3.2.2.3)."""

# Properties (§2.2.2.2) by name where the broker heeds them, and the form of all that a client may send.
EXPIRY, SUBSCRIPTION_ID, SESSION_EXPIRY, METHOD, WILL_DELAY = 0x02, 0x0B, 0x11, 0x15, 0x18
RESPONSE_TOPIC, RECEIVE_MAXIMUM, ALIAS, USER, MAX_PACKET = 0x08, 0x21, 0x23, 0x26, 0x27
_FORMS: Final = {
    **dict.fromkeys((0x01, 0x17, 0x19), "flag"),
    **dict.fromkeys((RECEIVE_MAXIMUM, 0x22, ALIAS), "short"),
    **dict.fromkeys((EXPIRY, SESSION_EXPIRY, WILL_DELAY, MAX_PACKET), "long"),
    **dict.fromkeys((0x03, RESPONSE_TOPIC, METHOD, 0x1F), "text"),
    **dict.fromkeys((0x09, 0x16), "binary"),
    SUBSCRIPTION_ID: "length",
    USER: "pair",
}
_OF_MESSAGE: Final = frozenset((0x01, EXPIRY, 0x03, RESPONSE_TOPIC, 0x09, USER))
_HANDED_ON: Final = _OF_MESSAGE - {EXPIRY}
"""What subscribers get as the publisher sent it (§3.3.2.3)."""
_NOT_ZERO: Final = frozenset((SUBSCRIPTION_ID, RECEIVE_MAXIMUM, ALIAS, MAX_PACKET))
_OF_ANSWER: Final = frozenset((0x1F, USER))
_OF_CONNECT: Final = frozenset((SESSION_EXPIRY, METHOD, 0x16, 0x17, 0x19, RECEIVE_MAXIMUM, 0x22, USER, MAX_PACKET))


class Violation(Malformed):
    """A client breaks the protocol or a limit: its connection ends, with `answer` if it speaks MQTT 5."""

    def __init__(self, field: str, reason: str, answer: int = MALFORMED) -> None:
        super().__init__(field, reason)
        self.answer = answer


@dataclass(frozen=True, slots=True)
class Message:
    """An application message; shared by all who are to get it."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    properties: bytes = b""
    """Of MQTT 5, encoded, without the expiry interval."""
    lifetime: int | None = None
    """Seconds from its publication: the expiry interval."""
    expires: float | None = None
    """On the broker's clock, once it is published."""

    @property
    def size(self) -> int:
        """Bytes, about, with what Python adds."""
        return len(self.payload) + len(self.properties) + 2 * len(self.topic) + 200


class Connect(NamedTuple):
    """A request to connect (§3.1)."""

    version: int
    client_id: str = ""
    clean: bool = True
    keepalive: int = 0
    """Seconds; 0: for ever."""
    expiry: int = 0
    """Seconds that the session outlives the connection; `FOR_EVER`."""
    window: int | None = None
    """Receive Maximum."""
    max_packet: int | None = None
    """Bytes."""
    will: Message | None = None
    will_delay: int = 0
    refusal: int = 0
    """A reason code, if this broker cannot grant it."""


class Subscription(NamedTuple):
    """What a session wants (§3.8.3.1)."""

    pattern: Pattern
    qos: int
    no_local: bool
    as_published: bool
    handling: int
    """Retain Handling."""


class Body:
    """The bytes of a packet, read from the front; every method raises `Violation`."""

    def __init__(self, what: str, data: bytes) -> None:
        self._what = what
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        """Bytes not read."""
        return len(self._data) - self._at

    def fail(self, reason: str, answer: int = MALFORMED) -> NoReturn:
        """Raise the error."""
        raise Violation(self._what, reason, answer)

    def take(self, size: int) -> bytes:
        """The next bytes."""
        if size > self.left:
            self.fail("is cut short")
        self._at += size
        return self._data[self._at - size : self._at]

    def number(self, size: int) -> int:
        """Of 1, 2 or 4 bytes."""
        return int.from_bytes(self.take(size))

    def packet_id(self) -> int:
        """Not zero (§2.2.1)."""
        return self.number(2) or self.fail("has the packet identifier 0", PROTOCOL_ERROR)

    def length(self) -> int:
        """A variable byte integer in its shortest form (§1.5.5)."""
        value = 0
        for shift in (0, 7, 14, 21):
            byte = self.number(1)
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value if byte or not shift else self.fail("has a length in a longer form than it needs")
        return self.fail("has a length of more than four bytes")

    def binary(self) -> bytes:
        """Bytes after their length."""
        return self.take(self.number(2))

    def text(self) -> str:
        """UTF-8 without surrogates and U+0000 (§1.5.4)."""
        try:
            found = self.binary().decode()
        except UnicodeDecodeError:
            self.fail("holds text that is not UTF-8")
        return found if "\0" not in found else self.fail("holds text with U+0000")

    def topic(self) -> str:
        """A topic name: not empty, without wildcards (§4.7.1, §4.7.3)."""
        found = self.text()
        return self.fail(f"{found!r:.60} is no topic") if not found or "+" in found or "#" in found else found

    def filter(self) -> Pattern:
        """A topic filter (§4.7.1); braces mean nothing in it."""
        levels = tuple(self.text().split("/"))
        for at, level in enumerate(levels):
            whole = level == "+" or (level == "#" and at == len(levels) - 1)
            if levels == ("",) or (not whole and ("+" in level or "#" in level)):
                self.fail(f"{'/'.join(levels)!r:.60} is no topic filter")
        return Pattern("/".join(levels), levels, (None,) * len(levels))

    def properties(self, version: int, allowed: frozenset[int]) -> tuple[dict[int, int], bytes]:
        """(those that are numbers or only have to be there, the bytes of those that are handed on); 3.1.1 has none."""
        if version != V5:
            return {}, b""
        inner = Body(self._what, self.take(self.length()))
        found: dict[int, int] = {}
        handed_on = b""
        while inner.left:
            start = inner._at
            identifier = inner.length()
            if identifier not in allowed:
                self.fail(f"may not have the property {identifier:#04x}", PROTOCOL_ERROR)
            if identifier in found and identifier != USER:
                self.fail(f"has the property {identifier:#04x} twice", PROTOCOL_ERROR)
            found[identifier] = inner._value(identifier)
            if not found[identifier] and identifier in _NOT_ZERO:
                self.fail(f"has the property {identifier:#04x} with 0", PROTOCOL_ERROR)
            if identifier in _HANDED_ON:
                handed_on += inner._data[start : inner._at]
        return found, handed_on

    def _value(self, identifier: int) -> int:
        match _FORMS[identifier]:
            case "flag":
                value = self.number(1)
                return value if value < 2 else self.fail("has a property that is neither 0 nor 1", PROTOCOL_ERROR)
            case "short":
                return self.number(2)
            case "long":
                return self.number(4)
            case "length":
                return self.length()
            case "binary":
                self.binary()
            case "pair":
                self.text()
                self.text()
            case _:
                _ = self.topic() if identifier == RESPONSE_TOPIC else self.text()
        return 1

    def end(self) -> None:
        """Nothing is left."""
        if self.left:
            self.fail("holds more than it should")


# --- what clients send ----------------------------------------------------------------------


def parse_connect(data: bytes) -> Connect:
    """CONNECT (§3.1). User name and password are read, and mean nothing here."""
    body = Body("CONNECT", data)
    if body.binary() != b"MQTT":
        body.fail("is not of MQTT 3.1.1 or 5", WRONG_VERSION)
    version = body.number(1)
    if version not in (V311, V5):
        return Connect(V311, refusal=WRONG_VERSION)
    flags = body.number(1)
    clean, has_will, will_qos = bool(flags & 2), bool(flags & 4), flags >> 3 & 3
    if flags & 1 or will_qos == 3 or (not has_will and flags & 0x38) or (version == V311 and flags & 0xC0 == 0x40):
        body.fail(f"has the flags {flags:#04x}")
    keepalive = body.number(2)
    properties, _ = body.properties(version, _OF_CONNECT)
    client_id = body.text()
    will, delay = None, 0
    if has_will:
        about, handed_on = body.properties(version, _OF_MESSAGE | {WILL_DELAY})
        delay = about.get(WILL_DELAY, 0)
        will = Message(body.topic(), body.binary(), will_qos, bool(flags & 0x20), handed_on, about.get(EXPIRY))
    if flags & 0x80:
        body.text()
    if flags & 0x40:
        body.binary()
    body.end()
    refusal = BAD_METHOD if METHOD in properties else 0
    if version == V311 and not client_id and not clean:
        refusal = BAD_CLIENT_ID
    expiry = properties.get(SESSION_EXPIRY, 0) if version == V5 else (0 if clean else FOR_EVER)
    window, most = properties.get(RECEIVE_MAXIMUM), properties.get(MAX_PACKET)
    return Connect(version, client_id, clean, keepalive, expiry, window, most, will, delay, refusal)


def parse_publish(flags: int, data: bytes, version: int) -> tuple[Message, int]:
    """PUBLISH (§3.3): (message, packet identifier; 0 with QoS 0)."""
    body = Body("PUBLISH", data)
    qos = flags >> 1 & 3
    if qos == 3 or (flags & 8 and not qos):
        body.fail(f"has the flags {flags:#03x}")
    topic = body.topic()
    packet_id = body.packet_id() if qos else 0
    about, handed_on = body.properties(version, _OF_MESSAGE | {ALIAS})
    if ALIAS in about:
        body.fail("has a topic alias, and this broker grants none", NO_ALIAS)
    return Message(topic, body.take(body.left), qos, bool(flags & 1), handed_on, about.get(EXPIRY)), packet_id


def parse_answer(kind: int, data: bytes, version: int) -> int:
    """PUBACK or PUBREL (§3.4, §3.6): the packet identifier. What reason is given changes nothing."""
    body = Body("PUBACK" if kind == PUBACK else "PUBREL", data)
    packet_id = body.packet_id()
    if version == V5 and body.left:
        body.number(1)
        if body.left:
            body.properties(version, _OF_ANSWER)
    body.end()
    return packet_id


def parse_subscribe(data: bytes, version: int) -> tuple[int, list[Subscription]]:
    """SUBSCRIBE (§3.8): (packet identifier, at least one subscription)."""
    body = Body("SUBSCRIBE", data)
    packet_id = body.packet_id()
    about, _ = body.properties(version, frozenset((SUBSCRIPTION_ID, USER)))
    if SUBSCRIPTION_ID in about:
        body.fail("has a subscription identifier, which this broker does not know", NO_IDENTIFIERS)
    wanted: list[Subscription] = []
    while body.left or not wanted:
        pattern = body.filter()
        options = body.number(1)
        qos, handling = options & 3, options >> 4 & 3
        if qos == 3 or handling == 3 or options & (0xC0 if version == V5 else 0xFC):
            body.fail(f"has the options {options:#04x}", PROTOCOL_ERROR)
        wanted.append(Subscription(pattern, min(qos, 1), bool(options & 4), bool(options & 8), handling))
    return packet_id, wanted


def parse_unsubscribe(data: bytes, version: int) -> tuple[int, list[str]]:
    """UNSUBSCRIBE (§3.10): (packet identifier, at least one filter)."""
    body = Body("UNSUBSCRIBE", data)
    packet_id = body.packet_id()
    body.properties(version, frozenset((USER,)))
    filters = [body.filter().text]
    while body.left:
        filters.append(body.filter().text)
    return packet_id, filters


def parse_disconnect(data: bytes, version: int) -> tuple[int, int | None]:
    """DISCONNECT (§3.14): (reason code, Session Expiry Interval if it is given)."""
    body = Body("DISCONNECT", data)
    reason = 0
    about: dict[int, int] = {}
    if version == V5 and body.left:
        reason = body.number(1)
        if body.left:
            about, _ = body.properties(version, _OF_ANSWER | {SESSION_EXPIRY})
    body.end()
    return reason, about.get(SESSION_EXPIRY)


# --- what the broker sends ------------------------------------------------------------------


def format_packet(kind: int, flags: int, *parts: bytes) -> bytes:
    """A packet of its parts."""
    body = b"".join(parts)
    return bytes([kind << 4 | flags]) + _length(len(body)) + body


def format_connack(version: int, present: bool, refusal: int, properties: bytes = b"") -> bytes:
    """CONNACK (§3.2)."""
    if version == V5:
        return format_packet(CONNACK, 0, bytes([present, refusal]), _length(len(properties)), properties)
    return format_packet(CONNACK, 0, bytes([present, _CODES_311.get(refusal, 3) if refusal else 0]))


def format_publish(message: Message, version: int, packet_id: int, qos: int, *flags: bool, now: float) -> bytes:
    """PUBLISH (§3.3); `flags` are DUP and RETAIN."""
    dup, retain = flags
    parts = [_text(message.topic), packet_id.to_bytes(2) if qos else b""]
    if version == V5:
        expiry = b"" if message.expires is None else number(EXPIRY, max(0, round(message.expires - now)), 4)
        parts += [_length(len(expiry) + len(message.properties)), expiry, message.properties]
    return format_packet(PUBLISH, dup << 3 | qos << 1 | retain, *parts, message.payload)


def format_answer(kind: int, version: int, packet_id: int, codes: bytes = b"") -> bytes:
    """PUBACK, PUBREC, PUBCOMP, SUBACK, UNSUBACK (§3.4 to §3.11); 3.1.1 has no codes in the last."""
    listed = kind in (SUBACK, UNSUBACK)
    if version != V5 and kind == UNSUBACK:
        codes = b""
    return format_packet(kind, 0, packet_id.to_bytes(2), b"\0" if version == V5 and listed else b"", codes)


def number(identifier: int, value: int, size: int) -> bytes:
    """A property that is a number of `size` bytes."""
    return bytes([identifier]) + value.to_bytes(size)


def text(identifier: int, value: str) -> bytes:
    """A property that is text."""
    return bytes([identifier]) + _text(value)


def _text(value: str) -> bytes:
    return len(value.encode()).to_bytes(2) + value.encode()


def _length(value: int) -> bytes:
    found = bytearray()
    while True:
        value, low = value >> 7, value & 0x7F
        found.append(low | (0x80 if value else 0))
        if not value:
            return bytes(found)
