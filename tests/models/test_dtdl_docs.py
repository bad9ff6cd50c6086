"""The examples of docs/dtdl.md run and print what they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from twinproof.models import dtdl

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "dtdl.md"


def test_examples(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```(python|text)\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert [kind for kind, _ in blocks] == ["python", "text"] * 2
    names: dict[str, object] = {}
    for (_, code), (_, printed) in zip(blocks[::2], blocks[1::2], strict=True):
        exec(compile(code, str(DOCUMENT), "exec"), names)  # noqa: S102 - our own documentation
        assert capsys.readouterr().out == printed


def test_every_rule_is_used_and_every_used_rule_is_listed() -> None:
    folder = Path(dtdl.__file__).parent
    code = "".join(path.read_text(encoding="utf-8") for path in folder.rglob("*.py") if path.name != "rules.py")
    literals = set(re.findall(r'"([a-z]+(?:-[a-z]+)*)"', code))
    assert set(dtdl.RULES) <= literals, set(dtdl.RULES) - literals
