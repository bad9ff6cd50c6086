"""Finds a fleet's operating regimes in its settings; deterministic, without counting them beforehand.

A setting makes regimes if two things hold: its values lie in clusters with empty space between them
(more than `EMPTY` of its range), and which cluster a row is in explains at least `EXPLAINED` of the
variance of some signal. So the six flight conditions of C-MAPSS FD002 are found by altitude, Mach number
and throttle together, and the jitter of FD001's settings makes none.

Only settings with gaps are understood: one that is swept continuously, and moves the signals, is a limit
(docs/design/prognosis.md).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import numpy as np

from twinproof.errors import Malformed
from twinproof.prognosis.data import Array, Fleet, Integers
from twinproof.prognosis.model import MAX_CELLS, MAX_REGIMES, Regimes

EMPTY: Final = 1 / 32
EXPLAINED: Final = 0.5
FEWEST: Final = 50
"""Rows that a regime needs, to have means and deviations."""
SMALLEST: Final = 1e-6
"""Standard deviation, as a part of the mean's size, below which a signal says nothing."""


def find_regimes(fleet: Fleet) -> Regimes:
    """The regimes of a fleet. Raises `Malformed` if a setting is never a number, or regimes are too many."""
    settings = np.concatenate([unit.settings for unit in fleet.units])
    signals = np.concatenate([unit.signals for unit in fleet.units])
    whole = np.isfinite(settings).all(axis=1)
    if settings.shape[1] and not whole.any():
        raise Malformed("fleet.settings", "no row has them all")
    intervals: list[tuple[tuple[float, float], ...]] = []
    cuts: list[tuple[float, ...]] = []
    for column in range(settings.shape[1]):
        values = np.unique(settings[whole, column])
        found = _cuts(values)
        if not _explains(np.searchsorted(found, settings[whole, column]), signals[whole]):
            found = ()
        cuts.append(found)
        intervals.append(_intervals(values, found))
    if np.prod([len(found) + 1 for found in cuts]) > MAX_CELLS:
        raise Malformed("fleet.settings", f"make more than {MAX_CELLS} combinations")
    if not cuts:
        return Regimes((), ((),))
    inside = np.stack([np.searchsorted(found, settings[whole, at]) for at, found in enumerate(cuts)], axis=1)
    cells, counts = np.unique(inside, axis=0, return_counts=True)
    kept = [tuple(cell) for cell, count in zip(cells.tolist(), counts.tolist(), strict=True) if count >= FEWEST]
    if not 0 < len(kept) <= MAX_REGIMES:
        raise Malformed("fleet.settings", f"make {len(kept)} regimes, not 1 to {MAX_REGIMES}")
    return Regimes(tuple(intervals), tuple(kept))


def _cuts(distinct: Array) -> tuple[float, ...]:
    """The middles of the empty stretches between ascending values."""
    least = (distinct[-1] - distinct[0]) * EMPTY
    at = np.flatnonzero(np.diff(distinct) > least)
    return tuple(((distinct[at] + distinct[at + 1]) / 2).tolist())


def _intervals(distinct: Array, cuts: tuple[float, ...]) -> tuple[tuple[float, float], ...]:
    """Each cluster from its lowest to its highest value, and a quarter of the narrowest gap more on both sides.

    A single cluster is widened by half of its range.
    """
    parts = np.split(distinct, np.searchsorted(distinct, cuts))
    if len(parts) > 1:
        margin = min(float(after[0] - before[-1]) for before, after in pairwise(parts)) / 4
    else:
        margin = float(distinct[-1] - distinct[0]) / 2 or max(abs(float(distinct[-1])), 1.0) / 1000
    return tuple((float(part[0]) - margin, float(part[-1]) + margin) for part in parts)


def _explains(cluster: Integers, signals: Array) -> bool:
    """Whether the clusters account for enough of one signal's variance."""
    for column in signals.T:
        there = np.isfinite(column)
        values = column[there]
        if not values.size:
            continue
        whole = float(values.var())
        if whole <= (SMALLEST * abs(float(values.mean()))) ** 2:  # nothing to explain but rounding
            continue
        sizes = np.bincount(cluster[there])
        sums = np.bincount(cluster[there], weights=values - values.mean())
        between = float((sums[sizes > 0] ** 2 / sizes[sizes > 0]).sum()) / values.size
        if between >= EXPLAINED * whole:
            return True
    return False
