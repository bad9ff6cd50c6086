"""Remaining useful life on NASA's C-MAPSS: error, interval coverage and width, replay, speed.

    python -m bench.rul [--data FOLDER] [--seeds N] [FD001 ...]

FD001 and FD003 have test files here: the last row of every test unit is forecast, each file read once for all
seeds. Every run of this bench is one look at them; docs/design/prognosis.md counts the looks that were taken
before a choice was made. Of a data set without test files every fifth training unit is held out and cut at a
random cycle. One model per seed; the intervals come from the first seed's out-of-fold residuals.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from twinproof.exchange.cmapss.files import read_rul, read_snapshots
from twinproof.exchange.cmapss.layout import FIELDS
from twinproof.prognosis.conformal import fit_intervals
from twinproof.prognosis.data import Fleet, unit
from twinproof.prognosis.ensemble import Recipe
from twinproof.prognosis.features import histories
from twinproof.prognosis.model import digest_model, format_model
from twinproof.prognosis.record import record
from twinproof.prognosis.replay import Replayer
from twinproof.prognosis.serve import Predictor, load_predictor
from twinproof.prognosis.train import CAP, FOLDS, fit_model, out_of_fold

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "cmapss"
NAMES = ("FD001", "FD002", "FD003", "FD004")
SEEDS = {"FD002": 2, "FD004": 2}
"""Unless told otherwise; these have no test files here, and three times the rows."""
SETTINGS = 3
REPLAYED = 20_000
TWINS = 10_000


def read_fleet(path: Path, *, failed: bool) -> Fleet:
    """A C-MAPSS file as a fleet."""
    rows: dict[int, list[tuple[float, ...]]] = defaultdict(list)
    for snapshot in read_snapshots(path):
        rows[snapshot.unit].append((snapshot.cycle, *snapshot.values))
    units = []
    for number, values in rows.items():
        table = np.array(values)
        cycles = table[:, 0].astype(np.int64)
        units.append(unit(f"{number:03}", cycles, table[:, 1 : 1 + SETTINGS], table[:, 1 + SETTINGS :], failed))
    names = tuple(field.name for field in FIELDS)
    return Fleet(names[:SETTINGS], names[SETTINGS:], tuple(units))


def split(folder: Path, name: str) -> tuple[str, Fleet, Fleet, list[int]]:
    """How it was tested, training units, tested units, their cycles left."""
    fleet = read_fleet(folder / f"train_{name}.txt.gz", failed=True)
    if (folder / f"test_{name}.txt.gz").exists():
        tested = read_fleet(folder / f"test_{name}.txt.gz", failed=False)
        return "test file, last rows", fleet, tested, read_rul(folder / f"RUL_{name}.txt.gz")
    rng = np.random.default_rng(1)
    held = range(4, len(fleet.units), 5)
    cuts = [int(rng.integers(30, len(fleet.units[at]))) for at in held]
    tested = Fleet(
        fleet.settings, fleet.signals, tuple(fleet.units[at].head(cut) for at, cut in zip(held, cuts, strict=True))
    )
    kept = fleet.take([at for at in range(len(fleet.units)) if at not in held])
    left = [len(fleet.units[at]) - cut for at, cut in zip(held, cuts, strict=True)]
    return "every fifth training unit, cut at a random cycle", kept, tested, left


def measure(folder: Path, name: str, seeds: int, quick: bool) -> dict[str, Any]:
    """One data set."""
    how, fleet, tested, left = split(folder, name)
    recipe = Recipe(trees=60, steps=300, networks=1) if quick else Recipe()
    start = time.perf_counter()
    unseen = out_of_fold(fleet, seed=0, cap=CAP, recipe=recipe, fold_count=3 if quick else FOLDS)
    intervals = fit_intervals(unseen.predicted, unseen.actual, unseen.unit, CAP)
    calibrated = time.perf_counter() - start
    truth = np.asarray(left, dtype=np.float64)
    scores = []
    seconds = []
    for seed in range(seeds):
        start = time.perf_counter()
        model = format_model(fit_model(fleet, intervals, seed=seed, recipe=recipe))
        seconds.append(time.perf_counter() - start)
        scores.append(score(load_predictor(model), tested, truth))
        print(f"   {name} seed {seed}: {scores[-1]}", file=sys.stderr, flush=True)
    mean = {key: round(statistics.fmean(each[key] for each in scores), 3) for key in scores[0]}
    spread = round(statistics.pstdev(each["rmse_capped"] for each in scores), 3)
    error = unseen.predicted - unseen.actual
    mass = 1.0 / np.bincount(unseen.unit)[unseen.unit]
    return {
        "tested_on": how,
        "units": {"trained": len(fleet.units), "tested": len(tested.units)},
        "regimes": len(load_predictor(model).model.regimes.cells),
        "seeds": seeds,
        **mean,
        "rmse_capped_spread": spread,
        "coverage_noise": round(float(np.sqrt(0.09 / len(truth))), 3),
        "out_of_fold_rmse_all_rows": round(float(np.sqrt((mass * error**2).sum() / mass.sum())), 3),
        "seconds_to_calibrate": round(calibrated, 1),
        "seconds_to_train": round(statistics.fmean(seconds), 1),
        "model_bytes": len(model),
        **speed(model, fleet, 500 if quick else REPLAYED),
    }


def score(predictor: Predictor, tested: Fleet, truth: Any) -> dict[str, float]:
    """Of the last row of every unit. Coverage is of the capped life; `uncapped`, of the life itself."""
    units = tested.columns(predictor.model.settings, predictor.model.signals).units
    forecasts = predictor.histories(units)
    last = np.cumsum([len(each) for each in units]) - 1
    lower, point, upper = (getattr(forecasts, name)[last] for name in ("lower", "point", "upper"))
    capped = np.minimum(truth, CAP)
    late = point - capped
    near = point < 50
    inside = (lower <= capped) & (capped <= upper)
    return {
        "rmse_capped": float(np.sqrt((late**2).mean())),
        "rmse_uncapped": float(np.sqrt(((point - truth) ** 2).mean())),
        "nasa_score_capped": float(np.where(late < 0, np.expm1(-late / 13), np.expm1(late / 10)).sum()),
        "nasa_score_uncapped": float(
            np.where(point < truth, np.expm1((truth - point) / 13), np.expm1((point - truth) / 10)).sum()
        ),
        "coverage_90": float(inside.mean()),
        "coverage_90_uncapped": float(((lower <= truth) & ((truth <= upper) | (upper >= CAP))).mean()),
        "width_90": float((upper - lower).mean()),
        "width_90_below_50": float((upper - lower)[near].mean()) if near.any() else 0.0,
    }


def speed(data: bytes, fleet: Fleet, replayed: int) -> dict[str, float]:
    """Rows per second of processor time, one thread; and whether replays agree."""
    predictor = load_predictor(data)
    units = fleet.columns(predictor.model.settings, predictor.model.signals).units
    start = time.process_time()
    features, remarks, bad = histories(predictor.basis, units)
    featured = time.process_time() - start
    start = time.process_time()
    forecasts = predictor.forecasts(features, remarks, bad)
    answered = time.process_time() - start
    state = predictor.state(TWINS)
    longest = max(units, key=len)
    for number in range(5):
        rows = [
            np.repeat(getattr(longest, name)[number : number + 1], TWINS, axis=0)
            for name in ("cycles", "settings", "signals")
        ]
        start = time.process_time()
        state.take(slice(None), *rows)
        predictor.now(state)
        live = time.process_time() - start
    start = time.process_time()
    done = different = at = 0
    digest = digest_model(data)
    for each in units:
        replayer = Replayer(predictor.model)
        for number, row in enumerate(each.rows()):
            replayer.take(row)
            again = record(digest, replayer.digest, replayer.forecast())
            different += again != record(digest, replayer.digest, forecasts.one(at + number))
            done += 1
            if done == replayed:
                break
        at += len(each)
        if done == replayed:
            break
    replaying = time.process_time() - start
    return {
        "features_rows_per_second": round(len(features) / featured),
        "forecast_rows_per_second": round(len(features) / answered),
        "live_rows_per_second_10k_twins": round(TWINS / live),
        "replayed": done,
        "replays_that_differ": different,
        "seconds_to_replay": round(replaying, 1),
    }


def run(quick: bool, folder: Path = DATA, names: tuple[str, ...] = NAMES, seeds: int | None = None) -> dict[str, Any]:
    """Some data sets, with five seeds but for `SEEDS`."""
    found = {}
    for name in names[:1] if quick else names:
        found[name] = measure(folder, name, 1 if quick else seeds or SEEDS.get(name, 5), quick)
    return {"cap": CAP, "test_files_looked_at": [n for n in found if "test file" in found[n]["tested_on"]], **found}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.rul", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="FD00x", help=f"which; all without: {', '.join(NAMES)}")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the C-MAPSS files")
    parser.add_argument("--seeds", type=int, help="how many; 5 without, 2 for the large data sets")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    print(json.dumps(run(arguments.quick, arguments.data, tuple(arguments.names) or NAMES, arguments.seeds)))


if __name__ == "__main__":
    main()
