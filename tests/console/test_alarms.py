"""Alarms of all twins: their order, their evidence, answering them."""

from __future__ import annotations

import json
import re

from playwright.sync_api import Locator, Page, Route, expect

from tests.console.conftest import Axe, Desk, Faults, Shot


def alarm(page: Page, twin: str) -> Locator:
    """The alarm about a twin, by the end of its IRI."""
    return page.get_by_role("listitem").filter(has=page.get_by_role("link", name=twin, exact=True))


def test_the_worst_comes_first_with_its_evidence(desk: Desk, axe: Axe, shot: Shot) -> None:
    page = desk.page(desk.world.link("/alarms"))
    expect(page.locator(".alarm").first).to_contain_text("high")
    # Others of its severity that tests have raised since may stand before it.
    first = alarm(page, "engine/2")
    expect(first).to_contain_text("high")
    evidence = first.get_by_role("button", name="Evidence")
    expect(evidence).to_have_attribute("aria-expanded", "false")
    evidence.click()
    expect(evidence).to_have_attribute("aria-expanded", "true")
    for words in (
        "Too hot behind the low-pressure compressor", "T24 above 650", "652.5", "wear scored 2.5 times its limit",
        "fouling of the compressor",
    ):  # fmt: skip
        expect(first).to_contain_text(words)
    expect(first.get_by_role("row", name=re.compile("T50"))).to_contain_text("too low")
    axe(page)
    shot(page, "alarms")


def test_who_reads_only_is_told_why_there_is_no_button(desk: Desk) -> None:
    page = desk.page(desk.world.link("/alarms"))
    expect(page.get_by_text("You read only")).to_be_visible()
    expect(page.get_by_role("button", name="Acknowledge")).to_have_count(0)
    expect(alarm(page, "engine/3")).to_contain_text("active, acknowledged")


def test_a_new_alarm_appears_and_is_acknowledged_and_shelved(desk: Desk, axe: Axe) -> None:
    world = desk.world
    twin = world.engine(7)
    page = desk.page(world.link(token=world.operating))
    expect(page.get_by_role("banner")).to_contain_text("may act")
    page.get_by_role("link", name="Alarms").click()
    shown = alarm(page, "engine/7")
    expect(alarm(page, "engine/2")).to_be_visible()
    expect(shown).to_have_count(0)
    world.raise_alarm(twin, "slow", 2222.0)
    expect(shown).to_contain_text("active, new")
    shown.get_by_role("button", name="Acknowledge").click()
    dialog = page.get_by_role("dialog")
    axe(page)
    dialog.get_by_label(re.compile("optional")).fill("crew is on its way")
    dialog.get_by_role("button", name="Acknowledge").click()
    expect(dialog).to_be_hidden()
    expect(shown).to_contain_text("active, acknowledged")
    world.settle()
    newest = world.live.states.state(twin).live.alarms["slow"]
    assert newest.acknowledged
    shown.get_by_role("button", name="Shelve").click()
    dialog.get_by_role("button", name="Shelve").click()
    expect(shown).to_contain_text("shelved")
    shown.get_by_role("button", name="Unshelve").click()
    dialog.get_by_role("button", name="Unshelve").click()
    expect(shown).not_to_contain_text("shelved")
    page.get_by_label("Severity").select_option("high")
    expect(shown).to_have_count(0)


def test_a_dialog_is_left_without_a_statement(desk: Desk) -> None:
    world = desk.world
    page = desk.page(world.link(token=world.operating))
    expect(page.get_by_role("banner")).to_contain_text("may act")
    page.get_by_role("link", name="Alarms").click()
    shown = alarm(page, "engine/4")
    before = world.live.states.state(world.engine(4)).statements
    button = shown.get_by_role("button", name="Acknowledge")
    button.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(button).to_be_focused()
    assert world.live.states.state(world.engine(4)).statements == before


def test_no_alarm_and_no_answer_are_told(desk: Desk, faults: Faults) -> None:
    faults.allow("status of 403")
    page = desk.page()

    def none(route: Route) -> None:
        route.fulfill(content_type="application/json", body=json.dumps({"items": [], "reached": 1}))

    page.route("**/api/v1/alarms*", none)
    page.goto(desk.world.link("/alarms"))
    expect(page.get_by_text("No alarm stands")).to_be_visible()
    refused = json.dumps({"status": 403, "code": "access-denied", "detail": "not this far"})
    page.unroute("**/api/v1/alarms*")
    page.route(
        "**/api/v1/alarms*", lambda route: route.fulfill(status=403, content_type="application/json", body=refused)
    )
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("Not open to you")
