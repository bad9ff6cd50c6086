"""From what a source gives to observations: which value, which type, which time.

`select_payload` does it for messages; connectors whose protocol has types and times of its own use `convert_value` and
`convert_time` alone. Everything here is a function of its arguments. What cannot be understood raises `Malformed`: a
message is taken as a whole or not at all.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from math import isfinite
from typing import Any, Final, NamedTuple

from twinproof.edge.packing import Value, make_row
from twinproof.edge.signals import Signal, Time, TimeFormat, ValueType
from twinproof.edge.sources import MqttRule, Payload
from twinproof.errors import Malformed, TooLarge
from twinproof.proof import cbor
from twinproof.twin.reading import Reading
from twinproof.twin.senml import parse_senml
from twinproof.twin.statement import Statement, check_iri, parse_statement, shown

MAX_PAYLOAD: Final = 1 << 20
"""Bytes of a message."""
COSE_SIGN1: Final = 0xD2
"""First byte of a signed statement: CBOR tag 18."""

_NUMBER = re.compile(r"[+-]?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?\Z")
_INDEX = re.compile(r"(0|[1-9][0-9]{0,5})\Z")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)\Z", re.ASCII)
_BOOLEANS: Final = {"true": True, "false": False, "1": True, "0": False, "on": True, "off": False}
_PER_SECOND: Final = {
    TimeFormat.SECONDS: 1,
    TimeFormat.MILLISECONDS: 1000,
    TimeFormat.MICROSECONDS: 1_000_000,
    TimeFormat.NANOSECONDS: 1_000_000_000,
}
_SENML: Final = {
    "bver": -1, "bn": -2, "bt": -3, "bu": -4, "bv": -5, "bs": -6,
    "n": 0, "u": 1, "v": 2, "vs": 3, "vb": 4, "s": 5, "t": 6, "ut": 7, "vd": 8,
}  # fmt: skip
"""JSON labels of SenML and their CBOR ones (RFC 8428 §6, table 4)."""


class Observation(NamedTuple):
    """Values of one twin at one moment."""

    subject: str
    """The twin's IRI."""
    values: dict[str, Value]
    units: dict[str, str]
    """UCUM codes by name."""
    time: float
    """POSIX seconds."""


class Selected(NamedTuple):
    """What is in a message."""

    observations: tuple[Observation, ...] = ()
    statements: tuple[Statement, ...] = ()
    timed: bool = False
    """Whether the message carries its own time: then the same bytes again say nothing new."""


def observe(subject: str, values: dict[str, Value], units: dict[str, str], time: float) -> Observation:
    """A checked observation: what `Stream.record` would refuse is refused here. Raises `Malformed`."""
    make_row(values, units, time)
    return Observation(check_iri(subject, "twin"), values, units, time)


def observe_signals(
    subject: str, signals: Sequence[Signal], groups: Mapping[str, str], found: Sequence[object], time: float
) -> Observation | None:
    """The observation of a rule's signals: `found[n]` is what the source has for the n-th, None if nothing.

    None if nothing is left to record. Raises `Malformed` for what is required and not there, or of a wrong type.
    """
    values: dict[str, Value] = {}
    units: dict[str, str] = {}
    for signal, raw in zip(signals, found, strict=True):
        name = signal.name.fill(groups)
        if raw is None:
            if signal.required:
                raise Malformed(name, f"there is no value{f' at {signal.at}' if signal.at else ''}")
            continue
        if name in values:
            raise Malformed(name, "two signals have this name")
        values[name] = convert_value(signal, raw, name)
        if signal.unit is not None:
            units[name] = signal.unit
    return observe(subject, values, units, time) if values else None


# --- values and times -----------------------------------------------------------------------


def convert_value(signal: Signal, raw: object, name: str) -> Value:
    """`raw` as the signal's type, scaled; raises `Malformed` naming `name`."""
    if signal.type is ValueType.TEXT:
        if type(raw) is not str:
            raise Malformed(name, f"{shown(raw)} is not text")
        return raw
    if signal.type is ValueType.BOOLEAN:
        if type(raw) is bool:
            return raw
        truth = _BOOLEANS.get(str(raw).strip().lower()) if type(raw) in (str, int) else None
        if truth is None:
            raise Malformed(name, f"{shown(raw)} is none of true, false, on, off, 1, 0")
        return truth
    value = _number(raw, name)
    if signal.scale == 1 and signal.offset == 0:
        return value
    scaled = value * signal.scale + signal.offset
    if not isfinite(scaled):
        raise Malformed(name, f"{shown(raw)} is too large when scaled")
    return scaled


def _number(raw: object, name: str) -> int | float:
    if type(raw) is str:
        text = raw.strip(" \t\r\n")
        found = _NUMBER.match(text)
        if found is None:
            raise Malformed(name, f"{shown(raw)} is not a decimal number")
        raw = float(text) if found[1] or found[2] else int(text)
    if type(raw) is int:
        if not -(2**63) <= raw < 2**64:
            raise Malformed(name, f"{shown(raw)} does not fit in 64 bits")
        return raw
    if type(raw) is not float or not isfinite(raw):
        raise Malformed(name, f"{shown(raw)} is not a finite number")
    return raw


