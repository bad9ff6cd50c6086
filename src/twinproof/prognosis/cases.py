"""From rows to cases: one monitor on one asset, a row at a time.

    watch = Watch(monitor)
    verdict = watch.take(row)          # score, phase
    watch.decide(verdict, ...)         # raise, clear or nothing
    evidence = watch.evidence()        # what strayed, most first

Each row: does the asset run (gate, settling)? which regime? are the sensors believable? then deviations from the
asset's own first rows, and the detector. A value counts for at most `CLIP` deviations, so no single one raises an
alarm. All of a watch's state is a list of floats. No numpy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite, sqrt
from typing import Final, NamedTuple

from twinproof.errors import Malformed
from twinproof.prognosis.detectors import SMALLEST, Cusum, Ewma, Gate, Mewma, Spread
from twinproof.prognosis.monitor import LARGEST, Mode, Monitor
from twinproof.prognosis.record import Row
from twinproof.twin.alarm import MAX_HINTS, MAX_STRAYS

CLIP: Final = 8.0
"""Deviations that a value counts for at most."""
HELD: Final = 10
"""Rows over which a signal that says nothing keeps the average that it had; from then on it counts as normal."""
SLIGHT: Final = 0.05
"""Of the largest part: what is less is not named."""
LIKE: Final = 0.4
"""From which likeness on a mode of failure is named."""


class Verdict(NamedTuple):
    """On one row."""

    phase: str
    """off, settling, unknown (regime), warming or judging."""
    score: float
    """1 is the detector's limit; 0 while nothing is judged."""


class Change(NamedTuple):
    """What a row did to the alarm."""

    raised: bool
    since: float
    """Time of the first row of those that decided."""


class _Sensor:
    """One signal: its normal (Welford, Technometrics 1962), and whether it is believable."""

    __slots__ = ("count", "last", "mean", "missed", "same", "squares")

    def __init__(self) -> None:
        self.count = self.same = self.missed = 0
        self.mean = self.squares = self.last = 0.0

    def hear(self, x: float, stuck: int) -> bool:
        """Whether a value is one to believe."""
        if not -LARGEST <= x <= LARGEST:
            self.missed += 1
            return False
        self.same = self.same + 1 if self.same and x == self.last else 1
        self.last = x
        if stuck and self.same >= stuck and self.squares > 0.0:
            self.missed += 1
            return False
        self.missed = 0
        return True

    def learn(self, z: float) -> None:
        self.count += 1
        step = z - self.mean
        self.mean += step / self.count
        self.squares += step * (z - self.mean)

    def scale(self, own: bool) -> float:
        """1 / deviation: the asset's own, or 1 if the fleet's is in the values already; 0 for what says nothing."""
        if self.count < 2:
            return 0.0
        if not own:
            return 1.0
        deviation = sqrt(self.squares / (self.count - 1))
        return 1.0 / deviation if deviation > SMALLEST * abs(self.mean) else 0.0

    def state(self) -> list[float]:
        return [float(self.count), self.mean, self.squares, self.last, float(self.same), float(self.missed)]

    def restore(self, state: Sequence[float]) -> None:
        self.count, self.same, self.missed = int(state[0]), int(state[4]), int(state[5])
        self.mean, self.squares, self.last = state[1:4]


