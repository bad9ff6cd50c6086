"""Runs a mapping file: one recorder, one carrier, one thread per source."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from importlib import import_module
from typing import Final

from twinproof.edge.arrivals import GatewayOutbox
from twinproof.edge.bridge import Bridge, Connector
from twinproof.edge.carrier import Carrier
from twinproof.edge.mapping import Gateway, Mapping, Source
from twinproof.edge.outbox import MEBIBYTE
from twinproof.edge.sinks import HttpSink, Sink
from twinproof.errors import ConfigError, TwinproofError
from twinproof.proof.keys import PrivateKey

CONNECTORS: Final = {
    "mqtt": "twinproof.edge.mqtt:MqttConnector",
    "sparkplug": "twinproof.edge.sparkplug.bridge:SparkplugConnector",
    "opcua": "twinproof.edge.opcua:OpcuaConnector",
    "file": "twinproof.edge.replay:FileConnector",
}
"""Kind of source -> class, called with (source, bridge). Imported when a mapping needs it: each has its own extra."""

LEAVE: Final = 10.0
"""Seconds that a connector may take to end."""


def open_connector(kind: str, source: Source, bridge: Bridge) -> Connector:
    """The connector of a source; raises `ConfigError` if its packages are not installed."""
    module, name = CONNECTORS[kind].split(":")
    try:
        made = getattr(import_module(module), name)
    except ModuleNotFoundError as problem:
        raise ConfigError(
            f"[[{kind}]] needs the package {problem.name}; install it with: pip install 'twinproof[{kind}]'"
        ) from None
    connector: Connector = made(source, bridge)
    return connector


@contextmanager
def open_bridge(
    gateway: Gateway, key: PrivateKey, on_problem: Callable[[TwinproofError], None], *, sink: Sink | None = None
) -> Iterator[Bridge]:
    """Recorder and carrier at work; `sink` stands in for the node that the mapping names.

    On leaving, open batches are closed and delivery is tried once more; what the log does not take stays in the outbox.
    """
    with ExitStack() as stack:
        outbox = stack.enter_context(closing(GatewayOutbox(gateway.outbox, max_bytes=gateway.outbox_mib * MEBIBYTE)))

        def node() -> Sink:
            # One each: a sink is called by one thread at a time.
            return sink or stack.enter_context(
                closing(HttpSink(gateway.node, ca_certs=str(gateway.ca) if gateway.ca else None))
            )

        bridge = Bridge(
            key,
            gateway.issuer,
            outbox,
            node(),
            batch=gateway.batch,
            interval=gateway.interval,
            log_keys=gateway.log_keys,
            describe=gateway.describe,
            on_problem=on_problem,
        )
        carrier = Carrier(outbox, node(), log_keys=gateway.log_keys, tell=on_problem)
        stopping = threading.Event()
        carrying = threading.Thread(
            target=carrier.run, args=(stopping, bridge.carrying), name="twinproof-carrier", daemon=True
        )
        carrying.start()
        try:
            with bridge.recorder:
                yield bridge
        finally:
            stopping.set()
            bridge.carrying.set()
            carrying.join()


def run_gateway(
    mapping: Mapping,
    key: PrivateKey,
    stopping: threading.Event,
    *,
    on_problem: Callable[[TwinproofError], None],
    sink: Sink | None = None,
    on_ready: Callable[[Bridge], None] = lambda bridge: None,
) -> None:
    """Run all sources until `stopping`, or until all of them have ended (files do).

    Raises `ConfigError` if a source cannot start, or stops for what only a person mends; the others are then stopped.
    """
    with open_bridge(mapping.gateway, key, on_problem, sink=sink) as bridge:
        connectors = [(source.name, open_connector(kind, source, bridge)) for kind, source in mapping.sources()]
        ended = threading.Event()
        failures: list[TwinproofError] = []

        def work(connector: Connector) -> None:
            try:
                connector.run(ended)
            except TwinproofError as problem:
                failures.append(problem)
                ended.set()

        threads = [
            threading.Thread(target=work, args=(connector,), name=f"twinproof-{name}", daemon=True)
            for name, connector in connectors
        ]
        for thread in threads:
            thread.start()
        on_ready(bridge)
        try:
            while not stopping.wait(0.1) and not ended.is_set() and any(thread.is_alive() for thread in threads):
                pass
        finally:
            ended.set()
            deadline = time.monotonic() + LEAVE
            for thread in threads:
                thread.join(max(0.0, deadline - time.monotonic()))
        if failures:
            raise failures[0]
