"""A history of 10,000 entries verified in a real browser, by the page that needs no node.

    python -m bench console_verify

The page holds the bundle and is opened from a disk in Debian's Chromium without a screen. Verifying counts from the
bundle's way to the worker until its verdict is there; opening, from the navigation until it is drawn. A long task is
one that keeps the page from answering for over 50 ms. Needs the built page (`make console`).
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import Page, sync_playwright

from bench.intake import FLEET, OPERATOR, ORIGIN, grant_all, make_chains
from twinproof.cli.evidence_page import fill_page, read_page
from twinproof.node.intake import Accepted
from twinproof.node.keyring import new_private_key
from twinproof.node.node import init_node, open_node

GROUP = 1000
ROUNDS = 5
TRAVELS = 5
WATCH = """window.tasks = [];
new PerformanceObserver(list => window.tasks.push(...list.getEntries().map(one => one.duration)))
    .observe({entryTypes: ['longtask']});"""
TRAVEL = """at => new Promise(done => {
    const began = performance.now();
    const slider = document.querySelector('.verify-slider input');
    const said = document.querySelector('.verify-detail h3');
    const before = said.textContent;
    const set = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set;
    set.call(slider, String(at));
    slider.dispatchEvent(new Event('input', {bubbles: true}));
    const look = () => document.querySelector('.verify-detail h3').textContent === before
        ? requestAnimationFrame(look) : done(performance.now() - began);
    look();
})"""


def evidence(folder: Path, entries: int) -> tuple[bytes, bytes]:
    """A twin's bundle, and the policy of its log."""
    keys = [new_private_key()]
    init_node(folder, ORIGIN, OPERATOR)
    grant_all(folder, keys)
    chains = make_chains(keys, "senml_1", entries)
    with open_node(folder) as node:
        for chain in chains:
            for at in range(0, len(chain), GROUP):
                outcomes = node.intake.submit(chain[at : at + GROUP]).result()
                assert all(isinstance(outcome, Accepted) for outcome in outcomes)
        return node.evidence.bundle(f"{FLEET}senml_1/0", "bench"), (folder / "policy.txt").read_bytes()


def opened(page: Page, path: Path) -> tuple[float, float]:
    """Seconds of the verification, by the page, and until its result is drawn."""
    began = time.perf_counter()
    page.goto(path.as_uri())
    page.wait_for_selector(".verify-detail", timeout=120_000)
    took = time.perf_counter() - began
    return float(page.locator(".verify-verdict").get_attribute("data-seconds") or "nan"), took


def run(quick: bool) -> dict[str, Any]:
    """Seconds to verify and to draw, the longest task, milliseconds from entry to entry."""
    entries = 1_000 if quick else 10_000
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        bundle, policy = evidence(Path(scratch) / "node", entries)
        path = Path(scratch) / "evidence.html"
        path.write_bytes(fill_page(read_page(), "bench.twinproof", bundle, policy))
        chromium = next(
            found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))
        )
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        verified, drawn, longest, travels = [], [], [], []
        for _ in range(1 if quick else ROUNDS):
            page = browser.new_page()
            page.add_init_script(WATCH)
            seconds, took = opened(page, path)
            verified.append(seconds)
            drawn.append(took)
            longest.append(page.evaluate("Math.max(0, ...window.tasks)"))
            travels += [page.evaluate(TRAVEL, at * entries // TRAVELS) for at in range(TRAVELS)]
            page.close()
        version = browser.version
        browser.close()
    return {
        "entries": entries,
        "bundle_bytes": len(bundle),
        "page_bytes": len(read_page()),
        "verified_s": {"median": round(median(verified), 2), "longest": round(max(verified), 2)},
        "opened_s": {"median": round(median(drawn), 2), "longest": round(max(drawn), 2)},
        "longest_task_ms": round(max(longest)),
        "entry_to_entry_ms": {"median": round(median(travels)), "longest": round(max(travels))},
        "chromium": version,
    }


if __name__ == "__main__":
    print(json.dumps(run("--quick" in sys.argv)))
