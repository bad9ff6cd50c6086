"""The automation on a real node: what it states, under which key, and what happens when the node will not have it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.builders import DEVICE, ORIGIN, START, TWIN
from tests.node.folders import OPERATOR_IRI, continue_log
from twinproof.errors import ConfigError, InternalError, Overloaded, StorageFailed, TwinproofError
from twinproof.node.automation import CARD, KEY, Automation, automation_key, enable, is_enabled, issuer_of
from twinproof.node.cards import parse_card
from twinproof.node.intake import Accepted, Outcome
from twinproof.node.live import Live, open_live
from twinproof.node.node import init_node
from twinproof.testing import ManualClock
from twinproof.twin.alarm import (
    ALARM,
    ALARM_RESPONSE,
    RULE,
    AlarmTransition,
    Rule,
    Severity,
    Test,
    Transition,
    format_rule,
    format_transition,
    parse_alarm,
)
from twinproof.twin.grants import Capability, Scope
from twinproof.twin.live import StandingAlarm
from twinproof.twin.statement import Statement, parse_statement
from twinproof.views.alarms import Engine

HOT = Rule("hot", "T24", Test.ABOVE, 100.0, Severity.HIGH)
SLOW = Rule("slow", "T24", Test.ABOVE, 100.0, Severity.LOW, delay_on=60)


class Rig:
    """A live node, a script that speaks for the operator and a device, and an automation that runs step by step."""

    def __init__(self, live: Live, clock: ManualClock) -> None:
        self.live = live
        self.clock = clock
        self.script = continue_log(live.node)
        self.key = automation_key(live.node.folder, ORIGIN)
        self.problems: list[TwinproofError] = []
        self.automation = self.new()

    def new(self, **settings: Any) -> Automation:
        return Automation(
            self.live.node,
            self.live.feed,
            self.live.states,
            self.key,
            clock=self.clock,
            on_problem=self.problems.append,
            **settings,
        )

    def take(self, *statements: Statement) -> list[int]:
        outcomes = self.live.node.intake.submit([statement.raw for statement in statements]).result(30)
        assert all(isinstance(outcome, Accepted) for outcome in outcomes), outcomes
        return [outcome.index for outcome in outcomes if isinstance(outcome, Accepted)]

    def rule(self, rule: Rule) -> None:
        self.take(self.script.say(self.script.operator, TWIN, RULE, format_rule(rule)))

    def read(self, value: float) -> None:
        self.clock.advance(1)
        self.take(self.script.record(DEVICE, value, at=int(self.clock())))

    def respond(self, transition: Transition) -> None:
        said = format_transition(AlarmTransition("hot", transition))
        self.take(self.script.say(self.script.operator, TWIN, ALARM_RESPONSE, said))

    def step(self, automation: Automation | None = None) -> bool:
        """One round, and the views behind it."""
        done = (automation or self.automation).step()
        assert self.live.states.wait(self.live.feed.size, 30)
        return done

    def alarm(self, rule: str = "hot") -> StandingAlarm | None:
        assert self.live.states.wait(self.live.feed.size, 30)
        return self.live.states.state(TWIN).live.alarms.get(rule)

    def stated(self) -> list[Statement]:
        size = self.live.node.reader.head().size
        entries = map(parse_statement, self.live.node.reader.entries(0, size))
        return [statement for statement in entries if statement.content_type == ALARM]

    def transitions(self) -> list[str]:
        return [parse_alarm(statement.payload).transition.value for statement in self.stated()]


@contextmanager
def opened(folder: Path, *, enabled: bool = True) -> Iterator[Rig]:
    clock = ManualClock(START)
    if not folder.exists():
        init_node(folder, ORIGIN, OPERATOR_IRI, clock=clock)
    with open_live(folder, clock=clock) as live:
        if enabled:
            enable(live.node, automation_key(folder, ORIGIN))
        rig = Rig(live, clock)
        if (DEVICE.issuer, TWIN) not in rig.script.heads:
            rig.take(rig.script.grant(DEVICE, {Capability.RECORD}))
        yield rig


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with opened(tmp_path / "node") as made:
        yield made


def test_from_reading_to_cleared_alarm(rig: Rig) -> None:
    rig.rule(HOT)
    rig.read(99)
    assert rig.step()
    assert rig.stated() == []
    rig.read(120)
    assert rig.step()
    (raised,) = rig.stated()
    assert (raised.issuer, raised.kid) == (issuer_of(ORIGIN), rig.key.public.thumbprint)
    assert parse_alarm(raised.payload) == AlarmTransition("hot", Transition.RAISE, 120.0, rig.clock())
    alarm = rig.alarm()
    assert alarm is not None
    assert (alarm.name, alarm.value) == ("unacknowledged", 120.0)
    rig.respond(Transition.ACKNOWLEDGE)
    alarm = rig.alarm()
    assert alarm is not None
    assert alarm.name == "acknowledged"
    rig.read(90)
    assert rig.step()
    assert rig.alarm() is None
    assert rig.transitions() == ["raise", "clear"]
    assert [statement.seq for statement in rig.stated()] == [0, 1]
    assert (rig.problems, rig.automation.stated, rig.automation.waiting) == ([], 2, 0)


def test_a_thread_does_the_same(rig: Rig) -> None:
    rig.rule(HOT)
    rig.automation.start()
    try:
        rig.read(120)
        size = rig.live.feed.size
        # The reading's entry is published; what follows it can be just the alarm.
        assert rig.live.feed.wait(size, 30) or rig.stated()
    finally:
        rig.automation.stop()
    assert rig.transitions() == ["raise"]


def test_the_clock_alone_ends_a_delay(rig: Rig) -> None:
    rig.rule(SLOW)
    rig.read(120)
    measured = rig.clock()
    rig.clock.advance(60)
    assert rig.step()
    assert rig.stated() == []
    rig.clock.advance(1)
    assert rig.step()
    assert parse_alarm(rig.stated()[0].payload).time == measured + 60


def test_the_key_is_made_once_and_granted_once(tmp_path: Path) -> None:
    folder = tmp_path / "node"
    with opened(folder, enabled=False) as rig:
        assert not is_enabled(rig.live.node, rig.key)
        index = enable(rig.live.node, rig.key)
        assert index is not None
        assert is_enabled(rig.live.node, rig.key)
        assert enable(rig.live.node, rig.key) is None
        grant = parse_statement(rig.live.node.reader.entry(index))
        assert grant.issuer == OPERATOR_IRI
        key = (folder / "keys" / KEY).read_bytes()
        card = parse_card((folder / CARD).read_text())
        assert (card.issuer, card.key) == (issuer_of(ORIGIN), rig.key.public)
        (folder / CARD).unlink()
        assert automation_key(folder, ORIGIN).public == rig.key.public
        assert (folder / "keys" / KEY).read_bytes() == key
        assert (folder / CARD).exists()
    (folder / "keys" / "operator.pem").unlink()
    (folder / "keys" / KEY).unlink()
    with open_live(folder, clock=ManualClock(START)) as live, pytest.raises(ConfigError, match=r"operator\.pem"):
        enable(live.node, automation_key(folder, ORIGIN))


def test_without_a_grant_it_says_how_to_get_one_and_goes_on(tmp_path: Path) -> None:
    with opened(tmp_path / "node", enabled=False) as rig:
        rig.rule(HOT)
        rig.read(120)
        assert not rig.step()
        assert isinstance(rig.automation.problem, ConfigError)
        assert "twinproof alarm enable" in str(rig.automation.problem)
        assert rig.automation.waiting == 0
        enable(rig.live.node, rig.key)
        # The alarm still holds, so it is stated now, once.
        assert rig.step()
        rig.read(121)
        assert rig.step()
        assert rig.transitions() == ["raise"]


def test_a_restart_goes_on_where_the_log_ends(tmp_path: Path) -> None:
    folder = tmp_path / "node"
    with opened(folder) as rig:
        rig.rule(HOT)
        rig.read(120)
        rig.step()
        assert rig.transitions() == ["raise"]
    with opened(folder) as rig:
        assert rig.step()
        assert rig.transitions() == ["raise"]
        rig.clock.advance(10)
        rig.read(90)
        assert rig.step()
        assert [(statement.seq, parse_alarm(statement.payload).transition) for statement in rig.stated()] == [
            (0, "raise"),
            (1, "clear"),
        ]


def test_a_stream_that_moved_is_read_again(rig: Rig) -> None:
    rig.rule(HOT)
    rig.read(120)
    rig.step()
    other = rig.new()
    rig.step(other)
    rig.read(90)
    assert rig.step(other)
    rig.read(120)
    # The first one believes the stream to end at its own raise.
    assert rig.step()
    assert rig.problems == []
    statements = rig.stated()
    assert [statement.seq for statement in statements] == list(range(len(statements)))
    assert rig.transitions()[:2] == ["raise", "clear"]
    alarm = rig.alarm()
    assert alarm is not None
    assert alarm.active


def failing(rig: Rig, monkeypatch: pytest.MonkeyPatch, error: Exception, *, lost: bool) -> Callable[[], None]:
    """Intake that answers with `error`, having taken the statements or not; the result mends it."""
    real = rig.live.node.intake.submit

    def submit(raws: Sequence[bytes]) -> Future[list[Outcome]]:
        if not lost:
            real(raws).result(30)
        answer: Future[list[Outcome]] = Future()
        answer.set_exception(error)
        return answer

    monkeypatch.setattr(rig.live.node.intake, "submit", submit)
    return lambda: monkeypatch.setattr(rig.live.node.intake, "submit", real)


@pytest.mark.parametrize("lost", [True, False])
@pytest.mark.parametrize("error", [StorageFailed("the disk is full"), Overloaded("busy", 1), TimeoutError()])
def test_an_answer_that_does_not_come_doubles_nothing(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, error: Exception, lost: bool
) -> None:
    rig.rule(HOT)
    rig.read(120)
    mend = failing(rig, monkeypatch, error, lost=lost)
    assert not rig.step()
    assert rig.automation.waiting == 1
    mend()
    rig.read(90)
    assert not failing_twice(rig, monkeypatch)
    assert rig.step()
    assert rig.transitions() == ["raise", "clear"]
    assert (rig.automation.waiting, rig.automation.problem, len(rig.problems)) == (0, None, 2)


def failing_twice(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Another round that comes to nothing, so that two transitions wait, one signed before."""
    mend = failing(rig, monkeypatch, Overloaded("busy", 1), lost=True)
    done = rig.step()
    mend()
    return done


