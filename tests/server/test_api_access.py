"""Who may read what: every route × every kind of token × every twin, and what is put on record about refusals."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from tests.builders import GATEWAY, ORIGIN, OTHER_TWIN, START, TWIN
from tests.server.live_rig import FLEET, FREE, LONER, MODEL_ID, POSTED, REMOTE, TWINS, Rig, configure, live_rig
from tests.server.process import CBOR, PROBLEM, make_folder
from twinproof.node.config import Access, Config, Listen
from twinproof.node.live import open_live
from twinproof.node.node import open_node
from twinproof.proof import cbor
from twinproof.server.access import KERNEL_RULES, Rule
from twinproof.server.access import Access as Readers
from twinproof.server.app import make_app
from twinproof.server.console import RULES as CONSOLE_RULES
from twinproof.server.denials import DenialLog
from twinproof.server.events_http import EVENTS, EVENTS_WS
from twinproof.server.guide import RULES as GUIDE_RULES
from twinproof.server.live_app import PARTS, make_live_app
from twinproof.twin.alarm import ALARM, AlarmTransition, Transition, format_transition

RULES: Final = {**KERNEL_RULES, **CONSOLE_RULES, **GUIDE_RULES, EVENTS: Rule.HOLDER, EVENTS_WS: Rule.HOLDER} | {
    path: rule for part in PARTS for path, rule in part.RULES.items() if not path.startswith("POST ")
}
SCOPES: Final = {
    "all": ("all",),
    "prefix": (f"prefix:{FLEET}",),
    "twin": (f"twin:{TWIN}",),
    "two": (f"twin:{LONER}", f"prefix:{OTHER_TWIN}"),
    "elsewhere": ("prefix:https://other.example/",),
}
COVERS: Final = {
    "all": {*TWINS},
    "prefix": {TWIN, OTHER_TWIN},
    "twin": {TWIN},
    "two": {LONER, OTHER_TWIN},
    "elsewhere": set(),
}
FILLED: Final = {
    "/tile/{path:path}": "/tile/0/000.p/2",
    "/.well-known/scitt-keys/{kid}": "/.well-known/scitt-keys/00",
    "/blobs/{digest}": f"/blobs/{'00' * 32}",
    "/console/guide/{name}": "/console/guide/policy.txt",
    "/streams": f"/streams?{urlencode({'iss': 'urn:example:device:1', 'sub': TWIN})}",
    "/api/v1/log/consistency": "/api/v1/log/consistency?from=1&to=2",
    "/api/v1/models/document": f"/api/v1/models/document?id={MODEL_ID}",
    "/api/v1/models/summary": f"/api/v1/models/summary?id={MODEL_ID}",
    "/api/v1/orders/{key}": "/api/v1/orders/1-1",
    "/api/v1/parts/{token}": "/api/v1/parts/5",
    "/api/v1/transactions/{hash}": f"/api/v1/transactions/0x{'00' * 32}",
    "/api/v1/predictors/outcomes": f"/api/v1/predictors/outcomes?model={'00' * 32}",
}
READABLE: Final = [path for path in RULES if path not in ("/entries", "/entries/batch", EVENTS, EVENTS_WS)]


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with live_rig(tmp_path_factory.mktemp("access") / "node", Access(open=False)) as made:
        yield made


@pytest.fixture(scope="module")
def clients(rig: Rig) -> dict[str, TestClient]:
    """One for each kind of token, from another machine; `none` shows none."""
    made = {name: rig.client(REMOTE, rig.token(*scopes)) for name, scopes in SCOPES.items()}
    return {**made, "none": rig.client(REMOTE), "bad": rig.client(REMOTE, "tp_" + "0" * 16 + "_" + "A" * 43)}


def entry_about(rig: Rig, twin: str) -> int:
    return next(index for index in range(rig.size) if rig.log.statement(index).subject == twin)


def address(rig: Rig, path: str, twin: str) -> str:
    """A request for the route that is about the twin, where a route can be."""
    if path in FILLED:
        return FILLED[path]
    if "{index}" in path:
        return path.replace("{index}", str(entry_about(rig, twin)))
    return f"{path}?{urlencode({'sub': twin})}" if RULES[path] in (Rule.TWIN, Rule.TWINS) else path


def expected(path: str, who: str, twin: str) -> int:
    """What the gate should say, from the module's table in words: 200 stands for `let through`."""
    rule = RULES[path]
    if rule is Rule.OPEN:
        return 200
    if who in ("none", "bad"):
        return 401
    if who == "all" or rule is Rule.HOLDER:
        return 200
    if rule in (Rule.TWIN, Rule.TWINS, Rule.ENTRY):
        return 200 if twin in COVERS[who] else 403
    return 403


