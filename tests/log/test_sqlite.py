"""What only a file can do: be locked, be another program's, be full, be read by a second process."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest

from tests.log.rig import ORIGIN, SIGNER, VERIFIERS, Rig, entries, entry, indices, key_of
from twinproof.errors import ConfigError, Conflict, Corrupt, NotFound, StorageFailed
from twinproof.log.fsck import fsck
from twinproof.log.pin import Pin
from twinproof.log.sqlite import APPLICATION_ID, SqliteStore
from twinproof.log.writer import Writer
from twinproof.testing import ManualClock

PYTHONPATH = os.pathsep.join(filter(None, sys.path))


def run_child(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
    )


def test_the_files_are_their_owners_alone(sqlite_rig: Rig) -> None:
    sqlite_rig.open().append(entries(0, 3))
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in sqlite_rig.folder.iterdir()}
    assert modes == dict.fromkeys(["log.db", "log.db-shm", "log.db-wal", "log.db.lock", "pin"], 0o600)


def test_the_settings_that_durability_rests_on(sqlite_rig: Rig) -> None:
    store = sqlite_rig.store.inner
    assert isinstance(store, SqliteStore)
    writer = store._open_writer()
    asked = ("journal_mode", "synchronous", "application_id", "user_version", "fullfsync")
    assert [writer.execute(f"PRAGMA {name}").fetchone()[0] for name in asked] == [b"wal", 2, APPLICATION_ID, 1, 1]
    writer.close()


def test_one_writer_per_log_in_one_process(sqlite_rig: Rig) -> None:
    with pytest.raises(Conflict, match="one log has one writer"):
        SqliteStore(sqlite_rig.path)
    sqlite_rig.store.close()
    SqliteStore(sqlite_rig.path).close()


SECOND_WRITER = """
import sys
from twinproof.errors import Conflict
from twinproof.log.sqlite import SqliteStore
try:
    SqliteStore(sys.argv[1])
except Conflict as problem:
    print(problem)
print(SqliteStore(sys.argv[1], read_only=True).head().size)
"""


def test_a_second_process_may_read_but_not_write(sqlite_rig: Rig) -> None:
    sqlite_rig.open().append(entries(0, 300))
    said = run_child(SECOND_WRITER, str(sqlite_rig.path)).stdout.splitlines()
    assert "one writer" in said[0]
    assert said[1] == "300"


def test_a_reader_beside_the_writer_follows_it(sqlite_rig: Rig) -> None:
    writer = sqlite_rig.open()
    beside = SqliteStore(sqlite_rig.path, read_only=True)
    for size in (3, 260, 261):
        writer.append(entries(writer.size, size))
        seen = beside.head()
        assert seen
        assert seen.size == size
        assert list(fsck(beside, verifiers=VERIFIERS, pin=Pin(sqlite_rig.folder / "pin"), key_of=key_of)) == []
    with pytest.raises(StorageFailed, match="reading only"):
        beside.keep_conflict(b"k", 0, b"d", 1)
    beside.close()


def test_a_log_that_nobody_writes_can_be_read(sqlite_rig: Rig) -> None:
    sqlite_rig.open().append(entries(0, 3))
    sqlite_rig.close()
    beside = SqliteStore(sqlite_rig.path, read_only=True)
    assert len(beside.entries(0, 3)) == 3
    beside.close()


def test_reading_makes_no_log(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no such log"):
        SqliteStore(tmp_path / "absent.db", read_only=True)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed, match="No such file"):
        SqliteStore(tmp_path / "absent" / "log.db")


@pytest.mark.parametrize("read_only", [False, True])
def test_another_programs_database_is_left_alone(tmp_path: Path, read_only: bool) -> None:
    path = tmp_path / "theirs.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE theirs (x)")
    other.close()
    with pytest.raises(ConfigError, match="not a Twinproof log"):
        SqliteStore(path, read_only=read_only)
    other = sqlite3.connect(path)
    assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("theirs",)]
    other.close()


def test_a_later_format_is_refused(sqlite_rig: Rig) -> None:
    sqlite_rig.close()
    other = sqlite3.connect(sqlite_rig.path)
    other.execute("PRAGMA user_version = 2")
    other.close()
    with pytest.raises(ConfigError, match="format 2; this program reads format 1"):
        SqliteStore(sqlite_rig.path)


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    path.write_bytes(b"this is not a database at all, but quite some text of it\n" * 100)
    with pytest.raises(Corrupt, match="bring back a backup"):
        SqliteStore(path)
    with pytest.raises(Corrupt, match="bring back a backup"):
        SqliteStore(path, read_only=True)


@pytest.mark.parametrize("leftover", [b"", None])
def test_a_crash_while_creating_is_no_obstacle(tmp_path: Path, leftover: bytes | None) -> None:
    path = tmp_path / "log.db"
    if leftover is not None:
        path.write_bytes(leftover)
    else:
        half = sqlite3.connect(path)
        half.execute("PRAGMA journal_mode = WAL")
        half.close()
    store = SqliteStore(path)
    assert store.head() is None
    store.close()


def test_a_value_of_another_type_is_corrupt(sqlite_rig: Rig) -> None:
    sqlite_rig.open().append(entries(0, 3))
    other = sqlite3.connect(sqlite_rig.path)
    other.execute("UPDATE entry SET data = 3 WHERE idx = 1")
    other.execute("UPDATE tile SET data = 7")
    other.commit()
    other.close()
    with pytest.raises(Corrupt, match="entry 1 is not bytes"):
        sqlite_rig.store.entries(0, 3)
    with pytest.raises(Corrupt, match="level 0 tile 0 is not bytes"):
        sqlite_rig.store.tile(0, 0)


def test_a_damaged_page_is_corrupt(sqlite_rig: Rig) -> None:
    sqlite_rig.open().append(entries(0, 2000))
    sqlite_rig.close()
    raw = bytearray(sqlite_rig.path.read_bytes())
    for page in range(4096, len(raw), 4096):
        raw[page : page + 200] = b"\xa5" * 200
    sqlite_rig.path.write_bytes(raw)
    with pytest.raises(Corrupt, match="bring back a backup"):
        Writer(SqliteStore(sqlite_rig.path), sqlite_rig.pin, [SIGNER], ORIGIN, ManualClock())


FULL_DISK = """
import json, resource, signal, sys
from pathlib import Path
from tests.log.rig import ORIGIN, SIGNER, Rig, entries, indices
from twinproof.errors import StorageFailed

