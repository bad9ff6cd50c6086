"""The recorder: the few lines that a device integrator writes.

    with Outbox("device.outbox") as outbox, Recorder(key, "urn:dev:pump-7", outbox, HttpSink(url)) as recorder:
        pump = recorder.twin("urn:asset:pump-7", units={"speed": "1/min"})
        pump.record({"speed": 1480.0})

Samples become signed, numbered, chained statements in the outbox, and reach the log in order, once,
however often power or network fail. docs/recorder.md says what is promised when.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from twinproof.edge.courier import Courier, Pumped
from twinproof.edge.outbox import Outbox
from twinproof.edge.sinks import Sink
from twinproof.edge.stream import Stream
from twinproof.errors import ConfigError, TwinproofError
from twinproof.proof.keys import PrivateKey
from twinproof.proof.note import VerifierKey
from twinproof.twin.attestation import MAX_REASON
from twinproof.twin.fields import text
from twinproof.twin.statement import check_iri

__all__ = ["Pumped", "Recorder", "Stream"]

_log: Final = logging.getLogger("twinproof.edge")
_random: Final = random.SystemRandom().random


def _tell(problem: TwinproofError) -> None:
    _log.error("%s", problem)


class Recorder:
    """Signs with one key for one issuer, about any number of twins. Methods may be called from any thread.

    `batch`      samples that close a batch
    `interval`   seconds after its first sample when a batch is closed at the latest
    `durable`    write each sample to disk before `record` returns; otherwise a crash loses the open batch
    `log_keys`   the log's verifier keys; with them no acknowledgement is believed without a valid receipt
    `on_problem` called, in the pumping thread, with each new problem: a stopped stream (`StreamStopped`),
                 a receipt that proves nothing, a failing disk, a log out of reach. By default it is logged.
    """

    def __init__(
        self,
        key: PrivateKey,
        issuer: str,
        outbox: Outbox,
        sink: Sink,
        *,
        batch: int = 1000,
        interval: float = 10.0,
        durable: bool = False,
        log_keys: Sequence[VerifierKey] = (),
        on_problem: Callable[[TwinproofError], None] = _tell,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = _random,
    ) -> None:
        """`jitter` gives numbers from 0 to 1. Raises `ConfigError` and `Malformed`."""
        if batch < 1 or interval < 0:
            raise ConfigError("batch must be at least 1 sample and interval not negative")
        self.key = key
        self.issuer = check_iri(issuer, "issuer")
        self.outbox = outbox
        self.batch = batch
        self.interval = interval
        self.durable = durable
        self.open_bytes = 0
        self.clock = clock
        self.monotonic = monotonic
        self._streams: dict[str, Stream] = {}
        self._courier = Courier(
            outbox, sink, issuer, log_keys=log_keys, clock=clock, monotonic=monotonic, jitter=jitter, tell=on_problem
        )
        self._wake = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None
        # What an earlier run left: its statements are sent, its samples signed, whether or not their twin is opened.
        for record in outbox.streams(issuer):
            self.twin(record.subject)

    def twin(self, subject: str, *, units: Mapping[str, str] | None = None) -> Stream:
        """The stream about a twin; the same object for the same `subject`.

        `units` are UCUM codes by name of a sensor, for all that is recorded. Nothing is asked of the
        log here: that is the next `pump`'s work, and until then samples are kept unsigned.
        """
        with self.outbox.lock:
            stream = self._streams.get(subject)
            if stream is None:
                stream = Stream(self, self.issuer, check_iri(subject, "subject"))
                self._streams[subject] = stream
                self._courier.add(stream)
                self._wake_up()
            stream.add_units(units or {})
            return stream

    def flush(self) -> None:
        """Close every open batch: on return everything recorded is on disk."""
        for stream in self._all():
            stream.flush()

    def pump(self) -> Pumped:
        """Close batches that are due, ask the log what must be known, send what is queued, store receipts.

        Blocks while the log is asked, and does nothing before the time that an earlier call said to
        wait. Raises `StorageFailed` and `ConfigError`; what concerns the log goes to `on_problem`.
        """
        return self._courier.pump(self._all())

    def retry(self, subject: str) -> None:
        """Let a stopped stream go on with the same statements, after the cause was mended at the log."""
        self._courier.retry(self.twin(subject))
        self._wake_up()

    def resume(self, subject: str, reason: str) -> None:
        """Give up a stream's undelivered statements and go on from the log's head.

        They stay in the outbox as evidence. The next statement says that there was a loss, and
        `reason`. Samples that are not signed yet follow it. Only a person can decide this: a number
        that was signed and refused is then signed again with other content.
        """
        self._courier.resume(self.twin(subject), text(reason, "reason", MAX_REASON))
        self._wake_up()

    def _all(self) -> list[Stream]:
        with self.outbox.lock:
            return list(self._streams.values())

    # --- what streams ask of their owner ---

    def check_room(self, size: int) -> None:
        """Raise `Overloaded` if the outbox has no room for `size` more bytes."""
        self.outbox.check_room(self.open_bytes + size, retry_after=max(1.0, self._courier.hold()))

    def changed(self) -> None:
        """Something can be sent."""
        self._wake_up()

    # --- in the background ---

    def __enter__(self) -> Recorder:
        self.run_in_background()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run_in_background(self) -> None:
        """Start a thread that pumps until `close`."""
        if self._thread is not None:
            return
        self._stopping = False
        # A daemon: a program that ends without `close` must not hang on an unreachable log.
        self._thread = threading.Thread(target=self._run, name="twinproof-recorder", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop the thread, close all batches and try once more to send. The outbox stays open."""
        if self._thread is not None:
            self._stopping = True
            self._wake.set()
            self._thread.join()
            self._thread = None
        self.flush()
        self.pump()

    def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            try:
                wait = self.pump().wait
            except TwinproofError as problem:
                # A full disk or an unset clock: both may be mended while the device runs.
                wait = self._courier.failed(problem)
                self._courier.tell()
            self._wake.wait(wait)

    def _wake_up(self) -> None:
        self._wake.set()
