"""What a node answers, read strictly: JSON -> the values of `model`. Whatever is not as it must be is `ChainLied`.

A block's hash is computed again from its fields, a receipt's bloom from its logs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from twinproof.chain import rlp
from twinproof.chain.encoding import logs_bloom
from twinproof.chain.hexadecimal import json_type, keccak, parse_data, parse_quantity
from twinproof.chain.model import Block, Log, Receipt
from twinproof.errors import ChainLied, Malformed

MAX_DATA: Final = 16 << 20
"""Bytes of one value."""

_HEADER: Final = (
    ("parentHash", 32), ("sha3Uncles", 32), ("miner", 20), ("stateRoot", 32), ("transactionsRoot", 32),
    ("receiptsRoot", 32), ("logsBloom", 256), ("difficulty", 0), ("number", 0), ("gasLimit", 0), ("gasUsed", 0),
    ("timestamp", 0), ("extraData", -1), ("mixHash", 32), ("nonce", 8),
)  # fmt: skip
"""Fields of every header in order, with their size: 0 a quantity, -1 any bytes. Yellow paper §4.3."""
_LATER: Final = (
    ("baseFeePerGas", 0), ("withdrawalsRoot", 32), ("blobGasUsed", 0), ("excessBlobGas", 0),
    ("parentBeaconBlockRoot", 32), ("requestsHash", 32),
)  # fmt: skip
"""What the forks added, in order: EIP-1559, 4895, 4844 (two), 4788, 7685. Osaka adds none."""
DEPOSIT: Final = 0x7E
"""Type of the transactions by which the OP Stack brings in what happened on the chain below."""
_BFT_MIX: Final = bytes.fromhex("63746963616c2062797a616e74696e65206661756c7420746f6c6572616e6365")
"""Istanbul's `mixHash`: the header's `extraData` ends with the committers' seals, which the hash leaves out."""

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Fetched:
    """A block and the bytes that hash to its name."""

    block: Block
    header: bytes | None
    """RLP; None if the hash could not be computed again."""


@contextmanager
def strictly(what: str) -> Iterator[None]:
    """Turns `Malformed` into `ChainLied` about `what`."""
    try:
        yield
    except Malformed as problem:
        raise ChainLied(f"the chain's node answers {what} wrongly: {problem}") from None


def to_object(value: Any, field: str) -> Json:
    """A JSON object; raises `Malformed`."""
    if not isinstance(value, dict):
        raise Malformed(field, f"is {json_type(value)}, not an object")
    return value


def to_list(value: Any, field: str) -> list[Any]:
    """A JSON list; raises `Malformed`."""
    if not isinstance(value, list):
        raise Malformed(field, f"is {json_type(value)}, not a list")
    return value


def read_block(value: Any, *, check: bool) -> Fetched:
    """A block without its transactions' bodies; with `check` its hash is computed again. Raises `Malformed`."""
    block = to_object(value, "block")
    items = [_header_item(block, name, size) for name, size in _HEADER]
    ended = False
    for name, size in _LATER:
        if block.get(name) is None:
            ended = True
        elif ended and check:
            raise Malformed(f"block.{name}", "stands behind a field that is missing")
        elif not ended:
            items.append(_header_item(block, name, size))
    named = parse_data(block.get("hash"), "block.hash", size=32)
    header = next((raw for raw in _preimages(items) if keccak(raw) == named), None)
    if check and header is None:
        raise Malformed("block.hash", "is not the hash of the header's fields")
    listed = to_list(block.get("transactions"), "block.transactions")
    hashes = tuple(parse_data(one, f"block.transactions[{at}]", size=32) for at, one in enumerate(listed))
    number, gas_limit, gas_used, time = (rlp.to_integer(items[at], "block") for at in (8, 9, 10, 11))
    base_fee = rlp.to_integer(items[15], "block.baseFeePerGas") if len(items) > 15 else 0
    parent, state, transactions, receipts = items[0], items[3], items[4], items[5]
    body = Block(number, named, parent, time, gas_limit, gas_used, base_fee, state, transactions, receipts, hashes)
    return Fetched(body, header)


