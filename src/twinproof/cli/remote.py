"""A running node over HTTP, for reading: evidence, entries, checkpoint. Answers have limits and are read strictly."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import urllib3

from twinproof.errors import ConfigError, Malformed, NotFound, Overloaded, RateLimited, Unreachable
from twinproof.proof import cbor
from twinproof.proof.checkpoint import parse_checkpoint
from twinproof.proof.note import MAX_NOTE, parse_note
from twinproof.proof.receipt import MAX_RECEIPT
from twinproof.proof.tlog_proof import MAX_PROOF
from twinproof.twin.evidence import MAX_BUNDLE, parse_bundle
from twinproof.twin.statement import MAX_STATEMENT, parse_statement

TIMEOUT: Final = 60.0
"""Seconds without a byte."""
_PIECE: Final = 256 * 1024
_RETRY_AFTER: Final = 5.0
_SECONDS = re.compile(r"[0-9]{1,6}\Z")


class RemoteLog:
    """Reads one node. Redirects are not followed, TLS certificates are checked. Raises `Unreachable`, `Overloaded`."""

    def __init__(self, base_url: str) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ConfigError(f"{base_url!r} is not the address of a node, such as http://127.0.0.1:8600")
        self._base = base_url.rstrip("/")
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

    def bundle(self, subject: str, progress: Any = None) -> bytes:
        """The history bundle of a twin; raises `NotFound`."""
        return self._get(f"/bundle?{urlencode({'sub': subject})}", MAX_BUNDLE)

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
                f"{self._base} cannot be reached: {_printable(str(problem))}; is the node running there?"
            ) from None
        if response.status == 200:
            return answer
        said = _problem(answer) or f"status {response.status}"
        if response.status == 404 and _problem(answer):
            raise NotFound(said)
        if response.status in (429, 503):
            text = response.headers.get("Retry-After", "")
            wait = float(text) if _SECONDS.match(text) else _RETRY_AFTER
            raise (RateLimited if response.status == 429 else Overloaded)(f"{self._base} is busy: {said}", wait)
        if response.status in (400, 413, 422) and _problem(answer):
            raise Malformed("request", said)
        raise Unreachable(f"{self._base} answered {response.status}: {said}; is this a node's address?")

    def _read(self, response: urllib3.BaseHTTPResponse, limit: int) -> bytes:
        parts: list[bytes] = []
        size = 0
        for part in response.stream(_PIECE, decode_content=False):
            size += len(part)
            if size > limit:
                raise Unreachable(f"{self._base} answered with more than {limit} bytes")
            parts.append(part)
        return b"".join(parts)


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text[:300])


def _problem(answer: bytes) -> str | None:
    """What RFC 9290 problem details say; None if the answer holds none."""
    try:
        value = cbor.decode(answer, what="problem details")
    except Malformed:
        return None
    detail = value.get(-2, value.get(-1)) if type(value) is dict else None
    return _printable(detail) if type(detail) is str else None
