"""Accounts, a small assembler, contracts made with it, and a chain with a clock that the test moves."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from eth_account import Account as EthAccount

# py-evm moves Python's recursion limit when it is imported, which hypothesis must not see within a test.
import twinproof.chain.embedded.pyevm  # noqa: F401
from twinproof.chain.embedded import EmbeddedChain, Genesis
from twinproof.chain.hexadecimal import format_address
from twinproof.chain.model import Receipt
from twinproof.testing import ManualClock

CHAIN_ID = 31337
KEYS = [sha256(b"embedded %d" % n).digest() for n in range(4)]
ADDRESSES = [bytes.fromhex(EthAccount.from_key(key).address[2:]) for key in KEYS]
FUNDS = 10**21
GWEI = 10**9
GENESIS = Genesis(CHAIN_ID, dict.fromkeys(ADDRESSES, FUNDS))

OPCODES = {
    "STOP": 0x00, "ADD": 0x01, "SUB": 0x03, "ISZERO": 0x15, "BYTE": 0x1A, "KECCAK256": 0x20, "ADDRESS": 0x30,
    "BALANCE": 0x31, "CALLER": 0x33, "CALLVALUE": 0x34, "CALLDATALOAD": 0x35, "CALLDATASIZE": 0x36,
    "CALLDATACOPY": 0x37, "CODECOPY": 0x39, "GASPRICE": 0x3A, "RETURNDATASIZE": 0x3D, "RETURNDATACOPY": 0x3E,
    "BLOCKHASH": 0x40, "COINBASE": 0x41, "TIMESTAMP": 0x42, "NUMBER": 0x43, "PREVRANDAO": 0x44, "GASLIMIT": 0x45,
    "CHAINID": 0x46, "SELFBALANCE": 0x47, "BASEFEE": 0x48, "POP": 0x50, "MLOAD": 0x51, "MSTORE": 0x52, "SLOAD": 0x54,
    "SSTORE": 0x55, "JUMP": 0x56, "JUMPI": 0x57, "GAS": 0x5A, "JUMPDEST": 0x5B, "TLOAD": 0x5C, "TSTORE": 0x5D,
    "MCOPY": 0x5E, "PUSH0": 0x5F, "DUP1": 0x80, "DUP2": 0x81, "SWAP1": 0x90, "LOG0": 0xA0, "LOG1": 0xA1, "LOG2": 0xA2,
    "LOG3": 0xA3, "LOG4": 0xA4, "CREATE": 0xF0, "CALL": 0xF1, "RETURN": 0xF3, "DELEGATECALL": 0xF4, "CREATE2": 0xF5,
    "STATICCALL": 0xFA, "REVERT": 0xFD, "INVALID": 0xFE, "SELFDESTRUCT": 0xFF,
}  # fmt: skip


def asm(text: str) -> bytes:
    """Opcodes by name; `0x…` pushes those bytes."""
    code = b""
    for word in text.split():
        if re.fullmatch("0x([0-9a-f]{2})+", word):
            pushed = bytes.fromhex(word[2:])
            code += bytes((0x5F + len(pushed),)) + pushed
        else:
            code += bytes((OPCODES[word],))
    return code


def deploying(runtime: bytes) -> bytes:
    """Init code that leaves `runtime`."""
    size = len(runtime).to_bytes(2, "big").hex()
    return asm(f"0x{size} 0x000d PUSH0 CODECOPY 0x{size} PUSH0 RETURN").ljust(13, b"\0") + runtime


def words(*numbers: int) -> bytes:
    """Big-endian words of 32 bytes."""
    return b"".join(number.to_bytes(32, "big") for number in numbers)


STORE = asm(
    "0x20 CALLDATALOAD PUSH0 CALLDATALOAD SSTORE 0x20 CALLDATALOAD PUSH0 MSTORE PUSH0 CALLDATALOAD 0x20 PUSH0 LOG1"
)
"""storage[first word] = second word, with an event: topic the first, data the second."""
READ = asm("PUSH0 CALLDATALOAD SLOAD PUSH0 MSTORE 0x20 PUSH0 RETURN")
REFUSE = asm("CALLDATASIZE PUSH0 PUSH0 CALLDATACOPY CALLDATASIZE PUSH0 REVERT")
"""Reverts with what it is given."""
BURN = asm("JUMPDEST PUSH0 JUMP")
FAIL = asm("INVALID")
P256 = asm(
    "CALLDATASIZE PUSH0 PUSH0 CALLDATACOPY 0x20 0x0200 CALLDATASIZE PUSH0 0x0100 GAS STATICCALL 0x01 SSTORE "
    "RETURNDATASIZE PUSH0 SSTORE 0x0200 MLOAD 0x02 SSTORE"
)
"""Asks the precompile at 0x100; keeps the answer's size, whether it succeeded, and its first word."""
SHA_LOOP = asm(
    "PUSH0 CALLDATALOAD JUMPDEST DUP1 ISZERO 0x0022 JUMPI 0x01 SWAP1 SUB 0x20 PUSH0 0x40 PUSH0 0x02 GAS STATICCALL POP "
    "0x0002 JUMP"
)
SHA_LOOP = SHA_LOOP.ljust(0x22, b"\0") + asm("JUMPDEST PUSH0 MLOAD PUSH0 SSTORE STOP")
"""SHA-256 of 64 bytes of memory into the first 32, as often as the first word says."""
SEEN = (
    "COINBASE PUSH0 SSTORE TIMESTAMP 0x01 SSTORE NUMBER 0x02 SSTORE PREVRANDAO 0x03 SSTORE GASLIMIT 0x04 SSTORE "
    "CHAINID 0x05 SSTORE BASEFEE 0x06 SSTORE 0x01 NUMBER SUB BLOCKHASH 0x07 SSTORE GASPRICE 0x08 SSTORE CALLER 0x09 "
    "SSTORE CALLVALUE 0x0a SSTORE SELFBALANCE 0x0b SSTORE 0x05 0x01 TSTORE 0x01 TLOAD 0x0c SSTORE"
)
WORLD = asm(SEEN)
"""Keeps what it sees of the block and the transaction."""
DEEP = asm("PUSH0 PUSH0 PUSH0 PUSH0 PUSH0 ADDRESS GAS CALL 0x01 PUSH0 SLOAD ADD PUSH0 SSTORE")
"""Calls itself until the gas or the depth (1,024) ends."""
DIE = asm("CALLER SELFDESTRUCT")


