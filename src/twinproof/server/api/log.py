"""The log itself: its head, kept checkpoints, and entries decoded."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from twinproof.node.live import Live
from twinproof.node.statements import logged
from twinproof.proof import cbor
from twinproof.server import shapes
from twinproof.server.access import Rule
from twinproof.server.api.routing import PREFIX, make_router
from twinproof.server.forms import answer, evidence_of, plain
from twinproof.server.parameters import MAX_INDEX, Index, Limit, Whole
from twinproof.twin.kinds import kind_of

RULES = {
    f"{PREFIX}/log/head": Rule.HOLDER,
    f"{PREFIX}/log/checkpoints": Rule.HOLDER,
    f"{PREFIX}/log/entries/{{index}}": Rule.ENTRY,
}


def router(live: Live) -> APIRouter:
    """The routes, on an open node."""
    made = make_router("log", "/log")
    node = live.node

    @made.get("/head", responses={200: {"model": shapes.LogHead}}, summary="The newest tree head")
    async def head() -> Response:
        """Size, root and the signed checkpoint."""
        newest = node.reader.head()
        return answer(
            {
                "origin": node.config.origin,
                "size": newest.size,
                "root": newest.root.hex(),
                "time": newest.time,
                "checkpoint": newest.checkpoint.decode(),
            }
        )

    @made.get("/checkpoints", responses={200: {"model": shapes.CheckpointList}}, summary="Kept checkpoints")
    async def checkpoints(
        after: Annotated[Index, Query(description="`next` of the page before: checkpoints of more entries.")] = 0,
        limit: Limit = 100,
    ) -> Response:
        """The checkpoints that the log keeps as marks of time, by size, the newest as the last."""
        return await run_in_threadpool(_checkpoints, live, after, limit)

    @made.get("/entries/{index}", responses={200: {"model": shapes.EntryShape}}, summary="An entry, decoded")
    async def entry(index: Annotated[Whole, Path(ge=0, le=MAX_INDEX)]) -> Response:
        """What a statement says. Its bytes, and proofs, are where `evidence` points."""
        return await run_in_threadpool(_entry, live, index)

    return made


def _checkpoints(live: Live, after: int, limit: int) -> Response:
    items: list[dict[str, Any]] = []
    size = after
    while len(items) <= limit:
        kept = live.node.reader.checkpoint_at_or_after(size + 1)
        if kept is None:
            break
        items.append({"size": kept.size, "time": kept.time, "checkpoint": kept.note.decode()})
        size = kept.size
    return answer({"items": items[:limit], "next": items[limit - 1]["size"] if len(items) > limit else None})


def _entry(live: Live, index: int) -> Response:
    statement = logged(live.node.reader, index)
    return answer(
        {
            "entry": index,
            "kind": kind_of(statement).name,
            "content_type": statement.content_type,
            "iss": statement.issuer,
            "sub": statement.subject,
            "kid": statement.kid.hex(),
            "seq": statement.seq,
            "prev": statement.prev.hex() if statement.prev else None,
            "iat": statement.issued_at,
            "digest": statement.digest.hex(),
            "payload": plain(cbor.decode(statement.payload, what="payload")),
            "evidence": evidence_of(index),
        }
    )
