"""The demonstration's order: a prediction in the log places it, a contract pays for it, the twin tells of it."""

from __future__ import annotations

import json
import time
from base64 import b64decode
from typing import Any, Final

from twinproof.cli.chain_values import token_name
from twinproof.cli.demo_forecast import Forecasts
from twinproof.cli.demo_node import Child, run_command
from twinproof.cli.demo_stage import CONTRACTS, NODE, OPERATOR_PEM, PART, PASSWORD, Party, Stage, shorten
from twinproof.cli.output import utc
from twinproof.errors import InternalError
from twinproof.node import keyring
from twinproof.proof.merkle import hash_leaf
from twinproof.twin.attestation import OVERHAUL
from twinproof.twin.description import DESCRIPTION, Description, Lifecycle, format_description
from twinproof.twin.grants import Capability
from twinproof.twin.prediction import Prediction, parse_prediction
from twinproof.twin.statement import parse_statement

TECHNICIAN: Final = "https://fleet.example/technician"
SUPPLIER: Final = "https://supplier.example/"
NUMBER: Final = "HPT-7"
SERIAL: Final = "SN4711"
FAKE_SERIAL: Final = "SN4712"
UNIT: Final = "{cycle}"
COVERAGE: Final = 0.9
BELOW: Final = 30.0
"""Cycles: a lower bound below it orders."""
PRICE: Final = "0.5"
HOUR: Final = 3600
TERMS: Final = """\
supplier = "{supplier}"
twins = ["{twin}"]
predictor = "{node}/forecast.json"
technician = "technician.json"
unit = "{unit}"
below = {below}
coverage = {coverage}
part_number = "{number}"
price = "{price}"
[within]
max_age = "2d"
accept = "2d"
ship = "5d"
receive = "1h"
install = "14d"
dispute = "14d"
"""


