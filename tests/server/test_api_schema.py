"""The OpenAPI document against the running application: schemathesis, in this process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import positive_data_acceptance
from schemathesis.transport.serialization import Binary

from tests.server.live_rig import POSTED, Rig, live_rig
from tests.server.process import COSE, SEQUENCE
from twinproof.server.kernel_openapi import PATHS
from twinproof.server.live_app import PARTS

# What a schema cannot say of a body: that these bytes are signed CBOR. Any others are malformed.
SIGNED = ("/entries", "/entries/batch")
REJECTIONS = ["400", "401", "403", "404", "405", "406", "409", "413", "415", "422", "428", "429", "5xx"]
"""schemathesis' own, and 413, which the kernel says to an IRI that is too long."""

OPERATIONS = [
    (method.upper(), path)
    for path, operations in {
        **PATHS,
        **{
            path: ["post" if path in POSTED else "get", *(["post"] if f"POST {path}" in part.RULES else [])]
            for part in PARTS
            for path in part.RULES
            if not path.startswith("POST ")
        },
    }.items()
    for method in operations
    if path != "/openapi.json"
]


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with live_rig(tmp_path_factory.mktemp("schema") / "node") as made:
        yield made


@pytest.fixture(scope="module")
def schema(rig: Rig) -> schemathesis.BaseSchema:
    config = SchemathesisConfig.from_dict({"checks": {"negative_data_rejection": {"expected-statuses": REJECTIONS}}})
    loaded: schemathesis.BaseSchema = schemathesis.openapi.from_asgi("/openapi.json", rig.app, config=config)
    return loaded


@schemathesis.serializer(COSE, SEQUENCE)
def as_bytes(context: Any, value: Any) -> bytes:
    return value.data if isinstance(value, Binary) else str(value).encode()


def test_the_document_lists_every_operation(rig: Rig) -> None:
    document = rig.client().get("/openapi.json").json()
    found = {(method.upper(), path) for path, operations in document["paths"].items() for method in operations}
    assert found == set(OPERATIONS)


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=[f"{method} {path}" for method, path in OPERATIONS])
def test_every_operation_answers_as_documented(schema: schemathesis.BaseSchema, method: str, path: str) -> None:
    """Documented statuses, media types, headers and bodies; what fits the schema is taken, what does not is refused."""
    operation = schema[path][method]
    strategies = [operation.as_strategy(generation_mode=mode) for mode in GenerationMode]

    @given(st.one_of(strategies))
    @settings(
        max_examples=30,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def check(case: Case[Any]) -> None:
        case.call_and_validate(excluded_checks=[positive_data_acceptance] if path in SIGNED else None)

    check()