rig = Rig("sqlite", Path(sys.argv[1]))
writer = rig.open()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
acknowledged, refusals = [], []
limits = [600_000, 1_100_000, resource.RLIM_INFINITY]
resource.setrlimit(resource.RLIMIT_FSIZE, (limits.pop(0), resource.RLIM_INFINITY))
start = 0
while len(acknowledged) < 12_000:
    try:
        acknowledged += indices(writer.append(entries(start, start + 250)))
        start += 250
    except StorageFailed as problem:
        refusals.append(str(problem))
        if len(refusals) % 3 == 0:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limits.pop(0), resource.RLIM_INFINITY))
rig.close()
print(json.dumps({"acknowledged": acknowledged, "refusals": refusals}))
"""


def test_a_disk_that_refuses_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    said = json.loads(run_child(FULL_DISK, str(tmp_path)).stdout)
    assert said["acknowledged"] == list(range(12_000))
    assert len(said["refusals"]) >= 3
    rig = Rig("sqlite", tmp_path)
    assert rig.fsck() == []
    assert rig.stored() == [wanted.data for wanted in entries(0, 12_000)]
    rig.close()


def test_reader_connections_end_with_their_threads(sqlite_rig: Rig) -> None:
    store = sqlite_rig.store.inner
    assert isinstance(store, SqliteStore)
    for _ in range(20):
        thread = Thread(target=store.head)
        thread.start()
        thread.join()
    assert len(store._readers) <= 1


def test_an_unwritable_folder_says_what_is_wrong(tmp_path: Path) -> None:
    pin = Pin(tmp_path / "absent" / "pin")
    assert pin.read() is None
    with pytest.raises(StorageFailed, match="the pin must be writable"):
        pin.write(b"note")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageFailed, match="directory"):
        Pin(tmp_path / "folder").read()


def test_a_pin_is_replaced_whole_and_ignores_torn_leftovers(tmp_path: Path) -> None:
    pin = Pin(tmp_path / "pin")
    for note in (b"first note", b"a second, longer note", b"3"):
        (tmp_path / "pin.new").write_bytes(b"torn leftover of a crash, longer than any of the notes")
        before = pin.read()
        assert before != note
        pin.write(note)
        assert pin.read() == note
    assert [path.name for path in tmp_path.iterdir()] == ["pin"]
    assert stat.S_IMODE((tmp_path / "pin").stat().st_mode) == 0o600


def test_a_pin_reaches_the_disk_before_it_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def note_fsync(file: int) -> None:
        done.append("fsync folder" if stat.S_ISDIR(os.fstat(file).st_mode) else f"fsync {os.fstat(file).st_size} bytes")
        fsync(file)

    def note_replace(path: Path, target: Path) -> Path:
        done.append("replace")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(Path, "replace", note_replace)
    Pin(tmp_path / "pin").write(b"note")
    assert done == ["fsync 4 bytes", "replace", "fsync folder"]


def test_a_checkpoint_of_the_wal_keeps_everything(sqlite_rig: Rig) -> None:
    writer = sqlite_rig.open()
    wanted = [entry(number, payload=bytes(2000)) for number in range(12_000)]
    for start in range(0, 12_000, 1000):
        assert indices(writer.append(wanted[start : start + 1000])) == list(range(start, start + 1000))
    assert sqlite_rig.path.stat().st_size > 10_000_000, "the WAL never moved into the database"
    sqlite_rig.close()
    assert not sqlite_rig.path.with_name("log.db-wal").exists()
    assert sqlite_rig.open().size == 12_000
    assert sqlite_rig.stored() == [one.data for one in wanted]
