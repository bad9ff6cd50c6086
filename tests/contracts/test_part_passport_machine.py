"""Random histories of parts and batches, step by step the same in the contract and in the model (passport_model.py).

And what must hold whatever happens, read from the contract: a part's parents end at a root, a part and
its parent have one owner, scrapped is final, an owner changes only by the acceptance of an offer, quantities add up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.contracts.kit import Snapshot
from tests.contracts.passport_model import SCRAPPED, Batch, Model, Refused, Token
from tests.contracts.passports import ACCREDITOR, LEAF, MANUFACTURER, NOBODY, OWNER, RECEIVER, Passports
from twinproof.errors import Reverted

PARTIES = {"accreditor": ACCREDITOR, "manufacturer": MANUFACTURER, "owner": OWNER, "receiver": RECEIVER}
NAMES = {account.address: name for name, account in PARTIES.items()} | {NOBODY: ""}
TOKENS, BATCHES, RELEASED = 6, 2, 10
EVERY = 8
"""Reading everything back takes as long as this many transactions."""

parties = st.sampled_from(sorted(PARTIES))
tokens = st.integers(0, TOKENS - 1)
batches = st.integers(0, BATCHES - 1)
quantities = st.integers(0, RELEASED + 1)
waits = st.sampled_from([10**6, 10**6, 5, 0])
"""Seconds until an offer expires."""
biased = st.integers(0, 4)
"""0: any party calls; otherwise the one that may."""


def start() -> tuple[Passports, list[int], list[int], Snapshot]:
    """Three parts each with their manufacturer and an owner, and two batches with the manufacturer."""
    passports = Passports()
    made = [passports.new(MANUFACTURER if at % 2 else OWNER) for at in range(TOKENS)]
    lots = [passports.batch(RELEASED) for _ in range(BATCHES)]
    return passports, made, lots, passports.world.snapshot()


class Histories(RuleBasedStateMachine):
    """Every rule is one transaction, in the contract and in the model."""

    shared: tuple[Passports, list[int], list[int], Snapshot] | None = None

    def __init__(self) -> None:
        super().__init__()
        if Histories.shared is None:
            Histories.shared = start()
        self.passports, self.ids, self.lots, snapshot = Histories.shared
        self.passports.world.revert(snapshot)
        owned = [Token("manufacturer" if at % 2 else "owner", "manufacturer") for at in range(TOKENS)]
        stock = [Batch(RELEASED, {"manufacturer": RELEASED}) for _ in range(BATCHES)]
        self.model = Model("accreditor", {"manufacturer"}, owned, stock)
        self.owners = [token.owner for token in owned]
        self.dead: set[int] = set()
        self.accepted = False
        self.steps = 0

    def both(self, caller: str, function: str, arguments: tuple[object, ...], step: Callable[[], None]) -> bool:
        """Whether it went through; the two must agree, also on the error."""
        wanted = ""
        self.steps += 1
        try:
            step()
        except Refused as refusal:
            wanted = str(refusal)
        try:
            self.passports.send(PARTIES[caller], function, *arguments)
        except Reverted as refusal:
            said = refusal.reason.split("(")[0]
        else:
            said = ""
        assert said == wanted, f"{function}: {said or 'went through'}, the model: {wanted or 'went through'}"
        return said == ""

    # --- parts -------------------------------------------------------------------------------

    def owner_or(self, token: int, anybody: str, bias: int) -> str:
        return self.model.tokens[token].owner if bias else anybody

    @rule(token=tokens, anybody=parties, bias=biased, to=parties, wait=waits)
    def offer(self, token: int, anybody: str, bias: int, to: str, wait: int) -> None:
        caller, now = self.owner_or(token, anybody, bias), self.passports.world.time
        to = next(name for name in sorted(PARTIES) if name != caller) if bias > 2 and to == caller else to
        self.both(
            caller, "offer", (self.ids[token], PARTIES[to].address, now + wait),
            lambda: self.model.offer(caller, token, to, now + wait, now),
        )  # fmt: skip

    @precondition(lambda self: any(token.offer for token in self.model.tokens))
    @rule(token=tokens, anybody=parties, bias=biased, whole=st.booleans(), noise=st.lists(tokens, max_size=2))
    def accept(self, token: int, anybody: str, bias: int, whole: bool, noise: list[int]) -> None:
        offered = [at for at, item in enumerate(self.model.tokens) if item.offer]
        token = offered[token % len(offered)] if bias and offered else token
        open_offer, now = self.model.tokens[token].offer, self.passports.world.time
        caller = open_offer[0] if bias and open_offer else anybody
        parts = None
        if whole or self.model.children(token):
            parts = self.model.inside(token) if bias else [*self.model.inside(token)[: len(noise)], *noise]
        function, listed = (
            ("accept", ()) if parts is None else ("acceptAssembly", ([self.ids[part] for part in parts],))
        )
        self.accepted |= self.both(
            caller, function, (self.ids[token], *listed), lambda: self.model.accept(caller, token, parts, now)
        )

    @precondition(lambda self: any(token.offer for token in self.model.tokens))
    @rule(token=tokens, caller=parties)
    def cancel_offer(self, token: int, caller: str) -> None:
        offered = [at for at, item in enumerate(self.model.tokens) if item.offer]
        token = offered[token % len(offered)] if offered else token
        self.both(caller, "cancelOffer", (self.ids[token],), lambda: self.model.cancel_offer(caller, token))

    @rule(token=tokens, anybody=parties, bias=biased, user=st.sampled_from(["", "receiver", "accreditor"]))
    def set_user(self, token: int, anybody: str, bias: int, user: str) -> None:
        caller, address = self.owner_or(token, anybody, bias), PARTIES[user].address if user else NOBODY
        step = lambda: self.model.set_user(caller, token, user)  # noqa: E731 - as in the other rules
        self.both(caller, "setUser", (self.ids[token], address), step)

    @rule(token=tokens, caller=parties, status=st.sampled_from([0, 0, 0, 0, 1, 1, 2, 2, 2, 3]))
    def set_status(self, token: int, caller: str, status: int) -> None:
        step = lambda: self.model.set_status(caller, token, status)  # noqa: E731
        self.both(caller, "setStatus", (self.ids[token], status, LEAF), step)

    @rule(child=tokens, parent=tokens, anybody=parties, bias=biased)
    def install(self, child: int, parent: int, anybody: str, bias: int) -> None:
        caller = self.owner_or(child, anybody, bias)
        if bias > 2:
            fellows = [at for at, item in enumerate(self.model.tokens) if item.owner == caller]
            parent = fellows[parent % len(fellows)]
        step = lambda: self.model.install(caller, child, parent)  # noqa: E731
        self.both(caller, "install", (self.ids[child], self.ids[parent]), step)

    @precondition(lambda self: any(token.parent is not None for token in self.model.tokens))
    @rule(child=tokens, anybody=parties, bias=biased)
    def remove(self, child: int, anybody: str, bias: int) -> None:
        inside = [at for at, item in enumerate(self.model.tokens) if item.parent is not None]
        child = inside[child % len(inside)] if bias > 1 and inside else child
        caller = self.owner_or(child, anybody, bias)
        self.both(caller, "remove", (self.ids[child],), lambda: self.model.remove(caller, child))

    # --- quantities --------------------------------------------------------------------------

    def holder_or(self, batch: int, anybody: str, bias: int) -> str:
        holders = [name for name, quantity in self.model.batches[batch].available.items() if quantity]
        return holders[bias % len(holders)] if bias and holders else anybody

    @rule(batch=batches, anybody=parties, bias=biased, to=parties, quantity=quantities, wait=waits)
    def offer_quantity(self, batch: int, anybody: str, bias: int, to: str, quantity: int, wait: int) -> None:
        caller, now = self.holder_or(batch, anybody, bias), self.passports.world.time
        self.both(
            caller, "offerQuantity", (self.lots[batch], PARTIES[to].address, quantity, now + wait),
            lambda: self.model.offer_quantity(caller, batch, to, quantity, now + wait, now),
        )  # fmt: skip

    @precondition(lambda self: any(batch.offers for batch in self.model.batches))
    @rule(batch=batches, caller=parties, giver=parties, bias=biased, wrong=quantities, pick=st.integers(0, 9))
    def accept_quantity(self, batch: int, caller: str, giver: str, bias: int, wrong: int, pick: int) -> None:
        offers, now = self.model.batches[batch].offers, self.passports.world.time
        quantity = wrong
        if bias and offers:
            giver, caller = sorted(offers)[pick % len(offers)]
            quantity = offers[giver, caller][0] if bias > 1 else wrong
        self.both(
            caller, "acceptQuantity", (self.lots[batch], PARTIES[giver].address, quantity),
            lambda: self.model.accept_quantity(caller, batch, giver, quantity, now),
        )  # fmt: skip

    @precondition(lambda self: any(batch.offers for batch in self.model.batches))
    @rule(batch=batches, caller=parties, giver=parties, to=parties)
    def cancel_quantity(self, batch: int, caller: str, giver: str, to: str) -> None:
        if offers := sorted(self.model.batches[batch].offers):
            giver, to = offers[len(caller) % len(offers)]
        self.both(
            caller, "cancelQuantity", (self.lots[batch], PARTIES[giver].address, PARTIES[to].address),
            lambda: self.model.cancel_quantity(caller, batch, giver, to),
        )  # fmt: skip

    @rule(batch=batches, parent=tokens, anybody=parties, bias=biased, quantity=quantities)
    def install_quantity(self, batch: int, parent: int, anybody: str, bias: int, quantity: int) -> None:
        caller = self.owner_or(parent, anybody, bias)
        step = lambda: self.model.install_quantity(caller, batch, parent, quantity)  # noqa: E731
        self.both(caller, "installQuantity", (self.lots[batch], self.ids[parent], quantity), step)

    @precondition(lambda self: any(sum(batch.installed.values()) for batch in self.model.batches))
    @rule(batch=batches, parent=tokens, anybody=parties, bias=biased, quantity=quantities, scrap=st.booleans())
    def remove_quantity(self, batch: int, parent: int, anybody: str, bias: int, quantity: int, scrap: bool) -> None:
        full = [token for token, there in self.model.batches[batch].installed.items() if there]
        parent = full[parent % len(full)] if bias and full else parent
        caller = self.owner_or(parent, anybody, bias)
        step = lambda: self.model.remove_quantity(caller, batch, parent, quantity, scrap)  # noqa: E731
        self.both(caller, "removeQuantity", (self.lots[batch], self.ids[parent], quantity, scrap), step)

    @rule(batch=batches, anybody=parties, bias=biased, quantity=quantities)
    def scrap_quantity(self, batch: int, anybody: str, bias: int, quantity: int) -> None:
        caller = self.holder_or(batch, anybody, bias)
        step = lambda: self.model.scrap_quantity(caller, batch, quantity)  # noqa: E731
        self.both(caller, "scrapQuantity", (self.lots[batch], quantity), step)

    # --- what always holds -------------------------------------------------------------------

    @invariant()
    def the_contract_keeps_the_rules(self) -> None:
        if self.steps % EVERY == 0:
            self.parts_keep_the_rules()
            self.quantities_add_up()

    def parts_keep_the_rules(self) -> None:
        contract = [self.passports.call("partOf", token) for token in self.ids]
        owners = [NAMES[self.passports.call("ownerOf", token)] for token in self.ids]
        assert owners == self.owners or self.accepted, "an owner changed without an acceptance"
        self.owners, self.accepted = owners, False
        dead = {at for at, part in enumerate(contract) if part[4] == SCRAPPED}
        assert self.dead <= dead, "a scrapped part came back"
        self.dead = dead
        parents = {token: part[5] for token, part in zip(self.ids, contract, strict=True)}
        for token, parent in parents.items():
            assert not parent or owners[self.ids.index(token)] == owners[self.ids.index(parent)]
            above = [token]
            while parents[above[-1]]:
                above.append(parents[above[-1]])
                assert len(above) <= TOKENS, "a cycle"

    def quantities_add_up(self) -> None:
        for lot in self.lots:
            _, _, _, released, installed, scrapped = self.passports.call("batchOf", lot)
            held = sum(sum(self.passports.call("heldOf", lot, party.address)) for party in PARTIES.values())
            assert released == held + installed + scrapped == RELEASED

    def teardown(self) -> None:
        """Everything that the contract says is what the model says."""
        self.parts_keep_the_rules()
        self.quantities_add_up()
        for at, token in enumerate(self.model.tokens):
            assert self.told(at) == (
                token.owner, token.status, None if token.parent is None else self.ids[token.parent],
                token.offer, token.user, len(self.model.children(at)),
            )  # fmt: skip
        for at, batch in enumerate(self.model.batches):
            lot = self.lots[at]
            for name, party in PARTIES.items():
                held = (batch.available.get(name, 0), batch.reserved(name))
                assert self.passports.call("heldOf", lot, party.address) == held
            inside = [self.passports.call("installedIn", lot, token) for token in self.ids]
            assert inside == [batch.installed.get(token, 0) for token in range(TOKENS)]
            assert self.passports.call("batchOf", lot)[4:] == (sum(inside), batch.scrapped)
        assert sum(self.passports.call("balanceOf", party.address) for party in PARTIES.values()) == TOKENS

    def told(self, at: int) -> tuple[Any, ...]:
        owner, part, (to, expires), user, children = self.passports.observe(self.ids[at])
        offer = (NAMES[to], expires) if to != NOBODY else None
        return NAMES[owner], part[4], part[5] or None, offer, NAMES[user], children


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=12, stateful_step_count=50)
