"""One rule on one twin: tables for each test, and both ways of judging against the reference."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.views.alarm_reference import Reference, Said
from twinproof.twin.alarm import Rule, Severity, Test
from twinproof.views.alarms import Settings
from twinproof.views.alarms.track import Change, Track


def rule(test: Test, limit: float, deadband: float = 0.0, on: int = 0, off: int = 0) -> Rule:
    return Rule("r", "T24", test, limit, Severity.HIGH, deadband, on, off)


def track_of(held: Rule, how: Settings | None = None, since: float = 0.0) -> Track:
    return Track(held, how or Settings(), active=False, start=-1, since=since)


def said(changes: list[Change]) -> list[Said]:
    return [(change.transition, change.value, change.time) for change in changes]


TABLE = {
    "above, at once": (rule(Test.ABOVE, 10), "0:9 1:10 2:11 3:12 4:10", "+2=11 -4=10"),
    "above, with a deadband": (rule(Test.ABOVE, 10, 2), "0:11 1:9 2:8.5 3:8 4:10 5:10.5", "+0=11 -3=8 +5=10.5"),
    "above, with a delay": (rule(Test.ABOVE, 10, 0, 3), "0:11 1:12 2:9 3:11 5:12 7:13", "+6=12"),
    "a value on the moment itself counts": (rule(Test.ABOVE, 10, 0, 3), "0:11 3:12", "+3=12"),
    "a value on the moment itself undoes it": (rule(Test.ABOVE, 10, 0, 3), "0:11 3:9 9:9", ""),
    "the delay ends between two readings": (rule(Test.ABOVE, 10, 0, 3), "0:11 60:9", "+3=11 -60=9"),
    "off delay": (rule(Test.ABOVE, 10, 0, 0, 5), "0:11 1:9 3:11 4:9 8:9 9:9", "+0=11 -9=9"),
    "both delays": (rule(Test.ABOVE, 10, 1, 2, 2), "0:11 1:11 2:11 3:9.5 4:9 5:9 6:8", "+2=11 -6=8"),
    "below, with a deadband": (rule(Test.BELOW, 10, 2), "0:10 1:9 2:11 3:12 4:11", "+1=9 -3=12"),
    "below zero": (rule(Test.BELOW, -5, 1, 1), "0:-6 1:-6 2:-4", "+1=-6 -2=-4"),
    "rises faster": (rule(Test.RISES_FASTER, 2), "0:0 1:2 2:5 3:6", "+2=5 -3=6"),
    "rises faster, with a deadband": (rule(Test.RISES_FASTER, 2, 1), "0:0 1:5 2:6.5 3:7.5", "+1=5 -3=7.5"),
    "rates over unequal times": (rule(Test.RISES_FASTER, 2), "0:0 10:19 11:22", "+11=22"),
    "rates of close readings are none": (rule(Test.RISES_FASTER, 2), "0:0 0.5:9 1:1 1.25:99", ""),
    "falls faster": (rule(Test.FALLS_FASTER, 2), "0:9 1:7 2:4 3:3.5", "+2=4 -3=3.5"),
    "falls faster, with a delay": (rule(Test.FALLS_FASTER, 2, 0, 2), "0:90 1:80 2:70 3:60 4:60", "+3=60 -4=60"),
    "missing": (rule(Test.MISSING, 10), "5:0 15:0 26:0 t:37", "+25 -26 +36"),
    "missing since the rule": (rule(Test.MISSING, 10), "t:10 t:11", "+10"),
    "missing, with delays": (rule(Test.MISSING, 10, 0, 5, 3), "20:0 22:0 23:0", "+15 -23"),
    "missing again while it was to clear": (rule(Test.MISSING, 10, 0, 0, 12), "11:0 30:0 35:0 41:0 42:0", "+10 -42"),
    "the clock ends a delay": (rule(Test.ABOVE, 10, 0, 3), "0:11 t:3 t:3.5 t:9", "+3=11"),
    "the clock alone undoes nothing": (rule(Test.ABOVE, 10), "0:11 t:1000", "+0=11"),
    "late ones are ignored": (rule(Test.ABOVE, 10), "5:9 4:11 5:10.5 6:9", "+5=10.5 -6=9"),
    "late for what the clock decided": (rule(Test.ABOVE, 10, 0, 5), "0:11 t:6 4:9 5:9", "+5=11 -5=9"),
}


def drive(track: Track, events: str) -> list[Change]:
    out: list[Change] = []
    for event in events.split():
        left, right = event.split(":")
        if left == "t":
            track.advance(float(right), out)
        else:
            track.judge([float(left)], [float(right)], out)
    return out


def shown(changes: list[Change]) -> str:
    return " ".join(
        f"{'+' if change.transition == 'raise' else '-'}{change.time:g}"
        + ("" if change.value is None else f"={change.value:g}")
        for change in changes
    )


@pytest.mark.parametrize("name", TABLE)
def test_table(name: str) -> None:
    held, events, expected = TABLE[name]
    assert shown(drive(track_of(held), events)) == expected


def test_flapping_is_bounded_and_then_holds() -> None:
    track = track_of(rule(Test.ABOVE, 10), Settings(flap_transitions=4, flap_seconds=60))
    out: list[Change] = []
    for second in range(200):
        track.judge([float(second)], [11.0 if second % 2 == 0 else 9.0], out)
    assert [change.time for change in out] == [0, 1, 2, 3, 60, 61, 62, 63, 120, 121, 122, 123, 180, 181, 182, 183]
    assert [change.transition for change in out] == ["raise", "clear"] * 8


def test_what_the_limiter_held_back_comes_when_it_may() -> None:
    track = track_of(rule(Test.ABOVE, 10), Settings(flap_transitions=2, flap_seconds=60))
    assert shown(drive(track, "0:11 1:9 2:11 t:59")) == "+0=11 -1=9"
    assert shown(drive(track, "t:61")) == "+60=11"


def test_a_seed_is_the_held_value() -> None:
    track = track_of(rule(Test.ABOVE, 10, 0, 5))
    track.seed(100.0, 11.0)
    assert shown(drive(track, "99:0 104:12 t:106")) == "+105=12"
    rate = track_of(rule(Test.RISES_FASTER, 1))
    rate.seed(100.0, 0.0)
    assert shown(drive(rate, "101:2")) == "+101=2"


def test_what_the_log_says_overrides() -> None:
    track = track_of(rule(Test.ABOVE, 10, 0, 5))
    assert shown(drive(track, "0:9")) == ""
    track.set_active(True)
    assert shown(drive(track, "1:9")) == "-0=9"


@pytest.mark.parametrize(
    "wrong", [{"flap_transitions": 0}, {"look_back": 0}, {"min_spacing": 0}, {"flap_seconds": -1}, {"ahead": -1}]
)
def test_settings_out_of_range_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="positive"):
        Settings(**wrong)


# --- against the reference ------------------------------------------------------------------------


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    test = draw(st.sampled_from(Test))
    limit = draw(st.sampled_from((1.0, 2.0, 2.5)))
    delays = st.sampled_from((0, 0, 1, 2, 5))
    return rule(test, limit, draw(st.sampled_from((0.0, 0.5, 1.0))), draw(delays), draw(delays))


TIMES = st.integers(0, 120).map(lambda quarter: quarter / 4)
VALUES = st.sampled_from((-4.0, 0.0, 0.5, 1.0, 1.5, 2.0, 2.25, 2.5, 3.0, 8.0))
SETTINGS = st.builds(
    Settings,
    flap_transitions=st.sampled_from((1, 2, 3, 10)),
    flap_seconds=st.sampled_from((0.0, 3.0, 7.5)),
    min_spacing=st.sampled_from((0.25, 1.0, 2.0)),
)


@settings(max_examples=600)
@given(rules(), SETTINGS, st.lists(st.tuples(st.booleans() | st.just(True), TIMES, VALUES), max_size=40), st.booleans())
def test_events_in_any_order_as_the_reference(
    held: Rule, how: Settings, events: list[tuple[bool, float, float]], in_order: bool
) -> None:
    if in_order:
        events.sort(key=lambda event: event[1])
    track, reference = track_of(held, how), Reference(held, how)
    for is_reading, time, value in events:
        out: list[Change] = []
        if is_reading:
            track.judge([time], [value], out)
            assert said(out) == reference.reading(time, value)
        else:
            track.advance(time, out)
            assert said(out) == reference.tick(time)


@settings(max_examples=600)
@given(rules(), SETTINGS, st.lists(st.tuples(st.integers(0, 6), VALUES), min_size=1, max_size=80), st.data())
def test_many_rows_as_one_by_one(
    held: Rule, how: Settings, steps: list[tuple[int, float]], data: st.DataObject
) -> None:
    times = np.cumsum([step / 4 for step, _ in steps])
    values = np.array([value for _, value in steps])
    one, many = track_of(held, how), track_of(held, how)
    expected: list[Change] = []
    one.judge(times.tolist(), values.tolist(), expected)
    found: list[Change] = []
    cuts = sorted(data.draw(st.sets(st.integers(0, len(steps)), max_size=3)) | {0, len(steps)})
    for first, end in pairwise(cuts):
        many.judge_rows(times[first:end], values[first:end], found)
    assert found == expected
    assert many.due() == one.due()
    assert many.judged == one.judged
