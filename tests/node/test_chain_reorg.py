"""Reorganisations of a real node's chain, under anchoring and under what is stated of it, with the real sender."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest

from tests.builders import DEVICE, ORIGIN, START, TWIN
from tests.chain.anvil import CHAIN_ID, Anvil
from tests.chain.conftest import anvil as anvil
from tests.node.folders import OPERATOR_IRI, continue_log
from twinproof.chain.abi import Artifact, Contract
from twinproof.chain.anchors import CheckpointAnchor
from twinproof.chain.outbox import TransactionOutbox
from twinproof.chain.rpc import RpcChain
from twinproof.chain.rpc_client import RpcClient
from twinproof.chain.sender import Sender, SenderSettings
from twinproof.chain.signing import Unsigned
from twinproof.node.anchor_store import AnchorStore
from twinproof.node.anchoring import Anchoring
from twinproof.node.chain_events import ChainEvents
from twinproof.node.chain_setup import GWEI, deploy_contracts
from twinproof.node.config import ChainSettings
from twinproof.node.live import Live, open_live
from twinproof.node.node import init_node
from twinproof.node.service_keys import CHAIN
from twinproof.node.submissions import OutboxSubmitter
from twinproof.proof.anchor import check_anchor
from twinproof.testing import ManualClock
from twinproof.twin.chain_event import CHAIN_EVENT, parse_chain_event
from twinproof.twin.grants import Capability
from twinproof.twin.statement import parse_statement

DEPTH = 2
"""Blocks upon another until it counts."""
SETTINGS = ChainSettings("rpc", confirmations=DEPTH, anchor_every_seconds=10**9, anchor_every_entries=10**9)


class Rig:
    """A live node, a network that mines when told, and what the tests of one process share of both."""

    def __init__(self, live: Live, clock: ManualClock, network: Anvil, folder: Path) -> None:
        self.live, self.clock, self.network = live, clock, network
        self.chain = RpcChain(RpcClient(network.url, timeout=5, sleep=lambda _: None), CHAIN_ID)
        self.account = network.account()
        self.outbox = TransactionOutbox(folder / "outbox.db")
        limits = SenderSettings(100 * GWEI, stuck_seconds=60)
        self.contracts = deploy_contracts(self.new_sender(limits), self.chain, ORIGIN)
        network.rpc("evm_setAutomine", False)
        self.sender = self.new_sender(SenderSettings(100 * GWEI, confirmations=DEPTH + 1, stuck_seconds=60))
        self.anchors = CheckpointAnchor(self.chain, self.contracts.addresses["CheckpointAnchor"])
        self.parts = Contract(Artifact.load("PartPassport"), self.contracts.addresses["PartPassport"])
        self.store = AnchorStore(folder / "anchors.db")
        self.anchoring = self.new_anchoring()
        self.events = self.new_events()

    def new_sender(self, limits: SenderSettings) -> Sender:
        return Sender(self.chain, self.account, self.outbox, limits, clock=self.clock, sleep=lambda _: None)

    def new_anchoring(self) -> Anchoring:
        return Anchoring(
            self.live.node.reader,
            self.chain,
            self.anchors,
            self.contracts.log_id,
            OutboxSubmitter(self.sender),
            self.store,
            settings=SETTINGS,
            clock=self.clock,
            confirmations=DEPTH,
            first_block=self.contracts.first_block,
        )

    def new_events(self) -> ChainEvents:
        return ChainEvents(
            self.live.node,
            self.live.feed,
            self.live.states,
            CHAIN.key(self.live.node.folder, ORIGIN),
            self.chain,
            [self.parts],
            clock=self.clock,
            first_block=self.contracts.first_block,
            confirmations=DEPTH,
        )

    def close(self) -> None:
        self.outbox.close()
        self.chain.close()

    def anchored(self) -> list[int]:
        events = self.anchors.events(self.contracts.log_id, 0, self.chain.head().number)
        return [event.head.size for event in events]

    def evidence(self) -> list[int]:
        """Sizes in the store, whose blocks must be the chain's."""
        proved = [check_anchor(evidence) for evidence in self.store.all()]
        for head in proved:
            block = self.chain.block(head.block_number)
            assert block is not None
            assert block.hash == head.block_hash
        return [head.size for head in proved]

    def rounds(self, number: int = 1) -> None:
        """Blocks, each with a round of everything after it."""
        for _ in range(number):
            self.network.mine()
            assert self.anchoring.step(), self.anchoring.problem
            assert self.events.step(), self.events.problem
            self.sender.step()

    def told(self) -> list[tuple[str, bool, bytes]]:
        entries = self.live.node.reader.entries(0, self.live.node.reader.head().size)
        stated = [read for read in map(parse_statement, entries) if read.content_type == CHAIN_EVENT]
        events = [parse_chain_event(read.payload) for read in stated]
        return [(event.event, event.retracted, event.block_hash) for event in events]


