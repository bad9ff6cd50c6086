"""An operator and a supplier on one node with an embedded chain: both accounts are held by the node."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from starlette.testclient import TestClient

from tests.builders import DEVICE, ORIGIN, START, TWIN, Signer, signer
from tests.node.folders import OPERATOR_IRI
from tests.server.process import make_folder
from twinproof.chain.accounts import Account
from twinproof.chain.agreements import Agreements, Key, Terms
from twinproof.chain.forms import twin_name
from twinproof.chain.hexadecimal import keccak
from twinproof.log.files import write_secret
from twinproof.node.accounts import hold_account
from twinproof.node.chain_setup import (
    ACCOUNT_KEY,
    deploy_contracts,
    open_account,
    open_chain,
    open_sender,
    write_contracts,
)
from twinproof.node.chain_side import ChainSide
from twinproof.node.config import FILE_NAME, ChainSettings, format_config, load_config
from twinproof.node.intake import Accepted
from twinproof.node.live import Live, open_live
from twinproof.node.node import open_node
from twinproof.node.service_keys import CHAIN, CONSOLE
from twinproof.node.tokens import TokenFile, parse_scope
from twinproof.proof.keys import ES256
from twinproof.server.live_app import make_live_app
from twinproof.testing import ManualClock
from twinproof.twin.description import DESCRIPTION, Description, format_description
from twinproof.twin.grants import GRANT, Capability, GrantTerms, Scope, format_grant, log_subject
from twinproof.twin.prediction import PREDICTION, Prediction, Read, float_bits, format_prediction
from twinproof.twin.stream import sign_next

SETTINGS: Final = ChainSettings("embedded", relay=False)
PART: Final = "https://fleet.example/blade/1"
SPARE: Final = "https://fleet.example/blade/2"
PREDICTOR: Final = signer("urn:example:predictor", 50, ES256)
TECHNICIAN: Final = signer("urn:example:technician", 51, ES256)
OWNER: Final = Account(b"\6" * 32)
"""The node's own account, the operator's."""
SUPPLIER: Final = Account(b"\7" * 32)
POOR: Final = Account(b"\x08" * 32)
NUMBER: Final = "HPT-7"
PRICE: Final = 5 * 10**17
HOUR: Final = 3600
NOBODY: Final = bytes(20)


@dataclass
class Parties:
    """An open node whose chain tasks the test runs step by step."""

    live: Live
    app: FastAPI
    clock: ManualClock

    @property
    def side(self) -> ChainSide:
        assert self.live.chain is not None
        return self.live.chain

    @property
    def operator(self) -> str:
        return f"0x{self.side.sender.address.hex()}"

    @property
    def supplier(self) -> str:
        return f"0x{SUPPLIER.address.hex()}"

    def client(self, *scopes: str, here: bool = True) -> TestClient:
        """Of this machine or elsewhere, with a token of these scopes if there are any."""
        headers = {}
        if scopes:
            tokens = TokenFile(self.live.node.folder, self.live.node.clock)
            headers["authorization"] = f"Bearer {tokens.new([parse_scope(scope) for scope in scopes])[0]}"
        peer = "127.0.0.1" if here else "192.0.2.7"
        return TestClient(self.app, base_url="http://127.0.0.1", client=(peer, 4000), headers=headers)

    def say(self, by: Signer, subject: str, content_type: str, payload: bytes) -> int:
        """State something; its index."""
        intake = self.live.node.intake
        raw = sign_next(
            intake.stream_head(by.issuer, subject),
            by.key,
            issuer=by.issuer,
            subject=subject,
            content_type=content_type,
            payload=payload,
            issued_at=int(self.clock()),
        )
        (outcome,) = intake.submit([raw]).result(30)
        assert isinstance(outcome, Accepted), outcome
        return outcome.index

    def grant(self, to: Signer, *can: Capability) -> None:
        by = Signer(OPERATOR_IRI, self.live.node.operator_key())
        terms = GrantTerms(to.issuer, to.key.public, frozenset(can), Scope("prefix", ""))
        self.say(by, log_subject(ORIGIN), GRANT, format_grant(terms))

    def describe(self, subject: str, **properties: Any) -> int:
        return self.say(DEVICE, subject, DESCRIPTION, format_description(Description(set=properties)))

    def predict(self, lower: float) -> int:
        reads = (Read(DEVICE.issuer, 0, 0, bytes(32)),)
        said = Prediction(lower, lower + 5, lower + 9, 0.9, "{cycle}", bytes(32), reads)
        return self.say(PREDICTOR, TWIN, PREDICTION, format_prediction(said))

    def anchor(self) -> None:
        """Anchor what the log has."""
        self.side.anchoring.want(self.live.node.reader.head().size)
        for _ in range(3):
            assert self.side.anchoring.step()

    def follow(self) -> None:
        """State what the contracts said, and let the views take it in."""
        assert self.side.events is not None
        assert self.side.events.step()
        assert self.live.states.wait(self.live.feed.size, 30)

    def propose(self, purpose: str = "propose") -> int:
        """Propose an agreement about the twin, in the operator's name; its number."""
        side, agreements = self.side, Agreements(self.side.chain, self.side.contracts.addresses["MaintenanceAgreement"])
        predictor, technician = (
            Key(one.key.public.raw[:32], one.key.public.raw[32:]) for one in (PREDICTOR, TECHNICIAN)
        )
        terms = Terms(
            operator=side.sender.address,
            supplier=SUPPLIER.address,
            arbiter=NOBODY,
            anchors=side.contracts.addresses["CheckpointAnchor"],
            passports=side.contracts.addresses["PartPassport"],
            log_id=side.contracts.log_id,
            predictor=predictor,
            technician=technician,
            unit=keccak(b"{cycle}"),
            below=float_bits(30.0),
            coverage=float_bits(0.9),
            part_number=keccak(NUMBER.encode()),
            currency=NOBODY,
            price=PRICE,
            max_age=24 * HOUR,
            accept_within=24 * HOUR,
            ship_within=24 * HOUR,
            receive_within=24 * HOUR,
            install_within=24 * HOUR,
            dispute_within=24 * HOUR,
        )
        data = agreements.contract.encode("propose", terms, [twin_name(TWIN)])
        side.sender.submit(purpose, agreements.address, data)
        receipt = side.chain.receipt(side.sender.wait(purpose, 5).transaction or b"")
        assert receipt is not None
        return int(agreements.made(receipt, "Proposed")["id"])


