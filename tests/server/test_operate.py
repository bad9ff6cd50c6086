"""Acting through a node: always a token of the scope operate, JSON alone, and no page of another site."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from tests.builders import TWIN
from tests.server.live_rig import REMOTE, Rig, live_rig
from twinproof.node.config import Access as Settings
from twinproof.server.access import Access, Gate, Rule, principal_of

JSON: Final = {"content-type": "application/json"}


async def act(scope: Scope, receive: Receive, send: Send) -> None:
    """A handler that tells who acts."""
    principal = principal_of(HTTPConnection(scope))
    await JSONResponse({"id": principal.id, "all": principal.reads_all})(scope, receive, send)


@pytest.fixture(scope="module", params=[None, True, False], ids=["here", "open", "closed"])
def rig(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with live_rig(tmp_path_factory.mktemp("operate") / "node", Settings(open=request.param)) as made:
        yield made


def client_of(rig: Rig, *scopes: str, address: tuple[str, int] = ("127.0.0.1", 4000)) -> TestClient:
    gate = Gate(act, "/act", Rule.OPERATE, Access(rig.live.node), concise=False)
    headers = {"authorization": f"Bearer {rig.token(*scopes)}"} if scopes else {}
    return TestClient(gate, client=address, headers=headers, base_url="http://node.example:8600")


def test_acting_takes_a_token_everywhere(rig: Rig) -> None:
    for address in (("127.0.0.1", 4000), REMOTE):
        answer = client_of(rig, address=address).post("/act", json={})
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
        for scopes in (("all",), (f"twin:{TWIN}", "prefix:urn:")):
            answer = client_of(rig, *scopes, address=address).post("/act", json={})
            assert (answer.status_code, answer.json()["code"]) == (403, "access-denied")
            assert "operate" in answer.json()["detail"]
        for scopes in (("operate",), ("operate", "all"), (f"twin:{TWIN}", "operate")):
            answer = client_of(rig, *scopes, address=address).post("/act", json={})
            assert answer.status_code == 200
            assert answer.json()["all"] is ("all" in scopes)
            assert len(answer.json()["id"]) == 16


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonx"]
)
def test_only_json_acts(rig: Rig, kind: str) -> None:
    answer = client_of(rig, "all", "operate").post("/act", content=b"{}", headers={"content-type": kind})
    assert (answer.status_code, answer.json()["field"]) == (400, "content-type")


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON; charset=utf-8"])
def test_json_in_any_spelling(rig: Rig, kind: str) -> None:
    answer = client_of(rig, "operate").post("/act", content=b"{}", headers={"content-type": kind})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("origin", "taken"),
    [
        ("http://node.example:8600", True),
        ("https://node.example:8600", True),
        ("HTTP://NODE.example:8600", True),
        ("http://node.example", False),
        ("http://node.example:8601", False),
        ("http://evil.example", False),
        ("http://node.example:8600@evil.example", False),
        ("http://node.example:8600.evil.example", False),
        ("node.example:8600", False),
        ("file://node.example:8600", False),
        ("null", False),
        ("", False),
        ("http://[", False),
    ],
)
def test_pages_of_other_sites_do_not_act(rig: Rig, origin: str, taken: bool) -> None:
    client = client_of(rig, "all", "operate")
    answer = client.post("/act", content=b"{}", headers={**JSON, "origin": origin})
    assert answer.status_code == (200 if taken else 403)


@pytest.mark.parametrize(
    ("site", "taken"), [("same-origin", True), ("none", True), ("same-site", False), ("cross-site", False), ("", False)]
)
def test_what_a_browser_says_of_the_page_counts(rig: Rig, site: str, taken: bool) -> None:
    """Fetch Metadata (W3C): also where a browser leaves the origin out."""
    headers = {**JSON, "sec-fetch-site": site}
    answer = client_of(rig, "all", "operate").post("/act", content=b"{}", headers=headers)
    assert answer.status_code == (200 if taken else 403)


def test_two_origins_are_none(rig: Rig) -> None:
    client = client_of(rig, "operate")
    headers = [*JSON.items(), ("origin", "http://node.example:8600"), ("origin", "http://evil.example")]
    assert client.post("/act", content=b"{}", headers=headers).status_code == 403


def test_operating_alone_reads_nothing(tmp_path: Path) -> None:
    with live_rig(tmp_path / "node", Settings(open=False)) as rig:
        client = rig.client(REMOTE, rig.token("operate"))
        assert client.get("/api/v1/twins").json()["items"] == []
        assert client.get("/api/v1/state", params={"sub": TWIN}).status_code == 403
        assert client.get("/tile/0/000.p/2").status_code == 403
        both = rig.client(REMOTE, rig.token("operate", f"twin:{TWIN}"))
        assert both.get("/api/v1/state", params={"sub": TWIN}).status_code == 200
