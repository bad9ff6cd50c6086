"""GET timeline and the log's own routes: grants, three times, growth, witnesses, anchors, consistency, a check."""

from __future__ import annotations

import json
import sqlite3
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.builders import GATEWAY, LOG_KEY, PQ_WITNESS, START, TWIN, WITNESS, signer
from tests.node.folders import continue_log
from tests.server.live_rig import LONER, REMOTE, TWINS, Rig, live_rig, ok
from tests.server.test_api_chain import anchored
from twinproof.errors import ChainUnreachable
from twinproof.node.anchor_heads import AnchoredHeads
from twinproof.node.config import Access
from twinproof.node.relied import ReliedGrants
from twinproof.proof import merkle
from twinproof.proof.checkpoint import parse_checkpoint
from twinproof.proof.cosignature import sign_checkpoint
from twinproof.proof.note import Note, format_note, parse_note
from twinproof.server import console_shapes as shapes
from twinproof.server.api import log as log_routes
from twinproof.server.live_app import make_live_app
from twinproof.server.said import MAX_SAID
from twinproof.twin.authority import AUTHORITY_KINDS, Authority
from twinproof.twin.description import Description
from twinproof.twin.grants import GRANT, Capability, Scope, log_subject
from twinproof.twin.kinds import kind_of

__all__ = ["anchored"]
PATH = "/api/v1/timeline"
LOG = "/api/v1/log"


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with live_rig(tmp_path_factory.mktemp("timeline") / "node", Access(open=False)) as made:
        yield made


@pytest.fixture(scope="module")
def client(rig: Rig) -> TestClient:
    return rig.client(REMOTE, rig.token("all"))


# --- timeline -------------------------------------------------------------------------------------


def test_an_item_says_who_under_which_grant_and_when(rig: Rig, client: TestClient) -> None:
    body = ok(client, PATH, sub=TWIN)
    shapes.Timeline.model_validate(body)
    history = ok(client, "/api/v1/history", sub=TWIN)["items"]
    assert [item["entry"] for item in body["items"]] == [item["entry"] for item in reversed(history)]
    assert body["next"] is None
    item = next(item for item in body["items"] if item["kind"] == "alarm")
    statement = rig.log.statement(item["entry"])
    grant = next(
        index
        for index in range(rig.size)
        if rig.log.statement(index).content_type == GRANT and GATEWAY.issuer.encode() in rig.log.raws[index]
    )
    kept = rig.live.node.reader.checkpoint_at_or_after(item["entry"] + 1)
    assert kept is not None
    assert item == {
        "entry": item["entry"],
        "kind": "alarm",
        "iss": GATEWAY.issuer,
        "gateway": False,
        "seq": statement.seq,
        "digest": statement.digest.hex(),
        "time": START + 54,
        "grant": {
            "entry": grant,
            "digest": rig.log.statement(grant).digest.hex(),
            "can": ["describe", "operate", "predict"],
            "scope": {"prefix": ""},
        },
        "capability": "predict",
        "integrated": {"size": kept.size, "time": kept.time},
        "anchored": None,
        "said": {
            "rule": "hot",
            "transition": "raise",
            "value": 644.5,
            "until": None,
            "text": None,
            "case": None,
        },
    }


def test_every_grant_is_that_of_a_fold_of_the_whole_log(rig: Rig, client: TestClient) -> None:
    authority = Authority()
    expected: dict[int, int] = {}
    for index in range(rig.size):
        statement = rig.log.statement(index)
        if statement.content_type in AUTHORITY_KINDS:
            expected[index] = authority.apply(index, statement).index
        else:
            expected[index] = authority.check(index, statement, kind_of(statement).capability).index
    found: dict[int, int] = {}
    for sub in (*TWINS, log_subject(rig.log.origin), "dtmi:com:example:engine;1"):
        for item in ok(client, PATH, sub=sub)["items"]:
            found[item["entry"]] = item["grant"]["entry"]
            assert len(json.dumps(item["said"], ensure_ascii=False).encode()) <= MAX_SAID
            assert item["said"]
    assert found == expected


