"""Training data out of a node's own log: twins of one model, their rows, and which of them reached their end.

Read twice: first what the twins are and which entries are readings of them, then those entries. What a row is, serving
and replay decide alike: `prognosis.rows`.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from twinproof.errors import Malformed
from twinproof.node.node import Node
from twinproof.node.statements import logged
from twinproof.prognosis.data import Fleet, Unit, unit
from twinproof.prognosis.record import Row
from twinproof.prognosis.rows import RowReader, Wanted, samples, units_of
from twinproof.twin.attestation import ATTESTATION, OVERHAUL, parse_attestation
from twinproof.twin.columns import COLUMNS
from twinproof.twin.description import DESCRIPTION, Description, Lifecycle, parse_description
from twinproof.twin.kinds import parse_payload
from twinproof.twin.predictor import Trained
from twinproof.twin.senml import SENML
from twinproof.twin.statement import parse_statement

CHUNK: Final = 1024
"""Entries read at once."""

Report = Callable[[int, int], None]
"""(done, total) entries."""


@dataclass(frozen=True, slots=True)
class Wish:
    """Whose history is learnt from, and how it is read."""

    model: str
    """The asset model that the twins declare."""
    settings: tuple[str, ...] = ()
    """Readings that say what the asset was asked to do."""
    signals: tuple[str, ...] = ()
    """Readings that may tell of wear; empty: all numbers that at least half of the twins have."""
    cycle: str | None = None
    """The reading that counts cycles; None: rows are counted."""
    failed_at_end: bool = False
    """Every record ends with a failure. Otherwise only those of retired twins do."""


@dataclass(frozen=True, slots=True, eq=False)
class Gathered:
    """A fleet, and the log that it was read from."""

    fleet: Fleet
    trained: Trained
    left_out: int
    """Rows whose cycle was no whole number or did not grow."""
    strange: tuple[str, ...]
    """Readings that came in other units, too: what is not in that of most twins was not learnt from."""


@dataclass(slots=True)
class _Seen:
    model: str | None = None
    ended: bool = False
    readings: array[int] = field(default_factory=lambda: array("q"))
    """Log indices."""
    overhauls: list[int] = field(default_factory=list)
    """Log indices of what began episodes."""

    def lives(self) -> list[Sequence[int]]:
        """The readings of each episode, the first life before them."""
        ends = [bisect_left(self.readings, at) for at in self.overhauls]
        return [self.readings[start:end] for start, end in pairwise((0, *ends, len(self.readings)))]


def gather(node: Node, wish: Wish, report: Report = lambda done, total: None) -> Gathered:
    """The training data; raises `Malformed` if the log holds none, `Corrupt`."""
    head = node.reader.head()
    seen = _survey(node, head.size, report)
    twins = {subject: each for subject, each in sorted(seen.items()) if each.model == wish.model and each.readings}
    if not twins:
        known = sorted({each.model for each in seen.values() if each.model is not None})
        raise Malformed("model", f"no twin of {wish.model} has readings; models here: {', '.join(known) or 'none'}")
    signals = wish.signals or _signals(node, list(twins.values()), wish)
    total = sum(len(each.readings) for each in twins.values())
    units: list[Unit] = []
    done = left_out = 0
    codes = _codes(node, list(twins.values()), (*wish.settings, *signals))
    wanted = Wanted(wish.settings, signals, wish.cycle, codes)
    strange: set[str] = set()
    for subject, each in twins.items():
        lives = each.lives()
        for number, life in enumerate(lives):
            reader = RowReader(wanted, renewed=number > 0)
            rows = [row for index in life for row in reader.take(parse_payload(logged(node.reader, index)))]
            left_out += reader.left_out
            strange |= reader.strange
            done += len(life)
            report(done, total)
            # How a life would have ended that an overhaul ended, nobody knows.
            ended = wish.failed_at_end or (each.ended and number == len(lives) - 1)
            if rows:
                units.append(_unit(subject if not number else f"{subject} ({number})", rows, ended, subject))
    fleet = Fleet(wish.settings, signals, tuple(units), codes)
    assets, failed = {each.asset for each in units}, {each.asset for each in units if each.failed}
    trained = Trained(head.size, head.root, len(assets), len(failed), sum(map(len, units)))
    return Gathered(fleet, trained, left_out, tuple(sorted(strange)))


def _survey(node: Node, size: int, report: Report) -> dict[str, _Seen]:
    seen: dict[str, _Seen] = {}
    for start in range(0, size, CHUNK):
        for index, raw in enumerate(node.reader.entries(start, min(start + CHUNK, size)), start):
            statement = parse_statement(raw)
            if statement.content_type in (SENML, COLUMNS):
                seen.setdefault(statement.subject, _Seen()).readings.append(index)
            elif statement.content_type == DESCRIPTION:
                _describe(seen.setdefault(statement.subject, _Seen()), parse_description(statement.payload))
            elif statement.content_type == ATTESTATION and parse_attestation(statement.payload).type == OVERHAUL:
                seen.setdefault(statement.subject, _Seen()).overhauls.append(index)
        report(min(start + CHUNK, size), size)
    return seen


def _describe(twin: _Seen, change: Description) -> None:
    if change.model is not None:
        twin.model = change.model
    if change.lifecycle is not None:
        twin.ended = change.lifecycle is Lifecycle.RETIRED


def _signals(node: Node, twins: Sequence[_Seen], wish: Wish) -> tuple[str, ...]:
    """What at least half of the twins measure, by their first statements."""
    found: Counter[str] = Counter()
    for each in twins:
        found.update({name for row in samples(parse_payload(logged(node.reader, each.readings[0]))) for name in row})
    apart = {*wish.settings, wish.cycle}
    signals = tuple(sorted(name for name, count in found.items() if 2 * count >= len(twins) and name not in apart))
    if not signals:
        raise Malformed("signals", "no reading is common to half of the twins; name them with --signal")
    return signals


def _codes(node: Node, twins: Sequence[_Seen], names: Sequence[str]) -> tuple[str | None, ...]:
    """The unit that most twins begin with, by reading; of what none begins with, the first that is there."""
    counts: dict[str, Counter[str | None]] = {name: Counter() for name in names}
    for each in twins:
        _count_units(node, each.readings[0], counts)
    missing = {name: count for name, count in counts.items() if not count}
    for index in (index for each in twins for index in each.readings[1:]):
        if not missing:
            break
        _count_units(node, index, missing)
        missing = {name: count for name, count in missing.items() if not count}
    # Of equals the one whose code sorts first, so that the same log gives the same model.
    ordered = (sorted(count.items(), key=lambda found: (-found[1], found[0] or "")) for count in counts.values())
    return tuple(found[0][0] if found else None for found in ordered)


def _count_units(node: Node, index: int, counts: dict[str, Counter[str | None]]) -> None:
    for name, code in units_of(parse_payload(logged(node.reader, index))).items():
        if name in counts:
            counts[name][code] += 1


def _unit(name: str, rows: Sequence[Row], failed: bool, asset: str) -> Unit:
    cycles, settings, signals = zip(*rows, strict=True)
    return unit(name, cycles, settings, signals, failed, asset)
