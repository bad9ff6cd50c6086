"""The sources of a mapping file: connection settings and rules, one pair of dataclasses per protocol.

docs/connectors.md explains every key. Each class is read by `edge.settings.read_table`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from pathlib import Path
from typing import Annotated

from twinproof.edge.patterns import Pattern, Template, contains, overlaps, parse_pattern
from twinproof.edge.settings import (
    Place,
    Secret,
    boolean,
    choice,
    decimal,
    file_path,
    number,
    parsed,
    secret,
    table,
    tables,
    text,
)
from twinproof.edge.signals import Signal, Time, check_templates, need_at, quality_suffix, twin_template, url
from twinproof.errors import Malformed

_POINTER = re.compile(r"(/([^~/]|~0|~1)*)*\Z")
_SOURCE_NAME = re.compile(r"[a-z0-9][a-z0-9\-_.]{0,62}\Z")
_FACTOR = re.compile(r"[0-9]{1,9}(\.[0-9]{1,6})?\Z")


def _source_name(value: str) -> str:
    if not _SOURCE_NAME.match(value):
        raise Malformed("name", "a source's name is 1 to 63 of a-z 0-9 - _ .")
    return value


# --- MQTT --------------------------------------------------------------------------------------


class MqttVersion(StrEnum):
    """Versions of MQTT."""

    V5 = "5"
    V311 = "3.1.1"


class Acknowledge(StrEnum):
    """When a message is acknowledged to its broker."""

    LOG = "log"
    """Once the log holds what was in it."""
    OUTBOX = "outbox"
    """Once it is on the gateway's disk."""


class Payload(StrEnum):
    """What is in a message."""

    TEXT = "text"
    """One value as UTF-8 text."""
    JSON = "json"
    CBOR = "cbor"
    """Deterministic CBOR (RFC 8949 §4.2.1)."""
    SENML_JSON = "senml-json"
    SENML_CBOR = "senml-cbor"
    """SenML packs (RFC 8428 §5, §6); names and units are the pack's."""
    STATEMENT = "statement"
    """A signed statement, carried unchanged."""


@dataclass(frozen=True, slots=True)
class Tls:
    """TLS; the server's certificate and name are always checked. `tls = {}` takes the system's authorities."""

    ca: Annotated[Path | None, file_path] = None
    """PEM file of authorities instead of the system's."""
    cert: Annotated[Path | None, file_path] = None
    """PEM file of the client's certificate (chain)."""
    key: Annotated[Path | None, file_path] = None
    """PEM file of the client's key."""

    def check(self, place: Place) -> None:
        """Certificate and key come together."""
        if (self.cert is None) != (self.key is None):
            raise place.error("key" if self.key is None else "cert", "is missing: cert and key come together")


@dataclass(frozen=True, slots=True)
class Broker:
    """A connection to an MQTT broker."""

    host: Annotated[str, text(255)]
    port: Annotated[int | None, number(1, 65535)] = None
    """By default 8883 with TLS and 1883 without."""
    version: Annotated[MqttVersion, choice(MqttVersion)] = MqttVersion.V5
    client_id: Annotated[str | None, text(128)] = None
    """Names the session that the broker keeps; by default made of issuer and source."""
    username: Annotated[str | None, text()] = None
    password: Annotated[Secret | None, secret] = None
    tls: Annotated[Tls | None, table(Tls)] = None
    keepalive: Annotated[int, number(5, 3600)] = 30
    """Seconds."""
    session_expiry: Annotated[int, number(60, 0xFFFFFFFE)] = 7 * 86400
    """Seconds that the broker is asked to keep the session while we are away (MQTT 5)."""
    status_topic: Annotated[str | None, text()] = None
    """Where `online` and, as last will, `offline` are published, retained; by default nowhere."""

    @property
    def address(self) -> tuple[str, int]:
        """(host, port)."""
        return self.host, self.port or (8883 if self.tls else 1883)

    def check(self, place: Place) -> None:
        """A password without TLS goes to this machine alone."""
        if self.password is not None and self.username is None and self.version is MqttVersion.V311:
            raise place.error("username", "is missing: MQTT 3.1.1 has no password without one")
        if self.status_topic is not None and any(mark in self.status_topic for mark in "+#{}"):
            raise place.error("status_topic", "must be a plain topic")


