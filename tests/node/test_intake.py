"""Intake's decisions: each refusal its own answer and no trace, and what holds within one group."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from tests.builders import (
    DEVICE,
    GATEWAY,
    INSPECTOR,
    MODEL,
    OTHER_TWIN,
    START,
    STRANGER,
    Log,
    signer,
)
from tests.node.bench import Bench
from tests.node.refusals import draft, refusals, with_headers
from twinproof.errors import (
    Amplified,
    Corrupt,
    Equivocation,
    FutureDated,
    Gap,
    InternalError,
    Malformed,
    OutOfScope,
    OutsideValidity,
    Overloaded,
    Revoked,
    TooLarge,
    UnknownSigner,
)
from twinproof.log.writer import MAX_GROUP
from twinproof.node import intake as intake_module
from twinproof.node import models as models_module
from twinproof.node.config import Limits
from twinproof.node.intake import Accepted, Outcome
from twinproof.proof import cose
from twinproof.testing import MemoryStore
from twinproof.twin.description import Description
from twinproof.twin.grants import Capability, Scope, Window
from twinproof.twin.statement import SEQ, parse_statement

RECORD = {Capability.RECORD}


@pytest.fixture
def bench() -> Iterator[Bench]:
    with Bench() as made:
        yield made


@pytest.fixture
def working(bench: Bench) -> Bench:
    """`DEVICE` may record about `TWIN` and has done so twice: four entries."""
    bench.script.grant(DEVICE, RECORD)
    bench.script.record(DEVICE, 1.0)
    bench.script.record(DEVICE, 2.0)
    assert bench.take(*bench.script.raws[1:]) == [1, 2, 3]
    return bench


@pytest.mark.parametrize("name", refusals(Log()))
def test_a_refused_statement_leaves_no_trace(working: Bench, name: str) -> None:
    raw, error, fragment = refusals(working.script)[name]
    before = working.memory.head()
    refusal = working.refusal(raw)
    assert type(refusal) is error
    assert fragment in str(refusal)
    assert working.memory.head() == before
    assert working.memory.conflicts() == []
    # Nor in memory: the honest next one is taken.
    assert working.take(working.script.record(DEVICE, 3.0).raw) == [4]
    assert working.findings() == []


def test_the_tolerance_is_taken_and_no_second_more(working: Bench) -> None:
    refusal = working.refusal(draft(working.script, DEVICE, at=START + 301))
    assert isinstance(refusal, FutureDated)
    assert "301 s ahead" in str(refusal)
    assert working.take(working.script.record(DEVICE, 3.0, at=START + 300).raw) == [4]


def test_a_gap_says_what_is_expected(working: Bench) -> None:
    refusal = working.refusal(with_headers(draft(working.script, DEVICE), DEVICE, {SEQ: 5}))
    assert isinstance(refusal, Gap)
    assert refusal.expected == 2


def test_repeats_get_the_same_index(working: Bench) -> None:
    expected: list[Outcome] = [Accepted(index, False) for index in range(4)]
    assert working.submit(*working.script.raws) == expected
    assert working.submit(*reversed(working.script.raws)) == expected[::-1]
    assert len(working.entries()) == 4


def test_a_repeat_is_known_though_the_signer_is_revoked(working: Bench) -> None:
    script = working.script
    script.revoke(script.statement(1))
    working.take(*script.raws[4:])
    assert working.submit(script.raws[3]) == [Accepted(3, False)]
    assert isinstance(working.refusal(draft(script, DEVICE)), Revoked)


# --- equivocation -----------------------------------------------------------------------------


def test_an_equivocation_is_refused_and_kept(working: Bench) -> None:
    other = with_headers(draft(working.script, DEVICE, at=START + 7), DEVICE, {SEQ: 1})
    refusal = working.refusal(other)
    assert isinstance(refusal, Equivocation)
    assert refusal.index == 3
    (kept,) = working.memory.conflicts()
    assert (kept.index, kept.data) == (3, other)
    assert len(working.entries()) == 4
    assert working.findings() == []


def test_nobody_equivocates_in_anothers_name(working: Bench) -> None:
    """A signer of the same log, with a valid signature, at a position of somebody else."""
    script = working.script
    script.grant(GATEWAY, RECORD)
    working.take(script.raws[-1])
    forged = with_headers(
        with_headers(draft(script, DEVICE), DEVICE, {SEQ: 1}), GATEWAY, {cose.KID: GATEWAY.key.public.thumbprint}
    )
    assert parse_statement(forged).issuer == DEVICE.issuer
    refusal = working.refusal(forged)
    assert type(refusal) is UnknownSigner
    assert working.memory.conflicts() == []


def test_a_revoked_signers_equivocation_is_still_evidence(working: Bench) -> None:
    script = working.script
    script.revoke(script.statement(1))
    working.take(script.raws[-1])
    other = with_headers(draft(script, DEVICE, at=START + 7), DEVICE, {SEQ: 1})
    assert isinstance(working.refusal(other), Equivocation)
    assert [kept.data for kept in working.memory.conflicts()] == [other]


def test_equivocation_within_one_group(working: Bench) -> None:
    """The first one in order is taken, whatever the other says."""
    first, second = draft(working.script, DEVICE), draft(working.script, DEVICE, at=START + 1)
    outcomes = working.submit(first, second, first)
    assert outcomes[0] == Accepted(4, True)
    assert isinstance(outcomes[1], Equivocation)
    assert outcomes[1].index == 4
    assert outcomes[2] == Accepted(4, False)
    assert [kept.data for kept in working.memory.conflicts()] == [second]


# --- authority within a group -----------------------------------------------------------------


def test_a_grant_and_its_first_statements_in_one_group(bench: Bench) -> None:
    bench.script.grant(DEVICE, RECORD)
    for value in range(3):
        bench.script.record(DEVICE, float(value))
    assert bench.take(*bench.script.raws[1:]) == [1, 2, 3, 4]
    assert bench.findings() == []


def test_a_statement_before_its_grant_in_one_group(bench: Bench) -> None:
    early = draft(bench.script, DEVICE)
    grant = bench.script.grant(DEVICE, RECORD).raw
    outcomes = bench.submit(early, grant, early)
    assert isinstance(outcomes[0], UnknownSigner)
    assert outcomes[1:] == [Accepted(1, True), Accepted(2, True)]


def test_a_revocation_in_the_middle_of_a_group(working: Bench) -> None:
    script = working.script
    before = script.record(DEVICE, 3.0).raw
    revocation = script.revoke(script.statement(1)).raw
    after = draft(script, DEVICE)
    outcomes = working.submit(before, revocation, after, before)
    assert outcomes[:2] == [Accepted(4, True), Accepted(5, True)]
    assert type(outcomes[2]) is Revoked
    assert outcomes[3] == Accepted(4, False)
    assert working.entries() == script.raws


def test_a_refused_grant_in_a_group_gives_nothing(bench: Bench) -> None:
    """The holder may administer one twin, and grants a fleet: neither it nor what leans on it is taken."""
    script = bench.script
    held = script.grant(GATEWAY, {Capability.ADMINISTER, Capability.RECORD})
    bench.take(script.raws[1])
    fleet = script.grant(DEVICE, RECORD, Scope("prefix", "https://fleet.example/"), by=GATEWAY, via=held).raw
    outcomes = bench.submit(fleet, draft(script, DEVICE))
    assert [type(outcome) for outcome in outcomes] == [Amplified, UnknownSigner]
    assert len(bench.entries()) == 2


@pytest.mark.parametrize(
    ("can", "scope", "window", "what"),
    [
        ({Capability.RECORD, Capability.PREDICT}, None, None, "can: gives predict"),
        (RECORD, Scope("prefix", ""), None, "scope"),
        (RECORD, Scope("model", MODEL), None, "scope"),
        (RECORD, Scope("twin", OTHER_TWIN), None, "scope"),
        (RECORD, None, Window(until_time=START + 1001), "validity"),
    ],
)
def test_grants_only_attenuate(
    bench: Bench, can: set[Capability], scope: Scope | None, window: Window | None, what: str
) -> None:
    script = bench.script
    held = script.grant(GATEWAY, {Capability.ADMINISTER, Capability.RECORD}, window=Window(until_time=START + 1000))
    bench.take(script.raws[1])
    inside = window or Window(until_time=START + 1000)
    refusal = bench.refusal(script.grant(DEVICE, can, scope, by=GATEWAY, via=held, window=inside).raw)
    assert type(refusal) is Amplified
    assert what in str(refusal)


def test_windows_of_time_and_index(bench: Bench) -> None:
    script = bench.script
    script.grant(DEVICE, RECORD, window=Window(from_time=START, until_time=START + 10, until_index=4))
    script.record(DEVICE, 1.0, at=START + 9)
    assert bench.take(*script.raws[1:]) == [1, 2]
    assert type(bench.refusal(draft(script, DEVICE, at=START + 10))) is OutsideValidity
    assert type(bench.refusal(draft(script, DEVICE, at=START - 1))) is OutsideValidity
    assert bench.take(script.record(DEVICE, 2.0).raw) == [3]
    assert type(bench.refusal(draft(script, DEVICE))) is OutsideValidity


def test_the_index_that_authority_sees_counts_only_what_is_taken(bench: Bench) -> None:
    """Refused ones and repeats in front of a statement do not move its index."""
    script = bench.script
    script.grant(DEVICE, RECORD, window=Window(until_index=4))
    bench.take(script.raws[1])
    junk = draft(script, STRANGER)
    first, second = script.record(DEVICE, 1.0).raw, script.record(DEVICE, 2.0).raw
    third = draft(script, DEVICE)
    outcomes = bench.submit(junk, script.raws[1], junk, first, first, junk, second, first, third)
    accepted = [outcome for outcome in outcomes if isinstance(outcome, Accepted)]
    assert accepted == [
        Accepted(1, False),
        Accepted(2, True),
        Accepted(2, False),
        Accepted(3, True),
        Accepted(2, False),
    ]
    assert type(outcomes[-1]) is OutsideValidity


def test_model_scoped_grants(bench: Bench) -> None:
    script = bench.script
    script.grant(INSPECTOR, {Capability.ATTEST}, Scope("model", MODEL))
    script.grant(GATEWAY, {Capability.DESCRIBE}, Scope("prefix", "https://fleet.example/"))
    bench.take(*script.raws[1:])
    attest = script.attest(INSPECTOR, "urn:example:release").raw
    assert type(bench.refusal(attest)) is OutOfScope
    # The description makes it fit, within the same group.
    describe = script.describe(GATEWAY, Description(model=MODEL)).raw
    assert bench.take(describe, attest) == [3, 4]
    # A description without a model leaves it, one with another model takes it away.
    plain = script.describe(GATEWAY, Description(set={"serial": "A1"})).raw
    more = script.attest(INSPECTOR, "urn:example:inspection").raw
    assert bench.take(plain, more) == [5, 6]
    other = script.describe(GATEWAY, Description(model="dtmi:example:pump;1")).raw
    late = script.attest(INSPECTOR, "urn:example:late").raw
    outcomes = bench.submit(other, late)
    assert outcomes[0] == Accepted(7, True)
    assert type(outcomes[1]) is OutOfScope
    assert bench.findings() == []


def test_what_is_remembered_is_the_log(bench: Bench) -> None:
    """A second intake on the same log decides as the first one would have gone on to."""
    script = bench.script
    script.grant(INSPECTOR, {Capability.ATTEST}, Scope("model", MODEL))
    script.grant(GATEWAY, {Capability.DESCRIBE, Capability.RECORD})
    script.describe(GATEWAY, Description(model=MODEL))
    script.describe(GATEWAY, Description(set={"serial": "A1"}))
    revoked = script.grant(DEVICE, RECORD)
    script.revoke(revoked)
    bench.take(*script.raws[1:])
    bench.intake.stop()
    second = intake_module.Intake(bench.writer, bench.reader, limits=bench.limits, clock=bench.clock)
    try:
        outcomes = second.submit(
            [
                script.attest(INSPECTOR, "urn:example:release").raw,
                script.record(GATEWAY, 1.0).raw,
                draft(script, DEVICE),
                script.raws[3],
            ]
        ).result(30)
        assert outcomes[:2] == [Accepted(7, True), Accepted(8, True)]
        assert type(outcomes[2]) is Revoked
        assert outcomes[3] == Accepted(3, False)
    finally:
        second.stop()


def test_caches_may_be_emptied_only_between_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake_module, "HEADS_LIMIT", 2)
    with Bench() as bench:
        script = bench.script
        devices = [signer(f"urn:example:device:{number}", 50 + number) for number in range(4)]
        for device in devices:
            script.grant(device, RECORD)
        for value in range(3):
            for device in devices:
                script.record(device, float(value))
        raws = script.raws[1:]
        assert bench.take(*raws) == list(range(1, len(raws) + 1))
        for device in devices:
            assert bench.take(script.record(device, 9.0).raw) == [len(script) - 1]
        assert bench.findings() == []


def test_refused_streams_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch, working: Bench) -> None:
    monkeypatch.setattr(intake_module, "HEADS_LIMIT", 10)
    monkeypatch.setattr(models_module, "KEPT", 10)
    script = working.script
    script.grant(DEVICE, RECORD, Scope("model", MODEL))
    working.take(script.raws[-1])
    for number in range(60):
        assert isinstance(working.refusal(draft(script, DEVICE, subject=f"urn:x:{number}")), OutOfScope)
    assert len(working.intake._streams) <= 12
    assert len(working.intake._models._named) <= 12


# --- the queue --------------------------------------------------------------------------------


def test_a_full_queue_keeps_nothing_and_says_when() -> None:
    with Bench(limits=Limits(queue_statements=3)) as bench:
        script = bench.script
        script.grant(DEVICE, RECORD)
        for value in range(6):
            script.record(DEVICE, float(value))
        bench.store.shut()
        running = bench.intake.submit(script.raws[1:2])
        assert bench.store.waiting.wait(30)
        queued = [bench.intake.submit([raw]) for raw in script.raws[2:5]]
        with pytest.raises(Overloaded, match="3 statements are waiting") as caught:
            bench.intake.submit(script.raws[5:6])
        assert caught.value.retry_after > 0
        bench.store.gate.set()
        outcomes = [future.result(30)[0] for future in (running, *queued)]
        assert outcomes == [Accepted(index, True) for index in range(1, 5)]
        assert bench.entries() == script.raws[:5]
        assert bench.take(*script.raws[5:]) == [5, 6, 7]


def test_a_queue_full_of_bytes() -> None:
    with Bench(limits=Limits(queue_bytes=1000)) as bench:
        script = bench.script
        script.grant(DEVICE, RECORD)
        bench.store.shut()
        running = bench.intake.submit(script.raws[1:])
        assert bench.store.waiting.wait(30)
        # One request is always taken by an empty queue: it could never be sent otherwise.
        large = bench.intake.submit([bytes(5000)])
        with pytest.raises(Overloaded):
            bench.intake.submit([b"x"])
        bench.store.gate.set()
        assert running.result(30) == [Accepted(1, True)]
        assert isinstance(large.result(30)[0], Malformed)


def test_what_queues_up_becomes_one_commit(bench: Bench) -> None:
    script = bench.script
    script.grant(DEVICE, RECORD)
    for value in range(20):
        script.record(DEVICE, float(value))
    bench.store.shut()
    futures = [bench.intake.submit([raw]) for raw in script.raws[1:2]]
    assert bench.store.waiting.wait(30)
    futures += [bench.intake.submit([raw]) for raw in script.raws[2:]]
    bench.store.gate.set()
    assert [future.result(30)[0] for future in futures] == [Accepted(index, True) for index in range(1, 22)]
    assert bench.store.writes["commit"] == 4  # the empty log, the genesis, the grant, all the rest
    assert bench.findings() == []


def test_a_group_is_never_more_than_a_commit_holds() -> None:
    """Whole requests are put together up to the limits of `Writer.append`, in their order."""
    with Bench(limits=Limits(group_statements=5)) as bench:
        script = bench.script
        script.grant(DEVICE, RECORD)
        for value in range(12):
            script.record(DEVICE, float(value))
        bench.store.shut()
        futures = [bench.intake.submit(script.raws[1:2])]
        assert bench.store.waiting.wait(30)
        futures += [bench.intake.submit(script.raws[start : start + 2]) for start in range(2, 14, 2)]
        bench.store.gate.set()
        assert [len(future.result(30)) for future in futures] == [1, 2, 2, 2, 2, 2, 2]
        assert bench.store.writes["commit"] == 6


def test_groups_are_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake_module, "MAX_GROUP_BYTES", 2000)
    with Bench() as bench:
        script = bench.script
        script.grant(DEVICE, RECORD)
        for value in range(12):
            script.record(DEVICE, float(value))
        with pytest.raises(TooLarge, match="12 statements"):
            bench.intake.submit(script.raws[2:])
        bench.store.shut()
        futures = [bench.intake.submit(script.raws[1:2])]
        assert bench.store.waiting.wait(30)
        futures += [bench.intake.submit([raw]) for raw in script.raws[2:]]
        bench.store.gate.set()
        assert [future.result(30)[0] for future in futures] == [Accepted(index, True) for index in range(1, 14)]
        assert bench.store.writes["commit"] > 4


def test_more_than_a_commit_holds_is_refused_at_once(bench: Bench) -> None:
    with pytest.raises(TooLarge, match=f"at most {MAX_GROUP}"):
        bench.intake.submit([b"x"] * (MAX_GROUP + 1))
    assert bench.submit() == []


def test_a_caller_cannot_cancel_what_is_under_way(bench: Bench) -> None:
    script = bench.script
    script.grant(DEVICE, RECORD)
    script.record(DEVICE, 1.0)
    bench.store.shut()
    first = bench.intake.submit(script.raws[1:2])
    assert bench.store.waiting.wait(30)
    second: Future[list[Outcome]] = bench.intake.submit(script.raws[2:])
    assert not first.cancel()
    assert not second.cancel()
    bench.store.gate.set()
    assert second.result(30) == [Accepted(2, True)]
    assert bench.take(script.record(DEVICE, 2.0).raw) == [3]


def test_stopping_finishes_what_is_queued(bench: Bench) -> None:
    script = bench.script
    script.grant(DEVICE, RECORD)
    for value in range(5):
        script.record(DEVICE, float(value))
    bench.store.shut()
    futures = [bench.intake.submit([raw]) for raw in script.raws[1:]]
    assert bench.store.waiting.wait(30)
    bench.intake._stopping = True
    with pytest.raises(Overloaded, match="stopping"):
        bench.intake.submit([b"x"])
    with pytest.raises(Overloaded, match="stopping"):
        bench.intake.require_ready()
    bench.store.gate.set()
    bench.intake.stop()
    assert [future.result(0)[0] for future in futures] == [Accepted(index, True) for index in range(1, 7)]
    bench.intake.stop()  # twice does no harm


# --- defects and damage -----------------------------------------------------------------------


def test_a_defect_in_one_request_spares_the_others(
    monkeypatch: pytest.MonkeyPatch, bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    script = bench.script
    script.grant(DEVICE, RECORD)
    script.grant(GATEWAY, RECORD)
    mine, poison = script.record(DEVICE, 1.0).raw, script.record(GATEWAY, 13.0).raw

    def parse(raw: bytes) -> Any:
        if raw == poison:
            raise ZeroDivisionError("a defect")
        return parse_statement(raw)

    monkeypatch.setattr(intake_module, "parse_statement", parse)
    bench.store.shut()
    first = bench.intake.submit(script.raws[1:3])
    assert bench.store.waiting.wait(30)
    spared, struck, third = bench.intake.submit([mine]), bench.intake.submit([poison]), bench.intake.submit([mine])
    bench.store.gate.set()
    assert first.result(30) == [Accepted(1, True), Accepted(2, True)]
    assert spared.result(30) == [Accepted(3, True)]
    assert third.result(30) == [Accepted(3, False)]
    with pytest.raises(InternalError, match="ZeroDivisionError"):
        struck.result(30)
    assert "ZeroDivisionError" in caplog.text
    monkeypatch.undo()
    assert bench.take(poison) == [4]


class DamagedStore(MemoryStore):
    """Gives other bytes for one entry."""

    damaged = -1

    def entries(self, start: int, end: int) -> list[bytes]:
        found = super().entries(start, end)
        return [b"\xff" if start + at == self.damaged else raw for at, raw in enumerate(found)]


def test_a_damaged_entry_stops_its_twin_alone() -> None:
    other_twin = "https://fleet.example/engine/2"
    memory = DamagedStore()
    with Bench(memory=memory) as bench:
        script = bench.script
        script.grant(DEVICE, RECORD)
        script.grant(GATEWAY, RECORD, Scope("prefix", ""))
        bench.take(*script.raws[1:])
        script.record(DEVICE, 1.0)
        bench.take(script.raws[3])
        bench.intake._streams.clear()
        memory.damaged = 3
        bench.store.shut()
        other = bench.intake.submit([script.record(GATEWAY, 1.0, subject=other_twin).raw])
        assert bench.store.waiting.wait(30)
        struck = bench.intake.submit([draft(script, DEVICE)])
        spared = bench.intake.submit([script.record(GATEWAY, 2.0, subject=other_twin).raw])
        bench.store.gate.set()
        assert other.result(30) == [Accepted(4, True)]
        with pytest.raises(Corrupt, match="entry 3 is no statement any more"):
            struck.result(30)
        assert spared.result(30) == [Accepted(5, True)]
