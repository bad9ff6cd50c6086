"""What is signed: EIP-1559 transactions.

    keccak256(0x02 ‖ rlp([chain id, nonce, max tip, max fee, gas, to, value, data, access list]))

Twinproof signs this type alone. `transactions` reads signed bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from twinproof.chain import rlp
from twinproof.chain.hexadecimal import ADDRESS_SIZE, keccak
from twinproof.chain.transactions import MAX_BYTES, AccessList, Transaction
from twinproof.errors import Malformed, TooLarge

TYPE: Final = 2
"""EIP-2718 type byte."""
_BITS: Final = {"chain_id": 64, "nonce": 64, "max_tip": 256, "max_fee": 256, "gas": 64, "value": 256}


@dataclass(frozen=True, slots=True)
class Unsigned:
    """Everything that a signature covers; amounts in wei. Raises `Malformed` when made of impossible values."""

    chain_id: int
    nonce: int
    max_tip: int
    """What the block's maker gets for a unit of gas, at most."""
    max_fee: int
    """Base fee and tip of a unit of gas, at most."""
    gas: int
    """Gas limit."""
    to: bytes | None
    """None creates a contract."""
    value: int = 0
    data: bytes = b""
    access_list: AccessList = ()
    """EIP-2930."""

    def __post_init__(self) -> None:
        for name, bits in _BITS.items():
            number = getattr(self, name)
            if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < 1 << bits:
                raise Malformed(f"transaction.{name}", f"is not a number of at most {bits} bits")
        if self.to is not None and len(self.to) != ADDRESS_SIZE:
            raise Malformed("transaction.to", f"has {len(self.to)} bytes, not {ADDRESS_SIZE}")
        if self.max_tip > self.max_fee:
            raise Malformed("transaction.max_tip", "is above max_fee")
        if self.nonce == (1 << 64) - 1:
            raise Malformed("transaction.nonce", "is the last one, which EIP-2681 forbids")

    @property
    def max_cost(self) -> int:
        """Wei that the account must hold: the value, and the whole gas limit at `max_fee`."""
        return self.value + self.gas * self.max_fee

    @property
    def signing_hash(self) -> bytes:
        """What the sender signs, 32 bytes."""
        return keccak(bytes([TYPE]) + rlp.encode(self._fields()))

    def signed(self, signature: bytes) -> bytes:
        """The bytes to send, with r ‖ s ‖ y parity (0 or 1); raises `TooLarge`."""
        parts = (signature[64], int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big"))
        raw = bytes([TYPE]) + rlp.encode([*self._fields(), *map(rlp.integer, parts)])
        if len(raw) > MAX_BYTES:
            raise TooLarge("transaction", f"has {len(raw)} bytes, more than {MAX_BYTES}")
        return raw

    def _fields(self) -> list[rlp.Item]:
        numbers = [rlp.integer(one) for one in (self.chain_id, self.nonce, self.max_tip, self.max_fee, self.gas)]
        return [*numbers, self.to or b"", rlp.integer(self.value), self.data, self.access_list]


def unsigned(transaction: Transaction) -> Unsigned:
    """What was signed in a transaction of type 2; raises `Malformed` for another type."""
    if transaction.type != TYPE or transaction.chain_id is None:
        raise Malformed("transaction", f"is of type {transaction.type}, not {TYPE} (EIP-1559)")
    return Unsigned(
        chain_id=transaction.chain_id,
        nonce=transaction.nonce,
        max_tip=transaction.max_tip,
        max_fee=transaction.max_fee,
        gas=transaction.gas,
        to=transaction.to,
        value=transaction.value,
        data=transaction.data,
        access_list=transaction.access_list,
    )
