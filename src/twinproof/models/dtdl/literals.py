"""Literal members: strings, integers, booleans and localizable strings, in all the forms that JSON-LD gives them."""

from __future__ import annotations

import re
from typing import Any, Final

from twinproof.models.dtdl.elements import Element
from twinproof.models.dtdl.facts.rows import PropertyFact
from twinproof.models.dtdl.report import Report, shown

LANGUAGE_TAG = re.compile(r"[a-z]{2,4}(?:-[A-Z][a-z]{3})?(?:-(?:[A-Z]{2}|[0-9]{3}))?")
DEFAULT_LANGUAGE = "en"
_XSD = "http://www.w3.org/2001/XMLSchema#"
_NEVER = frozenset({"@id", "@context", "@graph"})
NOTHING: Final = object()
"""Stands for "no value", whether because the member holds none or because it is broken."""


def _fits(kind: str, value: object) -> bool:
    if kind == "string":
        return isinstance(value, str)
    if kind == "boolean":
        return isinstance(value, bool)
    integer = isinstance(value, int) and not isinstance(value, bool) and -(1 << 31) <= value < 1 << 31
    return integer or (kind == "literal" and isinstance(value, str))


def _xsd_names(kind: str) -> tuple[str, ...]:
    kinds = ("string", "integer") if kind == "literal" else (kind,)
    return tuple(f"{base}{name}" for name in kinds for base in ("xsd:", _XSD))


def _stray_member(value: dict[str, Any], usual: tuple[str, ...], strict: bool) -> str | None:
    """A member that a value object must not have. Version 2 lets unknown `@` members pass."""
    for name in value:
        if name not in usual and (strict or name in _NEVER or not name.startswith("@")):
            return name
    return None


def _inside(report: Report, element: Element, path: str, fact: PropertyFact, value: dict[str, Any]) -> object:
    """The literal in a value object."""
    strict = element.fact.version > 2
    stray = _stray_member(value, ("@value", "@type"), strict)
    if stray is not None:
        report.add(element, path, "value-object", f"the value object has member {shown(stray)}")
        return NOTHING
    if "@value" not in value:
        report.add(element, path, "value-object", "the value object has no @value")
        return NOTHING
    literal = value["@value"]
    if "@type" in value:
        kinds = value["@type"] if isinstance(value["@type"], list) else [value["@type"]]
        own = fact.kind if fact.kind != "literal" else "string" if isinstance(literal, str) else "integer"
        if len(kinds) != 1 or kinds[0] not in _xsd_names(own):
            report.add(element, path, "value-object", f"@type of the value object is not xsd:{own}")
            return NOTHING
    return literal


def _within_limits(
    report: Report, element: Element, path: str, fact: PropertyFact, value: Any, longest: int | None
) -> bool:
    if isinstance(value, str):
        if longest is not None and len(value) > longest:
            report.add(
                element,
                path,
                "string-length",
                f"{fact.name} has {len(value)} characters, at most {longest} are allowed",
            )
            return False
        if fact.pattern and not fact.pattern.fullmatch(value):
            cause = f"{fact.name} {shown(value)} does not consist of {fact.pattern_text}"
            report.add(element, path, "string-pattern", cause)
            return False
    elif isinstance(value, int) and not isinstance(value, bool):
        low, high = fact.least, fact.most
        if (low is not None and value < low) or (high is not None and value > high):
            allowed = f"exactly {low}" if low == high else f"at least {low}" if high is None else f"{low} to {high}"
            report.add(element, path, "number-range", f"{fact.name} is {value}; it must be {allowed}")
            return False
    return True


def literal(
    report: Report, element: Element, path: str, fact: PropertyFact, value: object, longest: int | None
) -> object:
    """The one literal of a member, or NOTHING. `longest`: characters of a string, where limited."""
    items = value if isinstance(value, list) else [value]
    if len(items) > 1:
        report.add(element, path, "too-many", f"{fact.name} has {len(items)} values, at most one is allowed")
        return NOTHING
    if not items:
        return NOTHING
    item = items[0]
    if isinstance(item, dict):
        item = _inside(report, element, path, fact, item)
        if item is NOTHING:
            return NOTHING
    if not _fits(fact.kind, item):
        wanted = {"literal": "an integer or a string", "integer": "a 32-bit integer"}.get(fact.kind, f"a {fact.kind}")
        report.add(element, path, "value-kind", f"{fact.name} is {shown(item)}, not {wanted}")
        return NOTHING
    return item if _within_limits(report, element, path, fact, item, longest) else NOTHING


def _tagged(report: Report, element: Element, path: str, item: object) -> tuple[str, str] | None:
    """Language and text of one value in an array."""
    if isinstance(item, str):
        return DEFAULT_LANGUAGE, item
    if not isinstance(item, dict):
        report.add(element, path, "value-kind", f"a localizable text is {shown(item)}")
        return None
    stray = _stray_member(item, ("@value", "@language"), element.fact.version > 2)
    if stray is not None or not isinstance(item.get("@value"), str):
        cause = f"has member {shown(stray)}" if stray is not None else "has no string as @value"
        report.add(element, path, "value-object", f"the language-tagged value {cause}",
                   "write {\"@value\": ..., \"@language\": ...}, both strings, and no other members")  # fmt: skip
        return None
    language = item.get("@language", DEFAULT_LANGUAGE)
    if not isinstance(language, str) or not LANGUAGE_TAG.fullmatch(language):
        report.add(element, path, "language-tag", f"{shown(language)} is not a language tag")
        return None
    return language, item["@value"]


def lang_string(
    report: Report, element: Element, path: str, fact: PropertyFact, value: object, longest: int | None
) -> object:
    """A language map, or NOTHING."""
    texts: dict[str, str] = {}
    if isinstance(value, dict):
        for language, text in value.items():
            if not LANGUAGE_TAG.fullmatch(language):
                report.add(element, path, "language-tag", f"{shown(language)} is not a language tag")
            elif not isinstance(text, str):
                report.add(element, path, "value-kind", f"the text for language {language} is {shown(text)}")
            else:
                texts[language] = text
    else:
        for number, item in enumerate(value if isinstance(value, list) else [value]):
            place = f"{path}[{number}]" if isinstance(value, list) else path
            pair = _tagged(report, element, place, item) if isinstance(value, list) or isinstance(item, str) else None
            if pair is None:
                if not isinstance(value, list):
                    report.add(element, path, "value-kind", f"{fact.name} is {shown(value)}, not a localizable string")
            elif pair[0] in texts:
                report.add(element, place, "language-duplicate", f"there are two texts for language {pair[0]}")
            else:
                texts[pair[0]] = pair[1]
    fine = [_within_limits(report, element, path, fact, text, longest) for text in texts.values()]
    return texts if all(fine) else NOTHING
