"""What callers of Ethereum's JSON-RPC pass in, read strictly into what the `Chain` Protocol takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from twinproof.chain.hexadecimal import parse_data, parse_quantity
from twinproof.chain.model import Block, Chain, Request, Topics
from twinproof.chain.transactions import MAX_BYTES, AccessList
from twinproof.errors import ChainError, Malformed, TooLarge

MAX_FILTER: Final = 1000
"""Addresses, or topics at one place."""
_NEWEST: Final = ("latest", "pending", "safe", "finalized")
_CALL_FIELDS: Final = {
    "from", "to", "gas", "gasPrice", "maxFeePerGas", "maxPriorityFeePerGas", "value", "input", "data", "nonce", "type",
    "chainId", "accessList",
}  # fmt: skip


def as_hash(value: object, field: str = "hash") -> bytes:
    return parse_data(value, field, size=32)


def as_address(value: object, field: str = "address") -> bytes:
    return parse_data(value, field, size=20)


def as_flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise Malformed("hydrated", "must be true or false")
    return value


def block_at(chain: Chain, tag: object) -> Block | None:
    """The block that a number or a word names."""
    if tag is None or tag in _NEWEST:
        return chain.head()
    return chain.block(0 if tag == "earliest" else parse_quantity(tag, "block"))


def moment(chain: Chain, tag: object) -> int | None:
    """A block parameter, EIP-1898's objects too, as the Protocol takes it: None is the newest state."""
    if isinstance(tag, dict):
        known = tag.keys() <= {"blockHash", "requireCanonical"} or tag.keys() == {"blockNumber"}
        if not known or not tag:
            raise Malformed("block", "an object has blockHash or blockNumber (EIP-1898)")
        if "blockNumber" in tag:
            return parse_quantity(tag["blockNumber"], "block.blockNumber")
        block = chain.block(as_hash(tag.get("blockHash"), "block.blockHash"))
        if block is None:
            raise ChainError("header not found")
        return block.number
    if tag is None or tag in _NEWEST:
        return None
    return 0 if tag == "earliest" else parse_quantity(tag, "block")


def as_request(value: object) -> Request:
    if not isinstance(value, dict) or not value.keys() <= _CALL_FIELDS:
        raise Malformed("transaction", f"must be an object of {', '.join(sorted(_CALL_FIELDS))}")
    given = {name: item for name, item in value.items() if item is not None}
    for name in ("gasPrice", "maxFeePerGas", "maxPriorityFeePerGas", "nonce", "type", "chainId"):
        if name in given:
            parse_quantity(given[name], f"transaction.{name}", bits=256)  # well-formed; a call pays nothing
    data = parse_data(given.get("input", given.get("data", "0x")), "transaction.input", limit=MAX_BYTES)
    if "data" in given and parse_data(given["data"], "transaction.data", limit=MAX_BYTES) != data:
        raise Malformed("transaction", "data and input differ; send input alone")
    return Request(
        to=as_address(given["to"], "transaction.to") if "to" in given else None,
        data=data,
        value=parse_quantity(given.get("value", "0x0"), "transaction.value", bits=256),
        sender=as_address(given["from"], "transaction.from") if "from" in given else None,
        gas=parse_quantity(given["gas"], "transaction.gas") if "gas" in given else None,
        access_list=_access_list(given.get("accessList", [])),
    )


def _access_list(value: object) -> AccessList:
    if not isinstance(value, list) or len(value) > MAX_FILTER:
        raise Malformed("transaction.accessList", f"must be a list of at most {MAX_FILTER} entries")
    found = []
    for entry in value:
        if not isinstance(entry, dict) or entry.keys() != {"address", "storageKeys"}:
            raise Malformed("transaction.accessList", "an entry has address and storageKeys")
        keys = entry["storageKeys"]
        if not isinstance(keys, list) or len(keys) > MAX_FILTER:
            raise Malformed("transaction.accessList", "storageKeys must be a list")
        found.append((as_address(entry["address"]), tuple(as_hash(key, "storageKeys") for key in keys)))
    return tuple(found)


def as_addresses(value: object) -> list[bytes]:
    listed = [] if value is None else value if isinstance(value, list) else [value]
    if len(listed) > MAX_FILTER:
        raise TooLarge("filter.address", f"limit exceeded: more than {MAX_FILTER}")
    return [as_address(one, "filter.address") for one in listed]


def as_topics(value: object) -> Topics:
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > 4:
        raise Malformed("filter.topics", "must be a list of at most 4")
    found: list[bytes | Sequence[bytes] | None] = []
    for one in value:
        if isinstance(one, list):
            if len(one) > MAX_FILTER:
                raise TooLarge("filter.topics", f"limit exceeded: more than {MAX_FILTER} at one place")
            # An empty list lets everything through, as null does.
            found.append([as_hash(topic, "filter.topics") for topic in one] or None)
        else:
            found.append(None if one is None else as_hash(one, "filter.topics"))
    return found
