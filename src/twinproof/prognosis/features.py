"""From rows to features, for many twins at once, bit for bit as `replay` does it for one.

Only the four operations, comparisons and square roots of float64, each sum in a stated order, element by
element: no `sum`, no `@`, nothing whose order depends on the machine. What a step does is told in
docs/design/prognosis.md; the two implementations are kept alike by their tests, not by shared code.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from twinproof.errors import Malformed
from twinproof.prognosis import quality
from twinproof.prognosis.data import Array, Flags, Integers, Unit
from twinproof.prognosis.model import Limits, Plan, Regimes
from twinproof.prognosis.record import MAX_CYCLE
from twinproof.prognosis.state import TwinState

Which: TypeAlias = "slice | Integers"
"""Which of the twins a step is about: a slice is quicker."""

NEVER: Final = -1


class Basis:
    """The part of a model that makes features, as arrays."""

    def __init__(
        self, regimes: Regimes, mean: npt.ArrayLike, gain: npt.ArrayLike, projection: npt.ArrayLike, plan: Plan,
        limits: Limits,
    ) -> None:  # fmt: skip
        self.regimes = regimes
        self.mean: Array = np.asarray(mean, dtype=np.float64)
        self.gain: Array = np.asarray(gain, dtype=np.float64)
        self.projection: Array = np.asarray(projection, dtype=np.float64)
        self.plan = plan
        self.limits = limits
        self.outlier: Array = np.asarray(limits.outlier, dtype=np.float64)
        self.stuck: Integers = np.asarray(limits.stuck, dtype=np.int64)
        self._table = np.full([len(intervals) for intervals in regimes.intervals], -1, dtype=np.int64)
        for number, cell in enumerate(regimes.cells):
            self._table[cell] = number

    @property
    def width(self) -> int:
        """How many features."""
        channels: int = self.projection.shape[1]
        return len(self.plan.names(channels))

    def regime(self, settings: Array) -> Integers:
        """(rows,): the regime's number, -1 where it is unknown."""
        known = np.ones(len(settings), dtype=np.bool_)
        cell = []
        for column, intervals in enumerate(self.regimes.intervals):
            place = np.full(len(settings), -1, dtype=np.int64)
            for number, (low, high) in enumerate(intervals):
                place[(low <= settings[:, column]) & (settings[:, column] <= high)] = number
            known &= place >= 0
            cell.append(place)
        found = self._table[tuple(cell)] if cell else np.zeros(len(settings), dtype=np.int64)
        return np.where(known, found, -1)


