"""Alarms on single assets' streams: small states, no training library, plain Python.

A detector learns what is normal from the first `warm_up` rows while the asset runs, then judges. Rows while it is
off (a gate signal below its limit), for `settle` rows after it starts, and rows that are not finite, are neither
learnt nor judged. Every detector's state is a short list of floats, to be kept and restored to the bit.

    Ewma     one signal: an average that strays from the mean by more than `limit` of its own deviations
    Cusum    one signal: Page's two-sided sum of what exceeds a drift
    Spread   several signals: Hotelling's T² in the learnt directions, Q (squared prediction error) outside them
    Mewma    several signals: T² of their averages, with a covariance that is given

Sources: Roberts, Technometrics 1959 (EWMA); Page, Biometrika 1954 (CUSUM); Jackson and Mudholkar, Technometrics
1979 (T², Q); Lowry, Woodall, Champ and Rigdon, Technometrics 1992 (MEWMA). `prognosis.cases` makes cases of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite, sqrt
from typing import Final, Protocol

from twinproof.errors import Malformed

SMALLEST: Final = 1e-9
"""Deviation, as a part of the mean's size, below which a signal is taken for constant and never alarms."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """Of one row."""

    score: float
    """1 is the limit; 0 while nothing is judged."""
    alarm: bool
    phase: str
    """off, settling, warming or judging."""


class Detector(Protocol):
    """One asset's. Not safe to share between threads."""

    def update(self, values: Sequence[float]) -> Judgement:
        """Goes on by a row of the detector's signals. Raises `Malformed` for another number of them."""

    def state(self) -> list[float]:
        """Everything that `restore` needs; finite floats."""

    def restore(self, state: Sequence[float]) -> None:
        """Goes on where `state` was taken. Raises `Malformed`, and changes nothing, for what is no such state."""


@dataclass(slots=True)
class Gate:
    """Whether the asset runs: the gate value is above `above`, and has been for `settle` rows."""

    above: float = -inf
    settle: int = 0
    running: int = 0

    def open(self, value: float) -> str:
        """off, settling or on, after one more row."""
        if not value > self.above:
            self.running = 0
            return "off"
        self.running = min(self.running + 1, self.settle + 1)
        return "on" if self.running > self.settle else "settling"


class _Normal:
    """Mean and deviation of the first rows (Welford, Technometrics 1962)."""

    __slots__ = ("count", "mean", "squares", "wanted")

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self.count = 0
        self.mean = 0.0
        self.squares = 0.0

    def learn(self, x: float) -> None:
        self.count += 1
        step = x - self.mean
        self.mean += step / self.count
        self.squares += step * (x - self.mean)

    @property
    def ready(self) -> bool:
        return self.count >= self.wanted

    @property
    def deviation(self) -> float:
        if not self.wanted:
            return 1.0
        found = sqrt(self.squares / (self.count - 1))
        return found if found > SMALLEST * abs(self.mean) else inf


class _Single(ABC):
    """What EWMA and CUSUM share: one signal, its normal, its gate."""

    def __init__(self, warm_up: int, gate: Gate | None) -> None:
        """Without `warm_up` the values are deviations from normal already."""
        if warm_up < 0 or warm_up == 1:
            raise Malformed("warm_up", "neither 0 nor 2 or more rows")
        self._normal = _Normal(warm_up)
        self._gate = gate or Gate()
        self._gated = gate is not None
        self._sums = [0.0, 0.0]

    def update(self, values: Sequence[float]) -> Judgement:
        """`values`: the signal, and the gate's value if there is a gate."""
        if len(values) != 1 + self._gated:
            raise Malformed("values", "not one signal" + (" and a gate" if self._gated else ""))
        x = values[0]
        phase = self._gate.open(values[-1] if self._gated else 0.0)
        if phase != "on":
            return Judgement(0.0, False, phase)
        if not self._normal.ready:
            if isfinite(x):
                self._normal.learn(x)
            return Judgement(0.0, False, "warming")
        if not isfinite(x):
            return Judgement(0.0, False, "off")
        score = self._score((x - self._normal.mean) / self._normal.deviation)
        return Judgement(score, score > 1.0, "judging")

    @abstractmethod
    def _score(self, z: float) -> float:
        """The statistic in units of its limit, after a row `z` deviations from normal."""

    def state(self) -> list[float]:
        normal = self._normal
        return [float(normal.count), normal.mean, normal.squares, float(self._gate.running), *self._sums]

    def restore(self, state: Sequence[float]) -> None:
        if len(state) != 6 or not all(map(isfinite, state)) or min(state[0], state[2], state[3]) < 0:
            raise Malformed("state", "not six finite numbers of a detector")
        if state[0] != int(state[0]) or state[3] != int(state[3]):
            raise Malformed("state", "its counts are not whole")
        self._normal.count, self._normal.mean, self._normal.squares = int(state[0]), state[1], state[2]
        self._gate.running = int(state[3])
        self._sums = list(state[4:])


