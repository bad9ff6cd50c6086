"""Anchors: how long one takes, what it costs, how large its evidence is and how fast that is checked.

Latency runs from the acknowledged statement, which is under a signed checkpoint, to evidence that is durable: with the
node's own anchoring, sender and outbox, on an embedded chain in a file and on anvil. Costs come from the gas of anchors
of a log of a million entries, one an hour or one a day while a million readings a day arrive, 100 in a statement.
Prices are assumptions, below; a rollup's charge for its data on L1 is not in them.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import cache
from hashlib import sha256
from pathlib import Path
from statistics import median

from bench.intake import OPERATOR, ORIGIN, grant_all, make_chains
from tests.chain.anvil import Anvil
from twinproof.chain.accounts import Account
from twinproof.chain.anchors import NO_HEAD, CheckpointAnchor, Head, log_id_of
from twinproof.chain.embedded import EmbeddedChain, Genesis
from twinproof.chain.model import Chain, Receipt
from twinproof.chain.outbox import TransactionOutbox
from twinproof.chain.rpc import RpcChain
from twinproof.chain.rpc_client import RpcClient
from twinproof.chain.sender import Sender, SenderSettings
from twinproof.chain.signing import Unsigned
from twinproof.node.anchor_store import AnchorStore
from twinproof.node.anchoring import Anchoring
from twinproof.node.chain_setup import deploy_contracts
from twinproof.node.config import ChainSettings
from twinproof.node.keyring import new_private_key
from twinproof.node.node import WritingNode, init_node, open_node
from twinproof.node.submissions import OutboxSubmitter
from twinproof.proof import cbor, merkle
from twinproof.proof.anchor import AnchorEvidence, anchor_value, check_anchor
from twinproof.testing.anchors import AnchorBlock

CHAIN_ID = 31337
ACCOUNT = Account(sha256(b"bench anchors").digest())
FUNDS = 10**24
GWEI = 10**9
FEE = 100 * GWEI
LIMIT = 30
"""Seconds that an anchor may take."""

USD_PER_ETHER = 2_500
"""About the middle of what it was in 2025."""
PRICES = {"l2_2025": 0.02, "l1_2025_quiet": 0.5, "l1_2025_busy": 5.0, "l1_2024": 20.0}
"""Gwei for a unit of gas: a rollup that is not busy; Ethereum in quiet and in busy hours of 2025, and in 2024."""
READINGS_A_DAY = 1_000_000
READINGS = 100
"""In a statement."""


# --- latency ------------------------------------------------------------------------------------


@contextmanager
def networks(folder: Path, kind: str) -> Iterator[Chain]:
    """An embedded chain in a file, or a node of its own that mines at once, or every second."""
    if kind == "embedded":
        with EmbeddedChain.open(folder / "chain.db", genesis=Genesis(CHAIN_ID, {ACCOUNT.address: FUNDS})) as chain:
            yield chain
        return
    node = Anvil(options=("--block-time", "1") if kind == "anvil_1s_blocks" else ())
    try:
        node.fund(ACCOUNT.address, FUNDS)
        with closing(RpcChain(RpcClient(node.url), CHAIN_ID)) as network:
            yield network
    finally:
        node.close()


def latency(kind: str, confirmations: int, rounds: int) -> dict[str, object]:
    """Milliseconds, of `rounds` anchors one after the other; and the evidence that came of them."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        init_node(folder / "node", ORIGIN, OPERATOR)
        keys = [new_private_key()]
        grant_all(folder / "node", keys)
        (statements,) = make_chains(keys, "columns_100", rounds)
        outbox = TransactionOutbox(folder / "outbox.db")
        store = AnchorStore(folder / "anchors.db")
        with open_node(folder / "node") as node, networks(folder, kind) as chain, closing(outbox):
            settings = SenderSettings(FEE, confirmations=confirmations + 1)
            sender = Sender(chain, ACCOUNT, outbox, settings, sleep=lambda _: time.sleep(0.01))
            contracts = deploy_contracts(sender, chain, ORIGIN)
            anchoring = Anchoring(
                node.reader,
                chain,
                CheckpointAnchor(chain, contracts.addresses["CheckpointAnchor"]),
                contracts.log_id,
                OutboxSubmitter(sender),
                store,
                settings=ChainSettings("rpc", anchor_every_entries=1),
                clock=time.time,
                confirmations=confirmations,
                first_block=contracts.first_block,
            )
            until_covered(anchoring, sender, node)
            taken = []
            for raw in statements:
                node.intake.submit([raw]).result()
                start = time.perf_counter()
                until_covered(anchoring, sender, node)
                taken.append((time.perf_counter() - start) * 1e3)
            evidence = store.all()
            assert len(evidence) == rounds + 1
            return {"median_ms": round(median(taken), 1), "max_ms": round(max(taken), 1), "anchors": rounds}


def until_covered(anchoring: Anchoring, sender: Sender, node: WritingNode) -> None:
    """Rounds without a pause between them but 5 ms."""
    end = time.perf_counter() + LIMIT
    while anchoring.covering(node.reader.head().size - 1) is None:
        if time.perf_counter() > end or not anchoring.step():
            raise SystemExit(f"no anchor: {anchoring.report}")
        sender.step()
        time.sleep(0.005)


