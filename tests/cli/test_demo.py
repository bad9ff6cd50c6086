"""The demonstration: a real run, with and without data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.rig import Cli


def test_the_demo_runs_without_any_data(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = cli("demo", "--fast", "--keep", tmp_path / "demo").stdout
    for promised in (
        "simulated turbofans",
        "got SIGKILL after",
        "each in the log exactly once",
        "VERIFIED: 26 statements",
        "acknowledged to the broker only once the log had them",
        "is the alarm, signed by the node itself",
        "refused by the log: revoked",
        "the Ed25519 signature does not verify",
        "What to try next",
    ):
        assert promised in text
    kept = tmp_path / "demo"
    words = ("verify", kept / "auditor" / "engine.twinproof", "--policy", kept / "auditor" / "policy.txt")
    assert cli.json(*words)["verified"] is True
    assert cli.json("fsck", kept / "sound")["sound"] is True
    assert cli.json("fsck", kept / "node", code=1)["sound"] is False


def test_the_demo_takes_real_data_and_sums_up(cli: Cli, shared: Path) -> None:
    summary = json.loads(cli("demo", "--fast", "--json", "--data", shared / "data" / "cmapss").stdout)
    assert summary["source"].startswith("NASA C-MAPSS FD001")
    assert summary["statements"] == 52
    assert summary["log_size"] == 56
    assert summary["past_state_proved"] is True
    assert 17 <= summary["killed_after"] <= 52
    assert summary["revoked_device_refused"] is True
    assert summary["forged_entry_named"] != summary["altered_entry_named"]


def test_the_demo_keeps_nothing_in_a_folder_that_is_used(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("")
    cli("demo", "--keep", tmp_path, code=2)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
