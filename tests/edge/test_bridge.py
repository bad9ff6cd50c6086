"""What connectors share: one transaction or nothing, once, settled when the log has it, and whose mark it is."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.edge.device import Device, readings_of
from tests.edge.gatewaykit import ISSUER, KEY
from tests.edge.mosquitto import until
from twinproof.edge.arrivals import GatewayOutbox
from twinproof.edge.bridge import Arrival, Bridge, Receipt, identify
from twinproof.edge.carrier import Carrier
from twinproof.edge.marking import check_gateway_iri, is_gateway_signed
from twinproof.edge.outbox import Outbox
from twinproof.edge.recorder import Recorder
from twinproof.edge.selection import Selected, observe
from twinproof.errors import Malformed, Overloaded, StorageFailed, TwinproofError
from twinproof.proof import cbor
from twinproof.proof.keys import EDDSA, PrivateKey
from twinproof.testing.clock import ManualClock
from twinproof.testing.edge import FakeLog, Fault
from twinproof.twin.description import DESCRIPTION, parse_description
from twinproof.twin.senml import SENML
from twinproof.twin.statement import Statement, parse_statement, sign_statement

TWIN = "https://fleet.example/7"
DEVICE = PrivateKey(EDDSA, bytes(31) + b"\x07")


class Plant:
    """A bridge and a log on one clock that stands still; nothing runs in the background."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self.clock = ManualClock()
        keys = {key.public.thumbprint: key.public for key in (KEY, DEVICE)}
        self.log = FakeLog(keys, clock=self.clock)
        self.problems: list[TwinproofError] = []
        self.settings = settings
        self.boot()

    def boot(self) -> None:
        settings = dict(self.settings)
        self.outbox = GatewayOutbox(self.folder / "gateway.outbox", **settings.pop("outbox", {}))
        self.bridge = Bridge(
            KEY,
            ISSUER,
            self.outbox,
            self.log,
            on_problem=self.problems.append,
            clock=self.clock,
            monotonic=self.clock,
            **settings,
        )
        self.carrier = Carrier(
            self.outbox, self.log, log_keys=[self.log.key], tell=self.problems.append, jitter=lambda: 0.0
        )

    def take(self, *arrivals: Arrival, remember: int = 100) -> list[Receipt]:
        return self.bridge.take("plant", "mqtt", arrivals, remember=remember)

    def deliver(self) -> None:
        self.bridge.recorder.flush()
        for _ in range(20):
            self.clock.advance(self.bridge.recorder.pump().wait)
            self.carrier.pump()

    def values(self) -> list[Any]:
        return [reading.value for statement in self.log.statements() for reading in readings_of(statement)]


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    made = Plant(tmp_path)
    yield made
    made.outbox.close()


def arrival(value: float, packet: int | None = None, *, again: bool = False, timed: bool = False) -> Arrival:
    observation = observe(TWIN, {"x": value}, {}, 1_700_000_000.0)
    return Arrival(Selected((observation,), timed=timed), identify(b"topic", str(value).encode()), packet, again)


# --- once -----------------------------------------------------------------------------------


def test_a_repetition_is_known_by_packet_and_content(plant: Plant) -> None:
    plant.take(arrival(1, 5))
    plant.take(arrival(1, 5, again=True))  # the same, delivered again
    plant.take(arrival(1, 5))  # not marked: the broker gave the identifier to a message that says the same
    plant.take(arrival(2, 5, again=True))  # marked, but another message: the first delivery did not reach us
    plant.take(arrival(1, 5, again=True))  # 1 was acknowledged long ago, or 2 could not have had its identifier
    plant.take(arrival(1, 6, again=True))
    plant.deliver()
    assert plant.values() == [1, 1, 2, 1, 1]


def test_what_was_taken_is_known_after_a_crash(plant: Plant) -> None:
    plant.take(arrival(1, 5), arrival(2, 6, timed=True))
    plant.outbox.close()
    plant.boot()
    plant.take(arrival(1, 5, again=True), arrival(2, 9, timed=True))
    plant.deliver()
    assert plant.values() == [1, 2]


