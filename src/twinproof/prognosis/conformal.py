"""Conformal intervals (Vovk et al., Algorithmic Learning in a Random World, 2005; Mondrian: by bins).

Residuals are true minus predicted on units that the predicting model has not seen. Rows of one unit are one
another's echoes, so in each bin every unit weighs alike, however many rows it has there, and the unit to come
weighs as much again, at infinity: with n units, a tail t of n + 1 is the tail (t (n + 1) - 1) / n of those seen.
Each tail has its own residual, since errors near the cap and near the end are lopsided.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from twinproof.prognosis.data import Array, Integers
from twinproof.prognosis.model import Intervals

LEVELS: Final = (
    5, 10, 25, 50, 75, 100, 150, 200, 250, 300, 350, 400, 450, 500, 550, 600, 650, 700, 750, 800, 850, 900, 925,
    950, 975, 990, 995,
)  # fmt: skip
"""Per mille; they come in pairs around 500."""
BINS: Final = 10


def fit_intervals(predicted: Array, actual: Array, unit: Integers, cap: float, bins: int = BINS) -> Intervals:
    """From out-of-fold predictions of rows, what happened, and whose rows they are. All (rows,)."""
    mass = 1.0 / np.bincount(unit)[unit]
    inner = [level / bins for level in range(1, bins)]
    edges = np.unique(_quantiles(predicted, mass, inner))
    edges = edges[(edges > predicted.min()) & (edges < cap)]
    place = np.searchsorted(edges, predicted, side="right")
    table = []
    for number in range(len(edges) + 1):
        here = np.flatnonzero(place == number)
        of = unit[here]
        units = len(np.unique(of))
        levels = []
        for level in LEVELS:
            # Where the tail is less than the unit to come weighs, the farthest residual seen stands for infinity.
            tail = max((min(level, 1000 - level) / 1000 * (units + 1) - 1) / units, 0.0)
            levels.append(tail if level < 500 else 1.0 - tail)
        table.append(tuple(_quantiles(actual[here] - predicted[here], 1.0 / np.bincount(of)[of], levels).tolist()))
    return Intervals(tuple(edges.tolist()), LEVELS, tuple(table))


def _quantiles(values: Array, mass: Array, levels: list[float]) -> Array:
    """The smallest values that as much of the mass as `levels` say is at or below."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(mass[order])
    at = np.searchsorted(reached, np.asarray(levels) * reached[-1] * (1 - 1e-12), side="left")
    found: Array = values[order][np.minimum(at, len(order) - 1)]
    return found
