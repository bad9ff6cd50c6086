"""Power, disks and backups: crashes at any moment, lost outboxes, old copies."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.edge.device import ISSUER, KEY, PUMP, Device, readings_of
from twinproof.edge import Outbox, Recorder
from twinproof.edge.courier import LOST, OLD_COPY
from twinproof.edge.outbox import State
from twinproof.testing.edge import FakeLog, Fault, serve_log

MakeDevice = Callable[..., Device]


def record(device: Device, *values: int) -> None:
    for value in values:
        device.twin().record({"a": value})
        device.recorder.flush()


def test_a_closed_batch_survives_and_an_open_one_does_not(device: Device) -> None:
    device.twin().record({"a": 1})
    device.recorder.flush()
    device.twin().record({"a": 2})
    device.crash()
    device.deliver()
    assert device.values() == [1]


@pytest.mark.parametrize("pumped", [False, True])
def test_with_durable_every_sample_survives(make_device: MakeDevice, pumped: bool) -> None:
    device = make_device(durable=True)
    device.twin()
    if pumped:
        device.recorder.pump()
    device.twin().record({"a": 1, "b": "x"})
    device.twin().record({"a": 2})
    device.crash()
    device.twin().record({"a": 3})
    device.recorder.flush()
    device.deliver()
    assert device.values() == [1, "x", 2, 3]


def test_a_lost_outbox_is_recorded_as_a_resume(device: Device) -> None:
    record(device, 1)
    device.deliver()
    record(device, 2)
    device.restore(None)
    record(device, 3)
    device.deliver()
    assert device.values() == [1, 3]
    assert device.resumes() == [LOST]
    assert [item.seq for item in device.logged()] == [0, 1, 2]
    assert device.logged()[1].prev == device.logged()[0].digest


def test_a_lost_outbox_waits_for_the_log_before_it_numbers(device: Device) -> None:
    record(device, 1)
    device.deliver()
    device.restore(None)
    device.log.faults.extend([Fault.LOST_REQUEST, Fault.OVERLOADED])
    record(device, 2)
    device.recorder.pump()
    device.crash()
    record(device, 3)
    device.deliver()
    assert device.values() == [1, 2, 3]
    assert device.resumes() == [LOST]


def test_an_old_copy_with_nothing_new_goes_on_behind_the_log(device: Device) -> None:
    record(device, 1)
    device.deliver()
    copy = device.copy()
    record(device, 2)
    device.deliver()
    device.restore(copy)
    record(device, 3)
    device.deliver()
    assert device.values() == [1, 2, 3]
    assert device.resumes() == [OLD_COPY]


def test_an_old_copy_with_a_queue_that_was_delivered_since_goes_on(device: Device) -> None:
    record(device, 1)
    device.deliver()
    record(device, 2)
    copy = device.copy()
    device.deliver()
    record(device, 3)
    device.deliver()
    device.restore(copy)
    record(device, 4)
    device.deliver()
    assert device.values() == [1, 2, 3, 4]
    assert device.resumes() == [OLD_COPY]
    states = {item.seq: item.state for item in device.outbox.statements(ISSUER, PUMP)}
    assert states[1] is State.DELIVERED


def test_an_old_copy_that_signed_offline_is_found_out(device: Device) -> None:
    record(device, 1)
    device.deliver()
    copy = device.copy()
    record(device, 2)
    device.deliver()
    device.restore(copy)
    device.log.faults.append(Fault.LOST_REQUEST)
    device.recorder.pump()
    record(device, 3)
    device.deliver()
    stopped = device.twin().stopped
    assert stopped is not None
    assert stopped.reason == "equivocation"
    assert device.values() == [1, 2]
    assert [item.raw is not None for item in device.outbox.statements(ISSUER, PUMP) if item.seq == 1] == [True]


def test_an_old_copy_far_behind_that_signed_offline_says_nothing_more(device: Device) -> None:
    record(device, 1)
    device.deliver()
    copy = device.copy()
    for value in (2, 3, 4):
        record(device, value)
        device.deliver()
    device.restore(copy)
    device.log.faults.append(Fault.LOST_REQUEST)
    device.recorder.pump()
    record(device, 100)
    device.deliver()
    stopped = device.twin().stopped
    assert stopped is not None
    assert stopped.reason == "equivocation"
    assert device.values() == [1, 2, 3, 4]
    assert device.resumes() == []


def test_a_copy_of_every_moment_forks_nothing(make_device: MakeDevice) -> None:
    """Each copy is restored in turn: whatever it does, the log never holds a number twice, nor loses one."""
    device = make_device(durable=True)
    copies: list[Path] = []
    for number in range(6):
        device.twin().record({"a": number})
        copies.append(device.copy())
        if number % 2:
            device.recorder.flush()
            copies.append(device.copy())
        device.recorder.pump()
        copies.append(device.copy())
    for number, copy in enumerate(copies):
        device.restore(copy)
        device.twin().record({"a": 100 + number})
        device.recorder.flush()
        device.deliver()
        statements = device.logged()
        assert [item.seq for item in statements] == list(range(len(statements)))
        stopped = device.twin().stopped
        if stopped is None:
            assert device.values()[-1] == 100 + number
        else:
            assert stopped.reason == "equivocation"


# --- any order of everything ----------------------------------------------------------------


class Life(RuleBasedStateMachine):
    """A device that records through crashes and network faults. In the end the log holds all of it, in order, once."""

    def __init__(self, folder: Path, durable: bool) -> None:
        super().__init__()
        self.folder = folder
        self.durable = durable

    @initialize(batch=st.integers(1, 4), interval=st.sampled_from([0.0, 5.0]))
    def start(self, batch: int, interval: float) -> None:
        shutil.rmtree(self.folder)
        self.folder.mkdir()
        self.device = Device(self.folder, durable=self.durable, batch=batch, interval=interval)
        self.next = 0
        self.certain: list[int] = []
        self.open: list[int] = []

    @rule(count=st.integers(1, 5))
    def record(self, count: int) -> None:
        for _ in range(count):
            self.device.twin().record({"a": self.next})
            (self.certain if self.durable else self.open).append(self.next)
            self.next += 1

    @rule()
    def flush(self) -> None:
        self.device.recorder.flush()
        self.certain += self.open
        self.open = []

    @rule(faults=st.lists(st.sampled_from([None, *Fault]), max_size=3), passes=st.integers(1, 3))
    def pump(self, faults: list[Fault | None], passes: int) -> None:
        self.device.log.faults.extend(fault for fault in faults if fault is not Fault.TOO_LARGE)
        for _ in range(passes):
            self.device.clock.advance(min(self.device.recorder.pump().wait, 10))

    @rule(seconds=st.sampled_from([0.5, 6.0, 400.0]))
    def wait(self, seconds: float) -> None:
        self.device.clock.advance(seconds)

    @rule()
    def crash(self) -> None:
        self.device.crash()
        # What was open is on the disk or lost, as its batch was closed or not; the oldest survive.
        self.device.log.faults.clear()
        self.device.deliver()
        survived = self.device.values()[len(self.certain) :]
        assert survived == self.open[: len(survived)]
        self.certain += survived
        self.open = []

    @precondition(lambda self: self.durable)
    @rule()
    def quick_crash(self) -> None:
        self.device.crash()

    @invariant()
    def the_log_is_a_beginning_of_what_was_recorded(self) -> None:
        if hasattr(self, "device"):
            values = self.device.values()
            assert values == (self.certain + self.open)[: len(values)]

    def teardown(self) -> None:
        if not hasattr(self, "device"):
            return
        self.flush()
        self.device.log.faults.clear()
        self.device.deliver(passes=200)
        try:
            assert self.device.values() == self.certain
            assert self.device.resumes() == []
            assert self.device.twin().stopped is None
            assert self.device.outbox.undelivered_bytes == 0
        finally:
            self.device.close()


@pytest.mark.parametrize("durable", [False, True])
def test_any_life_of_a_device(tmp_path: Path, durable: bool) -> None:
    class ThisLife(Life):
        def __init__(self) -> None:
            super().__init__(tmp_path, durable)

    run_state_machine_as_test(ThisLife, settings=settings(max_examples=25, stateful_step_count=20))


# --- kill -9 --------------------------------------------------------------------------------

_CHILD = """
import sys
from twinproof.edge import HttpSink, Outbox, Recorder
from twinproof.proof.keys import EDDSA, PrivateKey

