"""What a failing disk and a changed file do to an embedded chain: a named error, and nothing half done."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.chain.embedded_rig import ADDRESSES, GENESIS, STORE, Rig, signed, words
from twinproof.chain.embedded import EmbeddedChain, replay
from twinproof.chain.embedded.pyevm import PyEvm
from twinproof.errors import ChainError, ConfigError, Corrupt, LogError, StorageFailed

SOMEBODY = b"\x42" * 20
WRITES = 6
"""Statements that change something while a block is added: BEGIN, three to five INSERTs, COMMIT."""


class Faulty:
    """A connection whose n-th write fails, before or after it took effect."""

    def __init__(self, real: sqlite3.Connection, n: int, *, kept: bool) -> None:
        self.real = real
        self.left = n
        self.kept = kept

    def _do(self, what: Callable[..., Any], sql: str, *values: Any) -> Any:
        self.left -= not sql.startswith("SELECT")
        if self.left == 0 and not self.kept:
            raise sqlite3.OperationalError("disk I/O error")
        found = what(sql, *values)
        if self.left == 0:
            raise sqlite3.OperationalError("disk I/O error")
        return found

    def execute(self, sql: str, *values: Any) -> Any:
        return self._do(self.real.execute, sql, *values)

    def executemany(self, sql: str, *values: Any) -> Any:
        return self._do(self.real.executemany, sql, *values)

    def close(self) -> None:
        self.real.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A chain with a contract and a few events."""
    path = tmp_path / "chain.db"
    rig = Rig(path)
    store = rig.deploy(STORE)
    for number in range(5):
        rig.send(to=store, data=words(number, number))
    rig.chain.close()
    return path


def contract(chain: EmbeddedChain) -> bytes:
    (receipt,) = chain.receipts_of((chain.block(1) or chain.head()).hash)
    assert receipt.contract
    return receipt.contract


@pytest.mark.parametrize("kept", [False, True], ids=["lost", "kept"])
@pytest.mark.parametrize("n", range(1, WRITES + 1))
def test_a_write_that_fails(path: Path, n: int, kept: bool) -> None:
    with EmbeddedChain.open(path) as chain:
        before = chain.head()
        raw = signed(0, 6, to=contract(chain), data=words(9, 9))
        database: Any = chain._store.database
        database._writer = Faulty(database._writer, n, kept=kept)
        with pytest.raises(StorageFailed, match="disk I/O error"):
            chain.send(raw)
        committed = n == WRITES and kept
        assert chain.head().number == before.number + committed
        digest = chain.send(raw)  # again, which is no error in either case
        receipt = chain.receipt(digest)
        assert receipt is not None
        assert (receipt.number, receipt.succeeded) == (before.number + 1, True)
        assert chain.head().number == before.number + 1
    assert replay(path).transactions == 7


def test_a_full_disk(path: Path) -> None:
    with EmbeddedChain.open(path) as chain:
        head = chain.head()
        writer: Any = chain._store.database._writer
        writer.execute(f"PRAGMA max_page_count = {writer.execute('PRAGMA page_count').fetchone()[0]}")
        code = STORE + bytes(20_000)
        from tests.chain.embedded_rig import deploying

        raw = signed(0, 6, data=deploying(code), gas=9_000_000)
        with pytest.raises(StorageFailed, match="free some space"):
            chain.send(raw)
        assert chain.head() == head
        chain.send(raw)  # the connection that met the limit is gone


def test_a_file_that_may_not_be_written(path: Path) -> None:
    with EmbeddedChain.open(path) as chain:
        writer: Any = chain._store.database._writer
        writer.execute("PRAGMA query_only = ON")
        with pytest.raises(StorageFailed, match="not writable"):
            chain.send(signed(0, 6, to=SOMEBODY))


