"""A live node in this process with something of everything in its log, and clients of its application."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.testclient import TestClient

from tests.builders import DEVICE, GATEWAY, INSPECTOR, OTHER_TWIN, START, TWIN, Log
from tests.node.folders import continue_log
from tests.server.process import make_folder
from twinproof.node.config import FILE_NAME, Access, format_config, load_config
from twinproof.node.intake import Accepted
from twinproof.node.live import Live, open_live
from twinproof.node.tokens import TokenFile, parse_scope
from twinproof.server.live_app import make_live_app
from twinproof.twin import alarm, columns, model, operation, senml
from twinproof.twin.alarm import AlarmTransition, Rule, Severity, Transition
from twinproof.twin.description import Description, Lifecycle
from twinproof.twin.grants import Capability, Scope
from twinproof.twin.operation import Acknowledgement, Command, Desired, Status
from twinproof.twin.reading import Reading

FREE = ("/api/v1/telemetry/sql", "/api/v1/graph")
"""Questions that name twins inside their text, so they take the scope `all`."""
ACTS = ("/api/v1/transactions", "/api/v1/commands", "/api/v1/desired", "/api/v1/alarms/response")
"""What is done, by tokens of the scope operate."""
POSTED = (*FREE, "/api/v1/whatif", "/api/v1/plan", *ACTS)
"""Questions of the API that are asked with POST."""
MODEL_ID = "dtmi:com:example:engine;1"
MODEL = {
    "@context": "dtmi:dtdl:context;3",
    "@id": MODEL_ID,
    "@type": "Interface",
    "displayName": "Engine",
    "contents": [
        {"@type": "Telemetry", "name": "T24", "schema": "double"},
        {"@type": "Telemetry", "name": "Nf", "schema": "double"},
        {"@type": "Property", "name": "serial", "schema": "string"},
        {"@type": "Property", "name": "mode", "schema": "string", "writable": True},
        {"@type": "Command", "name": "wash", "request": {"name": "minutes", "schema": "integer"}},
        {"@type": "Relationship", "name": "feeds"},
    ],
}
FLEET = "https://fleet.example/"
LONER = "urn:example:loner"
TWINS = (TWIN, OTHER_TWIN, LONER)
REMOTE = ("192.0.2.7", 40000)
"""A client's address elsewhere."""


def story(log: Log) -> None:
    """Say something of every kind."""
    everything = Scope("prefix", "")
    log.grant(DEVICE, {Capability.RECORD}, everything)
    log.grant(GATEWAY, {Capability.DESCRIBE, Capability.OPERATE, Capability.PREDICT}, everything)
    log.grant(INSPECTOR, {Capability.ATTEST}, everything)
    document = json.dumps(MODEL).encode()
    log.say(GATEWAY, MODEL_ID, model.MODEL, model.format_model(model.ModelDocument(model.DTDL, document)))
    log.describe(
        GATEWAY,
        Description(MODEL_ID, Lifecycle.IN_SERVICE, {"serial": "A-1"}, relate=(("feeds", OTHER_TWIN),)),
        at=START + 10,
    )
    for number in range(5):
        log.record(DEVICE, 640.5 + number, at=START + 20 + number)
    log.record(DEVICE, 1.0, subject=OTHER_TWIN, at=START + 30)
    log.record(DEVICE, 2.0, subject=LONER, name="x", at=START + 31)
    payload = columns.format_columns(START + 40, [("Nf", "1/min", [2388.0, 2389.0, 2390.5])], step=1)
    log.say(DEVICE, TWIN, columns.COLUMNS, payload, at=START + 45)
    log.say(GATEWAY, TWIN, operation.DESIRED, operation.format_desired(Desired({"mode": "eco"})), at=START + 50)
    asked = log.say(GATEWAY, TWIN, operation.COMMAND, operation.format_command(Command("wash", 5)), at=START + 51)
    answered = operation.format_acknowledgement(Acknowledgement(asked.digest, Status.DONE, "washed"))
    log.say(DEVICE, TWIN, operation.ACKNOWLEDGEMENT, answered, at=START + 52)
    rule = Rule("hot", "T24", alarm.Test.ABOVE, 644.0, Severity.HIGH, text="too hot")
    log.say(GATEWAY, TWIN, alarm.RULE, alarm.format_rule(rule), at=START + 53)
    raised = AlarmTransition("hot", Transition.RAISE, 644.5, float(START + 24))
    log.say(GATEWAY, TWIN, alarm.ALARM, alarm.format_transition(raised), at=START + 54)
    mixed = [Reading("note", "ok", None, START + 60.0, None), Reading("raw", b"\x01\xff", None, START + 60.5, None)]
    log.say(DEVICE, LONER, senml.SENML, senml.format_senml(mixed), at=START + 61)
    log.attest(INSPECTOR, "urn:example:release", at=START + 70)
    log.resume(DEVICE, "new disk", at=START + 71)


@dataclass
class Rig:
    """An open live node and its application."""

    live: Live
    app: FastAPI
    log: Log

    @property
    def size(self) -> int:
        """Entries of the log."""
        return len(self.log.raws)

    def client(self, address: tuple[str, int] = ("127.0.0.1", 40000), token: str | None = None) -> TestClient:
        """A client of the application at an address."""
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        return TestClient(
            self.app, base_url="http://127.0.0.1:8600", client=address, headers=headers, raise_server_exceptions=True
        )

    def grow(self) -> list[int]:
        """Hand over what the script holds and the log does not, and wait for the views; the indices."""
        missing = self.log.raws[self.live.node.reader.head().size :]
        outcomes = self.live.node.intake.submit(missing).result(30)
        assert all(isinstance(outcome, Accepted) for outcome in outcomes), outcomes
        self.settle()
        return [outcome.index for outcome in outcomes if isinstance(outcome, Accepted)]

    def settle(self) -> None:
        """Wait until the views have taken everything in."""
        assert self.live.states.wait(self.size, 30)
        assert self.live.telemetry.wait(self.size - 1, 30)

    def token(self, *scopes: str, lifetime: int | None = None) -> str:
        """A new token of these scopes."""
        tokens = TokenFile(self.live.node.folder, self.live.node.clock)
        return tokens.new([parse_scope(scope) for scope in scopes], lifetime=lifetime)[0]


def configure(folder: Path, access: Access) -> Path:
    """Set who may read."""
    changed = replace(load_config(folder), access=access)
    (folder / FILE_NAME).write_text(format_config(changed))
    return folder


@contextmanager
def live_rig(folder: Path, access: Access | None = None) -> Iterator[Rig]:
    """A live node on a new folder, with the story in its log."""
    configure(make_folder(folder, rate=0), access or Access())
    with open_live(folder) as live:
        rig = Rig(live, make_live_app(live), continue_log(live.node))
        story(rig.log)
        rig.grow()
        yield rig


def ok(client: TestClient, path: str, **query: Any) -> Any:
    """GET, which must succeed; the JSON body."""
    answer = client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()
