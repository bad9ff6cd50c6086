"""COSE Receipts (RFC 9942) of the RFC 9162 SHA-256 tree.

    18([ << {1: alg, 4: kid, 15: {1: origin, 2: origin}, 395: 1, -70003: tree size} >>,
         {396: {-1: [ << [tree size, leaf index, [path hash, …]] >> ]}},      inclusion
         {396: {-2: [ << [old size, new size, [path hash, …]] >> ]}},         or consistency
         nil,                                                                 the root is detached
         signature over the root ])

RFC 9942 signs the root but not the size that belongs to it, and one root can be reached as if it
were of another size: a receipt would prove that the log holds the entry, and never where. So the
signed size stands in the protected header too, under a private label that other verifiers pass
over; with the size fixed, a path holds for one index alone. Header 15 names the log as issuer and
subject, so one signature serves all receipts of a tree size. RFC 9942's CDDL wants at least one
path hash: no receipt exists for the only leaf of a tree of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from twinproof.errors import BadProof, Malformed, TooLarge
from twinproof.proof import cbor, cose, merkle
from twinproof.proof.keys import PrivateKey, PublicKey

VDS: Final = 395
"""Protected header: the verifiable data structure."""
VDP: Final = 396
"""Unprotected header: its proofs."""
TREE_SIZE: Final = -70003
"""Protected header: leaves of the tree whose root is signed. Private-use label (RFC 9052 §11.1)."""
RFC9162_SHA256: Final = 1
INCLUSION: Final = -1
CONSISTENCY: Final = -2
_HEADERS: Final = frozenset((cose.ALG, cose.KID, cose.CWT_CLAIMS, VDS, TREE_SIZE))
MAX_RECEIPT: Final = 8 * 1024
MAX_PATH: Final = 126
"""Hashes: a consistency proof has at most twice the tree's height."""


@dataclass(frozen=True, slots=True)
class SignedRoot:
    """A root signed for receipts: what all receipts of one tree size share."""

    size: int
    protected: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Receipt:
    """A parsed receipt; `kind` is `INCLUSION` (first, second = size, index) or `CONSISTENCY` (old, new).

    The tree size (the new one) is the one in the protected header: the log's signature covers it.
    """

    sign1: cose.Sign1
    kind: int
    first: int
    second: int
    path: tuple[bytes, ...]

    @property
    def issuer(self) -> str:
        """The log's origin, as the protected header claims it."""
        issuer: str = cose.scitt_claims(self.sign1.headers)[cose.ISS]
        return issuer

    @property
    def kid(self) -> bytes:
        """Thumbprint of the log's key."""
        kid: bytes = self.sign1.headers[cose.KID]
        return kid


def sign_root(key: PrivateKey, origin: str, size: int, root: bytes) -> SignedRoot:
    """Sign `root` of the tree of `size` leaves for the log `origin`."""
    headers: cose.Header = {
        cose.KID: key.public.thumbprint,
        cose.CWT_CLAIMS: {cose.ISS: origin, cose.SUB: origin},
        VDS: RFC9162_SHA256,
        TREE_SIZE: size,
    }
    signed = cose.sign(key, headers, root)
    return SignedRoot(size, signed.protected, signed.signature)


def _format(signed: SignedRoot, kind: int, proof: list[cbor.Value]) -> bytes:
    if not proof[2]:
        raise ValueError("a receipt needs at least one path hash (RFC 9942)")
    unprotected: cose.Header = {VDP: {kind: [cbor.encode(proof)]}}
    return cose.format_sign1(cose.Sign1(signed.protected, unprotected, None, signed.signature))


def format_inclusion(signed: SignedRoot, index: int, path: Sequence[bytes]) -> bytes:
    """The receipt of the entry at `index`."""
    return _format(signed, INCLUSION, [signed.size, index, list(path)])


def format_consistency(signed: SignedRoot, old: int, path: Sequence[bytes]) -> bytes:
    """The receipt that the signed tree extends the tree of `old` leaves."""
    return _format(signed, CONSISTENCY, [old, signed.size, list(path)])


