"""Tables of what an edge node may send, in the wrong order too, and what a host makes of it."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.edge.sparkplug.plant import NODE, PRESS, START, EdgeNode, Seen, metric
from twinproof.edge.quality import Quality
from twinproof.edge.sparkplug.events import Lost, Marked, Rebirth, Sample
from twinproof.edge.sparkplug.messages import Metric, Payload, Variant
from twinproof.edge.sparkplug.rebirth import FIRST, LONGEST, RebirthLimit
from twinproof.edge.sparkplug.session import MAX_HELD, PROOF_OF_LIFE, make_message
from twinproof.edge.sparkplug.topics import MessageType, Source, Topic

STALE = "stale"


@pytest.fixture
def edge() -> EdgeNode:
    return EdgeNode()


@pytest.fixture
def seen() -> Seen:
    return Seen()


def alive(seen: Seen) -> bool:
    return seen.session.online


def test_births_data_and_deaths_in_order(edge: EdgeNode, seen: Seen) -> None:
    seen.take(edge.nbirth(Speed=1.0, On=True), edge.dbirth(Temp=20.5), edge.ndata(Speed=2.0), edge.ddata(Temp=21.5))
    time = edge.time
    assert [e for e in seen.events if isinstance(e, Sample)][-1] == Sample(
        PRESS, "Temp", 21.5, round(time * 1000) / 1000
    )
    assert seen.values() == [1.0, True, 20.5, 2.0, 21.5]
    seen.take(edge.ddeath(), edge.ndeath())
    assert seen.marks[-2:] == [(str(PRESS), None, STALE), (str(NODE), None, STALE)]
    assert (seen.losses, seen.rebirths) == ([], [])
    assert not alive(seen)


def test_source_timestamps_not_ours(edge: EdgeNode, seen: Seen) -> None:
    edge.time = START - 1000.0
    [sample] = [e for e in seen.take(edge.nbirth()) if isinstance(e, Sample)]
    assert sample.time == pytest.approx(START - 1000.0 + 0.1, abs=1e-3)


def test_a_metric_without_a_time_has_the_messages(edge: EdgeNode, seen: Seen) -> None:
    seen.take(edge.nbirth())
    [sample] = seen.take(edge.send(MessageType.NDATA, NODE, Metric(alias=10, value=Variant("double", 3.0))))
    assert isinstance(sample, Sample)
    assert sample.time == pytest.approx(edge.time, abs=1e-3)


def test_the_sequence_wraps(edge: EdgeNode, seen: Seen) -> None:
    seen.take(edge.nbirth(Speed=-1.0))
    seen.take(*(edge.ndata(Speed=float(number)) for number in range(700)))
    assert seen.values() == [-1.0, *map(float, range(700))]
    assert (seen.losses, seen.rebirths, seen.session.counters.duplicates) == ([], [], 0)


def test_out_of_order_is_put_in_order(edge: EdgeNode, seen: Seen) -> None:
    seen.take(edge.nbirth(Speed=0.0))
    messages = [edge.ndata(Speed=float(number)) for number in range(1, 6)]
    seen.take(messages[1], messages[3], messages[2])
    assert seen.values() == [0.0]
    seen.take(messages[0], messages[4])
    assert seen.values() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    assert seen.wait(10) == []
    assert (seen.losses, seen.rebirths) == ([], [])


def test_a_missing_message_is_waited_for_then_said_to_be_lost(edge: EdgeNode, seen: Seen) -> None:
    seen.take(edge.nbirth(Speed=0.0), edge.dbirth())
    edge.ndata(Speed=1.0)
    edge.ndata(Speed=2.0)
    seen.take(edge.ndata(Speed=3.0))
    assert seen.session.due_in(seen.now) == 2.0
    assert seen.wait(1.9) == []
    events = seen.wait(0.2)
    assert [type(event) for event in events] == [Lost, Lost, Sample, Rebirth]
    assert seen.losses == [f"{source}: sequence number 2 to 3 missing" for source in (NODE, PRESS)]
    assert seen.values("Speed") == [0.0, 3.0]
    assert seen.session.counters.missing == 2
    seen.take(edge.ndata(Speed=4.0))
    assert seen.values("Speed") == [0.0, 3.0, 4.0]


def test_two_gaps_each_have_their_time(edge: EdgeNode, seen: Seen) -> None:
    seen.take(edge.nbirth(Speed=0.0))
    messages = [edge.ndata(Speed=float(number)) for number in range(1, 6)]
    seen.take(messages[1], messages[3])
    seen.now += 1.5
    seen.take(messages[0])
    assert seen.values() == [0.0, 1.0, 2.0]
    assert seen.wait(1.0) == []
    seen.take(messages[2])
    assert seen.values() == [0.0, 1.0, 2.0, 3.0, 4.0]


def test_a_message_later_than_the_timeout_is_still_recorded(edge: EdgeNode, seen: Seen) -> None:
    seen.take(edge.nbirth(Speed=0.0))
    late, after = edge.ndata(Speed=1.0), edge.ndata(Speed=2.0)
    seen.take(after)
    seen.wait(2.1)
    seen.take(late, late)
    assert seen.values() == [0.0, 2.0, 1.0]
    assert (seen.session.counters.late, seen.session.counters.duplicates) == (1, 1)
    assert seen.session.due_in(seen.now) > 2.0
    seen.take(edge.ndata(Speed=3.0))
    assert seen.values()[-1] == 3.0


def test_a_late_death_of_a_device_that_lives_again_kills_nothing(edge: EdgeNode, seen: Seen) -> None:
    seen.take(edge.nbirth(), edge.dbirth())
    late, birth = edge.ddeath(), edge.dbirth(Temp=30.0)
    seen.take(birth)
    seen.wait(2.1)
    before = len(seen.marks)
    seen.take(late)
    assert seen.marks[before:] == []
    seen.take(edge.ddata(Temp=31.0))
    assert seen.values("Temp") == [20.0, 30.0, 31.0]


def test_duplicates_are_dropped(edge: EdgeNode, seen: Seen) -> None:
    birth, data, more = edge.nbirth(Speed=0.0), edge.ndata(Speed=1.0), edge.ndata(Speed=2.0)
    ahead = [edge.ndata(Speed=3.0), edge.ndata(Speed=4.0)]
    seen.take(birth, birth, data, data, more, data, ahead[1], ahead[1], ahead[0], birth)
    assert seen.values() == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert seen.session.counters.duplicates == 5
    assert (seen.losses, seen.rebirths) == ([], [])


def test_the_same_number_twice_with_other_content_is_no_duplicate(edge: EdgeNode, seen: Seen) -> None:
    seen.take(edge.nbirth(Speed=0.0))
    edge.ndata(Speed=1.0)
    seen.take(edge.ndata(Speed=2.0))
    edge.seq = 1
    seen.take(edge.ndata(Speed=2.5))
    assert seen.losses == [f"{NODE}: sequence number 1 missing"]
    assert seen.values() == [0.0, 2.0]
    seen.wait(2.1)
    assert seen.values() == [0.0, 2.0, 2.5]
    assert seen.rebirths


# --- deaths ---------------------------------------------------------------------------------


def test_a_lost_death_certificate_is_noticed_by_the_next_birth(edge: EdgeNode, seen: Seen) -> None:
    seen.take(edge.nbirth(Speed=0.0), edge.dbirth(), edge.ndata(Speed=1.0))
    edge.reconnect()
    before = len(seen.events)
    seen.take(edge.nbirth(Speed=9.0))
    found = seen.events[before:]
    assert [(type(e).__name__, e.source) for e in found if isinstance(e, Lost | Marked) and not e.source.device][
        :2
    ] == [
        ("Lost", NODE),
        ("Marked", NODE),
    ]
    assert "its death certificate was lost: bdSeq 1 follows 0" in seen.losses[0]
    assert seen.marks[-4:] == [
        (str(NODE), None, STALE),
        (str(PRESS), None, STALE),
        (str(NODE), None, "good"),
        (str(NODE), "Speed", "good"),
    ]
    assert seen.values("Speed") == [0.0, 1.0, 9.0]
    seen.take(edge.dbirth(Temp=22.0))
    assert seen.marks[-2:] == [(str(PRESS), None, "good"), (str(PRESS), "Temp", "good")]
    assert seen.rebirths == []


def test_the_late_death_of_an_earlier_birth_kills_nothing(edge: EdgeNode, seen: Seen) -> None:
    seen.take(edge.nbirth())
    old = edge.ndeath()
    edge.reconnect()
    seen.take(edge.nbirth(), old, edge.ndata(Speed=5.0))
    assert alive(seen)
    assert seen.session.counters.old_deaths == 1
    assert seen.values()[-1] == 5.0
    seen.take(edge.ndeath())
    assert not alive(seen)


def test_a_death_whose_birth_never_came_puts_life_in_doubt(edge: EdgeNode, seen: Seen) -> None:
    seen.take(edge.nbirth())
    edge.bd_seq = 5
    seen.take(edge.ndeath())
    assert alive(seen)
    assert seen.rebirths == ["death with bdSeq 5; its birth said 0"]
    seen.wait(PROOF_OF_LIFE + 1)
    assert not alive(seen)
    assert seen.marks[-1] == (str(NODE), None, STALE)


def test_a_birth_overtaken_by_its_will_has_to_prove_that_it_lives(edge: EdgeNode, seen: Seen) -> None:
    birth, death = edge.nbirth(), edge.ndeath()
    seen.take(death, birth)
    assert alive(seen)
    assert seen.rebirths
    seen.wait(PROOF_OF_LIFE + 1)
    assert not alive(seen)


def test_an_edge_node_that_answers_lives(edge: EdgeNode, seen: Seen) -> None:
    seen.take(edge.nbirth())
    other = EdgeNode(5)
    seen.take(other.ndeath(), edge.ndata(Speed=2.0))
    seen.wait(PROOF_OF_LIFE + 1)
    assert alive(seen)


def test_a_death_flushes_what_is_held(edge: EdgeNode, seen: Seen) -> None:
    seen.take(edge.nbirth(Speed=0.0))
    edge.ndata(Speed=1.0)
    seen.take(edge.ndata(Speed=2.0), edge.ndeath())
    assert seen.values() == [0.0, 2.0]
    assert seen.losses == [f"{NODE}: sequence number 1 missing"]
    assert seen.marks[-1] == (str(NODE), None, STALE)


def test_the_broker_is_gone(edge: EdgeNode, seen: Seen) -> None:
    seen.take(edge.nbirth(), edge.dbirth())
    seen.events += seen.session.cut_off(seen.now)
    assert seen.marks[-2:] == [(str(NODE), None, STALE), (str(PRESS), None, STALE)]
    assert len(seen.losses) == 2
    assert seen.session.cut_off(seen.now) == []
    seen.take(edge.nbirth(Speed=3.0), edge.dbirth(Temp=21.0))
    assert seen.values() == [1.0, 20.0, 3.0, 21.0]


# --- births ---------------------------------------------------------------------------------


def test_a_rebirth_repeats_nothing_that_is_recorded(edge: EdgeNode, seen: Seen) -> None:
    birth = edge.nbirth(Speed=1.0)
    seen.take(birth, edge.dbirth())
    again = replace(birth.payload, timestamp=(birth.payload.timestamp or 0) + 500)
    seen.take(make_message(birth.topic, again, b"again"))
    assert seen.values("Speed") == [1.0]
    assert seen.marks[-2:] == [(str(PRESS), None, STALE), (str(NODE), None, "good")]
    assert seen.losses == []


def test_a_repeated_metric_is_good_again_after_a_death(edge: EdgeNode, seen: Seen) -> None:
    birth = edge.nbirth(Speed=1.0)
    seen.take(birth, edge.ndeath(), make_message(birth.topic, birth.payload, b"reborn"))
    assert seen.values() == [1.0]
    assert seen.marks[-1] == (str(NODE), "Speed", "good")


def test_aliases_are_those_of_the_newest_birth(edge: EdgeNode, seen: Seen) -> None:
    seen.take(edge.nbirth(Speed=1.0))
    birth = edge.nbirth()
    metrics = tuple(replace(m, alias=99) if m.name == "Speed" else m for m in birth.payload.metrics)
    payload = replace(birth.payload, metrics=metrics)
    seen.take(make_message(birth.topic, payload, b"x"), edge.ndata(Speed=2.0))
    assert seen.losses == [f"{NODE}: alias 10: was not declared by a birth"]
    seen.take(edge.send(MessageType.NDATA, NODE, metric("Speed", 3.0, edge.time, alias=99)))
    assert seen.values("Speed")[-1] == 3.0


def test_devices_may_number_their_aliases_alike(edge: EdgeNode, seen: Seen) -> None:
    other = Source("plant", "edge1", "drill")
    seen.take(edge.nbirth(), edge.dbirth(PRESS), edge.dbirth(other, Temp=50.0))
    seen.take(edge.ddata(PRESS, Temp=21.0), edge.ddata(other, Temp=51.0))
    samples = [(e.source.device, e.value) for e in seen.events if isinstance(e, Sample) and e.name == "Temp"]
    assert samples == [("press", 20.0), ("drill", 50.0), ("press", 21.0), ("drill", 51.0)]


@pytest.mark.parametrize(
    ("metrics", "words"),
    [
        ((Metric("a", datatype=10), Metric("a", datatype=10)), "declared twice"),
        ((Metric("a", 1, datatype=10), Metric("b", 1, datatype=10)), "alias 1"),
        ((Metric("a"),), "no datatype"),
        ((Metric("a", datatype=77),), "77"),
        ((Metric(alias=4, datatype=10),), "declares names"),
        ((Metric("n" * 2000, datatype=10),), "declares names"),
    ],
)
def test_births_that_cannot_be_used(edge: EdgeNode, seen: Seen, metrics: tuple[Metric, ...], words: str) -> None:
    seen.take(edge.nbirth(), edge.send(MessageType.DBIRTH, PRESS, *metrics))
    assert words in seen.losses[0]
    assert len(seen.rebirths) == 1
    fresh = Seen()
    fresh.take(edge.send(MessageType.NBIRTH, NODE, *metrics, seq=0))
    assert words in fresh.losses[0]
    assert not alive(fresh)


@pytest.mark.parametrize("seq", [None, 256, 2**60])
def test_a_birth_needs_a_sequence_number(edge: EdgeNode, seen: Seen, seq: int | None) -> None:
    seen.take(edge.send(MessageType.NBIRTH, NODE, seq=seq))
    assert not alive(seen)
    assert "sequence number" in seen.losses[0]


def test_data_before_a_birth_ask_for_one(edge: EdgeNode, seen: Seen) -> None:
    edge.nbirth()
    seen.take(edge.ndata(Speed=1.0), edge.ndata(Speed=2.0))
    assert seen.events == []
    seen.wait(2.1)
    assert seen.losses == [f"{NODE}: messages came before the birth that explains them"]
    assert seen.rebirths == ["messages before a birth"]
    seen.take(edge.nbirth(Speed=3.0))
    assert seen.values() == [3.0]


def test_data_that_overtook_their_birth_are_taken_after_it(edge: EdgeNode, seen: Seen) -> None:
    birth, device, data = edge.nbirth(Speed=1.0), edge.dbirth(), edge.ddata(Temp=30.0)
    seen.take(data, device, birth)
    assert seen.values() == [1.0, 20.0, 30.0]
    assert seen.wait(5) == []
    assert seen.losses == []


def test_data_of_the_old_session_are_not_taken_for_the_new(edge: EdgeNode, seen: Seen) -> None:
    seen.take(edge.nbirth(Speed=0.0), edge.ndata(Speed=1.0), edge.ndata(Speed=2.0))
    edge.ndata(Speed=3.0)
    held = edge.ndata(Speed=4.0)
    edge.reconnect()
    birth, new = edge.nbirth(Speed=5.0), edge.ndata(Speed=6.0)
    seen.take(held, new, birth)
    # 4.0 was sent before the birth: it is taken with what was known then.
    assert seen.values() == [0.0, 1.0, 2.0, 4.0, 5.0, 6.0]
    assert seen.losses[0] == f"{NODE}: sequence number 3 missing"


def test_data_of_a_device_without_birth(edge: EdgeNode, seen: Seen) -> None:
    seen.take(edge.nbirth(), edge.ddata(Temp=1.0), edge.ddeath())
    assert seen.losses == [f"{PRESS}: data of a device that was not born"]
    assert len(seen.rebirths) == 1
    assert seen.values("Temp") == []


# --- content --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (Metric(alias=77, value=Variant("double", 1.0)), "alias 77: was not declared"),
        (Metric("Other", value=Variant("double", 1.0)), "Other: was not declared"),
        (Metric("Speed", alias=11, value=Variant("double", 1.0)), "has the alias 11"),
        (Metric(value=Variant("double", 1.0)), "neither name nor alias"),
        (Metric(alias=10, timestamp=5, value=Variant("double", 1.0)), "its time of 5 ms"),
        (Metric(alias=10, timestamp=2**64 - 1, value=Variant("double", 1.0)), "not between 1978"),
    ],
)
def test_metrics_that_are_lost_leave_the_others(edge: EdgeNode, seen: Seen, sent: Metric, words: str) -> None:
    seen.take(edge.nbirth(Speed=0.0, Count=1))
    seen.take(edge.send(MessageType.NDATA, NODE, sent, metric("Count", 5, edge.time)))
    assert words in seen.losses[0]
    assert seen.values() == [0.0, 1, 5]


def test_an_undeclared_metric_asks_for_a_rebirth_once(edge: EdgeNode, seen: Seen) -> None:
    seen.take(edge.nbirth())
    for _ in range(20):
        seen.take(edge.send(MessageType.NDATA, NODE, Metric(alias=77, value=Variant("double", 1.0))))
    assert len(seen.rebirths) == 1


@pytest.mark.parametrize(
    ("sent", "quality"),
    [
        ({"value": None}, Quality.BAD),
        ({"value": 1.0, "quality": 0}, Quality.BAD),
        ({"value": 1.0, "quality": 500}, Quality.STALE),
        ({"value": 1.0, "quality": 88}, Quality.UNCERTAIN),
        ({"value": 1.0, "quality": 512}, Quality.UNCERTAIN),
        ({"value": 1.0, "quality": 192}, Quality.GOOD),
    ],
)
def test_quality_codes(edge: EdgeNode, seen: Seen, sent: dict[str, Any], quality: Quality) -> None:
    seen.take(edge.nbirth(Speed=0.0))
    value = sent.pop("value")
    events = seen.take(edge.send(MessageType.NDATA, NODE, metric("Speed", value, edge.time, **sent)))
    marks = [e for e in events if isinstance(e, Marked)]
    assert [mark.quality for mark in marks] == ([] if quality is Quality.GOOD else [quality])
    assert [type(e) for e in events if isinstance(e, Sample)] == (
        [Sample] if quality in (Quality.GOOD, Quality.UNCERTAIN) else []
    )
    seen.take(edge.ndata(Speed=2.0))
    assert seen.values()[-1] == 2.0
    assert seen.marks[-1][2] == "good"


@pytest.mark.parametrize(
    "variant", [Variant("string", "x"), Variant("double", float("nan")), Variant("int", 5), Variant("bytes", b"")]
)
def test_a_value_of_another_type_is_bad(edge: EdgeNode, seen: Seen, variant: Variant) -> None:
    seen.take(edge.nbirth(Speed=0.0), edge.send(MessageType.NDATA, NODE, Metric(alias=10, value=variant)))
    assert seen.marks[-1] == (str(NODE), "Speed", "bad")
    assert seen.values() == [0.0]


def test_historical_values_do_not_change_the_present(edge: EdgeNode, seen: Seen) -> None:
    seen.take(edge.nbirth(Speed=0.0))
    old = metric("Speed", 7.0, START - 500, is_historical=True)
    [sample] = seen.take(edge.send(MessageType.NDATA, NODE, old))
    assert sample == Sample(NODE, "Speed", 7.0, START - 500, historical=True)
    nothing = metric("Speed", None, START - 400, is_historical=True)
    assert seen.take(edge.send(MessageType.NDATA, NODE, nothing)) == []


def test_transient_values_are_named(edge: EdgeNode, seen: Seen) -> None:
    seen.take(edge.nbirth(Speed=0.0))
    [sample] = seen.take(edge.send(MessageType.NDATA, NODE, metric("Speed", 7.0, edge.time, is_transient=True)))
    assert isinstance(sample, Sample)
    assert sample.transient


# --- limits ---------------------------------------------------------------------------------


def test_rebirths_make_no_storm(edge: EdgeNode, seen: Seen) -> None:
    # Every birth comes at once and helps nothing.
    asked = 0
    for _ in range(3600):
        seen.take(edge.nbirth(), edge.send(MessageType.NDATA, NODE, Metric(alias=77, value=Variant("double", 1.0))))
        seen.wait(0.8)
        asked = len(seen.rebirths)
    assert 5 <= asked <= 12


def test_a_silent_node_is_asked_ever_more_seldom() -> None:
    limit = RebirthLimit()
    limit.want("x")
    asked = []
    now = 0.0
    while now < 10_000:
        if limit.take(now):
            asked.append(now)
        now += 1
    gaps = [later - earlier for earlier, later in pairwise(asked)]
    assert asked[0] == 0
    assert gaps[0] == FIRST
    assert gaps[-1] == LONGEST
    assert gaps == sorted(gaps)
    limit.answered()
    assert limit.due_in(now) == float("inf")
    limit.want("y")
    assert limit.due_in(now + 4 * LONGEST) == 0


def test_what_is_held_is_bounded(edge: EdgeNode, seen: Seen) -> None:
    seen.take(edge.nbirth(Speed=0.0))
    edge.ndata(Speed=0.5)
    seen.take(*(edge.ndata(Speed=float(number)) for number in range(1, MAX_HELD + 2)))
    assert seen.losses == [f"{NODE}: sequence number 1 missing"]
    assert seen.values() == [0.0, *map(float, range(1, MAX_HELD + 2))]


@given(st.randoms(use_true_random=False), st.integers(0, 3), st.integers(0, 30))
def test_nothing_is_lost_silently_and_nothing_twice(rng: random.Random, drops: int, shuffle: int) -> None:
    """Whatever a broker loses, repeats and reorders: each value comes once, in order; a loss is said."""
    edge, seen = EdgeNode(), Seen()
    seen.take(edge.nbirth(Speed=-1.0))
    messages = [edge.ndata(Speed=float(number)) for number in range(60)]
    dropped = set(rng.sample(range(59), drops))
    sent = [message for number, message in enumerate(messages) if number not in dropped]
    for _ in range(shuffle):
        at = rng.randrange(len(sent) - 1)
        sent[at], sent[at + 1] = sent[at + 1], sent[at]
        if rng.random() < 0.3:
            sent.insert(at + 1, sent[at])
    for message in sent:
        seen.take(message)
    seen.wait(3)
    seen.wait(3)
    expected = [float(number) for number in range(60) if number not in dropped]
    assert seen.values()[1:] == expected
    assert bool(seen.losses) == bool(dropped)
    assert seen.session.counters.missing == len(dropped)


_anything = st.builds(
    Payload,
    st.none() | st.integers(0, 2**64 - 1),
    st.lists(
        st.builds(
            Metric,
            st.none() | st.sampled_from(["Speed", "Temp", "bdSeq", ""]),
            st.none() | st.sampled_from([10, 20, 2**64 - 1]),
            st.none() | st.integers(0, 2**64 - 1),
            st.none() | st.sampled_from([0, 8, 10, 9, 16, 99]),
            st.none() | st.booleans(),
            value=st.none() | st.sampled_from([Variant("double", 1.0), Variant("long", 3), Variant("string", "")]),
        ),
        max_size=3,
    ).map(tuple),
    st.none() | st.integers(0, 5) | st.just(2**63),
)


@given(st.lists(st.tuples(st.sampled_from(MessageType), _anything, st.floats(0, 5)), max_size=12))
def test_anything_may_come(messages: list[tuple[MessageType, Payload, float]]) -> None:
    seen = Seen()
    for number, (kind, payload, wait) in enumerate(messages):
        source = PRESS if kind.startswith("D") else NODE
        seen.take(make_message(Topic(kind, source), payload, bytes([number])))
        seen.wait(wait)
        assert seen.session.due_in(seen.now) >= 0
