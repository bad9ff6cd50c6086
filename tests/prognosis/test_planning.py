"""Plans: limits kept to the last unit, and bounds that no plan is below."""

from __future__ import annotations

import itertools
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.prognosis.plans import problems
from twinproof.errors import Malformed
from twinproof.prognosis.decision import Terms, decide, life_of_forecast
from twinproof.prognosis.model import Intervals
from twinproof.prognosis.planning import Asset, Limit, Problem, asset_of, lower_bound, price_plan

CREW = Limit("crew", (1, 1, 1), False)
SPARE = Limit("spare", (1, 0, 1), True)
A = Asset("a", (3.0, 2.0, 1.0), 9.0, {"crew": 1, "spare": 1}, 2)
B = Asset("b", (1.0, inf, 5.0), inf, {"crew": 1})
PROBLEM = Problem((A, B), (CREW, SPARE))


def test_plans_by_hand() -> None:
    assert price_plan(PROBLEM, (1, 0)) == 3.0
    assert price_plan(PROBLEM, (2, 0)) == 2.0  # its second slot of work lies beyond the horizon
    assert price_plan(PROBLEM, (None, 2)) == 14.0
    for plan, reason in (
        ((0, 0), "crew: needs 2 of 1 in slot 0"),
        ((1, 2), "crew: needs 2 of 1 in slot 2"),
        ((1, 1), "b: this slot is not possible"),
        ((1, None), "b: this slot is not possible"),
        ((1, 3), "b: not a slot"),
        ((1, True), "b: not a slot"),
        ((1,), "not for 2 assets"),
    ):
        with pytest.raises(Malformed, match=reason):
            price_plan(PROBLEM, plan)


def test_spares_stay_and_are_used_up() -> None:
    assets = tuple(Asset(name, (1.0, 1.0, 1.0), inf, {"spare": 1}) for name in "ab")
    problem = Problem(assets, (SPARE,))
    assert price_plan(problem, (2, 1)) == 2.0
    with pytest.raises(Malformed, match="spare: needs 2 of 1 in slot 1"):
        price_plan(problem, (0, 1))


@given(problems(), st.data())
def test_no_plan_is_below_a_bound(problem: Problem, data: st.DataObject) -> None:
    numbers = st.lists(st.floats(0, 20), min_size=problem.slots, max_size=problem.slots).map(tuple)
    bound = lower_bound(problem, tuple(data.draw(numbers) for _ in problem.limits))
    for plan in itertools.product((None, *range(problem.slots)), repeat=len(problem.assets)):
        try:
            assert price_plan(problem, plan) >= bound - 1e-9
        except Malformed:
            continue


def test_bounds_by_hand() -> None:
    none = (0.0, 0.0, 0.0)
    # A crew in slot 0 costs 1 more: a stays in slot 2 for 1, b pays 2 in slot 0; less 1 for the one that is there.
    assert lower_bound(PROBLEM, ((1.0, 0.0, 0.0), none)) == 1 + 2 - 1
    # A spare by slot 2 costs 1 more: a pays 2; less 2 for the two that are delivered by then.
    assert lower_bound(PROBLEM, (none, (0.0, 0.0, 1.0))) == 2 + 1 - 2


def test_multipliers_that_bound_nothing_are_refused() -> None:
    fine = ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
    assert lower_bound(PROBLEM, fine) == 2.0
    for wrong in (fine[:1], (fine[0], (0.0, 0.0)), (fine[0], (0.0, -1e-9, 0.0)), (fine[0], (0.0, nan, 0.0))):
        with pytest.raises(Malformed, match="multipliers"):
            lower_bound(PROBLEM, wrong)


@pytest.mark.parametrize(
    ("assets", "limits", "field"),
    [
        ((), (), "problem"),
        ((A, A), (CREW, SPARE), "problem.assets"),
        ((A,), (CREW, SPARE, SPARE), "problem.limits"),
        ((B,), (Limit("crew", (1, 1), False),), "limit crew"),
        ((B,), (Limit("crew", (1, 1, -1), False),), "limit crew"),
        ((A,), (CREW,), "asset a.needs"),
        ((Asset("x", (nan,), 1.0, {}),), (), "asset x"),
        ((Asset("x", (1e13,), 1.0, {}),), (), "asset x"),
        ((Asset("x", (-inf,), 1.0, {}),), (), "asset x"),
        ((Asset("x", (1.0,), 1.0, {}, 0),), (), "asset x.duration"),
        ((Asset("x", (1.0, 2.0, 3.0), 1.0, {"crew": -1}),), (CREW,), "asset x.needs"),
        ((Asset("x", (1.0,), 1.0, {}), Asset("y", (1.0, 2.0), 1.0, {})), (), "asset y"),
    ],
    ids=range(12),
)
def test_problems_that_are_none(assets: tuple[Asset, ...], limits: tuple[Limit, ...], field: str) -> None:
    with pytest.raises(Malformed) as caught:
        Problem(assets, limits)
    assert caught.value.field == field


def test_an_asset_costs_what_its_curve_says() -> None:
    known = life_of_forecast(20.0, Intervals((), (50, 500, 950), ((-8.0, 0.0, 8.0),)), 60.0)
    decision = decide(known, Terms(1.0, 10.0, 7, 0.05), 100)
    asset = asset_of("x", decision, slots=4, cycles=5, needs={"crew": 1})
    assert asset.costs[0] == inf  # the slot is over before the lead time
    for slot in (1, 2, 3):
        at = 5 * (slot + 1) - 7
        lost = decision.curve.time[-1] - decision.curve.time[at]
        assert asset.costs[slot] == pytest.approx(decision.curve.cost[at] + 0.05 * lost)
    assert asset.later > asset.costs[2] > asset.costs[1] - 1
    with pytest.raises(Malformed, match=r"terms\.price"):
        asset_of("x", decide(known, Terms(1.0, 10.0, 7), 100), slots=4, cycles=5, needs={})
    with pytest.raises(Malformed, match="looks 65 cycles ahead"):
        asset_of("x", decision, slots=12, cycles=5, needs={})
