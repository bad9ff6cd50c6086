"""What the chain says, stated in the log: each event once, whatever fails, and retracted when the chain forgets it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import pytest

from tests.builders import DEVICE, ORIGIN, OTHER_TWIN, START, TWIN
from tests.node.folders import OPERATOR_IRI, continue_log
from twinproof.chain.abi import Artifact, Contract
from twinproof.chain.model import Chain, Log
from twinproof.errors import ChainUnreachable, ConfigError, Overloaded, StorageFailed, TwinproofError
from twinproof.node.chain_events import ChainEvents
from twinproof.node.intake import Accepted, Outcome
from twinproof.node.live import Live, open_live
from twinproof.node.node import init_node
from twinproof.node.service_keys import CHAIN
from twinproof.testing import ManualClock
from twinproof.testing.chain import FakeChain
from twinproof.twin.chain_event import CHAIN_EVENT, ChainEvent, parse_chain_event
from twinproof.twin.grants import Capability, Scope, log_subject
from twinproof.twin.ledger import LedgerState
from twinproof.twin.statement import Statement, parse_statement

PARTS = Contract(Artifact.load("PartPassport"), b"\xaa" * 20)
CLAIMS = Contract(Artifact.load("Attestations"), b"\xbb" * 20)
MAKER, BUYER = b"\x01" * 20, b"\x02" * 20
ZERO = bytes(32)
NAMES = list(enumerate(("Minted", "StatusChanged")))


def name_of(subject: str) -> bytes:
    return sha256(subject.encode()).digest()


class Rig:
    """A live node that follows a scripted chain step by step."""

    def __init__(self, live: Live, clock: ManualClock, chain: FakeChain, **settings: Any) -> None:
        self.live, self.clock, self.chain = live, clock, chain
        self.script = continue_log(live.node)
        self.key = CHAIN.key(live.node.folder, ORIGIN)
        self.problems: list[TwinproofError] = []
        self.events = self.new(**settings)

    def new(self, **settings: Any) -> ChainEvents:
        return ChainEvents(
            self.live.node,
            self.live.feed,
            self.live.states,
            self.key,
            cast(Chain, self.chain),
            (PARTS, CLAIMS),
            clock=self.clock,
            on_problem=self.problems.append,
            **settings,
        )

    def take(self, *statements: Statement) -> None:
        outcomes = self.live.node.intake.submit([statement.raw for statement in statements]).result(30)
        assert all(isinstance(outcome, Accepted) for outcome in outcomes), outcomes
        assert self.live.states.wait(self.live.feed.size, 30)

    def meet(self, subject: str) -> None:
        self.take(self.script.record(DEVICE, 1.0, subject=subject))

    def step(self) -> bool:
        done = self.events.step()
        assert self.live.states.wait(self.live.feed.size, 30)
        return done

    def ledger(self, subject: str = TWIN) -> LedgerState:
        return self.live.states.state(subject).live.ledger

    def heard(self, subject: str | None = None) -> list[ChainEvent]:
        """All chain-event statements, in log order."""
        entries = self.live.node.reader.entries(0, self.live.node.reader.head().size)
        return [
            parse_chain_event(read.payload)
            for read in map(parse_statement, entries)
            if read.content_type == CHAIN_EVENT and subject in (None, read.subject)
        ]

    def told(self, subject: str | None = None) -> list[tuple[str, int, int]]:
        return [(("-" if e.retracted else "") + e.event, e.block, e.position) for e in self.heard(subject)]

    # --- the script of the chain ---

    def minted(self, token: int, subject: str = TWIN, serial: str = "A1") -> Log:
        args = {"partNumber": "P-1", "serial": serial, "birth": ZERO}
        return self.chain.event(PARTS, "Minted", tokenId=token, manufacturer=MAKER, twin=name_of(subject), **args)

    def handed(self, token: int) -> Log:
        return self.chain.event(PARTS, "HandedOver", tokenId=token, **{"from": MAKER, "to": BUYER})

    def status(self, token: int, status: int) -> Log:
        return self.chain.event(PARTS, "StatusChanged", tokenId=token, status=status, leaf=ZERO, by=MAKER)


@contextmanager
def opened(folder: Path, chain: FakeChain, *, enabled: bool = True, **settings: Any) -> Iterator[Rig]:
    clock = ManualClock(START)
    if not folder.exists():
        init_node(folder, ORIGIN, OPERATOR_IRI, clock=clock)
    with open_live(folder, clock=clock) as live:
        rig = Rig(live, clock, chain, **settings)
        if enabled:
            CHAIN.enable(live.node, rig.key)
            rig.script = continue_log(live.node)
        if (DEVICE.issuer, TWIN) not in rig.script.heads:
            rig.take(rig.script.grant(DEVICE, {Capability.RECORD}, Scope("prefix", "https://fleet.example/")))
            rig.meet(TWIN)
        yield rig


@pytest.fixture
def chain() -> FakeChain:
    return FakeChain()


@pytest.fixture
def rig(tmp_path: Path, chain: FakeChain) -> Iterator[Rig]:
    with opened(tmp_path / "node", chain) as made:
        yield made


def test_from_event_to_state(rig: Rig) -> None:
    block = rig.chain.mine(
        rig.minted(5), rig.chain.event(PARTS, "Transfer", tokenId=5, **{"from": bytes(20), "to": MAKER})
    )
    assert rig.step()
    (event,) = rig.heard(TWIN)
    assert event == ChainEvent(
        chain=rig.chain.chain_id,
        contract=PARTS.address,
        event="Minted",
        block=1,
        block_hash=block.hash,
        time=block.time,
        transaction=block.transactions[0],
        position=0,
        args={
            "tokenId": 5,
            "manufacturer": MAKER,
            "twin": name_of(TWIN),
            "partNumber": "P-1",
            "serial": "A1",
            "birth": ZERO,
        },
    )
    rig.chain.mine(rig.status(5, 1), rig.handed(5), rig.status(7, 2))
    assert rig.step()
    assert rig.told() == [("Minted", 1, 0), ("StatusChanged", 2, 0), ("HandedOver", 2, 1)]
    (token,) = rig.ledger().tokens.values()
    assert (token.owner, token.status) == (BUYER, "Removed")
    issuers = {parse_statement(rig.live.node.reader.entry(token.entry)).issuer}
    assert issuers == {CHAIN.issuer(ORIGIN)} == {f"{log_subject(ORIGIN)}#chain"}
    assert (rig.events.stated, rig.events.waiting, rig.problems) == (3, 0, [])


def test_a_quiet_chain_is_not_stated(rig: Rig) -> None:
    size = rig.live.feed.size
    for _ in range(3):
        rig.chain.mine()
        assert rig.step()
    assert rig.live.feed.size == size
    assert rig.events.reached == 4


def test_events_wait_for_their_confirmations(tmp_path: Path, chain: FakeChain) -> None:
    with opened(tmp_path / "node", chain, confirmations=2) as rig:
        chain.mine(rig.minted(5))
        chain.mine()
        assert rig.step()
        assert rig.told() == []
        chain.mine()
        assert rig.step()
        assert rig.told() == [("Minted", 1, 0)]


def test_a_restart_goes_on_where_the_log_ends(tmp_path: Path, chain: FakeChain) -> None:
    for number in (1, 2, 3):
        with opened(tmp_path / "node", chain) as rig:
            chain.mine(rig.minted(number), rig.status(1, 1))
            assert rig.step()
            assert rig.step()
            expected = [(name, block, at) for block in range(1, number + 1) for at, name in NAMES]
            assert rig.told() == expected


def test_other_twins_and_twins_met_later(rig: Rig) -> None:
    rig.chain.mine(rig.minted(5, OTHER_TWIN), rig.minted(6, "https://other.example/1"), rig.handed(5))
    assert rig.step()
    assert rig.told() == []
    rig.meet(OTHER_TWIN)
    rig.chain.mine(rig.status(5, 1))
    assert rig.step()
    assert rig.told(OTHER_TWIN) == [("Minted", 1, 0), ("HandedOver", 1, 2), ("StatusChanged", 2, 0)]
    assert rig.step()
    assert len(rig.told()) == 3


def test_the_log_itself_is_no_twin_of_the_chain(rig: Rig) -> None:
    rig.chain.mine(rig.minted(5, log_subject(ORIGIN)), rig.minted(6))
    assert rig.step()
    assert rig.told() == [("Minted", 1, 1)]


def test_hostile_text_travels_as_bytes_and_long_text_not_at_all(rig: Rig) -> None:
    rig.chain.mine(rig.minted(5, serial="\x1b[31m"), rig.minted(6, serial="x" * 5000))
    assert rig.step()
    assert [event.args["serial"] for event in rig.heard()] == [b"\x1b[31m", None]


def test_what_is_no_event_is_counted_and_passed_by(rig: Rig) -> None:
    strange = Log(PARTS.address, (b"\x77" * 32,), b"", b"", 0, b"", 0, 0)
    rig.chain.mine(strange, rig.minted(5))
    assert rig.step()
    assert rig.told() == [("Minted", 1, 1)]
    assert rig.events.unread == 1


def test_attestations_are_found_by_their_uid(rig: Rig) -> None:
    uid = b"\x09" * 32
    made = {"schema": ZERO, "attester": MAKER, "logId": ZERO, "leaf": ZERO, "anchored": 0}
    attested = rig.chain.event(CLAIMS, "Attested", uid=uid, twin=name_of(TWIN), **made)
    rig.chain.mine(attested, rig.chain.event(CLAIMS, "Revoked", uid=uid, attester=MAKER, time=5))
    rig.chain.mine(rig.chain.event(CLAIMS, "Revoked", uid=ZERO, attester=MAKER, time=5))
    assert rig.step()
    assert rig.told() == [("Attested", 1, 0), ("Revoked", 1, 1)]


@pytest.mark.parametrize("speakers", [frozenset({MAKER}), frozenset({BUYER}), frozenset(), None])
def test_attestations_of_strangers_are_not_heard(
    tmp_path: Path, chain: FakeChain, speakers: frozenset[bytes] | None
) -> None:
    """Anybody may attest anything about any twin on a chain: each would be an entry of the log."""
    made = {"schema": ZERO, "attester": MAKER, "logId": ZERO, "leaf": ZERO, "anchored": 0}
    with opened(tmp_path / "node", chain, speakers=speakers) as rig:
        attested = chain.event(CLAIMS, "Attested", uid=b"\x09" * 32, twin=name_of(TWIN), **made)
        revoked = chain.event(CLAIMS, "Revoked", uid=b"\x09" * 32, attester=MAKER, time=5)
        chain.mine(rig.minted(1), attested, revoked)
        assert rig.step()
        heard = ["Attested", "Revoked"] if speakers is None or MAKER in speakers else []
        assert [name for name, _, _ in rig.told()] == ["Minted", *heard]


def test_many_events_over_many_ranges_keep_their_order(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twinproof.chain.asking.RANGE", 3)
    for block in range(10):
        rig.chain.mine(rig.minted(block), rig.status(block, 1))
    assert rig.step()
    assert [(block, at) for _, block, at in rig.told()] == [(block, at) for block in range(1, 11) for at in (0, 1)]
    assert rig.chain.asked == 4


# --- what may go wrong ------------------------------------------------------------------------


def test_without_a_grant_it_says_how_to_get_one(tmp_path: Path, chain: FakeChain) -> None:
    with opened(tmp_path / "node", chain, enabled=False) as rig:
        chain.mine(rig.minted(5))
        assert not rig.step()
        assert isinstance(rig.events.problem, ConfigError)
        assert "twinproof chain enable" in str(rig.events.problem)
        CHAIN.enable(rig.live.node, rig.key)
        assert CHAIN.enable(rig.live.node, rig.key) is None
        assert rig.step()
        assert rig.told() == [("Minted", 1, 0)]


def test_an_unreachable_chain_is_asked_again(rig: Rig) -> None:
    rig.chain.mine(rig.minted(5))
    rig.chain.unreachable = True
    assert not rig.step()
    assert isinstance(rig.events.problem, ChainUnreachable)
    rig.chain.unreachable = False
    assert rig.step()
    assert rig.told() == [("Minted", 1, 0)]


def failing(rig: Rig, monkeypatch: pytest.MonkeyPatch, error: Exception, *, lost: bool) -> Callable[[], None]:
    """Intake that answers with `error`, having taken the statements or not; the result mends it."""
    real = rig.live.node.intake.submit

    def submit(raws: Sequence[bytes]) -> Future[list[Outcome]]:
        if not lost:
            real(raws).result(30)
        answer: Future[list[Outcome]] = Future()
        answer.set_exception(error)
        return answer

    monkeypatch.setattr(rig.live.node.intake, "submit", submit)
    return lambda: monkeypatch.setattr(rig.live.node.intake, "submit", real)


@pytest.mark.parametrize("restart", [True, False])
@pytest.mark.parametrize("lost", [True, False])
@pytest.mark.parametrize("error", [StorageFailed("the disk is full"), Overloaded("busy", 1), TimeoutError()])
def test_an_answer_that_does_not_come_doubles_nothing(
    tmp_path: Path, chain: FakeChain, monkeypatch: pytest.MonkeyPatch, error: Exception, lost: bool, restart: bool
) -> None:
    with opened(tmp_path / "node", chain) as rig:
        chain.mine(rig.minted(5), rig.status(5, 1))
        mend = failing(rig, monkeypatch, error, lost=lost)
        assert not rig.step()
        assert rig.events.waiting == 2
        mend()
        if restart:
            # As after a crash: nothing is left but the log.
            rig.events = rig.new()
        chain.mine(rig.handed(5))
        assert rig.step()
        assert rig.told() == [("Minted", 1, 0), ("StatusChanged", 1, 1), ("HandedOver", 2, 0)]


def test_a_grant_that_is_taken_back_is_waited_for(rig: Rig) -> None:
    (grant,) = (
        grant for grant in rig.live.node.intake.authority.grants.values() if grant.terms.issuer == rig.events.issuer
    )
    rig.take(rig.script.revoke(rig.script.statement(grant.index)))
    rig.chain.mine(rig.minted(5))
    assert not rig.step()
    rig.script = continue_log(rig.live.node)
    CHAIN.enable(rig.live.node, rig.key)
    assert rig.step()
    assert rig.told() == [("Minted", 1, 0)]


@pytest.mark.parametrize("restart", [True, False])
def test_what_a_reorganisation_takes_away_is_retracted(tmp_path: Path, chain: FakeChain, restart: bool) -> None:
    with opened(tmp_path / "node", chain) as rig:
        chain.mine(rig.minted(5))
        chain.mine(rig.handed(5))
        chain.mine(rig.status(5, 1))
        assert rig.step()
        chain.reorganise(2)
        if restart:
            rig.events = rig.new()
        chain.mine()
        chain.mine(rig.status(5, 2), rig.handed(5))
        assert rig.step()
        assert rig.told()[3:] == [
            ("-StatusChanged", 3, 0),
            ("-HandedOver", 2, 0),
            ("StatusChanged", 3, 0),
            ("HandedOver", 3, 1),
        ]
        (token,) = rig.ledger().tokens.values()
        assert (token.owner, token.status, token.place) == (BUYER, "Quarantined", (3, 1))
        assert list(rig.ledger().events.values()) == [(3, 1)]
        for _ in range(2):
            rig.events = rig.new()
            assert rig.step()
        assert len(rig.told()) == 7


def test_a_reorganisation_of_quiet_blocks_retracts_nothing(rig: Rig) -> None:
    rig.chain.mine(rig.minted(5))
    rig.chain.mine()
    assert rig.step()
    rig.chain.reorganise(1)
    rig.chain.mine(rig.status(5, 1))
    assert rig.step()
    assert rig.told() == [("Minted", 1, 0), ("StatusChanged", 2, 0)]


def test_a_node_that_lags_is_no_reorganisation(rig: Rig) -> None:
    rig.chain.mine(rig.minted(5))
    rig.chain.mine(rig.status(5, 1))
    assert rig.step()
    taken = rig.chain.take(2)
    assert rig.step()
    rig.chain.put(taken)
    rig.chain.mine(rig.handed(5))
    assert rig.step()
    assert rig.told() == [("Minted", 1, 0), ("StatusChanged", 2, 0), ("HandedOver", 3, 0)]


def test_a_retraction_that_is_not_answered_is_not_doubled(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.chain.mine(rig.minted(5))
    assert rig.step()
    rig.chain.reorganise(1)
    rig.chain.mine(rig.minted(6))
    mend = failing(rig, monkeypatch, Overloaded("busy", 1), lost=False)
    assert not rig.step()
    mend()
    assert rig.step()
    assert rig.told() == [("Minted", 1, 0), ("-Minted", 1, 0), ("Minted", 1, 0)]
    (key,) = rig.ledger().tokens
    assert key[2][-1] == 6


def test_a_defect_is_told_and_passed_by(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.chain.mine(rig.minted(5))
    with monkeypatch.context() as patch:
        patch.setattr(rig.chain, "logs", None)
        assert not rig.step()
    assert rig.events.problem is not None
    assert rig.events.problem.code == "internal"
    assert rig.step()
    assert rig.told() == [("Minted", 1, 0)]
