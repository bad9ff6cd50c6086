"""Monitoring on a real node: each case stated once, whatever happens to the task; bad readings; fleets that drift."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from math import nan
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from tests.builders import MODEL, ORIGIN, START
from tests.node.folders import continue_log
from tests.node.forecast_rig import RECORDER, Rig, opened, twin
from twinproof.errors import ConfigError, Overloaded
from twinproof.node.cases import cases_of, ranked_cases
from twinproof.node.live import open_live
from twinproof.node.monitor_tracks import Track
from twinproof.node.monitoring import Monitoring
from twinproof.node.service_keys import MONITOR, Service
from twinproof.node.stating import Stating
from twinproof.prognosis.monitor import encode_monitor
from twinproof.proof import cbor
from twinproof.twin.alarm import (
    ALARM,
    MAX_MONITOR,
    RULE,
    AlarmTransition,
    Rule,
    RuleRemoval,
    Severity,
    Test,
    Transition,
    format_rule,
    format_transition,
    parse_alarm,
)
from twinproof.twin.attestation import ATTESTATION, OVERHAUL, Attestation, format_attestation
from twinproof.twin.columns import COLUMNS, format_columns
from twinproof.twin.description import Lifecycle
from twinproof.twin.reading import Reading
from twinproof.twin.senml import SENML, format_senml
from twinproof.twin.statement import Statement, parse_statement

TEMPLATE: dict[str, Any] = {
    "signals": ["a", "b"], "detector": {"ewma": {"limit": 7}}, "warm_up": 30, "cycle": "n", "persist": 3, "return": 5,
    "modes": [{"name": "worn", "signals": {"a": "+"}}], "fleet": {"share": 0.5, "window": 3600},
}  # fmt: skip
SHIFT = 60


def table(rows: int = 90, seed: int = 0, shift: float = 5.0, at: int = SHIFT, back: int = 10**6) -> list[list[float]]:
    found = np.random.default_rng(seed).normal(20, 1, (rows, 2))
    found[at:back, 0] += shift
    values: list[list[float]] = found.tolist()
    return values


class Plant(Rig):
    """A node with a monitor on a model, stepped by hand."""

    monitoring: Monitoring
    cycle: dict[int, int]

    def restart(self) -> None:
        """Monitoring as after a restart."""
        self.settle()
        key = MONITOR.key(self.live.node.folder, ORIGIN)
        self.monitoring = Monitoring(
            self.live.node, self.live.feed, self.live.states, key, clock=self.clock, on_problem=self.problems.append
        )

    def rule(self, about: str = MODEL, severity: Severity = Severity.HIGH, id: str = "wear", **more: Any) -> int:
        monitor = encode_monitor({**TEMPLATE, **more})
        rule = Rule(id, "a", Test.STRAYS, 1.0, severity, 0.2, monitor=monitor)
        return self.say(about, RULE, format_rule(rule))

    def say(self, about: str, content_type: str, payload: bytes) -> int:
        (index,) = self.take(self.script.say(self.script.operator, about, content_type, payload, at=int(self.clock())))
        return index

    def feed(self, values: Sequence[Sequence[float]], number: int = 0, step: float = 10.0) -> list[int]:
        """Rows, each a statement."""
        found = []
        for row in values:
            at = self.cycle[number] = self.cycle.get(number, 0) + 1
            self.clock.advance(step)
            named = [("n", None, [float(at)]), ("a", "K", [row[0]]), ("b", "K", [row[1]])]
            found.append(
                self.raw(number, COLUMNS, format_columns(self.clock(), [c for c in named if c[2][0] == c[2][0]]))
            )
        return self.take(*found)

    def raw(self, number: int, content_type: str, payload: bytes) -> Statement:
        return self.script.say(RECORDER, twin(number), content_type, payload, at=int(self.clock()))

    def go(self) -> bool:
        """A round, and what it stated comes by."""
        done = self.monitoring.step()
        self.settle()
        done = self.monitoring.step() and done
        self.settle()
        return done

    def alarms(self, about: str | None = None, issuer: str | None = None) -> list[tuple[int, AlarmTransition]]:
        """What monitoring stated, oldest first."""
        found = []
        for index, raw in self.live.node.entries_about(about or twin(0)):
            statement = parse_statement(raw)
            if statement.content_type == ALARM and statement.issuer == (issuer or self.monitoring.issuer):
                found.append((index, parse_alarm(statement.payload)))
        return found

    def words(self, about: str | None = None) -> list[str]:
        return [said.transition.value for _, said in self.alarms(about)]


@contextmanager
def planted(folder: Path) -> Iterator[Plant]:
    with ExitStack() as stack:
        stack.enter_context(patch("twinproof.node.live._monitoring", return_value=None))
        rig = stack.enter_context(opened(folder, blob=False))
        plant = rig
        plant.__class__ = Plant
        assert isinstance(plant, Plant)
        plant.cycle = {}
        MONITOR.enable(rig.live.node, MONITOR.key(rig.live.node.folder, ORIGIN))
        plant.script = continue_log(rig.live.node)
        plant.restart()
        yield plant


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    with planted(tmp_path / "node") as made:
        made.describe(0)
        yield made


def test_a_case_is_raised_with_its_evidence_and_cleared(plant: Plant) -> None:
    plant.rule()
    at = plant.feed(table())
    assert plant.go()
    ((index, raised),) = plant.alarms()
    assert raised.transition is Transition.RAISE
    assert raised.entry in at[SHIFT : SHIFT + 15]
    case = raised.case
    assert case is not None
    assert (case.detector, case.signals[0][0], case.hints) == ("ewma", "a", ("worn",))
    assert case.score > 1
    assert START < case.since <= (raised.time or 0)
    assert case.signals[0][1] == pytest.approx(case.score)
    state = plant.live.states.state(twin(0)).live.alarms["wear"]
    assert (state.active, state.case, state.entry) == (True, case, index)
    back = plant.feed(table(60, seed=1, at=10**6))
    assert plant.go()
    assert plant.words() == ["raise", "clear"]
    assert plant.alarms()[1][1].entry in back
    assert (plant.problems, plant.monitoring.stated, plant.monitoring.waiting, plant.monitoring.twins) == ([], 2, 0, 1)


def test_rows_before_the_rule_are_the_baseline_and_raise_nothing(plant: Plant) -> None:
    plant.feed(table(80, back=70))
    plant.rule()
    assert plant.go()
    assert plant.alarms() == []
    after = plant.feed(table(15, at=0))
    plant.go()
    ((_, raised),) = plant.alarms()
    assert raised.entry in after[2:12]


@pytest.mark.parametrize("every", [1, 7, 31])
def test_restarts_change_nothing(plant: Plant, every: int) -> None:
    plant.rule()
    values = table(200, back=100)
    values[150:] = table(50, seed=4, at=0)
    expected = 3
    for at in range(0, 200, every):
        plant.feed(values[at : at + every])
        # Not every round gets to its end: the process is gone after the first step.
        plant.monitoring.step()
        plant.restart()
    plant.go()
    assert plant.words() == ["raise", "clear", "raise"][:expected]
    entries = [said.entry for _, said in plant.alarms()]
    assert len(set(entries)) == expected


def test_what_was_decided_and_not_stated_is_stated_after_a_restart(plant: Plant) -> None:
    plant.rule()
    plant.feed(table())
    with patch.object(Stating, "deliver"):
        assert plant.monitoring.step()
    assert plant.monitoring.waiting == 1
    assert plant.alarms() == []
    plant.restart()
    plant.go()
    plant.restart()
    plant.go()
    assert plant.words() == ["raise"]


def test_what_intake_does_not_take_now_is_handed_in_again(plant: Plant) -> None:
    plant.rule()
    plant.feed(table())
    with patch.object(plant.live.node.intake, "submit", side_effect=Overloaded("full", 1.0)):
        assert not plant.monitoring.step()
    assert plant.problems
    assert plant.go()
    assert plant.words() == ["raise"]


def test_an_answer_that_got_lost_doubles_nothing(plant: Plant) -> None:
    plant.rule()
    plant.feed(table())
    submit = plant.live.node.intake.submit

    def lose(raws: Sequence[bytes]) -> Any:
        submit(raws).result(30)
        raise Overloaded("no answer", 1.0)

    with patch.object(plant.live.node.intake, "submit", side_effect=lose):
        plant.monitoring.step()
    plant.go()
    assert plant.words() == ["raise"]


def test_a_defect_is_reported_and_survived(plant: Plant) -> None:
    plant.rule()
    plant.feed(table())
    with patch.object(Track, "take", side_effect=ZeroDivisionError("defect")):
        assert not plant.monitoring.step()
    assert [problem.code for problem in plant.problems] == ["internal"]
    assert plant.go()
    assert plant.words() == ["raise"]


def test_without_a_grant_nothing_is_stated_and_said_so(tmp_path: Path) -> None:
    with planted(tmp_path / "node") as plant:
        with patch.object(Service, "is_enabled", return_value=False):
            assert not plant.monitoring.step()
        assert isinstance(plant.problems[-1], ConfigError)
        assert "twinproof monitor enable" in str(plant.problems[-1])


def test_the_node_runs_it_beside_the_rest(tmp_path: Path) -> None:
    with planted(tmp_path / "node") as plant:
        plant.describe(0)
        plant.rule()
        plant.feed(table())
        clock = plant.clock
    with open_live(tmp_path / "node", clock=clock) as live:
        assert live.monitoring is not None
        seen = live.feed.size
        while "wear" not in live.states.state(twin(0)).live.alarms:
            live.feed.wait(seen, 30)
        assert live.monitoring.problem is None
    with planted(tmp_path / "node") as plant:
        assert plant.words() == ["raise"]


# --- which rules hold -------------------------------------------------------------------------


def raised(plant: Plant, about: str = MODEL, **more: Any) -> None:
    plant.rule(about, **more)
    plant.feed(table())
    plant.go()
    assert plant.words() == ["raise"]


def test_a_models_rule_that_goes_takes_its_alarm_along(plant: Plant) -> None:
    raised(plant)
    plant.say(MODEL, RULE, format_rule(RuleRemoval("wear")))
    plant.go()
    assert plant.words() == ["raise", "clear"]
    assert plant.monitoring.twins == 0


def test_so_it_does_while_nobody_was_there(plant: Plant) -> None:
    raised(plant)
    plant.say(MODEL, RULE, format_rule(RuleRemoval("wear")))
    for _ in range(2):
        plant.restart()
        plant.go()
    assert plant.words() == ["raise", "clear"]


def test_a_twins_own_rule_that_goes_leaves_nothing_to_clear(plant: Plant) -> None:
    raised(plant, twin(0))
    plant.say(twin(0), RULE, format_rule(RuleRemoval("wear")))
    plant.go()
    assert plant.words() == ["raise"]
    assert plant.live.states.state(twin(0)).live.alarms == {}


@pytest.mark.parametrize(
    "change", [{"lifecycle": Lifecycle.RETIRED}, {"model": "dtmi:example:other;1"}], ids=["end", "model"]
)
def test_a_twin_that_is_retired_or_becomes_another_is_cleared(plant: Plant, change: dict[str, Any]) -> None:
    raised(plant)
    plant.describe(0, **change)
    plant.go()
    assert plant.words() == ["raise", "clear"]
    plant.describe(0)
    plant.feed(table(30, at=0))
    plant.go()
    assert plant.words() == ["raise", "clear", "raise"]


def test_a_rule_stated_anew_keeps_its_alarm_and_judges_by_what_it_says(plant: Plant) -> None:
    raised(plant)
    plant.rule(detector={"ewma": {"limit": 1000}})
    plant.go()
    assert plant.words() == ["raise"]
    plant.feed(table(20, at=0))
    plant.go()
    assert plant.words() == ["raise", "clear"]


def test_what_others_say_of_the_alarm_is_the_truth(plant: Plant) -> None:
    raised(plant)
    plant.say(twin(0), ALARM, format_transition(AlarmTransition("wear", Transition.CLEAR)))
    plant.feed(table(1, at=0))
    plant.go()
    assert plant.words() == ["raise", "raise"]
    plant.restart()
    plant.go()
    assert plant.words() == ["raise", "raise"]


ODD = {
    "empty": b"\xa0",
    "of a direction that is a list": cbor.encode({**TEMPLATE, "modes": [{"name": "x", "signals": {"a": ["+"]}}]}),
    "48 KiB of nonsense": b"\x81" * MAX_MONITOR,
}


@pytest.mark.parametrize("odd", ODD)
def test_a_monitor_that_cannot_be_read_is_said_and_the_others_go_on(odd: str, plant: Plant) -> None:
    rule = Rule("odd", "a", Test.STRAYS, 1.0, Severity.LOW, monitor=ODD[odd])
    plant.say(MODEL, RULE, format_rule(rule))
    plant.rule()
    plant.feed(table())
    plant.go()
    assert "rule odd about" in str(plant.problems[-1])
    assert plant.words() == ["raise"]


def test_alarm_rules_of_the_automation_are_left_alone(plant: Plant) -> None:
    plant.say(MODEL, RULE, format_rule(Rule("hot", "a", Test.ABOVE, 1.0, Severity.LOW)))
    plant.feed(table())
    assert plant.go()
    assert plant.alarms() == []


@pytest.mark.parametrize("when", ["running", "away"])
def test_an_overhaul_clears_and_begins_a_new_warm_up(plant: Plant, when: str) -> None:
    raised(plant)
    plant.say(twin(0), ATTESTATION, format_attestation(Attestation(OVERHAUL)))
    if when == "away":
        plant.restart()
    plant.go()
    assert plant.words() == ["raise", "clear"]
    # The counter of cycles begins anew as well, and what strayed before is normal now.
    plant.cycle[0] = 0
    plant.feed(table(60, seed=4, at=0))
    plant.go()
    assert plant.words() == ["raise", "clear"]
    plant.feed(table(15, seed=5, at=0, shift=12.0))
    plant.go()
    plant.restart()
    plant.go()
    assert plant.words() == ["raise", "clear", "raise"]


# --- bad input --------------------------------------------------------------------------------


def quiet(plant: Plant) -> None:
    plant.rule()
    plant.feed(table(60, at=10**6))


def spikes(plant: Plant) -> list[str]:
    """A sensor's wild values: no number, or one that is beyond everything."""
    quiet(plant)
    plant.feed([[nan, 20.0], [1e300, 20.0], [20.0, 20.0], [-1e9, 20.0], *table(20, seed=3, at=10**6)])
    return ["missing a"]


