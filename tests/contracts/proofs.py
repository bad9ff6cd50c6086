"""Claims about trees, true and false, for the checkers of both languages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256

from twinproof.errors import BadProof
from twinproof.proof import merkle

OTHER = bytes(range(32))


@dataclass(frozen=True)
class Inclusion:
    """Arguments of a check, in the order of the harness's struct."""

    leaf: bytes
    index: int
    size: int
    root: bytes
    proof: tuple[bytes, ...]

    def holds(self) -> bool:
        """What Python says."""
        return _passes(lambda: merkle.check_inclusion(self.leaf, self.index, self.size, self.proof, self.root))


@dataclass(frozen=True)
class Consistency:
    """Arguments of a check, in the order of the harness's struct."""

    old_size: int
    new_size: int
    old_root: bytes
    new_root: bytes
    proof: tuple[bytes, ...]

    def holds(self) -> bool:
        """What Python says, but for size 0, from which a contract takes nothing."""
        return self.old_size > 0 and _passes(
            lambda: merkle.check_consistency(self.old_size, self.new_size, self.old_root, self.new_root, self.proof)
        )


def _passes(check: Callable[[], None]) -> bool:
    try:
        check()
    except BadProof:
        return False
    return True


def tree(salt: int = 0) -> merkle.NodeReader:
    """A whole tree of any size that is small enough to hash."""
    return sparse((), salt)


def sparse(leaves: Iterable[int], salt: int = 0) -> merkle.NodeReader:
    """A tree of any size: the nodes above `leaves`, or all, are true hashes of their children; others are made up."""
    wanted = tuple(leaves)

    @cache
    def get(level: int, index: int) -> bytes:
        if level and (not wanted or any(leaf >> level == index for leaf in wanted)):
            return merkle.hash_node(get(level - 1, 2 * index), get(level - 1, 2 * index + 1))
        return sha256(b"%d/%d/%d" % (salt, level, index)).digest()

    return get


def inclusion(index: int, size: int, get: merkle.NodeReader) -> Inclusion:
    """A true claim."""
    proof = tuple(merkle.prove_inclusion(index, size, get))
    return Inclusion(get(0, index), index, size, merkle.root(size, get), proof)


def consistency(old: int, new: int, get: merkle.NodeReader) -> Consistency:
    """A true claim."""
    proof = tuple(merkle.prove_consistency(old, new, get))
    return Consistency(old, new, merkle.root(old, get), merkle.root(new, get), proof)


def flip(value: bytes, bit: int) -> bytes:
    """One bit changed."""
    return (int.from_bytes(value, "big") ^ 1 << bit % 256).to_bytes(len(value), "big")


def tampered(proof: tuple[bytes, ...]) -> Iterator[tuple[bytes, ...]]:
    """Every hash with a bit flipped, dropped, doubled, swapped with the next; a foreign hash at every place."""
    for place, value in enumerate(proof):
        before, after = proof[:place], proof[place + 1 :]
        yield (*before, flip(value, 37 * place), *after)
        yield (*before, *after)
        yield (*before, value, value, *after)
        yield (*before, OTHER, value, *after)
        if after:
            yield (*before, after[0], value, *after[1:])
    yield (*proof, OTHER)


def false_inclusions(claim: Inclusion) -> Iterator[Inclusion]:
    """Claims that follow from no tree; all must be refused."""
    for proof in tampered(claim.proof):
        yield replace(claim, proof=proof)
    yield replace(claim, leaf=flip(claim.leaf, 3))
    yield replace(claim, root=flip(claim.root, 200))
    for index in (claim.index - 1, claim.index + 1, claim.size, claim.index ^ claim.size):
        if index != claim.index and index >= 0:
            yield replace(claim, index=index)
    yield replace(claim, size=0)
    yield replace(claim, size=claim.index)


def false_consistencies(claim: Consistency) -> Iterator[Consistency]:
    """Claims that follow from no tree; all must be refused."""
    for proof in tampered(claim.proof):
        yield replace(claim, proof=proof)
    yield replace(claim, old_root=flip(claim.old_root, 3))
    yield replace(claim, new_root=flip(claim.new_root, 200))
    yield (
        replace(claim, old_root=claim.new_root, new_root=claim.old_root)
        if claim.proof
        else replace(claim, proof=(claim.old_root,))
    )
    yield replace(claim, old_size=0)
    yield replace(claim, old_size=claim.new_size + 1)
    yield replace(claim, new_size=claim.old_size - 1)
