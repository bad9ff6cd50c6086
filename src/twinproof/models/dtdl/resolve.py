"""Resolves references between elements, asking the caller for documents that are not there yet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from twinproof.models.dtdl.elements import Element
from twinproof.models.dtdl.engine import Reader, Reference, check_class
from twinproof.models.dtdl.facts import build
from twinproof.models.dtdl.report import Report

Resolver: TypeAlias = Callable[[Sequence[str]], object]
"""Gets undefined DTMIs, returns documents that define them, in any form that `parse` takes; an empty list for none."""


def resolve(reader: Reader, report: Report, resolver: Resolver | None, read: Callable[[object], None]) -> None:
    """Puts elements in place of references. `read` takes the documents that the resolver returns."""
    asked: set[str] = set()
    while True:
        missing = _missing(reader) - asked
        wanted = sorted(identifier for identifier in missing if not identifier.startswith(build.LANGUAGES[3].reserved))
        if not wanted or resolver is None:
            break
        asked |= missing
        read(resolver(tuple(wanted)))
    reported: dict[str, None] = {}
    for reference in reader.references:
        target = reader.elements.get(reference.dtmi)
        if target is None:
            report.add(reference.owner, reference.path, "reference-undefined",
                       f"{reference.fact.name} refers to {reference.dtmi}, which is not defined")  # fmt: skip
            if reference.dtmi not in reported:
                reported[reference.dtmi] = None
                report.unresolved.append(reference.dtmi)
            continue
        reference.slot[reference.position] = target
        if check_class(report, reference.owner, reference.path, reference.fact, target.fact):
            _check_partition(report, reference, target)


def _missing(reader: Reader) -> set[str]:
    return {reference.dtmi for reference in reader.references if reference.dtmi not in reader.elements}


def _check_partition(report: Report, reference: Reference, target: Element) -> None:
    if target.fact.partition or target.parent is None or target.partition() is reference.owner.partition():
        return
    cause = f"{reference.fact.name} refers to {target.id}, which is inside {target.partition().id}"
    report.add(reference.owner, reference.path, "reference-partition", cause)
