"""Fixtures of the chain's tests: a real node."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chain.anvil import BINARY, Anvil

# py_ecc, which the foreign implementations bring along, allows 100,000 nested calls to everything in this process;
# json then runs out of the C stack. It does so once, at its first import.
_LIMIT = sys.getrecursionlimit()
importlib.import_module("py_ecc")
sys.setrecursionlimit(_LIMIT)


def need_anvil() -> None:
    if not BINARY.is_file():
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI needs anvil at {BINARY}: npm ci in contracts/")
        pytest.skip(f"no anvil at {BINARY}: npm ci in contracts/")


@pytest.fixture(scope="module")
def shared_anvil() -> Iterator[Anvil]:
    """One node for a module's tests that only add to the chain."""
    need_anvil()
    node = Anvil()
    yield node
    node.close()


@pytest.fixture
def anvil() -> Iterator[Anvil]:
    """A fresh node."""
    need_anvil()
    node = Anvil()
    yield node
    node.close()


@pytest.fixture
def lasting_anvil(tmp_path: Path) -> Iterator[Anvil]:
    """A fresh node that keeps its chain in a file, so that it can be stopped and started."""
    need_anvil()
    node = Anvil(tmp_path / "anvil.json")
    yield node
    node.close()
