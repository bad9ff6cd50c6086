"""The chain in the API: the ledger part of a state, how anchoring stands, a fork in /ready and in the numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.builders import DEVICE, START, TWIN, signer
from tests.node.folders import continue_log
from tests.server.live_rig import Rig, live_rig
from tests.server.process import make_folder
from twinproof.node.chain_setup import deploy_contracts, open_account, open_chain, open_sender, write_contracts
from twinproof.node.config import FILE_NAME, ChainSettings, format_config, load_config
from twinproof.node.live import open_live
from twinproof.node.service_keys import CHAIN
from twinproof.server import shapes
from twinproof.server.live_app import make_live_app
from twinproof.twin.chain_event import CHAIN_EVENT, ChainEvent, event_args, format_chain_event
from twinproof.twin.installation import INSTALLATION, Installation, format_installation
from twinproof.twin.policy import POLICY, Policy, format_policy
from twinproof.twin.prediction import PREDICTION, Prediction, Read, format_prediction

SETTINGS = ChainSettings("embedded")
CONTRACT = b"\xaa" * 20


@pytest.fixture(scope="module")
def anchored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """A node on an embedded chain whose first anchor is made."""
    folder = make_folder(tmp_path_factory.mktemp("chain") / "node", rate=0)
    config = replace(load_config(folder), chain=SETTINGS)
    (folder / FILE_NAME).write_text(format_config(config))
    with (
        open_chain(folder, SETTINGS) as chain,
        open_sender(folder, SETTINGS, chain, open_account(folder, SETTINGS)) as sender,
    ):
        write_contracts(folder, deploy_contracts(sender, chain, config.origin))
    with open_live(folder) as live:
        assert live.chain is not None
        live.chain.stop()
        assert live.chain.anchoring.step()
        assert live.chain.anchoring.step()
        yield Rig(live, make_live_app(live), continue_log(live.node))


def event(name: str, position: int, **args: object) -> bytes:
    made = ChainEvent(5, CONTRACT, name, 9, b"\1" * 32, START, b"\2" * 32, position, event_args(args))
    return format_chain_event(made)


def test_a_state_tells_predictions_parts_and_orders(tmp_path: Path) -> None:
    with live_rig(tmp_path / "node") as rig:
        log, operator = rig.log, rig.log.operator
        rul = Prediction(
            20.5, 31.0, 40.25, 0.9, "cycles", b"\1" * 32, (Read(DEVICE.issuer, 0, 0, b"\2" * 32),), until=7
        )
        chain = signer(CHAIN.issuer(log.origin), 60)
        said = [
            log.grant(chain, {CHAIN.capability}),
            log.say(operator, TWIN, PREDICTION, format_prediction(rul)),
            log.say(operator, TWIN, POLICY, format_policy(Policy("low", "cycles", 30.0, 0.9, 5, CONTRACT, 2**70))),
            log.say(operator, TWIN, INSTALLATION, format_installation(Installation(b"\0" * 31 + b"\5", b"\4" * 32))),
            log.say(chain, TWIN, CHAIN_EVENT, event("Minted", 0, tokenId=2**255, manufacturer=CONTRACT)),
            log.say(chain, TWIN, CHAIN_EVENT, event("OrderPlaced", 1, orderId=(7 << 32) + 1, id=7)),
        ]
        assert len(rig.grow()) == len(said)
        first = rig.size - len(said) + 1
        body = rig.client().get("/api/v1/state", params={"sub": TWIN}).json()
        shapes.State.model_validate(body)
        assert body["prediction"] == {
            "lower": 20.5,
            "point": 31.0,
            "upper": 40.25,
            "coverage": 0.9,
            "unit": "cycles",
            "model": "01" * 32,
            "until": 7,
            "drivers": {},
            "episode": None,
            "remarks": [],
            "widened": None,
            "iss": operator.issuer,
            "entry": first,
            "time": START,
        }
        address = f"0x{CONTRACT.hex()}"
        assert body["policies"]["low"]["agreement"] == str(2**70)
        assert body["installed"] == [{"part": "5", "order": "04" * 32, "entry": first + 2, "time": START}]
        place = {"chain": 5, "contract": address}
        token = {"token": str(2**255), "owner": address, "status": "InService", "parent": None, "entry": first + 3}
        assert body["tokens"] == [place | token]
        order = {"order": str((7 << 32) + 1), "agreement": "7", "state": "placed", "since": START, "token": None}
        assert body["orders"] == [place | order | {"entry": first + 4}]


def test_without_a_chain_there_is_none(tmp_path: Path) -> None:
    with live_rig(tmp_path / "node") as rig:
        answer = rig.client().get("/api/v1/chain")
        assert (answer.status_code, answer.json()) == (200, {"chain": None})
        assert "history" not in rig.client().get("/ready").json()["checks"]
        assert "twinproof_anchor" not in rig.client().get("/metrics").text


def test_how_anchoring_stands(anchored: Rig) -> None:
    body = anchored.client().get("/api/v1/chain").json()
    shapes.ChainStatus.model_validate(body)
    status = body["chain"]
    size = anchored.live.node.reader.head().size
    assert status["chain_id"] == 1_954_047_342
    assert set(status["contracts"]) == {"CheckpointAnchor", "PartPassport", "MaintenanceAgreement", "Attestations"}
    anchoring = status["anchoring"]
    assert (anchoring["size"], anchoring["count"], anchoring["behind_entries"]) == (size, 1, 0)
    assert (anchoring["due"], anchoring["pending"], anchoring["forked"], anchoring["problem"]) == (
        None,
        False,
        False,
        None,
    )
    assert int(anchoring["spent_wei"]) > 0
    assert status["events"] is None
    assert status["relay"] == {"open": 0, "decisions": {}, "problem": None}
    assert anchored.client().get("/ready").json()["checks"]["history"] == "ok"


def test_numbers_for_prometheus(anchored: Rig) -> None:
    lines = anchored.client().get("/metrics").text.splitlines()
    numbers = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    size = anchored.live.node.reader.head().size
    assert float(numbers["twinproof_anchor_size"]) == size
    assert float(numbers["twinproof_anchors"]) == 1
    assert float(numbers["twinproof_anchor_spent_wei"]) > 0
    assert float(numbers["twinproof_anchor_forked"]) == 0
    assert float(numbers["twinproof_relay_open"]) == 0


def test_a_fork_is_told_everywhere(anchored: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    side = anchored.live.chain
    assert side is not None
    report = replace(side.anchoring.report, forked=True, problem="forked: another head")
    monkeypatch.setattr(side.anchoring, "report", report)
    ready = anchored.client().get("/ready")
    assert (ready.status_code, ready.json()["checks"]["history"]) == (503, "forked")
    assert "twinproof_anchor_forked 1.0" in anchored.client().get("/metrics").text
    told = anchored.client().get("/api/v1/chain").json()["chain"]["anchoring"]
    assert (told["forked"], told["problem"]) == (True, "forked: another head")
