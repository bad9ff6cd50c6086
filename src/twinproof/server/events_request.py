"""What a client asks to be told: from a URL's query, or from a WebSocket message.

    GET /api/v1/events?prefix=https://fleet.example/&kind=readings&where=T24 > 645&after=41&proofs=1&coalesce=500
    {"twins": [], "prefixes": ["https://fleet.example/"], "kinds": ["readings"], "issuers": [], "where": "T24 > 645",
     "after": 41, "proofs": true, "coalesce": 500}

All parts may be left out; parts that are not known are refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from twinproof.errors import Malformed
from twinproof.views.subscription import Filter, make_filter

COALESCE: Final = (10, 60_000)
"""Shortest and longest span of `coalesce`, milliseconds."""
LAST_EVENT_ID: Final = "last-event-id"

_INDEX = re.compile(r"(?:-1|0|[1-9][0-9]{0,18})\Z")
_MILLISECONDS = re.compile(r"[1-9][0-9]{0,5}\Z")
_LISTS: Final = {"twin": "twins", "prefix": "prefixes", "kind": "kinds", "issuer": "issuers"}
_SINGLE: Final = ("where", "after", "proofs", "coalesce")
_MEMBERS: Final = frozenset((*_LISTS.values(), *_SINGLE))
_ELSEWHERE: Final = frozenset(("access_token",))
"""Parameters that are read by others."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a client asks for."""

    filter: Filter
    after: int | None = None
    """The last index that the client has; -1 for none. None: from now on."""
    proofs: bool = False
    coalesce: float | None = None
    """Seconds between two events, for the newest of each twin instead of every entry."""


def wish_of_query(query: Sequence[tuple[str, str]], last_event_id: str | None = None) -> Wish:
    """From a query's pairs; `last_event_id` (a header's value) counts more than `after`, as it is newer.

    Raises `Malformed` naming the parameter.
    """
    lists: dict[str, list[object]] = {member: [] for member in _LISTS.values()}
    single: dict[str, str] = {}
    for name, value in query:
        if name in _LISTS:
            lists[_LISTS[name]].append(value)
        elif name in single:
            raise Malformed(name, "given twice")
        elif name in _SINGLE:
            single[name] = value
        elif name not in _ELSEWHERE:
            raise Malformed("query", f"has the unknown parameter {name[:80]!r}")
    after, where = single.get("after"), single.get("where")
    if last_event_id:
        after = last_event_id
    proofs = single.get("proofs", "0")
    if proofs not in ("0", "1"):
        raise Malformed("proofs", "must be 0 or 1")
    coalesce = single.get("coalesce")
    if coalesce is not None and not _MILLISECONDS.match(coalesce):
        raise Malformed("coalesce", "not a whole number of milliseconds")
    return _wish(
        lists,
        where,
        None if after is None else _index(after),
        proofs == "1",
        None if coalesce is None else int(coalesce),
    )


def _index(text: str) -> int:
    if not _INDEX.match(text):
        raise Malformed("after", "not a log index, or -1")
    return int(text)


def wish_of_message(text: str) -> Wish:
    """From a WebSocket message; raises `Malformed` naming the member."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise Malformed("message", "not JSON") from None
    if type(value) is not dict:
        raise Malformed("message", "not a JSON object")
    for name in value:
        if name not in _MEMBERS:
            raise Malformed("message", f"has the unknown member {name[:80]!r}")
    lists: dict[str, list[object]] = {}
    for member in _LISTS.values():
        part = value.get(member, [])
        if type(part) is not list:
            raise Malformed(member, "not an array")
        lists[member] = part
    after, proofs, coalesce = value.get("after"), value.get("proofs", False), value.get("coalesce")
    if after is not None and (type(after) is not int or not -1 <= after < 1 << 63):
        raise Malformed("after", "not a log index, or -1")
    if type(proofs) is not bool:
        raise Malformed("proofs", "neither true nor false")
    if coalesce is not None and type(coalesce) is not int:
        raise Malformed("coalesce", "not a whole number of milliseconds")
    return _wish(lists, value.get("where"), after, proofs, coalesce)


def _wish(lists: dict[str, list[object]], where: Any, after: int | None, proofs: bool, coalesce: int | None) -> Wish:
    shortest, longest = COALESCE
    if coalesce is not None and not shortest <= coalesce <= longest:
        raise Malformed("coalesce", f"must be {shortest}..{longest} milliseconds")
    if coalesce is not None and proofs:
        raise Malformed("proofs", "single entries have proofs, coalesced ones do not")
    return Wish(make_filter(**lists, where=where), after, proofs, None if coalesce is None else coalesce / 1000)
