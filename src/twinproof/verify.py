"""Verify evidence offline: a history bundle, a transparent statement, a tlog-proof.

Needs the evidence, a trust policy (C2SP tlog-policy text) and nothing else: no clock, no network,
no database. Verifying a bundle takes these steps, in this order (spec/evidence.md):

     1  read the file                 strict format, sizes
     2  trust the head                origin, log signature, witness quorum of the policy
     3  link the time marks           each older checkpoint: signatures, consistency proof to the head; each anchor:
                                      header, receipt, event, consistency proof to the head
     4  prove inclusion               every entry, one multiproof to the head's root
     5  read the statements           each one's format, kind and payload
     6  establish authority           genesis at index 0, then grants and revocations in log order
     7  check every statement         signature under the key it names, authority at its index
     8  follow the streams            numbers without gaps, each `prev` the digest of the one before
     9  compare the manifest          nothing missing, nothing beside
    10  bracket the times             claimed by the signer, integrated by the log

A step that fails raises `VerificationFailed` with all its findings; later steps are not taken. What
remains the caller's: whether the policy's keys are the right ones, whether the operator's key
(`History.operator`) is the expected one, which blocks of a chain are to be believed (`AnchorTrust`), how
wide a time bracket and how old a head are acceptable, and that a bundle can end early: later statements
of a stream, or whole streams, may exist (spec/evidence.md, "Limits").
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Final

from twinproof.errors import BadSignature, Malformed, NotAuthorised, TooLarge, TwinproofError, VerificationFailed
from twinproof.proof import cose, merkle
from twinproof.proof.keys import EDDSA, PublicKey
from twinproof.proof.policy import Policy, TrustedCheckpoint
from twinproof.proof.receipt import MAX_RECEIPT, check_inclusion_receipt, parse_receipt
from twinproof.proof.tlog_proof import check_tlog_proof, parse_tlog_proof
from twinproof.twin.anchors import (
    AnchorTrust,
    VerifiedAnchor,
    link_anchors,
    time_anchored,
    time_steps,
    unused,
)
from twinproof.twin.authority import AUTHORITY_KINDS, Authority, Grant
from twinproof.twin.description import Description
from twinproof.twin.evidence import Bundle, StreamSummary, parse_bundle
from twinproof.twin.grants import log_subject
from twinproof.twin.kinds import Kind, kind_of
from twinproof.twin.state import TwinState
from twinproof.twin.statement import MAX_STATEMENT, MAX_TIME, Statement, check_statement, parse_statement
from twinproof.twin.stream import StreamHead, check_next

STEPS: Final = {
    1: "read the file",
    2: "trust the head",
    3: "link the time marks",
    4: "prove inclusion",
    5: "read the statements",
    6: "establish authority",
    7: "check every statement",
    8: "follow the streams",
    9: "compare the manifest",
    10: "bracket the times",
}
CLOCK_TOLERANCE: Final = 300
"""Seconds that a signer's clock may be ahead of the log's; intake refuses more."""
MAX_RECEIPTS: Final = 16
"""In one transparent statement."""
MAX_TRANSPARENT: Final = MAX_STATEMENT + (MAX_RECEIPTS + 1) * MAX_RECEIPT
"""Bytes."""

OnStep = Callable[[int, str, str], None]
"""(number, title, what was found), called after each step that passed."""


@dataclass(frozen=True, slots=True)
class TimeBracket:
    """When something was stated: POSIX seconds, None where nothing trusted tells."""

    claimed: int
    """By the signer (`iat`)."""
    not_before: int | None
    """A trusted checkpoint of this time does not hold the entry yet."""
    not_after: int | None
    """A trusted checkpoint of this time holds it."""
    anchored: int | None = None
    """A trusted block of this time records a head that holds it."""

    @property
    def latest(self) -> int | None:
        """The smaller of the two upper bounds."""
        return min((t for t in (self.not_after, self.anchored) if t is not None), default=None)


@dataclass(frozen=True, slots=True)
class VerifiedEntry:
    """An entry that passed every step."""

    index: int
    statement: Statement
    kind: Kind
    payload: object
    grant: Grant
    """Under which the signer could say this."""
    time: TimeBracket


@dataclass(frozen=True)
class History:
    """A verified history of one twin."""

    subject: str
    head: TrustedCheckpoint
    entries: tuple[VerifiedEntry, ...]
    """The twin's own statements, in log order."""
    streams: tuple[StreamSummary, ...]
    authority: Authority
    state: TwinState
    """The fold of `entries`."""
    remarks: tuple[str, ...] = ()
    """What a reader should know and the file does not hide: losses, partial streams, missing times."""
    anchors: tuple[VerifiedAnchor, ...] = ()
    """Ascending by size."""

    @property
    def operator(self) -> PublicKey:
        """The log operator's key, as the genesis names it: compare it with the one you expect."""
        return self.authority.root.terms.key

    def state_at(self, index: int) -> TwinState:
        """The twin's state after the log's entry `index`, folded from `entries`."""
        state = TwinState(self.subject)
        for entry in self.entries:
            if entry.index <= index:
                state.apply(entry.index, entry.statement, entry.payload)
        return state


