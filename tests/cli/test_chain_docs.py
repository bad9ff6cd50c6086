"""The first steps of docs/chain.md do what the page shows."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.rig import Cli
from tests.cli.test_docs import FENCE

PAGE = Path(__file__).resolve().parents[2] / "docs" / "chain.md"


def masked(text: str) -> list[str]:
    """Without what differs from run to run: hashes, times, gas and fees."""
    text = re.sub(r"\b[0-9a-f]{64}\b", "HASH", re.sub(r"0x[0-9a-fA-F]{40,64}", "HEX", text))
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:]+Z", "TIME", text)
    return re.sub(r"[\d.,]+ coins|\d\d,\d{3}", "N", text).split("\n")


def test_the_first_steps_show_what_the_page_shows(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fences = FENCE.findall(PAGE.read_text())
    ((place, script),) = [
        (n, block) for n, (lang, block) in enumerate(fences) if lang == "sh" and "chain verify" in block
    ]
    language, shown = fences[place + 1]
    assert language == "text"
    monkeypatch.chdir(tmp_path)
    commands = [line.removeprefix("twinproof ").split() for line in script.splitlines()]
    said = [cli(*words).stdout for words in commands]
    assert masked("".join(said[1:])) == masked(shown)


def test_the_genesis_is_json_with_what_the_contracts_need() -> None:
    (genesis,) = [json.loads(block) for language, block in FENCE.findall(PAGE.read_text()) if language == "json"]
    assert genesis["genesis"]["config"]["cancunTime"] == 0
    assert genesis["blockchain"]["nodes"]["count"] == 4
