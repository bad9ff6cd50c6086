"""Agreements against a ledger model: whatever people do in whatever order, money in is money out, an end in reach."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.contracts.agreement_rig import (
    ACCOMPLICE,
    ARBITER,
    BELOW,
    COVERAGE,
    FINAL,
    IRI,
    NATIVE,
    NOBODY,
    OPEN,
    OPERATOR,
    OTHER_IRI,
    OTHER_KEY,
    PREDICTOR,
    PRICE,
    STRANGER,
    SUPPLIER,
    Kept,
    Proof,
    Rig,
    State,
    Terms,
    twin,
)
from twinproof.chain.accounts import Account
from twinproof.errors import Reverted
from twinproof.twin.prediction import float_bits

PEOPLE: Final = (OPERATOR, SUPPLIER, ARBITER, STRANGER)
IRIS: Final = (IRI, OTHER_IRI)
people = st.sampled_from(PEOPLE)
spots = st.integers(0, 7)
"""Which of the agreements, orders or parts; counted round."""


@dataclass
class Deal:
    """What the model keeps of an agreement."""

    number: int
    terms: Terms
    free: int = 0
    agreed: bool = False
    suspended: set[bytes] = field(default_factory=set)
    ended: bool = False


@dataclass
class Placed:
    """What the model keeps of an order."""

    number: int
    deal: Deal
    iri: str
    index: int
    state: State
    deadline: int
    token: int = 0
    received: bool = False
    installed: int = 0
    share: int = 0
    consents: set[bytes] = field(default_factory=set)


class Agreements(RuleBasedStateMachine):
    """Every call goes to the contract and to the model; they agree on whether it passes and on what it leaves."""

    def __init__(self) -> None:
        super().__init__()
        self.rig = Rig.fresh()
        self.deals: list[Deal] = []
        self.orders: list[Placed] = []
        self.tokens: list[int] = []
        self.proofs: dict[str, list[tuple[Proof, float, int, bool]]] = defaultdict(list)
        self.owed: dict[tuple[bytes, bytes], int] = defaultdict(int)
        self.out: dict[bytes, int] = defaultdict(int)
        self.into: dict[bytes, int] = defaultdict(int)

    @initialize()
    def begin(self) -> None:
        """Two agreements about the same twins, one in coin and one in tokens, and a few parts."""
        rig = self.rig
        for currency, arbiter in ((NATIVE, ARBITER.address), (rig.token.address, NOBODY)):
            terms = rig.terms(currency=currency, arbiter=arbiter, price=PRICE + (currency != NATIVE))
            deal = Deal(rig.propose(terms), terms)
            self.deals.append(deal)
            rig.send(SUPPLIER, "agree", deal.number, terms)
            deal.agreed = True
            self._fund(deal, 2 * terms.price)
        self.tokens = [rig.part() for _ in range(2)]

    # --- what people do ---------------------------------------------------------------------

    def _send(self, allowed: bool, sender: Account, function: str, *arguments: object) -> Any:
        """The contract takes it exactly if the model does."""
        if allowed:
            return self.rig.send(sender, function, *arguments)
        with pytest.raises(Reverted):
            self.rig.send(sender, function, *arguments)
        return None

    def _fund(self, deal: Deal, amount: int) -> None:
        self.rig.fund(deal.number, deal.terms, amount)
        deal.free += amount
        self.into[deal.terms.currency] += amount

    @rule(spot=spots, amount=st.integers(1, 3 * PRICE))
    def deposit(self, spot: int, amount: int) -> None:
        """Into the escrow."""
        deal = self.deals[spot % 2]
        if not deal.ended:
            self._fund(deal, amount)

    @rule(spot=spots, sender=people, amount=st.integers(0, 3 * PRICE))
    def reclaim(self, spot: int, sender: Account, amount: int) -> None:
        """Out of the escrow."""
        deal = self.deals[spot % 2]
        if self._send(sender is OPERATOR and amount <= deal.free, sender, "reclaim", deal.number, deal.terms, amount):
            deal.free -= amount
            self.owed[OPERATOR.address, deal.terms.currency] += amount

    @rule(spot=spots, sender=people, suspended=st.booleans())
    def suspend(self, spot: int, sender: Account, suspended: bool) -> None:
        """Or lift the suspension."""
        deal = self.deals[spot % 2]
        allowed = sender in (OPERATOR, SUPPLIER) and not deal.ended
        if self._send(allowed, sender, "suspend", deal.number, deal.terms, suspended):
            (deal.suspended.add if suspended else deal.suspended.discard)(sender.address)

    @rule(spot=spots, sender=people, likely=st.integers(0, 9))
    def end(self, spot: int, sender: Account, likely: int) -> None:
        """Seldom, else nothing else happens."""
        deal = self.deals[spot % 2]
        if likely:
            return
        allowed = sender in (OPERATOR, SUPPLIER) and not deal.ended
        if self._send(allowed, sender, "end", deal.number, deal.terms):
            deal.ended = True

    @rule(iri=st.sampled_from(IRIS), lower=st.sampled_from((3.0, 29.5, BELOW)), honest=st.integers(0, 4))
    def predict(self, iri: str, lower: float, honest: int) -> None:
        """Into the log; sometimes by nobody's key."""
        key = PREDICTOR if honest else OTHER_KEY
        at = self.rig.world.time
        proof = self.rig.logged(self.rig.prediction(iri, lower=lower, coverage=COVERAGE, key=key))
        self.proofs[iri].append((proof, lower, at, bool(honest)))

    @precondition(lambda self: any(self.proofs.values()))
    @rule(spot=spots, iri=st.sampled_from(IRIS), which=spots)
    def place(self, spot: int, iri: str, which: int) -> None:
        """By one of the last predictions."""
        if not self.proofs[iri]:
            return
        deal = self.deals[spot % 2]
        proof, lower, at, honest = self.proofs[iri][-1 - which % min(2, len(self.proofs[iri]))]
        now = self.rig.world.time
        mine = [order for order in self.orders if order.deal is deal and order.iri == iri]
        floor = max([max(mine[-1].index, mine[-1].installed)] if mine else [-1])
        allowed = (
            deal.agreed and not deal.suspended and not deal.ended and honest and lower < BELOW
            and at + deal.terms.max_age >= now and proof.index > floor
            and not any(order.state in OPEN for order in mine) and deal.free >= deal.terms.price
        )  # fmt: skip
        done = self._send(allowed, STRANGER, "order", deal.number, deal.terms, proof)
        if done:
            deal.free -= deal.terms.price
            deadline = now + deal.terms.accept_within
            self.orders.append(Placed(done.value, deal, iri, proof.index, State.PLACED, deadline))
            assert done.events[0][1]["lower"] == float_bits(lower)

    def _pick(self, spot: int, *states: State) -> Placed:
        """Mostly one in these states, else an open one, else any."""
        wanted = [order for order in self.orders if order.state in states and spot < 6]
        some = wanted or [order for order in self.orders if order.state in OPEN] or self.orders
        return some[spot % len(some)]

    def _move(self, order: Placed, state: State, deadline: int) -> None:
        order.state, order.deadline, order.consents = state, deadline, set()

    def _settle(self, order: Placed, state: State, share: int) -> None:
        """The price is the supplier's to this part."""
        order.state, order.share, order.consents = state, share, set()
        order.deal.free += order.deal.terms.price - share
        self.owed[SUPPLIER.address, order.deal.terms.currency] += share

    def _holder(self, token: int) -> bytes:
        owner: bytes = self.rig.passports.call("ownerOf", token)
        return owner

    @precondition(lambda self: self.orders)
    @rule(spot=spots, sender=people)
    def accept_order(self, spot: int, sender: Account) -> None:
        """By the supplier."""
        order, now = self._pick(spot, State.PLACED), self.rig.world.time
        allowed = sender is SUPPLIER and order.state == State.PLACED and now < order.deadline
        if self._send(allowed, sender, "acceptOrder", order.number, order.deal.terms):
            self._move(order, State.ACCEPTED, now + order.deal.terms.ship_within)

    @precondition(lambda self: any(order.state == State.ACCEPTED for order in self.orders))
    @rule(spot=spots, part=spots, offered=st.integers(0, 4))
    def ship(self, spot: int, part: int, offered: int) -> None:
        """A part that may be the supplier's, on offer, free."""
        rig = self.rig
        some = [order for order in self.orders if order.state == State.ACCEPTED]
        order, token = some[spot % len(some)], self.tokens[part % len(self.tokens)]
        if offered and self._holder(token) == SUPPLIER.address:
            self._withdraw_offer(token)
            rig.offer(token, SUPPLIER, OPERATOR)
        now, terms = rig.world.time, order.deal.terms
        to, expires = rig.passports.call("offerOf", token)
        earliest = now + terms.receive_within
        taken = any(o.token == token and (o.state in OPEN or o.share) for o in self.orders)
        allowed = (
            now < order.deadline and self._holder(token) == SUPPLIER.address and to == OPERATOR.address
            and earliest <= expires <= earliest + 86_400 and not taken
        )  # fmt: skip
        if self._send(allowed, SUPPLIER, "ship", order.number, terms, token):
            order.token = token
            self._move(order, State.SHIPPED, expires)

    def _withdraw_offer(self, token: int) -> None:
        if self.rig.passports.call("offerOf", token)[0] != NOBODY:
            self.rig.passports.send(SUPPLIER, "cancelOffer", token)

    @precondition(lambda self: len(self.tokens) < 6)
    @rule()
    def make(self) -> None:
        """One more part."""
        self.tokens.append(self.rig.part())

    @rule(part=spots, to=st.sampled_from((OPERATOR, OPERATOR, SUPPLIER, SUPPLIER, ACCOMPLICE)))
    def hand_over(self, part: int, to: Account) -> None:
        """On the passport: accept what is offered, or any other way that owners agree on."""
        rig, token = self.rig, self.tokens[part % len(self.tokens)]
        owner = next(who for who in (SUPPLIER, OPERATOR, ACCOMPLICE) if who.address == self._holder(token))
        offer = rig.passports.call("offerOf", token)
        if to is owner:
            return
        if offer[0] != NOBODY and (offer[0] != to.address or offer[1] <= rig.world.time):
            rig.passports.send(owner, "cancelOffer", token)
            offer = (NOBODY, 0)
        if offer[0] == NOBODY:
            rig.offer(token, owner, to)
        rig.passports.send(to, "accept", token)

    @precondition(lambda self: any(order.state == State.SHIPPED for order in self.orders))
    @rule(spot=spots)
    def arrive(self, spot: int) -> None:
        """A shipped part gets to the operator, who accepts it on the passport."""
        some = [order for order in self.orders if order.state == State.SHIPPED]
        self.hand_over(self.tokens.index(some[spot % len(some)].token), OPERATOR)

    @precondition(lambda self: self.orders)
    @rule(spot=spots, sender=people)
    def receive(self, spot: int, sender: Account) -> None:
        """Report it."""
        order, now = self._pick(spot, State.SHIPPED, State.DISPUTED), self.rig.world.time
        allowed = (
            (order.state == State.SHIPPED or (order.state == State.DISPUTED and not order.received))
            and self._holder(order.token) == OPERATOR.address
        )  # fmt: skip
        if self._send(allowed, sender, "receivePart", order.number, order.deal.terms):
            order.received, order.consents = True, set()
            if order.state == State.SHIPPED:
                self._move(order, State.RECEIVED, now + order.deal.terms.install_within)

    @precondition(lambda self: any(order.token for order in self.orders))
    @rule(spot=spots, wrong=st.integers(0, 4))
    def install(self, spot: int, wrong: int) -> None:
        """The technician says so; of one in five, about the other twin."""
        some = [order for order in self.orders if order.token]
        order = some[spot % len(some)]
        iri = order.iri if wrong else next(iri for iri in IRIS if iri != order.iri)
        proof = self.rig.logged(self.rig.installation(order.number, order.token, iri))
        allowed = order.state in (State.SHIPPED, State.RECEIVED) and bool(wrong)
        if self._send(allowed, STRANGER, "confirmInstallation", order.number, order.deal.terms, proof):
            order.installed = proof.index
            self._settle(order, State.FULFILLED, order.deal.terms.price)

    @precondition(lambda self: self.orders)
    @rule(spot=spots, sender=people)
    def cancel(self, spot: int, sender: Account) -> None:
        """Alone or one of both."""
        order = self._pick(spot)
        party = sender in (OPERATOR, SUPPLIER)
        alone = order.state == State.PLACED or (order.state == State.ACCEPTED and sender is SUPPLIER)
        both = order.consents | {sender.address} == {OPERATOR.address, SUPPLIER.address}
        allowed = party and order.state in OPEN
        if allowed and both and not alone and not order.received:
            to, expires = self.rig.passports.call("offerOf", order.token)
            standing = to == OPERATOR.address and expires > self.rig.world.time
            allowed = self._holder(order.token) == SUPPLIER.address and not standing
        if not self._send(allowed, sender, "cancelOrder", order.number, order.deal.terms):
            return
        if alone or both:
            self._settle(order, State.CANCELLED, 0)
        else:
            order.consents.add(sender.address)

    @precondition(lambda self: self.orders)
    @rule(spot=spots, sender=people)
    def dispute(self, spot: int, sender: Account) -> None:
        """Of what was shipped."""
        order, now = self._pick(spot, State.SHIPPED, State.RECEIVED), self.rig.world.time
        allowed = (
            sender in (OPERATOR, SUPPLIER) and order.state in (State.SHIPPED, State.RECEIVED) and now < order.deadline
        )  # fmt: skip
        if self._send(allowed, sender, "dispute", order.number, order.deal.terms):
            self._disputed(order, now)

    def _disputed(self, order: Placed, now: int) -> None:
        deadline = now + order.deal.terms.dispute_within
        if order.state == State.SHIPPED:
            deadline = max(deadline, order.deadline)
        self._move(order, State.DISPUTED, deadline)

    @precondition(lambda self: self.orders)
    @rule(spot=spots, sender=people, share=st.integers(0, PRICE + 2))
    def resolve(self, spot: int, sender: Account, share: int) -> None:
        """By the arbiter, if there is one."""
        order = self._pick(spot, State.DISPUTED)
        terms = order.deal.terms
        allowed = (
            sender.address == terms.arbiter and order.state == State.DISPUTED
            and self.rig.world.time < order.deadline and share <= terms.price
        )  # fmt: skip
        if self._send(allowed, sender, "resolve", order.number, terms, share):
            self._settle(order, State.RESOLVED, share)

    @precondition(lambda self: self.orders)
    @rule(spot=spots, sender=people)
    def expire(self, spot: int, sender: Account) -> None:
        """By anybody."""
        order, now = self._pick(spot), self.rig.world.time
        price = order.deal.terms.price
        if not self._send(
            order.state in OPEN and now >= order.deadline, sender, "expire", order.number, order.deal.terms
        ):
            return None
        if order.state in (State.PLACED, State.ACCEPTED):
            return self._settle(order, State.REFUNDED, 0)
        if order.state == State.RECEIVED:
            return self._settle(order, State.FULFILLED, price)
        holder = self._holder(order.token)
        if order.state == State.DISPUTED:
            third = price if order.received else price // 2
            share = {SUPPLIER.address: 0, OPERATOR.address: price}.get(holder, third)
            return self._settle(order, State.RESOLVED, share)
        if holder == OPERATOR.address:
            order.received = True
            return self._move(order, State.RECEIVED, now + order.deal.terms.install_within)
        if holder == SUPPLIER.address:
            return self._settle(order, State.REFUNDED, 0)
        return self._disputed(order, now)

    @rule(which=st.integers(0, 1), sender=people)
    def withdraw(self, which: int, sender: Account) -> None:
        """What is owed."""
        currency = self.deals[which].terms.currency
        amount = self.owed[sender.address, currency]
        if self._send(amount > 0, sender, "withdraw", currency):
            self.owed[sender.address, currency] = 0
            self.out[currency] += amount

    @precondition(lambda self: any(order.state in OPEN for order in self.orders))
    @rule(spot=spots, early=st.integers(0, 1))
    def wait(self, spot: int, early: int) -> None:
        """Until a deadline, or a second before."""
        self.rig.world.time = max(self.rig.world.time, self._pick(spot).deadline - early)

    @precondition(lambda self: any(order.state in OPEN for order in self.orders))
    @rule(spot=spots, sender=people)
    def outlast(self, spot: int, sender: Account) -> None:
        """Wait until it can be ended, and end it."""
        self.wait(spot, 0)
        self.expire(spot, sender)

    # --- what always holds ------------------------------------------------------------------

    @invariant()
    def money_in_is_money_out(self) -> None:
        """Per currency: what lies there = free escrow + set aside + owed = what came - what went."""
        for deal in self.deals:
            currency = deal.terms.currency
            reserved = sum(o.deal.terms.price for o in self.orders if o.state in OPEN and o.deal is deal)
            owed = sum(amount for (_, of), amount in self.owed.items() if of == currency)
            held = self._held(currency)
            assert held == deal.free + reserved + owed == self.into[currency] - self.out[currency]
            assert self.rig.free(deal.number) == deal.free
            for person in (OPERATOR, SUPPLIER):
                assert self.rig.owed(person, currency) == self.owed[person.address, currency]

    def _held(self, currency: bytes) -> int:
        rig = self.rig
        if currency == NATIVE:
            return rig.world.balance(rig.agreement.address)
        amount: int = rig.token.call("balanceOf", rig.agreement.address)
        return amount

    @invariant()
    def orders_are_as_the_model_has_them(self) -> None:
        """And of each twin under an agreement at most one is open, the last."""
        for order in self.orders[-4:]:
            seen = self.rig.seen(order.number)
            assert (seen.state, seen.index, seen.received, seen.token) == (
                order.state, order.index, order.received, order.token
            )  # fmt: skip
            assert seen.paid == (order.share > 0)
            if order.state in OPEN:
                assert seen.deadline == order.deadline
                consents = {OPERATOR.address: seen.operator_consents, SUPPLIER.address: seen.supplier_consents}
                assert {who for who, agrees in consents.items() if agrees} == order.consents
        for deal in self.deals:
            for iri in IRIS:
                mine = [order for order in self.orders if order.deal is deal and order.iri == iri]
                assert all(order.state in FINAL for order in mine[:-1])
                assert len({order.index for order in mine}) == len(mine)
                if mine:
                    episode = self.rig.agreement.call("episodeOf", deal.number, twin(iri))
                    is_open = mine[-1].state in OPEN
                    floor = max(mine[-1].index, mine[-1].installed)
                    assert episode == (True, len(mine) - is_open, mine[-1].number, is_open, floor)

    def teardown(self) -> None:
        """From wherever this ended, time alone and people taking what is theirs leave nothing behind."""
        if self.deals:
            drain(self.rig, [(order.number, order.deal.terms) for order in self.orders], self.deals)


