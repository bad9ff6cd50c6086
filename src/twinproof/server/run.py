"""Serve a node until a signal: uvicorn in one process, graceful stop."""

from __future__ import annotations

from collections.abc import Callable

import uvicorn

from twinproof.node.node import WritingNode
from twinproof.server.app import make_app

GRACE: int = 30
"""Seconds that running requests have after SIGTERM or SIGINT."""


class Server(uvicorn.Server):
    """Tells when and where it listens: the port may have been chosen by the system."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[str], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        await super().startup(sockets)  # type: ignore[arg-type]
        for server in self.servers:
            for socket in server.sockets:
                host, port = socket.getsockname()[:2]
                shown = f"[{host}]" if ":" in host else host
                self._on_ready(f"http://{shown}:{port}")


def serve(node: WritingNode, *, on_ready: Callable[[str], None], access_log: bool = False) -> None:
    """Serve until SIGINT or SIGTERM; running requests are finished, then the caller closes the node."""
    listen = node.config.listen
    config = uvicorn.Config(
        make_app(node),
        host=listen.host,
        port=listen.port,
        log_level="warning",
        access_log=access_log,
        server_header=False,
        timeout_graceful_shutdown=GRACE,
        timeout_keep_alive=75,
        h11_max_incomplete_event_size=64 * 1024,
        backlog=1024,
    )
    Server(config, on_ready).run()
