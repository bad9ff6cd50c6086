"""Plays a CSV or Parquet file as if its rows came in now, at any speed; goes on where it stopped.

Rows keep the file's own times. How many rows were taken is stored in the transaction that stores the rows, so a replay
that was cut goes on with the next one; another file under the same source's name is refused.
"""

from __future__ import annotations

import csv
import threading
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from hashlib import sha256
from itertools import islice
from math import isnan
from pathlib import Path
from typing import Any, Final

from twinproof.edge.bridge import Arrival, Bridge, Receipt
from twinproof.edge.patterns import Template
from twinproof.edge.selection import Observation, Selected, convert_time, observe_signals
from twinproof.edge.sources import FileFormat, FileRule, FileSource
from twinproof.errors import ConfigError, Malformed, Overloaded, StorageFailed, TwinproofError

ROWS_AT_ONCE: Final = 256
"""Rows of one transaction."""
AHEAD: Final = 4096
"""Rows that may wait for the log; a file that is played as fast as possible goes as fast as the log does."""
BUSY: Final = 0.02
"""Seconds between two looks at what the log has."""

Row = dict[str, Any]
"""Column -> value; a missing value is None."""


class FileConnector:
    """See `edge.bridge.Connector`; `run` ends when the log has the whole file."""

    def __init__(self, source: FileSource, bridge: Bridge) -> None:
        """Raises `ConfigError` if the file is not there, lacks a column, or is another one than before."""
        self._source = source
        self._bridge = bridge
        self._window: deque[Receipt] = deque()
        self.connected = threading.Event()
        """Set once the file is open."""
        self._digest = _identity(source.path)
        self._done, known = bridge.outbox.progress(source.name)
        if self._done and known != self._digest:
            raise ConfigError(
                f"{source.path} is not the file whose first {self._done} rows {source.name!r} has played; give the"
                " source another name"
            )
        columns, self._rows = _open_rows(source)
        for column in needed_columns(source):
            if column not in columns:
                raise ConfigError(f"{source.path} has no column {column!r}; it has {', '.join(columns)}")

    def run(self, stopping: threading.Event) -> None:
        """See `Connector`."""
        self.connected.set()
        pace = _Pace(self._source.speed, self._bridge.monotonic)
        rows = islice(enumerate(self._rows, 1), self._done, None)
        while not stopping.is_set():
            batch, selected = self._next(rows, pace, stopping)
            if not batch:
                break
            self._take(batch, selected, stopping)
            while len(self._window) >= AHEAD and not stopping.is_set():
                self._settle(stopping)
        while self._window and not stopping.is_set():
            self._settle(stopping)

    def _next(
        self, rows: Iterator[tuple[int, Row]], pace: _Pace, stopping: threading.Event
    ) -> tuple[int, list[Selected]]:
        """(number of the last row, what is in the rows) of a batch whose time has come; (0, []) at the end."""
        selected: list[Selected] = []
        last = 0
        for number, row in rows:
            last = number
            try:
                moment = self._moment(number, row)
                observations = self._observe(row, moment)
            except Malformed as problem:
                self._bridge.reject(self._source.name, f"row {number}", problem)
                selected.append(Selected())
                continue
            selected.append(Selected(observations, timed=True))
            if not pace.wait(moment, stopping):
                return 0, []
            if pace.speed is not None or len(selected) >= ROWS_AT_ONCE:
                break
        return last, selected

    def _moment(self, number: int, row: Row) -> float:
        source = self._source
        if source.time is None:
            assert source.start is not None and source.step is not None  # noqa: S101, PT018 - checked by the mapping
            return source.start + (number - 1) * source.step
        value = row[source.time.at]
        if value is None:
            raise Malformed("time", f"there is none in column {source.time.at}")
        if isinstance(value, datetime):
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
        return convert_time(source.time.format, value)

    def _observe(self, row: Row, moment: float) -> tuple[Observation, ...]:
        found = []
        for rule in self._source.map:
            groups = _groups(rule, row)
            values = [row[signal.at or ""] for signal in rule.signals]
            observation = observe_signals(rule.twin.fill_iri(groups), rule.signals, groups, values, moment)
            if observation is not None:
                found.append(observation)
        return tuple(found)

    def _take(self, last: int, selected: list[Selected], stopping: threading.Event) -> None:
        """Keep a batch, waiting for room as long as it takes."""
        arrivals = [Arrival(each, b"") for each in selected]
        name = self._source.name

        def note() -> None:
            self._bridge.outbox.note_progress(name, last, self._digest)

        told = False
        while not stopping.is_set():
            try:
                self._window.extend(self._bridge.take(name, "file", arrivals, also=note))
                return
            except (Overloaded, StorageFailed) as problem:
                if not told:
                    self._bridge.tell(problem)
                    told = True
                stopping.wait(1.0)
                self._settle(stopping)

    def _settle(self, stopping: threading.Event) -> None:
        try:
            self._bridge.close_due(self._window, now=True)
            for _ in range(self._bridge.settled(self._window)):
                self._window.popleft()
        except TwinproofError as problem:
            self._bridge.tell(problem)
        if self._window:
            stopping.wait(BUSY)


