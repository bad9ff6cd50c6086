"""Predictions, installations, policies, chain events: payloads, what is refused, and their part of the state."""

from __future__ import annotations

import struct
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.twin.test_live import Told
from twinproof.errors import TwinproofError
from twinproof.proof import cbor
from twinproof.twin import chain_event, installation, policy, prediction
from twinproof.twin.chain_event import ChainEvent, arg, event_args
from twinproof.twin.installation import Installation
from twinproof.twin.kinds import KINDS
from twinproof.twin.ledger import FOLLOWER, UNKNOWN, LedgerState
from twinproof.twin.policy import Policy, PolicyRemoval
from twinproof.twin.prediction import Prediction, Read, float_bits

D = bytes(range(32))
ADDRESS, OTHER = b"\xaa" * 20, b"\xbb" * 20
HAND_OVER: dict[str, Any] = {"from": ADDRESS, "to": OTHER}
READS = (Read("urn:example:device:1", 3, 9, D),)
GOOD = Prediction(20.5, 31.0, 40.25, 0.9, "cycles", D, READS)
DIGESTS = st.binary(min_size=32, max_size=32)
AMOUNTS = st.floats(0, allow_nan=False, allow_infinity=False)
NAMES = st.text("abcXYZ019.", min_size=1, max_size=12)


# --- predictions ----------------------------------------------------------------------------


@given(
    st.lists(AMOUNTS, min_size=3, max_size=3).map(sorted),
    st.floats(0, 1, exclude_min=True),
    st.text("!~aZ09/%", min_size=1, max_size=16),
    st.none() | st.integers(1, 2**63 - 1),
    st.dictionaries(NAMES, st.floats(allow_nan=False, allow_infinity=False), max_size=4),
    st.none() | NAMES,
)
def test_prediction_round_trip(
    rul: list[float], coverage: float, unit: str, until: int | None, drivers: dict[str, float], episode: str | None
) -> None:
    made = Prediction(rul[0], rul[1], rul[2], coverage, unit, D, READS, until, drivers, episode)
    payload = prediction.format_prediction(made)
    assert prediction.parse_prediction(payload) == made
    assert prediction.format_prediction(prediction.parse_prediction(payload)) == payload
    # What a contract relies on: the first two keys stand at fixed places, whatever follows.
    assert payload[1:5] == b"\x63rul"
    assert payload[5:7] == b"\x58\x20"
    assert payload[7:39] == struct.pack(">4d", *(number + 0.0 for number in (*rul, coverage)))
    assert payload[39:44] == b"\x64unit"
    assert payload[44] == 0x60 + len(unit)


@given(AMOUNTS, AMOUNTS)
def test_bit_patterns_order_as_the_numbers_do(one: float, other: float) -> None:
    assert (one < other) == (float_bits(one) < float_bits(other))


@given(st.binary(min_size=32, max_size=32))
def test_any_32_bytes_are_four_numbers_in_order_or_refused(raw: bytes) -> None:
    lower, point, upper, coverage = struct.unpack(">4d", raw)
    fits = (
        0 <= lower <= point <= upper < float("inf") and 0 < coverage <= 1 and not any(byte & 0x80 for byte in raw[::8])
    )
    if fits:
        assert prediction.format_rul(*prediction.parse_rul(raw)) == raw
    else:
        with pytest.raises(TwinproofError, match=r"prediction\.rul"):
            prediction.parse_rul(raw)


BAD_NUMBERS = {
    "NaN": (float("nan"), 1.0, 2.0, 0.9),
    "NaN last": (0.0, 1.0, 2.0, float("nan")),
    "infinite": (0.0, 1.0, float("inf"), 0.9),
    "negative": (-1.0, 1.0, 2.0, 0.9),
    "negative zero": (-0.0, 1.0, 2.0, 0.9),
    "negative zero inside": (0.0, -0.0, 2.0, 0.9),
    "no order": (1.0, 0.5, 2.0, 0.9),
    "no order above": (1.0, 3.0, 2.0, 0.9),
    "no coverage": (0.0, 1.0, 2.0, 0.0),
    "much coverage": (0.0, 1.0, 2.0, 1.0000000000000002),
}


@pytest.mark.parametrize("name", BAD_NUMBERS)
def test_numbers_that_are_refused(name: str) -> None:
    with pytest.raises(TwinproofError, match=r"prediction\.rul"):
        prediction.parse_rul(struct.pack(">4d", *BAD_NUMBERS[name]))


