"""A fleet of 2,000 twins in the console while each of them changes ten values a second, in a real browser.

    python -m bench console

A statement a second and twin holds ten readings; they were signed before and are posted while the page is looked at.
The node is its own process with its default settings but for the limit of statements a second; the browser is
Debian's Chromium without a screen, drawing on the same cores. A frame is the time between two calls of
requestAnimationFrame, a first view the time from the navigation until a twin's row is there, nothing cached. Needs
the built console (`make console`).
"""

from __future__ import annotations

import gzip
import json
import shutil
import sys
import tempfile
import threading
import time
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import Page, sync_playwright

from bench.intake import OPERATOR, ORIGIN, serving
from twinproof.node.config import FILE_NAME, Limits, format_config, load_config
from twinproof.node.intake import Accepted
from twinproof.node.live import open_live
from twinproof.node.node import init_node
from twinproof.proof.keys import PrivateKey
from twinproof.server.console import WEB
from twinproof.twin.columns import COLUMNS, format_columns
from twinproof.twin.description import DESCRIPTION, Description, Lifecycle, format_description
from twinproof.twin.statement import parse_statement, sign_statement

FLEET = "https://bench.example/engine/"
SIGNALS = ("T2", "T24", "T30", "T50", "P2", "P30", "Nf", "Nc", "phi", "NRf")
BATCH = 500
"""Statements of one request."""
START = 1_700_000_000
VIEWS = 5
"""First views, each in a profile of its own."""
FRAMES = """seconds => new Promise(done => {
    const frames = [];
    const began = performance.now();
    let before = null;
    const frame = now => {
        if (before !== null) frames.push(now - before);
        before = now;
        if (now - began < seconds * 1000) requestAnimationFrame(frame);
        else done(frames);
    };
    requestAnimationFrame(frame);
})"""
POLLS = """() => performance.getEntriesByType('resource')
    .filter(one => one.name.includes('/api/v1/fleet') && one.name.includes('since='))
    .map(one => [one.startTime, one.decodedBodySize, one.duration])"""


class Speaker:
    """The operator's streams about all twins, who may say anything."""

    def __init__(self, key: PrivateKey, twins: int) -> None:
        self._key = key
        self._twins = twins
        self._heads: dict[int, tuple[int, bytes]] = {}

    def say(self, twin: int, kind: str, payload: bytes, at: int) -> bytes:
        """The next statement about a twin."""
        seq, prev = self._heads.get(twin, (0, None))
        raw = sign_statement(
            self._key, issuer=OPERATOR, subject=f"{FLEET}{twin:04}", content_type=kind, payload=payload,
            seq=seq, prev=prev, issued_at=at,
        )  # fmt: skip
        self._heads[twin] = seq + 1, parse_statement(raw).digest
        return raw

    def describe(self) -> list[bytes]:
        """A name for each twin."""
        said = [Description(None, Lifecycle.IN_SERVICE, {"name": f"Engine {twin:04}"}) for twin in range(self._twins)]
        return [self.say(twin, DESCRIPTION, format_description(one), START) for twin, one in enumerate(said)]

    def read(self, second: int) -> list[bytes]:
        """Ten readings of each twin."""
        at = START + second
        columns = [(name, None, [600.0 + second + number]) for number, name in enumerate(SIGNALS)]
        payload = format_columns(float(at), columns)
        return [self.say(twin, COLUMNS, payload, at) for twin in range(self._twins)]


