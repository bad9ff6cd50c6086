"""Every screen once: no error, nothing wider than the window, nothing for axe-core; light and wide, dark and narrow.

    TWINPROOF_SCREENSHOTS=1 python -m pytest tests/console/test_screens.py

draws the pictures of docs/console.md anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from tests.console.conftest import Axe, Desk, Shot
from tests.console.deal import Deal, dealing
from tests.console.foreseen import Foreseen, foreseen_fleet
from tests.console.world import FLEET, World

ENGINE = f"/twin/{quote(f'{FLEET}engine/2', safe='')}"
SCREENS = {
    "fleet": "/",
    "alarms": "/alarms",
    "twin": ENGINE,
    "timeline": f"{ENGINE}/timeline",
    "evidence": f"{ENGINE}/evidence",
    "twin-parts": f"{ENGINE}/parts",
    "ledger": "/ledger",
    "verify": "/verify",
    "guide": "/guide",
    "signin": "/signin",
}
SHOWN = {"fleet", "alarms", "twin", "timeline", "ledger"}
"""Screens with a picture in the documentation; order, part, models, plan and forecast have one, too."""


@pytest.fixture(scope="module")
def deal(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deal]:
    with dealing(tmp_path_factory.mktemp("deal") / "node") as made:
        yield made


@pytest.fixture(scope="module")
def foreseen(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Foreseen]:
    with foreseen_fleet(tmp_path_factory.mktemp("foreseen") / "node") as made:
        yield made


def settled(page: Page) -> None:
    """Wait until the screen has a heading, and nothing of it is still asked for."""
    expect(page.locator("main").get_by_role("heading").first).to_be_visible()
    page.wait_for_load_state("networkidle")
    expect(page.locator("main [aria-busy=true]")).to_have_count(0)


def fits(page: Page) -> None:
    """Charts take the new width a moment after the window has."""
    page.wait_for_function(
        "() => ['html', 'main'].every((name) => document.querySelector(name).scrollWidth <= innerWidth)"
    )


def seen(page: Page, link: str, desk: Desk, axe: Axe) -> None:
    """A page as it opened, wide and light; then anew on a phone, dark."""
    settled(page)
    fits(page)
    axe(page)
    page = desk.phone(link, color_scheme="dark")
    settled(page)
    fits(page)
    axe(page)


@pytest.mark.parametrize("screen", SCREENS)
def test_a_screen_is_sound_wide_and_light_and_on_a_dark_phone(screen: str, desk: Desk, axe: Axe, shot: Shot) -> None:
    link = desk.world.link(SCREENS[screen])
    page = desk.page(link)
    settled(page)
    if screen in SHOWN:
        shot(page, screen)
    seen(page, link, desk, axe)


def test_the_screens_of_parts_and_orders_are_sound(desk: Desk, deal: Deal, axe: Axe, shot: Shot) -> None:
    token = deal.mint("SN-1")
    order = deal.order()
    for route, picture in {f"/order/{order}": "order", f"/part/{token}": "part", "/orders": "", "/parts": ""}.items():
        page = desk.page(deal.link(route))
        settled(page)
        if picture:
            shot(page, picture)
        seen(page, deal.link(route), desk, axe)


def test_the_screens_of_forecasts_are_sound(desk: Desk, foreseen: Foreseen, axe: Axe, shot: Shot) -> None:
    for link, picture in {
        foreseen.prognosis(0): "prognosis",
        foreseen.link("/models"): "models",
        foreseen.link("/plan"): "plan",
    }.items():
        page = desk.page(link)
        settled(page)
        if picture == "plan":
            page.get_by_role("button", name="Plan", exact=True).click()
            expect(page.get_by_role("region", name="Timeline", exact=True)).to_be_visible(timeout=30_000)
        shot(page, picture)
        seen(page, link, desk, axe)
