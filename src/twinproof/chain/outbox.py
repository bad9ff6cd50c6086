"""What is to be sent, on a disk that may lose power: one SQLite file, write-ahead log, synchronous=FULL.

    purposes   a text key -> the nonce that it has, and what became of it
    attempts   every signed transaction of a purpose; those of one nonce can only be mined one at a time

A purpose takes its nonce and its signed bytes in one transaction, before anything is sent. So whatever moment the
power fails, a purpose has one nonce, and the chain takes one transaction for a nonce: never lost, never twice.

Several processes may share the file (a node and a command); it belongs to one chain.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from twinproof.chain.hexadecimal import keccak
from twinproof.chain.model import Receipt, Request
from twinproof.chain.transactions import parse_transaction
from twinproof.errors import ConfigError, Malformed, StorageFailed, WrongChain

MAX_PURPOSE: Final = 200
"""Characters of a purpose."""
_APPLICATION_ID: Final = 0x7470_7478
"""`tptx`: no other program's database is taken for an outbox."""
_VERSION: Final = 1
_BUSY_SECONDS: Final = 30.0
"""For another process that has the file, perhaps while somebody approves a signature."""

_SCHEMA: Final = f"""
BEGIN IMMEDIATE;
CREATE TABLE chain (id TEXT NOT NULL, genesis BLOB NOT NULL) STRICT;
CREATE TABLE purposes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    purpose TEXT NOT NULL UNIQUE,
    sender BLOB NOT NULL,
    nonce INTEGER NOT NULL,
    recipient BLOB,
    value TEXT NOT NULL,
    data BLOB NOT NULL,
    gas INTEGER NOT NULL,
    state TEXT NOT NULL,
    transaction_hash BLOB,
    block BLOB,
    number INTEGER,
    gas_used INTEGER,
    gas_price TEXT,
    contract BLOB,
    code TEXT,
    detail TEXT,
    UNIQUE (sender, nonce)
) STRICT;
CREATE INDEX live ON purposes (sender, nonce) WHERE state IN ('signed', 'mined');
CREATE TABLE attempts (
    hash BLOB PRIMARY KEY,
    purpose INTEGER NOT NULL REFERENCES purposes,
    nonce INTEGER NOT NULL,
    place INTEGER NOT NULL,
    raw BLOB NOT NULL,
    max_fee TEXT NOT NULL,
    signed_at REAL NOT NULL,
    head INTEGER NOT NULL,
    accepted INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX attempts_of ON attempts (purpose, nonce, place);
PRAGMA application_id = {_APPLICATION_ID};
PRAGMA user_version = {_VERSION};
COMMIT;
"""
_COLUMNS: Final = (
    "id, purpose, sender, nonce, recipient, value, data, gas, state, transaction_hash, block, number, gas_used, "
    "gas_price, contract, code, detail"
)
_UNMINE: Final = (
    "UPDATE purposes SET state = 'signed', transaction_hash = NULL, block = NULL, number = NULL, gas_used = NULL, "
    "gas_price = NULL, contract = NULL, code = NULL, detail = NULL"
)


class State(StrEnum):
    """Where a purpose is on its way."""

    SIGNED = "signed"
    """Durable here; a node may have it."""
    MINED = "mined"
    """In a block, with fewer confirmations than asked for."""
    CONFIRMED = "confirmed"
    """Done."""
    FAILED = "failed"
    """Mined, and the contract refused: the fee is paid, nothing else happened."""
    REPLACED = "replaced"
    """Another transaction of the account, not from here, was mined with this nonce."""


LIVE: Final = (State.SIGNED, State.MINED)


