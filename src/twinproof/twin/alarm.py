"""Alarm rules and alarm transitions, in the words of ISA-18.2 (IEC 62682).

    rule            {"id": text, "signal": name, "test": {kind: limit}, "severity": severity,
                     ? "deadband": x, ? "delay_on": s, ? "delay_off": s, ? "text": text, ? "monitor": bytes}
                    {"id": text, "remove": true}
    alarm           {"rule": id, "transition": "raise" or "clear", ? "value": x, ? "time": s, ? "entry": n, ? "case"}
    alarm-response  {"rule": id, "transition": "acknowledge", "shelve" or "unshelve", ? "until": s, ? "text": text}

A rule is a statement about a twin, or about a model and then holds for each twin of it. Its test is
one of `above`, `below` (limit in the signal's unit), `rises_faster`, `falls_faster` (units per
second), `missing` (seconds without a reading), or `strays` (a detector's score; `monitor` is the detector's
document). Normative page: spec/live.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from typing import Final, NamedTuple

from twinproof.errors import Malformed
from twinproof.proof import cbor
from twinproof.twin.fields import fields, finite, posix_time, text, whole
from twinproof.twin.reading import check_name
from twinproof.twin.statement import MAX_SEQ

RULE: Final = "application/vnd.twinproof.rule+cbor"
ALARM: Final = "application/vnd.twinproof.alarm+cbor"
ALARM_RESPONSE: Final = "application/vnd.twinproof.alarm-response+cbor"
MAX_TEXT: Final = 500
"""Characters."""
MAX_DELAY: Final = 30 * 86400
"""Seconds."""
MAX_MONITOR: Final = 48 * 1024
"""Bytes of a monitor's document."""
MAX_STRAYS: Final = 16
"""Signals that a case names."""
MAX_HINTS: Final = 4
MAX_HINT: Final = 100
"""Characters."""

_ID = re.compile(r"[a-z0-9][a-z0-9._\-]{0,63}\Z")


class Severity(StrEnum):
    """Priority classes; ISA-18.2 advises three or four."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Test(StrEnum):
    """What a rule looks at."""

    __test__ = False  # not a test case, whatever pytest thinks of the name

    ABOVE = "above"
    BELOW = "below"
    RISES_FASTER = "rises_faster"
    FALLS_FASTER = "falls_faster"
    MISSING = "missing"
    STRAYS = "strays"


class Transition(StrEnum):
    """What happens to an alarm: the first two by the rule, the others by a person."""

    RAISE = "raise"
    CLEAR = "clear"
    ACKNOWLEDGE = "acknowledge"
    SHELVE = "shelve"
    UNSHELVE = "unshelve"


@dataclass(frozen=True, slots=True)
class Rule:
    """When to raise and clear an alarm."""

    id: str
    signal: str
    """Name of the reading."""
    test: Test
    limit: float
    """In the signal's unit, per second for rates, seconds for `missing`."""
    severity: Severity
    deadband: float = 0.0
    """How far the value must come back before the alarm clears; same unit as `limit`."""
    delay_on: int = 0
    """Seconds that the condition must hold before the alarm is raised."""
    delay_off: int = 0
    """Seconds that it must be gone before the alarm clears."""
    text: str | None = None
    monitor: bytes | None = None
    """Just with `strays`: the detector's document, which the rule's judge reads."""


@dataclass(frozen=True, slots=True)
class RuleRemoval:
    """The rule holds no longer."""

    id: str


@dataclass(frozen=True, slots=True)
class Case:
    """Why a detector raised an alarm."""

    detector: str
    score: float
    """In parts of its limit; of a case of many twins, the share of them that strayed."""
    since: float
    """When the signals began to stray, POSIX seconds."""
    signals: tuple[tuple[str, float], ...]
    """What strayed, most first: each one's part of the score, negative where the signal was too low."""
    hints: tuple[str, ...] = ()
    """Modes of failure that look like this, likeliest first."""
    fleet: Fleet | None = None
    """Just in a case of many twins."""


class Fleet(NamedTuple):
    """How many twins of a model strayed alike."""

    strayed: int
    twins: int


