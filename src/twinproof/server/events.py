"""Handing published entries to subscribers, on the event loop.

A subscriber is a filter and a cursor, never a queue: it asks for what comes after its cursor, and what
it is too slow for stays in the log. One dispatcher takes each publication from the feed once, as a
`Chunk`; those who wait are offered it at once, those who are busy find it in the tail of newest chunks,
and who fell behind the tail reads the log in a worker thread. An entry becomes JSON once, for all.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from twinproof.errors import NotFound, Overloaded, RateLimited, TwinproofError
from twinproof.views.feed import Item
from twinproof.views.subscription import Filter, encode_event

READ: Final = 256
"""Entries that are read from the log at once for somebody who is behind."""
CHUNK: Final = 512
"""Entries of a chunk in the tail."""
WORKERS: Final = 2
"""Threads that read the log and make proofs for subscribers; more would only take the cores from intake."""
GOODBYE: Final = 1.0
"""Seconds that a subscriber may take for what is on its way when the node stops."""
RETRY: Final = 1.0
"""Seconds until the next attempt after the feed could not be read."""

Allowed: TypeAlias = Callable[[str], bool]
"""Whether the subscriber may read what is about a twin."""


class Source(Protocol):
    """What is needed of `Feed`."""

    @property
    def size(self) -> int: ...

    def read(self, start: int, limit: int) -> list[Item]: ...

    def listen(self, listener: Callable[[int], None]) -> Callable[[], None]: ...


@dataclass(frozen=True, slots=True)
class EventLimits:
    """How much subscribers may take."""

    total: int = 1000
    """Subscribers; one more: 503."""
    per_client: int = 256
    """Subscribers of one address; one more: 429."""
    stall_seconds: float = 30
    """How long a subscriber may take nothing of what was written; then it is cut off."""
    heartbeat_seconds: float = 15
    write_events: int = 256
    """Events in one write."""
    write_bytes: int = 256 * 1024
    """Bytes in one write, unless a single event has more."""
    tail_entries: int = 4096
    """Newest entries kept for those who are a little behind; who is further behind is told."""
    tail_bytes: int = 16 * 1024 * 1024
    """JSON kept with them."""


@dataclass(slots=True)
class Room:
    """How many bytes of JSON may still be kept, over all chunks."""

    left: int


class Chunk:
    """Consecutive entries, and their JSON as far as somebody wanted it and there is room."""

    __slots__ = ("_by_twin", "_json", "_room", "bytes", "end", "items", "start")

    def __init__(self, items: list[Item], room: Room | None = None) -> None:
        """Without `room` no JSON is kept."""
        self.items = items
        self.start = items[0].index
        self.end = items[-1].index + 1
        self.bytes = 0
        """Of the JSON kept."""
        self._room = room
        self._by_twin: dict[str, list[Item]] | None = None
        self._json: dict[tuple[int, bool], bytes] = {}

    def select(self, wanted: Filter, allowed: Allowed | None, start: int = 0) -> list[Item]:
        """The wanted entries from index `start` on, in log order; `allowed` is asked once per twin."""
        everything = not wanted.twins and not wanted.prefixes and allowed is None
        items = self.items if everything else self._about(wanted, allowed)
        if wanted.kinds or wanted.issuers or wanted.where is not None:
            items = [item for item in items if wanted.matches_rest(item)]
        return [item for item in items if item.index >= start] if start > self.start else items

    def _about(self, wanted: Filter, allowed: Allowed | None) -> list[Item]:
        if self._by_twin is None:
            self._by_twin = {}
            for item in self.items:
                self._by_twin.setdefault(item.statement.subject, []).append(item)
        by_twin = self._by_twin
        # A console names few twins, a chunk holds many: looked up from the smaller side.
        subjects = wanted.twins & by_twin.keys() if wanted.twins and not wanted.prefixes else by_twin.keys()
        chosen = [
            by_twin[subject]
            for subject in subjects
            if wanted.wants_twin(subject) and (allowed is None or allowed(subject))
        ]
        if len(chosen) == 1:
            return chosen[0]
        return sorted((item for items in chosen for item in items), key=lambda item: item.index)

    def json(self, item: Item) -> bytes:
        """The event of an entry."""
        known = self._json.get((item.index, False))
        return known if known is not None else self.keep(item.index, False, encode_event(item))

    def kept(self, index: int, proven: bool) -> bytes | None:
        """The event of an entry, with or without proof, if it is kept."""
        return self._json.get((index, proven))

    def keep(self, index: int, proven: bool, data: bytes) -> bytes:
        """Keep an event for the next one who wants it."""
        if self._room is not None and self._room.left >= len(data):
            self._room.left -= len(data)
            self.bytes += len(data)
            self._json[index, proven] = data
        return data

    def close(self) -> None:
        """Give the room back; nothing is kept from now on."""
        if self._room is not None:
            self._room.left += self.bytes
            self._room = None


Found: TypeAlias = tuple[Chunk, list[Item]]
"""Wanted entries, at least one, and the chunk that they are in."""


class Subscriber:
    """One stream's place in the log. Lives on the event loop."""

    def __init__(self, hub: Hub, wanted: Filter, cursor: int, allowed: Allowed | None) -> None:
        self.wanted = wanted
        self.cursor = cursor
        """The next entry to look at: all before it were handed over, or are not wanted."""
        self.allowed = allowed
        self.patience: asyncio.Timeout | None = None
        """Of the write that is under way."""
        self._hub = hub
        self._waiter: asyncio.Future[Found | None] | None = None
        self._interrupted = False

    @property
    def behind(self) -> int:
        """Entries that are published and not looked at."""
        return max(0, self._hub.position - self.cursor)

    def interrupt(self) -> None:
        """Make the wait that is under way, or else the next one, end with None."""
        self._interrupted = True
        self.wake()

    def wake(self) -> None:
        """Make the wait that is under way end with None."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def offer(self, chunk: Chunk) -> bool:
        """Look at the newest chunk, while waiting; whether the wait has ended, by this or before."""
        if self._waiter is None or self._waiter.done():
            return True  # the cursor stays: nobody would take what is found
        found = chunk.select(self.wanted, self.allowed, self.cursor)
        self.cursor = max(self.cursor, chunk.end)
        if found:
            self._waiter.set_result((chunk, found))
        return bool(found)

    async def next(self, seconds: float) -> Found | None:
        """The next wanted entries; None after `seconds`, or when interrupted. Raises what the log raises."""
        deadline = self._hub.loop.time() + seconds
        while not self._interrupted:
            chunk = await self._hub.chunk_at(self.cursor)
            if chunk is None:
                return await self._wait(deadline, self._hub.waiting)
            found = chunk.select(self.wanted, self.allowed, self.cursor)
            self.cursor = chunk.end
            if found:
                return chunk, found
            if self._hub.loop.time() >= deadline:
                return None
            await asyncio.sleep(0)
        self._interrupted = False
        return None

    async def pause(self, seconds: float) -> None:
        """Look at nothing for so long, or until interrupted."""
        if not self._interrupted:
            await self._wait(self._hub.loop.time() + seconds, None)

    async def _wait(self, deadline: float, waiting: dict[Subscriber, None] | None) -> Found | None:
        loop = self._hub.loop
        self._waiter = loop.create_future()
        timer = loop.call_at(deadline, self.wake)
        if waiting is not None:
            waiting[self] = None
        try:
            return await self._waiter
        finally:
            timer.cancel()
            if waiting is not None:
                waiting.pop(self, None)
            self._waiter = None


class Hub:
    """The dispatcher; one per process. It costs nothing while nobody subscribes.

    All methods run on one event loop.
    """

    def __init__(self, source: Source, transparent: Callable[[int], bytes], limits: EventLimits | None = None) -> None:
        """`transparent` gives the transparent statement at an index; it is called in worker threads."""
        self.limits = limits or EventLimits()
        self.position = 0
        """Entries that are known here."""
        self.waiting: dict[Subscriber, None] = {}
        self.subscribers: dict[Subscriber, str] = {}
        """With their clients' addresses."""
        self.stopping = False
        self.loop: asyncio.AbstractEventLoop
        self._source = source
        self._transparent = transparent
        self._clients: Counter[str] = Counter()
        self._tail: deque[Chunk] = deque()
        self._room = Room(self.limits.tail_bytes)
        self._scheduled = False
        self._unlisten: Callable[[], None] | None = None
        self._pool: ThreadPoolExecutor | None = None

    @property
    def size(self) -> int:
        """Entries that are published."""
        return self._source.size

    # --- who is there ---

    @contextmanager
    def subscribed(
        self, client: str, wanted: Filter, cursor: int | None, allowed: Allowed | None
    ) -> Iterator[Subscriber]:
        """A subscriber from entry `cursor` on, or from now on.

        Raises `RateLimited` or `Overloaded` for one too many, and while the node is stopping.
        """
        if self.stopping:
            raise Overloaded("the node is stopping; subscribe again when it is back", 5)
        if len(self.subscribers) >= self.limits.total:
            raise Overloaded(f"there are {self.limits.total} subscribers already; try again later", 30)
        if self._clients[client] >= self.limits.per_client:
            raise RateLimited(f"{client} has {self.limits.per_client} subscriptions already; end some", 30)
        if not self.subscribers:
            self._start()
        subscriber = Subscriber(self, wanted, self.position if cursor is None else cursor, allowed)
        self.subscribers[subscriber] = client
        self._clients[client] += 1
        try:
            yield subscriber
        finally:
            del self.subscribers[subscriber]
            self._clients[client] -= 1
            if not self._clients[client]:
                del self._clients[client]
            if not self.subscribers:
                self._end()

    def _start(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._scheduled = False
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="events")
        self._unlisten = self._source.listen(self._news)
        self.position = self._source.size

    def _end(self) -> None:
        if self._unlisten is not None:
            self._unlisten()
            self._unlisten = None
        if self._pool is not None:
            self._pool.shutdown(wait=False)
            self._pool = None
        self._forget()

    def _forget(self) -> None:
        while self._tail:
            self._tail.popleft().close()

    def stop(self) -> None:
        """End all streams; each says goodbye to its client. A write that is under way gets `GOODBYE` seconds."""
        self.stopping = True
        for subscriber in list(self.subscribers):
            subscriber.interrupt()
            if subscriber.patience is not None:
                subscriber.patience.reschedule(self.loop.time() + GOODBYE)

    async def close(self) -> None:
        """`stop`, and wait until the streams have ended, as long as their goodbyes may take."""
        self.stop()
        if self.subscribers:
            deadline = self.loop.time() + 2 * GOODBYE
            while self.subscribers and self.loop.time() < deadline:
                await asyncio.sleep(0.01)

    # --- what is new ---

    def _news(self, size: int) -> None:
        """In the writer's thread: wake the loop, once for all that is published until it looks."""
        if not self._scheduled:
            self._scheduled = True
            self.loop.call_soon_threadsafe(self._dispatch)

    def _dispatch(self) -> None:
        # Before looking: what is published after the look schedules another one.
        self._scheduled = False
        if self._unlisten is None:
            return
        size = self._source.size
        if size - self.position > self.limits.tail_entries:
            # The loop was held up. Those who wait read the rest from the log, not here.
            self._forget()
            self.position = size
            for subscriber in list(self.waiting):
                subscriber.wake()
            return
        while self.position < size:
            try:
                items = self._source.read(self.position, min(CHUNK, size - self.position))
            except TwinproofError:
                self.loop.call_later(RETRY, self._dispatch)
                return
            chunk = Chunk(items, self._room)
            self._tail.append(chunk)
            self.position = chunk.end
            for subscriber in list(self.waiting):
                if subscriber.offer(chunk):
                    del self.waiting[subscriber]
        self._trim()

    def _trim(self) -> None:
        while len(self._tail) > 1 and (
            self.position - self._tail[0].start > self.limits.tail_entries
            or self._room.left < self.limits.tail_bytes // 4
        ):
            self._tail.popleft().close()

    async def chunk_at(self, index: int) -> Chunk | None:
        """The entries from `index` on, or a chunk that has it inside; None if it is not published yet."""
        if index >= self.position:
            return None
        if self._tail and index >= self._tail[0].start:
            return next(chunk for chunk in reversed(self._tail) if chunk.start <= index)
        count = min(READ, self.position - index)
        return Chunk(await self.loop.run_in_executor(self._pool, self._source.read, index, count))

    async def with_proofs(self, chunk: Chunk, items: list[Item]) -> list[bytes]:
        """The events with their transparent statements."""

        missing = [item for item in items if chunk.kept(item.index, True) is None]

        def make() -> dict[int, tuple[bytes, bool]]:
            return {item.index: self._prove(item) for item in missing}

        made = await self.loop.run_in_executor(self._pool, make) if missing else {}
        for index, (data, proven) in made.items():
            if proven:
                chunk.keep(index, True, data)
        return [made[item.index][0] if item.index in made else chunk.kept(item.index, True) or b"" for item in items]

    def _prove(self, item: Item) -> tuple[bytes, bool]:
        try:
            proof = b64encode(self._transparent(item.index)).decode()
        except NotFound:
            # The only entry of a log has no receipt (RFC 9942).
            return encode_event(item, {"transparent": None}), False
        return encode_event(item, {"transparent": proof}), True
