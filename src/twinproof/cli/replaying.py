"""`twinproof verify --replay`: the predictions of a verified history, computed again in plain Python."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import click

from twinproof.cli.options import read_file
from twinproof.cli.output import count, mark
from twinproof.errors import Malformed, VerificationFailed
from twinproof.prognosis.audit import Audit, Finding, Outcome
from twinproof.twin.evidence import MAX_BLOB, parse_bundle
from twinproof.twin.prediction import Prediction
from twinproof.verify import STEPS, History

REPLAY: Final = "replay the predictions"
SHOWN: Final = 5
"""Predictions that cannot be replayed, listed one by one."""

Report = Callable[[int, int], None]


class Replays:
    """The models that are at hand: from the bundle, and from files."""

    def __init__(self, data: bytes, files: Sequence[Path]) -> None:
        """Raises `Malformed` for a file that cannot be read."""
        self._bundle = data
        self._models = {sha256(found).digest(): found for found in map(_read, files)}

    def run(self, history: History, report: Report) -> list[Finding]:
        """A finding per prediction, in log order."""
        try:
            blobs = parse_bundle(self._bundle).blobs
        except Malformed as problem:
            raise VerificationFailed(1, STEPS[1], [str(problem)]) from None
        audit = Audit({**blobs, **self._models})
        total = sum(isinstance(entry.payload, Prediction) for entry in history.entries)
        findings: list[Finding] = []
        for entry in history.entries:
            finding = audit.take(entry.index, entry.statement, entry.payload)
            if finding is not None:
                findings.append(finding)
                report(len(findings), total)
        return findings


_read = partial(read_file, limit=MAX_BLOB, what="model")


def replay_problems(findings: Sequence[Finding]) -> list[str]:
    """One line for each prediction that differs."""
    return [f"entry {found.index}: {found.why}" for found in findings if found.outcome is Outcome.DIFFERS]


def replay_lines(findings: Sequence[Finding]) -> Iterator[str]:
    """For people, below the ten steps."""
    done = sum(found.outcome is Outcome.OK for found in findings)
    # What could not be checked is not wrong, and not right either.
    sign = mark(True) if done == len(findings) else click.style("?", fg="yellow", bold=True)
    told = count(len(findings), "prediction")
    yield f"  {sign}     {REPLAY:<22}  {done} of {told} computed again, every bit the same"
    reasons = Counter(found.why for found in findings if found.outcome is Outcome.NOT_REPLAYABLE)
    for why, number in reasons.most_common(SHOWN):
        yield f"          not replayable, {count(number, 'prediction')}: {why}"
    if len(reasons) > SHOWN:
        yield f"          and {len(reasons) - SHOWN} reasons more"


def replay_json(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Each prediction's outcome."""
    return [
        {"index": found.index, "outcome": found.outcome.value, "model": found.model.hex(), "why": found.why or None}
        for found in findings
    ]
