"""What a gateway says beside values: how far a value can be relied on, and that something measured is missing.

**Quality** becomes a text signal beside the signal, if the mapping gives it a name (`quality = ".quality"`): a reading
when it changes. **Loss** becomes a resume statement (spec/statement.md), the admission of whoever signs that something
is missing: it needs no grant of its own and no model's leave, and verification remarks it. Losses of a twin are told
together, at most once in `LOSSES_EVERY` seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from twinproof.edge.recorder import Recorder
from twinproof.errors import TwinproofError
from twinproof.twin.attestation import MAX_REASON, RESUME, Resume, format_resume

LOSSES_EVERY: Final = 60.0
"""Seconds."""
AWAY: Final = "the gateway was not running; changes before its start are missing"


class Quality(StrEnum):
    """How far the newest value can be relied on."""

    GOOD = "good"
    UNCERTAIN = "uncertain"
    """There is a value, and its source doubts it."""
    BAD = "bad"
    """There is no usable value."""
    STALE = "stale"
    """The value may have changed unseen: its source is dead or out of reach."""


class Qualities:
    """What was last said of each signal of each twin."""

    def __init__(self) -> None:
        self._said: dict[tuple[str, str], Quality] = {}

    def changes(self, subject: str, name: str, quality: Quality) -> bool:
        """Whether this is news; it is remembered."""
        if self._said.get((subject, name)) is quality:
            return False
        self._said[subject, name] = quality
        return True


@dataclass(slots=True)
class _Losses:
    first: str
    time: float
    count: int = 1


class Losses:
    """Losses that are to be told. `note` may be called while another thread tells."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._waiting: dict[str, _Losses] = {}
        self._told_at: dict[str, float] = {}

    def note(self, subject: str, time: float, reason: str) -> None:
        """Something about `subject` is missing; `time` is in seconds since 1970."""
        known = self._waiting.get(subject)
        if known is None:
            self._waiting[subject] = _Losses(reason, time)
        else:
            known.count += 1

    def due_in(self, now: float) -> float:
        """Seconds until `tell` has something to do; infinite if there is nothing to tell."""
        waits = [self._told_at.get(subject, now - LOSSES_EVERY) + LOSSES_EVERY - now for subject in self._waiting]
        return max(0.0, min(waits, default=float("inf")))

    def tell(self, recorder: Recorder, now: float, *, all: bool = False) -> None:
        """Sign what is due, or all of it. Raises `Overloaded` or `StorageFailed`; then it stays due."""
        for subject in list(self._waiting):
            if all or now - self._told_at.get(subject, now - LOSSES_EVERY) >= LOSSES_EVERY:
                # Taken out first: another thread may note the next one meanwhile.
                losses = self._waiting.pop(subject)
                try:
                    recorder.twin(subject).say(RESUME, format_resume(Resume(self._words(losses))))
                except TwinproofError:
                    later = self._waiting.setdefault(subject, losses)
                    if later is not losses:
                        self._waiting[subject] = _Losses(losses.first, losses.time, losses.count + later.count)
                    raise
                self._told_at[subject] = now

    def _words(self, losses: _Losses) -> str:
        more = f" (and {losses.count - 1} more)" if losses.count > 1 else ""
        words = f"{self._source}: {losses.first}"
        tail = f"; {moment(losses.time)}{more}"
        printable = "".join(character if character.isprintable() else "?" for character in words)
        return printable[: MAX_REASON - len(tail)] + tail


def recorded_before(recorder: Recorder) -> set[str]:
    """Twins that an earlier run recorded about: what changed since its end and before this start is missing."""
    return {record.subject for record in recorder.outbox.streams(recorder.issuer) if record.head is not None}


def moment(time: float) -> str:
    """A time for people: RFC 3339 in UTC, to the millisecond."""
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
