"""`twinproof console`: the way into a node's console, with leave to act there."""

from __future__ import annotations

import socket
import time
import webbrowser
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import click

from twinproof.cli.options import FOLDER, json_option
from twinproof.cli.output import print_json, utc
from twinproof.cli.token import Lifetime
from twinproof.node.config import Listen, load_config
from twinproof.node.tokens import EVERYTHING, OPERATE, TokenFile

HOURS: Final = 12
"""How long a link is good if nothing else is said."""
NOTE: Final = "console"
_WAIT: Final = 0.5
"""Seconds for a look whether the node listens."""


@click.command()
@click.argument("words", nargs=-1, required=True, metavar="[enable] NODE")
@click.option("--open", "open_it", is_flag=True, help="Open it in this machine's browser.")
@click.option("--for", "lifetime", type=Lifetime(), default=f"{HOURS}h", show_default=True, help="How long it is good.")
@click.option("--url", help="Where browsers reach the node, if not where twinproof.toml says.")
@json_option
def console(words: tuple[str, ...], open_it: bool, lifetime: int, url: str | None, as_json: bool) -> None:
    """Print a link that signs in to the console of the node in folder NODE, to read everything and to act.

    \b
    Example:
      twinproof console enable ./node
      twinproof serve ./node
      twinproof console ./node --open

    Whoever has the link may do what it lets until it expires or is revoked (twinproof token). `enable`, while the
    node is not served, makes the key with which it signs what people say in the console - commands, wishes, answers to
    alarms - and grants it `operate`; with the operator's key elsewhere, grant NODE/console.json there:
    --can operate --prefix "".
    """
    if len(words) == 2 and words[0] == "enable":
        _enable(_folder(words[1]), as_json)
    elif len(words) == 1:
        _link(_folder(words[0]), open_it, lifetime, url, as_json)
    else:
        raise click.UsageError("takes a node's folder, and before it nothing or the word enable")


def _folder(word: str) -> Path:
    folder: Path = FOLDER.convert(word, None, click.get_current_context())
    return folder


def _enable(folder: Path, as_json: bool) -> None:
    from twinproof.node.node import open_node
    from twinproof.node.service_keys import CONSOLE

    with open_node(folder) as node:
        origin = node.config.origin
        index = CONSOLE.enable(node, CONSOLE.key(folder, origin))
    issuer = CONSOLE.issuer(origin)
    if as_json:
        print_json({"iss": issuer, "index": index})
    elif index is None:
        click.echo(f"{issuer} may say what people say in the console already.")
    else:
        click.echo(f"{issuer} may say what people say in the console, by the grant at entry {index}.")


def _link(folder: Path, open_it: bool, lifetime: int, url: str | None, as_json: bool) -> None:
    config = load_config(folder)
    place = _place(config.listen) if url is None else _checked(url)
    token, made = TokenFile(folder, time.time).new([EVERYTHING, OPERATE], lifetime=lifetime, note=NOTE)
    link = f"{place}/console/#/signin?token={token}"
    if as_json:
        print_json({"url": link, "id": made.id, "expires": made.expires})
    else:
        click.echo(link)
        until = "" if made.expires is None else f", good until {utc(made.expires)}"
        click.echo(f"id {made.id}{until}; whoever has it may read everything and act", err=True)
        if url is None and not _listens(place):
            click.echo(f"Nothing listens there yet: twinproof serve {folder}", err=True)
    if open_it and not webbrowser.open(link):
        click.echo("No browser was found here; open the link yourself.", err=True)


def _place(listen: Listen) -> str:
    if not listen.port:
        raise click.UsageError("twinproof.toml leaves the port open: say with --url where the node listens")
    # Every address is not one that a browser can open.
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listen.host, listen.host)  # noqa: S104
    return f"http://[{host}]:{listen.port}" if ":" in host else f"http://{host}:{listen.port}"


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and not (parts.query or parts.fragment)
    except ValueError:
        usable = False
    if not usable:
        raise click.UsageError(f"{url!r} is no http or https URL such as https://twin.example")
    return url.rstrip("/")


def _listens(place: str) -> bool:
    parts = urlsplit(place)
    try:
        with socket.create_connection((parts.hostname, parts.port or 80), _WAIT):
            return True
    except OSError:
        return False
