"""A device, its outbox and a log to deliver to, on a clock that stands still."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.edge.device import Device


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    made = Device(tmp_path)
    yield made
    made.close()


@pytest.fixture
def make_device(tmp_path: Path) -> Iterator[Callable[..., Device]]:
    made: list[Device] = []

    def make(**settings: Any) -> Device:
        made.append(Device(tmp_path, **settings))
        return made[-1]

    yield make
    for device in made:
        device.close()
