"""Contracts on the embedded engine: no signatures, no fees, no files, and the clock stands where the test puts it.

world = World()
anchor = world.deploy("CheckpointAnchor")
log_id = anchor.send(ALICE, "register", "twin.example/log", ALICE.address).value
assert anchor.call("ownerOf", log_id) == ALICE.address
with refused("NotOwner"):
    anchor.send(BOB, "transferLog", log_id, BOB.address)
before = world.snapshot(); world.time += 3600; ...; world.revert(before)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import pytest

from twinproof.chain.abi import Artifact, Contract, artifact_names
from twinproof.chain.accounts import Account
from twinproof.chain.embedded.engine import BlockContext, Event, Message, Outcome
from twinproof.chain.embedded.pyevm import PyEvm
from twinproof.chain.model import Log
from twinproof.chain.transactions import Transaction
from twinproof.errors import Reverted

HARNESSES: Final = Path(__file__).parent / "artifacts"
CHAIN_ID: Final = 31337
START: Final = 1_700_000_000
"""POSIX seconds: the time of the first block."""
FUNDS: Final = 10**21
"""Wei that each account has at the start."""
GAS: Final = 30_000_000

ACCOUNTS: Final = tuple(Account(sha256(b"test account %d" % number).digest()) for number in range(10))
ALICE, BOB, CAROL, DAVE, ERIN, FRANK, GRACE, HEIDI, IVAN, JUDY = ACCOUNTS

_LARGE: Final = re.compile(r"\b[0-9]{40,78}\b")
"""Above 2^128: what refusals show in hexadecimal."""
_BALANCE_OF: Final = bytes.fromhex("600035315f5260205ff3")
"""Code that answers the balance of the address it is asked for: the engine itself tells only contracts."""
_ENGINE: Final = PyEvm()


@cache
def artifact(name: str) -> Artifact:
    """A packaged contract, or a harness of contracts/test."""
    if name in artifact_names():
        return Artifact.load(name)
    return Artifact.parse(name, (HARNESSES / f"{name}.json").read_text("utf-8"))


@contextmanager
def refused(error: str) -> Iterator[None]:
    """The block must revert with this custom error: a name, or the beginning of `Name(argument, …)`.

    Refusals show token and batch ids in hexadecimal; here they may be given as numbers.
    """
    with pytest.raises(Reverted) as caught:
        yield
    reason = caught.value.reason
    error = _LARGE.sub(lambda number: f"0x{int(number[0]):064x}", error)
    assert reason.startswith(error if "(" in error else f"{error}("), f"reverted with {reason}, not {error}"


@dataclass(frozen=True)
class Done:
    """A transaction that went through."""

    value: Any
    """What the function answered, as `Contract.decode` gives it; None for plain transfers."""
    events: list[tuple[str, dict[str, Any]]]
    """Of the called contract, in order."""
    outcome: Outcome

    @property
    def gas(self) -> int:
        """What the transaction pays for."""
        return self.outcome.gas_used


@dataclass(frozen=True)
class Snapshot:
    """A state to come back to."""

    root: bytes
    number: int
    time: int
    nonces: dict[bytes, int]


class Deployed(Contract):
    """A contract in a world."""

    def __init__(self, world: World, artifact: Artifact, address: bytes, gas: int) -> None:
        super().__init__(artifact, address)
        self.world = world
        self.gas = gas
        """What its creation paid for."""

    def call(self, function: str, *arguments: object, sender: Account = ALICE, value: int = 0) -> Any:
        """What it answers, nothing kept; raises `Reverted`."""
        outcome = self.world.ask(sender.address, self.address, self.encode(function, *arguments), value)
        if not outcome.succeeded:
            raise Reverted(self.error(outcome.output) if outcome.reverted else outcome.problem, outcome.output)
        return self.decode(self.artifact.find("function", function, len(arguments)).signature, outcome.output)

    def send(self, sender: Account, function: str, *arguments: object, value: int = 0) -> Done:
        """A transaction in a block of its own; raises `Reverted`, and then nothing has changed."""
        outcome = self.world.transact(sender.address, self.address, self.encode(function, *arguments), value)
        if not outcome.succeeded:
            raise Reverted(self.error(outcome.output) if outcome.reverted else outcome.problem, outcome.output)
        member = self.artifact.find("function", function, len(arguments))
        mine = [self.event(_log(event)) for event in outcome.events if event.address == self.address]
        return Done(self.decode(member.signature, outcome.output), mine, outcome)


class World:
    """A chain in memory: one transaction a block, `time` is that of the next block and moves on by itself."""

    def __init__(self) -> None:
        self.time = START
        self.number = 1
        self._root, nodes = _genesis()
        self._nodes = dict(nodes)
        self._nonces: dict[bytes, int] = {}
        self._balances = self.create(b"\x60\x0a\x5f\x81\x60\x09\x82\x39\xf3" + _BALANCE_OF).contract or b""

    def snapshot(self) -> Snapshot:
        """The present state."""
        return Snapshot(self._root, self.number, self.time, dict(self._nonces))

    def revert(self, to: Snapshot) -> None:
        """Forget everything since; may be done any number of times."""
        self._root, self.number, self.time, self._nonces = to.root, to.number, to.time, dict(to.nonces)

    def deploy(self, name: str, *arguments: object, sender: Account = ALICE) -> Deployed:
        """A new contract of a packaged artefact or a harness; raises `Reverted`."""
        made = artifact(name)
        outcome = self.create(made.deployment(*arguments), sender)
        if not outcome.succeeded or outcome.contract is None:
            reason = Contract(made, bytes(20)).error(outcome.output) if outcome.reverted else outcome.problem
            raise Reverted(reason, outcome.output)
        return Deployed(self, made, outcome.contract, outcome.gas_used)

    def at(self, name: str, address: bytes) -> Deployed:
        """An artefact's face of a contract that is there."""
        return Deployed(self, artifact(name), address, 0)

    def create(self, code: bytes, sender: Account = ALICE) -> Outcome:
        """Run creation code in a transaction."""
        return self.transact(sender.address, None, code, 0)

    def balance(self, address: bytes) -> int:
        """In wei."""
        return int.from_bytes(self.ask(ALICE.address, self._balances, address.rjust(32, b"\0"), 0).output, "big")

    def ask(self, sender: bytes, to: bytes, data: bytes, value: int) -> Outcome:
        """Run a message on the newest state; nothing is kept."""
        execution = _ENGINE.begin(self._nodes.__getitem__, self._root, self._context())
        return execution.call(Message(sender, to, data, value, GAS))

    def transact(self, sender: bytes, to: bytes | None, data: bytes, value: int) -> Outcome:
        """Mine a transaction, even one that fails."""
        nonce = self._nonces.get(sender, 0)
        execution = _ENGINE.begin(self._nodes.__getitem__, self._root, self._context())
        outcome = execution.apply(
            Transaction(
                type=2, chain_id=CHAIN_ID, nonce=nonce, max_fee=0, max_tip=0, gas=GAS, to=to, value=value, data=data,
                access_list=(), v=0, r=0, s=0, raw=b"", hash=b"", sender=sender,
            )
        )  # fmt: skip
        self._root, made = execution.finish()
        self._nodes.update(made)
        self._nonces[sender] = nonce + 1
        self.number += 1
        self.time += 1
        return outcome

    def _context(self) -> BlockContext:
        return BlockContext(CHAIN_ID, self.number, self.time, GAS, 0, bytes(20), tuple)


def _log(event: Event) -> Log:
    return Log(event.address, event.topics, event.data, bytes(32), 0, bytes(32), 0, 0)


@cache
def _genesis() -> tuple[bytes, dict[bytes, bytes]]:
    root, nodes = _ENGINE.genesis({account.address: FUNDS for account in ACCOUNTS})
    return root, dict(nodes)
