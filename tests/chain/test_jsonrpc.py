"""JSON-RPC over an embedded chain: shapes, refusals, hostile bytes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import rlp as foreign_rlp  # type: ignore[import-untyped]
from eth_hash.auto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.chain.embedded_rig import ADDRESSES, CHAIN_ID, FUNDS, GWEI, READ, REFUSE, STORE, Rig, signed, words
from twinproof.chain.json_methods import MAX_RANGE, METHODS
from twinproof.chain.jsonrpc import MAX_BATCH, MAX_REQUEST, answer

SOMEBODY = "0x" + "42" * 20


class Client:
    """Asks a chain through bytes."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig

    def raw(self, body: bytes) -> Any:
        found = answer(self.rig.chain, body)
        return None if found is None else json.loads(found)

    def whole(self, method: str, *params: object) -> dict[str, Any]:
        found = self.raw(json.dumps({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}).encode())
        assert isinstance(found, dict)
        assert found["id"] == 7
        return found

    def ask(self, method: str, *params: object) -> Any:
        found = self.whole(method, *params)
        assert "result" in found, found
        return found["result"]

    def error(self, method: str, *params: object) -> tuple[int, str]:
        found = self.whole(method, *params)
        return found["error"]["code"], found["error"]["message"]


@pytest.fixture(scope="module")
def client() -> Client:
    rig = Rig()
    store = rig.deploy(STORE)
    for number in range(3):
        rig.send(to=store, data=words(number, 100 + number), maxPriorityFeePerGas=number)
    rig.deploy(READ)
    rig.deploy(REFUSE)
    rig.send(to=bytes.fromhex("42" * 20), value=5, gasPrice=2 * GWEI)
    rig.send(
        to=store,
        data=words(9, 9),
        type="0x1",
        gasPrice=2 * GWEI,
        accessList=[(store, [words(9)])],
    )
    return Client(rig)


def contracts(client: Client) -> list[str]:
    receipts = [r for n in range(1, 8) for r in client.ask("eth_getBlockReceipts", hex(n))]
    return [receipt["contractAddress"] for receipt in receipts if receipt["contractAddress"]]


def test_plain_answers(client: Client) -> None:
    assert client.ask("eth_chainId") == hex(CHAIN_ID)
    assert client.ask("net_version") == str(CHAIN_ID)
    assert client.ask("eth_blockNumber") == "0x8"
    assert client.ask("eth_syncing") is False
    assert client.ask("net_listening") is True
    assert client.ask("eth_accounts") == []
    assert client.ask("web3_clientVersion").startswith("twinproof/")
    assert int(client.ask("eth_gasPrice"), 16) == client.rig.chain.fees().base
    assert client.ask("eth_maxPriorityFeePerGas") == "0x0"


def test_blocks(client: Client) -> None:
    block = client.ask("eth_getBlockByNumber", "0x2", False)
    assert client.ask("eth_getBlockByHash", block["hash"], False) == block
    header = foreign_rlp.decode(bytes.fromhex(client.ask("debug_getRawHeader", "0x2")[2:]))
    assert "0x" + keccak(foreign_rlp.encode(header)).hex() == block["hash"]
    raw = bytes.fromhex(client.ask("eth_getRawTransactionByHash", block["transactions"][0])[2:])
    assert int(block["size"], 16) == len(foreign_rlp.encode([header, [raw], [], []]))
    full = client.ask("eth_getBlockByNumber", "0x2", True)
    assert full["transactions"] == [client.ask("eth_getTransactionByHash", block["transactions"][0])]
    for tag in ("latest", "pending", "safe", "finalized"):
        assert client.ask("eth_getBlockByNumber", tag, False)["number"] == "0x8"
    genesis = client.ask("eth_getBlockByNumber", "earliest", True)
    assert (genesis["number"], genesis["transactions"]) == ("0x0", [])
    assert client.ask("eth_getBlockByNumber", "0x99", False) is None
    assert client.ask("eth_getBlockByHash", "0x" + "11" * 32, True) is None
    assert client.ask("eth_getBlockReceipts", "0x99") is None


def test_legacy_size(client: Client) -> None:
    block = client.ask("eth_getBlockByNumber", "0x7", False)
    header = foreign_rlp.decode(bytes.fromhex(client.ask("debug_getRawHeader", "0x7")[2:]))
    raw = bytes.fromhex(client.ask("debug_getRawTransaction", block["transactions"][0])[2:])
    assert int(block["size"], 16) == len(foreign_rlp.encode([header, [foreign_rlp.decode(raw)], [], []]))


