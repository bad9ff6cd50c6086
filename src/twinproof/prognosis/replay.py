"""The second implementation: from readings to the forecast's bits in plain Python, one twin at a time.

It shares with `serve` the model's parser and the words of `quality`, and no arithmetic. Every sum is a
loop in a stated order: the built-in `sum` of floats compensates its error from Python 3.12 on, and
would give other bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from math import inf, nan, sqrt
from typing import Final, TypeAlias

from twinproof.errors import Malformed
from twinproof.prognosis import quality
from twinproof.prognosis.model import INPUT_LIMIT, Forest, Model, Network, digest_model, parse_model
from twinproof.prognosis.quality import Forecast, Quality
from twinproof.prognosis.record import MAX_CYCLE, START, Record, Row, chain_row, check_record, record
from twinproof.prognosis.state import TwinState

NEVER: Final = -1

_Nodes: TypeAlias = tuple[int, list[tuple[int, float, int, int]], tuple[float, ...]]
"""Where to begin; feature, threshold, left and right of each inner node; the leaves."""


class Replayer:
    """One twin's rows, taken one by one, and the forecast after any of them.

    Each row costs the same, however long the history is. Not safe to share between threads.
    """

    def __init__(self, model: Model) -> None:
        signals, channels, plan = len(model.signals), model.channels, model.plan
        self.model = model
        self.digest = START
        """`record.digest_rows` of what was taken."""
        self.cycle = NEVER
        self.rows = 0
        self.since_gap = self.since_jump = plan.depth + model.limits.settle
        self.unknown = 0
        self.held = [0.0] * signals
        self.last = [nan] * signals
        self.run = [0] * signals
        self.bad = [0] * signals
        self.reasons = 0
        self.window = [[0.0] * plan.depth for _ in range(channels)]
        """Newest first."""
        self.depth = 0
        self.ema_sums = [[0.0] * channels for _ in plan.emas]
        self.ema_masses = [0.0] * len(plan.emas)
        self.base = [0.0] * channels
        self.levels = [0.0] * signals
        self.origins = [0.0] * signals
        self.features = [0.0] * len(plan.names(channels))
        slopes = {width: (len(plan.emas) + at) * channels for at, width in enumerate(plan.slopes)}
        first = len(plan.emas) + len(plan.slopes)
        spreads = {width: (first + at) * channels for at, width in enumerate(plan.spreads)}
        self._marks = [(width, slopes.get(width), spreads.get(width)) for width in sorted({*slopes, *spreads})]
        self._squared = max(spreads)
        self._members = [(member.weight, _evaluator(member)) for member in model.members]
        self._cells = {cell: number for number, cell in enumerate(model.regimes.cells)}

    def take(self, row: Row) -> None:
        """Goes on by a row. Raises `Malformed`, and changes nothing, for a cycle that does not grow or no float."""
        model = self.model
        cycle, settings, signals = row
        if type(cycle) is not int or not 0 <= cycle <= MAX_CYCLE:
            raise Malformed("cycle", f"{cycle} is not a whole number in 0..{MAX_CYCLE}")
        if cycle <= self.cycle:
            raise Malformed("cycle", f"{cycle} follows {self.cycle}")
        if len(settings) != len(model.settings) or len(signals) != len(model.signals):
            raise Malformed("row", f"not {len(model.settings)} settings and {len(model.signals)} signals")
        if not all(type(x) is float for values in (settings, signals) for x in values):
            raise Malformed("row", "not all are floats")
        missing = cycle - self.cycle - 1 if self.cycle != NEVER else 0
        self.since_gap = 0 if missing > 0 else self.since_gap + 1
        self.since_jump = 0 if missing > model.limits.gap else self.since_jump + 1
        self.cycle = cycle
        self.digest = chain_row(self.digest, cycle, settings, signals)
        self.reasons = 0
        regime = self._regime(settings)
        if regime < 0:
            self.unknown += 1
        else:
            self.unknown = 0
            self.rows += 1
            self._hold(regime, signals)
            self._refresh(self._project())
            self._level()
        self.features[-1] = float(cycle)

    def _regime(self, settings: Sequence[float]) -> int:
        cell = []
        for value, intervals in zip(settings, self.model.regimes.intervals, strict=True):
            for number, (low, high) in enumerate(intervals):
                if low <= value <= high:
                    cell.append(number)
                    break
            else:
                return -1
        return self._cells.get(tuple(cell), -1)

    def _hold(self, regime: int, signals: Sequence[float]) -> None:
        """The newest z of each signal, where it is believed."""
        model = self.model
        for s, (x, mean, gain) in enumerate(zip(signals, model.mean[regime], model.gain[regime], strict=True)):
            there = -inf < x < inf
            if gain > 0.0:
                self.run[s] = (self.run[s] + 1 if x == self.last[s] else 1) if there else 0
            if there:
                self.last[s] = x
            z = (x - mean) * gain
            stuck = self.run[s] > model.limits.stuck[s]
            inside = -model.limits.outlier[s] <= z <= model.limits.outlier[s]
            if there and inside and not stuck:
                self.held[s] = z
                self.bad[s] = 0
            else:
                self.bad[s] += 1
                if there and stuck:
                    self.reasons |= quality.STUCK
                if there and not inside:
                    self.reasons |= quality.OUTLIER

    def _project(self) -> list[float]:
        channels = [0.0] * self.model.channels
        for z, weights in zip(self.held, self.model.projection, strict=True):
            for c, weight in enumerate(weights):
                channels[c] += z * weight
        return channels

    def _level(self) -> None:
        """Each signal's recent level and first rows, for `drivers`."""
        plan = self.model.plan
        decay = (plan.recent - 1) / (plan.recent + 1)
        for s, z in enumerate(self.held):
            self.levels[s] = z + decay * self.levels[s]
            if self.rows <= plan.baseline:
                self.origins[s] += z

    def _refresh(self, channels: list[float]) -> None:
        """The features after a row whose channels are these."""
        plan = self.model.plan
        count = len(channels)
        out = self.features
        self.depth = min(self.depth + 1, plan.depth)
        at = 0
        recent = 0
        for e, span in enumerate(plan.emas):
            decay = (span - 1) / (span + 1)
            mass = 1.0 + decay * self.ema_masses[e]
            self.ema_masses[e] = mass
            sums = self.ema_sums[e]
            if span == plan.recent:
                recent = at
            for c, x in enumerate(channels):
                sums[c] = x + decay * sums[c]
                out[at] = sums[c] / mass
                at += 1
        for c, x in enumerate(channels):
            window = self.window[c]
            window.pop()
            window.insert(0, x)
            self._look_back(c, window)
        at += count * (len(plan.slopes) + len(plan.spreads))
        if self.rows <= plan.baseline:
            for c, x in enumerate(channels):
                self.base[c] += x
        rows = float(min(self.rows, plan.baseline))
        for c in range(count):
            out[at + c] = out[recent + c] - self.base[c] / rows

    def _look_back(self, channel: int, window: list[float]) -> None:
        """Slopes and spreads: sums from the newest row back, each window a prefix of the longest."""
        out = self.features
        total = weighted = squares = back = 0.0
        begin = 0
        for end, slope, spread in self._marks:
            if begin < self._squared:
                for x in window[begin:end]:
                    total += x
                    weighted += back * x
                    squares += x * x
                    back += 1.0
            else:
                for x in window[begin:end]:
                    total += x
                    weighted += back * x
                    back += 1.0
            begin = end
            n = float(min(end, self.depth))
            if slope is not None:
                divisor = n * (n * n - 1.0) / 12.0
                out[slope + channel] = ((n - 1.0) / 2.0 * total - weighted) / divisor if n > 1.0 else 0.0
            if spread is not None:
                mean = total / n
                variance = squares / n - mean * mean
                out[spread + channel] = sqrt(variance) if variance > 0.0 else 0.0

    def keep(self) -> TwinState:
        """What a later `resume` needs; the digest of the rows is the caller's to keep."""
        return TwinState(
            (self.cycle, self.rows, self.since_gap, self.since_jump, self.unknown, self.reasons),
            tuple(self.run),
            tuple(self.bad),
            tuple(self.held),
            tuple(self.last),
            tuple(x for row in self.ema_sums for x in row),
            tuple(self.ema_masses),
            tuple(self.base),
            tuple(self.features),
            tuple(x for row in zip(*self.window, strict=True) for x in row),
            tuple(self.levels),
            tuple(self.origins),
        )

    def resume(self, state: TwinState, digest: bytes) -> None:
        """Goes on from a state of this model, after rows with this digest."""
        count = self.model.channels
        self.digest = digest
        self.cycle, self.rows, self.since_gap, self.since_jump, self.unknown, self.reasons = state.counts
        self.run, self.bad = list(state.run), list(state.bad)
        self.held, self.last, self.base = list(state.held), list(state.last), list(state.base)
        self.levels, self.origins = list(state.levels), list(state.origins)
        self.ema_sums = [list(state.sums[at : at + count]) for at in range(0, len(state.sums), count)]
        self.ema_masses = list(state.masses)
        self.features = list(state.features)
        self.window = [list(state.window[channel::count]) for channel in range(count)]
        self.depth = min(self.rows, self.model.plan.depth)

    def remarks(self) -> int:
        """The bits of `quality` for the newest row, but `HORIZON`."""
        limits = self.model.limits
        lost = 0
        bits = self.reasons
        for bad in self.bad:
            if bad > 0:
                bits |= quality.HELD
            if bad > limits.hold:
                lost += 1
        if lost:
            bits |= quality.LOST
        if 3 * lost > len(self.bad):
            bits |= quality.BLIND
        if self.since_gap < limits.settle:
            bits |= quality.GAP
        if self.since_jump < limits.settle:
            bits |= quality.JUMP
        if self.unknown:
            bits |= quality.UNKNOWN_REGIME
        if self.unknown > limits.hold:
            bits |= quality.REGIME_LOST
        if self.rows < limits.short:
            bits |= quality.SHORT
        if self.rows < limits.minimum:
            bits |= quality.TOO_SHORT
        if self.cycle > limits.oldest:
            bits |= quality.OLD
        return bits

    def forecast(self, coverage: int = 900) -> Forecast:
        """After the newest row. `coverage` is per mille; raises `Malformed` if the model has no such interval."""
        model = self.model
        low, high = model.intervals.columns(coverage)
        bits = self.remarks()
        names = tuple(name for name, bad in zip(model.signals, self.bad, strict=True) if bad)
        if bits & quality.REFUSING:
            return Forecast(nan, nan, nan, coverage / 1000, Quality(bits, names))
        point = self._point(self.features)
        edges = 0
        for edge in model.intervals.edges:
            edges += point >= edge
        residuals = model.intervals.residuals[edges]
        below, above = residuals[low], residuals[high]
        if bits & quality.WIDENING:
            below, above = below * model.limits.widen, above * model.limits.widen
        lower = min(max(point + below, 0.0), point)
        upper = max(min(point + above, model.cap), point)
        if upper == model.cap:
            bits |= quality.HORIZON
        return Forecast(lower, point, upper, coverage / 1000, Quality(bits, names))

    def _point(self, features: list[float]) -> float:
        point = 0.0
        for weight, evaluate in self._members:
            point += weight * evaluate(features)
        return min(max(point, 0.0), self.model.cap)

    def drivers(self, forecast: Forecast) -> dict[str, float]:
        """By how much signals moved the point of `forecast`, which is that after the newest row."""
        model = self.model
        if forecast.quality.remarks & (quality.REFUSING | quality.HORIZON):
            return {}
        plan = model.plan
        rows = float(min(self.rows, plan.baseline))
        mass = self.ema_masses[plan.emas.index(plan.recent)]
        moved = [level / mass - origin / rows for level, origin in zip(self.levels, self.origins, strict=True)]
        weights = [abs(by * row[0]) for by, row in zip(moved, model.projection, strict=True)]
        count = model.channels
        change = (len(plan.emas) + len(plan.slopes) + len(plan.spreads)) * count
        firsts = [*range(0, len(plan.emas) * count, count), change]
        found = {}
        for s in sorted(range(len(weights)), key=lambda s: -weights[s])[: quality.DRIVERS]:
            features = list(self.features)
            for c, weight in enumerate(model.projection[s]):
                for first in firsts:
                    features[first + c] -= moved[s] * weight
            effect = forecast.point - self._point(features)
            if effect != 0.0:
                found[model.signals[s]] = effect
        return found


