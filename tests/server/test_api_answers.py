"""What the API says: states, histories, models, telemetry and the log against the script that made them."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from tests.builders import DEVICE, GATEWAY, ORIGIN, OTHER_TWIN, START, TWIN
from tests.server.live_rig import LONER, MODEL, MODEL_ID, TWINS, Rig, live_rig, ok
from twinproof.errors import NotFound, Overloaded
from twinproof.node.live import VIEWS
from twinproof.proof.policy import parse_policy
from twinproof.server import parameters, shapes
from twinproof.server.api import service, telemetry, twins
from twinproof.server.forms import plain
from twinproof.twin.kinds import kind_of, parse_payload
from twinproof.twin.model import DTDL, ModelDocument, format_model
from twinproof.twin.model import MODEL as MODEL_KIND
from twinproof.twin.state import TwinState
from twinproof.verify import verify_bundle

API = "/api/v1"


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with live_rig(tmp_path_factory.mktemp("answers") / "node") as made:
        yield made


@pytest.fixture(scope="module")
def client(rig: Rig) -> TestClient:
    return rig.client()


def refusal(client: TestClient, path: str, status: int, code: str, **query: Any) -> dict[str, Any]:
    answer = client.get(path, params=query)
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    problem = shapes.Problem.model_validate_json(answer.content)
    assert (answer.status_code, problem.status, problem.code) == (status, status, code), answer.text
    found: dict[str, Any] = answer.json()
    return found


# --- states ---------------------------------------------------------------------------------------


def fold(rig: Rig, sub: str, at: int) -> TwinState:
    state = TwinState(sub)
    for index in range(at + 1):
        statement = rig.log.statement(index)
        if statement.subject == sub:
            state.apply(index, statement, parse_payload(statement))
    return state


def test_a_state_says_everything_with_its_source(rig: Rig, client: TestClient) -> None:
    found = ok(client, f"{API}/state", sub=TWIN)
    shapes.State.model_validate(found)
    expected = fold(rig, TWIN, rig.size - 1)
    assert found["properties"]["serial"] == {"value": "A-1", "entry": 5, "time": START + 10}
    assert found["model"]["value"] == MODEL_ID
    assert found["lifecycle"]["value"] == "in-service"
    assert found["relationships"] == [{"name": "feeds", "target": OTHER_TWIN, "entry": 5, "time": START + 10}]
    assert found["readings"]["Nf"]["value"] == 2390.5
    assert found["desired"]["mode"]["value"] == "eco"
    assert [(one["name"], one["status"]) for one in found["requests"]] == [(None, "requested"), ("wash", "done")]
    assert found["rules"]["hot"]["limit"] == 644.0
    assert found["alarms"]["hot"]["state"] == "unacknowledged"
    assert found["attestations"][0]["value"] == "urn:example:release"
    assert found["losses"][0]["value"] == "new disk"
    assert (found["statements"], found["last_index"]) == (expected.statements, expected.last_index)
    assert found["reached"] == rig.size
    loner = ok(client, f"{API}/state", sub=LONER)
    assert loner["readings"]["raw"]["value"] == {"base64": "Af8="}


@pytest.mark.parametrize("sub", TWINS)
def test_every_past_state_is_the_fold_up_to_it(rig: Rig, client: TestClient, sub: str) -> None:
    from twinproof.server.forms import state_json

    for at in range(rig.size):
        expected = fold(rig, sub, at)
        if not expected.statements:
            refusal(client, f"{API}/state", 404, "not-found", sub=sub, at=at)
            continue
        found = ok(client, f"{API}/state", sub=sub, at=at)
        assert found.pop("reached") == rig.size
        assert found == json.loads(json.dumps(state_json(expected)))


def test_states_by_time_and_of_both_the_earlier(client: TestClient) -> None:
    by_time = ok(client, f"{API}/state", sub=TWIN, time=START + 21)
    assert by_time["readings"]["T24"]["value"] == 641.5
    assert ok(client, f"{API}/state", sub=TWIN, time=START + 21, at=1000 - 990) == ok(
        client, f"{API}/state", sub=TWIN, at=7
    )
    assert ok(client, f"{API}/state", sub=TWIN, time=START + 900, at=6) == ok(client, f"{API}/state", sub=TWIN, at=6)
    refusal(client, f"{API}/state", 404, "not-found", sub=TWIN, time=START - 1)
    refusal(client, f"{API}/state", 404, "not-found", sub=TWIN, at=10**9)


def test_read_your_writes(rig: Rig, client: TestClient) -> None:
    for number in range(20):
        rig.log.record(DEVICE, float(number), subject=LONER, name="count", at=START + 100 + number)
        (_,) = rig.live.node.intake.submit(rig.log.raws[-1:]).result(30)
        index = rig.size - 1
        answer = client.get(f"{API}/state", params={"sub": LONER, "at_least": index})
        assert answer.json()["readings"]["count"]["value"] == number
        assert int(answer.headers["twinproof-reached"]) == answer.json()["reached"] > index
        newest = ok(client, f"{API}/telemetry/latest", sub=LONER, signal="count", at_least=index)
        assert newest["items"][0]["value"] == number
    refusal(client, f"{API}/state", 404, "not-found", sub=LONER, at_least=rig.size)


class Stuck:
    """A view that does not get on."""

    reached = 7


def test_waiting_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parameters, "WAIT", 0.01)
    asyncio.run(parameters.wait_for(Stuck(), 6, 9))
    with pytest.raises(Overloaded, match="7 of 9"):
        asyncio.run(parameters.wait_for(Stuck(), 7, 9))
    with pytest.raises(NotFound, match="has 9"):
        asyncio.run(parameters.wait_for(Stuck(), 9, 9))


# --- lists ----------------------------------------------------------------------------------------


def test_twins_are_listed_in_pages(client: TestClient) -> None:
    whole = ok(client, f"{API}/twins")
    assert [item["sub"] for item in whole["items"]] == sorted(TWINS)
    assert whole["next"] is None
    shapes.TwinList.model_validate(whole)
    seen, after = [], ""
    while True:
        page = ok(client, f"{API}/twins", limit=2, after=after)
        seen += page["items"]
        if page["next"] is None:
            break
        after = page["next"]
    assert seen == whole["items"]
    assert [item["sub"] for item in ok(client, f"{API}/twins", model=MODEL_ID)["items"]] == [TWIN]
    assert [item["sub"] for item in ok(client, f"{API}/twins", prefix="urn:")["items"]] == [LONER]
    assert ok(client, f"{API}/twins", prefix="dtmi:")["items"] == []


def test_many_models_do_not_hide_twins(tmp_path: Path) -> None:
    with live_rig(tmp_path / "node") as rig:
        for number in range(30):
            document = {**MODEL, "@id": f"dtmi:com:example:m{number};1"}
            payload = format_model(ModelDocument("dtdl", json.dumps(document).encode()))
            rig.log.say(GATEWAY, str(document["@id"]), MODEL_KIND, payload)
        rig.log.record(DEVICE, 1.0, subject="dtmj:after", name="x")
        rig.log.record(DEVICE, 1.0, subject="a:before", name="x")
        rig.grow()
        seen, after = [], ""
        while True:
            page = ok(rig.client(), f"{API}/twins", limit=2, after=after)
            seen += [item["sub"] for item in page["items"]]
            if page["next"] is None:
                break
            after = page["next"]
        assert seen == sorted([*TWINS, "dtmj:after", "a:before"])
        names, after = [], ""
        while True:
            models = ok(rig.client(), f"{API}/models", limit=7, after=after)
            names += [item["id"] for item in models["items"]]
            if models["next"] is None:
                break
            after = models["next"]
        assert names == sorted([MODEL_ID, *(f"dtmi:com:example:m{number};1" for number in range(30))])


@pytest.mark.parametrize("sub", TWINS)
def test_histories_are_the_logs(rig: Rig, client: TestClient, sub: str) -> None:
    expected = [
        {"entry": at, "kind": kind_of(said).name, "iss": said.issuer, "time": said.issued_at}
        for at in range(rig.size)
        if (said := rig.log.statement(at)).subject == sub
    ]
    seen: list[Any] = []
    after: dict[str, int] = {}
    while True:
        page = ok(client, f"{API}/history", sub=sub, limit=3, **after)
        shapes.History.model_validate(page)
        seen += page["items"]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert seen == expected
    readings = ok(client, f"{API}/history", sub=sub, kind="readings")["items"]
    assert readings == [item for item in expected if item["kind"] == "readings"]


def test_alarms_and_evidence(client: TestClient) -> None:
    alarms = ok(client, f"{API}/alarms")
    shapes.AlarmList.model_validate(alarms)
    assert [(one["sub"], one["rule"], one["state"], one["severity"]) for one in alarms["items"]] == [
        (TWIN, "hot", "unacknowledged", "high")
    ]
    found = ok(client, f"{API}/evidence", sub=TWIN)
    shapes.TwinEvidence.model_validate(found)
    for link in (found["bundle"], found["checkpoint"], found["keys"], *found["newest"].values()):
        assert client.get(link).status_code == 200, link


def test_what_a_state_says_is_proved_by_the_bundle(rig: Rig, client: TestClient) -> None:
    policy = parse_policy((rig.live.node.folder / "policy.txt").read_bytes())
    bundle = client.get(ok(client, f"{API}/evidence", sub=TWIN)["bundle"]).content
    proved = verify_bundle(bundle, policy).state
    assert plain(proved.readings["T24"].value) == ok(client, f"{API}/state", sub=TWIN)["readings"]["T24"]["value"]


# --- models and the log ---------------------------------------------------------------------------


def test_models(client: TestClient) -> None:
    assert ok(client, f"{API}/models")["items"] == [{"id": MODEL_ID, "entry": 4}]
    assert client.get(f"{API}/models/document", params={"id": MODEL_ID}).content == json.dumps(MODEL).encode()
    summary = ok(client, f"{API}/models/summary", id=MODEL_ID)
    shapes.ModelSummary.model_validate(summary)
    assert summary["display_name"] == {"en": "Engine"}
    assert summary["properties"]["mode"]["writable"] is True
    assert summary["properties"]["serial"]["schema"] == "string"
    assert summary["commands"]["wash"]["request"]["schema"] == "integer"
    assert summary["telemetry"].keys() == {"T24", "Nf"}
    assert summary["relationships"].keys() == {"feeds"}
    for place in ("document", "summary"):
        refusal(client, f"{API}/models/{place}", 404, "not-found", id="dtmi:com:example:none;1")
        refusal(client, f"{API}/models/{place}", 404, "not-found", id=TWIN)


MIXER = "dtmi:com:example:mixer;1"


def test_what_a_complex_schema_is_made_of(tmp_path: Path) -> None:
    mode = {
        "@type": "Enum",
        "valueSchema": "string",
        "enumValues": [{"name": "eco", "displayName": "Economy", "enumValue": "e"}, {"name": "full", "enumValue": "f"}],
    }
    fields = [
        {"name": "mode", "schema": mode},
        {"name": "steps", "schema": {"@type": "Array", "elementSchema": "double"}},
    ]
    document = {
        "@context": "dtmi:dtdl:context;3",
        "@id": MIXER,
        "@type": "Interface",
        "contents": [
            {
                "@type": "Command",
                "name": "mix",
                "request": {"name": "how", "schema": {"@type": "Object", "fields": fields}},
            }
        ],
    }
    text = json.dumps(document).encode()
    with live_rig(tmp_path / "node") as rig, rig.client() as client:
        rig.log.say(GATEWAY, MIXER, MODEL_KIND, format_model(ModelDocument(DTDL, text)))
        rig.grow()
        request = ok(client, f"{API}/models/summary", id=MIXER)["commands"]["mix"]["request"]
    assert request["name"] == "how"
    first, second = request["schema"]["fields"]
    assert (first["name"], first["schema"]["kind"], first["schema"]["of"]) == ("mode", "Enum", "string")
    assert [(one["name"], one["value"]) for one in first["schema"]["values"]] == [("eco", "e"), ("full", "f")]
    assert first["schema"]["values"][0]["display_name"] == {"en": "Economy"}
    assert (second["schema"]["kind"], second["schema"]["of"]) == ("Array", "double")


def test_the_log(rig: Rig, client: TestClient) -> None:
    head = ok(client, f"{API}/log/head")
    assert (head["origin"], head["size"]) == (ORIGIN, rig.size)
    assert head["checkpoint"] == client.get("/checkpoint").text
    sizes: list[int] = []
    after = 0
    while True:
        page = ok(client, f"{API}/log/checkpoints", limit=1, after=after)
        shapes.CheckpointList.model_validate(page)
        sizes += [item["size"] for item in page["items"]]
        if page["next"] is None:
            break
        after = page["next"]
    assert sizes == sorted({*sizes})
    assert sizes[-1] == rig.size


def test_every_entry_is_decoded(rig: Rig, client: TestClient) -> None:
    for index in range(rig.size):
        found = ok(client, f"{API}/log/entries/{index}")
        shapes.EntryShape.model_validate(found)
        assert found["digest"] == hashlib.sha256(rig.log.raws[index]).hexdigest()
        assert client.get(found["evidence"]["statement"]).content == rig.log.raws[index]
    refusal(client, f"{API}/log/entries/{rig.size}", 404, "not-found")
    for wrong in ("-1", "x", "01", "+1", "1_0", "\u0661", "9" * 30, "1.0"):
        refusal(client, f"{API}/log/entries/{wrong}", 400, "malformed")


# --- telemetry ------------------------------------------------------------------------------------


def test_readings_in_pages(rig: Rig, client: TestClient) -> None:
    whole = ok(client, f"{API}/telemetry/raw", sub=[TWIN, OTHER_TWIN])
    shapes.ReadingList.model_validate(whole)
    assert [item["value"] for item in whole["items"] if item["signal"] == "Nf"] == [2388.0, 2389.0, 2390.5]
    assert len(whole["items"]) == 9
    seen: list[Any] = []
    more: dict[str, str] = {}
    while True:
        page = ok(client, f"{API}/telemetry/raw", sub=[TWIN, OTHER_TWIN], limit=2, **more)
        seen += page["items"]
        if page["next"] is None:
            break
        more = {"after": page["next"]}
    assert seen == whole["items"]
    past = ok(client, f"{API}/telemetry/raw", sub=TWIN, as_of=6)
    assert [item["entry"] for item in past["items"]] == [6]
    some = ok(client, f"{API}/telemetry/raw", sub=TWIN, signal="T24", start=START + 21, end=START + 23)
    assert [item["value"] for item in some["items"]] == [641.5, 642.5]


def test_buckets(client: TestClient) -> None:
    found = ok(client, f"{API}/telemetry/buckets", sub=TWIN, signal="Nf", width=2, aggregate=["min", "max", "count"])
    shapes.BucketList.model_validate(found)
    assert found["series"][0]["values"] == {"min": [2388.0, 2390.5], "max": [2389.0, 2390.5], "count": [2, 1]}
    assert (
        len(ok(client, f"{API}/telemetry/buckets", sub=TWIN, signal="Nf", n=10, fill="null")["series"][0]["times"])
        == 10
    )
    assert ok(client, f"{API}/telemetry/buckets", sub="urn:x:none")["series"] == []


@pytest.mark.parametrize("format", ["parquet", "arrow", "csv"])
def test_exports_hold_what_pages_hold(rig: Rig, client: TestClient, format: str) -> None:
    answer = client.get(f"{API}/telemetry/export", params={"sub": TWIN, "format": format})
    assert answer.status_code == 200
    assert answer.headers["content-disposition"] == f'attachment; filename="readings.{format}"'
    read = {
        "parquet": pyarrow.parquet.read_table,
        "arrow": lambda file: pyarrow.ipc.open_file(file).read_all(),
        "csv": pyarrow.csv.read_csv,
    }[format]
    table = read(BytesIO(answer.content))
    items = ok(client, f"{API}/telemetry/raw", sub=TWIN)["items"]
    assert table["value"].to_pylist() == [item["value"] for item in items]
    assert not list((rig.live.node.folder / VIEWS).glob("export-*"))


def test_sql(rig: Rig, client: TestClient) -> None:
    def ask(**question: Any) -> Any:
        return client.post(f"{API}/telemetry/sql", json=question)

    found = ask(sql="SELECT signal, count(*) AS n FROM readings WHERE signal IN ('T24', 'Nf') GROUP BY 1 ORDER BY 1")
    shapes.SqlAnswer.model_validate(found.json())
    assert found.json()["rows"] == [["Nf", 3], ["T24", 6]]
    odd = ask(sql="SELECT 'nan'::DOUBLE, 'x'::BLOB, 12.50::DECIMAL(9,2), [1, NULL], {'a': 1}, TIMESTAMP '2026-01-01', "
                  "INTERVAL 1 DAY, 170141183460469231731687303715884105727, NULL, true").json()  # fmt: skip
    assert odd["rows"][0][:6] == [None, {"base64": "eA=="}, "12.50", [1, None], {"a": 1}, "2026-01-01T00:00:00"]
    assert ask(sql="SELECT range FROM range(10)", max_rows=3).json()["truncated"] is True
    for bad, status in (
        ({"sql": "DROP TABLE recent"}, 400),
        ({"sql": "SELECT 1; SELECT 2"}, 400),
        ({"sql": ""}, 400),
        ({}, 400),
        ({"sql": "SELECT 1", "more": 1}, 400),
        ({"sql": "SELECT 1", "max_rows": "5"}, 400),
        ({"sql": "SELECT 1", "timeout": 1e9}, 400),
        ({"sql": "SELECT count(*) FROM range(100000000000) a", "timeout": 0.05}, 413),
        ({"sql": "SELECT '" + "x" * 200_000 + "'"}, 413),
    ):
        answer = ask(**bad)
        assert answer.status_code == status, (bad, answer.text)
        shapes.Problem.model_validate_json(answer.content)
    answer = client.post(f"{API}/telemetry/sql", content=b"not json", headers={"content-type": "application/json"})
    assert answer.status_code == 400


def test_graph(client: TestClient) -> None:
    def ask(**question: Any) -> Any:
        return client.post(f"{API}/graph", json=question)

    found = ask(query="MATCH (e {iri: $twin}) RETURN e.iri", parameters={"twin": TWIN})
    shapes.GraphAnswer.model_validate(found.json())
    assert found.json()["rows"] == [[TWIN]]
    assert ask(query="MATCH (e) RETURN e.iri", at=0).status_code == 200
    for bad, status in (
        ({"query": "MATCH (e RETURN e"}, 400),
        ({"query": "MATCH (e) RETURN e", "at": 10**9}, 404),
        ({"query": "MATCH (e {iri: $twin}) RETURN e"}, 400),
        ({"query": "MATCH (e) RETURN e", "parameters": {"x": {"a": 1}}}, 400),
        ({"query": ""}, 400),
        ({}, 400),
    ):
        answer = ask(**bad)
        assert answer.status_code == status, (bad, answer.text)
        shapes.Problem.model_validate_json(answer.content)


def test_answers_that_would_be_too_large(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "MAX_ROWS", 3)
    for place in ("raw", "latest", "buckets"):
        refusal(client, f"{API}/telemetry/{place}", 413, "too-large")


# --- parameters -----------------------------------------------------------------------------------

WRONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "no twin": ("state", {}, "sub"),
    "no IRI": ("state", {"sub": "engine 1"}, "sub"),
    "an IRI that is too long": ("state", {"sub": "urn:" + "x" * 600}, "sub"),
    "a sign": ("state", {"sub": TWIN, "at": "+1"}, "at"),
    "digits of another script": ("state", {"sub": TWIN, "at": "\u0661"}, "at"),
    "an underscore": ("state", {"sub": TWIN, "at": "1_0"}, "at"),
    "a space": ("state", {"sub": TWIN, "at": " 1"}, "at"),
    "a leading zero": ("state", {"sub": TWIN, "at": "01"}, "at"),
    "negative": ("state", {"sub": TWIN, "at": "-1"}, "at"),
    "too large": ("state", {"sub": TWIN, "at": str(1 << 53)}, "at"),
    "empty": ("state", {"sub": TWIN, "at": ""}, "at"),
    "misspelt": ("twins", {"prefx": "urn:"}, "'prefx'"),
    "twice": ("twins", {"prefix": ["a", "b"]}, "prefix"),
    "no limit": ("twins", {"limit": "0"}, "limit"),
    "too many": ("twins", {"limit": "1001"}, "limit"),
    "an infinite time": ("telemetry/raw", {"start": "inf"}, "start"),
    "not a number": ("telemetry/raw", {"start": "nan"}, "start"),
    "a time out of reach": ("telemetry/raw", {"start": "1e300"}, "start"),
    "the end first": ("telemetry/raw", {"start": "5", "end": "4"}, "end"),
    "a page of somebody else": ("telemetry/raw", {"after": "x"}, "after"),
    "two widths": ("telemetry/buckets", {"n": "5", "width": "5"}, "n"),
    "no such aggregate": ("telemetry/buckets", {"aggregate": "median"}, "aggregate.0"),
    "an aggregate twice": ("telemetry/buckets", {"aggregate": ["min", "min"]}, "aggregates"),
    "no such format": ("telemetry/export", {"format": "xlsx"}, "format"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_parameters_are_named(client: TestClient, name: str) -> None:
    path, query, field = WRONG[name]
    assert refusal(client, f"{API}/{path}", 400, "malformed", **query)["field"] == field


def test_unknown_places_and_methods(client: TestClient) -> None:
    refusal(client, f"{API}/nothing", 404, "not-found")
    refusal(client, f"{API}/twins/", 404, "not-found")
    refusal(client, f"{API}/twins%0a", 404, "not-found")
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        answer = client.request(method, f"{API}/twins")
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET")


def test_head_says_what_get_says(client: TestClient) -> None:
    for path in (f"{API}/twins", f"{API}/state?sub={TWIN}", "/ready", "/metrics", f"{API}/nothing"):
        got, head = client.get(path), client.head(path)
        assert head.status_code == got.status_code
        assert head.headers["content-type"] == got.headers["content-type"]


# --- service --------------------------------------------------------------------------------------


def test_readiness(rig: Rig, client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ok(client, "/ready")["ready"] is True
    monkeypatch.setattr(service, "MIN_FREE", 1 << 80)
    answer = client.get("/ready")
    assert answer.status_code == 503
    assert shapes.Readiness.model_validate_json(answer.content).checks["disk"] == "full"
    monkeypatch.setattr(service, "MIN_FREE", 0)
    monkeypatch.setattr(service, "MAX_BEHIND", -1)
    assert client.get("/ready").json()["checks"]["view states"] == "behind"


def test_metrics_count_what_happened(tmp_path: Path) -> None:
    with live_rig(tmp_path / "node") as rig:
        client = rig.client()
        client.get(f"{API}/twins")
        client.get(f"{API}/state")
        client.get("/whatever/" + "x" * 50)
        client.request("BREW", f"{API}/twins")
        client.post("/entries", content=rig.log.raws[0], headers={"content-type": "application/cose"})
        bad = rig.log.draft(DEVICE, TWIN, "application/senml+cbor", b"\x80", at=START)
        client.post("/entries", content=bad, headers={"content-type": "application/cose"})
        families = {family.name: family for family in text_string_to_metric_families(client.get("/metrics").text)}
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in families.values()
        for sample in family.samples
    }
    statements = "twinproof_statements_total"
    assert samples[statements, ("outcome", "new")] == rig.size - 1
    assert samples[statements, ("outcome", "known")] == 1
    assert samples[statements, ("outcome", "malformed")] == 1
    assert samples["twinproof_log_size",] == rig.size
    assert samples["twinproof_commit_seconds_count",] == 2
    assert samples["twinproof_view_behind_entries", ("view", "states")] == 0
    requests = "twinproof_http_requests_total"
    assert samples[requests, ("method", "GET"), ("route", "/api/v1/state"), ("status", "400")] == 1
    assert samples[requests, ("method", "GET"), ("route", "none"), ("status", "404")] == 1
    assert samples[requests, ("method", "other"), ("route", "none"), ("status", "405")] == 1
    assert samples["twinproof_http_seconds_count", ("route", "/api/v1/twins")] == 1
    assert {
        "twinproof_queue_statements",
        "twinproof_queue_bytes",
        "twinproof_checkpoint_age_seconds",
    } <= families.keys()


def test_heavy_work_is_bounded() -> None:
    import anyio

    from twinproof.server.api.routing import Heavy

    async def work() -> int:
        import threading

        heavy, gate, refused = Heavy(threads=1, waiting=1), threading.Event(), 0
        async with anyio.create_task_group() as group:
            group.start_soon(heavy.run, gate.wait)
            group.start_soon(heavy.run, gate.wait)
            await anyio.wait_all_tasks_blocked()
            try:
                await heavy.run(lambda: None)
            except Overloaded:
                refused += 1
            gate.set()
        return refused

    assert anyio.run(work) == 1


def test_lists_of_a_twin_and_a_prefix_do_not_overlap() -> None:
    from twinproof.node.tokens import parse_scope
    from twinproof.server.access import Principal

    principal = Principal("x", tuple(map(parse_scope, ("prefix:a:b", "prefix:a:bc", "twin:a:bd", "twin:c:d"))))
    assert twins.ranges(principal, "") == [("a:b", False), ("c:d", True)]
    assert twins.ranges(principal, "a:bcd") == [("a:bcd", False)]
    assert twins.ranges(principal, "c") == [("c:d", True)]
    assert twins.ranges(principal, "z") == []
