"""How a verified history is shown: who said what under which grant, streams, times, remarks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from twinproof.cli.anchors import anchor_json, anchor_lines
from twinproof.cli.output import count, heading, utc
from twinproof.cli.state import scope, show_state, state_json, summary
from twinproof.twin.authority import Grant
from twinproof.verify import History, TimeBracket, VerifiedEntry


def history_json(history: History) -> dict[str, Any]:
    """A verified history as one JSON object."""
    head = history.head.checkpoint
    root = history.authority.root.terms
    return {
        "subject": history.subject,
        "origin": head.origin,
        "size": head.size,
        "root": head.root.hex(),
        "witnesses": list(history.head.witnesses),
        "operator": {"iss": root.issuer, "kid": history.operator.thumbprint.hex()},
        "entries": [_entry_json(entry) for entry in history.entries],
        "streams": [
            {"iss": s.issuer, "sub": s.subject, "first": s.first, "last": s.last, "digest": s.digest.hex()}
            for s in history.streams
        ],
        "anchors": [anchor_json(anchor) for anchor in history.anchors],
        "state": state_json(history.state),
        "remarks": list(history.remarks),
    }


def _entry_json(entry: VerifiedEntry) -> dict[str, Any]:
    statement = entry.statement
    return {
        "index": entry.index,
        "kind": entry.kind.name,
        "iss": statement.issuer,
        "kid": statement.kid.hex(),
        "seq": statement.seq,
        "digest": statement.digest.hex(),
        "grant": entry.grant.id.hex(),
        "claimed": entry.time.claimed,
        "not_before": entry.time.not_before,
        "not_after": entry.time.not_after,
        "anchored": entry.time.anchored,
        "latest": entry.time.latest,
    }


def show_history(history: History, *, operator_checked: bool, entries: bool, state: bool) -> None:
    """A verified history for people."""
    heading("Who said what")
    for line in _said(history.entries):
        click.echo(line)
    if entries:
        heading("Every statement")
        for entry in history.entries:
            said = summary(entry.payload)
            click.echo(f"  {entry.index:>7}  {utc(entry.time.claimed)}  {entry.kind.name:<11}  {said}")
            if entry.time.anchored is not None:
                click.echo(f"           anchored by {utc(entry.time.anchored)}")
    heading("Streams")
    for stream in history.streams:
        click.echo(f"  seq {stream.first}..{stream.last}  {stream.issuer} about {stream.subject}")
    heading("Times")
    for line in _times([entry.time for entry in history.entries]):
        click.echo(line)
    if history.anchors:
        heading("Anchors")
        for line in anchor_lines(history.anchors):
            click.echo(line)
    if state:
        heading(f"State after entry {history.state.last_index}")
        show_state(history.state)
    remarks = list(history.remarks)
    if not history.head.witnesses:
        remarks.append("no witness cosigned: you rely on the operator for showing everybody the same log")
    if not operator_checked:
        remarks.append(
            f"you did not say which operator you expect; it is {history.authority.root.terms.issuer} "
            f"with the key {history.operator.thumbprint.hex()}"
        )
    heading("Remarks")
    for remark in remarks or ["none"]:
        click.echo(f"  - {remark}")
    checkpoint = history.head.checkpoint
    said = f"{count(len(history.entries), 'statement')} about {history.subject}, in {checkpoint.origin}"
    click.echo(click.style("\nVERIFIED", fg="green", bold=True) + f": {said}")


def _said(entries: Iterable[VerifiedEntry]) -> Iterable[str]:
    """One block per signer, key and grant: the kinds it said under it, with counts and first and last entry."""
    blocks: dict[tuple[str, bytes, bytes], list[VerifiedEntry]] = {}
    for entry in entries:
        blocks.setdefault((entry.statement.issuer, entry.statement.kid, entry.grant.id), []).append(entry)
    for (issuer, kid, _), said in blocks.items():
        yield f"  {issuer}  (key {kid.hex()[:16]})"
        yield f"    {_grant(said[0].grant)}"
        kinds: dict[str, list[int]] = {}
        for entry in said:
            kinds.setdefault(entry.kind.name, []).append(entry.index)
        for kind, indices in kinds.items():
            where = f"entry {indices[0]}" if len(indices) == 1 else f"from entry {indices[0]} to {indices[-1]}"
            yield f"    {len(indices):>6} × {kind:<12} {where}"


def _grant(grant: Grant) -> str:
    if grant.terms.via is None and len(grant.chain) == 1:
        return "as the log's operator, by the genesis"
    return f"may {', '.join(sorted(grant.terms.can))} about {scope(grant.terms)}, by the grant at entry {grant.index}"


def _times(brackets: list[TimeBracket]) -> Iterable[str]:
    claimed = [bracket.claimed for bracket in brackets]
    yield f"  claimed by the signers    {utc(min(claimed))} to {utc(max(claimed))}"
    before = [bracket.not_before for bracket in brackets if bracket.not_before is not None]
    after = [bracket.not_after for bracket in brackets if bracket.not_after is not None]
    if after:
        start = f"{utc(min(before))}" if len(before) == len(brackets) else "an unknown time"
        yield f"  integrated by the log     between {start} and {utc(max(after))}"
    else:
        yield "  integrated by the log     no trusted signature carries a time"
    anchored = [bracket.anchored for bracket in brackets if bracket.anchored is not None]
    if anchored:
        missing = len(brackets) - len(anchored)
        rest = f", but for {count(missing, 'statement')}" if missing else ""
        yield f"  anchored on a chain       by {utc(max(anchored))}{rest}"
