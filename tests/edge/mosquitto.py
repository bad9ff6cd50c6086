"""A real Mosquitto on a free port of 127.0.0.1, which can be stopped, killed and started again, and a publisher."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

PATIENCE = 30.0
"""Seconds until a test gives up waiting."""


def until(done: Callable[[], object], what: str) -> None:
    """Wait for something that another thread or process does."""
    deadline = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < deadline, f"waited {PATIENCE} s for {what}"
        threading.Event().wait(0.01)


def find_mosquitto() -> str:
    """Its path; without it tests are skipped on a user's machine and fail in CI."""
    found = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin")
    if found is not None:
        return found
    if os.environ.get("CI") == "true":
        pytest.fail("CI needs the broker Mosquitto (Debian package mosquitto)")
    pytest.skip("Mosquitto is not installed (Debian package mosquitto)")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Mosquitto:
    """Keeps its sessions and queued messages over a stop and a start."""

    def __init__(self, folder: Path, *settings: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.config = folder / "mosquitto.conf"
        lines = [
            f"listener {self.port} 127.0.0.1",
            "persistence true",
            f"persistence_location {folder}/",
            "max_queued_messages 0",
            *([] if os.geteuid() else ["user root"]),
            *(settings or ("allow_anonymous true",)),
        ]
        self.config.write_text("\n".join(lines) + "\n")
        self._binary = find_mosquitto()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Mosquitto:
        self._process = subprocess.Popen(
            [self._binary, "-c", str(self.config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until(self._listens, "Mosquitto to listen")
        return self

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"Mosquitto ended with {self._process.returncode}"
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """SIGTERM saves sessions and queues; SIGKILL leaves what `save` saved last."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(PATIENCE)
            self._process = None

    def save(self) -> None:
        """Write sessions and queues to the disk now."""
        assert self._process is not None
        before = self._saved()
        self._process.send_signal(signal.SIGUSR1)
        until(lambda: self._saved() != before, "Mosquitto to save")

    def _saved(self) -> int:
        path = self.folder / "mosquitto.db"
        return path.stat().st_mtime_ns if path.exists() else 0


class Publisher:
    """A real publisher: QoS 1, reconnects, sends again what was not acknowledged."""

    def __init__(self, broker: Mosquitto, *, v5: bool = True, **tls: Any) -> None:
        self.client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id="publisher",
            clean_session=None if v5 else False,
            protocol=MQTTProtocolVersion.MQTTv5 if v5 else MQTTProtocolVersion.MQTTv311,
        )
        self._sent = self._acknowledged = 0
        self.client.on_publish = self._count
        self.client.reconnect_delay_set(0.05, 0.2)  # type: ignore[arg-type]
        if tls:
            self.client.tls_set(**tls)
        self.client.connect("localhost" if tls else "127.0.0.1", broker.port)
        self.client.loop_start()

    def publish(self, topic: str, payload: bytes | str, *, retain: bool = False, qos: int = 1) -> None:
        # Without a connection paho keeps it for later, and says so in a result that looks like a failure.
        self._sent += 1
        self.client.publish(topic, payload, qos=qos, retain=retain)

    def settle(self) -> None:
        """Wait until the broker has acknowledged everything."""
        until(lambda: self._acknowledged >= self._sent, "the publisher's acknowledgements")

    def _count(self, *_: object) -> None:
        self._acknowledged += 1

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()
