"""Trained models with what became of their forecasts, and the planner."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.console.conftest import Axe, Desk, Faults, Shot
from tests.console.foreseen import ENDED, RUNNING, Foreseen, foreseen_fleet
from tests.console.world import World
from tests.node.forecast_rig import trained


@pytest.fixture(scope="module")
def fleet(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Foreseen]:
    with foreseen_fleet(tmp_path_factory.mktemp("foreseen") / "node") as made:
        yield made


def panel(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=name, exact=True)


def test_a_model_with_its_card_and_what_became_of_its_forecasts(
    desk: Desk, fleet: Foreseen, axe: Axe, shot: Shot
) -> None:
    page = desk.page(fleet.link("/models"))
    listed = panel(page, "Trained models").get_by_role("row").filter(has_text=trained().digest.hex()[:10])
    expect(listed).to_contain_text("active")
    expect(listed).to_contain_text("90 %")
    outcomes = panel(page, "Predicted against happened")
    expect(outcomes).to_contain_text("of 90 % claimed")
    expect(outcomes.locator(".models-numbers")).to_contain_text(f"Ended twins{len(ENDED)}")
    expect(outcomes).to_contain_text(f"{len(RUNNING)} twins")
    outcomes.get_by_label("Twin", exact=True).select_option(index=1)
    expect(outcomes.locator("canvas").first).to_be_visible()
    expect(panel(page, "Model card")).to_contain_text("RMSE")
    axe(page)
    shot(page, "models-light")
    page = desk.phone(fleet.link("/models"), color_scheme="dark")
    expect(panel(page, "Predicted against happened").locator("canvas").first).to_be_visible()
    expect(panel(page, "Model card")).to_contain_text("RMSE")
    assert page.evaluate("document.querySelector('main').scrollWidth") <= 360
    axe(page)


def test_a_plan_as_a_timeline_and_as_a_table(desk: Desk, fleet: Foreseen, axe: Axe, shot: Shot) -> None:
    page = desk.page(fleet.link("/plan"))
    page.get_by_label("Slots", exact=True).fill("60")
    expect(page.get_by_role("alert")).to_contain_text("1 to 52 slots")
    expect(page.get_by_role("button", name="Plan", exact=True)).to_be_disabled()
    page.get_by_label("Slots", exact=True).fill("8")
    page.get_by_label("Spares delivered").fill("1, 2")
    expect(page.get_by_role("alert")).to_contain_text("or 8 of them with commas")
    page.get_by_label("Spares delivered").fill("1")
    page.get_by_role("button", name="Plan", exact=True).click()
    timeline = panel(page, "Timeline")
    expect(timeline.get_by_role("row")).to_have_count(len(RUNNING) + 1, timeout=30_000)
    expect(timeline.locator(".gantt-mark")).to_have_count(len(RUNNING))
    expect(panel(page, "Plan")).to_contain_text("the best plan")
    axe(page)
    shot(page, "plan-light")
    timeline.get_by_role("button", name="Table").click()
    expect(timeline.get_by_role("row")).to_have_count(len(RUNNING) + 1)
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.querySelector('main').scrollWidth") <= 360
    axe(page)


def test_without_models_both_say_what_is_missing(desk: Desk, faults: Faults) -> None:
    faults.allow("404")
    page = desk.page(desk.world.link("/models"))
    expect(page.get_by_text("No model yet")).to_be_visible()
    page.goto(desk.world.link("/plan"))
    page.get_by_role("button", name="Plan", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("no twin asked for has a prediction to plan from")
