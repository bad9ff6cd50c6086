"""A second, recursive reading of RFC 9162 §2.1 that the tests compare with: slow and written from the definitions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from hashlib import sha256

from twinproof.proof.merkle import NodeReader


def h(data: bytes) -> bytes:
    return sha256(data).digest()


def leaf_hashes(count: int) -> list[bytes]:
    """Leaf hashes of the entries "entry 0", "entry 1" ..."""
    return [h(b"\x00entry %d" % i) for i in range(count)]


def power_below(size: int) -> int:
    k = 1
    while 2 * k < size:
        k *= 2
    return k


def mth(hashes: Sequence[bytes]) -> bytes:
    """MTH(D_n) of §2.1.1 over leaf hashes."""
    if not hashes:
        return h(b"")
    if len(hashes) == 1:
        return hashes[0]
    k = power_below(len(hashes))
    return h(b"\x01" + mth(hashes[:k]) + mth(hashes[k:]))


def reader(hashes: Sequence[bytes]) -> NodeReader:
    """Complete subtrees by definition; asking for one that the leaves do not fill is an error of the prover."""

    @cache
    def get(level: int, index: int) -> bytes:
        start, end = index << level, (index + 1) << level
        assert 0 <= start < end <= len(hashes), f"no complete subtree of height {level} at {index}"
        return mth(hashes[start:end])

    return get


def path(index: int, hashes: Sequence[bytes]) -> list[bytes]:
    """PATH(m, D_n) of §2.1.3.1."""
    if len(hashes) == 1:
        return []
    k = power_below(len(hashes))
    if index < k:
        return [*path(index, hashes[:k]), mth(hashes[k:])]
    return [*path(index - k, hashes[k:]), mth(hashes[:k])]


def consistency(old: int, hashes: Sequence[bytes]) -> list[bytes]:
    """PROOF(m, D_n) of §2.1.4.1."""

    def subproof(m: int, part: Sequence[bytes], complete: bool) -> list[bytes]:
        if m == len(part):
            return [] if complete else [mth(part)]
        k = power_below(len(part))
        if m <= k:
            return [*subproof(m, part[:k], complete), mth(part[k:])]
        return [*subproof(m - k, part[k:], False), mth(part[:k])]

    return subproof(old, hashes, True) if 0 < old < len(hashes) else []


def turns(index: int, size: int) -> str:
    """Which side each hash of an inclusion proof stands on, from the leaf up."""
    if size == 1:
        return ""
    k = power_below(size)
    return turns(index, k) + "R" if index < k else turns(index - k, size - k) + "L"


def inclusion_root(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes | None:
    """Where an inclusion proof leads, None if it is of the wrong length or out of the tree."""
    if not 0 <= index < size:
        return None
    sides = turns(index, size)
    if len(sides) != len(proof):
        return None
    for side, value in zip(sides, proof, strict=True):
        leaf = h(b"\x01" + leaf + value) if side == "R" else h(b"\x01" + value + leaf)
    return leaf


def consistent(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether a consistency proof holds, by rebuilding both roots along SUBPROOF."""
    if not 0 <= old <= new:
        return False
    if old == new:
        return not proof and old_root == new_root and (old > 0 or old_root == h(b""))
    if old == 0:
        return not proof and old_root == h(b"")
    given = list(proof)

    def rebuild(m: int, n: int, complete: bool) -> tuple[bytes, bytes]:
        if m == n:
            known = old_root if complete else given.pop(0)
            return known, known
        k = power_below(n)
        if m <= k:
            before, after = rebuild(m, k, complete)
            return before, h(b"\x01" + after + given.pop(0))
        before, after = rebuild(m - k, n - k, False)
        left = given.pop(0)
        return h(b"\x01" + left + before), h(b"\x01" + left + after)

    try:
        rebuilt = rebuild(old, new, True)
    except IndexError:
        return False
    return not given and rebuilt == (old_root, new_root)
