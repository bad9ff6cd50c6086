"""The Sparkplug connector with a real Mosquitto: from an edge node's messages to signed statements."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from tests.edge.gatewaykit import GatewayKit
from tests.edge.mosquitto import Mosquitto, until
from tests.edge.sparkplug.plant import EdgeNode, metric, raw_of, topic_of
from twinproof.edge.sparkplug.codec import parse_payload
from twinproof.edge.sparkplug.datatypes import DataType
from twinproof.edge.sparkplug.messages import Metric, Variant
from twinproof.edge.sparkplug.session import Message
from twinproof.edge.sparkplug.topics import MessageType, Source, parse_state
from twinproof.testing.edge import Fault
from twinproof.twin.attestation import RESUME, parse_resume

EDGE = "https://fleet.example/plant/edge1"
PRESS = "https://fleet.example/plant/edge1/press"


def source(broker: Mosquitto, version: str) -> str:
    return f"""
[[sparkplug]]
name = "scada"
host_id = "twinproof"
reorder_timeout = 0.3
[sparkplug.broker]
host = "127.0.0.1"
port = {broker.port}
version = "{version}"
[[sparkplug.map]]
group = "plant"
node = "{{node}}"
twin = "https://fleet.example/plant/{{node}}"
signals = [{{ name = "speed", at = "Speed", unit = "1/min" }}, {{ name = "count", at = "Count", scale = 10 }},
           {{ name = "on", at = "On", type = "boolean" }}]
[[sparkplug.map]]
group = "plant"
node = "{{node}}"
device = "{{device}}"
twin = "https://fleet.example/plant/{{node}}/{{device}}"
signals = [{{ name = "temperature", at = "Temp", unit = "Cel" }}]
quality = ".quality"
"""


class Peer:
    """An edge node's connection: publishes, and hears commands and STATE."""

    def __init__(self, broker: Mosquitto) -> None:
        self.heard: list[tuple[str, bytes, bool]] = []
        self.client = paho.Client(CallbackAPIVersion.VERSION2, client_id="edge1")
        self.client.reconnect_delay_set(0.05, 0.2)  # type: ignore[arg-type]
        self.client.on_message = lambda *args: self.heard.append((args[2].topic, args[2].payload, args[2].retain))
        self.client.on_connect = lambda client, *_: client.subscribe([("spBv1.0/+/NCMD/#", 1), ("spBv1.0/STATE/+", 1)])
        self.client.connect("127.0.0.1", broker.port)
        self.client.loop_start()
        until(self.client.is_connected, "the edge node to connect")

    def send(self, *messages: Message) -> None:
        for message in messages:
            self.client.publish(topic_of(message), raw_of(message), qos=0).wait_for_publish(10)

    def rebirths(self) -> int:
        return sum(
            parse_payload(data).metrics[0].name == "Node Control/Rebirth"
            for topic, data, _ in self.heard
            if "NCMD" in topic
        )

    def states(self) -> list[bool]:
        return [parse_state(data).online for topic, data, _ in self.heard if "STATE" in topic]

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twinproof.edge.backoff.FIRST", 0.02)
    monkeypatch.setattr("twinproof.edge.quality.LOSSES_EVERY", 0.0)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    folder = tmp_path / "broker"
    folder.mkdir()
    made = Mosquitto(folder).start()
    yield made
    made.stop(signal.SIGKILL)


@pytest.fixture(params=["5", "3.1.1"])
def kit(request: pytest.FixtureRequest, tmp_path: Path, broker: Mosquitto) -> GatewayKit:
    return GatewayKit(tmp_path, source(broker, request.param))


@pytest.fixture
def peer(broker: Mosquitto) -> Iterator[Peer]:
    made = Peer(broker)
    yield made
    made.close()


@pytest.fixture
def edge() -> EdgeNode:
    made = EdgeNode()
    made.time = time.time() - 3600
    return made


def losses(kit: GatewayKit, subject: str) -> list[str]:
    return [
        parse_resume(item.payload).reason
        for item in kit.log.statements()
        if item.subject == subject and item.content_type == RESUME
    ]


def named(kit: GatewayKit, subject: str, name: str) -> list[Any]:
    return [reading.value for reading in kit.readings(subject) if reading.name == name]


def test_births_and_data_become_readings(kit: GatewayKit, peer: Peer, edge: EdgeNode) -> None:
    with kit.running():
        peer.send(edge.nbirth(Speed=1.0, Count=-3, On=False), edge.dbirth(Temp=20.0))
        expected = []
        for number in range(300):
            peer.send(edge.ndata(Speed=float(number)), edge.ddata(Temp=number / 2))
            expected.append((float(number), round(edge.time * 1000 - 100) / 1000))
        until(lambda: len(named(kit, PRESS, "temperature")) == 301, "300 values")
        until(lambda: len(named(kit, EDGE, "speed")) == 301, "300 values")
    speeds = [reading for reading in kit.readings(EDGE) if reading.name == "speed"]
    assert [reading.value for reading in speeds[1:]] == [value for value, _ in expected]
    assert [reading.time for reading in speeds[1:]] == pytest.approx([time for _, time in expected], abs=2e-3)
    assert {reading.unit for reading in speeds} == {"1/min"}
    assert named(kit, EDGE, "count") == [-30]
    assert named(kit, EDGE, "on") == [False]
    assert named(kit, PRESS, "temperature.quality") == ["good", "stale"]  # stale when the gateway leaves
    assert not kit.problems
    assert peer.rebirths() == 0


def test_a_primary_host_says_online_and_offline(kit: GatewayKit, peer: Peer) -> None:
    with kit.running():
        until(lambda: peer.states() == [True], "the host's STATE")
    until(lambda: len(peer.states()) > 1, "the host's farewell")
    assert set(peer.states()[1:]) == {False}


