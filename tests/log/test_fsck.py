"""Each single tampering is named, and a sound log has no findings."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.log.rig import ORIGIN, PQ_SIGNER, SIGNER, STRANGER, VERIFIERS, Rig, audit, entries, entry, key_of
from tests.log.test_writer import cosign
from twinproof.errors import Malformed
from twinproof.log.fsck import Finding, fsck
from twinproof.log.signing import sign_head
from twinproof.log.sqlite import SqliteStore, _tile_id
from twinproof.proof.cosignature import verifier
from twinproof.proof.merkle import hash_leaf

SIZE = 700
BOTH = [verifier(SIGNER.verifier), verifier(PQ_SIGNER.verifier)]
LAST = f"size {SIZE}"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Rig:
    """A closed log of 700 entries with checkpoints at 0, 300, 600 and 700, and one conflict."""
    rig = Rig("sqlite", tmp_path_factory.mktemp("fsck"), signers=(SIGNER, PQ_SIGNER))
    writer = rig.open()
    for start, end in ((0, 300), (300, 600), (600, SIZE)):
        rig.clock.advance(100)
        writer.append(entries(start, end))
        writer.add_signatures(cosign(writer.published.checkpoint))
    writer.append([entry(5, payload=b"forged")])
    rig.close()
    return rig


class Victim:
    def __init__(self, template: Rig, folder: Path) -> None:
        self.rig = Rig.__new__(Rig)
        self.path = folder / "log.db"
        self.path.write_bytes(template.path.read_bytes())
        self.pin_note = template.pin.read()

    def tamper(self, sql: str, *values: object) -> None:
        database = sqlite3.connect(self.path)
        assert database.execute(sql, values).rowcount >= 1, "nothing was tampered with"
        database.commit()
        database.close()

    def get(self, sql: str, *values: object) -> Any:
        database = sqlite3.connect(self.path)
        row = database.execute(sql, values).fetchone()
        database.close()
        return row[0]

    def findings(self, key: Callable[[bytes], bytes] | None = key_of) -> list[Finding]:
        store = SqliteStore(self.path, read_only=True)
        pin = self

        try:
            return list(fsck(store, verifiers=BOTH, pin=pin, key_of=key))
        finally:
            store.close()

    def read(self) -> bytes | None:
        return self.pin_note

    def write(self, note: bytes) -> None:
        raise AssertionError("fsck must not write")

    def names(self, key: Callable[[bytes], bytes] | None = key_of) -> list[tuple[str, str]]:
        return [(finding.kind, finding.where) for finding in self.findings(key)]


@pytest.fixture
def log(template: Rig, tmp_path: Path) -> Victim:
    return Victim(template, tmp_path)


def test_a_sound_log_has_no_findings(log: Victim) -> None:
    assert log.findings() == []
    assert log.findings(None) == []


@pytest.mark.parametrize("index", [0, 1, 255, 256, 300, 511, 512, 600, SIZE - 1])
@pytest.mark.parametrize("at", [0, 30, -1])
def test_an_altered_entry_is_named(log: Victim, index: int, at: int) -> None:
    data = bytearray(entry(index).data)
    data[at] ^= 1
    log.tamper("UPDATE entry SET data = ? WHERE idx = ?", bytes(data), index)
    assert log.names() == [("entry", f"entry {index}")]
    (finding,) = log.findings(None)
    assert "which the tree above confirms" in finding.problem


def test_several_altered_entries_are_each_named(log: Victim) -> None:
    for index in (3, 4, 290, 699):
        log.tamper("UPDATE entry SET data = ? WHERE idx = ?", entry(index).data + b"!", index)
    assert log.names() == [("entry", f"entry {index}") for index in (3, 4, 290, 699)]


def test_swapped_entries_are_both_named(log: Victim) -> None:
    for index, other in ((10, 11), (11, 10)):
        log.tamper("UPDATE entry SET data = ? WHERE idx = ?", entry(other).data, index)
    assert log.names() == [("entry", "entry 10"), ("entry", "entry 11")]


@pytest.mark.parametrize("index", [0, 256, 699])
def test_a_missing_entry_is_named(log: Victim, index: int) -> None:
    log.tamper("DELETE FROM entry WHERE idx = ?", index)
    assert log.names() == [("entry", f"entry {index}")]


def test_an_entry_that_is_no_bytes_is_named(log: Victim) -> None:
    log.tamper("UPDATE entry SET data = 7 WHERE idx = 77")
    assert log.names() == [("entry", "entry 77")]


def test_an_entry_beyond_the_head_is_named(log: Victim) -> None:
    log.tamper("INSERT INTO entry VALUES (?, ?)", SIZE, b"smuggled")
    assert log.names() == [("entry", f"entry {SIZE}")]


@pytest.mark.parametrize(("n", "path"), [(0, "tile/0/000"), (1, "tile/0/001"), (2, "tile/0/002.p/188")])
@pytest.mark.parametrize("number", [0, 100, 187])
def test_an_altered_leaf_tile_is_named(log: Victim, n: int, path: str, number: int) -> None:
    tile = bytearray(log.get("SELECT data FROM tile WHERE id = ?", _tile_id(0, n)))
    tile[number * 32 + 5] ^= 0x80
    log.tamper("UPDATE tile SET data = ? WHERE id = ?", bytes(tile), _tile_id(0, n))
    (finding,) = log.findings()
    assert (finding.kind, finding.where) == ("tile", path)
    assert f"hash {number} " in finding.problem


def test_an_altered_upper_tile_is_named(log: Victim) -> None:
    for number in (0, 1):
        tile = bytearray(log.get("SELECT data FROM tile WHERE id = ?", _tile_id(1, 0)))
        tile[number * 32] ^= 1
        log.tamper("UPDATE tile SET data = ? WHERE id = ?", bytes(tile), _tile_id(1, 0))
    assert log.names() == [("tile", "tile/1/000.p/2")]
    assert "hash 0, 1 " in log.findings()[0].problem


@pytest.mark.parametrize(("level", "n", "path"), [(0, 0, "0/000"), (0, 2, "0/002.p/188"), (1, 0, "1/000.p/2")])
@pytest.mark.parametrize("data", [None, b"", b"short", bytes(32)])
def test_a_missing_or_narrow_tile_is_named(log: Victim, level: int, n: int, path: str, data: bytes | None) -> None:
    if data is None:
        log.tamper("DELETE FROM tile WHERE id = ?", _tile_id(level, n))
    else:
        log.tamper("UPDATE tile SET data = ? WHERE id = ?", data, _tile_id(level, n))
    assert log.names() == [("tile", f"tile/{path}")]


@pytest.mark.parametrize(
    ("level", "n", "path"), [(0, 2, "0/002.p/188"), (1, 0, "1/000.p/2"), (0, 3, "0/003.p/1"), (2, 0, "2/000.p/1")]
)
def test_hashes_beyond_the_tree_are_named(log: Victim, level: int, n: int, path: str) -> None:
    stored = log.get("SELECT coalesce(max(data), x'') FROM tile WHERE id = ?", _tile_id(level, n))
    log.tamper("INSERT OR REPLACE INTO tile VALUES (?, ?)", _tile_id(level, n), stored + bytes(32))
    assert log.names() == [("tile", f"tile/{path}")]


def test_an_entry_forged_with_its_whole_tree_contradicts_what_was_signed(log: Victim) -> None:
    """The thief rewrites an entry, its tile and the hash above it, but cannot sign the root."""
    forged = entry(20, payload=b"forged")
    log.tamper("UPDATE entry SET data = ? WHERE idx = 20", forged.data)
    tile = bytearray(log.get("SELECT data FROM tile WHERE id = 0"))
    tile[20 * 32 : 21 * 32] = hash_leaf(forged.data)
    log.tamper("UPDATE tile SET data = ? WHERE id = 0", bytes(tile))
    assert log.names() == [
        ("checkpoint", "size 300"),
        ("checkpoint", "size 600"),
        ("pin", LAST),
        ("head", LAST),
        ("tile", "tile/1/000.p/2"),
    ]


# --- head, checkpoints, pin ---


@pytest.mark.parametrize("size", [300, 600])
def test_altered_checkpoints_are_named(log: Victim, size: int) -> None:
    note = bytearray(log.get("SELECT note FROM checkpoint WHERE size = ?", size))
    for at in (0, 25, 60, 140, len(note) - 3000, len(note) - 200):
        changed = note.copy()
        changed[at] = ord("A") if changed[at] != ord("A") else ord("B")
        log.tamper("UPDATE checkpoint SET note = ? WHERE size = ?", bytes(changed), size)
        found = log.names()
        # A witness's line is not the log's to vouch for: only its own signatures are checked here.
        assert found in ([("checkpoint", f"size {size}")], [] if at == len(note) - 200 else None)


@pytest.mark.parametrize("change", ["size = 301", "time = time + 1", "time = 5", "note = 'text'", "note = x''"])
def test_altered_checkpoint_columns_are_named(log: Victim, change: str) -> None:
    log.tamper(f"UPDATE checkpoint SET {change} WHERE size = 300")  # noqa: S608
    assert {kind for kind, _ in log.names()} == {"checkpoint"}


def test_a_checkpoint_of_another_tree_is_named(log: Victim) -> None:
    time = log.get("SELECT time FROM checkpoint WHERE size = 600")
    fork = sign_head([SIGNER, PQ_SIGNER], ORIGIN, 600, b"\x01" * 32, time).checkpoint
    log.tamper("UPDATE checkpoint SET note = ? WHERE size = 600", fork)
    (finding,) = log.findings()
    assert (finding.kind, finding.where) == ("checkpoint", "size 600")
    assert "not that of the entries" in finding.problem


def test_a_strangers_checkpoint_is_named(log: Victim) -> None:
    stranger = sign_head([STRANGER], ORIGIN, 600, b"\x01" * 32, 5).checkpoint
    log.tamper("UPDATE checkpoint SET note = ? WHERE size = 600", stranger)
    assert log.names() == [("checkpoint", "size 600")]


def test_a_clock_that_ran_backwards_is_named(log: Victim) -> None:
    for size, time in ((300, 5000), (600, 4000)):
        root = log.get("SELECT root FROM head")
        note = sign_head([SIGNER], ORIGIN, size, root, time).checkpoint
        log.tamper("UPDATE checkpoint SET note = ?, time = ? WHERE size = ?", note, time, size)
    problems = [str(finding) for finding in log.findings()]
    assert any("its time 4000 is before 5000" in problem for problem in problems)


@pytest.mark.parametrize(
    "change",
    ["size = 699", "size = 701", "root = x'00'", "time = time + 1", "time = 3", "note = x'00'", "note = 'text'"],
)
def test_an_altered_head_is_named(log: Victim, change: str) -> None:
    log.tamper(f"UPDATE head SET {change}")  # noqa: S608
    assert {kind for kind, _ in log.names()} == {"head"}


def test_a_missing_head_is_named(log: Victim) -> None:
    log.tamper("DELETE FROM head")
    assert log.names()[0] == ("head", "head")


@pytest.mark.parametrize("note", [None, b"", b"torn"])
def test_a_missing_or_torn_pin_is_named(log: Victim, note: bytes | None) -> None:
    log.pin_note = note
    assert log.names() == [("pin", "pin")]


@pytest.mark.parametrize(
    ("size", "where"), [(SIZE, LAST), (650, "size 650"), (SIZE + 1, "size 701"), (300, "size 300")]
)
def test_a_pin_of_another_tree_is_named(log: Victim, size: int, where: str) -> None:
    log.pin_note = sign_head([SIGNER], ORIGIN, size, b"\x01" * 32, 5).checkpoint
    assert log.names() == [("pin", where)]


def test_an_older_pin_of_this_tree_is_sound(log: Victim) -> None:
    log.pin_note = log.get("SELECT note FROM checkpoint WHERE size = 300")
    assert log.names() == []


def test_another_logs_pin_is_named(log: Victim) -> None:
    log.pin_note = sign_head([SIGNER], "log.example/elsewhere", SIZE, b"\x01" * 32, 5).checkpoint
    (finding,) = log.findings()
    assert "belongs to the log log.example/elsewhere" in finding.problem


def test_without_a_pin_it_is_not_looked_for(log: Victim) -> None:
    store = SqliteStore(log.path, read_only=True)
    assert list(fsck(store, verifiers=BOTH)) == []
    store.close()


# --- positions ---


def test_a_missing_position_is_named(log: Victim) -> None:
    log.tamper("DELETE FROM position WHERE idx = 44")
    assert log.names() == log.names(None) == [("position", "entry 44")]


@pytest.mark.parametrize("index", [45, SIZE, -1])
def test_a_position_of_another_index_is_named(log: Victim, index: int) -> None:
    log.tamper("UPDATE position SET idx = ? WHERE idx = 44", index)
    taken = entry(45).key.hex() if index == 45 else entry(44).key.hex()
    assert set(log.names()) == {("position", "entry 44"), ("position", taken)}
    assert set(log.names(None)) == {("position", "entry 44"), ("position", taken)}


def test_an_altered_key_is_named(log: Victim) -> None:
    log.tamper("UPDATE position SET key = x'ffff' WHERE idx = 44")
    assert log.names() == [("position", "entry 44")]
    assert log.names(None) == [], "without key_of nothing tells which key is right"


def test_a_second_position_is_named(log: Victim) -> None:
    log.tamper("INSERT INTO position VALUES (x'ffff', 44)")
    assert log.names() == log.names(None) == [("position", "ffff")]


def test_an_entry_without_a_key_is_named(log: Victim) -> None:
    def picky(data: bytes) -> bytes:
        if data == entry(9).data:
            raise Malformed("entry", "no key in it")
        return key_of(data)

    (finding,) = log.findings(picky)
    assert str(finding) == "position (entry 9): its position cannot be told: entry: no key in it"


# --- conflicts ---


@pytest.mark.parametrize(
    ("sql", "problem"),
    [
        ("UPDATE conflict SET idx = 6", "does not hold this position"),
        ("UPDATE conflict SET idx = 7000", "does not hold this position"),
        ("UPDATE conflict SET key = x'ff'", "does not hold this position"),
        ("UPDATE conflict SET data = (SELECT data FROM entry WHERE idx = 5)", "is the accepted one"),
        ("UPDATE conflict SET data = zeroblob(20) || data", "another position"),
        ("UPDATE conflict SET data = x'00'", "cannot be told"),
    ],
)
def test_altered_conflicts_are_named(log: Victim, sql: str, problem: str) -> None:
    log.tamper(sql)
    (finding,) = log.findings()
    assert finding.kind == "conflict"
    assert problem in finding.problem


# --- its use ---


def test_what_the_caller_finds_is_reported(log: Victim) -> None:
    seen: list[int] = []

    def check(index: int, data: bytes) -> str | None:
        assert data == entry(index).data
        seen.append(index)
        return "is odd" if index in (3, 500) else None

    store = SqliteStore(log.path, read_only=True)
    findings = list(fsck(store, verifiers=BOTH, check_entry=check))
    store.close()
    assert findings == [Finding("entry", "entry 3", "is odd"), Finding("entry", "entry 500", "is odd")]
    assert seen == list(range(SIZE))


def test_progress_is_told(log: Victim) -> None:
    told: list[tuple[int, int]] = []
    store = SqliteStore(log.path, read_only=True)
    list(fsck(store, verifiers=BOTH, progress=lambda done, total: told.append((done, total))))
    store.close()
    assert told == [(256, SIZE), (512, SIZE), (SIZE, SIZE)]


def test_the_wrong_key_is_told_once_per_note(log: Victim) -> None:
    store = SqliteStore(log.path, read_only=True)
    found = list(fsck(store, verifiers=[verifier(STRANGER.verifier)], pin=log))
    store.close()
    assert {finding.kind for finding in found} == {"head", "pin", "checkpoint"}
    assert all("Is this the key of this log?" in finding.problem for finding in found)


def test_an_empty_store_has_no_head(rig: Rig) -> None:
    assert [finding.kind for finding in fsck(rig.store, verifiers=VERIFIERS)] == ["head"]


def test_a_damaged_file_gives_findings_not_a_crash(log: Victim) -> None:
    raw = bytearray(log.path.read_bytes())
    for page in range(4096 * 8, len(raw), 4096 * 3):
        raw[page : page + 100] = b"\xa5" * 100
    log.path.write_bytes(raw)
    kinds = {finding.kind for finding in log.findings()}
    assert kinds
    assert kinds <= {"entry", "tile", "position", "head", "checkpoint", "pin", "conflict"}


def test_a_log_in_use_is_checked_up_to_its_head(rig: Rig) -> None:
    writer = rig.open()
    writer.append(entries(0, 1000))
    grown = False

    def grow(done: int, total: int) -> None:
        nonlocal grown
        assert total == 1000
        if not grown:
            grown = True
            writer.append(entries(1000, 1600))

    assert rig.fsck(grow) == []
    assert grown
    audit(rig, dict(enumerate(entries(0, 1600))))
