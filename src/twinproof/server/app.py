"""The HTTP surface: SCRAPI, batch intake, C2SP tiles, evidence. docs/http.md lists it for users.

| request                                 | answer                                                    |
|-----------------------------------------|-----------------------------------------------------------|
| POST /entries                           | 201 + receipt, Location (200 if it was there)             |
| GET  /entries/{index}                   | receipt                                                   |
| GET  /entries/{index}/statement         | the logged bytes                                          |
| GET  /entries/{index}/transparent       | statement with receipt                                    |
| GET  /entries/{index}/tlog-proof        | C2SP tlog-proof                                           |
| POST /entries/batch[?receipts=1]        | outcome of each statement of a CBOR sequence, checkpoint  |
| GET  /streams?iss=…&sub=…               | head of a stream                                          |
| GET  /bundle?sub=…[&models=1]           | history bundle of a twin                                  |
| GET  /blobs/{digest}                    | what statements name by digest, such as models            |
| GET  /checkpoint, /tile/…               | C2SP tlog-tiles                                           |
| GET  /.well-known/scitt-keys[/{kid}]    | COSE keys of the receipts                                 |
| GET  /health                            | 200 while statements are taken, else 503                  |

Every GET answers HEAD too. Refusals are RFC 9290 problem details (`answers`).
"""

from __future__ import annotations

import asyncio
import re
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable
from functools import partial, wraps
from time import monotonic
from typing import Final, TypeVar

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from twinproof import __version__
from twinproof.errors import InternalError, Malformed, NotFound, Overloaded, TooLarge, TwinproofError
from twinproof.node.intake import Accepted, Outcome
from twinproof.node.node import WritingNode
from twinproof.proof import cbor, tiles
from twinproof.proof.checkpoint import parse_decimal
from twinproof.server.access import KERNEL_RULES, Access, Gate
from twinproof.server.answers import CBOR, CBOR_SEQUENCE, COSE, batch, problem
from twinproof.server.limits import RateLimit
from twinproof.server.sending import LargeAnswers
from twinproof.twin.evidence import MEDIA_TYPE
from twinproof.twin.statement import MAX_STATEMENT, check_iri, shown

OCTETS: Final = "application/octet-stream"
_DIGEST = re.compile(r"[0-9a-f]{64}")

IMMUTABLE: Final = "public, max-age=31536000, immutable"
T = TypeVar("T")
Handler = Callable[["Endpoints", Request], Awaitable[Response]]


def answered(handler: Handler) -> Handler:
    """Turn refusals into problem responses."""

    @wraps(handler)
    async def guarded(self: Endpoints, request: Request) -> Response:
        try:
            return await handler(self, request)
        except TwinproofError as error:
            return problem(error)
        except TimeoutError:
            slow = Malformed("body", f"did not arrive within {self.limits.body_seconds} s")
            return problem(slow, status=408, title="Request Timeout", headers={"connection": "close"})
        except ClientDisconnect:
            return Response(status_code=400)

    return guarded


