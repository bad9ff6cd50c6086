"""What people say through the console: statements that the node signs for them, with a key of its own.

The key is FOLDER/keys/console.pem, which the operator grants `operate` (`twinproof console enable`). The statement's
text names the token that it was said with, so that the log tells who acted, not only that the console did.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import CancelledError
from hashlib import sha256
from typing import Final, NamedTuple

from twinproof.errors import Malformed, NotAuthorised, Overloaded, StreamError, TwinproofError
from twinproof.node.intake import Accepted, Outcome
from twinproof.node.node import WritingNode
from twinproof.node.service_keys import CONSOLE, PATIENCE
from twinproof.twin.stream import sign_next

ATTEMPTS: Final = 3
"""Times that a statement is signed anew because its stream had moved."""
MEMORY: Final = 4096
"""Statements whose ids are known, so that one that is handed in again is not said twice."""


class Said(NamedTuple):
    """A statement in the log."""

    entry: int
    digest: bytes
    new: bool
    """Whether it became an entry now."""


class _Kept(NamedTuple):
    about: tuple[str, str, bytes]
    raw: bytes


class Speaker:
    """One per node; `say` may be called from any thread."""

    def __init__(self, node: WritingNode) -> None:
        self.issuer = CONSOLE.issuer(node.config.origin)
        self._node = node
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    def say(self, subject: str, content_type: str, payload: bytes, id_: str | None = None) -> Said:
        """State it; with the same `id_` again it is the same statement, also if the answer to the first got lost.

        Raises `NotAuthorised` without key or grant, `Malformed` if the id stands for something else, `Overloaded`
        if nothing is known of what became of it, and what intake refuses it for.
        """
        if not CONSOLE.has_key(self._node.folder):
            raise NotAuthorised("the console has no key on this node; make it one with: twinproof console enable NODE")
        with self._lock:
            about = (subject, content_type, payload)
            kept = None if id_ is None else self._kept.get(id_)
            if kept is not None and kept.about != about:
                raise Malformed("id", "stands for another request")
            raw = kept.raw if kept is not None else self._sign(*about)
            refused: TwinproofError = Overloaded("the console's stream moves too fast; ask again", 1.0)
            for _ in range(ATTEMPTS):
                self._keep(id_, _Kept(about, raw))
                outcome = self._submit(raw)
                if isinstance(outcome, Accepted):
                    return Said(outcome.index, sha256(raw).digest(), outcome.new)
                refused = outcome
                if not isinstance(outcome, StreamError):
                    break
                # The same key is used elsewhere: the place is taken by something else.
                raw = self._sign(*about)
            self._kept.pop(id_ or "", None)
            if isinstance(refused, NotAuthorised):
                raise NotAuthorised(f"{refused}. The operator lets the console with: twinproof console enable NODE")
            raise refused

    def _keep(self, id_: str | None, kept: _Kept) -> None:
        if id_ is not None:
            self._kept[id_] = kept
            self._kept.move_to_end(id_)
            if len(self._kept) > MEMORY:
                self._kept.popitem(last=False)

    def _sign(self, subject: str, content_type: str, payload: bytes) -> bytes:
        node = self._node
        return sign_next(
            node.intake.stream_head(self.issuer, subject),
            CONSOLE.key(node.folder, node.config.origin),
            issuer=self.issuer,
            subject=subject,
            content_type=content_type,
            payload=payload,
            issued_at=int(node.clock()),
        )

    def _submit(self, raw: bytes) -> Outcome:
        try:
            (outcome,) = self._node.intake.submit([raw]).result(PATIENCE)
        except (TimeoutError, CancelledError):
            raise Overloaded("intake gives no answer; ask again with the same id", 1.0) from None
        return outcome