def test_a_lost_session_starts_over(plant: Plant) -> None:
    plant.take(arrival(1, 5))
    plant.outbox.forget_packets("another")
    assert plant.outbox.came_again("plant", 5, arrival(1).digest)
    plant.outbox.forget_packets("plant")
    plant.take(arrival(1, 5, again=True))
    plant.deliver()
    assert plant.values() == [1, 1]


def test_messages_with_their_own_time_are_remembered_up_to_the_limit(plant: Plant) -> None:
    plant.take(arrival(1, timed=True), arrival(1, timed=True), arrival(2, timed=True))
    for number in range(3, 15):
        plant.take(arrival(number, timed=True))
    plant.outbox.forget_heard("plant", 10)
    plant.take(arrival(14, timed=True), arrival(5, timed=True), arrival(1, timed=True))
    plant.deliver()
    assert plant.values() == [*range(1, 15), 1]


def test_without_a_memory_nothing_is_known_again(plant: Plant) -> None:
    plant.take(arrival(1, timed=True), arrival(1, timed=True), remember=0)
    plant.deliver()
    assert plant.values() == [1, 1]


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 3), st.booleans()), max_size=12))
def test_sessions_against_a_model_of_the_broker(steps: list[tuple[int, int, bool]]) -> None:
    """A broker delivers a message under a free identifier, again until acknowledged, and loses acknowledgements."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        plant = Plant(Path(folder))
        in_flight: dict[int, float] = {}
        sent: list[float] = []
        for number, (acknowledged, packet, crash) in enumerate(steps):
            if packet in in_flight:
                plant.take(arrival(in_flight[packet], packet, again=True))
                if acknowledged:
                    del in_flight[packet]
            else:
                value = float(number // 4)  # values repeat, as readings do
                in_flight[packet] = value
                # If the first delivery is lost on the way, only the second one, marked, arrives.
                sent.append(value)
                plant.take(arrival(value, packet))
            if crash:
                plant.outbox.close()
                plant.boot()
        plant.deliver()
        plant.outbox.close()
        assert plant.values() == sent


# --- all or nothing -------------------------------------------------------------------------


def test_a_disk_that_fails_anywhere_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The n-th write fails, for each n: nothing is kept, and the same arrivals can be taken again."""
    failures = 0
    for number in range(1, 48):
        folder = tmp_path / str(number)
        folder.mkdir()
        plant = Plant(folder, batch=3)
        plant.take(arrival(0))
        plant.bridge.recorder.pump()
        before = plant.outbox.undelivered_bytes
        batch = [arrival(value, value, timed=True) for value in range(1, 6)]
        plant.outbox._db = _Failing(plant.outbox._db, number)  # type: ignore[assignment]
        failed = False
        try:
            plant.take(*batch)
        except StorageFailed:
            failed = True
        plant.outbox._db = plant.outbox._db._db  # type: ignore[attr-defined]
        if failed:
            failures += 1
            assert plant.outbox.undelivered_bytes == before
            plant.take(*batch)
        plant.deliver()
        assert plant.values() == [0, 1, 2, 3, 4, 5], number
        assert plant.outbox.undelivered_bytes == 0
        plant.outbox.close()
    assert 20 < failures < 47


class _Failing:
    """A database whose n-th write fails."""

    def __init__(self, db: sqlite3.Connection, number: int) -> None:
        self._db = db
        self._left = number

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)

    def execute(self, sql: str, *values: Any) -> Any:
        self._count(sql)
        return self._db.execute(sql, *values)

    def executemany(self, sql: str, *values: Any) -> Any:
        self._count(sql)
        return self._db.executemany(sql, *values)

    def _count(self, sql: str) -> None:
        if sql.split()[0] in ("INSERT", "UPDATE", "DELETE", "COMMIT"):
            self._left -= 1
            if self._left == 0:
                raise sqlite3.OperationalError("disk I/O error")


def test_a_full_outbox_takes_nothing_of_a_call(tmp_path: Path) -> None:
    plant = Plant(tmp_path, outbox={"max_bytes": 500})
    with pytest.raises(Overloaded):
        plant.take(*[arrival(number) for number in range(100)])
    assert plant.outbox.undelivered_bytes == 0
    plant.take(arrival(1))
    plant.deliver()
    assert plant.values() == [1]
    plant.outbox.close()


