"""Remaining useful life of NASA's lithium-ion cells: a second class of assets through the same API.

    python -m bench cells

Three cells are cycled until they hold less than 1.4 Ah (B0007 stops at 1.4005 Ah and never gets there). Leave one
cell out: a model of the two others forecasts its discharge cycles left after every cycle. Two cells are too few to
learn from, so each also ends earlier lives, at higher capacities: signals tell the distance to the life's own
end. Lives of one cell are one asset: no fold parts them, and all weigh as one. Both recipes are reported; choosing
one would take cells that nobody has looked at.
"""

from __future__ import annotations

import csv
import io
import statistics
import tarfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from twinproof.prognosis.data import Array, Fleet, Unit, unit
from twinproof.prognosis.ensemble import Recipe
from twinproof.prognosis.model import digest_model
from twinproof.prognosis.record import record
from twinproof.prognosis.replay import Replayer
from twinproof.prognosis.serve import load_predictor
from twinproof.prognosis.train import train

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "battery" / "nasa-battery-B0005-B0006-B0007.tar.gz"
END = 1.4
"""Ah; what the experiment calls the end of life."""
ENDS = (END, 1.45, 1.5, 1.55, 1.6, 1.65)
"""Ah, of the lives that training sees."""
SIGNALS = ("margin", "relative", "temperature", "warming", "volts", "seconds")
RECIPES = {
    "trees": Recipe(trees=200, leaves=7, fewest=20, networks=0),
    "trees and networks": Recipe(trees=200, leaves=7, fewest=20, networks=2, hidden=(8,), steps=2000),
}
AGE = 20
"""Cycles before which a straight line through capacities is not drawn."""


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """One cell's discharges."""

    name: str
    capacity: Array
    """(cycles,), Ah."""
    table: Array
    """(cycles, 5): ambient and mean temperature, warming (degC), volts after 1000 s, seconds until 3.4 V."""


def read_cells(path: Path) -> list[Cell]:
    """The archive's cells, by name."""
    cells = []
    with tarfile.open(path) as archive:
        for member in sorted(archive.getmembers(), key=lambda member: member.name):
            file = archive.extractfile(member)
            if file is None or not member.name.endswith(".csv"):
                continue
            discharges: dict[int, list[list[float]]] = defaultdict(list)
            for row in csv.DictReader(io.TextIOWrapper(file, "ascii")):
                columns = ("Capacity", "ambient_temperature", "Temperature_measured", "Voltage_measured", "Time")
                discharges[int(row["cycle_num"])].append([float(row[name]) for name in columns])
            rows = [np.array(discharges[number]) for number in sorted(discharges)]
            name = Path(member.name).name.partition("_")[0]
            cells.append(
                Cell(name, np.array([each[0, 0] for each in rows]), np.array([_summary(each) for each in rows]))
            )
    return cells


def _summary(rows: Array) -> list[float]:
    ambient, temperature, volts, seconds = rows[:, 1:].T
    low = np.flatnonzero((volts < 3.4) & (seconds > 60))
    return [
        float(ambient[0]),
        float(temperature.mean()),
        float(temperature.max() - temperature[0]),
        float(np.interp(1000.0, seconds, volts)),
        float(seconds[low[0]] if low.size else seconds[-1]),
    ]


def life(cell: Cell, end: float) -> tuple[Unit, int | None]:
    """The cell's record until it holds less than `end` Ah, and the cycle at which that was, if it was."""
    below = np.flatnonzero(cell.capacity < end)
    last = int(below[0]) + 1 if below.size else len(cell.capacity)
    capacity, table = cell.capacity[:last], cell.table[:last]
    margin = capacity - end
    first = max(float(capacity[:3].mean()) - end, 1e-3)
    signals = np.column_stack([margin, margin / first, table[:, 1:]])
    made = unit(f"{cell.name} to {end} Ah", np.arange(1, last + 1), table[:, :1], signals, bool(below.size), cell.name)
    return made, last if below.size else None


def fleet_of(cells: list[Cell], ends: tuple[float, ...]) -> Fleet:
    """Every life that came to its end, and the whole record of those that did not."""
    lives = [life(cell, end)[0] for cell in cells for end in ends]
    return Fleet(("ambient",), SIGNALS, tuple(lives))


