"""Maintenance orders and agreements: what the log tells of them, completed by what the contract says now."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from twinproof.chain.forms import order_name, parse_order, terms_json
from twinproof.errors import ChainError, NotFound
from twinproof.node.told import Purchase, ToldEvent
from twinproof.server import ledger_shapes as shapes
from twinproof.server.access import Principal, Rule, principal_of
from twinproof.server.api.contracted import (
    Contracted,
    Seen,
    address,
    block_form,
    check_covered,
    number,
    opening_form,
    reading,
)
from twinproof.server.api.routing import PREFIX, Heavy, derived, make_router
from twinproof.server.forms import answer
from twinproof.server.parameters import AtLeast, Twin, Whole, wait_for
from twinproof.twin.ledger import OPEN_STATES

if TYPE_CHECKING:
    from twinproof.chain.agreements import Order, Proposal

RULES = {
    f"{PREFIX}/orders": Rule.HOLDER,
    f"{PREFIX}/orders/{{key}}": Rule.HOLDER,
    f"{PREFIX}/agreements": Rule.HOLDER,
}
STATES: Final = sorted((*OPEN_STATES, "fulfilled", "cancelled", "refunded", "resolved"))
REASONS: Final = ("OperatorWithdrew", "SupplierRefused", "BothAgreed", "NotAccepted", "NotShipped", "NotReceived")
"""The contract's, by their numbers."""
Few = Annotated[Whole, Query(ge=1, le=200, description="At most so many items.")]
Key = Annotated[str, Path(max_length=40, description="Agreement and number: `1-2`.")]


def router(contracted: Contracted, heavy: Heavy) -> APIRouter:
    """The routes, on an open node."""
    made = make_router("orders")
    live = contracted.live

    @made.get("/orders", responses=derived(shapes.OrderList), summary="List orders")
    async def orders(
        request: Request,
        sub: Twin | None = None,
        state: Annotated[str | None, Query(json_schema_extra={"enum": STATES}, max_length=20)] = None,
        after: Annotated[str | None, Query(max_length=40, description="`next` of the page before.")] = None,
        limit: Few = 50,
        at_least: AtLeast = None,
    ) -> Response:
        """Orders of the twins that the token covers. `state` chooses by what the log tells."""
        await wait_for(live.states, at_least, live.feed.size)
        before = None if after is None else parse_order(after, "after")
        who = principal_of(request)
        return await heavy.run(lambda: _orders(contracted, who, sub, state, before, limit))

    @made.get("/orders/{key}", responses=derived(shapes.OrderDetail), summary="An order")
    async def order(request: Request, key: Key, at_least: AtLeast = None) -> Response:
        """Its steps with the entries that state them, money, deadline, and which actions are open to whom."""
        await wait_for(live.states, at_least, live.feed.size)
        id_, who = parse_order(key, "key"), principal_of(request)
        return await heavy.run(lambda: _order(contracted, who, id_))

    @made.get("/agreements", responses=derived(shapes.AgreementList), summary="List agreements")
    async def agreements(
        request: Request,
        after: Annotated[Whole | None, Query(ge=0, lt=1 << 53, description="`next` of the page before.")] = None,
        limit: Few = 50,
        at_least: AtLeast = None,
    ) -> Response:
        """Agreements that the log tells of, about twins that the token covers."""
        await wait_for(live.states, at_least, live.feed.size)
        who = principal_of(request)
        return await heavy.run(lambda: _agreements(contracted, who, after or 0, limit))

    return made


# --- orders ---------------------------------------------------------------------------------------


