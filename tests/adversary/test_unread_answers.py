"""Clients that ask for large answers and do not read them: memory stays bounded, and everybody else is served."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import quote

import pytest

from tests.builders import DEVICE, TWIN, policy_of
from tests.node.bench import KEYS, Bench
from tests.server.inside import app_on, listening
from tests.server.process import Client
from twinproof.server import protocol, sending
from twinproof.twin.description import Description
from twinproof.twin.grants import Capability
from twinproof.verify import verify_bundle

BUNDLE = f"/bundle?sub={quote(TWIN, safe='')}"
TILE = "/tile/entries/000.p/101"
TEXTS = {f"text{number:02}": "x" * 3900 for number in range(15)}


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """A node with a twin whose bundle has about 6 MB, more than the sockets between two processes hold."""
    with Bench() as bench:
        bench.script.grant(DEVICE, {Capability.DESCRIBE})
        for _ in range(99):
            bench.script.describe(DEVICE, Description(set=TEXTS))
        bench.take(*bench.script.raws[1:])
        with listening(app_on(bench)) as made:
            yield made


def ask(client: Client, path: str, stack: ExitStack, buffer: int = 4096) -> socket.socket:
    """Ask for `path` on a connection that takes in little of it by itself; the answer has begun."""
    connection = stack.enter_context(socket.socket())
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    connection.settimeout(30)
    connection.connect(client.address)
    connection.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
    assert connection.recv(12) == b"HTTP/1.1 200"
    return connection


def read_on(connection: socket.socket) -> None:
    """Read to the end."""
    while connection.recv(65536):
        pass


def until_served(client: Client, path: str) -> bytes:
    """The answer once the server has noticed that the others are gone."""
    for _ in range(20_000):
        answer = client.get(path)
        if answer.status == 200:
            return answer.body
    raise AssertionError(f"{path} is not served any more")


@pytest.mark.parametrize("path", [BUNDLE, TILE])
def test_what_nobody_reads_is_bounded_together(client: Client, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setattr(sending, "MAX_HELD", 10_000_000)
    with ExitStack() as stack:
        for _ in range(2):
            ask(client, path, stack)
        for _ in range(3):
            answer = client.get(path)
            assert answer.status == 503
            assert answer.headers["retry-after"] == "5"
        assert client.get("/health").status == 200
        assert client.get("/tile/0/000.p/101").status == 200
    assert len(until_served(client, path)) > 5_000_000


def test_a_client_that_reads_nothing_is_cut_off(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "UNREAD_SECONDS", 0.1)
    monkeypatch.setattr(sending, "MAX_HELD", 1)
    with ExitStack() as stack:
        connection = ask(client, BUNDLE, stack)
        assert client.get(BUNDLE).status == 503
        until_served(client, BUNDLE)
        with pytest.raises(ConnectionResetError):
            read_on(connection)


def test_a_client_that_reads_slowly_gets_all_of_it(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "UNREAD_SECONDS", 0.1)
    monkeypatch.setattr(protocol, "READ_RATE", 1)
    whole = client.get(BUNDLE).body
    waits = 0
    with ExitStack() as stack:
        connection = ask(client, BUNDLE, stack, 100_000)
        answer = b""
        while len(answer.partition(b"\r\n\r\n")[2]) < len(whole):
            part = connection.recv(100_000)
            assert part
            answer += part
            waits += 1
            assert client.get(TILE).status == 200  # meanwhile time passes
    assert answer.partition(b"\r\n\r\n")[2] == whole
    assert waits > 10
    assert verify_bundle(whole, policy_of(*KEYS)).subject == TWIN
