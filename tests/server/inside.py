"""The application on an intake whose store obeys the test, in this process: over ASGI, or over a socket."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import uvicorn
from starlette.applications import Starlette

from tests.builders import ORIGIN
from tests.node.bench import KEYS, Bench
from tests.server.process import Client
from twinproof.log.sqlite import SqliteStore
from twinproof.node.config import Config
from twinproof.node.node import WritingNode
from twinproof.server.app import make_app
from twinproof.server.protocol import BoundedProtocol
from twinproof.server.run import listen


def app_on(bench: Bench, clock: Any = None) -> Starlette:
    """The application; `clock` is for its rates."""
    config = Config(ORIGIN, limits=bench.limits)
    node = WritingNode(Path(), config, cast(SqliteStore, bench.store), bench.reader, list(KEYS))
    node.writer, node.intake = bench.writer, bench.intake
    return make_app(node, clock) if clock else make_app(node)


@contextmanager
def listening(app: Starlette) -> Iterator[Client]:
    """Serve `app` from a thread, with the protocol that a node has; a client of it."""
    listener = listen("127.0.0.1", 0)
    config = uvicorn.Config(app, http=BoundedProtocol, ws="none", lifespan="off", log_level="critical")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
    thread.start()
    client = Client(listener.getsockname()[:2])
    try:
        yield client
    finally:
        client.close()
        server.should_exit = server.force_exit = True
        thread.join(30)
        listener.close()
