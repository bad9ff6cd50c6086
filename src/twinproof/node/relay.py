"""The relay: brings predictions that a policy names to the maintenance contract, which places the order by proof.

    policy + prediction in the log ─▶ replayed? ─▶ anchored? ─▶ proof ─▶ would the contract take it? ─▶ submit

The contract checks the signature, the place in the anchored log and the agreement's terms, and refuses a second order
of an episode, so any number of relays may run. What it cannot check is the arithmetic: so the relay computes each
prediction again first, and never brings one that comes out another. Everything it knows comes
from the log and the chain; its transactions bear the purpose (agreement, twin, episode), so a crash sends none twice.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from typing import Final

from twinproof.chain.agreements import Agreements, Proof, Proposal
from twinproof.chain.model import Chain
from twinproof.errors import ChainUnreachable, NotAuthorised, NotFound, Reverted, TwinproofError
from twinproof.log.reader import Reader
from twinproof.node.anchoring import Anchoring
from twinproof.node.node import Clock
from twinproof.node.replaying import ForecastReplay
from twinproof.node.statements import logged, logged_about
from twinproof.node.submissions import Submission, Submitter, is_undone
from twinproof.node.tasks import Rounds
from twinproof.prognosis.audit import Finding, Outcome
from twinproof.twin.authority import AUTHORITY_KINDS, Authority
from twinproof.twin.description import Description, Lifecycle
from twinproof.twin.grants import Capability
from twinproof.twin.policy import Policy, PolicyRemoval
from twinproof.twin.prediction import Prediction
from twinproof.twin.state import TwinState
from twinproof.views.feed import Feed, Item
from twinproof.views.state import StateView

CHUNK: Final = 1024
"""Entries read at once."""
FIRST_WAIT: Final = 5.0
"""Seconds until a refusal that may pass is tried again; doubled each time."""
LONGEST_WAIT: Final = 600.0
MAX_ATTEMPTS: Final = 5
"""Transactions for one order of one episode that may come to nothing, each paid for."""
SETTLED: Final = frozenset(("OrderOpen", "NotAfter"))
"""Refusals that say that this prediction, or another relay, did it."""
GRAVE: Final = frozenset(("refused", "stale", "disproved", "unreplayable"))
"""Decisions that somebody should look at."""
PASSING: Final = frozenset(("NotActive", "InsufficientEscrow", "NotAnchored", "FromTheFuture"))
"""Refusals that time or people may end."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Forecast:
    index: int
    time: int
    lower: float
    coverage: float
    unit: str

    def calls_for(self, policy: Policy) -> bool:
        """Whether the policy's condition holds."""
        return self.unit == policy.unit and self.lower < policy.below and self.coverage >= policy.coverage


@dataclass(slots=True)
class _Case:
    """A policy's condition that holds for a twin."""

    policy: Policy
    forecast: _Forecast
    next_try: float = 0.0
    wait: float = FIRST_WAIT
    attempts: int = 0
    """Transactions that came to nothing, as far as a pause was made after each."""
    said: str = ""
    """The last message, so that it is said once."""


@dataclass(slots=True)
class _Known:
    """What the log says that concerns the relay."""

    policies: dict[str, dict[str, Policy]] = field(default_factory=dict)
    """By the twin or model that they are about, then by id."""
    forecasts: dict[str, _Forecast] = field(default_factory=dict)
    """The newest by twin."""
    models: dict[str, str] = field(default_factory=dict)
    retired: set[str] = field(default_factory=set)

    def meet(self, state: TwinState) -> None:
        """What a twin was before its first prediction."""
        if state.model is not None:
            self.models[state.subject] = state.model.value
        if state.retired:
            self.retired.add(state.subject)

    def policies_of(self, twin: str) -> dict[str, Policy]:
        """Those of the twin's model, and its own, which replace them by id."""
        return {**self.policies.get(self.models.get(twin, ""), {}), **self.policies.get(twin, {})}


