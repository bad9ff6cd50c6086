"""Readings over time: gaps, zoom, and a million of them."""

from __future__ import annotations

import math
import re
import time
from urllib.parse import parse_qs, quote, urlsplit

from playwright.sync_api import Locator, Page, Request, expect

from tests.console.conftest import Desk
from tests.console.world import DEVICE
from twinproof.twin import columns

POINTS = 1_000_000
EACH = 5000
"""Readings of one statement."""
SHOWN = 5.0
"""Seconds; the budget is 1 on an idle machine, which bench/console_series.py measures."""


def chart(page: Page) -> Locator:
    return page.get_by_role("region", name="Over time", exact=True)


def opened(desk: Desk, twin: str) -> Page:
    return desk.page(desk.world.link(f"/twin/{quote(twin, safe='')}"))


def fill(desk: Desk, twin: str, points: int, *, step: float = 1.0, end: int | None = None) -> int:
    """A long series of T24; the time of its first reading."""
    start = (end or desk.world.now) - math.ceil(points * step)
    for first in range(0, points, EACH):
        values = [640.0 + (number % 997) / 50 for number in range(first, min(points, first + EACH))]
        payload = columns.format_columns(start + first * step, [("T24", "K", values)], step=step)
        desk.world.script.say(DEVICE, twin, columns.COLUMNS, payload, at=desk.world.now)
    desk.world.take()
    return start


def asks_buckets(request: Request) -> bool:
    return "/telemetry/buckets" in request.url


def span(request: Request) -> tuple[float, float]:
    query = parse_qs(urlsplit(request.url).query)
    return float(query["start"][0]), float(query["end"][0])


def test_a_gap_is_a_gap(desk: Desk) -> None:
    twin = desk.world.fresh("twin/engine")
    desk.world.describe(twin, name="Gappy")
    start = desk.world.now - 8000
    for number in range(20):
        at = start + 10 * number + (3600 if number >= 10 else 0)
        desk.world.script.say(
            DEVICE, twin, columns.COLUMNS, columns.format_columns(float(at), [("T24", "K", [640.0 + number])]), at=at
        )
    desk.world.take()
    page = opened(desk, twin)
    expect(chart(page)).to_contain_text("20 readings, each of them shown · 1 gap")
    chart(page).get_by_role("button", name="Table").click()
    table = chart(page).get_by_role("table")
    expect(table.get_by_role("row")).to_have_count(1 + 20 + 1)
    expect(table).to_contain_text("Gap: no reading of LPC outlet temperature for 1 h")
    body = table.locator("tbody tr")
    expect(body.nth(9)).to_contain_text("649")
    expect(body.nth(10)).to_contain_text("Gap")
    expect(body.nth(11)).to_contain_text("650")
    entry = desk.world.live.states.history(twin, kind="columns", limit=100)[9].entry
    expect(body.nth(9).get_by_role("link", name=f"entry {entry}", exact=True)).to_be_visible()


def test_zooming_asks_for_the_visible_span_alone(desk: Desk) -> None:
    twin = desk.world.fresh("twin/engine")
    desk.world.describe(twin, name="Long")
    start = fill(desk, twin, 20_000)
    page = opened(desk, twin)
    expect(chart(page)).to_contain_text("20,000 readings: each point stands for")
    over = chart(page).locator(".u-over")
    box = over.bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    with page.expect_request(asks_buckets) as asked:
        page.mouse.move(box["x"] + box["width"] * 0.25, middle)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.5, middle, steps=4)
        page.mouse.up()
    first, last = span(asked.value)
    assert abs(first - (start + 5000)) < 400
    assert abs(last - (start + 10_000)) < 400
    expect(chart(page)).to_contain_text(re.compile(r"5,[0-9]{3} readings"))
    with page.expect_request(asks_buckets) as asked:
        page.keyboard.down("Shift")
        page.mouse.move(box["x"] + box["width"] * 0.5, middle)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.25, middle, steps=4)
        page.mouse.up()
        page.keyboard.up("Shift")
    moved = span(asked.value)
    assert abs(moved[0] - first - 1250) < 150
    assert abs((moved[1] - moved[0]) - (last - first)) < 1
    chart(page).get_by_role("application").focus()
    with page.expect_request(asks_buckets) as asked:
        page.keyboard.press("+")
    near = span(asked.value)
    assert 0.45 < (near[1] - near[0]) / (last - first) < 0.55
    page.keyboard.press("0")
    expect(chart(page).get_by_role("button", name="All", exact=True)).to_have_attribute("aria-pressed", "true")
    expect(chart(page)).to_contain_text("20,000 readings")


def test_few_readings_are_shown_themselves_when_zoomed_in(desk: Desk) -> None:
    twin = desk.world.fresh("twin/engine")
    desk.world.describe(twin, name="Near")
    fill(desk, twin, 20_000)
    page = opened(desk, twin)
    expect(chart(page)).to_contain_text("20,000 readings: each point")
    chart(page).get_by_role("application").focus()
    for _ in range(5):
        page.keyboard.press("+")
    expect(chart(page)).to_contain_text("each of them shown")
    chart(page).get_by_role("button", name="Table").click()
    expect(chart(page).get_by_role("table").get_by_role("link").first).to_contain_text("entry")


def test_the_cursor_reads_out_and_the_newest_hour_follows(desk: Desk) -> None:
    twin = desk.world.fresh("twin/engine")
    desk.world.describe(twin, name="Followed")
    for number in range(5):
        desk.world.read(twin, at=desk.world.now - 60 + 10 * number, T24=640.0 + number)
    page = opened(desk, twin)
    expect(chart(page)).to_contain_text("5 readings")
    chart(page).get_by_role("application").focus()
    page.keyboard.press("Home")
    expect(chart(page).locator(".series-value")).to_have_text("640 K")
    page.keyboard.press("ArrowRight")
    expect(chart(page).locator(".series-value")).to_have_text("641 K")
    chart(page).get_by_role("button", name="1 h", exact=True).click()
    expect(chart(page)).to_contain_text("5 readings")
    desk.world.read(twin, T24=655.0)
    expect(chart(page)).to_contain_text("6 readings", timeout=8000)


def test_a_million_readings(desk: Desk) -> None:
    twin = desk.world.fresh("twin/engine")
    desk.world.describe(twin, name="Million")
    fill(desk, twin, POINTS, step=0.5)
    page = desk.page(desk.world.link())
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    began = time.perf_counter()
    page.goto(desk.world.link(f"/twin/{quote(twin, safe='')}"))
    expect(chart(page)).to_contain_text("1,000,000 readings")
    took = time.perf_counter() - began
    assert took < SHOWN, f"{took:.2f} s"
    # What came is as much as the screen shows, not as the log holds.
    asked = page.evaluate(
        "performance.getEntriesByType('resource').filter(one => one.name.includes('/telemetry/'))"
        ".map(one => one.decodedBodySize)"
    )
    assert asked
    assert max(asked) < 500_000
