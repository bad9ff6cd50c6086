"""A world with an anchored log, part passports, an ERC-20 and maintenance agreements; and people who use them.

rig = Rig.fresh()
terms = rig.terms(price=70)
agreement = rig.active(terms, escrow=100)
order = rig.order(agreement, terms, rig.logged(rig.prediction(lower=12.0)))
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cache
from hashlib import sha256
from typing import Any, Final

from tests.contracts.kit import ALICE, BOB, CAROL, DAVE, ERIN, FRANK, GRACE, HEIDI, Done, Snapshot, World
from twinproof.chain.accounts import Account
from twinproof.chain.hexadecimal import keccak
from twinproof.proof import merkle
from twinproof.proof.keys import ES256, PrivateKey
from twinproof.twin.installation import INSTALLATION, Installation, format_installation
from twinproof.twin.prediction import PREDICTION, Prediction, Read, float_bits, format_prediction
from twinproof.twin.statement import parse_statement, sign_statement

ACCREDITOR, OPERATOR, SUPPLIER, ARBITER, STRANGER, LOG_OWNER, ACCOMPLICE, MANUFACTURER = (
    ALICE, BOB, CAROL, DAVE, ERIN, FRANK, GRACE, HEIDI
)  # fmt: skip
NOBODY: Final = bytes(20)
NATIVE: Final = NOBODY
PREDICTOR: Final = PrivateKey(ES256, sha256(b"predictor").digest())
TECHNICIAN: Final = PrivateKey(ES256, sha256(b"technician").digest())
OTHER_KEY: Final = PrivateKey(ES256, sha256(b"somebody else").digest())
IRI: Final = "https://fleet.example/engine/1"
OTHER_IRI: Final = "https://fleet.example/engine/2"
FOREIGN_IRI: Final = "https://fleet.example/engine/3"
PART_NUMBER: Final = "HPT-4711"
LOG_SIZE: Final = 1_500_000
"""Entries before the test's own: a proof of an entry in the left half has 21 hashes."""
EARLY: Final = 700_000
"""An index in the left half."""
PRICE: Final = 1000
BELOW: Final = 30.0
COVERAGE: Final = 0.9
MAX_AGE, ACCEPT, SHIP, RECEIVE, INSTALL, DISPUTE = 3600, 10_000, 20_000, 30_000, 40_000, 50_000
DAY: Final = 86_400


def twin(iri: str = IRI) -> bytes:
    """What stands for it on chain."""
    return sha256(iri.encode()).digest()


class State(IntEnum):
    """Of an order; as in IMaintenanceAgreement."""

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


OPEN: Final = (State.PLACED, State.ACCEPTED, State.SHIPPED, State.RECEIVED, State.DISPUTED)
FINAL: Final = (State.FULFILLED, State.CANCELLED, State.REFUNDED, State.RESOLVED)


@dataclass(frozen=True)
class Key:
    """A P-256 public key."""

    x: bytes
    y: bytes

    @classmethod
    def of(cls, key: PrivateKey) -> Key:
        """Its coordinates."""
        return cls(key.public.raw[:32], key.public.raw[32:])


@dataclass(frozen=True)
class Terms:
    """As in IMaintenanceAgreement."""

    operator: bytes
    supplier: bytes
    arbiter: bytes
    anchors: bytes
    passports: bytes
    log_id: bytes
    predictor: Key
    technician: Key
    unit: bytes
    below: int
    coverage: int
    part_number: bytes
    currency: bytes
    price: int
    max_age: int
    accept_within: int
    ship_within: int
    receive_within: int
    install_within: int
    dispute_within: int


@dataclass(frozen=True)
class Head:
    """An anchored head."""

    size: int
    time: int
    root: bytes


@dataclass(frozen=True)
class Proof:
    """As in IMaintenanceAgreement."""

    statement: bytes
    index: int
    head: Head
    path: tuple[bytes, ...]


@dataclass(frozen=True)
class Order:
    """As in IMaintenanceAgreement."""

    state: State
    index: int
    installed: int
    deadline: int
    received: bool
    operator_consents: bool
    supplier_consents: bool
    paid: bool
    token: int


@dataclass(frozen=True)
class Kept:
    """A state of everything."""

    chain: Snapshot
    entries: Mapping[int, bytes]
    size: int
    head: Head
    serials: int


