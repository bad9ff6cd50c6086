"""How refusals look on the wire: RFC 9290 concise problem details, and the status of each error."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import ceil
from typing import Final

from starlette.responses import Response

from twinproof.errors import (
    AccessDenied,
    BadSignature,
    ChainBroken,
    ChainError,
    ChainUnreachable,
    ConfigError,
    Equivocation,
    FutureDated,
    Gap,
    LogError,
    Malformed,
    NotAuthorised,
    NotFound,
    NotInstalled,
    Overloaded,
    RateLimited,
    Reverted,
    TooLarge,
    TransactionRefused,
    TwinproofError,
    Unauthenticated,
    Unready,
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
    (Unauthenticated, 401, "Unauthorized"),
    (AccessDenied, 403, "Forbidden"),
    (NotAuthorised, 403, "Rejected"),
    (Gap, 409, "Rejected"),
    (ChainBroken, 409, "Rejected"),
    (Equivocation, 409, "Rejected"),
    (FutureDated, 422, "Rejected"),
    (NotFound, 404, "Not Found"),
    (RateLimited, 429, "Too Many Requests"),
    (Overloaded, 503, "Overloaded"),
    (LogError, 503, "Log unavailable"),
    (Reverted, 409, "Refused by the contract"),
    (TransactionRefused, 409, "Refused by the chain"),
    (Unready, 409, "Not Yet"),
    (ChainUnreachable, 503, "Chain unavailable"),
    (ChainError, 502, "Chain trouble"),
    (NotInstalled, 501, "Not Implemented"),
    (ConfigError, 500, "Internal error"),
)
"""First match counts; SCRAPI's own titles where it has them."""
_FIELD_TITLES: Final = {
    "alg": "Bad Signature Algorithm",
    "payload": "Payload Missing",
    "entry": "Invalid locator",
}
"""SCRAPI's titles for some fields of malformed input."""


def status_of(error: TwinproofError) -> tuple[int, str]:
    """HTTP status and problem title of an error."""
    for kind, status, title in _STATUS:
        if isinstance(error, kind):
            if type(error) is Malformed:
                return status, _FIELD_TITLES.get(error.field, title)
            return status, title
    return 500, "Internal error"


def problem_body(error: TwinproofError, title: str) -> bytes:
    """Concise problem details: title and detail (RFC 9290 §2)."""
    return cbor.encode({-1: title, -2: f"{error.code}: {error}"})


def problem(
    error: TwinproofError,
    *,
    status: int | None = None,
    title: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The problem response for `error`; 429 and 503 say when to come back."""
    usual_status, usual_title = status_of(error)
    status = status or usual_status
    sent = dict(headers or {})
    if status in (429, 503):
        sent["retry-after"] = str(ceil(error.retry_after) if isinstance(error, Overloaded) else 5)
    return Response(problem_body(error, title or usual_title), status, sent, PROBLEM)


def batch(checkpoint: bytes, outcomes: Sequence[Outcome], receipt_of: Callable[[int], bytes] | None) -> bytes:
    """The body of a batch answer: {"results": [map per statement], "checkpoint": note}.

    With `receipt_of` every accepted statement's map holds its receipt.
    """
    parts = [_BATCH_HEAD, cbor.head(4, len(outcomes))]
    for outcome in outcomes:
        if isinstance(outcome, Accepted) and receipt_of is None:
            # Thousands of these a second, all alike: assembled, not encoded.
            parts += (_INDEX, cbor.head(0, outcome.index), _NEW if outcome.new else _KNOWN)
        else:
            parts.append(cbor.encode(_result(outcome, receipt_of)))
    parts += (_CHECKPOINT, cbor.encode(checkpoint))
    return b"".join(parts)


_BATCH_HEAD: Final = cbor.head(5, 2) + cbor.encode("results")
_CHECKPOINT: Final = cbor.encode("checkpoint")
_INDEX: Final = cbor.head(5, 2) + cbor.encode("index")
_NEW: Final = cbor.encode("status") + cbor.encode(201)
_KNOWN: Final = cbor.encode("status") + cbor.encode(200)


def _result(outcome: Outcome, receipt_of: Callable[[int], bytes] | None) -> dict[int | str, cbor.Value]:
    if isinstance(outcome, Accepted):
        answer: dict[int | str, cbor.Value] = {"status": 201 if outcome.new else 200, "index": outcome.index}
        if receipt_of is not None:
            answer["receipt"] = receipt_of(outcome.index)
        return answer
    answer = {"status": status_of(outcome)[0], "code": outcome.code, "detail": str(outcome)}
    if isinstance(outcome, Gap):
        answer["expected"] = outcome.expected
    if isinstance(outcome, Equivocation):
        answer["index"] = outcome.index
    return answer
