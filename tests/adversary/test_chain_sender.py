"""A node that lies to the sender about nonces, and chains that go back further than confirmations reach."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.chain.embedded_rig import CHAIN_ID, GENESIS, GWEI, KEYS
from twinproof.chain.accounts import Account
from twinproof.chain.embedded import EmbeddedChain
from twinproof.chain.outbox import Entry, State, TransactionOutbox
from twinproof.chain.sender import MAX_WAITING, Sender, SenderSettings
from twinproof.chain.signing import Unsigned
from twinproof.errors import ChainLied, ChainUnreachable, NotFound

ACCOUNT = Account(KEYS[0])
PAYEE = b"\7" * 20


class LyingChain:
    """An honest chain behind a node that is none."""

    def __init__(self, chain: EmbeddedChain) -> None:
        self.chain = chain
        self.pending: int | None = None
        self.used: int | None = None
        self.silent = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.chain, name)

    def nonce(self, address: bytes, *, pending: bool = False, block: int | None = None) -> int:
        told = self.pending if pending else self.used
        return self.chain.nonce(address, block=block) if told is None or block is not None else told

    def send(self, raw: bytes) -> bytes:
        if self.silent:
            raise ChainUnreachable("nothing comes back")
        return self.chain.send(raw)


@dataclass
class Desk:
    chain: LyingChain
    outbox: TransactionOutbox
    sender: Sender
    now: float = 1_800_000_000.0

    def pay(self, purpose: str) -> Entry:
        return self.sender.submit(purpose, PAYEE, b"", 1)

    def steps(self, count: int = 4) -> None:
        for _ in range(count):
            self.now += 200
            self.sender.step()

    def elsewhere(self, nonce: int) -> None:
        """Somebody else has the key."""
        self.chain.chain.send(ACCOUNT.sign_transaction(Unsigned(CHAIN_ID, nonce, 0, 9 * GWEI, 21_000, b"\1" * 20)))

    @property
    def spent(self) -> int:
        return self.chain.chain.nonce(ACCOUNT.address)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with EmbeddedChain.open(None, genesis=GENESIS) as chain:
        outbox = TransactionOutbox(tmp_path / "outbox.db")
        lying, settings = LyingChain(chain), SenderSettings(max_fee=100 * GWEI)
        made = Desk(lying, outbox, Sender(lying, ACCOUNT, outbox, settings, clock=lambda: made.now))
        yield made
        outbox.close()


@pytest.mark.parametrize("told", [MAX_WAITING + 1, 10**6, 1 << 63, (1 << 64) - 1])
def test_a_nonce_far_ahead_is_not_taken(desk: Desk, told: int) -> None:
    """Once taken, everything waits until all below it are filled, each for a fee."""
    desk.chain.pending = told
    with pytest.raises(ChainLied, match="next nonce"):
        desk.pay("rent")
    with pytest.raises(NotFound):
        desk.sender.find("rent")
    desk.chain.pending = None
    assert desk.pay("rent").nonce == 0
    desk.steps(1)
    assert desk.sender.find("rent").state is State.CONFIRMED


@pytest.mark.parametrize("told", [1 << 63, (1 << 64) - 1])
def test_a_nonce_beyond_the_outbox(desk: Desk, told: int) -> None:
    desk.chain.pending = desk.chain.used = told
    with pytest.raises(ChainLied):
        desk.pay("rent")


def test_a_lie_that_is_consistent_costs_no_fillers(desk: Desk) -> None:
    """Nothing tells it from the truth when it is told; afterwards nothing is paid to make it true."""
    desk.chain.pending = desk.chain.used = 10**6
    assert desk.pay("rent").nonce == 10**6
    desk.chain.pending = desk.chain.used = None
    for _ in range(3):
        with pytest.raises(ChainLied, match="Nothing is filled"):
            desk.steps(1)
    assert desk.spent == 0
    assert len(desk.sender.live()) == 1


def test_a_small_gap_is_filled_as_ever(desk: Desk) -> None:
    desk.chain.pending = 2
    assert desk.pay("rent").nonce == 2
    desk.chain.pending = None
    desk.steps(8)
    assert desk.sender.find("rent").state is State.CONFIRMED
    assert desk.spent == 3


def test_a_nonce_that_is_told_too_low_sends_nothing_twice(desk: Desk) -> None:
    for number in range(3):
        desk.pay(f"rent {number}")
    desk.steps(1)
    desk.chain.used = desk.chain.pending = 0
    desk.pay("late")
    for _ in range(3):
        desk.now += 200
        desk.sender.step()
    desk.chain.used = desk.chain.pending = None
    desk.steps(2)
    assert {desk.sender.find(f"rent {number}").state for number in range(3)} == {State.CONFIRMED}
    assert desk.sender.find("late").state is State.CONFIRMED
    assert desk.chain.balance(PAYEE) == 4


def test_a_chain_that_forgets_who_replaced_a_purpose(desk: Desk) -> None:
    """The replaced purpose keeps the nonce in the outbox's books; the gap is filled all the same."""
    start = desk.chain.snapshot()
    desk.chain.silent = True
    desk.pay("lost")
    desk.chain.silent = False
    desk.elsewhere(0)
    desk.steps(1)
    assert desk.sender.find("lost").state is State.REPLACED
    desk.chain.restore(start)
    assert desk.pay("next").nonce == 1
    desk.steps()
    assert desk.sender.find("next").state is State.CONFIRMED
    assert desk.sender.find("lost").state is State.REPLACED
    assert (desk.spent, desk.chain.balance(PAYEE)) == (2, 1)
    again = desk.sender.retry("lost")
    desk.steps(1)
    assert (again.nonce, desk.sender.find("lost").state) == (2, State.CONFIRMED)


@pytest.mark.parametrize("jump", [10.0**9, -(10.0**9)])
def test_a_clock_that_jumps_costs_at_most_a_replacement(desk: Desk, jump: float) -> None:
    desk.chain.silent = True
    desk.pay("rent")
    desk.now += jump
    desk.sender.step()
    desk.sender.step()
    desk.chain.silent = False
    desk.sender.step()
    desk.sender.step()
    entry = desk.sender.find("rent")
    assert entry.state is State.CONFIRMED
    assert len(desk.outbox.attempts(entry)) <= 2
    assert (desk.spent, desk.chain.balance(PAYEE)) == (1, 1)