def test_a_full_queue_drops_and_judges_again(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    small = rig.new(max_queue=1)
    for rule in (HOT, Rule("warm", "T24", Test.ABOVE, 50.0, Severity.LOW)):
        rig.rule(rule)
    rig.read(120)
    rig.step(small)
    assert (small.stated, small.dropped) == (1, 1)
    rig.read(121)
    rig.step(small)
    assert rig.transitions() == ["raise", "raise"]
    assert rig.alarm("hot") is not None
    assert rig.alarm("warm") is not None


def test_a_defect_is_told_and_passed_by(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.rule(HOT)
    assert rig.step()

    def broken(engine: Engine, item: object) -> list[Any]:
        raise ZeroDivisionError("a defect")

    with monkeypatch.context() as patch:
        patch.setattr(Engine, "take", broken)
        rig.read(99)
        assert not rig.step()
    assert isinstance(rig.automation.problem, InternalError)
    rig.read(120)
    assert rig.step()
    assert rig.transitions() == ["raise"]


def test_findings_are_told(rig: Rig) -> None:
    rig.rule(HOT)
    rig.read(99)
    rig.take(rig.script.record(DEVICE, 120, at=START - 5))
    rig.step()
    assert rig.automation.findings[TWIN, "hot", "late"].count == 1


def test_many_transitions_of_one_batch_chain(rig: Rig) -> None:
    rig.rule(HOT)
    for value in (120, 90, 130, 80, 140):
        rig.read(value)
    assert rig.step()
    assert rig.transitions() == ["raise", "clear", "raise", "clear", "raise"]
    assert [statement.seq for statement in rig.stated()] == [0, 1, 2, 3, 4]


def test_a_narrower_grant_will_do_where_it_reaches(tmp_path: Path) -> None:
    with opened(tmp_path / "node", enabled=False) as rig:
        from tests.builders import Signer

        signer = Signer(issuer_of(ORIGIN), rig.key)
        rig.take(rig.script.grant(signer, {Capability.PREDICT}, Scope("twin", TWIN)))
        rig.rule(HOT)
        rig.read(120)
        assert rig.step()
        assert rig.transitions() == ["raise"]
