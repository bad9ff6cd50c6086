"""`twinproof anchor`: the log's heads on the chain."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from twinproof.cli.anchor_owner import accept, transfer
from twinproof.cli.chain_values import address_name, coins, hex_of
from twinproof.cli.options import FOLDER, NEW_FILE, json_option, write_new
from twinproof.cli.output import count, print_json, utc
from twinproof.cli.receipts import Done, report
from twinproof.cli.refusal_hints import with_hint
from twinproof.cli.spending import WAIT, ChainGroup, Desk, open_desk, spender_options
from twinproof.errors import ChainUnreachable, Conflict, NotFound, Reverted

if TYPE_CHECKING:
    from twinproof.chain.anchors import Anchored, CheckpointAnchor
    from twinproof.node.anchoring import Anchoring
    from twinproof.node.node import Node

PAUSE = 0.5
"""Seconds between two rounds of waiting."""


@click.group(cls=ChainGroup)
def anchor() -> None:
    """The log's heads on the chain: each proved to continue the one before, with its block's time.

    \b
    Example:
      twinproof anchor now --folder ./node

    A node that is being served anchors by itself (docs/chain.md).
    """


for _command in (transfer, accept):
    anchor.add_command(_command)


@dataclass
class _Anchors:
    desk: Desk
    node: Node
    contract: CheckpointAnchor
    log_id: bytes

    def events(self) -> list[Anchored]:
        return self.contract.events(self.log_id, self.desk.contracts.first_block, self.desk.chain.head().number)

    def described(self, one: Anchored) -> dict[str, Any]:
        found = self.desk.chain.receipt(one.log.transaction)
        cost = None if found is None else str(found.gas_used * found.gas_price)
        return {
            "size": one.head.size,
            "root": one.head.root.hex(),
            "time": one.head.time,
            "block": one.log.number,
            "transaction": hex_of(one.log.transaction),
            "gas": None if found is None else found.gas_used,
            "cost": cost,
            "by": None if found is None else address_name(found.sender),
        }


@contextmanager
def _opened(folder: Path, **where: Any) -> Iterator[_Anchors]:
    from twinproof.chain.anchors import CheckpointAnchor
    from twinproof.node.node import read_node

    with open_desk(folder=folder, url=None, chain_id=None, contracts=None, **where) as desk, read_node(folder) as node:
        contracts = desk.contracts
        yield _Anchors(
            desk, node, CheckpointAnchor(desk.chain, contracts.addresses["CheckpointAnchor"]), contracts.log_id
        )


_node_option = click.option("--folder", type=FOLDER, required=True, metavar="NODE", help="A node's folder.")


@anchor.command()
@spender_options
@json_option
def register(as_json: bool, **where: Any) -> None:
    """Register the log with contracts that others deployed; `chain deploy` does so with its own.

    \b
    Example:
      twinproof anchor register --folder ./node

    The log's id at the contract depends on the account, which owns it from then on.
    """
    from twinproof.chain.anchors import CheckpointAnchor, log_id_of
    from twinproof.node.chain_setup import write_contracts
    from twinproof.node.config import load_config

    folder = where["folder"]
    if folder is None:
        raise click.UsageError("A log is registered by its node: give the folder as --folder NODE.")
    origin = load_config(folder).origin
    with open_desk(**where) as desk:
        owner = desk.sender.address
        anchors = CheckpointAnchor(desk.chain, desk.contracts.addresses["CheckpointAnchor"])
        log_id = log_id_of(origin, owner)
        if anchors.owner(log_id) is not None:
            raise Conflict(f"{origin} is registered by this account already, as {hex_of(log_id)}")
        done = desk.spend(f"Register {origin}", anchors.address, anchors.plan_registration(origin, owner))
        write_contracts(folder, replace(desk.contracts, log_id=log_id))
    report(done, as_json, {"log_id": hex_of(log_id)})


@anchor.command()
@spender_options
@json_option
def now(as_json: bool, **where: Any) -> None:
    """Anchor the newest checkpoint and wait until it counts.

    \b
    Example:
      twinproof anchor now --folder ./node

    The evidence is kept for bundles: `twinproof prove` carries it, `twinproof verify` tells what it bounds.
    """
    folder = where.pop("folder")
    if folder is None:
        raise click.UsageError("A log is anchored by its node: give the folder as --folder NODE.")
    if [name for name in ("url", "chain_id", "contracts", "confirmations") if where.pop(name) is not None]:
        raise click.UsageError("A log is anchored by its node: give the folder alone.")
    with _opened(folder, **where) as found:
        anchoring, size = _anchoring(found), found.node.reader.checkpoints()[-1].size
        anchoring.want(size)
        if not _anchor(found, anchoring, size):
            head = found.contract.latest(found.log_id)
            if as_json:
                print_json({"size": head.size, "time": head.time, "transaction": None})
            else:
                click.echo(f"All {count(head.size, 'entry')} are anchored already, since {utc(head.time)}.")
            return
        event = found.events()[-1]
        receipt = found.desk.chain.receipt(event.log.transaction)
        if receipt is None:
            raise NotFound("the chain has no receipt of the anchor; was it reorganised? Try again")
    what = f"{count(event.head.size, 'entry')} are anchored since {utc(event.head.time)}"
    report(Done(what, receipt), as_json, {"size": event.head.size, "root": event.head.root.hex()})


def _anchor(found: _Anchors, anchoring: Anchoring, size: int) -> bool:
    """Anchor `size` entries and wait until that counts; False if they are anchored already."""
    latest = found.contract.latest(found.log_id)
    already = latest.size >= size
    if not already and found.desk.real:
        what = f"{count(size, 'entry')} are anchored"
        found.desk.confirm(what, *_cost(found, latest.size, latest.time, size))
    end = time.monotonic() + WAIT
    while True:
        anchoring.step()
        late = time.monotonic() >= end
        if (problem := anchoring.problem) is not None and (late or not isinstance(problem, ChainUnreachable)):
            raise with_hint(problem) if isinstance(problem, Reverted) else problem
        if anchoring.covering(size - 1) is not None:
            return not already
        if late:
            raise Conflict(f"the anchor is not confirmed after {WAIT:g} s; it stays in the outbox")
        time.sleep(PAUSE)


def _cost(found: _Anchors, old: int, old_time: int, size: int) -> tuple[int, int, int]:
    from twinproof.chain.anchors import NO_HEAD, Head

    reader = found.node.reader
    head = Head(old, old_time, reader.root(old)) if old else NO_HEAD
    proof = reader.consistency(old, size) if old else []
    data = found.contract.plan(found.log_id, head, size, reader.root(size), proof)
    try:
        estimate = found.desk.sender.estimate(found.contract.address, data)
    except Reverted as refusal:
        raise with_hint(refusal) from None
    return estimate.gas, estimate.likely, estimate.most


def _anchoring(found: _Anchors) -> Anchoring:
    from twinproof.node.anchoring import Anchoring
    from twinproof.node.chain_setup import confirmations
    from twinproof.node.submissions import OutboxSubmitter

    desk = found.desk
    # The node's own way, under the same purposes: beside a node that is being served nothing is sent twice.
    return Anchoring(
        found.node.reader, desk.chain, found.contract, found.log_id, OutboxSubmitter(desk.sender), found.node.anchors,
        settings=desk.settings, clock=time.time, confirmations=confirmations(desk.settings),
        first_block=desk.contracts.first_block, on_problem=lambda problem: None,
    )  # fmt: skip


@anchor.command()
@_node_option
@json_option
def status(folder: Path, as_json: bool) -> None:
    """Show the newest anchor, and how much of the log it covers.

    \b
    Example:
      twinproof anchor status --folder ./node
    """
    with _opened(folder) as found:
        latest = found.contract.latest(found.log_id)
        owner = found.contract.owner(found.log_id)
        size = found.node.reader.head().size
        known = latest.size <= size
        root = found.node.reader.root(latest.size) if known and latest.size else None
        from twinproof.chain.anchors import Head

        fits = root is None or found.contract.is_anchored(found.log_id, Head(latest.size, latest.time, root))
    told = {
        "log_id": hex_of(found.log_id),
        "owner": None if owner is None else address_name(owner),
        "anchors": latest.count,
        "size": latest.size,
        "time": latest.time,
        "log_size": size,
        "behind": max(0, size - latest.size),
        "forked": not (known and fits),
    }
    if as_json:
        print_json(told)
    else:
        click.echo(f"log id    {told['log_id']}" + ("" if owner else ", not registered"))
        if latest.count:
            since = f"{count(latest.size, 'entry')} since {utc(latest.time)}"
            click.echo(f"newest    {since}; {count(latest.count, 'anchor')}")
        click.echo(f"behind    {count(max(0, size - latest.size), 'entry')}")
        if told["forked"]:
            click.echo("FORKED    the chain has another head under this log's id than this log")
    if told["forked"]:
        click.get_current_context().exit(1)


@anchor.command("list")
@_node_option
@json_option
def list_(folder: Path, as_json: bool) -> None:
    """List all anchors of the log: entries covered, block, time, cost.

    \b
    Example:
      twinproof anchor list --folder ./node
    """
    with _opened(folder) as found:
        rows = [found.described(one) for one in found.events()]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        cost = "" if row["cost"] is None else f"  {coins(int(row['cost']))}"
        click.echo(f"{count(row['size'], 'entry'):<16}  block {row['block']:<8}  {utc(row['time'])}{cost}")
    click.echo(count(len(rows), "anchor"))


@anchor.command()
@click.argument("file", type=NEW_FILE)
@_node_option
@click.option("--force", is_flag=True, help="Overwrite FILE.")
@json_option
def export(file: Path, folder: Path, force: bool, as_json: bool) -> None:
    """Write the hashes of the blocks that hold the log's anchors to FILE, for who trusts this chain.

    \b
    Example:
      twinproof anchor export blocks.txt --folder ./node
      twinproof verify pump7.twinproof --policy policy.txt --blocks blocks.txt

    An auditor takes such a file from somebody who watches the chain, not from who wants to be believed.
    """
    with _opened(folder) as found:
        events = found.events()
        lines = [f"# chain {found.desk.chain.chain_id}, contract {address_name(found.contract.address)}"]
        lines += [f"{hex_of(one.log.block)}  # {one.log.number}, {count(one.head.size, 'entry')}" for one in events]
    write_new(file, ("\n".join(lines) + "\n").encode(), force=force)
    if as_json:
        print_json({"file": str(file), "blocks": len(events)})
    else:
        click.echo(f"{file} names {count(len(events), 'block')}.")