class Rig:
    """Everything deployed; the clock is the world's."""

    def __init__(self) -> None:
        self.world = World()
        self.anchors = self.world.deploy("CheckpointAnchor")
        self.passports = self.world.deploy("PartPassport", ACCREDITOR.address)
        self.agreement = self.world.deploy("MaintenanceAgreement")
        self.token = self.world.deploy("HostileToken")
        self.passports.send(ACCREDITOR, "setAccredited", MANUFACTURER.address, True)
        self.log_id: bytes = self.anchors.send(LOG_OWNER, "register", "twin.example/log0", LOG_OWNER.address).value
        self.entries: dict[int, bytes] = {}
        self.size = LOG_SIZE
        self.head = Head(0, 0, bytes(32))
        self.serials = 0
        self._nodes: dict[tuple[int, int], bytes] = {}
        self.entries[EARLY] = self.prediction()
        self.anchor()

    @staticmethod
    def fresh() -> Rig:
        """The one rig of this process, as it was when it was made."""
        rig, start = _made()
        rig.revert(start)
        return rig

    def snapshot(self) -> Kept:
        """The present state."""
        return Kept(self.world.snapshot(), dict(self.entries), self.size, self.head, self.serials)

    def revert(self, to: Kept) -> None:
        """Forget everything since."""
        self.world.revert(to.chain)
        self.entries, self.size, self.head, self.serials = dict(to.entries), to.size, to.head, to.serials
        self._nodes.clear()

    # --- the log ----------------------------------------------------------------------------

    def _node(self, level: int, index: int) -> bytes:
        """True above the test's own entries, made up elsewhere."""
        if (level, index) in self._nodes:
            return self._nodes[level, index]
        low, high = index << level, (index + 1) << level
        value = self._new_node(level, index, low, high)
        if high <= self.size:
            self._nodes[level, index] = value
        return value

    def _new_node(self, level: int, index: int, low: int, high: int) -> bytes:
        if not any(low <= entry < high for entry in self.entries):
            return sha256(b"%d/%d" % (level, index)).digest()
        if not level:
            return merkle.hash_leaf(self.entries[index])
        return merkle.hash_node(self._node(level - 1, 2 * index), self._node(level - 1, 2 * index + 1))

    def anchor(self) -> Head:
        """Anchor the log as it is."""
        old, root = self.head, merkle.root(self.size, self._node)
        proof = merkle.prove_consistency(old.size, self.size, self._node)
        time = self.world.time
        self.anchors.send(LOG_OWNER, "anchor", self.log_id, old, self.size, root, proof)
        self.head = Head(self.size, time, root)
        return self.head

    def proof(self, index: int) -> Proof:
        """That the entry is under the latest anchored head."""
        path = merkle.prove_inclusion(index, self.head.size, self._node)
        return Proof(self.entries[index], index, self.head, tuple(path))

    def logged(self, raw: bytes) -> Proof:
        """Append, anchor, prove."""
        self.entries[self.size] = raw
        self.size += 1
        self.anchor()
        return self.proof(self.size - 1)

    def prediction(
        self,
        iri: str = IRI,
        *,
        lower: float = 12.0,
        coverage: float = COVERAGE,
        unit: str = "cycles",
        at: int | None = None,
        key: PrivateKey = PREDICTOR,
        content_type: str = PREDICTION,
    ) -> bytes:
        """A statement, not logged; stated now."""
        read = Read("urn:example:device:1", 0, 41, bytes(32))
        payload = format_prediction(Prediction(lower, lower + 5, lower + 9, coverage, unit, b"\7" * 32, (read,)))
        return self._signed(iri, payload, self.world.time if at is None else at, key, content_type)

    def installation(
        self,
        order: int,
        token: int,
        iri: str = IRI,
        *,
        key: PrivateKey = TECHNICIAN,
        content_type: str = INSTALLATION,
        order_key: bytes | None = None,
    ) -> bytes:
        """A statement, not logged."""
        named = self.agreement.call("orderKey", order) if order_key is None else order_key
        payload = format_installation(Installation(token.to_bytes(32, "big"), named))
        return self._signed(iri, payload, self.world.time, key, content_type)

    def _signed(self, iri: str, payload: bytes, at: int, key: PrivateKey, content_type: str) -> bytes:
        raw = sign_statement(
            key, issuer="urn:example:signer", subject=iri, content_type=content_type, payload=payload,
            seq=7, prev=b"\5" * 32, issued_at=at,
        )  # fmt: skip
        parse_statement(raw)
        return raw

    # --- agreements -------------------------------------------------------------------------

    def terms(self, **changes: Any) -> Terms:
        """Terms that all parties of the rig can agree on."""
        usual = Terms(
            OPERATOR.address, SUPPLIER.address, ARBITER.address, self.anchors.address, self.passports.address,
            self.log_id, Key.of(PREDICTOR), Key.of(TECHNICIAN), keccak(b"cycles"), float_bits(BELOW),
            float_bits(COVERAGE), keccak(PART_NUMBER.encode()), NATIVE, PRICE,
            MAX_AGE, ACCEPT, SHIP, RECEIVE, INSTALL, DISPUTE,
        )  # fmt: skip
        return replace(usual, **changes)

    def send(self, sender: Account, function: str, *arguments: object, value: int = 0) -> Done:
        """A transaction to the agreements' contract."""
        return self.agreement.send(sender, function, *arguments, value=value)

    def propose(self, terms: Terms, *iris: str, value: int = 0) -> int:
        """A proposal by the operator about these twins, or the first two."""
        twins = [twin(iri) for iri in iris or (IRI, OTHER_IRI)]
        agreement: int = self.send(OPERATOR, "propose", terms, twins, value=value).value
        return agreement

    def active(self, terms: Terms, escrow: int = 10 * PRICE) -> int:
        """An agreement that both agreed to, with escrow in its currency."""
        agreement = self.propose(terms)
        self.send(SUPPLIER, "agree", agreement, terms)
        if escrow:
            self.fund(agreement, terms, escrow)
        return agreement

    def fund(self, agreement: int, terms: Terms, amount: int) -> None:
        """Let the operator deposit."""
        if terms.currency == NATIVE:
            self.send(OPERATOR, "deposit", agreement, terms, amount, value=amount)
        else:
            self.token.send(OPERATOR, "mint", OPERATOR.address, amount)
            self.token.send(OPERATOR, "approve", self.agreement.address, amount)
            self.send(OPERATOR, "deposit", agreement, terms, amount)

    def order(self, agreement: int, terms: Terms, proof: Proof | None = None) -> int:
        """Let anybody place an order, with a new prediction if none is given."""
        evidence = proof or self.logged(self.prediction())
        order: int = self.send(STRANGER, "order", agreement, terms, evidence).value
        return order

    def part(self, owner: Account = SUPPLIER, number: str = PART_NUMBER) -> int:
        """A new part in these hands."""
        self.serials += 1
        made = (number, f"SN-{self.serials}", twin(f"urn:part:{self.serials}"), b"\1" * 32)
        token: int = self.passports.send(MANUFACTURER, "mint", *made).value
        if owner is not MANUFACTURER:
            self.hand_over(token, MANUFACTURER, owner)
        return token

    def hand_over(self, token: int, giver: Account, receiver: Account) -> None:
        """Offer and accept on the passport."""
        self.offer(token, giver, receiver)
        self.passports.send(receiver, "accept", token)

    def offer(self, token: int, giver: Account, receiver: Account, within: int = RECEIVE + 100) -> int:
        """Offer on the passport; the end of the offer is returned."""
        expires = self.world.time + within
        self.passports.send(giver, "offer", token, receiver.address, expires)
        return expires

    def shipped(self, order: int, terms: Terms) -> int:
        """Accept and ship a new part; its token is returned."""
        self.send(SUPPLIER, "acceptOrder", order, terms)
        token = self.part()
        self.offer(token, SUPPLIER, OPERATOR)
        self.send(SUPPLIER, "ship", order, terms, token)
        return token

    def bring(self, state: State, terms: Terms | None = None) -> tuple[int, int, Terms]:
        """An order in this state, its token (0 before it was shipped) and terms."""
        terms = terms or self.terms()
        agreement = self.active(terms)
        if state == State.NONE:
            return (agreement << 32) + 1, 0, terms
        order, token = self.order(agreement, terms), 0
        if state == State.ACCEPTED:
            self.send(SUPPLIER, "acceptOrder", order, terms)
        if state in (State.SHIPPED, State.RECEIVED, State.DISPUTED, State.FULFILLED, State.RESOLVED):
            token = self.shipped(order, terms)
        if state in (State.RECEIVED, State.FULFILLED):
            self.passports.send(OPERATOR, "accept", token)
            self.send(STRANGER, "receivePart", order, terms)
        if state in (State.DISPUTED, State.RESOLVED):
            self.send(OPERATOR, "dispute", order, terms)
        if state == State.FULFILLED:
            self.send(STRANGER, "confirmInstallation", order, terms, self.logged(self.installation(order, token)))
        if state == State.RESOLVED:
            self.send(ARBITER, "resolve", order, terms, PRICE)
        if state == State.CANCELLED:
            self.send(OPERATOR, "cancelOrder", order, terms)
        if state == State.REFUNDED:
            self.world.time += ACCEPT
            self.send(STRANGER, "expire", order, terms)
        assert self.seen(order).state == state
        return order, token, terms

    # --- looking ----------------------------------------------------------------------------

    def seen(self, order: int) -> Order:
        """An order as the contract shows it."""
        state, *rest = self.agreement.call("orderOf", order)
        return Order(State(state), *rest)

    def free(self, agreement: int) -> int:
        """Escrow that no order has set aside."""
        amount: int = self.agreement.call("agreementOf", agreement)[1][0]
        return amount

    def owed(self, account: Account, currency: bytes = NATIVE) -> int:
        """What it may withdraw."""
        amount: int = self.agreement.call("owed", account.address, currency)
        return amount

    def until(self, order: int, before: int = 0) -> None:
        """Let the next block be at the order's deadline, or this many seconds before it."""
        self.world.time = self.seen(order).deadline - before


@cache
def _made() -> tuple[Rig, Kept]:
    rig = Rig()
    return rig, rig.snapshot()
