"""model and tell: models that bind, descriptions, requests and what became of them."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.cli.rig import TWIN, Cli
from twinproof.node.node import read_node
from twinproof.twin.prediction import Read, parse_prediction
from twinproof.twin.statement import parse_statement

MODEL = "dtmi:com:example:Pump;1"
PUMP: dict[str, Any] = {
    "@context": "dtmi:dtdl:context;3",
    "@id": MODEL,
    "@type": "Interface",
    "contents": [
        {"@type": "Telemetry", "name": "speed", "schema": "double"},
        {"@type": "Property", "name": "serial", "schema": "string"},
        {"@type": "Property", "name": "maxSpeed", "schema": "double", "writable": True},
        {"@type": "Relationship", "name": "partOf"},
        {"@type": "Command", "name": "start", "request": {"name": "ramp", "schema": "integer"}},
    ],
}


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    path = tmp_path / "pump.json"
    path.write_text(json.dumps(PUMP))
    return path


def test_a_model_is_checked(cli: Cli, model_file: Path, tmp_path: Path) -> None:
    assert cli.json("model", "check", model_file) == {"valid": True, "interfaces": [MODEL]}
    assert "1 Telemetry, 2 Property, 1 Relationship, 1 Command" in cli("model", "check", model_file).stdout
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps({**PUMP, "contents": [{"@type": "Telemetry", "name": "speed_", "schema": "double"}]}))
    (finding,) = cli.json("model", "check", wrong, code=1)["findings"]
    assert finding["where"] == f"{wrong}: contents[0].name"
    assert finding["rule"]
    assert finding["fix"]
    assert "speed_" in cli("model", "check", wrong, code=1).stdout
    wrong.write_text("{")
    assert cli.json("model", "check", wrong, code=1)["findings"][0]["rule"] == "json"


def test_a_published_model_binds(cli: Cli, node: Path, model_file: Path) -> None:
    assert cli.json("model", "publish", model_file, "--folder", node)["model"] == MODEL
    cli("tell", "describe", TWIN, "--model", MODEL, "--set", "serial=A17", "--folder", node)
    refused = cli.error("tell", "describe", TWIN, "--set", "colour=red", "--folder", node, code=1)
    assert "has no Property of this name" in refused["message"]
    cli("record", "--key", node / "pump7.pem", "--twin", TWIN, "--folder", node, "speed=3.5")
    noise = cli("record", "--key", node / "pump7.pem", "--twin", TWIN, "--folder", node, "noise=3", code=1)
    assert "has no Telemetry of this name" in noise.output
    other = json.dumps({**PUMP, "displayName": "changed"})
    model_file.write_text(other)
    refused = cli.error("model", "publish", model_file, "--folder", node, code=1)
    assert "a change is a new version" in refused["message"]


def test_what_is_described_is_shown(cli: Cli, node: Path) -> None:
    cli("tell", "describe", TWIN, "--set", "serial=A17", "--set", 'limits={"low": 1}', "--lifecycle", "in-service",
        "--relate", "partOf=https://twin.example/line/1", "--folder", node)  # fmt: skip
    cli("tell", "describe", TWIN, "--unset", "limits", "--folder", node)
    state = cli.json("twin", "show", TWIN, "--folder", node)
    assert list(state["properties"]) == ["serial"]
    assert state["lifecycle"]["value"] == "in-service"
    assert "changes nothing" in cli.error("tell", "describe", TWIN, "--folder", node, code=2)["message"]
    assert "name=value" in cli.error("tell", "describe", TWIN, "--set", "x", "--folder", node, code=2)["message"]
    assert "name=IRI" in cli.error("tell", "describe", TWIN, "--relate", "x", "--folder", node, code=2)["message"]


def test_a_request_and_what_became_of_it(cli: Cli, node: Path) -> None:
    request = cli.json("tell", "command", TWIN, "start", "--input", '{"ramp": 5}', "--folder", node)["digest"]
    device = ("--folder", node, "--key", node / "pump7.pem")
    cli("tell", "acknowledge", TWIN, request, "accepted", *device)
    cli("tell", "acknowledge", TWIN, request, "done", "--output", "3.5", *device)
    cli("tell", "describe", TWIN, "--set", "running=true", "--cause", request, *device)
    cli("tell", "desire", TWIN, "--set", "speed=900", "--folder", node)
    lines = cli("twin", "history", TWIN, "--folder", node, "--json").stdout.splitlines()
    kinds = [json.loads(line)["kind"] for line in lines][-5:]
    assert kinds == ["command", "acknowledgement", "acknowledgement", "description", "desired"]
    refused = cli.error("tell", "desire", TWIN, "--set", "speed=900", *device, code=1)
    assert refused["code"] == "out-of-scope"


def test_attestations_name_their_document_by_digest(cli: Cli, node: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.pdf"
    report.write_bytes(b"all is well")
    cli("tell", "attest", TWIN, "--type", "https://twin.example/inspection", "--text", "sound", "--document", report,
        "--until", "2027-01-01", "--folder", node)  # fmt: skip
    state = cli.json("twin", "show", TWIN, "--folder", node)
    assert [item["value"] for item in state["attestations"]] == ["https://twin.example/inspection"]


def test_a_prediction_names_what_it_was_made_from(cli: Cli, node: Path, tmp_path: Path) -> None:
    model = tmp_path / "model.py"
    model.write_text("return 20")
    words = ("tell", "prediction", TWIN, "--lower", "12", "--point", "20", "--upper", "31", "--unit", "{cycle}")
    where = ("--model", model, "--folder", node)
    unread = cli.error("tell", "prediction", f"{TWIN}0", *words[3:], *where, code=2)
    assert unread["code"] == "not-found"
    cli("record", "--key", node / "pump7.pem", "--twin", TWIN, "--folder", node, "speed=3.5")
    cli("record", "--key", node / "pump7.pem", "--twin", TWIN, "--folder", node, "speed=3.6")
    index = cli.json(*words, *where)["index"]
    with read_node(node) as opened:
        said = parse_statement(opened.reader.entry(index))
        read = parse_statement(opened.reader.entry(index - 1))
    prediction = parse_prediction(said.payload)
    assert (prediction.lower, prediction.point, prediction.upper, prediction.coverage) == (12, 20, 31, 0.9)
    assert prediction.model == sha256(model.read_bytes()).digest()
    assert prediction.reads == (Read(read.issuer, 0, read.seq, read.digest),)
    assert read.seq > 0
    assert prediction.until == index
    wrong = cli.error(*words[:3], "--lower", "40", *words[5:], *where, code=2)
    assert "not in this order" in wrong["message"]
