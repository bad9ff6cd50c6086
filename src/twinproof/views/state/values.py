"""Property values as SQLite holds them: one self-describing column, so that SQL can compare values of any type.

null        NULL
number      INTEGER, or REAL for floats and for integers outside of 64 bits
text        TEXT
boolean     one byte: x'00', x'01'
list, map   x'02' and JSON (keys sorted, UTF-8); a byte string is the map {"base64": text}
"""

from __future__ import annotations

import json
from typing import Any, Final

from twinproof.proof.cbor import Tagged
from twinproof.proof.note import encode_base64

SqlValue = None | int | float | str | bytes
_COMPOUND: Final = b"\x02"


def to_json(value: Any) -> Any:
    """A CBOR value as JSON has it: byte strings become {"base64": text}, keys become text, tags go."""
    if isinstance(value, bytes):
        return {"base64": encode_base64(value)}
    if isinstance(value, dict):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return to_json(value.value) if isinstance(value, Tagged) else value


def pack(value: Any) -> SqlValue:
    """A CBOR or JSON value for a column."""
    plain = to_json(value)
    match plain:
        case bool():
            return b"\x01" if plain else b"\x00"
        case int() if not -(1 << 63) <= plain < 1 << 63:
            return float(plain) if abs(plain) < 1 << 1023 else _compound(plain)
        case None | int() | float() | str():
            return plain
        case _:
            return _compound(plain)


def _compound(plain: Any) -> bytes:
    return _COMPOUND + json.dumps(plain, sort_keys=True, ensure_ascii=False).encode()


def unpack(value: SqlValue) -> Any:
    """The JSON value of what `pack` made."""
    if isinstance(value, bytes):
        return value == b"\x01" if len(value) == 1 else json.loads(value[1:])
    return value
