"""`twinproof log`: look at a node's log, and bring it back after a rollback."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

import click

from twinproof.cli.options import (
    FILE,
    FOLDER,
    INDEX,
    NEW_FILE,
    json_option,
    read_file,
    target_options,
    write_new,
)
from twinproof.cli.output import count, plain, print_json, print_json_line, utc
from twinproof.cli.state import summary
from twinproof.cli.target import open_log
from twinproof.errors import NotFound
from twinproof.proof.checkpoint import parse_checkpoint
from twinproof.proof.note import MAX_NOTE, parse_note
from twinproof.twin.evidence import MAX_BUNDLE, parse_bundle
from twinproof.twin.kinds import kind_of, parse_payload
from twinproof.twin.statement import parse_statement


@click.group()
def log() -> None:
    """Look at a log: its head, entries, receipts; and bring back a log that was rolled back.

    \b
    Example:
      twinproof log head --folder ./node
    """


@log.command()
@target_options
@json_option
def head(folder: Path | None, url: str | None, as_json: bool) -> None:
    """Print the newest signed checkpoint.

    \b
    Example:
      twinproof log head --url http://127.0.0.1:8600 > checkpoint.txt
    """
    with open_log(folder, url) as opened:
        note = opened.checkpoint()
    parsed = parse_note(note)
    if as_json:
        checkpoint = parse_checkpoint(parsed.text)
        print_json(
            {
                "origin": checkpoint.origin,
                "size": checkpoint.size,
                "root": checkpoint.root.hex(),
                "signatures": [signature.name for signature in parsed.signatures],
                "checkpoint": note.decode(),
            }
        )
    else:
        click.echo(note.decode(), nl=False)


@log.command()
@click.argument("index", type=INDEX, metavar="N")
@click.option("-o", "--output", type=NEW_FILE, metavar="FILE", help="Write the logged bytes to FILE.")
@target_options
@json_option
def entry(index: int, output: Path | None, folder: Path | None, url: str | None, as_json: bool) -> None:
    """Show entry N, or write its bytes to a file.

    \b
    Example:
      twinproof log entry 3 --folder ./node
    """
    with open_log(folder, url) as opened:
        raw = opened.entry(index)
    if output is not None:
        write_new(output, raw)
    statement = parse_statement(raw)
    described = {
        "index": index,
        "kind": kind_of(statement).name,
        "iss": statement.issuer,
        "sub": statement.subject,
        "kid": statement.kid.hex(),
        "seq": statement.seq,
        "prev": statement.prev.hex() if statement.prev else None,
        "iat": statement.issued_at,
        "digest": statement.digest.hex(),
        "says": summary(parse_payload(statement)),
    }
    if as_json:
        print_json({**described, "statement": plain(raw)})
        return
    for name, value in described.items():
        shown = utc(statement.issued_at) if name == "iat" else value
        if shown is not None:
            click.echo(f"  {name:<7} {shown}")
    if output is not None:
        click.echo(f"{output}  {count(len(raw), 'byte')}")


@log.command("list")
@click.option("--from", "start", type=INDEX, metavar="N", help="The first entry; by default the last ones are shown.")
@click.option("--limit", type=click.IntRange(1, 1_000_000), default=20, show_default=True, help="How many.")
@click.option("--folder", type=FOLDER, metavar="NODE", required=True, help="A node's folder on this machine.")
@json_option
def list_(start: int | None, limit: int, folder: Path, as_json: bool) -> None:
    """List entries, the newest ones unless --from is given; with --json one JSON object a line.

    \b
    Example:
      twinproof log list --from 0 --limit 5 --folder ./node
    """
    from twinproof.node.node import read_node

    with read_node(folder) as node:
        size = node.reader.head().size
        first = max(0, size - limit) if start is None else start
        if first >= size:
            raise NotFound(f"no entry {first}: the log has {size}")
        entries = node.reader.entries(first, min(size, first + limit))
    for index, raw in enumerate(entries, first):
        statement = parse_statement(raw)
        kind, said = kind_of(statement).name, summary(parse_payload(statement))
        if as_json:
            print_json_line(
                {"index": index, "kind": kind, "iss": statement.issuer, "sub": statement.subject, "says": said}
            )
        else:
            click.echo(f"{index:>7}  {utc(statement.issued_at)}  {kind:<11}  {statement.subject}  {said}")


@log.command()
@click.argument("index", type=INDEX, metavar="N")
@click.option("-o", "--output", type=NEW_FILE, required=True, metavar="FILE", help="Where to write it.")
@target_options
@json_option
def receipt(index: int, output: Path, folder: Path | None, url: str | None, as_json: bool) -> None:
    """Write a COSE receipt (RFC 9942) of entry N to a file.

    \b
    Example:
      twinproof log receipt 3 -o entry3.receipt --folder ./node
    """
    with open_log(folder, url) as opened:
        data = opened.receipt(index)
    write_new(output, data)
    if as_json:
        print_json({"path": str(output), "bytes": len(data)})
    else:
        click.echo(f"{output}  {count(len(data), 'byte')}")


# --- after a rollback ---------------------------------------------------------------------------


@log.command()
@click.argument("folder", type=FOLDER, metavar="NODE")
@click.argument("checkpoint", type=FILE, metavar="CHECKPOINT")
@json_option
def repin(folder: Path, checkpoint: Path, as_json: bool) -> None:
    """Set a lost or damaged pin of NODE from the newest CHECKPOINT that somebody outside holds.

    \b
    Example:
      twinproof log repin ./node checkpoint.txt

    The pin is what keeps an old copy of the database from signing a fork. Take the newest checkpoint that any
    witness, auditor or customer has: an older one lets the log forget what came after it.
    """
    from twinproof.log.pin import Pin
    from twinproof.log.recovery import repin as set_pin
    from twinproof.log.sqlite import SqliteStore
    from twinproof.node.node import DATABASE, PIN, read_node

    note = read_file(checkpoint, MAX_NOTE, "checkpoint")
    with read_node(folder) as node:
        verifiers, origin = node.verifiers, node.config.origin
    store = SqliteStore(folder / DATABASE)
    try:
        missing = set_pin(store, Pin(folder / PIN), verifiers, origin, note)
    finally:
        store.close()
    if as_json:
        print_json({"missing": missing})
    elif missing:
        click.echo(
            f"The pin is set. {count(missing, 'entry')} are missing; bring them back with `twinproof log restore`."
        )
    else:
        click.echo("The pin is set; the log can be served.")


@log.command()
@click.argument("folder", type=FOLDER, metavar="NODE")
@click.argument("bundles", type=FILE, nargs=-1, required=True, metavar="BUNDLE...")
@json_option
def restore(folder: Path, bundles: tuple[Path, ...], as_json: bool) -> None:
    """Bring the entries that NODE lost back from history bundles, up to the pinned checkpoint.

    \b
    Example:
      twinproof log restore ./node pump7.twinproof pump8.twinproof

    Together the bundles must hold every missing entry. Nothing is signed: unless size and root of the pinned
    checkpoint are reached exactly, nothing is changed.
    """
    from twinproof.log.pin import Pin
    from twinproof.log.recovery import restore as bring_back
    from twinproof.log.sqlite import SqliteStore
    from twinproof.log.store import Entry
    from twinproof.node.node import DATABASE, PIN, read_node
    from twinproof.twin.stream import position_of

    entries: dict[int, bytes] = {}
    for path in bundles:
        entries.update(parse_bundle(read_file(path, MAX_BUNDLE, "bundle")).entries)
    with read_node(folder) as node:
        verifiers, origin = node.verifiers, node.config.origin
    store = SqliteStore(folder / DATABASE)
    try:
        given: Iterable[Entry] = [Entry(position_of(raw), raw) for _, raw in sorted(entries.items())]
        restored = bring_back(store, Pin(folder / PIN), verifiers, origin, given, int(time.time()))
    finally:
        store.close()
    if as_json:
        print_json({"restored": restored})
    else:
        click.echo(f"{count(restored, 'entry')} brought back; the log can be served.")
