"""The registry of kinds: every one has an example that its parser takes, a capability and a place in the pages."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import DEVICE, LOG_KEY, OPERATOR, ORIGIN, START, Log
from twinproof.errors import Malformed
from twinproof.proof import cbor
from twinproof.twin import (
    alarm,
    attestation,
    chain_event,
    columns,
    description,
    grants,
    installation,
    model,
    operation,
    policy,
    prediction,
    predictor,
    senml,
)
from twinproof.twin.grants import Capability, Genesis, GrantTerms, Revocation, Scope
from twinproof.twin.kinds import KINDS, Kind, kind_of, parse_payload
from twinproof.twin.reading import Reading

EXAMPLES: dict[str, tuple[str, Capability | None, bytes]] = {
    "genesis": (
        grants.GENESIS,
        None,
        grants.format_genesis(Genesis(ORIGIN, (LOG_KEY.verifier,), OPERATOR.key.public)),
    ),
    "grant": (
        grants.GRANT,
        Capability.ADMINISTER,
        grants.format_grant(GrantTerms("urn:x", DEVICE.key.public, frozenset(Capability), Scope("prefix", ""))),
    ),
    "revoke": (grants.REVOKE, None, grants.format_revocation(Revocation(b"\0" * 32))),
    "readings": (senml.SENML, Capability.RECORD, senml.format_senml([Reading("T", 1.5, "K", float(START))])),
    "columns": (columns.COLUMNS, Capability.RECORD, columns.format_columns(START, [("T", "K", [1.5])], step=1)),
    "description": (
        description.DESCRIPTION,
        Capability.DESCRIBE,
        description.format_description(description.Description(model="urn:m")),
    ),
    "attestation": (
        attestation.ATTESTATION,
        Capability.ATTEST,
        attestation.format_attestation(attestation.Attestation("urn:x")),
    ),
    "resume": (attestation.RESUME, None, attestation.format_resume(attestation.Resume("x"))),
    "model": (model.MODEL, Capability.DESCRIBE, model.format_model(model.ModelDocument(model.DTDL, b"{}"))),
    "desired": (operation.DESIRED, Capability.OPERATE, operation.format_desired(operation.Desired({"speed": 1}))),
    "command": (operation.COMMAND, Capability.OPERATE, operation.format_command(operation.Command("stop"))),
    "acknowledgement": (
        operation.ACKNOWLEDGEMENT,
        Capability.RECORD,
        operation.format_acknowledgement(operation.Acknowledgement(b"\0" * 32, operation.Status.DONE)),
    ),
    "rule": (alarm.RULE, Capability.OPERATE, alarm.format_rule(alarm.RuleRemoval("hot"))),
    "alarm": (
        alarm.ALARM,
        Capability.PREDICT,
        alarm.format_transition(alarm.AlarmTransition("hot", alarm.Transition.RAISE)),
    ),
    "alarm-response": (
        alarm.ALARM_RESPONSE,
        Capability.OPERATE,
        alarm.format_transition(alarm.AlarmTransition("hot", alarm.Transition.ACKNOWLEDGE)),
    ),
    "prediction": (
        prediction.PREDICTION,
        Capability.PREDICT,
        prediction.format_prediction(
            prediction.Prediction(
                20.5, 31.0, 40.25, 0.9, "cycles", b"\1" * 32, (prediction.Read("urn:x", 0, 7, b"\2" * 32),)
            )
        ),
    ),
    "predictor": (
        predictor.PREDICTOR,
        Capability.PREDICT,
        predictor.format_predictor(
            predictor.Predictor(
                b"\1" * 32, predictor.Stage.CANDIDATE, "h", 0.9, predictor.Trained(9, b"\2" * 32, 30, 28, 99)
            )
        ),
    ),
    "installation": (
        installation.INSTALLATION,
        Capability.MAINTAIN,
        installation.format_installation(installation.Installation(b"\3" * 32, b"\4" * 32)),
    ),
    "policy": (
        policy.POLICY,
        Capability.OPERATE,
        policy.format_policy(policy.Policy("low", "cycles", 30.0, 0.9, 1, b"\5" * 20, 7)),
    ),
    "chain-event": (
        chain_event.CHAIN_EVENT,
        Capability.RECORD,
        chain_event.format_chain_event(
            chain_event.ChainEvent(1, b"\5" * 20, "Agreed", 9, b"\6" * 32, START, b"\7" * 32, 0, {"id": 7})
        ),
    ),
}
"""One of every kind."""
ALIKE = {("description", "desired"), ("policy", "rule")}
"""(kind, other) whose payloads may be the same bytes: what they say is told by the content type alone."""


def test_every_kind_has_an_example() -> None:
    assert EXAMPLES.keys() == {kind.name for kind in KINDS.values()}


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_kind_takes_its_example_and_no_other(name: str) -> None:
    content_type, capability, payload = EXAMPLES[name]
    kind = KINDS[content_type]
    assert (kind.name, kind.content_type, kind.capability) == (name, content_type, capability)
    statement = Log().say(OPERATOR, "urn:x", content_type, payload)
    assert kind_of(statement) is kind
    assert parse_payload(statement) == kind.parse(payload, START)
    for other, (_, _, foreign) in EXAMPLES.items():
        if other != name and (name, other) not in ALIKE:
            with pytest.raises(Malformed):
                kind.parse(foreign, START)


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
@pytest.mark.parametrize("value", [None, 0, "", b"", [], {}, [[]], {"": 0}, cbor.Tagged(1, 0)], ids=repr)
def test_each_kind_refuses_what_is_empty_or_of_another_shape(kind: Kind, value: Any) -> None:
    for payload in (cbor.encode(value), b"", cbor.encode(value) * 2):
        with pytest.raises(Malformed):
            kind.parse(payload, START)


def test_an_unknown_content_type_is_refused_by_name() -> None:
    statement = Log().say(OPERATOR, "urn:x", "application/json", b"{}")
    for call in (kind_of, parse_payload):
        with pytest.raises(Malformed, match="'application/json'") as refusal:
            call(statement)
        assert refusal.value.field == "content type"


def test_names_and_content_types_are_unique() -> None:
    assert {kind.content_type for kind in KINDS.values()} == KINDS.keys()
    assert len({kind.name for kind in KINDS.values()}) == len(KINDS)
