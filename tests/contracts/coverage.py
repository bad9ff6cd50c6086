"""Branch coverage of the contracts, from the bytecode that runs: this module writes docs/contracts-coverage.md.

The engine's JUMPI is wrapped, so every conditional jump of every contract is recorded with the way it went. The
compiler's source map says which line a jump stands for, its syntax tree which expression. A branch is one way of one
jump; of code that the compiler copied to several places the best copy counts, and all copies are shown. Counted are
the jumps of our own sources: conditions, loops, `&&`, `||`, inline assembly. What the compiler adds (KINDS) is listed
beside them, not counted.

    python -m tests.contracts.coverage                   all contract tests; writes the page
    python -m tests.contracts.coverage tests/…/test_x.py only these; prints the page

Everything runs in this one process: traces of parallel test runs would have to be merged.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from eth.abc import ComputationAPI
from eth.vm.opcode import as_opcode

from twinproof.chain.embedded import pyevm

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = ROOT / "docs" / "contracts-coverage.md"
AIM: Final = 95.0
"""Per cent of the branches of every contract."""
JUMPI: Final = 0x57
_JUMP, _JUMPDEST, _PUSH1, _PUSH32 = 0x56, 0x5B, 0x60, 0x7F
_ENDS: Final = {0x00, _JUMP, JUMPI, 0xF3, 0xFD, 0xFE, 0xFF}
PANIC: Final = bytes.fromhex("4e487b71")
NOT_TAKEN, TAKEN = 1, 2
KINDS: Final = {
    "own": "our sources",
    "frame": "choice of the function, refusal of money, decoding of arguments, encoding of text and lists",
    "panic": "overflow, index out of bounds, no such enum value: the way to `Panic`",
    "call": "another contract's or a precompile's answer: failed, too short",
    "library": "OpenZeppelin's sources",
}
_DEFINITIONS: Final = {"ContractDefinition", "FunctionDefinition", "VariableDeclaration", "ParameterList", "SourceUnit"}

Trace = dict[bytes, dict[int, int]]
"""By code and program counter of a JUMPI: which ways it went."""


@dataclass(frozen=True)
class Jump:
    """A JUMPI and what it stands for."""

    pc: int
    kind: str
    file: str
    line: int
    text: str


@dataclass(frozen=True)
class Code:
    """One artefact's deployed or creation code, and its conditional jumps."""

    name: str
    created: bool
    """Creation code: arguments follow it."""
    code: bytes
    immutables: tuple[tuple[int, int], ...]
    """Start and length of what creation fills in."""
    jumps: tuple[Jump, ...]

    def is_at(self, code: bytes) -> bool:
        """Whether these bytes, as they ran, are this code."""
        if self.created:
            return code.startswith(self.code)
        return len(code) == len(self.code) and self._plain(code) == self._plain(self.code)

    def _plain(self, code: bytes) -> bytes:
        blank = bytearray(code)
        for start, length in self.immutables:
            blank[start : start + length] = bytes(length)
        return bytes(blank)


@contextmanager
def recording() -> Iterator[Trace]:
    """Record the conditional jumps of all that the embedded engine runs meanwhile."""
    trace: Trace = defaultdict(dict)
    opcodes: Any = pyevm._State.computation_class.opcodes
    plain = opcodes[JUMPI]

    def jumpi(computation: ComputationAPI) -> None:
        stream: Any = computation.code
        here = stream.program_counter
        plain.logic_fn(computation)
        way = NOT_TAKEN if stream.program_counter == here else TAKEN
        ways = trace[stream._raw_code_bytes]
        ways[here - 1] = ways.get(here - 1, 0) | way

    opcodes[JUMPI] = as_opcode(logic_fn=jumpi, mnemonic=plain.mnemonic, gas_cost=plain.gas_cost)
    try:
        yield trace
    finally:
        opcodes[JUMPI] = plain


# --- what a jump stands for -------------------------------------------------------------------


def instructions(code: bytes) -> list[tuple[int, int, bytes]]:
    """Program counter, opcode and pushed bytes of each instruction."""
    found, pc = [], 0
    while pc < len(code):
        size = code[pc] - _PUSH1 + 1 if _PUSH1 <= code[pc] <= _PUSH32 else 0
        found.append((pc, code[pc], code[pc + 1 : pc + 1 + size]))
        pc += 1 + size
    return found


