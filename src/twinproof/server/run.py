"""Serve a node until a signal: uvicorn in one process, graceful stop."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from twinproof.errors import ConfigError
from twinproof.node.config import Config
from twinproof.node.live import Live
from twinproof.node.node import WritingNode
from twinproof.server.access import Access
from twinproof.server.app import make_app
from twinproof.server.protocol import HEAD_SECONDS, BoundedProtocol, BoundedWebSocket

GRACE: Final = 30
"""Seconds that running requests have after SIGTERM or SIGINT."""
BACKLOG: Final = 1024
MAX_MESSAGE: Final = 64 * 1024
"""Bytes of a WebSocket message from a client."""


class Server(uvicorn.Server):
    """Tells when and where it listens: the port may have been chosen by the system."""

    def __init__(
        self,
        config: uvicorn.Config,
        on_ready: Callable[[str], None],
        on_stop: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`on_stop` ends what would not end by itself, before running requests are waited for."""
        super().__init__(config)
        self._on_ready = on_ready
        self._on_stop = on_stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or ():
            host, port = listener.getsockname()[:2]
            shown = f"[{host}]" if ":" in host else host
            self._on_ready(f"http://{shown}:{port}")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._on_stop is not None:
            await self._on_stop()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # uvicorn would raise the signal again once it is done, and so end the process before the node is closed.
        # A second signal ends the wait for running requests.
        self.force_exit = self.should_exit
        self.should_exit = True


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; raises `ConfigError` if the address cannot be had."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        return socket.create_server(found[0][4][:2], family=found[0][0], backlog=BACKLOG)
    except (OSError, UnicodeError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else "no host name"
        raise ConfigError(f"cannot listen on {host}:{port}: {reason}; see [listen] in twinproof.toml") from None


def serve(node: WritingNode, *, on_ready: Callable[[str], None], access_log: bool = False) -> None:
    """Serve the kernel alone until SIGINT or SIGTERM; running requests are finished, then the caller closes the node.

    Raises `ConfigError` if the address cannot be had.
    """
    _run(make_app(node, access=Access(node)), node.config, on_ready, access_log)


def serve_live(live: Live, *, on_ready: Callable[[str], None], access_log: bool = False) -> None:
    """Serve everything, as `serve` does."""
    # Here, because the kernel alone starts without FastAPI.
    from twinproof.server.live_app import make_live_app

    app = make_live_app(live)
    _run(app, live.node.config, on_ready, access_log, app.state.on_stop)


def _run(
    app: ASGIApp,
    settings: Config,
    on_ready: Callable[[str], None],
    access_log: bool,
    on_stop: Callable[[], Awaitable[None]] | None = None,
) -> None:
    listener = listen(settings.listen.host, settings.listen.port)
    config = uvicorn.Config(
        app,
        http=BoundedProtocol,
        ws=BoundedWebSocket,
        ws_max_size=MAX_MESSAGE,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        log_level="info" if access_log else "warning",
        access_log=access_log,
        server_header=False,
        timeout_graceful_shutdown=GRACE,
        timeout_keep_alive=HEAD_SECONDS,
        backlog=BACKLOG,
    )
    try:
        Server(config, on_ready, on_stop).run([listener])
    finally:
        listener.close()
