"""Where an outbox delivers to: the `Sink` protocol, and the node's HTTP API as one.

    POST {base}/entries/batch?receipts=1   application/cbor-seq, concatenated statements
      200 application/cbor {"checkpoint": bytes, "results": [result, …]} in the order of the statements
          result = {"status": 201 (new) | 200 (was there), "index": n, ? "receipt": bytes}
                 | {"status": 4xx | 5xx, "code": text, "detail": text, ? "expected": n, ? "index": n}
      429, 503 with Retry-After in seconds: nothing was kept;  413: too large
    GET {base}/streams?iss=…&sub=…
      200 application/cbor {"seq": n, "digest": bytes};  404: no such stream

Other answers are RFC 9290 problem details in CBOR, {-1: title, -2: detail}. Answers are read
strictly and up to a limit; anything else is `Unreachable`, which means: nothing is known, send again.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias
from urllib.parse import urlencode

import urllib3

from twinproof.edge.http import busy, check_address, parse_problem, printable
from twinproof.errors import Malformed, TooLarge, Unreachable
from twinproof.proof import cbor
from twinproof.proof.receipt import MAX_RECEIPT
from twinproof.twin.fields import digest, fields
from twinproof.twin.statement import MAX_SEQ
from twinproof.twin.stream import StreamHead

MAX_BATCH: Final = 1000
"""Statements of one request."""
MAX_REQUEST: Final = 8 * 1024 * 1024
"""Bytes of one request."""

_MAX_PROBLEM: Final = 16 * 1024
_MAX_HEAD: Final = 1024
_RESULT_SIZE: Final = MAX_RECEIPT + 1024
"""Bytes of one result, at most."""
_PASSING: Final = frozenset({"future-dated", "overloaded", "rate-limited", "conflict", "internal", "storage-failed"})
"""Codes of refusals that may end by themselves."""
_CODE = re.compile(r"[a-z][a-z0-9\-]{0,63}\Z")


@dataclass(frozen=True, slots=True)
class Delivered:
    """The log holds the statement at `index`."""

    index: int
    receipt: bytes | None
    """COSE Receipt, unchecked."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The log does not take the statement."""

    code: str
    """`TwinproofError.code` of the refusal."""
    detail: str
    retry: bool = False
    """Whether the same bytes may be taken later."""
    expected: int | None = None
    """The `seq` that the log waits for."""


Delivery: TypeAlias = Delivered | Refused


class Sink(Protocol):
    """A log, seen from a device. Sending is idempotent: a statement sent twice is in the log once.

    Both methods may block and are called by one thread at a time. `Unreachable` and `Overloaded`
    mean that nothing is known of the call's effect; the caller sends again, later.
    """

    def send(self, statements: Sequence[bytes]) -> list[Delivery]:
        """One delivery per statement, in order. Raises `TooLarge` if the log wants fewer at once."""
        ...

    def head(self, issuer: str, subject: str) -> StreamHead | None:
        """The last statement of a stream in the log; None if the log certainly has none."""
        ...


def send_each(sink: Sink, statements: Sequence[bytes]) -> list[Delivery]:
    """`sink.send`, certainly with one delivery per statement.

    Raises `TooLarge` only where fewer at once may do, and `Unreachable` for any other number of answers.
    """
    try:
        answers = sink.send(statements)
    except TooLarge as problem:
        if len(statements) > 1:
            raise
        answers = [Refused(problem.code, str(problem))]
    if len(answers) != len(statements):
        raise Unreachable(f"the log gave {len(answers)} answers to {len(statements)} statements")
    return answers


