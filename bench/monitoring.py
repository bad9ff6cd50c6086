"""Condition monitoring on NASA's C-MAPSS: false alarms, lead time, share detected, microseconds a row.

    python -m bench monitoring

Engines run to failure. A row is a cycle, and a cycle is taken for one flight a day: 30 cycles are an asset-month. Every
second engine of a training file teaches regimes, covariance and limits by its first `TAUGHT` cycles; the others are
watched from their first cycle to their last. An engine is taken for healthy while it has more than `HEALTHY` cycles
left, as is usual for these files: a raise before that is a false alarm, also where it stands to the end because the
engine did begin to wear. Nothing is tuned on the watched engines, and the test files are not read.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.rul import DATA, read_fleet
from twinproof.prognosis.cases import Watch
from twinproof.prognosis.data import Fleet
from twinproof.prognosis.directions import learn_monitor
from twinproof.prognosis.monitor import Monitor, read_monitor

NAMES = ("FD001", "FD003")
SIGNALS = ("T24", "T30", "T50", "P30", "Nf", "Nc", "Ps30", "phi", "NRf", "NRc", "BPR", "htBleed", "W31", "W32")
"""Those that vary in these files."""
HEALTHY = 125
TAUGHT = 80
WARM_UP = 30
MONTH = 30
DETECTORS: dict[str, dict[str, Any]] = {
    "ewma": {"weight": 0.1},
    "cusum": {"drift": 0.5},
    "mewma": {"weight": 0.1, "limit": 1.0},
    "t2q": {"weight": 0.1, "axes": [], "variances": [], "t2": 1.0, "q": 1.0},
}


def watched(monitor: Monitor, fleet: Fleet) -> dict[str, Any]:
    """What one monitor does on engines that it did not learn from."""
    false = months = 0.0
    leads = []
    for each in fleet.units:
        watch, first = Watch(monitor), None
        end = int(each.cycles[-1])
        for row in each.rows():
            verdict = watch.take(row)
            change = watch.decide(verdict, float(row.cycle), 1.0, 0.0)
            left = end - row.cycle
            months += (verdict.phase == "judging" and left > HEALTHY) / MONTH
            if change is not None and change.raised:
                false += left > HEALTHY
                first = left
        # What counts as found is the alarm that stands at the end, since its last raise.
        if watch.active and first is not None:
            leads.append(first)
    quantiles = np.quantile(leads, (0.05, 0.25, 0.5, 0.75, 0.95)) if leads else np.zeros(5)
    return {
        "engines": len(fleet.units),
        "false_alarms": int(false),
        "false_alarms_that_stood_to_the_end": sum(lead > HEALTHY for lead in leads),
        "healthy_asset_months": round(months, 1),
        "false_alarms_per_asset_month": round(false / months, 4),
        "detected": round(len(leads) / len(fleet.units), 3),
        "lead_cycles": dict(zip(("p05", "p25", "p50", "p75", "p95"), quantiles.round(1).tolist(), strict=True)),
        "shortest_lead": min(leads, default=0),
        "microseconds_a_row": speed(monitor, fleet),
    }


def speed(monitor: Monitor, fleet: Fleet) -> float:
    """Processor time of one thread, rows at hand."""
    given = [list(each.rows()) for each in fleet.units]
    start = time.process_time()
    for rows in given:
        watch = Watch(monitor)
        for row in rows:
            watch.decide(watch.take(row), float(row.cycle), 1.0, 0.0)
    return round((time.process_time() - start) / sum(map(len, given)) * 1e6, 1)


def measure(folder: Path, name: str, quick: bool) -> dict[str, Any]:
    """One file, each detector."""
    whole = read_fleet(folder / f"train_{name}.txt.gz", failed=True)
    fleet = Fleet((), SIGNALS, whole.columns((), SIGNALS).units)
    count = 20 if quick else len(fleet.units)
    taught, rest = fleet.take(range(0, count, 2)), fleet.take(range(1, count, 2))
    found: dict[str, Any] = {}
    for kind, settings in DETECTORS.items():
        template = {"signals": list(SIGNALS), "detector": {kind: settings}, "warm_up": WARM_UP}
        start = time.perf_counter()
        learnt = learn_monitor(template, taught, rows=TAUGHT)
        seconds = time.perf_counter() - start
        found[kind] = {**watched(read_monitor(learnt), rest), "seconds_to_learn": round(seconds, 1)}
    return found


def run(quick: bool) -> dict[str, Any]:
    """Both files."""
    return {
        "cycle": "one flight a day, 30 cycles an asset-month",
        "healthy": f"more than {HEALTHY} cycles left, after {WARM_UP} cycles of warm-up",
        "learnt_from": f"first {TAUGHT} cycles of every second engine; the others are watched",
        **{name: measure(DATA, name, quick) for name in NAMES},
    }
