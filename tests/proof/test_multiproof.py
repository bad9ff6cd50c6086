"""One proof for several leaves: all subsets of small trees, random ones of large trees, tampering with each hash."""

from __future__ import annotations

from itertools import combinations
from random import Random

import pytest

from tests.proof import reference
from twinproof.errors import BadProof
from twinproof.proof import merkle

HASHES = reference.leaf_hashes(1000)
GET = reference.reader(HASHES)
OTHER = bytes(range(32))


def holds(leaves: dict[int, bytes], size: int, proof: list[bytes], root: bytes) -> bool:
    try:
        merkle.check_many(leaves, size, proof, root)
    except BadProof:
        return False
    return True


def naive(indices: list[int], start: int, end: int) -> list[bytes]:
    """Roots of the maximal subtrees without a wanted leaf, from left to right."""
    if not any(start <= index < end for index in indices):
        return [reference.mth(HASHES[start:end])]
    if end - start == 1:
        return []
    middle = start + reference.power_below(end - start)
    return naive(indices, start, middle) + naive(indices, middle, end)


def damaged(proof: list[bytes]) -> list[list[bytes]]:
    cases = [[*proof, OTHER]]
    for at, value in enumerate(proof):
        flipped = bytes([value[0] ^ 1]) + value[1:]
        cases.append([*proof[:at], flipped, *proof[at + 1 :]])
        cases.append([*proof[:at], *proof[at + 1 :]])
        cases.append([*proof[:at], value, *proof[at:]])
        if proof[at + 1 : at + 2]:
            cases.append([*proof[:at], proof[at + 1], value, *proof[at + 2 :]])
    return cases


@pytest.mark.parametrize("size", range(1, 10))
def test_every_subset_of_a_small_tree(size: int) -> None:
    root = reference.mth(HASHES[:size])
    for count in range(size + 1):
        for chosen in combinations(range(size), count):
            indices = list(chosen)
            proof = merkle.prove_many(indices, size, GET)
            assert proof == naive(indices, 0, size)
            leaves = {index: HASHES[index] for index in indices}
            merkle.check_many(leaves, size, proof, root)
            for wrong in damaged(proof):
                assert not holds(leaves, size, wrong, root)
            for index in indices:
                assert not holds({**leaves, index: OTHER}, size, proof, root)
                fewer = {other: leaf for other, leaf in leaves.items() if other != index}
                assert not holds(fewer, size, proof, root)
                for other in range(-1, size + 1):
                    if other not in leaves:
                        assert not holds({**fewer, other: leaves[index]}, size, proof, root)
                        assert not holds({**leaves, other: OTHER}, size, proof, root)
            assert not holds(leaves, size, proof, OTHER)


def test_random_subsets_of_large_trees() -> None:
    random = Random(9162)
    for _ in range(60):
        size = random.randint(10, 1000)
        indices = sorted(random.sample(range(size), random.choice([0, 1, 2, 5, size // 2, size])))
        root = reference.mth(HASHES[:size])
        proof = merkle.prove_many(indices, size, GET)
        assert proof == naive(indices, 0, size)
        leaves = {index: HASHES[index] for index in indices}
        merkle.check_many(leaves, size, proof, root)
        for at in random.sample(range(len(proof)), min(4, len(proof))):
            value = proof[at]
            flipped = bytes([value[0] ^ 0x80]) + value[1:]
            for wrong in ([*proof[:at], flipped, *proof[at + 1 :]], proof[:at] + proof[at + 1 :], [*proof, value]):
                assert not holds(leaves, size, wrong, root)
        if indices:
            index = random.choice(indices)
            assert not holds({**leaves, index: OTHER}, size, proof, root)


def test_one_leaf_is_an_inclusion_proof_in_another_order() -> None:
    for size in range(1, 40):
        for index in range(size):
            many = merkle.prove_many([index], size, GET)
            assert sorted(many) == sorted(merkle.prove_inclusion(index, size, GET))


def test_no_leaf_is_proven_by_the_root() -> None:
    root = reference.mth(HASHES[:5])
    assert merkle.prove_many([], 5, GET) == [root]
    merkle.check_many({}, 5, [root], root)
    with pytest.raises(BadProof, match="too few"):
        merkle.check_many({}, 5, [], root)


def test_the_empty_tree() -> None:
    assert merkle.prove_many([], 0, GET) == []
    merkle.check_many({}, 0, [], merkle.EMPTY_ROOT)
    with pytest.raises(BadProof, match="empty tree"):
        merkle.check_many({}, 0, [OTHER], merkle.EMPTY_ROOT)
    with pytest.raises(BadProof, match="empty tree"):
        merkle.check_many({}, 0, [], OTHER)
    with pytest.raises(BadProof, match="outside a tree of 0"):
        merkle.check_many({0: OTHER}, 0, [], OTHER)


def test_a_huge_claimed_size_costs_no_more_than_the_proof() -> None:
    size = merkle.MAX_SIZE - 1
    with pytest.raises(BadProof, match="too few"):
        merkle.check_many({0: OTHER, size - 1: OTHER}, size, [OTHER] * 5, OTHER)
    with pytest.raises(BadProof, match=r"too many|does not lead"):
        merkle.check_many({0: OTHER, size - 1: OTHER}, size, [OTHER] * 200, OTHER)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_hashes_of_another_length_are_refused(length: int) -> None:
    root = reference.mth(HASHES[:5])
    proof = merkle.prove_many([1], 5, GET)
    with pytest.raises(BadProof, match=f"proof hash 0 has {length} bytes"):
        merkle.check_many({1: HASHES[1]}, 5, [bytes(length), *proof[1:]], root)
    with pytest.raises(BadProof, match=f"leaf hash 0 has {length} bytes"):
        merkle.check_many({1: bytes(length)}, 5, proof, root)
    with pytest.raises(BadProof, match=f"root 0 has {length} bytes"):
        merkle.check_many({1: HASHES[1]}, 5, proof, bytes(length))


@pytest.mark.parametrize("indices", [[1, 1], [2, 1], [-1], [5], [0, 5], [-1, 3]])
def test_the_prover_refuses_indices_that_do_not_ascend_within_the_tree(indices: list[int]) -> None:
    with pytest.raises(ValueError, match=r"must ascend within 0\.\.4"):
        merkle.prove_many(indices, 5, GET)
