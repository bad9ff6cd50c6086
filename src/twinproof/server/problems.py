"""Refusals of the JSON API: problem details (RFC 9457). The kernel's routes have RFC 9290 (`answers`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from math import ceil
from typing import Final

from starlette.responses import Response

from twinproof.errors import Malformed, Overloaded, TwinproofError
from twinproof.server.answers import problem as concise_problem
from twinproof.server.answers import status_of

PROBLEM_JSON: Final = "application/problem+json"


def problem_json(
    error: TwinproofError,
    *,
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The problem response for `error`; 429 and 503 say when to come back."""
    status = status or status_of(error)[0]
    sent = {"cache-control": "no-store", **(headers or {})}
    if status in (429, 503):
        sent["retry-after"] = str(ceil(error.retry_after) if isinstance(error, Overloaded) else 5)
    body: dict[str, object] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": str(error),
        "code": error.code,
    }
    if isinstance(error, Malformed):
        body["field"] = error.field
    return Response(json.dumps(body, ensure_ascii=False), status, sent, PROBLEM_JSON)


def refusal(
    error: TwinproofError,
    *,
    concise: bool,
    status: int | None = None,
    title: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The problem response in the form of the kernel's routes (`concise`, with its own titles) or of the API."""
    if concise:
        return concise_problem(error, status=status, title=title, headers=headers)
    return problem_json(error, status=status, headers=headers)
