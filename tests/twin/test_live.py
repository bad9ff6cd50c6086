"""Operation, alarms and models: payloads, and the live part of the state."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinproof.errors import TwinproofError
from twinproof.proof import cbor
from twinproof.proof.keys import EDDSA, PrivateKey
from twinproof.twin import alarm, model, operation
from twinproof.twin.alarm import AlarmTransition, Case, Fleet, Rule, RuleRemoval, Severity, Test, Transition
from twinproof.twin.description import DESCRIPTION, Description, format_description, parse_description
from twinproof.twin.kinds import KINDS
from twinproof.twin.live import MAX_REQUESTS, REQUESTED
from twinproof.twin.operation import Acknowledgement, Command, Desired, Status
from twinproof.twin.state import TwinState
from twinproof.twin.statement import Statement, parse_statement, sign_statement

KEY = PrivateKey(EDDSA, b"\x05" * 32)
TWIN = "https://fleet.example/engine/1"

VALUES = st.recursive(
    st.one_of(st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.text(max_size=8)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.text("abcXYZ019.", min_size=1, max_size=12)
IDS = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.none() | st.text("abc def", min_size=1, max_size=20)


@given(st.dictionaries(NAMES, VALUES, max_size=4), st.sets(NAMES, max_size=3), TEXTS)
def test_desired_round_trip(changed: dict[str, Any], unset: set[str], text: str | None) -> None:
    desired = Desired(changed or None, tuple(sorted(unset - changed.keys())), text)
    if desired.set or desired.unset:
        assert operation.parse_desired(operation.format_desired(desired)) == desired


@given(NAMES, VALUES, st.none() | st.integers(1, 2**53 - 1), TEXTS)
def test_command_round_trip(name: str, value: Any, deadline: int | None, text: str | None) -> None:
    command = Command(name, value, deadline, text)
    assert operation.parse_command(operation.format_command(command)) == command


@given(st.binary(min_size=32, max_size=32), st.sampled_from(Status), TEXTS, st.none() | VALUES)
def test_acknowledgement_round_trip(request: bytes, status: Status, text: str | None, output: Any) -> None:
    answer = Acknowledgement(request, status, text, output)
    assert operation.parse_acknowledgement(operation.format_acknowledgement(answer)) == answer


@given(IDS, st.sampled_from(Test), st.floats(0.001, 1e9), st.sampled_from(Severity), st.floats(0, 1e6), TEXTS)
def test_rule_round_trip(
    id_: str, test: Test, limit: float, severity: Severity, deadband: float, text: str | None
) -> None:
    monitor = b"\xa0" if test is Test.STRAYS else None
    rule = Rule(id_, "T24", test, limit, severity, deadband, 10, 20, text, monitor)
    assert alarm.parse_rule(alarm.format_rule(rule)) == rule
    assert alarm.parse_rule(alarm.format_rule(RuleRemoval(id_))) == RuleRemoval(id_)


@given(IDS, NUMBERS, NUMBERS)
def test_transition_round_trip(rule: str, value: float, time: float) -> None:
    raised = AlarmTransition(rule, Transition.RAISE, value=value, time=time)
    assert alarm.parse_alarm(alarm.format_transition(raised)) == raised
    shelved = AlarmTransition(rule, Transition.SHELVE, until=5, text="night shift")
    assert alarm.parse_alarm_response(alarm.format_transition(shelved)) == shelved


@given(st.binary(min_size=1, max_size=200))
def test_model_round_trip(document: bytes) -> None:
    published = model.ModelDocument(model.DTDL, document)
    assert model.parse_model(model.format_model(published)) == published


NEW_KINDS = ("model", "desired", "command", "acknowledgement", "rule", "alarm", "alarm-response")


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS.values() if kind.name in NEW_KINDS], ids=lambda kind: kind.name
)
@given(data=st.binary(max_size=60) | VALUES.map(cbor.encode))
def test_arbitrary_bytes_are_refused_or_read(kind: Any, data: bytes) -> None:
    with suppress(TwinproofError):
        kind.parse(data, 0)


CASE: dict[str, Any] = {"detector": "mewma", "score": 1.5, "since": 7.0, "signals": [["T24", 1.25], ["P30", -0.25]]}

REFUSED: list[tuple[str, Any, str]] = [
    ("desired", {}, "desired: changes nothing"),
    ("desired", {"set": {}}, "desired.set"),
    ("desired", {"set": {"a": 1}, "unset": ["a"]}, "desired.unset"),
    ("desired", {"unset": ["b", "a"]}, "desired.unset"),
    ("desired", {"unset": []}, "desired.unset"),
    ("desired", {"unset": ["a"], "more": 1}, "unknown key"),
    ("desired", {"text": "why"}, "desired: changes nothing"),
    ("desired", {"unset": ["a"], "text": ""}, "desired.text"),
    ("desired", {"unset": ["a"], "text": "x" * 1001}, "desired.text"),
    ("command", {"name": "x", "text": 1}, "command.text"),
    ("command", {"name": "x", "text": "a\0"}, "command.text"),
    ("command", {"input": 1}, "command.name"),
    ("command", {"name": ""}, "command.name"),
    ("command", {"name": "x", "input": None}, "command.input"),
    ("command", {"name": "x", "deadline": 0}, "command.deadline"),
    ("command", {"name": "x", "deadline": 1.5}, "command.deadline"),
    ("acknowledgement", {"status": "done"}, "acknowledgement.request"),
    ("acknowledgement", {"request": b"short", "status": "done"}, "acknowledgement.request"),
    ("acknowledgement", {"request": bytes(32), "status": "maybe"}, "acknowledgement.status"),
    ("acknowledgement", {"request": bytes(32), "status": "done", "output": None}, "acknowledgement.output"),
    ("rule", {"id": "Upper", "remove": True}, "rule.id"),
    ("rule", {"id": "a", "remove": False}, "rule.remove"),
    ("rule", {"id": "a", "signal": "s p", "test": {"above": 1}, "severity": "low"}, "rule.signal"),
    ("rule", {"id": "a", "signal": "s", "test": {"above": 1, "below": 0}, "severity": "low"}, "rule.test"),
    ("rule", {"id": "a", "signal": "s", "test": {"around": 1}, "severity": "low"}, "rule.test"),
    ("rule", {"id": "a", "signal": "s", "test": {"above": "1"}, "severity": "low"}, "rule.test"),
    ("rule", {"id": "a", "signal": "s", "test": {"above": float("inf")}, "severity": "low"}, "rule.test"),
    ("rule", {"id": "a", "signal": "s", "test": {"missing": 0}, "severity": "low"}, "rule.test"),
    ("rule", {"id": "a", "signal": "s", "test": {"above": 1}, "severity": "dire"}, "rule.severity"),
    ("rule", {"id": "a", "signal": "s", "test": {"above": 1}, "severity": "low", "deadband": -1}, "rule.test"),
    ("rule", {"id": "a", "signal": "s", "test": {"above": 1}, "severity": "low", "delay_on": 1.5}, "rule.delay_on"),
    ("rule", {"id": "a", "signal": "s", "test": {"strays": 1}, "severity": "low"}, "rule.monitor"),
    ("rule", {"id": "a", "signal": "s", "test": {"above": 1}, "severity": "low", "monitor": b"x"}, "rule.monitor"),
    ("rule", {"id": "a", "signal": "s", "test": {"strays": 0}, "severity": "low", "monitor": b"x"}, "rule.test"),
    ("rule", {"id": "a", "signal": "s", "test": {"strays": 1}, "severity": "low", "monitor": b""}, "rule.monitor"),
    (
        "rule",
        {"id": "a", "signal": "s", "test": {"strays": 1}, "severity": "low", "monitor": bytes(49153)},
        "rule.monitor",
    ),
    ("alarm", {"rule": "a", "transition": "raise", "entry": -1}, "alarm.entry"),
    ("alarm", {"rule": "a", "transition": "raise", "case": {**CASE, "more": 1}}, "alarm.case"),
    ("alarm", {"rule": "a", "transition": "raise", "case": {**CASE, "detector": "T2"}}, "alarm.case.detector"),
    ("alarm", {"rule": "a", "transition": "raise", "case": {**CASE, "score": True}}, "alarm.case.score"),
    ("alarm", {"rule": "a", "transition": "raise", "case": {**CASE, "signals": []}}, "alarm.case.signals"),
    (
        "alarm",
        {"rule": "a", "transition": "raise", "case": {**CASE, "signals": [["a", 1], ["b", 2]]}},
        "the most first",
    ),
    (
        "alarm",
        {"rule": "a", "transition": "raise", "case": {**CASE, "signals": [["a", 2], ["a", 1]]}},
        "names one twice",
    ),
    ("alarm", {"rule": "a", "transition": "raise", "case": {**CASE, "signals": [["a"]]}}, "alarm.case.signals"),
    ("alarm", {"rule": "a", "transition": "raise", "case": {**CASE, "hints": []}}, "alarm.case.hints"),
    ("alarm", {"rule": "a", "transition": "raise", "case": {**CASE, "fleet": [3, 2]}}, "alarm.case.fleet"),
    ("alarm", {"rule": "a", "transition": "raise", "case": {**CASE, "fleet": [0, 2]}}, "alarm.case.fleet"),
    ("alarm", {"rule": "a", "transition": "acknowledge"}, "alarm.transition"),
    ("alarm", {"rule": "a", "transition": "raise", "value": float("nan")}, "alarm.value"),
    ("alarm-response", {"rule": "a", "transition": "raise"}, "alarm-response.transition"),
    ("alarm-response", {"rule": "a", "transition": "shelve"}, "alarm-response.until"),
    ("alarm-response", {"rule": "a", "transition": "acknowledge", "until": 5}, "alarm-response.until"),
    ("model", {"language": "aas", "document": b"x"}, "model.language"),
    ("model", {"language": "dtdl", "document": "x"}, "model.document"),
    ("model", {"language": "dtdl", "document": b""}, "model.document"),
]


@pytest.mark.parametrize(("name", "value", "message"), REFUSED, ids=[f"{row[0]}-{i}" for i, row in enumerate(REFUSED)])
def test_refusals_name_the_key(name: str, value: Any, message: str) -> None:
    (kind,) = (kind for kind in KINDS.values() if kind.name == name)
    with pytest.raises(TwinproofError, match=message.replace(".", r"\.")):
        kind.parse(cbor.encode(value), 0)


def test_a_description_names_its_cause() -> None:
    described = Description(set={"valve": 3}, cause=bytes(range(32)))
    assert parse_description(format_description(described)) == described
    with pytest.raises(TwinproofError, match="changes nothing"):
        parse_description(cbor.encode({"cause": bytes(32)}))
    with pytest.raises(TwinproofError, match=r"description\.cause"):
        parse_description(cbor.encode({"set": {"a": 1}, "cause": b"x"}))


# --- the fold -------------------------------------------------------------------------------


class Told:
    """Feeds statements into a state, as the log would."""

    issuer = "urn:example:x"

    def __init__(self) -> None:
        self.state = TwinState(TWIN)
        self._seq = 0

    def say(self, content_type: str, payload: bytes, time: int = 1_700_000_000) -> Statement:
        raw = sign_statement(
            KEY,
            issuer=self.issuer,
            subject=TWIN,
            content_type=content_type,
            payload=payload,
            seq=self._seq,
            prev=bytes(32) if self._seq else None,
            issued_at=time,
        )
        statement = parse_statement(raw)
        self.state.apply(self._seq, statement)
        self._seq += 1
        assert TwinState.from_cbor(self.state.to_cbor()) == self.state
        assert TwinState.from_cbor(self.state.to_cbor()).to_cbor() == self.state.to_cbor()
        return statement

    def alarm(self, transition: Transition, **more: Any) -> None:
        of_rule = transition in (Transition.RAISE, Transition.CLEAR)
        payload = alarm.format_transition(AlarmTransition("hot", transition, **more))
        self.say(alarm.ALARM if of_rule else alarm.ALARM_RESPONSE, payload)


def test_a_case_goes_into_the_state_and_comes_back() -> None:
    case = Case("mewma", 1.5, 7.0, (("T24", 1.25), ("P30", -0.25)), ("compressor",), Fleet(2, 5))
    raised = AlarmTransition("wear", Transition.RAISE, time=9.0, entry=4, case=case)
    payload = alarm.format_transition(raised)
    assert alarm.parse_alarm(payload) == raised
    told = Told()
    told.say(alarm.RULE, alarm.format_rule(Rule("wear", "T24", Test.STRAYS, 1.0, Severity.HIGH, monitor=b"\xa0")))
    told.say(alarm.ALARM, payload)
    assert told.state.live.alarms["wear"].case == case
    kept = cbor.decode(told.state.to_cbor(), what="state")
    assert kept["alarms"]["wear"][6] == {**CASE, "hints": ["compressor"], "fleet": [2, 5]}
    assert kept["rules"]["wear"][0]["monitor"] == b"\xa0"
    told.say(alarm.ALARM, alarm.format_transition(AlarmTransition("wear", Transition.RAISE)))
    assert len(cbor.decode(told.state.to_cbor(), what="state")["alarms"]["wear"]) == 6


def test_request_acknowledgement_effect() -> None:
    log = Told()
    request = log.say(operation.COMMAND, operation.format_command(Command("open", {"to": 0.5})))
    live = log.state.live
    assert live.requests[request.digest].status == REQUESTED
    for status in (Status.ACCEPTED, Status.DONE, Status.FAILED):
        log.say(operation.ACKNOWLEDGEMENT, operation.format_acknowledgement(Acknowledgement(request.digest, status)))
    assert live.requests[request.digest].status == "done"
    assert live.requests[request.digest].answer == 2, "an answer after the final one changes nothing"
    log.say(operation.DESIRED, operation.format_desired(Desired({"valve": 1, "mode": "auto"})))
    log.say(operation.DESIRED, operation.format_desired(Desired({"valve": 2}, ("mode",))))
    assert {name: wanted.value for name, wanted in live.desired.items()} == {"valve": 2}
    log.say(DESCRIPTION, format_description(Description(set={"valve": 2}, cause=request.digest)))
    assert log.state.properties["valve"].value == 2


def test_requests_are_bounded_and_answered_ones_go_first() -> None:
    log = Told()
    requests = [log.say(operation.COMMAND, operation.format_command(Command(f"c{i}"))) for i in range(MAX_REQUESTS)]
    done = operation.format_acknowledgement(Acknowledgement(requests[5].digest, Status.DONE))
    log.say(operation.ACKNOWLEDGEMENT, done)
    for i in range(2):
        log.say(operation.COMMAND, operation.format_command(Command(f"more{i}")))
    kept = log.state.live.requests
    assert len(kept) == MAX_REQUESTS
    assert requests[5].digest not in kept
    assert requests[0].digest not in kept
    assert requests[1].digest in kept


ALARMS: list[tuple[list[tuple[Transition, dict[str, Any]]], str | None]] = [
    ([(Transition.RAISE, {"value": 1.5})], "unacknowledged"),
    ([(Transition.RAISE, {}), (Transition.ACKNOWLEDGE, {})], "acknowledged"),
    ([(Transition.RAISE, {}), (Transition.CLEAR, {})], "returned unacknowledged"),
    ([(Transition.RAISE, {}), (Transition.CLEAR, {}), (Transition.ACKNOWLEDGE, {})], None),
    ([(Transition.RAISE, {}), (Transition.ACKNOWLEDGE, {}), (Transition.CLEAR, {})], None),
    ([(Transition.RAISE, {}), (Transition.SHELVE, {"until": 9})], "shelved"),
    ([(Transition.SHELVE, {"until": 9})], "shelved"),
    ([(Transition.SHELVE, {"until": 9}), (Transition.UNSHELVE, {})], None),
    ([(Transition.CLEAR, {})], None),
    ([(Transition.RAISE, {}), (Transition.ACKNOWLEDGE, {}), (Transition.RAISE, {})], "unacknowledged"),
]


@pytest.mark.parametrize(("steps", "name"), ALARMS)
def test_alarm_states(steps: list[tuple[Transition, dict[str, Any]]], name: str | None) -> None:
    log = Told()
    for transition, more in steps:
        log.alarm(transition, **more)
    found = log.state.live.alarms.get("hot")
    assert (found.name if found else None) == name


def test_removing_a_rule_takes_its_alarm_away() -> None:
    log = Told()
    rule = Rule("hot", "T24", Test.ABOVE, 700.0, Severity.HIGH, deadband=2.0)
    log.say(alarm.RULE, alarm.format_rule(rule))
    log.alarm(Transition.RAISE, value=701.0, time=1.0)
    assert log.state.live.rules["hot"].rule == rule
    log.say(alarm.RULE, alarm.format_rule(RuleRemoval("hot")))
    assert not log.state.live.rules
    assert not log.state.live.alarms
