"""The embedded broker with real clients: delivery, sessions, wills, retained messages, backpressure, and gateways."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.edge.gatewaykit import GatewayKit
from tests.edge.mosquitto import until
from tests.edge.mqttpeer import Peer, Raw
from tests.edge.test_mqtt import PUMP, source
from tests.edge.test_patterns import STANDARD
from twinproof.edge.broker import Broker
from twinproof.edge.broker_session import Limits
from twinproof.errors import ConfigError, TwinproofError
from twinproof.testing.edge import Fault

Start = Callable[..., int]


@pytest.fixture
def problems() -> list[TwinproofError]:
    return []


@pytest.fixture
def start(problems: list[TwinproofError]) -> Iterator[Start]:
    """Starts a broker with the limits that are given; returns its port."""
    made: list[Broker] = []

    def go(**limits: int) -> int:
        made.append(Broker(limits=Limits(**limits), on_problem=problems.append))
        return made[-1].start()

    yield go
    for broker in made:
        broker.stop()


@pytest.fixture
def port(start: Start) -> int:
    return start()


@pytest.fixture
def connect(port: int) -> Iterator[Callable[..., Peer]]:
    """Connects paho clients to the broker."""
    made: list[Peer] = []

    def go(name: str = "", **settings: Any) -> Peer:
        made.append(Peer(port, name, **settings))
        return made[-1]

    yield go
    for peer in made:
        peer.close()


@pytest.fixture(params=[True, False], ids=["5", "3.1.1"])
def v5(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


Connect = Callable[..., Peer]

# --- delivery -------------------------------------------------------------------------------


@pytest.mark.parametrize(("published", "subscribed", "delivered"), [(0, 1, 0), (1, 0, 0), (1, 1, 1), (2, 2, 1)])
def test_messages_arrive_in_order(connect: Connect, v5: bool, published: int, subscribed: int, delivered: int) -> None:
    subscriber = connect(v5=v5).subscribe("plant/#", qos=subscribed)
    publisher = connect(v5=not v5)
    for number in range(100):
        publisher.publish("plant/a", str(number), qos=published)
    subscriber.expect(*map(str, range(100)))
    assert {(message.qos, message.retain, message.topic) for message in subscriber.messages} == {
        (delivered, False, "plant/a")
    }
    publisher.settle()


def test_qos_2_is_granted_as_1(connect: Connect, v5: bool) -> None:
    assert connect(v5=v5).subscribe("a", "b", qos=2).granted == [1, 1]


@pytest.mark.parametrize("qos2", [b"\0\7", b"\0\1"])
def test_what_is_published_with_qos_2_is_taken_once(port: int, connect: Connect, qos2: bytes) -> None:
    """Not even a publisher that begins anew before PUBREL doubles it (3.1.1 §4.3.3)."""
    subscriber = connect().subscribe("a")
    packet = int.from_bytes(qos2)
    first = Raw(port).connect("p", clean=False)
    first.publish("a", b"once", packet, flags=4)
    assert first.expect() == (0x50, qos2)
    first.close()
    with closing(Raw(port).connect("p", clean=False)) as again:
        again.publish("a", b"once", packet, flags=12)
        assert again.expect() == (0x50, qos2)
        again.send(0x62, qos2)
        assert again.expect() == (0x70, qos2)
        again.publish("a", b"twice", packet, flags=4)
        assert again.expect() == (0x50, qos2)
    subscriber.expect("once", "twice")


@pytest.mark.parametrize(
    ("pattern", "topic", "matches"), [*STANDARD, ("{a}/b", "c/b", False), ("{a}/b", "{a}/b", True)]
)
def test_wildcards_mean_what_the_standard_says(port: int, pattern: str, topic: str, matches: bool) -> None:
    with closing(Raw(port).connect("s").subscribe(pattern).subscribe("the/end")) as subscriber:
        subscriber.publish(topic, b"x", 1)
        subscriber.publish("the/end", b"", 2)
        found = [subscriber.expect() for _ in range(4 if matches else 3)]
        topics = [body[2 : 2 + int.from_bytes(body[:2])].decode() for first, body in found if first & 0xF0 == 0x30]
    assert topics == ([topic, "the/end"] if matches else ["the/end"])


def test_overlapping_subscriptions_deliver_once(connect: Connect) -> None:
    peer = connect()
    peer.subscribe("a/#", qos=0).subscribe("a/+", qos=1).subscribe("a/b", qos=0)
    peer.publish("a/b", "1")
    peer.client.unsubscribe("a/+")
    peer.publish("a/b", "2")
    peer.expect("1", "2")
    assert [message.qos for message in peer.messages] == [1, 0]


def test_properties_of_messages_are_handed_on(port: int) -> None:
    lifetime, others = b"\x02\0\0\0\x09", b"\x01\x01\x26\0\1k\0\1v\x08\0\1r\x09\0\1c\x26\0\1k\0\1w\x03\0\1t"
    with (
        closing(Raw(port).connect("s", v5=True).subscribe("a", v5=True)) as peer,
        closing(Raw(port).connect("old").subscribe("a")) as old,
    ):
        peer.send(0x32, b"\0\1a\0\1" + bytes([len(others) + 5]) + lifetime + others + b"payload")
        assert peer.expect() == (0x40, b"\0\1")
        assert peer.expect() == (0x32, b"\0\1a\0\1" + bytes([len(others) + 5]) + lifetime + others + b"payload")
        assert old.expect() == (0x32, b"\0\1a\0\1payload")


def test_no_local_and_retain_as_published(connect: Connect) -> None:
    peer, other = connect().subscribe("a", noLocal=True), connect().subscribe("a", retainAsPublished=True)
    peer.publish("a", "mine", retain=True)
    peer.settle()
    other.publish("a", "theirs")
    other.expect("mine", "theirs")
    peer.expect("theirs")
    assert [message.retain for message in other.messages] == [True, False]


# --- sessions -------------------------------------------------------------------------------


def test_what_was_not_acknowledged_comes_again(connect: Connect, v5: bool) -> None:
    subscriber = connect("s", v5=v5, clean=False, manual=True).subscribe("a")
    publisher = connect(v5=v5)
    for number in range(5):
        publisher.publish("a", str(number))
    subscriber.expect("0", "1", "2", "3", "4")
    subscriber.client.ack(subscriber.messages[1].mid, 1)
    subscriber.publish("elsewhere")
    subscriber.settle()
    subscriber.cut()
    publisher.publish("a", "5")
    publisher.settle()
    again = connect("s", v5=v5, clean=False, manual=True)
    assert again.present
    again.expect("0", "2", "3", "4", "5")
    identifiers = {message.payload: message.mid for message in subscriber.messages}
    assert [message.dup for message in again.messages] == [True, True, True, True, False]
    assert all(identifiers[message.payload] == message.mid for message in again.messages[:4])
    for message in again.messages:
        again.client.ack(message.mid, 1)
    again.publish("elsewhere")
    again.settle()
    third = connect("s", v5=v5, clean=False).subscribe("end")
    publisher.publish("end", "end")
    third.expect("end")


def test_a_session_outlives_its_connection_or_not(connect: Connect, v5: bool) -> None:
    connect("s", v5=v5, clean=False).subscribe("a").close()
    publisher = connect()
    publisher.publish("a", "1")
    publisher.publish("a", "lost", qos=0)
    publisher.settle()
    kept = connect("s", v5=v5, clean=False)
    assert kept.present
    kept.expect("1")
    kept.close()
    publisher.publish("a", "2")
    publisher.settle()
    assert connect("s", v5=v5, clean=True).present is False
    assert connect("s", v5=v5, clean=False).present is False


def test_a_second_connection_takes_the_session_over(connect: Connect, v5: bool) -> None:
    watcher = connect().subscribe("will")
    first = connect("s", v5=v5, clean=False, will=("will", "gone")).subscribe("a")
    second = connect("s", v5=v5, clean=False)
    until(lambda: first.reason is not None, "the end of the first")
    assert second.present
    if v5:
        assert str(first.reason) == "Session taken over"
    connect().publish("a", "1")
    second.expect("1")
    assert first.messages == []
    watcher.expect("gone")


def test_a_last_will_is_published_unless_a_farewell_is_said(connect: Connect, v5: bool) -> None:
    watcher = connect().subscribe("will")
    connect(v5=v5, will=("will", "not this")).close()
    connect(v5=v5, will=("will", "this")).cut()
    watcher.expect("this")


def test_a_client_that_says_nothing_is_cut(port: int, connect: Connect, problems: list[TwinproofError]) -> None:
    """After one and a half times its keep-alive (3.1.1 §3.1.2.10)."""
    with closing(Raw(port).connect("s", keepalive=1)) as silent:
        assert silent.receive() is None
    until(lambda: problems, "the reason")
    assert "client 's', packet: none came for 1.5 s" in str(problems[0])


def test_an_empty_client_identifier(port: int) -> None:
    with closing(Raw(port)) as peer:
        peer.send(0x10, b"\0\4MQTT\5\2\0\0\0\0\0")
        first, body = peer.expect()
        assert (first, body[:2]) == (0x20, b"\0\0")
        assert b"\x12\0\x15auto-" in body
    with closing(Raw(port)) as peer:
        peer.send(0x10, b"\0\4MQTT\4\0\0\0\0\0")
        assert peer.expect() == (0x20, b"\0\2")
        assert peer.receive() is None


# --- retained messages ----------------------------------------------------------------------


def test_retained_messages(connect: Connect, v5: bool) -> None:
    publisher = connect(v5=v5)
    for topic, payload in (("a/1", "old"), ("a/1", "new"), ("a/2", "x"), ("a/2", ""), ("b", "y")):
        publisher.publish(topic, payload, retain=True)
    publisher.settle()
    late = connect(v5=v5).subscribe("a/#", "a/+")
    late.expect("new")
    assert late.messages[0].retain
    publisher.publish("a/1", "live", retain=True)
    late.expect("new", "live")
    assert not late.messages[1].retain
    late.subscribe("a/#")
    late.expect("new", "live", "live")


@pytest.mark.parametrize(("handling", "expected"), [(0, ["1", "1"]), (1, ["1"]), (2, [])])
def test_when_retained_messages_are_sent(connect: Connect, handling: int, expected: list[str]) -> None:
    peer = connect()
    peer.publish("a", "1", retain=True)
    peer.settle()
    for _ in range(2):
        peer.subscribe("a", retainHandling=handling)
    peer.publish("a", "end")
    peer.expect(*expected, "end")


@pytest.mark.parametrize("limits", [{"retained_messages": 2}, {"retained_bytes": 500}])
def test_retained_messages_are_bounded(start: Start, problems: list[TwinproofError], limits: dict[str, int]) -> None:
    with closing(Raw(start(**limits)).connect("p", v5=True)) as peer:
        for number, topic in enumerate(("a", "b", "a"), 1):
            peer.publish(topic, b"x", number, flags=3, v5=True)
            assert peer.expect()[0] == 0x40
        peer.publish("c", b"x", 4, flags=3, v5=True)
        assert peer.expect() == (0xE0, b"\x97")
        assert peer.receive() is None
    assert "no room for another retained message" in str(problems[0])


# --- backpressure ---------------------------------------------------------------------------


@pytest.mark.parametrize("limits", [{"queue_messages": 5}, {"queue_bytes": 1000}], ids=["messages", "bytes"])
def test_a_subscriber_without_room_holds_its_publisher_back(start: Start, limits: dict[str, int]) -> None:
    port = start(**limits)
    with (
        closing(Raw(port).connect("s").subscribe("a")) as slow,
        closing(Raw(port).connect("p")) as publisher,
        closing(Raw(port).connect("q").subscribe("a")) as other,
    ):
        for number in range(1, 9):
            publisher.publish("a", bytes([number]) * 14, number)
        publisher.publish("a", b"of no account", 0, flags=0)
        assert [publisher.expect() for _ in range(5)] == [(0x40, bytes([0, number])) for number in range(1, 6)]
        # It is served meanwhile, and is told of nothing more.
        publisher.ping()
        found = [slow.expect() for _ in range(5)]
        assert [body[-1] for _, body in found] == [1, 2, 3, 4, 5]
        for _, body in found[:2]:
            slow.send(0x40, body[3:5])
        for _ in range(5):
            other.send(0x40, other.expect()[1][3:5])
        assert [publisher.expect()[1][1] for _ in range(2)] == [6, 7]
        publisher.ping()
        for _, body in found[2:]:
            slow.send(0x40, body[3:5])
        assert publisher.expect() == (0x40, b"\0\x08")
        assert [slow.expect()[1][-1] for _ in range(3)] == [6, 7, 8]
        assert [other.expect()[1][-1] for _ in range(3)] == [6, 7, 8]


def test_publishers_in_line_all_have_their_turn(start: Start) -> None:
    port = start(queue_messages=1)
    with closing(Raw(port).connect("s").subscribe("a")) as slow:
        publishers = [Raw(port).connect(f"p{at}") for at in range(3)]
        for at, publisher in enumerate(publishers):
            for number in range(1, 4):
                publisher.publish("a", b"%d" % at, number)
            publisher.send(0xC0, b"")
            while publisher.expect()[0] != 0xD0:
                pass
        senders = []
        for _ in range(9):
            body = slow.expect()[1]
            senders.append(body[-1] - ord("0"))
            slow.send(0x40, body[3:5])
        assert senders == [0, 0, 1, 2, 0, 1, 2, 1, 2]
        for publisher in publishers:
            publisher.close()


def test_a_client_without_room_may_publish_to_itself(start: Start) -> None:
    with closing(Peer(start(queue_messages=3, held_messages=50), "s")) as peer:
        peer.subscribe("a")
        for number in range(500):
            peer.publish("a", str(number))
        peer.expect(*map(str, range(500)))
        peer.settle()


def test_no_more_is_read_than_may_be_held(start: Start) -> None:
    """Nobody takes what is published, so the publisher's own socket fills up."""
    port = start(queue_messages=1, held_messages=3, held_bytes=100_000)
    with closing(Raw(port).connect("s").subscribe("a")), closing(Raw(port).connect("p")) as publisher:
        publisher.socket.settimeout(0.2)
        with pytest.raises(TimeoutError):
            _publish_much(publisher)


