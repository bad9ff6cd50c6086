"""Fakes for everybody's tests: a clock that is set by hand, stores and pins that fail when told to.

from twinproof.testing import FaultyPin, FaultyStore, ManualClock, MemoryPin, MemoryStore

store = FaultyStore(MemoryStore())
writer = Writer(store, MemoryPin(), signers, "log.example", ManualClock())
store.fail("commit", kept=True)          # the next commit happens, but StorageFailed is raised
with pytest.raises(StorageFailed):
    writer.append(group)
assert writer.append(group)[0].index == 0
"""

from __future__ import annotations

from twinproof.log.memory import MemoryStore
from twinproof.testing.clock import ManualClock
from twinproof.testing.faults import FaultyPin, FaultyStore
from twinproof.testing.pin import MemoryPin

__all__ = ["FaultyPin", "FaultyStore", "ManualClock", "MemoryPin", "MemoryStore"]
