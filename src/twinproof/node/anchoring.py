"""Anchoring: the log's heads, recorded on a chain by the CheckpointAnchor contract.

    chain's latest head ─▶ a prefix of this log? ─▶ due? ─▶ consistency proof ─▶ submit(purpose of the old size)
    Anchored events ─▶ evidence (header, receipt, proofs) in the anchor store, for bundles

Nothing is remembered but in the log, on the chain and in the sender's outbox: each round asks the chain for the
newest head, and the purpose is made from that head, so that a crash at any point neither sends twice nor leaves a
gap. Evidence comes from the events alone, whoever sent them, and is made again if the store is lost.

A head on the chain that is no prefix of this log means that one of the two is forged: the task stops for good and
says so.
"""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, replace

from twinproof.chain.anchors import NO_HEAD, Anchored, CheckpointAnchor, Head
from twinproof.chain.asking import block_ranges
from twinproof.chain.hexadecimal import keccak
from twinproof.chain.model import Block, Chain, Log
from twinproof.chain.proofs import prove_anchor
from twinproof.errors import ConfigError, ForkedHistory, TooLarge, TwinproofError
from twinproof.log.reader import Reader
from twinproof.node.anchor_store import AnchorStore
from twinproof.node.config import ChainSettings
from twinproof.node.node import Clock
from twinproof.node.submissions import Submission, Submitter, is_replaced, is_undone
from twinproof.node.tasks import Rounds
from twinproof.proof import rlp
from twinproof.proof.anchor import MAX_HEADER_ITEMS, AnchorEvidence

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AnchorReport:
    """How the anchoring stands, for people and for monitoring."""

    size: int = 0
    """Entries that the newest anchor covers; 0 before the first."""
    time: int = 0
    """The newest anchor's, POSIX seconds."""
    block: int = 0
    """Of the newest confirmed anchor."""
    count: int = 0
    """Anchors on the chain."""
    behind_entries: int = 0
    """Entries that no anchor covers."""
    behind_seconds: float = 0.0
    """Age of the newest anchor, if there are such entries."""
    spent: int = 0
    """Wei that this node's account paid for confirmed anchors."""
    due: float | None = None
    """When the next anchor is due, POSIX seconds; None while there is nothing to anchor."""
    pending: bool = False
    """Whether a transaction is under way."""
    unproved: int = 0
    """Confirmed anchors whose evidence is too large for a bundle; the contract knows them all the same."""
    problem: str = ""
    """Why it does not get on; empty if it does."""
    forked: bool = False
    """Whether the chain contradicts this log; nothing is anchored any more."""


