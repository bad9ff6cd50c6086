"""The published conformance cases of DTDL 2 and 3, and the facts against the published metamodel of 2, 3 and 4."""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from twinproof.models import dtdl
from twinproof.models.dtdl.facts import build, core

# Longest first, so that EnumValue is not read as Enum.
_CLASSES = "|".join(sorted((row.name for row in core.CLASSES), key=len, reverse=True))
_MEMBERS = "|".join(
    sorted({p.name[0].upper() + p.name[1:] for row in core.CLASSES for p in row.props}, key=len, reverse=True)
)


def _load(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8-sig"))


def _family(rule: str) -> str:
    """The rule without the class and member that it was written out for."""
    return re.sub(rf"Class(?:{_CLASSES})", "Class", re.sub(rf"Property(?:{_MEMBERS})(?=[A-Z])", "Property_", rule))


def _verdict(case: dict[str, Any]) -> tuple[bool, list[str]]:
    try:
        dtdl.parse(case["input"], options=case["options"])
    except dtdl.ParsingError as error:
        return False, error.unresolved
    return True, []


def _run(folder: Path, version: int) -> tuple[dict[str, Counter[bool]], list[str]]:
    rates: dict[str, Counter[bool]] = defaultdict(Counter)
    wrong: list[str] = []
    for path in sorted((folder / f"v{version}" / "spec").glob("*.json")):
        rule = path.stem.removesuffix(f"V{version}")
        for number, case in enumerate(_load(path)):
            valid, unresolved = _verdict(case)
            fine = valid == case["valid"] and case.get("expect", {"unresolvedIdentifiers": unresolved}) == {
                "unresolvedIdentifiers": unresolved
            }
            rates[_family(rule)][fine] += 1
            if not fine:
                wrong.append(f"{path.name}[{number}]: {'accepted' if valid else 'refused'}")
    return rates, wrong


def _table(version: int, rates: dict[str, Counter[bool]]) -> str:
    right, total = sum(c[True] for c in rates.values()), sum(c.total() for c in rates.values())
    lines = [f"DTDL {version}: {right} of {total} conformance cases ({right / max(total, 1):.2%}), {len(rates)} rules:"]
    for kind in ("Requirement", "Recommendation", "Allowance", "Completion"):
        rules = [
            f"{rule[len(kind) + 1 :]}\u00a0{c[True]}/{c.total()}" for rule, c in rates.items() if rule.startswith(kind)
        ]
        lines += textwrap.wrap(f"{kind}: {', '.join(rules)}", 118, subsequent_indent="  ", break_long_words=False)
    return "\n".join(lines)


@pytest.mark.parametrize("version", [2, 3])
def test_every_case_gets_the_verdict_that_it_states(
    version: int, shared: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    rates, wrong = _run(shared / "vectors" / "dtdl" / "DTDL", version)
    with capfd.disabled():
        print(f"\n{_table(version, rates)}", file=sys.stderr, flush=True)
    assert sum(c.total() for c in rates.values()) > 6000, "the cases were not found"
    assert not wrong, f"{len(wrong)} cases: {wrong[:20]}"


# --- facts and metamodel --------------------------------------------------------------------


def _graph(folder: Path, version: int) -> dict[str, dict[str, Any]]:
    path = folder / f"v{version}" / "metamodel" / f"DTDL.v{version}.ModelRDF-SHACL.json"
    return {node["@id"]: node for node in _load(path)["@graph"]}


def _term(iri: str) -> str:
    return iri.rpartition(":")[2].partition(";")[0]


@pytest.mark.parametrize("version", [2, 3, 4])
def test_terms_are_those_of_the_published_context(version: int, shared: Path) -> None:
    path = shared / "vectors" / "dtdl" / "DTDL" / f"v{version}" / "context" / f"DTDL.v{version}.context.json"
    published = {
        term: entry["@id"] for term, entry in _load(path).items() if isinstance(entry, dict) and "@id" in entry
    }
    assert published == dict(build.LANGUAGES[version].vocabulary.terms)


def test_terms_of_the_extensions_are_those_of_the_published_contexts(shared: Path) -> None:
    folder = shared / "vectors" / "dtdl" / "DTDL"
    checked = set()
    for path in [*folder.glob("v*/context/*FeatureExtension*.json"), *folder.glob("v2/context/*iotcentral*.json")]:
        found = re.search(r"FeatureExtension\.(\w+)\.v(\d)", path.name)
        context = f"dtmi:dtdl:extension:{found[1]};{found[2]}" if found else "dtmi:iotcentral:context;2"
        published = {term: entry["@id"] for term, entry in _load(path).items()}
        ours = build.VOCABULARIES[context].terms
        assert published.items() <= ours.items(), context
        assert {term for term in ours if term not in published} <= {"symbol", "exponent"}, context
        checked.add(context)
    assert checked == {context for context, row in build.EXTENSIONS.items() if not row.limits}


@pytest.mark.parametrize("version", [2, 3, 4])
def test_classes_are_those_of_the_published_metamodel(version: int, shared: Path) -> None:
    graph = _graph(shared / "vectors" / "dtdl" / "DTDL", version)
    language = build.LANGUAGES[version]
    limits = core.LIMITS[f"core;{version}"]
    compared = 0
    for iri, node in graph.items():
        ours = language.classes.get(iri)
        if ours is None:
            continue
        assert ours.abstract == ("dtmm:Abstract" in node["@type"]), iri
        assert ours.partition == ("dtmm:Partition" in node["@type"]), iri
        assert _term(node.get("rdfs:subClassOf", iri)) in ours.ancestors
        for shape in node.get("sh:property", []):
            name = _term(shape["sh:path"])
            if name == "languageMajorVersion":
                continue
            fact = ours.properties[name]
            assert fact.dtmi == shape["sh:path"]
            assert fact.low == shape.get("sh:minCount", 0), (iri, name)
            assert fact.high == shape.get("sh:maxCount"), (iri, name)
            assert (limits[fact.limit] if fact.limit else fact.longest) == shape.get("sh:maxLength"), (iri, name)
            assert (fact.least, fact.most) == (shape.get("sh:minInclusive"), shape.get("sh:maxInclusive")), (iri, name)
            assert bool(fact.inferred) == shape.get("dtmm:typeInferable", False), (iri, name)
            assert [_term(unique) for unique in shape.get("dtmm:uniqueProperties", [])] == list(fact.unique)
            assert (sorted(fact.allowed) if fact.allowed else None) == (
                sorted(shape["sh:in"]) if "sh:in" in shape else None
            )
            if fact.kind == "element" and not fact.allowed:
                assert fact.identified == (shape["sh:nodeKind"] == "sh:IRI"), (iri, name)
                targets = [entry["sh:class"] for entry in shape.get("sh:or", [])] or [
                    f"x:{shape['sh:class']};{version}"
                ]
                expected = frozenset().union(*(build.concrete(_term(t), [int(t.rpartition(";")[2])]) for t in targets))
                assert fact.classes == expected, (iri, name)
            compared += 1
    assert compared > 25


@pytest.mark.parametrize("version", [2, 3, 4])
def test_limits_are_those_of_the_published_metamodel(version: int, shared: Path) -> None:
    graph = _graph(shared / "vectors" / "dtdl" / "DTDL", version)
    ours = core.LIMITS[f"core;{version}"]
    world = graph[f"dtmi:dtdl:restriction:global;{version}"]
    assert ours["identifier"] == world["dtmm:identifier"]["sh:maxLength"]
    assert ours["interface_bytes"] == world.get("dtmm:partition", {}).get("dtmm:maxBytes")
    assert list(build.LANGUAGES[version].reserved) == world["dtmm:identifier"]["dtmm:reservedPrefix"]
    assert build.LANGUAGES[version].strict_keywords == world["dtmm:restrictKeywords"]
    interface = graph[f"dtmi:dtdl:class:Interface;{version}"]
    assert ours["interface"] == interface["dtmm:identifier"]["sh:maxLength"]
    extends, *more = interface["dtmm:descendants"]
    assert (ours["extends_depth"], ours["extends_count"]) == (extends["dtmm:maxDepth"], extends.get("dtmm:maxCount"))
    assert ours["contents_count"] == (more[0]["dtmm:maxCount"] if more else None)
    (complex_,) = graph[f"dtmi:dtdl:class:ComplexSchema;{version}"]["dtmm:descendants"]
    assert ours["schema_depth"] == complex_["dtmm:maxDepth"]
    assert build.LANGUAGES[version].recursive_schemas == complex_.get("dtmm:allowSelf", False)


def test_samples_of_version_2_are_valid(shared: Path) -> None:
    folder = shared / "vectors" / "dtdl" / "DTDL" / "v2" / "samples"
    texts = [path.read_bytes() for path in sorted(folder.glob("*.json"))]
    assert len(texts) == 2
    with pytest.raises(dtdl.ParsingError) as caught:
        dtdl.parse(texts)
    assert caught.value.unresolved == ["dtmi:azure:DeviceManagement:DeviceInformation;1"]
    device = {
        "@context": "dtmi:dtdl:context;2",
        "@id": "dtmi:azure:DeviceManagement:DeviceInformation;1",
        "@type": "Interface",
    }
    model = dtdl.parse(texts, resolver=lambda wanted: [device])
    assert len(model.interfaces) == 3
