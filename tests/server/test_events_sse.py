"""Server-sent events of a live node: order, resumption, filters, proofs, refusals."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import HTTPConnection as Connection

from tests.builders import OTHER_TWIN, TWIN
from tests.server.events_rig import DEVICE, FLEET, SECOND, Node, Sse, path_of, running
from twinproof.errors import AccessDenied, TwinproofError, Unauthenticated
from twinproof.node.node import POLICY
from twinproof.proof.policy import parse_policy
from twinproof.server.events import EventLimits
from twinproof.server.events_stream import Reader
from twinproof.verify import verify_transparent


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """With a short heartbeat."""
    with running(tmp_path_factory.mktemp("events") / "node", EventLimits(heartbeat_seconds=0.05)) as started:
        started.record(*map(float, range(20)))
        started.record(*map(float, range(100, 120)), by=SECOND, subject=OTHER_TWIN)
        yield started


def test_a_stream_begins_with_where_it_is(node: Node) -> None:
    with node.sse() as stream:
        assert (stream.status, stream.headers["content-type"]) == (200, "text/event-stream")
        assert (stream.headers["cache-control"], stream.headers["x-accel-buffering"]) == ("no-store", "no")
        size = node.size
        assert stream.next("ready") == {"type": "ready", "next": size, "size": size}
        assert stream.last_id == str(size - 1)


def test_new_entries_come_in_order_and_once(node: Node) -> None:
    with node.sse() as stream:
        first = stream.next("ready")["next"]
        node.record(1.0, 2.0, 3.0)
        size = node.record(4.0)
        assert stream.indices(size - 1) == list(range(first, size))
        assert stream.last_id == str(size - 1)


def test_the_whole_log_from_minus_one(node: Node) -> None:
    size = node.size
    with node.sse(after=-1) as stream:
        found = stream.entries(size)
    assert [event["index"] for event in found] == list(range(size))
    for event, raw in zip(found, node.script.raws, strict=False):
        statement = node.script.statement(event["index"])
        assert event["digest"] == statement.digest.hex()
        assert statement.raw == raw


def test_a_heartbeat_moves_the_id_past_what_is_not_wanted(node: Node) -> None:
    with node.sse(kind="alarm", after=-1) as stream:
        size = node.size
        while stream.next("progress")["next"] < size:
            pass
        assert int(stream.last_id or "") >= size - 1


def expected(node: Node, query: dict[str, Any]) -> list[int]:
    """Indices that a query wants, found the slow way."""
    twins, kinds = query.get("twin"), query.get("kind")
    wanted = []
    for index in range(len(node.script)):
        statement = node.script.statement(index)
        kind = "readings" if "senml" in statement.content_type else "other"
        if (not twins or statement.subject in twins) and (not kinds or kind in kinds):
            wanted.append(index)
    return wanted


FILTERS: list[dict[str, Any]] = [{}, {"twin": [TWIN]}, {"twin": [TWIN, OTHER_TWIN]}, {"kind": ["readings"]}]


@settings(max_examples=40)
@given(st.sampled_from(FILTERS), st.lists(st.tuples(st.integers(0, 9), st.booleans(), st.booleans()), max_size=8))
def test_nothing_is_lost_or_twice_however_often_the_connection_breaks(
    node: Node, query: dict[str, Any], breaks: list[tuple[int, bool, bool]]
) -> None:
    """Read some events, hang up, log more meanwhile or not, come back by header or by query; then read to the end."""
    found: list[int] = []
    last: str | None = "-1"
    for count, by_header, more in breaks:
        stream = come_back(node, query, last, by_header)
        with stream:
            for event in stream.events():
                if event["type"] == "entry":
                    found.append(event["index"])
                if count == 0:
                    break
                count -= 1
            last = stream.last_id or last
        if more:
            node.record(1.0)
    size = node.record(5.0, 6.0)
    with come_back(node, query, last, True) as stream:
        for event in stream.events():
            if event["type"] == "entry":
                found.append(event["index"])
            if int(stream.last_id or "-1") >= size - 1:
                break
    assert found == expected(node, query)


def come_back(node: Node, query: dict[str, Any], last: str | None, by_header: bool) -> Sse:
    if by_header:
        # The query is older: browsers come back with the first one.
        return Sse(node.address, {**query, "after": 0}, {"Last-Event-ID": str(last)})
    return Sse(node.address, {**query, "after": str(last)})


@pytest.mark.parametrize("step", [1, 3])
def test_resuming_at_every_index(node: Node, step: int) -> None:
    size = node.size
    for after in range(-1, size - 1, step):
        with node.sse(after=after) as stream:
            assert stream.next()["index"] == after + 1


def test_filters_and_conditions(node: Node) -> None:
    with (
        node.sse(twin=OTHER_TWIN) as other,
        node.sse(prefix=FLEET, where="T24 > 645 and T24 < 647") as warm,
        node.sse(issuer=SECOND.issuer, kind=["readings", "columns"]) as second,
        node.sse(where='mode = "x" or gone = true') as nothing,
    ):
        for stream in (other, warm, second, nothing):
            stream.next("ready")
        start = node.size
        node.record(640.0, 646.0)
        node.record(650.0, by=SECOND, subject=OTHER_TWIN)
        node.record(646.5, by=SECOND)
        assert [event["index"] - start for event in other.entries(1)] == [2]
        assert [event["index"] - start for event in warm.entries(2)] == [1, 3]
        assert [event["index"] - start for event in second.entries(2)] == [2, 3]
        for event in nothing.events():
            assert event["type"] == "progress"
            if event["next"] == node.size:
                break


def test_proofs_hold(node: Node) -> None:
    policy = parse_policy((node.live.node.folder / POLICY).read_bytes())
    keys = {signer.issuer: signer.key.public for signer in (DEVICE, SECOND)}
    size = node.record(7.0)
    with node.sse(after=-1, proofs=1, prefix=FLEET) as stream:
        found = [stream.next()]
        while found[-1]["index"] < size - 1:
            found.append(stream.next())
        node.record(8.0)
        found.append(stream.next())
    for event in found:
        verified = verify_transparent(b64decode(event["transparent"]), policy, keys[event["issuer"]])
        assert verified.statement.raw == node.script.raws[event["index"]]
        assert verified.statement.digest.hex() == event["digest"]
    swapped = b64decode(found[0]["transparent"])[:-1] + b"\x00"
    with pytest.raises(TwinproofError):
        verify_transparent(swapped, policy, keys[found[0]["issuer"]])


def test_coalesced_streams_show_the_newest_and_resume(node: Node) -> None:
    with node.sse(coalesce=10, prefix=FLEET, after=-1) as stream:
        seen: dict[str, Any] = {}
        event = stream.next("latest")
        assert event["since"] == -1
        covered = event["index"]
        seen |= {twin["twin"]: twin for twin in event["twins"]}
        size = node.record(700.0, 701.0, 702.0)
        while covered < size - 1:
            event = stream.next("latest")
            assert event["since"] >= covered
            covered = event["index"]
            seen |= {twin["twin"]: twin for twin in event["twins"]}
    assert seen[TWIN]["readings"]["T24"] | {"time": 0} == {"value": 702.0, "unit": "K", "time": 0, "index": size - 1}
    with node.sse(coalesce=10, after=stream.last_id) as again:
        more = node.record(703.0)
        event = again.next("latest")
        assert (event["since"], event["index"]) == (size - 1, more - 1)
        assert event["twins"][0]["kinds"] == {"readings": 1}


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"after": "x"}, "after"),
    ({"after": "-2"}, "after"),
    ({"after": "+5"}, "after"),
    ({"after": "1_0"}, "after"),
    ({"after": "01"}, "after"),
    ({"after": ""}, "after"),
    ({"after": "9" * 40}, "after"),
    ({"after": "99999999"}, "after"),
    ({"after": ["1", "2"]}, "after"),
    ({"proofs": "yes"}, "proofs"),
    ({"coalesce": "0"}, "coalesce"),
    ({"coalesce": "5"}, "coalesce"),
    ({"coalesce": "60001"}, "coalesce"),
    ({"coalesce": "1e3"}, "coalesce"),
    ({"coalesce": "100", "proofs": "1"}, "proofs"),
    ({"twin": "no iri"}, "twin"),
    ({"prefix": ""}, "prefix"),
    ({"kind": "reading"}, "kind"),
    ({"issuer": "x"}, "issuer"),
    ({"where": "T24 >"}, "where"),
    ({"where": ["a = 1", "b = 1"]}, "where"),
    ({"twins": TWIN}, "query"),
]


@pytest.mark.parametrize(("query", "field"), REFUSED, ids=[path_of(query)[15:] for query, _ in REFUSED])
def test_what_is_refused(node: Node, query: dict[str, Any], field: str) -> None:
    with Sse(node.address, query) as stream:
        assert stream.status == 400
        problem = stream.problem()
    assert (problem["code"] in ("malformed", "too-large"), problem["field"]) == (True, field)


@pytest.mark.parametrize("last", ["x", "-2", "99999999"])
def test_last_event_ids_that_are_none(node: Node, last: str) -> None:
    with Sse(node.address, {}, {"Last-Event-ID": last}) as stream:
        assert (stream.status, stream.problem()["field"]) == (400, "after")


def test_only_get(node: Node) -> None:
    connection = HTTPConnection(*node.address, timeout=30)
    connection.request("HEAD", path_of({}))
    answer = connection.getresponse()
    assert (answer.status, answer.headers["content-type"], answer.read()) == (
        200,
        "text/event-stream; charset=utf-8",
        b"",
    )
    connection.close()
    connection.request("POST", path_of({}), b"{}")
    assert connection.getresponse().status == 405
    connection.close()


# --- who may read -----------------------------------------------------------------------------


class Token:
    """Reads one twin, as long as it holds."""

    def __init__(self) -> None:
        self.holds = True
        self.reads_all = False
        self.twins = {TWIN}

    def covers(self, subject: str) -> bool:
        return subject in self.twins

    async def __call__(self, connection: Connection) -> Reader:
        if not self.holds or "authorization" not in connection.headers:
            raise Unauthenticated("no token that holds")
        return self


def test_a_token_shows_its_twins_only_and_ends_with_it(tmp_path: Path) -> None:
    token = Token()
    with running(tmp_path / "node", EventLimits(heartbeat_seconds=0.02), token) as node:
        node.record(1.0)
        node.record(2.0, subject=OTHER_TWIN)
        node.record(3.0)
        with Sse(node.address, {"after": -1}) as stream:
            assert (stream.status, stream.headers["www-authenticate"]) == (401, 'Bearer realm="twinproof"')
            assert stream.problem()["code"] == Unauthenticated.code
        shown = {"authorization": "Bearer x"}
        with Sse(node.address, {"twin": OTHER_TWIN}, shown) as stream:
            assert (stream.status, stream.problem()["code"]) == (403, AccessDenied.code)
        with Sse(node.address, {"after": -1, "prefix": FLEET}, shown) as stream:
            assert [event["twin"] for event in stream.entries(2)] == [TWIN, TWIN]
            token.twins.add(OTHER_TWIN)
            node.record(4.0, subject=OTHER_TWIN)
            assert stream.next()["twin"] == OTHER_TWIN
            token.holds = False
            end = stream.next("end")
            assert (end["code"], end["next"]) == (Unauthenticated.code, node.size)
            assert list(stream.events()) == []
            assert stream.ended
        node.until(lambda: not node.hub.subscribers)


def test_a_coalesced_stream_shows_no_other_twin(tmp_path: Path) -> None:
    with running(tmp_path / "node", None, Token()) as node:
        node.record(1.0)
        node.record(2.0, subject=OTHER_TWIN)
        with Sse(node.address, {"after": -1, "coalesce": 10}, {"authorization": "Bearer x"}) as stream:
            event = stream.next("latest")
    assert [twin["twin"] for twin in event["twins"]] == [TWIN]
    assert OTHER_TWIN not in json.dumps(event)