def test_a_file_that_is_locked(path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    with EmbeddedChain.open(path) as chain:
        other.execute("BEGIN IMMEDIATE")
        writer: Any = chain._store.database._writer
        writer.execute("PRAGMA busy_timeout = 0")
        with pytest.raises(StorageFailed, match="locked"):
            chain.send(signed(0, 6, to=SOMEBODY))
        assert chain.head().number == 6  # readers do not wait
        other.execute("ROLLBACK")
        chain.send(signed(0, 6, to=SOMEBODY))
    other.close()


def test_a_closed_chain(path: Path) -> None:
    chain = EmbeddedChain.open(path)
    chain.close()
    for ask in (chain.head, lambda: chain.send(signed(0, 6, to=SOMEBODY)), lambda: chain.balance(SOMEBODY)):
        with pytest.raises(StorageFailed, match="closed"):
            ask()
    memory = Rig().chain
    memory.close()
    with pytest.raises(StorageFailed, match="closed"):
        memory.head()


def test_no_folder_and_no_chain(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed):
        EmbeddedChain.open(tmp_path / "absent" / "chain.db", genesis=GENESIS)
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as raw:
        raw.execute("CREATE TABLE something (x)")
    raw.close()
    with pytest.raises(ConfigError, match="not a Twinproof chain"):
        EmbeddedChain.open(other, genesis=GENESIS)
    (tmp_path / "text").write_text("no database at all, but long enough to be looked at" * 100)
    with pytest.raises(Corrupt):
        EmbeddedChain.open(tmp_path / "text", genesis=GENESIS)


def test_broken_pages_are_named(path: Path) -> None:
    with sqlite3.connect(path) as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    raw.close()
    whole = path.read_bytes()
    seen: set[type[BaseException]] = set()
    for page in range(len(whole) // 4096):
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        path.write_bytes(whole[: page * 4096] + b"\xa5" * 4096 + whole[(page + 1) * 4096 :])
        try:
            with EmbeddedChain.open(path, engine=PyEvm()) as chain:
                chain.send(signed(0, 6, to=contract(chain), data=words(9, 9)))
                chain.logs(first=0, last=9)
                chain.receipts_of(chain.head().hash)
            replay(path)
        except (LogError, ConfigError, ChainError) as problem:
            seen.add(type(problem))
    assert Corrupt in seen


TAMPERING: Sequence[tuple[str, str, str]] = (
    ("header", "UPDATE block SET header = (SELECT header FROM block WHERE number = 4) WHERE number = 3", "block 3"),
    ("hash", "UPDATE block SET hash = zeroblob(32) WHERE number = 6", "another hash"),
    ("last block", "DELETE FROM block WHERE number = 3", "block 3"),
    ("transaction gone", "DELETE FROM tx WHERE block = 4", "block 4"),
    ("transaction", "UPDATE tx SET raw = (SELECT raw FROM tx WHERE block = 3) WHERE block = 4", "block 4"),
    (
        "signature",
        "UPDATE tx SET raw = CAST(substr(raw, 1, length(raw) - 4) || x'00000001' AS BLOB) WHERE block = 4",
        "block 4",
    ),
    ("sender", "UPDATE tx SET sender = zeroblob(20) WHERE block = 4", "receipts"),
    ("gas", "UPDATE tx SET gas = gas + 1 WHERE block = 4", "receipts"),
    ("receipt", "UPDATE tx SET receipt = (SELECT receipt FROM tx WHERE block = 5) WHERE block = 4", "receipts"),
    ("log positions", "UPDATE tx SET logs = 7 WHERE block = 4", "receipts"),
    ("log gone", "DELETE FROM log WHERE block = 4", "index of its logs"),
    ("log address", "UPDATE log SET address = zeroblob(20) WHERE block = 4", "index of its logs"),
    ("node", "UPDATE node SET data = zeroblob(40)", "no trie node"),
    ("nodes gone", "DELETE FROM node", "missing"),
    ("genesis", "UPDATE meta SET value = replace(value, '31337', '31338') WHERE key = 'genesis'", "block 1"),
    ("genesis gone", "DELETE FROM meta", "no genesis"),
)


@pytest.mark.parametrize(("statement", "text"), [one[1:] for one in TAMPERING], ids=[one[0] for one in TAMPERING])
def test_replay_finds_what_was_changed(path: Path, statement: str, text: str) -> None:
    assert replay(path).blocks == 7
    with sqlite3.connect(path) as raw:
        assert raw.execute(statement).rowcount > 0
    raw.close()
    with pytest.raises(Corrupt, match=text):
        replay(path)


def test_a_missing_node_is_told_from_a_pruned_state(path: Path) -> None:
    with EmbeddedChain.open(path, keep_states=2) as chain:
        chain.compact()
    with EmbeddedChain.open(path, keep_states=2) as chain:
        with pytest.raises(ChainError, match="was pruned; the oldest kept is block 5's"):
            chain.balance(ADDRESSES[0], block=2)
        assert chain.balance(ADDRESSES[0], block=5) > 0
    with sqlite3.connect(path) as raw:
        raw.execute("DELETE FROM node")
    raw.close()
    with EmbeddedChain.open(path) as chain:
        for ask in (
            lambda: chain.balance(ADDRESSES[0]),
            lambda: chain.call(SOMEBODY, b""),
            lambda: chain.send(signed(0, 6, to=SOMEBODY)),
            chain.compact,
        ):
            with pytest.raises(Corrupt, match="missing"):
                ask()
