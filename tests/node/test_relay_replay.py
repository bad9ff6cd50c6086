"""The relay computes a prediction again before it proves it: what a real model makes of real rows, and every lie."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from math import nextafter
from pathlib import Path

import pytest

from tests.builders import START, TWIN, signer
from tests.chain.anvil import Anvil
from tests.chain.conftest import anvil as anvil
from tests.node.chain_rig import ACCOUNTS, ScriptedSubmitter
from tests.node.forecast_rig import RECORDER, payload, predictor, strangers, trained
from tests.node.test_relay import (
    MAX_AGE,
    OPERATOR,
    PRICE,
    RIVAL,
    SUPPLIER,
    Rig,
    name_of,
    opened,
)
from twinproof.chain.agreements import Agreements, OrderState, Proof
from twinproof.chain.hexadecimal import keccak
from twinproof.chain.rpc import RpcChain
from twinproof.chain.rpc_client import RpcClient
from twinproof.errors import Reverted, StorageFailed
from twinproof.node import replaying
from twinproof.node.relay import LONGEST_WAIT, Relay
from twinproof.node.replaying import ForecastReplay
from twinproof.prognosis.audit import Finding, Outcome
from twinproof.prognosis.model import parse_model
from twinproof.prognosis.record import Row
from twinproof.prognosis.replay import Replayer
from twinproof.prognosis.rows import RowReader, Wanted
from twinproof.prognosis.stated import state_forecast
from twinproof.proof.keys import ES256
from twinproof.twin.attestation import ATTESTATION, OVERHAUL, Attestation, format_attestation
from twinproof.twin.columns import COLUMNS, parse_columns
from twinproof.twin.grants import Capability, Scope
from twinproof.twin.prediction import Prediction, Read
from twinproof.twin.statement import Statement

UNIT = "{cycle}"
BELOW = 30.0
SUCCESSOR = signer("urn:example:predictor:2", 51, ES256)


class Wear(Rig):
    """An engine's rows, read one by one, and what its model honestly says of them."""

    replay_required = True

    def begin(self) -> None:
        """The grant, the model, the agreement and the policy; then rows until the condition holds."""
        self.take(self.script.grant(RECORDER, {Capability.RECORD}, Scope("prefix", "https://fleet.example/")))
        self.node.blobs.put(trained().model)
        self.model = parse_model(trained().model)
        self.replayer = Replayer(self.model)
        self.rows = RowReader(Wanted(self.model.settings, self.model.signals, "cycle"))
        self.left = iter(strangers()[0].rows())
        terms = self.agree(unit=keccak(UNIT.encode()))
        self.policy(unit=UNIT)
        read = [self.row()]
        while not (said := self.honest()) or not 0.0 < said.lower < BELOW / 2:
            read.append(self.row())
        self.take(*read)
        # A log's first anchor is due by itself.
        assert self.anchoring.step()
        self.terms_agreed = terms

    def read(self) -> Prediction | None:
        """The next row becomes an entry; the honest prediction after it, not stated."""
        self.take(self.row())
        return self.honest()

    def row(self) -> Statement:
        """The next row's statement, which the log is to take."""
        row: Row = next(self.left)
        said = self.script.say(RECORDER, TWIN, COLUMNS, payload(row), at=int(self.clock()))
        for found in self.rows.take(parse_columns(said.payload, START)):
            self.replayer.take(found)
        self.reads = (Read(RECORDER.issuer, 0, said.seq, said.digest),)
        return said

    def honest(self) -> Prediction | None:
        return state_forecast(self.replayer.forecast(), predictor(), self.reads, len(self.script))

    def now(self) -> Prediction:
        """What may be stated now: it calls for an order."""
        said = self.honest()
        assert said is not None
        assert said.lower < BELOW
        return said

    def reread(self) -> Prediction:
        self.read()
        return self.now()

    def rounds(self, *relays: Relay) -> None:
        for _ in range(3):
            for relay in relays:
                assert relay.step(), relay.problem
            assert self.anchoring.step()

    def bring(self, index: int) -> None:
        """Bring an entry to the contract past every relay; raises `Reverted`."""
        head = self.anchoring.covering(index)
        assert head is not None
        agreements = Agreements(self.chain, self.contract.address)
        path = self.node.reader.inclusion(index, head.size)
        data = agreements.plan_order(agreements.proposal(1), Proof(self.node.reader.entry(index), index, head, path))
        agreements.try_order(data, RIVAL.address)

    def anchor(self, index: int) -> None:
        self.anchoring.want(index + 1)
        assert self.anchoring.step()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Wear]:
    with opened(tmp_path / "node", Wear) as made:
        assert isinstance(made, Wear)
        made.begin()
        yield made


