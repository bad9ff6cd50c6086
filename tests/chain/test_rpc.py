"""RpcChain against a real node, and against one that lies, hangs and breaks off: every case has its own error."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import rlp  # type: ignore[import-untyped]
from trie.hexary import HexaryTrie

from tests.chain.anvil import CHAIN_ID, Anvil
from tests.chain.lyingnode import Hang, Lost, LyingNode, Raw, Refuse
from twinproof.chain.abi import Artifact, Contract
from twinproof.chain.accounts import Account
from twinproof.chain.encoding import encode_receipt
from twinproof.chain.hexadecimal import format_data, keccak
from twinproof.chain.model import Receipt, Request
from twinproof.chain.rpc import RpcChain
from twinproof.chain.rpc_answers import _HEADER, _LATER
from twinproof.chain.rpc_client import MAX_ATTEMPTS, AnswerTooLarge, RpcClient
from twinproof.chain.signing import Unsigned
from twinproof.errors import (
    ChainError,
    ChainLied,
    ChainUnreachable,
    ConfigError,
    NonceTaken,
    OutOfFunds,
    Reverted,
    TransactionRefused,
    Underpriced,
    WrongChain,
)

GWEI = 10**9


def mined(chain: RpcChain, named: bytes) -> Receipt:
    """The receipt of a node that mines at once; it may tell of it a little later."""
    for _ in range(2000):
        if receipt := chain.receipt(named):
            return receipt
    raise AssertionError("not mined")


def transact(chain: RpcChain, account: Account, to: bytes | None, data: bytes, value: int = 0) -> Receipt:
    nonce = chain.nonce(account.address, pending=True)
    raw = account.sign_transaction(Unsigned(CHAIN_ID, nonce, GWEI, 100 * GWEI, 5_000_000, to, value, data))
    return mined(chain, chain.send(raw))


class World:
    """A chain with a contract that has emitted something, and blocks with several transactions."""

    def __init__(self, anvil: Anvil) -> None:
        self.anvil = anvil
        self.account = anvil.account()
        self.chain = RpcChain(RpcClient(anvil.url), CHAIN_ID)
        created = transact(self.chain, self.account, None, Artifact.load("CheckpointAnchor").deployment())
        assert created.contract is not None
        self.contract = Contract(Artifact.load("CheckpointAnchor"), created.contract)
        self.origins = [f"log{number}.example" for number in range(3)]
        self.registered = [
            transact(self.chain, self.account, self.contract.address, self.register(origin)) for origin in self.origins
        ]
        anvil.rpc("evm_setAutomine", False)
        nonce = self.chain.nonce(self.account.address)
        for number in range(20):
            self.chain.send(
                self.account.sign_transaction(
                    Unsigned(
                        CHAIN_ID,
                        nonce + number,
                        GWEI,
                        100 * GWEI,
                        200_000,
                        self.contract.address,
                        0,
                        self.register(f"many{number}.example"),
                    )
                )
            )
        anvil.mine()
        anvil.rpc("evm_setAutomine", True)
        self.many = self.chain.head()
        assert len(self.many.transactions) == 20

    def register(self, origin: str) -> bytes:
        return self.contract.encode("register", origin, self.account.address)


@pytest.fixture(scope="module")
def world(shared_anvil: Anvil) -> Iterator[World]:
    made = World(shared_anvil)
    yield made
    made.chain.close()


@pytest.fixture
def node(world: World) -> Iterator[LyingNode]:
    """In front of the world's node."""
    made = LyingNode(world.anvil.url)
    yield made
    made.close()


@pytest.fixture
def lied(node: LyingNode) -> Iterator[RpcChain]:
    """The chain as `node` tells of it."""
    chain = RpcChain(RpcClient(node.url, timeout=5, sleep=lambda _: None), CHAIN_ID)
    yield chain
    chain.close()


# --- the truth ---


def test_blocks_hash_to_their_names(world: World) -> None:
    chain = world.chain
    for number in range(chain.head().number + 1):
        block = chain.block(number)
        assert block is not None
        assert chain.block(block.hash) == block
        header = chain.raw_header(block.hash)
        assert header is not None
        assert keccak(header) == block.hash
    assert chain.block(10**6) is None
    assert chain.block(b"\1" * 32) is None
    assert chain.raw_header(b"\1" * 32) is None


