"""Agreements and orders in the browser: terms, steps, and acting by the node's account or a wallet."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.builders import TWIN
from tests.console.conftest import Axe, Desk, Faults, Shot
from tests.console.deal import WALLET, Deal, dealing
from tests.console.world import World

WALLET_NAME = "Wallet in this browser"
DONE = 15_000
"""Milliseconds until a transaction is in a block and shown."""


@pytest.fixture(scope="module")
def deal(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deal]:
    with dealing(tmp_path_factory.mktemp("deal") / "node") as made:
        yield made


@pytest.fixture(scope="module")
def order(deal: Deal) -> str:
    return deal.order()


def panel(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=name, exact=True)


def opened(desk: Desk, deal: Deal, route: str, *, acting: bool = False) -> Page:
    """A page of a route, with an operator's token or as anybody."""
    if not acting:
        return desk.page(deal.link(route))
    page = desk.page(deal.link("/", token=deal.operating))
    expect(page.get_by_text("may act")).to_be_attached()
    page.goto(deal.link(route))
    return page


def with_wallet(
    desk: Desk, deal: Deal, route: str, *, chain: int | None = None, known: list[str] | None = None
) -> Page:
    """A page in a browser with the supplier's wallet on a chain that knows these chains, or all."""
    own = deal.parties.side.contracts.chain_id
    settings = {"account": deal.parties.supplier, "now": hex(own if chain is None else chain), "known": known}
    # The wallet stands in the page before its scripts run.
    page = desk.page(deal.link("/guide"))
    page.goto("about:blank")
    page.expose_function("signAndSend", lambda text: deal.sign_and_send(json.loads(text)))
    page.add_init_script(f"({WALLET})({json.dumps(settings)})")
    page.goto(deal.link("/", token=deal.operating))
    expect(page.get_by_text("may act")).to_be_attached()
    page.goto(deal.link(route))
    return page


def ask(page: Page, button: str) -> Locator:
    """The dialog of an action, priced for the wallet."""
    page.get_by_role("button", name=button).first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Signed by").select_option(label=WALLET_NAME)
    dialog.get_by_role("button", name="Next").click()
    return dialog