@pytest.mark.parametrize("path", READABLE)
def test_matrix(rig: Rig, clients: dict[str, TestClient], path: str) -> None:
    for who, client in clients.items():
        for twin in TWINS:
            where = address(rig, path, twin)
            for method in ("HEAD",) if path in POSTED else ("GET", "HEAD"):
                answer = client.request(method, where)
                wanted = expected(path, who, twin)
                got = answer.status_code if answer.status_code in (401, 403) else 200
                if path in POSTED:
                    assert answer.status_code == 405  # asked with POST below
                    continue
                assert got == wanted, (who, method, where, answer.status_code)
                assert answer.status_code < 500
                if wanted == 200 and rule_says_content(path):
                    assert answer.status_code in (200, 404), (who, where, answer.text)


def rule_says_content(path: str) -> bool:
    return path not in ("/streams", "/.well-known/scitt-keys/{kid}")


def test_every_route_of_the_application_has_a_rule_and_is_in_the_matrix(rig: Rig) -> None:
    assert {route.path for route in rig.app.router.routes} == set(RULES)  # type: ignore[attr-defined]


QUESTIONS: Final = [{"sql": "SELECT 1 AS one"}, {"query": "MATCH (e) RETURN e.iri"}]


@pytest.mark.parametrize(("path", "question"), list(zip(FREE, QUESTIONS, strict=True)))
def test_free_questions_take_the_scope_all(clients: dict[str, TestClient], path: str, question: dict[str, str]) -> None:
    for who, client in clients.items():
        answer = client.post(path, json=question)
        assert answer.status_code == {"all": 200, "none": 401, "bad": 401}.get(who, 403)


@pytest.mark.parametrize("path", [path for path, rule in RULES.items() if rule in (Rule.TWIN, Rule.TWINS)])
def test_a_twin_in_reach_opens_no_other(clients: dict[str, TestClient], path: str) -> None:
    client = clients["twin"]
    for query in (
        [("sub", TWIN), ("sub", OTHER_TWIN)],
        [("sub", OTHER_TWIN), ("sub", TWIN)],
        [("sub", "")],
        [("sub", TWIN + "0")],
        [("sub", TWIN + " ")],
        [("sub", TWIN.upper())],
    ):
        assert client.get(f"{path}?{urlencode(query)}").status_code == 403, query
    encoded = f"{path}?s%75b={urlencode({'': OTHER_TWIN})[1:]}"
    assert client.get(encoded).status_code == 403
    if RULES[path] is Rule.TWINS:
        assert client.get(path).status_code == 403
        assert clients["elsewhere"].get(path).status_code == 403
    else:
        assert client.get(path).status_code == 400


def test_lists_are_cut_to_what_a_token_covers(clients: dict[str, TestClient]) -> None:
    for who, covered in COVERS.items():
        seen: list[str] = []
        after = ""
        while True:
            page = clients[who].get("/api/v1/twins", params={"limit": 1, "after": after}).json()
            seen += [item["sub"] for item in page["items"]]
            if page["next"] is None:
                break
            after = page["next"]
        assert seen == sorted(covered)
        alarms = clients[who].get("/api/v1/alarms").json()["items"]
        assert [item["sub"] for item in alarms] == ([TWIN] if TWIN in covered else [])
    for prefix, found in ((FLEET, [TWIN]), (TWIN, [TWIN]), (TWIN + "/", []), (OTHER_TWIN, []), ("urn:", [])):
        items = clients["twin"].get("/api/v1/twins", params={"prefix": prefix}).json()["items"]
        assert [item["sub"] for item in items] == found