def test_state(world: World) -> None:
    chain, account = world.chain, world.account
    assert chain.chain_id == CHAIN_ID
    assert chain.balance(account.address) == int(world.anvil.rpc("eth_getBalance", str(account), "latest"), 16)
    assert chain.balance(b"\7" * 20) == 0
    assert chain.nonce(account.address) == chain.nonce(account.address, pending=True) == 24
    assert chain.nonce(account.address, block=1) == 1
    assert len(chain.code(world.contract.address)) == len(Artifact.load("CheckpointAnchor").deployed_bytecode)
    assert chain.code(account.address) == b""
    assert len(chain.storage(world.contract.address, 0)) == 32
    with pytest.raises(ChainError, match="BlockOutOfRange"):
        chain.balance(account.address, block=10**6)


def test_calls_and_their_refusals(world: World) -> None:
    chain, contract, account = world.chain, world.contract, world.account
    log_id = contract.decode(
        "register", chain.call(contract.address, world.register("new.example"), sender=account.address)
    )
    assert len(log_id) == 32
    with pytest.raises(Reverted) as caught:
        chain.call(contract.address, world.register("log0.example"), sender=account.address)
    assert caught.value.reason == contract.error(caught.value.data)
    assert "(" in caught.value.reason
    request = Request(contract.address, world.register("log0.example"), 0, account.address)
    with pytest.raises(Reverted) as again:
        chain.estimate_gas(request)
    assert again.value.data == caught.value.data
    assert 21_000 < chain.estimate_gas(Request(contract.address, world.register("x"), 0, account.address)) < 200_000
    assert (
        chain.estimate_gas(Request(b"\1" * 20, sender=account.address, access_list=((b"\2" * 20, (b"\3" * 32,)),)))
        > 21_000
    )


def test_fees(world: World) -> None:
    fees = world.chain.fees()
    assert fees.base > 0
    assert fees.tip > 0
    world.anvil.mine()
    assert world.chain.head().base_fee == fees.base


def test_transactions_and_receipts(world: World) -> None:
    receipt = world.registered[1]
    assert receipt.succeeded
    name, fields = world.contract.event(receipt.logs[0])
    assert (name, fields["owner"], fields["origin"]) == ("LogRegistered", world.account.address, world.origins[1])
    raw = world.chain.transaction(receipt.transaction)
    assert raw is not None
    assert keccak(raw) == receipt.transaction
    assert world.chain.send(raw) == receipt.transaction  # mined long ago: no error
    assert world.chain.transaction(b"\1" * 32) is None
    assert world.chain.receipt(b"\1" * 32) is None


def test_receipts_lead_to_the_root_and_the_trie_library_agrees(world: World) -> None:
    receipts = world.chain.receipts_of(world.many.hash)
    assert [one.transaction for one in receipts] == list(world.many.transactions)
    trie = HexaryTrie({})
    for index, receipt in enumerate(receipts):
        trie[rlp.encode(index)] = encode_receipt(receipt)
    assert trie.root_hash == world.many.receipts_root
    assert world.chain.receipts_of(b"\1" * 32) == []
    empty = world.chain.block(0)
    assert empty is not None
    assert world.chain.receipts_of(empty.hash) == []


def test_logs(world: World) -> None:
    chain, contract = world.chain, world.contract
    last = chain.head().number
    logs = chain.logs(first=0, last=last, addresses=[contract.address], topics=[contract.topic("LogRegistered")])
    assert len(logs) == 23
    assert [log.transaction for log in logs[:3]] == [one.transaction for one in world.registered]
    one = logs[1].topics[1]
    assert chain.logs(first=0, last=last, topics=[None, [one, b"\1" * 32]]) == [logs[1]]
    assert chain.logs(first=0, last=last, topics=[None, one]) == [logs[1]]
    assert chain.logs(first=0, last=last, addresses=[b"\1" * 20]) == []
    assert chain.logs(first=5, last=4) == []


def test_fifty_are_asked_at_once(node: LyingNode, lied: RpcChain, world: World) -> None:
    hashes = [*world.many.transactions] * 6
    assert [one and one.transaction for one in lied.receipts(hashes)] == hashes
    assert sorted(node.batches) == [1, 20, 50, 50]


# --- what a node says of a transaction ---


