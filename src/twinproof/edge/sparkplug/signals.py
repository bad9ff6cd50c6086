"""The metrics that an edge node's births declared: names, aliases, datatypes; and what a message says of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from twinproof.edge.quality import Quality
from twinproof.edge.sparkplug.datatypes import DataType, Meaning, datatype_of, parse_value
from twinproof.edge.sparkplug.events import Event, Lost, Marked, Sample
from twinproof.edge.sparkplug.messages import Metric, Payload
from twinproof.edge.sparkplug.topics import Source
from twinproof.errors import Malformed, TooLarge
from twinproof.twin.reading import RELATIVE_BELOW, TIME_LIMIT

BD_SEQ: Final = "bdSeq"
REBIRTH: Final = "Node Control/Rebirth"
CONTROLS: Final = ("Node Control/", "Device Control/")
"""Metrics that command, and measure nothing."""
MAX_SIGNALS: Final = 100_000
"""Metrics of one edge node and its devices."""
MAX_DEVICES: Final = 10_000
MAX_NAME: Final = 1024

_QUALITY: Final = "Quality"
_UNCERTAIN: Final = 64
"""Codes from here on are the uncertain and good ones of classic OPC, which some edge nodes send."""
_GOOD: Final = 192
_STALE: Final = 500


@dataclass(slots=True)
class Signal:
    """A declared metric."""

    source: Source
    name: str
    alias: int | None
    datatype: DataType
    last: tuple[float, Meaning] | None = None
    """Time and value of the newest sample: a birth repeats it."""
    quality: Quality = Quality.GOOD


class Undeclared(Malformed):
    """A metric that no birth declared: a rebirth will tell."""


class Signals:
    """All metrics of one edge node and its devices, by source.

    Aliases are unique among all of them (Sparkplug 3.0 §6.4.7), but some edge nodes number each device anew: an
    alias is looked up among the metrics of the source that the topic names.
    """

    def __init__(self) -> None:
        self._names: dict[Source, dict[str, Signal]] = {}
        self._aliases: dict[Source, dict[int, Signal]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def declare(self, source: Source, metrics: tuple[Metric, ...]) -> None:
        """What a birth of `source` declares takes the place of what an earlier one did.

        Raises `Malformed` and then changes nothing.
        """
        names: dict[str, Signal] = {}
        aliases: dict[int, Signal] = {}
        before = self._names.get(source, {})
        for number, metric in enumerate(metrics, 1):
            name = metric.name
            if not name or len(name) > MAX_NAME:
                raise Malformed(f"metric {number}", f"a birth declares names of 1 to {MAX_NAME} characters")
            if name in names:
                raise Malformed(name, "is declared twice")
            signal = Signal(source, name, metric.alias, datatype_of(metric.datatype, name))
            if name in before and before[name].datatype is signal.datatype:
                signal.last, signal.quality = before[name].last, before[name].quality
            names[name] = signal
            if metric.alias is not None:
                if metric.alias in aliases:
                    raise Malformed(name, f"its alias {metric.alias} is that of {aliases[metric.alias].name}")
                aliases[metric.alias] = signal
        count = self._count - len(before) + len(names)
        if count > MAX_SIGNALS or (source not in self._names and len(self._names) > MAX_DEVICES):
            raise TooLarge("metrics", f"more than {MAX_SIGNALS} of one edge node, or {MAX_DEVICES} devices")
        self._names[source], self._aliases[source], self._count = names, aliases, count

    def mark_stale(self, source: Source) -> None:
        """The source is dead: each of its metrics is news again when it comes."""
        for signal in self._names.get(source, {}).values():
            signal.quality = Quality.STALE

    def forget_aliases(self) -> None:
        """A new birth of the node numbers everything anew; names keep their newest value."""
        self._aliases.clear()

    def find(self, source: Source, metric: Metric) -> Signal:
        """The declared metric; raises `Undeclared`, or `Malformed` if name and alias contradict each other."""
        if metric.name is not None:
            signal = self._names.get(source, {}).get(metric.name)
            if signal is None:
                raise Undeclared(metric.name[:80], "was not declared by a birth")
            if metric.alias is not None and metric.alias != signal.alias:
                raise Malformed(metric.name, f"has the alias {metric.alias}; its birth said {signal.alias}")
            return signal
        if metric.alias is None:
            raise Malformed("metric", "has neither name nor alias")
        signal = self._aliases.get(source, {}).get(metric.alias)
        if signal is None:
            raise Undeclared(f"alias {metric.alias}", "was not declared by a birth")
        return signal


def read_metrics(signals: Signals, source: Source, payload: Payload, now: float) -> Iterator[Event | Undeclared]:
    """What a birth or data message of `source` says of its metrics, in order; `Undeclared` for each unknown one."""
    for metric in payload.metrics:
        try:
            signal = signals.find(source, metric)
        except Undeclared as problem:
            yield problem
            continue
        except Malformed as problem:
            yield Lost(source, now, str(problem))
            continue
        if signal.name == BD_SEQ or signal.name.startswith(CONTROLS):
            continue
        yield from _read_metric(signal, metric, payload, now)


def _read_metric(signal: Signal, metric: Metric, payload: Payload, now: float) -> Iterator[Event]:
    stamp = metric.timestamp if metric.timestamp is not None else payload.timestamp
    time = now if stamp is None else stamp / 1000
    if not RELATIVE_BELOW <= time < TIME_LIMIT:
        yield Lost(signal.source, now, f"{signal.name}: its time of {stamp} ms is not between 1978 and 9999")
        return
    try:
        quality, value, reason = _judge(signal, metric)
    except Malformed as problem:
        quality, value, reason = Quality.BAD, None, problem.reason
    if quality is not signal.quality and not metric.is_historical:
        signal.quality = quality
        yield Marked(signal.source, signal.name, quality, time, reason)
    # A birth repeats the newest value of each metric; with the same time it is the same measurement.
    if value is not None and (
        signal.last is None or (*signal.last, type(signal.last[1])) != (time, value, type(value))
    ):
        yield Sample(signal.source, signal.name, value, time, bool(metric.is_historical), bool(metric.is_transient))
        if not metric.is_historical:
            signal.last = (time, value)


def _judge(signal: Signal, metric: Metric) -> tuple[Quality, Meaning | None, str]:
    if metric.datatype not in (None, signal.datatype):
        raise Malformed(signal.name, f"has the datatype {metric.datatype}; its birth said {int(signal.datatype)}")
    if metric.is_null:
        return Quality.BAD, None, "is null"
    if metric.value is None:
        return Quality.BAD, None, "has no value"
    code = quality_code(metric)
    if code == _STALE:
        return Quality.STALE, None, "marked stale by the edge node"
    if code is not None and code < _UNCERTAIN:
        return Quality.BAD, None, f"marked bad by the edge node (quality {code})"
    value = parse_value(metric.value, signal.datatype, signal.name)
    if code is None or code == _GOOD:
        return Quality.GOOD, value, ""
    return Quality.UNCERTAIN, value, f"quality {code}"


def quality_code(metric: Metric) -> int | None:
    """The property `Quality` of a metric (Sparkplug 3.0 §6.4.10); raises `Malformed` for one that is no Int32."""
    if metric.properties is None:
        return None
    keys, values = metric.properties.keys, metric.properties.values
    if len(keys) != len(values):
        raise Malformed("properties", f"{len(keys)} keys and {len(values)} values")
    found = dict(zip(keys, values, strict=True)).get(_QUALITY)
    if found is None or found.is_null or found.value is None:
        return None
    code = parse_value(found.value, DataType.INT32, _QUALITY)
    assert isinstance(code, int)  # noqa: S101 - what an INT32 means
    return code


def bd_seq_of(payload: Payload) -> int | None:
    """The number that an edge node's birth and death share; None if it is not given."""
    for metric in payload.metrics:
        if metric.name == BD_SEQ and metric.value is not None and metric.value.kind in ("int", "long"):
            return int(metric.value.value)
    return None
