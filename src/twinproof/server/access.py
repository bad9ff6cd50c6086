"""Who may read what: a rule for each route, checked in one place before its handler runs.

| rule     | lets through                                                                     |
|----------|----------------------------------------------------------------------------------|
| OPEN     | everybody: writing (the signature decides), public keys, whether the node is up  |
| HOLDER   | whoever has a token that holds; the handler shows what its scopes cover          |
| TWIN     | tokens whose scopes cover every `sub` of the query                               |
| TWINS    | the same; a query without `sub` asks for all twins and takes the scope `all`     |
| ENTRY    | tokens whose scopes cover the twin that entry `index` is about                   |
| ALL      | tokens of the scope `all`                                                        |
| OPERATOR | the scope `all`, or a caller on this machine                                     |
| OPERATE  | tokens of the scope `operate`, always; the handler checks which twins they cover |

A route without a rule stops the node from starting. Nothing else decides about reading. A rule for `POST /path`
goes before one for `/path`.

OPERATE takes JSON alone, of this site or of no page at all: a page of another site reaches a port of this machine,
but can show no token, and no browser lets it send JSON unasked.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from twinproof.errors import AccessDenied, Malformed, NotFound, TwinproofError, Unauthenticated
from twinproof.node.config import is_loopback
from twinproof.node.node import WritingNode
from twinproof.node.oidc import Issuer
from twinproof.node.statements import logged
from twinproof.node.tokens import EVERYTHING, OPERATE, ReadScope, TokenFile
from twinproof.proof.checkpoint import parse_decimal
from twinproof.server.denials import DenialLog
from twinproof.server.problems import refusal

PRINCIPAL: Final = "twinproof.principal"
"""Key in the ASGI scope."""
ROUTE: Final = "twinproof.route"
"""Key in the ASGI scope: the path's template, for metrics."""
JSON: Final = "application/json"
_HOST: Final = re.compile(r"(\[[0-9a-f:.]+\]|[^\[\]:]+)(?::[0-9]{1,5})?")
_FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


class Rule(Enum):
    """What a route asks of its caller; the module's table says which is which."""

    OPEN = auto()
    HOLDER = auto()
    TWIN = auto()
    TWINS = auto()
    ENTRY = auto()
    ALL = auto()
    OPERATOR = auto()
    OPERATE = auto()


class Principal(NamedTuple):
    """Who asks."""

    id: str | None
    """A token's id, an issuer's subject, or None where no token is needed."""
    scopes: tuple[ReadScope, ...]
    outside: bool = False
    """Whether an outside issuer names the bearer: then `id` is a text of its choice, and no token of this node."""

    def covers(self, subject: str) -> bool:
        """Whether the twin may be read."""
        return any(scope.covers(subject) for scope in self.scopes)

    @property
    def reads_all(self) -> bool:
        """Whether every twin, now and in future, may be read."""
        return EVERYTHING in self.scopes

    @property
    def operates(self) -> bool:
        """Whether the bearer may act through the node."""
        return OPERATE in self.scopes


ANYBODY: Final = Principal(None, (EVERYTHING,))


def principal_of(connection: HTTPConnection) -> Principal:
    """Whom the gate let in."""
    found: Principal = connection.scope[PRINCIPAL]
    return found


