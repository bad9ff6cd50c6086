"""Anchoring on a real node that is cut off, restarted, rolled back and reorganised, with the real sender and outbox.

Whatever happens: each size that was due is anchored once on the chain that is there in the end, its evidence is for
that chain, and no transaction was made that was not needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random

import pytest

from tests.builders import DEVICE, ORIGIN, START
from tests.chain.anvil import CHAIN_ID, Anvil
from tests.chain.conftest import anvil as anvil
from tests.chain.conftest import lasting_anvil as lasting_anvil
from tests.node.folders import OPERATOR_IRI, continue_log
from tests.node.wire import Cut, Wire
from twinproof.chain.abi import Artifact
from twinproof.chain.anchors import CheckpointAnchor, log_id_of
from twinproof.chain.model import Receipt
from twinproof.chain.outbox import TransactionOutbox
from twinproof.chain.rpc import RpcChain
from twinproof.chain.rpc_client import RpcClient
from twinproof.chain.sender import Sender, SenderSettings
from twinproof.errors import ChainUnreachable
from twinproof.node.anchor_store import AnchorStore
from twinproof.node.anchoring import Anchoring
from twinproof.node.config import ChainSettings
from twinproof.node.node import WritingNode, init_node, open_node
from twinproof.node.submissions import OutboxSubmitter
from twinproof.proof.anchor import check_anchor
from twinproof.testing import ManualClock
from twinproof.twin.grants import Capability

DEPTH = 2
"""Blocks upon another until it counts."""
GWEI = 10**9
SETTINGS = ChainSettings("rpc", confirmations=DEPTH, anchor_every_seconds=10**9, anchor_every_entries=1)
"""Whatever the log grows by is due at once."""


def ignore(_: object) -> None:
    pass


class Rig:
    """A node's log, and an anchoring that reaches the network over a wire; `truth` is the network as it stands."""

    def __init__(self, node: WritingNode, clock: ManualClock, network: Anvil) -> None:
        self.node, self.clock, self.network = node, clock, network
        self.wire = Wire(network.port)
        self.truth = RpcChain(RpcClient(network.url), CHAIN_ID)
        self.account = network.account()
        self.folder = node.folder / "chain"
        self.folder.mkdir(exist_ok=True)
        self.log_id = log_id_of(ORIGIN, self.account.address)
        self.start(1)
        self.anchors = CheckpointAnchor(self.truth, self.deploy())
        network.rpc("evm_setAutomine", False)
        self.stop()
        self.start()
        self.script = continue_log(node)
        self.node.intake.submit([self.script.grant(DEVICE, {Capability.RECORD}).raw]).result(30)
        self.before = self.truth.nonce(self.account.address)

    def deploy(self) -> bytes:
        self.sender.submit("deploy", None, Artifact.load("CheckpointAnchor").deployment())
        made = self.sender.wait("deploy", 60).contract
        assert made is not None
        anchors = CheckpointAnchor(self.truth, made)
        self.sender.submit("register", made, anchors.plan_registration(ORIGIN, self.account.address))
        self.sender.wait("register", 60)
        return made

    # --- a process that runs, and is started again -------------------------------------------

    def start(self, confirmations: int = DEPTH + 1) -> None:
        client = RpcClient(self.wire.url, timeout=0.3, connect_timeout=0.3, sleep=ignore)
        self.chain = RpcChain(client, CHAIN_ID)
        self.outbox = TransactionOutbox(self.folder / "outbox.db")
        limits = SenderSettings(100 * GWEI, confirmations=confirmations, stuck_seconds=60)
        self.sender = Sender(self.chain, self.account, self.outbox, limits, clock=self.clock, sleep=ignore)
        self.store = AnchorStore(self.folder / "anchors.db")
        if confirmations > 1:
            self.anchoring = Anchoring(
                self.node.reader,
                self.chain,
                CheckpointAnchor(self.chain, self.anchors.address),
                self.log_id,
                OutboxSubmitter(self.sender),
                self.store,
                settings=SETTINGS,
                clock=self.clock,
                confirmations=DEPTH,
                on_problem=ignore,
            )

    def stop(self) -> None:
        self.outbox.close()
        self.chain.close()

    def close(self) -> None:
        self.stop()
        self.truth.close()
        self.wire.close()

    # --- time passes ------------------------------------------------------------------------

    def grow(self, entries: int = 1) -> None:
        raws = [self.script.record(DEVICE, float(number)).raw for number in range(entries)]
        self.node.intake.submit(raws).result(30)

    def round(self) -> None:
        """One of each task; what fails now is tried again in the next."""
        self.anchoring.step()
        with suppress(ChainUnreachable):
            self.sender.step()

    def cycle(self) -> None:
        """As long as it takes to anchor once, if nothing is in the way."""
        self.round()
        for _ in range(DEPTH + 1):
            self.network.mine()
            self.round()

    def settle(self) -> None:
        """Until all that is due is anchored and proved, and nothing is under way."""
        for _ in range(40):
            self.clock.advance(20)
            self.network.mine()
            self.round()
            settled = self.sizes()[-1:] == [self.size] and not self.sender.live()
            if settled and self.standing() == self.sizes() and self.anchoring.problem is None:
                return
        raise AssertionError(f"it does not settle: {self.sizes()} of {self.size}, {self.anchoring.report}")

    # --- what there is ----------------------------------------------------------------------

    @property
    def size(self) -> int:
        return self.node.reader.head().size

    def sizes(self) -> list[int]:
        events = self.anchors.events(self.log_id, 0, self.truth.head().number)
        return [event.head.size for event in events]

    def standing(self) -> list[int]:
        """Sizes in the store; none at all while it holds one of a block that the chain does not have."""
        proved = [check_anchor(evidence) for evidence in self.store.all()]
        blocks = [(head, self.truth.block(head.block_number)) for head in proved]
        stands = all(block is not None and block.hash == head.block_hash for head, block in blocks)
        return [head.size for head in proved] if stands else []

    def sent(self) -> list[Receipt]:
        """Of every transaction of the account since the contract was there, on the chain as it is."""
        found: list[Receipt] = []
        for number in range(self.truth.head().number + 1):
            block = self.truth.block(number)
            assert block is not None
            found += [one for one in self.truth.receipts_of(block.hash) if one.sender == self.account.address]
        assert len(found) == self.truth.nonce(self.account.address), "the nonces have no gap"
        return found[self.before :]

    def check(self) -> None:
        """Evidence is for this chain, of every anchor; what is told of the costs is what was paid for anchors."""
        proved = [check_anchor(evidence) for evidence in self.store.all()]
        for head in proved:
            block = self.truth.block(head.block_number)
            assert block is not None
            assert (block.hash, block.time) == (head.block_hash, head.time)
            assert head.root == self.node.reader.root(head.size)
        assert [head.size for head in proved] == self.sizes() == sorted(set(self.sizes()))
        anchored = [one for one in self.sent() if one.logs]
        assert len(anchored) == len(proved)
        assert self.anchoring.report.spent == sum(one.gas_used * one.gas_price for one in anchored)
        covering = self.anchoring.covering(self.size - 1)
        assert covering is not None
        assert covering.size == self.size


