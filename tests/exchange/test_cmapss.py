"""C-MAPSS: NASA's own files, every way to break a line, and the simulator against NASA's numbers."""

from __future__ import annotations

import gzip
import random
from itertools import groupby
from pathlib import Path
from statistics import mean

import pytest

from twinproof.errors import Malformed, TooLarge
from twinproof.exchange.cmapss.files import MAX_LINE, read_rul, read_snapshots
from twinproof.exchange.cmapss.layout import CYCLE, FIELDS, Snapshot, device_iri, snapshot_payload, twin_iri
from twinproof.exchange.cmapss.simulate import LONGEST, simulate_engine, simulate_fleet
from twinproof.twin.columns import COLUMNS, parse_columns
from twinproof.twin.units import check_ucum

FIRST_ROW = (
    b"1 1 -0.0007 -0.0004 100.0 518.67 641.82 1589.70 1400.60 14.62 21.61 554.36 2388.06 9046.19 1.30 47.47 521.66 "
    b"2388.02 8138.62 8.4195 0.03 392 2388 100.00 39.06 23.4190  \n"
)
NOW = 1_700_000_000

# --- the layout -----------------------------------------------------------------------------


def test_names_are_those_of_the_data_set(shared: Path) -> None:
    readme = " ".join((shared / "README.md").read_text().split())
    sentence = readme[readme.index("then 21 sensors:") : readme.index("RUL_FD00x:")]
    positions = [sentence.index(f" {field.name} ") for field in FIELDS[3:]]
    assert positions == sorted(positions)
    assert len(FIELDS) == 24


def test_units_are_ucum_codes() -> None:
    for field in (CYCLE, *FIELDS):
        if field.unit is not None:
            check_ucum(field.unit)
    assert {field.name for field in FIELDS if field.unit is None} == {"htBleed"}


def test_names_of_twins_and_devices() -> None:
    assert twin_iri("https://fleet.example/engine/", "FD001", 1) == "https://fleet.example/engine/FD001-001"
    assert device_iri("FD001", 1) == "urn:dev:org:32473-FD001:001"


@pytest.mark.parametrize(("dataset", "unit"), [("FD01", 1), ("fd001", 1), ("FD001/", 1), ("FD001", 0), ("FD001", 1000)])
def test_no_names_for_engines_that_cannot_be(dataset: str, unit: int) -> None:
    with pytest.raises(ValueError, match="no engine"):
        twin_iri("https://fleet.example/engine/", dataset, unit)
    with pytest.raises(ValueError, match="no engine"):
        device_iri(dataset, unit)


def test_a_flight_as_columns() -> None:
    snapshot = Snapshot(3, 7, tuple(index + 0.5 for index in range(24)))
    content_type, payload = snapshot_payload(snapshot, NOW)
    readings = list(parse_columns(payload, 0).readings())
    assert content_type == COLUMNS
    assert [reading.name for reading in readings] == ["cycle", *(field.name for field in FIELDS)]
    assert [reading.unit for reading in readings] == ["{cycle}", *(field.unit for field in FIELDS)]
    assert [reading.value for reading in readings] == [7, *snapshot.values]
    assert type(readings[0].value) is int
    assert {reading.time for reading in readings} == {NOW}


# --- the files ------------------------------------------------------------------------------

# Rows and units as NASA's readme states them: 100, 260, 100 and 249 engines trained on.
FILES = {
    "train_FD001": (20631, 100),
    "train_FD002": (53759, 260),
    "train_FD003": (24720, 100),
    "train_FD004": (61249, 249),
    "test_FD001": (13096, 100),
    "test_FD003": (16596, 100),
}


@pytest.mark.parametrize("name", FILES)
def test_nasas_files(shared: Path, name: str) -> None:
    rows = list(read_snapshots(shared / "data" / "cmapss" / f"{name}.txt.gz"))
    assert (len(rows), rows[-1].unit) == FILES[name]


def test_the_first_row(shared: Path) -> None:
    first = next(read_snapshots(shared / "data" / "cmapss" / "train_FD001.txt.gz"))
    assert first == Snapshot(1, 1, tuple(float(token) for token in FIRST_ROW.split()[2:]))


def test_remaining_lives(shared: Path) -> None:
    lives = read_rul(shared / "data" / "cmapss" / "RUL_FD001.txt.gz")
    assert (len(lives), lives[:3]) == (100, [112, 98, 69])


def write(folder: Path, data: bytes) -> Path:
    path = folder / "train_FD001.txt"
    path.write_bytes(data)
    return path


def test_plain_files_with_either_line_ending(tmp_path: Path) -> None:
    second = FIRST_ROW.replace(b"1 1 ", b"1 2 ")
    assert len(list(read_snapshots(write(tmp_path, FIRST_ROW + second)))) == 2
    assert len(list(read_snapshots(write(tmp_path, (FIRST_ROW + second).replace(b"  \n", b"\r\n"))))) == 2


