"""A node's events as a client reads them: server-sent events, resumed by log index for as long as it takes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from random import random
from typing import Any, Final
from urllib.parse import urlencode

import urllib3

from twinproof.edge.backoff import Backoff
from twinproof.edge.http import check_address, printable
from twinproof.errors import AccessDenied, Malformed, Overloaded, TwinproofError, Unauthenticated, Unreachable

PATH: Final = "/api/v1/events"
CONNECT_SECONDS: Final = 10.0
SILENCE_SECONDS: Final = 45.0
"""Without a byte for so long the connection is taken for dead: heartbeats come every 15 seconds."""
LONGEST_WAIT: Final = 30.0
"""Seconds between two attempts."""
MAX_LINE: Final = 16 * 1024 * 1024
"""Bytes of one line; an event is one line."""
MAX_PROBLEM: Final = 64 * 1024
_PIECE: Final = 64 * 1024

Event = dict[str, Any]
Note = Callable[[str], None]
"""Told in words what happens to the connection."""


class EventStream:
    """Reads events of one subscription; comes back after the last index that was read, nothing is lost or twice."""

    def __init__(
        self,
        url: str,
        query: Sequence[tuple[str, str]],
        *,
        token: str | None = None,
        note: Note = lambda text: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._address = check_address(url)
        self._query = [(name, value) for name, value in query if name != "after"]
        self.last: str | None = dict(query).get("after")
        """The index that the next connection resumes after."""
        self._headers = {"accept": "text/event-stream"} | ({"authorization": f"Bearer {token}"} if token else {})
        self._note = note
        self._sleep = sleep
        self._backoff = Backoff(random)
        self._was_there = False
        timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=SILENCE_SECONDS)
        self._pool = urllib3.PoolManager(timeout=timeout, retries=False, cert_reqs="CERT_REQUIRED")

    def __iter__(self) -> Iterator[Event]:
        """Events of all types, without end.

        Raises what keeps the first connection from being made, and later on only what coming back would not mend.
        """
        while True:
            try:
                yield from self._connection()
                problem: TwinproofError = Unreachable("the node closed the connection")
            except Unauthenticated:
                raise
            except (Unreachable, Overloaded) as found:
                if not self._was_there:
                    raise
                problem = found
            wait = min(self._backoff.failed(), LONGEST_WAIT)
            if isinstance(problem, Overloaded):
                wait = max(wait, min(problem.retry_after, LONGEST_WAIT))
            after = "" if self.last is None else f", to go on after entry {self.last}"
            self._note(f"{problem}; coming back in {wait:.0f} s{after}")
            self._sleep(wait)

    def _connection(self) -> Iterator[Event]:
        query = self._query if self.last is None else [*self._query, ("after", self.last)]
        try:
            response = self._pool.request(
                "GET",
                f"{self._address}{PATH}?{urlencode(query)}",
                headers=self._headers,
                redirect=False,
                preload_content=False,
            )
            try:
                if response.status != 200:
                    raise _refusal(self._address, response)
                for event in self._events(_lines(self._address, response)):
                    self._was_there = True
                    self._backoff.succeeded()
                    yield event
                    if event["type"] == "end":
                        raise _ended(event)
            finally:
                # Not back into the pool: there may be more on its way.
                response.close()
        except urllib3.exceptions.HTTPError as problem:
            raise Unreachable(f"{self._address} cannot be reached: {printable(str(problem))}") from None

    def _events(self, lines: Iterator[str]) -> Iterator[Event]:
        """Parse an event stream (HTML Living Standard §9.2.6); an id counts once its event was used."""
        given = self.last
        data: list[str] = []
        for line in lines:
            if line:
                field, _, value = line.partition(":")
                value = value.removeprefix(" ")
                if field == "id":
                    given = value
                elif field == "data":
                    data.append(value)
                continue
            if data:
                yield _parsed(self._address, "\n".join(data))
            self.last = given
            data = []


def _lines(address: str, response: urllib3.BaseHTTPResponse) -> Iterator[str]:
    rest = b""
    for part in response.stream(_PIECE, decode_content=False):
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            yield line.decode(errors="replace")
        if len(rest) > MAX_LINE:
            raise Unreachable(f"{address} sent a line of more than {MAX_LINE} bytes")


def _parsed(address: str, text: str) -> Event:
    try:
        event = json.loads(text)
    except (ValueError, RecursionError):
        event = None
    if type(event) is not dict or type(event.get("type")) is not str:
        raise Unreachable(f"{address} sent what is no event; is this a node's address?")
    return event


def _ended(event: Mapping[str, Any]) -> TwinproofError:
    """Why the node ended the stream."""
    said = printable(str(event.get("message", "the node ended the stream")))
    match event.get("code"):
        case Unauthenticated.code:
            return Unauthenticated(said)
        case AccessDenied.code:
            return AccessDenied(said)
        case _:
            return Overloaded(said, 1)


def _refusal(address: str, response: urllib3.BaseHTTPResponse) -> TwinproofError:
    """The error that the node answered with (RFC 9457)."""
    try:
        problem = json.loads(response.read(MAX_PROBLEM, decode_content=False))
        said = printable(f"{problem['detail']}")
    except (ValueError, KeyError, TypeError, RecursionError):
        return Unreachable(f"{address} answered {response.status} to {PATH}; is this the address of a live node?")
    match response.status:
        case 400 | 413:
            return Malformed("request", said)
        case 401:
            return Unauthenticated(f"{said}; set TWINPROOF_TOKEN to a token of this node")
        case 403:
            return AccessDenied(said)
        case 429 | 503:
            return Overloaded(f"{address} is busy: {said}", 5)
        case _:
            return Unreachable(f"{address} answered {response.status}: {said}")
