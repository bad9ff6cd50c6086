"""A monitor's document: which signals, which detector, when the asset runs, which modes of failure look like what.

A CBOR map; the same members in JSON are the template that people write and `learn` fills in (docs/monitoring.md).
It travels in an alarm rule whose test is `strays` (spec/live.md). A document is read strictly: nothing in it is run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from twinproof.errors import Malformed
from twinproof.prognosis.detectors import Directions
from twinproof.proof import cbor
from twinproof.twin.alarm import MAX_HINT, MAX_MONITOR
from twinproof.twin.fields import fields, finite, text, whole
from twinproof.twin.reading import check_name

MAX_SIGNALS: Final = 64
MAX_CELLS: Final = 64
MAX_MODES: Final = 64
MAX_ROWS: Final = 1_000_000
LARGEST: Final = 1e12
"""Size of a number in a document."""
DETECTORS: Final = ("ewma", "cusum", "mewma", "t2q")
_LIST: Final = ("signals", "detector", "warm_up")
_MORE: Final = ("cycle", "gate", "cells", "settings", "units", "persist", "return", "stuck", "modes", "fleet")


@dataclass(frozen=True, slots=True)
class Cell:
    """One operating regime: where its settings lie, and what the signals are there."""

    within: tuple[tuple[float, float], ...]
    """Lowest and highest value of each setting."""
    mean: tuple[float, ...]
    gain: tuple[float, ...]
    """1 / deviation in the fleet; 0 for a signal that says nothing here."""


@dataclass(frozen=True, slots=True)
class Mode:
    """A mode of failure: which signals rise (1) and fall (-1) in it."""

    name: str
    signals: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Monitor:
    """What a document says."""

    signals: tuple[str, ...]
    detector: str
    """One of `DETECTORS`."""
    weight: float
    limit: float
    """In deviations (ewma, cusum), of T² (mewma), a factor of both limits (t2q)."""
    drift: float
    """cusum."""
    inverse: tuple[tuple[float, ...], ...]
    """mewma: of the covariance of the scaled signals; empty: they are taken for independent."""
    directions: Directions | None
    """t2q."""
    warm_up: int
    """Rows of the asset's own, from its first, that say what is normal for it."""
    cycle: str | None = None
    """The reading that counts cycles; None: rows are counted."""
    gate: str | None = None
    above: float = 0.0
    """The asset runs while its gate signal is above."""
    settle: int = 0
    """Rows after it starts that are passed over."""
    settings: tuple[str, ...] = ()
    cells: tuple[Cell, ...] = ()
    """Empty: one regime, and each asset's own deviations."""
    units: Mapping[str, str] | None = None
    """The unit of a signal, where it is stated; otherwise the first one that is met counts."""
    persist: int = 3
    """Rows over the limit, one after the other, until a raise."""
    back: int = 20
    """Rows not over it until a clear."""
    stuck: int = 30
    """Rows of the same value after which a signal that varied counts as missing; 0: never."""
    modes: tuple[Mode, ...] = ()
    share: float = 0.3
    """Of a model's twins that stray alike within `window`, from which on it is the fleet."""
    window: float = 7 * 86400.0
    """Seconds."""

    @property
    def wanted(self) -> tuple[str, ...]:
        """Signals that rows have: the monitored ones, then the gate if it is none of them."""
        return self.signals if self.gate is None or self.gate in self.signals else (*self.signals, self.gate)


def parse_monitor(data: bytes) -> Monitor:
    """Read a document; raises `Malformed` naming the member."""
    if len(data) > MAX_MONITOR:
        raise Malformed("monitor", f"larger than {MAX_MONITOR} bytes")
    return read_monitor(cbor.decode(data, what="monitor"))


def encode_monitor(value: Mapping[str, Any]) -> bytes:
    """The document of a template, checked; raises `Malformed`."""
    data = cbor.encode({**value})
    parse_monitor(data)
    return data


def read_monitor(value: cbor.Value) -> Monitor:
    """Read a decoded document, or a template out of JSON; raises `Malformed` naming the member."""
    what = "monitor"
    value = fields(value, what, _LIST, _MORE)
    signals = _names(value["signals"], "monitor.signals", MAX_SIGNALS)
    kind, settings = _detector(value["detector"])
    gate = fields(value["gate"], "monitor.gate", ("signal", "above"), ("settle",)) if "gate" in value else {}
    fleet = fields(value.get("fleet", {}), "monitor.fleet", (), ("share", "window"))
    names = _names(value["settings"], "monitor.settings", 16) if "settings" in value else ()
    if "settings" in value and "cells" not in value:
        raise Malformed("monitor.cells", "missing: settings alone make no regimes; let `monitor learn` find them")
    found = Monitor(
        signals=signals,
        detector=kind,
        weight=_between(settings.get("weight", 0.1), f"monitor.{kind}.weight", 1e-6, 1.0),
        limit=_between(settings.get("limit", _LIMITS[kind]), f"monitor.{kind}.limit", 1e-9, LARGEST),
        drift=_between(settings.get("drift", 0.5), f"monitor.{kind}.drift", 0.0, 100.0),
        inverse=_table(settings["inverse"], f"monitor.{kind}.inverse", len(signals)) if "inverse" in settings else (),
        directions=_directions(settings, len(signals)) if kind == "t2q" else None,
        warm_up=whole(value["warm_up"], "monitor.warm_up", 2, MAX_ROWS),
        cycle=_name(value["cycle"], "monitor.cycle") if "cycle" in value else None,
        gate=_name(gate["signal"], "monitor.gate.signal") if gate else None,
        above=_between(gate.get("above", 0.0), "monitor.gate.above", -LARGEST, LARGEST),
        settle=whole(gate.get("settle", 0), "monitor.gate.settle", 0, MAX_ROWS),
        settings=names,
        cells=_cells(value["cells"], len(names), len(signals)) if "cells" in value else (),
        units=_units(value["units"], signals) if "units" in value else None,
        persist=whole(value.get("persist", 3), "monitor.persist", 1, MAX_ROWS),
        back=whole(value.get("return", 20), "monitor.return", 1, MAX_ROWS),
        stuck=whole(value.get("stuck", 30), "monitor.stuck", 0, MAX_ROWS),
        modes=_modes(value["modes"], signals) if "modes" in value else (),
        share=_between(fleet.get("share", 0.3), "monitor.fleet.share", 0.01, 1.0),
        window=_between(fleet.get("window", 7 * 86400.0), "monitor.fleet.window", 1.0, LARGEST),
    )
    if found.stuck == 1:
        raise Malformed("monitor.stuck", "1: every value is the same as itself")
    if set(found.wanted) & {*names, found.cycle}:
        raise Malformed("monitor.signals", "names a setting or the cycle's counter too")
    return found


