"""DTDL, the Digital Twins Definition Language, versions 2, 3 and 4: parse models, check values against them.

    model = dtdl.parse(text)
    pump = dtdl.compile(model, "dtmi:com:example:Pump;1")
    pump.check_property("speed", 1450.0)

Needs nothing but the standard library and `twinproof.errors`.
"""

from __future__ import annotations

from twinproof.models.dtdl.compiled import CompiledInterface
from twinproof.models.dtdl.compiled import compile_interface as compile
from twinproof.models.dtdl.elements import Element, Model
from twinproof.models.dtdl.errors import Finding, InvalidValue, ParsingError
from twinproof.models.dtdl.options import Options
from twinproof.models.dtdl.parsing import parse
from twinproof.models.dtdl.resolve import Resolver
from twinproof.models.dtdl.rules import RULES

__all__ = [
    "RULES",
    "CompiledInterface",
    "Element",
    "Finding",
    "InvalidValue",
    "Model",
    "Options",
    "ParsingError",
    "Resolver",
    "compile",
    "parse",
]
