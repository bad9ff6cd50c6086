"""C-MAPSS flights as MQTT messages, and the mapping that takes them back.

cmapss/FD001/003   {"ts": 1199318400, "cycle": 2, "altitude": -0.0007, …}
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from twinproof.exchange.cmapss.layout import CYCLE, FIELDS, Snapshot

DAY: Final = 86_400
BASE: Final = "https://twin.example/engine/"
AHEAD: Final = 1000
"""Messages that may wait for the broker's acknowledgement."""
PATIENCE: Final = 30.0
"""Seconds without any acknowledgement."""


def format_flight(snapshot: Snapshot, start: int) -> bytes:
    """The message of one flight; flight 1 is at `start` (POSIX seconds), then one a day, as `import cmapss` has it."""
    values: dict[str, float | int] = {"ts": start + (snapshot.cycle - 1) * DAY, CYCLE.name: snapshot.cycle}
    values.update((field.name, value) for field, value in zip(FIELDS, snapshot.values, strict=True))
    return json.dumps(values, separators=(",", ":")).encode()


def format_source(host: str, port: int, base: str = BASE) -> str:
    """The [[mqtt]] part of a mapping file."""
    lines = [
        "[[mqtt]]",
        'name = "cmapss"',
        "[mqtt.broker]",
        f"host = {json.dumps(host)}",
        f"port = {port}",
        "[[mqtt.map]]",
        'topic = "cmapss/{dataset}/{unit}"',
        f'twin = "{base}{{dataset}}-{{unit}}"',
        'payload = "json"',
        'time = { at = "/ts" }',
        "signals = [",
    ]
    for field in (CYCLE, *FIELDS):
        unit = f", unit = {json.dumps(field.unit)}" if field.unit else ""
        lines.append(f'  {{ name = "{field.name}", at = "/{field.name}"{unit} }},')
    return "\n".join([*lines, "]", ""])


def publish(
    host: str,
    port: int,
    dataset: str,
    engines: Mapping[int, Sequence[Snapshot]],
    start: int,
    rate: float | None,
    report: Callable[[int, int], None],
) -> int:
    """Publish all flights day by day, QoS 1; how many. Raises `Unreachable` if the broker stops acknowledging."""
    # By the session's own package, which names the extra that is missing.
    from twinproof.edge.session import Publisher

    flights = sorted(
        (snapshot for rows in engines.values() for snapshot in rows), key=lambda each: (each.cycle, each.unit)
    )
    began = time.monotonic()
    with Publisher(host, port) as publisher:
        for number, snapshot in enumerate(flights, 1):
            if rate is not None:
                time.sleep(max(0.0, began + number / rate - time.monotonic()))
            publisher.publish(f"cmapss/{dataset}/{snapshot.unit:03d}", format_flight(snapshot, start))
            publisher.wait(AHEAD, PATIENCE)
            if number % 100 == 0:
                report(number, len(flights))
        publisher.wait(0, PATIENCE)
    return len(flights)
