"""Large answers: made a few at a time, sent in pieces, and bounded together while clients read them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from twinproof.errors import Overloaded

PIECE: Final = 64 * 1024
"""Bytes: uvicorn waits before each piece until the client has read most of what came before."""
MAX_MADE_AT_ONCE: Final = 2
"""Making is work for the one interpreter that statements are taken with too."""
MAX_HELD: Final = 64 * 1024 * 1024
"""Bytes of answers on their way, above which no further one is made."""


class LargeAnswers:
    """What all large answers of a server share. Not thread-safe: one event loop."""

    def __init__(self) -> None:
        self.held = 0
        """Bytes of answers that are not read yet."""
        self._making = asyncio.Semaphore(MAX_MADE_AT_ONCE)

    async def make(self, body_of: Callable[[], bytes], media_type: str) -> Response:
        """The answer with the body that `body_of` makes, in a thread; raises `Overloaded` or what it raises."""
        async with self._making:
            if self.held >= MAX_HELD:
                raise Overloaded("too many large answers are on their way already; ask again later", 5)
            return _Pieces(self, await run_in_threadpool(body_of), media_type)


class _Pieces(Response):
    def __init__(self, all_of_them: LargeAnswers, body: bytes, media_type: str) -> None:
        super().__init__(body, media_type=media_type)
        self._all = all_of_them

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._all.held += len(self.body)
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            for start in range(0, len(self.body), PIECE):
                await send({"type": "http.response.body", "body": self.body[start : start + PIECE], "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._all.held -= len(self.body)
