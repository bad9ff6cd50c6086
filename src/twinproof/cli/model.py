"""`twinproof model`: check DTDL models, and publish them in the log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from twinproof.cli.options import FILE, IRI, json_option, read_file
from twinproof.cli.output import ExitCode, count, mark, print_json
from twinproof.cli.speaker import speaker_options, state_it
from twinproof.errors import Malformed
from twinproof.models import dtdl
from twinproof.models.dtdl import jsontext
from twinproof.twin.model import DTDL, MODEL, ModelDocument, format_model

MAX_FILE = 16 * 1024 * 1024
"""Bytes."""
MAX_DEPTH = 100


@click.group()
def model() -> None:
    """Check models of twins in DTDL 2, 3 and 4, and publish them.

    \b
    Example:
      twinproof model check engine.json
    """


@model.command()
@click.argument("files", nargs=-1, required=True, type=FILE, metavar="FILE...")
@json_option
def check(files: tuple[Path, ...], as_json: bool) -> int:
    """Check FILEs together as one model; every finding names the element, the rule and the fix.

    \b
    Examples:
      twinproof model check engine.json
      twinproof model check plant/*.json --json

    Exit code 1 if anything is wrong.
    """
    try:
        read = dtdl.parse([read_file(file, MAX_FILE, "model") for file in files])
    except dtdl.ParsingError as problem:
        if as_json:
            print_json({"valid": False, "findings": [_finding(finding, files) for finding in problem.findings]})
        else:
            for finding in problem.findings:
                click.echo(f"{mark(False)} {_where(finding.path, files)}  {finding.element}")
                click.echo(f"    {finding.cause} [{finding.rule}]\n    {finding.fix}")
            click.echo(f"{count(len(problem.findings), 'finding')} in {count(len(files), 'file')}.")
        return ExitCode.REFUSED
    if as_json:
        print_json({"valid": True, "interfaces": list(read.interfaces)})
        return ExitCode.OK
    for identifier in read.interfaces:
        contents = read.contents(identifier)
        kinds = [item.kind for item in contents.values()]
        shown = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds)) or "nothing"
        click.echo(f"{mark(True)} {identifier}: {shown}")
    return ExitCode.OK


def _where(path: str, files: tuple[Path, ...]) -> str:
    """A finding's place with the file's name for the document's number."""
    number, dot, rest = path.partition(".")
    if number.isascii() and number.isdigit() and int(number) < len(files):
        return f"{files[int(number)]}{': ' if dot else ''}{rest}"
    return path


def _finding(finding: dtdl.Finding, files: tuple[Path, ...]) -> dict[str, Any]:
    return {
        "element": finding.element,
        "where": _where(finding.path, files),
        "rule": finding.rule,
        "cause": finding.cause,
        "fix": finding.fix,
    }


@model.command()
@click.argument("file", type=FILE)
@click.option("--id", "identifier", type=IRI, metavar="DTMI", help="Which Interface, if FILE defines several.")
@speaker_options
@json_option
def publish(
    file: Path,
    identifier: str | None,
    folder: Path | None,
    url: str | None,
    key_file: Path | None,
    issuer: str | None,
    as_json: bool,
) -> None:
    """Put the model in FILE into the log; twins that name it are checked against it from then on.

    \b
    Example:
      twinproof model publish engine.json --folder ./node

    What it extends or uses from other files must be published before.
    """
    document = read_file(file, MAX_FILE, "model")
    name = identifier or _only_interface(document)
    payload = format_model(ModelDocument(DTDL, document))
    said = state_it(MODEL, name, payload, folder=folder, url=url, key_file=key_file, issuer=issuer)
    if as_json:
        print_json({"model": name, "index": said.index, "iss": said.issuer})
    else:
        click.echo(f"{name} is published, by entry {said.index}.")


def _only_interface(document: bytes) -> str:
    """The identifier of the one Interface at the document's top."""
    try:
        value = jsontext.read(document, MAX_FILE, MAX_DEPTH)
    except jsontext.BadJson as problem:
        raise Malformed("model", str(problem)) from None
    found = [item for item in (value if isinstance(value, list) else [value]) if isinstance(item, dict)]
    names = [item["@id"] for item in found if isinstance(item.get("@id"), str)]
    if len(names) != 1:
        raise click.UsageError(f"FILE defines {len(names)} Interfaces with an @id; say which one with --id DTMI")
    return str(names[0])
