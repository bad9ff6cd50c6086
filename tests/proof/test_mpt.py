"""Merkle-Patricia proofs: public tries, tries of another implementation, every node tampered with."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trie.hexary import HexaryTrie

from tests.proof.evm_vectors import TRIES, WITHDRAWALS, WITHDRAWALS_ROOT
from twinproof.errors import BadProof, Malformed, TwinproofError
from twinproof.proof import rlp
from twinproof.proof.keccak import keccak256
from twinproof.proof.mpt import EMPTY_ROOT, lookup

Proof = tuple[bytes, ...]


def tree_of(items: dict[bytes, bytes]) -> Any:
    tree = HexaryTrie({})
    for key, value in items.items():
        tree[key] = value
    return tree


def proof_of(tree: Any, key: bytes) -> Proof:
    nodes = [rlp.encode(node) for node in tree.get_proof(key)]
    return (*nodes[:1], *(node for node in nodes[1:] if len(node) >= 32))


def numbered(values: list[bytes]) -> dict[bytes, bytes]:
    return {rlp.encode_int(at): value for at, value in enumerate(values)}


@pytest.mark.parametrize("name", TRIES)
def test_public_tries(name: str) -> None:
    items, root = TRIES[name]
    tree = tree_of(items)
    assert tree.root_hash.hex() == root, "the proofs come from another implementation, the root from a third one"
    for key, value in items.items():
        assert lookup(bytes.fromhex(root), key, proof_of(tree, key), "x") == value


def test_the_withdrawals_of_a_block_of_the_main_network() -> None:
    tree = tree_of(numbered(WITHDRAWALS))
    for at, value in enumerate(WITHDRAWALS):
        key = rlp.encode_int(at)
        assert lookup(WITHDRAWALS_ROOT, key, proof_of(tree, key), "withdrawal") == value


def kinds_on(proof: Proof) -> set[str]:
    """Which kinds of nodes a proof goes through, embedded ones included."""
    found = set()

    def look(node: Any, embedded: bool) -> None:
        kind = "branch" if len(node) == 17 else "leaf" if node[0][0] & 0x20 else "extension"
        found.add(f"embedded {kind}" if embedded else kind)
        if kind != "branch":
            found.add(f"{kind} of {'odd' if node[0][0] & 0x10 else 'even'} path")
        elif node[16]:
            found.add("branch value")
        for child in node:
            if isinstance(child, list):
                look(child, True)

    for raw in proof:
        look(rlp.decode(raw, "x"), False)
    return found


def random_items(seed: int) -> dict[bytes, bytes]:
    """Short keys over few digits make deep tries, short values embedded nodes."""
    chance = random.Random(seed)
    alphabet = bytes(chance.sample(range(256), chance.randint(1, 4)))
    items = {}
    for _ in range(chance.randint(1, 12)):
        key = bytes(chance.choice(alphabet) for _ in range(chance.randint(1, 4)))
        items[key] = chance.randbytes(chance.choice([1, 2, 5, 31, 32, 33, 60]))
    return items


def changed(proof: Proof, chance: random.Random) -> Proof:
    """One change to a proof: a bit, a node lost, doubled, exchanged, cut or lengthened."""
    nodes = list(proof)
    at = chance.randrange(len(nodes))
    match chance.randrange(6):
        case 0:
            place = chance.randrange(len(nodes[at]))
            flipped = nodes[at][place] ^ 1 << chance.randrange(8)
            nodes[at] = nodes[at][:place] + bytes((flipped,)) + nodes[at][place + 1 :]
        case 1:
            del nodes[at]
        case 2:
            nodes.insert(at, nodes[at])
        case 3:
            nodes.append(b"\xc0")
        case 4:
            nodes[at] = nodes[at][:-1]
        case _:
            nodes[at] += b"\0"
    return tuple(nodes)


def test_a_thousand_random_tries() -> None:
    seen: set[str] = set()
    for seed in range(1000):
        chance = random.Random(-seed)
        items = random_items(seed)
        tree = tree_of(items)
        key = chance.choice(sorted(items))
        proof = proof_of(tree, key)
        seen |= kinds_on(proof)
        assert lookup(tree.root_hash, key, proof, "x") == items[key]
        with pytest.raises((BadProof, Malformed)):
            lookup(tree.root_hash, key, changed(proof, chance), "x")
        for other in (key + b"\0", key[:-1], bytes((key[0] ^ 1, *key[1:])), key + key):
            if other not in items:
                with pytest.raises((BadProof, Malformed)):
                    lookup(tree.root_hash, other, proof, "x")
    assert seen == {
        *("branch", "extension", "leaf", "branch value"),
        *("embedded branch", "embedded extension", "embedded leaf"),
        *("leaf of odd path", "leaf of even path", "extension of odd path", "extension of even path"),
    }


@given(st.lists(st.binary(min_size=1, max_size=90), min_size=1, max_size=300), st.data())
def test_numbered_tries(values: list[bytes], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(values) - 1))
    tree = tree_of(numbered(values))
    key = rlp.encode_int(at)
    proof = proof_of(tree, key)
    assert lookup(tree.root_hash, key, proof, "x") == values[at]
    other = data.draw(st.integers(0, len(values)))
    try:
        found = lookup(tree.root_hash, rlp.encode_int(other), proof, "x")
    except BadProof:
        return
    assert found == values[other], "a small neighbour stands in the same nodes"


# --- nodes that no trie has -------------------------------------------------------------------

LONG = b"v" * 40


def forged(*nodes: Any) -> tuple[bytes, Proof]:
    """A root over these nodes, each referred to by the one before in the place of `LINK`."""
    encoded: list[bytes] = []
    link = b""

    def linked(item: Any) -> Any:
        return [linked(part) for part in item] if isinstance(item, list) else link if item == LINK else item

    for node in reversed(nodes):
        raw = rlp.encode(linked(node)) if isinstance(node, list) else node
        encoded.insert(0, raw)
        link = keccak256(raw)
    return link, tuple(encoded)


LINK = b"the hash of the next node goes here"


def branch(**children: Any) -> list[Any]:
    return [children.get(f"c{at}", b"") for at in range(16)] + [children.get("value", b"")]


KEY = b"\x12"
FORGED: list[tuple[str, tuple[Any, ...], str]] = [
    ("a node of three items", ([b"\x20\x12", LONG, b""],), "3 items"),
    ("a node of no items", ([],), "0 items"),
    ("a branch without value", (branch(c1=LINK)[:16],), "16 items"),
    ("a string as a node", (rlp.encode(LONG),), "no list"),
    ("an empty path", ([b"", LONG],), "hex-prefix"),
    ("a list as a path", ([[], LONG],), "hex-prefix"),
    ("flag 4", ([b"\x40\x12", LONG],), "hex-prefix"),
    ("padding that is not zero", ([b"\x21\x12", LONG],), "hex-prefix"),
    ("an extension without a path", ([b"\x00", LINK], [b"\x20\x12", LONG]), "hex-prefix"),
    ("a list as the value of a leaf", ([b"\x20\x12", [LONG]],), "no value"),
    ("an empty value of a leaf", ([b"\x20\x12", b""],), "no value"),
    ("a list as the value of a branch", ([b"\x00\x12", LINK], branch(c0=LONG[:32], value=[LONG])), "no value"),
    ("no value in a branch", ([b"\x00\x12", LINK], branch(c0=LONG[:32])), "no value"),
    ("no child in a branch", (branch(c2=LONG[:32]),), "no value"),
    ("a child of 31 bytes", (branch(c1=LONG[:31]),), "neither a hash nor a node"),
    ("a child of 33 bytes", (branch(c1=LONG[:33]),), "neither a hash nor a node"),
    ("a large node inside another", (branch(c1=[b"\x32", LONG]),), "32 bytes or more inside"),
    ("an embedded node of one item", (branch(c1=[b"\x32"]),), "1 items"),
    ("a leaf with another path", ([b"\x20\x13", LONG],), "another key"),
    ("a leaf with a longer path", ([b"\x31\x23", LONG],), "another key"),
    ("a leaf with a shorter path", ([b"\x31", LONG],), "another key"),
    ("an extension to another key", ([b"\x13", LINK], branch(c2=LONG[:32])), "another key"),
    ("non-shortest RLP", (b"\xf8\x05\x82\x20\x12\x81\x80",), "shortest"),
    ("bytes after a node", (rlp.encode([b"\x20\x12", LONG]) + b"\0",), "after the end"),
]


@pytest.mark.parametrize(("nodes", "fragment"), [pytest.param(*row[1:], id=row[0]) for row in FORGED])
def test_nodes_that_no_trie_has(nodes: tuple[Any, ...], fragment: str) -> None:
    root, proof = forged(*nodes)
    with pytest.raises((BadProof, Malformed), match=fragment):
        lookup(root, KEY, proof, "x")


def test_the_table_begins_with_good_nodes() -> None:
    for nodes in (
        ([b"\x20\x12", LONG],),
        ([b"\x11", LINK], branch(c2=[b"\x20", b"v"])),
        (branch(c1=LINK), [b"\x32", LONG]),
        ([b"\x00\x12", LINK], branch(c0=LONG[:32], value=LONG)),
    ):
        root, proof = forged(*nodes)
        assert lookup(root, KEY, proof, "x") in (LONG, b"v")


def test_no_proof_at_all() -> None:
    with pytest.raises(BadProof, match="fewer nodes"):
        lookup(EMPTY_ROOT, KEY, (), "x")
    with pytest.raises(TwinproofError):
        lookup(EMPTY_ROOT, KEY, (b"\x80",), "x")
