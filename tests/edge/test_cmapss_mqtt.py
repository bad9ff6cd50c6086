"""C-MAPSS flights through a real broker end in the same state as by import."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import closing
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from tests.edge.gatewaykit import GatewayKit
from tests.edge.mosquitto import Mosquitto, Publisher, until
from twinproof.cli.cmapss_mqtt import format_source, publish
from twinproof.exchange.cmapss.files import read_snapshots
from twinproof.exchange.cmapss.layout import Snapshot, device_iri, snapshot_payload, twin_iri
from twinproof.proof.keys import EDDSA, PrivateKey
from twinproof.twin.state import TwinState
from twinproof.twin.statement import Statement, parse_statement, sign_statement

UNITS = 4
BASE = "https://twin.example/engine/"
START = 1_199_145_600
DAY = 86_400
Engines = dict[int, list[Snapshot]]


@pytest.fixture(scope="module")
def engines(shared: Path) -> Engines:
    found: Engines = {}
    rows = read_snapshots(shared / "data" / "cmapss" / "train_FD001.txt.gz")
    for snapshot in takewhile(lambda each: each.unit <= UNITS, rows):
        found.setdefault(snapshot.unit, []).append(snapshot)
    return found


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    folder = tmp_path / "broker"
    folder.mkdir()
    made = Mosquitto(folder).start()
    yield made
    made.stop(signal.SIGKILL)


def imported(unit: int, rows: list[Snapshot]) -> list[Statement]:
    """The statements that an import makes of an engine."""
    key = PrivateKey(EDDSA, bytes(31) + bytes([unit]))
    made: list[Statement] = []
    for seq, snapshot in enumerate(rows):
        kind, payload = snapshot_payload(snapshot, START + (snapshot.cycle - 1) * DAY)
        raw = sign_statement(
            key,
            issuer=device_iri("FD001", unit),
            subject=twin_iri(BASE, "FD001", unit),
            content_type=kind,
            payload=payload,
            seq=seq,
            prev=made[-1].digest if made else None,
            issued_at=1_700_000_000,
        )
        made.append(parse_statement(raw))
    return made


def fold(statements: list[Statement]) -> TwinState:
    state = TwinState(statements[0].subject)
    for index, statement in enumerate(statements):
        state.apply(index, statement)
    return state


def readings(state: TwinState) -> dict[str, Any]:
    """Everything of the state that does not name the entry that it is from."""
    return {name: (latest.value, latest.unit, latest.time) for name, latest in state.readings.items()}


def logged(kit: GatewayKit, subject: str) -> list[Statement]:
    return [statement for statement in kit.log.statements() if statement.subject == subject]


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_unsigned_flights_end_in_the_same_state(
    tmp_path: Path, broker: Mosquitto, engines: Engines, version: str
) -> None:
    text = format_source("127.0.0.1", broker.port).replace("[[mqtt.map]]", f'version = "{version}"\n[[mqtt.map]]')
    kit = GatewayKit(tmp_path, text)
    flights = sum(map(len, engines.values()))
    with kit.running() as bridge:
        assert publish("127.0.0.1", broker.port, "FD001", engines, START, None, lambda done, total: None) == flights
        until(lambda: bridge.tally("cmapss").taken == flights, "all flights")
    for unit, rows in engines.items():
        state, expected = fold(logged(kit, twin_iri(BASE, "FD001", unit))), fold(imported(unit, rows))
        assert readings(state) == readings(expected)
        assert len(kit.readings(twin_iri(BASE, "FD001", unit))) == 25 * len(rows)


def test_signed_flights_end_in_the_same_bytes(tmp_path: Path, broker: Mosquitto, engines: Engines) -> None:
    kit = GatewayKit(
        tmp_path,
        f"""
[[mqtt]]
name = "signed"
broker = {{ host = "127.0.0.1", port = {broker.port} }}
[[mqtt.map]]
topic = "signed/{{unit}}"
twin = "{BASE}FD001-{{unit}}"
payload = "statement"
""",
    )
    histories = {unit: imported(unit, rows) for unit, rows in engines.items()}
    for unit in histories:
        public = PrivateKey(EDDSA, bytes(31) + bytes([unit])).public
        kit.log.keys[public.thumbprint] = public
    total = sum(map(len, histories.values()))
    with kit.running(), closing(Publisher(broker)) as publisher:
        for unit, statements in histories.items():
            for statement in statements:
                publisher.publish(f"signed/{unit:03d}", statement.raw)
        until(lambda: len(kit.log.entries) == total + 1, "all flights")
    for unit, statements in histories.items():
        found = logged(kit, twin_iri(BASE, "FD001", unit))
        assert found == statements
        assert fold(found).to_cbor() == fold(statements).to_cbor()
    assert kit.problems == []