class FleetState:
    """What is kept of `twins` histories: of constant size, however long they are. Not safe to share between threads."""

    def __init__(self, basis: Basis, twins: int) -> None:
        signals, channels = basis.projection.shape
        plan = basis.plan
        far = plan.depth + basis.limits.settle
        self.basis = basis
        self.cycle: Integers = np.full(twins, NEVER, dtype=np.int64)
        self.rows: Integers = np.zeros(twins, dtype=np.int64)
        self.since_gap: Integers = np.full(twins, far, dtype=np.int64)
        self.since_jump: Integers = np.full(twins, far, dtype=np.int64)
        self.unknown: Integers = np.zeros(twins, dtype=np.int64)
        self.held: Array = np.zeros((twins, signals))
        self.last: Array = np.full((twins, signals), np.nan)
        self.run: Integers = np.zeros((twins, signals), dtype=np.int64)
        self.bad: Integers = np.zeros((twins, signals), dtype=np.int64)
        self.reasons: Integers = np.zeros(twins, dtype=np.int64)
        self.window: Array = np.zeros((plan.depth, twins, channels))
        """Newest first."""
        self.ema_sums: Array = np.zeros((len(plan.emas), twins, channels))
        self.ema_masses: Array = np.zeros((len(plan.emas), twins, 1))
        self.base: Array = np.zeros((twins, channels))
        self.levels: Array = np.zeros((twins, signals))
        self.origins: Array = np.zeros((twins, signals))
        self.features: Array = np.zeros((twins, basis.width))

    def take(self, which: Which, cycles: npt.ArrayLike, settings: Array, signals: Array) -> None:
        """Goes on by a row of each of the twins in `which`: (twins,), (twins, settings), (twins, signals).

        Raises `Malformed`, and changes nothing, if a cycle does not grow or a shape is wrong.
        """
        given = np.asarray(cycles)
        if given.dtype.kind not in "iu":
            raise Malformed("cycle", "not whole numbers")
        now = given.astype(np.int64)
        before = self.cycle[which]
        if now.shape != before.shape or settings.shape != (len(now), len(self.basis.regimes.intervals)):
            raise Malformed("rows", "cycles and settings are not of these twins and this model")
        if signals.shape != (len(now), len(self.basis.projection)):
            raise Malformed("rows", "signals are not of these twins and this model")
        if not isinstance(which, slice) and len(np.unique(which)) != len(which):
            raise Malformed("rows", "a twin occurs twice")
        if (wrong := np.flatnonzero((now <= before) | (now > MAX_CYCLE))).size:
            raise Malformed("cycle", f"{now[wrong[0]]} follows {before[wrong[0]]}")
        missing = np.where(before == NEVER, 0, now - before - 1)
        self.since_gap[which] = np.where(missing > 0, 0, self.since_gap[which] + 1)
        self.since_jump[which] = np.where(missing > self.basis.limits.gap, 0, self.since_jump[which] + 1)
        self.cycle[which] = now
        self.reasons[which] = 0
        regime = self.basis.regime(settings)
        known = regime >= 0
        self.unknown[which] = np.where(known, 0, self.unknown[which] + 1)
        if known.all():
            self._take_known(which, regime, signals)
        elif known.any():
            numbers = np.arange(len(self.cycle))[which]
            self._take_known(numbers[known], regime[known], signals[known])
        self.features[which, -1] = now

    def _take_known(self, which: Which, regime: Integers, signals: Array) -> None:
        self.rows[which] += 1
        with np.errstate(over="ignore", invalid="ignore"):  # such values are not believed
            self._hold(which, regime, signals)
        held = self.held[which]
        channels = np.zeros((len(held), self.basis.projection.shape[1]))
        for signal, weights in enumerate(self.basis.projection):
            channels += held[:, signal : signal + 1] * weights
        self._refresh(which, channels)
        self._level(which, held)

    def _level(self, which: Which, held: Array) -> None:
        """Each signal's recent level and first rows, for `moved`."""
        plan = self.basis.plan
        self.levels[which] = held + (plan.recent - 1) / (plan.recent + 1) * self.levels[which]
        origins = self.origins[which]
        starting = (self.rows[which] <= plan.baseline)[:, None]
        self.origins[which] = np.where(starting, origins + held, origins)

    def moved(self, twins: Integers) -> Array:
        """(twins, signals): how far the recent average of each z is from that of the first rows."""
        plan = self.basis.plan
        rows = np.minimum(self.rows[twins], plan.baseline).astype(np.float64)[:, None]
        mass = self.ema_masses[plan.emas.index(plan.recent), twins]
        moved: Array = self.levels[twins] / mass - self.origins[twins] / rows
        return moved

    def _hold(self, which: Which, regime: Integers, signals: Array) -> None:
        """The newest z of each signal, where it is believed."""
        basis = self.basis
        gain = basis.gain[regime]
        there = np.isfinite(signals)
        run = self.run[which]
        counted = np.where(there, np.where(signals == self.last[which], run + 1, 1), 0)
        run = np.where(gain > 0.0, counted, run)
        self.run[which] = run
        self.last[which] = np.where(there, signals, self.last[which])
        z = (signals - basis.mean[regime]) * gain
        stuck = run > basis.stuck
        inside = (-basis.outlier <= z) & (z <= basis.outlier)
        good = there & inside & ~stuck
        self.held[which] = np.where(good, z, self.held[which])
        self.bad[which] = np.where(good, 0, self.bad[which] + 1)
        self.reasons[which] = np.where((there & stuck).any(axis=1), quality.STUCK, 0) | np.where(
            (there & ~inside).any(axis=1), quality.OUTLIER, 0
        )

    def _refresh(self, which: Which, channels: Array) -> None:
        """The features after a row whose channels are these."""
        plan = self.basis.plan
        count = channels.shape[1]
        out = np.empty((len(channels), self.basis.width))
        at = 0
        recent = channels
        for e, span in enumerate(plan.emas):
            decay = (span - 1) / (span + 1)
            mass = 1.0 + decay * self.ema_masses[e, which]
            sums = channels + decay * self.ema_sums[e, which]
            self.ema_masses[e, which] = mass
            self.ema_sums[e, which] = sums
            out[:, at : at + count] = sums / mass
            if span == plan.recent:
                recent = out[:, at : at + count]
            at += count
        at = self._look_back(which, channels, out, at)
        rows = self.rows[which]
        starting = (rows <= plan.baseline)[:, None]
        base = np.where(starting, self.base[which] + channels, self.base[which])
        self.base[which] = base
        out[:, at : at + count] = recent - base / np.minimum(rows, plan.baseline).astype(np.float64)[:, None]
        out[:, -1] = 0.0
        self.features[which] = out

    def _look_back(self, which: Which, channels: Array, out: Array, at: int) -> int:
        """Slopes and spreads: sums from the newest row back, each window a prefix of the longest."""
        plan = self.basis.plan
        count: int = channels.shape[1]
        window = np.concatenate((channels[None], self.window[:-1, which]))
        self.window[:, which] = window
        rows = self.rows[which]
        total, weighted, squares = (np.zeros_like(channels) for _ in range(3))
        end = at + count * (len(plan.slopes) + len(plan.spreads))
        squared = max(plan.spreads)
        for back, x in enumerate(window):
            total += x
            weighted += back * x
            if back < squared:
                squares += x * x
            width = back + 1
            if width in plan.slopes:
                n = np.minimum(rows, width).astype(np.float64)[:, None]
                place = at + count * plan.slopes.index(width)
                divisor = np.where(n > 1.0, n * (n * n - 1.0) / 12.0, 1.0)
                slope = ((n - 1.0) / 2.0 * total - weighted) / divisor
                out[:, place : place + count] = np.where(n > 1.0, slope, 0.0)
            if width in plan.spreads:
                n = np.minimum(rows, width).astype(np.float64)[:, None]
                place = at + count * (len(plan.slopes) + plan.spreads.index(width))
                mean = total / n
                variance = squares / n - mean * mean
                out[:, place : place + count] = np.sqrt(np.where(variance > 0.0, variance, 0.0))
        return end

    @property
    def tables(self) -> tuple[Array | Integers, ...]:
        """All that is kept, in a stated order, as arrays that can be written to."""
        return (
            self.cycle, self.rows, self.since_gap, self.since_jump, self.unknown, self.reasons, self.held, self.last,
            self.run, self.bad, self.window, self.ema_sums, self.ema_masses, self.base, self.features, self.levels,
            self.origins,
        )  # fmt: skip

    def renew(self, twin: int) -> None:
        """Forget all rows of a twin."""
        self.resume(twin, FleetState(self.basis, 1).keep(0))

    def keep(self, twin: int) -> TwinState:
        """What a later `resume` needs of one twin."""
        names = ("cycle", "rows", "since_gap", "since_jump", "unknown", "reasons")
        cycle, rows, gap, jump, unknown, reasons = (int(getattr(self, name)[twin]) for name in names)
        return TwinState(
            (cycle, rows, gap, jump, unknown, reasons),
            tuple(self.run[twin].tolist()),
            tuple(self.bad[twin].tolist()),
            tuple(self.held[twin].tolist()),
            tuple(self.last[twin].tolist()),
            tuple(self.ema_sums[:, twin].ravel().tolist()),
            tuple(self.ema_masses[:, twin, 0].tolist()),
            tuple(self.base[twin].tolist()),
            tuple(self.features[twin].tolist()),
            tuple(self.window[:, twin].ravel().tolist()),
            tuple(self.levels[twin].tolist()),
            tuple(self.origins[twin].tolist()),
        )

    def resume(self, twin: int, state: TwinState) -> None:
        """Goes on with one twin from a state of the same model."""
        names = ("cycle", "rows", "since_gap", "since_jump", "unknown", "reasons")
        for name, count in zip(names, state.counts, strict=True):
            getattr(self, name)[twin] = count
        self.run[twin], self.bad[twin] = state.run, state.bad
        self.held[twin], self.last[twin], self.base[twin] = state.held, state.last, state.base
        self.ema_sums[:, twin] = np.reshape(state.sums, self.ema_sums[:, twin].shape)
        self.ema_masses[:, twin, 0] = state.masses
        self.features[twin] = state.features
        self.window[:, twin] = np.reshape(state.window, self.window[:, twin].shape)
        self.levels[twin], self.origins[twin] = state.levels, state.origins

    def remarks(self, which: Which = slice(None)) -> Integers:
        """(twins,): the bits of `quality` for the newest row, but `HORIZON`."""
        limits = self.basis.limits
        bad = self.bad[which]
        lost = (bad > limits.hold).sum(axis=1)
        unknown = self.unknown[which]
        rows = self.rows[which]
        bits = self.reasons[which].copy()
        for holds, bit in (
            ((bad > 0).any(axis=1), quality.HELD),
            (lost > 0, quality.LOST),
            (3 * lost > bad.shape[1], quality.BLIND),
            (self.since_gap[which] < limits.settle, quality.GAP),
            (self.since_jump[which] < limits.settle, quality.JUMP),
            (unknown > 0, quality.UNKNOWN_REGIME),
            (unknown > limits.hold, quality.REGIME_LOST),
            (rows < limits.short, quality.SHORT),
            (rows < limits.minimum, quality.TOO_SHORT),
            (self.cycle[which] > limits.oldest, quality.OLD),
        ):
            bits |= np.where(holds, bit, 0)
        return bits


