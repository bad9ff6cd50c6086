"""Trees, inclusion and consistency proofs: foreign vectors, every tree of 1..100 leaves, tampering."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.proof import reference
from twinproof.errors import BadProof
from twinproof.proof import merkle

LARGEST = 100
HASHES = reference.leaf_hashes(LARGEST)
ROOTS = [reference.mth(HASHES[:size]) for size in range(LARGEST + 1)]
GET = reference.reader(HASHES)
OTHER = bytes(range(32))


def included(index: int, size: int, proof: list[bytes], root: bytes, leaf: bytes | None = None) -> bool:
    try:
        merkle.check_inclusion(HASHES[index] if leaf is None else leaf, index, size, proof, root)
    except BadProof:
        return False
    return True


def consistent(old: int, new: int, old_root: bytes, new_root: bytes, proof: list[bytes]) -> bool:
    try:
        merkle.check_consistency(old, new, old_root, new_root, proof)
    except BadProof:
        return False
    return True


def flip(value: bytes, bit: int) -> bytes:
    changed = bytearray(value)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def mutations(proof: list[bytes], salt: int) -> Iterator[list[bytes]]:
    """Every hash with one bit flipped, dropped, doubled, swapped with the next; and a foreign hash at every place."""
    for at, value in enumerate(proof):
        before, after = proof[:at], proof[at + 1 :]
        yield [*before, flip(value, (37 * at + salt) % 256), *after]
        yield [*before, *after]
        yield [*before, value, value, *after]
        yield [*before, OTHER, value, *after]
        if after and after[0] != value:
            yield [*before, after[0], value, *after[1:]]
    yield [*proof, OTHER]
    yield [*proof, proof[-1] if proof else OTHER]


# --- foreign vectors ------------------------------------------------------------------------


def vectors(shared: Path, kind: str) -> list[tuple[str, dict[str, Any]]]:
    folder = shared / "vectors" / "merkle" / "testdata" / kind
    files = sorted(folder.rglob("*.json"))
    return [(str(file.relative_to(folder)), json.loads(file.read_text())) for file in files]


def b64(value: str | None) -> bytes:
    return b64decode(value or "", validate=True)


def hashes(values: list[str] | None) -> list[bytes]:
    return [b64(value) for value in values or []]


def test_inclusion_vectors(shared: Path) -> None:
    verdicts = {True: 0, False: 0}
    for name, case in vectors(shared, "inclusion"):
        refused = False
        try:
            merkle.check_inclusion(
                b64(case["leafHash"]), case["leafIdx"], case["treeSize"], hashes(case["proof"]), b64(case["root"])
            )
        except BadProof:
            refused = True
        assert refused == case["wantErr"], name
        verdicts[refused] += 1
    assert verdicts == {True: 92, False: 6}


CONSISTENCY_VERDICTS_OF_OUR_OWN = {
    # Roots here have 12 bytes. That alone makes us refuse.
    "additional/sizes-are-equal-one-and-proof-is-empty.json": True,
}
WITH_WHOLE_ROOTS = {
    # Every tree extends the empty one (C2SP tlog-witness); the vectors call that useless and refuse it.
    "additional/size1-is-zero-and-size2-is-not-zero.json": False,
}


def consistency_verdict(case: dict[str, Any], *, whole: bool) -> bool:
    """Whether we refuse; `whole` makes 32-byte roots of the vectors' shorter ones, so that length decides nothing."""
    old_root, new_root = (b64(case[name]) for name in ("root1", "root2"))
    if whole:
        old_root, new_root = (root if len(root) == 32 else sha256(root).digest() for root in (old_root, new_root))
    try:
        merkle.check_consistency(case["size1"], case["size2"], old_root, new_root, hashes(case["proof"]))
    except BadProof:
        return True
    return False


def test_consistency_vectors(shared: Path) -> None:
    verdicts = {True: 0, False: 0}
    for name, case in vectors(shared, "consistency"):
        refused = consistency_verdict(case, whole=False)
        assert refused == CONSISTENCY_VERDICTS_OF_OUR_OWN.get(name, case["wantErr"]), name
        assert consistency_verdict(case, whole=True) == WITH_WHOLE_ROOTS.get(name, case["wantErr"]), name
        verdicts[refused] += 1
    assert verdicts == {True: 93, False: 5}


def test_hashes_of_three_entries() -> None:
    alpha, beta, gamma = (merkle.hash_leaf(entry) for entry in (b"alpha", b"beta", b"gamma"))
    assert alpha.hex() == "2a158d8afd48e3f88cb4195dfdb2a9e4817d95fa57fd34440d93f9aae5c4f82b"
    assert beta.hex() == "e23537b050e84af2cbaab46f2f83d8d3b5febc8e5ac6200d306284f687d46924"
    assert gamma.hex() == "4c79d0d62f7cf5ca8874155f2d3b875f2625da2bb3abc86bbd6833f25ba90e51"
    root = merkle.root(3, reference.reader([alpha, beta, gamma]))
    assert root.hex() == "385da30f3917282c8939dff851957e519ab1846b1351a14c0adb3b11632742aa"
    assert merkle.EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


