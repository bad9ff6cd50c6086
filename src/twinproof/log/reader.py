"""Reading a log: entries, proofs and tiles, never beyond the published head.

Proofs look nodes up in expanded tiles: all 511 hashes of a tile are computed once and kept, so a
proof in a tree of a million entries costs about twenty look-ups.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from threading import Lock
from typing import Final

from twinproof.errors import Corrupt, NotFound
from twinproof.log.store import Head, KeptCheckpoint, Store
from twinproof.proof import merkle
from twinproof.proof.merkle import HASH_SIZE
from twinproof.proof.tiles import ENTRIES, HEIGHT, WIDTH, Tile, width_in

CACHED_TILES: Final = 2048
"""Expanded tiles kept in memory, 16 KiB each when full."""
_SCAN: Final = 1000


class Reader:
    """Reads `store` up to the head that `limit` gives, or the stored one without it.

    Give `limit=lambda: writer.published` in the process that writes: a head counts only once it is
    pinned. Methods may be called from any thread, and raise what `Store` raises.
    """

    def __init__(
        self, store: Store, limit: Callable[[], Head | None] | None = None, *, cached_tiles: int = CACHED_TILES
    ) -> None:
        self._store = store
        self._limit = limit or store.head
        self._cached_tiles = cached_tiles
        self._lock = Lock()
        self._tiles: OrderedDict[tuple[int, int], tuple[bytes, ...]] = OrderedDict()

    def head(self) -> Head:
        """The newest published head; raises `NotFound` for a log that was never opened for writing."""
        head = self._limit()
        if head is None:
            raise NotFound("the log is empty: it has no checkpoint yet")
        return head

    def _require(self, size: int) -> None:
        published = self.head().size
        if not 0 <= size <= published:
            raise NotFound(f"no tree of size {size}: the log has {published} published entries")

    # --- entries ------------------------------------------------------------------------------

    def entry(self, index: int) -> bytes:
        """The entry at `index`; raises `NotFound`."""
        return self.entries(index, index + 1)[0]

    def entries(self, start: int, end: int) -> list[bytes]:
        """Entries `start` to `end` - 1; raises `NotFound` if they are not all published."""
        published = self.head().size
        if not 0 <= start <= end <= published:
            wanted = f"entry {start}" if end == start + 1 else f"entries {start} to {end - 1}"
            raise NotFound(f"no {wanted}: the log has {published} published entries")
        return self._store.entries(start, end)

    def find(self, key: bytes) -> int | None:
        """The index of the published entry at position `key`."""
        index = self._store.find(key)
        return index if index is not None and index < self.head().size else None

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, int]]:
        """(key, index) of every published entry whose key begins with `prefix`, in key order."""
        published, after = self.head().size, b""
        while page := self._store.scan(prefix, after, _SCAN):
            after = page[-1][0]
            yield from (found for found in page if found[1] < published)
            if len(page) < _SCAN:
                return

    def last(self, prefix: bytes) -> tuple[bytes, int] | None:
        """The greatest published key that begins with `prefix`, and its index."""
        found = self._store.last(prefix)
        if found is None or found[1] < self.head().size:
            return found
        result = None
        for result in self.scan(prefix):  # noqa: B007 - the last one; only while a head waits for its pin
            pass
        return result

    # --- checkpoints --------------------------------------------------------------------------

    def checkpoints(self) -> list[KeptCheckpoint]:
        """The kept checkpoints, by size, the published head as the last."""
        head = self.head()
        return [*(kept for kept in self._store.checkpoints() if kept.size < head.size), _kept(head)]

    def checkpoint_at_or_after(self, size: int) -> KeptCheckpoint | None:
        """The smallest kept checkpoint of at least `size` entries that is published."""
        head = self.head()
        if size > head.size:
            return None
        kept = self._store.checkpoint_at_or_after(size)
        return kept if kept and kept.size < head.size else _kept(head)

    def checkpoint_at_or_before(self, size: int) -> KeptCheckpoint | None:
        """The largest kept checkpoint of at most `size` entries that is published."""
        head = self.head()
        return _kept(head) if size >= head.size else self._store.checkpoint_at_or_before(size)

    # --- proofs -------------------------------------------------------------------------------

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """The inclusion path of entry `index` in the tree of `size`, the leaf's sibling first."""
        self._require(size)
        if not 0 <= index < size:
            raise NotFound(f"no entry {index} in a tree of {size}")
        return merkle.prove_inclusion(index, size, self._node)

    def consistency(self, old: int, new: int) -> list[bytes]:
        """The proof that the tree of `new` entries extends that of `old`."""
        self._require(new)
        if not 0 <= old <= new:
            raise NotFound(f"no tree of {old} in a tree of {new}")
        return merkle.prove_consistency(old, new, self._node)

    def many(self, indices: Sequence[int], size: int) -> list[bytes]:
        """One multiproof for ascending `indices` in the tree of `size`."""
        self._require(size)
        if indices and not 0 <= indices[0] <= indices[-1] < size:
            raise NotFound(f"no entries {indices[0]} to {indices[-1]} in a tree of {size}")
        return merkle.prove_many(indices, size, self._node)

    def root(self, size: int) -> bytes:
        """The root of the first `size` entries."""
        self._require(size)
        return merkle.root(size, self._node)

    def _node(self, level: int, index: int) -> bytes:
        tile_level, height = divmod(level, HEIGHT)
        n, within = divmod(index, WIDTH >> height)
        layers = self._tiles.get((tile_level, n))
        at = within * HASH_SIZE
        if layers is None or len(layers[height]) <= at:
            layers = self._expand(tile_level, n)
            if len(layers[height]) <= at:
                raise Corrupt(f"tile {n} of level {tile_level} is too narrow; run twinproof fsck")
        elif self._lock.acquire(blocking=False):
            # Recency is a hint: a thread that would have to wait leaves it to the next look-up.
            try:
                if (tile_level, n) in self._tiles:
                    self._tiles.move_to_end((tile_level, n))
            finally:
                self._lock.release()
        return layers[height][at : at + HASH_SIZE]

    def _expand(self, level: int, n: int) -> tuple[bytes, ...]:
        try:
            layers = expand(self._store.tile(level, n))
        except NotFound as problem:
            raise Corrupt(f"{problem}, though the tree has it; run twinproof fsck") from problem
        with self._lock:
            self._tiles[level, n] = layers
            self._tiles.move_to_end((level, n))
            while len(self._tiles) > self._cached_tiles:
                self._tiles.popitem(last=False)
        return layers

    # --- tiles, as C2SP tlog-tiles serves them --------------------------------------------------

    def tile_bytes(self, tile: Tile) -> bytes:
        """A tile's body, of exactly the width asked for; an entry bundle for level `ENTRIES`.

        Raises `NotFound` for what the published tree does not have.
        """
        if tile.level == ENTRIES:
            return self.entry_bundle(tile)
        self._require_width(tile)
        data = self._store.tile(tile.level, tile.n)
        if len(data) < tile.width * HASH_SIZE:
            raise Corrupt(f"{tile.path} is stored too narrow; run twinproof fsck")
        return data[: tile.width * HASH_SIZE]

    def entry_bundle(self, tile: Tile) -> bytes:
        """`width` entries from number `n` * 256 on, each after its length as a big-endian u16."""
        self._require_width(tile)
        start = tile.n * WIDTH
        entries = self._store.entries(start, start + tile.width)
        return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)

    def _require_width(self, tile: Tile) -> None:
        if not 0 < tile.width <= width_in(tile.level, tile.n, self.head().size):
            raise NotFound(f"no {tile.path}")


def _kept(head: Head) -> KeptCheckpoint:
    return KeptCheckpoint(head.size, head.time, head.checkpoint)


def expand(tile: bytes) -> tuple[bytes, ...]:
    """The nine layers of a tile, each as its hashes joined: layer h holds the subtrees of height h."""
    layers = [tile]
    for _ in range(HEIGHT):
        below = layers[-1]
        layers.append(
            b"".join(
                sha256(b"\x01" + below[at : at + 2 * HASH_SIZE]).digest()
                for at in range(0, len(below) - HASH_SIZE, 2 * HASH_SIZE)
            )
        )
    return tuple(layers)
