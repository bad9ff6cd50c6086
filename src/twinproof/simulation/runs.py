"""Runs scenarios. The same scenario and inputs give the same bytes, whoever runs them.

Settings by kind, beside the shared ones (`assets`):

    decision   ? "draws": n                                     Monte Carlo beside the exact sum
    plan       "slots": n, "cycles": a slot's, "limits": [{"name", "amounts": [n …], "used_up": bool} …],
               ? "nodes": n, ? "gap": x;   of an asset: "needs": {limit: n}, ? "duration": slots
    depot      "depot": {bays, crews, spares, resupply, planned: [n …], repair: [n …], horizon, planned_cost,
               failure_cost, downtime_cost}, "replications": n;   of an asset: ? "date": cycles
    cosimulation   see `cosimulation`: native code, so it runs only if the caller names a folder for it
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, Final

import numpy as np

from twinproof import __version__
from twinproof.errors import Malformed
from twinproof.prognosis.decision import ASSUMED, Decision, simulate
from twinproof.prognosis.planning import Limit, Problem, asset_of
from twinproof.proof import cbor
from twinproof.simulation import assets
from twinproof.simulation.results import Result
from twinproof.simulation.scenario import Scenario, array, check_inputs, number
from twinproof.twin.fields import fields, text, whole

MAX_WHOLE: Final = 2**31

Report = Callable[[int, int], None]
"""(done, total) parts of a run: replications, or simulations of a calibration."""


def run(
    scenario: Scenario,
    inputs: Mapping[str, bytes],
    *,
    folder: str | None = None,
    report: Report = lambda done, total: None,
) -> Result:
    """What a scenario comes to. `inputs` by the scenario's names.

    `folder` is an empty one of the caller's, into which the native code of a co-simulation is unpacked and from
    which it is executed *with this process's rights*: name one only if you trust the pinned models. Raises
    `Malformed` for inputs that are not the pinned ones, and settings that say nothing.
    """
    check_inputs(scenario, inputs)
    tools = {"twinproof": __version__, "python": platform.python_version(), "numpy": np.__version__}
    reproducible = True
    if scenario.kind == "decision":
        result = _decision(scenario, inputs)
    elif scenario.kind == "plan":
        import highspy

        solver: Any = highspy.Highs()  # type: ignore[no-untyped-call]
        tools["highs"] = solver.version()
        result, reproducible = _plan(scenario, inputs)
    elif scenario.kind == "depot":
        import simpy

        tools["simpy"] = simpy.__version__
        result = _depot(scenario, inputs, report)
    else:
        if folder is None:
            raise Malformed("folder", "missing: a co-simulation executes native code, which the caller has to allow")
        from twinproof.simulation.cosimulation import cosimulate, version

        tools["fmpy"] = version()
        result = cosimulate(scenario.settings, inputs, folder, report)
    return Result(scenario.digest, scenario.kind, tools, reproducible, result)


def check_settings(scenario: Scenario, inputs: Mapping[str, bytes]) -> None:
    """Raises the `Malformed` that `run` would, without running; models of a co-simulation are not opened."""
    check_inputs(scenario, inputs)
    if scenario.kind == "decision":
        settings = fields(scenario.settings, "settings", assets.SHARED, ("draws",))
        decide_known(settings, inputs)
    elif scenario.kind == "plan":
        read_problem(scenario, inputs)
    elif scenario.kind == "depot":
        _read_depot(scenario, inputs)


def decide_known(settings: Mapping[str, Any], inputs: Mapping[str, bytes]) -> list[Decision]:
    """Of shared settings alone: each asset's best date."""
    return assets.decide_all(assets.read_assets(settings, inputs), assets.read_terms(settings["terms"]))


def _terms(decision: Decision) -> dict[str, cbor.Value]:
    terms = decision.terms
    said: dict[str, cbor.Value] = {"planned": terms.planned, "failure": terms.failure, "lead": terms.lead}
    return said if terms.price is None else {**said, "price": terms.price}


def _decision(scenario: Scenario, inputs: Mapping[str, bytes]) -> dict[str, Any]:
    settings = fields(scenario.settings, "settings", assets.SHARED, ("draws",))
    draws = whole(settings["draws"], "settings.draws", 2, 10**7) if "draws" in settings else None
    terms = assets.read_terms(settings["terms"])
    known = assets.read_assets(settings, inputs)
    decided = []
    for at, (each, decision) in enumerate(zip(known, assets.decide_all(known, terms), strict=True)):
        curve = decision.curve
        said: dict[str, Any] = {
            "name": each.name, "age": each.age, "date": decision.date, "rate": decision.rate, "risk": decision.risk,
            "due": decision.due, "open": decision.open,
            "curve": {
                "from": int(curve.dates[0]), "cost": curve.cost.tolist(), "time": curve.time.tolist(),
                "risk": curve.risk.tolist(),
            },
        }  # fmt: skip
        if draws is not None:
            drawn, error = simulate(each.remaining, terms, each.age, seed=(scenario.seed + at) % 2**64, draws=draws)
            place = decision.date - int(curve.dates[0])
            said["simulated"] = {
                "date": drawn.date, "cost": float(drawn.curve.cost[place]), "standard_error": float(error[place]),
            }  # fmt: skip
        decided.append(said)
    return {"terms": _terms(decision), "assumed": list(ASSUMED), "assets": decided}


