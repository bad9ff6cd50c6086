"""SQL for power users: one SELECT over the view `readings`, read-only, bounded in time, rows and memory.

Three walls, because DuckDB's grammar lets a SELECT hold an INSERT (in WITH) and its table functions
reach files and settings: the parsed statement may use only what is named here; it runs in a read-only
transaction; and the whole database has no access to files, network or extensions, nor to its settings.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from math import isfinite
from typing import Any, Final, NamedTuple

import duckdb
import pyarrow as pa

from twinproof.errors import Malformed, TooLarge
from twinproof.views.telemetry.database import first_line, is_damage

MAX_SQL: Final = 64 * 1024
"""Characters of a query."""
MAX_BYTES: Final = 256 * 1024 * 1024
"""Of a result in Arrow's form."""
MAX_RESULT_ROWS: Final = 1_000_000

_BATCH: Final = 16_384
_TABLE_FUNCTIONS: Final = {"range", "generate_series", "unnest", "repeat", "repeat_row"}
_FUNCTIONS_REFUSED: Final = {"nextval", "setseed", "write_log", "query", "query_table"}
_NODES_REFUSED: Final = ("INSERT", "UPDATE", "DELETE", "MERGE")


class SqlResult(NamedTuple):
    """The rows of a query."""

    table: pa.Table
    truncated: bool
    """There were more than `max_rows` rows."""
    reached: int
    """Entries of the log that the view had folded in."""


def check_sql(cursor: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Refuse all but one SELECT that reads tables; raises `Malformed` or `TooLarge` for the field `sql`."""
    if len(sql) > MAX_SQL:
        raise TooLarge("sql", f"{len(sql)} characters; at most {MAX_SQL}")
    try:
        statements = cursor.extract_statements(sql)
    except duckdb.Error as problem:
        raise Malformed("sql", first_line(problem)) from problem
    if len(statements) != 1:
        raise Malformed("sql", f"{len(statements)} statements; give one SELECT")
    if statements[0].type != duckdb.StatementType.SELECT:
        raise Malformed("sql", f"is a statement of type {statements[0].type.name}; only SELECT is allowed")
    ((text,),) = cursor.execute("SELECT json_serialize_sql(?)", [sql]).fetchall()
    tree = json.loads(text)
    if tree["error"]:
        raise Malformed("sql", str(tree.get("error_message", "cannot be read")))
    _check_node(tree["statements"])


def _check_node(node: Any) -> None:
    if isinstance(node, list):
        for item in node:
            _check_node(item)
    elif isinstance(node, dict):
        kind = node.get("type")
        if isinstance(kind, str) and kind.startswith(_NODES_REFUSED):
            raise Malformed("sql", f"holds {kind.partition('_')[0]}; only SELECT is allowed")
        if kind == "TABLE_FUNCTION":
            name = str(node["function"].get("function_name")).lower()
            if name not in _TABLE_FUNCTIONS:
                raise Malformed("sql", f"table function {name} is not allowed")
        if node.get("class") == "FUNCTION" and str(node.get("function_name")).lower() in _FUNCTIONS_REFUSED:
            raise Malformed("sql", f"function {node['function_name']} is not allowed")
        for item in node.values():
            _check_node(item)


def query_sql(cursor: duckdb.DuckDBPyConnection, sql: str, *, max_rows: int, timeout: float, reached: int) -> SqlResult:
    """Run a checked query in the cursor's read-only transaction.

    Raises `Malformed` for what DuckDB refuses, `TooLarge` for one that takes too long or too much memory.
    """
    if not 0 < max_rows <= MAX_RESULT_ROWS:
        raise Malformed("max_rows", f"is not between 1 and {MAX_RESULT_ROWS}")
    if not (isfinite(timeout) and 0 < timeout <= 3600):
        raise Malformed("timeout", "is not between 0 and 3600 seconds")
    check_sql(cursor, sql)
    batches: list[pa.RecordBatch] = []
    rows = size = 0
    try:
        with _interrupted(cursor, timeout):
            # Read in pieces: a result larger than asked for is never built.
            reader = cursor.sql(sql).to_arrow_reader(_BATCH)
            while rows <= max_rows and (batch := next(reader, None)) is not None:
                batches.append(batch)
                rows += batch.num_rows
                size += batch.nbytes
                if size > MAX_BYTES:
                    raise TooLarge("sql", f"the result has more than {MAX_BYTES} bytes")
    except (duckdb.Error, pa.ArrowException, OSError) as problem:
        raise _refusal(problem, timeout) from problem
    table = pa.Table.from_batches(batches, reader.schema)
    return SqlResult(table.slice(0, max_rows), rows > max_rows, reached)


def _refusal(problem: Exception, timeout: float) -> Exception:
    # While the result streams, DuckDB's errors arrive as Arrow's, with the same text.
    message = first_line(problem)
    if isinstance(problem, duckdb.InterruptException) or "INTERRUPT Error" in message:
        return TooLarge("sql", f"took longer than {timeout:g} s")
    if isinstance(problem, duckdb.OutOfMemoryException) or "Out of Memory" in message:
        return TooLarge("sql", "took more memory than queries may have")
    if isinstance(problem, duckdb.Error) and is_damage(problem):
        return problem
    return Malformed("sql", message)


@contextmanager
def _interrupted(cursor: duckdb.DuckDBPyConnection, timeout: float) -> Iterator[None]:
    timer = threading.Timer(timeout, cursor.interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
