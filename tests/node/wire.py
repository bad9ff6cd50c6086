"""A wire between a client and a node: it counts HTTP requests, and is cut where the test says."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Cut:
    """Where and how the wire breaks. It stays broken until it is mended."""

    after: int = 0
    """Requests, counted from now, that pass unharmed."""
    answer: bool = False
    """The node gets the next request, and its answer is lost; otherwise the request is."""
    silent: bool = False
    """Nothing comes any more, on connections that stay open; otherwise they are closed, new ones too."""


class Wire:
    """Listens on `port` and leads to `target`, another port of this machine."""

    def __init__(self, target: int) -> None:
        self._target = target
        self.requests = 0
        """That reached the wire."""
        self._cut: tuple[int, Cut] | None = None
        self._broken: Cut | None = None
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cut(self, cut: Cut) -> None:
        """From the request number `cut.after` on."""
        with self._lock:
            self._cut = (self.requests + cut.after, cut)

    def mend(self) -> None:
        with self._lock:
            self._cut = self._broken = None
        self._hang_up()

    @property
    def broken(self) -> bool:
        return self._broken is not None

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)
        self._hang_up()

    # --- threads ----------------------------------------------------------------------------

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self._broken is not None and not self._broken.silent:
                    client.close()
                    continue
                threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._target), 10) as node:
            node.settimeout(None)
            for end in (client, node):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open |= {client, node}
            back = threading.Thread(target=self._pump, args=(self._answer, node, client), daemon=True)
            back.start()
            self._pump(self._ask, client, node)
            back.join()
            with self._lock:
                self._open -= {client, node}

    @staticmethod
    def _pump(pass_on: Callable[[bytes, socket.socket], None], source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                pass_on(data, sink)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _ask(self, data: bytes, node: socket.socket) -> None:
        if data.startswith(b"POST "):
            with self._lock:
                due = self._cut is not None and self.requests == self._cut[0] and not self._cut[1].answer
                self.requests += 1
            if due:
                self._break()
        if self._broken is None:
            node.sendall(data)

    def _answer(self, data: bytes, client: socket.socket) -> None:
        with self._lock:
            due = self._cut is not None and self.requests > self._cut[0] and self._cut[1].answer
        if due:
            self._break()
        if self._broken is None:
            client.sendall(data)

    def _break(self) -> None:
        with self._lock:
            assert self._cut is not None
            self._broken = self._cut[1]
        if not self._broken.silent:
            self._hang_up()

    def _hang_up(self) -> None:
        with self._lock:
            for end in self._open:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