def histories(basis: Basis, units: Sequence[Unit]) -> tuple[Array, Integers, Flags]:
    """All units from their first row on: features (rows, features), remarks (rows,), bad signals (rows, signals).

    Rows stand unit by unit. The units step side by side, the longest first, so that each step is a slice.
    """
    order = sorted(range(len(units)), key=lambda at: -len(units[at]))
    starts = np.concatenate(([0], np.cumsum([len(each) for each in units])))
    state = FleetState(basis, len(units))
    features = np.empty((int(starts[-1]), basis.width))
    remarks = np.empty(int(starts[-1]), dtype=np.int64)
    bad = np.empty((int(starts[-1]), len(basis.projection)), dtype=np.bool_)
    cycles, settings, signals = (
        np.concatenate([getattr(each, name) for each in units]) for name in ("cycles", "settings", "signals")
    )
    begin = starts[:-1][order]
    active = len(order)
    for step in range(len(units[order[0]])):
        while len(units[order[active - 1]]) <= step:
            active -= 1
        rows = begin[:active] + step
        which = slice(0, active)
        state.take(which, cycles[rows], settings[rows], signals[rows])
        features[rows] = state.features[which]
        remarks[rows] = state.remarks(which)
        bad[rows] = state.bad[which] > 0
    return features, remarks, bad