def _sent(world: World, **changes: Any) -> bytes:
    fields = {
        "chain_id": CHAIN_ID,
        "nonce": world.chain.nonce(world.account.address),
        "max_tip": 1,
        "max_fee": 100 * GWEI,
        "gas": 21_000,
        "to": b"\1" * 20,
    }
    return world.account.sign_transaction(Unsigned(**{**fields, **changes}))


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"nonce": 0}, NonceTaken),
        ({"max_fee": 1}, Underpriced),
        ({"value": 10**30}, OutOfFunds),
        ({"chain_id": 5}, WrongChain),
        ({"gas": 20_000}, TransactionRefused),
        ({"gas": 10**12}, ChainError),
    ],
    ids=["nonce", "fee", "funds", "chain", "intrinsic", "limit"],
)
def test_anvils_refusals(world: World, changes: dict[str, Any], error: type[ChainError]) -> None:
    before = world.chain.nonce(world.account.address)
    with pytest.raises(error):
        world.chain.send(_sent(world, **changes))
    assert world.chain.nonce(world.account.address, pending=True) == before


SAID = {
    "geth known": (-32000, "already known", None),
    "besu known": (-32000, "Known transaction", None),
    "nethermind known": (-32010, "AlreadyKnown", None),
    "geth nonce": (-32000, "nonce too low: next nonce 5, tx nonce 4", NonceTaken),
    "besu nonce": (-32001, "Nonce too low", NonceTaken),
    "nethermind nonce": (-32010, "OldNonce, Current nonce: 5", NonceTaken),
    "geth replace": (-32000, "replacement transaction underpriced", Underpriced),
    "besu replace": (-32000, "Replacement transaction underpriced", Underpriced),
    "geth pool": (-32000, "transaction underpriced: gas tip cap 1, minimum needed 100", Underpriced),
    "geth fee": (-32000, "max fee per gas less than block base fee: address 0x00", Underpriced),
    "besu price": (-32009, "Gas price below configured minimum gas price", Underpriced),
    "nethermind fee": (-32010, "FeeTooLow, MaxFeePerGas too low", Underpriced),
    "geth funds": (-32000, "insufficient funds for gas * price + value: balance 0, tx cost 1", OutOfFunds),
    "besu funds": (-32004, "Upfront cost exceeds account balance", OutOfFunds),
    "nethermind funds": (-32010, "InsufficientFunds, Account balance: 0", OutOfFunds),
    "geth chain": (-32000, "invalid chain id for signer: have 5 want 1", WrongChain),
    "besu chain": (-32000, "Wrong chainId", WrongChain),
    "geth gas": (-32000, "exceeds block gas limit", TransactionRefused),
    "besu permission": (-32007, "Sender account not authorized to send transactions", TransactionRefused),
    "geth cap": (-32000, "tx fee (2.10 ether) exceeds the configured cap (1.00 ether)", TransactionRefused),
    "geth type": (-32000, "unknown transaction type", TransactionRefused),
    "full": (-32000, "txpool is full", ChainError),
    "anything": (-32603, "Internal error", ChainError),
}


@pytest.mark.parametrize("case", SAID)
def test_what_nodes_say(world: World, node: LyingNode, lied: RpcChain, case: str) -> None:
    code, message, error = SAID[case]

    def say() -> None:
        raise Refuse(code, message)

    node.instead["eth_sendRawTransaction"] = say
    raw = _sent(world, to=keccak(case.encode())[:20])
    if error is None:
        assert lied.send(raw) == keccak(raw)
        return
    with pytest.raises(error) as caught:
        lied.send(raw)
    assert type(caught.value) is error
    assert node.asked.count("eth_sendRawTransaction") == 1


def test_besus_revert_and_others(node: LyingNode, lied: RpcChain) -> None:
    data = "0x08c379a0" + f"{32:064x}{2:064x}" + b"no".hex().ljust(64, "0")
    for code, message, value in (
        (-32000, "Execution reverted", data),
        (3, "execution reverted: no", data),
        (-32015, "VM execution error.", None),
        (-32015, "Reverted", "Reverted " + data),
        (-32000, "execution reverted", {"data": data}),
    ):

        def refuse(_: list[Any], __: Any, error: Refuse = Refuse(code, message, value)) -> Any:  # noqa: B008
            raise error

        node.lies["eth_call"] = refuse
        with pytest.raises(Reverted if value else ChainError) as caught:
            lied.call(b"\1" * 20, b"")
        if isinstance(caught.value, Reverted):
            assert caught.value.reason == '"no"'


# --- lies ---


def _set(**changes: Any) -> Callable[[list[Any], Any], Any]:
    def lie(_: list[Any], truth: Any) -> Any:
        return {**truth, **changes} if truth else truth

    return lie


def _change(change: Callable[[Any], None]) -> Callable[[list[Any], Any], Any]:
    def lie(_: list[Any], truth: Any) -> Any:
        told = copy.deepcopy(truth)
        change(told)
        return told

    return lie