# --- every tree of 1..100 leaves ------------------------------------------------------------


def test_roots_equal_the_definition() -> None:
    assert merkle.root(0, GET) == ROOTS[0] == merkle.EMPTY_ROOT
    for size in range(1, LARGEST + 1):
        assert merkle.root(size, GET) == ROOTS[size]
        if size > 1:
            assert merkle.split(size) == reference.power_below(size)


def test_proofs_equal_the_definition_and_verify() -> None:
    for size in range(1, LARGEST + 1):
        for index in range(size):
            proof = merkle.prove_inclusion(index, size, GET)
            assert proof == reference.path(index, HASHES[:size])
            merkle.check_inclusion(HASHES[index], index, size, proof, ROOTS[size])
        for old in range(size + 1):
            proof = merkle.prove_consistency(old, size, GET)
            assert proof == reference.consistency(old, HASHES[:size])
            merkle.check_consistency(old, size, ROOTS[old], ROOTS[size], proof)


def test_every_damaged_inclusion_proof_is_refused() -> None:
    for size in range(1, LARGEST + 1):
        for index in range(size):
            proof = merkle.prove_inclusion(index, size, GET)
            for salt, damaged in enumerate(mutations(proof, index)):
                assert not included(index, size, damaged, ROOTS[size]), (size, index, salt)
            assert not included(index, size, proof, ROOTS[size], flip(HASHES[index], index % 256))
            assert not included(index, size, proof, flip(ROOTS[size], size))


def test_an_inclusion_proof_holds_for_one_index_of_its_tree() -> None:
    for size in range(1, LARGEST + 1):
        for index in range(size):
            proof = merkle.prove_inclusion(index, size, GET)
            for other in range(-1, size + 1):
                assert included(other, size, proof, ROOTS[size], HASHES[index]) == (other == index)


