"""What the calls cost, in gas of whole transactions, and the size of the contract: bounds with little room."""

from __future__ import annotations

from typing import Final

import pytest

from tests.contracts.agreement_rig import (
    EARLY,
    NATIVE,
    OPERATOR,
    STRANGER,
    SUPPLIER,
    Rig,
    twin,
)

LIMIT: Final = 24_576
"""Bytes of code that a contract may have (EIP-170)."""
BOUNDS: Final = {
    "propose": 116_000,
    "agree": 58_000,
    "deposit": 42_000,
    "order": 126_000,
    "acceptOrder": 41_500,
    "ship": 113_000,
    "receivePart": 50_000,
    "confirmInstallation": 112_000,
    "withdraw": 33_000,
}


@pytest.fixture
def rig() -> Rig:
    """Everything deployed."""
    return Rig.fresh()


def test_the_contract_fits(rig: Rig) -> None:
    assert len(rig.agreement.artifact.deployed_bytecode) < LIMIT


def costs(rig: Rig) -> dict[str, int]:
    """One order from the proposal to the money: coin, one twin, a proof of 21 hashes, slots used for the first time."""
    terms = rig.terms()
    gas = {"propose": rig.send(OPERATOR, "propose", terms, [twin()]).gas}
    gas["agree"] = rig.send(SUPPLIER, "agree", 1, terms).gas
    gas["deposit"] = rig.send(OPERATOR, "deposit", 1, terms, 10_000, value=10_000).gas
    proof = rig.proof(EARLY)
    assert len(proof.path) == 21
    placed = rig.send(STRANGER, "order", 1, terms, proof)
    gas["order"], order = placed.gas, placed.value
    gas["acceptOrder"] = rig.send(SUPPLIER, "acceptOrder", order, terms).gas
    token = rig.part()
    rig.offer(token, SUPPLIER, OPERATOR)
    gas["ship"] = rig.send(SUPPLIER, "ship", order, terms, token).gas
    rig.passports.send(OPERATOR, "accept", token)
    gas["receivePart"] = rig.send(STRANGER, "receivePart", order, terms).gas
    installed = rig.logged(rig.installation(order, token))
    gas["confirmInstallation"] = rig.send(STRANGER, "confirmInstallation", order, terms, installed).gas
    gas["withdraw"] = rig.send(SUPPLIER, "withdraw", NATIVE).gas
    return gas


def test_each_call_stays_within_its_bound(rig: Rig) -> None:
    found = costs(rig)
    assert found.keys() == BOUNDS.keys()
    assert {name: gas for name, gas in found.items() if gas > BOUNDS[name]} == {}
    assert {name: gas for name, gas in found.items() if gas < 0.9 * BOUNDS[name]} == {}, "cheaper: lower the bound"


def test_a_later_order_of_the_same_twin_is_cheaper_in_storage(rig: Rig) -> None:
    """Only the order itself takes a new slot: ended orders leave nothing to write."""
    terms = rig.terms()
    agreement = rig.active(terms)
    first = rig.send(STRANGER, "order", agreement, terms, rig.proof(EARLY))
    rig.send(OPERATOR, "cancelOrder", first.value, terms)
    again = rig.send(STRANGER, "order", agreement, terms, rig.logged(rig.prediction()))
    assert again.gas < first.gas