def _header_item(block: Json, name: str, size: int) -> bytes:
    field = f"block.{name}"
    if size == 0:
        return rlp.integer(parse_quantity(block.get(name), field, bits=256))
    return parse_data(block.get(name), field, size=size if size > 0 else None, limit=1 << 16)


def _preimages(items: list[bytes]) -> Iterator[bytes]:
    yield rlp.encode(items)
    if items[13] == _BFT_MIX:
        try:
            extra = rlp.to_list(rlp.decode(items[12]), "extraData", 5)
        except Malformed:
            return
        for shorter in ([*extra[:4], []], extra[:4]):  # QBFT, IBFT 2.0
            yield rlp.encode([*items[:12], rlp.encode(shorter), *items[13:]])


def read_receipt(value: Any) -> Receipt:
    """A receipt that agrees with itself; raises `Malformed`."""
    body = to_object(value, "receipt")
    status = parse_quantity(body.get("status"), "receipt.status")
    if status > 1:
        raise Malformed("receipt.status", "is neither 0 nor 1")
    to, contract = (_address(body.get(name), f"receipt.{name}") for name in ("to", "contractAddress"))
    receipt = Receipt(
        transaction=parse_data(body.get("transactionHash"), "receipt.transactionHash", size=32),
        block=parse_data(body.get("blockHash"), "receipt.blockHash", size=32),
        number=parse_quantity(body.get("blockNumber"), "receipt.blockNumber"),
        index=parse_quantity(body.get("transactionIndex"), "receipt.transactionIndex"),
        type=parse_quantity(body.get("type", "0x0"), "receipt.type", bits=7),
        succeeded=status == 1,
        gas_used=parse_quantity(body.get("gasUsed"), "receipt.gasUsed"),
        cumulative_gas_used=parse_quantity(body.get("cumulativeGasUsed"), "receipt.cumulativeGasUsed"),
        gas_price=parse_quantity(body.get("effectiveGasPrice"), "receipt.effectiveGasPrice", bits=256),
        sender=parse_data(body.get("from"), "receipt.from", size=20),
        to=to,
        # Of a creation that failed, nodes differ in what they say.
        contract=contract if to is None and status == 1 else None,
        logs=tuple(read_log(log) for log in to_list(body.get("logs"), "receipt.logs")),
    )
    if not 0 < receipt.gas_used <= receipt.cumulative_gas_used:
        raise Malformed("receipt.gasUsed", "is none, or more than the block's gas up to here")
    if to is None and status == 1 and contract is None:
        raise Malformed("receipt.contractAddress", "is missing")
    for log in receipt.logs:
        place = (log.transaction, log.block, log.number, log.transaction_index)
        if place != (receipt.transaction, receipt.block, receipt.number, receipt.index):
            raise Malformed("receipt.logs", "has a log of another transaction or block")
    if receipt.logs and status == 0:
        raise Malformed("receipt.logs", "are there although the transaction failed")
    if logs_bloom(receipt.logs) != parse_data(body.get("logsBloom"), "receipt.logsBloom", size=256):
        raise Malformed("receipt.logsBloom", "is not that of the logs")
    return receipt


def receipt_bytes(value: Any) -> bytes:
    """What lies in the receipts trie, from the fields that are in it alone; raises `Malformed`.

    Also of types that nothing else here knows: OP Stack's deposits, with the members that they add, and Arbitrum's,
    which may use no gas. Whether it is right only the block's receipts root tells.
    """
    body = to_object(value, "receipt")
    kind = parse_quantity(body.get("type", "0x0"), "receipt.type", bits=7)
    status = parse_quantity(body.get("status"), "receipt.status", bits=1)
    used = parse_quantity(body.get("cumulativeGasUsed"), "receipt.cumulativeGasUsed")
    logs = [read_log(log) for log in to_list(body.get("logs"), "receipt.logs")]
    items: list[rlp.Item] = [
        rlp.integer(status),
        rlp.integer(used),
        logs_bloom(logs),
        [[log.address, list(log.topics), log.data] for log in logs],
    ]
    if kind == DEPOSIT:
        names = [name for name in ("depositNonce", "depositReceiptVersion") if body.get(name) is not None]
        items += [rlp.integer(parse_quantity(body[name], f"receipt.{name}")) for name in names]
    return (bytes((kind,)) if kind else b"") + rlp.encode(items)


