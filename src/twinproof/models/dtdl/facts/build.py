"""Makes the tables usable: one `Language` per version, one `Vocabulary` per extension context, built once on import."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from twinproof.models.dtdl.facts import core, extensions, units
from twinproof.models.dtdl.facts.rows import (
    Adjunct,
    AdjunctFact,
    Class,
    ClassFact,
    Extension,
    Language,
    Prop,
    PropertyFact,
    StandardFact,
    Vocabulary,
    at,
    flag_at,
)

_ROWS = {row.name: row for row in core.CLASSES}
_STANDARD: dict[str, StandardFact] = {}
_BELOW: dict[str, list[Class]] = {}


def _ancestors(name: str) -> tuple[str, ...]:
    found: list[str] = []
    while name:
        found.append(name)
        name = _ROWS[name].parent
    return tuple(found)


for _row in core.CLASSES:
    for _name in _ancestors(_row.name):
        _BELOW.setdefault(_name, []).append(_row)


def concrete(name: str, versions: Iterable[int]) -> frozenset[tuple[str, int]]:
    """The (class, version) pairs of elements that belong to class `name` in one of the versions."""
    return frozenset(
        (row.name, version)
        for version in versions
        for row in _BELOW.get(name, ())
        if row.since <= version and not flag_at(row.abstract, version)
    )


def class_dtmi(name: str, version: int) -> str:
    return f"dtmi:dtdl:class:{name};{version}"


def property_dtmi(name: str, version: int) -> str:
    return f"dtmi:dtdl:property:{name};{version}"


def schema_dtmi(term: str, version: int) -> str:
    """DTMI of a primitive or geospatial schema, or of the scaled decimal."""
    if term in core.PRIMITIVES:
        return f"dtmi:dtdl:instance:Schema:{term};{version}"
    return f"dtmi:standard:schema:{'' if term == 'scaledDecimal' else 'geospatial:'}{term};{version}"


def _command_type_dtmi(term: str, version: int) -> str:
    return f"dtmi:dtdl:instance:CommandType:{term};{version}"


def _allowed(row: Prop, versions: tuple[int, ...]) -> frozenset[str] | None:
    if not row.terms:
        return None
    name = _command_type_dtmi if row.of == "CommandType" else schema_dtmi
    return frozenset(name(term, version) for term in row.terms for version in versions)


def resolve_property(row: Prop, version: int, dtmi: str, allowed: frozenset[str] | None = None) -> PropertyFact:
    """A `Prop` as it stands in one version, under the given identifier."""
    of = row.of
    for (name, since), narrowed in core.NARROWED.items():
        if row.name == name and version >= since:
            of = narrowed
    versions = tuple(v for v in core.VERSIONS if v <= version) if row.older else (version,)
    return PropertyFact(
        name=row.name, dtmi=dtmi, kind=row.kind, low=at(row.low, version) or 0, high=at(row.high, version),
        classes=frozenset({("Unit", version)}) if of == "Unit" else concrete(of, versions) if of else frozenset(),
        allowed=_allowed(row, versions) if allowed is None else allowed,
        identified=row.identified, inferred=of if row.inferred else "", unique=row.unique, limit=row.limit,
        longest=at(row.longest, version), pattern=re.compile(row.pattern) if row.pattern else None,
        pattern_text=row.pattern_text, least=row.least, most=at(row.most, version), deprecated=row.deprecated,
        unique_value=row.unique_value, of=of,
    )  # fmt: skip


def _class(row: Class, version: int) -> ClassFact:
    chain = _ancestors(row.name)
    facts = {
        prop.name: resolve_property(prop, version, property_dtmi(prop.name, version))
        for name in reversed(chain)
        for prop in _ROWS[name].props
        if prop.since <= version
    }
    members = {key: fact for fact in facts.values() for key in (fact.name, fact.dtmi)}
    return ClassFact(
        row.name, version, class_dtmi(row.name, version), flag_at(row.abstract, version), row.standard, row.partition,
        row.identified, frozenset(chain), MappingProxyType(facts), MappingProxyType(members),
        tuple(fact for fact in facts.values() if fact.low),
    )  # fmt: skip


def _standard(dtmi: str, term: str, kind: str, version: int, parent: str = "", values: tuple[str, ...] = ()) -> str:
    _STANDARD[dtmi] = StandardFact(dtmi, term, kind, version, parent, values)
    return dtmi


def _core_terms(version: int) -> dict[str, str]:
    """The language's own terms and, as a side effect, its standard elements."""
    terms = {row.name: class_dtmi(row.name, version) for row in core.CLASSES if row.since <= version}
    for row in core.CLASSES:
        if row.since <= version:
            for prop in row.props:
                if prop.since <= version:
                    terms[prop.name] = property_dtmi(prop.name, version)
    for label, names in core.RESERVED.items():
        kind, since = label.split()
        if int(since) <= version:
            terms.update((name, f"dtmi:dtdl:{kind}:{name};{version}") for name in names)
    for term, (kind,) in core.PRIMITIVES.items():
        if _ROWS[kind].since <= version:
            terms[term] = _standard(schema_dtmi(term, version), term, kind, version)
    for term in core.GEOSPATIAL + (("scaledDecimal",) if version >= 4 else ()):
        terms[term] = _standard(schema_dtmi(term, version), term, "Object", version)
    for term in ("asynchronous", "synchronous"):
        terms[term] = _standard(_command_type_dtmi(term, version), term, "CommandType", version)
    return terms


