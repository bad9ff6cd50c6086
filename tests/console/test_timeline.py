"""A twin's timeline: who said what under which grant and when, filters, time travel, verifying an entry in place."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.console.conftest import Axe, Desk, Faults, Shot
from tests.console.world import DEVICE, readings

NEWEST = 5000
"""Milliseconds for what the poller brings each second."""


def route(sub: str) -> str:
    return f"/twin/{quote(sub, safe='')}/timeline"


def items(page: Page) -> Locator:
    return page.get_by_role("list", name="Entries, the newest first").get_by_role("article")


def travel(page: Page) -> Locator:
    return page.get_by_role("region", name="The twin at an entry", exact=True)


def row(page: Page, name: str) -> Locator:
    return travel(page).get_by_role("row").filter(has_text=name)


def value(desk: Desk, twin: str, at: int) -> str:
    """T24 as it was after that entry."""
    found = desk.world.live.states.state(twin, at=at).readings["T24"].value
    assert isinstance(found, float)
    return f"{found:g}"


def test_each_entry_has_its_signer_its_grant_and_three_times(desk: Desk, axe: Axe, shot: Shot) -> None:
    twin = desk.world.engine(2)
    page = desk.page(desk.world.link(route(twin)))
    newest = items(page).first
    expect(newest).to_contain_text("Alarm")
    expect(newest).to_contain_text("hot: raise · 652.5")
    expect(newest).to_contain_text("forecaster")
    for name in ("Claimed", "In the log", "Anchored"):
        expect(newest.locator("dl > div").filter(has_text=name).locator("time")).to_be_visible()
    expect(items(page).nth(1)).to_contain_text("34 to 52 cycle, best estimate 40, at 90 %")
    grant = items(page).nth(1).get_by_role("link", name=re.compile("under entry"))
    expect(grant).to_have_attribute("href", re.compile(r"#/verify\?entry=\d+"))
    expect(page.get_by_text("The twin's first entry")).to_be_visible()
    axe(page)
    shot(page, "timeline")


def test_a_gateways_word_is_told_apart_and_a_loss_is_shown(desk: Desk) -> None:
    page = desk.page(desk.world.link(route(desk.world.pump(2))))
    lost = items(page).filter(has_text="Record lost")
    expect(lost).to_contain_text("memory card replaced")
    expect(lost).to_contain_text("by a gateway")


def test_filters_by_kind_and_signer(desk: Desk) -> None:
    page = desk.page(desk.world.link(route(desk.world.engine(3))))
    expect(items(page).first).to_be_visible()
    page.get_by_label("Kind").select_option("rule")
    expect(items(page)).to_have_count(2)
    page.get_by_label("Kind").select_option("")
    page.get_by_label("Signer").select_option("urn:example:device:engines")
    expect(page.get_by_text(re.compile(r"12 of \d+ loaded entries"))).to_be_visible()
    page.get_by_label("Kind").select_option("attestation")
    expect(page.get_by_text("No loaded entry matches these filters")).to_be_visible()


def test_the_twin_as_it_was_beside_what_it_is(desk: Desk) -> None:
    twin = desk.world.engine(5)
    found = [one.entry for one in desk.world.live.states.history(twin, limit=100)]
    page = desk.page(desk.world.link(route(twin)))
    expect(travel(page)).to_contain_text("This is the newest entry")
    travel(page).get_by_label("Statement").focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(travel(page)).to_contain_text(f"Shown as it was after entry {found[-3]}")
    assert page.url.endswith(f"/timeline?at={found[-3]}")
    expect(row(page, "T24").first).to_contain_text(f"{value(desk, twin, found[-3])} K")
    expect(row(page, "T24").first).to_contain_text(f"{value(desk, twin, found[-1])} K")
    expect(row(page, "{cycle}")).to_contain_text("not there")
    travel(page).get_by_role("button", name="Back to now").click()
    expect(travel(page)).to_contain_text("This is the newest entry")
    assert page.url.endswith("/timeline")


def test_an_address_leads_to_a_moment(desk: Desk) -> None:
    twin = desk.world.engine(6)
    found = [one.entry for one in desk.world.live.states.history(twin, limit=100)]
    page = desk.page(desk.world.link(f"{route(twin)}?at={found[4]}"))
    expect(travel(page)).to_contain_text(f"Statement 5 of {len(found)}, entry {found[4]}")
    page.evaluate("document.getElementById('main').scrollBy(0, 1e6)")
    expect(page.locator("article[aria-current]")).to_contain_text(f"entry {found[4]}")
    page.get_by_role("button", name=f"Show the twin at this entry {found[3]}", exact=True).click()
    expect(travel(page)).to_contain_text(f"Statement 4 of {len(found)}, entry {found[3]}")


def test_a_new_entry_comes_by_itself(desk: Desk) -> None:
    twin = desk.world.fresh("life")
    desk.world.describe(twin, name="Timed engine")
    page = desk.page(desk.world.link(route(twin)))
    expect(items(page)).to_have_count(1)
    page.evaluate("window.kept = true")
    desk.world.read(twin, T24=641.0)
    expect(items(page)).to_have_count(2, timeout=NEWEST)
    expect(items(page).first).to_contain_text("1 row of T24")
    assert page.evaluate("window.kept")


def test_an_entry_is_verified_in_place(desk: Desk, axe: Axe) -> None:
    page = desk.page(desk.world.link(route(desk.world.engine(2))))
    items(page).first.get_by_role("button", name=re.compile("Verify entry")).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Use the node's own policy").click()
    expect(dialog).to_contain_text("What is proved of this statement")
    axe(page)
    page.keyboard.press("Escape")
    expect(items(page).first.get_by_role("button", name=re.compile("Verify entry"))).to_be_focused()


def test_a_long_life_is_drawn_only_where_it_is_seen(desk: Desk) -> None:
    twin = desk.world.fresh("life")
    for number in range(450):
        readings(desk.world.script, twin, DEVICE, desk.world.now - 450 + number, {"T24": 600.0 + number})
    desk.world.take()
    page = desk.page(desk.world.link(route(twin)))
    expect(items(page).first).to_contain_text("Readings")
    assert items(page).count() < 40
    # Asked each frame: scroll on until there is nothing more.
    page.wait_for_function(
        "() => { const main = document.getElementById('main'); main.scrollBy(0, 1e6); "
        "return main.textContent.includes('450 of 450 loaded entries'); }"
    )
    page.evaluate("document.getElementById('main').scrollBy(0, 1e6)")
    expect(page.get_by_text("The twin's first entry")).to_be_visible()
    assert items(page).count() < 40


def test_a_twin_that_nobody_spoke_of_and_one_that_is_not_open(desk: Desk, faults: Faults) -> None:
    faults.allow("404")
    page = desk.page(desk.world.link(route("urn:example:nobody")))
    expect(page.get_by_role("alert").first).to_contain_text("The log says nothing about this")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_on_a_phone(desk: Desk, axe: Axe, theme: str) -> None:
    twin = desk.world.engine(2)
    page = desk.phone(desk.world.link(route(twin)), color_scheme=theme)
    expect(items(page).first).to_be_visible()
    travel(page).get_by_role("button", name="Previous").click()
    expect(travel(page)).to_contain_text("Shown as it was")
    axe(page)
    assert page.evaluate("document.getElementById('main').scrollWidth <= innerWidth")
