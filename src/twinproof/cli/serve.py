"""`twinproof serve`: run a node."""

from __future__ import annotations

import json
import signal
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from twinproof.cli.options import FOLDER, json_option
from twinproof.errors import ConfigError, Conflict


@click.command()
@click.argument("folder", type=FOLDER, metavar="NODE")
@click.option("--host", help="Listen here instead of where twinproof.toml says.")
@click.option("--port", type=click.IntRange(0, 65535), help="The port; 0 takes a free one.")
@click.option("--access-log", is_flag=True, help="Log each request to stderr.")
@click.option("--no-views", is_flag=True, help="Serve the log and its proofs alone: no states, no telemetry, no API.")
@json_option
def serve(folder: Path, host: str | None, port: int | None, access_log: bool, no_views: bool, as_json: bool) -> None:
    """Run the node in folder NODE until SIGTERM or SIGINT; requests under way are finished.

    \b
    Example:
      twinproof serve ./node --port 8600

    It speaks SCITT's SCRAPI, C2SP tlog-tiles and a batch intake over HTTP (docs/http.md), and a JSON API with
    OpenAPI (docs/api.md). Put a TLS proxy in front of it before it leaves your machine, and say in twinproof.toml
    who may read.
    """
    server = _server()
    from twinproof.node.config import load_config
    from twinproof.node.live import open_live
    from twinproof.node.messages import set_up_messages
    from twinproof.node.node import open_node

    config = load_config(folder)
    listen = config.listen
    listen = replace(listen, host=listen.host if host is None else host, port=listen.port if port is None else port)
    settings = replace(config, listen=listen)
    set_up_messages(settings.log)

    def on_ready(url: str) -> None:
        if as_json:
            told = {"listening": url, "origin": settings.origin, "readers": settings.readers}
            click.echo(json.dumps({**told, "console": None if no_views else f"{url}/console/"}))
        else:
            click.echo(f"{settings.origin} listens on {url}  (Ctrl-C stops it); {settings.readers}")
            if not no_views:
                click.echo(f"The console is at {url}/console/; to act in it: twinproof console {folder}")

    # The server finishes its requests at the first signal and then raises it again; both end here, with exit code 0.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if no_views:
            with open_node(folder, config=settings) as node:
                server.serve(node, on_ready=on_ready, access_log=access_log)
        else:
            with open_live(folder, config=settings) as live:
                server.serve_live(live, on_ready=on_ready, access_log=access_log)
    except KeyboardInterrupt:
        pass
    except Conflict:
        raise Conflict(f"{folder} is already being served, or another command is writing to it") from None
    if not as_json:
        click.echo("Stopped.")


def _server() -> Any:
    # By name: the web framework is an extra, and the rooms cli and server do not know each other.
    try:
        return import_module("twinproof.server.run")
    except ModuleNotFoundError as problem:
        raise ConfigError(
            f"the server needs the package {problem.name}; install it with: pip install 'twinproof[node]'"
        ) from None
