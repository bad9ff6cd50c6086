"""A node's background tasks: rounds in a thread, at least one a tick, at once when asked for; and what a round is."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

from twinproof.errors import InternalError, TwinproofError


class Rounds(ABC):
    """What a service of the node does, a round at a time: one that fails takes nothing down, and is said once."""

    LEVEL: ClassVar[int] = logging.WARNING
    """Of what is said about a failed round."""

    def __init__(self, name: str, on_problem: Callable[[TwinproofError], None] | None = None) -> None:
        """`on_problem` hears of every failure in the round's thread, and nothing is logged then; it must not raise."""
        self.problem: TwinproofError | None = None
        """The last failure; None once a round went well."""
        self._name = name
        self._on_problem = on_problem
        self._said = ""
        self._logger = logging.getLogger(type(self).__module__)

    @abstractmethod
    def _round(self) -> None:
        """Do what is due; raises what is in the way, and leaves what is not done to the next round."""

    def _after_defect(self) -> None:  # noqa: B027 - most have nothing to do
        """Put in order what a round may have left in disorder that failed by a defect of ours."""

    def step(self) -> bool:
        """Do one round; False if something failed, which `problem` tells."""
        self.problem = None
        if self._attempt(self._round) and self.problem is None:
            self._said = ""
        return self.problem is None

    def _attempt(self, work: Callable[[], None]) -> bool:
        """Do a round or a part of it, and report what it raises; whether it raised nothing."""
        try:
            work()
        except TwinproofError as problem:
            self._report(problem)
        except Exception as problem:
            # A defect here must not take the node down, nor go unheard.
            self._logger.exception("%s failed", self._name)
            self._after_defect()
            self._report(InternalError(f"{type(problem).__name__}: {problem}"))
        else:
            return True
        return False

    def _report(self, problem: TwinproofError) -> None:
        self.problem = problem
        if self._on_problem is not None:
            self._on_problem(problem)
        elif str(problem) != self._said:
            # What stands in the way for days is said once, not every second.
            self._said = str(problem)
            self._logger.log(self.LEVEL, "%s: %s", problem.code, problem)


class Task:
    """Calls `step()` until `stop`; it must not raise. False from it means that something failed: it rests a tick."""

    def __init__(self, name: str, step: Callable[[], bool], tick: float) -> None:
        """`tick` is in seconds."""
        self.name = name
        self._step = step
        self._tick = tick
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin with a round."""
        self._thread.start()

    def wake(self) -> None:
        """Do a round now, or right after the one under way."""
        self._wake.set()

    def stop(self) -> None:
        """End the round under way and the thread."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while True:
            self._wake.clear()
            healthy = self._step()
            # What failed is not tried faster because somebody is in a hurry.
            if not self._stopping.is_set():
                (self._wake if healthy else self._stopping).wait(self._tick)
            if self._stopping.is_set():
                return