@dataclass(frozen=True, slots=True)
class ProvenStatement:
    """One statement that a trusted log holds."""

    statement: Statement
    index: int
    """Log index, proved."""
    size: int
    """Entries of the tree that the proof leads to."""
    origin: str
    signer_checked: bool
    """Whether its own signature was checked too: that takes the signer's key, or a bundle."""


# --- single statements ----------------------------------------------------------------------


def verify_transparent(data: bytes, policy: Policy, signer: PublicKey | None = None) -> ProvenStatement:
    """Verify a SCITT transparent statement: a statement with receipts in its unprotected header.

    1. The statement, its unprotected header emptied, is well-formed.
    2. One receipt is of a log that the policy trusts: its path leads from the statement to a root
       that one of the log's Ed25519 keys signed.
    3. With `signer`, the statement's own signature.

    The policy's witnesses are not asked: a receipt carries no cosignatures. Raises `TwinproofError`.
    """
    if len(data) > MAX_TRANSPARENT:
        raise TooLarge("transparent statement", f"{len(data)} bytes, the limit is {MAX_TRANSPARENT}")
    sign1 = cose.parse_sign1(data, what="transparent statement")
    receipts = sign1.unprotected.get(cose.RECEIPTS)
    if (
        type(receipts) is not list
        or sign1.unprotected.keys() != {cose.RECEIPTS}
        or not 1 <= len(receipts) <= MAX_RECEIPTS
    ):
        raise Malformed("receipts", f"the unprotected header holds 1..{MAX_RECEIPTS} receipts (394) and nothing else")
    raw = cose.format_sign1(cose.Sign1(sign1.protected, {}, sign1.payload, sign1.signature))
    statement = parse_statement(raw)
    problems: list[str] = []
    for item in receipts:
        try:
            proven = _check_receipt(item, statement, policy)
        except TwinproofError as problem:
            problems.append(str(problem))
            continue
        if signer is not None:
            check_statement(statement, signer)
        index, size, origin = proven
        return ProvenStatement(statement, index, size, origin, signer is not None)
    raise VerificationFailed(2, "trust a receipt", problems)


def _check_receipt(item: object, statement: Statement, policy: Policy) -> tuple[int, int, str]:
    if type(item) is not bytes:
        raise Malformed("receipts", "not a byte string")
    receipt = parse_receipt(item)
    for raw in policy.receipt_keys(receipt.issuer):
        key = PublicKey(EDDSA, raw)
        if key.thumbprint == receipt.kid:
            check_inclusion_receipt(receipt, merkle.hash_leaf(statement.raw), key)
            return receipt.second, receipt.first, receipt.issuer
    raise BadSignature(f"the policy has no Ed25519 key of {receipt.issuer!r} with the receipt's kid")


def verify_tlog_proof(
    proof: bytes, raw: bytes, policy: Policy, signer: PublicKey | None = None
) -> tuple[ProvenStatement, TrustedCheckpoint]:
    """Verify a `.tlog-proof` file for the statement `raw`; with `signer` its signature too."""
    parsed = parse_tlog_proof(proof)
    trusted = check_tlog_proof(parsed, raw, policy)
    statement = parse_statement(raw)
    if signer is not None:
        check_statement(statement, signer)
    head = trusted.checkpoint
    return ProvenStatement(statement, parsed.index, head.size, head.origin, signer is not None), trusted