@contextmanager
def parties_rig(folder: Path, start: float = START) -> Iterator[Parties]:
    """A node on a new folder: contracts, console and chain events enabled, a supplier's account held and funded."""
    clock = ManualClock(start)
    make_folder(folder, rate=0)
    config = replace(load_config(folder), chain=SETTINGS)
    (folder / FILE_NAME).write_text(format_config(config))
    # The same each time, and so are the contracts' addresses: the documentation shows them.
    write_secret(folder / "keys" / ACCOUNT_KEY, OWNER.key.hex().encode())
    with (
        open_chain(folder, SETTINGS, clock=clock) as chain,
        open_sender(folder, SETTINGS, chain, open_account(folder, SETTINGS), clock=clock) as sender,
    ):
        write_contracts(folder, deploy_contracts(sender, chain, config.origin))
        sender.submit("fund", SUPPLIER.address, b"", 10**19)
        sender.wait("fund", 5)
    hold_account(folder, SETTINGS, "supplier", SUPPLIER)
    hold_account(folder, SETTINGS, "poor", POOR)
    # The genesis has the wall clock's time: the story's must not be before it.
    with open_node(folder, clock=clock) as node:
        for service in (CHAIN, CONSOLE):
            service.enable(node, service.key(folder, config.origin))
    with open_live(folder, clock=clock) as live:
        assert live.chain is not None
        live.chain.stop()
        made = Parties(live, make_live_app(live), clock)
        made.grant(DEVICE, Capability.DESCRIBE, Capability.RECORD)
        made.grant(PREDICTOR, Capability.PREDICT)
        made.grant(TECHNICIAN, Capability.MAINTAIN)
        made.describe(TWIN, serial="A-1")
        yield made
