"""A small fleet on a live node, made once for the browser tests: readings, alarms, forecasts, anchors.

    with made(folder) as world:
        world.url                                      its console's address
        world.read(world.engine(3), T24=651.0)         another reading, taken in when it returns

Times lie in the last hours before the node's clock, so that freshness shows. What tests add goes to a twin of their
own (`world.fresh()`): the twins here stay as they are for the session.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any, Final

import uvicorn

from tests.builders import Log, Signer, signer
from tests.node.folders import continue_log
from tests.server.process import make_folder
from twinproof.node.chain_setup import deploy_contracts, open_account, open_chain, open_sender, write_contracts
from twinproof.node.config import FILE_NAME, ChainSettings, format_config, load_config
from twinproof.node.intake import Accepted
from twinproof.node.live import Live, open_live
from twinproof.node.service_keys import CONSOLE
from twinproof.node.tokens import TokenFile, parse_scope
from twinproof.server.access import Access
from twinproof.server.live_app import make_live_app
from twinproof.server.protocol import BoundedProtocol, BoundedWebSocket
from twinproof.server.run import listen
from twinproof.twin import alarm, columns, model
from twinproof.twin.alarm import AlarmTransition, Case, Rule, Severity, Transition
from twinproof.twin.description import Description, Lifecycle
from twinproof.twin.grants import Capability, Scope, log_subject
from twinproof.twin.prediction import PREDICTION, UNCLAIMED, Prediction, Read, format_prediction

FLEET: Final = "https://fleet.example/"
ENGINE_MODEL: Final = "dtmi:com:example:turbofan;1"
PUMP_MODEL: Final = "dtmi:com:example:pump;1"
DEVICE = signer("urn:example:device:engines", 31)
GATEWAY = signer("https://fleet.example/hall#gateway", 32)
ENGINEER = signer("https://fleet.example/engineer", 33)
FORECASTER = signer("https://fleet.example/forecaster", 34)
ENGINES: Final = 8
PUMPS: Final = 4
LONER: Final = "urn:example:loner"
SPARE: Final = f"{FLEET}engine/spare"
"""Described, and without readings."""
DIGEST: Final = bytes(range(32))


def interface(identifier: str, shown: str, signals: dict[str, str], *commands: str) -> dict[str, Any]:
    """A DTDL Interface with these telemetry signals and their display names."""
    request = {"name": "minutes", "schema": "integer"}
    telemetry = [
        {"@type": "Telemetry", "name": key, "displayName": words, "schema": "double"} for key, words in signals.items()
    ]
    return {
        "@context": "dtmi:dtdl:context;3",
        "@id": identifier,
        "@type": "Interface",
        "displayName": shown,
        "contents": [
            *telemetry,
            {"@type": "Property", "name": "name", "schema": "string"},
            {"@type": "Property", "name": "serial", "displayName": "Serial number", "schema": "string"},
            {"@type": "Property", "name": "mode", "displayName": "Mode", "schema": "string", "writable": True},
            *({"@type": "Command", "name": name, "request": request} for name in commands),
            {"@type": "Relationship", "name": "feeds"},
        ],
    }  # fmt: skip


ENGINE = interface(
    ENGINE_MODEL,
    "Turbofan",
    {"T24": "LPC outlet temperature", "T50": "LPT outlet temperature", "Nf": "Fan speed"},
    "wash",
)
PUMP = interface(PUMP_MODEL, "Pump", {"flow": "Flow", "pressure": "Pressure"}, "prime")


@dataclass
class World:
    """The served node, and what tests do with it."""

    live: Live
    script: Log
    url: str
    """Of the node, without a slash at its end. Its console is below /console/."""
    _numbers: Iterator[int] = field(default_factory=count)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _taken: int = field(init=False)
    """Statements of the script that the log holds: the node says things of its own too."""

    def __post_init__(self) -> None:
        self._taken = len(self.script.raws)

    @property
    def now(self) -> int:
        return int(time.time())

    @property
    def size(self) -> int:
        """Entries of the log."""
        return self.live.node.reader.head().size

    def engine(self, number: int) -> str:
        """The IRI of one of `ENGINES` engines, from 1."""
        return f"{FLEET}engine/{number}"

    def pump(self, number: int) -> str:
        """The IRI of one of `PUMPS` pumps, from 1."""
        return f"{FLEET}pump/{number}"

    def fresh(self, name: str = "test") -> str:
        """The IRI of a twin that nobody else uses."""
        return f"{FLEET}{name}/{next(self._numbers)}"

    def take(self) -> None:
        """Log what the script holds and the log does not; wait until the views have it."""
        with self._lock:
            missing = self.script.raws[self._taken :]
            self._taken = len(self.script.raws)
            outcomes = self.live.node.intake.submit(missing).result(30)
            assert all(isinstance(outcome, Accepted) for outcome in outcomes), outcomes
        self.settle()

    def settle(self) -> None:
        """Wait until the views have everything."""
        assert self.live.states.wait(self.size, 30)
        assert self.live.telemetry.wait(self.size - 1, 30)

    def read(self, twin: str, *, by: Signer = DEVICE, at: int | None = None, **values: float) -> None:
        """Readings of one moment, taken in when it returns."""
        readings(self.script, twin, by, at or self.now, values)
        self.take()

    def describe(self, twin: str, *, model: str = ENGINE_MODEL, **properties: str) -> None:
        """A description, taken in when it returns."""
        said = Description(model, Lifecycle.IN_SERVICE, properties)
        self.script.describe(ENGINEER, said, subject=twin, at=self.now)
        self.take()

    def raise_alarm(self, twin: str, rule: str, value: float) -> None:
        """Raise an alarm of a rule that stands, taken in when it returns."""
        raised = AlarmTransition(rule, Transition.RAISE, value, float(self.now))
        self.script.say(FORECASTER, twin, alarm.ALARM, alarm.format_transition(raised), at=self.now)
        self.take()

    def predict(self, twin: str, lower: float, point: float, upper: float) -> None:
        """A forecast in cycles, taken in when it returns."""
        predict(self.script, twin, self.now, lower, point, upper)
        self.take()

    def anchor(self) -> None:
        """Anchor the log as it is."""
        chain = self.live.chain
        assert chain is not None
        # The node's own rounds may be under way: what is anchored counts, not who did it.
        for _ in range(8):
            chain.anchoring.step()
            if chain.anchoring.report.size >= self.size:
                return
        raise AssertionError(chain.anchoring.report)

    def token(self, *scopes: str, lifetime: int | None = None) -> str:
        """A new token of these scopes."""
        tokens = TokenFile(self.live.node.folder, self.live.node.clock)
        return tokens.new([parse_scope(scope) for scope in scopes], lifetime=lifetime)[0]

    @property
    def operating(self) -> str:
        """A token that reads everything and acts."""
        return self.token("all", "operate", lifetime=3600)

    def link(self, route: str = "/", *, token: str | None = None) -> str:
        """The console's address of a route; with a token, of the sign-in with it."""
        return f"{self.url}/console/#{route}" if token is None else f"{self.url}/console/#/signin?token={token}"