def _orders(
    contracted: Contracted, who: Principal, sub: str | None, state: str | None, before: int | None, limit: int
) -> Response:
    reached = contracted.live.states.reached
    place = contracted.place("MaintenanceAgreement")
    if sub is not None:
        check_covered(who, sub)
    rows = contracted.told.purchases(
        reading(who), place=place, subject=sub, state=state, before=before, limit=limit + 1
    )
    seen, problem = contracted.look()
    items = []
    for row in rows[:limit]:
        now, proposal = None, None
        if seen is not None:
            try:
                proposal = contracted.desk.proposal(row.agreement)
                # What is final changes no more: the log has all of it.
                now = seen.agreements.order(row.number) if row.state in OPEN_STATES else None
            except NotFound:
                pass
            except ChainError as trouble:
                seen, problem = None, f"{trouble.code}: {trouble}"
        items.append(_item(row, now, proposal))
    following = order_name(rows[limit - 1].number) if len(rows) > limit else None
    body = {"items": items, "next": following, "block": block_form(seen), "problem": problem}
    return answer(body, reached=max([reached, *(row.entry + 1 for row in rows)]))


def _item(row: Purchase, now: Order | None, proposal: Proposal | None) -> dict[str, Any]:
    terms = proposal.terms if proposal else None
    is_open = now.state.is_open if now else False
    return {
        "order": order_name(row.number),
        "sub": row.subject,
        "agreement": str(row.agreement),
        "chain": row.chain,
        "contract": address(row.contract),
        "state": now.state.word if now else row.state,
        "since": row.since,
        "deadline": now.deadline if now and is_open else None,
        "token": number(row.token if now is None else now.token or None),
        "price": number(terms.price) if terms else None,
        "currency": address(terms.currency) if terms else None,
        "operator": address(terms.operator) if terms else None,
        "supplier": address(terms.supplier) if terms else None,
        "entry": row.entry,
    }


def _order(contracted: Contracted, who: Principal, id_: int) -> Response:
    reached = contracted.live.states.reached
    row = contracted.told.purchase(id_, contracted.place("MaintenanceAgreement"))
    if row is None:
        raise NotFound(f"the log tells of no order {order_name(id_)}")
    check_covered(who, row.subject)
    steps = [
        told
        for told in contracted.told.events(row.subject)
        if (told.event.chain, told.event.contract) == (row.chain, row.contract) and told.number("orderId") == id_
    ]
    seen, problem = contracted.look()
    now, proposal, more = None, None, dict[str, Any]()
    if seen is not None:
        try:
            proposal, now = contracted.desk.proposal(row.agreement), seen.agreements.order(id_)
            more = _by_contract(seen, now, proposal)
        except ChainError as trouble:
            seen, problem, now, more = None, f"{trouble.code}: {trouble}", None, {}
        except NotFound as gone:
            problem = str(gone)
    placed = next((told.number("index") for told in steps if told.event.event == "OrderPlaced"), None)
    body = {
        **_item(row, now, proposal),
        "arbiter": address(proposal.terms.arbiter) if proposal else None,
        "prediction": now.index if now else placed,
        "installation": (now.installed or None) if now else None,
        "received": now.received if now else None,
        "order_key": _key_of(row),
        "consents": [],
        "told": row.state,
        "steps": [_step(told) for told in steps],
        "escrow": None,
        "actions": [],
        **more,
        "block": block_form(seen),
        "problem": problem,
    }
    return answer(body, reached=max(reached, row.entry + 1))


def _by_contract(seen: Seen, now: Order, proposal: Proposal) -> dict[str, Any]:
    from twinproof.node.openings import order_openings

    terms = proposal.terms
    part = None
    if now.token:
        with suppress(NotFound):
            part = seen.passports.part(now.token)
    owed = {party: seen.agreements.owed(party, terms.currency) for party in (terms.operator, terms.supplier)}
    standing = seen.agreements.standing(proposal.id)
    consents = ((terms.operator, now.operator_consents), (terms.supplier, now.supplier_consents))
    return {
        "consents": [address(party) for party, agreed in consents if agreed],
        "escrow": {
            "price": str(terms.price),
            "currency": address(terms.currency),
            "set_aside": str(terms.price if now.state.is_open else 0),
            "free": str(standing.free),
            "paid": now.paid,
            "owed": {str(address(party)): str(amount) for party, amount in owed.items()},
        },
        "actions": [
            opening_form(opening) for opening in order_openings(now, terms, seen.now, part, owed[terms.supplier])
        ],
    }


