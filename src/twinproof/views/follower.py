"""A thread that keeps a view up to date: woken by the feed, patient with failures, waited for by nobody."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final, Protocol

from twinproof.errors import TwinproofError

RETRY: Final = 1.0
"""Seconds until the next attempt after a failure."""
_LOG = logging.getLogger(__name__)


class Folds(Protocol):
    """A view."""

    def catch_up(self) -> int:
        """Fold in what is published; how many entries were taken."""


class News(Protocol):
    """What a follower needs of `Feed`."""

    def listen(self, listener: Callable[[int], None]) -> Callable[[], None]: ...


class Follower:
    """Calls `view.catch_up()` after each publication until `stop`."""

    def __init__(self, name: str, view: Folds, feed: News) -> None:
        self.problem: TwinproofError | None = None
        """Why the view does not get on; it keeps trying."""
        self._name = name
        self._view = view
        self._news = threading.Event()
        self._stopping = threading.Event()
        self._unlisten = feed.listen(lambda size: self._news.set())
        self._news.set()
        self._thread = threading.Thread(target=self._run, name=f"view {name}")
        self._thread.start()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._news.wait()
            self._news.clear()
            if self._stopping.is_set():
                return
            try:
                self._view.catch_up()
                self.problem = None
            except TwinproofError as problem:
                if self.problem is None:
                    _LOG.error("the %s view does not get on: %s", self._name, problem)
                self.problem = problem
                self._stopping.wait(RETRY)
                self._news.set()

    def stop(self) -> None:
        """End the thread; what is not folded in yet is caught up when the view is opened again."""
        self._unlisten()
        self._stopping.set()
        self._news.set()
        self._thread.join()
