"""SIGTERM while requests are under way, addresses that cannot be had, folders that are taken."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from threading import Thread

import pytest

from tests.builders import Log, Signer, signer
from tests.server.process import Client, NodeProcess, Served, StartFailed, make_folder, serve
from twinproof.errors import ConfigError
from twinproof.node.node import read_node
from twinproof.server.run import listen
from twinproof.twin.grants import Capability

RECORD = {Capability.RECORD}
DEVICES = [signer(f"urn:example:device:{number}", 40 + number) for number in range(3)]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    running = serve(make_folder(tmp_path / "node", rate=0))
    for device in DEVICES:
        running.script.grant(device, RECORD)
    running.grow()
    try:
        yield running
    finally:
        running.client.close()
        running.node.kill()


class Sender(Thread):
    """A device that sends batches until it is refused; what was acknowledged, by index."""

    def __init__(self, address: tuple[str, int], device: Signer) -> None:
        super().__init__()
        self.client = Client(address)
        self.device = device
        self.script = Log(empty=True)
        self.acknowledged: dict[int, bytes] = {}
        self.last: object = None

    def run(self) -> None:
        while True:
            raws = [self.script.record(self.device, number / 7).raw for number in range(20)]
            try:
                answer = self.client.batch(raws)
            except (OSError, HTTPException) as problem:
                self.last = problem
                return
            if answer.status != 200:
                self.last = answer
                return
            for raw, result in zip(raws, answer.value["results"], strict=True):
                assert result["status"] == 201, result
                self.acknowledged[result["index"]] = raw


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_graceful_stop(served: Served, how: signal.Signals) -> None:
    senders = [Sender(served.node.address, device) for device in DEVICES]
    for sender in senders:
        sender.start()
    while min(len(sender.acknowledged) for sender in senders) < 60:
        assert all(sender.is_alive() for sender in senders)
    served.node.process.send_signal(how)
    assert served.node.ended() == 0
    acknowledged: dict[int, bytes] = {}
    for sender in senders:
        sender.join(30)
        assert sender.last is not None
        sender.client.close()
        acknowledged |= sender.acknowledged
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(served.node.address, timeout=5)
    with read_node(served.node.folder) as node:
        size = node.reader.head().size
        entries = node.reader.entries(0, size)
    assert {index: entries[index] for index in acknowledged} == acknowledged
    assert len(set(entries)) == size
    again = serve(served.node.folder)
    try:
        assert again.client.take(*acknowledged.values()) == list(acknowledged)
    finally:
        again.client.close()
        assert again.node.stop() == 0


def half_sent(served: Served) -> tuple[socket.socket, bytes]:
    raw = served.script.record(DEVICES[0], 1.0).raw
    head = f"POST /entries HTTP/1.1\r\nhost: x\r\ncontent-type: application/cose\r\ncontent-length: {len(raw)}\r\n\r\n"
    connection = socket.create_connection(served.node.address, timeout=30)
    connection.sendall(head.encode() + raw[:10])
    # An answer on another connection: by then the node has seen the first one's head.
    assert served.client.get("/health").status == 200
    return connection, raw[10:]


def wait_until_refused(served: Served) -> None:
    """Until the node no longer listens: it has seen the signal."""
    while True:
        try:
            socket.create_connection(served.node.address, timeout=5).close()
        except ConnectionRefusedError:
            return
        except ConnectionResetError:
            pass  # it was in the queue of a socket that is being closed


def test_a_request_under_way_is_finished(served: Served) -> None:
    connection, rest = half_sent(served)
    with connection:
        served.node.process.send_signal(signal.SIGTERM)
        wait_until_refused(served)
        connection.sendall(rest)
        answer = b""
        while part := connection.recv(65536):
            answer += part
        assert answer.startswith(b"HTTP/1.1 201 Created")
    assert served.node.ended() == 0


def test_a_second_signal_does_not_wait(served: Served) -> None:
    connection, _ = half_sent(served)
    with connection:
        served.node.process.send_signal(signal.SIGTERM)
        wait_until_refused(served)
        served.node.process.send_signal(signal.SIGTERM)
        assert served.node.ended() == 0
    again = serve(served.node.folder)
    assert again.head().size == 1 + len(DEVICES)
    again.client.close()
    assert again.node.stop() == 0


def test_stopping_an_idle_node_with_connections_open(served: Served) -> None:
    with socket.create_connection(served.node.address) as idle:
        served.client.get("/health")
        assert served.node.stop() == 0
        assert idle.recv(1) == b""


# --- starting ---------------------------------------------------------------------------------


def test_a_folder_that_is_being_served(served: Served) -> None:
    with pytest.raises(StartFailed, match="already being served") as caught:
        NodeProcess(served.node.folder)
    assert caught.value.exit_code != 0
    assert "Traceback" not in caught.value.text
    assert served.client.get("/health").status == 200


def test_a_folder_that_is_no_node(tmp_path: Path) -> None:
    with pytest.raises(StartFailed, match="make one with: twinproof init") as caught:
        NodeProcess(tmp_path)
    assert "Traceback" not in caught.value.text


def test_addresses_that_cannot_be_had() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"cannot listen on 127\.0\.0\.1:{port}: Address already in use"):
            listen("127.0.0.1", port)
    for host in ("192.0.2.1", "no-such-host.invalid", "a" * 300, "\udcff", "x..y"):
        with pytest.raises(ConfigError, match=r"cannot listen on .*see \[listen\] in twinproof\.toml"):
            listen(host, 0)


def test_both_families() -> None:
    with listen("::1", 0) as six, listen("localhost", 0) as name:
        assert six.family == socket.AF_INET6
        assert name.getsockname()[1] > 0