def prediction_map(**changed: Any) -> dict[str, Any]:
    value = cbor.decode(prediction.format_prediction(GOOD)) | changed
    return {key: item for key, item in value.items() if item is not None}


def event_map(**changed: Any) -> dict[str, Any]:
    value = cbor.decode(chain_event.format_chain_event(event("Minted", tokenId=5))) | changed
    return {key: item for key, item in value.items() if item is not None}


def policy_of(**changed: Any) -> dict[str, Any]:
    value = cbor.decode(policy.format_policy(POLICY)) | changed
    return {key: item for key, item in value.items() if item is not None}


def event(name: str, block: int = 9, position: int = 0, *, retracted: bool = False, **args: Any) -> ChainEvent:
    return ChainEvent(
        31_000,
        ADDRESS,
        name,
        block,
        bytes([block]) * 32,
        1_700_000_000 + block,
        D,
        position,
        event_args(args),
        retracted,
    )


POLICY = Policy("low", "cycles", 30.0, 0.9, 1, ADDRESS, 7)
BOTH = {"part": D, "order": D}
ROW = ["urn:x", 0, 4, D]
REFUSED: list[tuple[str, Any, str]] = [
    ("prediction", prediction_map(rul=None), "prediction.rul"),
    ("prediction", prediction_map(rul=bytes(31)), "prediction.rul"),
    ("prediction", prediction_map(rul=[1.0, 2.0, 3.0, 0.9]), "prediction.rul"),
    ("prediction", prediction_map(unit=""), "prediction.unit"),
    ("prediction", prediction_map(unit="a" * 17), "prediction.unit"),
    ("prediction", prediction_map(unit="µs"), "prediction.unit"),
    ("prediction", prediction_map(unit="a b"), "prediction.unit"),
    ("prediction", prediction_map(unit="h\n"), "prediction.unit"),
    ("prediction", prediction_map(model=D[:31]), "prediction.model"),
    ("prediction", prediction_map(reads=[]), "prediction.reads"),
    ("prediction", prediction_map(reads=[ROW] * 257), "prediction.reads"),
    ("prediction", prediction_map(reads=[ROW, ROW]), "prediction.reads"),
    ("prediction", prediction_map(reads=[["urn:x", 0, 4, D], ["urn:x", 4, 5, D]]), "prediction.reads"),
    ("prediction", prediction_map(reads=[["urn:y", 0, 4, D], ["urn:x", 9, 9, D]]), "prediction.reads"),
    ("prediction", prediction_map(reads=[["urn:x", 5, 4, D]]), "prediction.reads"),
    ("prediction", prediction_map(reads=[["urn:x", -1, 4, D]]), "prediction.reads"),
    ("prediction", prediction_map(reads=[["urn:x", 0, 2**63, D]]), "prediction.reads"),
    ("prediction", prediction_map(reads=[["urn:x", 0, True, D]]), "prediction.reads"),
    ("prediction", prediction_map(reads=[["x", 0, 1, D]]), "prediction.reads"),
    ("prediction", prediction_map(reads=[["urn:x", 0, 1]]), "prediction.reads"),
    ("prediction", prediction_map(reads=[["urn:x", 0, 1, b""]]), "prediction.reads"),
    ("prediction", prediction_map(until=0), "prediction.until"),
    ("prediction", prediction_map(until=1.0), "prediction.until"),
    ("prediction", prediction_map(drivers={}), "prediction.drivers"),
    ("prediction", prediction_map(drivers={"a": float("inf")}), "prediction.drivers"),
    ("prediction", prediction_map(drivers={"": 1}), "prediction.drivers"),
    ("prediction", prediction_map(drivers={str(n): 1 for n in range(65)}), "prediction.drivers"),
    ("prediction", prediction_map(episode=""), "prediction.episode"),
    ("prediction", prediction_map(episode="x" * 65), "prediction.episode"),
    ("prediction", prediction_map(more=1), "unknown key"),
    ("installation", {"part": D}, "installation.order"),
    ("installation", BOTH | {"part": 5}, "installation.part"),
    ("installation", BOTH | {"order": bytes(33)}, "installation.order"),
    ("installation", BOTH | {"serial": ""}, "installation.serial"),
    ("installation", BOTH | {"remark": "x" * 1001}, "installation.remark"),
    ("installation", BOTH | {"text": "x"}, "unknown key"),
    ("policy", policy_of(id="Upper"), "policy.id"),
    ("policy", {"id": "a", "remove": 1}, "policy.remove"),
    ("policy", {"id": "a", "remove": True, "unit": "h"}, "unknown key"),
    ("policy", policy_of(below=0), "policy.below"),
    ("policy", policy_of(below=float("nan")), "policy.below"),
    ("policy", policy_of(below=True), "policy.below"),
    ("policy", policy_of(coverage=1.1), "policy.coverage"),
    ("policy", policy_of(chain=0), "policy.chain"),
    ("policy", policy_of(chain=2**63), "policy.chain"),
    ("policy", policy_of(contract=D), "policy.contract"),
    ("policy", policy_of(agreement=-1), "policy.agreement"),
    ("policy", policy_of(agreement=bytes(31) + b"\7"), "policy.agreement"),
    ("policy", policy_of(unit=None), "policy.unit"),
    ("chain-event", event_map(chain="1"), "chain-event.chain"),
    ("chain-event", event_map(contract=b""), "chain-event.contract"),
    ("chain-event", event_map(event="1x"), "chain-event.event"),
    ("chain-event", event_map(event="x\n"), "chain-event.event"),
    ("chain-event", event_map(event="x" * 65), "chain-event.event"),
    ("chain-event", event_map(block=9), "chain-event.block"),
    ("chain-event", event_map(block=[-1, D]), "chain-event.block"),
    ("chain-event", event_map(block=[9, b""]), "chain-event.block"),
    ("chain-event", event_map(time=0), "chain-event.time"),
    ("chain-event", event_map(transaction=b""), "chain-event.transaction"),
    ("chain-event", event_map(position=2**63), "chain-event.position"),
    ("chain-event", event_map(args=[]), "chain-event.args"),
    ("chain-event", event_map(args={"a b": 1}), "chain-event.args"),
    ("chain-event", event_map(args={"a": -1}), "chain-event.args"),
    ("chain-event", event_map(args={"a": 1.5}), "chain-event.args"),
    ("chain-event", event_map(args={"a": {}}), "chain-event.args"),
    ("chain-event", event_map(args={"a": [None]}), "chain-event.args"),
    ("chain-event", event_map(args={"a": "\0"}), "chain-event.args"),
    ("chain-event", event_map(args={"a": bytes(4097)}), "chain-event.args"),
    ("chain-event", event_map(args={f"a{n}": 1 for n in range(33)}), "chain-event.args"),
    ("chain-event", event_map(retracted=False), "chain-event.retracted"),
]