# --- bundles --------------------------------------------------------------------------------


def verify_bundle(
    data: bytes, policy: Policy, on_step: OnStep | None = None, *, anchors: AnchorTrust | None = None
) -> History:
    """Verify a history bundle; raises `VerificationFailed` naming the step and every finding of it.

    `anchors` says which blocks of a chain count as upper time bounds; without it none does.
    """
    run = _Run(policy, on_step or (lambda number, title, found: None), anchors or AnchorTrust())
    try:
        run.bundle = parse_bundle(data)
    except Malformed as problem:
        raise VerificationFailed(1, STEPS[1], [str(problem)]) from None
    run.passed(1, f"{len(data)} bytes, {len(run.bundle.entries)} entries about {run.bundle.subject}")
    for step in (
        run.trust_head,
        run.link_marks,
        run.prove_inclusion,
        run.read_statements,
        run.establish_authority,
        run.check_statements,
        run.follow_streams,
        run.compare_manifest,
        run.bracket_times,
    ):
        step()
    return run.history()


@dataclass
class _Run:
    """One verification; each method is a step and leaves what the next ones need."""

    policy: Policy
    on_step: OnStep
    trust: AnchorTrust
    bundle: Bundle = field(init=False)
    head: TrustedCheckpoint = field(init=False)
    marks: list[TrustedCheckpoint] = field(default_factory=list)
    anchors: list[VerifiedAnchor] = field(default_factory=list)
    statements: list[tuple[int, Statement, Kind, object]] = field(default_factory=list)
    authority: Authority = field(default_factory=Authority)
    grants: dict[int, Grant] = field(default_factory=dict)
    state: TwinState = field(init=False)
    models: dict[str, str] = field(default_factory=dict)
    """What the descriptions so far declare, of the twin and of the log itself."""
    streams: list[StreamSummary] = field(default_factory=list)
    brackets: dict[int, TimeBracket] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def passed(self, step: int, found: str) -> None:
        self.on_step(step, STEPS[step], found)

    def conclude(self, step: int, problems: list[str], found: str) -> None:
        if problems:
            raise VerificationFailed(step, STEPS[step], problems)
        self.passed(step, found)

    def trust_head(self) -> None:
        try:
            self.head = self.policy.check(self.bundle.head)
        except TwinproofError as problem:
            raise VerificationFailed(2, STEPS[2], [str(problem)]) from None
        head = self.head.checkpoint
        witnesses = f", cosigned by {', '.join(self.head.witnesses)}" if self.head.witnesses else ", no witness"
        self.passed(2, f"{head.origin}, {head.size} entries{witnesses}")

    def link_marks(self) -> None:
        head = self.head.checkpoint
        problems = []
        previous = -1
        for number, mark in enumerate(self.bundle.marks):
            try:
                trusted = self.policy.check(mark.checkpoint)
                older = trusted.checkpoint
                if older.origin != head.origin or not previous < older.size < head.size:
                    raise Malformed("mark", f"is of {older.origin}, size {older.size}: out of order or of another log")
                merkle.check_consistency(older.size, head.size, older.root, head.root, mark.proof)
            except TwinproofError as problem:
                problems.append(f"mark {number}: {problem}")
                continue
            previous = older.size
            self.marks.append(trusted)
        anchored = link_anchors(self.bundle.anchors, head, problems)
        found = f"{len(self.marks)} older checkpoints lead to the head"
        self.conclude(3, problems, found + (f", {len(anchored)} anchored ones too" if anchored else ""))
        self.anchors = [VerifiedAnchor(older, self.trust.refusal(older)) for older in anchored]
        self.remarks.extend(unused(self.anchors))

    def prove_inclusion(self) -> None:
        head = self.head.checkpoint
        leaves = {index: merkle.hash_leaf(raw) for index, raw in self.bundle.entries}
        try:
            merkle.check_many(leaves, head.size, self.bundle.nodes, head.root)
        except TwinproofError as problem:
            raise VerificationFailed(4, STEPS[4], [str(problem), *self._suspects()]) from None
        self.passed(4, f"{len(leaves)} entries lead to the root through {len(self.bundle.nodes)} hashes")

    def _suspects(self) -> list[str]:
        """Which entries are wrong by themselves: the multiproof says only that one of them is."""
        suspects = []
        authority = Authority()
        for index, raw in self.bundle.entries:
            try:
                statement = parse_statement(raw)
                if statement.content_type in AUTHORITY_KINDS:
                    authority.check_and_apply(index, statement)
                else:
                    check_statement(statement, authority.key(statement.kid))
            except TwinproofError as problem:
                suspects.append(f"entry {index}: {problem}")
        return suspects or ["every statement's own signature holds: an index, a hash or a whole entry was changed"]

    def read_statements(self) -> None:
        problems = []
        about = {self.bundle.subject, log_subject(self.head.checkpoint.origin)}
        for index, raw in self.bundle.entries:
            try:
                statement = parse_statement(raw)
                kind = kind_of(statement)
                if statement.subject not in about:
                    raise Malformed("sub", f"{statement.subject} is another twin")
                self.statements.append((index, statement, kind, kind.parse(statement.payload, statement.issued_at)))
            except TwinproofError as problem:
                problems.append(f"entry {index}: {problem}")
        if not problems and all(statement.subject != self.bundle.subject for _, statement, _, _ in self.statements):
            problems.append(f"no statement is about {self.bundle.subject}")
        self.conclude(5, problems, f"{len(self.statements)} statements are well-formed")

    def establish_authority(self) -> None:
        """Signatures of authority statements are checked here: the fold must rest on nothing unproved."""
        origin = self.head.checkpoint.origin
        problems = []
        for index, statement, kind, _ in self.statements:
            if statement.content_type not in AUTHORITY_KINDS:
                continue
            try:
                self.grants[index] = self.authority.check_and_apply(index, statement)
            except TwinproofError as problem:
                problems.append(f"entry {index} ({kind.name} by {statement.issuer}): {problem}")
        genesis = self.authority.genesis
        if genesis is None:
            problems.insert(0, "no genesis statement at index 0")
        elif genesis.origin != origin:
            problems.insert(0, f"the genesis names the log {genesis.origin}, the checkpoint {origin}")
        self.conclude(6, problems, f"{len(self.authority.grants)} grants, {len(self.authority.revoked)} revoked")

    def check_statements(self) -> None:
        """The finished fold serves: `Authority.check` counts only what stands below the index."""
        self.state = TwinState(self.bundle.subject)
        problems = []
        for index, statement, kind, payload in self.statements:
            try:
                if statement.content_type not in AUTHORITY_KINDS:
                    grant = self.authority.check(index, statement, kind.capability, self.models.get)
                    check_statement(statement, self.authority.key(statement.kid))
                    self.grants[index] = grant
            except (NotAuthorised, BadSignature, Malformed) as problem:
                problems.append(f"entry {index} ({kind.name} by {statement.issuer}): {problem}")
                continue
            if isinstance(payload, Description) and payload.model is not None:
                self.models[statement.subject] = payload.model
            if statement.subject == self.bundle.subject:
                self.state.apply(index, statement, payload)
        self.conclude(7, problems, f"{len(self.grants)} signatures, each by a signer with a grant")

    def follow_streams(self) -> None:
        problems = []
        heads: dict[tuple[str, str], StreamHead] = {}
        firsts: dict[tuple[str, str], int] = {}
        for index, statement, _, _ in self.statements:
            name = (statement.subject, statement.issuer)
            if name not in heads:
                firsts[name] = statement.seq
                heads[name] = StreamHead(statement.seq, statement.digest)
                continue
            try:
                heads[name] = check_next(heads[name], statement)
            except TwinproofError as problem:
                problems.append(f"entry {index}: {problem}")
                heads[name] = StreamHead(statement.seq, statement.digest)
        for name in sorted(heads):
            subject, issuer = name
            self.streams.append(StreamSummary(issuer, subject, firsts[name], heads[name].seq, heads[name].digest))
            if firsts[name]:
                if subject == log_subject(self.head.checkpoint.origin):
                    problems.append(f"{issuer}'s authority statements begin at seq {firsts[name]}, not at 0")
                else:
                    self.remarks.append(
                        f"{issuer}'s stream begins at seq {firsts[name]}: earlier ones are not in this file"
                    )
        self.conclude(8, problems, f"{len(self.streams)} streams without gaps, every link holds")

    def compare_manifest(self) -> None:
        manifest = self.bundle.manifest
        problems = []
        if manifest.statements != len(self.statements):
            problems.append(f"it announces {manifest.statements} statements, the file holds {len(self.statements)}")
        announced = {(s.subject, s.issuer): s for s in manifest.streams}
        found = {(s.subject, s.issuer): s for s in self.streams}
        if len(announced) != len(manifest.streams) or list(announced) != sorted(announced):
            problems.append("its streams are not in order of subject and issuer")
        for name in sorted(announced.keys() | found.keys()):
            if announced.get(name) != found.get(name):
                problems.append(
                    f"{name[1]}'s stream about {name[0]}: announced {_span(announced.get(name))}, "
                    f"found {_span(found.get(name))}"
                )
        self.conclude(9, problems, f"{manifest.statements} statements in {len(found)} streams, as announced")

    def bracket_times(self) -> None:
        points = [*self.marks, self.head]
        steps = time_steps(self.anchors)
        problems = []
        for index, statement, _, _ in self.statements:
            bracket = replace(_bracket(statement.issued_at, index, points), anchored=time_anchored(index, steps))
            self.brackets[index] = bracket
            latest = bracket.latest
            if latest is not None and statement.issued_at > latest + CLOCK_TOLERANCE:
                how = "integrated" if latest == bracket.not_after else "anchored"
                problems.append(f"entry {index} claims the time {statement.issued_at}, but was {how} by {latest}")
        early = [
            index for index, found in self.brackets.items() if (found.anchored or MAX_TIME) < (found.not_before or 0)
        ]
        if early:
            self.remarks.append(
                f"a chain's clock and the log's disagree: entry {early[0]} is anchored before the log says it existed"
            )
        if self.head.not_after is None and not steps:
            self.remarks.append("no trusted signature carries a time: only the signers' own times are known")
        self.remarks.extend(
            f"entry {loss.entry}: the device lost its record and went on from here ({loss.value!r})"
            for loss in self.state.losses
        )
        timed = [point for point in points if point.not_before is not None and point.not_after is not None]
        self.remarks.extend(
            f"the log's clock went back: the checkpoint of size {later.checkpoint.size} is older than that of size "
            f"{earlier.checkpoint.size}"
            for earlier, later in pairwise(timed)
            if (later.not_after or 0) < (earlier.not_before or 0)
        )
        bounded = sum(bracket.latest is not None for bracket in self.brackets.values())
        self.conclude(10, problems, f"{bounded} of {len(self.brackets)} entries have a proved latest time")

    def history(self) -> History:
        entries = tuple(
            VerifiedEntry(index, statement, kind, payload, self.grants[index], self.brackets[index])
            for index, statement, kind, payload in self.statements
            if statement.subject == self.bundle.subject
        )
        return History(
            self.bundle.subject,
            self.head,
            entries,
            tuple(self.streams),
            self.authority,
            self.state,
            tuple(self.remarks),
            tuple(self.anchors),
        )


def _span(stream: StreamSummary | None) -> str:
    if stream is None:
        return "nothing"
    return f"seq {stream.first}..{stream.last} ending in {stream.digest.hex()[:16]}"


def _bracket(claimed: int, index: int, points: Iterable[TrustedCheckpoint]) -> TimeBracket:
    """`points` ascend by size; an entry is in those of a size above its index."""
    before: int | None = None
    after: int | None = None
    for point in points:
        if point.checkpoint.size <= index:
            before = point.not_before if point.not_before is not None else before
        elif after is None:
            after = point.not_after
    return TimeBracket(claimed, before, after)
