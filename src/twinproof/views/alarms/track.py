"""One rule on one twin: from readings and the time to raises and clears.

A signal holds its value until the next reading (sample and hold). A *stretch* begins with the first
reading that calls for the other state of the alarm and ends with the first that does not:

| test           | calls for a raise                  | calls for a clear                |
|----------------|------------------------------------|----------------------------------|
| `above`        | value > limit                      | value <= limit - deadband        |
| `below`        | value < limit                      | value >= limit + deadband        |
| `rises_faster` | rate > limit                       | rate <= limit - deadband         |
| `falls_faster` | -rate > limit                      | -rate <= limit - deadband        |
| `missing`      | more than limit seconds without one | a reading, and no such gap since |

The alarm changes when the stretch is `delay_on` or `delay_off` seconds old. That moment depends on the
readings alone, so it is the same whether the next reading or the clock brings it to light. Terms and
the roles of deadband and delays: ISA-18.2 (IEC 62682). docs/alarms.md has the rules in full.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from twinproof.twin.alarm import Rule, Test, Transition

Floats = NDArray[np.float64]

SCALAR_ROWS: Final = 24
"""Up to so many readings are judged one by one: arrays cost more than they save."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How rules are judged, for all of them."""

    flap_transitions: int = 10
    """Transitions that a rule may make on a twin within `flap_seconds`; then it holds until the window has moved on."""
    flap_seconds: float = 60.0
    min_spacing: float = 1.0
    """Seconds between two readings of which a rate is taken; readings between them are passed over."""
    ahead: float = 300.0
    """Seconds that a reading may be ahead of its statement's `iat`; beyond them its time is not believed."""
    look_back: int = 64
    """Statements of a twin that are judged again after a restart."""

    def __post_init__(self) -> None:
        if self.flap_transitions < 1 or self.look_back < 1 or self.ahead < 0:
            raise ValueError("flap_transitions and look_back are positive, ahead is not negative")
        if not 0 <= self.flap_seconds < inf or not 0 < self.min_spacing < inf:
            raise ValueError("flap_seconds is not negative, min_spacing is positive")


class Change(NamedTuple):
    """What a track decided."""

    transition: Transition
    value: float | None
    """The reading that decided; None for `missing`."""
    time: float
    """When, POSIX seconds by the readings' clock."""


