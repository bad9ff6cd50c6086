"""uvicorn's protocols, with what they lack: limits on a request's head, in bytes and time; a way to cut a client off.

Without them a client that never ends its headers, or never reads what it asked for, holds a connection, and
memory, for as long as it likes. Bodies are limited where they are read, in `app`.
"""

from __future__ import annotations

import asyncio
import fcntl
import socket
import struct
import sys
import termios
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from twinproof.errors import Malformed, TooLarge
from twinproof.server.answers import PROBLEM, problem_body

MAX_HEAD: Final = 64 * 1024
"""Bytes of a request line and its headers."""
HEAD_SECONDS: Final = 75
"""Seconds that a connection may be open without a whole request head, or idle between requests."""
CLOSE_SECONDS: Final = 2
"""Seconds that a WebSocket client has for what is on its way when the server stops."""
ABORT: Final = "twinproof.abort"
"""ASGI extension of both protocols: a function that cuts the connection in so many seconds, whatever the
client has not taken by then. ASGI itself can only wait for a client that does not read."""

UNREAD_SECONDS: Final = 30
"""Seconds between looks at an answer that the client is slow to read."""
READ_RATE: Final = 4096
"""Bytes a second that a client must read meanwhile, or it is cut off."""
_NO_LINGER: Final = struct.pack("ii", 1, 0)


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._in_head = True
        self._head_ended = False
        self._head_size = 0
        self._upgraded = False
        self._timer: asyncio.TimerHandle | None = None
        self._unread = 0
        self._unread_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._stop_unread_timer()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._start_unread_timer()

    def resume_writing(self) -> None:
        self._stop_unread_timer()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        continued, self._head_ended = self._in_head, False
        super().data_received(data)
        if not self._in_head or self._upgraded or self.transport.is_closing():
            return
        # A head that ended in this piece was measured then; what followed it was a body.
        if continued and not self._head_ended:
            self._head_size += len(data)
            if self._head_size > MAX_HEAD:
                self._refuse_head()
                return
        if self._timer is None:
            self._start_timer()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over, unless its head was refused."""
        self._upgraded = True
        self._stop_unread_timer()
        if not self.transport.is_closing():
            super().handle_websocket_upgrade()

    def abort_in(self, seconds: float) -> None:
        """Cut the connection then."""
        self.loop.call_later(seconds, self.transport.abort)

    # --- httptools' callbacks ---

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {ABORT: self.abort_in}  # type: ignore[dict-item]

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_ended = True
        self._head_size = 0
        self._stop_timer()
        # Counted again, with ": " and the line's end: the whole head may have come in one piece.
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > MAX_HEAD:
            self._refuse_head()
            return
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if not self.transport.is_closing():
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_head = True
        if not self.transport.is_closing():
            super().on_message_complete()

    # --- refusals ---

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP and close."""
        self._refuse(400, Malformed("request", "not HTTP/1.1"))

    def _refuse_head(self) -> None:
        self._refuse(431, TooLarge("headers", f"over {MAX_HEAD} bytes"))

    def _refuse(self, status: int, error: Malformed) -> None:
        if self.transport.is_closing():
            return
        body = problem_body(error, "Malformed request")
        head = f"content-type: {PROBLEM}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        self.transport.write(STATUS_LINE[status] + head.encode() + body)
        self.transport.close()

    # --- time ---

    def _start_timer(self) -> None:
        self._timer = self.loop.call_later(HEAD_SECONDS, self._on_timer)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_timer(self) -> None:
        self._timer = None
        if self.cycle is not None and not self.cycle.response_complete:  # type: ignore[redundant-expr]
            self._start_timer()  # the answer to the last request is still on its way
        elif not self.transport.is_closing():
            self.transport.close()

    def _start_unread_timer(self) -> None:
        self._stop_unread_timer()
        self._unread = self._unread_bytes()
        self._unread_timer = self.loop.call_later(UNREAD_SECONDS, self._on_unread_timer)

    def _unread_bytes(self) -> int:
        """What the client has not acknowledged: the kernel may hold megabytes that a slow one is still reading."""
        try:
            kernel = fcntl.ioctl(self.transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4))
        except OSError:  # a system that does not tell this of sockets
            kernel = bytes(4)
        return self.transport.get_write_buffer_size() + int.from_bytes(kernel, sys.byteorder)

    def _stop_unread_timer(self) -> None:
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None

    def _on_unread_timer(self) -> None:
        if self._unread - self._unread_bytes() < READ_RATE * UNREAD_SECONDS:
            # Closing would wait for the client to read the rest: here, and in the kernel without this option.
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            self.transport.abort()
        else:
            self._start_unread_timer()


class BoundedWebSocket(WebSocketsSansIOProtocol):
    """One connection that became a WebSocket."""

    async def run_asgi(self) -> None:
        extensions: dict[str, Any] = {**(self.scope["extensions"] or {}), ABORT: self.abort_in}
        self.scope["extensions"] = extensions
        await super().run_asgi()

    def abort_in(self, seconds: float) -> None:
        """Cut the connection then."""
        self.loop.call_later(seconds, self.transport.abort)

    def shutdown(self) -> None:
        super().shutdown()
        self.abort_in(CLOSE_SECONDS)
