"""An order's life: who may do what in which state, what each state times out to, and who ends up with the money."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any, Final

import pytest

from tests.contracts.agreement_rig import (
    ACCEPT,
    ACCOMPLICE,
    ACCREDITOR,
    ARBITER,
    DAY,
    DISPUTE,
    EARLY,
    INSTALL,
    MANUFACTURER,
    NOBODY,
    OPEN,
    OPERATOR,
    OTHER_IRI,
    OTHER_KEY,
    PREDICTOR,
    PRICE,
    RECEIVE,
    SHIP,
    STRANGER,
    SUPPLIER,
    Proof,
    Rig,
    State,
)
from tests.contracts.kit import refused
from twinproof.chain.accounts import Account
from twinproof.chain.hexadecimal import keccak
from twinproof.errors import Reverted
from twinproof.twin.prediction import PREDICTION

QUARANTINED, SCRAPPED, REMOVED = 2, 3, 1
PEOPLE: Final[dict[str, Account]] = {
    "operator": OPERATOR,
    "supplier": SUPPLIER,
    "arbiter": ARBITER,
    "stranger": STRANGER,
}
FUNCTIONS: Final = (
    "acceptOrder", "ship", "receivePart", "confirmInstallation", "cancelOrder", "dispute", "resolve", "expire"
)  # fmt: skip
ANYBODY: Final = frozenset(PEOPLE)
PARTIES: Final = frozenset({"operator", "supplier"})
ALLOWED: Final[dict[tuple[State, str], frozenset[str]]] = {
    (State.PLACED, "acceptOrder"): frozenset({"supplier"}),
    (State.ACCEPTED, "ship"): frozenset({"supplier"}),
    (State.SHIPPED, "receivePart"): ANYBODY,
    (State.DISPUTED, "receivePart"): ANYBODY,
    (State.SHIPPED, "confirmInstallation"): ANYBODY,
    (State.RECEIVED, "confirmInstallation"): ANYBODY,
    (State.SHIPPED, "dispute"): PARTIES,
    (State.RECEIVED, "dispute"): PARTIES,
    (State.DISPUTED, "resolve"): frozenset({"arbiter"}),
    **{(state, "cancelOrder"): PARTIES for state in OPEN},
}
"""Before the deadline; `expire` is for anybody from the deadline of each open state."""


@pytest.fixture
def rig() -> Rig:
    """Everything deployed."""
    return Rig.fresh()


def _arguments(rig: Rig, function: str, order: int, token: int, state: State) -> tuple[Any, ...]:
    """What makes the function work, if anything does; the part lies ready where the state allows it."""
    if function == "ship":
        ready = rig.part()
        rig.offer(ready, SUPPLIER, OPERATOR)
        return (ready,)
    if function == "receivePart" and state in (State.SHIPPED, State.DISPUTED):
        rig.passports.send(OPERATOR, "accept", token)
    if function == "confirmInstallation":
        return (rig.logged(rig.installation(order, token)),)
    return (PRICE // 4,) if function == "resolve" else ()


@pytest.mark.parametrize("state", list(State), ids=lambda state: state.name)
def test_who_may_do_what_in_which_state(rig: Rig, state: State) -> None:
    order, token, terms = rig.bring(state)
    start = rig.snapshot()
    before = rig.seen(order)
    for function, (name, sender) in product(FUNCTIONS, PEOPLE.items()):
        rig.revert(start)
        arguments = _arguments(rig, function, order, token, state)
        if name in ALLOWED.get((state, function), ()):
            assert rig.send(sender, function, order, terms, *arguments).events
            assert rig.seen(order) != before
            continue
        error = "WrongState(" if not any(function == known for at, known in ALLOWED if at == state) else "NotAllowed("
        if function == "expire":
            error = "TooEarly(" if state in OPEN else "WrongState("
        with refused(error):
            rig.send(sender, function, order, terms, *arguments)
        assert rig.seen(order) == before, (function, name)


@pytest.mark.parametrize(
    ("state", "after", "events", "to_supplier"),
    [
        (State.PLACED, State.REFUNDED, ["OrderCancelled"], 0),
        (State.ACCEPTED, State.REFUNDED, ["OrderCancelled"], 0),
        (State.SHIPPED, State.REFUNDED, ["OrderCancelled"], 0),
        (State.RECEIVED, State.FULFILLED, ["OrderFulfilled"], PRICE),
        (State.DISPUTED, State.RESOLVED, ["OrderResolved"], 0),
    ],
    ids=lambda value: value.name if isinstance(value, State) else "",
)
def test_every_state_ends_at_its_deadline(
    rig: Rig, state: State, after: State, events: list[str], to_supplier: int
) -> None:
    order, _, terms = rig.bring(state)
    agreement = order >> 32
    free = rig.free(agreement)
    rig.until(order, before=1)
    with refused(f"TooEarly({rig.seen(order).deadline})"):
        rig.send(STRANGER, "expire", order, terms)
    rig.until(order)
    assert [name for name, _ in rig.send(STRANGER, "expire", order, terms).events] == events
    assert rig.seen(order).state == after
    assert (rig.owed(SUPPLIER), rig.free(agreement)) == (to_supplier, free + PRICE - to_supplier)
    with refused(f"WrongState({after.value})"):
        rig.send(STRANGER, "expire", order, terms)


@pytest.mark.parametrize(
    ("state", "function", "sender"),
    [
        (State.PLACED, "acceptOrder", SUPPLIER),
        (State.ACCEPTED, "ship", SUPPLIER),
        (State.SHIPPED, "dispute", OPERATOR),
        (State.RECEIVED, "dispute", SUPPLIER),
        (State.DISPUTED, "resolve", ARBITER),
    ],
    ids=["accept", "ship", "dispute-shipped", "dispute-received", "resolve"],
)
def test_a_second_before_the_deadline_is_in_time_and_the_deadline_is_late(
    rig: Rig, state: State, function: str, sender: Account
) -> None:
    order, token, terms = rig.bring(state)
    deadline = rig.seen(order).deadline
    rig.world.time = deadline - 60
    arguments = _arguments(rig, function, order, token, state)
    rig.world.time = deadline
    with refused(f"TooLate({deadline})"):
        rig.send(sender, function, order, terms, *arguments)
    rig.world.time = deadline - 1
    rig.send(sender, function, order, terms, *arguments)


def test_the_deadlines_are_those_of_the_terms(rig: Rig) -> None:
    terms = rig.terms()
    order = rig.order(rig.active(terms), terms)
    assert rig.seen(order).deadline == rig.world.time - 1 + ACCEPT
    rig.send(SUPPLIER, "acceptOrder", order, terms)
    assert rig.seen(order).deadline == rig.world.time - 1 + SHIP
    token = rig.part()
    expires = rig.offer(token, SUPPLIER, OPERATOR)
    rig.send(SUPPLIER, "ship", order, terms, token)
    assert rig.seen(order).deadline == expires
    rig.passports.send(OPERATOR, "accept", token)
    rig.send(STRANGER, "receivePart", order, terms)
    assert rig.seen(order).deadline == rig.world.time - 1 + INSTALL
    rig.send(SUPPLIER, "dispute", order, terms)
    assert rig.seen(order).deadline == rig.world.time - 1 + DISPUTE


# --- shipping ------------------------------------------------------------------------------


@pytest.mark.parametrize("within", [RECEIVE, RECEIVE + 1, RECEIVE + DAY + 1, RECEIVE + DAY + 2])
def test_the_offer_ends_in_the_agreed_time_and_at_most_a_day_later(rig: Rig, within: int) -> None:
    """The order is shipped a second after the offer was made."""
    order, _, terms = rig.bring(State.ACCEPTED)
    token = rig.part()
    rig.offer(token, SUPPLIER, OPERATOR, within)
    if RECEIVE < within <= RECEIVE + DAY + 1:
        rig.send(SUPPLIER, "ship", order, terms, token)
        return
    with refused("WrongOffer("):
        rig.send(SUPPLIER, "ship", order, terms, token)


def test_only_a_fit_part_of_the_supplier_is_shipped(rig: Rig) -> None:
    order, _, terms = rig.bring(State.ACCEPTED)
    elsewhere = rig.part(MANUFACTURER)
    rig.offer(elsewhere, MANUFACTURER, OPERATOR)
    with refused("WrongHolder("):
        rig.send(SUPPLIER, "ship", order, terms, elsewhere)
    other = rig.part(number="HPT-4712")
    rig.offer(other, SUPPLIER, OPERATOR)
    with refused(f"WrongPart(0x{keccak(b'HPT-4712').hex()})"):
        rig.send(SUPPLIER, "ship", order, terms, other)
    not_offered = rig.part()
    with refused("WrongOffer("):
        rig.send(SUPPLIER, "ship", order, terms, not_offered)
    rig.offer(not_offered, SUPPLIER, ACCOMPLICE)
    with refused("WrongOffer("):
        rig.send(SUPPLIER, "ship", order, terms, not_offered)
    for status in (REMOVED, QUARANTINED, SCRAPPED):
        unfit = rig.part()
        rig.offer(unfit, SUPPLIER, OPERATOR)
        rig.passports.send(SUPPLIER, "setStatus", unfit, status, bytes(32))
        with refused(f"PartUnfit({unfit})"):
            rig.send(SUPPLIER, "ship", order, terms, unfit)
    with refused("ERC721NonexistentToken"):
        rig.passports.call("ownerOf", 1)
    with pytest.raises(Reverted):
        rig.send(SUPPLIER, "ship", order, terms, 1)


def test_a_part_serves_one_open_order_and_is_paid_for_once(rig: Rig) -> None:
    first, token, terms = rig.bring(State.SHIPPED)
    agreement = first >> 32
    assert rig.agreement.call("servedBy", rig.passports.address, token) == first
    second = rig.order(agreement, terms, rig.logged(rig.prediction(OTHER_IRI)))
    rig.send(SUPPLIER, "acceptOrder", second, terms)
    with refused(f"PartTaken({first})"):
        rig.send(SUPPLIER, "ship", second, terms, token)
    start = rig.snapshot()
    # Refunded: the part may serve again.
    rig.passports.send(SUPPLIER, "cancelOffer", token)
    for party in (SUPPLIER, OPERATOR):
        rig.send(party, "cancelOrder", first, terms)
    rig.offer(token, SUPPLIER, OPERATOR)
    rig.send(SUPPLIER, "ship", second, terms, token)
    # Paid: it may not, though it came back.
    rig.revert(start)
    rig.passports.send(OPERATOR, "accept", token)
    rig.send(STRANGER, "confirmInstallation", first, terms, rig.logged(rig.installation(first, token)))
    rig.hand_over(token, OPERATOR, SUPPLIER)
    rig.offer(token, SUPPLIER, OPERATOR)
    with refused(f"PartTaken({first})"):
        rig.send(SUPPLIER, "ship", second, terms, token)


@pytest.mark.parametrize("share", [0, 1])
def test_a_part_of_a_dispute_serves_again_only_if_nothing_was_paid(rig: Rig, share: int) -> None:
    first, token, terms = rig.bring(State.DISPUTED)
    rig.send(ARBITER, "resolve", first, terms, share)
    rig.passports.send(SUPPLIER, "cancelOffer", token)
    second = rig.order(first >> 32, terms)
    rig.send(SUPPLIER, "acceptOrder", second, terms)
    rig.offer(token, SUPPLIER, OPERATOR)
    if not share:
        rig.send(SUPPLIER, "ship", second, terms, token)
        return
    with refused(f"PartTaken({first})"):
        rig.send(SUPPLIER, "ship", second, terms, token)


# --- receiving -----------------------------------------------------------------------------


def test_the_part_is_received_when_the_passport_says_so(rig: Rig) -> None:
    order, token, terms = rig.bring(State.SHIPPED)
    with refused(f"WrongHolder({token}, 0x"):
        rig.send(OPERATOR, "receivePart", order, terms)
    rig.passports.send(OPERATOR, "accept", token)
    rig.send(STRANGER, "receivePart", order, terms)
    assert (rig.seen(order).state, rig.seen(order).received) == (State.RECEIVED, True)


def test_a_received_part_that_nobody_reported_is_found_at_the_deadline(rig: Rig) -> None:
    order, token, terms = rig.bring(State.SHIPPED)
    rig.passports.send(OPERATOR, "accept", token)
    rig.until(order)
    rig.send(OPERATOR, "expire", order, terms)
    assert rig.seen(order).state == State.RECEIVED
    rig.until(order)
    rig.send(STRANGER, "expire", order, terms)
    assert rig.owed(SUPPLIER) == PRICE


def test_passing_a_received_part_on_does_not_refund(rig: Rig) -> None:
    """Once recorded, what the operator does with the part is its own affair; even in a dispute that nobody decides."""
    order, token, terms = rig.bring(State.RECEIVED)
    rig.hand_over(token, OPERATOR, ACCOMPLICE)
    start = rig.snapshot()
    rig.until(order)
    rig.send(STRANGER, "expire", order, terms)
    assert rig.owed(SUPPLIER) == PRICE
    rig.revert(start)
    rig.send(OPERATOR, "dispute", order, terms)
    rig.until(order)
    rig.send(STRANGER, "expire", order, terms)
    assert rig.owed(SUPPLIER) == PRICE


def test_passing_the_part_on_before_anybody_reported_it_leads_to_the_arbiter(rig: Rig) -> None:
    order, token, terms = rig.bring(State.SHIPPED)
    rig.passports.send(OPERATOR, "accept", token)
    rig.hand_over(token, OPERATOR, ACCOMPLICE)
    with refused("WrongHolder("):
        rig.send(SUPPLIER, "receivePart", order, terms)
    rig.until(order)
    rig.send(OPERATOR, "expire", order, terms)
    assert rig.seen(order).state == State.DISPUTED
    start = rig.snapshot()
    rig.send(ARBITER, "resolve", order, terms, PRICE)
    assert rig.owed(SUPPLIER) == PRICE
    rig.revert(start)
    rig.until(order)
    rig.send(OPERATOR, "expire", order, terms)
    assert (rig.owed(SUPPLIER), rig.free(order >> 32)) == (PRICE // 2, 10 * PRICE - PRICE // 2)


def test_the_technicians_word_pays_even_if_the_part_was_passed_on(rig: Rig) -> None:
    order, token, terms = rig.bring(State.SHIPPED)
    rig.passports.send(OPERATOR, "accept", token)
    rig.hand_over(token, OPERATOR, ACCOMPLICE)
    rig.send(SUPPLIER, "confirmInstallation", order, terms, rig.logged(rig.installation(order, token)))
    assert rig.owed(SUPPLIER) == PRICE


def test_selling_a_shipped_part_elsewhere_pays_at_most_half(rig: Rig) -> None:
    order, token, terms = rig.bring(State.SHIPPED)
    rig.passports.send(SUPPLIER, "cancelOffer", token)
    rig.hand_over(token, SUPPLIER, ACCOMPLICE)
    rig.until(order)
    rig.send(SUPPLIER, "expire", order, terms)
    rig.until(order)
    rig.send(SUPPLIER, "expire", order, terms)
    assert rig.owed(SUPPLIER) == PRICE // 2


def test_no_refund_while_the_operator_can_still_take_the_part(rig: Rig) -> None:
    """The order's deadline is the end of the offer, and an early dispute does not come before it."""
    order, token, terms = rig.bring(State.SHIPPED, rig.terms(dispute_within=1))
    expires = rig.passports.call("offerOf", token)[1]
    rig.send(OPERATOR, "dispute", order, terms)
    assert rig.seen(order).deadline == expires
    rig.until(order)
    with refused("OfferExpired("):
        rig.passports.send(OPERATOR, "accept", token)
    rig.until(order)
    rig.send(OPERATOR, "expire", order, terms)
    assert rig.owed(SUPPLIER) == 0


