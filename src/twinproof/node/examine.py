"""What `fsck` asks about each entry beyond its bytes: is it a statement that intake would have taken?"""

from __future__ import annotations

from twinproof.errors import StreamError, TwinproofError
from twinproof.twin.authority import AUTHORITY_KINDS, Authority
from twinproof.twin.description import Description
from twinproof.twin.kinds import kind_of
from twinproof.twin.statement import Statement, check_statement, parse_statement
from twinproof.twin.stream import StreamHead, check_next, next_seq, stream_prefix


class Examiner:
    """Folds a log from its first entry on: format, signature, authority at its index, stream.

    Give `examine` to `log.fsck.fsck` as `check_entry`. Entries that it is not shown (because their
    bytes are damaged) may leave holes in streams: such a hole is not a second finding.
    """

    def __init__(self) -> None:
        self._authority = Authority()
        self._heads: dict[bytes, StreamHead] = {}
        self._models: dict[str, str] = {}
        self._next = 0
        self._unseen = 0

    def examine(self, index: int, raw: bytes) -> str | None:
        """What is wrong with the entry at `index`, or None; indices ascend from call to call."""
        self._unseen += index - self._next
        self._next = index + 1
        try:
            self._take(index, raw)
        except TwinproofError as problem:
            return f"{problem.code}: {problem}"
        return None

    def _take(self, index: int, raw: bytes) -> None:
        statement = parse_statement(raw)
        kind = kind_of(statement)
        payload = kind.parse(statement.payload, statement.issued_at)
        # Told last: what else is wrong weighs more, and the fold must go on either way.
        broken: StreamError | None = None
        try:
            self._follow(statement)
        except StreamError as problem:
            broken = problem
        if statement.content_type in AUTHORITY_KINDS:
            self._authority.check_and_apply(index, statement)
        else:
            check_statement(statement, self._authority.key(statement.kid))
            self._authority.check(index, statement, kind.capability, self._models.get)
        if isinstance(payload, Description) and payload.model is not None:
            self._models[statement.subject] = payload.model
        if broken is not None:
            raise broken

    def _follow(self, statement: Statement) -> None:
        stream = stream_prefix(statement.issuer, statement.subject)
        head = self._heads.get(stream)
        self._heads[stream] = StreamHead(statement.seq, statement.digest)
        skipped = statement.seq - next_seq(head)
        if not 0 < skipped <= self._unseen:
            check_next(head, statement)