def _address(value: Any, field: str) -> bytes | None:
    return None if value is None else parse_data(value, field, size=20)


def read_log(value: Any) -> Log:
    """A log of a mined block; raises `Malformed`."""
    body = to_object(value, "log")
    if body.get("removed", False) is not False:
        raise Malformed("log.removed", "is set: it is of a block that was dropped")
    topics = to_list(body.get("topics"), "log.topics")
    if len(topics) > 4:
        raise Malformed("log.topics", "are more than 4")
    return Log(
        address=parse_data(body.get("address"), "log.address", size=20),
        topics=tuple(parse_data(topic, "log.topics", size=32) for topic in topics),
        data=parse_data(body.get("data"), "log.data", limit=MAX_DATA),
        block=parse_data(body.get("blockHash"), "log.blockHash", size=32),
        number=parse_quantity(body.get("blockNumber"), "log.blockNumber"),
        transaction=parse_data(body.get("transactionHash"), "log.transactionHash", size=32),
        transaction_index=parse_quantity(body.get("transactionIndex"), "log.transactionIndex"),
        position=parse_quantity(body.get("logIndex"), "log.logIndex"),
    )


def read_transaction(value: Any, named: bytes) -> bytes:
    """The signed bytes of a transaction of the types 0 to 2, put together from its fields; raises `Malformed`."""
    body = to_object(value, "transaction")

    def number(name: str) -> bytes:
        return rlp.integer(parse_quantity(body.get(name), f"transaction.{name}", bits=256))

    kind = parse_quantity(body.get("type", "0x0"), "transaction.type", bits=7)
    to = _address(body.get("to"), "transaction.to") or b""
    data = parse_data(body.get("input"), "transaction.input", limit=MAX_DATA)
    tail: list[rlp.Item] = [number("gas"), to, number("value"), data]
    signature = [number(name) for name in ("v", "r", "s")]
    if kind == 0:
        raw = rlp.encode([number("nonce"), number("gasPrice"), *tail, *signature])
    elif kind in (1, 2):
        fees = ["gasPrice"] if kind == 1 else ["maxPriorityFeePerGas", "maxFeePerGas"]
        head = [number(name) for name in ("chainId", "nonce", *fees)]
        raw = bytes([kind]) + rlp.encode([*head, *tail, _access(body), *signature])
    else:
        raise Malformed("transaction.type", f"{kind} cannot be put together from its fields")
    if keccak(raw) != named:
        raise Malformed("transaction", "is not the one that was asked for")
    return raw


def read_raw_block(value: Any) -> list[bytes]:
    """The transactions' bytes of a block's RLP, as debug_getRawBlock gives it; raises `Malformed`."""
    parts = rlp.to_list(rlp.decode(parse_data(value, "block", limit=MAX_DATA), "block"), "block")
    if len(parts) < 2:
        raise Malformed("block", "has no transactions")
    # Those without a type stand as lists, the others as byte strings.
    listed = rlp.to_list(parts[1], "block.transactions")
    return [one if isinstance(one, bytes) else rlp.encode(one) for one in listed]


def _access(body: Json) -> list[rlp.Item]:
    listed: list[rlp.Item] = []
    for entry in to_list(body.get("accessList"), "transaction.accessList"):
        item = to_object(entry, "transaction.accessList")
        keys = to_list(item.get("storageKeys"), "transaction.accessList.storageKeys")
        address = parse_data(item.get("address"), "transaction.accessList.address", size=20)
        listed.append([address, [parse_data(key, "transaction.accessList.storageKeys", size=32) for key in keys]])
    return listed
