"""A served node acts on a policy, and commands work on the same chain, account and outbox beside it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.cli.chain_rig import FORECASTER, Parties
from tests.cli.rig import TWIN, Cli
from twinproof.cli.demo_node import NodeProcess
from twinproof.cli.speaker import state_it
from twinproof.twin.prediction import PREDICTION, Prediction, Read, format_prediction

PATIENCE = 90.0
"""Seconds, on a machine that does other things, too."""


def until(ask: Callable[[], Any]) -> Any:
    """The first answer that is not empty; asking takes time enough between."""
    end = time.monotonic() + PATIENCE
    while not (found := ask()):
        assert time.monotonic() < end, "it does not come"
    return found


def test_a_policy_orders_while_commands_spend(parties: Parties, cli: Cli, serve: Callable[[Path], NodeProcess]) -> None:
    us = parties
    id_ = us.operator_does("agreement", "propose", us.terms(), "--deposit", "1")["agreement"]
    us.supplier_does("agreement", "agree", id_)
    us.operator_does(
        "policy", "set", TWIN, "spare", "--agreement", id_, "--unit", "{cycle}", "--below", 30, "--coverage", 0.9
    )
    # The forecaster's model is nowhere: its key alone decides.
    settings = us.node / "twinproof.toml"
    settings.write_text(settings.read_text().replace('replay = "required"', 'replay = "if-possible"'))
    node = serve(us.node)
    said = Prediction(20.0, 25.0, 30.0, 0.9, "{cycle}", bytes(32), (Read(FORECASTER, 0, 0, bytes(32)),))
    entry = state_it(
        PREDICTION, TWIN, format_prediction(said), folder=None, url=node.url, key_file=us.node / "forecaster.pem",
        issuer=None,
    ).index  # fmt: skip
    for _ in range(3):
        us.operator_does("chain", "transfer", us.supplier_address, "1gwei")
    us.operator_does("anchor", "now")
    (order,) = until(lambda: us.operator_does("agreement", "show", id_)["orders"])
    assert (order["prediction"], order["state"]) == (entry, "placed")
    us.supplier_does("agreement", "accept", order["order"])

    def told() -> bool:
        said = cli("twin", "history", TWIN, "--url", node.url, "--json").stdout
        return all(event in said for event in ("Proposed", "OrderPlaced", "OrderAccepted"))

    until(told)
    sizes = [row["size"] for row in us.operator_does("anchor", "list")]
    assert sizes == sorted(set(sizes))
    assert us.operator_does("chain", "verify")["transactions"] > 10
