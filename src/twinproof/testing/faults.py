"""A store and a pin that fail at a chosen write, in the two ways in which a disk can fail.

*Lost*: the write did not happen and `StorageFailed` was raised. *Kept*: it happened, and
`StorageFailed` was raised all the same (the answer got lost). A caller must survive both without
knowing which one it was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from typing import Final

from twinproof.errors import StorageFailed
from twinproof.log.pin import AnyPin
from twinproof.log.store import Group, Head, KeptCheckpoint, KeptConflict, Store

STORE_WRITES: Final = ("commit", "replace_checkpoint", "keep_conflict")
"""Every write of the `Store` Protocol."""


class Faults:
    """Which writes are to fail, by name and number; both fakes have one."""

    def __init__(self) -> None:
        self.writes: Counter[str] = Counter()
        """How often each write was tried."""
        self._planned: dict[tuple[str, int], bool] = {}

    def fail(self, write: str, *, after: int = 0, kept: bool = False) -> None:
        """Let `write` fail once, when `after` more of its kind have gone well; `kept` as above."""
        self._planned[write, self.writes[write] + after] = kept

    def run(self, write: str, action: Callable[[], None]) -> None:
        """Do `action`, or fail as planned."""
        kept = self._planned.pop((write, self.writes[write]), None)
        self.writes[write] += 1
        if kept is None:
            action()
            return
        if kept:
            action()
        raise StorageFailed(f"planned fault in {write}: {'kept, but reported lost' if kept else 'lost'}")


class FaultyStore(Faults):
    """The `Store` Protocol around another store; reads go through untouched."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.inner = store

    def commit(self, expected: Head | None, group: Group) -> None:
        self.run("commit", lambda: self.inner.commit(expected, group))

    def replace_checkpoint(self, size: int, note: bytes, time: int | None = None) -> None:
        self.run("replace_checkpoint", lambda: self.inner.replace_checkpoint(size, note, time))

    def keep_conflict(self, key: bytes, index: int, data: bytes, time: int) -> None:
        self.run("keep_conflict", lambda: self.inner.keep_conflict(key, index, data, time))

    def head(self) -> Head | None:
        return self.inner.head()

    def entries(self, start: int, end: int) -> list[bytes]:
        return self.inner.entries(start, end)

    def tile(self, level: int, n: int) -> bytes:
        return self.inner.tile(level, n)

    def find(self, key: bytes) -> int | None:
        return self.inner.find(key)

    def find_many(self, keys: Collection[bytes]) -> dict[bytes, int]:
        return self.inner.find_many(keys)

    def scan(self, prefix: bytes, after: bytes = b"", limit: int = 1000) -> list[tuple[bytes, int]]:
        return self.inner.scan(prefix, after, limit)

    def last(self, prefix: bytes) -> tuple[bytes, int] | None:
        return self.inner.last(prefix)

    def checkpoints(self, after: int = -1, limit: int | None = None) -> list[KeptCheckpoint]:
        return self.inner.checkpoints(after, limit)

    def checkpoint_at_or_after(self, size: int) -> KeptCheckpoint | None:
        return self.inner.checkpoint_at_or_after(size)

    def checkpoint_at_or_before(self, size: int) -> KeptCheckpoint | None:
        return self.inner.checkpoint_at_or_before(size)

    def conflicts(self) -> list[KeptConflict]:
        return self.inner.conflicts()

    def close(self) -> None:
        self.inner.close()


class FaultyPin(Faults):
    """The `AnyPin` Protocol around another pin; its one write is called "write"."""

    def __init__(self, pin: AnyPin) -> None:
        super().__init__()
        self.inner = pin

    def read(self) -> bytes | None:
        return self.inner.read()

    def write(self, note: bytes) -> None:
        self.run("write", lambda: self.inner.write(note))
