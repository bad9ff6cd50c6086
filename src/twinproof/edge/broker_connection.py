"""One connection of a broker: reads what the client sends, and sends what its session has for it."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from contextlib import suppress
from typing import Final

from twinproof.edge import broker_packets as packets
from twinproof.edge.broker_packets import V5, Body, Connect, Message, Violation
from twinproof.edge.broker_session import Hub, Session

CONNECT_TIMEOUT: Final = 10.0
"""Seconds in which the first packet must have come."""
WINDOW_311: Final = 20
"""Unacknowledged messages of a client that cannot say how many it takes; Mosquitto's default too."""

_ENDS: Final = (OSError, EOFError, TimeoutError)
_FLAGS: Final = {packets.PUBREL: 2, packets.SUBSCRIBE: 2, packets.UNSUBSCRIBE: 2}
"""What stands beside a packet's type; PUBLISH has its own, the others have 0 (MQTT 5 §2.1.3)."""


class Connection:
    """A `broker_session.Client`; lives in one task, with another one that sends."""

    def __init__(
        self, hub: Hub, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, task: asyncio.Task[None]
    ) -> None:
        self._hub = hub
        self._reader = reader
        self._writer = writer
        self._task = task
        self._about = Connect(packets.V311)
        self._session: Session
        self._accepted = False
        self._something = asyncio.Event()
        self._held: deque[tuple[Message, int]] = deque()
        """(message, packet identifier) that are not acknowledged, because there is no room for them."""
        self._held_bytes = 0
        self._read_on = asyncio.Event()
        self._read_on.set()

    async def run(self) -> None:
        """Until the connection ends; raises `CancelledError` after `kick`."""
        sender: asyncio.Task[None] | None = None
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await self._connect()
            sender = asyncio.create_task(self._send())
            await self._receive()
        except Violation as problem:
            self._fail(problem)
        except _ENDS:
            pass
        finally:
            if sender is not None:
                sender.cancel()
            if self._accepted:
                self._hub.detach(self, self._session)
            self._close()
            with suppress(*_ENDS):
                await self._writer.wait_closed()

    # --- what comes in ---

    async def _connect(self) -> None:
        kind, flags, data = await self._read()
        if (kind, flags) != (packets.CONNECT, 0):
            raise Violation("packet", f"the first is of type {kind}, not CONNECT", packets.PROTOCOL_ERROR)
        about = packets.parse_connect(data)
        assigned = b""
        if not about.client_id:
            about = about._replace(client_id=f"auto-{secrets.token_hex(8)}")
            assigned = packets.text(0x12, about.client_id)
        self._about = about
        try:
            if about.refusal:
                raise Violation("CONNECT", "asks for what this broker does not grant", about.refusal)
            self._session, present = self._hub.attach(self, about)
        except Violation as problem:
            self._writer.write(packets.format_connack(about.version, False, problem.answer))
            raise
        self._accepted = True
        limits = self._hub.limits
        properties = b"".join(
            (
                packets.number(packets.RECEIVE_MAXIMUM, limits.held_messages, 2),
                packets.number(packets.MAX_PACKET, limits.packet, 4),
                packets.number(0x29, 0, 1),  # no subscription identifiers
                packets.number(0x2A, 0, 1),  # no shared subscriptions
                assigned,
            )
        )
        self._writer.write(packets.format_connack(about.version, present, 0, properties))
        self._something.set()

    async def _read(self) -> tuple[int, int, bytes]:
        """(type, flags, the rest of a packet)."""
        first = (await self._reader.readexactly(1))[0]
        length = await self._reader.readexactly(1)
        while length[-1] & 0x80 and len(length) < 4:
            length += await self._reader.readexactly(1)
        size = Body("packet", length).length()
        if size > self._hub.limits.packet:
            raise Violation("packet", f"{size} bytes; at most {self._hub.limits.packet}", packets.TOO_LARGE)
        return first >> 4, first & 0x0F, await self._reader.readexactly(size)

    async def _receive(self) -> None:
        patience = 1.5 * self._about.keepalive or None
        while True:
            try:
                async with asyncio.timeout(patience):
                    packet = await self._read()
            except TimeoutError:
                raise Violation("packet", f"none came for {patience:g} s", packets.TIMED_OUT) from None
            if not self._handle(*packet):
                return
            await self._writer.drain()
            await self._read_on.wait()

    def _handle(self, kind: int, flags: int, data: bytes) -> bool:
        """Whether the connection goes on."""
        version, session = self._about.version, self._session
        if kind != packets.PUBLISH and flags != _FLAGS.get(kind, 0):
            raise Violation("packet", f"type {kind} with the flags {flags:#03x}")
        match kind:
            case packets.PUBLISH:
                self._publish(*packets.parse_publish(flags, data, version))
            case packets.PUBACK:
                session.acknowledge(packets.parse_answer(kind, data, version))
                self.wake()
                self._hub.release()
            case packets.PUBREL:
                packet_id = packets.parse_answer(kind, data, version)
                session.received.discard(packet_id)
                self._answer(packets.PUBCOMP, packet_id)
            case packets.SUBSCRIBE:
                self._subscribe(*packets.parse_subscribe(data, version))
            case packets.UNSUBSCRIBE:
                packet_id, filters = packets.parse_unsubscribe(data, version)
                codes = bytes(0 if session.subscriptions.pop(each, None) else 0x11 for each in filters)
                self._answer(packets.UNSUBACK, packet_id, codes)
                self._hub.release()
            case packets.PINGREQ:
                Body("PINGREQ", data).end()
                self._writer.write(packets.format_packet(packets.PINGRESP, 0))
            case packets.DISCONNECT:
                self._disconnect(*packets.parse_disconnect(data, version))
                return False
            case _:
                raise Violation("packet", f"type {kind} is not expected here", packets.PROTOCOL_ERROR)
        return True

    def _disconnect(self, reason: int, expiry: int | None) -> None:
        if expiry and not self._session.expiry:
            raise Violation("DISCONNECT", "would keep a session that was to end", packets.PROTOCOL_ERROR)
        if reason != packets.WITH_WILL:
            self._session.will = None
        if expiry is not None:
            self._session.expiry = expiry

    def _subscribe(self, packet_id: int, wanted: list[packets.Subscription]) -> None:
        session, codes, eager = self._session, [], []
        for each in wanted:
            name = each.pattern.text
            new = name not in session.subscriptions
            if name.startswith("$share/"):
                codes.append(packets.NO_SHARED)
            elif new and len(session.subscriptions) >= self._hub.limits.subscriptions:
                codes.append(packets.QUOTA)
            else:
                codes.append(each.qos)
                session.subscriptions[name] = each
                if each.handling == 0 or (each.handling == 1 and new):
                    eager.append(each)
        # 3.1.1 knows one code for all failures (§3.9.3).
        self._answer(
            packets.SUBACK,
            packet_id,
            bytes(0x80 if code > 2 and self._about.version != V5 else code for code in codes),
        )
        for message, qos in self._hub.retained(eager):
            session.add_kept(message, qos)
        self.wake()

    # --- what is published ---

    def _publish(self, message: Message, packet_id: int) -> None:
        message = self._hub.stamp(message)
        if not message.qos:
            self._hub.route(message, self._session)
            return
        self._held.append((message, packet_id))
        self._held_bytes += message.size
        self.release()

    def release(self) -> None:
        """Hand on and acknowledge what there is room for, in its order (§4.6)."""
        before = len(self._held)
        try:
            while self._held and self._take(*self._held[0]):
                self._held_bytes -= self._held.popleft()[0].size
        except Violation as problem:
            self._fail(problem)
        # To the end of the line after each success, so that all who wait have their turn.
        if len(self._held) < before:
            self._hub.waiting.pop(self, None)
        if self._held:
            self._hub.waiting[self] = None
        limits = self._hub.limits
        if len(self._held) < limits.held_messages and self._held_bytes < limits.held_bytes:
            self._read_on.set()
        else:
            self._read_on.clear()

    def _take(self, message: Message, packet_id: int) -> bool:
        again = message.qos == 2 and packet_id in self._session.received
        if not again and not self._hub.route(message, self._session):
            return False
        if message.qos == 2:
            self._session.received.add(packet_id)
        self._answer(packets.PUBREC if message.qos == 2 else packets.PUBACK, packet_id)
        return True

    def _answer(self, kind: int, packet_id: int, codes: bytes = b"") -> None:
        self._writer.write(packets.format_answer(kind, self._about.version, packet_id, codes))

    # --- what goes out ---

    def wake(self) -> None:
        """See `Client`."""
        self._something.set()

    async def _send(self) -> None:
        about, hub, session = self._about, self._hub, self._session
        window = (about.window or 0xFFFF) if about.version == V5 else WINDOW_311
        with suppress(*_ENDS):
            while True:
                await self._something.wait()
                self._something.clear()
                while (each := session.next(window, hub.monotonic())) is not None:
                    packet = packets.format_publish(
                        each.message,
                        about.version,
                        each.packet_id,
                        each.qos,
                        each.again,
                        each.retain,
                        now=hub.monotonic(),
                    )
                    if about.max_packet is not None and len(packet) > about.max_packet:
                        # The standard has it dropped, as if it were delivered (§3.1.2.11.4).
                        session.acknowledge(each.packet_id)
                        hub.tell(Violation("PUBLISH", f"{session.name!r:.60} takes no packet of {len(packet)} bytes"))
                    else:
                        self._writer.write(packet)
                        await self._writer.drain()
                    hub.release()
                hub.release()

    # --- the end ---

    def _fail(self, problem: Violation) -> None:
        name = f"client {self._about.client_id!r:.60}, " if self._about.client_id else ""
        self._hub.tell(Violation(f"{name}{problem.field}", problem.reason, problem.answer))
        self.kick(problem.answer)

    def kick(self, answer: int) -> None:
        """See `Client`."""
        if self._accepted and self._about.version == V5 and not self._writer.is_closing():
            self._writer.write(packets.format_packet(packets.DISCONNECT, 0, bytes([answer])))
        self._close()
        self._task.cancel()

    def _close(self) -> None:
        # What a client does not read would keep the connection open.
        if self._writer.transport.get_write_buffer_size():
            self._writer.transport.abort()
        self._writer.close()