class Track:
    """The state of one rule on one twin. Mutable; times given to it that are older than `judged` are late."""

    __slots__ = ("active", "anchor", "fired", "judged", "last", "off", "on", "queued", "rule", "settings", "since",
                 "start", "unit", "unit_known", "value")  # fmt: skip

    def __init__(self, rule: Rule, settings: Settings, *, active: bool, start: int, since: float) -> None:
        """`start` is the entry and `since` the time from which on the rule holds for this twin."""
        self.rule = rule
        self.settings = settings
        self.active = active
        self.start = start
        self.on = self.off = False
        """What the held value calls for."""
        self.since: float | None = None
        """When the stretch that will change the alarm began."""
        self.value: float | None = None
        self.judged = -inf
        """Readings before this time are late."""
        self.last = since
        """`missing`: time of the last reading."""
        self.anchor: tuple[float, float] | None = None
        """Rates: time and value that the next one is compared with."""
        self.unit: str | None = None
        self.unit_known = False
        self.fired: deque[float] = deque(maxlen=settings.flap_transitions)
        self.queued: float | None = None
        """For the engine: when it will look at this track without a reading."""

    @property
    def is_rate(self) -> bool:
        """Whether the test is about a rate of change."""
        return self.rule.test in (Test.RISES_FASTER, Test.FALLS_FASTER)

    @property
    def is_missing(self) -> bool:
        """Whether the test is about readings that do not come."""
        return self.rule.test is Test.MISSING

    def due(self) -> float | None:
        """When the alarm changes if no further reading comes; None if it does not."""
        rule = self.rule
        if self.is_missing and not self.active:
            due = self.last + rule.limit + rule.delay_on
        elif self.since is None:
            return None
        else:
            due = self.since + (rule.delay_off if self.active else rule.delay_on)
        fired = self.fired
        if len(fired) == fired.maxlen:
            due = max(due, fired[0] + self.settings.flap_seconds)
        if self.is_missing and self.active and due > self.last + rule.limit:
            return None
        return due

    def advance(self, until: float, out: list[Change]) -> None:
        """Let time pass up to `until`, that moment itself left out: a reading of then may still come."""
        while (due := self.due()) is not None and due < until:
            self._fire(due, out)

    def set_active(self, active: bool) -> None:
        """The log says otherwise than this track: the log is right."""
        self.active = active
        self.since = None
        if (self.off if active else self.on) and self.judged > -inf:
            self.since = self.judged

    def seed(self, time: float, value: float | None) -> None:
        """Begin with the reading that holds already; since when it does is not known, so from its own time on."""
        self.last = max(self.last, time)
        self.judged = time
        if value is None or self.is_missing:
            return
        if self.is_rate:
            self.anchor = (time, value)
            return
        self.value = value
        self.on, self.off = self._calls(value)
        if self.off if self.active else self.on:
            self.since = time

    # --- readings -----------------------------------------------------------------------------

    def takes_unit(self, unit: str | None) -> bool:
        """Whether the rule's limit can be compared with values in `unit`: the first one that is met decides."""
        if self.is_missing:
            return True
        if not self.unit_known:
            self.unit, self.unit_known = unit, True
        return unit == self.unit

    def judge(self, times: list[float], values: list[float] | None, out: list[Change]) -> int:
        """Take in readings in the order of their times; how many were late. `values` may be None for `missing`."""
        late = 0
        for row, time in enumerate(times):
            if time < self.judged:
                late += 1
            elif self.is_missing:
                self._present(time, out)
            elif values is not None:
                self._sample(time, values[row], out)
        return late

    def judge_rows(self, times: Floats, values: Floats | None, out: list[Change]) -> int:
        """As `judge`, for many rows: only those where something changes cost Python."""
        start = int(np.searchsorted(times, self.judged, "left"))
        times = times[start:]
        if not len(times):
            return start
        if self.is_missing:
            self._present_rows(times, out)
        elif values is not None and self.is_rate:
            self._rate_rows(times, values[start:], out)
        elif values is not None:
            self._test_rows(times, values[start:], values[start:], out)
        return start

    def _calls(self, tested: Any) -> tuple[Any, Any]:
        """(calls for a raise, calls for a clear), of a number or an array."""
        rule = self.rule
        if rule.test is Test.BELOW:
            return tested < rule.limit, tested >= rule.limit + rule.deadband
        if rule.test is Test.FALLS_FASTER:
            tested = -tested
        return tested > rule.limit, tested <= rule.limit - rule.deadband

    def _sample(self, time: float, value: float, out: list[Change]) -> None:
        if not self.is_rate:
            self._take(time, value, *self._calls(value), out)
        elif self.anchor is None:
            self.anchor = (time, value)
            self.judged = time
        elif time - self.anchor[0] >= self.settings.min_spacing:
            rate = (value - self.anchor[1]) / (time - self.anchor[0])
            self.anchor = (time, value)
            self._take(time, value, *self._calls(rate), out)
        else:
            self.advance(time, out)
            self.judged = time
            self._fire_now(time, out)

    def _take(self, time: float, value: float, on: bool, off: bool, out: list[Change]) -> None:
        self.advance(time, out)
        self.judged = time
        self.value = value
        self.on, self.off = on, off
        if not (off if self.active else on):
            self.since = None
        elif self.since is None:
            self.since = time
        self._fire_now(time, out)

    def _present(self, time: float, out: list[Change]) -> None:
        self.advance(time, out)
        if self.active and (self.since is None or time > self.last + self.rule.limit):
            self.since = time
        self.last = self.judged = time
        self._fire_now(time, out)

    def _fire_now(self, time: float, out: list[Change]) -> None:
        due = self.due()
        if due is not None and due <= time:
            self._fire(due, out)

    def _fire(self, due: float, out: list[Change]) -> None:
        out.append(Change(Transition.CLEAR if self.active else Transition.RAISE, self.value, due))
        self.active = not self.active
        self.since = None
        self.judged = max(self.judged, due)
        self.fired.append(due)

    # --- many rows ----------------------------------------------------------------------------

    def _present_rows(self, times: Floats, out: list[Change]) -> None:
        """Rows after a gap, and the first one, are judged one by one; between them just a clear may fall due."""
        gaps = np.flatnonzero(times[1:] > times[:-1] + self.rule.limit) + 1
        bounds = [0, *gaps.tolist(), len(times)]
        for first, end in pairwise(bounds):
            self._present(float(times[first]), out)
            if end - first > 1:
                self.last = final = float(times[end - 1])
                self._fire_now(final, out)
                self.judged = final

    def _rate_rows(self, times: Floats, values: Floats, out: list[Change]) -> None:
        if self.anchor is None:
            self.anchor = (float(times[0]), float(values[0]))
        # One step per rate, not per row: fast sensors are mostly passed over.
        rows: list[int] = []
        row = self._next_anchor(times, self.anchor[0])
        while row < len(times):
            rows.append(row)
            row = self._next_anchor(times, float(times[row]))
        if rows:
            t = np.concatenate(([self.anchor[0]], times[rows]))
            v = np.concatenate(([self.anchor[1]], values[rows]))
            self.anchor = (float(t[-1]), float(v[-1]))
            with np.errstate(over="ignore"):
                rates = np.diff(v) / np.diff(t)
            self._test_rows(t[1:], v[1:], rates, out)
        final = float(times[-1])
        self.advance(final, out)
        self.judged = final
        self._fire_now(final, out)

    def _next_anchor(self, times: Floats, anchor: float) -> int:
        """The first row that is `min_spacing` after `anchor`; the sum that is searched for may be rounded."""
        spacing = self.settings.min_spacing
        row = int(np.searchsorted(times, anchor + spacing, "left"))
        while row < len(times) and float(times[row]) - anchor < spacing:
            row += 1
        while row and float(times[row - 1]) - anchor >= spacing:
            row -= 1
        return row

    def _test_rows(self, times: Floats, values: Floats, tested: Floats, out: list[Change]) -> None:
        on, off = self._calls(tested)
        code = on * np.int8(2) + off
        bounds = [0, *(np.flatnonzero(np.diff(code)) + 1).tolist(), len(code)]
        for first, end in pairwise(bounds):
            self._take(float(times[first]), float(values[first]), bool(on[first]), bool(off[first]), out)
            if end - first > 1:
                self._hold(times[first + 1 : end], values[first + 1 : end], out)

    def _hold(self, times: Floats, values: Floats, out: list[Change]) -> None:
        """Rows that call for what the row before them calls for: at most one change falls due on the way."""
        due = self.due()
        final = float(times[-1])
        if due is not None and due <= final:
            row = int(np.searchsorted(times, due, "left"))
            if float(times[row]) == due:
                self.value = float(values[row])
            elif row:
                self.value = float(values[row - 1])
            self._fire(due, out)
        self.value = float(values[-1])
        self.judged = final
