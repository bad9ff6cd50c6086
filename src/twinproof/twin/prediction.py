"""A prediction of the remaining useful life of an asset: an interval, what made it, and what it was made from.

    {"rul": lower ‖ point ‖ upper ‖ coverage, "unit": text, "model": digest, "reads": [[iss, first, last, digest], …],
     ? "until": index, ? "drivers": {name: x}, ? "episode": text, ? "cycle": name, ? "remarks": [word, …],
     ? "widened": x}

`rul` holds four big-endian float64 (IEEE 754 binary64), finite and not negative, so that their bit patterns order as
unsigned integers and a contract compares them without floating point. `rul` and `unit` come first in the
deterministic order of the keys, so a contract finds them at a fixed place. Normative page: spec/prediction.md.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from twinproof.errors import Malformed, TooLarge
from twinproof.proof import cbor
from twinproof.twin.fields import digest, fields, finite, property_name, text, whole
from twinproof.twin.statement import MAX_SEQ, check_iri

PREDICTION: Final = "application/vnd.twinproof.prediction+cbor"
RUL_SIZE: Final = 32
"""Bytes: four float64."""
MAX_UNIT: Final = 16
"""Characters of a unit, all of them visible ASCII."""
MAX_READS: Final = 256
MAX_DRIVERS: Final = 64
MAX_EPISODE: Final = 64
"""Characters."""
MAX_REMARKS: Final = 32
UNCLAIMED: Final = 0.001
"""Coverage of an interval that was widened: nothing is claimed, and no contract that asks for more acts on it."""

_RUL = struct.Struct(">4d")
_BITS = struct.Struct(">4Q")
_UNIT = re.compile(r"[!-~]{1,16}\Z")
_WORD = re.compile(r"[a-z][a-z-]{0,31}\Z")
_INFINITE: Final = 0x7FF0_0000_0000_0000
"""Bits of the smallest float64 that is not finite; greater still are the rest, and all that are negative."""


@dataclass(frozen=True, slots=True)
class Read:
    """Consecutive statements of one stream about the twin that the model read."""

    issuer: str
    first: int
    """`seq` of the first of them."""
    last: int
    """`seq` of the last of them."""
    digest: bytes
    """SHA-256 of the last statement's bytes; through `prev` it fixes all before it."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """Remaining useful life, in `unit`."""

    lower: float
    point: float
    """The best single estimate; lower ≤ point ≤ upper."""
    upper: float
    coverage: float
    """Probability with which [lower, upper] is meant to hold the true value: 0 < coverage ≤ 1."""
    unit: str
    """Such as `cycles`, `h` or `d`: 1..16 visible ASCII characters."""
    model: bytes
    """SHA-256 of the model's file."""
    reads: tuple[Read, ...]
    """1..256, sorted by issuer and first; those of one stream do not overlap."""
    until: int | None = None
    """Log index below which it read."""
    drivers: Mapping[str, float] = field(default_factory=dict)
    """What moved the estimate, and by how much, in `unit`; at most 64."""
    episode: str | None = None
    """The asset's period of use that this is about, for instance since its last overhaul."""
    cycle: str | None = None
    """Name of the reading that counted the cycles; None: rows were counted from 1."""
    remarks: tuple[str, ...] = ()
    """What the model's rules say about the readings, such as `held` or `gap`; sorted, at most 32."""
    widened: float | None = None
    """The readings were too bad: the model's interval of this coverage was stretched; the coverage is `UNCLAIMED`."""


def format_rul(lower: float, point: float, upper: float, coverage: float) -> bytes:
    """The 32 bytes of `rul`; a negative zero becomes zero."""
    return _RUL.pack(lower + 0.0, point + 0.0, upper + 0.0, coverage + 0.0)


def parse_rul(value: cbor.Value, name: str = "prediction.rul") -> tuple[float, float, float, float]:
    """Lower, point, upper, coverage; raises `Malformed`."""
    if type(value) is not bytes or len(value) != RUL_SIZE:
        raise Malformed(name, f"not {RUL_SIZE} bytes")
    # On the bit patterns, as a contract does it: this refuses NaN, infinities, negative numbers and negative zero.
    low, middle, high, share = _BITS.unpack(value)
    if max(low, middle, high, share) >= _INFINITE:
        raise Malformed(name, "a number that is not finite, or negative")
    if not low <= middle <= high:
        raise Malformed(name, "lower, point and upper are not in this order")
    lower, point, upper, coverage = _RUL.unpack(value)
    if not 0.0 < coverage <= 1.0:
        raise Malformed(name, "coverage is not above 0 and at most 1")
    return lower, point, upper, coverage


def float_bits(value: float) -> int:
    """The float64 bit pattern of a number that is not negative, as contracts compare it."""
    return int.from_bytes(struct.pack(">d", value + 0.0), "big")


