"""The Solidity checkers of RFC 9162, twinproof.proof.merkle and the foreign vectors always say the same."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.contracts.kit import Deployed, World, refused
from tests.contracts.proofs import (
    OTHER,
    Consistency,
    Inclusion,
    consistency,
    false_consistencies,
    false_inclusions,
    inclusion,
    sparse,
    tree,
)
from twinproof.proof import merkle

LARGEST = 64
GET = tree()
LIMIT = 1 << 64


@pytest.fixture(scope="module")
def harness() -> Deployed:
    return World().deploy("Rfc9162Harness")


def verdicts(harness: Deployed, claims: Iterable[Inclusion | Consistency]) -> list[bool]:
    """What the contract says of each; a refusal with another error than the library's fails the test."""
    answers: list[bool] = []
    listed = list(claims)
    for start in range(0, len(listed), 256):
        part = listed[start : start + 256]
        function = "inclusions" if isinstance(part[0], Inclusion) else "consistencies"
        found = harness.call(function, part)
        assert len(found) == len(part)
        assert set(found) <= {0, 1}
        answers += [answer == 1 for answer in found]
    return answers


def check_all(harness: Deployed, claims: Sequence[Inclusion | Consistency], expected: bool) -> None:
    wrong = [claim for claim, verdict in zip(claims, verdicts(harness, claims), strict=True) if verdict != expected]
    assert wrong == []
    assert [claim for claim in claims if claim.holds() != expected] == []


def check_same(harness: Deployed, claims: Sequence[Inclusion | Consistency]) -> int:
    """Both languages say the same; returns how many claims hold."""
    python = [claim.holds() for claim in claims]
    assert verdicts(harness, claims) == python
    return sum(python)


# --- foreign vectors ------------------------------------------------------------------------


def vectors(shared: Path, kind: str) -> list[dict[str, Any]]:
    folder = shared / "vectors" / "merkle" / "testdata" / kind
    return [json.loads(file.read_text()) for file in sorted(folder.rglob("*.json"))]


def b64(value: str | None) -> bytes:
    return b64decode(value or "", validate=True)


def fits(values: Sequence[bytes], *numbers: int) -> bool:
    """Whether the ABI can say it at all: hashes of 32 bytes, numbers of 64 bits."""
    return all(len(value) == 32 for value in values) and all(0 <= number < LIMIT for number in numbers)


def test_transparency_dev_inclusion_vectors(harness: Deployed, shared: Path) -> None:
    claims, wanted = [], []
    for case in vectors(shared, "inclusion"):
        leaf, root = b64(case["leafHash"]), b64(case["root"])
        proof = tuple(b64(value) for value in case["proof"] or [])
        if fits((leaf, root, *proof), case["leafIdx"], case["treeSize"]):
            claims.append(Inclusion(leaf, case["leafIdx"], case["treeSize"], root, proof))
            wanted.append(not case["wantErr"])
        else:
            assert case["wantErr"]
    assert verdicts(harness, claims) == wanted
    assert (wanted.count(True), wanted.count(False)) == (6, 66)


def test_transparency_dev_consistency_vectors(harness: Deployed, shared: Path) -> None:
    claims, wanted = [], []
    for case in vectors(shared, "consistency"):
        old_root, new_root = b64(case["root1"]), b64(case["root2"])
        proof = tuple(b64(value) for value in case["proof"] or [])
        if fits((old_root, new_root, *proof), case["size1"], case["size2"]):
            claims.append(Consistency(case["size1"], case["size2"], old_root, new_root, proof))
            wanted.append(not case["wantErr"])
    assert verdicts(harness, claims) == wanted
    assert (wanted.count(True), wanted.count(False)) == (5, 66)


# --- every small tree -----------------------------------------------------------------------


def test_every_inclusion_in_trees_of_up_to_64_leaves(harness: Deployed) -> None:
    check_all(harness, [inclusion(i, size, GET) for size in range(1, LARGEST + 1) for i in range(size)], True)


def test_every_consistency_of_trees_of_up_to_65_leaves(harness: Deployed) -> None:
    check_all(harness, [consistency(old, new, GET) for new in range(1, 66) for old in range(1, new + 1)], True)


