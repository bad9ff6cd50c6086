"""A clock that stands still until it is told to move."""

from __future__ import annotations


class ManualClock:
    """Call it for the time, in POSIX seconds; set `time` or call `advance` to move it, back too."""

    def __init__(self, time: float = 1_700_000_000.0) -> None:
        self.time = time

    def __call__(self) -> float:
        return self.time

    def advance(self, seconds: float) -> None:
        """Move on by `seconds`."""
        self.time += seconds