def test_grants_as_they_were_when_the_entry_was_taken(tmp_path: Path) -> None:
    """A grant that is revoked later, one that comes later, and one for a model that the twin named in between."""
    with live_rig(tmp_path / "node") as rig:
        log, model = rig.log, "dtmi:example:late;1"
        carrier = signer("urn:example:carrier#gateway", 70)
        first = log.grant(carrier, {Capability.RECORD}, Scope("twin", LONER))
        log.record(carrier, 1.0, subject=LONER, name="x", at=START + 80)
        log.revoke(first)
        wide = log.grant(carrier, {Capability.RECORD}, Scope("model", model))
        log.describe(GATEWAY, Description(model), subject=LONER, at=START + 81)
        log.record(carrier, 2.0, subject=LONER, name="x", at=START + 82)
        rig.grow()
        client = rig.client()
        items = {item["entry"]: item for item in ok(client, PATH, sub=LONER)["items"]}
        mine = [item for item in items.values() if item["iss"] == carrier.issuer]
        assert [item["grant"]["digest"] for item in mine] == [wide.digest.hex(), first.digest.hex()]
        assert [item["grant"]["scope"] for item in mine] == [{"model": model}, {"twin": LONER}]
        assert all(item["gateway"] for item in mine)
        assert items[mine[0]["entry"] - 1]["grant"]["digest"] != wide.digest.hex()


def test_intakes_own_authority_is_left_alone(rig: Rig, client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*arguments: object) -> None:
        raise AssertionError("another thread's fold was asked")

    monkeypatch.setattr(rig.live.node.intake.authority, "check", asked)
    assert ok(client, PATH, sub=TWIN)["items"]


def test_what_no_grant_covers_has_none(rig: Rig) -> None:
    log = continue_log(rig.live.node)
    stranger = log.record(signer("urn:example:nobody", 71), 1.0)
    relied = ReliedGrants(rig.live.node.reader, rig.live.states, log_subject(rig.log.origin))
    assert relied.of(rig.size, stranger) is None


@pytest.mark.parametrize("kind", [None, "readings", "alarm", "policy"])
@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_pages_are_the_whole(client: TestClient, limit: int, kind: str | None) -> None:
    query: dict[str, Any] = {"sub": TWIN, **({"kind": kind} if kind else {})}
    whole = [item["entry"] for item in ok(client, PATH, **query)["items"]]
    assert all(first > second for first, second in pairwise(whole))
    seen: list[int] = []
    before: dict[str, int] = {}
    while True:
        page = ok(client, PATH, **query, limit=limit, **before)
        assert len(page["items"]) <= limit
        seen += [item["entry"] for item in page["items"]]
        if page["next"] is None:
            break
        before = {"before": page["next"]}
    assert seen == whole


@pytest.mark.parametrize(
    ("query", "status"),
    [("", 400), ("sub=x", 400), (f"sub={LONER}&before=-1", 400), (f"sub={LONER}&limit=0", 400),
     (f"sub={LONER}&kind={'x' * 65}", 400), (f"sub={LONER}&since=1", 400), ("sub=urn:example:none", 404)],
    ids=range(7),
)  # fmt: skip
def test_malformed_questions(client: TestClient, query: str, status: int) -> None:
    assert client.get(f"{PATH}?{query}").status_code == status


def test_a_block_that_covers_an_entry(anchored: Rig) -> None:
    operator = log_subject(anchored.log.origin)
    client = anchored.client()
    body = ok(client, PATH, sub=operator)
    shapes.Timeline.model_validate(body)
    anchors = ok(client, f"{LOG}/anchors")
    shapes.AnchorList.model_validate(anchors)
    (anchor,) = anchors["items"]
    genesis = body["items"][-1]
    assert genesis["entry"] == 0
    assert genesis["anchored"] == {
        "size": anchor["size"], "time": anchor["time"], "block": anchor["block"], "transaction": anchor["transaction"],
    }  # fmt: skip
    reader = anchored.live.node.reader
    assert anchor["root"] == reader.root(anchor["size"]).hex()
    assert anchor["gas"] > 21_000
    status = ok(client, "/api/v1/chain")["chain"]
    assert anchor["fee_wei"] == status["anchoring"]["spent_wei"]
    assert anchors["chain_id"] == status["chain_id"]
    assert anchors["next"] is None
    assert ok(client, f"{LOG}/anchors", after=anchor["size"])["items"] == []
    assert ok(client, "/api/v1/fleet")["anchored_size"] == anchor["size"]
    assert ok(client, "/api/v1/session")["chain"] == {"chain_id": status["chain_id"]}


