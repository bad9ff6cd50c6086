"""From feed items to one Arrow table: what a transaction of the telemetry view appends.

A row is one reading. `position` is its log index times `ROWS` plus its row in the entry: the number
of the SenML record, or, in columns, row × number of columns + column, counted from 0. Missing
samples have a position and no row. Columns are taken over array by array, never sample by sample.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from itertools import repeat
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinproof.twin.columns import Columns
from twinproof.twin.reading import Reading
from twinproof.twin.senml import MAX_INTEGER

ROWS: Final = 1 << 16
"""More than the rows of any entry: a payload has at most 60 KiB, a sample at least one byte."""

Signal: TypeAlias = tuple[str, str | None]
"""Name and UCUM unit. A device that changes its unit begins another signal."""

_SPARSE: Final = {
    "text": pa.string(),
    "flag": pa.bool_(),
    "data": pa.binary(),
    "exact": pa.decimal128(20, 0),
    "sum": pa.float64(),
}
"""Columns that few rows have; a batch without any leaves the column out."""


class Names:
    """The dictionaries: subjects and signals by number, in the order of their first appearance in the log."""

    def __init__(self, subjects: Iterable[str] = (), signals: Iterable[Signal] = ()) -> None:
        self.subjects = list(subjects)
        self.signals = list(signals)
        self._twin_ids = {subject: number for number, subject in enumerate(self.subjects)}
        self._signal_ids = {signal: number for number, signal in enumerate(self.signals)}
        self.named: dict[str, list[int]] = {}
        """Signal name -> its ids, one per unit."""
        for number, (name, _) in enumerate(self.signals):
            self.named.setdefault(name, []).append(number)

    def twin(self, subject: str) -> int:
        """The subject's id, a new one if it has none."""
        found = self._twin_ids.get(subject)
        if found is None:
            found = self._twin_ids[subject] = len(self.subjects)
            self.subjects.append(subject)
        return found

    def signal(self, signal: Signal) -> int:
        """The signal's id, a new one if it has none."""
        found = self._signal_ids.get(signal)
        if found is None:
            found = self._signal_ids[signal] = len(self.signals)
            self.signals.append(signal)
            self.named.setdefault(signal[0], []).append(found)
        return found

    def find_twin(self, subject: str) -> int | None:
        """The subject's id."""
        return self._twin_ids.get(subject)


class Batch:
    """Readings of consecutive entries, gathered until they are appended."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self.rows = 0
        """Rows so far, missing samples included."""
        # One element per entry, per run of one signal, per array.
        self._bases: list[int] = []
        self._twins: list[int] = []
        self._counts: list[int] = []
        self._signals: list[int] = []
        self._runs: list[int] = []
        self._places: list[npt.NDArray[np.int64]] = []
        self._times: list[npt.NDArray[np.float64]] = []
        self._values: list[npt.NDArray[Any]] = []
        self._sparse: dict[str, dict[int, Any]] = {}
        self._whole: set[int] = set()
        """Rows that have something else than a number."""

    def add(self, index: int, subject: str, payload: object) -> None:
        """Add the readings of an entry's parsed payload; one that has none adds nothing."""
        match payload:
            case Columns():
                rows = self._add_columns(payload)
            case list() if payload and isinstance(payload[0], Reading):
                rows = self._add_readings(payload)
            case _:
                return
        self._bases.append(index * ROWS)
        self._twins.append(self._names.twin(subject))
        self._counts.append(rows)
        self.rows += rows

    def _add_columns(self, content: Columns) -> int:
        rows, width = content.rows, len(content.columns)
        if content.offsets is not None:
            times = float(content.base_time) + np.asarray(content.offsets)
        else:
            times = float(content.base_time) + _numbers(rows) * float(content.step or 0)
        self._times.extend(repeat(times, width))
        self._places.append(_grid(rows, width))
        self._signals.extend([self._names.signal((name, unit)) for name, unit, _ in content.columns])
        self._runs.extend(repeat(rows, width))
        start = self.rows
        for number, (_, _, samples) in enumerate(content.columns):
            values = np.asarray(samples)
            if samples.format in ("q", "Q"):
                self._keep_exact(start + number * rows, values)
            self._values.append(values)
        return rows * width

    def _keep_exact(self, start: int, values: npt.NDArray[Any]) -> None:
        beyond = np.flatnonzero((values > MAX_INTEGER) | (values < -MAX_INTEGER))
        if len(beyond):
            exact = self._sparse.setdefault("exact", {})
            exact.update((start + int(row), int(values[row])) for row in beyond)

    def _add_readings(self, readings: list[Reading]) -> int:
        names, values, units, times, sums = zip(*readings, strict=True)
        if not {float, int}.issuperset(map(type, values)):
            values = tuple(self._number(self.rows + row, value) for row, value in enumerate(values))
        if any(total is not None for total in sums):
            totals = self._sparse.setdefault("sum", {})
            totals.update((self.rows + row, float(total)) for row, total in enumerate(sums) if total is not None)
        self._signals.extend(map(self._names.signal, zip(names, units, strict=True)))
        self._runs.extend(repeat(1, len(readings)))
        self._places.append(_places(len(readings)))
        self._times.append(np.array(times, np.float64))
        self._values.append(np.array(values, np.float64))
        return len(readings)

    def _number(self, row: int, value: float | int | bool | str | bytes | None) -> float:
        """The value as a number, NaN if it is none; what is no number is kept beside."""
        match value:
            case bool():
                column = "flag"
            case int() | float():
                return float(value)
            case str():
                column = "text"
            case bytes():
                column = "data"
            case None:
                self._whole.add(row)
                return float("nan")
        self._whole.add(row)
        self._sparse.setdefault(column, {})[row] = value
        # Booleans are numbers too, so that a chart of a switch shows its share of time.
        return float(value) if isinstance(value, bool) else float("nan")

    def table(self) -> pa.Table:
        """The batch as columns of the table `recent`; missing samples are gone."""
        counts = np.array(self._counts, np.int64)
        values = np.concatenate(self._values, dtype=np.float64)
        columns: dict[str, Any] = {
            "position": np.repeat(np.array(self._bases, np.int64), counts) + np.concatenate(self._places),
            "twin": np.repeat(np.array(self._twins, np.int32), counts),
            "signal": np.repeat(np.array(self._signals, np.int32), self._runs),
            "time": np.concatenate(self._times),
        }
        missing = np.isnan(values)
        columns["value"] = pa.array(values, mask=missing) if missing.any() else values
        for name, cells in self._sparse.items():
            columns[name] = pa.array([cells.get(row) for row in range(self.rows)], _SPARSE[name])
        table = pa.table(columns)
        if missing.any():
            missing[list(self._whole)] = False
            table = table.filter(pa.array(~missing))
        return table


@lru_cache(maxsize=64)
def _numbers(rows: int) -> npt.NDArray[np.float64]:
    return np.arange(rows, dtype=np.float64)


@lru_cache(maxsize=64)
def _places(rows: int) -> npt.NDArray[np.int64]:
    return np.arange(rows, dtype=np.int64)


@lru_cache(maxsize=256)
def _grid(rows: int, width: int) -> npt.NDArray[np.int64]:
    """Row × width + column, column by column."""
    return (np.arange(rows, dtype=np.int64) * width + np.arange(width, dtype=np.int64)[:, None]).reshape(-1)
