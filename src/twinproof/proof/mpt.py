"""Proofs in Ethereum's Merkle-Patricia trie: what a root holds at a key. Normative page: spec/anchor.md.

    branch      [16 children by nibble, value]
    extension   [path, child]                      path: hex-prefix encoding of nibbles, flag 0 or 1
    leaf        [path, value]                      flag 2 or 3

A child is the Keccak-256 of a node's encoding, or the node itself if that has fewer than 32 bytes. A proof is those
nodes on the way from the root to the value that are referred to by hash. Source: Yellow Paper, appendices C and D.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from twinproof.errors import BadProof, Malformed
from twinproof.proof import rlp
from twinproof.proof.keccak import keccak256
from twinproof.proof.rlp import Item

EMPTY_ROOT: Final = keccak256(b"\x80")
"""Root of a trie without keys."""
HASH_SIZE: Final = 32

_ODD = re.compile(r"[13][0-9a-f]+")
_EVEN = re.compile(r"20[0-9a-f]*|00[0-9a-f]+")  # an extension has a path


def lookup(root: bytes, key: bytes, proof: Sequence[bytes], what: str) -> bytes:
    """The value at `key` under `root`; raises `BadProof`, or `Malformed`, naming `what`.

    Proves presence only: a trie that does not hold the key is a `BadProof`, too.
    """
    path = key.hex()
    nodes = iter(proof)
    node = _hashed(root, nodes, what)
    while True:
        if len(node) == 17:
            if not path:
                value = node[16]
                break
            child, path = node[int(path[0], 16)], path[1:]
        elif len(node) == 2:
            leaf, piece = _piece(node[0], what)
            if not path.startswith(piece) or (leaf and path != piece):
                raise BadProof(f"{what}: leads to another key")
            child, path = node[1], path[len(piece) :]
            if leaf:
                value = child
                break
        else:
            raise Malformed(what, f"a node of {len(node)} items")
        node = _child(child, nodes, what)
    if next(nodes, None) is not None:
        raise BadProof(f"{what}: more nodes than the path has")
    if not isinstance(value, bytes) or not value:
        raise BadProof(f"{what}: no value at the key")
    return value


def _hashed(digest: bytes, nodes: Iterator[bytes], what: str) -> list[Item]:
    raw = next(nodes, None)
    if raw is None:
        raise BadProof(f"{what}: fewer nodes than the path has")
    if keccak256(raw) != digest:
        raise BadProof(f"{what}: a node does not have the hash that leads to it")
    node = rlp.decode(raw, what)
    if not isinstance(node, list):
        raise Malformed(what, "a node that is no list")
    return node


def _child(child: Item, nodes: Iterator[bytes], what: str) -> list[Item]:
    if isinstance(child, list):
        if len(rlp.encode(child)) >= HASH_SIZE:
            raise Malformed(what, f"a node of {HASH_SIZE} bytes or more inside another one")
        return child
    if not child:
        raise BadProof(f"{what}: no value at the key")
    if len(child) != HASH_SIZE:
        raise Malformed(what, "a child that is neither a hash nor a node")
    return _hashed(child, nodes, what)


def _piece(prefix: Item, what: str) -> tuple[bool, str]:
    """Whether the node is a leaf, and its nibbles as hexadecimal digits."""
    text = prefix.hex() if isinstance(prefix, bytes) else ""
    if _ODD.fullmatch(text):
        return text[0] == "3", text[1:]
    if _EVEN.fullmatch(text):
        return text[0] == "2", text[2:]
    raise Malformed(what, "a path that is no hex-prefix encoding")
