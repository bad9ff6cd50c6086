"""What all sources of a mapping file share: a signal, where its value and its time are, and the checks of templates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated
from urllib.parse import urlsplit

from twinproof.edge.patterns import Template, check_names, parse_template
from twinproof.edge.settings import Place, boolean, choice, decimal, parsed, text
from twinproof.errors import Malformed
from twinproof.twin.reading import check_name
from twinproof.twin.statement import check_iri
from twinproof.twin.units import check_ucum


def _unit(value: str) -> str:
    check_ucum(value)
    return value


def twin_template(value: str) -> Template:
    """A template that gives IRIs whatever its groups match."""
    template = parse_template(value)
    check_iri(template.fill(dict.fromkeys(template.names, "x")), "twin")
    return template


def _signal_name(value: str) -> Template:
    template = parse_template(value)
    check_name(template.fill(dict.fromkeys(template.names, "x")), "name")
    return template


def quality_suffix(value: str) -> str:
    """What, behind a signal's name, names its quality."""
    check_name(f"x{value}", "quality")
    return value


def url(*schemes: str) -> Callable[[str], str]:
    """Parser of addresses with one of these schemes and without credentials."""

    def check(value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in schemes or not parts.hostname:
            raise Malformed("url", f"not an address such as {schemes[0]}://host.example")
        if parts.username is not None or parts.password is not None:
            raise Malformed("url", "holds credentials; they have keys of their own")
        return value

    return check


class ValueType(StrEnum):
    """What a signal's values are."""

    NUMBER = "number"
    BOOLEAN = "boolean"
    TEXT = "text"


class TimeFormat(StrEnum):
    """How a source writes times."""

    SECONDS = "s"
    MILLISECONDS = "ms"
    MICROSECONDS = "us"
    NANOSECONDS = "ns"
    RFC3339 = "rfc3339"


@dataclass(frozen=True, slots=True)
class Signal:
    """One signal that a rule takes out of what it gets."""

    name: Annotated[Template, parsed(_signal_name)]
    """Name of the reading (RFC 8428 §4.5.1)."""
    at: Annotated[str | None, text()] = None
    """Where the value is: a JSON pointer, a column, a metric, a node id; absent: the whole payload."""
    unit: Annotated[str | None, parsed(_unit)] = None
    """UCUM code, after scaling."""
    type: Annotated[ValueType, choice(ValueType)] = ValueType.NUMBER
    scale: Annotated[float, decimal(-1e300, 1e300)] = 1.0
    offset: Annotated[float, decimal(-1e300, 1e300)] = 0.0
    """Recorded is value × scale + offset; an integer that neither changes stays one."""
    required: Annotated[bool, boolean] = True
    """Whether a message without this value is refused as a whole; otherwise the value is left out."""

    def check(self, place: Place) -> None:
        """Scaling is for numbers."""
        if self.type is not ValueType.NUMBER and (self.scale, self.offset) != (1.0, 0.0):
            raise place.error("type", "must be number where there is a scale or an offset")
        if self.scale == 0:
            raise place.error("scale", "is 0, which leaves nothing of the value")


@dataclass(frozen=True, slots=True)
class Time:
    """Where a message's own time is; a source without one gives the time of arrival."""

    at: Annotated[str, text()]
    """As in `Signal`."""
    format: Annotated[TimeFormat, choice(TimeFormat)] = TimeFormat.SECONDS


def check_templates(twin: Template, signals: tuple[Signal, ...], groups: frozenset[str], place: Place) -> None:
    """Every template has its groups, and no two signals of a rule have one name."""
    try:
        check_names(twin, groups)
    except Malformed as problem:
        raise place.error("twin", problem.reason) from None
    seen: set[str] = set()
    for at, signal in enumerate(signals, 1):
        try:
            check_names(signal.name, groups)
        except Malformed as problem:
            raise place.inside("signals", at).error("name", problem.reason) from None
        if signal.name.text in seen:
            raise place.inside("signals", at).error("name", f"{signal.name.text!r} is the name of an earlier signal")
        seen.add(signal.name.text)


def need_at(signals: tuple[Signal, ...], place: Place, what: str) -> None:
    """Every signal says where it is."""
    for at, signal in enumerate(signals, 1):
        if signal.at is None:
            raise place.inside("signals", at).error("at", f"is missing: {what}")
