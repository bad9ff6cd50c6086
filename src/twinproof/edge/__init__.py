"""What runs beside the device: record, sign, keep, deliver. See docs/recorder.md."""

from __future__ import annotations

from twinproof.edge.outbox import Outbox
from twinproof.edge.recorder import Recorder, Stream
from twinproof.edge.sinks import HttpSink

__all__ = ["HttpSink", "Outbox", "Recorder", "Stream"]
