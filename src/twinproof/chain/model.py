"""What every driver of a chain speaks: values as frozen dataclasses, and the `Chain` Protocol with its duties.

Hashes have 32 bytes, addresses 20; amounts and fees are wei, gas is in units, times are POSIX seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

Topics: TypeAlias = "Sequence[bytes | Sequence[bytes] | None]"
"""A filter by position, as eth_getLogs takes it: a topic, any of several, or None for whatever stands there."""


@dataclass(frozen=True)
class Request:
    """What a call or a transaction would do, before it is signed."""

    to: bytes | None
    """None creates a contract, `data` being its init code."""
    data: bytes = b""
    value: int = 0
    sender: bytes | None = None
    """Who asks; the zero address without."""
    gas: int | None = None
    """At most this much; the block's limit without."""
    access_list: tuple[tuple[bytes, tuple[bytes, ...]], ...] = ()
    """Addresses with storage keys of 32 bytes (EIP-2930)."""


@dataclass(frozen=True)
class Block:
    """A block's header, as far as callers need it, and what it holds."""

    number: int
    hash: bytes
    parent: bytes
    time: int
    gas_limit: int
    gas_used: int
    base_fee: int
    """Wei per gas (EIP-1559)."""
    state_root: bytes
    transactions_root: bytes
    receipts_root: bytes
    transactions: tuple[bytes, ...]
    """Their hashes, in order."""


@dataclass(frozen=True)
class Log:
    """An event of a contract and where it stands."""

    address: bytes
    topics: tuple[bytes, ...]
    data: bytes
    block: bytes
    """Hash of the block."""
    number: int
    """Of the block."""
    transaction: bytes
    """Hash of the transaction."""
    transaction_index: int
    """Of the transaction in the block."""
    position: int
    """Among all logs of the block."""

    def matches(self, addresses: Sequence[bytes], topics: Topics) -> bool:
        """Whether a filter lets it through; no address means all."""
        if (addresses and self.address not in addresses) or len(topics) > len(self.topics):
            return False
        return all(
            wanted is None or (found == wanted if isinstance(wanted, bytes) else found in wanted)
            for wanted, found in zip(topics, self.topics, strict=False)
        )


@dataclass(frozen=True)
class Receipt:
    """What became of a mined transaction. `encoding.encode_receipt` gives the bytes under the receipts root."""

    transaction: bytes
    """Its hash."""
    block: bytes
    number: int
    index: int
    """In the block."""
    type: int
    """0 legacy, 1 EIP-2930, 2 EIP-1559, 3 EIP-4844, 4 EIP-7702."""
    succeeded: bool
    """False if it reverted or ran out of gas: its fee is paid, and nothing else happened."""
    gas_used: int
    cumulative_gas_used: int
    """By the block up to here."""
    gas_price: int
    """Wei per gas that was paid, the tip included."""
    sender: bytes
    to: bytes | None
    contract: bytes | None
    """Address of the contract that it created."""
    logs: tuple[Log, ...]


@dataclass(frozen=True)
class Fees:
    """What the next block asks for."""

    base: int
    """Wei per gas; every transaction must offer at least this much."""
    tip: int
    """Suggested priority fee, wei per gas."""


class Chain(Protocol):
    """One EVM chain.

    **Finding.** Asking for what is not there answers None or an empty list; every other trouble is raised:
    `ChainUnreachable` (nothing is known; ask again), `ChainLied`, `Corrupt` or `StorageFailed`.

    **Point in time.** `block` is a number; without it the newest state is meant, and `call` and `estimate_gas` then
    see the time and number that the next block would have. State of old blocks may be gone: `ChainError`.

    **Concurrency.** Any thread may call any method.
    """

    @property
    def chain_id(self) -> int:
        """EIP-155; every transaction that is sent must name it."""
        ...

    def head(self) -> Block:
        """The newest block. Never goes back on an embedded chain; a network may reorganise."""
        ...

    def block(self, which: int | bytes) -> Block | None:
        """By number on the canonical chain, or by hash."""
        ...

    def balance(self, address: bytes, *, block: int | None = None) -> int:
        """In wei."""
        ...

    def nonce(self, address: bytes, *, pending: bool = False, block: int | None = None) -> int:
        """How many transactions the account has sent: those mined, with `pending` also those that wait."""
        ...

    def code(self, address: bytes, *, block: int | None = None) -> bytes:
        """The contract's code, empty for other accounts."""
        ...

    def storage(self, address: bytes, slot: int, *, block: int | None = None) -> bytes:
        """32 bytes."""
        ...

    def call(
        self, to: bytes, data: bytes, *, sender: bytes | None = None, value: int = 0, block: int | None = None
    ) -> bytes:
        """What a contract answers; nothing is kept.

        Raises `Reverted` with the revert data, and `ChainError` if it fails otherwise.
        """
        ...

    def estimate_gas(self, request: Request) -> int:
        """A gas limit with which the transaction would succeed now; no margin for what changes until then.

        Raises `Reverted` if it would revert, `OutOfFunds` if the sender has not the value.
        """
        ...

    def fees(self) -> Fees:
        """What to offer at least."""
        ...

    def send(self, raw: bytes) -> bytes:
        """Hand in a signed transaction (EIP-2718 bytes); returns its hash.

        An embedded chain has mined it durably on return; a network's node has merely taken it. Sending the same bytes
        again is no error and changes nothing. A transaction that reverts *is* mined: its receipt says so.
        Raises `Malformed` for bytes that are no transaction; `WrongChain`, `NonceTaken`, `Underpriced`, `OutOfFunds`
        or another `TransactionRefused` if it was not taken and this will not change by itself. After any other
        error it may have been taken.
        """
        ...

    def receipt(self, transaction: bytes) -> Receipt | None:
        """By the transaction's hash; None until it is mined."""
        ...

    def logs(self, *, first: int, last: int, addresses: Sequence[bytes] = (), topics: Topics = ()) -> list[Log]:
        """Of blocks `first` to `last`, both included, in order. No address means all."""
        ...

    def receipts_of(self, block: bytes) -> list[Receipt]:
        """All of a block, by its hash; empty if there is no such block."""
        ...

    def raw_header(self, block: bytes) -> bytes | None:
        """The RLP whose keccak-256 is `block`."""
        ...

    def transaction(self, hash: bytes) -> bytes | None:
        """The signed bytes."""
        ...
