"""The demonstration: a real run, with and without data."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.rig import Cli
from twinproof.cli.demo_chain import tell_chain


class Told:
    """What a chapter tells."""

    dataset = "FD001"
    port = "0"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.summary: dict[str, Any] = {}
        self.lines: list[str] = []

    def chapter(self, title: str) -> None:
        self.lines.append(title)

    def line(self, text: str = "", *, passed: bool | None = None) -> None:
        self.lines.append(text)

    def shell(self, *arguments: str, cwd: Path, expect: int = 0, show: Any = ()) -> str:
        raise AssertionError("no command is run")


def test_the_demo_runs_without_any_data(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = cli("demo", "--fast", "--keep", tmp_path / "demo").stdout
    for promised in (
        "simulated turbofans",
        "/console/#/signin?token=tp_",
        "got SIGKILL after",
        "each in the log exactly once",
        "VERIFIED: 26 statements",
        "acknowledged to the broker only once the log had them",
        "is the alarm, signed by the node itself",
        "refused by the log: revoked",
        "the Ed25519 signature does not verify",
        "anchored on a chain",
        "refused by the contract: BadConsistencyProof()",
        "to failure.",
        "nobody clicked",
        "order 1-1: fulfilled",
        "every bit the same",
        "5  A counterfeit part",
        "What to try next",
    ):
        assert promised in text
    kept = tmp_path / "demo"
    words = ("verify", kept / "auditor" / "engine.twinproof", "--policy", kept / "auditor" / "policy.txt")
    assert cli.json(*words)["verified"] is True
    assert cli.json("fsck", kept / "sound")["sound"] is True
    assert cli.json("fsck", kept / "node", code=1)["sound"] is False
    story = (kept / "auditor" / "story.twinproof", "--policy", kept / "auditor" / "policy.txt", "--replay")
    verified = cli.json("verify", *story, "--operator", kept / "auditor" / "operator.json")
    assert verified["verified"] is True
    kinds = {entry["kind"] for entry in verified["entries"]}
    assert {"columns", "prediction", "policy", "installation", "chain-event"} <= kinds
    assert cli.json("agreement", "show", "1", "--folder", kept / "sound")["orders"][0]["state"] == "fulfilled"

    guide = json.loads((kept / "sound" / "guide" / "guide.json").read_text())
    files = [guide["policy"], guide["sound"]["file"], *(lie["file"] for lie in guide["lies"] if "file" in lie)]
    assert {path.name for path in (kept / "sound" / "guide").iterdir()} == {"guide.json", *files}
    steps = {lie["id"]: lie["caught"]["step"] for lie in guide["lies"]}
    assert steps == {"altered": 4, "deleted": 8, "bent": "replay", "fork": 3, "counterfeit": "chain"}
    policy = ("--policy", kept / "sound" / "guide" / guide["policy"], "--block", guide["blocks"][0], "--replay")
    for lie in guide["lies"]:
        if "file" in lie:
            told = cli.json("verify", kept / "sound" / "guide" / lie["file"], *policy, code=1)
            assert told["failed"].get("step") == (None if lie["caught"]["step"] == "replay" else lie["caught"]["step"])


def test_the_demo_takes_real_data_and_sums_up(cli: Cli, shared: Path) -> None:
    summary = json.loads(cli("demo", "--fast", "--json", "--data", shared / "data" / "cmapss").stdout)
    assert summary["source"].startswith("NASA C-MAPSS FD001")
    assert summary["statements"] == 52
    assert summary["log_size"] == 57
    assert summary["past_state_proved"] is True
    assert 17 <= summary["killed_after"] <= 52
    assert summary["revoked_device_refused"] is True
    assert summary["forged_entry_named"] != summary["altered_entry_named"]
    assert summary["chain"] is True
    assert summary["anchored_entries"] == 113
    assert summary["fork_refused"] == "BadConsistencyProof()"
    assert summary["predicted_late"] < 30 <= summary["predicted_early"]
    assert summary["predicted_renewed"] > 30
    assert summary["order_by_entry"] < summary["installed_by_entry"] < summary["state_by_entry"]
    assert (summary["order"], summary["order_state"], summary["paid"]) == ("1-1", "fulfilled", str(5 * 10**17))
    assert (summary["chain_steps"], summary["chain_gas"] > 900_000) == (13, True)
    lies = summary["lies"]
    assert list(lies) == [
        "altered reading",
        "deleted statement",
        "forged forecast",
        "forecast that does not replay",
        "forked log",
        "counterfeit part",
    ]
    assert lies["altered reading"].startswith("entry ")
    assert lies["deleted statement"].startswith("the next one is ")
    assert lies["forged forecast"] == "BadSignature"


def test_without_the_chain_extra_the_demo_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "twinproof.chain.accounts", None)
    story = Told(tmp_path)
    tell_chain(story, "fleet.example/log0", "https://fleet.example/engine/1", {})
    assert story.summary == {"chain": False}
    assert "left out" in story.lines[0]
    assert "twinproof.chain.accounts" in story.lines[1]
    assert "pip install 'twinproof[all]'" in story.lines[2]
    assert list(tmp_path.iterdir()) == []


def test_the_demo_keeps_nothing_in_a_folder_that_is_used(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("")
    cli("demo", "--keep", tmp_path, code=2)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
