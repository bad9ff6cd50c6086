"""The coverage tool, and that the page it wrote is about the present contracts and reaches the aim."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.contracts import coverage
from tests.contracts.coverage import NOT_TAKEN, TAKEN, Code, Figure, Jump, figures, merge, recording
from tests.contracts.coverage_page import page, read_figures
from tests.contracts.kit import ALICE, World
from twinproof.chain.abi import artifact_names

# Jumps if the first word of the calldata is not zero: PUSH0 CALLDATALOAD PUSH1 6 JUMPI STOP JUMPDEST STOP
FORK = bytes.fromhex("5f3560065700" + "5b00")
JUMPI_AT = 4
WORD = bytes(31)


def deploy(world: World, code: bytes) -> bytes:
    """Code that is copied to a new address as it stands."""
    creation = bytes([0x60, len(code), 0x5F, 0x81, 0x60, 0x09, 0x82, 0x39, 0xF3]) + code
    return world.create(creation).contract or b""


def test_each_way_of_a_jump_is_recorded_and_only_meanwhile() -> None:
    world = World()
    address = deploy(world, FORK)
    for words, ways in (((), {}), ((1,), {JUMPI_AT: TAKEN}), ((0,), {JUMPI_AT: NOT_TAKEN}), ((0, 1), {JUMPI_AT: 3})):
        with recording() as trace:
            for word in words:
                assert world.ask(ALICE.address, address, WORD + bytes([word]), 0).succeeded
        assert trace.get(FORK, {}) == ways
        world.ask(ALICE.address, address, WORD + b"\1", 0)
        assert trace.get(FORK, {}) == ways


def test_recording_changes_no_gas() -> None:
    world = World()
    address = deploy(world, FORK)
    plain = world.ask(ALICE.address, address, WORD + b"\1", 0).gas_used
    with recording():
        assert world.ask(ALICE.address, address, WORD + b"\1", 0).gas_used == plain


def test_figures_count_both_ways_of_our_own_jumps() -> None:
    jumps = (
        Jump(4, "own", "src/A.sol", 7, "if (x) revert X()"),
        Jump(9, "own", "src/B.sol", 1, "a && b"),
        Jump(12, "panic", "src/A.sol", 8, "x + 1"),
        Jump(15, "own", "test/Harness.sol", 3, "i < 5"),
    )
    codes = [Code("A", False, b"deployed" + bytes(4), ((8, 4),), jumps)]
    trace = {b"deployed\1\2\3\4": {4: TAKEN, 9: TAKEN}, b"deployed\5\6\7\0": {9: NOT_TAKEN}, b"else": {4: NOT_TAKEN}}
    assert merge(codes, trace) == {("A", False): {4: TAKEN, 9: TAKEN | NOT_TAKEN}}
    own, library = figures(codes, trace)
    assert (own.file, own.total, own.covered, own.rate) == ("src/A.sol", 2, 1, 50.0)
    assert own.missed == ("A: A.sol:7 at 4, never falls through: `if (x) revert X()`",)
    assert (library.file, library.total, library.covered, library.missed) == ("src/B.sol", 2, 2, ())
    assert coverage.additions(codes, trace)["A"]["panic"] == 2


def test_creation_code_is_known_with_its_arguments() -> None:
    code = Code("A", True, b"creation", (), ())
    assert code.is_at(b"creation and arguments")
    assert not code.is_at(b"creat")
    assert not Code("A", False, b"creation", (), ()).is_at(b"creation and arguments")


def test_source_maps_repeat_what_is_left_out() -> None:
    assert coverage.source_map("1:2:0:-;;:9;3::1:i;;") == [
        (1, 2, 0), (1, 2, 0), (1, 9, 0), (3, 9, 1), (3, 9, 1), (3, 9, 1),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("code", "panics"),
    [
        ("5f600557" + "005b634e487b715ffd", True),
        ("5f60055700" + "5b5f5ffd", False),
        ("5f60065763" + "4e487b715b00", True),
    ],
    ids=["where it jumps to", "a plain revert", "where it goes on"],
)
def test_ways_into_a_panic_are_told(code: str, panics: bool) -> None:
    steps = coverage.instructions(bytes.fromhex(code))
    places = {pc: index for index, (pc, opcode, _) in enumerate(steps) if opcode == 0x5B}
    at = next(index for index, (_, opcode, _) in enumerate(steps) if opcode == coverage.JUMPI)
    assert coverage.leads_to_panic(steps, at, places) is panics


def test_the_compilers_maps_are_read(compiler: list[str], tmp_path: Path) -> None:
    subprocess.run([*compiler, "--out", str(tmp_path), "--debug", "Rfc9162Harness"], check=True, capture_output=True)
    artefact = json.loads((tmp_path / "Rfc9162Harness.json").read_text())
    jumps = coverage.read_code("Rfc9162Harness", artefact, created=False).jumps
    own = {(jump.file, jump.text) for jump in jumps if jump.kind == "own"}
    assert ("src/Rfc9162.sol", "if (!valid) revert BadInclusionProof()") in own
    assert ("src/Rfc9162.sol", "index < size && size < 1 << 63") in own
    assert {jump.kind for jump in jumps} >= {"own", "frame", "call"}
    assert all(not jump.text.startswith(("contract ", "library ", "function ")) for jump in jumps if jump.kind == "own")


def test_a_page_is_read_back() -> None:
    figure = Figure("PartPassport", "src/PartPassport.sol", 200, 199, ("missed",))
    text = page([figure], coverage.additions([], {}))
    assert read_figures(text) == [("PartPassport", coverage.digest("PartPassport"), "PartPassport.sol", 200, 199)]
    assert "- missed" in text


RECORDED = read_figures(coverage.PAGE.read_text() if coverage.PAGE.exists() else "")


def test_the_page_is_about_the_present_contracts() -> None:
    stale = {name for name, code, *_ in RECORDED if name in artifact_names() and code != coverage.digest(name)}
    assert stale == set(), "run python -m tests.contracts.coverage"
    assert {name for name, *_ in RECORDED} >= set(artifact_names())


@pytest.mark.parametrize("name", artifact_names())
def test_at_least_95_per_cent_of_a_contracts_branches_are_taken(name: str) -> None:
    own = [(total, covered) for artefact, _, file, total, covered in RECORDED if artefact == name == file[:-4]]
    ((total, covered),) = own
    assert covered >= coverage.AIM / 100 * total
