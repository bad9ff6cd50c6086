"""Intake through the HTTP batch endpoint of a real node, against this machine's bare signature checks.

A node runs as its own process with its default durability; statements are signed before the clock
starts; several requests are under way at once. Every answer is checked: a statement counts when it
came back as newly logged. The peer is one core doing nothing but `verify_ed25519` over the same
statements, measured before and after in the same run.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from typing import Any

from twinproof.node.config import FILE_NAME, Limits, format_config, load_config
from twinproof.node.intake import Accepted
from twinproof.node.keyring import new_private_key
from twinproof.node.node import init_node, open_node
from twinproof.proof import cbor
from twinproof.proof.keys import PrivateKey, verify_ed25519
from twinproof.twin import grants
from twinproof.twin.columns import COLUMNS, format_columns
from twinproof.twin.grants import Capability, GrantTerms, Scope
from twinproof.twin.reading import Reading
from twinproof.twin.senml import SENML, format_senml
from twinproof.twin.statement import parse_statement, sign_statement, signing_input
from twinproof.twin.stream import check_next

ORIGIN = "bench.example/log"
OPERATOR = "https://bench.example/operator"
FLEET = "https://bench.example/engine/"
BATCH = 500
DEVICES = 50


def one_reading(number: int) -> tuple[str, bytes]:
    """A payload with one reading, as SenML."""
    return SENML, format_senml([Reading("T24", 641.0 + number / 7, "K", 1_700_000_000.0 + number)])


def hundred_senml(number: int) -> tuple[str, bytes]:
    """A payload with 100 readings, as SenML."""
    start = 1_700_000_000 + number * 100
    return SENML, format_senml([Reading("T24", 641.0 + i / 7, "K", float(start + i)) for i in range(100)])


def hundred_columns(number: int) -> tuple[str, bytes]:
    """A payload with 100 readings, as 4 columns of 25 rows."""
    columns = [(name, "K", [600.0 + number + row / 7 for row in range(25)]) for name in ("T2", "T24", "T30", "T50")]
    return COLUMNS, format_columns(1_700_000_000 + number * 25, columns, step=1)


SHAPES: dict[str, tuple[int, Callable[[int], tuple[str, bytes]]]] = {
    "senml_1": (1, one_reading),
    "columns_100": (100, hundred_columns),
    "senml_100": (100, hundred_senml),
}


def make_chains(keys: list[PrivateKey], shape: str, total: int) -> list[list[bytes]]:
    """Per device a chain of signed statements about its own engine."""
    make = SHAPES[shape][1]
    chains: list[list[bytes]] = []
    for device, key in enumerate(keys):
        chain: list[bytes] = []
        prev: bytes | None = None
        for seq in range(total // len(keys)):
            content_type, payload = make(seq)
            raw = sign_statement(
                key,
                issuer=issuer_of(device),
                subject=f"{FLEET}{shape}/{device}",
                content_type=content_type,
                payload=payload,
                seq=seq,
                prev=prev,
                issued_at=1_700_000_000 + seq,
            )
            prev = parse_statement(raw).digest
            chain.append(raw)
        chains.append(chain)
    return chains


def issuer_of(device: int) -> str:
    """The device's IRI (RFC 9039)."""
    return f"urn:dev:org:32473-bench-{device}"


def batches(chains: list[list[bytes]]) -> list[list[bytes]]:
    """Requests of `BATCH` statements as gateways of ten devices send them: a list per gateway, to be sent in order."""
    per_device = 50
    together = BATCH // per_device
    gateways: list[list[bytes]] = []
    for start in range(0, len(chains), together):
        some = chains[start : start + together]
        gateways.append(
            [
                b"".join(raw for chain in some for raw in chain[at : at + per_device])
                for at in range(0, len(some[0]), per_device)
            ]
        )
    return gateways