@contextmanager
def opened(folder: Path, network: Anvil) -> Iterator[Rig]:
    clock = ManualClock(START)
    init_node(folder / "node", ORIGIN, OPERATOR_IRI, clock=clock)
    with open_node(folder / "node", clock=clock) as node:
        rig = Rig(node, clock, network)
        try:
            yield rig
        finally:
            rig.close()


@pytest.fixture
def rig(anvil: Anvil, tmp_path: Path) -> Iterator[Rig]:
    with opened(tmp_path, anvil) as made:
        yield made


@pytest.fixture
def lasting(lasting_anvil: Anvil, tmp_path: Path) -> Iterator[Rig]:
    with opened(tmp_path, lasting_anvil) as made:
        yield made


# --- the wire -------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [False, True], ids=["request", "answer"])
def test_cut_at_any_request_it_anchors_once(rig: Rig, answer: bool) -> None:
    rig.cycle()
    assert rig.sizes() == [2]
    begun = rig.wire.requests
    rig.grow()
    rig.cycle()
    needed = rig.wire.requests - begun
    assert (rig.sizes(), needed > 20) == ([2, 3], True)
    cuts = 0
    places = range(answer, needed, 2)
    for after in places:
        rig.grow()
        rig.wire.cut(Cut(after, answer=answer))
        rig.cycle()
        cuts += rig.wire.broken
        rig.wire.mend()
        rig.settle()
    assert cuts >= len(places) - 1
    assert rig.sizes() == list(range(2, 4 + len(places)))
    rig.check()
    assert len(rig.sent()) == len(rig.sizes()), "no transaction more than anchors"


def test_a_node_that_falls_silent_is_waited_for(rig: Rig) -> None:
    rig.cycle()
    for after, answer in ((4, True), (9, False)):
        rig.grow()
        rig.wire.cut(Cut(after, answer=answer, silent=True))
        assert not rig.anchoring.step()
        assert isinstance(rig.anchoring.problem, ChainUnreachable)
        assert rig.anchoring.report.problem.startswith("chain-unreachable: ")
        with pytest.raises(ChainUnreachable):
            rig.chain.head()
        rig.wire.mend()
        rig.settle()
        assert rig.anchoring.report.problem == ""
    assert rig.sizes() == [2, 3, 4]
    rig.check()
    assert len(rig.sent()) == 3


