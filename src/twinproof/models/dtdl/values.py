"""Checks of values against the language's own schemas: primitives, geospatial shapes, scaled decimals.

Every check takes a JSON-like value (None, bool, int, float, str, bytes, list, dict) and the nesting depth, and answers
None or a `Fault`. Numbers are never coerced: `3.0` is no integer, `"3"` no number, `true` neither.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

from twinproof.models.dtdl.facts.extensions import DURATION

Fault: TypeAlias = tuple[str, str]
"""Where inside the value (such as `.x[2]`), and what is wrong there."""
Check: TypeAlias = Callable[[Any, int], Fault | None]

MAX_DEPTH = 100
"""Nesting of values; recursive schemas allow any."""
_DOUBLE = 1.7976931348623157e308
_FLOAT = 3.4028234663852886e38
_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_TIME = re.compile(r"([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.[0-9]+)?(?:Z|[+-]([0-9]{2}):([0-9]{2}))")
_DURATION = re.compile(DURATION)
_DECIMAL = re.compile(r"[+-]?(?:[1-9][0-9]*|0)(?:\.[0-9]*)?")
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def kind_of(value: object) -> str:
    """A value's kind, for messages."""
    if value is None:
        return "null"
    names = {bool: "a boolean", int: "an integer", float: "a number", str: "a string", bytes: "bytes", list: "an array"}
    return names.get(type(value), "an object" if isinstance(value, dict) else f"a {type(value).__name__}")


def _integers(name: str, low: int, high: int) -> Check:
    def check(value: Any, depth: int) -> Fault | None:
        if type(value) is int:
            return None if low <= value <= high else ("", f"the number is outside {name}, {low} to {high}")
        return "", f"{kind_of(value)} is no {name}"

    return check


def _numbers(name: str, most: float) -> Check:
    def check(value: Any, depth: int) -> Fault | None:
        if type(value) is float or type(value) is int:
            return None if -most <= value <= most else ("", f"the number is not a finite {name}")
        return "", f"{kind_of(value)} is no {name}"

    return check


def _texts(name: str, fits: Callable[[str], object]) -> Check:
    def check(value: Any, depth: int) -> Fault | None:
        if not isinstance(value, str):
            return "", f"{kind_of(value)} is no {name}"
        return None if fits(value) else ("", f"{value[:60]!r} is no {name}")

    return check


def is_date(text: str) -> bool:
    """A day of the calendar, RFC 3339 full-date."""
    match = _DATE.fullmatch(text)
    if not match:
        return False
    year, month, day = (int(part) for part in match.groups())
    if not (1 <= month <= 12 and 1 <= day <= _DAYS[month - 1]):
        return False
    return month != 2 or day < 29 or (year % 4 == 0 and (year % 100 != 0 or year % 400 == 0))


def is_time(text: str) -> bool:
    """A time with its offset, RFC 3339 full-time; a leap second is fine."""
    match = _TIME.fullmatch(text)
    if not match:
        return False
    hour, minute, second, offset_hour, offset_minute = (int(part or 0) for part in match.groups())
    return hour < 24 and minute < 60 and second < 61 and offset_hour < 24 and offset_minute < 60


def is_date_time(text: str) -> bool:
    """RFC 3339 date-time with an upper-case T and Z."""
    return text[10:11] == "T" and is_date(text[:10]) and is_time(text[11:])


def _boolean(value: Any, depth: int) -> Fault | None:
    return None if value is True or value is False else ("", f"{kind_of(value)} is no boolean")


def _bytes(value: Any, depth: int) -> Fault | None:
    if isinstance(value, bytes) or (isinstance(value, str) and _BASE64.fullmatch(value)):
        return None
    return "", f"{kind_of(value)} is neither bytes nor base64 (RFC 4648)"


PRIMITIVE: Mapping[str, Check] = MappingProxyType({
    "Boolean": _boolean,
    "Byte": _integers("byte", -(1 << 7), (1 << 7) - 1),
    "Short": _integers("short", -(1 << 15), (1 << 15) - 1),
    "Integer": _integers("integer", -(1 << 31), (1 << 31) - 1),
    "Long": _integers("long", -(1 << 63), (1 << 63) - 1),
    "UnsignedByte": _integers("unsignedByte", 0, (1 << 8) - 1),
    "UnsignedShort": _integers("unsignedShort", 0, (1 << 16) - 1),
    "UnsignedInteger": _integers("unsignedInteger", 0, (1 << 32) - 1),
    "UnsignedLong": _integers("unsignedLong", 0, (1 << 64) - 1),
    "Double": _numbers("double", _DOUBLE),
    "Float": _numbers("float", _FLOAT),
    "Decimal": _texts("decimal", _DECIMAL.fullmatch),
    "Date": _texts("date", is_date),
    "DateTime": _texts("dateTime", is_date_time),
    "Time": _texts("time", is_time),
    "Duration": _texts("duration", _DURATION.fullmatch),
    "String": _texts("string", lambda text: True),
    "Bytes": _bytes,
    "Uuid": _texts("uuid", _UUID.fullmatch),
})  # fmt: skip
"""Class of a primitive schema -> its check."""


