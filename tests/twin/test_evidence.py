"""The bundle's form: what it may hold and what is refused with its part's name."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import START, TWIN, small_log
from twinproof.errors import Malformed, TooLarge
from twinproof.proof import cbor
from twinproof.twin.evidence import FORMAT, MAX_MARKS, format_bundle, parse_bundle, split_hashes
from twinproof.twin.statement import MAX_STATEMENT

GOOD: dict[Any, Any] = cbor.decode(format_bundle(small_log().bundle(indices=[0, 1, 2, 3], marks=[(3, START)])))
MARK = GOOD["marks"][0]
MANIFEST = GOOD["manifest"]
STREAM = MANIFEST["streams"][0]
H = b"\0" * 32


def manifest(**changes: Any) -> dict[str, Any]:
    return {"manifest": {**MANIFEST, **changes}}


def stream(at: int, value: Any) -> dict[str, Any]:
    return manifest(streams=[[*STREAM[:at], value, *STREAM[at + 1 :]]])


BAD: list[tuple[str, dict[str, Any], str, str]] = [
    ("another format", {"format": "twinproof-bundle/2"}, "bundle.format", FORMAT),
    ("format as number", {"format": 1}, "bundle.format", FORMAT),
    ("a long format", {"format": "x" * 10**6}, "bundle.format", "…"),
    ("unknown key", {"extra": 1}, "bundle", "'extra'"),
    ("subject no IRI", {"subject": "engine"}, "bundle.subject", "not an IRI"),
    ("head as text", {"head": "x"}, "bundle.head", "byte string"),
    ("head too long", {"head": b"x" * 262_145}, "bundle.head", "262144"),
    ("marks as map", {"marks": {}}, "bundle.marks", "not an array"),
    ("too many marks", {"marks": [MARK] * (MAX_MARKS + 1)}, "bundle.marks", "4096"),
    ("mark of one", {"marks": [MARK[:1]]}, "bundle.marks[0]", "[checkpoint, hashes]"),
    ("mark of three", {"marks": [[*MARK, 1]]}, "bundle.marks[0]", "[checkpoint, hashes]"),
    ("mark with hashes as a list", {"marks": [MARK, [MARK[0], [H]]]}, "bundle.marks[1]", "32-byte"),
    ("mark with half a hash", {"marks": [[MARK[0], H[:16]]]}, "bundle.marks[0]", "32-byte"),
    ("no entries", {"entries": []}, "bundle.entries", "empty"),
    ("entries as bytes", {"entries": b"x"}, "bundle.entries", "not an array"),
    ("entry of one", {"entries": [[0]]}, "bundle.entries[0]", "[log index, statement]"),
    ("entry as map", {"entries": [{}]}, "bundle.entries[0]", "[log index, statement]"),
    ("index as float", {"entries": [[0.0, b"x"]]}, "bundle.entries[0]", "[log index, statement]"),
    ("index as boolean", {"entries": [[False, b"x"]]}, "bundle.entries[0]", "[log index, statement]"),
    ("index negative", {"entries": [[-1, b"x"]]}, "bundle.entries[0]", "ascend"),
    ("index of 2^63", {"entries": [[1 << 63, b"x"]]}, "bundle.entries[0]", "ascend"),
    ("index twice", {"entries": [[1, b"x"], [1, b"y"]]}, "bundle.entries[1]", "ascend"),
    ("index descending", {"entries": [[2, b"x"], [1, b"y"]]}, "bundle.entries[1]", "ascend"),
    ("statement as text", {"entries": [[0, "x"]]}, "bundle.entries[0]", "[log index, statement]"),
    ("statement too large", {"entries": [[0, b"x" * (MAX_STATEMENT + 1)]]}, "bundle.entries[0]", "61440"),
    ("nodes as list", {"nodes": [H]}, "bundle.nodes", "32-byte"),
    ("nodes with a byte more", {"nodes": H + b"x"}, "bundle.nodes", "32-byte"),
    ("manifest as list", {"manifest": []}, "manifest", "not a map"),
    ("manifest with more", manifest(signed=True), "manifest", "'signed'"),
    ("count negative", manifest(statements=-1), "manifest.statements", "count"),
    ("count as float", manifest(statements=4.0), "manifest.statements", "count"),
    ("streams as map", manifest(streams={}), "manifest.streams", "not an array"),
    ("stream of four", manifest(streams=[STREAM[:4]]), "manifest.streams[0]", "[iss, sub"),
    ("stream as map", manifest(streams=[{}]), "manifest.streams[0]", "[iss, sub"),
    ("stream iss", stream(0, "x"), "manifest.streams[0]", "not an IRI"),
    ("stream sub", stream(1, 1), "manifest.streams[0]", "not text"),
    ("stream first", stream(2, -1), "manifest.streams[0]", "ascending"),
    ("stream first as text", stream(2, "0"), "manifest.streams[0]", "ascending"),
    ("stream last below first", manifest(streams=[[*STREAM[:2], 3, 2, H]]), "manifest.streams[0]", "ascending"),
    ("stream last of 2^63", stream(3, 1 << 63), "manifest.streams[0]", "ascending"),
    ("stream digest", stream(4, H[:31]), "manifest.streams[0]", "32 bytes"),
    ("generator empty", manifest(generator=""), "manifest.generator", "empty"),
    ("generator too long", manifest(generator="x" * 201), "manifest.generator", "200"),
    ("generator with an escape", manifest(generator="\x1b[2J"), "manifest.generator", "control"),
]


@pytest.mark.parametrize(("changes", "field", "fragment"), [pytest.param(*row[1:], id=row[0]) for row in BAD])
def test_bad_bundle_is_refused_with_its_part(changes: dict[str, Any], field: str, fragment: str) -> None:
    with pytest.raises(Malformed) as refusal:
        parse_bundle(cbor.encode({**GOOD, **changes}))
    assert refusal.value.field == field
    assert fragment in str(refusal.value)
    assert len(str(refusal.value)) < 300


@pytest.mark.parametrize("key", GOOD)
def test_every_part_must_be_there(key: str) -> None:
    with pytest.raises(Malformed, match="missing" if key != "format" else FORMAT):
        parse_bundle(cbor.encode({name: part for name, part in GOOD.items() if name != key}))


@pytest.mark.parametrize("key", MANIFEST)
def test_every_part_of_the_manifest_must_be_there(key: str) -> None:
    with pytest.raises(Malformed, match="missing") as refusal:
        parse_bundle(cbor.encode({**GOOD, "manifest": {name: p for name, p in MANIFEST.items() if name != key}}))
    assert refusal.value.field == f"manifest.{key}"


@pytest.mark.parametrize("value", [None, [], "x", 1, cbor.Tagged(18, [])], ids=repr)
def test_a_bundle_is_a_map(value: Any) -> None:
    with pytest.raises(Malformed, match="not a map"):
        parse_bundle(cbor.encode(value))


def test_too_large_is_its_own_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twinproof.twin.evidence.MAX_BUNDLE", 1000)
    with pytest.raises(TooLarge, match="1001 bytes"):
        parse_bundle(b"\0" * 1001)


def test_the_bundle_behind_the_table_is_good() -> None:
    bundle = parse_bundle(cbor.encode(GOOD))
    assert bundle.subject == TWIN
    assert cbor.decode(format_bundle(bundle)) == GOOD


def test_hashes_are_cut_every_32_bytes() -> None:
    assert split_hashes(b"", "x") == ()
    assert split_hashes(H + b"\1" * 32, "x") == (H, b"\1" * 32)