def _publish_much(publisher: Raw) -> None:
    for number in range(1, 2000):
        publisher.publish("a", bytes(16000), number)


def test_a_subscriber_that_does_not_read_costs_no_more_than_its_queue() -> None:
    limits = Limits(queue_messages=50, queue_bytes=1_000_000)
    with Broker(limits=limits) as broker:
        port = broker.start()
        with closing(Raw(port).connect("s").subscribe("a", options=0)), closing(Peer(port)) as publisher:
            session = broker._hub._sessions["s"]
            count = 0
            # What the kernel holds comes first: some MB.
            while not session.full:
                count += 1
                assert count < 1000
                publisher.publish("a", bytes(100_000), qos=0)
                publisher.publish("b", "")
                publisher.settle()
            for _ in range(20):
                publisher.publish("a", bytes(100_000), qos=0)
            publisher.publish("a", "")
            publisher.settle()
            assert len(session._queue) <= 50
            assert session._bytes < 1_200_000


def test_an_ended_session_gives_way(start: Start) -> None:
    port = start(queue_messages=1)
    slow = Raw(port).connect("s").subscribe("a")
    with closing(Peer(port)) as publisher:
        publisher.publish("a", "1")
        publisher.publish("a", "2")
        until(lambda: publisher.acknowledged == 1, "the first")
        slow.close()
        publisher.settle()


