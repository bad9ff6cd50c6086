"""Which model each twin has, and whether what is said about a twin fits it.

A model whose document the log holds binds: readings, properties, commands and relationships that it
does not define, or defines otherwise, are refused. A model that is only named is a label.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from twinproof.errors import Malformed
from twinproof.log.reader import Reader
from twinproof.models import dtdl
from twinproof.node.statements import logged_about
from twinproof.twin.authority import ModelOf
from twinproof.twin.columns import Columns, Values
from twinproof.twin.description import DESCRIPTION, Description, parse_description
from twinproof.twin.model import MODEL, ModelDocument, parse_model
from twinproof.twin.operation import Command, Desired
from twinproof.twin.reading import Reading
from twinproof.twin.statement import Statement

KEPT: Final = 200_000
"""Twins whose model is kept in memory, and models that are kept compiled."""
DESCRIBED: Final = 100
"""Twins whose properties are kept in memory, for their next model."""
OPTIONS: Final = dtdl.Options(max_bytes=2 * 1024 * 1024)
"""For a model and all that it leads to: whoever writes models must not hold up everybody's statements."""


class Models:
    """One per intake, in its thread.

    `known` tells a twin's model faster than the log does; it raises `LookupError` while it is not as
    new as the published head, and then the log is read: an old model would let in what no verifier takes.
    """

    def __init__(self, reader: Reader, known: ModelOf | None = None) -> None:
        self._reader = reader
        self._known = known or self._named_in_log
        self._named: dict[str, str | None] = {}
        self._staged: dict[str, list[Description]] = {}
        """What this group says about twins, not in the log yet."""
        self._described: dict[str, dict[str, object]] = {}
        """Properties of twins, what is staged included."""
        self._documents: dict[str, bytes | None] = {}
        self._compiled: dict[str, dtdl.CompiledInterface | None] = {}

    def forget(self) -> None:
        """After a failed commit: what was taken may not be in the log."""
        self._staged.clear()
        self._described.clear()
        self._named.clear()
        self._documents.clear()
        self._compiled.clear()

    def trim(self) -> None:
        """Between groups: give memory back; what was staged is in the log by now."""
        self._staged.clear()
        if len(self._described) > DESCRIBED:
            self._described.clear()
        if len(self._named) > KEPT:
            self._named.clear()
        if len(self._documents) > KEPT:
            self._documents.clear()
            self._compiled.clear()

    def model_of(self, subject: str) -> str | None:
        """The model that the twin names, what is staged included."""
        if subject not in self._named:
            try:
                self._named[subject] = self._known(subject)
            except LookupError:
                self._named[subject] = self._named_in_log(subject)
        return self._named[subject]

    def check(self, statement: Statement, payload: object) -> None:
        """Raise `Malformed`, naming what does not fit, if the model of the statement's twin forbids it."""
        if isinstance(payload, ModelDocument):
            self._check_document(statement.subject, payload)
            return
        model = self.model_of(statement.subject)
        if isinstance(payload, Description) and payload.model is not None and payload.model != model:
            self._check_migration(statement.subject, payload)
            model = payload.model
        compiled = self._compile(model) if model is not None else None
        if compiled is not None:
            _check(compiled, payload)

    def took(self, statement: Statement, payload: object) -> None:
        """The statement was staged: what comes after it in the group must know."""
        if isinstance(payload, Description):
            self._staged.setdefault(statement.subject, []).append(payload)
            if statement.subject in self._described:
                _describe(self._described[statement.subject], payload)
            if payload.model is not None:
                self._named[statement.subject] = payload.model
        elif isinstance(payload, ModelDocument):
            self._documents[statement.subject] = payload.document
            # Compiled ones may have been waiting for it: an Interface that it extends, or names as a component.
            self._compiled.clear()

    # --- models ---

    def document(self, identifier: str) -> bytes | None:
        """The published document of a model."""
        if identifier not in self._documents:
            self._documents[identifier] = self._published(identifier)
        return self._documents[identifier]

    def _published(self, identifier: str) -> bytes | None:
        for _, statement in logged_about(self._reader, identifier):
            if statement.content_type == MODEL:
                return parse_model(statement.payload).document
        return None

    def _resolve(self, identifiers: Sequence[str]) -> list[bytes]:
        return [found for name in identifiers if (found := self.document(name.partition("#")[0])) is not None]

    def _compile(self, identifier: str) -> dtdl.CompiledInterface | None:
        if identifier not in self._compiled:
            document = self.document(identifier)
            self._compiled[identifier] = None if document is None else self._build(identifier, document)
        return self._compiled[identifier]

    def _build(self, identifier: str, document: bytes) -> dtdl.CompiledInterface:
        return dtdl.compile(dtdl.parse(document, options=OPTIONS, resolver=self._resolve), identifier)

    def _check_document(self, identifier: str, model: ModelDocument) -> None:
        known = self.document(identifier)
        if known is not None and known != model.document:
            raise Malformed(
                "model.document", f"{identifier} is published with another document; a change is a new version"
            )
        self._build(identifier, model.document)

    # --- twins ---

    def _descriptions(self, subject: str) -> list[Description]:
        said = (statement for _, statement in logged_about(self._reader, subject))
        found = [parse_description(statement.payload) for statement in said if statement.content_type == DESCRIPTION]
        return found + self._staged.get(subject, [])

    def _named_in_log(self, subject: str) -> str | None:
        named = [change.model for change in self._descriptions(subject) if change.model is not None]
        return named[-1] if named else None

    def _properties(self, subject: str) -> dict[str, object]:
        # Kept, because a twin that changes its model again and again must not have its whole past read each time.
        if subject not in self._described:
            properties: dict[str, object] = {}
            for earlier in self._descriptions(subject):
                _describe(properties, earlier)
            self._described[subject] = properties
        return self._described[subject]

    def _check_migration(self, subject: str, change: Description) -> None:
        """What the twin is described with by now must fit the new model, or be unset by the same statement."""
        compiled = self._compile(change.model) if change.model is not None else None
        if compiled is None:
            return
        said_anew = {*change.unset, *(change.set or ())}
        for name, value in self._properties(subject).items():
            if name in said_anew:
                continue
            try:
                compiled.check_property(name, value)
            except Malformed as problem:
                raise Malformed(
                    f"description.model: {name}", f"does not fit {change.model}: {problem}; unset or set it anew"
                ) from None