def test_a_chain_that_is_away_is_asked_once_an_answer(anchored: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    live = anchored.live
    heads = AnchoredHeads(live.node.anchors, live.node.reader, None)
    (head,) = heads.newest(None, 9)
    two = [replace(head, transaction=bytes([n]) * 32) for n in (1, 2)]
    monkeypatch.setattr(heads, "newest", lambda below, limit: two)
    asked = []

    def away(transaction: bytes) -> None:
        asked.append(transaction)
        raise ChainUnreachable("refused")

    assert live.chain is not None
    monkeypatch.setattr(live.chain.chain, "receipt", away)
    items = json.loads(bytes(log_routes._anchors(live, heads, {}, None, 9).body))["items"]
    assert [item["gas"] for item in items] == [None, None]
    assert asked == [b"\x01" * 32]


# --- the log --------------------------------------------------------------------------------------


def test_growth(rig: Rig, client: TestClient) -> None:
    whole = ok(client, f"{LOG}/growth", n=2000)
    shapes.LogGrowth.model_validate(whole)
    kept = [{"time": kept.time, "size": kept.size} for kept in rig.live.node.reader.checkpoints()]
    assert whole["points"] == kept
    two = ok(client, f"{LOG}/growth", n=2)["points"]
    assert two == [kept[0], kept[-1]]
    assert client.get(f"{LOG}/growth?n=1").status_code == 400


def test_witnesses(tmp_path: Path) -> None:
    with live_rig(tmp_path / "node") as rig:
        client, node = rig.client(), rig.live.node
        assert ok(client, f"{LOG}/witnesses") == {"items": []}
        policy = node.folder / "policy.txt"
        policy.write_text(
            f"{policy.read_text().removesuffix('quorum none' + chr(10))}witness a {WITNESS.verifier}\n"
            f"witness b {PQ_WITNESS.verifier}\nquorum a\n"
        )
        head = node.reader.head()
        text = parse_note(head.checkpoint).text
        checkpoint = parse_checkpoint(text)
        stranger = sign_checkpoint(type(WITNESS)("wit.example/w9", 0x04, b"\x08" * 32), checkpoint, START + 200)
        lines = (*parse_note(head.checkpoint).signatures, sign_checkpoint(WITNESS, checkpoint, START + 100), stranger)
        node.writer.add_signatures(format_note(Note(text, lines)))
        body = ok(client, f"{LOG}/witnesses")
        shapes.WitnessList.model_validate(body)
        assert body["items"] == [
            {"name": "wit.example/w1", "key_id": WITNESS.verifier.key_id.hex(), "key": str(WITNESS.verifier),
             "size": head.size, "time": START + 100, "problem": None},
            {"name": "wit.example/w2", "key_id": PQ_WITNESS.verifier.key_id.hex(), "key": str(PQ_WITNESS.verifier),
             "size": None, "time": None, "problem": None},
            {"name": "wit.example/w9", "key_id": stranger.key_id.hex(), "key": None,
             "size": head.size, "time": None, "problem": None},
        ]  # fmt: skip
        policy.write_text("nonsense\n")
        assert [one["key"] for one in ok(client, f"{LOG}/witnesses")["items"]] == [None, None]


def test_a_witness_whose_signature_does_not_hold(tmp_path: Path) -> None:
    with live_rig(tmp_path / "node") as rig:
        node = rig.live.node
        policy = node.folder / "policy.txt"
        policy.write_text(f"log {LOG_KEY.verifier}\nwitness a {WITNESS.verifier}\nquorum a\n")
        note = parse_note(node.reader.head().checkpoint)
        good = sign_checkpoint(WITNESS, parse_checkpoint(note.text), START)
        bad = type(good)(good.name, good.key_id, good.blob[:-1] + bytes([good.blob[-1] ^ 1]))
        node.writer.add_signatures(format_note(Note(note.text, (*note.signatures, bad))))
        (item,) = ok(rig.client(), f"{LOG}/witnesses")["items"]
        assert item["time"] is None
        assert item["problem"]


def test_consistency(rig: Rig, client: TestClient) -> None:
    for first in range(rig.size + 1):
        body = ok(client, f"{LOG}/consistency", **{"from": first, "to": rig.size})
        shapes.Consistency.model_validate(body)
        roots = [b64decode(body[name]) for name in ("from_root", "to_root")]
        assert roots == [rig.live.node.reader.root(size) for size in (first, rig.size)]
        proof = [b64decode(step) for step in body["proof"]]
        if first:
            merkle.check_consistency(first, rig.size, roots[0], roots[1], proof)
    assert client.get(f"{LOG}/consistency?from=3&to=2").status_code == 404
    assert client.get(f"{LOG}/consistency?from=0&to={rig.size + 1}").status_code == 404
    for query in ("from=1", "to=1", "from=-1&to=2", "from=1&to=x", "from_=1&to=2"):
        assert client.get(f"{LOG}/consistency?{query}").status_code == 400


# --- the check ------------------------------------------------------------------------------------

NEVER: dict[str, Any] = {
    "running": False, "done": 0, "total": 0, "started": None, "ended": None, "sound": None, "found": 0,
    "findings": [], "problem": None,
}  # fmt: skip


def finished(client: TestClient) -> Any:
    """The report of a check that has ended; the route is asked until it says so."""
    for _ in range(100_000):
        body = ok(client, f"{LOG}/check")
        shapes.LogCheckReport.model_validate(body)
        if not body["running"]:
            return body
    raise AssertionError("the check does not end")


def test_a_sound_log_is_checked_by_who_operates(tmp_path: Path) -> None:
    with live_rig(tmp_path / "node", Access(open=False)) as rig:
        reading = rig.client(REMOTE, rig.token("all"))
        acting = rig.client(REMOTE, rig.token("all", "operate"))
        assert ok(reading, f"{LOG}/check") == NEVER
        for who, status in ((rig.client(), 401), (rig.client(REMOTE), 401), (reading, 403)):
            assert who.post(f"{LOG}/check", json={}).status_code == status
        assert acting.post(f"{LOG}/check", json={"force": True}).status_code == 400
        assert acting.post(f"{LOG}/check", content=b"{}").status_code == 400
        assert acting.post(f"{LOG}/check", json={}, headers={"origin": "http://evil.example"}).status_code == 403
        assert ok(reading, f"{LOG}/check") == NEVER
        begun = acting.post(f"{LOG}/check", json={})
        assert begun.status_code == 202
        shapes.LogCheckReport.model_validate(begun.json())
        body = finished(reading)
        assert (body["sound"], body["done"], body["total"], body["found"]) == (True, rig.size, rig.size, 0)
        assert body["started"] <= body["ended"]
        few = rig.client(REMOTE, rig.token(f"twin:{TWIN}"))
        assert ok(few, f"{LOG}/check")["findings"] is None


def test_a_changed_entry_is_found(tmp_path: Path) -> None:
    with live_rig(tmp_path / "node") as rig:
        client = rig.client(token=rig.token("all", "operate"))
        with sqlite3.connect(rig.live.node.folder / "log.db") as database:
            (data,) = database.execute("SELECT data FROM entry WHERE idx = 5").fetchone()
            database.execute("UPDATE entry SET data = ? WHERE idx = 5", (data[:-1] + bytes([data[-1] ^ 1]),))
        database.close()
        client.post(f"{LOG}/check", json={})
        body = finished(client)
        assert body["sound"] is False
        assert body["found"] == len(body["findings"]) >= 1
        assert body["findings"][0]["where"] == "entry 5"


def test_a_closed_node_breaks_the_check_off(tmp_path: Path) -> None:
    from twinproof.node.checking import LogCheck

    with live_rig(tmp_path / "node") as rig:
        check = LogCheck(rig.live.node)
        check.stop()
        assert not check.start()
        check = LogCheck(rig.live.node)
        assert check.start()
        check.stop()
        assert not check.report.running
        assert check.report.sound in (True, None)
        app = make_live_app(rig.live)
        assert app.state.on_stop
