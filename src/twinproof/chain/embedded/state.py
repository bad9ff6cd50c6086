"""Accounts and storage read straight from trie nodes (yellow paper, appendix D), without an EVM."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from twinproof.chain import rlp
from twinproof.chain.embedded.engine import Nodes
from twinproof.chain.encoding import EMPTY_CODE, EMPTY_TRIE
from twinproof.chain.hexadecimal import keccak
from twinproof.errors import Corrupt, Malformed


@dataclass(frozen=True)
class Account:
    """A leaf of the state trie."""

    nonce: int = 0
    balance: int = 0
    storage_root: bytes = EMPTY_TRIE
    code_hash: bytes = EMPTY_CODE


def account(nodes: Nodes, root: bytes, address: bytes) -> Account:
    """The account, or an empty one. Raises what `nodes` raises, and `Corrupt`."""
    leaf = _get(nodes, root, keccak(address))
    return Account() if leaf is None else _account(leaf)


def storage(nodes: Nodes, root: bytes, address: bytes, slot: int) -> bytes:
    """A storage slot's 32 bytes."""
    leaf = _get(nodes, account(nodes, root, address).storage_root, keccak(slot.to_bytes(32, "big")))
    return bytes(32) if leaf is None else rlp.to_bytes(_decode(leaf), "storage").rjust(32, b"\0")


def code(nodes: Nodes, root: bytes, address: bytes) -> bytes:
    """A contract's code."""
    digest = account(nodes, root, address).code_hash
    return b"" if digest == EMPTY_CODE else nodes(digest)


def reachable(nodes: Nodes, root: bytes, seen: set[bytes]) -> None:
    """Add to `seen` the hashes of all nodes and code of the state at `root`; those in it already are not read."""
    pending = [] if root == EMPTY_TRIE else [(root, True)]
    while pending:
        digest, in_state = pending.pop()
        if digest in seen:
            continue
        seen.add(digest)
        for child, is_leaf in _children(_decode(nodes(digest))):
            if not is_leaf:
                pending.append((child, in_state))
            elif in_state:
                found = _account(child)
                if found.storage_root != EMPTY_TRIE:
                    pending.append((found.storage_root, False))
                if found.code_hash != EMPTY_CODE:
                    seen.add(found.code_hash)


def _children(node: rlp.Item) -> Iterator[tuple[bytes, bool]]:
    """Hashes below a node, and the values of its leaves (True)."""
    members = rlp.to_list(node, "trie node")
    if len(members) == 17:
        for child in members[:16]:
            yield from _below(child)
        return
    path, child = members
    if rlp.to_bytes(path, "trie node")[0] & 0x20:
        yield rlp.to_bytes(child, "trie leaf"), True
    else:
        yield from _below(child)


def _below(child: rlp.Item) -> Iterator[tuple[bytes, bool]]:
    if not isinstance(child, bytes):
        yield from _children(child)  # shorter than a hash: it stands in its parent
    elif child:
        yield child, False


def _account(leaf: bytes) -> Account:
    nonce, balance, storage_root, code_hash = rlp.to_list(_decode(leaf), "account", 4)
    return Account(
        rlp.to_integer(nonce, "account.nonce", 64),
        rlp.to_integer(balance, "account.balance"),
        rlp.to_bytes(storage_root, "account.storage_root", 32),
        rlp.to_bytes(code_hash, "account.code_hash", 32),
    )


def _decode(data: bytes) -> rlp.Item:
    try:
        return rlp.decode(data)
    except Malformed as problem:
        raise Corrupt(f"the chain's state holds bytes that are no trie node: {problem}") from None


def _get(nodes: Nodes, root: bytes, key: bytes) -> bytes | None:
    if root == EMPTY_TRIE:
        return None
    path: Sequence[int] = [half for byte in key for half in (byte >> 4, byte & 15)]
    node: rlp.Item = _decode(nodes(root))
    while True:
        members = rlp.to_list(node, "trie node")
        if len(members) == 17:
            child, path = members[path[0]], path[1:]
        else:
            prefix = rlp.to_bytes(members[0], "trie node")
            nibbles = [half for byte in prefix for half in (byte >> 4, byte & 15)][2 - (prefix[0] >> 4 & 1) :]
            if list(path[: len(nibbles)]) != nibbles:
                return None
            child, path = members[1], path[len(nibbles) :]
            if prefix[0] & 0x20:
                return rlp.to_bytes(child, "trie leaf")
        if not child:
            return None
        node = _decode(nodes(child)) if isinstance(child, bytes) else child