class Anchoring(Rounds):
    """One per log and chain. `step` does one round; `tasks.Task` runs rounds in a thread."""

    LEVEL = logging.ERROR

    def __init__(
        self,
        reader: Reader,
        chain: Chain,
        anchors: CheckpointAnchor,
        log_id: bytes,
        submitter: Submitter,
        store: AnchorStore,
        *,
        settings: ChainSettings,
        clock: Clock,
        confirmations: int = 0,
        first_block: int = 0,
        on_problem: Callable[[TwinproofError], None] | None = None,
    ) -> None:
        """`first_block` is the one that made the contract."""
        super().__init__("anchoring", on_problem)
        self.report = AnchorReport()
        self._reader = reader
        self._chain = chain
        self._anchors = anchors
        self._log_id = log_id
        self._submitter = submitter
        self._store = store
        self._settings = settings
        self._clock = clock
        self._confirmations = confirmations
        self._first = first_block
        self._fork: ForkedHistory | None = None
        self._wanted = 0
        self._named = False
        """Whether the id is known to be this log's."""
        self._since = 0, 0.0
        """Size of the newest head, and when it was met here."""
        self._have: set[tuple[bytes, int]] | None = None
        self._unseen: list[AnchorEvidence] = []
        """What the store had at the start, until the chain is read up to it."""
        self._next = first_block
        self._end: Block | None = None
        """The newest block that was read, to notice when the chain has another one in its place."""
        self._confirmed: list[Anchored] = []
        self._costs: dict[bytes, int] = {}
        """Wei by transaction of ours."""
        self._unproved: set[tuple[bytes, int]] = set()
        """Where confirmed anchors stand whose evidence is too large."""

    # --- for others -----------------------------------------------------------------------------

    def want(self, size: int) -> None:
        """Let an anchor of at least `size` entries be due at once."""
        self._wanted = max(self._wanted, size)

    def covering(self, index: int) -> Head | None:
        """The smallest confirmed anchored head that covers the entry `index`."""
        confirmed = list(self._confirmed)  # asked by another thread
        at = bisect_right(confirmed, index, key=_size_of)
        return confirmed[at].head if at < len(confirmed) else None

    # --- a round --------------------------------------------------------------------------------

    def _report(self, problem: TwinproofError) -> None:
        if isinstance(problem, ForkedHistory):
            self._fork = problem
        self.report = replace(self.report, problem=f"{problem.code}: {problem}", forked=self._fork is not None)
        super()._report(problem)

    def _round(self) -> None:
        """Collect evidence, and anchor if it is due."""
        if self._fork is not None:
            # For good: whoever holds the other history must be found before anything is added to either.
            raise self._fork
        self._collect()
        old, count = self._newest()
        submission = self._find(old)
        due = self._due(old)
        self._tell(old, count, due, submission)
        if submission is None or submission.failed or is_undone(self._chain, submission):
            if due is None or due > self._clock():
                return
            submission = self._submit(old, submission)
            self._tell(old, count, due, submission)
        if submission.transaction is not None:
            self._collect()

    # --- what the chain has -----------------------------------------------------------------------

    def _newest(self) -> tuple[Head, int]:
        """The newest head on the chain, and how many there are; raises `ForkedHistory` if it is none of this log."""
        # At one block: behind one address may be several nodes, and one that lags would contradict the others.
        at = self._chain.head().number
        latest = self._anchors.latest(self._log_id, block=at)
        if not latest.count:
            if self._anchors.owner(self._log_id) is None:
                raise ConfigError("the log is not registered with the contract; do so with: twinproof chain deploy")
            self._check_name()
            return NO_HEAD, 0
        head = Head(latest.size, latest.time, self._root(latest.size))
        # While we asked, another block may have taken this one's place.
        anchored = self._anchors.is_anchored(self._log_id, head, block=at)
        if not anchored and self._anchors.latest(self._log_id, block=at) == latest:
            raise ForkedHistory(
                f"the chain {self._chain.chain_id} has another head of {latest.size} entries under this log's id than "
                "this log: the history was forked. Nothing will be anchored; compare this log with what others have"
            )
        return head, latest.count

    def _check_name(self) -> None:
        """The first anchor under an id gives it to its log for ever: it must not be that of another log of ours."""
        if self._named:
            return
        ours = self._reader.head().checkpoint.split(b"\n")[0].decode()
        told = self._anchors.origin(self._log_id, self._first)
        if told not in (None, ours):
            raise ConfigError(f"contracts.json has the log id of {told}, and this log is {ours}; nothing is anchored")
        self._named = True

    def _root(self, size: int) -> bytes:
        have = self._reader.head().size
        if size > have:
            raise ForkedHistory(
                f"the chain {self._chain.chain_id} has a head of {size} entries under this log's id, but this log has "
                f"{have}: it was rolled back, or somebody else continues it. Nothing will be anchored"
            )
        return self._reader.root(size)

    def _collect(self) -> None:
        """Take in confirmed anchors, and keep evidence of those that the store does not have."""
        if self._have is None:
            kept = self._store.all()
            self._unseen = [one for one in kept if one.chain_id == self._chain.chain_id]
            self._have = {(keccak(one.header), one.index) for one in self._unseen}
        self._drop_gone()
        last = self._chain.head().number - self._confirmations
        for first, upto in block_ranges(self._next, last):
            end = self._chain.block(upto)
            for anchored in self._anchors.events(self._log_id, first, upto):
                self._take(anchored)
            self._next, self._end = upto + 1, end
        self._drop_stale()

    def _take(self, anchored: Anchored) -> None:
        if self._confirmed and anchored.head.size <= self._confirmed[-1].head.size:
            return  # sizes ascend: a round that failed in the middle of a range had it
        if self._root(anchored.head.size) != anchored.head.root:
            raise ForkedHistory(
                f"block {anchored.log.number} of chain {self._chain.chain_id} anchors another head of "
                f"{anchored.head.size} entries under this log's id than this log has. Nothing will be anchored"
            )
        place = (anchored.log.block, anchored.log.transaction_index)
        if self._have is not None and place not in self._have:
            self._keep_evidence(anchored.log, place)
            self._have.add(place)
        receipt = self._chain.receipt(anchored.log.transaction)
        if receipt is not None and receipt.sender == self._submitter.address:
            self._costs[receipt.transaction] = receipt.gas_used * receipt.gas_price
        self._confirmed.append(anchored)

    def _keep_evidence(self, event: Log, place: tuple[bytes, int]) -> None:
        """The evidence is durable before the anchor counts: a crash here finds the event again."""
        try:
            self._store.add(prove_anchor(self._chain, event))
        except TooLarge as problem:
            # For good: the block does not get smaller. Bundles take the next anchor, which covers this one's entries.
            self._unproved.add(place)
            _LOG.warning("no evidence is kept of the anchor in block %d: %s", event.number, problem)

    def _drop_gone(self) -> None:
        """Forget confirmed anchors whose blocks a reorganisation took away, and their evidence."""
        known = [(anchored.log.number, anchored.log.block) for anchored in self._confirmed[-1:]]
        if self._end is not None:
            known.append((self._end.number, self._end.hash))
        if not any(is_replaced(self._chain, *block) for block in known):
            return
        self._next, self._end = self._first, None
        while self._confirmed:
            newest = self._confirmed[-1].log
            if not is_replaced(self._chain, newest.number, newest.block):
                self._next = newest.number
                return
            _LOG.warning("the chain reorganised: the anchor in block %d is gone", newest.number)
            for evidence in self._store.all():
                if keccak(evidence.header) == newest.block:
                    self._store.remove(evidence)
            place = (newest.block, newest.transaction_index)
            self._unproved.discard(place)
            if self._have is not None:
                self._have.discard(place)
            self._costs.pop(newest.transaction, None)
            self._confirmed.pop()

    def _drop_stale(self) -> None:
        """Of what the store had at the start, forget what a reorganisation took away that nobody saw."""
        taken = {(anchored.log.block, anchored.log.transaction_index) for anchored in self._confirmed}
        later = []
        for one in self._unseen:
            place, number = (keccak(one.header), one.index), _number_of(one)
            if number >= self._next:
                later.append(one)  # a shorter chain may yet come to it
            elif place not in taken and is_replaced(self._chain, number, place[0]):
                _LOG.warning("the chain reorganised: the anchor in block %d is gone", number)
                self._store.remove(one)
                if self._have is not None:
                    self._have.discard(place)
        self._unseen = later

    # --- what is sent -----------------------------------------------------------------------------

    def _due(self, old: Head) -> float | None:
        """When the next anchor is due, POSIX seconds; None if the log has not grown since `old`."""
        size = self._reader.head().size
        if size <= old.size:
            return None
        if old.size == 0 or self._wanted > old.size or size - old.size >= self._settings.anchor_every_entries:
            return 0.0
        return min(float(old.time), self._seen(old)) + self._settings.anchor_every_seconds

    def _seen(self, old: Head) -> float:
        """Since when `old` is known here: a clock that was ahead for a moment leaves a chain of one's own ahead."""
        now = self._clock()
        if self._since[0] != old.size or self._since[1] > now:
            self._since = old.size, now
        return self._since[1]

    def _purpose(self, old: Head, attempt: int) -> str:
        place = f"{self._chain.chain_id}:{self._anchors.address.hex()}:{self._log_id.hex()}"
        # With the account: what another one has begun, this one cannot bring to its end.
        return f"anchor:{place}:{old.size}:{old.time}:{self._submitter.address.hex()[:8]}:{attempt}"

    def _find(self, old: Head) -> Submission | None:
        """The newest attempt to go on from `old`."""
        found: Submission | None = None
        attempt = 0
        while (submission := self._submitter.find(self._purpose(old, attempt))) is not None:
            found = submission
            attempt += 1
        return found

    def _submit(self, old: Head, before: Submission | None) -> Submission:
        attempt = int(before.purpose.rpartition(":")[2]) + 1 if before else 0
        head = self._reader.checkpoints()[-1]
        root, proof = self._reader.root(head.size), self._reader.consistency(old.size, head.size) if old.size else []
        data = self._anchors.plan(self._log_id, old, head.size, root, proof)
        return self._submitter.submit(self._purpose(old, attempt), self._anchors.address, data)

    def _tell(self, old: Head, count: int, due: float | None, submission: Submission | None) -> None:
        now, size = self._clock(), self._reader.head().size
        self.report = AnchorReport(
            size=old.size,
            time=old.time,
            block=self._confirmed[-1].log.number if self._confirmed else 0,
            count=count,
            behind_entries=size - old.size,
            behind_seconds=max(0.0, now - old.time) if size > old.size and old.size else 0.0,
            spent=sum(self._costs.values()),
            due=None if due is None else max(due, 0.0) or now,
            pending=submission is not None and not submission.final,
            unproved=len(self._unproved),
        )


def _number_of(evidence: AnchorEvidence) -> int:
    """Of the block; it was checked before it was kept."""
    return rlp.as_int(rlp.as_list(rlp.decode(evidence.header, "header"), "header", 15, MAX_HEADER_ITEMS)[8], "number")


def _size_of(anchored: Anchored) -> int:
    return anchored.head.size