# --- limits ---------------------------------------------------------------------------------


def test_sessions_and_subscriptions_are_bounded(start: Start, v5: bool) -> None:
    port = start(sessions=2, subscriptions=2)
    with closing(Peer(port, "a", v5=v5)) as first, closing(Peer(port, "b", v5=v5, clean=False)):
        third = Peer(port, "c", v5=v5)
        assert third.refused == ("Quota exceeded" if v5 else "Server unavailable")
        third.close()
        assert first.subscribe("1", "2", "3", "1", "$share/g/t").granted == [
            1,
            1,
            *((0x97, 1, 0x9E) if v5 else (0x80, 1, 0x80)),
        ]
    with closing(Peer(port, "c", v5=v5)) as third:
        assert third.present is False


def test_a_client_gets_no_packet_larger_than_it_takes(port: int, problems: list[TwinproofError]) -> None:
    with closing(Raw(port)) as peer:
        peer.send(0x10, b"\0\4MQTT\5\2\0\0\5\x27\0\0\0\x20\0\1s")
        assert peer.expect()[1][1] == 0
        peer.subscribe("a", v5=True)
        peer.publish("a", bytes(60), 1, v5=True)
        peer.publish("a", b"small", 2, v5=True)
        assert [peer.expect()[0] for _ in range(2)] == [0x40, 0x40]
        assert peer.expect()[1][-5:] == b"small"
    assert "takes no packet of" in str(problems[0])


