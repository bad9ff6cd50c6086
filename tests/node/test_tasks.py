"""Tasks: a round at once, a round when woken, none after the end; and what failed rests."""

from __future__ import annotations

import threading

import pytest

from twinproof.errors import ChainUnreachable, InternalError
from twinproof.node.tasks import Rounds as NodeRounds
from twinproof.node.tasks import Task

FOREVER = 10_000.0
"""A tick that no test waits for."""
LONG = 30.0


class Rounds:
    """Counts rounds, lets the test wait for the n-th, and answers as told."""

    def __init__(self, answer: bool = True) -> None:
        self.answer = answer
        self.done = 0
        self._changed = threading.Condition()

    def __call__(self) -> bool:
        with self._changed:
            self.done += 1
            self._changed.notify_all()
        return self.answer

    def wait(self, number: int) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self.done >= number, LONG)


def test_it_begins_at_once_and_goes_on_when_woken() -> None:
    rounds = Rounds()
    task = Task("test", rounds, FOREVER)
    task.start()
    try:
        for number in (1, 2, 3):
            assert rounds.wait(number)
            task.wake()
        assert rounds.wait(4)
    finally:
        task.stop()
    done = rounds.done
    task.wake()
    assert rounds.done == done == 4


def test_it_comes_again_after_a_tick() -> None:
    rounds = Rounds()
    task = Task("test", rounds, 0.001)
    task.start()
    try:
        assert rounds.wait(3)
    finally:
        task.stop()


def test_what_failed_is_not_hurried() -> None:
    rounds = Rounds(answer=False)
    task = Task("test", rounds, FOREVER)
    task.start()
    assert rounds.wait(1)
    task.wake()
    task.stop()
    assert rounds.done == 1


def test_stopping_ends_a_rest_and_what_never_began() -> None:
    failing = Task("test", Rounds(answer=False), FOREVER)
    failing.start()
    failing.stop()
    Task("test", Rounds(), FOREVER).stop()


class Failing(NodeRounds):
    """Raises what it is given, one thing a round."""

    def __init__(self, *problems: Exception | None) -> None:
        super().__init__("the test")
        self.problems = list(problems)
        self.repaired = 0

    def _round(self) -> None:
        if (problem := self.problems.pop(0)) is not None:
            raise problem

    def _after_defect(self) -> None:
        self.repaired += 1


def test_a_failure_is_kept_and_said_once_until_a_round_goes_well(caplog: pytest.LogCaptureFixture) -> None:
    gone = ChainUnreachable("gone")
    service = Failing(gone, gone, None, gone)
    assert not service.step()
    assert str(service.problem) == "gone"
    assert not service.step()
    assert len(caplog.records) == 1
    assert (service.step(), service.problem) == (True, None)
    assert not service.step()
    assert [record.message for record in caplog.records] == [f"{gone.code}: gone"] * 2


def test_a_defect_is_a_failure_that_is_put_in_order(caplog: pytest.LogCaptureFixture) -> None:
    service = Failing(ZeroDivisionError("by zero"), None)
    assert not service.step()
    assert isinstance(service.problem, InternalError)
    assert "ZeroDivisionError: by zero" in str(service.problem)
    assert (service.repaired, caplog.records[0].message) == (1, "the test failed")
    assert service.step()


def test_a_part_of_a_round_fails_as_a_round_does() -> None:
    service, heard = Failing(), []

    def part() -> None:
        raise ZeroDivisionError

    assert not service._attempt(part)
    assert isinstance(service.problem, InternalError)
    assert service._attempt(lambda: heard.append(1))
    assert heard == [1]
    assert isinstance(service.problem, InternalError), "the round before failed all the same"
