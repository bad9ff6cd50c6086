"""A live node under load: what state, telemetry and a subscriber cost intake, and how fast news travels.

`intake`: the same device-signed statements through the HTTP batch endpoint of a node that does nothing
else, and of one that keeps the state and telemetry views and serves one subscriber who reads everything,
by turns on fresh nodes. The live node's clock stops when the subscriber has every entry and the views
have taken in every entry: nothing is put off. Beside the clock, which others on the machine disturb, stands
the CPU time of the node's process.

`latency`: at half of the rate that the live node just sustained, from the moment at which a gateway has read
the acknowledgement to the moment at which a subscriber of its own process has the event. An event that is
there before the acknowledgement counts as 0.
"""

from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple

from bench.intake import DEVICES, OPERATOR, ORIGIN, SHAPES, batches, grant_all, make_chains, send, serving
from twinproof.node.config import FILE_NAME, Limits, format_config, load_config
from twinproof.node.keyring import new_private_key
from twinproof.node.node import init_node
from twinproof.proof import cbor
from twinproof.proof.keys import PrivateKey

FIRST = 1 + DEVICES
"""Entries of a fresh node: the genesis and the grants."""
PACE_BATCH = 20
"""Statements of one request while latency is measured: a gateway that does not wait for more."""
GATEWAYS = 5
_RECORD = struct.Struct("<qd")
_ID = re.compile(rb"\nid: (\d+)\ndata: ")
_WARM_UP = 5
"""Of each device's statements, sent before the clock starts: one in so many."""
Address = tuple[str, int]


# --- the subscriber's own process -------------------------------------------------------------


def subscribe(host: str, port: str, until: str) -> None:
    """Read events up to entry `until`; then write each index and when it was there, on the machine's clock."""
    connection = HTTPConnection(host, int(port), timeout=120)
    connection.request("GET", "/api/v1/events")
    response = connection.getresponse()
    assert response.status == 200, response.read()
    print("ready", flush=True)
    found: list[tuple[int, float]] = []
    rest = b"\n"
    while not found or found[-1][0] < int(until):
        part = response.read1(1 << 20)
        now = time.monotonic()
        assert part, "the node closed the stream"
        rest += part
        whole = rest.rfind(b"\n\n") + 1
        found += [(int(index), now) for index in _ID.findall(rest[:whole])]
        rest = rest[whole:]
    sys.stdout.buffer.write(b"".join(_RECORD.pack(*one) for one in found))