def parse_receipt(data: bytes) -> Receipt:
    """Read a receipt with one proof; raises `Malformed` naming the field."""
    if len(data) > MAX_RECEIPT:
        raise TooLarge("receipt", f"{len(data)} bytes, the limit is {MAX_RECEIPT}")
    sign1 = cose.parse_sign1(data, what="receipt")
    headers = sign1.headers
    claims = cose.scitt_claims(headers)
    if claims.keys() != {cose.ISS, cose.SUB} or claims[cose.ISS] != claims[cose.SUB]:
        raise Malformed("receipt claims", "iss and sub are the log's origin, both, and nothing else is claimed")
    if type(headers.get(cose.KID)) is not bytes:
        raise Malformed("receipt kid", "missing from the protected header: it names the log's key")
    if headers.keys() - _HEADERS:
        raise Malformed("receipt", "the protected header has a label that receipts do not have")
    if headers.get(VDS) != RFC9162_SHA256 or type(headers[VDS]) is not int:
        raise Malformed("receipt vds", "header 395 must be protected and 1 (RFC9162_SHA256)")
    if sign1.payload is not None:
        raise Malformed("receipt payload", "must be detached (nil)")
    if sign1.unprotected.keys() != {VDP}:
        raise Malformed("receipt", "the unprotected header holds just the proofs (396)")
    proofs = sign1.unprotected[VDP]
    if type(proofs) is not dict or len(proofs) != 1 or not proofs.keys() <= {INCLUSION, CONSISTENCY}:
        raise Malformed("receipt proofs", "must be one kind, inclusion (-1) or consistency (-2)")
    ((kind, encoded),) = proofs.items()
    if type(encoded) is not list or len(encoded) != 1 or type(encoded[0]) is not bytes:
        raise Malformed("receipt proofs", "must be an array of one byte string")
    value = cbor.decode(encoded[0], what="receipt proof")
    if (
        type(value) is not list
        or len(value) != 3
        or not all(type(number) is int and 0 <= number < merkle.MAX_SIZE for number in value[:2])
        or type(value[2]) is not list
    ):
        raise Malformed("receipt proof", "not [size, index or size, path]")
    if headers.get(TREE_SIZE) != value[0 if kind == INCLUSION else 1] or type(headers[TREE_SIZE]) is not int:
        raise Malformed("receipt tree size", f"protected header {TREE_SIZE} must be there and be the proof's tree size")
    path = value[2]
    if not 1 <= len(path) <= MAX_PATH or any(type(item) is not bytes or len(item) != merkle.HASH_SIZE for item in path):
        raise Malformed("receipt path", f"must be 1..{MAX_PATH} hashes of {merkle.HASH_SIZE} bytes")
    return Receipt(sign1, int(kind), value[0], value[1], tuple(path))


def check_inclusion_receipt(receipt: Receipt, leaf: bytes, key: PublicKey) -> bytes:
    """Prove that the log holds the entry with the hash `leaf` at `receipt.second`; returns the signed root.

    Raises `BadProof` if the path leads nowhere, `BadSignature` if the log did not sign where it leads.
    """
    if receipt.kind != INCLUSION:
        raise BadProof("this receipt is of consistency, not of inclusion")
    root = merkle.root_from_inclusion(leaf, receipt.second, receipt.first, receipt.path)
    cose.check_signature(receipt.sign1, key, payload=root)
    return root


def check_consistency_receipt(receipt: Receipt, old_root: bytes, new_root: bytes, key: PublicKey) -> None:
    """Prove that the log extended the tree with `old_root` to the one with `new_root`."""
    if receipt.kind != CONSISTENCY:
        raise BadProof("this receipt is of inclusion, not of consistency")
    cose.check_signature(receipt.sign1, key, payload=new_root)
    merkle.check_consistency(receipt.first, receipt.second, old_root, new_root, receipt.path)
