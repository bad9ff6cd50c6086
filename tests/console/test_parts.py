"""Passports in the browser: found by serial or link, custody, and a hand-over between two sessions."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.console.conftest import Axe, Desk, Faults, Shot
from tests.console.deal import Deal, dealing
from tests.console.world import World
from tests.server.parties_rig import PART

DONE = 15_000
"""Milliseconds until a transaction is in a block and shown."""


@pytest.fixture(scope="module")
def deal(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deal]:
    with dealing(tmp_path_factory.mktemp("deal") / "node") as made:
        yield made


@pytest.fixture(scope="module")
def token(deal: Deal) -> str:
    deal.mint("SN-2")
    return deal.mint("SN-1")


def panel(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=name, exact=True)


def acting(desk: Desk, deal: Deal, route: str) -> Page:
    page = desk.page(deal.link("/", token=deal.operating))
    expect(page.get_by_text("may act")).to_be_attached()
    page.goto(deal.link(route))
    return page


def confirm(page: Page, says: str) -> None:
    """From the dialog's arguments to the block."""
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Next").click()
    expect(dialog).to_contain_text(says)
    dialog.get_by_role("button", name="Sign and send").click()
    expect(dialog.get_by_role("status")).to_contain_text("Done: it is in a block", timeout=DONE)
    dialog.get_by_role("button", name="Close").last.click()


def test_a_part_is_found_by_its_serial_or_a_link(desk: Desk, deal: Deal, token: str, axe: Axe, shot: Shot) -> None:
    page = desk.page(deal.link("/parts"))
    expect(page.get_by_role("row")).to_have_count(3)
    axe(page)
    shot(page, "parts-light")
    page.get_by_label("Find a part").fill("SN-9")
    page.get_by_role("button", name="Open").click()
    expect(page.get_by_role("alert")).to_contain_text("No part here")
    page.get_by_label("Find a part").fill("sn-1")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Part HPT-7 SN-1")
    page.goto(deal.link("/parts"))
    page.get_by_label("Find a part").fill(f"https://elsewhere.example/console/#/part/{token}?accept=1")
    page.get_by_role("button", name="Open").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Part HPT-7 SN-1")
    expect(panel(page, "Custody").get_by_role("listitem")).to_have_count(1)
    expect(panel(page, "Passport").get_by_role("link", name="entry").first).to_be_visible()


def test_a_hand_over_from_one_session_to_another(desk: Desk, deal: Deal, token: str, axe: Axe, shot: Shot) -> None:
    supplier, operator = deal.parties.supplier, deal.parties.operator
    giver = acting(desk, deal, f"/part/{token}")
    giver.get_by_role("button", name="Offer the part…").click()
    dialog = giver.get_by_role("dialog")
    dialog.get_by_label("To the address").fill("0x12")
    dialog.get_by_role("button", name="Next").click()
    expect(dialog.get_by_role("alert")).to_contain_text("No address")
    dialog.get_by_label("To the address").fill(operator)
    axe(giver)
    confirm(giver, "Offers part HPT-7 SN-1")
    hand_over = panel(giver, "Hand-over")
    expect(hand_over.get_by_role("img", name="The link as a code to scan")).to_be_visible(timeout=DONE)
    link = hand_over.locator(".offer-link a").get_attribute("href")
    assert link == deal.link(f"/part/{token}?accept=1")
    axe(giver)
    shot(giver, "part-offer-light")

    receiver = acting(desk, deal, f"/part/{token}?accept=1")
    expect(panel(receiver, "You are offered this part")).to_contain_text("HPT-7 SN-1 is offered to")
    receiver.get_by_role("button", name="Accept the part…").click()
    expect(receiver.get_by_role("dialog").get_by_label("Signed by")).to_contain_text("this node")
    confirm(receiver, "this account becomes its owner")
    expect(panel(receiver, "Hand-over")).to_contain_text("not on offer", timeout=DONE)
    expect(hand_over).to_contain_text("It is not on offer", timeout=DONE)
    deal.parties.follow()
    custody = panel(giver, "Custody").get_by_role("listitem")
    expect(custody).to_have_count(3, timeout=DONE)
    expect(custody.last).to_contain_text("Handed over")
    expect(custody.last.get_by_title(supplier)).to_be_visible()
    expect(custody.last.get_by_role("link", name="entry")).to_be_visible()
    expect(panel(giver, "Passport")).to_contain_text("this node")


def test_an_offer_is_taken_back(desk: Desk, deal: Deal, token: str) -> None:
    page = acting(desk, deal, "/parts")
    page.get_by_role("link", name="HPT-7 SN-2").click()
    page.get_by_role("button", name="Offer the part…").click()
    page.get_by_role("dialog").get_by_label("To the address").fill(deal.parties.operator)
    confirm(page, "Offers part HPT-7 SN-2")
    page.get_by_role("button", name="Take the offer back…").click(timeout=DONE)
    confirm(page, "HPT-7 SN-2")
    expect(panel(page, "Hand-over")).to_contain_text("It is not on offer", timeout=DONE)


def test_who_only_reads_sees_the_passport_and_no_button(desk: Desk, deal: Deal, token: str) -> None:
    page = desk.page(deal.link(f"/part/{token}"))
    expect(panel(page, "Hand-over")).to_contain_text("scope operate")
    expect(page.get_by_role("button", name="Offer")).to_have_count(0)


def test_the_parts_of_a_twin(desk: Desk, deal: Deal, token: str) -> None:
    page = desk.page(deal.link(f"/twin/{quote(PART, safe='')}/parts"))
    expect(panel(page, "Its own passport").get_by_role("link", name="HPT-7 SN-1")).to_be_visible()
    page = desk.page(desk.world.link(f"/twin/{quote(desk.world.engine(1), safe='')}/parts"))
    expect(page.get_by_text("No part is told of here")).to_be_visible()


def test_an_unknown_part_is_said_to_be_unknown(desk: Desk, deal: Deal, faults: Faults) -> None:
    faults.allow("404")
    page = desk.page(deal.link(f"/part/{12345}"))
    expect(page.get_by_role("alert")).to_contain_text("The log says nothing about this")


def test_dark_and_on_a_phone(desk: Desk, deal: Deal, token: str, axe: Axe, shot: Shot) -> None:
    page = desk.phone(deal.link(f"/part/{token}"), color_scheme="dark")
    expect(panel(page, "Custody").get_by_role("listitem").first).to_be_visible()
    assert page.evaluate("document.querySelector('main').scrollWidth") <= 360
    axe(page)
    shot(page, "part-phone-dark")
    page.goto(deal.link("/parts"))
    expect(page.get_by_role("link", name="HPT-7 SN-1")).to_be_visible()
    assert page.evaluate("document.querySelector('main').scrollWidth") <= 360
    axe(page)
