"""The frame: navigation, sign-in, theme, routes, what happens when the node is away."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.console.conftest import Desk


def test_the_frame_names_the_log_and_says_that_it_is_live(desk: Desk) -> None:
    page = desk.page(desk.world.link())
    expect(page.get_by_role("banner")).to_contain_text("twin.example/log0")
    expect(page.get_by_role("banner")).to_contain_text(f"entry {desk.world.size - 1}")
    expect(page).to_have_title("Fleet · Twinproof")
