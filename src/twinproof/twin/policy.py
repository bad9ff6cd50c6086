"""A maintenance policy: when a prediction is to place an order under an agreement on a chain.

    {"id": text, "unit": text, "below": x, "coverage": x, "chain": id, "contract": address, "agreement": n}
    {"id": text, "remove": true}

A policy is a statement about a twin, or about a model and then holds for each twin of it. It spends nothing by
itself: the agreement's contract has terms of its own, and checks the prediction against them. Normative page:
spec/chain.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from twinproof.errors import Malformed
from twinproof.proof import cbor
from twinproof.twin.fields import fields, finite, octets, unsigned, whole
from twinproof.twin.prediction import parse_unit

POLICY: Final = "application/vnd.twinproof.policy+cbor"
ADDRESS_SIZE: Final = 20
"""Bytes of an address on a chain."""
MAX_CHAIN_ID: Final = 2**63
"""Chain ids lie below it."""

_ID = re.compile(r"[a-z0-9][a-z0-9._\-]{0,63}\Z")


@dataclass(frozen=True, slots=True)
class Policy:
    """Order when a prediction in `unit` has lower < `below` and at least this coverage."""

    id: str
    unit: str
    below: float
    """In `unit`; positive."""
    coverage: float
    """The least coverage of a prediction that counts: 0 < coverage ≤ 1."""
    chain: int
    """Chain id (EIP-155)."""
    contract: bytes
    """Address of the MaintenanceAgreement contract, 20 bytes."""
    agreement: int
    """The agreement's number there, below 2^256."""


@dataclass(frozen=True, slots=True)
class PolicyRemoval:
    """The policy holds no longer."""

    id: str


def format_policy(policy: Policy | PolicyRemoval) -> bytes:
    """The payload of a policy statement."""
    return cbor.encode(policy_map(policy))


def policy_map(policy: Policy | PolicyRemoval) -> dict[int | str, cbor.Value]:
    """The payload as a map."""
    if isinstance(policy, PolicyRemoval):
        return {"id": policy.id, "remove": True}
    return {
        "id": policy.id,
        "unit": policy.unit,
        "below": policy.below,
        "coverage": policy.coverage,
        "chain": policy.chain,
        "contract": policy.contract,
        "agreement": policy.agreement if policy.agreement < 2**64 else policy.agreement.to_bytes(32, "big"),
    }


def parse_policy(payload: bytes, issued_at: int = 0) -> Policy | PolicyRemoval:
    """Read a policy payload; raises `Malformed` naming the key."""
    return read_policy(cbor.decode(payload, what="policy"))


def read_policy(value: cbor.Value) -> Policy | PolicyRemoval:
    """Read a decoded policy payload; raises `Malformed` naming the key."""
    if type(value) is dict and "remove" in value:
        value = fields(value, "policy", ("id", "remove"))
        if value["remove"] is not True:
            raise Malformed("policy.remove", "not true")
        return PolicyRemoval(_id(value["id"]))
    value = fields(value, "policy", ("id", "unit", "below", "coverage", "chain", "contract", "agreement"))
    policy = Policy(
        id=_id(value["id"]),
        unit=parse_unit(value["unit"], "policy.unit"),
        below=finite(value["below"], "policy.below"),
        coverage=finite(value["coverage"], "policy.coverage"),
        chain=whole(value["chain"], "policy.chain", 1, MAX_CHAIN_ID),
        contract=octets(value["contract"], "policy.contract", ADDRESS_SIZE),
        agreement=unsigned(value["agreement"], "policy.agreement"),
    )
    if policy.below <= 0:
        raise Malformed("policy.below", "not positive")
    if not 0 < policy.coverage <= 1:
        raise Malformed("policy.coverage", "not above 0 and at most 1")
    return policy


def _id(value: cbor.Value) -> str:
    if type(value) is not str or not _ID.match(value):
        raise Malformed("policy.id", "not 1..64 of a-z 0-9 . _ - beginning with a letter or digit")
    return value
