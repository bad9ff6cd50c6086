"""The node's chain side from files: account, embedded chain, outbox, contracts, tasks; and the real sender crashing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.builders import DEVICE, ORIGIN, START, TWIN, signer
from tests.node.chain_rig import transact
from tests.node.folders import OPERATOR_IRI, continue_log
from twinproof.chain.abi import Artifact, Contract
from twinproof.chain.accounts import Account
from twinproof.chain.anchors import CheckpointAnchor, log_id_of
from twinproof.chain.embedded import EmbeddedChain
from twinproof.chain.hexadecimal import keccak
from twinproof.chain.keystore import write_keystore
from twinproof.errors import ChainUnreachable, ConfigError, StorageFailed, WrongPassword
from twinproof.node.anchor_store import AnchorStore
from twinproof.node.chain_setup import (
    ACCOUNT_KEY,
    EMBEDDED_CHAIN_ID,
    EMBEDDED_FUNDS,
    NAMES,
    PASSWORD,
    Contracts,
    deploy_contracts,
    has_contracts,
    open_account,
    open_chain,
    open_sender,
    read_contracts,
    write_contracts,
)
from twinproof.node.chain_side import ChainSide, open_chain_side
from twinproof.node.config import ChainSettings, Config
from twinproof.node.live import Live, open_live
from twinproof.node.node import init_node
from twinproof.node.service_keys import CHAIN
from twinproof.proof.anchor import check_anchor
from twinproof.proof.keys import ES256
from twinproof.testing import ManualClock
from twinproof.twin.chain_event import CHAIN_EVENT, parse_chain_event
from twinproof.twin.grants import Capability
from twinproof.twin.policy import POLICY, Policy, format_policy
from twinproof.twin.prediction import PREDICTION, Prediction, Read, float_bits, format_prediction
from twinproof.twin.statement import parse_statement

SETTINGS = ChainSettings("embedded", anchor_every_seconds=100, anchor_every_entries=5, replay="if-possible")


def deploy(folder: Path, clock: ManualClock) -> Contracts:
    with open_chain(folder, SETTINGS, clock=clock) as chain:
        account = open_account(folder, SETTINGS)
        with open_sender(folder, SETTINGS, chain, account, clock=clock) as sender:
            contracts = deploy_contracts(sender, chain, ORIGIN)
    write_contracts(folder, contracts)
    return contracts


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def folder(tmp_path: Path, clock: ManualClock) -> Path:
    init_node(tmp_path / "node", ORIGIN, OPERATOR_IRI, clock=clock)
    return tmp_path / "node"


@contextmanager
def opened(folder: Path, clock: ManualClock) -> Iterator[tuple[Live, ChainSide]]:
    """A live node, and beside it the chain side whose tasks the test runs step by step."""
    with ExitStack() as stack:
        live = stack.enter_context(open_live(folder, config=Config(ORIGIN), clock=clock))
        object.__setattr__(live.node, "config", Config(ORIGIN, chain=SETTINGS))
        side = stack.enter_context(open_chain_side(live.node, live.feed, live.states))
        assert side is not None
        yield live, side


def test_deploying_makes_everything_once(folder: Path, clock: ManualClock) -> None:
    assert not has_contracts(folder)
    with pytest.raises(ConfigError, match="twinproof chain deploy"):
        read_contracts(folder)
    contracts = deploy(folder, clock)
    assert has_contracts(folder)
    assert contracts == deploy(folder, clock) == read_contracts(folder)
    assert contracts.chain_id == EMBEDDED_CHAIN_ID
    account = open_account(folder, SETTINGS)
    with open_chain(folder, SETTINGS, clock=clock) as chain:
        assert chain.nonce(account.address) == len(NAMES) + 1
        assert EMBEDDED_FUNDS * 0.99 < chain.balance(account.address) < EMBEDDED_FUNDS
        assert all(chain.code(address) for address in contracts.addresses.values())
        anchors = CheckpointAnchor(chain, contracts.addresses["CheckpointAnchor"])
        assert contracts.log_id == log_id_of(ORIGIN, account.address)
        assert anchors.owner(contracts.log_id) == account.address
    assert (folder / "keys" / ACCOUNT_KEY).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("step", range(5))
def test_a_deployment_that_was_interrupted_goes_on(
    folder: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    real = EmbeddedChain.send
    sent: list[bytes] = []

    def failing(self: EmbeddedChain, raw: bytes) -> bytes:
        if len(sent) == step:
            sent.append(b"")
            raise KeyboardInterrupt
        sent.append(raw)
        return real(self, raw)

    with monkeypatch.context() as patch:
        patch.setattr(EmbeddedChain, "send", failing)
        with pytest.raises(KeyboardInterrupt):
            deploy(folder, clock)
    contracts = deploy(folder, clock)
    with open_chain(folder, SETTINGS, clock=clock) as chain:
        assert chain.nonce(open_account(folder, SETTINGS).address) == len(NAMES) + 1
        assert CheckpointAnchor(chain, contracts.addresses["CheckpointAnchor"]).owner(contracts.log_id)


def test_without_contracts_there_is_no_chain_side(folder: Path, clock: ManualClock) -> None:
    with open_live(folder, config=Config(ORIGIN, chain=SETTINGS), clock=clock) as live:
        assert live.chain is None


def test_a_live_node_anchors_by_itself(folder: Path, clock: ManualClock) -> None:
    deploy(folder, clock)
    anchored: list[int] = []
    with open_live(folder, config=Config(ORIGIN, chain=SETTINGS), clock=clock) as live:
        assert live.chain is not None
        assert set(live.chain.tasks) == {"anchoring", "sender", "relay", "relay feed"}
    # Ending waits for the rounds under way: the first one anchors.
    anchored = [check_anchor(evidence).size for evidence in AnchorStore(folder / "chain" / "anchors.db").all()]
    assert anchored == [1]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_sender_that_is_cut_off_anchors_once(
    folder: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    deploy(folder, clock)
    real = EmbeddedChain.send

    def cut_off(self: EmbeddedChain, raw: bytes) -> bytes:
        if when == "after":
            real(self, raw)
        raise ChainUnreachable("the line is dead")

    for size in (1, 2):
        with opened(folder, clock) as (live, side):
            script = continue_log(live.node)
            if size == 2:
                live.node.intake.submit([script.grant(DEVICE, {Capability.RECORD}).raw]).result(30)
            clock.advance(1000)
            with monkeypatch.context() as patch:
                patch.setattr(EmbeddedChain, "send", cut_off)
                side.anchoring.step()
        with opened(folder, clock) as (live, side):
            assert side.anchoring.step()
            assert side.anchoring.step()
            report = side.anchoring.report
            assert (report.size, report.count, report.pending) == (size, size, False)
            assert side.chain.nonce(side.sender.address) == len(NAMES) + 1 + size
            assert [check_anchor(one).size for one in AnchorStore(folder / "chain" / "anchors.db").all()] == list(
                range(1, size + 1)
            )


def test_events_of_the_real_contract_are_stated(folder: Path, clock: ManualClock) -> None:
    contracts = deploy(folder, clock)
    with open_live(folder, config=Config(ORIGIN), clock=clock) as live:
        CHAIN.enable(live.node, CHAIN.key(folder, ORIGIN))
        script = continue_log(live.node)
        live.node.intake.submit([script.grant(DEVICE, {Capability.RECORD}).raw, script.record(DEVICE, 1.0).raw]).result(
            30
        )
    with opened(folder, clock) as (live, side):
        assert side.events is not None
        parts = Contract(Artifact.load("PartPassport"), contracts.addresses["PartPassport"])
        minted = parts.encode("mint", "P-1", "A1", sha256(TWIN.encode()).digest(), b"\1" * 32)
        for purpose, data in (
            ("accredit", parts.encode("setAccredited", side.sender.address, True)),
            ("mint", minted),
        ):
            side.sender.submit(purpose, parts.address, data)
            assert side.sender.wait(purpose, 5).code is None
        assert side.events.step()
        assert live.states.wait(live.feed.size, 30)
        (token,) = live.states.state(TWIN).live.ledger.tokens.values()
        assert (token.owner, token.status) == (side.sender.address, "InService")
        stated = parse_statement(live.node.reader.entry(token.entry))
        assert (stated.issuer, stated.content_type) == (CHAIN.issuer(ORIGIN), CHAIN_EVENT)


# --- files that are wrong -----------------------------------------------------------------------


GOOD = Contracts(5, 0, b"\1" * 32, {name: bytes([number]) * 20 for number, name in enumerate(NAMES)})
WRONG: dict[str, Any] = {
    "no JSON": "{",
    "a list": [],
    "more": {"more": 1},
    "chain zero": {"chain_id": 0},
    "chain as text": {"chain_id": "5"},
    "chain true": {"chain_id": True},
    "block negative": {"first_block": -1},
    "log id short": {"log_id": "0x11"},
    "log id as number": {"log_id": 5},
    "a contract missing": {"contracts": {"CheckpointAnchor": "0x" + "11" * 20}},
    "contracts as a list": {"contracts": []},
    "an address short": {"contracts": dict.fromkeys(NAMES, "0x11")},
    "an address mistyped": {"contracts": dict.fromkeys(NAMES, "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeE")},
    "an address as number": {"contracts": dict.fromkeys(NAMES, 5)},
    "an address with a line feed": {"contracts": dict.fromkeys(NAMES, "0x" + "11" * 20 + "\n")},
}


@pytest.mark.parametrize("name", WRONG)
def test_contracts_that_cannot_be_read_name_the_file(tmp_path: Path, name: str) -> None:
    write_contracts(tmp_path, GOOD)
    assert read_contracts(tmp_path) == GOOD
    path, wrong = tmp_path / "chain" / "contracts.json", WRONG[name]
    if isinstance(wrong, dict):
        wrong = {**json.loads(path.read_text()), **wrong}
    path.write_text(wrong if isinstance(wrong, str) else json.dumps(wrong))
    with pytest.raises(ConfigError, match=r"contracts\.json"):
        read_contracts(tmp_path)


def test_contracts_of_another_chain_are_refused(folder: Path, clock: ManualClock) -> None:
    contracts = deploy(folder, clock)
    write_contracts(folder, replace(contracts, chain_id=7))
    with (
        pytest.raises(ConfigError, match=r"contracts\.json is of chain 7"),
        open_live(folder, config=Config(ORIGIN, chain=SETTINGS), clock=clock),
    ):
        pass


def test_a_keystore_needs_its_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = ChainSettings("rpc", url="http://127.0.0.1:1", chain_id=5)
    monkeypatch.delenv(PASSWORD, raising=False)
    (tmp_path / "chain").mkdir()
    with pytest.raises(ConfigError, match="twinproof chain account"):
        open_account(tmp_path, network)
    account = Account(b"\1" * 32)
    write_keystore(tmp_path / "chain" / "account.json", account, "secret", n=2)
    with pytest.raises(ConfigError, match=PASSWORD):
        open_account(tmp_path, network)
    monkeypatch.setenv(PASSWORD, "secret")
    assert open_account(tmp_path, network).address == account.address
    assert open_account(tmp_path, SETTINGS).address == account.address, "an embedded chain may have one, too"
    password = tmp_path / "password"
    password.write_text("wrong\n")
    password.chmod(0o600)
    with pytest.raises(WrongPassword):
        open_account(tmp_path, replace(network, password_file="password"))
    password.write_text("secret\n")
    assert open_account(tmp_path, replace(network, password_file="password")).address == account.address
    password.chmod(0o644)
    with pytest.raises(ConfigError, match="may be read by others"):
        open_account(tmp_path, replace(network, password_file="password"))


def test_a_network_that_is_away_does_not_keep_the_node_from_starting(
    folder: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_contracts(folder, GOOD)
    write_keystore(folder / "chain" / "account.json", Account(b"\1" * 32), "secret", n=2)
    monkeypatch.setenv(PASSWORD, "secret")
    network = ChainSettings("rpc", url="http://127.0.0.1:1", chain_id=5)
    with open_live(folder, config=Config(ORIGIN, chain=network), clock=clock) as live:
        assert live.chain is not None
        assert not live.chain.anchoring.step()
        assert isinstance(live.chain.anchoring.problem, ChainUnreachable)


def test_without_a_driver_there_is_no_chain(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no chain is set up"), open_chain(tmp_path, ChainSettings()):
        pass


# --- the whole walk -----------------------------------------------------------------------------

PREDICTOR = signer("urn:example:predictor", 50, ES256)
SUPPLIER = Account(b"\7" * 32)


def agreement_terms(side: ChainSide) -> tuple[Any, ...]:
    key, nobody = PREDICTOR.key.public.raw, bytes(20)
    both = ((key[:32], key[32:]),) * 2
    where = [side.contracts.addresses[name] for name in ("CheckpointAnchor", "PartPassport")]
    limits = (3600, *[10_000] * 5)
    bounds = (keccak(b"cycles"), float_bits(30.0), float_bits(0.9), keccak(b"P-1"), nobody, 1000)
    return (side.sender.address, SUPPLIER.address, nobody, *where, side.contracts.log_id, *both, *bounds, *limits)


def agree(side: ChainSide) -> None:
    """Propose, fund and agree to agreement 1, about the twin."""
    deal = Contract(Artifact.load("MaintenanceAgreement"), side.contracts.addresses["MaintenanceAgreement"])
    terms = agreement_terms(side)
    for purpose, to, data, value in (
        ("fund the supplier", SUPPLIER.address, b"", 10**18),
        ("propose", deal.address, deal.encode("propose", terms, [sha256(TWIN.encode()).digest()]), 5000),
    ):
        side.sender.submit(purpose, to, data, value)
        side.sender.wait(purpose, 5)
    transact(side.chain, SUPPLIER, deal.address, deal.encode("agree", 1, terms))


def test_from_a_policy_and_a_prediction_to_an_order_in_the_twins_state(folder: Path, clock: ManualClock) -> None:
    contracts = deploy(folder, clock)
    with open_live(folder, config=Config(ORIGIN), clock=clock) as live:
        CHAIN.enable(live.node, CHAIN.key(folder, ORIGIN))
    with opened(folder, clock) as (live, side):
        assert side.events is not None
        assert side.relay is not None
        agree(side)
        script = continue_log(live.node)
        policy = Policy("low", "cycles", 30.0, 0.9, EMBEDDED_CHAIN_ID, contracts.addresses["MaintenanceAgreement"], 1)
        read = Read(DEVICE.issuer, 0, 4, bytes(32))
        rul = Prediction(12.0, 20.0, 31.0, 0.9, "cycles", b"\7" * 32, (read,))
        said = [
            script.grant(PREDICTOR, {Capability.PREDICT}),
            script.say(script.operator, TWIN, POLICY, format_policy(policy)),
            script.say(PREDICTOR, TWIN, PREDICTION, format_prediction(rul), at=int(side.chain.head().time)),
        ]
        live.node.intake.submit([statement.raw for statement in said]).result(30)
        index = live.feed.size - 1
        for _ in range(3):
            for part in (side.relay, side.anchoring, side.events):
                assert part.step(), part.problem
            assert live.states.wait(live.feed.size, 30)
        ledger = live.states.state(TWIN).live.ledger
        ((key, order),) = ledger.orders.items()
        assert key == (EMBEDDED_CHAIN_ID, policy.contract, ((1 << 32) + 1).to_bytes(32, "big"))
        assert (order.state, order.agreement) == ("placed", (1).to_bytes(32, "big"))
        assert ledger.prediction is not None
        assert ledger.prediction.entry == index
        heard = [parse_statement(live.node.reader.entry(entry)) for entry in range(index + 1, live.feed.size)]
        events = [parse_chain_event(statement.payload) for statement in heard if statement.content_type == CHAIN_EVENT]
        assert [event.event for event in events] == ["Proposed", "Agreed", "OrderPlaced"]
        assert events[-1].args["index"] == index
        assert side.relay.decisions["placed"] == 1


def test_a_card_that_cannot_be_written_is_named(folder: Path) -> None:
    (folder / "chain.json").mkdir()
    with pytest.raises(StorageFailed, match=r"chain\.json"):
        CHAIN.key(folder, ORIGIN)
