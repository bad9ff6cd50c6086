"""FOLDER/chain/anchors.db: the anchors of this log, as evidence for bundles, one row each.

    anchor(id, chain, size, time, data)      data: the CBOR of the evidence (proof/anchor.py), id: its digest

What is in here can be made again from the chain; without it bundles carry no anchors.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from twinproof.errors import Corrupt, NotFound, StorageFailed
from twinproof.proof import cbor
from twinproof.proof.anchor import AnchoredHead, AnchorEvidence, anchor_value, check_anchor, parse_anchor

SCHEMA_VERSION: Final = 1
"""SQLite's `user_version` of the table below."""

_SCHEMA: Final = (
    """CREATE TABLE IF NOT EXISTS anchor (id BLOB PRIMARY KEY, chain INTEGER NOT NULL, size INTEGER NOT NULL,
                                          time INTEGER NOT NULL, data BLOB NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS by_time ON anchor (chain, time, size, id)",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)
_BUSY_SECONDS: Final = 10


class AnchorStore:
    """Anchor evidence by chain and size. Any thread and process may read and write.

    Raises `StorageFailed` if the disk refuses, `Corrupt` for a file that is none of ours. Reading never makes the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()

    def add(self, evidence: AnchorEvidence) -> AnchoredHead:
        """Keep it, durable on return; again changes nothing. Raises `BadProof` or `Malformed` if it does not hold."""
        data = cbor.encode(anchor_value(evidence))
        head = check_anchor(_parse(data))
        with self._open("rwc") as database:
            for statement in _SCHEMA:
                database.execute(statement)
            database.execute(
                "INSERT OR IGNORE INTO anchor VALUES (?, ?, ?, ?, ?)",
                (sha256(data).digest(), head.chain_id, head.size, head.time, data),
            )
        return head

    def remove(self, evidence: AnchorEvidence) -> None:
        """Forget evidence of a block that the chain has given up."""
        if self._path.exists():
            with self._open("rw") as database:
                digest = sha256(cbor.encode(anchor_value(evidence))).digest()
                database.execute("DELETE FROM anchor WHERE id = ?", (digest,))

    def all(self) -> list[AnchorEvidence]:
        """Everything, by chain and size."""
        return [_parse(data) for (data,) in self._rows("SELECT data FROM anchor ORDER BY chain, size, time, id")]

    def chains(self) -> list[int]:
        """The chains that anything is anchored on."""
        return [chain for (chain,) in self._rows("SELECT DISTINCT chain FROM anchor ORDER BY chain")]

    def nearest(self, size: int, chain_id: int) -> AnchorEvidence | None:
        """The earliest block of this chain that records at least `size` entries."""
        found = self._rows(
            "SELECT data FROM anchor WHERE chain = ? AND size >= ? ORDER BY time, size DESC, id LIMIT 1",
            (chain_id, size),
        )
        return _parse(found[0][0]) if found else None

    def steps(self, chain_id: int, up_to: int) -> list[tuple[int, bytes]]:
        """(size, id) of the anchors of at most `up_to` entries that are the earliest for some size; both ascend."""
        steps: list[tuple[int, bytes]] = []
        rows = self._rows(
            "SELECT size, id FROM anchor WHERE chain = ? AND size <= ? ORDER BY time, size DESC, id", (chain_id, up_to)
        )
        for size, key in rows:
            if not steps or size > steps[-1][0]:
                steps.append((size, key))
        return steps

    def largest(self, chain_id: int, below: int, limit: int) -> list[bytes]:
        """Ids of at most `limit` anchors of fewer than `below` entries, the largest first, of one size the earliest."""
        sql = """SELECT id FROM (SELECT id, size, row_number() OVER (PARTITION BY size ORDER BY time, id) AS place
                 FROM anchor WHERE chain = ? AND size < ?) WHERE place = 1 ORDER BY size DESC LIMIT ?"""
        return [key for (key,) in self._rows(sql, (chain_id, below, limit))]

    def read(self, key: bytes) -> AnchorEvidence:
        """By the id that `steps` gives; raises `NotFound`."""
        found = self._rows("SELECT data FROM anchor WHERE id = ?", (key,))
        if not found:
            raise NotFound(f"no anchor {key.hex()}")
        return _parse(found[0][0])

    # --- the file -----------------------------------------------------------------------------

    def _rows(self, sql: str, values: tuple[object, ...] = ()) -> list[Any]:
        if not self._path.exists():
            return []
        with self._open("ro") as database:
            if not self._version(database):
                return []  # a crash left it, empty
            return database.execute(sql, values).fetchall()

    def _version(self, database: sqlite3.Connection) -> int:
        version = database.execute("PRAGMA user_version").fetchone()[0]
        tables = database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if version != SCHEMA_VERSION and (version or tables):
            raise Corrupt(f"{self._path} is no store of anchors of version {SCHEMA_VERSION}")
        return int(version)

    @contextmanager
    def _open(self, mode: str) -> Iterator[sqlite3.Connection]:
        """A connection for one call: calls are rare. Writing is one transaction, committed at the end."""
        try:
            if mode == "rwc":
                self._path.parent.mkdir(parents=True, exist_ok=True)
            address = f"{self._path.as_uri()}?mode={mode}"
            with closing(sqlite3.connect(address, uri=True, timeout=_BUSY_SECONDS, isolation_level=None)) as database:
                if mode == "ro":
                    yield database
                    return
                database.execute("PRAGMA synchronous = EXTRA")
                database.execute("BEGIN IMMEDIATE")
                self._version(database)
                yield database
                database.execute("COMMIT")
        except (sqlite3.OperationalError, OSError) as problem:
            raise StorageFailed(f"{self._path}: {problem}") from None
        except sqlite3.DatabaseError as problem:
            raise Corrupt(f"{self._path}: {problem}") from None


def _parse(data: bytes) -> AnchorEvidence:
    return parse_anchor(cbor.decode(data, what="anchor"), "anchor")