def _evaluator(member: Forest | Network) -> Callable[[list[float]], float]:
    if isinstance(member, Network):
        return partial(_network, member)
    trees = [
        (
            0 if tree.features else -1,
            list(zip(tree.features, tree.thresholds, tree.left, tree.right, strict=True)),
            tree.values,
        )
        for tree in member.trees
    ]
    return partial(_forest, trees)


def _forest(trees: list[_Nodes], features: list[float]) -> float:
    total = 0.0
    for node, nodes, values in trees:
        while node >= 0:
            feature, threshold, left, right = nodes[node]
            node = left if features[feature] <= threshold else right
        total += values[~node]
    return total


def _network(member: Network, features: list[float]) -> float:
    seen = [features[at] for at in member.reads]
    scaled = ((x - mean) * gain for x, mean, gain in zip(seen, member.mean, member.gain, strict=True))
    values = [min(max(x, -INPUT_LIMIT), INPUT_LIMIT) for x in scaled]
    for number, layer in enumerate(member.layers):
        following = []
        for weights, total in zip(layer.weights, layer.bias, strict=True):
            for x, weight in zip(values, weights, strict=True):
                total += x * weight
            following.append(total)
        last = number == len(member.layers) - 1
        values = following if last else [x if x > 0.0 else 0.0 for x in following]
    return values[0]


def replay(model: bytes, rows: Iterable[Row], coverage: int = 900) -> Record:
    """The record of the forecast after the last of `rows`, from the model's bytes alone.

    Raises `Malformed` for a model or row that does not follow its format.
    """
    replayer = Replayer(parse_model(model))
    for row in rows:
        replayer.take(row)
    return record(digest_model(model), replayer.digest, replayer.forecast(coverage))


def check_replay(recorded: Record, model: bytes, rows: Iterable[Row], coverage: int = 900) -> None:
    """Raises `ForecastMismatch` unless a replay gives every bit of `recorded`."""
    check_record(recorded, replay(model, rows, coverage))
