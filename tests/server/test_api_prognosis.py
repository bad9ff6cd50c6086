"""What-if, plans, predictions over time and outcomes over HTTP, against the same questions asked by hand."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import product
from math import inf
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.builders import MODEL, Signer
from tests.node.forecast_rig import FLEET, opened, rows_of, trained, twin
from tests.node.forecast_rig import Rig as ForecastRig
from tests.prognosis.fleets import wearing_fleet
from tests.server.live_rig import REMOTE
from twinproof.errors import Malformed
from twinproof.node.live import Live
from twinproof.node.scoring import SCORE
from twinproof.node.scoring import score as score_of_log
from twinproof.node.tokens import TokenFile, parse_scope
from twinproof.prognosis.card import parse_card
from twinproof.prognosis.decision import Terms, decide, life_of_forecast
from twinproof.prognosis.model import parse_model
from twinproof.prognosis.planning import Limit, Problem, asset_of, price_plan
from twinproof.server import prognosis_shapes as shapes
from twinproof.server.live_app import make_live_app
from twinproof.server.shapes import Problem as Refusal
from twinproof.twin.attestation import ATTESTATION, Attestation, format_attestation
from twinproof.twin.description import Lifecycle
from twinproof.twin.prediction import PREDICTION, UNCLAIMED, Prediction, format_prediction, parse_prediction
from twinproof.twin.statement import parse_statement

API = "/api/v1"
RUNNING = {0: 60, 1: 70, 2: 50}
"""Rows of engines in service."""
ENDED = range(10, 16)
BARE = 30
"""An engine of which nothing is predicted."""
COSTS: dict[str, Any] = {"planned": 1.0, "failure": 10.0, "lead": 3}


@dataclass
class Fleet:
    live: Live
    client: TestClient
    rig: ForecastRig
    lives: dict[int, int]
    """Rows of the engines that have ended."""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with opened(tmp_path_factory.mktemp("fleet") / "node") as rig:
        for number in (*RUNNING, *ENDED, BARE):
            rig.describe(number)
        rig.promote()
        lives = {}
        for number, rows in RUNNING.items():
            rig.read(number, *rows_of(number)[:rows])
        for number, unit in zip(ENDED, wearing_fleet(6, seed=9).units, strict=True):
            rig.read(number, *unit.rows())
            lives[number] = len(unit)
        assert rig.step()
        for number in ENDED:
            rig.describe(number, lifecycle=Lifecycle.RETIRED)
        rig.settle()
        client = TestClient(make_live_app(rig.live), client=("127.0.0.1", 40000), base_url="http://127.0.0.1")
        yield Fleet(rig.live, client, rig, lives)


def said(fleet: Fleet, number: int) -> list[tuple[int, Prediction]]:
    """Predictions of an engine, from the log's own entries."""
    return [
        (index, parse_prediction(statement.payload))
        for index, statement in fleet.rig.statements()
        if statement.subject == twin(number)
    ]


