"""Parameters of the JSON API: strict forms of numbers and IRIs, waiting for what was just written."""

from __future__ import annotations

import asyncio
import re
from typing import Annotated, Final, Protocol

from fastapi import Query
from pydantic import AfterValidator, BeforeValidator

from twinproof.errors import Malformed, NotFound, Overloaded
from twinproof.twin.statement import MAX_IRI, MAX_TIME, check_iri

WAIT: Final = 5.0
"""Seconds that a reader waits at most for a view to take in `at_least`."""
_POLL: Final = 0.004
MAX_INDEX: Final = (1 << 53) - 1
"""Largest log index in a query: beyond it JSON's numbers are not exact."""
_DIGITS = re.compile(r"0|[1-9][0-9]{0,15}")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,17})?(?:[eE][+-]?[0-9]{1,3})?")
IRI_PATTERN: Final = r"^[A-Za-z][A-Za-z0-9+.\-]*:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=\-\u00a1-\u00ac\u00ae-\u05ff]+$"
"""For the OpenAPI document: IRIs without percent-encoding, of the first scripts. The node takes all of RFC 3987."""


def _whole(value: object) -> object:
    # From a query everything is text; Python's int() would take "+5", "1_000" and the digits of all scripts.
    if isinstance(value, str) and not _DIGITS.fullmatch(value):
        raise ValueError("not a decimal number without sign and leading zeros")
    return value


def _real(value: object) -> object:
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        raise ValueError("not a decimal number")
    return value


def _iri(value: str) -> str:
    try:
        return check_iri(value, "iri")
    except Malformed as problem:
        raise ValueError(problem.reason) from None


Whole = Annotated[int, BeforeValidator(_whole)]
"""A number in decimal digits."""
Index = Annotated[Whole, Query(ge=0, le=MAX_INDEX)]
"""A log index."""
Posix = Annotated[Whole, Query(ge=0, lt=MAX_TIME)]
"""Whole POSIX seconds."""
Seconds = Annotated[float, BeforeValidator(_real), Query(ge=-1e12, le=1e12)]
"""POSIX seconds with a fraction."""
Iri = Annotated[str, AfterValidator(_iri), Query(max_length=MAX_IRI)]
Twin = Annotated[Iri, Query(description="The twin's IRI.", json_schema_extra={"pattern": IRI_PATTERN})]
Twins = Annotated[list[Twin] | None, Query(description="IRIs of twins; all without.", max_length=100)]
Signals = Annotated[
    list[Annotated[str, Query(min_length=1, max_length=255)]] | None,
    Query(description="Names of signals; all without.", max_length=100),
]
Limit = Annotated[Whole, Query(ge=1, le=1000, description="At most so many items.")]
AtLeast = Annotated[
    Index | None, Query(description="Wait until this entry is taken in: read what was just written. Bounded; then 503.")
]


class Reached(Protocol):
    """What is asked of a view."""

    @property
    def reached(self) -> int: ...


async def wait_for(view: Reached, at_least: int | None, size: int) -> None:
    """Wait until the view has taken in entry `at_least` of a log of `size` entries.

    Raises `NotFound` for an entry that is not there, `Overloaded` after `WAIT` seconds.
    """
    if at_least is None:
        return
    if at_least >= size:
        raise NotFound(f"no entry {at_least} yet: the log has {size}")
    # Polled: a thread or a listener per waiting reader would cost more than looking at a number.
    for _ in range(int(WAIT / _POLL)):
        if view.reached > at_least:
            return
        await asyncio.sleep(_POLL)
    raise Overloaded(f"entry {at_least} is not taken in yet: {view.reached} of {size} are", 1)
