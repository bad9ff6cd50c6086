"""A JSON-RPC node that lies, hangs, loses answers or breaks off: in front of a real one, or by a script alone."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

Lie = Callable[[list[Any], Any], Any]
"""(parameters, the true result) -> what is told instead."""


class Raw(Exception):
    """Answer with this status and body, as it stands."""

    def __init__(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.body = body
        self.headers = headers or {}


class Lost(Exception):
    """The node did it, and the answer never arrives."""


class Hang(Exception):
    """The node says nothing until the test is over."""


class Refuse(Exception):
    """Answer with a JSON-RPC error."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.error = {"code": code, "message": message} | ({} if data is None else {"data": data})


class LyingNode:
    """`lies[method]` changes what that method tells, `instead[method]` keeps it from the real node."""

    def __init__(self, target: str | None = None) -> None:
        self.target = target
        self.lies: dict[str, Lie] = {}
        self.instead: dict[str, Callable[[], None]] = {}
        """Runs where the real node would have been asked; raises `Refuse`, `Raw`, `Lost` or `Hang`."""
        self.whole: Callable[[Any], None] | None = None
        """Sees each request's body; may raise `Raw`."""
        self.asked: list[str] = []
        self.batches: list[int] = []
        self._over = threading.Event()
        self._client = httpx.Client(trust_env=False, timeout=20)
        node = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                try:
                    status, told, headers = 200, json.dumps(node._answer(body)).encode(), {}
                except Raw as raw:
                    status, told, headers = raw.status, raw.body, raw.headers
                except Lost:
                    self.close_connection = True
                    return
                except Hang:
                    node._over.wait()
                    self.close_connection = True
                    return
                self.send_response(status)
                for name, value in {"content-length": str(len(told)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(told)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
        self._client.close()

    def _answer(self, body: Any) -> Any:
        calls = body if isinstance(body, list) else [body]
        self.batches.append(len(calls))
        self.asked += [call["method"] for call in calls]
        if self.whole is not None:
            self.whole(body)
        if len(calls) == 1 and calls[0]["method"] in self.instead:
            return self._lie(calls[0], {})
        answers = (
            self._client.post(self.target, json=calls).json()
            if self.target
            else [{"jsonrpc": "2.0", "id": call["id"], "result": None} for call in calls]
        )
        told = [self._lie(call, answer) for call, answer in zip(calls, answers, strict=True)]
        return told if isinstance(body, list) else told[0]

    def _lie(self, call: Any, answer: Any) -> Any:
        lie = self.lies.get(call["method"])
        instead = self.instead.get(call["method"])
        if lie is None and instead is None:
            return answer
        envelope = {"jsonrpc": "2.0", "id": call["id"]}
        try:
            if lie is None:
                assert instead is not None
                instead()
                return answer
            return envelope | {"result": lie(call["params"], answer.get("result"))}
        except Refuse as refusal:
            return envelope | {"error": refusal.error}
