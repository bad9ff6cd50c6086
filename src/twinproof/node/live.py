"""A node with its live side: the feed, the views that follow it, and what they answer together.

    with open_live(folder) as live:
        live.node.intake.submit(...)
        live.states.state("https://fleet.example/engine/1")

Views lie in FOLDER/views and may be deleted at any time.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from twinproof.errors import StorageFailed
from twinproof.node.automation import Automation, automation_key, has_key
from twinproof.node.config import Config
from twinproof.node.node import Clock, Node, WritingNode, open_log
from twinproof.node.service_keys import FORECAST, MONITOR
from twinproof.node.tasks import Task
from twinproof.views.feed import Feed
from twinproof.views.follower import Follower
from twinproof.views.state import StateView
from twinproof.views.telemetry import TelemetryView

if TYPE_CHECKING:
    from twinproof.node.chain_side import ChainSide
    from twinproof.node.forecasting import Forecasting
    from twinproof.node.monitoring import Monitoring

VIEWS: Final = "views"
LAG: Final = 0.5
"""Seconds that intake waits for the states before it reads a twin's model from the log itself."""
STATES: Final = "states.db"
TELEMETRY: Final = "telemetry.duckdb"
TICK: Final = 1.0
"""Seconds between two rounds of a task that nobody wakes."""
REBUILD_CHUNK: Final = 4096
"""Entries folded in between two reports of progress."""


@dataclass(frozen=True)
class Live:
    """What `open_live` opened."""

    node: WritingNode
    feed: Feed
    states: StateView
    telemetry: TelemetryView
    followers: dict[str, Follower]
    """By the view's name; each tells its `problem`, if it has one."""
    automation: Automation | None
    """Judges the alarm rules; None until `twinproof alarm enable` made it a key."""
    forecasting: Forecasting | None = None
    """States what the active models predict; None until `twinproof predictor enable` made it a key."""
    chain: ChainSide | None = None
    """Anchoring and what else connects the log with a chain; None if no chain is set up or nothing is deployed."""
    monitoring: Monitoring | None = None
    """States the cases that detectors make; None until `twinproof monitor enable` made it a key."""


@contextmanager
def open_live(folder: Path, *, config: Config | None = None, clock: Clock = time.time) -> Iterator[Live]:
    """Open a node for writing with its views following; raises as `open_node` does.

    A view that lags behind is caught up in the background, but for the states: intake asks them for
    each twin's model.
    """
    with ExitStack() as stack:
        node = stack.enter_context(open_log(folder, config=config, clock=clock))
        views = _views_folder(node)
        feed = Feed(node.reader)
        states = StateView(views / STATES, feed)
        stack.callback(states.close)
        states.catch_up()
        telemetry = TelemetryView(views / TELEMETRY, feed)
        stack.callback(telemetry.close)
        telemetry.start()
        followers = {"states": Follower("states", states, feed)}
        for follower in followers.values():
            stack.callback(follower.stop)
        node.start(model_of=model_of(states, feed, followers["states"]), on_taken=feed.publish)
        stack.callback(node.intake.stop)
        automation = _automation(node, feed, states)
        if automation is not None:
            automation.start()
            stack.callback(automation.stop)
        forecasting = _forecasting(node, feed, states)
        if forecasting is not None:
            task = Task("forecast", forecasting.step, TICK)
            stack.callback(feed.listen(lambda size: task.wake()))
            task.start()
            # The other way round: the thread is asked, then joined; then what it knew is kept.
            stack.callback(forecasting.keep)
            stack.callback(task.stop)
            stack.callback(forecasting.stop)
        monitoring = _monitoring(node, feed, states)
        if monitoring is not None:
            watching = Task("monitor", monitoring.step, TICK)
            stack.callback(feed.listen(lambda size: watching.wake()))
            watching.start()
            stack.callback(watching.stop)
            stack.callback(monitoring.stop)
        chain = stack.enter_context(_chain_side(node, feed, states))
        if chain is not None:
            chain.start()
            stack.callback(chain.stop)
        yield Live(node, feed, states, telemetry, followers, automation, forecasting, chain, monitoring)


def _forecasting(node: WritingNode, feed: Feed, states: StateView) -> Forecasting | None:
    if not FORECAST.has_key(node.folder):
        return None
    from twinproof.node.forecasting import Forecasting

    settings = node.config.forecast
    return Forecasting(
        node,
        feed,
        states,
        FORECAST.key(node.folder, node.config.origin),
        node.blobs,
        clock=node.clock,
        every_rows=settings.every_rows,
        every_seconds=settings.every_seconds,
        views=_views_folder(node),
    )


def _monitoring(node: WritingNode, feed: Feed, states: StateView) -> Monitoring | None:
    if not MONITOR.has_key(node.folder):
        return None
    from twinproof.node.monitoring import Monitoring

    key = MONITOR.key(node.folder, node.config.origin)
    return Monitoring(node, feed, states, key, clock=node.clock)


def _chain_side(node: WritingNode, feed: Feed, states: StateView) -> AbstractContextManager[ChainSide | None]:
    if not node.config.chain.driver:
        return nullcontext()
    # Who has no chain needs none of its packages.
    from twinproof.node.chain_side import open_chain_side

    return open_chain_side(node, feed, states)


def _automation(node: WritingNode, feed: Feed, states: StateView) -> Automation | None:
    if not has_key(node.folder):
        return None
    key = automation_key(node.folder, node.config.origin)
    return Automation(node, feed, states, key, clock=node.clock)


def model_of(states: StateView, feed: Feed, follower: Follower) -> Callable[[str], str | None]:
    """The twins' models as the states have them, once these are as new as the log; else `LookupError`."""

    def ask(subject: str) -> str | None:
        # A lag of one publication ends in a moment; a view that does not get on is not waited for.
        if not states.wait(feed.size, 0 if follower.problem else LAG):
            raise LookupError("the states lag behind the log")
        try:
            return states.model(subject)
        except StorageFailed as problem:
            raise LookupError("the states cannot be read") from problem

    return ask


def _views_folder(node: Node) -> Path:
    views = node.folder / VIEWS
    views.mkdir(mode=0o700, exist_ok=True)
    return views


def rebuild_views(folder: Path, progress: Callable[[str, int, int], None]) -> dict[str, int]:
    """Drop every view and fold the log in again; entries folded in, by view.

    `progress(view, done, total)` is told now and then. Interrupted, it leaves views that go on when they are opened
    next. Raises `Conflict` while the node is being served, and as `open_node` does.
    """
    with open_log(folder) as node:
        shutil.rmtree(node.folder / VIEWS, ignore_errors=True)
        views = _views_folder(node)
        feed = Feed(node.reader)
        reached: dict[str, int] = {}
        for name, kind, file in (("states", StateView, STATES), ("telemetry", TelemetryView, TELEMETRY)):
            view: StateView | TelemetryView = kind(views / file, feed)
            try:
                while view.catch_up(REBUILD_CHUNK):
                    progress(name, view.reached, feed.size)
                reached[name] = view.reached
            finally:
                view.close()
        return reached
