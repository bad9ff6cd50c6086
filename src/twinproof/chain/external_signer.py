"""A signer elsewhere: clef (`account_signTransaction`) or web3signer and nodes (`eth_signTransaction`), by JSON-RPC.

What comes back is taken apart and compared field by field; the key's keeper can decline, but not sign something else.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from twinproof.chain.hexadecimal import ADDRESS_SIZE, format_address, format_data, parse_data
from twinproof.chain.rpc_client import Fault, RpcClient
from twinproof.chain.signing import Unsigned, unsigned
from twinproof.chain.transactions import MAX_BYTES, parse_transaction
from twinproof.errors import BadSignature, Malformed, NotAuthorised, TransactionRefused

Method = Literal["account_signTransaction", "eth_signTransaction"]

CLEF: Final[Method] = "account_signTransaction"
WEB3SIGNER: Final[Method] = "eth_signTransaction"


class ExternalSigner:
    """See `Signer`. The client's timeout must leave time for whoever approves by hand."""

    def __init__(self, client: RpcClient, address: bytes, method: Method = CLEF) -> None:
        if len(address) != ADDRESS_SIZE:
            raise Malformed("address", f"has {len(address)} bytes, not {ADDRESS_SIZE}")
        self._client = client
        self._address = address
        self._method = method

    @property
    def address(self) -> bytes:
        """20 bytes."""
        return self._address

    def sign_transaction(self, transaction: Unsigned) -> bytes:
        """See `Signer`."""
        # Once: a person may be asked at the other end.
        answer = self._client.call(self._method, [_shown(transaction, self._address)], retry=False)
        if isinstance(answer, Fault):
            raise NotAuthorised(f"the signer {self._client.host} declines: {answer.message} ({answer.code})")
        # clef and geth answer with an object, web3signer with the bytes alone.
        told = answer.get("raw") if isinstance(answer, dict) else answer
        try:
            raw = parse_data(told, "raw", limit=MAX_BYTES)
            signed = parse_transaction(raw)
            same = unsigned(signed) == transaction
        except (Malformed, TransactionRefused) as problem:
            raise BadSignature(f"the signer {self._client.host} returns no such transaction: {problem}") from None
        if not same:
            raise BadSignature(f"the signer {self._client.host} signed another transaction than it was given")
        if signed.sender != self._address:
            raise BadSignature(
                f"the signer {self._client.host} signed for {format_address(signed.sender)}, "
                f"not for {format_address(self._address)}"
            )
        return raw


def _shown(transaction: Unsigned, sender: bytes) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "type": "0x2",
        "from": format_address(sender),
        "chainId": hex(transaction.chain_id),
        "nonce": hex(transaction.nonce),
        "gas": hex(transaction.gas),
        "maxFeePerGas": hex(transaction.max_fee),
        "maxPriorityFeePerGas": hex(transaction.max_tip),
        "value": hex(transaction.value),
        "data": format_data(transaction.data),
        "input": format_data(transaction.data),
    }
    if transaction.to is not None:
        shown["to"] = format_address(transaction.to)
    if transaction.access_list:
        shown["accessList"] = [
            {"address": format_address(address), "storageKeys": [format_data(key) for key in keys]}
            for address, keys in transaction.access_list
        ]
    return shown
