"""The log itself: its head, kept checkpoints, entries decoded; its growth, witnesses and anchors; a check of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Path, Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from twinproof.errors import TwinproofError
from twinproof.node.anchor_heads import AnchoredHeads
from twinproof.node.checking import CheckReport, LogCheck
from twinproof.node.live import Live
from twinproof.node.statements import logged
from twinproof.node.witnessed import witnesses_of
from twinproof.proof import cbor
from twinproof.proof.note import encode_base64
from twinproof.server import console_shapes, shapes
from twinproof.server.access import Rule, principal_of
from twinproof.server.api.routing import PREFIX, make_router
from twinproof.server.forms import answer, evidence_of, plain
from twinproof.server.parameters import MAX_INDEX, Index, Limit, Whole
from twinproof.twin.kinds import kind_of

if TYPE_CHECKING:
    from twinproof.chain.model import Chain

CHECK = f"{PREFIX}/log/check"
RULES = {
    f"{PREFIX}/log/head": Rule.HOLDER,
    f"{PREFIX}/log/checkpoints": Rule.HOLDER,
    f"{PREFIX}/log/entries/{{index}}": Rule.ENTRY,
    f"{PREFIX}/log/growth": Rule.HOLDER,
    f"{PREFIX}/log/witnesses": Rule.HOLDER,
    f"{PREFIX}/log/anchors": Rule.HOLDER,
    f"{PREFIX}/log/consistency": Rule.HOLDER,
    CHECK: Rule.HOLDER,
    f"POST {CHECK}": Rule.OPERATE,
}
MAX_POINTS = 2000


def router(live: Live, heads: AnchoredHeads, check: LogCheck) -> APIRouter:
    """The routes, on an open node."""
    made = make_router("log", "/log")
    _add_marks(made, live, heads)
    _add_check(made, check)
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


def _add_marks(made: APIRouter, live: Live, heads: AnchoredHeads) -> None:
    fees: dict[bytes, tuple[int, int]] = {}

    @made.get("/growth", responses={200: {"model": console_shapes.LogGrowth}}, summary="How the log grew")
    async def growth(
        n: Annotated[Whole, Query(ge=2, le=MAX_POINTS, description="At most so many points.")] = 200,
    ) -> Response:
        """Size by time, from kept checkpoints: the first, the newest, and between them every so many."""
        return await run_in_threadpool(_growth, live, n)

    @made.get("/witnesses", responses={200: {"model": console_shapes.WitnessList}}, summary="Who cosigned")
    async def witnesses() -> Response:
        """Witnesses that the node's policy names or whose signatures stand under kept checkpoints."""
        return await run_in_threadpool(_witnesses, live)

    @made.get("/anchors", responses={200: {"model": console_shapes.AnchorList}}, summary="Anchors, the newest first")
    async def anchors(
        after: Annotated[
            Index | None, Query(description="`next` of the page before: anchors of fewer entries.")
        ] = None,
        limit: Limit = 100,
    ) -> Response:
        """Heads of the log that blocks record, each size once, with what the transactions cost."""
        return await run_in_threadpool(_anchors, live, heads, fees, after, limit)

    @made.get(
        "/consistency", responses={200: {"model": console_shapes.Consistency}}, summary="That one tree extends another"
    )
    async def consistency(
        from_: Annotated[Index, Query(alias="from", description="Entries of the smaller tree.")],
        to: Annotated[Index, Query(description="Entries of the larger tree.")],
    ) -> Response:
        """Both roots and the proof between them (RFC 9162 §2.1.4)."""
        return await run_in_threadpool(_consistency, live, from_, to)


def _add_check(made: APIRouter, check: LogCheck) -> None:
    shape = {"model": console_shapes.LogCheckReport}

    @made.get("/check", responses={200: shape}, summary="How the newest check stands")
    async def report(request: Request) -> Response:
        """How far a check of the whole log is, and what the last one found; findings are for the scope `all`."""
        return _check(check.report, findings=principal_of(request).reads_all)

    @made.post("/check", status_code=202, responses={202: shape}, summary="Check the whole log")
    async def begin(request: Request, question: console_shapes.Nothing) -> Response:
        """Derive everything from the raw entries again, in the background, as `twinproof fsck`; one runs at a time."""
        check.start()
        response = _check(check.report, findings=principal_of(request).reads_all)
        response.status_code = 202
        return response


def _check(report: CheckReport, *, findings: bool) -> Response:
    kept = [{"kind": one.kind, "where": one.where, "problem": one.problem} for one in report.findings]
    return answer(
        {
            "running": report.running,
            "done": report.done,
            "total": report.total,
            "started": report.started,
            "ended": report.ended,
            "sound": report.sound,
            "found": report.found,
            "findings": kept if findings else None,
            "problem": report.problem,
        }
    )


def _consistency(live: Live, old: int, new: int) -> Response:
    reader = live.node.reader
    proof = reader.consistency(old, new)
    roots = {"from_root": encode_base64(reader.root(old)), "to_root": encode_base64(reader.root(new))}
    return answer({"from": old, "to": new, **roots, "proof": [encode_base64(step) for step in proof]})


def _growth(live: Live, n: int) -> Response:
    kept = live.node.reader.checkpoints()
    # The ends always, and others evenly between: what is left out is the same at each call.
    chosen = kept if len(kept) <= n else [kept[number * (len(kept) - 1) // (n - 1)] for number in range(n)]
    return answer({"points": [{"time": one.time, "size": one.size} for one in chosen]})


def _witnesses(live: Live) -> Response:
    items = [
        {
            "name": one.name,
            "key_id": one.key_id.hex(),
            "key": str(one.key) if one.key else None,
            "size": one.size,
            "time": one.time,
            "problem": one.problem,
        }
        for one in witnesses_of(live.node)
    ]
    return answer({"items": items})


def _anchors(
    live: Live, heads: AnchoredHeads, fees: dict[bytes, tuple[int, int]], after: int | None, limit: int
) -> Response:
    found = heads.newest(after, limit + 1)
    items: list[dict[str, Any]] = []
    chain: Chain | None = live.chain.chain if live.chain is not None else None
    for head in found[:limit]:
        cost = fees.get(head.transaction)
        if cost is None and chain is not None:
            try:
                cost = _cost(chain, fees, head.transaction)
            except TwinproofError:
                # One that is away is not waited for once an anchor.
                chain = None
        items.append(
            {
                "size": head.size,
                "root": head.root.hex(),
                "time": head.time,
                "block": head.block_number,
                "transaction": f"0x{head.transaction.hex()}",
                "gas": cost and cost[0],
                "fee_wei": cost and str(cost[0] * cost[1]),
            }
        )
    return answer(
        {"chain_id": heads.chain_id, "items": items, "next": items[-1]["size"] if len(found) > limit else None}
    )


def _cost(chain: Chain, fees: dict[bytes, tuple[int, int]], transaction: bytes) -> tuple[int, int] | None:
    """Gas and its price; None where the chain has forgotten."""
    receipt = chain.receipt(transaction)
    if receipt is not None:
        fees[transaction] = receipt.gas_used, receipt.gas_price
    return fees.get(transaction)


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
