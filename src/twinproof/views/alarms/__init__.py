"""Alarms: the rules in the log, judged on the readings in the log (docs/alarms.md).

    engine, reached, proposals = rebuild(states, feed, issuer)
    for item in feed.read(reached, 1000):
        proposals += engine.take(item)
    proposals += engine.tick(now)

Nothing here writes: what is proposed becomes an alarm when it is stated in the log.
"""

from __future__ import annotations

from twinproof.views.alarms.engine import Engine, Finding, Proposal
from twinproof.views.alarms.rebuild import rebuild
from twinproof.views.alarms.track import Settings

__all__ = ["Engine", "Finding", "Proposal", "Settings", "rebuild"]
