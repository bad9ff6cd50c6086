"""A trained model as one document: everything that a forecast takes, and nothing that runs.

Deterministic CBOR (RFC 8949 §4.2.1) of a map with text keys; arrays of numbers are byte strings of
big-endian float64, row by row, all finite. The model's name is the SHA-256 of these bytes.

    {"format": "twinproof.rul/1", "unit": "{cycle}", "cap": 125.0,
     "settings": [name …], "signals": [name …],           what a row must bring, in this order
     "regimes": {"intervals": [f64[low, high, low, …] a setting], "cells": [[int …] …]},
     "scale": {"mean": f64[regimes × signals], "gain": f64[the same]},
     "projection": f64[signals × channels],
     "features": {"emas": [spans], "slopes": [windows], "spreads": [windows], "recent": span, "baseline": rows},
     "limits": {"outlier": f64[signals], "stuck": [int …], "hold", "minimum", "short", "gap", "settle",
                "oldest", "widen"},
     "members": [{"weight": w, "trees": LightGBM text},
                 {"weight": w, "network": {"reads": [feature …], "mean": f64, "gain": f64,
                  "layers": [[in, out, f64] …]}}],
     "intervals": {"edges": f64, "levels": [per mille …], "residuals": f64[bins × levels]},
     "card": CBOR of the model card,
     ? "units": [UCUM code or null a setting, then a signal]}

What the numbers mean, step by step: docs/design/prognosis.md. `parse_model` takes bytes from strangers.
"""

from __future__ import annotations

import hashlib
import re
import struct
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, TypeAlias

from twinproof.errors import Malformed, TooLarge
from twinproof.prognosis.trees import Tree, parse_trees
from twinproof.proof import cbor
from twinproof.twin.fields import fields, text
from twinproof.twin.units import MAX_UNIT as MAX_UCUM
from twinproof.twin.units import check_ucum

FORMAT: Final = "twinproof.rul/1"
MAX_MODEL: Final = 64 * 1024 * 1024
MAX_CARD: Final = 256 * 1024
MAX_SIGNALS: Final = 1024
MAX_SETTINGS: Final = 16
MAX_REGIMES: Final = 256
MAX_CELLS: Final = 65_536
"""Combinations of intervals of the settings, occupied or not."""
MAX_CHANNELS: Final = 64
MAX_SPANS: Final = 16
MAX_WINDOW: Final = 1024
MAX_MEMBERS: Final = 16
MAX_LAYERS: Final = 8
MAX_WIDTH: Final = 4096
MAX_BINS: Final = 256
MAX_COUNT: Final = 2**31 - 1
MAX_UNIT: Final = 16
INPUT_LIMIT: Final = 8.0
"""A network sees scaled features between this and its negative: it has learnt nothing beyond."""
MAX_NUMBER: Final = 1e12
"""Of every number in a model, so that no forecast can overflow."""

Floats: TypeAlias = tuple[float, ...]
Rows: TypeAlias = tuple[Floats, ...]


@dataclass(frozen=True, slots=True)
class Regimes:
    """Where the operating settings put a row."""

    intervals: tuple[tuple[tuple[float, float], ...], ...]
    """Per setting, lowest and highest value of each interval, ascending; between and beyond them nothing is known."""
    cells: tuple[tuple[int, ...], ...]
    """Ascending; the regime is the position of the settings' intervals in here."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Which features are made of each channel. Spans and windows in rows."""

    emas: tuple[int, ...] = (3, 8, 20, 40)
    slopes: tuple[int, ...] = (10, 20, 40, 80, 120)
    spreads: tuple[int, ...] = (20,)
    recent: int = 8
    """Span of the average whose distance from the baseline is a feature."""
    baseline: int = 20
    """The first rows, whose mean is a unit's baseline. It is never a feature by itself: it would name the unit."""

    @property
    def depth(self) -> int:
        """Rows that the longest window takes."""
        return max((*self.slopes, *self.spreads))

    def names(self, channels: int) -> tuple[str, ...]:
        """Of all features, in their order."""
        kinds = [f"ema{span}" for span in self.emas] + [f"slope{window}" for window in self.slopes]
        kinds += [f"spread{window}" for window in self.spreads] + ["change"]
        return (*(f"{kind}.{channel}" for kind in kinds for channel in range(channels)), "age")


