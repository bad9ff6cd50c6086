"""Reading states from a node with many twins, over HTTP, against the same reads without HTTP and without the API.

Every twin is described, related and measured once in signed statements; then single clients on kept
connections ask for the states of random twins, one request at a time, and the whole time from sending
to the parsed head and body counts. The node is its own process with its default settings.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from bench.intake import FLEET, OPERATOR, ORIGIN, serving
from twinproof.node.config import FILE_NAME, Limits, format_config, load_config
from twinproof.node.intake import Accepted
from twinproof.node.live import open_live
from twinproof.node.node import WritingNode, init_node
from twinproof.twin.description import DESCRIPTION, Description, Lifecycle, format_description
from twinproof.twin.reading import Reading
from twinproof.twin.senml import SENML, format_senml
from twinproof.twin.statement import parse_statement, sign_statement

GROUP = 1000
STATEMENTS = 2
"""About each twin."""


def fill(node: WritingNode, twins: int) -> None:
    """Statements about each twin, signed by the operator, who may say anything."""
    key = node.operator_key()
    batch: list[bytes] = []
    for number in range(twins):
        subject = f"{FLEET}{number:06}"
        described = Description(
            lifecycle=Lifecycle.IN_SERVICE,
            set={"serial": f"SN-{number}", "site": f"hall {number % 40}", "rated": 1500 + number % 7},
            relate=(("partOf", f"{FLEET}line/{number % 100}"),),
        )
        readings = [
            Reading(name, 600.0 + number / 7, "K", 1_700_000_000.0, None) for name in ("T2", "T24", "T30", "T50")
        ]
        prev = None
        for seq, (kind, payload) in enumerate(
            ((DESCRIPTION, format_description(described)), (SENML, format_senml(readings)))
        ):
            raw = sign_statement(
                key, issuer=OPERATOR, subject=subject, content_type=kind, payload=payload,
                seq=seq, prev=prev, issued_at=1_700_000_000 + seq,
            )  # fmt: skip
            prev = parse_statement(raw).digest
            batch.append(raw)
        if len(batch) >= GROUP or number == twins - 1:
            outcomes = node.intake.submit(batch).result()
            assert all(isinstance(outcome, Accepted) for outcome in outcomes), outcomes[0]
            batch = []
        if number % 10_000 == 0:
            print(f"  {number:,} twins", file=sys.stderr, flush=True)


def percentiles(seconds: list[float]) -> dict[str, float]:
    """Milliseconds."""
    seconds = sorted(seconds)
    return {
        f"{name}_ms": round(seconds[min(len(seconds) - 1, int(len(seconds) * part))] * 1000, 3)
        for name, part in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999))
    }


def over_http(address: tuple[str, int], twins: int, reads: int) -> list[float]:
    """Read states of random twins one after the other; the time of each."""
    connection = HTTPConnection(*address, timeout=60)
    rng = random.Random(7)
    took = []
    for number in range(reads + 200):
        subject = f"{FLEET}{rng.randrange(twins):06}"
        path = f"/api/v1/state?{urlencode({'sub': subject})}"
        start = time.perf_counter()
        connection.request("GET", path)
        answer = connection.getresponse()
        data = answer.read()
        end = time.perf_counter()
        assert answer.status == 200, data
        if number >= 200:
            took.append(end - start)
        if number % 500 == 0:
            found = json.loads(data)
            assert (found["sub"], found["statements"], len(found["readings"])) == (subject, STATEMENTS, 4)
    connection.close()
    return took


def bare(address: tuple[str, int], reads: int) -> list[float]:
    """The same client asking for the tree head's size: what this machine takes for any answer."""
    connection = HTTPConnection(*address, timeout=60)
    took = []
    for _ in range(reads):
        start = time.perf_counter()
        connection.request("GET", "/health")
        answer = connection.getresponse()
        answer.read()
        took.append(time.perf_counter() - start)
        assert answer.status == 200
    connection.close()
    return took


def gauge(address: tuple[str, int], name: str) -> float:
    """A number of the node's own metrics."""
    connection = HTTPConnection(*address, timeout=60)
    connection.request("GET", "/metrics")
    lines = connection.getresponse().read().decode().splitlines()
    connection.close()
    (value,) = [line.split()[1] for line in lines if line.startswith(f"{name} ")]
    return float(value)


def run(quick: bool) -> dict[str, Any]:
    """Milliseconds of a state read, median, p99 and p99.9; CPU time of the node for one."""
    twins, reads = (5_000, 2_000) if quick else (100_000, 20_000)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "node"
        init_node(folder, ORIGIN, OPERATOR)
        limits = Limits(rate=0)
        (folder / FILE_NAME).write_text(format_config(replace(load_config(folder), limits=limits)))
        with open_live(folder) as live:
            began = time.perf_counter()
            fill(live.node, twins)
            size = live.feed.size
            assert live.states.wait(size, 600)
            filled = time.perf_counter() - began
            rng = random.Random(7)
            direct = []
            for _ in range(reads):
                subject = f"{FLEET}{rng.randrange(twins):06}"
                start = time.perf_counter()
                live.states.state(subject)
                direct.append(time.perf_counter() - start)
        with serving(folder) as (address, _):
            before = gauge(address, "process_cpu_seconds_total")
            http = over_http(address, twins, reads)
            used = gauge(address, "process_cpu_seconds_total") - before
            health = bare(address, reads // 4)
            memory = gauge(address, "process_resident_memory_bytes")
    return {
        "twins": twins,
        "reads": reads,
        "entries": size,
        "filling_seconds": round(filled, 1),
        "http": percentiles(http),
        "node_cpu_ms_per_read": round(used / (reads + 200) * 1000, 3),
        "node_resident_mib": round(memory / 2**20),
        "any_answer": percentiles(health),
        "view_alone": percentiles(direct),
    }


if __name__ == "__main__":
    print(json.dumps(run("--quick" in sys.argv)))
