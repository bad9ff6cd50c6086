"""Passports of parts: who made and had them, what they are in, and what may be done with them now."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from twinproof.chain.forms import parse_token
from twinproof.errors import ChainError, NotFound
from twinproof.node.told import ToldEvent, ToldPart
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
from twinproof.server.api.orders import Few
from twinproof.server.api.routing import PREFIX, Heavy, derived, make_router
from twinproof.server.forms import answer
from twinproof.server.parameters import AtLeast, Twin, wait_for
from twinproof.twin.ledger import STATUSES

if TYPE_CHECKING:
    from twinproof.chain.parts import Part

RULES = {f"{PREFIX}/parts": Rule.HOLDER, f"{PREFIX}/parts/{{token}}": Rule.HOLDER}
MAX_INSIDE = 900
"""Parts in a part that are looked at: more do not change hands at once."""
TokenText = Annotated[str, Path(max_length=78, description="Decimal digits, or 0x and 64 hexadecimal digits.")]
Owner = Annotated[str | None, Query(pattern=r"^0x[0-9a-fA-F]{40}$", description="Parts of this account alone.")]
_EVENTS = ("Minted", "Offered", "OfferCancelled", "HandedOver", "StatusChanged", "Installed", "Removed", "UserAssigned")


def router(contracted: Contracted, heavy: Heavy) -> APIRouter:
    """The routes, on an open node."""
    made = make_router("parts", "/parts")
    live = contracted.live

    @made.get("", responses=derived(shapes.PassportList), summary="List parts")
    async def parts(
        request: Request,
        sub: Twin | None = None,
        owner: Owner = None,
        after: Annotated[str | None, Query(max_length=78, description="`next` of the page before.")] = None,
        limit: Few = 50,
        at_least: AtLeast = None,
    ) -> Response:
        """Parts that the log tells of, those that the token covers, by their tokens."""
        await wait_for(live.states, at_least, live.feed.size)
        last = None if after is None else parse_token(after, "after")
        who, held = principal_of(request), None if owner is None else bytes.fromhex(owner[2:])
        return await heavy.run(lambda: _parts(contracted, who, sub, held, last, limit))

    @made.get("/{token}", responses=derived(shapes.Passport), summary="A part's passport")
    async def part(request: Request, token: TokenText, at_least: AtLeast = None) -> Response:
        """Custody from its making on with the entries that state it, place, offer, and the actions open to whom.

        A part that the log does not speak of is read from the chain, for who may read everything.
        """
        await wait_for(live.states, at_least, live.feed.size)
        id_, who = parse_token(token, "token"), principal_of(request)
        return await heavy.run(lambda: _part(contracted, who, id_))

    return made


def _parts(
    contracted: Contracted, who: Principal, sub: str | None, owner: bytes | None, after: int | None, limit: int
) -> Response:
    reached = contracted.live.states.reached
    if sub is not None:
        check_covered(who, sub)
    place = contracted.place("PartPassport")
    rows = contracted.told.parts(reading(who), place=place, subject=sub, owner=owner, after=after, limit=limit + 1)
    items = [_item(contracted, row) for row in rows[:limit]]
    following = str(rows[limit - 1].token) if len(rows) > limit else None
    return answer({"items": items, "next": following}, reached=max([reached, *(row.entry + 1 for row in rows)]))


def _item(contracted: Contracted, row: ToldPart) -> dict[str, Any]:
    name = contracted.told.name_of(row)
    return {
        "token": str(row.token),
        "sub": row.subject,
        "chain": row.chain,
        "contract": address(row.contract),
        "part_number": name.part_number,
        "serial": name.serial,
        "manufacturer": address(name.manufacturer),
        "owner": address(row.owner),
        "status": row.status,
        "parent": number(row.parent),
        "entry": row.entry,
    }


def _part(contracted: Contracted, who: Principal, token: int) -> Response:
    reached = contracted.live.states.reached
    place = contracted.place("PartPassport")
    rows = contracted.told.parts([("", False)], place=place, token=token, limit=1)
    if not rows:
        if not who.reads_all:
            raise NotFound("the log tells of no such part")
        return _untold(contracted, token, reached)
    row = rows[0]
    check_covered(who, row.subject)
    item = _item(contracted, row)
    events = [told for told in contracted.told.events(row.subject) if _names(told, row)]
    leaf = next((told.event.args.get("birth") for told in events if told.event.event == "Minted"), None)
    body: dict[str, Any] = {
        **{name: value for name, value in item.items() if name != "entry"},
        "twin": None,
        "birth": _birth(contracted, row.subject, leaf if type(leaf) is bytes else None),
        "user": None,
        "parent_sub": _subject_of(contracted, who, row.parent),
        "children": _children(contracted, who, token),
        "offer": None,
        "custody": [_told_step(told) for told in events],
        "told": True,
        "actions": [],
    }
    return _completed(contracted, body, token, max(reached, row.entry + 1))


def _names(told: ToldEvent, row: ToldPart) -> bool:
    """Whether the event is one of the part's own life."""
    event = told.event
    key = "child" if event.event in ("Installed", "Removed") else "tokenId"
    return (
        event.event in _EVENTS
        and (event.chain, event.contract) == (row.chain, row.contract)
        and told.number(key) == row.token
    )


