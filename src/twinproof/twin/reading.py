"""One resolved measurement, and the rules that both formats of readings share.

Whatever a statement's payload looks like (SenML, columns), what comes out is `Reading`s: full
name, UCUM unit, absolute time. Sources: RFC 8428 §4.5.1 (names), §4.5.3 (times).
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from twinproof.errors import Malformed, TooLarge

RELATIVE_BELOW: Final = 2**28
"""Seconds. A time under this is relative to the statement's `iat`, any other counts from 1970 (RFC 8428 §4.5.3)."""

TIME_LIMIT: Final = 253_402_300_800
"""Seconds since 1970: resolved times lie in [0, TIME_LIMIT), that is, before the year 10000."""

MAX_NAME: Final = 255
"""Characters of a full name."""

MAX_PAYLOAD: Final = 60 * 1024
"""Bytes of a payload of readings; a statement's own limit is the same."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9\-:./_]*")


class Reading(NamedTuple):
    """A measurement at an absolute time. A tuple, because a busy node makes a million a minute."""

    name: str
    """What was measured: the characters of RFC 8428 §4.5.1, at most `MAX_NAME`."""
    value: float | int | bool | str | bytes | None
    """None only where there is a `sum`."""
    unit: str | None
    """UCUM code."""
    time: float
    """Seconds since 1970-01-01T00:00:00Z without leap seconds."""
    sum: float | int | None = None
    """Integral of the value over time, in unit × second."""


def check_name(name: str, field: str) -> None:
    """Refuse a full name that RFC 8428 §4.5.1 does not allow; raises `Malformed` or `TooLarge` for `field`."""
    if len(name) > MAX_NAME:
        raise TooLarge(field, f"name of {len(name)} characters; at most {MAX_NAME}")
    if not _NAME.fullmatch(name):
        shown = "is empty" if not name else f"{name!r} has a character outside A-Z a-z 0-9 - : . / _"
        if name and name.isascii() and not name[0].isalnum():
            shown = f"{name!r} does not begin with a letter or digit"
        raise Malformed(field, f"name {shown}")


def check_time(time: float, field: str) -> None:
    """Refuse a resolved time outside [0, `TIME_LIMIT`), NaN too; raises `Malformed` for `field`."""
    if not 0 <= time < TIME_LIMIT:
        raise Malformed(field, f"time {time!r} is not between 1970 and 9999")


def check_size(payload: bytes) -> None:
    """Raises `TooLarge` for a payload over `MAX_PAYLOAD`."""
    if len(payload) > MAX_PAYLOAD:
        raise TooLarge("payload", f"{len(payload)} bytes; at most {MAX_PAYLOAD}")
