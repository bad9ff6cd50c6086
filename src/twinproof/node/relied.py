"""Which grant each entry relies on: the authority fold again, for those who read.

Intake's own fold belongs to its thread; this one follows the state view and is asked under a lock.
"""

from __future__ import annotations

from contextlib import suppress
from threading import Lock

from twinproof.errors import NotAuthorised
from twinproof.log.reader import Reader
from twinproof.node.statements import logged
from twinproof.twin.authority import AUTHORITY_KINDS, Authority, Grant
from twinproof.twin.kinds import kind_of
from twinproof.twin.statement import Statement
from twinproof.views.state import StateView

_AUTHORITY = (
    "SELECT entry FROM history WHERE twin = (SELECT id FROM twin WHERE sub = ?) "
    "AND kind IN ('genesis', 'grant', 'revoke') AND entry > ? ORDER BY entry"
)
_MODEL = (
    "SELECT model FROM status WHERE twin = (SELECT id FROM twin WHERE sub = ?) "
    "AND since < ? AND (until IS NULL OR until >= ?)"
)


class ReliedGrants:
    """One per node. Methods may be called from any thread; they raise `StorageFailed` and `Corrupt`."""

    def __init__(self, reader: Reader, states: StateView, subject: str) -> None:
        """`subject` is the log's own, which authority statements are about."""
        self._reader = reader
        self._states = states
        self._subject = subject
        self._lock = Lock()
        self._authority = Authority()
        self._relied: dict[int, Grant] = {}
        """Of authority statements."""
        self._last = -1

    def of(self, index: int, statement: Statement) -> Grant | None:
        """The grant under which the entry at `index` was taken; None if the log gives none, which fsck would tell."""
        with self._lock:
            self._catch_up()
            if statement.content_type in AUTHORITY_KINDS:
                return self._relied.get(index)
            try:
                return self._authority.check(
                    index, statement, kind_of(statement).capability, lambda subject: self._model(subject, index)
                )
            except NotAuthorised:
                return None

    def _model(self, subject: str, index: int) -> str | None:
        """The model that the twin named just before the entry."""
        rows = self._states.query(_MODEL, (subject, index, index))
        return rows[0][0] if rows else None

    def _catch_up(self) -> None:
        for (index,) in self._states.query(_AUTHORITY, (self._subject, self._last)):
            statement = logged(self._reader, index)
            # Intake takes none that is not authorised: fsck would tell, here the rest is still worth knowing.
            with suppress(NotAuthorised):
                self._relied[index] = self._authority.apply(index, statement)
            self._last = index
