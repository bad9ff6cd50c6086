"""Who made an ECDSA signature on secp256k1: Ethereum's signatures carry enough to compute the key (SEC 1, §4.1.6)."""

from __future__ import annotations

from typing import Final

from twinproof.chain.hexadecimal import ADDRESS_SIZE, HASH_SIZE, keccak
from twinproof.errors import BadSignature

SECP256K1_ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""Of the group (SEC 2, §2.4.1)."""


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
