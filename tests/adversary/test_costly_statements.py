"""Statements that are cheap to send and dear to decide on: strangers may not send them, signers only so many."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.builders import DEVICE, GATEWAY, STRANGER, TWIN, Log, Signer
from tests.node.bench import Bench
from twinproof.errors import BadSignature, Malformed, UnknownSigner
from twinproof.models import dtdl
from twinproof.node import models as models_module
from twinproof.node.intake import Accepted
from twinproof.node.statements import logged_about
from twinproof.twin import senml
from twinproof.twin.description import Description
from twinproof.twin.grants import Capability, Scope
from twinproof.twin.model import MODEL, ModelDocument, format_model


def interface(name: str, contents: list[dict[str, Any]]) -> ModelDocument:
    """A DTDL 3 Interface."""
    document = {
        "@context": "dtmi:dtdl:context;3",
        "@id": f"dtmi:example:{name};1",
        "@type": "Interface",
        "contents": contents,
    }
    return ModelDocument("dtdl", json.dumps(document, separators=(",", ":")).encode())


def publish(script: Log, name: str, contents: list[dict[str, Any]]) -> bytes:
    """The statement that publishes `dtmi:example:NAME;1`."""
    return script.say(GATEWAY, f"dtmi:example:{name};1", MODEL, format_model(interface(name, contents))).raw


@pytest.fixture
def bench() -> Iterator[Bench]:
    """`GATEWAY` may say everything about everything."""
    with Bench() as made:
        made.script.grant(GATEWAY, Capability, Scope("prefix", ""))
        made.take(*made.script.raws[1:])
        yield made


def test_payloads_of_strangers_are_not_read(bench: Bench) -> None:
    script, nonsense = bench.script, b"\x80"
    assert isinstance(bench.refusal(script.draft(GATEWAY, TWIN, senml.SENML, nonsense)), Malformed)
    assert isinstance(bench.refusal(script.draft(STRANGER, TWIN, senml.SENML, nonsense)), UnknownSigner)
    forged = script.draft(GATEWAY, TWIN, senml.SENML, nonsense)
    assert isinstance(bench.refusal(forged[:-1] + bytes((forged[-1] ^ 1,))), BadSignature)
    own = script.draft(Signer(GATEWAY.issuer, DEVICE.key), TWIN, senml.SENML, nonsense)
    assert isinstance(bench.refusal(own), UnknownSigner)


def test_a_twin_that_changes_its_model_again_and_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its past is read for the first change, not for each."""
    script = bench.script
    serial = [{"@type": "Property", "name": "serial", "schema": "string"}]
    bench.take(publish(script, "a", serial), publish(script, "b", serial))
    bench.take(script.describe(GATEWAY, Description(set={"serial": "S1"})).raw)
    asked: list[str] = []

    def counted(reader: Any, subject: str) -> Any:
        asked.append(subject)
        return logged_about(reader, subject)

    monkeypatch.setattr(models_module, "logged_about", counted)
    models = [f"dtmi:example:{'ab'[number % 2]};1" for number in range(40)]
    bench.take(*(script.describe(GATEWAY, Description(model=model)).raw for model in models[:20]))
    for model in models[20:]:
        bench.take(script.describe(GATEWAY, Description(model=model)).raw)
    assert asked.count(TWIN) <= 2
    assert bench.findings() == []


def test_what_is_kept_for_a_change_of_model_is_what_was_said(bench: Bench) -> None:
    """Properties that are set and unset between two changes, in groups of their own and within one."""
    script = bench.script
    text = [{"@type": "Property", "name": name, "schema": "string"} for name in ("serial", "colour")]
    bench.take(publish(script, "plain", text[:1]), publish(script, "coloured", text))
    plain, coloured = "dtmi:example:plain;1", "dtmi:example:coloured;1"
    bench.take(script.describe(GATEWAY, Description(model=coloured, set={"serial": "S1"})).raw)
    bench.take(script.describe(GATEWAY, Description(model=plain)).raw)
    bench.take(script.describe(GATEWAY, Description(model=coloured)).raw)
    bench.take(script.describe(GATEWAY, Description(set={"colour": "red"})).raw)
    head = script.heads[GATEWAY.issuer, TWIN]
    refused = bench.refusal(script.describe(GATEWAY, Description(model=plain)).raw)
    assert isinstance(refused, Malformed)
    assert "colour" in str(refused)
    script.raws.pop()
    script.heads[GATEWAY.issuer, TWIN] = head
    bench.take(
        script.describe(GATEWAY, Description(unset=("colour",))).raw,
        script.describe(GATEWAY, Description(model=plain)).raw,
    )
    assert bench.entries() == script.raws


def test_a_model_that_leads_to_more_documents_than_a_node_reads(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is small and taken alone; the one that names them all would hold up everybody."""
    monkeypatch.setattr(models_module, "OPTIONS", dtdl.Options(max_bytes=100_000))
    script = bench.script
    fillers = [{"@type": "Telemetry", "name": f"t{number}", "schema": "double"} for number in range(500)]
    names = [f"part{number}" for number in range(4)]
    outcomes = bench.submit(*(publish(script, name, fillers) for name in names))
    assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    parts = [{"@type": "Component", "name": name, "schema": f"dtmi:example:{name};1"} for name in names]
    refused = bench.refusal(publish(script, "whole", parts))
    assert isinstance(refused, Malformed)
    assert "json-size" in str(refused)
