"""Statements: the table of hostile ones, every flipped bit, and what a good one says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import DEVICE, START, TWIN, Signer, signer
from tests.twin import hostile
from twinproof.errors import BadSignature, Malformed, TooLarge, TwinproofError
from twinproof.proof import cbor, cose
from twinproof.proof.keys import EDDSA, ES256, PrivateKey
from twinproof.twin import senml
from twinproof.twin.statement import (
    MAX_IRI,
    MAX_STATEMENT,
    PREV,
    SEQ,
    Statement,
    check_iri,
    check_statement,
    parse_statement,
    sign_statement,
)


@pytest.mark.parametrize("case", hostile.cases(), ids=lambda case: case.name)
def test_hostile_statement_is_refused_with_its_field(case: hostile.Case) -> None:
    with pytest.raises(Malformed) as refusal:
        parse_statement(case.raw)
    assert type(refusal.value) is case.error
    assert refusal.value.field == case.field
    assert case.fragment in str(refusal.value)
    assert len(str(refusal.value)) < 300


def test_the_table_is_large_and_its_names_are_unique() -> None:
    names = [case.name for case in hostile.cases()]
    assert len(names) == len(set(names)) > 100


@pytest.mark.parametrize("name", hostile.wrong_keys())
def test_signature_of_another_key_or_form_is_refused(name: str) -> None:
    raw, fragment = hostile.wrong_keys()[name]
    statement = parse_statement(raw)
    key = (hostile.P256_KEY if statement.kid == hostile.P256_KEY.public.thumbprint else hostile.KEY).public
    with pytest.raises((BadSignature, Malformed)) as refusal:
        check_statement(statement, key)
    assert fragment in str(refusal.value)


def test_the_good_statement_behind_the_table() -> None:
    statement = parse_statement(hostile.good())
    check_statement(statement, hostile.KEY.public)
    assert (statement.issuer, statement.subject, statement.issued_at) == ("urn:example:device:1", TWIN, START)
    assert (statement.seq, statement.prev, statement.content_type) == (1, b"\x5a" * 32, senml.SENML)
    assert statement.payload == hostile.PAYLOAD


@pytest.mark.parametrize("algorithm", [EDDSA, ES256])
def test_every_flipped_bit_is_noticed(algorithm: int) -> None:
    key = PrivateKey(algorithm, b"\x11" * 32)
    raw = sign_statement(
        key, issuer="urn:x", subject="urn:y", content_type="a/b", payload=b"\1", seq=1, prev=b"\0" * 32, issued_at=START
    )
    check_statement(parse_statement(raw), key.public)
    for at in range(len(raw)):
        for bit in range(8):
            changed = bytearray(raw)
            changed[at] ^= 1 << bit
            with pytest.raises((Malformed, BadSignature)):
                check_statement(parse_statement(bytes(changed)), key.public)


@pytest.mark.parametrize("algorithm", [EDDSA, ES256])
def test_signing_again_gives_the_same_bytes(algorithm: int) -> None:
    by = signer("urn:x", 5, algorithm)
    raws = {
        sign_statement(
            by.key, issuer="urn:x", subject="urn:y", content_type="a/b", payload=b"", seq=0, prev=None, issued_at=1
        )
        for _ in range(3)
    }
    assert len(raws) == 1


def test_limits_are_the_largest_that_pass() -> None:
    room = MAX_STATEMENT - len(hostile.build(payload=b"\0" * 50000)) + 50000
    largest = hostile.build(payload=b"\0" * room)
    assert len(largest) == MAX_STATEMENT
    assert len(parse_statement(largest).payload) == room
    with pytest.raises(TooLarge):
        parse_statement(hostile.build(payload=b"\0" * (room + 1)))
    assert check_iri("urn:" + "x" * (MAX_IRI - 4), "x")
    protected = {**hostile.headers(), SEQ: (1 << 63) - 1}
    protected[cose.CWT_CLAIMS][cose.IAT] = (1 << 53) - 1
    assert parse_statement(hostile.build(protected)).seq == (1 << 63) - 1


@pytest.mark.parametrize(
    "iri", ["urn:x", "HTTPS://x", "https://例え.テスト/ü", "x-y+z.1:?", "urn:x%41%fF", "a::", "urn:𐀀"]
)
def test_iris_that_pass(iri: str) -> None:
    assert check_iri(iri, "x") == iri


@pytest.mark.parametrize("iri", hostile.IRI_TRICKS.values(), ids=hostile.IRI_TRICKS)
def test_iris_that_do_not(iri: str) -> None:
    with pytest.raises(Malformed):
        check_iri(iri, "x")


def test_signing_refuses_what_parsing_refuses() -> None:
    good = {"issuer": "urn:x", "subject": "urn:y", "content_type": "a/b", "payload": b"", "prev": None}
    for changes, field in (
        ({"issuer": "x"}, "iss"),
        ({"subject": "urn: y"}, "sub"),
        ({"content_type": "A/B"}, "content type"),
        ({"seq": 1}, "prev"),
        ({"prev": b"\0" * 32}, "prev"),
        ({"issued_at": 0}, "iat"),
        ({"seq": -1}, "seq"),
        ({"payload": b"\0" * MAX_STATEMENT}, "statement"),
    ):
        with pytest.raises(Malformed) as refusal:
            sign_statement(DEVICE.key, **{"seq": 0, "issued_at": 1, **good, **changes})  # type: ignore[arg-type]
        assert refusal.value.field == field


def test_a_key_that_is_not_the_kids_is_not_even_tried() -> None:
    with pytest.raises(Malformed, match="names another key"):
        check_statement(parse_statement(hostile.good()), DEVICE.key.public)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.floats()
    | st.binary(max_size=40)
    | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.integers(-99, 99) | st.text(max_size=3), inner, max_size=3)
        | st.builds(cbor.Tagged, st.integers(0, 99), inner)
    ),
    max_leaves=6,
)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_meet_no_other_exception(data: bytes) -> None:
    with pytest.raises(TwinproofError):
        parse_statement(data)


@given(st.sampled_from([1, 3, 4, 15, SEQ, PREV, "more"]), VALUES)
def test_any_value_in_any_header_is_accepted_or_malformed(label: int | str, value: object) -> None:
    raw = hostile.build({**hostile.headers(), label: value})
    try:
        statement = parse_statement(raw)
    except Malformed:
        return
    assert type(statement) is Statement
    assert hostile.headers()[label] == value or label in (3, 4, 15, PREV, SEQ)


@given(st.sampled_from([1, 2, 6]), VALUES)
def test_any_value_in_any_claim_is_accepted_or_malformed(label: int, value: object) -> None:
    protected = hostile.headers()
    protected[cose.CWT_CLAIMS][label] = value
    try:
        statement = parse_statement(hostile.build(protected))
    except Malformed:
        return
    assert {1: statement.issuer, 2: statement.subject, 6: statement.issued_at}[label] == value


@given(
    st.sampled_from([DEVICE, signer("urn:example:other", 7)]),
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x2FF), max_size=20),
    st.binary(max_size=200),
    st.integers(0, 2**63 - 1),
    st.integers(1, 2**53 - 1),
)
def test_signed_statements_are_read_back(by: Signer, tail: str, payload: bytes, seq: int, issued_at: int) -> None:
    prev = b"\x77" * 32 if seq else None
    try:
        subject = check_iri("urn:" + tail, "x")
    except Malformed:
        return
    raw = sign_statement(
        by.key,
        issuer=by.issuer,
        subject=subject,
        content_type="a/b",
        payload=payload,
        seq=seq,
        prev=prev,
        issued_at=issued_at,
    )
    statement = parse_statement(raw)
    check_statement(statement, by.key.public)
    assert statement[2:3] + statement[7:] == (payload, by.issuer, subject, issued_at, seq, prev)
