"""`twinproof twin`: what the log says about twins."""

from __future__ import annotations

from pathlib import Path

import click

from twinproof.cli.options import FOLDER, INDEX, IRI, json_option, target_options
from twinproof.cli.output import count, print_json, print_json_line, progress, utc
from twinproof.cli.state import show_state, state_json, summary
from twinproof.cli.target import open_log
from twinproof.errors import NotFound
from twinproof.proof.checkpoint import parse_checkpoint
from twinproof.proof.note import parse_note
from twinproof.twin.kinds import kind_of, parse_payload
from twinproof.twin.state import TwinState
from twinproof.twin.statement import parse_statement


@click.group()
def twin() -> None:
    """List twins, show a twin's state now or at a past entry, and its history.

    \b
    Example:
      twinproof twin show https://twin.example/pump/7 --folder ./node

    These read the log as it is given and prove nothing; `twinproof prove` and `verify` do.
    """


@twin.command("list")
@click.option("--folder", type=FOLDER, metavar="NODE", required=True, help="A node's folder on this machine.")
@json_option
def list_(folder: Path, as_json: bool) -> None:
    """List all twins with their statements; reads the whole log.

    \b
    Example:
      twinproof twin list --folder ./node
    """
    from twinproof.node.node import read_node

    found: dict[str, list[int]] = {}
    with read_node(folder) as node, progress("Reading") as report:
        size = node.reader.head().size
        for start in range(0, size, 256):
            end = min(start + 256, size)
            for index, raw in enumerate(node.reader.entries(start, end), start):
                found.setdefault(parse_statement(raw).subject, []).append(index)
            report(end, size)
    if as_json:
        print_json(
            [{"sub": subject, "statements": len(at), "last_index": at[-1]} for subject, at in sorted(found.items())]
        )
        return
    width = max(map(len, found))
    for subject, at in sorted(found.items()):
        click.echo(f"{subject:<{width}}  {count(len(at), 'statement')}, the last one is entry {at[-1]}")


@twin.command()
@click.argument("iri", type=IRI)
@click.option("--at", type=INDEX, metavar="INDEX", help="As it was after this entry of the log.")
@target_options
@json_option
def show(iri: str, at: int | None, folder: Path | None, url: str | None, as_json: bool) -> None:
    """Show the state of the twin IRI, folded from its statements.

    \b
    Examples:
      twinproof twin show https://twin.example/pump/7 --folder ./node
      twinproof twin show https://twin.example/pump/7 --at 120 --url http://127.0.0.1:8600
    """
    state = TwinState(iri)
    with open_log(folder, url) as log:
        size = parse_checkpoint(parse_note(log.checkpoint()).text).size
        if at is not None and at >= size:
            raise NotFound(f"entry {at} is not there yet: the log has {count(size, 'entry')}")
        for index, raw in log.about(iri):
            if at is None or index <= at:
                state.apply(index, parse_statement(raw))
    if not state.statements:
        raise NotFound(f"the log holds nothing about {iri} up to entry {at}")
    if as_json:
        print_json(state_json(state))
    else:
        show_state(state)


@twin.command()
@click.argument("iri", type=IRI)
@target_options
@json_option
def history(iri: str, folder: Path | None, url: str | None, as_json: bool) -> None:
    """List every statement about the twin IRI, oldest first; with --json one JSON object a line.

    \b
    Example:
      twinproof twin history https://twin.example/pump/7 --folder ./node
    """
    with open_log(folder, url) as log:
        entries = log.about(iri)
    for index, raw in entries:
        statement = parse_statement(raw)
        kind = kind_of(statement).name
        said = summary(parse_payload(statement))
        if as_json:
            print_json_line(
                {
                    "index": index,
                    "kind": kind,
                    "iss": statement.issuer,
                    "seq": statement.seq,
                    "iat": statement.issued_at,
                    "digest": statement.digest.hex(),
                    "says": said,
                }
            )
        else:
            click.echo(f"{index:>7}  {utc(statement.issued_at)}  {kind:<11}  {statement.issuer}  {said}")
