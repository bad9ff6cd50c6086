"""Subscriptions over HTTP: server-sent events, and a WebSocket that lets the filter be changed.

| request                   | answer                                                                             |
|---------------------------|------------------------------------------------------------------------------------|
| GET /api/v1/events?…      | text/event-stream; an event's id is the log index that Last-Event-ID resumes after |
| WS  /api/v1/events/ws?…   | each message is a JSON array of events; a message to the node is a new filter      |

The query is that of `events_request`, the events are those of `events_stream`. docs/subscriptions.md is
for users.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from twinproof.errors import AccessDenied, Malformed, Overloaded, TwinproofError, Unauthenticated
from twinproof.server.access import from_another_site
from twinproof.server.events import GOODBYE, Hub
from twinproof.server.events_request import LAST_EVENT_ID, Wish, wish_of_message, wish_of_query
from twinproof.server.events_stream import Identify, Message, Reader, Stalled, Stream, abort_of, allowed_for, start_of
from twinproof.server.problems import problem_json

EVENTS: Final = "/api/v1/events"
EVENTS_WS: Final = "/api/v1/events/ws"
RETRY_MS: Final = 2000
"""When a browser comes back after a lost connection."""
# The connection is not for another request: it may have to be cut.
_HEADERS: Final = {"cache-control": "no-store", "connection": "close", "x-accel-buffering": "no"}

# RFC 6455 §7.4 and its registry.
RESTART: Final = 1012
POLICY: Final = 1008
FAILED: Final = 1011


class Everybody:
    """The reader of a node without access rules."""

    reads_all = True

    def covers(self, subject: str) -> bool:
        """Everything."""
        return True


async def anybody(connection: HTTPConnection) -> Reader:
    """An `Identify` that asks for nothing."""
    return Everybody()


def event_routes(hub: Hub, identify: Identify = anybody) -> list[BaseRoute]:
    """The two routes; call `hub.stop()` when the server begins to shut down."""
    return [
        Route(EVENTS, endpoint=ServerSentEvents(hub, identify), methods=["GET"]),
        WebSocketRoute(EVENTS_WS, endpoint=EventSocket(hub, identify)),
    ]


def refused(problem: TwinproofError) -> Response:
    """The answer to a subscription that is not taken."""
    status = {Unauthenticated: 401, AccessDenied: 403}.get(type(problem))
    headers = {"www-authenticate": 'Bearer realm="twinproof"'} if status == 401 else None
    return problem_json(problem, status=status, headers=headers)


def _client(connection: HTTPConnection) -> str:
    return connection.client.host if connection.client else ""


async def _until_either(*works: Coroutine[Any, Any, Any]) -> None:
    """Run until one of them ends, then end the others; raises what the one that ended raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


# --- server-sent events -------------------------------------------------------------------------


def format_sse(message: Message) -> bytes:
    """One event of a text/event-stream (HTML Living Standard §9.2); JSON holds no line ends."""
    parts = [] if message.after is None else [b"id: %d\n" % message.after]
    if message.type != "entry":
        parts.append(b"event: " + message.type.encode() + b"\n")
    parts += (b"data: ", message.data, b"\n\n")
    return b"".join(parts)


class ServerSentEvents:
    """ASGI endpoint."""

    def __init__(self, hub: Hub, identify: Identify) -> None:
        self._hub = hub
        self._identify = identify

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = HTTPConnection(scope)
        try:
            wish = wish_of_query(connection.query_params.multi_items(), connection.headers.get(LAST_EVENT_ID))
            allowed = allowed_for(await self._identify(connection), wish)
            start = start_of(self._hub, wish)
            if scope["method"] == "HEAD":
                await Response(None, 200, _HEADERS, "text/event-stream")(scope, receive, send)
                return
            with self._hub.subscribed(_client(connection), wish.filter, start, allowed) as subscriber:
                stream = Stream(self._hub, subscriber, wish, connection, self._identify, _sse_writer(send))
                await _serve(stream, scope, receive, send)
        except TwinproofError as problem:
            await refused(problem)(scope, receive, send)


def _sse_writer(send: Send) -> Any:
    async def write(messages: list[Message]) -> None:
        body = b"".join(map(format_sse, messages))
        await send({"type": "http.response.body", "body": body, "more_body": True})

    return write


async def _serve(stream: Stream, scope: Scope, receive: Receive, send: Send) -> None:
    headers = [(b"content-type", b"text/event-stream"), *((k.encode(), v.encode()) for k, v in _HEADERS.items())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"retry: %d\n\n" % RETRY_MS, "more_body": True})

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    async def told() -> None:
        await stream.run()
        # Before the last piece, which may have to wait for a client that does not read.
        abort_of(scope)(GOODBYE)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    try:
        await _until_either(told(), gone())
    except Stalled:
        abort_of(scope)(0)
        await gone()


# --- WebSocket ----------------------------------------------------------------------------------


class EventSocket:
    """ASGI endpoint."""

    def __init__(self, hub: Hub, identify: Identify) -> None:
        self._hub = hub
        self._identify = identify

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        socket = WebSocket(scope, receive, send)
        try:
            _check_origin(socket)
            wish = wish_of_query(socket.query_params.multi_items())
            allowed = allowed_for(await self._identify(socket), wish)
            start = start_of(self._hub, wish)
            with self._hub.subscribed(_client(socket), wish.filter, start, allowed) as subscriber:
                await socket.accept()

                async def write(messages: list[Message]) -> None:
                    data = b",".join(message.data for message in messages)
                    await socket.send_text(f"[{data.decode()}]")

                stream = Stream(self._hub, subscriber, wish, socket, self._identify, write)
                await self._serve(socket, stream)
        except TwinproofError as problem:
            await socket.send_denial_response(refused(problem))

    async def _serve(self, socket: WebSocket, stream: Stream) -> None:
        async def told() -> None:
            problem = await stream.run()
            abort_of(socket.scope)(GOODBYE)
            await socket.close(_close_code(problem), problem.code)

        try:
            await _until_either(told(), _listen(socket, stream))
        except WebSocketDisconnect:
            pass
        except Stalled:
            abort_of(socket.scope)(0)


def _check_origin(socket: WebSocket) -> None:
    """Refuse pages of other sites (RFC 6455 §10.2)."""
    if from_another_site(socket):
        raise AccessDenied("a page of another site may not subscribe")


def _close_code(problem: TwinproofError) -> int:
    if isinstance(problem, Overloaded):
        return RESTART
    return POLICY if isinstance(problem, Unauthenticated | AccessDenied | Malformed) else FAILED


async def _listen(socket: WebSocket, stream: Stream) -> None:
    """Take new filters, one at a time; the next message is read when the last one is in effect."""
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        text = message.get("text")
        change: Wish | TwinproofError
        try:
            if text is None:
                raise Malformed("message", "not text")
            change = wish_of_message(text)
        except Malformed as problem:
            change = problem
        await stream.change(change)
