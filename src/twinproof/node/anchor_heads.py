"""The anchors that are kept, as what they prove: which block had which size first. Checked once and remembered."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable
from operator import itemgetter
from threading import Lock
from typing import Final

from twinproof.log.reader import Reader
from twinproof.node.anchor_store import AnchorStore
from twinproof.proof.anchor import AnchoredHead, check_anchor

KEPT: Final = 4096
"""Checked anchors in memory."""


class AnchoredHeads:
    """One per node. Methods may be called from any thread; they raise `StorageFailed` and `Corrupt`."""

    def __init__(self, store: AnchorStore, reader: Reader, chain_id: int | None) -> None:
        """`chain_id` is that of the node's chain; without one it is the first that anything is anchored on."""
        self._store = store
        self._reader = reader
        self._chain_id = chain_id
        self._lock = Lock()
        self._heads: OrderedDict[bytes, AnchoredHead | None] = OrderedDict()

    @property
    def chain_id(self) -> int | None:
        """The chain that is told of."""
        return self._chain_id if self._chain_id is not None else next(iter(self._store.chains()), None)

    def covering(self, indices: Iterable[int]) -> dict[int, AnchoredHead]:
        """The earliest block for each of these entries that an anchor covers."""
        chain_id = self.chain_id
        if chain_id is None:
            return {}
        steps = self._store.steps(chain_id, self._reader.head().size)
        found: dict[int, AnchoredHead] = {}
        for index in indices:
            at = bisect_right(steps, index, key=itemgetter(0))
            head = self._head(steps[at][1]) if at < len(steps) else None
            if head is not None:
                found[index] = head
        return found

    def newest(self, below: int | None, limit: int) -> list[AnchoredHead]:
        """Anchors of fewer than `below` entries, the largest first."""
        chain_id = self.chain_id
        if chain_id is None:
            return []
        keys = self._store.largest(chain_id, self._reader.head().size + 1 if below is None else below, limit)
        return [head for key in keys if (head := self._head(key)) is not None]

    def _head(self, key: bytes) -> AnchoredHead | None:
        """None for one that records another history than this log's: whoever anchors says so loudly (`/ready`)."""
        with self._lock:
            if key in self._heads:
                self._heads.move_to_end(key)
                return self._heads[key]
        head: AnchoredHead | None = check_anchor(self._store.read(key))
        if head is not None and self._reader.root(head.size) != head.root:
            head = None
        with self._lock:
            self._heads[key] = head
            if len(self._heads) > KEPT:
                self._heads.popitem(last=False)
        return head
