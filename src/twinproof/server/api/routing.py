"""What the routers of the API share: the kind of route, documented refusals, room for heavy work."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any, Final, TypeVar

import anyio
import anyio.to_thread
from anyio import CapacityLimiter
from fastapi import APIRouter, Depends, HTTPException
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.routing import Match
from starlette.types import Message, Receive, Scope, Send

from twinproof.errors import Malformed, Overloaded
from twinproof.server.forms import REACHED
from twinproof.server.problems import PROBLEM_JSON
from twinproof.server.shapes import Problem
from twinproof.twin.statement import shown

T = TypeVar("T")
PREFIX: Final = "/api/v1"
MAX_BODY: Final = 128 * 1024
"""Bytes of a request's body."""
BODY_SECONDS: Final = 30
REFUSALS: Final = {
    400: "Malformed: a parameter, or the body",
    401: "A token is missing or does not hold",
    403: "The token does not reach this far",
    404: "The log does not say",
    408: "The body did not arrive in time",
    413: "The answer, or the question, is too large",
    503: "Busy, or a view is behind; come back after Retry-After",
}
ACTING: Final = {
    409: "The contract or the chain refuses: the detail says what helps; nothing was sent",
    429: "Too many statements; come back after Retry-After",
    502: "The chain's node contradicts itself, or fails",
}
"""What is refused besides where something is done."""


class ApiRoute(APIRoute):
    """Answers HEAD as it answers GET, and knows the names of its query parameters."""

    @cached_property
    def names(self) -> tuple[frozenset[str], frozenset[str]]:
        """All names, and those that may come several times."""
        found = list(_fields(self.dependant))
        many = {field.alias for field in found if "list[" in str(field.field_info.annotation)}
        return frozenset(field.alias for field in found), frozenset(many)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return super().matches({**scope, "method": "GET"} if scope.get("method") == "HEAD" else scope)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "HEAD" and "GET" in (self.methods or ()):
            await self.app(scope, receive, send)
        else:
            await super().handle(scope, _bounded(receive), send)


def _bounded(receive: Receive) -> Receive:
    """A body's bytes and time are limited; of FastAPI's own errors alone it makes no 400."""
    size = 0
    ended = False
    deadline = anyio.current_time() + BODY_SECONDS

    async def receiving() -> Message:
        nonlocal size, ended
        if ended:
            return await receive()
        try:
            with anyio.fail_after(deadline - anyio.current_time()):
                message = await receive()
        except TimeoutError:
            raise HTTPException(408, f"did not arrive within {BODY_SECONDS} s", {"connection": "close"}) from None
        size += len(message.get("body", b""))
        ended = not message.get("more_body", False)
        if size > MAX_BODY:
            raise HTTPException(413, f"over {MAX_BODY} bytes", {"connection": "close"})
        return message

    return receiving


def _fields(dependant: Dependant) -> Iterator[Any]:
    yield from dependant.query_params
    for inner in dependant.dependencies:
        yield from _fields(inner)


async def only_known(request: Request) -> None:
    """Refuse what the route does not know: a misspelt `prefix` would answer with everything."""
    route: ApiRoute = request.scope["route"]
    names, many = route.names
    seen: set[str] = set()
    for name, _ in request.query_params.multi_items():
        if name not in names:
            raise Malformed(shown(name), f"is no parameter here; known are {', '.join(sorted(names)) or 'none'}")
        if name in seen and name not in many:
            raise Malformed(name, "is given twice")
        seen.add(name)


STRICT: Final = Depends(only_known)


def problems(refusals: Mapping[int, str] = REFUSALS) -> dict[int | str, dict[str, Any]]:
    """The refusals, for OpenAPI."""
    content = {PROBLEM_JSON: {"schema": {"$ref": f"#/components/schemas/{Problem.__name__}"}}}
    return {status: {"description": text, "content": content} for status, text in refusals.items()}


def derived(shape: type[Any]) -> dict[int | str, dict[str, Any]]:
    """The answer of a route that answers from a view, for OpenAPI."""
    header = {
        "description": "Entries of the log that the answer takes in.",
        "schema": {"type": "integer"},
        "required": True,
    }
    return {200: {"model": shape, "headers": {REACHED: header}}}


def make_router(tag: str, path: str = "") -> APIRouter:
    """A router under /api/v1 whose routes refuse unknown parameters."""
    return APIRouter(
        prefix=f"{PREFIX}{path}", tags=[tag], route_class=ApiRoute, dependencies=[STRICT], responses=problems()
    )


class Heavy:
    """A few threads for work that may take seconds, with a bounded queue. One per application."""

    def __init__(self, threads: int = 4, waiting: int = 64) -> None:
        self._limiter = CapacityLimiter(threads)
        self._waiting = waiting

    async def run(self, work: Callable[[], T]) -> T:
        """Run `work` in one of the threads; raises `Overloaded` if too many wait already."""
        if self._limiter.statistics().tasks_waiting >= self._waiting:
            raise Overloaded("too many queries are waiting already; ask again later", 2)
        return await anyio.to_thread.run_sync(work, limiter=self._limiter)
