"""Anchor evidence from chains: the embedded one, and nodes that lie."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.builders import START, TWIN, Log
from tests.chain.anchoring import GAS, anchor_sizes, events
from tests.chain.embedded_rig import ADDRESSES, GENESIS, signed
from tests.verify.anchorkit import anchor, recorded, with_anchors
from twinproof.chain.abi import Contract
from twinproof.chain.embedded import EmbeddedChain
from twinproof.chain.encoding import ordered_root
from twinproof.chain.model import Block, Receipt
from twinproof.chain.proofs import prove_anchor, prove_item
from twinproof.errors import ChainLied, NotFound
from twinproof.proof.anchor import ANCHORED, check_anchor
from twinproof.testing import ManualClock
from twinproof.twin.anchors import AnchorTrust, ExpectedAnchor
from twinproof.verify import verify_bundle


@pytest.fixture(scope="module")
def made() -> Iterator[tuple[EmbeddedChain, Log, Contract]]:
    """A log of ten entries, anchored at 4, 7 and 10 by the real contract."""
    log = recorded()
    clock = ManualClock(START + 10)
    with EmbeddedChain.open(None, genesis=GENESIS, clock=clock) as chain:

        def send(to: bytes | None, data: bytes) -> Receipt:
            clock.advance(10)
            raw = signed(0, chain.nonce(ADDRESSES[0]), to=to, data=data, gas=GAS)
            done = chain.receipt(chain.send(raw))
            assert done is not None
            return done

        yield chain, log, anchor_sizes(send, log, 4, 7, 10)


def test_anchors_of_the_embedded_chain_verify_offline(made: tuple[EmbeddedChain, Log, Contract]) -> None:
    chain, log, contract = made
    found = events(chain)
    evidence = [prove_anchor(chain, event) for event in found]
    heads = [check_anchor(part) for part in evidence]
    assert [head.size for head in heads] == [4, 7, 10]
    assert [(head.block_hash, head.transaction) for head in heads] == [(e.block, e.transaction) for e in found]
    assert {(head.chain_id, head.contract) for head in heads} == {(chain.chain_id, contract.address)}
    data = with_anchors(log, [anchor(log, part, head.size) for part, head in zip(evidence, heads, strict=True)])
    trust = AnchorTrust(
        frozenset(event.block for event in found),
        expected=(ExpectedAnchor(chain.chain_id, contract.address, heads[0].log_id),),
    )
    history = verify_bundle(data, log.policy(), anchors=trust)
    times = [head.time for head in heads]
    assert [entry.time.anchored for entry in history.entries] == [times[0]] * 2 + [times[1]] * 3 + [times[2]] * 3
    assert history.subject == TWIN
    assert history.remarks == ()


def test_a_block_the_chain_does_not_have(made: tuple[EmbeddedChain, Log, Contract]) -> None:
    chain, _, _ = made
    with pytest.raises(NotFound, match="no block"):
        prove_anchor(chain, replace(events(chain)[0], block=bytes(32)))


# --- nodes that lie ---------------------------------------------------------------------------


@dataclass
class Liar:
    """A chain that answers one question differently."""

    chain: EmbeddedChain
    question: str
    lie: Callable[[Any], Any]

    def __getattr__(self, name: str) -> Any:
        honest = getattr(self.chain, name)
        return (lambda *words: self.lie(honest(*words))) if name == self.question else honest


def other_log(receipts: list[Receipt]) -> list[Receipt]:
    logs = tuple(replace(log, data=bytes(64)) for log in receipts[0].logs)
    return [replace(receipts[0], logs=logs)]


def fewer(block: Block) -> Block:
    return replace(block, transactions=())


LIES: list[tuple[str, str, Callable[[Any], Any], str]] = [
    ("another header", "raw_header", lambda raw: raw[:-1] + b"\0", "does not have the block's hash"),
    ("no receipts", "receipts_of", lambda receipts: [], "0 receipts of 1 transactions"),
    ("a receipt too many", "receipts_of", lambda receipts: receipts * 2, "2 receipts of 1 transactions"),
    ("a failed receipt", "receipts_of", lambda found: [replace(found[0], succeeded=False)], "receipt proof"),
    ("another event in the receipt", "receipts_of", other_log, "receipt proof"),
    ("other gas", "receipts_of", lambda found: [replace(found[0], cumulative_gas_used=1)], "receipt proof"),
    ("a block without transactions", "block", fewer, "1 receipts of 0 transactions"),
    ("a missing transaction", "transaction", lambda raw: None, "missing or another one"),
    ("another transaction", "transaction", lambda raw: raw[:-1] + b"\0", "missing or another one"),
]


@pytest.mark.parametrize(("question", "lie", "fragment"), [pytest.param(*row[1:], id=row[0]) for row in LIES])
def test_lies_are_found(
    made: tuple[EmbeddedChain, Log, Contract], question: str, lie: Callable[[Any], Any], fragment: str
) -> None:
    chain: Any = Liar(made[0], question, lie)
    with pytest.raises(ChainLied, match=fragment):
        prove_anchor(chain, events(made[0])[1])


@pytest.mark.parametrize(
    "change",
    [
        {"data": bytes(64)},
        {"address": bytes(20)},
        {"topics": (ANCHORED, bytes(32), bytes(32))},
        {"topics": (ANCHORED,)},
        {"position": 1},
        {"position": -1},
        {"transaction_index": 1},
        {"transaction_index": -1},
    ],
    ids=["data", "address", "topics", "fewer topics", "position", "negative position", "index", "negative index"],
)
def test_an_event_that_is_not_in_the_block(made: tuple[EmbeddedChain, Log, Contract], change: dict[str, Any]) -> None:
    chain = made[0]
    with pytest.raises(ChainLied):
        prove_anchor(chain, replace(events(chain)[1], **change))


def test_another_chain_id(made: tuple[EmbeddedChain, Log, Contract]) -> None:
    @dataclass
    class Renamed:
        chain: EmbeddedChain
        chain_id: int = 1

        def __getattr__(self, name: str) -> Any:
            return getattr(self.chain, name)

    chain: Any = Renamed(made[0])
    with pytest.raises(ChainLied, match="not for the chain 1"):
        prove_anchor(chain, events(made[0])[1])


def test_events_of_other_contracts_are_no_anchors(made: tuple[EmbeddedChain, Log, Contract]) -> None:
    chain, _, contract = made
    registered = chain.logs(first=0, last=chain.head().number, topics=[contract.topic("LogRegistered")])
    with pytest.raises(ChainLied, match="no Anchored event"):
        prove_anchor(chain, registered[0])


# --- tries ------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 16, 17, 127, 128, 129, 200, 257, 300])
def test_two_implementations_of_the_trie_agree(count: int) -> None:
    items = [bytes((at % 256,)) * (1 + at % 50) for at in range(count)]
    for at in {0, 1 % count, count // 2, count - 1}:
        assert prove_item(items, at)[0] == ordered_root(items)
