"""The guided path: without a story, with one, and its lies found in the browser at the step that Python names."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.builders import OPERATOR, Log
from tests.console.conftest import Axe, Desk, Faults, Shot
from tests.console.evidence import REFUSED
from tests.console.world import World
from tests.prognosis import test_audit as audits
from tests.prognosis.fleets import CAP, QUICK, wearing_fleet
from tests.web.verdicts import policy_text
from twinproof.prognosis.train import train
from twinproof.twin.evidence import format_bundle
from twinproof.twin.grants import Capability
from twinproof.verify import STEPS

LIES = {"altered": "an altered reading", "deleted": "a deleted statement", "fork": "a forked log"}
LONG = 30_000
"""Milliseconds for a replay on a busy machine."""


@dataclass(frozen=True)
class Forecasts:
    """A bundle whose predictions are what their model gives, and one with a prediction bent by a bit."""

    sound: bytes
    bent: bytes
    policy: str
    told: int
    """Predictions of the sound one."""
    entry: int
    """Of the one that is bent."""
    why: str


@cache
def forecasts() -> Forecasts:
    trained = train(wearing_fleet(), seed=3, name="wearing", cap=CAP, recipe=QUICK, fold_count=3)
    story = audits.Story(trained, [])
    story.log = Log()
    story.log.grant(audits.RECORDER, {Capability.RECORD})
    story.log.grant(audits.FORECASTER, {Capability.PREDICT})
    for row in list(wearing_fleet(1, seed=8).units[0].rows())[:40]:
        story.tell(row)

    def bundle() -> bytes:
        return format_bundle(replace(story.log.bundle(), blobs={trained.digest: trained.model}))

    sound, told = bundle(), len(story.findings())
    said = story.prediction()
    assert said is not None
    entry = story.predict(replace(said, point=audits.next_bit(said.point)))
    policy = policy_text(story.log.policy()).decode()
    return Forecasts(sound, bundle(), policy, told, entry, story.findings()[-1].why)


def lie(name: str, step: Any, **more: Any) -> dict[str, Any]:
    words = {
        "title": f"Lie called {name}",
        "told": f"Somebody did {name}.",
        "caught": {"step": step, "words": "so it is"},
    }
    return {"id": name, **words, **more}


def lay(folder: Path) -> None:
    """Write a guide as the demonstration does."""
    made = forecasts()
    folder.mkdir()
    (folder / "policy.txt").write_text(made.policy)
    (folder / "story.twinproof").write_bytes(made.sound)
    (folder / "bent.twinproof").write_bytes(made.bent)
    lies = []
    for name, which in LIES.items():
        make, step = REFUSED[which]
        told = make()
        (folder / f"{name}.twinproof").write_bytes(told.bundle)
        (folder / f"{name}.txt").write_text(told.policy)
        lies.append(lie(name, step, file=f"{name}.twinproof", policy=f"{name}.txt"))
    lies.append(lie("bent", "replay", file="bent.twinproof", models=True))
    # The story is wrong about this one: nothing is altered in it.
    lies.append(lie("honest", 4, file="story.twinproof"))
    lies.append(lie("counterfeit", "chain", link="#/part/7"))
    steps = [
        {"title": "The fleet", "text": "All twins.", "link": "#/"},
        {"title": "The log", "text": "Its growth and its anchors.", "link": "#/ledger"},
        {"title": "The alarms", "text": "What needs somebody.", "link": "#/alarms"},
    ]
    sound = {"file": "story.twinproof", "told": "A whole life in one file."}
    told_of = {"title": "A machine that wears", "steps": steps, "policy": "policy.txt", "sound": sound, "lies": lies}
    operator = OPERATOR.key.public.thumbprint.hex()
    (folder / "guide.json").write_text(json.dumps({**told_of, "operator": operator, "blocks": ["0x" + "00" * 32]}))


@pytest.fixture
def laid(world: World) -> Iterator[Path]:
    folder = world.live.node.folder / "guide"
    lay(folder)
    yield folder
    shutil.rmtree(folder)


def card(page: Page, title: str) -> Locator:
    return page.get_by_role("article").filter(has=page.get_by_role("heading", name=title, exact=True))


def standings(found: Locator) -> list[str]:
    marks: list[str] = found.locator(".guide-mark").evaluate_all("all => all.map(one => one.dataset.standing)")
    return marks


def press(found: Locator) -> Locator:
    """Check the card's file; its verdict."""
    found.get_by_role("button", name="Check it here").click()
    return found.locator(".verify-verdict")


# --- without a story ---------------------------------------------------------------


def test_a_node_without_a_story_says_how_to_get_one(desk: Desk, axe: Axe) -> None:
    page = desk.page(desk.world.link("/guide"))
    expect(page.get_by_text("This node tells no story")).to_be_visible()
    expect(page.get_by_text("twinproof demo")).to_be_visible()
    axe(page)
    page.get_by_role("navigation", name="What is here to look at").get_by_role("link", name="Verify").click()
    expect(page.get_by_role("heading", level=1, name="Verify")).to_be_visible()


