"""Letting go of old states: nodes that none of the newest state roots reaches.

Marking reads beside writers. A block that is added meanwhile stands on a marked state, and writes every other node
that it has, which gives the node its number; so what is unmarked *and* older than the marking is never needed again.
That holds for each node by itself: the sweep may stop anywhere, and a later one goes on.
"""

from __future__ import annotations

import sqlite3
from itertools import islice
from typing import Final

from twinproof.chain.embedded.engine import NodeMissing
from twinproof.chain.embedded.state import reachable
from twinproof.chain.embedded.store import ChainStore, set_meta
from twinproof.chain.encoding import decode_header
from twinproof.errors import Corrupt

KEEP_STATES: Final = 128
"""State roots; what public nodes keep, too."""
SWEEP: Final = 2_000
"""Nodes that go in one transaction: so long may a writer have to wait."""


def compact(store: ChainStore, keep: int = KEEP_STATES) -> int:
    """Keep the states of the newest `keep` blocks (at least one); how many nodes went. Raises `Corrupt`."""
    database = store.database
    rows = database.read("SELECT number, header FROM block ORDER BY number DESC LIMIT ?", (max(keep, 1),))
    if not rows:
        return 0
    newest, oldest = rows[0][0], rows[-1][0]
    seen: set[bytes] = set()
    for number, header in rows:
        try:
            reachable(store.nodes, decode_header(header).state_root, seen)
        except NodeMissing:
            if number < int(store.meta("pruned") or 0):
                oldest = number + 1  # gone since an earlier compaction that kept less
                break
            raise Corrupt(f"{database.name}: a node of the state of block {number} is missing") from None
    kept = database.read("SELECT hash FROM node WHERE block <= ?", (newest,))
    old = iter([(digest, newest) for (digest,) in kept if digest not in seen])
    gone = 0
    while batch := list(islice(old, SWEEP)):
        with database.transaction("compact") as writer:
            _mark_pruned(writer, oldest)
            done = writer.executemany("DELETE FROM node WHERE hash = ? AND block <= ?", batch)
            gone += done.rowcount
    database.shrink()
    return gone


def _mark_pruned(writer: sqlite3.Connection, oldest: int) -> None:
    row = writer.execute("SELECT value FROM meta WHERE key = 'pruned'").fetchone()
    if row is None or int(row[0]) < oldest:
        set_meta(writer, "pruned", str(oldest))
