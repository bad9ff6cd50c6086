"""`twinproof fsck`: check a node's log against itself."""

from __future__ import annotations

from pathlib import Path

import click

from twinproof.cli.options import FOLDER, json_option
from twinproof.cli.output import ExitCode, count, mark, print_json, progress


@click.command()
@click.argument("folder", type=FOLDER, metavar="NODE")
@json_option
def fsck(folder: Path, as_json: bool) -> None:
    """Derive everything in the log of NODE again from its raw entries, and name each thing that is wrong.

    \b
    Example:
      twinproof fsck ./node

    Checked are entries against tiles and signed checkpoints, positions, the pin, and each statement's own signature,
    authority and place in its stream. Nothing is changed; the node may be running. Exit code 1 means findings.
    """
    from twinproof.log.fsck import fsck as check_log
    from twinproof.log.pin import Pin
    from twinproof.node.examine import Examiner
    from twinproof.node.node import PIN, read_node
    from twinproof.twin.stream import position_of

    with read_node(folder) as node, progress("Checking") as report:
        seen = 0

        def on_progress(done: int, total: int) -> None:
            nonlocal seen
            seen = done
            report(done, total)

        findings = list(
            check_log(
                node.store,
                verifiers=node.verifiers,
                pin=Pin(folder / PIN),
                key_of=position_of,
                check_entry=Examiner().examine,
                progress=on_progress,
            )
        )
    if as_json:
        print_json(
            {
                "folder": str(folder),
                "entries": seen,
                "sound": not findings,
                "findings": [
                    {"kind": finding.kind, "where": finding.where, "problem": finding.problem} for finding in findings
                ],
            }
        )
    else:
        for finding in findings:
            place = finding.where if finding.where.startswith(finding.kind) else f"{finding.kind} {finding.where}"
            click.echo(f"{mark(False)} {place}: {finding.problem}")
        if findings:
            click.echo(
                f"\n{count(len(findings), 'finding')} in {count(seen, 'entry')}. Stop the node, keep this folder"
            )
            click.echo("as evidence, and bring back a sound copy; `twinproof log restore --help` says how.")
        else:
            click.echo(
                f"{mark(True)} {count(seen, 'entry')}: bytes, tiles, checkpoints, signatures, authority, streams"
            )
    if findings:
        raise click.exceptions.Exit(ExitCode.REFUSED)
