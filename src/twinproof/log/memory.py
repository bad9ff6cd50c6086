"""A store in memory: for tests and for logs that need not outlive their process."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Collection
from threading import Lock

from twinproof.errors import Conflict, NotFound, StorageFailed
from twinproof.log.store import (
    KEEP_EVERY,
    MAX_CONFLICTS,
    Group,
    Head,
    KeptCheckpoint,
    KeptConflict,
    after_prefix,
    opens_period,
    require_head,
    require_same_text,
)


class MemoryStore:
    """The `Store` Protocol over Python's lists; "durable" means: as long as the object lives."""

    def __init__(self, *, keep_every: int = KEEP_EVERY) -> None:
        self._keep_every = keep_every
        self._lock = Lock()
        self._closed = False
        self._head: Head | None = None
        self._entries: list[bytes] = []
        self._positions: dict[bytes, int] = {}
        self._keys: list[bytes] = []
        self._tiles: dict[tuple[int, int], bytes] = {}
        self._history: list[KeptCheckpoint] = []
        self._conflicts: dict[bytes, KeptConflict] = {}

    def _require_open(self) -> None:
        if self._closed:
            raise StorageFailed("the store is closed")

    def head(self) -> Head | None:
        self._require_open()
        return self._head

    def commit(self, expected: Head | None, group: Group) -> None:
        with self._lock:
            self._require_open()
            old = self._head
            require_head(expected, old.size if old else None, old.root if old else None)
            keys = [entry.key for entry in group.entries]
            if len(set(keys)) < len(keys) or not self._positions.keys().isdisjoint(keys):
                raise Conflict("a position of this group is taken")
            for entry in group.entries:
                self._positions[entry.key] = len(self._entries)
                self._entries.append(entry.data)
                insort(self._keys, entry.key)
            for level, n, data in group.tiles:
                self._tiles[level, n] = data
            if old and old.size < group.head.size:
                newest = self._history[-1].time if self._history else None
                if opens_period(old.time, newest, self._keep_every):
                    self._put(KeptCheckpoint(old.size, old.time, old.checkpoint))
            self._head = group.head

    def _put(self, kept: KeptCheckpoint) -> None:
        at = bisect_left(self._history, kept.size, key=lambda other: other.size)
        taken = at < len(self._history) and self._history[at].size == kept.size
        self._history[at : at + taken] = [kept]

    def entries(self, start: int, end: int) -> list[bytes]:
        self._require_open()
        found = self._entries[start:end]
        if len(found) < end - start:
            raise NotFound(f"no entry {start + len(found)}")
        return found

    def tile(self, level: int, n: int) -> bytes:
        self._require_open()
        try:
            return self._tiles[level, n]
        except KeyError:
            raise NotFound(f"no tile {n} at level {level}") from None

    def find(self, key: bytes) -> int | None:
        self._require_open()
        return self._positions.get(key)

    def find_many(self, keys: Collection[bytes]) -> dict[bytes, int]:
        self._require_open()
        return {key: self._positions[key] for key in keys if key in self._positions}

    def scan(self, prefix: bytes, after: bytes = b"", limit: int = 1000) -> list[tuple[bytes, int]]:
        with self._lock:
            self._require_open()
            start = max(bisect_left(self._keys, prefix), bisect_right(self._keys, after))
            end = after_prefix(prefix)
            stop = len(self._keys) if end is None else bisect_left(self._keys, end)
            return [(key, self._positions[key]) for key in self._keys[start : min(stop, start + limit)]]

    def last(self, prefix: bytes) -> tuple[bytes, int] | None:
        with self._lock:
            self._require_open()
            end = after_prefix(prefix)
            at = (len(self._keys) if end is None else bisect_left(self._keys, end)) - 1
            if at < 0 or not self._keys[at].startswith(prefix):
                return None
            return self._keys[at], self._positions[self._keys[at]]

    def _all_checkpoints(self) -> list[KeptCheckpoint]:
        with self._lock:
            self._require_open()
            head = self._head
            return [*self._history, *([KeptCheckpoint(head.size, head.time, head.checkpoint)] if head else [])]

    def checkpoints(self, after: int = -1, limit: int | None = None) -> list[KeptCheckpoint]:
        return [kept for kept in self._all_checkpoints() if kept.size > after][:limit]

    def checkpoint_at_or_after(self, size: int) -> KeptCheckpoint | None:
        return next((kept for kept in self._all_checkpoints() if kept.size >= size), None)

    def checkpoint_at_or_before(self, size: int) -> KeptCheckpoint | None:
        return next((kept for kept in reversed(self._all_checkpoints()) if kept.size <= size), None)

    def replace_checkpoint(self, size: int, note: bytes, time: int | None = None) -> None:
        with self._lock:
            self._require_open()
            if self._head and self._head.size == size:
                require_same_text(size, self._head.checkpoint, note)
                self._head = Head(size, self._head.root, note, self._head.time)
                return
            old = next((kept for kept in self._history if kept.size == size), None)
            if old:
                require_same_text(size, old.note, note)
                self._put(old._replace(note=note))
            elif time is None or not self._head or size > self._head.size:
                raise NotFound(f"no kept checkpoint of size {size}")
            else:
                self._put(KeptCheckpoint(size, time, note))

    def keep_conflict(self, key: bytes, index: int, data: bytes, time: int) -> None:
        with self._lock:
            self._require_open()
            if len(self._conflicts) < MAX_CONFLICTS:
                self._conflicts.setdefault(key, KeptConflict(key, index, data, time))

    def conflicts(self) -> list[KeptConflict]:
        with self._lock:
            self._require_open()
            return [self._conflicts[key] for key in sorted(self._conflicts)]

    def close(self) -> None:
        self._closed = True
