"""What the members of payloads have in common: maps of known keys, text, digests, times, changes of properties.

Each function takes a decoded CBOR value and the name of its place, and returns the value or raises
`Malformed` (`TooLarge` for a limit) with that name. Rules: spec/statement.md.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from math import isfinite
from typing import Final

from twinproof.errors import Malformed, TooLarge
from twinproof.proof import cbor
from twinproof.twin.statement import DIGEST_SIZE, HIDDEN, MAX_TIME, shown

MAX_NAME: Final = 128
"""Characters of the name of a property, command or relationship."""
MAX_CHANGES: Final = 2048
"""Members of one `set`, `unset`, `relate` or `unrelate`."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_NAME = re.compile(rf"[^{HIDDEN} ](?:[^{HIDDEN}]*[^{HIDDEN} ])?")


def fields(
    value: cbor.Value, field: str, required: Collection[str], optional: Collection[str] = ()
) -> dict[str, cbor.Value]:
    """A map with the required keys and none but the optional ones beside."""
    if type(value) is not dict:
        raise Malformed(field, "not a map")
    for key in required:
        if key not in value:
            raise Malformed(f"{field}.{key}", "missing")
    known = frozenset(required) | frozenset(optional)
    for key in value:
        if key not in known:
            raise Malformed(field, f"has the unknown key {shown(key)}")
    return value


def text(value: cbor.Value, field: str, limit: int) -> str:
    """Text of 1..`limit` characters without controls other than tab and line feed."""
    if type(value) is not str or not value:
        raise Malformed(field, "not text, or empty")
    if len(value) > limit:
        raise TooLarge(field, f"longer than {limit} characters")
    if _CONTROL.search(value):
        raise Malformed(field, "holds a control character")
    return value


def digest(value: cbor.Value, field: str) -> bytes:
    """A SHA-256 digest."""
    if type(value) is not bytes or len(value) != DIGEST_SIZE:
        raise Malformed(field, f"not a SHA-256 digest of {DIGEST_SIZE} bytes")
    return value


def posix_time(value: cbor.Value, field: str) -> int:
    """A time in whole POSIX seconds."""
    if type(value) is not int or not 0 < value < MAX_TIME:
        raise Malformed(field, "not a whole number of POSIX seconds")
    return value


def property_name(value: cbor.Value, field: str) -> str:
    """What can name a property, command or relationship: no space at an end, no hidden character."""
    name = text(value, field, MAX_NAME)
    if not _NAME.fullmatch(name):
        raise Malformed(field, f"{shown(name)} has a space at an end, or an invisible character")
    return name


def changes(value: dict[str, cbor.Value], key: str, field: str) -> list[cbor.Value]:
    """The array under `key`, absent or of 1..`MAX_CHANGES` members."""
    items = value.get(key, [])
    if type(items) is not list or (key in value and not items):
        raise Malformed(f"{field}.{key}", "not an array, or empty")
    if len(items) > MAX_CHANGES:
        raise TooLarge(f"{field}.{key}", f"more than {MAX_CHANGES} members")
    return items


def property_changes(value: dict[str, cbor.Value], field: str) -> tuple[dict[str, cbor.Value] | None, tuple[str, ...]]:
    """The members `set` (None if absent) and `unset` of a payload."""
    changed = value.get("set", {})
    if type(changed) is not dict or len(changed) > MAX_CHANGES or ("set" in value and not changed):
        raise Malformed(f"{field}.set", f"not a map of 1..{MAX_CHANGES} properties")
    for name in changed:
        property_name(name, f"{field}.set")
    unset = tuple(property_name(name, f"{field}.unset") for name in changes(value, "unset", field))
    if list(unset) != sorted(set(unset)) or not changed.keys().isdisjoint(unset):
        raise Malformed(f"{field}.unset", "not sorted without repeats, or names a property that is set too")
    return changed or None, unset


def octets(value: cbor.Value, field: str, size: int) -> bytes:
    """Just `size` bytes."""
    if type(value) is not bytes or len(value) != size:
        raise Malformed(field, f"not {size} bytes")
    return value


def whole(value: cbor.Value, field: str, low: int, end: int) -> int:
    """An integer from `low` to `end` - 1."""
    if type(value) is not int or not low <= value < end:
        raise Malformed(field, f"not a whole number from {low} to {end - 1}")
    return value


def finite(value: cbor.Value, field: str) -> float:
    """A finite integer or float, as a float."""
    if type(value) not in (int, float) or not isfinite(value):
        raise Malformed(field, "not a finite number")
    return float(value)


def unsigned(value: cbor.Value, field: str) -> int:
    """An integer below 2^256: as 32 bytes from 2^64 on, and only then."""
    if type(value) is bytes and len(value) == 32 and any(value[:24]):
        return int.from_bytes(value, "big")
    if type(value) is not int or value < 0:
        raise Malformed(field, "neither an integer that is not negative nor, from 2^64 on, 32 bytes")
    return value
