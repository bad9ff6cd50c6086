"""Reading statements back from the log."""

from __future__ import annotations

from twinproof.errors import Corrupt, Malformed
from twinproof.log.reader import Reader
from twinproof.twin.statement import Statement, parse_statement


def logged(reader: Reader, index: int) -> Statement:
    """The statement at `index`, which was well-formed when it was taken; raises `Corrupt`."""
    try:
        return parse_statement(reader.entry(index))
    except Malformed as problem:
        raise Corrupt(f"entry {index} is no statement any more: {problem}; run twinproof fsck") from problem
