"""What the anchors of a bundle are worth: which lead to its head, which blocks a reader believes, which times hold.

An anchor proves, under a block's hash, that a contract recorded a size and a root of the log (proof/anchor.py). It is
this log's if the root leads to the head; its time counts if the reader believes the block.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import itemgetter

from twinproof.errors import Malformed, TwinproofError
from twinproof.proof import merkle
from twinproof.proof.anchor import AnchoredHead, check_anchor
from twinproof.proof.checkpoint import Checkpoint
from twinproof.twin.evidence import Anchor


@dataclass(frozen=True, slots=True)
class ExpectedAnchor:
    """The contract, and the log in it, whose events are to count."""

    chain_id: int
    contract: bytes
    """20 bytes."""
    log_id: bytes | None = None
    """32 bytes; None: any log of the contract."""

    def matches(self, head: AnchoredHead) -> bool:
        """Whether the event is of this contract and log."""
        return (self.chain_id, self.contract) == (head.chain_id, head.contract) and self.log_id in (None, head.log_id)


@dataclass(frozen=True, slots=True)
class AnchorTrust:
    """Which blocks are believed; without any, anchors bound nothing."""

    blocks: frozenset[bytes] = frozenset()
    """Block hashes."""
    confirms: Callable[[int, int, bytes], bool] | None = None
    """(chain id, block number, block hash) -> whether that chain has that block; what it raises goes to the caller."""
    expected: tuple[ExpectedAnchor, ...] = ()
    """If not empty, the events of all others bound nothing."""

    def refusal(self, head: AnchoredHead) -> str | None:
        """Why the anchor bounds nothing; None if it does."""
        if self.expected and not any(expected.matches(head) for expected in self.expected):
            return "of a contract or log that you do not expect"
        known = head.block_hash in self.blocks
        if known or (self.confirms and self.confirms(head.chain_id, head.block_number, head.block_hash)):
            return None
        return "of blocks that you do not trust"


@dataclass(frozen=True, slots=True)
class VerifiedAnchor:
    """A head of this log that a block records."""

    head: AnchoredHead
    refusal: str | None
    """Why its time bounds nothing; None if it does."""

    @property
    def trusted(self) -> bool:
        """Whether the block is believed: only then does its time bound anything."""
        return self.refusal is None


def link_anchors(anchors: Iterable[Anchor], head: Checkpoint, problems: list[str]) -> list[AnchoredHead]:
    """The anchors that hold, ascending; what does not is told in `problems`."""
    linked: list[AnchoredHead] = []
    for number, anchor in enumerate(anchors):
        try:
            older = check_anchor(anchor.evidence)
            if linked and older.order <= linked[-1].order:
                raise Malformed("size", f"{older.size} of block {older.block_number} is out of order")
            merkle.check_consistency(older.size, head.size, older.root, head.root, anchor.proof)
        except TwinproofError as problem:
            problems.append(f"anchor {number}: {problem}")
            continue
        linked.append(older)
    return linked


def unused(anchors: Iterable[VerifiedAnchor]) -> Iterable[str]:
    """A remark for each chain and reason for which anchors bound nothing."""
    counts = Counter((anchor.head.chain_id, anchor.refusal) for anchor in anchors if not anchor.trusted)
    for (chain_id, refusal), count in counts.items():
        yield f"no time is taken from {count} of the anchors, on chain {chain_id}: {refusal}"


def time_steps(anchors: Iterable[VerifiedAnchor]) -> list[tuple[int, int]]:
    """(size, time) of trusted anchors, both ascending: those that bound some entry best."""
    steps: list[tuple[int, int]] = []
    trusted = ((anchor.head.size, anchor.head.time) for anchor in anchors if anchor.trusted)
    for size, time in sorted(trusted, key=lambda step: (step[1], -step[0])):
        if not steps or size > steps[-1][0]:
            steps.append((size, time))
    return steps


def time_anchored(index: int, steps: list[tuple[int, int]]) -> int | None:
    """The time of the first step that holds the entry."""
    at = bisect_right(steps, index, key=itemgetter(0))
    return steps[at][1] if at < len(steps) else None
