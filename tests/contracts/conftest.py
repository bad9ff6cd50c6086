"""A fresh world for each test."""

from __future__ import annotations

import pytest

from tests.contracts.kit import World


@pytest.fixture
def world() -> World:
    """A chain in memory with ten funded accounts and no contract."""
    return World()
