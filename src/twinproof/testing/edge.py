"""A log for recorders to deliver to: in memory, as strict as a node, and as unreliable as is asked.

    log = FakeLog({key.public.thumbprint: key.public}, clock=clock)
    log.faults.append(Fault.LOST_ANSWER)        # the next call keeps what it is sent, and fails

`FakeLog` is a `Sink`. `serve_log` puts one behind HTTP on 127.0.0.1, with the node's answers.
"""

from __future__ import annotations

import http.server
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import Final
from urllib.parse import parse_qs, urlsplit

from twinproof.edge.sinks import Delivered, Delivery, Refused
from twinproof.errors import (
    ChainBroken,
    FutureDated,
    Gap,
    Malformed,
    Overloaded,
    TooLarge,
    TwinproofError,
    UnknownSigner,
    Unreachable,
)
from twinproof.proof import cbor, merkle, receipt
from twinproof.proof.keys import EDDSA, PrivateKey, PublicKey
from twinproof.proof.note import ED25519, VerifierKey
from twinproof.twin.kinds import parse_payload
from twinproof.twin.statement import Statement, check_statement, parse_statement
from twinproof.twin.stream import StreamHead, check_next, next_seq, position

ORIGIN: Final = "fake.example/log"
LOG_KEY: Final = PrivateKey(EDDSA, bytes(31) + b"\x01")
"""Signs the fake's receipts. Public: it proves nothing to anybody."""
TOLERANCE: Final = 300
"""Seconds that a statement may be ahead of the log's clock."""


class Fault(StrEnum):
    """What goes wrong in one call."""

    LOST_REQUEST = "lost request"
    """`Unreachable`; nothing was kept."""
    LOST_ANSWER = "lost answer"
    """`Unreachable`; everything was kept."""
    OVERLOADED = "overloaded"
    """`Overloaded`; nothing was kept."""
    BAD_RECEIPT = "bad receipt"
    """Everything was kept; the receipts are of other entries."""
    TOO_FEW_ANSWERS = "too few answers"
    """Everything was kept; the last answer is missing."""
    TOO_LARGE = "too large"
    """`TooLarge`; nothing was kept."""


class FakeLog:
    """Takes statements by the rules of a node's intake; grants are the keys it knows."""

    def __init__(self, keys: dict[bytes, PublicKey], *, clock: Callable[[], float]) -> None:
        self.keys = keys
        """Thumbprint -> the keys that may sign."""
        self.clock = clock
        self.entries: list[bytes] = [b"genesis"]
        self.faults: deque[Fault | None] = deque()
        """What goes wrong in the next calls, one by one; None is nothing."""
        self.retry_after = 7.0
        self.calls = 0
        self.refuses: dict[int, TwinproofError] = {}
        """`seq` -> the refusal of any statement with that number."""
        self._lock = threading.Lock()
        self._positions: dict[bytes, int] = {}
        self._heads: dict[tuple[str, str], StreamHead] = {}

    @property
    def key(self) -> VerifierKey:
        """What a recorder checks receipts with."""
        return VerifierKey(ORIGIN, ED25519, LOG_KEY.public.raw)

    def statements(self) -> list[Statement]:
        """What the log holds, in order."""
        return [parse_statement(raw) for raw in self.entries[1:]]

    # --- Sink ---

    def send(self, statements: Sequence[bytes]) -> list[Delivery]:
        """See `Sink.send`."""
        with self._lock:
            fault = self._fault()
            if fault is Fault.TOO_LARGE:
                raise TooLarge("batch", "too many statements")
            indices = [self._take(raw) for raw in statements]
            if fault is Fault.LOST_ANSWER:
                raise Unreachable("the answer was lost")
            shift = 1 if fault is Fault.BAD_RECEIPT else 0
            answers = [
                item if isinstance(item, Refused) else Delivered(item, self._receipt(item - shift)) for item in indices
            ]
            return answers[:-1] if fault is Fault.TOO_FEW_ANSWERS else answers

    def head(self, issuer: str, subject: str) -> StreamHead | None:
        """See `Sink.head`."""
        with self._lock:
            if self._fault() in (Fault.LOST_ANSWER, Fault.BAD_RECEIPT, Fault.TOO_FEW_ANSWERS, Fault.TOO_LARGE):
                raise Unreachable("the answer was lost")
            return self._heads.get((issuer, subject))

    def _fault(self) -> Fault | None:
        self.calls += 1
        fault = self.faults.popleft() if self.faults else None
        if fault is Fault.LOST_REQUEST:
            raise Unreachable("the request was lost")
        if fault is Fault.OVERLOADED:
            raise Overloaded("busy", self.retry_after)
        return fault

    def _take(self, raw: bytes) -> int | Refused:
        try:
            statement = parse_statement(raw)
            parse_payload(statement)
            key = self.keys.get(statement.kid)
            if key is None:
                raise UnknownSigner("no grant introduces this key")
            check_statement(statement, key)
            if statement.seq in self.refuses:
                raise self.refuses[statement.seq]
            return self._append(statement)
        except Gap as problem:
            return Refused(problem.code, str(problem), expected=problem.expected)
        except (TwinproofError, ChainBroken, Malformed) as problem:
            return Refused(problem.code, str(problem), retry=isinstance(problem, FutureDated))

    def _append(self, statement: Statement) -> int | Refused:
        stream = (statement.issuer, statement.subject)
        head = self._heads.get(stream)
        if statement.seq < next_seq(head):
            index = self._positions[position(statement)]
            if self.entries[index] == statement.raw:
                return index
            return Refused("equivocation", f"entry {index} holds seq {statement.seq} of this stream")
        after = check_next(head, statement)
        if statement.issued_at > self.clock() + TOLERANCE:
            raise FutureDated("iat is ahead of the log's clock")
        self._heads[stream] = after
        self._positions[position(statement)] = len(self.entries)
        self.entries.append(statement.raw)
        return len(self.entries) - 1

    def _receipt(self, index: int) -> bytes:
        size = len(self.entries)

        def node(level: int, number: int) -> bytes:
            if level == 0:
                return merkle.hash_leaf(self.entries[number])
            return merkle.hash_node(node(level - 1, 2 * number), node(level - 1, 2 * number + 1))

        signed = receipt.sign_root(LOG_KEY, ORIGIN, size, merkle.root(size, node))
        return receipt.format_inclusion(signed, index, merkle.prove_inclusion(index, size, node))

    # --- what happens to logs ---

    def truncate(self, size: int) -> None:
        """Lose every entry from index `size` on, as a log restored from an old backup would."""
        kept = [parse_statement(raw) for raw in self.entries[1:size]]
        del self.entries[1:]
        self._positions.clear()
        self._heads.clear()
        for statement in kept:
            self._append(statement)


