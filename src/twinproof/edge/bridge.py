"""What all connectors of a gateway share: taking what came in, once, and knowing when the log has it.

    connector ──Arrival──▶ Bridge.take ──▶ outbox (one transaction) ──▶ Recorder, Carrier ──▶ log
                                └─ Receipt, settled once the log has everything that the arrival held

A connector is anything with `run(stopping)`. It takes in its own thread, keeps what `take` refused for now
(`Overloaded`, `StorageFailed`: nothing was kept) and acknowledges to its equipment when the receipt is settled.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, Protocol

from twinproof.edge.arrivals import GatewayOutbox
from twinproof.edge.marking import check_gateway_iri
from twinproof.edge.recorder import Recorder
from twinproof.edge.selection import Observation, Selected
from twinproof.edge.sinks import Sink
from twinproof.edge.stream import Stream
from twinproof.errors import TwinproofError
from twinproof.proof.keys import PrivateKey
from twinproof.proof.note import VerifierKey

ORIGIN: Final = "recordedVia"
"""Property of a twin: the sources that feed it, where the mapping says `describe = true`."""
TOLD_AT_MOST: Final = 10
"""Problems with single messages that are told in a minute; the rest is counted."""
_MINUTE: Final = 60.0

_log: Final = logging.getLogger("twinproof.edge")


def _tell(problem: TwinproofError) -> None:
    _log.error("%s", problem)


class Connector(Protocol):
    """One source's connection."""

    def run(self, stopping: threading.Event) -> None:
        """Work until `stopping` is set; reconnects by itself. Raises `ConfigError` for what only a person mends."""
        ...


@dataclass(frozen=True, slots=True)
class Arrival:
    """What came in at once, and how a repetition is known; docs/connectors.md."""

    selected: Selected
    digest: bytes
    """SHA-256 of what came: `identify`."""
    packet: int | None = None
    """The transport's number for it, where it has one that repetitions keep."""
    again: bool = False
    """Whether the transport says that this may be a repetition."""


def identify(*parts: bytes) -> bytes:
    """SHA-256 that tells messages apart: of each part with its length."""
    return sha256(b"".join(len(part).to_bytes(8, "big") + part for part in parts)).digest()


@dataclass(slots=True)
class _Mark:
    """A place in a stream: settled when the log has everything up to it."""

    stream: Stream
    journal: int
    statement: int | None = None


@dataclass(slots=True)
class Receipt:
    """Says when the log has all of an arrival."""

    marks: list[_Mark] = field(default_factory=list)
    carried: list[bytes] = field(default_factory=list)
    """Digests of statements."""


@dataclass(slots=True)
class Tally:
    """What a source did since the start."""

    taken: int = 0
    repeated: int = 0
    rejected: int = 0
    """Messages that could not be understood; acknowledged and not recorded."""
    told: int = 0
    """Of those rejected in this minute."""
    since: float = float("-inf")


