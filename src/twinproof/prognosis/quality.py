"""What is said about the readings behind a forecast: remarks, and the verdict that follows from them.

No forecast goes without it. Rules (limits come from the model, so a replay judges as the first run did):

| input                                       | what is done                         | remark         | verdict |
|---------------------------------------------|--------------------------------------|----------------|---------|
| a sensor is missing, NaN or infinite        | its last good value is held          | held           | marked  |
| it repeats one value for too long           | the same                             | stuck, held    | marked  |
| it is far outside all training data (other  | the same                             | outlier, held  | marked  |
| units of measure, a broken wire)            |                                      |                |         |
| any of these for more than `hold` rows      | still held; 0, the mean, if it never | lost           | widened |
|                                             | said anything                        |                |         |
| more than a third of the sensors lost       | no forecast                          | blind          | refused |
| operating settings of no known regime       | the row is left out, but for the age | unknown-regime | marked  |
| the same for more than `hold` rows on end   | no forecast                          | regime-lost    | refused |
| a few cycles are missing                    | rows are taken as they come          | gap            | marked  |
| more than `gap` are: the clock jumped       | the same; said for `settle` rows     | jump           | widened |
| a cycle number that does not grow           | `Malformed`, nothing changes         |                | refused |
| older than any training unit                | as usual                             | old            | widened |
| fewer than `short` rows                     | as usual                             | short          | marked  |
| fewer than `minimum` rows                   | no forecast                          | too-short      | refused |
| the upper bound is the cap                  | it means "the cap or more"           | horizon        | good    |

Widened: both distances from the point are multiplied by the model's factor; no coverage is claimed any more.
Refused: the three numbers are NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

HELD: Final = 1 << 0
LOST: Final = 1 << 1
STUCK: Final = 1 << 2
OUTLIER: Final = 1 << 3
GAP: Final = 1 << 4
JUMP: Final = 1 << 5
UNKNOWN_REGIME: Final = 1 << 6
SHORT: Final = 1 << 7
OLD: Final = 1 << 8
HORIZON: Final = 1 << 9
BLIND: Final = 1 << 10
TOO_SHORT: Final = 1 << 11
REGIME_LOST: Final = 1 << 12

NAMES: Final = {
    HELD: "held",
    LOST: "lost",
    STUCK: "stuck",
    OUTLIER: "outlier",
    GAP: "gap",
    JUMP: "jump",
    UNKNOWN_REGIME: "unknown-regime",
    SHORT: "short",
    OLD: "old",
    HORIZON: "horizon",
    BLIND: "blind",
    TOO_SHORT: "too-short",
    REGIME_LOST: "regime-lost",
}

REFUSING: Final = BLIND | TOO_SHORT | REGIME_LOST
WIDENING: Final = LOST | JUMP | OLD
DRIVERS: Final = 5
"""Signals at most whose part in a forecast is told."""

MARKING: Final = HELD | STUCK | OUTLIER | GAP | UNKNOWN_REGIME | SHORT


class Verdict(Enum):
    """What the readings allow."""

    GOOD = "good"
    MARKED = "marked"
    """Something is worth knowing; the coverage still stands."""
    WIDENED = "widened"
    """The interval was stretched; its coverage is not claimed."""
    REFUSED = "refused"
    """There are no numbers."""


def verdict(remarks: int) -> Verdict:
    """The verdict that the bits of `remarks` lead to."""
    if remarks & REFUSING:
        return Verdict.REFUSED
    if remarks & WIDENING:
        return Verdict.WIDENED
    if remarks & MARKING:
        return Verdict.MARKED
    return Verdict.GOOD


@dataclass(frozen=True, slots=True)
class Quality:
    """What comes with every forecast."""

    remarks: int
    """Bits, as above."""
    sensors: tuple[str, ...] = ()
    """Sensors whose newest value was not usable."""

    @property
    def verdict(self) -> Verdict:
        return verdict(self.remarks)

    @property
    def names(self) -> tuple[str, ...]:
        """The remarks in words."""
        return tuple(name for bit, name in NAMES.items() if self.remarks & bit)


@dataclass(frozen=True, slots=True)
class Forecast:
    """Remaining useful life of one twin, at its newest row. Unit and cap are the model's."""

    lower: float
    point: float
    upper: float
    """All NaN if refused."""
    coverage: float
    """Nominal probability that the interval holds what will happen, as far as it is below the cap."""
    quality: Quality
