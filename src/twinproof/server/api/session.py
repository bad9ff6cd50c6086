"""Who asks and what they may do, and whose node this is: the first that the console wants to know."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from twinproof import __version__
from twinproof.errors import Unauthenticated
from twinproof.node.live import Live
from twinproof.node.node import POLICY
from twinproof.server import console_shapes as shapes
from twinproof.server.access import Access, Principal, Rule, is_here
from twinproof.server.api.routing import PREFIX, make_router
from twinproof.server.forms import answer

RULES = {f"{PREFIX}/session": Rule.OPEN}


def router(live: Live, access: Access) -> APIRouter:
    """The route, on an open node."""
    made = make_router("session")

    @made.get("/session", responses={200: {"model": shapes.Session}}, summary="Who asks, and whose node this is")
    async def session(request: Request) -> Response:
        """Open to all. A token that does not hold is answered as if there were none."""
        bearer: Principal | None = None
        if "authorization" in request.headers:
            with suppress(Unauthenticated):
                bearer = await access.bearer(request)
        free = access.open or (access.open_here and is_here(request))
        return await run_in_threadpool(_session, live, bearer, free)

    return made


def _session(live: Live, bearer: Principal | None, free: bool) -> Response:
    node, settings = live.node, live.node.config.access
    scopes = dict.fromkeys([*(["all"] if free else []), *map(str, bearer.scopes if bearer else ())])
    oidc: dict[str, Any] | None = None
    if settings.client_id:
        oidc = {"issuer": settings.issuer, "client_id": settings.client_id, "audience": settings.audience}
    try:
        policy = (node.folder / POLICY).read_text()
    except (OSError, UnicodeDecodeError):
        policy = None
    return answer(
        {
            "signed_in": bearer is not None,
            "id": bearer.id if bearer else None,
            "scopes": list(scopes),
            "operates": bearer is not None and bearer.operates,
            "origin": node.config.origin,
            "version": __version__,
            "operator": node.intake.authority.root.terms.issuer,
            "log_keys": [str(signer.verifier) for signer in node.signers],
            "policy": policy,
            "chain": live.chain and {"chain_id": live.chain.contracts.chain_id},
            "sign_in": {"token": True, "oidc": oidc},
        }
    )
