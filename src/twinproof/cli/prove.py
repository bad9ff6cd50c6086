"""`twinproof prove`: make evidence."""

from __future__ import annotations

from pathlib import Path

import click

from twinproof.cli.evidence_page import fill_page, read_page
from twinproof.cli.options import FILE, INDEX, IRI, NEW_FILE, json_option, read_file, target_options, write_new
from twinproof.cli.output import count, print_json, progress
from twinproof.cli.target import LogReader, open_log
from twinproof.proof.policy import MAX_POLICY, parse_policy


@click.command()
@click.argument("twin", required=False, type=IRI, metavar="[IRI]")
@click.option("--entry", "index", type=INDEX, help="Prove one entry instead of a twin's history.")
@click.option("-o", "--output", type=NEW_FILE, metavar="FILE", help="Where to write; for --entry the files' stem.")
@click.option("--with-models", is_flag=True, help="Put the models of the twin's predictions in: for verify --replay.")
@click.option("--page", type=NEW_FILE, metavar="FILE", help="Write a page too that holds the bundle and checks it.")
@click.option("--policy", type=FILE, help="With --page: a policy to put in; by default NODE's policy.txt.")
@click.option("--force", is_flag=True, help="Replace files that exist.")
@target_options
@json_option
def prove(
    twin: str | None,
    index: int | None,
    output: Path | None,
    with_models: bool,
    page: Path | None,
    policy: Path | None,
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
      twinproof prove https://twin.example/pump/7 -o pump7.twinproof --page pump7.html --folder ./node
      twinproof prove --entry 42 -o entry42 --url http://127.0.0.1:8600

    A history is one bundle: every statement about the twin, the authority behind it, and the proofs. One entry
    becomes three files: FILE.cose (SCITT transparent statement), FILE.tlog-proof (C2SP) and FILE.statement.

    The page of --page opens from a disk in any browser, makes no request, and checks what it holds. Its reader should
    still take a policy, and the page itself, from a source to trust, and not from whoever hands out the evidence.
    """
    if (twin is None) == (index is None):
        raise click.UsageError("Say what to prove: the IRI of a twin, or --entry N.")
    if index is not None and with_models:
        raise click.UsageError("--with-models is for the history of a twin.")
    if index is not None and page is not None:
        raise click.UsageError("--page is for the history of a twin.")
    if policy is not None and page is None:
        raise click.UsageError("--policy is put into the page of --page.")
    empty = None if page is None else read_page()
    trusted = None if page is None else _policy(policy, folder)
    with open_log(folder, url) as log:
        if index is not None:
            files = _entry_files(log, index, output or Path(f"entry{index}"))
        else:
            if output is None:
                raise click.UsageError("Say where to write the bundle: -o FILE.twinproof")
            with progress("Collecting") as report:
                files = {output: log.bundle(str(twin), report, models=with_models)}
            if page is not None and empty is not None:
                files[page] = fill_page(empty, output.name, files[output], trusted)
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


def _policy(path: Path | None, folder: Path | None) -> bytes | None:
    """The policy for the page: the one that is named, else the node's own; it is read, so that it is one."""
    found = path or (folder and folder / "policy.txt")
    if found is None or (path is None and not found.is_file()):
        return None
    data = read_file(found, MAX_POLICY, "policy")
    parse_policy(data)
    return data


def _entry_files(log: LogReader, index: int, stem: Path) -> dict[Path, bytes]:
    return {
        stem.with_name(stem.name + ".statement"): log.entry(index),
        stem.with_name(stem.name + ".cose"): log.transparent(index),
        stem.with_name(stem.name + ".tlog-proof"): log.tlog_proof(index),
    }