# --- installing ----------------------------------------------------------------------------


def _installation(rig: Rig, order: int, token: int, case: str) -> tuple[Proof, str]:
    logged = rig.logged
    match case:
        case "other-key":
            return logged(rig.installation(order, token, key=OTHER_KEY)), "BadSignature("
        case "predictor":
            return logged(rig.installation(order, token, key=PREDICTOR)), "BadSignature("
        case "other-kind":
            return logged(rig.installation(order, token, content_type=PREDICTION)), "WrongKind("
        case "other-twin":
            return logged(rig.installation(order, token, OTHER_IRI)), "WrongTwin("
        case "other-order":
            return logged(rig.installation(order + 1, token)), "WrongOrder("
        case "other-part":
            return logged(rig.installation(order, token + 1)), "WrongInstalledPart("
        case "unanchored":
            proof = logged(rig.installation(order, token))
            return replace(proof, head=replace(proof.head, size=1)), "NotAnchored("
        case "not-included":
            proof = logged(rig.installation(order, token))
            return replace(proof, index=proof.index - 1), "BadInclusionProof("
        case _:
            proof = rig.proof(EARLY)
            return proof, "WrongKind("


CASES: Final = (
    "other-key", "predictor", "other-kind", "other-twin", "other-order", "other-part", "unanchored", "not-included",
    "prediction",
)  # fmt: skip


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("state", [State.SHIPPED, State.RECEIVED], ids=["shipped", "received"])
def test_an_installation_is_proved(rig: Rig, state: State, case: str) -> None:
    order, token, terms = rig.bring(state)
    before = rig.seen(order)
    proof, error = _installation(rig, order, token, case)
    with refused(error):
        rig.send(STRANGER, "confirmInstallation", order, terms, proof)
    assert (rig.seen(order), rig.owed(SUPPLIER)) == (before, 0)


