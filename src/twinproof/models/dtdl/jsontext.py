"""Reads JSON strictly (RFC 8259): no duplicate members, no NaN, bounded depth; and measures objects in the text."""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[\]{}]', re.DOTALL)
_MOST_BITS = 4096
"""Of an integer in an already parsed value; a text's are bounded by the interpreter."""


class BadJson(ValueError):
    """The text is not JSON as wanted here; the message says why."""


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise BadJson(f"an object has member {name[:60]!r} twice")
            seen.add(name)
    return found


def _constant(name: str) -> NoReturn:
    raise BadJson(f"{name} is not a JSON number")


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise BadJson(f"number {text[:40]} is out of range")
    return number


def read(data: str | bytes, max_bytes: int, max_depth: int) -> Any:
    """The value that `data` says. A byte order mark is skipped. Raises: BadJson."""
    if len(data) > max_bytes:
        raise BadJson(f"the document is larger than {max_bytes} bytes")
    if isinstance(data, bytes):
        try:
            data = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise BadJson(f"not UTF-8 at byte {error.start}") from None
    data = data.removeprefix("\ufeff")
    depth = 0
    for match in _TOKEN.finditer(data):
        mark = match[0]
        if mark in "[{":
            depth += 1
            if depth > max_depth:
                raise BadJson(f"nested deeper than {max_depth} levels at character {match.start()}")
        elif mark in "]}":
            depth -= 1
    try:
        return json.loads(data, object_pairs_hook=_members, parse_constant=_constant, parse_float=_float)
    except BadJson:
        raise
    except (ValueError, RecursionError) as error:
        raise BadJson(str(error)[:200] or "nested too deep") from None


def check_value(value: object, max_values: int, max_depth: int) -> int:
    """Checks that an already parsed value is JSON; answers of how many values it consists. Raises: BadJson."""
    waiting: list[tuple[object, int]] = [(value, 1)]
    count = 0
    while waiting:
        item, depth = waiting.pop()
        count += 1
        if count > max_values:
            raise BadJson(f"the document is larger than {max_values} values")
        if item is None or isinstance(item, (str, bool)):
            continue
        if isinstance(item, int):
            if item.bit_length() > _MOST_BITS:
                raise BadJson("a number has too many digits")
            continue
        if isinstance(item, float):
            if not math.isfinite(item):
                raise BadJson(f"{item} is not a JSON number")
        elif not isinstance(item, (dict, list)):
            raise BadJson(f"a value of type {type(item).__name__} is not JSON")
        elif depth > max_depth:
            raise BadJson(f"nested deeper than {max_depth} levels")
        elif isinstance(item, dict):
            if not all(isinstance(name, str) for name in item):
                raise BadJson("an object has a member whose name is not a string")
            waiting += [(member, depth + 1) for member in item.values()]
        else:
            waiting += [(member, depth + 1) for member in item]
    return count


def object_sizes(text: str) -> list[int]:
    """UTF-8 bytes of each object in the text, braces included, in the order in which the objects begin."""
    sizes: list[int] = []
    open_: list[tuple[int, int]] = []
    at = written = 0
    for match in _TOKEN.finditer(text):
        mark = match[0]
        if mark not in "{}":
            continue
        written += len(text[at : match.start()].encode("utf-8", "surrogatepass"))
        at = match.start()
        if mark == "{":
            open_.append((len(sizes), written))
            sizes.append(0)
        elif open_:
            number, start = open_.pop()
            sizes[number] = written + 1 - start
    return sizes


def objects_in_order(value: object) -> list[dict[str, Any]]:
    """The objects of a parsed value, in the order in which they begin in its text."""
    found: list[dict[str, Any]] = []
    waiting: list[object] = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            found.append(item)
            waiting += reversed(list(item.values()))
        elif isinstance(item, list):
            waiting += reversed(item)
    return found