def test_transactions_and_receipts(client: Client) -> None:
    kinds = []
    for number in (2, 7, 8):
        (digest,) = client.ask("eth_getBlockByNumber", hex(number), False)["transactions"]
        transaction = client.ask("eth_getTransactionByHash", digest)
        receipt = client.ask("eth_getTransactionReceipt", digest)
        assert receipt == client.ask("eth_getBlockReceipts", receipt["blockHash"])[0]
        assert transaction["gasPrice"] == receipt["effectiveGasPrice"]
        assert transaction["from"] == receipt["from"] == "0x" + ADDRESSES[0].hex()
        assert ("maxFeePerGas" in transaction) == (number == 2)
        assert ("accessList" in transaction) == (number != 7)
        kinds.append(receipt["type"])
    assert kinds == ["0x2", "0x0", "0x1"]
    assert client.ask("eth_getTransactionByHash", "0x" + "11" * 32) is None
    assert client.ask("eth_getTransactionReceipt", "0x" + "11" * 32) is None
    assert client.ask("eth_getRawTransactionByHash", "0x" + "11" * 32) is None
    raw = client.ask("debug_getRawReceipts", "0x8")
    assert raw[0].startswith("0x01")


def test_state(client: Client) -> None:
    store = contracts(client)[0]
    assert client.ask("eth_getBalance", "0x" + ADDRESSES[1].hex(), "latest") == hex(FUNDS)
    assert client.ask("eth_getBalance", SOMEBODY, "0x6") == "0x0"
    assert client.ask("eth_getBalance", SOMEBODY, "0x7") == "0x5"
    block = client.ask("eth_getBlockByNumber", "0x7", False)["hash"]
    assert client.ask("eth_getBalance", SOMEBODY, {"blockHash": block, "requireCanonical": True}) == "0x5"
    assert client.ask("eth_getBalance", SOMEBODY, {"blockNumber": "0x6"}) == "0x0"
    assert client.ask("eth_getCode", store) == "0x" + STORE.hex()
    assert client.ask("eth_getCode", SOMEBODY) == "0x"
    for slot in ("0x1", "0x" + words(1).hex()):
        assert client.ask("eth_getStorageAt", store, slot, "latest") == "0x" + words(101).hex()
    assert client.ask("eth_getTransactionCount", "0x" + ADDRESSES[0].hex(), "pending") == "0x8"
    assert client.error("eth_getBalance", SOMEBODY, "0x99")[0] == -32000


def test_calls_and_estimates(client: Client) -> None:
    store, read, refuse = contracts(client)
    assert client.ask("eth_call", {"to": read, "data": "0x" + words(0).hex()}, "latest") == "0x" + words(0).hex()
    gas = client.ask(
        "eth_estimateGas", {"from": "0x" + ADDRESSES[0].hex(), "to": store, "input": "0x" + words(5, 5).hex()}
    )
    assert 40_000 < int(gas, 16) < 60_000
    for method in ("eth_call", "eth_estimateGas"):
        error = client.whole(method, {"to": refuse, "data": "0xdeadbeef"})["error"]
        assert (error["code"], error["data"]) == (3, "0xdeadbeef")
        assert error["message"].startswith("execution reverted")


def test_logs(client: Client) -> None:
    store = contracts(client)[0]
    everything = client.ask("eth_getLogs", {"fromBlock": "earliest", "toBlock": "latest"})
    assert len(everything) == 4
    topic = "0x" + words(1).hex()
    (log,) = client.ask("eth_getLogs", {"fromBlock": "0x0", "address": store, "topics": [[topic]]})
    assert log["data"] == "0x" + words(101).hex()
    assert client.ask("eth_getLogs", {"blockHash": log["blockHash"], "topics": [None]}) == [log]
    assert client.ask("eth_getLogs", {"fromBlock": "0x0", "address": [SOMEBODY]}) == []
    assert client.ask("eth_getLogs", {"fromBlock": "0x0", "topics": [[]]}) == everything
    assert client.ask("eth_getLogs", {"fromBlock": "0x50", "toBlock": "0x60"}) == []
    assert len(client.ask("eth_getLogs", {"fromBlock": "0x0", "toBlock": hex(MAX_RANGE * 10)})) == 4
    assert client.error("eth_getLogs", {"blockHash": "0x" + "11" * 32})[0] == -32000
    assert client.error("eth_getLogs", {"blockHash": log["blockHash"], "fromBlock": "0x0"})[0] == -32602


