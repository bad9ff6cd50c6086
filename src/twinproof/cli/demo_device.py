"""The demonstration's devices: what runs on an engine."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from twinproof.cli.demo_forecast import FIRST_FLIGHT
from twinproof.cli.fleet import DAY, MODEL, Engine
from twinproof.edge.outbox import Outbox
from twinproof.edge.recorder import Recorder
from twinproof.edge.sinks import HttpSink
from twinproof.errors import TwinproofError
from twinproof.exchange.cmapss.layout import Snapshot, snapshot_payload
from twinproof.proof.note import VerifierKey
from twinproof.twin.description import Lifecycle

DELIVERY: Final = 120.0
"""Seconds within which the devices must have delivered, the crash included."""


class Device:
    """A device on an engine, with a thread of its own: signs each flight, keeps it in its outbox, delivers."""

    def __init__(
        self,
        engine: Engine,
        flights: Sequence[Snapshot],
        dataset: str,
        url: str,
        path: Path,
        log_keys: Sequence[VerifierKey],
    ) -> None:
        """`path` is its outbox."""
        self._engine = engine
        self._flights = flights
        self._dataset = dataset
        self._url = url
        self._path = path
        self._log_keys = log_keys
        self._thread = threading.Thread(target=self._run, name=f"engine {engine.unit}", daemon=True)
        self.acknowledged = 0
        """Statements that the log acknowledged."""
        self.problems: list[TwinproofError] = []

    def start(self) -> None:
        """Begin to fly."""
        self._thread.start()

    def finish(self) -> None:
        """Wait until all is delivered."""
        self._thread.join(DELIVERY)

    def _run(self) -> None:
        engine = self._engine
        with Outbox(self._path) as outbox, closing(HttpSink(self._url)) as sink:
            recorder = Recorder(
                engine.key,
                engine.card.issuer,
                outbox,
                sink,
                log_keys=self._log_keys,
                on_problem=self.problems.append,
            )
            stream = recorder.twin(engine.twin)
            properties: dict[str, Any] = {"dataset": self._dataset, "unit": engine.unit}
            stream.describe(model=MODEL, lifecycle=Lifecycle.IN_SERVICE, set=properties)
            for number, row in enumerate(self._flights):
                stream.say(*snapshot_payload(row, FIRST_FLIGHT + number * DAY))
                if number % 8 == 0:
                    self.acknowledged += recorder.pump().delivered
            while outbox.undelivered_bytes:
                pumped = recorder.pump()
                self.acknowledged += pumped.delivered
                if outbox.undelivered_bytes:
                    time.sleep(min(pumped.wait, 1.0))
