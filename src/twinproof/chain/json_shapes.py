"""Blocks, transactions, receipts and logs as Ethereum's JSON-RPC shows them (execution-apis, schemas)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twinproof.chain import rlp
from twinproof.chain.encoding import logs_bloom
from twinproof.chain.hexadecimal import format_data
from twinproof.chain.model import Block, Log, Receipt
from twinproof.chain.transactions import read_transaction

Json = dict[str, Any]
_HEADER = (
    ("parentHash", format_data),
    ("sha3Uncles", format_data),
    ("miner", format_data),
    ("stateRoot", format_data),
    ("transactionsRoot", format_data),
    ("receiptsRoot", format_data),
    ("logsBloom", format_data),
    ("difficulty", None),
    ("number", None),
    ("gasLimit", None),
    ("gasUsed", None),
    ("timestamp", None),
    ("extraData", format_data),
    ("mixHash", format_data),
    ("nonce", format_data),
    ("baseFeePerGas", None),
    ("withdrawalsRoot", format_data),
    ("blobGasUsed", None),
    ("excessBlobGas", None),
    ("parentBeaconBlockRoot", format_data),
    ("requestsHash", format_data),
)
"""In the order of the header's RLP; None: a quantity."""


def quantity(number: int) -> str:
    """0x and hex digits without leading zeros."""
    return hex(number)


def data_or_null(value: bytes | None) -> str | None:
    """0x and digits, or null."""
    return None if value is None else format_data(value)


def block_json(block: Block, header: bytes, raws: Sequence[bytes], transactions: Sequence[Any]) -> Json:
    """`transactions`: hashes or objects, whichever was asked for; `raws` are their bytes."""
    shown: Json = {"hash": format_data(block.hash)}
    for (name, form), item in zip(_HEADER, rlp.to_list(rlp.decode(header), "header"), strict=False):
        value = rlp.to_bytes(item, name)
        shown[name] = form(value) if form else quantity(int.from_bytes(value, "big"))
    # A typed transaction stands in the body as a byte string, a legacy one as the list that it is.
    body = b"".join(raw if raw[:1] >= b"\xc0" else rlp.encode(raw) for raw in raws)
    whole = len(header) + rlp.list_size(len(body)) + 2  # no uncles, no withdrawals
    shown["size"] = quantity(rlp.list_size(whole))
    return {**shown, "transactions": list(transactions), "uncles": [], "withdrawals": []}


def transaction_json(raw: bytes, receipt: Receipt, header_base_fee: int) -> Json:
    """A mined transaction of type 0, 1 or 2; raises `TransactionRefused` for another."""
    transaction = read_transaction(raw, receipt.sender)
    shown: Json = {
        "blockHash": format_data(receipt.block),
        "blockNumber": quantity(receipt.number),
        "from": format_data(receipt.sender),
        "gas": quantity(transaction.gas),
        "gasPrice": quantity(transaction.price(header_base_fee)),
        "hash": format_data(transaction.hash),
        "input": format_data(transaction.data),
        "nonce": quantity(transaction.nonce),
        "to": data_or_null(transaction.to),
        "transactionIndex": quantity(receipt.index),
        "value": quantity(transaction.value),
        "type": quantity(transaction.type),
        "v": quantity(transaction.v),
        "r": quantity(transaction.r),
        "s": quantity(transaction.s),
    }
    if transaction.chain_id is not None:
        shown["chainId"] = quantity(transaction.chain_id)
    if transaction.type:
        shown["yParity"] = quantity(transaction.v)
        shown["accessList"] = [
            {"address": format_data(address), "storageKeys": [format_data(key) for key in keys]}
            for address, keys in transaction.access_list
        ]
    if transaction.type == 2:
        shown["maxFeePerGas"] = quantity(transaction.max_fee)
        shown["maxPriorityFeePerGas"] = quantity(transaction.max_tip)
    return shown


def receipt_json(receipt: Receipt) -> Json:
    """A mined transaction's receipt."""
    return {
        "transactionHash": format_data(receipt.transaction),
        "transactionIndex": quantity(receipt.index),
        "blockHash": format_data(receipt.block),
        "blockNumber": quantity(receipt.number),
        "from": format_data(receipt.sender),
        "to": data_or_null(receipt.to),
        "cumulativeGasUsed": quantity(receipt.cumulative_gas_used),
        "gasUsed": quantity(receipt.gas_used),
        "contractAddress": data_or_null(receipt.contract),
        "logs": [log_json(log) for log in receipt.logs],
        "logsBloom": format_data(logs_bloom(receipt.logs)),
        "status": quantity(int(receipt.succeeded)),
        "type": quantity(receipt.type),
        "effectiveGasPrice": quantity(receipt.gas_price),
    }


def log_json(log: Log) -> Json:
    """An event."""
    return {
        "address": format_data(log.address),
        "topics": [format_data(topic) for topic in log.topics],
        "data": format_data(log.data),
        "blockNumber": quantity(log.number),
        "transactionHash": format_data(log.transaction),
        "transactionIndex": quantity(log.transaction_index),
        "blockHash": format_data(log.block),
        "logIndex": quantity(log.position),
        "removed": False,
    }
