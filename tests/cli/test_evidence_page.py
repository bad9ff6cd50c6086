"""prove --page: evidence inside the page that checks it."""

from __future__ import annotations

import re
from base64 import b64decode
from pathlib import Path

import pytest

from tests.cli.rig import TWIN, Cli
from twinproof.cli import evidence_page
from twinproof.cli.evidence_page import fill_page
from twinproof.server import console

BLOCK = re.compile(rb'<script type="application/octet-stream" id="(\w+)"([^>]*)>([^<]*)</script>')


def test_the_page_is_looked_for_where_the_node_serves_it() -> None:
    assert evidence_page.WEB == console.WEB


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a built console, with a page of few words."""
    folder = tmp_path / "web"
    folder.mkdir()
    (folder / evidence_page.PAGE).write_bytes(b"<body><!--evidence--><script>run()</script></body>")
    monkeypatch.setattr(evidence_page, "WEB", folder)
    return folder


def blocks(page: Path) -> dict[bytes, tuple[bytes, bytes]]:
    return {name: (more, b64decode(data)) for name, more, data in BLOCK.findall(page.read_bytes())}


def test_the_page_holds_bundle_and_policy(cli: Cli, node: Path, built: Path, tmp_path: Path) -> None:
    bundle, page = tmp_path / "a & b.twinproof", tmp_path / "page.html"
    cli("prove", TWIN, "-o", bundle, "--page", page, "--folder", node)
    found = blocks(page)
    assert found[b"evidence"] == (b' data-name="a &amp; b.twinproof"', bundle.read_bytes())
    assert found[b"policy"][1] == (node / "policy.txt").read_bytes()
    assert page.read_bytes().endswith(b"<script>run()</script></body>")


def test_another_policy_is_put_in_and_must_be_one(cli: Cli, node: Path, built: Path, tmp_path: Path) -> None:
    page, policy = tmp_path / "page.html", tmp_path / "mine.txt"
    words = ("prove", TWIN, "-o", tmp_path / "x.twinproof", "--page", page, "--policy", policy, "--folder", node)
    policy.write_bytes(b"log x\nquorum none\n")
    cli(*words, code=2)
    assert not page.exists()
    policy.write_bytes(b"# mine\n" + (node / "policy.txt").read_bytes())
    cli(*words)
    assert blocks(page)[b"policy"][1] == policy.read_bytes()


def test_without_the_built_page_it_says_how_to_get_it(cli: Cli, node: Path, built: Path, tmp_path: Path) -> None:
    words = ("prove", TWIN, "-o", tmp_path / "x.twinproof", "--page", tmp_path / "page.html", "--folder", node)
    (built / evidence_page.PAGE).write_bytes(b"no mark")
    assert "is not the verifying page" in cli(*words, code=2).output
    (built / evidence_page.PAGE).unlink()
    assert "make console" in cli(*words, code=2).output
    assert not (tmp_path / "x.twinproof").exists()


def test_what_does_not_fit(cli: Cli, node: Path, built: Path, tmp_path: Path) -> None:
    one = ("prove", "--entry", 3, "-o", tmp_path / "x", "--folder", node)
    cli(*one, "--page", tmp_path / "page.html", code=2)
    cli(*one, "--policy", node / "policy.txt", code=2)


def test_nothing_that_is_put_in_ends_its_block() -> None:
    name = '"><script>alert(1)</script>'
    page = fill_page(b"<!--evidence-->", name, b"</script>", b"<!--")
    assert page.count(b"<script") == page.count(b"</script>") == 2
