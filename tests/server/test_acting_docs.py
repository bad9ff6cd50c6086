"""docs/acting.md against a run: its examples are asked for, its table of actions is the code's."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server.parties_rig import HOUR, NUMBER, PART, SUPPLIER, Parties, parties_rig
from twinproof.chain.parts import token_id_of
from twinproof.node.actions import ACTIONS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "acting.md"
EXAMPLE = re.compile(r"```http\n(GET|POST) (\S+)\n(\{.*\}\n)?\n(.*?)```", re.DOTALL)
TOKEN = str(token_id_of(SUPPLIER.address, NUMBER, "SN-1"))


@pytest.fixture(scope="module")
def us(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parties]:
    with parties_rig(tmp_path_factory.mktemp("acting") / "node") as made:
        client = made.client("all", "operate")
        birth = made.describe(PART, partNumber=NUMBER)
        steps: list[tuple[str, str, dict[str, Any]]] = [
            ("part.accredit", made.operator, {"manufacturer": made.supplier, "accredited": True}),
            ("part.mint", made.supplier, {"part_number": NUMBER, "serial": "SN-1", "twin": PART, "entry": birth}),
            ("part.offer", made.supplier, {"token": TOKEN, "to": made.operator, "until": int(made.clock()) + HOUR}),
        ]
        for action, by, arguments in steps:
            question = {
                "action": action,
                "arguments": arguments,
                "from": by,
                "sign": "node",
                "id": f"docs-{action.replace('.', '-')}",
            }
            answer = client.post("/api/v1/transactions", json=question)
            assert answer.status_code == 200, answer.text
        made.follow()
        yield made


def shortened(value: Any) -> Any:
    """Long hexadecimal texts and numbers by their beginnings: pages are for people."""
    if isinstance(value, dict):
        told = {name: shortened(item) for name, item in value.items()}
        # The log's keys are new each time, so its anchor is, and with that block hashes and the last digits of fees.
        told |= {name: f"{item[:3]}…" for name, item in value.items() if item and name.endswith("_wei")}
        told |= {name: "0x…" for name, item in value.items() if item and name in ("hash", "transaction")}
        return {**told, "actions": [*told["actions"][:1], "…"]} if "actions" in told else told
    if isinstance(value, list):
        return [shortened(item) for item in value]
    return f"{value[:10]}…" if isinstance(value, str) and re.fullmatch(r"0x[0-9a-f]{10,}|\d{30,}", value) else value


def test_the_examples_are_what_a_run_says(us: Parties) -> None:
    """Set UPDATE_DOCS=1 to write them anew."""
    text = PAGE.read_text()
    assert len(EXAMPLE.findall(text)) == 2
    client = us.client("all", "operate")

    def asked(found: re.Match[str]) -> str:
        def filled(said: str) -> str:
            return said.replace("{token}", TOKEN).replace("{operator}", us.operator)

        body = json.loads(filled(found[3])) if found[3] else None
        answer = client.request(found[1], filled(found[2]), json=body)
        head = f"{answer.status_code} {answer.headers['content-type']}"
        told = json.dumps(shortened(answer.json()), indent=1, ensure_ascii=False)
        return f"```http\n{found[1]} {found[2]}\n{found[3] or ''}\n{head}\n{told}\n```"

    now = EXAMPLE.sub(asked, text)
    if os.environ.get("UPDATE_DOCS") == "1":
        PAGE.write_text(now)
    assert now == text


def test_the_table_lists_every_action() -> None:
    rows = re.findall(r"^\| `([a-z.-]+)` \| (.*?) \|", PAGE.read_text(), re.MULTILINE)
    documented = {name: arguments for name, arguments in rows if name in ACTIONS or "." in name}
    expected = {
        name: ", ".join(f"? `{one.name}`" if one.optional else f"`{one.name}`" for one in action.arguments)
        for name, action in ACTIONS.items()
    }
    assert documented == expected