def drain(rig: Rig, orders: list[tuple[int, Terms]], deals: list[Deal]) -> None:
    """Let every order expire, reclaim, withdraw; then the contract holds nothing."""
    start: Kept = rig.snapshot()
    for number, terms in orders:
        for _ in range(4):
            if rig.seen(number).state in OPEN:
                rig.world.time = max(rig.world.time, rig.seen(number).deadline)
                rig.send(STRANGER, "expire", number, terms)
        assert rig.seen(number).state in FINAL
    for deal in deals:
        free = rig.free(deal.number)
        rig.send(OPERATOR, "reclaim", deal.number, deal.terms, free)
        for person in PEOPLE:
            if rig.owed(person, deal.terms.currency):
                rig.send(person, "withdraw", deal.terms.currency)
    assert rig.world.balance(rig.agreement.address) == 0
    assert rig.token.call("balanceOf", rig.agreement.address) == 0
    rig.revert(start)


TestAgreements = Agreements.TestCase
TestAgreements.settings = settings(max_examples=8, stateful_step_count=30, deadline=None, derandomize=True)


def test_long_random_lives() -> None:
    """Longer runs than hypothesis makes, weighted towards what moves orders on, until every state was seen."""
    reached: set[State] = set()
    for seed in (0, 6, 1, 2, 3, 4):
        reached |= _live(random.Random(seed), 90)
        if reached == {*OPEN, *FINAL}:
            return
    raise AssertionError(f"only {reached} were reached")


