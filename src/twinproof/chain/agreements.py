"""The MaintenanceAgreement contract, typed: agreements with their terms, orders, what is owed (docs/agreements.md).

agreements = Agreements(chain, address, first_block)
proposal = agreements.proposal(7)                                # terms and twins, from the event
data = agreements.contract.encode("agree", 7, proposal.terms)     # for a sender
data = agreements.plan_order(proposal, proof)

The contract keeps only a hash of an agreement's terms: whoever calls it brings them along.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from typing import Any, Final

from twinproof.chain.abi import Artifact, Contract
from twinproof.chain.anchors import Head
from twinproof.chain.asking import ask, newest_log
from twinproof.chain.model import Chain, Receipt
from twinproof.errors import ChainLied, NotFound

NAME: Final = "MaintenanceAgreement"
NUMBER_BITS: Final = 32
"""An order's id is `agreement << 32 | number`."""


@dataclass(frozen=True, slots=True)
class Key:
    """A P-256 key's point."""

    x: bytes
    y: bytes


@dataclass(frozen=True, slots=True)
class Terms:
    """What the parties agree on: the contract's struct, field for field. Addresses have 20 bytes."""

    operator: bytes
    supplier: bytes
    arbiter: bytes
    """Zeros for none."""
    anchors: bytes
    passports: bytes
    log_id: bytes
    predictor: Key
    technician: Key
    unit: bytes
    """Keccak-256 of the text."""
    below: int
    """Bits of a float64."""
    coverage: int
    """Bits of a float64."""
    part_number: bytes
    """Keccak-256 of the text."""
    currency: bytes
    """An ERC-20, or zeros for the chain's own coin."""
    price: int
    """Of one order, in the currency's smallest unit."""
    max_age: int
    """Seconds, as all that follow."""
    accept_within: int
    ship_within: int
    receive_within: int
    install_within: int
    dispute_within: int


class OrderState(IntEnum):
    """Placed to Disputed are open; the others are final."""

    NONE = 0
    PLACED = 1
    ACCEPTED = 2
    SHIPPED = 3
    RECEIVED = 4
    DISPUTED = 5
    FULFILLED = 6
    CANCELLED = 7
    REFUNDED = 8
    RESOLVED = 9

    @property
    def word(self) -> str:
        """`placed` and so on."""
        return self.name.lower()

    @property
    def is_open(self) -> bool:
        """Whether it may still change."""
        return OrderState.PLACED <= self <= OrderState.DISPUTED


@dataclass(frozen=True, slots=True)
class Proposal:
    """What the event of an agreement tells."""

    id: int
    terms: Terms
    twins: tuple[bytes, ...]
    """SHA-256 of their IRIs."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How an agreement stands."""

    free: int
    """Escrow that no order has set aside."""
    orders: int
    """How many were placed."""
    agreed: bool
    suspended_by_operator: bool
    suspended_by_supplier: bool
    ended: bool

    @property
    def word(self) -> str:
        """`proposed`, `active`, `suspended` or `ended`."""
        if self.ended:
            return "ended"
        if not self.agreed:
            return "proposed"
        return "suspended" if self.suspended_by_operator or self.suspended_by_supplier else "active"


@dataclass(frozen=True, slots=True)
class Order:
    """An order as the contract has it now."""

    id: int
    state: OrderState
    index: int
    """Log index of the prediction that placed it."""
    installed: int
    """Log index of the installation that fulfilled it, or 0."""
    deadline: int
    """POSIX seconds; of a final state, when it would have ended."""
    received: bool
    operator_consents: bool
    supplier_consents: bool
    paid: bool
    token: int
    """The part, since it was shipped; before, 0."""

    @property
    def agreement(self) -> int:
        """The number of its agreement."""
        return self.id >> NUMBER_BITS


@dataclass(frozen=True, slots=True)
class Episode:
    """A twin under an agreement."""

    agreed: bool
    """Whether the agreement covers the twin."""
    number: int
    """Orders that are final."""
    order: int
    """The latest order, or 0."""
    open: bool
    """Whether it is open."""
    floor: int
    """If there was an order, the next one needs a prediction at a higher log index."""


