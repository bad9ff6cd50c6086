"""JSON-RPC 2.0 over HTTP, as a client that trusts nothing: one connection pool, deadlines, size limits, batches.

    client = RpcClient("https://user:secret@node.example/key")
    [number, nonce] = client.batch([("eth_blockNumber", []), ("eth_getTransactionCount", [address, "latest"])])

Answers are values, or `Fault`s where the node refused one call. URLs hold keys, so messages name the host alone.
"""

from __future__ import annotations

import itertools
import json
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from twinproof.errors import ChainLied, ChainUnreachable, ConfigError

MAX_BATCH: Final = 50
MAX_ANSWER: Final = 32 << 20
"""Bytes of one HTTP answer."""
MAX_ATTEMPTS: Final = 3
"""Of a call that only reads."""
MAX_PAUSE: Final = 10.0
"""Seconds between two attempts, whatever the node asks for."""

_SECONDS: Final = re.compile(r"[0-9]{1,6}", re.ASCII)
_BUSY: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_BUSY_CODES: Final = frozenset({-32005, -32029, 429})
"""Of a fault: limit exceeded (EIP-1474), too many requests."""
_REFUSES_BATCH: Final = frozenset({400, 405, 413, 415, 422})

Call = tuple[str, Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Fault:
    """The node's `error` for one call."""

    code: int
    message: str
    """At most 300 characters, printable."""
    data: Any = None


class AnswerTooLarge(ChainUnreachable):
    """The answer is over the limit and was not read further; ask for less."""


class CredentialsRefused(ChainUnreachable):
    """The node does not serve who asks; asking again does not help."""


class _Busy(ChainUnreachable):
    """Not now."""

    def __init__(self, message: str, pause: float | None) -> None:
        super().__init__(message)
        self.pause = pause


class _BatchRefused(Exception):
    """The node does not take that many calls at once."""


class RpcClient:
    """One node. Any thread may call; `connections` grows with each TCP connection that was made."""

    def __init__(
        self,
        url: str,
        *,
        connect_timeout: float = 5.0,
        timeout: float = 15.0,
        max_answer: int = MAX_ANSWER,
        max_batch: int = MAX_BATCH,
        proxy: str | None = None,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`timeout` is for a whole answer, in seconds. Raises `ConfigError` for a URL that is none."""
        self.host, self._auth, self._url = _split(url)
        self._timeout = timeout
        self._max_answer = max_answer
        self._max_batch = max_batch
        self._sleep = sleep
        self._monotonic = monotonic
        self._ids = itertools.count(1)
        self._lock = threading.Lock()
        self.connections = 0
        limits = httpx.Limits(max_connections=8, max_keepalive_connections=8, keepalive_expiry=60)
        times = httpx.Timeout(timeout, connect=connect_timeout)
        self._http = httpx.Client(timeout=times, limits=limits, trust_env=False, proxy=proxy, auth=self._auth)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def call(self, method: str, parameters: Sequence[Any], *, retry: bool = True) -> Any:
        """One answer: a value or a `Fault`. With `retry`, a busy or lost node is asked again."""
        return self.batch([(method, parameters)], retry=retry)[0]

    def batch(self, calls: Sequence[Call], *, retry: bool = True) -> list[Any]:
        """Answers in the order of the calls.

        Raises `ChainUnreachable` (`AnswerTooLarge`) if the node does not answer, `ChainLied` if what it
        answers is no JSON-RPC for these calls.
        """
        answers: list[Any] = []
        while len(answers) < len(calls):
            part = calls[len(answers) : len(answers) + self._max_batch]
            try:
                answers += self._attempts(part, retry)
            except _BatchRefused:
                # Remembered: a node's limit does not change from call to call.
                self._max_batch = max(1, len(part) // 2)
        return answers

    def _attempts(self, calls: Sequence[Call], retry: bool) -> list[Any]:
        for attempt in itertools.count(1):
            last = not retry or attempt == MAX_ATTEMPTS
            try:
                answers = self._post(calls)
                if last or not any(isinstance(one, Fault) and one.code in _BUSY_CODES for one in answers):
                    return answers
                pause: float | None = None
            except (AnswerTooLarge, CredentialsRefused):
                raise
            except _Busy as problem:
                if last:
                    raise
                pause = problem.pause
            except ChainUnreachable:
                if last:
                    raise
                pause = None
            self._sleep(min(MAX_PAUSE, 0.25 * 2**attempt if pause is None else pause))
        raise AssertionError("unreachable")  # pragma: no cover

    def _post(self, calls: Sequence[Call]) -> list[Any]:
        ids = [next(self._ids) for _ in calls]
        bodies = [
            {"jsonrpc": "2.0", "id": number, "method": method, "params": list(parameters)}
            for number, (method, parameters) in zip(ids, calls, strict=True)
        ]
        single = len(bodies) == 1
        status, pause, raw = self._exchange(json.dumps(bodies[0] if single else bodies).encode())
        if status in _REFUSES_BATCH and not single:
            raise _BatchRefused
        if status in _BUSY:
            raise _Busy(f"the chain's node {self.host} is busy or broken (HTTP {status})", pause)
        if status in (401, 403):
            raise CredentialsRefused(f"the chain's node {self.host} refuses the credentials (HTTP {status})")
        try:
            answer = json.loads(raw, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            raise ChainUnreachable(f"the chain's node {self.host} does not speak JSON-RPC (HTTP {status})") from None
        if single:
            return [self._result(answer, {ids[0]})[1]]
        if isinstance(answer, dict) and "error" in answer:
            raise _BatchRefused
        return self._sort(answer, ids)

    def _sort(self, answer: Any, ids: Sequence[int]) -> list[Any]:
        if not isinstance(answer, list):
            raise ChainLied(f"the chain's node {self.host} answers a batch with no list")
        open_ids = set(ids)
        found = {}
        for one in answer:
            number, value = self._result(one, open_ids)
            open_ids.discard(number)
            found[number] = value
        if open_ids:
            raise ChainLied(f"the chain's node {self.host} leaves {len(open_ids)} calls of a batch unanswered")
        return [found[number] for number in ids]

    def _result(self, answer: Any, ids: set[int]) -> tuple[int, Any]:
        if (
            not isinstance(answer, dict)
            or answer.get("jsonrpc") != "2.0"
            or ("result" in answer) == ("error" in answer)
        ):
            raise ChainLied(f"the chain's node {self.host} does not answer by JSON-RPC 2.0")
        number = answer.get("id")
        if "error" in answer:
            fault = self._fault(answer["error"])
            if number is None and len(ids) == 1:  # JSON-RPC 2.0 §5: a request that it could not read
                return next(iter(ids)), fault
        if isinstance(number, bool) or not isinstance(number, int) or number not in ids:
            raise ChainLied(f"the chain's node {self.host} answers a call that was not made, or twice")
        return number, fault if "error" in answer else answer["result"]

    def _fault(self, error: Any) -> Fault:
        code = error.get("code") if isinstance(error, dict) else None
        message = error.get("message") if isinstance(error, dict) else None
        if isinstance(code, bool) or not isinstance(code, int) or not isinstance(message, str):
            raise ChainLied(f"the chain's node {self.host} has an error without code and message")
        shown = "".join(letter if letter.isprintable() else " " for letter in message[:300])
        return Fault(code, shown, error.get("data"))

    def _exchange(self, body: bytes) -> tuple[int, float | None, bytes]:
        deadline = self._monotonic() + self._timeout
        headers = {"content-type": "application/json", "accept-encoding": "identity"}
        try:
            with self._http.stream(
                "POST", self._url, content=body, headers=headers, extensions={"trace": self._trace}
            ) as answer:
                read = bytearray()
                for part in answer.iter_raw():
                    read += part
                    if len(read) > self._max_answer:
                        raise AnswerTooLarge(f"the chain's node {self.host} answers with over {self._max_answer} bytes")
                    # httpx bounds the wait for each part; a node that drips would go on for ever.
                    if self._monotonic() > deadline:
                        raise ChainUnreachable(f"the chain's node {self.host} does not end its answer in time")
                after = answer.headers.get("retry-after", "")
                return answer.status_code, float(after) if _SECONDS.fullmatch(after) else None, bytes(read)
        except httpx.TimeoutException:
            raise ChainUnreachable(f"the chain's node {self.host} does not answer in time") from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as problem:
            raise ChainUnreachable(
                f"the chain's node {self.host} cannot be reached ({type(problem).__name__})"
            ) from None

    def _trace(self, event: str, _: Any) -> None:
        if event == "connection.connect_tcp.complete":
            with self._lock:
                self.connections += 1


def _split(url: str) -> tuple[str, httpx.BasicAuth | None, httpx.URL]:
    """Host and port for messages, credentials, and the URL without them."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        address = httpx.URL(url)
    except (ValueError, httpx.InvalidURL):
        raise ConfigError("the chain's URL is none: it needs http(s)://host[:port]/path") from None
    if parts.scheme not in ("http", "https") or not host or parts.fragment:
        raise ConfigError("the chain's URL must be http(s)://host[:port]/path")
    auth = httpx.BasicAuth(address.username, address.password) if address.userinfo else None
    return host if port is None else f"{host}:{port}", auth, address.copy_with(userinfo=b"")


def _no_constant(name: str) -> Any:
    raise ValueError(name)
