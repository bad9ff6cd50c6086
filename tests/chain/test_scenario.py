"""One story, from a log's first anchor to the money, by the same bytes on the embedded chain and on anvil (revm).

    register, anchor 20 times, accredit, mint, hand over, propose, agree, deposit, order by proof, accept, ship,
    receive, installation by proof, withdraw

Every block is compared as it is made (`Pair.mine`): gas, status, logs, the roots of transactions and receipts. At the
end the contracts' whole storage is, by its root, and what both drivers tell of the blocks. On the way, both must
refuse the same things for the same reasons.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import rlp as foreign_rlp  # type: ignore[import-untyped]
from trie.hexary import HexaryTrie

from tests.chain.conftest import need_anvil
from tests.chain.embedded_rig import ADDRESSES, CHAIN_ID
from tests.chain.test_embedded_anvil import Pair
from tests.contracts.agreement_rig import PREDICTOR, TECHNICIAN, Head, Key, Proof, Terms
from tests.log.rig import Rig as LogRig
from tests.log.rig import entries
from twinproof.chain.abi import Artifact, Contract
from twinproof.chain.anchors import log_id_of
from twinproof.chain.embedded import state
from twinproof.chain.hexadecimal import keccak
from twinproof.chain.model import Block, Chain, Log, Receipt, Request
from twinproof.chain.proofs import prove_anchor
from twinproof.chain.rpc import RpcChain
from twinproof.chain.rpc_client import RpcClient
from twinproof.errors import Reverted
from twinproof.log.reader import Reader
from twinproof.log.store import Entry
from twinproof.proof.anchor import ANCHORED, check_anchor
from twinproof.proof.keys import PrivateKey
from twinproof.twin.installation import INSTALLATION, Installation, format_installation
from twinproof.twin.prediction import PREDICTION, Prediction, Read, float_bits, format_prediction
from twinproof.twin.statement import sign_statement

OPERATOR, SUPPLIER, MANUFACTURER, KEEPER = range(4)
"""Senders. The keeper owns the log, accredits and arbitrates; the operator, as anybody might, sends the proofs."""
GROWTH = (1, 1, 1, 2, 3, 5, 8, 13, 21, 34, 1, 55, 1, 1, 89, 144, 2, 233, 7, 100)
"""Entries between anchors."""
IRI = "https://fleet.example/engine/1"
TWIN = sha256(IRI.encode()).digest()
PRICE = 1_000_003
HOUR = 3600
DEPLOY, CALL = 7_000_000, 1_000_000
"""Gas limits."""


class Story:
    """Who does what; each step is a block on both chains."""

    def __init__(self, pair: Pair, network: Chain, log: LogRig) -> None:
        self.pair, self.network, self.log = pair, network, log
        self.writer = log.open()
        self.reader = Reader(log.store)
        self.first = pair.rig.chain.head().number + 1
        self.anchors = self.deploy("CheckpointAnchor")
        self.passports = self.deploy("PartPassport", ADDRESSES[KEEPER])
        self.agreements = self.deploy("MaintenanceAgreement")
        self.contracts = (self.anchors, self.passports, self.agreements)
        self.log_id = log_id_of("twin.example/log0", ADDRESSES[KEEPER])
        self.head = Head(0, 0, bytes(32))
        self.seq = 0

    @property
    def now(self) -> int:
        return int(self.pair.rig.clock.time)

    def deploy(self, name: str, *arguments: object) -> Contract:
        artifact = Artifact.load(name)
        receipt = self.pair.send(KEEPER, data=artifact.deployment(*arguments), gas=DEPLOY)
        assert receipt["status"] == "0x1"
        return Contract(artifact, bytes.fromhex(receipt["contractAddress"][2:]))

    def do(self, sender: int, contract: Contract, function: str, *arguments: object, value: int = 0) -> dict[str, Any]:
        data = contract.encode(function, *arguments)
        receipt = self.pair.send(sender, to=contract.address, data=data, value=value, gas=CALL)
        assert receipt["status"] == "0x1", function
        return receipt

    def ask(self, contract: Contract, function: str, *arguments: object) -> Any:
        data = contract.encode(function, *arguments)
        ours, theirs = (chain.call(contract.address, data) for chain in (self.pair.rig.chain, self.network))
        assert ours == theirs, function
        return contract.decode(function, ours)

    def refused(self, error: str, sender: int, contract: Contract, function: str, *arguments: object) -> None:
        """Tried out on both; then mined on both, where it must fail at the same gas."""
        data = contract.encode(function, *arguments)
        reasons = []
        for chain in (self.pair.rig.chain, self.network):
            with pytest.raises(Reverted) as tried:
                chain.estimate_gas(Request(contract.address, data, 0, ADDRESSES[sender]))
            reasons.append(contract.error(tried.value.data))
        assert reasons[0] == reasons[1]
        assert reasons[0].startswith(f"{error}("), reasons[0]
        receipt = self.pair.send(sender, to=contract.address, data=data, gas=CALL)
        assert (receipt["status"], receipt["logs"]) == ("0x0", [])

    # --- the log ----------------------------------------------------------------------------

    def append(self, *added: Entry) -> int:
        """The index of the last one."""
        return [result.index for result in self.writer.append(list(added))][-1]

    def state(self, payload: bytes, kind: str, key: PrivateKey) -> int:
        """Its index."""
        self.seq += 1
        raw = sign_statement(
            key, issuer="urn:example:signer", subject=IRI, content_type=kind, payload=payload, seq=self.seq,
            prev=b"\5" * 32, issued_at=self.now,
        )  # fmt: skip
        return self.append(Entry(sha256(raw).digest()[:24], raw))

    def predict(self, lower: float) -> int:
        read = Read("urn:example:device:1", 0, 41, bytes(32))
        prediction = Prediction(lower, lower + 5, lower + 9, 0.9, "cycles", b"\7" * 32, (read,))
        return self.state(format_prediction(prediction), PREDICTION, PREDICTOR)

    def anchor(self) -> None:
        size = self.reader.head().size
        root, proof = self.reader.root(size), self.reader.consistency(self.head.size, size) if self.head.size else []
        receipt = self.do(KEEPER, self.anchors, "anchor", self.log_id, self.head, size, root, proof)
        self.head = Head(size, int(receipt["logs"][0]["data"][-64:], 16), root)
        assert self.ask(self.anchors, "isAnchored", self.log_id, self.head) is True

    def prove(self, index: int) -> Proof:
        """Under the newest anchor, or one that it takes for this."""
        if index >= self.head.size:
            self.anchor()
        return Proof(self.reader.entry(index), index, self.head, tuple(self.reader.inclusion(index, self.head.size)))

    # --- chapters ---------------------------------------------------------------------------

    def anchor_a_growing_log(self) -> None:
        self.refused("NotOwner", KEEPER, self.anchors, "anchor", self.log_id, self.head, 1, b"\1" * 32, [])
        self.do(KEEPER, self.anchors, "register", "twin.example/log0", ADDRESSES[KEEPER])
        number = 0
        for growth in GROWTH:
            self.append(*entries(number, number + growth))
            number += growth
            self.anchor()
        assert self.ask(self.anchors, "latest", self.log_id) == (sum(GROWTH), self.head.time, len(GROWTH))
        self.append(*entries(number, number + 5))
        forked = [self.log_id, self.head, number + 5, b"\6" * 32, self.reader.consistency(number, number + 5)]
        self.refused("BadConsistencyProof", KEEPER, self.anchors, "anchor", *forked)
        self.refused("NotOwner", SUPPLIER, self.anchors, "anchor", *forked)

    def make_a_part(self) -> int:
        made = ("HPT-4711", "SN-1", sha256(b"urn:part:1").digest(), b"\1" * 32)
        self.refused("NotAccredited", MANUFACTURER, self.passports, "mint", *made)
        self.do(KEEPER, self.passports, "setAccredited", ADDRESSES[MANUFACTURER], True)
        receipt = self.do(MANUFACTURER, self.passports, "mint", *made)
        token = int(receipt["logs"][0]["topics"][3], 16)
        self.hand_over(token, MANUFACTURER, SUPPLIER)
        return token

    def hand_over(self, token: int, giver: int, receiver: int) -> None:
        self.do(giver, self.passports, "offer", token, ADDRESSES[receiver], self.now + HOUR)
        self.do(receiver, self.passports, "accept", token)
        assert self.ask(self.passports, "ownerOf", token) == ADDRESSES[receiver]

    def terms(self) -> Terms:
        return Terms(
            ADDRESSES[OPERATOR], ADDRESSES[SUPPLIER], ADDRESSES[KEEPER], self.anchors.address, self.passports.address,
            self.log_id, Key.of(PREDICTOR), Key.of(TECHNICIAN), keccak(b"cycles"), float_bits(30.0), float_bits(0.9),
            keccak(b"HPT-4711"), bytes(20), PRICE, HOUR, HOUR, HOUR, HOUR, HOUR, HOUR,
        )  # fmt: skip

    def order_and_pay(self, token: int) -> None:
        terms, agreements = self.terms(), self.agreements
        self.do(OPERATOR, agreements, "propose", terms, [TWIN])
        self.do(SUPPLIER, agreements, "agree", 1, terms)
        self.refused("WrongTerms", OPERATOR, agreements, "suspend", 1, replace(terms, price=1), True)
        self.do(OPERATOR, agreements, "deposit", 1, terms, 2 * PRICE, value=2 * PRICE)
        healthy, worn = self.predict(80.0), self.predict(12.0)
        proof = self.prove(worn)
        self.refused("NotBelow", OPERATOR, agreements, "order", 1, terms, self.prove(healthy))
        cut = replace(proof, path=proof.path[1:])
        self.refused("BadInclusionProof", OPERATOR, agreements, "order", 1, terms, cut)
        self.do(OPERATOR, agreements, "order", 1, terms, proof)
        order = (1 << 32) + 1
        self.do(SUPPLIER, agreements, "acceptOrder", order, terms)
        self.do(SUPPLIER, self.passports, "offer", token, ADDRESSES[OPERATOR], self.now + 2 * HOUR)
        self.do(SUPPLIER, agreements, "ship", order, terms, token)
        self.do(OPERATOR, self.passports, "accept", token)
        self.do(OPERATOR, agreements, "receivePart", order, terms)
        named = self.ask(agreements, "orderKey", order)
        installed = format_installation(Installation(token.to_bytes(32, "big"), named))
        confirmed = self.prove(self.state(installed, INSTALLATION, TECHNICIAN))
        self.do(OPERATOR, agreements, "confirmInstallation", order, terms, confirmed)
        assert self.ask(agreements, "owed", ADDRESSES[SUPPLIER], bytes(20)) == PRICE
        self.do(SUPPLIER, agreements, "withdraw", bytes(20))
        assert self.ask(agreements, "owed", ADDRESSES[SUPPLIER], bytes(20)) == 0
        assert self.pair.both("eth_getBalance", f"0x{agreements.address.hex()}", "latest") == hex(PRICE)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """The story, told once."""
    need_anvil()
    pair = Pair()
    folder: Path = tmp_path_factory.mktemp("log")
    try:
        with closing(RpcChain(RpcClient(pair.anvil.url), CHAIN_ID)) as network:
            story = Story(pair, network, LogRig("sqlite", folder))
            story.anchor_a_growing_log()
            story.order_and_pay(story.make_a_part())
            yield story
            story.log.close()
    finally:
        pair.anvil.close()


def storage_root(slots: dict[str, str]) -> bytes:
    """Of slots and words as the network dumps them, by another library; it keeps zeros, which are no part of a trie."""
    tree = HexaryTrie({})
    for slot, word in slots.items():
        if value := int(word, 16):
            tree[keccak(int(slot, 16).to_bytes(32, "big"))] = foreign_rlp.encode(value)
    return tree.root_hash


def test_the_story_ends_with_the_same_storage(told: Story) -> None:
    """All slots of all contracts, by the root of their storage; nonces, balances and code."""
    chain = told.pair.rig.chain
    dumped = json.loads(gzip.decompress(bytes.fromhex(told.pair.anvil.rpc("anvil_dumpState")[2:])))["accounts"]
    for contract, least in zip(told.contracts, (len(GROWTH), 9, 6), strict=True):
        shown = dumped[f"0x{contract.address.hex()}"]
        account = state.account(chain._store.nodes, chain.head().state_root, contract.address)
        assert account.storage_root == storage_root(shown["storage"])
        assert len(shown["storage"]) > least
        assert (account.nonce, account.balance) == (shown["nonce"], int(shown["balance"], 16))
        told.pair.both("eth_getCode", f"0x{contract.address.hex()}", "latest")
    for address in (*ADDRESSES, bytes(20)):
        told.pair.both("eth_getBalance", f"0x{address.hex()}", "latest")
        told.pair.both("eth_getTransactionCount", f"0x{address.hex()}", "latest")


def placed(log: Log) -> Log:
    """Without the block's hash: headers differ in their state roots, for a network has accounts of its own."""
    return replace(log, block=b"")


