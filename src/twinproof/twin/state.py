"""A twin's state as a fold of its statements, in log order.

`TwinState.apply` takes one statement whose signature and authority were checked before. The state
at a past moment is the fold of the entries up to it. `to_cbor` gives the state's canonical bytes:
equal histories give equal bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from twinproof.proof import cbor
from twinproof.twin.attestation import Attestation, Resume
from twinproof.twin.columns import Columns
from twinproof.twin.description import Description, Lifecycle, Relationship
from twinproof.twin.kinds import parse_payload
from twinproof.twin.live import LiveState
from twinproof.twin.senml import Reading
from twinproof.twin.statement import Statement


class Told(NamedTuple):
    """A value and where it comes from."""

    value: cbor.Value
    entry: int
    """Log index of the statement."""
    time: int
    """The statement's `iat`."""


class Latest(NamedTuple):
    """The latest reading under a name."""

    value: float | int | bool | str | bytes | None
    unit: str | None
    time: float
    """POSIX seconds, the device's clock."""
    entry: int
    """Log index of the statement."""


@dataclass
class TwinState:
    """What is known about one twin."""

    subject: str
    model: Told | None = None
    lifecycle: Told | None = None
    properties: dict[str, Told] = field(default_factory=dict)
    relationships: dict[Relationship, Told] = field(default_factory=dict)
    """(name, target) -> when it was stated; the value is null."""
    readings: dict[str, Latest] = field(default_factory=dict)
    attestations: list[Told] = field(default_factory=list)
    """All of them, oldest first; values are the types."""
    losses: list[Told] = field(default_factory=list)
    """Resumes: a device admitted that it lost its record; values are the reasons."""
    live: LiveState = field(default_factory=LiveState)
    statements: int = 0
    last_index: int = -1

    def apply(self, index: int, statement: Statement, payload: object = None) -> None:
        """Take in the statement at `index`; `payload` is its parsed payload, if the caller has it.

        Raises `ValueError` if the statement is about another twin or not after the last one.
        """
        if statement.subject != self.subject or index <= self.last_index:
            raise ValueError(f"entry {index} does not follow {self.last_index} in the history of {self.subject}")
        content = parse_payload(statement) if payload is None else payload
        match content:
            case Description():
                self._describe(content, index, statement.issued_at)
            case Columns():
                self._record(content.latest(), index)
            case Attestation():
                self.attestations.append(Told(content.type, index, statement.issued_at))
            case Resume():
                self.losses.append(Told(content.reason, index, statement.issued_at))
            case list():
                self._record(content, index)
            case _:
                self.live.apply(index, statement, content)
        self.statements += 1
        self.last_index = index

    def _describe(self, change: Description, index: int, time: int) -> None:
        if change.model is not None:
            self.model = Told(change.model, index, time)
        if change.lifecycle is not None:
            self.lifecycle = Told(change.lifecycle.value, index, time)
        for name in change.unset:
            self.properties.pop(name, None)
        for name, value in (change.set or {}).items():
            self.properties[name] = Told(value, index, time)
        for relationship in change.unrelate:
            self.relationships.pop(relationship, None)
        for relationship in change.relate:
            self.relationships[relationship] = Told(None, index, time)

    def _record(self, readings: list[Reading], index: int) -> None:
        for reading in readings:
            known = self.readings.get(reading.name)
            # Batches may arrive late: the newest measurement wins, not the newest delivery.
            if known is None or reading.time >= known.time:
                self.readings[reading.name] = Latest(reading.value, reading.unit, reading.time, index)

    @property
    def retired(self) -> bool:
        """Whether the asset's life has ended."""
        return self.lifecycle is not None and self.lifecycle.value == Lifecycle.RETIRED

    def to_cbor(self) -> bytes:
        """The state's canonical bytes (spec/statement.md, "State")."""
        return cbor.encode(
            {
                "sub": self.subject,
                "model": _told(self.model),
                "lifecycle": _told(self.lifecycle),
                "properties": {name: list(told) for name, told in self.properties.items()},
                "relationships": [[*key, *told[1:]] for key, told in sorted(self.relationships.items())],
                "readings": {name: list(latest) for name, latest in self.readings.items()},
                "attestations": [list(told) for told in self.attestations],
                "losses": [list(told) for told in self.losses],
                "statements": self.statements,
                "last_index": self.last_index,
                **self.live.to_map(),
            }
        )

    @classmethod
    def from_cbor(cls, data: bytes) -> TwinState:
        """The state that `to_cbor` wrote; for bytes of our own only. Raises `Malformed`, `KeyError` or `TypeError`."""
        value = cbor.decode(data, what="state", max_depth=cbor.MAX_DEPTH)
        return cls(
            subject=value["sub"],
            model=_untold(value["model"]),
            lifecycle=_untold(value["lifecycle"]),
            properties={name: Told(*told) for name, told in value["properties"].items()},
            relationships={(name, target): Told(None, *told) for name, target, *told in value["relationships"]},
            readings={name: Latest(*latest) for name, latest in value["readings"].items()},
            attestations=[Told(*told) for told in value["attestations"]],
            losses=[Told(*told) for told in value["losses"]],
            live=LiveState.from_map(value),
            statements=value["statements"],
            last_index=value["last_index"],
        )


def _untold(value: list[cbor.Value] | None) -> Told | None:
    return None if value is None else Told(*value)


def _told(told: Told | None) -> list[cbor.Value] | None:
    return None if told is None else list(told)