class Relay(Rounds):
    """One per node. `step` does one round; `tasks.Task` runs rounds in a thread."""

    def __init__(
        self,
        reader: Reader,
        feed: Feed,
        states: StateView,
        chain: Chain,
        agreements: Agreements,
        anchoring: Anchoring,
        anchors: bytes,
        log_id: bytes,
        submitter: Submitter,
        replay: ForecastReplay,
        *,
        replay_required: bool = True,
        clock: Clock,
        on_due: Callable[[], None] = lambda: None,
        on_problem: Callable[[TwinproofError], None] | None = None,
    ) -> None:
        """`replay_required`: what cannot be replayed is not brought. `on_due` wakes the anchoring for a prediction."""
        super().__init__("the relay", on_problem)
        self.decisions: Counter[str] = Counter()
        """placed, sent, taken (there is an order already), stale, refused, disproved (a replay gives other bits),
        unreplayable (the model or its readings are not here), waiting (for money, an anchor, the parties)."""
        self._reader = reader
        self._feed = feed
        self._states = states
        self._chain = chain
        self._agreements = agreements
        self._proposals: dict[int, Proposal] = {}
        """By number: an agreement's terms never change."""
        self._anchoring = anchoring
        self._anchors = anchors
        self._log_id = log_id
        self._submitter = submitter
        self._replay = replay
        self._replay_required = replay_required
        self._doubted: dict[str, int] = {}
        """Twin -> index of the prediction that is to be replayed now."""
        self._findings: dict[str, Finding] = {}
        """Twin -> what the replay of its newest prediction found."""
        self._clock = clock
        self._on_due = on_due
        self._authority = Authority()
        self._known = _Known()
        self._lock = threading.Lock()
        self._reached = 0
        self._cases: dict[tuple[str, str], _Case] = {}
        self._done: dict[tuple[str, str], tuple[int, Policy]] = {}
        """(twin, policy's id) -> index of the prediction that was dealt with, and under which policy."""

    @property
    def open_cases(self) -> int:
        """Twins and policies whose condition holds and that are not dealt with yet."""
        return len(self._cases)

    def step(self) -> bool:
        """Judge what is new and bring on what is due; False if something failed, which `problem` tells."""
        with self._lock:
            healthy = super().step()
            doubted, self._doubted = self._doubted, {}
        if not doubted:
            return healthy
        # A replay may take seconds: the log is followed meanwhile.
        for twin, index in doubted.items():
            if not self._attempt(partial(self._examine, twin, index)):
                self._put_off(twin, index)
        with self._lock:
            # What waited for it alone goes on in the same step.
            self._attempt(self._round)
        return self.problem is None

    def _examine(self, twin: str, index: int) -> None:
        finding = self._replay.judge(index)
        with self._lock:
            self._findings[twin] = finding

    def _put_off(self, twin: str, index: int) -> None:
        with self._lock:
            for key, case in self._cases.items():
                if key[0] == twin and case.forecast.index == index:
                    self._later(key, case, "waiting", f"it could not be replayed: {self.problem}")

    def follow(self) -> bool:
        """Take in what is new in the log, and no more: for whoever is called at each publication."""
        with self._lock:
            return self._attempt(self._learn)

    def _round(self) -> None:
        self._learn()
        for key, case in list(self._cases.items()):
            if case.next_try <= self._clock():
                self._advance(key, case)

    # --- what the log says ------------------------------------------------------------------------

    def _learn(self) -> None:
        if not self._reached:
            self._open()
        changed: set[str] = set()
        while items := self._feed.read(self._reached, CHUNK):
            for item in items:
                # First, so that an entry that cannot be judged is not met for ever.
                self._reached = item.index + 1
                self._hear(item, changed)
        for twin in changed:
            self._judge(twin)

    def _open(self) -> None:
        """From the states and the log's authority statements, up to what the states have reached."""
        reached = self._states.reached
        about = logged(self._reader, 0).subject
        self._authority = Authority()
        for index, statement in logged_about(self._reader, about):
            if index < reached and statement.content_type in AUTHORITY_KINDS:
                self._authority.apply(index, statement)
        known = _Known()
        for subject in self._subjects("policy", reached):
            held = self._states.state(subject, at=reached - 1).live.ledger.policies
            known.policies[subject] = {id_: standing.policy for id_, standing in held.items()}
        for subject in self._subjects("prediction", reached):
            state = self._states.state(subject, at=reached - 1)
            if (forecast := state.live.ledger.prediction) is not None:
                known.forecasts[subject] = _forecast(forecast.entry, forecast.time, forecast.prediction)
            known.meet(state)
        self._known = known
        self._reached = reached
        for twin in known.forecasts:
            self._judge(twin)

    def _subjects(self, kind: str, reached: int) -> list[str]:
        rows = self._states.query(
            "SELECT DISTINCT t.sub FROM history h JOIN twin t ON t.id = h.twin WHERE h.kind = ? AND h.entry < ?",
            (kind, reached),
        )
        return [subject for (subject,) in rows]

    def _hear(self, item: Item, changed: set[str]) -> None:
        statement, known = item.statement, self._known
        subject = statement.subject
        match item.payload:
            case Prediction():
                if subject not in known.forecasts:
                    self._meet(subject)
                known.forecasts[subject] = _forecast(item.index, statement.issued_at, item.payload)
                changed.add(subject)
            case Policy():
                known.policies.setdefault(subject, {})[item.payload.id] = item.payload
                changed |= self._twins_of(subject)
            case PolicyRemoval():
                known.policies.get(subject, {}).pop(item.payload.id, None)
                changed |= self._twins_of(subject)
            case Description():
                if item.payload.model is not None:
                    known.models[subject] = item.payload.model
                if item.payload.lifecycle is not None:
                    (known.retired.add if item.payload.lifecycle is Lifecycle.RETIRED else known.retired.discard)(
                        subject
                    )
                changed.add(subject)
            case _:
                if statement.content_type in AUTHORITY_KINDS:
                    self._authority.apply(item.index, statement)

    def _meet(self, subject: str) -> None:
        # What is older than we are is in the states, and what is newer has been heard: it stands.
        if subject not in self._known.models and subject not in self._known.retired:
            with suppress(NotFound):
                self._known.meet(self._states.state(subject))

    def _twins_of(self, subject: str) -> set[str]:
        return {subject} | {twin for twin in self._known.forecasts if self._known.models.get(twin) == subject}

    def _judge(self, twin: str) -> None:
        """Open, renew or close the twin's cases."""
        known = self._known
        forecast = known.forecasts.get(twin)
        policies = known.policies_of(twin) if twin not in known.retired else {}
        for key in [key for key in self._cases if key[0] == twin and key[1] not in policies]:
            del self._cases[key]
        if forecast is None:
            return
        for id_, policy in policies.items():
            key = (twin, id_)
            if not forecast.calls_for(policy):
                self._cases.pop(key, None)
            elif self._done.get(key) != (forecast.index, policy):
                case = self._cases.get(key)
                if case is None or case.policy != policy or case.forecast != forecast:
                    self._cases[key] = _Case(policy, forecast)

    # --- what is done about it --------------------------------------------------------------------

    def _advance(self, key: tuple[str, str], case: _Case) -> None:
        try:
            self._bring(key, case)
        except ChainUnreachable:
            raise
        except TwinproofError as problem:
            # The others get their turn meanwhile.
            self._later(key, case, "waiting", str(problem))
            raise

    def _bring(self, key: tuple[str, str], case: _Case) -> None:
        twin, policy = key[0], case.policy
        if policy.chain != self._chain.chain_id or policy.contract != self._agreements.address:
            self._close(key, case, "refused", "the policy names another chain or contract than this node's")
            return
        proposal = self._proposal(policy.agreement)
        if proposal is None:
            self._later(key, case, "waiting", f"nobody has proposed agreement {policy.agreement} yet")
            return
        if (proposal.terms.anchors, proposal.terms.log_id) != (self._anchors, self._log_id):
            self._close(key, case, "refused", f"agreement {proposal.id} is about another log")
            return
        name = sha256(twin.encode()).digest()
        episode = self._agreements.episode(proposal.id, name)
        if not episode.agreed:
            self._close(key, case, "refused", f"agreement {proposal.id} does not cover the twin")
            return
        purpose = self._purpose(proposal.id, name, episode.number)
        submission, attempt = self._find(purpose)
        if submission is not None and self._on_its_way(submission, episode.open):
            self._say(key, case, "sent", "the order is on its way")
            return
        if episode.open and submission is not None and submission.succeeded and episode.floor == case.forecast.index:
            self._close(key, case, "placed", f"order {episode.order} is placed")
        elif episode.open:
            self._close(key, case, "taken", f"order {episode.order} is open")
        elif episode.order and case.forecast.index <= episode.floor:
            self._close(key, case, "taken", f"order {episode.order} came of this prediction or a newer one")
        elif submission is None or not submission.failed or self._may_repeat(key, case, submission, attempt):
            self._order(key, case, proposal, f"{purpose}:{attempt}")

    def _may_repeat(self, key: tuple[str, str], case: _Case, failed: Submission, attempt: int) -> bool:
        """Whether another transaction is due after one that did nothing: a chain's node that lies costs little."""
        what = f"transaction {attempt} for this order came to nothing ({failed.reason or 'reverted'})"
        if attempt >= MAX_ATTEMPTS:
            self._close(key, case, "refused", f"{what}; no more are sent: is the chain's node to be trusted?")
            return False
        if case.attempts < attempt:
            case.attempts = attempt
            self._later(key, case, "waiting", what)
            return False
        return True

    def _proposal(self, agreement: int) -> Proposal | None:
        """An agreement's terms; None if nobody proposed it yet."""
        if agreement not in self._proposals:
            try:
                self._proposals[agreement] = self._agreements.proposal(agreement)
            except NotFound:
                return None
        return self._proposals[agreement]

    def _purpose(self, agreement: int, twin: bytes, episode: int) -> str:
        place = f"{self._chain.chain_id}:{self._agreements.address.hex()}:{agreement}"
        return f"order:{place}:{twin.hex()}:{episode}:{self._submitter.address.hex()[:8]}"

    def _order(self, key: tuple[str, str], case: _Case, proposal: Proposal, purpose: str) -> None:
        if not self._stands(key[0], case):
            self._close(key, case, "refused", "the predictor's grant does not hold any more")
            return
        age = self._chain.head().time - case.forecast.time
        allowed = proposal.terms.max_age
        if age > allowed:
            self._close(key, case, "stale", f"the prediction is {age} s old, the agreement allows {allowed}")
            return
        # Before it is anchored: a false one is not worth a transaction.
        if not self._is_replayed(key, case):
            return
        head = self._anchoring.covering(case.forecast.index)
        if head is None:
            self._anchoring.want(case.forecast.index + 1)
            self._on_due()
            # Not a refusal: looked at again in the next round.
            self._say(key, case, "waiting", f"entry {case.forecast.index} is not anchored yet")
            return
        path = self._reader.inclusion(case.forecast.index, head.size)
        proof = Proof(self._reader.entry(case.forecast.index), case.forecast.index, head, path)
        data = self._agreements.plan_order(proposal, proof)
        try:
            self._agreements.try_order(data, self._submitter.address)
            self._submitter.submit(purpose, self._agreements.address, data)
        except Reverted as refusal:
            self._refused(key, case, refusal)
            return
        # What became of it, the next round asks the contract.
        self._say(key, case, "sent", "the order is on its way")

    def _is_replayed(self, key: tuple[str, str], case: _Case) -> bool:
        """Whether the replay lets the prediction pass; else it waits for that, or the case is dealt with."""
        finding = self._findings.get(key[0])
        if finding is None or finding.index != case.forecast.index:
            self._doubted[key[0]] = case.forecast.index
        elif finding.outcome is Outcome.DIFFERS:
            self._close(key, case, "disproved", finding.why)
        elif finding.outcome is Outcome.OK or not self._replay_required:
            return True
        else:
            # What is missing may come.
            self._later(key, case, "unreplayable", finding.why)
            del self._findings[key[0]]
        return False

    def _find(self, purpose: str) -> tuple[Submission | None, int]:
        """The newest attempt, and the number of the next one."""
        found, attempt = None, 0
        while (submission := self._submitter.find(f"{purpose}:{attempt}")) is not None:
            found, attempt = submission, attempt + 1
        return found, attempt

    def _stands(self, twin: str, case: _Case) -> bool:
        statement = logged(self._reader, case.forecast.index)
        models = self._known.models
        try:
            self._authority.check(self._reached, statement, Capability.PREDICT, lambda subject: models.get(subject))
        except NotAuthorised:
            return False
        except LookupError as problem:
            raise NotFound(f"the model of {twin} is not known") from problem
        return True

    def _on_its_way(self, submission: Submission, is_open: bool) -> bool:
        if not submission.final:
            return True
        # Confirmed, but the contract knows nothing of it: its answer is old, unless a reorganisation took it away.
        return submission.succeeded and not is_open and not is_undone(self._chain, submission)

    def _refused(self, key: tuple[str, str], case: _Case, refusal: Reverted) -> None:
        name = refusal.reason.partition("(")[0]
        if name in SETTLED:
            self._close(key, case, "taken", str(refusal))
        elif name == "Stale":
            self._close(key, case, "stale", str(refusal))
        elif name in PASSING:
            self._later(key, case, "waiting", str(refusal))
        else:
            # A reorganisation may have given the number to another agreement: its terms are looked up again.
            self._proposals.pop(case.policy.agreement, None)
            self._close(key, case, "refused", str(refusal))

    # --- decisions, for people --------------------------------------------------------------------

    def _close(self, key: tuple[str, str], case: _Case, decision: str, why: str) -> None:
        self._say(key, case, decision, why)
        self._done[key] = case.forecast.index, case.policy
        self._cases.pop(key, None)

    def _later(self, key: tuple[str, str], case: _Case, decision: str, why: str) -> None:
        self._say(key, case, decision, why)
        case.next_try = self._clock() + case.wait
        case.wait = min(2 * case.wait, LONGEST_WAIT)

    def _say(self, key: tuple[str, str], case: _Case, decision: str, why: str) -> None:
        if why != case.said:
            case.said = why
            self.decisions[decision] += 1
            level = logging.WARNING if decision in GRAVE else logging.INFO
            _LOG.log(level, "policy %s, entry %d, %s: %s: %s", key[1], case.forecast.index, key[0], decision, why)


def _forecast(index: int, time: int, prediction: Prediction) -> _Forecast:
    return _Forecast(index, time, prediction.lower, prediction.coverage, prediction.unit)
