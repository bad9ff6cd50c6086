"""Orders place themselves by proof: each check of `order` refuses with its own error and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import pytest

from tests.contracts.agreement_rig import (
    ACCEPT,
    COVERAGE,
    EARLY,
    FOREIGN_IRI,
    MAX_AGE,
    OPERATOR,
    OTHER_IRI,
    OTHER_KEY,
    PRICE,
    STRANGER,
    SUPPLIER,
    TECHNICIAN,
    Proof,
    Rig,
    State,
    Terms,
    twin,
)
from tests.contracts.kit import refused
from twinproof.chain.hexadecimal import keccak
from twinproof.errors import Reverted
from twinproof.twin.prediction import PREDICTION, float_bits


@pytest.fixture
def rig() -> Rig:
    """Everything deployed."""
    return Rig.fresh()


def test_a_proved_prediction_places_an_order(rig: Rig) -> None:
    terms = rig.terms()
    agreement = rig.active(terms)
    proof = rig.proof(EARLY)
    now = rig.world.time
    done = rig.send(STRANGER, "order", agreement, terms, proof)
    order = done.value
    assert order == (agreement << 32) + 1
    assert done.events == [
        (
            "OrderPlaced",
            {"orderId": order, "id": agreement, "twin": twin(), "index": EARLY, "lower": float_bits(12.0),
             "deadline": now + ACCEPT},
        )
    ]  # fmt: skip
    seen = rig.seen(order)
    assert (seen.state, seen.index, seen.deadline, seen.token) == (State.PLACED, EARLY, now + ACCEPT, 0)
    assert rig.free(agreement) == 9 * PRICE
    assert rig.agreement.call("episodeOf", agreement, twin()) == (True, 0, order, True, EARLY)
    assert rig.agreement.call("episodeOf", agreement, twin(OTHER_IRI)) == (True, 0, 0, False, 0)
    assert rig.agreement.call("episodeOf", agreement, twin(FOREIGN_IRI)) == (False, 0, 0, False, 0)


Case = Callable[[Rig, Terms, int], tuple[Any, ...]]


def _proved(**changes: Any) -> Case:
    """A prediction that differs in this."""
    return lambda rig, terms, agreement: (agreement, terms, rig.logged(rig.prediction(**changes)))


def _altered(**changes: Any) -> Case:
    """A good proof with other fields."""

    def make(rig: Rig, terms: Terms, agreement: int) -> tuple[Any, ...]:
        return agreement, terms, replace(rig.logged(rig.prediction()), **changes)

    return make


def _aged(seconds: int) -> Case:
    """A prediction that is this old when the order is placed: two blocks after it was stated."""

    def make(rig: Rig, terms: Terms, agreement: int) -> tuple[Any, ...]:
        proof = rig.logged(rig.prediction(at=rig.world.time + 1 - seconds))
        return agreement, terms, proof

    return make


def _with_terms(**changes: Any) -> Case:
    return lambda rig, terms, agreement: (agreement, replace(terms, **changes), rig.logged(rig.prediction()))


def _ended(function: str, *arguments: object) -> Case:
    """After the operator did this."""

    def make(rig: Rig, terms: Terms, agreement: int) -> tuple[Any, ...]:
        rig.send(OPERATOR, function, agreement, terms, *arguments)
        return agreement, terms, rig.logged(rig.prediction())

    return make


def _suspended_by_supplier(rig: Rig, terms: Terms, agreement: int) -> tuple[Any, ...]:
    rig.send(SUPPLIER, "suspend", agreement, terms, True)
    return agreement, terms, rig.logged(rig.prediction())


def _proposed_only(rig: Rig, terms: Terms, agreement: int) -> tuple[Any, ...]:
    return rig.propose(terms, value=PRICE), terms, rig.logged(rig.prediction())


def _unanchored(rig: Rig, terms: Terms, agreement: int) -> tuple[Any, ...]:
    proof = rig.logged(rig.prediction())
    return agreement, terms, replace(proof, head=replace(proof.head, time=proof.head.time + 1))


def _other_log(rig: Rig, terms: Terms, agreement: int) -> tuple[Any, ...]:
    other = rig.terms(log_id=b"\1" * 32)
    return rig.active(other), other, rig.logged(rig.prediction())


def _again(lower: float = 12.0, *, new: bool = False) -> Case:
    """With an order open already."""

    def make(rig: Rig, terms: Terms, agreement: int) -> tuple[Any, ...]:
        first = rig.logged(rig.prediction())
        rig.order(agreement, terms, first)
        return agreement, terms, rig.logged(rig.prediction(lower=lower)) if new else first

    return make


def _poor(rig: Rig, terms: Terms, agreement: int) -> tuple[Any, ...]:
    dear = rig.terms(price=PRICE + 1)
    return rig.active(dear, escrow=PRICE), dear, rig.logged(rig.prediction())


ABOVE_COVERAGE: Final = float_bits(COVERAGE) + 1
REFUSALS: Final[dict[str, tuple[Case, str]]] = {
    "other-terms": (_with_terms(price=PRICE - 1), "WrongTerms("),
    "other-agreement": (lambda rig, terms, agreement: (agreement + 1, terms, rig.proof(EARLY)), "WrongTerms("),
    "not-agreed": (_proposed_only, "NotActive("),
    "suspended-by-operator": (_ended("suspend", True), "NotActive("),
    "suspended-by-supplier": (_suspended_by_supplier, "NotActive("),
    "ended": (_ended("end"), "NotActive("),
    "not-anchored": (_unanchored, "NotAnchored("),
    "other-log": (_other_log, "NotAnchored("),
    "other-index": (_altered(index=EARLY), "BadInclusionProof("),
    "other-statement": (_altered(statement=b"\xd2"), "BadInclusionProof("),
    "no-path": (_altered(path=()), "BadInclusionProof("),
    "not-a-statement": (lambda rig, terms, agreement: (agreement, terms, rig.logged(b"text")), "BadStatement("),
    "other-kind": (_proved(content_type=f"{PREDICTION}x"), "WrongKind("),
    "other-key": (_proved(key=OTHER_KEY), "BadSignature("),
    "technician-predicts": (_proved(key=TECHNICIAN), "BadSignature("),
    "other-twin": (_proved(iri=FOREIGN_IRI), f"TwinNotCovered(0x{twin(FOREIGN_IRI).hex()})"),
    "other-unit": (_proved(unit="h"), f"WrongUnit(0x{keccak(b'h').hex()})"),
    "coverage": (_proved(coverage=0.89), "CoverageTooLow("),
    "bound-equal": (_proved(lower=30.0), "NotBelow("),
    "bound-above": (_proved(lower=31.0), "NotBelow("),
    "stale": (_aged(MAX_AGE + 1), "Stale("),
    "future": (_aged(-301), "FromTheFuture("),
    "replayed": (_again(), "NotAfter("),
    "open": (_again(new=True), "OrderOpen("),
    "no-escrow": (_poor, f"InsufficientEscrow({PRICE}, {PRICE + 1})"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_each_check_has_its_own_refusal(rig: Rig, case: str) -> None:
    make, error = REFUSALS[case]
    terms = rig.terms()
    agreement, used, proof = make(rig, terms, rig.active(terms))
    before = rig.agreement.call("agreementOf", agreement), rig.agreement.call("episodeOf", agreement, twin())
    balance = rig.world.balance(rig.agreement.address)
    with refused(error):
        rig.send(STRANGER, "order", agreement, used, proof)
    after = rig.agreement.call("agreementOf", agreement), rig.agreement.call("episodeOf", agreement, twin())
    assert after == before
    assert rig.world.balance(rig.agreement.address) == balance


@pytest.mark.parametrize(
    "changes", [{"lower": 29.999999999999996}, {"lower": 0.0}, {"coverage": 0.95}], ids=["just-below", "zero", "surer"]
)
def test_the_bounds_are_compared_as_numbers(rig: Rig, changes: dict[str, Any]) -> None:
    terms = rig.terms()
    rig.order(rig.active(terms), terms, rig.logged(rig.prediction(**changes)))


@pytest.mark.parametrize("age", [MAX_AGE, 0, -300])
def test_a_prediction_is_fresh_to_the_second(rig: Rig, age: int) -> None:
    terms = rig.terms()
    agreement = rig.active(terms)
    rig.order(*_aged(age)(rig, terms, agreement))


def test_every_part_of_the_proof_is_bound(rig: Rig) -> None:
    """One bit in every three bytes of the statement, in each hash and in each number."""
    terms = rig.terms()
    agreement = rig.active(terms)
    proof = rig.proof(EARLY)
    assert len(proof.path) == 21
    altered: list[Proof] = []
    for place in range(0, len(proof.statement), 3):
        bytes_ = bytearray(proof.statement)
        bytes_[place] ^= 1 << place % 8
        altered.append(replace(proof, statement=bytes(bytes_)))
    for place, value in enumerate(proof.path):
        other = bytes([value[0] ^ 1]) + value[1:]
        altered.append(replace(proof, path=(*proof.path[:place], other, *proof.path[place + 1 :])))
        altered.append(replace(proof, path=proof.path[:place] + proof.path[place + 1 :]))
    altered += [replace(proof, path=(*proof.path, bytes(32))), replace(proof, statement=proof.statement + b"\0")]
    altered += [replace(proof, index=proof.index ^ (1 << bit)) for bit in range(21)]
    head = proof.head
    altered += [replace(proof, head=replace(head, size=head.size + change)) for change in (-1, 1)]
    altered += [replace(proof, head=replace(head, time=head.time + change)) for change in (-1, 1)]
    altered.append(replace(proof, head=replace(head, root=bytes(32))))
    for bad in altered:
        with pytest.raises(Reverted):
            rig.agreement.call("order", agreement, terms, bad)
    rig.agreement.call("order", agreement, terms, proof)


def test_every_part_of_the_statement_is_signed(rig: Rig) -> None:
    """A log that logs an altered statement gains nothing: the signature covers all of it."""
    terms = rig.terms()
    agreement = rig.active(terms)
    raw = rig.prediction()
    step = 7
    for place in range(0, len(raw), step):
        bad = bytearray(raw)
        bad[place] ^= 1 << place % 8
        rig.entries[rig.size] = bytes(bad)
        rig.size += 1
    first = rig.size - len(range(0, len(raw), step))
    rig.anchor()
    for index in range(first, rig.size):
        with pytest.raises(Reverted) as caught:
            rig.agreement.call("order", agreement, terms, rig.proof(index))
        assert caught.value.reason.startswith(("BadStatement(", "BadSignature(", "WrongKind("))


def test_old_heads_prove_as_well_as_the_newest(rig: Rig) -> None:
    terms = rig.terms()
    agreement = rig.active(terms)
    proof = rig.logged(rig.prediction())
    rig.logged(b"something else")
    rig.order(agreement, terms, proof)


@pytest.mark.parametrize("how", ["cancelled", "fulfilled", "refunded", "resolved"])
def test_a_new_episode_needs_a_later_prediction(rig: Rig, how: str) -> None:
    ends = {"cancelled": State.CANCELLED, "fulfilled": State.FULFILLED, "refunded": State.REFUNDED}
    terms = rig.terms(max_age=1_000_000)
    order, _, terms = rig.bring(ends.get(how, State.RESOLVED), terms)
    agreement, seen = order >> 32, rig.seen(order)
    floor = max(seen.index, seen.installed)
    assert rig.agreement.call("episodeOf", agreement, twin()) == (True, 1, order, False, floor)
    with refused(f"NotAfter({seen.index}, {floor})"):
        rig.order(agreement, terms, rig.proof(seen.index))
    assert rig.order(agreement, terms) == order + 1


def test_a_prediction_from_before_the_installation_places_nothing(rig: Rig) -> None:
    terms = rig.terms(max_age=1_000_000)
    agreement = rig.active(terms)
    order = rig.order(agreement, terms)
    token = rig.shipped(order, terms)
    between = rig.logged(rig.prediction())
    installed = rig.logged(rig.installation(order, token))
    rig.send(STRANGER, "confirmInstallation", order, terms, installed)
    with refused(f"NotAfter({between.index}, {installed.index})"):
        rig.order(agreement, terms, between)


def test_twins_and_agreements_have_orders_of_their_own(rig: Rig) -> None:
    terms = rig.terms()
    first, second = rig.active(terms), rig.active(terms)
    proof = rig.logged(rig.prediction())
    other = rig.logged(rig.prediction(iri=OTHER_IRI))
    orders = [rig.order(first, terms, proof), rig.order(second, terms, proof), rig.order(first, terms, other)]
    assert orders == [(first << 32) + 1, (second << 32) + 1, (first << 32) + 2]


def test_open_orders_go_on_when_the_agreement_ends(rig: Rig) -> None:
    order, _, terms = rig.bring(State.PLACED)
    rig.send(SUPPLIER, "end", order >> 32, terms)
    token = rig.shipped(order, terms)
    rig.send(STRANGER, "confirmInstallation", order, terms, rig.logged(rig.installation(order, token)))
    assert rig.owed(SUPPLIER) == PRICE


def test_a_lifted_suspension_lets_orders_pass(rig: Rig) -> None:
    terms = rig.terms()
    agreement = rig.active(terms)
    proof = rig.logged(rig.prediction())
    for suspended in (True, False):
        rig.send(SUPPLIER, "suspend", agreement, terms, suspended)
        rig.send(OPERATOR, "suspend", agreement, terms, suspended)
    rig.send(SUPPLIER, "suspend", agreement, terms, True)
    with refused("NotActive"):
        rig.order(agreement, terms, proof)
    rig.send(OPERATOR, "suspend", agreement, terms, False)
    with refused("NotActive"):
        rig.order(agreement, terms, proof)
    rig.send(SUPPLIER, "suspend", agreement, terms, False)
    rig.order(agreement, terms, proof)