def test_an_installation_that_was_logged_before_the_prediction_pays_nothing(rig: Rig) -> None:
    """Order keys can be computed beforehand."""
    terms = rig.terms()
    agreement = rig.active(terms)
    token = rig.part()
    order = (agreement << 32) + 1
    early = rig.logged(rig.installation(order, token))
    assert rig.order(agreement, terms) == order
    rig.send(SUPPLIER, "acceptOrder", order, terms)
    rig.offer(token, SUPPLIER, OPERATOR)
    rig.send(SUPPLIER, "ship", order, terms, token)
    with refused(f"NotAfter({early.index}, {rig.seen(order).index})"):
        rig.send(SUPPLIER, "confirmInstallation", order, terms, early)


def test_a_confirmed_installation_pays(rig: Rig) -> None:
    order, token, terms = rig.bring(State.RECEIVED)
    proof = rig.logged(rig.installation(order, token))
    done = rig.send(STRANGER, "confirmInstallation", order, terms, proof)
    assert done.events == [("OrderFulfilled", {"orderId": order, "amount": PRICE})]
    seen = rig.seen(order)
    assert (seen.state, seen.installed, seen.paid) == (State.FULFILLED, proof.index, True)
    assert rig.owed(SUPPLIER) == PRICE


# --- cancelling and disputing --------------------------------------------------------------


