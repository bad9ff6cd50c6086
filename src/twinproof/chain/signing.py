"""What is signed: EIP-1559 transactions, and the address that a signature comes from.

    keccak256(0x02 ‖ rlp([chain id, nonce, max tip, max fee, gas, to, value, data, access list]))

Twinproof signs this type alone. `transactions` reads signed bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from twinproof.chain import rlp
from twinproof.chain.hexadecimal import ADDRESS_SIZE, HASH_SIZE, keccak
from twinproof.chain.transactions import MAX_BYTES, AccessList, Transaction
from twinproof.errors import BadSignature, Malformed, TooLarge

TYPE: Final = 2
"""EIP-2718 type byte."""
SECP256K1_ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
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


def recover(digest: bytes, signature: bytes) -> bytes:
    """The address whose key made r ‖ s ‖ y parity (0 or 1) over a digest; raises `BadSignature`, also for a high s."""
    from coincurve import PublicKey  # here, because most commands never read a signature

    if len(signature) != 65 or signature[64] > 1 or len(digest) != HASH_SIZE:
        raise BadSignature("a recoverable signature has 64 bytes and a parity of 0 or 1, over 32 bytes")
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
    if not 0 < r < SECP256K1_ORDER or not 0 < s <= SECP256K1_ORDER // 2:
        raise BadSignature("r or s is out of range, or s is high: a malleable copy (EIP-2)")
    try:
        key = PublicKey.from_signature_and_message(signature, digest, hasher=None)
    except ValueError:
        raise BadSignature("the signature leads to no key") from None
    return keccak(key.format(compressed=False)[1:])[-ADDRESS_SIZE:]
