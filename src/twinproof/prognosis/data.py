"""A fleet as arrays: units with run-to-failure or removal records.

What is refused here is what no rule could make sense of (`Malformed` that names unit and field):
shapes that do not fit, cycles that do not grow, a unit without rows. What a sensor does wrong (NaN,
stuck, other units) passes: `quality` says what becomes of it, in training and in service.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from twinproof.errors import Malformed
from twinproof.prognosis.record import MAX_CYCLE, Row

Array: TypeAlias = "npt.NDArray[np.float64]"
Integers: TypeAlias = "npt.NDArray[np.int64]"
Flags: TypeAlias = "npt.NDArray[np.bool_]"

FEWEST_FAILED: Final = 10
"""Assets with a known end, below which nothing is trained unless asked: intervals would be empty words."""


@dataclass(frozen=True, slots=True, eq=False)
class Unit:
    """One unit's record, oldest row first. Make it with `unit`, which checks."""

    id: str
    cycles: Integers
    """(rows,), growing."""
    settings: Array
    """(rows, settings): what the unit was asked to do."""
    signals: Array
    """(rows, signals): what its sensors said; NaN where they did not."""
    failed: bool
    """Whether the last row is the last before failure; otherwise it was removed, or still runs."""
    asset: str
    """Units of one asset, such as its lives between overhauls, are alike: no fold parts them."""

    def __len__(self) -> int:
        return len(self.cycles)

    def remaining(self) -> Integers:
        """Cycles left after each row, of a failed unit."""
        left: Integers = self.cycles[-1] - self.cycles
        return left

    def head(self, rows: int) -> Unit:
        """The record as it was after so many rows; its end is not known yet."""
        return Unit(self.id, self.cycles[:rows], self.settings[:rows], self.signals[:rows], False, self.asset)

    def rows(self) -> Iterator[Row]:
        """For `replay`."""
        for cycle, settings, signals in zip(
            self.cycles.tolist(), self.settings.tolist(), self.signals.tolist(), strict=True
        ):
            yield Row(cycle, tuple(settings), tuple(signals))


def unit(
    id: str, cycles: npt.ArrayLike, settings: npt.ArrayLike, signals: npt.ArrayLike, failed: bool,
    asset: str | None = None,
) -> Unit:  # fmt: skip
    """A checked unit; without `asset` it is one of its own. Raises `Malformed`."""
    what = f"unit {id}"
    counted = _table(cycles, f"{what}.cycles")
    if counted.ndim != 1 or not len(counted):
        raise Malformed(f"{what}.cycles", "not a list of one cycle or more")
    if counted.dtype.kind not in "iu":
        raise Malformed(f"{what}.cycles", "not whole numbers")
    if int(counted.min()) < 0 or int(counted.max()) > MAX_CYCLE:
        raise Malformed(f"{what}.cycles", f"not in 0..{MAX_CYCLE}")
    numbers = counted.astype(np.int64)
    if wrong := np.flatnonzero(numbers[1:] <= numbers[:-1]).tolist():
        at = wrong[0]
        raise Malformed(f"{what}.cycles", f"{numbers[at + 1]} follows {numbers[at]}")
    tables = []
    for name, table in (("settings", settings), ("signals", signals)):
        values = _table(table, f"{what}.{name}").astype(np.float64)
        if values.ndim != 2 or len(values) != len(numbers):
            raise Malformed(f"{what}.{name}", f"not a table of {len(numbers)} rows")
        tables.append(values)
    return Unit(id, numbers, tables[0], tables[1], failed, id if asset is None else asset)


def _table(values: npt.ArrayLike, what: str) -> npt.NDArray[Any]:
    """A copy, so that nobody changes a record under a model."""
    try:
        table = np.array(values, order="C")
    except ValueError:
        raise Malformed(what, "not a table") from None
    if table.dtype.kind not in "iuf":
        raise Malformed(what, "not numbers")
    return table


@dataclass(frozen=True, slots=True, eq=False)
class Fleet:
    """Units with the same columns."""

    settings: tuple[str, ...]
    signals: tuple[str, ...]
    units: tuple[Unit, ...]
    codes: tuple[str | None, ...] | None = None
    """UCUM codes of the settings, then of the signals; None if they are not known."""

    def __post_init__(self) -> None:
        names = (*self.settings, *self.signals)
        if self.codes is not None and len(self.codes) != len(names):
            raise Malformed("fleet.codes", f"{len(self.codes)} for {len(names)} columns")
        if len(set(names)) != len(names):
            raise Malformed("fleet", "a column's name occurs twice")
        for each in self.units:
            if each.settings.shape[1] != len(self.settings) or each.signals.shape[1] != len(self.signals):
                raise Malformed(f"unit {each.id}", "its columns are not the fleet's")
        if len({each.id for each in self.units}) != len(self.units):
            raise Malformed("fleet", "a unit occurs twice")

    def take(self, units: Sequence[int]) -> Fleet:
        """Some of the units, by position."""
        return Fleet(self.settings, self.signals, tuple(self.units[at] for at in units), self.codes)

    def columns(self, settings: Sequence[str], signals: Sequence[str]) -> Fleet:
        """The same units with these columns, in this order: what a model wants. A signal that is not there is NaN.

        Raises `Malformed` for a setting that is not there: without it a regime would be guessed.
        """
        for name in settings:
            if name not in self.settings:
                raise Malformed("fleet.settings", f"there is no {name}")
        at = [self.settings.index(name) for name in settings]
        source = {name: number for number, name in enumerate(self.signals)}
        units = []
        for each in self.units:
            table = np.full((len(each), len(signals)), np.nan)
            for number, name in enumerate(signals):
                if name in source:
                    table[:, number] = each.signals[:, source[name]]
            chosen = np.ascontiguousarray(each.settings[:, at])
            units.append(Unit(each.id, each.cycles, chosen, table, each.failed, each.asset))
        if self.codes is None:
            return Fleet(tuple(settings), tuple(signals), tuple(units))
        known = dict(zip((*self.settings, *self.signals), self.codes, strict=True))
        codes = tuple(known.get(name) for name in (*settings, *signals))
        return Fleet(tuple(settings), tuple(signals), tuple(units), codes)


def by_unit(values: Array, units: Sequence[Unit]) -> list[Array]:
    """Rows of all units, one after the other, parted again."""
    ends = np.cumsum([len(each) for each in units])
    return np.split(values, ends[:-1])


def row_of(names: Sequence[str], values: Mapping[str, float]) -> tuple[float, ...]:
    """Values by name in a model's order; NaN where there is none."""
    return tuple(float(values.get(name, np.nan)) for name in names)
