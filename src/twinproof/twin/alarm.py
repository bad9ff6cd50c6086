"""Alarm rules and alarm transitions, in the words of ISA-18.2 (IEC 62682).

    rule            {"id": text, "signal": name, "test": {kind: limit}, "severity": severity,
                     ? "deadband": x, ? "delay_on": s, ? "delay_off": s, ? "text": text}
                    {"id": text, "remove": true}
    alarm           {"rule": id, "transition": "raise" or "clear", ? "value": x, ? "time": s}
    alarm-response  {"rule": id, "transition": "acknowledge", "shelve" or "unshelve", ? "until": s, ? "text": text}

A rule is a statement about a twin, or about a model and then holds for each twin of it. Its test is
one of `above`, `below` (limit in the signal's unit), `rises_faster`, `falls_faster` (units per
second), `missing` (seconds without a reading). Normative page: spec/live.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from typing import Final

from twinproof.errors import Malformed
from twinproof.proof import cbor
from twinproof.twin.fields import fields, posix_time, text
from twinproof.twin.reading import check_name

RULE: Final = "application/vnd.twinproof.rule+cbor"
ALARM: Final = "application/vnd.twinproof.alarm+cbor"
ALARM_RESPONSE: Final = "application/vnd.twinproof.alarm-response+cbor"
MAX_TEXT: Final = 500
"""Characters."""
MAX_DELAY: Final = 30 * 86400
"""Seconds."""

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


@dataclass(frozen=True, slots=True)
class RuleRemoval:
    """The rule holds no longer."""

    id: str


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
    if rule.text is not None:
        value["text"] = rule.text
    return cbor.encode(value)


def parse_rule(payload: bytes, issued_at: int = 0) -> Rule | RuleRemoval:
    """Read a rule payload; raises `Malformed` naming the key."""
    value = cbor.decode(payload, what="rule")
    if type(value) is dict and "remove" in value:
        value = fields(value, "rule", ("id", "remove"))
        if value["remove"] is not True:
            raise Malformed("rule.remove", "not true")
        return RuleRemoval(_id(value["id"], "rule.id"))
    value = fields(value, "rule", ("id", "signal", "test", "severity"), ("deadband", "delay_on", "delay_off", "text"))
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
    )
    if rule.deadband < 0 or (rule.limit <= 0 and rule.test not in (Test.ABOVE, Test.BELOW)):
        raise Malformed("rule.test", "rates, times and deadbands are positive")
    return rule


def format_transition(transition: AlarmTransition) -> bytes:
    """The payload of an alarm or alarm-response statement."""
    value: dict[int | str, cbor.Value] = {"rule": transition.rule, "transition": transition.transition.value}
    for name in ("value", "time", "until", "text"):
        if getattr(transition, name) is not None:
            value[name] = getattr(transition, name)
    return cbor.encode(value)


def parse_alarm(payload: bytes, issued_at: int = 0) -> AlarmTransition:
    """Read an alarm payload; raises `Malformed` naming the key."""
    value = fields(cbor.decode(payload, what="alarm"), "alarm", ("rule", "transition"), ("value", "time"))
    if value["transition"] not in (Transition.RAISE, Transition.CLEAR):
        raise Malformed("alarm.transition", "neither raise nor clear")
    return AlarmTransition(
        _id(value["rule"], "alarm.rule"),
        Transition(value["transition"]),
        value=_number(value["value"], "alarm.value") if "value" in value else None,
        time=_number(value["time"], "alarm.time") if "time" in value else None,
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
