"""`twinproof demo`: the whole way from a sensor to an auditor, really run."""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import click

from twinproof.cli.demo_story import Engines, Story
from twinproof.cli.fleet import find_file, read_units
from twinproof.cli.options import FOLDER, NEW_FOLDER, json_option
from twinproof.cli.output import print_json

SHARED = Path("../shared/data/cmapss")
"""Where a copy of the data lies in a development checkout."""
DATASET = "FD001"
SEED = 2008
FAST_FLIGHTS = 25
DEVICELESS = 2
"""Engines that a gateway records."""


@click.command()
@click.option(
    "--data", type=FOLDER, metavar="DIR", help="Your copy of NASA's C-MAPSS data; else engines are simulated."
)
@click.option("--keep", type=NEW_FOLDER, metavar="FOLDER", help="Keep everything in this new folder, to look around.")
@click.option("--engines", type=click.IntRange(2, 20), default=4, show_default=True, help="How many engines fly.")
@click.option("--fast", is_flag=True, help=f"Two engines, {FAST_FLIGHTS} flights each.")
@json_option
def demo(data: Path | None, keep: Path | None, engines: int, fast: bool, as_json: bool) -> None:
    """Show the whole way, really run: a node, devices that sign, a crash, an auditor, forgeries that are found.

    \b
    Examples:
      twinproof demo
      twinproof demo --keep ./demo --data ./CMAPSSData

    Takes under a minute and needs no network but this machine's own. Nothing is staged: every line comes from a node
    process, from signed statements over HTTP, and from a verifier in a process of its own.
    """
    if keep is not None and keep.exists() and any(keep.iterdir()):
        raise click.UsageError(f"{keep} is not empty; name a new folder")
    started = time.monotonic()
    with ExitStack() as stack:
        folder = keep or Path(tempfile.mkdtemp(prefix="twinproof-demo-"))
        if keep is None:
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        rows, source = _rows(data, (2 if fast else engines) + DEVICELESS)
        if fast:
            # Evenly over their lives: what wears still shows.
            last = FAST_FLIGHTS - 1
            rows = {
                unit: [flights[number * (len(flights) - 1) // last] for number in range(FAST_FLIGHTS)]
                for unit, flights in rows.items()
            }
        units = list(rows)
        devices = {unit: rows[unit] for unit in units[:-DEVICELESS]}
        deviceless = {unit: rows[unit] for unit in units[-DEVICELESS:]}
        story = stack.enter_context(Story(folder.resolve(), DATASET, devices, deviceless, source, quiet=as_json))
        summary = story.tell()
    summary["seconds"] = round(time.monotonic() - started, 1)
    if as_json:
        print_json(summary)
        return
    click.echo(click.style("\nWhat to try next", bold=True) + f"   (this took {summary['seconds']} s)")
    if keep is not None:
        click.echo(f"  twinproof serve {keep}/sound      the node, as it was before its database was altered")
        click.echo(f"  twinproof verify {keep}/auditor/engine.twinproof --policy {keep}/auditor/policy.txt --state")
        click.echo(f"  twinproof twin list --folder {keep}/sound")
    else:
        click.echo("  twinproof demo --keep ./demo     the same, and everything stays there to look around")
    click.echo("  twinproof init ./node --origin twin.example/log0 --operator https://twin.example/operator")
    click.echo("  twinproof --help")


def _rows(data: Path | None, engines: int) -> tuple[Engines, str]:
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
