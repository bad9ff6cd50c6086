"""How the node's chain side stands: anchoring, events, orders."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from twinproof.node.live import Live
from twinproof.server import shapes
from twinproof.server.access import Rule
from twinproof.server.api.routing import PREFIX, make_router
from twinproof.server.forms import answer

RULES = {f"{PREFIX}/chain": Rule.HOLDER}


def router(live: Live) -> APIRouter:
    """The route, on an open node."""
    made = make_router("chain", "")

    @made.get("/chain", responses={200: {"model": shapes.ChainStatus}}, summary="How the log is anchored")
    async def chain() -> Response:
        """The newest anchor and what is due, as of the last look at the chain; `chain` is null if there is none."""
        return await run_in_threadpool(_chain, live)

    return made


def _chain(live: Live) -> Response:
    side = live.chain
    if side is None:
        return answer({"chain": None})
    report, events, relay = side.anchoring.report, side.events, side.relay
    named = {name: f"0x{address.hex()}" for name, address in side.contracts.addresses.items()}
    anchoring: dict[str, Any] = {
        "size": report.size,
        "time": report.time or None,
        "block": report.block or None,
        "count": report.count,
        "behind_entries": report.behind_entries,
        "behind_seconds": report.behind_seconds,
        "spent_wei": str(report.spent),
        "due": report.due,
        "pending": report.pending,
        "forked": report.forked,
        "problem": report.problem or None,
    }
    status = {
        "chain_id": side.contracts.chain_id,
        "account": f"0x{side.sender.address.hex()}",
        "log_id": f"0x{side.contracts.log_id.hex()}",
        "contracts": named,
        "anchoring": anchoring,
        "events": events
        and {
            "next_block": events.reached,
            "stated": events.stated,
            "retracted": events.retracted,
            "refused": events.refused,
            "waiting": events.waiting,
            "problem": str(events.problem) if events.problem else None,
        },
        "relay": relay
        and {
            "open": relay.open_cases,
            "decisions": dict(relay.decisions),
            "problem": str(relay.problem) if relay.problem else None,
        },
    }
    return answer({"chain": status})