def test_another_size_is_refused_unless_its_path_turns_the_same_way() -> None:
    """A root commits to no size: (0, 3) and (0, 4) turn alike, so size must be signed beside the root."""
    accepted = 0
    for size in range(1, LARGEST + 1):
        for index in range(size):
            proof = merkle.prove_inclusion(index, size, GET)
            for other in {size - 1, size + 1, size + 2, size // 2, size * 2, size ^ 4, 1 << 40}:
                same = index < other and reference.turns(index, other) == reference.turns(index, size)
                assert included(index, other, proof, ROOTS[size]) == (same or other == size)
                accepted += same
    assert accepted > 0
    assert reference.turns(0, 3) == reference.turns(0, 4) == "RR"


def test_every_damaged_consistency_proof_is_refused() -> None:
    for new in range(1, LARGEST + 1):
        for old in range(new + 1):
            proof = merkle.prove_consistency(old, new, GET)
            for number, damaged in enumerate(mutations(proof, old)):
                assert not consistent(old, new, ROOTS[old], ROOTS[new], damaged), (old, new, number)
            assert not consistent(old, new, flip(ROOTS[old], old), ROOTS[new], proof)
            if old:  # from size 0 nothing binds the new root
                assert not consistent(old, new, ROOTS[old], flip(ROOTS[new], new), proof)
            if 0 < old < new:
                assert not consistent(old, new, ROOTS[new], ROOTS[old], proof)


def test_other_sizes_of_a_consistency_proof_get_the_reference_verdict() -> None:
    verdicts = {True: 0, False: 0}
    for new in range(1, LARGEST + 1, 3):
        for old in range(1, new + 1):
            proof = merkle.prove_consistency(old, new, GET)
            for a, b in ((old - 1, new), (old + 1, new), (old, new + 1), (old, new - 1), (new, old), (old, 2 * new)):
                verdict = reference.consistent(a, b, ROOTS[old], ROOTS[new], proof)
                assert consistent(a, b, ROOTS[old], ROOTS[new], proof) == verdict, (old, new, a, b)
                verdicts[verdict] += (a, b) != (old, new)
    assert min(verdicts.values()) > 0


@given(
    old=st.integers(-2, 130),
    new=st.integers(-2, 130),
    proof=st.lists(st.sampled_from([*HASHES[:3], *ROOTS[:8]]), max_size=8),
    roots=st.tuples(st.sampled_from(ROOTS[:9]), st.sampled_from(ROOTS[:9])),
)
def test_any_proof_gets_the_reference_verdict(
    old: int, new: int, proof: list[bytes], roots: tuple[bytes, bytes]
) -> None:
    assert consistent(old, new, *roots, proof) == reference.consistent(old, new, *roots, proof)
    leaf = HASHES[0]
    assert included(old, new, proof, roots[0], leaf) == (reference.inclusion_root(leaf, old, new, proof) == roots[0])


# --- edges ----------------------------------------------------------------------------------


def test_consistency_from_the_empty_tree() -> None:
    empty = merkle.EMPTY_ROOT
    merkle.check_consistency(0, 0, empty, empty, [])
    merkle.check_consistency(0, 7, empty, ROOTS[7], [])
    for old_root, new_root, new, proof in (
        (OTHER, ROOTS[7], 7, []),
        (empty, ROOTS[7], 7, [OTHER]),
        (OTHER, OTHER, 0, []),
        (empty, OTHER, 0, []),
        (empty, empty, 0, [OTHER]),
    ):
        with pytest.raises(BadProof):
            merkle.check_consistency(0, new, old_root, new_root, proof)


@pytest.mark.parametrize("length", [0, 1, 31, 33, 64])
def test_hashes_of_another_length_are_refused(length: int) -> None:
    odd = bytes(length)
    proof = merkle.prove_inclusion(2, 5, GET)
    with pytest.raises(BadProof, match=f"leaf hash 0 has {length} bytes, not 32"):
        merkle.check_inclusion(odd, 2, 5, proof, ROOTS[5])
    with pytest.raises(BadProof, match=f"root 0 has {length} bytes"):
        merkle.check_inclusion(HASHES[2], 2, 5, proof, odd)
    with pytest.raises(BadProof, match=f"proof hash 1 has {length} bytes"):
        merkle.check_inclusion(HASHES[2], 2, 5, [proof[0], odd, proof[2]], ROOTS[5])
    with pytest.raises(BadProof, match=f"root 1 has {length} bytes"):
        merkle.check_consistency(2, 5, ROOTS[2], odd, merkle.prove_consistency(2, 5, GET))
    with pytest.raises(BadProof, match=f"proof hash 0 has {length} bytes"):
        merkle.check_consistency(2, 5, ROOTS[2], ROOTS[5], [odd])


def test_sizes_stay_below_2_to_the_63() -> None:
    path = [OTHER] * 63
    assert len(merkle.root_from_inclusion(OTHER, 0, merkle.MAX_SIZE - 1, path)) == 32
    with pytest.raises(BadProof, match="no leaf 0"):
        merkle.root_from_inclusion(OTHER, 0, merkle.MAX_SIZE, path)
    with pytest.raises(BadProof, match="does not extend"):
        merkle.check_consistency(0, merkle.MAX_SIZE, merkle.EMPTY_ROOT, OTHER, [])
    with pytest.raises(BadProof, match="outside a tree"):
        merkle.check_many({}, merkle.MAX_SIZE, [OTHER], OTHER)


def test_messages_say_what_is_wrong() -> None:
    proof = merkle.prove_inclusion(3, 7, GET)
    with pytest.raises(BadProof, match="2 hashes are too few for leaf 3 of 7"):
        merkle.check_inclusion(HASHES[3], 3, 7, proof[:2], ROOTS[7])
    with pytest.raises(BadProof, match="4 hashes are too many for leaf 3 of 7"):
        merkle.check_inclusion(HASHES[3], 3, 7, [*proof, OTHER], ROOTS[7])
    with pytest.raises(BadProof, match="does not lead to the root of size 7"):
        merkle.check_inclusion(HASHES[3], 3, 7, proof, OTHER)
    with pytest.raises(BadProof, match="no leaf 7 in a tree of 7"):
        merkle.check_inclusion(HASHES[3], 7, 7, proof, ROOTS[7])
    with pytest.raises(BadProof, match="size 3 does not extend size 4"):
        merkle.check_consistency(4, 3, ROOTS[4], ROOTS[3], [])
    with pytest.raises(BadProof, match="empty consistency proof"):
        merkle.check_consistency(3, 4, ROOTS[3], ROOTS[4], [])
    with pytest.raises(BadProof, match="does not contain the old root of size 3"):
        merkle.check_consistency(3, 7, OTHER, ROOTS[7], merkle.prove_consistency(3, 7, GET))
    with pytest.raises(BadProof, match="does not lead to the new root of size 7"):
        merkle.check_consistency(3, 7, ROOTS[3], OTHER, merkle.prove_consistency(3, 7, GET))


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0), (5, 3)])
def test_the_prover_refuses_a_leaf_that_is_not_there(index: int, size: int) -> None:
    with pytest.raises(ValueError, match=f"no leaf {index} in a tree of {size}"):
        merkle.prove_inclusion(index, size, GET)


@pytest.mark.parametrize(("old", "new"), [(-1, 3), (4, 3)])
def test_the_prover_refuses_sizes_that_shrink(old: int, new: int) -> None:
    with pytest.raises(ValueError, match=f"no consistency proof from size {old} to {new}"):
        merkle.prove_consistency(old, new, GET)


def test_leaf_and_node_hashes_are_apart() -> None:
    left, right = HASHES[:2]
    assert merkle.hash_node(left, right) == sha256(b"\x01" + left + right).digest()
    assert merkle.hash_leaf(left + right) != merkle.hash_node(left, right)
    assert merkle.hash_leaf(b"\x01" + left + right) != merkle.hash_node(left, right)
