"""What training learns besides the ensemble: scales, channels, limits. numpy alone; fitted on training units only.

The sums here may differ in their last bits from machine to machine (BLAS, pairwise sums). That is why the
results are recorded in the model, and why nobody should claim that a retraining proves anything.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from twinproof.errors import Malformed
from twinproof.prognosis.data import Array, Fleet, Integers
from twinproof.prognosis.features import Basis
from twinproof.prognosis.model import Limits, Plan
from twinproof.prognosis.regimes import SMALLEST, find_regimes

RIDGE: Final = 1000.0
"""Chosen by cross-validation among 10, 1000."""
INDEX_SPAN: Final = 10
"""Of the average that the health index is fitted on."""
COMPONENTS: Final = 3
LATE: Final = 60
"""Cycles left, below which a row shows how failing looks."""
FARTHEST: Final = 8.0
"""|z| that is believed at the least; more where training has it."""
STUCK: Final = 10
"""Rows of one value that are believed at the least."""


def fit_basis(fleet: Fleet, cap: float, plan: Plan | None = None) -> tuple[tuple[str, ...], Basis]:
    """The signals that say something, and what makes features of them.

    Raises `Malformed` if no unit failed, or no signal says anything.
    """
    plan = plan or Plan()
    failed = [unit for unit in fleet.units if unit.failed]
    if not failed:
        raise Malformed("fleet.units", "none ran to failure")
    regimes = find_regimes(fleet)
    where = Basis(regimes, [], [], np.zeros((0, 1)), plan, Limits((), (), 1))
    mean, spread = _scale(fleet, where, len(regimes.cells))
    says = spread > SMALLEST * (np.abs(mean) + 1e-9)
    used = np.flatnonzero(says.any(axis=0))
    if not used.size:
        raise Malformed("fleet.signals", "none varies")
    mean = mean[:, used]
    gain = np.where(says[:, used], 1.0 / np.where(says[:, used], spread[:, used], 1.0), 0.0)
    z, weights = [], []
    for unit in failed:
        regime = where.regime(unit.settings)
        values = _z(unit.signals[:, used], regime, mean, gain)
        z.append(values)
        weights.append(unit.remaining())
    projection = np.column_stack([_health_index(z, weights, cap), _components(z, weights)])
    limits = _limits(fleet, where, used, mean, gain)
    return tuple(fleet.signals[at] for at in used), Basis(regimes, mean, gain, projection, plan, limits)


def _scale(fleet: Fleet, where: Basis, regimes: int) -> tuple[Array, Array]:
    """Per regime and signal, mean and standard deviation of what is there; 0 and 0 for nothing."""
    signals = np.concatenate([unit.signals for unit in fleet.units])
    regime = where.regime(np.concatenate([unit.settings for unit in fleet.units]))
    mean = np.zeros((regimes, signals.shape[1]))
    spread = np.zeros_like(mean)
    for number in range(regimes):
        rows = signals[regime == number]
        for at in range(signals.shape[1]):
            values = rows[np.isfinite(rows[:, at]), at]
            if values.size:
                mean[number, at] = values.mean()
                spread[number, at] = values.std()
    return mean, spread


def _z(signals: Array, regime: Integers, mean: Array, gain: Array) -> Array:
    """Scaled signals; 0 where there is nothing to scale, or no regime to scale by."""
    z = (signals - mean[regime]) * gain[regime]
    return np.where(np.isfinite(z) & (regime >= 0)[:, None], np.clip(z, -100.0, 100.0), 0.0)


def _health_index(z: list[Array], remaining: list[Integers], cap: float) -> Array:
    """Ridge regression of the capped remaining life on averaged signals; the index has variance 1 on single rows."""
    smooth = []
    decay = (INDEX_SPAN - 1) / (INDEX_SPAN + 1)
    for values in z:
        average = np.empty_like(values)
        current = values[0]
        for row, value in enumerate(values):
            current = value + decay * (current - value)
            average[row] = current
        smooth.append(average)
    x = np.concatenate(smooth)
    y = np.minimum(np.concatenate(remaining), cap)
    x = x - x.mean(axis=0)
    weights: Array = np.linalg.solve(x.T @ x + RIDGE * np.eye(x.shape[1]), x.T @ (y - y.mean()))
    size = float((np.concatenate(z) @ weights).std())
    return weights * (1.0 / size if size > 0 else 1.0)


def _components(z: list[Array], remaining: list[Integers]) -> Array:
    """The directions in which failing units differ most, the largest weight of each positive."""
    late = np.concatenate(z)[np.concatenate(remaining) < LATE]
    _, vectors = np.linalg.eigh(np.cov(late.T).reshape(late.shape[1], late.shape[1]))
    chosen: Array = vectors[:, ::-1][:, :COMPONENTS]
    largest = chosen[np.argmax(np.abs(chosen), axis=0), np.arange(chosen.shape[1])]
    signed: Array = chosen * np.sign(largest)
    return signed


def _limits(fleet: Fleet, where: Basis, used: Integers, mean: Array, gain: Array) -> Limits:
    farthest = np.full(len(used), FARTHEST / 2)
    longest = np.full(len(used), STUCK // 2, dtype=np.int64)
    for unit in fleet.units:
        regime = where.regime(unit.settings)
        signals = unit.signals[:, used]
        farthest = np.maximum(farthest, np.abs(_z(signals, regime, mean, gain)).max(axis=0))
        run = np.ones(len(used), dtype=np.int64)
        for now, before in zip(signals[1:], signals[:-1], strict=True):
            run = np.where(now == before, run + 1, 1)
            longest = np.maximum(longest, run)
    oldest = max(int(unit.cycles[-1]) for unit in fleet.units)
    return Limits(tuple((2.0 * farthest).tolist()), tuple((2 * longest).tolist()), oldest)
