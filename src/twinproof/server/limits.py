"""Rate limits per client address: a token bucket that counts statements (RFC 6585 §4 for the answer)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from twinproof.errors import RateLimited

MAX_CLIENTS: Final = 10_000
"""Buckets kept; the one unused for longest goes first, which never makes a busy client faster."""


class RateLimit:
    """`rate` tokens a second, `burst` at most; one bucket per client. Not thread-safe: one event loop."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str, tokens: int) -> None:
        """Spend `tokens`; raises `RateLimited` with the seconds to wait and then spends nothing.

        A request larger than the burst is let through on a full bucket, leaving it in debt: it could
        never be sent otherwise.
        """
        if not self._rate:
            return
        now = self._clock()
        level, seen = self._buckets.pop(client, (self._burst, now))
        level = min(self._burst, level + (now - seen) * self._rate)
        needed = min(tokens, self._burst)
        allowed = level >= needed
        self._buckets[client] = (level - tokens if allowed else level, now)
        if len(self._buckets) > MAX_CLIENTS:
            self._buckets.popitem(last=False)
        if not allowed:
            raise RateLimited(
                f"over {self._rate:g} statements a second from {client}; slow down", (needed - level) / self._rate
            )
