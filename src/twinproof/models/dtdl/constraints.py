"""Rules about single elements that need their neighbours: unique values, enum values, what co-types demand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from twinproof.models.dtdl.elements import Element
from twinproof.models.dtdl.facts.rows import AdjunctFact, PropertyFact
from twinproof.models.dtdl.report import Report, shown


def check_elements(report: Report, elements: Iterable[Element], contents: Mapping[str, Mapping[str, Element]]) -> None:
    """Checks every element. `contents`: Interface -> contents by name, inherited ones included."""
    overridden: dict[tuple[str, str, str], Element] = {}
    for element in elements:
        for fact in element.fact.properties.values():
            if fact.unique and fact.name in element.values:
                _check_unique(report, element, fact)
        if element.kind == "Enum":
            _check_enum(report, element)
        for adjunct in element.cotypes:
            _check_cotype(report, element, adjunct)
            if adjunct.row.sibling and not adjunct.row.overrides:
                _check_sibling(report, element, adjunct, contents)
            elif adjunct.row.overrides:
                _check_override(report, element, adjunct, contents, overridden)


def _check_unique(report: Report, element: Element, fact: PropertyFact) -> None:
    """Members whose values must differ among the elements in one member, and indices likewise."""
    children = element.all(fact.name)
    names = list(fact.unique)
    for child in children:
        names += [
            p.name for a in child.cotypes for p in a.properties.values() if p.unique_value and p.name not in names
        ]
    for name in names:
        if fact.name == "contents" and name == "name":
            continue  # inherit() compares these, together with inherited ones
        first: dict[tuple[str, object], Element] = {}
        for child in children:
            value = child.values.get(name)
            if value is None:
                continue
            other = first.setdefault((type(value).__name__, value), child)
            if other is not child:
                cause = f"{name} {shown(value)} stands twice in {fact.name} of {element.id}"
                report.add(child, f"{child.path}.{name}", "not-unique", cause)


def _check_enum(report: Report, element: Element) -> None:
    schema = element.only("valueSchema")
    if schema is None:
        return
    wanted = int if schema.kind == "Integer" else str
    for child in element.all("enumValues"):
        value = child.values.get("enumValue")
        if value is not None and not isinstance(value, wanted):
            cause = f"enumValue {shown(value)} is not of the Enum's valueSchema, {schema.term}"
            report.add(child, f"{child.path}.enumValue", "enum-value-kind", cause)


def _check_cotype(report: Report, element: Element, adjunct: AdjunctFact) -> None:
    row = adjunct.row
    schema = element.only("schema")
    if schema is not None:
        fits = not (row.schema or row.schema_terms or row.schema_cotype)
        fits = fits or schema.kind in adjunct.schema_classes or schema.id in adjunct.schema_terms
        fits = fits or (bool(row.schema_cotype) and schema.cotyped(row.schema_cotype))
        if not fits:
            wanted = [*row.schema, *row.schema_terms, *([f"co-type {row.schema_cotype}"] if row.schema_cotype else [])]
            cause = f"{row.name} needs a schema that is {' or '.join(wanted)}, not {schema.term or schema.kind}"
            report.add(element, f"{element.path}.schema", "cotype-schema", cause)
    if row.fields_cotyped:
        for child in element.all("fields"):
            if not any(child.cotyped(name) for name in row.fields_cotyped):
                cause = f"a field of a {row.name} is not co-typed {' or '.join(row.fields_cotyped)}"
                report.add(child, child.path, "cotype-fields", cause)
    if row.within and element.parent is not None:
        _check_place(report, element, element.parent, adjunct)


def _check_place(report: Report, element: Element, parent: Element, adjunct: AdjunctFact) -> None:
    if not parent.cotyped(adjunct.row.within):
        cause = f"{adjunct.name} is used outside an element that is co-typed {adjunct.row.within}"
        report.add(element, element.path, "cotype-place", cause)
    same = [child for child in parent.all(element.member) if child.cotyped(adjunct.dtmi)]
    if same and same[0] is not element:
        report.add(element, element.path, "cotype-only-one", f"{parent.id} has another {adjunct.name}")


def _sibling(element: Element, adjunct: AdjunctFact, contents: Mapping[str, Mapping[str, Element]]) -> Element | None:
    """The Property or Telemetry that a member names, in the Interface that holds the element."""
    parent = element.parent
    if parent is None or not parent.fact.partition:
        return None
    found = contents.get(parent.id, {}).get(str(element.values.get(adjunct.row.sibling)))
    return found if found is not None and found is not element and found.kind in ("Property", "Telemetry") else None


def _check_sibling(
    report: Report, element: Element, adjunct: AdjunctFact, contents: Mapping[str, Mapping[str, Element]]
) -> None:
    row = adjunct.row
    if row.sibling not in element.values:
        return
    found = _sibling(element, adjunct, contents)
    if found is None or found.cotyped(row.sibling_not):
        why = f", which is itself a {row.sibling_not}" if found is not None else ""
        cause = f"{row.sibling} names {shown(element.values[row.sibling])}{why}"
        report.add(element, f"{element.path}.{row.sibling}", "sibling", cause)


def _check_override(
    report: Report,
    element: Element,
    adjunct: AdjunctFact,
    contents: Mapping[str, Mapping[str, Element]],
    overridden: dict[tuple[str, str, str], Element],
) -> None:
    """The sibling has the named property from an extension, of this element's schema; nobody else overrides it."""
    row = adjunct.row
    identifier = element.values.get(row.overrides)
    found = _sibling(element, adjunct, contents)
    if identifier is None or found is None:
        return
    path = f"{element.path}.{row.overrides}"
    facts = [fact.properties[identifier] for fact in found.cotypes if identifier in fact.properties]
    if not facts:
        report.add(element, path, "override", f"no extension gives {found.id} the property {shown(identifier)}")
        return
    parent = element.parent
    key = (parent.id if parent else "", found.id, identifier)
    if overridden.setdefault(key, element) is not element:
        report.add(element, path, "override", f"{overridden[key].id} overrides the same property")
    value, schema = found.only(facts[0].name), element.only("schema")
    wanted = value.standard.parent if value is not None and value.standard else ""
    if wanted and schema is not None and schema.id != wanted:
        cause = f"the schema is {schema.term or schema.kind}, but {facts[0].name} of {found.id} takes {wanted}"
        report.add(element, f"{element.path}.schema", "override", cause)
