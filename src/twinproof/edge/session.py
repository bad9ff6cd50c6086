"""One connection to an MQTT broker whose session outlives it (MQTT 5 §4.1): paho-mqtt, driven by the caller's thread.

    session = MqttSession(broker, client_id="…", filters=["plant/#"], tell=…)
    present = session.connect()                  # whether the broker still has the session
    for message in session.poll(0.05): …         # what has come in
    session.acknowledge(message.packet)          # PUBACK: only when nothing can be lost any more

Each `connect` begins with a new client, so an acknowledgement can never reach a broker that meanwhile uses its packet
identifier for another message.
"""

from __future__ import annotations

import os
import select
import ssl
import struct
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from twinproof.edge.selection import MAX_PAYLOAD
from twinproof.edge.sources import Broker, MqttVersion, Tls
from twinproof.errors import ConfigError, Unreachable

try:
    from paho.mqtt import client as paho
    from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
    from paho.mqtt.exception import MQTTException
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties
    from paho.mqtt.subscribeoptions import SubscribeOptions
except ModuleNotFoundError as problem:
    raise ConfigError(
        f"MQTT needs the package {problem.name}; install it with: pip install 'twinproof[mqtt]'"
    ) from None

T = TypeVar("T")

CONNECT_TIMEOUT: Final = 10.0
"""Seconds for address, TCP, TLS and the broker's answer, each."""
READ_AT_ONCE: Final = 256
"""Messages of one `poll`."""
ONLINE: Final = b"online"
OFFLINE: Final = b"offline"

_BROKEN: Final = (OSError, ValueError, IndexError, struct.error, MQTTException)
"""What a broken connection or a broker that breaks the protocol makes paho raise."""


class Message(NamedTuple):
    """What the broker delivered."""

    topic: str
    payload: bytes
    qos: int
    packet: int | None
    """Packet identifier; None with QoS 0."""
    again: bool
    """Flag DUP."""
    retained: bool
    """Whether the broker had kept it from before the subscription."""


