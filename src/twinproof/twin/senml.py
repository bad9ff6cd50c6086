"""SenML packs in CBOR (RFC 8428 §6), strict and resolved: spec/readings.md.

    [{-2: "urn:dev:ow:10e2073a01080063:", -3: 1320067464, -4: "%RH", 0: "air", 2: 20.5},
     {0: "air", 2: 20.25, 6: 60}]

is, in deterministic CBOR, a pack of two records. A record's labels:

    -1 bver  -2 bn  -3 bt  -4 bu  -5 bv  -6 bs  0 n  1 u  2 v  3 vs  4 vb  5 s  6 t  7 ut  8 vd

`parse_senml` applies the base fields (RFC 8428 §4.6), reads relative times against the statement's
signed `iat`, so the result depends on signed bytes alone, and turns unit symbols into UCUM codes.
Errors name the record by its number, counted from 1 as RFC 8428 §9 does, and the field.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import isfinite
from typing import Any, Final, NamedTuple

from twinproof.errors import Malformed, TooLarge
from twinproof.proof import cbor
from twinproof.twin.reading import (
    MAX_PAYLOAD,
    RELATIVE_BELOW,
    TIME_LIMIT,
    Reading,
    check_name,
    check_size,
    check_time,
)
from twinproof.twin.units import SECONDARY_UNITS, SENML_UNITS, senml_of

__all__ = ["SENML", "Reading", "format_senml", "parse_senml"]

SENML: Final = "application/senml+cbor"
"""Content type of a statement whose payload is a pack (RFC 8428 §12.3)."""

MAX_RECORDS: Final = 8192
"""Records of one pack."""

MAX_INTEGER: Final = 2**53
"""Integers up to this magnitude are exact in every implementation (RFC 8428 §6 asks for doubles)."""

VERSION: Final = 10
"""RFC 8428 §4.1; the default."""

VERSION_SECONDARY: Final = 26
"""Version 10 with feature 4, "secondary units" (RFC 9100 §4)."""

_BVER, _BN, _BT, _BU, _BV, _BS = -1, -2, -3, -4, -5, -6
_N, _U, _V, _VS, _VB, _S, _T, _UT, _VD = range(9)

_LABELS: Final = {
    _BVER: "bver",
    _BN: "bn",
    _BT: "bt",
    _BU: "bu",
    _BV: "bv",
    _BS: "bs",
    _N: "n",
    _U: "u",
    _V: "v",
    _VS: "vs",
    _VB: "vb",
    _S: "s",
    _T: "t",
    _UT: "ut",
    _VD: "vd",
}
_NON_NUMERIC: Final = {_VS: (str, "text"), _VB: (bool, "a boolean"), _VD: (bytes, "a byte string")}


def parse_senml(payload: bytes, issued_at: int) -> list[Reading]:
    """The resolved readings of a pack, in the order of its records.

    `issued_at` is the statement's `iat`, to which relative times refer. Raises `Malformed`
    (`TooLarge` for a limit) that names the record and the field.
    """
    check_size(payload)
    records = cbor.decode(payload, what="SenML pack", max_depth=2)
    if type(records) is not list or not records:
        raise Malformed("SenML pack", "is not an array of at least one record")
    if len(records) > MAX_RECORDS:
        raise TooLarge("SenML pack", f"{len(records)} records; at most {MAX_RECORDS}")
    return _Resolver(issued_at).resolve(records)


class _Shape(NamedTuple):
    """What the labels of a record alone say. Packs repeat few shapes, so each is checked once."""

    has_base: bool
    value: int | None
    """The label of the value field."""
    has_unit: bool
    has_time: bool
    is_rich: bool
    """Has a sum or an update time."""


@lru_cache(maxsize=256)
def _shape(labels: tuple[int | str, ...]) -> _Shape:
    """Raises `ValueError` with (field, reason)."""
    for label in labels:
        if label not in _LABELS:
            if isinstance(label, str) and label.endswith("_"):
                raise ValueError(f"field {label[:40]!r}", "must be understood and is not (RFC 8428 §4.4)")
            raise ValueError(f"field {str(label)[:40]!r}", "no such field")
    values = [int(label) for label in labels if label in (_V, _VS, _VB, _VD)]
    if len(values) > 1:
        raise ValueError(_LABELS[values[1]], f"a second value beside {_LABELS[values[0]]}")
    return _Shape(
        has_base=any(int(label) < 0 for label in labels),
        value=values[0] if values else None,
        has_unit=_U in labels,
        has_time=_T in labels,
        is_rich=_S in labels or _UT in labels,
    )


class _Resolver:
    """The base fields in force, from record to record (RFC 8428 §4.1: each holds until it is set again)."""

    def __init__(self, issued_at: int) -> None:
        self._issued_at = issued_at
        self._version = VERSION
        self._name = ""
        self._time: float | int = 0
        self._unit: str | None = None
        self._value: float | int = 0
        self._sum: float | int | None = None

    def resolve(self, records: list[Any]) -> list[Reading]:
        """The hot path of intake: what is met again in a pack is not checked again, and plain doubles take no call."""
        readings: list[Reading] = []
        names: dict[object, str] = {}
        """Field n -> full name under the base name in force."""
        for number, record in enumerate(records, 1):
            if type(record) is not dict:
                raise Malformed(f"record {number}", "is not a map")
            try:
                has_base, value_label, has_unit, has_time, is_rich = _shape(tuple(record))
            except ValueError as refusal:
                raise _refusal(number, *refusal.args) from None
            if has_base:
                self._take_base(record, number)
                names.clear()
            name = record.get(_N, "")
            full_name = names.get(name) if type(name) is str else None
            if full_name is None:
                full_name = names[name] = self._full_name(name, number)
            unit = self._ucum(record[_U], number, _U) if has_unit else self._unit
            if value_label == _V:
                value = record[_V]
                if type(value) is not float or not isfinite(value):
                    value = _number(value, number, _V)
                if self._value:
                    value = _number(self._value + value, number, _V)
            else:
                value = self._other_value(record, value_label, number)
            time = self._time
            if has_time:
                time += _number(record[_T], number, _T)
            if time < RELATIVE_BELOW:
                time += self._issued_at
            if not 0 <= time < TIME_LIMIT:
                check_time(time, f"record {number}, t")
            total = self._rich(record, number) if is_rich else self._sum
            # A named tuple's own constructor is a Python function and costs twice as much.
            readings.append(tuple.__new__(Reading, (full_name, value, unit, float(time), total)))
        return readings

    def _take_base(self, record: dict[Any, Any], number: int) -> None:
        if _BVER in record:
            version = record[_BVER]
            if type(version) is not int or version not in (VERSION, VERSION_SECONDARY):
                raise _refusal(number, "bver", f"version {version!r:.40} is neither {VERSION} nor {VERSION_SECONDARY}")
            if number > 1 and version != self._version:
                raise _refusal(number, "bver", f"is {version}, but the pack began with {self._version}")
            self._version = version
        if _BN in record:
            self._name = _text(record[_BN], number, _BN)
        if _BT in record:
            self._time = _number(record[_BT], number, _BT)
        if _BU in record:
            self._unit = self._ucum(_text(record[_BU], number, _BU), number, _BU)
        if _BV in record:
            self._value = _number(record[_BV], number, _BV)
        if _BS in record:
            self._sum = _number(record[_BS], number, _BS)

    def _full_name(self, name: object, number: int) -> str:
        full_name = self._name + _text(name, number, _N)
        check_name(full_name, f"record {number}, n")
        return full_name

    def _ucum(self, symbol: object, number: int, label: int) -> str:
        code = SENML_UNITS.get(symbol) if type(symbol) is str else None
        if code is None:
            raise _refusal(number, _LABELS[label], f"{_text(symbol, number, label)!r:.40} is no registered SenML unit")
        if symbol in SECONDARY_UNITS and self._version != VERSION_SECONDARY:
            reason = f"{symbol!r} is a secondary unit, so the pack must begin with bver {VERSION_SECONDARY}"
            raise _refusal(number, _LABELS[label], reason)
        return code

    def _other_value(self, record: dict[Any, Any], label: int | None, number: int) -> str | bool | bytes | None:
        if label is None:
            if _S not in record and self._sum is None:
                raise _refusal(number, "v", "no value and no sum")
            if self._value:
                raise _refusal(number, "v", "a sum without a value under a base value is ambiguous")
            return None
        kind, wanted = _NON_NUMERIC[label]
        value: str | bool | bytes = record[label]
        if type(value) is not kind:
            raise _refusal(number, _LABELS[label], f"is not {wanted}")
        return value

    def _rich(self, record: dict[Any, Any], number: int) -> float | int | None:
        """The sum; and an update time is checked, which says nothing about the reading itself."""
        if _UT in record and _number(record[_UT], number, _UT) < 0:
            raise _refusal(number, "ut", "is negative")
        if _S not in record:
            return self._sum
        total = _number(record[_S], number, _S)
        return _number(self._sum + total, number, _S) if self._sum else total


def _refusal(number: int, field: str, reason: str) -> Malformed:
    return Malformed(f"record {number}, {field}", reason)


def _number(value: Any, number: int, label: int) -> float | int:
    kind = type(value)
    if kind is float:
        if not isfinite(value):
            raise _refusal(number, _LABELS[label], "is not finite")
    elif kind is not int:
        raise _refusal(number, _LABELS[label], "is not a number")
    elif not -MAX_INTEGER <= value <= MAX_INTEGER:
        raise _refusal(number, _LABELS[label], "is an integer beyond 2^53")
    return value  # type: ignore[no-any-return]


def _text(value: object, number: int, label: int) -> str:
    if not isinstance(value, str):
        raise _refusal(number, _LABELS[label], "is not text")
    return value


# --- formatting -----------------------------------------------------------------------------


def format_senml(readings: Sequence[Reading], *, base_name: str = "") -> bytes:
    """The pack of `readings`: parse_senml(format_senml(x), any_time) == x.

    Deterministic and compact: base time, unit and name stand in the first record where they
    shorten the pack. A `base_name` must begin every name; without one, the part up to the last
    : or / that all names share is taken. Raises `cbor.EncodeError` for what a pack cannot say,
    above all a unit without a SenML symbol: such readings go in columns (`twin.columns`).
    """
    if not 0 < len(readings) <= MAX_RECORDS:
        raise cbor.EncodeError(f"a SenML pack holds 1 to {MAX_RECORDS} readings, not {len(readings)}")
    for reading in readings:
        _check(reading)
    symbols = {unit: _symbol(unit, readings) for unit in {reading.unit for reading in readings}}
    first: dict[int, Any] = {}
    if not SECONDARY_UNITS.isdisjoint(symbols.values()):
        first[_BVER] = VERSION_SECONDARY
    if not base_name and len(readings) > 1:
        base_name = _shared_prefix([reading.name for reading in readings])
    if base_name:
        first[_BN] = base_name
    base_time = _base_time([reading.time for reading in readings])
    if base_time:
        first[_BT] = base_time
    base_unit = _base_unit([symbols[reading.unit] for reading in readings])
    if base_unit is not None:
        first[_BU] = base_unit
    records: list[dict[int, Any]] = []
    for reading in readings:
        record = first if not records else {}
        _put_name(record, reading.name, base_name)
        symbol = symbols[reading.unit]
        if symbol != base_unit:
            record[_U] = symbol
        _put_value(record, reading)
        time = _compact(reading.time - base_time)
        if time:
            record[_T] = time
        records.append(record)
    payload = cbor.encode(records)
    if len(payload) > MAX_PAYLOAD:
        raise cbor.EncodeError(f"the SenML pack has {len(payload)} bytes; at most {MAX_PAYLOAD}")
    return payload


def _symbol(unit: str | None, readings: Sequence[Reading]) -> str | None:
    if unit is None:
        return None
    symbol = senml_of(unit)
    if symbol is None:
        name = next(reading.name for reading in readings if reading.unit == unit)
        raise cbor.EncodeError(f"{name}: unit {unit!r} has no SenML symbol; send these readings as columns")
    return symbol


def _shared_prefix(names: list[str]) -> str:
    low, high = min(names), max(names)
    if low == high:
        return low
    end = 0
    while end < len(low) and low[end] == high[end]:  # low < high, so high is not a prefix of low
        end += 1
    return low[: max(low.rfind(":", 0, end), low.rfind("/", 0, end)) + 1]


def _base_time(times: list[float]) -> float | int:
    """The first reading's time, if every other is exactly that plus an offset; otherwise 0, no base."""
    base = _compact(times[0])
    if len(times) == 1 or any(float(base + _compact(time - base)) != time for time in times):
        return 0
    return base


