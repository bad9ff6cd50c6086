"""One anchor: what proves that a block of an EVM chain records a head of a log. Normative page: spec/anchor.md.

    [chain id, header, index, receipt nodes, position, transaction nodes]

`header` hashes to the block's hash. The receipt at `index` lies under its receiptsRoot, the transaction at the same
index under its transactionsRoot, and the receipt's log number `position` is the contract's event

    Anchored(bytes32 indexed logId, uint64 indexed size, bytes32 root, uint64 time)

Everything is bound to the block's hash: whoever trusts that hash knows that the root was there at the block's time.
Sources: Yellow Paper §4.3; EIP-155 (chain id), EIP-658 (status), EIP-2718 (typed transactions and receipts).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from twinproof.errors import BadProof, Malformed, TooLarge
from twinproof.proof import cbor, mpt, rlp
from twinproof.proof.keccak import keccak256
from twinproof.proof.merkle import MAX_SIZE

ANCHORED: Final = keccak256(b"Anchored(bytes32,uint64,bytes32,uint64)")
"""First topic of the event."""
MAX_ANCHOR: Final = 1 << 14
"""Bytes of header and nodes together; keccak in Python makes them dear."""
MAX_NODES: Final = 16
"""Of one proof. The longest key of an index below 2^32 has 10 nibbles."""
MAX_INDEX: Final = 1 << 32
MAX_CHAIN_ID: Final = 1 << 63
MAX_TIME: Final = 1 << 53
"""POSIX seconds; spec/README.md."""
MAX_HEADER_ITEMS: Final = 64
"""Prague has 21; later forks append."""
MAX_LOGS: Final = 4096
"""Of one receipt."""


@dataclass(frozen=True, slots=True)
class AnchorEvidence:
    """The parts of one anchor; nothing in it is verified yet."""

    chain_id: int
    header: bytes
    """RLP: what the block's hash is the Keccak-256 of."""
    index: int
    """Of the transaction and its receipt in the block."""
    receipt: tuple[bytes, ...]
    """Trie nodes from receiptsRoot to the receipt."""
    position: int
    """Of the log in the receipt."""
    transaction: tuple[bytes, ...]
    """Trie nodes from transactionsRoot to the transaction."""


@dataclass(frozen=True, slots=True)
class AnchoredHead:
    """What an anchor says, proved under its block's hash."""

    chain_id: int
    block_number: int
    block_hash: bytes
    time: int
    """The block's, POSIX seconds."""
    transaction: bytes
    """Its hash."""
    index: int
    position: int
    contract: bytes
    """20 bytes: who emitted the event."""
    log_id: bytes
    size: int
    root: bytes

    @property
    def order(self) -> tuple[int, int, int, bytes, int, int]:
        """Anchors stand in this order, each once."""
        return self.size, self.chain_id, self.block_number, self.block_hash, self.index, self.position


def anchor_value(evidence: AnchorEvidence) -> list[cbor.Value]:
    """The six members as CBOR has them."""
    return [
        evidence.chain_id,
        evidence.header,
        evidence.index,
        list(evidence.receipt),
        evidence.position,
        list(evidence.transaction),
    ]


def parse_anchor(value: cbor.Value, field: str) -> AnchorEvidence:
    """Read the six members; raises `Malformed` naming `field`, `TooLarge` over `MAX_ANCHOR`."""
    if type(value) is not list or len(value) != 6:
        raise Malformed(field, "not [chain id, header, index, receipt nodes, position, transaction nodes]")
    chain_id, header, index, receipt, position, transaction = value
    if type(header) is not bytes:
        raise Malformed(field, "the header is not a byte string")
    evidence = AnchorEvidence(
        _number(chain_id, field, "chain id", 1, MAX_CHAIN_ID),
        header,
        _number(index, field, "index", 0, MAX_INDEX),
        _nodes(receipt, field),
        _number(position, field, "position", 0, MAX_INDEX),
        _nodes(transaction, field),
    )
    size = sum(map(len, (header, *evidence.receipt, *evidence.transaction)))
    if size > MAX_ANCHOR:
        raise TooLarge(field, f"{size} bytes, the limit is {MAX_ANCHOR}")
    return evidence


def _number(value: cbor.Value, field: str, name: str, low: int, high: int) -> int:
    if type(value) is not int or not low <= value < high:
        raise Malformed(field, f"the {name} is not a number of {low} to {high - 1}")
    return value


