"""What the recorder promises while nothing goes wrong."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.edge.device import ISSUER, KEY, PUMP, Device, readings_of
from twinproof.edge.outbox import Outbox, State
from twinproof.edge.recorder import Recorder
from twinproof.errors import ConfigError, Malformed, Overloaded, StorageFailed, TooLarge, Unreachable
from twinproof.proof.keys import ES256, PrivateKey
from twinproof.proof.merkle import hash_leaf
from twinproof.proof.receipt import check_inclusion_receipt, parse_receipt
from twinproof.testing.edge import LOG_KEY, FakeLog
from twinproof.twin.attestation import ATTESTATION, Attestation, format_attestation
from twinproof.twin.columns import COLUMNS
from twinproof.twin.description import DESCRIPTION, Lifecycle, parse_description
from twinproof.twin.reading import Reading
from twinproof.twin.senml import SENML

MakeDevice = Callable[..., Device]


def test_a_new_device_starts_at_seq_0_and_says_nothing_of_a_loss(device: Device) -> None:
    device.twin().record({"speed": 1480.0, "state": "running"}, units={"speed": "1/min"})
    device.recorder.flush()
    device.deliver()
    [statement] = device.logged()
    assert (statement.seq, statement.prev, statement.issuer) == (0, None, ISSUER)
    assert readings_of(statement) == [
        Reading("speed", 1480.0, "1/min", 1_700_000_000.0),
        Reading("state", "running", None, 1_700_000_000.0),
    ]
    assert device.problems == []


def test_a_batch_is_closed_by_count(make_device: MakeDevice) -> None:
    device = make_device(batch=6)
    device.recorder.pump()
    for number in range(5):
        device.twin().record({"a": number, "b": -number})
    device.recorder.pump()
    [statement] = device.logged()
    assert len(readings_of(statement)) == 6
    device.recorder.flush()
    device.deliver()
    assert device.values() == [0, 0, 1, -1, 2, -2, 3, -3, 4, -4]


def test_a_batch_is_closed_by_time(make_device: MakeDevice) -> None:
    device = make_device(interval=10.0)
    device.recorder.pump()
    device.twin().record({"a": 1})
    device.clock.advance(9)
    assert device.recorder.pump().wait == 1.0
    assert device.logged() == []
    device.clock.advance(1)
    device.recorder.pump()
    assert device.values() == [1]
    device.twin().record({"a": 2})
    device.clock.advance(10)
    device.twin().record({"a": 3})  # `record` itself closes a batch that is due
    assert device.outbox.count_queued(device.twin().id) == 1


def test_a_batch_is_closed_by_size(device: Device) -> None:
    device.recorder.pump()
    for number in range(4):
        device.twin().record({"note": str(number) * 15_000})
    device.recorder.flush()
    device.deliver()
    assert [value[0] for value in device.values()] == ["0", "1", "2", "3"]
    assert len(device.logged()) == 2


def test_statements_are_chained_and_each_twin_has_its_own_stream(device: Device) -> None:
    for number in range(3):
        for subject in (PUMP, "urn:asset:pump-8"):
            device.twin(subject).record({"a": number})
        device.recorder.flush()
        device.deliver()
    for subject in (PUMP, "urn:asset:pump-8"):
        statements = device.logged(subject)
        assert [statement.seq for statement in statements] == [0, 1, 2]
        assert [statement.prev for statement in statements[1:]] == [item.digest for item in statements[:-1]]
        assert device.values(subject) == [0, 1, 2]


def test_formats_follow_the_samples(device: Device) -> None:
    twin = device.twin()
    device.recorder.pump()
    for number in range(10):
        twin.record({"T2": 518.67 + number, "Nf": number}, units={"T2": "[degR]"}, time=1_700_000_000 + number)
    device.recorder.flush()
    twin.record({"temperature": 20.5}, units={"temperature": "Cel"})
    device.recorder.flush()
    twin.record({"on": True, "label": "x"})
    device.recorder.flush()
    device.deliver()
    table, single, mixed = device.logged()
    assert [table.content_type, single.content_type, mixed.content_type] == [COLUMNS, SENML, SENML]
    assert readings_of(table)[2:4] == [
        Reading("T2", 519.67, "[degR]", 1_700_000_001.0),
        Reading("Nf", 1, None, 1_700_000_001.0),
    ]


def test_units_given_once_hold_for_the_stream(device: Device) -> None:
    device.recorder.twin(PUMP, units={"speed": "1/min"})
    device.twin().record({"speed": 1.5})
    device.recorder.flush()
    device.deliver()
    assert readings_of(device.logged()[0])[0].unit == "1/min"
    with pytest.raises(Malformed, match="unit of speed"):
        device.recorder.twin(PUMP, units={"speed": "no unit"})


def test_other_kinds_keep_their_place_between_samples(device: Device) -> None:
    twin = device.twin()
    twin.record({"a": 1})
    twin.describe(model="dtmi:example:Pump;1", lifecycle=Lifecycle.IN_SERVICE, set={"colour": "red"})
    twin.record({"a": 2})
    twin.say(ATTESTATION, format_attestation(Attestation("https://example.com/inspected")))
    device.deliver()
    assert [item.content_type for item in device.logged()] == [SENML, DESCRIPTION, SENML, ATTESTATION]
    assert parse_description(device.logged()[1].payload).set == {"colour": "red"}


def test_say_refuses_what_the_log_would_refuse(device: Device) -> None:
    device.recorder.pump()
    with pytest.raises(Malformed, match="no kind of statement"):
        device.twin().say("text/plain", b"hello")
    with pytest.raises(Malformed):
        device.twin().say(DESCRIPTION, b"\xa0")
    with pytest.raises(TooLarge):
        device.twin().say(DESCRIPTION, bytes(60_000))
    device.recorder.flush()
    assert list(device.outbox.statements(ISSUER, PUMP)) == []


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({}, "values"),
        ({"a b": 1}, "a b"),
        ({"a": float("nan")}, "a"),
        ({"a": float("inf")}, "a"),
        ({"a": 2**64}, "a"),
        ({"a": None}, "a"),
        ({"a": [1]}, "a"),
        ({"a": "\ud800"}, "a"),
        ({"a": "x" * 50_000}, "values"),
        ({f"a{number}": 1 for number in range(1025)}, "values"),
    ],
)
def test_what_no_statement_can_hold_is_refused_at_once(device: Device, values: Any, named: str) -> None:
    with pytest.raises(Malformed) as refusal:
        device.twin().record(values)
    assert refusal.value.field == named
    device.recorder.flush()
    device.deliver()
    assert device.logged() == []


def test_text_with_a_unit_that_senml_lacks_is_refused(device: Device) -> None:
    with pytest.raises(Malformed, match="unit of a"):
        device.twin().record({"a": "warm"}, units={"a": "[degR]"})


def test_an_unset_clock_is_named(device: Device) -> None:
    device.clock.time = 12.0
    with pytest.raises(Malformed, match="clock"):
        device.twin().record({"a": 1})
    device.twin().record({"a": 1}, time=1_700_000_000)
    device.recorder.flush()
    device.clock.time = 1_700_000_000.0
    device.deliver()
    assert device.values() == [1]


def test_an_unset_clock_leaves_the_stream_unsigned_and_the_samples_kept(device: Device) -> None:
    device.recorder.twin(PUMP)
    device.recorder.pump()
    device.twin().record({"a": 1})
    device.clock.time = 12.0
    with pytest.raises(ConfigError, match="clock"):
        device.recorder.flush()
    device.clock.time = 1_700_000_100.0
    device.recorder.flush()
    device.deliver()
    assert device.values() == [1]


def test_receipts_are_checked_and_kept(device: Device) -> None:
    device.twin()
    device.recorder.pump()
    for number in range(3):
        device.twin().record({"a": number})
        device.recorder.flush()
    device.deliver()
    kept = list(device.outbox.statements(ISSUER, PUMP))
    assert [(item.seq, item.state, item.index, item.checked) for item in kept] == [
        (number, State.DELIVERED, number + 1, True) for number in range(3)
    ]
    for item in kept:
        assert item.raw is not None
        assert item.receipt is not None
        check_inclusion_receipt(parse_receipt(item.receipt), hash_leaf(item.raw), LOG_KEY.public)


def test_without_the_logs_keys_receipts_are_stored_as_unchecked(make_device: MakeDevice) -> None:
    device = make_device(log_keys=[])
    device.twin().record({"a": 1})
    device.recorder.flush()
    device.deliver()
    [kept] = device.outbox.statements(ISSUER, PUMP)
    assert kept.receipt is not None
    assert not kept.checked


def test_a_full_outbox_refuses_and_drops_nothing(make_device: MakeDevice) -> None:
    device = make_device(outbox={"max_bytes": 4000})
    taken = 0

    def record_without_end() -> None:
        nonlocal taken
        while True:
            device.twin().record({"a": taken})
            taken += 1

    with pytest.raises(Overloaded, match="is full") as refusal:
        record_without_end()
    assert refusal.value.retry_after >= 1
    assert 10 < taken < 1000
    with pytest.raises(Overloaded):
        device.twin().describe(set={"long": "x" * 4000})
    device.recorder.flush()
    device.deliver()
    assert device.values() == list(range(taken))
    device.twin().record({"a": 1})  # delivered statements make no outbox full


def test_delivered_statements_are_pruned_before_their_receipts(make_device: MakeDevice) -> None:
    device = make_device(outbox={"keep": 100, "keep_receipts": 1000})
    device.twin().record({"a": 1})
    device.recorder.flush()
    device.deliver()
    device.clock.advance(200)
    device.recorder.pump()
    [kept] = device.outbox.statements(ISSUER, PUMP)
    assert kept.raw is None
    assert kept.receipt is not None
    device.clock.advance(1000)
    device.recorder.pump()
    assert list(device.outbox.statements(ISSUER, PUMP)) == []
    device.twin().record({"a": 2})
    device.recorder.flush()
    device.crash()
    device.deliver()
    assert device.values() == [1, 2]


def test_what_is_kept_of_delivered_statements_has_a_size_limit(make_device: MakeDevice) -> None:
    device = make_device(outbox={"keep_bytes": 20_000}, batch=1)
    device.recorder.pump()
    for number in range(100):
        device.twin().record({"a": number})
    device.deliver()
    device.clock.advance(61)
    device.recorder.pump()
    kept = list(device.outbox.statements(ISSUER, PUMP))
    assert sum(len(item.raw or b"") + len(item.receipt or b"") for item in kept) <= 20_000
    assert device.values() == list(range(100))


def test_record_is_thread_safe(make_device: MakeDevice) -> None:
    device = make_device(batch=7)
    device.recorder.pump()
    stop = threading.Event()

    def record(worker: int) -> None:
        for number in range(100):
            device.twin().record({f"w{worker}": number})

    def pump() -> None:
        while not stop.is_set():
            device.recorder.pump()

    workers = [threading.Thread(target=record, args=(worker,)) for worker in range(4)]
    pumper = threading.Thread(target=pump)
    for thread in (*workers, pumper):
        thread.start()
    for thread in workers:
        thread.join()
    stop.set()
    pumper.join()
    device.recorder.flush()
    device.deliver()
    readings = [reading for statement in device.logged() for reading in readings_of(statement)]
    assert len(readings) == 400
    for worker in range(4):
        assert [item.value for item in readings if item.name == f"w{worker}"] == list(range(100))


def test_the_background_thread_delivers(make_device: MakeDevice) -> None:
    arrived = threading.Event()

    class Bell(FakeLog):
        def send(self, statements: Any) -> Any:
            answers = super().send(statements)
            arrived.set()
            return answers

    device = make_device(batch=2)
    log = Bell({KEY.public.thumbprint: KEY.public}, clock=device.clock)
    with Recorder(KEY, "urn:dev:other", device.outbox, log, batch=2, clock=device.clock) as recorder:
        recorder.run_in_background()  # a second call changes nothing
        recorder.twin(PUMP).record({"a": 1, "b": 2})
        assert arrived.wait(20)
        recorder.twin(PUMP).record({"a": 3})
    assert [reading.value for item in log.statements() for reading in readings_of(item)] == [1, 2, 3]


def test_the_background_thread_survives_a_failing_disk(
    make_device: MakeDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = make_device()
    told = threading.Event()
    recorder = Recorder(
        KEY, "urn:dev:other", device.outbox, device.log, interval=0, on_problem=lambda problem: told.set()
    )

    def fail(*_: object, **__: object) -> None:
        raise StorageFailed("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(device.outbox, "adopt", fail)
        recorder.run_in_background()
        recorder.twin(PUMP)
        assert told.wait(20)
    recorder.close()


def test_a_listener_may_call_the_recorder(make_device: MakeDevice) -> None:
    device = make_device()
    device.recorder._courier._tell = lambda problem: device.recorder.retry(PUMP)
    device.log.keys = {}
    device.twin().record({"a": 1})
    device.recorder.flush()
    device.recorder.pump()
    device.log.keys = {KEY.public.thumbprint: KEY.public}
    device.deliver()
    assert device.values() == [1]


def test_a_failing_disk_keeps_nothing_of_the_call(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    device.recorder.twin(PUMP)
    device.recorder.pump()
    device.recorder.batch = 2
    device.twin().record({"a": 1})

    def fail(*_: object, **__: object) -> None:
        raise StorageFailed("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(device.outbox, "commit", fail)
        with pytest.raises(StorageFailed):
            device.twin().record({"a": 2})
    device.twin().record({"a": 3})
    device.deliver()
    assert device.values() == [1, 3]


def test_an_outage_is_told_once_and_again_after_it_ended(device: Device) -> None:
    class Down:
        up = False

        def send(self, statements: Any) -> Any:
            return device.log.send(statements)

        def head(self, issuer: str, subject: str) -> Any:
            if not self.up:
                raise Unreachable("no route")
            return device.log.head(issuer, subject)

    down = Down()
    device.recorder._courier._sink = down
    device.twin()
    for _ in range(5):
        device.clock.advance(device.recorder.pump().wait)
    assert [str(problem) for problem in device.problems] == ["no route"]
    down.up = True
    device.deliver()
    down.up = False
    device.twin("urn:asset:other")
    device.recorder.pump()
    assert len(device.problems) == 2


def test_a_p256_key_signs_as_well(device: Device) -> None:
    key = PrivateKey(ES256, bytes(31) + b"\x05")
    device.log.keys[key.public.thumbprint] = key.public
    recorder = Recorder(key, "urn:dev:other", device.outbox, device.log, clock=device.clock, monotonic=device.clock)
    recorder.twin(PUMP).record({"a": 1})
    recorder.close()
    assert [item.issuer for item in device.log.statements()] == ["urn:dev:other"]


def test_one_process_at_a_time_holds_an_outbox(device: Device) -> None:
    with pytest.raises(ConfigError, match="in use by another process"):
        Outbox(device.path)


def test_other_files_are_not_taken_for_an_outbox(device: Device) -> None:
    text = device.folder / "notes.txt"
    text.write_bytes(b"remember the milk" * 100)
    with pytest.raises(ConfigError, match="cannot be read"):
        Outbox(text)
    assert text.read_bytes() == b"remember the milk" * 100
    with pytest.raises(ConfigError, match="folder"):
        Outbox(device.folder / "missing" / "outbox")


@pytest.mark.parametrize("settings", [{"batch": 0}, {"interval": -1}])
def test_wrong_settings_are_refused(device: Device, settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Recorder(KEY, ISSUER, device.outbox, device.log, **settings)


def test_an_issuer_must_be_an_iri(device: Device) -> None:
    with pytest.raises(Malformed, match="issuer"):
        Recorder(KEY, "pump 7", device.outbox, device.log)
    with pytest.raises(Malformed, match="subject"):
        device.recorder.twin("pump 7")
