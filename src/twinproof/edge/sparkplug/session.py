"""One edge node as a host application sees it: births, deaths, order, and what is missing (Sparkplug 3.0 §5).

| what comes                                          | what is done                                                |
|-----------------------------------------------------|-------------------------------------------------------------|
| the next sequence number                            | taken                                                       |
| a number ahead, or anything before a birth          | held; after `reorder_timeout` the gap is a loss, what was   |
|                                                     | held is taken in order, a rebirth is asked for              |
| a number that was given up as missing               | its data are taken, late                                    |
| the same message again                              | dropped                                                     |
| NBIRTH with another bdSeq while the node is alive   | its death certificate was lost: all is stale, then born     |
| NDEATH of an earlier birth                          | passed over                                                 |
| NDEATH of a birth that never came                   | a rebirth is asked for; no answer means dead                |
| NBIRTH just after the NDEATH with its bdSeq         | the will may have overtaken it: the same                    |
| an alias or name that no birth declared             | a loss; a rebirth is asked for                              |

Pure: no clock, no network. Times are seconds since 1970, the host's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from twinproof.edge.quality import Quality
from twinproof.edge.sparkplug.events import Event, Lost, Marked, Rebirth
from twinproof.edge.sparkplug.messages import Payload
from twinproof.edge.sparkplug.rebirth import RebirthLimit
from twinproof.edge.sparkplug.signals import Signals, Undeclared, bd_seq_of, read_metrics
from twinproof.edge.sparkplug.topics import MessageType, Source, Topic
from twinproof.errors import Malformed

SEQUENCE: Final = 256
REMEMBERED: Final = 128
"""Newest messages whose repetition is known."""
MAX_HELD: Final = 200
"""Messages that wait for a missing one."""
MAX_HELD_BYTES: Final = 4 * 1024 * 1024
LATE_BIRTH: Final = 0.25
"""Seconds. MQTT orders the messages of a topic alone, so a will may overtake the birth before it."""
PROOF_OF_LIFE: Final = 30.0
"""Seconds that a node whose life is in doubt has for its rebirth."""


@dataclass(frozen=True, slots=True)
class Message:
    """What came from the broker."""

    topic: Topic
    payload: Payload
    digest: bytes
    """SHA-256 of topic and payload: the same message again has the same."""
    size: int


def make_message(topic: Topic, payload: Payload, raw: bytes) -> Message:
    """A message and the digest that tells a repetition."""
    return Message(topic, payload, sha256(f"{topic.type} {topic.source} ".encode() + raw).digest(), len(raw))


@dataclass(slots=True)
class Counters:
    """What happened since the start."""

    taken: int = 0
    duplicates: int = 0
    late: int = 0
    missing: int = 0
    """Sequence numbers given up."""
    refused: int = 0
    """Messages of which nothing could be used."""
    old_deaths: int = 0


class NodeSession:
    """The state of one edge node and its devices."""

    def __init__(self, source: Source, *, reorder_timeout: float) -> None:
        self.source = source
        self.online = False
        self.bd_seq: int | None = None
        self.counters = Counters()
        self._reorder_timeout = reorder_timeout
        self._signals = Signals()
        self._devices: dict[Source, bool] = {}
        """Device -> whether it is alive."""
        self._birth_digest: bytes | None = None
        self._expected: int | None = None
        """The next sequence number; None before a birth."""
        self._seen: dict[int, bytes] = {}
        self._given_up: set[int] = set()
        self._held: dict[int, Message] = {}
        self._waiting_since: float | None = None
        self._previous_bd_seq: int | None = None
        self._death: tuple[int | None, float] | None = None
        """bdSeq and time of the newest death."""
        self._proof_due: float | None = None
        self._limit = RebirthLimit()

    # --- what comes ---

    def receive(self, message: Message, now: float) -> list[Event]:
        """Take a message of this node; what follows from it, in order."""
        events: list[Event] = []
        match message.topic.type:
            case MessageType.NBIRTH:
                events += self._birth(message, now)
            case MessageType.NDEATH:
                events += self._die(message.payload, now)
            case MessageType.NDATA | MessageType.DBIRTH | MessageType.DDATA | MessageType.DDEATH:
                events += self._sequenced(message, now)
            case _:
                pass  # commands, our own among them
        return events + self._requests(now)

    def tick(self, now: float) -> list[Event]:
        """What follows from the passing of time."""
        events: list[Event] = []
        if self._waiting_since is not None and now >= self._waiting_since + self._reorder_timeout:
            events += self._give_up(now)
        if self._proof_due is not None and now >= self._proof_due:
            events += self._stale(now, "no answer since its death certificate came")
            self._close()
        return events + self._requests(now)

    def due_in(self, now: float) -> float:
        """Seconds until `tick` has something to do; infinite if nothing is awaited."""
        times = [self._limit.due_in(now)]
        if self._waiting_since is not None:
            times.append(self._waiting_since + self._reorder_timeout - now)
        if self._proof_due is not None:
            times.append(self._proof_due - now)
        return max(0.0, min(times))

    def cut_off(self, now: float) -> list[Event]:
        """The host lost its broker: nothing is known until the next birth (§5.1)."""
        events = self._flush(now) if self._held else []
        events += self._lose(now, "not connected to the broker; what was sent before the next birth is missing")
        events += self._stale(now, "the connection to the broker was lost")
        self._close()
        return events

    def want_birth(self, reason: str) -> None:
        """Ask for births with the next `tick`."""
        self._limit.want(reason)

    def refuse(self, source: Source, reason: str, now: float) -> list[Event]:
        """A message that cannot be read; its number, if it had one, will be missing."""
        self.counters.refused += 1
        return [Lost(source, now, reason)]

    # --- births and deaths of the node ---

    def _birth(self, message: Message, now: float) -> list[Event]:
        payload = message.payload
        if self.online and message.digest == self._birth_digest:
            self.counters.duplicates += 1
            return []
        if payload.seq is None or payload.seq >= SEQUENCE:
            return self.refuse(self.source, f"NBIRTH with the sequence number {payload.seq}", now)
        number = bd_seq_of(payload)
        # Other topics may overtake a birth: what was sent after it belongs to it.
        later = self._split_held(payload.timestamp)
        events = self._flush(now) if self._held else []
        if self.online and number != self.bd_seq:
            reason = f"its death certificate was lost: bdSeq {number} follows {self.bd_seq}"
            events += [*self._lose(now, reason), *self._stale(now, reason)]
        else:
            events += self._stale_devices(now, "the edge node was born anew")
        self._signals.forget_aliases()
        try:
            self._signals.declare(self.source, payload.metrics)
        except Malformed as problem:
            events += self._stale(now, "its birth cannot be used")
            self._close()
            self._limit.want(f"birth refused: {problem}")
            return [*events, *self.refuse(self.source, f"NBIRTH: {problem}", now)]
        if number != self.bd_seq:
            self._previous_bd_seq = self.bd_seq
        self.online, self.bd_seq, self._birth_digest = True, number, message.digest
        self._expected = (payload.seq + 1) % SEQUENCE
        self._seen = {payload.seq: message.digest}
        self._given_up.clear()
        self._limit.answered()
        self._proof_due = None
        self.counters.taken += 1
        events.append(Marked(self.source, None, Quality.GOOD, now, "born"))
        events += self._metrics(message, self.source, now)
        if self._death is not None and self._death[0] == number and now - self._death[1] < LATE_BIRTH:
            self._doubt("a birth came just after the death certificate with its bdSeq", now)
        self._held = {other.payload.seq: other for other in later if other.payload.seq is not None}
        self._waiting_since = now if self._held else None
        return events + self._drain(now)

    def _die(self, payload: Payload, now: float) -> list[Event]:
        number = bd_seq_of(payload)
        self._death = (number, now)
        if not self.online:
            return []
        if number != self.bd_seq:
            if number is not None and number == self._previous_bd_seq:
                self.counters.old_deaths += 1
            else:
                self._doubt(f"death with bdSeq {number}; its birth said {self.bd_seq}", now)
            return []
        events = self._flush(now) if self._held else []
        events += self._stale(now, "dead")
        self._close()
        return events

    def _doubt(self, reason: str, now: float) -> None:
        self._limit.want(reason)
        self._proof_due = now + PROOF_OF_LIFE

    def _close(self) -> None:
        self.online = False
        self._expected = None
        self._proof_due = None
        self._waiting_since = None
        self._held.clear()
        self._seen.clear()
        self._given_up.clear()

    def _lose(self, now: float, reason: str) -> list[Event]:
        if not self.online:
            return []
        alive = [device for device, is_alive in self._devices.items() if is_alive]
        return [Lost(source, now, reason) for source in (self.source, *alive)]

    def _stale(self, now: float, reason: str) -> list[Event]:
        if not self.online:
            return []
        return [self._stale_one(self.source, now, reason), *self._stale_devices(now, reason)]

    def _stale_one(self, source: Source, time: float, reason: str) -> Marked:
        self._signals.mark_stale(source)
        return Marked(source, None, Quality.STALE, time, reason)

    def _stale_devices(self, now: float, reason: str) -> list[Event]:
        alive = [device for device, is_alive in self._devices.items() if is_alive]
        self._devices = dict.fromkeys(self._devices, False)
        return [self._stale_one(device, now, reason) for device in alive]

    # --- order ---

    def _sequenced(self, message: Message, now: float) -> list[Event]:
        seq = message.payload.seq
        if seq is None or seq >= SEQUENCE:
            self._limit.want("a message without a sequence number")
            return self.refuse(message.topic.source, f"{message.topic.type} with the sequence number {seq}", now)
        held = self._held.get(seq)
        if self._seen.get(seq) == message.digest or (held is not None and held.digest == message.digest):
            self.counters.duplicates += 1
            return []
        if self._expected is None or seq != self._expected:
            if self._is_late(seq):
                self._remember(seq, message.digest)
                self.counters.late += 1
                return self._take_late(message, now)
            return self._hold(seq, message, now)
        events = self._accept(seq, message, now)
        return events + self._drain(now)

    def _hold(self, seq: int, message: Message, now: float) -> list[Event]:
        events: list[Event] = []
        size = message.size + sum(other.size for other in self._held.values())
        if seq in self._held or len(self._held) >= MAX_HELD or size > MAX_HELD_BYTES:
            events = self._give_up(now)
            if seq == self._expected:
                return events + self._accept(seq, message, now)
        self._held[seq] = message
        if self._waiting_since is None:
            self._waiting_since = now
        return events

    def _drain(self, now: float) -> list[Event]:
        events: list[Event] = []
        found = False
        while self._expected is not None and (message := self._held.pop(self._expected, None)) is not None:
            events += self._accept(self._expected, message, now)
            found = True
        if not self._held:
            self._waiting_since = None
        elif found:
            self._waiting_since = now
        return events

    def _give_up(self, now: float) -> list[Event]:
        reason = "messages before a birth" if self._expected is None else "sequence numbers are missing"
        events = self._flush(now)
        self._limit.want(reason)
        return events

    def _flush(self, now: float) -> list[Event]:
        """Take what is held in the order of its numbers, and say what is missing in between."""
        self._waiting_since = None
        held, self._held = self._held, {}
        if self._expected is None:
            self.counters.refused += len(held)
            sources = dict.fromkeys(message.topic.source for message in held.values())
            return [Lost(source, now, "messages came before the birth that explains them") for source in sources]
        events: list[Event] = []
        expected = self._expected
        for seq in sorted(held, key=lambda seq: (seq - expected) % SEQUENCE):
            missing = [(self._expected + step) % SEQUENCE for step in range((seq - self._expected) % SEQUENCE)]
            if missing:
                self.counters.missing += len(missing)
                self._given_up.update(missing)
                shown = f"{missing[0]}" if len(missing) == 1 else f"{missing[0]} to {missing[-1]}"
                reason = f"sequence number {shown} missing"
                events += [Lost(source, now, reason) for source in (self.source, *self._devices)]
            events += self._accept(seq, held[seq], now)
        return events

    def _accept(self, seq: int, message: Message, now: float) -> list[Event]:
        self._expected = (seq + 1) % SEQUENCE
        self._remember(seq, message.digest)
        self._proof_due = None
        return self._take(message, now)

    def _remember(self, seq: int, digest: bytes) -> None:
        self._seen.pop(seq, None)
        self._seen[seq] = digest
        self._given_up.discard(seq)
        if len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]

    def _is_late(self, seq: int) -> bool:
        return self._expected is not None and seq in self._given_up and (self._expected - seq) % SEQUENCE <= REMEMBERED

    def _split_held(self, born_at: int | None) -> list[Message]:
        """Keep what was sent before the birth, give what was sent after it."""
        later = [
            message
            for message in self._held.values()
            if born_at is not None and message.payload.timestamp is not None and message.payload.timestamp >= born_at
        ]
        for message in later:
            assert message.payload.seq is not None  # noqa: S101 - nothing else is held
            del self._held[message.payload.seq]
        return later

    # --- content ---

    def _take_late(self, message: Message, now: float) -> list[Event]:
        """Births and deaths may be older than what is known by now; the rebirth that was asked for settles them."""
        source, kind = message.topic.source, message.topic.type
        if kind is MessageType.DDEATH or (kind is MessageType.DBIRTH and self._devices.get(source)):
            return []
        return self._take(message, now)

    def _take(self, message: Message, now: float) -> list[Event]:
        self.counters.taken += 1
        source, payload = message.topic.source, message.payload
        kind = message.topic.type
        if kind is MessageType.DBIRTH:
            try:
                self._signals.declare(source, payload.metrics)
            except Malformed as problem:
                self._limit.want(f"birth refused: {problem}")
                return self.refuse(source, f"DBIRTH: {problem}", now)
            self._devices[source] = True
            return [Marked(source, None, Quality.GOOD, now, "born"), *self._metrics(message, source, now)]
        if source.device is not None and not self._devices.get(source):
            if kind is MessageType.DDEATH:
                return []
            self._limit.want(f"data of the device {source.device}, which was not born")
            return self.refuse(source, "data of a device that was not born", now)
        if kind is MessageType.DDEATH:
            self._devices[source] = False
            stamp = payload.timestamp
            return [self._stale_one(source, now if stamp is None else stamp / 1000, "dead")]
        return list(self._metrics(message, source, now))

    def _metrics(self, message: Message, source: Source, now: float) -> Iterator[Event]:
        for event in read_metrics(self._signals, source, message.payload, now):
            if isinstance(event, Undeclared):
                self._limit.want(f"{event.field} was not declared")
                yield Lost(source, now, str(event))
            else:
                yield event

    def _requests(self, now: float) -> list[Event]:
        reason = self._limit.take(now)
        return [] if reason is None else [Rebirth(self.source, reason)]