def _cancel(rig: Rig, order: int, terms: object, *parties: Account) -> None:
    for party in parties:
        rig.send(party, "cancelOrder", order, terms)


def test_either_party_cancels_a_placed_order(rig: Rig) -> None:
    for party in (OPERATOR, SUPPLIER):
        order, _, terms = rig.bring(State.PLACED)
        _cancel(rig, order, terms, party)
        assert rig.seen(order).state == State.CANCELLED
        assert rig.free(order >> 32) == 10 * PRICE


def test_an_accepted_order_is_cancelled_by_the_supplier_alone(rig: Rig) -> None:
    order, _, terms = rig.bring(State.ACCEPTED)
    _cancel(rig, order, terms, OPERATOR, OPERATOR)
    assert (rig.seen(order).state, rig.seen(order).operator_consents) == (State.ACCEPTED, True)
    _cancel(rig, order, terms, SUPPLIER)
    assert rig.seen(order).state == State.CANCELLED


def test_consent_ends_with_the_state_it_was_given_in(rig: Rig) -> None:
    """Else the operator would take the part and then its money back."""
    order, token, terms = rig.bring(State.SHIPPED)
    _cancel(rig, order, terms, SUPPLIER)
    assert rig.seen(order).supplier_consents
    with refused(f"OfferStands({token})"):
        _cancel(rig, order, terms, OPERATOR)
    rig.passports.send(OPERATOR, "accept", token)
    with refused("WrongHolder("):
        _cancel(rig, order, terms, OPERATOR)
    rig.send(STRANGER, "receivePart", order, terms)
    _cancel(rig, order, terms, OPERATOR)
    assert rig.seen(order).state == State.RECEIVED
    _cancel(rig, order, terms, SUPPLIER)
    assert (rig.seen(order).state, rig.free(order >> 32)) == (State.CANCELLED, 10 * PRICE)


