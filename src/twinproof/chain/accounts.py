"""Accounts: who signs transactions. A key in this process, in an encrypted file (`keystore`), or elsewhere
(`external_signer`); the sender sees a `Signer`.

Signatures are deterministic (RFC 6979) with a low s, so the same transaction signed again is the same bytes.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, Final, Protocol

from coincurve import PrivateKey

from twinproof.chain.hexadecimal import ADDRESS_SIZE, format_address, keccak
from twinproof.chain.recovery import SECP256K1_ORDER, recover
from twinproof.chain.signing import Unsigned
from twinproof.chain.typed_data import Types, typed_digest
from twinproof.errors import BadSignature, Malformed

KEY_SIZE: Final = 32
SIGNATURE_SIZE: Final = 65
"""r ‖ s ‖ v, as contracts take it; v is 27 or 28."""


class Signer(Protocol):
    """Signs for one address. May be called from any thread; each call stands alone."""

    @property
    def address(self) -> bytes:
        """20 bytes."""
        ...

    def sign_transaction(self, transaction: Unsigned) -> bytes:
        """The bytes to send: exactly this transaction, signed by `address`.

        Raises `BadSignature` if a signer elsewhere returns anything else, `ChainUnreachable` if it does not
        answer, `NotAuthorised` if it declines.
        """
        ...


class Account:
    """A secp256k1 key in this process."""

    def __init__(self, key: bytes) -> None:
        """Raises `Malformed` unless `key` is 32 bytes of 1 to the group's order - 1."""
        if len(key) != KEY_SIZE or not 0 < int.from_bytes(key, "big") < SECP256K1_ORDER:
            raise Malformed("key", f"is not a secp256k1 key: {KEY_SIZE} bytes of 1 to the group's order - 1")
        self._key = PrivateKey(key)
        self._address = keccak(self._key.public_key.format(compressed=False)[1:])[-ADDRESS_SIZE:]

    @classmethod
    def generate(cls) -> Account:
        """A fresh account from the system's randomness."""
        while True:
            try:
                return cls(secrets.token_bytes(KEY_SIZE))
            except Malformed:  # one draw in 2^128 is out of range
                continue

    @property
    def address(self) -> bytes:
        """20 bytes."""
        return self._address

    @property
    def key(self) -> bytes:
        """The secret, 32 bytes."""
        return bytes(self._key.secret)

    def __str__(self) -> str:
        return format_address(self._address)

    def __repr__(self) -> str:
        return f"<Account {self}>"

    def _sign(self, digest: bytes) -> bytes:
        return bytes(self._key.sign_recoverable(digest, hasher=None))

    def sign_transaction(self, transaction: Unsigned) -> bytes:
        """See `Signer`."""
        return transaction.signed(self._sign(transaction.signing_hash))

    def sign_digest(self, digest: bytes) -> bytes:
        """r ‖ s ‖ v over 32 bytes, as `ecrecover` takes it."""
        if len(digest) != 32:
            raise Malformed("digest", f"has {len(digest)} bytes, not 32")
        signature = self._sign(digest)
        return signature[:64] + bytes([27 + signature[64]])

    def sign_typed(self, domain: Mapping[str, Any], types: Types, message: Mapping[str, Any]) -> bytes:
        """r ‖ s ‖ v over EIP-712 data; see `typed_digest`."""
        return self.sign_digest(typed_digest(domain, types, message))


def recover_address(digest: bytes, signature: bytes) -> bytes:
    """The address that made r ‖ s ‖ v (27 or 28) over a digest; raises `BadSignature`."""
    if len(signature) != SIGNATURE_SIZE or signature[64] not in (27, 28):
        raise BadSignature(f"a signature has {SIGNATURE_SIZE} bytes, the last 27 or 28")
    return recover(digest, signature[:64] + bytes([signature[64] - 27]))