@dataclass(frozen=True, slots=True)
class AlarmTransition:
    """Raised or cleared by a rule, or answered by a person."""

    rule: str
    transition: Transition
    value: float | None = None
    """The reading that decided."""
    time: float | None = None
    """Its time, POSIX seconds."""
    until: int | None = None
    """End of a shelving, POSIX seconds."""
    text: str | None = None
    entry: int | None = None
    """Log index of the statement that decided."""
    case: Case | None = None


def _id(value: cbor.Value, field: str) -> str:
    if type(value) is not str or not _ID.match(value):
        raise Malformed(field, "not 1..64 of a-z 0-9 . _ - beginning with a letter or digit")
    return value


def _number(value: cbor.Value, field: str) -> float:
    if type(value) not in (int, float) or not isfinite(value):
        raise Malformed(field, "not a finite number")
    return float(value)


def _seconds(value: cbor.Value, field: str) -> int:
    if type(value) is not int or not 0 <= value <= MAX_DELAY:
        raise Malformed(field, f"not a whole number of seconds from 0 to {MAX_DELAY}")
    return value


def format_rule(rule: Rule | RuleRemoval) -> bytes:
    """The payload of a rule statement."""
    if isinstance(rule, RuleRemoval):
        return cbor.encode({"id": rule.id, "remove": True})
    value: dict[int | str, cbor.Value] = {
        "id": rule.id,
        "signal": rule.signal,
        "test": {rule.test.value: rule.limit},
        "severity": rule.severity.value,
    }
    for name, setting in (("deadband", rule.deadband), ("delay_on", rule.delay_on), ("delay_off", rule.delay_off)):
        if setting:
            value[name] = setting
    for name in ("text", "monitor"):
        if getattr(rule, name) is not None:
            value[name] = getattr(rule, name)
    return cbor.encode(value)


def parse_rule(payload: bytes, issued_at: int = 0) -> Rule | RuleRemoval:
    """Read a rule payload; raises `Malformed` naming the key."""
    value = cbor.decode(payload, what="rule")
    if type(value) is dict and "remove" in value:
        value = fields(value, "rule", ("id", "remove"))
        if value["remove"] is not True:
            raise Malformed("rule.remove", "not true")
        return RuleRemoval(_id(value["id"], "rule.id"))
    optional = ("deadband", "delay_on", "delay_off", "text", "monitor")
    value = fields(value, "rule", ("id", "signal", "test", "severity"), optional)
    signal = text(value["signal"], "rule.signal", 255)
    check_name(signal, "rule.signal")
    test = value["test"]
    if type(test) is not dict or len(test) != 1 or next(iter(test)) not in tuple(Test):
        raise Malformed("rule.test", f"must hold one of {', '.join(Test)}")
    ((kind, limit),) = test.items()
    if value["severity"] not in tuple(Severity):
        raise Malformed("rule.severity", f"none of {', '.join(Severity)}")
    rule = Rule(
        id=_id(value["id"], "rule.id"),
        signal=signal,
        test=Test(kind),
        limit=_number(limit, "rule.test"),
        severity=Severity(value["severity"]),
        deadband=_number(value.get("deadband", 0.0), "rule.deadband"),
        delay_on=_seconds(value.get("delay_on", 0), "rule.delay_on"),
        delay_off=_seconds(value.get("delay_off", 0), "rule.delay_off"),
        text=text(value["text"], "rule.text", MAX_TEXT) if "text" in value else None,
        monitor=_monitor(value["monitor"]) if "monitor" in value else None,
    )
    if (rule.monitor is not None) != (rule.test is Test.STRAYS):
        raise Malformed("rule.monitor", "there just where the test is strays")
    if rule.deadband < 0 or (rule.limit <= 0 and rule.test not in (Test.ABOVE, Test.BELOW)):
        raise Malformed("rule.test", "rates, times and deadbands are positive")
    return rule


def _monitor(value: cbor.Value) -> bytes:
    if type(value) is not bytes or not 0 < len(value) <= MAX_MONITOR:
        raise Malformed("rule.monitor", f"not 1 to {MAX_MONITOR} bytes")
    return value


def case_map(case: Case) -> dict[int | str, cbor.Value]:
    """A case as a decoded CBOR map."""
    value: dict[int | str, cbor.Value] = {
        "detector": case.detector,
        "score": case.score,
        "since": case.since,
        "signals": [list(stray) for stray in case.signals],
    }
    if case.hints:
        value["hints"] = list(case.hints)
    if case.fleet is not None:
        value["fleet"] = list(case.fleet)
    return value


