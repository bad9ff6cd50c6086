"""How often an edge node is asked for its births: at once, then ever more seldom, until it was well for a while."""

from __future__ import annotations

from typing import Final

FIRST: Final = 10.0
"""Seconds between the first two requests to one edge node."""
LONGEST: Final = 600.0
"""A node that never answers, or whose births never help, is asked this often."""
CALM: Final = 4
"""After this many intervals without a need, a new need is answered at once again."""


class RebirthLimit:
    """Of one edge node. A birth takes the wish away, not the limit: births that do not help must not make a storm."""

    def __init__(self) -> None:
        self._reason: str | None = None
        self._interval = FIRST
        self._asked_at: float | None = None

    @property
    def wanted(self) -> bool:
        """Whether a birth is wanted and has not come."""
        return self._reason is not None

    def want(self, reason: str) -> None:
        """The node's births are needed; the first reason is kept."""
        self._reason = self._reason or reason

    def answered(self) -> None:
        """The node was born."""
        self._reason = None

    def due_in(self, now: float) -> float:
        """Seconds until the node may be asked; infinite if it need not be."""
        if self._reason is None:
            return float("inf")
        if self._asked_at is None or now - self._asked_at >= CALM * self._interval:
            return 0.0
        return max(0.0, self._asked_at + self._interval - now)

    def take(self, now: float) -> str | None:
        """The reason for a request that is to be sent now, None if none is."""
        if self.due_in(now) > 0:
            return None
        if self._asked_at is not None:
            calm = now - self._asked_at >= CALM * self._interval
            self._interval = FIRST if calm else min(LONGEST, 2 * self._interval)
        self._asked_at = now
        return self._reason
