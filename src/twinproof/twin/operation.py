"""Operating a twin: desired properties, commands, and the device's acknowledgements.

    desired          {? "set": {name: value, …}, ? "unset": [name, …], ? "text": text}
    command          {"name": text, ? "input": value, ? "deadline": s, ? "text": text}
    acknowledgement  {"request": digest, "status": status, ? "text": text, ? "output": value}

A request is named by the digest of its statement. The device answers with acknowledgements, and
states the effect as a description (`cause` names the request) or as readings. Normative page:
spec/live.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from twinproof.errors import Malformed
from twinproof.proof import cbor
from twinproof.twin.description import MAX_DEPTH
from twinproof.twin.fields import digest, fields, posix_time, property_changes, property_name, text

DESIRED: Final = "application/vnd.twinproof.desired+cbor"
COMMAND: Final = "application/vnd.twinproof.command+cbor"
ACKNOWLEDGEMENT: Final = "application/vnd.twinproof.acknowledgement+cbor"
MAX_TEXT: Final = 1000
"""Characters."""


class Status(StrEnum):
    """What became of a request."""

    ACCEPTED = "accepted"
    """Taken; the effect is still to come."""
    REJECTED = "rejected"
    DONE = "done"
    FAILED = "failed"

    @property
    def final(self) -> bool:
        """Whether nothing more will come."""
        return self is not Status.ACCEPTED


@dataclass(frozen=True, slots=True)
class Desired:
    """A change of what the properties should be."""

    set: dict[str, cbor.Value] | None = None
    unset: tuple[str, ...] = ()
    text: str | None = None
    """Why, or by whom."""


@dataclass(frozen=True, slots=True)
class Command:
    """A request to do something once."""

    name: str
    input: cbor.Value = None
    deadline: int | None = None
    """POSIX seconds after which the device must not begin."""
    text: str | None = None
    """Why, or by whom."""


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """A device's answer to a request."""

    request: bytes
    """Digest of the request's statement."""
    status: Status
    text: str | None = None
    output: cbor.Value = None


def format_desired(desired: Desired) -> bytes:
    """The payload of a desired statement."""
    value: dict[int | str, cbor.Value] = {}
    if desired.set:
        value["set"] = dict(desired.set)
    if desired.unset:
        value["unset"] = sorted(desired.unset)
    if desired.text is not None:
        value["text"] = desired.text
    return cbor.encode(value)


def parse_desired(payload: bytes, issued_at: int = 0) -> Desired:
    """Read a desired payload; raises `Malformed` naming the key."""
    what = "desired"
    value = fields(cbor.decode(payload, what=what, max_depth=MAX_DEPTH), what, (), ("set", "unset", "text"))
    if value.keys() <= {"text"}:
        raise Malformed(what, "changes nothing")
    said = text(value["text"], f"{what}.text", MAX_TEXT) if "text" in value else None
    return Desired(*property_changes(value, what), said)


def format_command(command: Command) -> bytes:
    """The payload of a command statement."""
    value: dict[int | str, cbor.Value] = {"name": command.name}
    if command.input is not None:
        value["input"] = command.input
    if command.deadline is not None:
        value["deadline"] = command.deadline
    if command.text is not None:
        value["text"] = command.text
    return cbor.encode(value)


def parse_command(payload: bytes, issued_at: int = 0) -> Command:
    """Read a command payload; raises `Malformed` naming the key."""
    value = fields(
        cbor.decode(payload, what="command", max_depth=MAX_DEPTH), "command", ("name",), ("input", "deadline", "text")
    )
    if "input" in value and value["input"] is None:
        raise Malformed("command.input", "null; leave the key out")
    deadline = posix_time(value["deadline"], "command.deadline") if "deadline" in value else None
    said = text(value["text"], "command.text", MAX_TEXT) if "text" in value else None
    return Command(property_name(value["name"], "command.name"), value.get("input"), deadline, said)


def format_acknowledgement(acknowledgement: Acknowledgement) -> bytes:
    """The payload of an acknowledgement statement."""
    value: dict[int | str, cbor.Value] = {
        "request": acknowledgement.request,
        "status": acknowledgement.status.value,
    }
    if acknowledgement.text is not None:
        value["text"] = acknowledgement.text
    if acknowledgement.output is not None:
        value["output"] = acknowledgement.output
    return cbor.encode(value)


def parse_acknowledgement(payload: bytes, issued_at: int = 0) -> Acknowledgement:
    """Read an acknowledgement payload; raises `Malformed` naming the key."""
    what = "acknowledgement"
    value = fields(
        cbor.decode(payload, what=what, max_depth=MAX_DEPTH), what, ("request", "status"), ("text", "output")
    )
    if value["status"] not in tuple(Status):
        raise Malformed(f"{what}.status", f"none of {', '.join(Status)}")
    if "output" in value and value["output"] is None:
        raise Malformed(f"{what}.output", "null; leave the key out")
    return Acknowledgement(
        digest(value["request"], f"{what}.request"),
        Status(value["status"]),
        text(value["text"], f"{what}.text", MAX_TEXT) if "text" in value else None,
        value.get("output"),
    )
