"""Digital twin model identifiers: syntax per language version.

`dtmi:` + segments joined by `:` + `;` + version. Version 2 of the language wants a whole number as version; versions 3
and 4 allow it to be left out or to have a minor part. A segment that begins with `_` marks an identifier that a parser
assigned; documents may not contain such identifiers. (DTDL language specification, "Digital Twin Model Identifier".)
"""

from __future__ import annotations

import re

_SEGMENT = r"[A-Za-z](?:[A-Za-z0-9_]*[A-Za-z0-9])?"
_PATH = rf"dtmi:{_SEGMENT}(?::{_SEGMENT})*"
_MAJOR = r"[1-9][0-9]{0,8}"
_MINOR = r"\.[1-9][0-9]{0,5}"

USER_2 = re.compile(rf"{_PATH};{_MAJOR}")
USER_3 = re.compile(rf"{_PATH}(?:;{_MAJOR}(?:{_MINOR})?)?")
CONTEXT = re.compile(rf"{_PATH};{_MAJOR}(?:{_MINOR})?")
"""A context specifier always has a version."""

LONGEST = 4096
"""Characters of the longest identifier of any kind; longer strings are not even matched."""


def is_user_dtmi(text: str, version: int) -> bool:
    """Whether `text` is an identifier that a document of this language version may contain."""
    pattern = USER_2 if version == 2 else USER_3
    return len(text) <= LONGEST and pattern.fullmatch(text) is not None


def is_context(text: str) -> bool:
    """Whether `text` is a context specifier, apart from a fragment."""
    return len(text) <= LONGEST and CONTEXT.fullmatch(text) is not None


def deversioned(text: str) -> str:
    """The part to the left of the semicolon."""
    return text.split(";", 1)[0]


def assign(parent: str, member: str, name: str | None) -> str:
    """The identifier of an element without `@id`: its parent's, the member's and, where names are unique, its name."""
    path, mark, version = parent.partition(";")
    return f"{path}:_{member}{f':__{name}' if name else ''}{mark}{version}"
