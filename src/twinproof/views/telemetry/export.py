"""Tables as files: Parquet, Arrow IPC, CSV."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import AbstractContextManager
from io import BytesIO
from pathlib import Path
from typing import IO, Any, Final, Literal, TypeAlias

import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet

from twinproof.errors import Malformed, StorageFailed

Format: TypeAlias = Literal["parquet", "arrow", "csv"]
MEDIA_TYPES: Final[dict[Format, str]] = {
    "parquet": "application/vnd.apache.parquet",
    "arrow": "application/vnd.apache.arrow.file",
    "csv": "text/csv",
}


def write_file(path: Path, format: Format, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
    """Write a file, whole or not at all; the number of rows. Raises `Malformed`, `StorageFailed`."""
    part = path.with_name(f"{path.name}.part")
    try:
        try:
            with part.open("wb") as sink:
                rows = write(sink, format, schema, batches)
                sink.flush()
                os.fsync(sink.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as problem:
        raise StorageFailed(f"cannot write {path}: {problem.strerror or problem}") from problem
    return rows


def to_bytes(table: pa.Table, format: Format) -> bytes:
    """A table as the bytes of a file. Raises `Malformed`."""
    sink = BytesIO()
    write(sink, format, table.schema, table.to_batches())
    return sink.getvalue()


def write(sink: IO[bytes], format: Format, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
    """Write batches one by one; the number of rows. Raises `Malformed` for an unknown format."""
    rows = 0
    with _writer(sink, format, schema) as writer:
        for batch in batches:
            writer.write_batch(_printable(batch) if format == "csv" else batch)
            rows += batch.num_rows
    return rows


def _writer(sink: IO[bytes], format: str, schema: pa.Schema) -> AbstractContextManager[Any]:
    match format:
        case "parquet":
            found = pyarrow.parquet.ParquetWriter(sink, schema, compression="zstd")
        case "arrow":
            found = pyarrow.ipc.new_file(sink, schema)
        case "csv":
            found = pyarrow.csv.CSVWriter(sink, _printable(schema.empty_table()).schema)
        case _:
            raise Malformed("format", f"{format!r} is none of {', '.join(MEDIA_TYPES)}")
    return found  # type: ignore[no-any-return]


def _printable(rows: Any) -> Any:
    """Byte strings become hexadecimal digits, which CSV can hold; decimals, digits."""
    for number, field in enumerate(rows.schema):
        column = rows.column(number)
        if pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type):
            cells = pa.array([None if cell is None else cell.hex() for cell in column.to_pylist()], pa.string())
        elif pa.types.is_dictionary(field.type) or pa.types.is_decimal(field.type):
            cells = column.cast(pa.string())
        else:
            continue
        rows = rows.set_column(number, field.name, cells)
    return rows