def read_problem(scenario: Scenario, inputs: Mapping[str, bytes]) -> Problem:
    """The planning problem of a scenario of the kind `plan`."""
    settings = fields(scenario.settings, "settings", (*assets.SHARED, "slots", "cycles", "limits"), ("nodes", "gap"))
    slots = whole(settings["slots"], "settings.slots", 1, 1001)
    cycles = whole(settings["cycles"], "settings.cycles", 1, 10**6)
    limits = []
    for at, value in enumerate(array(settings["limits"], "settings.limits", 32, 0)):
        what = f"settings.limits.{at}"
        members = fields(value, what, ("name", "amounts", "used_up"))
        amounts = array(members["amounts"], f"{what}.amounts", slots, slots)
        if type(members["used_up"]) is not bool:
            raise Malformed(f"{what}.used_up", "neither true nor false")
        limits.append(Limit(text(members["name"], f"{what}.name", 128), tuple(amounts), members["used_up"]))
    known = assets.read_assets(settings, inputs, ("needs",), ("duration",))
    found = []
    decisions = assets.decide_all(known, assets.read_terms(settings["terms"]))
    for each, decision in zip(known, decisions, strict=True):
        what = f"asset {each.name}"
        needs = fields(each.more["needs"], f"{what}.needs", (), tuple(limit.name for limit in limits))
        duration = whole(each.more.get("duration", 1), f"{what}.duration", 1, 1001)
        found.append(asset_of(each.name, decision, slots=slots, cycles=cycles, needs=needs, duration=duration))
    return Problem(tuple(found), tuple(limits))


def _plan(scenario: Scenario, inputs: Mapping[str, bytes]) -> tuple[dict[str, Any], bool]:
    from twinproof.simulation import solver

    problem = read_problem(scenario, inputs)
    nodes = whole(scenario.settings.get("nodes", solver.NODES), "settings.nodes", 1, 10**9)
    gap = number(scenario.settings.get("gap", solver.GAP), "settings.gap", 0.0, 0.99)
    plan = solver.solve(problem, nodes=nodes, gap=gap)
    if isinstance(plan, solver.Infeasible):
        found: dict[str, Any] = {"feasible": False, "without_slot": list(plan.assets)}
        for name in ("shortages", "together"):
            found[name] = [{"limit": each.limit, "excess": list(each.excess)} for each in getattr(plan, name)]
        return found, True
    return {
        "feasible": True,
        "slots": [
            {
                "name": asset.name, "slot": slot,
                "cost": asset.later if slot is None else asset.costs[slot],
                "best": min(cost for cost in (*asset.costs, asset.later) if isfinite(cost)),
            }
            for asset, slot in zip(problem.assets, plan.slots, strict=True)
        ],
        "cost": plan.cost,
        "bound": plan.bound,
        "gap": plan.gap,
        "status": plan.status,
        "multipliers": [list(row) for row in plan.multipliers],
        "certified": plan.certified,
        "assumed": list(ASSUMED),
    }, plan.reproducible  # fmt: skip


_DEPOT: Final = (
    "bays", "crews", "spares", "resupply", "planned", "repair", "horizon", "planned_cost", "failure_cost",
    "downtime_cost",
)  # fmt: skip


def _read_depot(scenario: Scenario, inputs: Mapping[str, bytes]) -> tuple[Any, Any, int]:
    """Arrivals, depot, replications."""
    from twinproof.simulation.depot import MAX_LENGTH, Arrival, Depot

    settings = fields(scenario.settings, "settings", (*assets.SHARED, "depot", "replications"))
    members = fields(settings["depot"], "settings.depot", _DEPOT)
    values: dict[str, Any] = {}
    for name in _DEPOT:
        what = f"settings.depot.{name}"
        if name.endswith("_cost"):
            values[name] = number(members[name], what, 0.0, 1e12)
        elif name in ("planned", "repair"):
            values[name] = tuple(whole(each, what, 1, MAX_LENGTH + 1) for each in array(members[name], what, 10_000))
        else:
            values[name] = whole(members[name], what, 0, MAX_WHOLE)
    replications = whole(settings["replications"], "settings.replications", 2, 10_001)
    terms = assets.read_terms(settings["terms"])
    known = assets.read_assets(settings, inputs, (), ("date",))
    arrivals = tuple(
        Arrival(
            each.name, each.remaining,
            whole(each.more.get("date", decision.date), f"asset {each.name}.date", 0, MAX_LENGTH + 1),
        )
        for each, decision in zip(known, assets.decide_all(known, terms), strict=True)
    )  # fmt: skip
    return arrivals, Depot(**values), replications


def _depot(scenario: Scenario, inputs: Mapping[str, bytes], report: Report) -> dict[str, Any]:
    from twinproof.simulation.depot import replicate

    arrivals, depot, replications = _read_depot(scenario, inputs)
    done = replicate(arrivals, depot, seed=scenario.seed, replications=replications, report=report)
    return {
        "replications": replications,
        "dates": {each.name: each.date for each in arrivals},
        "measures": {
            name: {"mean": mean, "low": low, "high": high} for name, (mean, low, high) in done.summary().items()
        },
        "assumed": list(ASSUMED),
    }
