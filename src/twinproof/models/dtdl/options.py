"""What a caller may decide about parsing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from twinproof.errors import Malformed

_NAMES = {"AllowUndefinedExtensions": True, "DisallowUndefinedExtensions": False}


@dataclass(frozen=True, slots=True)
class Options:
    """Choices and resource limits of one `parse`."""

    allow_undefined_extensions: bool | None = None
    """Accept contexts that no extension here defines, and what can only be judged with them. None: as the language
    version says (version 2 accepts, versions 3 and 4 refuse)."""
    max_bytes: int = 64 << 20
    """Bytes of all documents together."""
    max_depth: int = 400
    """Nesting of JSON arrays and objects."""
    max_findings: int = 200
    """Findings after which parsing stops."""
    max_work: int = 20_000_000
    """Steps that inheritance and limits may cost; a bound on hostile models, far above any honest one."""

    @classmethod
    def named(cls, names: Iterable[str]) -> Options:
        """Options from the names that the published conformance cases use, such as `DisallowUndefinedExtensions`."""
        allow: bool | None = None
        for name in names:
            if name not in _NAMES:
                raise Malformed("options", f"unknown parsing option {name!r}; known: {', '.join(sorted(_NAMES))}")
            allow = _NAMES[name]
        return cls(allow_undefined_extensions=allow)