class Bridge:
    """Recorder, outbox and carried statements of one gateway. Methods may be called from any thread."""

    def __init__(
        self,
        key: PrivateKey,
        issuer: str,
        outbox: GatewayOutbox,
        sink: Sink,
        *,
        batch: int = 1000,
        interval: float = 1.0,
        log_keys: Sequence[VerifierKey] = (),
        describe: bool = False,
        on_problem: Callable[[TwinproofError], None] = _tell,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`describe` says in each twin's description which sources feed it. Raises `Malformed` for the issuer."""
        self.issuer = check_gateway_iri(issuer)
        self.outbox = outbox
        self.clock = clock
        self.monotonic = monotonic
        self.tell = on_problem
        self.recorder = Recorder(
            key,
            issuer,
            outbox,
            sink,
            batch=batch,
            interval=interval,
            durable=True,
            log_keys=log_keys,
            on_problem=on_problem,
            clock=clock,
            monotonic=monotonic,
        )
        self.tallies: dict[str, Tally] = {}
        self.carrying = threading.Event()
        """Set when there is a statement to carry."""
        self._describe = describe
        self._origins: dict[str, set[str]] = {}
        self._unpruned: dict[str, int] = {}

    def tally(self, source: str) -> Tally:
        """The counts of a source."""
        return self.tallies.setdefault(source, Tally())

    # --- what came in ---

    def take(
        self,
        source: str,
        kind: str,
        arrivals: Sequence[Arrival],
        *,
        remember: int = 0,
        also: Callable[[], None] = lambda: None,
    ) -> list[Receipt]:
        """Keep what the arrivals hold, on disk when this returns; a repetition is not kept again.

        One receipt per arrival. `source` is the source's name and `kind` its protocol; `remember` is how many messages
        with their own time are known again; what `also` stores in the outbox is part of the transaction. Raises
        `Overloaded` and `StorageFailed`: then nothing of this call is kept.
        """
        streams = {
            subject: self.recorder.twin(subject)
            for subject in dict.fromkeys(o.subject for arrival in arrivals for o in arrival.selected.observations)
        }
        described = self._describe_origins(f"{kind}:{source}", streams.values()) if self._describe else []
        tally = self.tally(source)
        receipts: list[Receipt] = []
        repeated = 0
        try:
            with self.outbox.together():
                for stream, origins in described:
                    stream.describe(set={ORIGIN: origins})
                for arrival in arrivals:
                    if self._is_repeated(source, arrival, remember):
                        repeated += 1
                    else:
                        self._keep(streams, arrival)
                    self._note(source, arrival, remember)
                    receipts.append(self._receipt(streams, arrival))
                also()
        except BaseException:
            # What a batch that closed inside had signed is back in the journal.
            for stream in streams.values():
                stream.leftover = True
            for stream, _ in described:
                self._origins.pop(stream.subject, None)
            raise
        tally.taken += len(arrivals) - repeated
        tally.repeated += repeated
        if any(arrival.selected.statements for arrival in arrivals):
            self.carrying.set()
        self._forget(source, len(arrivals), remember)
        return receipts

    def reject(self, source: str, what: str, problem: TwinproofError) -> None:
        """Count something that cannot be understood, and tell of it, though not of each in a flood."""
        tally = self.tally(source)
        tally.rejected += 1
        now = self.monotonic()
        if now - tally.since >= _MINUTE:
            tally.since, tally.told = now, 0
        tally.told += 1
        if tally.told <= TOLD_AT_MOST:
            more = "; further ones of this minute are only counted" if tally.told == TOLD_AT_MOST else ""
            self.tell(Rejected(f"{source}: {what} is not recorded: {problem}{more}"))

    def _is_repeated(self, source: str, arrival: Arrival, remember: int) -> bool:
        number = arrival.packet
        if arrival.again and number is not None and self.outbox.came_again(source, number, arrival.digest):
            return True
        return bool(remember) and arrival.selected.timed and self.outbox.was_heard(source, arrival.digest)

    def _keep(self, streams: dict[str, Stream], arrival: Arrival) -> None:
        for observation in arrival.selected.observations:
            _record(streams[observation.subject], observation)
        for statement in arrival.selected.statements:
            self.outbox.carry(statement, retry_after=1.0)

    def _note(self, source: str, arrival: Arrival, remember: int) -> None:
        if arrival.packet is not None:
            self.outbox.note_packet(source, arrival.packet, arrival.digest)
        if remember and arrival.selected.timed:
            self.outbox.note_heard(source, arrival.digest)

    def _forget(self, source: str, count: int, remember: int) -> None:
        self._unpruned[source] = self._unpruned.get(source, 0) + count
        if self._unpruned[source] > max(1000, remember // 10):
            self._unpruned[source] = 0
            self.outbox.forget_heard(source, remember)

    def _describe_origins(self, origin: str, streams: Iterable[Stream]) -> list[tuple[Stream, list[str]]]:
        changed = []
        for stream in streams:
            known = self._origins.setdefault(stream.subject, set())
            if origin not in known:
                known.add(origin)
                changed.append((stream, sorted(known)))
        return changed

    # --- what the log has ---

    def _receipt(self, streams: dict[str, Stream], arrival: Arrival) -> Receipt:
        receipt = Receipt()
        # For a repetition the end of the stream as it is now is too late a place, but a safe one.
        for subject in dict.fromkeys(o.subject for o in arrival.selected.observations):
            tail = self.outbox.tail(streams[subject].id)
            receipt.marks.append(_Mark(streams[subject], tail.journal, None if tail.journal else tail.statement))
        receipt.carried.extend(statement.digest for statement in arrival.selected.statements)
        return receipt

    def settled(self, receipts: Sequence[Receipt]) -> int:
        """How many, from the first on, are settled.

        What waits behind a refusal counts as settled: it stays in the outbox until an operator decides, and must not
        hold up the twins beside it.
        """
        waiting: dict[int, tuple[int, int, int]] = {}
        with self.outbox.lock:
            for count, receipt in enumerate(receipts):
                if not all(self._is_settled(mark, waiting) for mark in receipt.marks):
                    return count
                if any(self.outbox.is_carrying(digest) for digest in receipt.carried):
                    return count
        return len(receipts)

    def _is_settled(self, mark: _Mark, waiting: dict[int, tuple[int, int, int]]) -> bool:
        if mark.stream.stopped is not None:
            return True
        number = mark.stream.id
        if number not in waiting:
            first = self.outbox.first_waiting(number)
            waiting[number] = first.journal, first.statement, self.outbox.tail(number).statement
        journal, statement, newest = waiting[number]
        if mark.statement is None:
            if journal and journal <= mark.journal:
                return False
            mark.statement = newest
        return not statement or statement > mark.statement

    def close_due(self, receipts: Iterable[Receipt], *, now: bool) -> None:
        """Close the batches of these receipts' streams that are due, or all of them at once."""
        for stream in {id(mark.stream): mark.stream for receipt in receipts for mark in receipt.marks}.values():
            if now or stream.due_in() <= 0:
                stream.flush()


class Rejected(TwinproofError):
    """Something that came in could not be understood and is not recorded."""

    code = "rejected"


def _record(stream: Stream, observation: Observation) -> None:
    stream.record(observation.values, units=observation.units, time=observation.time)
