"""Builds the models in `models/` as FMUs of FMI 2.0, with the C compiler of the machine."""

from __future__ import annotations

import io
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import fmpy

MODELS = Path(__file__).parent / "models"
FLAGS = ("-shared", "-fPIC", "-O1", "-ffp-contract=off", "-std=c99", "-Wall", "-Werror")
"""Without fused operations, so that every compiler's arithmetic is the same."""
VARIABLES = {
    "tank": ("area", "drain", "inflow", "level"),
    "pump": ("gain", "wanted", "level", "flow"),
}


def describe(name: str, **changed: Any) -> str:
    """The model description; `changed` replaces the version, the GUID or what comes first."""
    variables = "".join(
        f'<ScalarVariable name="{variable}" valueReference="{at}" causality="local"><Real/></ScalarVariable>'
        for at, variable in enumerate(VARIABLES[name])
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>{changed.get("first", "")}'
        f'<fmiModelDescription fmiVersion="{changed.get("version", "2.0")}" modelName="{name}" '
        f'guid="{changed.get("guid", "{" + name + "}")}">'
        f'<CoSimulation modelIdentifier="{changed.get("identifier", name)}"/>'
        f"<ModelVariables>{variables}</ModelVariables><ModelStructure/></fmiModelDescription>"
    )


def pack(files: dict[str, bytes]) -> bytes:
    """A zip file with the same bytes every time."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path, data in files.items():
            archive.writestr(zipfile.ZipInfo(path), data)
    return out.getvalue()


def build(compiler: str, name: str, folder: Path, **changed: Any) -> bytes:
    """An FMU's bytes."""
    library = folder / f"{name}.so"
    subprocess.run([compiler, *FLAGS, "-o", library, MODELS / f"{name}.c"], check=True)
    return pack(
        {
            "modelDescription.xml": describe(name, **changed).encode(),
            f"binaries/{fmpy.platform}/{name}{fmpy.sharedLibraryExtension}": library.read_bytes(),
        }
    )