def receipt_of(receipt: Receipt) -> Receipt:
    return replace(receipt, block=b"", logs=tuple(map(placed, receipt.logs)))


def block_of(block: Block) -> Block:
    return replace(block, hash=b"", parent=b"", state_root=b"")


def test_both_drivers_tell_the_same_of_every_block(told: Story) -> None:
    embedded, network = told.pair.rig.chain, told.network
    last = embedded.head().number
    assert last - told.first > 40
    for number in range(told.first, last + 1):
        ours, theirs = embedded.block(number), network.block(number)
        assert ours is not None
        assert theirs is not None
        assert block_of(ours) == block_of(theirs)
        receipts = [list(map(receipt_of, chain.receipts_of(block.hash))) for chain, block in both(told, ours, theirs)]
        assert receipts[0] == receipts[1] != []
        for hash_ in ours.transactions:
            assert embedded.transaction(hash_) == network.transaction(hash_)
            one, other = embedded.receipt(hash_), network.receipt(hash_)
            assert one is not None
            assert other is not None
            assert receipt_of(one) == receipt_of(other) == receipts[0][one.index]


def both(told: Story, ours: Block, theirs: Block) -> list[tuple[Chain, Block]]:
    return [(told.pair.rig.chain, ours), (told.network, theirs)]