# --- gas ----------------------------------------------------------------------------------------


def tree(made_up: int) -> merkle.NodeReader:
    """Of any size from `made_up` on: the nodes of that many leaves are made up, those above are true."""

    @cache
    def get(level: int, index: int) -> bytes:
        if not level or (index + 1) << level <= made_up:
            return sha256(b"%d/%d" % (level, index)).digest()
        return merkle.hash_node(get(level - 1, 2 * index), get(level - 1, 2 * index + 1))

    return get


class Anchors:
    """A contract on an embedded chain in a file, and a log of a million entries."""

    def __init__(self, chain: EmbeddedChain, size: int) -> None:
        self.chain = chain
        self.nodes = tree(size)
        self.nonce = 0
        self.taken: list[float] = []
        self.hashes: list[int] = []
        self.head = NO_HEAD
        self.log_id = log_id_of(ORIGIN, ACCOUNT.address)
        made = self.send(None, CheckpointAnchor(chain, bytes(20)).contract.artifact.deployment()).contract
        assert made is not None
        self.anchors = CheckpointAnchor(chain, made)
        self.send(made, self.anchors.plan_registration(ORIGIN, ACCOUNT.address))
        self.anchor(size)
        self.taken.clear()
        self.hashes.clear()

    def send(self, to: bytes | None, data: bytes) -> Receipt:
        """Signed before the clock runs."""
        raw = ACCOUNT.sign_transaction(Unsigned(CHAIN_ID, self.nonce, 0, 2 * GWEI, 2_000_000, to, 0, data))
        start = time.perf_counter()
        named = self.chain.send(raw)
        self.taken.append(time.perf_counter() - start)
        self.nonce += 1
        receipt = self.chain.receipt(named)
        assert receipt is not None
        assert receipt.succeeded
        return receipt

    def anchor(self, size: int) -> Receipt:
        """The head of `size` entries."""
        proof = merkle.prove_consistency(self.head.size, size, self.nodes) if self.head.size else []
        root = merkle.root(size, self.nodes)
        receipt = self.send(self.anchors.address, self.anchors.plan(self.log_id, self.head, size, root, proof))
        self.head = Head(size, self.anchors.read(receipt.logs[0]).head.time, root)
        self.hashes.append(len(proof))
        return receipt


def costs(count: int) -> dict[str, object]:
    """Gas of later anchors, what that is for a million readings, and anchors a second on the embedded chain."""
    numbers: dict[str, object] = {}
    statements = READINGS_A_DAY // READINGS
    for name, a_day in (("hourly", 24), ("daily", 1)):
        with tempfile.TemporaryDirectory() as scratch:
            genesis = Genesis(CHAIN_ID, {ACCOUNT.address: FUNDS})
            with EmbeddedChain.open(Path(scratch) / "chain.db", genesis=genesis) as chain:
                anchors = Anchors(chain, 983_040)
                sizes = [anchors.head.size + (n + 1) * statements // a_day for n in range(count)]
                gas = round(median(anchors.anchor(size).gas_used for size in sizes))
        million = gas * a_day * 1_000_000 // READINGS_A_DAY
        numbers[name] = {
            "gas_per_anchor": gas,
            "consistency_hashes": round(median(anchors.hashes)),
            "gas_per_million_readings": million,
            "usd_per_million_readings": {
                where: float(f"{million * gwei * 1e-9 * USD_PER_ETHER:.2g}") for where, gwei in PRICES.items()
            },
        }
        if name == "hourly":
            numbers["embedded_anchors_per_second"] = round(len(anchors.taken) / sum(anchors.taken), 1)
    return numbers


# --- evidence -----------------------------------------------------------------------------------


def evidence(rounds: int) -> dict[str, object]:
    """Bytes, and milliseconds of a check, by the transactions that the block has."""
    numbers: dict[str, object] = {}
    for before in (0, 20, 200):
        block = AnchorBlock(time=1_700_000_000)
        block.fill(before)
        at = block.anchor(size=1_000_000, root=bytes(range(32)))
        block.fill(before // 10)
        one = block.evidence(at)
        numbers[f"block_of_{len(block.receipts)}"] = {
            "bytes": len(cbor.encode(anchor_value(one))),
            "check_ms": round(best(lambda proved=one: check(proved), rounds) * 1e3, 2),  # type: ignore[misc]
        }
    return numbers


def check(one: AnchorEvidence) -> None:
    """As a verifier does."""
    assert check_anchor(one).size == 1_000_000


def best(work: Callable[[], None], rounds: int) -> float:
    """Median seconds."""
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return median(taken)


def run(quick: bool) -> dict[str, object]:
    """All of it."""
    rounds = 3 if quick else 50
    return {
        "latency": {
            "embedded": latency("embedded", 0, rounds),
            "anvil": latency("anvil", 0, rounds),
            "anvil_1s_blocks_2_confirmations": latency("anvil_1s_blocks", 2, 2 if quick else 5),
        },
        **costs(5 if quick else 100),
        "assumed": {"usd_per_ether": USD_PER_ETHER, "gwei": PRICES, "readings_a_day": READINGS_A_DAY},
        "evidence": evidence(rounds),
    }


if __name__ == "__main__":
    print(json.dumps(run("--quick" in sys.argv)))