class MqttSession:
    """See above; one thread at a time."""

    def __init__(
        self,
        broker: Broker,
        *,
        client_id: str,
        filters: Sequence[str],
        qos: int = 1,
        in_flight: int = 1000,
        retained: bool = False,
        clean: bool = False,
        will: tuple[str, bytes] | None = None,
        environment: Mapping[str, str] = os.environ,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clean`: the broker is to forget the session with each connection.

        `will` is (topic, payload) of a last will, QoS 1, retained; by default that of `broker.status_topic`.

        Raises `ConfigError` for a secret or certificate that cannot be read.
        """
        self._broker = broker
        self._client_id = client_id
        self._filters = list(filters)
        self._qos = qos
        self._in_flight = in_flight
        self._retained = retained
        self._clean = clean
        self._will = will or ((broker.status_topic, OFFLINE) if broker.status_topic else None)
        self._monotonic = monotonic
        self._password = broker.password.read(environment) if broker.password else None
        self._tls = None if broker.tls is None else _tls_context(broker.tls)
        self._client: paho.Client | None = None
        self._messages: list[Message] = []
        self._answer: tuple[bool, str | None] | None = None
        self._subscribed: str | None = None
        """What the broker said to our subscriptions: "" for yes."""

    @property
    def _v5(self) -> bool:
        return self._broker.version is MqttVersion.V5

    @property
    def address(self) -> str:
        """host:port, for messages."""
        return "{}:{}".format(*self._broker.address)

    # --- connecting ---

    def connect(self) -> bool:
        """Connect and subscribe; returns whether the broker still has the session. Raises `Unreachable`."""
        self.drop()
        self._messages, self._answer, self._subscribed = [], None, None
        client = self._new_client()
        host, port = self._broker.address
        try:
            if self._v5:
                properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
                properties.SessionExpiryInterval = 0 if self._clean else self._broker.session_expiry
                properties.ReceiveMaximum = self._in_flight
                properties.MaximumPacketSize = MAX_PAYLOAD + 128 * 1024
                client.connect(host, port, self._broker.keepalive, clean_start=self._clean, properties=properties)
            else:
                client.connect(host, port, self._broker.keepalive)
        except _BROKEN as problem:
            raise Unreachable(f"broker {self.address} cannot be reached: {problem}") from None
        self._client = client
        present, refusal = self._await(lambda: self._answer)
        if refusal is not None:
            self.drop()
            raise Unreachable(f"broker {self.address} refuses the connection: {refusal}")
        self._subscribe(client)
        if self._broker.status_topic is not None:
            self.publish(self._broker.status_topic, ONLINE, retain=True)
        return present

    def _new_client(self) -> paho.Client:
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            clean_session=None if self._v5 else self._clean,
            protocol=MQTTProtocolVersion.MQTTv5 if self._v5 else MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.connect_timeout = CONNECT_TIMEOUT
        if self._broker.username is not None or self._password is not None:
            client.username_pw_set(self._broker.username or "", self._password)
        if self._tls is not None:
            client.tls_set_context(self._tls)
        if self._will is not None:
            client.will_set(*self._will, qos=1, retain=True)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        return client

    def _subscribe(self, client: paho.Client) -> None:
        if self._v5:
            # Retain handling: 1 sends retained messages for a new subscription alone, 2 never (MQTT 5 §3.8.3.1).
            options = SubscribeOptions(qos=self._qos, retainHandling=1 if self._retained else 2)
            client.subscribe([(each, options) for each in self._filters])
        else:
            client.subscribe([(each, self._qos) for each in self._filters])
        refusal = self._await(lambda: self._subscribed)
        if refusal:
            self.drop()
            raise Unreachable(f"broker {self.address} does not grant the subscription: {refusal}")

    def _await(self, answer: Callable[[], T | None]) -> T:
        deadline = self._monotonic() + CONNECT_TIMEOUT
        while (found := answer()) is None:
            if self._monotonic() > deadline:
                self.drop()
                raise Unreachable(f"broker {self.address} does not answer")
            try:
                self._turn(0.05)
            except Unreachable:
                # A broker that refuses says why and hangs up.
                if answer() is None:
                    raise
        return found

    # --- callbacks of paho ---

    def _on_connect(self, _client: Any, _userdata: Any, flags: Any, reason: Any, _properties: Any) -> None:
        self._answer = (bool(flags.session_present), str(reason) if reason.is_failure else None)

    def _on_subscribe(self, _client: Any, _userdata: Any, _mid: int, reasons: Any, _properties: Any) -> None:
        said = ""
        for wanted, reason in zip(self._filters, reasons, strict=False):
            if reason.is_failure:
                said = f"{wanted}: {reason}"
            elif reason.value < self._qos:
                said = f"{wanted}: only QoS {reason.value}"
        self._subscribed = said

    def _on_message(self, _client: Any, _userdata: Any, message: paho.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""
        packet = message.mid if message.qos else None
        self._messages.append(
            Message(topic, bytes(message.payload), message.qos, packet, bool(message.dup), bool(message.retain))
        )

    # --- connected ---

    def poll(self, timeout: float) -> list[Message]:
        """What has come in, waiting at most `timeout` seconds for it. Raises `Unreachable` when the connection ends."""
        if not self._messages:
            self._turn(timeout)
        for _ in range(READ_AT_ONCE):
            before = len(self._messages)
            if not before or len(self._messages) >= READ_AT_ONCE:
                break
            self._turn(0)
            if len(self._messages) == before:
                break
        found, self._messages = self._messages, []
        return found

    def serve(self, timeout: float) -> None:
        """Keep the connection alive without taking anything; raises `Unreachable`."""
        time.sleep(timeout)
        self._turn(0, read=False)

    def acknowledge(self, packet: int) -> None:
        """Send PUBACK; in the order in which messages came (MQTT 5 §4.6)."""
        if self._client is not None:
            self._client.ack(packet, 1)

    def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> None:
        """Publish, without waiting for an acknowledgement."""
        if self._client is not None:
            self._client.publish(topic, payload, qos=qos, retain=retain)

    def drop(self) -> None:
        """Cut the connection without a farewell: the broker publishes the last will."""
        if self._client is not None:
            self._client._sock_close()  # paho has no other way to break off; a new client takes over
            self._client = None

    def close(self) -> None:
        """Say farewell: the session stays with the broker, the last will is not published."""
        client = self._client
        if client is None:
            return
        try:
            if self._will is not None:
                self.publish(*self._will, retain=True)
            client.disconnect()
            while client.want_write() and client.loop_write() == MQTTErrorCode.MQTT_ERR_SUCCESS:
                pass
        except _BROKEN:
            pass
        self.drop()

    def _turn(self, timeout: float, *, read: bool = True) -> None:
        """Write what waits, read one packet if there is one, keep alive."""
        client = self._client
        sock = client.socket() if client is not None else None
        if client is None or sock is None:
            raise self._lost("closed")
        try:
            readable = read and _is_readable(sock, timeout)
            status = client.loop_read() if readable else MQTTErrorCode.MQTT_ERR_SUCCESS
            if status == MQTTErrorCode.MQTT_ERR_SUCCESS and client.want_write():
                status = client.loop_write()
            if status == MQTTErrorCode.MQTT_ERR_SUCCESS:
                status = client.loop_misc()
        except _BROKEN as problem:
            raise self._lost(str(problem)) from None
        if status != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise self._lost(paho.error_string(status))

    def _lost(self, why: str) -> Unreachable:
        self.drop()
        return Unreachable(f"the connection to broker {self.address} is lost: {why}")


def _is_readable(sock: Any, timeout: float) -> bool:
    # TLS may hold decrypted bytes that the socket itself no longer shows.
    if isinstance(sock, ssl.SSLSocket) and sock.pending():
        return True
    poller = select.poll()
    poller.register(sock, select.POLLIN)
    return bool(poller.poll(timeout * 1000))


class _TlsContext(ssl.SSLContext):
    """Makes the handshake itself, because paho forgets to close a socket whose handshake failed."""

    def wrap_socket(self, *args: Any, **settings: Any) -> ssl.SSLSocket:
        """See `ssl.SSLContext`."""
        wrapped = super().wrap_socket(*args, **{**settings, "do_handshake_on_connect": False})
        try:
            wrapped.settimeout(CONNECT_TIMEOUT)
            wrapped.do_handshake()
        except BaseException:
            wrapped.close()
            raise
        return wrapped


def _tls_context(tls: Tls) -> ssl.SSLContext:
    """Certificate and host name are checked, as PROTOCOL_TLS_CLIENT has it; TLS 1.2 at least."""
    try:
        context = _TlsContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if tls.ca is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(tls.ca)
        if tls.cert is not None and tls.key is not None:
            context.load_cert_chain(tls.cert, tls.key)
    except (OSError, ValueError) as problem:
        raise ConfigError(f"TLS with {tls.ca or 'the system authorities'}, {tls.cert}: {problem}") from None
    return context


class Publisher:
    """Publishes with QoS 1, in a thread of paho's; sends again after a lost connection what was not acknowledged."""

    def __init__(self, host: str, port: int) -> None:
        """Raises `Unreachable`."""
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.max_queued_messages_set(0)
        self._client.on_publish = self._count
        self._published = self._acknowledged = 0
        self._news = threading.Event()
        try:
            self._client.connect(host, port)
        except _BROKEN as problem:
            raise Unreachable(f"broker {host}:{port} cannot be reached: {problem}") from None
        self._client.loop_start()

    def _count(self, *_: object) -> None:
        self._acknowledged += 1
        self._news.set()

    def publish(self, topic: str, payload: bytes) -> None:
        """Publish one message, without waiting."""
        self._published += 1
        self._client.publish(topic, payload, qos=1)

    def wait(self, most: int, patience: float) -> None:
        """Wait until at most `most` are unacknowledged; raises `Unreachable` after `patience` seconds without news."""
        while self._published - self._acknowledged > most:
            self._news.clear()
            if self._published - self._acknowledged > most and not self._news.wait(patience):
                raise Unreachable(f"the broker has acknowledged nothing for {patience:g} s")

    def __enter__(self) -> Publisher:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()
