"""What goes wrong around the telemetry file: lost, damaged, locked, exchanged, killed in the middle, left behind."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.builders import OTHER_TWIN, START, TWIN
from tests.views.telemetry_log import Journal, columns, expected_rows, senml
from twinproof.errors import Corrupt, StorageFailed
from twinproof.twin.reading import Reading
from twinproof.views.feed import Item
from twinproof.views.telemetry import Cut, Selection, TelemetryView
from twinproof.views.telemetry import view as view_module
from twinproof.views.telemetry.database import Database

WAIT = 60
"""Seconds until a test gives a thread up."""


def busy(entries: int = 30, *, ring: int = 16_384, first: int = 0) -> Journal:
    """Two twins and signals that appear one after another, so that dictionaries grow with the log."""
    journal = Journal(ring=ring)
    for number in range(entries):
        values = [float(first + number + row) for row in range(200)]
        journal.say(
            columns(
                (TWIN, OTHER_TWIN)[number % 2], [(f"s{number // 4}", "K", values)], base_time=START + number, step=1
            )
        )
    return journal


@pytest.fixture(scope="module")
def journal() -> Journal:
    return busy()


@pytest.fixture(scope="module")
def whole(journal: Journal, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The digest that every view of the journal must have in the end."""
    view = TelemetryView(tmp_path_factory.mktemp("whole") / "t.duckdb", journal.feed, threads=1)
    view.catch_up()
    found = view.digest()
    view.close()
    return found


def folded(path: Path, journal: Journal, entries: int | None = None) -> None:
    view = TelemetryView(path, journal.feed, threads=1)
    view.catch_up(entries)
    view.close()


def after_reopening(path: Path, journal: Journal) -> tuple[int, bytes]:
    """How far the file was found to be, and the digest once it has caught up."""
    view = TelemetryView(path, journal.feed, threads=1)
    found = view.reached
    view.catch_up()
    digest = view.digest()
    view.close()
    return found, digest


# --- the file -----------------------------------------------------------------------------------


