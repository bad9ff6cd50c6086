"""A running node over HTTP, for reading: evidence, entries, checkpoint. Answers have limits and are read strictly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from urllib.parse import urlencode

import urllib3

from twinproof.edge.http import busy, check_address, parse_problem, printable
from twinproof.errors import Malformed, NotFound, Unreachable
from twinproof.proof.checkpoint import parse_checkpoint
from twinproof.proof.note import MAX_NOTE, parse_note
from twinproof.proof.receipt import MAX_RECEIPT
from twinproof.proof.tlog_proof import MAX_PROOF
from twinproof.twin.evidence import MAX_BUNDLE, parse_bundle
from twinproof.twin.statement import MAX_STATEMENT, parse_statement

TIMEOUT: Final = 60.0
"""Seconds without a byte."""
_PIECE: Final = 256 * 1024


class RemoteLog:
    """Reads one node. Redirects are not followed, TLS certificates are checked. Raises `Unreachable`, `Overloaded`."""

    def __init__(self, base_url: str) -> None:
        self._base = check_address(base_url)
        self._pool = urllib3.PoolManager(timeout=TIMEOUT, retries=False, cert_reqs="CERT_REQUIRED")
        self._origin: str | None = None

    @property
    def origin(self) -> str:
        """The log's name, as its checkpoint gives it."""
        if self._origin is None:
            self._origin = parse_checkpoint(parse_note(self.checkpoint()).text).origin
        return self._origin

    def checkpoint(self) -> bytes:
        """The newest signed checkpoint."""
        return self._get("/checkpoint", MAX_NOTE)

    def entry(self, index: int) -> bytes:
        """The statement at `index`; raises `NotFound`."""
        return self._get(f"/entries/{index}/statement", MAX_STATEMENT)

    def receipt(self, index: int) -> bytes:
        """A COSE receipt of the entry at `index`; raises `NotFound`."""
        return self._get(f"/entries/{index}", MAX_RECEIPT)

    def transparent(self, index: int) -> bytes:
        """The statement at `index` with its receipt; raises `NotFound`."""
        return self._get(f"/entries/{index}/transparent", MAX_STATEMENT + MAX_RECEIPT)

    def tlog_proof(self, index: int) -> bytes:
        """The tlog-proof of the entry at `index`; raises `NotFound`."""
        return self._get(f"/entries/{index}/tlog-proof", MAX_PROOF)

    def bundle(
        self, subject: str, progress: Callable[[int, int], None] | None = None, *, models: bool = False
    ) -> bytes:
        """The history bundle of a twin, which the node makes without telling of its `progress`; raises `NotFound`."""
        wanted = {"sub": subject, "models": "1"} if models else {"sub": subject}
        return self._get(f"/bundle?{urlencode(wanted)}", MAX_BUNDLE)

    def about(self, subject: str) -> list[tuple[int, bytes]]:
        """(index, statement) of everything about a twin, in log order; nothing of it is verified here."""
        entries = parse_bundle(self.bundle(subject)).entries
        return [(index, raw) for index, raw in entries if parse_statement(raw).subject == subject]

    def close(self) -> None:
        """Close kept connections."""
        self._pool.clear()

    def _get(self, path: str, limit: int) -> bytes:
        try:
            response = self._pool.request("GET", self._base + path, redirect=False, preload_content=False)
            try:
                answer = self._read(response, limit)
            finally:
                response.close()
        except urllib3.exceptions.HTTPError as problem:
            raise Unreachable(
                f"{self._base} cannot be reached: {printable(str(problem))}; is the node running there?"
            ) from None
        if response.status == 200:
            return answer
        if response.status in (429, 503):
            raise busy(self._base, response.status, answer, response.headers)
        said = parse_problem(answer)
        if response.status == 404 and said:
            raise NotFound(said)
        if response.status in (400, 413, 422) and said:
            raise Malformed("request", said)
        raise Unreachable(
            f"{self._base} answered {response.status}: {said or 'nothing readable'}; is this a node's address?"
        )

    def _read(self, response: urllib3.BaseHTTPResponse, limit: int) -> bytes:
        parts: list[bytes] = []
        size = 0
        for part in response.stream(_PIECE, decode_content=False):
            size += len(part)
            if size > limit:
                raise Unreachable(f"{self._base} answered with more than {limit} bytes")
            parts.append(part)
        return b"".join(parts)
