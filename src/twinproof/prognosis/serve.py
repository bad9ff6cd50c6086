"""Forecasts for many twins at once with numpy alone, bit for bit as LightGBM and `replay` answer.

Trees are asked all at once: for each feature, the thresholds of all trees are sorted beforehand,
and for each place in that order a row of bit masks, one per tree, tells which leaves a value there
leaves open. A forecast ANDs one such row per feature; the lowest bit left is the leaf. Then the
leaves' values are added in the trees' order. (Idea: Lucchese et al., QuickScorer, SIGIR 2015.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from twinproof.prognosis import quality
from twinproof.prognosis.data import Array, Flags, Integers, Unit
from twinproof.prognosis.features import Basis, FleetState, Which, histories
from twinproof.prognosis.model import INPUT_LIMIT, Forest, Model, Network, digest_model, parse_model
from twinproof.prognosis.quality import Forecast, Quality
from twinproof.prognosis.trees import Tree

CHUNK: Final = 512
"""Rows at once: their masks stay in the processor's cache."""


@dataclass(frozen=True, slots=True, eq=False)
class Forecasts:
    """One row per twin; see `quality.Forecast`."""

    lower: Array
    point: Array
    upper: Array
    coverage: float
    remarks: Integers
    bad: Flags
    """(twins, signals): whose newest value was not usable."""
    signals: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.point)

    def one(self, at: int) -> Forecast:
        """The forecast of one twin."""
        names = tuple(name for name, bad in zip(self.signals, self.bad[at].tolist(), strict=True) if bad)
        return Forecast(
            float(self.lower[at]), float(self.point[at]), float(self.upper[at]), self.coverage,
            Quality(int(self.remarks[at]), names),
        )  # fmt: skip


class ForestEvaluator:
    """The trees of one `Forest`, ready to be asked."""

    def __init__(self, trees: Sequence[Tree], features: int) -> None:
        leaves = max(len(tree.values) for tree in trees)
        kind = np.dtype(np.uint16 if leaves <= 16 else np.uint32 if leaves <= 32 else np.uint64)
        everything = (1 << 8 * kind.itemsize) - 1
        self._values = np.zeros((len(trees), leaves))
        nodes: list[list[tuple[float, int, int]]] = [[] for _ in range(features)]
        for number, tree in enumerate(trees):
            masks, order = _masks(tree)
            # + 0.0 makes -0.0 a 0.0, as the first addition to 0.0 does elsewhere
            self._values[number, : len(order)] = [tree.values[leaf] + 0.0 for leaf in order]
            for node, mask in enumerate(masks):
                nodes[tree.features[node]].append((tree.thresholds[node], number, everything ^ mask))
        self._asked: list[tuple[int, Array, Any]] = []
        for feature, found in enumerate(nodes):
            if not found:
                continue
            thresholds = sorted({threshold for threshold, _, _ in found})
            place = {threshold: at for at, threshold in enumerate(thresholds)}
            table = np.full((len(thresholds) + 1, len(trees)), everything, dtype=kind)
            for threshold, number, mask in found:
                table[place[threshold] + 1, number] &= kind.type(mask)
            np.bitwise_and.accumulate(table, axis=0, out=table)
            self._asked.append((feature, np.asarray(thresholds), table))
        self._everything = kind.type(everything)
        self._one = kind.type(1)
        self._trees = np.arange(len(trees))

    def __call__(self, features: Array) -> Array:
        """(rows,): the sums of the leaves, in the trees' order."""
        out = np.empty(len(features))
        for start in range(0, len(features), CHUNK):
            out[start : start + CHUNK] = self._chunk(features[start : start + CHUNK])
        return out

    def _chunk(self, features: Array) -> Array:
        masks = np.full((len(features), len(self._trees)), self._everything)
        for feature, thresholds, table in self._asked:
            # Right is taken where the value is greater: as many nodes as have a smaller threshold.
            masks &= table[np.searchsorted(thresholds, features[:, feature], side="left")]
        lowest = masks & (~masks + self._one)
        leaf = np.bitwise_count(lowest - self._one)
        values = self._values[self._trees, leaf]
        np.add.accumulate(values, axis=1, out=values)
        last: Array = values[:, -1]
        return last


def _masks(tree: Tree) -> tuple[list[int], list[int]]:
    """Per inner node, the bits of the leaves on its left; and the leaves from left to right."""
    order: list[int] = []
    masks = [0] * len(tree.features)

    def walk(node: int) -> int:
        if node < 0:
            order.append(~node)
            return 1 << (len(order) - 1)
        masks[node] = walk(tree.left[node])
        return masks[node] | walk(tree.right[node])

    walk(0 if masks else -1)
    return masks, order


