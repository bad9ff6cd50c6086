"""The growing edge of a tree: all that a writer must know of it to append, at most 8 KiB per tile level."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twinproof.errors import Corrupt
from twinproof.proof.merkle import EMPTY_ROOT, HASH_SIZE, hash_node
from twinproof.proof.tiles import HEIGHT, WIDTH, node_reader, tiles_between, width_in

FULL_TILE: Final = WIDTH * HASH_SIZE
"""Bytes of a full tile."""


class Frontier:
    """A tree's size, the roots of its complete subtrees, and its unfinished tiles."""

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[bytes] = []  # the largest first, one per set bit of `size`
        self._edges: list[bytearray] = []  # per tile level the hashes of its unfinished tile

    @classmethod
    def from_tiles(cls, size: int, read: Callable[[int, int], bytes]) -> Frontier:
        """The edge of the stored tree of `size`; `read(level, n)` as `Store.tile`, tiles may be wider than needed.

        Raises `Corrupt` for a tile that is too narrow. The caller compares `root()` with a signed one.
        """

        def get(level: int, n: int) -> bytes:
            tile, need = read(level, n), width_in(level, n, size) * HASH_SIZE
            if len(tile) < need:
                raise Corrupt(f"tile {n} of level {level} has {len(tile)} bytes, not {need}; run twinproof fsck")
            return tile

        made = cls()
        made.size = size
        node = node_reader(get)
        for level in reversed(range(size.bit_length())):
            if size >> level & 1:
                made._peaks.append(node(level, (size >> level) - 1))
        level = 0
        while size >> HEIGHT * level:
            n, width = divmod(size >> HEIGHT * level, WIDTH)
            made._edges.append(bytearray(get(level, n)[: width * HASH_SIZE] if width else b""))
            level += 1
        return made

    def copy(self) -> Frontier:
        """An independent copy."""
        made = Frontier()
        made.size, made._peaks, made._edges = self.size, self._peaks.copy(), [edge.copy() for edge in self._edges]
        return made

    def append(self, leaf: bytes) -> list[tuple[int, int, bytes]]:
        """Add one leaf hash; the tiles that it completes, as (level, n, hashes)."""
        done: list[tuple[int, int, bytes]] = []
        peaks, node, count, level = self._peaks, leaf, self.size, 0
        self.size += 1
        while True:
            if not level % HEIGHT:
                self._push(level // HEIGHT, count, node, done)
            if not count & 1:
                break
            node = hash_node(peaks.pop(), node)
            count >>= 1
            level += 1
        peaks.append(node)
        return done

    def _push(self, level: int, index: int, value: bytes, done: list[tuple[int, int, bytes]]) -> None:
        if level == len(self._edges):
            self._edges.append(bytearray())
        edge = self._edges[level]
        edge += value
        if len(edge) == FULL_TILE:
            done.append((level, index // WIDTH, bytes(edge)))
            edge.clear()

    def partial_tiles(self, old: int) -> list[tuple[int, int, bytes]]:
        """The unfinished tiles that have changed since the tree had `old` leaves."""
        return [
            (tile.level, tile.n, bytes(self._edges[tile.level]))
            for tile in tiles_between(old, self.size)
            if tile.width < WIDTH
        ]

    def root(self) -> bytes:
        """The root of the whole tree."""
        if not self._peaks:
            return EMPTY_ROOT
        result = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            result = hash_node(peak, result)
        return result
