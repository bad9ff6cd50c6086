"""The fleet: what a row says, live changes, filters, order, groups, kept views, the keyboard; thousands of rows."""

from __future__ import annotations

import json
import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.console.conftest import Axe, Desk, Faults, Shot
from tests.console.world import ENGINE_MODEL, PUMP_MODEL, World


@pytest.fixture
def fleet(desk: Desk) -> Page:
    page = desk.page(desk.world.link())
    expect(page.get_by_role("link", name="Engine 02")).to_be_visible()
    return page


def row(page: Page, name: str) -> Locator:
    """The row of the twin with this name."""
    return page.get_by_role("row").filter(has=page.get_by_role("link", name=name, exact=True))


def names(page: Page) -> list[str]:
    """The twins that are shown, in order."""
    return page.locator(".fleet-name a").all_inner_texts()


def test_a_row_says_health_alarms_life_freshness_and_trust(fleet: Page, shot: Shot) -> None:
    worst = row(fleet, "Engine 02")
    for words in ("Act", "1 high", "1 new", "34 to 52 cycle", "90 %", "min ago", "device", "anchored"):
        expect(worst).to_contain_text(words)
    expect(row(fleet, "Engine 03")).not_to_contain_text("new")
    expect(row(fleet, "Engine 06")).to_contain_text("unsure")
    expect(row(fleet, "Engine 01")).to_contain_text("not anchored yet")
    pump = row(fleet, "Pump 2")
    expect(pump).to_contain_text("gateway")
    expect(pump).to_contain_text("1 gap")
    expect(row(fleet, "Engine spare")).to_contain_text("Unknown")
    shot(fleet, "fleet")


def test_what_to_act_on_comes_first(fleet: Page) -> None:
    assert names(fleet)[0] == "Engine 02"
    assert names(fleet)[-1] == "Engine spare"


def test_a_new_reading_and_a_new_twin_show_without_reloading(fleet: Page, desk: Desk) -> None:
    world = desk.world
    twin = world.fresh("live")
    world.describe(twin, name="Newcomer")
    shown = row(fleet, "Newcomer")
    expect(shown).to_contain_text("Unknown")
    world.read(twin, T24=600.5)
    expect(shown).to_contain_text("Good")
    expect(shown).to_contain_text(re.compile(r"now|\d+ s ago"))
    expect(shown).to_contain_text(f"entry {world.size - 1}")
    world.predict(twin, 10, 12, 14.5)
    expect(shown).to_contain_text("10 to 14.5 cycle")
    expect(shown).to_contain_text("not anchored yet")


def test_an_anchor_shows_on_rows_of_which_nothing_new_is_said(fleet: Page, desk: Desk) -> None:
    twin = desk.world.fresh("anchored")
    desk.world.describe(twin, name="Waiting")
    shown = row(fleet, "Waiting")
    expect(shown).to_contain_text("not anchored yet")
    desk.world.anchor()
    expect(shown).not_to_contain_text("not anchored yet")
    expect(shown).to_contain_text("anchored")


def test_the_summary_counts_and_filters(fleet: Page) -> None:
    act = fleet.get_by_role("button", name=re.compile(r"^Act\s*1$"))
    act.click()
    expect(act).to_have_attribute("aria-pressed", "true")
    expect(fleet.get_by_role("row")).to_have_count(2)
    assert names(fleet) == ["Engine 02"]
    assert "health=act" in fleet.url
    act.click()
    expect(row(fleet, "Pump 1")).to_be_visible()
    assert "health" not in fleet.url


def test_filters_narrow_and_are_cleared(fleet: Page) -> None:
    search = fleet.get_by_role("searchbox")
    search.fill("engine 0")
    expect(row(fleet, "Pump 1")).to_have_count(0)
    expect(fleet.get_by_role("main")).to_contain_text(re.compile(r"8 of \d+ twins"))
    fleet.get_by_label("With", exact=True).select_option("With unacknowledged alarms")
    assert names(fleet) == ["Engine 02", "Engine 04"]
    search.fill("nothing like this")
    expect(fleet.get_by_text("No twin matches these filters")).to_be_visible()
    fleet.get_by_role("button", name="Clear filters").first.click()
    expect(row(fleet, "Pump 1")).to_be_visible()
    expect(search).to_have_value("")
    fleet.get_by_label("Model", exact=True).select_option(PUMP_MODEL)
    fleet.get_by_label("Signed by").select_option("gateway")
    assert names(fleet) == ["Pump 1", "Pump 2", "Pump 3", "Pump 4"]


