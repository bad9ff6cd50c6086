"""Hostile statements over HTTP: each its own answer, and nothing of it in the log."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.builders import DEVICE, GATEWAY, MODEL, TWIN
from tests.node.refusals import draft, refusals, with_headers
from tests.server.process import Served
from tests.twin import hostile
from twinproof.errors import BadSignature, FutureDated, Malformed, NotAuthorised, StreamError, TooLarge, TwinproofError
from twinproof.log.store import KeptConflict
from twinproof.node.node import read_node
from twinproof.proof.cose import KID
from twinproof.twin.grants import Capability, Scope, Window
from twinproof.twin.statement import PREV, SEQ

STATUS: tuple[tuple[type[TwinproofError], int, str], ...] = (
    (TooLarge, 413, "Too Large"),
    (Malformed, 400, "Malformed request"),
    (BadSignature, 400, "Bad Signature"),
    (NotAuthorised, 403, "Rejected"),
    (StreamError, 409, "Rejected"),
    (FutureDated, 422, "Rejected"),
)
"""As docs/http.md tells it; the first match counts."""
FIELD_TITLES = {"alg": "Bad Signature Algorithm", "payload": "Payload Missing"}


@pytest.fixture(autouse=True, scope="module")
def working(served: Served) -> None:
    """`DEVICE` has said two things about `TWIN`; hostile.KEY belongs to a known signer."""
    script = served.script
    script.grant(DEVICE, {Capability.RECORD})
    script.record(DEVICE, 1.0)
    script.record(DEVICE, 2.0)
    served.grow()


@pytest.fixture(autouse=True)
def nothing_kept(served: Served, request: pytest.FixtureRequest) -> Iterator[None]:
    """No test but the one about equivocation leaves a conflict."""
    before = conflicts(served)
    yield
    if request.node.name != "test_only_a_signed_equivocation_is_kept":
        assert conflicts(served) == before


def conflicts(served: Served) -> list[KeptConflict]:
    with read_node(served.node.folder) as node:
        return node.store.conflicts()


def expected(error: type[TwinproofError]) -> tuple[int, str]:
    return next((status, title) for kind, status, title in STATUS if issubclass(error, kind))


def test_malformed_statements(served: Served) -> None:
    table = hostile.cases()
    assert len(table) > 120
    before = served.head()
    for case in table:
        status, title = expected(case.error)
        if case.error is Malformed:
            title = FIELD_TITLES.get(case.field, title)
        answer = served.client.post(case.raw)
        if len(case.raw) > 60 * 1024:
            # Stopped while it is read, before anybody looks at it.
            assert (answer.status, answer.problem) == (413, ("Too Large", "too-large: body: over 61440 bytes"))
            continue
        assert (answer.status, answer.problem[0]) == (status, title), case.name
        assert answer.problem[1].startswith(f"{case.error.code}: {case.field}"), (case.name, answer.problem)
        assert case.fragment in answer.problem[1], case.name
        assert served.head() == before, case.name


def test_malformed_statements_in_one_batch(served: Served) -> None:
    """Those that are one CBOR item each stand beside a good one without harm to it."""
    before = served.head()
    good = served.script.record(DEVICE, 3.0).raw
    framed = [case for case in hostile.cases() if case.raw[:2] == b"\xd2\x84" and "after" not in case.fragment]
    framed = [case for case in framed if case.name not in ("cut in the middle", "two statements", "trailing byte")]
    assert len(framed) > 100
    results = served.client.batch([*(case.raw for case in framed), good]).value["results"]
    for case, result in zip(framed, results, strict=False):
        assert result["code"] == case.error.code, case.name
        assert result["status"] == expected(case.error)[0], case.name
        assert result["detail"].startswith(case.field), case.name
    assert results[-1] == {"status": 201, "index": before.size}
    assert served.head().size == before.size + 1


def test_wrong_signatures(served: Served) -> None:
    """Under keys that the log knows."""
    script = served.script
    script.grant(GATEWAY, {Capability.RECORD}, Scope("prefix", ""))
    served.grow()
    before = served.head()
    for name, (raw, fragment) in hostile.wrong_keys().items():
        answer = served.client.post(raw)
        # hostile.KEY is unknown here; the table's P-256 key is the one of `DEVICE`.
        assert answer.status in (400, 403), name
        assert answer.code in ("bad-signature", "malformed", "unknown-signer"), name
        if answer.code == "bad-signature":
            assert fragment in answer.problem[1], name
    codes = {served.client.post(raw).code for raw, _ in hostile.wrong_keys().values()}
    assert codes == {"bad-signature", "malformed", "unknown-signer"}
    assert served.head() == before


def test_statements_that_are_not_allowed(served: Served) -> None:
    before = served.head()
    size = len(served.script)
    table = refusals(served.script, int(time.time()))
    assert len(table) >= 18
    for name, (raw, error, fragment) in table.items():
        if name == "gap":
            fragment = "the next one is"
        if name == "broken chain":
            fragment = "prev of seq"
        answer = served.client.post(raw)
        status, title = expected(error)
        if name == "over 60 KiB":
            fragment = "over 61440 bytes"
        assert (answer.status, answer.problem[0], answer.code) == (status, title, error.code), name
        assert fragment in answer.problem[1], name
        assert served.head() == before, name
    assert len(served.script) == size


def test_amplified_expired_and_model_scoped(served: Served) -> None:
    script = served.script
    twin = "https://fleet.example/engine/40"
    held = script.grant(
        GATEWAY,
        {Capability.ADMINISTER, Capability.RECORD},
        Scope("twin", twin),
        window=Window(until_time=1_800_000_000),
    )
    script.grant(DEVICE, {Capability.ATTEST}, Scope("model", MODEL))
    script.grant(DEVICE, {Capability.RECORD}, Scope("twin", twin), window=Window(until_time=1_700_000_001))
    served.grow()
    before = served.head()
    inside = Window(until_time=1_800_000_000)
    heads = dict(script.heads)
    for can, scope, window in (
        ({Capability.PREDICT}, Scope("twin", twin), inside),
        ({Capability.RECORD}, Scope("twin", TWIN), inside),
        ({Capability.RECORD}, Scope("prefix", ""), inside),
        ({Capability.RECORD}, Scope("model", MODEL), inside),
        ({Capability.RECORD}, Scope("twin", twin), Window()),
    ):
        raw = script.grant(DEVICE, can, scope, by=GATEWAY, via=held, window=window).raw
        answer = served.client.post(raw)
        assert (answer.status, answer.code) == (403, "amplified")
        script.raws.pop()
        script.heads = dict(heads)
    late = draft(script, DEVICE, subject=twin, at=1_700_000_001)
    assert (served.client.post(late).status, served.client.post(late).code) == (403, "outside-validity")
    attest = script.attest(DEVICE, "urn:example:release", subject=twin).raw
    script.raws.pop()
    script.heads = dict(heads)
    assert served.client.post(attest).code == "out-of-scope"
    assert served.head() == before


def test_only_a_signed_equivocation_is_kept(served: Served) -> None:
    script = served.script
    first = script.statement(3)
    changes = {SEQ: first.seq, PREV: first.prev}
    other = with_headers(draft(script, DEVICE, at=first.issued_at + 1), DEVICE, changes)
    before = served.head()
    unsigned = other[:-1] + bytes((other[-1] ^ 1,))
    assert served.client.post(unsigned).code == "bad-signature"
    by_another = with_headers(other, GATEWAY, {KID: GATEWAY.key.public.thumbprint})
    assert (served.client.post(by_another).status, served.client.post(by_another).code) == (403, "unknown-signer")
    assert conflicts(served) == []
    answer = served.client.post(other)
    assert (answer.status, answer.code) == (409, "equivocation")
    assert "index 3" in answer.problem[1]
    assert served.head() == before
    assert [(kept.index, kept.data) for kept in conflicts(served)] == [(3, other)]
