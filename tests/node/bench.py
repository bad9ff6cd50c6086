"""An intake on a store in memory that fails when told to, and a script of what its log should hold."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.builders import LOG_KEY, LOG_PQ_KEY, ORIGIN, START, Log
from twinproof.log.fsck import fsck
from twinproof.log.reader import Reader
from twinproof.log.store import Entry, Group, Head
from twinproof.log.writer import Writer
from twinproof.node.config import Limits
from twinproof.node.examine import Examiner
from twinproof.node.intake import Accepted, Intake, Outcome
from twinproof.proof.cosignature import verifier
from twinproof.testing import FaultyPin, FaultyStore, ManualClock, MemoryPin, MemoryStore
from twinproof.twin.stream import position_of

KEYS = (LOG_KEY, LOG_PQ_KEY)
VERIFIERS = [verifier(key.verifier) for key in KEYS]


class GatedStore(FaultyStore):
    """Holds every commit until `gate` is set; `waiting` tells that one has come."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.gate = threading.Event()
        self.gate.set()
        self.waiting = threading.Event()

    def commit(self, expected: Head | None, group: Group) -> None:
        self.waiting.set()
        assert self.gate.wait(30)
        self.waiting.clear()
        super().commit(expected, group)

    def shut(self) -> None:
        """Let no commit pass until `gate` is set again."""
        self.waiting.clear()
        self.gate.clear()


@dataclass
class Bench:
    """Use it as a context manager; `script` makes statements and knows which log they should give."""

    limits: Limits = field(default_factory=Limits)
    memory: MemoryStore = field(default_factory=MemoryStore)
    clock: ManualClock = field(default_factory=lambda: ManualClock(START))
    script: Log = field(default_factory=Log)

    def __enter__(self) -> Bench:
        self.store = GatedStore(self.memory)
        self.pin = FaultyPin(MemoryPin())
        self.writer = Writer(self.store, self.pin, KEYS, ORIGIN, self.clock)
        genesis = self.script.raws[0]
        self.writer.append([Entry(position_of(genesis), genesis)])
        self.reader = Reader(self.store, lambda: self.writer.published)
        self.intake = Intake(self.writer, self.reader, limits=self.limits, clock=self.clock)
        return self

    def __exit__(self, *_: Any) -> None:
        self.store.gate.set()
        self.intake.stop()

    def submit(self, *raws: bytes) -> list[Outcome]:
        """Hand over and wait."""
        return self.intake.submit(raws).result(30)

    def take(self, *raws: bytes) -> list[int]:
        """As `submit`; the indices, all of which must have been accepted."""
        outcomes = self.submit(*raws)
        assert all(isinstance(outcome, Accepted) for outcome in outcomes), outcomes
        return [outcome.index for outcome in outcomes if isinstance(outcome, Accepted)]

    def refusal(self, raw: bytes) -> Exception:
        """Hand one over; why it is not taken."""
        (outcome,) = self.submit(raw)
        assert isinstance(outcome, Exception), outcome
        return outcome

    def entries(self) -> list[bytes]:
        """All that is durable."""
        head = self.memory.head()
        assert head is not None
        return self.memory.entries(0, head.size)

    def findings(self) -> list[str]:
        """What fsck says."""
        found = fsck(self.memory, verifiers=VERIFIERS, pin=self.pin, key_of=position_of, check_entry=Examiner().examine)
        return [str(finding) for finding in found]


def raws_from(script: Log, start: int) -> Sequence[bytes]:
    """What the script has said from entry `start` on."""
    return script.raws[start:]
