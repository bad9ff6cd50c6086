"""Scenarios run, and run again: the same bytes; anything else is told apart."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.simulation.conftest import INTERVALS
from tests.simulation.scenarios import DEPOT, TERMS, asking, prediction, scenario
from twinproof.errors import ForecastMismatch, Malformed
from twinproof.prognosis.decision import Terms, decide, life_of_forecast
from twinproof.prognosis.planning import lower_bound, price_plan
from twinproof.simulation.results import Result, check_rerun, compare, parse_result
from twinproof.simulation.runs import read_problem, run
from twinproof.simulation.scenario import parse_scenario

KINDS = ("decision", "plan", "depot")


def asked(kind: str, document: bytes, /, **changed: Any) -> Result:
    file, inputs = asking(kind, document, **changed)
    return run(parse_scenario(file), inputs)


@pytest.mark.parametrize("kind", KINDS)
def test_a_rerun_gives_the_same_bytes(kind: str, model: bytes) -> None:
    first, again = asked(kind, model), asked(kind, model)
    assert first.to_cbor() == again.to_cbor()
    assert first.digest == hashlib.sha256(first.to_cbor()).digest()
    assert parse_result(first.to_cbor()) == first
    assert first.reproducible
    assert compare(first, again) == []
    check_rerun(first, again)


CHILD = """
import pathlib, sys
from twinproof.simulation.runs import run
from twinproof.simulation.scenario import parse_scenario
folder = pathlib.Path(sys.argv[1])
inputs = {name: (folder / name).read_bytes() for name in ("model", "forecast")}
sys.stdout.buffer.write(run(parse_scenario((folder / "scenario").read_bytes()), inputs).to_cbor())
"""


@pytest.mark.parametrize("kind", KINDS)
def test_a_stranger_gets_the_same_bytes(kind: str, model: bytes, tmp_path: Path) -> None:
    file, inputs = asking(kind, model)
    for name, data in {**inputs, "scenario": file}.items():
        (tmp_path / name).write_bytes(data)
    here = run(parse_scenario(file), inputs).to_cbor()
    for environment in ({"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "1"}, {"OMP_NUM_THREADS": "2"}):
        done = subprocess.run(
            [sys.executable, "-c", CHILD, str(tmp_path)], env=os.environ | environment, capture_output=True, check=True
        )
        assert done.stdout == here


def test_a_decision_is_the_library_s(model: bytes) -> None:
    first = asked("decision", model).result["assets"][0]
    made = decide(life_of_forecast(21.0, INTERVALS, 60.0), Terms(1.0, 10.0, 3, 0.1), 90)
    assert (first["date"], first["rate"], first["risk"]) == (made.date, made.rate, made.risk)
    assert first["curve"]["cost"] == made.curve.cost.tolist()
    drawn = first["simulated"]
    assert drawn["cost"] == pytest.approx(made.curve.cost[made.date - 3], abs=6 * drawn["standard_error"] + 1e-9)


def test_a_widened_prediction_is_widened(model: bytes) -> None:
    file, inputs = asking("decision", model)
    inputs["forecast"] = prediction(model, 21.0, widened=True)
    pinned = json.loads(file)
    pinned["inputs"]["forecast"]["sha256"] = hashlib.sha256(inputs["forecast"]).hexdigest()
    wide = run(parse_scenario(json.dumps(pinned).encode()), inputs).result["assets"][0]
    narrow = asked("decision", model).result["assets"][0]
    assert wide["date"] < narrow["date"]


def test_a_plan_is_checked_without_a_solver(model: bytes) -> None:
    file, inputs = asking("plan", model)
    result = run(parse_scenario(file), inputs).result
    problem = read_problem(parse_scenario(file), inputs)
    slots = tuple(each["slot"] for each in result["slots"])
    assert price_plan(problem, slots) == result["cost"]
    assert lower_bound(problem, tuple(map(tuple, result["multipliers"]))) == result["certified"] <= result["cost"]
    assert sum(slot is not None for slot in slots) == 2  # as many as there are spares
    assert result["status"] == "optimal"


def test_a_plan_without_slots_in_time_waits_for_later(model: bytes) -> None:
    limits = [
        {"name": "crew", "amounts": [0] * 5, "used_up": False},
        {"name": "spare", "amounts": [0] * 5, "used_up": True},
    ]
    result = asked("plan", model, limits=limits).result
    assert {each["slot"] for each in result["slots"]} == {None}


def test_a_depot_that_is_larger_waits_less(model: bytes) -> None:
    small = asked("depot", model).result
    large = asked("depot", model, depot=DEPOT | {"bays": 3, "crews": 3, "spares": 3}).result
    assert small["dates"] == large["dates"]
    assert large["measures"]["failures"] == small["measures"]["failures"]
    assert large["measures"]["waiting"]["mean"] <= small["measures"]["waiting"]["mean"]


# --- two results ----------------------------------------------------------------------------


def test_what_differs_is_named(model: bytes) -> None:
    first = asked("decision", model)
    bent = parse_result(first.to_cbor())
    bent.result["assets"][1]["curve"]["risk"][4] += 1e-12
    (difference,) = compare(first, bent)
    assert difference.field == "result.assets.1.curve.risk.4"
    assert compare(first, bent, tolerance=1e-6) == []
    with pytest.raises(ForecastMismatch, match=r"assets\.1\.curve\.risk\.4"):
        check_rerun(first, bent)
    with pytest.raises(ForecastMismatch, match=r"other tools: numpy .* / 1\.0"):
        check_rerun(first, replace(bent, tools={**first.tools, "numpy": "1.0"}))


def test_other_tools_alone_are_no_difference(model: bytes) -> None:
    first = asked("decision", model)
    check_rerun(first, replace(first, tools={"numpy": "1.0"}))


def test_another_question_is_another_result(model: bytes) -> None:
    first = asked("decision", model)
    other = asked("decision", model, terms={**TERMS, "failure": 20})
    assert "scenario" in {each.field for each in compare(first, other)}
    assert len(compare(first, other)) <= 100


def test_shapes_types_and_signs_differ() -> None:
    def of(**result: Any) -> Result:
        return Result(bytes(32), "plan", {}, True, result)

    for one, other in (
        ({"a": 1}, {"a": 1.0}), ({"a": 0.0}, {"a": -0.0}), ({"a": [1]}, {"a": [1, 2]}), ({"a": 1}, {"b": 1}),
        ({"a": True}, {"a": 1}), ({"a": None}, {}), ({"a": {"b": 1}}, {"a": [1]}),
    ):  # fmt: skip
        assert compare(of(**one), of(**other))
    assert compare(of(a=float("nan")), of(a=float("nan"))) == []


def test_hostile_results_are_refused(model: bytes) -> None:
    data = asked("decision", model).to_cbor()
    for bad in (b"", b"\xa0", data[:-1], data + b"\x00", data.replace(b"result/1", b"result/2")):
        with pytest.raises(Malformed):
            parse_result(bad)


# --- settings from strangers ----------------------------------------------------------------

ENGINE = {"name": "a", "age": 90, "point": 20}
LIMIT = {"name": "crew", "amounts": [1] * 5, "used_up": False}
WRONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "no model": ("decision", {"model": "models"}, "settings.model"),
    "model is a list": ("decision", {"model": ["model"]}, "settings.model"),
    "a forecast as a model": ("decision", {"model": "forecast"}, "model"),
    "a model as a forecast": ("decision", {"assets": [{"name": "a", "age": 1, "prediction": "model"}]}, "statement"),
    "no assets": ("decision", {"assets": []}, "settings.assets"),
    "an asset twice": ("decision", {"assets": [ENGINE, ENGINE]}, "settings.assets"),
    "no forecast": ("decision", {"assets": [{"name": "a", "age": 1}]}, "settings.assets.0"),
    "two forecasts": ("decision", {"assets": [ENGINE | {"prediction": "forecast"}]}, "settings.assets.0"),
    "point beyond the cap": ("decision", {"assets": [ENGINE | {"point": 1e9}]}, "settings.assets.0.point"),
    "point is text": ("decision", {"assets": [ENGINE | {"point": "20"}]}, "settings.assets.0.point"),
    "age is a float": ("decision", {"assets": [ENGINE | {"age": 1.5}]}, "settings.assets.0.age"),
    "age is negative": ("decision", {"assets": [ENGINE | {"age": -1}]}, "settings.assets.0.age"),
    "widened is a number": ("decision", {"assets": [ENGINE | {"widened": 1}]}, "settings.assets.0.widened"),
    "an asset's unknown member": ("decision", {"assets": [ENGINE | {"needs": {}}]}, "settings.assets.0"),
    "costs nothing": ("decision", {"terms": TERMS | {"planned": 0}}, "terms.planned"),
    "a lead beyond the forecast": ("decision", {"terms": TERMS | {"lead": 61}}, "terms.lead"),
    "too many draws": ("decision", {"draws": 10**8}, "settings.draws"),
    "an unknown setting": ("decision", {"shell": "rm"}, "settings"),
    "no price": ("plan", {"terms": {"planned": 1, "failure": 2, "lead": 1}}, "terms.price"),
    "too many slots": ("plan", {"slots": 1001}, "settings.slots"),
    "limits of other slots": ("plan", {"slots": 4}, "settings.limits.0.amounts"),
    "an amount is a float": ("plan", {"limits": [LIMIT | {"amounts": [1.0] * 5}]}, "asset a.needs"),
    "needs what is not there": ("plan", {"limits": [LIMIT]}, "asset a.needs"),
    "used up is a number": ("plan", {"limits": [LIMIT | {"used_up": 1}]}, "settings.limits.0.used_up"),
    "no gap": ("plan", {"gap": -1}, "settings.gap"),
    "nodes are none": ("plan", {"nodes": 0}, "settings.nodes"),
    "no bays": ("depot", {"depot": DEPOT | {"bays": 0}}, "depot.bays"),
    "work takes no time": ("depot", {"depot": DEPOT | {"repair": [0]}}, "settings.depot.repair"),
    "one replication": ("depot", {"replications": 1}, "settings.replications"),
    "a date below zero": ("depot", {"assets": [ENGINE | {"date": -1}]}, "asset a.date"),
}


@pytest.mark.parametrize("name", WRONG)
def test_settings_that_are_none_are_refused_by_name(name: str, model: bytes) -> None:
    kind, changed, field = WRONG[name]
    with pytest.raises(Malformed) as caught:
        asked(kind, model, **changed)
    assert caught.value.field == field or (field == "model" and caught.value.field.startswith("model"))


def test_a_prediction_of_another_model_is_refused(model: bytes) -> None:
    inputs = {"model": model, "forecast": prediction(model + b" ", 20.0)}
    settings = {"terms": TERMS, "model": "model", "assets": [{"name": "a", "age": 9, "prediction": "forecast"}]}
    with pytest.raises(Malformed, match="another model"):
        run(parse_scenario(scenario("decision", inputs, settings)), inputs)
