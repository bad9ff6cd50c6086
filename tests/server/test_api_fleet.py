"""GET fleet and GET session: rows, what changed, what a token covers, who asks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.builders import DEVICE, ORIGIN, OTHER_TWIN, START, TWIN
from tests.server.live_rig import FLEET, LONER, MODEL_ID, REMOTE, TWINS, Rig, live_rig, ok
from twinproof import __version__
from twinproof.node.config import Access
from twinproof.server.console_shapes import Fleet, Session
from twinproof.twin.state import TwinState

PATH = "/api/v1/fleet"


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with live_rig(tmp_path_factory.mktemp("fleet") / "node", Access(open=False)) as made:
        yield made


@pytest.fixture(scope="module")
def client(rig: Rig) -> TestClient:
    return rig.client(REMOTE, rig.token("all"))


def subs(body: Any) -> list[str]:
    return [row["sub"] for row in body["items"]]


def test_a_row_says_what_the_state_says(client: TestClient) -> None:
    body = ok(client, PATH)
    Fleet.model_validate(body)
    assert subs(body) == sorted(TWINS)
    row, state = body["items"][0], ok(client, "/api/v1/state", sub=TWIN)
    assert row == {
        "sub": TWIN,
        "name": None,
        "model": MODEL_ID,
        "lifecycle": "in-service",
        "health": "act",
        "statements": state["statements"],
        "entry": state["last_index"],
        "time": START + 71,
        "alarms": {"standing": 1, "unacknowledged": 1, "worst": "high"},
        "forecast": None,
        "newest": max(reading["time"] for reading in state["readings"].values()),
        "gaps": 1,
        "orders": 0,
        "signed": "device",
        "anchored": None,
    }
    assert [row["health"] for row in body["items"]] == ["act", "good", "good"]
    assert body["next"] is None
    assert body["anchored_size"] is None
    assert body["reached"] == state["reached"]


def test_no_state_is_decoded(rig: Rig, client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def decoded(data: bytes) -> TwinState:
        raise AssertionError("a state was decoded")

    monkeypatch.setattr(TwinState, "from_cbor", decoded)
    assert len(ok(client, PATH)["items"]) == 3
    assert len(ok(client, PATH, since=1)["items"]) == 3


def test_pages(client: TestClient) -> None:
    for since in (0, 1):
        seen: list[str] = []
        after = ""
        for _ in range(4):
            body = ok(client, PATH, limit=1, after=after, since=since)
            seen += subs(body)
            if body["next"] is None:
                break
            after = body["next"]
        assert seen == sorted(TWINS)


def test_what_changed_since_an_entry(tmp_path: Path) -> None:
    with live_rig(tmp_path / "node") as rig:
        client = rig.client()
        first = ok(client, PATH)
        nothing = ok(client, PATH, since=first["reached"])
        assert (nothing["items"], nothing["next"], nothing["reached"]) == ([], None, first["reached"])
        rig.log.record(DEVICE, 3.0, subject=LONER, name="x", at=START + 90)
        rig.log.record(DEVICE, 4.0, subject=LONER, name="x", at=START + 91)
        rig.grow()
        changed = ok(client, PATH, since=first["reached"], at_least=rig.size - 1)
        assert subs(changed) == [LONER]
        assert changed["items"][0]["newest"] == START + 91
        assert changed["reached"] == rig.size
        assert ok(client, PATH, since=rig.size + 1000)["items"] == []
        for index in range(rig.size):
            expected = {twin for twin in TWINS if newest(rig, twin) >= index}
            assert set(subs(ok(client, PATH, since=index))) == expected


def newest(rig: Rig, twin: str) -> int:
    return max(index for index in range(rig.size) if rig.log.statement(index).subject == twin)


@pytest.mark.parametrize(
    ("scopes", "covered"),
    [
        (("all",), [TWIN, OTHER_TWIN, LONER]),
        ((f"prefix:{FLEET}",), [TWIN, OTHER_TWIN]),
        ((f"twin:{TWIN}",), [TWIN]),
        ((f"twin:{LONER}", f"prefix:{OTHER_TWIN}"), [OTHER_TWIN, LONER]),
        ((f"twin:{TWIN}", f"prefix:{TWIN}"), [TWIN]),
        (("prefix:https://other.example/",), []),
        (("operate",), []),
        ((f"twin:https://{ORIGIN}", f"twin:{MODEL_ID}", "prefix:dtmi:"), []),
    ],
    ids=range(8),
)
def test_rows_are_cut_to_what_a_token_covers(rig: Rig, scopes: tuple[str, ...], covered: list[str]) -> None:
    client = rig.client(REMOTE, rig.token(*scopes))
    for since in (0, 1):
        assert subs(ok(client, PATH, since=since)) == sorted(covered)
        assert subs(ok(client, PATH, since=since, prefix="https://")) == sorted(
            twin for twin in covered if twin.startswith("https://")
        )
        assert subs(ok(client, PATH, since=since, model=MODEL_ID)) == [twin for twin in covered if twin == TWIN]
    assert rig.client(REMOTE).get(PATH).status_code == 401


@pytest.mark.parametrize(
    "query",
    ["since=-1", "since=x", "since=01", "since=9007199254740992", "limit=0", "limit=5001", "model=x", "perfix=a",
     "since=1&since=2", "after=" + "x" * 513],
    ids=range(10),
)  # fmt: skip
def test_malformed_questions(client: TestClient, query: str) -> None:
    assert client.get(f"{PATH}?{query}").status_code == 400


# --- session --------------------------------------------------------------------------------------


def test_a_session_without_a_token(rig: Rig) -> None:
    body = ok(rig.client(REMOTE), "/api/v1/session")
    Session.model_validate(body)
    assert body == {
        "signed_in": False,
        "id": None,
        "scopes": [],
        "operates": False,
        "origin": ORIGIN,
        "version": __version__,
        "operator": rig.log.statement(0).issuer,
        "log_keys": [str(signer.verifier) for signer in rig.live.node.signers],
        "policy": (rig.live.node.folder / "policy.txt").read_text(),
        "chain": None,
        "sign_in": {"token": True, "oidc": None},
    }


def told(client: TestClient) -> tuple[bool, list[str], bool]:
    body = ok(client, "/api/v1/session")
    assert (body["id"] is not None) is body["signed_in"]
    return body["signed_in"], body["scopes"], body["operates"]


def test_a_session_says_what_its_token_opens(rig: Rig) -> None:
    assert told(rig.client(REMOTE, rig.token("all", "operate"))) == (True, ["all", "operate"], True)
    assert told(rig.client(REMOTE, rig.token(f"twin:{TWIN}"))) == (True, [f"twin:{TWIN}"], False)
    assert told(rig.client(REMOTE, "tp_" + "0" * 16 + "_" + "A" * 43)) == (False, [], False)
    assert told(rig.client(REMOTE, "nonsense")) == (False, [], False)
    assert told(rig.client()) == (False, [], False)


def test_a_session_on_this_machine(tmp_path: Path) -> None:
    with live_rig(tmp_path / "node") as rig:
        assert told(rig.client()) == (False, ["all"], False)
        assert told(rig.client(token=rig.token(f"twin:{TWIN}", "operate"))) == (
            True, ["all", f"twin:{TWIN}", "operate"], True,
        )  # fmt: skip
        assert told(rig.client(REMOTE)) == (False, [], False)
        (rig.live.node.folder / "policy.txt").unlink()
        assert ok(rig.client(), "/api/v1/session")["policy"] is None


def test_a_session_tells_where_to_sign_in(tmp_path: Path) -> None:
    access = Access(open=False, issuer="https://login.example", audience="twin", jwks="jwks.json", client_id="console")
    with live_rig(tmp_path / "node", access) as rig:
        sign_in = ok(rig.client(REMOTE), "/api/v1/session")["sign_in"]
        assert sign_in["oidc"] == {"issuer": "https://login.example", "client_id": "console", "audience": "twin"}
        policy = rig.client(REMOTE).get("/console/").headers["content-security-policy"]
        assert "connect-src 'self' https://login.example;" in policy