def test_the_alarms_of_one_twin_are_not_lost_among_those_of_longer_names(tmp_path: Path) -> None:
    """A page of the newest alarms may hold none of the twin that a token is for."""
    with live_rig(tmp_path / "node", Access(open=False)) as rig:
        raised = AlarmTransition("hot", Transition.RAISE, 644.5, float(START + 24))
        rig.log.say(GATEWAY, TWIN + "0", ALARM, format_transition(raised), at=START + 80)
        rig.grow()
        client = rig.client(REMOTE, rig.token(f"twin:{TWIN}"))
        items = client.get("/api/v1/alarms", params={"limit": 1}).json()["items"]
        assert [item["sub"] for item in items] == [TWIN]


def test_authority_and_models_are_no_twins_of_a_scope(rig: Rig, clients: dict[str, TestClient]) -> None:
    subjects = {rig.log.statement(index).subject: index for index in range(rig.size)}
    for subject in (f"https://{ORIGIN}", MODEL_ID):
        index = subjects[subject]
        assert clients["prefix"].get(f"/entries/{index}").status_code == 403
        assert clients["all"].get(f"/entries/{index}").status_code == 200
    assert clients["twin"].get("/entries/999999").status_code == 404
    assert clients["twin"].get("/entries/x").status_code == 400


def test_writing_takes_no_token(rig: Rig, clients: dict[str, TestClient]) -> None:
    raw = rig.log.raws[0]
    answer = clients["none"].post("/entries", content=raw, headers={"content-type": "application/cose"})
    assert answer.status_code == 200
    answer = clients["none"].post("/entries", content=b"x", headers={"content-type": "application/cose"})
    assert (answer.status_code, answer.headers["content-type"]) == (400, PROBLEM)


def test_challenges_and_forms_of_refusal(clients: dict[str, TestClient]) -> None:
    answer = clients["none"].get("/api/v1/twins")
    assert answer.headers["www-authenticate"] == 'Bearer realm="twinproof"'
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "about:blank",
        "title": "Unauthorized",
        "status": 401,
        "detail": "this takes a bearer token",
        "code": "unauthenticated",
    }
    assert 'error="invalid_token"' in clients["bad"].get("/checkpoint").headers["www-authenticate"]
    answer = clients["twin"].get("/tile/0/000.p/2")
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
    assert answer.headers["content-type"] == PROBLEM
    assert cbor.decode(answer.content)[-2].startswith("access-denied: ")


def test_what_a_token_opened_is_not_for_shared_caches(rig: Rig, clients: dict[str, TestClient]) -> None:
    for path in ("/tile/0/000.p/2", "/entries/1/statement", "/checkpoint"):
        cached = clients["all"].get(path).headers["cache-control"]
        assert "private" in cached
        assert "public" not in cached
    assert clients["all"].get("/api/v1/twins").headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "shown",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic dHA6eA==",
        "Bearer a.b.c",
        "Bearer tp_x",
        "tp_0_0",
        "Bearer tp_ü",
        "Bearer " + "x" * 9000,
    ],
)
def test_what_is_no_token(rig: Rig, shown: str) -> None:
    client = rig.client(REMOTE)
    answer = client.get("/api/v1/twins", headers={"authorization": shown.encode()})
    assert answer.status_code == 401


def test_two_tokens_are_none(rig: Rig) -> None:
    good = f"Bearer {rig.token('all')}"
    headers = [("authorization", good), ("authorization", good)]
    assert rig.client(REMOTE).get("/api/v1/twins", headers=headers).status_code == 401
    assert rig.client(REMOTE).get("/api/v1/twins", headers={"authorization": good.lower()}).status_code == 401
    assert rig.client(REMOTE).get("/api/v1/twins", headers={"Authorization": good}).status_code == 200
    assert rig.client(REMOTE).get(f"/api/v1/twins?access_token={good[7:]}").status_code == 401


