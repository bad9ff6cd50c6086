"""The TypeScript verifier, built once for the session. Without Node.js its tests are skipped, and fail in CI."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

WEB = Path(__file__).resolve().parents[2] / "web"
Ask = Callable[..., list[Any]]


@pytest.fixture(scope="session")
def node() -> str:
    """The command that runs Node.js, where the packages of web/ are there too."""
    found = shutil.which("node")
    if found and (WEB / "node_modules" / "esbuild").is_dir():
        return found
    missing = "the packages of web/ are not there: install Node.js with npm, then `make test` sets them up"
    if os.environ.get("CI") == "true":
        pytest.fail(missing)
    pytest.skip(missing)


@pytest.fixture(scope="session")
def module(node: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The verifier with what the tests ask of its parts, as one ES module."""
    path = tmp_path_factory.mktemp("web") / "probe.mjs"
    command = [node, str(WEB / "build.mjs"), str(path), "verifier/test/probe.ts"]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return path


@pytest.fixture(scope="session")
def ask(node: str, module: Path, tmp_path_factory: pytest.TempPathFactory) -> Ask:
    """Give cases to one Node.js process (web/verifier/test/run.mjs) and get its answers; a defect fails the test."""

    def call(cases: Sequence[dict[str, Any]], **settings: Any) -> list[Any]:
        file = tmp_path_factory.mktemp("cases") / "cases.json"
        file.write_text(json.dumps({"settings": settings, "cases": cases}))
        command = [node, str(WEB / "verifier" / "test" / "run.mjs"), str(module), str(file)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        # JavaScript writes large doubles without a point; its integers travel as text.
        answers: list[Any] = json.loads(done.stdout, parse_int=float)
        assert len(answers) == len(cases)
        defects = [answer["defect"] for answer in answers if type(answer) is dict and "defect" in answer]
        assert defects == []
        return answers

    return call
