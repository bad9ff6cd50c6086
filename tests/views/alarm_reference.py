"""When an alarm changes, by the definitions of docs/alarms.md and nothing else: slow, and from scratch each time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from twinproof.twin.alarm import Rule, Test, Transition
from twinproof.views.alarms import Settings

Said = tuple[Transition, float | None, float]


@dataclass
class Reference:
    """One rule on one twin, in force since `since`."""

    rule: Rule
    settings: Settings
    since: float = 0.0
    samples: list[tuple[float, float]] = field(default_factory=list)
    """All that were not late, in the order of their times."""
    said: list[Said] = field(default_factory=list)
    seen: int = 0
    """How many values had been compared with the limit when the alarm last changed."""

    def reading(self, time: float, value: float) -> list[Said]:
        if time < max([t for t, _ in self.samples] + [t for *_, t in self.said], default=0.0):
            return []
        # A sample can undo nothing that fell due before it.
        found = self._news(lambda due: due < time)
        self.samples.append((time, value))
        return found + self._news(lambda due: due <= time)

    def tick(self, now: float) -> list[Said]:
        return self._news(lambda due: due < now)

    def _news(self, passed: Callable[[float], bool]) -> list[Said]:
        found: list[Said] = []
        while (following := self._next()) is not None and passed(following[2]):
            self.seen = len(self._calls(False))
            self.said.append(following)
            found.append(following)
        return found

    def _next(self) -> Said | None:
        """The next change if nothing more is ever measured."""
        active = len(self.said) % 2 == 1
        wait = self.rule.delay_off if active else self.rule.delay_on
        count = self.settings.flap_transitions
        free = self.said[-count][2] + self.settings.flap_seconds if len(self.said) >= count else 0.0
        transition = Transition.CLEAR if active else Transition.RAISE
        if self.rule.test is Test.MISSING:
            due = self._present(wait, free) if active else self._missed(wait, free)
            return None if due is None else (transition, None, due)
        found = self._stretch(self._calls(active), wait, free)
        return None if found is None else (transition, found[1], found[0])

    def _missed(self, wait: float, free: float) -> float | None:
        """The first moment at which nothing has come for long enough."""
        times = [self.since, *(t for t, _ in self.samples)]
        for n in range(self.seen, len(times)):
            due = max(times[n] + self.rule.limit + wait, free)
            if n + 1 == len(times) or due < times[n + 1]:
                return due
        return None

    def _present(self, wait: float, free: float) -> float | None:
        """The first moment at which readings have come without a gap for long enough."""
        limit = self.rule.limit
        times = [t for t, _ in self.samples]
        for n in range(self.seen, len(times)):
            if n > self.seen and times[n] <= times[n - 1] + limit:
                continue  # the middle of a stretch
            last = n
            while last + 1 < len(times) and times[last + 1] <= times[last] + limit:
                last += 1
            due = max(times[n] + wait, free)
            if due <= times[last] + limit:
                return due
        return None

    def _stretch(self, calls: list[tuple[float, float, bool]], wait: float, free: float) -> tuple[float, float] | None:
        """(when, value then) of the first stretch of values, all calling, that is long enough."""
        for n in range(self.seen, len(calls)):
            if not calls[n][2] or (n > self.seen and calls[n - 1][2]):
                continue
            end = next((m for m in range(n, len(calls)) if not calls[m][2]), len(calls))
            due = max(calls[n][0] + wait, free)
            if end < len(calls) and calls[end][0] <= due:
                continue
            value = calls[n][1]
            for time, later, _ in calls[n + 1 : end]:
                if calls[n][0] >= due or time > due:
                    break
                value = later
                if time == due:
                    break
            return due, value
        return None

    def _calls(self, active: bool) -> list[tuple[float, float, bool]]:
        """(time, value, whether it calls for the other state) of what is compared with the limit."""
        rule = self.rule
        sign = -1 if rule.test in (Test.BELOW, Test.FALLS_FASTER) else 1
        tested: list[tuple[float, float, float]] = [(t, v, v) for t, v in self.samples]
        if rule.test in (Test.RISES_FASTER, Test.FALLS_FASTER):
            tested = []
            base: tuple[float, float] | None = None
            for t, v in self.samples:
                if base is not None and t - base[0] >= self.settings.min_spacing:
                    tested.append((t, v, (v - base[1]) / (t - base[0])))
                if base is None or t - base[0] >= self.settings.min_spacing:
                    base = (t, v)
        limit = rule.limit * (-1 if rule.test is Test.BELOW else 1)
        if active:
            return [(t, v, sign * x <= limit - rule.deadband) for t, v, x in tested]
        return [(t, v, sign * x > limit) for t, v, x in tested]