def test_fee_history(client: Client) -> None:
    found = client.ask("eth_feeHistory", "0x3", "0x4", [0, 50, 100])
    assert found["oldestBlock"] == "0x2"
    assert found["reward"] == [["0x0"] * 3, ["0x1"] * 3, ["0x2"] * 3]
    assert found["baseFeePerGas"] == [
        client.ask("eth_getBlockByNumber", hex(n), False)["baseFeePerGas"] for n in (2, 3, 4, 5)
    ]
    newest = client.ask("eth_feeHistory", 1000, "latest", [])
    assert "reward" not in newest
    assert len(newest["gasUsedRatio"]) == 9
    assert int(newest["baseFeePerGas"][-1], 16) == client.rig.chain.fees().base
    for params in ((0, "latest", []), (5, "latest", [50, 10]), (5, "latest", [101]), (5, "latest", ["1"])):
        assert client.error("eth_feeHistory", *params)[0] == -32602


def test_sending_says_what_other_nodes_say() -> None:
    rig = Rig()
    client = Client(rig)

    def send(raw: bytes) -> dict[str, Any]:
        return client.whole("eth_sendRawTransaction", "0x" + raw.hex())

    first = signed(0, 0, to=ADDRESSES[1], value=1)
    assert send(first)["result"] == "0x" + keccak(first).hex() == send(first)["result"]
    for raw, code, said, name in (
        (signed(0, 0, to=ADDRESSES[1]), -32000, "nonce too low", "nonce-taken"),
        (signed(0, 9, to=ADDRESSES[1]), -32000, "nonce too high", "transaction-refused"),
        (signed(0, 1, to=ADDRESSES[1], maxFeePerGas=1), -32000, "max fee per gas less than", "underpriced"),
        (signed(0, 1, to=ADDRESSES[1], value=FUNDS), -32000, "insufficient funds", "out-of-funds"),
        (signed(0, 1, to=ADDRESSES[1], chainId=5), -32000, "invalid chain id", "wrong-chain"),
        (signed(0, 1, to=ADDRESSES[1], gas=5), -32000, "intrinsic gas too low", "transaction-refused"),
        (b"\x03\xc0", -32000, "transaction type not supported", "transaction-refused"),
    ):
        error = send(raw)["error"]
        assert (error["code"], error["data"]) == (code, {"code": name})
        assert error["message"].startswith(said)
    assert send(b"\x02junk")["error"]["code"] == -32602
    assert send(b"")["error"]["code"] == -32602


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", -32700),
        (b"{", -32700),
        (b"\xff", -32700),
        (b'{"jsonrpc":"2.0","id":1,"id":1,"method":"eth_chainId"}', -32700),
        (b'{"jsonrpc":"2.0","id":NaN,"method":"eth_chainId"}', -32700),
        (b"[" * 100_000, -32700),
        (b'{"jsonrpc":"2.0","id":' + b"9" * 5000 + b',"method":"eth_chainId"}', -32700),
        (b" " * (MAX_REQUEST + 1), -32700),
        (b"1", -32600),
        (b"null", -32600),
        (b"[]", -32600),
        (b"[" + b",".join([b"1"] * (MAX_BATCH + 1)) + b"]", -32600),
        (b'{"jsonrpc":"1.0","id":1,"method":"eth_chainId"}', -32600),
        (b'{"jsonrpc":"2.0","id":true,"method":"eth_chainId"}', -32600),
        (b'{"jsonrpc":"2.0","id":{},"method":"eth_chainId"}', -32600),
        (b'{"jsonrpc":"2.0","id":1e999,"method":"eth_chainId"}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":1}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":1}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"eth_mine"}', -32601),
        (b'{"jsonrpc":"2.0","id":1,"method":"__class__"}', -32601),
        (b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":{}}', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[1]}', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":[]}', -32602),
    ],
    ids=[
        "empty", "cut", "no-utf8", "twins", "nan", "deep", "digits", "size", "number", "null", "no-batch", "batch",
        "version", "id-bool", "id-object", "id-infinite", "method", "params", "unknown", "dunder", "named", "many",
        "few",
    ],
)  # fmt: skip
def test_bad_requests(client: Client, body: bytes, code: int) -> None:
    assert client.raw(body)["error"]["code"] == code


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("eth_getBalance", ["0x12", "latest"]),
        ("eth_getBalance", [SOMEBODY, "newest"]),
        ("eth_getBalance", [SOMEBODY, "0x01"]),
        ("eth_getBalance", [SOMEBODY, 1]),
        ("eth_getBalance", [SOMEBODY, {}]),
        ("eth_getBalance", [SOMEBODY, {"blockNumber": "0x1", "blockHash": "0x1"}]),
        ("eth_getBalance", [SOMEBODY, ["latest"]]),
        ("eth_getStorageAt", [SOMEBODY, "-0x1", "latest"]),
        ("eth_getBlockByNumber", ["latest", 1]),
        ("eth_getTransactionByHash", ["0x" + "1" * 63]),
        ("eth_call", [{}, "latest"]),
        ("eth_call", [{"to": SOMEBODY, "gasLimit": "0x5"}, "latest"]),
        ("eth_call", [{"to": SOMEBODY, "data": "0x1"}, "latest"]),
        ("eth_call", [{"to": SOMEBODY, "data": "0x11", "input": "0x22"}, "latest"]),
        ("eth_call", [{"to": SOMEBODY, "value": "1_0"}, "latest"]),
        ("eth_call", [{"to": SOMEBODY, "accessList": [1]}, "latest"]),
        ("eth_estimateGas", [{"to": SOMEBODY}, "0x1"]),
        ("eth_getLogs", [{"topics": [1]}]),
        ("eth_getLogs", [{"topics": [None] * 5}]),
        ("eth_getLogs", [{"addresses": []}]),
        ("eth_getLogs", [[]]),
    ],
)
def test_bad_parameters(client: Client, method: str, params: list[object]) -> None:
    assert client.error(method, *params)[0] == -32602


