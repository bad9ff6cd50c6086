"""Many edge nodes, rebirth requests, STATE."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.edge.sparkplug.plant import NODE, START, EdgeNode, raw_of, topic_of
from twinproof.edge.sparkplug.codec import parse_payload
from twinproof.edge.sparkplug.events import Lost, Sample
from twinproof.edge.sparkplug.host import REBIRTH_PACE, Host, Publish, rebirth_request
from twinproof.edge.sparkplug.messages import Metric, Payload, Variant
from twinproof.edge.sparkplug.topics import (
    MessageType,
    Source,
    State,
    Topic,
    format_state,
    format_topic,
    parse_state,
    parse_topic,
    state_topic,
)
from twinproof.errors import Malformed


def test_topics() -> None:
    for text, topic in (
        ("spBv1.0/G/NBIRTH/e 1", Topic(MessageType.NBIRTH, Source("G", "e 1"))),
        ("spBv1.0/G/DDATA/e/d", Topic(MessageType.DDATA, Source("G", "e", "d"))),
    ):
        assert parse_topic(text) == topic
        assert format_topic(*topic) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "spBv1.0",
        "spAv1.0/G/NBIRTH/e",
        "spBv1.0/G/NBIRTH/e/d",
        "spBv1.0/G/DBIRTH/e",
        "spBv1.0/G/STATE/e",
        "spBv1.0/G/NODE/e",
        "spBv1.0//NDATA/e",
        "spBv1.0/G/NDATA/",
        "spBv1.0/G/NDATA/#",
        "spBv1.0/G/DDATA/e/d/x",
    ],
)
def test_other_topics_are_refused(text: str) -> None:
    with pytest.raises(Malformed, match="topic"):
        parse_topic(text)


@given(st.text(max_size=40))
def test_any_text_is_a_topic_or_refused(text: str) -> None:
    for candidate in (text, f"spBv1.0/{text}"):
        try:
            topic = parse_topic(candidate)
        except Malformed:
            continue
        assert format_topic(*topic) == candidate


def test_state() -> None:
    assert json.loads(format_state(State(True, 5))) == {"online": True, "timestamp": 5}
    assert parse_state(b'{"timestamp": 5, "online": false}') == State(False, 5)
    for wrong in (b"", b"ONLINE", b"[]", b'{"online":1,"timestamp":5}', b'{"online":true}', b"[" * 500, bytes(2000)):
        with pytest.raises(Malformed, match="STATE"):
            parse_state(wrong)
    with pytest.raises(Malformed, match="host"):
        state_topic("a/b")


def test_a_primary_host_says_that_it_is_online() -> None:
    host = Host(host_id="tp")
    will = host.will(START)
    assert will == Publish("spBv1.0/STATE/tp", b'{"online":false,"timestamp":1700000000000}', 1, True)
    [birth] = host.connected(START + 1).publish
    assert birth == Publish("spBv1.0/STATE/tp", b'{"online":true,"timestamp":1700000000000}', 1, True)
    # The will of an earlier connection arrives: it is contradicted.
    assert host.receive("spBv1.0/STATE/tp", b'{"online":false,"timestamp":1}', START + 2).publish == [birth]
    assert host.receive("spBv1.0/STATE/tp", birth.payload, START + 2).publish == []
    host.disconnected(START + 3)
    assert host.receive("spBv1.0/STATE/tp", b'{"online":false,"timestamp":1}', START + 4).publish == []
    assert Host().will(START) is None
    assert Host().connected(START).publish == []


def test_the_rebirth_request() -> None:
    message = rebirth_request(NODE, START)
    assert (message.topic, message.qos, message.retain) == ("spBv1.0/plant/NCMD/edge1", 0, False)
    assert parse_payload(message.payload) == Payload(
        1_700_000_000_000,
        (Metric("Node Control/Rebirth", timestamp=1_700_000_000_000, datatype=11, value=Variant("boolean", True)),),
    )


def test_messages_find_their_session() -> None:
    host, edge = Host(), EdgeNode()
    birth = edge.nbirth()
    outcome = host.receive(topic_of(birth), raw_of(birth), START)
    assert [e.value for e in outcome.events if isinstance(e, Sample)] == [1.0]
    assert [node.online for node in host.nodes] == [True]


def test_what_is_not_wanted_or_retained_or_ours_is_passed_over() -> None:
    birth = EdgeNode().nbirth()
    host = Host(wanted=lambda node: node.node == "other")
    assert host.receive(topic_of(birth), raw_of(birth), START).events == []
    assert not list(host.nodes)
    assert Host().receive(topic_of(birth), raw_of(birth), START, retained=True).events == []
    command = rebirth_request(NODE, START)
    assert Host().receive(command.topic, command.payload, START).events == []


def test_unreadable_payloads_are_losses_and_leave_a_gap() -> None:
    host, edge = Host(), EdgeNode()
    for message in (edge.nbirth(), edge.ndata(Speed=1.0)):
        host.receive(topic_of(message), raw_of(message), START)
    edge.ndata(Speed=2.0)
    [loss] = host.receive("spBv1.0/plant/NDATA/edge1", b"\xff\xff", START).events
    assert isinstance(loss, Lost)
    assert "NDATA" in loss.reason
    after = edge.ndata(Speed=3.0)
    assert host.receive(topic_of(after), raw_of(after), START).events == []
    outcome = host.tick(START + 2.1)
    assert [type(event).__name__ for event in outcome.events] == ["Lost", "Sample"]
    assert [message.topic for message in outcome.publish] == ["spBv1.0/plant/NCMD/edge1"]


def test_a_host_that_starts_does_not_make_all_born_at_once() -> None:
    host = Host()
    for number in range(50):
        data = EdgeNode().ndata(Speed=1.0)
        host.receive(f"spBv1.0/plant/NDATA/n{number}", raw_of(data), START)
    now, asked = START + 2.0, []
    assert host.due_in(START) == pytest.approx(2.0)
    for _ in range(40):
        asked.append(len(host.tick(now).publish))
        now += REBIRTH_PACE / 2
    assert max(asked) == 1
    assert 15 <= sum(asked) <= 21
    for _ in range(100):
        asked.append(len(host.tick(now).publish))
        now += REBIRTH_PACE
    assert sum(asked) == 50


def test_known_nodes_are_asked_after_a_reconnection() -> None:
    host, edge = Host(), EdgeNode()
    birth = edge.nbirth()
    host.receive(topic_of(birth), raw_of(birth), START)
    assert [type(e).__name__ for e in host.disconnected(START + 1).events] == ["Lost", "Marked"]
    host.connected(START + 5)
    assert [message.topic for message in host.tick(START + 5).publish] == ["spBv1.0/plant/NCMD/edge1"]


def test_the_number_of_nodes_is_limited() -> None:
    host = Host(max_nodes=2)
    data = raw_of(EdgeNode().nbirth())
    for number in range(3):
        outcome = host.receive(f"spBv1.0/plant/NBIRTH/n{number}", data, START)
    assert len(list(host.nodes)) == 2
    assert [type(event).__name__ for event in outcome.events] == ["Lost"]


@given(st.lists(st.tuples(st.sampled_from(["NBIRTH/e", "NDATA/e", "DBIRTH/e/d", "NDEATH/e"]), st.binary(max_size=20))))
def test_any_bytes_may_come(messages: list[tuple[str, bytes]]) -> None:
    host = Host()
    for topic, data in messages:
        host.receive(f"spBv1.0/g/{topic}", data, START)
    host.tick(START + 5)