def test_what_also_stores_is_part_of_it(plant: Plant) -> None:
    def fail() -> None:
        plant.outbox.note_progress("file", 3, b"x")
        raise StorageFailed("gone")

    with pytest.raises(StorageFailed):
        plant.bridge.take("file", "file", [arrival(1)], also=fail)
    assert plant.outbox.progress("file") == (0, b"")
    plant.deliver()
    assert plant.values() == []


# --- settled --------------------------------------------------------------------------------


def test_a_receipt_is_settled_when_the_log_has_it(plant: Plant) -> None:
    receipts = plant.take(arrival(1), arrival(2))
    assert plant.bridge.settled(receipts) == 0
    plant.log.faults.append(Fault.LOST_REQUEST)
    plant.bridge.close_due(receipts, now=True)
    plant.bridge.recorder.pump()
    assert plant.bridge.settled(receipts) == 0
    later = plant.take(arrival(3))
    plant.deliver()
    assert plant.bridge.settled([*receipts, *later]) == 3


def test_receipts_settle_in_order(plant: Plant) -> None:
    first = plant.take(arrival(1))
    plant.deliver()
    second = plant.take(arrival(2))
    assert plant.bridge.settled([*first, *second]) == 1
    assert plant.bridge.settled([*second, *first]) == 0
    assert plant.bridge.settled([Receipt(), *first]) == 2


def test_a_repetition_is_settled_no_sooner_than_the_first(plant: Plant) -> None:
    plant.take(arrival(1, 5))
    again = plant.take(arrival(1, 5, again=True))
    assert plant.bridge.settled(again) == 0
    plant.deliver()
    assert plant.bridge.settled(again) == 1


def test_what_waits_behind_a_refusal_is_settled_and_kept(plant: Plant) -> None:
    plant.log.refuses[0] = Malformed("x", "no")
    receipts = plant.take(arrival(1))
    plant.deliver()
    assert plant.bridge.settled(receipts) == 1
    assert plant.outbox.undelivered_bytes > 0
    assert [problem.code for problem in plant.problems] == ["stream-stopped"]
    plant.log.refuses.clear()
    plant.bridge.recorder.retry(TWIN)
    plant.deliver()
    assert plant.values() == [1]


def test_a_batch_is_closed_in_the_background_when_it_is_due(device: Device, tmp_path: Path) -> None:
    log = FakeLog({KEY.public.thumbprint: KEY.public}, clock=time.time)
    with Outbox(tmp_path / "x.outbox") as outbox, Recorder(KEY, ISSUER, outbox, log, interval=0.05) as recorder:
        stream = recorder.twin(TWIN)
        until(lambda: stream.ready, "the log's answer")
        stream.record({"x": 1.0})
        until(lambda: len(log.statements()) == 1, "the batch")


# --- who signs ------------------------------------------------------------------------------


@pytest.mark.parametrize("issuer", ["urn:dev:7", "urn:dev:7#Gateway", "urn:dev:7#gateway ", "#gateway", "gateway"])
def test_a_bridge_signs_as_a_gateway_or_not_at_all(plant: Plant, issuer: str) -> None:
    with pytest.raises(Malformed):
        check_gateway_iri(issuer)
    with pytest.raises(Malformed):
        Bridge(KEY, issuer, plant.outbox, plant.log)


def test_everybody_sees_who_signed(plant: Plant) -> None:
    raw = device_statement(0, None)
    plant.take(arrival(1), carry(raw))
    plant.deliver()
    marked = {statement.issuer: is_gateway_signed(statement) for statement in plant.log.statements()}
    assert marked == {ISSUER: True, "urn:dev:7": False}


def test_a_description_names_the_sources_if_asked(tmp_path: Path) -> None:
    plant = Plant(tmp_path, describe=True)
    plant.take(arrival(1))
    plant.take(arrival(2))
    plant.bridge.take("plc", "opcua", [arrival(3)])
    plant.deliver()
    described = [
        parse_description(statement.payload).set
        for statement in plant.log.statements()
        if statement.content_type == DESCRIPTION
    ]
    assert described == [{"recordedVia": ["mqtt:plant"]}, {"recordedVia": ["mqtt:plant", "opcua:plc"]}]
    plant.outbox.close()


