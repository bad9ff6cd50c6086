"""The history bundle: one file that proves a twin's history to a stranger. Normative page: spec/evidence.md.

    {"format": "twinproof-bundle/1",
     "subject": IRI of the twin,
     "head": signed checkpoint,                      all inclusion proofs lead to its root
     "marks": [[signed checkpoint, hashes], …],      older ones with consistency proofs to the head: time marks
     "entries": [[log index, statement], …],         ascending: the twin's own and the log's authority statements
     "nodes": hashes,                                one multiproof for all entries
     "manifest": {"statements": n, "streams": [[iss, sub, first seq, last seq, digest of the last], …],
                  "generator": text},
     ? "anchors": [[…, hashes], …],                  blocks of an EVM chain that record older sizes: spec/anchor.md
     ? "blobs": [[SHA-256, bytes], …]}               what statements name by digest, such as the models of predictions

`hashes` are 32-byte hashes in one byte string. The manifest says what the file claims to hold, so
that a cut file is noticed; it proves nothing by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from twinproof.errors import Malformed, TooLarge
from twinproof.proof import cbor
from twinproof.proof.anchor import AnchorEvidence, anchor_value, parse_anchor
from twinproof.proof.merkle import HASH_SIZE, MAX_SIZE
from twinproof.proof.note import MAX_NOTE
from twinproof.twin.fields import digest, fields, text
from twinproof.twin.statement import MAX_SEQ, MAX_STATEMENT, check_iri, shown

FORMAT: Final = "twinproof-bundle/1"
MEDIA_TYPE: Final = "application/vnd.twinproof.bundle+cbor"
MAX_BUNDLE: Final = 1 << 30
"""Bytes."""
BYTES_PER_ITEM: Final = 16
"""A bundle holds fewer than one CBOR item in so many bytes; a denser file would cost a verifier its memory."""
SPARE_ITEMS: Final = 256
MAX_MARKS: Final = 4096
MAX_ANCHORS: Final = 1024
MAX_BLOBS: Final = 64
MAX_BLOB: Final = 64 * 1024 * 1024
"""Bytes."""


@dataclass(frozen=True, slots=True)
class StreamSummary:
    """One stream as a bundle holds it."""

    issuer: str
    subject: str
    first: int
    last: int
    digest: bytes
    """SHA-256 of the last statement."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the bundle claims to hold."""

    statements: int
    streams: tuple[StreamSummary, ...]
    """In order of (subject, issuer)."""
    generator: str


@dataclass(frozen=True, slots=True)
class Mark:
    """An older checkpoint and its consistency proof to the head."""

    checkpoint: bytes
    proof: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Anchor:
    """What a block of a chain records of the log, and the consistency proof from there to the head."""

    evidence: AnchorEvidence
    proof: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Bundle:
    """A parsed bundle; nothing in it is verified yet."""

    subject: str
    head: bytes
    marks: tuple[Mark, ...]
    entries: tuple[tuple[int, bytes], ...]
    nodes: tuple[bytes, ...]
    manifest: Manifest
    anchors: tuple[Anchor, ...] = ()
    """Ascending by anchored size; the member is absent if there are none."""
    blobs: Mapping[bytes, bytes] = field(default_factory=dict)
    """By SHA-256, which the parser checked; the member is absent if there are none."""


def split_hashes(data: cbor.Value, field: str) -> tuple[bytes, ...]:
    """Cut one byte string into 32-byte hashes."""
    if type(data) is not bytes or len(data) % HASH_SIZE:
        raise Malformed(field, f"not a byte string of {HASH_SIZE}-byte hashes")
    return tuple(data[at : at + HASH_SIZE] for at in range(0, len(data), HASH_SIZE))


def format_bundle(bundle: Bundle) -> bytes:
    """The bytes of a bundle file."""
    anchors: list[cbor.Value] = [[*anchor_value(a.evidence), b"".join(a.proof)] for a in bundle.anchors]
    return cbor.encode(
        {
            **({"anchors": anchors} if anchors else {}),
            **({"blobs": [list(blob) for blob in sorted(bundle.blobs.items())]} if bundle.blobs else {}),
            "format": FORMAT,
            "subject": bundle.subject,
            "head": bundle.head,
            "marks": [[mark.checkpoint, b"".join(mark.proof)] for mark in bundle.marks],
            "entries": [list(entry) for entry in bundle.entries],
            "nodes": b"".join(bundle.nodes),
            "manifest": {
                "statements": bundle.manifest.statements,
                "streams": [[s.issuer, s.subject, s.first, s.last, s.digest] for s in bundle.manifest.streams],
                "generator": bundle.manifest.generator,
            },
        }
    )


