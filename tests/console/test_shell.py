"""The frame: navigation, sign-in, theme, routes, what happens when the node is away; and how quickly it is there."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Route, expect

from tests.console.conftest import PHONE, Axe, Desk, Faults

SCREENS = ["/", "/alarms", "/ledger", "/signin", "/nowhere"]
INITIAL = 300 * 1000
"""Bytes of JavaScript, gzip, before anything is shown."""
USABLE = 2000
"""Milliseconds until the first view can be used. With other tests beside it a machine is slower: see the test."""


def test_the_frame_names_the_log_and_says_that_it_is_live(desk: Desk) -> None:
    page = desk.page(desk.world.link())
    expect(page.get_by_role("banner")).to_contain_text("twin.example/log0")
    expect(page.get_by_role("banner")).to_contain_text(re.compile(r"Live\s*entry \d+"))
    expect(page).to_have_title("Fleet · Twinproof")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("route", SCREENS)
def test_axe_finds_nothing(desk: Desk, axe: Axe, route: str, scheme: str) -> None:
    page = desk.page(desk.world.link(route), color_scheme=scheme)
    expect(page.locator("h1")).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="Loading")).to_have_count(0)
    axe(page)


@pytest.mark.parametrize("route", SCREENS)
def test_a_phone_scrolls_down_only(desk: Desk, axe: Axe, route: str) -> None:
    page = desk.phone(desk.world.link(route))
    expect(page.locator("h1")).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="Loading")).to_have_count(0)
    inside = page.evaluate(
        "() => [document.documentElement, document.getElementById('main')].map((e) => e.scrollWidth)"
    )
    assert max(inside) <= PHONE["width"]
    axe(page)


def test_a_phone_has_a_bar_and_the_rest_behind_more(desk: Desk, axe: Axe) -> None:
    page = desk.phone(desk.world.link())
    bar = page.get_by_role("navigation", name="Main")
    expect(bar.get_by_role("link", name="Verify")).to_be_hidden()
    bar.get_by_role("button", name="More").click()
    dialog = page.get_by_role("dialog", name="All screens")
    axe(page)
    dialog.get_by_role("link", name="Ledger").click()
    expect(page.get_by_role("heading", level=1, name="Ledger")).to_be_visible()
    expect(dialog).to_be_hidden()


def test_going_elsewhere_moves_the_focus_and_names_the_page(desk: Desk) -> None:
    page = desk.page(desk.world.link())
    page.get_by_role("link", name="Ledger").click()
    expect(page).to_have_title("Ledger · Twinproof")
    expect(page.locator("#main")).to_be_focused()
    expect(page.get_by_role("link", name="Ledger")).to_have_attribute("aria-current", "page")
    page.go_back()
    expect(page).to_have_title("Fleet · Twinproof")


def test_the_first_key_leads_past_the_navigation(desk: Desk) -> None:
    page = desk.page(desk.world.link())
    expect(page.locator("h1")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


def test_an_unknown_address_leads_back(desk: Desk) -> None:
    page = desk.page(desk.world.link("/nowhere"))
    page.get_by_role("link", name="Go to the fleet").click()
    expect(page.get_by_role("heading", level=1, name="Fleet")).to_be_visible()


def test_the_theme_is_chosen_and_kept(desk: Desk) -> None:
    page = desk.page(desk.world.link())
    root = page.locator("html")
    expect(root).to_have_attribute("data-theme", "light")
    page.get_by_role("button", name="Theme: as the system").click()
    page.get_by_role("button", name="Theme: light").click()
    expect(root).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(root).to_have_attribute("data-theme", "dark")


def test_a_link_signs_in_and_the_token_leaves_the_address(desk: Desk) -> None:
    token = desk.world.operating
    page = desk.page(desk.world.link(token=token))
    expect(page.get_by_role("banner")).to_contain_text("may act")
    assert token not in page.url
    assert token not in page.evaluate(
        "() => JSON.stringify([location.href, document.body.innerHTML, {...localStorage}])"
    )
    page.reload()
    expect(page.get_by_role("banner")).to_contain_text("may act")
    # The tab alone holds it: another one of the same browser reads as anybody.
    other = page.context.new_page()
    desk.watch(other, desk.world.url)
    other.goto(desk.world.link())
    expect(other.get_by_role("banner").get_by_role("link", name="Sign in")).to_be_visible()
    page.get_by_text("may act").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1, name="Sign in")).to_be_visible()
    assert page.evaluate("() => sessionStorage.length") == 0


def test_a_link_opened_in_the_open_console_signs_in_too(desk: Desk) -> None:
    token = desk.world.operating
    page = desk.page(desk.world.link("/ledger"))
    expect(page.get_by_role("heading", level=1, name="Ledger")).to_be_visible()
    page.goto(desk.world.link(token=token))
    expect(page.get_by_role("banner")).to_contain_text("may act")
    assert token not in page.url


def test_a_link_that_is_too_old_is_told(desk: Desk) -> None:
    page = desk.page(desk.world.link(token="tp_old"))
    expect(page.get_by_role("region", name="Notices")).to_contain_text("does not take this token")
    assert page.evaluate("() => sessionStorage.length") == 0


def test_a_token_is_typed_in(desk: Desk) -> None:
    page = desk.page(desk.world.link("/signin"))
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("Paste a token first")
    page.get_by_label("Token").fill("tp_wrong")
    page.get_by_label("Token").press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("does not take this token")
    page.get_by_label("Token").fill(desk.world.token("all"))
    page.get_by_label("Token").press("Enter")
    expect(page.get_by_role("banner")).to_contain_text("reads only")
    expect(page.get_by_role("heading", level=1, name="Fleet")).to_be_visible()


def test_a_closed_node_asks_for_a_token_and_leads_back(desk: Desk, closed: str, faults: Faults) -> None:
    faults.allow("status of 401")
    page = desk.page(f"{closed}/console/#/ledger")
    expect(page.get_by_role("heading", level=1, name="Sign in")).to_be_visible()
    page.get_by_label("Token").fill("tp_wrong")
    page.get_by_label("Token").press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("does not take this token")
    page.get_by_label("Token").fill(desk.world.token("all"))
    page.get_by_label("Token").press("Enter")
    expect(page.get_by_role("heading", level=1, name="Ledger")).to_be_visible()
    expect(page.get_by_role("banner")).to_contain_text("Live")


def test_a_token_shows_its_own_twins_only(desk: Desk, closed: str) -> None:
    token = desk.world.token(f"twin:{desk.world.pump(1)}")
    page = desk.page(f"{closed}/console/#/signin?token={token}")
    expect(page.get_by_role("link", name="Pump 1")).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text("1 of 1 twin")


def test_a_node_that_is_away_is_told_and_found_again(desk: Desk, faults: Faults) -> None:
    faults.allow("ERR_FAILED")
    page = desk.page(desk.world.link())
    banner = page.get_by_role("banner")
    expect(banner).to_contain_text("Live")
    page.route("**/api/**", lambda route: route.abort())
    expect(banner).to_contain_text("Connection lost")
    expect(page.get_by_role("link", name="Engine 02")).to_be_visible()
    page.unroute("**/api/**")
    banner.get_by_role("button", name="Try again").click()
    expect(banner).to_contain_text("Live")
    expect(page.get_by_role("status").filter(has_text="Live")).to_have_count(1)


def test_a_refusal_says_what_to_do(desk: Desk, faults: Faults) -> None:
    faults.allow("status of 403")
    page = desk.page()

    def refuse(route: Route) -> None:
        problem = {"status": 403, "code": "access-denied", "detail": "the token does not reach this far"}
        route.fulfill(status=403, content_type="application/problem+json", body=json.dumps(problem))

    page.route("**/api/v1/log/head", refuse)
    page.goto(desk.world.link("/ledger"))
    refused = page.get_by_role("alert")
    expect(refused).to_contain_text("Not open to you")
    expect(refused.get_by_role("link", name="Sign in")).to_be_visible()


def test_a_screen_that_cannot_be_fetched_keeps_the_frame(desk: Desk, faults: Faults) -> None:
    faults.allow("ERR_FAILED|dynamically imported module")
    page = desk.page()
    page.route("**/assets/ledger-*.js", lambda route: route.abort())
    page.goto(desk.world.link())
    page.get_by_role("link", name="Ledger").click()
    expect(page.get_by_role("alert")).to_contain_text("reload the page")
    page.get_by_role("link", name="Alarms").click()
    expect(page.get_by_role("heading", level=1, name="Alarms")).to_be_visible()


def _initial(built: Path) -> int:
    """Bytes, gzip, of what index.html loads and what that imports at once."""
    manifest = json.loads((built / "manifest.json").read_text())
    wanted, seen = [key for key, chunk in manifest.items() if chunk.get("isEntry")], set()
    while wanted:
        key = wanted.pop()
        if key not in seen:
            seen.add(key)
            wanted += manifest[key].get("imports", [])
    return sum(len(gzip.compress((built / manifest[key]["file"]).read_bytes(), 9)) for key in seen)


def test_what_is_loaded_first_stays_small(built: Path) -> None:
    assert 0 < _initial(built) < INITIAL


def test_the_first_view_is_there_soon(desk: Desk) -> None:
    # Three tries, as other tests run on the same cores; the budget is for a machine of its own.
    spent = []
    for _ in range(3):
        page = desk.page(desk.world.link())
        page.get_by_role("link", name="Engine 02").wait_for()
        spent.append(page.evaluate("() => performance.now()"))
        if spent[-1] < USABLE:
            return
    pytest.fail(f"usable after {spent} ms")
