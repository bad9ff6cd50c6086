"""Trust in blocks that nobody meant to give, and tries whose nodes are not what they seem."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.builders import START
from tests.cli.rig import Cli
from tests.verify.anchorkit import anchor, block_at, recorded, with_anchors
from twinproof.errors import BadProof, Malformed
from twinproof.proof import mpt, rlp
from twinproof.proof.keccak import keccak256
from twinproof.proof.rlp import Item

LOG = recorded()
BLOCK = block_at(LOG, 4, START + 20, number=7)


@pytest.fixture
def cli() -> Cli:
    return Cli()


def verified(cli: Cli, folder: Path, blocks: bytes) -> list[bool]:
    (folder / "engine.twinproof").write_bytes(with_anchors(LOG, [anchor(LOG, BLOCK.evidence(0), 4)]))
    (folder / "policy.txt").write_text("".join(f"log {key.verifier}\n" for key in LOG.keys) + "quorum none\n")
    (folder / "blocks").write_bytes(blocks)
    words = ("verify", folder / "engine.twinproof", "--policy", folder / "policy.txt", "--blocks", folder / "blocks")
    return [one["trusted"] for one in cli.json(*words)["anchors"]]


@pytest.mark.parametrize("gap", ["\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\r", "\t"])
def test_a_hash_within_a_comment_is_not_trusted(cli: Cli, tmp_path: Path, gap: str) -> None:
    """An editor shows one line, a comment; it must be read as one."""
    assert verified(cli, tmp_path, f"# from a friend{gap}0x{BLOCK.hash.hex()}\n".encode()) == [False]
    assert verified(cli, tmp_path, f"0x{BLOCK.hash.hex()}  # from a friend\r\n".encode()) == [True]


# --- tries ----------------------------------------------------------------------------------------

KEY = rlp.encode_int(5)
VALUE = b"a receipt that is long enough to have a hash of its own"


def prove(*nodes: Item) -> tuple[bytes, list[bytes]]:
    """A root and the proof of these nodes, the first being the root."""
    raws = [rlp.encode(node) for node in nodes]
    return keccak256(raws[0]), raws


def reference(node: Item) -> Item:
    raw = rlp.encode(node)
    return node if len(raw) < 32 else keccak256(raw)


def branch(nibble: int, child: Item, value: bytes = b"") -> list[Item]:
    items: list[Item] = [b""] * 16
    items[nibble] = child
    return [*items, value]


LEAF: list[Item] = [b"\x35", VALUE]
INNER: list[Item] = [b"\x20", b"short"]
TRICKS: dict[str, Callable[[], tuple[bytes, list[bytes]]]] = {
    "a leaf for an extension": lambda: prove([b"\x30", keccak256(rlp.encode(LEAF))], LEAF),
    "an extension for a leaf": lambda: prove(branch(0, reference([b"\x15", VALUE])), [b"\x15", VALUE]),
    "a value on the way": lambda: prove(branch(0, b"", VALUE)),
    "a branch's value before the key ends": lambda: prove(branch(5, b"", VALUE)),
    "a child that is the value itself": lambda: prove(branch(0, VALUE)),
    "an extension without path": lambda: prove([b"\x00", keccak256(rlp.encode(LEAF))], LEAF),
    "a path with another flag": lambda: prove(branch(0, reference([b"\x45", VALUE])), [b"\x45", VALUE]),
    "an even path with a padding": lambda: prove([b"\x2f\x05", VALUE]),
    "a longer path": lambda: prove([b"\x20\x05\x00", VALUE]),
    "a list for the value": lambda: prove([b"\x20\x05", [VALUE]]),
    "an empty value": lambda: prove([b"\x20\x05", b""]),
    "a large node inside another": lambda: prove(branch(0, LEAF)),
    "a small node by its hash, and left over": lambda: prove(branch(0, INNER), INNER),
    "the root alone": lambda: prove(branch(0, reference(LEAF))),
    "one node twice": lambda: prove(branch(0, reference(LEAF)), LEAF, LEAF),
    "a branch of sixteen": lambda: prove(branch(0, reference(LEAF))[:16], LEAF),
}


@pytest.mark.parametrize("name", TRICKS)
def test_tries_that_prove_nothing(name: str) -> None:
    root, proof = TRICKS[name]()
    with pytest.raises((BadProof, Malformed)):
        mpt.lookup(root, KEY, proof, "proof")


def test_tries_that_do() -> None:
    for root, proof in (prove(branch(0, reference(LEAF)), LEAF), prove([b"\x20\x05", VALUE])):
        assert mpt.lookup(root, KEY, proof, "proof") == VALUE
