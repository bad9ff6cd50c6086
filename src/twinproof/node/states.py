"""The state view of a node's folder, for commands that read."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from pathlib import Path
from typing import Protocol

from twinproof.errors import Conflict, NotFound, StorageFailed
from twinproof.node.live import STATES, VIEWS
from twinproof.node.node import open_log, read_node
from twinproof.views.feed import Feed
from twinproof.views.state import StateView, tables


class States(Protocol):
    """What is asked."""

    def asking(self) -> AbstractContextManager[sqlite3.Connection]:
        """A connection that only reads, in a transaction."""


class KeptElsewhere:
    """The view of a node that another process runs: as far as that process has folded."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def asking(self) -> Iterator[sqlite3.Connection]:
        """A connection that only reads, in a transaction; raises `NotFound` or `StorageFailed`."""
        if not self._path.exists():
            raise NotFound(f"the node that runs on {self._path.parent.parent} keeps no views; stop it and ask again")
        try:
            with closing(tables.connect(self._path, read_only=True)) as database:
                (version,) = database.execute("PRAGMA user_version").fetchone()
                if version != tables.VERSION:
                    raise StorageFailed(f"{self._path} is of format {version}, not {tables.VERSION}")
                database.execute("BEGIN")
                yield database
        except sqlite3.Error as problem:
            raise StorageFailed(f"{self._path}: {problem}") from problem


@contextmanager
def read_states(folder: Path) -> Iterator[tuple[States, int]]:
    """The states and the log's size; a view that no running node keeps is caught up first.

    Raises as `open_log` does, but for `Conflict`.
    """
    with ExitStack() as stack:
        try:
            node = stack.enter_context(open_log(folder))
        except Conflict:
            reading = stack.enter_context(read_node(folder))
            yield KeptElsewhere(folder / VIEWS / STATES), reading.reader.head().size
            return
        (folder / VIEWS).mkdir(mode=0o700, exist_ok=True)
        view = stack.enter_context(closing(StateView(folder / VIEWS / STATES, Feed(node.reader))))
        view.catch_up()
        yield view, view.reached
