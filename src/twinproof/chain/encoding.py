"""Bytes that Ethereum hashes: block headers (Prague), receipts, blooms, ordered tries. Yellow paper §4.3, EIP-2718.

keccak256(encode_header(h)) is the block's hash
ordered_root([encode_receipt(r) for r in receipts]) == h.receipts_root
ordered_root(raw transactions) == h.transactions_root
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from twinproof.chain import rlp
from twinproof.chain.hexadecimal import keccak
from twinproof.chain.model import Block, Log, Receipt

EMPTY_TRIE: Final = keccak(b"\x80")
EMPTY_CODE: Final = keccak(b"")
NO_UNCLES: Final = keccak(b"\xc0")
NO_REQUESTS: Final = bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
"""SHA-256 of nothing (EIP-7685)."""
BLOOM_BYTES: Final = 256


@dataclass(frozen=True)
class Header:
    """What varies between the headers of an embedded chain; the rest is fixed by proof of stake without validators."""

    parent: bytes
    beneficiary: bytes
    """Gets the tips."""
    state_root: bytes
    transactions_root: bytes
    receipts_root: bytes
    bloom: bytes
    number: int
    gas_limit: int
    gas_used: int
    time: int
    base_fee: int


def encode_header(header: Header) -> bytes:
    """RLP with Prague's 21 fields: no uncles, difficulty, randomness, withdrawals, blobs, beacon root or requests."""
    return rlp.encode(
        [
            header.parent,
            NO_UNCLES,
            header.beneficiary,
            header.state_root,
            header.transactions_root,
            header.receipts_root,
            header.bloom,
            b"",
            rlp.integer(header.number),
            rlp.integer(header.gas_limit),
            rlp.integer(header.gas_used),
            rlp.integer(header.time),
            b"",
            bytes(32),
            bytes(8),
            rlp.integer(header.base_fee),
            EMPTY_TRIE,
            b"",
            b"",
            bytes(32),
            NO_REQUESTS,
        ]
    )


def decode_header(raw: bytes) -> Header:
    """The header of any block since London (EIP-1559); later fields are not looked at. Raises `Malformed`."""
    fields = rlp.to_list(rlp.decode(raw, "header"), "header")
    if len(fields) < 16:
        rlp.to_list(fields, "header", 16)
    return Header(
        parent=rlp.to_bytes(fields[0], "header.parentHash", 32),
        beneficiary=rlp.to_bytes(fields[2], "header.miner", 20),
        state_root=rlp.to_bytes(fields[3], "header.stateRoot", 32),
        transactions_root=rlp.to_bytes(fields[4], "header.transactionsRoot", 32),
        receipts_root=rlp.to_bytes(fields[5], "header.receiptsRoot", 32),
        bloom=rlp.to_bytes(fields[6], "header.logsBloom", BLOOM_BYTES),
        number=rlp.to_integer(fields[8], "header.number", 64),
        gas_limit=rlp.to_integer(fields[9], "header.gasLimit", 64),
        gas_used=rlp.to_integer(fields[10], "header.gasUsed", 64),
        time=rlp.to_integer(fields[11], "header.timestamp", 64),
        base_fee=rlp.to_integer(fields[15], "header.baseFeePerGas"),
    )


def block_of(header: Header, hash: bytes, transactions: Sequence[bytes]) -> Block:
    """The callers' view of a header."""
    return Block(
        number=header.number,
        hash=hash,
        parent=header.parent,
        time=header.time,
        gas_limit=header.gas_limit,
        gas_used=header.gas_used,
        base_fee=header.base_fee,
        state_root=header.state_root,
        transactions_root=header.transactions_root,
        receipts_root=header.receipts_root,
        transactions=tuple(transactions),
    )


def logs_bloom(logs: Sequence[Log]) -> bytes:
    """256 bytes: three bits for every address and topic (yellow paper §4.3.1)."""
    bits = 0
    for log in logs:
        for word in (log.address, *log.topics):
            digest = keccak(word)
            for at in (0, 2, 4):
                bits |= 1 << (int.from_bytes(digest[at : at + 2], "big") & 2047)
    return bits.to_bytes(BLOOM_BYTES, "big")


def encode_receipt(receipt: Receipt) -> bytes:
    """The bytes that stand in the receipts trie (EIP-2718, EIP-658)."""
    body = rlp.encode(
        [
            b"\x01" if receipt.succeeded else b"",
            rlp.integer(receipt.cumulative_gas_used),
            logs_bloom(receipt.logs),
            [[log.address, list(log.topics), log.data] for log in receipt.logs],
        ]
    )
    return body if receipt.type == 0 else bytes((receipt.type,)) + body


# --- the trie whose keys are RLP(0), RLP(1), ... -------------------------------------------------


def ordered_root(values: Sequence[bytes]) -> bytes:
    """Root of the Merkle-Patricia trie that maps RLP(index) to each value, which must not be empty."""
    if not values:
        return EMPTY_TRIE
    pairs = sorted((_nibbles(rlp.encode(rlp.integer(index))), value) for index, value in enumerate(values))
    return keccak(rlp.encode(_node(pairs, 0)))


def _nibbles(key: bytes) -> tuple[int, ...]:
    return tuple(half for byte in key for half in (byte >> 4, byte & 15))


def _node(pairs: Sequence[tuple[tuple[int, ...], bytes]], depth: int) -> list[rlp.Item]:
    first, last = pairs[0][0], pairs[-1][0]
    if len(pairs) == 1:
        return [_hex_prefix(first[depth:], leaf=True), pairs[0][1]]
    # Sorted: what the first and the last share, all share. No key of RLP integers is a prefix of another.
    shared = depth
    while first[shared] == last[shared]:
        shared += 1
    children: list[rlp.Item] = [b""] * 17
    for nibble in range(16):
        if below := [pair for pair in pairs if pair[0][shared] == nibble]:
            children[nibble] = _reference(_node(below, shared + 1))
    return children if shared == depth else [_hex_prefix(first[depth:shared], leaf=False), _reference(children)]


def _reference(node: list[rlp.Item]) -> rlp.Item:
    encoded = rlp.encode(node)
    return node if len(encoded) < 32 else keccak(encoded)


def _hex_prefix(nibbles: Sequence[int], *, leaf: bool) -> bytes:
    flag = 2 * leaf + len(nibbles) % 2
    padded = [flag, *nibbles] if len(nibbles) % 2 else [flag, 0, *nibbles]
    return bytes(high << 4 | low for high, low in zip(padded[::2], padded[1::2], strict=True))
