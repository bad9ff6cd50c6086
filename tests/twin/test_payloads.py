"""Descriptions, attestations and resumes: what they may hold, what is refused, and that they are read back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.twin.hostile import IRI_TRICKS
from twinproof.errors import Malformed
from twinproof.proof import cbor
from twinproof.twin.attestation import (
    Attestation,
    Document,
    Resume,
    format_attestation,
    format_resume,
    parse_attestation,
    parse_resume,
)
from twinproof.twin.description import (
    MAX_DEPTH,
    Description,
    Lifecycle,
    format_description,
    parse_description,
)
from twinproof.twin.fields import MAX_CHANGES

DIGEST = b"\x42" * 32
PART = ["partOf", "urn:x"]


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


BAD_NAMES = {
    "empty": "",
    "space in front": " a",
    "space behind": "a ",
    "a space": " ",
    "tab": "a\tb",
    "line feed": "a\n",
    "NUL": "\0",
    "C1": "a\x9b1m",
    "no-break space": "a\u00a0b",
    "zero width": "a\u200bb",
    "override": "\u202egnp.exe",
    "separator": "a\u2028b",
    "private use": "\ue000",
    "too long": "x" * 129,
}

BAD_DESCRIPTIONS: list[tuple[str, Any, str, str]] = [
    ("not a map", [], "description", "not a map"),
    ("empty", {}, "description", "changes nothing"),
    ("unknown key", {"name": 1}, "description", "'name'"),
    ("model null", {"model": None}, "description.model", "not text"),
    ("lifecycle null", {"lifecycle": None}, "description.lifecycle", "none of"),
    ("lifecycle unknown", {"lifecycle": "lost"}, "description.lifecycle", "planned"),
    ("lifecycle as a list", {"lifecycle": ["planned"]}, "description.lifecycle", "none of"),
    ("set null", {"set": None}, "description.set", "not a map"),
    ("set empty", {"set": {}}, "description.set", "1..2048"),
    ("set as list", {"set": ["a"]}, "description.set", "not a map"),
    ("set too large", {"set": dict.fromkeys(map(str, range(MAX_CHANGES + 1)), 0)}, "description.set", "2048"),
    ("set under a number", {"set": {1: 1}}, "description.set", "not text"),
    ("unset null", {"unset": None}, "description.unset", "not an array"),
    ("unset empty", {"unset": []}, "description.unset", "empty"),
    ("unset twice", {"unset": ["a", "a"]}, "description.unset", "repeats"),
    ("unset unsorted", {"unset": ["b", "a"]}, "description.unset", "sorted"),
    ("unset and set", {"set": {"a": 1}, "unset": ["a"]}, "description.unset", "set too"),
    ("unset too many", {"unset": [f"{n:05}" for n in range(MAX_CHANGES + 1)]}, "description.unset", "2048"),
    ("relate null", {"relate": None}, "description.relate", "not an array"),
    ("relate empty", {"relate": []}, "description.relate", "empty"),
    ("relate as a map", {"relate": {"partOf": "urn:x"}}, "description.relate", "not an array"),
    ("relate of one", {"relate": [["partOf"]]}, "description.relate", "[name, target IRI]"),
    ("relate of three", {"relate": [[*PART, 1]]}, "description.relate", "[name, target IRI]"),
    ("relate to a name", {"relate": [["partOf", "x"]]}, "description.relate", "not an IRI"),
    ("relate twice", {"relate": [PART, PART]}, "description.relate", "repeats"),
    ("relate unsorted", {"relate": [PART, ["hasPart", "urn:x"]]}, "description.relate", "sorted"),
    ("unrelate unsorted", {"unrelate": [PART, ["partOf", "urn:a"]]}, "description.unrelate", "sorted"),
    ("relate and unrelate", {"relate": [PART], "unrelate": [PART]}, "description.unrelate", "stated too"),
    *((f"model: {name}", {"model": iri}, "description.model", "not an IRI") for name, iri in IRI_TRICKS.items()),
    *((f"set: {name}", {"set": {bad: 1}}, "description.set", "") for name, bad in BAD_NAMES.items()),
    *((f"unset: {name}", {"unset": [bad]}, "description.unset", "") for name, bad in BAD_NAMES.items()),
    *((f"relate: {name}", {"relate": [[bad, "urn:x"]]}, "description.relate", "") for name, bad in BAD_NAMES.items()),
]

BAD_ATTESTATIONS: list[tuple[str, Any, str, str]] = [
    ("not a map", 1, "attestation", "not a map"),
    ("lacks type", {"text": "x"}, "attestation.type", "missing"),
    ("type null", {"type": None}, "attestation.type", "not text"),
    ("type no IRI", {"type": "release"}, "attestation.type", "not an IRI"),
    ("unknown key", {"type": "urn:x", "by": "me"}, "attestation", "'by'"),
    ("text null", {"type": "urn:x", "text": None}, "attestation.text", "not text"),
    ("text empty", {"type": "urn:x", "text": ""}, "attestation.text", "empty"),
    ("text too long", {"type": "urn:x", "text": "x" * 4001}, "attestation.text", "4000"),
    ("text with an escape", {"type": "urn:x", "text": "\x1b]0;x\x07"}, "attestation.text", "control"),
    ("valid_until null", {"type": "urn:x", "valid_until": None}, "attestation.valid_until", "whole number"),
    ("valid_until 0", {"type": "urn:x", "valid_until": 0}, "attestation.valid_until", "whole number"),
    ("valid_until as float", {"type": "urn:x", "valid_until": 1.0}, "attestation.valid_until", "whole number"),
    ("valid_until of 2^53", {"type": "urn:x", "valid_until": 1 << 53}, "attestation.valid_until", "whole number"),
    ("document null", {"type": "urn:x", "document": None}, "attestation.document", "not a map"),
    (
        "document without digest",
        {"type": "urn:x", "document": {"media_type": "a/b"}},
        "attestation.document.sha256",
        "",
    ),
    *(
        (name, {"type": "urn:x", "document": {"sha256": DIGEST, "media_type": "a/b", **changes}}, field, "")
        for name, changes, field in (
            ("digest short", {"sha256": b"x"}, "attestation.document.sha256"),
            ("digest as text", {"sha256": "x" * 32}, "attestation.document.sha256"),
            ("media type empty", {"media_type": ""}, "attestation.document.media_type"),
            ("media type with parameter", {"media_type": "a/b; c=d"}, "attestation.document.media_type"),
            ("location no IRI", {"location": "x.pdf"}, "attestation.document.location"),
            ("location null", {"location": None}, "attestation.document.location"),
            ("more", {"size": 1}, "attestation.document"),
        )
    ),
]

BAD_RESUMES: list[tuple[str, Any, str, str]] = [
    ("not a map", "lost", "resume", "not a map"),
    ("lacks reason", {}, "resume.reason", "missing"),
    ("reason empty", {"reason": ""}, "resume.reason", "empty"),
    ("reason as bytes", {"reason": b"x"}, "resume.reason", "not text"),
    ("reason too long", {"reason": "x" * 501}, "resume.reason", "500"),
    ("reason with DEL", {"reason": "\x7f"}, "resume.reason", "control"),
    ("unknown key", {"reason": "x", "from": 3}, "resume", "'from'"),
]

TABLES = [
    *((parse_description, *row) for row in BAD_DESCRIPTIONS),
    *((parse_attestation, *row) for row in BAD_ATTESTATIONS),
    *((parse_resume, *row) for row in BAD_RESUMES),
]


@pytest.mark.parametrize(
    ("parse", "value", "field", "fragment"),
    [pytest.param(parse, *row, id=f"{parse.__name__}: {name}") for parse, name, *row in TABLES],
)
def test_bad_payload_is_refused_with_its_field(parse: Any, value: Any, field: str, fragment: str) -> None:
    with pytest.raises(Malformed) as refusal:
        parse(cbor.encode(value))
    assert refusal.value.field == field
    assert fragment in str(refusal.value)
    assert len(str(refusal.value)) < 300


@pytest.mark.parametrize("name", ["a", "a b", "Länge", "温度", "x" * 128, "a-b.c/d", "😀"])
def test_good_names(name: str) -> None:
    assert parse_description(cbor.encode({"set": {name: 1}})).set == {name: 1}


def test_values_may_be_nested_so_deep() -> None:
    deepest = nested(MAX_DEPTH - 2)
    assert parse_description(cbor.encode({"set": {"a": deepest}})).set == {"a": deepest}
    with pytest.raises(Malformed, match="deep"):
        parse_description(cbor.encode({"set": {"a": nested(MAX_DEPTH - 1)}}))


# --- read back ------------------------------------------------------------------------------

NAMES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x24F, exclude_characters="\x7f\xa0\xad"), min_size=1)
NAMES = NAMES.filter(lambda name: all(not 0x7F <= ord(c) <= 0xA0 for c in name)).map(lambda name: name[:128])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**64), 2**64 - 1) | st.floats(allow_nan=False) | st.binary() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
PAIRS = st.tuples(NAMES, st.sampled_from(["urn:x", "urn:y", "https://fleet.example/1"]))


@st.composite
def descriptions(draw: st.DrawFn) -> Description:
    changed = draw(st.dictionaries(NAMES, VALUES, max_size=3))
    unset = draw(st.sets(NAMES, max_size=3)) - changed.keys()
    relate = draw(st.sets(PAIRS, max_size=3))
    return Description(
        model=draw(st.none() | st.sampled_from(["urn:m", "dtmi:x:y;1"])),
        lifecycle=draw(st.none() | st.sampled_from(Lifecycle)),
        set=changed or None,
        unset=tuple(sorted(unset)),
        relate=tuple(sorted(relate)),
        unrelate=tuple(sorted(draw(st.sets(PAIRS, max_size=3)) - relate)),
    )


@given(descriptions())
def test_descriptions_are_read_back(description: Description) -> None:
    if description == Description():
        return
    payload = format_description(description)
    assert parse_description(payload) == description
    assert format_description(parse_description(payload)) == payload


TEXTS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=30)
DOCUMENTS = st.builds(
    Document, st.binary(min_size=32, max_size=32), st.just("application/pdf"), st.none() | st.just("urn:doc:1")
)


@given(
    st.builds(Attestation, st.just("urn:x"), st.none() | TEXTS, st.none() | DOCUMENTS, st.none() | st.integers(1, 9))
)
def test_attestations_are_read_back(attestation: Attestation) -> None:
    payload = format_attestation(attestation)
    assert parse_attestation(payload) == attestation
    assert format_attestation(parse_attestation(payload)) == payload


@given(TEXTS)
def test_resumes_are_read_back(reason: str) -> None:
    assert parse_resume(format_resume(Resume(reason))) == Resume(reason)


@pytest.mark.parametrize(
    ("parse", "format_", "keys"),
    [
        (parse_description, format_description, ["model", "lifecycle", "set", "unset", "relate", "unrelate"]),
        (parse_attestation, format_attestation, ["type", "text", "document", "valid_until"]),
        (parse_resume, format_resume, ["reason"]),
    ],
)
@given(st.data())
def test_what_is_accepted_has_one_encoding(parse: Any, format_: Any, keys: list[str], data: st.DataObject) -> None:
    likely = st.sampled_from(["urn:x", "planned", {"a": 1}, ["a"], [PART], 5, {"sha256": DIGEST, "media_type": "a/b"}])
    value = data.draw(st.dictionaries(st.sampled_from(keys), likely | VALUES, min_size=1, max_size=4))
    payload = cbor.encode(value)
    try:
        parsed = parse(payload)
    except Malformed:
        return
    assert format_(parsed) == payload
