"""A depot by hand, by conservation, and the same in every process."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinproof.errors import Malformed
from twinproof.prognosis.decision import life_of_samples
from twinproof.simulation.depot import MEASURES, Arrival, Depot, replicate

ONE = Depot(
    bays=1, crews=1, spares=3, resupply=10, planned=(2,), repair=(5,), horizon=30, planned_cost=1.0, failure_cost=10.0,
    downtime_cost=0.5,
)  # fmt: skip


def arrival(name: str, life: int, date: int) -> Arrival:
    """An asset whose life is known."""
    return Arrival(name, life_of_samples(np.array([life]), 50), date)


def measured(arrivals: tuple[Arrival, ...], depot: Depot) -> dict[str, float]:
    found = replicate(arrivals, depot, seed=1, replications=2).measured
    assert (found[0] == found[1]).all()  # nothing is random here
    return dict(zip(MEASURES, found[0].tolist(), strict=True))


def test_a_queue_by_hand() -> None:
    """a comes in time at 4 (work 4-6), b fails at 5 (waits 1, work 6-11), c comes at 5 and waits until 11 (11-13)."""
    found = measured((arrival("a", 20, 4), arrival("b", 5, 8), arrival("c", 9, 5)), ONE)
    assert (found["planned"], found["failures"]) == (2, 1)
    assert (found["waiting"], found["longest_wait"]) == (1 + 6, 6)
    assert found["downtime"] == 2 + 6 + 8
    assert found["cost"] == 2 * 1 + 10 + 0.5 * 16
    assert found["bays_busy"] == found["crews_busy"] == 9 / 30


def test_a_failure_goes_first_in_its_cycle() -> None:
    found = measured((arrival("a", 20, 5), arrival("b", 5, 8)), ONE)
    assert found["waiting"] == 5  # a waits for the repair of b, not b for the 2 cycles of a


def test_a_tie_is_a_failure() -> None:
    assert measured((arrival("a", 5, 5),), ONE)["failures"] == 1
    assert measured((arrival("a", 6, 5),), ONE)["planned"] == 1


def test_spares_are_waited_for() -> None:
    """One spare: b takes the next at 4 + 10, holding its bay from 6 on."""
    depot = replace(ONE, spares=1)
    found = measured((arrival("a", 20, 4), arrival("b", 20, 5)), depot)
    assert (found["waiting"], found["longest_wait"]) == (9, 9)
    assert found["bays_busy"] == (2 + 10) / 30
    assert found["crews_busy"] == 4 / 30


def test_two_bays_with_one_crew() -> None:
    found = measured((arrival("a", 20, 4), arrival("b", 20, 4)), replace(ONE, bays=2))
    assert found["bays_busy"] == (2 + 4) / 60
    assert found["crews_busy"] == 4 / 30


def test_what_is_not_done_at_the_end_counts_up_to_it() -> None:
    found = measured((arrival("a", 40, 27), arrival("b", 40, 28), arrival("c", 40, 30)), replace(ONE, planned=(9,)))
    assert found["planned"] == 2  # c comes after the horizon
    assert found["downtime"] == 3 + 2
    assert (found["waiting"], found["longest_wait"]) == (2, 2)
    assert found["crews_busy"] == 3 / 30


def random_fleet(seed: int, count: int = 12) -> tuple[Arrival, ...]:
    rng = np.random.default_rng(seed)
    return tuple(
        Arrival(f"{at}", life_of_samples(rng.integers(1, 60, 9), 60), int(rng.integers(0, 40))) for at in range(count)
    )


@given(st.integers(0, 2**32), st.integers(1, 3), st.integers(1, 3), st.integers(0, 3), st.integers(0, 9))
def test_nothing_is_lost(seed: int, bays: int, crews: int, spares: int, resupply: int) -> None:
    arrivals = random_fleet(seed)
    depot = replace(ONE, bays=bays, crews=crews, spares=spares, resupply=resupply, planned=(1, 2, 3), repair=(4, 8))
    for row in replicate(arrivals, depot, seed=seed, replications=4).measured:
        found = dict(zip(MEASURES, row.tolist(), strict=True))
        assert found["failures"] + found["planned"] <= len(arrivals)
        assert found["cost"] == pytest.approx(
            found["planned"] + 10 * found["failures"] + 0.5 * found["downtime"], rel=1e-12
        )
        # Every cycle of downtime is waited or worked, and a crew works with a bay.
        assert found["downtime"] - found["waiting"] == pytest.approx(found["crews_busy"] * crews * 30)
        assert found["crews_busy"] * crews <= found["bays_busy"] * bays + 1e-12
        assert 0 <= found["longest_wait"] <= found["waiting"] <= found["downtime"]
        assert found["bays_busy"] <= 1
        if not spares:
            assert found["crews_busy"] == 0


def test_failures_come_as_often_as_the_distribution_says() -> None:
    arrivals = (Arrival("a", life_of_samples(np.array([5, 10, 20, 40]), 50), 10),)
    done = replicate(arrivals, ONE, seed=3, replications=2000)
    mean, low, high = done.summary()["failures"]
    assert low < mean < high
    assert mean == pytest.approx(0.5, abs=5 * sqrt(0.25 / 2000))
    assert (high - low) / 2 == pytest.approx(1.98 * sqrt(0.25 / 2000), rel=0.01)


def test_the_interval_covers_as_often_as_it_says() -> None:
    arrivals = (Arrival("a", life_of_samples(np.array([5, 10, 20, 40]), 50), 10),)
    inside = 0
    for seed in range(300):
        _, low, high = replicate(arrivals, ONE, seed=seed, replications=21).summary()["failures"]
        inside += low <= 0.5 <= high
    assert 0.9 < inside / 300 < 0.99


def test_the_same_draws_serve_two_depots() -> None:
    arrivals = random_fleet(4)
    one = replicate(arrivals, ONE, seed=5, replications=30)
    two = replicate(arrivals, replace(ONE, bays=2, crews=2), seed=5, replications=30)
    at = MEASURES.index("failures")
    assert one.measured[:, at].tolist() == two.measured[:, at].tolist()
    waited = MEASURES.index("waiting")
    assert two.measured[:, waited].sum() < one.measured[:, waited].sum()


CHILD = """
from tests.simulation.test_depot import *
print(replicate(random_fleet(4), replace(ONE, planned=(1, 3)), seed=5, replications=9).measured.tobytes().hex())
"""


def test_the_same_bits_in_every_process() -> None:
    here = replicate(random_fleet(4), replace(ONE, planned=(1, 3)), seed=5, replications=9).measured.tobytes().hex()
    for environment in ({"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "1"}, {"OMP_NUM_THREADS": "2"}):
        done = subprocess.run(
            [sys.executable, "-c", CHILD], env=os.environ | environment, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == here


def test_another_seed_is_another_run() -> None:
    runs = {replicate(random_fleet(4), ONE, seed=seed, replications=9).measured.tobytes() for seed in range(5)}
    assert len(runs) == 5


@pytest.mark.parametrize(
    "wrong",
    [
        {"bays": 0}, {"crews": True}, {"spares": -1}, {"resupply": 10**6}, {"horizon": 0}, {"planned": ()},
        {"repair": (0,)}, {"planned_cost": -1.0}, {"failure_cost": float("nan")}, {"downtime_cost": float("inf")},
    ],
    ids=range(10),
)  # fmt: skip
def test_depots_that_are_none(wrong: dict[str, float]) -> None:
    with pytest.raises(Malformed, match=f"depot.{next(iter(wrong))}"):
        replace(ONE, **wrong)  # type: ignore[arg-type]


def test_tasks_that_are_none() -> None:
    a = arrival("a", 5, 5)
    for arrivals, replications, field in (
        ((), 2, "arrivals"),
        ((a, a), 2, "arrivals"),
        ((a,), 1, "replications"),
        ((a,), 10**6, "replications"),
        ((replace(a, date=-1),), 2, "asset a.date"),
    ):
        with pytest.raises(Malformed) as caught:
            replicate(arrivals, ONE, seed=1, replications=replications)
        assert caught.value.field == field