def _describe(properties: dict[str, object], change: Description) -> None:
    for name in change.unset:
        properties.pop(name, None)
    properties.update(change.set or {})


def _check(model: dtdl.CompiledInterface, payload: object) -> None:
    match payload:
        case list():
            for reading in payload:
                _check_reading(model, reading)
        case Columns():
            for name, _, values in payload.columns:
                for value in _telling(model, name, values):
                    model.check_telemetry(name, value)
        case Description():
            for name, value in (payload.set or {}).items():
                model.check_property(name, value)
            for name, _ in (*payload.relate, *payload.unrelate):
                if name not in model.relationships:
                    raise Malformed(f"description.relate: {name}", f"{model.id} has no Relationship of this name")
        case Desired():
            for name, value in (payload.set or {}).items():
                model.check_property(name, value)
                if not model.properties[name].writable:
                    raise Malformed(f"desired.set: {name}", f"{model.id} does not let this Property be written")
        case Command():
            model.check_command_request(payload.name, payload.input)
        case _:
            pass


def _telling(model: dtdl.CompiledInterface, name: str, values: Values) -> set[float | int]:
    """The samples that decide for all of a column: a range holds if it holds its ends, an Enum has no ends."""
    # A missing sample is a NaN, and no minimum of anything that begins with one is to be trusted.
    present = {value for value in values if value == value}
    field = model.telemetry.get(name)
    schema = field.element.only("schema") if field else None
    if not present or (schema is not None and schema.kind == "Enum"):
        return present
    return {min(present), max(present)}


def _check_reading(model: dtdl.CompiledInterface, reading: Reading) -> None:
    if reading.value is not None:
        model.check_telemetry(reading.name, reading.value)
