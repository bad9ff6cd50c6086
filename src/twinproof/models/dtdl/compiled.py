"""A model's Interface in a form that checks values fast: every schema becomes one function, every name one look-up.

Pure: no clock, no I/O. A compiled Interface may be shared between threads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

from twinproof.errors import Malformed
from twinproof.models.dtdl import values
from twinproof.models.dtdl.elements import Element, Model
from twinproof.models.dtdl.errors import InvalidValue
from twinproof.models.dtdl.values import Check, Fault

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class CompiledField:
    """Something that has a value: a Property, a Telemetry or a Command's payload."""

    name: str
    element: Element
    """Where it is defined: schema, unit, semantic types, display name."""
    check: Check
    writable: bool = False
    nullable: bool = False


@dataclass(frozen=True, slots=True)
class CompiledCommand:
    name: str
    element: Element
    request: CompiledField | None
    response: CompiledField | None


@dataclass(frozen=True, slots=True)
class CompiledRelationship:
    name: str
    element: Element
    target: str | None
    """Interface that linked twins must have; None allows any."""
    targets: frozenset[str]
    """The Interfaces of the model that are or extend the target."""
    least: int
    most: int | None
    writable: bool
    properties: Mapping[str, CompiledField]


_DEEPEST = 40
"""Nesting of schemas that are turned into checks by recursion; what lies deeper waits its turn."""


class _Schemas:
    """Turns schema elements into checks, each once; a recursive schema refers to itself through this table."""

    def __init__(self) -> None:
        self.interfaces: dict[str, CompiledInterface] = {}
        self._checks: dict[int, Check] = {}
        self._running: set[int] = set()
        self._waiting: list[Element] = []

    def check(self, schema: Element) -> Check:
        made = self._check(schema)
        while self._waiting:
            self._check(self._waiting.pop())
        return made

    def _check(self, schema: Element) -> Check:
        key = id(schema)
        known = self._checks.get(key)
        if known is not None:
            return known
        if key in self._running or len(self._running) >= _DEEPEST:
            if key not in self._running:
                self._waiting.append(schema)

            def later(value: Any, depth: int) -> Fault | None:
                return self._checks[key](value, depth)

            return later
        self._running.add(key)
        self._checks[key] = made = self._make(schema)
        self._running.discard(key)
        return made

    def _make(self, schema: Element) -> Check:
        if schema.standard is not None:
            if schema.standard.values:
                return values.enums(frozenset(schema.standard.values), str)
            return values.STANDARD_OBJECTS.get(schema.standard.term) or values.PRIMITIVE[schema.kind]
        if schema.kind == "Array":
            return values.arrays(self._check(_only(schema, "elementSchema")))
        if schema.kind == "Map":
            return values.maps(self._check(_only(_only(schema, "mapValue"), "schema")))
        if schema.kind == "Enum":
            held = frozenset(child.values["enumValue"] for child in schema.all("enumValues"))
            return values.enums(held, int if _only(schema, "valueSchema").kind == "Integer" else str)
        fields = schema.all("fields")
        required = frozenset(str(child.name) for child in fields if child.cotyped("Required"))
        return values.objects({str(child.name): self._check(_only(child, "schema")) for child in fields}, required)

    def field(self, element: Element) -> CompiledField:
        schema = _only(element, "schema")
        return CompiledField(
            str(element.name),
            element,
            self.check(schema),
            element.writable,
            bool(element.values.get("nullable", False)),
        )


def _only(element: Element, member: str) -> Element:
    found = element.only(member)
    if found is None:
        raise Malformed(element.id, f"has no {member}")
    return found


