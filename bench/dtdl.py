"""Measures the DTDL parser: 1,000 generated Interfaces parsed, one compiled, values checked.

    python bench/dtdl.py

prints one line of JSON. Times are the best of several runs, in seconds; checks are per second.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from twinproof.models import dtdl

INTERFACES = 1000
RUNS = 3
CHECKS = 200_000


def _interface(number: int) -> dict[str, Any]:
    """One Interface such as a plant has many: inherited contents, semantic types, an Object, an Enum, a Component."""
    identifier = f"dtmi:com:example:plant:machine{number};1"
    limits = f"dtmi:com:example:plant:machine{number}:limits;1"
    document: dict[str, Any] = {
        "@context": ["dtmi:dtdl:context;4", "dtmi:dtdl:extension:quantitativeTypes;2"],
        "@id": identifier,
        "@type": "Interface",
        "displayName": {"en": f"Machine {number}", "de": f"Maschine {number}"},
        "schemas": {
            "@id": limits,
            "@type": "Object",
            "fields": [{"name": "low", "schema": "double"}, {"name": "high", "schema": "double"}],
        },
        "contents": [
            {
                "@type": ["Telemetry", "Temperature"],
                "name": f"temp{number}",
                "schema": "double",
                "unit": "degreeCelsius",
            },
            {"@type": ["Telemetry", "Pressure"], "name": f"pressure{number}", "schema": "double", "unit": "bar"},
            {"@type": "Property", "name": f"limits{number}", "schema": limits, "writable": True},
            {
                "@type": "Property",
                "name": f"mode{number}",
                "schema": {
                    "@type": "Enum",
                    "valueSchema": "integer",
                    "enumValues": [{"name": "idle", "enumValue": 0}, {"name": "busy", "enumValue": 1}],
                },
            },
            {"@type": "Command", "name": f"start{number}", "request": {"name": "speed", "schema": "integer"}},
            {"@type": "Relationship", "name": f"feeds{number}", "maxMultiplicity": 4},
        ],
    }
    if number % 10:
        document["extends"] = f"dtmi:com:example:plant:machine{number - 1};1"
    return document


def run(quick: bool) -> dict[str, Any]:
    """Measures; the result holds plain numbers and strings."""
    runs, checks = (1, CHECKS // 10) if quick else (RUNS, CHECKS)
    text = json.dumps([_interface(number) for number in range(INTERFACES)])
    parsing, compiling = [], []
    for _ in range(runs):
        started = time.perf_counter()
        model = dtdl.parse(text)
        parsing.append(time.perf_counter() - started)
        started = time.perf_counter()
        for identifier in model.interfaces:
            dtdl.compile(model, identifier)
        compiling.append(time.perf_counter() - started)
    machine = dtdl.compile(model, f"dtmi:com:example:plant:machine{INTERFACES - 1};1")
    name, value = f"limits{INTERFACES - 1}", {"low": 1.0, "high": 2.0}
    started = time.perf_counter()
    for _ in range(checks):
        machine.check_property(name, value)
    checking = time.perf_counter() - started
    return {
        "bench": "dtdl",
        "interfaces": INTERFACES,
        "bytes": len(text),
        "parse_seconds": round(min(parsing), 4),
        "compile_seconds": round(min(compiling), 4),
        "object_checks_per_second": round(checks / checking),
    }


if __name__ == "__main__":
    print(json.dumps(run("--quick" in sys.argv)))