class Endpoints:
    """The handlers, on one node."""

    def __init__(self, node: WritingNode, clock: Callable[[], float]) -> None:
        self.node = node
        limits = node.config.limits
        self.limits = limits
        self.rate = RateLimit(limits.rate, limits.burst, clock)
        self.large = LargeAnswers()
        self.held_bytes = 0
        """Of bodies that are still arriving."""

    def routes(self) -> list[Route]:
        """All routes, the fixed ones before the patterns."""
        get = ["GET"]
        return [
            Route("/entries", self.register, methods=["POST"]),
            Route("/entries/batch", self.register_batch, methods=["POST"]),
            Route("/entries/{index}", self.receipt, methods=get),
            Route("/entries/{index}/statement", self.statement, methods=get),
            Route("/entries/{index}/transparent", self.transparent, methods=get),
            Route("/entries/{index}/tlog-proof", self.tlog_proof, methods=get),
            Route("/streams", self.stream, methods=get),
            Route("/bundle", self.bundle, methods=get),
            Route("/blobs/{digest}", self.blob, methods=get),
            Route("/checkpoint", self.checkpoint, methods=get),
            Route("/tile/{path:path}", self.tile, methods=get),
            Route("/.well-known/scitt-keys", self.keys, methods=get),
            Route("/.well-known/scitt-keys/{kid}", self.key, methods=get),
            Route("/health", self.health, methods=get),
        ]

    # --- writing ---

    @answered
    async def register(self, request: Request) -> Response:
        raw = await self._body(request, COSE, MAX_STATEMENT)
        (outcome,) = await self._submit(request, [raw])
        if not isinstance(outcome, Accepted):
            return problem(outcome)
        receipt = await run_in_threadpool(self.node.evidence.receipt, outcome.index)
        headers = {"location": f"/entries/{outcome.index}"}
        return Response(receipt, 201 if outcome.new else 200, headers, COSE)

    @answered
    async def register_batch(self, request: Request) -> Response:
        with_receipts = _flag(request, "receipts")
        body = await self._body(request, CBOR_SEQUENCE, self.limits.max_request_bytes)
        raws = cbor.decode_sequence(body, what="batch", limit=self.limits.max_batch)
        if not raws:
            raise Malformed("batch", "holds no statement")
        outcomes = await self._submit(request, raws)
        receipt_of = self.node.evidence.receipt if with_receipts else None
        checkpoint = self.node.reader.head().checkpoint
        body = await run_in_threadpool(batch, checkpoint, outcomes, receipt_of)
        return Response(body, media_type=CBOR)

    async def _submit(self, request: Request, raws: list[bytes]) -> list[Outcome]:
        self.rate.take(request.client.host if request.client else "", len(raws))
        # Shielded: a client that hangs up must not cancel what is being made durable.
        return await asyncio.shield(asyncio.wrap_future(self.node.intake.submit(raws)))

    async def _body(self, request: Request, media_type: str, limit: int) -> bytes:
        if request.headers.get("content-type", "").split(";")[0].strip().lower() != media_type:
            raise Malformed("content-type", f"must be {media_type}")
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self.limits.body_seconds):
                async for part in request.stream():
                    size += len(part)
                    self.held_bytes += len(part)
                    if size > limit:
                        raise TooLarge("body", f"over {limit} bytes")
                    if self.held_bytes > self.limits.queue_bytes and self.held_bytes > size:
                        raise Overloaded("too many bytes are arriving already; send again later", 1)
                    parts.append(part)
        finally:
            self.held_bytes -= size
        return b"".join(parts)

    # --- reading ---

    @answered
    async def receipt(self, request: Request) -> Response:
        return await self._evidence(request, self.node.evidence.receipt, COSE)

    @answered
    async def statement(self, request: Request) -> Response:
        response = await self._evidence(request, self.node.reader.entry, COSE)
        response.headers["cache-control"] = IMMUTABLE
        return response

    @answered
    async def transparent(self, request: Request) -> Response:
        return await self._evidence(request, self.node.evidence.transparent, COSE)

    @answered
    async def tlog_proof(self, request: Request) -> Response:
        return await self._evidence(request, self.node.evidence.tlog_proof, "text/plain; charset=utf-8")

    async def _evidence(self, request: Request, make: Callable[[int], bytes], media_type: str) -> Response:
        index = parse_decimal(request.path_params["index"], "entry")
        return Response(await run_in_threadpool(make, index), media_type=media_type)

    @answered
    async def stream(self, request: Request) -> Response:
        issuer = check_iri(request.query_params.get("iss"), "iss")
        subject = check_iri(request.query_params.get("sub"), "sub")
        head = await run_in_threadpool(self.node.intake.stream_head, issuer, subject)
        if head is None:
            raise NotFound(f"{issuer} has said nothing about {subject}")
        return Response(cbor.encode({"seq": head.seq, "digest": head.digest}), media_type=CBOR)

    @answered
    async def bundle(self, request: Request) -> Response:
        subject = check_iri(request.query_params.get("sub"), "sub")
        models = _flag(request, "models")
        make = partial(self.node.evidence.bundle, subject, f"twinproof {__version__}", models=models)
        return await self.large.make(make, MEDIA_TYPE)

    @answered
    async def blob(self, request: Request) -> Response:
        digits = request.path_params["digest"]
        if not _DIGEST.fullmatch(digits):
            raise Malformed("digest", "not 64 lower-case hexadecimal digits")
        return await self.large.make(partial(self.node.blobs.get, bytes.fromhex(digits)), OCTETS)

    @answered
    async def checkpoint(self, request: Request) -> Response:
        headers = {"cache-control": "public, max-age=1"}
        return PlainTextResponse(self.node.reader.head().checkpoint, headers=headers)

    @answered
    async def tile(self, request: Request) -> Response:
        try:
            tile = tiles.parse_path(f"tile/{request.path_params['path']}")
        except Malformed as error:
            return problem(error, status=404, title="Not Found")
        read = partial(self.node.reader.tile_bytes, tile)
        if tile.level == tiles.ENTRIES:  # 256 entries, each up to 60 KiB
            response = await self.large.make(read, "application/octet-stream")
        else:
            response = Response(await run_in_threadpool(read), media_type="application/octet-stream")
        response.headers["cache-control"] = IMMUTABLE
        return response

    @answered
    async def keys(self, request: Request) -> Response:
        return Response(cbor.encode([self._cose_key()]), media_type=CBOR)

    @answered
    async def key(self, request: Request) -> Response:
        wanted = request.path_params["kid"]
        kid = self.node.receipt_key.thumbprint
        if wanted not in (kid.hex(), urlsafe_b64encode(kid).rstrip(b"=").decode()):
            return problem(NotFound("this log has no such key"), title="No such key")
        return Response(cbor.encode(self._cose_key()), media_type=CBOR)

    def _cose_key(self) -> dict[int | str, cbor.Value]:
        key = self.node.receipt_key
        return {**key.cose_key, 2: key.thumbprint, 3: key.algorithm}

    @answered
    async def health(self, request: Request) -> Response:
        size = await run_in_threadpool(self.node.intake.require_ready)
        return JSONResponse({"origin": self.node.config.origin, "size": size})


