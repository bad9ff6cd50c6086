"""docs/api.md against a run: its examples are asked for, its table of routes is the code's."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server.live_rig import Rig, live_rig
from twinproof.node.config import parse_config
from twinproof.node.oidc import ALGORITHMS
from twinproof.server.live_app import PARTS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "api.md"
EXAMPLE = re.compile(r"```http\nGET (\S+)\n\n(\d{3}) (\S+)\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with live_rig(tmp_path_factory.mktemp("docs") / "node") as made:
        yield made


def shown(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def test_the_examples_are_what_a_run_says(rig: Rig) -> None:
    """Set UPDATE_DOCS=1 to write them anew."""
    text = PAGE.read_text()
    assert len(EXAMPLE.findall(text)) >= 4

    def asked(found: re.Match[str]) -> str:
        answer = rig.client().get(found[1])
        head = f"{answer.status_code} {answer.headers['content-type']}"
        return f"```http\nGET {found[1]}\n\n{head}\n{shown(answer.json())}```"

    now = EXAMPLE.sub(asked, text)
    if os.environ.get("UPDATE_DOCS") == "1":
        PAGE.write_text(now)
    assert now == text


def test_the_table_lists_every_route() -> None:
    documented = set(re.findall(r"^\| `(?:GET|POST) ([^`?]+)", PAGE.read_text(), re.MULTILINE))
    assert documented == {path.removeprefix("POST ") for part in PARTS for path in part.RULES}


def test_settings_and_algorithms() -> None:
    text = PAGE.read_text()
    (block,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    parse_config({"origin": "twin.example/log0", **tomllib.loads(block)}, "docs")
    assert set(re.findall(r"\b(?:[RPE]S\d{3}|EdDSA)\b", text)) == ALGORITHMS
