"""Alarms on single assets' streams: small states, no training library, plain Python.

A detector learns what is normal from the first `warm_up` rows while the asset runs, then judges. Rows while it is
off (a gate signal below its limit), for `settle` rows after it starts, and rows that are not finite, are neither
learnt nor judged. Every detector's state is a short list of floats, to be kept and restored to the bit.

    Ewma     one signal: an average that strays from the mean by more than `limit` of its own deviations
    Cusum    one signal: Page's two-sided sum of what exceeds a drift
    Spread   several signals: Hotelling's T² in the learnt directions, Q (squared prediction error) outside them

Sources: Roberts, Technometrics 1959 (EWMA); Page, Biometrika 1954 (CUSUM); Jackson and Mudholkar, Technometrics
1979 (T², Q).
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
        found = sqrt(self.squares / (self.count - 1))
        return found if found > SMALLEST * abs(self.mean) else inf


class _Single(ABC):
    """What EWMA and CUSUM share: one signal, its normal, its gate."""

    def __init__(self, warm_up: int, gate: Gate | None) -> None:
        if warm_up < 2:
            raise Malformed("warm_up", "not 2 or more rows")
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
    """`weight` of the newest value; `limit` in deviations of the average, whose variance is weight / (2 - weight)."""

    def __init__(
        self, *, weight: float = 0.1, limit: float = 4.0, warm_up: int = 100, gate: Gate | None = None
    ) -> None:
        super().__init__(warm_up, gate)
        if not 0 < weight <= 1 or not 0 < limit < inf:
            raise Malformed("weight", "not in 0..1, or no limit")
        self._weight = weight
        self._bound = limit * sqrt(weight / (2.0 - weight))

    def _score(self, z: float) -> float:
        self._sums[0] += self._weight * (z - self._sums[0])
        return abs(self._sums[0]) / self._bound


class Cusum(_Single):
    """`drift` and `limit` in deviations of the signal; a sum begins anew after its alarm."""

    def __init__(self, *, drift: float = 0.5, limit: float = 8.0, warm_up: int = 100, gate: Gate | None = None) -> None:
        super().__init__(warm_up, gate)
        if not 0 <= drift < inf or not 0 < limit < inf:
            raise Malformed("drift", "negative, or no limit")
        self._drift = drift
        self._limit = limit

    def _score(self, z: float) -> float:
        up = max(self._sums[0] + z - self._drift, 0.0)
        down = max(self._sums[1] - z - self._drift, 0.0)
        score = max(up, down) / self._limit
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


class Spread:
    """T² and Q of an average of the newest rows (`weight`), the larger of the two in parts of its limit.

    The directions come from the fleet's or the asset's healthy rows; so there is no warm-up but the gate's.
    """

    def __init__(self, directions: Directions, *, weight: float = 0.3, gate: Gate | None = None) -> None:
        size = len(directions.mean)
        if len(directions.gain) != size or any(len(axis) != size for axis in directions.axes):
            raise Malformed("directions", "of different sizes")
        if len(directions.axes) != len(directions.variances) or not all(x > 0 for x in directions.variances):
            raise Malformed("directions.variances", "not one positive number per axis")
        if not 0 < weight <= 1 or not directions.t2 > 0 or not directions.q > 0:
            raise Malformed("weight", "not in 0..1, or no limits")
        self._directions = directions
        self._weight = weight
        self._gate = gate or Gate()
        self._gated = gate is not None
        self._average = [0.0] * size

    def update(self, values: Sequence[float]) -> Judgement:
        """`values`: the signals in the directions' order, and the gate's value if there is a gate."""
        known = self._directions
        if len(values) != len(known.mean) + self._gated:
            raise Malformed("values", f"not {len(known.mean)} signals" + (" and a gate" if self._gated else ""))
        phase = self._gate.open(values[-1] if self._gated else 0.0)
        if phase != "on":
            return Judgement(0.0, False, phase)
        signals = values[: len(known.mean)]
        if not all(map(isfinite, signals)):
            return Judgement(0.0, False, "off")
        total = 0.0
        for at, (x, mean, gain) in enumerate(zip(signals, known.mean, known.gain, strict=True)):
            self._average[at] += self._weight * ((x - mean) * gain - self._average[at])
            total += self._average[at] * self._average[at]
        t2 = 0.0
        for axis, variance in zip(known.axes, known.variances, strict=True):
            along = 0.0
            for x, part in zip(self._average, axis, strict=True):
                along += x * part
            t2 += along * along / variance
            total -= along * along
        score = max(t2 / known.t2, max(total, 0.0) / known.q)
        return Judgement(score, score > 1.0, "judging")

    def state(self) -> list[float]:
        return [float(self._gate.running), *self._average]

    def restore(self, state: Sequence[float]) -> None:
        if len(state) != 1 + len(self._average) or not all(map(isfinite, state)):
            raise Malformed("state", f"not {1 + len(self._average)} finite numbers")
        if state[0] < 0 or state[0] != int(state[0]):
            raise Malformed("state", "its count is not whole")
        self._gate.running = int(state[0])
        self._average = list(state[1:])
