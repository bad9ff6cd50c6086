"""Subscribers that do not read, fall behind, are too many; a node that stops."""

from __future__ import annotations

import socket
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from tests.builders import TWIN
from tests.server.events_rig import DEVICE, FLEET, SECOND, Node, Sse, running
from twinproof.server.events import EventLimits
from twinproof.twin.columns import COLUMNS, format_columns

ENTRIES = 20_000
HIGH_WATER = 64 * 1024
"""Bytes at which uvicorn's transport says that it has enough."""
SMALL = 4096
"""A receive buffer that fills soon."""


def wide(node: Node, count: int) -> None:
    """Put statements in the script whose events have some 20 kB: a few hundred fill all buffers of the system."""
    for number in range(count):
        columns = [(f"T{column}", "K", [600.0 + row / 7 + number for row in range(100)]) for column in range(10)]
        node.script.say(DEVICE, TWIN, COLUMNS, format_columns(1_700_000_000 + number, columns, step=1))


def test_a_subscriber_that_never_reads_takes_no_memory_and_holds_up_nobody(tmp_path: Path) -> None:
    limits = EventLimits(stall_seconds=3600, tail_entries=1024)
    with running(tmp_path / "node", limits) as node:
        quiet = [Sse(node.address, {"after": -1}, receive_buffer=SMALL) for _ in range(3)]
        with node.sse() as stream:
            first = stream.next("ready")["next"]
            wide(node, 300)
            for number in range(ENTRIES):
                node.script.record(SECOND, number / 7)
            largest = 0
            while node.size < len(node.script):
                raws = node.script.raws[node.size : node.size + 500]
                node.live.node.intake.submit(raws).result(60)
                largest = max(largest, node.buffered())
                # Who reads has everything that is published, though three others take nothing.
                assert stream.indices(node.size - 1) == list(range(first, node.size))
                first = node.size
        assert HIGH_WATER // 4 < largest <= 2 * HIGH_WATER + limits.write_bytes
        assert sum(chunk.bytes for chunk in node.hub._tail) <= limits.tail_bytes
        node.until(lambda: len(node.hub.subscribers) == len(quiet))
        assert all(subscriber.cursor < ENTRIES // 2 for subscriber in node.hub.subscribers)
        # One of them wakes up: it is told how far it is behind, and misses nothing.
        with quiet.pop() as late:
            found, told = [], None
            for event in late.events():
                if event["type"] == "lagging":
                    told = event
                elif event["type"] == "entry":
                    found.append(event["index"])
                    if found[-1] == node.size - 1:
                        break
            assert found == list(range(node.size))
            assert told is not None
            assert told["behind"] == told["size"] - told["next"] > limits.tail_entries
        for one in quiet:
            one.close()
        node.until(lambda: not node.hub.subscribers)


def test_a_stalled_subscriber_is_cut_off_and_resumes_without_loss(tmp_path: Path) -> None:
    with running(tmp_path / "node", EventLimits(stall_seconds=0.2)) as node:
        wide(node, 400)
        size = node.take()
        with Sse(node.address, {"after": -1}, receive_buffer=SMALL) as stalled:
            node.until(lambda: bool(node.hub.subscribers))
            node.until(lambda: not node.hub.subscribers)
            assert node.buffered() == 0
            found = []
            with pytest.raises((EOFError, ConnectionError)):
                found += [event["index"] for event in stalled.events() if event["type"] == "entry"]
            last = stalled.last_id
        assert last is not None
        assert int(last) < size - 1
        with node.sse(after=last) as again:
            assert again.indices(size - 1) == list(range(int(last) + 1, size))


def test_falling_out_of_the_ring_and_reading_from_the_log(tmp_path: Path) -> None:
    folder = tmp_path / "node"
    with running(folder, EventLimits(tail_entries=8)) as node:
        node.live.feed._ring = type(node.live.feed._ring)(maxlen=16)
        with node.sse(prefix=FLEET) as stream, node.sse() as steady:
            first = stream.next("ready")["next"]
            for number in range(30):
                size = node.record(*[number + i / 10 for i in range(10)])
                assert steady.indices(size - 1)[-1] == size - 1
            assert stream.indices(size - 1) == list(range(first, size))
        with node.sse(after=-1) as old:
            assert old.indices(size - 1) == list(range(size))


# --- too many ---------------------------------------------------------------------------------


def test_two_hundred_subscribers(tmp_path: Path) -> None:
    with running(tmp_path / "node") as node:
        twins = [f"{FLEET}engine/{number}" for number in range(20)]
        queries: list[dict[str, Any]] = [{}, {"prefix": FLEET}, {"where": "T24 >= 0"}]
        queries += [{"twin": twin} for twin in twins] * 10
        streams = [node.sse(**query) for query in queries[:200]]
        first = node.size
        for number in range(200):
            node.script.record(DEVICE, float(number), subject=twins[number % 20])
        size = node.take()
        for query, stream in zip(queries, streams, strict=False):
            wanted = list(range(first, size))
            if "twin" in query:
                wanted = wanted[twins.index(query["twin"]) :: 20]
            assert stream.indices(wanted[-1]) == wanted
            stream.close()
        node.until(lambda: not node.hub.subscribers)


def test_one_subscriber_too_many(tmp_path: Path) -> None:
    with running(tmp_path / "node", EventLimits(total=3, per_client=2)) as node:
        held = [node.sse(), node.sse()]
        with node.sse() as third:
            assert (third.status, third.headers["retry-after"]) == (429, "30")
            assert third.problem()["code"] == "rate-limited"
        held.pop().close()
        node.until(lambda: len(node.hub.subscribers) == 1)
        with node.sse() as third:
            assert third.status == 200
        held.pop().close()
    with running(tmp_path / "other", EventLimits(total=1)) as node, node.sse(), node.sse() as second:
        assert (second.status, second.problem()["code"]) == (503, "overloaded")


def test_nobody_subscribed_costs_nothing(tmp_path: Path) -> None:
    with running(tmp_path / "node") as node:
        assert node.live.feed._listeners == node.live.feed._listeners[:2]
        before = len(node.live.feed._listeners)
        with node.sse():
            assert len(node.live.feed._listeners) == before + 1
        node.until(lambda: len(node.live.feed._listeners) == before)
        assert not node.hub._tail


# --- the end ----------------------------------------------------------------------------------


def test_a_node_that_stops_ends_its_streams(tmp_path: Path) -> None:
    with running(tmp_path / "node") as node:
        streams = [node.sse(), node.sse(coalesce=60_000), node.sse(kind="alarm")]
        for stream in streams:
            stream.next("ready")
        size = node.record(1.0)
        assert streams[0].next()["index"] == size - 1
        assert streams[1].next("latest")["index"] == size - 1
        node.stop()
        for stream in streams:
            end = stream.next("end")
            assert (end["code"], end["next"]) == ("overloaded", size)
            assert list(stream.events()) == []
            assert stream.ended
            stream.close()
    with pytest.raises(OSError, match=r"."):
        socket.create_connection(node.address, timeout=5)


def test_a_subscriber_that_never_reads_does_not_hold_up_the_stop(tmp_path: Path) -> None:
    with running(tmp_path / "node", EventLimits(stall_seconds=3600)) as node:
        wide(node, 400)
        node.take()
        stalled = Sse(node.address, {"after": -1}, receive_buffer=SMALL)
        node.until(lambda: node.buffered() > HIGH_WATER // 2)
        start = monotonic()
        node.stop()
        node.until(lambda: not node.hub.subscribers and not node.server.server_state.connections)
        assert monotonic() - start < 10
        stalled.close()


def test_a_client_that_goes_away_is_forgotten(tmp_path: Path) -> None:
    with running(tmp_path / "node") as node:
        for _ in range(20):
            node.sse(after=-1).close()
        node.until(lambda: not node.hub.subscribers)
        node.record(1.0)
        with node.sse(after=-1) as stream:
            assert stream.indices(node.size - 1) == list(range(node.size))