@dataclass(frozen=True, slots=True)
class MqttRule:
    """Messages of a topic, and what is in them."""

    topic: Annotated[Pattern, parsed(parse_pattern)]
    twin: Annotated[Template | None, parsed(twin_template)] = None
    """IRI of the twin; for statements optional: then the subject must be this twin."""
    payload: Annotated[Payload, choice(Payload)] = Payload.TEXT
    time: Annotated[Time | None, table(Time)] = None
    signals: Annotated[tuple[Signal, ...], tables(Signal)] = ()

    @property
    def has_time(self) -> bool:
        """Whether messages carry their own time, so that the same bytes twice are one message."""
        return self.time is not None or self.payload is Payload.STATEMENT

    def check(self, place: Place) -> None:
        """The keys fit the payload."""
        packed = self.payload in (Payload.SENML_JSON, Payload.SENML_CBOR, Payload.STATEMENT)
        if self.twin is None and self.payload is not Payload.STATEMENT:
            raise place.error("twin", "is missing")
        if packed and (self.signals or self.time):
            raise place.error("signals" if self.signals else "time", f"is no key beside payload = {self.payload}")
        if not packed and not self.signals:
            raise place.error("signals", "is missing")
        if self.payload is Payload.TEXT:
            if len(self.signals) != 1 or self.signals[0].at is not None or self.time is not None:
                raise place.error("signals", "must be one signal without at, and no time, where the payload is text")
        else:
            for at, signal in enumerate(self.signals, 1):
                _check_pointer(signal.at, place.inside("signals", at))
            if self.time is not None:
                _check_pointer(self.time.at, place.inside("time"))
        if self.twin is not None:
            check_templates(self.twin, self.signals, self.topic.names, place)


def _check_pointer(pointer: str | None, place: Place) -> None:
    if pointer is not None and not _POINTER.match(pointer):
        raise place.error("at", f"{pointer!r:.80} is not a JSON pointer (RFC 6901), such as /data/temperature")


@dataclass(frozen=True, slots=True)
class MqttSource:
    """Topics of one broker."""

    name: Annotated[str, parsed(_source_name)]
    broker: Annotated[Broker, table(Broker)]
    map: Annotated[tuple[MqttRule, ...], tables(MqttRule)]
    qos: Annotated[int, number(0, 1)] = 1
    acknowledge: Annotated[Acknowledge, choice(Acknowledge)] = Acknowledge.LOG
    retained: Annotated[bool, boolean] = False
    """Whether messages that the broker had kept from before we subscribed are recorded."""
    window: Annotated[int | None, number(1, 65535)] = None
    """Messages that may wait for their acknowledgement: by default 1000 with MQTT 5, where the broker is told,
    and 20 with 3.1.1, where it is Mosquitto's own limit."""
    remember: Annotated[int, number(0, 10_000_000)] = 100_000
    """Messages with their own time whose digests are kept, to know a repetition."""

    @property
    def in_flight(self) -> int:
        """`window` or its default."""
        return self.window or (1000 if self.broker.version is MqttVersion.V5 else 20)

    @property
    def filters(self) -> list[str]:
        """The topic filters to subscribe to: none contains another."""
        patterns = list({rule.topic.filter: rule.topic for rule in self.map}.values())
        return [one.filter for one in patterns if not any(contains(o, one) for o in patterns if o is not one)]

    def check(self, place: Place) -> None:
        """A broker may deliver a message once for each filter that it matches, so filters must not overlap."""
        for (one, left), (other, right) in combinations(enumerate(self.map, 1), 2):
            a, b = left.topic, right.topic
            if overlaps(a, b) and not contains(a, b) and not contains(b, a):
                raise place.inside("map", other).error(
                    "topic",
                    f"{b.text!r} and that of map {one}, {a.text!r}, overlap and neither contains the other: a broker"
                    " may deliver such messages twice. Give them to two sources",
                )


