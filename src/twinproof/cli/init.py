"""`twinproof init`: a new node."""

from __future__ import annotations

from pathlib import Path

import click

from twinproof.cli.options import IRI, NEW_FOLDER, json_option
from twinproof.cli.output import print_json


@click.command()
@click.argument("folder", type=NEW_FOLDER)
@click.option("--origin", required=True, help="The log's name for ever, a schema-less URL: twin.example/log0.")
@click.option("--operator", required=True, type=IRI, help="Who runs the log.")
@json_option
def init(folder: Path, origin: str, operator: str, as_json: bool) -> None:
    """Make a node in FOLDER: keys, settings, and a log that begins with the operator's signed genesis.

    \b
    Example:
      twinproof init ./node --origin twin.example/log0 --operator https://twin.example/operator

    Hand FOLDER/policy.txt and FOLDER/operator.json to auditors: they hold public keys only. Keep FOLDER/keys to
    yourself. FOLDER/log.pin remembers the last checkpoint that was signed: leave it out when you restore a backup.
    """
    from twinproof.node.node import OPERATOR_CARD, POLICY, init_node

    init_node(folder, origin, operator)
    if as_json:
        print_json(
            {
                "folder": str(folder),
                "origin": origin,
                "operator": operator,
                "policy": str(folder / POLICY),
                "operator_card": str(folder / OPERATOR_CARD),
            }
        )
        return
    click.echo(f"{folder} holds the log {origin}, operated by {operator}.")
    click.echo(f"  for auditors    {folder / POLICY}, {folder / OPERATOR_CARD}")
    click.echo(f"  secret          {folder / 'keys'}")
    click.echo(f"Start it with: twinproof serve {folder}")
