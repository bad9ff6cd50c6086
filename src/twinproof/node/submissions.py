"""What the node's tasks ask of a sender: one transaction for a purpose, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from twinproof.chain.model import Chain
from twinproof.chain.outbox import State
from twinproof.chain.sender import Sender
from twinproof.errors import NotFound


@dataclass(frozen=True, slots=True)
class Submission:
    """The transaction of one purpose, as far as it has come."""

    purpose: str
    transaction: bytes | None
    """Hash of the mined one; a reorganisation may take it away again."""
    final: bool
    """Whether it is settled: mined with all confirmations, or never to be mined."""
    succeeded: bool
    """Whether it is final and did what it was to do."""
    block: tuple[int, bytes] | None = None
    """Number and hash of the block that has it."""
    reason: str = ""
    """Why it failed for good."""

    @property
    def failed(self) -> bool:
        """Whether it is final and did nothing."""
        return self.final and not self.succeeded


def is_undone(chain: Chain, submission: Submission) -> bool:
    """Whether a settled transaction was taken away by a reorganisation that went deeper than confirmations.

    A node that merely lags has no block of that number, or the receipt still: that is no sign of it.
    """
    if submission.transaction is None or submission.block is None:
        return False
    return is_replaced(chain, *submission.block) and chain.receipt(submission.transaction) is None


def is_replaced(chain: Chain, number: int, hash_: bytes) -> bool:
    """Whether the chain has another block in this one's place; a node that lags, and has none, says nothing."""
    block = chain.block(number)
    return block is not None and block.hash != hash_


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


class OutboxSubmitter:
    """A `Submitter` over `Sender`, whose outbox outlives a crash."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    @property
    def address(self) -> bytes:
        """See `Submitter`."""
        return self._sender.address

    def find(self, purpose: str) -> Submission | None:
        """See `Submitter`."""
        try:
            entry = self._sender.find(purpose)
        except NotFound:
            return None
        if entry.live:
            # Submitting what is there already looks at it alone: its receipt, whether it is stuck or was dropped.
            entry = self._sender.submit(purpose, entry.to, entry.data, entry.value)
        block = None if entry.number is None or entry.block is None else (entry.number, entry.block)
        reason = entry.detail or entry.code or ""
        return Submission(purpose, entry.transaction, not entry.live, entry.state is State.CONFIRMED, block, reason)

    def submit(self, purpose: str, to: bytes, data: bytes, value: int = 0) -> Submission:
        """See `Submitter`."""
        self._sender.submit(purpose, to, data, value)
        found = self.find(purpose)
        if found is None:
            raise NotFound(f"the outbox does not hold {purpose!r} any more")
        return found
