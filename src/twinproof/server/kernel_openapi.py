"""The kernel's routes for the OpenAPI document; docs/http.md describes them in words."""

from __future__ import annotations

from typing import Any, Final

from twinproof.server.answers import CBOR, CBOR_SEQUENCE, COSE, PROBLEM
from twinproof.server.parameters import IRI_PATTERN
from twinproof.twin.evidence import MEDIA_TYPE as BUNDLE
from twinproof.twin.statement import MAX_IRI

_BINARY: Final = {"type": "string", "format": "binary"}
_TEXT: Final = "text/plain; charset=utf-8"


def _content(media_type: str) -> dict[str, Any]:
    return {media_type: {"schema": {"type": "string"} if media_type.startswith("text/") else _BINARY}}


def _answers(media_type: str, *refusals: int, also: tuple[int, ...] = ()) -> dict[str, Any]:
    found: dict[str, Any] = {
        str(status): {"description": "Done", "content": _content(media_type)} for status in (200, *also)
    }
    for status in sorted({*refusals, 503}):
        found[str(status)] = {"description": "Problem details (RFC 9290)", "content": _content(PROBLEM)}
    return found


def _parameter(name: str, where: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": where, "required": True, "schema": schema}


_INDEX: Final = _parameter("index", "path", {"type": "integer", "minimum": 0, "maximum": (1 << 63) - 1})
_IRI: Final = {"type": "string", "maxLength": MAX_IRI, "pattern": IRI_PATTERN}
_SUB: Final = _parameter("sub", "query", _IRI)


def _get(summary: str, media_type: str, *refusals: int, parameters: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    return {
        "get": {
            "tags": ["kernel"],
            "summary": summary,
            "parameters": list(parameters),
            "responses": _answers(media_type, *refusals),
        }
    }


def _post(summary: str, given: str, answered: str, parameters: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    also = (201,) if answered == COSE else ()
    return {
        "post": {
            "tags": ["kernel"],
            "summary": summary,
            "description": "Writing takes no token: a statement's signature and the grants in the log decide.",
            "security": [],
            "parameters": list(parameters),
            "requestBody": {"required": True, "content": _content(given)},
            "responses": _answers(answered, 400, 403, 404, 408, 409, 413, 422, 429, also=also),
        }
    }


_READ: Final = (400, 401, 403, 404)
_MODELS: Final = {"name": "models", "in": "query", "required": False, "schema": {"enum": ["0", "1"]}}
_RECEIPTS: Final = {"name": "receipts", "in": "query", "required": False, "schema": {"enum": ["0", "1"]}}

PATHS: Final[dict[str, Any]] = {
    "/entries": _post("Register a statement (SCRAPI)", COSE, COSE),
    "/entries/batch": _post("Register a CBOR sequence of statements", CBOR_SEQUENCE, CBOR, (_RECEIPTS,)),
    "/entries/{index}": _get("A fresh COSE receipt (RFC 9942)", COSE, *_READ, parameters=(_INDEX,)),
    "/entries/{index}/statement": _get("The logged bytes", COSE, *_READ, parameters=(_INDEX,)),
    "/entries/{index}/transparent": _get("SCITT transparent statement", COSE, *_READ, parameters=(_INDEX,)),
    "/entries/{index}/tlog-proof": _get("C2SP tlog-proof", _TEXT, *_READ, parameters=(_INDEX,)),
    "/streams": _get(
        "Head of a stream: seq and digest", CBOR, 400, 404, 413, parameters=(_parameter("iss", "query", _IRI), _SUB)
    ),
    "/bundle": _get("History bundle of a twin", BUNDLE, *_READ, 413, parameters=(_SUB, _MODELS)),
    "/blobs/{digest}": _get(
        "What statements name by digest, such as models",
        "application/octet-stream",
        *_READ,
        413,
        parameters=(_parameter("digest", "path", {"type": "string", "pattern": "^[0-9a-f]{64}$"}),),
    ),
    "/checkpoint": _get("The newest signed checkpoint", _TEXT, 401),
    "/tile/{path}": _get(
        "C2SP tlog-tiles",
        "application/octet-stream",
        *_READ,
        parameters=(
            _parameter("path", "path", {"type": "string", "pattern": r"^([0-9]|entries)/[0-9x/]+(\.p/[0-9]+)?$"}),
        ),
    ),
    "/.well-known/scitt-keys": _get("COSE keys of the receipts", CBOR),
    "/.well-known/scitt-keys/{kid}": _get(
        "One of them", CBOR, 404, parameters=(_parameter("kid", "path", {"type": "string", "minLength": 1}),)
    ),
    "/health": {
        "get": {
            "tags": ["service"],
            "summary": "Whether statements are taken",
            "security": [],
            "responses": {
                "200": {
                    "description": "They are",
                    "content": {
                        "application/json": {
                            "schema": {
                                "type": "object",
                                "required": ["origin", "size"],
                                "properties": {"origin": {"type": "string"}, "size": {"type": "integer"}},
                            }
                        }
                    },
                },
                "503": {"description": "They are not", "content": _content(PROBLEM)},
            },
        }
    },
}
