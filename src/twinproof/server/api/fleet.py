"""The whole fleet at a glance: a row for each twin, and what changed since an entry.

Whoever shows the fleet live asks again with `since` the `reached` of the last answer: rows of twins about which the
log says something new come back, each once and as it is now. The node keeps nothing about who asks.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from twinproof.node.live import Live
from twinproof.server import console_shapes as shapes
from twinproof.server.access import Principal, Rule, principal_of
from twinproof.server.api.routing import PREFIX, derived, make_router
from twinproof.server.api.twins import MODEL_SCHEME, Prefix, ranges
from twinproof.server.forms import REACHED
from twinproof.server.parameters import AtLeast, Index, Iri, Whole, wait_for
from twinproof.twin.grants import log_subject
from twinproof.views.state.fleet import FleetRow, rated

RULES = {f"{PREFIX}/fleet": Rule.HOLDER}
MAX_ROWS: Final = 5000
_NEVER: Final = "null"


def router(live: Live) -> APIRouter:
    """The route, on an open node."""
    made = make_router("fleet")

    @made.get("/fleet", responses=derived(shapes.Fleet), summary="A row for each twin")
    async def fleet(
        request: Request,
        prefix: Prefix = "",
        model: Annotated[Iri | None, Query(description="Only twins that name this model.")] = None,
        since: Annotated[
            Index, Query(description="Only twins with an entry at this index or after: `reached` of the last answer.")
        ] = 0,
        after: Annotated[str, Query(max_length=512, description="`next` of the page before.")] = "",
        limit: Annotated[Whole, Query(ge=1, le=MAX_ROWS, description="At most so many rows.")] = 1000,
        at_least: AtLeast = None,
    ) -> Response:
        """Twins that the token covers, in the order of their IRIs: health, alarms, forecast, freshness, trust."""
        await wait_for(live.states, at_least, live.feed.size)
        principal = principal_of(request)
        if since >= live.states.reached:
            # Most polls: shorter than the way to another thread and back.
            return _fleet(live, principal, prefix, model, since, after, limit)
        return await run_in_threadpool(_fleet, live, principal, prefix, model, since, after, limit)

    return made


def _fleet(
    live: Live, principal: Principal, prefix: str, model: str | None, since: int, after: str, limit: int
) -> Response:
    # Looked at first: an anchor that comes meanwhile is in the next answer.
    anchored = live.chain.anchoring.report.size if live.chain is not None else None
    reached, rows = live.states.fleet(
        ranges(principal, prefix),
        model=model,
        since=since,
        after=after,
        limit=limit + 1,
        without=((log_subject(live.node.config.origin), True), (MODEL_SCHEME, False)),
    )
    following = rows[limit - 1].subject if len(rows) > limit else None
    severities = cache(live.states.severities)
    items = ",".join([_row(row, anchored, severities) for row in rows[:limit]])
    # The rows are JSON already; thousands of them are joined, not encoded.
    rest = json.dumps({"next": following, "anchored_size": anchored, "reached": reached}, ensure_ascii=False)
    headers = {"cache-control": "no-store", REACHED: str(reached)}
    return Response(f'{{"items":[{items}],{rest[1:]}', headers=headers, media_type="application/json")


def _row(row: FleetRow, anchored: int | None, severities: Callable[[str], Mapping[str, str]]) -> str:
    signed = f'"{row.signed}"' if row.signed else _NEVER
    covered = _NEVER if anchored is None else "true" if row.entry < anchored else "false"
    return f'{rated(row.line, severities)[:-1]},"signed":{signed},"anchored":{covered}}}'