# --- Sparkplug ---------------------------------------------------------------------------------


def _segment(value: str) -> Pattern:
    pattern = parse_pattern(value)
    if len(pattern.levels) != 1 or pattern.levels[0] == "#":
        raise Malformed("segment", "must be one level: a literal, + or {name}")
    return pattern


@dataclass(frozen=True, slots=True)
class SparkplugRule:
    """Metrics of edge nodes or devices; `at` of a signal is the metric's name."""

    group: Annotated[Pattern, parsed(_segment)]
    node: Annotated[Pattern, parsed(_segment)]
    twin: Annotated[Template, parsed(twin_template)]
    signals: Annotated[tuple[Signal, ...], tables(Signal)]
    device: Annotated[Pattern | None, parsed(_segment)] = None
    """Absent: metrics of the edge node itself."""
    quality: Annotated[str | None, parsed(quality_suffix)] = None
    """Ending of a text signal beside each signal that says good, uncertain, bad or stale, such as `.quality`."""

    def check(self, place: Place) -> None:
        """Groups are named once, templates have theirs, signals their metric."""
        segments = [self.group, self.node, *([self.device] if self.device else [])]
        names = [name for segment in segments for name in segment.names]
        if len(set(names)) < len(names):
            raise place.error("group", f"{{{next(n for n in names if names.count(n) > 1)}}} is the name of two levels")
        need_at(self.signals, place, "the name of the metric")
        check_templates(self.twin, self.signals, frozenset(names), place)


@dataclass(frozen=True, slots=True)
class SparkplugSource:
    """A Sparkplug host application on one broker."""

    name: Annotated[str, parsed(_source_name)]
    broker: Annotated[Broker, table(Broker)]
    map: Annotated[tuple[SparkplugRule, ...], tables(SparkplugRule)]
    host_id: Annotated[str | None, text(128)] = None
    """Name as a primary host application (STATE messages); absent: none."""
    reorder_timeout: Annotated[float, decimal(0.01, 60)] = 2.0
    """Seconds that a missing message is waited for."""
    acknowledge: Annotated[Acknowledge, choice(Acknowledge)] = Acknowledge.LOG
    window: Annotated[int | None, number(1, 65535)] = None
    """As in `MqttSource`."""


# --- OPC UA ------------------------------------------------------------------------------------


class OpcuaPolicy(StrEnum):
    """Security policies of OPC UA (Part 7)."""

    BASIC256_SHA256 = "Basic256Sha256"
    AES128_SHA256_RSA_OAEP = "Aes128Sha256RsaOaep"
    AES256_SHA256_RSA_PSS = "Aes256Sha256RsaPss"


class OpcuaSecurity(StrEnum):
    """Message security of OPC UA."""

    NONE = "none"
    SIGN = "sign"
    SIGN_AND_ENCRYPT = "sign-and-encrypt"


@dataclass(frozen=True, slots=True)
class OpcuaRule:
    """Nodes of one server; `at` of a signal is a node id such as `ns=2;s=Line1.Temperature`."""

    twin: Annotated[Template, parsed(twin_template)]
    signals: Annotated[tuple[Signal, ...], tables(Signal)]
    deadband: Annotated[float, decimal(0, 1e300)] = 0.0
    """Changes that are no larger are not sent by the server; in the node's unit, before scaling. 0: every change."""
    deadband_percent: Annotated[float, decimal(0, 100)] = 0.0
    """The same in percent of the node's range (EURange), which the node must have."""
    quality: Annotated[str | None, parsed(quality_suffix)] = None
    """As in `SparkplugRule`."""

    def check(self, place: Place) -> None:
        """There are no groups to fill in, signals have their node, and there is one deadband."""
        if self.deadband and self.deadband_percent:
            raise place.error("deadband_percent", "is no key beside deadband")
        need_at(self.signals, place, "the id of the node")
        check_templates(self.twin, self.signals, frozenset(), place)


