"""Cases for both verifiers, with what the Python one says of each: `Case.expected` is what the other must answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from twinproof.errors import Malformed, TwinproofError, VerificationFailed
from twinproof.proof import cbor
from twinproof.proof.keys import PublicKey
from twinproof.proof.policy import Policy
from twinproof.twin.anchors import AnchorTrust
from twinproof.twin.columns import Columns
from twinproof.twin.kinds import KINDS
from twinproof.verify import History, ProvenStatement, verify_bundle, verify_tlog_proof, verify_transparent

REFUSED = "refused"


@dataclass(frozen=True)
class Case:
    """One question, as run.mjs takes it, and Python's answer to it."""

    name: str
    question: dict[str, Any]
    expected: Any


def policy_text(policy: Policy) -> bytes:
    """A policy file that reads as this policy."""
    lines = [f"log {log.key}" for log in policy.logs]
    lines += [f"witness {name} {witness.key}" for name, witness in policy.witnesses.items()]
    lines += [f"group {name} {group.threshold} {' '.join(group.members)}" for name, group in policy.groups.items()]
    lines.append(f"quorum {policy.quorum or 'none'}")
    return "".join(f"{line}\n" for line in lines).encode()


def decimal(number: int | None) -> str | None:
    """A number as run.mjs writes it: JSON's are doubles."""
    return None if number is None else str(number)


def told(history: History) -> dict[str, Any]:
    """All that both verifiers say of a verified bundle; the words of remarks are each one's own."""
    return {
        "steps": list(range(1, 11)),
        "subject": history.subject,
        "size": str(history.head.checkpoint.size),
        "witnesses": list(history.head.witnesses),
        "operator": history.operator.thumbprint.hex(),
        "entries": [
            [
                str(entry.index),
                entry.kind.name,
                entry.statement.digest.hex(),
                entry.grant.id.hex(),
                *map(decimal, (entry.time.claimed, entry.time.not_before, entry.time.not_after, entry.time.anchored)),
            ]
            for entry in history.entries
        ],
        "streams": [[s.issuer, s.subject, str(s.first), str(s.last), s.digest.hex()] for s in history.streams],
        "grants": [[key.hex(), decimal(history.authority.revoked.get(key))] for key in history.authority.grants],
        "anchors": [
            [
                str(found.head.size),
                found.head.block_hash.hex(),
                found.head.transaction.hex(),
                str(found.head.time),
                found.trusted,
            ]
            for found in history.anchors
        ],
        "remarks": len(history.remarks),
    }


def trust_value(trust: AnchorTrust) -> dict[str, Any]:
    """Anchor trust as run.mjs takes it; `confirms` stands for believing every block."""
    return {
        "blocks": [block.hex() for block in sorted(trust.blocks)],
        "everything": trust.confirms is not None,
        "expected": [
            [str(e.chain_id), e.contract.hex(), *([e.log_id.hex()] if e.log_id else [])] for e in trust.expected
        ],
    }


def bundle_case(name: str, data: bytes, policy: Policy, trust: AnchorTrust | None = None) -> Case:
    """A bundle: verified with the same history, or refused in the same step."""
    question: dict[str, Any] = {"ask": "bundle", "data": data.hex(), "policy": policy_text(policy).hex()}
    if trust is not None:
        question["trust"] = trust_value(trust)
    try:
        expected = told(verify_bundle(data, policy, anchors=trust))
    except VerificationFailed as failure:
        expected = {REFUSED: failure.step}
    return Case(name, question, expected)


def _proven(found: ProvenStatement) -> dict[str, Any]:
    return {
        "index": str(found.index),
        "size": str(found.size),
        "origin": found.origin,
        "signerChecked": found.signer_checked,
        "digest": found.statement.digest.hex(),
    }


def _with_signer(question: dict[str, Any], signer: PublicKey | None) -> dict[str, Any]:
    return question if signer is None else {**question, "signer": cbor.encode(signer.cose_key).hex()}


def transparent_case(name: str, data: bytes, policy: Policy, signer: PublicKey | None = None) -> Case:
    """A transparent statement."""
    question = {"ask": "transparent", "data": data.hex(), "policy": policy_text(policy).hex()}
    try:
        expected: Any = _proven(verify_transparent(data, policy, signer))
    except TwinproofError:
        expected = REFUSED
    return Case(name, _with_signer(question, signer), expected)


def tlog_proof_case(name: str, proof: bytes, raw: bytes, policy: Policy, signer: PublicKey | None = None) -> Case:
    """A tlog-proof and its statement."""
    question = {"ask": "tlogProof", "data": proof.hex(), "raw": raw.hex(), "policy": policy_text(policy).hex()}
    try:
        expected: Any = _proven(verify_tlog_proof(proof, raw, policy, signer)[0])
    except TwinproofError:
        expected = REFUSED
    return Case(name, _with_signer(question, signer), expected)


def payload_case(name: str, content_type: str, payload: bytes, issued_at: int = 1_700_000_000) -> Case:
    """A payload of a kind: read, with the same measurements, or refused."""
    question = {
        "ask": "payload",
        "contentType": content_type,
        "data": payload.hex(),
        "issuedAt": str(issued_at),
    }
    try:
        found = KINDS[content_type].parse(payload, issued_at)
    except Malformed:
        return Case(name, question, REFUSED)
    rows: Any = found.readings() if isinstance(found, Columns) else found if isinstance(found, list) else []
    return Case(name, question, [[r.name, _tagged(r.value), r.time, _tagged(r.sum)] for r in rows])


def _tagged(value: object) -> object:
    if type(value) is int:
        return ["int", str(value)]
    return ["bytes", value.hex()] if type(value) is bytes else value


def agrees(case: Case, answer: Any) -> bool:
    """Whether the other verifier's answer is the expected one."""
    if type(answer) is dict and "refused" in answer:
        refused = case.expected == REFUSED
        return refused or (type(case.expected) is dict and case.expected.get(REFUSED, -1) == answer["step"])
    return bool(answer == case.expected)


def disagreements(cases: list[Case], answers: list[Any]) -> list[str]:
    """What to print: the name of each case that the two judge differently, and both judgements."""
    return [
        f"{case.name}: Python {str(case.expected)[:300]}, TypeScript {str(answer)[:300]}"
        for case, answer in zip(cases, answers, strict=True)
        if not agrees(case, answer)
    ]
