"""When to maintain: policies compared on engines that nothing was fitted on (NASA C-MAPSS, training files).

    python -m bench.decisions [--data FOLDER] [--splits N] [FD001 FD004]

A split's seed parts the units by halves; model, intervals and rules see one half only, the other lives each unit
once. The last split is that of seed 0 the other way round, on which figures of another recipe were at hand. Failure
costs 10, planned maintenance 1, and is done 10 cycles after it was ordered: in time if the unit would have run
longer. Cost per 1000 cycles run, with 95 % bootstrap intervals over units. What was chosen by hand (the smoothing of
`prognosis.passage`) was chosen on the fitted half of split 0; the held-back halves of later splits hold units of it,
the turned split all of it. A few looks at split 0's held-back half were taken before.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench.rul import DATA, read_fleet
from twinproof.errors import Malformed
from twinproof.prognosis.conformal import fit_intervals
from twinproof.prognosis.data import Array, Fleet, Integers, by_unit
from twinproof.prognosis.decision import Terms, decide, life_of_forecast
from twinproof.prognosis.ensemble import Recipe
from twinproof.prognosis.passage import fit_order_rule
from twinproof.prognosis.quality import WIDENING
from twinproof.prognosis.serve import Predictor
from twinproof.prognosis.train import CAP, FOLDS, fit_model, out_of_fold

HELD = {"FD001": 50, "FD004": 125}
TERMS = Terms(planned=1.0, failure=10.0, lead=10)
SPLITS = 3
RESAMPLED = 2000
HIGHEST = 80.0
"""Threshold of the first forecast, at most."""

Due = Callable[[int, int], bool]
"""Whether a unit (by position) is ordered for after so many cycles."""


def measure(name: str, folder: Path, seed: int, quick: bool, *, turned: bool = False) -> dict[str, Any]:
    """One split of one data set; `turned`: the fitted half lives, the other is fitted on."""
    fleet = read_fleet(folder / f"train_{name}.txt.gz", failed=True)
    order = np.random.default_rng(seed).permutation(len(fleet.units)).tolist()
    if turned:
        order.reverse()
    held, kept = fleet.take(sorted(order[: HELD[name]])), fleet.take(sorted(order[HELD[name] :]))
    recipe = Recipe(trees=60, steps=300, networks=1) if quick else Recipe()
    start = time.perf_counter()
    unseen = out_of_fold(kept, seed=0, cap=CAP, recipe=recipe, fold_count=3 if quick else FOLDS)
    intervals = fit_intervals(unseen.predicted, unseen.actual, unseen.unit, CAP)
    model = fit_model(kept, intervals, seed=0, recipe=recipe)
    trained = time.perf_counter() - start
    rule = fit_order_rule([unseen.predicted[unseen.unit == at] for at in range(len(kept.units))], TERMS, HIGHEST)
    forecasts = Predictor(model, b"").histories(held.columns(model.settings, model.signals).units)
    points, lowers, remarks = (
        by_unit(values, held.units) for values in (forecasts.point, forecasts.lower, forecasts.remarks.astype(float))
    )
    age = best_age(kept)

    def expected(unit: int, cycle: int) -> bool:
        point = float(points[unit][cycle - 1])
        widen = model.limits.widen if int(remarks[unit][cycle - 1]) & WIDENING else 1.0
        try:
            return decide(life_of_forecast(point, intervals, CAP, widen), TERMS, cycle).due
        except Malformed:  # a refused forecast
            return False

    lives = np.array([len(each) for each in held.units])
    policies: dict[str, Due] = {
        "run to failure": lambda unit, cycle: False,
        "fixed age": lambda unit, cycle: cycle + TERMS.lead >= age,
        "point at lead time": lambda unit, cycle: bool(points[unit][cycle - 1] <= TERMS.lead),
        "conformal lower 95 %": lambda unit, cycle: bool(lowers[unit][cycle - 1] <= TERMS.lead),
        "expected cost": expected,
        "expected cost at the order": lambda unit, cycle: rule.due(float(points[unit][cycle - 1])),
        "clairvoyant": lambda unit, cycle: cycle + TERMS.lead + 1 >= int(lives[unit]),
    }
    lived = {policy: live(lives, due) for policy, due in policies.items()}
    return {
        "split_seed": seed,
        "turned": turned,
        "units": {"fitted": len(kept.units), "held_back": len(held.units)},
        "fixed_age": age,
        "threshold": rule.threshold,
        "expected_of_rule_per_1000": round(1000 * rule.rate, 3),
        "seconds_to_fit": round(trained, 1),
        "policies": compare(lived),
    }


def live(lives: Integers, due: Due) -> tuple[Array, Array, Array]:
    """Every unit once: its cost, the cycles it ran, whether it failed. All (units,)."""
    cost, run, failed = (np.empty(len(lives)) for _ in range(3))
    for unit, life in enumerate(lives.tolist()):
        ordered = next((cycle for cycle in range(1, life) if due(unit, cycle)), life)
        # Failed at or before the date: the last cycle is the one of the failure.
        failed[unit] = ordered + TERMS.lead >= life
        run[unit] = life if failed[unit] else ordered + TERMS.lead
        cost[unit] = TERMS.failure if failed[unit] else TERMS.planned
    return cost, run, failed


def best_age(fleet: Fleet) -> int:
    """The age with the lowest cost per cycle in this fleet."""
    lives = np.array([len(each) for each in fleet.units])
    ages = np.arange(TERMS.lead + 1, int(lives.max()) + 1)
    failed = lives[:, None] <= ages
    cost = np.where(failed, TERMS.failure, TERMS.planned).sum(axis=0)
    return int(ages[np.argmin(cost / np.minimum(lives[:, None], ages).sum(axis=0))])


def compare(lived: dict[str, tuple[Array, Array, Array]]) -> dict[str, Any]:
    """Cost per 1000 cycles with an interval, failures, and the ratio to the clairvoyant, resampled by unit."""
    count = len(lived["clairvoyant"][0])
    drawn = np.random.default_rng(1).integers(0, count, (RESAMPLED, count))
    rates = {
        policy: 1000 * cost[drawn].sum(axis=1) / run[drawn].sum(axis=1) for policy, (cost, run, _) in lived.items()
    }
    found = {}
    for policy, (cost, run, failed) in lived.items():
        low, high = np.quantile(rates[policy], (0.025, 0.975))
        ratio = rates[policy] / rates["clairvoyant"]
        beaten = rates["expected cost"] - rates[policy]
        clairvoyant = lived["clairvoyant"][0].sum() / lived["clairvoyant"][1].sum()
        found[policy] = {
            "cost_per_1000": round(1000 * float(cost.sum() / run.sum()), 3),
            "interval_95": [round(float(low), 3), round(float(high), 3)],
            "failures": int(failed.sum()),
            "of_clairvoyant": round(float(cost.sum() / run.sum() / clairvoyant), 4),
            "of_clairvoyant_95": [round(float(x), 4) for x in np.quantile(ratio, (0.025, 0.975))],
            "cheaper_than_expected_cost_95": [round(float(x), 3) for x in np.quantile(beaten, (0.025, 0.975))],
        }
    return found


def run(
    quick: bool, folder: Path = DATA, names: tuple[str, ...] = ("FD001", "FD004"), splits: int = SPLITS
) -> dict[str, Any]:
    """All splits of some data sets, and the mean over splits."""
    found: dict[str, Any] = {"terms": {"planned": TERMS.planned, "failure": TERMS.failure, "lead": TERMS.lead}}
    for name in names[:1] if quick else names:
        parts = []
        for seed, turned in [(0, False)] if quick else [*((seed, False) for seed in range(splits)), (0, True)]:
            parts.append(measure(name, folder, seed, quick, turned=turned))
            print(f"   {name} {json.dumps(parts[-1])}", file=sys.stderr, flush=True)
        policies = parts[0]["policies"]
        mean = {
            policy: {
                "cost_per_1000": round(sum(p["policies"][policy]["cost_per_1000"] for p in parts) / len(parts), 3),
                "of_clairvoyant": round(sum(p["policies"][policy]["of_clairvoyant"] for p in parts) / len(parts), 4),
                "failures": sum(p["policies"][policy]["failures"] for p in parts),
            }
            for policy in policies
        }
        found[name] = {"mean_of_splits": mean, "splits": parts}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.decisions", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="FD00x", help="FD001 or FD004; both without")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the C-MAPSS files")
    parser.add_argument("--splits", type=int, default=SPLITS)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    names = tuple(arguments.names) or ("FD001", "FD004")
    print(json.dumps(run(arguments.quick, arguments.data, names, arguments.splits)))


if __name__ == "__main__":
    main()
