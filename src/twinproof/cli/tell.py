"""`twinproof tell`: describe a twin, attest something of it, ask something of it, answer."""

from __future__ import annotations

import json
import re
from hashlib import sha256
from pathlib import Path
from typing import Any

import click

from twinproof.cli.installing import installation
from twinproof.cli.options import DIGEST, FILE, IRI, TIME, json_option, read_file
from twinproof.cli.output import print_json
from twinproof.cli.predicting import prediction
from twinproof.cli.speaker import Said, speaker_options, state_it
from twinproof.proof import cbor
from twinproof.twin.attestation import ATTESTATION, Attestation, Document, format_attestation, parse_attestation
from twinproof.twin.description import DESCRIPTION, Description, Lifecycle, format_description, parse_description
from twinproof.twin.operation import (
    ACKNOWLEDGEMENT,
    COMMAND,
    DESIRED,
    Acknowledgement,
    Command,
    Desired,
    Status,
    format_acknowledgement,
    format_command,
    format_desired,
    parse_acknowledgement,
    parse_command,
    parse_desired,
)

MAX_DOCUMENT = 1 << 30
_SETTING = re.compile(r"([^=]+)=(.*)\Z", re.DOTALL)


class Setting(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions only
    """`name=value`: the value is JSON, or else text."""

    name = "name=value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, cbor.Value]:
        """The name and the value."""
        if isinstance(value, tuple):
            return value
        found = _SETTING.match(value)
        if not found:
            self.fail(f"{value!r} is not name=value", param, ctx)
        return found[1], json_value(found[2])


class Link(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions only
    """`name=IRI`."""

    name = "name=IRI"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """The relationship's name and its target."""
        if isinstance(value, tuple):
            return value
        name, equals, target = value.partition("=")
        if not equals:
            self.fail(f"{value!r} is not name=IRI", param, ctx)
        return name, IRI.convert(target, param, ctx)


def json_value(text: str) -> cbor.Value:
    """JSON if it is that, else the text itself; `1480`, `true`, `[1, 2]`, `in service`."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


SETTING = Setting()
LINK = Link()


@click.group()
def tell() -> None:
    """State something about a twin: what it is, what is attested, what it should do, what became of that.

    \b
    Example:
      twinproof tell describe https://twin.example/pump/7 --set serial=A17 --lifecycle in-service --folder ./node
    """


tell.add_command(installation)
tell.add_command(prediction)


def _done(said: Said, what: str, as_json: bool) -> None:
    if as_json:
        print_json({"index": said.index, "digest": said.digest.hex(), "iss": said.issuer})
    else:
        click.echo(f"{what}, by entry {said.index}.\n  digest  {said.digest.hex()}")


@tell.command()
@click.argument("twin", type=IRI, metavar="IRI")
@click.option("--model", type=IRI, metavar="DTMI", help="The twin's model; naming another one migrates it.")
@click.option("--lifecycle", type=click.Choice([stage.value for stage in Lifecycle]), help="Where it is in its life.")
@click.option("--set", "settings", type=SETTING, multiple=True, help="A property; the value is JSON or text.")
@click.option("--unset", multiple=True, metavar="NAME", help="A property that holds no longer.")
@click.option("--relate", type=LINK, multiple=True, help="A relationship to another twin.")
@click.option("--unrelate", type=LINK, multiple=True, help="One that holds no longer.")
@click.option("--cause", type=DIGEST, metavar="DIGEST", help="The request that this is the effect of.")
@speaker_options
@json_option
def describe(
    twin: str,
    model: str | None,
    lifecycle: str | None,
    settings: tuple[tuple[str, cbor.Value], ...],
    unset: tuple[str, ...],
    relate: tuple[tuple[str, str], ...],
    unrelate: tuple[tuple[str, str], ...],
    cause: bytes | None,
    as_json: bool,
    **where: Any,
) -> None:
    """Change what the twin IRI is described as.

    \b
    Example:
      twinproof tell describe https://twin.example/pump/7 --set maxSpeed=1480 \\
        --relate partOf=https://twin.example/line/1 --folder ./node
    """
    change = Description(
        model=model,
        lifecycle=None if lifecycle is None else Lifecycle(lifecycle),
        set=dict(settings) or None,
        unset=tuple(sorted(unset)),
        relate=tuple(sorted(relate)),
        unrelate=tuple(sorted(unrelate)),
        cause=cause,
    )
    payload = format_description(change)
    parse_description(payload)
    _done(state_it(DESCRIPTION, twin, payload, **where), f"{twin} is described", as_json)


@tell.command()
@click.argument("twin", type=IRI, metavar="IRI")
@click.option("--type", "kind", type=IRI, required=True, metavar="IRI", help="What is attested, as an IRI.")
@click.option("--text", help="The same in words.")
@click.option("--document", type=FILE, help="A file that it rests on: its SHA-256 goes into the log, not the file.")
@click.option("--media-type", default="application/pdf", show_default=True, help="The document's.")
@click.option("--location", type=IRI, metavar="IRI", help="Where the document is kept.")
@click.option("--until", type=TIME, help="Until when it is valid.")
@speaker_options
@json_option
def attest(
    twin: str,
    kind: str,
    text: str | None,
    document: Path | None,
    media_type: str,
    location: str | None,
    until: int | None,
    as_json: bool,
    **where: Any,
) -> None:
    """Attest something of the twin IRI: an inspection, a certificate, a release.

    \b
    Example:
      twinproof tell attest https://twin.example/pump/7 --type https://twin.example/inspection --document report.pdf \\
        --url http://127.0.0.1:8600 --key inspector.pem
    """
    held = None
    if document is not None:
        held = Document(sha256(read_file(document, MAX_DOCUMENT, "document")).digest(), media_type, location)
    payload = format_attestation(Attestation(kind, text, held, until))
    parse_attestation(payload)
    _done(state_it(ATTESTATION, twin, payload, **where), f"{kind} is attested of {twin}", as_json)


@tell.command()
@click.argument("twin", type=IRI, metavar="IRI")
@click.option("--set", "settings", type=SETTING, multiple=True, help="What a property should be; JSON or text.")
@click.option("--unset", multiple=True, metavar="NAME", help="A property that need not be anything.")
@speaker_options
@json_option
def desire(
    twin: str, settings: tuple[tuple[str, cbor.Value], ...], unset: tuple[str, ...], as_json: bool, **where: Any
) -> None:
    """Say what properties of the twin IRI should be; its device acknowledges, and reports the effect.

    \b
    Example:
      twinproof tell desire https://twin.example/pump/7 --set speed=900 --folder ./node
    """
    payload = format_desired(Desired(dict(settings) or None, tuple(sorted(unset))))
    parse_desired(payload)
    _done(state_it(DESIRED, twin, payload, **where), f"{twin} is asked for it", as_json)


@tell.command()
@click.argument("twin", type=IRI, metavar="IRI")
@click.argument("name")
@click.option("--input", "given", metavar="VALUE", help="JSON or text.")
@click.option("--deadline", type=TIME, help="After it the device must not begin.")
@speaker_options
@json_option
def command(twin: str, name: str, given: str | None, deadline: int | None, as_json: bool, **where: Any) -> None:
    """Ask the twin IRI to do NAME once.

    \b
    Example:
      twinproof tell command https://twin.example/pump/7 start --input '{"ramp": 5}' --folder ./node

    The digest that is printed names the request in `tell acknowledge` and `tell describe --cause`.
    """
    payload = format_command(Command(name, None if given is None else json_value(given), deadline))
    parse_command(payload)
    _done(state_it(COMMAND, twin, payload, **where), f"{twin} is asked to {name}", as_json)


@tell.command()
@click.argument("twin", type=IRI, metavar="IRI")
@click.argument("request", type=DIGEST)
@click.argument("status", type=click.Choice([status.value for status in Status]))
@click.option("--text", help="In words.")
@click.option("--output", metavar="VALUE", help="JSON or text.")
@speaker_options
@json_option
def acknowledge(
    twin: str, request: bytes, status: str, text: str | None, output: str | None, as_json: bool, **where: Any
) -> None:
    """Answer, as the device of the twin IRI, the request with the digest REQUEST.

    \b
    Example:
      twinproof tell acknowledge https://twin.example/pump/7 4f1c…(64 digits) done --url http://127.0.0.1:8600 \\
        --key pump7.pem
    """
    answer = Acknowledgement(request, Status(status), text, None if output is None else json_value(output))
    payload = format_acknowledgement(answer)
    parse_acknowledgement(payload)
    _done(state_it(ACKNOWLEDGEMENT, twin, payload, **where), f"The request is {status}", as_json)