def read_case(value: cbor.Value) -> Case:
    """Read a decoded case; raises `Malformed` naming the key."""
    what = "alarm.case"
    value = fields(value, what, ("detector", "score", "since", "signals"), ("hints", "fleet"))
    signals = [_stray(each) for each in _some(value["signals"], f"{what}.signals", MAX_STRAYS)]
    sizes = [-abs(part) for _, part in signals]
    if sizes != sorted(sizes) or len(dict(signals)) != len(signals):
        raise Malformed(f"{what}.signals", "names one twice, or not the most first")
    hints = _some(value["hints"], f"{what}.hints", MAX_HINTS) if "hints" in value else []
    return Case(
        _id(value["detector"], f"{what}.detector"),
        finite(value["score"], f"{what}.score"),
        finite(value["since"], f"{what}.since"),
        tuple(signals),
        tuple(text(hint, f"{what}.hints", MAX_HINT) for hint in hints),
        _fleet(value["fleet"], f"{what}.fleet") if "fleet" in value else None,
    )


def _some(value: cbor.Value, field: str, limit: int) -> list[cbor.Value]:
    if type(value) is not list or not 0 < len(value) <= limit:
        raise Malformed(field, f"not an array of 1 to {limit}")
    return value


def _stray(value: cbor.Value) -> tuple[str, float]:
    what = "alarm.case.signals"
    if type(value) is not list or len(value) != 2:
        raise Malformed(what, "not names with numbers")
    name = text(value[0], what, 255)
    check_name(name, what)
    return name, finite(value[1], what)


def _fleet(value: cbor.Value, field: str) -> Fleet:
    if type(value) is not list or len(value) != 2:
        raise Malformed(field, "not two numbers")
    twins = whole(value[1], field, 1, MAX_SEQ)
    return Fleet(whole(value[0], field, 1, twins + 1), twins)


def format_transition(transition: AlarmTransition) -> bytes:
    """The payload of an alarm or alarm-response statement."""
    value: dict[int | str, cbor.Value] = {"rule": transition.rule, "transition": transition.transition.value}
    for name in ("value", "time", "until", "text", "entry"):
        if getattr(transition, name) is not None:
            value[name] = getattr(transition, name)
    if transition.case is not None:
        value["case"] = case_map(transition.case)
    return cbor.encode(value)


def parse_alarm(payload: bytes, issued_at: int = 0) -> AlarmTransition:
    """Read an alarm payload; raises `Malformed` naming the key."""
    optional = ("value", "time", "entry", "case")
    value = fields(cbor.decode(payload, what="alarm"), "alarm", ("rule", "transition"), optional)
    if value["transition"] not in (Transition.RAISE, Transition.CLEAR):
        raise Malformed("alarm.transition", "neither raise nor clear")
    return AlarmTransition(
        _id(value["rule"], "alarm.rule"),
        Transition(value["transition"]),
        value=_number(value["value"], "alarm.value") if "value" in value else None,
        time=_number(value["time"], "alarm.time") if "time" in value else None,
        entry=whole(value["entry"], "alarm.entry", 0, MAX_SEQ) if "entry" in value else None,
        case=read_case(value["case"]) if "case" in value else None,
    )


def parse_alarm_response(payload: bytes, issued_at: int = 0) -> AlarmTransition:
    """Read an alarm-response payload; raises `Malformed` naming the key."""
    what = "alarm-response"
    value = fields(cbor.decode(payload, what=what), what, ("rule", "transition"), ("until", "text"))
    allowed = (Transition.ACKNOWLEDGE, Transition.SHELVE, Transition.UNSHELVE)
    if value["transition"] not in allowed:
        raise Malformed(f"{what}.transition", f"none of {', '.join(allowed)}")
    transition = Transition(value["transition"])
    if ("until" in value) != (transition is Transition.SHELVE):
        raise Malformed(f"{what}.until", "a shelving, and nothing else, says until when")
    return AlarmTransition(
        _id(value["rule"], f"{what}.rule"),
        transition,
        until=posix_time(value["until"], f"{what}.until") if "until" in value else None,
        text=text(value["text"], f"{what}.text", MAX_TEXT) if "text" in value else None,
    )
