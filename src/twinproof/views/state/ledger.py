"""The state view's tables of what contracts told: parts, orders, and which agreements were proposed for a twin."""

from __future__ import annotations

import sqlite3

from twinproof.proof import cbor
from twinproof.twin.chain_event import ChainEvent
from twinproof.twin.ledger import FOLLOWER
from twinproof.twin.state import TwinState
from twinproof.views.feed import Item


def keep_proposal(database: sqlite3.Connection, twin: int, item: Item, event: ChainEvent) -> None:
    """An agreement about the twin was proposed, or that is taken back; other events change nothing."""
    number = _wide(event.args.get("id"))
    # Whoever records readings may state events, too, but under another name.
    if event.event != "Proposed" or number is None or not item.statement.issuer.endswith(FOLLOWER):
        return
    key = (twin, event.chain, event.contract, number)
    if event.retracted:
        where = "twin = ? AND chain = ? AND contract = ? AND agreement = ?"
        database.execute(f"DELETE FROM proposal WHERE {where}", key)  # noqa: S608 - fixed words only
    else:
        database.execute("INSERT OR IGNORE INTO proposal VALUES (?, ?, ?, ?, ?)", (*key, item.index))


def write_ledger(database: sqlite3.Connection, twin: int, state: TwinState) -> None:
    """The twin's parts and orders, anew."""
    ledger = state.live.ledger
    database.execute("DELETE FROM part WHERE twin = ?", (twin,))
    database.executemany(
        "INSERT INTO part VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [(twin, *key, part.owner, part.status, part.parent, part.entry) for key, part in ledger.tokens.items()],
    )
    database.execute("DELETE FROM purchase WHERE twin = ?", (twin,))
    database.executemany(
        "INSERT INTO purchase VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (twin, *key, order.agreement, order.state, order.since, order.token, order.entry)
            for key, order in ledger.orders.items()
        ],
    )


def _wide(value: cbor.Value) -> bytes | None:
    """A number of the chain in 32 bytes; None for what is no number."""
    if type(value) is int and value >= 0:
        return value.to_bytes(32, "big")
    return value if type(value) is bytes and len(value) == 32 else None
