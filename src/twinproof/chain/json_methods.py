"""The methods of Ethereum's JSON-RPC that are answered, each over the `Chain` Protocol alone (execution-apis).

`latest`, `pending`, `safe` and `finalized` all mean the newest block. eth_call and eth_estimateGas then run in the
block that would come next, as `Chain.call` does: a chain that makes blocks on demand would otherwise stand still in
time. A block's number or hash runs them in that very block.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from twinproof import __version__
from twinproof.chain.encoding import encode_receipt
from twinproof.chain.hexadecimal import format_data, parse_data, parse_quantity
from twinproof.chain.json_parameters import (
    as_address,
    as_addresses,
    as_flag,
    as_hash,
    as_request,
    as_topics,
    block_at,
    moment,
)
from twinproof.chain.json_shapes import (
    Json,
    block_json,
    data_or_null,
    log_json,
    quantity,
    receipt_json,
    transaction_json,
)
from twinproof.chain.model import Block, Chain, Log, Receipt
from twinproof.chain.transactions import MAX_BYTES
from twinproof.errors import ChainError, Malformed, TooLarge

MAX_RANGE: Final = 100_000
"""Blocks that one eth_getLogs looks through."""
MAX_LOGS: Final = 10_000
MAX_HISTORY: Final = 1024
"""Blocks of one eth_feeHistory."""


@dataclass(frozen=True)
class Method:
    """How to run a method, and how many parameters it takes."""

    run: Callable[..., Any]
    least: int
    most: int


# --- blocks, transactions, receipts ---------------------------------------------------------------


def _block(chain: Chain, block: Block | None, hydrated: object) -> Json | None:
    full = as_flag(hydrated)
    header = chain.raw_header(block.hash) if block else None
    if block is None or header is None:
        return None
    raws = [raw for digest in block.transactions if (raw := chain.transaction(digest)) is not None]
    shown: Sequence[Any] = [format_data(digest) for digest in block.transactions]
    if full:
        receipts = chain.receipts_of(block.hash)
        shown = [transaction_json(raw, one, block.base_fee) for raw, one in zip(raws, receipts, strict=True)]
    return block_json(block, header, raws, shown)


def _block_by_number(chain: Chain, tag: object, hydrated: object) -> Json | None:
    return _block(chain, block_at(chain, tag), hydrated)


def _block_by_hash(chain: Chain, digest: object, hydrated: object) -> Json | None:
    return _block(chain, chain.block(as_hash(digest)), hydrated)


def _transaction_by_hash(chain: Chain, digest: object) -> Json | None:
    wanted = as_hash(digest)
    receipt, raw = chain.receipt(wanted), chain.transaction(wanted)
    block = chain.block(receipt.block) if receipt else None
    if receipt is None or raw is None or block is None:
        return None
    return transaction_json(raw, receipt, block.base_fee)


def _receipt(chain: Chain, digest: object) -> Json | None:
    receipt = chain.receipt(as_hash(digest))
    return receipt_json(receipt) if receipt else None


def _named_block(chain: Chain, tag: object) -> Block | None:
    if isinstance(tag, str) and len(tag) == 66:
        return chain.block(as_hash(tag, "block"))
    number = moment(chain, tag)
    return chain.head() if number is None else chain.block(number)


def _receipts(chain: Chain, tag: object) -> list[Receipt] | None:
    block = _named_block(chain, tag)
    return None if block is None else chain.receipts_of(block.hash)


def _block_receipts(chain: Chain, tag: object) -> list[Json] | None:
    receipts = _receipts(chain, tag)
    return None if receipts is None else [receipt_json(receipt) for receipt in receipts]


def _raw_receipts(chain: Chain, tag: object) -> list[str] | None:
    receipts = _receipts(chain, tag)
    return None if receipts is None else [format_data(encode_receipt(receipt)) for receipt in receipts]


def _raw_header(chain: Chain, tag: object) -> str | None:
    block = _named_block(chain, tag)
    return data_or_null(chain.raw_header(block.hash)) if block else None


# --- logs ---------------------------------------------------------------------------------------


def _range(chain: Chain, asked: Json) -> tuple[int, int]:
    if "blockHash" in asked:
        if "fromBlock" in asked or "toBlock" in asked:
            raise Malformed("filter", "blockHash stands alone, without fromBlock and toBlock")
        block = chain.block(as_hash(asked["blockHash"], "filter.blockHash"))
        if block is None:
            raise ChainError("unknown block")
        return block.number, block.number
    head = chain.head().number
    first, last = (moment(chain, asked.get(name)) for name in ("fromBlock", "toBlock"))
    return head if first is None else first, head if last is None else min(last, head)


def _logs(chain: Chain, asked: object) -> list[Json]:
    if not isinstance(asked, dict) or not asked.keys() <= {"blockHash", "fromBlock", "toBlock", "address", "topics"}:
        raise Malformed("filter", "must be an object of fromBlock, toBlock or blockHash, address, topics")
    addresses, topics = as_addresses(asked.get("address")), as_topics(asked.get("topics"))
    first, last = _range(chain, asked)
    if last - first >= MAX_RANGE:
        raise TooLarge("filter", f"limit exceeded: {last - first + 1} blocks; ask for at most {MAX_RANGE} at once")
    found: list[Log] = chain.logs(first=first, last=last, addresses=addresses, topics=topics)
    if len(found) > MAX_LOGS:
        raise TooLarge("filter", f"limit exceeded: more than {MAX_LOGS} logs; ask for fewer blocks")
    return [log_json(log) for log in found]


# --- state, calls, fees -------------------------------------------------------------------------


def _balance(chain: Chain, address: object, tag: object = None) -> str:
    return quantity(chain.balance(as_address(address), block=moment(chain, tag)))


def _code(chain: Chain, address: object, tag: object = None) -> str:
    return format_data(chain.code(as_address(address), block=moment(chain, tag)))


def _storage(chain: Chain, address: object, slot: object, tag: object = None) -> str:
    # The slot comes as a quantity or as 32 bytes.
    if isinstance(slot, str) and len(slot) == 66:
        number = int.from_bytes(as_hash(slot, "slot"), "big")
    else:
        number = parse_quantity(slot, "slot", bits=256)
    return format_data(chain.storage(as_address(address), number, block=moment(chain, tag)))


def _nonce(chain: Chain, address: object, tag: object = None) -> str:
    return quantity(chain.nonce(as_address(address), pending=tag == "pending", block=moment(chain, tag)))


def _call(chain: Chain, asked: object, tag: object = None) -> str:
    request = as_request(asked)
    if request.to is None:
        raise Malformed("transaction.to", "is missing: what contract is called?")
    when = moment(chain, tag)
    return format_data(chain.call(request.to, request.data, sender=request.sender, value=request.value, block=when))


def _estimate(chain: Chain, asked: object, tag: object = None) -> str:
    if moment(chain, tag) is not None:
        raise Malformed("block", "gas is estimated for the next block: latest or pending")
    return quantity(chain.estimate_gas(as_request(asked)))


def _send(chain: Chain, raw: object) -> str:
    return format_data(chain.send(parse_data(raw, "transaction", limit=MAX_BYTES)))


def _gas_price(chain: Chain) -> str:
    fees = chain.fees()
    return quantity(fees.base + fees.tip)


def _fee_history(chain: Chain, count: object, newest: object, percentiles: object = None) -> Json:
    wanted = count if type(count) is int else parse_quantity(count, "blockCount")
    if not 0 < wanted <= MAX_HISTORY:
        raise Malformed("blockCount", f"must be from 1 to {MAX_HISTORY}")
    shares = [] if percentiles is None else percentiles
    if not isinstance(shares, list) or len(shares) > 100:
        raise Malformed("rewardPercentiles", "must be a list of at most 100")
    if any(type(one) not in (int, float) or not 0 <= one <= 100 for one in shares) or shares != sorted(shares):
        raise Malformed("rewardPercentiles", "must rise from 0 to 100")
    last = block_at(chain, newest)
    if last is None:
        raise ChainError("header not found")
    numbers = range(max(last.number - wanted + 1, 0), last.number + 1)
    blocks = [block for number in numbers if (block := chain.block(number)) is not None]
    following = chain.block(last.number + 1)
    after = chain.fees().base if following is None else following.base_fee
    shown: Json = {
        "oldestBlock": quantity(blocks[0].number),
        "baseFeePerGas": [quantity(fee) for fee in (*(block.base_fee for block in blocks), after)],
        "gasUsedRatio": [block.gas_used / block.gas_limit for block in blocks],
        "baseFeePerBlobGas": [quantity(1)] * (len(blocks) + 1),
        "blobGasUsedRatio": [0.0] * len(blocks),
    }
    if shares:
        shown["reward"] = [_rewards(chain, block, shares) for block in blocks]
    return shown


def _rewards(chain: Chain, block: Block, shares: Sequence[float]) -> list[str]:
    """Tips at shares of the block's gas, the smallest first."""
    paid = sorted((one.gas_price - block.base_fee, one.gas_used) for one in chain.receipts_of(block.hash))
    found: list[str] = []
    for share in shares:
        left = block.gas_used * share / 100
        reached = 0
        for tip, gas in paid:
            reached = tip
            left -= gas
            if left <= 0:
                break
        found.append(quantity(reached))
    return found