@pytest.mark.parametrize("state", [State.SHIPPED, State.DISPUTED], ids=["shipped", "disputed"])
def test_both_cancel_when_the_part_is_back(rig: Rig, state: State) -> None:
    order, token, terms = rig.bring(state)
    rig.passports.send(SUPPLIER, "cancelOffer", token)
    _cancel(rig, order, terms, OPERATOR, SUPPLIER)
    assert (rig.seen(order).state, rig.free(order >> 32)) == (State.CANCELLED, 10 * PRICE)


@pytest.mark.parametrize("before", [1, 0])
def test_an_offer_stands_until_its_last_second(rig: Rig, before: int) -> None:
    order, token, terms = rig.bring(State.SHIPPED)
    _cancel(rig, order, terms, SUPPLIER)
    rig.until(order, before)
    if before:
        with refused(f"OfferStands({token})"):
            _cancel(rig, order, terms, OPERATOR)
        return
    _cancel(rig, order, terms, OPERATOR)
    assert rig.seen(order).state == State.CANCELLED


@pytest.mark.parametrize("share", [0, 1, PRICE - 1, PRICE])
def test_the_arbiter_splits(rig: Rig, share: int) -> None:
    order, _, terms = rig.bring(State.DISPUTED)
    with refused(f"AboveThePrice({PRICE + 1}, {PRICE})"):
        rig.send(ARBITER, "resolve", order, terms, PRICE + 1)
    rig.send(ARBITER, "resolve", order, terms, share)
    assert (rig.owed(SUPPLIER), rig.free(order >> 32)) == (share, 10 * PRICE - share)
    assert rig.seen(order).paid == (share > 0)


