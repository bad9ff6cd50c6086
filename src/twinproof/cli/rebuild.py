"""`twinproof rebuild`: make the views of a node anew."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import click

from twinproof.cli.options import FOLDER, json_option
from twinproof.cli.output import count, print_json, progress
from twinproof.errors import ConfigError, Conflict


@click.command()
@click.argument("folder", type=FOLDER, metavar="NODE")
@json_option
def rebuild(folder: Path, as_json: bool) -> None:
    """Drop the views of NODE, states and telemetry, and fold the whole log in again.

    \b
    Example:
      twinproof rebuild ./node

    The log is not touched; the result is the same as before, byte for byte of what it says. The node must not be
    running.
    """
    try:
        from twinproof.node.live import rebuild_views
    except ModuleNotFoundError as problem:
        raise ConfigError(
            f"views need the package {problem.name}; install it with: pip install 'twinproof[node]'"
        ) from None

    with ExitStack() as bars:
        reports = {}

        def on_progress(view: str, done: int, total: int) -> None:
            if view not in reports:
                bars.close()
                reports[view] = bars.enter_context(progress(f"Folding {view}"))
            reports[view](done, total)

        try:
            reached = rebuild_views(folder, on_progress)
        except Conflict:
            raise Conflict(f"{folder} is being served, or another command is writing to it; stop it first") from None
    if as_json:
        print_json({"folder": str(folder), "views": reached})
    else:
        for name, entries in reached.items():
            click.echo(f"{name}: {count(entries, 'entry')}")