# --- composed values --------------------------------------------------------------------------


def arrays(element: Check, least: int = 0) -> Check:
    """Arrays whose elements pass `element`."""

    def check(value: Any, depth: int) -> Fault | None:
        if not isinstance(value, (list, tuple)):
            return "", f"{kind_of(value)} is no array"
        if depth >= MAX_DEPTH:
            return "", f"nested deeper than {MAX_DEPTH} levels"
        if len(value) < least:
            return "", f"has {len(value)} elements, at least {least} are needed"
        for number, item in enumerate(value):
            fault = element(item, depth + 1)
            if fault:
                return f"[{number}]{fault[0]}", fault[1]
        return None

    return check


def maps(element: Check) -> Check:
    """Objects with any string keys, whose values pass `element`."""

    def check(value: Any, depth: int) -> Fault | None:
        if not isinstance(value, dict):
            return "", f"{kind_of(value)} is no map"
        if depth >= MAX_DEPTH:
            return "", f"nested deeper than {MAX_DEPTH} levels"
        for key, item in value.items():
            if not isinstance(key, str):
                return "", f"a key of the map is {kind_of(key)}, not a string"
            fault = element(item, depth + 1)
            if fault:
                return f".{key[:60]}{fault[0]}", fault[1]
        return None

    return check


def objects(fields: Mapping[str, Check], required: frozenset[str]) -> Check:
    """Objects with these fields and no others; those not `required` may be left out."""

    def check(value: Any, depth: int) -> Fault | None:
        if not isinstance(value, dict):
            return "", f"{kind_of(value)} is no object"
        if depth >= MAX_DEPTH:
            return "", f"nested deeper than {MAX_DEPTH} levels"
        for name, item in value.items():
            inner = fields.get(name) if isinstance(name, str) else None
            if inner is None:
                return "", f"the schema has no field {str(name)[:60]!r}"
            fault = inner(item, depth + 1)
            if fault:
                return f".{name}{fault[0]}", fault[1]
        missing = required.difference(value)
        return ("", f"field {min(missing)} is missing") if missing else None

    return check


def enums(values: frozenset[Any], of: type) -> Check:
    """One of the values, of exactly that type."""
    few = ", ".join(sorted(map(repr, values))[:12])

    def check(value: Any, depth: int) -> Fault | None:
        if type(value) is of and value in values:
            return None
        given = f"{value[:40]!r}" if isinstance(value, str) else kind_of(value)
        return "", f"{given} is not among the enum's values: {few}"

    return check


# --- standard objects -------------------------------------------------------------------------


def _ring(value: Any, depth: int) -> Fault | None:
    """A closed line of a polygon, RFC 7946 section 3.1.6."""
    fault = arrays(_POSITION, 4)(value, depth)
    return fault or (None if value[0] == value[-1] else ("", "a polygon's ring does not end where it begins"))


_POSITION = arrays(PRIMITIVE["Double"], 2)


def _shape(name: str, coordinates: Check) -> Check:
    return objects(
        {"type": enums(frozenset({name}), str), "coordinates": coordinates}, frozenset({"type", "coordinates"})
    )


def _vector(*names: str) -> Check:
    return objects(dict.fromkeys(names, PRIMITIVE["Double"]), frozenset())


_SCALED = {"scale": PRIMITIVE["Short"], "value": PRIMITIVE["Decimal"]}

STANDARD_OBJECTS: Mapping[str, Check] = MappingProxyType({
    "point": _shape("Point", _POSITION),
    "multiPoint": _shape("MultiPoint", arrays(_POSITION)),
    "lineString": _shape("LineString", arrays(_POSITION, 2)),
    "multiLineString": _shape("MultiLineString", arrays(arrays(_POSITION, 2))),
    "polygon": _shape("Polygon", arrays(_ring)),
    "multiPolygon": _shape("MultiPolygon", arrays(arrays(_ring))),
    "scaledDecimal": objects(_SCALED, frozenset(_SCALED)),
    "vector": _vector("x", "y", "z"),
    "geopoint": _vector("lon", "lat", "alt"),
})  # fmt: skip
"""Term of a standard Object -> its check. The geospatial ones follow GeoJSON (RFC 7946)."""
