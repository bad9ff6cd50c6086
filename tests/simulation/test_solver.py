"""Plans are the cheapest there are, shortages the smallest, and both the same in every process."""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import sys
from dataclasses import replace
from math import inf

import pytest
from hypothesis import given, settings

from tests.prognosis.plans import problems
from twinproof.errors import Malformed
from twinproof.prognosis.planning import Asset, Limit, Problem, lower_bound, price_plan
from twinproof.simulation.solver import Infeasible, Plan, Shortage, solve


def cheapest(problem: Problem) -> float:
    """By trying every plan; infinite without one."""
    best = inf
    for plan in itertools.product((None, *range(problem.slots)), repeat=len(problem.assets)):
        try:
            best = min(best, price_plan(problem, plan))
        except Malformed:
            continue
    return best


def raised(problem: Problem, shortage: Shortage) -> Problem:
    """With so much more of what is short."""
    limits = []
    for limit in problem.limits:
        if limit.name == shortage.limit:
            more = [*shortage.excess, *[0] * (problem.slots - len(shortage.excess))]
            limit = replace(limit, amounts=tuple(a + b for a, b in zip(limit.amounts, more, strict=True)))
        limits.append(limit)
    return Problem(problem.assets, tuple(limits))


@given(problems())
@settings(max_examples=60)
def test_no_plan_is_cheaper(problem: Problem) -> None:
    plan = solve(problem)
    best = cheapest(problem)
    if isinstance(plan, Infeasible):
        assert best == inf
        return
    assert plan.cost == price_plan(problem, plan.slots)
    assert plan.cost == pytest.approx(best, rel=1e-4, abs=1e-6)
    assert plan.certified == lower_bound(problem, plan.multipliers)
    assert plan.certified <= best + 1e-6
    assert plan.bound <= plan.cost
    assert plan.status == "optimal"
    assert 0 <= plan.gap <= 1e-4 + 1e-9


@given(problems())
@settings(max_examples=60)
def test_what_is_short_is_enough_and_nothing_less_is(problem: Problem) -> None:
    found = solve(problem)
    if isinstance(found, Plan):
        return
    if found.assets:
        for asset in problem.assets:
            assert (asset.name in found.assets) == (min(*asset.costs, asset.later) == inf)
        return
    assert bool(found.shortages) != bool(found.together)
    for shortage in found.shortages:
        assert cheapest(raised(problem, shortage)) < inf
        for at, amount in enumerate(shortage.excess):
            if amount:
                less = tuple(x - (place == at) for place, x in enumerate(shortage.excess))
                assert cheapest(raised(problem, Shortage(shortage.limit, less))) == inf
    everything = problem
    for shortage in found.together:
        everything = raised(everything, shortage)
    assert not found.together or cheapest(everything) < inf


def test_the_limit_that_is_short_is_named() -> None:
    assets = tuple(Asset(name, (1.0, 2.0), inf, {"crew": 1, "bay": 1}) for name in "abc")
    crew, bay = Limit("crew", (5, 5), False), Limit("bay", (1, 1), False)
    found = solve(Problem(assets, (crew, bay)))
    assert isinstance(found, Infeasible)
    assert [(each.limit, sum(each.excess)) for each in found.shortages] == [("bay", 1)]
    found = solve(Problem(assets, (Limit("crew", (1, 1), False), bay)))
    assert isinstance(found, Infeasible)
    assert found.shortages == ()
    assert {each.limit for each in found.together} == {"crew", "bay"}
    nowhere = solve(Problem((*assets[:1], Asset("stuck", (inf, inf), inf, {})), (crew, bay)))
    assert nowhere == Infeasible(("stuck",), (), ())


def fleet(count: int = 40, slots: int = 20) -> Problem:
    rng = random.Random(5)
    assets = tuple(
        Asset(
            f"{at:02}", tuple(abs(slot - rng.uniform(0, slots)) + rng.random() for slot in range(slots)), 25.0,
            {"crew": 1 + at % 2, "bay": 1, "spare": 1}, 1 + at % 3,
        )
        for at in range(count)
    )  # fmt: skip
    limits = (
        Limit("crew", (5,) * slots, False), Limit("bay", (3,) * slots, False), Limit("spare", (2,) * slots, True),
    )  # fmt: skip
    return Problem(assets, limits)


def test_a_fleet_is_planned_close_to_the_bound() -> None:
    plan = solve(fleet(), gap=0.02)
    assert isinstance(plan, Plan)
    assert plan.reproducible
    assert plan.gap <= 0.02
    assert plan.certified >= 0.9 * plan.cost


def test_nodes_end_a_search() -> None:
    plan = solve(fleet(), nodes=1, gap=0.0)
    assert isinstance(plan, Plan)
    assert plan.status in ("optimal", "node limit")
    assert plan.reproducible


CHILD = "from tests.simulation.test_solver import *; print(solve(fleet(20, 10), gap=0.01))"


def test_the_same_plan_in_every_process() -> None:
    here = repr(solve(fleet(20, 10), gap=0.01))
    for environment in ({"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "1"}, {"OMP_NUM_THREADS": "2"}):
        done = subprocess.run(
            [sys.executable, "-c", CHILD], env=os.environ | environment, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == here


@pytest.mark.parametrize("search", [{"seconds": 0.0}, {"nodes": 0}, {"gap": 1.0}, {"gap": -0.1}], ids=range(4))
def test_searches_that_are_none(search: dict[str, float]) -> None:
    with pytest.raises(Malformed, match="search"):
        solve(fleet(2, 2), **search)  # type: ignore[arg-type]
