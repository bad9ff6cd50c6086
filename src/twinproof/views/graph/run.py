"""Running a query within limits of time and memory."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from math import isfinite
from typing import Any, Final, NamedTuple, Protocol

from twinproof.errors import Malformed, NotFound, TooLarge
from twinproof.proof import cbor
from twinproof.views.graph.compiler import Compiled, compile_query
from twinproof.views.state.values import SqlValue, pack, unpack

SECONDS: Final = 2.0
"""Time limit of a query."""
MAX_BYTES: Final = 32 * 1024 * 1024
"""Text and lists of a result, properties of its nodes included."""
_STEPS: Final = 4_000
"""SQLite's instructions between two looks at the clock: far below a millisecond, but for those that decode states."""
_CHUNK: Final = 500
_MODELS: Final = """
WITH RECURSIVE m (model) AS (
    SELECT min(model) FROM status
    UNION ALL SELECT (SELECT min(s.model) FROM status s WHERE s.model > m.model) FROM m WHERE m.model IS NOT NULL
) SELECT model FROM m WHERE model IS NOT NULL"""


class Asked(Protocol):
    """What is needed of `StateView`."""

    def asking(self) -> AbstractContextManager[sqlite3.Connection]:
        """A connection that only reads, in a transaction."""


class Result(NamedTuple):
    """The rows of a query."""

    columns: list[str]
    rows: list[tuple[Any, ...]]
    """Values as JSON has them; a node is {"iri", "model", "lifecycle", "properties"}."""
    reached: int
    """Entries of the log that the view had folded in."""
    more: bool
    """There are rows beyond the limit."""


def query(
    view: Asked,
    text: str,
    *,
    at: int | None = None,
    parameters: Mapping[str, Any] | None = None,
    seconds: float = SECONDS,
) -> Result:
    """Answer a query for the newest state, or as of the state after entry `at`.

    `parameters` are the values of its $names: text, numbers, booleans, null, and lists of them after IN.
    Raises `Malformed` with line and column, `TooLarge` for a query or result over its limits, `NotFound`
    for an entry that the view has not reached, `StorageFailed`.
    """
    if not (isfinite(seconds) and 0 < seconds <= 3600):
        raise Malformed("seconds", "is not between 0 and 3600")
    with view.asking() as database, _limited(database, seconds):
        ((reached,),) = database.execute("SELECT coalesce(max(value), 0) FROM meta WHERE key = 'reached'").fetchall()
        if at is not None and not 0 <= at < reached:
            raise NotFound(f"entry {at} is not there: the view has {reached} entries")
        compiled = compile_query(
            text, at, parameters or {}, lambda: [model for (model,) in database.execute(_MODELS).fetchall()]
        )
        if compiled.uses_readings:
            database.create_function("twin_reading", 2, _reading, deterministic=True)
        meter = _Meter()
        rows = _rows(database, compiled, meter)
        more = len(rows) > compiled.limit
        del rows[compiled.limit :]
        ids = {row[column] for row in rows for column in compiled.nodes}
        nodes = _nodes(database, sorted(ids - {None}), at, meter)
    places = set(compiled.nodes)
    answers = [
        tuple(nodes.get(cell) if place in places else unpack(cell) for place, cell in enumerate(row)) for row in rows
    ]
    return Result(compiled.columns, answers, reached, more)


class _Meter:
    """Counts the bytes of a result."""

    def __init__(self) -> None:
        self._bytes = 0

    def add(self, cells: Sequence[SqlValue]) -> None:
        self._bytes += sum(len(cell) for cell in cells if isinstance(cell, str | bytes)) + 16 * len(cells)
        if self._bytes > MAX_BYTES:
            raise TooLarge("query", f"the result has more than {MAX_BYTES} bytes; return less, or fewer rows")


def _rows(database: sqlite3.Connection, compiled: Compiled, meter: _Meter) -> list[tuple[SqlValue, ...]]:
    found = []
    for row in database.execute(compiled.sql, compiled.values):
        meter.add(row)
        found.append(row)
    return found


def _nodes(database: sqlite3.Connection, ids: Sequence[Any], at: int | None, meter: _Meter) -> dict[Any, Any]:
    """Nodes as they are returned, by id."""
    nodes: dict[Any, Any] = {}
    held = "x.since <= :at AND (x.until IS NULL OR x.until > :at)"
    for start in range(0, len(ids), _CHUNK):
        some: dict[str, Any] = {f"i{number}": id_ for number, id_ in enumerate(ids[start : start + _CHUNK])}
        among = ", ".join(f":{name}" for name in some)
        some["at"] = at if at is not None else (1 << 63) - 1
        for id_, iri, model, lifecycle in database.execute(
            f"SELECT n.id, n.sub, x.model, x.lifecycle FROM twin n JOIN status x ON x.twin = n.id "  # noqa: S608 - names only
            f"WHERE n.id IN ({among}) AND {held}",
            some,
        ):
            nodes[id_] = {"iri": iri, "model": model, "lifecycle": lifecycle, "properties": {}}
        for id_, name, value in database.execute(
            f"SELECT x.twin, x.name, x.value FROM property x WHERE x.twin IN ({among}) AND {held} ORDER BY 1, 2",  # noqa: S608
            some,
        ):
            meter.add((name, value))
            nodes[id_]["properties"][name] = unpack(value)
    return nodes


def _reading(state: bytes, name: str) -> SqlValue:
    """SQL's `twin_reading`: the latest value under a name, in the newest state of a twin."""
    latest = cbor.decode(state, what="state", max_depth=cbor.MAX_DEPTH)["readings"].get(name)
    return None if latest is None else pack(latest[0])


@contextmanager
def _limited(database: sqlite3.Connection, seconds: float) -> Iterator[None]:
    deadline = time.monotonic() + seconds
    database.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
    try:
        yield
    except sqlite3.OperationalError as problem:
        if problem.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
            reason = f"took longer than {seconds:g} s; begin at an iri or a property, or follow fewer relationships"
            raise TooLarge("query", reason) from None
        if "integer overflow" in str(problem):
            raise Malformed("query", "sum() is beyond 64 bits") from None
        raise
    finally:
        database.set_progress_handler(None, 0)