@pytest.mark.parametrize(("name", "value", "message"), REFUSED, ids=[f"{row[0]}-{i}" for i, row in enumerate(REFUSED)])
def test_refusals_name_the_key(name: str, value: Any, message: str) -> None:
    (kind,) = (kind for kind in KINDS.values() if kind.name == name)
    with pytest.raises(TwinproofError, match=message.replace(".", r"\.")):
        kind.parse(cbor.encode(value), 0)


@pytest.mark.parametrize("name", ["prediction", "installation", "policy", "chain-event"])
@given(data=st.binary(max_size=80))
def test_arbitrary_bytes_are_refused_or_read(name: str, data: bytes) -> None:
    (kind,) = (kind for kind in KINDS.values() if kind.name == name)
    with suppress(TwinproofError):
        kind.parse(data, 0)


# --- the other payloads ---------------------------------------------------------------------


@given(DIGESTS, DIGESTS, st.none() | NAMES, st.none() | NAMES)
def test_installation_round_trip(part: bytes, order: bytes, serial: str | None, remark: str | None) -> None:
    made = Installation(part, order, serial, remark)
    payload = installation.format_installation(made)
    assert installation.parse_installation(payload) == made
    assert payload[1:].startswith(b"\x64part\x58\x20" + part + b"\x65order\x58\x20" + order)


@given(st.integers(0, 2**256 - 1), st.floats(0, 1e300, exclude_min=True), st.floats(0, 1, exclude_min=True))
def test_policy_round_trip(agreement: int, below: float, coverage: float) -> None:
    made = Policy("a-b", "h", below, coverage, 2**63 - 1, ADDRESS, agreement)
    assert policy.parse_policy(policy.format_policy(made)) == made
    assert policy.parse_policy(policy.format_policy(PolicyRemoval("a"))) == PolicyRemoval("a")


ARGS = st.recursive(
    st.booleans() | st.integers(0, 2**256 - 1) | st.binary(max_size=40) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["a", "_b", "c9", "$d"]), ARGS), st.booleans())
