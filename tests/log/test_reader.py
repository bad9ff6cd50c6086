"""Proofs, tiles and bundles against the recursive reference; nothing beyond the published head."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.log.rig import ORIGIN, SIGNER, Rig, entries, entry
from tests.proof import reference
from twinproof.errors import BadProof, Corrupt, NotFound, StorageFailed
from twinproof.log.memory import MemoryStore
from twinproof.log.reader import Reader, expand
from twinproof.log.store import Entry, Head, KeptCheckpoint
from twinproof.log.writer import Writer
from twinproof.proof import merkle
from twinproof.proof.tiles import ENTRIES, Tile, tile_hash, tiles_of
from twinproof.testing import ManualClock, MemoryPin

SIZE = 70_000
DATA = [b"entry %d" % i for i in range(SIZE)]
HASHES = reference.leaf_hashes(SIZE)


def build(size: int) -> tuple[MemoryStore, Writer]:
    store = MemoryStore()
    writer = Writer(store, MemoryPin(), [SIGNER], ORIGIN, ManualClock())
    for start in range(0, size, 5000):
        writer.append([entry_of(i) for i in range(start, min(start + 5000, size))])
    return store, writer


def entry_of(index: int) -> Entry:
    return Entry(b"key%d" % index, DATA[index])


@pytest.fixture(scope="module")
def large() -> Reader:
    store, writer = build(SIZE)
    return Reader(store, lambda: writer.published, cached_tiles=8)


GET = reference.reader(HASHES)


@pytest.fixture(scope="module")
def root() -> bytes:
    return merkle.root(SIZE, GET)


@pytest.mark.parametrize("index", [0, 1, 255, 256, 65_535, 65_536, 69_887, 69_888, SIZE - 1])
@pytest.mark.parametrize("size", [SIZE, 65_536, 65_537, 256, 257, 1])
def test_inclusion(large: Reader, index: int, size: int) -> None:
    if index >= size:
        with pytest.raises(NotFound, match=f"no entry {index} in a tree of {size}"):
            large.inclusion(index, size)
        return
    assert large.inclusion(index, size) == reference.path(index, HASHES[:size])


@given(data=st.data())
def test_any_proof_verifies(large: Reader, root: bytes, data: st.DataObject) -> None:
    size = data.draw(st.integers(1, SIZE))
    index = data.draw(st.integers(0, size - 1))
    assert large.root(size) == merkle.root(size, GET)
    merkle.check_inclusion(HASHES[index], index, size, large.inclusion(index, size), large.root(size))
    merkle.check_consistency(size, SIZE, large.root(size), root, large.consistency(size, SIZE))
    some = sorted(data.draw(st.sets(st.integers(0, size - 1), max_size=5)))
    merkle.check_many({i: HASHES[i] for i in some}, size, large.many(some, size), large.root(size))
    assert large.entry(index) == DATA[index]


def test_every_tile_as_c2sp_serves_it(large: Reader) -> None:
    for tile in tiles_of(SIZE):
        data = large.tile_bytes(tile)
        assert len(data) == tile.width * 32
        for number in {0, tile.width // 2, tile.width - 1}:
            assert data[number * 32 : number * 32 + 32] == GET(8 * tile.level, tile.n * 256 + number)


@pytest.mark.parametrize("n", [0, 1, 273])
@pytest.mark.parametrize("width", [1, 2, 100, 112, 255, 256])
def test_partial_tiles_are_cut_from_wider_ones(large: Reader, n: int, width: int) -> None:
    for level in (0, ENTRIES):
        tile = Tile(level, n, width)
        if n * 256 + width > SIZE:
            with pytest.raises(NotFound, match=tile.path.replace(".", r"\.")):
                large.tile_bytes(tile)
        elif level == 0:
            assert large.tile_bytes(tile) == b"".join(HASHES[n * 256 : n * 256 + width])
        else:
            bundle = large.tile_bytes(tile)
            for data in DATA[n * 256 : n * 256 + width]:
                assert bundle[:2] == len(data).to_bytes(2, "big")
                assert bundle[2 : 2 + len(data)] == data
                bundle = bundle[2 + len(data) :]
            assert bundle == b""


@pytest.mark.parametrize(
    "tile",
    [Tile(0, 274), Tile(0, 273, 113), Tile(1, 1, 18), Tile(2, 0, 2), Tile(3, 0, 1), Tile(63, 0, 1), Tile(0, 0, 0)],
)
def test_no_tile_beyond_the_tree(large: Reader, tile: Tile) -> None:
    with pytest.raises(NotFound):
        large.tile_bytes(tile)


def test_expanded_tiles_hold_every_subtree() -> None:
    for width in (1, 2, 3, 7, 128, 255, 256):
        data = b"".join(HASHES[:width])
        layers = expand(data)
        assert len(layers) == 9
        for height, layer in enumerate(layers):
            assert len(layer) == (width >> height) * 32
            for i in range(width >> height):
                assert layer[i * 32 : i * 32 + 32] == tile_hash(data, height, i)


def test_a_proof_takes_few_reads() -> None:
    store, writer = build(SIZE)
    reads: list[tuple[int, int]] = []
    real = store.tile

    def counting(level: int, n: int) -> bytes:
        reads.append((level, n))
        return real(level, n)

    store.tile = counting  # type: ignore[method-assign]
    reader = Reader(store, lambda: writer.published)
    reader.inclusion(5, SIZE)
    assert len(reads) == len(set(reads)) <= 6
    reads.clear()
    for index in range(256):
        reader.inclusion(index, SIZE)
    assert reads == []


def test_a_grown_tile_is_read_again() -> None:
    store, writer = build(10)
    reader = Reader(store, lambda: writer.published)
    assert reader.inclusion(3, 10) == reference.path(3, HASHES[:10])
    writer.append([entry_of(i) for i in range(10, 300)])
    assert reader.inclusion(3, 300) == reference.path(3, HASHES[:300])
    assert reader.inclusion(3, 10) == reference.path(3, HASHES[:10])


def test_the_cache_is_bounded(large: Reader) -> None:
    for index in range(0, SIZE, 256):
        large.inclusion(index, SIZE)
    assert len(large._tiles) == 8


def test_threads_share_a_reader(large: Reader, root: bytes) -> None:
    problems: list[Exception] = []

    def work(start: int) -> None:
        try:
            for index in range(start, SIZE, 997):
                merkle.check_inclusion(HASHES[index], index, SIZE, large.inclusion(index, SIZE), root)
        except (BadProof, KeyError, RuntimeError) as problem:
            problems.append(problem)

    threads = [Thread(target=work, args=(start,)) for start in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []


# --- what is not published is not there ---


@pytest.fixture
def ahead(rig: Rig) -> Reader:
    """A reader whose store holds five entries of which three are published."""
    writer = rig.open()
    writer.append(entries(0, 3))
    rig.pin.fail("write")
    with pytest.raises(StorageFailed):
        writer.append(entries(3, 5))
    return Reader(rig.store, lambda: writer.published)


def test_entries_wait_for_the_pin(ahead: Reader) -> None:
    assert ahead.head().size == 3
    assert ahead.entries(0, 3) == [one.data for one in entries(0, 3)]
    assert ahead.find(entry(2).key) == 2
    assert ahead.find(entry(3).key) is None
    assert ahead.find(b"never") is None
    assert list(ahead.scan(b"")) == [(entry(i).key, i) for i in range(3)]
    assert ahead.last(b"") == (entry(2).key, 2)
    assert ahead.last(entry(3).key) is None
    head = ahead.head()
    published = KeptCheckpoint(3, head.time, head.checkpoint)
    assert [kept.size for kept in ahead.checkpoints()] == [0, 3]
    assert ahead.checkpoint_at_or_after(1) == ahead.checkpoint_at_or_before(5) == published
    assert ahead.checkpoint_at_or_after(4) is None
    before = ahead.checkpoint_at_or_before(2)
    assert before
    assert before.size == 0


@pytest.mark.parametrize(
    "ask",
    [
        lambda reader: reader.entry(3),
        lambda reader: reader.entry(-1),
        lambda reader: reader.entries(2, 4),
        lambda reader: reader.entries(2, 1),
        lambda reader: reader.inclusion(0, 4),
        lambda reader: reader.inclusion(3, 3),
        lambda reader: reader.inclusion(-1, 3),
        lambda reader: reader.inclusion(0, -1),
        lambda reader: reader.consistency(1, 4),
        lambda reader: reader.consistency(3, 2),
        lambda reader: reader.consistency(-1, 2),
        lambda reader: reader.many([0], 4),
        lambda reader: reader.many([3], 3),
        lambda reader: reader.root(4),
        lambda reader: reader.tile_bytes(Tile(0, 0, 4)),
        lambda reader: reader.entry_bundle(Tile(ENTRIES, 0, 4)),
    ],
)
def test_nothing_beyond_the_published_head(ahead: Reader, ask: Callable[[Reader], object]) -> None:
    with pytest.raises(NotFound, match=r"^no "):
        ask(ahead)


def test_scans_and_checkpoints_of_a_published_log(rig: Rig) -> None:
    writer = rig.open()
    reader = Reader(rig.store, lambda: writer.published)
    for number in range(3):
        rig.clock.advance(100)
        writer.append(entries(number * 900, number * 900 + 900, stream=number % 2))
    assert [key for key, _ in reader.scan(b"\0")] == [one.key for one in entries(0, 900) + entries(1800, 2700)]
    assert [index for _, index in reader.scan(b"\1")] == list(range(900, 1800))
    assert list(reader.scan(b"\2")) == []
    assert reader.last(b"\1") == (entry(1799, 1).key, 1799)
    assert [kept.size for kept in reader.checkpoints()] == [0, 900, 1800, 2700]
    first = reader.checkpoint_at_or_after(1000)
    assert first
    assert first.size == 1800


def test_a_log_never_opened_for_writing_has_no_head() -> None:
    with pytest.raises(NotFound, match="no checkpoint yet"):
        Reader(MemoryStore()).head()


def test_missing_and_narrow_tiles_are_corrupt() -> None:
    store, writer = build(600)
    reader = Reader(store, lambda: writer.published)
    store._tiles[0, 1] = store._tiles[0, 1][:320]
    with pytest.raises(Corrupt, match="too narrow"):
        reader.inclusion(300, 600)
    with pytest.raises(Corrupt, match="stored too narrow"):
        reader.tile_bytes(Tile(0, 1))
    del store._tiles[0, 1]
    with pytest.raises(Corrupt, match="fsck"):
        Reader(store, lambda: writer.published).inclusion(300, 600)


def test_without_a_limit_the_stored_head_counts() -> None:
    store, _ = build(5)
    head = Reader(store).head()
    assert isinstance(head, Head)
    assert head == store.head()
