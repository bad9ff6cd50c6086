"""A crash, a lost answer or a full disk at every single step: one purpose is one mined transaction all the same."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.chain.anvil import CHAIN_ID, ETHER, Anvil
from twinproof.chain.accounts import Account
from twinproof.chain.embedded import EmbeddedChain, Genesis
from twinproof.chain.hexadecimal import keccak
from twinproof.chain.outbox import State, TransactionOutbox
from twinproof.chain.rpc import RpcChain
from twinproof.chain.rpc_client import RpcClient
from twinproof.chain.sender import Sender, SenderSettings
from twinproof.errors import ChainUnreachable, StorageFailed, TwinproofError

SETTINGS = SenderSettings(max_fee=100 * 10**9, stuck_seconds=60)
PURPOSE = "rent"
PAYEE = keccak(b"rent")[:20]


class Crash(BaseException):
    """The process ends here."""


class Faults:
    """Counts the calls that leave the sender, and breaks one of them off: before it is made, or after it was."""

    def __init__(self, at: int, when: str, kind: str) -> None:
        self.at = at
        self.when = when
        self.kind = kind
        self.calls: list[str] = []
        self.over = False

    def run(self, name: str, problem: type[TwinproofError], act: Callable[[], Any]) -> Any:
        self.calls.append(name)
        hit = len(self.calls) == self.at
        if hit and self.when == "before":
            raise self.error(problem)
        done = act()
        if hit:
            raise self.error(problem)
        return done

    def error(self, problem: type[TwinproofError]) -> BaseException:
        return Crash() if self.kind == "crash" else problem("broken off by the test")

    def end(self) -> None:
        """Nothing more is broken off."""
        self.over = len(self.calls) < self.at
        self.at = 0


class Breaking:
    """Stands before a chain, an outbox or a signer."""

    def __init__(self, real: Any, faults: Faults, problem: type[TwinproofError]) -> None:
        self._real = real
        self._faults = faults
        self._problem = problem

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._real, name)
        if not callable(real):
            return real
        return lambda *args, **more: self._faults.run(name, self._problem, lambda: real(*args, **more))


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Place(Protocol):
    """Where the transactions go."""

    chain: Any

    def account(self, name: str) -> Account: ...

    def mine(self) -> None: ...


class Network:
    """A node that mines when it is told to."""

    def __init__(self, anvil: Anvil) -> None:
        self.anvil = anvil
        self.chain = RpcChain(RpcClient(anvil.url), CHAIN_ID)
        anvil.rpc("evm_setAutomine", False)

    def account(self, name: str) -> Account:
        return self.anvil.account(name)

    def mine(self) -> None:
        self.anvil.mine()


class Embedded:
    """The chain in a file; what is sent is mined."""

    def __init__(self, path: Path) -> None:
        self.accounts = {name: Account(keccak(name.encode())) for name in _names()}
        allocated = {account.address: 100 * ETHER for account in self.accounts.values()}
        self.chain = EmbeddedChain.open(path, genesis=Genesis(CHAIN_ID, allocated))

    def account(self, name: str) -> Account:
        return self.accounts[name]

    def mine(self) -> None:
        pass


def _names() -> list[str]:
    return [f"{kind} {when} {at}" for kind in ("crash", "error") for when in ("before", "after") for at in range(1, 80)]


def _play(sender: Any, place: Place, clock: Clock, payee: bytes) -> None:
    """Send, wait for too long, offer more, be mined, be confirmed."""
    sender.submit(PURPOSE, payee, b"", 1)
    clock.now += 60
    sender.step()
    place.mine()
    sender.step()
    sender.step()


def _break_off(place: Place, path: Path, kind: str, when: str, at: int) -> Faults:
    name = f"{kind} {when} {at}"
    account, clock, faults = place.account(name), Clock(), Faults(at, when, kind)
    payee = keccak(name.encode())[:20]
    outbox = TransactionOutbox(path)
    broken = Sender(
        Breaking(place.chain, faults, ChainUnreachable),
        Breaking(account, faults, ChainUnreachable),
        Breaking(outbox, faults, StorageFailed),  # type: ignore[arg-type]
        SETTINGS,
        clock=clock,
    )
    with contextlib.suppress(Crash, ChainUnreachable, StorageFailed):
        _play(broken, place, clock, payee)
    faults.end()
    if kind == "crash":
        outbox.close()
        outbox = TransactionOutbox(path)
        sender = Sender(place.chain, account, outbox, SETTINGS, clock=clock, sleep=lambda _: place.mine())
    else:  # the process goes on with what it has in memory
        sender = broken
        broken._sleep = lambda _: place.mine()
    for _ in range(2):
        sender.submit(PURPOSE, payee, b"", 1)
        done = sender.wait(PURPOSE, 20)
    told = f"{name}: {faults.calls[:at]}"
    assert done.state is State.CONFIRMED, told
    assert place.chain.balance(payee) == 1, told
    assert place.chain.nonce(account.address) == place.chain.nonce(account.address, pending=True) == 1, told
    assert sum(place.chain.receipt(one.hash) is not None for one in outbox.attempts(done)) == 1, told
    assert sender.live() == [], told
    outbox.close()
    return faults


def _every_step(place: Place, folder: Path, kind: str, when: str) -> list[str]:
    for at in itertools.count(1):
        faults = _break_off(place, folder / f"{at}.db", kind, when, at)
        if faults.over:
            return faults.calls
    raise AssertionError("unreachable")


CASES = [("crash", "before"), ("crash", "after"), ("error", "before"), ("error", "after")]


@pytest.mark.parametrize(("kind", "when"), CASES)
def test_on_a_network(anvil: Anvil, tmp_path: Path, kind: str, when: str) -> None:
    network = Network(anvil)
    calls = _every_step(network, tmp_path, kind, when)
    assert {"take", "sign_transaction", "send", "accept", "add_attempt", "mined"} <= set(calls)
    assert calls.count("send") == 2
    network.chain.close()


@pytest.mark.parametrize(("kind", "when"), CASES)
def test_on_the_embedded_chain(tmp_path: Path, kind: str, when: str) -> None:
    embedded = Embedded(tmp_path / "chain.db")
    calls = _every_step(embedded, tmp_path, kind, when)
    assert {"take", "sign_transaction", "send", "accept", "mined"} <= set(calls)
    assert calls.count("send") == 1
    embedded.chain.close()
