"""What a statement can say: content type, the capability it takes, the parser of its payload.

This table is the whole registry: intake, verifier and views look kinds up here. What else a new kind
takes is a list in CONTRIBUTING.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from twinproof.errors import Malformed
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
from twinproof.twin.grants import Capability
from twinproof.twin.statement import Statement


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of statement."""

    name: str
    content_type: str
    capability: Capability | None
    """None: any grant on the twin will do. For authority statements `twin.authority` has rules of its own."""
    parse: Callable[[bytes, int], object]
    """(payload, the statement's `iat`) -> the parsed payload; raises `Malformed`."""


KINDS: Final = {
    kind.content_type: kind
    for kind in (
        Kind("genesis", grants.GENESIS, None, grants.parse_genesis),
        Kind("grant", grants.GRANT, Capability.ADMINISTER, grants.parse_grant),
        Kind("revoke", grants.REVOKE, None, grants.parse_revocation),
        Kind("readings", senml.SENML, Capability.RECORD, senml.parse_senml),
        Kind("columns", columns.COLUMNS, Capability.RECORD, columns.parse_columns),
        Kind("description", description.DESCRIPTION, Capability.DESCRIBE, description.parse_description),
        Kind("attestation", attestation.ATTESTATION, Capability.ATTEST, attestation.parse_attestation),
        Kind("resume", attestation.RESUME, None, attestation.parse_resume),
        Kind("model", model.MODEL, Capability.DESCRIBE, model.parse_model),
        Kind("desired", operation.DESIRED, Capability.OPERATE, operation.parse_desired),
        Kind("command", operation.COMMAND, Capability.OPERATE, operation.parse_command),
        Kind("acknowledgement", operation.ACKNOWLEDGEMENT, Capability.RECORD, operation.parse_acknowledgement),
        Kind("rule", alarm.RULE, Capability.OPERATE, alarm.parse_rule),
        Kind("alarm", alarm.ALARM, Capability.PREDICT, alarm.parse_alarm),
        Kind("alarm-response", alarm.ALARM_RESPONSE, Capability.OPERATE, alarm.parse_alarm_response),
        Kind("prediction", prediction.PREDICTION, Capability.PREDICT, prediction.parse_prediction),
        Kind("predictor", predictor.PREDICTOR, Capability.PREDICT, predictor.parse_predictor),
        Kind("installation", installation.INSTALLATION, Capability.MAINTAIN, installation.parse_installation),
        Kind("policy", policy.POLICY, Capability.OPERATE, policy.parse_policy),
        Kind("chain-event", chain_event.CHAIN_EVENT, Capability.RECORD, chain_event.parse_chain_event),
    )
}
"""By content type."""


def kind_of(statement: Statement) -> Kind:
    """The kind of a statement; raises `Malformed` for a content type that is not in the table."""
    kind = KINDS.get(statement.content_type)
    if kind is None:
        raise Malformed("content type", f"{statement.content_type!r} is no kind of statement that this log takes")
    return kind


def parse_payload(statement: Statement) -> object:
    """The parsed payload of a statement; raises `Malformed`."""
    return kind_of(statement).parse(statement.payload, statement.issued_at)
