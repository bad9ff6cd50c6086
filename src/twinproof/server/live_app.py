"""The whole application: the kernel's routes (`app`) and the JSON API on a node with its views.

FastAPI (MIT), which is Starlette with OpenAPI. `PARTS` lists the subjects of the API: a further one
is a module with `RULES` and a router, and a line in `_routers`.
Every route passes a `Gate`; one without a rule stops the node from starting.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from time import monotonic
from typing import Any, Final

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from twinproof import __version__
from twinproof.errors import InternalError, Malformed, NotFound, TooLarge, TwinproofError
from twinproof.node.anchor_heads import AnchoredHeads
from twinproof.node.checking import LogCheck
from twinproof.node.live import Live
from twinproof.server.access import KERNEL_RULES, Access, Gate, Rule
from twinproof.server.api import (
    chain,
    fleet,
    graph,
    log,
    models,
    operate,
    orders,
    parts,
    prognosis,
    service,
    session,
    telemetry,
    timeline,
    twins,
)
from twinproof.server.api.contracted import Contracted
from twinproof.server.api.routing import PREFIX, Heavy
from twinproof.server.app import Endpoints
from twinproof.server.console import RULES as CONSOLE_RULES
from twinproof.server.console import Console
from twinproof.server.events import Hub
from twinproof.server.events_http import EVENTS, EVENTS_WS, event_routes
from twinproof.server.guide import RULES as GUIDE_RULES
from twinproof.server.guide import Guide
from twinproof.server.kernel_openapi import PATHS
from twinproof.server.metrics import Measured, Metrics
from twinproof.server.parameters import Reached
from twinproof.server.problems import refusal
from twinproof.server.shapes import Problem
from twinproof.twin.statement import shown

PARTS: Final = (
    session,
    fleet,
    twins,
    timeline,
    models,
    telemetry,
    graph,
    prognosis,
    log,
    chain,
    orders,
    parts,
    operate,
    service,
)
"""Modules of the API; `RULES` of each are taken together."""
_EVENT_RULES: Final = {EVENTS: Rule.HOLDER, EVENTS_WS: Rule.HOLDER}
"""Subscriptions ask for the token again while they last, and leave out what it does not cover."""
_LOG = logging.getLogger(__name__)


def views_of(live: Live) -> dict[str, Reached]:
    """The views whose progress is watched, by name."""
    return {"states": live.states, "telemetry": live.telemetry}


def _routers(
    live: Live, access: Access, views: Mapping[str, Reached], metrics: Metrics, check: LogCheck
) -> Iterator[APIRouter]:
    heavy = Heavy()
    chain_id = live.chain.contracts.chain_id if live.chain else None
    heads = AnchoredHeads(live.node.anchors, live.node.reader, chain_id)
    yield session.router(live, access)
    yield fleet.router(live)
    yield twins.router(live)
    yield timeline.router(live, heads)
    yield models.router(live, heavy)
    yield telemetry.router(live, heavy)
    yield graph.router(live, heavy)
    yield prognosis.router(live, heavy)
    yield log.router(live, heads, check)
    yield chain.router(live)
    contracted = Contracted(live)
    yield orders.router(contracted, heavy)
    yield parts.router(contracted, heavy)
    # Threads of its own: who only asks keeps nobody from acting.
    yield operate.router(contracted, Heavy())
    yield service.router(live, views, metrics)


def make_live_app(
    live: Live,
    *,
    access: Access | None = None,
    clock: Callable[[], float] = monotonic,
    tracer_provider: Any = None,
) -> FastAPI:
    """The ASGI application on an open node; the caller closes the node. `clock`, in seconds, is for rates.

    Requests are traced if there is an OpenTelemetry provider: the one given, the process's own, or the one that
    OTEL_EXPORTER_OTLP_ENDPOINT asks for (docs/api.md). Without one a trace costs nothing.

    Whoever serves it awaits `app.state.on_stop()` before it waits for the last requests: subscriptions do not end
    by themselves.
    """
    access = access or Access(live.node)
    views = views_of(live)
    metrics = Metrics(live, views)
    live.node.intake.on_group = metrics.on_group
    app = FastAPI(
        title="Twinproof",
        version=__version__,
        openapi_url="/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={
            "tracing": True,
            "metrics": False,
            "logs": False,
            "auto_configure": True,
            "tracer_provider": tracer_provider,
        },
        exception_handlers={
            404: _not_found,
            405: _wrong_method,
            500: _defect,
            HTTPException: _http,
            RequestValidationError: _invalid,
            TwinproofError: _refused,
        },
    )
    hub = Hub(live.feed, live.node.evidence.transparent)
    check = LogCheck(live.node)
    app.state.on_stop = lambda: _stop(hub, check)
    rules = {**KERNEL_RULES, **_EVENT_RULES, **CONSOLE_RULES, **GUIDE_RULES}
    for part in PARTS:
        rules.update(part.RULES)
    routes = Endpoints(live.node, clock).routes()
    kernel = {route.path for route in routes}
    app.router.routes.extend(routes)
    for router in _routers(live, access, views, metrics, check):
        app.router.routes.extend(router.routes)
    app.router.routes.extend(event_routes(hub, access.identify))
    console = Console(live.node.config.access)
    app.router.routes.extend(Guide(live.node.folder / "guide", console.headers).routes())
    app.router.routes.extend(console.routes())
    for route in app.router.routes:
        _guard(route, rules, access, kernel)
    app.add_middleware(Measured, metrics=metrics)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    _LOG.info("%s", live.node.config.readers)
    return app


async def _stop(hub: Hub, check: LogCheck) -> None:
    await hub.close()
    await run_in_threadpool(check.stop)


def _guard(route: Any, rules: Mapping[str, Rule], access: Access, kernel: set[str]) -> None:
    methods = sorted(getattr(route, "methods", None) or ())
    rule = rules.get(f"{methods[0]} {route.path}" if methods else route.path, rules.get(route.path))
    if rule is None:
        raise InternalError(f"{route.path} has no rule of access")
    # Starlette's patterns end in `$`, which lets a line feed stand behind the path.
    route.path_regex = re.compile(route.path_regex.pattern.removesuffix("$") + r"\Z")
    route.app = Gate(route.app, route.path, rule, access, route.path in kernel)


# --- refusals -------------------------------------------------------------------------------------


def _concise(request: Request) -> bool:
    """Whether the caller speaks to the kernel, whose refusals are in CBOR."""
    path = str(request.scope["path"])
    return not path.startswith("/api") and path not in service.RULES


async def _refused(request: Request, error: Exception) -> Response:
    found = error if isinstance(error, TwinproofError) else InternalError("a defect of the node; its log says more")
    return refusal(found, concise=_concise(request))


async def _invalid(request: Request, error: Exception) -> Response:
    problems = error.errors() if isinstance(error, RequestValidationError) else []
    first: dict[str, Any] = problems[0] if problems else {"loc": ("request",), "msg": "cannot be read"}
    place = [str(part) for part in first["loc"] if part not in ("query", "path", "body")]
    return refusal(Malformed(".".join(place) or "body", str(first["msg"])), concise=_concise(request))


async def _http(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = error.detail if isinstance(error, HTTPException) else HTTPStatus(status).phrase
    headers = error.headers if isinstance(error, HTTPException) else None
    kind = TooLarge if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE else Malformed
    return refusal(kind("request", str(detail)), concise=_concise(request), status=status, headers=headers)


async def _not_found(request: Request, error: Exception) -> Response:
    where = "docs/http.md" if _concise(request) else "/openapi.json"
    return refusal(
        NotFound(f"no {shown(str(request.scope['path']))} here; the routes are in {where}"), concise=_concise(request)
    )


async def _wrong_method(request: Request, error: Exception) -> Response:
    headers = error.headers if isinstance(error, HTTPException) else None
    wrong = Malformed("method", f"{shown(request.method)} is not for {shown(str(request.scope['path']))}")
    return refusal(wrong, concise=_concise(request), status=405, title="Method Not Allowed", headers=headers)


async def _defect(request: Request, error: Exception) -> Response:
    # What happened is in the log: the server re-raises it there.
    return refusal(InternalError("a defect of the node; its log says more"), concise=_concise(request))


# --- OpenAPI --------------------------------------------------------------------------------------


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        routes: list[BaseRoute] = list(app.routes)
        document = get_openapi(title=app.title, version=app.version, routes=routes, description=_DESCRIPTION)
        schemas = document["components"]["schemas"]
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        schemas[Problem.__name__] = Problem.model_json_schema()
        for operations in document["paths"].values():
            for operation in operations.values():
                # FastAPI's own refusal; here it is a 400 like every other malformed request.
                operation["responses"].pop("422", None)
        document["paths"].update(PATHS)
        document["components"]["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"bearer": []}, {}]
        app.openapi_schema = document
    return app.openapi_schema


_DESCRIPTION: Final = f"""The node's log, proofs and what is derived from the log.

`{PREFIX}` answers in JSON and refuses with RFC 9457; the other routes speak COSE, CBOR and C2SP formats and refuse
with RFC 9290. What is derived says in `reached` how many entries of the log it takes in; `at_least` waits for one."""
