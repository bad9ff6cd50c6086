"""`twinproof watch`: what happens, as it happens."""

from __future__ import annotations

import json
import os
from typing import Any, Final

import click

from twinproof.cli.event_stream import Event, EventStream
from twinproof.cli.options import IRI, json_option
from twinproof.cli.output import print_json_line, utc

TOKEN: Final = "TWINPROOF_TOKEN"  # noqa: S105 - the variable's name
MAX_SHOWN: Final = 100
"""Characters of a payload in a line."""
MAX_SERIES: Final = 6


@click.command()
@click.option("--url", required=True, metavar="URL", help="A running node, such as http://127.0.0.1:8600.")
@click.option("--twin", "twins", type=IRI, multiple=True, help="Only this twin; may be given several times.")
@click.option("--prefix", "prefixes", multiple=True, help="Only twins whose IRI begins so; may be given several times.")
@click.option("--kind", "kinds", multiple=True, help="Only this kind, such as readings; may be given several times.")
@click.option("--issuer", "issuers", type=IRI, multiple=True, help="Only what this signer says.")
@click.option("--where", metavar="CONDITION", help="Only statements whose values satisfy this.")
@click.option("--after", metavar="INDEX", help="Begin after this entry, -1 for the whole log; without: from now on.")
@click.option(
    "--proofs", is_flag=True, help="Ask for the transparent statement of each entry; with --json it is shown."
)
@click.option("--count", type=click.IntRange(1), help="End after so many entries.")
@json_option
def watch(
    url: str,
    twins: tuple[str, ...],
    prefixes: tuple[str, ...],
    kinds: tuple[str, ...],
    issuers: tuple[str, ...],
    where: str | None,
    after: str | None,
    proofs: bool,
    count: int | None,
    as_json: bool,
) -> None:
    """Print entries of a running node's log as they are taken, until Ctrl-C.

    When the connection breaks, it comes back and goes on after the last entry: nothing is left out or shown twice.
    A node that asks readers for a token finds it in the environment variable TWINPROOF_TOKEN. What is shown is what
    the node says; --proofs --json gives what `twinproof verify` can check. See docs/subscriptions.md.

    \b
    Examples:
      twinproof watch --url http://127.0.0.1:8600 --prefix https://twin.example/pump/ --kind readings
      twinproof watch --url http://127.0.0.1:8600 --where "T24 > 645 and mode = \\"cruise\\""
      twinproof watch --url http://127.0.0.1:8600 --after 1200 --json
    """
    query = [
        *(("twin", twin) for twin in twins),
        *(("prefix", prefix) for prefix in prefixes),
        *(("kind", kind) for kind in kinds),
        *(("issuer", issuer) for issuer in issuers),
    ]
    for name, value in (("where", where), ("after", after), ("proofs", "1" if proofs else None)):
        if value is not None:
            query.append((name, value))
    left = count
    stream = EventStream(url, query, token=os.environ.get(TOKEN) or None, note=lambda text: click.echo(text, err=True))
    for event in stream:
        if event["type"] == "lagging":
            click.echo(f"{event.get('behind')} entries behind: this reads slower than the log grows", err=True)
        if event["type"] != "entry":
            continue
        if as_json:
            print_json_line(event)
        else:
            click.echo(line_of(event))
        if left is not None:
            left -= 1
            if not left:
                return


def line_of(event: Event) -> str:
    """An entry in one line."""
    time = event.get("iat")
    moment = utc(time) if type(time) is int else "?"
    index, kind, twin = (str(event.get(name)) for name in ("index", "kind", "twin"))
    text = f"{index:>8}  {moment}  {kind:<15}  {twin}  {_told(event.get('payload'))}"
    # What devices say must not steer the terminal.
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def _told(payload: Any) -> str:
    try:
        shown = [_newest(series) for series in payload["series"][:MAX_SERIES]]
        return "  ".join(shown) + ("  …" if len(payload["series"]) > MAX_SERIES else "")
    except (KeyError, TypeError):
        pass  # another kind
    text = json.dumps(payload, ensure_ascii=False)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


def _newest(series: Any) -> str:
    """The last value of a series: `T24=641.5 K (of 100)`."""
    values, unit = series["values"], series["unit"]
    there = [value for value in values if value is not None]
    if not there:
        return f"{series['name']}: none"
    value = "bytes" if isinstance(there[-1], dict) else there[-1]
    text = f"{series['name']}={value}" + (f" {unit}" if unit else "")
    return text if len(values) == 1 else f"{text} (of {len(values)})"
