"""The relay on a real EVM with the real contracts: from policy and prediction to an order, once, whatever fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.builders import MODEL, ORIGIN, OTHER_TWIN, START, TWIN, Signer, signer
from tests.node.chain_rig import ACCOUNTS, Outbox, ScriptedSubmitter, deploy, new_chain, transact
from tests.node.folders import OPERATOR_IRI, continue_log
from twinproof.chain.agreements import Agreements
from twinproof.chain.anchors import CheckpointAnchor, log_id_of
from twinproof.chain.hexadecimal import keccak
from twinproof.chain.model import Chain
from twinproof.errors import ChainUnreachable, TwinproofError
from twinproof.node.anchor_store import AnchorStore
from twinproof.node.anchoring import Anchoring
from twinproof.node.config import ChainSettings
from twinproof.node.intake import Accepted
from twinproof.node.live import Live, open_live
from twinproof.node.node import init_node
from twinproof.node.relay import LONGEST_WAIT, MAX_ATTEMPTS, Relay
from twinproof.node.replaying import ForecastReplay
from twinproof.node.submissions import Submission
from twinproof.proof.keys import ES256
from twinproof.testing import ManualClock
from twinproof.twin.description import Description, Lifecycle
from twinproof.twin.grants import Capability, Scope
from twinproof.twin.policy import POLICY, Policy, PolicyRemoval, format_policy
from twinproof.twin.prediction import PREDICTION, Prediction, Read, float_bits, format_prediction
from twinproof.twin.statement import Statement

OWNER, OPERATOR, SUPPLIER, RIVAL = ACCOUNTS
PREDICTOR = signer("urn:example:predictor", 50, ES256)
PRICE, MAX_AGE = 1000, 3600
LOG_ID = log_id_of(ORIGIN, OWNER.address)
SETTINGS = ChainSettings("embedded", anchor_every_seconds=10**6, anchor_every_entries=10**6)


def name_of(subject: str) -> bytes:
    return sha256(subject.encode()).digest()


class Rig:
    """A live node, its anchoring, an agreement of two parties, and relays that run step by step."""

    replay_required = False

    def __init__(self, live: Live, clock: ManualClock, chain: Chain | None = None) -> None:
        """On a chain of its own, or on one where `ACCOUNTS` have coin."""
        self.live, self.node, self.clock = live, live.node, clock
        self.chain = chain or new_chain(clock)
        self.anchors = CheckpointAnchor(self.chain, deploy(self.chain, "CheckpointAnchor").address)
        registration = self.anchors.plan_registration(ORIGIN, OWNER.address)
        transact(self.chain, OWNER, self.anchors.address, registration)
        self.passports = deploy(self.chain, "PartPassport", OWNER.address)
        self.contract = deploy(self.chain, "MaintenanceAgreement")
        self.outbox = Outbox()
        self.script = continue_log(self.node)
        self.grant = self.script.grant(PREDICTOR, {Capability.PREDICT}, Scope("prefix", "https://fleet.example/"))
        self.take(self.grant)
        self.restart()

    def restart(self) -> None:
        self.problems: list[TwinproofError] = []
        self.submitter = ScriptedSubmitter(self.chain, OWNER, self.outbox)
        self.anchoring = Anchoring(
            self.node.reader,
            self.chain,
            self.anchors,
            LOG_ID,
            self.submitter,
            AnchorStore(self.node.folder / "chain" / "anchors.db"),
            settings=SETTINGS,
            clock=self.clock,
        )
        self.relay = self.new(self.submitter)

    def new(self, submitter: ScriptedSubmitter) -> Relay:
        return Relay(
            self.node.reader,
            self.live.feed,
            self.live.states,
            self.chain,
            Agreements(self.chain, self.contract.address),
            self.anchoring,
            self.anchors.address,
            LOG_ID,
            submitter,
            # The model of these predictions is nowhere: test_relay_replay.py has some that can be replayed.
            ForecastReplay(self.node.reader, self.live.states, self.node.blobs),
            replay_required=self.replay_required,
            clock=self.clock,
            on_problem=self.problems.append,
        )

    # --- the log ---

    def take(self, *statements: Statement) -> list[int]:
        outcomes = self.node.intake.submit([statement.raw for statement in statements]).result(30)
        assert all(isinstance(outcome, Accepted) for outcome in outcomes), outcomes
        assert self.live.states.wait(self.live.feed.size, 30)
        return [outcome.index for outcome in outcomes if isinstance(outcome, Accepted)]

    def policy(self, subject: str = TWIN, **changes: Any) -> None:
        policy = replace(Policy("low", "cycles", 30.0, 0.9, self.chain.chain_id, self.contract.address, 1), **changes)
        self.take(self.script.say(self.script.operator, subject, POLICY, format_policy(policy)))

    def state(self, said: Prediction, subject: str = TWIN, by: Signer = PREDICTOR, ago: int = 0) -> int:
        at = int(self.clock()) - ago
        (index,) = self.take(self.script.say(by, subject, PREDICTION, format_prediction(said), at=at))
        return index

    def predict(self, lower: float = 12.0, subject: str = TWIN, coverage: float = 0.9, unit: str = "cycles") -> int:
        read = Read("urn:example:device:1", 0, 41, bytes(32))
        return self.state(Prediction(lower, lower + 5, lower + 9, coverage, unit, b"\7" * 32, (read,)), subject)

    # --- the chain ---

    def terms(self, **changes: Any) -> tuple[Any, ...]:
        key, nobody = PREDICTOR.key.public.raw, bytes(20)
        named: dict[str, Any] = {
            "operator": OPERATOR.address,
            "supplier": SUPPLIER.address,
            "arbiter": nobody,
            "anchors": self.anchors.address,
            "passports": self.passports.address,
            "logId": LOG_ID,
            "predictor": (key[:32], key[32:]),
            "technician": (key[:32], key[32:]),
            "unit": keccak(b"cycles"),
            "below": float_bits(30.0),
            "coverage": float_bits(0.9),
            "partNumber": keccak(b"P-1"),
            "currency": nobody,
            "price": PRICE,
            "maxAge": MAX_AGE,
            "acceptWithin": 10_000,
            "shipWithin": 10_000,
            "receiveWithin": 10_000,
            "installWithin": 10_000,
            "disputeWithin": 10_000,
        }
        return tuple((named | changes).values())

    def agree(self, escrow: int = 10 * PRICE, twins: tuple[str, ...] = (TWIN,), **changes: Any) -> tuple[Any, ...]:
        """Propose and agree to the next agreement."""
        terms = self.terms(**changes)
        self.send(OPERATOR, "propose", terms, [name_of(twin) for twin in twins], value=escrow)
        self.agreements = getattr(self, "agreements", 0) + 1
        self.send(SUPPLIER, "agree", self.agreements, terms)
        return terms

    def send(self, by: Any, function: str, *arguments: Any, value: int = 0) -> None:
        data = self.contract.encode(function, *arguments)
        receipt = transact(self.chain, by, self.contract.address, data, value)
        assert receipt.succeeded
        # Each transaction is a block, and a block takes a second.
        self.clock.time = max(self.clock.time, float(self.chain.head().time))

    def orders(self) -> list[tuple[int, bytes]]:
        """(index of the prediction, twin) of every order."""
        topics = [self.contract.topic("OrderPlaced")]
        logs = self.chain.logs(first=0, last=self.chain.head().number, addresses=[self.contract.address], topics=topics)
        named = [self.contract.event(log)[1] for log in logs]
        return [(args["index"], args["twin"]) for args in named]

    def steps(self, rounds: int = 3) -> bool:
        """Rounds of relay and anchoring."""
        done = True
        for _ in range(rounds):
            done = self.relay.step() and self.anchoring.step() and done
        return done


@contextmanager
def opened(folder: Path, kind: type[Rig] = Rig, chain: Chain | None = None) -> Iterator[Rig]:
    clock = ManualClock(START if chain is None else chain.head().time)
    init_node(folder, ORIGIN, OPERATOR_IRI, clock=clock)
    with open_live(folder, clock=clock) as live:
        yield kind(live, clock, chain)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with opened(tmp_path / "node") as made:
        yield made


def test_from_prediction_to_order(rig: Rig) -> None:
    rig.agree()
    rig.policy()
    rig.predict(lower=40.0)
    assert rig.steps()
    assert rig.orders() == []
    assert rig.relay.open_cases == 0
    index = rig.predict(lower=29.9)
    assert rig.relay.step()
    assert rig.relay.open_cases == 1
    assert rig.relay.decisions == {"waiting": 1}, "its entry is not anchored yet"
    assert rig.steps()
    assert rig.orders() == [(index, name_of(TWIN))]
    assert rig.relay.decisions == {"waiting": 1, "sent": 1, "placed": 1}
    assert (rig.relay.open_cases, rig.problems) == (0, [])


@pytest.mark.parametrize(
    ("changed", "predicted"),
    [
        ({}, {"lower": 30.0}),
        ({}, {"coverage": 0.89}),
        ({}, {"unit": "h"}),
        ({"below": 12.0}, {}),
        ({"coverage": 0.95}, {}),
        ({"unit": "h"}, {}),
    ],
    ids=["not below", "little coverage", "another unit", "a lower bound", "a higher coverage", "a policy in hours"],
)
def test_what_the_policy_does_not_call_for_is_left_alone(
    rig: Rig, changed: dict[str, Any], predicted: dict[str, Any]
) -> None:
    rig.agree()
    rig.policy(**changed)
    rig.predict(**predicted)
    assert rig.steps()
    assert (rig.orders(), rig.relay.open_cases) == ([], 0)
    assert not any(purpose.startswith("order") for purpose in rig.outbox.signed)


def test_the_newest_prediction_decides(rig: Rig) -> None:
    rig.agree()
    rig.policy()
    rig.predict()
    assert rig.relay.step()
    rig.predict(lower=100.0)
    assert rig.steps()
    assert rig.orders() == []
    newest = [rig.predict(), rig.predict()][-1]
    assert rig.steps()
    assert rig.orders() == [(newest, name_of(TWIN))]


def test_one_order_per_episode_however_many_predictions(rig: Rig) -> None:
    terms = rig.agree()
    rig.policy()
    rig.predict()
    assert rig.steps()
    for lower in (11.0, 10.0):
        rig.predict(lower)
        assert rig.steps()
    assert len(rig.orders()) == 1
    assert rig.relay.decisions["taken"] == 2
    order = rig.contract.decode(
        "episodeOf", rig.chain.call(rig.contract.address, rig.contract.encode("episodeOf", 1, name_of(TWIN)))
    )[2]
    rig.send(SUPPLIER, "cancelOrder", order, terms)
    rig.restart()
    assert rig.steps()
    assert len(rig.orders()) == 2, "the newest prediction is newer than the order's"
    assert rig.steps()
    assert len(rig.orders()) == 2


def test_a_policy_of_the_model_holds_for_its_twins(rig: Rig) -> None:
    rig.agree(twins=(TWIN, OTHER_TWIN))
    rig.take(
        rig.script.describe(rig.script.operator, Description(model=MODEL)),
        rig.script.describe(rig.script.operator, Description(model=MODEL), subject=OTHER_TWIN),
    )
    rig.relay.step()
    rig.predict(subject=TWIN)
    rig.policy(MODEL)
    rig.policy(OTHER_TWIN, below=5.0)
    rig.predict(subject=OTHER_TWIN)
    assert rig.steps()
    assert [twin for _, twin in rig.orders()] == [name_of(TWIN)], "its own policy of that id replaces the model's"
    rig.restart()
    rig.take(rig.script.say(rig.script.operator, OTHER_TWIN, POLICY, format_policy(PolicyRemoval("low"))))
    assert rig.steps()
    assert [twin for _, twin in rig.orders()] == [name_of(TWIN), name_of(OTHER_TWIN)]


def test_a_removed_policy_and_a_retired_twin_order_nothing(rig: Rig) -> None:
    rig.agree()
    rig.policy()
    rig.predict()
    rig.relay.step()
    rig.take(rig.script.say(rig.script.operator, TWIN, POLICY, format_policy(PolicyRemoval("low"))))
    assert rig.steps()
    rig.take(rig.script.describe(rig.script.operator, Description(lifecycle=Lifecycle.RETIRED)))
    rig.policy()
    assert rig.steps()
    rig.restart()
    assert rig.steps()
    assert rig.orders() == []


def test_a_predictor_whose_grant_is_revoked_orders_nothing(rig: Rig) -> None:
    rig.agree()
    rig.policy()
    rig.predict()
    rig.relay.step()
    rig.take(rig.script.revoke(rig.grant))
    assert rig.steps()
    assert rig.orders() == []
    assert rig.relay.decisions["refused"] == 1
    rig.restart()
    assert rig.steps()
    assert (rig.orders(), rig.relay.decisions["refused"]) == ([], 1)


def test_a_stale_prediction_is_dropped_and_a_new_one_taken(rig: Rig) -> None:
    rig.agree()
    rig.policy()
    rig.predict()
    rig.clock.advance(MAX_AGE + 100)
    transact(rig.chain, RIVAL, OWNER.address, b"", 1)
    assert rig.steps()
    assert rig.orders() == []
    assert rig.relay.decisions == {"stale": 1}
    index = rig.predict()
    assert rig.steps()
    assert rig.orders() == [(index, name_of(TWIN))]


@pytest.mark.parametrize(
    "changed",
    [{"chain": 1}, {"contract": b"\x11" * 20}, {"agreement": 2}],
    ids=["another chain", "another contract", "an agreement about another log"],
)
def test_policies_that_lead_elsewhere_are_refused(rig: Rig, changed: dict[str, Any]) -> None:
    rig.agree()
    rig.agree(logId=b"\x22" * 32)
    rig.policy(**changed)
    rig.predict()
    assert rig.steps()
    assert rig.orders() == []
    assert rig.relay.decisions == {"refused": 1}


def test_a_twin_that_is_not_covered_is_refused(rig: Rig) -> None:
    rig.agree(twins=(OTHER_TWIN,))
    rig.policy()
    rig.predict()
    assert rig.steps()
    assert (rig.orders(), rig.relay.decisions) == ([], {"refused": 1})


def test_the_contracts_own_terms_decide(rig: Rig) -> None:
    rig.agree(below=float_bits(10.0))
    rig.policy()
    rig.predict()
    assert rig.steps()
    assert rig.orders() == []
    assert rig.relay.decisions["refused"] == 1
    index = rig.predict(lower=9.0)
    assert rig.steps()
    assert rig.orders() == [(index, name_of(TWIN))]


def test_an_empty_escrow_is_waited_for(rig: Rig) -> None:
    terms = rig.agree(escrow=0)
    rig.policy()
    rig.predict()
    assert rig.steps(6)
    assert rig.orders() == []
    assert (rig.relay.open_cases, rig.relay.decisions["waiting"]) == (1, 2)
    rig.send(OPERATOR, "deposit", 1, terms, PRICE, value=PRICE)
    assert rig.steps()
    assert rig.orders() == [], "not before the pause is over"
    rig.clock.advance(LONGEST_WAIT)
    assert rig.steps()
    assert len(rig.orders()) == 1


def test_an_agreement_that_comes_later_is_found(rig: Rig) -> None:
    rig.policy()
    rig.predict()
    assert rig.steps()
    rig.agree()
    rig.clock.advance(LONGEST_WAIT)
    assert rig.steps()
    assert len(rig.orders()) == 1


# --- what may go wrong ------------------------------------------------------------------------


@pytest.mark.parametrize("point", ["before", "kept", "sent"])
def test_a_crash_places_one_order(rig: Rig, point: str) -> None:
    rig.agree()
    rig.policy()
    index = rig.predict()
    rig.steps(1)
    rig.anchoring.step()
    rig.submitter.crash = point
    assert not rig.relay.step()
    assert rig.submitter.crash == ""
    rig.restart()
    assert rig.steps()
    assert rig.orders() == [(index, name_of(TWIN))]
    assert len([purpose for purpose in rig.outbox.signed if purpose.startswith("order")]) == 1


def test_two_relays_place_one_order(rig: Rig) -> None:
    rig.agree()
    rig.policy()
    index = rig.predict()
    other = rig.new(ScriptedSubmitter(rig.chain, RIVAL))
    for relay in (rig.relay, other):
        assert relay.step()
    assert rig.anchoring.step()
    for _ in range(2):
        assert other.step()
        assert rig.relay.step()
    assert rig.orders() == [(index, name_of(TWIN))]
    assert other.decisions["placed"] == 1
    assert rig.relay.decisions["taken"] == 1
    assert (rig.relay.open_cases, other.open_cases) == (0, 0)


def test_a_race_that_is_lost_on_the_chain_is_taken_as_done(rig: Rig) -> None:
    rig.agree()
    rig.policy()
    index = rig.predict()
    rival = ScriptedSubmitter(rig.chain, RIVAL)
    other = rig.new(rival)
    for relay in (rig.relay, other):
        relay.step()
    rig.anchoring.step()
    # Both have signed before either is mined.
    rival.crash = "kept"
    assert not other.step()
    assert rig.relay.step()
    assert rig.orders() == [(index, name_of(TWIN))]
    rig.clock.advance(LONGEST_WAIT)
    assert other.step()
    assert rig.orders() == [(index, name_of(TWIN))]
    assert other.decisions["taken"] == 1


def test_a_chain_that_is_away_is_waited_for(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.agree()
    rig.policy()
    index = rig.predict()
    rig.steps(1)

    def away(*arguments: object, **named: object) -> bytes:
        raise ChainUnreachable("no answer")

    with monkeypatch.context() as patch:
        patch.setattr(rig.chain, "call", away)
        assert not rig.relay.step()
        assert isinstance(rig.relay.problem, ChainUnreachable)
    assert rig.steps()
    assert rig.orders() == [(index, name_of(TWIN))]


def test_a_restart_finds_out_what_is_done_and_what_is_not(rig: Rig) -> None:
    rig.agree(twins=(TWIN, OTHER_TWIN))
    rig.policy()
    rig.policy(OTHER_TWIN)
    first = rig.predict()
    assert rig.steps()
    second = rig.predict(subject=OTHER_TWIN)
    for _ in range(2):
        rig.restart()
        assert rig.steps()
        assert rig.orders() == [(first, name_of(TWIN)), (second, name_of(OTHER_TWIN))]


class Slow(ScriptedSubmitter):
    """Its transactions are mined, but count only when the test says."""

    settled = False

    def find(self, purpose: str) -> Submission | None:
        found = super().find(purpose)
        if found is None or self.settled:
            return found
        return replace(found, final=False, succeeded=False)


def test_an_order_counts_when_its_transaction_does(rig: Rig) -> None:
    rig.agree()
    rig.policy()
    index = rig.predict()
    submitter = Slow(rig.chain, OWNER, rig.outbox)
    relay = rig.new(submitter)
    relay.step()
    rig.anchoring.step()
    for _ in range(3):
        assert relay.step()
        assert (relay.open_cases, relay.decisions["sent"], relay.decisions["placed"]) == (1, 1, 0)
    submitter.settled = True
    assert relay.step()
    assert (relay.open_cases, relay.decisions["placed"]) == (0, 1)
    assert rig.orders() == [(index, name_of(TWIN))]


class Lying(ScriptedSubmitter):
    """Behind a node that says of each order that it reverted, and of each estimate that it would not."""

    def find(self, purpose: str) -> Submission | None:
        if not purpose.startswith("order"):
            return super().find(purpose)
        sent = purpose in self.outbox.signed
        return Submission(purpose, b"\1" * 32, True, False, (1, b"\2" * 32)) if sent else None

    def submit(self, purpose: str, to: bytes, data: bytes, value: int = 0) -> Submission:
        self.outbox.signed[purpose] = data
        return Submission(purpose, None, False, False)


def test_a_node_that_lies_gets_few_transactions_and_ever_longer_pauses(rig: Rig) -> None:
    rig.agree()
    rig.policy()
    rig.predict()
    rig.steps(1)
    lying = Lying(rig.chain, RIVAL)
    relay = rig.new(lying)
    sent: list[float] = []
    for _ in range(400):
        assert relay.step()
        if len(lying.outbox.signed) > len(sent):
            sent.append(rig.clock())
        assert len(lying.outbox.signed) == len(sent)
        rig.clock.advance(1)
    pauses = [after - before for before, after in pairwise(sent)]
    assert all(pause >= least for pause, least in zip(pauses, (5, 10, 20, 40), strict=True))
    assert len(sent) == MAX_ATTEMPTS
    assert relay.decisions["refused"] == 1
    assert relay.open_cases == 0


def test_following_the_log_asks_no_chain(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.agree()
    rig.policy()
    rig.predict()
    with monkeypatch.context() as patch:
        for name in ("call", "head", "logs"):
            patch.setattr(rig.chain, name, None)
        assert rig.relay.follow()
        rig.predict(lower=9.0)
        assert rig.relay.follow()
    assert rig.relay.open_cases == 1
    assert rig.steps()
    assert len(rig.orders()) == 1