def ok(fleet: Fleet, path: str, **query: Any) -> Any:
    answer = fleet.client.get(API + path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def asked(fleet: Fleet, path: str, question: Any, status: int = 200) -> Any:
    answer = fleet.client.post(API + path, json=question)
    assert answer.status_code == status, answer.text
    if status != 200:
        Refusal.model_validate_json(answer.content)
    return answer.json()


# --- what if ----------------------------------------------------------------------------------


@pytest.mark.parametrize("price", [None, 0.02])
@pytest.mark.parametrize("failure", [1.0, 10.0, 200.0])
def test_a_date_is_what_the_decision_says(fleet: Fleet, price: float | None, failure: float) -> None:
    question = {"sub": twin(1), **COSTS, "failure": failure}
    if price is not None:
        question["price"] = price
    found = asked(fleet, "/whatif", question)
    shapes.WhatIfAnswer.model_validate(found)
    entry, prediction = said(fleet, 1)[-1]
    model = parse_model(trained().model)
    best = decide(
        life_of_forecast(prediction.point, model.intervals, model.cap), Terms(1.0, failure, 3, price), RUNNING[1]
    )
    assert (found["entry"], found["point"], found["age"]) == (entry, prediction.point, RUNNING[1])
    assert found["best"] == {
        "date": best.date, "rate": best.rate, "risk": best.risk, "due": best.due, "open": best.open,
    }  # fmt: skip
    assert [point["date"] for point in found["curve"]] == best.curve.dates.tolist()
    assert [point["risk"] for point in found["curve"]] == best.curve.risk.tolist()
    rates = {point["date"]: point["rate"] for point in found["curve"]}
    if price is None:
        # By brute force over the answer itself: no date is cheaper.
        assert min(rates.values()) == rates[best.date] == best.rate
    assert found["assumed"] == list(best.assumed)


def test_a_past_entry_and_another_age(fleet: Fleet) -> None:
    entries = said(fleet, 0)
    entry, prediction = entries[len(entries) // 2]
    found = asked(fleet, "/whatif", {"sub": twin(0), **COSTS, "at": entry})
    assert (found["entry"], found["point"]) == (entry, prediction.point)
    between = asked(fleet, "/whatif", {"sub": twin(0), **COSTS, "at": entries[len(entries) // 2 + 1][0] - 1})
    assert between["entry"] == entry
    assert found["age"] == len(rows_of(0)[: RUNNING[0]]) - (len(entries) - len(entries) // 2 - 1)
    older = asked(fleet, "/whatif", {"sub": twin(0), **COSTS, "at": entry, "age": 10_000})
    assert older["best"]["rate"] < found["best"]["rate"]
    new = asked(fleet, "/whatif", {"sub": twin(0), **COSTS, "lead": 0, "age": 0})
    assert new["curve"][0] == {"date": 0, "rate": None, "risk": 0.0}


REFUSED: dict[str, tuple[dict[str, Any], int, str]] = {
    "an unknown twin": ({"sub": "urn:x:y"}, 404, "the log holds nothing"),
    "no prediction": ({"sub": twin(BARE)}, 404, "no prediction is about"),
    "before the first one": ({"at": 1}, 404, "the log holds nothing"),
    "no IRI": ({"sub": "x y"}, 400, "sub"),
    "a failure that is cheaper": ({"failure": 0.5}, 400, "terms.failure"),
    "a lead beyond the horizon": ({"lead": 1000}, 400, "terms.lead"),
    "a negative lead": ({"lead": -1}, 400, "lead"),
    "no number": ({"planned": "1"}, 400, "planned"),
    "a member too many": ({"more": 1}, 400, "more"),
    "half a cycle": ({"lead": 1.5}, 400, "lead"),
    "a negative cost": ({"planned": -1}, 400, "planned"),
    "no price": ({"price": 0}, 400, "price"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_questions_are_refused(fleet: Fleet, name: str) -> None:
    changed, status, word = REFUSED[name]
    found = asked(fleet, "/whatif", {"sub": twin(0), **COSTS, **changed}, status)
    assert word in found["detail"]


def test_numbers_that_json_lacks_are_refused(fleet: Fleet) -> None:
    body = json.dumps({"sub": twin(0), **COSTS, "failure": inf})
    answer = fleet.client.post(f"{API}/whatif", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400


def test_a_model_that_is_not_here_is_named(fleet: Fleet) -> None:
    path = next((fleet.live.node.folder / "blobs").glob(f"*/{trained().digest.hex()}"))
    data = path.read_bytes()
    client = TestClient(make_live_app(fleet.live), client=("127.0.0.1", 40000), base_url="http://127.0.0.1")
    path.unlink()
    try:
        answer = client.post(f"{API}/whatif", json={"sub": twin(0), **COSTS})
        assert answer.status_code == 404
        assert "predictor import" in answer.json()["detail"]
        answer = client.post(f"{API}/plan", json={**PLAN, "prefix": FLEET})
        assert answer.status_code == 404
        assert client.get(f"{API}/predictors").json()["items"][0]["here"] is False
        first = client.get(f"{API}/predictions", params={"sub": twin(0)}).json()["items"][0]
        assert (first["x"], first["happened"]) == (None, None)
    finally:
        path.write_bytes(data)


# --- plans --------------------------------------------------------------------------------------

PLAN: dict[str, Any] = {
    **COSTS, "price": 0.05, "slots": 3, "cycles_per_slot": 5, "crew": [1, 1, 1], "spares": [2, 0, 0],
}  # fmt: skip


def problem(fleet: Fleet) -> Problem:
    model = parse_model(trained().model)
    assets = []
    for number in sorted(RUNNING):
        point = said(fleet, number)[-1][1].point
        decision = decide(life_of_forecast(point, model.intervals, model.cap), Terms(1.0, 10.0, 3, 0.05), 17)
        assets.append(asset_of(twin(number), decision, slots=3, cycles=5, needs={"crew": 1, "spare": 1}))
    return Problem(tuple(assets), (Limit("crew", (1, 1, 1), False), Limit("spare", (2, 0, 0), True)))


def test_a_plan_is_the_cheapest_by_brute_force(fleet: Fleet) -> None:
    found = asked(fleet, "/plan", {**PLAN, "prefix": FLEET})
    shapes.PlanAnswer.model_validate(found)
    asking = problem(fleet)
    costs = []
    for slots in product((0, 1, 2, None), repeat=3):
        # A plan that breaks a limit is none.
        with suppress(Malformed):
            costs.append(price_plan(asking, slots))
    assert found["cost"] == pytest.approx(min(costs), rel=1e-3)
    assert found["cost"] == price_plan(asking, tuple(each["slot"] for each in found["twins"]))
    assert found["bound"] <= found["cost"] + 1e-9
    assert found["certified"] <= found["cost"] + 1e-9
    assert [each["sub"] for each in found["twins"]] == [twin(number) for number in sorted(RUNNING)]
    for each, asset in zip(found["twins"], asking.assets, strict=True):
        assert each["date"] == (5 * each["slot"] + 5 if each["slot"] is not None else 20)
        assert each["cost"] == (asset.later if each["slot"] is None else asset.costs[each["slot"]])
        assert each["best"] == min(*asset.costs, asset.later)
    assert (found["status"], found["reproducible"], found["feasible"]) == ("optimal", True, True)


def test_twins_by_name_and_those_left_out(fleet: Fleet) -> None:
    found = asked(fleet, "/plan", {**PLAN, "subs": [twin(0), twin(BARE), twin(0), "urn:x:y"]})
    assert [each["sub"] for each in found["twins"]] == [twin(0)]
    assert [each["sub"] for each in found["left_out"]] == [twin(BARE), "urn:x:y"]
    asked(fleet, "/plan", {**PLAN, "subs": [twin(BARE)]}, 404)
    asked(fleet, "/plan", {**PLAN, "subs": []}, 404)
    asked(fleet, "/plan", {**PLAN, "prefix": "urn:nobody"}, 404)
    asked(fleet, "/plan", {**PLAN, "subs": ["x y"]}, 400)
    ended = asked(fleet, "/plan", {**PLAN, "prefix": twin(10)}, 404)
    assert "no twin asked for" in ended["detail"]


BAD_PLANS: dict[str, tuple[dict[str, Any], str]] = {
    "a crew too few": ({"crew": [1, 1]}, "crew"),
    "a spare too many": ({"spares": [1, 1, 1, 1]}, "spares"),
    "a horizon too far": ({"cycles_per_slot": 50}, "slots"),
    "no slots": ({"slots": 0}, "slots"),
    "too many slots": ({"slots": 53}, "slots"),
    "no price": ({"price": None}, "price"),
    "a crew that is none": ({"crew": [1, -1, 1]}, "crew"),
}


@pytest.mark.parametrize("name", BAD_PLANS)
def test_bad_plans_are_refused(fleet: Fleet, name: str) -> None:
    changed, field = BAD_PLANS[name]
    found = asked(fleet, "/plan", {**PLAN, "prefix": FLEET, **changed}, 400)
    assert field in found["field"]


def test_too_many_twins_are_refused(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twinproof.server.api.prognosis.MAX_PLANNED", 2)
    assert asked(fleet, "/plan", {**PLAN, "prefix": FLEET}, 413)["code"] == "too-large"


def test_what_is_short_is_told(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """No plan is impossible while `later` is; a lead beyond the plan leaves no slot at all."""
    found = asked(fleet, "/plan", {**PLAN, "prefix": FLEET, "lead": 30})
    assert (found["feasible"], found["status"], found["cost"]) == (False, "infeasible", None)
    assert found["without_slot"] == [twin(number) for number in sorted(RUNNING)]


def test_without_the_solver_the_extra_is_named(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "twinproof.simulation.solver", raising=False)
    monkeypatch.setitem(sys.modules, "highspy", None)
    found = asked(fleet, "/plan", {**PLAN, "prefix": FLEET}, 501)
    assert found["code"] == "not-installed"
    assert "twinproof[sim]" in found["detail"]


# --- over time ----------------------------------------------------------------------------------


def test_predictions_over_time_with_what_happened(fleet: Fleet) -> None:
    number = ENDED[0]
    found = ok(fleet, "/predictions", sub=twin(number), limit=1000)
    shapes.PredictionList.model_validate(found)
    stated = said(fleet, number)
    assert [item["entry"] for item in found["items"]] == [entry for entry, _ in stated]
    assert found["ended"] is True
    for item, (_, prediction) in zip(found["items"], stated, strict=True):
        assert (item["lower"], item["point"], item["upper"]) == (prediction.lower, prediction.point, prediction.upper)
        assert (item["remarks"], item["until"]) == (list(prediction.remarks), prediction.until)
        assert item["drivers"] == dict(prediction.drivers)
    # From the fifth row on, one a row.
    assert [item["x"] for item in found["items"]] == list(range(5, fleet.lives[number] + 1))
    assert [item["happened"] for item in found["items"]] == [
        fleet.lives[number] - x for x in range(5, fleet.lives[number] + 1)
    ]
    running = ok(fleet, "/predictions", sub=twin(0), limit=1000)
    assert running["ended"] is False
    assert {item["happened"] for item in running["items"]} == {None}
    assert running["items"][-1]["x"] == RUNNING[0]
    assert ok(fleet, "/predictions", sub=twin(BARE))["items"] == []
    assert fleet.client.get(f"{API}/predictions", params={"sub": "urn:x:y"}).status_code == 404


def test_pages_of_predictions(fleet: Fleet) -> None:
    whole = ok(fleet, "/predictions", sub=twin(0), limit=1000)["items"]
    pages: list[Any] = []
    query: dict[str, Any] = {"sub": twin(0), "limit": 7}
    while True:
        page = ok(fleet, "/predictions", **query)
        pages += page["items"]
        if page["next"] is None:
            break
        query["after"] = page["next"]
    assert pages == whole


def test_a_very_long_history_is_not_read(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twinproof.server.api.prognosis.MAX_WALKED", 10)
    items = ok(fleet, "/predictions", sub=twin(ENDED[0]), limit=3)["items"]
    assert [(item["x"], item["happened"]) for item in items] == [(None, None)] * 3
    assert asked(fleet, "/whatif", {"sub": twin(0), **COSTS}, 400)["field"] == "age"
    assert asked(fleet, "/whatif", {"sub": twin(0), **COSTS, "age": 60})["age"] == 60


# --- predictors and outcomes --------------------------------------------------------------------


def brute(fleet: Fleet) -> dict[str, Any]:
    """Coverage, bias and RMSE from the log's entries, each twin alike."""
    cap = parse_model(trained().model).cap
    cases: list[dict[str, Any]] = []
    for number in ENDED:
        life = fleet.lives[number]
        rows = []
        for at, (_, prediction) in enumerate(said(fleet, number), 5):
            if at < life:
                left = min(float(life - at), cap)
                rows.append((prediction, left))
        claimed = [row for row in rows if row[0].widened is None]
        cases.append({
            "bias": sum(p.point - left for p, left in rows) / len(rows),
            "square": sum((p.point - left) ** 2 for p, left in rows) / len(rows),
            "inside": sum(p.lower <= left <= p.upper for p, left in claimed) / len(claimed),
            "rows": rows,
        })  # fmt: skip
    total = len(cases)
    return {
        "bias": sum(case["bias"] for case in cases) / total,
        "rmse": (sum(case["square"] for case in cases) / total) ** 0.5,
        "realised": sum(case["inside"] for case in cases) / total,
        "predictions": sum(len(case["rows"]) for case in cases),
        "cases": cases,
    }


def test_outcomes_are_those_of_the_log(fleet: Fleet) -> None:
    found = ok(fleet, "/predictors/outcomes", model=trained().digest.hex())
    shapes.OutcomeAnswer.model_validate(found)
    by_hand = brute(fleet)
    for name in ("bias", "rmse", "realised"):
        assert found["score"][name] == pytest.approx(by_hand[name])
    assert (found["score"]["predictions"], found["score"]["twins"]) == (by_hand["predictions"], len(ENDED))
    assert found["about"] == [MODEL]
    # The command line's score is the same.
    (told,) = score_of_log(fleet.live.node, MODEL)
    assert found["score"] == {name: getattr(told, name) for name in found["score"]}
    series = {each["sub"]: each["points"] for each in found["series"]}
    assert set(series) == {twin(number) for number in ENDED}
    cap = parse_model(trained().model).cap
    for number in ENDED:
        points = series[twin(number)]
        assert points[0]["x"] == 5
        assert all(point["actual"] == min(fleet.lives[number] - point["x"], cap) for point in points)
    # Six ended and three running twins say nothing of a fleet.
    assert found["drift"]["word"] == "unknown"
    assert found["drift"]["running"] == len(RUNNING)
    assert found["left_out"] == 0


def test_calibration_by_brute_force(fleet: Fleet) -> None:
    found = ok(fleet, "/predictors/outcomes", model=trained().digest.hex())["calibration"]
    model = parse_model(trained().model)
    assert [point["level"] for point in found] == [level / 1000 for level in model.intervals.levels]
    for at, point in enumerate(found):
        shares = []
        for case in brute(fleet)["cases"]:
            held = 0
            claimed = [row for row in case["rows"] if row[0].widened is None]
            for prediction, left in claimed:
                bin_ = len([edge for edge in model.intervals.edges if edge <= prediction.point])
                bound = prediction.point + model.intervals.residuals[bin_][at]
                held += left <= max(0.0, min(bound, model.cap))
            shares.append(held / len(claimed))
        assert point["realised"] == pytest.approx(sum(shares) / len(shares))
    assert [point["realised"] for point in found] == sorted(point["realised"] for point in found)


def test_every_record_may_count_as_ended(fleet: Fleet) -> None:
    found = ok(fleet, "/predictors/outcomes", model=trained().digest.hex(), failed_at_end=True)
    assert found["score"]["twins"] == len(ENDED) + len(RUNNING)
    assert found["drift"]["running"] == len(RUNNING)


def test_few_twins_and_series_are_bounded(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twinproof.server.api.prognosis.MAX_JUDGED", 4)
    monkeypatch.setattr("twinproof.server.api.prognosis.MAX_SERIES", 2)
    found = ok(fleet, "/predictors/outcomes", model=trained().digest.hex())
    assert (found["score"]["twins"], len(found["series"]), found["left_out"]) == (4, 2, 2)
    assert found["series"][0]["ended"] > found["series"][1]["ended"]
    monkeypatch.setattr("twinproof.server.api.prognosis.MAX_WALKED", 1)
    found = ok(fleet, "/predictors/outcomes", model=trained().digest.hex())
    assert (found["score"], found["series"], found["left_out"]) == (None, [], 6)


def test_an_unknown_model_has_no_outcomes(fleet: Fleet) -> None:
    for model, status in (("00" * 32, 404), ("xyz", 400), ("AB" * 32, 400)):
        assert fleet.client.get(f"{API}/predictors/outcomes", params={"model": model}).status_code == status


def test_predictors_with_card_and_signed_score(fleet: Fleet) -> None:
    (told,) = score_of_log(fleet.live.node, MODEL)
    score = {"model": told.model.hex(), "unit": told.unit, **{name: getattr(told, name) for name in (
        "coverage", "twins", "predictions", "widened", "realised", "bias", "rmse", "width", "drift")}}  # fmt: skip
    rig = fleet.rig
    for text in (json.dumps({**score, "bias": 99.0}), "no json", "[" * 2000, json.dumps({**score, "bias": "x"}),
                 json.dumps(score), json.dumps({"model": 1})):  # fmt: skip
        payload = format_attestation(Attestation(SCORE, text))
        rig.take(rig.script.say(rig.script.operator, MODEL, ATTESTATION, payload, at=int(rig.clock())))
    rig.settle()
    found = ok(fleet, "/predictors")
    shapes.PredictorList.model_validate(found)
    (item,) = found["items"]
    assert (item["about"], item["model"], item["stage"]) == (MODEL, trained().digest.hex(), "active")
    card = parse_card(parse_model(trained().model).card)
    assert (item["card"]["rmse"], item["card"]["fleet"]) == (card.rmse, card.fleet)
    assert item["trained"]["failed"] == 30
    signed = item["score"]
    assert parse_statement(fleet.live.node.reader.entry(signed["entry"])).issuer == signed["iss"]
    assert {name: signed[name] for name in score if name != "model"} == {
        name: value for name, value in score.items() if name != "model"
    }
    assert found["more"] is False


# --- who may ask --------------------------------------------------------------------------------


def test_a_token_reaches_its_own_twins(fleet: Fleet) -> None:
    tokens = TokenFile(fleet.live.node.folder, fleet.live.node.clock)
    text = tokens.new([parse_scope(f"twin:{twin(0)}")])[0]
    client = TestClient(fleet.client.app, client=REMOTE, headers={"authorization": f"Bearer {text}"})
    assert client.post(f"{API}/whatif", json={"sub": twin(0), **COSTS}).status_code == 200
    assert client.post(f"{API}/whatif", json={"sub": twin(1), **COSTS}).status_code == 403
    assert client.post(f"{API}/whatif", json={"sub": "urn:x:y", **COSTS}).status_code == 403
    found = client.post(f"{API}/plan", json={**PLAN, "prefix": FLEET})
    assert [each["sub"] for each in found.json()["twins"]] == [twin(0)]
    assert client.post(f"{API}/plan", json={**PLAN, "subs": [twin(0), twin(1)]}).status_code == 403
    assert client.get(f"{API}/predictions", params={"sub": twin(0)}).status_code == 200
    assert client.get(f"{API}/predictions", params={"sub": twin(1)}).status_code == 403
    assert client.get(f"{API}/predictors").status_code == 403
    assert client.get(f"{API}/predictors/outcomes", params={"model": "00" * 32}).status_code == 403
    nobody = TestClient(fleet.client.app, client=REMOTE)
    assert nobody.post(f"{API}/whatif", json={"sub": twin(0), **COSTS}).status_code == 401


def test_a_prediction_beyond_its_model_is_left_out_of_a_plan(tmp_path: Path) -> None:
    """One that somebody else states: of this model, but not what it would say; and one that is widened."""
    with opened(tmp_path / "node") as rig:
        rig.describe(0)
        rig.promote()
        rig.read(0, *rows_of(0)[:40])
        assert rig.step()
        (honest,) = rig.predictions(0)[-1:]
        beyond = replace(honest, upper=5000.0, point=4000.0)
        widened = replace(honest, coverage=UNCLAIMED, widened=0.9)
        forecaster = Signer(rig.forecasting.issuer, rig.key)
        for number, said in ((1, beyond), (2, widened)):
            statement = rig.script.say(forecaster, twin(number), PREDICTION, format_prediction(said))
            rig.take(statement)
        rig.settle()
        client = TestClient(make_live_app(rig.live), client=("127.0.0.1", 40000), base_url="http://127.0.0.1")
        found = client.post(f"{API}/plan", json={**PLAN, "prefix": FLEET}).json()
        assert [each["sub"] for each in found["twins"]] == [twin(0), twin(2)]
        assert [each["sub"] for each in found["left_out"]] == [twin(1)]
        assert "not in 0..60" in found["left_out"][0]["why"]
        answer = client.post(f"{API}/whatif", json={"sub": twin(1), **COSTS, "age": 40})
        assert answer.status_code == 400
        stretched = client.post(f"{API}/whatif", json={"sub": twin(2), **COSTS, "age": 40}).json()
        usual = client.post(f"{API}/whatif", json={"sub": twin(0), **COSTS, "age": 40}).json()
        assert len(stretched["assumed"]) == len(usual["assumed"]) + 1
        model = parse_model(trained().model)
        wide = decide(
            life_of_forecast(honest.point, model.intervals, model.cap, model.limits.widen), Terms(1.0, 10.0, 3), 40
        )
        assert [point["risk"] for point in stretched["curve"]] == wide.curve.risk.tolist()
