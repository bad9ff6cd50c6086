"""Tasks: a round at once, a round when woken, none after the end; and what failed rests."""

from __future__ import annotations

import threading

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
