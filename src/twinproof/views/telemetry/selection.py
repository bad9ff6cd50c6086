"""What a query is about, and the SQL condition that says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from twinproof.errors import Malformed
from twinproof.views.telemetry.batch import ROWS, Names


@dataclass(frozen=True, slots=True)
class Selection:
    """Readings of some twins and signals in a span of time. Raises `Malformed` naming the field."""

    subjects: str | Sequence[str] | None = None
    """IRIs of twins; None for all."""
    signals: str | Sequence[str] | None = None
    """Names of signals; None for all."""
    start: float | None = None
    """Seconds since 1970, included."""
    end: float | None = None
    """Seconds since 1970, excluded."""
    as_of: int | None = None
    """A log index: only what the log said up to and with this entry."""

    def __post_init__(self) -> None:
        for field, time in (("start", self.start), ("end", self.end)):
            if time is not None and not isfinite(time):
                raise Malformed(field, "is not a finite number of seconds")
        if self.start is not None and self.end is not None and self.end < self.start:
            raise Malformed("end", f"{self.end} is before start {self.start}")
        if self.as_of is not None and not 0 <= self.as_of < 1 << 47:
            raise Malformed("as_of", "is no log index")

    def where(self, names: Names) -> str | None:
        """The condition on `points`; None if no such twin or signal is known. Every number in it is ours or checked."""
        terms = ["true"]
        if self.subjects is not None:
            wanted = [self.subjects] if isinstance(self.subjects, str) else self.subjects
            twins = sorted({found for subject in wanted if (found := names.find_twin(subject)) is not None})
            if not twins:
                return None
            terms.append(_among("twin", twins))
        if self.signals is not None:
            wanted = [self.signals] if isinstance(self.signals, str) else self.signals
            signals = sorted({found for name in wanted for found in names.named.get(name, ())})
            if not signals:
                return None
            terms.append(_among("signal", signals))
        if self.start is not None:
            terms.append(f"time >= {seconds(self.start)}")
        if self.end is not None:
            terms.append(f"time < {seconds(self.end)}")
        if self.as_of is not None:
            terms.append(f"position < {(self.as_of + 1) * ROWS}")
        return " AND ".join(terms)


def seconds(time: float) -> str:
    """A double as SQL, exactly; without the exponent it would be a decimal."""
    return f"{float(time):.17e}"


def _among(column: str, ids: list[int]) -> str:
    return f"{column} = {ids[0]}" if len(ids) == 1 else f"{column} IN ({', '.join(map(str, ids))})"
