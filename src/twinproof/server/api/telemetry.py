"""Telemetry: readings, buckets for charts, newest readings, files, SQL. docs/telemetry.md says what they mean."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final

from fastapi import APIRouter, Query
from starlette.responses import Response, StreamingResponse

from twinproof.errors import TooLarge
from twinproof.node.live import VIEWS, Live
from twinproof.server import shapes
from twinproof.server.access import Rule
from twinproof.server.api.routing import PREFIX, Heavy, derived, make_router
from twinproof.server.forms import REACHED, answer, plain
from twinproof.server.parameters import AtLeast, Index, Seconds, Signals, Twins, Whole, wait_for
from twinproof.views.telemetry import MEDIA_TYPES, Aggregate, Cut, Fill, Format, Page, Selection, SqlResult

RULES = {
    f"{PREFIX}/telemetry/raw": Rule.TWINS,
    f"{PREFIX}/telemetry/buckets": Rule.TWINS,
    f"{PREFIX}/telemetry/latest": Rule.TWINS,
    f"{PREFIX}/telemetry/export": Rule.TWINS,
    # A query names twins inside its text, where no rule can see them.
    f"{PREFIX}/telemetry/sql": Rule.ALL,
}
MAX_ROWS: Final = 100_000
"""Rows of one JSON answer; exports have no such limit."""
PIECE: Final = 256 * 1024
"""Bytes of a file that are sent at once."""

Start = Annotated[Seconds | None, Query(description="POSIX seconds, included.")]
End = Annotated[Seconds | None, Query(description="POSIX seconds, excluded.")]
AsOf = Annotated[Index | None, Query(description="What the log said up to and with this entry.")]


def router(live: Live, heavy: Heavy) -> APIRouter:
    """The routes, on an open node."""
    made = make_router("telemetry", "/telemetry")
    view = live.telemetry

    async def ask(at_least: int | None, work: Callable[[], Response]) -> Response:
        await wait_for(view, at_least, live.feed.size)
        return await heavy.run(work)

    @made.get("/raw", responses=derived(shapes.ReadingList), summary="Readings")
    async def raw(
        sub: Twins = None,
        signal: Signals = None,
        start: Start = None,
        end: End = None,
        as_of: AsOf = None,
        limit: Annotated[Whole, Query(ge=1, le=10_000)] = 1000,
        after: Annotated[str | None, Query(max_length=80, description="`next` of the page before.")] = None,
        at_least: AtLeast = None,
    ) -> Response:
        """Every reading in the order of time, then of the log, in pages."""
        selection = Selection(sub, signal, start, end, as_of)
        return await ask(at_least, lambda: _readings(view.raw(selection, limit=limit, after=after)))

    @made.get("/latest", responses=derived(shapes.ReadingList), summary="Newest readings")
    async def latest(
        sub: Twins = None, signal: Signals = None, end: End = None, as_of: AsOf = None, at_least: AtLeast = None
    ) -> Response:
        """The newest reading of each twin's signal by name."""
        selection = Selection(sub, signal, None, end, as_of)
        return await ask(at_least, lambda: _readings(view.latest(selection)))

    @made.get("/buckets", responses=derived(shapes.BucketList), summary="Aggregates for charts")
    async def buckets(
        sub: Twins = None,
        signal: Signals = None,
        start: Start = None,
        end: End = None,
        as_of: AsOf = None,
        n: Annotated[Whole | None, Query(ge=1, le=10_000, description="How many buckets; 500 without `width`.")] = None,
        width: Annotated[Seconds | None, Query(gt=0, description="Seconds of a bucket, instead of `n`.")] = None,
        aggregate: Annotated[list[Aggregate], Query(max_length=6)] = ["min", "max", "mean", "last"],  # noqa: B006
        fill: Fill = "none",
        at_least: AtLeast = None,
    ) -> Response:
        """Minimum, maximum, mean, first, last, count over equal spans of time, for each signal of each twin."""
        selection = Selection(sub, signal, start, end, as_of)
        cut = Cut(500 if n is None and width is None else n, width, aggregate, fill)
        return await ask(at_least, lambda: _buckets(live, selection, cut))

    @made.get(
        "/export",
        summary="Readings as a file",
        response_class=Response,
        responses={
            200: {"description": "The file", "content": {kind: {"schema": {}} for kind in MEDIA_TYPES.values()}}
        },
    )
    async def export(
        sub: Twins = None,
        signal: Signals = None,
        start: Start = None,
        end: End = None,
        as_of: AsOf = None,
        format: Format = "parquet",
        at_least: AtLeast = None,
    ) -> Response:
        """All readings of a selection, in the order of time."""
        selection = Selection(sub, signal, start, end, as_of)
        return await ask(at_least, lambda: _export(live, selection, format))

    @made.post("/sql", responses=derived(shapes.SqlAnswer), summary="One SELECT over `readings`")
    async def sql(question: shapes.SqlQuestion, at_least: AtLeast = None) -> Response:
        """Read-only, bounded in time, rows and memory."""
        return await ask(
            at_least,
            lambda: _sql(view.query_sql(question.sql, max_rows=question.max_rows, timeout=question.timeout)),
        )

    return made