def test_heads_sort_and_say_so(fleet: Page) -> None:
    fleet.get_by_role("searchbox").fill("engine 0")
    life = fleet.get_by_role("columnheader", name="Remaining life")
    life.get_by_role("button").click()
    expect(life).to_have_attribute("aria-sort", "ascending")
    assert names(fleet)[:4] == ["Engine 01", "Engine 02", "Engine 03", "Engine 06"]
    life.get_by_role("button").click()
    expect(life).to_have_attribute("aria-sort", "descending")
    # Those without a forecast come last, either way.
    assert names(fleet) == [f"Engine {number:02}" for number in (5, 4, 6, 3, 2, 1, 7, 8)]
    fleet.reload()
    expect(life).to_have_attribute("aria-sort", "descending")


def test_groups_have_headings_with_counts(fleet: Page) -> None:
    fleet.get_by_role("searchbox").fill("fleet.example")
    fleet.get_by_label("Group by").select_option("By model")
    expect(fleet.get_by_role("rowheader", name=re.compile(r"^pump;1: 4 rows$"))).to_be_visible()
    expect(fleet.get_by_role("rowheader", name=re.compile(r"^turbofan;1: \d+ rows$"))).to_be_visible()


def test_a_view_is_kept_opened_and_forgotten(fleet: Page, axe: Axe) -> None:
    fleet.get_by_role("searchbox").fill("pump")
    fleet.get_by_label("Group by").select_option("By health")
    fleet.get_by_role("button", name="Views").click()
    views = fleet.get_by_role("dialog", name="Views")
    assert views.get_by_label("Address of what is shown now").input_value() == fleet.url
    views.get_by_label("Keep what is shown now as").fill("My pumps")
    views.get_by_role("button", name="Keep view").click()
    expect(views.get_by_role("link", name="My pumps")).to_be_visible()
    axe(fleet)
    fleet.keyboard.press("Escape")
    expect(views).to_be_hidden()
    expect(fleet.get_by_role("button", name="Views")).to_be_focused()
    fleet.get_by_role("button", name="Clear filters").click()
    fleet.reload()
    fleet.get_by_role("button", name="Views").click()
    views.get_by_role("link", name="My pumps").click()
    expect(fleet.get_by_role("searchbox")).to_have_value("pump")
    assert parse_qs(urlsplit(fleet.url).fragment.partition("?")[2]) == {"q": ["pump"], "group": ["health"]}
    fleet.get_by_role("button", name="Views").click()
    views.get_by_role("button", name="Forget the view My pumps").click()
    expect(views.get_by_role("link", name="My pumps")).to_have_count(0)


def test_all_of_it_works_by_keyboard(fleet: Page) -> None:
    fleet.keyboard.press("/")
    search = fleet.get_by_role("searchbox")
    expect(search).to_be_focused()
    fleet.keyboard.type("engine 0")
    expect(row(fleet, "Pump 1")).to_have_count(0)
    fleet.get_by_role("link", name="Engine 02").focus()
    fleet.keyboard.press("ArrowDown")
    expect(fleet.get_by_role("link", name="Engine 03")).to_be_focused()
    fleet.keyboard.press("End")
    expect(fleet.get_by_role("link", name="Engine 08")).to_be_focused()
    fleet.keyboard.press("Home")
    fleet.keyboard.press("Enter")
    fleet.wait_for_url("**/console/#/twin/https%3A%2F%2Ffleet.example%2Fengine%2F2")


