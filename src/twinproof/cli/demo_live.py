"""The demonstration's live chapter: engines without devices, over MQTT, watched, with an alarm and a proved past."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

from twinproof.cli import cmapss_mqtt
from twinproof.cli.demo_node import PATIENCE, Child, run_command
from twinproof.errors import InternalError
from twinproof.exchange.cmapss.layout import CYCLE, FIELDS, Snapshot, twin_iri

WATCHED: Final = "T50"
"""Total temperature at the low-pressure turbine's outlet: it rises as the core wears."""
OPERATOR_KEY: Final = ("--key", "node/keys/operator.pem")
GATEWAY: Final = "https://fleet.example/gateway/1#gateway"
RATE: Final = 200.0
"""Messages a second."""
SHOWN: Final = 3
"""Changes that are printed before the alarm."""

Engines = Mapping[int, Sequence[Snapshot]]


class Teller(Protocol):
    """What the chapter needs of the story."""

    folder: Path
    dataset: str
    summary: dict[str, Any]

    @property
    def port(self) -> str:
        """Of the node, in all chapters."""

    def chapter(self, title: str) -> None: ...

    def line(self, text: str = "", *, passed: bool | None = None) -> None: ...

    def shell(self, *arguments: str, cwd: Path, expect: int = 0, show: Sequence[str] = ()) -> str: ...


class LiveChapter:
    """`engines` fly over MQTT to the node at `url`; the twin of the first one is watched."""

    def __init__(self, story: Teller, engines: Engines, url: str, base: str, start: int) -> None:
        self.story = story
        self.engines = engines
        self.url = url
        self.base = base
        self.start = start
        self.twins = {unit: twin_iri(base, story.dataset, unit) for unit in engines}
        self.watched = next(iter(self.twins.values()))

    def tell(self) -> None:
        """The chapter."""
        story, watched = self.story, self.watched
        story.chapter(
            f"{len(self.engines)} engines without devices stream by MQTT: a gateway signs, a subscriber watches"
        )
        with open_broker(story.folder / "broker") as (port, name):
            story.line(f"Broker: {name}, port {port}. Gateway: {GATEWAY}")
            self._grant_gateway(port)
            self._set_rule()
            alarm = self._stream(port)
        story.line(
            f"Entry {alarm} is the alarm, signed by the node itself. The twin just before it, as the node tells it:"
        )
        story.shell(
            "twin", "show", watched, "--at", str(alarm - 1), "--url", self.url, cwd=story.folder, show=[WATCHED]
        )
        run_command("prove", watched, "-o", "auditor/live.twinproof", "--url", self.url, cwd=story.folder)
        story.line("and as it is proved, offline, to somebody who has the file and the policy:")
        proved = story.shell(
            *("verify", "live.twinproof", "--policy", "policy.txt", "--at", str(alarm - 1)),
            cwd=story.folder / "auditor",
            show=[WATCHED, "VERIFIED"],
        )
        if WATCHED not in proved:
            raise InternalError(f"the proved state has no {WATCHED}: {proved}")
        story.summary |= {"live_engines": len(self.engines), "alarm_entry": alarm, "past_state_proved": True}

    def _grant_gateway(self, port: int) -> None:
        folder = self.story.folder
        run_command("key", "new", "gateway.pem", "--iss", GATEWAY, cwd=folder)
        run_command(
            *("grant", "gateway.json", "--can", "record", "--prefix", self.base, "--url", self.url, *OPERATOR_KEY),
            cwd=folder,
        )
        gateway = {"issuer": GATEWAY, "key": "gateway.pem", "outbox": "gateway.outbox", "node": self.url}
        lines = ["[gateway]", "batch = 4", *(f"{name} = {json.dumps(value)}" for name, value in gateway.items()), ""]
        source = cmapss_mqtt.format_source("127.0.0.1", port, self.base)
        (folder / "gateway.toml").write_text("\n".join([*lines, source]))

    def _set_rule(self) -> None:
        limit = rule_limit(next(iter(self.engines.values())))
        self.story.shell(
            *("alarm", "rule", "set", self.watched, "hot", "--signal", WATCHED, "--test", "above"),
            *("--limit", str(limit), "--severity", "high", "--url", self.url, *OPERATOR_KEY),
            cwd=self.story.folder,
            show=["entry"],
        )

    def _stream(self, port: int) -> int:
        """Let the engines fly and show what the subscriber saw; the log index of the alarm."""
        story = self.story
        watch = ("watch", "--url", self.url, "--twin", self.watched)
        subscriber = Child(*watch, "--after", "-1", cwd=story.folder)
        gateway = Child("bridge", "run", "gateway.toml", cwd=story.folder)
        try:
            gateway.wait_for("records")
            story.line(f"$ twinproof {' '.join(watch)}")
            published = cmapss_mqtt.publish(
                "127.0.0.1", port, story.dataset, self.engines, self.start, RATE, lambda done, total: None
            )
            raised = subscriber.wait_for('"raise"')
            self._wait_until_recorded()
        finally:
            gateway.stop()
            subscriber.stop()
        told = [line for line in subscriber.lines if line.split()[2:3] in (["columns"], ["readings"])]
        for line in (*told[:SHOWN], "…", raised):
            story.line(f"  {line.strip()[:140]}")
        story.line(f"{published} messages, acknowledged to the broker only once the log had them", passed=True)
        return int(raised.split()[0])

    def _wait_until_recorded(self) -> None:
        deadline = time.monotonic() + PATIENCE
        for unit, flights in self.engines.items():
            while self._last_cycle(self.twins[unit]) < flights[-1].cycle:
                if time.monotonic() > deadline:
                    raise InternalError(f"the gateway did not record every flight of {self.twins[unit]}")
                time.sleep(0.2)

    def _last_cycle(self, twin: str) -> float:
        state = json.loads(run_command("twin", "show", twin, "--url", self.url, "--json", cwd=self.story.folder))
        return float(state["readings"][CYCLE.name]["value"])


def rule_limit(flights: Sequence[Snapshot]) -> float:
    """What the watched signal passes in the last third of an engine's life: 70 % of the way that it goes."""
    place = [field.name for field in FIELDS].index(WATCHED)
    values = [flight.values[place] for flight in flights]
    part = max(1, len(values) // 10)
    first, last = sum(values[:part]) / part, sum(values[-part:]) / part
    return round(first + 0.7 * (last - first), 1)


@contextmanager
def open_broker(folder: Path) -> Iterator[tuple[int, str]]:
    """A broker on a free port: Mosquitto where it is installed, else the embedded one; (port, name)."""
    folder.mkdir()
    # Debian puts it where only root's PATH looks.
    places = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    program = shutil.which("mosquitto", path=places)
    if program is None:
        broker = Child("bridge", "broker", "--port", "0", "--json", cwd=folder)
        try:
            listening = json.loads(broker.wait_for("listening"))["listening"]
            yield int(str(listening).rsplit(":", 1)[1]), "the embedded one (no Mosquitto is installed)"
        finally:
            broker.stop()
        return
    port = _free_port()
    (folder / "mosquitto.conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n")
    with subprocess.Popen(  # noqa: S603 - the system's own broker
        [program, "-c", "mosquitto.conf"], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            _wait_until_open(port)
            yield port, "Mosquitto"
        finally:
            process.terminate()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _wait_until_open(port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise InternalError(f"the broker did not open port {port}") from None
            time.sleep(0.05)
        else:
            return
