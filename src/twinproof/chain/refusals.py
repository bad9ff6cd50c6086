"""What nodes mean when they refuse: the words of anvil, geth, Besu, Erigon, Nethermind and Reth as errors.

No standard fixes these messages, and the codes differ, too; what is not known becomes a plain `ChainError`,
after which a transaction that was sent may have been taken.
"""

from __future__ import annotations

import re
from typing import Any, Final

from twinproof.chain.abi import explain_revert
from twinproof.chain.hexadecimal import parse_data
from twinproof.chain.rpc_client import Fault
from twinproof.errors import (
    ChainError,
    Malformed,
    NonceTaken,
    OutOfFunds,
    Reverted,
    TransactionRefused,
    Underpriced,
    WrongChain,
)

_KNOWN: Final = re.compile(r"already known|already imported|\bknown transaction|alreadyknown|already in pool", re.ASCII)
"""The node has it: no refusal. An unknown transaction type is one."""
_REFUSALS: Final[tuple[tuple[type[ChainError], tuple[str, ...]], ...]] = (
    (WrongChain, ("chain id", "chainid", "wrong chain", "invalid sender", "replay-protected", "replay protected")),
    (
        Underpriced,
        (
            "underpriced",
            "less than block base fee",
            "fee cap less than",
            "feetoolow",
            "fee too low",
            "gas price too low",
            "gas price below",
            "below configured minimum",
            "below current base fee",
            "less than the current base fee",
        ),
    ),
    (NonceTaken, ("nonce too low", "oldnonce", "old nonce", "nonce below", "below sender account nonce")),
    (OutOfFunds, ("insufficient funds", "insufficientfunds", "upfront cost exceeds", "insufficient balance")),
    (
        TransactionRefused,
        (
            "intrinsic gas",
            "exceeds block gas limit",
            "gas limit exceeds",
            "exceeds the configured cap",
            "exceeds maximum",
            "oversized",
            "max initcode",
            "invalid signature",
            "type not supported",
            "unknown transaction type",
            "tx type",
            "nonce too high",
            "nonce gap",
            "not authorized",
            "not authorised",
            "not permitted",
        ),
    ),
)
_LIMITS: Final = (
    "limit exceeded",
    "more than",
    "block range",
    "range is too",
    "too many",
    "exceeds",
    "exceeded",
    "response size",
    "too large",
)
MISSING_METHOD: Final = -32601


def refused_call(fault: Fault, doing: str) -> ChainError:
    """The error of a call or an estimate: `Reverted`, `OutOfFunds` or `ChainError`."""
    words = fault.message.lower()
    data = _revert_data(fault.data)
    if "insufficient funds" in words or "upfront cost exceeds" in words or "insufficient balance" in words:
        return OutOfFunds(f"{doing}: {fault.message}")
    # Code 3 is geth's and anvil's for a revert. Others say so in words; the data alone could be anything.
    if fault.code == 3 or "revert" in words:
        return Reverted(explain_revert(data), data)
    return ChainError(f"{doing}: {fault.message} ({fault.code})")


def refused_transaction(fault: Fault) -> ChainError | None:
    """The error of `eth_sendRawTransaction`; None if the node says that it has the transaction already."""
    words = fault.message.lower()
    if _KNOWN.search(words):
        return None
    for error, told in _REFUSALS:
        if any(word in words for word in told):
            return error(f"the chain refuses the transaction: {fault.message}")
    return ChainError(f"the chain's node did not take the transaction: {fault.message} ({fault.code})")


def asks_for_less(fault: Fault) -> bool:
    """Whether a query of logs is to be made over fewer blocks."""
    words = fault.message.lower()
    return fault.code == -32005 or any(word in words for word in _LIMITS)


def _revert_data(value: Any) -> bytes:
    """The contract's bytes: text by itself, within an object, or behind a word (`Reverted 0x…`)."""
    if isinstance(value, dict):
        value = value.get("data", value.get("output"))
    if isinstance(value, str):
        try:
            return parse_data(value[value.find("0x") :] if "0x" in value else value, "data", limit=1 << 20)
        except Malformed:
            return b""
    return b""
