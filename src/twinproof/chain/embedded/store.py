"""What a chain keeps, in its tables: blocks, transactions, receipts, logs by address and topic, nodes of the state."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from twinproof.chain import rlp
from twinproof.chain.embedded.blocks import MadeBlock
from twinproof.chain.embedded.database import Database
from twinproof.chain.embedded.engine import NodeMissing
from twinproof.chain.encoding import Header, block_of, decode_header
from twinproof.chain.model import Block, Log, Receipt, Topics
from twinproof.chain.transactions import created_address, read_transaction
from twinproof.errors import Corrupt, Malformed

CACHED_BYTES: Final = 32 * 1024 * 1024
"""Of nodes and code that were read lately."""
MAX_NUMBER: Final = 1 << 63
"""SQLite's numbers end here, and so do blocks."""


class Nodes:
    """Content by its keccak-256, from this file; what was read is remembered, for it cannot change."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._cache: dict[bytes, bytes] = {}
        self._size = 0

    def __call__(self, digest: bytes) -> bytes:
        found = self._cache.get(digest)
        if found is None:
            rows = self._database.read("SELECT data FROM node WHERE hash = ?", (digest,))
            if not rows:
                raise NodeMissing(digest)
            found = rows[0][0]
            self.remember(digest, found)
        return found

    def remember(self, digest: bytes, data: bytes) -> None:
        """Keep it at hand."""
        if self._size > CACHED_BYTES:
            self._cache, self._size = {}, 0
        self._cache[digest] = data
        self._size += len(data) + 150


class ChainStore:
    """One chain's file. Every method sees the newest committed state; `Writing` is a transaction's view."""

    def __init__(self, path: Path | None, *, read_only: bool = False) -> None:
        self.database = Database(path, read_only=read_only)
        self.nodes = Nodes(self.database)

    # --- blocks -------------------------------------------------------------------------------

    def head(self) -> tuple[bytes, Header] | None:
        """Hash and header of the newest block; None before the genesis."""
        rows = self.database.read("SELECT hash, header FROM block ORDER BY number DESC LIMIT 1")
        return (rows[0][0], decode_header(rows[0][1])) if rows else None

    def raw_header(self, which: int | bytes) -> tuple[bytes, bytes] | None:
        """Hash and RLP of a block by number or hash."""
        if isinstance(which, int) and not 0 <= which < MAX_NUMBER:
            return None
        column = "number" if isinstance(which, int) else "hash"
        rows = self.database.read(f"SELECT hash, header FROM block WHERE {column} = ?", (which,))  # noqa: S608 - fixed words
        return rows[0] if rows else None

    def block(self, which: int | bytes) -> Block | None:
        """By number or hash."""
        found = self.raw_header(which)
        if found is None:
            return None
        digest, raw = found
        header = decode_header(raw)
        rows = self.database.read("SELECT hash FROM tx WHERE block = ? ORDER BY position", (header.number,))
        return block_of(header, digest, [row[0] for row in rows])

    def ancestors(self, number: int) -> Iterator[bytes]:
        """Hashes of block `number` and those before it, as far as BLOCKHASH reaches."""
        rows = self.database.read("SELECT hash FROM block WHERE number <= ? ORDER BY number DESC LIMIT 256", (number,))
        return (row[0] for row in rows)

    # --- transactions -------------------------------------------------------------------------

    def transaction(self, digest: bytes) -> bytes | None:
        """The signed bytes."""
        rows = self.database.read("SELECT raw FROM tx WHERE hash = ?", (digest,))
        return rows[0][0] if rows else None

    def receipt(self, digest: bytes) -> Receipt | None:
        """By the transaction's hash."""
        return next(iter(self._receipts("tx.hash = ?", (digest,))), None)

    def receipts_of(self, block: bytes) -> list[Receipt]:
        """By the block's hash."""
        return self._receipts("block.hash = ?", (block,))

    def _receipts(self, where: str, values: Sequence[object]) -> list[Receipt]:
        rows = self.database.read(
            "SELECT block.number, block.hash, header, position, tx.hash, sender, raw, receipt, gas, logs "  # noqa: S608
            f"FROM tx JOIN block ON block.number = tx.block WHERE {where} ORDER BY block.number, position",
            values,
        )
        return [self._receipt(*row) for row in rows]

    def _receipt(
        self,
        number: int,
        block: bytes,
        header: bytes,
        index: int,
        digest: bytes,
        sender: bytes,
        raw: bytes,
        kept: bytes,
        gas: int,
        first_log: int,
    ) -> Receipt:
        try:
            transaction = read_transaction(raw, sender)
            status, cumulative, logs = rlp.to_list(rlp.decode(kept), "receipt", 3)
            return Receipt(
                transaction=digest,
                block=block,
                number=number,
                index=index,
                type=transaction.type,
                succeeded=bool(status),
                gas_used=gas,
                cumulative_gas_used=rlp.to_integer(cumulative, "receipt"),
                gas_price=transaction.price(decode_header(header).base_fee),
                sender=sender,
                to=transaction.to,
                contract=None if transaction.to else created_address(sender, transaction.nonce),
                logs=tuple(_logs(logs, first_log, block, number, digest, index)),
            )
        except Malformed as problem:
            raise Corrupt(f"{self.database.name}: transaction 0x{digest.hex()}: {problem}") from None

    def logs(self, first: int, last: int, addresses: Sequence[bytes], topics: Topics) -> list[Log]:
        """Of blocks `first` to `last`."""
        if first >= MAX_NUMBER:
            return []
        where, values = ["log.block BETWEEN ? AND ?"], [first, min(last, MAX_NUMBER - 1), *addresses]
        if addresses:
            where.append(f"log.address IN ({', '.join('?' * len(addresses))})")
        if topics and topics[0] is not None:
            heads = [topics[0]] if isinstance(topics[0], bytes) else topics[0]
            where.append(f"log.topic IN ({', '.join('?' * len(heads))})")
            values += heads
        rows = self.database.read(
            f"SELECT DISTINCT log.block, log.tx FROM log WHERE {' AND '.join(where)} ORDER BY 1, 2",  # noqa: S608
            values,
        )
        found: list[Log] = []
        for number, index in rows:
            for receipt in self._receipts("tx.block = ? AND tx.position = ?", (number, index)):
                found += [log for log in receipt.logs if log.matches(addresses, topics)]
        return found

    # --- writing ------------------------------------------------------------------------------

    def known(self, digests: Iterable[bytes]) -> set[bytes]:
        """Which of these transactions are mined."""
        return {digest for digest in digests if self.database.read("SELECT 1 FROM tx WHERE hash = ?", (digest,))}

    def add(self, writer: sqlite3.Connection, block: MadeBlock) -> None:
        """Put a block on top, within a transaction."""
        number = block.header.number
        writer.execute("INSERT INTO block VALUES (?, ?, ?)", (number, block.hash, block.raw_header))
        writer.executemany("INSERT INTO tx VALUES (?, ?, ?, ?, ?, ?, ?, ?)", _transaction_rows(block))
        writer.executemany(
            "INSERT INTO log VALUES (?, ?, ?, ?, ?)",
            [
                (number, log.position, log.transaction_index, log.address, log.topics[0] if log.topics else None)
                for receipt in block.receipts
                for log in receipt.logs
            ],
        )
        writer.executemany(
            # A node that was made again belongs to this block: compaction must not take it for an old one.
            "INSERT INTO node VALUES (?, ?, ?) ON CONFLICT (hash) DO UPDATE SET block = excluded.block",
            [(digest, number, data) for digest, data in block.nodes.items()],
        )

    def remember(self, block: MadeBlock) -> None:
        """Keep a committed block's nodes at hand."""
        for digest, data in block.nodes.items():
            self.nodes.remember(digest, data)

    def meta(self, key: str) -> str | None:
        """A value beside the tables."""
        rows = self.database.read("SELECT value FROM meta WHERE key = ?", (key,))
        return rows[0][0] if rows else None