def readings(log: Log, twin: str, by: Signer, at: int, values: dict[str, float]) -> None:
    """One statement with these readings."""
    units = {"flow": "m3/h", "pressure": "bar", "Nf": "1/min"}
    said = [(name, units.get(name, "K"), [value]) for name, value in values.items()]
    log.say(by, twin, columns.COLUMNS, columns.format_columns(float(at), said), at=at)


def predict(log: Log, twin: str, at: int, lower: float, point: float, upper: float, **more: Any) -> None:
    """One forecast; its model's file is nowhere."""
    reads = (Read(DEVICE.issuer, 0, 0, DIGEST),)
    said = Prediction(lower, point, upper, more.pop("coverage", 0.9), "{cycle}", DIGEST, reads, **more)
    log.say(FORECASTER, twin, PREDICTION, format_prediction(said), at=at)


def story(log: Log, now: int) -> None:
    """All that is in the log before the tests begin."""
    everything = Scope("prefix", "")
    start = now - 7200
    log.grant(DEVICE, {Capability.RECORD}, everything, at=start)
    log.grant(GATEWAY, {Capability.RECORD}, Scope("prefix", f"{FLEET}pump/"), at=start)
    log.grant(ENGINEER, {Capability.DESCRIBE, Capability.OPERATE}, everything, at=start)
    log.grant(FORECASTER, {Capability.PREDICT}, everything, at=start)
    for document in (ENGINE, PUMP):
        said = model.ModelDocument(model.DTDL, json.dumps(document).encode())
        log.say(ENGINEER, document["@id"], model.MODEL, model.format_model(said), at=start)
    hot = Rule("hot", "T24", alarm.Test.ABOVE, 650.0, Severity.HIGH, text="Too hot behind the low-pressure compressor")
    slow = Rule("slow", "Nf", alarm.Test.BELOW, 2300.0, Severity.MEDIUM, text="The fan turns slowly")
    for rule in (hot, slow):
        for number in range(1, ENGINES + 1):
            log.say(ENGINEER, f"{FLEET}engine/{number}", alarm.RULE, alarm.format_rule(rule), at=start)
    for number in range(1, ENGINES + 1):
        _engine(log, f"{FLEET}engine/{number}", number, now)
    for number in range(1, PUMPS + 1):
        _pump(log, f"{FLEET}pump/{number}", number, now)
    log.describe(
        ENGINEER, Description(ENGINE_MODEL, Lifecycle.PLANNED, {"name": "Engine spare"}), subject=SPARE, at=start
    )
    log.record(DEVICE, 21.5, subject=LONER, name="x", at=now - 4000)
    _alarms(log, now)


