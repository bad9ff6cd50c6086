"""The same signed transactions through the embedded chain and through anvil (revm): gas, status, logs, state, roots."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from random import Random
from typing import Any

import pytest

from tests.chain.anvil import Anvil
from tests.chain.embedded_rig import (
    ADDRESSES,
    BURN,
    CHAIN_ID,
    DEEP,
    DIE,
    FAIL,
    FUNDS,
    GWEI,
    P256,
    READ,
    REFUSE,
    SEEN,
    SHA_LOOP,
    STORE,
    Rig,
    asm,
    deploying,
    signed,
    words,
)
from twinproof.chain.jsonrpc import answer
from twinproof.proof.keys import P256_ORDER, PrivateKey

SOMEBODY = b"\x42" * 20
FACTORY = asm("CALLDATASIZE PUSH0 PUSH0 CALLDATACOPY 0x07 CALLDATASIZE PUSH0 PUSH0 CREATE2 PUSH0 SSTORE")
"""Creates a contract of the init code that it is given, at an address by content."""
COPY = asm(
    "CALLDATASIZE PUSH0 PUSH0 CALLDATACOPY 0x40 PUSH0 0x40 MCOPY 0x40 0x20 MSTORE 0x80 PUSH0 KECCAK256 PUSH0 SSTORE"
)
BALANCES = asm("PUSH0 CALLDATALOAD BALANCE PUSH0 SSTORE PUSH0 SLOAD 0x01 SSTORE")
ANSWER = asm("CALLDATASIZE PUSH0 PUSH0 CALLDATACOPY CALLDATASIZE PUSH0 RETURN")
TOUCHED = (
    "status",
    "gasUsed",
    "cumulativeGasUsed",
    "contractAddress",
    "effectiveGasPrice",
    "type",
    "logsBloom",
    "to",
    "from",
)


class Pair:
    """Both chains; every transaction goes to both, at the same time, and is compared."""

    def __init__(self) -> None:
        self.rig = Rig()
        options = ("--gas-limit", "30000000", "--block-base-fee-per-gas", str(self.rig.chain.fees().base))
        # Its own contract that everybody may have is left out, so that the state differs as little as may be.
        self.anvil = Anvil(chain_id=CHAIN_ID, options=(*options, "--disable-default-create2-deployer"))
        for address in ADDRESSES:
            self.anvil.fund(address, FUNDS)
        # anvil's clock stands at the present, and only moves on.
        self.rig.clock.time = int(self.anvil.rpc("eth_getBlockByNumber", "latest", False)["timestamp"], 16) + 10
        self.nonces = [0] * len(ADDRESSES)

    def ours(self, method: str, *params: object) -> Any:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        found = json.loads(answer(self.rig.chain, body) or b"null")
        assert "result" in found, found
        return found["result"]

    def both(self, method: str, *params: object) -> Any:
        """An answer that must be the same."""
        ours, theirs = self.ours(method, *params), self.anvil.rpc(method, *params)
        assert ours == theirs, method
        return ours

    def sign(self, sender: int = 0, **fields: Any) -> bytes:
        raw = signed(sender, self.nonces[sender], **fields)
        self.nonces[sender] += 1
        return raw

    def send(self, sender: int = 0, **fields: Any) -> dict[str, Any]:
        """One transaction in a block of its own; our receipt."""
        return self.mine([self.sign(sender, **fields)])[0]

    def mine(self, raws: list[bytes]) -> list[dict[str, Any]]:
        self.rig.clock.advance(7)
        self.anvil.rpc("evm_setAutomine", False)
        for raw in raws:
            self.anvil.rpc("eth_sendRawTransaction", f"0x{raw.hex()}")
        self.anvil.rpc("evm_setNextBlockTimestamp", hex(int(self.rig.clock.time)))
        self.anvil.rpc("evm_mine")
        hashes = self.rig.chain.send_many(raws)
        ours, theirs = (ask("eth_getBlockByNumber", "latest", False) for ask in (self.ours, self.anvil.rpc))
        for name in ("number", "timestamp", "transactions", "gasUsed", "gasLimit", "baseFeePerGas", "logsBloom"):
            assert ours[name] == theirs[name], name
        receipts = []
        for digest in hashes:
            one, other = (ask("eth_getTransactionReceipt", f"0x{digest.hex()}") for ask in (self.ours, self.anvil.rpc))
            for name in TOUCHED:
                assert one[name] == other[name], name
            for log, foreign in zip(one["logs"], other["logs"], strict=True):
                for name in ("address", "topics", "data", "logIndex", "transactionIndex", "blockNumber"):
                    assert log[name] == foreign[name], name
            receipts.append(one)
        for name in ("transactionsRoot", "receiptsRoot"):
            assert ours[name] == theirs[name], name
        return receipts

    def deploy(self, runtime: bytes) -> bytes:
        receipt = self.send(data=deploying(runtime), gas=2_000_000)
        self.both("eth_getCode", receipt["contractAddress"], "latest")
        return bytes.fromhex(receipt["contractAddress"][2:])

    def compare_slots(self, address: bytes, *slots: int) -> None:
        for slot in slots:
            self.both("eth_getStorageAt", f"0x{address.hex()}", hex(slot), "latest")


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    both = Pair()
    try:
        yield both
    finally:
        both.anvil.close()


def test_transfers(pair: Pair) -> None:
    pair.send(to=SOMEBODY, value=10**18)
    pair.send(1, to=SOMEBODY, value=1, gasPrice=3 * GWEI)
    pair.send(1, to=SOMEBODY, value=1, gasPrice=3 * GWEI, type="0x1", accessList=[])
    for address in (SOMEBODY, ADDRESSES[0], ADDRESSES[1], bytes(20)):
        pair.both("eth_getBalance", f"0x{address.hex()}", "latest")
        pair.both("eth_getTransactionCount", f"0x{address.hex()}", "latest")


def test_storage_and_refunds(pair: Pair) -> None:
    store = pair.deploy(STORE)
    for slot, value in ((1, 5), (1, 6), (1, 6), (1, 0), (1, 0), (2, 1), (2, 0), (1, 9)):
        pair.send(to=store, data=words(slot, value))
    pair.compare_slots(store, 1, 2)
    pair.send(to=store, data=words(7, 7), gasPrice=3 * GWEI, type="0x1", accessList=[(store, [words(7), words(8)])])
    pair.send(to=store, data=words(7, 8), accessList=[(store, [words(7)]), (SOMEBODY, [])])


@pytest.mark.parametrize("gas", [21_700, 21_701, 23_000, 43_000, 44_000, 44_500, 45_000, 60_000])
def test_out_of_gas_at_many_places(pair: Pair, gas: int) -> None:
    store = pair.deploy(STORE)
    pair.send(to=store, data=words(1, 1), gas=gas)
    pair.compare_slots(store, 1)


def test_failures(pair: Pair) -> None:
    refuse, burn, fail = pair.deploy(REFUSE), pair.deploy(BURN), pair.deploy(FAIL)
    for address in (refuse, burn, fail):
        assert pair.send(to=address, data=b"because", value=3, gas=100_000)["status"] == "0x0"
    assert pair.send(data=asm("STOP"), gas=100_000)["status"] == "0x1"  # init code that returns nothing
    assert pair.send(data=asm("PUSH0 PUSH0 REVERT"), gas=100_000)["status"] == "0x0"
    assert pair.send(data=FAIL, gas=100_000)["status"] == "0x0"


def test_precompiles(pair: Pair) -> None:
    loop = pair.deploy(SHA_LOOP)
    for count in (0, 1, 30):
        pair.send(to=loop, data=words(count))
    pair.compare_slots(loop, 0)
    p256 = pair.deploy(P256)
    key = PrivateKey(-7, b"\x07" * 32)
    digest, signature = sha256(b"statement").digest(), key.sign(b"statement")
    high = signature[:32] + (P256_ORDER - int.from_bytes(signature[32:], "big")).to_bytes(32, "big")
    good = digest + signature + key.public.raw
    for data in (good, digest + high + key.public.raw, bytes(32) + good[32:], good[:-1], good + b"\0", bytes(160), b""):
        pair.send(to=p256, data=data)
        pair.compare_slots(p256, 0, 1, 2)
    pair.send(to=p256, data=good, gas=60_000)  # not enough for what comes after
    pair.send(to=bytes(18) + b"\1\0", data=good, gas=100_000)  # directly, where the calldata's floor may be above


def test_creation(pair: Pair) -> None:
    factory = pair.deploy(FACTORY)
    for _ in range(2):  # the second time the address is taken
        pair.send(to=factory, data=deploying(STORE), gas=1_000_000)
        pair.compare_slots(factory, 0)
    pair.send(data=deploying(b"\xef\x00"), gas=200_000)  # EIP-3541
    pair.send(data=deploying(bytes(24_577)), gas=12_000_000)  # EIP-170
    pair.send(data=deploying(bytes(24_576)), gas=12_000_000)


def test_calldata_floor(pair: Pair) -> None:
    for data in (bytes(4000), b"\xff" * 4000, b"\0\1" * 2000):
        pair.send(to=SOMEBODY, data=data, gas=400_000)
    copy = pair.deploy(COPY)
    for size in (10, 1000, 10_000):
        pair.send(to=copy, data=b"\x5a" * size, gas=1_000_000)
    pair.compare_slots(copy, 0)


def test_environment(pair: Pair) -> None:
    world = pair.deploy(asm(SEEN.replace("PREVRANDAO", "GASLIMIT")))  # anvil's is random
    pair.send(to=world, value=3, gas=1_000_000)
    pair.compare_slots(world, *range(7), *range(8, 13))  # 7 is the parent's hash
    balances = pair.deploy(BALANCES)
    pair.send(to=balances, data=words(int.from_bytes(ADDRESSES[1], "big")))
    pair.compare_slots(balances, 0, 1)
    deep = pair.deploy(DEEP)
    pair.send(to=deep, gas=3_000_000)
    pair.compare_slots(deep, 0)
    die = pair.deploy(DIE)
    pair.send(1, to=die, value=10**18)
    pair.both("eth_getCode", f"0x{die.hex()}", "latest")
    pair.send(data=asm("CALLER SELFDESTRUCT"), value=5, gas=200_000)  # in the very transaction of its creation


def test_answers_of_calls(pair: Pair) -> None:
    echo, refuse, read = pair.deploy(ANSWER), pair.deploy(REFUSE), pair.deploy(READ)
    sender = f"0x{ADDRESSES[0].hex()}"
    for data in ("0x", "0x01", "0x" + "ab" * 1000):
        pair.both("eth_call", {"from": sender, "to": f"0x{echo.hex()}", "data": data}, "latest")
    pair.both("eth_call", {"from": sender, "to": f"0x{read.hex()}", "data": "0x" + words(0).hex()}, "latest")
    body = {"jsonrpc": "2.0", "id": 1, "method": "eth_call"}
    params = [{"from": sender, "to": f"0x{refuse.hex()}", "data": "0xdeadbeef"}, "latest"]
    theirs = pair.anvil._client.post(pair.anvil.url, json={**body, "params": params}).json()["error"]
    ours = json.loads(answer(pair.rig.chain, json.dumps({**body, "params": params}).encode()) or b"")["error"]
    assert (ours["code"], ours["data"]) == (theirs["code"], theirs["data"]) == (3, "0xdeadbeef")


def test_random_blocks(pair: Pair) -> None:
    random = Random(5)
    codes = {name: pair.deploy(code) for name, code in {"store": STORE, "refuse": REFUSE, "loop": SHA_LOOP}.items()}
    for size in (1, 7, 40, 3, 12):
        raws = []
        for _ in range(size):
            name = random.choice(sorted(codes))
            data = words(random.randrange(4), random.randrange(3))
            tip = 5  # all the same: anvil orders by tip
            price: dict[str, Any] = {"maxPriorityFeePerGas": tip, "maxFeePerGas": 3 * GWEI}
            raws.append(pair.sign(0, to=codes[name], data=data, gas=random.randrange(50_000, 90_000), **price))
        pair.mine(raws)
    pair.compare_slots(codes["store"], 0, 1, 2, 3)
    pair.compare_slots(codes["loop"], 0)


def test_base_fee(pair: Pair) -> None:
    fail = pair.deploy(FAIL)  # all of the gas in one step
    for gas in (14_000_000, 15_000_000, 16_000_000):
        pair.send(to=fail, gas=gas, maxFeePerGas=10 * GWEI)
    latest = pair.anvil.rpc("eth_feeHistory", "0x1", "latest", [])
    assert int(latest["baseFeePerGas"][-1], 16) == pair.rig.chain.fees().base


def test_shapes_are_the_same(pair: Pair) -> None:
    receipt = pair.send(to=pair.deploy(STORE), data=words(1, 1))
    digest, number = receipt["transactionHash"], receipt["blockNumber"]
    optional = {"blockTimestamp", "blobGasPrice", "blobGasUsed", "totalDifficulty", "authorizationList", "root"}
    for method, params in (
        ("eth_getBlockByNumber", (number, False)),
        ("eth_getBlockByNumber", (number, True)),
        ("eth_getTransactionByHash", (digest,)),
        ("eth_getTransactionReceipt", (digest,)),
        ("eth_feeHistory", ("0x2", number, [50])),
    ):
        ours, theirs = pair.ours(method, *params), pair.anvil.rpc(method, *params)
        assert ours.keys() - optional == theirs.keys() - optional, method
        for name in ours.keys() & theirs.keys():
            assert type(ours[name]) is type(theirs[name]), (method, name)
    log, foreign = receipt["logs"][0], pair.anvil.rpc("eth_getTransactionReceipt", digest)["logs"][0]
    assert log.keys() == foreign.keys() - optional
    full, foreign = (ask("eth_getTransactionByHash", digest) for ask in (pair.ours, pair.anvil.rpc))
    for name in full.keys() - {"blockHash"}:
        assert full[name] == foreign[name], name
