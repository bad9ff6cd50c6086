"""What a subscriber asks for, and how an entry looks to it. No I/O: `server.events` does the rest.

An event is one JSON object:

    {"type": "entry", "index": 42, "twin": IRI, "kind": "readings", "issuer": IRI, "iat": s, "seq": n, "digest": hex,
     "payload": {"series": [{"name": "T24", "unit": "K", "times": [1700000000.0], "values": [641.5]}]}}

Readings of both formats come as series: names in full, UCUM units, POSIX times (`sums` only where there are
any). Columns share their times, and a missing sample is null:

    {"times": [1700000000.0, 1700000001.0], "series": [{"name": "T24", "unit": "K", "values": [641.5, null]}]}

Every other payload is the statement's own map; byte strings are {"base64": text}.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic_core import to_json as to_text

from twinproof.errors import Malformed, TooLarge
from twinproof.proof import cbor
from twinproof.twin.columns import Columns
from twinproof.twin.description import Description
from twinproof.twin.kinds import KINDS
from twinproof.twin.operation import Desired
from twinproof.twin.reading import Reading
from twinproof.twin.statement import MAX_IRI, check_iri
from twinproof.views.condition import Condition, Values, parse_condition
from twinproof.views.feed import Item
from twinproof.views.state.values import to_json

MAX_TWINS: Final = 256
"""Twins, prefixes or issuers that one filter names."""

KIND_NAMES: Final = frozenset(kind.name for kind in KINDS.values())


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries are wanted; an empty part wants all."""

    twins: frozenset[str] = frozenset()
    prefixes: tuple[str, ...] = ()
    """A twin is wanted if it is among `twins` or begins with a prefix."""
    kinds: frozenset[str] = frozenset()
    issuers: frozenset[str] = frozenset()
    where: Condition | None = None

    def wants_twin(self, subject: str) -> bool:
        """Whether entries about this twin can be wanted."""
        if not self.twins and not self.prefixes:
            return True
        return subject in self.twins or subject.startswith(self.prefixes)

    def matches(self, item: Item) -> bool:
        """Whether this entry is wanted."""
        return self.wants_twin(item.statement.subject) and self.matches_rest(item)

    def matches_rest(self, item: Item) -> bool:
        """`matches` for an entry about a wanted twin."""
        if self.kinds and item.kind.name not in self.kinds:
            return False
        if self.issuers and item.statement.issuer not in self.issuers:
            return False
        return self.where is None or self.where.holds(values_of(item.payload))


def make_filter(
    *,
    twins: Collection[object] = (),
    prefixes: Collection[object] = (),
    kinds: Collection[object] = (),
    issuers: Collection[object] = (),
    where: object = None,
) -> Filter:
    """A filter of untrusted parts; raises `Malformed` or `TooLarge` naming the part."""
    for name, part in (("twin", twins), ("prefix", prefixes), ("kind", kinds), ("issuer", issuers)):
        if len(part) > MAX_TWINS:
            raise TooLarge(name, f"given {len(part)} times; at most {MAX_TWINS}")
    for kind in kinds:
        if type(kind) is not str or kind not in KIND_NAMES:
            raise Malformed("kind", f"none of {', '.join(sorted(KIND_NAMES))}")
    if where is not None and type(where) is not str:
        raise Malformed("where", "not text")
    return Filter(
        frozenset(check_iri(twin, "twin") for twin in twins),
        tuple(sorted({_check_prefix(prefix) for prefix in prefixes})),
        frozenset(str(kind) for kind in kinds),
        frozenset(check_iri(issuer, "issuer") for issuer in issuers),
        None if where is None else parse_condition(where),
    )


def _check_prefix(prefix: object) -> str:
    if type(prefix) is not str or not prefix:
        raise Malformed("prefix", "not text, or empty")
    if len(prefix) > MAX_IRI:
        raise TooLarge("prefix", f"longer than {MAX_IRI} characters")
    return prefix


def values_of(payload: object) -> Values:
    """The values that a payload tells, by name: readings, properties set, properties desired."""
    match payload:
        case Columns():
            return {column.name: column.values for column in payload.columns}
        case list():
            found: dict[str, list[object]] = {}
            for reading in payload:
                found.setdefault(reading.name, []).append(reading.value)
            return found
        case Description() | Desired():
            return {name: (value,) for name, value in (payload.set or {}).items()}
        case _:
            return {}


# --- how it looks -----------------------------------------------------------------------------


def event_of(item: Item) -> dict[str, Any]:
    """The event of an entry, without proof."""
    statement = item.statement
    return {
        "type": "entry",
        "index": item.index,
        "twin": statement.subject,
        "kind": item.kind.name,
        "issuer": statement.issuer,
        "iat": statement.issued_at,
        "seq": statement.seq,
        "digest": statement.digest.hex(),
        "payload": payload_json(item),
    }


def payload_json(item: Item) -> Any:
    """A payload as JSON has it."""
    match item.payload:
        case Columns():
            return _columns(item.payload)
        case list():
            return {"series": _series(item.payload)}
        case _:
            return to_json(cbor.decode(item.statement.payload))


def _series(readings: Iterable[Reading]) -> list[dict[str, Any]]:
    found: dict[tuple[str, str | None], dict[str, Any]] = {}
    for name, value, unit, time, total in readings:
        series = found.get((name, unit))
        if series is None:
            series = found[name, unit] = {"name": name, "unit": unit, "times": [], "values": []}
        series["times"].append(time)
        series["values"].append(to_json(value) if type(value) is bytes else value)
        if total is not None or "sums" in series:
            sums = series.setdefault("sums", [None] * (len(series["times"]) - 1))
            sums.append(total)
    return list(found.values())


def _columns(columns: Columns) -> dict[str, Any]:
    return {
        "times": columns.times(),
        "series": [{"name": name, "unit": unit, "values": values.tolist()} for name, unit, values in columns.columns],
    }


def encode_event(item: Item, extra: Mapping[str, Any] | None = None) -> bytes:
    """The event in UTF-8, in one line; `extra` members come last.

    pydantic-core's encoder, as numbers take json several times as long.
    """
    event = event_of(item)
    if extra:
        event.update(extra)
    return to_text(event, inf_nan_mode="null")
