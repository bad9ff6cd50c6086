"""Collects findings while a model is read."""

from __future__ import annotations

import json
from typing import Protocol

from twinproof.models.dtdl.errors import Finding, ParsingError
from twinproof.models.dtdl.rules import RULES


class Place(Protocol):
    """An element, as far as a finding needs it."""

    @property
    def id(self) -> str: ...


class Report:
    """The findings so far; raises as soon as there are too many to be useful."""

    def __init__(self, most: int) -> None:
        self.findings: list[Finding] = []
        self.unresolved: list[str] = []
        self._most = most

    def add(self, element: Place | str, path: str, rule: str, cause: str, fix: str = "") -> None:
        """Note one broken rule. `element` is the element itself or a name for what has no identifier yet."""
        name = element if isinstance(element, str) else element.id
        self.findings.append(Finding(name, path, rule, cause, fix or RULES[rule]))
        if len(self.findings) >= self._most:
            self.check()

    def check(self) -> None:
        """Raises: ParsingError when anything was found."""
        if self.findings:
            raise ParsingError(self.findings, self.unresolved)


def shown(value: object) -> str:
    """A value in a message, shortened."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "an array"
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:76]}...{text[-1]}"
