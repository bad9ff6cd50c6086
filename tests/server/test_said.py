"""What a statement says in a few fields: by kind, and never more than 1 KiB whatever it holds."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import DEVICE
from twinproof.server.said import MAX_SAID, said
from twinproof.twin.alarm import AlarmTransition, Case, Rule, RuleRemoval, Severity, Test, Transition
from twinproof.twin.attestation import Attestation, Document, Resume
from twinproof.twin.chain_event import ChainEvent
from twinproof.twin.columns import format_columns, parse_columns
from twinproof.twin.description import Description, Lifecycle
from twinproof.twin.grants import Capability, GrantTerms, Revocation, Scope
from twinproof.twin.installation import Installation
from twinproof.twin.model import ModelDocument
from twinproof.twin.operation import Acknowledgement, Command, Desired, Status
from twinproof.twin.policy import Policy, PolicyRemoval
from twinproof.twin.prediction import Prediction
from twinproof.twin.predictor import Predictor, Stage, Trained
from twinproof.twin.reading import Reading

DIGEST = b"\x01" * 32
START = 1_700_000_000
CASE = Case("d", 2.0, 5.0, (("T24", 0.5), ("Nf", -0.5)), ("hpc",))


def event(name: str, retracted: bool = False, **args: Any) -> ChainEvent:
    return ChainEvent(5, b"\xaa" * 20, name, 9, DIGEST, START, b"\2" * 32, 0, args, retracted)


PAYLOADS: list[tuple[object, dict[str, Any]]] = [
    (
        [Reading("T24", 1.0, "K", 5.0), Reading("Nf", 1.0, "K", 7.0), Reading("T24", 2.0, "K", 6.0)],
        {"names": ["T24", "Nf"], "signals": 2, "count": 3, "from": 5.0, "to": 7.0},
    ),
    (
        parse_columns(format_columns(START, [("Nf", "1/min", [1.0, 2.0, 3.0])], step=1), START),
        {"names": ["Nf"], "signals": 1, "count": 3, "from": START},
    ),
    (
        Prediction(1.0, 2.0, 3.0, 0.9, "h", DIGEST, (), widened=0.4, episode="e"),
        {"lower": 1.0, "point": 2.0, "upper": 3.0, "coverage": 0.9, "unit": "h", "model": "01" * 32,
         "widened": 0.4, "episode": "e"},
    ),
    (
        AlarmTransition("hot", Transition.RAISE, 4.0, 5.0, case=CASE),
        {"rule": "hot", "transition": "raise", "value": 4.0, "until": None, "text": None,
         "case": {"score": 2.0, "since": 5.0, "signals": ["T24", "Nf"], "hints": ["hpc"]}},
    ),
    (AlarmTransition("hot", Transition.SHELVE, until=9, text="later"),
     {"rule": "hot", "transition": "shelve", "value": None, "until": 9, "text": "later", "case": None}),
    (Rule("hot", "T24", Test.ABOVE, 5.0, Severity.HIGH),
     {"rule": "hot", "signal": "T24", "test": "above", "limit": 5.0, "severity": "high", "text": None}),
    (RuleRemoval("hot"), {"rule": "hot", "removed": True}),
    (
        event("OrderShipped", orderId=DIGEST, tokenId=7, to=b"\xbb" * 20),
        {"event": "OrderShipped", "state": "shipped", "retracted": False, "chain": 5, "contract": "0x" + "aa" * 20,
         "block": 9, "transaction": "0x" + "02" * 32,
         "arguments": {"orderId": str(int.from_bytes(DIGEST, "big")), "tokenId": "7", "to": "0x" + "bb" * 20}},
    ),
    (
        event("OrderPlaced", True),
        {"event": "OrderPlaced", "state": None, "retracted": True, "chain": 5, "contract": "0x" + "aa" * 20,
         "block": 9, "transaction": "0x" + "02" * 32, "arguments": {}},
    ),
    (Description("dtmi:a;1", Lifecycle.RETIRED, {"serial": "x", "n": 2, "l": [1, 2], "b": b"\0"}, unset=("u",)),
     {"model": "dtmi:a;1", "lifecycle": "retired", "set": {"serial": "x", "n": 2, "l": "(2)", "b": "(1)"},
      "unset": ["u"], "relationships": 0}),
    (Desired({"mode": "eco"}, text="why"), {"set": {"mode": "eco"}, "unset": [], "text": "why"}),
    (Command("wash", 5, 9), {"name": "wash", "input": 5, "deadline": 9, "text": None}),
    (Acknowledgement(DIGEST, Status.DONE, "ok", 2**70),
     {"request": "01" * 32, "status": "done", "output": str(2**70), "text": "ok"}),
    (GrantTerms(DEVICE.issuer, DEVICE.key.public, frozenset({Capability.RECORD}), Scope("prefix", "urn:x:")),
     {"to": DEVICE.issuer, "can": ["record"], "scope": str(Scope("prefix", "urn:x:"))}),
    (Revocation(DIGEST, "lost"), {"grant": "01" * 32, "reason": "lost"}),
    (Attestation("urn:x:release", "fine", Document(DIGEST, "application/pdf")),
     {"type": "urn:x:release", "text": "fine", "document": "01" * 32}),
    (Resume("new disk"), {"reason": "new disk"}),
    (ModelDocument("dtdl", b"{}"), {"language": "dtdl", "bytes": 2}),
    (Predictor(DIGEST, Stage.ACTIVE, "h", 0.9, Trained(9, DIGEST, 1, 1, 1)),
     {"model": "01" * 32, "stage": "active", "coverage": 0.9, "unit": "h", "text": None}),
    (Installation(b"\0" * 31 + b"\7", DIGEST, "S-1"), {"part": "7", "order": "01" * 32, "serial": "S-1"}),
    (Policy("low", "h", 3.0, 0.9, 5, b"\xaa" * 20, 2**70),
     {"policy": "low", "below": 3.0, "unit": "h", "coverage": 0.9, "agreement": str(2**70)}),
    (PolicyRemoval("low"), {"policy": "low", "removed": True}),
]  # fmt: skip


@pytest.mark.parametrize(("payload", "fields"), PAYLOADS, ids=range(len(PAYLOADS)))
def test_each_kind(payload: object, fields: dict[str, Any]) -> None:
    assert said(payload) == fields


long = st.text(st.characters(exclude_categories=["Cs"]), min_size=0, max_size=500)
huge = st.dictionaries(long, long | st.integers() | st.binary(max_size=40), max_size=30)


@given(
    st.one_of(
        huge.map(lambda values: Description(set=values, unset=tuple(values))),
        huge.map(lambda values: Desired(values, text="\u2028" * 400)),
        huge.map(lambda values: event("Minted", False, **{f"a{n}": v for n, v in enumerate(values.values())})),
        st.lists(long, max_size=40).map(lambda names: [Reading(name, 1.0, None, 1.0) for name in names]),
        st.lists(long, max_size=16).map(
            lambda names: AlarmTransition(
                "a" * 64,
                Transition.RAISE,
                text="é" * 500,
                case=Case("d", 1.0, 1.0, tuple((n, 0.1) for n in names), ("ü" * 100,) * 4),
            )
        ),
    )
)
def test_it_is_short_whatever_it_holds(payload: object) -> None:
    assert len(json.dumps(said(payload), ensure_ascii=False).encode()) <= MAX_SAID