def escrow(rig: Wear) -> tuple[int, int]:
    """(free, orders) of the agreement, as the contract has it."""
    standing = Agreements(rig.chain, rig.contract.address).standing(1)
    return standing.free, standing.orders


# --- one order, however many compete ----------------------------------------------------------


def test_relays_that_race_with_different_predictions_place_one_order(rig: Wear) -> None:
    submitter = ScriptedSubmitter(rig.chain, RIVAL)
    rival = rig.new(submitter)
    older = rig.state(rig.now())
    rig.anchor(older)
    # The rival has signed for the first prediction, and is cut off before it is sent.
    submitter.crash = "kept"
    assert not rival.step()
    newer = rig.state(rig.reread())
    rig.anchor(newer)
    rig.rounds(rig.relay)
    assert rig.orders() == [(newer, name_of(TWIN))]
    rig.clock.advance(LONGEST_WAIT)
    rig.rounds(rival, rig.relay)
    assert rig.orders() == [(newer, name_of(TWIN))]
    assert escrow(rig) == (9 * PRICE, 1)


@pytest.fixture(params=["embedded", "anvil"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Wear]:
    """The same on this program's own chain and on foundry's node."""
    with ExitStack() as stack:
        chain = None
        if request.param == "anvil":
            network: Anvil = request.getfixturevalue("anvil")
            for account in ACCOUNTS:
                network.fund(account.address)
            chain = stack.enter_context(closing(RpcChain(RpcClient(network.url), network.chain_id)))
        made = stack.enter_context(opened(tmp_path / "node", Wear, chain))
        assert isinstance(made, Wear)
        made.begin()
        yield made


def test_the_order_fires_once_and_for_nothing_else(either: Wear) -> None:
    """Two relays hear a stale, a disproved and a revoked predictor's prediction, then three good ones that compete."""
    rig = either
    relays = [rig.relay, rig.new(ScriptedSubmitter(rig.chain, RIVAL))]
    seen: Counter[str] = Counter()

    def outcome() -> tuple[int, int, int]:
        rig.rounds(*relays)
        for relay in relays:
            seen.update(relay.decisions)
            relay.decisions.clear()
        return len(rig.orders()), *escrow(rig)

    nothing = (0, 10 * PRICE, 0)
    stale = rig.state(rig.now(), ago=MAX_AGE + 600)
    assert outcome() == nothing
    rig.anchor(stale)
    with pytest.raises(Reverted, match="Stale"):
        rig.bring(stale)
    bent = rig.now()
    rig.state(replace(bent, lower=nextafter(bent.lower, 0.0)))
    assert outcome() == nothing
    grant = rig.script.grant(SUCCESSOR, {Capability.PREDICT}, Scope("prefix", "https://fleet.example/"))
    rig.take(grant)
    rig.state(rig.now(), by=SUCCESSOR)
    rig.take(rig.script.revoke(grant))
    assert outcome() == nothing
    assert seen == {"stale": 2, "disproved": 2, "refused": 2}
    # Each relay has heard of another one of the good ones when it begins.
    first = rig.state(rig.now())
    assert relays[0].step()
    second = rig.state(rig.reread())
    assert relays[1].step()
    third = rig.state(rig.reread())
    assert outcome() == (1, 9 * PRICE, 1)
    assert rig.orders() == [(third, name_of(TWIN))]
    order = Agreements(rig.chain, rig.contract.address).order((1 << 32) + 1)
    assert (order.state, order.index) == (OrderState.PLACED, third)
    for older in (first, second):
        with pytest.raises(Reverted, match="NotAfter"):
            rig.bring(older)
    with pytest.raises(Reverted, match="NotAfter"):
        rig.bring(third)
    newest = rig.state(rig.reread())
    assert outcome() == (1, 9 * PRICE, 1)
    rig.anchor(newest)
    with pytest.raises(Reverted, match="OrderOpen"):
        rig.bring(newest)


# --- what orders nothing ----------------------------------------------------------------------


LIES: dict[str, Callable[[Prediction], Prediction]] = {
    "lower, one bit": lambda said: replace(said, lower=nextafter(said.lower, 0.0)),
    "point, one bit": lambda said: replace(said, point=nextafter(said.point, 1e300)),
    "upper, one bit": lambda said: replace(said, upper=nextafter(said.upper, 1e300)),
    "coverage": lambda said: replace(said, coverage=0.95),
    "remarks": lambda said: replace(said, remarks=("held",)),
    "fewer readings": lambda said: replace(said, reads=(replace(said.reads[0], first=1),)),
    "other readings": lambda said: replace(said, reads=(replace(said.reads[0], digest=b"\1" * 32),)),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_prediction_that_replay_disproves_orders_nothing(
    rig: Wear, lie: str, caplog: pytest.LogCaptureFixture
) -> None:
    said = LIES[lie](rig.now())
    assert said != rig.now()
    index = rig.state(said)
    with caplog.at_level("WARNING"):
        rig.rounds(rig.relay)
    assert (rig.orders(), escrow(rig)) == ([], (10 * PRICE, 0))
    assert rig.relay.decisions == {"disproved": 1}
    assert rig.relay.open_cases == 0
    assert f"entry {index}, {TWIN}: disproved: " in caplog.text
    assert rig.anchoring.covering(index) is None, "it is not worth an anchor"
    # Never again, in this process or the next one.
    rig.clock.advance(2 * LONGEST_WAIT)
    rig.rounds(rig.relay)
    assert rig.relay.decisions == {"disproved": 1}
    rig.restart()
    rig.rounds(rig.relay)
    assert (rig.orders(), rig.relay.decisions) == ([], {"disproved": 1})
    honest = rig.state(rig.now())
    rig.rounds(rig.relay)
    assert rig.orders() == [(honest, name_of(TWIN))]


def test_a_disproved_prediction_is_not_brought_where_replay_is_no_must(rig: Wear) -> None:
    rig.replay_required = False
    rig.restart()
    rig.state(LIES["lower, one bit"](rig.now()))
    rig.rounds(rig.relay)
    assert (rig.orders(), rig.relay.decisions) == ([], {"disproved": 1})


def test_what_cannot_be_replayed_waits_for_its_model(rig: Wear) -> None:
    (blob,) = (rig.node.folder / "blobs").glob("*/*")
    kept = blob.read_bytes()
    blob.unlink()
    index = rig.state(rig.now())
    rig.rounds(rig.relay)
    assert (rig.orders(), rig.relay.decisions, rig.relay.open_cases) == ([], {"unreplayable": 1}, 1)
    rig.node.blobs.put(kept)
    rig.clock.advance(LONGEST_WAIT)
    rig.rounds(rig.relay)
    assert rig.orders() == [(index, name_of(TWIN))]


def test_what_cannot_be_replayed_is_brought_if_the_settings_say_so(rig: Wear) -> None:
    rig.replay_required = False
    rig.restart()
    index = rig.state(replace(rig.now(), model=b"\7" * 32))
    rig.rounds(rig.relay)
    assert rig.orders() == [(index, name_of(TWIN))]


def test_a_revoked_predictor_orders_nothing(rig: Wear) -> None:
    terms = rig.terms_agreed
    index = rig.state(rig.now())
    rig.take(rig.script.revoke(rig.grant))
    rig.rounds(rig.relay, rig.new(ScriptedSubmitter(rig.chain, RIVAL)))
    assert (rig.orders(), rig.relay.decisions) == ([], {"refused": 1})
    # The contract reads no grants: it holds a key until the operator ends the agreement.
    rig.anchor(index)
    rig.bring(index)
    rig.send(OPERATOR, "suspend", 1, terms, True)
    with pytest.raises(Reverted, match="NotActive"):
        rig.bring(index)
    rig.send(OPERATOR, "suspend", 1, terms, False)
    rig.send(OPERATOR, "end", 1, terms)
    with pytest.raises(Reverted, match="NotActive"):
        rig.bring(index)
    rig.send(OPERATOR, "reclaim", 1, terms, 10 * PRICE)
    assert escrow(rig) == (0, 0)


def test_the_next_agreement_names_the_next_predictor(rig: Wear) -> None:
    rig.send(OPERATOR, "end", 1, rig.terms_agreed)
    key = SUCCESSOR.key.public.raw
    rig.take(
        rig.script.revoke(rig.grant),
        rig.script.grant(SUCCESSOR, {Capability.PREDICT}, Scope("prefix", "https://fleet.example/")),
    )
    rig.agree(unit=keccak(UNIT.encode()), predictor=(key[:32], key[32:]))
    rig.policy(unit=UNIT, agreement=2)
    index = rig.state(rig.now(), by=SUCCESSOR)
    rig.rounds(rig.relay)
    assert rig.orders() == [(index, name_of(TWIN))]


def test_a_key_that_the_agreement_does_not_name_orders_nothing(rig: Wear) -> None:
    rig.take(rig.script.grant(SUCCESSOR, {Capability.PREDICT}, Scope("prefix", "https://fleet.example/")))
    index = rig.state(rig.now(), by=SUCCESSOR)
    rig.rounds(rig.relay)
    assert (rig.orders(), rig.relay.decisions["refused"]) == ([], 1)
    with pytest.raises(Reverted, match="BadSignature"):
        rig.bring(index)


def test_a_stale_prediction_orders_nothing(rig: Wear) -> None:
    index = rig.state(rig.now())
    rig.anchor(index)
    rig.bring(index)
    rig.clock.advance(MAX_AGE + 100)
    rig.send(SUPPLIER, "suspend", 1, rig.terms_agreed, False)
    rig.rounds(rig.relay, rig.new(ScriptedSubmitter(rig.chain, RIVAL)))
    assert (rig.orders(), rig.relay.decisions) == ([], {"stale": 1})
    with pytest.raises(Reverted, match="Stale"):
        rig.bring(index)
    assert escrow(rig) == (10 * PRICE, 0)


# --- the replay itself ------------------------------------------------------------------------


class Slow(ForecastReplay):
    """Says nothing until the test lets it."""

    def __init__(self, like: Rig) -> None:
        super().__init__(like.node.reader, like.live.states, like.node.blobs)
        self.asked, self.go, self.broken = threading.Event(), threading.Event(), False

    def judge(self, index: int) -> Finding:
        self.asked.set()
        assert self.go.wait(30)
        if self.broken:
            raise StorageFailed("no disk")
        return super().judge(index)


def test_the_log_is_followed_while_a_prediction_is_replayed(rig: Wear) -> None:
    slow = rig.relay._replay = Slow(rig)
    rig.state(rig.now())
    round_ = threading.Thread(target=rig.relay.step)
    round_.start()
    assert slow.asked.wait(30)
    newest = rig.state(rig.reread())
    assert rig.relay.follow()
    assert round_.is_alive()
    slow.go.set()
    round_.join(30)
    rig.rounds(rig.relay)
    assert rig.orders() == [(newest, name_of(TWIN))]


def test_a_replay_that_fails_is_tried_again_after_a_pause(rig: Wear) -> None:
    slow = rig.relay._replay = Slow(rig)
    slow.go.set()
    slow.broken = True
    index = rig.state(rig.now())
    assert not rig.relay.step()
    assert isinstance(rig.relay.problem, StorageFailed)
    slow.asked.clear()
    assert rig.relay.step()
    assert not slow.asked.is_set()
    slow.broken = False
    rig.clock.advance(LONGEST_WAIT)
    rig.rounds(rig.relay)
    assert rig.orders() == [(index, name_of(TWIN))]


def judged(rig: Wear, said: Prediction) -> Finding:
    return ForecastReplay(rig.node.reader, rig.live.states, rig.node.blobs).judge(rig.state(said))


def test_a_prediction_over_an_overhaul_is_disproved(rig: Wear) -> None:
    before = rig.now()
    overhaul = rig.script.say(rig.script.operator, TWIN, ATTESTATION, format_attestation(Attestation(OVERHAUL)))
    rig.take(overhaul)
    assert judged(rig, before).outcome is Outcome.OK, "it did not know of it"
    found = judged(rig, rig.now())
    assert found.outcome is Outcome.DIFFERS
    assert found.why.startswith("episode: stated none")
    found = judged(rig, replace(rig.now(), episode=overhaul.digest.hex()))
    assert found.outcome is Outcome.DIFFERS
    assert "the episode began with entry" in found.why


@pytest.mark.parametrize("limit", ["MAX_STATEMENTS", "MAX_BYTES", "MAX_ROWS"])
def test_a_replay_is_bounded(rig: Wear, limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert judged(rig, rig.now()).outcome is Outcome.OK
    monkeypatch.setattr(replaying, limit, 20)
    found = judged(rig, rig.now())
    assert found.outcome is Outcome.NOT_REPLAYABLE
    assert "not replayed here" in found.why


def test_statements_that_are_not_there_are_not_looked_for(rig: Wear) -> None:
    (read,) = rig.now().reads
    found = judged(rig, replace(rig.now(), reads=(replace(read, last=(1 << 63) - 2),)))
    assert found.outcome is Outcome.NOT_REPLAYABLE
    found = judged(rig, replace(rig.now(), reads=(replace(read, last=read.last + 9),)))
    assert found.outcome is Outcome.NOT_REPLAYABLE
    assert f"{read.last + 1} are here" in found.why


def test_a_damaged_model_is_no_model(rig: Wear) -> None:
    (blob,) = (rig.node.folder / "blobs").glob("*/*")
    blob.write_bytes(b"?" + blob.read_bytes()[1:])
    found = judged(rig, rig.now())
    assert found.outcome is Outcome.NOT_REPLAYABLE
    assert str(blob) in found.why
