"""A fleet's week planned and simulated: engines of NASA C-MAPSS (FD001) that the model has not seen.

Half of the engines train the model; each of the others is stopped at a random cycle and forecast. Then, as scenarios:
every engine's date on its own, a plan under limits of crew and spares, and a depot that gets the engines at either.
"""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.rul import DATA, read_fleet
from twinproof.prognosis.ensemble import Recipe
from twinproof.prognosis.serve import load_predictor
from twinproof.prognosis.train import CAP, train
from twinproof.simulation.results import Result
from twinproof.simulation.runs import run as run_scenario
from twinproof.simulation.scenario import parse_scenario

ENGINES = 50
TERMS = {"planned": 1, "failure": 10, "lead": 5, "price": 0.005}
SLOTS, CYCLES = 10, 5
LIMITS = [
    {"name": "crew", "amounts": [4] * SLOTS, "used_up": False},
    {"name": "spare", "amounts": [6, *[4] * (SLOTS - 1)], "used_up": True},
]
HORIZON = 60
DEPOT: dict[str, Any] = {
    "bays": 4, "crews": 4, "spares": 6, "resupply": 8, "planned": [3, 4, 5], "repair": [8, 12], "horizon": HORIZON,
    "planned_cost": 1, "failure_cost": 10, "downtime_cost": 0.05,
}  # fmt: skip


def forecasts(folder: Path, quick: bool) -> tuple[bytes, list[dict[str, Any]]]:
    """A model, and the engines as a scenario's assets."""
    fleet = read_fleet(folder / "train_FD001.txt.gz", failed=True)
    order = np.random.default_rng(0).permutation(len(fleet.units)).tolist()
    recipe = Recipe(trees=60, steps=300, networks=1) if quick else Recipe()
    model = train(fleet.take(sorted(order[ENGINES:])), seed=0, recipe=recipe, fold_count=3 if quick else 10).model
    predictor = load_predictor(model)
    rng = np.random.default_rng(1)
    held = fleet.take(sorted(order[:ENGINES])).columns(predictor.model.settings, predictor.model.signals).units
    units = [each.head(int(rng.integers(100, len(each)))) for each in held if len(each) > 130]
    found = predictor.histories(units)
    last = np.cumsum([len(each) for each in units]) - 1
    assets: list[dict[str, Any]] = [
        {"name": each.id, "age": int(each.cycles[-1]), "point": round(float(found.point[at]), 2)}
        for each, at in zip(units, last.tolist(), strict=True)
    ]
    assert all(asset["point"] <= CAP for asset in assets)
    return model, assets


def ask(kind: str, model: bytes, settings: dict[str, Any]) -> tuple[Result, float]:
    """Runs a scenario twice and wants the same bytes; the result, and the seconds of one run."""
    file = {
        "format": "twinproof.scenario/1",
        "kind": kind,
        "name": f"bench: {kind}",
        "seed": 1,
        "tools": {},
        "inputs": {"model": {"sha256": hashlib.sha256(model).hexdigest()}},
        "settings": {"terms": TERMS, "model": "model", **settings},
    }
    scenario = parse_scenario(json.dumps(file).encode())
    start = time.perf_counter()
    result = run_scenario(scenario, {"model": model})
    seconds = time.perf_counter() - start
    assert run_scenario(scenario, {"model": model}).to_cbor() == result.to_cbor()
    return result, round(seconds, 2)


def run(quick: bool, folder: Path = DATA) -> dict[str, Any]:
    """All three kinds."""
    model, assets = forecasts(folder, quick)
    decision, decided = ask("decision", model, {"assets": assets, "draws": 10_000})
    plan, planned = ask(
        "plan",
        model,
        {
            "assets": [{**asset, "needs": {"crew": 1, "spare": 1}} for asset in assets],
            "slots": SLOTS, "cycles": CYCLES, "limits": LIMITS,
        },
    )  # fmt: skip
    found = plan.result
    slots = {each["name"]: each["slot"] for each in found["slots"]}
    later: int = HORIZON
    depots: dict[str, Any] = {}
    for name, dates in (
        ("own_dates", {each["name"]: each["date"] for each in decision.result["assets"]}),
        ("planned", {name: later if slot is None else (slot + 1) * CYCLES for name, slot in slots.items()}),
    ):
        dated: list[dict[str, Any]] = [{**asset, "date": dates[asset["name"]]} for asset in assets]
        simulated, seconds = ask("depot", model, {"assets": dated, "depot": DEPOT, "replications": 200})
        depots[name] = {
            "seconds": seconds,
            **{
                measure: [round(values[key], 3) for key in ("mean", "low", "high")]
                for measure, values in simulated.result["measures"].items()
            },
        }
    alone = [each["date"] for each in decision.result["assets"]]
    return {
        "engines": len(assets),
        "decision": {
            "seconds": decided,
            "due_now": sum(each["due"] for each in decision.result["assets"]),
            "within_the_plan": sum(date <= SLOTS * CYCLES for date in alone),
            "simulated_dates_that_differ_by_over_2": sum(
                abs(each["date"] - each["simulated"]["date"]) > 2 for each in decision.result["assets"]
            ),
        },
        "plan": {
            "seconds": planned,
            "maintained": sum(slot is not None for slot in slots.values()),
            "cost": round(found["cost"], 4),
            "cost_without_limits": round(sum(each["best"] for each in found["slots"]), 4),
            "bound": round(found["bound"], 4),
            "certified": round(found["certified"], 4),
            "gap": found["gap"],
            "status": found["status"],
        },
        "depot": depots,
        "first_engines": [
            {
                "name": asset["name"], "age": asset["age"], "point": asset["point"], "date": each["date"],
                "risk": round(each["risk"], 4), "slot": slots[asset["name"]],
            }
            for asset, each in sorted(
                zip(assets, decision.result["assets"], strict=True), key=lambda pair: pair[1]["date"]
            )[:10]
        ],
    }  # fmt: skip
