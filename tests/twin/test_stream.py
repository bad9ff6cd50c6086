"""Streams: what continues one, and the position key by which a log orders."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import DEVICE, GATEWAY, OTHER_TWIN, START, TWIN, Log
from twinproof.errors import ChainBroken, Gap, Malformed
from twinproof.twin.grants import Capability
from twinproof.twin.senml import SENML
from twinproof.twin.statement import check_statement, parse_statement, sign_statement
from twinproof.twin.stream import (
    POSITION_SIZE,
    StreamHead,
    check_next,
    next_seq,
    position,
    position_of,
    sign_next,
    stream_prefix,
    twin_prefix,
)


def stream(length: int) -> Log:
    log = Log(empty=True)
    for number in range(length):
        log.record(DEVICE, float(number))
    return log


def test_a_stream_is_followed_from_its_beginning() -> None:
    log = stream(4)
    head = None
    for number in range(4):
        assert next_seq(head) == number
        head = check_next(head, log.statement(number))
        assert head == StreamHead(number, sha256(log.raws[number]).digest())


def test_what_is_signed_next_continues_the_stream() -> None:
    head = None
    for number in range(3):
        raw = sign_next(
            head,
            DEVICE.key,
            issuer=DEVICE.issuer,
            subject=TWIN,
            content_type=SENML,
            payload=b"%d" % number,
            issued_at=START + number,
        )
        statement = parse_statement(raw)
        check_statement(statement, DEVICE.key.public)
        said = statement.issuer, statement.subject, statement.content_type, statement.payload, statement.issued_at
        assert said == (DEVICE.issuer, TWIN, SENML, b"%d" % number, START + number)
        head = check_next(head, statement)
    assert head is not None
    assert head.seq == 2


@pytest.mark.parametrize(("behind", "seq"), [(0, 2), (0, 3), (1, 0), (2, 3), (3, 1)])
def test_another_number_is_a_gap_that_says_what_is_expected(behind: int, seq: int) -> None:
    log = stream(4)
    head = StreamHead(behind - 1, log.statement(behind - 1).digest) if behind else None
    with pytest.raises(Gap, match="skips" if seq > behind else "repeats") as refusal:
        check_next(head, log.statement(seq))
    assert refusal.value.expected == behind


def test_another_past_breaks_the_chain() -> None:
    log = stream(3)
    with pytest.raises(ChainBroken, match="prev of seq 2"):
        check_next(StreamHead(1, b"\0" * 32), log.statement(2))


def test_issuers_and_twins_have_their_own_streams() -> None:
    log = Log()
    log.grant(DEVICE, {Capability.RECORD})
    for subject in (TWIN, OTHER_TWIN):
        for by in (DEVICE, GATEWAY):
            assert log.record(by, 1.0, subject=subject).seq == 0
            assert log.record(by, 1.0, subject=subject).seq == 1


def test_the_position_key_is_that_of_the_page() -> None:
    """spec/log.md: SHA-256(sub)[0:16] || SHA-256(iss)[0:16] || seq."""
    raw = stream(3).raws[2]
    expected = sha256(TWIN.encode()).digest()[:16] + sha256(DEVICE.issuer.encode()).digest()[:16] + b"\0" * 7 + b"\2"
    assert position_of(raw) == expected == position(parse_statement(raw))
    assert len(expected) == POSITION_SIZE
    assert expected.startswith(stream_prefix(DEVICE.issuer, TWIN))
    assert expected.startswith(twin_prefix(TWIN))
    with pytest.raises(Malformed):
        position_of(b"x")


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1))
def test_position_keys_sort_as_their_numbers(first: int, second: int) -> None:
    keys = []
    for seq in (first, second):
        raw = sign_statement(
            DEVICE.key,
            issuer="urn:é",
            subject="urn:y",
            content_type="a/b",
            payload=b"",
            seq=seq,
            prev=b"\0" * 32 if seq else None,
            issued_at=1,
        )
        keys.append(position_of(raw))
    assert (keys[0] < keys[1]) is (first < second)
