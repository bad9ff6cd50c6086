"""The OPC UA connector with a real asyncua server: 500 changing nodes, status codes, a killed server, certificates."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import asyncua.ua
import pytest
from asyncua.crypto.cert_gen import setup_self_signed_certificate
from asyncua.ua.uaerrors import BadMessageNotAvailable
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.edge.gatewaykit import KEY, GatewayKit
from tests.edge.mosquitto import free_port, until
from tests.edge.opcua.server import NODES, START, Server
from twinproof.edge.gateway import open_bridge
from twinproof.edge.monitored import read_change
from twinproof.edge.opcua import OpcuaConnector
from twinproof.edge.quality import Quality
from twinproof.errors import ConfigError
from twinproof.testing.edge import Fault
from twinproof.twin.attestation import RESUME, parse_resume

ua: Any = asyncua.ua
"""Its types are too strict about plain numbers and times, which it takes."""

PLANT = "https://fleet.example/plant"
BAD = 0x80310000  # BadNoCommunication
UNCERTAIN = 0x40900000  # UncertainLastUsableValue


def source(server: Server, rules: str, *, more: str = "", security: str = 'security = "none"') -> str:
    return f"""
[[opcua]]
name = "line1"
url = "{server.url}"
publishing_interval = 50
sampling_interval = 0
{security}
{more}
{rules}
"""


def rule(signals: str, twin: str = PLANT, more: str = "") -> str:
    return f'[[opcua.map]]\ntwin = "{twin}"\nsignals = [{signals}]\n{more}\n'


def number(at: int, **more: Any) -> str:
    extra = "".join(f", {key} = {value}" for key, value in more.items())
    return f'{{ name = "n{at}", at = "ns=2;s=n{at}"{extra} }}'


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twinproof.edge.backoff.FIRST", 0.02)
    monkeypatch.setattr("twinproof.edge.quality.LOSSES_EVERY", 0.0)


@pytest.fixture(scope="module")
def running_server() -> Iterator[Server]:
    made = Server(free_port()).start()
    yield made
    made.kill()


@pytest.fixture
def server(running_server: Server) -> Server:
    """One server for all, for it takes seconds to start; as new for each test."""
    running_server.restore()
    return running_server


def losses(kit: GatewayKit, subject: str = PLANT) -> list[str]:
    return [
        parse_resume(item.payload).reason
        for item in kit.log.statements()
        if item.subject == subject and item.content_type == RESUME
    ]


def named(kit: GatewayKit, name: str, subject: str = PLANT) -> list[Any]:
    return [reading.value for reading in kit.readings(subject) if reading.name == name]


def test_500_changing_nodes_each_change_once(server: Server, tmp_path: Path) -> None:
    numbers = ", ".join(number(at, unit='"Cel"') for at in range(NODES))
    kit = GatewayKit(tmp_path, source(server, rule(numbers)))
    turns = 10
    with kit.running():
        until(lambda: len(kit.values(PLANT)) >= NODES, "the first values")
        server.tell(sweep=turns, pause=0.1)
        until(lambda: len(kit.values(PLANT)) >= NODES * (turns + 1), "every change")
    found: dict[str, list[tuple[Any, float]]] = {}
    for reading in kit.readings(PLANT):
        found.setdefault(reading.name, []).append((reading.value, reading.time))
        assert reading.unit == "Cel"
    assert found == {
        f"n{at}": [(-1.0, START - 1), *((float(turn * 1000 + at), START + turn) for turn in range(turns))]
        for at in range(NODES)
    }
    assert losses(kit) == []
    assert not kit.problems


def test_a_killed_server_is_found_again_and_the_gap_is_told(server: Server, tmp_path: Path) -> None:
    kit = GatewayKit(tmp_path, source(server, rule(", ".join(number(at) for at in range(50)), more='quality = ".q"')))
    with kit.running():
        connector = kit.connectors[0]
        server.tell(sweep=2)
        until(lambda: named(kit, "n7")[-1:] == [1007.0], "values")
        server.kill()
        until(lambda: not connector.connected.is_set(), "the loss of the connection")
        until(lambda: named(kit, "n7.q") == ["good", "stale"], "staleness")
        server.start()
        until(connector.connected.is_set, "the gateway to connect")
        server.tell(sweep=2, first=5)
        until(lambda: named(kit, "n7")[-1:] == [6007.0], "values after the restart")
        until(lambda: losses(kit), "the loss to be told")
    for at in range(50):
        values = named(kit, f"n{at}")
        assert [value for value in values if value >= 0] == [float(turn * 1000 + at) for turn in (0, 1, 5, 6)]
        # The server began again at -1 with the time it had before; that is said once or twice, never more.
        assert values.count(-1.0) <= 2
        assert named(kit, f"n{at}.q") == ["good", "stale", "good", "stale"]
    [loss] = losses(kit)
    assert "line1: not connected from 20" in loss
    assert [problem.code for problem in kit.problems] == ["unreachable"]


def test_a_gateway_that_was_away_says_so(server: Server, tmp_path: Path) -> None:
    kit = GatewayKit(tmp_path, source(server, rule(number(1))))
    with kit.running():
        until(lambda: named(kit, "n1") == [-1.0], "the first value")
    assert losses(kit) == []
    server.tell(set={"n1": 1.0})
    with kit.running():
        until(lambda: named(kit, "n1") == [-1.0, 1.0], "the value of now")
        until(lambda: losses(kit), "the loss to be told")
    assert "the gateway was not running" in losses(kit)[0]


def test_status_codes(server: Server, tmp_path: Path) -> None:
    kit = GatewayKit(tmp_path, source(server, rule(number(1), more='quality = ".quality"')))
    with kit.running():
        until(lambda: named(kit, "n1") == [-1.0], "the first value")
        steps = [(1.0, 0), (2.0, BAD), (3.0, UNCERTAIN), (4.0, 0)]
        for turn, (value, status) in enumerate(steps):
            server.tell(set={"n1": value}, time=START + turn, status=status)
            threading.Event().wait(0.15)
        until(lambda: named(kit, "n1")[-1:] == [4.0], "the last value")
    assert named(kit, "n1") == [-1.0, 1.0, 3.0, 4.0]
    qualities = [(r.value, r.time) for r in kit.readings(PLANT) if r.name == "n1.quality"]
    assert qualities[:-1] == [
        ("good", START - 1),
        ("bad", START + 1),
        ("uncertain", START + 2),
        ("good", START + 3),
    ]
    assert qualities[-1][0] == "stale"


def test_types_scales_and_what_cannot_be_recorded(server: Server, tmp_path: Path) -> None:
    signals = ", ".join(
        (
            number(1, scale=2, offset=5),
            '{ name = "text", at = "ns=2;s=text", type = "text" }',
            '{ name = "on", at = "ns=2;s=on", type = "boolean" }',
            '{ name = "list", at = "ns=2;s=list" }',
            '{ name = "gone", at = "ns=2;s=gone" }',
        )
    )
    kit = GatewayKit(tmp_path, source(server, rule(signals, more='quality = ".q"')))
    with kit.running():
        until(lambda: len(kit.problems) >= 2, "the refusals")
        until(lambda: named(kit, "list.q") == ["bad"] and named(kit, "gone.q") == ["bad"], "their quality")
    assert named(kit, "n1") == [3.0]
    assert (named(kit, "text"), named(kit, "on"), named(kit, "list")) == (["a"], [False], [])
    words = " ".join(map(str, kit.problems))
    assert "list" in words
    assert "BadNodeIdUnknown" in words


def test_refused_nodes_are_tried_again(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twinproof.edge.opcua.RETRY_ITEMS", 0.2)
    kit = GatewayKit(tmp_path, source(server, rule(f'{number(1)}, {{ name = "gone", at = "ns=2;s=gone" }}')))
    with kit.running():
        until(lambda: len(kit.problems) >= 3, "three attempts")
        server.tell(set={"n1": 8.0})
        until(lambda: named(kit, "n1")[-1:] == [8.0], "the other node")


def test_an_absolute_deadband(server: Server, tmp_path: Path) -> None:
    kit = GatewayKit(tmp_path, source(server, rule(number(1), more="deadband = 5") + rule(number(2))))
    with kit.running():
        until(lambda: len(kit.values(PLANT)) == 2, "the first values")
        for turn, value in enumerate((3.0, 10.0, 12.0, 30.0)):
            server.tell(set={"n1": value, "n2": value}, time=START + turn)
        until(lambda: named(kit, "n2")[-1:] == [30.0], "all values")
        until(lambda: named(kit, "n1")[-1:] == [30.0], "all values")
    assert named(kit, "n2") == [-1.0, 3.0, 10.0, 12.0, 30.0]
    assert len(named(kit, "n1")) < 5


def test_an_overtaxed_log_and_outbox_lose_nothing(server: Server, tmp_path: Path) -> None:
    kit = GatewayKit(tmp_path, source(server, rule(", ".join(number(at) for at in range(20)))))
    kit.log.retry_after = 0.1
    kit.log.faults.extend([Fault.OVERLOADED, Fault.LOST_ANSWER, Fault.LOST_REQUEST] * 3)
    with kit.running():
        until(kit.connectors[0].connected.is_set, "the connection")
        server.tell(sweep=10, pause=0.06)
        until(lambda: len(kit.values(PLANT)) == 220, "all values")
    assert losses(kit) == []


def test_a_full_queue_in_memory_is_a_loss_that_is_told(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twinproof.edge.opcua.MAX_WAITING", 10)
    kit = GatewayKit(tmp_path, source(server, rule(", ".join(number(at) for at in range(100)))))
    with kit.running():
        until(lambda: losses(kit), "the loss to be told")
        assert "queue ran over" in losses(kit)[0]
        assert 10 <= len(kit.values(PLANT)) < 100


def test_an_unreachable_server_is_told_once(server: Server, tmp_path: Path) -> None:
    server.kill()
    kit = GatewayKit(tmp_path, source(server, rule(number(1))))
    with kit.running(connect=False):
        until(lambda: kit.problems, "the problem")
        threading.Event().wait(0.3)
        assert [problem.code for problem in kit.problems] == ["unreachable"]
        server.start()
        until(kit.connectors[0].connected.is_set, "the connection")
        until(lambda: named(kit, "n1") == [-1.0], "the value")
    assert losses(kit) == []


# --- security -------------------------------------------------------------------------------


async def _certificate(folder: Path, name: str, uri: str) -> tuple[Path, Path]:
    key, cert = folder / f"{name}.pem", folder / f"{name}.der"
    usages = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
    await setup_self_signed_certificate(key, cert, uri, "localhost", usages, {})
    return key, cert


@pytest.fixture
def certificates(tmp_path: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for name, uri in (("server", "urn:freeopcua:python:server"), ("client", "urn:test:client"), ("other", "urn:x")):
        found[f"{name}_key"], found[name] = asyncio.run(_certificate(tmp_path, name, uri))
    return found


def secured(server: Server, files: dict[str, Path], server_cert: str) -> str:
    paths = {"cert": files["client"], "key": files["client_key"], "server_cert": files[server_cert]}
    keys = "".join(f'{key} = "{path}"\n' for key, path in paths.items())
    return source(server, rule(number(1)), security=f'{keys}application_uri = "urn:test:client"')


@pytest.fixture
def secured_server(certificates: dict[str, Path]) -> Iterator[Server]:
    made = Server(free_port(), str(certificates["server"]), str(certificates["server_key"])).start()
    yield made
    made.kill()


def test_signed_and_encrypted(secured_server: Server, tmp_path: Path, certificates: dict[str, Path]) -> None:
    kit = GatewayKit(tmp_path, secured(secured_server, certificates, "server"))
    with kit.running():
        until(lambda: named(kit, "n1") == [-1.0], "the value")
    assert not kit.problems


def test_a_server_with_another_certificate_is_not_believed(
    secured_server: Server, tmp_path: Path, certificates: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twinproof.edge.opcua.REQUEST_TIMEOUT", 2.0)
    kit = GatewayKit(tmp_path, secured(secured_server, certificates, "other"))
    with kit.running(connect=False):
        until(lambda: kit.problems, "the refusal")
        assert not kit.connectors[0].connected.is_set()
    assert kit.values(PLANT) == []


def test_a_secured_server_takes_no_plain_connection(secured_server: Server, tmp_path: Path) -> None:
    kit = GatewayKit(tmp_path, source(secured_server, rule(number(1))))
    with kit.running(connect=False):
        until(lambda: kit.problems, "the server's refusal")
    assert kit.values(PLANT) == []


@pytest.mark.parametrize("missing", ["cert", "key", "server_cert"])
def test_security_needs_all_of_its_files(tmp_path: Path, missing: str) -> None:
    keys = "".join(f'{key} = "x"\n' for key in ("cert", "key", "server_cert") if key != missing)
    kit = GatewayKit(tmp_path, source(Server(9), rule(number(1)), security=keys))
    with pytest.raises(ConfigError, match=missing), kit.running():
        pass


def test_a_node_id_that_is_none(tmp_path: Path) -> None:
    kit = GatewayKit(tmp_path, source(Server(9), rule('{ name = "x", at = "Line1.Speed" }')))
    with pytest.raises(ConfigError, match="node id"), kit.running():
        pass


# --- messages that a good server does not send ---


class Republisher:
    """The part of a client that is asked for lost messages."""

    def __init__(self, kept: dict[int, Any]) -> None:
        self.kept = kept
        self.asked: list[int] = []
        self.uaclient = SimpleNamespace(session=self)

    async def republish(self, _subscription: int, number: int) -> Any:
        self.asked.append(number)
        if number not in self.kept:
            raise BadMessageNotAvailable
        return self.kept[number]


def message(at: int, value: float | None, status: int = 0) -> Any:
    """The at-th message: node 1 changed. None: a keep-alive."""
    if value is None:
        return ua.NotificationMessage(SequenceNumber=at)
    stamp = datetime.fromtimestamp(START + at, UTC)
    variant = ua.Variant(value, ua.VariantType.Double)
    data = ua.DataValue(Value=variant, StatusCode=ua.StatusCode(status), SourceTimestamp=stamp)
    changed = ua.DataChangeNotification(MonitoredItems=[ua.MonitoredItemNotification(ClientHandle=1, Value=data)])
    return ua.NotificationMessage(SequenceNumber=at, NotificationData=[changed])


def deliver(kit: GatewayKit, client: Any, *messages: Any) -> None:
    """Give the messages to a connector, and what it makes of them to the log."""
    with open_bridge(kit.mapping.gateway, KEY, kit.problems.append, sink=kit.log) as bridge:
        connector = OpcuaConnector(kit.mapping.opcua[0], bridge)

        async def run() -> None:
            for each in messages:
                await connector._published(client, ua.PublishResult(SubscriptionId=5, NotificationMessage=each))
            await connector._keep(all_losses=True)

        asyncio.run(run())


@pytest.fixture
def lone(tmp_path: Path) -> GatewayKit:
    return GatewayKit(tmp_path, source(Server(9), rule(number(1), more='quality = ".q"')))


def test_an_overflow_bit_is_a_loss(lone: GatewayKit) -> None:
    deliver(lone, Republisher({}), message(1, 1.0), message(2, 2.0, 0x480))
    assert named(lone, "n1") == [1.0, 2.0]
    assert "n1: the server's queue ran over" in losses(lone)[0]


def test_missing_messages_are_fetched(lone: GatewayKit) -> None:
    client = Republisher({2: message(2, 2.0), 3: message(3, 3.0)})
    deliver(lone, client, message(1, 1.0), message(4, 4.0))
    assert client.asked == [2, 3]
    assert named(lone, "n1") == [1.0, 2.0, 3.0, 4.0]
    assert losses(lone) == []


def test_messages_that_cannot_be_fetched_are_losses(lone: GatewayKit) -> None:
    client = Republisher({3: message(3, 3.0)})
    deliver(lone, client, message(1, 1.0), message(4, 4.0))
    assert named(lone, "n1") == [1.0, 3.0, 4.0]
    assert "message 2 of the server is missing" in losses(lone)[0]


def test_a_keep_alive_tells_of_a_missing_message_too(lone: GatewayKit) -> None:
    client = Republisher({2: message(2, 2.0)})
    deliver(lone, client, message(1, 1.0), message(2, None), message(3, None), message(3, 3.0))
    assert client.asked == [2]
    assert named(lone, "n1") == [1.0, 2.0, 3.0]


def test_what_the_server_says_again_is_recorded_once(lone: GatewayKit) -> None:
    again = message(2, None)
    again.NotificationData = message(1, 1.0).NotificationData
    deliver(lone, Republisher({}), message(1, 1.0), again)
    assert named(lone, "n1") == [1.0]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_is_bad(lone: GatewayKit, value: float) -> None:
    deliver(lone, Republisher({}), message(1, 1.0), message(2, value))
    assert (named(lone, "n1"), named(lone, "n1.q")) == ([1.0], ["good", "bad"])


# --- values ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "quality", "overflow", "kept"),
    [
        (0, Quality.GOOD, False, True),
        (0x480, Quality.GOOD, True, True),
        (0x40900480, Quality.UNCERTAIN, True, True),
        (0x80, Quality.GOOD, False, True),  # the bit without its info type
        (0x880, Quality.GOOD, False, True),
        (BAD, Quality.BAD, False, False),
        (BAD | 0x480, Quality.BAD, True, False),
        (0xC0000000, Quality.BAD, False, False),
    ],
)
def test_reading_status_codes(status: int, quality: Quality, overflow: bool, kept: bool) -> None:
    data = ua.DataValue(Value=ua.Variant(5.0, ua.VariantType.Double), StatusCode=ua.StatusCode(status))
    change = read_change(data, START)
    assert (change.quality, change.overflow, change.value is not None, change.time) == (quality, overflow, kept, START)


def test_reading_values_and_times() -> None:
    server = datetime.fromtimestamp(START, UTC)
    naive = server.replace(tzinfo=None)
    data = ua.DataValue(Value=ua.Variant(naive, ua.VariantType.DateTime), ServerTimestamp=server)
    assert read_change(data, 0.0)[:2] == (server.isoformat(), START)
    assert read_change(ua.DataValue(Value=ua.Variant(1.0), SourceTimestamp=naive), 0.0).time == START
    text = ua.Variant(ua.LocalizedText("warm", "en"), ua.VariantType.LocalizedText)
    assert read_change(ua.DataValue(Value=text), START).value == "warm"
    assert read_change(ua.DataValue(), START) == (None, START, Quality.BAD, False)