class Ewma(_Single):
    """`weight` of the newest value; `limit` in deviations of the average, whose variance is weight / (2 - weight).

    `doubt` is the variance of the mean that the values are taken from: it counts as well.
    """

    def __init__(
        self,
        *,
        weight: float = 0.1,
        limit: float = 4.0,
        warm_up: int = 100,
        gate: Gate | None = None,
        doubt: float = 0.0,
    ) -> None:
        super().__init__(warm_up, gate)
        if not 0 < weight <= 1 or not 0 < limit < inf or not 0 <= doubt < inf:
            raise Malformed("weight", "not in 0..1, or no limit")
        self._weight = weight
        self._bound = limit * sqrt(weight / (2.0 - weight) + doubt)

    @property
    def part(self) -> float:
        """The score with the sign of what strayed."""
        return self._sums[0] / self._bound

    def _score(self, z: float) -> float:
        self._sums[0] += self._weight * (z - self._sums[0])
        return abs(self._sums[0]) / self._bound


class Cusum(_Single):
    """`drift` and `limit` in deviations of the signal.

    A sum begins anew after its alarm; without `anew` it goes on, up to twice the limit, so that it can come back.
    """

    def __init__(
        self,
        *,
        drift: float = 0.5,
        limit: float = 8.0,
        warm_up: int = 100,
        gate: Gate | None = None,
        anew: bool = True,
    ) -> None:
        super().__init__(warm_up, gate)
        if not 0 <= drift < inf or not 0 < limit < inf:
            raise Malformed("drift", "negative, or no limit")
        self._drift = drift
        self._limit = limit
        self._anew = anew

    @property
    def part(self) -> float:
        """The score with the sign of what strayed."""
        up, down = self._sums
        return (up if up >= down else -down) / self._limit

    def _score(self, z: float) -> float:
        up = max(self._sums[0] + z - self._drift, 0.0)
        down = max(self._sums[1] - z - self._drift, 0.0)
        score = max(up, down) / self._limit
        if not self._anew:
            self._sums = [min(up, 2.0 * self._limit), min(down, 2.0 * self._limit)]
            return score
        self._sums = [0.0, 0.0] if score > 1.0 else [up, down]
        return score


@dataclass(frozen=True, slots=True)
class Directions:
    """What several signals do together when all is well; from `directions.learn_directions` or elsewhere."""

    mean: tuple[float, ...]
    gain: tuple[float, ...]
    """1 / deviation; 0 for a signal that is left out."""
    axes: tuple[tuple[float, ...], ...]
    """Orthonormal, of scaled signals."""
    variances: tuple[float, ...]
    """Along the axes."""
    t2: float
    q: float
    """The limits."""


class _Several(ABC):
    """What Spread and Mewma share: scaled signals, averages of the newest rows, a gate."""

    def __init__(self, mean: Sequence[float], gain: Sequence[float], weight: float, gate: Gate | None) -> None:
        if not 0 < weight <= 1:
            raise Malformed("weight", "not in 0..1")
        self._mean = tuple(mean)
        self._gain = tuple(gain)
        self._weight = weight
        self._gate = gate or Gate()
        self._gated = gate is not None
        self._average = [0.0] * len(self._mean)

    @property
    def average(self) -> Sequence[float]:
        """Of the scaled signals."""
        return self._average

    def update(self, values: Sequence[float]) -> Judgement:
        """`values`: the signals in their order, and the gate's value if there is a gate."""
        size = len(self._mean)
        if len(values) != size + self._gated:
            raise Malformed("values", f"not {size} signals" + (" and a gate" if self._gated else ""))
        phase = self._gate.open(values[-1] if self._gated else 0.0)
        if phase != "on":
            return Judgement(0.0, False, phase)
        signals = values[:size]
        if not all(map(isfinite, signals)):
            return Judgement(0.0, False, "off")
        for at, (x, mean, gain) in enumerate(zip(signals, self._mean, self._gain, strict=True)):
            self._average[at] += self._weight * ((x - mean) * gain - self._average[at])
        score = self._score()
        return Judgement(score, score > 1.0, "judging")

    @abstractmethod
    def _score(self) -> float:
        """The statistic of the averages in units of its limit."""

    @abstractmethod
    def parts(self) -> list[float]:
        """Each signal's part of the score, with the sign of its average; parts below 0 count as 0."""

    def _signed(self, shares: Sequence[float]) -> list[float]:
        return [max(share, 0.0) * (-1.0 if x < 0 else 1.0) for share, x in zip(shares, self._average, strict=True)]

    def state(self) -> list[float]:
        return [float(self._gate.running), *self._average]

    def restore(self, state: Sequence[float]) -> None:
        if len(state) != 1 + len(self._average) or not all(map(isfinite, state)):
            raise Malformed("state", f"not {1 + len(self._average)} finite numbers")
        if state[0] < 0 or state[0] != int(state[0]):
            raise Malformed("state", "its count is not whole")
        self._gate.running = int(state[0])
        self._average = list(state[1:])