def _adjunct(
    row: Adjunct, extension: str, dtmi: str, versions: tuple[int, ...], terms: Mapping[str, str],
    allowed: Mapping[str, frozenset[str]], needs: tuple[str, ...], group: str = "",
) -> AdjunctFact:  # fmt: skip
    """`terms` give the identifiers of members and standard schemas, `allowed` the values of single members."""
    facts = [resolve_property(p, max(versions), terms[p.name], allowed.get(p.name)) for p in row.props]
    kinds = concrete("", ())
    for name in row.on:
        kinds |= concrete(name, versions)
    return AdjunctFact(
        row.name, dtmi, row, extension, versions, kinds, MappingProxyType({fact.dtmi: fact for fact in facts}), needs,
        group,
        frozenset(terms[term] for term in row.schema_terms),
        frozenset(below.name for name in row.schema for below in _BELOW[name]),
    )  # fmt: skip


def _semantics_2(terms: dict[str, str]) -> dict[str, AdjunctFact]:
    """Version 2 holds units and semantic types itself."""
    base = "dtmi:standard:"
    types = units.semantic_types(2)
    names = {*types, *units.units(2), "RatioUnit", "DecimalUnit", "DecimalPrefix", "BinaryUnit", "BinaryPrefix"}
    terms.update((name, f"{base}class:{name};2") for name in (*names, "QuantitativeType"))
    terms.update((p, property_dtmi(p, 2)) for p in ("baseUnit", "bottomUnit", "prefix", "topUnit", "unit"))
    decimal, binary = units.prefixes(2)
    for prefix in decimal + binary:
        terms[prefix] = _standard(f"{base}unitprefix:{prefix};2", prefix, "UnitAttribute", 2)
    allowed = {}
    for kind, members in units.units(2).items():
        for unit in members:
            terms[unit] = _standard(f"{base}unit:{unit};2", unit, "Unit", 2, f"{base}class:{kind};2")
        allowed[kind] = frozenset(terms[unit] for unit in members)
    adjuncts = {
        terms[name]: _adjunct(replace(extensions.QUANTITATIVE_2, name=name, abstract=False), "dtmi:dtdl:context;2",
                              terms[name], (2,), terms, {"unit": allowed[kind]}, (), "semantic type")
        for name, kind in types.items()
    }  # fmt: skip
    whole = _adjunct(extensions.QUANTITATIVE_2, "", terms["QuantitativeType"], (2,), terms, {}, ())
    return adjuncts | {whole.dtmi: whole}


