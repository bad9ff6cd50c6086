"""The demonstration's forecasts: a model learns from engines that ran to their end, while other chapters go on."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Final

from twinproof.cli.demo_node import run_command
from twinproof.cli.demo_stage import NODE, OPERATOR_PEM, Stage
from twinproof.cli.fleet import MODEL, Engine, Fleet
from twinproof.cli.output import count
from twinproof.cli.target import read_authority
from twinproof.edge.sinks import HttpSink
from twinproof.errors import InternalError, TwinproofError
from twinproof.exchange.cmapss.layout import Snapshot
from twinproof.node import keyring

BASE: Final = "https://fleet.example/engine/"
FIRST_FLIGHT: Final = 1_199_145_600
"""2008-01-01: the data set holds no times."""
EVERY: Final = 20
"""Flights from one prediction to the next."""
SETTINGS: Final = ("altitude", "mach", "TRA")
"""Readings that say what an engine was asked to do."""
TRAINING: Final = 120.0
"""Seconds that it may take."""
_EVERY_ROWS = re.compile(r"^every_rows = \d+$", re.MULTILINE)


class Forecasts:
    """Learns from all engines of `history` but the first, which is the one that joins the fleet afterwards."""

    def __init__(self, stage: Stage, origin: str, history: Mapping[int, Sequence[Snapshot]]) -> None:
        self._stage = stage
        self._origin = origin
        self.unit, *others = history
        self.flights = history[self.unit]
        self._others = {unit: history[unit] for unit in others}
        self._thread = threading.Thread(target=self._learn, name="training", daemon=True)
        self._told = ""
        self._problem: TwinproofError | None = None

    @property
    def engine(self) -> Engine:
        """The engine that joins."""
        return self._fleet.engine(self.unit)

    def enable(self) -> None:
        """Give the node its key for predictions, and let it predict every `EVERY` flights; while it is down."""
        self._stage.operator("predictor", "enable", show=["may state"])
        settings = self._stage.folder / NODE / "twinproof.toml"
        settings.write_text(_EVERY_ROWS.sub(f"every_rows = {EVERY}", settings.read_text()))

    def start(self) -> None:
        """Begin, beside the chapters that follow."""
        stage = self._stage
        sink = stage.stack.enter_context(closing(HttpSink(stage.node.url)))
        self._fleet = Fleet(sink, stage.story.dataset, BASE, FIRST_FLIGHT, stage.folder / "devices")
        operator = keyring.read_private_key(stage.folder / OPERATOR_PEM)
        self._fleet.grant(operator, read_authority(stage.log), self._origin, [self.unit, *self._others])
        older = count(len(self._others), "older engine")
        stage.story.line(f"Meanwhile {older} bring their records, for a model to learn from.")
        self._thread.start()

    def _learn(self) -> None:
        stage = self._stage
        try:
            self._fleet.deliver(self._others, lambda done, total: None)
            settings = [word for name in SETTINGS for word in ("--setting", name)]
            self._told = run_command(
                *("train", MODEL, "--folder", NODE, "--cycle", "cycle", *settings, "--failed-at-end", "--quick"),
                *("--folds", "2", "--promote", "--url", stage.node.url, "--key", OPERATOR_PEM),
                cwd=stage.folder,
            )
        except TwinproofError as problem:
            self._problem = problem

    def tell(self) -> None:
        """What was learnt; raises what went wrong."""
        story = self._stage.story
        story.chapter("A model has learnt from engines that ran to their end, and is in use by a statement in the log")
        self._thread.join(TRAINING)
        if self._problem is not None:
            raise self._problem
        if self._thread.is_alive() or "active" not in self._told:
            raise InternalError(f"training did not end well: {self._told}")
        story.line(f"$ twinproof train {MODEL} --quick --promote …")
        for line in self._told.splitlines():
            if line.strip():
                story.line(f"  {line}")

    def fly(self, last: int) -> None:
        """Deliver the joining engine's flights up to number `last`; what is there is not sent again."""
        self._fleet.deliver({self.unit: self.flights[:last]}, lambda done, total: None)

    def fly_again(self) -> int:
        """Deliver the first flights once more, as those that follow; how many."""
        flown = self.flights[-1].cycle
        again = [flight._replace(cycle=flown + flight.cycle) for flight in self.flights[:EVERY]]
        self._fleet.deliver({self.unit: [*self.flights, *again]}, lambda done, total: None)
        return len(again)
