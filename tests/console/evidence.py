"""Files for the verification screens: a good history, and each way to be refused, with what Python says of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

from tests.builders import DEVICE, START, STRANGER, TWIN, Log, Signer
from tests.web.verdicts import policy_text
from twinproof.errors import VerificationFailed
from twinproof.twin.description import Description
from twinproof.twin.evidence import Bundle, format_bundle
from twinproof.twin.grants import Capability
from twinproof.twin.prediction import PREDICTION, Prediction, Read, format_prediction
from twinproof.verify import verify_bundle

FORECASTER = Signer("https://twin.example/forecaster", STRANGER.key)


@dataclass(frozen=True)
class Told:
    """A file, the policy to check it by, and the step and words that Python refuses it with."""

    bundle: bytes
    policy: str
    step: int | None
    problems: tuple[str, ...]


@cache
def honest(readings: int = 8) -> Log:
    """A described twin with readings and a forecast between them."""
    log = Log()
    log.grant(DEVICE, {Capability.RECORD, Capability.DESCRIBE})
    log.grant(FORECASTER, {Capability.PREDICT})
    log.describe(DEVICE, Description("dtmi:com:example:engine;1", None, {"name": "Engine"}))
    last = None
    for number in range(readings):
        last = log.record(DEVICE, 600.5 + number, at=START + number)
        if number == readings // 2:
            reads = (Read(DEVICE.issuer, last.seq, last.seq, last.digest),)
            said = Prediction(20.5, 31.0, 40.25, 0.9, "cycles", bytes(32), reads)
            log.say(FORECASTER, TWIN, PREDICTION, format_prediction(said), at=START + number)
    return log


def judged(bundle: Bundle, log: Log) -> Told:
    """What Python says of it."""
    data, policy = format_bundle(bundle), log.policy()
    try:
        verify_bundle(data, policy)
    except VerificationFailed as failure:
        return Told(data, policy_text(policy).decode(), failure.step, tuple(failure.problems))
    return Told(data, policy_text(policy).decode(), None, ())


def good(readings: int = 8) -> Told:
    """A history that verifies."""
    log = honest(readings)
    return judged(log.bundle(marks=[(4, START + 50)]), log)


def altered_reading() -> Told:
    """The sender changes a byte of a reading."""
    log = honest()
    bundle = log.bundle()
    entries = list(bundle.entries)
    index, raw = entries[5]
    changed = bytearray(raw)
    changed[-70] ^= 1
    entries[5] = (index, bytes(changed))
    return judged(replace(bundle, entries=tuple(entries)), log)


def deleted_statement() -> Told:
    """The sender leaves a reading out, with a proof that fits."""
    log = honest()
    return judged(log.bundle(indices=[index for index in log.indices() if index != 6]), log)


def forged_forecast() -> Told:
    """The log holds a forecast whose signature is not the forecaster's."""
    log = honest()
    at = next(index for index in range(len(log)) if log.statement(index).content_type == PREDICTION)
    raws = list(log.raws)
    raws[at] = raws[at][:-1] + bytes([raws[at][-1] ^ 1])
    forged = Log.of(raws, log.keys)
    return judged(forged.bundle(), forged)


def forked_log() -> Told:
    """The log signed another tree once, which does not lead to this one."""
    log = honest()
    raws = list(log.raws)
    raws[3] = honest(3).raws[4]
    fork = Log.of(raws, log.keys)
    bundle = log.bundle(marks=[(5, START + 50)])
    mark = replace(bundle.marks[0], checkpoint=fork.checkpoint(5, time=START + 50))
    return judged(replace(bundle, marks=(mark,)), log)


REFUSED = {
    "an altered reading": (altered_reading, 4),
    "a deleted statement": (deleted_statement, 8),
    "a forged forecast": (forged_forecast, 7),
    "a forked log": (forked_log, 3),
}
