"""Any sequence of appends, faults, restarts and clock changes against a list: what was acknowledged stays."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.log.rig import Rig, audit, check_signed, entry, naive_root
from tests.log.test_writer import cosign
from twinproof.errors import Equivocation, StorageFailed
from twinproof.log.reader import Reader
from twinproof.log.store import Entry
from twinproof.log.writer import Appended, Writer

T = TypeVar("T")

GROUPS = st.lists(
    st.builds(entry, st.integers(0, 300), st.integers(0, 2), st.sampled_from([b"reading"] * 9 + [b"forged"])),
    max_size=90,
)


class LogMachine(RuleBasedStateMachine):
    backend = "memory"

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.rig = Rig(self.backend, Path(self.folder.name))
        self.writer: Writer = self.until_it_works(self.rig.open)
        self.log: list[Entry] = []
        self.refused: dict[bytes, bytes] = {}
        self.last_time = 0

    def teardown(self) -> None:
        self.writer = self.until_it_works(self.rig.open)
        audit(self.rig, dict(enumerate(self.log)))
        assert [one.data for one in self.log] == self.rig.stored()
        assert {kept.key: kept.data for kept in self.rig.store.conflicts()} == self.refused
        self.rig.close()
        self.folder.cleanup()

    @staticmethod
    def until_it_works(action: Callable[[], T]) -> T:
        for _ in range(8):
            try:
                return action()
            except StorageFailed:
                continue
        raise AssertionError("more failures than were planned")

    @rule(group=GROUPS, give_up=st.booleans())
    def append(self, group: list[Entry], give_up: bool) -> None:
        if give_up:
            try:
                results = self.writer.append(group)
            except StorageFailed:
                # Unknown what became of it: the model learns it by sending again after a restart.
                self.writer = self.until_it_works(self.rig.open)
                results = self.until_it_works(lambda: self.writer.append(group))
        else:
            results = self.until_it_works(lambda: self.writer.append(group))
        positions = {one.key: index for index, one in enumerate(self.log)}
        for sent, result in zip(group, results, strict=True):
            index = positions.setdefault(sent.key, len(self.log))
            if index == len(self.log):
                self.log.append(sent)
            if self.log[index].data == sent.data:
                assert isinstance(result, Appended)
            else:
                assert isinstance(result, Equivocation)
                self.refused.setdefault(sent.key, sent.data)
            assert result.index == index

    @rule()
    def restart(self) -> None:
        self.writer = self.until_it_works(self.rig.open)

    @rule(write=st.sampled_from(["commit", "keep_conflict"]), after=st.integers(0, 2), kept=st.booleans())
    def plan_store_fault(self, write: str, after: int, kept: bool) -> None:
        self.rig.store.fail(write, after=after, kept=kept)

    @rule(after=st.integers(0, 2), kept=st.booleans())
    def plan_pin_fault(self, after: int, kept: bool) -> None:
        self.rig.pin.fail("write", after=after, kept=kept)

    @rule(seconds=st.integers(-100, 100))
    def move_the_clock(self, seconds: int) -> None:
        self.rig.clock.advance(seconds)

    @rule()
    def cosign(self) -> None:
        head = self.writer.published
        self.until_it_works(lambda: self.writer.add_signatures(cosign(head.checkpoint), head.time))

    @precondition(lambda self: self.log)
    @rule(data=st.data())
    def prove(self, data: st.DataObject) -> None:
        reader = Reader(self.rig.store, lambda: self.writer.published)
        index = data.draw(st.integers(0, len(self.log) - 1))
        if index < reader.head().size:
            assert reader.entry(index) == self.log[index].data
            assert reader.find(self.log[index].key) == index

    @invariant()
    def the_published_head_is_a_prefix(self) -> None:
        published = self.writer.published
        assert published.root == naive_root([one.data for one in self.log[: published.size]])
        assert published.time >= self.last_time
        self.last_time = published.time

    @invariant()
    def all_signed_checkpoints_agree(self) -> None:
        if len(self.log) < 60:
            check_signed(self.rig, self.rig.stored())


class MemoryMachine(LogMachine):
    backend = "memory"


class SqliteMachine(LogMachine):
    backend = "sqlite"


TestMemory = MemoryMachine.TestCase
TestMemory.settings = settings(max_examples=60, stateful_step_count=25)
TestSqlite = SqliteMachine.TestCase
TestSqlite.settings = settings(max_examples=15, stateful_step_count=20)