def _flag(request: Request, name: str) -> bool:
    value = request.query_params.get(name, "0")
    if value not in ("0", "1"):
        raise Malformed(name, "must be 0 or 1")
    return value == "1"


async def _not_found(request: Request, error: Exception) -> Response:
    path = str(request.scope["path"])
    return problem(NotFound(f"no {shown(path)} here; the routes are in docs/http.md"))


async def _wrong_method(request: Request, error: Exception) -> Response:
    path = str(request.scope["path"])
    headers = error.headers if isinstance(error, HTTPException) else None
    wrong = Malformed("method", f"{shown(request.method)} is not for {shown(path)}")
    return problem(wrong, status=405, title="Method Not Allowed", headers=headers)


async def _defect(request: Request, error: Exception) -> Response:
    # What happened is in the log: the server re-raises it there.
    return problem(InternalError("a defect of the node; its log says more"))


def make_app(node: WritingNode, clock: Callable[[], float] = monotonic, *, access: Access | None = None) -> Starlette:
    """The ASGI application on an open node; the caller closes the node. `clock`, in seconds, is for rates.

    Without `access` anybody may read.
    """
    handlers = {404: _not_found, 405: _wrong_method, 500: _defect}
    routes = Endpoints(node, clock).routes()
    for route in routes:
        # Starlette's patterns end in `$`, which lets a line feed stand behind the path.
        route.path_regex = re.compile(route.path_regex.pattern.removesuffix("$") + r"\Z")
        if access is not None:
            route.app = Gate(route.app, route.path, KERNEL_RULES[route.path], access, concise=True)
    app = Starlette(routes=routes, exception_handlers=handlers)
    app.router.redirect_slashes = False
    return app
