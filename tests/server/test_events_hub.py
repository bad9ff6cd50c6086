"""The dispatcher alone, in every interleaving that hypothesis thinks of: publications, waits, time-outs, restarts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import DEVICE, OTHER_TWIN, TWIN, Log
from tests.views.test_subscription import items_of
from twinproof.errors import NotFound, Overloaded, StorageFailed
from twinproof.server.events import Chunk, EventLimits, Hub, Room, Subscriber
from twinproof.views.feed import Item
from twinproof.views.subscription import Filter


def sample() -> list[Item]:
    log = Log(empty=True)
    for number in range(120):
        log.record(DEVICE, float(number), subject=OTHER_TWIN if number % 3 else TWIN)
    return items_of(log)


ITEMS = sample()


class Source:
    """A feed that is told how much is published."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.failures = 0
        self.listeners: list[Callable[[int], None]] = []

    def read(self, start: int, limit: int) -> list[Item]:
        if self.failures:
            self.failures -= 1
            raise StorageFailed("the disk is gone")
        return ITEMS[start : min(start + limit, self.size)]

    def listen(self, listener: Callable[[int], None]) -> Callable[[], None]:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    def publish(self, count: int) -> None:
        self.size = min(self.size + count, len(ITEMS))
        for listener in self.listeners:
            listener(self.size)


def proof(index: int) -> bytes:
    if index == 0:
        raise NotFound("no receipt")
    return b"%d" % index


ONE_TWIN = Filter(twins=frozenset([TWIN]))
ACTIONS = st.lists(
    st.sampled_from(["publish", "many", "read", "time out", "interrupt", "turn", "restart"]), min_size=5, max_size=60
)


@settings(max_examples=150)
@given(ACTIONS, st.sampled_from([Filter(), ONE_TWIN]), st.sampled_from([2, 8, 1000]), st.integers(0, 10))
def test_a_cursor_sees_everything_once(actions: list[str], wanted: Filter, tail: int, first: int) -> None:
    async def run() -> list[int]:
        source = Source(10)
        hub = Hub(source, proof, EventLimits(tail_entries=tail))
        found: list[int] = []
        cursor: int | None = first
        todo = list(actions)
        while True:
            with hub.subscribed("", wanted, cursor, None) as subscriber:
                while todo:
                    action = todo.pop()
                    if action == "restart":
                        break
                    await act(action, source, subscriber, found)
                cursor = subscriber.cursor
                if not todo:
                    while subscriber.cursor < source.size:
                        await act("read", source, subscriber, found)
                    return found

    assert asyncio.run(run()) == [
        item.index for item in ITEMS[first : final_size(actions)] if wanted.wants_twin(item.statement.subject)
    ]


def final_size(actions: list[str]) -> int:
    return min(len(ITEMS), 10 + actions.count("publish") + 7 * actions.count("many"))


async def act(action: str, source: Source, subscriber: Subscriber, found: list[int]) -> None:
    match action:
        case "publish":
            source.publish(1)
        case "many":
            source.publish(7)
        case "turn":
            await asyncio.sleep(0)
        case "interrupt":
            subscriber.interrupt()
        case "read" | "time out":
            got = await subscriber.next(0.001 if action == "read" else 0)
            if got is not None:
                found.extend(item.index for item in got[1])


def test_a_wait_that_times_out_in_the_turn_of_a_publication_loses_nothing() -> None:
    async def run() -> None:
        source = Source(1)
        hub = Hub(source, proof)
        with hub.subscribed("", Filter(), None, None) as subscriber:
            waiting = asyncio.ensure_future(subscriber.next(10))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert subscriber in hub.waiting
            source.publish(3)
            subscriber.wake()
            assert await waiting is None
            got = await subscriber.next(0)
            assert got is not None
            assert [item.index for item in got[1]] == [1, 2, 3]

    asyncio.run(run())


def test_one_wake_up_for_many_publications() -> None:
    async def run() -> None:
        source = Source(1)
        hub = Hub(source, proof)
        with hub.subscribed("", Filter(), None, None) as subscriber:
            waiting = asyncio.ensure_future(subscriber.next(10))
            await asyncio.sleep(0)
            scheduled = 0
            plain = hub.loop.call_soon_threadsafe

            def counting(*arguments: object) -> object:
                nonlocal scheduled
                scheduled += 1
                return plain(*arguments)  # type: ignore[arg-type]

            hub.loop.call_soon_threadsafe = counting  # type: ignore[method-assign, assignment]
            for _ in range(50):
                source.publish(2)
            got = await waiting
            assert got is not None
            assert len(got[1]) == 100
            assert scheduled == 1

    asyncio.run(run())


