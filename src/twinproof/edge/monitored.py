"""The monitored items of an OPC UA source, and what a value that a server sends says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.uaerrors import UaError

from twinproof.edge.quality import Quality
from twinproof.edge.signals import Signal
from twinproof.edge.sources import OpcuaRule, OpcuaSource
from twinproof.errors import ConfigError

OVERFLOW: Final = 0x480
"""InfoType DataValue (bits 10 and 11) with the bit Overflow (OPC 10000-4 §7.39): values were dropped by the server."""
INFO_TYPE: Final = 0xC00


@dataclass(slots=True)
class Item:
    """A node that is watched."""

    handle: int
    """Our number for it."""
    subject: str
    name: str
    node: str
    node_id: ua.NodeId
    signal: Signal
    rule: OpcuaRule
    last: tuple[float, object, Quality] | None = None
    """Time, value and quality that came last."""

    @property
    def quality(self) -> str | None:
        """Name of the signal that says how far the value can be relied on."""
        return None if self.rule.quality is None else f"{self.name}{self.rule.quality}"

    def request(self, source: OpcuaSource) -> ua.MonitoredItemCreateRequest:
        """What the server is asked for."""
        parameters = ua.MonitoringParameters()
        parameters.ClientHandle = self.handle
        parameters.SamplingInterval = float(source.sampling_interval)
        parameters.QueueSize = source.queue_size
        parameters.DiscardOldest = True
        deadband = self.rule.deadband or self.rule.deadband_percent
        if deadband:
            change = ua.DataChangeFilter()
            change.Trigger = ua.DataChangeTrigger.StatusValue
            change.DeadbandType = ua.DeadbandType.Absolute if self.rule.deadband else ua.DeadbandType.Percent
            change.DeadbandValue = deadband
            parameters.Filter = change
        request = ua.MonitoredItemCreateRequest()
        request.ItemToMonitor = ua.ReadValueId(NodeId=self.node_id, AttributeId=AttributeIds.Value)
        request.MonitoringMode = ua.MonitoringMode.Reporting
        request.RequestedParameters = parameters
        return request


def make_items(source: OpcuaSource) -> dict[int, Item]:
    """The items of all rules by handle; raises `ConfigError` for a node id that is none."""
    items: dict[int, Item] = {}
    for rule in source.map:
        subject = rule.twin.fill_iri({})
        for signal in rule.signals:
            node = signal.at or ""
            try:
                node_id = ua.NodeId.from_string(node)
            except (UaError, ValueError, TypeError) as problem:
                raise ConfigError(
                    f"opcua {source.name!r}: {node!r} is no node id such as ns=2;s=Line1.Speed ({problem})"
                ) from None
            handle = len(items) + 1
            items[handle] = Item(handle, subject, signal.name.fill({}), node, node_id, signal, rule)
    return items


class Change(NamedTuple):
    """What a server says of a node."""

    value: object
    """A number, boolean or text; a list or anything else as asyncua has it; None if there is no usable value."""
    time: float
    """Seconds since 1970: of the source, else of the server, else of arrival."""
    quality: Quality
    overflow: bool


def read_change(data: Any, arrival: float) -> Change:
    """Read a DataValue (OPC 10000-4 §7.11)."""
    status = data.StatusCode
    code = 0 if status is None else int(status.value)
    overflow = code & INFO_TYPE == 0x400 and code & OVERFLOW == OVERFLOW
    stamp = data.SourceTimestamp or data.ServerTimestamp
    time = arrival if stamp is None else _seconds(stamp)
    # Severity 11 is reserved, and is to be treated as bad (§7.39.1).
    if code >> 31:
        return Change(None, time, Quality.BAD, overflow)
    value = None if data.Value is None else _plain(data.Value.Value)
    if value is None:
        return Change(None, time, Quality.BAD, overflow)
    return Change(value, time, Quality.UNCERTAIN if code >> 30 else Quality.GOOD, overflow)


def _seconds(stamp: datetime) -> float:
    return (stamp if stamp.tzinfo is not None else stamp.replace(tzinfo=UTC)).timestamp()


def _plain(value: Any) -> object:
    if isinstance(value, ua.LocalizedText):
        return value.Text
    if isinstance(value, datetime):
        return (value if value.tzinfo is not None else value.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    plain: object = value
    # asyncua's enumerations are integers of their own kind.
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else plain