@dataclass(frozen=True, slots=True)
class Limits:
    """What `quality` judges by."""

    outlier: Floats
    """Per signal, |z| beyond which a value is not believed."""
    stuck: tuple[int, ...]
    """Per signal, rows of one value that are still believed."""
    oldest: int
    """Highest cycle that training saw."""
    hold: int = 5
    minimum: int = 5
    short: int = 20
    gap: int = 20
    """Cycles missing at once that still count as a gap; more is a jump."""
    settle: int = 20
    widen: float = 2.0


@dataclass(frozen=True, slots=True)
class Forest:
    """Trees, and their share in the answer."""

    weight: float
    source: bytes = field(repr=False)
    trees: tuple[Tree, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Layer:
    """`weights` has a row per output; all layers but the last are followed by max(x, 0)."""

    weights: Rows = field(repr=False)
    bias: Floats = field(repr=False)


@dataclass(frozen=True, slots=True)
class Network:
    """A small feed-forward network on some features, scaled: (x - mean) · gain, within ±`INPUT_LIMIT`. One output."""

    weight: float
    reads: tuple[int, ...]
    """Which features, ascending."""
    mean: Floats = field(repr=False)
    gain: Floats = field(repr=False)
    layers: tuple[Layer, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Intervals:
    """Conformal residuals (true minus predicted) by bins of the prediction."""

    edges: Floats
    """Ascending; the bin of a prediction is how many edges are at or below it."""
    levels: tuple[int, ...]
    """Per mille, ascending."""
    residuals: Rows
    """Per bin, one per level, ascending."""

    def columns(self, coverage: int) -> tuple[int, int]:
        """Which residuals bound an interval of `coverage` per mille. Raises `Malformed` if the table has it not."""
        tail, odd = divmod(1000 - coverage, 2)
        if not 0 < coverage < 1000 or odd or tail not in self.levels or 1000 - tail not in self.levels:
            raise Malformed("coverage", f"the model has no interval of {coverage} per mille")
        return self.levels.index(tail), self.levels.index(1000 - tail)


@dataclass(frozen=True, slots=True)
class Model:
    """See the module."""

    unit: str
    """UCUM code of what is counted, and of every number that comes out."""
    cap: float
    """Highest answer: beyond it wear does not show yet."""
    settings: tuple[str, ...]
    signals: tuple[str, ...]
    regimes: Regimes
    mean: Rows
    gain: Rows
    """Per regime and signal: z = (x - mean) · gain; 0 where the signal says nothing in this regime."""
    projection: Rows
    """Per signal, its weight in each channel."""
    plan: Plan
    limits: Limits
    members: tuple[Forest | Network, ...]
    intervals: Intervals
    card: bytes = b"\xa0"
    units: tuple[str | None, ...] | None = None
    """Of settings, then signals, as they were in training; None: the model does not say, and takes any."""

    @property
    def channels(self) -> int:
        return len(self.projection[0])


def digest_model(data: bytes) -> bytes:
    """What a prediction statement names the model by."""
    return hashlib.sha256(data).digest()


# --- writing --------------------------------------------------------------------------------


def format_model(model: Model) -> bytes:
    """The one document of `model`; raises `Malformed` if `parse_model` would not take it."""
    limits, regimes, intervals = model.limits, model.regimes, model.intervals
    data = cbor.encode(
        {
            "format": FORMAT,
            "unit": model.unit,
            "cap": model.cap,
            "settings": list(model.settings),
            "signals": list(model.signals),
            "regimes": {
                "intervals": [_pack(intervals) for intervals in regimes.intervals],
                "cells": [list(cell) for cell in regimes.cells],
            },
            "scale": {"mean": _pack(model.mean), "gain": _pack(model.gain)},
            "projection": _pack(model.projection),
            "features": {name: _plain(getattr(model.plan, name)) for name in _PLAN},
            "limits": {
                "outlier": _pack([limits.outlier]),
                "stuck": list(limits.stuck),
                "widen": limits.widen,
                **{name: getattr(limits, name) for name in _COUNTS},
            },
            "members": [_format_member(member) for member in model.members],
            "intervals": {
                "edges": _pack([intervals.edges]),
                "levels": list(intervals.levels),
                "residuals": _pack(intervals.residuals),
            },
            "card": model.card,
            **({} if model.units is None else {"units": list(model.units)}),
        }
    )
    parse_model(data)
    return data


_PLAN: Final = ("emas", "slopes", "spreads", "recent", "baseline")
_COUNTS: Final = ("oldest", "hold", "minimum", "short", "gap", "settle")


def _plain(value: int | tuple[int, ...]) -> cbor.Value:
    return value if isinstance(value, int) else list(value)


def _pack(rows: tuple[tuple[float, ...], ...] | list[Floats]) -> bytes:
    flat = [float(x) for row in rows for x in row]
    return struct.pack(f">{len(flat)}d", *flat)


def _format_member(member: Forest | Network) -> cbor.Value:
    if isinstance(member, Forest):
        return {"weight": member.weight, "trees": member.source}
    layers = [[len(layer.weights[0]), len(layer.bias), _pack([*layer.weights, layer.bias])] for layer in member.layers]
    network = {
        "reads": list(member.reads),
        "mean": _pack([member.mean]),
        "gain": _pack([member.gain]),
        "layers": layers,
    }
    return {"weight": member.weight, "network": network}


# --- reading --------------------------------------------------------------------------------


def parse_model(data: bytes) -> Model:
    """The model whose document is `data`. Raises `Malformed` (`TooLarge`) that names the field."""
    if len(data) > MAX_MODEL:
        raise TooLarge("model", f"more than {MAX_MODEL} bytes")
    top = fields(cbor.decode(data, what="model", max_depth=8), "model", _TOP, ("units",))
    if top["format"] != FORMAT:
        raise Malformed("model.format", f"not {FORMAT!r}")
    settings = _names(top["settings"], "model.settings", MAX_SETTINGS)
    signals = _names(top["signals"], "model.signals", MAX_SIGNALS)
    if not signals or set(settings) & set(signals):
        raise Malformed("model.signals", "none, or one that is a setting too")
    regimes = _regimes(top["regimes"], len(settings))
    scale = fields(top["scale"], "model.scale", ("mean", "gain"))
    count = len(regimes.cells)
    projection = _matrix(top["projection"], len(signals), None, "model.projection", MAX_CHANNELS)
    plan = _plan(top["features"])
    width = len(plan.names(len(projection[0])))
    cap = _positive(top["cap"], "model.cap")
    if type(top["card"]) is not bytes or len(top["card"]) > MAX_CARD:
        raise Malformed("model.card", f"not a byte string, or more than {MAX_CARD} bytes")
    return Model(
        text(top["unit"], "model.unit", MAX_UNIT),
        cap,
        settings,
        signals,
        regimes,
        _matrix(scale["mean"], count, len(signals), "model.scale.mean"),
        _matrix(scale["gain"], count, len(signals), "model.scale.gain"),
        projection,
        plan,
        _limits(top["limits"], len(signals)),
        _members(top["members"], width),
        _intervals(top["intervals"]),
        top["card"],
        _units(top["units"], len(settings) + len(signals)) if "units" in top else None,
    )


def _units(value: cbor.Value, count: int) -> tuple[str | None, ...]:
    units = _array(value, "model.units", MAX_SIGNALS + MAX_SETTINGS, count)
    for unit in units:
        if unit is not None:
            check_ucum(text(unit, "model.units", MAX_UCUM), "model.units")
    return tuple(units)


_TOP: Final = (
    "format", "unit", "cap", "settings", "signals", "regimes", "scale", "projection", "features", "limits", "members",
    "intervals", "card",
)  # fmt: skip


def _regimes(value: cbor.Value, settings: int) -> Regimes:
    what = "model.regimes"
    found = fields(value, what, ("intervals", "cells"))
    intervals = []
    combinations = 1
    for number, item in enumerate(_array(found["intervals"], f"{what}.intervals", MAX_SETTINGS, settings)):
        where = f"{what}.intervals.{number}"
        pairs = _matrix(item, len(_bytes(item, where)) // 16, 2, where)
        ends = [end for pair in pairs for end in pair]
        if not pairs or any(a > b for a, b in pairs) or any(a >= b for a, b in pairwise(ends[1:-1])):
            raise Malformed(where, "none, or not ascending and apart")
        intervals.append(tuple((low, high) for low, high in pairs))
        combinations *= len(pairs)
    if combinations > MAX_CELLS:
        raise TooLarge(f"{what}.intervals", f"more than {MAX_CELLS} combinations")
    cells = []
    for number, item in enumerate(_array(found["cells"], f"{what}.cells", MAX_REGIMES)):
        cell = _counts(item, f"{what}.cells.{number}", settings, 0)
        if not all(at < len(of) for at, of in zip(cell, intervals, strict=True)):
            raise Malformed(f"{what}.cells.{number}", "names an interval that is not there")
        cells.append(cell)
    if not cells or any(a >= b for a, b in pairwise(cells)):
        raise Malformed(f"{what}.cells", "none, or not ascending")
    return Regimes(tuple(intervals), tuple(cells))


def _plan(value: cbor.Value) -> Plan:
    what = "model.features"
    found = fields(value, what, _PLAN)
    lists = []
    for name in _PLAN[:3]:
        spans = _counts(found[name], f"{what}.{name}", None, 1, MAX_WINDOW)
        if not 0 < len(spans) <= MAX_SPANS or any(a >= b for a, b in pairwise(spans)):
            raise Malformed(f"{what}.{name}", f"not 1 to {MAX_SPANS} ascending numbers")
        lists.append(spans)
    recent, baseline = (_count(found[name], f"{what}.{name}", 1, MAX_WINDOW) for name in _PLAN[3:])
    if recent not in lists[0]:
        raise Malformed(f"{what}.recent", "not one of the emas")
    return Plan(lists[0], lists[1], lists[2], recent, baseline)


def _limits(value: cbor.Value, signals: int) -> Limits:
    what = "model.limits"
    found = fields(value, what, ("outlier", "stuck", "widen", *_COUNTS))
    outlier = _matrix(found["outlier"], 1, signals, f"{what}.outlier")[0]
    if not all(limit > 0 for limit in outlier):
        raise Malformed(f"{what}.outlier", "not positive")
    widen = _positive(found["widen"], f"{what}.widen")
    counts = {name: _count(found[name], f"{what}.{name}", 1, MAX_COUNT) for name in _COUNTS}
    return Limits(outlier, _counts(found["stuck"], f"{what}.stuck", signals, 1), widen=widen, **counts)


def _members(value: cbor.Value, width: int) -> tuple[Forest | Network, ...]:
    members: list[Forest | Network] = []
    for number, item in enumerate(_array(value, "model.members", MAX_MEMBERS)):
        what = f"model.members.{number}"
        found = fields(item, what, ("weight",), ("trees", "network"))
        if len(found) != 2:
            raise Malformed(what, "neither trees nor network, or both")
        weight = _positive(found["weight"], f"{what}.weight")
        if "trees" in found:
            source = _bytes(found["trees"], f"{what}.trees")
            members.append(Forest(weight, source, parse_trees(source, width, f"{what}.trees")))
        else:
            members.append(_network(found["network"], weight, width, f"{what}.network"))
    if not members:
        raise Malformed("model.members", "none")
    return tuple(members)


def _network(value: cbor.Value, weight: float, width: int, what: str) -> Network:
    found = fields(value, what, ("reads", "mean", "gain", "layers"))
    reads = _counts(found["reads"], f"{what}.reads", None, 0, width - 1)
    if not reads or any(a >= b for a, b in pairwise(reads)):
        raise Malformed(f"{what}.reads", "none, or not ascending")
    layers = []
    inputs = len(reads)
    for number, item in enumerate(_array(found["layers"], f"{what}.layers", MAX_LAYERS)):
        where = f"{what}.layers.{number}"
        taken, given, packed = _array(item, where, 3, 3)
        outputs = _count(given, where, 1, MAX_WIDTH)
        if type(taken) is not int or taken != inputs:
            raise Malformed(where, f"does not take {inputs} numbers")
        flat = _matrix(packed, 1, inputs * outputs + outputs, where)[0]
        rows = tuple(flat[at : at + inputs] for at in range(0, inputs * outputs, inputs))
        layers.append(Layer(rows, flat[inputs * outputs :]))
        inputs = outputs
    if not layers or inputs != 1:
        raise Malformed(f"{what}.layers", "do not end in one number")
    mean, gain = (_matrix(found[key], 1, len(reads), f"{what}.{key}")[0] for key in ("mean", "gain"))
    return Network(weight, reads, mean, gain, tuple(layers))


def _intervals(value: cbor.Value) -> Intervals:
    what = "model.intervals"
    found = fields(value, what, ("edges", "levels", "residuals"))
    edges = _ascending(found["edges"], f"{what}.edges")
    if len(edges) >= MAX_BINS:
        raise TooLarge(f"{what}.edges", f"more than {MAX_BINS} bins")
    levels = _counts(found["levels"], f"{what}.levels", None, 1, 999)
    if not levels or any(a >= b for a, b in pairwise(levels)):
        raise Malformed(f"{what}.levels", "none, or not ascending")
    residuals = _matrix(found["residuals"], len(edges) + 1, len(levels), f"{what}.residuals")
    if any(a > b for row in residuals for a, b in pairwise(row)):
        raise Malformed(f"{what}.residuals", "not ascending within a bin")
    return Intervals(edges, levels, residuals)


_NAME: Final = re.compile(r"[!-~]{1,128}")


def _names(value: cbor.Value, what: str, limit: int) -> tuple[str, ...]:
    names = _array(value, what, limit)
    if not all(type(name) is str and _NAME.fullmatch(name) for name in names) or len(set(names)) != len(names):
        raise Malformed(what, "not all are different names of 1..128 printable ASCII characters")
    return tuple(names)


def _array(value: cbor.Value, what: str, limit: int, count: int | None = None) -> list[cbor.Value]:
    if type(value) is not list or (count is not None and len(value) != count):
        raise Malformed(what, "not an array" + ("" if count is None else f" of {count}"))
    if len(value) > limit:
        raise TooLarge(what, f"more than {limit}")
    return value


def _bytes(value: cbor.Value, what: str) -> bytes:
    if type(value) is not bytes:
        raise Malformed(what, "not a byte string")
    return value


def _count(value: cbor.Value, what: str, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise Malformed(what, f"not a whole number in {low}..{high}")
    return value


def _counts(value: cbor.Value, what: str, count: int | None, low: int, high: int = MAX_COUNT) -> tuple[int, ...]:
    return tuple(_count(item, what, low, high) for item in _array(value, what, MAX_SIGNALS, count))


def _positive(value: cbor.Value, what: str) -> float:
    if type(value) is not float or not 0 < value <= MAX_NUMBER:
        raise Malformed(what, f"not a positive float up to {MAX_NUMBER:g}")
    return value


def _ascending(value: cbor.Value, what: str) -> Floats:
    size = len(_bytes(value, what)) // 8
    numbers = _matrix(value, 1, size, what)[0] if size else ()
    if len(value) != 8 * size or any(a >= b for a, b in pairwise(numbers)):
        raise Malformed(what, "not ascending float64 numbers")
    return numbers


def _matrix(value: cbor.Value, rows: int, columns: int | None, what: str, limit: int = 0) -> Rows:
    """`rows` × `columns` finite numbers; without `columns`, as many as fill the bytes, 1..`limit`."""
    size = len(_bytes(value, what))
    if columns is None:
        columns = size // (8 * rows)
        if not 1 <= columns <= limit:
            raise Malformed(what, f"not {rows} rows of 1..{limit} float64 numbers")
    if size != 8 * rows * columns:
        raise Malformed(what, f"not {rows} rows of {columns} float64 numbers")
    flat = struct.unpack(f">{rows * columns}d", value)
    if not all(-MAX_NUMBER <= x <= MAX_NUMBER for x in flat):
        raise Malformed(what, f"not all are within ±{MAX_NUMBER:g}")
    return tuple(flat[at : at + columns] for at in range(0, rows * columns, columns))
