"""The feed: parsed entries in log order, the newest from memory, older ones from the log.

Intake parses every statement once; the feed keeps the newest ones so that the views and
subscriptions do not parse them again. Whoever falls behind the ring, or starts, reads the log: the
answer is the same, only slower. Nobody is waited for.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from twinproof.log.reader import Reader
from twinproof.twin.kinds import Kind, kind_of
from twinproof.twin.statement import Statement, parse_statement

RING: Final = 16_384
"""Entries kept in memory."""


class Item(NamedTuple):
    """One published entry."""

    index: int  # type: ignore[assignment]
    statement: Statement
    kind: Kind
    payload: object
    """As the kind's parser gave it."""


class Feed:
    """One per process; methods may be called from any thread."""

    def __init__(self, reader: Reader, *, ring: int = RING) -> None:
        self._reader = reader
        self._ring: deque[Item] = deque(maxlen=ring)
        self._size = reader.head().size
        self._changed = threading.Condition()
        self._listeners: list[Callable[[int], None]] = []

    @property
    def size(self) -> int:
        """Entries that are published; the next item has this index."""
        return self._size

    def publish(self, items: Sequence[Item]) -> None:
        """Add entries that have just become durable and published, in log order, without gaps.

        Called by the writer thread. Listeners are called with the new size, in that thread: they
        must only pass the news on.
        """
        if not items:
            return
        with self._changed:
            if items[0].index != self._size:
                self._ring.clear()
            self._ring.extend(items)
            self._size = items[-1].index + 1
            listeners = list(self._listeners)
            self._changed.notify_all()
        for listener in listeners:
            listener(self._size)

    def listen(self, listener: Callable[[int], None]) -> Callable[[], None]:
        """Call `listener(size)` after each publication; the result takes it off again."""
        with self._changed:
            self._listeners.append(listener)

        def stop() -> None:
            with self._changed:
                self._listeners.remove(listener)

        return stop

    def wait(self, index: int, timeout: float | None = None) -> bool:
        """Wait until entry `index` is published; False after `timeout` seconds without it."""
        with self._changed:
            return self._changed.wait_for(lambda: self._size > index, timeout)

    def read(self, start: int, limit: int) -> list[Item]:
        """Up to `limit` items from `start` on, none if there are none yet."""
        with self._changed:
            size = self._size
            ring = self._ring
            if ring and ring[0].index <= start:
                at = start - ring[0].index
                return [ring[i] for i in range(at, min(at + limit, len(ring)))]
        end = min(start + limit, size)
        return [_parse(start + i, raw) for i, raw in enumerate(self._reader.entries(start, end))] if start < end else []


def _parse(index: int, raw: bytes) -> Item:
    statement = parse_statement(raw)
    kind = kind_of(statement)
    return Item(index, statement, kind, kind.parse(statement.payload, statement.issued_at))
