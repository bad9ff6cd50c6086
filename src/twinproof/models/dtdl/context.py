"""Active contexts: which language version, extensions and limits hold for an element, and what its terms mean.

An element's `@context` adds to those of the elements around it; of two specifiers with the same de-versioned value the
inner and the later one counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from twinproof.errors import InternalError
from twinproof.models.dtdl import dtmi
from twinproof.models.dtdl.facts import build
from twinproof.models.dtdl.facts.core import LIMITS
from twinproof.models.dtdl.facts.rows import AdjunctFact, Language, Vocabulary
from twinproof.models.dtdl.report import Report, shown

_LANGUAGE = "dtmi:dtdl:context"
_EARLY_2 = "dtmi:iotcentral:context;2"
"""May stand before version 2's own context, unlike any other extension."""


@dataclass(frozen=True, slots=True, eq=False)
class Context:
    """What holds at one place of a document."""

    language: Language | None = None
    limits: Mapping[str, int | None] = field(default_factory=dict)
    vocabularies: Mapping[str, Vocabulary] = field(default_factory=dict)
    """De-versioned value -> the terms of the language or of a defined extension, the innermost and latest last."""
    undefined: frozenset[str] = frozenset()
    """De-versioned values of contexts that no extension here defines."""
    _terms: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def spoken(self) -> Language:
        """The language version, where one is known to be named."""
        if self.language is None:
            raise InternalError("a context without a language version is used for an element")
        return self.language

    def meanings(self, term: str) -> tuple[str, ...]:
        """DTMIs that a term stands for, those of the innermost and latest context first; none when it is undefined.

        The quantitative types of version 4 give `byte` a second meaning; which one counts, the member decides.
        """
        found = self._terms.get(term)
        if found is None:
            latest_first = reversed(list(self.vocabularies.values()))
            found = tuple(vocabulary.terms[term] for vocabulary in latest_first if term in vocabulary.terms)
            self._terms[term] = found
        return found

    def adjunct(self, identifier: str) -> AdjunctFact | None:
        """The adjunct type with this DTMI, when its extension is active."""
        for vocabulary in self.vocabularies.values():
            fact = vocabulary.adjuncts.get(identifier)
            if fact:
                return fact
        return None

    def _with(self, key: str, vocabulary: Vocabulary | None) -> Mapping[str, Vocabulary]:
        """The vocabularies with one more, in place of an earlier one of the same key."""
        others = {other: words for other, words in self.vocabularies.items() if other != key}
        return others | {key: vocabulary} if vocabulary else others

    def category(self, text: str) -> str:
        """Which kind of string a co-type or member name is, when it is none that the language knows there."""
        if ":" not in text:
            return "irrelevantDtmiOrTerm" if self.meanings(text) else "undefinedTerm"
        if not text.startswith("dtmi:"):
            return "notDtmiNorTerm"
        return "irrelevantDtmiOrTerm" if dtmi.is_user_dtmi(text, self.spoken.version) else "invalidDtmi"


class Contexts:
    """Makes active contexts, each once."""

    def __init__(self, report: Report, allow_undefined: bool | None) -> None:
        self._report = report
        self._allow = allow_undefined
        self._known: dict[tuple[int, tuple[str, ...]], Context] = {}
        self._kept: list[Context] = []

    def extend(self, outer: Context | None, value: object, place: str, path: str) -> Context | None:
        """The context that `value`, an `@context` member, makes inside `outer`; None when it is broken."""
        names = [value] if isinstance(value, str) else value
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            self._report.add(place, path, "context-form", f"@context is {shown(value)}")
            return None
        key = (id(outer), tuple(names))
        found = self._known.get(key)
        if found is None:
            made = self._extend(outer, names, place, path)
            if made is None:
                return None
            self._known[key] = found = made
            self._kept.append(made)
        return found

    def _extend(self, outer: Context | None, names: list[str], place: str, path: str) -> Context | None:
        before = len(self._report.findings)
        context = outer or Context()
        for position, name in enumerate(names):
            follower = names[position + 1] if position + 1 < len(names) else ""
            leader = names[position - 1] if position else ""
            if name.partition(";")[0] == _LANGUAGE:
                context = self._speak(context, name, leader, follower, place, path)
            elif not dtmi.is_context(name):
                self._report.add(place, path, "context-dtmi", f"context specifier {shown(name)} is malformed")
            else:
                context = self._add(context, name, leader, names[position + 1 :], place, path)
        if len(self._report.findings) > before:
            return None
        if context.undefined and not self._allows(context):
            missing = ", ".join(sorted(context.undefined - (outer.undefined if outer else frozenset())))
            if missing:
                self._report.add(place, path, "context-undefined", f"no extension is known for context {missing}")
                return None
        return replace(context, _terms={})

    def _allows(self, context: Context) -> bool:
        if self._allow is None:
            return context.language is not None and context.language.allow_undefined_by_default
        return self._allow

    def _speak(self, context: Context, name: str, leader: str, follower: str, place: str, path: str) -> Context:
        """A specifier of the language itself, with or without a fragment."""
        whole, mark, fragment = name.partition("#")
        number = whole.partition(";")[2]
        language = {str(version): spoken for version, spoken in build.LANGUAGES.items()}.get(number)
        if language is None:
            rule = "context-version" if dtmi.is_context(whole) else "context-dtmi"
            self._report.add(place, path, rule, f"no language version has context {shown(name)}")
            return context
        context = replace(context, language=language, vocabularies=context._with(_LANGUAGE, language.vocabulary))
        if not mark:
            return replace(context, limits=LIMITS[f"core;{number}"])
        if language.version < 4 or fragment not in ("limitless", "limits"):
            self._report.add(place, path, "context-dtmi", f"context {shown(name)} does not exist")
        elif fragment == "limits" and leader != f"{whole}#limitless":
            self._report.add(place, path, "context-limits", f"{name} does not follow {whole}#limitless")
        elif fragment == "limitless":
            extension = build.EXTENSIONS.get(follower)
            if follower not in (whole, f"{whole}#limits") and not (extension and extension.limits):
                self._report.add(place, path, "context-limits", f"{name} is followed by {shown(follower)}")
            return context
        return replace(context, limits=LIMITS[f"core;{number}"])

    def _add(self, context: Context, name: str, leader: str, later: list[str], place: str, path: str) -> Context:
        """A specifier of an extension."""
        spoken = [other for other in later if other.partition(";")[0] == _LANGUAGE]
        if spoken and not (name == _EARLY_2 and all(other == f"{_LANGUAGE};2" for other in spoken)):
            self._report.add(place, path, "context-order", f"{shown(name)} stands before {spoken[0]}")
        extension = build.EXTENSIONS.get(name)
        key = dtmi.deversioned(name)
        if extension is None:
            return replace(context, vocabularies=context._with(key, None), undefined=context.undefined | {key})
        if extension.limits:
            version = extension.versions[0]
            if leader != f"{_LANGUAGE};{version}#limitless":
                self._report.add(place, path, "context-limits", f"{name} does not follow the #limitless context")
            return replace(context, limits=LIMITS[extension.limits])
        words = context._with(key, build.VOCABULARIES[name])
        return replace(context, vocabularies=words, undefined=context.undefined - {key})
