"""Sessions of the embedded broker on a clock that stands still: what expires, what is delayed, what is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinproof.edge.broker_packets import FOR_EVER, Body, Connect, Message, Subscription, Violation
from twinproof.edge.broker_session import Delivery, Hub, Limits, Session


class Timer:
    def __init__(self, due: float, call: Callable[[], None]) -> None:
        self.due = due
        self.call = call
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Rig:
    """A hub, its clock, and clients that only note what they are told."""

    def __init__(self, **limits: int) -> None:
        self.now = 0.0
        self.timers: list[Timer] = []
        self.problems: list[Violation] = []
        self.hub = Hub(Limits(**limits), lambda: self.now, self._later, self.problems.append)

    def _later(self, seconds: float, call: Callable[[Session], None], session: Session) -> Timer:
        self.timers.append(Timer(self.now + seconds, lambda: call(session)))
        return self.timers[-1]

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        for timer in list(self.timers):
            if timer.due <= self.now:
                self.timers.remove(timer)
                if not timer.cancelled:
                    timer.call()

    def connect(self, name: str, **wanted: Any) -> tuple[FakeClient, Session, bool]:
        client = FakeClient()
        session, present = self.hub.attach(client, Connect(5, name, **{"clean": False, **wanted}))
        return client, session, present

    def publish(self, topic: str, payload: bytes = b"x", *, retain: bool = False, lifetime: int | None = None) -> bool:
        sender = Session("publisher", self.hub.limits)
        return self.hub.route(self.hub.stamp(Message(topic, payload, 1, retain, b"", lifetime)), sender)

    def drain(self, session: Session) -> list[bytes]:
        """All that the session has, acknowledged."""
        found = []
        while (each := session.next(100, self.now)) is not None:
            found.append(each.message.payload)
            session.acknowledge(each.packet_id)
        return found


class FakeClient:
    def __init__(self) -> None:
        self.kicked: list[int] = []

    def wake(self) -> None:
        pass

    def release(self) -> None:
        pass

    def kick(self, answer: int) -> None:
        self.kicked.append(answer)


def wanted(text: str) -> Subscription:
    pattern = Body("test", len(text).to_bytes(2) + text.encode()).filter()
    return Subscription(pattern, 1, False, False, 0)


def will(payload: bytes = b"gone") -> Message:
    return Message("will", payload, 1, False)


@pytest.mark.parametrize(("expiry", "present"), [(0, False), (9, False), (11, True), (FOR_EVER, True)])
def test_sessions_end_when_they_expire(expiry: int, present: bool) -> None:
    rig = Rig()
    client, session, _ = rig.connect("s", expiry=expiry)
    rig.hub.detach(client, session)
    rig.pass_time(10)
    assert rig.connect("s")[2] is present


@pytest.mark.parametrize(("delay", "expiry", "due"), [(0, 100, 0), (5, 100, 5), (5, 3, 3), (5, 0, 0), (5, FOR_EVER, 5)])
def test_a_will_comes_after_its_delay_or_with_the_end_of_the_session(delay: int, expiry: int, due: int) -> None:
    rig = Rig()
    _, watcher, _ = rig.connect("watcher")
    watcher.subscriptions["will"] = wanted("will")
    client, session, _ = rig.connect("s", expiry=expiry, will=will(), will_delay=delay)
    rig.hub.detach(client, session)
    for second in range(8):
        assert rig.drain(watcher) == ([b"gone"] if second == due else [])
        rig.pass_time(1)


@pytest.mark.parametrize("clean", [False, True])
def test_a_return_in_time_takes_the_will_back_unless_it_ends_the_session(clean: bool) -> None:
    rig = Rig()
    _, watcher, _ = rig.connect("watcher")
    watcher.subscriptions["will"] = wanted("will")
    client, session, _ = rig.connect("s", expiry=100, will=will(), will_delay=5)
    rig.hub.detach(client, session)
    rig.pass_time(4)
    assert rig.connect("s", clean=clean)[2] is not clean
    rig.pass_time(10)
    assert rig.drain(watcher) == ([b"gone"] if clean else [])


def test_messages_expire_while_they_wait() -> None:
    rig = Rig()
    _, session, _ = rig.connect("s", expiry=FOR_EVER)
    session.subscriptions["a"] = wanted("a")
    rig.publish("a", b"short", lifetime=5)
    rig.publish("a", b"long", lifetime=50)
    rig.publish("a", b"kept", retain=True, lifetime=5)
    rig.pass_time(4)
    assert [message.payload for message, _ in rig.hub.retained([wanted("#")])] == [b"kept"]
    rig.pass_time(1)
    assert rig.drain(session) == [b"long"]
    assert list(rig.hub.retained([wanted("#")])) == []


def test_retained_copies_that_wait_do_not_pile_up() -> None:
    """However often a client subscribes that takes nothing."""
    rig = Rig(retained_messages=3)
    _, session, _ = rig.connect("s")
    for turn in range(100):
        for topic in ("a", "b", "c"):
            rig.publish(topic, b"%d" % turn, retain=True)
        for message, qos in rig.hub.retained([wanted("#")]):
            session.add_kept(message, qos)
    assert rig.drain(session) == [b"99"] * 3
    assert session._bytes == 0


def test_a_will_does_not_pile_up() -> None:
    rig = Rig(queue_messages=2)
    _, watcher, _ = rig.connect("watcher")
    watcher.subscriptions["will"] = wanted("will")
    for _ in range(10):
        client, session, _ = rig.connect("s", will=will())
        rig.hub.detach(client, session)
    assert rig.drain(watcher) == [b"gone"] * 2


def test_a_will_that_cannot_be_retained_is_told() -> None:
    rig = Rig(retained_messages=0)
    client, session, _ = rig.connect("s", will=Message("will", b"gone", 1, True))
    rig.hub.detach(client, session)
    assert "no room for another retained message" in str(rig.problems[0])


def test_all_or_none() -> None:
    rig = Rig(queue_messages=1)
    sessions = [rig.connect(name)[1] for name in "ab"]
    sessions[0].subscriptions["x"] = sessions[0].subscriptions["y"] = wanted("#")
    sessions[1].subscriptions["y"] = wanted("y")
    assert rig.publish("x")
    assert not rig.publish("y", b"z", retain=True)
    assert list(rig.hub.retained([wanted("#")])) == []
    assert rig.drain(sessions[1]) == []
    assert rig.drain(sessions[0]) == [b"x"]
    assert rig.publish("y", b"z")
    assert [rig.drain(session) for session in sessions] == [[b"z"], [b"z"]]


@given(st.lists(st.sampled_from(["add", "send", "acknowledge", "last", "cut"]), max_size=80), st.integers(1, 4))
def test_a_session_loses_nothing_and_keeps_its_order(steps: list[str], window: int) -> None:
    """Against a list: what was added is, until it is acknowledged, sent or waiting, each under one identifier."""
    session = Session("s", Limits())
    added: list[Delivery] = []
    sent: list[Delivery] = []
    done: list[Delivery] = []
    identifiers: dict[int, int] = {}
    for number, step in enumerate(steps):
        if step == "add":
            added.append(Delivery(Message("t", b"%d" % number, 1, False), 1, False))
            session.add(added[-1])
        elif step == "send":
            if (delivery := session.next(window, 0)) is not None:
                assert delivery.again is (id(delivery) in identifiers)
                assert identifiers.setdefault(id(delivery), delivery.packet_id) == delivery.packet_id
                sent.append(delivery)
                assert len({each.packet_id for each in sent}) == len(sent) <= window
            else:
                assert len(sent) == window or len(sent) + len(done) == len(added)
        elif step == "cut":
            session.resume()
            sent.clear()
        elif sent:
            done.append(sent.pop(-1 if step == "last" else 0))
            session.acknowledge(done[-1].packet_id)
    assert session._bytes == sum(each.message.size for each in added) - sum(each.message.size for each in done)
    session.resume()
    rest = []
    while (delivery := session.next(0xFFFF, 0)) is not None:
        rest.append(delivery)
    assert [id(each) for each in rest] == [id(each) for each in added if each not in done]
    assert session._bytes == sum(each.message.size for each in rest)


def test_identifiers_come_round_again() -> None:
    session = Session("s", Limits())
    session.add(Delivery(Message("t", b"", 1, False), 1, False))
    first = session.next(10, 0)
    assert first is not None
    assert first.packet_id == 1
    seen = []
    for _ in range(0x10000):
        session.add(Delivery(first.message, 1, False))
        delivery = session.next(10, 0)
        assert delivery is not None
        seen.append(delivery.packet_id)
        session.acknowledge(delivery.packet_id)
    assert seen[:2] == [2, 3]
    assert seen[-3:] == [0xFFFF, 2, 3]
