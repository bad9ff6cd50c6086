"""Blocks of a chain that nobody runs: anchors for tests, right in every byte but for the signatures of transactions.

    block = AnchorBlock(time=1_700_000_000)
    block.fill(5)                                  other people's transactions
    at = block.anchor(size=8, root=root)           one of ours
    evidence = block.evidence(at)                  the block's hash: block.hash

`receipt` and `transaction` make single parts, for blocks that lie. Needs the chain extra.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from twinproof.chain.proofs import prove_item
from twinproof.proof import rlp
from twinproof.proof.anchor import ANCHORED, AnchorEvidence
from twinproof.proof.keccak import keccak256
from twinproof.proof.mpt import EMPTY_ROOT
from twinproof.proof.rlp import Item

CONTRACT: Final = bytes.fromhex("c0" * 20)
LOG_ID: Final = keccak256(b"twin.example/log0")
DEFAULT_CHAIN: Final = 31_337


def number(value: int) -> bytes:
    """A number as RLP has it."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def anchored_log(
    size: int, root: bytes, time: int, *, contract: bytes = CONTRACT, log_id: bytes = LOG_ID, topic: bytes = ANCHORED
) -> list[Item]:
    """The event of a `CheckpointAnchor`."""
    return [contract, [topic, log_id, size.to_bytes(32, "big")], root + time.to_bytes(32, "big")]


def receipt(logs: list[Item], *, status: bytes = b"\x01", kind: int = 2) -> bytes:
    """A receipt of a transaction of type `kind`; 0 is the form without a type."""
    body = rlp.encode([status, number(54_229), bytes(256), logs])
    return (bytes((kind,)) if kind else b"") + body


def transaction(chain_id: int, nonce: int, *, kind: int = 2) -> bytes:
    """A transaction with a signature that is none."""
    head: list[Item] = [number(nonce), number(10**9)]
    call: list[Item] = [number(10**5), CONTRACT, b"", nonce.to_bytes(40, "big")]
    signature: list[Item] = [number(7**80), number(5**90)]
    if not kind:
        return rlp.encode([*head, *call, number(2 * chain_id + 35), *signature])
    fees: list[Item] = [number(10**9)] if kind > 1 else []
    late: dict[int, list[Item]] = {3: [b"\x01", [bytes(32)]], 4: [[]]}
    return bytes((kind,)) + rlp.encode(
        [number(chain_id), *head, *fees, *call, [], *late.get(kind, []), b"", *signature]
    )


@dataclass
class AnchorBlock:
    """A block that grows until its header is asked for."""

    time: int
    """POSIX seconds."""
    number: int = 1
    chain_id: int = DEFAULT_CHAIN
    receipts: list[bytes] = field(default_factory=list)
    transactions: list[bytes] = field(default_factory=list)
    later: tuple[bytes, ...] = ()
    """Members of the header after those of Prague."""

    def add(self, receipt: bytes, transaction: bytes) -> int:
        """Take a transaction with its receipt; returns its index."""
        self.receipts.append(receipt)
        self.transactions.append(transaction)
        return len(self.receipts) - 1

    def fill(self, count: int) -> None:
        """Take other people's transactions, of all types."""
        for _ in range(count):
            at = len(self.receipts)
            logs: list[Item] = [[bytes((at % 256,)) * 20, [keccak256(b"%d" % at)], bytes(at % 70)]]
            self.add(receipt(logs, kind=at % 5), transaction(self.chain_id, at, kind=at % 5))

    def anchor(
        self, *, size: int, root: bytes, contract: bytes = CONTRACT, log_id: bytes = LOG_ID, kind: int = 2
    ) -> int:
        """Take a transaction that anchors a head; returns its index."""
        event = anchored_log(size, root, self.time, contract=contract, log_id=log_id)
        return self.add(receipt([event], kind=kind), transaction(self.chain_id, len(self.receipts), kind=kind))

    @property
    def header(self) -> bytes:
        """The RLP, with the members of Prague."""
        roots = [prove_item(items, 0)[0] if items else EMPTY_ROOT for items in (self.transactions, self.receipts)]
        return rlp.encode(
            [
                keccak256(number(self.number - 1)),
                keccak256(b"\xc0"),
                CONTRACT,
                keccak256(b"state"),
                *roots,
                bytes(256),
                b"",
                number(self.number),
                number(36_000_000),
                number(21_000 * len(self.receipts)),
                number(self.time),
                b"twinproof tests",
                keccak256(b"randao"),
                bytes(8),
                number(10**9),
                EMPTY_ROOT,
                b"",
                b"",
                keccak256(b"beacon"),
                keccak256(b"requests"),
                *self.later,
            ]
        )

    @property
    def hash(self) -> bytes:
        """The block's hash."""
        return keccak256(self.header)

    def evidence(self, index: int, position: int = 0) -> AnchorEvidence:
        """The evidence of log `position` of transaction `index`."""
        return AnchorEvidence(
            self.chain_id,
            self.header,
            index,
            prove_item(self.receipts, index)[1],
            position,
            prove_item(self.transactions, index)[1],
        )