def _live(chance: random.Random, steps: int) -> set[State]:
    machine = Agreements()
    machine.begin()
    reached = set()
    for step in range(steps):
        _step(machine, chance)
        if not step % 8:
            machine.money_in_is_money_out()
        reached |= {order.state for order in machine.orders}
    machine.orders_are_as_the_model_has_them()
    machine.teardown()
    return reached


def _step(machine: Agreements, chance: random.Random) -> None:
    spot, sender = chance.randrange(8), chance.choice(PEOPLE)
    some: list[tuple[int, Callable[[], object]]] = [
        (4, lambda: machine.predict(chance.choice(IRIS), 3.0, 1)),
        (4, lambda: machine.place(spot, chance.choice(IRIS), 0) if any(machine.proofs.values()) else None),
        (1, lambda: machine.deposit(spot, 2 * PRICE)),
        (1, lambda: machine.reclaim(spot, sender, chance.randrange(PRICE))),
        (2, lambda: machine.withdraw(spot % 2, sender)),
        (1, lambda: machine.hand_over(spot, chance.choice((OPERATOR, SUPPLIER, ACCOMPLICE)))),
    ]
    if machine.orders:
        some += [
            (4, lambda: machine.accept_order(spot, SUPPLIER)),
            (3, lambda: machine.receive(spot, sender)),
            (1, lambda: machine.cancel(spot, sender)),
            (2, lambda: machine.dispute(spot, chance.choice((OPERATOR, SUPPLIER)))),
            (2, lambda: machine.resolve(spot, ARBITER, chance.randrange(PRICE))),
            (2, lambda: machine.expire(spot, sender)),
        ]
    if any(order.state == State.ACCEPTED for order in machine.orders):
        some.append((6, lambda: machine.ship(spot, chance.randrange(8), 1)))
    if any(order.state == State.SHIPPED for order in machine.orders):
        some.append((4, lambda: machine.arrive(spot)))
    if any(order.state in OPEN for order in machine.orders):
        some.append((1, lambda: machine.wait(spot, 1)))
        some.append((1, lambda: machine.outlast(spot, sender)))
    if any(order.token for order in machine.orders):
        some.append((1, lambda: machine.install(spot, 1)))
    if len(machine.tokens) < 8:
        some.append((1, machine.make))
    weights = [weight for weight, _ in some]
    chance.choices(some, weights)[0][1]()
