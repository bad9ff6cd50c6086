"""A log that is anchored: true trees, forks of them, and what its owner signs."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from typing import Any, Final, NamedTuple

from tests.contracts.kit import CHAIN_ID, Deployed
from twinproof.chain.accounts import Account
from twinproof.proof import merkle


class Head(NamedTuple):
    """The contract's struct."""

    size: int
    time: int
    root: bytes


NONE: Final = Head(0, 0, bytes(32))
"""What is there before the first."""


@cache
def reader(fork: int | None = None) -> merkle.NodeReader:
    """The tree; with `fork`, another one that has the same leaves up to that index."""

    @cache
    def get(level: int, index: int) -> bytes:
        if level:
            return merkle.hash_node(get(level - 1, 2 * index), get(level - 1, 2 * index + 1))
        return sha256(b"%d/%s" % (index, b"forged" if fork is not None and index >= fork else b"")).digest()

    return get


def root(size: int, fork: int | None = None) -> bytes:
    """Of the first leaves."""
    return merkle.root(size, reader(fork))


def proof(old: int, new: int, fork: int | None = None) -> list[bytes]:
    """Of consistency, as the tree's own operator makes it."""
    return merkle.prove_consistency(old, new, reader(fork))


def signature(
    signer: Account, contract: Deployed, log_id: bytes, old: Head, size: int, new_root: bytes, **domain: Any
) -> bytes:
    """The owner's consent to one anchor (EIP-712)."""
    return signer.sign_typed(
        {
            "name": "Twinproof CheckpointAnchor",
            "version": "1",
            "chainId": CHAIN_ID,
            "verifyingContract": contract.address,
            **domain,
        },
        {
            "Anchor": [("logId", "bytes32"), ("old", "Head"), ("size", "uint64"), ("root", "bytes32")],
            "Head": [("size", "uint64"), ("time", "uint64"), ("root", "bytes32")],
        },
        {"logId": log_id, "old": old._asdict(), "size": size, "root": new_root},
    )
