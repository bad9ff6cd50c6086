"""The node's automation: states in the log what the rules in the log make of its readings.

    with open_live(folder) as live:
        key = automation_key(live.node.folder, live.node.config.origin)
        automation = Automation(live.node, live.feed, live.states, key)
        automation.start()

It signs with a key of its own, FOLDER/keys/automation.pem, which is made when it is first needed and
which the operator must grant `predict` (`enable`, or `twinproof grant FOLDER/automation.json`).
Nothing that happens to it reaches intake: it reads the feed, and hands statements in as anybody does.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from twinproof.errors import (
    ConfigError,
    Conflict,
    InternalError,
    LogError,
    NotAuthorised,
    Overloaded,
    StreamError,
    TwinproofError,
)
from twinproof.node.intake import Accepted, Outcome
from twinproof.node.node import Clock, WritingNode
from twinproof.node.service_keys import PATIENCE, Service
from twinproof.node.tasks import Rounds
from twinproof.proof.keys import PrivateKey
from twinproof.twin.alarm import ALARM, AlarmTransition, format_transition
from twinproof.twin.grants import Capability
from twinproof.twin.stream import StreamHead, next_seq, sign_next
from twinproof.views.alarms import Engine, Finding, Proposal, Settings, rebuild
from twinproof.views.feed import Feed
from twinproof.views.state import StateView

AUTOMATION: Final = Service("automation", Capability.PREDICT)
KEY: Final = "automation.pem"
CARD: Final = "automation.json"
CHUNK: Final = 1024
"""Entries judged between two deliveries."""
BATCH: Final = 256
"""Statements handed in at once."""
MAX_QUEUE: Final = 10_000
"""Transitions that wait to be stated; those beyond it are judged again, and stated if they still hold."""
TICK: Final = 1.0
"""Seconds between two looks at the clock."""
STREAM_ATTEMPTS: Final = 3
"""Times that a transition is signed anew because its stream had moved."""

_LOG = logging.getLogger(__name__)


def issuer_of(origin: str) -> str:
    """Who the automation of a log is: an IRI below the log's own."""
    return AUTOMATION.issuer(origin)


def has_key(folder: Path) -> bool:
    """Whether the automation was enabled here."""
    return AUTOMATION.has_key(folder)


def automation_key(folder: Path, origin: str) -> PrivateKey:
    """The automation's key, made with its signer card if there is none; raises `ConfigError` or `StorageFailed`."""
    return AUTOMATION.key(folder, origin)


def is_enabled(node: WritingNode, key: PrivateKey) -> bool:
    """Whether a grant that stands lets the automation speak about every twin."""
    return AUTOMATION.is_enabled(node, key)


def enable(node: WritingNode, key: PrivateKey) -> int | None:
    """Let the operator grant the automation `predict` about every twin; the grant's index, None if it has one.

    Raises `ConfigError` if the operator's key is kept elsewhere, or what intake refuses it for.
    """
    return AUTOMATION.enable(node, key)


@dataclass(slots=True)
class _Waiting:
    """A transition on its way into the log; once signed, the same bytes are sent until they are answered for."""

    proposal: Proposal
    raw: bytes | None = None
    head: StreamHead | None = None
    """The stream's head once `raw` is taken."""
    attempts: int = 0


