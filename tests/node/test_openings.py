"""What is open of orders, parts and agreements, state by state; tests/server/test_acting.py asks the contracts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from twinproof.chain.agreements import Key, Order, OrderState, Proposal, Standing, Terms
from twinproof.chain.parts import Part, Status
from twinproof.node.openings import Opening, agreement_openings, order_openings, part_openings

OPERATOR, SUPPLIER, ARBITER, OTHER = (bytes([n]) * 20 for n in (1, 2, 3, 4))
NOW = 1_000_000
KEY = Key(bytes(32), bytes(32))
TERMS = Terms(
    OPERATOR, SUPPLIER, ARBITER, OTHER, OTHER, bytes(32), KEY, KEY, bytes(32), 1, 1, bytes(32), bytes(20), 10,
    3600, 3600, 3600, 7200, 3600, 3600,
)  # fmt: skip
PART = Part(5, SUPPLIER, bytes(32), bytes(32), bytes(32), Status.IN_SERVICE, 0, SUPPLIER, None, OPERATOR, NOW + 100)


def order(state: OrderState, **changes: object) -> Order:
    made = Order((1 << 32) + 1, state, 9, 0, NOW + 100, False, False, False, False, 5)
    return replace(made, **changes)  # type: ignore[arg-type]


def rows(found: list[Opening]) -> set[tuple[str, bytes | None]]:
    return {(one.action, who) for one in found for who in (one.by if one.by is not None else (None,))}


BOTH: set[tuple[str, bytes | None]] = {("order.cancel", OPERATOR), ("order.cancel", SUPPLIER)}
Rows = set[tuple[str, bytes | None]]
EXPECTED: dict[OrderState, Rows] = {
    OrderState.PLACED: {("order.accept", SUPPLIER), *BOTH},
    OrderState.ACCEPTED: {("part.offer", SUPPLIER), ("order.ship", SUPPLIER), *BOTH},
    OrderState.SHIPPED: {
        ("part.accept", OPERATOR), ("order.dispute", OPERATOR), ("order.dispute", SUPPLIER), ("order.receive", None),
        ("order.confirm", None), *BOTH,
    },
    OrderState.RECEIVED: {("order.dispute", OPERATOR), ("order.dispute", SUPPLIER), ("order.confirm", None), *BOTH},
    OrderState.DISPUTED: {("order.resolve", ARBITER), ("order.receive", None), *BOTH},
}  # fmt: skip
LATE: dict[OrderState, Rows] = {
    OrderState.PLACED: set(BOTH),
    OrderState.ACCEPTED: set(BOTH),
    OrderState.SHIPPED: {("order.receive", None), ("order.confirm", None), *BOTH},
    OrderState.RECEIVED: {("order.confirm", None), *BOTH},
    OrderState.DISPUTED: {("order.receive", None), *BOTH},
}


@pytest.mark.parametrize("state", EXPECTED, ids=[state.word for state in EXPECTED])
def test_in_time_and_late(state: OrderState) -> None:
    received = state is OrderState.RECEIVED
    assert rows(order_openings(order(state, received=received), TERMS, NOW, PART, 0)) == EXPECTED[state]
    late = order_openings(order(state, received=received), TERMS, NOW + 100, PART, 0)
    assert rows(late) == LATE[state] | {("order.expire", None)}, "in time is before the deadline"


@pytest.mark.parametrize("state", [state for state in OrderState if not state.is_open and state])
def test_of_what_is_final_only_money_is_left(state: OrderState) -> None:
    assert order_openings(order(state), TERMS, NOW, PART, 0) == []
    assert rows(order_openings(order(state), TERMS, NOW, PART, 7)) == {("withdraw", SUPPLIER)}
    (coins,) = order_openings(order(state), replace(TERMS, currency=OTHER), NOW, PART, 7)
    assert coins.arguments == {"currency": f"0x{OTHER.hex()}"}


def test_consent_to_cancel_is_given_once() -> None:
    asked = order(OrderState.SHIPPED, operator_consents=True)
    (cancel,) = [one for one in order_openings(asked, TERMS, NOW, PART, 0) if one.action == "order.cancel"]
    assert (cancel.by, cancel.note) == ((SUPPLIER,), "the other party has agreed: ends it")
    accepted = order_openings(order(OrderState.ACCEPTED), TERMS, NOW, None, 0)
    alone, together = (one for one in accepted if one.action == "order.cancel")
    assert (alone.by, alone.note) == ((SUPPLIER,), "ends it at once")
    assert (together.by, together.note) == ((OPERATOR,), "takes the other party's consent, too")


def test_what_must_come_first_is_said() -> None:
    def receive(part: Part) -> Opening:
        found = order_openings(order(OrderState.SHIPPED), TERMS, NOW, part, 0)
        return next(one for one in found if one.action == "order.receive")

    assert receive(PART).why == "the operator accepts the part first"
    assert receive(replace(PART, owner=OPERATOR)).why is None
    gone = order_openings(order(OrderState.SHIPPED), TERMS, NOW, replace(PART, offered_to=None), 0)
    assert ("part.accept", OPERATOR) not in rows(gone)
    nobody = order_openings(order(OrderState.DISPUTED), replace(TERMS, arbiter=bytes(20)), NOW, PART, 0)
    assert not any(one.action == "order.resolve" for one in nobody)


def test_parts() -> None:
    free = replace(PART, offered_to=None, offer_expires=0)
    always = {("part.user", SUPPLIER), ("part.status", SUPPLIER)}
    assert rows(part_openings(free, NOW, [])) == {("part.offer", SUPPLIER), ("part.install", SUPPLIER)} | always
    offered = {("part.accept", OPERATOR), ("part.cancel-offer", SUPPLIER), ("part.cancel-offer", OPERATOR)}
    assert rows(part_openings(PART, NOW, [])) == offered | {("part.install", SUPPLIER)} | always
    (whole,) = [one for one in part_openings(PART, NOW, [7, 8]) if one.action == "part.accept-assembly"]
    assert whole.arguments == {"token": "5", "inside": ["7", "8"]}
    assert ("part.offer", SUPPLIER) in rows(part_openings(PART, NOW + 100, [])), "an expired offer is replaced"
    assert rows(part_openings(replace(free, parent=9), NOW, [])) == {("part.remove", SUPPLIER)} | always
    assert rows(part_openings(replace(free, status=Status.QUARANTINED, owner=OTHER), NOW, [])) == {
        ("part.status", OTHER),
        ("part.status", SUPPLIER),
    }
    assert part_openings(replace(free, status=Status.SCRAPPED), NOW, []) == []


def test_agreements() -> None:
    proposal = Proposal(1, TERMS, (bytes(32),))
    proposed = agreement_openings(proposal, Standing(0, 0, False, False, False, False))
    assert ("agreement.agree", SUPPLIER) in rows(proposed)
    assert not any(one.action == "agreement.reclaim" for one in proposed)
    active = agreement_openings(proposal, Standing(5, 1, True, True, False, False))
    assert {one.by: one.arguments["suspended"] for one in active if one.action == "agreement.suspend"} == {
        (OPERATOR,): False,
        (SUPPLIER,): True,
    }
    ended = agreement_openings(proposal, Standing(5, 1, True, False, False, True))
    assert rows(ended) == {("agreement.reclaim", OPERATOR)}