class Subscriber:
    """The other process."""

    def __init__(self, address: Address, until: int) -> None:
        command = [sys.executable, "-m", "bench.live", "subscribe", *map(str, address), str(until)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"

    def arrivals(self) -> dict[int, float]:
        """When each entry was there; every one must be, once and in order."""
        data, _ = self._process.communicate(timeout=300)
        found = list(_RECORD.iter_unpack(data))
        indices = [index for index, _ in found]
        assert indices == list(range(indices[0], indices[0] + len(indices))), "events are missing or out of order"
        return dict(found)


# --- nodes --------------------------------------------------------------------------------------


@contextmanager
def fresh(keys: list[PrivateKey], *options: str) -> Iterator[tuple[Address, int]]:
    """A new node that serves, and lets the devices record: its address and process id."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "node"
        init_node(folder, ORIGIN, OPERATOR)
        (folder / FILE_NAME).write_text(format_config(replace(load_config(folder), limits=Limits(rate=0))))
        grant_all(folder, keys)
        with serving(folder, *options) as running:
            yield running


def cpu_seconds(process: int) -> float:
    """What a process has used so far, in user and system mode (proc(5))."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def halves(chains: list[list[bytes]]) -> tuple[list[list[bytes]], list[list[bytes]]]:
    """What warms the node up, and what is measured."""
    cut = len(chains[0]) // _WARM_UP
    return [chain[:cut] for chain in chains], [chain[cut:] for chain in chains]


def wait_for_views(address: Address, size: int) -> None:
    """Until state and telemetry have taken in `size` entries."""
    connection = HTTPConnection(*address, timeout=60)
    while True:
        connection.request("GET", "/ready")
        told = json.loads(connection.getresponse().read())
        if told["size"] >= size and not any(told["behind"].values()):
            connection.close()
            return
        time.sleep(0.005)


class Rates(NamedTuple):
    """Statements per second."""

    acknowledged: float
    everywhere: float
    """Until the views and the subscriber have them too."""
    cpu: float
    """Per second of CPU time of the node's process, until everywhere."""


def alone(keys: list[PrivateKey], chains: list[list[bytes]]) -> Rates:
    """A node without views."""
    first, rest = halves(chains)
    count = sum(map(len, rest))
    with fresh(keys, "--no-views") as (address, process):
        send(address, batches(first), "")
        used = cpu_seconds(process)
        seconds = send(address, batches(rest), "")
        used = cpu_seconds(process) - used
    return Rates(count / seconds, count / seconds, count / used)


def live(keys: list[PrivateKey], chains: list[list[bytes]]) -> Rates:
    """A node with state, telemetry and one subscriber."""
    first, rest = halves(chains)
    count, before = sum(map(len, rest)), FIRST + sum(map(len, first))
    with fresh(keys) as (address, process):
        send(address, batches(first), "")
        wait_for_views(address, before)
        subscriber = Subscriber(address, before + count - 1)
        used = cpu_seconds(process)
        start = time.monotonic()
        seconds = send(address, batches(rest), "")
        wait_for_views(address, before + count)
        everywhere = max(time.monotonic(), max(subscriber.arrivals().values())) - start
        used = cpu_seconds(process) - used
    return Rates(count / seconds, count / everywhere, count / used)


# --- latency --------------------------------------------------------------------------------------


def paced(address: Address, chains: list[list[bytes]], rate: float) -> dict[int, tuple[float, float]]:
    """Send at `rate` statements per second; when each entry was sent and acknowledged."""
    requests = [
        [
            b"".join(chain[at : at + PACE_BATCH])
            for at in range(0, len(chains[0]), PACE_BATCH)
            for chain in chains[first::GATEWAYS]
        ]
        for first in range(GATEWAYS)
    ]
    told: dict[int, tuple[float, float]] = {}
    begin = time.monotonic() + 0.1
    step = GATEWAYS * PACE_BATCH / rate

    def work(number: int) -> None:
        connection = HTTPConnection(*address, timeout=60)
        for turn, body in enumerate(requests[number]):
            # Gateways take turns; one that is late sends at once, so the load does not sink.
            time.sleep(max(0.0, begin + (turn + number / GATEWAYS) * step - time.monotonic()))
            sent = time.monotonic()
            connection.request("POST", "/entries/batch", body, {"content-type": "application/cbor-seq"})
            answer = connection.getresponse().read()
            acknowledged = time.monotonic()
            for result in cbor.decode(answer)["results"]:
                assert result["status"] == 201, result
                told[result["index"]] = sent, acknowledged
        connection.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(GATEWAYS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return told


def latency(keys: list[PrivateKey], chains: list[list[bytes]], rate: float) -> dict[str, Any]:
    """From acknowledgement, and from sending, to the subscriber."""
    count = sum(map(len, chains))
    with fresh(keys) as (address, _):
        subscriber = Subscriber(address, FIRST + count - 1)
        start = time.monotonic()
        told = paced(address, chains, rate)
        reached = count / (time.monotonic() - start)
        arrived = subscriber.arrivals()
    assert told.keys() <= arrived.keys()
    after = [max(0.0, arrived[index] - acknowledged) for index, (_, acknowledged) in told.items()]
    whole = [arrived[index] - sent for index, (sent, _) in told.items()]
    return {
        "statements_per_s_wanted": round(rate),
        "statements_per_s_reached": round(reached),
        "events": len(after),
        "after_acknowledgement_ms": _spread(after),
        "after_sending_ms": _spread(whole),
    }


def _spread(seconds: list[float]) -> dict[str, float]:
    cuts = quantiles(seconds, n=100)
    return {
        "median": round(1000 * median(seconds), 2),
        "p99": round(1000 * cuts[98], 2),
        "max": round(1000 * max(seconds), 2),
    }


def run(quick: bool) -> dict[str, Any]:
    """Ratios per shape, and latency at half of the rate that the live node sustained."""
    total, rounds = (3_000, 1) if quick else (15_000, 5)
    keys = [new_private_key() for _ in range(DEVICES)]
    results: dict[str, Any] = {}
    rate = 0.0
    for shape in ("senml_1", "columns_100"):
        chains = make_chains(keys, shape, total)
        pairs: list[tuple[Rates, Rates]] = []
        for number in range(rounds):
            print(f"   {shape}: round {number + 1} of {rounds}", file=sys.stderr, flush=True)
            pairs.append((alone(keys, chains), live(keys, chains)))
        results[shape] = {
            "readings_per_statement": SHAPES[shape][0],
            "alone_per_s": round(median(bare.everywhere for bare, _ in pairs)),
            "live_acknowledged_per_s": round(median(full.acknowledged for _, full in pairs)),
            "live_everywhere_per_s": round(median(full.everywhere for _, full in pairs)),
            # Neighbours in time share what else the machine does: ratios are taken pair by pair.
            "ratio_acknowledged": round(median(full.acknowledged / bare.acknowledged for bare, full in pairs), 3),
            "ratio_everywhere": round(median(full.everywhere / bare.everywhere for bare, full in pairs), 3),
            "ratio_of_cpu_time": round(median(full.cpu / bare.cpu for bare, full in pairs), 3),
            "alone_per_cpu_s": round(median(bare.cpu for bare, _ in pairs)),
        }
        if shape == "senml_1":
            rate = median(full.everywhere for _, full in pairs) / 2
    results["latency_at_half_load"] = latency(keys, make_chains(keys, "senml_1", total), rate)
    return {"devices": DEVICES, "rounds": rounds, "statements": total, **results}


if __name__ == "__main__":
    if sys.argv[1:2] == ["subscribe"]:
        subscribe(*sys.argv[2:5])
    else:
        print(json.dumps(run("--quick" in sys.argv)))