def test_a_flood_of_rubbish_is_counted_and_told_a_few_times(plant: Plant) -> None:
    for number in range(50):
        plant.bridge.reject("plant", f"message {number}", Malformed("x", "is rubbish"))
    assert plant.bridge.tally("plant").rejected == 50
    assert len(plant.problems) == 10
    plant.clock.advance(60)
    plant.bridge.reject("plant", "one more", Malformed("x", "is rubbish"))
    assert len(plant.problems) == 11


# --- statements of devices that sign --------------------------------------------------------


def device_statement(seq: int, prev: bytes | None, value: float = 1.0) -> Statement:
    payload = cbor.encode([{0: "x", 2: value}])
    return parse_statement(
        sign_statement(
            DEVICE,
            issuer="urn:dev:7",
            subject=TWIN,
            content_type=SENML,
            payload=payload,
            seq=seq,
            prev=prev,
            issued_at=1_700_000_000,
        )
    )


def carry(*statements: Statement) -> Arrival:
    return Arrival(Selected(statements=statements, timed=True), identify(*[each.raw for each in statements]))


def chain(count: int) -> list[Statement]:
    made: list[Statement] = []
    for seq in range(count):
        made.append(device_statement(seq, made[-1].digest if made else None, float(seq)))
    return made


def test_a_statement_is_carried_unchanged(plant: Plant) -> None:
    statements = chain(5)
    receipts = plant.take(*[carry(each) for each in statements])
    assert plant.bridge.settled(receipts) == 0
    assert plant.bridge.carrying.is_set()
    plant.carrier.pump()
    assert plant.log.entries[1:] == [each.raw for each in statements]
    assert plant.bridge.settled(receipts) == 5
    assert plant.outbox.undelivered_bytes == 0


@pytest.mark.parametrize("fault", list(Fault))
def test_carrying_survives_each_fault(plant: Plant, fault: Fault) -> None:
    statements = chain(3)
    plant.take(*[carry(each) for each in statements])
    plant.log.faults.append(fault)
    for _ in range(4):
        plant.carrier.pump()
    assert plant.log.entries[1:] == [each.raw for each in statements]
    assert plant.outbox.to_carry(10, 1000) == []


def test_it_waits_on_the_disk_while_the_log_is_away(plant: Plant) -> None:
    statements = chain(2)
    plant.log.faults.append(Fault.LOST_REQUEST)
    plant.take(*[carry(each) for each in statements])
    plant.carrier.pump()
    size = plant.outbox.undelivered_bytes
    assert size == sum(len(each.raw) for each in statements)
    plant.outbox.close()
    plant.boot()
    assert plant.outbox.undelivered_bytes == size
    plant.carrier.pump()
    assert len(plant.log.statements()) == 2


def test_a_successor_that_came_first_goes_when_the_gap_is_closed(plant: Plant) -> None:
    first, second, third = chain(3)
    for statement in (third, second):
        plant.take(carry(statement))
        plant.carrier.pump()
    assert [code for _, code, _ in plant.outbox.refusals()] == ["gap", "gap"]
    plant.take(carry(first))
    plant.carrier.pump()
    assert plant.log.entries[1:] == [first.raw, second.raw, third.raw]
    assert plant.outbox.refusals() == []


def test_a_forged_statement_is_refused_by_the_log_and_kept(plant: Plant) -> None:
    raw = bytearray(device_statement(0, None).raw)
    raw[-1] ^= 1
    receipts = plant.take(carry(parse_statement(bytes(raw))), carry(device_statement(0, None)))
    plant.carrier.pump()
    assert plant.bridge.settled(receipts) == 2
    assert [(code, item.raw) for item, code, _ in plant.outbox.refusals()] == [("bad-signature", bytes(raw))]
    assert len(plant.log.statements()) == 1
    assert "bad-signature" in str(plant.problems[-1])


def test_refused_and_sent_again_it_is_tried_again(plant: Plant) -> None:
    statement = device_statement(0, None)
    del plant.log.keys[DEVICE.public.thumbprint]
    plant.take(carry(statement), remember=0)
    plant.carrier.pump()
    assert [code for _, code, _ in plant.outbox.refusals()] == ["unknown-signer"]
    plant.log.keys[DEVICE.public.thumbprint] = DEVICE.public
    plant.take(carry(statement), remember=0)
    plant.carrier.pump()
    assert len(plant.log.statements()) == 1
