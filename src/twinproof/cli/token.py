"""`twinproof token`: bearer tokens for those who read a node."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import click

from twinproof.cli.options import FOLDER, json_option
from twinproof.cli.output import print_json, utc
from twinproof.errors import Malformed
from twinproof.node.config import load_config
from twinproof.node.tokens import Token, TokenFile, parse_scope

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_LIFETIME = re.compile(r"([1-9][0-9]{0,8})([smhd])\Z")
_ID = re.compile(r"[0-9a-f]{16}\Z")


class Lifetime(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions only
    """A span of time: 90d, 12h, 30m, 45s."""

    name = "lifetime"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Seconds."""
        if isinstance(value, int):
            return value
        found = _LIFETIME.match(value)
        if not found:
            self.fail(f"{value!r} is no span such as 90d, 12h, 30m or 45s", param, ctx)
        return int(found[1]) * _UNITS[found[2]]


def _tokens(folder: Path) -> TokenFile:
    load_config(folder)
    return TokenFile(folder, time.time)


@click.group()
def token() -> None:
    """Make, list and revoke the tokens that readers of a node show.

    \b
    Example:
      twinproof token new ./node --scope all --for 90d --note "control room"

    Writing needs no token: a statement's signature and the grants in the log decide.
    """


@token.command()
@click.argument("folder", type=FOLDER, metavar="NODE")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    metavar="SCOPE",
    help="all, prefix:IRI or twin:IRI, and operate to act in the console; may be given several times.",
)
@click.option("--for", "lifetime", type=Lifetime(), help="How long it holds: 90d, 12h, 30m; forever without.")
@click.option("--note", default="", help="Whom it is for.")
@json_option
def new(folder: Path, scopes: tuple[str, ...], lifetime: int | None, note: str, as_json: bool) -> None:
    """Make a token and show it, this once; the node keeps a hash.

    \b
    Example:
      twinproof token new ./node --scope prefix:https://fleet.example/engine/ --for 30d

    It goes into the header: Authorization: Bearer TOKEN. A running node knows it at once.
    """
    try:
        wanted = [parse_scope(scope) for scope in scopes]
        text, made = _tokens(folder).new(wanted, lifetime=lifetime, note=note)
    except Malformed as problem:
        raise click.UsageError(str(problem)) from None
    if as_json:
        print_json({"token": text, **_described(made)})
        return
    click.echo(text)
    click.echo(f"id {made.id}, {_scopes(made)}, {_until(made)}; it is not shown again", err=True)


@token.command("list")
@click.argument("folder", type=FOLDER, metavar="NODE")
@json_option
def list_(folder: Path, as_json: bool) -> None:
    """List all tokens that were made: id, scopes, whether they hold, note.

    \b
    Example:
      twinproof token list ./node
    """
    made = _tokens(folder).list()
    if as_json:
        print_json([_described(one) for one in made])
        return
    now = time.time()
    for one in made:
        click.echo(f"{one.id}  {one.problem(now) or _until(one)}  {_scopes(one)}  {one.note}".rstrip())


@token.command()
@click.argument("folder", type=FOLDER, metavar="NODE")
@click.argument("id_", metavar="ID")
@json_option
def revoke(folder: Path, id_: str, as_json: bool) -> None:
    """End the token ID now; a running node knows it at once.

    \b
    Example:
      twinproof token revoke ./node 6f1d2c3b4a596877
    """
    if not _ID.match(id_):
        raise click.UsageError(f"{id_!r} is no id of 16 hexadecimal digits; see: twinproof token list {folder}")
    ended = _tokens(folder).revoke(id_)
    if as_json:
        print_json(_described(ended))
    else:
        click.echo(f"{ended.id} is revoked")


def _scopes(made: Token) -> str:
    return " ".join(map(str, made.scopes))


def _until(made: Token) -> str:
    return "holds" if made.expires is None else f"holds until {utc(made.expires)}"


def _described(made: Token) -> dict[str, object]:
    return {
        "id": made.id,
        "scopes": [str(scope) for scope in made.scopes],
        "created": made.created,
        "expires": made.expires,
        "revoked": made.revoked,
        "note": made.note,
    }
