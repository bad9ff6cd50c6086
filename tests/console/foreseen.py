"""A served node whose engines wear out: some run, some have ended, with the forecasts of a model trained on others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from tests.console.world import served
from tests.node.forecast_rig import Rig, opened, rows_of, twin
from tests.prognosis.fleets import wearing_fleet
from twinproof.twin.description import Lifecycle

RUNNING: Final = {0: 60, 1: 70, 2: 50}
"""Rows of engines in service."""
ENDED: Final = range(10, 14)


@dataclass(frozen=True)
class Foreseen:
    """The node, and where its console is."""

    rig: Rig
    url: str

    def link(self, route: str) -> str:
        return f"{self.url}/console/#{route}"

    def prognosis(self, number: int) -> str:
        """The address of an engine's tab."""
        return self.link(f"/twin/{quote(twin(number), safe='')}/prognosis")


@contextmanager
def foreseen_fleet(folder: Path) -> Iterator[Foreseen]:
    """A new node on a folder."""
    with opened(folder) as rig:
        for number in (*RUNNING, *ENDED):
            rig.describe(number)
        rig.promote()
        for number, rows in RUNNING.items():
            rig.read(number, *rows_of(number)[:rows])
        for number, unit in zip(ENDED, wearing_fleet(len(ENDED), seed=9).units, strict=True):
            rig.read(number, *unit.rows())
        assert rig.step()
        for number in ENDED:
            rig.describe(number, lifecycle=Lifecycle.RETIRED)
        rig.settle()
        with served(rig.live) as url:
            yield Foreseen(rig, url)