def test_both_drivers_find_the_same_events(told: Story) -> None:
    embedded, network = told.pair.rig.chain, told.network
    last = embedded.head().number
    everything: dict[str, Any] = {"first": told.first, "last": last}
    all_of_it = [list(map(placed, chain.logs(**everything))) for chain in (embedded, network)]
    assert all_of_it[0] == all_of_it[1]
    for contract in told.contracts:
        query = {**everything, "addresses": [contract.address]}
        found = [list(map(placed, chain.logs(**query))) for chain in (embedded, network)]
        assert found[0] == found[1] == [log for log in all_of_it[0] if log.address == contract.address] != []
    anchored = [chain.logs(**everything, topics=[ANCHORED, told.log_id]) for chain in (embedded, network)]
    assert len(anchored[0]) == len(GROWTH) + 2
    for ours, theirs in zip(*anchored, strict=True):
        one, other = prove_anchor(embedded, ours), prove_anchor(network, theirs)
        assert (one.receipt, one.transaction, one.position) == (other.receipt, other.transaction, other.position)
        assert replace(check_anchor(one), block_hash=b"") == replace(check_anchor(other), block_hash=b"")


def test_both_estimate_enough_and_not_much_more(told: Story) -> None:
    """Estimates are searched for, so they differ a little; what they are for is that the transaction goes through."""
    data = told.agreements.encode("deposit", 1, told.terms(), 5)
    request = Request(told.agreements.address, data, 5, ADDRESSES[OPERATOR])
    ours, theirs = told.pair.rig.chain.estimate_gas(request), told.network.estimate_gas(request)
    receipt = told.pair.send(OPERATOR, to=request.to, data=data, value=5, gas=min(ours, theirs))
    assert receipt["status"] == "0x1"
    used = int(receipt["gasUsed"], 16)
    assert used <= min(ours, theirs) <= max(ours, theirs) <= used * 5 // 4