@dataclass(frozen=True, slots=True)
class Proof:
    """A statement and its place in an anchored log."""

    statement: bytes
    index: int
    head: Head
    path: Sequence[bytes]
    """Inclusion path of `index` in the tree of `head.size`."""


def order_key_of(chain_id: int, contract: bytes, order: int) -> bytes:
    """sha256(abi.encode(chain id, contract, order id)): what an installation statement names an order by."""
    return sha256(chain_id.to_bytes(32, "big") + contract.rjust(32, b"\0") + order.to_bytes(32, "big")).digest()


class Agreements:
    """One contract on one chain. Methods raise what the chain raises."""

    def __init__(self, chain: Chain, address: bytes, first_block: int = 0, block: int | None = None) -> None:
        """`first_block` is the one that made the contract; with `block`, view functions answer as of that one."""
        self.contract = Contract(Artifact.load(NAME), address)
        self._chain = chain
        self._first = first_block
        self._block = block

    def at(self, block: int) -> Agreements:
        """The same contract as of a block, so that several answers belong together."""
        return Agreements(self._chain, self.address, self._first, block)

    @property
    def address(self) -> bytes:
        """20 bytes."""
        return self.contract.address

    def ask(self, function: str, *arguments: object) -> Any:
        """The answer of a view function."""
        return ask(self._chain, self.contract, function, *arguments, block=self._block)

    def proposal(self, id_: int) -> Proposal:
        """An agreement's terms and twins; raises `NotFound` if nobody proposed it."""
        topics = [self.contract.topic("Proposed"), id_.to_bytes(32, "big")]
        log = newest_log(self._chain, self.contract, topics, self._first)
        if log is None:
            raise NotFound(f"nobody has proposed agreement {id_}")
        args = self.contract.event(log)[1]
        return Proposal(id_, _terms(args["terms"]), tuple(args["twins"]))

    def standing(self, id_: int) -> Standing:
        """How an agreement stands; raises `NotFound`."""
        terms_hash, agreement = self.ask("agreementOf", id_)
        if not any(terms_hash):
            raise NotFound(f"nobody has proposed agreement {id_}")
        return Standing(*agreement)

    def order(self, id_: int) -> Order:
        """By its id; raises `NotFound`."""
        state, *rest = self.ask("orderOf", id_)
        if not state:
            raise NotFound(f"agreement {id_ >> NUMBER_BITS} has no order {id_ & ((1 << NUMBER_BITS) - 1)}")
        return Order(id_, OrderState(state), *rest)

    def episode(self, id_: int, twin: bytes) -> Episode:
        """How things stand with a twin (SHA-256 of its IRI) under an agreement."""
        return Episode(*self.ask("episodeOf", id_, twin))

    def owed(self, account: bytes, currency: bytes) -> int:
        """What an account may withdraw, in the currency's smallest unit."""
        return int(self.ask("owed", account, currency))

    def made(self, receipt: Receipt, event: str) -> dict[str, Any]:
        """The arguments of this contract's event in a receipt; raises `ChainLied` if there is none."""
        for log in receipt.logs:
            if log.address == self.address and log.topics[:1] == (self.contract.topic(event),):
                return self.contract.event(log)[1]
        raise ChainLied(f"the receipt shows no {event}")

    # --- placing orders ---------------------------------------------------------------------------

    def plan_order(self, proposal: Proposal, proof: Proof) -> bytes:
        """The call that places an order by proof of a prediction; anybody may make it."""
        return self.contract.encode("order", proposal.id, proposal.terms, proof)

    def try_order(self, data: bytes, sender: bytes) -> None:
        """Ask the contract whether it would take `plan_order`'s call now; raises `Reverted` with its reason if not."""
        self._chain.call(self.address, data, sender=sender)


def _terms(values: tuple[Any, ...]) -> Terms:
    fields = list(values)
    for place in (6, 7):
        fields[place] = Key(*fields[place])
    return Terms(*fields)
