"""docs/planning.md: its code runs, and prints what the page says; its scenario is read; its table is the bench's."""

from __future__ import annotations

import contextlib
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from twinproof.simulation.runs import _DEPOT
from twinproof.simulation.scenario import KINDS, parse_scenario

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "planning.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", PAGE, re.DOTALL)


def test_its_code_prints_what_it_says() -> None:
    assert len(EXAMPLES) == PAGE.count("```python")
    names: dict[str, Any] = {}
    for code, said in EXAMPLES:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(code, names)  # noqa: S102 - the page is ours
        assert out.getvalue() == said


def test_its_scenario_is_one() -> None:
    (source,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    found = parse_scenario(re.sub(r'"(..)…"', lambda match: f'"{match[1] * 32}"', source).encode())
    assert found.inputs["forecast of 17"].index == 4711
    assert set(found.settings["depot"]) == set(_DEPOT)


def test_it_names_every_kind() -> None:
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) >= set(KINDS)


@pytest.mark.parametrize(("name", "column"), [("FD001", 0), ("FD004", 2)])
def test_its_table_is_the_bench_s(name: str, column: int) -> None:
    measured = json.loads((ROOT / "bench" / "results" / "decisions.json").read_text())[name]["mean_of_splits"]
    (table,) = re.findall(r"\| policy \|.*?\n\n", PAGE, re.DOTALL)
    rows = [[cell.strip() for cell in line.split("|")[2:-1]] for line in table.strip().splitlines()[2:]]
    assert len(rows) == len(measured)
    for row, values in zip(rows, measured.values(), strict=True):
        cost, _, failures = row[column].partition(" (")
        digits = len(cost.partition(".")[2])
        assert float(cost) == pytest.approx(values["cost_per_1000"], abs=0.501 * 10**-digits)
        assert failures in ("", f"{values['failures']})")
        digits = len(row[column + 1].partition(".")[2])
        assert float(row[column + 1]) == pytest.approx(values["of_clairvoyant"], abs=0.501 * 10**-digits)