def _nodes(value: cbor.Value, field: str) -> tuple[bytes, ...]:
    if type(value) is not list or not 1 <= len(value) <= MAX_NODES:
        raise Malformed(field, f"not 1 to {MAX_NODES} trie nodes")
    nodes = tuple(node for node in value if type(node) is bytes)
    if len(nodes) != len(value):
        raise Malformed(field, "a trie node is not a byte string")
    return nodes


# --- checking ---------------------------------------------------------------------------------


def check_anchor(evidence: AnchorEvidence) -> AnchoredHead:
    """What the block proves; raises `BadProof` or `Malformed`.

    Whether the block is one of the chain is the caller's to know, by its hash; whether root and size are those
    of the log, too.
    """
    header = rlp.as_list(rlp.decode(evidence.header, "header"), "header", 15, MAX_HEADER_ITEMS)
    if any(isinstance(item, list) for item in header):
        raise Malformed("header", "holds a list")
    key = rlp.encode_int(evidence.index)
    receipts_root = rlp.as_bytes(header[5], "header.receiptsRoot", 32)
    transactions_root = rlp.as_bytes(header[4], "header.transactionsRoot", 32)
    receipt = mpt.lookup(receipts_root, key, evidence.receipt, "receipt proof")
    transaction = mpt.lookup(transactions_root, key, evidence.transaction, "transaction proof")
    contract, log_id, size, root, time = _event(receipt, evidence.position)
    if _chain_id(transaction) != evidence.chain_id:
        raise BadProof(f"the transaction is not for the chain {evidence.chain_id}")
    if not 0 < time < MAX_TIME or time != rlp.as_int(header[11], "header.timestamp"):
        raise BadProof("the event's time is not the block's")
    return AnchoredHead(
        chain_id=evidence.chain_id,
        block_number=rlp.as_int(header[8], "header.number"),
        block_hash=keccak256(evidence.header),
        time=time,
        transaction=keccak256(transaction),
        index=evidence.index,
        position=evidence.position,
        contract=contract,
        log_id=log_id,
        size=size,
        root=root,
    )


def _event(receipt: bytes, position: int) -> tuple[bytes, bytes, int, bytes, int]:
    """(contract, log id, size, root, time) of the event at `position`."""
    typed = receipt[0] < 0x80
    fields = rlp.as_list(rlp.decode(receipt[1:] if typed else receipt, "receipt"), "receipt", 4, 4)
    if fields[0] != b"\x01":
        raise BadProof("the transaction failed: its receipt's status is not 1")
    logs = rlp.as_list(fields[3], "receipt.logs", 0, MAX_LOGS)
    if not 0 <= position < len(logs):
        raise BadProof(f"the receipt has {len(logs)} logs, none at position {position}")
    log = rlp.as_list(logs[position], "log", 3, 3)
    topics = rlp.as_list(log[1], "log.topics", 0, 4)
    if len(topics) != 3 or topics[0] != ANCHORED:
        raise BadProof("the log is no Anchored event")
    data = rlp.as_bytes(log[2], "log.data", 64)
    size = _uint64(rlp.as_bytes(topics[2], "log.size", 32), "log.size")
    if not 0 < size < MAX_SIZE:
        raise Malformed("log.size", f"{size} is no size of a log")
    contract = rlp.as_bytes(log[0], "log.address", 20)
    return contract, rlp.as_bytes(topics[1], "log.logId", 32), size, data[:32], _uint64(data[32:], "log.time")


def _uint64(word: bytes, field: str) -> int:
    if any(word[:24]):
        raise Malformed(field, "over 64 bits")
    return int.from_bytes(word, "big")


def _chain_id(transaction: bytes) -> int:
    """The chain that the transaction was signed for: a member of types 1 to 4, in `v` of older ones."""
    kind = transaction[0]
    if 1 <= kind <= 4:
        fields = rlp.as_list(rlp.decode(transaction[1:], "transaction"), "transaction", 11, 14)
        return rlp.as_int(fields[0], "transaction.chainId")
    if kind < 0xC0:
        raise Malformed("transaction", f"of the unknown type {kind}")
    v = rlp.as_int(rlp.as_list(rlp.decode(transaction, "transaction"), "transaction", 9, 9)[6], "transaction.v")
    if v < 35:
        raise BadProof("the transaction names no chain (EIP-155)")
    return (v - 35) // 2
