"""When to maintain: from what is known of the remaining life to the cheapest date, with its whole cost curve.

Time runs in whole cycles from now. A unit whose remaining life is R fails in its R-th cycle from now; maintenance
after d cycles is in time if d < R. It renews the unit. What one renewal costs and how long it lasted (W. Feller's
renewal theorem; R. Barlow and L. Hunter, Optimum Preventive Maintenance Policies, Operations Research 8, 1960):

    cost(d) = planned · P(R > d) + failure · P(R ≤ d)         time(d) = age + Σ P(R > k) for k = 0 .. d - 1

`Curve.rate` is cost / time: money per cycle if every renewal were such a one. Two aims choose the date:

- without a price of time, the lowest rate;
- with one (`price`: what a cycle of running is worth, best the fleet's cost per cycle so far), the lowest
  cost(d) - price · time(d). It is the one to compare assets by, since it is money.

With either, a dearer failure never puts the date off.

Sums are taken in order, element by element, from float64 numbers, so they have the same bits everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Final

import numpy as np

from twinproof.errors import Malformed
from twinproof.prognosis.data import Array, Integers
from twinproof.prognosis.model import Intervals

MAX_HORIZON: Final = 100_000
MAX_COST: Final = 1e12
MAX_DRAWS: Final = 10_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Life:
    """What is known of one unit's remaining life R, of which R ≥ 1: it runs. Make it with a function below."""

    failed: Array
    """(horizon + 1,): P(R ≤ k); begins with 0, never falls, at most 1. What it lacks to 1 lies beyond the horizon."""

    @property
    def horizon(self) -> int:
        return len(self.failed) - 1


def life(failed: Array) -> Life:
    """From P(R ≤ k) for k = 0 .. horizon. Raises `Malformed`."""
    table = np.array(failed, dtype=np.float64)
    if table.ndim != 1 or not 2 <= len(table) <= MAX_HORIZON + 1:
        raise Malformed("life", f"not a list of 2 to {MAX_HORIZON + 1} probabilities")
    # Written so that NaN does not pass.
    if table[0] != 0.0 or not (table[1:] >= table[:-1]).all() or not table[-1] <= 1.0:
        raise Malformed("life", "not probabilities that begin with 0 and never fall")
    return Life(table)


def life_of_samples(remaining: Integers, horizon: int) -> Life:
    """The empirical distribution of lives that were seen, (n,), each of at least 1 cycle. Raises `Malformed`."""
    values = np.asarray(remaining)
    if values.ndim != 1 or not len(values) or values.dtype.kind not in "iu" or int(values.min()) < 1:
        raise Malformed("remaining", "not one whole number of cycles or more, each at least 1")
    if not 1 <= horizon <= MAX_HORIZON:
        raise Malformed("horizon", f"not in 1..{MAX_HORIZON}")
    counts = np.bincount(np.minimum(values, horizon + 1).astype(np.int64), minlength=horizon + 2)[: horizon + 1]
    return life(np.add.accumulate(counts) / len(values))


def life_of_forecast(point: float, intervals: Intervals, cap: float, widen: float = 1.0) -> Life:
    """What a model's conformal residuals say around its point, in the bin that the point falls into.

    Between two levels of the table the probability is spread evenly; below the lowest level, between now and there:
    the share that the unit to come may fail earlier than any seen. What reaches the cap lies beyond the horizon, as
    what is above the highest level does: the model does not tell such lives apart. `widen` stretches the residuals,
    as `quality` demands. Raises `Malformed` for a point outside 0..cap (NaN: the forecast was refused).
    """
    if not 0.0 <= point <= cap:
        raise Malformed("forecast.point", f"not in 0..{cap:g}: there is nothing to decide from")
    row = intervals.residuals[sum(edge <= point for edge in intervals.edges)]
    ends: dict[float, float] = {}
    for level, residual in zip(intervals.levels, row, strict=True):
        ends[point + residual * widen] = level / 1000  # of equal residuals, the highest level counts
    if min(ends) > 0.0:
        ends = {0.0: 0.0, **ends}
    horizon = int(cap)
    table = _between(np.arange(horizon + 1, dtype=np.float64), np.asarray(list(ends)), np.asarray(list(ends.values())))
    # It runs: what would have ended it by now did not happen.
    gone = table[0]
    if gone >= 1.0:
        raise Malformed("forecast", "the unit should have failed for certain")
    table = (table - gone) / (1.0 - gone)
    return life(np.minimum(np.maximum.accumulate(table), 1.0))


def _between(where: Array, at: Array, reached: Array) -> Array:
    """Linear between the places `at`; `reached[-1]` after the last. With + - × ÷ alone, in a stated order."""
    left = np.searchsorted(at, where, side="right") - 1
    right = np.minimum(left + 1, len(at) - 1)
    width = at[right] - at[left]
    share = np.where(width > 0.0, (where - at[left]) / np.where(width > 0.0, width, 1.0), 0.0)
    found: Array = reached[left] + share * (reached[right] - reached[left])
    return found


