"""What every backend promises; a new one is added to `BACKENDS` in rig.py and must pass all of this."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.log.rig import BACKENDS, Rig
from twinproof.errors import Conflict, NotFound, StorageFailed
from twinproof.log import store as store_module
from twinproof.log.memory import MemoryStore
from twinproof.log.sqlite import SqliteStore
from twinproof.log.store import Entry, Group, Head, KeptConflict, Store, after_prefix, opens_period


@pytest.fixture
def store(rig: Rig) -> Store:
    return rig.store.inner


def head(size: int, time: int = 1000, root: bytes | None = None, lines: bytes = b"") -> Head:
    text = b"log\n%d\nroot\n\nsigned\n" % size
    return Head(size, root or size.to_bytes(32, "big"), text + lines, time)


def group(start: int, end: int, time: int = 1000, tiles: list[tuple[int, int, bytes]] | None = None) -> Group:
    made = [Entry(b"key%03d" % i, b"data%d" % i) for i in range(start, end)]
    return Group(made, tiles if tiles is not None else [(0, 0, b"h" * 32 * end)], head(end, time))


def grow(store: Store, *steps: tuple[int, int]) -> None:
    """Commit once per (size, time)."""
    for size, time in steps:
        old = store.head()
        store.commit(old, group(old.size if old else 0, size, time))


def test_a_new_store_is_empty(store: Store) -> None:
    assert store.head() is None
    assert store.find(b"key") is None
    assert store.last(b"") is None
    assert store.scan(b"") == []
    assert store.checkpoints() == []
    assert store.checkpoint_at_or_after(0) is None
    assert store.checkpoint_at_or_before(9) is None
    assert store.conflicts() == []
    assert store.entries(0, 0) == []
    with pytest.raises(NotFound, match="entry 0"):
        store.entries(0, 1)
    with pytest.raises(NotFound, match="tile 0 at level 0"):
        store.tile(0, 0)


def test_a_commit_is_there_whole(store: Store) -> None:
    store.commit(None, group(0, 3, tiles=[(0, 0, b"a" * 96), (7, 2**55 - 1, b"z" * 32)]))
    assert store.head() == head(3)
    assert store.entries(0, 3) == [b"data0", b"data1", b"data2"]
    assert store.entries(1, 2) == [b"data1"]
    assert store.tile(0, 0) == b"a" * 96
    assert store.tile(7, 2**55 - 1) == b"z" * 32
    assert store.find(b"key001") == 1
    with pytest.raises(NotFound, match="entry 3"):
        store.entries(2, 5)


@pytest.mark.parametrize("count", [0, 1, 255, 256, 257, 1000])
def test_many_keys_are_found_at_once(store: Store, count: int) -> None:
    where = put_keys(store, [b"%d" % i for i in range(1000)])
    keys = [b"%d" % (i * 2) for i in range(count)]
    assert store.find_many(keys) == {key: where[key] for key in keys if key in where}


def test_it_survives_a_restart(rig: Rig) -> None:
    grow(rig.store.inner, (2, 1000), (5, 2000))
    rig.store.inner.keep_conflict(b"key001", 1, b"other", 3)
    before = rig.store.inner
    rig.restart()
    store = rig.store.inner
    assert store is before or isinstance(store, SqliteStore)
    assert store.head() == head(5, 2000)
    assert store.entries(0, 5) == [b"data%d" % i for i in range(5)]
    assert [kept.size for kept in store.checkpoints()] == [2, 5]
    assert store.conflicts() == [KeptConflict(b"key001", 1, b"other", 3)]


@pytest.mark.parametrize("expected", [None, head(1), head(3), head(2, root=b"x" * 32)])
def test_a_commit_on_another_head_is_refused_whole(store: Store, expected: Head | None) -> None:
    store.commit(None, group(0, 2))
    with pytest.raises(Conflict, match="another writer"):
        store.commit(expected, group(2, 4))
    assert store.head() == head(2)
    assert store.find(b"key002") is None
    assert store.tile(0, 0) == b"h" * 64
    with pytest.raises(NotFound):
        store.entries(2, 3)
    store.commit(head(2), group(2, 4))
    assert store.head() == head(4)


def test_a_first_commit_must_expect_no_head(store: Store) -> None:
    with pytest.raises(Conflict):
        store.commit(head(0), group(0, 2))
    assert store.head() is None


def test_cosignatures_do_not_disturb_the_swap(store: Store) -> None:
    store.commit(None, group(0, 2))
    store.replace_checkpoint(2, head(2, lines=b"cosigned\n").checkpoint)
    store.commit(head(2), group(2, 3))
    kept = store.checkpoint_at_or_after(0)
    assert kept
    assert kept.note == head(2, lines=b"cosigned\n").checkpoint


@pytest.mark.parametrize("taken", [[b"key001"], [b"new", b"new"], [b"new", b"key000"]])
def test_a_taken_position_is_refused_whole(store: Store, taken: list[bytes]) -> None:
    store.commit(None, group(0, 2))
    with pytest.raises(Conflict, match="position"):
        store.commit(head(2), Group([Entry(key, b"x") for key in taken], [(0, 0, b"t" * 128)], head(2 + len(taken))))
    assert store.head() == head(2)
    assert store.find(b"new") is None
    assert store.tile(0, 0) == b"h" * 64
    assert store.scan(b"") == [(b"key000", 0), (b"key001", 1)]


KEYS = [b"a", b"a\x00", b"a\xff", b"a\xff\xff", b"b", b"b1", b"\xff", b"\xff\xff", b"\xff\xffz"]


def put_keys(store: Store, keys: list[bytes]) -> dict[bytes, int]:
    store.commit(None, Group([Entry(key, b"data") for key in keys], [], head(len(keys))))
    return {key: i for i, key in enumerate(keys)}


def check_scans(store: Store, where: dict[bytes, int], prefix: bytes, after: bytes, limit: int) -> None:
    wanted = sorted((k, i) for k, i in where.items() if k.startswith(prefix))
    assert store.scan(prefix) == wanted
    assert store.last(prefix) == (wanted[-1] if wanted else None)
    assert store.find_many([*where, b"never there", b"a", prefix]) == where
    assert store.scan(prefix, after, limit) == [(k, i) for k, i in wanted if k > after][:limit]


@pytest.mark.parametrize("prefix", [b"", b"a", b"a\xff", b"b", b"c", b"\xff", b"\xff\xff", b"\xff\xff\xff", b"0"])
@pytest.mark.parametrize("after", [b"", b"0", b"a", b"a\xff", b"b0", b"\xff", b"\xff\xff\xff"])
def test_scans_follow_key_order(store: Store, prefix: bytes, after: bytes) -> None:
    where = put_keys(store, KEYS[::-1])
    for limit in (1, 2, 100):
        check_scans(store, where, prefix, after, limit)


@pytest.mark.parametrize("backend", BACKENDS)
@given(
    keys=st.lists(st.binary(min_size=1, max_size=4), unique=True, max_size=30),
    prefix=st.binary(max_size=2),
    after=st.binary(max_size=3),
    limit=st.integers(1, 5),
)
def test_scans_of_any_keys(
    tmp_path_factory: pytest.TempPathFactory, backend: str, keys: list[bytes], prefix: bytes, after: bytes, limit: int
) -> None:
    store: Store = MemoryStore() if backend == "memory" else SqliteStore(tmp_path_factory.mktemp("scan") / "log.db")
    try:
        check_scans(store, put_keys(store, keys), prefix, after, limit)
    finally:
        store.close()


@given(st.binary(max_size=3), st.binary(max_size=4))
def test_after_prefix_is_the_least_key_after_all_with_the_prefix(prefix: bytes, key: bytes) -> None:
    end = after_prefix(prefix)
    assert key.startswith(prefix) == (key >= prefix and (end is None or key < end))


# --- the history of checkpoints ---


def test_the_first_checkpoint_of_each_minute_is_kept(store: Store) -> None:
    grow(store, (1, 600), (2, 601), (3, 659), (4, 660), (5, 661), (6, 900), (7, 901))
    assert [(kept.size, kept.time) for kept in store.checkpoints()] == [(1, 600), (4, 660), (6, 900), (7, 901)]
    assert store.checkpoints()[1].note == head(4).checkpoint


@pytest.mark.parametrize(
    ("size", "after", "before"), [(0, 1, None), (1, 1, 1), (2, 4, 1), (5, 6, 4), (7, 7, 7), (8, None, 7)]
)
def test_kept_checkpoints_are_found_by_size(store: Store, size: int, after: int | None, before: int | None) -> None:
    grow(store, (1, 600), (2, 601), (3, 659), (4, 660), (5, 661), (6, 900), (7, 901))
    found_after, found_before = store.checkpoint_at_or_after(size), store.checkpoint_at_or_before(size)
    assert (found_after.size if found_after else None) == after
    assert (found_before.size if found_before else None) == before


def test_the_history_can_be_paged(store: Store) -> None:
    grow(store, *((size, size * 100) for size in range(1, 8)))
    pages, after = [], -1
    while page := store.checkpoints(after, 3):
        pages.append([kept.size for kept in page])
        after = page[-1].size
    assert pages == [[1, 2, 3], [4, 5, 6], [7]]


@pytest.mark.parametrize(
    ("time", "previous", "keep_every", "opens"),
    [
        (0, None, 60, True),
        (59, 0, 60, False),
        (60, 59, 60, True),
        (61, 60, 60, False),
        (5, 5, 0, True),
        (1, 9, 60, False),
    ],
)
def test_periods(time: int, previous: int | None, keep_every: int, opens: bool) -> None:
    assert opens_period(time, previous, keep_every) is opens


def test_signatures_are_added_to_head_and_history(store: Store) -> None:
    grow(store, (1, 600), (2, 700))
    for size in (1, 2):
        store.replace_checkpoint(size, head(size, lines=b"more\n").checkpoint)
        store.replace_checkpoint(size, head(size, lines=b"more\n").checkpoint)
    assert [kept.note for kept in store.checkpoints()] == [head(size, lines=b"more\n").checkpoint for size in (1, 2)]
    assert store.head() == Head(2, head(2).root, head(2, lines=b"more\n").checkpoint, 700)


@pytest.mark.parametrize("size", [1, 2])
def test_a_replacement_must_have_the_same_text(store: Store, size: int) -> None:
    grow(store, (1, 600), (2, 700))
    with pytest.raises(Conflict, match="another text"):
        store.replace_checkpoint(size, head(9).checkpoint)
    assert [kept.note for kept in store.checkpoints()] == [head(1).checkpoint, head(2).checkpoint]


def test_a_thinned_out_checkpoint_comes_back_only_with_its_time(store: Store) -> None:
    grow(store, (1, 600), (2, 601), (3, 602))
    with pytest.raises(NotFound, match="size 2"):
        store.replace_checkpoint(2, head(2).checkpoint)
    store.replace_checkpoint(2, head(2).checkpoint, 601)
    assert [(kept.size, kept.time) for kept in store.checkpoints()] == [(1, 600), (2, 601), (3, 602)]
    with pytest.raises(NotFound, match="size 4"):
        store.replace_checkpoint(4, head(4).checkpoint, 601)


# --- conflicts ---


def test_one_conflict_is_kept_per_key(store: Store) -> None:
    store.keep_conflict(b"k2", 7, b"first", 10)
    store.keep_conflict(b"k1", 8, b"other", 11)
    store.keep_conflict(b"k2", 7, b"second", 12)
    assert store.conflicts() == [KeptConflict(b"k1", 8, b"other", 11), KeptConflict(b"k2", 7, b"first", 10)]


def test_conflicts_are_bounded(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("memory", "sqlite"):
        monkeypatch.setattr(f"twinproof.log.{module}.MAX_CONFLICTS", 3)
    for number in range(9):
        rig.store.inner.keep_conflict(b"k%d" % number, number, b"data", 1)
    assert [kept.key for kept in rig.store.inner.conflicts()] == [b"k0", b"k1", b"k2"]
    assert store_module.MAX_CONFLICTS == 10_000


# --- threads, closing ---


def test_readers_in_other_threads_see_only_whole_commits(store: Store) -> None:
    grow(store, (1, 1000))
    problems: list[str] = []
    done = False

    def read() -> None:
        while not done:
            seen = store.head()
            assert seen
            if len(store.entries(0, seen.size)) != seen.size or len(store.tile(0, 0)) < 32 * seen.size:
                problems.append(f"size {seen.size} is not all there")

    threads = [Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for size in range(2, 60):
        grow(store, (size, 1000))
    done = True
    for thread in threads:
        thread.join()
    assert problems == []


@pytest.fixture
def closed(rig: Rig) -> Iterator[Store]:
    grow(rig.store.inner, (1, 1))
    rig.store.inner.close()
    yield rig.store.inner
    rig.store.inner.close()


def test_a_closed_store_says_so(closed: Store) -> None:
    calls: list[Callable[[], object]] = [
        closed.head,
        closed.checkpoints,
        closed.conflicts,
        lambda: closed.entries(0, 1),
        lambda: closed.tile(0, 0),
        lambda: closed.find(b"k"),
        lambda: closed.find_many([b"k"]),
        lambda: closed.scan(b""),
        lambda: closed.last(b""),
        lambda: closed.commit(head(1), group(1, 2)),
        lambda: closed.replace_checkpoint(1, head(1).checkpoint),
        lambda: closed.keep_conflict(b"k", 0, b"d", 1),
    ]
    for call in calls:
        with pytest.raises(StorageFailed, match="closed"):
            call()


def test_stores_are_made_in_their_folder(tmp_path: Path) -> None:
    rig = Rig("sqlite", tmp_path)
    rig.close()
    assert {path.name for path in tmp_path.iterdir()} == {"log.db", "log.db.lock"}
