"""Where a command finds the log: a node's folder on this machine, or a running node's address.

open_log(folder, url)    for reading: entries, checkpoint, evidence
open_sink(folder, url)   for writing: an `edge.Sink`, through the node's own intake or over HTTP
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Final, Protocol

from twinproof import __version__
from twinproof.cli.options import require_one
from twinproof.cli.remote import RemoteLog
from twinproof.edge.sinks import Delivered, Delivery, HttpSink, Refused, Sink
from twinproof.errors import (
    Conflict,
    Equivocation,
    FutureDated,
    Gap,
    LogError,
    NotFound,
    Overloaded,
    RefusedByLog,
    TwinproofError,
)
from twinproof.node.intake import Accepted, Outcome
from twinproof.node.node import Node, WritingNode, open_node, read_node
from twinproof.proof.keys import PrivateKey
from twinproof.twin.authority import AUTHORITY_KINDS, Authority
from twinproof.twin.grants import log_subject
from twinproof.twin.state import TwinState
from twinproof.twin.statement import parse_statement
from twinproof.twin.stream import StreamHead, sign_next

GENERATOR: Final = f"twinproof {__version__}"
ATTEMPTS: Final = 5
"""Times that a statement is signed anew because somebody else moved its stream."""
RETRY_AFTER: Final = 5.0
"""Seconds."""


class LogReader(Protocol):
    """What reading commands need of a log."""

    @property
    def origin(self) -> str:
        """The log's name."""

    def checkpoint(self) -> bytes:
        """The newest signed checkpoint."""

    def entry(self, index: int) -> bytes:
        """The statement at `index`; raises `NotFound`."""

    def receipt(self, index: int) -> bytes:
        """A COSE receipt of an entry; raises `NotFound`."""

    def transparent(self, index: int) -> bytes:
        """A statement with its receipt; raises `NotFound`."""

    def tlog_proof(self, index: int) -> bytes:
        """The tlog-proof of an entry; raises `NotFound`."""

    def bundle(
        self, subject: str, progress: Callable[[int, int], None] | None = None, *, models: bool = False
    ) -> bytes:
        """The history bundle of a twin, if wanted with its predictions' models; raises `NotFound`."""

    def about(self, subject: str) -> list[tuple[int, bytes]]:
        """(index, statement) of everything about a twin, in log order; raises `NotFound`."""


class LocalLog:
    """A node's folder, opened for reading; a running node is not disturbed."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.entry = node.reader.entry
        self.receipt = node.evidence.receipt
        self.transparent = node.evidence.transparent
        self.tlog_proof = node.evidence.tlog_proof

    @property
    def origin(self) -> str:
        """The log's name."""
        return self._node.config.origin

    def checkpoint(self) -> bytes:
        """The newest signed checkpoint."""
        return self._node.reader.head().checkpoint

    def bundle(
        self, subject: str, progress: Callable[[int, int], None] | None = None, *, models: bool = False
    ) -> bytes:
        """The history bundle of a twin, if wanted with its predictions' models; raises `NotFound`."""
        return self._node.evidence.bundle(subject, GENERATOR, progress, models=models)

    def about(self, subject: str) -> list[tuple[int, bytes]]:
        """(index, statement) of everything about a twin, in log order; raises `NotFound`."""
        found = list(self._node.entries_about(subject))
        if not found:
            raise NotFound(f"the log holds nothing about {subject}")
        return found


@contextmanager
def open_log(folder: Path | None, url: str | None) -> Iterator[LogReader]:
    """Open for reading; raises a usage error unless one of the two is given."""
    require_one(folder, url)
    if folder is None:
        with closing(RemoteLog(url or "")) as remote:
            yield remote
    else:
        with read_node(folder) as node:
            yield LocalLog(node)


def told_state(subject: str, folder: Path | None, url: str | None) -> TwinState:
    """What the whole log says of a subject, folded here; raises a usage error unless one of the two is given."""
    state = TwinState(subject)
    with open_log(folder, url) as log:
        for index, raw in log.about(subject):
            state.apply(index, parse_statement(raw))
    return state


# --- writing ----------------------------------------------------------------------------------


class LocalSink:
    """The `Sink` Protocol on a node's own intake."""

    def __init__(self, node: WritingNode) -> None:
        self._node = node

    def send(self, statements: Sequence[bytes]) -> list[Delivery]:
        """One delivery per statement, in order; receipts are left out, the log itself is at hand."""
        return [_delivery(outcome) for outcome in self._node.intake.submit(statements).result()]

    def head(self, issuer: str, subject: str) -> StreamHead | None:
        """The last statement of a stream; None if the log has none."""
        return self._node.intake.stream_head(issuer, subject)


def _delivery(outcome: Outcome) -> Delivery:
    if isinstance(outcome, Accepted):
        return Delivered(outcome.index, None)
    return Refused(
        outcome.code,
        str(outcome),
        isinstance(outcome, FutureDated | Overloaded | LogError),
        outcome.expected if isinstance(outcome, Gap) else None,
    )


@contextmanager
def open_sink(folder: Path | None, url: str | None) -> Iterator[Sink]:
    """Open for writing; raises `Conflict` if a node is running on the folder."""
    require_one(folder, url)
    with ExitStack() as stack:
        if folder is None:
            yield stack.enter_context(closing(HttpSink(url or "")))
            return
        try:
            node = stack.enter_context(open_node(folder))
        except Conflict as problem:
            raise Conflict(f"{problem}, or give its address with --url") from None
        yield LocalSink(node)


def say(sink: Sink, key: PrivateKey, issuer: str, subject: str, content_type: str, payload: bytes) -> tuple[int, bytes]:
    """Sign one statement onto the end of its stream and deliver it; its index and digest.

    If somebody else moves the stream meanwhile, it is signed again. Raises `RefusedByLog`.
    """
    for _ in range(ATTEMPTS):
        head = sink.head(issuer, subject)
        raw = sign_next(
            head,
            key,
            issuer=issuer,
            subject=subject,
            content_type=content_type,
            payload=payload,
            issued_at=int(time.time()),
        )
        (delivery,) = sink.send([raw])
        if isinstance(delivery, Delivered):
            return delivery.index, sha256(raw).digest()
        refused = delivery
        if refused.code not in (Gap.code, Equivocation.code):
            break
    raise refusal(refused)


def refusal(refused: Refused) -> TwinproofError:
    """The error for a statement that the log did not take."""
    return Overloaded(refused.detail, RETRY_AFTER) if refused.retry else RefusedByLog(refused.detail, refused.code)


# --- authority --------------------------------------------------------------------------------


def read_authority(log: LogReader) -> Authority:
    """The fold of the log's own history: who may say what, now.

    Signatures are checked, but the log's word is taken for being the whole history: to prove
    something to somebody else, make a bundle.
    """
    authority = Authority()
    for index, raw in log.about(log_subject(log.origin)):
        statement = parse_statement(raw)
        if statement.content_type in AUTHORITY_KINDS:
            authority.check_and_apply(index, statement)
    return authority