def test_a_gap_is_waited_for_told_and_healed(kit: GatewayKit, peer: Peer, edge: EdgeNode) -> None:
    with kit.running():
        peer.send(edge.nbirth(Speed=0.0))
        swapped = [edge.ndata(Speed=1.0), edge.ndata(Speed=2.0)]
        peer.send(*reversed(swapped))
        edge.ndata(Speed=3.0)
        peer.send(edge.ndata(Speed=4.0))
        until(lambda: named(kit, EDGE, "speed") == [0.0, 1.0, 2.0, 4.0], "what came after the gap")
        until(lambda: peer.rebirths() == 1, "a rebirth request")
        until(lambda: losses(kit, EDGE), "the loss to be told")
        peer.send(edge.nbirth(Speed=5.0))
        until(lambda: named(kit, EDGE, "speed")[-1] == 5.0, "the rebirth")
    assert "scada: plant/edge1: sequence number 3 missing" in losses(kit, EDGE)[0]


def test_data_before_a_birth_bring_one_about(kit: GatewayKit, peer: Peer, edge: EdgeNode) -> None:
    edge.nbirth()
    with kit.running():
        peer.send(edge.ndata(Speed=1.0))
        until(lambda: peer.rebirths() == 1, "a rebirth request")
        peer.send(edge.nbirth(Speed=2.0))
        kit.expect(EDGE, [2.0])


def test_a_lost_death_certificate(kit: GatewayKit, peer: Peer, edge: EdgeNode) -> None:
    with kit.running():
        peer.send(edge.nbirth(), edge.dbirth(Temp=20.0), edge.ddata(Temp=21.0))
        edge.reconnect()
        peer.send(edge.nbirth(), edge.dbirth(Temp=22.0))
        until(lambda: named(kit, PRESS, "temperature") == [20.0, 21.0, 22.0], "the values")
        until(lambda: losses(kit, PRESS), "the loss to be told")
        until(lambda: named(kit, PRESS, "temperature.quality") == ["good", "stale", "good"], "the quality")
    assert "its death certificate was lost" in losses(kit, PRESS)[0]


def test_the_broker_restarts(kit: GatewayKit, broker: Mosquitto, peer: Peer, edge: EdgeNode) -> None:
    with kit.running():
        peer.send(edge.nbirth(), edge.dbirth(Temp=20.0))
        until(lambda: named(kit, PRESS, "temperature") == [20.0], "the birth")
        connector = kit.connectors[0]
        broker.stop(signal.SIGKILL)
        until(lambda: not connector.connected.is_set(), "the loss of the connection")
        until(lambda: named(kit, PRESS, "temperature.quality") == ["good", "stale"], "staleness")
        broker.start()
        until(connector.connected.is_set, "the gateway to connect")
        until(peer.client.is_connected, "the edge node to connect")
        until(lambda: peer.rebirths() >= 1 or connector.host.due_in(time.time()) > 0.2, "the request")
        edge.reconnect()
        peer.send(edge.nbirth(), edge.dbirth(Temp=25.0))
        until(lambda: named(kit, PRESS, "temperature") == [20.0, 25.0], "the new birth")
        until(lambda: named(kit, PRESS, "temperature.quality") == ["good", "stale", "good"], "quality")
    assert "not connected to the broker" in losses(kit, PRESS)[0]


def test_a_gateway_that_was_away_says_so(kit: GatewayKit, peer: Peer, edge: EdgeNode) -> None:
    with kit.running():
        peer.send(edge.nbirth(Speed=1.0))
        kit.expect(EDGE, [1.0])
    assert losses(kit, EDGE) == []
    edge.ndata(Speed=2.0)
    with kit.running():
        peer.send(edge.nbirth(Speed=3.0))
        kit.expect(EDGE, [1.0, 3.0])
        until(lambda: losses(kit, EDGE), "the loss to be told")
    assert "the gateway was not running" in losses(kit, EDGE)[0]


def test_an_overtaxed_outbox_loses_nothing_in_silence(kit: GatewayKit, peer: Peer, edge: EdgeNode) -> None:
    kit.log.retry_after = 0.1
    kit.log.faults.extend([Fault.OVERLOADED, Fault.LOST_ANSWER, Fault.LOST_REQUEST] * 3)
    with kit.running():
        peer.send(edge.nbirth(Speed=-1.0))
        for number in range(200):
            peer.send(edge.ndata(Speed=float(number)))
        kit.expect(EDGE, [-1.0, *map(float, range(200))])


def test_what_readings_cannot_hold_is_told(kit: GatewayKit, peer: Peer, edge: EdgeNode) -> None:
    with kit.running():
        device = Source("plant", "edge1", "press")
        peer.send(edge.nbirth())
        array = Metric("Temp", 20, datatype=DataType.FLOAT_ARRAY, value=Variant("bytes", bytes(8)))
        peer.send(edge.send(MessageType.DBIRTH, device, array))
        until(lambda: kit.problems, "the refusal to be told")
        until(lambda: named(kit, PRESS, "temperature.quality") == ["bad"], "the quality")
        assert "whole array" in str(kit.problems[0])
        peer.send(edge.send(MessageType.DDATA, device, metric("Temp", 7.0, edge.time)))
    assert json.dumps(named(kit, PRESS, "temperature")) == "[]"


def test_an_unreachable_broker_is_told_once(tmp_path: Path, broker: Mosquitto) -> None:
    broker.stop()
    kit = GatewayKit(tmp_path, source(broker, "5"))
    with kit.running(connect=False):
        until(lambda: kit.problems, "the problem")
        threading.Event().wait(0.3)
        assert len(kit.problems) == 1
        broker.start()
        until(kit.connectors[0].connected.is_set, "the connection")
