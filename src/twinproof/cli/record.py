"""`twinproof record`: sign samples and deliver them."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import click

from twinproof.cli.options import FILE, IRI, json_option, read_card, target_options
from twinproof.cli.output import ExitCode, count, print_json
from twinproof.cli.samples import Samples, parse_arguments, parse_lines
from twinproof.cli.target import open_sink
from twinproof.edge.outbox import Outbox
from twinproof.edge.recorder import Recorder
from twinproof.errors import StreamStopped, TwinproofError, Unreachable
from twinproof.node import keyring

PUMP_EVERY = 1000
"""Rows between two deliveries while input is read."""


@click.command()
@click.argument("values", nargs=-1, metavar="[NAME=VALUE[UNIT]]...")
@click.option("--key", "key_file", type=FILE, required=True, metavar="FILE.pem", help="The device's key.")
@click.option("--iss", "issuer", type=IRI, metavar="IRI", help="Who it is; by default from FILE.json beside the key.")
@click.option("--twin", type=IRI, required=True, metavar="IRI", help="What is measured.")
@click.option("--outbox", type=click.Path(dir_okay=False, path_type=Path), help="By default FILE.outbox by the key.")
@click.option("--batch", type=click.IntRange(1, 100_000), default=1000, show_default=True, help="Samples a statement.")
@click.option("--wait", type=click.FloatRange(0, 86400), default=10, show_default=True, help="Seconds to try for.")
@target_options
@json_option
def record(
    values: tuple[str, ...],
    key_file: Path,
    issuer: str | None,
    twin: str,
    outbox: Path | None,
    batch: int,
    wait: float,
    folder: Path | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Sign samples and deliver them to the log, once, in order.

    \b
    Examples:
      twinproof record --key pump7.pem --twin https://twin.example/pump/7 --url http://127.0.0.1:8600
        "speed=1480[1/min]" "inlet.T=21.5[Cel]" running=true
      twinproof record --key pump7.pem --twin https://twin.example/pump/7 --url http://127.0.0.1:8600 < samples.csv

    Without values, CSV (header `time,speed[1/min],…`) or JSON lines are read from stdin. Units are UCUM codes.

    Samples are kept in the outbox, a file, until the log has acknowledged them: if it is out of reach (exit code 3),
    run the command again, without values and with an empty stdin if there are no new ones.
    """
    samples = iter([parse_arguments(values)]) if values else _from_stdin()
    key = keyring.read_private_key(key_file)
    problems: list[TwinproofError] = []
    with open_sink(folder, url) as sink:
        kept = Outbox(outbox or key_file.with_suffix(".outbox"))
        try:
            recorder = Recorder(key, issuer or _issuer(key_file), kept, sink, batch=batch, on_problem=problems.append)
            delivered = _run(recorder, twin, samples, wait, problems)
            waiting = kept.undelivered_bytes
            entries = [item.index for item in kept.statements(recorder.issuer, twin) if item.index is not None]
        finally:
            kept.close()
    _report(delivered, entries, waiting, problems, as_json=as_json)


def _from_stdin() -> Iterator[Samples]:
    if sys.stdin.isatty():
        raise click.UsageError("Give values (speed=1480[1/min]) or pipe CSV or JSON lines into stdin.")
    first = sys.stdin.readline()
    # An empty stdin is no mistake: it asks for the delivery of what is kept.
    return parse_lines(chain([first], sys.stdin)) if first else iter(())


def _issuer(key_file: Path) -> str:
    card = key_file.with_suffix(".json")
    if not card.exists():
        raise click.UsageError(f"Say who the device is with --iss IRI; there is no signer card {card}.")
    return read_card(card).issuer


def _run(recorder: Recorder, twin: str, samples: Iterable[Samples], wait: float, problems: list[TwinproofError]) -> int:
    """Record, then deliver until nothing waits, a problem needs a person, or `wait` seconds are over."""
    stream = recorder.twin(twin)
    delivered = 0
    for number, sample in enumerate(samples, 1):
        stream.record(sample.values, units=sample.units, time=sample.time)
        if number % PUMP_EVERY == 0:
            delivered += recorder.pump().delivered
    recorder.flush()
    deadline = time.monotonic() + wait
    while True:
        pumped = recorder.pump()
        delivered += pumped.delivered
        left = deadline - time.monotonic()
        if not recorder.outbox.undelivered_bytes or left <= 0 or any(isinstance(p, StreamStopped) for p in problems):
            return delivered
        time.sleep(min(pumped.wait, left))


def _report(delivered: int, entries: list[int], waiting: int, problems: list[TwinproofError], *, as_json: bool) -> None:
    stopped = next((problem for problem in problems if isinstance(problem, StreamStopped)), None)
    new = entries[-delivered:] if delivered else []
    if as_json:
        answer: dict[str, Any] = {"delivered": delivered, "entries": new, "waiting_bytes": waiting}
        print_json(answer | {"problems": [{"code": p.code, "message": str(p)} for p in problems]})
    elif delivered:
        where = f"entry {new[0]}" if len(new) == 1 else f"entries {new[0]} to {new[-1]}"
        click.echo(f"{count(delivered, 'statement')} delivered: {where}")
    elif not waiting:
        click.echo("nothing to deliver")
    if stopped is not None:
        raise stopped
    if waiting:
        if as_json:
            raise click.exceptions.Exit(ExitCode.UNAVAILABLE)
        raise Unreachable(
            f"{problems[-1] if problems else 'the log is busy'}; the samples are kept, run this again later"
        )