def stuck(plant: Plant) -> list[str]:
    quiet(plant)
    plant.feed([[20.0, b] for _, b in table(60, seed=3)])
    return ["missing a"]


def missing(plant: Plant) -> list[str]:
    quiet(plant)
    plant.feed([[nan, b] for _, b in table(60, seed=3)])
    return ["missing a"]


def unit_change(plant: Plant) -> list[str]:
    """The same signal in degrees Fahrenheit."""
    quiet(plant)
    for number in range(20):
        plant.clock.advance(10)
        named = [("n", None, [float(61 + number)]), ("a", "[degF]", [68.0 + number]), ("b", "K", [20.0])]
        plant.take(plant.raw(0, COLUMNS, format_columns(plant.clock(), named)))
    return ["missing a", "unit"]


def clock_jump(plant: Plant) -> list[str]:
    """A device's clock is a day ahead: its time is not believed."""
    quiet(plant)
    for number in range(20):
        named = [("n", None, [float(61 + number)]), ("a", "K", [99.0]), ("b", "K", [20.0])]
        plant.take(plant.raw(0, COLUMNS, format_columns(plant.clock() + 86400, named)))
    return ["ahead"]


def out_of_order(plant: Plant) -> list[str]:
    """Cycles that were counted already."""
    quiet(plant)
    plant.cycle[0] = 10
    plant.feed([[99.0, 20.0]] * 20)
    return ["late"]