@dataclass(frozen=True, slots=True)
class Entry:
    """A purpose."""

    id: int
    purpose: str
    sender: bytes
    nonce: int
    to: bytes | None
    value: int
    data: bytes
    gas: int
    """Gas limit."""
    state: State
    transaction: bytes | None
    """Hash of the mined one; while none is, None."""
    block: bytes | None
    number: int | None
    gas_used: int | None
    gas_price: int | None
    """Wei for a unit of gas that was paid."""
    contract: bytes | None
    """Address of a contract that it created."""
    code: str | None
    """Of the last problem, as in `errors`."""
    detail: str | None

    @property
    def cost(self) -> int | None:
        """Wei that were paid for gas, once mined."""
        return None if self.gas_used is None or self.gas_price is None else self.gas_used * self.gas_price

    @property
    def live(self) -> bool:
        """Whether something may still happen."""
        return self.state in LIVE


@dataclass(frozen=True, slots=True)
class Attempt:
    """A signed transaction of a purpose."""

    hash: bytes
    raw: bytes
    signed_at: float
    """POSIX seconds."""
    head: int
    """Number of the newest block then."""
    accepted: bool
    """Whether a node ever said that it has it."""


class TransactionOutbox:
    """The file. Methods may be called from any thread; each is one transaction. Raises `StorageFailed`."""

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)
        self._lock = threading.RLock()
        self._db = _open(self._path)

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                # The commit point: before it a power loss leaves nothing of the block, after it all of it.
                self._db.execute("COMMIT")
            except sqlite3.Error as problem:
                self._roll_back()
                raise StorageFailed(f"outbox {self._path}: {problem}; nothing was stored") from None
            except BaseException:  # an interrupt too must not leave a transaction that holds the others up
                self._roll_back()
                raise

    def _roll_back(self) -> None:
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        except sqlite3.Error:  # the error that led here is the one to tell
            pass

    def _all(self, sql: str, *values: Any) -> list[Any]:
        with self._lock:
            try:
                return self._db.execute(sql, values).fetchall()
            except sqlite3.Error as problem:
                raise StorageFailed(f"outbox {self._path}: {problem}") from None

    def pin(self, chain_id: int, genesis: bytes) -> None:
        """Take the chain's id and first block, or compare them; raises `WrongChain`."""
        with self._transaction() as db:
            row = db.execute("SELECT id, genesis FROM chain").fetchone()
            if row is None:
                db.execute("INSERT INTO chain VALUES (?, ?)", (str(chain_id), genesis))
            elif row != (str(chain_id), genesis):
                raise WrongChain(
                    f"outbox {self._path} belongs to chain {row[0]} with the first block 0x{row[1].hex()}, this is "
                    f"chain {chain_id} with 0x{genesis.hex()}: another network, or one begun anew; nothing was sent"
                )

    # --- finding ---

    def find(self, purpose: str) -> Entry | None:
        """The entry of a purpose."""
        rows = self._all(f"SELECT {_COLUMNS} FROM purposes WHERE purpose = ?", purpose)  # noqa: S608 - names of ours
        return _entry(rows[0]) if rows else None

    def by_transaction(self, transaction: bytes) -> Entry | None:
        """The entry that a signed transaction, mined or not, belongs to, by its hash."""
        where = "id = (SELECT purpose FROM attempts WHERE hash = ?)"
        rows = self._all(f"SELECT {_COLUMNS} FROM purposes WHERE {where}", transaction)  # noqa: S608 - names of ours
        return _entry(rows[0]) if rows else None

    def live(self, sender: bytes) -> list[Entry]:
        """Everything of an account that is not final, by nonce."""
        where = "sender = ? AND state IN ('signed', 'mined') ORDER BY nonce"
        return [_entry(row) for row in self._all(f"SELECT {_COLUMNS} FROM purposes WHERE {where}", sender)]  # noqa: S608

    def attempts(self, entry: Entry) -> list[Attempt]:
        """The signed transactions of an entry's nonce, oldest first."""
        rows = self._all(
            "SELECT hash, raw, signed_at, head, accepted FROM attempts WHERE purpose = ? AND nonce = ? ORDER BY place",
            entry.id,
            entry.nonce,
        )
        return [Attempt(named, raw, at, head, bool(accepted)) for named, raw, at, head, accepted in rows]

    def owed(self, sender: bytes) -> int:
        """Wei that an account may need for all that is signed and not mined: values, and gas at the full offer."""
        rows = self._all(
            "SELECT p.id, p.value, p.gas, a.max_fee FROM purposes p "
            "JOIN attempts a ON a.purpose = p.id AND a.nonce = p.nonce "
            "WHERE p.sender = ? AND p.state = 'signed' ORDER BY a.place",
            sender,
        )
        # The newest attempt of each offers the most.
        return sum({number: int(value) + gas * int(max_fee) for number, value, gas, max_fee in rows}.values())

    def spent(self, sender: bytes) -> int:
        """Wei that the account has paid for gas, failed transactions included."""
        rows = self._all("SELECT gas_used, gas_price FROM purposes WHERE sender = ? AND gas_used IS NOT NULL", sender)
        return sum(gas_used * int(gas_price) for gas_used, gas_price in rows)

    # --- changing ---

    def take(
        self,
        purpose: str,
        sender: bytes,
        request: Request,
        gas: int,
        sign: Callable[[int], bytes],
        *,
        chain_nonce: int,
        now: float,
        head: int,
        exactly: bool = False,
        again: bool = False,
    ) -> Entry:
        """Give a purpose the account's next nonce and the bytes that `sign` makes for it, or find what it has.

        The next nonce is `chain_nonce` (with what waits in the node's pool) or one above the highest here; with
        `exactly` it is `chain_nonce`. With `again`, a purpose that failed or was replaced gets a new nonce. What
        `sign` raises leaves everything as it was.
        """
        check_purpose(purpose)
        with self._transaction() as db:
            found = self.find(purpose)
            if found is not None and not (again and found.state in (State.FAILED, State.REPLACED)):
                return found
            [highest] = db.execute("SELECT max(nonce) FROM purposes WHERE sender = ?", (sender,)).fetchone()
            nonce = chain_nonce if highest is None or exactly else max(chain_nonce, highest + 1)
            raw = sign(nonce)
            if exactly:
                # A deep reorganisation undid what had replaced a purpose here. That may have been done anew since, so
                # it does not get its nonce back; but it must not keep the nonce from being filled.
                where = "sender = ? AND nonce = ? AND state = 'replaced'"
                db.execute(f"UPDATE purposes SET nonce = -id WHERE {where}", (sender, nonce))  # noqa: S608
            if found is not None:
                db.execute(
                    "UPDATE purposes SET sender = ?, nonce = ?, gas = ?, state = 'signed', transaction_hash = NULL, "
                    "block = NULL, number = NULL, gas_used = NULL, gas_price = NULL, contract = NULL, code = NULL, "
                    "detail = NULL WHERE id = ?",
                    (sender, nonce, gas, found.id),
                )
            else:
                db.execute(
                    "INSERT INTO purposes (purpose, sender, nonce, recipient, value, data, gas, state) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?, 'signed')",
                    (purpose, sender, nonce, request.to, str(request.value), request.data, gas),
                )
            taken = self.find(purpose)
            if taken is None:
                raise StorageFailed(f"outbox {self._path}: what was written is not there")
            self._add(db, taken, raw, now, head)
            return taken

    def add_attempt(self, entry: Entry, raw: bytes, *, now: float, head: int) -> None:
        """Keep a replacement with the same nonce, before it is sent."""
        with self._transaction() as db:
            self._add(db, entry, raw, now, head)

    def _add(self, db: sqlite3.Connection, entry: Entry, raw: bytes, now: float, head: int) -> None:
        max_fee = parse_transaction(raw).max_fee
        db.execute(
            "INSERT OR IGNORE INTO attempts (hash, purpose, nonce, place, raw, max_fee, signed_at, head) "
            "VALUES (?, ?, ?, (SELECT count(*) FROM attempts WHERE purpose = ? AND nonce = ?), ?, ?, ?, ?)",
            (keccak(raw), entry.id, entry.nonce, entry.id, entry.nonce, raw, str(max_fee), now, head),
        )

    def accept(self, attempt: bytes) -> None:
        """A node has it."""
        with self._transaction() as db:
            db.execute("UPDATE attempts SET accepted = 1 WHERE hash = ?", (attempt,))

    def note(self, entry: Entry, code: str | None, detail: str | None) -> None:
        """Keep the last problem of a live entry."""
        with self._transaction() as db:
            where = "id = ? AND nonce = ? AND state IN ('signed', 'mined')"
            db.execute(f"UPDATE purposes SET code = ?, detail = ? WHERE {where}", (code, detail, entry.id, entry.nonce))  # noqa: S608

    def mined(self, entry: Entry, receipt: Receipt, state: State, detail: str | None = None) -> None:
        """A block has it; `state` is `MINED`, `CONFIRMED` or `FAILED`."""
        values = (
            state.value,
            receipt.transaction,
            receipt.block,
            receipt.number,
            receipt.gas_used,
            str(receipt.gas_price),
            receipt.contract,
            "reverted" if state is State.FAILED else None,
            detail,
        )
        with self._transaction() as db:
            db.execute(
                "UPDATE purposes SET state = ?, transaction_hash = ?, block = ?, number = ?, gas_used = ?, "
                "gas_price = ?, contract = ?, code = ?, detail = ? "
                "WHERE id = ? AND nonce = ? AND state IN ('signed', 'mined')",
                (*values, entry.id, entry.nonce),
            )

    def unmined(self, entry: Entry) -> None:
        """Its block was dropped from the chain."""
        with self._transaction() as db:
            db.execute(f"{_UNMINE} WHERE id = ? AND nonce = ? AND state = 'mined'", (entry.id, entry.nonce))

    def reopen(self, sender: bytes, used: int) -> None:
        """The chain has taken only `used` transactions of an account: what was final behind that is not."""
        with self._transaction() as db:
            where = "WHERE sender = ? AND nonce >= ? AND state IN ('confirmed', 'failed')"
            db.execute(f"{_UNMINE} {where}", (sender, used))

    def replaced(self, entry: Entry, detail: str) -> None:
        """Another transaction has the nonce, for good."""
        with self._transaction() as db:
            db.execute(
                "UPDATE purposes SET state = 'replaced', code = 'replaced', detail = ? "
                "WHERE id = ? AND nonce = ? AND state IN ('signed', 'mined')",
                (detail, entry.id, entry.nonce),
            )


