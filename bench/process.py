"""Condition monitoring on the Tennessee Eastman process: delay and false alarms, per fault and detector.

    python -m bench process

Learnt from the normal training run (24 h); judged on the test runs of 48 h, one row in 3 minutes, 52 variables. A fault
begins after 8 h: alarms before are false, and so are all of the normal test run. Each detector is judged as a
monitor would use it: an alarm begins with `HOLD` alarming rows in a row, so one wild row is none.
"""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from twinproof.prognosis.data import Array
from twinproof.prognosis.detectors import Cusum, Ewma, Judgement, Spread
from twinproof.prognosis.directions import learn_directions

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "tep" / "tep-d00-d01-d04-d05.tar.gz"
FAULTS = {
    "1": "step of the A/C feed ratio",
    "4": "step of the reactor's cooling water temperature",
    "5": "step of the condenser's cooling water temperature",
}
BEGINS = 160
"""Row of a test run at which its fault begins."""
MINUTES = 3.0
HOLD = 3
Judge = Callable[[Sequence[float]], bool]


def read_run(path: Path, name: str) -> Array:
    """(rows, 52): 41 measurements, 11 valves."""
    with tarfile.open(path) as archive:
        member = next(each for each in archive.getnames() if each.endswith(f"/{name}.dat"))
        file = archive.extractfile(member)
        if file is None:
            raise FileNotFoundError(member)
        table = np.loadtxt(io.TextIOWrapper(file, "ascii"))
    return table if table.shape[1] == 52 else np.ascontiguousarray(table.T)


class Any52:
    """One detector per variable; an alarm of any of them is one."""

    def __init__(self, make: Callable[[], Ewma | Cusum], normal: Array) -> None:
        self._each = [make() for _ in range(normal.shape[1])]
        for row in normal.tolist():
            self(row)

    def __call__(self, row: Sequence[float]) -> bool:
        judged = [detector.update((value,)) for detector, value in zip(self._each, row, strict=True)]
        return any(each.alarm for each in judged)


def detectors(normal: Array) -> dict[str, Callable[[], Judge]]:
    """How each judge is made, from the normal run."""
    known = learn_directions(normal)
    rows = len(normal)

    def spread() -> Judge:
        made = Spread(known)

        def judge(row: Sequence[float]) -> bool:
            judgement: Judgement = made.update(row)
            return judgement.alarm

        return judge

    return {
        "t2_q": spread,
        "ewma_each": lambda: Any52(lambda: Ewma(weight=0.1, limit=6.0, warm_up=rows), normal),
        "cusum_each": lambda: Any52(lambda: Cusum(drift=1.0, limit=12.0, warm_up=rows), normal),
    }


def episodes(alarms: Sequence[bool]) -> list[int]:
    """Rows at which `HOLD` alarming rows in a row were complete for the first time of each stretch."""
    found, length = [], 0
    for at, alarm in enumerate(alarms):
        length = length + 1 if alarm else 0
        if length == HOLD:
            found.append(at)
    return found


def run(quick: bool) -> dict[str, Any]:
    """Every detector on the normal run and every fault."""
    normal = read_run(DATA, "d00")
    runs = {name: read_run(DATA, f"d{int(name):02}_te").tolist() for name in ("0", *FAULTS)}
    hours = len(runs["0"]) * MINUTES / 60
    found: dict[str, Any] = {"faults": FAULTS, "hours_of_a_test_run": hours, "rows_to_an_alarm": HOLD}
    for name, make in detectors(normal).items():
        if quick and name != "t2_q":
            continue
        start = time.process_time()
        alarms = {run: [judge(row) for row in rows] for judge, (run, rows) in ((make(), each) for each in runs.items())}
        seconds = time.process_time() - start
        quiet = episodes(alarms["0"])
        scores: dict[str, Any] = {
            "microseconds_a_row": round(1e6 * seconds / sum(map(len, alarms.values())), 1),
            "false_alarms_in_normal_run": len(quiet),
            "false_alarms_a_month": round(len(quiet) / hours * 24 * 30, 1),
            "rows_alarming_in_normal_run": round(float(np.mean(alarms["0"])), 4),
        }
        for fault in FAULTS:
            begun = episodes(alarms[fault])
            true = [at for at in begun if at >= BEGINS]
            scores[f"fault_{fault}"] = {
                "false_alarms_in_8_h_before": len(begun) - len(true),
                "minutes_to_first_row": _first(alarms[fault]),
                "minutes_to_alarm": None if not true else (true[0] - BEGINS) * MINUTES,
                "rows_alarming_after": round(float(np.mean(alarms[fault][BEGINS:])), 4),
            }
        found[name] = scores
    return found


def _first(alarms: Sequence[bool]) -> float | None:
    after = alarms[BEGINS:]
    return after.index(True) * MINUTES if any(after) else None
