"""The MQTT connector with a real Mosquitto and a real publisher: nothing acknowledged is lost or doubled."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.edge.gatewaykit import KEY, GatewayKit
from tests.edge.mosquitto import Mosquitto, Publisher, until
from twinproof.edge.bridge import Tally
from twinproof.edge.mqtt import default_client_id
from twinproof.edge.session import MqttSession
from twinproof.edge.sinks import Refused
from twinproof.errors import OutOfScope
from twinproof.testing.edge import Fault
from twinproof.twin.statement import parse_statement

PUMP = "https://fleet.example/a/7"


def source(broker: Mosquitto, *, version: str = "5", more: str = "", broker_more: str = "") -> str:
    return f"""
[[mqtt]]
name = "plant"
{more}
[mqtt.broker]
host = "127.0.0.1"
port = {broker.port}
version = "{version}"
{broker_more}
[[mqtt.map]]
topic = "plant/{{line}}/{{machine}}/speed"
twin = "https://fleet.example/{{line}}/{{machine}}"
signals = [{{ name = "speed", unit = "1/min" }}]
[[mqtt.map]]
topic = "plant/{{line}}/{{machine}}/state"
twin = "https://fleet.example/{{line}}/{{machine}}"
payload = "json"
time = {{ at = "/ts", format = "ms" }}
signals = [{{ name = "state.{{line}}", at = "/n" }}]
"""


def state(number: int) -> str:
    return json.dumps({"ts": 1_700_000_000_000 + 1000 * number, "n": number})


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twinproof.edge.backoff.FIRST", 0.02)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    folder = tmp_path / "broker"
    folder.mkdir()
    made = Mosquitto(folder).start()
    yield made
    made.stop(signal.SIGKILL)


@pytest.fixture(params=["5", "3.1.1"])
def kit(request: pytest.FixtureRequest, tmp_path: Path, broker: Mosquitto) -> GatewayKit:
    return GatewayKit(tmp_path, source(broker, version=request.param))


@pytest.fixture
def publisher(broker: Mosquitto) -> Iterator[Publisher]:
    with closing(Publisher(broker)) as made:
        yield made


def test_what_is_published_is_in_the_log_in_order(kit: GatewayKit, publisher: Publisher) -> None:
    with kit.running():
        for number in range(500):
            publisher.publish("plant/a/7/speed", str(number))
            publisher.publish("plant/a/8/speed", str(-number))
        kit.expect(PUMP, list(range(500)))
        kit.expect("https://fleet.example/a/8", [-number for number in range(500)])
    assert {reading.unit for reading in kit.readings(PUMP)} == {"1/min"}
    assert not kit.problems


def test_it_signs_in_its_own_name_and_no_other(kit: GatewayKit, publisher: Publisher) -> None:
    with kit.running():
        publisher.publish("plant/a/7/speed", "1")
        kit.expect(PUMP, [1])
    (statement,) = kit.log.statements()
    assert (statement.issuer, statement.kid) == ("urn:dev:gateway-1#gateway", KEY.public.thumbprint)


# --- the log is away ------------------------------------------------------------------------


def queued_at(broker: Mosquitto, kit: GatewayKit) -> int:
    """Messages that Mosquitto holds for the gateway: what it would deliver to a gateway without a memory."""
    # A second look through the same session: as another client of the same name, which acknowledges nothing.
    source = kit.mapping.mqtt[0]
    session = MqttSession(
        source.broker, client_id=default_client_id(kit.mapping.gateway.issuer, "plant"), filters=source.filters
    )
    assert session.connect()
    found = []
    while messages := session.poll(0.3):
        found += messages
    session.drop()
    return len(found)


def test_nothing_is_acknowledged_before_the_log_has_it(
    kit: GatewayKit, broker: Mosquitto, publisher: Publisher
) -> None:
    with kit.running():
        publisher.publish("plant/a/7/speed", "1")
        kit.expect(PUMP, [1])
    kit.log.faults.extend([Fault.LOST_REQUEST] * 1000)
    with kit.running() as bridge:
        publisher.publish("plant/a/7/speed", "2")
        until(lambda: bridge.tally("plant").taken == 1, "the message")
        until(lambda: kit.log.calls > 3, "attempts to deliver")
    assert kit.values(PUMP) == [1]
    assert queued_at(broker, kit) == 1
    kit.log.faults.clear()
    with kit.running() as bridge:
        kit.expect(PUMP, [1, 2])
        until(lambda: bridge.tally("plant").repeated == 1, "the repetition")
    assert kit.values(PUMP) == [1, 2]
    assert queued_at(broker, kit) == 0


def test_a_source_may_acknowledge_what_is_on_its_disk(tmp_path: Path, broker: Mosquitto, publisher: Publisher) -> None:
    kit = GatewayKit(tmp_path, source(broker, more='acknowledge = "outbox"'))
    kit.log.faults.extend([Fault.LOST_REQUEST] * 1000)
    with kit.running() as bridge:
        publisher.publish("plant/a/7/speed", "2")
        until(lambda: bridge.tally("plant").taken == 1, "the message")
    assert queued_at(broker, kit) == 0
    kit.log.faults.clear()
    with kit.running():
        kit.expect(PUMP, [2])


def test_a_log_that_comes_and_goes(kit: GatewayKit, publisher: Publisher) -> None:
    kit.log.retry_after = 0.1
    with kit.running():
        for number in range(300):
            publisher.publish("plant/a/7/speed", str(number))
            if number % 50 == 25:
                kit.log.faults.extend([Fault.LOST_ANSWER, Fault.OVERLOADED, Fault.LOST_REQUEST, None])
        kit.expect(PUMP, list(range(300)))
    assert kit.values(PUMP) == list(range(300))


# --- the broker is away ---------------------------------------------------------------------


def test_a_broker_restarted_in_mid_stream(kit: GatewayKit, broker: Mosquitto, publisher: Publisher) -> None:
    with kit.running() as bridge:
        for number in range(400):
            publisher.publish("plant/a/7/state", state(number))
            if number in (100, 250):
                until(lambda: bridge.tally("plant").taken > 20, "the stream to run")
                broker.stop()
                broker.start()
        publisher.settle()
        kit.expect(PUMP, list(range(400)))
    assert kit.values(PUMP) == list(range(400))


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_a_broker_killed_and_back_from_its_last_save(
    tmp_path: Path, broker: Mosquitto, publisher: Publisher, version: str
) -> None:
    """It delivers anew, as new messages, what was acknowledged after the save; their own time tells."""
    kit = GatewayKit(tmp_path, source(broker, version=version, more="window = 5"))
    kit.log.faults.extend([Fault.LOST_REQUEST] * 100_000)
    with kit.running() as bridge:
        for number in range(60):
            publisher.publish("plant/a/7/state", state(number))
        publisher.settle()
        broker.save()
        kit.log.faults.clear()
        kit.expect(PUMP, list(range(60)))
        broker.stop(signal.SIGKILL)
        until(lambda: not kit.connectors[0].connected.is_set(), "the loss")
        broker.start()
        for number in range(60, 80):
            publisher.publish("plant/a/7/state", state(number))
        publisher.settle()
        kit.expect(PUMP, list(range(80)))
        until(lambda: bridge.tally("plant").repeated >= 40, "what comes anew")
    assert kit.values(PUMP) == list(range(80))


def test_a_publisher_that_repeats_itself(kit: GatewayKit, publisher: Publisher) -> None:
    """It cannot be told from one that measured the same value twice, unless the message carries its time."""
    with kit.running() as bridge:
        for number in (1, 1, 2, 1):
            publisher.publish("plant/a/7/state", state(number))
        for _ in range(3):
            publisher.publish("plant/a/7/speed", "5")
        kit.expect(PUMP, [1, 2, 5, 5, 5])
        assert bridge.tally("plant").repeated == 2


def _has_taken(tally: Tally, count: int) -> bool:
    return tally.taken >= count


def test_a_gateway_restarted_in_mid_stream(kit: GatewayKit, publisher: Publisher) -> None:
    total = 0
    with kit.running():
        pass
    for _ in range(4):
        kit.log.faults.extend([Fault.LOST_ANSWER, None, Fault.LOST_REQUEST])
        for number in range(total, total + 60):
            publisher.publish("plant/a/7/speed", str(number))
        total += 60
        with kit.running() as bridge:
            tally = bridge.tally("plant")
            until(partial(_has_taken, tally, 15), "some messages")
    publisher.settle()
    with kit.running():
        kit.expect(PUMP, list(range(total)))
    assert kit.values(PUMP) == list(range(total))


def test_messages_of_a_time_without_the_gateway_wait_at_the_broker(kit: GatewayKit, publisher: Publisher) -> None:
    with kit.running():
        publisher.publish("plant/a/7/speed", "0")
        kit.expect(PUMP, [0])
    for number in range(1, 200):
        publisher.publish("plant/a/7/speed", str(number))
    publisher.settle()
    with kit.running():
        kit.expect(PUMP, list(range(200)))


# --- what is not recorded -------------------------------------------------------------------


def test_a_message_that_cannot_be_understood_holds_nothing_up(kit: GatewayKit, publisher: Publisher) -> None:
    with kit.running() as bridge:
        for payload in ("1", "warm", "2", "", "NaN", "3"):
            publisher.publish("plant/a/7/speed", payload)
        publisher.publish("plant/a//speed", "4")
        publisher.publish("plant/a/7/state", '{"n": 1}')
        publisher.publish("plant/a/7/speed", "5")
        kit.expect(PUMP, [1, 2, 3, 5])
        assert bridge.tally("plant").rejected == 5
    said = "\n".join(map(str, kit.problems))
    assert "'plant/a/7/speed' is not recorded: speed: 'warm' is not a decimal number" in said
    assert "'plant/a//speed' is not recorded: machine: is empty" in said
    assert "time: there is none at /ts" in said


@pytest.mark.parametrize("retained", [False, True])
def test_retained_messages_are_recorded_if_asked(
    tmp_path: Path, broker: Mosquitto, publisher: Publisher, retained: bool
) -> None:
    publisher.publish("plant/a/7/state", state(1), retain=True)
    publisher.settle()
    for version in ("5", "3.1.1"):
        folder = tmp_path / version
        folder.mkdir()
        settings = source(
            broker, version=version, more=f"retained = {str(retained).lower()}", broker_more=f'client_id = "{version}"'
        )
        kit = GatewayKit(folder, settings)
        for _ in range(2):
            with kit.running():
                publisher.publish("plant/a/7/state", state(2))
                kit.expect(PUMP, [1, 2] if retained else [2])
        assert kit.values(PUMP) == ([1, 2] if retained else [2])


def test_one_twin_without_a_grant_does_not_hold_up_the_others(
    tmp_path: Path, broker: Mosquitto, publisher: Publisher
) -> None:
    kit = GatewayKit(tmp_path, source(broker, more="window = 4"))

    class Strict:
        """A log in which machine 8 is out of the gateway's scope."""

        head = kit.log.head

        def send(self, statements: Any) -> Any:
            return [
                Refused(OutOfScope.code, "no")
                if parse_statement(raw).subject.endswith("/8")
                else kit.log.send([raw])[0]
                for raw in statements
            ]

    with kit.running(sink=Strict()):
        for number in range(40):
            publisher.publish("plant/a/8/speed", str(number))
            publisher.publish("plant/a/7/speed", str(number))
        kit.expect(PUMP, list(range(40)))
    assert [problem.code for problem in kit.problems] == ["stream-stopped"]


def test_a_full_outbox_leaves_messages_with_the_broker(tmp_path: Path, broker: Mosquitto, publisher: Publisher) -> None:
    text = source(broker).replace('"speed", unit = "1/min"', '"speed", type = "text"')
    kit = GatewayKit(tmp_path, text, gateway="outbox_mib = 1\n")
    kit.log.faults.extend([Fault.LOST_REQUEST] * 100_000)
    long = "x" * 30_000
    with kit.running():
        for number in range(60):
            publisher.publish("plant/a/7/speed", f"{number} {long}")
        until(lambda: any(problem.code == "overloaded" for problem in kit.problems), "a full outbox")
        kit.log.faults.clear()
        until(lambda: len(kit.values(PUMP)) == 60, "everything")
    assert [value.split()[0] for value in kit.values(PUMP)] == [str(number) for number in range(60)]
