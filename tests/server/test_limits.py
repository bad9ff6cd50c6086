"""Rates, full queues, failing disks and defects: what the client is told, and that nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import pytest

from tests.builders import DEVICE, ORIGIN, TWIN
from tests.node.bench import Bench
from tests.server.inside import app_on
from tests.server.process import COSE, PROBLEM, SEQUENCE
from twinproof.errors import RateLimited
from twinproof.node.config import Limits
from twinproof.node.evidence import EvidenceBuilder
from twinproof.proof import cbor
from twinproof.server.limits import MAX_CLIENTS, RateLimit
from twinproof.testing import ManualClock
from twinproof.twin.grants import Capability

RECORD = {Capability.RECORD}


# --- the bucket -------------------------------------------------------------------------------


def take(limit: RateLimit, tokens: int, client: str = "a") -> float:
    """Seconds to wait; 0 if the tokens were had."""
    try:
        limit.take(client, tokens)
    except RateLimited as problem:
        return problem.retry_after
    return 0


def test_a_burst_then_the_rate() -> None:
    clock = ManualClock(0)
    limit = RateLimit(10, 50, clock)
    assert take(limit, 30) == 0
    assert take(limit, 20) == 0
    assert take(limit, 1) == pytest.approx(0.1)
    assert take(limit, 50) == pytest.approx(5)
    clock.advance(0.1)
    assert take(limit, 1) == 0
    assert take(limit, 1) > 0
    clock.advance(1000)
    assert take(limit, 50) == 0
    assert take(limit, 1) > 0


def test_a_refusal_costs_nothing() -> None:
    clock = ManualClock(0)
    limit = RateLimit(10, 50, clock)
    take(limit, 45)
    for _ in range(100):
        assert take(limit, 10) == pytest.approx(0.5)
    assert take(limit, 5) == 0


def test_more_than_a_burst_waits_for_a_full_bucket_and_leaves_it_in_debt() -> None:
    clock = ManualClock(0)
    limit = RateLimit(10, 50, clock)
    take(limit, 1)
    assert take(limit, 200) == pytest.approx(0.1)
    clock.advance(0.1)
    assert take(limit, 200) == 0
    assert take(limit, 1) == pytest.approx(15.1)
    clock.advance(15.1)
    assert take(limit, 1) == 0


def test_clients_do_not_share() -> None:
    limit = RateLimit(10, 50, ManualClock(0))
    assert take(limit, 50, "a") == 0
    assert take(limit, 50, "b") == 0
    assert take(limit, 1, "a") > 0


def test_no_limit() -> None:
    limit = RateLimit(0, 0, ManualClock(0))
    assert all(take(limit, 1_000_000) == 0 for _ in range(10))


def test_a_clock_that_stands_still_or_a_burst_of_nothing() -> None:
    limit = RateLimit(10, 0, ManualClock(0))
    assert take(limit, 5) == 0
    assert take(limit, 5) == pytest.approx(0.5)


def test_buckets_are_bounded_and_the_busy_keep_theirs() -> None:
    clock = ManualClock(0)
    limit = RateLimit(1, 10, clock)
    take(limit, 10, "busy")
    for number in range(2 * MAX_CLIENTS):
        take(limit, 1, str(number))
        if number % 1000 == 0:
            assert take(limit, 10, "busy") > 0
    assert len(limit._buckets) == MAX_CLIENTS


# --- over HTTP --------------------------------------------------------------------------------

Ask = Callable[[str, bytes], Awaitable[httpx.Response]]


def run(bench: Bench, scenario: Callable[[Ask], Awaitable[None]], clock: ManualClock | None = None) -> None:
    """Let `scenario` ask the application, several at once if it likes."""

    async def main() -> None:
        transport = httpx.ASGITransport(app=app_on(bench, clock), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://node") as client:

            async def ask(path: str, body: bytes = b"") -> httpx.Response:
                if not body:
                    return await client.get(path)
                kind = SEQUENCE if "batch" in path else COSE
                return await client.post(path, content=body, headers={"content-type": kind})

            await scenario(ask)

    asyncio.run(main())


def problem(answer: httpx.Response) -> str:
    assert answer.headers["content-type"] == PROBLEM
    detail: str = cbor.decode(answer.content)[-2]
    return detail


def test_429_says_when_to_come_back() -> None:
    clock = ManualClock(0)
    with Bench(limits=Limits(rate=2, burst=4)) as bench:
        script = bench.script
        script.grant(DEVICE, RECORD)
        for value in range(8):
            script.record(DEVICE, float(value))

        async def scenario(ask: Ask) -> None:
            assert (await ask("/entries/batch", b"".join(script.raws[1:5]))).status_code == 200
            for path, body, wait in (
                ("/entries", script.raws[5], "1"),
                ("/entries/batch", b"".join(script.raws[5:9]), "2"),
            ):
                answer = await ask(path, body)
                assert (answer.status_code, answer.headers["retry-after"]) == (429, wait)
                assert cbor.decode(answer.content)[-1] == "Too Many Requests"
                assert problem(answer).startswith("rate-limited: over 2 statements a second from 127.0.0.1")
            assert len(bench.entries()) == 5
            assert (await ask("/checkpoint", b"")).status_code == 200
            clock.advance(2)
            answer = await ask("/entries/batch", b"".join(script.raws[5:9]))
            assert [result["status"] for result in cbor.decode(answer.content)["results"]] == [201] * 4

        run(bench, scenario, clock)
        assert bench.entries() == script.raws[:9]


def test_503_while_the_queue_is_full() -> None:
    with Bench(limits=Limits(queue_statements=2, rate=0)) as bench:
        script = bench.script
        script.grant(DEVICE, RECORD)
        for value in range(6):
            script.record(DEVICE, float(value))

        async def scenario(ask: Ask) -> None:
            bench.store.shut()
            waiting = [asyncio.ensure_future(ask("/entries", script.raws[1]))]
            assert await asyncio.to_thread(bench.store.waiting.wait, 30)
            for number in (2, 3):
                waiting.append(asyncio.ensure_future(ask("/entries", script.raws[number])))
                while bench.intake._queued_statements < number - 1:
                    await asyncio.sleep(0)
            for path in ("/entries", "/entries/batch"):
                answer = await ask(path, script.raws[4])
                assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
                assert cbor.decode(answer.content)[-1] == "Overloaded"
                assert problem(answer).startswith("overloaded: 2 statements are waiting already")
            # Readers do not wait for the writer.
            assert (await ask("/entries/0/statement", b"")).content == script.raws[0]
            bench.store.gate.set()
            answers = await asyncio.gather(*waiting)
            assert [(a.status_code, a.headers["location"]) for a in answers] == [
                (201, f"/entries/{number}") for number in (1, 2, 3)
            ]
            assert (await ask("/entries", script.raws[4])).status_code == 201

        run(bench, scenario)
        assert bench.entries() == script.raws[:5]
        assert bench.findings() == []


def test_a_client_that_hangs_up_does_not_undo_what_it_sent() -> None:
    with Bench() as bench:
        script = bench.script
        script.grant(DEVICE, RECORD)
        script.record(DEVICE, 1.0)

        async def scenario(ask: Ask) -> None:
            bench.store.shut()
            gone = asyncio.ensure_future(ask("/entries", script.raws[1]))
            assert await asyncio.to_thread(bench.store.waiting.wait, 30)
            also = asyncio.ensure_future(ask("/entries", script.raws[2]))
            while not bench.intake._queued_statements:
                await asyncio.sleep(0)
            for task in (gone, also):
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            bench.store.gate.set()
            for index in (1, 2):
                answer = await ask("/entries", script.raws[index])
                assert (answer.status_code, answer.headers["location"]) == (200, f"/entries/{index}")

        run(bench, scenario)
        assert bench.entries() == script.raws


@pytest.mark.parametrize("kept", [False, True])
def test_a_disk_that_fails(kept: bool) -> None:
    with Bench() as bench:
        script = bench.script
        script.grant(DEVICE, RECORD)

        async def scenario(ask: Ask) -> None:
            for path in ("/entries", "/entries/batch"):
                bench.store.fail("commit", kept=kept)
                script.record(DEVICE, 1.0)
                body = script.raws[-1] if path == "/entries" else b"".join(script.raws[1:])
                if path == "/entries":
                    assert (await ask("/entries/batch", script.raws[1])).status_code == 503
                    assert (await ask("/entries/batch", script.raws[1])).status_code == 200
                    bench.store.fail("commit", kept=kept)
                answer = await ask(path, body)
                assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
                assert cbor.decode(answer.content)[-1] == "Log unavailable"
                assert problem(answer).startswith("storage-failed: planned fault")
                again = await ask(path, body)
                assert again.status_code == (200 if kept or path == "/entries/batch" else 201)

        run(bench, scenario)
        assert bench.entries() == script.raws
        assert bench.findings() == []


def test_health_tells_whether_statements_are_taken() -> None:
    with Bench() as bench:
        grant = bench.script.grant(DEVICE, RECORD).raw

        async def scenario(ask: Ask) -> None:
            assert (await ask("/health", b"")).json() == {"origin": ORIGIN, "size": 1}
            bench.pin.fail("write")
            bench.pin.fail("write", after=1)
            assert (await ask("/entries", grant)).status_code == 503
            answer = await ask("/health", b"")
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
            assert problem(answer).startswith("storage-failed")
            assert (await ask("/health", b"")).json() == {"origin": ORIGIN, "size": 2}
            await asyncio.to_thread(bench.intake.stop)
            answer = await ask("/health", b"")
            assert (answer.status_code, problem(answer)) == (503, "overloaded: the node is stopping")
            answer = await ask("/entries", grant)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")

        run(bench, scenario)


def test_a_log_of_one_entry_has_no_receipt() -> None:
    with Bench() as bench:

        async def scenario(ask: Ask) -> None:
            for part in ("", "/transparent"):
                answer = await ask(f"/entries/0{part}", b"")
                assert answer.status_code == 404
                assert "no receipt while it is the only one" in problem(answer)
            assert (await ask("/entries/0/statement", b"")).content == bench.script.raws[0]
            assert (await ask("/entries/0/tlog-proof", b"")).status_code == 200

        run(bench, scenario)


def test_a_defect_is_answered_without_its_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: EvidenceBuilder, index: int) -> bytes:
        raise ZeroDivisionError("inner workings")

    monkeypatch.setattr(EvidenceBuilder, "receipt", broken)
    with Bench() as bench:

        async def scenario(ask: Ask) -> None:
            answer = await ask("/entries/0", b"")
            assert answer.status_code == 500
            assert cbor.decode(answer.content) == {
                -1: "Internal error",
                -2: "internal: a defect of the node; its log says more",
            }

        run(bench, scenario)


def test_bodies_under_way_are_bounded_together() -> None:
    """Two that arrive at once are more than the node holds; one alone may be as large as a request may be."""
    with Bench(limits=Limits(queue_bytes=1000)) as bench:
        script = bench.script
        script.grant(DEVICE, RECORD)
        for value in range(10):
            script.record(DEVICE, value / 7)
        body = b"".join(script.raws[1:])
        assert len(body) > 2000

        async def scenario(ask: Ask) -> None:
            app = app_on(bench)
            sent: dict[str, list[dict[str, object]]] = {"slow": [], "quick": []}
            half_read, go_on = asyncio.Event(), asyncio.Event()

            async def post(name: str) -> None:
                parts = [body[:900], body[900:]]

                async def receive() -> dict[str, object]:
                    if name == "slow" and len(parts) == 1:
                        half_read.set()
                        await go_on.wait()
                    part = parts.pop(0)
                    return {"type": "http.request", "body": part, "more_body": bool(parts)}

                async def send(message: dict[str, object]) -> None:
                    sent[name].append(message)

                scope = {
                    "type": "http",
                    "method": "POST",
                    "path": "/entries/batch",
                    "raw_path": b"/entries/batch",
                    "query_string": b"",
                    "headers": [(b"content-type", SEQUENCE.encode())],
                    "client": ("a", 1),
                }
                await app(scope, receive, send)  # type: ignore[arg-type]

            def status(name: str) -> object:
                return sent[name][0]["status"]

            slow = asyncio.ensure_future(post("slow"))
            await half_read.wait()
            await post("quick")
            assert status("quick") == 503
            go_on.set()
            await slow
            assert status("slow") == 200
            sent["quick"].clear()
            await post("quick")
            assert status("quick") == 200

        run(bench, scenario)
        assert bench.entries() == script.raws


def test_reading_is_not_rate_limited() -> None:
    with Bench(limits=Limits(rate=1, burst=1)) as bench:

        async def scenario(ask: Ask) -> None:
            for _ in range(30):
                assert (await ask("/checkpoint", b"")).status_code == 200
            assert (await ask(f"/streams?iss=urn:x&sub={TWIN}", b"")).status_code == 404

        run(bench, scenario, ManualClock(0))