@dataclass(frozen=True, slots=True)
class OpcuaSource:
    """Subscriptions to one OPC UA server."""

    name: Annotated[str, parsed(_source_name)]
    url: Annotated[str, parsed(url("opc.tcp"))]
    map: Annotated[tuple[OpcuaRule, ...], tables(OpcuaRule)]
    security: Annotated[OpcuaSecurity, choice(OpcuaSecurity)] = OpcuaSecurity.SIGN_AND_ENCRYPT
    policy: Annotated[OpcuaPolicy, choice(OpcuaPolicy)] = OpcuaPolicy.BASIC256_SHA256
    cert: Annotated[Path | None, file_path] = None
    key: Annotated[Path | None, file_path] = None
    server_cert: Annotated[Path | None, file_path] = None
    application_uri: Annotated[str | None, text()] = None
    """Application URI of our certificate; by default the issuer's IRI."""
    username: Annotated[str | None, text()] = None
    password: Annotated[Secret | None, secret] = None
    publishing_interval: Annotated[int, number(10, 3_600_000)] = 500
    """Milliseconds."""
    sampling_interval: Annotated[int, number(0, 3_600_000)] = 100
    """Milliseconds; 0 is as fast as the server can."""
    queue_size: Annotated[int, number(1, 1_000_000)] = 100
    """Values that the server keeps for each node between two publications."""


# --- files -------------------------------------------------------------------------------------


class FileFormat(StrEnum):
    """How a file holds its rows."""

    CSV = "csv"
    PARQUET = "parquet"


@dataclass(frozen=True, slots=True)
class FileRule:
    """Columns of a file: in `twin` and names, `{column}` is that column's text. `at` of a signal is a column."""

    twin: Annotated[Template, parsed(twin_template)]
    signals: Annotated[tuple[Signal, ...], tables(Signal)]

    def check(self, place: Place) -> None:
        """Signals have their column."""
        need_at(self.signals, place, "the name of the column")


def _speed(value: str) -> float | None:
    if value == "fastest":
        return None
    if not _FACTOR.match(value) or float(value) == 0:
        raise Malformed("speed", 'not "fastest" or a factor such as "1" or "86400"')
    return float(value)


@dataclass(frozen=True, slots=True)
class FileSource:
    """A file whose rows are played as if they came in now."""

    name: Annotated[str, parsed(_source_name)]
    path: Annotated[Path, file_path]
    map: Annotated[tuple[FileRule, ...], tables(FileRule)]
    format: Annotated[FileFormat | None, choice(FileFormat)] = None
    """By default by the file's ending."""
    time: Annotated[Time | None, table(Time)] = None
    """Column of the row's time; absent: `start` and `step`."""
    start: Annotated[float | None, decimal(2**28, 253_402_300_799)] = None
    """POSIX seconds of the first row, where the file has no times."""
    step: Annotated[float | None, decimal(1e-6, 1e9)] = None
    """Seconds from row to row, where the file has no times."""
    speed: Annotated[float | None, parsed(_speed)] = None
    """Seconds of the file that pass in one second; None (`fastest`, the default): as fast as the log takes them."""

    def check(self, place: Place) -> None:
        """There is one way to know the time, and the format is known."""
        clocked = self.start is not None and self.step is not None
        if (self.time is None) != clocked or (self.time is not None and (self.start or self.step)):
            raise place.error("time", "must be given, or else both start and step")
        if self.format is None and self.path.suffix.lower() not in (".csv", ".parquet"):
            raise place.error("format", f"must be csv or parquet: {self.path.name} does not say it")

    @property
    def kind(self) -> FileFormat:
        """`format`, or what the file's ending says."""
        return self.format or FileFormat(self.path.suffix.lower()[1:])
