"""Files as sources: each format, at speed or in step, cut and gone on, every way a file can be wrong."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from tests.edge.gatewaykit import KEY, GatewayKit
from tests.edge.mosquitto import until
from twinproof.edge.gateway import run_gateway
from twinproof.edge.replay import _Pace
from twinproof.errors import ConfigError
from twinproof.testing.clock import ManualClock
from twinproof.testing.edge import Fault

START = 1_700_000_000


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twinproof.edge.backoff.FIRST", 0.02)


def source(path: str, more: str = 'time = { at = "when" }') -> str:
    return f"""
[[file]]
name = "history"
path = "{path}"
{more}
[[file.map]]
twin = "https://fleet.example/{{machine}}"
signals = [
  {{ name = "t", at = "temp", unit = "Cel", scale = 0.5 }},
  {{ name = "note.{{machine}}", at = "note", type = "text", required = false }},
]
"""


ROWS: list[dict[str, Any]] = [
    {"when": START + at, "machine": f"m{at % 2}", "temp": at, "note": None if at % 3 else f"n{at}"}
    for at in range(1000)
]


def write_csv(path: Path, rows: list[dict[str, Any]] = ROWS) -> None:
    lines = [",".join(rows[0])]
    lines += [",".join("" if value is None else str(value) for value in row.values()) for row in rows]
    path.write_text("\n".join(lines) + "\n")


def write_parquet(path: Path, rows: list[dict[str, Any]] = ROWS) -> None:
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)


def played(kit: GatewayKit) -> list[tuple[float, str, Any]]:
    return sorted(
        (reading.time, reading.name, reading.value)
        for machine in ("m0", "m1")
        for reading in kit.readings(f"https://fleet.example/{machine}")
    )


EXPECTED = sorted(
    item
    for row in ROWS
    for item in [
        (float(row["when"]), "t", row["temp"] * 0.5),
        *([(float(row["when"]), f"note.{row['machine']}", row["note"])] if row["note"] else []),
    ]
)


def play(kit: GatewayKit, **settings: Any) -> None:
    """Run until the file is played."""
    with kit.running(**settings):
        until(lambda: len(played(kit)) >= len(EXPECTED), "the file")


@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_a_file_is_in_the_log_with_its_own_times(tmp_path: Path, format: str) -> None:
    kit = GatewayKit(tmp_path, source(f"history.{format}"))
    (write_csv if format == "csv" else write_parquet)(tmp_path / f"history.{format}")
    play(kit)
    assert played(kit) == EXPECTED
    assert kit.problems == []


def test_parquet_times_are_times(tmp_path: Path) -> None:
    rows = [{**row, "when": datetime.fromtimestamp(row["when"], UTC)} for row in ROWS]
    write_parquet(tmp_path / "history.parquet", rows)
    kit = GatewayKit(tmp_path, source("history.parquet"))
    play(kit)
    assert played(kit) == EXPECTED


def test_a_file_without_times_has_a_start_and_a_step(tmp_path: Path) -> None:
    write_csv(tmp_path / "history.csv", [{key: row[key] for key in ("machine", "temp", "note")} for row in ROWS])
    kit = GatewayKit(tmp_path, source("history.csv", f"start = {START}\nstep = 1"))
    play(kit)
    assert played(kit) == EXPECTED


def test_a_replay_that_is_cut_goes_on_with_the_next_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twinproof.edge.replay.ROWS_AT_ONCE", 7)
    monkeypatch.setattr("twinproof.edge.replay.AHEAD", 14)
    kit = GatewayKit(tmp_path, source("history.csv"))
    write_csv(tmp_path / "history.csv")
    seen = 0
    for _ in range(5):
        kit.log.faults.extend([Fault.LOST_ANSWER, None, Fault.LOST_REQUEST, None, None])
        with kit.running():
            until(lambda: len(played(kit)) > seen, "some rows")  # noqa: B023 - called at once
        seen = len(played(kit))
    assert 0 < seen < len(EXPECTED)
    play(kit)
    assert played(kit) == EXPECTED


def test_played_once_it_is_played(tmp_path: Path) -> None:
    kit = GatewayKit(tmp_path, source("history.csv"))
    write_csv(tmp_path / "history.csv")
    play(kit)
    entries = len(kit.log.entries)
    with kit.running() as bridge:
        assert bridge.outbox.progress("history")[0] == len(ROWS)
    assert len(kit.log.entries) == entries


def test_another_file_under_the_same_name_is_refused(tmp_path: Path) -> None:
    kit = GatewayKit(tmp_path, source("history.csv"))
    write_csv(tmp_path / "history.csv")
    play(kit)
    write_csv(tmp_path / "history.csv", ROWS[:10])
    with pytest.raises(ConfigError, match="is not the file whose first 1000 rows 'history' has played"), kit.running():
        pass


def test_a_row_that_cannot_be_understood_is_counted(tmp_path: Path) -> None:
    rows = [dict(row) for row in ROWS]
    rows[3]["temp"] = "warm"
    rows[4]["machine"] = None
    rows[5]["when"] = "yesterday"
    write_csv(tmp_path / "history.csv", rows)
    kit = GatewayKit(tmp_path, source("history.csv"))
    with kit.running() as bridge:
        until(lambda: bridge.outbox.progress("history")[0] == len(ROWS), "the file")
        assert bridge.tally("history").rejected == 3
    assert len(played(kit)) == len(EXPECTED) - 4
    assert "row 4 is not recorded: t: 'warm' is not a decimal number" in str(kit.problems[0])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "has no header"),
        (b"when,machine,temp\n1,m,2\n", "has no column 'note'"),
        (b"when,machine,temp,note,note\n", "names a column twice"),
        (b"\xff\xfe", "codec can't decode"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_at_the_start(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "history.csv").write_bytes(content)
    kit = GatewayKit(tmp_path, source("history.csv"))
    with pytest.raises(ConfigError, match=says), kit.running():
        pass


@pytest.mark.parametrize("more", ["1,m", '1700000000,m,2,"open', "1700000000,m,2,n,3"])
def test_a_file_that_breaks_off_is_not_taken_for_played(tmp_path: Path, more: str) -> None:
    write_csv(tmp_path / "history.csv")
    with (tmp_path / "history.csv").open("a") as file:
        file.write(more)
    kit = GatewayKit(tmp_path, source("history.csv"))
    with pytest.raises(ConfigError, match=r"history\.csv"):
        run_gateway(kit.mapping, KEY, threading.Event(), on_problem=kit.problems.append, sink=kit.log)
    # What came before is recorded all the same.
    assert played(kit) == EXPECTED[: len(played(kit))]
    assert len(played(kit)) > 1000


def test_a_gateway_of_files_ends_when_they_are_played(tmp_path: Path) -> None:
    write_csv(tmp_path / "history.csv")
    kit = GatewayKit(tmp_path, source("history.csv"))
    run_gateway(kit.mapping, KEY, threading.Event(), on_problem=kit.problems.append, sink=kit.log)
    assert played(kit) == EXPECTED
    assert kit.problems == []


def test_no_parquet(tmp_path: Path) -> None:
    (tmp_path / "history.parquet").write_bytes(b"PAR1 and no more")
    kit = GatewayKit(tmp_path, source("history.parquet"))
    with pytest.raises(ConfigError, match=r"history\.parquet: .*"), kit.running():
        pass


# --- speed ----------------------------------------------------------------------------------


class Waits(threading.Event):
    """Notes how long somebody waits, and lets the time pass at once."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self.clock = clock

    def wait(self, timeout: float | None = None) -> bool:
        self.clock.advance(timeout or 0)
        return self.is_set()


def test_rows_come_in_their_own_rhythm_times_the_speed() -> None:
    clock = ManualClock(100.0)
    pace = _Pace(10.0, clock)
    waits = Waits(clock)
    came = []
    for moment in (1000.0, 1005.0, 1005.0, 1003.0, 1050.0):
        assert pace.wait(moment, waits)
        came.append(clock.time)
    assert came == [100.0, 100.5, 100.5, 100.5, 105.0]
    clock.advance(60)  # the log was slow: what is overdue comes at once
    assert pace.wait(1060.0, waits)
    assert clock.time == 165.0
    waits.set()
    assert not pace.wait(2000.0, waits)


def test_as_fast_as_possible_does_not_wait() -> None:
    clock = ManualClock()
    assert _Pace(None, clock).wait(1e9, Waits(clock))
    assert clock.time == 1_700_000_000.0
