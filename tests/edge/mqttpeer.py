"""Two clients for brokers under test: paho-mqtt, and a bare socket that says whatever it is told to."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from tests.edge.mosquitto import PATIENCE, until

FOR_EVER = 0xFFFF_FFFF


def _send_at_once(sock: Any) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class Peer:
    """paho-mqtt with its own thread; it reconnects only if `reconnects`, and acknowledges by itself unless `manual`."""

    def __init__(
        self,
        port: int,
        name: str = "",
        *,
        v5: bool = True,
        clean: bool = True,
        expiry: int | None = None,
        will: tuple[str, str] | None = None,
        manual: bool = False,
        reconnects: bool = False,
        window: int = 20,
    ) -> None:
        self.client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=name,
            clean_session=None if v5 else clean,
            protocol=MQTTProtocolVersion.MQTTv5 if v5 else MQTTProtocolVersion.MQTTv311,
            manual_ack=manual,
            reconnect_on_failure=reconnects,
        )
        self.client.reconnect_delay_set(0.02, 0.05)  # type: ignore[arg-type]
        self.client.max_inflight_messages_set(window)
        self.messages: list[paho.MQTTMessage] = []
        self.sent = self.acknowledged = 0
        self.present: bool | None = None
        self.refused = ""
        self.granted: list[int] = []
        self.reason: Any = None
        """Why the connection ended, if it did."""
        self.client.on_message = lambda client, userdata, message: self.messages.append(message)
        self.client.on_connect = self._on_connect
        self.client.on_subscribe = lambda client, userdata, mid, reasons, properties: self.granted.extend(
            reason.value for reason in reasons
        )
        # Without it a client that publishes and acknowledges waits 40 ms at a time for the kernel.
        self.client.on_socket_open = lambda client, userdata, sock: _send_at_once(sock)
        self.client.on_publish = self._on_publish
        self.client.on_disconnect = self._on_disconnect
        if will is not None:
            self.client.will_set(*will, qos=1)
        if v5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = expiry if expiry is not None else (0 if clean else FOR_EVER)
            self.client.connect("127.0.0.1", port, clean_start=clean, properties=properties)
        else:
            self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        until(lambda: self.present is not None or self.refused, "CONNACK")

    def _on_connect(self, _client: Any, _userdata: Any, flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self.refused = str(reason)
        else:
            self.present = bool(flags.session_present)

    def _on_publish(self, *_: object) -> None:
        self.acknowledged += 1

    def _on_disconnect(self, _client: Any, _userdata: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self.reason = reason

    def subscribe(self, *filters: str, qos: int = 1, **options: Any) -> Peer:
        before = len(self.granted)
        if options:
            self.client.subscribe([(each, SubscribeOptions(qos=qos, **options)) for each in filters])
        else:
            self.client.subscribe([(each, qos) for each in filters])
        until(lambda: len(self.granted) == before + len(filters), "SUBACK")
        return self

    def publish(self, topic: str, payload: str | bytes = "", *, qos: int = 1, retain: bool = False) -> None:
        self.sent += 1
        self.client.publish(topic, payload, qos=qos, retain=retain)

    def settle(self) -> None:
        until(lambda: self.acknowledged >= self.sent, "acknowledgements")

    def expect(self, *payloads: str) -> None:
        """Wait for as many messages, and compare."""
        until(lambda: len(self.messages) >= len(payloads), f"{payloads[:3]} …, {len(payloads)} in all")
        assert [message.payload.decode() for message in self.messages] == list(payloads)

    def cut(self) -> None:
        """Break the connection under it."""
        found: Any = self.client.socket()
        if found is not None:
            # The other side may have been first.
            with suppress(OSError):
                found.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


class Raw:
    """A bare socket, and just enough of MQTT."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        _send_at_once(self.socket)

    def connect(self, name: str, *, v5: bool = False, clean: bool = True, keepalive: int = 0) -> Raw:
        body = b"\0\4MQTT" + bytes([5 if v5 else 4, 2 if clean else 0]) + keepalive.to_bytes(2)
        body += (b"\5\x11\xff\xff\xff\xff" if not clean else b"\0") if v5 else b""
        self.send(0x10, body + len(name).to_bytes(2) + name.encode())
        kind, answer = self.expect()
        assert (kind, answer[1]) == (0x20, 0)
        return self

    def subscribe(self, topic: str, *, v5: bool = False, options: int = 1) -> Raw:
        self.send(0x82, b"\0\1" + (b"\0" if v5 else b"") + len(topic).to_bytes(2) + topic.encode() + bytes([options]))
        assert self.expect()[0] == 0x90
        return self

    def publish(self, topic: str, payload: bytes, packet: int, *, flags: int = 2, v5: bool = False) -> None:
        body = len(topic).to_bytes(2) + topic.encode() + (packet.to_bytes(2) if packet else b"")
        self.send(0x30 | flags, body + (b"\0" if v5 else b"") + payload)

    def send(self, first: int, body: bytes) -> None:
        assert len(body) < 16384
        size = bytes([len(body)]) if len(body) < 128 else bytes([len(body) & 0x7F | 0x80, len(body) >> 7])
        self.socket.sendall(bytes([first]) + size + body)

    def ping(self) -> None:
        """PINGREQ; what was sent before it has been dealt with when its answer is here."""
        self.send(0xC0, b"")
        assert self.expect() == (0xD0, b"")

    def receive(self) -> tuple[int, bytes] | None:
        """(first byte, body) of the next packet; None at the end of the connection."""
        try:
            first = self.socket.recv(1)
            if not first:
                return None
            size = shift = 0
            while True:
                byte = self._exactly(1)[0]
                size |= (byte & 0x7F) << shift
                shift += 7
                if byte < 0x80:
                    return first[0], self._exactly(size)
        except ConnectionError:
            return None

    def expect(self) -> tuple[int, bytes]:
        found = self.receive()
        assert found is not None, "the connection has ended"
        return found

    def _exactly(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            part = self.socket.recv(size - len(found))
            if not part:
                raise ConnectionError
            found += part
        return found

    def close(self) -> None:
        self.socket.close()