class Spread(_Several):
    """T² and Q of an average of the newest rows (`weight`), the larger of the two in parts of its limit.

    The directions come from the fleet's or the asset's healthy rows; so there is no warm-up but the gate's.
    """

    def __init__(self, directions: Directions, *, weight: float = 0.3, gate: Gate | None = None) -> None:
        size = len(directions.mean)
        if len(directions.gain) != size or any(len(axis) != size for axis in directions.axes):
            raise Malformed("directions", "of different sizes")
        if len(directions.axes) != len(directions.variances) or not all(x > 0 for x in directions.variances):
            raise Malformed("directions.variances", "not one positive number per axis")
        if not directions.t2 > 0 or not directions.q > 0:
            raise Malformed("directions.t2", "no limits")
        super().__init__(directions.mean, directions.gain, weight, gate)
        self._directions = directions

    def _along(self) -> list[float]:
        found = []
        for axis in self._directions.axes:
            along = 0.0
            for x, part in zip(self._average, axis, strict=True):
                along += x * part
            found.append(along)
        return found

    def _score(self) -> float:
        return max(self._both(self._along()))

    def _both(self, along: Sequence[float]) -> tuple[float, float]:
        known = self._directions
        total = t2 = 0.0
        for x in self._average:
            total += x * x
        for x, variance in zip(along, known.variances, strict=True):
            t2 += x * x / variance
            total -= x * x
        return t2 / known.t2, max(total, 0.0) / known.q

    def parts(self) -> list[float]:
        """Of T² or Q, whichever scores: contributions that add up to it (Miller et al., AMCS 1998)."""
        known, along = self._directions, self._along()
        t2, q = self._both(along)
        found = []
        for at, x in enumerate(self._average):
            if t2 >= q:
                terms = (a * axis[at] / v for a, axis, v in zip(along, known.axes, known.variances, strict=True))
                found.append(x * sum(terms) / known.t2)
            else:
                rest = x - sum(a * axis[at] for a, axis in zip(along, known.axes, strict=True))
                found.append(rest * rest / known.q)
        return self._signed(found)


class Mewma(_Several):
    """T² of averages (`weight` of the newest row), with the inverse of the scaled signals' covariance.

    The averages' covariance is the signals' times weight / (2 - weight), and `doubt` as in `Ewma`. `limit` is of T²:
    8.66 for two signals and weight 0.1 gives a false alarm in 200 rows (Lowry et al., table 1).
    """

    def __init__(
        self,
        mean: Sequence[float],
        gain: Sequence[float],
        inverse: Sequence[Sequence[float]],
        *,
        limit: float,
        weight: float = 0.1,
        gate: Gate | None = None,
        doubt: float = 0.0,
    ) -> None:
        size = len(mean)
        if len(gain) != size or len(inverse) != size or any(len(row) != size for row in inverse):
            raise Malformed("inverse", "not a square of the signals' number")
        if not 0 < limit < inf or not 0 <= doubt < inf:
            raise Malformed("limit", "not positive")
        super().__init__(mean, gain, weight, gate)
        self._inverse = tuple(map(tuple, inverse))
        self._bound = limit * (weight / (2.0 - weight) + doubt)

    def _shares(self) -> list[float]:
        found = []
        for x, row in zip(self._average, self._inverse, strict=True):
            pulled = 0.0
            for other, part in zip(self._average, row, strict=True):
                pulled += other * part
            found.append(x * pulled / self._bound)
        return found

    def _score(self) -> float:
        score = 0.0
        for share in self._shares():
            score += share
        return score

    def parts(self) -> list[float]:
        return self._signed(self._shares())
