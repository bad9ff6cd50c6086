"""The Merkle tree of RFC 9162 §2.1 over SHA-256: roots, inclusion and consistency proofs.

    leaf  = SHA-256(0x00 || entry)          node = SHA-256(0x01 || left || right)
    MTH({}) = SHA-256("")                   split point: the largest power of two below n

Provers read the tree through one function, `NodeReader`: `get(level, index)` is the root of the
complete subtree over leaves `[index * 2**level, (index + 1) * 2**level)`. Every other hash is
computed from those, so storage decides alone how much of the tree it keeps.

Checkers follow the iterative algorithms of RFC 9162 §2.1.3.2 and §2.1.4.2 and share no code with
the provers. They return nothing and raise `BadProof`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from itertools import pairwise
from typing import Final, TypeAlias

from twinproof.errors import BadProof

NodeReader: TypeAlias = Callable[[int, int], bytes]
"""(level, index) -> the 32-byte root of that complete subtree."""

HASH_SIZE: Final = 32
MAX_SIZE: Final = 1 << 63
"""Tree sizes are kept below 2^63, so that every one fits a signed 64-bit integer."""
EMPTY_ROOT: Final = sha256(b"").digest()


def hash_leaf(entry: bytes) -> bytes:
    """SHA-256(0x00 || entry), RFC 9162 §2.1.1."""
    return sha256(b"\x00" + entry).digest()


def hash_node(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right), RFC 9162 §2.1.1."""
    return sha256(b"\x01" + left + right).digest()


def split(size: int) -> int:
    """The largest power of two strictly below `size` >= 2."""
    return 1 << ((size - 1).bit_length() - 1)


# --- proving --------------------------------------------------------------------------------


def subtree(start: int, end: int, get: NodeReader) -> bytes:
    """MTH(D[start:end]) where `start` is a multiple of the smallest power of two >= end - start."""
    parts: list[bytes] = []
    while start < end:
        level = (end - start).bit_length() - 1
        parts.append(get(level, start >> level))
        start += 1 << level
    result = parts.pop()
    while parts:
        result = hash_node(parts.pop(), result)
    return result


def root(size: int, get: NodeReader) -> bytes:
    """The root of the first `size` leaves."""
    return subtree(0, size, get) if size else EMPTY_ROOT


def prove_inclusion(index: int, size: int, get: NodeReader) -> list[bytes]:
    """PATH(index, D[0:size]) of RFC 9162 §2.1.3.1, the leaf's sibling first."""
    if not 0 <= index < size:
        raise ValueError(f"no leaf {index} in a tree of {size}")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + split(end - start)
        if index < middle:
            path.append(subtree(middle, end, get))
            end = middle
        else:
            path.append(subtree(start, middle, get))
            start = middle
    path.reverse()
    return path


def prove_consistency(old: int, new: int, get: NodeReader) -> list[bytes]:
    """PROOF(old, D[0:new]) of RFC 9162 §2.1.4.1; empty for `old` 0 and for `old` = `new`."""
    if not 0 <= old <= new:
        raise ValueError(f"no consistency proof from size {old} to {new}")
    if old in (0, new):
        return []
    path: list[bytes] = []
    start, end = 0, new
    while old != end:
        middle = start + split(end - start)
        if old <= middle:
            path.append(subtree(middle, end, get))
            end = middle
        else:
            path.append(subtree(start, middle, get))
            start = middle
    # Unless the old tree is the left edge itself, the verifier cannot know this last subtree.
    if start:
        path.append(subtree(start, end, get))
    path.reverse()
    return path


def prove_many(indices: Sequence[int], size: int, get: NodeReader) -> list[bytes]:
    """One proof for several leaves, each shared node once (spec/evidence.md, "Multiproof").

    `indices` ascend without repeats. The hashes are the roots of the maximal subtrees without a
    wanted leaf, from left to right; with no wanted leaf that is the root alone.
    """
    proof: list[bytes] = []

    def walk(start: int, end: int, low: int, high: int) -> None:
        if low == high:
            proof.append(subtree(start, end, get))
        elif end - start > 1:
            middle = start + split(end - start)
            cut = bisect_left(indices, middle, low, high)
            walk(start, middle, low, cut)
            walk(middle, end, cut, high)

    if any(a >= b for a, b in pairwise(indices)) or (indices and not 0 <= indices[0] <= indices[-1] < size):
        raise ValueError(f"indices must ascend within 0..{size - 1}")
    if size:
        walk(0, size, 0, len(indices))
    return proof


# --- checking -------------------------------------------------------------------------------


