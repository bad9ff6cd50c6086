"""Reading statements back from the log."""

from __future__ import annotations

from collections.abc import Iterator

from twinproof.errors import Corrupt, Malformed
from twinproof.log.reader import Reader
from twinproof.twin.statement import Statement, parse_statement
from twinproof.twin.stream import twin_prefix


def logged(reader: Reader, index: int) -> Statement:
    """The statement at `index`, which was well-formed when it was taken; raises `Corrupt`."""
    try:
        return parse_statement(reader.entry(index))
    except Malformed as problem:
        raise Corrupt(f"entry {index} is no statement any more: {problem}; run twinproof fsck") from problem


def logged_about(reader: Reader, subject: str) -> Iterator[tuple[int, Statement]]:
    """(index, statement) of everything published about `subject`, in log order; raises `Corrupt`."""
    for index in sorted(index for _, index in reader.scan(twin_prefix(subject))):
        statement = logged(reader, index)
        # Positions hold a hash of the subject: somebody may have found another one with the same.
        if statement.subject == subject:
            yield index, statement
