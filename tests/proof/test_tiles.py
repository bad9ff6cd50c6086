"""Tile coordinates and the tree read through tiles."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.proof import reference
from twinproof.errors import Malformed
from twinproof.proof import merkle, tiles
from twinproof.proof.tiles import ENTRIES, Tile, parse_path, tiles_between, tiles_of


def content(hashes: list[bytes], tile: Tile) -> bytes:
    """A tile's bytes by definition: roots of complete subtrees of 256^level leaves."""
    span = 256**tile.level
    starts = range(tile.n * 256 * span, (tile.n * 256 + tile.width) * span, span)
    return b"".join(reference.mth(hashes[start : start + span]) for start in starts)


def brute_force(size: int) -> dict[tuple[int, int], int]:
    """(level, n) -> width of every tile that a tree of `size` leaves has."""
    found = {}
    for level in range(9):
        whole = size // 256**level
        for n in range(-(-whole // 256)):
            found[level, n] = min(256, whole - 256 * n)
    return found


def test_the_examples_of_the_specification() -> None:
    assert list(tiles_of(256)) == [Tile(0, 0), Tile(1, 0, 1)]
    assert list(tiles_of(70000)) == [
        *(Tile(0, n) for n in range(273)),
        Tile(0, 273, 112),
        Tile(1, 0),
        Tile(1, 1, 17),
        Tile(2, 0, 1),
    ]
    assert [tile.path for tile in tiles_of(70000)][-5:] == [
        "tile/0/272",
        "tile/0/273.p/112",
        "tile/1/000",
        "tile/1/001.p/17",
        "tile/2/000.p/1",
    ]
    assert Tile(3, 1234067).path == "tile/3/x001/x234/067"


def test_small_trees() -> None:
    assert list(tiles_of(0)) == []
    assert list(tiles_of(1)) == [Tile(0, 0, 1)]
    assert list(tiles_of(255)) == [Tile(0, 0, 255)]
    assert list(tiles_of(257)) == [Tile(0, 0), Tile(0, 1, 1), Tile(1, 0, 1)]
    assert list(tiles_of(256 * 256)) == [*(Tile(0, n) for n in range(256)), Tile(1, 0), Tile(2, 0, 1)]


SIZES = st.integers(0, 1000) | st.integers(0, 300_000) | st.sampled_from([255, 256, 257, 65535, 65536, 65537, 131072])


@given(SIZES, SIZES)
def test_tiles_between_two_sizes_are_those_that_changed(a: int, b: int) -> None:
    old, new = sorted((a, b))
    before, after = brute_force(old), brute_force(new)
    expected = {key: width for key, width in after.items() if before.get(key) != width}
    found = list(tiles_between(old, new))
    assert {(tile.level, tile.n): tile.width for tile in found} == expected
    assert len(found) == len(expected)
    assert {(tile.level, tile.n): tile.width for tile in tiles_of(new)} == after
    for level, n in after:
        assert tiles.width_in(level, n, new) == after[level, n]
        assert tiles.width_in(level, n, old) == before.get((level, n), 0)


def test_the_largest_tree() -> None:
    size = merkle.MAX_SIZE - 1
    assert tiles.hashes_at(tiles.MAX_LEVEL, size) == 127
    assert tiles.hashes_at(tiles.MAX_LEVEL + 1, size) == 0
    assert tiles.hashes_at(ENTRIES, size) == size
    assert list(tiles_between(size - 1, size)) == [Tile(0, (size - 1) // 256, size % 256)]
    last = Tile(0, (size - 1) // 256, 255)
    assert parse_path(last.path) == last


# --- paths ----------------------------------------------------------------------------------


@given(st.integers(-1, 63), st.integers(0, 2**55) | st.integers(0, 2000), st.integers(1, 256))
def test_paths_come_back(level: int, n: int, width: int) -> None:
    tile = Tile(level, n, width)
    assert parse_path(tile.path) == tile


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0), "tile/0/000"),
        (Tile(63, 999, 1), "tile/63/999.p/1"),
        (Tile(0, 1000), "tile/0/x001/000"),
        (Tile(0, 999_999, 255), "tile/0/x999/999.p/255"),
        (Tile(0, 1_000_000), "tile/0/x001/x000/000"),
        (Tile(ENTRIES, 7), "tile/entries/007"),
        (Tile(ENTRIES, 7, 3), "tile/entries/007.p/3"),
    ],
)
def test_paths(tile: Tile, path: str) -> None:
    assert tile.path == path
    assert parse_path(path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile",
        "/tile/0/000",
        "tile/0/000/",
        "tile/0/000\n",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/+1/000",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/0/x000/000",
        "tile/0/x000/001",
        "tile/0/001/000",
        "tile/0/x001/x000",
        "tile/0/x001/00",
        "tile/0/X001/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/999",
        "tile/0/000.p/01",
        "tile/0/000.p/",
        "tile/0/000.p",
        "tile/0/000.p/1/",
        "tile/0/000.p/1.p/1",
        "tile/0/" + "x001/" * 7 + "000",
        "tile/0/\u0660\u0660\u0660",
        "tile/entry/000",
        "tile/Entries/000",
        "tile/0/../000",
        "tile/0/%30%30%30",
    ],
)
def test_other_paths_are_refused(path: str) -> None:
    with pytest.raises(Malformed, match=r"^tile path: "):
        parse_path(path)


