"""Acting on the contracts for people: an action becomes a transaction, which the node or the caller's wallet signs.

    desk = Desk(live)
    plan = desk.plan("order.accept", {"order": "1-1"}, sender)
    desk.price(plan)                            nothing is sent
    desk.send(plan, "5f0c…")                    sent once for this id, whatever is asked how often

Ids are the outbox's purposes: one that was used stands for its transaction for ever.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from twinproof.chain.abi import Contract
from twinproof.chain.agreements import Agreements, Proof, Proposal
from twinproof.chain.forms import NO_CURRENCY, address_name, amount_in, order_name, token_name, twin_name
from twinproof.chain.hints import hint_of
from twinproof.chain.model import Request
from twinproof.chain.outbox import Entry, State
from twinproof.chain.parts import PartPassport
from twinproof.chain.sender import Estimate, Sender, estimate
from twinproof.errors import Malformed, NotFound, OutOfFunds, Reverted, Unready
from twinproof.node.actions import ACTIONS, Action, Kind, read_arguments
from twinproof.node.chain_side import ChainSide
from twinproof.node.live import Live
from twinproof.node.told import Told
from twinproof.proof.merkle import hash_leaf
from twinproof.twin.ledger import STATUSES

PURPOSE: Final = "console "
"""Beginning of the purposes of what people send."""
_ID: Final = re.compile(r"[A-Za-z0-9_-]{8,64}", re.ASCII)
_NO_LEAF: Final = bytes(32)


@dataclass(frozen=True, slots=True)
class Plan:
    """A transaction before it is signed."""

    action: str
    sender: bytes
    to: bytes
    data: bytes
    value: int
    """Wei that go along."""
    says: str
    """What it does, in a sentence."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a transaction."""

    transaction: bytes
    state: str
    """`pending`, `mined`, `failed` (its fee is paid, nothing else happened) or `replaced`."""
    final: bool
    """Whether it has all confirmations."""
    sender: bytes | None
    to: bytes | None
    block: tuple[int, int] | None
    """Number and time."""
    gas: int | None
    fee: int | None
    """Wei for its gas."""
    reason: str | None
    """Why it failed, or what is in the way."""