# --- where it listens -----------------------------------------------------------------------


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "2001:db8::1"])  # noqa: S104
def test_it_listens_on_this_machine_alone(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="no authentication and no TLS"):
        Broker().start(host)
    tried: list[Any] = []

    def refuse(address: tuple[str, int], **_: object) -> None:
        tried.append(address)
        raise OSError(98, "Address already in use")

    monkeypatch.setattr(socket, "create_server", refuse)
    with pytest.raises(ConfigError, match="cannot listen"):
        Broker(allow_remote=True).start(host)
    assert tried == [(host, 0)]


def test_where_it_cannot_listen(port: int) -> None:
    with pytest.raises(ConfigError, match=f"127.0.0.1:{port}: Address already in use"):
        Broker().start(port=port)
    with pytest.raises(ConfigError, match="IP address"):
        Broker().start("broker.example")


def test_it_runs_once_and_says_farewell() -> None:
    broker = Broker()
    broker.stop()
    with broker, closing(Peer(broker.start("localhost"), "s")) as peer:
        with pytest.raises(ConfigError, match="started already"):
            broker.start()
        broker.stop()
        broker.stop()
        until(lambda: peer.reason is not None, "the end")
        assert str(peer.reason) == "Server shutting down"


def test_what_the_page_says() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "connectors.md").read_text()
    limits = Limits()
    assert f"{limits.sessions} sessions; a session's queue holds {limits.queue_messages:_}".replace("_", " ") in page
    assert f"{limits.retained_messages} retained messages, {limits.retained_bytes >> 20} MiB" in page
    assert f" messages or {limits.queue_bytes >> 20} MiB." in page
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    found: dict[str, Any] = {}
    exec(example, found)  # noqa: S102
    assert found["port"] > 0