def _key_of(row: Purchase) -> str | None:
    try:
        from twinproof.chain.agreements import order_key_of
    except ModuleNotFoundError:  # the chain's packages are not installed
        return None
    return order_key_of(row.chain, row.contract, row.number).hex()


def _step(told: ToldEvent) -> dict[str, Any]:
    event, reason = told.event, told.number("reason")
    amount = told.number("amount")
    return {
        "event": event.event,
        "time": event.time,
        "block": event.block,
        "transaction": f"0x{event.transaction.hex()}",
        "entry": told.entry,
        "deadline": told.number("deadline"),
        "token": number(told.number("tokenId")),
        "by": address(told.address("by")),
        "amount": number(told.number("toSupplier") if amount is None else amount),
        "reason": REASONS[reason] if reason is not None and reason < len(REASONS) else None,
    }


# --- agreements -----------------------------------------------------------------------------------


def _agreements(contracted: Contracted, who: Principal, after: int, limit: int) -> Response:
    reached = contracted.live.states.reached
    place = contracted.place("MaintenanceAgreement")
    chosen = [
        (key, covered)
        for key, twins in contracted.told.proposals(place).items()
        if key[2] > after and (covered := [twin for twin in twins if who.covers(twin)])
    ]
    seen, problem = contracted.look()
    items = []
    for (chain, contract, id_), twins in chosen[:limit]:
        item: dict[str, Any] = {"agreement": str(id_), "chain": chain, "contract": address(contract), **_UNKNOWN}
        item["twins"] = twins
        if seen is not None:
            try:
                item |= _agreement(contracted, seen, contracted.desk.proposal(id_), twins)
            except ChainError as trouble:
                seen, problem = None, f"{trouble.code}: {trouble}"
            except NotFound:
                # Taken back by the chain; the log will say so in a moment.
                pass
        items.append(item)
    following = str(chosen[limit - 1][0][2]) if len(chosen) > limit else None
    body = {"items": items, "next": following, "block": block_form(seen), "problem": problem}
    return answer(body, reached=reached)


_UNKNOWN: Final[dict[str, Any]] = {
    **dict.fromkeys(("state", "covered", "orders", "free", "price", "unit", "part_number", "terms")),
    "actions": [],
}


def _agreement(contracted: Contracted, seen: Seen, proposal: Proposal, twins: list[str]) -> dict[str, Any]:
    from twinproof.node.openings import agreement_openings

    terms, standing = proposal.terms, seen.agreements.standing(proposal.id)
    return {
        "state": standing.word,
        "covered": len(proposal.twins),
        "orders": standing.orders,
        "free": str(standing.free),
        "price": str(terms.price),
        "unit": _unit(contracted, terms.unit, twins),
        "part_number": _part_number(contracted, terms.part_number),
        "terms": {name: _lower(value) for name, value in terms_json(terms).items()},
        "actions": [opening_form(opening) for opening in agreement_openings(proposal, standing)],
    }


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _unit(contracted: Contracted, hashed: bytes, twins: list[str]) -> str | None:
    """The text whose hash the terms name, if a policy or a prediction about one of the twins says it."""
    from twinproof.chain.hexadecimal import keccak

    for twin in twins[:10]:
        with suppress(NotFound):
            ledger = contracted.live.states.state(twin).live.ledger
            units = [held.policy.unit for held in ledger.policies.values()]
            units += [ledger.prediction.prediction.unit] if ledger.prediction else []
            for unit in units:
                if keccak(unit.encode()) == hashed:
                    return unit
    return None


def _part_number(contracted: Contracted, hashed: bytes) -> str | None:
    from twinproof.chain.hexadecimal import keccak

    for row in contracted.told.parts([("", False)], place=contracted.place("PartPassport"), limit=200):
        said = contracted.told.name_of(row).part_number
        if said is not None and keccak(said.encode()) == hashed:
            return said
    return None