OTHER = "0x" + "11" * 32
BLOCK_LIES: dict[str, dict[str, Any]] = {
    "hash": {"hash": OTHER},
    "parent": {"parentHash": OTHER},
    "receipts root": {"receiptsRoot": OTHER},
    "time": {"timestamp": "0x1"},
    "number": {"number": "0x1"},
    "gas": {"gasUsed": "0x1"},
    "extra": {"extraData": "0x00"},
    "base fee": {"baseFeePerGas": "0x1"},
    "no base fee": {"baseFeePerGas": None},
    "no requests": {"requestsHash": None},
    "short hash": {"hash": "0x11"},
    "number as a number": {"number": 3},
    "leading zero": {"number": "0x01"},
    "no hash": {"hash": None},
    "transactions": {"transactions": None},
    "objects": {"transactions": [{}]},
    "bloom": {"logsBloom": "0x00"},
    "huge": {"gasLimit": "0x" + "f" * 65},
    "text": {"gasLimit": "many"},
}


@pytest.mark.parametrize("case", BLOCK_LIES)
def test_a_false_block(node: LyingNode, lied: RpcChain, case: str) -> None:
    node.lies["eth_getBlockByNumber"] = _set(**BLOCK_LIES[case])
    with pytest.raises(ChainLied):
        lied.head()


def test_another_block_than_asked_for(world: World, node: LyingNode, lied: RpcChain) -> None:
    other = world.anvil.rpc("eth_getBlockByNumber", "0x1", False)
    node.lies["eth_getBlockByHash"] = node.lies["eth_getBlockByNumber"] = lambda *_: other
    with pytest.raises(ChainLied, match="another block"):
        lied.block(2)
    with pytest.raises(ChainLied, match="another block"):
        lied.block(world.many.hash)
    node.lies["eth_getBlockByNumber"] = lambda *_: None
    with pytest.raises(ChainLied, match="no newest block"):
        lied.head()
    shapes: list[Any] = [[], "0x", 1, True]
    for shape in shapes:
        node.lies["eth_getBlockByNumber"] = lambda *_, told=shape: told
        with pytest.raises(ChainLied, match="not an object"):
            lied.head()


def test_blocks_are_believed_where_the_user_says_so(world: World, node: LyingNode) -> None:
    chain = RpcChain(RpcClient(node.url), check_headers=False)
    node.lies["eth_getBlockByHash"] = _set(extraData="0x01")
    assert chain.block(world.many.hash) == world.many
    with pytest.raises(ChainError, match="otherwise"):
        chain.raw_header(world.many.hash)
    chain.close()


def test_istanbul_seals_are_left_out_of_the_hash(world: World, node: LyingNode, lied: RpcChain) -> None:
    """Besu's QBFT and IBFT 2.0: the fields that JSON tells do not hash to the name as they stand."""
    truth = world.anvil.rpc("eth_getBlockByNumber", "0x2", False)
    mix = "0x63746963616c2062797a616e74696e65206661756c7420746f6c6572616e6365"
    names = [name for name, _ in (*_HEADER, *_LATER)]
    numbers = {name for name, size in (*_HEADER, *_LATER) if size == 0}
    parts = [bytes(32), [bytes(20)], [], b""]
    for kept in ([*parts, []], parts):
        sealed = {**truth, "mixHash": mix, "extraData": format_data(rlp.encode([*parts, [b"\1" * 65]]))}
        hashed = {**sealed, "extraData": format_data(rlp.encode(kept))}
        items = [int(hashed[name], 16) if name in numbers else bytes.fromhex(hashed[name][2:]) for name in names]
        sealed["hash"] = format_data(keccak(rlp.encode(items)))
        node.lies["eth_getBlockByNumber"] = lambda *_, told=sealed: told
        assert format_data(lied.head().hash) == sealed["hash"]
        sealed["mixHash"] = OTHER
        with pytest.raises(ChainLied):
            lied.head()