@given(
    st.text(st.sampled_from("tile/0123456789x.pentries\n"), max_size=30).map(lambda tail: "tile/0/" + tail) | st.text()
)
def test_any_path(path: str) -> None:
    try:
        tile = parse_path(path)
    except Malformed:
        return
    assert tile.path == path
    assert 1 <= tile.width <= 256
    assert -1 <= tile.level <= 63


# --- reading --------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 511, 512, 1000])
def test_the_tree_read_through_tiles_is_the_tree(size: int) -> None:
    hashes = reference.leaf_hashes(size)
    stored = {(tile.level, tile.n): content(hashes, tile) for tile in tiles_of(size)}
    get = tiles.node_reader(lambda level, n: stored[level, n])
    naive = reference.reader(hashes)
    for level in range(size.bit_length()):
        for index in range(size >> level):
            assert get(level, index) == naive(level, index)
    assert merkle.root(size, get) == reference.mth(hashes)
    for index in range(0, size, 1 + size // 50):
        assert merkle.prove_inclusion(index, size, get) == reference.path(index, hashes)
        assert merkle.prove_consistency(index, size, get) == reference.consistency(index, hashes)


def test_a_tree_of_three_tile_levels() -> None:
    size = 70_000
    level0 = [merkle.hash_leaf(b"%d" % index) for index in range(size)]
    levels = [level0]
    while len(levels[-1]) >= 256:
        below = levels[-1]
        levels.append([reference.mth(below[i : i + 256]) for i in range(0, len(below) // 256 * 256, 256)])
    stored = {
        (tile.level, tile.n): b"".join(levels[tile.level][tile.n * 256 : tile.n * 256 + tile.width])
        for tile in tiles_of(size)
    }
    get = tiles.node_reader(lambda level, n: stored[level, n])
    root = merkle.root(size, get)
    assert root == reference.mth(level0)
    for index in (0, 255, 256, 65535, 65536, 69999):
        merkle.check_inclusion(level0[index], index, size, merkle.prove_inclusion(index, size, get), root)


def test_a_tile_that_is_too_short_gives_no_hash() -> None:
    data = b"".join(reference.leaf_hashes(5))
    assert tiles.tile_hash(data, 0, 4) == data[128:]
    assert tiles.tile_hash(data, 2, 0) == reference.mth(reference.leaf_hashes(4))
    for level, index in ((0, 5), (1, 2), (2, 1), (3, 0), (8, 0)):
        with pytest.raises(Malformed, match=rf"^tile: 160 bytes, too short for hash {index} of height {level}"):
            tiles.tile_hash(data, level, index)
    with pytest.raises(Malformed, match="159 bytes, too short"):
        tiles.tile_hash(data[:-1], 0, 4)