def test_a_feed_that_fails_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twinproof.server.events.RETRY", 0.001)

    async def run() -> None:
        source = Source(1)
        hub = Hub(source, proof)
        with hub.subscribed("", Filter(), None, None) as subscriber:
            source.failures = 3
            source.publish(2)
            got = await subscriber.next(10)
            assert got is not None
            assert [item.index for item in got[1]] == [1, 2]
        with hub.subscribed("", Filter(), 0, None) as subscriber:
            source.failures = 1
            with pytest.raises(StorageFailed):
                await subscriber.next(10)

    asyncio.run(run())


def test_an_after_ahead_of_the_dispatcher_is_waited_for() -> None:
    async def run() -> None:
        source = Source(5)
        hub = Hub(source, proof)
        with hub.subscribed("", Filter(), None, None):
            source.publish(5)
            # The dispatcher has not looked yet, and knows of 5 entries.
            with hub.subscribed("", Filter(), 8, None) as ahead:
                got = await ahead.next(10)
                assert got is not None
                assert [item.index for item in got[1]] == [8, 9]

    asyncio.run(run())


def test_json_is_made_once_and_kept_within_its_room() -> None:
    room = Room(1000)
    chunk = Chunk(ITEMS[:20], room)
    first = chunk.json(ITEMS[0])
    assert chunk.json(ITEMS[0]) is first
    for item in chunk.items:
        chunk.json(item)
    assert 1000 - len(first) < chunk.bytes <= 1000
    assert room.left == 1000 - chunk.bytes
    chunk.close()
    assert room.left == 1000
    again = Chunk(ITEMS[:1])
    assert again.json(ITEMS[0]) == first
    assert again.bytes == 0


def test_the_tail_is_bounded_in_entries_and_bytes() -> None:
    async def run() -> None:
        source = Source(1)
        hub = Hub(source, proof, EventLimits(tail_entries=30, tail_bytes=4000))
        with hub.subscribed("", Filter(), None, None) as subscriber:
            for _ in range(30):
                source.publish(3)
                got = await subscriber.next(10)
                assert got is not None
                for item in got[1]:
                    got[0].json(item)
                assert sum(chunk.bytes for chunk in hub._tail) <= 4000
                assert hub.position - hub._tail[0].start <= 33
        assert not hub._tail
        assert not source.listeners

    asyncio.run(run())


def test_proofs_are_made_once_but_for_those_that_are_not_there_yet() -> None:
    async def run() -> None:
        made: list[int] = []

        def counting(index: int) -> bytes:
            made.append(index)
            return proof(index)

        source = Source(3)
        hub = Hub(source, counting)
        with hub.subscribed("", Filter(), None, None):
            chunk = Chunk(ITEMS[:3], Room(10_000))
            first = await hub.with_proofs(chunk, chunk.items)
            assert await hub.with_proofs(chunk, chunk.items) == first
            assert b'"transparent":null' in first[0]
            assert b'"transparent":"MQ=="' in first[1]
        assert made == [0, 1, 2, 0]

    asyncio.run(run())


def test_nobody_may_subscribe_to_a_node_that_stops() -> None:
    async def run() -> None:
        hub = Hub(Source(3), proof)
        with hub.subscribed("", Filter(), None, None) as subscriber:
            waiting = asyncio.ensure_future(subscriber.next(10))
            await asyncio.sleep(0)
            hub.stop()
            assert await waiting is None
        with pytest.raises(Overloaded), hub.subscribed("", Filter(), None, None):
            pass
        await hub.close()

    asyncio.run(run())


def test_what_may_not_be_read_is_asked_for_once_per_twin() -> None:
    asked: list[str] = []

    def allowed(subject: str) -> bool:
        asked.append(subject)
        return subject == TWIN

    found = Chunk(ITEMS).select(Filter(), allowed)
    assert [item.index for item in found] == list(range(0, 120, 3))
    assert sorted(asked) == sorted([TWIN, OTHER_TWIN])
    assert Chunk(ITEMS).select(Filter(), allowed, 100) == [item for item in found if item.index >= 100]