_LIMITS: Final = {"ewma": 4.0, "cusum": 8.0, "mewma": 40.0, "t2q": 1.0}
_DETECTOR: Final = {
    "ewma": ((), ("weight", "limit")),
    "cusum": ((), ("drift", "limit")),
    "mewma": (("limit",), ("weight", "inverse")),
    "t2q": (("axes", "variances", "t2", "q"), ("weight", "limit")),
}
"""Members that each detector must and may have."""


def _detector(value: cbor.Value) -> tuple[str, dict[str, cbor.Value]]:
    if type(value) is not dict or len(value) != 1 or next(iter(value)) not in _DETECTOR:
        raise Malformed("monitor.detector", f"must hold one of {', '.join(DETECTORS)}")
    ((kind, settings),) = value.items()
    return kind, fields(settings, f"monitor.{kind}", *_DETECTOR[kind])


def _between(value: cbor.Value, field: str, low: float, high: float) -> float:
    number = finite(value, field)
    if not low <= number <= high:
        raise Malformed(field, f"not in {low:g}..{high:g}")
    return number


def _name(value: cbor.Value, field: str) -> str:
    name = text(value, field, 255)
    check_name(name, field)
    return name


def _items(value: cbor.Value, field: str, low: int, high: int) -> list[cbor.Value]:
    if type(value) is not list or not low <= len(value) <= high:
        raise Malformed(field, f"not a list of {low}" + (f" to {high}" if high > low else ""))
    return value


def _names(value: cbor.Value, field: str, limit: int) -> tuple[str, ...]:
    names = tuple(_name(name, field) for name in _items(value, field, 1, limit))
    if len(set(names)) != len(names):
        raise Malformed(field, "names one twice")
    return names


def _numbers(value: cbor.Value, field: str, size: int) -> tuple[float, ...]:
    return tuple(_between(x, field, -LARGEST, LARGEST) for x in _items(value, field, size, size))


def _table(value: cbor.Value, field: str, size: int) -> tuple[tuple[float, ...], ...]:
    return tuple(_numbers(row, field, size) for row in _items(value, field, size, size))


def _directions(settings: dict[str, cbor.Value], size: int) -> Directions:
    axes = _items(settings["axes"], "monitor.t2q.axes", 1, size)
    variances = _numbers(settings["variances"], "monitor.t2q.variances", len(axes))
    limits = [_between(settings[name], f"monitor.t2q.{name}", 1e-9, LARGEST) for name in ("t2", "q")]
    if min(variances) < 1e-9:
        raise Malformed("monitor.t2q.variances", "not positive")
    rows = tuple(_numbers(axis, "monitor.t2q.axes", size) for axis in axes)
    return Directions((0.0,) * size, (1.0,) * size, rows, variances, limits[0], limits[1])


def _cells(value: cbor.Value, settings: int, signals: int) -> tuple[Cell, ...]:
    found = []
    for each in _items(value, "monitor.cells", 1, MAX_CELLS):
        each = fields(each, "monitor.cells", ("within", "mean", "gain"))
        bounds = [_numbers(pair, "monitor.cells.within", 2) for pair in _items(each["within"], "monitor.cells.within",
                                                                              settings, settings)]  # fmt: skip
        gain = _numbers(each["gain"], "monitor.cells.gain", signals)
        if min(gain) < 0 or any(low > high for low, high in bounds):
            raise Malformed("monitor.cells", "a negative gain, or a bound above the other")
        mean = _numbers(each["mean"], "monitor.cells.mean", signals)
        found.append(Cell(tuple((low, high) for low, high in bounds), mean, gain))
    return tuple(found)


def _units(value: cbor.Value, signals: tuple[str, ...]) -> dict[str, str]:
    if type(value) is not dict or not set(value) <= set(signals):
        raise Malformed("monitor.units", "not a map of signals")
    return {name: text(unit, "monitor.units", 64) for name, unit in value.items()}


def _modes(value: cbor.Value, signals: tuple[str, ...]) -> tuple[Mode, ...]:
    found = []
    for each in _items(value, "monitor.modes", 1, MAX_MODES):
        each = fields(each, "monitor.modes", ("name", "signals"))
        wanted = each["signals"]
        if type(wanted) is not dict or not wanted or not set(wanted) <= set(signals):
            raise Malformed("monitor.modes.signals", "not a map of monitored signals")
        if any(way not in ("+", "-") for way in wanted.values()):
            raise Malformed("monitor.modes.signals", "a direction is + or -")
        name = text(each["name"], "monitor.modes.name", MAX_HINT)
        found.append(Mode(name, {signal: 1 if way == "+" else -1 for signal, way in wanted.items()}))
    return tuple(found)
