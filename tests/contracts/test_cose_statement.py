"""CoseStatement against twinproof.twin.statement: the same bytes are taken, and read alike."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.contracts.forms import FIRST, KEY, OTHER_KEY, RIGHT, WRONG, build
from tests.contracts.kit import Deployed, World, refused
from twinproof.chain.hexadecimal import keccak
from twinproof.errors import BadSignature, Malformed
from twinproof.proof.keys import EDDSA, P256_ORDER, PrivateKey, PublicKey
from twinproof.twin.statement import Statement, check_statement, parse_statement, sign_statement

PARSED, SIGNED = 1, 2
"""Bits of the harness's verdict."""


def point(key: PrivateKey) -> tuple[bytes, bytes]:
    raw = key.public.raw
    return raw[:32], raw[32:]


@pytest.fixture(scope="module")
def harness() -> Deployed:
    return World().deploy("CoseStatementHarness")


def verdicts(harness: Deployed, raws: Iterable[bytes], key: PrivateKey = KEY) -> list[int]:
    listed = list(raws)
    found: list[int] = []
    for start in range(0, len(listed), 100):
        found += harness.call("checkMany", listed[start : start + 100], point(key))
    return found


def python_verdict(raw: bytes, key: PrivateKey = KEY) -> tuple[int, str]:
    """The same bits, and the field that is at fault."""
    try:
        read = parse_statement(raw)
        if read.algorithm == EDDSA:
            return 0, "alg"
    except Malformed as problem:
        return 0, problem.field
    try:
        check_statement(read, key.public)
    except (BadSignature, Malformed):
        return PARSED, "signature"
    return PARSED | SIGNED, ""


# --- forms ----------------------------------------------------------------------------------


def test_right_forms_are_taken(harness: Deployed) -> None:
    names = list(RIGHT)
    assert dict(zip(names, verdicts(harness, RIGHT.values()), strict=True)) == dict.fromkeys(names, PARSED | SIGNED)
    assert {name: python_verdict(raw) for name, raw in RIGHT.items()} == dict.fromkeys(names, (PARSED | SIGNED, ""))


def test_wrong_forms_are_refused(harness: Deployed) -> None:
    names = list(WRONG)
    assert dict(zip(names, verdicts(harness, WRONG.values()), strict=True)) == dict.fromkeys(names, 0)
    assert {name: python_verdict(raw)[0] for name, raw in WRONG.items()} == dict.fromkeys(names, 0)


def test_a_statement_that_is_cut_anywhere_is_refused(harness: Deployed) -> None:
    for raw in (build(), build(FIRST)):
        assert set(verdicts(harness, [raw[:end] for end in range(len(raw))])) == {0}


def test_the_refusal_names_the_place(harness: Deployed) -> None:
    for name, offset in (("another tag", 0), ("alg EdDSA", 4), ("payload nil", 196), ("a byte after it", 203)):
        with refused(f"BadStatement({offset})"):
            harness.call("parse", WRONG[name])


def test_what_follows_the_statement_in_the_calldata_is_not_part_of_it(harness: Deployed) -> None:
    raw = build()
    data = harness.encode("parse", raw[:-32])
    assert data.endswith(raw[-64:-32] + bytes(-len(raw) % 32))
    outcome = harness.world.ask(harness.address, harness.address, data.rstrip(b"\0") + raw[-32:], 0)
    assert outcome.reverted


# --- mutations ------------------------------------------------------------------------------


def check_alike(harness: Deployed, raws: Sequence[bytes]) -> dict[str, int]:
    """The contract takes what Python takes. What it takes besides differs in text alone, and bears no signature."""
    counts = {"taken": 0, "text": 0, "refused": 0}
    for raw, found in zip(raws, verdicts(harness, raws), strict=True):
        wanted, field = python_verdict(raw)
        if found == wanted:
            counts["taken" if wanted & SIGNED else "refused"] += 1
        else:
            assert (found, wanted) == (PARSED, 0), raw.hex()
            # "protected header" stands for bytes that are not UTF-8.
            assert field in ("content type", "iss", "sub", "protected header"), raw.hex()
            counts["text"] += 1
    return counts


@pytest.mark.parametrize("changes", [{}, FIRST], ids=["later", "first"])
def test_every_byte_changed(harness: Deployed, changes: dict[str, bytes]) -> None:
    raw = build(changes)
    mutants = [
        raw[:place] + bytes([raw[place] ^ mask]) + raw[place + 1 :]
        for place in range(len(raw))
        for mask in (0x01, 0x80, 1 + 37 * place % 255)
    ]
    counts = check_alike(harness, mutants)
    assert counts["taken"] == 0
    assert counts["refused"] > 3 * counts["text"] > 0


def test_every_byte_dropped_doubled_or_inserted(harness: Deployed) -> None:
    raw = build()
    mutants = [raw[:place] + raw[place + 1 :] for place in range(len(raw))]
    mutants += [raw[:place] + raw[place : place + 1] + raw[place:] for place in range(len(raw))]
    mutants += [raw[:place] + b"\0" + raw[place:] for place in range(len(raw) + 1)]
    assert check_alike(harness, [mutant for mutant in mutants if mutant != raw])["taken"] == 0


NAMES = st.from_regex(r"[a-z][a-z0-9+.-]{0,9}:[a-zA-Z0-9:/._~äöß漢\U0001f600-]{1,300}", fullmatch=True)