def _engine(log: Log, twin: str, number: int, now: int) -> None:
    feeds = (("feeds", f"{FLEET}pump/{number}"),) if number <= PUMPS else ()
    properties = {"name": f"Engine {number:02}", "serial": f"TF-{1000 + number}"}
    said = Description(ENGINE_MODEL, Lifecycle.IN_SERVICE, properties, relate=feeds)
    log.describe(ENGINEER, said, subject=twin, at=now - 7000)
    for step in range(12):
        at = now - 6600 + 580 * step - 25 * number
        values = {"T24": 640.0 + number + step / 2, "T50": 1400.0 + 2 * step, "Nf": 2390.0 - step}
        readings(log, twin, DEVICE, at, values)
    if number <= 6:
        point, wide = 20.0 * number, 4.0 + number
        drivers = {"T24": -3.5, "T50": 1.25}
        predict(log, twin, now - 300, point - wide, point, point + 2 * wide, drivers=drivers)
    if number == 6:
        unsure = {"coverage": UNCLAIMED, "remarks": ("gap",), "widened": 0.9}
        predict(log, twin, now - 200, 60.0, 120.0, 180.0, **unsure)


def _pump(log: Log, twin: str, number: int, now: int) -> None:
    said = Description(PUMP_MODEL, Lifecycle.IN_SERVICE, {"name": f"Pump {number}"})
    log.describe(ENGINEER, said, subject=twin, at=now - 7000)
    for step in range(6):
        readings(
            log, twin, GATEWAY, now - 900 + 60 * step, {"flow": 40.0 + number + step, "pressure": 5.5 + number / 10}
        )
    if number == 2:
        log.resume(GATEWAY, "memory card replaced", subject=twin, at=now - 500)


def _alarms(log: Log, now: int) -> None:
    def transition(twin: str, said: AlarmTransition, kind: str = alarm.ALARM) -> None:
        by = FORECASTER if kind == alarm.ALARM else ENGINEER
        log.say(by, twin, kind, alarm.format_transition(said), at=now - 100)

    engine = f"{FLEET}engine/"
    case = Case(
        "wear",
        2.5,
        float(now - 1800),
        (("T24", 1.75), ("T50", -0.5), ("Nf", 0.25)),
        ("fouling of the compressor", "bleed leak"),
    )
    transition(f"{engine}2", AlarmTransition("hot", Transition.RAISE, 652.5, float(now - 1500), case=case))
    transition(f"{engine}3", AlarmTransition("slow", Transition.RAISE, 2290.0, float(now - 900)))
    transition(
        f"{engine}3", AlarmTransition("slow", Transition.ACKNOWLEDGE, text="crew informed"), alarm.ALARM_RESPONSE
    )
    transition(f"{engine}4", AlarmTransition("slow", Transition.RAISE, 2280.0, float(now - 800)))


@contextmanager
def served(live: Live, access: Access | None = None) -> Iterator[str]:
    """The node's application on a free port, from a thread of this process; its address."""
    app = make_live_app(live, access=access)
    listener = listen("127.0.0.1", 0)
    config = uvicorn.Config(
        app, http=BoundedProtocol, ws=BoundedWebSocket, lifespan="off", log_config=None, log_level="warning",
        timeout_graceful_shutdown=2,
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="console")
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)
        listener.close()


@contextmanager
def made(folder: Path, *, chain: bool = True) -> Iterator[World]:
    """A new node in a folder, with the story in its log, anchored, and served."""
    make_folder(folder, rate=0)
    if chain:
        settings = ChainSettings("embedded", anchor_every_entries=1)
        (folder / FILE_NAME).write_text(format_config(replace(load_config(folder), chain=settings)))
        with (
            open_chain(folder, settings) as opened,
            open_sender(folder, settings, opened, open_account(folder, settings)) as sender,
        ):
            write_contracts(folder, deploy_contracts(sender, opened, load_config(folder).origin))
    with open_live(folder) as live:
        if live.chain is not None:
            # Anchors come when a test asks for one.
            live.chain.stop()
        CONSOLE.enable(live.node, CONSOLE.key(folder, live.node.config.origin))
        with served(live) as url:
            world = World(live, continue_log(live.node), url)
            story(world.script, world.now)
            world.take()
            if chain:
                world.anchor()
                readings(world.script, world.engine(1), DEVICE, world.now, {"T24": 647.5, "T50": 1425.0, "Nf": 2380.0})
                world.take()
            yield world


LOG_TWIN: Final = log_subject("twin.example/log0")
