"""The mapping files that the pages on protocols show are mapping files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.edge.gatewaykit import HEAD
from twinproof.edge.mapping import parse_mapping

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize("page", ["sparkplug", "opcua"])
def test_the_example_is_read(page: str) -> None:
    [example] = re.findall(r"```toml\n(.*?)```", (DOCS / f"{page}.md").read_text(), re.DOTALL)
    mapping = parse_mapping((HEAD + example).encode(), DOCS / "mapping.toml")
    assert [kind for kind, _ in mapping.sources()] == [page]