def test_the_command(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "twinproof", "bridge", "broker", "--port", "0", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    assert process.stdout is not None
    host, _, port = json.loads(process.stdout.readline())["listening"].rpartition(":")
    assert host == "127.0.0.1"
    with closing(Peer(int(port), "s")) as peer:
        peer.subscribe("a")
        peer.publish("a", "1")
        peer.expect("1")
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=20) == ("", "")
    assert process.returncode == 0


# --- gateways -------------------------------------------------------------------------------


@pytest.fixture
def kit(tmp_path: Path, port: int, v5: bool, monkeypatch: pytest.MonkeyPatch) -> GatewayKit:
    monkeypatch.setattr("twinproof.edge.backoff.FIRST", 0.02)
    where: Any = SimpleNamespace(port=port)
    return GatewayKit(tmp_path, source(where, version="5" if v5 else "3.1.1"))


def test_a_gateway_whose_connections_are_cut(kit: GatewayKit, connect: Connect) -> None:
    """On both sides, again and again, with a log that comes and goes: nothing is lost, nothing is doubled."""
    publisher = connect("p", clean=False, reconnects=True)
    kit.log.retry_after = 0.1
    with kit.running() as bridge:
        for number in range(300):
            message = json.dumps({"ts": 1_700_000_000_000 + number, "n": number})
            publisher.publish("plant/a/7/state", message)
            if number % 60 == 30:
                taken = bridge.tally("plant").taken
                until(lambda: bridge.tally("plant").taken > taken, "the stream to run")  # noqa: B023
                kit.log.faults.extend([Fault.LOST_ANSWER, None, Fault.LOST_REQUEST])
                client = kit.connectors[0]._session._client
                if client is not None and client.socket() is not None:
                    # The other side may have been cut in this moment.
                    with suppress(OSError):
                        client.socket().shutdown(socket.SHUT_RDWR)
                publisher.cut()
        publisher.settle()
        kit.expect(PUMP, list(range(300)))


def test_a_gateway_that_comes_and_goes(kit: GatewayKit, connect: Connect) -> None:
    publisher = connect()
    with kit.running():
        pass
    for start in (0, 60, 120):
        for number in range(start, start + 60):
            publisher.publish("plant/a/7/speed", str(number))
        with kit.running() as bridge:
            until(partial(_taken, bridge, 15), "some messages")
    publisher.settle()
    with kit.running():
        kit.expect(PUMP, list(range(180)))
    assert kit.values(PUMP) == list(range(180))


def _taken(bridge: Any, count: int) -> bool:
    return bool(bridge.tally("plant").taken >= count)


def test_a_log_that_is_away_fills_the_queue_and_stops_the_publishers(
    tmp_path: Path, start: Start, v5: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twinproof.edge.backoff.FIRST", 0.02)
    where: Any = SimpleNamespace(port=start(queue_messages=25, held_messages=200))
    kit = GatewayKit(tmp_path, source(where, version="5" if v5 else "3.1.1"))
    kit.log.faults.extend([Fault.LOST_REQUEST] * 100_000)
    with kit.running(), closing(Peer(where.port, window=100)) as publisher:
        for number in range(100):
            publisher.publish("plant/a/7/speed", str(number))
        until(lambda: publisher.acknowledged == 25, "a full queue")
        assert kit.values(PUMP) == []
        kit.log.faults.clear()
        publisher.settle()
        kit.expect(PUMP, list(range(100)))