def straight(capacity: Array, end: float, cap: float) -> Array:
    """Cycles left by a straight line through the last 30 capacities: what needs no model."""
    found = []
    for now in range(len(capacity)):
        seen = capacity[max(now - 29, 0) : now + 1]
        slope = float(np.polyfit(np.arange(len(seen)), seen, 1)[0]) if len(seen) > 4 else 0.0
        found.append(min(max((end - float(seen[-1])) / slope, 0.0), cap) if slope < 0 else cap)
    return np.array(found)


def score(cell: Cell, others: list[Cell], end: float, seeds: int, recipe: Recipe) -> dict[str, Any]:
    """Forecasts of one cell's way to `end`, by models that never saw it."""
    tested, ended = life(cell, end)
    found: dict[str, Any] = {"ended_at_cycle": ended}
    runs: list[dict[str, float]] = []
    for seed in range(seeds):
        start = time.perf_counter()
        trained = train(fleet_of(others, ENDS), seed=seed, recipe=recipe, fewest=2, fold_count=2, unit="{cycle}")
        seconds = time.perf_counter() - start
        predictor = load_predictor(trained.model)
        asked = Fleet(("ambient",), SIGNALS, (tested,)).columns(predictor.model.settings, predictor.model.signals)
        forecasts = predictor.histories(asked.units)
        cap = predictor.model.cap
        replayer, digest, differ = Replayer(predictor.model), digest_model(trained.model), 0
        for number, row in enumerate(asked.units[0].rows()):
            replayer.take(row)
            differ += record(digest, replayer.digest, replayer.forecast()) != record(
                digest, replayer.digest, forecasts.one(number)
            )
        line = straight(cell.capacity[: len(tested)], end, cap)
        known = slice(AGE, None)
        run = {"replays_that_differ": differ, "seconds_to_train": seconds}
        if ended is None:
            least = np.minimum(len(cell.capacity) - tested.cycles, cap)
            run["share_at_least_what_it_lived"] = float((forecasts.upper >= least)[known].mean())
            run["rmse_below_what_it_lived"] = _rmse(np.minimum(forecasts.point - least, 0.0)[known])
        else:
            actual = np.minimum(tested.remaining(), cap)
            inside = (forecasts.lower <= actual) & (actual <= forecasts.upper)
            run |= {
                "rmse": _rmse((forecasts.point - actual)[known]),
                "rmse_last_50": _rmse((forecasts.point - actual)[-50:]),
                "straight_line_rmse": _rmse((line - actual)[known]),
                "straight_line_rmse_last_50": _rmse((line - actual)[-50:]),
                "mean_life_rmse": _rmse((_mean_life(others, end, cap, tested) - actual)[known]),
                "inside_90": float(inside[known].mean()),
                "width_90": float((forecasts.upper - forecasts.lower)[known].mean()),
            }
        runs.append(run)
    for name in runs[0]:
        found[name] = round(statistics.fmean(run[name] for run in runs), 3)
    return found


def _mean_life(others: list[Cell], end: float, cap: float, tested: Unit) -> Array:
    """What knowing the other cells' lives alone would say."""
    lives = [ended or len(other.capacity) for other in others for ended in [life(other, end)[1]]]
    left: Array = np.clip(statistics.fmean(lives) - tested.cycles, 0.0, cap)
    return left


def _rmse(errors: Array) -> float:
    return float(np.sqrt((errors**2).mean()))


def run(quick: bool) -> dict[str, Any]:
    """Each cell left out in turn, to the experiment's end and to 1.5 Ah, which all three reach."""
    cells = read_cells(DATA)
    recipes = {"few trees": Recipe(trees=40, leaves=7, fewest=20, networks=0)} if quick else RECIPES
    seeds = 1 if quick else 5
    found: dict[str, Any] = {"cycles": {cell.name: len(cell.capacity) for cell in cells}, "seeds": seeds}
    for name, recipe in recipes.items():
        for end in (END, 1.5):
            scores = {
                cell.name: score(cell, [other for other in cells if other is not cell], end, seeds, recipe)
                for cell in cells
            }
            ended = [each for each in scores.values() if "rmse" in each]
            means = {key: round(statistics.fmean(each[key] for each in ended), 2) for key in ended[0] if "rmse" in key}
            found[f"{name}, to {end} Ah"] = {**scores, "mean": means}
    return found
