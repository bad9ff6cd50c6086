"""Each fault of network and log, and what the recorder makes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from tests.edge.device import ISSUER, KEY, PUMP, Device
from twinproof.edge.outbox import Outbox, State
from twinproof.edge.recorder import Recorder
from twinproof.edge.sinks import Delivery, Refused
from twinproof.errors import (
    FutureDated,
    Malformed,
    StreamStopped,
    TwinproofError,
    Unreachable,
    Untrusted,
)
from twinproof.proof.keys import EDDSA, PrivateKey
from twinproof.testing.edge import Fault
from twinproof.twin.attestation import RESUME
from twinproof.twin.stream import StreamHead

PASSING = [fault for fault in Fault if fault is not Fault.TOO_LARGE]
MakeDevice = Callable[..., Device]


def record(device: Device, *values: int, subject: str = PUMP) -> None:
    """One statement per value, where the stream may sign."""
    for value in values:
        device.twin(subject).record({"a": value})
        device.recorder.flush()


def started(device: Device) -> Device:
    """With the stream known, so that `record` signs at once."""
    device.twin()
    device.recorder.pump()
    return device


def stop_of(device: Device) -> StreamStopped:
    stopped = device.twin().stopped
    assert stopped is not None
    assert stopped in device.problems
    return stopped


@pytest.mark.parametrize("fault", PASSING)
@pytest.mark.parametrize("call", range(4))
def test_one_fault_in_any_call_loses_and_doubles_nothing(device: Device, fault: Fault, call: int) -> None:
    device.log.faults.extend([None] * call + [fault])
    record(device, 1, 2)
    device.recorder.pump()
    record(device, 3, 4)
    device.deliver()
    assert device.values() == [1, 2, 3, 4]
    assert device.resumes() == []
    kept = list(device.outbox.statements(ISSUER, PUMP))
    assert all(item.state is State.DELIVERED and item.checked for item in kept)
    assert device.outbox.undelivered_bytes == 0


@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_that_lasts_backs_off_and_ends(device: Device, fault: Fault) -> None:
    started(device)
    record(device, *range(5))
    device.log.faults.extend([fault] * 12)
    device.deliver(passes=100)
    assert device.values() == list(range(5))


def test_retry_after_is_obeyed(device: Device) -> None:
    started(device)
    record(device, 1)
    device.log.faults.append(Fault.OVERLOADED)
    wait = device.recorder.pump().wait
    assert wait >= device.log.retry_after
    calls = device.log.calls
    device.clock.advance(device.log.retry_after - 0.1)
    device.recorder.pump()
    assert device.log.calls == calls
    device.clock.advance(2)
    assert device.recorder.pump().delivered == 1


def test_a_log_cannot_ask_for_silence_without_end(device: Device) -> None:
    device.log.retry_after = 1e12
    device.log.faults.append(Fault.OVERLOADED)
    device.twin()
    device.recorder.pump()
    assert device.recorder._courier.hold() <= 4000


def test_waits_grow_up_to_a_limit(device: Device) -> None:
    device.twin()
    device.log.faults.extend([Fault.LOST_REQUEST] * 15)
    waits = []
    for _ in range(15):
        device.recorder.pump()
        waits.append(device.recorder._courier.hold())
        device.clock.advance(waits[-1])
    assert waits[:4] == [0.75, 1.5, 3.0, 6.0]
    assert waits[-1] == waits[-2] == 225.0


def test_many_statements_go_in_bounded_requests(make_device: MakeDevice) -> None:
    device = started(make_device(log_keys=[]))
    sizes: list[int] = []
    send = device.log.send

    def spy(statements: Sequence[bytes]) -> list[Delivery]:
        sizes.append(len(statements))
        return send(statements)

    device.log.send = spy  # type: ignore[method-assign]
    device.log._receipt = lambda index: b""  # type: ignore[method-assign]
    record(device, *range(600))
    device.deliver()
    assert device.values() == list(range(600))
    assert sizes == [256, 256, 88]


def test_requests_are_bounded_in_bytes_too(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twinproof.edge.courier.SEND_BYTES", 1000)
    started(device)
    record(device, *range(9))
    calls = device.log.calls
    assert device.recorder.pump().delivered == 9
    size = len(device.log.entries[-1])
    assert device.log.calls - calls == -(-9 // (1000 // size))


def test_a_log_that_takes_little_at_once_gets_little(device: Device) -> None:
    started(device)
    record(device, *range(9))
    device.log.faults.extend([Fault.TOO_LARGE] * 3)
    device.deliver()
    assert device.values() == list(range(9))


def test_a_statement_that_is_too_large_alone_stops_its_stream(device: Device) -> None:
    started(device)
    record(device, 1)
    device.log.faults.append(Fault.TOO_LARGE)
    device.deliver()
    assert stop_of(device).reason == "too-large"


def test_a_receipt_that_proves_nothing_is_not_believed(device: Device) -> None:
    started(device)
    record(device, 1, 2)
    device.log.faults.append(Fault.BAD_RECEIPT)
    assert device.recorder.pump().delivered == 0
    [problem] = device.problems
    assert isinstance(problem, TwinproofError)
    assert problem.code in ("bad-proof", "bad-signature")
    assert {item.state for item in device.outbox.statements(ISSUER, PUMP)} == {State.QUEUED}
    device.deliver()
    assert {item.state for item in device.outbox.statements(ISSUER, PUMP)} == {State.DELIVERED}


@pytest.mark.parametrize("receipt", [None, b"", b"\xd2\x80", b"\xff" * 100])
def test_no_receipt_and_a_damaged_one_are_not_believed(device: Device, receipt: bytes | None) -> None:
    device.log._receipt = lambda index: receipt  # type: ignore[method-assign, assignment, return-value]
    record(device, 1)
    device.recorder.pump()
    assert isinstance(device.problems[0], Untrusted)


def test_a_receipt_of_another_log_is_not_believed(make_device: MakeDevice) -> None:
    device = make_device()
    other = PrivateKey(EDDSA, bytes(31) + b"\x09")
    device.settings["log_keys"] = [type(device.log.key)("fake.example/log", 1, other.public.raw)]
    device.restore(None)
    record(device, 1)
    device.recorder.pump()
    assert isinstance(device.problems[0], Untrusted)
    assert {item.state for item in device.outbox.statements(ISSUER, PUMP)} == {State.QUEUED}


# --- refusals -------------------------------------------------------------------------------


def test_a_future_dated_statement_is_sent_again_later(device: Device) -> None:
    started(device)
    device.clock.time += 1000
    record(device, 1, 2)
    device.clock.time -= 1000
    pumped = device.recorder.pump()
    assert (pumped.delivered, pumped.refused) == (0, 1)
    assert device.twin().stopped is None
    assert 0 < pumped.wait < 60
    device.deliver(passes=200)
    assert device.values() == [1, 2]


def test_one_stream_that_waits_does_not_hold_up_another(device: Device) -> None:
    started(device)
    device.twin("urn:asset:other")
    device.recorder.pump()
    record(device, 1)
    device.log.refuses[0] = FutureDated("not yet")
    device.recorder.pump()
    device.log.refuses.clear()
    record(device, 2, subject="urn:asset:other")
    device.recorder.pump()
    assert device.values("urn:asset:other") == [2]
    assert device.values() == []


def test_an_unknown_signer_stops_and_goes_on_after_retry(device: Device) -> None:
    device.log.keys = {}
    started(device)
    record(device, 1, 2)
    device.deliver()
    stopped = stop_of(device)
    assert stopped.reason == "unknown-signer"
    assert "grant this key" in str(stopped)
    assert "retry()" in str(stopped)
    record(device, 3)  # what is recorded meanwhile is kept
    device.crash()
    assert device.twin().stopped is not None
    device.deliver()
    assert device.logged() == []
    device.log.keys = {KEY.public.thumbprint: KEY.public}
    device.recorder.retry(PUMP)
    device.deliver()
    assert device.values() == [1, 2, 3]
    assert device.resumes() == []


def test_a_refusal_for_good_is_kept_and_given_up_by_resume_alone(device: Device) -> None:
    started(device)
    record(device, 1, 2, 3)
    device.log.refuses[1] = Malformed("payload", "the log says so")
    device.deliver()
    assert stop_of(device).reason == "malformed"
    assert device.values() == [1]
    kept = {item.seq: item for item in device.outbox.statements(ISSUER, PUMP)}
    assert [kept[seq].state for seq in range(3)] == [State.DELIVERED, State.REFUSED, State.QUEUED]
    assert kept[1].code == "malformed"
    device.log.refuses.clear()
    record(device, 4)
    device.recorder.resume(PUMP, "statement 1 was refused")
    device.deliver()
    assert device.values() == [1, 4]
    assert device.resumes() == ["statement 1 was refused"]
    abandoned = [item for item in device.outbox.statements(ISSUER, PUMP) if item.state is State.ABANDONED]
    assert [item.seq for item in abandoned] == [1, 2]
    assert all(item.raw for item in abandoned)
    before = device.outbox.undelivered_bytes
    assert device.outbox.discard_abandoned(device.twin().id) == 2
    assert device.outbox.undelivered_bytes == before - sum(len(item.raw or b"") for item in abandoned)


def test_a_stream_given_up_at_its_very_beginning_begins_with_the_resume(device: Device) -> None:
    started(device)
    record(device, 1)
    device.log.refuses[0] = Malformed("payload", "no")
    device.deliver()
    device.log.refuses.clear()
    record(device, 2)
    device.recorder.resume(PUMP, "the first statement was refused")
    device.deliver()
    assert device.logged()[0].content_type == RESUME
    assert device.values() == [2]


def test_a_stopped_stream_asks_nothing_of_the_log(device: Device) -> None:
    started(device)
    record(device, 1, 2, 3)
    device.log.refuses[1] = Malformed("payload", "no")
    device.deliver()
    calls = device.log.calls
    record(device, 4)
    device.deliver()
    assert device.log.calls == calls
    device.crash()
    device.deliver()
    assert device.log.calls == calls


def test_a_stopped_stream_does_not_hold_up_another(device: Device) -> None:
    started(device)
    device.log.refuses[0] = Malformed("payload", "no")
    record(device, 1)
    device.deliver()
    device.log.refuses.clear()
    record(device, 2, subject="urn:asset:other")
    device.deliver()
    assert device.values("urn:asset:other") == [2]
    assert device.logged() == []


def test_a_key_used_twice_stops_at_the_first_contradiction(device: Device) -> None:
    started(device)
    record(device, 1)
    device.deliver()
    with Outbox(device.folder / "twin.outbox") as outbox:
        clone = Recorder(KEY, ISSUER, outbox, device.log, clock=device.clock, monotonic=device.clock)
        clone.twin(PUMP).record({"a": 100})
        clone.close()
    record(device, 2)
    device.deliver()
    assert stop_of(device).reason == "equivocation"
    assert "old copy" in str(device.twin().stopped)
    evidence = [item for item in device.outbox.statements(ISSUER, PUMP) if item.state is State.REFUSED]
    assert [item.seq for item in evidence] == [1]
    assert evidence[0].raw is not None
    device.crash()
    device.deliver()
    assert device.values() == [1, 100]
    record(device, 3)
    device.recorder.resume(PUMP, "two devices had one key; the other is switched off")
    device.deliver()
    assert device.values() == [1, 100, 3]
    assert [item.raw for item in device.outbox.statements(ISSUER, PUMP) if item.state is State.ABANDONED] == [
        evidence[0].raw
    ]


# --- a log that lost or changed something ---------------------------------------------------


def test_what_the_log_lost_is_sent_again(device: Device) -> None:
    started(device)
    record(device, 1, 2, 3)
    device.deliver()
    device.log.truncate(2)
    record(device, 4)
    device.deliver()
    assert device.values() == [1, 2, 3, 4]
    assert device.twin().stopped is None


def test_what_the_log_lost_is_found_at_the_next_start_too(device: Device) -> None:
    started(device)
    record(device, 1, 2, 3)
    device.deliver()
    device.log.truncate(1)
    device.crash()
    device.deliver()
    assert device.values() == [1, 2, 3]


def test_a_log_that_lost_what_is_pruned_here_stops_the_stream(make_device: MakeDevice) -> None:
    device = started(make_device(outbox={"keep": 100}))
    record(device, 1, 2)
    device.deliver()
    device.clock.advance(200)
    device.recorder.pump()
    device.log.truncate(2)
    record(device, 3)
    device.deliver()
    assert stop_of(device).reason == "log-behind"
    assert device.values() == [1]
    device.recorder.resume(PUMP, "the log was restored from a backup")
    record(device, 4)
    device.deliver()
    assert device.values() == [1, 4]
    assert device.resumes() == ["the log was restored from a backup"]


class Contrary:
    """A log that says `gap` whatever it is sent, and that the head is what it was told to say."""

    def __init__(self, head: StreamHead | None, code: str) -> None:
        self.answer = head
        self.code = code
        self.calls = 0

    def send(self, statements: Sequence[bytes]) -> list[Delivery]:
        self.calls += 1
        return [Refused(self.code, "no", expected=0)] * len(statements)

    def head(self, issuer: str, subject: str) -> StreamHead | None:
        self.calls += 1
        return self.answer


@pytest.mark.parametrize("code", ["gap", "chain-broken"])
def test_a_log_that_contradicts_itself_is_asked_ever_less(device: Device, code: str) -> None:
    contrary = Contrary(None, code)
    device.recorder._courier._sink = contrary
    record(device, 1)
    start = device.clock()
    for _ in range(12):
        device.clock.advance(device.recorder.pump().wait)
    assert contrary.calls < 40
    assert device.clock() - start > 300
    assert device.twin().stopped is None


def test_a_log_with_another_statement_of_ours_stops_the_stream(device: Device) -> None:
    started(device)
    record(device, 1, 2)
    device.deliver()
    device.recorder._courier._sink = Contrary(StreamHead(1, bytes(32)), "chain-broken")
    record(device, 3)
    device.deliver()
    assert stop_of(device).reason == "equivocation"


def test_offline_devices_go_on_signing(device: Device) -> None:
    started(device)
    record(device, 1)
    device.deliver()
    device.crash()
    device.log.faults.extend([Fault.LOST_REQUEST] * 3)
    device.recorder.pump()
    record(device, 2, 3)
    assert device.outbox.count_queued(device.twin().id) == 2
    device.deliver()
    assert device.values() == [1, 2, 3]


def test_a_new_stream_is_not_numbered_before_the_log_is_asked(device: Device) -> None:
    device.log.faults.extend([Fault.LOST_REQUEST] * 5)
    record(device, 1, 2)
    for _ in range(4):
        device.clock.advance(device.recorder.pump().wait)
        assert list(device.outbox.statements(ISSUER, PUMP)) == []
    device.crash()
    device.deliver()
    assert device.values() == [1, 2]


def test_unreachable_says_nothing_of_the_heads_of_others(device: Device) -> None:
    class Half:
        def send(self, statements: Sequence[bytes]) -> list[Delivery]:
            return device.log.send(statements)

        def head(self, issuer: str, subject: str) -> StreamHead | None:
            if subject != PUMP:
                raise Unreachable("no")
            return device.log.head(issuer, subject)

    device.recorder._courier._sink = Half()
    record(device, 1)
    record(device, 2, subject="urn:asset:other")
    device.deliver(passes=5)
    assert device.logged("urn:asset:other") == []
    assert list(device.outbox.statements(ISSUER, "urn:asset:other")) == []