path, url, run = sys.argv[1:]
outbox = Outbox(path)
key = PrivateKey(EDDSA, bytes(range(32)))
recorder = Recorder(key, {issuer!r}, outbox, HttpSink(url), batch=3, interval=0.01, durable=True)
recorder.run_in_background()
stream = recorder.twin({subject!r})
for number in range(100_000):
    stream.record({{"a": int(run) * 1_000_000 + number}})
    print(number, flush=True)
"""


@contextmanager
def real_time_log() -> Iterator[tuple[FakeLog, str]]:
    log = FakeLog({KEY.public.thumbprint: KEY.public}, clock=time.time)
    log._receipt = lambda index: None  # type: ignore[method-assign, assignment, return-value]
    with serve_log(log) as url:
        yield log, url


def test_kill_9_in_the_middle_of_everything(tmp_path: Path) -> None:
    promised: dict[int, int] = {}
    with real_time_log() as (log, url):
        for run in range(10):
            promised[run] = _run_and_kill(tmp_path / "box", url, run, samples=1 + 7 * run)
        _deliver_the_rest(tmp_path / "box", log)
    statements = log.statements()
    assert [item.seq for item in statements] == list(range(len(statements)))
    values: list[Any] = [reading.value for item in statements for reading in readings_of(item)]
    assert values == sorted(set(values))
    for run, last in promised.items():
        found = [value - run * 1_000_000 for value in values if value // 1_000_000 == run]
        assert found == list(range(len(found)))
        assert len(found) > last


def _run_and_kill(path: Path, url: str, run: int, *, samples: int) -> int:
    """The number of the last sample that `record` returned for."""
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD.format(issuer=ISSUER, subject=PUMP), path, url, str(run)],
        stdout=subprocess.PIPE,
        text=True,
    )
    with child:
        assert child.stdout is not None
        seen = [child.stdout.readline() for _ in range(samples)]
        child.kill()
        seen += child.stdout.readlines()
    # The kill may have cut the last line.
    return int([line for line in seen if line.endswith("\n")][-1])


def _deliver_the_rest(path: Path, log: FakeLog) -> None:
    with Outbox(path) as outbox:
        recorder = Recorder(KEY, ISSUER, outbox, log)
        while recorder.pump().delivered:
            pass
        recorder.flush()
        recorder.pump()
        assert outbox.undelivered_bytes == 0
