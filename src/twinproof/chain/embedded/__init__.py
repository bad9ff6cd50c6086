"""A chain in one SQLite file: py-evm behind a narrow seam, real transactions, blocks and receipts."""

from __future__ import annotations

from twinproof.chain.embedded.chain import EmbeddedChain
from twinproof.chain.embedded.genesis import Genesis
from twinproof.chain.embedded.replay import Replayed, replay

__all__ = ["EmbeddedChain", "Genesis", "Replayed", "replay"]
