"""contracts/gas.md says what the contracts cost now."""

from __future__ import annotations

from tests.contracts import gas


def test_the_page_is_what_a_run_gives() -> None:
    assert gas.PAGE.read_text("utf-8") == gas.page(), "run python -m tests.contracts.gas"
