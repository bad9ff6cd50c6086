"""Learns what detectors need from healthy rows: directions, covariances, limits. numpy; the result is data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from twinproof.errors import Malformed
from twinproof.prognosis.cases import CLIP, Watch
from twinproof.prognosis.data import Array, Fleet, Unit, unit
from twinproof.prognosis.detectors import SMALLEST, Directions, Gate
from twinproof.prognosis.monitor import Monitor, read_monitor
from twinproof.prognosis.regimes import find_regimes

RIDGE: Final = 0.05
"""Added to the variances of scaled signals: what hardly varies on its own must not rule the score."""
FEWEST: Final = 5
"""Twins with rows after their warm-up, below which no limit is learnt."""


def learn_directions(
    rows: Array, *, weight: float = 0.3, explained: float = 0.7, rate: float = 0.001, margin: float = 1.5
) -> Directions:
    """From rows (rows, signals) of assets that are well, in their order.

    The axes explain as much of the variance; a limit is what a share `rate` of the averaged rows exceeds, times
    `margin`, since the rows that set a limit do not test it. Raises `Malformed` if there is too little to learn from.
    """
    if rows.ndim != 2 or len(rows) < 5 * max(rows.shape[1], 1) or not np.isfinite(rows).all():
        raise Malformed("rows", "not a table of finite numbers with five rows a signal")
    mean, spread = rows.mean(axis=0), rows.std(axis=0)
    says = spread > SMALLEST * np.abs(mean)
    if not says.any():
        raise Malformed("rows", "nothing varies")
    gain = np.where(says, 1.0 / np.where(says, spread, 1.0), 0.0)
    z = (rows - mean) * gain
    average = np.empty_like(z)
    current = np.zeros(z.shape[1])
    for at, row in enumerate(z):
        current = current + weight * (row - current)
        average[at] = current
    values, vectors = np.linalg.eigh(np.cov(z.T).reshape(z.shape[1], z.shape[1]))
    values, vectors = values[::-1], vectors[:, ::-1]
    count = 1 + int(np.searchsorted(np.cumsum(values) / values.sum(), explained))
    axes = vectors[:, :count]
    along = average @ axes
    t2 = (along**2 / values[:count]).sum(axis=1)
    q = (average**2).sum(axis=1) - (along**2).sum(axis=1)
    limits = [max(float(np.quantile(x, 1 - rate)) * margin, SMALLEST) for x in (t2, q)]
    return Directions(
        tuple(mean.tolist()), tuple(gain.tolist()), tuple(map(tuple, axes.T.tolist())), tuple(values[:count].tolist()),
        limits[0], limits[1],
    )  # fmt: skip


def learn_monitor(
    template: Mapping[str, Any], fleet: Fleet, *, rows: int, false_share: float = 0.05, margin: float = 1.1
) -> dict[str, Any]:
    """The template with regimes, covariance and limit as the first `rows` rows of each unit have them.

    Units are taken for healthy in these rows. The limit is what a share `false_share` of them exceeds there for
    `persist` rows, times `margin`: the rows that set a limit do not test it. The fleet's columns are the template's
    settings and `Monitor.wanted`; rows while the asset does not run are left out. Raises `Malformed` if there is too
    little to learn from.
    """
    kind = next(iter(template["detector"]))
    draft = dict(template) | {"detector": {"ewma": {}}}
    draft.pop("cells", None)
    settings = draft.pop("settings", [])
    if len(settings) != len(fleet.settings) or tuple(fleet.settings) != tuple(settings):
        raise Malformed("monitor.settings", "not the fleet's")
    asked = read_monitor(draft)
    warm_up = asked.warm_up
    running = [each for each in (_running(asked, each) for each in fleet.units) if each is not None]
    heads = [each.head(rows) for each in running if len(each) > warm_up]
    if len(heads) < FEWEST or rows <= warm_up:
        raise Malformed("rows", f"fewer than {FEWEST} twins have rows after their warm-up of {warm_up}")
    young = Fleet(fleet.settings, fleet.signals, tuple(heads))
    size = len(template["signals"])
    learnt = dict(template) | {"cells": _cells(young, size)}
    learnt["detector"] = {"mewma": {"limit": 1.0}} if kind in ("mewma", "t2q") else template["detector"]
    first = read_monitor(learnt)
    deviations = np.concatenate([_deviations(first, each.settings, each.signals[:, :size]) for each in heads])
    if len(deviations) < 5 * size:
        raise Malformed("rows", "fewer than five a signal after the warm-up")
    spread = deviations.std(axis=0)
    # From here on a deviation is one within assets, not between them.
    gain = np.where(spread > 1e-6, 1.0 / np.where(spread > 1e-6, spread, 1.0), 0.0)
    for cell in learnt["cells"]:
        cell["gain"] = (np.array(cell["gain"]) * gain).tolist()
    deviations = deviations * gain
    chosen = dict(template["detector"][kind])
    if kind == "mewma":
        covariance = deviations.T @ deviations / len(deviations)
        chosen["inverse"] = np.linalg.inv(covariance + RIDGE * np.eye(size)).tolist()
    elif kind == "t2q":
        known = learn_directions(deviations, weight=float(chosen.get("weight", 0.1)), margin=1.0)
        chosen |= {"axes": [list(axis) for axis in known.axes], "variances": list(known.variances)}
        chosen |= {"t2": known.t2, "q": known.q}
    # High enough that no sum is cut on the way.
    chosen["limit"] = trial = 1e6 if kind == "cusum" else 1.0
    learnt["detector"] = {kind: chosen}
    reached = _reached(read_monitor(learnt), young)
    factor = max(float(np.quantile(reached, 1.0 - false_share)) * margin, SMALLEST)
    chosen["limit"] = trial * factor
    read_monitor(learnt)
    return learnt


def _running(monitor: Monitor, each: Unit) -> Unit | None:
    """The rows while the asset runs; None if it never did."""
    if monitor.gate is None:
        return each
    values, gate = each.signals[:, monitor.wanted.index(monitor.gate)], Gate(monitor.above, monitor.settle)
    on = np.array([gate.open(x) == "on" for x in values.tolist()])
    if not on.any():
        return None
    return unit(each.id, each.cycles[on], each.settings[on], each.signals[on], each.failed)


def _cells(fleet: Fleet, size: int) -> list[dict[str, Any]]:
    """Regimes, with mean and gain of the signals in each."""
    regimes = find_regimes(fleet)
    settings = np.concatenate([each.settings for each in fleet.units])
    signals = np.concatenate([each.signals[:, :size] for each in fleet.units])
    found = []
    for cell in regimes.cells:
        within = [regimes.intervals[at][interval] for at, interval in enumerate(cell)]
        inside = np.ones(len(settings), dtype=bool)
        for at, (low, high) in enumerate(within):
            inside &= (settings[:, at] >= low) & (settings[:, at] <= high)
        there = np.where(np.isfinite(signals[inside]), signals[inside], np.nan)
        some = np.isfinite(there).sum(axis=0) >= 2
        mean, gain = np.zeros(size), np.zeros(size)
        mean[some] = np.nanmean(there[:, some], axis=0)
        spread = np.zeros(size)
        spread[some] = np.nanstd(there[:, some], axis=0)
        says = spread > np.maximum(SMALLEST, 1e-6 * np.abs(mean))
        gain[says] = 1.0 / spread[says]
        found.append({"within": [list(each) for each in within], "mean": mean.tolist(), "gain": gain.tolist()})
    return found


def _deviations(monitor: Monitor, settings: Array, signals: Array) -> Array:
    """Of one unit's rows after its warm-up, from its own mean; rows of no regime or with holes are left out."""
    scaled = np.full(signals.shape, np.nan)
    for cell in monitor.cells:
        inside = np.ones(len(settings), dtype=bool)
        for at, (low, high) in enumerate(cell.within):
            inside &= (settings[:, at] >= low) & (settings[:, at] <= high)
        scaled[inside] = (signals[inside] - np.array(cell.mean)) * np.array(cell.gain)
    scaled = scaled[np.isfinite(scaled).all(axis=1)]
    own = scaled[: monitor.warm_up]
    found: Array = np.clip(scaled[monitor.warm_up :] - own.mean(axis=0), -CLIP, CLIP)
    return found


def _reached(monitor: Monitor, fleet: Fleet) -> list[float]:
    """Of each unit, the highest score that it kept for `persist` rows."""
    found = []
    for each in fleet.units:
        watch, newest, highest = Watch(monitor), [0.0] * monitor.persist, 0.0
        for row in each.rows():
            verdict = watch.take(row)
            if verdict.phase == "judging":
                newest = [*newest[1:], verdict.score]
                highest = max(highest, min(newest))
        found.append(highest)
    return found