def _check_rows(rows: int) -> None:
    if rows > MAX_ROWS:
        raise TooLarge("sub", f"the answer has {rows} rows, at most {MAX_ROWS}: name twins, signals, a shorter span")


def _readings(page: Page) -> Response:
    _check_rows(page.table.num_rows)
    items = [
        {
            "sub": row.subject,
            "signal": row.signal,
            "unit": row.unit,
            "time": row.time,
            "value": plain(row.value),
            "sum": plain(row.sum),
            "entry": row.log_index,
            "row": row.entry_row,
        }
        for row in page.rows()
    ]
    return answer({"items": items, "next": page.next}, reached=page.reached)


def _buckets(live: Live, selection: Selection, cut: Cut) -> Response:
    found = live.telemetry.buckets(selection, cut)
    _check_rows(found.table.num_rows)
    series: list[dict[str, Any]] = [
        {
            "sub": one.subject,
            "signal": one.signal,
            "unit": one.unit,
            "times": one.times,
            "values": {name: plain(values) for name, values in one.values.items()},
        }
        for one in found.series()
    ]
    return answer({"grid": asdict(found.grid) if found.grid else None, "series": series}, reached=found.reached)


def _export(live: Live, selection: Selection, format: Format) -> Response:
    """A temporary file beside the views: what does not fit there would not have fitted into memory either."""
    reached = live.telemetry.reached
    # As of the entry that the header names, whatever is folded in meanwhile.
    if selection.as_of is None and reached:
        selection = Selection(selection.subjects, selection.signals, selection.start, selection.end, reached - 1)
    with tempfile.NamedTemporaryFile(dir=live.node.folder / VIEWS, prefix="export-", delete=False) as made:
        path = Path(made.name)
    try:
        live.telemetry.export(path, selection, format=format)
        file = path.open("rb")
    finally:
        # The open file outlives its name, and nothing outlives a caller who hangs up.
        path.unlink(missing_ok=True)
    headers = {
        REACHED: str(reached),
        "cache-control": "no-store",
        "content-length": str(os.fstat(file.fileno()).st_size),
        "content-disposition": f'attachment; filename="readings.{format}"',
    }
    return StreamingResponse(_pieces(file), headers=headers, media_type=MEDIA_TYPES[format])


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while piece := file.read(PIECE):
            yield piece


def _sql(result: SqlResult) -> Response:
    table = result.table
    body = {
        "columns": [{"name": field.name, "type": str(field.type)} for field in table.schema],
        "rows": [plain(list(cells)) for cells in zip(*(column.to_pylist() for column in table.columns), strict=True)],
        "truncated": result.truncated,
    }
    return answer(body, reached=result.reached)
