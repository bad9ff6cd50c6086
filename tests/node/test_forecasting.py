"""Forecasting on a real node: after each row one prediction, whatever happens to the task, and none of bad readings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from math import nan
from pathlib import Path
from typing import Any

import pytest

from tests.builders import DEVICE, MODEL, ORIGIN
from tests.node.forecast_rig import FLEET, NAMES, RECORDER, Rig, opened, predictor, rows_of, trained, twin
from tests.prognosis.fleets import CAP, SIGNALS
from twinproof.errors import ConfigError, InternalError, Malformed, NotAuthorised, Overloaded, StorageFailed
from twinproof.node import forecasting as module
from twinproof.node.live import open_live
from twinproof.node.service_keys import FORECAST
from twinproof.node.stating import Stating
from twinproof.prognosis.audit import Audit, Outcome
from twinproof.prognosis.live import LiveFleet
from twinproof.prognosis.model import parse_model
from twinproof.prognosis.replay import Replayer
from twinproof.proof.keys import ES256
from twinproof.twin.description import Lifecycle
from twinproof.twin.grants import Capability, Scope
from twinproof.twin.kinds import parse_payload
from twinproof.twin.prediction import UNCLAIMED, Prediction, parse_prediction
from twinproof.twin.predictor import PREDICTOR, Stage, format_predictor
from twinproof.twin.statement import parse_statement

SHORTEST = 5
"""Rows before the model says anything."""


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with opened(tmp_path / "node") as made:
        made.describe(0)
        made.promote()
        yield made


def audited(rig: Rig, number: int = 0) -> list[Outcome]:
    """What a replay finds of every prediction about a twin."""
    audit = Audit({trained().digest: trained().model})
    findings = []
    for index, raw in rig.live.node.entries_about(twin(number)):
        statement = parse_statement(raw)
        finding = audit.take(index, statement, parse_payload(statement))
        if finding is not None:
            findings.append(finding.outcome)
    return findings


def untils(rig: Rig, number: int = 0) -> list[int]:
    return [prediction.until or 0 for prediction in rig.predictions(number)]


def test_each_row_is_predicted_once_under_the_services_own_key(rig: Rig) -> None:
    rows = rows_of(0)
    at = rig.read(0, *rows)
    assert rig.step()
    assert untils(rig) == [index + 1 for index in at[SHORTEST - 1 :]]
    assert audited(rig) == [Outcome.OK] * (len(rows) - SHORTEST + 1)
    _, last = rig.statements()[-1]
    assert (last.issuer, last.kid) == (f"https://{ORIGIN}#forecast", rig.key.public.thumbprint)
    assert rig.key.algorithm == ES256
    said = parse_prediction(last.payload)
    replayer = Replayer(parse_model(trained().model))
    model = replayer.model
    for row in rows:
        replayer.take(row._replace(signals=tuple(row.signals[SIGNALS.index(name)] for name in model.signals)))
    expected = replayer.forecast()
    assert (said.lower, said.point, said.upper, said.coverage) == (expected.lower, expected.point, expected.upper, 0.9)
    assert (said.unit, said.model, said.cycle) == ("{cycle}", trained().digest, "cycle")
    assert [(read.issuer, read.first, read.last) for read in said.reads] == [(RECORDER.issuer, 0, len(rows) - 1)]
    task = rig.forecasting
    assert (rig.problems, task.stated, task.waiting, task.twins) == ([], len(rows) - SHORTEST + 1, 0, 1)
    assert task.withheld == {"too-short": SHORTEST - 1}
    assert rig.step()
    assert len(rig.statements()) == task.stated


def test_the_newest_prediction_stands_in_the_twins_state(rig: Rig) -> None:
    rig.read(0, *rows_of(0)[:9])
    rig.step()
    held = rig.live.states.state(twin(0)).live.ledger.prediction
    assert held is not None
    assert held.prediction == rig.predictions()[-1]


def test_a_thread_does_the_same(tmp_path: Path) -> None:
    with opened(tmp_path / "node") as rig:
        rig.describe(0)
        rig.promote()
        script, rows = rig.script, rows_of(0)[:12]
    with open_live(tmp_path / "node", clock=rig.clock) as live:
        rig.live, rig.script = live, script
        rig.read(0, *rows)
        seen: set[int] = set()
        while len(seen) < len(rows) - SHORTEST + 1:
            assert live.feed.wait(live.feed.size, 30) or rig.predictions()
            seen = set(untils(rig))
        assert live.forecasting is not None
    with opened(tmp_path / "node") as rig:
        assert len(untils(rig)) == len(rows) - SHORTEST + 1


def test_many_twins_step_side_by_side_and_do_not_touch_each_other(rig: Rig) -> None:
    for number in range(1, 6):
        rig.describe(number)
    rows = {number: rows_of(number)[: 20 + number] for number in range(6)}
    for at in range(26):
        for number in range(6):
            if at < len(rows[number]):
                rig.read(number, rows[number][at])
        if at % 7 == 0:
            rig.step()
    rig.step()
    for number in range(6):
        assert audited(rig, number) == [Outcome.OK] * (len(rows[number]) - SHORTEST + 1)


# --- which twins, which rows ------------------------------------------------------------------


def test_rows_before_the_promotion_count_and_the_newest_of_them_is_predicted(tmp_path: Path) -> None:
    with opened(tmp_path / "node") as rig:
        rig.describe(0)
        at = rig.read(0, *rows_of(0)[:30])
        rig.promote()
        assert rig.step()
        at += rig.read(0, *rows_of(0)[30:33])
        assert rig.step()
        assert untils(rig) == [index + 1 for index in at[29:]]
        assert audited(rig) == [Outcome.OK] * 4


def test_a_twin_of_another_model_or_retired_or_with_a_candidate_alone_is_left_alone(rig: Rig) -> None:
    rig.describe(1, model="dtmi:example:pump;1")
    rig.describe(2)
    rig.describe(2, lifecycle=Lifecycle.RETIRED)
    rig.describe(3, model="dtmi:example:fan;1")
    rig.promote("dtmi:example:fan;1", stage=Stage.CANDIDATE)
    for number in (1, 2, 3):
        rig.read(number, *rows_of(0)[:9])
    assert rig.step()
    assert rig.statements() == []
    assert rig.forecasting.twins == 1


def test_a_predictor_of_ones_own_comes_before_the_models(rig: Rig) -> None:
    rig.promote(twin(1))
    rig.describe(1)
    rig.promote(twin(0), coverage=0.8)
    rig.read(0, *rows_of(0)[:6])
    rig.read(1, *rows_of(1)[:6])
    assert rig.step()
    assert [prediction.coverage for prediction in rig.predictions(0)] == [0.8, 0.8]
    assert [prediction.coverage for prediction in rig.predictions(1)] == [0.9, 0.9]


def test_retiring_the_predictor_ends_it_and_promoting_it_again_goes_on(rig: Rig) -> None:
    rows = rows_of(0)
    rig.read(0, *rows[:8])
    rig.step()
    rig.promote(stage=Stage.RETIRED)
    at = rig.read(0, *rows[8:12])
    rig.step()
    assert len(rig.statements()) == 4
    assert rig.forecasting.twins == 0
    rig.promote()
    rig.step()
    at += rig.read(0, *rows[12:14])
    rig.step()
    # the newest row before, and the two after
    assert untils(rig)[4:] == [index + 1 for index in at[3:]]
    assert audited(rig) == [Outcome.OK] * 7


def test_a_twin_that_comes_back_from_retirement_is_not_predicted_twice(rig: Rig) -> None:
    rows = rows_of(0)
    rig.read(0, *rows[:8])
    rig.step()
    rig.describe(0, lifecycle=Lifecycle.RETIRED)
    rig.step()
    assert rig.forecasting.twins == 0
    rig.describe(0, lifecycle=Lifecycle.IN_SERVICE)
    rig.read(0, rows[8])
    rig.step()
    assert len(untils(rig)) == len(set(untils(rig))) == 5


def test_rows_are_counted_where_no_reading_counts_them(rig: Rig) -> None:
    rig.promote(cycle=None)
    rig.read(0, *rows_of(0)[:6], without=("cycle",))
    assert rig.step()
    assert [prediction.cycle for prediction in rig.predictions()] == [None, None]
    assert audited(rig) == [Outcome.OK] * 2


def test_a_prediction_every_few_rows(tmp_path: Path) -> None:
    with opened(tmp_path / "node", every_rows=4) as rig:
        rig.describe(0)
        rig.promote()
        at = rig.read(0, *rows_of(0)[:21])
        rig.step()
        # withheld after the fourth row, so due after the fifth
        assert untils(rig) == [at[place] + 1 for place in (4, 8, 12, 16, 20)]
        rig.forecasting = rig.new()
        at = rig.read(0, *rows_of(0)[21:26])
        rig.step()
        assert untils(rig)[5:] == [at[3] + 1]


def test_a_prediction_every_few_seconds_is_made_up_for_when_they_are_over(tmp_path: Path) -> None:
    with opened(tmp_path / "node", every_seconds=60) as rig:
        rig.describe(0)
        rig.promote()
        at = rig.read(0, *rows_of(0)[:9])
        rig.step()
        assert untils(rig) == [at[4] + 1]
        rig.clock.advance(30)
        rig.step()
        assert len(untils(rig)) == 1
        rig.clock.advance(30)
        rig.step()
        rig.clock.advance(300)
        rig.step()
        assert untils(rig) == [at[4] + 1, at[8] + 1]
        assert audited(rig) == [Outcome.OK] * 2


# --- bad readings -----------------------------------------------------------------------------


def test_a_twin_of_three_cycles_gets_no_prediction_and_the_counter_says_why(rig: Rig) -> None:
    rig.read(0, *rows_of(0)[:3])
    assert rig.step()
    assert rig.statements() == []
    assert rig.forecasting.withheld == {"too-short": 3}


def test_a_missing_sensor_is_remarked_then_widens_and_claims_no_coverage(rig: Rig) -> None:
    rows = rows_of(0)
    rig.read(0, *rows[:25])
    rig.read(0, *rows[25:33], without=("hot",))
    assert rig.step()
    said = rig.predictions()[-8:]
    remarks = [set(prediction.remarks) - {"horizon"} for prediction in said]
    assert remarks == [{"held"}] * 5 + [{"held", "lost"}] * 3
    assert [prediction.coverage for prediction in said] == [0.9] * 5 + [UNCLAIMED] * 3
    assert [prediction.widened for prediction in said] == [None] * 5 + [0.9] * 3
    assert said[-1].upper - said[-1].lower > 0
    assert set(audited(rig)) == {Outcome.OK}


def test_nan_is_no_value(rig: Rig) -> None:
    rows = rows_of(0)
    rig.read(0, *rows[:25])
    blank = rows[25]._replace(signals=(nan, *rows[25].signals[1:]))
    rig.read(0, blank)
    assert rig.step()
    assert "held" in rig.predictions()[-1].remarks
    assert "held" not in rig.predictions()[-2].remarks
    assert set(audited(rig)) == {Outcome.OK}


def test_a_stuck_sensor_is_remarked_then_widens_and_claims_no_coverage(rig: Rig) -> None:
    rows = rows_of(0)
    model = parse_model(trained().model)
    limit = model.limits.stuck[model.signals.index("hot")]
    rig.read(0, *rows[:20])
    hot, *others = rows[20].signals
    same = [
        rows[20]._replace(cycle=rows[20].cycle + at, signals=(hot, *(x + at / 1000 for x in others)))
        for at in range(limit + model.limits.hold + 2)
    ]
    rig.read(0, *same)
    assert rig.step()
    said = [set(prediction.remarks) - {"horizon"} for prediction in rig.predictions()[-len(same) :]]
    assert said[:limit] == [set()] * limit
    assert said[limit : limit + model.limits.hold] == [{"held", "stuck"}] * model.limits.hold
    assert said[-2:] == [{"held", "stuck", "lost"}] * 2
    assert [prediction.coverage for prediction in rig.predictions()[-2:]] == [UNCLAIMED] * 2
    assert set(audited(rig)) == {Outcome.OK}


def test_a_value_far_outside_is_remarked(rig: Rig) -> None:
    rows = rows_of(0)
    rig.read(0, *rows[:25], rows[25]._replace(signals=(1e6, *rows[25].signals[1:])), rows[26])
    assert rig.step()
    assert [{"held", "outlier"} <= set(prediction.remarks) for prediction in rig.predictions()[-3:]] == [
        False, True, False,
    ]  # fmt: skip
    assert set(audited(rig)) == {Outcome.OK}


def test_a_short_gap_is_marked_and_a_jump_of_the_counter_widens(rig: Rig) -> None:
    rows = rows_of(0)
    rig.read(0, *rows[:25])
    at = rows[24].cycle
    rig.read(0, rows[25]._replace(cycle=at + 4))
    assert rig.step()
    assert set(rig.predictions()[-1].remarks) - {"horizon"} == {"gap"}
    assert rig.predictions()[-1].coverage == 0.9
    rig.read(0, rows[26]._replace(cycle=at + 4 + 40))
    assert rig.step()
    jumped = rig.predictions()[-1]
    assert set(jumped.remarks) - {"horizon"} == {"gap", "jump"}
    assert (jumped.coverage, jumped.widened) == (UNCLAIMED, 0.9)
    assert set(audited(rig)) == {Outcome.OK}


def test_a_twin_older_than_any_in_training_widens(rig: Rig) -> None:
    oldest = parse_model(trained().model).limits.oldest
    rows = [row._replace(cycle=oldest - 25 + number) for number, row in enumerate(rows_of(0)[:28])]
    rig.read(0, *rows)
    assert rig.step()
    assert ["old" in prediction.remarks for prediction in rig.predictions()[-3:]] == [False, True, True]
    assert rig.predictions()[-1].coverage == UNCLAIMED
    assert set(audited(rig)) == {Outcome.OK}


def test_without_most_sensors_nothing_is_predicted(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    rows = rows_of(0)
    rig.read(0, *rows[:10])
    rig.read(0, *rows[10:20], without=NAMES[2:])
    assert rig.step()
    assert len(rig.statements()) == 6 + 5
    assert rig.forecasting.withheld["blind"] == 5
    (warned,) = [record.message for record in caplog.records if "blind" in record.message]
    assert twin(0) in warned


def test_an_unknown_regime_is_remarked_and_then_refused(rig: Rig) -> None:
    rows = rows_of(0)
    rig.read(0, *rows[:10])
    rig.read(0, *[row._replace(settings=(9_999.0,)) for row in rows[10:18]])
    assert rig.step()
    said = rig.predictions()
    assert len(said) == 6 + 5
    assert all("unknown-regime" in prediction.remarks for prediction in said[6:])
    assert rig.forecasting.withheld["regime-lost"] == 3
    assert set(audited(rig)) == {Outcome.OK}


def test_a_row_whose_cycle_does_not_grow_is_left_out(rig: Rig) -> None:
    rows = rows_of(0)
    rig.read(0, *rows[:10])
    rig.read(0, rows[4], rows[9], rows[10]._replace(cycle=10))
    rig.read(0, rows[10])
    assert rig.step()
    assert len(rig.statements()) == 7
    assert rig.forecasting.rows_left_out == 3
    assert set(audited(rig)) == {Outcome.OK}


def test_two_devices_of_one_twin_are_both_named(rig: Rig) -> None:
    rig.take(rig.script.grant(DEVICE, {Capability.RECORD}, Scope("prefix", FLEET)))
    rows = rows_of(0)
    for at in range(12):
        rig.read(0, rows[at], by=DEVICE if at % 3 else RECORDER)
    assert rig.step()
    assert [len(prediction.reads) for prediction in rig.predictions()] == [2] * 8
    assert audited(rig) == [Outcome.OK] * 8


# --- what may go wrong with the model ---------------------------------------------------------


def test_a_model_that_is_not_here_is_asked_for_and_then_used(tmp_path: Path) -> None:
    with opened(tmp_path / "node", blob=False) as rig:
        rig.describe(0)
        rig.promote()
        rig.read(0, *rows_of(0)[:8])
        assert not rig.step()
        assert isinstance(rig.problems[-1], ConfigError)
        assert trained().digest.hex() in str(rig.problems[-1])
        rig.blobs.put(trained().model)
        assert rig.step()
        assert len(rig.statements()) == 4


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"unit": "h"}, "predictor.unit"),
        ({"coverage": 0.123}, "coverage"),
        ({"coverage": 0.12345}, "predictor.coverage"),
    ],
    ids=["unit", "coverage", "no per mille"],
)
def test_a_predictor_that_its_model_contradicts_is_not_used(rig: Rig, changes: dict[str, Any], named: str) -> None:
    rig.describe(1)
    rig.promote(twin(1), **changes)
    rig.read(0, *rows_of(0)[:8])
    rig.read(1, *rows_of(1)[:8])
    assert not rig.step()
    problem = rig.problems[-1]
    assert isinstance(problem, Malformed)
    assert problem.field == named
    # the others are served
    assert len(rig.predictions(0)) == 4
    assert rig.predictions(1) == []
    rig.promote(twin(1))
    assert rig.step()
    assert len(rig.predictions(1)) == 1


def test_a_blob_that_is_no_model_is_not_used(rig: Rig) -> None:
    name = rig.blobs.put(b"not a model")
    rig.promote(model=name)
    rig.read(0, *rows_of(0)[:8])
    assert not rig.step()
    assert "model" in str(rig.problems[-1])
    assert rig.statements() == []


# --- the key ----------------------------------------------------------------------------------


def test_without_a_grant_nothing_is_stated_and_the_problem_says_what_to_do(tmp_path: Path) -> None:
    with opened(tmp_path / "node", enabled=False) as rig:
        rig.describe(0)
        rig.promote()
        rig.read(0, *rows_of(0)[:8])
        assert not rig.step()
        assert "twinproof predictor enable" in str(rig.problems[-1])
        FORECAST.enable(rig.live.node, rig.key)
        assert rig.step()
        assert len(rig.statements()) == 4


def test_a_revoked_key_states_nothing_more_and_a_new_grant_catches_up(rig: Rig) -> None:
    rows = rows_of(0)
    rig.read(0, *rows[:8])
    rig.step()
    granted = next(
        parse_statement(raw)
        for _, raw in rig.live.node.entries_about(f"https://{ORIGIN}")
        if parse_statement(raw).payload.find(b"#forecast") > 0
    )
    rig.script.heads = {**rig.script.heads, **_heads(rig)}
    rig.take(rig.script.revoke(granted))
    rig.read(0, *rows[8:10])
    assert not rig.step()
    assert isinstance(rig.problems[-1], ConfigError)
    assert len(rig.statements()) == 4
    FORECAST.enable(rig.live.node, rig.key)
    assert rig.step()
    assert audited(rig) == [Outcome.OK] * 6


def _heads(rig: Rig) -> dict[tuple[str, str], Any]:
    from tests.node.folders import continue_log

    return continue_log(rig.live.node).heads


# --- crashes ----------------------------------------------------------------------------------


class Killed(BaseException):
    """The process ends here."""


SEAMS: dict[str, Callable[[pytest.MonkeyPatch, int], None]] = {}


def seam(name: str, owner: Any, attribute: str, *, after: bool) -> None:
    def arm(patched: pytest.MonkeyPatch, nth: int) -> None:
        original = getattr(owner, attribute)
        calls = 0

        def dying(*arguments: Any, **named: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == nth and not after:
                raise Killed
            result = original(*arguments, **named)
            if calls == nth:
                raise Killed
            return result

        patched.setattr(owner, attribute, dying)

    SEAMS[f"{'after' if after else 'before'} {name}"] = arm


for _after in (False, True):
    seam("opening", module.Forecasting, "_open", after=_after)
    seam("binding a twin", module.Forecasting, "_bind_one", after=_after)
    seam("hearing an entry", module.Forecasting, "_hear", after=_after)
    seam("taking rows", LiveFleet, "take", after=_after)
    seam("forecasting", LiveFleet, "told", after=_after)
    seam("queueing a prediction", Stating, "add", after=_after)
    seam("signing", Stating, "_sign", after=_after)
    seam("handing in", Stating, "_submit", after=_after)
    seam("hearing that it is taken", module.Forecasting, "_took", after=_after)
    seam("a round's reading", module.Forecasting, "_read", after=_after)


@pytest.mark.parametrize("nth", [1, 2])
@pytest.mark.parametrize("where", SEAMS)
def test_wherever_it_is_killed_each_row_is_predicted_once(
    where: str, nth: int, rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = rows_of(0)
    rig.describe(1)
    rig.read(1, *rows_of(1)[:5])
    at = rig.read(0, *rows[:7])
    rig.step()
    rig.forecasting = rig.new()
    for start in (7, 9, 11):
        at += rig.read(0, *rows[start : start + 2])
        with monkeypatch.context() as patched:
            SEAMS[where](patched, nth)
            if "taken" in where:
                rig.forecasting = rig.new()
            try:
                rig.forecasting.step()
            except Killed:
                # What the dead process knew is gone; what it handed in is in the log.
                rig.forecasting = rig.new()
    assert rig.step()
    assert untils(rig) == [index + 1 for index in at[SHORTEST - 1 :]]
    assert len(untils(rig, 1)) == 1
    assert set(audited(rig)) == {Outcome.OK}


@pytest.mark.parametrize("where", [name for name in SEAMS if "hearing" not in name])
def test_a_defect_is_told_and_the_task_goes_on(where: str, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    at = rig.read(0, *rows_of(0)[:8])
    with monkeypatch.context() as patched:
        patched.setattr("tests.node.test_forecasting.Killed", ZeroDivisionError)
        SEAMS[where](patched, 1)
        assert not rig.step()
        assert isinstance(rig.problems[-1], InternalError)
        rig.step()
    rig.settle()
    assert rig.step()
    assert untils(rig) == [index + 1 for index in at[SHORTEST - 1 :]]


@pytest.mark.parametrize("problem", [Overloaded("busy", 1.0), StorageFailed("disk full")], ids=["busy", "disk"])
@pytest.mark.parametrize("done", [False, True], ids=["refused", "answer lost"])
def test_an_intake_that_fails_is_asked_again(
    problem: Exception, done: bool, rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = rig.read(0, *rows_of(0)[:8])
    original = rig.live.node.intake.submit

    def failing(raws: list[bytes]) -> Any:
        if done:
            original(raws).result(30)
        raise problem

    with monkeypatch.context() as patched:
        patched.setattr(rig.live.node.intake, "submit", failing)
        assert not rig.step()
        assert rig.forecasting.waiting == 4
    assert rig.step()
    assert untils(rig) == [index + 1 for index in at[SHORTEST - 1 :]]
    assert (rig.forecasting.waiting, rig.forecasting.refused) == (0, 0)


@pytest.mark.parametrize(
    ("twins", "rows", "ahead"), [(4, 5, [[True, True], []]), (1, 8, [[False, False], []])], ids=["others", "the same"]
)
def test_the_next_batch_is_signed_while_intake_works_but_onto_no_stream_under_way(
    twins: int, rows: int, ahead: list[list[bool]], rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twinproof.node.stating.BATCH", 2)
    for number in range(twins):
        rig.describe(number)
        rig.read(number, *rows_of(number)[:rows])
    original = rig.live.node.intake.submit
    seen: list[list[bool]] = []

    class Answer:
        def __init__(self, raws: list[bytes]) -> None:
            self.answer = original(raws)

        def result(self, timeout: float) -> Any:
            waiting = list(rig.forecasting._stating._queue)[2:4]
            seen.append([each.raw is not None for each in waiting])
            return self.answer.result(timeout)

    monkeypatch.setattr(rig.live.node.intake, "submit", Answer)
    assert rig.step()
    assert seen == ahead
    monkeypatch.undo()
    for number in range(twins):
        assert set(audited(rig, number)) == {Outcome.OK}


def test_what_the_log_will_never_take_is_counted(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.read(0, *rows_of(0)[:6])
    monkeypatch.setattr(module, "format_prediction", lambda prediction: b"\xa0")
    rig.step()
    assert rig.forecasting.refused == 2
    assert rig.statements() == []


def test_a_defect_before_the_first_round_is_no_prediction_lost(rig: Rig) -> None:
    assert isinstance(NotAuthorised("x"), Exception)
    assert rig.forecasting.step()
    assert (rig.forecasting.twins, rig.forecasting.reached) == (1, rig.live.feed.size)


def test_the_horizon_is_remarked(rig: Rig) -> None:
    rig.read(0, *rows_of(0)[:25])
    rig.step()
    early: Prediction = rig.predictions()[-1]
    assert early.upper <= CAP
    assert ("horizon" in early.remarks) == (early.upper == CAP)


def test_a_statement_of_the_operator_can_carry_any_predictor_but_stays_one_subject(rig: Rig) -> None:
    said = replace(predictor(), stage=Stage.CANDIDATE)
    (index,) = rig.take(rig.script.say(rig.script.operator, MODEL, PREDICTOR, format_predictor(said)))
    rig.settle()
    held = rig.live.states.state(MODEL).live.predictors
    assert [standing.entry for standing in held.values()] == [index]
