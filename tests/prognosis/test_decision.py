"""Dates: against sums in fractions, by properties, by Monte Carlo, and the same bits everywhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from fractions import Fraction
from math import inf, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinproof.errors import Malformed
from twinproof.prognosis.decision import (
    Decision,
    Life,
    Terms,
    decide,
    draw_lives,
    life,
    life_of_forecast,
    life_of_samples,
    risk_at,
    simulate,
    uniforms,
)
from twinproof.prognosis.model import Intervals

INTERVALS = Intervals((30.0,), (50, 250, 500, 750, 950), ((-8.0, -3.0, 0.0, 3.0, 8.0), (-16.0, -6.0, 0.0, 6.0, 16.0)))
HORIZON = 60

samples = st.lists(st.integers(1, 40), min_size=1, max_size=12)
costs = st.floats(0.1, 100, allow_nan=False)


def terms(planned: float = 1.0, failure: float = 10.0, lead: int = 0, price: float | None = None) -> Terms:
    return Terms(planned, failure, lead, price)


def of(remaining: list[int], horizon: int = HORIZON) -> Life:
    return life_of_samples(np.array(remaining), horizon)


def test_a_life_by_hand() -> None:
    """Lives of 3 and 6 cycles, half each; age 10; planned 1, failure 9."""
    decision = decide(of([3, 6], 8), terms(failure=9.0), 10)
    # Up to 2 cycles nothing fails; from 3 on half do, from 6 on all.
    assert decision.curve.risk.tolist() == [0, 0, 0, 0.5, 0.5, 0.5, 1, 1, 1]
    assert decision.curve.cost.tolist() == [1, 1, 1, 5, 5, 5, 9, 9, 9]
    assert decision.curve.time.tolist() == [10, 11, 12, 13, 13.5, 14, 14.5, 14.5, 14.5]
    assert (decision.date, decision.rate, decision.risk) == (2, 1 / 12, 0.0)
    assert not decision.due
    assert decide(of([3, 6], 8), terms(failure=9.0, lead=2), 10).due


@given(samples, costs, costs, st.integers(0, 10), st.integers(1, 300))
def test_every_date_costs_what_fractions_say(
    remaining: list[int], planned: float, more: float, lead: int, age: int
) -> None:
    asked = terms(planned, planned + more, lead)
    decision = decide(of(remaining), asked, age)
    count = len(remaining)
    for at, date in enumerate(decision.curve.dates.tolist()):
        failing = Fraction(sum(r <= date for r in remaining), count)
        cost = Fraction(asked.planned) * (1 - failing) + Fraction(asked.failure) * failing
        time = age + Fraction(sum(min(r, date) for r in remaining), count)
        assert decision.curve.risk[at] == pytest.approx(float(failing), abs=1e-12)
        assert decision.curve.cost[at] == pytest.approx(float(cost))
        assert decision.curve.time[at] == pytest.approx(float(time))
        assert decision.curve.rate[at] == pytest.approx(float(cost / time))
    assert decision.rate == decision.curve.rate.min()
    assert decision.date == decision.curve.dates[np.argmin(decision.curve.rate)]


@given(samples, costs, costs, st.integers(0, 10), st.integers(0, 300))
def test_curves_are_sane(remaining: list[int], planned: float, more: float, lead: int, age: int) -> None:
    decision = decide(of(remaining), terms(planned, planned + more, lead), age)
    curve = decision.curve
    assert curve.dates.tolist() == list(range(lead, HORIZON + 1))
    assert (curve.cost >= planned * (1 - 1e-12)).all()
    assert (curve.rate > 0).all()
    assert (np.diff(curve.risk) >= 0).all()
    assert (np.diff(curve.cost) >= -1e-9).all()
    assert (np.diff(curve.time) >= 0).all()
    assert decision.date >= lead


@given(samples, costs, costs, st.floats(1, 50), st.integers(0, 10), st.integers(0, 300), st.none() | st.floats(1e-3, 1))
def test_a_dearer_failure_never_puts_the_date_off(
    remaining: list[int], planned: float, more: float, factor: float, lead: int, age: int, price: float | None
) -> None:
    cheap = decide(of(remaining), terms(planned, planned + more, lead, price), age)
    dear = decide(of(remaining), terms(planned, planned + more * factor, lead, price), age)
    if dear.date > cheap.date:  # only if the two are equally good but for the last bits
        at, other = dear.date - lead, cheap.date - lead
        curve = dear.curve
        aim = curve.rate if price is None else curve.cost - price * curve.time
        assert aim[at] == pytest.approx(aim[other], rel=1e-12)


def test_the_price_of_time_moves_the_date() -> None:
    remaining = of([10, 20, 30, 40])
    dates = [decide(remaining, terms(lead=1, price=price), 50).date for price in (0.01, 0.5, 10.0)]
    assert dates == sorted(set(dates))


@given(samples, costs, costs, st.integers(1, 15), st.integers(0, 300), st.floats(1e-3, 1))
def test_a_life_that_is_longer_by_k_is_maintained_k_later(
    remaining: list[int], planned: float, more: float, k: int, age: int, price: float
) -> None:
    asked = terms(planned, planned + more, 0, price)
    now = decide(of(remaining, HORIZON), asked, age)
    later = decide(of([r + k for r in remaining], HORIZON + k), asked, age)
    place = now.curve.dates.tolist().index(now.date)
    gain = asked.failure * later.curve.risk[place + k] + asked.planned * (1 - later.curve.risk[place + k])
    assert gain == pytest.approx(now.curve.cost[place])
    # Equal aims may be told apart by their last bits, so the aims are compared where the dates differ.
    aim = later.curve.cost - price * later.curve.time
    assert aim[now.date + k] == pytest.approx(aim.min(), rel=1e-9, abs=1e-9)


def test_what_never_fails_is_left_alone() -> None:
    decision = decide(of([HORIZON + 1]), terms(), 5)
    assert decision.date == HORIZON
    assert decision.open
    assert decision.risk == 0.0


@given(samples, st.integers(0, 2**64 - 1))
def test_monte_carlo_agrees(remaining: list[int], seed: int) -> None:
    exact = decide(of(remaining), terms(lead=2), 50)
    drawn, error = simulate(of(remaining), terms(lead=2), 50, seed=seed, draws=4000)
    # Six standard errors, of the exact risk: an estimated one is 0 where nothing was drawn.
    bound = 6 * 9 * np.sqrt(exact.curve.risk * (1 - exact.curve.risk) / 4000) + 1e-9
    assert (np.abs(drawn.curve.cost - exact.curve.cost) <= bound).all()
    assert error.shape == drawn.curve.cost.shape
    assert drawn.curve.rate[drawn.date - 2] <= drawn.curve.rate[exact.date - 2]


def test_the_standard_error_is_one() -> None:
    remaining = of([5, 10, 20, 30])
    costs_ = [simulate(remaining, terms(), 50, seed=seed, draws=500)[0].curve.cost[12] for seed in range(200)]
    _, error = simulate(remaining, terms(), 50, seed=0, draws=500)
    assert np.std(costs_) == pytest.approx(error[12], rel=0.2)


def test_draws_come_from_the_documented_stream() -> None:
    raw = np.random.PCG64(3).random_raw(4)
    assert uniforms(3, 4).tolist() == [(int(x) >> 11) / 2**53 for x in raw]
    assert draw_lives(of([3, 6], 8), np.array([0.0, 0.49, 0.5, 0.99])).tolist() == [3, 3, 6, 6]
    assert draw_lives(of([3, 99], 8), np.array([0.49, 0.5])).tolist() == [3, 9]


# --- what a forecast says -------------------------------------------------------------------


def test_a_forecast_by_hand() -> None:
    """Around 20: 5 % up to 12, a quarter up to 17, half up to 20; what would have ended by now did not."""
    known = life_of_forecast(20.0, INTERVALS, 60.0)
    assert known.horizon == 60
    assert [known.failed[at] for at in (0, 12, 17, 20, 23, 28)] == pytest.approx([0, 0.05, 0.25, 0.5, 0.75, 0.95])
    assert known.failed[6] == pytest.approx(0.025)
    assert known.failed[60] == pytest.approx(0.95)
    assert risk_at(known, 20) == pytest.approx(0.5)


def test_the_bin_and_the_widening_count() -> None:
    assert risk_at(life_of_forecast(29.9, INTERVALS, 60.0), 22) < risk_at(life_of_forecast(30.0, INTERVALS, 60.0), 22)
    stretched = life_of_forecast(20.0, INTERVALS, 60.0, 2.0)
    assert [stretched.failed[at] for at in (4, 14, 26)] == pytest.approx([0.05, 0.25, 0.75])


def test_a_forecast_of_the_end() -> None:
    """At point 2 the residuals reach back before now: those lives are over, and it still runs."""
    known = life_of_forecast(2.0, INTERVALS, 60.0)
    assert known.failed[0] == 0.0
    gone = 0.25 + (0.5 - 0.25) / 3  # a quarter up to -1, half up to 2
    assert known.failed[10] == pytest.approx((0.95 - gone) / (1 - gone))
    assert decide(known, terms(lead=1, price=0.01), 100).due


@given(st.floats(0, 60), st.floats(0, 60))
def test_a_higher_point_of_a_bin_is_never_maintained_earlier(one: float, other: float) -> None:
    low, high = sorted((one, other))
    if low < 30 <= high:
        return
    asked = terms(lead=3, price=0.01)
    first, second = (decide(life_of_forecast(x, INTERVALS, 60.0), asked, 100) for x in (low, high))
    assert first.date <= second.date + 1  # lives are counted in whole cycles


@pytest.mark.parametrize("point", [nan, inf, -0.5, 60.5])
def test_a_refused_forecast_decides_nothing(point: float) -> None:
    with pytest.raises(Malformed, match=r"forecast\.point"):
        life_of_forecast(point, INTERVALS, 60.0)


def test_residuals_without_hope_are_refused() -> None:
    with pytest.raises(Malformed, match="should have failed"):
        life_of_forecast(1.0, Intervals((), (500, 1000), ((-9.0, -9.0),)), 60.0)


# --- what is refused ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("planned", "failure", "lead", "price"),
    [
        (0.0, 10.0, 0, None), (-1.0, 10.0, 0, None), (nan, 10.0, 0, None), (1.0, inf, 0, None), (2.0, 1.0, 0, None),
        (1.0, 10.0, -1, None), (1.0, 10.0, True, None), (1.0, 10.0, 0, 0.0), (1.0, 10.0, 0, nan), (1e13, 1e13, 0, None),
    ],
)  # fmt: skip
def test_terms_that_make_no_sense(planned: float, failure: float, lead: int, price: float | None) -> None:
    with pytest.raises(Malformed, match="terms"):
        Terms(planned, failure, lead, price)


@pytest.mark.parametrize("table", [[0.0], [0.1, 0.2], [0.0, 0.5, 0.4], [0.0, 1.5], [0.0, nan], [[0.0, 1.0]]])
def test_tables_that_are_no_distribution(table: list[float]) -> None:
    with pytest.raises(Malformed, match="life"):
        life(np.array(table))


@pytest.mark.parametrize("remaining", [[], [0], [-3, 4], [[1]]])
def test_samples_that_are_none(remaining: list[int]) -> None:
    with pytest.raises(Malformed, match="remaining"):
        life_of_samples(np.array(remaining, dtype=np.int64), 10)


def test_dates_and_ages_that_are_none() -> None:
    known = of([5])
    for date in (-1, HORIZON + 1, True):
        with pytest.raises(Malformed, match="date"):
            risk_at(known, date)
    with pytest.raises(Malformed, match=r"terms\.lead"):
        decide(known, terms(lead=HORIZON + 1), 5)
    with pytest.raises(Malformed, match="age"):
        decide(known, terms(), -1)
    for draws in (1, 10**8):
        with pytest.raises(Malformed, match="draws"):
            simulate(known, terms(), 5, seed=1, draws=draws)
    with pytest.raises(Malformed, match="seed"):
        uniforms(-1, 3)


# --- the same bits everywhere ---------------------------------------------------------------

CHILD = """
import hashlib, json, sys
from twinproof.prognosis.decision import *
from twinproof.prognosis.model import Intervals
levels, low, high = json.loads(sys.argv[1])
known = life_of_forecast(37.25, Intervals((30.0,), tuple(levels), (tuple(low), tuple(high))), 60.0)
made = decide(known, Terms(1.0, 3.0, 3, 0.01), 77)
drawn, error = simulate(known, Terms(1.0, 10.0, 3), 77, seed=5, draws=1000)
parts = [made.curve.cost, made.curve.time, made.curve.rate, made.curve.risk, drawn.curve.rate, error]
print(json.dumps([made.date, drawn.date, hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()]))
"""


def answer(environment: dict[str, str]) -> str:
    given_ = json.dumps([INTERVALS.levels, *INTERVALS.residuals])
    return subprocess.run(
        [sys.executable, "-c", CHILD, given_], env=os.environ | environment, capture_output=True, text=True, check=True
    ).stdout


def test_the_same_bits_in_every_process() -> None:
    here = answer({})
    assert json.loads(here)[0] > 3
    assert answer({"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2", "PYTHONHASHSEED": "1"}) == here
    assert answer({"OMP_NUM_THREADS": "1", "OPENBLAS_CORETYPE": "Nehalem", "PYTHONHASHSEED": "2"}) == here


def test_what_is_assumed_stands_in_the_result() -> None:
    made: Decision = decide(of([5]), terms(), 5)
    assert made.terms == terms()
    assert len(made.assumed) > 3
