from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.log.rig import BACKENDS, Rig


@pytest.fixture(params=BACKENDS)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    """A log on each backend."""
    made = Rig(request.param, tmp_path)
    yield made
    made.close()


@pytest.fixture
def sqlite_rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig("sqlite", tmp_path)
    yield made
    made.close()