def flipped(data: bytes, at: int, length: int = 64) -> bytes:
    return data[:at] + bytes(byte ^ 0xFF for byte in data[at : at + length]) + data[at + length :]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "text": lambda data: b"not a database",
    "cut in half": lambda data: data[: len(data) // 2],
    "first header": lambda data: flipped(data, 0),
    "both other headers": lambda data: flipped(flipped(data, 4096), 8192),
    "first block": lambda data: flipped(data, 3 * 4096 + 100),
    "all blocks": lambda data: data[: 3 * 4096] + b"\xaa" * (len(data) - 3 * 4096),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_made_anew(tmp_path: Path, journal: Journal, whole: bytes, damage: str) -> None:
    path = tmp_path / "t.duckdb"
    folded(path, journal)
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    assert after_reopening(path, journal)[1] == whole


def test_every_damaged_stretch_of_the_file_is_noticed_or_harmless(
    tmp_path: Path, journal: Journal, whole: bytes
) -> None:
    path = tmp_path / "t.duckdb"
    folded(path, journal)
    data = path.read_bytes()
    noticed = 0
    for at in range(0, len(data), len(data) // 16):
        path.write_bytes(flipped(data, at, 512))
        view = TelemetryView(path, journal.feed, threads=1)
        rebuilt = view.reached < 30
        try:
            view.catch_up()
            assert view.digest() == whole
        except Corrupt:
            rebuilt = True
            view.catch_up()
            assert view.digest() == whole
        noticed += rebuilt
        view.close()
    assert noticed


def test_damage_that_a_query_meets_is_repaired_by_the_thread(tmp_path: Path, journal: Journal, whole: bytes) -> None:
    path = tmp_path / "t.duckdb"
    folded(path, journal)
    view = TelemetryView(path, journal.feed, threads=1)
    view.start()
    good = view._database
    with pytest.raises(Corrupt), view._reading(None):
        raise Corrupt("as DuckDB says when a block's checksum is wrong")
    assert wait_until(view, lambda: view._database is not good and view.reached == 30)
    assert view.digest() == whole
    view.close()


@pytest.mark.parametrize("left", ["nothing", "write-ahead log", "old file"])
def test_a_deleted_file_is_made_anew(tmp_path: Path, journal: Journal, whole: bytes, left: str) -> None:
    path, wal = tmp_path / "t.duckdb", tmp_path / "t.duckdb.wal"
    folded(path, journal, 10)
    if left == "old file":
        data = path.read_bytes()
        folded(path, journal)
        path.write_bytes(data)
        assert after_reopening(path, journal) == (10, whole)
        return
    path.unlink()
    if left == "write-ahead log":
        wal.write_bytes(b"the log of a database that is gone")
    assert after_reopening(path, journal) == (0, whole)


def test_a_file_of_another_log_or_of_a_longer_one_is_made_anew(tmp_path: Path, journal: Journal, whole: bytes) -> None:
    path = tmp_path / "t.duckdb"
    for other in (busy(30, first=1), busy(40)):
        folded(path, other)
        assert after_reopening(path, journal) == (0, whole)


def test_a_file_of_another_version_is_made_anew(
    tmp_path: Path, journal: Journal, whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t.duckdb"
    folded(path, journal)
    monkeypatch.setattr("twinproof.views.telemetry.database.VERSION", 2)
    with pytest.raises(Corrupt, match="another schema"):
        Database(path, memory="100MB", threads=1)
    view = TelemetryView(path, journal.feed, threads=1)
    assert view.reached == 0
    view.close()


def test_a_file_that_another_process_has_open_is_left_alone(tmp_path: Path, journal: Journal, whole: bytes) -> None:
    path = tmp_path / "t.duckdb"
    folded(path, journal)
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with pytest.raises(StorageFailed, match="lock"):
            TelemetryView(path, journal.feed)
        assert other.stdin is not None
        other.stdin.close()
        other.wait(WAIT)
    assert after_reopening(path, journal) == (30, whole)


def test_a_path_that_cannot_be_opened_is_no_reason_to_remove_anything(tmp_path: Path, journal: Journal) -> None:
    with pytest.raises(StorageFailed):
        TelemetryView(tmp_path / "no such folder" / "t.duckdb", journal.feed)
    folder = tmp_path / "t.duckdb"
    folder.mkdir()
    with pytest.raises(StorageFailed):
        TelemetryView(folder, journal.feed)
    assert folder.is_dir()


# --- in the middle --------------------------------------------------------------------------------

CHILD = """
import sys
from pathlib import Path
from twinproof.twin.kinds import kind_of
from twinproof.twin.statement import parse_statement
from twinproof.views.feed import Item
from twinproof.views.telemetry import TelemetryView, view

class Source:
    def __init__(self, raws):
        self.raws = raws
    @property
    def size(self):
        return len(self.raws)
    def read(self, start, limit):
        found = []
        for index, raw in enumerate(self.raws[start:start + limit], start):
            statement = parse_statement(raw)
            kind = kind_of(statement)
            found.append(Item(index, statement, kind, kind.parse(statement.payload, statement.issued_at)))
        return found
    def listen(self, listener):
        return lambda: None

raws = [bytes.fromhex(line) for line in Path(sys.argv[2]).read_text().split()]
telemetry = TelemetryView(Path(sys.argv[1]), Source(raws), threads=1, run=int(sys.argv[3]))
while telemetry.catch_up(1):
    print(telemetry.reached, flush=True)
"""


@pytest.mark.parametrize("run", [1, 900, 10**6])
def test_a_killed_process_leaves_rows_and_progress_that_agree(tmp_path: Path, run: int) -> None:
    journal = busy(80)
    path, raws = tmp_path / "t.duckdb", tmp_path / "raws"
    raws.write_text("\n".join(item.statement.raw.hex() for item in journal.items))
    command = [sys.executable, "-c", CHILD, str(path), str(raws), str(run)]
    said = 0
    for _ in range(4):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            for _ in range(5):
                # Empty once the child has folded everything, which it may have before it is killed.
                said = int(child.stdout.readline() or said)
            child.kill()
        view = TelemetryView(path, journal.feed, threads=1)
        assert view.reached >= said
        assert view.raw(Selection()).rows() == expected_rows(journal.items[: view.reached])
        view.close()
    folded(tmp_path / "other.duckdb", journal)
    assert after_reopening(path, journal)[1] == after_reopening(tmp_path / "other.duckdb", journal)[1]


@pytest.mark.parametrize("step", ["twins", "signals", "recent"])
def test_a_failing_write_leaves_nothing_of_its_batch(
    tmp_path: Path, journal: Journal, whole: bytes, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    view = TelemetryView(tmp_path / "t.duckdb", journal.feed, threads=1)
    insert = view._database._insert

    def failing(table: str, rows: object) -> None:
        insert(table, rows)
        if table == step:
            view._database._connection.execute("SELECT error('disk full')")

    monkeypatch.setattr(view._database, "_insert", failing)
    with pytest.raises(StorageFailed, match="disk full"):
        view.catch_up()
    assert (view.reached, view.raw(Selection()).rows()) == (0, [])
    assert view._database.names.subjects == []
    monkeypatch.undo()
    view.catch_up()
    assert view.digest() == whole
    view.close()


def test_sorting_that_fails_leaves_everything_where_it_was(
    tmp_path: Path, journal: Journal, whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = TelemetryView(tmp_path / "t.duckdb", journal.feed, threads=1)
    view.catch_up()
    view._database._connection.execute("ALTER TABLE sorted ADD COLUMN extra INTEGER")
    with pytest.raises(StorageFailed):
        view._database.sort_recent()
    view._database._connection.execute("ALTER TABLE sorted DROP COLUMN extra")
    assert view.digest() == whole
    view._database.sort_recent()
    assert view._database.recent == 0
    assert view.digest() == whole
    view.close()


# --- the thread -----------------------------------------------------------------------------------


def wait_until(view: TelemetryView, holds: Callable[[], bool]) -> bool:
    with view._progress:
        return view._progress.wait_for(holds, WAIT)


@pytest.fixture
def following(tmp_path: Path) -> Iterator[tuple[TelemetryView, Journal]]:
    journal = busy(5, ring=4)
    view = TelemetryView(tmp_path / "t.duckdb", journal.feed, threads=1)
    view.start()
    yield view, journal
    view.close()


def test_the_thread_follows_the_log(following: tuple[TelemetryView, Journal]) -> None:
    view, journal = following
    assert view.wait(4, WAIT)
    journal.say(*(senml(TWIN, Reading("late", number, None, START)) for number in range(20)))
    assert view.wait(24, WAIT)
    assert view.raw(Selection()).rows() == expected_rows(journal.items)
    assert not view.wait(25, 0)
    view.stop()
    journal.say(senml(TWIN, Reading("late", 99, None, START)))
    assert view.reached == 25
    view.start()
    assert view.wait(25, WAIT)


def test_queries_go_on_while_the_thread_folds_and_see_whole_entries(following: tuple[TelemetryView, Journal]) -> None:
    view, journal = following
    problems: list[object] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            page = view.raw(Selection())
            if page.rows() != expected_rows(journal.items[: page.reached]):
                problems.append(page.reached)
            view.buckets(Selection(TWIN), Cut(n=10))

    asking = threading.Thread(target=ask)
    asking.start()
    for number in range(60):
        journal.say(columns(OTHER_TWIN, [("x", None, [1.0, 2.0, float(number)])], base_time=START, step=1))
    assert view.wait(64, WAIT)
    done.set()
    asking.join()
    assert problems == []


def test_a_failure_is_told_and_the_thread_tries_again(
    tmp_path: Path, journal: Journal, whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view_module, "RETRY", 0.001)
    failed = threading.Event()
    repaired = threading.Event()

    class Failing:
        @property
        def size(self) -> int:
            return journal.feed.size

        def read(self, start: int, limit: int) -> list[Item]:
            if start >= 10 and not repaired.is_set():
                failed.set()
                raise StorageFailed("the log's disk is away")
            return journal.feed.read(start, min(limit, 10))

        def listen(self, listener: Callable[[int], None]) -> Callable[[], None]:
            return journal.feed.listen(listener)

    view = TelemetryView(tmp_path / "t.duckdb", Failing(), threads=1)
    view.start()
    assert failed.wait(WAIT)
    assert view.wait(9, WAIT)
    assert len(view.raw(Selection()).rows()) == 2000
    repaired.set()
    assert view.wait(29, WAIT)
    assert view.digest() == whole
    view.close()


def test_a_damaged_log_is_no_reason_to_drop_the_view(
    tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = TelemetryView(tmp_path / "t.duckdb", journal.feed, threads=1)
    view.catch_up(10)

    def damaged(start: int, limit: int) -> list[Item]:
        raise Corrupt("an entry of the log")

    monkeypatch.setattr(view._source, "read", damaged)
    for _ in range(2):
        with pytest.raises(Corrupt, match="an entry of the log"):
            view.catch_up()
    assert (view.reached, len(view.raw(Selection()).rows())) == (10, 2000)
    view.close()


def test_a_closed_view_says_so(tmp_path: Path, journal: Journal) -> None:
    view = TelemetryView(tmp_path / "t.duckdb", journal.feed, threads=1)
    view.close()
    view.close()
    with pytest.raises(StorageFailed, match="closed"):
        view.raw(Selection())


def test_a_rebuild_goes_on_beside_queries(tmp_path: Path, journal: Journal, whole: bytes) -> None:
    view = TelemetryView(tmp_path / "t.duckdb", journal.feed, threads=1)
    view.catch_up()
    with view._reading(None) as (cursor, _, reached):
        view.rebuild()
        ((rows,),) = cursor.execute("SELECT count(*) FROM points").fetchall()
        assert (reached, rows) == (30, 6000)
    assert view.digest() == whole
    view.close()
