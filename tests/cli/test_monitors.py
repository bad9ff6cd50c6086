"""monitor: what is watched, learning it, cases that stand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.builders import MODEL
from tests.cli.rig import Cli
from tests.node.forecast_rig import twin
from tests.node.test_monitoring import TEMPLATE, Plant, planted, table
from twinproof.twin.alarm import RULE, Rule, Severity, Test, format_rule


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    with planted(tmp_path / "node") as made:
        made.describe(0)
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six twins, 60 healthy rows each, and nobody who serves them."""
    with planted(tmp_path / "node") as made:
        for number in range(6):
            made.describe(number)
            made.feed(table(60, seed=number, at=10**6), number, step=0.1)
    return tmp_path / "node"


def test_monitors_are_set_listed_and_removed(cli: Cli, folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "wear.json"
    file.write_text(json.dumps(TEMPLATE))
    made = cli.json("monitor", "set", MODEL, "wear", "--template", file, "--severity", "high", "--folder", folder)
    assert made["monitor"] == {**TEMPLATE, "detector": {"ewma": {"limit": 7}}}
    words = ("--signal", "a", "--signal", "b", "--detector", "mewma", "--severity", "low", "--text", "look", "--folder")
    cli("monitor", "set", MODEL, "both", *words, folder)
    listed = cli.json("monitor", "list", MODEL, "--folder", folder)
    assert [(each["id"], each["severity"], each["deadband"]) for each in listed] == [
        ("both", "low", 0.2),
        ("wear", "high", 0.2),
    ]
    text = cli("monitor", "list", MODEL, "--folder", folder).stdout
    assert "ewma on a, b; 30 rows of warm-up, 1 mode of failure; score over 1" in text
    assert "2 monitors" in text
    # An alarm rule is no monitor, and a monitor is no alarm rule that `alarm rule set` could state.
    assert len(cli.json("alarm", "rule", "list", MODEL, "--folder", folder)) == 2
    cli("monitor", "remove", MODEL, "wear", "--folder", folder)
    assert len(cli.json("monitor", "list", MODEL, "--folder", folder)) == 1
    assert "no monitor wear" in cli.error("monitor", "remove", MODEL, "wear", "--folder", folder, code=2)["message"]


def test_a_monitor_that_cannot_be_read_is_listed_with_the_others(cli: Cli, plant: Plant, tmp_path: Path) -> None:
    for name, document in (("empty", b"\xa0"), ("nonsense", b"\x81" * 99)):
        plant.say(MODEL, RULE, format_rule(Rule(name, "a", Test.STRAYS, 1.0, Severity.LOW, monitor=document)))
    plant.rule()
    listed = cli.json("monitor", "list", MODEL, "--folder", tmp_path / "node")
    assert [(each["id"], "problem" in each, each["monitor"] is None) for each in listed] == [
        ("empty", True, True), ("nonsense", True, True), ("wear", False, False),
    ]  # fmt: skip
    assert "cannot be read" in cli("monitor", "list", MODEL, "--folder", tmp_path / "node").stdout


def test_what_cannot_be_a_monitor_is_refused(cli: Cli, folder: Path, tmp_path: Path) -> None:
    target = ("--severity", "high", "--folder", folder)
    file = tmp_path / "wear.json"
    for content, message in (
        ("{", "no JSON"),
        ("[]", "no object"),
        ("{}", "monitor.signals"),
        (json.dumps({**TEMPLATE, "more": 1}), "unknown key"),
        (json.dumps({**TEMPLATE, "detector": {"ewma": {"limit": float("nan")}}}), "monitor.ewma.limit"),
    ):
        file.write_text(content)
        assert message in cli.error("monitor", "set", MODEL, "wear", "--template", file, *target, code=2)["message"]
    assert (
        "rule.test"
        in cli.error("monitor", "set", MODEL, "wear", "--signal", "a", "--limit", "0", *target, code=2)["message"]
    )
    cli("monitor", "set", MODEL, "wear", *target, code=2)
    assert "holds nothing about" in cli.error("monitor", "list", MODEL, "--folder", folder, code=2)["message"]


@pytest.mark.parametrize("detector", ["ewma", "cusum", "mewma", "t2q"])
def test_a_template_is_learnt_from_the_log_and_set(cli: Cli, folder: Path, tmp_path: Path, detector: str) -> None:
    file = tmp_path / "learnt.json"
    words = ("--signal", "a", "--signal", "b", "--cycle", "n", "--rows", 60, "--folder", folder, "-o", file)
    made = cli.json("monitor", "learn", MODEL, "--detector", detector, *words)
    assert (made["twins"], made["regimes"], made["detector"]) == (6, 1, detector)
    learnt = json.loads(file.read_text())
    assert learnt["units"] == {"a": "K", "b": "K"}
    assert learnt["cells"][0]["mean"] == pytest.approx([20, 20], abs=0.5)
    cli("monitor", "set", MODEL, "wear", "--template", file, "--severity", "high", "--folder", folder)
    cli("monitor", "learn", MODEL, *words, code=2)
    few = cli.error("monitor", "learn", MODEL, *words[:-4], "--rows", 20, *words[-4:-1], tmp_path / "x.json", code=2)
    assert "after their warm-up" in few["message"]


def test_cases_are_shown_by_rank_with_the_fleets(cli: Cli, plant: Plant, tmp_path: Path) -> None:
    node = tmp_path / "node"
    plant.rule()
    for number in range(6):
        plant.describe(number)
        plant.feed(table(60, seed=number, at=10**6), number, step=0.1)
    for number in range(3):
        plant.feed(table(15, seed=50 + number, at=0), number, step=0.1)
    plant.go()
    found = cli.json("monitor", "cases", "--folder", node)
    assert [(each["sub"], each["part_of"]) for each in found[:1]] == [(MODEL, None)]
    assert {each["sub"] for each in found[1:]} == {twin(0), twin(1), twin(2)}
    assert found[0]["fleet"] == {"strayed": 3, "twins": 6}
    assert found[1]["signals"][0]["name"] == "a"
    text = cli("monitor", "cases", "--folder", node).stdout
    assert "fleet-wide: 3 of 6 twins" in text
    assert "looks like worn" in text
    assert f"part of what {MODEL} does" in text
    assert "4 cases" in text
    assert "1 case\n" in cli("monitor", "cases", twin(1), "--folder", node).stdout


def test_enabling_twice_is_one_grant(cli: Cli, folder: Path) -> None:
    assert cli.json("monitor", "enable", "--folder", folder)["index"] is None
    assert "may state cases already" in cli("monitor", "enable", "--folder", folder).stdout