def signed(sender: int, nonce: int, **fields: Any) -> bytes:
    """A signed transaction of account `sender`, of type 2 unless `type` or `gasPrice` says otherwise."""
    transaction: dict[str, Any] = {
        "chainId": CHAIN_ID,
        "nonce": nonce,
        "gas": 200_000,
        "value": 0,
        "data": b"",
        **fields,
    }
    if "gasPrice" not in transaction:
        transaction = {"maxFeePerGas": 2 * GWEI, "maxPriorityFeePerGas": 1, **transaction}
    transaction = {name: value for name, value in transaction.items() if value is not None}
    if "accessList" in transaction:
        transaction["accessList"] = [
            {"address": format_address(address), "storageKeys": [f"0x{key.hex()}" for key in keys]}
            for address, keys in transaction["accessList"]
        ]
    return bytes(EthAccount.from_key(KEYS[sender]).sign_transaction(transaction).raw_transaction)


class Rig:
    """An embedded chain with its clock."""

    def __init__(self, path: Path | None = None, genesis: Genesis | None = GENESIS, **options: Any) -> None:
        self.clock = ManualClock()
        self.chain = EmbeddedChain.open(path, genesis=genesis, clock=self.clock, **options)

    def send(self, sender: int = 0, **fields: Any) -> Receipt:
        """Sign with the next nonce, send, and see what became of it."""
        return self.receipt(self.chain.send(signed(sender, self.chain.nonce(ADDRESSES[sender]), **fields)))

    def receipt(self, digest: bytes) -> Receipt:
        found = self.chain.receipt(digest)
        assert found is not None
        return found

    def deploy(self, runtime: bytes) -> bytes:
        """The address of a new contract with this code."""
        receipt = self.send(data=deploying(runtime), gas=3_000_000)
        assert receipt.succeeded
        assert receipt.contract is not None
        return receipt.contract

    def slots(self, address: bytes, slots: Sequence[int]) -> list[int]:
        return [int.from_bytes(self.chain.storage(address, slot), "big") for slot in slots]
