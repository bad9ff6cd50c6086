"""From a bare node to a paid part, by commands alone, on the embedded chain."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.chain_rig import LATER, PART_TWIN, PASSWORD, in_two_hours, set_up
from tests.cli.rig import TWIN, Cli


def test_a_prediction_orders_a_part_that_is_paid_for(cli: Cli, node: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in PASSWORD.items():
        monkeypatch.setenv(name, value)
    us = set_up(cli, node)
    first = us.operator_does("anchor", "now")
    assert first["size"] == cli.json("log", "head", "--folder", node)["size"]

    us.operator_does("part", "accredit", us.supplier_address)
    token = us.supplier_does("part", "mint", "HPT-7", "SN-001", "--twin", PART_TWIN, "--entry", "2")["token"]

    made = us.operator_does("agreement", "propose", us.terms(), "--deposit", "0.1")
    assert made["agreement"] == 1
    assert "the supplier agrees first" in us.refused("agreement", "order", 1, 4)
    us.supplier_does("agreement", "agree", 1)
    us.operator_does("agreement", "deposit", 1, "0.9")
    assert us.operator_does("agreement", "show", 1)["free"] == str(10**18)

    early = us.predict(40.0)
    late = us.predict(20.0)
    assert "not anchored yet; do so with: twinproof anchor now" in us.refused("agreement", "order", 1, late, code=2)
    us.operator_does("anchor", "now")
    assert "no order is due" in us.refused("agreement", "order", 1, early)
    assert us.operator_does("agreement", "order", 1, late)["order"] == "1-1"
    assert "another party of the agreement" in us.refused("agreement", "accept", "1-1")
    assert us.supplier_does("agreement", "accept", "1-1")["state"] == "accepted"

    assert "offer the part to the operator" in us.refused("agreement", "ship", "1-1", token, supplier=True)
    us.supplier_does("part", "offer", token, us.operator_address, "--until", in_two_hours())
    assert us.supplier_does("agreement", "ship", "1-1", token)["part"] == token
    us.operator_does("part", "accept", token)
    assert us.operator_does("part", "show", token)["owner"] == us.operator_address
    assert us.supplier_does("agreement", "receive", "1-1")["state"] == "received"

    installed = cli.json(
        "tell", "installation", TWIN, "--part", token, "--order", "1-1", "--serial", "SN-001",
        "--key", node / "technician.pem", "--folder", node,
    )["index"]  # fmt: skip
    us.operator_does("anchor", "now")
    assert us.operator_does("agreement", "confirm", "1-1", installed)["price"] == str(5 * 10**17)
    assert us.operator_does("agreement", "show", "1-1")["state"] == "fulfilled"
    assert us.supplier_does("agreement", "owed")["amount"] == str(5 * 10**17)
    assert us.supplier_does("agreement", "withdraw")["amount"] == str(5 * 10**17)
    assert "twinproof agreement owed" in us.refused("agreement", "withdraw", supplier=True)
    costs = us.operator_does("agreement", "costs", "1-1")
    told = [(row["step"], row["role"]) for row in costs["steps"]]
    assert told == [
        ("make the passport", "supplier"),
        ("propose", "operator"),
        ("agree", "supplier"),
        ("anchor the prediction", "operator"),
        ("order by proof", "operator"),
        ("accept the order", "supplier"),
        ("offer the part", "supplier"),
        ("ship", "supplier"),
        ("take the part", "operator"),
        ("record the receipt", "supplier"),
        ("anchor the installation", "operator"),
        ("prove the installation", "operator"),
        ("withdraw", "supplier"),
    ]
    assert all(row["gas"] > 21_000 and int(row["cost"]) >= row["gas"] for row in costs["steps"])
    assert costs["gas"] == sum(row["gas"] for row in costs["steps"])
    assert costs["cost"] == str(sum(int(row["cost"]) for row in costs["steps"]))
    lines = cli("agreement", "costs", "1-1", "--folder", node).stdout.splitlines()
    assert lines[4].split()[:6] == ["order", "by", "proof", "operator", f"{costs['steps'][4]['gas']:,}", "gas"]
    assert lines[-2].split()[:3] == ["all", "steps", f"{costs['gas']:,}"]
    assert lines[-1].startswith("supplier paid 0.")
    events = [row["event"] for row in us.operator_does("part", "life", token)]
    assert events == ["Minted", "Offered", "HandedOver"]
    anchors = us.operator_does("anchor", "list")
    assert [row["size"] for row in anchors] == sorted(row["size"] for row in anchors)
    assert all(int(row["cost"]) == row["gas"] * (int(row["cost"]) // row["gas"]) for row in anchors)
    shown = cli("twin", "show", TWIN, "--folder", node).stdout
    assert "{cycle} left (90 %), about" in shown
    assert f"installed   {token[:10]}…" in shown
    assert us.operator_does("chain", "verify")["transactions"] > 20
    assert LATER