@dataclass(frozen=True, slots=True)
class Terms:
    """What is assumed of money and time. They are part of every result."""

    planned: float
    """Cost of maintenance in time."""
    failure: float
    """Cost of a failure with all that follows; not less than `planned`."""
    lead: int
    """Cycles from a decision to the earliest maintenance."""
    price: float | None = None
    """What a cycle of running is worth; None: the lowest cost per cycle is sought."""

    def __post_init__(self) -> None:
        for name in ("planned", "failure", "price"):
            value = getattr(self, name)
            if name == "price" and value is None:
                continue
            if type(value) not in (int, float) or not isfinite(value) or not 0 < value <= MAX_COST:
                raise Malformed(f"terms.{name}", f"not a positive number up to {MAX_COST:g}")
        if self.failure < self.planned:
            raise Malformed("terms.failure", "less than planned maintenance costs: then nothing is to be decided")
        if type(self.lead) is not int or not 0 <= self.lead <= MAX_HORIZON:
            raise Malformed("terms.lead", f"not a whole number in 0..{MAX_HORIZON}")


ASSUMED: Final = (
    "maintenance and the repair of a failure make the unit as good as new",
    "a failure stops the unit at once and is noticed at once",
    "wear goes on as in the units that the distribution comes from",
    "costs are known and do not depend on the date",
)


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """One number per date; all (dates,)."""

    dates: Integers
    """Cycles from now: from the lead time to the horizon."""
    cost: Array
    """Expected cost of this renewal."""
    time: Array
    """Expected cycles of this renewal, those run so far included."""
    rate: Array
    """cost / time."""
    risk: Array
    """P(failure before maintenance at this date)."""


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """The best date, and everything that led to it."""

    date: int
    """Cycles from now; the earliest of equally good ones."""
    rate: float
    """Expected cost per cycle, of maintaining then."""
    risk: float
    curve: Curve
    terms: Terms
    age: int
    assumed: tuple[str, ...] = ASSUMED

    @property
    def due(self) -> bool:
        """Whether it has to be ordered now: waiting one more cycle would miss the date."""
        return self.date <= self.terms.lead

    @property
    def open(self) -> bool:
        """Whether the date is the horizon: 'then or later'; nothing is to be decided yet."""
        return self.date == int(self.curve.dates[-1]) and not self.due


def decide(remaining: Life, terms: Terms, age: int) -> Decision:
    """By an exact sum over the distribution. `age` is what has been run since the last renewal.

    Raises `Malformed` if the lead time reaches beyond the horizon.
    """
    return _choose(_curve(remaining.failed, terms, age), terms, age)


def risk_at(remaining: Life, date: int) -> float:
    """P(the unit fails before maintenance after `date` cycles). Raises `Malformed` beyond the horizon."""
    if type(date) is not int or not 0 <= date <= remaining.horizon:
        raise Malformed("date", f"not a whole number in 0..{remaining.horizon}")
    return float(remaining.failed[date])


def simulate(remaining: Life, terms: Terms, age: int, *, seed: int, draws: int) -> tuple[Decision, Array]:
    """The same by Monte Carlo: the decision, and the standard error of `Curve.cost` at each date.

    The draws are PCG64's raw 64-bit numbers (a documented stream), 53 bits each, through the inverse of the
    distribution: neither numpy's version nor the machine changes them.
    """
    if type(draws) is not int or not 1 < draws <= MAX_DRAWS:
        raise Malformed("draws", f"not a whole number in 2..{MAX_DRAWS}")
    lives = draw_lives(remaining, uniforms(seed, draws))
    seen = np.bincount(lives, minlength=remaining.horizon + 2)[: remaining.horizon + 1]
    curve = _curve(np.add.accumulate(seen) / draws, terms, age)
    spread = terms.failure - terms.planned
    return _choose(curve, terms, age), spread * np.sqrt(curve.risk * (1.0 - curve.risk) / (draws - 1))


def uniforms(seed: int, count: int) -> Array:
    """(count,) numbers in [0, 1) from a seed."""
    if type(seed) is not int or not 0 <= seed < 2**64:
        raise Malformed("seed", "not a whole number of 64 bits")
    raw = np.random.PCG64(seed).random_raw(count)
    return (raw >> np.uint64(11)).astype(np.float64) * 2.0**-53


def draw_lives(remaining: Life, uniform: Array) -> Integers:
    """Remaining lives at these quantiles; horizon + 1 stands for all beyond the horizon."""
    drawn: Integers = np.searchsorted(remaining.failed, uniform, side="right").astype(np.int64)
    return drawn


def _curve(failed: Array, terms: Terms, age: int) -> Curve:
    if type(age) is not int or not 0 <= age <= 2**53:
        raise Malformed("age", "not a whole number of cycles")
    horizon = len(failed) - 1
    if terms.lead > horizon:
        raise Malformed("terms.lead", f"beyond the forecast's horizon of {horizon}")
    dates = np.arange(terms.lead, horizon + 1, dtype=np.int64)
    alive = 1.0 - failed
    run = np.concatenate((np.zeros(1), np.add.accumulate(alive[:-1])))
    risk = failed[terms.lead :]
    cost = terms.planned * (1.0 - risk) + terms.failure * risk
    time = age + run[terms.lead :]
    # Maintaining a new unit at once again costs without end.
    rate = np.where(time > 0.0, cost / np.where(time > 0.0, time, 1.0), np.inf)
    return Curve(dates, cost, time, rate, risk)


def _choose(curve: Curve, terms: Terms, age: int) -> Decision:
    aim = curve.rate if terms.price is None else curve.cost - terms.price * curve.time
    at = int(np.argmin(aim))
    return Decision(int(curve.dates[at]), float(curve.rate[at]), float(curve.risk[at]), curve, terms, age)