@pytest.mark.parametrize(
    ("second_line", "field", "reason"),
    [
        (b"\n", "line 2", "has 0 columns, not 26"),
        (b"1 2 3\n", "line 2", "has 3 columns"),
        (FIRST_ROW.replace(b"1 1 ", b"1 2 ").replace(b" 392", b" 392 1"), "line 2", "has 27 columns"),
        (FIRST_ROW, "line 2, column 2 (cycle)", "cycle 1 follows cycle 1 of unit 1"),
        (FIRST_ROW.replace(b"1 1 ", b"1 3 "), "line 2, column 2 (cycle)", "cycle 3 follows cycle 1"),
        (FIRST_ROW.replace(b"1 1 ", b"2 2 "), "line 2, column 2 (cycle)", "cycle 2 follows cycle 0 of unit 2"),
        (FIRST_ROW.replace(b"1 1 ", b"3 1 "), "line 2, column 1 (unit)", "unit 3 follows unit 1"),
        (FIRST_ROW.replace(b"1 1 ", b"0 1 "), "line 2, column 1 (unit)", "unit 0 follows unit 1"),
        (FIRST_ROW.replace(b"1 1 ", b"1_0 1 "), "line 2, column 1 (unit)", "not a whole number"),
        (FIRST_ROW.replace(b"1 1 ", b"+1 2 "), "line 2, column 1 (unit)", "not a whole number"),
        (FIRST_ROW.replace(b"1 1 ", b"1 2 ").replace(b"1589.70", b"nan"), "line 2, column 8 (T30)", "'nan' is not"),
        (FIRST_ROW.replace(b"1 1 ", b"1 2 ").replace(b"1589.70", b"1e3"), "line 2, column 8 (T30)", "'1e3' is not"),
        (FIRST_ROW.replace(b"1 1 ", b"1 2 ").replace(b"1589.70", b"1,5"), "line 2, column 8 (T30)", "'1,5' is not"),
        (FIRST_ROW.replace(b"1 1 ", b"1 2 ").replace(b"1589.70", b"\xff"), "line 2, column 8 (T30)", "xff"),
        (FIRST_ROW.replace(b"1 1 ", b"1 2 ").replace(b"23.4190", b"23."), "line 2, column 26 (W32)", "'23.' is not"),
        (b" " * (MAX_LINE + 1), "line 2", "more than 1024 bytes"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, second_line: bytes, field: str, reason: str) -> None:
    rows = read_snapshots(write(tmp_path, FIRST_ROW + second_line))
    assert next(rows).cycle == 1
    with pytest.raises(Malformed) as caught:
        next(rows)
    assert caught.value.field == f"train_FD001.txt, {field}"
    assert reason in caught.value.reason


@pytest.mark.parametrize("reader", [read_snapshots, read_rul])
def test_an_empty_file(tmp_path: Path, reader: object) -> None:
    assert callable(reader)
    with pytest.raises(Malformed, match="no rows"):
        list(reader(write(tmp_path, b"")))


def test_too_many_units(tmp_path: Path) -> None:
    lines = b"".join(FIRST_ROW.replace(b"1 1 ", b"%d 1 " % unit, 1) for unit in range(1, 1001))
    with pytest.raises(TooLarge, match="999"):
        list(read_snapshots(write(tmp_path, lines)))


@pytest.mark.parametrize(("data", "field"), [(b"1 2\n", "line 1"), (b"-1\n", "line 1, column 1 (RUL)")])
def test_bad_remaining_lives(tmp_path: Path, data: bytes, field: str) -> None:
    with pytest.raises(Malformed) as caught:
        read_rul(write(tmp_path, data))
    assert caught.value.field == f"train_FD001.txt, {field}"


def test_a_damaged_gzip_file(tmp_path: Path) -> None:
    whole = gzip.compress(FIRST_ROW)
    path = tmp_path / "train_FD001.txt.gz"
    damaged = [whole[:-9], whole[:12], b"plain", whole[:20] + b"\xff" * 8 + whole[28:], whole[:-8] + bytes(8)]
    for data in damaged:
        path.write_bytes(data)
        with pytest.raises(Malformed, match=r"train_FD001.txt.gz, line \d"):
            list(read_snapshots(path))


# --- the simulator --------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_fleet() -> None:
    one = list(simulate_fleet(random.Random(7), 2))
    assert one == list(simulate_fleet(random.Random(7), 2))
    assert one != list(simulate_fleet(random.Random(8), 2))


def test_engines_run_to_failure_one_after_the_other() -> None:
    rows = list(simulate_fleet(random.Random(1), 20))
    lives = {unit: [row.cycle for row in group] for unit, group in groupby(rows, lambda row: row.unit)}
    assert list(lives) == list(range(1, 21))
    for cycles in lives.values():
        assert cycles == list(range(1, len(cycles) + 1))
        assert 100 <= len(cycles) <= LONGEST
    assert len({len(cycles) for cycles in lives.values()}) > 10


def test_a_simulated_file_can_be_read_back(tmp_path: Path) -> None:
    rows = list(simulate_engine(random.Random(3), 1))
    text = "".join(f"{row.unit} {row.cycle} {' '.join(map(str, row.values))} \n" for row in rows)
    assert list(read_snapshots(write(tmp_path, text.encode()))) == rows


def test_simulated_magnitudes_are_those_of_nasa(shared: Path) -> None:
    """Means of new and of failing engines: off by at most 35% of what separates the two, moving the same way."""

    def young_and_old(rows: list[Snapshot]) -> list[tuple[float, float]]:
        engines = [list(group) for _, group in groupby(rows, lambda row: row.unit)]
        young = [row.values for engine in engines for row in engine[:10]]
        old = [row.values for engine in engines for row in engine[-5:]]
        return [(mean(a), mean(b)) for a, b in zip(zip(*young, strict=True), zip(*old, strict=True), strict=True)]

    nasa = young_and_old(list(read_snapshots(shared / "data" / "cmapss" / "train_FD001.txt.gz")))
    ours = young_and_old(list(simulate_fleet(random.Random(1), 100)))
    for field, (young, old), (our_young, our_old) in zip(FIELDS, nasa, ours, strict=True):
        change = abs(old - young)
        tolerance = 0.35 * change + 0.001
        assert abs(our_young - young) <= tolerance, field.name
        assert abs(our_old - old) <= tolerance, field.name
        if change > 0.01:
            assert (our_old - our_young) * (old - young) > 0, field.name
