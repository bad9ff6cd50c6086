"""What the embedded broker refuses: malformed packets end the connection that sent them, and nothing else."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from contextlib import closing, suppress
from logging.handlers import QueueHandler
from queue import SimpleQueue

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.edge.mqttpeer import Raw
from twinproof.edge.broker import Broker
from twinproof.edge.broker_packets import (
    CONNECT,
    PUBACK,
    V5,
    V311,
    Body,
    Message,
    Violation,
    format_publish,
    parse_answer,
    parse_connect,
    parse_disconnect,
    parse_publish,
    parse_subscribe,
    parse_unsubscribe,
)
from twinproof.errors import TwinproofError


@pytest.fixture(scope="module")
def problems() -> list[TwinproofError]:
    return []


@pytest.fixture(scope="module")
def port(problems: list[TwinproofError]) -> Iterator[int]:
    """A broker in which nothing may go wrong that it does not expect: asyncio logs that, and goes on."""
    logged: SimpleQueue[logging.LogRecord] = SimpleQueue()
    handler = QueueHandler(logged)
    logging.getLogger("asyncio").addHandler(handler)
    with Broker(on_problem=problems.append) as broker:
        yield broker.start()
    gc.collect()
    logging.getLogger("asyncio").removeHandler(handler)
    assert logged.empty(), logged.get().getMessage()


def packet(first: int, body: bytes) -> bytes:
    assert len(body) < 128
    return bytes([first, len(body)]) + body


# What is wrong, in hexadecimal; sent after CONNECT.
MALFORMED_BOTH = {
    "type 0": "00 00",
    "type 15 in 3.1.1, AUTH without a method": "f0 00",
    "CONNECT again": "10 0d 00 04 4d 51 54 54 04 02 00 00 00 01 78",
    "CONNACK": "20 02 00 00",
    "SUBACK": "90 03 00 01 00",
    "PUBREC, which answers nothing of ours": "50 02 00 01",
    "PUBCOMP, which answers nothing of ours": "70 02 00 01",
    "length of five bytes": "30 ff ff ff ff 01",
    "length in a longer form": "30 83 00 00 01 61",
    "length over the limit": "30 ff ff ff 7f",
    "PINGREQ with flags": "c1 00",
    "PINGREQ with a body": "c0 01 00",
    "PUBLISH, QoS 3": "36 05 00 01 61 00 01",
    "PUBLISH, DUP with QoS 0": "38 03 00 01 61",
    "PUBLISH, packet identifier 0": "32 05 00 01 61 00 00",
    "PUBLISH, no topic": "30 02 00 00",
    "PUBLISH, nothing": "30 00",
    "PUBLISH, topic cut short": "30 03 00 05 61",
    "PUBLISH, topic with +": "30 05 00 03 61 2f 2b",
    "PUBLISH, topic with #": "30 03 00 01 23",
    "PUBLISH, topic with U+0000": "30 03 00 01 00",
    "PUBLISH, topic with a surrogate": "30 05 00 03 ed a0 80",
    "PUBLISH, topic that is not UTF-8": "30 04 00 02 c0 80",
    "PUBACK with flags": "42 02 00 01",
    "PUBACK, packet identifier 0": "40 02 00 00",
    "PUBACK cut short": "40 01 00",
    "PUBREL without its flags": "60 02 00 01",
    "SUBSCRIBE without its flags": "80 06 00 01 00 01 61 01",
    "SUBSCRIBE to nothing": "82 02 00 01",
    "UNSUBSCRIBE without its flags": "a0 05 00 01 00 01 61",
    "UNSUBSCRIBE from nothing": "a2 02 00 01",
    "DISCONNECT with flags": "e1 00",
}
MALFORMED_311 = {
    "SUBSCRIBE, QoS 3": "82 06 00 01 00 01 61 03",
    "SUBSCRIBE, options of MQTT 5": "82 06 00 01 00 01 61 05",
    "SUBSCRIBE without options": "82 05 00 01 00 01 61",
    "SUBSCRIBE to a/#/b": "82 0a 00 01 00 05 61 2f 23 2f 62 01",
    "SUBSCRIBE to a+": "82 07 00 01 00 02 61 2b 01",
    "SUBSCRIBE to the empty filter": "82 05 00 01 00 00 01",
    "UNSUBSCRIBE from a#": "a2 06 00 01 00 02 61 23",
    "PUBACK with a reason": "40 03 00 01 00",
    "DISCONNECT with a reason": "e0 01 00",
}
MALFORMED_5 = {
    "PUBLISH without properties": ("30 03 00 01 61", 0x81),
    "PUBLISH, properties cut short": ("30 05 00 01 61 05 01", 0x81),
    "PUBLISH, property length in a longer form": ("30 05 00 01 61 80 00", 0x81),
    "PUBLISH, property of CONNECT": ("30 06 00 01 61 02 17 00", 0x82),
    "PUBLISH, property that is none": ("30 06 00 01 61 02 7e 00", 0x82),
    "PUBLISH, property twice": ("30 08 00 01 61 04 01 00 01 00", 0x82),
    "PUBLISH, format 2": ("30 06 00 01 61 02 01 02", 0x82),
    "PUBLISH, response topic with #": ("30 08 00 01 61 04 08 00 01 23", 0x81),
    "PUBLISH, topic alias": ("30 07 00 01 61 03 23 00 01", 0x94),
    "PUBLISH, subscription identifier": ("30 06 00 01 61 02 0b 01", 0x82),
    "PUBACK, more after the properties": ("40 05 00 01 00 00 00", 0x81),
    "SUBSCRIBE, QoS 3": ("82 07 00 01 00 00 01 61 03", 0x82),
    "SUBSCRIBE, retain handling 3": ("82 07 00 01 00 00 01 61 31", 0x82),
    "SUBSCRIBE, reserved options": ("82 07 00 01 00 00 01 61 41", 0x82),
    "SUBSCRIBE, subscription identifier": ("82 09 00 01 02 0b 01 00 01 61 01", 0xA1),
    "DISCONNECT that would keep a clean session": ("e0 07 00 05 11 00 00 00 09", 0x82),
    "length over the limit": ("30 ff ff ff 7f", 0x95),
}


@pytest.mark.parametrize("what", [*MALFORMED_BOTH, *MALFORMED_311])
def test_a_malformed_packet_ends_its_connection(port: int, problems: list[TwinproofError], what: str) -> None:
    data = bytes.fromhex({**MALFORMED_BOTH, **MALFORMED_311}[what])
    with closing(Raw(port).connect("witness")) as witness, closing(Raw(port).connect("bad")) as peer:
        del problems[:]
        peer.socket.sendall(data)
        assert peer.receive() is None
        witness.ping()
        assert str(problems[0]).startswith("client 'bad', ")


@pytest.mark.parametrize("what", [*MALFORMED_BOTH, *MALFORMED_5])
def test_mqtt_5_is_told_why(port: int, what: str) -> None:
    data, answer = MALFORMED_5.get(what) or (MALFORMED_BOTH[what], None)
    with closing(Raw(port).connect("witness")) as witness, closing(Raw(port).connect("bad", v5=True)) as peer:
        peer.socket.sendall(bytes.fromhex(data))
        first, body = peer.expect()
        assert first == 0xE0
        assert body[0] == answer if answer else body[0] in (0x81, 0x82)
        assert peer.receive() is None
        witness.ping()


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        ("c0 00", ""),
        ("12 0d 00 04 4d 51 54 54 04 02 00 00 00 01 78", ""),
        ("10 0f 00 06 4d 51 49 73 64 70 03 02 00 00 00 01 78", ""),  # MQTT 3.1
        ("10 0d 00 04 4d 51 54 54 03 02 00 00 00 01 78", "20 02 00 01"),
        ("10 0d 00 04 4d 51 54 54 06 02 00 00 00 01 78", "20 02 00 01"),
        ("10 0d 00 04 4d 51 54 54 04 03 00 00 00 01 78", ""),  # the reserved flag
        ("10 0d 00 04 4d 51 54 54 04 0a 00 00 00 01 78", ""),  # QoS of a will, and no will
        ("10 0d 00 04 4d 51 54 54 04 1e 00 00 00 01 78", ""),  # will with QoS 3
        ("10 10 00 04 4d 51 54 54 04 42 00 00 00 01 78 00 01 78", ""),  # password without a user's name
        ("10 0e 00 04 4d 51 54 54 04 02 00 00 00 01 78 00", ""),  # something left over
        ("10 0c 00 04 4d 51 54 54 04 02 00 00 00 01", ""),
        ("10 12 00 04 4d 51 54 54 05 02 00 00 04 15 00 01 78 00 01 78", "20 03 00 8c 00"),  # a method
        ("10 11 00 04 4d 51 54 54 05 02 00 00 03 21 00 00 00 01 78", ""),  # Receive Maximum 0
    ],
)
def test_what_is_no_request_to_connect(port: int, data: str, answer: str) -> None:
    with closing(Raw(port)) as peer:
        peer.socket.sendall(bytes.fromhex(data))
        if answer.startswith("20 03"):
            first, body = peer.expect()
            assert (first, body[:2]) == (0x20, bytes.fromhex(answer[6:11]))
        elif answer:
            assert peer.expect() == (0x20, bytes.fromhex(answer[6:]))
        assert peer.receive() is None


def test_user_names_and_passwords_are_taken(port: int) -> None:
    with closing(Raw(port)) as peer:
        peer.send(0x10, b"\0\4MQTT\4\xc2\0\0\0\1x\0\4user\0\6secret")
        assert peer.expect() == (0x20, b"\0\0")


# --- anything at all ------------------------------------------------------------------------

VALID = [
    packet(0x10, b"\0\4MQTT\4\2\0\0\0\1x"),
    packet(0x10, b"\0\4MQTT\5\2\0\0\5\x11\0\0\0\x09\0\1x"),
    packet(0x10, b"\0\4MQTT\5\6\0\0\0\0\1y\5\x18\0\0\0\x09\0\1w\0\1!"),
    packet(0x33, b"\0\1a\0\1\0hello"),
    packet(0x34, b"\0\1a\0\2\5\x26\0\1k\0\1vhello"),
    packet(0x40, b"\0\1"),
    packet(0x62, b"\0\2"),
    packet(0x82, b"\0\1\0\0\1#\1"),
    packet(0x82, b"\0\1\0\1#\1"),
    packet(0xA2, b"\0\1\0\0\1#"),
    packet(0xC0, b""),
    packet(0xE0, b"\4"),
]
mutated = st.builds(
    lambda data, at, new: data[: at % len(data)] + new + data[at % len(data) + 1 :],
    st.sampled_from(VALID),
    st.integers(0, 40),
    st.binary(max_size=2),
)
streams = st.tuples(
    st.sampled_from([b"", VALID[0], VALID[1], VALID[2]]),
    st.lists(st.one_of(st.sampled_from(VALID), mutated, st.binary(max_size=20)), max_size=8).map(b"".join),
).map(b"".join)


@settings(max_examples=150)
@given(data=streams)
def test_no_bytes_end_the_broker(port: int, data: bytes) -> None:
    with closing(Raw(port)) as peer, suppress(ConnectionError):
        peer.socket.sendall(data)
        peer.socket.shutdown(1)
        while peer.socket.recv(4096):
            pass
    with closing(Raw(port).connect("witness").subscribe("w")) as witness:
        witness.publish("w", b"here", 1)
        found = {witness.expect(), witness.expect()}
        assert (0x40, b"\0\1") in found
        assert {body[-4:] for first, body in found if first & 0xF0 == 0x30} == {b"here"}


@given(data=st.binary(max_size=60), flags=st.integers(0, 15), version=st.sampled_from([V311, V5]))
def test_parsers_raise_violations_alone(data: bytes, flags: int, version: int) -> None:
    for parse in (
        lambda: parse_connect(b"\0\4MQTT" + bytes([version]) + data),
        lambda: parse_connect(data),
        lambda: parse_publish(flags, data, version),
        lambda: parse_answer(PUBACK, data, version),
        lambda: parse_subscribe(data, version),
        lambda: parse_unsubscribe(data, version),
        lambda: parse_disconnect(data, version),
    ):
        with suppress(Violation):
            parse()


topics = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0+#"), min_size=1, max_size=30)


@given(
    topic=topics,
    payload=st.binary(max_size=300),
    qos=st.integers(0, 1),
    retain=st.booleans(),
    lifetime=st.none() | st.integers(1, 2**32 - 1),
    version=st.sampled_from([V311, V5]),
)
def test_what_is_sent_says_what_came(
    topic: str, payload: bytes, qos: int, retain: bool, lifetime: int | None, version: int
) -> None:
    properties = b"\x26\0\1k\0\1v" if version == V5 else b""
    expires = None if lifetime is None or version == V311 else 10.0 + lifetime
    message = Message(topic, payload, qos, retain, properties, expires=expires)
    data = format_publish(message, version, 7 if qos else 0, qos, False, retain, now=10.0)
    body = Body("packet", data[1:])
    size = body.length()
    assert size == body.left
    found, packet_id = parse_publish(data[0] & 0x0F, body.take(size), version)
    assert (found.topic, found.payload, found.qos, found.retain) == (topic, payload, qos, retain)
    assert (found.properties, packet_id) == (properties, 7 if qos else 0)
    assert found.lifetime == (None if version == V311 else lifetime)


def test_the_types_are_those_of_the_standard() -> None:
    assert (CONNECT, PUBACK) == (1, 4)
