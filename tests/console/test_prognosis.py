"""The forecast's tab: what is claimed, why, what happened, and when to maintain under which costs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.console.conftest import Axe, Desk, Faults, Shot
from tests.console.foreseen import ENDED, Foreseen, foreseen_fleet
from tests.console.world import SPARE, World


@pytest.fixture(scope="module")
def fleet(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Foreseen]:
    with foreseen_fleet(tmp_path_factory.mktemp("foreseen") / "node") as made:
        yield made


def panel(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=name, exact=True)


def test_the_newest_forecast_in_words_with_what_drives_it(desk: Desk, fleet: Foreseen) -> None:
    page = desk.page(fleet.prognosis(1))
    said = fleet.rig.predictions(1)[-1]
    newest = panel(page, "Newest forecast")
    expect(newest).to_contain_text(f"Between {said.lower:.3g} and {said.upper:.3g} cycles with 90 %")
    expect(newest).to_contain_text(f"The best single estimate is {said.point:.3g} cycles")
    expect(newest.get_by_role("link", name="Its model")).to_have_attribute("href", f"#/models?model={said.model.hex()}")
    bars = panel(page, "What drives it").get_by_role("row")
    expect(bars).to_have_count(len(said.drivers) + 1)
    first = max(said.drivers, key=lambda name: abs(dict(said.drivers)[name]))
    expect(bars.nth(1)).to_contain_text(first)
    chart = panel(page, "Remaining life over time")
    chart.get_by_role("button", name="Table").click()
    expect(chart.get_by_role("row")).to_have_count(len(fleet.rig.predictions(1)) + 1)
    expect(panel(page, "Compute it again")).to_contain_text("--replay")


def test_what_happened_stands_beside_what_was_foreseen(desk: Desk, fleet: Foreseen) -> None:
    page = desk.page(fleet.prognosis(ENDED[0]))
    chart = panel(page, "Remaining life over time")
    expect(chart).to_contain_text("Happened")
    chart.get_by_role("button", name="Table").click()
    expect(chart.get_by_role("row").last.get_by_role("cell").last).to_have_text("0")


def test_another_cost_is_another_date(desk: Desk, fleet: Foreseen) -> None:
    page = desk.page(fleet.prognosis(0))
    form = panel(page, "What if")
    answer = form.get_by_role("status").filter(has_text="Risk of a failure")
    form.get_by_label("Cost of a failure").fill("2")
    expect(answer).to_contain_text("Maintain in")
    form.get_by_role("button", name="Table").click()
    before = form.get_by_role("row", name="cheapest")
    expect(before).to_have_count(1)
    cheap = before.inner_text()
    form.get_by_label("Cost of a failure").fill("500")
    expect(before).not_to_have_text(cheap)
    form.get_by_text("assumptions").click()
    expect(form).to_contain_text("as good as new")


def test_what_is_no_cost_is_said_at_the_field(desk: Desk, fleet: Foreseen) -> None:
    page = desk.page(fleet.prognosis(0))
    form = panel(page, "What if")
    form.get_by_label("Cost of a failure").fill("0.5")
    expect(form.get_by_role("alert")).to_contain_text("at least as much")
    form.get_by_label("Cost of a failure").fill("1e3")
    expect(form.get_by_role("alert")).to_contain_text("A number such as")
    expect(form.get_by_label("Cost of a failure")).to_have_attribute("aria-invalid", "true")


def test_without_a_forecast_or_its_model(desk: Desk) -> None:
    page = desk.page(desk.world.link(f"/twin/{SPARE.replace('/', '%2F')}/prognosis"))
    expect(page.get_by_text("No forecast yet")).to_be_visible()


def test_a_forecast_without_a_claim_says_why_and_that_its_model_is_away(desk: Desk, faults: Faults) -> None:
    faults.allow("404")
    page = desk.page(desk.world.link(f"/twin/{desk.world.engine(6).replace('/', '%2F')}/prognosis"))
    newest = panel(page, "Newest forecast")
    expect(newest).to_contain_text("without a claim")
    expect(newest).to_contain_text("gap: a few cycles are missing")
    expect(panel(page, "What if").get_by_role("alert")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(desk: Desk, fleet: Foreseen, axe: Axe, shot: Shot, scheme: str) -> None:
    page = desk.page(fleet.prognosis(ENDED[0]), color_scheme=scheme)
    expect(panel(page, "What if").get_by_role("status").filter(has_text="Risk of a failure")).to_be_visible()
    expect(panel(page, "Remaining life over time").locator("canvas").first).to_be_visible()
    axe(page)
    shot(page, f"prognosis-{scheme}")
    page = desk.phone(fleet.prognosis(1), color_scheme=scheme)
    expect(panel(page, "What if").get_by_role("status").filter(has_text="Risk of a failure")).to_be_visible()
    assert page.evaluate("document.querySelector('main').scrollWidth") <= 360
    axe(page)
    shot(page, f"prognosis-phone-{scheme}")
