"""Small fleets that wear out, made from a seed; and what is trained on them, once."""

from __future__ import annotations

import numpy as np

from twinproof.prognosis.data import Fleet, Unit, unit
from twinproof.prognosis.ensemble import Recipe

SETTINGS = ("load",)
SIGNALS = ("hot", "tight", "noise", "still", "steps")
QUICK = Recipe(trees=30, fewest=20, networks=1, hidden=(8,), steps=200, batch=64)
CAP = 60.0
LOADS = (10.0, 50.0)


def wearing_unit(rng: np.random.Generator, name: str, *, loads: tuple[float, ...] = LOADS, failed: bool = True) -> Unit:
    """70 to 140 rows: two signals that wear moves, one of noise, one that never varies, one of whole steps."""
    life = int(rng.integers(70, 141))
    left = np.arange(life - 1, -1, -1)
    wear = np.exp(-left / 25.0)
    load = rng.choice(loads, life) + rng.normal(0, 0.01, life)
    level = np.where(load > 30, 100.0, 0.0)
    signals = np.column_stack(
        [
            500 + level + 8 * wear + rng.normal(0, 1.0, life),
            20 - level / 20 - 3 * wear + rng.normal(0, 0.5, life),
            rng.normal(0, 1, life),
            np.full(life, 14.62),
            np.round(390 + level / 10 + 4 * wear + rng.normal(0, 1.0, life)),
        ]
    )
    return unit(name, np.arange(1, life + 1), load[:, None], signals, failed)


def wearing_fleet(units: int = 30, *, seed: int = 7, loads: tuple[float, ...] = LOADS) -> Fleet:
    """As many units, all run to failure."""
    rng = np.random.default_rng(seed)
    return Fleet(SETTINGS, SIGNALS, tuple(wearing_unit(rng, f"{at:02}", loads=loads) for at in range(units)))
