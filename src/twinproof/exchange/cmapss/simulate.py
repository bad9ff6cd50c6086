"""A small turbofan that wears out: endless rows like C-MAPSS FD001 (sea level, one fault mode).

Not C-MAPSS itself, but its damage model and a few lines of gas-turbine physics, with constants set
so that healthy and failing engines have FD001's means and noise.

Damage (Saxena et al., PHM 2008, "Damage propagation"). The high-pressure compressor loses efficiency
e and flow f, each by an exponential law with its own initial wear d and exponent b, within a life L:

    loss(t) = d + A (exp(a t^b) - 1),   a = ln(1 + M / A) / L^b

and the engine fails when the larger loss leaves no margin, that is, reaches M.

Physics (any gas-turbine text, e.g. Saravanamuttoo et al., Gas Turbine Theory, ch. 2 and 4), at a
constant fan speed and throttle, in °R and psia:

    compression    T30 = T24 (1 + (π^((k-1)/k) - 1) / η),  π = P30 / P24, k = cp/cv
    bleed enthalpy h   = cp T30
    choked bleeds  W   ∝ P30 / √T30
    corrected      NR  = N √(518.67 / T),  T = T2 for the fan, T24 for the core

The rest (T24, T50, P30, Nc, Ps30, phi, BPR) answers linearly to e and f, with FD001's slopes.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from math import exp, log, sqrt
from typing import Final

from twinproof.exchange.cmapss.layout import FIELDS, Snapshot

LIMIT: Final = 0.017
"""M: the relative loss of efficiency or flow at which an engine fails."""

SCALE: Final = 0.002
"""A: how late the loss shows; smaller is later."""

SHORTEST: Final = 128
LONGEST: Final = 362
"""Cycles; the range of lives in FD001."""

_T_STANDARD = 518.67
_T24, _P24, _P30 = 642.3, 28.48, 554.0
_K, _ETA = 1.376, 0.850
_CP = 0.2472
"""Btu/(lb °R), so that the enthalpy is in the range of the files."""

_NOISE: Final = {
    "altitude": 0.0022,
    "mach": 0.0003,
    "T24": 0.30,
    "T30": 4.0,
    "T50": 4.0,
    "P15": 0.002,
    "P30": 0.41,
    "Nf": 0.030,
    "Nc": 4.2,
    "Ps30": 0.10,
    "phi": 0.30,
    "NRf": 0.030,
    "NRc": 3.1,
    "BPR": 0.020,
    "htBleed": 0.93,
    "W31": 0.10,
    "W32": 0.061,
}
"""Standard deviation of one row's noise, from the differences of neighbouring rows in FD001."""


def simulate_fleet(rng: random.Random, units: int) -> Iterator[Snapshot]:
    """The rows of `units` engines, each run to failure; the same seed gives the same rows."""
    for unit in range(1, units + 1):
        yield from simulate_engine(rng, unit)


def simulate_engine(rng: random.Random, unit: int) -> Iterator[Snapshot]:
    """One engine's rows from delivery to failure, about `SHORTEST` to `LONGEST` of them."""
    life = min(max(rng.lognormvariate(log(200), 0.22), SHORTEST), LONGEST)
    # One of the two losses leads and sets the life; the other lags behind.
    lead, lag = life, life * rng.uniform(1.0, 1.3)
    if rng.random() < 0.5:
        lead, lag = lag, lead
    efficiency = (rng.uniform(0, 0.1 * LIMIT), lead, rng.uniform(1.4, 1.6))
    flow = (rng.uniform(0, 0.1 * LIMIT), lag, rng.uniform(1.4, 1.6))
    trim = {"Nc": rng.gauss(0, 6), "Nf": rng.gauss(0, 0.045)}  # no two engines are rigged alike
    for cycle in range(1, LONGEST + 1):
        e = _loss(cycle, *efficiency)
        f = _loss(cycle, *flow)
        yield Snapshot(unit, cycle, _row(rng, e, f, trim))
        if max(e, f) >= LIMIT:
            return


def _loss(cycle: int, wear: float, life: float, b: float) -> float:
    a = log(1 + LIMIT / SCALE) / life**b
    return wear + SCALE * (exp(a * cycle**b) - 1)


def _row(rng: random.Random, e: float, f: float, trim: dict[str, float]) -> tuple[float, ...]:
    true = _physics(e, f, trim)
    values = []
    for field in FIELDS:
        noise = rng.gauss(0, _NOISE[field.name]) if field.name in _NOISE else 0.0
        values.append(round(true[field.name] + noise, field.decimals))
    return tuple(values)


def _physics(e: float, f: float, trim: dict[str, float]) -> dict[str, float]:
    """The noiseless engine with relative losses `e` of HPC efficiency and `f` of HPC flow."""
    t24 = _T24 + 50 * (e + f)
    p30 = _P30 * (1 - 0.16 * (e + f))
    t30 = t24 * (1 + ((p30 / _P24) ** ((_K - 1) / _K) - 1) / (_ETA * (1 - e)))
    bleed = (p30 / _P30) / sqrt(t30 / 1586.5)
    nf = 2388.05 + 6.5 * (e + f) + trim["Nf"]
    nc = 9054 + 3400 * f - 300 * e + trim["Nc"]
    return {
        "altitude": 0.0,
        "mach": 0.0,
        "TRA": 100.0,
        "T2": _T_STANDARD,
        "T24": t24,
        "T30": t30,
        "T50": 1402.0 + 1000 * (e + f),
        "P2": 14.62,
        "P15": 21.61,
        "P30": p30,
        "Nf": nf,
        "Nc": nc,
        "epr": 1.3,
        "Ps30": 47.32 + 30 * (e + f),
        "phi": 522.0 - 82 * (e + f),
        "NRf": nf,
        "NRc": nc * sqrt(_T_STANDARD / t24),
        "BPR": 8.413 + 3.9 * (e + f),
        "farB": 0.03,
        "htBleed": _CP * t30,
        "Nf_dmd": 2388.0,
        "PCNfR_dmd": 100.0,
        "W31": 38.95 * bleed,
        "W32": 23.37 * bleed,
    }
