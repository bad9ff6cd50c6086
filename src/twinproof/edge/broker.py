"""An MQTT broker for laptops and demonstrations: MQTT 3.1.1 and MQTT 5, in memory, on this machine alone.

    with Broker() as broker:
        port = broker.start("127.0.0.1")
        …

It has QoS 0 and 1 (a subscription to QoS 2 is granted 1; what is published with QoS 2 is taken exactly once),
sessions that outlive their connections, retained messages, last wills, keep-alive and wildcards. All of it is in
memory: a broker that stops has forgotten everything. While it runs, nothing that it has acknowledged is lost: when a
subscriber's queue is full, publishers get no acknowledgement until there is room. A last will is different: a
subscriber without room does not get it.

It has no authentication (user names and passwords are taken and not looked at), no permissions and no TLS, so it
listens on the loopback interface, unless `allow_remote` is given. Of MQTT 5 it leaves out what a server may: shared
subscriptions, subscription identifiers, topic aliases, enhanced authentication. For everything else: Mosquitto.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
from collections.abc import Callable
from typing import Final

from twinproof.edge.broker_connection import Connection
from twinproof.edge.broker_packets import SHUTTING_DOWN
from twinproof.edge.broker_session import Hub, Limits
from twinproof.errors import ConfigError, TwinproofError

LOCALHOST: Final = "127.0.0.1"


class Broker:
    """See above. It runs once, in a thread of its own."""

    def __init__(
        self,
        *,
        allow_remote: bool = False,
        limits: Limits | None = None,
        on_problem: Callable[[TwinproofError], None] = lambda problem: None,
    ) -> None:
        """`on_problem` is told, in the broker's thread, why it ended a connection or dropped a message."""
        self._allow_remote = allow_remote
        self._limits = limits or Limits()
        self._tell = on_problem
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()
        self._connections: dict[asyncio.Task[None], Connection] = {}
        self._hub: Hub
        self._loop: asyncio.AbstractEventLoop
        self._stopping: asyncio.Event

    def start(self, host: str = LOCALHOST, port: int = 0) -> int:
        """Listen on an IP address, or localhost; returns the port, which the system chooses for 0.

        Raises `ConfigError` if the address cannot be had, or is not of this machine alone.
        """
        if self._thread is not None:
            raise ConfigError("this broker was started already; make another one")
        listener = self._listen(LOCALHOST if host == "localhost" else host, port)
        found: int = listener.getsockname()[1]
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._run(listener)), name="mqtt-broker", daemon=True
        )
        self._thread.start()
        self._ready.wait()
        return found

    def stop(self) -> None:
        """End all connections and forget everything; waits for it."""
        if self._thread is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()

    def __enter__(self) -> Broker:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _listen(self, host: str, port: int) -> socket.socket:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            raise ConfigError(
                f"the broker listens on an IP address, such as {LOCALHOST}; {host!r:.80} is none"
            ) from None
        if not address.is_loopback and not self._allow_remote:
            raise ConfigError(
                f"the broker has no authentication and no TLS, so it does not listen on {host}: "
                f"use {LOCALHOST}, or Mosquitto, or allow it on purpose (allow_remote)"
            )
        try:
            family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
            return socket.create_server((host, port), family=family)
        except OSError as problem:
            raise ConfigError(f"the broker cannot listen on {host}:{port}: {problem.strerror}") from None

    async def _run(self, listener: socket.socket) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self._hub = Hub(self._limits, self._loop.time, self._loop.call_later, self._tell)
        server = await asyncio.start_server(self._serve, sock=listener)
        self._ready.set()
        await self._stopping.wait()
        server.close()
        for connection in list(self._connections.values()):
            connection.kick(SHUTTING_DOWN)
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._connections) >= 2 * self._limits.sessions or self._stopping.is_set():
            writer.transport.abort()
            return
        # asyncio forgets it for sockets of `create_server`, and small packets would wait 40 ms for one another.
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connections[task] = Connection(self._hub, reader, writer, task)
        try:
            await self._connections[task].run()
        except asyncio.CancelledError:
            # Only `kick` cancels; asyncio would take a cancelled task for an error of ours.
            pass
        finally:
            del self._connections[task]
