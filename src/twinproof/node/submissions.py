"""What the node's tasks ask of a sender: one transaction for a purpose, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from twinproof.chain.model import Receipt


@dataclass(frozen=True, slots=True)
class Submission:
    """The transaction of one purpose, as far as it has come."""

    purpose: str
    receipt: Receipt | None
    """Once it is mined; a reorganisation may take it away again."""
    final: bool
    """Whether it is settled: mined with all confirmations, or never to be mined."""
    reason: str = ""
    """Why it failed for good."""

    @property
    def succeeded(self) -> bool:
        """Whether it is final and did what it was to do."""
        return self.final and self.receipt is not None and self.receipt.succeeded

    @property
    def failed(self) -> bool:
        """Whether it is final and did nothing."""
        return self.final and not self.succeeded


class Submitter(Protocol):
    """Sends for one account. A purpose has one transaction for ever, whoever asks how often."""

    @property
    def address(self) -> bytes:
        """The account."""
        ...

    def find(self, purpose: str) -> Submission | None:
        """What became of a purpose: asks the chain, and sends again or at a higher fee what is not mined."""
        ...

    def submit(self, purpose: str, to: bytes, data: bytes, value: int = 0) -> Submission:
        """Send, unless the purpose has its transaction; durable before it leaves.

        Raises `Reverted` if it would do nothing, `TooExpensive`, `OutOfFunds`, `ChainUnreachable`; nothing was sent
        then.
        """
        ...