class OrderChapters:
    """Agreement, prediction, order, delivery, payment."""

    def __init__(self, stage: Stage, forecasts: Forecasts) -> None:
        self.stage = stage
        self.forecasts = forecasts
        self.twin = forecasts.engine.twin
        """The engine that joins the fleet."""
        self.token = ""
        """The part that is delivered."""
        self.fake = ""
        """A token that nobody minted, which is passed off as the part."""
        self.predicted = -1
        """The entry that placed the order."""

    def tell(self) -> None:
        """The engine's chapters, once the parties agree and a model is in use."""
        follower = Child(
            *("watch", "--url", self.stage.node.url, "--twin", self.twin, "--after", "-1", "--json"),
            *("--kind", "chain-event", "--kind", "prediction"),
            cwd=self.stage.folder,
        )
        try:
            self._predict(follower)
            self._deliver(follower)
            self._show()
            self._recover(follower)
        finally:
            follower.stop()

    # --- agreeing ---

    def agree(self) -> None:
        """The parties' chapter."""
        stage, story = self.stage, self.stage.story
        story.chapter("An operator and a supplier agree: what is predicted to fail is ordered, and paid by contract")
        supplier = stage.party("supplier-signer", SUPPLIER, es256=False)
        technician = stage.party("technician", TECHNICIAN)
        for can in (Capability.MAINTAIN, Capability.ATTEST):
            stage.grant(technician, can, self.twin)
        stage.grant(supplier, Capability.DESCRIBE, PART)
        keyring.write_secret(stage.folder / PASSWORD, b"no secret: this chain's money is worth nothing\n")
        self.supplier = stage.account("supplier")
        self.operator = stage.anchors_owner()
        story.line(
            f"The supplier's account, {shorten(self.supplier)}, is in a keystore of its own. It has no access to"
        )
        story.line("the node's folder: its commands reach the chain by JSON-RPC, with options that are shown as '…'.")
        stage.operator("chain", "transfer", self.supplier, "10", show=["more"])
        stage.operator("part", "accredit", self.supplier, show=["accredited"])
        self.token = token_name_of(self.supplier, SERIAL)
        stage.over_rpc(
            *("supplier", "part", "mint", NUMBER, SERIAL, "--twin", PART, "--leaf", self._birth(supplier)),
            show=["passport", "token"],
        )
        terms = TERMS.format(
            supplier=self.supplier, twin=self.twin, node=NODE, unit=UNIT, below=BELOW, coverage=COVERAGE,
            number=NUMBER, price=PRICE,
        )  # fmt: skip
        (stage.folder / "terms.toml").write_text(terms)
        stage.operator("agreement", "propose", "terms.toml", "--deposit", "1", show=["proposed"])
        stage.over_rpc("supplier", "agreement", "agree", "1", show=["holds"])
        stage.url(
            *("policy", "set", self.twin, "spare", "--agreement", "1", "--unit", UNIT, "--below", f"{BELOW:g}"),
            *("--coverage", f"{COVERAGE:g}", "--contracts", CONTRACTS, "--key", OPERATOR_PEM),
            show=["below"],
        )

    def _birth(self, supplier: Party) -> str:
        """State that the part was made; the statement's leaf hash."""
        properties: dict[str, Any] = {"partNumber": NUMBER, "serial": SERIAL}
        said = format_description(Description(lifecycle=Lifecycle.IN_SERVICE, set=properties))
        index = self.stage.state(supplier, PART, DESCRIPTION, said)
        self.stage.story.line(f"Entry {index}: the supplier states that it made {NUMBER} {SERIAL}.")
        return f"0x{hash_leaf(self.stage.log.entry(index)).hex()}"

    # --- the order ---

    def _predict(self, follower: Child) -> None:
        story, flights = self.stage.story, self.forecasts.flights
        story.chapter("A new engine wears, the node's forecasts say so, and the order places itself")
        half = len(flights) // 2
        self.forecasts.fly(half)
        index, early = self._prediction(json.loads(follower.wait_for('"prediction"'))["index"])
        story.line(f"{self.twin} has flown {half} times.")
        story.line(f"Entry {index}, signed by the node's forecasting: {words_of(early)}. No order is due.")
        self.forecasts.fly(len(flights))
        placed = json.loads(follower.wait_for('"OrderPlaced"'))["payload"]["args"]
        self.predicted, late = self._prediction(placed["index"])
        if not late.lower < BELOW <= early.lower:
            raise InternalError(f"the predictions do not tell wear: at least {early.lower} and {late.lower} cycles")
        story.line(f"It flies on. Entry {self.predicted}: {words_of(late)}. That is below {BELOW:g}.")
        story.line(f"The node's relay brought entry {self.predicted} to the contract, which checked its signature,")
        story.line("its place in the anchored log, and the terms.")
        story.line("Order 1-1 is placed, and nobody clicked.", passed=True)
        story.summary |= {
            "predicted_early": early.lower,
            "predicted_late": late.lower,
            "order": "1-1",
            "order_by_entry": self.predicted,
        }

    def _prediction(self, index: int) -> tuple[int, Prediction]:
        return index, parse_prediction(parse_statement(self.stage.log.entry(index)).payload)

    # --- delivery and payment ---

    def _deliver(self, follower: Child) -> None:
        stage, story = self.stage, self.stage.story
        story.chapter("The supplier delivers, a technician installs, and the proof of that releases the payment")
        until = str(int(time.time()) + 2 * HOUR)
        stage.over_rpc("supplier", "agreement", "accept", "1-1", show=["accepted, until"])
        self._counterfeit()
        stage.over_rpc("supplier", "part", "offer", self.token, self.operator, "--until", until, show=["offered"])
        stage.over_rpc("supplier", "agreement", "ship", "1-1", self.token, show=["shipped, until"])
        stage.operator("part", "accept", self.token, show=["yours"])
        stage.over_rpc("supplier", "agreement", "receive", "1-1", show=["received, until"])
        said = stage.url(
            *("tell", "installation", self.twin, "--part", self.token, "--order", "1-1", "--serial", SERIAL),
            *("--contracts", CONTRACTS, "--key", "technician.pem"),
            show=["by entry"],
        )
        entry = said.split("by entry ")[1].split(".")[0]
        stage.operator("anchor", "now", show=["anchored"])
        stage.operator("agreement", "confirm", "1-1", entry, show=["fulfilled", "price"])
        stage.over_rpc("supplier", "agreement", "withdraw", show=["withdrawn", "amount"])
        paid = json.loads(follower.wait_for('"OrderFulfilled"'))["payload"]["args"]["amount"]
        story.summary |= {"part": self.token, "installed_by_entry": int(entry), "paid": str(paid)}
        self._costs()

    def _recover(self, follower: Child) -> None:
        """After the overhaul the forecasts begin anew."""
        stage, story = self.stage, self.stage.story
        story.chapter("The engine was overhauled: the forecasts begin a new history, and the life left recovers")
        said = stage.url(
            *("tell", "attest", self.twin, "--type", OVERHAUL, "--text", f"{NUMBER} replaced, engine overhauled"),
            *("--key", "technician.pem"),
            show=["attested"],
        )
        flown = self.forecasts.fly_again()
        episode = said.split("digest")[1].split()[0]
        index, new = self._prediction(json.loads(follower.wait_for(episode))["index"])
        if new.episode != episode or new.lower < BELOW:
            raise InternalError(f"the life left did not recover: {words_of(new)}")
        story.line(f"It flies again; the data set has no overhaul, so these are its first {flown} flights once more.")
        story.line(f"Entry {index}: {words_of(new)}. It reads nothing from before the overhaul, which a replay checks.")
        story.line("The life left has recovered.", passed=True)
        story.summary["predicted_renewed"] = new.lower

    def _costs(self) -> None:
        """What the chain took for each step, and from whom."""
        stage, story = self.stage, self.stage.story
        story.line("What the steps have cost on the chain, in its coin, which is worth nothing here:")
        stage.operator("agreement", "costs", "1-1", show=["gas", "paid"])
        costs = stage.ask("agreement", "costs", "1-1", "--folder", NODE)
        story.summary |= {"chain_steps": len(costs["steps"]), "chain_gas": costs["gas"], "chain_cost": costs["cost"]}

    def _counterfeit(self) -> None:
        """Somebody else's part under the same number: it has no passport, and cannot be shipped."""
        stage, story = self.stage, self.stage.story
        self.fake = token_name_of(stage.account("workshop"), FAKE_SERIAL)
        story.line(f"But first it tries a cheaper {NUMBER}, {FAKE_SERIAL}, of a workshop that was never accredited:")
        leaf = f"0x{hash_leaf(b'').hex()}"
        minted = stage.over_rpc(
            *("workshop", "part", "mint", NUMBER, FAKE_SERIAL, "--twin", PART, "--leaf", leaf),
            expect=1,
            show=["refuses"],
        )
        shipped = stage.over_rpc("supplier", "agreement", "ship", "1-1", self.fake, expect=1, show=["refuses"])
        if "NotAccredited" not in minted or "ERC721NonexistentToken" not in shipped:
            raise InternalError(f"the counterfeit was refused for something else: {minted} {shipped}")

    def _show(self) -> None:
        stage, story = self.stage, self.stage.story
        story.line(f"$ twinproof twin show {self.twin} --json     (from statements of what contracts said)")
        raw = run_command("twin", "show", self.twin, "--url", stage.node.url, "--json", cwd=stage.folder)
        order = json.loads(raw)["orders"][0]
        names = ("chain", "contract", "order", "agreement", "state", "since", "token", "block", "position", "entry")
        told = dict(zip(names, order, strict=True))
        token = f"0x{hex_in(told['token'])}"
        since = f"{told['state']} since {utc(told['since'])}, by entry {told['entry']}"
        story.line(f"  order 1-1: {since}, with the part {shorten(token)}")
        if told["state"] != "fulfilled" or token != self.token:
            raise InternalError(f"the twin tells another story: {told}")
        story.summary |= {"order_state": told["state"], "state_by_entry": told["entry"]}


def words_of(said: Prediction) -> str:
    """A prediction in words."""
    return f"{said.lower:.0f} to {said.upper:.0f} cycles left ({said.coverage:.0%}), about {said.point:.0f}"


def hex_in(value: Any) -> str:
    """Bytes as JSON has them, in digits."""
    return b64decode(value["base64"]).hex()


def token_name_of(manufacturer: str, serial: str) -> str:
    """The token of a part, minted or not."""
    from twinproof.chain.hexadecimal import parse_address
    from twinproof.chain.parts import token_id_of

    return token_name(token_id_of(parse_address(manufacturer), NUMBER, serial))
