"""A live node that serves its events from a thread, and subscribers that read, stop reading, and come back."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import urlencode

import uvicorn
from starlette.applications import Starlette

from tests.builders import TWIN, Log, Signer, signer
from tests.node.folders import OPERATOR_IRI, continue_log
from twinproof.node.intake import Accepted
from twinproof.node.live import Live, open_live
from twinproof.node.node import init_node
from twinproof.server.events import EventLimits, Hub
from twinproof.server.events_http import anybody, event_routes
from twinproof.server.events_stream import Identify
from twinproof.server.protocol import BoundedProtocol, BoundedWebSocket
from twinproof.server.run import MAX_MESSAGE, Server, listen
from twinproof.twin.grants import Capability, Scope

ORIGIN = "twin.example/log0"
FLEET = "https://fleet.example/"
DEVICE = signer("urn:example:device:9", 90)
SECOND = signer("urn:example:device:10", 91)
PATIENCE = 30
"""Seconds after which a test fails instead of waiting on."""


@dataclass
class Node:
    """A live node, a script of its log, and its hub."""

    live: Live
    script: Log
    hub: Hub
    address: tuple[str, int]
    stop: Callable[[], None]
    """Begin to shut the server down, as a signal does."""
    server: Server

    @property
    def size(self) -> int:
        return self.live.feed.size

    def take(self) -> int:
        """Log what the script holds and the node does not; the size."""
        while self.size < len(self.script):
            raws = self.script.raws[self.size : self.size + 1000]
            outcomes = self.live.node.intake.submit(raws).result(PATIENCE)
            assert all(isinstance(outcome, Accepted) for outcome in outcomes), outcomes
        return self.size

    def record(self, *values: float, by: Signer = DEVICE, subject: str = TWIN, name: str = "T24") -> int:
        """Log one statement for each value; the size."""
        for value in values:
            self.script.record(by, value, subject=subject, name=name)
        return self.take()

    def sse(self, **query: Any) -> Sse:
        """Subscribe; the stream has begun when this returns."""
        return Sse(self.address, query)

    def buffered(self) -> int:
        """The largest number of bytes that wait in this process for a client to take them."""
        connections: Any = list(self.server.server_state.connections)
        return max((connection.transport.get_write_buffer_size() for connection in connections), default=0)

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait for what the server will do by itself."""
        deadline = monotonic() + PATIENCE
        while not holds():
            assert monotonic() < deadline
            self.live.feed.wait(self.size, 0.01)


@contextmanager
def running(
    folder: Path, limits: EventLimits | None = None, identify: Identify = anybody, port: int = 0
) -> Iterator[Node]:
    """A node of one operator and two devices about the fleet, served until the end of the block."""
    if not folder.exists():
        init_node(folder, ORIGIN, OPERATOR_IRI)
    with open_live(folder) as live:
        script = continue_log(live.node)
        hub = Hub(live.feed, live.node.evidence.transparent, limits)
        listener = listen("127.0.0.1", port)
        config = uvicorn.Config(
            Starlette(routes=event_routes(hub, identify)),
            http=BoundedProtocol,
            ws=BoundedWebSocket,
            ws_max_size=MAX_MESSAGE,
            ws_per_message_deflate=False,
            lifespan="off",
            log_level="error",
            timeout_graceful_shutdown=PATIENCE,
        )
        ready = threading.Event()
        server = Server(config, lambda url: ready.set(), hub.close)
        thread = threading.Thread(target=lambda: server.run([listener]))
        thread.start()
        assert ready.wait(PATIENCE)

        def stop() -> None:
            server.should_exit = True

        node = Node(live, script, hub, listener.getsockname()[:2], stop, server)
        if len(script) == 1:
            can = {Capability.RECORD, Capability.DESCRIBE}
            script.grant(DEVICE, can, Scope("prefix", FLEET))
            script.grant(SECOND, can, Scope("prefix", FLEET))
            node.take()
        try:
            yield node
        finally:
            stop()
            thread.join(PATIENCE)
            listener.close()
            assert not thread.is_alive()


def path_of(query: dict[str, Any]) -> str:
    """The path and query of a subscription; lists give a parameter several times."""
    return "/api/v1/events?" + urlencode(query, doseq=True)


def connect(address: tuple[str, int], *, receive_buffer: int = 0) -> socket.socket:
    """A connection; a small receive buffer makes the server feel sooner that nobody reads."""
    connection = socket.socket()
    if receive_buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.settimeout(PATIENCE)
    connection.connect(address)
    return connection


class Sse:
    """A client of server-sent events that keeps the last id, as browsers do (HTML Living Standard §9.2.6)."""

    def __init__(
        self,
        address: tuple[str, int],
        query: dict[str, Any],
        headers: dict[str, str] | None = None,
        *,
        receive_buffer: int = 0,
    ) -> None:
        self.last_id: str | None = None
        self.chunks = 0
        self._socket = connect(address, receive_buffer=receive_buffer)
        lines = [f"GET {path_of(query)} HTTP/1.1", "host: x", *(f"{k}: {v}" for k, v in (headers or {}).items())]
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode())
        self._file = self._socket.makefile("rb")
        self.status = int(self._file.readline().split()[1])
        self.headers: dict[str, str] = {}
        while line := self._file.readline().strip():
            name, _, value = line.decode().partition(":")
            self.headers[name.lower()] = value.strip()
        self._body = b""
        self.ended = False

    def __enter__(self) -> Sse:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def problem(self) -> dict[str, Any]:
        """The body of a refusal."""
        assert self.headers["content-type"] == "application/problem+json"
        found: dict[str, Any] = json.loads(self._file.read(int(self.headers["content-length"])))
        return found

    def _line(self) -> bytes | None:
        """The next line of the chunked body; None at its proper end. Raises `EOFError` if it is cut off."""
        while b"\n" not in self._body:
            size_line = self._file.readline()
            if not size_line:
                raise EOFError
            size = int(size_line, 16)
            data = self._file.read(size)
            if len(data) < size or self._file.read(2) != b"\r\n":
                raise EOFError
            self.chunks += 1
            if not size:
                self.ended = True
                return None
            self._body += data
        line, _, self._body = self._body.partition(b"\n")
        return line

    def events(self) -> Iterator[dict[str, Any]]:
        """All events as they come, until the stream ends."""
        data: list[str] = []
        kind, given = "", self.last_id
        while (line := self._line()) is not None:
            if line:
                field, _, value = line.decode().partition(":")
                value = value.removeprefix(" ")
                match field:
                    case "id":
                        given = value
                    case "event":
                        kind = value
                    case "data":
                        data.append(value)
                continue
            self.last_id = given
            if data:
                event = json.loads("\n".join(data))
                assert event["type"] == (kind or "entry")
                yield event
            data, kind = [], ""

    def next(self, *types: str) -> dict[str, Any]:
        """The next event of these types, by default an entry; others are passed over."""
        for event in self.events():
            if event["type"] in (types or ("entry",)):
                return event
        raise EOFError

    def entries(self, count: int) -> list[dict[str, Any]]:
        """The next entries."""
        return [self.next() for _ in range(count)]

    def indices(self, until: int) -> list[int]:
        """Indices of the next entries, up to the one at `until`."""
        found = [self.next()["index"]]
        while found[-1] < until:
            found.append(self.next()["index"])
        return found