def _require_hashes(hashes: Sequence[bytes], what: str) -> None:
    for position, value in enumerate(hashes):
        if len(value) != HASH_SIZE:
            raise BadProof(f"{what} {position} has {len(value)} bytes, not {HASH_SIZE}")


def root_from_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """The root that `proof` leads to (RFC 9162 §2.1.3.2); raises `BadProof` if it leads nowhere.

    The root commits to the leaf alone: other pairs of `index` and `size` whose paths turn the same way
    lead to the same root. An index is proven only against a size that is signed with the root.
    """
    _require_hashes([leaf], "leaf hash")
    _require_hashes(proof, "proof hash")
    if not 0 <= index < size < MAX_SIZE:
        raise BadProof(f"no leaf {index} in a tree of {size}")
    first, last, result = index, size - 1, leaf
    for value in proof:
        if not last:
            raise BadProof(f"{len(proof)} hashes are too many for leaf {index} of {size}")
        if first & 1 or first == last:
            result = hash_node(value, result)
            while not first & 1 and first:
                first >>= 1
                last >>= 1
        else:
            result = hash_node(result, value)
        first >>= 1
        last >>= 1
    if last:
        raise BadProof(f"{len(proof)} hashes are too few for leaf {index} of {size}")
    return result


def check_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Raise `BadProof` unless `leaf` is at `index` in the tree of `size` leaves with `root`."""
    _require_hashes([root], "root")
    if root_from_inclusion(leaf, index, size, proof) != root:
        raise BadProof(f"inclusion of leaf {index} does not lead to the root of size {size}")


def check_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Raise `BadProof` unless the tree `new` extends the tree `old` (RFC 9162 §2.1.4.2).

    From size 0 the proof is empty and `old_root` is the empty root (C2SP tlog-witness).
    """
    _require_hashes([old_root, new_root], "root")
    _require_hashes(proof, "proof hash")
    if not 0 <= old <= new < MAX_SIZE:
        raise BadProof(f"size {new} does not extend size {old}")
    if old in (0, new):
        if proof:
            raise BadProof(f"{len(proof)} hashes where none is needed from size {old} to {new}")
        if old_root != (new_root if old == new else EMPTY_ROOT) or (new == 0 and new_root != EMPTY_ROOT):
            raise BadProof(f"another root for size {old}")
        return
    path = list(proof) if old & (old - 1) else [old_root, *proof]
    if not path:
        raise BadProof("empty consistency proof")
    first, last = old - 1, new - 1
    while first & 1:
        first >>= 1
        last >>= 1
    old_result = new_result = path[0]
    for value in path[1:]:
        if not last:
            raise BadProof(f"{len(proof)} hashes are too many from size {old} to {new}")
        if first & 1 or first == last:
            old_result = hash_node(value, old_result)
            new_result = hash_node(value, new_result)
            while not first & 1 and first:
                first >>= 1
                last >>= 1
        else:
            new_result = hash_node(new_result, value)
        first >>= 1
        last >>= 1
    if last:
        raise BadProof(f"{len(proof)} hashes are too few from size {old} to {new}")
    if old_result != old_root:
        raise BadProof(f"the proof does not contain the old root of size {old}")
    if new_result != new_root:
        raise BadProof(f"the proof does not lead to the new root of size {new}")


def check_many(leaves: Mapping[int, bytes], size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Raise `BadProof` unless every leaf hash in `leaves` (by index) is in the tree of `root`."""
    _require_hashes([root], "root")
    _require_hashes(proof, "proof hash")
    indices = sorted(leaves)
    _require_hashes([leaves[index] for index in indices], "leaf hash")
    if not 0 <= size < MAX_SIZE or (indices and not 0 <= indices[0] <= indices[-1] < size):
        raise BadProof(f"leaves outside a tree of {size}")
    if not size:
        if proof or root != EMPTY_ROOT:
            raise BadProof("the empty tree has the empty root and no proof")
        return
    given = iter(proof)

    def walk(start: int, end: int, low: int, high: int) -> bytes:
        if low == high:
            return next(given)
        if end - start == 1:
            return leaves[start]
        middle = start + split(end - start)
        cut = bisect_left(indices, middle, low, high)
        return hash_node(walk(start, middle, low, cut), walk(middle, end, cut, high))

    try:
        result = walk(0, size, 0, len(indices))
    except StopIteration:
        raise BadProof("the multiproof has too few hashes") from None
    if next(given, None) is not None:
        raise BadProof("the multiproof has too many hashes")
    if result != root:
        raise BadProof(f"the multiproof does not lead to the root of size {size}")