def source_map(text: str) -> list[tuple[int, int, int]]:
    """Offset, length and file of each instruction (Solidity documentation, "Source Mappings")."""
    found, last = [], ["-1", "-1", "-1"]
    for entry in text.split(";"):
        fields = entry.split(":")[:3]
        last = [field or before for field, before in zip([*fields, "", "", ""], last, strict=False)]
        found.append((int(last[0]), int(last[1]), int(last[2])))
    return found


def leads_to_panic(steps: list[tuple[int, int, bytes]], at: int, places: dict[int, int]) -> bool:
    """Whether one of the two ways of the JUMPI at this index runs straight into a Panic."""
    starts = [at + 1]
    if at and int.from_bytes(steps[at - 1][2], "big") in places and steps[at - 1][2]:
        starts.append(places[int.from_bytes(steps[at - 1][2], "big")])
    for start in starts:
        index, hops = start, 0
        while index < len(steps) and hops < 4:
            _, opcode, pushed = steps[index]
            if pushed.startswith(PANIC):
                return True
            if opcode in _ENDS:
                target = int.from_bytes(steps[index - 1][2], "big") if steps[index - 1][2] else -1
                if opcode != _JUMP or target not in places:
                    break
                index, hops = places[target], hops + 1
            else:
                index += 1
    return False


def _nodes(tree: Any, found: dict[str, list[dict[str, Any]]]) -> None:
    if isinstance(tree, dict):
        if "src" in tree and "nodeType" in tree:
            found[tree["src"]].append(tree)
        for value in tree.values():
            _nodes(value, found)
    elif isinstance(tree, list):
        for value in tree:
            _nodes(value, found)


def _kind(file: str, nodes: list[dict[str, Any]], panics: bool) -> str:
    if not file.startswith(("src/", "test/")):
        return "library" if file else "frame"
    types = {node["nodeType"] for node in nodes}
    calls = [node for node in nodes if node["nodeType"] == "FunctionCall"]
    if any(node["expression"].get("name") in ("require", "assert") for node in calls):
        return "own"
    if types & _DEFINITIONS:
        return "frame"
    if panics:
        return "panic"
    return "call" if calls else "own"


def read_code(name: str, artefact: dict[str, Any], created: bool) -> Code:
    """Code with its jumps, from what `build.mjs --debug` wrote."""
    field = "bytecode" if created else "deployedBytecode"
    debug, code = artefact["debug"], bytes.fromhex(artefact[field].removeprefix("0x"))
    files = {source["id"]: (unit, source["content"].encode()) for unit, source in debug["sources"].items()}
    nodes: dict[str, list[dict[str, Any]]] = defaultdict(list)
    _nodes([source["ast"] for source in debug["sources"].values()], nodes)
    # What follows the mapped instructions is data: the deployed code in the creation code, for one.
    steps = instructions(code)
    mapped = source_map(debug[field]["sourceMap"])
    places = {pc: index for index, (pc, opcode, _) in enumerate(steps) if opcode == _JUMPDEST}
    jumps = []
    for index, ((pc, opcode, _), (start, length, file)) in enumerate(zip(steps, mapped, strict=False)):
        if opcode != JUMPI:
            continue
        unit, text = files.get(file, ("", b""))
        kind = _kind(unit, nodes.get(f"{start}:{length}:{file}", []), leads_to_panic(steps, index, places))
        line = text[: max(start, 0)].count(b"\n") + 1
        jumps.append(Jump(pc, kind, unit, line, " ".join(text[start : start + length].decode().split())))
    references = debug[field].get("immutableReferences", {}).values()
    blanks = tuple((place["start"], place["length"]) for places in references for place in places)
    return Code(name, created, code, blanks, tuple(jumps))


def build(folder: Path) -> list[Code]:
    """Compile everything with source maps; what comes out must be the packaged code."""
    command = ["node", str(ROOT / "contracts" / "build.mjs"), "--out", str(folder), "--debug"]
    subprocess.run(command, check=True)
    codes = []
    for path in sorted(folder.glob("*.json")):
        artefact = json.loads(path.read_text())
        packaged = json.loads(artefact_path(path.stem).read_text())
        assert packaged["deployedBytecode"] == artefact["deployedBytecode"], f"{path.stem} is stale: make contracts"
        codes += [read_code(path.stem, artefact, created) for created in (False, True)]
    return codes


def artefact_path(name: str) -> Path:
    """The checked-in artefact: a contract's, or a harness's."""
    packaged = ROOT / "src" / "twinproof" / "chain" / "artifacts" / f"{name}.json"
    return packaged if packaged.exists() else ROOT / "tests" / "contracts" / "artifacts" / f"{name}.json"


# --- the figures ------------------------------------------------------------------------------


