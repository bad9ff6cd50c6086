"""A real node and a real browser: Debian's Chromium through Playwright.

A page fails its test on an error on the console, an error nobody caught, a violation of the content policy, a
request to another origin. Without Chromium or the built console (`make console`) the tests are skipped, and fail in CI.
TWINPROOF_CONSOLE names another folder with a build, TWINPROOF_SCREENSHOTS=1 writes the pictures of the documentation.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect, sync_playwright

from tests.console.world import World, made, served
from twinproof.server import console
from twinproof.server.access import Access

_REPOSITORY = Path(__file__).resolve().parents[2]
AXE = _REPOSITORY / "web" / "node_modules" / "axe-core" / "axe.min.js"
PICTURES = _REPOSITORY / "docs" / "images" / "console"
# A wait, not a budget: other tests share the machine.
expect.set_options(timeout=20_000)
WIDE = {"width": 1280, "height": 800}
PHONE = {"width": 360, "height": 740}
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def _absent(what: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(scope="session")
def built() -> Path:
    """The folder of the built console."""
    folder = Path(os.environ.get("TWINPROOF_CONSOLE", console.WEB))
    if not (folder / "index.html").is_file():
        _absent("the console is not built: `make console`, with Node.js")
    return folder


@pytest.fixture(scope="module")
def world(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The node that a module's tests share; what they add goes to twins of their own."""
    with (
        patch("twinproof.server.live_app.Console", partial(console.Console, folder=built)),
        made(tmp_path_factory.mktemp("console") / "node") as found,
    ):
        yield found


@pytest.fixture(scope="module")
def closed(world: World) -> Iterator[str]:
    """The address of the same node where reading takes a token."""
    access = Access(world.live.node)
    access.open = access.open_here = False
    with served(world.live, access) as url:
        yield url


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    """Ends with the module: while it runs, its event loop is this thread's, and no other test could start one."""
    with sync_playwright() as found:
        yield found


@pytest.fixture(scope="module")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    path = next(
        (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
    )
    if path is None:
        _absent("no chromium here (Debian: apt-get install chromium)")
    flags = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    browser = playwright.chromium.launch(executable_path=path, args=flags)
    yield browser
    browser.close()


@dataclass
class Faults:
    """What a page must not do. `allow` takes what a test provokes: a pattern of the console's message."""

    found: list[str] = field(default_factory=list)
    allowed: list[re.Pattern[str]] = field(default_factory=list)

    def allow(self, pattern: str) -> None:
        self.allowed.append(re.compile(pattern))

    def add(self, text: str) -> None:
        self.found.append(text)

    def check(self) -> None:
        left = [text for text in self.found if not any(pattern.search(text) for pattern in self.allowed)]
        assert left == []


@dataclass
class Desk:
    """Opens pages; each watched."""

    browser: Browser
    world: World
    faults: Faults
    contexts: list[BrowserContext] = field(default_factory=list)

    def page(self, url: str | None = None, **settings: Any) -> Page:
        """A page in a browser profile of its own; `settings` are of Playwright's `new_context`."""
        settings = {
            "viewport": WIDE,
            "locale": "en-GB",
            "timezone_id": "Europe/Berlin",
            "color_scheme": "light",
            **settings,
        }
        context = self.browser.new_context(**settings)
        self.contexts.append(context)
        page = context.new_page()
        own = (url or self.world.url).split("/console/")[0]
        self.watch(page, own)
        if url is not None:
            page.goto(url)
        return page

    def phone(self, url: str, **settings: Any) -> Page:
        return self.page(url, viewport=PHONE, has_touch=True, **settings)

    def watch(self, page: Page, own: str) -> None:
        """Note all that a page must not do; `own` is the origin that it may ask."""

        def asked(url: str) -> None:
            if not url.startswith((f"{own}/", "data:", "blob:", "about:")):
                self.faults.add(f"request to {url}")

        page.on(
            "console",
            lambda said: self.faults.add(f"{said.text} ({said.location.get('url')})") if said.type == "error" else None,
        )
        page.on("pageerror", lambda error: self.faults.add(f"not caught: {error}"))
        page.on("request", lambda request: asked(request.url))


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def desk(chromium: Browser, world: World, faults: Faults) -> Iterator[Desk]:
    """Pages of the shared node."""
    found = Desk(chromium, world, faults)
    yield found
    for context in found.contexts:
        context.close()
    faults.check()


Axe = Callable[[Page], None]


@pytest.fixture(scope="session")
def axe() -> Axe:
    """Fails if axe-core finds anything on the page as it is."""
    if not AXE.is_file():
        _absent("axe-core is not there: `make console` sets web/node_modules up")
    source = AXE.read_text()

    def check(page: Page) -> None:
        # Evaluated by the debugger: the page's policy stays as strict as it is.
        page.evaluate(source + "; undefined")
        found = page.evaluate(
            "rules => axe.run(document, {runOnly: {type: 'tag', values: rules}, resultTypes: ['violations']})", RULES
        )
        problems = [
            f"{rule['id']}: {node['html'][:200]} – {node.get('failureSummary', '')}"
            for rule in found["violations"]
            for node in rule["nodes"]
        ]
        assert problems == [], "\n".join(problems)

    return check


Shot = Callable[[Page, str], Path]


@pytest.fixture
def shot(tmp_path: Path) -> Shot:
    """Write a picture of the page: into the documentation with TWINPROOF_SCREENSHOTS=1, else where nobody looks."""
    folder = PICTURES if os.environ.get("TWINPROOF_SCREENSHOTS") == "1" else tmp_path

    def write(page: Page, name: str) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.png"
        page.screenshot(path=path, animations="disabled")
        return path

    return write