RECEIPT_LIES: dict[str, Callable[[Any], None]] = {
    "another transaction": lambda told: told.update(transactionHash=OTHER),
    "another block": lambda told: told.update(blockHash=OTHER),
    "a log's block": lambda told: told["logs"][0].update(blockHash=OTHER),
    "a log's transaction": lambda told: told["logs"][0].update(transactionHash=OTHER),
    "a log's data": lambda told: told.update(logsBloom="0x" + "00" * 256),
    "an added log": lambda told: told["logs"].append({**told["logs"][0], "address": "0x" + "11" * 20}),
    "a dropped log": lambda told: told.update(logs=[]),
    "another address": lambda told: told["logs"][0].update(address="0x" + "11" * 20),
    "failed with logs": lambda told: told.update(status="0x0"),
    "status 2": lambda told: told.update(status="0x2"),
    "no status": lambda told: told.pop("status"),
    "no gas": lambda told: told.update(gasUsed="0x0"),
    "too much gas": lambda told: told.update(gasUsed="0xffffffff"),
    "five topics": lambda told: told["logs"][0].update(topics=[OTHER] * 5),
    "short topic": lambda told: told["logs"][0].update(topics=["0x11"]),
    "removed": lambda told: told["logs"][0].update(removed=True),
    "a text log": lambda told: told.update(logs=["0x"]),
    "creates nothing": lambda told: told.update(to=None),
    "short sender": lambda told: told.update({"from": "0x11"}),
}


@pytest.mark.parametrize("case", RECEIPT_LIES)
def test_a_false_receipt(world: World, node: LyingNode, lied: RpcChain, case: str) -> None:
    node.lies["eth_getTransactionReceipt"] = _change(RECEIPT_LIES[case])
    with pytest.raises(ChainLied):
        lied.receipt(world.registered[0].transaction)


ROOT_LIES: dict[str, Callable[[Any], Any]] = {
    "a status": lambda told: told[4].update(status="0x0", logs=[], logsBloom="0x" + "00" * 256),
    "log data": lambda told: told[4]["logs"][0].update(data="0x"),
    "gas": lambda told: told[19].update(cumulativeGasUsed=hex(int(told[19]["cumulativeGasUsed"], 16) + 1)),
    "type": lambda told: told[4].update(type="0x0"),
    "one missing": lambda told: told.pop(),
    "two swapped": lambda told: told.reverse(),
    "one twice": lambda told: told.append(told[3]),
    "another name": lambda told: (
        told[4].update(transactionHash=OTHER),
        told[4]["logs"][0].update(transactionHash=OTHER),
    ),
    "another block": lambda told: (told[4].update(blockHash=OTHER), told[4]["logs"][0].update(blockHash=OTHER)),
}


@pytest.mark.parametrize("case", ROOT_LIES)
def test_receipts_that_do_not_lead_to_the_root(world: World, node: LyingNode, lied: RpcChain, case: str) -> None:
    node.lies["eth_getBlockReceipts"] = _change(ROOT_LIES[case])
    with pytest.raises(ChainLied):
        lied.receipts_of(world.many.hash)


def test_receipts_one_by_one_where_the_node_cannot_give_a_blocks(world: World, node: LyingNode, lied: RpcChain) -> None:
    def missing(*_: Any) -> Any:
        raise Refuse(-32601, "the method eth_getBlockReceipts does not exist")

    node.lies["eth_getBlockReceipts"] = missing
    assert lied.receipts_of(world.many.hash) == world.chain.receipts_of(world.many.hash)
    node.lies["eth_getTransactionReceipt"] = _set(status="0x0", logs=[], logsBloom="0x" + "00" * 256)
    with pytest.raises(ChainLied, match="receipts root"):
        lied.receipts_of(world.many.hash)


def test_a_false_transaction(world: World, node: LyingNode, lied: RpcChain) -> None:
    named = world.registered[0].transaction
    raw = world.chain.transaction(named)
    assert raw is not None
    node.lies["eth_getRawTransactionByHash"] = lambda *_: format_data(raw[:-1] + b"\0")
    with pytest.raises(ChainLied, match="another transaction"):
        lied.transaction(named)

    def missing(*_: Any) -> Any:
        raise Refuse(-32601, "Method not found")

    node.lies["eth_getRawTransactionByHash"] = missing
    assert lied.transaction(named) == raw  # put together from its fields
    node.lies["eth_getTransactionByHash"] = _set(value="0x1")
    with pytest.raises(ChainLied, match="not the one"):
        lied.transaction(named)
    node.lies["eth_sendRawTransaction"] = lambda *_: OTHER
    with pytest.raises(ChainLied, match="another hash"):
        lied.send(_sent(world))


LOG_LIES: dict[str, Callable[[Any], Any]] = {
    "another address": lambda told: told[0].update(address="0x" + "11" * 20),
    "another topic": lambda told: told[0]["topics"].__setitem__(0, OTHER),
    "no topics": lambda told: told[0].update(topics=[]),
    "beyond the range": lambda told: told[-1].update(blockNumber="0xfffff"),
    "out of order": lambda told: told.reverse(),
    "twice": lambda told: told.append(told[-1]),
    "two blocks of one number": lambda told: told[-1].update(blockHash=OTHER),
    "pending": lambda told: told[0].update(blockHash=None),
}