def late(plant: Plant) -> list[str]:
    """Without a counter of cycles, times that are older than the newest row's."""
    plant.say(MODEL, RULE, format_rule(RuleRemoval("wear")))
    template = {name: value for name, value in TEMPLATE.items() if name != "cycle"}
    rule = Rule("wear", "a", Test.STRAYS, 1.0, Severity.HIGH, 0.2, monitor=encode_monitor(template))
    plant.say(MODEL, RULE, format_rule(rule))
    plant.feed(table(60, at=10**6))
    for _ in range(20):
        plant.take(plant.raw(0, SENML, format_senml([Reading("a", 99.0, "K", plant.clock() - 30)])))
    return ["late"]


def three_rows(plant: Plant) -> list[str]:
    plant.rule()
    plant.feed([[20.0, 20.0], [99.0, 20.0], [-99.0, 20.0]])
    return []


def unknown_regime(plant: Plant) -> list[str]:
    cells = [{"within": [[0, 1]], "mean": [20, 20], "gain": [1, 1]}]
    plant.rule(settings=["load"], cells=cells)
    for number, (a, b) in enumerate(table(90)):
        plant.clock.advance(10)
        load = 0.5 if number < SHIFT else 7.0
        named = [("n", None, [float(number + 1)]), ("a", "K", [a]), ("b", "K", [b]), ("load", None, [load])]
        plant.take(plant.raw(0, COLUMNS, format_columns(plant.clock(), named)))
    return []


