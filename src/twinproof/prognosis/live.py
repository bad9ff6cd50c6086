"""Twins that come and go under one model: rows in, forecasts out, many twins at once.

A `FleetState` has a fixed number of twins; this keeps as many of them as are needed. Not safe to share between threads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from twinproof.errors import Malformed
from twinproof.prognosis.features import FleetState, Which
from twinproof.prognosis.quality import Forecast
from twinproof.prognosis.record import Row
from twinproof.prognosis.serve import Predictor

PAGE: Final = 1024
"""Twins in one `FleetState`."""


class LiveFleet:
    """States of twins by slot: a slot is taken once and never given back."""

    def __init__(self, predictor: Predictor, coverage: int = 900) -> None:
        """`coverage` is per mille; raises `Malformed` if the model has no such interval."""
        predictor.model.intervals.columns(coverage)
        self.predictor = predictor
        self._coverage = coverage
        self._pages: list[FleetState] = []
        self._slots = 0

    def __len__(self) -> int:
        return self._slots

    def add(self) -> int:
        """A slot for a twin that has no rows yet."""
        if self._slots == len(self._pages) * PAGE:
            self._pages.append(self.predictor.state(PAGE))
        self._slots += 1
        return self._slots - 1

    def renew(self, slot: int) -> None:
        """Forget all rows of a twin."""
        self._pages[slot // PAGE].renew(slot % PAGE)

    @property
    def kept_size(self) -> int:
        """Bytes that `keep` gives."""
        return sum(table.nbytes for page in self._pages for table in page.tables)

    def keep(self) -> Iterator[bytes]:
        """All states as this machine holds numbers, for `resume` by the same code on the same model."""
        for page in self._pages:
            for table in page.tables:
                yield table.tobytes()

    def resume(self, slots: int, data: memoryview) -> None:
        """Go on with so many slots as they were kept; only where nothing was added yet. Raises `Malformed`."""
        pages = [self.predictor.state(PAGE) for _ in range(-(-slots // PAGE))]
        if self._slots or sum(table.nbytes for page in pages for table in page.tables) != len(data):
            raise Malformed("states", "not as long as these slots take, or there are some already")
        at = 0
        for page in pages:
            for table in page.tables:
                table[...] = np.frombuffer(data[at : at + table.nbytes], dtype=table.dtype).reshape(table.shape)
                at += table.nbytes
        self._pages, self._slots = pages, slots

    def take(self, slots: Sequence[int], rows: Sequence[Row]) -> None:
        """One row each of different twins. Raises `Malformed` for a cycle that does not grow."""
        for page, places, which in self._parts(slots):
            found = [rows[place] for place in places]
            settings = np.array([row.settings for row in found], dtype=np.float64)
            signals = np.array([row.signals for row in found], dtype=np.float64)
            cycles = np.array([row.cycle for row in found], dtype=np.int64)
            page.take(which, cycles, settings.reshape(len(found), -1), signals)

    def forecasts(self, slots: Sequence[int]) -> list[Forecast]:
        """After the newest rows of these twins."""
        return [forecast for forecast, _ in self._told(slots, drivers=False)]

    def told(self, slots: Sequence[int]) -> list[tuple[Forecast, dict[str, float]]]:
        """The same, each with what drove it: signal -> by how much it moved the point."""
        return self._told(slots, drivers=True)

    def _told(self, slots: Sequence[int], *, drivers: bool) -> list[tuple[Forecast, dict[str, float]]]:
        answers: dict[int, tuple[Forecast, dict[str, float]]] = {}
        for page, places, which in self._parts(slots):
            found = self.predictor.now(page, which, self._coverage)
            driven = self.predictor.drivers(page, which, found) if drivers else [{}] * len(places)
            for at, place in enumerate(places):
                answers[place] = found.one(at), driven[at]
        return [answers[place] for place in range(len(slots))]

    def _parts(self, slots: Sequence[int]) -> Iterator[tuple[FleetState, list[int], Which]]:
        """Per page that is concerned: the places in `slots`, and the twins there."""
        by_page: dict[int, list[int]] = {}
        for place, slot in enumerate(slots):
            by_page.setdefault(slot // PAGE, []).append(place)
        for number, places in by_page.items():
            places.sort(key=slots.__getitem__)
            local = [slots[place] % PAGE for place in places]
            if local[-1] - local[0] == len(local) - 1:
                # Neighbours: a slice is quicker, and nothing of it is copied.
                yield self._pages[number], places, slice(local[0], local[-1] + 1)
            else:
                yield self._pages[number], places, np.array(local, dtype=np.int64)