@pytest.mark.parametrize("case", LOG_LIES)
def test_false_logs(world: World, node: LyingNode, lied: RpcChain, case: str) -> None:
    node.lies["eth_getLogs"] = _change(LOG_LIES[case])
    topics = [world.contract.topic("LogRegistered")]
    with pytest.raises(ChainLied):
        lied.logs(first=0, last=world.many.number, addresses=[world.contract.address], topics=topics)


@pytest.mark.parametrize("message", ["query returned more than 10000 results", "block range is too large"])
def test_logs_are_asked_for_in_parts(world: World, node: LyingNode, lied: RpcChain, message: str) -> None:
    def bounded(parameters: list[Any], truth: Any) -> Any:
        if int(parameters[0]["toBlock"], 16) - int(parameters[0]["fromBlock"], 16) > 1:
            raise Refuse(-32602, message)
        return truth

    node.lies["eth_getLogs"] = bounded
    found = lied.logs(first=0, last=world.many.number)
    assert found == world.chain.logs(first=0, last=world.many.number)
    assert len(found) == 23

    def never(*_: Any) -> Any:
        raise Refuse(-32602, message)

    node.lies["eth_getLogs"] = never
    with pytest.raises(ChainError, match=message):
        lied.logs(first=0, last=world.many.number)


@pytest.mark.parametrize(
    ("method", "told"),
    [
        ("eth_getBalance", "1"),
        ("eth_getTransactionCount", "0x1ffffffffffffffff"),
        ("eth_getCode", "0x1"),
        ("eth_chainId", None),
        ("eth_call", {}),
        ("eth_estimateGas", "0x"),
        ("eth_feeHistory", []),
        ("eth_feeHistory", {"baseFeePerGas": []}),
        ("eth_maxPriorityFeePerGas", -1),
        ("eth_getStorageAt", "0x00"),
    ],
    ids=["balance", "nonce", "code", "chain id", "call", "estimate", "history", "base fees", "tip", "storage"],
)
def test_answers_of_a_wrong_form(node: LyingNode, lied: RpcChain, method: str, told: Any) -> None:
    node.lies[method] = lambda *_: told
    asks: dict[str, Callable[[], Any]] = {
        "eth_getBalance": lambda: lied.balance(b"\1" * 20),
        "eth_getTransactionCount": lambda: lied.nonce(b"\1" * 20),
        "eth_getCode": lambda: lied.code(b"\1" * 20),
        "eth_chainId": lambda: lied.chain_id,
        "eth_call": lambda: lied.call(b"\1" * 20, b""),
        "eth_estimateGas": lambda: lied.estimate_gas(Request(b"\1" * 20)),
        "eth_feeHistory": lied.fees,
        "eth_maxPriorityFeePerGas": lied.fees,
        "eth_getStorageAt": lambda: lied.storage(b"\1" * 20, 0),
    }
    with pytest.raises(ChainLied):
        asks[method]()


def test_fees_of_nodes_that_know_less(node: LyingNode, lied: RpcChain) -> None:
    def missing(*_: Any) -> Any:
        raise Refuse(-32601, "Method not found")

    node.lies["eth_maxPriorityFeePerGas"] = missing
    node.lies["eth_gasPrice"] = lambda *_: hex(5 * GWEI)
    fees = lied.fees()
    assert fees.base + fees.tip == 5 * GWEI
    node.lies["eth_feeHistory"] = missing
    assert lied.fees().base == 0
    node.lies["eth_gasPrice"] = missing
    with pytest.raises(ChainError, match="eth_gasPrice"):
        lied.fees()


# --- which chain ---


def test_another_chain_is_refused_before_anything_is_sent(world: World, node: LyingNode) -> None:
    chain = RpcChain(RpcClient(node.url), 5)
    with pytest.raises(WrongChain, match="serves chain 31337, not 5"):
        chain.send(_sent(world))
    with pytest.raises(WrongChain):
        chain.balance(b"\1" * 20)
    with pytest.raises(WrongChain):
        _ = chain.chain_id
    assert "eth_sendRawTransaction" not in node.asked
    chain.close()