def convert_time(format: TimeFormat, raw: object) -> float:
    """POSIX seconds; raises `Malformed`."""
    if format is not TimeFormat.RFC3339:
        value = _number(raw, "time")
        return value / _PER_SECOND[format]
    if type(raw) is str and _MOMENT.match(raw):
        # fromisoformat keeps six digits of a second, which is what a double keeps of today.
        try:
            return datetime.fromisoformat(raw.upper().replace(" ", "T")).astimezone(UTC).timestamp()
        except (ValueError, OverflowError):
            pass
    raise Malformed("time", f"{shown(raw)} is no time such as 2026-01-31T12:00:00Z (RFC 3339)")


# --- messages -------------------------------------------------------------------------------


def select_payload(rule: MqttRule, groups: Mapping[str, str], payload: bytes, arrival: float) -> Selected:
    """What a rule finds in a message of its topic. `arrival` is POSIX seconds. Raises `Malformed`."""
    if len(payload) > MAX_PAYLOAD:
        raise TooLarge("payload", f"{len(payload)} bytes; at most {MAX_PAYLOAD}")
    twin = None if rule.twin is None else check_iri(rule.twin.fill_iri(groups), "twin")
    if rule.payload is Payload.STATEMENT:
        return _statement(payload, twin)
    assert twin is not None  # noqa: S101 - the mapping demands it for every other payload
    if rule.payload in (Payload.SENML_JSON, Payload.SENML_CBOR):
        pack = _senml_cbor(payload) if rule.payload is Payload.SENML_JSON else payload
        readings = parse_senml(pack, int(arrival))
        # Readings that move with the time of arrival have none of their own.
        return Selected(_observations(twin, readings), timed=readings == parse_senml(pack, int(arrival) + 1))
    document = _document(rule.payload, payload)
    time = arrival if rule.time is None else _find_time(rule.time, document)
    found = [document if signal.at is None else resolve(document, signal.at) for signal in rule.signals]
    observation = observe_signals(twin, rule.signals, groups, found, time)
    return Selected((observation,) if observation else (), timed=rule.time is not None)


def _statement(payload: bytes, twin: str | None) -> Selected:
    if payload[:1] != bytes([COSE_SIGN1]):
        raise Malformed("payload", "is no signed statement: it does not begin with CBOR tag 18")
    statement = parse_statement(payload)
    if twin is not None and statement.subject != twin:
        raise Malformed("payload", f"the statement is about {statement.subject}, its topic belongs to {twin}")
    return Selected(statements=(statement,), timed=True)


def _document(kind: Payload, payload: bytes) -> Any:
    if kind is Payload.CBOR:
        return cbor.decode(payload, what="payload")
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        raise Malformed("payload", "is not UTF-8") from None
    return text if kind is Payload.TEXT else _parse_json(text)


def _parse_json(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_object)
    except (ValueError, RecursionError) as problem:
        raise Malformed("payload", f"is not JSON ({problem})") from None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("an object has a name twice")
    return made


def _find_time(time: Time, document: Any) -> float:
    raw = resolve(document, time.at)
    if raw is None:
        raise Malformed("time", f"there is none at {time.at}")
    return convert_time(time.format, raw)


def resolve(document: Any, pointer: str) -> Any:
    """What a JSON pointer (RFC 6901) names; None if there is nothing, or null."""
    value = document
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if type(value) is dict:
            value = value.get(key)
        elif type(value) is list and _INDEX.match(key) and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value


# --- SenML ----------------------------------------------------------------------------------


def _senml_cbor(payload: bytes) -> bytes:
    """A SenML pack in JSON (RFC 8428 §5) as the CBOR pack that says the same."""
    records = _document(Payload.JSON, payload)
    if type(records) is not list:
        raise Malformed("payload", "is not an array of SenML records")
    pack: list[dict[int | str, Any]] = []
    for at, record in enumerate(records, 1):
        if type(record) is not dict:
            raise Malformed(f"record {at}", "is not an object")
        # A label that is none stays as it is: parse_senml says what it thinks of it.
        labels = {_label(key): value for key, value in record.items()}
        if 8 in labels:
            labels[8] = _data(labels[8], at)
        pack.append(labels)
    try:
        return cbor.encode(pack)
    except cbor.EncodeError as problem:
        raise Malformed("payload", str(problem)) from None


def _label(name: str) -> int | str:
    return _SENML.get(name, name)


def _data(value: object, at: int) -> bytes:
    """Field vd in JSON: base64url without padding (RFC 8428 §4.2)."""
    if type(value) is str and re.fullmatch(r"[A-Za-z0-9_\-]*", value):
        try:
            return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
        except binascii.Error:
            pass
    raise Malformed(f"record {at}, vd", "is not base64url without padding")


def _observations(subject: str, readings: Sequence[Reading]) -> tuple[Observation, ...]:
    """One observation per moment, in the order of the pack."""
    rows: list[Observation] = []
    for reading in readings:
        if reading.value is None or reading.sum is not None:
            raise Malformed(reading.name, "has a sum, which a gateway does not record")
        if not rows or rows[-1].time != reading.time or reading.name in rows[-1].values:
            rows.append(Observation(subject, {}, {}, reading.time))
        rows[-1].values[reading.name] = reading.value
        if reading.unit is not None:
            rows[-1].units[reading.name] = reading.unit
    return tuple(observe(*row) for row in rows)
