"""The ledger: the head, growth, anchors, and the proof between two sizes, checked in the browser."""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.console.conftest import Axe, Desk, Shot


def panel(page: Page, title: str) -> Locator:
    return page.get_by_role("region", name=title)


def prove(page: Page, first: int, second: int) -> None:
    """Ask for the proof between two sizes, once the page has proposed some."""
    for label, size in (("Earlier size, in entries", first), ("Later size, in entries", second)):
        field = page.get_by_label(label)
        expect(field).not_to_have_value("0")
        expect(field).not_to_have_value("")
        field.fill(str(size))
        expect(field).to_have_value(str(size))
    page.get_by_role("button", name="Check in this browser").click()


def test_the_head_the_anchors_and_the_growth_are_shown(desk: Desk, axe: Axe, shot: Shot) -> None:
    world = desk.world
    page = desk.page(world.link("/ledger"))
    head = panel(page, "Newest tree head")
    expect(head).to_contain_text(f"{world.size} entries")
    assert world.live.node.reader.head().root.hex()[:10] in head.inner_text()
    head.get_by_text("Signed checkpoint").click()
    expect(head.locator("pre")).to_contain_text("— twin.example/log0")
    anchors = panel(page, "Anchors")
    expect(anchors).to_contain_text(re.compile(r"anchors on chain \d+; cost [\d.,]+ (gwei|coins)"))
    newest = world.live.chain.anchoring.report.size  # type: ignore[union-attr]
    expect(anchors.get_by_role("row").nth(1)).to_contain_text(f"{newest} entries")
    growth = panel(page, "Growth of the log")
    expect(growth.locator("canvas")).to_be_visible()
    growth.get_by_role("button", name=re.compile("table", re.IGNORECASE)).click()
    expect(growth.get_by_role("row").last).to_contain_text(f"{world.size}")
    expect(panel(page, "Witnesses")).to_contain_text("No witness")
    axe(page)
    shot(page, "ledger")


def test_the_log_that_grows_is_followed(desk: Desk) -> None:
    world = desk.world
    page = desk.page(world.link("/ledger"))
    head = panel(page, "Newest tree head")
    expect(head).to_contain_text(f"{world.size} entries")
    world.read(world.fresh(), x=1.0)
    expect(head).to_contain_text(f"{world.size} entries")


@pytest.mark.parametrize("first", [1, 7, 64, 100])
def test_a_proof_is_checked_in_the_browser(desk: Desk, first: int) -> None:
    world = desk.world
    page = desk.page(world.link("/ledger"))
    prove(page, first, world.size)
    proof = panel(page, "Check that nothing was changed")
    expect(proof).to_contain_text("Checked here")
    hashes = len(world.live.node.reader.consistency(first, world.size))
    expect(proof).to_contain_text(f"The proof has {hashes} hash")
    for size in (first, world.size):
        assert world.live.node.reader.root(size).hex()[:8] in proof.inner_text()


def test_roots_are_compared_with_anchors_and_checkpoints(desk: Desk) -> None:
    page = desk.page(desk.world.link("/ledger"))
    # The first anchor is proposed: its root comes from a block, the newest from a signed checkpoint.
    expect(page.get_by_label("Later size, in entries")).to_have_value(str(desk.world.size))
    page.get_by_role("button", name="Check in this browser").click()
    proof = panel(page, "Check that nothing was changed")
    expect(proof).to_contain_text("An anchor names the same root")
    expect(proof).to_contain_text(f"A checkpoint names the same root of {desk.world.size} entries")


def flip(text: str) -> str:
    """Base64 with the last bit of its bytes turned."""
    raw = b64decode(text)
    return b64encode(raw[:-1] + bytes([raw[-1] ^ 1])).decode()


LIES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "an old root": (
        lambda said: said.update(from_root=flip(said["from_root"])),
        "does not contain the old root of size 100",
    ),
    "a new root": (
        lambda said: said.update(to_root=flip(said["to_root"])),
        "does not lead to the new root of size 150",
    ),
    "a hash of the proof": (lambda said: said["proof"].append(flip(said["proof"].pop())), "root of size"),
    "a hash too many": (lambda said: said["proof"].append(said["proof"][0]), "too many hashes"),
    "a hash too few": (lambda said: said["proof"].pop(), "too few hashes"),
    "other sizes": (lambda said: said.update(to=149), "answered for other sizes"),
    "no base64": (lambda said: said.update(to_root="!"), "no base64"),
}


@pytest.mark.parametrize("lie", sorted(LIES))
def test_a_lie_is_refused(desk: Desk, axe: Axe, lie: str) -> None:
    tell, words = LIES[lie]
    page = desk.page()

    def lying(route: Route) -> None:
        answer = route.fetch()
        said = answer.json()
        tell(said)
        route.fulfill(response=answer, body=json.dumps(said))

    page.route("**/api/v1/log/consistency*", lying)
    page.goto(desk.world.link("/ledger"))
    expect(panel(page, "Newest tree head")).to_contain_text("entries")
    prove(page, 100, 150)
    proof = panel(page, "Check that nothing was changed")
    expect(proof.get_by_role("alert")).to_contain_text("Refused")
    expect(proof.get_by_role("alert")).to_contain_text(words)
    expect(proof).not_to_contain_text("Checked here")
    if lie == "an old root":
        axe(page)


def test_a_whole_other_history_is_refused_by_its_anchor(desk: Desk) -> None:
    # The proof is right in itself: only what a block said before tells.
    page = desk.page()

    def lying(route: Route) -> None:
        answer = route.fetch()
        said = answer.json()
        for anchor in said["items"]:
            anchor["root"] = "00" * 32
        route.fulfill(response=answer, body=json.dumps(said))

    page.route("**/api/v1/log/anchors*", lying)
    page.goto(desk.world.link("/ledger"))
    expect(page.get_by_label("Later size, in entries")).to_have_value(str(desk.world.size))
    page.get_by_role("button", name="Check in this browser").click()
    expect(page.get_by_role("alert")).to_contain_text("An anchor names another root of")


def test_sizes_that_cannot_be_are_refused_at_once(desk: Desk) -> None:
    page = desk.page(desk.world.link("/ledger"))
    expect(panel(page, "Newest tree head")).to_contain_text("entries")
    alert = page.get_by_role("alert")
    for first, second, words in (("x", "5", "whole numbers"), ("9", "5", "larger"), ("1", "999999", "The log has")):
        page.get_by_label("Earlier size, in entries").fill(first)
        page.get_by_label("Later size, in entries").fill(second)
        page.get_by_role("button", name="Check in this browser").click()
        expect(alert).to_contain_text(words)


def test_the_node_checks_its_log_when_asked(desk: Desk) -> None:
    world = desk.world
    page = desk.page(world.link("/ledger"))
    check = panel(page, "The node's own check")
    expect(check).to_contain_text("takes a token that may act")
    expect(check.get_by_role("button", name="Start")).to_be_disabled()
    page.goto(world.link(token=world.operating))
    expect(page.get_by_role("banner")).to_contain_text("may act")
    page.get_by_role("link", name="Ledger").click()
    check.get_by_role("button", name="Start").click()
    expect(check.get_by_role("status")).to_contain_text("Sound")
    expect(check.get_by_role("status")).to_contain_text(re.compile(r"\d+ entries"))