def test_a_node_that_changes_its_chain_is_found_out(world: World, node: LyingNode, lied: RpcChain) -> None:
    assert lied.head().number > 0
    node.lies["eth_chainId"] = lambda *_: "0x5"

    def drop(_: Any) -> None:
        node.whole = None
        raise Lost

    node.whole = drop  # the connection is lost, and behind the next one is another chain
    with pytest.raises(WrongChain):
        lied.head()
    with pytest.raises(WrongChain):
        lied.send(_sent(world))
    assert "eth_sendRawTransaction" not in node.asked
    node.lies.clear()
    assert lied.head().number > 0


def test_a_chain_id_may_be_taken_from_the_network(node: LyingNode) -> None:
    chain = RpcChain(RpcClient(node.url))
    assert chain.chain_id == CHAIN_ID
    assert chain.chain_id == CHAIN_ID
    assert node.asked == ["eth_chainId"]
    chain.close()


# --- the way there ---


def test_a_node_that_hangs() -> None:
    node = LyingNode()

    def hang(_: Any) -> None:
        raise Hang

    node.whole = hang
    chain = RpcChain(RpcClient(node.url, timeout=0.05, sleep=lambda _: None), CHAIN_ID)
    with pytest.raises(ChainUnreachable, match="does not answer in time"):
        chain.head()
    assert len(node.batches) == MAX_ATTEMPTS
    chain.close()
    node.close()


def test_a_node_that_drips(node: LyingNode) -> None:
    times = iter(range(0, 10_000, 10))
    client = RpcClient(node.url, timeout=15, monotonic=lambda: float(next(times)), sleep=lambda _: None)

    def long(_: Any) -> None:
        raise Raw(200, b" " * (1 << 21))

    node.whole = long
    with pytest.raises(ChainUnreachable, match="does not end its answer in time"):
        client.call("eth_chainId", [])
    client.close()


def test_nobody_there() -> None:
    node = LyingNode()
    url = node.url
    node.close()
    client = RpcClient(f"http://user:secret@{url[7:]}/key-abc?token=def", sleep=lambda _: None)
    with pytest.raises(ChainUnreachable) as caught:
        client.call("eth_chainId", [])
    shown = str(caught.value)
    assert url[7:] in shown
    assert all(word not in shown for word in ("user", "secret", "key-abc", "def"))
    assert caught.value.__suppress_context__
    client.close()


def test_credentials_are_sent_and_not_shown(node: LyingNode) -> None:
    client = RpcClient(f"http://user:pa%20ss@{node.url[7:]}/v3/key")
    assert client.call("eth_chainId", []) == hex(CHAIN_ID)
    assert client.host == node.url[7:]

    def refuse(_: Any) -> None:
        raise Raw(401, b"")

    node.whole = refuse
    with pytest.raises(ChainUnreachable, match="refuses the credentials") as caught:
        client.call("eth_chainId", [])
    assert "key" not in str(caught.value)
    client.close()


@pytest.mark.parametrize(
    "url",
    ["", "node.example", "ftp://x", "http://", "http://x:99999", "ws://x", "http://x/#y", "http://[x"],
    ids=["none", "bare", "ftp", "no host", "port", "ws", "fragment", "bracket"],
)
def test_wrong_urls(url: str) -> None:
    with pytest.raises(ConfigError):
        RpcClient(url)


def _raiser(problem: Exception) -> Callable[[Any], None]:
    def act(_: Any) -> None:
        raise problem

    return act


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"<html>", ChainUnreachable),
        (b"", ChainUnreachable),
        (b"[" * 9000, ChainUnreachable),
        (b"NaN", ChainUnreachable),
        (b"\xff", ChainUnreachable),
        (b"[]", ChainLied),
        (b"{}", ChainLied),
        (b"1", ChainLied),
        (b'{"jsonrpc":"2.0","id":77,"result":"0x1"}', ChainLied),
        (b'{"jsonrpc":"1.0","id":1,"result":"0x1"}', ChainLied),
        (b'{"jsonrpc":"2.0","id":true,"result":"0x1"}', ChainLied),
        (b'{"jsonrpc":"2.0","id":1}', ChainLied),
        (b'{"jsonrpc":"2.0","id":1,"result":1,"error":{}}', ChainLied),
        (b'{"jsonrpc":"2.0","id":1,"error":"x"}', ChainLied),
        (b'{"jsonrpc":"2.0","id":1,"error":{"code":"1","message":""}}', ChainLied),
    ],
    ids=[
        "html",
        "empty",
        "deep",
        "NaN",
        "latin",
        "list",
        "object",
        "number",
        "id",
        "version",
        "bool",
        "neither",
        "both",
        "error",
        "code",
    ],
)
def test_answers_that_are_no_json_rpc(node: LyingNode, body: bytes, error: type[ChainError]) -> None:
    client = RpcClient(node.url, sleep=lambda _: None)
    node.whole = _raiser(Raw(200, body))
    with pytest.raises(error) as caught:
        client.call("eth_chainId", [])
    assert type(caught.value) is error
    client.close()


