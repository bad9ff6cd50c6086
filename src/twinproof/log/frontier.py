"""The growing edge of a tree: all that a writer must know of it to append, at most 8 KiB per tile level."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
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
        self._peaks: list[bytes] = []  # by height; the ones at the set bits of `size` count
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
        for height in range(size.bit_length()):
            made._peaks.append(node(height, (size >> height) - 1) if size >> height & 1 else b"")
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

    def extend(self, leaves: Sequence[bytes]) -> list[tuple[int, int, bytes]]:
        """Add leaf hashes; the tiles that they complete, as (level, n, hashes)."""
        done: list[tuple[int, int, bytes]] = []
        nodes, first, height = list(leaves), self.size, 0
        while nodes:
            if not height % HEIGHT:
                self._push(height // HEIGHT, first, nodes, done)
            if height == len(self._peaks):
                self._peaks.append(b"")
            if self.size >> height & 1:
                nodes.insert(0, self._peaks[height])
                first -= 1
            if len(nodes) & 1:
                self._peaks[height] = nodes[-1]
            nodes = [
                sha256(b"\x01" + left + right).digest() for left, right in zip(nodes[::2], nodes[1::2], strict=False)
            ]
            first >>= 1
            height += 1
        self.size += len(leaves)
        return done

    def _push(self, level: int, first: int, nodes: list[bytes], done: list[tuple[int, int, bytes]]) -> None:
        if level == len(self._edges):
            self._edges.append(bytearray())
        edge, n = self._edges[level], first // WIDTH
        edge += b"".join(nodes)
        while len(edge) >= FULL_TILE:
            done.append((level, n, bytes(edge[:FULL_TILE])))
            del edge[:FULL_TILE]
            n += 1

    def partial_tiles(self, old: int) -> list[tuple[int, int, bytes]]:
        """The unfinished tiles that have changed since the tree had `old` leaves."""
        return [
            (tile.level, tile.n, bytes(self._edges[tile.level]))
            for tile in tiles_between(old, self.size)
            if tile.width < WIDTH
        ]

    def root(self) -> bytes:
        """The root of the whole tree."""
        result = b""
        for height, peak in enumerate(self._peaks):
            if self.size >> height & 1:
                result = hash_node(peak, result) if result else peak
        return result or EMPTY_ROOT
