"""Coordinates of C2SP tlog-tiles: where a hash lies, which tiles a tree has, and their paths.

A tile at level `l` holds up to 256 hashes: hash `i` of tile `n` is the root of the complete subtree
of height `8 * l` at index `n * 256 + i`. Hashes between tile levels are computed, not stored.
A tree of `s` leaves has `s >> 8l` hashes at level `l`; the last tile may be partial, width 0 is
never served, and partial tiles are not hashed upward.

Paths: `tile/<level>/<n>[.p/<width>]`, entries under `tile/entries/<n>[.p/<width>]`, where `n` is
written in groups of three digits, all but the last with an `x` before them (1234067 -> x001/x234/067).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from twinproof.errors import Malformed
from twinproof.proof.merkle import HASH_SIZE, NodeReader, hash_node

HEIGHT: Final = 8
"""Levels of the tree between one tile and the next."""
WIDTH: Final = 1 << HEIGHT
"""Hashes in a full tile, entries in a full bundle."""
ENTRIES: Final = -1
"""The pseudo-level of entry bundles."""
MAX_LEVEL: Final = 7
"""The highest tile level of a tree below 2^63 leaves."""

_PATH = re.compile(r"tile/([0-9]|[1-5][0-9]|6[0-3]|entries)/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?\Z")


@dataclass(frozen=True, slots=True, order=True)
class Tile:
    """One tile: `level` 0..63 or `ENTRIES`, number `n`, `width` 1..256 hashes or entries."""

    level: int
    n: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        """The C2SP path, without a leading slash."""
        digits = f"{self.n:03d}"
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
        number = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
        level = "entries" if self.level == ENTRIES else str(self.level)
        partial = "" if self.width == WIDTH else f".p/{self.width}"
        return f"tile/{level}/{number}{partial}"


def parse_path(path: str) -> Tile:
    """The tile that `path` names; raises `Malformed` for anything that `Tile.path` would not write."""
    found = _PATH.fullmatch(path)
    if not found:
        raise Malformed("tile path", "not of the form tile/<level>/<n>[.p/<width>]")
    level, number, width = found.groups()
    tile = Tile(
        ENTRIES if level == "entries" else int(level),
        int(number.replace("x", "").replace("/", "")),
        WIDTH if width is None else int(width),
    )
    if tile.width > WIDTH or tile.path != path:
        raise Malformed("tile path", "width over 255 or number with leading groups of zeros")
    return tile


def hashes_at(level: int, size: int) -> int:
    """How many hashes tile level `level` has in a tree of `size` leaves (entries: one per leaf)."""
    return size >> (HEIGHT * max(level, 0))


def width_in(level: int, n: int, size: int) -> int:
    """The width of tile `n` at `level` in a tree of `size`: 0 if it is not there, at most 256."""
    return max(0, min(WIDTH, hashes_at(level, size) - n * WIDTH))


def tiles_between(old: int, new: int) -> Iterator[Tile]:
    """Every hash tile whose content in the tree of `new` leaves is not already in that of `old`."""
    level = 0
    while hashes_at(level, new):
        before, after = hashes_at(level, old), hashes_at(level, new)
        if before == after:
            return
        for n in range(before // WIDTH, -(-after // WIDTH)):
            yield Tile(level, n, width_in(level, n, new))
        level += 1


def tiles_of(size: int) -> Iterator[Tile]:
    """Every hash tile of a tree of `size` leaves, full and partial."""
    return tiles_between(0, size)


def tile_hash(data: bytes, level: int, index: int) -> bytes:
    """Fold `2**level` hashes of a tile's bytes, from number `index << level` on, into one.

    Raises `Malformed` if the tile is narrower: a short one must not become a wrong hash.
    """
    start = (index << level) * HASH_SIZE
    if len(data) < start + (HASH_SIZE << level):
        raise Malformed("tile", f"{len(data)} bytes, too short for hash {index} of height {level}")
    hashes = [data[at : at + HASH_SIZE] for at in range(start, start + (HASH_SIZE << level), HASH_SIZE)]
    while len(hashes) > 1:
        hashes = [hash_node(hashes[i], hashes[i + 1]) for i in range(0, len(hashes), 2)]
    return hashes[0]


def node_reader(read: Callable[[int, int], bytes]) -> NodeReader:
    """A `NodeReader` over tiles: `read(level, n)` gives a tile's bytes, at least as wide as needed."""

    def get(level: int, index: int) -> bytes:
        tile_level, height = divmod(level, HEIGHT)
        n, within = divmod(index, WIDTH >> height)
        return tile_hash(read(tile_level, n), height, within)

    return get
