"""Models of twins: the statement that publishes one.

    model   {"language": "dtdl", "document": bytes}

`sub` is the model's own identifier, such as dtmi:com:example:engine;1. A published model never
changes: a change is a new version. Reading the document itself is `twinproof.models`' work.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from twinproof.errors import Malformed
from twinproof.proof import cbor
from twinproof.twin.fields import fields

MODEL: Final = "application/vnd.twinproof.model+cbor"
DTDL: Final = "dtdl"
LANGUAGES: Final = frozenset({DTDL})


@dataclass(frozen=True, slots=True)
class ModelDocument:
    """What a model statement says."""

    language: str
    document: bytes
    """As its author wrote it; DTDL: JSON."""


def format_model(model: ModelDocument) -> bytes:
    """The payload of a model statement."""
    return cbor.encode({"language": model.language, "document": model.document})


def parse_model(payload: bytes, issued_at: int = 0) -> ModelDocument:
    """Read a model payload; raises `Malformed` naming the key. The document itself is not read."""
    value = fields(cbor.decode(payload, what="model"), "model", ("language", "document"))
    if type(value["language"]) is not str or value["language"] not in LANGUAGES:
        raise Malformed("model.language", f"none of {', '.join(sorted(LANGUAGES))}")
    if type(value["document"]) is not bytes or not value["document"]:
        raise Malformed("model.document", "not bytes, or empty")
    return ModelDocument(value["language"], value["document"])