def check_purpose(purpose: str) -> None:
    """Raise `Malformed` unless it is printable text of 1 to `MAX_PURPOSE` characters."""
    if not 0 < len(purpose) <= MAX_PURPOSE or not purpose.isprintable():
        raise Malformed("purpose", f"is not printable text of 1 to {MAX_PURPOSE} characters")


def _entry(row: tuple[Any, ...]) -> Entry:
    number, purpose, sender, nonce, to, value, data, gas, state, *rest = row
    transaction, block, height, used, price, contract, code, detail = rest
    paid = None if price is None else int(price)
    return Entry(
        number, purpose, sender, nonce, to, int(value), data, gas, State(state),
        transaction, block, height, used, paid, contract, code, detail,
    )  # fmt: skip


def _open(path: Path) -> sqlite3.Connection:
    try:
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=_BUSY_SECONDS)
    except sqlite3.Error as problem:
        raise ConfigError(f"outbox {path}: {problem}; does its folder exist?") from None
    try:
        application, version, tables = (
            db.execute(sql).fetchone()[0]
            for sql in ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master")
        )
        if tables and application != _APPLICATION_ID:
            raise ConfigError(f"{path} is another program's database, not an outbox of transactions")
        if tables and version != _VERSION:
            raise ConfigError(f"outbox {path} has format {version}; this program reads format {_VERSION}")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        if not tables:
            db.executescript(_SCHEMA)
    except sqlite3.OperationalError as problem:
        db.close()
        raise StorageFailed(f"outbox {path}: {problem}") from None
    except sqlite3.DatabaseError as problem:
        db.close()
        raise ConfigError(
            f"outbox {path} cannot be read ({problem}). Move it away, do not delete it: it says what was sent"
        ) from None
    except BaseException:  # an interrupt too must not leave the file open
        db.close()
        raise
    return db
