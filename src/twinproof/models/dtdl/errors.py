"""What the DTDL room refuses, and how it says so."""

from __future__ import annotations

from dataclasses import dataclass

from twinproof.errors import Malformed


@dataclass(frozen=True, slots=True)
class Finding:
    """One broken rule in one place of a model."""

    element: str
    """DTMI of the nearest element that has one (given or assigned), or the document's name."""
    path: str
    """Where it stands: document number and JSON path, such as `0.contents[2].schema`."""
    rule: str
    """Stable name of the rule, such as `name-pattern`. `facts.RULES` lists them all."""
    cause: str
    """What is wrong, with the value that is wrong."""
    fix: str
    """What to do about it."""

    def __str__(self) -> str:
        return f"{self.element} ({self.path}): {self.cause} [{self.rule}]; {self.fix}"


class ParsingError(Malformed):
    """A collection of DTDL documents is not a valid, complete model.

    `findings` lists every broken rule that was found, in document order; `unresolved` the DTMIs that the model refers
    to and that neither the documents nor the resolver define.
    """

    code = "dtdl-invalid"

    def __init__(self, findings: list[Finding], unresolved: list[str]) -> None:
        first = findings[0]
        more = f" (+{len(findings) - 1} more)" if len(findings) > 1 else ""
        super().__init__(f"{first.element} {first.path}", f"{first.cause} [{first.rule}]; {first.fix}{more}")
        self.findings = findings
        self.unresolved = unresolved


class InvalidValue(Malformed):
    """A value does not fit the schema that the model gives it. `field` is the content's name and the path inside."""

    code = "invalid-value"