def set_meta(writer: sqlite3.Connection, key: str, value: str) -> None:
    """Keep a value beside the tables."""
    writer.execute(
        "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", (key, value)
    )


def _transaction_rows(block: MadeBlock) -> Iterator[tuple[Any, ...]]:
    logs = 0
    for transaction, receipt in zip(block.transactions, block.receipts, strict=True):
        kept = rlp.encode(
            [
                b"\x01" if receipt.succeeded else b"",
                rlp.integer(receipt.cumulative_gas_used),
                [[log.address, list(log.topics), log.data] for log in receipt.logs],
            ]
        )
        place = (block.header.number, receipt.index, transaction.hash, transaction.sender)
        yield (*place, transaction.raw, kept, receipt.gas_used, logs)
        logs += len(receipt.logs)


def _logs(items: rlp.Item, first: int, block: bytes, number: int, transaction: bytes, index: int) -> Iterator[Log]:
    for position, item in enumerate(rlp.to_list(items, "receipt.logs"), first):
        address, topics, data = rlp.to_list(item, "receipt.logs", 3)
        yield Log(
            address=rlp.to_bytes(address, "log.address", 20),
            topics=tuple(rlp.to_bytes(topic, "log.topic", 32) for topic in rlp.to_list(topics, "log.topics")),
            data=rlp.to_bytes(data, "log.data"),
            block=block,
            number=number,
            transaction=transaction,
            transaction_index=index,
            position=position,
        )