def test_it_fits_a_phone_with_its_filters_folded(desk: Desk, axe: Axe, shot: Shot) -> None:
    page = desk.phone(desk.world.link(), color_scheme="dark")
    expect(row(page, "Engine 02")).to_contain_text("34 to 52 cycle")
    model = page.get_by_label("Model", exact=True)
    expect(model).to_be_hidden()
    page.get_by_role("button", name="Filters").click()
    model.select_option(ENGINE_MODEL)
    expect(row(page, "Pump 1")).to_have_count(0)
    axe(page)
    shot(page, "fleet-phone")


def _answer(route: Route, items: list[dict[str, object]], reached: int = 7) -> None:
    body = {"items": items, "next": None, "anchored_size": None, "reached": reached}
    route.fulfill(content_type="application/json", body=json.dumps(body))


def test_an_empty_fleet_says_how_to_begin(desk: Desk, axe: Axe) -> None:
    page = desk.page()
    page.route("**/api/v1/fleet*", lambda route: _answer(route, []))
    page.goto(desk.world.link())
    expect(page.get_by_text("No twins yet")).to_be_visible()
    axe(page)


def test_a_node_that_never_answers_is_told(desk: Desk, faults: Faults, axe: Axe) -> None:
    faults.allow("ERR_FAILED|status of 503")
    page = desk.page()
    page.route("**/api/v1/fleet*", lambda route: route.abort())
    page.goto(desk.world.link())
    expect(page.get_by_role("alert")).to_contain_text("The node does not answer")
    axe(page)
    problem = json.dumps({"status": 503, "code": "overloaded", "detail": "a view is behind"})
    kind = "application/problem+json"
    page.unroute("**/api/v1/fleet*")
    page.route("**/api/v1/fleet*", lambda route: route.fulfill(status=503, content_type=kind, body=problem))
    page.get_by_role("button", name="Try again").last.click()
    expect(page.get_by_role("alert")).to_contain_text("a view is behind")


def made_up(number: int) -> dict[str, object]:
    """A row as the node tells it."""
    return {
        "sub": f"https://fleet.example/many/{number}", "name": f"Many {number:04}", "model": None, "lifecycle": None,
        "health": ("good", "watch", "unknown")[number % 3], "statements": 1, "entry": number, "time": 1_700_000_000,
        "alarms": {"standing": 0, "unacknowledged": 0, "worst": None}, "forecast": None, "newest": None, "gaps": 0,
        "orders": 0, "signed": None, "anchored": None,
    }  # fmt: skip


def test_thousands_of_rows_are_drawn_as_they_are_seen(desk: Desk) -> None:
    rows = [made_up(number) for number in range(5000)]
    page = desk.page()
    page.route("**/api/v1/fleet*", lambda route: _answer(route, [] if "since" in route.request.url else rows, 5000))
    page.goto(desk.world.link("/?sort=name"))
    table = page.get_by_role("table")
    expect(table.get_by_role("link", name="Many 0000")).to_be_visible()
    expect(table).to_have_attribute("aria-rowcount", "5001")
    assert page.get_by_role("row").count() < 60
    table.get_by_role("link", name="Many 0000").focus()
    page.keyboard.press("End")
    last = table.get_by_role("link", name="Many 4999")
    expect(last).to_be_focused()
    expect(last).to_be_in_viewport()
    expect(page.get_by_role("row").filter(has=page.get_by_role("link", name="Many 4999"))).to_have_attribute(
        "aria-rowindex", "5001"
    )
    assert page.get_by_role("row").count() < 60
    page.get_by_role("columnheader", name="Twin").get_by_role("button").click()
    expect(page).to_have_url(re.compile("sort=-name"))


def test_a_poll_asks_only_for_what_is_new(desk: Desk, world: World) -> None:
    page = desk.page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/v1/fleet" in request.url else None)
    page.goto(desk.world.link())
    expect(row(page, "Engine 02")).to_be_visible()
    page.wait_for_event("request", lambda request: "/v1/fleet" in request.url)
    page.wait_for_event("request", lambda request: "/v1/fleet" in request.url)
    # The header asks how far the node is, for no row; then the screen once for all rows.
    rows = [parse_qs(urlsplit(url).query) for url in asked if "limit=1&" not in f"{url}&"]
    assert "since" not in rows[0]
    assert len(rows) > 1
    assert all(query["since"] == [str(world.size)] for query in rows[1:])
