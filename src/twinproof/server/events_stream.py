"""One stream of events: what is written to a subscriber and when, whatever carries it.

Messages are JSON objects with a `type`:

    ready      {"next": n, "size": m}       the first one, and after each change of the filter
    entry      an entry, see `views.subscription`
    latest     the newest of each twin, see `views.coalesce`
    progress   {"next": n}                  nothing wanted up to there: also the heartbeat
    lagging    {"next": n, "size": m, "behind": m-n}     too slow: events now come from the log, none is left out
    refused    {"code", "message"}          a change of the filter (WebSocket)
    end        {"next": n, "code", "message"}            the node ends the stream; come back with after = n - 1
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

from pydantic_core import to_json as to_text
from starlette.requests import HTTPConnection
from starlette.types import Scope

from twinproof.errors import AccessDenied, Malformed, Overloaded, TwinproofError
from twinproof.server.events import GOODBYE, Allowed, Chunk, Found, Hub, Subscriber
from twinproof.server.events_request import Wish
from twinproof.server.protocol import ABORT
from twinproof.views.coalesce import Latest
from twinproof.views.feed import Item

MANY_TWINS: Final = 2000
"""Twins in one `latest` event; when there are more, the next one follows at once."""


class Reader(Protocol):
    """Who subscribes."""

    @property
    def reads_all(self) -> bool:
        """Whether every twin may be read."""

    def covers(self, subject: str) -> bool:
        """Whether this twin may be read."""


Identify: TypeAlias = Callable[[HTTPConnection], Awaitable[Reader]]
"""Finds out who asks; asked again with every heartbeat. Raises `Unauthenticated` or `AccessDenied`."""


class Message(NamedTuple):
    """What is written: JSON, the name of its type, the index that a client resumes after (None: as before)."""

    data: bytes
    type: str
    after: int | None


Write: TypeAlias = Callable[[list[Message]], Awaitable[None]]


class Stalled(Exception):
    """The client took nothing for too long."""


def abort_of(scope: Scope) -> Callable[[float], None]:
    """How to cut this connection; does nothing under a server that cannot."""
    found: Callable[[float], None] = (scope.get("extensions") or {}).get(ABORT, _leave)
    return found


def _leave(seconds: float) -> None:
    pass


def allowed_for(reader: Reader, wish: Wish) -> Allowed | None:
    """The check for each twin; raises `AccessDenied` for a filter that names a twin out of reach."""
    if reader.reads_all:
        return None
    if not all(map(reader.covers, wish.filter.twins)):
        raise AccessDenied("the token does not cover every twin that the filter names")
    return reader.covers


def start_of(hub: Hub, wish: Wish) -> int | None:
    """The first index to look at; raises `Malformed` for an `after` that the log has not reached."""
    if wish.after is None:
        return None
    if wish.after >= hub.size:
        raise Malformed("after", f"there is no entry {wish.after}: the log has {hub.size}; is it another log?")
    return wish.after + 1


class Stream:
    """Writes to one subscriber until it leaves, the node stops, or it may read no longer."""

    def __init__(
        self, hub: Hub, subscriber: Subscriber, wish: Wish, connection: HTTPConnection, identify: Identify, write: Write
    ) -> None:
        self.wish = wish
        self._hub = hub
        self._connection = connection
        self._identify = identify
        self._write_out = write
        self._subscriber = subscriber
        self._change: Wish | TwinproofError | None = None
        self._changed = asyncio.Event()
        self._lagging = False

    async def run(self) -> TwinproofError:
        """Write until the node ends the stream, and why; raises `Stalled` if nothing can be written any more."""
        subscriber = self._subscriber
        await self._ready()
        self._lagging = subscriber.behind > 0
        try:
            while not self._hub.stopping:
                if self._change is not None:
                    await self._apply_change()
                elif self.wish.coalesce is not None:
                    await self._write_latest(self.wish.coalesce)
                else:
                    await self._write_entries()
            raise Overloaded("the node is stopping; come back", 5)
        except TwinproofError as problem:
            await self._tell("end", next=subscriber.cursor, code=problem.code, message=str(problem))
            return problem

    async def change(self, wish: Wish | TwinproofError) -> None:
        """Ask for something else from now on, or have a refusal told; returns once that is done."""
        self._change = wish
        self._changed.clear()
        self._subscriber.interrupt()
        await self._changed.wait()

    async def _apply_change(self) -> None:
        change, self._change = self._change, None
        subscriber = self._subscriber
        try:
            if isinstance(change, TwinproofError):
                raise change
            if change is not None:
                allowed = allowed_for(await self._identify(self._connection), change)
                start = start_of(self._hub, change)
                self.wish, subscriber.wanted, subscriber.allowed = change, change.filter, allowed
                subscriber.cursor = subscriber.cursor if start is None else start
                await self._ready()
        except (Malformed, AccessDenied) as problem:
            await self._tell("refused", code=problem.code, message=str(problem))
        finally:
            self._changed.set()

    # --- what is written ---

    async def _ready(self) -> None:
        await self._tell("ready", next=self._subscriber.cursor, size=self._hub.size)

    async def _tell(self, kind: str, **members: Any) -> None:
        after = members["next"] - 1 if "next" in members else None
        await self._write([Message(to_text({"type": kind, **members}), kind, after)])

    async def _write(self, messages: list[Message]) -> None:
        limits = self._hub.limits
        try:
            async with asyncio.timeout(GOODBYE if self._hub.stopping else limits.stall_seconds) as patience:
                self._subscriber.patience = patience
                await self._write_out(messages)
        except TimeoutError:
            raise Stalled from None
        finally:
            self._subscriber.patience = None

    async def _write_entries(self) -> None:
        found = await self._next()
        if found is None:
            return
        chunk, items = found
        for part in self._parts(chunk, items):
            if self.wish.proofs:
                data = await self._hub.with_proofs(chunk, part)
            else:
                data = [chunk.json(item) for item in part]
            await self._write([Message(one, "entry", item.index) for one, item in zip(data, part, strict=True)])
            if self._lagging:
                await asyncio.sleep(0)  # who catches up must not keep the loop from those who are up to date

    async def _next(self) -> Found | None:
        """The next entries; without any, a heartbeat is written, and the reader is looked at again."""
        subscriber = self._subscriber
        found = await subscriber.next(self._hub.limits.heartbeat_seconds)
        behind = subscriber.behind
        if behind > self._hub.limits.tail_entries and not self._lagging:
            self._lagging = True
            first = subscriber.cursor if found is None else found[1][0].index
            size = subscriber.cursor + behind
            await self._tell("lagging", next=first, size=size, behind=size - first)
        elif not behind:
            self._lagging = False
        if found is None and self._change is None and not self._hub.stopping:
            subscriber.allowed = allowed_for(await self._identify(self._connection), self.wish)
            await self._tell("progress", next=subscriber.cursor)
        return found

    def _parts(self, chunk: Chunk, items: list[Item]) -> Iterator[list[Item]]:
        """Cut so that no write is large: by number, and by what statements take, as JSON takes a few times that."""
        limits = self._hub.limits
        part: list[Item] = []
        size = 0
        for item in items:
            about = 2 * len(item.statement.raw)
            if part and (len(part) >= limits.write_events or size + about > limits.write_bytes):
                yield part
                part, size = [], 0
            part.append(item)
            size += about
        if part:
            yield part

    async def _write_latest(self, seconds: float) -> None:
        """Gather what is there, write it as one event, wait."""
        subscriber = self._subscriber
        since = subscriber.cursor - 1
        found = await self._next()
        if found is None:
            return
        latest = Latest()
        while True:
            for item in found[1] if found else ():
                latest.add(item)
            if latest.twins >= MANY_TWINS or not subscriber.behind or self._hub.stopping or self._change is not None:
                break
            found = await subscriber.next(0)
        many = latest.twins >= MANY_TWINS
        event = latest.take(since, subscriber.cursor - 1)
        await self._write([Message(to_text(event), "latest", subscriber.cursor - 1)])
        if not many and self._change is None:
            await subscriber.pause(seconds)