class _NetworkEvaluator:
    def __init__(self, network: Network) -> None:
        self._reads = list(network.reads)
        self._mean = np.asarray(network.mean)
        self._gain = np.asarray(network.gain)
        self._layers = [(np.asarray(layer.weights).T.copy(), np.asarray(layer.bias)) for layer in network.layers]

    def __call__(self, features: Array) -> Array:
        values = (features[:, self._reads] - self._mean) * self._gain
        values = np.where(values < -INPUT_LIMIT, -INPUT_LIMIT, values)
        values = np.where(values > INPUT_LIMIT, INPUT_LIMIT, values)
        for number, (weights, bias) in enumerate(self._layers):
            total = np.repeat(bias[None], len(values), axis=0)
            for taken, row in enumerate(weights):
                total += values[:, taken : taken + 1] * row
            values = total if number == len(self._layers) - 1 else np.where(total > 0.0, total, 0.0)
        return values[:, 0]


class Predictor:
    """A model, ready to answer. It keeps nothing of what it is asked; states belong to the caller."""

    def __init__(self, model: Model, digest: bytes) -> None:
        self.model = model
        self.digest = digest
        """SHA-256 of the model's bytes."""
        self.basis = Basis(model.regimes, model.mean, model.gain, model.projection, model.plan, model.limits)
        self._members: list[tuple[float, ForestEvaluator | _NetworkEvaluator]] = []
        for member in model.members:
            if isinstance(member, Forest):
                self._members.append((member.weight, ForestEvaluator(member.trees, self.basis.width)))
            else:
                self._members.append((member.weight, _NetworkEvaluator(member)))
        self._edges = np.asarray(model.intervals.edges)
        self._residuals = np.asarray(model.intervals.residuals)

    def state(self, twins: int) -> FleetState:
        """Of so many twins that have no rows yet."""
        return FleetState(self.basis, twins)

    def points(self, features: Array) -> Array:
        """(rows,): the points alone, of features as they are."""
        point = np.zeros(len(features))
        for weight, member in self._members:
            point += weight * member(features)
        point = np.where(point < 0.0, 0.0, point)
        return np.where(point > self.model.cap, self.model.cap, point)

    def forecasts(self, features: Array, remarks: Integers, bad: Flags, coverage: int = 900) -> Forecasts:
        """Of rows with these features, remarks and bad signals. `coverage` is per mille; raises `Malformed`."""
        low, high = self.model.intervals.columns(coverage)
        point = self.points(features)
        bins = np.searchsorted(self._edges, point, side="right")
        factor = np.where((remarks & quality.WIDENING) != 0, self.model.limits.widen, 1.0)
        lower = point + self._residuals[bins, low] * factor
        upper = point + self._residuals[bins, high] * factor
        lower = np.where(lower < 0.0, 0.0, lower)
        lower = np.where(lower > point, point, lower)
        upper = np.where(upper > self.model.cap, self.model.cap, upper)
        upper = np.where(upper < point, point, upper)
        refused = (remarks & quality.REFUSING) != 0
        horizon = (upper == self.model.cap) & ~refused
        for numbers in (lower, point, upper):
            numbers[refused] = np.nan
        bits = remarks | np.where(horizon, quality.HORIZON, 0)
        return Forecasts(lower, point, upper, coverage / 1000, bits, bad, self.model.signals)

    def now(self, state: FleetState, which: Which = slice(None), coverage: int = 900) -> Forecasts:
        """Of the newest rows of `which` twins."""
        return self.forecasts(state.features[which], state.remarks(which), state.bad[which] > 0, coverage)

    def drivers(self, state: FleetState, which: Which, found: Forecasts) -> list[dict[str, float]]:
        """By how much signals moved the points that `now` found for `which` twins; see `replay`."""
        answers: list[dict[str, float]] = [{} for _ in range(len(found))]
        told = np.flatnonzero((found.remarks & (quality.REFUSING | quality.HORIZON)) == 0)
        if not told.size:
            return answers
        twins = np.arange(len(state.cycle))[which][told]
        features, projection, plan = state.features[twins], self.basis.projection, self.basis.plan
        moved = state.moved(twins)
        order = np.argsort(-np.abs(moved * projection[:, 0]), axis=1, kind="stable")[:, : quality.DRIVERS]
        count = projection.shape[1]
        change = (len(plan.emas) + len(plan.slopes) + len(plan.spreads)) * count
        firsts = [*range(0, len(plan.emas) * count, count), change]
        for signals in order.T:
            shift = np.take_along_axis(moved, signals[:, None], axis=1) * projection[signals]
            without = features.copy()
            for first in firsts:
                without[:, first : first + count] -= shift
            effects = found.point[told] - self.points(without)
            for at, signal, effect in zip(told.tolist(), signals.tolist(), effects.tolist(), strict=True):
                if effect != 0.0:
                    answers[at][self.model.signals[signal]] = effect
        return answers

    def histories(self, units: Sequence[Unit], coverage: int = 900) -> Forecasts:
        """After every row of every unit; rows stand unit by unit. Columns must be the model's: `Fleet.columns`."""
        return self.forecasts(*histories(self.basis, units), coverage)


def load_predictor(data: bytes) -> Predictor:
    """From a model's bytes. Raises `Malformed`."""
    return Predictor(parse_model(data), digest_model(data))