class _Pace:
    """When the next row's time has come."""

    def __init__(self, speed: float | None, monotonic: Callable[[], float]) -> None:
        self.speed = speed
        self._monotonic = monotonic
        self._began: tuple[float, float] | None = None

    def wait(self, moment: float, stopping: threading.Event) -> bool:
        """Wait for the moment of a row; False if stopped meanwhile. Without a speed there is no waiting."""
        if self.speed is None:
            return True
        now = self._monotonic()
        if self._began is None:
            self._began = now, moment
        due = self._began[0] + (moment - self._began[1]) / self.speed
        return not stopping.wait(max(0.0, due - now))


def needed_columns(source: FileSource) -> list[str]:
    """The columns that a source takes, each once."""
    needed: dict[str, None] = {}
    if source.time is not None:
        needed[source.time.at] = None
    for rule in source.map:
        for template in (rule.twin, *(signal.name for signal in rule.signals)):
            needed.update(dict.fromkeys(sorted(template.names)))
        needed.update(dict.fromkeys(signal.at or "" for signal in rule.signals))
    return list(needed)


def _groups(rule: FileRule, row: Row) -> dict[str, str]:
    """The columns that stand in templates, as text."""
    groups: dict[str, str] = {}
    templates: tuple[Template, ...] = (rule.twin, *(signal.name for signal in rule.signals))
    for name in {name for template in templates for name in template.names}:
        value = row[name]
        if type(value) not in (str, int):
            raise Malformed(name, f"{value!r:.60} is neither text nor a whole number, and cannot be in a name")
        groups[name] = str(value)
    return groups


def _identity(path: Path) -> bytes:
    """Digest of the file's size and first MiB: enough to know another file by mistake."""
    try:
        with path.open("rb") as file:
            return sha256(path.stat().st_size.to_bytes(8, "big") + file.read(1 << 20)).digest()
    except OSError as problem:
        raise ConfigError(f"{path}: {problem.strerror}") from None


# --- formats --------------------------------------------------------------------------------


def _open_rows(source: FileSource) -> tuple[list[str], Iterator[Row]]:
    """(columns, rows) of the file."""
    return _open_parquet(source) if source.kind is FileFormat.PARQUET else _open_csv(source.path)


def _open_csv(path: Path) -> tuple[list[str], Iterator[Row]]:
    rows = _csv_rows(path)
    header = next(rows, None)
    if not header:
        raise ConfigError(f"{path} has no header")
    names = [name.strip() for name in header]
    if len(set(names)) < len(names):
        raise ConfigError(f"{path} names a column twice")
    return names, _csv_records(path, names, rows)


def _csv_rows(path: Path) -> Iterator[list[str]]:
    """Raises `ConfigError` for what is no CSV: a file that breaks off in the middle must not look played."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            yield from csv.reader(file, strict=True)
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise ConfigError(f"{path}: {problem}") from None


def _csv_records(path: Path, names: list[str], rows: Iterator[list[str]]) -> Iterator[Row]:
    for number, row in enumerate(rows, 1):
        if not row:
            continue
        if len(row) != len(names):
            raise ConfigError(f"{path}: row {number} has {len(row)} columns, the header has {len(names)}")
        yield {name: cell.strip() or None for name, cell in zip(names, row, strict=True)}


def _open_parquet(source: FileSource) -> tuple[list[str], Iterator[Row]]:
    # Here, because a gateway that plays no Parquet needs no Arrow.
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError as problem:
        raise ConfigError(
            f"Parquet needs the package {problem.name}; install it with: pip install 'twinproof[node]'"
        ) from None
    try:
        file = pyarrow.parquet.ParquetFile(source.path)
    except (OSError, pyarrow.ArrowException) as problem:
        raise ConfigError(f"{source.path}: {problem}") from None
    columns = list(file.schema_arrow.names)
    wanted = [column for column in needed_columns(source) if column in columns]

    def rows() -> Iterator[Row]:
        try:
            for batch in file.iter_batches(batch_size=ROWS_AT_ONCE, columns=wanted):
                for row in batch.to_pylist():
                    yield {name: _plain(value) for name, value in row.items()}
        except (OSError, pyarrow.ArrowException) as problem:
            raise ConfigError(f"{source.path}: {problem}") from None

    return columns, rows()


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and isnan(value) else value
