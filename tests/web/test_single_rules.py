"""Rules at the edges: what the TypeScript verifier makes of each is what spec/ says. Python has tests of its own."""

from __future__ import annotations

import base64
from dataclasses import replace
from hashlib import sha256, sha512
from typing import Any

import pytest

from tests.builders import DEVICE, GATEWAY, INSPECTOR, LOG_KEY, LOG_PQ_KEY, ORIGIN, Log
from tests.web.conftest import Ask
from tests.web.verdicts import agrees, bundle_case, policy_text, tlog_proof_case
from twinproof.proof import cbor, cose, merkle
from twinproof.proof.keys import EDDSA, PrivateKey
from twinproof.proof.policy import Policy
from twinproof.twin.evidence import format_bundle
from twinproof.twin.grants import Capability

ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493


def recorded() -> Log:
    log = Log(keys=(LOG_KEY, LOG_PQ_KEY))
    log.grant(DEVICE, {Capability.RECORD})
    log.record(DEVICE, 1.0)
    return log


def step_of(ask: Ask, data: bytes, policy: Policy) -> Any:
    (answer,) = ask([{"ask": "bundle", "data": data.hex(), "policy": policy_text(policy).hex()}])
    return answer.get("step")


def altered(line: str) -> str:
    """A signature line with a bit of its signature flipped."""
    dash, name, blob = line.split(" ")
    raw = bytearray(base64.b64decode(blob))
    raw[-1] ^= 1
    return f"{dash} {name} {base64.b64encode(raw).decode()}"


@pytest.mark.parametrize("where", ["before", "after"])
def test_no_line_of_a_known_key_fails(ask: Ask, where: str) -> None:
    """evidence.md, step 2: neither the first nor a second line of the same key."""
    log = recorded()
    bundle = log.bundle()
    text, _, lines = bundle.head.decode().partition("\n\n")
    good = lines.splitlines()
    bad = [altered(good[0])]
    assert step_of(ask, format_bundle(bundle), log.policy()) is None
    order = [*bad, *good] if where == "before" else [*good, *bad]
    head = "".join([f"{text}\n\n", *(f"{line}\n" for line in order)]).encode()
    assert step_of(ask, format_bundle(replace(bundle, head=head)), log.policy()) == 2


def test_authority_streams_begin_at_0_also_where_the_log_is_the_twin(ask: Ask) -> None:
    """evidence.md, step 8: what is cut off may be a revocation."""
    log = Log()
    via = log.grant(GATEWAY, {Capability.RECORD, Capability.ADMINISTER})
    log.revoke(log.grant(DEVICE, {Capability.RECORD}, by=GATEWAY, via=via), by=GATEWAY)
    log.grant(INSPECTOR, {Capability.RECORD}, by=GATEWAY, via=via)
    assert step_of(ask, format_bundle(log.bundle(log.subject)), log.policy()) is None
    assert step_of(ask, format_bundle(log.bundle(log.subject, indices=[0, 1, 4])), log.policy()) == 8


@pytest.mark.parametrize("engine", ["webcrypto", "noble"])
def test_r_of_small_order(ask: Ask, engine: str) -> None:
    """The identity as R, and S = k·a: RFC 8032 holds, libsodium refuses, statement.md refuses."""
    log = Log()
    log.grant(GATEWAY, {Capability.RECORD})
    said = log.record(GATEWAY, 1.0)
    scalar = (int.from_bytes(sha512(GATEWAY.key.seed).digest()[:32], "little") & ((1 << 254) - 8)) | 1 << 254
    identity = b"\x01" + bytes(31)
    signed = cose.sig_structure(said.protected, said.payload)
    challenge = int.from_bytes(sha512(identity + GATEWAY.key.public.raw + signed).digest(), "little")
    log.raws[-1] = said.raw[:-64] + identity + (challenge * scalar % ED25519_ORDER).to_bytes(32, "little")
    case = bundle_case("small order R", log.bundle_bytes(), log.policy())
    assert case.expected == {"refused": 7}
    (answer,) = ask([case.question], engine=engine)
    assert agrees(case, answer)


def test_lines_of_a_tlog_proof(ask: Ask) -> None:
    log = recorded()
    good, raw, policy = log.tlog_proof(2), log.raws[2], log.policy()
    extras = [b"extra \n", b"extra\n", b"extra AAA\n", b"extra AAAA\nextra AAAA\n"]
    extras += [b"extra " + base64.b64encode(bytes(size)) + b"\n" for size in (1, 100, 65_536, 65_537)]
    made = [good.replace(b"index", extra + b"index", 1) for extra in extras]
    made += [good + b"\n", b"\xef\xbb\xbf" + good, good.replace(b"\n", b"\r\n"), good.replace(b"\n", b"\n\n", 1)]
    made += [good.replace(b"index 2", other) for other in (b"index 02", b"index +2", b"index 2 ", b"index", b"Index 2")]
    cases = [tlog_proof_case(sha256(data).hexdigest(), data, raw, policy) for data in made]
    answers = ask([case.question for case in cases])
    assert [agrees(case, answer) for case, answer in zip(cases, answers, strict=True)] == [True] * len(cases)
    assert sum(type(case.expected) is dict for case in cases) == 4


def receipt(log: Log, headers: cose.Header, unprotected: cose.Header | None = None) -> bytes:
    """The log's third entry with a receipt that has these protected headers too."""
    key, head = PrivateKey(EDDSA, LOG_KEY.seed), log.head()
    claims = {cose.ISS: ORIGIN, cose.SUB: ORIGIN}
    standard: cose.Header = {cose.KID: key.public.thumbprint, cose.CWT_CLAIMS: claims, 395: 1, -70003: head.size}
    signed = cose.sign(key, {**standard, **headers}, head.root)
    proof = cbor.encode([head.size, 2, list(merkle.prove_inclusion(2, head.size, log.nodes()))])
    whole = cose.Sign1(signed.protected, {396: {-1: [proof]}, **(unprotected or {})}, None, signed.signature)
    entry = cose.parse_sign1(log.raws[2])
    return cose.format_sign1(
        cose.Sign1(entry.protected, {cose.RECEIPTS: [cose.format_sign1(whole)]}, entry.payload, entry.signature)
    )


def test_a_receipt_has_the_headers_of_the_page_and_no_others(ask: Ask) -> None:
    log = recorded()
    made = [receipt(log, {})]
    made += [receipt(log, {99: 1}), receipt(log, {3: "a/b"}), receipt(log, {395: 2}), receipt(log, {-70003: 4})]
    made += [receipt(log, {cose.CWT_CLAIMS: claims}) for claims in ({1: ORIGIN, 2: "x"}, {1: ORIGIN, 2: ORIGIN, 6: 5})]
    made.append(receipt(log, {}, {4: b"x"}))
    policy = policy_text(log.policy()).hex()
    answers = ask([{"ask": "transparent", "data": data.hex(), "policy": policy} for data in made])
    assert ["refused" in answer for answer in answers] == [False, *[True] * 7]
