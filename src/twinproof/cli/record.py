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
from twinproof.edge.stream import Stream
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
@click.option("--retry", is_flag=True, help="Send again what the log refused: the cause is mended there.")
@click.option("--give-up", "reason", metavar="REASON", help="Give up what the log refused, state that, and go on.")
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
    retry: bool,
    reason: str | None,
    folder: Path | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Sign samples and deliver them to the log, once, in order.

    \b
    Examples:
      twinproof record --key pump7.pem --twin https://twin.example/pump/7 --url http://127.0.0.1:8600 \\
        "speed=1480[1/min]" "inlet.T=21.5[Cel]" running=true
      twinproof record --key pump7.pem --twin https://twin.example/pump/7 --url http://127.0.0.1:8600 < samples.csv

    Without values, CSV (header `time,speed[1/min],…`) or JSON lines are read from stdin. Units are UCUM codes.

    Samples are kept in the outbox, a file, until the log has acknowledged them: if it is out of reach (exit code 3),
    run the command again, without values and with an empty stdin if there are no new ones. What the log refuses stops
    the twin's stream (exit code 1) until --retry or --give-up says how it goes on.
    """
    if retry and reason is not None:
        raise click.UsageError("Give --retry or --give-up, not both.")
    samples = iter([parse_arguments(values)]) if values else _from_stdin()
    key = keyring.read_private_key(key_file)
    problems: list[TwinproofError] = []
    with open_sink(folder, url) as sink:
        kept = Outbox(outbox or key_file.with_suffix(".outbox"))
        try:
            recorder = Recorder(key, issuer or _issuer(key_file), kept, sink, batch=batch, on_problem=problems.append)
            stream = recorder.twin(twin)
            mended = _go_on(recorder, stream, retry=retry, reason=reason)
            before = _entries(kept, stream)
            delivered = _run(recorder, stream, samples, wait)
            new = sorted(_entries(kept, stream) - before)
            waiting, pending = kept.undelivered_bytes, _pending(recorder)
        finally:
            kept.close()
    problems = [problem for problem in problems if problem is not mended]
    if as_json:
        answer: dict[str, Any] = {"delivered": delivered, "entries": new, "waiting_bytes": waiting}
        print_json(answer | {"problems": [{"code": p.code, "message": str(p)} for p in problems]})
    else:
        _tell(delivered, new, waiting)
        for problem in problems:
            if isinstance(problem, StreamStopped) and problem is not stream.stopped:
                click.echo(f"remark: {problem}", err=True)
    if stream.stopped is not None:
        raise stream.stopped
    if pending and as_json:
        raise click.exceptions.Exit(ExitCode.UNAVAILABLE)
    if pending:
        cause = next((problem for problem in reversed(problems) if not isinstance(problem, StreamStopped)), None)
        raise Unreachable(f"{cause or 'the log is busy'}; the samples are kept, run this again later")


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


def _go_on(recorder: Recorder, stream: Stream, *, retry: bool, reason: str | None) -> StreamStopped | None:
    """Start a stopped stream again, if that was asked for; returns why it had stopped."""
    stopped = stream.stopped
    if not retry and reason is None:
        return None
    if stopped is None:
        raise click.UsageError(f"The log refused nothing about {stream.subject} that this outbox holds.")
    if reason is None:
        recorder.retry(stream.subject)
    else:
        recorder.resume(stream.subject, reason)
    return stopped


def _run(recorder: Recorder, stream: Stream, samples: Iterable[Samples], wait: float) -> int:
    """Record, then deliver until nothing waits, a problem needs a person, or `wait` seconds are over."""
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
        if stream.stopped is not None or left <= 0 or not _pending(recorder):
            return delivered
        time.sleep(min(pumped.wait, left))


def _pending(recorder: Recorder) -> bool:
    """Whether anything waits that needs no person's decision."""
    kept = recorder.outbox
    going = (record for record in kept.streams(recorder.issuer) if not record.stopped)
    return any(kept.count_queued(record.id) or kept.journalled(record.id, 1) for record in going)


def _entries(kept: Outbox, stream: Stream) -> set[int]:
    return {item.index for item in kept.statements(stream.issuer, stream.subject) if item.index is not None}


def _tell(delivered: int, new: list[int], waiting: int) -> None:
    if new:
        where = f"entry {new[0]}" if len(new) == 1 else f"entries {new[0]} to {new[-1]}"
        click.echo(f"{count(len(new), 'statement')} delivered: {where}")
    if delivered > len(new):
        click.echo(f"{count(delivered - len(new), 'statement')} about other twins delivered")
    if not delivered and not waiting:
        click.echo("nothing to deliver")