@pytest.mark.parametrize(
    "bad", [spikes, stuck, missing, unit_change, clock_jump, out_of_order, late, three_rows, unknown_regime],
    ids=lambda bad: bad.__name__,
)  # fmt: skip
def test_bad_readings_raise_nothing_and_are_counted(plant: Plant, bad: Callable[[Plant], list[str]]) -> None:
    expected = bad(plant)
    assert plant.go()
    assert plant.alarms() == []
    assert sorted(plant.monitoring.findings.get((twin(0), "wear"), {})) == expected
    assert plant.problems == []


# --- fleets and ranks -------------------------------------------------------------------------


def drift(plant: Plant, strayed: int, twins: int, shift: float = 5.0) -> None:
    for number in range(twins):
        if number:
            plant.describe(number)
        plant.feed(table(60, seed=number, at=10**6), number, step=0.1)
    for number in range(strayed):
        plant.feed(table(15, seed=50 + number, at=0, shift=shift), number, step=0.1)
    plant.go()


def test_a_fleet_that_drifts_is_one_case_and_the_single_ones_are_part_of_it(plant: Plant) -> None:
    plant.rule()
    drift(plant, 4, 6, shift=-5.0)
    ((_, said),) = plant.alarms(MODEL)
    case = said.case
    assert case is not None
    # Raised as soon as half of them strayed; the fourth one is part of it as well.
    assert case.fleet == (3, 6)
    assert case.signals[0] == ("a", -0.5)
    ranked = ranked_cases(plant.live.states)
    assert [(each.subject, each.part_of) for each in ranked[:1]] == [(MODEL, None)]
    assert {each.subject: each.part_of for each in ranked[1:]} == {twin(number): MODEL for number in range(4)}
    assert {each.severity for each in ranked} == {"high"}
    plant.restart()
    plant.go()
    assert plant.words(MODEL) == ["raise"]
    for number in range(4):
        plant.feed(table(40, seed=90 + number, at=10**6), number, step=0.1)
    plant.go()
    plant.go()
    assert plant.words(MODEL) == ["raise", "clear"]
    assert {each.state for each in ranked_cases(plant.live.states)} == {"returned unacknowledged"}
    assert {each.part_of for each in ranked_cases(plant.live.states)} == {None}


