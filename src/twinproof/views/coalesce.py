"""The newest of each twin over a span of the log: what a console draws, instead of every entry.

    {"type": "latest", "index": 107, "since": 42, "twins": [
      {"twin": IRI, "index": 107, "iat": s, "kinds": {"readings": 3, "description": 1},
       "readings": {"T24": {"value": 641.5, "unit": "K", "time": s, "index": 105}},
       ? "set": {name: value}, ? "unset": [name], ? "model": IRI, ? "lifecycle": text}]}

stands for the wanted entries after `since` up to `index`. `kinds` counts them; what the other members
do not show of them has to be asked for.
"""

from __future__ import annotations

from typing import Any

from twinproof.twin.columns import Columns
from twinproof.twin.description import Description
from twinproof.twin.reading import Reading
from twinproof.views.feed import Item
from twinproof.views.state.values import to_json


class Latest:
    """Gathers entries in log order until `take`."""

    def __init__(self) -> None:
        self._twins: dict[str, dict[str, Any]] = {}
        self.entries = 0
        """Entries gathered."""

    @property
    def twins(self) -> int:
        """Twins gathered."""
        return len(self._twins)

    def add(self, item: Item) -> None:
        """Take in one entry."""
        self.entries += 1
        subject = item.statement.subject
        twin = self._twins.get(subject)
        if twin is None:
            twin = self._twins[subject] = {"twin": subject, "index": 0, "iat": 0, "kinds": {}, "readings": {}}
        twin["index"], twin["iat"] = item.index, item.statement.issued_at
        kinds = twin["kinds"]
        kinds[item.kind.name] = kinds.get(item.kind.name, 0) + 1
        match item.payload:
            case Columns():
                _read(twin["readings"], item.payload.latest(), item.index)
            case list():
                _read(twin["readings"], item.payload, item.index)
            case Description():
                _describe(twin, item.payload)
            case _:
                pass

    def take(self, since: int, index: int) -> dict[str, Any]:
        """The event of what was gathered since entry `since`, up to `index`; begins anew."""
        twins = list(self._twins.values())
        self._twins = {}
        self.entries = 0
        return {"type": "latest", "index": index, "since": since, "twins": twins}


def _read(known: dict[str, dict[str, Any]], readings: list[Reading], index: int) -> None:
    for reading in readings:
        older = known.get(reading.name)
        # As in a twin's state: the newest measurement wins, not the newest delivery.
        if older is None or reading.time >= older["time"]:
            known[reading.name] = {
                "value": to_json(reading.value),
                "unit": reading.unit,
                "time": reading.time,
                "index": index,
            }


def _describe(twin: dict[str, Any], change: Description) -> None:
    properties: dict[str, Any] = twin.setdefault("set", {})
    unset: set[str] = set(twin.get("unset", ()))
    for name in change.unset:
        properties.pop(name, None)
        unset.add(name)
    for name, value in (change.set or {}).items():
        properties[name] = to_json(value)
        unset.discard(name)
    twin["unset"] = sorted(unset)
    if change.model is not None:
        twin["model"] = change.model
    if change.lifecycle is not None:
        twin["lifecycle"] = change.lifecycle.value
