"""Intervals: coverage on exchangeable units, equal mass per unit, and the textbook case."""

from __future__ import annotations

from math import ceil

import numpy as np
import pytest

from twinproof.errors import Malformed
from twinproof.prognosis.conformal import LEVELS, fit_intervals
from twinproof.prognosis.data import Array, Integers
from twinproof.prognosis.model import Intervals


def bounds(intervals: Intervals, predicted: Array, coverage: int = 900) -> tuple[Array, Array]:
    low, high = intervals.columns(coverage)
    table = np.asarray(intervals.residuals)[np.searchsorted(intervals.edges, predicted, side="right")]
    return predicted + table[:, low], predicted + table[:, high]


def test_one_row_a_unit_in_one_bin_is_split_conformal() -> None:
    """Residuals of n units: the bounds are the textbook's order statistics, ceil((n + 1) (1 - t)) from below."""
    rng = np.random.default_rng(1)
    n = 99
    actual = rng.uniform(0, 50, n)
    predicted = np.full(n, 25.0)
    intervals = fit_intervals(predicted, actual, np.arange(n), 125.0, bins=1)
    ordered = np.sort(actual - predicted)
    row = intervals.residuals[0]
    for level in LEVELS:
        if level > 500:
            assert row[LEVELS.index(level)] == ordered[min(ceil((n + 1) * level / 1000 - 1e-9), n) - 1]
    assert row == tuple(sorted(row))


@pytest.mark.parametrize("coverage", [500, 800, 900])
def test_coverage_holds_on_units_to_come(coverage: int) -> None:
    """One row each of many new units, with lopsided errors that depend on the prediction."""
    rng = np.random.default_rng(2)

    def draw(units: int, rows: int) -> tuple[Array, Array, Integers]:
        predicted = rng.uniform(0, 100, units * rows)
        offset = np.repeat(rng.normal(0, 1, units), rows)  # rows of a unit err alike
        error = (1 + predicted / 10) * (offset + rng.exponential(1.0, units * rows) - 1)
        return predicted, predicted + error, np.repeat(np.arange(units), rows)

    hits = []
    for _ in range(20):
        intervals = fit_intervals(*draw(60, 40), 125.0, bins=5)
        predicted, actual, _ = draw(400, 1)
        lower, upper = bounds(intervals, predicted, coverage)
        hits.append(np.mean((lower <= actual) & (actual <= upper)))
    assert coverage / 1000 - 0.02 < np.mean(hits) < coverage / 1000 + 0.05


def test_every_unit_weighs_alike() -> None:
    """One unit with 1000 rows of great error moves the bounds no more than with one such row."""
    actual = np.concatenate((np.zeros(30), np.full(1000, 90.0)))
    predicted = np.zeros(1030)
    owner = np.concatenate((np.arange(30), np.full(1000, 30)))
    many = fit_intervals(predicted, actual, owner, 125.0, bins=1)
    one = fit_intervals(predicted[:31], actual[:31], owner[:31], 125.0, bins=1)
    assert many.residuals == one.residuals
    assert many.residuals[0][LEVELS.index(900)] == 0.0


def test_too_few_units_for_a_tail_give_the_farthest() -> None:
    actual = np.array([-3.0, 0.0, 1.0, 7.0])
    intervals = fit_intervals(np.zeros(4), actual, np.arange(4), 125.0, bins=1)
    low, high = intervals.columns(900)
    assert (intervals.residuals[0][low], intervals.residuals[0][high]) == (-3.0, 7.0)


def test_all_alike_is_one_bin() -> None:
    intervals = fit_intervals(np.full(50, 125.0), np.full(50, 125.0), np.arange(50), 125.0)
    assert intervals.edges == ()
    assert set(intervals.residuals[0]) == {0.0}


def test_which_intervals_there_are() -> None:
    intervals = fit_intervals(np.zeros(4), np.zeros(4), np.arange(4), 125.0, bins=1)
    assert intervals.columns(900) == (LEVELS.index(50), LEVELS.index(950))
    for coverage in (-900, 0, 1, 700 + 1, 1000, 1100):
        with pytest.raises(Malformed):
            intervals.columns(coverage)
