"""Reads documents into elements, one generic procedure for every class: what a class may hold is in the facts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from twinproof.models.dtdl import dtmi, literals
from twinproof.models.dtdl.context import Context, Contexts
from twinproof.models.dtdl.elements import STANDARD, Element
from twinproof.models.dtdl.facts import build
from twinproof.models.dtdl.facts.rows import AdjunctFact, ClassFact, PropertyFact
from twinproof.models.dtdl.options import Options
from twinproof.models.dtdl.report import Report, shown

_KEYWORDS = frozenset({"@context", "@id", "@type"})


@dataclass(slots=True)
class Reference:
    """A DTMI in place of an element, not yet resolved."""

    dtmi: str
    owner: Element
    fact: PropertyFact
    slot: list[Any]
    position: int
    path: str


@dataclass(slots=True)
class _Task:
    """One object that waits to become an element."""

    value: dict[str, Any]
    owner: Element | None
    fact: PropertyFact | None
    slot: list[Any] | None
    position: int
    path: str


@dataclass(slots=True)
class _Types:
    """What `@type` says."""

    fact: ClassFact
    adjuncts: list[AdjunctFact]
    undefined: list[str]


class Reader:
    """Turns parsed JSON into elements. `elements` and `references` grow; findings go to the report."""

    def __init__(self, report: Report, options: Options) -> None:
        self.report = report
        self.elements: dict[str, Element] = {}
        self.everything: list[Element] = []
        self.references: list[Reference] = []
        self.objects: dict[int, Element] = {}
        """Elements of the latest document, by the identity of the JSON objects that they were read from."""
        self._contexts = Contexts(report, options.allow_undefined_extensions)

    def document(self, value: object, name: str) -> None:
        """Reads one document; `name` stands before its paths."""
        roots = value if isinstance(value, list) else [value]
        tasks: list[_Task] = []
        self.objects.clear()
        for number, root in enumerate(roots):
            path = f"{name}[{number}]" if isinstance(value, list) else name
            if isinstance(root, dict):
                tasks.append(_Task(root, None, None, None, 0, path))
            else:
                self.report.add(f"document {name}", path, "root", f"the root holds {shown(root)}")
        tasks.reverse()
        while tasks:
            tasks += reversed(list(self._element(tasks.pop())))

    # --- one element --------------------------------------------------------------------------

    def _element(self, task: _Task) -> Iterator[_Task]:
        value, owner, fact = task.value, task.owner, task.fact
        given = value.get("@id")
        place = given if isinstance(given, str) else owner.id if owner else f"document {task.path}"
        context = owner.context if owner else None
        if "@context" in value:
            context = self._contexts.extend(context, value["@context"], place, f"{task.path}.@context")
            if context is None:
                return
        if context is None or context.language is None:
            self.report.add(place, task.path, "context-missing", "no context names the language version")
            return
        types = self._types(value, fact, context, place, task.path)
        if types is None or not self._conforms(types.fact, fact, context, place, task.path):
            return
        identifier = self._identifier(value, types.fact, fact, context, place, task.path)
        if identifier is None:
            return
        element = Element(types.fact, identifier, owner, fact.name if fact else "", task.path, context)
        element.undefined_types = tuple(types.undefined)
        element.informal = bool(types.undefined)
        element.cotypes = tuple(types.adjuncts)
        if identifier:
            if identifier in self.elements:
                cause = f"the identifier is already that of {self.elements[identifier].path}"
                self.report.add(element, task.path, "id-duplicate", cause)
            self.elements.setdefault(identifier, element)
        self.everything.append(element)
        self.objects[id(value)] = element
        if task.slot is not None:
            task.slot[task.position] = element
        self._cotypes(element)
        yield from self._members(element, context, value)

    def _types(
        self, value: dict[str, Any], fact: PropertyFact | None, context: Context, place: str, path: str
    ) -> _Types | None:
        classes = context.spoken.classes
        if "@type" not in value:
            inferred = classes.get(fact.inferred) if fact and fact.inferred else None
            if inferred is None:
                self.report.add(place, path, "type-missing", "the element has no @type")
                return None
            return _Types(inferred, [], [])
        raw = value["@type"]
        names = raw if isinstance(raw, list) else [raw]
        if not all(isinstance(name, str) for name in names):
            self.report.add(place, path, "type-form", f"@type is {shown(raw)} and holds something else than strings")
            return None
        material: dict[str, ClassFact] = {}
        types = _Types(classes["Entity"], [], [])
        fine = True
        for name in dict.fromkeys(names):
            known = classes.get(name)
            if known is None:
                fine &= self._cotype(name, types, context, place, path)
            elif known.abstract or known.standard:
                rule = "type-standard" if known.standard else "type-material"
                self.report.add(place, path, rule, f"no element can be written with class {known.name}")
                fine = False
            else:
                material[known.name] = known
        if len(material) != 1 and fine:
            cause = (
                f"@type names the classes {', '.join(material)}" if material else f"@type {shown(raw)} names no class"
            )
            self.report.add(place, path, "type-material", cause)
        if len(material) != 1 or not fine:
            return None
        types.fact = next(iter(material.values()))
        return types

    def _cotype(self, name: str, types: _Types, context: Context, place: str, path: str) -> bool:
        """Notes one string of `@type` that is not a class of the language; False when it is not accepted."""
        identifiers = (name,) if ":" in name else context.meanings(name)
        known = [fact for fact in map(context.adjunct, identifiers) if fact is not None]
        if known:
            version = context.spoken.version
            adjunct = next((fact for fact in known if version in fact.versions), known[0])
            if adjunct.row.abstract:
                self.report.add(place, path, "cotype-abstract", f"co-type {name} is abstract")
                return False
            if adjunct not in types.adjuncts:
                types.adjuncts.append(adjunct)
            return True
        category = context.category(name)
        language = context.spoken
        if category in language.free_types or (context.undefined and category not in language.barred_types):
            types.undefined.append(name)
            return True
        rule = "type-undefined" if category in ("undefinedTerm", "irrelevantDtmiOrTerm") else "type-invalid"
        self.report.add(place, path, rule, f"co-type {shown(name)} is not defined in the active context")
        return False

    def _conforms(self, kind: ClassFact, fact: PropertyFact | None, context: Context, place: str, path: str) -> bool:
        """Whether an element of this class may stand here."""
        if fact is None:
            if kind.partition:
                return True
            self.report.add(place, path, "top-level-interface", f"a {kind.name} stands at the top level")
            return False
        return check_class(self.report, place, path, fact, kind)

    def _identifier(
        self, value: dict[str, Any], kind: ClassFact, fact: PropertyFact | None, context: Context, place: str, path: str
    ) -> str | None:
        """The `@id`, an empty string when none is needed, None when it is broken."""
        if "@id" not in value:
            if kind.identified or (fact and fact.identified):
                self.report.add(place, path, "id-missing", f"the {kind.name} has no @id")
                return None
            return ""
        given = value["@id"]
        if not isinstance(given, str) or not dtmi.is_user_dtmi(given, kind.version):
            self.report.add(
                place, path, "id-form", f"@id {shown(given)} is not a DTMI of language version {kind.version}"
            )
            return None
        reserved = build.LANGUAGES[kind.version].reserved
        if any(key.startswith("dtmi:iotcentral:") for key in context.vocabularies):
            reserved += ("dtmi:iotcentral:",)
        if given.startswith(reserved):
            self.report.add(place, path, "id-reserved", f"@id {shown(given)} has a reserved prefix")
            return None
        longest = context.limits.get("interface" if kind.partition else "identifier")
        if longest is not None and len(given) > longest:
            self.report.add(place, path, "id-length", f"@id has {len(given)} characters, at most {longest} are allowed")
        return given

    def _cotypes(self, element: Element) -> None:
        """Checks what co-types demand of the element's class and of each other."""
        groups: dict[str, str] = {}
        held = {fact.dtmi for fact in element.cotypes}
        pair = (element.fact.name, element.fact.version)
        for fact in element.cotypes:
            if pair not in fact.on:
                cause = f"{fact.name} of {fact.extension} cannot co-type a version {pair[1]} {pair[0]}"
                self.report.add(element, element.path, "cotype-not-applicable", cause)
            if fact.group and fact.group in groups:
                cause = f"{groups[fact.group]} and {fact.name} are both a {fact.group}"
                self.report.add(element, element.path, "cotype-group", cause)
            groups[fact.group] = fact.name
            for needed in fact.needs:
                if needed not in held:
                    self.report.add(element, element.path, "cotype-needs", f"{fact.name} is used without {needed}")
            for barred in fact.row.bars:
                if barred in held:
                    self.report.add(element, element.path, "cotype-bars", f"{fact.name} is used together with {barred}")

    # --- members ------------------------------------------------------------------------------

    def _members(self, element: Element, context: Context, value: dict[str, Any]) -> Iterator[_Task]:
        members = element.fact.members
        seen: dict[str, str] = {}
        for key, held in value.items():
            if key in _KEYWORDS:
                continue
            facts = [members[key]] if key in members else self._adjunct_members(element, context, key)
            if not facts:
                self._unknown(element, context, key)
                continue
            fact = facts[0]
            if fact.name in seen:
                self.report.add(element, f"{element.path}.{fact.name}", "member-twice", f"{fact.name} is written as "
                                f"{shown(seen[fact.name])} and as {shown(key)}")  # fmt: skip
                continue
            seen[fact.name] = key
            yield from self._member(element, context, facts, held, f"{element.path}.{fact.name}")
        needed = list(element.fact.required)
        for adjunct in element.cotypes:
            needed += [fact for fact in adjunct.properties.values() if fact.low]
        for fact in needed:
            if fact.name not in seen:
                self.report.add(element, element.path, "member-missing", f"the {element.kind} has no {fact.name}")

    @staticmethod
    def _adjunct_members(element: Element, context: Context, key: str) -> list[PropertyFact]:
        """What the element's adjunct types say about a member."""
        for identifier in (key,) if ":" in key else context.meanings(key):
            facts = [fact.properties[identifier] for fact in element.cotypes if identifier in fact.properties]
            if facts:
                return facts
        return []

    def _unknown(self, element: Element, context: Context, key: str) -> None:
        """A member that neither the class nor an adjunct type has."""
        language = context.spoken
        path = f"{element.path}.{key[:64]}"
        if key.startswith("@"):
            if language.strict_keywords or key == "@graph":
                self.report.add(element, path, "keyword", f"member {shown(key)} is not used in DTDL")
        elif not element.informal or context.category(key) in language.barred_members:
            self.report.add(element, path, "member-undefined", f"a {element.kind} has no member {shown(key)} here")

    def _member(
        self, element: Element, context: Context, facts: list[PropertyFact], held: object, path: str
    ) -> Iterator[_Task]:
        fact = facts[0]
        if fact.kind == "element":
            yield from self._elements(element, context, facts, held, path)
            return
        if fact.kind in ("reference", "property"):
            found = self._non_dependent(element, context, fact, held, path)
        else:
            longest = context.limits.get(fact.limit) if fact.limit else fact.longest
            read = literals.lang_string if fact.kind == "langString" else literals.literal
            before = len(self.report.findings)
            found = read(self.report, element, path, fact, held, longest)
            if found is literals.NOTHING and fact.low and len(self.report.findings) == before:
                self.report.add(element, path, "too-few", f"{fact.name} has no value")
        if found is not literals.NOTHING:
            element.values[fact.name] = found

    def _non_dependent(self, element: Element, context: Context, fact: PropertyFact, held: object, path: str) -> object:
        """A DTMI that need not be defined, or the name of an extension's property."""
        items = held if isinstance(held, list) else [held]
        if len(items) > 1:
            self.report.add(element, path, "too-many", f"{fact.name} has {len(items)} values, at most one is allowed")
            return literals.NOTHING
        if not items:
            return literals.NOTHING
        item = items[0]
        if fact.kind == "property":
            meanings = () if not isinstance(item, str) else (item,) if ":" in item else context.meanings(item)
            if meanings:
                return meanings[0]
        elif (
            isinstance(item, str)
            and dtmi.is_user_dtmi(item, element.version)
            and len(item) <= (fact.longest or dtmi.LONGEST)
        ):
            return item
        self.report.add(
            element, path, "reference-form", f"{fact.name} is {shown(item)}, not a DTMI of this language version"
        )
        return literals.NOTHING

    def _elements(
        self, element: Element, context: Context, facts: list[PropertyFact], held: object, path: str
    ) -> Iterator[_Task]:
        fact = facts[0]
        items = held if isinstance(held, list) else [held]
        slot: list[Any] = [None] * len(items)
        element.values[fact.name] = slot
        if len(items) < fact.low:
            self.report.add(
                element, path, "too-few", f"{fact.name} holds {len(items)} values, at least {fact.low} are needed"
            )
        if fact.high is not None and len(items) > fact.high:
            self.report.add(
                element, path, "too-many", f"{fact.name} holds {len(items)} values, at most {fact.high} are allowed"
            )
        for position, item in enumerate(items):
            place = f"{path}[{position}]" if isinstance(held, list) else path
            if isinstance(item, str):
                self._reference(element, context, facts, item, slot, position, place)
            elif isinstance(item, dict) and fact.allowed is None:
                yield _Task(item, element, fact, slot, position, place)
            else:
                rule = "reference-form" if fact.allowed is None else "reference-not-allowed"
                self.report.add(element, place, rule, f"{fact.name} holds {shown(item)}")

    def _reference(
        self,
        element: Element,
        context: Context,
        facts: list[PropertyFact],
        item: str,
        slot: list[Any],
        position: int,
        path: str,
    ) -> None:
        fact = facts[0]
        if ":" in item:
            meanings: tuple[str, ...] = (item,) if dtmi.is_user_dtmi(item, element.version) else ()
        else:
            meanings = context.meanings(item)
        if fact.allowed is not None:
            fitting = [m for m in meanings if all(f.allowed is None or m in f.allowed for f in facts)]
            if fitting:
                slot[position] = STANDARD[fitting[0]]
            else:
                names = sorted(STANDARD[allowed].term or allowed for allowed in fact.allowed)
                few = ", ".join(dict.fromkeys(names[:12])) + (" ..." if len(names) > 12 else "")
                self.report.add(element, path, "reference-not-allowed", f"{fact.name} is {shown(item)}",
                                f"use one of: {few}")  # fmt: skip
            return
        if not meanings:
            self.report.add(
                element, path, "reference-form", f"{fact.name} holds {shown(item)}, neither a DTMI nor a term"
            )
            return
        best = next((m for m in meanings if m in STANDARD and _pair(STANDARD[m].fact) in fact.classes), meanings[0])
        if best in STANDARD:
            slot[position] = STANDARD[best]
            check_class(self.report, element, path, fact, STANDARD[best].fact)
        else:
            self.references.append(Reference(best, element, fact, slot, position, path))


def _pair(kind: ClassFact) -> tuple[str, int]:
    return kind.name, kind.version


def check_class(report: Report, place: Element | str, path: str, fact: PropertyFact, kind: ClassFact) -> bool:
    """Whether an element of class `kind` may stand in the member; a finding when not."""
    if _pair(kind) in fact.classes:
        return True
    if any(kind.name == name for name, _ in fact.classes):
        versions = sorted({version for name, version in fact.classes if name == kind.name})
        cause = f"{fact.name} holds a version {kind.version} {kind.name}; versions {versions} are accepted here"
        report.add(place, path, "reference-version", cause)
    else:
        wanted = ", ".join(sorted({name for name, _ in fact.classes if name in _WRITABLE})) or "a standard element"
        report.add(place, path, "reference-kind", f"{fact.name} holds a {kind.name}, not one of: {wanted}")
    return False


_WRITABLE = frozenset(
    fact.name for language in build.LANGUAGES.values() for fact in language.classes.values() if not fact.standard
)
