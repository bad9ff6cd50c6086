"""Learns what `detectors.Spread` needs from healthy rows. numpy; the result is data, to be kept."""

from __future__ import annotations

import numpy as np

from twinproof.errors import Malformed
from twinproof.prognosis.data import Array
from twinproof.prognosis.detectors import SMALLEST, Directions


def learn_directions(
    rows: Array, *, weight: float = 0.3, explained: float = 0.7, rate: float = 0.001, margin: float = 1.5
) -> Directions:
    """From rows (rows, signals) of assets that are well, in their order.

    The axes explain as much of the variance; a limit is what a share `rate` of the averaged rows exceeds, times
    `margin`, since the rows that set a limit do not test it. Raises `Malformed` if there is too little to learn from.
    """
    if rows.ndim != 2 or len(rows) < 5 * max(rows.shape[1], 1) or not np.isfinite(rows).all():
        raise Malformed("rows", "not a table of finite numbers with five rows a signal")
    mean, spread = rows.mean(axis=0), rows.std(axis=0)
    says = spread > SMALLEST * np.abs(mean)
    if not says.any():
        raise Malformed("rows", "nothing varies")
    gain = np.where(says, 1.0 / np.where(says, spread, 1.0), 0.0)
    z = (rows - mean) * gain
    average = np.empty_like(z)
    current = np.zeros(z.shape[1])
    for at, row in enumerate(z):
        current = current + weight * (row - current)
        average[at] = current
    values, vectors = np.linalg.eigh(np.cov(z.T).reshape(z.shape[1], z.shape[1]))
    values, vectors = values[::-1], vectors[:, ::-1]
    count = 1 + int(np.searchsorted(np.cumsum(values) / values.sum(), explained))
    axes = vectors[:, :count]
    along = average @ axes
    t2 = (along**2 / values[:count]).sum(axis=1)
    q = (average**2).sum(axis=1) - (along**2).sum(axis=1)
    limits = [max(float(np.quantile(x, 1 - rate)) * margin, SMALLEST) for x in (t2, q)]
    return Directions(
        tuple(mean.tolist()), tuple(gain.tolist()), tuple(map(tuple, axes.T.tolist())), tuple(values[:count].tolist()),
        limits[0], limits[1],
    )  # fmt: skip
