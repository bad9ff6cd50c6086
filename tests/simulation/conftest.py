from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.prognosis.fleets import CAP, QUICK, wearing_fleet
from tests.simulation import fmus
from twinproof.prognosis.model import Intervals, format_model, parse_model
from twinproof.prognosis.train import train

ROOT = Path(__file__).resolve().parents[2]
INTERVALS = Intervals((30.0,), (50, 250, 500, 750, 950), ((-8.0, -3.0, 0.0, 3.0, 8.0), (-16.0, -6.0, 0.0, 6.0, 16.0)))
"""Known by heart: twice as wide from 30 on."""


@pytest.fixture(scope="session")
def model() -> bytes:
    """A model's document with these intervals."""
    trained = train(wearing_fleet(12), seed=3, cap=CAP, recipe=replace(QUICK, networks=0), fold_count=2)
    return format_model(replace(parse_model(trained.model), intervals=INTERVALS))


@pytest.fixture(scope="session")
def build_fmu(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., bytes]:
    """Compiles one of the models here."""
    compiler = shutil.which("cc")
    if compiler is None:
        promised = re.search(r"^need \S+ cc ", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
        if promised and os.environ.get("CI") == "true":
            pytest.fail("CI promises a C compiler to build the models of the co-simulation")
        pytest.skip("no C compiler to build the models with; install one (Debian: gcc, libc6-dev)")
    compiled: str = compiler
    folder: Path = tmp_path_factory.mktemp("models")
    return lambda name, **changed: fmus.build(compiled, name, folder, **changed)
