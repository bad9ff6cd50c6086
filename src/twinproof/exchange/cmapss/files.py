"""Reads the C-MAPSS text files, plain or gzipped, strictly.

`train_FD00x.txt` and `test_FD00x.txt`: 26 numbers a line, parted by spaces, unit number and cycle
first; units count up from 1, the cycles of each from 1, without gaps. `RUL_FD00x.txt`: one integer
a line, the cycles left to each test unit after its last row.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from twinproof.errors import Malformed, TooLarge
from twinproof.exchange.cmapss.layout import FIELDS, Snapshot

MAX_LINE: Final = 1024
"""Bytes; the longest line of the four data sets has 172."""

MAX_LINES: Final = 1_000_000
"""The largest data set has 61,249 rows."""

MAX_UNITS: Final = 999

_NUMBER = re.compile(rb"-?[0-9]{1,9}(?:\.[0-9]{1,9})?")
_COUNT = re.compile(rb"[0-9]{1,6}")


def read_snapshots(path: Path) -> Iterator[Snapshot]:
    """The rows of a train or test file, in order.

    Raises `Malformed` (`TooLarge` for a limit) that names file, line and column, when the row that is wrong is
    reached; `OSError` if the file cannot be read.
    """
    unit = cycle = 0
    for line, tokens in _lines(path):
        if len(tokens) != 2 + len(FIELDS):
            raise Malformed(line, f"has {len(tokens)} columns, not {2 + len(FIELDS)}")
        next_unit = _count(tokens[0], f"{line}, column 1 (unit)")
        next_cycle = _count(tokens[1], f"{line}, column 2 (cycle)")
        if next_unit != unit:
            if next_unit != unit + 1:
                raise Malformed(f"{line}, column 1 (unit)", f"unit {next_unit} follows unit {unit}")
            if next_unit > MAX_UNITS:
                raise TooLarge(f"{line}, column 1 (unit)", f"more than {MAX_UNITS} units")
            unit, cycle = next_unit, 0
        if next_cycle != cycle + 1:
            raise Malformed(f"{line}, column 2 (cycle)", f"cycle {next_cycle} follows cycle {cycle} of unit {unit}")
        cycle = next_cycle
        values = []
        for number, (field, token) in enumerate(zip(FIELDS, tokens[2:], strict=True), 3):
            if not _NUMBER.fullmatch(token):
                raise Malformed(f"{line}, column {number} ({field.name})", f"{_shown(token)} is not a number")
            values.append(float(token))
        yield Snapshot(unit, cycle, tuple(values))
    if not unit:
        raise Malformed(path.name, "holds no rows")


def read_rul(path: Path) -> list[int]:
    """The true remaining cycles of test units 1, 2, ...; raises as `read_snapshots`."""
    remaining = []
    for line, tokens in _lines(path):
        if len(tokens) != 1:
            raise Malformed(line, f"has {len(tokens)} columns, not 1")
        remaining.append(_count(tokens[0], f"{line}, column 1 (RUL)"))
    if not remaining:
        raise Malformed(path.name, "holds no rows")
    return remaining


def _lines(path: Path) -> Iterator[tuple[str, list[bytes]]]:
    """(name of file and line, its tokens) for each line."""
    number = 0
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        while True:
            number += 1
            where = f"{path.name}, line {number}"
            try:
                line = file.readline(MAX_LINE + 1)
            except (gzip.BadGzipFile, EOFError, zlib.error) as error:
                raise Malformed(where, f"the gzip data is damaged ({error})") from None
            if not line:
                return
            if len(line) > MAX_LINE:
                raise TooLarge(where, f"more than {MAX_LINE} bytes")
            if number > MAX_LINES:
                raise TooLarge(path.name, f"more than {MAX_LINES} lines")
            yield where, [token for token in line.rstrip(b"\r\n").split(b" ") if token]


def _count(token: bytes, field: str) -> int:
    if not _COUNT.fullmatch(token):
        raise Malformed(field, f"{_shown(token)} is not a whole number")
    return int(token)


def _shown(token: bytes) -> str:
    return repr(token[:24].decode("ascii", "backslashreplace"))