def test_chain_event_round_trip(args: dict[str, Any], retracted: bool) -> None:
    made = replace(event("Minted"), args=event_args(args), retracted=retracted)
    assert chain_event.parse_chain_event(chain_event.format_chain_event(made)) == made


def test_arguments_as_they_travel() -> None:
    assert arg(2**64 - 1) == 2**64 - 1
    assert arg(2**64) == (2**64).to_bytes(32, "big")
    assert arg(("a", [True, b"x"])) == ["a", [True, b"x"]]
    assert arg("a\x1b[31m") == b"a\x1b[31m"
    assert event_args({"terms": (1, 2), "twins": [D] * 2000}) == {"terms": [1, 2], "twins": None}
    refused: list[Any] = [-1, 2**256, 1.5, None, {}]
    for value in refused:
        with pytest.raises(ValueError, match=r"no unsigned|of type"):
            arg(value)


# --- the fold -------------------------------------------------------------------------------


class Book(Told):
    """A twin's log, with words for the kinds of this page."""

    issuer = "urn:example:x#chain"

    @property
    def ledger(self) -> LedgerState:
        return self.state.live.ledger

    def hear(self, *events: ChainEvent) -> None:
        for heard in events:
            self.say(chain_event.CHAIN_EVENT, chain_event.format_chain_event(heard))

    def order(self) -> tuple[str, bytes | None]:
        (order,) = self.ledger.orders.values()
        return order.state, order.token

    def token(self) -> tuple[bytes | None, str, bytes | None]:
        (token,) = self.ledger.tokens.values()
        return token.owner, token.status, token.parent


def wide(number: int) -> bytes:
    return number.to_bytes(32, "big")


def test_the_newest_prediction_stands() -> None:
    book = Book()
    book.say(prediction.PREDICTION, prediction.format_prediction(GOOD), 1_700_000_000)
    newer = replace(GOOD, lower=1.0, drivers={"T24": -3.5})
    book.say(prediction.PREDICTION, prediction.format_prediction(newer), 1_600_000_000)
    assert book.ledger.prediction == (newer, "urn:example:x#chain", 1, 1_600_000_000)


def test_policies_come_and_go() -> None:
    book = Book()
    book.say(policy.POLICY, policy.format_policy(POLICY))
    book.say(policy.POLICY, policy.format_policy(replace(POLICY, below=2.0, agreement=2**200)))
    assert book.ledger.policies["low"] == (replace(POLICY, below=2.0, agreement=2**200), 1)
    book.say(policy.POLICY, policy.format_policy(PolicyRemoval("low")))
    book.say(policy.POLICY, policy.format_policy(PolicyRemoval("never")))
    assert book.ledger == LedgerState()


def test_installations_are_kept_by_part() -> None:
    book = Book()
    book.say(installation.INSTALLATION, installation.format_installation(Installation(D, b"\1" * 32)), 1_700_000_001)
    assert book.ledger.installed == {D: (b"\1" * 32, 0, 1_700_000_001)}


def test_a_part_token_from_mint_to_scrap() -> None:
    book = Book()
    token = 2**200
    book.hear(event("HandedOver", 1, tokenId=token, **HAND_OVER))
    assert book.ledger.tokens == {}, "a token that was not minted here is not known"
    book.hear(event("Minted", 2, tokenId=token, manufacturer=ADDRESS, twin=D))
    assert book.token() == (ADDRESS, "InService", None)
    handed = event("HandedOver", 3, tokenId=token, **HAND_OVER)
    book.hear(handed, event("Installed", 3, 1, child=token, parent=5))
    assert book.token() == (OTHER, "InService", wide(5))
    book.hear(event("Removed", 4, child=token, parent=5), event("StatusChanged", 5, tokenId=token, status=3, leaf=D))
    assert book.token() == (OTHER, "Scrapped", None)
    book.hear(handed, event("StatusChanged", 5, tokenId=token, status=0, leaf=D))
    assert book.token() == (OTHER, "Scrapped", None), "what is not newer changes nothing"
    ((source, place),) = book.ledger.events.items()
    assert (source, place) == (("urn:example:x#chain", 31_000, ADDRESS), (5, 0))
    assert [key[2] for key in book.ledger.tokens] == [wide(token)]


