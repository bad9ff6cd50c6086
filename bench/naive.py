"""Against writing each event on chain: the same events as transactions of their own, and as statements with one anchor.

    emitted    the payload as calldata and in the chain's logs, which contracts cannot read
    stored     its SHA-256 in a slot, which contracts can read; the payload is kept elsewhere
    anchored   signed statements in a log, every one checked and durable; then one anchor

All on the same anvil, one after the other. Times include signing. `EventStore` does nothing else: no owner, no checks.
Transactions come 200 to an HTTP request and to a block, so that anvil is not waited for more than need be.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from contextlib import closing
from hashlib import sha256
from pathlib import Path

from bench.anchors import ACCOUNT, CHAIN_ID, FEE, FUNDS, until_covered
from bench.intake import OPERATOR, ORIGIN, grant_all, make_chains
from tests.chain.anvil import Anvil
from twinproof.chain.abi import Artifact, Contract
from twinproof.chain.anchors import CheckpointAnchor
from twinproof.chain.hexadecimal import format_data
from twinproof.chain.outbox import TransactionOutbox
from twinproof.chain.rpc import RpcChain
from twinproof.chain.rpc_client import RpcClient
from twinproof.chain.sender import Sender, SenderSettings
from twinproof.chain.signing import Unsigned
from twinproof.node.anchor_store import AnchorStore
from twinproof.node.anchoring import Anchoring
from twinproof.node.chain_setup import deploy_contracts
from twinproof.node.config import ChainSettings
from twinproof.node.intake import Accepted
from twinproof.node.keyring import new_private_key
from twinproof.node.node import init_node, open_node
from twinproof.node.submissions import OutboxSubmitter
from twinproof.twin.statement import parse_statement

ARTIFACT = Path(__file__).resolve().parents[1] / "tests" / "contracts" / "artifacts" / "EventStore.json"
BATCH = 200
"""Transactions in a request and in a block."""
GAS = 120_000
BLOCK_GAS = 36_000_000
"""Of an Ethereum block in 2025, one every 12 s; anvil mines at once, so that times here leave the network out."""
GROUP = 1_000
"""Statements in an append."""


class Naive:
    """The contract, and an account that sends to it."""

    def __init__(self, node: Anvil, client: RpcClient) -> None:
        self.node, self.client = node, client
        self.chain = RpcChain(client, CHAIN_ID)
        self.artifact = Artifact.parse("EventStore", ARTIFACT.read_text("utf-8"))
        self.nonce = self.chain.nonce(ACCOUNT.address)
        node.rpc("evm_setAutomine", False)
        created = self.signed(None, self.artifact.deployment(), 1_000_000)
        self.chain.send(created)
        node.mine()
        receipt = self.chain.receipt(self.chain.head().transactions[0])
        assert receipt is not None
        assert receipt.contract is not None
        self.contract = Contract(self.artifact, receipt.contract)

    def signed(self, to: bytes | None, data: bytes, gas: int = GAS) -> bytes:
        """The account's next transaction."""
        raw = ACCOUNT.sign_transaction(Unsigned(CHAIN_ID, self.nonce, 0, FEE, gas, to, 0, data))
        self.nonce += 1
        return raw

    def write(self, function: str, arguments: list[bytes]) -> dict[str, float]:
        """A transaction for each argument; all must have gone through."""
        first = self.chain.head().number + 1
        sent = 0
        start = time.perf_counter()
        for at in range(0, len(arguments), BATCH):
            some = arguments[at : at + BATCH]
            raws = [self.signed(self.contract.address, self.contract.encode(function, one)) for one in some]
            calls = [("eth_sendRawTransaction", [format_data(raw)]) for raw in raws]
            answers = self.client.batch(calls, retry=False)
            assert all(isinstance(answer, str) for answer in answers), answers[0]
            self.node.mine()
            sent += sum(map(len, raws))
        taken = time.perf_counter() - start
        gas = mined = data = 0
        for number in range(first, self.chain.head().number + 1):
            block = self.chain.block(number)
            assert block is not None
            receipts = self.chain.receipts_of(block.hash)
            assert all(receipt.succeeded for receipt in receipts)
            mined += len(receipts)
            gas += block.gas_used
            data += sum(len(log.data) + 32 * len(log.topics) + 20 for one in receipts for log in one.logs)
        assert mined == len(arguments)
        return {
            "seconds": round(taken, 2),
            "gas": gas,
            "bytes_on_chain": sent + data,
            "transactions": mined,
            "full_blocks": round(gas / BLOCK_GAS, 1),
        }


