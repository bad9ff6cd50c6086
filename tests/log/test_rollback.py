"""An older copy of the database: it must not be signed upon, and both ways back must work."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.log.rig import ORIGIN, SIGNER, STRANGER, VERIFIERS, Rig, audit, entries, entry, indices
from twinproof.errors import Corrupt, Equivocation, RolledBack, StorageFailed, Untrusted
from twinproof.log.memory import MemoryStore
from twinproof.log.pin import Pin
from twinproof.log.recovery import repin, restore
from twinproof.log.signing import sign_head
from twinproof.log.store import Entry
from twinproof.log.writer import Appended, Writer
from twinproof.proof.note import COSIGNATURE_ML_DSA_44, SignerKey
from twinproof.testing import ManualClock, MemoryPin

OLD, NEW = 300, 700
ALL = entries(0, NEW)


class History:
    """A log of NEW entries, the copy made of its database at OLD, and what it signed then."""

    def __init__(self, folder: Path) -> None:
        self.rig = Rig("sqlite", folder)
        self.backup = folder / "backup"
        self.backup.mkdir()
        self.newer = folder / "newer"
        self.newer.mkdir()
        writer = self.rig.open()
        writer.append(ALL[:OLD])
        self.old_note = writer.published.checkpoint
        self._copy(self.backup)
        self.rig.open().append(ALL[OLD:500])
        self.rig.open().append(ALL[500:])
        head = self.rig.store.head()
        assert head
        self.head = head
        self._copy(self.newer)

    def _copy(self, folder: Path) -> None:
        self.rig.close()
        shutil.copy(self.rig.path, folder / "log.db")

    def put_back(self, folder: Path) -> None:
        self.rig.close()
        shutil.copy(folder / "log.db", self.rig.path)
        self.rig.restart()


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    made = History(tmp_path)
    made.put_back(made.backup)
    yield made
    made.rig.close()


def refuse(history: History, match: str = "older copy") -> str:
    signed, before = len(history.rig.signed), history.rig.store.head()
    with pytest.raises(RolledBack, match=match) as refusal:
        history.rig.open()
    assert history.rig.store.head() == before
    assert len(history.rig.signed) == signed
    return str(refusal.value)


def test_an_older_copy_is_not_signed_upon_and_the_way_back_is_told(history: History) -> None:
    said = refuse(history)
    assert "holds 300 entries" in said
    assert "checkpoint of 700" in said
    assert "newer copy" in said
    assert "outboxes or a mirror" in said
    assert "Nothing was signed" in said


def test_the_newer_copy_put_back_goes_on(history: History) -> None:
    refuse(history)
    history.put_back(history.newer)
    assert history.rig.open().append([entry(NEW)]) == [Appended(NEW, True)]
    audit(history.rig, dict(enumerate([*ALL, entry(NEW)])))


@pytest.mark.parametrize("given", [ALL[OLD:], ALL, ALL[:10] + ALL[OLD:500] + ALL[:OLD] + ALL[400:]])
def test_restored_entries_reach_the_pinned_root(history: History, given: list[Entry]) -> None:
    signed = len(history.rig.signed)
    assert restore(history.rig.store, history.rig.pin, VERIFIERS, ORIGIN, given, 5) == NEW - OLD
    assert len(history.rig.signed) == signed + 1
    restored = history.rig.store.head()
    assert restored
    assert (restored.size, restored.root, restored.checkpoint) == (NEW, history.head.root, history.head.checkpoint)
    assert restore(history.rig.store, history.rig.pin, VERIFIERS, ORIGIN, given, 5) == 0
    writer = history.rig.open()
    assert indices(writer.append([entry(0), entry(NEW - 1), entry(NEW)])) == [0, NEW - 1, NEW]
    audit(history.rig, dict(enumerate([*ALL, entry(NEW)])))


@pytest.mark.parametrize(
    "given",
    [
        [],
        ALL[OLD:-1],
        [*ALL[OLD:], entry(NEW)],
        [*ALL[OLD:500], *ALL[501:], ALL[500]],
        [*ALL[OLD:-1], entry(NEW - 1, payload=b"other")],
    ],
    ids=["nothing", "too few", "too many", "out of order", "altered"],
)
def test_anything_else_changes_nothing(history: History, given: list[Entry]) -> None:
    before = history.rig.store.head()
    with pytest.raises(RolledBack, match="Nothing was changed"):
        restore(history.rig.store, history.rig.pin, VERIFIERS, ORIGIN, given, 5)
    assert history.rig.store.head() == before
    assert history.rig.store.find(entry(OLD).key) is None
    refuse(history)


def test_an_entry_that_contradicts_a_stored_one_is_refused(history: History) -> None:
    with pytest.raises(Equivocation, match="contradicts") as refusal:
        restore(history.rig.store, history.rig.pin, VERIFIERS, ORIGIN, [entry(7, payload=b"other")], 5)
    assert refusal.value.index == 7


def test_a_database_lost_whole_can_be_restored(history: History) -> None:
    history.rig.close()
    history.rig.path.unlink()
    history.rig.restart()
    said = refuse(history)
    assert "holds 0 entries" in said
    assert restore(history.rig.store, history.rig.pin, VERIFIERS, ORIGIN, ALL, 5) == NEW
    history.rig.open()
    audit(history.rig, dict(enumerate(ALL)))


def test_restore_needs_a_pin_and_sound_tiles(history: History) -> None:
    with pytest.raises(RolledBack, match="no pin"):
        restore(history.rig.store, MemoryPin(), VERIFIERS, ORIGIN, ALL, 5)
    store = MemoryStore()
    Writer(store, MemoryPin(), [SIGNER], ORIGIN, ManualClock()).append(ALL[:OLD])
    store._tiles[0, 1] = bytes(8192)
    with pytest.raises(Corrupt, match="fsck"):
        restore(store, history.rig.pin, VERIFIERS, ORIGIN, ALL, 5)
    del store._tiles[0, 1]
    with pytest.raises(Corrupt, match="fsck"):
        restore(store, history.rig.pin, VERIFIERS, ORIGIN, ALL, 5)


def test_a_restored_head_keeps_the_time_that_was_signed() -> None:
    signer = SignerKey(ORIGIN, COSIGNATURE_ML_DSA_44, b"\x44" * 32)
    pin = MemoryPin()
    writer = Writer(MemoryStore(), pin, [signer], ORIGIN, ManualClock(5000))
    writer.append(ALL[:5])
    store = MemoryStore()
    verifiers = writer._verifiers
    assert restore(store, pin, verifiers, ORIGIN, ALL[:5], 9999) == 5
    head = store.head()
    assert head
    assert head.time == 5000


# --- forks ---


@pytest.mark.parametrize("size", [NEW, NEW + 50])
def test_a_fork_of_the_same_size_or_longer_is_refused(history: History, size: int) -> None:
    fork = MemoryStore()
    Writer(fork, MemoryPin(), [SIGNER], ORIGIN, ManualClock()).append(entries(0, size, stream=9))
    before = fork.head()
    with pytest.raises(RolledBack, match="it is a fork"):
        Writer(fork, history.rig.pin, [SIGNER], ORIGIN, ManualClock())
    assert fork.head() == before


def test_an_older_pin_is_brought_up_to_date(history: History) -> None:
    history.put_back(history.newer)
    history.rig.pin.inner.write(history.old_note)
    history.rig.open()
    assert history.rig.pin.read() == history.head.checkpoint


# --- a pin that is lost ---


def lose_pin(history: History) -> None:
    history.rig.pin.inner = Pin(history.rig.folder / "new-pin")


def test_entries_without_a_pin_are_not_signed_upon(history: History) -> None:
    lose_pin(history)
    said = refuse(history, "no pin")
    assert "witness, an anchor or a customer" in said
    assert history.rig.pin.read() is None


def test_an_empty_log_without_a_pin_may_go_on() -> None:
    store = MemoryStore()
    Writer(store, MemoryPin(), [SIGNER], ORIGIN, ManualClock())
    assert Writer(store, MemoryPin(), [SIGNER], ORIGIN, ManualClock()).append([entry(0)]) == [Appended(0, True)]


def test_repin_with_the_newest_known_checkpoint(history: History) -> None:
    history.put_back(history.newer)
    lose_pin(history)
    refuse(history, "no pin")
    assert repin(history.rig.store, history.rig.pin, VERIFIERS, ORIGIN, history.old_note) == 0
    assert history.rig.open().append([entry(NEW)]) == [Appended(NEW, True)]
    audit(history.rig, dict(enumerate([*ALL, entry(NEW)])))


def test_repin_beyond_the_database_says_how_many_are_missing(history: History) -> None:
    lose_pin(history)
    assert repin(history.rig.store, history.rig.pin, VERIFIERS, ORIGIN, history.head.checkpoint) == NEW - OLD
    refuse(history)
    assert restore(history.rig.store, history.rig.pin, VERIFIERS, ORIGIN, ALL, 5) == NEW - OLD
    history.rig.open()
    audit(history.rig, dict(enumerate(ALL)))


def test_repin_refuses_a_fork(history: History) -> None:
    lose_pin(history)
    fork = sign_head([SIGNER], ORIGIN, OLD, b"\x07" * 32, 5).checkpoint
    with pytest.raises(RolledBack, match="keep both as evidence"):
        repin(history.rig.store, history.rig.pin, VERIFIERS, ORIGIN, fork)
    assert history.rig.pin.read() is None


def test_repin_never_sets_an_intact_pin_back(history: History) -> None:
    for note in (history.old_note, sign_head([SIGNER], ORIGIN, NEW, b"\x07" * 32, 5).checkpoint):
        with pytest.raises(RolledBack, match="intact and newer"):
            repin(history.rig.store, history.rig.pin, VERIFIERS, ORIGIN, note)
        assert history.rig.pin.read() == history.head.checkpoint


@pytest.mark.parametrize("torn", [b"", b"log.example/plant7\n70", b"\xff" * 300])
def test_a_damaged_pin_is_told_and_replaced(history: History, torn: bytes) -> None:
    history.put_back(history.newer)
    lose_pin(history)
    history.rig.pin.inner.write(torn)
    said = refuse(history, "the pin is damaged")
    assert "repin" in said
    assert repin(history.rig.store, history.rig.pin, VERIFIERS, ORIGIN, history.head.checkpoint) == 0
    assert history.rig.open().size == NEW


def test_repin_takes_only_this_logs_word(history: History) -> None:
    lose_pin(history)
    stranger = sign_head([STRANGER], ORIGIN, OLD, history.head.root, 5).checkpoint
    with pytest.raises(Untrusted):
        repin(history.rig.store, history.rig.pin, VERIFIERS, ORIGIN, stranger)
    with pytest.raises(Corrupt):
        repin(history.rig.store, history.rig.pin, VERIFIERS, ORIGIN, b"nothing")
    assert history.rig.pin.read() is None


def test_repin_on_broken_tiles(history: History) -> None:
    store = MemoryStore()
    Writer(store, MemoryPin(), [SIGNER], ORIGIN, ManualClock()).append(ALL[:OLD])
    store._tiles.clear()
    with pytest.raises(Corrupt, match="a tree of 300 needs it"):
        repin(store, MemoryPin(), VERIFIERS, ORIGIN, history.old_note)


# --- faults on the way back ---


@pytest.mark.parametrize("kept", [False, True])
def test_a_fault_while_restoring_is_survived(history: History, kept: bool) -> None:
    history.rig.store.fail("commit", kept=kept)
    with pytest.raises(StorageFailed):
        restore(history.rig.store, history.rig.pin, VERIFIERS, ORIGIN, ALL, 5)
    assert restore(history.rig.store, history.rig.pin, VERIFIERS, ORIGIN, ALL, 5) == (0 if kept else NEW - OLD)
    history.rig.open()
    audit(history.rig, dict(enumerate(ALL)))


@pytest.mark.parametrize("kept", [False, True])
def test_a_fault_while_repinning_is_survived(history: History, kept: bool) -> None:
    history.put_back(history.newer)
    lose_pin(history)
    history.rig.pin.fail("write", kept=kept)
    with pytest.raises(StorageFailed):
        repin(history.rig.store, history.rig.pin, VERIFIERS, ORIGIN, history.head.checkpoint)
    assert (history.rig.pin.read() is not None) == kept
    assert repin(history.rig.store, history.rig.pin, VERIFIERS, ORIGIN, history.head.checkpoint) == 0
    history.rig.open()