METHODS: Final[dict[str, Method]] = {
    "web3_clientVersion": Method(lambda chain: f"twinproof/{__version__}", 0, 0),
    "net_version": Method(lambda chain: str(chain.chain_id), 0, 0),
    "net_listening": Method(lambda chain: True, 0, 0),
    "eth_chainId": Method(lambda chain: quantity(chain.chain_id), 0, 0),
    "eth_syncing": Method(lambda chain: False, 0, 0),
    "eth_accounts": Method(lambda chain: [], 0, 0),
    "eth_blockNumber": Method(lambda chain: quantity(chain.head().number), 0, 0),
    "eth_getBlockByNumber": Method(_block_by_number, 2, 2),
    "eth_getBlockByHash": Method(_block_by_hash, 2, 2),
    "eth_getBlockReceipts": Method(_block_receipts, 1, 1),
    "eth_getTransactionByHash": Method(_transaction_by_hash, 1, 1),
    "eth_getTransactionReceipt": Method(_receipt, 1, 1),
    "eth_getRawTransactionByHash": Method(lambda chain, digest: data_or_null(chain.transaction(as_hash(digest))), 1, 1),
    "eth_getLogs": Method(_logs, 1, 1),
    "eth_getBalance": Method(_balance, 1, 2),
    "eth_getCode": Method(_code, 1, 2),
    "eth_getStorageAt": Method(_storage, 2, 3),
    "eth_getTransactionCount": Method(_nonce, 1, 2),
    "eth_call": Method(_call, 1, 2),
    "eth_estimateGas": Method(_estimate, 1, 2),
    "eth_gasPrice": Method(_gas_price, 0, 0),
    "eth_maxPriorityFeePerGas": Method(lambda chain: quantity(chain.fees().tip), 0, 0),
    "eth_feeHistory": Method(_fee_history, 2, 3),
    "eth_sendRawTransaction": Method(_send, 1, 1),
    "debug_getRawHeader": Method(_raw_header, 1, 1),
    "debug_getRawReceipts": Method(_raw_receipts, 1, 1),
    "debug_getRawTransaction": Method(lambda chain, digest: data_or_null(chain.transaction(as_hash(digest))), 1, 1),
}
