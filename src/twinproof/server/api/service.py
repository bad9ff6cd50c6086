"""What those who run the node ask: is it ready, how is it doing, what does it speak."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from twinproof.errors import TwinproofError
from twinproof.node.live import Live
from twinproof.server import shapes
from twinproof.server.access import Rule
from twinproof.server.api.routing import STRICT, ApiRoute, problems
from twinproof.server.forms import answer
from twinproof.server.metrics import MEDIA_TYPE, Metrics
from twinproof.server.parameters import Reached

RULES = {"/ready": Rule.OPEN, "/metrics": Rule.OPERATOR, "/openapi.json": Rule.OPEN}
MAX_BEHIND: Final = 10_000
"""Entries that a view of a ready node may be behind."""
MIN_FREE: Final = 64 * 1024 * 1024
"""Bytes that must be free on the disk."""


def router(live: Live, views: Mapping[str, Reached], metrics: Metrics) -> APIRouter:
    """The routes, on an open node."""
    refused: dict[int | str, dict[str, Any]] = {s: text for s, text in problems().items() if s in (400, 401, 403)}
    made = APIRouter(tags=["service"], route_class=ApiRoute, dependencies=[STRICT], responses=refused)

    @made.get(
        "/ready",
        responses={200: {"model": shapes.Readiness}, 503: {"model": shapes.Readiness, "description": "Not ready"}},
        summary="Whether the node can serve",
    )
    async def ready() -> Response:
        """200 if statements are taken, views are not far behind, the disk has room and no chain tells of a fork."""
        return await run_in_threadpool(_ready, live, views)

    @made.get(
        "/metrics",
        responses={200: {"description": "Prometheus' text format", "content": {"text/plain": {}}}},
        response_class=Response,
        summary="Numbers for Prometheus",
    )
    async def numbers() -> Response:
        """For tokens of the scope all, and for callers on this machine."""
        return Response(await run_in_threadpool(metrics.render), media_type=MEDIA_TYPE)

    return made


def _ready(live: Live, views: Mapping[str, Reached]) -> Response:
    checks: dict[str, str] = {}
    size = live.feed.size
    try:
        size = live.node.intake.require_ready()
        checks["intake"] = "ok"
    except TwinproofError as problem:
        checks["intake"] = problem.code
    behind = {name: max(0, size - view.reached) for name, view in views.items()}
    checks.update((f"view {name}", "ok" if late <= MAX_BEHIND else "behind") for name, late in behind.items())
    try:
        checks["disk"] = "ok" if shutil.disk_usage(live.node.folder).free >= MIN_FREE else "full"
    except OSError:
        checks["disk"] = "unreachable"
    if live.chain is not None:
        # A chain that is away keeps nobody from reading or writing; a forked history does.
        checks["history"] = "forked" if live.chain.anchoring.report.forked else "ok"
    well = all(check == "ok" for check in checks.values())
    response = answer({"ready": well, "checks": checks, "size": size, "behind": behind})
    response.status_code = 200 if well else 503
    return response
