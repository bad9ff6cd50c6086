"""A device as the tests see it: it can crash, lose its disk, and get an old copy of it back."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from twinproof.edge.courier import IDLE
from twinproof.edge.outbox import Outbox
from twinproof.edge.recorder import Recorder, Stream
from twinproof.errors import TwinproofError
from twinproof.proof.keys import EDDSA, PrivateKey
from twinproof.testing.clock import ManualClock
from twinproof.testing.edge import FakeLog
from twinproof.twin.attestation import RESUME, parse_resume
from twinproof.twin.columns import COLUMNS, parse_columns
from twinproof.twin.reading import Reading
from twinproof.twin.senml import SENML, parse_senml
from twinproof.twin.statement import Statement

KEY = PrivateKey(EDDSA, bytes(range(32)))
ISSUER = "urn:dev:gateway-1"
PUMP = "urn:asset:pump-7"


def readings_of(statement: Statement) -> list[Reading]:
    """The samples of a statement, none if it is of another kind."""
    if statement.content_type == SENML:
        return parse_senml(statement.payload, statement.issued_at)
    if statement.content_type == COLUMNS:
        return list(parse_columns(statement.payload, statement.issued_at).readings())
    return []


class Device:
    """Keeps log and clock while recorder and outbox come and go."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self.path = folder / "device.outbox"
        self.clock = ManualClock()
        self.log = FakeLog({KEY.public.thumbprint: KEY.public}, clock=self.clock)
        self.problems: list[TwinproofError] = []
        self.outbox_settings: dict[str, Any] = settings.pop("outbox", {})
        self.settings: dict[str, Any] = {"log_keys": [self.log.key], **settings}
        self._copies = 0
        self.boot()

    def boot(self) -> None:
        self.outbox = Outbox(self.path, **self.outbox_settings)
        self.recorder = Recorder(
            KEY,
            ISSUER,
            self.outbox,
            self.settings.pop("sink", self.log),
            on_problem=self.problems.append,
            clock=self.clock,
            monotonic=self.clock,
            jitter=lambda: 0.5,
            **self.settings,
        )

    def close(self) -> None:
        self.outbox.close()

    def copy(self) -> Path:
        """What a power loss now would leave on the disk."""
        self._copies += 1
        target = self.folder / f"copy-{self._copies}"
        target.mkdir()
        for file in self.folder.glob(f"{self.path.name}*"):
            shutil.copy(file, target / file.name)
        return target

    def crash(self) -> None:
        """Lose the power: nothing is closed, memory is gone, the disk is as it was."""
        self.restore(self.copy())

    def restore(self, copy: Path | None) -> None:
        """Come back with the disk of an earlier moment, or with an empty one."""
        self.outbox.close()
        for file in self.folder.glob(f"{self.path.name}*"):
            file.unlink()
        if copy is not None:
            for file in copy.iterdir():
                shutil.copy(file, self.folder / file.name)
        self.boot()

    def twin(self, subject: str = PUMP) -> Stream:
        return self.recorder.twin(subject)

    def deliver(self, passes: int = 50) -> None:
        """Pump until nothing moves, waiting as long as the recorder asks."""
        for _ in range(passes):
            wait = self.recorder.pump().wait
            self.clock.advance(wait)
            if wait == IDLE and not self._is_held():
                return

    def _is_held(self) -> bool:
        courier = self.recorder._courier
        return courier.hold() > 0 or any(route.hold_until > self.clock.time for route in courier._routes.values())

    def logged(self, subject: str = PUMP) -> list[Statement]:
        return [statement for statement in self.log.statements() if statement.subject == subject]

    def values(self, subject: str = PUMP) -> list[Any]:
        """The samples that the log holds, in order."""
        return [reading.value for statement in self.logged(subject) for reading in readings_of(statement)]

    def resumes(self, subject: str = PUMP) -> list[str]:
        return [parse_resume(item.payload).reason for item in self.logged(subject) if item.content_type == RESUME]
