"""Traces: a span for each request, where somebody wants them."""

from __future__ import annotations

from pathlib import Path

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.testclient import TestClient

from tests.builders import TWIN
from tests.server.live_rig import live_rig
from twinproof.server.live_app import make_live_app


def test_a_request_leaves_a_span(tmp_path: Path) -> None:
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    with live_rig(tmp_path / "node") as rig:
        client = TestClient(
            make_live_app(rig.live, tracer_provider=provider), client=("127.0.0.1", 5000), base_url="http://localhost"
        )
        assert client.get("/api/v1/state", params={"sub": TWIN, "at_least": rig.size - 1}).status_code == 200
        assert client.get("/api/v1/state", params={"sub": "urn:x:none"}).status_code == 404
    found = spans.get_finished_spans()
    assert [span.name for span in found if "state" in span.name] == ["GET /api/v1/state"] * 2
    statuses = [(span.attributes or {}).get("http.response.status_code") for span in found if "state" in span.name]
    assert statuses == [200, 404]
    provider.shutdown()