class Desk:
    """One per application. Methods may be called from any thread and raise what the chain raises."""

    def __init__(self, live: Live, told: Told) -> None:
        if live.chain is None:
            raise NotFound(
                "this node has no chain, or no contracts on it: twinproof chain init, twinproof chain deploy"
            )
        self.side: ChainSide = live.chain
        self.told = told
        self.agreements = Agreements(
            self.side.chain, self.side.contracts.addresses["MaintenanceAgreement"], self.side.contracts.first_block
        )
        self.passports = PartPassport(self.side.chain, self.side.contracts.addresses["PartPassport"])
        self._reader = live.node.reader
        self._proposals: dict[int, Proposal] = {}

    def proposal(self, id_: int) -> Proposal:
        """An agreement's terms and twins, looked up once; raises `NotFound`."""
        if id_ not in self._proposals:
            self._proposals[id_] = self.agreements.proposal(id_)
        return self._proposals[id_]

    # --- planning ---

    def plan(self, name: str, given: Mapping[str, Any], sender: bytes, *, act: bool = False) -> Plan:
        """The transaction of an action; with `act`, what it still needs of the node (an anchor) is seen to.

        Raises `Malformed`, `NotFound`, `Unready`.
        """
        action = ACTIONS.get(name)
        if action is None:
            raise Malformed("action", f"none of {', '.join(ACTIONS)}")
        values = read_arguments(action, given)
        if action.contract == "PartPassport":
            contract: Contract = self.passports.contract
            arguments = [self._plain(argument.kind, values[argument.name]) for argument in action.arguments]
            currency = NO_CURRENCY
        else:
            contract = self.agreements.contract
            proposal = self._concerned(action, values)
            currency = NO_CURRENCY if proposal is None else proposal.terms.currency
            arguments = []
            for argument in action.arguments:
                value = values[argument.name]
                if argument.kind is Kind.PROOF and proposal is not None:
                    value = self._proof(value, proposal, act=act)
                arguments.append(self._plain(argument.kind, value))
            if proposal is not None:
                arguments.insert(1, proposal.terms)
        value = values[action.pays] if action.pays and not any(currency) else 0
        data = contract.encode(action.function, *arguments)
        return Plan(name, sender, contract.address, data, value, self._say(action, values, currency))

    def _concerned(self, action: Action, values: Mapping[str, Any]) -> Proposal | None:
        """The agreement that an action is about; None for one that is about none."""
        if "order" in values:
            return self.proposal(values["order"] >> 32)
        return self.proposal(values["agreement"]) if "agreement" in values else None

    def _plain(self, kind: Kind, value: Any) -> Any:
        if kind is Kind.LEAF:
            return _NO_LEAF if value is None else hash_leaf(self._reader.entry(value))
        if kind is Kind.TWIN:
            return twin_name(value)
        return NO_CURRENCY if kind is Kind.ADDRESS and value is None else value

    def _proof(self, entry: int, proposal: Proposal, *, act: bool) -> Proof:
        """An entry with its inclusion in the first anchored head that covers it."""
        side, terms = self.side, proposal.terms
        if (terms.anchors, terms.log_id) != (side.contracts.addresses["CheckpointAnchor"], side.contracts.log_id):
            raise Malformed("arguments.agreement", "is about another log than this node's")
        statement = self._reader.entry(entry)
        head = side.anchoring.covering(entry)
        if head is None:
            if act:
                side.anchoring.want(entry + 1)
                side.tasks["anchoring"].wake()
            raise Unready(
                f"entry {entry} is not anchored yet"
                + ("; it is on its way: ask again in a moment" if act else ", which sending it sees to")
            )
        return Proof(statement, entry, head, self._reader.inclusion(entry, head.size))

    def _say(self, action: Action, values: Mapping[str, Any], currency: bytes) -> str:
        words: dict[str, str] = {}
        for argument in action.arguments:
            value = values[argument.name]
            match argument.kind:
                case Kind.TOKEN:
                    words[argument.name] = self._part(value)
                case Kind.ADDRESS:
                    words[argument.name] = "" if value is None else address_name(value)
                case Kind.TIME:
                    words[argument.name] = _utc(value)
                case Kind.ORDER:
                    words[argument.name] = f"order {order_name(value)}"
                case Kind.AGREEMENT:
                    words[argument.name] = f"agreement {value}"
                case Kind.AMOUNT:
                    words[argument.name] = amount_in(currency, value)
                case Kind.STATUS:
                    words[argument.name] = STATUSES[value]
                case Kind.LEAF | Kind.PROOF:
                    words[argument.name] = f"entry {value}"
                case Kind.FLAG:
                    words[argument.name] = "yes" if value else "no"
                case _:
                    words[argument.name] = str(value)
        return action.says.format(**words)

    def _part(self, token: int) -> str:
        """What people call a part, if the log tells."""
        place = (self.side.contracts.chain_id, self.passports.contract.address)
        for row in self.told.parts([("", False)], place=place, token=token, limit=1):
            name = self.told.name_of(row)
            if name.part_number and name.serial:
                return f"part {name.part_number} {name.serial} ({token_name(token)[:10]}…)"
        return f"part {token_name(token)}"

    # --- signing ---

    def price(self, plan: Plan) -> Estimate:
        """What it would cost; raises `Reverted` with what helps, `OutOfFunds`, `TooExpensive`. Nothing is sent."""
        request = Request(plan.to, plan.data, plan.value, plan.sender)
        try:
            found = estimate(self.side.chain, request, self.side.sender.settings)
        except Reverted as refusal:
            self._forget(refusal)
            raise _explained(refusal) from None
        has = self.side.chain.balance(plan.sender)
        if has < plan.value + found.most:
            needed = plan.value + found.most
            raise OutOfFunds(f"{address_name(plan.sender)} has {has} wei and may need {needed}; nothing was sent")
        return found

    def _forget(self, refusal: Reverted) -> None:
        # A reorganisation may have given an agreement's number to another one.
        if refusal.reason.startswith("WrongTerms"):
            self._proposals.clear()

    def sent(self, id_: str, sender: bytes) -> Entry | None:
        """The transaction of an id; raises `Malformed` for what is none, or stands for another account's."""
        if not _ID.fullmatch(id_):
            raise Malformed("id", "not 8..64 letters, digits, - and _: a number of your own, new for each transaction")
        with suppress(NotFound):
            entry = self.side.sender.find(PURPOSE + id_)
            if entry.sender != sender:
                raise Malformed("id", "stands for another account's transaction")
            return entry
        return None

    def send(self, plan: Plan, id_: str) -> bytes:
        """Sign by the node and send, once for an id; the transaction's hash.

        Raises `NotFound` if the node does not hold the account, `Malformed` if the id stands for something else, and
        as `Sender.submit`: nothing is sent then.
        """
        sender = self.side.accounts.find(plan.sender)
        self.sent(id_, plan.sender)
        try:
            entry = sender.submit(PURPOSE + id_, plan.to, plan.data, plan.value)
        except Reverted as refusal:
            self._forget(refusal)
            raise _explained(refusal) from None
        except Malformed as problem:
            if problem.field == "purpose":
                raise Malformed("id", "stands for another transaction") from None
            raise
        if entry.sender != plan.sender:
            raise Malformed("id", "stands for another account's transaction")
        for name in ("chain events", "relay"):
            # What it changes shall be told without waiting for the next round.
            if name in self.side.tasks:
                self.side.tasks[name].wake()
        return sender.hash_of(entry)

    # --- looking ---

    def outcome(self, transaction: bytes) -> Outcome:
        """What became of a transaction of this node's, or of anybody's on the chain; raises `NotFound`."""
        entry = self.side.sender.find_by_transaction(transaction)
        if entry is None:
            return self._elsewhere(transaction)
        sender = self._sender_of(entry)
        if entry.live and sender is not None:
            # Asking for what is there already looks at it alone.
            entry = sender.submit(entry.purpose, entry.to, entry.data, entry.value)
        names = {State.CONFIRMED: "mined", State.FAILED: "failed", State.REPLACED: "replaced", State.MINED: "mined"}
        fee = None if entry.gas_used is None or entry.gas_price is None else entry.gas_used * entry.gas_price
        return Outcome(
            self.side.sender.hash_of(entry),
            names.get(entry.state, "pending"),
            not entry.live,
            entry.sender,
            entry.to,
            None if entry.number is None else (entry.number, self._time_of(entry.number)),
            entry.gas_used,
            fee,
            entry.detail,
        )

    def _sender_of(self, entry: Entry) -> Sender | None:
        for sender in self.side.accounts.senders.values():
            if sender.address == entry.sender:
                return sender
        return None

    def _elsewhere(self, transaction: bytes) -> Outcome:
        chain = self.side.chain
        receipt = chain.receipt(transaction)
        if receipt is None:
            if chain.transaction(transaction) is None:
                raise NotFound(f"neither the node nor the chain knows transaction 0x{transaction.hex()}")
            return Outcome(transaction, "pending", False, None, None, None, None, None, None)
        deep = chain.head().number - receipt.number + 1 >= self.side.sender.settings.confirmations
        return Outcome(
            transaction,
            "mined" if receipt.succeeded else "failed",
            deep,
            receipt.sender,
            receipt.to,
            (receipt.number, self._time_of(receipt.number)),
            receipt.gas_used,
            receipt.gas_used * receipt.gas_price,
            None,
        )

    def _time_of(self, number: int) -> int:
        block = self.side.chain.block(number)
        return 0 if block is None else block.time


def _explained(refusal: Reverted) -> Reverted:
    hint = hint_of(refusal.reason, commands=False)
    return Reverted(f"{refusal.reason}: {hint}" if hint else refusal.reason, refusal.data)


def _utc(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
    except (OverflowError, ValueError, OSError):
        return str(seconds)
