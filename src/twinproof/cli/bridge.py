"""`twinproof bridge`: gateways, which record on behalf of equipment that does not sign."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Any

import click

from twinproof.cli.options import FILE, FOLDER, NEW_FILE, TIME, json_option
from twinproof.cli.output import count, print_json, print_json_line
from twinproof.edge.bridge import Bridge, Tally
from twinproof.edge.gateway import run_gateway
from twinproof.edge.mapping import Mapping, check_mapping
from twinproof.edge.sources import FileSource, MqttSource
from twinproof.errors import ConfigError, TwinproofError
from twinproof.node import keyring

START = "2008-01-01"


@click.group()
def bridge() -> None:
    """Record what brokers, PLCs and files say, and sign it as a gateway.

    \b
    Example:
      twinproof bridge check plant.toml
      twinproof bridge run plant.toml

    One TOML file maps topics, nodes or columns to twins and signals: docs/connectors.md.
    """


@bridge.command()
@click.argument("file", type=FILE, metavar="FILE.toml")
@json_option
def check(file: Path, as_json: bool) -> None:
    """Check the mapping FILE.toml and that the files it names are there; nothing is connected.

    \b
    Example:
      twinproof bridge check plant.toml
    """
    mapping = check_mapping(file)
    sources = [_describe(kind, source) for kind, source in mapping.sources()]
    if as_json:
        print_json({"issuer": mapping.gateway.issuer, "node": mapping.gateway.node, "sources": sources})
        return
    click.echo(f"{mapping.gateway.issuer} delivers to {mapping.gateway.node}")
    for source in sources:
        click.echo(f"  {source['kind']} {source['name']}: {count(source['rules'], 'rule')}{source['what']}")


def _describe(kind: str, source: Any) -> dict[str, Any]:
    what = ""
    if isinstance(source, MqttSource):
        what = ", subscribes to " + ", ".join(source.filters)
    elif isinstance(source, FileSource):
        what = f", plays {source.path}"
    return {"kind": kind, "name": source.name, "rules": len(source.map), "what": what}


@bridge.command()
@click.argument("file", type=FILE, metavar="FILE.toml")
@json_option
def run(file: Path, as_json: bool) -> None:
    """Run the gateway of FILE.toml until SIGTERM or SIGINT, or until all files are played.

    \b
    Example:
      twinproof bridge run plant.toml

    What came in and is not delivered yet stays in the gateway's outbox; run it again to go on.
    """
    mapping = check_mapping(file)
    key = keyring.read_private_key(mapping.gateway.key)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    bridges: list[Bridge] = []
    problems = 0

    def tell(problem: TwinproofError) -> None:
        nonlocal problems
        problems += 1
        click.echo(f"{problem.code}: {problem}", err=True)

    def on_ready(made: Bridge) -> None:
        bridges.append(made)
        if not as_json:
            names = ", ".join(source.name for _, source in mapping.sources())
            click.echo(f"{mapping.gateway.issuer} records {names}  (Ctrl-C stops it)")

    run_gateway(mapping, key, stopping, on_problem=tell, on_ready=on_ready)
    _report(mapping, bridges[0], problems, as_json=as_json)


def _report(mapping: Mapping, made: Bridge, problems: int, *, as_json: bool) -> None:
    tallies = {source.name: made.tallies.get(source.name, Tally()) for _, source in mapping.sources()}
    if as_json:
        counts = {
            name: {"taken": tally.taken, "repeated": tally.repeated, "rejected": tally.rejected}
            for name, tally in tallies.items()
        }
        print_json({"sources": counts, "problems": problems, "waiting_bytes": made.outbox.undelivered_bytes})
        return
    for name, tally in tallies.items():
        click.echo(f"{name}: {tally.taken:,} taken, {tally.repeated:,} repeated, {tally.rejected:,} not understood")
    if made.outbox.undelivered_bytes:
        click.echo(f"{made.outbox.undelivered_bytes:,} bytes wait in {mapping.gateway.outbox}")


@bridge.command()
@click.argument("directory", type=FOLDER, metavar="DIR")
@click.option("--dataset", type=click.Choice(["FD001", "FD002", "FD003", "FD004"]), default="FD001", show_default=True)
@click.option("--units", type=click.IntRange(1, 999), help="Only the first N engines.")
@click.option("--broker", default="127.0.0.1:1883", show_default=True, metavar="HOST:PORT", help="Where to publish.")
@click.option("--start", type=TIME, default=START, show_default=True, help="Day of the first flight; one flight a day.")
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="Messages a second at most.")
@click.option("--mapping", type=NEW_FILE, metavar="FILE.toml", help="Write the [[mqtt]] part of a mapping, and end.")
@json_option
def cmapss(
    directory: Path,
    dataset: str,
    units: int | None,
    broker: str,
    start: int,
    rate: float | None,
    mapping: Path | None,
    as_json: bool,
) -> None:
    """Publish NASA's C-MAPSS flights from DIR over MQTT, as unsigned engines would: one JSON message per flight.

    \b
    Examples:
      twinproof bridge cmapss ./CMAPSSData --mapping engines.toml
      twinproof bridge cmapss ./CMAPSSData --units 5 --broker 127.0.0.1:1883 --rate 200
    """
    from twinproof.cli import cmapss_mqtt
    from twinproof.cli.fleet import find_file, read_units
    from twinproof.cli.output import progress

    host, port = _address(broker)
    if mapping is not None:
        try:
            with mapping.open("x") as file:
                file.write(cmapss_mqtt.format_source(host, port))
        except FileExistsError:
            raise click.UsageError(f"{mapping} exists; give another name") from None
        click.echo(f"{mapping}: put a [gateway] before it (docs/connectors.md)")
        return
    with progress("Reading") as report:
        engines = read_units(find_file(directory, dataset), units, report)
    with progress("Publishing") as report:
        published = cmapss_mqtt.publish(host, port, dataset, engines, start, rate, report)
    if as_json:
        print_json({"dataset": dataset, "engines": len(engines), "published": published})
    else:
        click.echo(f"{dataset}: {count(published, 'flight')} of {count(len(engines), 'engine')} published")


@bridge.command()
@click.option("--port", type=click.IntRange(0, 65535), default=1883, show_default=True, help="0: any free one.")
@json_option
def broker(port: int, as_json: bool) -> None:
    """Run a small MQTT broker on 127.0.0.1 until SIGTERM or SIGINT, where no other is installed.

    \b
    Example:
      twinproof bridge broker --port 1883

    For laptops and demonstrations: without passwords and TLS, and all in memory (docs/connectors.md).
    """
    from twinproof.edge.broker import LOCALHOST, Broker

    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())

    def tell(problem: TwinproofError) -> None:
        click.echo(f"{problem.code}: {problem}", err=True)

    with Broker(on_problem=tell) as made:
        where = f"{LOCALHOST}:{made.start(port=port)}"
        if as_json:
            print_json_line({"listening": where})
        else:
            click.echo(f"An MQTT broker listens on {where}, and keeps everything in memory  (Ctrl-C stops it)")
        stopping.wait()


def _address(broker: str) -> tuple[str, int]:
    host, _, port = broker.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
        raise ConfigError(f"{broker!r} is not of the form HOST:PORT")
    return host.strip("[]"), int(port)