@pytest.mark.parametrize("change", ["twice", "missing", "extra", "shuffled"])
def test_batches(node: LyingNode, change: str) -> None:
    client = RpcClient(node.url, sleep=lambda _: None)

    def answer(body: Any) -> None:
        told = [{"jsonrpc": "2.0", "id": call["id"], "result": call["params"][0]} for call in body]
        told = {"twice": told[:-1] + told[:1], "missing": told[:-1], "extra": [*told, told[0]], "shuffled": told[::-1]}[
            change
        ]
        raise Raw(200, json.dumps(told).encode())

    node.whole = answer
    calls = [("echo", [number]) for number in range(5)]
    if change == "shuffled":
        assert client.batch(calls) == [0, 1, 2, 3, 4]
    else:
        with pytest.raises(ChainLied):
            client.batch(calls)
    assert client.batch([]) == []
    client.close()


@pytest.mark.parametrize(
    "refusal",
    [
        Raw(413, b""),
        Raw(400, b"no batches"),
        Raw(200, b'{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"batch too large"}}'),
    ],
    ids=["413", "400", "error"],
)
def test_a_batch_that_is_refused_is_split(node: LyingNode, refusal: Raw) -> None:
    client = RpcClient(node.url, sleep=lambda _: None)

    def limit(body: Any) -> None:
        if isinstance(body, list) and len(body) > 7:
            raise refusal

    node.whole = limit
    assert client.batch([("eth_chainId", [])] * 100) == [hex(CHAIN_ID)] * 100
    assert node.batches[:4] == [50, 25, 12, 6]
    node.whole = lambda body: limit([0] * 8) if isinstance(body, list) else None
    assert client.batch([("eth_chainId", [])] * 3) == [hex(CHAIN_ID)] * 3
    assert node.batches[-3:] == [1, 1, 1]
    client.close()


@pytest.mark.parametrize(
    "problem",
    [Raw(429, b"", {"retry-after": "3"}), Raw(503, b""), Raw(500, b"x"), Lost()],
    ids=["429", "503", "500", "lost"],
)
def test_reads_are_tried_again_and_sends_are_not(world: World, node: LyingNode, problem: Exception) -> None:
    pauses: list[float] = []
    chain = RpcChain(RpcClient(node.url, sleep=pauses.append), CHAIN_ID)
    assert chain.chain_id == CHAIN_ID
    left = [MAX_ATTEMPTS - 1]

    def sometimes(_: Any) -> None:
        if left[0]:
            left[0] -= 1
            raise problem

    node.whole = sometimes
    assert chain.head().number > 0
    assert pauses == ([3.0, 3.0] if getattr(problem, "headers", None) else [0.5, 1.0])
    left[0] = 99
    with pytest.raises(ChainUnreachable):
        chain.head()
    node.whole = None
    node.instead["eth_sendRawTransaction"] = lambda: _raiser(problem)(None)
    with pytest.raises(ChainUnreachable):
        chain.send(_sent(world))
    assert node.asked.count("eth_sendRawTransaction") == 1
    chain.close()


def test_the_nodes_wish_is_bounded(node: LyingNode) -> None:
    for wish, pause in (("999999", 10.0), ("soon", 0.5), ("-1", 0.5)):
        pauses: list[float] = []
        client = RpcClient(node.url, sleep=pauses.append)
        node.whole = _raiser(Raw(429, b"", {"retry-after": wish}))
        with pytest.raises(ChainUnreachable):
            client.call("eth_chainId", [])
        assert pauses[0] == pause
        client.close()


def test_busy_by_json_rpc(node: LyingNode, lied: RpcChain) -> None:
    left = [1]

    def busy(_: list[Any], truth: Any) -> Any:
        if left[0]:
            left[0] -= 1
            raise Refuse(-32005, "limit exceeded")
        return truth

    node.lies["eth_getBalance"] = busy
    assert lied.balance(b"\7" * 20) == 0


def test_an_answer_is_bounded(node: LyingNode) -> None:
    client = RpcClient(node.url, max_answer=1000)
    node.whole = _raiser(Raw(200, b" " * 1001))
    with pytest.raises(AnswerTooLarge, match="over 1000 bytes"):
        client.call("eth_chainId", [])
    assert len(node.batches) == 1
    client.close()
