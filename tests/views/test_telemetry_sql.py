"""SQL by users: what it can see, and all the ways out that are shut."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.builders import OTHER_TWIN, START, TWIN
from tests.views.telemetry_log import Journal, columns, senml
from twinproof.errors import Malformed, TooLarge
from twinproof.twin.reading import Reading
from twinproof.views.telemetry import Selection, TelemetryView


@pytest.fixture
def view(tmp_path: Path) -> Iterator[TelemetryView]:
    journal = Journal()
    journal.say(
        columns(TWIN, [("T24", "K", [600.0, 601.5, 603.0])], step=1),
        senml(OTHER_TWIN, Reading("on", True, None, START)),
    )
    view = TelemetryView(tmp_path / "telemetry.duckdb", journal.feed, memory="100MB", threads=1)
    view.catch_up()
    yield view
    view.close()


def test_readings_are_there_by_name(view: TelemetryView) -> None:
    result = view.query_sql("""
        SELECT subject, signal, unit, time, CAST(utc AS VARCHAR) AS utc, value, flag, log_index, entry_row
        FROM readings ORDER BY subject, time -- with a comment at the end""")
    assert result.table.to_pylist()[0] == {
        "subject": TWIN,
        "signal": "T24",
        "unit": "K",
        "time": START,
        "utc": "2023-11-14 22:13:20",
        "value": 600.0,
        "flag": None,
        "log_index": 0,
        "entry_row": 0,
    }
    assert (result.table.num_rows, result.truncated, result.reached) == (4, False, 2)


@pytest.mark.parametrize(
    ("sql", "first"),
    [
        ("SELECT max(value) FROM readings WHERE signal = 'T24'", 603.0),
        ("FROM readings SELECT count(*)", 4),
        ("WITH hot AS (SELECT * FROM readings WHERE value > 601) SELECT count(*) FROM hot", 2),
        ("SELECT sum(n) FROM range(4) r(n)", 6),
        ("SELECT value - lag(value) OVER (ORDER BY time) AS d FROM readings WHERE signal = 'T24' ORDER BY d", 1.5),
        ("SELECT unnest([3, 4])", 3),
        ("VALUES (1)", 1),
        ("SELECT 'insert'", "insert"),
    ],
)
def test_selects_of_all_sorts_run(view: TelemetryView, sql: str, first: object) -> None:
    assert view.query_sql(sql).table.column(0)[0].as_py() == first


REFUSED = [
    ("", "0 statements"),
    ("SELECT 1; SELECT 2", "2 statements"),
    ("SELECT 1; COMMIT; DELETE FROM recent", "3 statements"),
    ("SELECT (", "syntax error"),
    ("SELECT nope FROM readings", "nope"),
    ("INSERT INTO recent SELECT * FROM recent", "INSERT"),
    ("UPDATE progress SET reached = 0", "UPDATE"),
    ("DELETE FROM recent", "DELETE"),
    ("DROP TABLE recent", "DROP"),
    ("CREATE TABLE x (a INT)", "CREATE"),
    ("CREATE TEMP TABLE x (a INT)", "CREATE"),
    ("COPY readings TO 'stolen.csv'", "COPY"),
    ("EXPORT DATABASE 'stolen'", "EXPORT"),
    ("ATTACH 'other.duckdb'", "ATTACH"),
    ("INSTALL httpfs", "LOAD"),
    ("LOAD httpfs", "LOAD"),
    ("SET threads = 1", "SET"),
    ("RESET memory_limit", "SET"),
    ("PRAGMA database_size", "PRAGMA"),
    ("CALL pragma_version()", "CALL"),
    ("CHECKPOINT", "CALL"),
    ("COMMIT", "TRANSACTION"),
    ("PREPARE x AS SELECT 1", "PREPARE"),
    ("WITH x AS (INSERT INTO recent SELECT * FROM recent RETURNING *) SELECT * FROM x", "holds INSERT"),
    ("WITH x AS (DELETE FROM recent RETURNING *) SELECT * FROM x", "holds DELETE"),
    ("WITH x AS (UPDATE progress SET reached = 0 RETURNING *) SELECT * FROM x", "holds UPDATE"),
    ("SELECT * FROM (WITH x AS (DELETE FROM recent RETURNING *) SELECT * FROM x)", "holds DELETE|syntax"),
    ("FROM force_checkpoint()", "force_checkpoint"),
    ("SELECT (SELECT count(*) FROM checkpoint())", "checkpoint"),
    ("FROM read_text('/etc/passwd')", "read_text"),
    ("FROM READ_CSV('/etc/passwd')", "read_csv"),
    ("FROM '/etc/passwd'", "does not exist|not allowed|disabled"),
    ("FROM 'https://example.com/x.parquet'", "does not exist|not allowed|disabled"),
    ("FROM glob('*')", "glob"),
    ("FROM query('SELECT 1')", "query"),
    ("FROM enable_logging()", "enable_logging"),
    ("FROM duckdb_settings()", "duckdb_settings"),
    ("SELECT getenv('HOME')", "getenv"),
    ("SELECT write_log('x')", "write_log"),
    ("x" * 70_000, "characters"),
]


@pytest.mark.parametrize(("sql", "reason"), REFUSED, ids=lambda part: part[:50])
def test_everything_else_is_refused_and_changes_nothing(
    view: TelemetryView, tmp_path: Path, sql: str, reason: str
) -> None:
    before, files = view.digest(), sorted(tmp_path.iterdir())
    with pytest.raises(Malformed, match=f"(?i){reason}") as refusal:
        view.query_sql(sql)
    assert refusal.value.field == "sql"
    assert view.digest() == before
    assert sorted(tmp_path.iterdir()) == files


WALLS = [
    ("INSERT INTO recent SELECT * FROM recent", "read-only"),
    ("WITH x AS (INSERT INTO recent SELECT * FROM recent RETURNING *) SELECT * FROM x", "read-only"),
    ("SET memory_limit = '8GB'", "locked"),
    ("SET enable_external_access = true", "locked|cannot"),
    ("SELECT * FROM read_text('/etc/passwd')", "disabled by configuration"),
    ("COPY (SELECT 1) TO 'stolen.csv'", "disabled by configuration"),
    ("ATTACH 'other.duckdb'", "disabled by configuration|cannot"),
]


@pytest.mark.parametrize(("sql", "reason"), WALLS, ids=lambda part: part[:50])
def test_the_inner_walls_hold_without_the_outer_one(
    view: TelemetryView, monkeypatch: pytest.MonkeyPatch, sql: str, reason: str
) -> None:
    monkeypatch.setattr("twinproof.views.telemetry.sql.check_sql", lambda cursor, sql: None)
    before = view.digest()
    with pytest.raises(Malformed, match=f"(?i){reason}"):
        view.query_sql(sql)
    assert view.digest() == before


def test_rows_are_cut_off_at_the_limit(view: TelemetryView) -> None:
    result = view.query_sql("SELECT * FROM range(1000000000)", max_rows=5)
    assert (result.table.num_rows, result.truncated) == (5, True)
    result = view.query_sql("SELECT * FROM range(5)", max_rows=5)
    assert (result.table.num_rows, result.truncated) == (5, False)
    result = view.query_sql("SELECT * FROM readings WHERE false")
    assert (result.table.num_rows, result.truncated) == (0, False)
    assert result.table.column_names[0] == "subject"


def test_time_memory_and_bytes_are_limited_and_the_view_goes_on(
    view: TelemetryView, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TooLarge, match=r"longer than 0\.05 s"):
        view.query_sql("SELECT count(*) FROM range(1000000000) a, range(1000000) b", timeout=0.05)
    with pytest.raises(TooLarge, match="memory"):
        view.query_sql("SELECT list(r) FROM range(100000000) t(r)", timeout=60)
    monkeypatch.setattr("twinproof.views.telemetry.sql.MAX_BYTES", 10_000)
    with pytest.raises(TooLarge, match="more than 10000 bytes"):
        view.query_sql("SELECT repeat('x', 200) FROM range(1000)")
    assert len(view.raw(Selection()).rows()) == 4


@pytest.mark.parametrize(("field", "value"), [("max_rows", 0), ("max_rows", 10**9), ("timeout", 0.0), ("timeout", 1e9)])
def test_limits_have_limits(view: TelemetryView, field: str, value: float) -> None:
    with pytest.raises(Malformed) as refusal:
        view.query_sql("SELECT 1", **{field: value})  # type: ignore[arg-type]
    assert refusal.value.field == field


def test_the_page_names_every_column(view: TelemetryView) -> None:
    page = (Path(__file__).parents[2] / "docs" / "telemetry.md").read_text()
    rows = page.partition("| column of `readings` |")[2].partition("\n\n")[0].splitlines()[2:]
    named = [name for row in rows for name in re.findall("`([a-z_]+)`", row.split("|")[1])]
    assert named == view.query_sql("SELECT * FROM readings").table.column_names
