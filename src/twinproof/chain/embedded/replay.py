"""Does the file say what really happened? Every block is made again from the genesis, and compared byte for byte."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from twinproof.chain.embedded.blocks import MadeBlock, make_block, make_genesis, next_context
from twinproof.chain.embedded.engine import Engine, NodeMissing
from twinproof.chain.embedded.genesis import Genesis
from twinproof.chain.embedded.state import reachable
from twinproof.chain.embedded.store import ChainStore
from twinproof.chain.encoding import Header, decode_header
from twinproof.chain.hexadecimal import keccak
from twinproof.chain.transactions import parse_transaction
from twinproof.errors import BadSignature, ChainError, Corrupt, Malformed

FORGET_EVERY: Final = 2_000
"""Blocks after which nodes of old states leave memory."""


@dataclass(frozen=True)
class Replayed:
    """What a replay has found to be so."""

    blocks: int
    """The genesis included."""
    transactions: int
    head: bytes
    """Hash of the newest block; who keeps it elsewhere knows that the chain was not rewritten."""
    state_root: bytes


def replay(path: Path | str, *, engine: Engine | None = None) -> Replayed:
    """Execute all blocks of a file again; raises `Corrupt` at the first that differs, and as `EmbeddedChain.open`.

    Checks headers (so state, receipts and transactions roots), senders, receipts, the index of logs, and the nodes of
    the newest state. Blocks that are added meanwhile are not looked at.
    """
    store = ChainStore(Path(path), read_only=True)
    try:
        return _Replay(store, engine or _py_evm()).run()
    except (Malformed, BadSignature) as problem:
        raise Corrupt(f"{store.database.name}: {problem}") from None
    finally:
        store.database.close()


def _py_evm() -> Engine:
    # Here, because importing it takes a second.
    from twinproof.chain.embedded.pyevm import PyEvm

    return PyEvm()


class _Replay:
    def __init__(self, store: ChainStore, engine: Engine) -> None:
        self._store = store
        self._engine = engine
        self._nodes: dict[bytes, bytes] = {}
        self._hashes: list[bytes] = []

    def run(self) -> Replayed:
        text = self._store.meta("genesis")
        head = self._store.head()
        if text is None or head is None:
            raise Corrupt(f"{self._store.database.name}: the chain has no genesis")
        genesis = Genesis.from_json(text)
        above = self._take(make_genesis(self._engine, genesis))
        transactions = 0
        for number in range(1, head[1].number + 1):
            block = self._again(genesis.chain_id, above)
            above = self._take(block)
            transactions += len(block.transactions)
            if number % FORGET_EVERY == 0:
                self._forget(above.state_root)
        self._check_state(above.state_root)
        return Replayed(head[1].number + 1, transactions, head[0], above.state_root)

    def _differs(self, number: int, what: str) -> Corrupt:
        return Corrupt(f"{self._store.database.name}: block {number}: {what}")

    def _again(self, chain_id: int, parent: Header) -> MadeBlock:
        number = parent.number + 1
        kept = self._store.raw_header(number)
        if kept is None:
            raise self._differs(number, "is missing")
        rows = self._store.database.read("SELECT raw FROM tx WHERE block = ? ORDER BY position", (number,))
        context = next_context(chain_id, parent, decode_header(kept[1]).time, self._ancestors)
        try:
            transactions = [parse_transaction(row[0]) for row in rows]
            return make_block(self._engine, self._node, (self._hashes[-1], parent), context, transactions)
        except (ChainError, Malformed, BadSignature) as problem:
            raise self._differs(number, f"holds a transaction that may not be mined: {problem}") from None

    def _ancestors(self) -> Iterator[bytes]:
        return islice(reversed(self._hashes), 256)

    def _node(self, digest: bytes) -> bytes:
        try:
            return self._nodes[digest]
        except KeyError:
            raise NodeMissing(digest) from None

    def _take(self, block: MadeBlock) -> Header:
        """Compare a block with the one that is kept."""
        number = block.header.number
        kept = self._store.raw_header(number)
        if kept is None:
            raise self._differs(number, "is missing")
        if kept[1] != block.raw_header:
            raise self._differs(number, _difference(decode_header(kept[1]), block.header))
        if kept[0] != block.hash:
            raise self._differs(number, "is kept under another hash than its own")
        if tuple(self._store.receipts_of(block.hash)) != block.receipts:
            raise self._differs(number, "its receipts are not those of its transactions")
        expected = [
            (log.position, log.transaction_index, log.address, log.topics[0] if log.topics else None)
            for receipt in block.receipts
            for log in receipt.logs
        ]
        sql = "SELECT position, tx, address, topic FROM log WHERE block = ? ORDER BY position"
        if self._store.database.read(sql, (number,)) != expected:
            raise self._differs(number, "the index of its logs is not that of its receipts")
        self._hashes.append(block.hash)
        self._nodes.update(block.nodes)
        return block.header

    def _forget(self, root: bytes) -> None:
        seen: set[bytes] = set()
        reachable(self._node, root, seen)
        self._nodes = {digest: self._nodes[digest] for digest in seen}

    def _check_state(self, root: bytes) -> None:
        seen: set[bytes] = set()
        try:
            reachable(self._store.nodes, root, seen)
            for digest in seen:
                if keccak(self._store.nodes(digest)) != digest:
                    raise Corrupt(f"{self._store.database.name}: the node 0x{digest.hex()} has other bytes")
        except NodeMissing as problem:
            raise Corrupt(f"{self._store.database.name}: the node 0x{problem.args[0].hex()} is missing") from None


def _difference(kept: Header, made: Header) -> str:
    names = ("state_root", "receipts_root", "transactions_root", "gas_used", "parent", "base_fee", "time")
    wrong = [name for name in names if getattr(kept, name) != getattr(made, name)]
    return f"its {', '.join(wrong) or 'header'} is not what its transactions lead to"
