"""Anchoring on a real EVM with the real contract: when it is due, what a crash leaves, and a fork that is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.builders import DEVICE, ORIGIN, START
from tests.node.chain_rig import ACCOUNTS, Outbox, ScriptedSubmitter, deploy, new_chain, transact
from tests.node.folders import OPERATOR_IRI, continue_log
from twinproof.chain.anchors import NO_HEAD, CheckpointAnchor, Head, log_id_of
from twinproof.chain.embedded import EmbeddedChain
from twinproof.chain.signing import Unsigned
from twinproof.errors import ChainError, ConfigError, ForkedHistory, StorageFailed, TooLarge, TwinproofError
from twinproof.log.reader import Reader
from twinproof.node.anchor_store import AnchorStore
from twinproof.node.anchoring import Anchoring
from twinproof.node.config import ChainSettings
from twinproof.node.node import WritingNode, init_node, open_node
from twinproof.proof.anchor import AnchoredHead, AnchorEvidence, check_anchor
from twinproof.testing import ManualClock
from twinproof.twin.grants import Capability

HOUR = 3600
SETTINGS = ChainSettings("embedded", anchor_every_seconds=HOUR, anchor_every_entries=50)
LOG_ID = log_id_of(ORIGIN, ACCOUNTS[0].address)


class Rig:
    """A node, a chain, and an anchoring that runs step by step; `restart` forgets what a crash forgets."""

    def __init__(self, node: WritingNode, clock: ManualClock) -> None:
        self.node, self.clock = node, clock
        self.chain = new_chain(clock)
        self.anchors = CheckpointAnchor(self.chain, deploy(self.chain, "CheckpointAnchor").address)
        transact(
            self.chain, ACCOUNTS[0], self.anchors.address, self.anchors.plan_registration(ORIGIN, ACCOUNTS[0].address)
        )
        self.store = AnchorStore(node.folder / "chain" / "anchors.db")
        self.outbox = Outbox()
        self.script = continue_log(node)
        self.take_grant()
        self.restart()

    def restart(self, settings: ChainSettings = SETTINGS, reader: Reader | None = None, confirmations: int = 0) -> None:
        self.problems: list[TwinproofError] = []
        self.submitter = ScriptedSubmitter(self.chain, ACCOUNTS[0], self.outbox)
        self.anchoring = Anchoring(
            reader or self.node.reader,
            self.chain,
            self.anchors,
            LOG_ID,
            self.submitter,
            self.store,
            settings=settings,
            clock=self.clock,
            confirmations=confirmations,
            on_problem=self.problems.append,
        )

    def take_grant(self) -> None:
        self.node.intake.submit([self.script.grant(DEVICE, {Capability.RECORD}).raw]).result(30)

    def grow(self, entries: int = 1) -> None:
        raws = [self.script.record(DEVICE, float(number)).raw for number in range(entries)]
        self.node.intake.submit(raws).result(30)

    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @property
    def size(self) -> int:
        return self.node.reader.head().size

    def anchored(self) -> list[Head]:
        return [event.head for event in self.anchors.events(LOG_ID, 0, self.chain.head().number)]

    def sizes(self) -> list[int]:
        return [head.size for head in self.anchored()]

    def evidence(self) -> list[int]:
        """Sizes in the store, each checked as an auditor checks it."""
        proved = [check_anchor(evidence) for evidence in self.store.all()]
        assert all((head.contract, head.log_id) == (self.anchors.address, LOG_ID) for head in proved)
        assert [(head.size, head.root) for head in proved] == [(h.size, h.root) for h in self.anchored()][: len(proved)]
        return [head.size for head in proved]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    clock = ManualClock(START)
    init_node(tmp_path / "node", ORIGIN, OPERATOR_IRI, clock=clock)
    with open_node(tmp_path / "node", clock=clock) as node:
        yield Rig(node, clock)


def test_the_first_anchor_is_due_at_once_and_the_next_after_an_hour(rig: Rig) -> None:
    assert rig.anchoring.step()
    assert rig.sizes() == [2] == rig.evidence()
    assert rig.anchored()[0].root == rig.node.reader.root(2)
    for _ in range(3):
        assert rig.anchoring.step()
    rig.wait(10 * HOUR)
    assert rig.anchoring.step()
    assert rig.sizes() == [2], "a log that does not grow is not anchored again"
    anchored = rig.anchored()[0]
    rig.grow()
    rig.clock.time = anchored.time + HOUR - 1
    assert rig.anchoring.step()
    assert rig.sizes() == [2]
    rig.clock.advance(1)
    assert rig.anchoring.step()
    assert rig.sizes() == [2, 3] == rig.evidence()
    assert rig.problems == []


def test_many_entries_are_due_at_once(rig: Rig) -> None:
    rig.anchoring.step()
    rig.grow(49)
    rig.anchoring.step()
    assert rig.sizes() == [2]
    rig.grow()
    rig.anchoring.step()
    assert rig.sizes() == [2, 52] == rig.evidence()


def test_who_needs_an_anchor_gets_it_at_once(rig: Rig) -> None:
    rig.anchoring.step()
    rig.grow(3)
    assert rig.anchoring.covering(3) is None
    rig.anchoring.want(4)
    rig.anchoring.step()
    assert rig.sizes() == [2, 5]
    assert rig.anchoring.covering(3) == rig.anchored()[1]
    assert rig.anchoring.covering(1) == rig.anchored()[0]
    assert rig.anchoring.covering(5) is None
    rig.grow()
    rig.anchoring.step()
    assert rig.sizes() == [2, 5]


def test_it_reports_how_it_stands(rig: Rig) -> None:
    rig.anchoring.step()
    rig.anchoring.step()
    (first,) = rig.anchored()
    report = rig.anchoring.report
    assert (report.size, report.time, report.count, report.behind_entries, report.due) == (2, first.time, 1, 0, None)
    assert report.block == rig.chain.head().number
    receipt = rig.chain.receipt(rig.anchors.events(LOG_ID, 0, report.block)[0].log.transaction)
    assert receipt is not None
    assert report.spent == receipt.gas_used * receipt.gas_price > 0
    rig.grow(7)
    rig.clock.time = first.time + 60
    rig.anchoring.step()
    report = rig.anchoring.report
    assert (report.behind_entries, report.behind_seconds, report.due) == (7, 60.0, first.time + HOUR)
    assert (report.problem, report.forked, report.pending) == ("", False, False)


@pytest.mark.parametrize("again", [1, 2])
@pytest.mark.parametrize("point", ["before", "kept", "sent"])
def test_a_crash_leaves_one_anchor_and_its_evidence(rig: Rig, point: str, again: int) -> None:
    for number in (1, 2, 3):
        for _ in range(again):
            rig.submitter.crash = point
            rig.anchoring.step()
            rig.restart()
        assert rig.anchoring.step()
        assert rig.anchoring.step()
        assert len(rig.sizes()) == number
        assert rig.evidence() == rig.sizes()
        assert rig.chain.nonce(ACCOUNTS[0].address) == 2 + number, "not one transaction more"
        rig.grow(2)
        rig.wait(2 * HOUR)


def test_evidence_that_could_not_be_kept_is_kept_later(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:

        def full(self: AnchorStore, evidence: object) -> None:
            raise StorageFailed("the disk is full")

        patch.setattr(AnchorStore, "add", full)
        assert not rig.anchoring.step()
        assert rig.sizes() == [2]
        assert rig.anchoring.covering(0) is None
    assert rig.anchoring.step()
    assert rig.evidence() == [2] == rig.sizes()
    assert rig.anchoring.covering(0) == rig.anchored()[0]


def test_evidence_that_is_too_large_is_left_out_and_told(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.anchoring.step()
    real = AnchorStore.add

    def third_is_too_large(self: AnchorStore, evidence: AnchorEvidence) -> AnchoredHead:
        if check_anchor(evidence).size == 3:
            raise TooLarge("anchor", "20000 bytes, the limit is 16384")
        return real(self, evidence)

    monkeypatch.setattr(AnchorStore, "add", third_is_too_large)
    for size in (3, 4):
        rig.grow()
        rig.wait(2 * HOUR)
        assert rig.anchoring.step(), rig.anchoring.problem
        rig.anchoring.step()
        assert (rig.sizes()[-1], rig.anchoring.report.unproved) == (size, 1)
    assert [check_anchor(evidence).size for evidence in rig.store.all()] == [2, 4]
    # The contract knows it, so a proof on chain may use it.
    assert [rig.anchoring.covering(index) for index in (1, 2, 3)] == rig.anchored()
    assert (rig.anchoring.report.problem, rig.problems) == ("", [])
    assert rig.chain.nonce(ACCOUNTS[0].address) == 2 + 3


def test_evidence_is_made_again_when_the_store_is_lost(rig: Rig) -> None:
    for _ in range(3):
        rig.anchoring.step()
        rig.grow()
        rig.wait(2 * HOUR)
    assert rig.evidence() == [2, 3, 4]
    (rig.node.folder / "chain" / "anchors.db").unlink()
    rig.restart()
    rig.wait(-4 * HOUR)
    assert rig.anchoring.step()
    assert rig.evidence() == [2, 3, 4] == rig.sizes()


def test_a_failure_in_the_middle_of_many_counts_none_twice(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(4):
        rig.anchoring.step()
        rig.grow()
        rig.wait(2 * HOUR)
    spent = rig.anchoring.report.spent
    (rig.node.folder / "chain" / "anchors.db").unlink()
    rig.restart()
    rig.clock.time = START
    real, calls = AnchorStore.add, [0]

    def third_fails(self: AnchorStore, evidence: AnchorEvidence) -> AnchoredHead:
        calls[0] += 1
        if calls[0] == 3:
            raise StorageFailed("the disk is full")
        return real(self, evidence)

    with monkeypatch.context() as patch:
        patch.setattr(AnchorStore, "add", third_fails)
        assert not rig.anchoring.step()
        assert (rig.anchoring.covering(1), rig.anchoring.covering(3)) == (rig.anchored()[0], None)
    assert rig.anchoring.step()
    assert rig.evidence() == [2, 3, 4, 5] == rig.sizes()
    assert [rig.anchoring.covering(index) for index in (1, 2, 3, 4)] == rig.anchored()
    assert rig.anchoring.report.spent > spent > 0
    receipts = [rig.chain.receipt(event.log.transaction) for event in rig.anchors.events(LOG_ID, 0, 10**6)]
    assert rig.anchoring.report.spent == sum(r.gas_used * r.gas_price for r in receipts if r is not None)


def test_confirmations_are_waited_for(rig: Rig) -> None:
    rig.restart(confirmations=2)
    rig.anchoring.step()
    assert rig.sizes() == [2]
    assert (rig.evidence(), rig.anchoring.covering(0), rig.anchoring.report.spent) == ([], None, 0)
    for _ in range(2):
        transact(rig.chain, ACCOUNTS[1], ACCOUNTS[2].address, b"", 1)
    rig.anchoring.step()
    assert rig.evidence() == [2]
    assert rig.anchoring.covering(0) is not None


# --- others, and forks --------------------------------------------------------------------------


def signed_anchor(rig: Rig, size: int, old: Head = NO_HEAD, root: bytes | None = None) -> bytes:
    root = root or rig.node.reader.root(size)
    proof = rig.node.reader.consistency(old.size, size) if old.size else []
    signature = ACCOUNTS[0].sign_typed(*rig.anchors.typed_anchor(LOG_ID, old, size, root))
    return rig.anchors.plan_signed(LOG_ID, old, size, root, proof, signature)


def test_an_anchor_that_somebody_else_sends_is_gone_on_from(rig: Rig) -> None:
    rig.grow(5)
    transact(rig.chain, ACCOUNTS[1], rig.anchors.address, signed_anchor(rig, 4))
    assert rig.anchoring.step()
    assert rig.sizes() == [4] == rig.evidence()
    assert rig.anchoring.report.spent == 0
    rig.wait(2 * HOUR)
    assert rig.anchoring.step()
    assert rig.sizes() == [4, 7] == rig.evidence()


def test_one_that_comes_in_between_costs_an_attempt_and_nothing_else(rig: Rig) -> None:
    rig.submitter.crash = "kept"
    assert not rig.anchoring.step()
    # Ours is signed but not sent; theirs is mined first, so ours reverts.
    transact(rig.chain, ACCOUNTS[1], rig.anchors.address, signed_anchor(rig, 1))
    rig.restart()
    assert rig.anchoring.step()
    assert rig.sizes() == [1]
    rig.wait(2 * HOUR)
    assert rig.anchoring.step()
    assert rig.sizes() == [1, 2] == rig.evidence()


def test_an_attempt_that_failed_is_followed_by_another(rig: Rig) -> None:
    rig.submitter.crash = "kept"
    rig.anchoring.step()
    (purpose,) = rig.outbox.signed
    # As if it had run out of gas: a transaction of ours that reverts.
    call = rig.anchors.contract.encode("transferLog", bytes(32), bytes(20))
    rig.outbox.signed[purpose] = ACCOUNTS[0].sign_transaction(
        replace(unsigned_like(rig.chain), to=rig.anchors.address, data=call)
    )
    rig.restart()
    assert rig.anchoring.step()
    assert rig.sizes() == [2]
    assert [name.rpartition(":")[2] for name in rig.outbox.signed] == ["0", "1"]


def unsigned_like(chain: EmbeddedChain) -> Unsigned:
    fees = chain.fees()
    nonce = chain.nonce(ACCOUNTS[0].address)
    return Unsigned(chain.chain_id, nonce, fees.tip, 2 * fees.base + fees.tip, 100_000, None, 0, b"")


def test_another_root_of_the_same_size_is_a_fork_and_ends_it(rig: Rig) -> None:
    transact(rig.chain, ACCOUNTS[0], rig.anchors.address, signed_anchor(rig, 1, root=b"\x66" * 32))
    rig.grow(100)
    for _ in range(3):
        assert not rig.anchoring.step()
        assert isinstance(rig.anchoring.problem, ForkedHistory)
        rig.wait(2 * HOUR)
    assert rig.sizes() == [1]
    assert rig.store.all() == []
    assert rig.outbox.signed == {}
    report = rig.anchoring.report
    assert report.forked
    assert report.problem.startswith("forked: ")


def test_a_log_that_was_rolled_back_is_not_anchored(rig: Rig) -> None:
    rig.grow(10)
    rig.anchoring.step()
    assert rig.sizes() == [12]
    limited = Reader(rig.node.store, lambda: replace(rig.node.reader.head(), size=9))
    rig.restart(reader=limited)
    assert not rig.anchoring.step()
    assert isinstance(rig.anchoring.problem, ForkedHistory)
    assert "this log has 9" in str(rig.anchoring.problem)
    rig.restart()
    assert rig.anchoring.step()


def test_the_contract_refuses_what_the_task_would_not_send(rig: Rig) -> None:
    rig.grow(10)
    rig.anchoring.step()
    (old,) = rig.anchored()
    rig.grow(3)
    data = rig.anchors.plan(LOG_ID, old, 15, b"\x66" * 32, rig.node.reader.consistency(12, 15))
    with pytest.raises(ChainError, match="BadConsistencyProof"):
        transact(rig.chain, ACCOUNTS[0], rig.anchors.address, data)
    stranger = rig.anchors.plan(LOG_ID, old, 15, rig.node.reader.root(15), rig.node.reader.consistency(12, 15))
    with pytest.raises(ChainError, match="NotOwner"):
        transact(rig.chain, ACCOUNTS[1], rig.anchors.address, stranger)


def test_a_log_that_is_not_registered_says_so(rig: Rig) -> None:
    rig.anchors = CheckpointAnchor(rig.chain, deploy(rig.chain, "CheckpointAnchor").address)
    rig.restart()
    assert not rig.anchoring.step()
    assert isinstance(rig.anchoring.problem, ConfigError)
    assert "twinproof chain deploy" in rig.anchoring.report.problem


def test_the_id_is_the_contracts(rig: Rig) -> None:
    assert rig.anchors.owner(LOG_ID) == ACCOUNTS[0].address
    assert rig.anchors.owner(log_id_of(ORIGIN, ACCOUNTS[1].address)) is None
    assert rig.anchors.latest(LOG_ID).count == 0


def test_another_account_begins_anew_what_the_old_one_cannot_end(rig: Rig) -> None:
    rig.submitter.crash = "kept"
    rig.anchoring.step()
    for call, account in (("transferLog", ACCOUNTS[0]), ("acceptLog", ACCOUNTS[1])):
        arguments = [LOG_ID, ACCOUNTS[1].address] if call == "transferLog" else [LOG_ID]
        transact(rig.chain, account, rig.anchors.address, rig.anchors.contract.encode(call, *arguments))
    rig.restart()
    submitter = ScriptedSubmitter(rig.chain, ACCOUNTS[1], rig.outbox)
    rig.anchoring._submitter = submitter
    assert rig.anchoring.step()
    assert rig.sizes() == [2] == rig.evidence()
    assert len(rig.outbox.signed) == 2
    assert all(len(purpose) < 200 for purpose in rig.outbox.signed)