def test_tokens_end(rig: Rig) -> None:
    client = rig.client(REMOTE, rig.token("all", lifetime=0))
    assert client.get("/api/v1/twins").json()["detail"] == "the token has expired"


def test_subscriptions_pass_the_gate_too(rig: Rig, clients: dict[str, TestClient]) -> None:
    assert clients["none"].get(EVENTS).status_code == 401
    assert clients["twin"].head(EVENTS).status_code == 200
    assert clients["twin"].head(EVENTS, params={"twin": OTHER_TWIN}).status_code == 403
    with pytest.raises(WebSocketDisconnect), clients["none"].websocket_connect(EVENTS_WS):
        pass


# --- without tokens -------------------------------------------------------------------------------


def test_the_default_lets_this_machine_read_and_nobody_behind_a_proxy(tmp_path: Path) -> None:
    with live_rig(tmp_path / "node") as rig:
        here = rig.client()
        assert here.get("/api/v1/twins").status_code == 200
        assert here.get("/tile/0/000.p/2").headers["cache-control"].startswith("public")
        for name in ("x-forwarded-for", "forwarded", "x-real-ip", "via"):
            assert here.get("/api/v1/twins", headers={name: "127.0.0.1"}).status_code == 401
            assert here.get("/metrics", headers={name: "127.0.0.1"}).status_code == 401
        assert rig.client(REMOTE).get("/api/v1/twins").status_code == 401
        assert rig.client(REMOTE).get("/checkpoint").status_code == 401


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("127.0.0.1:8600", True),
        ("127.3.2.1", True),
        ("LocalHost:8600", True),
        ("[::1]:8600", True),
        ("evil.example:8600", False),
        ("evil.example", False),
        ("localhost.evil.example:8600", False),
        ("127.0.0.1.evil.example", False),
        ("127.0.0.1:8600:1", False),
        ("127.0.0.1@evil.example", False),
        ("192.0.2.7:8600", False),
        ("", False),
    ],
)
def test_a_page_that_rebinds_its_name_is_not_this_machine(rig: Rig, host: str, here: bool) -> None:
    assert rig.client().get("/metrics", headers={"host": host}).status_code == (200 if here else 401)


def test_a_rebound_name_reads_nothing(tmp_path: Path) -> None:
    with live_rig(tmp_path / "node") as rig:
        here = rig.client()
        for path in ("/api/v1/twins", "/checkpoint", "/metrics"):
            assert here.get(path).status_code == 200
            assert here.get(path, headers={"host": "evil.example"}).status_code == 401
        assert here.get("/api/v1/session", headers={"host": "evil.example"}).json()["scopes"] == []
        assert here.get("/console/", headers={"host": "evil.example"}).status_code in (200, 503)


def test_open_means_everybody_but_not_for_the_nodes_own_numbers(tmp_path: Path) -> None:
    with live_rig(tmp_path / "node", Access(open=True)) as rig:
        assert rig.client(REMOTE).get("/api/v1/twins").status_code == 200
        assert rig.client(REMOTE, "tp_nonsense").get("/api/v1/twins").status_code == 200


def test_metrics_are_for_the_scope_all_or_for_this_machine(rig: Rig, clients: dict[str, TestClient]) -> None:
    assert rig.client().get("/metrics").status_code == 200
    assert {who: client.get("/metrics").status_code for who, client in clients.items()} == {
        "all": 200, "prefix": 403, "twin": 403, "two": 403, "elsewhere": 403, "none": 401, "bad": 401,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("host", "setting", "open_here"),
    [
        ("127.0.0.1", None, True),
        ("127.3.2.1", None, True),
        ("::1", None, True),
        ("localhost", None, True),
        ("0.0.0.0", None, False),  # noqa: S104
        ("::", None, False),
        ("192.0.2.7", None, False),
        ("node.example", None, False),
        ("localhost.example", None, False),
        ("127.0.0.1", False, False),
        ("127.0.0.1", True, False),
    ],
)
def test_when_this_machine_needs_no_token(host: str, setting: bool | None, open_here: bool) -> None:
    config = Config("twin.example/log0", Listen(host), access=Access(open=setting))
    assert config.open_here is open_here
    assert ("anybody" in config.readers) is (setting is True)


