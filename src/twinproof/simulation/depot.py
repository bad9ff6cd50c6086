"""A depot with crews, bays and spares as a discrete-event simulation (SimPy, extra `sim`).

Assets run, come in for planned maintenance at their date, or fail before it, and queue for a bay and a crew, and for
a spare where one is needed. Time is in whole cycles. What is random is drawn before a replication starts: each
asset's remaining life from its distribution, the lengths of work from a list of equally likely ones, so replication
r of a seed is the same in every process; the same draws serve two depots that are to be compared.

Queues are first come, first served; of those that come in the same cycle, failures first, then by the assets' order.
A bay is taken first, then a spare, then a crew; all three are held until the work is done, the spare is used up.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import simpy

from twinproof.errors import Malformed
from twinproof.prognosis.data import Array, Integers
from twinproof.prognosis.decision import Life, draw_lives, uniforms

MAX_ASSETS: Final = 5_000
MAX_REPLICATIONS: Final = 10_000
MAX_EVENTS: Final = 20_000_000
"""Assets times replications."""
MAX_LENGTH: Final = 100_000
MAX_PLACES: Final = 10_000
STUDENT: Final = {
    1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262, 10: 2.228, 12: 2.179,
    15: 2.131, 20: 2.086, 25: 2.060, 30: 2.042, 40: 2.021, 60: 2.000, 120: 1.980,
}  # fmt: skip
"""Student's t, two-sided 95 %, by degrees of freedom; between two of them the lower one's."""


@dataclass(frozen=True, slots=True, eq=False)
class Arrival:
    """An asset and the cycle from now in which it is to come in, if it lives to it."""

    name: str
    remaining: Life
    date: int


@dataclass(frozen=True, slots=True)
class Depot:
    """What is there, how long work takes, what it costs. Checked when it is made; raises `Malformed`."""

    bays: int
    crews: int
    spares: int
    """In stock now."""
    resupply: int
    """Cycles from using a spare up to the next one's delivery; each used spare is ordered again at once."""
    planned: tuple[int, ...]
    """Lengths of planned maintenance, cycles, equally likely."""
    repair: tuple[int, ...]
    """The same of repairs after a failure."""
    horizon: int
    """Cycles that are simulated; work that waits or runs at the end counts up to there."""
    planned_cost: float
    failure_cost: float
    downtime_cost: float
    """Per cycle that an asset waits or is worked on."""

    def __post_init__(self) -> None:
        for name, low, high in (
            ("bays", 1, MAX_PLACES), ("crews", 1, MAX_PLACES), ("spares", 0, MAX_PLACES), ("resupply", 0, MAX_LENGTH),
            ("horizon", 1, MAX_LENGTH),
        ):  # fmt: skip
            value = getattr(self, name)
            if type(value) is not int or not low <= value <= high:
                raise Malformed(f"depot.{name}", f"not a whole number in {low}..{high}")
        for name in ("planned", "repair"):
            lengths = getattr(self, name)
            if not lengths or not all(type(x) is int and 0 < x <= MAX_LENGTH for x in lengths):
                raise Malformed(f"depot.{name}", f"not one length or more in 1..{MAX_LENGTH}")
        for name in ("planned_cost", "failure_cost", "downtime_cost"):
            value = getattr(self, name)
            if type(value) is not float or not 0.0 <= value <= 1e12:
                raise Malformed(f"depot.{name}", "not a float in 0..1e12")


MEASURES: Final = ("cost", "failures", "planned", "downtime", "waiting", "longest_wait", "bays_busy", "crews_busy")
"""Per replication: money; assets that failed, and that came in time; cycles (three); shares of the horizon (two)."""


@dataclass(frozen=True, slots=True, eq=False)
class Replications:
    """What came out."""

    measured: Array
    """(replications, MEASURES)."""

    def summary(self) -> dict[str, tuple[float, float, float]]:
        """Per measure its mean, and a 95 % confidence interval of the mean (Student's t)."""
        count = len(self.measured)
        factor = STUDENT[max(degrees for degrees in STUDENT if degrees <= count - 1)]
        found = {}
        for name, values in zip(MEASURES, self.measured.T, strict=True):
            mean = _sum(values) / count
            spread = (_sum((values - mean) * (values - mean)) / (count - 1)) ** 0.5
            half = factor * spread / count**0.5
            found[name] = (mean, mean - half, mean + half)
        return found


def _sum(values: Array) -> float:
    return float(np.add.accumulate(values)[-1])


