"""Whole logs in memory: signers, grants, streams, checkpoints, bundles. Deterministic, but for ML-DSA signatures.

    log = Log()                                    with its genesis statement at index 0
    device = signer("urn:example:dev:1", 11)
    log.grant(device, {Capability.RECORD})
    log.record(device, 600.5)
    history = verify_bundle(log.bundle_bytes(), log.policy())

`Log.say` numbers and chains as an honest signer does; `Log.append` takes any bytes, as a dishonest log would, and
`Log.of` builds a log of any list of entries under the same log keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256

from twinproof.errors import TwinproofError
from twinproof.proof import cose, merkle, policy, receipt
from twinproof.proof.checkpoint import Checkpoint
from twinproof.proof.cosignature import sign_checkpoint
from twinproof.proof.keys import EDDSA, ES256, PrivateKey
from twinproof.proof.note import Note, SignerKey, format_note
from twinproof.proof.tlog_proof import TlogProof, format_tlog_proof
from twinproof.twin import attestation, description, grants, senml
from twinproof.twin.description import Description
from twinproof.twin.evidence import Bundle, Manifest, Mark, StreamSummary, format_bundle
from twinproof.twin.grants import Capability, Genesis, GrantTerms, Revocation, Scope, Window, log_subject
from twinproof.twin.reading import Reading
from twinproof.twin.statement import Statement, parse_statement, sign_statement
from twinproof.twin.stream import StreamHead

ORIGIN = "twin.example/log0"
TWIN = "https://fleet.example/engine/1"
OTHER_TWIN = "https://fleet.example/engine/2"
MODEL = "dtmi:example:engine;1"
START = 1_700_000_000
"""POSIX seconds: the default `iat`."""

LOG_KEY = SignerKey(ORIGIN, 0x01, b"\x03" * 32)
LOG_PQ_KEY = SignerKey(ORIGIN, 0x06, b"\x04" * 32)
WITNESS = SignerKey("wit.example/w1", 0x04, b"\x09" * 32)
PQ_WITNESS = SignerKey("wit.example/w2", 0x06, b"\x07" * 32)


@dataclass(frozen=True)
class Signer:
    """A name and the key it signs with."""

    issuer: str
    key: PrivateKey


def signer(issuer: str, seed: int, algorithm: int = EDDSA) -> Signer:
    """A signer whose key is made from a number."""
    return Signer(issuer, PrivateKey(algorithm, sha256(b"test key %d" % seed).digest()))


OPERATOR = signer("urn:example:operator", 1)
DEVICE = signer("urn:example:device:1", 2, ES256)
GATEWAY = signer("urn:example:gateway:1", 3)
INSPECTOR = signer("urn:example:inspector", 4)
STRANGER = signer("urn:example:stranger", 99)


def policy_of(
    *logs: SignerKey, witnesses: Sequence[SignerKey] = (), threshold: str = "all", quorum: bool = True
) -> policy.Policy:
    """Trust these logs; with witnesses, a quorum of `threshold` of them."""
    lines = [f"log {key.verifier}" for key in logs or (LOG_KEY,)]
    lines += [f"witness w{number} {key.verifier}" for number, key in enumerate(witnesses)]
    if witnesses and quorum:
        names = " ".join(f"w{number}" for number in range(len(witnesses)))
        lines += [f"group all-of-them {threshold} {names}", "quorum all-of-them"]
    else:
        lines.append("quorum none")
    return policy.parse_policy("".join(f"{line}\n" for line in lines).encode())


def summaries(raws: Iterable[bytes]) -> tuple[StreamSummary, ...]:
    """The streams of these statements as a manifest lists them; what cannot be read is left out."""
    found: dict[tuple[str, str], StreamSummary] = {}
    for raw in raws:
        try:
            read = parse_statement(raw)
        except TwinproofError:
            continue
        name = (read.subject, read.issuer)
        first = found[name].first if name in found else read.seq
        found[name] = StreamSummary(read.issuer, read.subject, min(first, read.seq), read.seq, read.digest)
    return tuple(found[name] for name in sorted(found))


@dataclass
class Log:
    """A log in memory, and what its honest signers need to continue their streams."""

    keys: tuple[SignerKey, ...] = (LOG_KEY,)
    """The first one must be of type 01: it signs receipts too."""
    operator: Signer = OPERATOR
    origin: str = ORIGIN
    empty: bool = False
    """Without the genesis statement."""
    raws: list[bytes] = field(default_factory=list)
    heads: dict[tuple[str, str], StreamHead] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.empty and not self.raws:
            genesis = Genesis(self.origin, tuple(key.verifier for key in self.keys), self.operator.key.public)
            self.say(self.operator, self.subject, grants.GENESIS, grants.format_genesis(genesis))

    @classmethod
    def of(cls, raws: Iterable[bytes], keys: tuple[SignerKey, ...] = (LOG_KEY,)) -> Log:
        """A log that holds just these entries."""
        return cls(keys=keys, empty=True, raws=list(raws))

    @property
    def subject(self) -> str:
        """The IRI that authority statements are about."""
        return log_subject(self.origin)

    def __len__(self) -> int:
        return len(self.raws)

    def statement(self, index: int) -> Statement:
        """The parsed entry."""
        return parse_statement(self.raws[index])

    # --- statements -------------------------------------------------------------------------

    def append(self, raw: bytes) -> int:
        """Take any bytes; the streams' heads stay as they are."""
        self.raws.append(raw)
        return len(self.raws) - 1

    def draft(
        self,
        by: Signer,
        subject: str,
        content_type: str,
        payload: bytes,
        *,
        at: int = START,
        key: PrivateKey | None = None,
    ) -> bytes:
        """The signer's next statement, not logged."""
        head = self.heads.get((by.issuer, subject))
        return sign_statement(
            key or by.key,
            issuer=by.issuer,
            subject=subject,
            content_type=content_type,
            payload=payload,
            seq=head.seq + 1 if head else 0,
            prev=head.digest if head else None,
            issued_at=at,
        )

    def say(self, by: Signer, subject: str, content_type: str, payload: bytes, *, at: int = START) -> Statement:
        """Log the signer's next statement, whether or not it is allowed to."""
        read = parse_statement(self.draft(by, subject, content_type, payload, at=at))
        self.heads[by.issuer, subject] = StreamHead(read.seq, read.digest)
        self.append(read.raw)
        return read

    def grant(
        self,
        to: Signer,
        can: Iterable[Capability],
        scope: Scope | None = None,
        *,
        by: Signer | None = None,
        via: Statement | None = None,
        window: Window | None = None,
        at: int = START,
    ) -> Statement:
        """A grant, by the operator unless `by` (with `via`) says who else; by default about `TWIN`."""
        terms = GrantTerms(
            to.issuer,
            to.key.public,
            frozenset(can),
            scope or Scope("twin", TWIN),
            window or Window(),
            via.digest if via else None,
        )
        return self.say(by or self.operator, self.subject, grants.GRANT, grants.format_grant(terms), at=at)

    def revoke(self, grant: Statement, *, by: Signer | None = None, at: int = START) -> Statement:
        """A revocation, by the operator unless `by` says who else."""
        payload = grants.format_revocation(Revocation(grant.digest))
        return self.say(by or self.operator, self.subject, grants.REVOKE, payload, at=at)

    def record(self, by: Signer, value: float, *, subject: str = TWIN, name: str = "T24", at: int = START) -> Statement:
        """One reading."""
        payload = senml.format_senml([Reading(name, value, "K", float(at), None)])
        return self.say(by, subject, senml.SENML, payload, at=at)

    def describe(self, by: Signer, change: Description, *, subject: str = TWIN, at: int = START) -> Statement:
        """A description."""
        return self.say(by, subject, description.DESCRIPTION, description.format_description(change), at=at)

    def attest(self, by: Signer, type_: str, *, subject: str = TWIN, at: int = START) -> Statement:
        """An attestation without text or document."""
        payload = attestation.format_attestation(attestation.Attestation(type_))
        return self.say(by, subject, attestation.ATTESTATION, payload, at=at)

    def resume(self, by: Signer, reason: str, *, subject: str = TWIN, at: int = START) -> Statement:
        """A device's admission that it lost its record."""
        payload = attestation.format_resume(attestation.Resume(reason))
        return self.say(by, subject, attestation.RESUME, payload, at=at)

    # --- the tree ---------------------------------------------------------------------------

    def nodes(self) -> merkle.NodeReader:
        """The tree as it is now."""
        leaves = [merkle.hash_leaf(raw) for raw in self.raws]

        @cache
        def get(level: int, index: int) -> bytes:
            return (
                leaves[index]
                if not level
                else merkle.hash_node(get(level - 1, 2 * index), get(level - 1, 2 * index + 1))
            )

        return get

    def head(self, size: int | None = None) -> Checkpoint:
        """The unsigned tree head."""
        size = len(self.raws) if size is None else size
        return Checkpoint(self.origin, size, merkle.root(size, self.nodes()))

    def checkpoint(
        self, size: int | None = None, *, time: int = START + 100, cosigners: Sequence[SignerKey] = ()
    ) -> bytes:
        """A signed note by the log's keys and these witnesses."""
        head = self.head(size)
        return format_note(Note(head.text, tuple(sign_checkpoint(key, head, time) for key in (*self.keys, *cosigners))))

    def policy(self) -> policy.Policy:
        """Trust this log alone."""
        return policy_of(*self.keys)

    # --- evidence ---------------------------------------------------------------------------

    def indices(self, subject: str = TWIN) -> list[int]:
        """The twin's entries and the authority's."""
        return [index for index in range(len(self)) if self.statement(index).subject in (subject, self.subject)]

    def bundle(
        self,
        subject: str = TWIN,
        *,
        indices: Sequence[int] | None = None,
        marks: Sequence[tuple[int, int]] = (),
        time: int = START + 100,
        cosigners: Sequence[SignerKey] = (),
    ) -> Bundle:
        """A bundle; `marks` are (size, time), `indices` the entries that it holds if not all of the twin's."""
        chosen = self.indices(subject) if indices is None else list(indices)
        get = self.nodes()
        raws = [self.raws[index] for index in chosen]
        return Bundle(
            subject=subject,
            head=self.checkpoint(time=time, cosigners=cosigners),
            marks=tuple(
                Mark(
                    self.checkpoint(size, time=when, cosigners=cosigners),
                    tuple(merkle.prove_consistency(size, len(self), get)),
                )
                for size, when in marks
            ),
            entries=tuple(zip(chosen, raws, strict=True)),
            nodes=tuple(merkle.prove_many(chosen, len(self), get)),
            manifest=Manifest(len(raws), summaries(raws), "tests"),
        )

    def bundle_bytes(self, subject: str = TWIN) -> bytes:
        """The bundle of all there is about a twin, as a file."""
        return format_bundle(self.bundle(subject))

    def transparent(self, index: int, size: int | None = None) -> bytes:
        """The entry with a receipt in its unprotected header."""
        head = self.head(size)
        signed = receipt.sign_root(PrivateKey(EDDSA, self.keys[0].seed), self.origin, head.size, head.root)
        proof = receipt.format_inclusion(signed, index, merkle.prove_inclusion(index, head.size, self.nodes()))
        sign1 = cose.parse_sign1(self.raws[index])
        return cose.format_sign1(cose.Sign1(sign1.protected, {cose.RECEIPTS: [proof]}, sign1.payload, sign1.signature))

    def tlog_proof(self, index: int, *, time: int = START + 100, cosigners: Sequence[SignerKey] = ()) -> bytes:
        """A `.tlog-proof` file of the entry."""
        hashes = tuple(merkle.prove_inclusion(index, len(self), self.nodes()))
        return format_tlog_proof(TlogProof(index, hashes, self.checkpoint(time=time, cosigners=cosigners)))


