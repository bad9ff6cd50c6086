"""docs/contracts-coverage.md: the figures of coverage.py for people, and read back by a test."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final

from tests.contracts import coverage

if TYPE_CHECKING:
    from tests.contracts.coverage import Figure

_HEAD: Final = """\
# Branch coverage of the contracts

Written by `.venv/bin/python -m tests.contracts.coverage`, not by hand. The contract tests run on the packaged
bytecode, and every conditional jump (JUMPI) is recorded with the ways that it went. The compiler's source map and
syntax tree say what a jump stands for. A branch is one way of one jump of our own sources: conditions, loops, `&&`,
`||`, inline assembly, also in constructors. Of code that the compiler copied to several places the best copy counts;
the last column counts every copy. The aim is 95 % of each contract's own source. Libraries are compiled
into the contracts that use them; their own tests run on the harnesses.

| contract or harness | code | source | branches | covered | | in all copies |
|---|---|---|---:|---:|---:|---:|
"""
_MISSED: Final = "\n## Branches that no test takes\n\n"
_ADDED: Final = """
## What the compiler and OpenZeppelin add

Counted apart, because no statement of ours decides there; covered and all branches.

"""
_ROW: Final = re.compile(
    r"^\| (\w+) \| `([0-9a-f]{16})` \| (\S+) \| (\d+) \| (\d+) \| [\d.]+ % \| \d+ / \d+ \|$", re.MULTILINE
)


def page(figures: list[Figure], added: dict[str, Counter[str]]) -> str:
    """The whole page."""
    rows = [
        f"| {item.artefact} | `{coverage.digest(item.artefact)}` | {item.file.removeprefix('src/')} | {item.total} "
        f"| {item.covered} | {item.rate:.1f} % | {item.copies_covered} / {item.copies} |\n"
        for item in figures
    ]
    missed = [f"- {line}\n" for item in figures for line in item.missed] or ["None.\n"]
    kinds = [kind for kind in coverage.KINDS if kind != "own"]
    legend = [f"- {kind}: {coverage.KINDS[kind]}\n" for kind in kinds]
    table = [f"\n| contract or harness | {' | '.join(kinds)} |\n|---|{'---:|' * len(kinds)}\n"]
    for name, counts in sorted(added.items()):
        cells = [f"{counts[f'{kind} covered']} / {counts[kind]}" for kind in kinds]
        table.append(f"| {name} | {' | '.join(cells)} |\n")
    return "".join([_HEAD, *rows, _MISSED, *missed, _ADDED, *legend, *table])


def read_figures(text: str) -> list[tuple[str, str, str, int, int]]:
    """Artefact, digest of its code, source, branches and covered branches of each line of the table."""
    return [(name, code, file, int(total), int(covered)) for name, code, file, total, covered in _ROW.findall(text)]