def parse_unit(value: cbor.Value, name: str) -> str:
    """A unit of a prediction; raises `Malformed`."""
    if type(value) is not str or not _UNIT.match(value):
        raise Malformed(name, f"not 1..{MAX_UNIT} visible ASCII characters")
    return value


def format_prediction(prediction: Prediction) -> bytes:
    """The payload of a prediction statement."""
    value: dict[int | str, cbor.Value] = {
        "rul": format_rul(prediction.lower, prediction.point, prediction.upper, prediction.coverage),
        "unit": prediction.unit,
        "model": prediction.model,
        "reads": [[read.issuer, read.first, read.last, read.digest] for read in prediction.reads],
    }
    if prediction.until is not None:
        value["until"] = prediction.until
    if prediction.drivers:
        value["drivers"] = dict(prediction.drivers)
    if prediction.episode is not None:
        value["episode"] = prediction.episode
    if prediction.cycle is not None:
        value["cycle"] = prediction.cycle
    if prediction.remarks:
        value["remarks"] = list(prediction.remarks)
    if prediction.widened is not None:
        value["widened"] = prediction.widened
    return cbor.encode(value)


def parse_prediction(payload: bytes, issued_at: int = 0) -> Prediction:
    """Read a prediction payload; raises `Malformed` naming the key."""
    what = "prediction"
    value = fields(cbor.decode(payload, what=what), what, ("rul", "unit", "model", "reads"), _OPTIONAL)
    prediction = Prediction(
        *parse_rul(value["rul"]),
        unit=parse_unit(value["unit"], "prediction.unit"),
        model=digest(value["model"], "prediction.model"),
        reads=_reads(value["reads"]),
        until=whole(value["until"], "prediction.until", 1, MAX_SEQ) if "until" in value else None,
        drivers=_drivers(value["drivers"]) if "drivers" in value else {},
        episode=text(value["episode"], "prediction.episode", MAX_EPISODE) if "episode" in value else None,
        cycle=property_name(value["cycle"], "prediction.cycle") if "cycle" in value else None,
        remarks=_remarks(value["remarks"]) if "remarks" in value else (),
        widened=finite(value["widened"], "prediction.widened") if "widened" in value else None,
    )
    if prediction.widened is not None:
        if not 0 < prediction.widened < 1:
            raise Malformed("prediction.widened", "not between 0 and 1")
        if prediction.coverage != UNCLAIMED:
            raise Malformed("prediction.widened", f"claims the coverage {prediction.coverage}, not {UNCLAIMED}")
    return prediction


_OPTIONAL: Final = ("until", "drivers", "episode", "cycle", "remarks", "widened")


def _remarks(value: cbor.Value) -> tuple[str, ...]:
    name = "prediction.remarks"
    if type(value) is not list or not 0 < len(value) <= MAX_REMARKS:
        raise Malformed(name, f"not an array of 1..{MAX_REMARKS} words")
    if not all(type(word) is str and _WORD.match(word) for word in value):
        raise Malformed(name, "a word is not 1..32 of a-z and -")
    if value != sorted(set(value)):
        raise Malformed(name, "not sorted without repeats")
    return tuple(value)


def _reads(value: cbor.Value) -> tuple[Read, ...]:
    name = "prediction.reads"
    if type(value) is not list or not value:
        raise Malformed(name, "not an array, or empty")
    if len(value) > MAX_READS:
        raise TooLarge(name, f"more than {MAX_READS} members")
    reads = tuple(_read(item, name) for item in value)
    _check_order(reads, name)
    return reads


def _read(value: cbor.Value, name: str) -> Read:
    if type(value) is not list or len(value) != 4:
        raise Malformed(name, "not an array of issuer, first, last and digest")
    issuer, first, last, of_last = value
    read = Read(
        check_iri(issuer, name),
        whole(first, name, 0, MAX_SEQ - 1),
        whole(last, name, 0, MAX_SEQ - 1),
        digest(of_last, name),
    )
    if read.last < read.first:
        raise Malformed(name, f"ends at {read.last}, before its beginning at {read.first}")
    return read


def _check_order(reads: Sequence[Read], name: str) -> None:
    for before, read in pairwise(reads):
        if before.issuer > read.issuer or (before.issuer == read.issuer and before.last >= read.first):
            raise Malformed(name, "not sorted by issuer and first, or ranges of one stream overlap")


def _drivers(value: cbor.Value) -> dict[str, float]:
    name = "prediction.drivers"
    if type(value) is not dict or not value:
        raise Malformed(name, "not a map, or empty")
    if len(value) > MAX_DRIVERS:
        raise TooLarge(name, f"more than {MAX_DRIVERS} members")
    return {property_name(key, name): finite(item, name) for key, item in value.items()}
