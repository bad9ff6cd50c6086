"""Folding and querying telemetry, against the plainest fold and plain Python arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import floor, inf, nan
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import OTHER_TWIN, START, TWIN
from tests.views.telemetry_log import Journal, Said, columns, expected_rows, senml
from twinproof.errors import Malformed, NotFound, StorageFailed, TooLarge
from twinproof.twin.description import DESCRIPTION, Description, format_description
from twinproof.twin.reading import Reading
from twinproof.twin.state import TwinState
from twinproof.views.telemetry import Cut, Row, Selection, TelemetryView, to_bytes
from twinproof.views.telemetry.view import Source


@contextmanager
def opened(folder: Path, source: Source, **options: Any) -> Iterator[TelemetryView]:
    view = TelemetryView(folder / "telemetry.duckdb", source, threads=1, **options)
    try:
        yield view
    finally:
        view.close()


@pytest.fixture
def journal() -> Journal:
    """Two twins, all types of values, a missing sample, a unit that changes, late readings, one that is no reading."""
    journal = Journal()
    journal.say(
        senml(
            TWIN,
            Reading("T24", 600.5, "K", START),
            Reading("T24", 601, "K", START + 1),
            Reading("on", True, None, START + 1),
            Reading("mode", "cruise", None, START + 2),
            Reading("frame", b"\x00\xff", None, START + 2),
            Reading("energy", None, "J", START + 3, 55.5),
        )
    )
    journal.say(
        columns(OTHER_TWIN, [("T24", "K", [1.0, nan, -0.0]), ("n", None, [2**60 + 1, 7, 2**64 - 1])], step=0.5),
        columns(TWIN, [("T24", "Cel", [20.25]), ("m", None, [-(2**63)])], base_time=START + 9.5),
        Said(TWIN, DESCRIPTION, format_description(Description(set={"serial": "A1"}))),
    )
    journal.say(senml(TWIN, Reading("T24", 599.0, "K", START + 1)), senml(TWIN, Reading("T24", 598.0, "K", START - 5)))
    return journal


@pytest.fixture
def view(journal: Journal, tmp_path: Path) -> Iterator[TelemetryView]:
    with opened(tmp_path, journal.feed) as view:
        assert view.catch_up() == 6
        yield view


# --- folding ------------------------------------------------------------------------------------


def same(found: list[Row], expected: list[Row]) -> None:
    """Equal, types and signs of zero included."""
    assert [tuple(map(repr, row)) for row in found] == [tuple(map(repr, row)) for row in expected]


def test_every_reading_becomes_the_row_that_the_plain_fold_says(view: TelemetryView, journal: Journal) -> None:
    page = view.raw(Selection())
    same(page.rows(), expected_rows(journal.items))
    assert (page.next, page.reached) == (None, 6)


def numbers(low: int, high: int) -> st.SearchStrategy[list[float]]:
    whole = st.lists(st.integers(-(2**63), 2**63 - 1), min_size=low, max_size=high)
    real = st.lists(st.floats(allow_infinity=False, width=32) | st.just(nan), min_size=low, max_size=high)
    return whole | real  # type: ignore[return-value]


TWINS = st.sampled_from([TWIN, OTHER_TWIN, "urn:example:third"])
NAMES = st.sampled_from(["T24", "Nf", "on", "a/b"])
TIMES = st.integers(START, START + 40).map(lambda t: t / 2 + START / 2)
VALUES = (
    st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(-(2**53), 2**53)
    | st.booleans()
    | st.text(max_size=4)
)
READINGS = st.builds(
    Reading, NAMES, VALUES | st.binary(max_size=3), st.sampled_from([None, "K", "Cel"]), TIMES, st.none() | st.just(2.5)
)


@st.composite
def column_packs(draw: st.DrawFn) -> Said:
    rows = draw(st.integers(1, 5))
    names = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    values = [(name, draw(st.sampled_from([None, "K"])), draw(numbers(rows, rows))) for name in names]
    base = draw(TIMES)
    if draw(st.booleans()):
        return columns(draw(TWINS), values, base_time=base, step=draw(st.sampled_from([0.1, 1, 7])))
    offsets = sorted(draw(st.lists(st.floats(0, 100), min_size=rows, max_size=rows)))
    return columns(draw(TWINS), values, base_time=base, offsets=offsets)


SAID = (
    st.builds(lambda twin, readings: senml(twin, *readings), TWINS, st.lists(READINGS, min_size=1, max_size=6))
    | column_packs()
    | st.just(Said(TWIN, DESCRIPTION, format_description(Description(set={"serial": "A1"}))))
)
HISTORIES = st.lists(SAID, min_size=1, max_size=12)


@given(HISTORIES, st.sets(st.integers(0, 12)), st.integers(1, 5), st.sampled_from([1, 10, 10**6]))
@settings(max_examples=25)
def test_live_restarted_and_rebuilt_views_are_equal(said: list[Said], restarts: set[int], step: int, run: int) -> None:
    journal = Journal(ring=3)
    digests = []
    with TemporaryDirectory() as scratch:
        (live, restarted, late) = (Path(scratch) / name for name in ("live", "restarted", "late"))
        for folder in (live, restarted, late):
            folder.mkdir()
        with opened(live, journal.feed, run=run) as view:
            for one in said:
                journal.say(one)
                view.catch_up()
            same(view.raw(Selection()).rows(), expected_rows(journal.items))
            digests.append(view.digest())
            view.rebuild()
            digests.append(view.digest())
        for _ in range(len(restarts)):
            with opened(restarted, journal.feed, run=run) as view:
                view.catch_up(step)
        with opened(restarted, journal.feed) as view:
            view.catch_up()
            digests.append(view.digest())
        with opened(late, journal.feed) as view:
            view.catch_up()
            digests.append(view.digest())
            assert {d.hex() for d in digests} == {view.digest().hex()}
            journal.say(said[0])
            view.catch_up()
            assert view.digest() not in digests


def test_a_digest_tells_null_from_zero_and_one_name_from_another(tmp_path: Path) -> None:
    def digest(name: str, *readings: Reading) -> bytes:
        journal = Journal()
        journal.say(senml(TWIN, *readings))
        (tmp_path / name).mkdir()
        with opened(tmp_path / name, journal.feed) as view:
            view.catch_up()
            # The entry's own hash is in the digest too; it must not be what makes the difference.
            view._database._connection.execute("UPDATE progress SET last = NULL")
            return view.digest()

    shared = [
        digest("zero", Reading("x", 0.0, None, START, 1.0)),
        digest("null", Reading("x", None, None, START, 1.0)),
        digest("sum", Reading("x", 0.0, None, START)),
        digest("minus", Reading("x", -0.0, None, START, 1.0)),
        digest("flag", Reading("x", False, None, START, 1.0)),
        digest("unit", Reading("x", 0.0, "K", START, 1.0)),
        digest("name", Reading("y", 0.0, None, START, 1.0)),
        digest("time", Reading("x", 0.0, None, START + 1, 1.0)),
    ]
    assert len(set(shared)) == len(shared)
    assert digest("again", Reading("x", 0.0, None, START, 1.0)) == shared[0]


# --- single readings ----------------------------------------------------------------------------


def test_pages_together_are_the_whole(view: TelemetryView, journal: Journal) -> None:
    found: list[Row] = []
    after = None
    for _ in range(20):
        page = view.raw(Selection(), limit=2, after=after)
        found += page.rows()
        if (after := page.next) is None:
            break
    same(found, expected_rows(journal.items))


SELECTIONS: list[tuple[Selection, Callable[[Row], bool]]] = [
    (Selection(TWIN), lambda row: row.subject == TWIN),
    (Selection([TWIN, OTHER_TWIN, "urn:no:such"]), lambda row: True),
    (Selection("urn:no:such"), lambda row: False),
    (Selection([]), lambda row: False),
    (Selection(signals="T24"), lambda row: row.signal == "T24"),
    (Selection(OTHER_TWIN, ["n", "T24", "none"]), lambda row: row.subject == OTHER_TWIN),
    (Selection(signals="none"), lambda row: False),
    (Selection(start=START + 1), lambda row: row.time >= START + 1),
    (Selection(end=START + 1), lambda row: row.time < START + 1),
    (Selection(TWIN, None, START, START + 2), lambda row: row.subject == TWIN and START <= row.time < START + 2),
    (Selection(as_of=0), lambda row: row.log_index == 0),
    (Selection(as_of=4), lambda row: row.log_index <= 4),
]


@pytest.mark.parametrize(("selection", "wanted"), SELECTIONS, ids=[str(row[0])[:80] for row in SELECTIONS])
def test_a_selection_gives_what_it_says(
    view: TelemetryView, journal: Journal, selection: Selection, wanted: Callable[[Row], bool]
) -> None:
    same(view.raw(selection).rows(), [row for row in expected_rows(journal.items) if wanted(row)])


def test_the_latest_readings_are_the_twins_state(view: TelemetryView, journal: Journal) -> None:
    for as_of in (None, 0, 1, 4):
        state = TwinState(TWIN)
        for item in journal.items:
            if item.statement.subject == TWIN and (as_of is None or item.index <= as_of):
                state.apply(item.index, item.statement, item.payload)
        found = view.latest(Selection(TWIN, as_of=as_of)).rows()
        assert {row.signal: (row.value, row.unit, row.time, row.log_index) for row in found} == {
            name: tuple(latest) for name, latest in state.readings.items()
        }


def test_the_latest_before_a_time_and_of_two_at_one_time(view: TelemetryView) -> None:
    (row,) = view.latest(Selection(TWIN, "T24", end=START + 2)).rows()
    assert (row.value, row.time, row.log_index) == (599.0, START + 1, 4)


def test_questions_that_cannot_be_answered_name_the_field(view: TelemetryView) -> None:
    with pytest.raises(NotFound, match=r"no entry 6 .* reached 6 entries"):
        view.raw(Selection(as_of=6))
    cases: list[tuple[str, Callable[[], object]]] = [
        ("start", lambda: Selection(start=nan)),
        ("end", lambda: Selection(end=inf)),
        ("end", lambda: Selection(start=2, end=1)),
        ("as_of", lambda: Selection(as_of=-1)),
        ("limit", lambda: view.raw(Selection(), limit=0)),
        ("after", lambda: view.raw(Selection(), after="0x1.0p+1@1; DROP TABLE recent")),
        ("after", lambda: view.raw(Selection(), after="nan@1")),
        ("n", lambda: Cut()),
        ("n", lambda: Cut(n=1, width=1)),
        ("n", lambda: Cut(n=0)),
        ("n", lambda: Cut(n=100_001)),
        ("width", lambda: Cut(width=0)),
        ("width", lambda: Cut(width=nan)),
        ("width", lambda: view.buckets(Selection(), Cut(width=1e-9))),
        ("aggregates", lambda: Cut(n=1, aggregates=())),
        ("aggregates", lambda: Cut(n=1, aggregates=("min", "min"))),
        ("aggregates", lambda: Cut(n=1, aggregates=("median",))),  # type: ignore[arg-type]
        ("fill", lambda: Cut(n=1, fill="zero")),  # type: ignore[arg-type]
    ]
    for field, ask in cases:
        with pytest.raises(Malformed) as refusal:
            ask()
        assert refusal.value.field == field


# --- buckets ------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.integers(0, 99), st.floats(-1e6, 1e6)), min_size=1, max_size=60),
    st.integers(1, 12),
    st.sampled_from([1, 1000]),
)
@settings(max_examples=25)
def test_buckets_are_what_plain_arithmetic_says(samples: list[tuple[int, float]], n: int, run: int) -> None:
    journal = Journal()
    for time, value in samples:
        journal.say(senml(TWIN, Reading("x", value, None, float(START + time))))
    expected: dict[int, list[tuple[int, int, float]]] = {}
    for number, (time, value) in enumerate(samples):
        if 10 <= time < 90:
            expected.setdefault(min(floor((time - 10) / (80 / n)), n - 1), []).append((time, number, value))
    with TemporaryDirectory() as scratch, opened(Path(scratch), journal.feed, run=run) as view:
        view.catch_up()
        cut = Cut(n=n, aggregates=("min", "max", "mean", "first", "last", "count"))
        answer = view.buckets(Selection(TWIN, "x", START + 10, START + 90), cut)
    if not expected:
        assert answer.series() == []
        return
    (series,) = answer.series()
    order = sorted(expected)
    assert series.times == [START + 10 + number * (80 / n) for number in order]
    cells = [sorted(expected[number]) for number in order]
    values = [[value for *_, value in cell] for cell in cells]
    assert series.values["min"] == list(map(min, values))
    assert series.values["max"] == list(map(max, values))
    assert series.values["mean"] == pytest.approx([fmean(v) for v in values], rel=1e-12, abs=1e-9)
    assert series.values["count"] == list(map(len, values))
    assert series.values["last"] == [value[-1] for value in values]
    assert series.values["first"] == [value[0] for value in values]


@pytest.mark.parametrize(
    ("fill", "times", "means"),
    [
        ("none", [2, 3, 6], [2.0, 4.0, 10.0]),
        ("null", range(8), [None, None, 2.0, 4.0, None, None, 10.0, None]),
        ("previous", range(8), [None, None, 2.0, 4.0, 4.0, 4.0, 10.0, 10.0]),
        ("linear", range(8), [None, None, 2.0, 4.0, 6.0, 8.0, 10.0, None]),
    ],
)
def test_gaps_are_filled_as_asked(tmp_path: Path, fill: Any, times: list[int], means: list[float | None]) -> None:
    journal = Journal()
    journal.say(
        senml(TWIN, *(Reading("x", v, None, START + t) for t, v in ((2.5, 1.0), (2.75, 3.0), (3, 4.0), (6, 10.0))))
    )
    with opened(tmp_path, journal.feed) as view:
        view.catch_up()
        cut = Cut(n=8, aggregates=("mean", "count"), fill=fill)
        (series,) = view.buckets(Selection(start=START, end=START + 8), cut).series()
    assert series.times == [START + time for time in times]
    assert series.values["mean"] == means
    assert [count for count in series.values["count"] if count] == [2, 1, 1]


def test_several_twins_and_signals_are_cut_alike_and_units_are_never_mixed(view: TelemetryView) -> None:
    answer = view.buckets(Selection(signals=["T24", "on", "mode"], end=START + 10), Cut(width=5, fill="null"))
    found = {(series.subject, series.signal, series.unit): series for series in answer.series()}
    assert set(found) == {(TWIN, "T24", "K"), (TWIN, "T24", "Cel"), (TWIN, "on", None), (OTHER_TWIN, "T24", "K")}
    assert {tuple(series.times) for series in found.values()} == {(START - 5.0, START, START + 5)}
    assert found[TWIN, "T24", "K"].values["max"] == [598.0, 601.0, None]
    assert found[TWIN, "on", None].values["mean"] == [None, 1.0, None]
    assert answer.grid is not None
    assert (answer.grid.count, answer.reached) == (3, 6)


def test_nothing_found_is_an_empty_table(view: TelemetryView) -> None:
    for selection in (Selection("urn:no:such"), Selection(TWIN, "mode"), Selection(start=START + 99, end=START + 100)):
        answer = view.buckets(selection, Cut(n=5))
        assert answer.table.num_rows == 0
        assert answer.table.column_names == ["subject", "signal", "unit", "time", "min", "max", "mean", "last"]


def test_too_many_filled_cells_are_refused(view: TelemetryView, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twinproof.views.telemetry.buckets.MAX_CELLS", 29)
    view.buckets(Selection(TWIN, "T24"), Cut(n=14, fill="null"))
    with pytest.raises(TooLarge, match="2 series of 15 buckets"):
        view.buckets(Selection(TWIN, "T24"), Cut(n=15, fill="null"))


# --- export -------------------------------------------------------------------------------------

READERS: dict[Any, Callable[[pa.BufferReader], pa.Table]] = {
    "parquet": pyarrow.parquet.read_table,
    "arrow": lambda source: pyarrow.ipc.open_file(source).read_all(),
    "csv": pyarrow.csv.read_csv,
}


@pytest.mark.parametrize("format_", READERS)
def test_exported_files_hold_the_rows(view: TelemetryView, journal: Journal, tmp_path: Path, format_: Any) -> None:
    path = tmp_path / "rows"
    assert view.export(path, Selection(TWIN), format=format_) == 10
    table = READERS[format_](pa.BufferReader(path.read_bytes()))
    expected = view.raw(Selection(TWIN)).table
    assert table.column_names == expected.column_names
    for name in ("subject", "signal", "time", "value", "sum", "log_index", "entry_row"):
        assert table[name].to_pylist() == expected[name].to_pylist(), name
    assert [cell for cell in table["data"].to_pylist() if cell] == ["00ff" if format_ == "csv" else b"\x00\xff"]
    chart = view.buckets(Selection(), Cut(n=3)).table
    again = READERS[format_](pa.BufferReader(to_bytes(chart, format_)))
    assert again["max"].to_pylist() == chart["max"].to_pylist()
    assert again["subject"].to_pylist() == chart["subject"].to_pylist()


def test_a_failed_export_leaves_the_old_file(view: TelemetryView, tmp_path: Path) -> None:
    path = tmp_path / "rows"
    path.write_text("old")
    with pytest.raises(Malformed) as refusal:
        view.export(path, Selection(), format="xlsx")  # type: ignore[arg-type]
    assert refusal.value.field == "format"
    assert sorted(tmp_path.glob("rows*")) == [path]
    assert path.read_text() == "old"
    with pytest.raises(StorageFailed, match="cannot write"):
        view.export(tmp_path / "no" / "rows", Selection())
