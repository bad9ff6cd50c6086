"""`twinproof verify`: the offline auditor: proof, twin and verify; no node, no database; network for --rpc alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NoReturn

import click

from twinproof.cli.anchors import Trust, read_trust, trust_options
from twinproof.cli.history import history_json, show_history
from twinproof.cli.options import FILE, INDEX, json_option, operator_kid, read_card, read_file
from twinproof.cli.output import ExitCode, count, mark, print_json, progress, utc
from twinproof.cli.replaying import REPLAY, Replays, replay_json, replay_lines, replay_problems
from twinproof.errors import Malformed, TwinproofError, VerificationFailed
from twinproof.proof.keys import PublicKey
from twinproof.proof.policy import MAX_POLICY, Policy, TrustedCheckpoint, parse_policy
from twinproof.proof.tlog_proof import MAGIC, MAX_PROOF
from twinproof.twin.evidence import MAX_BUNDLE
from twinproof.twin.statement import MAX_STATEMENT
from twinproof.verify import (
    History,
    ProvenStatement,
    verify_bundle,
    verify_tlog_proof,
    verify_transparent,
)

BUNDLE: Final = "bundle"
TRANSPARENT: Final = "transparent statement"
TLOG_PROOF: Final = "tlog-proof"


@click.command()
@click.argument("file", type=FILE)
@click.option("--policy", type=FILE, required=True, help="Whom you trust: a C2SP tlog-policy file.")
@click.option("--operator", metavar="CARD|KID", help="The operator you expect: signer card, or key thumbprint in hex.")
@click.option("--statement", type=FILE, help="The statement that a tlog-proof is about.")
@click.option("--signer", type=FILE, metavar="CARD", help="Check a single statement's own signature too.")
@click.option("--entries", is_flag=True, help="List every statement of a history.")
@click.option("--state", is_flag=True, help="Show the twin's state that a history leads to.")
@click.option("--at", type=INDEX, metavar="INDEX", help="Show its state after this entry of the log instead.")
@click.option("--replay", is_flag=True, help="Compute every prediction again, and compare all bits.")
@click.option("--predictor", "models", type=FILE, multiple=True, metavar="FILE", help="With --replay: a model.")
@trust_options
@json_option
def verify(
    file: Path,
    policy: Path,
    operator: str | None,
    statement: Path | None,
    signer: Path | None,
    entries: bool,
    state: bool,
    at: int | None,
    replay: bool,
    models: tuple[Path, ...],
    as_json: bool,
    **anchors: Any,
) -> None:
    """Verify FILE offline: a history bundle, a transparent statement, or a tlog-proof.

    \b
    Examples:
      twinproof verify engine.twinproof --policy policy.txt --operator operator.json
      twinproof verify engine.twinproof --policy policy.txt --at 120
      twinproof verify entry.cose --policy policy.txt --signer device.json
      twinproof verify entry.tlog-proof --statement entry.statement --policy policy.txt
      twinproof verify engine.twinproof --policy policy.txt --replay --predictor engine.model
      twinproof verify engine.twinproof --policy policy.txt --rpc https://node.example --chain-id 1 --confirmations 12

    A bundle may prove that a blockchain recorded the log. Its blocks' times count if you trust the blocks: by hash
    (--block, --blocks), or because a node of yours has them (--rpc).

    With --replay each prediction is computed anew, in plain Python, from the readings that it names; its model comes
    from the bundle or by --predictor. One that differs in a bit fails the verification.

    Exit code 0 means verified, 1 not verified, 2 that FILE or the policy could not be read at all, 3 that --rpc does
    not answer. But for --rpc no network, no clock and no database is used.
    """
    trust = read_trust(anchors)
    if models and not replay:
        raise click.UsageError("--predictor brings a model for --replay")
    data = read_file(file, MAX_BUNDLE, "evidence")
    kind = recognise(data)
    _check_options(kind, operator, statement, signer)
    if kind != BUNDLE and trust.options:
        raise click.UsageError(f"{trust.options[0]} is for a history bundle; a {kind} carries no anchors")
    if kind != BUNDLE and at is not None:
        raise click.UsageError(f"--at is for a history bundle; this is a {kind}")
    if kind != BUNDLE and replay:
        raise click.UsageError(f"--replay is for a history bundle; this is a {kind}")
    trusted = parse_policy(read_file(policy, MAX_POLICY, "policy"))
    if kind == BUNDLE:
        expected = None if operator is None else operator_kid(operator)
        replays = Replays(data, models) if replay else None
        _Audit(file, as_json, trust, replays).run(data, trusted, expected, entries=entries, state=state, at=at)
        return
    key = None if signer is None else read_card(signer).key
    raw = b"" if statement is None else read_file(statement, MAX_STATEMENT, "statement")
    _verify_one(kind, data, raw, trusted, key, as_json=as_json)


def recognise(data: bytes) -> str:
    """What kind of evidence a file holds, by its first bytes; raises `Malformed` if it is none."""
    if data.startswith(MAGIC.encode() + b"\n"):
        if len(data) > MAX_PROOF:
            raise Malformed("tlog-proof", f"over {MAX_PROOF} bytes")
        return TLOG_PROOF
    if data[:1] == b"\xd2":  # CBOR tag 18
        return TRANSPARENT
    if data and data[0] >> 5 == 5:  # CBOR map
        return BUNDLE
    raise Malformed("evidence", "neither a history bundle, nor a transparent statement, nor a tlog-proof")


def _check_options(kind: str, operator: str | None, statement: Path | None, signer: Path | None) -> None:
    if kind == TLOG_PROOF and statement is None:
        raise click.UsageError("A tlog-proof needs the statement that it is about: --statement FILE")
    if kind != TLOG_PROOF and statement is not None:
        raise click.UsageError(f"--statement is for a tlog-proof; this is a {kind}")
    if kind != BUNDLE and operator is not None:
        raise click.UsageError(f"--operator is for a history bundle; a {kind} does not name the operator")
    if kind == BUNDLE and signer is not None:
        raise click.UsageError("--signer is for a single statement; a bundle brings its signers' keys")


# --- bundles ----------------------------------------------------------------------------------


class _Audit:
    """One bundle: the steps as they pass, then the history or what failed."""

    def __init__(self, file: Path, as_json: bool, trust: Trust, replays: Replays | None) -> None:
        self.file = file
        self.as_json = as_json
        self.trust = trust
        self.replays = replays
        self.steps: list[dict[str, Any]] = []

    def run(
        self, data: bytes, policy: Policy, operator: bytes | None, *, entries: bool, state: bool, at: int | None
    ) -> None:
        if not self.as_json:
            click.echo(click.style(str(self.file), bold=True))
        try:
            with self.trust.trusted() as anchors:
                history = verify_bundle(data, policy, self.on_step, anchors=anchors)
        except VerificationFailed as failure:
            self.fail(failure.step, failure.title, failure.problems)
        self.check_operator(history, operator)
        replayed = self.replay(history)
        if at is not None:
            history, state = replace(history, state=history.state_at(at)), True
        if self.as_json:
            print_json(
                {
                    "verified": True,
                    "kind": BUNDLE,
                    "file": str(self.file),
                    "steps": self.steps,
                    **history_json(history),
                    **replayed,
                }
            )
            return
        show_history(history, operator_checked=operator is not None, entries=entries, state=state)

    def on_step(self, number: int, title: str, found: str) -> None:
        self.steps.append({"step": number, "title": title, "found": found})
        if not self.as_json:
            click.echo(f"  {mark(True)} {number:>2}  {title:<22}  {found}")

    def check_operator(self, history: History, expected: bytes | None) -> None:
        found = history.operator.thumbprint
        if expected is not None and found != expected:
            # The caller's own question, after the ten steps: the history is what it says, but another operator's.
            self.fail(
                None,
                "expect the operator",
                [f"the genesis names the operator key {found.hex()}, you expect {expected.hex()}"],
            )

    def replay(self, history: History) -> dict[str, Any]:
        """Compute the predictions again, if that was asked for: after the ten steps, on what they proved."""
        if self.replays is None:
            return {}
        with progress("Replaying") as report:
            findings = self.replays.run(history, report)
        if wrong := replay_problems(findings):
            self.fail(None, REPLAY, wrong)
        if not self.as_json:
            for line in replay_lines(findings):
                click.echo(line)
        return {"replay": replay_json(findings)}

    def fail(self, step: int | None, title: str, problems: list[str]) -> NoReturn:
        if self.as_json:
            print_json(
                {
                    "verified": False,
                    "kind": BUNDLE,
                    "file": str(self.file),
                    "steps": self.steps,
                    "failed": {"step": step, "title": title, "problems": problems},
                }
            )
        else:
            click.echo(f"  {mark(False)} {step or '':>2}  {title}")
            for problem in problems:
                click.echo(f"          {problem}")
            where = title if step is None else f"step {step}, {title}"
            click.echo(click.style("\nNOT VERIFIED", fg="red", bold=True) + f": {where}")
        raise click.exceptions.Exit(ExitCode.REFUSED)


# --- single statements --------------------------------------------------------------------------


def _verify_one(kind: str, data: bytes, raw: bytes, policy: Policy, signer: PublicKey | None, *, as_json: bool) -> None:
    head: TrustedCheckpoint | None = None
    try:
        if kind == TRANSPARENT:
            proven = verify_transparent(data, policy, signer)
        else:
            proven, head = verify_tlog_proof(data, raw, policy, signer)
    except TwinproofError as problem:
        problems = problem.problems if isinstance(problem, VerificationFailed) else [str(problem)]
        if as_json:
            print_json({"verified": False, "kind": kind, "code": problem.code, "problems": problems})
        else:
            for line in problems:
                click.echo(f"  {mark(False)} {line}")
            click.echo(click.style("\nNOT VERIFIED", fg="red", bold=True) + f": {kind}")
        raise click.exceptions.Exit(ExitCode.REFUSED) from None
    if as_json:
        print_json({"verified": True, "kind": kind, **_proven_json(proven, head)})
    else:
        _show_proven(kind, proven, head)


def _proven_json(proven: ProvenStatement, head: TrustedCheckpoint | None) -> dict[str, Any]:
    statement = proven.statement
    return {
        "origin": proven.origin,
        "index": proven.index,
        "size": proven.size,
        "statement": statement.digest.hex(),
        "iss": statement.issuer,
        "sub": statement.subject,
        "content_type": statement.content_type,
        "kid": statement.kid.hex(),
        "seq": statement.seq,
        "iat": statement.issued_at,
        "signer_checked": proven.signer_checked,
        "witnesses": list(head.witnesses) if head else [],
        "not_after": head.not_after if head else None,
    }


def _show_proven(kind: str, proven: ProvenStatement, head: TrustedCheckpoint | None) -> None:
    statement = proven.statement
    click.echo(f"  {mark(True)} the log {proven.origin} holds this statement ({kind})")
    click.echo(f"  {mark(True)} it is entry {proven.index}, in the tree of {count(proven.size, 'entry')}")
    if head is not None:
        cosigned = f"cosigned by {', '.join(head.witnesses)}" if head.witnesses else "no witness cosigned it"
        click.echo(f"  {mark(True)} the checkpoint: {cosigned}")
        if head.not_after is not None:
            click.echo(f"  {mark(True)} it was in the log by {utc(head.not_after)}")
    if proven.signer_checked:
        click.echo(f"  {mark(True)} its own signature, by the key {statement.kid.hex()}")
    click.echo(f"\n  signer   {statement.issuer}\n  twin     {statement.subject}")
    click.echo(f"  says     {statement.content_type}, number {statement.seq} of its stream")
    click.echo(f"  claimed  {utc(statement.issued_at)}")
    click.echo(click.style("\nVERIFIED", fg="green", bold=True) + f": {kind}")
    if not proven.signer_checked:
        click.echo(
            "Not checked: the signer's own signature and authority. Give --signer CARD, or ask for the history bundle."
        )