def anchored(folder: Path, chain: RpcChain, events: int) -> tuple[dict[str, float], list[bytes]]:
    """Sign, log and anchor; also the payloads, for the others."""
    init_node(folder / "node", ORIGIN, OPERATOR)
    keys = [new_private_key() for _ in range(10)]
    grant_all(folder / "node", keys)
    outbox = TransactionOutbox(folder / "outbox.db")
    with open_node(folder / "node") as node, closing(outbox):
        sender = Sender(chain, ACCOUNT, outbox, SenderSettings(FEE), sleep=lambda _: time.sleep(0.01))
        contracts = deploy_contracts(sender, chain, ORIGIN)
        anchors = CheckpointAnchor(chain, contracts.addresses["CheckpointAnchor"])
        anchoring = Anchoring(
            node.reader,
            chain,
            anchors,
            contracts.log_id,
            OutboxSubmitter(sender),
            AnchorStore(folder / "anchors.db"),
            settings=ChainSettings("rpc", anchor_every_entries=1),
            clock=time.time,
            first_block=contracts.first_block,
        )
        until_covered(anchoring, sender, node)
        nonce = chain.nonce(ACCOUNT.address)
        start = time.perf_counter()
        raws = [raw for one in make_chains(keys, "senml_1", events) for raw in one]
        for at in range(0, len(raws), GROUP):
            outcomes = node.intake.submit(raws[at : at + GROUP]).result()
            assert all(isinstance(outcome, Accepted) for outcome in outcomes)
        until_covered(anchoring, sender, node)
        taken = time.perf_counter() - start
        assert chain.nonce(ACCOUNT.address) == nonce + 1
        event = anchors.events(contracts.log_id, contracts.first_block, chain.head().number)[-1].log
        receipt, raw = chain.receipt(event.transaction), chain.transaction(event.transaction)
        assert receipt is not None
        assert raw is not None
        numbers = {
            "seconds": round(taken, 2),
            "gas": receipt.gas_used,
            "bytes_on_chain": len(raw) + len(event.data) + 32 * len(event.topics) + 20,
            "bytes_of_statements": sum(map(len, raws)),
            "transactions": 1,
            "full_blocks": round(receipt.gas_used / BLOCK_GAS, 3),
        }
        return numbers, [parse_statement(one).payload for one in raws]


def run(quick: bool) -> dict[str, object]:
    """All three, and how many times more the others take."""
    events = 1_000 if quick else 10_000
    node = Anvil()
    try:
        node.fund(ACCOUNT.address, FUNDS)
        with (
            tempfile.TemporaryDirectory() as scratch,
            closing(RpcClient(node.url, timeout=60, max_batch=BATCH)) as client,
        ):
            ours, payloads = anchored(Path(scratch), RpcChain(client, CHAIN_ID), events)
            naive = Naive(node, client)
            # A payload that came twice would be stored in a slot that is there already.
            digests = [sha256(b"%d" % at + payload).digest() for at, payload in enumerate(payloads)]
            ways = {"emitted": naive.write("emitEvent", payloads), "stored": naive.write("storeHash", digests)}
    finally:
        node.close()
    return {
        "events": events,
        "payload_bytes": round(sum(map(len, payloads)) / events),
        "anchored": ours,
        **ways,
        **{
            f"{name}_over_anchored": {
                what: round(numbers[what] / ours[what], 2) for what in ("seconds", "gas", "bytes_on_chain")
            }
            for name, numbers in ways.items()
        },
    }


if __name__ == "__main__":
    print(json.dumps(run("--quick" in sys.argv)))
