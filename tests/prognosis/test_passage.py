"""The rule for ordering: first passages by hand, and a rule that brute force finds too."""

from __future__ import annotations

from math import nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinproof.errors import Malformed
from twinproof.prognosis.data import Array
from twinproof.prognosis.decision import Terms
from twinproof.prognosis.passage import OrderRule, first_passages, fit_order_rule

TERMS = Terms(1.0, 10.0, 5)


def fleet(seed: int, units: int = 30, noise: float = 3.0) -> list[Array]:
    """Forecasts of units that live 60 to 120 cycles, wrong by a noise that stays with the unit."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(units):
        life = int(rng.integers(60, 121))
        found.append(np.maximum(np.arange(life - 1, -1, -1) + rng.normal(0, noise), 0.0))
    return found


def test_first_passages_by_hand() -> None:
    run, left = first_passages([np.array([nan, 9.0, 4.0, 6.0, 1.0]), np.array([9.0, 8.0])], np.array([5.0, 1.0, 0.5]))
    assert run.tolist() == [[3, 5, 5], [2, 2, 2]]
    assert left.tolist() == [[2, 0, 0], [0, 0, 0]]


@given(st.integers(0, 2**32))
def test_without_smoothing_it_is_what_trying_every_threshold_finds(seed: int) -> None:
    units = fleet(seed, 12)
    rule = fit_order_rule(units, TERMS, 30.0, 1e-9)
    for threshold, rate in zip(rule.thresholds.tolist(), rule.rates.tolist(), strict=True):
        cost = run = 0.0
        for points in units:
            ordered = next((at + 1 for at, point in enumerate(points) if point <= threshold), len(points))
            failed = ordered + TERMS.lead >= len(points)
            cost += TERMS.failure if failed else TERMS.planned
            run += len(points) if failed else ordered + TERMS.lead
        assert rate == pytest.approx(cost / run)
    assert rule.rate == rule.rates.min()


def test_a_rule_keeps_to_units_to_come() -> None:
    rule = fit_order_rule(fleet(1), TERMS, 40.0)
    assert isinstance(rule, OrderRule)
    assert 5 < rule.threshold < 25
    failed = sum(next(len(p) - 1 - at for at, x in enumerate(p) if rule.due(x)) <= TERMS.lead for p in fleet(2, 200))
    assert failed <= 2


def test_more_noise_and_more_smoothing_order_earlier() -> None:
    calm, rough = (fit_order_rule(fleet(1, noise=noise), TERMS, 60.0) for noise in (1.0, 6.0))
    assert calm.threshold < rough.threshold
    assert calm.rate < rough.rate
    assert fit_order_rule(fleet(1), TERMS, 60.0, 4.0).threshold > fit_order_rule(fleet(1), TERMS, 60.0, 1.0).threshold


def test_a_dearer_failure_orders_no_later() -> None:
    found = [fit_order_rule(fleet(1), Terms(1.0, cost, 5), 60.0).threshold for cost in (2.0, 10.0, 50.0)]
    assert found == sorted(found)


def test_a_refused_forecast_orders_nothing() -> None:
    assert not fit_order_rule(fleet(1), TERMS, 40.0).due(nan)


def test_what_is_refused() -> None:
    with pytest.raises(Malformed, match="units"):
        fit_order_rule(fleet(1, 9), TERMS, 40.0)
    with pytest.raises(Malformed, match="units"):
        fit_order_rule([*fleet(1), np.zeros(0)], TERMS, 40.0)
    for highest in (5.0, nan):
        with pytest.raises(Malformed, match="highest"):
            fit_order_rule(fleet(1), TERMS, highest)