@settings(max_examples=60)
@given(
    issuer=NAMES,
    subject=NAMES,
    kind=st.from_regex(r"[a-z0-9][a-z0-9+.-]{0,63}/[a-z0-9][a-z0-9+.-]{0,126}", fullmatch=True),
    payload=st.binary(max_size=700),
    seq=st.sampled_from([0, 1, 23, 24, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**63 - 1]),
    issued_at=st.integers(1, 2**53 - 1) | st.sampled_from([1, 23, 24, 255, 256, 65535, 65536, 2**32 - 1, 2**32]),
    data=st.data(),
)
def test_random_statements_are_read_alike(
    harness: Deployed,
    issuer: str,
    subject: str,
    kind: str,
    payload: bytes,
    seq: int,
    issued_at: int,
    data: st.DataObject,
) -> None:
    raw = sign_statement(
        KEY, issuer=issuer, subject=subject, content_type=kind, payload=payload, seq=seq,
        prev=sha256(payload).digest() if seq else None, issued_at=issued_at,
    )  # fmt: skip
    read = parse_statement(raw)
    (kid, content_type, by, about, at, place, middle, offset, size), content = harness.call("parse", raw)
    assert (kid, at, place, content) == (read.kid, read.issued_at, read.seq, read.payload)
    assert content_type == keccak(read.content_type.encode())
    assert (by, about) == (sha256(issuer.encode()).digest(), sha256(subject.encode()).digest())
    assert raw[middle : middle + 1] == b"\xa0"
    assert raw[offset : offset + size] == payload
    place = data.draw(st.integers(0, len(raw) - 1), "place")
    changed = raw[:place] + bytes([raw[place] ^ data.draw(st.integers(1, 255), "mask")]) + raw[place + 1 :]
    assert check_alike(harness, [raw, changed])["taken"] == 1


# --- signatures -----------------------------------------------------------------------------


def test_thumbprint(harness: Deployed) -> None:
    assert harness.call("thumbprint", point(KEY)) == KEY.public.thumbprint


def resigned(raw: bytes, r: int, s: int) -> bytes:
    return raw[:-64] + r.to_bytes(32, "big") + s.to_bytes(32, "big")


def test_other_signatures_are_refused(harness: Deployed) -> None:
    raw = build()
    read: Statement = parse_statement(raw)
    r, s = int.from_bytes(read.signature[:32], "big"), int.from_bytes(read.signature[32:], "big")
    harness.call("checkSignature", raw, point(KEY))
    wrong = [resigned(raw, *pair) for pair in ((r, P256_ORDER - s), (0, s), (r, 0), (P256_ORDER, s), (s, r), (0, 0))]
    for other in wrong:
        with refused("BadSignature"):
            harness.call("checkSignature", other, point(KEY))
        assert python_verdict(other)[0] == PARSED
    with refused("BadSignature"):
        harness.call("checkSignature", raw, point(OTHER_KEY))


def test_a_key_that_kid_does_not_name_is_refused_though_it_signed(harness: Deployed) -> None:
    raw = build({"kid": b"\x04\x58\x20" + OTHER_KEY.public.thumbprint})
    assert verdicts(harness, [raw]) == [PARSED]
    with refused("BadSignature"):
        harness.call("checkSignature", raw, point(KEY))


def test_a_point_off_the_curve_is_refused(harness: Deployed) -> None:
    x, y = point(KEY)
    off = (x, (int.from_bytes(y, "big") ^ 1).to_bytes(32, "big"))
    kid = sha256(b"\xa4\x01\x02\x20\x01\x21\x58\x20" + off[0] + b"\x22\x58\x20" + off[1]).digest()
    with pytest.raises(Malformed):
        PublicKey(KEY.algorithm, b"".join(off))
    with refused("BadSignature"):
        harness.call("checkSignature", build({"kid": b"\x04\x58\x20" + kid}), off)


def test_wycheproof(harness: Deployed, shared: Path) -> None:
    """Foreign signatures, checked with the precompile, with OpenZeppelin's own arithmetic and by our own verifier.

    Signatures of other than 64 bytes have no place in a statement; those with a high s are refused here.
    """
    file = shared / "vectors" / "wycheproof" / "testvectors_v1" / "ecdsa_secp256r1_sha256_p1363_test.json"
    checked = {True: 0, False: 0}
    for number, group in enumerate(json.loads(file.read_text())["testGroups"]):
        raw = bytes.fromhex(group["publicKey"]["uncompressed"])[1:]
        cases = [case for case in group["tests"] if len(case["sig"]) == 128]
        digests = [sha256(bytes.fromhex(case["msg"])).digest() for case in cases]
        signatures = [(bytes.fromhex(case["sig"][:64]), bytes.fromhex(case["sig"][64:])) for case in cases]
        wanted = [
            case["result"] == "valid" and int.from_bytes(s, "big") <= P256_ORDER // 2
            for case, (_, s) in zip(cases, signatures, strict=True)
        ]
        assert [our_verdict(raw, case) for case in cases] == wanted
        key = (raw[:32], raw[32:])
        assert [bool(found) for found in harness.call("verify", digests, signatures, key, True)] == wanted
        for verdict in wanted:
            checked[verdict] += 1
        # The contract's own arithmetic takes a third of a second each.
        if number % 12 == 0:
            few = slice(0, 2)
            found = harness.call("verify", digests[few], signatures[few], key, False)
            assert [bool(answer) for answer in found] == wanted[few]
    assert checked[True] > 60
    assert checked[False] > 100


def our_verdict(raw: bytes, case: dict[str, str]) -> bool:
    try:
        PublicKey(KEY.algorithm, raw).check(bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"]))
    except BadSignature:
        return False
    return True