def _birth(contracted: Contracted, subject: str, leaf: bytes | None) -> dict[str, Any] | None:
    if leaf is None:
        return None
    return {"leaf": f"0x{leaf.hex()}", "entry": contracted.told.birth(subject, leaf)}


def _subject_of(contracted: Contracted, who: Principal, token: int | None) -> str | None:
    if token is None:
        return None
    rows = contracted.told.parts([("", False)], place=contracted.place("PartPassport"), token=token, limit=1)
    return rows[0].subject if rows and who.covers(rows[0].subject) else None


def _children(contracted: Contracted, who: Principal, token: int) -> list[dict[str, Any]]:
    rows = contracted.told.parts([("", False)], place=contracted.place("PartPassport"), parent=token, limit=MAX_INSIDE)
    return [{"token": str(row.token), "sub": row.subject if who.covers(row.subject) else None} for row in rows]


def _told_step(told: ToldEvent) -> dict[str, Any]:
    event, status = told.event, told.number("status")
    to = told.address("to") or told.address("user")
    if event.event == "Minted":
        to = told.address("manufacturer")
    return {
        "event": event.event,
        "from": address(told.address("from")),
        "to": address(to),
        "until": told.number("expires"),
        "status": STATUSES[status] if status is not None and status < len(STATUSES) else None,
        "parent": number(told.number("parent")),
        "by": address(told.address("by")),
        "time": event.time,
        "block": event.block,
        "transaction": f"0x{event.transaction.hex()}",
        "entry": told.entry,
    }


# --- what the contract says -----------------------------------------------------------------------


def _completed(contracted: Contracted, body: dict[str, Any], token: int, reached: int) -> Response:
    seen, problem = contracted.look()
    if seen is not None:
        try:
            body |= _by_contract(contracted, seen, seen.passports.part(token))
        except ChainError as trouble:
            seen, problem = None, f"{trouble.code}: {trouble}"
        except NotFound as gone:
            problem = str(gone)
    return answer({**body, "block": block_form(seen), "problem": problem}, reached=reached)


def _by_contract(contracted: Contracted, seen: Seen, part: Part) -> dict[str, Any]:
    from twinproof.node.openings import part_openings

    now = seen.now
    inside = _inside(contracted, part.token)
    offer = None
    if part.offered_to:
        offer = {"to": address(part.offered_to), "until": part.offer_expires, "open": now < part.offer_expires}
    return {
        "twin": f"0x{part.twin.hex()}",
        "manufacturer": address(part.manufacturer),
        "owner": address(part.owner),
        "user": address(part.user),
        "status": STATUSES[part.status],
        "parent": number(part.parent or None),
        "offer": offer,
        "actions": [opening_form(opening) for opening in part_openings(part, now, inside)],
    }


def _inside(contracted: Contracted, token: int) -> list[int]:
    """All parts in a part that the log tells of, each after the one that it is in."""
    place = contracted.place("PartPassport")
    found: list[int] = []
    waiting = [token]
    while waiting and len(found) < MAX_INSIDE:
        above = waiting.pop(0)
        rows = contracted.told.parts([("", False)], place=place, parent=above, limit=MAX_INSIDE)
        found += [row.token for row in rows]
        waiting += [row.token for row in rows]
    return found[:MAX_INSIDE]


def _untold(contracted: Contracted, token: int, reached: int) -> Response:
    """A part of which the log does not speak, from the chain itself."""
    desk, (seen, problem) = contracted.desk, contracted.look()
    if seen is None:
        raise ChainError(problem or "the chain is away")
    part = seen.passports.part(token)
    body: dict[str, Any] = {
        "token": str(token),
        "sub": None,
        "chain": desk.side.contracts.chain_id,
        "contract": address(desk.passports.contract.address),
        "part_number": None,
        "serial": None,
        "birth": {"leaf": f"0x{part.birth.hex()}", "entry": None},
        "parent_sub": None,
        "children": [{"token": str(one), "sub": None} for one in _inside(contracted, token)],
        "custody": [],
        "told": False,
        **_by_contract(contracted, seen, part),
        "block": block_form(seen),
        "problem": problem,
    }
    if contracted.live.node.config.chain.driver == "embedded":
        # A network would be asked for all its blocks, for minutes.
        _whole_life(contracted, token, body)
    return answer(body, reached=reached)


def _whole_life(contracted: Contracted, token: int, body: dict[str, Any]) -> None:
    desk = contracted.desk
    first = desk.side.contracts.first_block
    with suppress(NotFound):
        minted = desk.passports.minted(token, first).args
        body |= {"part_number": minted["partNumber"], "serial": minted["serial"]}
    for happening in desk.passports.life(token, first):
        block = desk.side.chain.block(happening.log.number)
        args = happening.args
        to = args.get("to") or args.get("user") or (args.get("manufacturer") if happening.name == "Minted" else None)
        body["custody"].append(
            {
                "event": happening.name,
                "from": address(args.get("from")),
                "to": address(to),
                "until": args.get("expires"),
                "status": STATUSES[args["status"]] if "status" in args else None,
                "parent": number(args.get("parent")),
                "by": address(args.get("by")),
                "time": 0 if block is None else block.time,
                "block": happening.log.number,
                "transaction": f"0x{happening.log.transaction.hex()}",
                "entry": None,
            }
        )