def test_terms_and_orders_with_their_state(desk: Desk, deal: Deal, order: str, axe: Axe, shot: Shot) -> None:
    page = opened(desk, deal, "/orders", acting=True)
    row = page.get_by_role("row").filter(has_text=order)
    expect(row).to_contain_text("placed")
    expect(row).to_contain_text("0.5 coins")
    agreement = panel(page, "Agreement 1")
    expect(agreement).to_contain_text("the lower bound is below 30 cycles with at least 90 %")
    expect(agreement).to_contain_text("active")
    expect(agreement).to_contain_text("this node")
    agreement.get_by_text("Terms in full").click()
    expect(agreement).to_contain_text("1 d")
    axe(page)
    shot(page, "orders-light")
    page.get_by_label("State").select_option("fulfilled")
    expect(page.get_by_text("No order is in this state")).to_be_visible()
    page.get_by_label("State").select_option("")
    row.get_by_role("link", name=order, exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Order 1-1")
    steps = panel(page, "Steps").get_by_role("listitem")
    expect(steps.first).to_contain_text("Placed")
    expect(page.locator("[aria-current=step]")).to_contain_text("Accepted Next, until")


def test_who_only_reads_is_offered_no_button(desk: Desk, deal: Deal, order: str) -> None:
    page = opened(desk, deal, f"/order/{order}")
    actions = panel(page, "What can be done now")
    expect(actions).to_contain_text("Accept the order")
    expect(actions).to_contain_text("scope operate")
    expect(actions.get_by_role("button", name="Accept")).to_have_count(0)


def test_a_wallet_that_declines_or_is_elsewhere_sends_nothing(desk: Desk, deal: Deal, order: str) -> None:
    before = deal.parties.side.chain.head().number
    page = with_wallet(desk, deal, f"/order/{order}", chain=1, known=["0x1"])
    dialog = ask(page, "Accept the order…")
    expect(dialog).to_contain_text("Your wallet shows it")
    dialog.get_by_role("button", name="Sign in the wallet").click()
    expect(dialog.get_by_role("alert")).to_contain_text("does not know this chain")
    page.evaluate("() => { window.settings.known = null; window.settings.stays = true; }")
    dialog.get_by_role("button", name="Sign in the wallet").click()
    expect(dialog.get_by_role("alert")).to_contain_text("on another chain")
    assert "eth_sendTransaction" not in page.evaluate("window.asked")
    page = with_wallet(desk, deal, f"/order/{order}")
    page.evaluate("window.declines = true")
    dialog = ask(page, "Accept the order…")
    dialog.get_by_role("button", name="Sign in the wallet").click()
    expect(dialog.get_by_role("alert")).to_contain_text("You declined in the wallet. Nothing was sent.")
    assert deal.parties.side.chain.head().number == before


def test_an_order_is_accepted_by_a_wallet_on_another_chain_before(desk: Desk, deal: Deal, order: str, axe: Axe) -> None:
    page = with_wallet(desk, deal, f"/order/{order}", chain=1)
    dialog = ask(page, "Accept the order…")
    expect(dialog).to_contain_text("about")
    axe(page)
    dialog.get_by_role("button", name="Sign in the wallet").click()
    expect(dialog.get_by_role("status")).to_contain_text("Done: it is in a block", timeout=DONE)
    assert page.evaluate("window.asked").count("wallet_switchEthereumChain") == 1
    dialog.get_by_role("button", name="Close").last.click()
    expect(page.get_by_text("The contract says accepted")).to_be_visible(timeout=DONE)
    deal.parties.follow()
    expect(page.get_by_text("The contract says accepted")).not_to_be_visible(timeout=DONE)
    expect(panel(page, "Steps").get_by_role("listitem").nth(1)).to_contain_text("Accepted")


def test_the_nodes_account_offers_and_ships_and_a_refusal_is_told(
    desk: Desk, deal: Deal, order: str, faults: Faults, axe: Axe, shot: Shot
) -> None:
    faults.allow("409")
    if deal.client.get(f"/api/v1/orders/{order}").json()["state"] == "placed":
        deal.do("order.accept", deal.parties.supplier, order=order)
        deal.parties.follow()
    deal.mint("SN-1")
    page = opened(desk, deal, f"/order/{order}", acting=True)
    page.get_by_role("button", name="Ship the part…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Next").click()
    expect(dialog.get_by_role("alert")).to_have_text("Choose a part")
    dialog.get_by_label("Part").select_option(label="HPT-7 SN-1")
    dialog.get_by_role("button", name="Next").click()
    expect(dialog.get_by_role("alert")).to_contain_text("The contract refuses this. Nothing was sent")
    expect(dialog.get_by_role("alert")).to_contain_text("WrongOffer")
    dialog.get_by_role("button", name="Cancel").click()
    for button, says in (("Offer the part…", "Offers part HPT-7 SN-1"), ("Ship the part…", "HPT-7")):
        page.get_by_role("button", name=button).click()
        dialog.get_by_label("Part").select_option(label="HPT-7 SN-1")
        dialog.get_by_role("button", name="Next").click()
        expect(dialog).to_contain_text(says)
        dialog.get_by_role("button", name="Sign and send").click()
        expect(dialog.get_by_role("status")).to_contain_text("Done: it is in a block", timeout=DONE)
        dialog.get_by_role("button", name="Close").last.click()
    deal.parties.follow()
    expect(page.locator("[aria-current=step]")).to_contain_text("Received", timeout=DONE)
    expect(panel(page, "What can be done now")).to_contain_text("First: the operator accepts the part first")
    shot(page, "order-light")
    page.emulate_media(color_scheme="dark")
    axe(page)
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.querySelector('main').scrollWidth") <= 360
    axe(page)
    shot(page, "order-phone-dark")
    assert deal.client.get(f"/api/v1/orders/{order}").json()["sub"] == TWIN


def test_without_orders_it_says_how_to_come_to_one(desk: Desk) -> None:
    page = desk.page(desk.world.link("/orders"))
    expect(page.get_by_text("No orders yet")).to_be_visible()
    expect(page.get_by_text("No agreements yet")).to_be_visible()
