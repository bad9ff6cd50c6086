"""Raw sockets: heads without end, slow bodies, clients that go away. Small real times stand for the long ones."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.builders import DEVICE
from tests.node.bench import Bench
from tests.server.inside import app_on, listening
from tests.server.process import PROBLEM, Served, make_folder, serve
from twinproof.proof import cbor
from twinproof.server import protocol
from twinproof.twin.grants import Capability

RECORD = {Capability.RECORD}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A node that waits one second for a body."""
    running = serve(make_folder(tmp_path_factory.mktemp("connections") / "node", rate=0, body_seconds=1))
    running.script.grant(DEVICE, RECORD)
    running.grow()
    try:
        yield running
    finally:
        running.client.close()
        assert running.node.stop() == 0


@contextmanager
def connected(address: tuple[str, int]) -> Iterator[socket.socket]:
    with socket.create_connection(address, timeout=30) as connection:
        yield connection


def read_all(connection: socket.socket) -> bytes:
    """What comes until the server closes."""
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionError:
        pass
    return b"".join(parts)


def exchange(address: tuple[str, int], *parts: bytes) -> bytes:
    """Send, and read until the server closes; it may close while this sends."""
    with connected(address) as connection:
        try:
            for part in parts:
                connection.sendall(part)
        except ConnectionError:
            pass
        return read_all(connection)


def refused(answer: bytes, status: int, detail: str) -> None:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), answer[:300]
    assert f"content-type: {PROBLEM}".encode() in head
    assert b"connection: close" in head
    assert f"content-length: {len(body)}".encode() in head
    assert cbor.decode(body)[-2].startswith(detail)


def post(raw: bytes, path: str = "/entries", kind: str = "application/cose") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: {kind}\r\ncontent-length: {len(raw)}\r\n\r\n"
    return head.encode() + raw


GET = b"GET /checkpoint HTTP/1.1\r\nhost: localhost\r\n"


# --- heads ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "head",
    [
        GET + b"x: " + b"y" * 70_000 + b"\r\n\r\n",
        GET + b"x: " + b"y" * 5_000_000 + b"\r\n\r\n",
        GET + b"x: y\r\n" * 20_000 + b"\r\n",
        GET + b"x" * 100_000 + b": y\r\n\r\n",
        b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /checkpoint?" + b"x" * 1_000_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n",
    ],
)
def test_heads_that_are_too_long(served: Served, head: bytes) -> None:
    # In pieces, so that the kernel cannot swallow all of it before the server says no.
    answer = exchange(served.node.address, *(head[at : at + 50_000] for at in range(0, len(head), 50_000)))
    if answer:  # unread bytes make the kernel reset the connection, which may overtake the answer
        refused(answer, 431, "too-large: headers: over 65536 bytes")
    assert served.client.get("/health").status == 200


def test_a_head_without_end_is_cut_off(served: Served) -> None:
    with connected(served.node.address) as connection:
        connection.sendall(GET)
        sent = 0
        try:
            while sent < 100_000_000:
                sent += connection.send(b"x-more: " + b"y" * 8000 + b"\r\n")
        except ConnectionError:
            pass
        assert sent < 100_000_000


def test_long_heads_are_taken(served: Served) -> None:
    head = GET + b"".join(b"x-%d: %s\r\n" % (number, b"y" * 1000) for number in range(60))
    answer = exchange(served.node.address, head + b"connection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
        b"hello\r\n\r\n",
        b"GET checkpoint HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nhost: x\r\n\r\n",
        GET + b"a b: c\r\n\r\n",
        GET + b"content-length: -1\r\n\r\n",
        GET + b"content-length: 1\r\ncontent-length: 2\r\n\r\n",
        GET + b"transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
        b"POST /entries HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
        b"GET /checkpoint HTTP/1.1\nhost : x\n\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_what_is_not_http(served: Served, data: bytes) -> None:
    before = served.head()
    answer = exchange(served.node.address, data, b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 4"), answer
    assert served.head() == before


@pytest.mark.parametrize("key", [b"x", b"AAAAAAAAAAAAAAAAAAAAAA=="])
def test_an_upgrade_where_there_is_no_websocket(served: Served, key: bytes) -> None:
    upgrade = b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: "
    answer = exchange(served.node.address, GET + upgrade + key + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 4"), answer
    assert served.client.get("/health").status == 200


def test_requests_in_a_row_without_waiting(served: Served) -> None:
    before = served.head()
    first, second = served.script.record(DEVICE, 1.0).raw, served.script.record(DEVICE, 2.0).raw
    last = GET + b"connection: close\r\n\r\n"
    answer = exchange(served.node.address, post(first) + post(second) + GET + b"\r\n" + last)
    assert answer.count(b"HTTP/1.1 201 Created") == 2
    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert served.head().size == before.size + 2


# --- slow clients -----------------------------------------------------------------------------


def test_a_body_that_does_not_come(served: Served) -> None:
    before = served.head()
    raw = served.script.draft(DEVICE, "urn:x", "application/senml+cbor", b"\x80")
    for request in (post(raw), post(raw, "/entries/batch", "application/cbor-seq")):
        answer = exchange(served.node.address, request[:-5])
        refused(answer, 408, "malformed: body: did not arrive within 1 s")
    assert served.head() == before


def test_a_connection_on_which_nothing_comes_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.2)
    with Bench() as bench, listening(app_on(bench)) as client:
        for started in (
            [],
            [b"GET /checkpoint HT"],
            [b"\r\n"],
            [GET + b"\r\n"],
            [GET + b"\r\n\r\n"],
            [GET + b"\r\nGE"],
        ):
            answer = exchange(client.address, *started)
            assert answer.startswith(b"HTTP/1.1 200 OK") == (b"\r\n\r\n" in b"".join(started))


def test_an_answer_that_takes_long_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.1)
    with Bench() as bench, listening(app_on(bench)) as client, connected(client.address) as connection:
        raw = bench.script.grant(DEVICE, RECORD).raw
        bench.store.shut()
        connection.sendall(post(raw))
        assert bench.store.waiting.wait(30)
        connection.settimeout(0.5)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        bench.store.gate.set()
        connection.settimeout(30)
        assert read_all(connection).startswith(b"HTTP/1.1 201 Created")


# --- clients that go away ---------------------------------------------------------------------


def test_a_client_that_hangs_up_anywhere(served: Served) -> None:
    """Its statements are there or not, never in part; sent again they get their indices."""
    script = served.script
    size = served.head().size
    for number in range(24):
        raws = [script.record(DEVICE, float(number)).raw, script.record(DEVICE, number / 7).raw]
        request = post(b"".join(raws), "/entries/batch", "application/cbor-seq") if number % 2 else post(raws[0])
        cut = len(request) * (number // 2) // 9 if number < 18 else len(request)
        with connected(served.node.address) as connection:
            connection.sendall(request[:cut])
            if number % 3 == 0:
                # Reset instead of a friendly end.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        assert served.client.take(*raws) == [size, size + 1]
        size += 2
    assert served.head().size == size == len(script)
    entries = [served.client.get(f"/entries/{index}/statement").body for index in range(size)]
    assert entries == script.raws


def test_a_client_that_does_not_read_its_answer(served: Served, tmp_path: Path) -> None:
    with connected(served.node.address) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall((GET + b"\r\n") * 2000)
        assert served.client.get("/health").status == 200
    assert served.client.get("/health").status == 200
