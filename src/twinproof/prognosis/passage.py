"""When to order, calibrated at the moment of ordering itself.

Ordering at the first forecast at or below a threshold happens once a life, so what matters is the remaining life
*then*, one number per unit: such numbers are exchangeable from unit to unit, which rows are not, and a unit whose
forecast dips for a moment counts with that moment. From out-of-fold forecasts of units that ran to failure, each
threshold's cost per cycle follows, and the cheapest one is the rule.

Few units say little about rare early failures, which cost most. So each remaining life is spread by a triangular
kernel, as wide as twice Silverman's rule says (B. Silverman, Density Estimation, 1986, (3.31), with the quartiles).
The factor was chosen by leaving out one unit at a time, on training units of FD001 and FD004 together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from twinproof.errors import Malformed
from twinproof.prognosis.data import Array
from twinproof.prognosis.decision import Terms

SMOOTHING: Final = 2.0
"""Kernel widths of Silverman's rule."""
FEWEST: Final = 10
"""Units, below which nothing is said."""
_SILVERMAN: Final = 1.06
_QUARTILES: Final = 1.349
"""From the lower to the upper quartile of a normal distribution, in standard deviations."""
_TRIANGLE: Final = 6.0**0.5
"""Half the width of a triangular kernel, in its standard deviations."""


@dataclass(frozen=True, slots=True, eq=False)
class OrderRule:
    """Order at the first forecast at or below `threshold`. Arrays are per threshold that was looked at."""

    threshold: float
    rate: float
    """Expected cost per cycle."""
    risk: float
    """P(failure before the maintenance ordered)."""
    units: int
    terms: Terms
    thresholds: Array
    rates: Array
    risks: Array

    def due(self, point: float) -> bool:
        """Whether to order at this forecast; a refused one, NaN, decides nothing."""
        return point <= self.threshold


def fit_order_rule(points: list[Array], terms: Terms, highest: float, smoothing: float = SMOOTHING) -> OrderRule:
    """From each unit's forecasts in every cycle of its life, by models that did not see it; NaN where refused.

    Each array's last row is the cycle of the failure. `highest` is the highest threshold that is looked at.
    Raises `Malformed` if there are too few units, or no threshold above the lead time.
    """
    if len(points) < FEWEST or not all(len(each) for each in points):
        raise Malformed("units", f"fewer than {FEWEST}, or one without forecasts")
    if not terms.lead < highest <= 1e6:
        raise Malformed("highest", f"not above the lead time of {terms.lead}")
    thresholds = terms.lead + 0.5 * np.arange(1, int(2 * (highest - terms.lead)) + 1, dtype=np.float64)
    run, left = first_passages(points, thresholds)
    lower, upper = np.quantile(left, (0.25, 0.75), axis=0)
    width = smoothing * _SILVERMAN * _TRIANGLE * (upper - lower) / _QUARTILES * len(points) ** -0.2
    # Half a cycle of width at the least: lives are counted in whole cycles.
    risks = _spread((terms.lead + 0.5 - left) / np.maximum(width, 0.5)).mean(axis=0)
    time = (run + np.minimum(left, terms.lead)).mean(axis=0)
    rates = (terms.planned + (terms.failure - terms.planned) * risks) / time
    at = int(np.argmin(rates))
    return OrderRule(
        float(thresholds[at]), float(rates[at]), float(risks[at]), len(points), terms, thresholds, rates, risks
    )


def first_passages(points: list[Array], thresholds: Array) -> tuple[Array, Array]:
    """(units, thresholds): cycles run at the first forecast at or below, and left then: 0 where there is none."""
    run = np.empty((len(points), len(thresholds)))
    for number, point in enumerate(points):
        lowest = np.minimum.accumulate(np.where(np.isnan(point), np.inf, point))
        run[number] = np.minimum(np.searchsorted(-lowest, -thresholds, side="left") + 1, len(point))
    return run, np.array([[len(point)] for point in points]) - run


def _spread(x: Array) -> Array:
    """The distribution function of a triangle on -1..1."""
    x = np.clip(x, -1.0, 1.0)
    return np.where(x < 0.0, 0.5 * (1.0 + x) * (1.0 + x), 1.0 - 0.5 * (1.0 - x) * (1.0 - x))