class Watch:
    """One monitor on one asset. Not safe to share between threads."""

    def __init__(self, monitor: Monitor) -> None:
        self.monitor = monitor
        self.active = False
        """Whether the alarm stands, as far as this watch decided or was told."""
        self.missing: dict[str, int] = {}
        """Rows in which a signal could not be believed, since this object was made."""
        self._gate = Gate(monitor.above if monitor.gate else float("-inf"), monitor.settle if monitor.gate else 0)
        self._gate_at = monitor.wanted.index(monitor.gate) if monitor.gate else None
        self._sensors = [_Sensor() for _ in monitor.signals]
        self._scales: list[float] | None = None
        self._warm = 0
        self._over = self._under = 0
        self._since = 0.0
        doubt = 1.0 / monitor.warm_up
        size = len(monitor.signals)
        self._singles: list[Ewma | Cusum] = []
        self._several: Mewma | Spread | None = None
        if monitor.detector == "ewma":
            self._singles = [
                Ewma(weight=monitor.weight, limit=monitor.limit, warm_up=0, doubt=doubt) for _ in range(size)
            ]
        elif monitor.detector == "cusum":
            self._singles = [
                Cusum(drift=monitor.drift, limit=monitor.limit, warm_up=0, anew=False) for _ in range(size)
            ]
        elif monitor.directions is not None:
            self._several = Spread(monitor.directions, weight=monitor.weight)
        else:
            inverse = monitor.inverse or [[float(a == b) for a in range(size)] for b in range(size)]
            self._several = Mewma(
                (0.0,) * size, (1.0,) * size, inverse, limit=monitor.limit, weight=monitor.weight, doubt=doubt
            )

    def take(self, row: Row) -> Verdict:
        """Go on by a row whose signals are `monitor.wanted`; raises `Malformed` for another number of them."""
        monitor = self.monitor
        if len(row.signals) != len(monitor.wanted) or len(row.settings) != len(monitor.settings):
            raise Malformed("row", f"not {len(monitor.wanted)} signals and {len(monitor.settings)} settings")
        phase = self._gate.open(row.signals[self._gate_at] if self._gate_at is not None else 0.0)
        if phase != "on":
            return Verdict(phase, 0.0)
        cell = self._cell(row.settings)
        if cell is None:
            return Verdict("unknown", 0.0)
        mean, gain = cell
        believed: list[float | None] = []
        for at, sensor in enumerate(self._sensors):
            x = row.signals[at]
            if sensor.hear(x, monitor.stuck):
                believed.append((x - mean[at]) * gain[at] if mean else x)
            else:
                name = monitor.signals[at]
                self.missing[name] = self.missing.get(name, 0) + 1
                believed.append(None)
        if self._warm < monitor.warm_up:
            self._warm += 1
            for sensor, z in zip(self._sensors, believed, strict=True):
                if z is not None:
                    sensor.learn(z)
            return Verdict("warming", 0.0)
        return Verdict("judging", self._judge(believed))

    def _cell(self, settings: Sequence[float]) -> tuple[Sequence[float], Sequence[float]] | None:
        """Means and gains of the regime that a row is in."""
        if not self.monitor.cells:
            return (), ()
        for cell in self.monitor.cells:
            if all(low <= x <= high for x, (low, high) in zip(settings, cell.within, strict=True)):
                return cell.mean, cell.gain
        return None

    def _judge(self, believed: Sequence[float | None]) -> float:
        if self._scales is None:
            own = not self.monitor.cells
            self._scales = [sensor.scale(own) for sensor in self._sensors]
        several = self._several
        values, worst = [], 0.0
        for at, (sensor, z, scale) in enumerate(zip(self._sensors, believed, self._scales, strict=True)):
            if z is not None:
                x = min(max((z - sensor.mean) * scale, -CLIP), CLIP)
            elif sensor.missed <= HELD and several is not None:
                x = several.average[at]
            elif sensor.missed <= HELD:
                worst = max(worst, abs(self._singles[at].part))
                continue
            else:
                x = 0.0
            if several is None:
                worst = max(worst, self._singles[at].update((x,)).score)
            else:
                values.append(x)
        return worst if several is None else several.update(values).score / self._factor

    @property
    def _factor(self) -> float:
        """What `limit` multiplies: t2q's own limits are in its directions."""
        return self.monitor.limit if self.monitor.directions is not None else 1.0

    # --- raise and clear ----------------------------------------------------------------------

    def decide(self, verdict: Verdict, time: float, limit: float, deadband: float) -> Change | None:
        """What a judged row does to the alarm; rows that are not judged neither raise nor clear."""
        if verdict.phase != "judging":
            return None
        if verdict.score > limit:
            if not self._over:
                self._since = time
            self._over += 1
            self._under = 0
        elif self.active and verdict.score > limit - deadband:
            self._under = 0
        else:
            self._under += 1
            self._over = 0
        if not self.active and self._over >= self.monitor.persist:
            self.active = True
            return Change(True, self._since)
        if self.active and self._under >= self.monitor.back:
            self.active = False
            return Change(False, time)
        return None

    def evidence(self) -> tuple[tuple[str, float], ...]:
        """What strays after the newest row, most first: each signal's part of the score, negative for too low."""
        found = self._parts()
        ranked = sorted(zip(self.monitor.signals, found, strict=True), key=lambda each: (-abs(each[1]), each[0]))
        least = abs(ranked[0][1]) * SLIGHT
        kept = [(name, part) for name, part in ranked if abs(part) >= least and part]
        return tuple(kept[:MAX_STRAYS]) or (ranked[0],)

    def _parts(self) -> list[float]:
        if self._several is None:
            return [each.part for each in self._singles]
        return [part / self._factor for part in self._several.parts()]

    def hints(self) -> tuple[str, ...]:
        """Modes of failure that look like the newest row, likeliest first."""
        parts = dict(zip(self.monitor.signals, self._parts(), strict=True))
        likely = [(likeness(mode, parts), mode.name) for mode in self.monitor.modes]
        found = sorted((each for each in likely if each[0] >= LIKE), key=lambda each: (-each[0], each[1]))
        return tuple(dict.fromkeys(name for _, name in found))[:MAX_HINTS]

    # --- the state ----------------------------------------------------------------------------

    def state(self) -> list[float]:
        """All that `restore` needs: finite floats."""
        several = [] if self._several is None else self._several.state()
        return [
            float(self._gate.running), float(self._warm), float(self._over), float(self._under), self._since,
            float(self.active),
            *(x for sensor in self._sensors for x in sensor.state()),
            *(x for single in self._singles for x in single.state()),
            *several,
        ]  # fmt: skip

    def restore(self, state: Sequence[float]) -> None:
        """Go on where `state` was taken. Raises `Malformed`, and changes nothing, for what is no such state."""
        expected = self.state()
        if len(state) != len(expected) or not all(map(isfinite, state)) or min(state[:4]) < 0:
            raise Malformed("state", f"not {len(expected)} finite numbers of a watch")
        counts = [*state[:4], *(state[6 + 6 * at + k] for at in range(len(self._sensors)) for k in (0, 4, 5))]
        if any(x != int(x) or x < 0 for x in counts) or state[5] not in (0.0, 1.0):
            raise Malformed("state", "its counts are not whole")
        if any(state[8 + 6 * at] < 0 for at in range(len(self._sensors))):
            raise Malformed("state", "a negative variance")
        self._gate.running, self._warm, self._over, self._under = (int(x) for x in state[:4])
        self._since, self.active, self._scales = state[4], bool(state[5]), None
        at = 6
        for sensor in self._sensors:
            sensor.restore(state[at : at + 6])
            at += 6
        for single in self._singles:
            single.restore(state[at : at + 6])
            at += 6
        if self._several is not None:
            self._several.restore(state[at:])


def likeness(mode: Mode, parts: Mapping[str, float]) -> float:
    """How much of the score a mode accounts for: signals in its direction less those against it, -1 to 1.

    Scaled by the share of the mode's signals that stray its way at all.
    """
    total = sum(abs(part) for part in parts.values())
    if not total:
        return 0.0
    fits = sum(parts[name] * way for name, way in mode.signals.items()) / total
    worst = max(abs(part) for part in parts.values())
    there = sum(parts[name] * way >= SLIGHT * worst for name, way in mode.signals.items())
    return fits * there / len(mode.signals)
