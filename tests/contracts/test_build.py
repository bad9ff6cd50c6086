"""The checked-in artefacts are what the locked compiler makes of the sources, and fit into a chain."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.contracts.kit import HARNESSES
from twinproof.chain.abi import Artifact, artifact_names

REPOSITORY = Path(__file__).resolve().parents[2]
CONTRACTS = REPOSITORY / "contracts"
ARTIFACTS = REPOSITORY / "src" / "twinproof" / "chain" / "artifacts"
SOURCES = sorted((CONTRACTS / "src").glob("*.sol")) + sorted((CONTRACTS / "test").glob("*.sol"))
MAX_CODE = 24_576
"""Bytes of a contract (EIP-170)."""


def built(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text("utf-8") for path in sorted(folder.glob("*.json"))}


def test_a_build_gives_the_checked_in_artefacts(compiler: list[str], tmp_path: Path) -> None:
    subprocess.run([*compiler, "--out", str(tmp_path)], check=True, capture_output=True, text=True)
    fresh, kept = built(tmp_path), built(ARTIFACTS) | built(HARNESSES)
    assert fresh.keys() == kept.keys(), "run make contracts"
    assert [name for name in fresh if fresh[name] != kept[name]] == [], "run make contracts"


def test_debug_files_hold_the_same_code(compiler: list[str], tmp_path: Path) -> None:
    subprocess.run([*compiler, "--out", str(tmp_path), "--debug", "Rfc9162Harness"], check=True, capture_output=True)
    found = json.loads((tmp_path / "Rfc9162Harness.json").read_text("utf-8"))
    assert found["bytecode"] == json.loads((HARNESSES / "Rfc9162Harness.json").read_text("utf-8"))["bytecode"]
    assert found["debug"]["deployedBytecode"]["sourceMap"]
    assert found["debug"]["sources"]["src/Rfc9162.sol"]["ast"]["nodeType"] == "SourceUnit"


@pytest.mark.parametrize("arguments", [["NoSuchContract"], ["--debug"], ["--no-such-option"]], ids=" ".join)
def test_a_wrong_call_of_the_build_fails(compiler: list[str], arguments: list[str]) -> None:
    result = subprocess.run([*compiler, *arguments], capture_output=True, text=True)
    assert result.returncode != 0
    assert result.stderr


def test_a_warning_fails_the_build(compiler: list[str], tmp_path: Path) -> None:
    # In a copy, because the sources are everybody's.
    copy = tmp_path / "contracts"
    (copy / "src").mkdir(parents=True)
    (copy / "test").mkdir()
    (copy / "node_modules").symlink_to(CONTRACTS / "node_modules")
    (copy / "build.mjs").write_text((CONTRACTS / "build.mjs").read_text("utf-8"))
    head = "// SPDX-License-Identifier: Apache-2.0\npragma solidity 0.8.37;\n"
    function = "    function f(uint256 {0}) external pure returns (uint256) {{ return 1; }}\n"
    for name, parameter in (("Warned", "unused"), ("Fine", "")):
        (copy / "src" / f"{name}.sol").write_text(f"{head}contract {name} {{\n{function.format(parameter)}}}\n")
    command = [compiler[0], str(copy / "build.mjs"), "--out", str(tmp_path / "out")]
    result = subprocess.run([*command, "Warned"], capture_output=True, text=True)
    assert (result.returncode, "Unused function parameter" in result.stderr) == (1, True)
    assert not (tmp_path / "out").exists()
    subprocess.run([*command, "Fine"], check=True, capture_output=True)
    assert list(built(tmp_path / "out")) == ["Fine.json"]


@pytest.mark.parametrize("name", artifact_names())
def test_each_contract_fits_into_a_block(name: str) -> None:
    artifact = Artifact.load(name)
    assert 0 < len(artifact.deployed_bytecode) <= MAX_CODE
    assert len(artifact.bytecode) <= 2 * MAX_CODE
    settings = json.loads((ARTIFACTS / f"{name}.json").read_text("utf-8"))
    assert settings["compiler"].startswith("0.8.37+commit.")
    assert settings["settings"]["evmVersion"] == "cancun"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_each_source_says_its_licence_and_compiler(path: Path) -> None:
    assert path.read_text("utf-8").startswith("// SPDX-License-Identifier: Apache-2.0\npragma solidity 0.8.37;\n")


@pytest.mark.parametrize("path", sorted((CONTRACTS / "src").glob("*.sol")), ids=lambda path: path.stem)
def test_what_is_public_is_documented(path: Path) -> None:
    lines = path.read_text("utf-8").splitlines()
    outward = re.compile(r"\s*(function|event|error|contract|library|interface|abstract contract)\s+\w+")
    bare = []
    for number, line in enumerate(lines):
        if not outward.match(line) or "private" in line:
            continue
        signature = " ".join(lines[number : number + 9]).split("{")[0].split(";")[0]
        if (
            "private" not in signature
            and "override" not in signature
            and not lines[number - 1].lstrip().startswith("///")
        ):
            bare.append(f"{path.name}:{number + 1}: {line.strip()}")
    assert bare == []


def test_the_lock_holds_no_download_address() -> None:
    lock = json.loads((CONTRACTS / "package-lock.json").read_text("utf-8"))
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert [name for name, entry in packages.items() if "resolved" in entry or "integrity" not in entry] == []
