"""A chain's JSON-RPC over HTTP: POST / with application/json, for wallets, explorers and `twinproof`'s own driver.

Anybody who reaches the port may read everything and send signed transactions; there are no accounts here. Because
browsers reach loopback ports too, a request must name this machine in `Host` (a page that rebinds its own name to
127.0.0.1 does not), and one that comes from a page (`Origin`) is refused unless that origin was allowed.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from twinproof.chain.embedded import EmbeddedChain, Genesis
from twinproof.chain.jsonrpc import INTERNAL, MAX_REQUEST, answer
from twinproof.chain.model import Chain
from twinproof.server.protocol import HEAD_SECONDS, BoundedProtocol
from twinproof.server.run import BACKLOG, GRACE, Server, listen

BODY_SECONDS: Final = 30
"""Until a request's body must have arrived."""
MAX_RUNNING: Final = 16
"""Requests that are worked on at once; the others wait."""
_HOST: Final = re.compile(r"(\[[0-9a-f:.]+\]|[^\[\]:]+)(?::[0-9]{1,5})?")


class _Endpoint:
    def __init__(self, chain: Chain, hosts: Collection[str], origins: Collection[str]) -> None:
        self._chain = chain
        self._hosts = {"localhost", *(host.lower() for host in hosts)}
        self._origins = frozenset(origins)
        self._running = asyncio.Semaphore(MAX_RUNNING)

    async def handle(self, request: Request) -> Response:
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        headers = self._cross_origin(request)
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=headers)
        if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
            return PlainTextResponse("send application/json\n", 415, headers)
        try:
            body = await self._body(request)
        except TimeoutError:
            return PlainTextResponse(f"the body did not arrive within {BODY_SECONDS} s\n", 408, {"connection": "close"})
        except ClientDisconnect:
            return Response(status_code=400)
        if body is None:
            return PlainTextResponse(f"over {MAX_REQUEST} bytes\n", 413, {**headers, "connection": "close"})
        async with self._running:
            # Shielded: a client that hangs up must not cancel a transaction half way.
            found = await asyncio.shield(run_in_threadpool(answer, self._chain, body))
        if found is None:
            return Response(status_code=204, headers=headers)
        return Response(found, media_type="application/json", headers=headers)

    def _refusal(self, request: Request) -> Response | None:
        host = _host_name(request.headers.get("host", ""))
        if host not in self._hosts and not _is_address(host):
            return PlainTextResponse("this Host is not served here\n", 403)
        origin = request.headers.get("origin")
        if origin is not None and "*" not in self._origins and origin not in self._origins:
            return PlainTextResponse("pages of this origin are not let in\n", 403)
        if request.method not in ("POST", "OPTIONS"):
            return PlainTextResponse("JSON-RPC 2.0 by POST\n", 405, {"allow": "POST, OPTIONS"})
        return None

    def _cross_origin(self, request: Request) -> dict[str, str]:
        origin = request.headers.get("origin")
        if origin is None:
            return {}
        return {
            "access-control-allow-origin": origin,
            "access-control-allow-methods": "POST",
            "access-control-allow-headers": "content-type",
            "access-control-max-age": "600",
            "vary": "origin",
        }

    async def _body(self, request: Request) -> bytes | None:
        parts: list[bytes] = []
        size = 0
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                size += len(part)
                if size > MAX_REQUEST:
                    return None
                parts.append(part)
        return b"".join(parts)


def _host_name(header: str) -> str:
    """Without the port; empty if it is neither a name nor an address."""
    found = _HOST.fullmatch(header.lower())
    return found[1] if found else ""


def _is_address(host: str) -> bool:
    # A name can be rebound to this machine by whoever owns it; an address cannot.
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


async def _defect(request: Request, error: Exception) -> Response:
    # What happened is in the log: the server re-raises it there.
    error_body = {"code": INTERNAL, "message": "a defect of the node; its log says more"}
    return JSONResponse({"jsonrpc": "2.0", "id": None, "error": error_body}, 500)


def make_chain_app(chain: Chain, *, hosts: Collection[str] = (), origins: Collection[str] = ()) -> Starlette:
    """The ASGI application on an open chain, which the caller closes.

    `hosts`: names of this machine besides localhost and addresses. `origins`: pages that may ask ("*": all).
    """
    endpoint = _Endpoint(chain, hosts, origins)
    methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    app = Starlette(
        routes=[Route("/", endpoint.handle, methods=methods)],
        exception_handlers={500: _defect},
    )
    app.router.redirect_slashes = False
    return app


def serve_chain(
    path: Path,
    host: str,
    port: int,
    *,
    genesis: Genesis | None = None,
    hosts: Collection[str] = (),
    origins: Collection[str] = (),
    on_ready: Callable[[str], None] = lambda url: None,
    access_log: bool = False,
) -> None:
    """Serve the chain in a file until SIGINT or SIGTERM; requests under way are finished. Port 0 takes a free one.

    Raises `ConfigError` if the address cannot be had, and as `EmbeddedChain.open`.
    """
    with EmbeddedChain.open(path, genesis=genesis) as chain:
        listener = listen(host, port)
        config = uvicorn.Config(
            make_chain_app(chain, hosts=(*hosts, host), origins=origins),
            http=BoundedProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="info" if access_log else "warning",
            access_log=access_log,
            server_header=False,
            timeout_graceful_shutdown=GRACE,
            timeout_keep_alive=HEAD_SECONDS,
            backlog=BACKLOG,
        )
        try:
            Server(config, on_ready).run([listener])
        finally:
            listener.close()
