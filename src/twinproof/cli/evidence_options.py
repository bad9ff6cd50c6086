"""Statements in a node's log, as contracts are told of them: by leaf hash, or with their proof."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from twinproof.cli.spending import Desk
from twinproof.errors import NotFound

if TYPE_CHECKING:
    from twinproof.chain.agreements import Proof
    from twinproof.node.node import Node


def leaf_of(folder: Path | None, entry: int | None, leaf: bytes | None, what: str) -> bytes | None:
    """The leaf hash that `--leaf` gives, or that of the entry; None without both. Raises a usage error, `NotFound`."""
    if entry is not None and leaf is not None:
        raise click.UsageError(f"Name {what} either by --entry INDEX or by --leaf HASH.")
    if entry is None:
        return leaf
    from twinproof.proof.merkle import hash_leaf

    with _log(folder) as node:
        return hash_leaf(node.reader.entry(entry))


def need_log(folder: Path | None) -> Path:
    """The folder; raises a usage error without one."""
    if folder is None:
        raise click.UsageError("An entry is proved from the log itself: give the node's folder as --folder NODE.")
    return folder


@contextmanager
def _log(folder: Path | None) -> Iterator[Node]:
    from twinproof.node.node import read_node

    folder = need_log(folder)
    with read_node(folder) as node:
        yield node


def proof_of(desk: Desk, entry: int, anchors: bytes, log_id: bytes) -> Proof:
    """An entry with its inclusion proof in the first anchored head that covers it; raises `NotFound`.

    `anchors` is the CheckpointAnchor contract that will be asked, `log_id` the log there.
    """
    from twinproof.chain.agreements import Proof
    from twinproof.chain.anchors import CheckpointAnchor

    contract = CheckpointAnchor(desk.chain, anchors)
    with _log(desk.folder) as node:
        statement = node.reader.entry(entry)
        last = desk.chain.head().number
        for found in contract.events(log_id, desk.contracts.first_block, last):
            if found.head.size > entry and node.reader.root(found.head.size) == found.head.root:
                return Proof(statement, entry, found.head, node.reader.inclusion(entry, found.head.size))
    raise NotFound(f"entry {entry} is not anchored yet; do so with: twinproof anchor now --folder {desk.folder}")