def test_the_kernel_alone_has_the_same_gate(tmp_path: Path) -> None:
    folder = configure(make_folder(tmp_path / "node"), Access(open=False))
    with open_node(folder) as node:
        client = TestClient(make_app(node, access=Readers(node)))
        assert client.get("/health").status_code == 200
        answer = client.get("/tile/0/000.p/1")
        assert (answer.status_code, answer.headers["content-type"]) == (401, PROBLEM)
        assert TestClient(make_app(node)).get("/tile/0/000.p/1").status_code == 200
        assert client.get("/.well-known/scitt-keys").headers["content-type"] == CBOR


def test_a_route_without_a_rule_stops_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from twinproof.errors import InternalError
    from twinproof.server.api import log

    monkeypatch.delitem(log.RULES, "/api/v1/log/head")
    with open_live(make_folder(tmp_path / "node")) as live, pytest.raises(InternalError, match="/api/v1/log/head"):
        make_live_app(live)


# --- on record ------------------------------------------------------------------------------------


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_denied_call_is_on_record_without_its_token(tmp_path: Path) -> None:
    with live_rig(tmp_path / "node", Access(open=False)) as rig:
        text = rig.token(f"twin:{TWIN}")
        rig.client(REMOTE).get("/api/v1/twins")
        rig.client(REMOTE, text).get("/api/v1/state", params={"sub": OTHER_TWIN})
        rig.client(REMOTE, text).get("/entries/0")
        rig.client(REMOTE, text).get("/api/v1/state", params={"sub": TWIN})
        rig.client(REMOTE, text[:-1] + "!").get("/api/v1/state", params={"sub": "x" * 5000})
        path = rig.live.node.folder / "access.log"
        found = lines(path)
        assert path.stat().st_mode & 0o777 == 0o600
        kept = path.read_text()
    assert text not in kept
    assert text[20:40] not in kept
    assert [(line["route"], line["status"], line["code"], line["twin"], line["entry"]) for line in found[:3]] == [
        ("/api/v1/twins", 401, "unauthenticated", None, None),
        ("/api/v1/state", 403, "access-denied", OTHER_TWIN, None),
        ("/entries/{index}", 403, "access-denied", None, "0"),
    ]
    assert [line["token"] for line in found] == [None, text[3:19], text[3:19], None]
    assert {line["client"] for line in found} == {REMOTE[0]}
    assert {line["method"] for line in found} == {"GET"}
    assert all(line["time"].endswith("Z") and line["reason"] for line in found)
    assert len(found[3]["twin"]) == 512


def test_the_record_is_put_aside_at_a_size(tmp_path: Path) -> None:
    log = DenialLog(tmp_path, max_bytes=1000, keep=2)
    for number in range(60):
        log.write(1_700_000_000 + number, reason="x" * 50, number=number)
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["access.log", "access.log.1", "access.log.2"]
    assert all((tmp_path / name).stat().st_size <= 1000 for name in files)
    numbers = [line["number"] for name in reversed(files) for line in lines(tmp_path / name)]
    assert numbers == list(range(numbers[0], 60))
    assert numbers[0] > 0


def test_a_record_without_old_files(tmp_path: Path) -> None:
    log = DenialLog(tmp_path, max_bytes=1000, keep=0)
    for number in range(60):
        log.write(1_700_000_000, reason="x" * 50, number=number)
    assert [path.name for path in tmp_path.iterdir()] == ["access.log"]
    assert lines(tmp_path / "access.log")[-1]["number"] == 59


def test_a_disk_that_refuses_lets_nobody_in(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with live_rig(tmp_path / "node", Access(open=False)) as rig:
        (rig.live.node.folder / "access.log").mkdir()
        assert rig.client(REMOTE).get("/api/v1/twins").status_code == 401
    assert "not on record" in caplog.text