def small_log() -> Log:
    """A genesis, a grant to `DEVICE`, a description and five readings: eight entries."""
    log = Log()
    log.grant(DEVICE, {Capability.RECORD, Capability.DESCRIBE})
    log.describe(DEVICE, Description(model=MODEL, set={"serial": "A1"}))
    for number in range(5):
        log.record(DEVICE, 600.5 + number, at=START + number)
    return log


def busy_log() -> Log:
    """Two twins, four signers, a delegated administrator, revocations in the middle and a loss."""
    log = Log()
    everything = Scope("prefix", "https://fleet.example/")
    fleet = log.grant(GATEWAY, Capability, everything)
    device = log.grant(
        DEVICE, {Capability.RECORD}, Scope("prefix", "https://fleet.example/engine/"), by=GATEWAY, via=fleet
    )
    log.describe(GATEWAY, Description(model=MODEL, lifecycle=description.Lifecycle.IN_SERVICE, set={"serial": "A1"}))
    log.describe(GATEWAY, Description(model=MODEL), subject=OTHER_TWIN)
    for number in range(3):
        log.record(DEVICE, 600.5 + number, at=START + number)
        log.record(DEVICE, 700.5 + number, subject=OTHER_TWIN, at=START + number)
    inspector = log.grant(INSPECTOR, {Capability.ATTEST}, Scope("model", MODEL))
    log.attest(INSPECTOR, "urn:example:release")
    log.revoke(device)
    log.resume(GATEWAY, "memory card replaced")
    log.describe(GATEWAY, Description(relate=(("partOf", "https://fleet.example/aircraft/7"),)))
    log.grant(DEVICE, {Capability.RECORD})
    log.record(DEVICE, 610.0, at=START + 50)
    log.attest(INSPECTOR, "urn:example:inspection")
    log.revoke(inspector, by=INSPECTOR)
    return log