class Poster(threading.Thread):
    """Posts what was signed, spread evenly over time."""

    def __init__(self, address: tuple[str, int], statements: list[bytes], rate: float) -> None:
        super().__init__(name="poster")
        self._address = address
        self._statements = statements
        self._rate = rate
        self.posted = 0
        self.seconds = 0.0
        self._stopped = threading.Event()

    def run(self) -> None:
        connection = HTTPConnection(*self._address, timeout=60)
        began = time.perf_counter()
        for first in range(0, len(self._statements), BATCH):
            if self._stopped.wait(max(0.0, began + first / self._rate - time.perf_counter())):
                break
            body = b"".join(self._statements[first : first + BATCH])
            connection.request("POST", "/entries/batch", body, {"content-type": "application/cbor-seq"})
            answer = connection.getresponse()
            data = answer.read()
            assert answer.status == 200, data
            self.posted += min(BATCH, len(self._statements) - first)
        self.seconds = time.perf_counter() - began
        connection.close()

    def stop(self) -> None:
        self._stopped.set()
        self.join()


def scripts() -> int:
    """Bytes, gzip, of the JavaScript that a first view of the frame loads."""
    manifest = json.loads((WEB / "manifest.json").read_text())
    wanted, seen = [key for key, chunk in manifest.items() if chunk.get("isEntry")], set()
    while wanted:
        key = wanted.pop()
        if key not in seen:
            seen.add(key)
            wanted += manifest[key].get("imports", [])
    return sum(len(gzip.compress((WEB / manifest[key]["file"]).read_bytes(), 9)) for key in seen)


def first_view(page: Page, url: str) -> float:
    """Milliseconds until the fleet is there and can be filtered."""
    page.goto(f"{url}/console/")
    page.get_by_role("link", name="Engine 0000").wait_for()
    return float(page.evaluate("() => performance.now()"))


def part(numbers: list[float], share: float) -> float:
    """That share of the numbers is at most this one."""
    return round(sorted(numbers)[min(len(numbers) - 1, int(len(numbers) * share))], 1)


def run(quick: bool) -> dict[str, Any]:
    """Milliseconds of frames and of first views, bytes of JavaScript."""
    twins, seconds = (200, 4) if quick else (2000, 20)
    path = next(found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name)))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "node"
        init_node(folder, ORIGIN, OPERATOR)
        (folder / FILE_NAME).write_text(format_config(replace(load_config(folder), limits=Limits(rate=0))))
        with open_live(folder) as live:
            speaker = Speaker(live.node.operator_key(), twins)
            outcomes = live.node.intake.submit([*speaker.describe(), *speaker.read(0)]).result(120)
            assert all(isinstance(outcome, Accepted) for outcome in outcomes), outcomes[0]
            assert live.states.wait(live.feed.size, 120)
        print("  signing", file=sys.stderr, flush=True)
        statements = [raw for second in range(1, seconds + 5) for raw in speaker.read(second)]
        with serving(folder) as (address, _), sync_playwright() as playwright:
            url = f"http://{address[0]}:{address[1]}"
            browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
            views = []
            for _ in range(VIEWS):
                page = browser.new_page(viewport={"width": 1280, "height": 800})
                views.append(first_view(page, url))
                if len(views) < VIEWS:
                    page.close()
            still = page.evaluate(FRAMES, 2)
            poster = Poster(address, statements, rate=twins)
            poster.start()
            frames = page.evaluate(FRAMES, seconds)
            polls = page.evaluate(POLLS)
            poster.stop()
            browser.close()
    return {
        "twins": twins,
        "changes_per_second": round(poster.posted * len(SIGNALS) / poster.seconds),
        "frames": len(frames),
        "frame_median_ms": part(frames, 0.5),
        "frame_p95_ms": part(frames, 0.95),
        "frame_p99_ms": part(frames, 0.99),
        "frame_longest_ms": round(max(frames), 1),
        "frame_p95_still_ms": part(still, 0.95),
        "polls": len([size for _, size, _ in polls if size > 1000]),
        "poll_bytes_largest": max(size for _, size, _ in polls),
        "poll_median_ms": part([took for _, size, took in polls if size > 1000], 0.5),
        "first_view_ms": [round(one) for one in views],
        "first_view_median_ms": round(median(views)),
        "initial_javascript_gzip_bytes": scripts(),
    }


if __name__ == "__main__":
    print(json.dumps(run("--quick" in sys.argv)))
