"""Acting: transactions on the contracts, and what people ask of twins, signed by the node for the token's holder."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from twinproof.chain.forms import parse_order, parse_token
from twinproof.errors import ChainError, Malformed, NotFound, OutOfFunds, Reverted
from twinproof.node.actions import MAX_PARTS
from twinproof.node.speaker import Speaker
from twinproof.proof import cbor
from twinproof.server import ledger_shapes as shapes
from twinproof.server.access import Principal, Rule, principal_of
from twinproof.server.api.contracted import Contracted, address, block_form, check_covered, number
from twinproof.server.api.routing import ACTING, PREFIX, Heavy, make_router, problems
from twinproof.server.forms import answer
from twinproof.twin.alarm import (
    ALARM_RESPONSE,
    AlarmTransition,
    Transition,
    format_transition,
    parse_alarm_response,
)
from twinproof.twin.operation import (
    COMMAND,
    DESIRED,
    Command,
    Desired,
    format_command,
    format_desired,
    parse_command,
    parse_desired,
)
from twinproof.twin.statement import check_iri, shown

if TYPE_CHECKING:
    from twinproof.chain.sender import Estimate
    from twinproof.node.transactions import Plan

RULES = {
    f"{PREFIX}/accounts": Rule.ALL,
    f"{PREFIX}/transactions": Rule.OPERATE,
    f"{PREFIX}/transactions/{{hash}}": Rule.ALL,
    f"{PREFIX}/commands": Rule.OPERATE,
    f"{PREFIX}/desired": Rule.OPERATE,
    f"{PREFIX}/alarms/response": Rule.OPERATE,
}
HashText = Annotated[str, Path(pattern=r"^0x[0-9a-fA-F]{64}$")]
MAX_DEPTH: Final = 9
"""Lists and objects inside each other: those of a payload, less the payload itself."""
_STATED: Final[dict[int | str, dict[str, Any]]] = {
    200: {"model": shapes.Stated, "description": "Stated before, with the same id"},
    201: {"model": shapes.Stated, "description": "Stated"},
}


def router(contracted: Contracted, heavy: Heavy) -> APIRouter:
    """The routes, on an open node."""
    made = make_router("operate")
    made.responses |= problems(ACTING)
    live, speaker = contracted.live, Speaker(contracted.live.node)

    @made.get("/accounts", responses={200: {"model": shapes.AccountList}}, summary="Accounts that the node signs for")
    async def accounts() -> Response:
        """Those that it can sign transactions for without asking anybody; none without a chain."""
        return await heavy.run(lambda: _accounts(contracted))

    @made.post("/transactions", responses={200: {"model": shapes.TransactionAnswer}}, summary="Act on the contracts")
    async def transactions(request: Request, question: shapes.TransactionQuestion) -> Response:
        """What an action would do and cost; signed by the node and sent once for its `id`, unless `dry` is true."""
        who = principal_of(request)
        return await heavy.run(lambda: _transact(contracted, who, question))

    @made.get(
        "/transactions/{hash}",
        responses={200: {"model": shapes.TransactionStatus}},
        summary="What became of a transaction",
    )
    async def transaction(hash: HashText) -> Response:
        """Of one that the node sent, or of anybody's on the chain."""
        return await heavy.run(lambda: _outcome(contracted, bytes.fromhex(hash[2:])))

    @made.post("/commands", responses=_STATED, summary="Ask a twin to do something once")
    async def commands(request: Request, question: shapes.CommandQuestion) -> Response:
        """A command statement, signed by the node's console; its digest names the request in the device's answer."""
        said = Command(question.name, _value(question.input, "input"), question.deadline, _text(request))
        payload = _checked(lambda: format_command(said), parse_command)
        return await heavy.run(lambda: _say(contracted, speaker, request, question, COMMAND, payload))

    @made.post("/desired", responses=_STATED, summary="Say what properties of a twin should be")
    async def desired(request: Request, question: shapes.DesiredQuestion) -> Response:
        """A desired statement, signed by the node's console."""
        wanted = {name: _value(value, f"set.{shown(name)}") for name, value in question.set.items()}
        said = Desired(wanted or None, tuple(sorted(question.unset)), _text(request))
        payload = _checked(lambda: format_desired(said), parse_desired)
        return await heavy.run(lambda: _say(contracted, speaker, request, question, DESIRED, payload))

    @made.post("/alarms/response", responses=_STATED, summary="Acknowledge, shelve or unshelve an alarm")
    async def response(request: Request, question: shapes.ResponseQuestion) -> Response:
        """An alarm-response statement, signed by the node's console."""
        said = f"{question.text} ({_text(request)})" if question.text else _text(request)
        change = AlarmTransition(question.rule, Transition(question.transition), until=question.until, text=said)
        payload = _checked(lambda: format_transition(change), parse_alarm_response)

        def stand() -> None:
            # What will be raised can be shelved before; everything else answers an alarm that stands.
            standing = live.states.state(question.sub).live.alarms
            if question.rule not in standing and question.transition != "shelve":
                raise NotFound(f"no alarm {shown(question.rule)} of {question.sub} stands")

        return await heavy.run(lambda: _say(contracted, speaker, request, question, ALARM_RESPONSE, payload, stand))

    return made


# --- statements -----------------------------------------------------------------------------------


def _text(request: Request) -> str:
    """Who says it: the statement is signed by the console, for everybody who acts through it."""
    who = principal_of(request)
    return f"console, bearer {shown(who.id or '')}" if who.outside else f"console, token {who.id}"


