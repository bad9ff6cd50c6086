"""Signed transactions of the types 0 (legacy, EIP-155), 1 (EIP-2930) and 2 (EIP-1559), read strictly.

    type 0   rlp([nonce, gasPrice, gas, to, value, data, v, r, s]),  v = 35 + 2 * chain id + parity
    type 1   0x01 ‖ rlp([chainId, nonce, gasPrice, gas, to, value, data, accessList, parity, r, s])
    type 2   0x02 ‖ rlp([chainId, nonce, maxPriorityFee, maxFee, gas, to, value, data, accessList, parity, r, s])

Blobs (type 3) and delegations (type 4) are not taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from twinproof.chain import rlp
from twinproof.chain.hexadecimal import keccak
from twinproof.chain.recovery import recover
from twinproof.errors import BadSignature, Malformed, TooLarge, TransactionRefused

MAX_BYTES: Final = 128 * 1024
"""What nodes of public networks take, too."""
MAX_INIT_CODE: Final = 49_152
"""Bytes (EIP-3860)."""
MAX_ACCESS: Final = 2048
"""Addresses and storage keys in an access list."""
MAX_NONCE: Final = 2**64 - 1
"""EIP-2681: the nonce stays below."""
AccessList = tuple[tuple[bytes, tuple[bytes, ...]], ...]


@dataclass(frozen=True)
class Transaction:
    """A signed transaction; `sender` is whoever made the signature."""

    type: int
    chain_id: int | None
    """None: a legacy transaction without replay protection."""
    nonce: int
    max_fee: int
    """Wei per gas; the gas price of the types 0 and 1."""
    max_tip: int
    gas: int
    to: bytes | None
    value: int
    data: bytes
    access_list: AccessList
    v: int
    """As it stands: the parity, but for type 0."""
    r: int
    s: int
    raw: bytes
    hash: bytes
    sender: bytes = b""

    def price(self, base_fee: int) -> int:
        """Wei per gas that is paid in a block with this base fee."""
        return min(self.max_fee, base_fee + self.max_tip)


def intrinsic_gas(to: bytes | None, data: bytes, access_list: AccessList) -> int:
    """What a transaction costs before any code runs (EIP-2028, EIP-2930, EIP-3860)."""
    zeros = data.count(0)
    gas = 21_000 + 4 * zeros + 16 * (len(data) - zeros)
    if to is None:
        gas += 32_000 + init_code_gas(data)
    return gas + sum(2_400 + 1_900 * len(keys) for _, keys in access_list)


def init_code_gas(data: bytes) -> int:
    """What looking through init code costs (EIP-3860)."""
    return 2 * ((len(data) + 31) // 32)


def floor_gas(data: bytes) -> int:
    """What a transaction costs at least for its data (EIP-7623)."""
    zeros = data.count(0)
    return 21_000 + 10 * (zeros + 4 * (len(data) - zeros))


def parse_transaction(raw: bytes) -> Transaction:
    """Read signed bytes and recover the sender.

    Raises `Malformed`, `BadSignature`, or `TransactionRefused` for a type that is not taken.
    """
    transaction, message = _read(raw)
    return replace(transaction, sender=_recover(transaction, message))


def read_transaction(raw: bytes, sender: bytes) -> Transaction:
    """Read signed bytes of a known sender, without looking at the signature. Raises as `parse_transaction`."""
    return replace(_read(raw)[0], sender=sender)


def created_address(sender: bytes, nonce: int) -> bytes:
    """Where CREATE puts a contract, by a transaction too (yellow paper §7)."""
    return keccak(rlp.encode([sender, rlp.integer(nonce)]))[12:]


def _read(raw: bytes) -> tuple[Transaction, bytes]:
    """With the bytes that were signed."""
    if len(raw) > MAX_BYTES:
        raise TooLarge("transaction", f"over {MAX_BYTES} bytes")
    if not raw:
        raise Malformed("transaction", "is empty")
    if raw[0] >= 0xC0:
        return _legacy(raw)
    if raw[0] in (1, 2):
        return _typed(raw)
    if raw[0] < 0x80:
        raise TransactionRefused(f"transaction type not supported: type {raw[0]}; send type 2, 1 or 0")
    raise Malformed("transaction", "neither RLP nor a transaction type")


def _legacy(raw: bytes) -> tuple[Transaction, bytes]:
    fields = rlp.to_list(rlp.decode(raw, "transaction"), "transaction", 9)
    v = rlp.to_integer(fields[6], "transaction.v", 72)
    price = rlp.to_integer(fields[1], "transaction.gasPrice")
    unsigned = list(fields[:6])
    chain_id: int | None = None
    if v >= 35:
        chain_id = (v - 35) // 2
        unsigned += [rlp.integer(chain_id), b"", b""]
    elif v not in (27, 28):
        raise Malformed("transaction.v", "must be 27, 28 or at least 35")
    return _transaction(raw, 0, chain_id, price, price, fields[0], fields[2:6], (), fields[6:]), rlp.encode(unsigned)


def _typed(raw: bytes) -> tuple[Transaction, bytes]:
    kind = raw[0]
    fields = rlp.to_list(rlp.decode(raw[1:], "transaction"), "transaction", 10 + kind)
    chain_id = rlp.to_integer(fields[0], "transaction.chainId", 64)
    if kind == 1:
        tip = fee = rlp.to_integer(fields[2], "transaction.gasPrice")
    else:
        tip = rlp.to_integer(fields[2], "transaction.maxPriorityFeePerGas")
        fee = rlp.to_integer(fields[3], "transaction.maxFeePerGas")
        if tip > fee:
            raise Malformed("transaction.maxPriorityFeePerGas", "is above maxFeePerGas")
    body = fields[2 + kind : 6 + kind]
    access = _access_list(fields[6 + kind])
    message = bytes((kind,)) + rlp.encode(list(fields[: 7 + kind]))
    return _transaction(raw, kind, chain_id, fee, tip, fields[1], body, access, fields[7 + kind :]), message


def _transaction(
    raw: bytes,
    kind: int,
    chain_id: int | None,
    fee: int,
    tip: int,
    nonce: rlp.Item,
    body: Sequence[rlp.Item],
    access: AccessList,
    signature: Sequence[rlp.Item],
) -> Transaction:
    gas, to, value, data = body
    recipient = rlp.to_bytes(to, "transaction.to")
    if recipient:
        rlp.to_bytes(recipient, "transaction.to", 20)
    v, r, s = signature
    return Transaction(
        type=kind,
        chain_id=chain_id,
        nonce=rlp.to_integer(nonce, "transaction.nonce", 64),
        max_fee=fee,
        max_tip=tip,
        gas=rlp.to_integer(gas, "transaction.gas", 64),
        to=recipient or None,
        value=rlp.to_integer(value, "transaction.value"),
        data=rlp.to_bytes(data, "transaction.data"),
        access_list=access,
        v=rlp.to_integer(v, "transaction.v", 72),
        r=rlp.to_integer(r, "transaction.r"),
        s=rlp.to_integer(s, "transaction.s"),
        raw=raw,
        hash=keccak(raw),
    )


def _access_list(item: rlp.Item) -> AccessList:
    found: list[tuple[bytes, tuple[bytes, ...]]] = []
    size = 0
    for entry in rlp.to_list(item, "transaction.accessList"):
        address, keys = rlp.to_list(entry, "transaction.accessList", 2)
        listed = rlp.to_list(keys, "transaction.accessList.storageKeys")
        size += 1 + len(listed)
        if size > MAX_ACCESS:
            raise TooLarge("transaction.accessList", f"over {MAX_ACCESS} addresses and keys")
        found.append(
            (
                rlp.to_bytes(address, "transaction.accessList.address", 20),
                tuple(rlp.to_bytes(key, "transaction.accessList.storageKeys", 32) for key in listed),
            )
        )
    return tuple(found)


def _recover(transaction: Transaction, message: bytes) -> bytes:
    parity = transaction.v
    if transaction.type == 0:
        parity = (parity - 27) if parity < 35 else (parity - 35) % 2
    if parity > 1:
        raise Malformed("transaction.v", "the parity must be 0 or 1")
    signature = transaction.r.to_bytes(32, "big") + transaction.s.to_bytes(32, "big") + bytes((parity,))
    try:
        return recover(keccak(message), signature)
    except BadSignature as problem:
        raise BadSignature(f"the transaction's signature: {problem}") from None
