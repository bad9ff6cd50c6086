"""What is kept of one twin's history, as a document: a node that restarts need not read the whole log again.

Both implementations write and read it, so that one can go on where the other stopped.

    {"format": "twinproof.rul-state/2", "model": SHA-256 of the model,
     "counts": [cycle, rows, since gap, since jump, unknown, reasons],     cycle -1: no row yet
     "run": [int a signal], "bad": [int a signal],
     "numbers": f64, big-endian: held, last (NaN: none yet), average sums and masses, base, features, windows,
                levels, origins}

It is derived data: a view, to be dropped and made again, never evidence.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from math import inf, nan
from typing import Final

from twinproof.errors import Malformed
from twinproof.prognosis.model import Model
from twinproof.prognosis.record import MAX_CYCLE
from twinproof.proof import cbor
from twinproof.twin.fields import digest, fields

FORMAT: Final = "twinproof.rul-state/2"

_NAN: Final = struct.pack(">Q", 0x7FF8000000000000)


@dataclass(frozen=True, slots=True)
class TwinState:
    """After some rows. Rows of tables one after the other."""

    counts: tuple[int, int, int, int, int, int]
    """cycle, rows of known regimes, rows since a gap, since a jump, rows of unknown regimes on end, reasons."""
    run: tuple[int, ...]
    bad: tuple[int, ...]
    """Per signal."""
    held: tuple[float, ...]
    last: tuple[float, ...]
    """Per signal."""
    sums: tuple[float, ...]
    """Averages × channels."""
    masses: tuple[float, ...]
    """Per average."""
    base: tuple[float, ...]
    """Per channel."""
    features: tuple[float, ...]
    window: tuple[float, ...]
    """Rows back × channels."""
    levels: tuple[float, ...]
    """Per signal, the sum behind its recent average."""
    origins: tuple[float, ...]
    """Per signal, the sum of the first rows."""


_TABLES: Final = ("held", "last", "sums", "masses", "base", "features", "window", "levels", "origins")


def _sizes(model: Model) -> tuple[int, ...]:
    signals, channels, plan = len(model.signals), model.channels, model.plan
    averages = len(plan.emas)
    features = len(plan.names(channels))
    return signals, signals, averages * channels, averages, channels, features, plan.depth * channels, signals, signals


def format_state(state: TwinState, model: bytes) -> bytes:
    """The one document of a state under the model with this digest."""
    numbers = [x for name in _TABLES for x in getattr(state, name)]
    return cbor.encode(
        {
            "format": FORMAT,
            "model": model,
            "counts": list(state.counts),
            "run": list(state.run),
            "bad": list(state.bad),
            "numbers": b"".join(struct.pack(">d", x) if x == x else _NAN for x in numbers),
        }
    )


def parse_state(data: bytes, model: Model, name: bytes) -> TwinState:
    """The state in `data`, for `model`, whose digest is `name`. Raises `Malformed` that names the field."""
    found = fields(
        cbor.decode(data, what="state", max_depth=3), "state", ("format", "model", "counts", "run", "bad", "numbers")
    )
    if found["format"] != FORMAT:
        raise Malformed("state.format", f"not {FORMAT!r}")
    if digest(found["model"], "state.model") != name:
        raise Malformed("state.model", "another model's state")
    counts = _counts(found["counts"], 6, -1, "state.counts")
    if min(counts[1:]) < 0:
        raise Malformed("state.counts", "negative")
    signals = len(model.signals)
    run, bad = (_counts(found[key], signals, 0, f"state.{key}") for key in ("run", "bad"))
    sizes = _sizes(model)
    packed = found["numbers"]
    if type(packed) is not bytes or len(packed) != 8 * sum(sizes):
        raise Malformed("state.numbers", f"not {sum(sizes)} float64 numbers")
    flat = struct.unpack(f">{sum(sizes)}d", packed)
    tables, at = [], 0
    for table, size in zip(_TABLES, sizes, strict=True):
        values = flat[at : at + size]
        at += size
        if table == "last":
            values = tuple(nan if x != x else x for x in values)
        if not all(-inf < x < inf or (table == "last" and x != x) for x in values):
            raise Malformed(f"state.{table}", "not all are finite")
        tables.append(values)
    if min(tables[3]) < 0:
        raise Malformed("state.masses", "negative")
    return TwinState((counts[0], counts[1], counts[2], counts[3], counts[4], counts[5]), run, bad, *tables)


def _counts(value: cbor.Value, size: int, low: int, what: str) -> tuple[int, ...]:
    if type(value) is not list or len(value) != size:
        raise Malformed(what, f"not {size} numbers")
    if not all(type(x) is int and low <= x <= MAX_CYCLE for x in value):
        raise Malformed(what, f"not all are whole numbers in {low}..{MAX_CYCLE}")
    return tuple(value)
