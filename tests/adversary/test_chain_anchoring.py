"""Anchoring through nodes that disagree, under wrong addresses, and after the log or the chain went back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.builders import ORIGIN, START
from tests.node.chain_rig import ACCOUNTS, deploy, transact
from tests.node.folders import OPERATOR_IRI
from tests.node.test_anchoring import HOUR, LOG_ID, SETTINGS, Rig
from twinproof.chain.anchors import CheckpointAnchor, log_id_of
from twinproof.chain.model import Block
from twinproof.errors import ChainError, ConfigError, ForkedHistory, TwinproofError
from twinproof.node.anchoring import Anchoring
from twinproof.node.node import init_node, open_node
from twinproof.testing import ManualClock


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    clock = ManualClock(START)
    init_node(tmp_path / "node", ORIGIN, OPERATOR_IRI, clock=clock)
    with open_node(tmp_path / "node", clock=clock) as node:
        yield Rig(node, clock)


class Pool:
    """Two nodes behind one address: they answer calls in turn, and the second has not seen the newest blocks."""

    def __init__(self, rig: Rig, lag: int) -> None:
        self.chain = rig.chain
        self.lag = lag
        self.turn = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.chain, name)

    def head(self) -> Block:
        return self.chain.head()

    def call(self, to: bytes, data: bytes, *, block: int | None = None, **rest: Any) -> bytes:
        self.turn += 1
        newest = self.chain.head().number - self.lag * (self.turn % 2)
        if block is not None and block > newest:
            raise ChainError("header not found")
        return self.chain.call(to, data, block=newest if block is None else block, **rest)


def anchoring(rig: Rig, chain: Any, address: bytes) -> Anchoring:
    anchors = CheckpointAnchor(chain, address)
    return Anchoring(
        rig.node.reader, chain, anchors, LOG_ID, rig.submitter, rig.store,
        settings=SETTINGS, clock=rig.clock, on_problem=rig.problems.append,
    )  # fmt: skip


@pytest.mark.parametrize("first", [0, 1])
def test_nodes_that_lag_are_no_fork(rig: Rig, first: int) -> None:
    """Anchoring ends for good at a fork, so a slow node must not look like one."""
    for _ in range(2):
        rig.grow()
        rig.wait(HOUR + 60)
        assert rig.anchoring.step()
    pool = Pool(rig, lag=1)
    task = anchoring(rig, pool, rig.anchors.address)
    for turn in range(4):
        pool.turn = turn + first
        task.step()
        assert not task.report.forked, task.report.problem
    pool.lag = 0
    rig.grow()
    rig.wait(HOUR + 60)
    assert task.step()
    assert rig.sizes()[-1] == rig.size


@pytest.mark.parametrize("place", ["nobody", "an account", "a precompile", "another contract"])
def test_an_address_that_is_not_the_contract(rig: Rig, place: str) -> None:
    """It says so each round, anchors nothing, and does not take it for a fork."""
    address = {
        "nobody": b"\7" * 20,
        "an account": ACCOUNTS[1].address,
        "a precompile": bytes(19) + b"\4",
        "another contract": deploy(rig.chain, "MaintenanceAgreement").address,
    }[place]
    rig.grow()
    task = anchoring(rig, rig.chain, address)
    nonce = rig.chain.nonce(ACCOUNTS[0].address)
    for _ in range(2):
        assert not task.step()
        assert isinstance(task.problem, TwinproofError)
        assert task.problem.code != "internal"
        assert not task.report.forked
    assert rig.chain.nonce(ACCOUNTS[0].address) == nonce


def test_a_chain_that_went_back_is_anchored_again(rig: Rig) -> None:
    """The embedded chain's file was restored from a copy; outbox and evidence were not."""
    rig.grow()
    assert rig.anchoring.step()
    before = rig.chain.snapshot()
    rig.grow()
    rig.wait(HOUR + 60)
    assert rig.anchoring.step()
    size = rig.size
    assert rig.sizes() == [size - 1, size]
    rig.chain.restore(before)
    assert rig.sizes() == [size - 1]
    # What comes next takes the place of the blocks that are gone.
    transact(rig.chain, ACCOUNTS[1], ACCOUNTS[2].address, b"", 1)
    rig.wait(HOUR + 60)
    for _ in range(3):
        rig.anchoring.step()
        assert not rig.anchoring.report.forked
    assert rig.sizes() == [size - 1, size]
    assert rig.evidence() == [size - 1, size]


def test_a_log_that_went_back_does_not_fork_the_anchored_one(rig: Rig) -> None:
    """The log's folder was restored from a backup; its owner signs on, and the chain remembers."""
    rig.grow(3)
    assert rig.anchoring.step()

    class Older:
        """The reader of the backup, some entries ago."""

        def __init__(self, reader: Any) -> None:
            self.reader = reader

        def __getattr__(self, name: str) -> Any:
            return getattr(self.reader, name)

        def head(self) -> Any:
            return self.reader.checkpoints()[0]

    rig.restart(reader=Older(rig.node.reader))  # type: ignore[arg-type]
    for _ in range(2):
        assert not rig.anchoring.step()
        assert isinstance(rig.anchoring.problem, ForkedHistory)
    assert rig.sizes() == [rig.size]


def test_a_clock_that_was_ahead_for_a_moment(rig: Rig) -> None:
    """The embedded chain cannot go back in time; the log is anchored every hour of the corrected clock all the same."""
    decade = 10 * 365 * 86_400
    rig.grow()
    rig.clock.advance(decade)
    assert rig.anchoring.step()
    rig.clock.advance(-decade)
    assert rig.chain.head().time > rig.clock() + decade - HOUR
    rig.grow()
    assert rig.anchoring.step()
    assert rig.sizes() == [rig.size - 1]
    for again in (False, True):
        if again:
            rig.restart()
            rig.grow()
            rig.anchoring.step()
        rig.wait(HOUR + 60)
        assert rig.anchoring.step()
        assert rig.sizes()[-1] == rig.size


def test_the_id_of_another_log_is_not_taken(rig: Rig) -> None:
    """contracts.json of another node with the same account: its log could never be anchored again."""
    other = log_id_of("other.example/log", ACCOUNTS[0].address)
    call = rig.anchors.plan_registration("other.example/log", ACCOUNTS[0].address)
    transact(rig.chain, ACCOUNTS[0], rig.anchors.address, call)
    rig.grow()
    task = Anchoring(
        rig.node.reader, rig.chain, rig.anchors, other, rig.submitter, rig.store,
        settings=SETTINGS, clock=rig.clock, on_problem=rig.problems.append,
    )  # fmt: skip
    for _ in range(2):
        assert not task.step()
        assert isinstance(task.problem, ConfigError)
        assert "other.example/log" in str(task.problem)
    assert rig.anchors.latest(other).count == 0
    assert rig.anchoring.step()
    assert rig.sizes() == [rig.size]