def grant_all(folder: Path, keys: list[PrivateKey]) -> None:
    """The operator lets each device record readings about the whole fleet."""
    with open_node(folder) as node:
        operator = node.operator_key()
        about = grants.log_subject(ORIGIN)
        head = node.intake.stream_head(OPERATOR, about)
        statements = []
        for device, key in enumerate(keys):
            assert head is not None
            terms = GrantTerms(issuer_of(device), key.public, frozenset({Capability.RECORD}), Scope("prefix", FLEET))
            raw = sign_statement(
                operator,
                issuer=OPERATOR,
                subject=about,
                content_type=grants.GRANT,
                payload=grants.format_grant(terms),
                seq=head.seq + 1,
                prev=head.digest,
                issued_at=int(time.time()),
            )
            head = check_next(head, parse_statement(raw))
            statements.append(raw)
        outcomes = node.intake.submit(statements).result()
        assert all(isinstance(outcome, Accepted) for outcome in outcomes), outcomes


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[tuple[tuple[str, int], int]]:
    """A node of its own process on a free port: its address, its process id."""
    command = [sys.executable, "-m", "twinproof", "serve", str(folder), "--port", "0", "--json", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = json.loads(process.stdout.readline())["listening"]
            host, port = url.removeprefix("http://").split(":")
            yield (host, int(port)), process.pid
        finally:
            process.terminate()
            process.wait(30)


def send(address: tuple[str, int], gateways: list[list[bytes]], query: str) -> float:
    """Post each gateway's requests in order, all gateways at once; check every answer; the seconds it took."""

    def work(requests: list[bytes]) -> int:
        connection = HTTPConnection(*address, timeout=60)
        new = 0
        for body in requests:
            connection.request("POST", f"/entries/batch{query}", body, {"content-type": "application/cbor-seq"})
            answer = connection.getresponse()
            data = answer.read()
            assert answer.status == 200, (answer.status, data)
            # Counted without decoding, which would take the node's cores: {"index": …, "status": 201}.
            new += data.count(b"fstatus\x18\xc9")
        connection.close()
        return new

    start = time.perf_counter()
    with ThreadPoolExecutor(len(gateways)) as pool:
        new = sum(pool.map(work, gateways))
    seconds = time.perf_counter() - start
    expected = sum(len(cbor.decode_sequence(body, limit=BATCH)) for requests in gateways for body in requests)
    assert new == expected, f"{new} of {expected} statements were newly logged"
    return seconds


def bare_rate(chains: list[list[bytes]], keys: list[PrivateKey]) -> float:
    """Signature checks per second on one core, nothing else: messages and keys are ready."""
    checks = []
    for key, chain in zip(keys, chains, strict=True):
        for raw in chain[:40]:
            statement = parse_statement(raw)
            checks.append((key.public.raw, signing_input(statement), statement.signature))
    start = time.perf_counter()
    for check in checks:
        verify_ed25519(*check)
    return len(checks) / (time.perf_counter() - start)


def run(quick: bool) -> dict[str, Any]:
    """Statements and readings per second per shape, and as a fraction of the bare signature checks."""
    total = 5_000 if quick else 30_000
    keys = [new_private_key() for _ in range(DEVICES)]
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "node"
        init_node(folder, ORIGIN, OPERATOR)
        limits = Limits(rate=0)
        (folder / FILE_NAME).write_text(format_config(replace(load_config(folder), limits=limits)))
        grant_all(folder, keys)
        with serving(folder, "--no-views") as (address, _):
            for shape, (readings, _) in SHAPES.items():
                # Half of each chain without receipts in the answers, half with them.
                chains = make_chains(keys, shape, 2 * total if readings == 1 else total)
                half = len(chains[0]) // 2
                for name, query, part in (
                    (shape, "", [chain[:half] for chain in chains]),
                    (f"{shape}_with_receipts", "?receipts=1", [chain[half:] for chain in chains]),
                ):
                    before = bare_rate(part, keys)
                    seconds = send(address, batches(part), query)
                    bare = median([before, bare_rate(part, keys)])
                    statements = sum(map(len, part))
                    results[name] = {
                        "statements_per_s": round(statements / seconds),
                        "readings_per_s": round(statements * readings / seconds),
                        "bare_checks_per_s": round(bare),
                        "fraction_of_bare": round(statements / seconds / bare, 3),
                    }
    return {"batch": BATCH, "devices": DEVICES, **results}


if __name__ == "__main__":
    print(json.dumps(run("--quick" in sys.argv)))
