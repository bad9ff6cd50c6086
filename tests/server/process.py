"""A node as its own process, and a plain HTTP client of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.builders import ORIGIN, Log
from tests.node.folders import OPERATOR_IRI, script_of
from twinproof.node.config import FILE_NAME, Limits, format_config, load_config
from twinproof.node.keyring import read_private_key
from twinproof.node.node import POLICY, init_node, read_node
from twinproof.proof import cbor
from twinproof.proof.checkpoint import Checkpoint
from twinproof.proof.policy import Policy, parse_policy

CBOR = "application/cbor"
COSE = "application/cose"
SEQUENCE = "application/cbor-seq"
PROBLEM = "application/concise-problem-details+cbor"


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def value(self) -> Any:
        """The body as CBOR."""
        assert self.headers["content-type"] == CBOR
        return cbor.decode(self.body)

    @property
    def problem(self) -> tuple[str, str]:
        """Title and detail of a refusal; anything else fails."""
        assert self.headers["content-type"] == PROBLEM, (self.status, self.headers, self.body[:200])
        value = cbor.decode(self.body)
        assert value.keys() == {-1, -2}
        return value[-1], value[-2]

    @property
    def code(self) -> str:
        """The code that the detail of a refusal begins with."""
        return self.problem[1].split(":")[0]


class Client:
    """One kept connection, opened again when the server has closed it."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address
        self._connection = HTTPConnection(*address, timeout=60)

    def close(self) -> None:
        self._connection.close()

    def request(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        """Send one request, read all of the answer."""
        self._connection.request(method, path, body, dict(headers or {}))
        response = self._connection.getresponse()
        data = response.read()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, data)

    def get(self, path: str) -> Answer:
        return self.request("GET", path)

    def post(self, raw: bytes, content_type: str = COSE) -> Answer:
        """Register one statement."""
        return self.request("POST", "/entries", raw, {"content-type": content_type})

    def batch(self, raws: Iterable[bytes] | bytes, query: str = "") -> Answer:
        """Register a sequence; bytes are sent as they are."""
        body = raws if isinstance(raws, bytes) else b"".join(raws)
        return self.request("POST", f"/entries/batch{query}", body, {"content-type": SEQUENCE})

    def take(self, *raws: bytes) -> list[int]:
        """Register, in requests of 500, all of which must be accepted; the indices."""
        indices: list[int] = []
        for start in range(0, len(raws), 500):
            answer = self.batch(raws[start : start + 500])
            assert answer.status == 200, answer.problem
            results = answer.value["results"]
            assert all(result["status"] in (200, 201) for result in results), results
            indices += [result["index"] for result in results]
        return indices


class NodeProcess:
    """`twinproof serve` on a free port; stop it with `stop` or `kill`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        command = [sys.executable, "-m", "twinproof", "serve", str(folder), "--port", "0", "--json"]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise StartFailed(self.process.wait(30), self.rest())
        told = json.loads(line)
        parts = urlsplit(told.get("url") or told["listening"])
        assert parts.hostname is not None
        assert parts.port is not None
        self.address = (parts.hostname, parts.port)

    def client(self) -> Client:
        return Client(self.address)

    def stop(self) -> int:
        """SIGTERM, and wait; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.ended()

    def kill(self) -> None:
        """SIGKILL, and wait."""
        self.process.kill()
        self.ended()

    def ended(self) -> int:
        """Wait for the end; the exit code."""
        self.rest()
        return self.process.wait(60)

    def rest(self) -> str:
        """What it has written to stderr by its end."""
        if self.process.stderr is None or self.process.stderr.closed:
            return ""
        assert self.process.stdout is not None
        text = self.process.stderr.read()
        self.process.stderr.close()
        self.process.stdout.close()
        return text


class StartFailed(Exception):
    """The process ended before it listened."""

    def __init__(self, exit_code: int, text: str) -> None:
        super().__init__(f"exit code {exit_code}: {text}")
        self.exit_code = exit_code
        self.text = text


@dataclass
class Served:
    """A running node, a client of it, and the script of its log."""

    node: NodeProcess
    client: Client
    script: Log
    policy: Policy

    def head(self) -> Checkpoint:
        """The published tree head, its signatures checked."""
        return self.policy.check(self.client.get("/checkpoint").body).checkpoint

    def grow(self) -> list[int]:
        """Send what the script holds and the log does not; the indices."""
        return self.client.take(*self.script.raws[self.head().size :])


def make_folder(folder: Path, **limits: int) -> Path:
    """A new node's folder with these limits."""
    init_node(folder, ORIGIN, OPERATOR_IRI)
    changed = replace(load_config(folder), limits=replace(Limits(), **limits))
    (folder / FILE_NAME).write_text(format_config(changed))
    return folder


def serve(folder: Path) -> Served:
    """Start a node on a folder; its script goes on from what the log holds."""
    node = NodeProcess(folder)
    with read_node(folder) as reading:
        entries = reading.reader.entries(0, reading.reader.head().size)
    script = script_of(entries, ORIGIN, read_private_key(folder / "keys" / "operator.pem"))
    return Served(node, node.client(), script, parse_policy((folder / POLICY).read_bytes()))
