"""A node's background tasks: rounds in a thread, at least one a tick, at once when asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Task:
    """Calls `step()` until `stop`; it must not raise. False from it means that something failed: it rests a tick."""

    def __init__(self, name: str, step: Callable[[], bool], tick: float) -> None:
        """`tick` is in seconds."""
        self.name = name
        self._step = step
        self._tick = tick
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin with a round."""
        self._thread.start()

    def wake(self) -> None:
        """Do a round now, or right after the one under way."""
        self._wake.set()

    def stop(self) -> None:
        """End the round under way and the thread."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while True:
            self._wake.clear()
            healthy = self._step()
            # What failed is not tried faster because somebody is in a hurry.
            if not self._stopping.is_set():
                (self._wake if healthy else self._stopping).wait(self._tick)
            if self._stopping.is_set():
                return