def test_tampered_inclusions_are_refused(harness: Deployed) -> None:
    small = [inclusion(i, size, GET) for size in range(1, 14) for i in range(size)]
    larger = [inclusion(i, size, GET) for size in (17, 31, 64) for i in (0, size // 2, size - 2, size - 1)]
    check_all(harness, [false for claim in small + larger for false in false_inclusions(claim)], False)


def test_tampered_consistencies_are_refused(harness: Deployed) -> None:
    small = [consistency(old, new, GET) for new in range(1, 14) for old in range(1, new + 1)]
    larger = [consistency(old, new, GET) for new in (17, 31, 65) for old in (1, 7, 16, new - 1)]
    check_all(harness, [false for claim in small + larger for false in false_consistencies(claim)], False)


def test_other_sizes_and_indices_are_judged_alike(harness: Deployed) -> None:
    # A root says nothing of the size, so some of these proofs hold: both checkers must agree on which.
    claims: list[Inclusion | Consistency] = [
        replace(inclusion(index, size, GET), index=other_index, size=other_size)
        for size in (1, 2, 3, 6, 7, 8, 13)
        for index in {0, size // 2, size - 1}
        for other_size in {size - 1, size, size + 1, 2 * size, 16}
        for other_index in {0, index, index + 1}
    ]
    assert 0 < check_same(harness, claims) < len(claims)
    pairs: list[Inclusion | Consistency] = [
        replace(consistency(old, new, GET), old_size=other_old, new_size=other_new)
        for new in (2, 3, 6, 7, 8, 13)
        for old in {1, new // 2, new - 1}
        for other_old in {old - 1, old, old + 1, 2 * old}
        for other_new in {new - 1, new, new + 1, 16}
    ]
    assert 0 < check_same(harness, pairs) < len(pairs)


# --- large trees ----------------------------------------------------------------------------


@settings(max_examples=60)
@given(data=st.data())
def test_large_trees(harness: Deployed, data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 1 << 40), "size")
    index = data.draw(st.integers(0, size - 1), "index")
    old = data.draw(st.integers(1, size), "old")
    get = sparse((index, old - 1, old, size - 1), salt=size)
    included, extended = inclusion(index, size, get), consistency(old, size, get)
    check_all(harness, [included], True)
    check_all(harness, [extended], True)
    place = data.draw(st.integers(0, 1 << 16), "place")
    false = [*false_inclusions(included)]
    check_all(harness, [false[place % len(false)]], False)
    forks = [*false_consistencies(extended)]
    check_all(harness, [forks[place % len(forks)]], False)
    other = data.draw(st.integers(0, size + 2), "other")
    check_same(harness, [replace(included, index=other)])
    check_same(harness, [replace(extended, old_size=other)])


def test_the_largest_trees(harness: Deployed) -> None:
    size = (1 << 63) - 1
    get = sparse((0, size // 3, 1 << 62, size - 2, size - 1))
    claims = [inclusion(index, size, get) for index in (0, size // 3, 1 << 62, size - 2, size - 1)]
    check_all(harness, claims, True)
    check_all(harness, [consistency(old, size, get) for old in (1, 1 << 62, size - 1, size)], True)
    # From 2^63 on there are no sizes (spec/log.md), though 64 bits hold them.
    top = inclusion(0, 1 << 63, sparse((0,)))
    check_same(harness, [top, replace(top, size=LIMIT - 1), replace(top, index=1 << 63, size=LIMIT - 1)])
    beyond = consistency(5, 1 << 63, sparse((4, 5)))
    check_same(harness, [beyond, replace(beyond, new_size=LIMIT - 1), replace(beyond, old_size=1 << 63, proof=())])
    assert verdicts(harness, [top]) == verdicts(harness, [beyond]) == [False]


# --- edges ----------------------------------------------------------------------------------


def test_refusals_by_name(harness: Deployed) -> None:
    one = inclusion(0, 1, GET)
    with refused("BadInclusionProof"):
        harness.call("checkInclusion", one.leaf, 0, 1, (), OTHER)
    with refused("BadInclusionProof"):
        harness.call("checkInclusion", one.leaf, 0, 0, (), merkle.EMPTY_ROOT)
    with refused("BadConsistencyProof"):
        harness.call("checkConsistency", 0, 0, merkle.EMPTY_ROOT, merkle.EMPTY_ROOT, ())
    with refused("BadConsistencyProof"):
        harness.call("checkConsistency", 0, 1, merkle.EMPTY_ROOT, one.root, ())
    with refused("BadConsistencyProof"):
        harness.call("checkConsistency", 1, 1, one.root, OTHER, ())


def test_hashes_that_follow_the_proof_in_the_calldata_are_not_part_of_it(harness: Deployed) -> None:
    # The assembly reads calldata without bounds: here the missing hash stands right behind a proof that is one short.
    whole = inclusion(5, 8, GET)
    short = replace(whole, proof=whole.proof[:-1])
    data = harness.encode("checkInclusion", short.leaf, short.index, short.size, short.proof, short.root)
    outcome = harness.world.ask(harness.address, harness.address, data + whole.proof[-1], 0)
    assert outcome.reverted
    assert harness.error(outcome.output) == "BadInclusionProof()"
    extended = consistency(5, 8, GET)
    data = harness.encode("checkConsistency", 5, 8, extended.old_root, extended.new_root, extended.proof[:-1])
    assert harness.world.ask(harness.address, harness.address, data + extended.proof[-1], 0).reverted


@given(st.binary(max_size=300))
@settings(max_examples=30)
def test_leaf_hashes(harness: Deployed, entry: bytes) -> None:
    assert harness.call("hashLeaf", entry) == merkle.hash_leaf(entry)
