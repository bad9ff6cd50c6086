"""Subscriptions by WebSocket: batches, changes of the filter, back-pressure, closing codes. A foreign client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import HTTPConnection as Connection
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.builders import OTHER_TWIN, TWIN
from tests.server.events_rig import FLEET, PATIENCE, Node, path_of, running
from tests.server.events_rig import connect as connect_socket
from tests.server.test_events_faults import HIGH_WATER, SMALL, wide
from twinproof.errors import Unauthenticated
from twinproof.server.events import EventLimits
from twinproof.server.events_stream import Reader


class Socket:
    """Reads messages, each a JSON array of events."""

    def __init__(
        self, node: Node, query: dict[str, Any], *, origin: str | None = None, receive_buffer: int = 0
    ) -> None:
        host, port = node.address
        path = path_of(query).replace("/events?", "/events/ws?")
        self._opened = connect(
            f"ws://{host}:{port}{path}",
            sock=connect_socket(node.address, receive_buffer=receive_buffer),
            origin=origin,  # type: ignore[arg-type]
            max_size=None,
            max_queue=1,
            compression=None,
            open_timeout=PATIENCE,
        )
        self.connection: ClientConnection = self._opened.__enter__()
        self._events: list[dict[str, Any]] = []

    def __enter__(self) -> Socket:
        return self

    def __exit__(self, *_: Any) -> None:
        self._opened.__exit__(None, None, None)

    def send(self, message: object) -> None:
        self.connection.send(message if isinstance(message, str | bytes) else json.dumps(message))

    def next(self, kind: str = "entry") -> dict[str, Any]:
        """The next event of this type; others are passed over."""
        while True:
            while self._events:
                event = self._events.pop(0)
                if event["type"] == kind:
                    return event
            self._events = json.loads(self.connection.recv(PATIENCE))
            assert self._events

    def indices(self, until: int) -> list[int]:
        found = [self.next()["index"]]
        while found[-1] < until:
            found.append(self.next()["index"])
        return found


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with running(tmp_path_factory.mktemp("socket") / "node", EventLimits(heartbeat_seconds=0.05)) as started:
        started.record(1.0, 2.0, 3.0)
        yield started


def test_entries_come_in_order(node: Node) -> None:
    with Socket(node, {"after": -1}) as stream:
        assert stream.next("ready")["next"] == 0
        assert stream.indices(node.size - 1) == list(range(node.size))
        first = node.size
        size = node.record(*map(float, range(50)))
        assert stream.indices(size - 1) == list(range(first, size))


def test_the_filter_can_be_changed(node: Node) -> None:
    with Socket(node, {"twin": TWIN}) as stream:
        first = stream.next("ready")["next"]
        node.record(1.0)
        node.record(2.0, subject=OTHER_TWIN)
        assert stream.next()["index"] == first
        stream.send({"twins": [OTHER_TWIN]})
        assert stream.next("ready")["next"] == first + 2
        node.record(3.0)
        size = node.record(4.0, subject=OTHER_TWIN)
        assert stream.next()["index"] == size - 1
        # Back to what was not wanted before, and with proofs.
        stream.send({"prefixes": [FLEET], "after": first, "proofs": True, "where": "T24 <= 3"})
        assert stream.next("ready")["next"] == first + 1
        found = [stream.next(), stream.next()]
        assert [event["index"] for event in found] == [first + 1, first + 2]
        assert all(event["transparent"] for event in found)
        stream.send({"coalesce": 10, "after": -1})
        stream.next("ready")
        assert {twin["twin"] for twin in stream.next("latest")["twins"]} >= {TWIN, OTHER_TWIN}


@pytest.mark.parametrize(
    "message",
    [
        "",
        "[]",
        "null",
        "{",
        '{"twin": []}',
        '{"twins": "urn:x:y"}',
        '{"twins": ["x"]}',
        '{"kinds": [["readings"]]}',
        '{"where": "T24 >"}',
        '{"where": 1}',
        '{"after": "1"}',
        '{"after": -2}',
        '{"after": 1.5}',
        '{"after": true}',
        '{"after": 99999999}',
        '{"after": 1e400}',
        '{"proofs": 1}',
        '{"coalesce": 1}',
        '{"coalesce": "100"}',
        '{"coalesce": 100, "proofs": true}',
        "[" * 50_000,
        "9" * 5000,
        b"\x00",
    ],
    ids=lambda message: str(message)[:30] or "empty",
)
def test_a_filter_that_is_refused_leaves_the_old_one(node: Node, message: str | bytes) -> None:
    with Socket(node, {"twin": TWIN}) as stream:
        stream.next("ready")
        stream.send(message)
        assert stream.next("refused")["code"] in ("malformed", "too-large")
        node.record(2.0, subject=OTHER_TWIN)
        size = node.record(1.0)
        assert stream.next()["index"] == size - 1


def test_a_message_that_is_too_large_closes(node: Node) -> None:
    with Socket(node, {}) as stream:
        stream.next("ready")
        stream.send(" " * 70_000)
        with pytest.raises(ConnectionClosedError) as caught:
            stream.next("never")
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1009
    node.until(lambda: not node.hub.subscribers)


def status_of(node: Node, query: dict[str, Any], origin: str | None = None) -> tuple[int, str]:
    with pytest.raises(InvalidStatus) as caught:
        Socket(node, query, origin=origin)
    response = caught.value.response
    return response.status_code, json.loads(response.body or b"{}")["code"]


def test_what_is_refused(node: Node) -> None:
    assert status_of(node, {"where": "x"}) == (400, "malformed")
    assert status_of(node, {"after": 99999999}) == (400, "malformed")


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://[", "http://127.0.0.1:1"])
def test_pages_of_other_sites(node: Node, origin: str) -> None:
    assert status_of(node, {}, origin) == (403, "access-denied")


def test_a_page_of_the_node_itself(node: Node) -> None:
    host, port = node.address
    with Socket(node, {}, origin=f"http://{host}:{port}") as stream:
        assert stream.next("ready")


def test_a_connection_outlives_the_time_for_a_request_head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twinproof.server.protocol.HEAD_SECONDS", 0.1)
    with running(tmp_path / "node", EventLimits(heartbeat_seconds=0.05)) as node, Socket(node, {}) as stream:
        for _ in range(10):
            stream.next("progress")
        size = node.record(1.0)
        assert stream.next()["index"] == size - 1


def test_one_subscriber_too_many(tmp_path: Path) -> None:
    with running(tmp_path / "node", EventLimits(per_client=1)) as node, Socket(node, {}):
        assert status_of(node, {}) == (429, "rate-limited")


def test_a_node_that_stops(tmp_path: Path) -> None:
    with running(tmp_path / "node") as node:
        stream = Socket(node, {})
        stream.next("ready")
        node.stop()
        assert stream.next("end")["next"] == node.size
        with pytest.raises(ConnectionClosed) as caught:
            stream.next("never")
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1012


class Expiring:
    """Lets everything be read until it does not hold."""

    reads_all = True
    holds = True

    def covers(self, subject: str) -> bool:
        return True

    async def __call__(self, connection: Connection) -> Reader:
        if not self.holds:
            raise Unauthenticated("the token has expired")
        return self


def test_a_token_that_ends(tmp_path: Path) -> None:
    token = Expiring()
    with running(tmp_path / "node", EventLimits(heartbeat_seconds=0.02), token) as node:
        stream = Socket(node, {})
        stream.next("ready")
        token.holds = False
        assert stream.next("end")["code"] == "unauthenticated"
        with pytest.raises(ConnectionClosed) as caught:
            stream.next("never")
        assert caught.value.rcvd is not None
        assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (1008, "unauthenticated")
        assert status_of(node, {}) == (401, "unauthenticated")


def test_a_client_that_never_reads_is_bounded_and_cut_off(tmp_path: Path) -> None:
    limits = EventLimits(stall_seconds=0.5)
    with running(tmp_path / "node", limits) as node:
        wide(node, 400)
        size = node.take()
        stream = Socket(node, {"after": -1}, receive_buffer=SMALL)
        node.until(lambda: node.buffered() > HIGH_WATER // 2)
        largest = 0

        def cut() -> bool:
            nonlocal largest
            largest = max(largest, node.buffered())
            return not node.hub.subscribers

        node.until(cut)
        assert largest <= 2 * HIGH_WATER + limits.write_bytes
        found: list[int] = []
        with pytest.raises(ConnectionClosed):
            found.extend(stream.next()["index"] for _ in range(size))
        last = found[-1]
        assert last < size - 1
        with Socket(node, {"after": last}) as again:
            assert again.indices(size - 1) == list(range(last + 1, size))