def parse_bundle(data: bytes) -> Bundle:
    """Read a bundle file; raises `Malformed` naming the part. `format_bundle(parse_bundle(x)) == x`."""
    if len(data) > MAX_BUNDLE:
        raise TooLarge("bundle", f"{len(data)} bytes, the limit is {MAX_BUNDLE}")
    keys = ("format", "subject", "head", "marks", "entries", "nodes", "manifest")
    cbor.require_few(data, len(data) // BYTES_PER_ITEM + SPARE_ITEMS, what="bundle")
    value = cbor.decode(data, what="bundle")
    if type(value) is dict and value.get("format") != FORMAT:
        raise Malformed("bundle.format", f"{shown(value.get('format'))} is not {FORMAT}")
    value = fields(value, "bundle", keys, ("anchors", "blobs"))
    return Bundle(
        subject=check_iri(value["subject"], "bundle.subject"),
        head=_note(value["head"], "bundle.head"),
        marks=_parse_marks(value["marks"]),
        entries=_parse_entries(value["entries"]),
        nodes=split_hashes(value["nodes"], "bundle.nodes"),
        manifest=_parse_manifest(value["manifest"]),
        anchors=_parse_anchors(value["anchors"]) if "anchors" in value else (),
        blobs=_parse_blobs(value["blobs"]) if "blobs" in value else {},
    )


def _note(value: cbor.Value, field: str) -> bytes:
    if type(value) is not bytes or len(value) > MAX_NOTE:
        raise Malformed(field, f"not a byte string of at most {MAX_NOTE}")
    return value


def _parse_marks(value: cbor.Value) -> tuple[Mark, ...]:
    if type(value) is not list or len(value) > MAX_MARKS:
        raise Malformed("bundle.marks", f"not an array of at most {MAX_MARKS}")
    marks = []
    for number, item in enumerate(value):
        field = f"bundle.marks[{number}]"
        if type(item) is not list or len(item) != 2:
            raise Malformed(field, "not [checkpoint, hashes]")
        marks.append(Mark(_note(item[0], field), split_hashes(item[1], field)))
    return tuple(marks)


def _parse_anchors(value: cbor.Value) -> tuple[Anchor, ...]:
    if type(value) is not list or not 1 <= len(value) <= MAX_ANCHORS:
        raise Malformed("bundle.anchors", f"not an array of 1 to {MAX_ANCHORS}")
    anchors = []
    for number, item in enumerate(value):
        field = f"bundle.anchors[{number}]"
        if type(item) is not list or not item:
            raise Malformed(field, "not an array of the anchor's members and hashes")
        anchors.append(Anchor(parse_anchor(item[:-1], field), split_hashes(item[-1], field)))
    return tuple(anchors)


def _parse_blobs(value: cbor.Value) -> dict[bytes, bytes]:
    if type(value) is not list or not 1 <= len(value) <= MAX_BLOBS:
        raise Malformed("bundle.blobs", f"not an array of 1 to {MAX_BLOBS}")
    blobs: dict[bytes, bytes] = {}
    previous = b""
    for number, item in enumerate(value):
        field = f"bundle.blobs[{number}]"
        if type(item) is not list or len(item) != 2 or type(item[1]) is not bytes:
            raise Malformed(field, "not [digest, bytes]")
        name, data = digest(item[0], field), item[1]
        if len(data) > MAX_BLOB:
            raise TooLarge(field, f"{len(data)} bytes, the limit is {MAX_BLOB}")
        if name <= previous:
            raise Malformed(field, "digests must ascend without repeats")
        if sha256(data).digest() != name:
            raise Malformed(field, f"the bytes are not those of {name.hex()}")
        blobs[name] = data
        previous = name
    return blobs


def _parse_entries(value: cbor.Value) -> tuple[tuple[int, bytes], ...]:
    if type(value) is not list or not value:
        raise Malformed("bundle.entries", "not an array, or empty")
    previous = -1
    entries = []
    for number, item in enumerate(value):
        field = f"bundle.entries[{number}]"
        if type(item) is not list or len(item) != 2 or type(item[0]) is not int or type(item[1]) is not bytes:
            raise Malformed(field, "not [log index, statement]")
        index, raw = item
        if not previous < index < MAX_SIZE:
            raise Malformed(field, "indices must ascend without repeats")
        if len(raw) > MAX_STATEMENT:
            raise TooLarge(field, f"the statement has {len(raw)} bytes, the limit is {MAX_STATEMENT}")
        previous = index
        entries.append((index, raw))
    return tuple(entries)


def _parse_manifest(value: cbor.Value) -> Manifest:
    value = fields(value, "manifest", ("statements", "streams", "generator"))
    if type(value["statements"]) is not int or value["statements"] < 0:
        raise Malformed("manifest.statements", "not a count")
    if type(value["streams"]) is not list:
        raise Malformed("manifest.streams", "not an array")
    streams = []
    for number, item in enumerate(value["streams"]):
        field = f"manifest.streams[{number}]"
        if type(item) is not list or len(item) != 5:
            raise Malformed(field, "not [iss, sub, first, last, digest]")
        issuer, subject, first, last, last_digest = item
        if any(type(number) is not int for number in (first, last)) or not 0 <= first <= last < MAX_SEQ:
            raise Malformed(field, "first and last must be ascending stream numbers")
        names = check_iri(issuer, field), check_iri(subject, field)
        streams.append(StreamSummary(*names, first, last, digest(last_digest, field)))
    return Manifest(value["statements"], tuple(streams), text(value["generator"], "manifest.generator", 200))
