"""The parsed model: elements with their members resolved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from twinproof.models.dtdl import dtmi
from twinproof.models.dtdl.context import Context
from twinproof.models.dtdl.facts import build
from twinproof.models.dtdl.facts.rows import AdjunctFact, ClassFact, StandardFact


class Element:
    """One element of a model: an Interface, a Property, a schema ... or one that the language itself defines.

    `values` holds the members by term: strings, numbers, booleans, language maps (`{"en": ...}`), and tuples of
    elements. The properties below give the common ones a type. Treat elements as read-only.
    """

    __slots__ = ("_id", "context", "cotypes", "fact", "given", "informal", "member", "parent", "path", "standard",
                 "undefined_types", "values")  # fmt: skip

    def __init__(
        self,
        fact: ClassFact,
        given: str,
        parent: Element | None,
        member: str,
        path: str,
        context: Context | None,
        standard: StandardFact | None = None,
    ) -> None:
        self.fact = fact
        self.given = given
        self.parent = parent
        self.member = member
        self.path = path
        self.context = context
        self.standard = standard
        self.cotypes: tuple[AdjunctFact, ...] = ()
        self.undefined_types: tuple[str, ...] = ()
        self.informal = False
        self.values: dict[str, Any] = {}
        self._id = given

    def __repr__(self) -> str:
        return f"<{self.kind} {self.id}>"

    @property
    def id(self) -> str:
        """The element's DTMI, as written or as assigned after its parent's."""
        if not self._id:
            chain: list[Element] = [self]
            while chain[-1].parent and not chain[-1].parent._id:
                chain.append(chain[-1].parent)
            for element in reversed(chain):
                above = element.parent.id if element.parent else "dtmi:_unnamed"
                named = element.name if "name" in element.fact.properties else None
                element._id = dtmi.assign(above, element.member, named)
        return self._id

    @property
    def kind(self) -> str:
        """Its class: `Interface`, `Property`, `Array`, `Integer` ..."""
        return self.standard.kind if self.standard else self.fact.name

    @property
    def version(self) -> int:
        """Language version in which it is written."""
        return self.fact.version

    @property
    def name(self) -> str | None:
        """Programming name, where the class has one."""
        return self.values.get("name")

    @property
    def display_name(self) -> Mapping[str, str]:
        """Language tag -> text."""
        return MappingProxyType(self.values.get("displayName", {}))

    @property
    def description(self) -> Mapping[str, str]:
        """Language tag -> text."""
        return MappingProxyType(self.values.get("description", {}))

    @property
    def comment(self) -> str | None:
        return self.values.get("comment")

    @property
    def schema(self) -> Element | None:
        """What `schema` (or an Array's `elementSchema`) refers to."""
        return self.only("schema") or self.only("elementSchema")

    @property
    def unit(self) -> str | None:
        """Term of the unit, for an element with a quantitative semantic type."""
        found = self.only("unit")
        return found.term if found else None

    @property
    def semantic_types(self) -> tuple[str, ...]:
        """Names of its co-types, such as `Temperature` or `Historized`."""
        return tuple(fact.name for fact in self.cotypes)

    @property
    def writable(self) -> bool:
        return bool(self.values.get("writable", False))

    @property
    def term(self) -> str | None:
        """For an element of the language or an extension: its term, such as `integer` or `degreeCelsius`."""
        return self.standard.term if self.standard else None

    def all(self, member: str) -> tuple[Element, ...]:
        """The elements in a member."""
        return tuple(self.values.get(member, ()))

    def only(self, member: str) -> Element | None:
        """The element in a member that holds at most one."""
        found = self.values.get(member)
        return found[0] if found and isinstance(found[0], Element) else None

    def cotyped(self, name: str) -> bool:
        """Whether it has the adjunct type, given by name or DTMI."""
        return any(name in (fact.name, fact.dtmi) for fact in self.cotypes)

    def belongs(self, class_name: str) -> bool:
        """Whether its class is `class_name` or below it."""
        return class_name in self.fact.ancestors

    def partition(self) -> Element:
        """The Interface or top-level element that holds it."""
        element = self
        while element.parent and not element.fact.partition:
            element = element.parent
        return element

    def children(self) -> Iterator[tuple[str, Element]]:
        """Members with elements, and the elements."""
        for member, value in self.values.items():
            if isinstance(value, (list, tuple)):
                for child in value:
                    if isinstance(child, Element):
                        yield member, child


def _standard(fact: StandardFact) -> Element:
    classes = build.LANGUAGES[fact.version].classes
    owner = classes.get(fact.kind) or classes["Entity"]  # version 2's units have no class that a document could name
    element = Element(owner, fact.dtmi, None, "", "", None, fact)
    element.values["name"] = fact.term
    element.values["displayName"] = {"en": fact.term}
    if fact.kind == "EnumValue":
        element.values["enumValue"] = fact.term
    return element


STANDARD: Mapping[str, Element] = MappingProxyType(
    {identifier: _standard(fact) for identifier, fact in build.STANDARD.items()}
)
"""Elements that the language and its extensions define, by DTMI."""


class Model:
    """A valid, complete model: its Interfaces and everything inside them."""

    def __init__(self, elements: Mapping[str, Element], contents: Mapping[str, Mapping[str, Element]]) -> None:
        self._elements = elements
        self._contents = contents
        self.interfaces: Mapping[str, Element] = MappingProxyType(
            {identifier: element for identifier, element in elements.items() if element.kind == "Interface"}
        )
        """Interfaces by DTMI, in document order."""

    def __getitem__(self, identifier: str) -> Element:
        """The element with this DTMI, written or standard. Raises: KeyError."""
        return self._elements.get(identifier) or STANDARD[identifier]

    def __contains__(self, identifier: object) -> bool:
        return identifier in self._elements

    def contents(self, interface: str) -> Mapping[str, Element]:
        """An Interface's contents by name, inherited ones included. Raises: KeyError."""
        return self._contents[interface]

    def extends(self, interface: str, base: str) -> bool:
        """Whether `interface` is `base` or inherits from it, directly or not."""
        seen: set[str] = set()
        waiting = [interface]
        while waiting:
            identifier = waiting.pop()
            if identifier == base:
                return True
            if identifier not in seen and identifier in self.interfaces:
                seen.add(identifier)
                waiting += [parent.id for parent in self.interfaces[identifier].all("extends")]
        return False
