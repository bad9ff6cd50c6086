"""A check of the whole log in the background, as `twinproof fsck` makes one: one at a time, its findings are kept."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, replace
from typing import Final

from twinproof.errors import TwinproofError
from twinproof.log.fsck import Finding, fsck
from twinproof.log.pin import Pin
from twinproof.node.examine import Examiner
from twinproof.node.node import PIN, WritingNode
from twinproof.twin.stream import position_of

MAX_FINDINGS: Final = 100
"""Kept; beyond them it is their number that tells."""
BREATH: Final = 0.002
"""Seconds of rest after each 256 entries, so that the node's other threads are not kept waiting."""
_LOG = logging.getLogger(__name__)


class _Stopped(Exception):
    """The node is being closed."""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """How the newest check stands."""

    running: bool = False
    done: int = 0
    """Entries."""
    total: int = 0
    started: int | None = None
    """POSIX seconds; None if there was none since the node was opened."""
    ended: int | None = None
    """None while it runs, and if it was broken off."""
    found: int = 0
    """Findings."""
    findings: tuple[Finding, ...] = ()
    """The first `MAX_FINDINGS`."""
    problem: str | None = None
    """Why it could not be finished."""

    @property
    def sound(self) -> bool | None:
        """Whether the check found nothing; None before its end."""
        return self.found == 0 if self.ended is not None and self.problem is None else None


class LogCheck:
    """One per node. Methods may be called from any thread."""

    def __init__(self, node: WritingNode) -> None:
        self.report = CheckReport()
        self._node = node
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> bool:
        """Begin a check; False if one is running, which goes on."""
        with self._lock:
            if self.report.running or self._stopping.is_set():
                return False
            self.report = CheckReport(True, total=self._node.reader.head().size, started=int(self._node.clock()))
            # It writes nothing, so whoever ends the process need not wait for it.
            self._thread = threading.Thread(target=self._run, name="log check", daemon=True)
            self._thread.start()
            return True

    def stop(self) -> None:
        """Break off what runs, and begin nothing any more."""
        with self._lock:
            # Whoever is about to begin one has begun it, and it is waited for.
            self._stopping.set()
            thread = self._thread
        if thread is not None:
            thread.join()

    def wait(self, timeout: float) -> bool:
        """Wait until nothing runs; False after `timeout` seconds without that."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout)
        return not self.report.running

    def _run(self) -> None:
        ended: int | None = None
        problem: str | None = None
        try:
            self._check()
            ended = int(self._node.clock())
        except _Stopped:
            problem = "the node was closed"
        except TwinproofError as refusal:
            problem = f"{refusal.code}: {refusal}"
            _LOG.error("the check of the log was broken off: %s", refusal)
        finally:
            self.report = replace(self.report, running=False, ended=ended, problem=problem)
        if self.report.found:
            _LOG.error("the check of the log has %d findings; run twinproof fsck", self.report.found)

    def _check(self) -> None:
        node = self._node
        for finding in fsck(
            node.store,
            verifiers=node.verifiers,
            pin=Pin(node.folder / PIN),
            key_of=position_of,
            check_entry=Examiner().examine,
            progress=self._progress,
        ):
            kept = self.report.findings
            findings = (*kept, finding) if len(kept) < MAX_FINDINGS else kept
            self.report = replace(self.report, found=self.report.found + 1, findings=findings)

    def _progress(self, done: int, total: int) -> None:
        self.report = replace(self.report, done=done, total=total)
        if self._stopping.wait(BREATH):
            raise _Stopped