def test_what_grows_while_the_network_is_away_is_one_anchor(rig: Rig) -> None:
    rig.cycle()
    rig.wire.cut(Cut())
    for _ in range(5):
        rig.grow(3)
        rig.round()
    assert rig.sizes() == [2]
    rig.wire.mend()
    rig.settle()
    assert rig.sizes() == [2, 17]
    rig.check()


def test_a_process_that_starts_while_the_network_is_away(rig: Rig) -> None:
    rig.anchoring.step()
    rig.wire.cut(Cut())
    rig.stop()
    rig.start()
    rig.round()
    assert isinstance(rig.anchoring.problem, ChainUnreachable)
    rig.network.mine()
    rig.wire.mend()
    rig.settle()
    assert rig.sizes() == [2]
    rig.check()
    assert len(rig.sent()) == 1


# --- the node -------------------------------------------------------------------------------------


def restart(rig: Rig, end: Callable[[], None]) -> None:
    """The node; the wire stays."""
    end()
    rig.round()
    assert rig.anchoring.problem is not None
    rig.network.start()
    rig.network.rpc("evm_setAutomine", False)


def test_a_node_that_forgets_what_waits(lasting: Rig) -> None:
    lasting.cycle()
    for number in range(3):
        lasting.grow()
        lasting.anchoring.step()  # sent, not mined: the node's pool is in its memory
        assert lasting.anchoring.report.pending
        restart(lasting, lasting.network.stop)
        assert lasting.truth.nonce(lasting.account.address, pending=True) == lasting.before + 1 + number
        lasting.settle()
    assert lasting.sizes() == [2, 3, 4, 5]
    lasting.check()
    assert len(lasting.sent()) == 4


def test_a_node_that_comes_back_with_an_older_chain(lasting: Rig) -> None:
    """Blocks that had all confirmations are gone, as in a deep reorganisation, and so are their transactions."""
    lasting.cycle()
    lasting.network.stop()
    lasting.network.start()
    lasting.network.rpc("evm_setAutomine", False)
    for _ in range(3):
        lasting.grow()
        lasting.settle()
    assert lasting.sizes() == [2, 3, 4, 5]
    restart(lasting, lasting.network.kill)
    assert lasting.sizes() == [2]
    lasting.settle()
    assert lasting.sizes()[0] == 2
    assert lasting.sizes()[-1] == 5
    lasting.check()
    lasting.grow()
    lasting.settle()
    lasting.check()


# --- reorganisations ------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_a_reorganisation_of_any_depth(rig: Rig, depth: int) -> None:
    for _ in range(2):
        rig.cycle()
        rig.grow()
    rig.cycle()
    rig.network.rpc("anvil_reorg", depth, [])
    rig.settle()
    rig.check()
    rig.grow()
    rig.settle()
    rig.check()
    assert (rig.sizes()[0], rig.sizes()[-1]) == (2, 5)


@pytest.mark.parametrize("depth", [2, 4])
def test_a_reorganisation_while_the_process_is_away(rig: Rig, depth: int) -> None:
    rig.cycle()
    rig.grow()
    rig.cycle()
    gone = rig.store.all()[-1]
    rig.stop()
    rig.network.rpc("anvil_reorg", depth, [])
    rig.start()
    rig.settle()
    rig.check()
    assert (gone in rig.store.all()) == (depth < DEPTH + 1)


@pytest.mark.parametrize("seed", [0, 1, 2, 8, 11, 16])
def test_any_troubles_in_any_order(rig: Rig, seed: int) -> None:
    random = Random(seed)

    def reorganise() -> None:
        # The contract stays.
        depth = random.randrange(1, 5)
        if rig.truth.head().number - depth > 2:
            rig.network.rpc("anvil_reorg", depth, [])

    def cut() -> None:
        rig.wire.mend()
        rig.wire.cut(Cut(random.randrange(40), answer=random.random() < 0.5))

    def again() -> None:
        rig.stop()
        rig.start()

    acts: list[Callable[[], None]] = [rig.round, rig.network.mine] * 3
    acts += [rig.grow, reorganise, cut, rig.wire.mend, again, lambda: rig.clock.advance(40)]
    for _ in range(60):
        random.choice(acts)()
    rig.wire.mend()
    rig.settle()
    rig.check()
    assert rig.outbox.live(rig.account.address) == []
