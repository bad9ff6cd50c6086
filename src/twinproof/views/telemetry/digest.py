"""A hash of all that the view holds, which neither batches, runs nor file layout can change."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

import duckdb
import numpy as np

from twinproof.proof import cbor

_NUMBERS: Final = {"position": "<i8", "twin": "<i4", "signal": "<i4", "time": "<f8", "value": "<f8", "sum": "<f8"}
"""Column -> the form in which its numbers are hashed, null as 0."""
_NULLABLE: Final = ("value", "sum")
"""A second hash, of a byte 0 or 1 per row, says where these have a number."""
_OTHER: Final = ("text", "flag", "data", "exact")
"""Hashed as CBOR, `exact` as digits."""


def digest(cursor: duckdb.DuckDBPyConnection, reached: int) -> bytes:
    """SHA-256 over progress, dictionaries and, column by column, the rows in the order of the log."""
    ((last,),) = cursor.execute("SELECT last FROM progress").fetchall()
    twins = cursor.execute("SELECT subject FROM twins ORDER BY id").fetchall()
    signals = cursor.execute("SELECT name, unit FROM signals ORDER BY id").fetchall()
    hashes = {name: sha256() for name in (*_NUMBERS, *_OTHER)}
    given = {name: sha256() for name in _NULLABLE}
    reader = cursor.sql(f"SELECT {', '.join(hashes)} FROM points ORDER BY position").to_arrow_reader(65_536)  # noqa: S608
    for batch in reader:
        for name, form in _NUMBERS.items():
            column = batch.column(name)
            if name in given:
                given[name].update(column.is_valid().to_numpy(zero_copy_only=False).astype(np.uint8).tobytes())
                column = column.fill_null(0)
            hashes[name].update(column.to_numpy().astype(form, copy=False).tobytes())
        for name in _OTHER:
            cells = batch.column(name)
            if cells.null_count == len(cells):
                hashes[name].update(cbor.encode(None) * len(cells))
            else:
                hashes[name].update(b"".join(map(_spelled, cells.to_pylist())))
    return sha256(
        cbor.encode(
            [
                reached,
                last,
                [subject for (subject,) in twins],
                [list(signal) for signal in signals],
                [found.digest() for found in (*hashes.values(), *given.values())],
            ]
        )
    ).digest()


def _spelled(value: object) -> bytes:
    return cbor.encode(value if value is None or isinstance(value, (str, bool, bytes)) else str(value))
