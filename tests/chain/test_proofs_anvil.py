"""Anchor evidence from a real node over JSON-RPC, with several transactions in a block."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest

from tests.chain.anchoring import GAS, anchor_sizes, events
from tests.chain.anvil import Anvil
from tests.chain.embedded_rig import ADDRESSES, signed
from tests.chain.lyingnode import LyingNode, Refuse
from tests.verify.anchorkit import anchor, recorded, with_anchors
from twinproof.chain.model import Receipt
from twinproof.chain.proofs import prove_anchor
from twinproof.chain.rpc import RpcChain
from twinproof.chain.rpc_client import RpcClient
from twinproof.proof.anchor import check_anchor
from twinproof.twin.anchors import AnchorTrust
from twinproof.verify import verify_bundle

FILLERS = 20


def missing(*_: Any) -> Any:
    raise Refuse(-32601, "the method does not exist")


@pytest.mark.parametrize("raw", [True, False], ids=["raw", "fields"])
def test_anchors_of_a_real_node_verify_offline(anvil: Anvil, raw: bool) -> None:
    log = recorded()
    for address in ADDRESSES[:2]:
        anvil.fund(address)
    anvil.rpc("evm_setAutomine", False)
    with closing(RpcClient(anvil.url)) as client:
        chain = RpcChain(client, anvil.chain_id)

        def send(to: bytes | None, data: bytes) -> Receipt:
            """With higher tips than ours others come first in the block."""
            nonce = chain.nonce(ADDRESSES[1])
            for number in range(FILLERS):
                chain.send(signed(1, nonce + number, to=ADDRESSES[2], value=1, maxPriorityFeePerGas=10**9))
            digest = chain.send(signed(0, chain.nonce(ADDRESSES[0]), to=to, data=data, gas=GAS))
            anvil.mine()
            done = chain.receipt(digest)
            assert done is not None
            return done

        contract = anchor_sizes(send, log, 4, 10)
        found = events(chain)
        with closing(LyingNode(anvil.url)) as poor, closing(RpcClient(poor.url)) as other:
            if not raw:  # many a node does not have it
                poor.lies["eth_getRawTransactionByHash"] = poor.lies["debug_getRawBlock"] = missing
            evidence = [prove_anchor(RpcChain(other, anvil.chain_id), event) for event in found]
            assert len(poor.batches) <= 10 * len(found), "a block's transactions come together"
    heads = [check_anchor(part) for part in evidence]
    assert [(head.size, head.contract, head.index) for head in heads] == [
        (4, contract.address, FILLERS),
        (10, contract.address, FILLERS),
    ]
    data = with_anchors(log, [anchor(log, part, head.size) for part, head in zip(evidence, heads, strict=True)])
    trust = AnchorTrust(frozenset(event.block for event in found))
    history = verify_bundle(data, log.policy(), anchors=trust)
    assert [entry.time.anchored for entry in history.entries] == [heads[0].time] * 2 + [heads[1].time] * 6