def test_retractions_take_back_newest_first() -> None:
    book = Book()
    heard = [
        event("Minted", 2, tokenId=1, manufacturer=ADDRESS, twin=D),
        event("HandedOver", 3, tokenId=1, **HAND_OVER),
        event("Installed", 4, child=1, parent=5),
        event("Removed", 5, child=1, parent=5),
        event("StatusChanged", 6, tokenId=1, status=2, leaf=D),
    ]
    book.hear(*heard)
    expected = [
        (OTHER, UNKNOWN, None),
        (OTHER, UNKNOWN, wide(5)),
        (OTHER, UNKNOWN, None),
        (ADDRESS, UNKNOWN, None),
    ]
    for undone, after in zip(reversed(heard), expected, strict=False):
        book.hear(replace(undone, retracted=True))
        assert book.token() == after
        assert list(book.ledger.events.values()) == [(undone.block, -1)]
    book.hear(replace(heard[0], retracted=True))
    assert book.ledger.tokens == {}
    book.hear(event("Minted", 2, tokenId=1, manufacturer=OTHER, twin=D))
    assert book.token() == (OTHER, "InService", None)
    assert list(book.ledger.events.values()) == [(2, 0)]


def test_an_order_and_its_retractions() -> None:
    book = Book()
    heard = [
        event("OrderPlaced", 2, orderId=1, id=7, twin=D, index=4, lower=5),
        event("OrderAccepted", 3, orderId=1),
        event("OrderShipped", 4, orderId=1, tokenId=9),
        event("OrderReceived", 5, orderId=1),
        event("OrderFulfilled", 6, orderId=1, amount=2**100),
    ]
    states = [("placed", None), ("accepted", None), ("shipped", wide(9)), ("received", wide(9)), ("fulfilled", wide(9))]
    for happened, state in zip(heard, states, strict=True):
        book.hear(happened)
        assert book.order() == state
    (order,) = book.ledger.orders.values()
    assert (order.agreement, order.since, order.entry) == (wide(7), 1_700_000_006, 4)
    back = [(UNKNOWN, wide(9)), ("shipped", wide(9)), ("accepted", None), ("placed", None)]
    for undone, state in zip(reversed(heard), back, strict=False):
        book.hear(replace(undone, retracted=True))
        assert book.order() == state
    book.hear(replace(heard[0], retracted=True))
    assert book.ledger.orders == {}
    book.hear(event("OrderAccepted", 9, orderId=1), event("OrderCancelled", 9, 1, orderId="x", reason=1))
    assert book.ledger.orders == {}


def test_a_device_does_not_speak_for_the_chain() -> None:
    book = Book()
    book.hear(event("Minted", 2, tokenId=1, manufacturer=ADDRESS, twin=D))
    before = replace(book.ledger, tokens=dict(book.ledger.tokens))
    book.issuer = "urn:example:device:1"
    minted = event("Minted", 2, tokenId=1, manufacturer=ADDRESS, twin=D)
    book.hear(replace(minted, retracted=True), event("HandedOver", 9, tokenId=1, **HAND_OVER))
    assert book.ledger == before
    assert book.state.statements == 3
    page = (Path(__file__).resolve().parents[2] / "spec" / "chain.md").read_text()
    assert f"whose iss ends in `{FOLLOWER}` count" in page


def test_a_part_that_arrives_during_a_dispute_does_not_end_it() -> None:
    book = Book()
    book.hear(event("OrderPlaced", 2, orderId=1, id=7), event("OrderDisputed", 3, orderId=1))
    received = event("OrderReceived", 4, orderId=1)
    book.hear(received)
    assert book.order() == ("disputed", None)
    book.hear(replace(received, retracted=True))
    assert book.order() == ("disputed", None)
    book.hear(event("OrderResolved", 5, orderId=1))
    assert book.order() == ("resolved", None)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [
                    "Minted",
                    "HandedOver",
                    "StatusChanged",
                    "Installed",
                    "Removed",
                    "OrderPlaced",
                    "OrderShipped",
                    "Other",
                ]
            ),
            st.integers(0, 5),
            st.integers(0, 2),
            st.booleans(),
            st.sampled_from([0, 1, 2**70, b"", "x", None, ADDRESS, [1]]),
        ),
        max_size=12,
    )
)
def test_no_event_breaks_the_fold_and_every_state_is_read_back(events: list[Any]) -> None:
    book = Book()
    for name, block, position, retracted, value in events:
        value = arg(value) if value is not None else None
        args = dict.fromkeys(
            ("tokenId", "child", "parent", "orderId", "id", "status", "to", "from", "manufacturer"), value
        )
        book.hear(replace(event(name, block, position), args=args, retracted=retracted))
