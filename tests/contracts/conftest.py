"""A fresh world for each test, and the compiler for those that build."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.contracts.kit import World

CONTRACTS = Path(__file__).resolve().parents[2] / "contracts"


@pytest.fixture
def world() -> World:
    """A chain in memory with ten funded accounts and no contract."""
    return World()


@pytest.fixture(scope="session")
def compiler() -> list[str]:
    """The command that builds the contracts. Without Node.js its tests are skipped, and fail in CI."""
    node = shutil.which("node")
    if node and (CONTRACTS / "node_modules" / "solc").is_dir():
        return [node, str(CONTRACTS / "build.mjs")]
    missing = "the Solidity compiler is not there: install Node.js with npm, then `make test` sets it up"
    if os.environ.get("CI") == "true":
        pytest.fail(missing)
    pytest.skip(missing)
