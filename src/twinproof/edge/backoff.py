"""How long to wait after the n-th failure: doubling, with jitter, up to a limit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

FIRST: Final = 1.0
"""Seconds after the first failure."""
LONGEST: Final = 300.0
"""Seconds; a fleet that lost its log finds it again within five minutes."""
LONGEST_ASKED: Final = 3600.0
"""Seconds that a log may ask for; a mistaken or hostile answer must not silence a device for longer."""


class Backoff:
    """Counts failures in a row. Jitter keeps a fleet from coming back in one moment."""

    def __init__(self, jitter: Callable[[], float]) -> None:
        self._jitter = jitter
        self._failures = 0

    @property
    def failures(self) -> int:
        """Failures in a row."""
        return self._failures

    def succeeded(self) -> None:
        """Start over."""
        self._failures = 0

    def failed(self) -> float:
        """Count a failure; seconds to wait, between half of the doubled time and all of it."""
        longest = min(LONGEST, FIRST * 2.0 ** min(self._failures, 20))
        self._failures += 1
        return longest * (0.5 + 0.5 * self._jitter())

    def asked(self, seconds: float) -> float:
        """Count a failure whose answer says how long to wait; never sooner than it says, within reason."""
        self._failures += 1
        return min(max(seconds, 0.1), LONGEST_ASKED) * (1.0 + 0.1 * self._jitter())