@pytest.mark.parametrize(
    ("received", "holder", "share"),
    [
        (False, SUPPLIER, 0),
        (False, OPERATOR, PRICE),
        (False, ACCOMPLICE, PRICE // 2),
        (True, SUPPLIER, 0),
        (True, OPERATOR, PRICE),
        (True, ACCOMPLICE, PRICE),
    ],
    ids=["sent-supplier", "sent-operator", "sent-third", "had-supplier", "had-operator", "had-third"],
)
def test_who_holds_the_part_decides_if_the_arbiter_does_not(
    rig: Rig, received: bool, holder: Account, share: int
) -> None:
    order, token, terms = rig.bring(State.DISPUTED)
    if received:
        rig.passports.send(OPERATOR, "accept", token)
        rig.send(SUPPLIER, "receivePart", order, terms)
        with refused("AlreadyReceived"):
            rig.send(SUPPLIER, "receivePart", order, terms)
        if holder is not OPERATOR:
            rig.hand_over(token, OPERATOR, holder)
    elif holder is OPERATOR:
        rig.passports.send(OPERATOR, "accept", token)
    elif holder is ACCOMPLICE:
        rig.passports.send(SUPPLIER, "cancelOffer", token)
        rig.hand_over(token, SUPPLIER, ACCOMPLICE)
    rig.until(order)
    rig.send(STRANGER, "expire", order, terms)
    assert (rig.owed(SUPPLIER), rig.free(order >> 32)) == (share, 10 * PRICE - share)


def test_without_an_arbiter_the_holder_decides(rig: Rig) -> None:
    order, _, terms = rig.bring(State.DISPUTED, rig.terms(arbiter=NOBODY))
    for sender in (OPERATOR, SUPPLIER, ARBITER):
        with refused("NotAllowed"):
            rig.send(sender, "resolve", order, terms, PRICE)
    rig.until(order)
    rig.send(STRANGER, "expire", order, terms)
    assert rig.free(order >> 32) == 10 * PRICE


def test_a_quarantined_part_is_refunded_when_it_never_arrives(rig: Rig) -> None:
    order, token, terms = rig.bring(State.SHIPPED)
    rig.passports.send(ACCREDITOR, "setStatus", token, QUARANTINED, bytes(32))
    rig.until(order)
    rig.send(STRANGER, "expire", order, terms)
    assert rig.seen(order).state == State.REFUNDED


def test_every_call_needs_the_terms(rig: Rig) -> None:
    order, token, terms = rig.bring(State.SHIPPED)
    other = replace(terms, supplier=STRANGER.address)
    for function in FUNCTIONS:
        arguments = _arguments(rig, function, order, token, State.ACCEPTED)
        for wrong in ((order, other), (order + (1 << 32), terms), (order + (1 << 64), terms)):
            with refused("WrongTerms"):
                rig.send(STRANGER, function, *wrong, *arguments)