def replicate(
    arrivals: tuple[Arrival, ...],
    depot: Depot,
    *,
    seed: int,
    replications: int,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Replications:
    """Runs the depot so many times. Raises `Malformed` for a date that is none, or too large a task."""
    if not 0 < len(arrivals) <= MAX_ASSETS or len({each.name for each in arrivals}) != len(arrivals):
        raise Malformed("arrivals", f"not 1 to {MAX_ASSETS} assets, each once")
    if not 1 < replications <= MAX_REPLICATIONS or replications * len(arrivals) > MAX_EVENTS:
        raise Malformed("replications", f"not in 2..{MAX_REPLICATIONS}, or over {MAX_EVENTS} lives in all")
    for each in arrivals:
        if type(each.date) is not int or not 0 <= each.date <= MAX_LENGTH:
            raise Malformed(f"asset {each.name}.date", f"not in 0..{MAX_LENGTH}")
    uniform = uniforms(seed, 2 * replications * len(arrivals)).reshape(replications, 2, len(arrivals))
    measured = np.empty((replications, len(MEASURES)))
    for number in range(replications):
        lives = np.array(
            [int(draw_lives(a.remaining, uniform[number, 0, at : at + 1])[0]) for at, a in enumerate(arrivals)]
        )
        measured[number] = _Run(arrivals, depot, lives, uniform[number, 1]).measure()
        report(number + 1, replications)
    return Replications(measured)


class _Run:
    """One replication."""

    def __init__(self, arrivals: tuple[Arrival, ...], depot: Depot, lives: Integers, work: Array) -> None:
        self.depot = depot
        self.env = simpy.Environment()
        self.bays = simpy.Resource(self.env, depot.bays)
        self.crews = simpy.Resource(self.env, depot.crews)
        # Room for every spare that is ordered, at most one per asset.
        self.stock = simpy.Container(self.env, depot.spares + len(arrivals), depot.spares)
        self.failures = self.maintained = 0
        self.queue: dict[int, int] = {}
        """Since when each asset waits that has no crew yet."""
        self.downtime = self.waiting = self.longest = self.bay_time = self.crew_time = 0
        come = []
        for at, (each, life) in enumerate(zip(arrivals, lives.tolist(), strict=True)):
            failed = life <= each.date
            lengths = depot.repair if failed else depot.planned
            length = lengths[int(work[at] * len(lengths))]
            come.append((life if failed else each.date, not failed, at, length))
        # Processes that start in the same cycle start in this order: failures first, then by the assets' order.
        for when, planned, at, length in sorted(come):
            self.env.process(self._asset(at, when, planned, length))

    def measure(self) -> list[float]:
        depot = self.depot
        self.env.run(until=depot.horizon)
        for since in self.queue.values():
            self.longest = max(self.longest, depot.horizon - since)
        cost = depot.planned_cost * self.maintained + depot.failure_cost * self.failures
        return [
            cost + depot.downtime_cost * self.downtime,
            self.failures,
            self.maintained,
            self.downtime,
            self.waiting,
            self.longest,
            self.bay_time / (depot.bays * depot.horizon),
            self.crew_time / (depot.crews * depot.horizon),
        ]

    def _asset(self, at: int, when: int, planned: bool, length: int) -> Generator[simpy.Event, Any, None]:
        if when >= self.depot.horizon:
            return
        yield self.env.timeout(when)
        if planned:
            self.maintained += 1
        else:
            self.failures += 1
        # Counted up to the end now, and taken back where it ends earlier: what waits at the end is not lost.
        left = self.depot.horizon - when
        self.queue[at] = when
        self.downtime += left
        self.waiting += left
        with self.bays.request() as bay:
            yield bay
            taken = self._now()
            self.bay_time += self.depot.horizon - taken
            yield self.stock.get(1)
            self.env.process(self._resupply())
            with self.crews.request() as crew:
                yield crew
                begun = self._now()
                del self.queue[at]
                self.waiting -= self.depot.horizon - begun
                self.longest = max(self.longest, begun - when)
                self.crew_time += self.depot.horizon - begun
                yield self.env.timeout(length)
                saved = self.depot.horizon - self._now()
                self.crew_time -= saved
                self.bay_time -= saved
                self.downtime -= saved

    def _resupply(self) -> Generator[simpy.Event, Any, None]:
        yield self.env.timeout(self.depot.resupply)
        yield self.stock.put(1)

    def _now(self) -> int:
        return int(self.env.now)
