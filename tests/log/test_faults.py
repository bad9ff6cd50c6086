"""Every write fails once, lost or kept; files are cut where a power cut may cut them; then everything is checked."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.log.rig import BACKENDS, ORIGIN, Rig, audit, entries, entry
from tests.log.test_writer import cosign
from twinproof.errors import Conflict, Equivocation, RolledBack, StorageFailed
from twinproof.log.pin import Pin
from twinproof.log.sqlite import SqliteStore
from twinproof.log.store import Entry, Group, Head
from twinproof.log.writer import Appended, Writer
from twinproof.testing import FaultyStore
from twinproof.testing.faults import STORE_WRITES

FORGED = entry(2, payload=b"forged")
GROUPS: list[list[Entry]] = [
    entries(0, 3),
    [*entries(3, 260), FORGED],
    [entry(1), entry(260)],
    [entry(5, payload=b"forged"), entry(4)],
    entries(0, 4, stream=1),
    entries(4, 5, stream=1),
]
REACTIONS = ("again", "reopen", "another group first")


class Client:
    """Sends groups until they are acknowledged, and reacts to failures in one of three ways."""

    def __init__(self, rig: Rig, reaction: str) -> None:
        self.rig = rig
        self.reaction = reaction
        self.acknowledged: dict[int, Entry] = {}
        self.failures = 0
        self.writer = self._open()

    def _open(self) -> Writer:
        while True:
            try:
                return self.rig.open()
            except StorageFailed:
                self.failures += 1

    def send(self, group: list[Entry]) -> None:
        while True:
            try:
                results = self.writer.append(group)
                break
            except StorageFailed:
                self.failures += 1
                if self.reaction == "reopen":
                    self.writer = self._open()
                elif self.reaction == "another group first":
                    self.send([entry(self.failures, stream=7), group[-1]])
        for sent, result in zip(group, results, strict=True):
            if isinstance(result, Appended):
                assert self.acknowledged.setdefault(result.index, sent) == sent
            else:
                assert isinstance(result, Equivocation)
                assert self.acknowledged[result.index].key == sent.key

    def cosign(self) -> None:
        note, time = self.writer.published.checkpoint, self.writer.published.time
        for _ in range(3):
            with suppress(StorageFailed):
                self.writer.add_signatures(cosign(note), time)
                return
            self.failures += 1
            if self.reaction == "reopen":
                self.writer = self._open()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("reaction", REACTIONS)
@pytest.mark.parametrize("kept", [False, True], ids=["lost", "kept"])
@pytest.mark.parametrize(
    ("write", "after"),
    [("commit", n) for n in range(6)]
    + [("write", n) for n in range(6)]
    + [("keep_conflict", n) for n in range(2)]
    + [("replace_checkpoint", n) for n in range(3)],
)
def test_one_failing_write(tmp_path: Path, backend: str, reaction: str, kept: bool, write: str, after: int) -> None:
    rig = Rig(backend, tmp_path)
    faults = rig.store if write in STORE_WRITES else rig.pin
    faults.fail(write, after=after, kept=kept)
    client = Client(rig, reaction)
    for number, group in enumerate(GROUPS):
        client.send(group)
        rig.clock.advance(35)
        if number % 2:
            client.cosign()
    assert client.failures == 1, "the planned fault did not happen"
    sent = {one.key: one for group in GROUPS for one in group if b"forged" not in one.data}
    assert set(sent.values()) <= set(client.acknowledged.values())
    assert {kept.data for kept in rig.store.conflicts()} == {FORGED.data, entry(5, payload=b"forged").data}
    assert b"witness.example/w1" in client.writer.published.checkpoint
    audit(rig, client.acknowledged)
    client.writer = rig.open()
    for group in GROUPS:
        client.send(group)
    audit(rig, client.acknowledged)
    rig.close()


class LateStore(FaultyStore):
    """The first commit after the opening is reported lost, and lands just before the next one."""

    def commit(self, expected: Head | None, group: Group) -> None:
        if self.writes["commit"] == 1:
            self.late = expected, group
        elif self.writes["commit"] == 2:
            self.inner.commit(*self.late)
        super().commit(expected, group)


def test_a_commit_that_lands_after_it_was_given_up(tmp_path: Path) -> None:
    """A database server may finish what its client believes lost; the compare-and-swap sorts it out."""
    rig = Rig("memory", tmp_path)
    late = rig.store.inner = LateStore(rig.store.inner)
    writer = Writer(rig.store, rig.pin, rig.signers, ORIGIN, rig.clock)
    late.fail("commit")
    with pytest.raises(StorageFailed):
        writer.append(entries(0, 3))
    with pytest.raises(Conflict, match="another writer"):
        writer.append(entries(10, 12))
    assert writer.append(entries(10, 12)) == [Appended(3, True), Appended(4, True)]
    assert writer.append(entries(0, 3))[0] == Appended(0, False)
    audit(rig, dict(enumerate([*entries(0, 3), *entries(10, 12)])))


# --- torn files ---


@pytest.fixture
def crashed(tmp_path: Path) -> Iterator[tuple[Rig, Path]]:
    (tmp_path / "origin").mkdir()
    made = Rig("sqlite", tmp_path / "origin")
    yield made, tmp_path / "copy"
    made.close()


def copy_files(rig: Rig, folder: Path, *names: str) -> None:
    folder.mkdir(exist_ok=True)
    for name in names:
        shutil.copy(rig.folder / name, folder / name)


def check_copy(rig: Rig, folder: Path, sizes: set[int], acknowledged: list[Entry], sent: list[Entry]) -> int:
    """Open a crashed copy: sound at one of `sizes`, what was acknowledged is there, and sending again completes it."""
    copy = Rig("sqlite", folder)
    copy.signed = [*rig.signed]
    copy.pin._signed = copy.store._signed = copy.signed
    writer = copy.open()
    size = writer.size
    assert size in sizes
    audit(copy, dict(enumerate(acknowledged)))
    results = writer.append(sent)
    assert results == [Appended(index, index >= size) for index in range(len(sent))]
    audit(copy, dict(enumerate(sent)))
    copy.close()
    return size


def test_a_wal_that_ends_anywhere_in_the_last_commit(crashed: tuple[Rig, Path]) -> None:
    rig, folder = crashed
    first, second = entries(0, 250), entries(250, 262)
    writer = rig.open()
    writer.append(first)
    wal = rig.folder / "log.db-wal"
    before = wal.stat().st_size
    copy_files(rig, folder, "pin")
    old_pin = (folder / "pin").read_bytes()
    signed_before = len(rig.signed)
    writer.append(second)
    whole, database = wal.read_bytes(), rig.path.read_bytes()
    del rig.signed[signed_before:]
    outcomes = []
    cuts = [*range(before, len(whole), 1537), len(whole) - 1, len(whole)]
    for cut in cuts:
        shutil.rmtree(folder)
        folder.mkdir()
        (folder / "log.db").write_bytes(database)
        (folder / "log.db-wal").write_bytes(whole[:cut])
        (folder / "pin").write_bytes(old_pin)
        (folder / "pin.new").write_bytes(whole[:cut][-100:])
        outcomes.append(check_copy(rig, folder, {250, 262}, first, first + second))
    assert outcomes[0] == outcomes[-2] == 250
    assert outcomes[-1] == 262


def test_a_last_wal_frame_of_garbage(crashed: tuple[Rig, Path]) -> None:
    rig, folder = crashed
    first = entries(0, 250)
    writer = rig.open()
    writer.append(first)
    before = (rig.folder / "log.db-wal").stat().st_size
    copy_files(rig, folder, "pin")
    signed_before = len(rig.signed)
    writer.append(entries(250, 262))
    del rig.signed[signed_before:]
    whole = (rig.folder / "log.db-wal").read_bytes()
    for start in (before, before + 24, before + 4000, len(whole) - 4000, len(whole) - 10):
        torn = folder.with_name(f"torn{start}")
        torn.mkdir()
        shutil.copy(folder / "pin", torn / "pin")
        shutil.copy(rig.path, torn / "log.db")
        (torn / "log.db-wal").write_bytes(whole[:start] + b"\xee" * (len(whole) - start))
        check_copy(rig, torn, {250}, first, entries(0, 262))


def test_a_database_torn_while_the_wal_moves_into_it(crashed: tuple[Rig, Path]) -> None:
    rig, folder = crashed
    sent = entries(0, 900)
    writer = rig.open()
    writer.append(sent)
    before, wal, pin = (
        (rig.folder / name).read_bytes() if name != "log.db" else rig.path.read_bytes()
        for name in ("log.db", "log.db-wal", "pin")
    )
    rig.close()
    after = rig.path.read_bytes()
    assert len(after) > len(before) + 4096
    for cut in [*range(0, len(after), 12_345), len(after)]:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / "log.db").write_bytes(after[:cut] + before[cut:])
        (folder / "log.db-wal").write_bytes(wal)
        (folder / "pin").write_bytes(pin)
        check_copy(rig, folder, {900}, sent, sent)


def test_a_crash_between_commit_and_pin(crashed: tuple[Rig, Path]) -> None:
    rig, _ = crashed
    writer = rig.open()
    writer.append(entries(0, 3))
    rig.pin.fail("write")
    with pytest.raises(StorageFailed):
        writer.append(entries(3, 6))
    pinned = rig.pin.read()
    reopened = rig.open()
    assert reopened.size == 6
    assert rig.pin.read() != pinned
    assert reopened.append(entries(3, 6)) == [Appended(index, False) for index in (3, 4, 5)]
    audit(rig, dict(enumerate(entries(0, 6))))


def test_a_crash_before_the_first_pin(tmp_path: Path) -> None:
    rig = Rig("sqlite", tmp_path)
    rig.pin.fail("write")
    with pytest.raises(StorageFailed):
        rig.open()
    assert rig.pin.read() is None
    assert rig.open().append([entry(0)]) == [Appended(0, True)]
    audit(rig, {0: entry(0)})
    rig.close()


def test_the_pin_of_a_lying_disk_is_noticed(crashed: tuple[Rig, Path]) -> None:
    """Had fsync lied and the last commits vanished, the pin would still tell."""
    rig, folder = crashed
    writer = rig.open()
    writer.append(entries(0, 3))
    copy_files(rig, folder, "log.db", "log.db-wal")
    writer.append(entries(3, 6))
    copy_files(rig, folder, "pin")
    copy = SqliteStore(folder / "log.db")
    with pytest.raises(RolledBack, match="older copy"):
        Writer(copy, Pin(folder / "pin"), rig.signers, ORIGIN, rig.clock)
    copy.close()
