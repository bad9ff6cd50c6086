"""Where the inputs of a scenario come from: a node's folder, or verified bundles, and files; each by what pins it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import click

from twinproof.cli.options import FILE, FOLDER, operator_kid, read_file
from twinproof.cli.output import count
from twinproof.errors import Malformed, NotFound
from twinproof.node.node import Node, read_node
from twinproof.proof.checkpoint import Checkpoint, parse_checkpoint
from twinproof.proof.policy import MAX_POLICY, parse_policy
from twinproof.simulation.scenario import LogHead, Scenario
from twinproof.twin.attestation import Attestation
from twinproof.twin.evidence import MAX_BLOB, MAX_BUNDLE, parse_bundle
from twinproof.verify import verify_bundle

F = TypeVar("F", bound=Callable[..., Any])


def source_options(command: F) -> F:
    """`--folder NODE`, or `--bundle FILE …` with `--policy` and `--operator`; `--file` for bytes that no log holds."""
    for option in (
        click.option("--file", "files", type=FILE, multiple=True, metavar="FILE", help="An input, by SHA-256."),
        click.option("--operator", metavar="CARD|KID", help="The operator you expect of the bundles' log."),
        click.option("--policy", type=FILE, help="Whom you trust, with --bundle: a C2SP tlog-policy file."),
        click.option("--bundle", "bundles", type=FILE, multiple=True, metavar="FILE", help="A twin's history bundle."),
        click.option("--folder", type=FOLDER, metavar="NODE", help="A node's folder; it may be served."),
    ):
        command = option(command)
    return command


@dataclass(slots=True)
class Sources:
    """What is at hand. `close` it, or use it in a `with`."""

    node: Node | None = None
    entries: dict[int, bytes] = field(default_factory=dict)
    """Of verified bundles, by log index."""
    blobs: dict[bytes, bytes] = field(default_factory=dict)
    """By SHA-256."""
    heads: list[Checkpoint] = field(default_factory=list)
    """That the bundles prove."""
    stated: list[tuple[int, str, Attestation]] = field(default_factory=list)
    """Attestations in the bundles: entry, issuer, what it says."""
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Sources:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def resolve(self, scenario: Scenario) -> dict[str, bytes]:
        """The bytes of every input; raises `Malformed` that names the first one that is missing or another."""
        return {name: self._input(name, pinned.sha256, pinned.index) for name, pinned in scenario.inputs.items()}

    def _input(self, name: str, digest: bytes, index: int | None) -> bytes:
        what = f"inputs.{name}"
        if index is None:
            data = self.blobs.get(digest)
            if data is None and self.node is not None and self.node.blobs.has(digest):
                data = self.node.blobs.get(digest)
            if data is None:
                raise Malformed(what, f"nothing with SHA-256 {digest.hex()} is here; bring it with --file FILE")
            return data
        raw = self._entry(index)
        if raw is None:
            raise Malformed(what, f"entry {index} is not here; bring its twin's history with --bundle FILE")
        if sha256(raw).digest() != digest:
            raise Malformed(what, f"entry {index} of the log is another statement than the one that is pinned")
        return raw

    def _entry(self, index: int) -> bytes | None:
        if self.node is None:
            return self.entries.get(index)
        try:
            return self.node.reader.entry(index)
        except NotFound:
            return None

    def check_log(self, log: LogHead | None) -> tuple[bool, str]:
        """Whether it was seen that the log is the one named, and in words; raises `Malformed` if it is another."""
        if log is None:
            return False, "the scenario names no log"
        origins = {head.origin for head in self.heads} | ({self.node.config.origin} if self.node else set())
        if other := sorted(origins - {log.origin}):
            raise Malformed("scenario.log.origin", f"the scenario is of {log.origin}, this log is {other[0]}")
        roots = [head.root for head in self.heads if head.size == log.size]
        if self.node is not None:
            if log.size > self.node.reader.head().size:
                raise Malformed("scenario.log.size", f"this log has {count(self.node.reader.head().size, 'entry')}")
            roots.append(self.node.reader.root(log.size))
        if not roots:
            told = f"no bundle proves the tree of {count(log.size, 'entry')}; its inputs are proved by other trees"
            return False, told
        if set(roots) != {log.root}:
            raise Malformed("scenario.log.root", f"with {count(log.size, 'entry')} this log has another root: a fork?")
        return True, f"the tree of {count(log.size, 'entry')} has the root that the scenario names"


def open_sources(
    folder: Path | None, bundles: Sequence[Path], policy: Path | None, operator: str | None, files: Sequence[Path]
) -> Sources:
    """Open a node, or verify bundles; raises `VerificationFailed`, `Malformed`, or a usage error."""
    if folder is not None and bundles:
        raise click.UsageError("Give the inputs either from --folder NODE or from --bundle FILE.")
    if bundles and policy is None:
        raise click.UsageError("A bundle proves something only to who trusts a log: give --policy FILE.")
    if not bundles and (policy is not None or operator is not None):
        raise click.UsageError("--policy and --operator are for --bundle.")
    found = Sources()
    for path in files:
        data = read_file(path, MAX_BLOB, "file")
        found.blobs[sha256(data).digest()] = data
    for path in bundles:
        _add_bundle(found, read_file(path, MAX_BUNDLE, "bundle"), policy, operator, path)
    if folder is not None:
        found.node = found._stack.enter_context(read_node(folder))
    return found


def _add_bundle(found: Sources, data: bytes, policy: Path | None, operator: str | None, path: Path) -> None:
    if policy is None:
        raise click.UsageError("--policy is missing")
    history = verify_bundle(data, parse_policy(read_file(policy, MAX_POLICY, "policy")))
    if operator is not None and history.operator.thumbprint != operator_kid(operator):
        raise Malformed("bundle", f"{path}: the log's operator is another one than you expect")
    bundle = parse_bundle(data)
    for entry in history.entries:
        found.entries[entry.index] = entry.statement.raw
        if isinstance(entry.payload, Attestation):
            found.stated.append((entry.index, entry.statement.issuer, entry.payload))
    found.blobs.update(bundle.blobs)
    notes = (bundle.head, *(mark.checkpoint for mark in bundle.marks))
    found.heads += [parse_checkpoint(note.decode().partition("\n\n")[0] + "\n") for note in notes]
