"""What is open now: the actions that an order, a part or an agreement allows, to whom and until when.

Pure: told what the contracts say as of one block (docs/agreements.md, docs/parts.md). A call may still be refused:
others act meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from twinproof.chain.agreements import Order, OrderState, Proposal, Standing, Terms
from twinproof.chain.forms import hex_of, order_name
from twinproof.chain.parts import Part, Status

OFFER_SLACK: Final = 3600
"""Seconds beyond the agreed time to receive that an offer is suggested to last; the contract takes up to a day."""
_AFTERWARDS: Final = {
    OrderState.PLACED: "the price goes back to the escrow",
    OrderState.ACCEPTED: "the price goes back to the escrow",
    OrderState.SHIPPED: "who holds the part decides what follows",
    OrderState.RECEIVED: "the supplier is paid",
    OrderState.DISPUTED: "who holds the part decides who is paid",
}
"""What `expire` leads to."""


@dataclass(frozen=True, slots=True)
class Opening:
    """An action that is open."""

    action: str
    by: tuple[bytes, ...] | None
    """Who may; None: anybody."""
    until: int | None = None
    """POSIX seconds; None: as long as the state lasts."""
    arguments: dict[str, Any] = field(default_factory=dict)
    """What is known of its arguments."""
    needs: tuple[str, ...] = ()
    """Arguments that are still to be said."""
    why: str | None = None
    """What must come before it; None: nothing."""
    note: str | None = None
    """What follows from it, where the action does not say so."""


def order_openings(order: Order, terms: Terms, now: int, part: Part | None, owed: int) -> list[Opening]:
    """Of an order at the block time `now`; `part` is the shipped one, `owed` what the supplier may withdraw."""
    if not order.state.is_open:
        return [Opening("withdraw", (terms.supplier,), arguments=_currency(terms))] if owed else []
    name = {"order": order_name(order.id)}
    late = now >= order.deadline
    until = order.deadline
    found: list[Opening] = []
    if not late:
        found += _in_time(order, terms, now, part, name)
    found += _always(order, terms, part, name)
    ends = _AFTERWARDS[order.state]
    if late:
        found.append(Opening("order.expire", None, arguments=name, note=ends))
    found += _cancelling(order, terms, name, until)
    return found


def _currency(terms: Terms) -> dict[str, Any]:
    return {"currency": hex_of(terms.currency)} if any(terms.currency) else {}


def _in_time(order: Order, terms: Terms, now: int, part: Part | None, name: dict[str, Any]) -> list[Opening]:
    until, parties = order.deadline, (terms.operator, terms.supplier)
    match order.state:
        case OrderState.PLACED:
            return [Opening("order.accept", (terms.supplier,), until, name)]
        case OrderState.ACCEPTED:
            offer = {"to": hex_of(terms.operator), "until": now + terms.receive_within + OFFER_SLACK}
            return [
                Opening("part.offer", (terms.supplier,), until, offer, ("token",)),
                Opening(
                    "order.ship", (terms.supplier,), until, name, ("token",),
                    note="the part is offered to the operator before",
                ),
            ]  # fmt: skip
        case OrderState.SHIPPED:
            taking = []
            if part is not None and part.offered_to == terms.operator and now < part.offer_expires:
                taking = [Opening("part.accept", (terms.operator,), part.offer_expires, {"token": str(order.token)})]
            return [*taking, Opening("order.dispute", parties, until, name)]
        case OrderState.RECEIVED:
            return [Opening("order.dispute", parties, until, name)]
        case _:
            decides = (terms.arbiter,) if any(terms.arbiter) else ()
            return [Opening("order.resolve", decides, until, name, ("to_supplier",))] if decides else []


def _always(order: Order, terms: Terms, part: Part | None, name: dict[str, Any]) -> list[Opening]:
    """What no deadline ends."""
    found = []
    if order.state in (OrderState.SHIPPED, OrderState.DISPUTED) and not order.received:
        has = part is not None and part.owner == terms.operator
        found.append(
            Opening("order.receive", None, arguments=name, why=None if has else "the operator accepts the part first")
        )
    if order.state in (OrderState.SHIPPED, OrderState.RECEIVED):
        found.append(
            Opening(
                "order.confirm", None, arguments=name, needs=("entry",),
                note="the entry is the technician's installation statement",
            )
        )  # fmt: skip
    return found


def _cancelling(order: Order, terms: Terms, name: dict[str, Any], until: int) -> list[Opening]:
    parties = (terms.operator, terms.supplier)
    if order.state is OrderState.PLACED:
        return [Opening("order.cancel", parties, arguments=name, note="ends it at once")]
    alone = (terms.supplier,) if order.state is OrderState.ACCEPTED else ()
    asked = {terms.operator: order.operator_consents, terms.supplier: order.supplier_consents}
    both = tuple(party for party in parties if party not in alone and not asked[party])
    found = [Opening("order.cancel", alone, arguments=name, note="ends it at once")] if alone else []
    if both:
        last = len(both) == 1 and not alone
        note = "the other party has agreed: ends it" if last else "takes the other party's consent, too"
        found.append(Opening("order.cancel", both, arguments=name, note=note))
    return found


def part_openings(part: Part, now: int, inside: Sequence[int]) -> list[Opening]:
    """Of a part at the block time `now`; `inside` are all parts in it, each after the one that it is in."""
    token = {"token": str(part.token)}
    if part.status is Status.SCRAPPED:
        return []
    owner, found = (part.owner,), []
    offered = part.offered_to is not None and now < part.offer_expires
    if offered and part.offered_to is not None:
        taking = (
            Opening("part.accept-assembly", (part.offered_to,), part.offer_expires,
                    {**token, "inside": [str(one) for one in inside]})
            if inside
            else Opening("part.accept", (part.offered_to,), part.offer_expires, token)
        )  # fmt: skip
        found += [taking, Opening("part.cancel-offer", (part.owner, part.offered_to), part.offer_expires, token)]
    elif part.status is not Status.QUARANTINED and not part.parent:
        found.append(Opening("part.offer", owner, arguments=token, needs=("to", "until")))
    if part.parent:
        found.append(Opening("part.remove", owner, arguments=token))
    elif part.status is Status.IN_SERVICE:
        note = "ends the offer" if offered else None
        found.append(Opening("part.install", owner, arguments=token, needs=("parent",), note=note))
    if part.status is not Status.QUARANTINED:
        found.append(Opening("part.user", owner, arguments=token, needs=("user",)))
    who = tuple(dict.fromkeys((part.owner, part.manufacturer)))
    found.append(Opening("part.status", who, arguments=token, needs=("status",)))
    return found


def agreement_openings(proposal: Proposal, standing: Standing) -> list[Opening]:
    """Of an agreement."""
    terms, name = proposal.terms, {"agreement": str(proposal.id)}
    found = []
    if standing.free:
        found.append(Opening("agreement.reclaim", (terms.operator,), arguments=name, needs=("amount",)))
    if standing.ended:
        return found
    if not standing.agreed:
        found.insert(0, Opening("agreement.agree", (terms.supplier,), arguments=name))
    found.append(Opening("agreement.fund", None, arguments=name, needs=("amount",)))
    for party, suspended in (
        (terms.operator, standing.suspended_by_operator),
        (terms.supplier, standing.suspended_by_supplier),
    ):
        found.append(Opening("agreement.suspend", (party,), arguments={**name, "suspended": not suspended}))
    return [*found, Opening("agreement.end", (terms.operator, terms.supplier), arguments=name)]
