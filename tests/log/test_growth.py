"""Trees that grow in groups: roots, tiles and the reopened edge equal what the definitions give."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.log.rig import ORIGIN, SIGNER, Rig, entries, indices
from tests.proof import reference
from twinproof.errors import Corrupt
from twinproof.log.frontier import Frontier
from twinproof.log.memory import MemoryStore
from twinproof.log.writer import Writer
from twinproof.proof import merkle
from twinproof.proof.tiles import tiles_of
from twinproof.testing import ManualClock, MemoryPin

LARGEST = 600
ENTRIES = entries(0, LARGEST)
HASHES = [merkle.hash_leaf(entry.data) for entry in ENTRIES]
ROOTS = [reference.mth(HASHES[:size]) for size in range(LARGEST + 1)]
GET = reference.reader(HASHES)


def naive_tiles(size: int) -> dict[tuple[int, int], bytes]:
    return {
        (tile.level, tile.n): b"".join(GET(8 * tile.level, tile.n * 256 + i) for i in range(tile.width))
        for tile in tiles_of(size)
    }


@pytest.mark.parametrize("seed", range(3))
def test_trees_of_1_to_600(seed: int) -> None:
    """Each size is reached once in some run: by ones (seed 0) or by random groups."""
    random = Random(seed)
    store = MemoryStore()
    writer = Writer(store, MemoryPin(), [SIGNER], ORIGIN, ManualClock())
    size = 0
    while size < LARGEST:
        end = min(LARGEST, size + (1 if seed == 0 else random.choice([1, 2, 3, 50, 255, 256, 257])))
        assert indices(writer.append(ENTRIES[size:end])) == list(range(size, end))
        size = end
        assert writer.published.root == ROOTS[size]
        assert store._tiles == naive_tiles(size), f"tiles of size {size}"


@pytest.mark.parametrize("size", [0, 1, 2, 3, 255, 256, 257, 511, 512, 513, 600])
def test_an_edge_read_back_grows_as_the_one_that_was_kept(size: int) -> None:
    tiles = naive_tiles(size)
    edge = Frontier.from_tiles(size, lambda level, n: tiles[level, n])
    assert (edge.size, edge.root()) == (size, ROOTS[size])
    before = edge.copy()
    for growing in (edge, before):  # the copy comes second: it must not have shared anything
        assert (growing.size, growing.root()) == (size, ROOTS[size])
        grown = dict(tiles)
        for at in range(size, LARGEST, 97):
            grown |= {(level, n): data for level, n, data in growing.extend(HASHES[at : at + 97])}
        grown |= {(level, n): data for level, n, data in growing.partial_tiles(size)}
        assert growing.root() == ROOTS[LARGEST]
        assert grown == naive_tiles(LARGEST)


def test_a_narrow_tile_is_no_edge() -> None:
    tiles = naive_tiles(300)
    tiles[0, 1] = tiles[0, 1][:-32]
    with pytest.raises(Corrupt, match="tile 1 of level 0 has 1376 bytes, not 1408"):
        Frontier.from_tiles(300, lambda level, n: tiles[level, n])


@given(st.lists(st.integers(0, 70) | st.just(300), max_size=8), st.integers(0, 600))
def test_any_grouping_gives_the_same_tree(sizes: list[int], start: int) -> None:
    edge = Frontier()
    tiles: dict[tuple[int, int], bytes] = {}
    done = 0
    for group in [start, *sizes]:
        tiles |= {(level, n): data for level, n, data in edge.extend(HASHES[done : done + group])}
        tiles |= {(level, n): data for level, n, data in edge.partial_tiles(done)}
        done = min(LARGEST, done + group)
    assert edge.root() == ROOTS[done]
    assert tiles == naive_tiles(done)


def test_three_levels_of_tiles() -> None:
    """65,536 entries fill a level-1 tile; the reference would take too long, the RFC's prover reads the tiles."""
    size = 65_536 + 300
    hashes = reference.leaf_hashes(size)
    edge = Frontier()
    tiles: dict[tuple[int, int], bytes] = {}
    for start in range(0, size, 1000):
        tiles |= {(level, n): data for level, n, data in edge.extend(hashes[start : start + 1000])}
    tiles |= {(level, n): data for level, n, data in edge.partial_tiles(0)}
    assert {(tile.level, tile.n, tile.width * 32) for tile in tiles_of(size)} == {
        (level, n, len(data)) for (level, n), data in tiles.items()
    }
    assert edge.root() == reference.mth(hashes)
    assert tiles[2, 0] == reference.mth(hashes[:65_536])
    assert Frontier.from_tiles(size, lambda level, n: tiles[level, n]).root() == edge.root()


def test_reopened_at_every_size(tmp_path_factory: pytest.TempPathFactory) -> None:
    rig = Rig("memory", tmp_path_factory.mktemp("growth"))
    for size in range(0, LARGEST, 7):
        writer = rig.open()
        assert writer.published.root == ROOTS[size]
        writer.append(ENTRIES[size : size + 7])
    assert rig.fsck() == []
