"""A node with an embedded chain and the parties of an agreement, made by commands alone."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cli.rig import TWIN, Cli
from twinproof.cli.speaker import state_it
from twinproof.twin.prediction import PREDICTION, Prediction, Read, format_prediction

PASSWORD = {"TWINPROOF_CHAIN_PASSWORD": "correct horse"}
PART_TWIN = "https://twin.example/blade/1"
FORECASTER = "https://twin.example/forecaster"
TECHNICIAN = "https://twin.example/technician"
LATER = "2100-01-01"


@dataclass(frozen=True)
class Parties:
    """The node, whose account is the operator's, and a supplier with a keystore and some coin."""

    cli: Cli
    node: Path
    supplier: Path
    supplier_address: str
    operator_address: str

    def operator_does(self, *words: object, code: int = 0) -> Any:
        return self.cli.json(*words, "--folder", self.node, code=code)

    def supplier_does(self, *words: object, code: int = 0) -> Any:
        return self.cli.json(*words, "--folder", self.node, "--account", self.supplier, code=code)

    def refused(self, *words: object, supplier: bool = False, code: int = 1) -> str:
        account = ("--account", self.supplier) if supplier else ()
        return self.cli.error(*words, "--folder", self.node, *account, code=code)["message"]

    def predict(self, lower: float, *, point: float = 60.0) -> int:
        """State a prediction about the twin; its index."""
        reads = (Read(FORECASTER, 0, 0, bytes(32)),)
        said = Prediction(lower, point, 90.0, 0.9, "{cycle}", bytes(32), reads)
        payload = format_prediction(said)
        return state_it(
            PREDICTION, TWIN, payload, folder=self.node, url=None, key_file=self.node / "forecaster.pem", issuer=None
        ).index

    def terms(self, **changes: str) -> Path:
        """A file of terms, made from the template."""
        text = self.cli("agreement", "template").stdout
        lines = {
            "supplier": f'"{self.supplier_address}"',
            "twins": f'["{TWIN}"]',
            "receive": '"1h"',
            **changes,
        }
        kept = []
        for line in text.splitlines():
            name = line.partition(" = ")[0].removeprefix("# ")
            kept.append(f"{name} = {lines[name]}" if name in lines else line)
        path = self.node / "terms.toml"
        path.write_text("\n".join(kept) + "\n")
        return path


def set_up(cli: Cli, node: Path) -> Parties:
    """Chain, contracts, grants, keys, a funded supplier."""
    cli("chain", "init", node)
    cli("chain", "deploy", "--folder", node)
    cli("chain", "enable", "--folder", node)
    for name, issuer, can in (("forecaster", FORECASTER, "predict"), ("technician", TECHNICIAN, "maintain")):
        cli("key", "new", node / f"{name}.pem", "--iss", issuer, "--es256")
        cli("grant", node / f"{name}.json", "--can", can, "--twin", TWIN, "--folder", node)
    supplier = node / "supplier.json"
    made = cli.json("chain", "account", "new", supplier, "--light")
    cli("chain", "transfer", made["account"], "10", "--folder", node)
    operator = cli.json("chain", "account", "show", "--folder", node)["account"]
    return Parties(cli, node, supplier, made["account"], operator)


def in_two_hours() -> int:
    return int(time.time()) + 7200
