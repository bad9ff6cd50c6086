"""A log whose heads are anchored in blocks that nobody made, and bundles that carry them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tests.builders import DEVICE, LOG_KEY, LOG_PQ_KEY, START, Log
from twinproof.proof import merkle
from twinproof.proof.anchor import AnchorEvidence
from twinproof.testing.anchors import DEFAULT_CHAIN, AnchorBlock
from twinproof.twin.evidence import Anchor, Bundle, format_bundle
from twinproof.twin.grants import Capability


def recorded(count: int = 8) -> Log:
    """A genesis, a grant and `count` readings, a second apart; its checkpoints carry a time."""
    log = Log(keys=(LOG_KEY, LOG_PQ_KEY))
    log.grant(DEVICE, {Capability.RECORD})
    for number in range(count):
        log.record(DEVICE, float(number), at=START + number)
    return log


def block_at(
    log: Log, size: int, time: int, *, before: int = 0, after: int = 0, number: int = 1, chain_id: int = DEFAULT_CHAIN
) -> AnchorBlock:
    """A block that anchors one head of the log, among other people's transactions."""
    block = AnchorBlock(time=time, number=number, chain_id=chain_id)
    block.fill(before)
    block.anchor(size=size, root=log.head(size).root)
    block.fill(after)
    return block


def anchor(log: Log, evidence: AnchorEvidence, size: int) -> Anchor:
    """The evidence with the consistency proof from `size` to the log's head."""
    return Anchor(evidence, tuple(merkle.prove_consistency(size, len(log), log.nodes())))


def with_anchors(log: Log, anchors: Sequence[Anchor], *, time: int = START + 100) -> bytes:
    """The twin's bundle, with these anchors as they are."""
    return format_bundle(bundle_with(log, anchors, time=time))


def bundle_with(log: Log, anchors: Sequence[Anchor], *, time: int = START + 100) -> Bundle:
    """As `with_anchors`, before it becomes a file."""
    return replace(log.bundle(time=time), anchors=tuple(anchors))