# --- over HTTP ------------------------------------------------------------------------------

Answer = tuple[int, dict[str, str], bytes]
"""(status, headers, body)."""
CBOR: Final = {"Content-Type": "application/cbor"}
PROBLEM: Final = {"Content-Type": "application/concise-problem-details+cbor"}


def answer_batch(log: FakeLog, body: bytes) -> Answer:
    """The node's answer to POST /entries/batch."""
    try:
        deliveries = log.send(cbor.decode_sequence(body, limit=1000))
    except Overloaded as problem:
        details = cbor.encode({-1: "Service unavailable", -2: str(problem)})
        return 503, {**PROBLEM, "Retry-After": f"{problem.retry_after:.0f}"}, details
    except TooLarge as problem:
        return 413, PROBLEM, cbor.encode({-1: "Too large", -2: str(problem)})
    except Unreachable as problem:
        return 502, PROBLEM, cbor.encode({-1: "Bad gateway", -2: str(problem)})
    return 200, CBOR, cbor.encode({"checkpoint": b"note", "results": [_result(item) for item in deliveries]})


def _result(delivery: Delivery) -> dict[int | str, cbor.Value]:
    if isinstance(delivery, Delivered):
        return {"status": 201, "index": delivery.index, "receipt": delivery.receipt}
    refusal: dict[int | str, cbor.Value] = {"status": 409, "code": delivery.code, "detail": delivery.detail}
    if delivery.expected is not None:
        refusal["expected"] = delivery.expected
    return refusal


def answer_head(log: FakeLog, query: str) -> Answer:
    """The node's answer to GET /streams."""
    names = parse_qs(query, strict_parsing=True)
    head = log.head(names["iss"][0], names["sub"][0])
    if head is None:
        return 404, PROBLEM, cbor.encode({-1: "Not found", -2: "no such stream"})
    return 200, CBOR, cbor.encode({"seq": head.seq, "digest": head.digest})


@contextmanager
def serve_log(
    log: FakeLog, *, twist: Callable[[str, Answer], Answer | None] = lambda path, answer: answer
) -> Iterator[str]:
    """Serve `log` over HTTP; gives the base URL. `twist` may change answers; None closes the connection."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(answer_batch(log, body))

        def do_GET(self) -> None:
            self._answer(answer_head(log, urlsplit(self.path).query))

        def _answer(self, answer: Answer) -> None:
            twisted = twist(urlsplit(self.path).path, answer)
            self.close_connection = twisted is None
            if twisted is None:
                return
            status, headers, body = twisted
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