def _quantitative(row: Extension) -> Vocabulary:
    """Versions 3 and 4 hold them in an extension, as Enums."""
    version = row.versions[0]
    terms = {"symbol": property_dtmi("symbol", version), "exponent": property_dtmi("exponent", version)}
    members = ("unit", "topUnit", "bottomUnit", "baseUnit", "prefix")
    terms.update((name, f"{row.prefix}property:{name}") for name in members)
    enums: dict[str, tuple[str, tuple[str, ...]]] = {
        "DecimalPrefix": ("unitprefix", tuple(units.prefixes(version)[0])),
        "BinaryPrefix": ("unitprefix", tuple(units.prefixes(version)[1])),
    }
    enums.update((kind, ("unit", names)) for kind, names in units.units(version).items())
    allowed = {}
    for kind, (infix, names) in enums.items():
        terms[kind] = _standard(f"{row.prefix}enum:{kind}", kind, "Enum", version, values=names)
        for name in names:
            terms[name] = _standard(f"{row.prefix}{infix}:{name}", name, "EnumValue", version, terms[kind])
        allowed[kind] = frozenset(terms[name] for name in names)
    terms["EnergyRateUnit"] = terms["PowerUnit"]
    rows: list[tuple[Adjunct, dict[str, frozenset[str]]]] = [
        (part, {}) for part in (*extensions.UNIT_PARTS, extensions.QUANTITATIVE)
    ]
    types = units.semantic_types(version)
    rows += [(replace(extensions.QUANTITATIVE, name=name, abstract=False), {"unit": allowed[kind]})
             for name, kind in types.items()]  # fmt: skip
    terms.update((part.name, f"{row.prefix}class:{part.name}") for part, _ in rows)
    adjuncts = [_adjunct(part, row.context, terms[part.name], row.versions, terms, values, ()) for part, values in rows]
    return Vocabulary(MappingProxyType(terms), MappingProxyType({fact.dtmi: fact for fact in adjuncts}))


def _vocabulary(row: Extension) -> Vocabulary:
    if "quantitativeTypes" in row.context:
        return _quantitative(row)
    named = {part.name: f"{row.prefix}{row.class_infix}{part.name}{row.suffix}" for part in row.adjuncts}
    terms = dict(named)
    iot = row.versions == (2,)
    lookup = dict(LANGUAGES[2].vocabulary.terms) if iot else {}
    allowed: dict[str, dict[str, frozenset[str]]] = {}
    if iot:
        terms.update((t, _standard(f"{row.prefix}schema:{t};2", t, "Object", 2)) for t in extensions.IOT_SCHEMAS)
        for name, kind in extensions.IOT_VECTOR_UNITS.items():
            allowed[name] = {"unit": frozenset(lookup[unit] for unit in units.units(2)[kind])}
    else:
        terms.update((prop.name, f"{named[part.name]}:{prop.name}") for part in row.adjuncts for prop in part.props)
    lookup.update(terms)
    adjuncts = [
        _adjunct(part, row.context, named[part.name], row.versions, lookup, allowed.get(part.name, {}),
                 tuple(named.get(name, name) for name in part.needs))
        for part in row.adjuncts
    ]  # fmt: skip
    return Vocabulary(MappingProxyType(terms), MappingProxyType({fact.dtmi: fact for fact in adjuncts}))


def _language(version: int) -> Language:
    terms = _core_terms(version)
    adjuncts = _semantics_2(terms) if version == 2 else {}
    facts = [_class(row, version) for row in core.CLASSES if row.since <= version]
    barred = frozenset({"notDtmiNorTerm", "invalidDtmi"})
    return Language(
        version=version,
        classes=MappingProxyType({key: fact for fact in facts for key in (fact.name, fact.dtmi)}),
        vocabulary=Vocabulary(MappingProxyType(terms), MappingProxyType(adjuncts)),
        strict_keywords=version >= 3,
        allow_undefined_by_default=version == 2,
        free_types=frozenset({"undefinedTerm", "notDtmiNorTerm"}) if version == 2 else frozenset(),
        barred_types=frozenset({"invalidDtmi"}) if version == 2 else barred,
        barred_members=frozenset() if version == 2 else barred,
        recursive_schemas=version >= core.RECURSIVE_SINCE,
    )


LANGUAGES: Mapping[int, Language] = MappingProxyType({version: _language(version) for version in core.VERSIONS})
EXTENSIONS: Mapping[str, Extension] = MappingProxyType({row.context: row for row in extensions.EXTENSIONS})
VOCABULARIES: Mapping[str, Vocabulary] = MappingProxyType(
    {row.context: _vocabulary(row) for row in extensions.EXTENSIONS}
)
STANDARD: Mapping[str, StandardFact] = MappingProxyType(_STANDARD)
"""Elements that the language and its extensions define, by DTMI."""
ARRAY_HOLDERS = frozenset(schema_dtmi(term, version) for term in core.GEOSPATIAL for version in core.VERSIONS)
"""Standard Objects that have an Array inside."""
