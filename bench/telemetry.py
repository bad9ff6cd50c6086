"""The telemetry view on a file: folding statements in, and charts over what was folded.

Entries are parsed before the clock starts, as the feed gives them to a view that keeps up; `from_log`
is the same for a view that was away, parsing of signed statements included. Each chart is asked
several times with the file open; the median counts, and its buckets are checked.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from math import sin
from pathlib import Path
from statistics import median
from typing import Any

from twinproof.proof.keys import EDDSA, PrivateKey
from twinproof.twin.columns import COLUMNS, format_columns
from twinproof.twin.kinds import kind_of
from twinproof.twin.reading import Reading
from twinproof.twin.senml import SENML, format_senml
from twinproof.twin.statement import parse_statement, sign_statement
from twinproof.views.feed import Item
from twinproof.views.telemetry import Cut, Selection, TelemetryView

KEY = PrivateKey(EDDSA, bytes(32))
START = 1_700_000_000
TWINS = 100
CHART = 1_000_000
"""Readings of the chart's signal."""
REPEATS = 7


class Entries:
    """A source of entries in memory: parsed ones, or raw ones that are parsed when they are read."""

    def __init__(self, raws: Sequence[bytes], *, parsed: bool) -> None:
        self._raws = raws
        self._items = [item(index, raw) for index, raw in enumerate(raws)] if parsed else None

    @property
    def size(self) -> int:
        """Number of entries."""
        return len(self._raws)

    def read(self, start: int, limit: int) -> list[Item]:
        """Up to `limit` items."""
        if self._items is not None:
            return self._items[start : start + limit]
        return [item(start + i, raw) for i, raw in enumerate(self._raws[start : start + limit])]

    def listen(self, listener: Callable[[int], None]) -> Callable[[], None]:
        """Nothing is ever published."""
        return lambda: None


def item(index: int, raw: bytes) -> Item:
    """As the feed parses an entry."""
    statement = parse_statement(raw)
    kind = kind_of(statement)
    return Item(index, statement, kind, kind.parse(statement.payload, statement.issued_at))


def statement(twin: int, seq: int, content_type: str, payload: bytes) -> bytes:
    """A signed statement about one of the twins."""
    return sign_statement(
        KEY,
        issuer="urn:dev:org:32473-bench",
        subject=subject(twin),
        content_type=content_type,
        payload=payload,
        seq=seq,
        prev=bytes(32) if seq else None,
        issued_at=START,
    )


def subject(twin: int) -> str:
    """The IRI of a twin."""
    return f"https://bench.example/engine/{twin}"


def columns(twin: int, seq: int, rows: int) -> bytes:
    """4 columns of doubles."""
    return statement(twin, seq, COLUMNS, columns_payload(seq * rows, rows))


@lru_cache(maxsize=1)
def columns_payload(first: int, rows: int) -> bytes:
    """Rows a second apart, the same for every twin."""
    samples = [600 + sin((first + row) / 999) for row in range(rows)]
    return format_columns(START + first, [(name, "K", samples) for name in ("T2", "T24", "T30", "T50")], step=1)


def senml(twin: int, seq: int, rows: int) -> bytes:
    """Readings of one signal."""
    first = START + seq * rows
    readings = [Reading("T24", 600 + sin(row / 99), "K", float(first + row)) for row in range(rows)]
    return statement(twin, seq, SENML, format_senml(readings))


def fold(folder: Path, raws: Sequence[bytes], readings: int, *, parsed: bool) -> float:
    """Readings per second into a new file."""
    source = Entries(raws, parsed=parsed)
    view = TelemetryView(folder / "fold.duckdb", source)
    start = time.perf_counter()
    view.catch_up()
    seconds = time.perf_counter() - start
    ((rows,),) = view.query_sql("SELECT count(*) FROM readings").table.to_pydict().values()
    assert rows == readings, (rows, readings)
    view.close()
    (folder / "fold.duckdb").unlink()
    return readings / seconds


def fleet(readings: int) -> list[bytes]:
    """Interleaved entries of all twins, 4 columns of 1,250 rows each: of T24 `readings` per twin."""
    rows = 1250
    return [columns(twin, seq, rows) for seq in range(readings // rows) for twin in range(TWINS)]


def chart(view: TelemetryView, twin: int, signals: Sequence[str], readings: int, cut: Cut) -> float:
    """Median milliseconds."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        answer = view.buckets(Selection(subject(twin), signals, START, START + readings), cut)
        times.append(time.perf_counter() - start)
        assert answer.table.num_rows == 1000 * len(signals), answer.table.num_rows
    return round(1000 * median(times), 1)


def run(quick: bool) -> dict[str, Any]:
    """Readings per second folded, and milliseconds per chart of 1,000 buckets."""
    results: dict[str, Any] = {"bench": "telemetry"}
    scale = 4 if quick else 20
    shapes: dict[str, tuple[list[bytes], int]] = {
        "columns_5000": ([columns(n % 10, n // 10, 1250) for n in range(50 * scale)], 5000),
        "columns_100": ([columns(n % 10, n // 10, 25) for n in range(1000 * scale)], 100),
        "senml_100": ([senml(n % 10, n // 10, 100) for n in range(500 * scale)], 100),
        "senml_1": ([senml(n % 10, n // 10, 1) for n in range(1000 * scale)], 1),
    }
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name, (raws, each) in shapes.items():
            results[name] = {
                "readings_per_s": round(fold(folder, raws, len(raws) * each, parsed=True)),
                "readings_per_s_from_log": round(fold(folder, raws, len(raws) * each, parsed=False)),
            }
        alone = [columns(0, seq, 1250) for seq in range(CHART // 1250)]
        for name, raws, twin, readings in (
            ("alone", alone, 0, CHART),
            ("in_fleet", fleet(CHART // (50 if quick else 10)), 57, CHART // (50 if quick else 10)),
        ):
            view = TelemetryView(folder / f"{name}.duckdb", Entries(raws, parsed=False))
            view.catch_up()
            size = (folder / f"{name}.duckdb").stat().st_size
            all_readings = len(raws) * 5000
            cut = Cut(n=1000)
            results[f"chart_{name}"] = {
                "readings_in_view": all_readings,
                "readings_of_signal": readings,
                "bytes_per_reading": round(size / all_readings, 1),
                "min_max_mean_last_ms": chart(view, twin, ["T24"], readings, cut),
                "min_max_ms": chart(view, twin, ["T24"], readings, Cut(n=1000, aggregates=("min", "max"))),
                "four_signals_ms": chart(view, twin, ["T2", "T24", "T30", "T50"], readings, cut),
            }
            view.close()
    return results


if __name__ == "__main__":
    print(json.dumps(run("--quick" in sys.argv)))
