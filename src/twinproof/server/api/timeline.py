"""A twin's history for people: who said what under which grant, and the three times of each entry.

`time` is the signer's claim, `integrated` when the log had the entry in a tree that it signed, `anchored` when a block
of the chain had such a tree. They are never merged into one.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from twinproof.edge.marking import is_gateway_signed
from twinproof.errors import NotFound
from twinproof.node.anchor_heads import AnchoredHeads
from twinproof.node.live import Live
from twinproof.node.relied import ReliedGrants
from twinproof.node.statements import logged
from twinproof.proof.anchor import AnchoredHead
from twinproof.server import console_shapes as shapes
from twinproof.server.access import Rule
from twinproof.server.api.routing import PREFIX, derived, make_router
from twinproof.server.api.twins import KIND_NAMES
from twinproof.server.forms import answer
from twinproof.server.parameters import AtLeast, Index, Limit, Twin, wait_for
from twinproof.server.said import said
from twinproof.twin.authority import Grant
from twinproof.twin.grants import log_subject
from twinproof.twin.kinds import kind_of

RULES = {f"{PREFIX}/timeline": Rule.TWIN}
_ENTRIES = (
    "SELECT entry FROM history WHERE twin = (SELECT id FROM twin WHERE sub = ?) AND entry < ? "
    "AND (? IS NULL OR kind = ?) ORDER BY entry DESC LIMIT ?"
)


def router(live: Live, heads: AnchoredHeads) -> APIRouter:
    """The route, on an open node."""
    made = make_router("timeline")
    grants = ReliedGrants(live.node.reader, live.states, log_subject(live.node.config.origin))

    @made.get("/timeline", responses=derived(shapes.Timeline), summary="A twin's history, newest first")
    async def timeline(
        sub: Twin,
        kind: Annotated[str | None, Query(json_schema_extra={"enum": KIND_NAMES}, max_length=64)] = None,
        before: Annotated[Index | None, Query(description="`next` of the page before: entries below this one.")] = None,
        limit: Limit = 50,
        at_least: AtLeast = None,
    ) -> Response:
        """Entries about the twin: signer, grant, claimed, integrated and anchored time, and a few words of each."""
        await wait_for(live.states, at_least, live.feed.size)
        return await run_in_threadpool(_timeline, live, heads, grants, sub, kind, before, limit)

    return made


def _timeline(
    live: Live, heads: AnchoredHeads, grants: ReliedGrants, sub: str, kind: str | None, before: int | None, limit: int
) -> Response:
    reached = live.states.reached
    below = reached if before is None else min(before, reached)
    indices = [row[0] for row in live.states.query(_ENTRIES, (sub, below, kind, kind, limit + 1))]
    if not indices and not live.states.history(sub, limit=1):
        raise NotFound(f"the log holds nothing about {sub}")
    page = indices[:limit]
    anchored = heads.covering(page)
    items = [_item(live, grants, index, anchored.get(index)) for index in page]
    return answer({"items": items, "next": page[-1] if len(indices) > limit else None}, reached=reached)


def _item(live: Live, grants: ReliedGrants, index: int, head: AnchoredHead | None) -> dict[str, Any]:
    statement = logged(live.node.reader, index)
    mark = live.node.reader.checkpoint_at_or_after(index + 1)
    kind = kind_of(statement)
    return {
        "entry": index,
        "kind": kind.name,
        "iss": statement.issuer,
        "gateway": is_gateway_signed(statement),
        "seq": statement.seq,
        "digest": statement.digest.hex(),
        "time": statement.issued_at,
        "grant": _grant(grants.of(index, statement)),
        "capability": kind.capability and str(kind.capability),
        "integrated": mark and {"size": mark.size, "time": mark.time},
        "anchored": head
        and {
            "size": head.size,
            "time": head.time,
            "block": head.block_number,
            "transaction": f"0x{head.transaction.hex()}",
        },
        "said": said(kind.parse(statement.payload, statement.issued_at)),
    }


def _grant(grant: Grant | None) -> dict[str, Any] | None:
    if grant is None:
        return None
    return {
        "entry": grant.index,
        "digest": grant.id.hex(),
        "can": sorted(map(str, grant.terms.can)),
        "scope": {grant.terms.scope.kind: grant.terms.scope.value},
    }
