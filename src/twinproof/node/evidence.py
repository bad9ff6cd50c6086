"""Build evidence from the log: receipts, transparent statements, tlog-proofs, history bundles."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter

from twinproof.errors import Corrupt, NotFound
from twinproof.log.reader import Reader
from twinproof.node.anchor_store import AnchorStore
from twinproof.node.blobs import Blobs
from twinproof.proof import cose
from twinproof.proof.anchor import AnchoredHead, check_anchor
from twinproof.proof.keys import PrivateKey
from twinproof.proof.receipt import SignedRoot, format_inclusion, sign_root
from twinproof.proof.tlog_proof import TlogProof, format_tlog_proof
from twinproof.twin.evidence import (
    MAX_ANCHORS,
    MAX_BLOBS,
    MAX_MARKS,
    Anchor,
    Bundle,
    Manifest,
    Mark,
    StreamSummary,
    format_bundle,
)
from twinproof.twin.grants import log_subject
from twinproof.twin.prediction import PREDICTION, parse_prediction
from twinproof.twin.statement import parse_statement
from twinproof.twin.stream import twin_prefix

Progress = Callable[[int, int], None]
"""(done, total) statements."""


class EvidenceBuilder:
    """Makes evidence about entries that are published; safe to use from several threads."""

    def __init__(
        self,
        reader: Reader,
        origin: str,
        key: PrivateKey,
        anchors: AnchorStore | None = None,
        blobs: Blobs | None = None,
    ) -> None:
        self._reader = reader
        self._origin = origin
        self._key = key
        self._anchors = anchors
        self._blobs = blobs
        self._signed: SignedRoot | None = None

    def receipt(self, index: int) -> bytes:
        """A fresh COSE receipt of one entry against the newest published tree; raises `NotFound`."""
        head = self._reader.head()
        if not 0 <= index < head.size:
            raise NotFound(f"no entry {index}: the log has {head.size}")
        if head.size == 1:
            raise NotFound("the first entry has no receipt while it is the only one (RFC 9942); ask for a tlog-proof")
        signed = self._signed_root(head.size, head.root)
        return format_inclusion(signed, index, self._reader.inclusion(index, head.size))

    def _signed_root(self, size: int, root: bytes) -> SignedRoot:
        # Two threads may sign the same root: the signature is deterministic, so either copy serves.
        signed = self._signed
        if signed is None or signed.size != size:
            signed = self._signed = sign_root(self._key, self._origin, size, root)
        return signed

    def transparent(self, index: int) -> bytes:
        """The statement at `index` with its receipt in the unprotected header (RFC 9943)."""
        proof = self.receipt(index)
        sign1 = cose.parse_sign1(self._reader.entry(index), what=f"entry {index}")
        return cose.format_sign1(cose.Sign1(sign1.protected, {cose.RECEIPTS: [proof]}, sign1.payload, sign1.signature))

    def tlog_proof(self, index: int) -> bytes:
        """A `.tlog-proof` file for the entry at `index`."""
        head = self._reader.head()
        if not 0 <= index < head.size:
            raise NotFound(f"no entry {index}: the log has {head.size}")
        hashes = tuple(self._reader.inclusion(index, head.size))
        return format_tlog_proof(TlogProof(index, hashes, head.checkpoint))

    def bundle(self, subject: str, generator: str, progress: Progress | None = None, *, models: bool = False) -> bytes:
        """The history bundle of one twin, up to the newest published checkpoint; with `models` those that predicted.

        Raises `NotFound` if the log holds nothing about `subject`, `Corrupt` if an anchor records another history
        than the log's, or a blob is damaged.
        """
        head = self._reader.head()
        own = self._indices(subject, head.size)
        if not own:
            raise NotFound(f"the log holds nothing about {subject}")
        indices = sorted({*own, *self._indices(log_subject(self._origin), head.size)})
        entries = []
        for done, index in enumerate(indices):
            entries.append((index, self._reader.entry(index)))
            if progress is not None:
                progress(done + 1, len(indices))
        return format_bundle(
            Bundle(
                subject=subject,
                head=head.checkpoint,
                marks=tuple(self._marks(indices, head.size)),
                entries=tuple(entries),
                nodes=tuple(self._reader.many(indices, head.size)),
                manifest=_manifest((raw for _, raw in entries), generator),
                anchors=tuple(self._anchored(indices, head.size)),
                blobs=self._models(entries) if models else {},
            )
        )

    def _models(self, entries: Iterable[tuple[int, bytes]]) -> dict[bytes, bytes]:
        """What the predictions among the entries were made by, the newest ones first if they are too many."""
        found: dict[bytes, bytes] = {}
        names = dict.fromkeys(
            parse_prediction(statement.payload).model
            for statement in (parse_statement(raw) for _, raw in reversed(list(entries)))
            if statement.content_type == PREDICTION
        )
        for name in names:
            if len(found) < MAX_BLOBS and self._blobs is not None and self._blobs.has(name):
                found[name] = self._blobs.get(name)
        return found

    def _indices(self, subject: str, size: int) -> list[int]:
        return [index for _, index in self._reader.scan(twin_prefix(subject)) if index < size]

    def _marks(self, indices: Sequence[int], size: int) -> Iterable[Mark]:
        """The kept checkpoints that narrow some entry's time: the last without it, the first with it."""
        sizes = self._mark_sizes(indices, size)
        if len(sizes) > MAX_MARKS:
            # Fewer marks leave wider brackets, never wrong ones.
            sizes = [sizes[number * len(sizes) // MAX_MARKS] for number in range(MAX_MARKS)]
        for older in sizes:
            kept = self._reader.checkpoint_at_or_before(older)
            if kept is not None:
                yield Mark(kept.note, tuple(self._reader.consistency(kept.size, size)))

    def _mark_sizes(self, indices: Sequence[int], size: int) -> list[int]:
        wanted: set[int] = set()
        covered = 0
        for index in indices:
            if index < covered:
                continue  # between the same two checkpoints as the entry before
            before = self._reader.checkpoint_at_or_before(index)
            after = self._reader.checkpoint_at_or_after(index + 1)
            covered = after.size if after else size
            wanted.update(kept.size for kept in (before, after) if kept is not None and 0 < kept.size < size)
        return sorted(wanted)

    def _anchored(self, indices: Sequence[int], size: int) -> list[Anchor]:
        """Of each chain the anchors that give some entry its earliest block."""
        store = self._anchors
        if store is None:
            return []
        wanted: set[bytes] = set()
        for chain_id in store.chains():
            steps = store.steps(chain_id, size)
            firsts = (bisect_right(steps, index, key=itemgetter(0)) for index in indices)
            wanted.update(steps[at][1] for at in firsts if at < len(steps))
        found = [(check_anchor(evidence), evidence) for evidence in map(store.read, wanted)]
        found.sort(key=lambda pair: pair[0].order)
        if len(found) > MAX_ANCHORS:
            # Fewer anchors leave wider bounds, never wrong ones; the last of all stays, or the newest had none.
            found = [found[(number + 1) * len(found) // MAX_ANCHORS - 1] for number in range(MAX_ANCHORS)]
        return [Anchor(evidence, self._consistency(head, size)) for head, evidence in found]

    def _consistency(self, anchored: AnchoredHead, size: int) -> tuple[bytes, ...]:
        if self._reader.root(anchored.size) != anchored.root:
            raise Corrupt(
                f"block {anchored.block_number} of chain {anchored.chain_id} records another root for {anchored.size} "
                "entries than this log has: one of the two is a fork"
            )
        return tuple(self._reader.consistency(anchored.size, size))


def _manifest(raws: Iterable[bytes], generator: str) -> Manifest:
    streams: dict[tuple[str, str], StreamSummary] = {}
    count = 0
    for raw in raws:
        count += 1
        read = parse_statement(raw)
        name = (read.subject, read.issuer)
        first = streams[name].first if name in streams else read.seq
        streams[name] = StreamSummary(read.issuer, read.subject, first, read.seq, read.digest)
    return Manifest(count, tuple(streams[name] for name in sorted(streams)), generator)
