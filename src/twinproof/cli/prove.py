"""`twinproof prove`: make evidence."""

from __future__ import annotations

from pathlib import Path

import click

from twinproof.cli.options import INDEX, IRI, NEW_FILE, json_option, target_options, write_new
from twinproof.cli.output import count, print_json, progress
from twinproof.cli.target import LogReader, open_log


@click.command()
@click.argument("twin", required=False, type=IRI, metavar="[IRI]")
@click.option("--entry", "index", type=INDEX, help="Prove one entry instead of a twin's history.")
@click.option("-o", "--output", type=NEW_FILE, metavar="FILE", help="Where to write; for --entry the files' stem.")
@click.option("--with-models", is_flag=True, help="Put the models of the twin's predictions in: for verify --replay.")
@click.option("--force", is_flag=True, help="Replace files that exist.")
@target_options
@json_option
def prove(
    twin: str | None,
    index: int | None,
    output: Path | None,
    with_models: bool,
    force: bool,
    folder: Path | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Write a file that proves the history of the twin IRI, or one entry, to anybody who has the policy.

    \b
    Examples:
      twinproof prove https://twin.example/pump/7 -o pump7.twinproof --folder ./node
      twinproof prove https://twin.example/pump/7 -o pump7.twinproof --with-models --folder ./node
      twinproof prove --entry 42 -o entry42 --url http://127.0.0.1:8600

    A history is one bundle: every statement about the twin, the authority behind it, and the proofs. One entry
    becomes three files: FILE.cose (SCITT transparent statement), FILE.tlog-proof (C2SP) and FILE.statement.
    """
    if (twin is None) == (index is None):
        raise click.UsageError("Say what to prove: the IRI of a twin, or --entry N.")
    if index is not None and with_models:
        raise click.UsageError("--with-models is for the history of a twin.")
    with open_log(folder, url) as log:
        if index is not None:
            files = _entry_files(log, index, output or Path(f"entry{index}"))
        else:
            if output is None:
                raise click.UsageError("Say where to write the bundle: -o FILE.twinproof")
            with progress("Collecting") as report:
                files = {output: log.bundle(str(twin), report, models=with_models)}
    taken = [path for path in files if path.exists()]
    if taken and not force:
        raise click.UsageError(f"{taken[0]} exists; give another name or --force")
    for path, data in files.items():
        write_new(path, data, force=force)
    if as_json:
        print_json({"files": [{"path": str(path), "bytes": len(data)} for path, data in files.items()]})
        return
    for path, data in files.items():
        click.echo(f"{path}  {count(len(data), 'byte')}")
    if index is None:
        click.echo(f"Check it with: twinproof verify {output} --policy policy.txt --operator operator.json")


def _entry_files(log: LogReader, index: int, stem: Path) -> dict[Path, bytes]:
    return {
        stem.with_name(stem.name + ".statement"): log.entry(index),
        stem.with_name(stem.name + ".cose"): log.transparent(index),
        stem.with_name(stem.name + ".tlog-proof"): log.tlog_proof(index),
    }
