"""A gateway as the tests see it: mapping, outbox, a log in memory, and the connectors of its sources."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.edge.device import readings_of
from tests.edge.mosquitto import until
from twinproof.edge.bridge import Bridge
from twinproof.edge.gateway import open_bridge, open_connector
from twinproof.edge.mapping import Mapping, parse_mapping
from twinproof.errors import TwinproofError
from twinproof.proof.keys import EDDSA, PrivateKey
from twinproof.testing.edge import FakeLog
from twinproof.twin.reading import Reading

KEY = PrivateKey(EDDSA, bytes(range(32)))
ISSUER = "urn:dev:gateway-1#gateway"
HEAD = f"""
[gateway]
issuer = "{ISSUER}"
key = "gateway.pem"
outbox = "gateway.outbox"
node = "http://127.0.0.1:9"
interval = 0.05
"""


class GatewayKit:
    """The log and the folder stay while gateways come and go."""

    def __init__(self, folder: Path, sources: str, *, gateway: str = "") -> None:
        self.folder = folder
        self.mapping: Mapping = parse_mapping((HEAD + gateway + sources).encode(), folder / "mapping.toml")
        self.log = FakeLog({KEY.public.thumbprint: KEY.public}, clock=time.time)
        self.problems: list[TwinproofError] = []

    @contextmanager
    def running(self, *, sink: Any = None, connect: bool = True) -> Iterator[Bridge]:
        """A gateway at work on its sources, until the end of the block."""
        with ExitStack() as stack:
            bridge = stack.enter_context(
                open_bridge(self.mapping.gateway, KEY, self.problems.append, sink=sink or self.log)
            )
            stopping = threading.Event()
            threads = []
            self.connectors: list[Any] = []
            for kind, source in self.mapping.sources():
                connector = open_connector(kind, source, bridge)
                self.connectors.append(connector)
                threads.append(threading.Thread(target=connector.run, args=(stopping,), daemon=True))
            for thread in threads:
                thread.start()
            try:
                if connect:
                    for connector in self.connectors:
                        until(connector.connected.is_set, "the gateway to connect")
                yield bridge
            finally:
                stopping.set()
                for thread in threads:
                    thread.join(20)
                    assert not thread.is_alive()

    def readings(self, subject: str) -> list[Reading]:
        """What the log holds about a twin, in its order."""
        return [
            reading
            for statement in self.log.statements()
            if statement.subject == subject
            for reading in readings_of(statement)
        ]

    def values(self, subject: str) -> list[Any]:
        return [reading.value for reading in self.readings(subject)]

    def expect(self, subject: str, values: list[Any]) -> None:
        """Wait until the log holds as many values, and compare."""
        until(lambda: len(self.values(subject)) >= len(values), f"{len(values)} values of {subject}")
        assert self.values(subject) == values
