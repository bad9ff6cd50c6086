"""What a session says: values, changes of quality, losses, and the wish for a rebirth."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from twinproof.edge.quality import Quality
from twinproof.edge.sparkplug.datatypes import Meaning
from twinproof.edge.sparkplug.topics import Source


class Sample(NamedTuple):
    """A value of a metric."""

    source: Source
    name: str
    value: Meaning
    time: float
    """Seconds since 1970, the edge node's word."""
    historical: bool = False
    transient: bool = False
    """The edge node asks not to keep it."""


class Marked(NamedTuple):
    """The quality of one metric, or of all of a source, changed."""

    source: Source
    name: str | None
    """None: every metric of the source."""
    quality: Quality
    time: float
    """Seconds since 1970."""
    reason: str = ""


class Lost(NamedTuple):
    """Something that was measured is missing, or could not be read."""

    source: Source
    time: float
    """Seconds since 1970: when it was found."""
    reason: str


class Rebirth(NamedTuple):
    """The edge node must be asked for new births (`Node Control/Rebirth`)."""

    source: Source
    reason: str


Event: TypeAlias = Sample | Marked | Lost | Rebirth
"""In order: what is said of a metric later holds later."""
