"""A series of a million readings in the console, in a real browser: opened, then zoomed into.

    python -m bench console_series

The node is its own process with its default settings, the browser is Debian's Chromium without a screen. Opening
counts from the change of the address, with the console loaded, until the chart names its readings and a frame was
drawn; loading the screen's code is in it. Zooming counts from the key until the answer for the new span is drawn.
Needs the built console (`make console`).
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import quote

from playwright.sync_api import Page, sync_playwright

from bench.intake import OPERATOR, ORIGIN, serving
from twinproof.node.config import FILE_NAME, Limits, format_config, load_config
from twinproof.node.intake import Accepted
from twinproof.node.live import open_live
from twinproof.node.node import WritingNode, init_node
from twinproof.twin.columns import COLUMNS, format_columns
from twinproof.twin.statement import parse_statement, sign_statement

TWIN = "https://bench.example/engine"
EACH = 5000
"""Readings of one statement."""
ROUNDS = 5
ZOOMS = 6
START = 1_700_000_000
OPEN = """([hash, said]) => new Promise(done => {
    const began = performance.now();
    const look = () => {
        const note = document.querySelector('.series-note');
        if (note === null || !note.textContent.startsWith(said) || document.querySelector('.series canvas') === null) {
            requestAnimationFrame(look);
            return;
        }
        // uPlot draws in a microtask after its data came, the next frame shows it.
        requestAnimationFrame(() => done(performance.now() - began));
    };
    location.hash = hash;
    look();
})"""
KEY = """key => {
    const chart = document.querySelector('.series-canvas');
    const note = document.querySelector('.series-note');
    const before = note.textContent;
    const began = performance.now();
    return new Promise(done => {
        const watch = new MutationObserver(() => {
            if (note.textContent === before) return;
            watch.disconnect();
            requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - began)));
        });
        watch.observe(note, {childList: true, characterData: true, subtree: true});
        chart.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}));
    });
}"""


def fill(node: WritingNode, points: int) -> None:
    """One signal, a reading a second, signed by the operator, who may say anything."""
    key, prev = node.operator_key(), None
    for seq, first in enumerate(range(0, points, EACH)):
        values = [640.0 + (number % 997) / 50 for number in range(first, min(points, first + EACH))]
        payload = format_columns(float(START + first), [("T24", "K", values)], step=1.0)
        raw = sign_statement(
            key, issuer=OPERATOR, subject=TWIN, content_type=COLUMNS, payload=payload,
            seq=seq, prev=prev, issued_at=START + first,
        )  # fmt: skip
        prev = parse_statement(raw).digest
        [outcome] = node.intake.submit([raw]).result(60)
        assert isinstance(outcome, Accepted), outcome


def opening(page: Page, url: str, said: str) -> float:
    """Milliseconds until the whole series is drawn."""
    page.goto(f"{url}/console/")
    page.get_by_role("heading", level=1).wait_for()
    return float(page.evaluate(OPEN, [f"/twin/{quote(TWIN, safe='')}", said]))


def run(quick: bool) -> dict[str, Any]:
    """Fill a node, serve it, look at it."""
    points = 50_000 if quick else 1_000_000
    path = next(found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name)))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "node"
        init_node(folder, ORIGIN, OPERATOR)
        (folder / FILE_NAME).write_text(format_config(replace(load_config(folder), limits=Limits(rate=0))))
        with open_live(folder) as live:
            began = time.perf_counter()
            fill(live.node, points)
            assert live.telemetry.wait(live.feed.size - 1, 600)
            filled = time.perf_counter() - began
        with serving(folder) as (address, _), sync_playwright() as playwright:
            url = f"http://{address[0]}:{address[1]}"
            flags = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
            browser = playwright.chromium.launch(executable_path=path, args=flags)
            said = f"{points:,} readings"
            openings: list[float] = []
            for _ in range(ROUNDS):
                page = browser.new_page(viewport={"width": 1280, "height": 800})
                openings.append(opening(page, url, said))
                if len(openings) < ROUNDS:
                    page.close()
            sizes = page.evaluate(
                "performance.getEntriesByType('resource').filter(one => one.name.includes('/telemetry/'))"
                ".map(one => one.decodedBodySize)"
            )
            zooms = [float(page.evaluate(KEY, "+")) for _ in range(ZOOMS)]
            browser.close()
    return {
        "points": points,
        "filling_seconds": round(filled, 1),
        "opening_ms": [round(one) for one in openings],
        "opening_median_ms": round(median(openings)),
        "zoom_median_ms": round(median(zooms)),
        "answer_bytes": max(sizes),
    }


if __name__ == "__main__":
    print(json.dumps(run("--quick" in sys.argv)))