@contextmanager
def opened(folder: Path, network: Anvil) -> Iterator[Rig]:
    clock = ManualClock(START)
    init_node(folder / "node", ORIGIN, OPERATOR_IRI, clock=clock)
    with open_live(folder / "node", clock=clock) as live:
        CHAIN.enable(live.node, CHAIN.key(folder / "node", ORIGIN))
        script = continue_log(live.node)
        statements = [script.grant(DEVICE, {Capability.RECORD}), script.record(DEVICE, 1.0)]
        live.node.intake.submit([statement.raw for statement in statements]).result(30)
        rig = Rig(live, clock, network, folder)
        yield rig
        rig.close()


@pytest.fixture
def rig(anvil: Anvil, tmp_path: Path) -> Iterator[Rig]:
    with opened(tmp_path, anvil) as made:
        yield made


def test_an_anchor_counts_when_it_is_deep_enough(rig: Rig) -> None:
    assert rig.anchoring.step()
    size = rig.anchoring.report.size
    rig.rounds(2)
    assert (rig.anchored(), rig.evidence(), rig.anchoring.covering(0)) == ([4], [], None)
    assert size == 0
    rig.rounds(2)
    assert rig.evidence() == [4]
    assert rig.anchoring.covering(0) is not None
    assert rig.anchoring.report.spent > 0


def test_a_dropped_block_is_anchored_again_by_the_same_transaction(rig: Rig) -> None:
    token = rig.network.rpc("evm_snapshot")
    assert rig.anchoring.step()
    rig.rounds()
    assert rig.anchored() == [4]
    rig.network.rpc("evm_revert", token)
    assert rig.anchored() == []
    before = rig.chain.nonce(rig.account.address)
    rig.rounds(5)
    assert rig.anchored() == [4] == rig.evidence()
    assert rig.chain.nonce(rig.account.address) == before + 1


def test_a_reorganisation_deeper_than_confirmations_leads_to_a_new_anchor(rig: Rig) -> None:
    token = rig.network.rpc("evm_snapshot")
    assert rig.anchoring.step()
    rig.rounds(4)
    assert rig.evidence() == [4]
    rig.network.rpc("evm_revert", token)
    rig.network.rpc("anvil_setBlockTimestampInterval", 3)
    rig.rounds(1)
    assert (rig.evidence(), rig.anchoring.covering(0)) == ([], None)
    for _ in range(4):
        # The nonce of the lost transaction is filled after a while.
        rig.clock.advance(100)
        rig.rounds(3)
    assert rig.anchored() == [4] == rig.evidence()
    assert rig.anchoring.covering(0) is not None
    rig.rounds(2)
    assert rig.anchored() == [4] == rig.evidence()


def test_events_of_dropped_blocks_are_retracted(rig: Rig) -> None:
    twin = sha256(TWIN.encode()).digest()
    rig.sender.submit("accredit", rig.parts.address, rig.parts.encode("setAccredited", rig.account.address, True))
    rig.rounds(4)
    token = rig.network.rpc("evm_snapshot")
    rig.sender.submit("mint", rig.parts.address, rig.parts.encode("mint", "P-1", "A1", twin, b"\1" * 32))
    rig.rounds(4)
    ((name, retracted, first),) = rig.told()
    assert (name, retracted) == ("Minted", False)
    rig.network.rpc("evm_revert", token)
    rig.network.rpc("anvil_setBlockTimestampInterval", 3)
    rig.network.mine(2)
    assert rig.live.states.wait(rig.live.feed.size, 30)
    assert rig.events.step()
    assert rig.told() == [("Minted", False, first), ("Minted", True, first)]
    raw = rig.account.sign_transaction(rig_mint(rig, twin))
    rig.chain.send(raw)
    rig.network.mine(4)
    assert rig.events.step()
    assert [(name, retracted) for name, retracted, _ in rig.told()] == [
        ("Minted", False),
        ("Minted", True),
        ("Minted", False),
    ]
    assert rig.told()[2][2] != first
    assert rig.live.states.wait(rig.live.feed.size, 30)
    (part,) = rig.live.states.state(TWIN).live.ledger.tokens.values()
    assert part.owner == rig.account.address
    rig.events = rig.new_events()
    assert rig.events.step()
    assert len(rig.told()) == 3


def rig_mint(rig: Rig, twin: bytes) -> Unsigned:
    data = rig.parts.encode("mint", "P-1", "A1", twin, b"\1" * 32)
    nonce = rig.chain.nonce(rig.account.address)
    return Unsigned(CHAIN_ID, nonce, GWEI, 50 * GWEI, 500_000, rig.parts.address, 0, data)
