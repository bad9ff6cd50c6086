"""Hindsight: drift in words, thinning, episodes; what `outcomes` keeps is what the log says."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.node.forecast_rig import RECORDER, opened, payload, rows_of, trained, twin
from twinproof.node.hindsight import Models, courses
from twinproof.node.outcomes import ERRORS, Outcomes, drift_of, read_score, thinned
from twinproof.node.scoring import Case, judge
from twinproof.twin.attestation import ATTESTATION, OVERHAUL, Attestation, format_attestation
from twinproof.twin.columns import COLUMNS
from twinproof.twin.prediction import Prediction, Read

SAID = Prediction(1.0, 2.0, 3.0, 0.9, "{cycle}", bytes(32), (Read("urn:x", 0, 1, bytes(32)),))


def case(ended: int, bias: float) -> Case:
    return Case(f"urn:{ended}", ended, 10, 10, 9, bias, bias * bias, 4.0, (0.5,))


def welch(early: list[float], late: list[float]) -> float:
    def spread(values: list[float]) -> float:
        middle = math.fsum(values) / len(values)
        return math.fsum((value - middle) ** 2 for value in values) / (len(values) - 1) / len(values)

    return (math.fsum(late) / len(late) - math.fsum(early) / len(early)) / math.sqrt(spread(early) + spread(late))


@given(st.lists(st.floats(-50, 50), min_size=5, max_size=5), st.lists(st.floats(-50, 50), min_size=5, max_size=5))
def test_drift_is_what_welch_says(early: list[float], late: list[float]) -> None:
    if max(early) - min(early) < 1e-3 or max(late) - min(late) < 1e-3:
        return
    found = drift_of([case(at, bias) for at, bias in reversed(list(enumerate([*early, *late])))], [])
    t = welch(early, late)
    if abs(abs(t) - ERRORS) > 1e-6:
        assert found.word == ("fleet" if abs(t) > ERRORS else "none")
        assert ("hopeful" in found.why) == (t > ERRORS)


def test_a_fleet_that_drifts_and_one_that_does_not() -> None:
    assert drift_of([case(at, 1.0 + at % 2) for at in range(10)], []).word == "none"
    found = drift_of([case(at, (at % 2) + (20.0 if at >= 5 else 0.0)) for at in range(10)], [])
    assert found.word == "fleet"
    assert found.early == pytest.approx(0.4)
    assert found.late == pytest.approx(20.6)
    assert drift_of([case(at, 99.0 * (at >= 4)) for at in range(9)], []).word == "unknown"
    assert drift_of([case(at, 1.0) for at in range(10)], []).word == "none"
    assert drift_of([case(at, float(at >= 5)) for at in range(10)], []).word == "fleet"
    assert drift_of([], []).error is None


def test_inputs_that_stray_in_a_third_of_the_fleet() -> None:
    bad = replace(SAID, remarks=("held", "outlier"))
    lost = replace(SAID, remarks=("lost",), coverage=0.001, widened=0.9)
    fine = replace(SAID, remarks=("horizon", "short", "gap"))
    assert drift_of([], [bad] * 9).word == "unknown"
    assert drift_of([], [bad] * 3 + [fine] * 7).word == "none"
    found = drift_of([], [bad] * 3 + [lost] + [fine] * 6)
    assert (found.word, found.running, found.remarked, found.widened) == ("fleet", 10, 4, 1)


@given(st.integers(0, 500), st.integers(2, 60))
def test_thinning_keeps_both_ends(size: int, most: int) -> None:
    found = thinned(range(size), most)
    assert len(found) == min(size, most)
    assert found == sorted(set(found))
    if size:
        assert (found[0], found[-1]) == (0, size - 1)


@pytest.mark.parametrize("text", [None, "", "1", "[]", '{"model": 1}', '{"model": "x"}', "[" * 5000, "{" * 10])
def test_what_is_no_score(text: str | None) -> None:
    assert read_score(text) is None


@pytest.mark.parametrize(
    "member", ['"bias": NaN', '"bias": -Infinity', '"bias": 1e999', f'"twins": 1{"0" * 400}', '"bias": true']
)
def test_a_strangers_numbers_that_no_answer_could_tell_are_no_score(member: str) -> None:
    assert read_score(f'{{"model": "ab", "unit": "h", {member}}}') is None


@pytest.mark.parametrize("unit", ["\\ud800", "\\u0000"])
def test_a_strangers_unit_that_is_no_text_is_no_score(unit: str) -> None:
    assert read_score(f'{{"model": "ab", "unit": "{unit}"}}') is None


def test_a_score_from_a_stranger_is_read() -> None:
    assert read_score('{"model": "ab", "unit": "h", "bias": 1, "more": []}') == (
        "ab",
        {"unit": "h", **dict.fromkeys(("coverage", "twins", "predictions", "widened", "realised", "rmse", "width",
                                       "drift")), "bias": 1},
    )  # fmt: skip


def test_rows_of_predictions_and_what_is_kept(tmp_path: Path) -> None:
    with opened(tmp_path / "node") as rig:
        rig.describe(0)
        rig.promote()
        rows = rows_of(0)[:30]
        # Three rows at once now and then, and one that does not grow, which is left out.
        rig.read(0, *rows[:10])
        rig.read(0, rows[4])
        rig.step()
        rig.take(rig.script.say(RECORDER, twin(0), COLUMNS, payload(rows[10]), at=int(rig.clock())))
        rig.step()
        rig.read(0, *rows[11:])
        rig.step()
        models = Models(rig.blobs)
        reader = rig.live.node.reader
        (course,) = courses(reader, twin(0), models)
        assert [spoken.x for spoken in course.said] == list(range(5, 31))
        assert (course.last, course.newest) == (30, True)
        middle = course.said[10]
        (cut,) = courses(reader, twin(0), models, upto=middle.entry)
        assert cut.said[-1] == middle
        assert cut.last <= course.last
        (judged,) = judge(reader, twin(0), models)
        assert judged.model == trained().digest
        assert [one.left for one in judged.compared] == [float(30 - x) for x in range(5, 30)]
        outcomes = Outcomes(reader, models)
        newest = reader.head().size - 1
        (kept,) = outcomes.of(twin(0), newest)
        assert kept.case == judged.case
        assert outcomes.of(twin(0), newest)[0] is kept
        assert outcomes.of(twin(0), newest + 1)[0] is not kept
        assert judge(reader, twin(3), models) == []


def test_an_overhaul_ends_a_life_whose_end_nobody_knows(tmp_path: Path) -> None:
    with opened(tmp_path / "node") as rig:
        rig.describe(0)
        rig.promote()
        models, reader = Models(rig.blobs), rig.live.node.reader
        rig.read(0, *rows_of(0)[:20])
        rig.step()
        overhaul = format_attestation(Attestation(OVERHAUL))
        said = rig.script.say(rig.script.operator, twin(0), ATTESTATION, overhaul, at=int(rig.clock()))
        rig.take(said)
        (first,) = courses(reader, twin(0), models)
        assert (first.newest, [spoken.x for spoken in first.said]) == (False, list(range(5, 21)))
        assert judge(reader, twin(0), models) == []
        # The counter goes on where it was; the episode counts from its own first row.
        rig.read(0, *rows_of(0)[20:45])
        rig.step()
        before, after = courses(reader, twin(0), models)
        assert (before.newest, after.newest) == (False, True)
        assert (before.episode, after.episode) == (None, said.digest.hex())
        assert [spoken.x for spoken in after.said] == list(range(5, 26))
        assert after.last == 25
        (judged,) = judge(reader, twin(0), models)
        assert [(one.x, one.left) for one in judged.compared] == [(x, float(25 - x)) for x in range(5, 25)]
