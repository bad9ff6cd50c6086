"""`twinproof import`: other people's data sets, as signed histories."""

from __future__ import annotations

from pathlib import Path

import click

from twinproof.cli.fleet import Fleet, find_file, read_units
from twinproof.cli.grant import granter_key, key_option
from twinproof.cli.options import FOLDER, NEW_FOLDER, TIME, json_option, require_one, target_options
from twinproof.cli.output import count, print_json, progress
from twinproof.cli.target import open_log, open_sink, read_authority

BASE = "https://twin.example/engine/"
START = "2008-01-01"


@click.group(name="import")
def importing() -> None:
    """Turn data sets of other people into twins with signed histories.

    \b
    Example:
      twinproof import cmapss ./CMAPSSData --folder ./node --units 5
    """


@importing.command()
@click.argument("directory", type=FOLDER, metavar="DIR")
@click.option("--dataset", type=click.Choice(["FD001", "FD002", "FD003", "FD004"]), default="FD001", show_default=True)
@click.option("--units", type=click.IntRange(1, 999), help="Only the first N engines.")
@click.option("--base", default=BASE, show_default=True, help="Twins are named BASE + FD001-001.")
@click.option("--start", type=TIME, default=START, show_default=True, help="Day of the first flight; one flight a day.")
@click.option("--keys", type=NEW_FOLDER, default="cmapss-keys", show_default=True, help="Folder of the device keys.")
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="Statements a second at most.")
@target_options
@key_option
@json_option
def cmapss(
    directory: Path,
    dataset: str,
    units: int | None,
    base: str,
    start: int,
    keys: Path,
    rate: float | None,
    folder: Path | None,
    url: str | None,
    key_file: Path | None,
    as_json: bool,
) -> None:
    """Import NASA's C-MAPSS turbofan data from DIR: your own copy of train_FD001.txt and so on, plain or .gz.

    \b
    Examples:
      twinproof import cmapss ./CMAPSSData --folder ./node
      twinproof import cmapss ./CMAPSSData --dataset FD003 --units 10 --url http://127.0.0.1:8600 --key operator.pem

    Each engine becomes a twin with its own device and key, which the operator grants; each flight becomes one
    statement with three settings and 21 sensors. The files hold no times: a calendar of one flight a day is assumed,
    and each twin's description says so. Run again after an interruption, it goes on where the log ends.
    """
    require_one(folder, url)
    path = find_file(directory, dataset)
    operator = granter_key(key_file, folder)
    with progress("Reading") as report:
        engines = read_units(path, units, report)
    with open_log(folder, url) as log:
        authority, origin = read_authority(log), log.origin
    with open_sink(folder, url) as sink, progress("Importing") as report:
        fleet = Fleet(sink, dataset, base, start, keys)
        granted = fleet.grant(operator, authority, origin, engines.keys())
        delivered, there = fleet.deliver(engines, report, rate)
    if as_json:
        print_json(
            {
                "dataset": dataset,
                "engines": len(engines),
                "granted": granted,
                "delivered": delivered,
                "already_there": there,
                "keys": str(keys),
            }
        )
        return
    click.echo(
        f"{dataset}: {count(len(engines), 'engine')}, {count(delivered, 'statement')} delivered, {there:,} were there."
    )
    where = f"--folder {folder}" if folder else f"--url {url}"
    click.echo(f"See one with: twinproof twin show {base}{dataset}-001 {where}")
