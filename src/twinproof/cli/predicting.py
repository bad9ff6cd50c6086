"""`twinproof tell prediction`: state the remaining life that a program of one's own, or a person, foresees."""

from __future__ import annotations

from hashlib import file_digest
from pathlib import Path
from typing import Any, Final

import click

from twinproof.cli.options import FILE, IRI, json_option
from twinproof.cli.output import print_json
from twinproof.cli.speaker import speaker_options, state_it
from twinproof.cli.target import LogReader, open_log
from twinproof.errors import NotFound
from twinproof.twin.columns import COLUMNS
from twinproof.twin.prediction import PREDICTION, Prediction, Read, format_prediction, parse_prediction
from twinproof.twin.senml import SENML
from twinproof.twin.statement import parse_statement

READINGS: Final = frozenset((SENML, COLUMNS))


@click.command()
@click.argument("twin", type=IRI, metavar="IRI")
@click.option("--lower", type=float, required=True, help="The least that is left, in UNIT.")
@click.option("--point", type=float, required=True, help="The best single estimate.")
@click.option("--upper", type=float, required=True, help="The most that is left.")
@click.option("--coverage", type=float, default=0.9, show_default=True, help="How likely the truth lies in between.")
@click.option("--unit", required=True, help="Of the three, such as {cycle}, h or d.")
@click.option("--model", type=FILE, required=True, metavar="FILE", help="What it was made with; its SHA-256 is stated.")
@speaker_options
@json_option
def prediction(
    twin: str,
    lower: float,
    point: float,
    upper: float,
    coverage: float,
    unit: str,
    model: Path,
    as_json: bool,
    **where: Any,
) -> None:
    """State the remaining life of the twin IRI. Takes a key with `predict`, ES256 if a contract is to check it.

    \b
    Example:
      twinproof tell prediction https://twin.example/pump/7 --lower 12 --point 20 --upper 31 --unit "{cycle}" \\
        --model model.py --key forecaster.pem --folder ./node

    It says that all readings of the twin up to now were read. Only predictions of the node's own forecaster, whose
    model is known, can be replayed: docs/forecasts.md.
    """
    with open_log(where["folder"], where["url"]) as log:
        reads, until = _reads(log, twin)
    with model.open("rb") as file:
        made_with = file_digest(file, "sha256").digest()
    payload = format_prediction(Prediction(lower, point, upper, coverage, unit, made_with, reads, until))
    parse_prediction(payload)
    said = state_it(PREDICTION, twin, payload, **where)
    if as_json:
        print_json({"index": said.index, "digest": said.digest.hex(), "iss": said.issuer})
    else:
        click.echo(f"{lower:g} to {upper:g} {unit} are left of {twin}, says entry {said.index}.")


def _reads(log: LogReader, twin: str) -> tuple[tuple[Read, ...], int]:
    """The streams of readings about a twin, whole, and the index below which they lie."""
    found: dict[str, Read] = {}
    until = 0
    for index, raw in log.about(twin):
        statement = parse_statement(raw)
        if statement.content_type in READINGS:
            first = found[statement.issuer].first if statement.issuer in found else statement.seq
            found[statement.issuer] = Read(statement.issuer, first, statement.seq, statement.digest)
            until = index + 1
    if not found:
        raise NotFound(f"the log holds no readings of {twin}: a prediction names what it was made from")
    return tuple(found[issuer] for issuer in sorted(found)), until
