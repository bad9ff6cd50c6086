"""Numbers for Prometheus: what intake takes and refuses, how far the views are, how requests fare."""

from __future__ import annotations

import time
from collections import Counter as Count
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import Metric
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from twinproof.node.intake import Accepted, GroupReport
from twinproof.node.live import Live
from twinproof.server.access import ROUTE
from twinproof.server.parameters import Reached

if TYPE_CHECKING:
    from twinproof.node.chain_side import ChainSide
    from twinproof.node.forecasting import Forecasting
    from twinproof.node.monitoring import Monitoring

MEDIA_TYPE: Final = CONTENT_TYPE_LATEST
_SECONDS: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_STATEMENTS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


class Metrics:
    """The numbers of one node; `render` gives them in Prometheus' text format."""

    def __init__(self, live: Live, views: Mapping[str, Reached], clock: Callable[[], float] = time.time) -> None:
        self._live = live
        self._views = views
        self._clock = clock
        self.registry = registry = CollectorRegistry()
        self._taken = Counter(
            "twinproof_statements", "Statements by outcome: new, known, or the refusal's code", ["outcome"],
            registry=registry,
        )  # fmt: skip
        self._group = Histogram(
            "twinproof_group_statements", "Statements decided on together", buckets=_STATEMENTS, registry=registry
        )
        self._intake = Histogram(
            "twinproof_group_seconds", "Time from taking a group to its outcomes", buckets=_SECONDS, registry=registry
        )
        self._commit = Histogram(
            "twinproof_commit_seconds", "Time of the durable write", buckets=_SECONDS, registry=registry
        )
        self.requests = Counter("twinproof_http_requests", "Requests", ["method", "route", "status"], registry=registry)
        self.latency = Histogram(
            "twinproof_http_seconds", "Time to the first byte of the answer", ["route"], buckets=_SECONDS,
            registry=registry,
        )  # fmt: skip
        ProcessCollector(registry=registry)
        registry.register(self)

    def render(self) -> bytes:
        """All numbers as they are now."""
        return generate_latest(self.registry)

    def on_group(self, report: GroupReport) -> None:
        """Intake decided on a group."""
        outcomes = Count(
            ("new" if outcome.new else "known") if isinstance(outcome, Accepted) else outcome.code
            for outcome in report.outcomes
        )
        for outcome, number in outcomes.items():
            self._taken.labels(outcome).inc(number)
        self._group.observe(len(report.outcomes))
        self._intake.observe(report.seconds)
        if report.commit_seconds is not None:
            self._commit.observe(report.commit_seconds)

    def collect(self) -> Iterator[Metric]:
        """What is looked at when it is asked for."""
        node = self._live.node
        statements, size = node.intake.queued
        head = node.reader.head()
        yield GaugeMetricFamily("twinproof_queue_statements", "Statements waiting for the writer", statements)
        yield GaugeMetricFamily("twinproof_queue_bytes", "Bytes waiting for the writer", size)
        yield GaugeMetricFamily("twinproof_log_size", "Published entries", head.size)
        age = max(0.0, self._clock() - head.time)
        yield GaugeMetricFamily("twinproof_checkpoint_age_seconds", "Age of the newest checkpoint", age)
        behind = GaugeMetricFamily(
            "twinproof_view_behind_entries", "Published entries that a view has not taken in yet", labels=["view"]
        )
        for name, view in self._views.items():
            behind.add_metric([name], max(0, head.size - view.reached))
        yield behind
        if self._live.forecasting is not None:
            yield from _of_forecasting(self._live.forecasting, head.size)
        if self._live.monitoring is not None:
            yield from _of_monitoring(self._live.monitoring, head.size)
        if self._live.chain is not None:
            yield from _of_chain(self._live.chain)


def _of_forecasting(task: Forecasting, size: int) -> Iterator[Metric]:
    yield GaugeMetricFamily("twinproof_forecast_twins", "Twins with a predictor in use", task.twins)
    yield GaugeMetricFamily("twinproof_forecast_behind_entries", "Entries not read yet", max(0, size - task.reached))
    yield GaugeMetricFamily("twinproof_forecast_waiting", "Predictions that are not in the log yet", task.waiting)
    yield CounterMetricFamily("twinproof_forecast_stated", "Predictions that became entries", task.stated)
    yield CounterMetricFamily("twinproof_forecast_refused", "Predictions that the log did not take", task.refused)
    withheld = CounterMetricFamily(
        "twinproof_forecast_withheld", "Rows that allowed none, by reason", labels=["reason"]
    )
    for name, number in list(task.withheld.items()):
        withheld.add_metric([name], number)
    yield withheld


def _of_monitoring(task: Monitoring, size: int) -> Iterator[Metric]:
    yield GaugeMetricFamily("twinproof_monitor_twins", "Twins that a monitor watches", task.twins)
    yield GaugeMetricFamily("twinproof_monitor_behind_entries", "Entries not read yet", max(0, size - task.reached))
    yield GaugeMetricFamily("twinproof_monitor_waiting", "Cases that are not in the log yet", task.waiting)
    yield CounterMetricFamily("twinproof_monitor_stated", "Raises and clears that became entries", task.stated)
    yield CounterMetricFamily("twinproof_monitor_refused", "Raises and clears that the log did not take", task.refused)
    passed = GaugeMetricFamily(
        "twinproof_monitor_findings", "Readings that monitors in force passed over, by reason", labels=["reason"]
    )
    for name, number in sorted(task.passed_over().items()):
        passed.add_metric([name], number)
    yield passed


def _of_chain(side: ChainSide) -> Iterator[Metric]:
    report = side.anchoring.report
    yield GaugeMetricFamily("twinproof_anchor_size", "Entries that the newest anchor covers", report.size)
    yield GaugeMetricFamily("twinproof_anchor_time_seconds", "When it was anchored, POSIX seconds", report.time)
    yield GaugeMetricFamily("twinproof_anchor_block", "Block of the newest confirmed anchor", report.block)
    yield GaugeMetricFamily("twinproof_anchors", "Anchors of this log on the chain", report.count)
    yield GaugeMetricFamily("twinproof_anchor_behind_entries", "Entries that no anchor covers", report.behind_entries)
    yield GaugeMetricFamily(
        "twinproof_anchor_behind_seconds", "Age of the newest anchor, if it does not cover all", report.behind_seconds
    )
    yield GaugeMetricFamily("twinproof_anchor_spent_wei", "Paid for confirmed anchors", report.spent)
    yield GaugeMetricFamily("twinproof_anchor_forked", "1 if the chain contradicts this log", report.forked)
    if side.events is not None:
        yield GaugeMetricFamily("twinproof_chain_next_block", "Block that is read next", side.events.reached)
        yield CounterMetricFamily("twinproof_chain_events", "Events of contracts that were stated", side.events.stated)
    if side.relay is not None:
        yield GaugeMetricFamily("twinproof_relay_open", "Predictions that may place an order", side.relay.open_cases)
        decisions = CounterMetricFamily("twinproof_relay_decisions", "What became of them", labels=["decision"])
        for name, number in list(side.relay.decisions.items()):
            decisions.add_metric([name], number)
        yield decisions


class Measured:
    """ASGI, outermost: counts and times every request."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                route = scope.get(ROUTE, "none")
                self._metrics.latency.labels(route).observe(time.perf_counter() - began)
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            # A path that no route knows could be anything, and so could a method: they must not grow the table.
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._metrics.requests.labels(method, scope.get(ROUTE, "none"), str(status)).inc()


_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