class Automation(Rounds):
    """One per node. `step` does one round; `start` and `stop` run rounds in a thread."""

    def __init__(
        self,
        node: WritingNode,
        feed: Feed,
        states: StateView,
        key: PrivateKey,
        *,
        settings: Settings | None = None,
        clock: Clock = time.time,
        max_queue: int = MAX_QUEUE,
        on_problem: Callable[[TwinproofError], None] | None = None,
    ) -> None:
        super().__init__("the automation", on_problem)
        self.issuer = issuer_of(node.config.origin)
        self.stated = 0
        """Transitions that became entries."""
        self.dropped = 0
        """Transitions withdrawn because the queue was full or the log refused them."""
        self._node = node
        self._feed = feed
        self._states = states
        self._key = key
        self._settings = settings
        self._clock = clock
        self._max_queue = max_queue
        self._engine: Engine | None = None
        self._reached = 0
        self._queue: deque[_Waiting] = deque()
        self._heads: dict[str, StreamHead | None] = {}
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def findings(self) -> dict[tuple[str, str, str], Finding]:
        """Readings that rules could not judge, by (twin, rule, code)."""
        return dict(self._engine.findings) if self._engine else {}

    @property
    def waiting(self) -> int:
        """Transitions that are not in the log yet."""
        return len(self._queue)

    @property
    def reached(self) -> int:
        """Entries judged."""
        return self._reached

    # --- running ------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to run rounds: at each publication, and once a `TICK`."""
        self._thread = threading.Thread(target=self._run, name="automation", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the round under way; what waits is decided again after the next start."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        pause = 0.0
        while not self._stopping.wait(pause):
            self._feed.wait(self._reached, TICK)
            healthy = self.step()
            pause = 0.0 if healthy else TICK

    def _after_defect(self) -> None:
        _LOG.error("it goes on behind entry %d", self._reached - 1)

    def _round(self) -> None:
        """Judge what is new, look at the clock, deliver."""
        self._judge()
        if self.problem is None:
            self._deliver()

    # --- judging ------------------------------------------------------------------------------

    def _judge(self) -> None:
        if self._engine is None:
            self._engine, self._reached, found = rebuild(self._states, self._feed, self.issuer, self._settings)
            self._push(found)
        engine = self._engine
        while not self._stopping.is_set():
            items = self._feed.read(self._reached, CHUNK)
            for item in items:
                # First, so that an entry that cannot be judged is not met for ever.
                self._reached = item.index + 1
                self._push(engine.take(item))
            if len(items) < CHUNK:
                break
            if self.problem is None:
                try:
                    self._deliver()
                except TwinproofError as problem:
                    # Judging goes on meanwhile: the queue is bounded.
                    self._report(problem)
        self._push(engine.tick(self._clock()))

    def _push(self, proposals: list[Proposal]) -> None:
        for proposal in proposals:
            if len(self._queue) < self._max_queue:
                self._queue.append(_Waiting(proposal))
            else:
                self._withdraw(proposal)

    def _withdraw(self, proposal: Proposal) -> None:
        self.dropped += 1
        if self._engine is not None:
            self._engine.refused(proposal)

    # --- delivering ---------------------------------------------------------------------------

    def _deliver(self) -> None:
        while self._queue and not self._stopping.is_set():
            batch = [self._queue[n] for n in range(min(BATCH, len(self._queue)))]
            outcomes = self._submit(batch)
            refused: set[tuple[str, str]] = set()
            again: list[_Waiting] = []
            problem: TwinproofError | None = None
            for waiting, outcome in zip(batch, outcomes, strict=True):
                self._queue.popleft()
                alarm = (waiting.proposal.subject, waiting.proposal.rule)
                if isinstance(outcome, Accepted):
                    self.stated += 1
                    continue
                self._heads.pop(waiting.proposal.subject, None)
                if _passing(outcome):
                    again.append(waiting)
                    problem = outcome
                elif isinstance(outcome, StreamError) and waiting.attempts < STREAM_ATTEMPTS:
                    # Its stream ends elsewhere than we thought, or the one before it was not taken.
                    waiting.raw = None
                    waiting.attempts += 1
                    again.append(waiting)
                else:
                    problem = _explained(outcome)
                    refused.add(alarm)
                    self._withdraw(waiting.proposal)
            # What follows a refused transition of the same alarm was withdrawn with it.
            again = [w for w in again if (w.proposal.subject, w.proposal.rule) not in refused]
            if refused:
                self._queue = deque(w for w in self._queue if (w.proposal.subject, w.proposal.rule) not in refused)
            self._queue.extendleft(reversed(again))
            if problem is not None:
                raise problem

    def _submit(self, batch: list[_Waiting]) -> list[Outcome]:
        for waiting in batch:
            self._sign(waiting)
        try:
            return self._node.intake.submit([waiting.raw or b"" for waiting in batch]).result(PATIENCE)
        except (TwinproofError, TimeoutError, CancelledError) as problem:
            # Nothing is known: the same bytes again, later. What did become durable is then found.
            self._heads.clear()
            if isinstance(problem, TwinproofError):
                raise
            raise Overloaded("intake gives no answer", TICK) from None

    def _sign(self, waiting: _Waiting) -> None:
        """Sign onto the end of the twin's stream, as it will be when those before have been taken."""
        proposal = waiting.proposal
        subject = proposal.subject
        if waiting.raw is not None:
            self._heads[subject] = waiting.head
            return
        if subject not in self._heads:
            self._heads[subject] = self._head(subject)
        head = self._heads[subject]
        said = AlarmTransition(proposal.rule, proposal.transition, value=proposal.value, time=proposal.time)
        waiting.raw = sign_next(
            head,
            self._key,
            issuer=self.issuer,
            subject=subject,
            content_type=ALARM,
            payload=format_transition(said),
            issued_at=int(self._clock()),
        )
        waiting.head = self._heads[subject] = StreamHead(next_seq(head), sha256(waiting.raw).digest())

    def _head(self, subject: str) -> StreamHead | None:
        return self._node.intake.stream_head(self.issuer, subject)


def _passing(problem: TwinproofError) -> bool:
    """Whether the same bytes may be taken later."""
    return isinstance(problem, Overloaded | LogError | InternalError | Conflict) or problem.code == "future-dated"


def _explained(problem: TwinproofError) -> TwinproofError:
    if isinstance(problem, NotAuthorised):
        return ConfigError(
            f"the automation may not state alarms ({problem}); let it with: twinproof alarm enable --folder NODE"
        )
    return problem
