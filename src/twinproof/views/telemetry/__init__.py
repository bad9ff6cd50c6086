"""Telemetry: every reading of the log as a row in DuckDB, for charts, exports and SQL (docs/telemetry.md)."""

from __future__ import annotations

from twinproof.views.telemetry.buckets import Aggregate, Buckets, Cut, Fill, Grid, Series
from twinproof.views.telemetry.export import MEDIA_TYPES, Format, to_bytes
from twinproof.views.telemetry.query import Page, Row
from twinproof.views.telemetry.selection import Selection
from twinproof.views.telemetry.sql import SqlResult
from twinproof.views.telemetry.view import TelemetryView

__all__ = [
    "MEDIA_TYPES",
    "Aggregate",
    "Buckets",
    "Cut",
    "Fill",
    "Format",
    "Grid",
    "Page",
    "Row",
    "Selection",
    "Series",
    "SqlResult",
    "TelemetryView",
    "to_bytes",
]