@dataclass
class Figure:
    """Branches of one source file in one artefact."""

    artefact: str
    file: str
    total: int = 0
    covered: int = 0
    missed: tuple[str, ...] = ()
    copies: int = 0
    """Branches in all copies that the compiler made."""
    copies_covered: int = 0

    @property
    def rate(self) -> float:
        """Per cent."""
        return 100 * self.covered / self.total if self.total else 100.0


def merge(codes: list[Code], trace: Trace) -> dict[tuple[str, bool], dict[int, int]]:
    """The ways of each code's jumps, by artefact and whether it is creation code."""
    ways: dict[tuple[str, bool], dict[int, int]] = defaultdict(dict)
    for ran, jumps in trace.items():
        for code in codes:
            if code.is_at(ran):
                known = ways[code.name, code.created]
                for pc, way in jumps.items():
                    known[pc] = known.get(pc, 0) | way
    return ways


def figures(codes: list[Code], trace: Trace) -> list[Figure]:
    """Per artefact and source file of ours; a harness's own file does not count."""
    ways = merge(codes, trace)
    found: dict[tuple[str, str], Figure] = {}
    best: dict[tuple[str, str, int, str, int], tuple[int, Jump]] = {}
    for code in codes:
        for jump in code.jumps:
            if jump.kind != "own" or not jump.file.startswith("src/"):
                continue
            figure = found.setdefault((code.name, jump.file), Figure(code.name, jump.file))
            way = ways[code.name, code.created].get(jump.pc, 0)
            figure.copies += 2
            figure.copies_covered += way.bit_count()
            # All jumps of a block of assembly have its range: which are copies of each other is not known.
            place = jump.pc if jump.text.startswith("assembly") else -1
            key = (code.name, jump.file, jump.line, jump.text, place)
            if key not in best or way.bit_count() > best[key][0].bit_count():
                best[key] = (way, jump)
    for (name, file, line, text, _), (way, jump) in best.items():
        figure = found[name, file]
        for side, words in ((TAKEN, "jumps"), (NOT_TAKEN, "falls through")):
            figure.total += 1
            if way & side:
                figure.covered += 1
            else:
                where = f"{file.removeprefix('src/')}:{line} at {jump.pc}"
                figure.missed += (f"{name}: {where}, never {words}: `{text[:80]}`",)
    return [found[key] for key in sorted(found)]


def additions(codes: list[Code], trace: Trace) -> dict[str, Counter[str]]:
    """Per artefact, branches and covered branches of each kind that the compiler added."""
    ways = merge(codes, trace)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for code in codes:
        for jump in code.jumps:
            if jump.kind != "own":
                way = ways[code.name, code.created].get(jump.pc, 0)
                counts[code.name][jump.kind] += 2
                counts[code.name][f"{jump.kind} covered"] += way.bit_count()
    return counts


def digest(name: str) -> str:
    """First digits of the SHA-256 of an artefact's deployed code: the page says what it measured."""
    code = json.loads(artefact_path(name).read_text())["deployedBytecode"]
    return hashlib.sha256(bytes.fromhex(code.removeprefix("0x"))).hexdigest()[:16]


def run(arguments: list[str]) -> tuple[list[Code], Trace]:
    """Compile, then run the contract tests and record."""
    with tempfile.TemporaryDirectory() as folder:
        codes = build(Path(folder))
    tests = arguments or [str(ROOT / "tests" / "contracts")]
    # These two compile, and run no contract of ours.
    skipped = (str(ROOT / "tests" / "contracts" / f"test_{name}.py") for name in ("coverage", "build"))
    options = ["-q", "-p", "no:cacheprovider", *(f"--ignore={path}" for path in skipped)]
    with recording() as trace:
        result = pytest.main([*options, *tests])
    if result != 0:
        sys.exit(f"the tests failed ({result}): no figures")
    return codes, trace


def main(arguments: list[str]) -> None:
    """Write the page; fail if a contract is below the aim. Arguments are tests to run instead of all contract tests."""
    from tests.contracts.coverage_page import page

    codes, trace = run(arguments)
    found = figures(codes, trace)
    text = page(found, additions(codes, trace))
    if not arguments:
        PAGE.write_text(text)
    print(text)
    own = [item for item in found if item.file == f"src/{item.artefact}.sol"]
    if low := [f"{item.artefact} {item.rate:.1f} %" for item in own if item.rate < AIM]:
        sys.exit(f"below {AIM:.0f} %: {', '.join(low)}")


if __name__ == "__main__":
    main(sys.argv[1:])
