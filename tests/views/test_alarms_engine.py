"""All rules on all twins: which hold, what is judged, what the log overrides, and restarts at every point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import DEVICE, START
from tests.views.alarm_reference import Reference
from tests.views.telemetry_log import Journal, Said, columns, senml
from twinproof.twin.alarm import (
    ALARM,
    ALARM_RESPONSE,
    RULE,
    AlarmTransition,
    Rule,
    RuleRemoval,
    Severity,
    Test,
    Transition,
    format_rule,
    format_transition,
)
from twinproof.twin.description import DESCRIPTION, Description, Lifecycle, format_description
from twinproof.twin.reading import Reading
from twinproof.views.alarms import Engine, Proposal, Settings, rebuild
from twinproof.views.feed import Feed
from twinproof.views.state import StateView

ONE, TWO = "https://fleet.example/engine/1", "https://fleet.example/engine/2"
MODEL, NEWER = "dtmi:example:engine;1", "dtmi:example:engine;2"
BASE = START - 1000
HOT = Rule("hot", "T24", Test.ABOVE, 100.0, Severity.HIGH, deadband=5.0)
QUIET = Rule("quiet", "T24", Test.MISSING, 60.0, Severity.LOW)


def stated(about: str, rule: Rule | RuleRemoval) -> Said:
    return Said(about, RULE, format_rule(rule))


def described(twin: str, **change: object) -> Said:
    return Said(twin, DESCRIPTION, format_description(Description(**change)))  # type: ignore[arg-type]


def read(twin: str, time: float, value: float | bool | str, name: str = "T24", unit: str | None = "K") -> Said:
    return senml(twin, Reading(name, value, unit, BASE + time))


def alarm(proposal: Proposal) -> Said:
    said = AlarmTransition(proposal.rule, proposal.transition, value=proposal.value, time=proposal.time)
    return Said(proposal.subject, ALARM, format_transition(said))


def shown(proposals: Sequence[Proposal]) -> list[str]:
    return [
        f"{p.subject[-1]} {p.rule} {p.transition} {p.time - BASE:g}" + ("" if p.value is None else f" {p.value:g}")
        for p in proposals
    ]


@dataclass
class Plant:
    """A log and the engine at its end; what is proposed is stated at once unless `deaf`."""

    how: Settings = field(default_factory=Settings)
    deaf: bool = False

    def __post_init__(self) -> None:
        self.journal = Journal()
        self.engine = Engine(DEVICE.issuer, self.how)
        self.reached = 0

    def say(self, *said: Said) -> list[str]:
        self.journal.say(*said)
        return shown(self.judge())

    def judge(self) -> list[Proposal]:
        found: list[Proposal] = []
        while items := self.journal.feed.read(self.reached, 1):
            self.reached = items[0].index + 1
            new = self.engine.take(items[0])
            found += new
            self.state(new)
        return found

    def tick(self, time: float) -> list[str]:
        new = self.engine.tick(BASE + time)
        self.state(new)
        return shown([*new, *self.judge()])

    def state(self, proposals: list[Proposal]) -> None:
        if proposals and not self.deaf:
            self.journal.say(*map(alarm, proposals))

    def restart(self, folder: Path) -> list[Proposal]:
        """A new engine from the state view; what it proposes is not stated yet."""
        view = StateView(folder / f"{len(list(folder.iterdir()))}.db", Feed(self.journal.reader))
        view.catch_up()
        self.engine, self.reached, found = rebuild(view, self.journal.feed, DEVICE.issuer, self.how)
        view.close()
        return found

    def alarms(self) -> list[tuple[str, AlarmTransition]]:
        return [
            (item.statement.subject, item.payload)
            for item in self.journal.items
            if isinstance(item.payload, AlarmTransition)
        ]


@pytest.fixture
def plant() -> Plant:
    return Plant()


# --- which rules hold ---------------------------------------------------------------------------


def test_a_rule_of_a_twin(plant: Plant) -> None:
    assert plant.say(read(ONE, 0, 120)) == []
    assert plant.say(stated(ONE, HOT)) == []
    assert plant.say(read(TWO, 1, 120), read(ONE, 1, 120, name="Nf")) == []
    assert plant.say(read(ONE, 2, 130)) == ["1 hot raise 2 130"]
    assert plant.say(read(ONE, 3, 98), read(ONE, 4, 95)) == ["1 hot clear 4 95"]
    assert plant.engine.watches[ONE].standing == {}


def test_a_rule_of_a_model_holds_for_its_twins(plant: Plant) -> None:
    plant.say(described(ONE, model=MODEL), stated(MODEL, HOT))
    assert plant.say(read(ONE, 0, 120), read(TWO, 0, 120)) == ["1 hot raise 0 120"]
    plant.say(described(TWO, model=MODEL))
    assert plant.say(read(TWO, 1, 120)) == ["2 hot raise 1 120"]
    # Another model: its rules do not hold any more.
    assert plant.say(described(TWO, model=NEWER)) == ["2 hot clear 1000"]
    assert plant.say(stated(MODEL, RuleRemoval("hot"))) == ["1 hot clear 1000"]
    assert plant.engine.watches == {}


def test_a_twins_own_rule_goes_before_its_models(plant: Plant) -> None:
    plant.say(described(ONE, model=MODEL), stated(MODEL, HOT))
    plant.say(stated(ONE, Rule("hot", "T24", Test.ABOVE, 200.0, Severity.LOW)))
    assert plant.say(read(ONE, 0, 150)) == []
    plant.say(stated(ONE, RuleRemoval("hot")))
    assert plant.say(read(ONE, 1, 150)) == ["1 hot raise 1 150"]


def test_a_removed_rule_takes_its_alarm_along(plant: Plant) -> None:
    plant.say(stated(ONE, HOT), read(ONE, 0, 150))
    assert plant.say(stated(ONE, RuleRemoval("hot"))) == []
    assert plant.say(read(ONE, 1, 90)) == []
    assert plant.engine.watches == {}


def test_a_raise_on_its_way_when_the_rule_goes_is_cleared(plant: Plant) -> None:
    plant.deaf = True
    plant.say(stated(ONE, HOT), read(ONE, 0, 150))
    assert plant.say(stated(ONE, RuleRemoval("hot"))) == ["1 hot clear 1000"]


def test_a_replaced_rule_judges_anew_and_keeps_the_alarm(plant: Plant) -> None:
    plant.say(stated(ONE, HOT), read(ONE, 0, 150))
    plant.say(stated(ONE, Rule("hot", "T24", Test.ABOVE, 200.0, Severity.LOW)))
    assert plant.say(read(ONE, 1, 210)) == []
    assert plant.say(read(ONE, 2, 150)) == ["1 hot clear 2 150"]


def test_a_monitor_in_its_place_ends_a_rule_here(plant: Plant, tmp_path: Path) -> None:
    plant.say(stated(ONE, HOT), read(ONE, 0, 150))
    monitor = Rule("hot", "T24", Test.STRAYS, 1.0, Severity.LOW, monitor=b"\xa0")
    assert plant.say(stated(ONE, monitor)) == ["1 hot clear 1000"]
    assert plant.say(read(ONE, 1, 500)) == []
    assert plant.restart(tmp_path) == []
    assert plant.engine.stated == {}
    assert plant.say(read(ONE, 2, 500), stated(ONE, RuleRemoval("hot")), stated(ONE, HOT)) == []
    assert plant.say(read(ONE, 3, 500)) == ["1 hot raise 3 500"]


def test_a_retired_twin_is_left_alone(plant: Plant) -> None:
    plant.say(stated(ONE, HOT), stated(ONE, QUIET), read(ONE, 0, 150))
    assert plant.say(described(ONE, lifecycle=Lifecycle.RETIRED)) == ["1 hot clear 1000"]
    assert plant.say(read(ONE, 1, 150)) == []
    assert plant.tick(10_000) == []
    plant.say(described(ONE, lifecycle=Lifecycle.IN_SERVICE))
    assert plant.tick(1060) == []
    assert plant.tick(1061) == ["1 quiet raise 1060"]


# --- what is judged -----------------------------------------------------------------------------


def test_missing_by_the_clock(plant: Plant) -> None:
    plant.say(stated(ONE, QUIET))
    plant.say(read(ONE, 1030, True))  # any reading of that name will do
    assert plant.tick(1090) == []
    assert plant.tick(1091) == ["1 quiet raise 1090"]
    assert plant.tick(5000) == []
    assert plant.say(read(ONE, 1200, "on")) == ["1 quiet clear 1200"]


def test_a_pack_is_judged_in_the_order_of_its_times(plant: Plant) -> None:
    plant.say(stated(ONE, HOT))
    pack = [Reading("T24", value, "K", BASE + time) for time, value in ((3.0, 90.0), (1.0, 120.0), (2.0, 110.0))]
    assert plant.say(senml(ONE, *pack)) == ["1 hot raise 1 120", "1 hot clear 3 90"]


def test_values_that_are_no_numbers_are_not_compared(plant: Plant) -> None:
    plant.say(stated(ONE, Rule("on", "T24", Test.ABOVE, 0.0, Severity.LOW)))
    assert plant.say(read(ONE, 0, True), read(ONE, 1, "99")) == []
    assert plant.say(read(ONE, 2, 1)) == ["1 on raise 2 1"]


def test_columns(plant: Plant) -> None:
    plant.say(stated(ONE, HOT), stated(ONE, Rule("fast", "Nf", Test.RISES_FASTER, 3.0, Severity.LOW)))
    rows = [90.0] * 40 + [120.0] * 40 + [float("nan")] * 10 + [90.0] * 10
    speeds = [float(row) for row in range(90)] + [100.0 + 4 * row for row in range(10)]
    said = columns(ONE, [("T24", "K", rows), ("P2", None, rows), ("Nf", None, speeds)], base_time=BASE, step=1)
    assert plant.say(said) == [
        "1 hot raise 40 120",
        "1 fast raise 90 100",
        "1 hot clear 90 90",
    ]


def test_late_readings_are_ignored_and_counted(plant: Plant) -> None:
    plant.say(stated(ONE, HOT), read(ONE, 10, 90))
    assert plant.say(read(ONE, 9, 150), read(ONE, 8, 150)) == []
    late = plant.engine.findings[ONE, "hot", "late"]
    assert (late.count, late.entry) == (2, 3)
    many = [150.0] * 50
    assert plant.say(columns(ONE, [("T24", "K", many)], base_time=BASE - 50, step=1)) == []
    assert plant.engine.findings[ONE, "hot", "late"].count == 52


def test_a_reading_from_the_future_cannot_silence_a_rule(plant: Plant) -> None:
    plant.say(stated(ONE, HOT))
    assert plant.say(read(ONE, 1301, 150), columns(ONE, [("T24", "K", [150.0])], base_time=BASE + 90_000)) == []
    assert plant.engine.findings[ONE, "hot", "ahead"].count == 2
    assert plant.say(read(ONE, 1, 150)) == ["1 hot raise 1 150"]


def test_another_unit_is_not_compared(plant: Plant) -> None:
    plant.say(stated(ONE, HOT), read(ONE, 0, 90))
    assert plant.say(read(ONE, 1, 200, unit="Cel"), read(ONE, 1, 200, unit=None)) == []
    assert plant.say(columns(ONE, [("T24", "Cel", [200.0] * 3)], base_time=BASE + 2, step=1)) == []
    finding = plant.engine.findings[ONE, "hot", "unit"]
    assert finding.count == 5
    assert finding.text == "unit Cel, but the rule was first compared with values in K"
    assert plant.say(read(ONE, 1, 200)) == ["1 hot raise 1 200"]


def test_twins_without_rules_cost_nothing_to_remember(plant: Plant) -> None:
    for number in range(50):
        plant.say(read(f"urn:example:{number}", number, 1e9))
    assert plant.engine.watches == {}


def test_shelving_and_acknowledging_change_no_judgement(plant: Plant) -> None:
    plant.say(stated(ONE, HOT), read(ONE, 0, 150))
    for said in (
        AlarmTransition("hot", Transition.SHELVE, until=START + 99),
        AlarmTransition("hot", Transition.ACKNOWLEDGE),
    ):
        assert plant.say(Said(ONE, ALARM_RESPONSE, format_transition(said))) == []
    assert plant.say(read(ONE, 1, 90), read(ONE, 2, 150)) == ["1 hot clear 1 90", "1 hot raise 2 150"]


# --- the log is right ---------------------------------------------------------------------------


def test_an_alarm_that_somebody_else_raised_is_not_raised_again(plant: Plant) -> None:
    plant.engine.issuer = "urn:example:other"
    plant.say(stated(ONE, HOT), read(ONE, 0, 97))
    assert plant.say(Said(ONE, ALARM, format_transition(AlarmTransition("hot", Transition.RAISE)))) == []
    assert plant.say(read(ONE, 1, 150)) == []
    assert plant.say(read(ONE, 2, 90)) == ["1 hot clear 2 90"]


def test_an_alarm_that_somebody_else_raised_without_cause_is_cleared(plant: Plant) -> None:
    plant.engine.issuer = "urn:example:other"
    plant.say(stated(ONE, HOT), read(ONE, 0, 90))
    plant.say(Said(ONE, ALARM, format_transition(AlarmTransition("hot", Transition.RAISE))))
    assert plant.tick(1) == ["1 hot clear 0 90"]


def test_somebody_elses_alarm_without_a_rule_is_theirs(plant: Plant) -> None:
    plant.engine.issuer = "urn:example:other"
    plant.say(stated(ONE, HOT))
    assert plant.say(Said(ONE, ALARM, format_transition(AlarmTransition("life", Transition.RAISE)))) == []
    assert plant.say(Said(TWO, ALARM, format_transition(AlarmTransition("life", Transition.RAISE)))) == []


def test_what_was_refused_is_proposed_again_while_it_holds(plant: Plant) -> None:
    plant.deaf = True
    plant.say(stated(ONE, HOT))
    plant.journal.say(read(ONE, 0, 150))
    (proposal,) = plant.judge()
    assert plant.say(read(ONE, 1, 150)) == []
    plant.engine.refused(proposal)
    assert plant.say(read(ONE, 2, 150)) == ["1 hot raise 1 150"]
    plant.engine.refused(proposal)  # it is not on its way any more
    assert plant.say(read(ONE, 3, 90)) == ["1 hot clear 3 90"]


# --- restarts -----------------------------------------------------------------------------------

LIVELY = (
    Rule("above", "T24", Test.ABOVE, 2.0, Severity.HIGH, deadband=0.5, delay_on=3, delay_off=2),
    Rule("rises", "T24", Test.RISES_FASTER, 1.0, Severity.LOW, delay_on=2),
    Rule("still", "T24", Test.MISSING, 6.0, Severity.LOW, delay_off=4),
    Rule("under", "T24", Test.BELOW, 1.0, Severity.LOW),
)
Event = tuple[str, float, float]


def events() -> st.SearchStrategy[list[Event]]:
    step = st.tuples(
        st.sampled_from(("read", "read", "columns", "tick")),
        st.sampled_from((0.0, 0.5, 1.0, 2.0, 7.0)),
        st.sampled_from((0.0, 1.0, 1.5, 2.0, 2.5, 5.0)),
    )
    return st.lists(step, max_size=14)


def perform(plant: Plant, script: list[Event], start: float, step: int | None = None) -> float:
    """All events, or just number `step`, from the time `start`; the time at the end."""
    time = start
    for kind, delta, value in script if step is None else script[step : step + 1]:
        time += delta
        if kind == "read":
            plant.say(read(ONE, time, value))
        elif kind == "columns":
            plant.say(columns(ONE, [("T24", "K", [value, 3 - value])], base_time=BASE + time, step=1))
            time += 1
        else:
            plant.tick(time)
    return time


@settings(max_examples=20)
@given(events(), st.booleans())
def test_restarted_at_every_point(tmp_path_factory: pytest.TempPathFactory, script: list[Event], lost: bool) -> None:
    """Whether the last transitions before the crash became durable or not, the log ends the same."""
    how = Settings(flap_transitions=4, flap_seconds=10)
    folder = tmp_path_factory.mktemp("restarts")
    calm = Plant(how)
    calm.say(*(stated(ONE, rule) for rule in LIVELY), read(ONE, 1000, 1.0))
    perform(calm, script, 1000)
    broken = Plant(how)
    broken.say(*(stated(ONE, rule) for rule in LIVELY), read(ONE, 1000, 1.0))
    time = 1000.0
    for step, (kind, *_) in enumerate(script):
        # What a tick alone brought to light is decided again by the next tick, not by the restart.
        broken.deaf = lost and kind != "tick"
        time = perform(broken, script, time, step)
        broken.deaf = False
        found = broken.restart(folder)
        assert broken.engine.findings.keys() <= {(ONE, rule.id, "late") for rule in LIVELY}
        broken.state(found)
        broken.judge()
    by_rule = [
        {rule.id: [said for _, said in plant.alarms() if said.rule == rule.id] for rule in LIVELY}
        for plant in (calm, broken)
    ]
    assert by_rule[0] == by_rule[1]


@settings(max_examples=20)
@given(events(), st.integers(1, 6))
def test_a_short_look_back_never_raises_twice_nor_clears_what_does_not_stand(
    tmp_path_factory: pytest.TempPathFactory, script: list[Event], look_back: int
) -> None:
    plant = Plant(Settings(look_back=look_back))
    folder = tmp_path_factory.mktemp("restarts")
    plant.say(*(stated(ONE, rule) for rule in LIVELY))
    time = 1000.0
    for step in range(len(script)):
        time = perform(plant, script, time, step)
        plant.state(plant.restart(folder))
        plant.judge()
    active: dict[str, bool] = {}
    for _, said in plant.alarms():
        raised = said.transition is Transition.RAISE
        assert active.get(said.rule, False) is not raised
        active[said.rule] = raised


def test_a_restart_finds_models_rules_units_and_alarms(plant: Plant, tmp_path: Path) -> None:
    plant.how = Settings(look_back=2)
    plant.say(described(ONE, model=MODEL), stated(MODEL, HOT), stated(TWO, QUIET))
    plant.say(read(ONE, 0, 150), read(ONE, 1, 140), read(ONE, 2, 140, unit="Cel"), read(ONE, 3, 140, unit="Cel"))
    assert plant.restart(tmp_path) == []
    # The unit is the one that the rule met first, though that is far behind the look back.
    assert plant.say(read(ONE, 4, 10, unit="Cel")) == []
    assert plant.say(read(ONE, 5, 10)) == ["1 hot clear 5 10"]
    assert plant.tick(1061) == ["2 quiet raise 1060"]


def test_an_alarm_whose_rule_went_meanwhile_is_cleared_at_the_restart(plant: Plant, tmp_path: Path) -> None:
    plant.say(described(ONE, model=MODEL), stated(MODEL, HOT), read(ONE, 0, 150))
    plant.journal.say(stated(MODEL, RuleRemoval("hot")))
    assert shown(plant.restart(tmp_path)) == ["1 hot clear 1000"]


def test_what_held_before_the_look_back_still_holds(plant: Plant, tmp_path: Path) -> None:
    plant.how = Settings(look_back=2)
    slow = Rule("slow", "T24", Test.ABOVE, 100.0, Severity.HIGH, delay_on=60)
    plant.say(stated(ONE, slow), read(ONE, 10, 150))
    plant.say(*(read(ONE, time, 1, name="Nf") for time in range(11, 20)))
    plant.restart(tmp_path)
    assert plant.tick(71) == ["1 slow raise 70 150"]


# --- against the reference ------------------------------------------------------------------------


@settings(max_examples=100)
@given(events())
def test_a_whole_log_as_the_reference(script: list[Event]) -> None:
    plant = Plant()
    plant.say(*(stated(ONE, rule) for rule in LIVELY))
    references = {rule.id: Reference(rule, plant.how, since=float(START)) for rule in LIVELY}
    expected: dict[str, list[tuple[Transition, float | None, float]]] = {rule.id: [] for rule in LIVELY}
    time = 1000.0
    for step, (kind, delta, value) in enumerate(script):
        at = BASE + time + delta
        time = perform(plant, script, time, step)
        for id_, reference in references.items():
            if kind == "tick":
                expected[id_] += reference.tick(at)
            else:
                expected[id_] += reference.reading(at, value)
            if kind == "columns":
                expected[id_] += reference.reading(at + 1, 3 - value)
    found = {
        rule.id: [(said.transition, said.value, said.time) for _, said in plant.alarms() if said.rule == rule.id]
        for rule in LIVELY
    }
    assert found == expected