class Access:
    """Finds out who asks, on one node."""

    def __init__(self, node: WritingNode, clock: Callable[[], float] = time.time) -> None:
        settings = node.config.access
        self.open = settings.open is True
        self.open_here = node.config.open_here
        """Callers on this machine need no token."""
        self.clock = clock
        self._node = node
        self._tokens = TokenFile(node.folder, clock)
        self._issuer = Issuer(settings, node.folder, time.monotonic) if settings.issuer else None
        self.denials = DenialLog(node.folder, max_bytes=settings.denied_log_bytes, keep=settings.denied_log_files)

    async def identify(self, connection: HTTPConnection) -> Principal:
        """Who asks; raises `Unauthenticated`."""
        if self.open or (self.open_here and is_here(connection)):
            return ANYBODY
        return await self.bearer(connection)

    async def bearer(self, connection: HTTPConnection) -> Principal:
        """Whose token the request shows; raises `Unauthenticated`, also where reading takes none."""
        shown = connection.headers.getlist("authorization")
        if not shown:
            raise Unauthenticated("this takes a bearer token")
        scheme, _, token = shown[0].partition(" ")
        if len(shown) > 1 or scheme.lower() != "bearer" or not token.isascii():
            raise Unauthenticated("the header authorization is not one bearer token")
        token = token.strip(" ")
        if token.startswith("tp_"):
            known = self._tokens.check(token)
            return Principal(known.id, known.scopes)
        if self._issuer is None:
            raise Unauthenticated("the token is not one of this node")
        subject, scopes = await run_in_threadpool(self._issuer.check, token)
        return Principal(subject, scopes, outside=True)

    async def subject_of(self, index: int) -> str:
        """The twin that an entry is about; raises `NotFound`."""
        return (await run_in_threadpool(logged, self._node.reader, index)).subject


def is_here(connection: HTTPConnection) -> bool:
    """Whether the caller is on this machine itself, and no proxy of somebody else, nor a page that rebinds its name.

    A page whose own name is made to lead to 127.0.0.1 has its browser on this machine, but that name in `Host`.
    """
    client = connection.client
    return (
        client is not None
        and is_loopback(client.host)
        and not any(name in connection.headers for name in _FORWARDED)
        and all(_names_this_machine(host) for host in connection.headers.getlist("host"))
    )


def _names_this_machine(host: str) -> bool:
    found = _HOST.fullmatch(host.lower())
    return found is not None and is_loopback(found[1].strip("[]"))


def check_sender(connection: HTTPConnection) -> None:
    """That a request which acts is JSON, of a page of this site or of no page.

    Raises `Malformed` for the field content-type, `AccessDenied` for a page of another site.
    """
    if connection.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
        raise Malformed("content-type", f"must be {JSON}")
    fetched = connection.headers.get("sec-fetch-site", "none").lower()
    if from_another_site(connection) or fetched not in ("none", "same-origin"):
        raise AccessDenied("a page of another site may not act here")


def from_another_site(connection: HTTPConnection) -> bool:
    """Whether a page of another site asks: a browser lets them send to whatever it reaches (RFC 6454 §7)."""
    origins = connection.headers.getlist("origin")
    return bool(origins) and [*map(_place, origins)] != [connection.headers.get("host", "").lower()]


