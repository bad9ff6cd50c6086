"""How refusals look on the wire: RFC 9290 concise problem details, and the status of each error."""

from __future__ import annotations

from math import ceil
from typing import Final

from starlette.responses import Response

from twinproof.errors import (
    BadSignature,
    ChainBroken,
    ConfigError,
    Equivocation,
    FutureDated,
    Gap,
    LogError,
    Malformed,
    NotAuthorised,
    NotFound,
    Overloaded,
    RateLimited,
    TooLarge,
    TwinproofError,
)
from twinproof.node.intake import Accepted, Outcome
from twinproof.proof import cbor

COSE: Final = "application/cose"
CBOR: Final = "application/cbor"
CBOR_SEQUENCE: Final = "application/cbor-seq"
PROBLEM: Final = "application/concise-problem-details+cbor"

_STATUS: Final[tuple[tuple[type[TwinproofError], int, str], ...]] = (
    (TooLarge, 413, "Too Large"),
    (Malformed, 400, "Malformed request"),
    (BadSignature, 400, "Bad Signature"),
    (NotAuthorised, 403, "Rejected"),
    (Gap, 409, "Rejected"),
    (ChainBroken, 409, "Rejected"),
    (Equivocation, 409, "Rejected"),
    (FutureDated, 422, "Rejected"),
    (NotFound, 404, "Not Found"),
    (RateLimited, 429, "Too Many Requests"),
    (Overloaded, 503, "Overloaded"),
    (LogError, 503, "Log unavailable"),
    (ConfigError, 500, "Internal error"),
)
"""First match counts; SCRAPI's own titles where it has them."""


def status_of(error: TwinproofError) -> tuple[int, str]:
    """HTTP status and problem title of an error."""
    for kind, status, title in _STATUS:
        if isinstance(error, kind):
            return status, title
    return 500, "Internal error"


def problem(error: TwinproofError, *, status: int | None = None, title: str | None = None) -> Response:
    """The problem response for `error`; 429 and 503 say when to come back."""
    usual_status, usual_title = status_of(error)
    status = status or usual_status
    body = cbor.encode({-1: title or usual_title, -2: f"{error.code}: {error}"})
    headers = {}
    if status in (429, 503):
        headers["retry-after"] = str(ceil(error.retry_after) if isinstance(error, Overloaded) else 5)
    return Response(body, status, headers, PROBLEM)


def result(outcome: Outcome) -> dict[int | str, cbor.Value]:
    """One statement's outcome in a batch answer."""
    if isinstance(outcome, Accepted):
        return {"status": 201 if outcome.new else 200, "index": outcome.index}
    answer: dict[int | str, cbor.Value] = {
        "status": status_of(outcome)[0],
        "code": outcome.code,
        "detail": str(outcome),
    }
    if isinstance(outcome, Gap):
        answer["expected"] = outcome.expected
    if isinstance(outcome, Equivocation):
        answer["index"] = outcome.index
    return answer
