"""What an order has cost its parties on the chain, step by step: from the contracts' events and their receipts.

    for step in order_costs(chain, agreements, order_id, first_block):  step.name, step.payer, step.gas, step.cost

Who pays for a transaction is who signed it. An anchor is of the whole log: it is listed where it is the first that
covers the entry that the next step proves, and whatever else it covers came for nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from twinproof.chain.abi import Artifact, Contract
from twinproof.chain.agreements import Agreements, Order, Proposal
from twinproof.chain.anchors import CheckpointAnchor
from twinproof.chain.asking import logs_of
from twinproof.chain.model import Chain, Log
from twinproof.errors import ChainLied

_AGREEING: Final = {"Proposed": "propose", "Agreed": "agree"}
_ORDERING: Final = {
    "OrderPlaced": "order by proof",
    "OrderAccepted": "accept the order",
    "OrderShipped": "ship",
    "OrderReceived": "record the receipt",
    "OrderFulfilled": "prove the installation",
    "OrderCancelled": "cancel or refund",
    "CancellationAsked": "ask to cancel",
    "OrderDisputed": "dispute",
    "OrderResolved": "resolve",
}
_PART: Final = {"Minted": "make the passport", "Offered": "offer the part", "HandedOver": "take the part"}


@dataclass(frozen=True, slots=True)
class Step:
    """One transaction."""

    name: str
    payer: bytes
    """Who signed it: 20 bytes."""
    gas: int
    cost: int
    """Wei."""
    number: int
    """Of its block."""
    transaction: bytes


def role_of(payer: bytes, proposal: Proposal) -> str:
    """`operator`, `supplier` or `arbiter`; empty for anybody else."""
    terms = proposal.terms
    return {terms.arbiter: "arbiter", terms.supplier: "supplier", terms.operator: "operator"}.get(payer, "")


def order_costs(chain: Chain, agreements: Agreements, order_id: int, first: int) -> list[Step]:
    """The steps of an order so far, in the chain's order; raises `NotFound`, and what the chain raises.

    `first` is a block from which on all contracts' events are.
    """
    order = agreements.order(order_id)
    proposal = agreements.proposal(order.agreement)
    found: dict[bytes, tuple[Log, list[str]]] = {}
    for name, log in sorted(
        _events(chain, agreements, order, proposal, first), key=lambda event: (event[1].number, event[1].position)
    ):
        names = found.setdefault(log.transaction, (log, []))[1]
        if name not in names:
            names.append(name)
    steps = []
    for transaction, (_, names) in found.items():
        receipt = chain.receipt(transaction)
        if receipt is None:
            raise ChainLied(f"the chain tells an event of transaction 0x{transaction.hex()}, but has no receipt of it")
        cost = receipt.gas_used * receipt.gas_price
        steps.append(Step(", ".join(names), receipt.sender, receipt.gas_used, cost, receipt.number, transaction))
    return steps


def _events(
    chain: Chain, agreements: Agreements, order: Order, proposal: Proposal, first: int
) -> Iterator[tuple[str, Log]]:
    contract, last = agreements.contract, chain.head().number
    for events, id_ in ((_AGREEING, order.agreement), (_ORDERING, order.id)):
        ended = None
        for event, name in events.items():
            for log in logs_of(chain, contract, [contract.topic(event), _word(id_)], first, last):
                yield name, log
                if event in ("OrderFulfilled", "OrderResolved"):
                    ended = log
        if ended is not None:
            yield from _withdrawal(chain, contract, proposal, ended, last)
    yield from _anchors(chain, order, proposal, first, last)
    if order.token:
        yield from _handing_over(chain, order, proposal, first, last)


def _withdrawal(
    chain: Chain, contract: Contract, proposal: Proposal, ended: Log, last: int
) -> Iterator[tuple[str, Log]]:
    """The first after the end: whatever else the supplier is owed goes with it."""
    topics = [contract.topic("Withdrawn"), _word(proposal.terms.supplier), _word(proposal.terms.currency)]
    for log in logs_of(chain, contract, topics, ended.number, last):
        if (log.number, log.position) > (ended.number, ended.position):
            yield "withdraw", log
            return


def _anchors(chain: Chain, order: Order, proposal: Proposal, first: int, last: int) -> Iterator[tuple[str, Log]]:
    anchored = CheckpointAnchor(chain, proposal.terms.anchors).events(proposal.terms.log_id, first, last)
    for what, index in (("prediction", order.index), ("installation", order.installed)):
        # Index 0 is the log's genesis: no installation yet.
        covering = next((each for each in anchored if index and each.head.size > index), None)
        if covering is not None:
            yield f"anchor the {what}", covering.log


def _handing_over(chain: Chain, order: Order, proposal: Proposal, first: int, last: int) -> Iterator[tuple[str, Log]]:
    """Of the part's many owners' offers and hand-overs, those between this order's parties."""
    passports, terms = Contract(Artifact.load("PartPassport"), proposal.terms.passports), proposal.terms
    for event, name in _PART.items():
        logs = list(logs_of(chain, passports, [passports.topic(event), _word(order.token)], first, last))
        if event != "Minted":
            between = [_word(terms.supplier), _word(terms.operator)]
            # The same parties may have passed it on more than once: this order's is the newest.
            logs = [log for log in logs if list(log.topics[2:4]) == between][-1:]
        for log in logs:
            yield name, log


def _word(value: bytes | int) -> bytes:
    return value.to_bytes(32, "big") if isinstance(value, int) else value.rjust(32, b"\0")
