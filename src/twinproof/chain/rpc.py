"""Any EVM network over JSON-RPC, behind the `Chain` Protocol, by a node that need not be trusted with much.

| what it could lie about                   | what is checked                                                     |
|-------------------------------------------|---------------------------------------------------------------------|
| which chain it serves                     | the chain id is pinned and asked for on every new connection        |
| a block                                   | its hash is computed again from the header's fields                 |
| a transaction                             | its bytes hash to its name                                          |
| a receipt                                 | names, bloom and logs agree; `receipts_of` computes `receiptsRoot`  |
| a log                                     | it matches the filter and stands in order                           |
| balance, nonce, code, a call's answer     | nothing: who needs those proved runs a node                         |

What it can always do is say nothing of something, or show an old or a private chain; anchors' proofs do not rest on it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from twinproof.chain.encoding import encode_receipt, ordered_root
from twinproof.chain.hexadecimal import format_data, keccak, parse_data, parse_quantity
from twinproof.chain.model import Block, Fees, Log, Receipt, Request, Topics
from twinproof.chain.refusals import MISSING_METHOD, asks_for_less, refused_call, refused_transaction
from twinproof.chain.rpc_answers import (
    MAX_DATA,
    Fetched,
    read_block,
    read_log,
    read_raw_block,
    read_receipt,
    read_transaction,
    receipt_bytes,
    strictly,
    to_list,
)
from twinproof.chain.rpc_client import AnswerTooLarge, Call, Fault, RpcClient
from twinproof.errors import ChainError, ChainLied, Malformed, NonceTaken, WrongChain


class RpcChain:
    """See `Chain`. Calls that read are tried again a few times; a transaction is sent once."""

    def __init__(self, client: RpcClient, chain_id: int | None = None, *, check_headers: bool = True) -> None:
        """`chain_id` None takes the network's own and pins that.

        `check_headers` False is for networks that hash their blocks otherwise: blocks are then believed.
        Nothing is asked here; raises nothing.
        """
        self._client = client
        self._chain_id = chain_id
        self._check_headers = check_headers
        self._verified = False
        """Whether the chain id was right since the last connection was made or lost."""

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    # --- asking ---

    def _ask(self, calls: Sequence[Call]) -> list[Any]:
        """Answers that come from the pinned chain; a new connection may lead to another node."""
        before = self._client.connections
        try:
            answers = self._client.batch(calls)
        except ChainError:
            self._verified = False
            raise
        if not self._verified or before != self._client.connections:
            self._check_chain()
        return answers

    def _one(self, method: str, *parameters: Any) -> Any:
        return self._ask([(method, parameters)])[0]

    def _value(self, method: str, *parameters: Any) -> Any:
        answer = self._one(method, *parameters)
        if isinstance(answer, Fault):
            raise ChainError(f"{method}: {answer.message} ({answer.code})")
        return answer

    def _check_chain(self) -> int:
        self._verified = False
        answer = self._client.call("eth_chainId", [])
        if isinstance(answer, Fault):
            raise ChainError(f"eth_chainId: {answer.message} ({answer.code})")
        with strictly("eth_chainId"):
            number = parse_quantity(answer, "chain id")
        if self._chain_id is None:
            self._chain_id = number
        if number != self._chain_id:
            raise WrongChain(
                f"the node {self._client.host} serves chain {number}, not {self._chain_id}; nothing was sent, "
                "and what it answered is not used"
            )
        self._verified = True
        return number

    @property
    def chain_id(self) -> int:
        """See `Chain`."""
        if self._verified and self._chain_id is not None:
            return self._chain_id
        return self._check_chain()

    # --- blocks ---

    def head(self) -> Block:
        """See `Chain`."""
        found = self._fetch("eth_getBlockByNumber", "latest")
        if found is None:
            raise ChainLied("the chain's node has no newest block")
        return found.block

    def block(self, which: int | bytes) -> Block | None:
        """See `Chain`."""
        found = self._fetched(which)
        return None if found is None else found.block

    def _fetched(self, which: int | bytes) -> Fetched | None:
        if isinstance(which, bytes):
            found = self._fetch("eth_getBlockByHash", format_data(which))
            wrong = found is not None and found.block.hash != which
        else:
            found = self._fetch("eth_getBlockByNumber", hex(which))
            wrong = found is not None and found.block.number != which
        if wrong:
            raise ChainLied("the chain's node answers with another block than the one that was asked for")
        return found

    def _fetch(self, method: str, which: str) -> Fetched | None:
        answer = self._value(method, which, False)
        with strictly(method):
            return None if answer is None else read_block(answer, check=self._check_headers)

    def raw_header(self, block: bytes) -> bytes | None:
        """See `Chain`; raises `ChainError` where headers are not checked and do not hash to their name."""
        found = self._fetched(block)
        if found is not None and found.header is None:
            raise ChainError("this network hashes its headers otherwise; they prove nothing here")
        return None if found is None else found.header

    def receipts_of(self, block: bytes) -> list[Receipt]:
        """See `Chain`; raises `ChainLied` unless they are what the block's receipts root says."""
        found = self.block(block)
        if found is None:
            return []
        answer = self._one("eth_getBlockReceipts", format_data(block))
        if isinstance(answer, Fault) and answer.code == MISSING_METHOD:
            receipts = [receipt for receipt in self.receipts(found.transactions) if receipt is not None]
        elif isinstance(answer, Fault):
            raise ChainError(f"eth_getBlockReceipts: {answer.message} ({answer.code})")
        else:
            with strictly("eth_getBlockReceipts"):
                receipts = [read_receipt(one) for one in to_list(answer, "receipts")]
        for index, receipt in enumerate(receipts):
            if (receipt.block, receipt.number, receipt.index) != (found.hash, found.number, index):
                raise ChainLied("the chain's node answers with a receipt of another block or place")
        if [receipt.transaction for receipt in receipts] != list(found.transactions):
            raise ChainLied("the chain's node answers with receipts of other transactions than the block's")
        if ordered_root([encode_receipt(receipt) for receipt in receipts]) != found.receipts_root:
            raise ChainLied(
                "the receipts do not lead to the block's receipts root: a status, a log or the gas is false"
            )
        return receipts

    # --- what lies in a block's tries, of transaction types too that nothing here knows ---

    def raw_receipts_of(self, block: bytes) -> list[bytes]:
        """The bytes under the block's receipts root, by its hash; empty if there is no such block.

        Raises `ChainLied` unless they lead to that root.
        """
        found = self.block(block)
        if found is None:
            return []
        told = self._one("eth_getBlockReceipts", format_data(block))
        if isinstance(told, Fault):
            told = self._ask([("eth_getTransactionReceipt", [format_data(one)]) for one in found.transactions])
        raws: list[bytes] = []
        with suppress(Malformed):
            raws = [receipt_bytes(one) for one in to_list(told, "receipts")]
        if ordered_root(raws) != found.receipts_root:
            raws = self._debug("debug_getRawReceipts", block, _read_raws)
        if ordered_root(raws) != found.receipts_root:
            raise ChainLied(
                "the receipts do not lead to the block's receipts root: one is false, or of a type that only a node "
                "with debug_getRawReceipts can give"
            )
        return raws

    def raw_transactions_of(self, block: bytes) -> list[bytes]:
        """The bytes under the block's transactions root, by its hash; empty if there is no such block.

        Raises `ChainLied` unless they lead to that root.
        """
        found = self.block(block)
        if found is None:
            return []
        told = self._ask([("eth_getRawTransactionByHash", [format_data(one)]) for one in found.transactions])
        raws: list[bytes] = []
        with suppress(Malformed):
            raws = [parse_data(one, "transaction", limit=MAX_DATA) for one in told]
        if not all(raws) or ordered_root(raws) != found.transactions_root:
            raws = self._debug("debug_getRawBlock", block, read_raw_block)
        if ordered_root(raws) != found.transactions_root:
            raws = self._put_together(found.transactions)
        if ordered_root(raws) != found.transactions_root:
            raise ChainLied("the transactions do not lead to the block's transactions root")
        return raws

    def _put_together(self, hashes: Sequence[bytes]) -> list[bytes]:
        method = "eth_getTransactionByHash"
        told = self._ask([(method, [format_data(one)]) for one in hashes])
        with strictly(method):
            return [read_transaction(one, named) for one, named in zip(told, hashes, strict=True)]

    def _debug(self, method: str, block: bytes, read: Callable[[Any], list[bytes]]) -> list[bytes]:
        """What few nodes offer; nothing where they do not."""
        answer = self._one(method, format_data(block))
        if answer is None or isinstance(answer, Fault):
            return []
        with strictly(method):
            return [one for one in read(answer) if one]

    # --- transactions ---

    def send(self, raw: bytes) -> bytes:
        """See `Chain`."""
        named = keccak(raw)
        self._check_chain()
        # Once: whether a lost answer means a lost transaction is for the sender to find out.
        answer = self._client.call("eth_sendRawTransaction", [format_data(raw)], retry=False)
        if isinstance(answer, Fault):
            problem = refused_transaction(answer)
            if problem is None or (isinstance(problem, NonceTaken) and self._knows(named)):
                return named
            raise problem
        with strictly("eth_sendRawTransaction"):
            told = parse_data(answer, "hash", size=32)
        if told != named:
            raise ChainLied("the chain's node answers with another hash than that of the transaction")
        return named

    def _knows(self, named: bytes) -> bool:
        return self._value("eth_getTransactionByHash", format_data(named)) is not None

    def receipt(self, transaction: bytes) -> Receipt | None:
        """See `Chain`."""
        return self.receipts([transaction])[0]

    def receipts(self, transactions: Sequence[bytes]) -> list[Receipt | None]:
        """One for each hash, asked for together."""
        method = "eth_getTransactionReceipt"
        found: list[Receipt | None] = []
        for named, answer in zip(
            transactions, self._ask([(method, [format_data(named)]) for named in transactions]), strict=True
        ):
            if isinstance(answer, Fault):
                raise ChainError(f"{method}: {answer.message} ({answer.code})")
            with strictly(method):
                receipt = None if answer is None else read_receipt(answer)
            if receipt is not None and receipt.transaction != named:
                raise ChainLied("the chain's node answers with the receipt of another transaction")
            found.append(receipt)
        return found

    def transaction(self, hash: bytes) -> bytes | None:
        """See `Chain`."""
        answer = self._one("eth_getRawTransactionByHash", format_data(hash))
        if isinstance(answer, Fault) or answer in (None, "0x"):  # not every node has the method, or asks its pool there
            body = self._value("eth_getTransactionByHash", format_data(hash))
            with strictly("eth_getTransactionByHash"):
                return None if body is None else read_transaction(body, hash)
        with strictly("eth_getRawTransactionByHash"):
            raw = parse_data(answer, "transaction", limit=MAX_DATA)
        if keccak(raw) != hash:
            raise ChainLied("the chain's node answers with another transaction than the one that was asked for")
        return raw

    # --- state ---

    def _number(self, method: str, *parameters: Any, bits: int = 64) -> int:
        answer = self._value(method, *parameters)
        with strictly(method):
            return parse_quantity(answer, "number", bits=bits)

    def balance(self, address: bytes, *, block: int | None = None) -> int:
        """See `Chain`."""
        return self._number("eth_getBalance", format_data(address), _at(block), bits=256)

    def nonce(self, address: bytes, *, pending: bool = False, block: int | None = None) -> int:
        """See `Chain`."""
        return self._number("eth_getTransactionCount", format_data(address), "pending" if pending else _at(block))

    def code(self, address: bytes, *, block: int | None = None) -> bytes:
        """See `Chain`."""
        answer = self._value("eth_getCode", format_data(address), _at(block))
        with strictly("eth_getCode"):
            return parse_data(answer, "code", limit=MAX_DATA)

    def storage(self, address: bytes, slot: int, *, block: int | None = None) -> bytes:
        """See `Chain`."""
        answer = self._value("eth_getStorageAt", format_data(address), hex(slot), _at(block))
        with strictly("eth_getStorageAt"):
            return parse_data(answer, "word", size=32)

    def call(
        self, to: bytes, data: bytes, *, sender: bytes | None = None, value: int = 0, block: int | None = None
    ) -> bytes:
        """See `Chain`."""
        request = _request(Request(to, data, value, sender))
        answer = self._one("eth_call", request, _at(block))
        if isinstance(answer, Fault):
            raise refused_call(answer, "eth_call")
        with strictly("eth_call"):
            return parse_data(answer, "answer", limit=MAX_DATA)

    def estimate_gas(self, request: Request) -> int:
        """See `Chain`."""
        answer = self._one("eth_estimateGas", _request(request))
        if isinstance(answer, Fault):
            raise refused_call(answer, "eth_estimateGas")
        with strictly("eth_estimateGas"):
            return parse_quantity(answer, "gas")

    def fees(self) -> Fees:
        """See `Chain`; a network without base fee has 0, one that suggests no tip its gas price less the base fee."""
        history, tip, price = self._ask(
            [("eth_feeHistory", ["0x1", "latest", []]), ("eth_maxPriorityFeePerGas", []), ("eth_gasPrice", [])]
        )
        base = 0
        with strictly("the fees"):
            if isinstance(history, dict):
                fees = to_list(history.get("baseFeePerGas"), "baseFeePerGas")
                base = parse_quantity(fees[-1] if fees else None, "baseFeePerGas", bits=256)
            elif not isinstance(history, Fault):
                raise ChainLied("the chain's node answers eth_feeHistory with no object")
            if not isinstance(tip, Fault):
                return Fees(base, parse_quantity(tip, "tip", bits=256))
            if isinstance(price, Fault):
                raise ChainError(f"eth_gasPrice: {price.message} ({price.code})")
            return Fees(base, max(0, parse_quantity(price, "gas price", bits=256) - base))

    # --- logs ---

    def logs(self, *, first: int, last: int, addresses: Sequence[bytes] = (), topics: Topics = ()) -> list[Log]:
        """See `Chain`; asked for over fewer blocks where the node does not give as many."""
        found: list[Log] = []
        waiting = [(first, last)] if first <= last else []
        while waiting:
            low, high = waiting.pop()
            query: dict[str, Any] = {"fromBlock": hex(low), "toBlock": hex(high)}
            if addresses:
                query["address"] = [format_data(address) for address in addresses]
            if topics:
                query["topics"] = [_topic(topic) for topic in topics]
            try:
                answer = self._one("eth_getLogs", query)
            except AnswerTooLarge:
                if low == high:
                    raise
                answer = None
            if answer is None or (isinstance(answer, Fault) and low < high and asks_for_less(answer)):
                middle = (low + high) // 2
                waiting += [(middle + 1, high), (low, middle)]
                continue
            if isinstance(answer, Fault):
                raise ChainError(f"eth_getLogs: {answer.message} ({answer.code})")
            found += self._checked_logs(answer, low, high, addresses, topics)
        return found

    def _checked_logs(self, answer: Any, low: int, high: int, addresses: Sequence[bytes], topics: Topics) -> list[Log]:
        with strictly("eth_getLogs"):
            logs = [read_log(one) for one in to_list(answer, "logs")]
        blocks: dict[int, bytes] = {}
        before = (-1, -1)
        for log in logs:
            place = (log.number, log.position)
            fits = low <= log.number <= high and log.matches(addresses, topics)
            if not fits or place <= before or blocks.setdefault(log.number, log.block) != log.block:
                raise ChainLied("the chain's node answers with logs that were not asked for, or out of order")
            before = place
        return logs


def _read_raws(value: Any) -> list[bytes]:
    return [parse_data(one, "receipt", limit=MAX_DATA) for one in to_list(value, "receipts")]


def _at(block: int | None) -> str:
    return "latest" if block is None else hex(block)


def _topic(topic: bytes | Sequence[bytes] | None) -> str | list[str] | None:
    if topic is None or isinstance(topic, bytes):
        return None if topic is None else format_data(topic)
    return [format_data(one) for one in topic]


def _request(request: Request) -> dict[str, Any]:
    shown: dict[str, Any] = {"data": format_data(request.data)}
    fields: tuple[tuple[str, Any, Callable[[Any], str]], ...] = (
        ("to", request.to, format_data),
        ("from", request.sender, format_data),
        ("value", request.value or None, hex),
        ("gas", request.gas, hex),
    )
    shown |= {name: form(value) for name, value, form in fields if value is not None}
    if request.access_list:
        shown["accessList"] = [
            {"address": format_data(address), "storageKeys": [format_data(key) for key in keys]}
            for address, keys in request.access_list
        ]
    return shown