def test_a_token_of_some_twins_is_told_that_the_guide_takes_more(desk: Desk, closed: str, faults: Faults) -> None:
    faults.allow("403")
    page = desk.page(f"{closed}/console/#/signin?token={desk.world.token('prefix:https://fleet.example/engine/')}")
    page.wait_for_url("**/console/#/")
    page.goto(f"{closed}/console/#/guide")
    expect(page.get_by_text("The guide is not open to you")).to_be_visible()


def test_a_guide_that_is_none_is_an_error(desk: Desk, laid: Path, faults: Faults) -> None:
    faults.allow("500")
    guide = json.loads((laid / "guide.json").read_text())
    guide["steps"][0]["link"] = "javascript:alert(1)"
    (laid / "guide.json").write_text(json.dumps(guide))
    page = desk.page(desk.world.link("/guide"))
    expect(page.get_by_role("alert")).to_contain_text("guide.json: link is not what it must be")
    guide["policy"] = "../node.toml"
    (laid / "guide.json").write_text(json.dumps(guide))
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("alert")).to_contain_text("which is no file of the folder")


# --- with one ----------------------------------------------------------------------


def test_the_story_leads_through_the_console(desk: Desk, laid: Path, axe: Axe, shot: Shot) -> None:
    page = desk.page(desk.world.link("/guide"))
    expect(page.get_by_role("heading", level=1)).to_have_text("A machine that wears")
    expect(page.get_by_role("article")).to_have_count(7)
    axe(page)
    shot(page, "guide")
    page.get_by_role("link", name="The log", exact=True).click()
    expect(page).to_have_url(desk.world.link("/ledger"))
    page.go_back()
    card(page, "Lie called counterfeit").get_by_role("link", name="See it here").click()
    expect(page).to_have_url(desk.world.link("/part/7"))


def test_the_evidence_holds_and_its_predictions_come_out_again(desk: Desk, laid: Path) -> None:
    page = desk.page(desk.world.link("/guide"))
    sound = card(page, "The evidence")
    verdict = press(sound)
    expect(verdict).to_contain_text(f"{forecasts().told} predictions come out again bit for bit", timeout=LONG)
    expect(verdict).to_contain_text("As the story says")
    assert standings(sound) == ["passed"] * 11
    # By the node's own policy nothing is green.
    expect(page.locator(".verify-verdict-passed")).to_have_count(0)


@pytest.mark.parametrize("name", LIES)
def test_a_lie_is_refused_where_python_refuses_it(desk: Desk, laid: Path, name: str) -> None:
    make, step = REFUSED[LIES[name]]
    page = desk.page(desk.world.link("/guide"))
    found = card(page, f"Lie called {name}")
    verdict = press(found)
    expect(verdict).to_contain_text(f"Refused at step {step}: {STEPS[step].capitalize()}")
    expect(verdict).to_contain_text("As the story says")
    expect(verdict.locator(".verify-findings li")).to_have_text(list(make().problems))
    assert standings(found) == ["passed"] * (step - 1) + ["failed"] + ["notReached"] * (10 - step)


def test_a_forecast_by_the_right_key_is_found_by_the_replay_alone(desk: Desk, laid: Path, axe: Axe) -> None:
    page = desk.phone(desk.world.link("/guide"))
    found = card(page, "Lie called bent")
    verdict = press(found)
    expect(verdict).to_contain_text("1 prediction is not what its readings and its model give", timeout=LONG)
    made = forecasts()
    expect(verdict.locator(".verify-findings li")).to_have_text([f"Entry {made.entry}: {made.why}"])
    expect(verdict).to_contain_text("As the story says")
    assert standings(found) == ["passed"] * 10 + ["failed"]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    axe(page)


def test_a_story_that_is_wrong_itself_is_told_so(desk: Desk, laid: Path) -> None:
    page = desk.page(desk.world.link("/guide"), color_scheme="dark")
    verdict = press(card(page, "Lie called honest"))
    expect(verdict).to_contain_text("Ten steps hold")
    expect(verdict).to_contain_text("The story says otherwise")


def test_a_file_that_is_gone_is_an_error_and_can_be_asked_again(desk: Desk, laid: Path, faults: Faults) -> None:
    faults.allow("404")
    page = desk.page(desk.world.link("/guide"))
    expect(page.get_by_role("article")).to_have_count(7)
    path = laid / "altered.twinproof"
    kept = path.read_bytes()
    path.unlink()
    found = card(page, "Lie called altered")
    found.get_by_role("button", name="Check it here").focus()
    page.keyboard.press("Enter")
    expect(found.get_by_role("alert")).to_contain_text("altered.twinproof")
    path.write_bytes(kept)
    found.get_by_role("button", name="Check again").click()
    expect(found.locator(".verify-verdict")).to_contain_text("Refused at step 4")