def test_few_twins_opposite_ways_or_long_apart_are_no_fleet(plant: Plant) -> None:
    plant.rule()
    drift(plant, 2, 4)
    assert plant.alarms(MODEL) == []
    plant.feed(table(15, seed=70, at=0, shift=-5.0), 2, step=0.1)
    plant.go()
    assert plant.words(twin(2)) == ["raise"]
    assert plant.alarms(MODEL) == []
    plant.clock.advance(7200)
    plant.feed(table(15, seed=71, at=0), 3, step=0.1)
    plant.go()
    assert plant.words(twin(3)) == ["raise"]
    assert plant.alarms(MODEL) == []


def test_cases_are_ranked_by_severity_then_distance(plant: Plant) -> None:
    plant.rule(severity=Severity.LOW)
    for number, shift in enumerate((5.0, 9.0, 5.0)):
        plant.describe(number)
        plant.feed(table(60, seed=number, at=10**6), number, step=0.1)
        if number == 2:
            plant.rule(twin(2), severity=Severity.CRITICAL)
        plant.feed(table(15, seed=9, at=0, shift=shift), number, step=0.1)
    plant.go()
    ranked = ranked_cases(plant.live.states)
    assert [each.subject for each in ranked] == [twin(2), twin(1), twin(0)]
    assert [each.severity for each in ranked] == ["critical", "low", "low"]
    assert ranked_cases(plant.live.states, twin(1)) == ranked[1:2]
    assert cases_of(plant.live.states, [(twin(1), "wear"), (twin(1), "none")]) == {(twin(1), "wear"): ranked[1]}
