"""What is built: strict types, no Node.js in the sources, three libraries, one module that stays small."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.web.conftest import WEB

SOURCES = sorted((WEB / "verifier" / "src").rglob("*.ts"))
MAX_GZIP = 64 * 1024
"""Bytes of the verifier as one module, compressed."""


def test_types_are_strict(node: str) -> None:
    compiler = WEB / "node_modules" / "typescript" / "bin" / "tsc"
    done = subprocess.run([node, str(compiler), "--noEmit"], cwd=WEB, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_one_small_module(node: str, tmp_path: Path) -> None:
    path = tmp_path / "verifier.js"
    subprocess.run([node, str(WEB / "build.mjs"), str(path)], check=True, capture_output=True)
    data = path.read_bytes()
    assert not re.search(rb"(?<![\"'])\b(?:from|import)\s*[\"']|\brequire\(", data)
    assert len(gzip.compress(data, 9)) < MAX_GZIP


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_sources_run_anywhere(path: Path) -> None:
    """No module of Node.js, no clock, network or randomness, no `any`; imports are relative or of three libraries."""
    text = path.read_text()
    imported = set(re.findall(r'from "([^"]+)"', text))
    assert all(name.startswith(("./", "../", "@noble/")) for name in imported)
    assert not re.search(r"\bDate\b|\bMath\.random|\bfetch\b|\bprocess\b|\bBuffer\b|getRandomValues", text)
    assert not re.search(r"(?:: |as |<)any\b|@ts-", text)
    assert max(map(len, text.splitlines())) <= 140
    assert len(text.splitlines()) <= 600


def test_dependencies_are_locked_and_permissive() -> None:
    package = json.loads((WEB / "package.json").read_text())
    lock = json.loads((WEB / "package-lock.json").read_text())
    wanted = {**package["dependencies"], **package["devDependencies"]}
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in wanted.values())
    packages = {name: of for name, of in lock["packages"].items() if name}
    shipped = {of["license"] for of in packages.values() if not of.get("dev")}
    assert shipped <= {"MIT", "Apache-2.0", "ISC", "BSD-3-Clause", "0BSD", "Unlicense"}
    assert all(of["integrity"].startswith("sha512-") for of in packages.values())
    assert "resolved" not in (WEB / "package-lock.json").read_text()
