"""Anchor evidence from blocks with transactions of types that only their network knows, by a node that is a script.

The block is like those of OP Stack networks (a deposit comes first, type 0x7e, whose receipt has two members more)
and of Arbitrum (an internal transaction, type 0x6a, that uses no gas).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from tests.chain.lyingnode import Lie, LyingNode, Refuse
from twinproof.chain.encoding import logs_bloom, ordered_root
from twinproof.chain.hexadecimal import format_data, keccak
from twinproof.chain.model import Log
from twinproof.chain.proofs import prove_anchor
from twinproof.chain.rpc import RpcChain
from twinproof.chain.rpc_answers import _HEADER, _LATER
from twinproof.chain.rpc_client import RpcClient
from twinproof.errors import ChainLied
from twinproof.proof import rlp
from twinproof.proof.anchor import check_anchor
from twinproof.testing.anchors import CONTRACT, DEFAULT_CHAIN, LOG_ID, anchored_log, number, transaction

TIME = 1_700_000_000
ROOT = bytes(range(32))
SOMEBODY = b"\x42" * 20
GAS = 50_000
Logs = list[tuple[bytes, list[bytes], bytes]]


class Block:
    """A block of four transactions; the third anchors, in the second log of its receipt."""

    def __init__(self, deposit: tuple[int, ...] = (7, 1)) -> None:
        address, topics, data = anchored_log(8, ROOT, TIME)
        assert isinstance(address, bytes)
        assert isinstance(topics, list)
        assert isinstance(data, bytes)
        event = (address, [topic for topic in topics if isinstance(topic, bytes)], data)
        other = (SOMEBODY, [keccak(b"Other()")], b"\5" * 40)
        self.logs: list[Logs] = [[other, other], [], [other, event], [other]]
        self.kinds = [0x7E, 0x6A, 2, 0]
        self.used = [GAS, GAS, 2 * GAS, 3 * GAS]
        self.extra: list[tuple[int, ...]] = [deposit, (), (), ()]
        self.transactions = [
            b"\x7e" + rlp.encode([bytes(32), SOMEBODY, SOMEBODY, b"", b"", number(GAS), b"", b"\1"]),
            b"\x6a" + rlp.encode([number(DEFAULT_CHAIN), b"\1\2\3"]),
            transaction(DEFAULT_CHAIN, 1, kind=2),
            transaction(DEFAULT_CHAIN, 2, kind=0),
        ]
        self.hashes = [keccak(raw) for raw in self.transactions]
        self.header = [b""] * len(_HEADER)
        quantities = {"number": number(9), "timestamp": number(TIME), "gasUsed": number(3 * GAS)}
        for at, (name, size) in enumerate(_HEADER):
            self.header[at] = quantities.get(name, bytes(max(0, size)))
        self.header[4] = ordered_root(self.transactions)
        self.header[5] = ordered_root(self.receipts())
        self.header.append(number(10**7))
        self.hash = keccak(rlp.encode(list(self.header)))

    def at(self, place: int) -> Iterator[Log]:
        before = sum(map(len, self.logs[:place]))
        for position, (address, topics, data) in enumerate(self.logs[place], before):
            yield Log(address, tuple(topics), data, b"", 9, self.hashes[place], place, position)

    def receipts(self) -> list[bytes]:
        raws = []
        for place, kind in enumerate(self.kinds):
            items: list[rlp.Item] = [b"\1", number(self.used[place]), logs_bloom(list(self.at(place)))]
            items.append([[address, list(topics), data] for address, topics, data in self.logs[place]])
            items += [number(one) for one in self.extra[place]]
            raws.append((bytes((kind,)) if kind else b"") + rlp.encode(items))
        return raws

    # --- as a node tells it -----------------------------------------------------------------

    def json(self) -> dict[str, Any]:
        told = {
            name: format_data(value) if size else hex(int.from_bytes(value, "big"))
            for (name, size), value in zip((*_HEADER, *_LATER), self.header, strict=False)
        }
        return {**told, "hash": format_data(self.hash), "transactions": [format_data(one) for one in self.hashes]}

    def json_log(self, log: Log) -> dict[str, Any]:
        return {
            "address": format_data(log.address),
            "topics": [format_data(topic) for topic in log.topics],
            "data": format_data(log.data),
            "blockHash": format_data(self.hash),
            "blockNumber": "0x9",
            "transactionHash": format_data(log.transaction),
            "transactionIndex": hex(log.transaction_index),
            "logIndex": hex(log.position),
            "removed": False,
        }

    def json_receipts(self) -> list[dict[str, Any]]:
        names = ("depositNonce", "depositReceiptVersion")
        return [
            {
                "type": hex(kind),
                "status": "0x1",
                "cumulativeGasUsed": hex(self.used[place]),
                "gasUsed": hex(self.used[place] - (self.used[place - 1] if place else 0)),
                "logs": [self.json_log(log) for log in self.at(place)],
                "transactionHash": format_data(self.hashes[place]),
                **{name: hex(one) for name, one in zip(names, self.extra[place], strict=False)},
            }
            for place, kind in enumerate(self.kinds)
        ]


def missing(*_: Any) -> Any:
    raise Refuse(-32601, "the method does not exist")


class Told:
    """A node that offers everything, until the test takes something away."""

    def __init__(self, node: LyingNode, chain: RpcChain, block: Block) -> None:
        self.node, self.chain, self.block = node, chain, block
        raws = dict(zip(block.hashes, block.transactions, strict=True))
        receipts = dict(zip(map(format_data, block.hashes), block.json_receipts(), strict=True))
        parts: list[rlp.Item] = [raw if raw[0] < 0x80 else rlp.decode(raw, "transaction") for raw in block.transactions]
        whole = rlp.encode([list(block.header), parts, []])
        lies: dict[str, Lie] = {
            "eth_chainId": lambda *_: hex(DEFAULT_CHAIN),
            "eth_getBlockByHash": lambda *_: block.json(),
            "eth_getBlockReceipts": lambda *_: block.json_receipts(),
            "eth_getTransactionReceipt": lambda params, _: receipts[params[0]],
            "eth_getRawTransactionByHash": lambda params, _: format_data(raws[bytes.fromhex(params[0][2:])]),
            "debug_getRawReceipts": missing,
            "debug_getRawBlock": lambda *_: format_data(whole),
        }
        node.lies |= lies
        self.event = replace(list(block.at(2))[1], block=block.hash)

    def check(self) -> None:
        head = check_anchor(prove_anchor(self.chain, self.event))
        assert (head.contract, head.log_id, head.size, head.root) == (CONTRACT, LOG_ID, 8, ROOT)
        assert (head.block_hash, head.index, head.position) == (self.block.hash, 2, 1)


@pytest.fixture
def told() -> Iterator[Told]:
    yield from telling(Block())


def telling(block: Block) -> Iterator[Told]:
    node = LyingNode()
    with closing(node), closing(RpcClient(node.url, timeout=5, sleep=lambda _: None)) as client:
        yield Told(node, RpcChain(client, DEFAULT_CHAIN), block)


def test_evidence_from_a_block_with_foreign_types(told: Told) -> None:
    told.check()
    assert "debug_getRawBlock" not in told.node.asked
    # The transactions come together, not one by one.
    assert len(told.block.transactions) in told.node.batches
    assert len(told.node.batches) <= 8


def test_receipts_one_by_one(told: Told) -> None:
    told.node.lies["eth_getBlockReceipts"] = missing
    told.check()


@pytest.mark.parametrize("answer", ["none", "error"])
def test_transactions_from_the_whole_block(told: Told, answer: str) -> None:
    told.node.lies["eth_getRawTransactionByHash"] = missing if answer == "error" else lambda *_: None
    told.check()
    assert told.node.asked.count("debug_getRawBlock") == 1


def test_without_its_transactions_there_is_no_evidence(told: Told) -> None:
    told.node.lies |= {"eth_getRawTransactionByHash": missing, "debug_getRawBlock": missing}
    told.node.lies["eth_getTransactionByHash"] = lambda *_: None
    with pytest.raises(ChainLied, match="eth_getTransactionByHash"):
        prove_anchor(told.chain, told.event)


def test_receipts_of_a_form_that_nobody_here_knows() -> None:
    """A later fork gives deposits a third member: only the node can say what lies in the trie."""
    for told in telling(Block(deposit=(7, 1, 99))):
        with pytest.raises(ChainLied, match="debug_getRawReceipts"):
            prove_anchor(told.chain, told.event)
        raws = told.block.receipts()
        told.node.lies["debug_getRawReceipts"] = lambda *_, raws=raws: [format_data(raw) for raw in raws]
        told.check()
        false = [raws[0], raws[1], raws[2][:-1] + b"\1", raws[3]]
        told.node.lies["debug_getRawReceipts"] = lambda *_, false=false: [format_data(raw) for raw in false]
        with pytest.raises(ChainLied, match="receipts root"):
            prove_anchor(told.chain, told.event)


@pytest.mark.parametrize("field", ["status", "cumulativeGasUsed", "logs", "depositNonce"])
def test_a_receipt_that_is_false(told: Told, field: str) -> None:
    receipts = told.block.json_receipts()
    receipts[0][field] = [] if field == "logs" else "0x0"
    told.node.lies["eth_getBlockReceipts"] = lambda *_: receipts
    with pytest.raises(ChainLied, match="receipts root"):
        prove_anchor(told.chain, told.event)


def test_a_transaction_that_is_false(told: Told) -> None:
    told.node.lies["eth_getRawTransactionByHash"] = lambda *_: format_data(told.block.transactions[2])
    told.check()  # from the whole block
    told.node.lies["debug_getRawBlock"] = lambda *_: "0xc0"
    with pytest.raises(ChainLied):
        prove_anchor(told.chain, told.event)