def _place(origin: str) -> str | None:
    """Host and port of an origin, as a Host header has them; None for what is none, such as `null`."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return None
    return parts.netloc.lower() or None if parts.scheme in ("http", "https") else None


@dataclass(frozen=True, slots=True)
class Gate:
    """ASGI: lets a request through to its route, or refuses it and puts that on record."""

    app: ASGIApp
    path: str
    """The route's template."""
    rule: Rule
    access: Access
    concise: bool
    """Whether the route refuses as the kernel does."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = HTTPConnection(scope)
        scope[ROUTE] = self.path
        principal = ANYBODY
        if self.rule is not Rule.OPEN:
            found: Principal | None = None
            try:
                if self.rule is Rule.OPERATOR and is_here(connection):
                    found = ANYBODY
                elif self.rule is Rule.OPERATE:
                    found = await self.access.bearer(connection)
                    check_sender(connection)
                else:
                    found = await self.access.identify(connection)
                await self._check(connection, found)
            except (Unauthenticated, AccessDenied) as problem:
                await self._refuse(connection, found, problem, receive, send)
                return
            except TwinproofError as problem:
                await refusal(problem, concise=self.concise)(scope, receive, send)
                return
            principal = found
        scope[PRINCIPAL] = principal
        await self.app(scope, receive, send if principal is ANYBODY else self._watched(connection, principal, send))

    def _watched(self, connection: HTTPConnection, principal: Principal, send: Send) -> Send:
        """Keep what a token opened from shared caches (RFC 9111 §3.5); put on record what a handler denies."""

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    (name, value.replace(b"public", b"private") if name.lower() == b"cache-control" else value)
                    for name, value in message["headers"]
                ]
                if message["status"] in (401, 403):
                    denied = AccessDenied("the request asks for more than the token covers")
                    await self._put_on_record(connection, principal, denied, message["status"])
            await send(message)

        return sending

    async def _check(self, connection: HTTPConnection, principal: Principal) -> None:
        if self.rule is Rule.OPERATE:
            if not principal.operates:
                raise AccessDenied(
                    "acting takes a token of the scope operate; twinproof console prints a link with one"
                )
            return
        if principal.reads_all or self.rule is Rule.HOLDER:
            return
        if self.rule in (Rule.TWIN, Rule.TWINS):
            subjects = connection.query_params.getlist("sub")
            # Without one, TWIN's handler refuses the request, and says what is missing.
            if self.rule is Rule.TWINS and not subjects:
                raise AccessDenied("the token does not cover all twins: name those to read as sub")
            if not all(map(principal.covers, subjects)):
                raise AccessDenied("the token does not cover this twin")
        elif self.rule is Rule.ENTRY:
            # What is no index, or not there, is the handler's to say: how many entries there are is no secret.
            with suppress(Malformed, NotFound):
                index = parse_decimal(connection.path_params["index"], "entry")
                if not principal.covers(await self.access.subject_of(index)):
                    raise AccessDenied("the token does not cover the twin that this entry is about")
        else:
            raise AccessDenied("this takes a token of the scope all")

    async def _put_on_record(
        self, connection: HTTPConnection, principal: Principal | None, problem: TwinproofError, status: int
    ) -> None:
        await run_in_threadpool(
            self.access.denials.write,
            self.access.clock(),
            client=connection.client.host if connection.client else None,
            method=connection.scope.get("method"),
            route=self.path,
            twin=" ".join(connection.query_params.getlist("sub")) or None,
            entry=connection.path_params.get("index"),
            status=status,
            code=problem.code,
            reason=str(problem),
            token=principal.id if principal else None,
        )

    async def _refuse(
        self,
        connection: HTTPConnection,
        principal: Principal | None,
        problem: Unauthenticated | AccessDenied,
        receive: Receive,
        send: Send,
    ) -> None:
        status = 401 if isinstance(problem, Unauthenticated) else 403
        await self._put_on_record(connection, principal, problem, status)
        if connection.scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": problem.code})
            return
        error = "" if "authorization" not in connection.headers else ', error="invalid_token"'
        challenge = 'Bearer realm="twinproof"' + (', error="insufficient_scope"' if status == 403 else error)
        headers = {"www-authenticate": challenge}
        await refusal(problem, concise=self.concise, headers=headers)(connection.scope, receive, send)


KERNEL_RULES: Final[Mapping[str, Rule]] = {
    "/entries": Rule.OPEN,
    "/entries/batch": Rule.OPEN,
    "/entries/{index}": Rule.ENTRY,
    "/entries/{index}/statement": Rule.ENTRY,
    "/entries/{index}/transparent": Rule.ENTRY,
    "/entries/{index}/tlog-proof": Rule.ENTRY,
    # Part of writing: a signer that lost its record needs number and digest to go on. It tells nothing else.
    "/streams": Rule.OPEN,
    "/bundle": Rule.TWIN,
    # A model tells of all twins that it learnt from.
    "/blobs/{digest}": Rule.ALL,
    "/checkpoint": Rule.HOLDER,
    "/tile/{path:path}": Rule.ALL,
    "/.well-known/scitt-keys": Rule.OPEN,
    "/.well-known/scitt-keys/{kid}": Rule.OPEN,
    "/health": Rule.OPEN,
}
"""Of `app.Endpoints`."""
