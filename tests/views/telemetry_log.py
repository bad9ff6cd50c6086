"""A log with a feed that publishes as intake does, and what the telemetry view should say about it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tests.builders import DEVICE, LOG_KEY, LOG_PQ_KEY, ORIGIN, START, Log, Signer
from twinproof.log.reader import Reader
from twinproof.log.store import Entry
from twinproof.log.writer import Writer
from twinproof.testing import ManualClock, MemoryPin, MemoryStore
from twinproof.twin.columns import COLUMNS, Columns, format_columns
from twinproof.twin.kinds import kind_of
from twinproof.twin.reading import Reading
from twinproof.twin.senml import SENML, format_senml
from twinproof.twin.statement import Statement, parse_statement
from twinproof.twin.stream import position
from twinproof.views.feed import Feed, Item
from twinproof.views.telemetry import Row


class Said(NamedTuple):
    """One entry to come: a twin, a content type with a payload, and who says it."""

    subject: str
    content_type: str
    payload: bytes
    by: Signer = DEVICE


def senml(subject: str, *readings: Reading) -> Said:
    """Readings as a SenML pack."""
    return Said(subject, SENML, format_senml(readings))


def columns(
    subject: str,
    values: Sequence[tuple[str, str | None, Sequence[float]]],
    *,
    base_time: float = START,
    step: float | None = None,
    offsets: Sequence[float] | None = None,
) -> Said:
    """Readings as columns."""
    return Said(subject, COLUMNS, format_columns(base_time, values, step=step, offsets=offsets))


@dataclass
class Journal:
    """A log in memory that is written and published entry by entry."""

    ring: int = 16_384

    def __post_init__(self) -> None:
        self.log = Log(empty=True)
        store = MemoryStore()
        self.writer = Writer(store, MemoryPin(), [LOG_KEY, LOG_PQ_KEY], ORIGIN, ManualClock())
        self.reader = Reader(store, lambda: self.writer.published)
        self.feed = Feed(self.reader, ring=self.ring)
        self.items: list[Item] = []

    def say(self, *said: Said) -> None:
        """Sign, append as one group and publish."""
        new = [self._item(self.log.say(one.by, one.subject, one.content_type, one.payload)) for one in said]
        self.writer.append([Entry(position(item.statement), item.statement.raw) for item in new])
        self.feed.publish(new)

    def _item(self, statement: Statement) -> Item:
        read = parse_statement(statement.raw)
        kind = kind_of(read)
        item = Item(len(self.items), read, kind, kind.parse(read.payload, read.issued_at))
        self.items.append(item)
        return item


def expected_rows(items: Iterable[Item]) -> list[Row]:
    """Every reading of the log, in the order of time, then of the log, by the plainest code there is."""
    rows = []
    for item in items:
        found: list[tuple[int, Reading]] = []
        if isinstance(item.payload, Columns):
            width = len(item.payload.columns)
            for row, time in enumerate(item.payload.times()):
                for number, (name, unit, values) in enumerate(item.payload.columns):
                    if values[row] == values[row]:
                        found.append((row * width + number, Reading(name, values[row], unit, time)))
        elif isinstance(item.payload, list):
            found = list(enumerate(item.payload))
        for place, (name, value, unit, time, total) in found:
            if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= 2**53:
                value = float(value)
            total = None if total is None else float(total)
            rows.append(Row(item.statement.subject, name, unit, time, value, total, item.index, place))
    return sorted(rows, key=lambda row: (row.time, row.log_index, row.entry_row))