def test_a_filter_has_limits(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twinproof.chain.json_methods.MAX_LOGS", 3)
    monkeypatch.setattr("twinproof.chain.json_methods.MAX_RANGE", 8)
    assert "more than 3 logs" in client.error("eth_getLogs", {"fromBlock": "0x1"})[1]
    assert "9 blocks" in client.error("eth_getLogs", {"fromBlock": "0x0"})[1]
    topic = "0x" + words(1).hex()
    assert client.error("eth_getLogs", {"fromBlock": "0x0", "topics": [[topic] * 1001]})[0] == -32602
    assert client.error("eth_getLogs", {"fromBlock": "0x0", "address": [SOMEBODY] * 1001})[0] == -32602


def test_a_batch_stops_where_its_answer_is_full(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twinproof.chain.jsonrpc.MAX_ANSWER", 100)
    asked = [{"jsonrpc": "2.0", "id": n, "method": "eth_chainId"} for n in range(4)]
    found = client.raw(json.dumps(asked).encode())
    assert [entry.get("error", {}).get("code") for entry in found] == [None, None, None, -32005]
    assert [entry["id"] for entry in found] == [0, 1, 2, 3]


def test_batches_and_notifications(client: Client) -> None:
    one = {"jsonrpc": "2.0", "id": "a", "method": "eth_chainId"}
    quiet = {"jsonrpc": "2.0", "method": "eth_chainId"}
    assert client.raw(json.dumps(quiet).encode()) is None
    assert client.raw(json.dumps([quiet, quiet]).encode()) is None
    found = client.raw(json.dumps([one, quiet, 5, {**one, "id": None}, {**one, "id": 2, "method": "x"}]).encode())
    assert [(entry["id"], entry.get("result"), entry.get("error", {}).get("code")) for entry in found] == [
        ("a", hex(CHAIN_ID), None),
        (None, None, -32600),
        (None, hex(CHAIN_ID), None),
        (2, None, -32601),
    ]


def test_every_method_is_documented() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "embedded-chain.md"
    table = page.read_text().partition("| methods |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`((?:eth|net|web3|debug)_\w+)`", table)) == set(METHODS)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=70)
    | st.sampled_from(["latest", "0x1", "0x", SOMEBODY, "0x" + "11" * 32]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.sampled_from(["to", "from", "data", "value", "topics", "blockHash"]), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip


@given(method=st.sampled_from(sorted(METHODS)), params=st.lists(_JSON, max_size=3))
@settings(max_examples=300)
def test_no_parameter_is_a_defect(client: Client, method: str, params: list[object]) -> None:
    found = client.whole(method, *params)
    assert ("result" in found) != ("error" in found)
    assert found.get("error", {}).get("code") != -32603


@given(body=st.binary(max_size=200) | st.text().map(str.encode))
def test_no_bytes_are_a_defect(client: Client, body: bytes) -> None:
    found = client.raw(body)
    assert found is None or "error" in found
