"""The shape of the facts: rows as they are written down, and what a language version makes of them.

A number that changed between versions is written as `{2: 64, 3: 512}`: "64 in version 2, 512 from version 3 on".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["string", "langString", "integer", "boolean", "literal", "element", "reference", "property"]
"""What a member holds. `literal` is an integer or a string; `reference` a DTMI that need not be defined; `property` the
term or DTMI of an extension's property."""
Number: TypeAlias = int | Mapping[int, int | None] | None
Flag: TypeAlias = bool | Mapping[int, bool]


def at(value: Number, version: int) -> int | None:
    """The value that holds in a language version."""
    if not isinstance(value, Mapping):
        return value
    found: int | None = None
    for since, number in sorted(value.items()):
        if since <= version:
            found = number
    return found


def flag_at(value: Flag, version: int) -> bool:
    """The same for a yes or no."""
    if isinstance(value, bool):
        return value
    return any(on for since, on in value.items() if since == max((s for s in value if s <= version), default=-1))


@dataclass(frozen=True, slots=True)
class Prop:
    """One member that a class or an adjunct type gives its elements."""

    name: str
    kind: Kind
    low: Number = 0
    high: Number = None
    of: str = ""
    """Class that the elements must belong to."""
    older: bool = True
    """Elements written in an earlier language version are accepted too."""
    identified: bool = False
    """Included elements must have an `@id`."""
    inferred: bool = False
    """`@type` may be left out: the class is known from the member."""
    terms: tuple[str, ...] = ()
    """Only these standard elements."""
    unique: tuple[str, ...] = ()
    """Members of the elements whose values must differ among them."""
    limit: str = ""
    """Name of the length limit, see `LIMITS`."""
    longest: Number = None
    pattern: str = ""
    pattern_text: str = ""
    least: int | None = None
    most: Number = None
    deprecated: bool = False
    since: int = 2
    unique_value: bool = False
    """The value differs from that of every other element in the same member of the parent."""


@dataclass(frozen=True, slots=True)
class Class:
    """One class of the metamodel."""

    name: str
    parent: str = ""
    abstract: Flag = False
    standard: bool = False
    """Its only elements are those that the language itself defines; a document names them and never writes one."""
    partition: bool = False
    identified: bool = False
    since: int = 2
    props: tuple[Prop, ...] = ()


@dataclass(frozen=True, slots=True)
class Adjunct:
    """One type that elements may have beside their class."""

    name: str
    on: tuple[str, ...] = ()
    """Classes whose elements may be co-typed."""
    abstract: bool = False
    props: tuple[Prop, ...] = ()
    needs: tuple[str, ...] = ()
    """Other adjunct types of the same version that must stand beside it."""
    bars: tuple[str, ...] = ()
    """DTMIs of adjunct types that must not stand beside it."""
    schema: tuple[str, ...] = ()
    """The `schema` must be of one of these classes ..."""
    schema_terms: tuple[str, ...] = ()
    """... or one of these standard elements ..."""
    schema_cotype: str = ""
    """... or be co-typed so."""
    fields_cotyped: tuple[str, ...] = ()
    """Every element of `fields` has one of these co-types."""
    within: str = ""
    """The parent has this co-type, and no sibling has the same adjunct type."""
    sibling: str = ""
    """Member that names a sibling Property or Telemetry ..."""
    sibling_not: str = ""
    """... which has not this co-type."""
    overrides: str = ""
    """Member that names a property which an adjunct type of that sibling defines; once per sibling and property."""


@dataclass(frozen=True, slots=True)
class Extension:
    """A language extension: a context with adjunct types and standard elements."""

    context: str
    versions: tuple[int, ...]
    """Language versions whose elements its adjunct types may co-type."""
    prefix: str = ""
    class_infix: str = ""
    suffix: str = ""
    nested_properties: bool = True
    """A property's DTMI continues its adjunct type's."""
    adjuncts: tuple[Adjunct, ...] = ()
    limits: str = ""


# --- what a language version makes of the rows ------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class PropertyFact:
    """A `Prop` in one language version."""

    name: str
    dtmi: str
    kind: Kind
    low: int
    high: int | None
    classes: frozenset[tuple[str, int]]
    """Concrete (class, version) pairs that an included element may have."""
    allowed: frozenset[str] | None
    identified: bool
    inferred: str
    unique: tuple[str, ...]
    limit: str
    longest: int | None
    pattern: re.Pattern[str] | None
    pattern_text: str
    least: int | None
    most: int | None
    deprecated: bool
    unique_value: bool
    of: str


@dataclass(frozen=True, slots=True, eq=False)
class ClassFact:
    """A `Class` in one language version, with what it inherits."""

    name: str
    version: int
    dtmi: str
    abstract: bool
    standard: bool
    partition: bool
    identified: bool
    ancestors: frozenset[str]
    """Its own name and those of all classes above it."""
    properties: Mapping[str, PropertyFact]
    members: Mapping[str, PropertyFact]
    """Both ways to write a member's name, term and DTMI."""
    required: tuple[PropertyFact, ...]


@dataclass(frozen=True, slots=True, eq=False)
class AdjunctFact:
    """An `Adjunct` with identifiers resolved."""

    name: str
    dtmi: str
    row: Adjunct
    extension: str
    versions: tuple[int, ...]
    """Language versions whose elements it may co-type."""
    on: frozenset[tuple[str, int]]
    properties: Mapping[str, PropertyFact]
    """By DTMI."""
    needs: tuple[str, ...]
    group: str = ""
    """At most one adjunct type of a group may be given."""
    schema_terms: frozenset[str] = field(default_factory=frozenset)
    schema_classes: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True, eq=False)
class StandardFact:
    """An element that the language or an extension defines: a primitive schema, a unit, a geospatial schema."""

    dtmi: str
    term: str
    kind: str
    version: int
    parent: str = ""
    """DTMI of the standard Enum that holds it."""
    values: tuple[str, ...] = ()
    """The value strings of a standard Enum."""


@dataclass(frozen=True, slots=True, eq=False)
class Vocabulary:
    """Terms of one context and what they stand for."""

    terms: Mapping[str, str]
    adjuncts: Mapping[str, AdjunctFact]
    """By DTMI."""


@dataclass(frozen=True, slots=True, eq=False)
class Language:
    """Everything about one language version."""

    version: int
    classes: Mapping[str, ClassFact]
    """By term and by DTMI."""
    vocabulary: Vocabulary
    strict_keywords: bool
    """Unknown `@` members are refused; version 2 refuses only `@graph`."""
    allow_undefined_by_default: bool
    free_types: frozenset[str]
    """Categories of co-type strings that are always accepted."""
    barred_types: frozenset[str]
    """Those that are never accepted; the others need a context that no extension here defines."""
    barred_members: frozenset[str]
    """Categories of member names that not even an informally co-typed element may have."""
    recursive_schemas: bool
    reserved: tuple[str, ...] = ("dtmi:dtdl:", "dtmi:standard:")
