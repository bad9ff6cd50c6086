"""Any request gets an answer in our form, and never 500: paths, queries, headers and bodies out of hypothesis."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from tests.builders import DEVICE, GATEWAY, MODEL
from tests.node.bench import Bench
from tests.server.inside import app_on
from tests.server.process import CBOR, COSE, PROBLEM, SEQUENCE
from twinproof.node.config import Limits
from twinproof.proof import cbor
from twinproof.twin.description import Description
from twinproof.twin.grants import Capability

ROUTES = (
    "/entries",
    "/entries/batch",
    "/entries/{}",
    "/entries/{}/statement",
    "/entries/{}/transparent",
    "/entries/{}/tlog-proof",
    "/streams",
    "/bundle",
    "/checkpoint",
    "/tile/{}",
    "/tile/{}/{}",
    "/tile/{}/{}.p/{}",
    "/.well-known/scitt-keys",
    "/.well-known/scitt-keys/{}",
    "/health",
    "/{}",
)
ALLOWED = frozenset((200, 201, 400, 403, 404, 405, 409, 413, 422))


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    """A log with every kind of statement in it."""
    with Bench(limits=Limits(rate=0, max_batch=20, max_request_bytes=100_000)) as made:
        script = made.script
        script.grant(DEVICE, {Capability.RECORD, Capability.ATTEST})
        script.grant(GATEWAY, {Capability.DESCRIBE})
        script.record(DEVICE, 1.0)
        script.describe(GATEWAY, Description(model=MODEL))
        script.attest(DEVICE, "urn:example:release")
        script.resume(DEVICE, "lost")
        script.revoke(script.statement(2))
        made.take(*script.raws[1:])
        yield made


@pytest.fixture(scope="module")
def client(bench: Bench) -> Iterator[TestClient]:
    with TestClient(app_on(bench), raise_server_exceptions=True) as made:
        yield made


pieces = st.one_of(
    st.integers(-2, 1 << 70).map(str),
    st.sampled_from(["000", "x000/001", "entries", "0", "256", "%00", "%0a", "..", "%2e%2e", "", " ", "%ff", "\u0660"]),
    st.text(max_size=20),
)
paths = st.builds(
    lambda route, parts: route.format(*parts), st.sampled_from(ROUTES), st.lists(pieces, min_size=3, max_size=3)
)
queries = st.dictionaries(
    st.sampled_from(["iss", "sub", "receipts", "x", ""]) | st.text(max_size=5),
    st.sampled_from(["0", "1", "urn:example:device:1", "https://fleet.example/engine/1"]) | st.text(max_size=30),
    max_size=4,
)
methods = st.sampled_from(["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])


def check(answer: Any, allowed: frozenset[int] = ALLOWED) -> None:
    assert answer.status_code in allowed, (answer.status_code, answer.content)
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == PROBLEM
        if answer.content:
            value = cbor.decode(answer.content)
            assert value.keys() == {-1, -2}
            assert cbor.encode(value) == answer.content
            assert len(answer.content) < 2000
    elif answer.content and answer.headers["content-type"] == CBOR:
        assert cbor.encode(cbor.decode(answer.content)) == answer.content


@settings(max_examples=300)
@given(methods, paths, queries)
def test_any_path_and_query(client: TestClient, method: str, path: str, query: dict[str, str]) -> None:
    check(client.request(method, quote(path, safe="/%"), params=query, follow_redirects=False))


@settings(max_examples=150)
@given(st.binary(max_size=60), st.binary(max_size=60), st.sampled_from(["GET", "POST", "GEX", ""]))
def test_any_bytes_in_the_scope(client: TestClient, path: bytes, query: bytes, method: str) -> None:
    """As a server other than ours would hand them over."""

    async def call() -> int:
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        text = path.decode("utf-8", "surrogateescape")
        scope = {
            "type": "http",
            "method": method,
            "path": "/" + text,
            "raw_path": b"/" + path,
            "query_string": query,
            "headers": [(b"host", b"\xff:x"), (b"content-type", query)],
            "client": None,
        }
        await client.app(scope, receive, send)  # type: ignore[arg-type]
        status: int = sent[0]["status"]
        return status

    assert asyncio.run(call()) in ALLOWED


@settings(max_examples=200)
@given(st.binary(max_size=2000), st.sampled_from([COSE, SEQUENCE]), st.sampled_from(["", "?receipts=1"]))
def test_any_body(client: TestClient, bench: Bench, body: bytes, kind: str, query: str) -> None:
    path = "/entries" if kind == COSE else f"/entries/batch{query}"
    size = len(bench.entries())
    check(client.post(path, content=body, headers={"content-type": kind}))
    assert len(bench.entries()) == size


@settings(max_examples=300)
@given(st.data())
def test_statements_with_changed_bytes(client: TestClient, bench: Bench, data: st.DataObject) -> None:
    """Nothing that is not, byte for byte, in the log already is taken: no signature covers it."""
    raws = bench.script.raws
    raw = bytearray(data.draw(st.sampled_from(raws)))
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        change = data.draw(st.sampled_from(["flip", "cut", "insert", "repeat"]))
        if change == "flip":
            raw[at] ^= 1 << data.draw(st.integers(0, 7))
        elif change == "cut":
            del raw[at : at + data.draw(st.integers(1, 40))]
        elif change == "insert":
            raw[at:at] = data.draw(st.binary(min_size=1, max_size=8))
        else:
            raw[at:at] = raw[at : at + 20]
        if not raw:
            break
    size = len(bench.entries())
    answer = client.post("/entries", content=bytes(raw), headers={"content-type": COSE})
    check(answer)
    assert (answer.status_code == 200) == (bytes(raw) in raws)
    batch = client.post(
        "/entries/batch?receipts=1", content=raws[1] + bytes(raw) + raws[2], headers={"content-type": SEQUENCE}
    )
    check(batch)
    assert len(bench.entries()) == size
    assert bench.memory.conflicts() == []


header_text = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30)


@settings(max_examples=150)
@given(
    st.dictionaries(
        st.sampled_from(["host", "accept", "content-type", "content-length", "x-forwarded-for", "range", "expect"]),
        header_text,
        max_size=4,
    )
)
def test_any_headers(client: TestClient, headers: dict[str, str]) -> None:
    for method, path in (("GET", "/checkpoint"), ("GET", "/nowhere"), ("POST", "/entries"), ("GET", "/entries/0")):
        check(client.request(method, path, headers=headers))
