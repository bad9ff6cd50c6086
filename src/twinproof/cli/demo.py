"""`twinproof demo`: the whole way from a sensor to an auditor, really run."""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from twinproof.cli.demo_stage import PASSWORD
from twinproof.cli.demo_story import Story
from twinproof.cli.fleet import find_file, read_units
from twinproof.cli.options import FOLDER, NEW_FOLDER, json_option
from twinproof.cli.output import print_json
from twinproof.exchange.cmapss.layout import Snapshot

SHARED = Path("../shared/data/cmapss")
"""Where a copy of the data lies in a development checkout."""
DATASET = "FD001"
SEED = 2008
FAST_FLIGHTS = 25
DEVICELESS = 2
"""Engines that a gateway records."""
HISTORY = 12
"""Engines more for the forecasts: one joins late, from the others a model learns."""


@click.command()
@click.option(
    "--data", type=FOLDER, metavar="DIR", help="Your copy of NASA's C-MAPSS data; else engines are simulated."
)
@click.option("--keep", type=NEW_FOLDER, metavar="FOLDER", help="Keep everything in this new folder, to look around.")
@click.option("--engines", type=click.IntRange(2, 20), default=4, show_default=True, help="How many engines fly.")
@click.option("--fast", is_flag=True, help=f"Two engines, {FAST_FLIGHTS} flights each.")
@click.option("--open", "browser", is_flag=True, help="Open the console in this machine's browser.")
@click.option(
    "--wait/--no-wait", default=None, help="Serve the console until Ctrl-C afterwards; on a terminal it does."
)
@json_option
def demo(
    data: Path | None, keep: Path | None, engines: int, fast: bool, browser: bool, wait: bool | None, as_json: bool
) -> None:
    """Show the whole way, really run: a node, devices that sign, a crash, an auditor, a chain, an order, lies found.

    \b
    Examples:
      twinproof demo
      twinproof demo --keep ./demo --data ./CMAPSSData

    At its beginning it prints a link: open it, and see in the node's console what happens as it happens.

    Takes one to two minutes and needs no network but this machine's own. Nothing is staged: every line comes from a
    node process, from signed statements over HTTP, from contracts on a chain, and from a verifier of its own process.
    """
    if wait and as_json:
        raise click.UsageError("--json ends with the summary: leave out --wait")
    wait = sys.stdout.isatty() and not as_json if wait is None else wait
    if keep is not None and keep.exists() and any(keep.iterdir()):
        raise click.UsageError(f"{keep} is not empty; name a new folder")
    started = time.monotonic()
    with ExitStack() as stack:
        folder = keep or Path(tempfile.mkdtemp(prefix="twinproof-demo-"))
        if keep is None:
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        flying = (2 if fast else engines) + DEVICELESS
        rows, source = _rows(data, flying + HISTORY)
        units = list(rows)
        history = {unit: rows.pop(unit) for unit in units[flying:]}
        if fast:
            # Evenly over their lives: what wears still shows.
            last = FAST_FLIGHTS - 1
            rows = {
                unit: [flights[number * (len(flights) - 1) // last] for number in range(FAST_FLIGHTS)]
                for unit, flights in rows.items()
            }
        devices = {unit: rows[unit] for unit in units[: flying - DEVICELESS]}
        deviceless = {unit: rows[unit] for unit in units[flying - DEVICELESS : flying]}
        story = stack.enter_context(
            Story(folder.resolve(), DATASET, devices, deviceless, history, source, quiet=as_json, browser=browser)
        )
        summary = story.tell()
        summary["seconds"] = round(time.monotonic() - started, 1)
        if as_json:
            print_json(summary)
            return
        _tell_what_next(summary, keep)
        if wait:
            story.stay()


def _tell_what_next(summary: dict[str, Any], keep: Path | None) -> None:
    click.echo(click.style("\nWhat to try next", bold=True) + f"   (this took {summary['seconds']} s)")
    if keep is not None:
        click.echo(f"  twinproof serve {keep}/sound      the node, as it was before its database was altered")
        click.echo(f"  twinproof verify {keep}/auditor/engine.twinproof --policy {keep}/auditor/policy.txt --state")
        if summary["chain"]:
            told = f"--policy {keep}/auditor/policy.txt --block {summary['block']} --replay"
            click.echo(f"  twinproof verify {keep}/auditor/story.twinproof {told}")
            click.echo(f"  twinproof agreement show 1 --folder {keep}/sound")
            party = f"supplier --account {keep}/supplier.json --password-file {keep}/{PASSWORD}"
            click.echo(f"  twinproof chain account hold {party} --folder {keep}/sound     its console acts for both")
        click.echo(f"  twinproof twin list --folder {keep}/sound")
    else:
        click.echo("  twinproof demo --keep ./demo     the same, and everything stays there to look around")
    click.echo("  twinproof init ./node --origin twin.example/log0 --operator https://twin.example/operator")
    click.echo("  twinproof --help")


def _rows(data: Path | None, engines: int) -> tuple[dict[int, list[Snapshot]], str]:
    """Real flights if there are any, else simulated ones; and what they are, in words."""
    directory = data or (SHARED if SHARED.is_dir() else None)
    if directory is not None:
        path = find_file(directory, DATASET)
        return read_units(path, engines, lambda done, total: None), f"NASA C-MAPSS {DATASET}, {path}"
    # Pure standard library; loaded just for this.
    from twinproof.exchange.cmapss.simulate import simulate_engine

    rng = random.Random(SEED)  # noqa: S311 - a simulation, repeatable on purpose
    simulated = {unit: list(simulate_engine(rng, unit)) for unit in range(1, engines + 1)}
    return simulated, "simulated turbofans (give --data DIR for NASA's C-MAPSS)"
