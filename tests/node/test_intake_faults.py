"""Writes that fail at every point, in both ways: who hears of it, what is remembered, what a repeat answers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.builders import DEVICE, GATEWAY, MODEL, START, TWIN, Log
from tests.node.bench import Bench
from twinproof.errors import Equivocation, Overloaded, Revoked, StorageFailed, UnknownSigner
from twinproof.log.store import Head
from twinproof.node import intake as intake_module
from twinproof.node.intake import Accepted, Intake, Outcome
from twinproof.testing import MemoryStore
from twinproof.twin import senml
from twinproof.twin.description import Description
from twinproof.twin.grants import Capability, Scope
from twinproof.twin.reading import Reading
from twinproof.views.feed import Item

RECORD = {Capability.RECORD}
FAULTS = [("commit", False), ("commit", True), ("write", False), ("write", True)]
"""A write (of the store, of the pin) and whether it is kept though reported lost."""


def plan(bench: Bench, write: str, kept: bool, after: int = 0) -> None:
    (bench.pin if write == "write" else bench.store).fail(write, after=after, kept=kept)


def durable(write: str, kept: bool) -> bool:
    """Whether the group is in the log after this fault: the pin comes after the commit."""
    return kept or write == "write"


def draft(script: Log, at: int = START) -> bytes:
    return script.draft(
        DEVICE, TWIN, senml.SENML, senml.format_senml([Reading("T24", 9.0, "K", float(at), None)]), at=at
    )


@pytest.mark.parametrize(("write", "kept"), FAULTS)
def test_a_group_that_fails_is_found_again_when_resent(write: str, kept: bool) -> None:
    with Bench() as bench:
        script = bench.script
        script.grant(DEVICE, RECORD)
        script.record(DEVICE, 1.0)
        script.record(DEVICE, 2.0)
        plan(bench, write, kept)
        with pytest.raises(StorageFailed, match="planned fault"):
            bench.submit(*script.raws[1:])
        new = not durable(write, kept)
        assert bench.submit(*script.raws[1:]) == [Accepted(index, new) for index in (1, 2, 3)]
        # The grant that came back is in force, the stream goes on, and the index is the one that authority saw.
        assert bench.take(script.record(DEVICE, 3.0).raw) == [4]
        assert bench.take(script.revoke(script.statement(1)).raw) == [5]
        assert type(bench.refusal(draft(script))) is Revoked
        assert bench.entries() == script.raws
        assert bench.findings() == []


@pytest.mark.parametrize(("write", "kept"), FAULTS)
def test_a_grant_whose_group_failed_counts_just_if_it_is_durable(write: str, kept: bool) -> None:
    """Nobody resends: the next statement comes from the device."""
    with Bench() as bench:
        script = bench.script
        grant = script.grant(DEVICE, RECORD).raw
        first = script.record(DEVICE, 1.0).raw
        plan(bench, write, kept)
        with pytest.raises(StorageFailed):
            bench.submit(grant)
        (outcome,) = bench.submit(first)
        if durable(write, kept):
            assert outcome == Accepted(2, True)
        else:
            assert type(outcome) is UnknownSigner
            assert bench.take(grant, first) == [1, 2]
        assert bench.entries() == script.raws
        assert bench.findings() == []


@pytest.mark.parametrize(("write", "kept"), FAULTS)
def test_a_revocation_whose_group_failed_counts_just_if_it_is_durable(write: str, kept: bool) -> None:
    with Bench() as bench:
        script = bench.script
        grant = script.grant(DEVICE, RECORD)
        bench.take(grant.raw, script.record(DEVICE, 1.0).raw)
        revocation = script.revoke(grant).raw
        plan(bench, write, kept)
        with pytest.raises(StorageFailed):
            bench.submit(revocation)
        (outcome,) = bench.submit(draft(script))
        assert type(outcome) is Revoked if durable(write, kept) else outcome == Accepted(3, True)
        assert bench.findings() == []


@pytest.mark.parametrize(("write", "kept"), FAULTS)
def test_a_model_whose_group_failed_counts_just_if_it_is_durable(write: str, kept: bool) -> None:
    with Bench() as bench:
        script = bench.script
        script.grant(DEVICE, RECORD, Scope("model", MODEL))
        script.grant(GATEWAY, {Capability.DESCRIBE})
        bench.take(*script.raws[1:])
        assert isinstance(bench.refusal(draft(script)), Exception)
        describe = script.describe(GATEWAY, Description(model=MODEL)).raw
        plan(bench, write, kept)
        with pytest.raises(StorageFailed):
            bench.submit(describe)
        (outcome,) = bench.submit(draft(script))
        assert isinstance(outcome, Accepted) == durable(write, kept)
        assert bench.submit(describe) == [Accepted(3, not durable(write, kept))]
        assert bench.findings() == []


@pytest.mark.parametrize(("write", "kept"), FAULTS)
def test_a_stream_goes_on_after_a_fault_without_a_resend(write: str, kept: bool) -> None:
    """The device sends another statement at the same number: it is new, or an equivocation."""
    with Bench() as bench:
        script = bench.script
        bench.take(script.grant(DEVICE, RECORD).raw)
        first, second = draft(script), draft(script, START + 1)
        plan(bench, write, kept)
        with pytest.raises(StorageFailed):
            bench.submit(first)
        (outcome,) = bench.submit(second)
        if durable(write, kept):
            assert isinstance(outcome, Equivocation)
            assert [conflict.data for conflict in bench.memory.conflicts()] == [second]
        else:
            assert outcome == Accepted(2, True)
            assert bench.memory.conflicts() == []
        assert bench.findings() == []


@pytest.mark.parametrize("kept", [False, True])
def test_evidence_of_equivocation_that_cannot_be_kept(kept: bool) -> None:
    """What was new in the group is durable by then, and answered with its index when resent."""
    with Bench() as bench:
        script = bench.script
        script.grant(DEVICE, RECORD)
        other = draft(script, START + 5)
        script.record(DEVICE, 1.0)
        bench.take(*script.raws[1:])
        new = script.record(DEVICE, 2.0).raw
        bench.store.fail("keep_conflict", kept=kept)
        with pytest.raises(StorageFailed):
            bench.submit(new, other)
        outcomes = bench.submit(new, other)
        assert outcomes[0] == Accepted(3, False)
        assert isinstance(outcomes[1], Equivocation)
        assert [conflict.data for conflict in bench.memory.conflicts()] == [other]
        assert bench.take(script.record(DEVICE, 3.0).raw) == [4]
        assert bench.findings() == []


@pytest.mark.parametrize(("write", "kept"), FAULTS)
def test_every_caller_of_the_group_hears_of_it(write: str, kept: bool) -> None:
    with Bench() as bench:
        script = bench.script
        script.grant(DEVICE, RECORD)
        for value in range(4):
            script.record(DEVICE, float(value))
        bench.store.shut()
        first = bench.intake.submit(script.raws[1:2])
        assert bench.store.waiting.wait(30)
        plan(bench, write, kept, after=1)
        callers = [bench.intake.submit([raw]) for raw in script.raws[2:]]
        bench.store.gate.set()
        assert first.result(30) == [Accepted(1, True)]
        for caller in callers:
            with pytest.raises(StorageFailed):
                caller.result(30)
        new = not durable(write, kept)
        assert bench.submit(*script.raws[2:]) == [Accepted(index, new) for index in range(2, 6)]


class LostDisk(MemoryStore):
    """While `gone`, nothing can be read or written."""

    gone = False

    def head(self) -> Head | None:
        if self.gone:
            raise StorageFailed("the disk is gone")
        return super().head()

    def entries(self, start: int, end: int) -> list[bytes]:
        if self.gone:
            raise StorageFailed("the disk is gone")
        return super().entries(start, end)


def test_a_disk_that_comes_back() -> None:
    """Neither the thread nor its memory is harmed by reads that fail while it finds out what happened."""
    memory = LostDisk()
    with Bench(memory=memory) as bench:
        script = bench.script
        grant, first = script.grant(DEVICE, RECORD).raw, script.record(DEVICE, 1.0).raw
        bench.store.fail("commit", kept=True)
        with pytest.raises(StorageFailed):
            bench.submit(grant, first)
        memory.gone = True
        for _ in range(3):
            with pytest.raises(StorageFailed):
                bench.submit(grant, first)
            with pytest.raises(StorageFailed):
                bench.intake.require_ready()
        memory.gone = False
        assert bench.intake.require_ready() == 3
        assert bench.submit(grant, first) == [Accepted(1, False), Accepted(2, False)]
        assert bench.take(script.record(DEVICE, 2.0).raw) == [3]
        assert bench.findings() == []


def test_ready_again_without_any_new_statement() -> None:
    """What a load balancer asks must not stay bad until somebody sends something."""
    with Bench() as bench:
        grant = bench.script.grant(DEVICE, RECORD).raw
        bench.pin.fail("write")
        bench.pin.fail("write", after=1)
        with pytest.raises(StorageFailed):
            bench.submit(grant)
        with pytest.raises(StorageFailed):
            bench.intake.require_ready()
        assert bench.intake.require_ready() == 2
        assert bench.reader.head().size == 2
        bench.intake.stop()
        with pytest.raises(Overloaded):
            bench.intake.require_ready()


# --- every point of a whole life --------------------------------------------------------------


def life(script: Log) -> list[list[bytes]]:
    """Requests in their order: grants, delegated ones, readings, a model, revocations; 12 of them."""
    fleet = script.grant(GATEWAY, Capability, Scope("prefix", "https://fleet.example/"))
    device = script.grant(DEVICE, RECORD, Scope("prefix", "https://fleet.example/engine/"), by=GATEWAY, via=fleet)
    script.record(DEVICE, 1.0)
    script.describe(GATEWAY, Description(model=MODEL))
    script.record(DEVICE, 2.0)
    script.record(DEVICE, 3.0)
    script.revoke(device, by=GATEWAY)
    script.grant(
        DEVICE, RECORD, Scope("model", MODEL), by=GATEWAY, via=script.grant(GATEWAY, Capability, Scope("prefix", ""))
    )
    script.record(DEVICE, 4.0)
    script.record(GATEWAY, 5.0)
    raws = script.raws[1:]
    return [raws[:1], raws[1:3], raws[3:4], raws[4:6], raws[6:7], raws[7:9], raws[9:10], raws[10:]]


def send_until_taken(bench: Bench, requests: list[list[bytes]]) -> int:
    """As a device does; how often the answer was a failure. Indices must be those of the script."""
    failures = 0
    at = 1
    for request in requests:
        expected = list(range(at, at + len(request)))
        while True:
            try:
                outcomes: list[Outcome] = bench.submit(*request)
            except StorageFailed:
                failures += 1
                continue
            assert [getattr(outcome, "index", outcome) for outcome in outcomes] == expected
            break
        at += len(request)
    return failures


def points() -> list[tuple[str, bool, int]]:
    with Bench() as bench:
        send_until_taken(bench, life(bench.script))
        counts: dict[str, Callable[[], int]] = {
            "commit": lambda: bench.store.writes["commit"],
            "write": lambda: bench.pin.writes["write"],
        }
        return [(write, kept, n) for write in counts for kept in (False, True) for n in range(counts[write]() - 2)]


def test_a_life_survives_a_fault_at_every_write() -> None:
    table = points()
    assert len(table) == 32
    for write, kept, after in table:
        with Bench() as bench:
            requests = life(bench.script)
            plan(bench, write, kept, after)
            assert send_until_taken(bench, requests) == 1, (write, kept, after)
            assert bench.entries() == bench.script.raws, (write, kept, after)
            assert bench.findings() == [], (write, kept, after)
            assert send_until_taken(bench, requests) == 0


def test_a_life_survives_faults_at_all_writes_at_once() -> None:
    with Bench() as bench:
        requests = life(bench.script)
        for after in range(0, 40, 2):
            bench.store.fail("commit", after=after, kept=after % 4 == 0)
            bench.pin.fail("write", after=after + 1, kept=after % 4 == 2)
        assert send_until_taken(bench, requests) >= 8
        assert bench.entries() == bench.script.raws
        assert bench.findings() == []


# --- listeners --------------------------------------------------------------------------------


class Listening(Bench):
    """A bench whose intake tells what it took."""

    def __enter__(self) -> Listening:
        super().__enter__()
        self.intake.stop()
        self.told: list[Item] = []
        self.broken = False
        self.intake = Intake(self.writer, self.reader, limits=self.limits, clock=self.clock, on_taken=self.hear)
        return self

    def hear(self, items: list[Item]) -> None:
        self.told += items
        if self.broken:
            raise ZeroDivisionError("a listener's defect")


@pytest.mark.parametrize(("write", "kept"), FAULTS)
def test_listeners_hear_of_every_entry_once_and_in_order(
    monkeypatch: pytest.MonkeyPatch, write: str, kept: bool
) -> None:
    monkeypatch.setattr(intake_module, "CATCH_UP", 2)
    with Listening() as bench:
        requests = life(bench.script)
        for after in range(0, 12, 3):
            plan(bench, write, kept, after)
        assert send_until_taken(bench, requests) >= 3
        late = bench.script.record(GATEWAY, 6.0).raw
        bench.take(late)
        assert [item.index for item in bench.told] == list(range(1, len(bench.script)))
        assert [item.statement.raw for item in bench.told] == bench.script.raws[1:]
        assert all(item.payload is not None and item.kind.content_type for item in bench.told)


def test_a_listeners_defect_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    with Listening() as bench:
        bench.broken = True
        script = bench.script
        script.grant(DEVICE, RECORD)
        script.record(DEVICE, 1.0)
        assert bench.submit(*script.raws[1:]) == [Accepted(1, True), Accepted(2, True)]
        bench.store.fail("commit", kept=True)
        with pytest.raises(StorageFailed):
            bench.submit(script.record(DEVICE, 2.0).raw)
        assert bench.take(script.raws[3], script.record(DEVICE, 3.0).raw) == [3, 4]
        assert [item.index for item in bench.told] == [1, 2, 3, 4]
        assert "a listener's defect" in caplog.text
