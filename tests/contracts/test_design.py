"""docs/design/chain.md against the sources: every function, event and member that others rely on, by name and order."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "contracts" / "src"
CONTRACTS = ("CheckpointAnchor", "PartPassport", "MaintenanceAgreement", "Attestations")
DESIGN = "\n".join(
    re.findall(r"^```solidity\n(.*?)^```", (ROOT / "docs/design/chain.md").read_text(), re.MULTILINE | re.DOTALL)
)
FUNCTION = re.compile(r"\bfunction (\w+)\s*\([^{;]*?\b(?:external|public)\b")
EVENT = re.compile(r"\bevent (\w+)\s*\((.*?)\);", re.DOTALL)


def source(name: str) -> str:
    """A contract's interface, which its own file may be."""
    path = SOURCES / f"I{name}.sol"
    return (path if path.exists() else SOURCES / f"{name}.sol").read_text()


def section(name: str) -> str:
    """What the design says of a contract."""
    [found] = re.findall(rf"^contract {name} \{{(.*?)^\}}", DESIGN, re.MULTILINE | re.DOTALL)
    return str(found)


@pytest.mark.parametrize("name", CONTRACTS)
def test_every_function_and_event_is_in_the_design(name: str) -> None:
    functions, events = FUNCTION.findall(source(name)), EVENT.findall(source(name))
    assert len(functions) > 5
    assert len(events) > 2
    known = set(re.findall(r"\w+", section(name)))
    assert [one for one in (*functions, *(event for event, _ in events)) if one not in known] == []


@pytest.mark.parametrize("name", CONTRACTS)
def test_the_members_of_events_stand_in_their_order(name: str) -> None:
    design = section(name)
    for event, members in EVENT.findall(source(name)):
        names = [member.split()[-1] for member in members.split(",")]
        for told in re.findall(rf"\b{event}\(([^()]*)\)", design):
            assert [member.split()[-1] for member in told.split(",")] == names, event


def test_the_terms_of_an_agreement_stand_in_their_order() -> None:
    def fields(text: str) -> list[str]:
        [body] = re.findall(r"struct Terms \{(.*?)\}", re.sub(r"/\*.*?\*/|//[^\n]*", "", text), re.DOTALL)
        return re.findall(r"(\w+)\s*;", body)

    terms = fields(source("MaintenanceAgreement"))
    assert len(terms) == 20
    assert fields(section("MaintenanceAgreement")) == terms