def _value(value: Any, field: str, depth: int = 0) -> cbor.Value:
    """A JSON value; raises `Malformed` for what JSON has not, though Python reads it."""
    if type(value) is float and not isfinite(value):
        raise Malformed(field, "holds a number that is not finite")
    if type(value) is int and not -(1 << 63) <= value < 1 << 63:
        raise Malformed(field, "holds a number of more than 64 bits")
    if type(value) in (dict, list):
        if depth == MAX_DEPTH:
            raise Malformed(field, "is nested too deep")
        for item in value.values() if type(value) is dict else value:
            _value(item, field, depth + 1)
    return value


def _checked(form: Any, parse: Any) -> bytes:
    """The payload's bytes, as they will be read; raises `Malformed`."""
    try:
        payload: bytes = form()
    except cbor.EncodeError as problem:
        raise Malformed("body", str(problem)) from None
    parse(payload)
    return payload


def _say(
    contracted: Contracted, speaker: Speaker, request: Request, question: Any, content_type: str, payload: bytes,
    check: Any = None,
) -> Response:  # fmt: skip
    check_iri(question.sub, "sub")
    check_covered(principal_of(request), question.sub)
    if not contracted.live.states.history(question.sub, limit=1):
        raise NotFound(f"the log holds nothing about {question.sub}")
    if check is not None:
        check()
    said = speaker.say(question.sub, content_type, payload, question.id)
    response = answer({"entry": said.entry, "digest": said.digest.hex()})
    response.status_code = 201 if said.new else 200
    return response


# --- transactions ---------------------------------------------------------------------------------


def _accounts(contracted: Contracted) -> Response:
    side = contracted.live.chain
    if side is None:
        return answer({"items": [], "chain_id": None, "block": None, "problem": None})
    seen, problem = contracted.look()
    items = []
    for name, sender in side.accounts.senders.items():
        balance = None
        if seen is not None:
            try:
                balance = side.chain.balance(sender.address, block=seen.block.number)
            except ChainError as trouble:
                seen, problem = None, f"{trouble.code}: {trouble}"
        items.append({"name": name, "address": address(sender.address), "balance_wei": number(balance)})
    body = {"items": items, "chain_id": side.contracts.chain_id, "block": block_form(seen), "problem": problem}
    return answer(body)


def _transact(contracted: Contracted, who: Principal, question: shapes.TransactionQuestion) -> Response:
    desk, arguments = contracted.desk, question.arguments
    sender = bytes.fromhex(question.from_[2:])
    act = question.sign == "node" and not question.dry
    if act and question.id is None:
        raise Malformed("id", "is missing: say one of your own, so that the transaction is never sent twice")
    if not who.reads_all:
        for subject in _subjects(contracted, arguments):
            check_covered(who, subject)
    if question.sign == "node":
        desk.side.accounts.find(sender)
    before = desk.sent(question.id, sender) if act and question.id is not None else None
    plan = desk.plan(question.action, arguments, sender, act=act)
    # What was sent is neither priced nor tried out again: it has changed what it needed.
    price = None if before is not None else _price(contracted, plan, question.id if act else None)
    sent = desk.send(plan, question.id) if act and question.id is not None else None
    return answer(
        {
            "action": plan.action,
            "from": address(plan.sender),
            "to": address(plan.to),
            "data": f"0x{plan.data.hex()}",
            "value": str(plan.value),
            "gas": price.gas if price else None,
            "gas_limit": price.gas_limit if price else None,
            "max_fee_wei": number(price.offer.max_fee) if price else None,
            "max_tip_wei": number(price.offer.max_tip) if price else None,
            "fee_wei": number(price.likely) if price else None,
            "most_wei": number(price.most) if price else None,
            "chain_id": desk.side.contracts.chain_id,
            "says": plan.says,
            "hash": f"0x{sent.hex()}" if sent else None,
        }
    )


def _price(contracted: Contracted, plan: Plan, id_: str | None) -> Estimate | None:
    """What a plan costs; None if another request with the same id has sent it meanwhile."""
    try:
        return contracted.desk.price(plan)
    except (Reverted, OutOfFunds):
        if id_ is None or contracted.desk.sent(id_, plan.sender) is None:
            raise
        return None


def _subjects(contracted: Contracted, arguments: dict[str, shapes.ArgumentValue]) -> list[str | None]:
    """The twins that an action is about: its order's, and each part's; None for what no twin is known of."""
    found: list[str | None] = []
    twin, order = arguments.get("twin"), arguments.get("order")
    if isinstance(twin, str):
        found.append(twin)
    if isinstance(order, str):
        place = contracted.place("MaintenanceAgreement")
        purchase = contracted.told.purchase(parse_order(order, "arguments.order"), place)
        found.append(purchase.subject if purchase else None)
    inside = arguments.get("inside")
    parts = [(name, arguments.get(name)) for name in ("token", "parent")]
    if isinstance(inside, list):
        # Too many are refused when the arguments are read.
        parts += [("inside", token) for token in inside[:MAX_PARTS]]
    place = contracted.place("PartPassport")
    for name, token in parts:
        if isinstance(token, str):
            id_ = parse_token(token, f"arguments.{name}")
            rows = contracted.told.parts([("", False)], place=place, token=id_, limit=1)
            found.append(rows[0].subject if rows else None)
    return found or [None]


def _outcome(contracted: Contracted, transaction: bytes) -> Response:
    found = contracted.desk.outcome(transaction)
    return answer(
        {
            "hash": f"0x{found.transaction.hex()}",
            "state": found.state,
            "final": found.final,
            "from": address(found.sender),
            "to": address(found.to),
            "block": found.block[0] if found.block else None,
            "time": found.block[1] if found.block else None,
            "gas": found.gas,
            "fee_wei": number(found.fee),
            "reason": found.reason,
        }
    )
