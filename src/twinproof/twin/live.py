"""The live part of a twin's state: what is desired and asked, which rules hold, which alarms stand,
which trained models predict.

A fold like the rest of `twin.state`, and part of it. Alarm states are those of ISA-18.2: an alarm is
active or not, acknowledged or not, and may be shelved; one that is neither active nor waiting for an
acknowledgement nor shelved is normal and is not kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from twinproof.proof import cbor
from twinproof.twin.alarm import (
    AlarmTransition,
    Case,
    Rule,
    RuleRemoval,
    Transition,
    case_map,
    format_rule,
    parse_rule,
    read_case,
)
from twinproof.twin.ledger import LedgerState
from twinproof.twin.operation import Acknowledgement, Command, Desired, Status
from twinproof.twin.predictor import Predictor, StandingPredictor, fold_predictor, predictor_map, read_predictor
from twinproof.twin.statement import Statement

MAX_REQUESTS: Final = 64
"""Requests kept in the state: when there are more, the oldest answered one goes, else the oldest."""

REQUESTED: Final = "requested"
"""The status of a request before its first acknowledgement."""
_ANSWERED: Final = frozenset(status.value for status in Status if status.final)


class Wanted(NamedTuple):
    """What a property should be."""

    value: cbor.Value
    entry: int
    """Log index of the desired statement."""
    time: int


class Request(NamedTuple):
    """A desired statement or a command, and what became of it."""

    name: str | None
    """The command's name; None for a desired statement."""
    status: str
    """`REQUESTED` or a `Status`."""
    entry: int
    time: int
    answer: int | None
    """Log index of the newest acknowledgement."""


class StandingRule(NamedTuple):
    """A rule that holds."""

    rule: Rule
    entry: int


class StandingAlarm(NamedTuple):
    """An alarm that is not normal."""

    active: bool
    acknowledged: bool
    shelved_until: int | None
    """POSIX seconds."""
    value: float | None
    """The reading that raised it."""
    entry: int
    """Log index of the last transition."""
    time: int
    """Its `iat`."""
    case: Case | None = None
    """Why a detector raised it."""

    @property
    def name(self) -> str:
        """The state's name in ISA-18.2."""
        if self.shelved_until is not None:
            return "shelved"
        if self.active:
            return "acknowledged" if self.acknowledged else "unacknowledged"
        return "returned unacknowledged"


@dataclass
class LiveState:
    """Mutable; owned by a `TwinState`."""

    desired: dict[str, Wanted] = field(default_factory=dict)
    requests: dict[bytes, Request] = field(default_factory=dict)
    """By the digest of the request's statement, oldest first."""
    rules: dict[str, StandingRule] = field(default_factory=dict)
    alarms: dict[str, StandingAlarm] = field(default_factory=dict)
    """By rule id."""
    predictors: dict[bytes, StandingPredictor] = field(default_factory=dict)
    """By the digest of the trained model."""
    ledger: LedgerState = field(default_factory=LedgerState)
    """Predictions, and what contracts said."""

    def apply(self, index: int, statement: Statement, payload: object) -> None:
        """Take in a statement of a kind that concerns this part; others change nothing."""
        match payload:
            case Desired():
                self._want(index, statement, payload)
            case Command():
                self._ask(statement, Request(payload.name, REQUESTED, index, statement.issued_at, None))
            case Acknowledgement():
                self._answer(index, payload)
            case Rule():
                self.rules[payload.id] = StandingRule(payload, index)
            case RuleRemoval():
                self.rules.pop(payload.id, None)
                self.alarms.pop(payload.id, None)
            case AlarmTransition():
                self._alarm(index, statement.issued_at, payload)
            case Predictor():
                self.predictors = fold_predictor(self.predictors, payload, index)
            case _:
                self.ledger.apply(index, statement, payload)

    def _want(self, index: int, statement: Statement, change: Desired) -> None:
        for name in change.unset:
            self.desired.pop(name, None)
        for name, value in (change.set or {}).items():
            self.desired[name] = Wanted(value, index, statement.issued_at)
        self._ask(statement, Request(None, REQUESTED, index, statement.issued_at, None))

    def _ask(self, statement: Statement, request: Request) -> None:
        self.requests[statement.digest] = request
        if len(self.requests) > MAX_REQUESTS:
            answered = (key for key, old in self.requests.items() if old.status in _ANSWERED)
            del self.requests[next(answered, next(iter(self.requests)))]

    def _answer(self, index: int, answer: Acknowledgement) -> None:
        request = self.requests.get(answer.request)
        # An answer to what is unknown here, or answered for good, is on record in the log but changes nothing.
        if request is not None and request.status in (REQUESTED, Status.ACCEPTED):
            self.requests[answer.request] = request._replace(status=answer.status.value, answer=index)

    def _alarm(self, index: int, time: int, change: AlarmTransition) -> None:
        old = self.alarms.get(change.rule, StandingAlarm(False, True, None, None, index, time))
        new = old._replace(entry=index, time=time)
        match change.transition:
            case Transition.RAISE:
                new = new._replace(active=True, acknowledged=False, value=change.value, case=change.case)
            case Transition.CLEAR:
                new = new._replace(active=False)
            case Transition.ACKNOWLEDGE:
                new = new._replace(acknowledged=True)
            case Transition.SHELVE:
                new = new._replace(shelved_until=change.until)
            case Transition.UNSHELVE:
                new = new._replace(shelved_until=None)
        if new.active or not new.acknowledged or new.shelved_until is not None:
            self.alarms[change.rule] = new
        else:
            self.alarms.pop(change.rule, None)

    def to_map(self) -> dict[int | str, cbor.Value]:
        """The members that this part adds to a state's canonical form: only those that are not empty."""
        members: dict[int | str, cbor.Value] = {
            "desired": {name: list(wanted) for name, wanted in self.desired.items()},
            "requests": [[key, *request] for key, request in self.requests.items()],
            "rules": {id_: [cbor.decode(format_rule(held.rule)), held.entry] for id_, held in self.rules.items()},
            "alarms": {id_: _alarm_list(alarm) for id_, alarm in self.alarms.items()},
            "predictors": [[predictor_map(held), entry] for _, (held, entry) in sorted(self.predictors.items())],
        }
        return {name: member for name, member in members.items() if member} | self.ledger.to_map()

    @classmethod
    def from_map(cls, members: dict[int | str, cbor.Value]) -> LiveState:
        """What `to_map` wrote, from among a state's members."""
        return cls(
            desired={name: Wanted(*wanted) for name, wanted in members.get("desired", {}).items()},
            requests={key: Request(*request) for key, *request in members.get("requests", [])},
            rules={id_: StandingRule(_rule(rule), entry) for id_, (rule, entry) in members.get("rules", {}).items()},
            alarms={id_: _standing_alarm(*alarm) for id_, alarm in members.get("alarms", {}).items()},
            predictors={
                held.predictor.model: held
                for held in (
                    StandingPredictor(read_predictor(value), entry) for value, entry in members.get("predictors", [])
                )
            },
            ledger=LedgerState.from_map(members),
        )


def _alarm_list(alarm: StandingAlarm) -> list[cbor.Value]:
    return [*alarm[:6]] if alarm.case is None else [*alarm[:6], case_map(alarm.case)]


def _standing_alarm(*members: cbor.Value) -> StandingAlarm:
    return StandingAlarm(*members[:6], *map(read_case, members[6:]))


def _rule(value: cbor.Value) -> Rule:
    rule = parse_rule(cbor.encode(value))
    if not isinstance(rule, Rule):
        raise TypeError("a removal does not stand")
    return rule
