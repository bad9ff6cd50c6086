"""The demonstration in the console: the link into it, and the guided path that it reads from NODE/guide."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from twinproof.cli.demo_node import NodeProcess

GUIDE: Final = "guide"
GOOD_FOR: Final = 12 * 3600
"""Seconds that the link is good."""
TOLD: Final = {
    "altered": (
        "An altered reading",
        "One bit of one flight was turned in the file. Its hash no longer leads to the root that the log signed.",
        4,
    ),
    "deleted": (
        "A deleted statement",
        "One flight was left out, with a proof and a list made to fit. But the engine numbers what it says.",
        8,
    ),
    "bent": (
        "A forged forecast",
        "The right key says that 110 cycles are left. Computed again from the signed readings, that is not so.",
        "replay",
    ),
    "fork": (
        "A forked log",
        "The operator wrote another history on an old copy, and shows it with the real log's anchor.",
        3,
    ),
}
"""File -> title, what was done, and the step that finds it; docs/trust.md numbers the steps."""


def open_console(folder: Path) -> None:
    """Let people act in the console; the node must not run."""
    from twinproof.node.node import open_node
    from twinproof.node.service_keys import CONSOLE

    with open_node(folder) as node:
        CONSOLE.enable(node, CONSOLE.key(folder, node.config.origin))


def link_of(node: NodeProcess) -> str:
    """A link that signs in to the console, to read everything and to act."""
    from twinproof.node.tokens import EVERYTHING, OPERATE, TokenFile

    token, _ = TokenFile(node.folder, time.time).new([EVERYTHING, OPERATE], lifetime=GOOD_FOR, note="demo")
    return f"{node.url}/console/#/signin?token={token}"


def write_guide(
    node: Path, auditor: Path, *, twin: str, operator: str, block: str, caught: Mapping[str, str], fake: str
) -> None:
    """Lay the story's evidence and its lies beside the node; `caught` by the names of `TOLD`, `fake` a token."""
    folder = node / GUIDE
    folder.mkdir()
    for name in ("policy.txt", "story.twinproof", *(f"{lie}.twinproof" for lie in TOLD)):
        shutil.copy(auditor / name, folder / name)
    lies: list[dict[str, Any]] = [
        {
            "id": name, "title": title, "told": told, "file": f"{name}.twinproof", "models": step == "replay",
            "caught": {"step": step, "words": caught[name]},
        }
        for name, (title, told, step) in TOLD.items()
    ]  # fmt: skip
    lies.append(
        {
            "id": "counterfeit",
            "title": "A counterfeit part",
            "told": "The supplier shows a token of a part that its maker never made. No passport has it.",
            "link": f"#/part/{fake}",
            "caught": {"step": "chain", "words": caught["counterfeit"]},
        }
    )
    engine = f"#/twin/{quote(twin, safe='')}"
    guide = {
        "title": "An engine that orders its own spare part",
        "steps": _steps(engine),
        "policy": "policy.txt",
        "operator": operator,
        "blocks": [block],
        "sound": {"file": "story.twinproof", "told": "The engine's whole life in one file, as an auditor gets it."},
        "lies": lies,
    }
    (folder / "guide.json").write_text(json.dumps(guide, indent=1) + "\n")


def _steps(engine: str) -> list[dict[str, str]]:
    told = (
        ("The fleet", "Engines sign each flight on board, into a log that nobody can rewrite.", "#/"),
        ("One engine wears", "Its newest values, its alarms, and the part of it that they are about.", engine),
        ("What is left of its life", "A forecast with its interval. It crossed the threshold.",
         f"{engine}/prognosis"),
        ("The order that placed itself", "The contract checked the forecast's proof; the part was installed and paid.",
         "#/orders"),
        ("Its whole life", "Who said what, under which grant, and when: claimed, in the log, anchored on the chain.",
         f"{engine}/timeline"),
        ("The log", "Its growth, its anchors and what they cost. Check here that nothing was rewritten.", "#/ledger"),
    )  # fmt: skip
    return [{"title": title, "text": text, "link": link} for title, text, link in told]