class CompiledInterface:
    """Checks values of one Interface, inherited contents included.

    A content of a Component is named `component.content`. Checks answer None or raise `InvalidValue`, whose `field` is
    the name with the path inside the value, such as `thermostat.limits.high`.
    """

    def __init__(self, model: Model, interface: str, schemas: _Schemas) -> None:
        self.id = interface
        properties: dict[str, CompiledField] = {}
        telemetry: dict[str, CompiledField] = {}
        commands: dict[str, CompiledCommand] = {}
        relationships: dict[str, CompiledRelationship] = {}
        components: dict[str, CompiledInterface] = {}
        for name, element in model.contents(interface).items():
            if element.kind == "Property":
                properties[name] = schemas.field(element)
            elif element.kind == "Telemetry":
                telemetry[name] = schemas.field(element)
            elif element.kind == "Command":
                request, response = element.only("request"), element.only("response")
                commands[name] = CompiledCommand(
                    name,
                    element,
                    schemas.field(request) if request else None,
                    schemas.field(response) if response else None,
                )
            elif element.kind == "Relationship":
                relationships[name] = _relationship(model, name, element, schemas)
            else:
                inner = _only(element, "schema").id
                part = schemas.interfaces.get(inner) or CompiledInterface(model, inner, schemas)
                schemas.interfaces[inner] = part
                components[name] = part
                properties.update((f"{name}.{key}", field) for key, field in part.properties.items())
                telemetry.update((f"{name}.{key}", field) for key, field in part.telemetry.items())
                commands.update((f"{name}.{key}", command) for key, command in part.commands.items())
                relationships.update((f"{name}.{key}", link) for key, link in part.relationships.items())
        self.properties: Mapping[str, CompiledField] = MappingProxyType(properties)
        self.telemetry: Mapping[str, CompiledField] = MappingProxyType(telemetry)
        self.commands: Mapping[str, CompiledCommand] = MappingProxyType(commands)
        self.relationships: Mapping[str, CompiledRelationship] = MappingProxyType(relationships)
        self.components: Mapping[str, CompiledInterface] = MappingProxyType(components)

    def check_property(self, name: str, value: Any) -> None:
        """Raises: InvalidValue when there is no such Property or the value does not fit its schema."""
        field = self.properties.get(name)
        fault = field.check(value, 0) if field else self._absent("Property", name, self.properties)
        if fault:
            raise InvalidValue(f"{name}{fault[0]}", fault[1])

    def check_telemetry(self, name: str, value: Any) -> None:
        """Raises: InvalidValue when there is no such Telemetry or the value does not fit its schema."""
        field = self.telemetry.get(name)
        fault = field.check(value, 0) if field else self._absent("Telemetry", name, self.telemetry)
        if fault:
            raise InvalidValue(f"{name}{fault[0]}", fault[1])

    def check_command_request(self, name: str, value: Any) -> None:
        """`value` is None for a Command without request. Raises: InvalidValue."""
        command = self._found("Command", name, self.commands)
        _check_payload(f"{name} request", command.request, value)

    def check_command_response(self, name: str, value: Any) -> None:
        """`value` is None for a Command without response. Raises: InvalidValue."""
        command = self._found("Command", name, self.commands)
        _check_payload(f"{name} response", command.response, value)

    def check_relationship(self, name: str, targets: Iterable[str]) -> None:
        """Checks all links of one Relationship: `targets` are the Interfaces of the twins that it leads to.

        Raises: InvalidValue when they are too many or one is not, and does not extend, the Relationship's target.
        """
        link = self._found("Relationship", name, self.relationships)
        reached = list(targets)
        if len(reached) < link.least or (link.most is not None and len(reached) > link.most):
            most = "any number" if link.most is None else link.most
            raise InvalidValue(name, f"leads to {len(reached)} twins, {link.least} to {most} are allowed")
        for number, target in enumerate(reached):
            if link.target is not None and target not in link.targets:
                raise InvalidValue(f"{name}[{number}]", f"{target} neither is nor extends {link.target}")

    def check_relationship_property(self, name: str, member: str, value: Any) -> None:
        """Checks a Property of a Relationship. Raises: InvalidValue."""
        link = self._found("Relationship", name, self.relationships)
        field = self._found(f"Property of {name}", member, link.properties)
        fault = field.check(value, 0)
        if fault:
            raise InvalidValue(f"{name}/{member}{fault[0]}", fault[1])

    def _found(self, kind: str, name: str, known: Mapping[str, _T]) -> _T:
        found = known.get(name)
        if found is None:
            raise InvalidValue(name, self._absent(kind, name, known)[1])
        return found

    def _absent(self, kind: str, name: str, known: Mapping[str, object]) -> Fault:
        few = ", ".join(sorted(known)[:12]) or "none"
        return "", f"{self.id} has no {kind} of this name; it has: {few}"


def _check_payload(what: str, field: CompiledField | None, value: Any) -> None:
    if field is None:
        if value is not None:
            raise InvalidValue(what, "the Command has none, so the value must be null")
        return
    if value is None and field.nullable:
        return
    fault = field.check(value, 0)
    if fault:
        raise InvalidValue(f"{what}{fault[0]}", fault[1])


def _relationship(model: Model, name: str, element: Element, schemas: _Schemas) -> CompiledRelationship:
    target = element.values.get("target")
    fitting = frozenset(known for known in model.interfaces if target and model.extends(known, target))
    return CompiledRelationship(
        name=name,
        element=element,
        target=target,
        targets=fitting | ({target} if target else frozenset()),
        least=element.values.get("minMultiplicity", 0),
        most=element.values.get("maxMultiplicity"),
        writable=element.writable,
        properties=MappingProxyType({str(child.name): schemas.field(child) for child in element.all("properties")}),
    )


def compile_interface(model: Model, interface: str) -> CompiledInterface:
    """The fast form of one Interface of the model. Raises: Malformed when the model does not define it."""
    if interface not in model.interfaces:
        raise Malformed("interface", f"the model defines no Interface {interface[:128]!r}")
    return CompiledInterface(model, interface, _Schemas())
