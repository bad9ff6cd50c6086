"""The command line: `twinproof COMMAND`, one module per group of commands."""

from __future__ import annotations

import click

from twinproof import __version__


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="twinproof")
def main() -> None:
    """Digital twins you can prove."""