def _base_unit(symbols: list[str | None]) -> str | None:
    """The most frequent symbol. None if a reading has no unit, since nothing takes a base unit back."""
    if None in symbols:
        return None
    base = max(sorted({symbol for symbol in symbols if symbol is not None}), key=symbols.count)
    return base if symbols.count(base) > 1 else None


def _compact(time: float | int) -> float | int:
    """A whole number of seconds as an integer, which is shorter."""
    return int(time) if time == int(time) else time


def _put_name(record: dict[int, Any], name: str, base_name: str) -> None:
    if not name.startswith(base_name):
        raise cbor.EncodeError(f"{name} does not begin with the base name {base_name}")
    if name != base_name:
        record[_N] = name[len(base_name) :]


def _put_value(record: dict[int, Any], reading: Reading) -> None:
    value = reading.value
    if isinstance(value, bool):
        record[_VB] = value
    elif isinstance(value, str):
        record[_VS] = value
    elif isinstance(value, bytes):
        record[_VD] = value
    elif value is not None:
        record[_V] = value
    if reading.sum is not None:
        record[_S] = reading.sum


def _check(reading: Reading) -> None:
    name, value, _, time, total = reading
    try:
        check_name(name, "name")
    except Malformed as refusal:
        raise cbor.EncodeError(str(refusal)) from None
    if value is None and total is None:
        raise cbor.EncodeError(f"{name}: neither value nor sum")
    for number in (value, total):
        if isinstance(number, int) and abs(number) > MAX_INTEGER:
            raise cbor.EncodeError(f"{name}: {number} is beyond 2^53; send it as columns")
        if isinstance(number, float) and not isfinite(number):
            raise cbor.EncodeError(f"{name}: {number!r} is not finite")
    if not RELATIVE_BELOW <= time < TIME_LIMIT:
        raise cbor.EncodeError(f"{name}: time {time!r} is not between July 1978 and the year 9999")
