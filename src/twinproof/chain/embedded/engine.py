"""The seam behind which the EVM sits: what an engine is asked, and what it answers.

An engine keeps nothing. It reads nodes (of the state trie, of storage tries, and code) by their keccak-256, and
returns those that it made. So a chain can hand it any state that it still holds, and states cost nothing to keep apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from twinproof.chain.transactions import AccessList, Transaction

Nodes = Callable[[bytes], bytes]
"""Content by its keccak-256; raises `NodeMissing` for what is not kept."""


class NodeMissing(LookupError):
    """A node or code is not kept; `args[0]` is its hash. Not a `KeyError`, which tries take for something else."""


@dataclass(frozen=True)
class BlockContext:
    """What code sees of the block it runs in."""

    chain_id: int
    number: int
    time: int
    gas_limit: int
    base_fee: int
    beneficiary: bytes
    ancestors: Callable[[], Iterable[bytes]]
    """Hashes of the blocks before, the parent first; at most 256 are read."""


@dataclass(frozen=True)
class Event:
    """A log, before it has a place."""

    address: bytes
    topics: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True)
class Outcome:
    """What running a transaction or a message did."""

    succeeded: bool
    reverted: bool
    """Failed by REVERT: `output` is the revert data. Otherwise a failure has consumed all gas."""
    problem: str
    """Why it failed, for people; empty if it did not."""
    output: bytes
    gas_used: int
    """With refunds and the calldata floor: what is paid for."""
    gas_needed: int
    """Without refunds: a limit below this cannot be enough."""
    contract: bytes | None
    """The address created."""
    events: tuple[Event, ...]


@dataclass(frozen=True)
class Message:
    """A call without signature, nonce or fee."""

    sender: bytes
    to: bytes | None
    data: bytes
    value: int
    gas: int
    """For the code alone, once the intrinsic gas is paid."""
    access_list: AccessList = ()


@dataclass(frozen=True)
class Payer:
    """What must be known of an account before its transaction runs."""

    nonce: int
    balance: int
    has_code: bool


class Execution(Protocol):
    """A block in the making. Not for two threads at once."""

    def payer(self, address: bytes) -> Payer:
        """As the transactions so far have left it."""
        ...

    def apply(self, transaction: Transaction) -> Outcome:
        """Run a transaction that has passed every check: signature, chain id, nonce, funds, fee, gas limits."""
        ...

    def call(self, message: Message) -> Outcome:
        """Run a message; what it changes is gone with this execution, which must not be finished."""
        ...

    def finish(self) -> tuple[bytes, Mapping[bytes, bytes]]:
        """The state root, and every node and code that was made, by its keccak-256."""
        ...


class Engine(Protocol):
    """An EVM with the rules of one fork. Any thread may use it."""

    def begin(self, nodes: Nodes, state_root: bytes, context: BlockContext) -> Execution:
        """A block on top of a state.

        Whatever `nodes` raises comes through, from here and from the execution.
        """
        ...

    def genesis(self, balances: Mapping[bytes, int]) -> tuple[bytes, Mapping[bytes, bytes]]:
        """State root and nodes of a state that holds just these accounts, each with its wei."""
        ...