class HttpSink:
    """A node's HTTP API. Redirects are not followed; TLS certificates are always checked."""

    def __init__(
        self,
        base_url: str,
        *,
        timeout: float = 30.0,
        ca_certs: str | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`timeout` in seconds bounds each wait for the node and, doubled, the reading of an answer's body.

        `ca_certs` is a PEM file of authorities, instead of the system's. Raises `ConfigError`.
        """
        self._base = check_address(base_url)
        self._timeout = timeout
        self._monotonic = monotonic
        self._pool = urllib3.PoolManager(
            num_pools=1,
            timeout=urllib3.Timeout(connect=timeout, read=timeout),
            retries=False,
            cert_reqs="CERT_REQUIRED",
            ca_certs=ca_certs,
            headers={"Accept-Encoding": "identity", "User-Agent": "twinproof-recorder"},
        )

    def close(self) -> None:
        """Close kept connections."""
        self._pool.clear()

    def send(self, statements: Sequence[bytes]) -> list[Delivery]:
        """See `Sink.send`."""
        body = b"".join(statements)
        if len(statements) > MAX_BATCH or len(body) > MAX_REQUEST:
            raise TooLarge("batch", f"more than {MAX_BATCH} statements or {MAX_REQUEST} bytes")
        status, answer = self._ask(
            "POST",
            "/entries/batch?receipts=1",
            limit=_RESULT_SIZE * len(statements) + 64 * 1024,
            body=body,
            content_type="application/cbor-seq",
        )
        if status == 413:
            raise TooLarge("batch", "more than the node takes at once")
        if status != 200:
            raise self._unexpected(status, answer)
        try:
            return parse_results(answer, len(statements))
        except Malformed as problem:
            raise Unreachable(f"{self._base} did not answer in its own format: {problem}") from None

    def head(self, issuer: str, subject: str) -> StreamHead | None:
        """See `Sink.head`."""
        status, answer = self._ask("GET", f"/streams?{urlencode({'iss': issuer, 'sub': subject})}", limit=_MAX_HEAD)
        # Any web server says 404; a stream is numbered from 0 only on the word of a node.
        if status == 404 and parse_problem(answer) is not None:
            return None
        if status != 200:
            raise self._unexpected(status, answer)
        try:
            return parse_head(answer)
        except Malformed as problem:
            raise Unreachable(f"{self._base} did not answer in its own format: {problem}") from None

    def _unexpected(self, status: int, answer: bytes) -> Unreachable:
        said = parse_problem(answer)
        return Unreachable(f"{self._base} answered {status}" + (f": {said}" if said else ""))

    def _ask(
        self, method: str, path: str, *, limit: int, body: bytes | None = None, content_type: str | None = None
    ) -> tuple[int, bytes]:
        """Status and body; raises `Overloaded` for 429 and 503, `Unreachable` for whatever is no whole answer."""
        headers = {**self._pool.headers, **({"Content-Type": content_type} if content_type else {})}
        try:
            response = self._pool.request(
                method,
                self._base + path,
                body=body,
                headers=headers,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
            try:
                answer = self._read(response, limit if response.status == 200 else _MAX_PROBLEM)
            except BaseException:
                response.close()
                raise
            response.release_conn()
        except urllib3.exceptions.HTTPError as problem:
            raise Unreachable(f"{self._base} cannot be reached: {printable(str(problem))}") from None
        if response.status in (429, 503):
            raise busy(self._base, response.status, answer, response.headers)
        kind_of_answer = response.headers.get("Content-Type", "").split(";")[0].strip().lower()
        wanted = "application/cbor" if response.status == 200 else "application/concise-problem-details+cbor"
        if kind_of_answer != wanted:
            raise Unreachable(
                f"{self._base} answered {response.status} with another type than {wanted}; is this a node's address?"
            )
        return response.status, answer

    def _read(self, response: urllib3.BaseHTTPResponse, limit: int) -> bytes:
        deadline = self._monotonic() + 2 * self._timeout
        parts: list[bytes] = []
        size = 0
        while part := response.read1(64 * 1024):
            parts.append(part)
            size += len(part)
            if size > limit:
                raise Unreachable(f"{self._base} answered with more than {limit} bytes")
            # Each byte restarts the socket's own timeout, so a trickle needs a limit of its own.
            if self._monotonic() > deadline:
                raise Unreachable(f"{self._base} took longer than {2 * self._timeout:g} s for its answer")
        return b"".join(parts)


# --- reading answers ------------------------------------------------------------------------


def parse_head(answer: bytes) -> StreamHead:
    """Read the answer of GET /streams; raises `Malformed`."""
    value = fields(cbor.decode(answer, what="stream head"), "stream head", ("seq", "digest"))
    return StreamHead(_number(value["seq"], "stream head.seq"), digest(value["digest"], "stream head.digest"))


def parse_results(answer: bytes, count: int) -> list[Delivery]:
    """Read the answer of POST /entries/batch to `count` statements; raises `Malformed`."""
    value = fields(cbor.decode(answer, what="answer"), "answer", ("checkpoint", "results"))
    results = value["results"]
    if type(value["checkpoint"]) is not bytes:
        raise Malformed("answer.checkpoint", "not bytes")
    if type(results) is not list or len(results) != count:
        raise Malformed("answer.results", f"not an array of {count} results")
    return [_parse_result(result, f"result {number}") for number, result in enumerate(results)]


def _parse_result(value: Any, field: str) -> Delivery:
    status = value.get("status") if type(value) is dict else None
    if type(status) is not int:
        raise Malformed(f"{field}.status", "not a number")
    if status in (200, 201):
        value = fields(value, field, ("status", "index"), ("receipt",))
        receipt = value.get("receipt")
        if receipt is not None and (type(receipt) is not bytes or len(receipt) > MAX_RECEIPT):
            raise Malformed(f"{field}.receipt", f"not up to {MAX_RECEIPT} bytes")
        return Delivered(_number(value["index"], f"{field}.index"), receipt)
    if not 400 <= status < 600:
        raise Malformed(f"{field}.status", f"{status} is neither 200, 201 nor an error")
    value = fields(value, field, ("status", "code", "detail"), ("expected", "index"))
    code, detail = value["code"], value["detail"]
    if type(code) is not str or not _CODE.match(code):
        raise Malformed(f"{field}.code", "not the code of a refusal")
    if type(detail) is not str:
        raise Malformed(f"{field}.detail", "not text")
    expected = _number(value["expected"], f"{field}.expected") if "expected" in value else None
    return Refused(code, printable(detail), status >= 500 or code in _PASSING, expected)


def _number(value: Any, field: str) -> int:
    if type(value) is not int or not 0 <= value < MAX_SEQ:
        raise Malformed(field, "not a number from 0 to 2^63-1")
    return value
