"""alarm: rules, alarms that stand, answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.rig import ORIGIN, TWIN, Cli
from twinproof.node.automation import Automation, automation_key
from twinproof.node.live import open_live

MODEL = "dtmi:example:pump;1"


def hot(node: Path, *more: object, about: str = TWIN) -> tuple[object, ...]:
    words = ("--signal", "inlet.T", "--test", "above", "--limit", 20.2, "--severity", "high", "--folder", node)
    return ("alarm", "rule", "set", about, "hot", *words, *more)


@pytest.fixture
def raised(cli: Cli, node: Path) -> Path:
    """The node, with the alarm `hot` of TWIN raised by the automation."""
    cli("alarm", "enable", "--folder", node)
    cli(*hot(node))
    cli("record", "--key", node / "pump7.pem", "--twin", TWIN, "--folder", node, "inlet.T=25[Cel]")
    with open_live(node) as live:
        automation = Automation(live.node, live.feed, live.states, automation_key(node, ORIGIN))
        assert automation.step(), automation.problem
    return node


def test_rules_are_set_listed_and_removed(cli: Cli, node: Path) -> None:
    made = cli.json(*hot(node, "--deadband", 2, "--delay-on", 30, "--text", "open the valve"))
    assert (made["index"], made["about"]) == (5, TWIN)
    (listed,) = cli.json("alarm", "rule", "list", TWIN, "--folder", node)
    assert listed == {
        "entry": 5, "id": "hot", "signal": "inlet.T", "test": {"above": 20.2}, "severity": "high", "deadband": 2.0,
        "delay_on": 30, "delay_off": 0, "text": "open the valve",
    }  # fmt: skip
    assert (
        "inlet.T above 20.2, deadband 2, on after 30 s" in cli("alarm", "rule", "list", TWIN, "--folder", node).stdout
    )
    cli(*hot(node, about=MODEL))
    assert len(cli.json("alarm", "rule", "list", MODEL, "--folder", node)) == 1
    cli("alarm", "rule", "remove", TWIN, "hot", "--folder", node)
    assert cli.json("alarm", "rule", "list", TWIN, "--folder", node) == []
    assert "no rule hot" in cli.error("alarm", "rule", "remove", TWIN, "hot", "--folder", node, code=2)["message"]


def test_bad_rules_are_refused_before_anything_is_signed(cli: Cli, node: Path) -> None:
    assert "deadbands are positive" in cli.error(*hot(node, "--deadband", -1), code=2)["message"]
    assert "rule.delay_on" in cli.error(*hot(node, "--delay-on", -1), code=2)["message"]
    assert "rule.test" in cli.error(*hot(node, "--limit", "nan"), code=2)["message"]
    assert cli.json("log", "head", "--folder", node)["size"] == 5


def test_whose_key_it_is(cli: Cli, node: Path) -> None:
    assert cli.error(*hot(node, "--key", node / "pump7.pem"), code=1)["code"] == "out-of-scope"
    cli("key", "new", node / "stranger.pem", "--iss", "urn:example:stranger")
    assert cli.error(*hot(node, "--key", node / "stranger.pem"), code=1)["code"] == "unknown-signer"
    cli("key", "new", node / "shift.pem", "--iss", "urn:example:shift")
    cli("grant", node / "shift.json", "--can", "operate", "--twin", TWIN, "--folder", node)
    cli(*hot(node, "--key", node / "shift.pem", "--iss", "urn:example:shift"))
    history = cli("twin", "history", TWIN, "--folder", node).stdout
    assert "rule" in history.splitlines()[-1]
    assert "urn:example:shift" in history.splitlines()[-1]


def test_an_alarm_is_listed_acknowledged_and_shelved(cli: Cli, raised: Path) -> None:
    (row,) = cli.json("alarm", "list", TWIN, "--folder", raised)
    assert (row["rule"], row["state"], row["severity"], row["value"]) == ("hot", "unacknowledged", "high", 25)
    cli("alarm", "acknowledge", TWIN, "hot", "--text", "seen", "--folder", raised)
    assert cli.json("alarm", "list", TWIN, "--folder", raised)[0]["state"] == "acknowledged"
    cli("alarm", "shelve", TWIN, "hot", "--until", "2099-01-01", "--folder", raised)
    assert "shelved until 2099-01-01T00:00:00Z  25" in cli("alarm", "list", TWIN, "--folder", raised).stdout
    cli("alarm", "unshelve", TWIN, "hot", "--folder", raised)
    assert cli.json("alarm", "list", TWIN, "--folder", raised)[0]["state"] == "acknowledged"


def test_what_does_not_stand_is_not_answered(cli: Cli, node: Path) -> None:
    for word in ("acknowledge", "unshelve"):
        assert "no alarm hot" in cli.error("alarm", word, TWIN, "hot", "--folder", node, code=2)["message"]
    assert cli.json("alarm", "shelve", TWIN, "hot", "--until", "2099-01-01", "--folder", node)["index"] == 5


def test_enable_is_said_once(cli: Cli, node: Path) -> None:
    assert cli.json("alarm", "enable", "--folder", node)["index"] == 5
    assert "already" in cli("alarm", "enable", "--folder", node).stdout
    (given,) = [g for g in cli.json("grants", "--folder", node) if g["iss"] == f"https://{ORIGIN}#automation"]
    assert (given["can"], given["scope"]) == (["predict"], {"prefix": ""})


def test_the_operators_card_grants_the_same(cli: Cli, node: Path) -> None:
    automation_key(node, ORIGIN)
    cli("grant", node / "automation.json", "--can", "predict", "--prefix", "", "--folder", node)
    assert cli.json("alarm", "enable", "--folder", node)["index"] is None
