"""The predictor kind: strict form, and which one is active after each statement."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.builders import MODEL, OPERATOR, Log
from twinproof.errors import Malformed
from twinproof.proof import cbor
from twinproof.twin.prediction import UNCLAIMED, Prediction, Read, format_prediction, parse_prediction
from twinproof.twin.predictor import (
    MAX_PREDICTORS,
    PREDICTOR,
    Predictor,
    Stage,
    StandingPredictor,
    Trained,
    active_predictor,
    fold_predictor,
    format_predictor,
    parse_predictor,
    predictor_map,
)
from twinproof.twin.state import TwinState

FIRST = Predictor(
    b"\1" * 32, Stage.ACTIVE, "{cycle}", 0.9, Trained(7, b"\2" * 32, 3, 2, 40), "cycle", b"\3" * 32, "the first"
)
SECOND = replace(FIRST, model=b"\4" * 32, cycle=None, card=None, text=None)


@pytest.mark.parametrize("predictor", [FIRST, SECOND], ids=["full", "bare"])
def test_what_is_written_is_read(predictor: Predictor) -> None:
    assert parse_predictor(format_predictor(predictor)) == predictor


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("model", b"\1" * 31, "predictor.model"),
        ("stage", "promoted", "predictor.stage"),
        ("stage", 1, "predictor.stage"),
        ("unit", "", "predictor.unit"),
        ("unit", "a b", "predictor.unit"),
        ("coverage", 0.0, "predictor.coverage"),
        ("coverage", 1, "predictor.coverage"),
        ("coverage", float("nan"), "predictor.coverage"),
        ("trained", {}, "predictor.trained.size"),
        ("trained", {"size": 0, "root": b"\2" * 32, "twins": 3, "failed": 2, "rows": 4}, "predictor.trained.size"),
        ("trained", {"size": 1, "root": b"\2", "twins": 3, "failed": 2, "rows": 4}, "predictor.trained.root"),
        ("trained", {"size": 1, "root": b"\2" * 32, "twins": 3, "failed": 4, "rows": 4}, "predictor.trained.failed"),
        ("cycle", " cycle", "predictor.cycle"),
        ("card", b"", "predictor.card"),
        ("text", "x" * 1001, "predictor.text"),
        ("owner", "me", "predictor"),
    ],
)
def test_what_is_wrong_is_refused_by_name(field: str, value: Any, named: str) -> None:
    with pytest.raises(Malformed) as refusal:
        parse_predictor(cbor.encode({**predictor_map(FIRST), field: value}))
    assert refusal.value.field == named


@pytest.mark.parametrize("field", ["model", "stage", "unit", "coverage", "trained"])
def test_what_is_missing_is_named(field: str) -> None:
    value = predictor_map(FIRST)
    del value[field]
    with pytest.raises(Malformed) as refusal:
        parse_predictor(cbor.encode(value))
    assert refusal.value.field == f"predictor.{field}"


def test_a_newer_active_one_retires_the_older_and_it_can_come_back() -> None:
    held = fold_predictor({}, FIRST, 3)
    held = fold_predictor(held, replace(SECOND, stage=Stage.CANDIDATE), 4)
    assert active_predictor(held) == StandingPredictor(FIRST, 3)
    held = fold_predictor(held, SECOND, 5)
    assert active_predictor(held) == StandingPredictor(SECOND, 5)
    assert held[FIRST.model] == StandingPredictor(replace(FIRST, stage=Stage.RETIRED, text=None), 5)
    held = fold_predictor(held, FIRST, 6)
    assert active_predictor(held) == StandingPredictor(FIRST, 6)
    held = fold_predictor(held, FIRST.at(Stage.RETIRED), 7)
    assert active_predictor(held) is None


def test_a_state_keeps_a_bounded_number_and_never_drops_the_active_one() -> None:
    held = fold_predictor({}, FIRST, 0)
    for number in range(MAX_PREDICTORS + 5):
        other = replace(SECOND, model=number.to_bytes(32, "big"), stage=Stage.CANDIDATE)
        held = fold_predictor(held, other, number + 1)
    assert len(held) == MAX_PREDICTORS
    assert active_predictor(held) == StandingPredictor(FIRST, 0)
    assert (5).to_bytes(32, "big") not in held
    assert (6).to_bytes(32, "big") in held


def test_the_state_of_a_model_survives_its_canonical_form() -> None:
    log, state = Log(), TwinState(MODEL)
    for said in (FIRST, SECOND):
        state.apply(len(log), log.say(OPERATOR, MODEL, PREDICTOR, format_predictor(said)))
    again = TwinState.from_cbor(state.to_cbor())
    assert again.to_cbor() == state.to_cbor()
    assert again.live.predictors == state.live.predictors
    assert active_predictor(again.live.predictors) == StandingPredictor(SECOND, 2)


PREDICTION = Prediction(
    1.0, 2.0, 3.0, UNCLAIMED, "{cycle}", b"\1" * 32, (Read("urn:x", 0, 1, b"\2" * 32),),
    cycle="cycle", remarks=("held", "jump"), widened=0.9,
)  # fmt: skip


def test_a_widened_prediction_is_written_and_read() -> None:
    assert parse_prediction(format_prediction(PREDICTION)) == PREDICTION


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cycle", ""),
        ("remarks", ()),
        ("remarks", ["jump", "held"]),
        ("remarks", ["held", "held"]),
        ("remarks", ["Held"]),
        ("remarks", [1]),
        ("remarks", [f"a{chr(97 + number)}" for number in range(26)] + [f"b{chr(97 + number)}" for number in range(7)]),
        ("widened", 0),
        ("widened", 1.0),
        ("widened", "much"),
    ],
    ids=["cycle", "empty", "unsorted", "twice", "capital", "number", "many", "zero", "one", "text"],
)
def test_what_goes_with_a_prediction_is_strict(field: str, value: Any) -> None:
    payload = cbor.decode(format_prediction(PREDICTION))
    assert type(payload) is dict
    with pytest.raises(Malformed) as refusal:
        parse_prediction(cbor.encode({**payload, field: list(value) if type(value) is tuple else value}))
    assert refusal.value.field == f"prediction.{field}"


def test_who_widens_claims_no_coverage() -> None:
    with pytest.raises(Malformed, match="claims the coverage"):
        parse_prediction(format_prediction(replace(PREDICTION, coverage=0.9)))
