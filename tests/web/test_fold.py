"""The TypeScript fold of a twin's state gives the same canonical bytes as Python's, after every statement."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.builders import GATEWAY, MODEL, START, TWIN, Log, Signer
from tests.spec_examples import example_log
from tests.twin import test_kinds
from tests.web import corpus
from tests.web.conftest import Ask
from tests.web.verdicts import policy_text
from twinproof.proof import cbor
from twinproof.proof.policy import Policy, parse_policy
from twinproof.twin.description import Description, Lifecycle
from twinproof.twin.grants import Capability
from twinproof.twin.kinds import KINDS
from twinproof.twin.state import TwinState
from twinproof.twin.statement import parse_statement
from twinproof.verify import verify_bundle

FOLLOWER = Signer("https://twin.example/log0#chain", GATEWAY.key)


def states(data: bytes, policy: Policy) -> list[str]:
    """Python's canonical bytes after each of the twin's statements."""
    history = verify_bundle(data, policy)
    state = TwinState(history.subject)
    found = []
    for entry in history.entries:
        state.apply(entry.index, entry.statement)
        found.append(state.to_cbor().hex())
    return found


def compare(ask: Ask, bundles: list[tuple[bytes, Policy]]) -> int:
    """Ask for all of them; how many states were compared."""
    questions = [{"ask": "states", "data": data.hex(), "policy": policy_text(policy).hex()} for data, policy in bundles]
    expected = [states(data, policy) for data, policy in bundles]
    for number, (found, wanted) in enumerate(zip(ask(questions), expected, strict=True)):
        assert type(found) is list, f"{number}: {found}"
        for at, (one, other) in enumerate(zip(found, wanted, strict=True)):
            assert one == other, difference(number, at, one, other)
    return sum(map(len, expected))


def difference(number: int, at: int, found: str, wanted: str) -> str:
    """The members that differ."""
    one, other = (cbor.decode(bytes.fromhex(text), max_depth=cbor.MAX_DEPTH) for text in (found, wanted))
    keys = sorted(key for key in {*one, *other} if cbor.encode(one.get(key)) != cbor.encode(other.get(key)))
    return "\n".join(f"bundle {number}, statement {at}, {key}: {one.get(key)} is not {other.get(key)}" for key in keys)


def good() -> Iterator[tuple[bytes, Policy]]:
    """The corpus's bundles that verify."""
    for make in (corpus.good_bundles, corpus.authority_bundles, corpus.anchored_bundles, corpus.bundles_of_kinds):
        for case in make():
            if type(case.expected) is dict and "steps" in case.expected:
                yield bytes.fromhex(case.question["data"]), parse_policy(bytes.fromhex(case.question["policy"]))


def test_the_good_corpus(ask: Ask) -> None:
    assert compare(ask, list(good())) > 300


# --- histories --------------------------------------------------------------------

ROOTS = ("genesis", "grant", "revoke")
EXAMPLES = {name: (row[0], row[2]) for name, row in test_kinds.EXAMPLES.items() if name not in ROOTS}
"""An example of each kind: they meet each other in any order."""
EVENTS = [
    "Minted", "HandedOver", "StatusChanged", "Installed", "Removed", "OrderPlaced", "OrderAccepted", "OrderShipped",
    "OrderReceived", "OrderFulfilled", "OrderCancelled", "OrderDisputed", "OrderResolved", "Other",
]  # fmt: skip
TRAINED = {"size": 3, "root": bytes(32), "twins": 1, "failed": 1, "rows": 5}


def payload(name: str, fields: Any) -> tuple[str, bytes]:
    """Content type and payload of a kind."""
    return next(content_type for content_type, kind in KINDS.items() if kind.name == name), cbor.encode(fields)


def fields(**members: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Maps with these members; a strategy in brackets may be left out."""
    required = {name: member for name, member in members.items() if not isinstance(member, tuple)}
    optional = {name: member[0] for name, member in members.items() if isinstance(member, tuple)}
    return st.fixed_dictionaries(
        {
            name: member if isinstance(member, st.SearchStrategy) else st.just(member)
            for name, member in required.items()
        },
        optional=optional,
    )


def kind(name: str, *maps: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[str, bytes]]:
    """Statements of a kind."""
    return st.one_of(*maps).map(lambda found: payload(name, found))


def desired(found: dict[str, Any]) -> dict[str, Any]:
    """What is allowed of a change: sorted, nothing set and unset at once, never nothing."""
    unset = sorted(set(found["unset"]) - set(found["set"]))
    made = {**({"set": found["set"]} if found["set"] else {}), **({"unset": unset} if unset else {})}
    return made or {"unset": ["a"]}


NAMES = st.sampled_from(["a", "b", "\u00e4", "T24", "z.z"])
NUMBERS = st.one_of(st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False))
VALUES = st.one_of(NUMBERS, st.text(max_size=4), st.booleans(), st.binary(max_size=3), st.just([1, {"x": 0.5}]))
IDS = st.sampled_from(["hot", "slow"])
DIGESTS = st.sampled_from([bytes([number]) * 32 for number in range(1, 4)])
WIDE = st.sampled_from([1, 2, b"\x01" + bytes(31), "other"])
TIMES = st.integers(START - 3, START + 3)
REMOVAL = fields(id=IDS, remove=True)
SETS = st.dictionaries(NAMES, VALUES, max_size=2)
RELATED = st.tuples(NAMES, st.sampled_from(["urn:x:1", "urn:x:2"])).map(lambda found: (found,))
DESCRIPTIONS = st.one_of(
    st.builds(Description, st.just(MODEL), st.sampled_from([None, *Lifecycle]), SETS),
    RELATED.map(lambda found: Description(relate=found)),
    RELATED.map(lambda found: Description(unrelate=found)),
    NAMES.map(lambda found: Description(unset=(found,))),
)
SAMPLES = st.one_of(
    *(st.tuples(st.just(2), NUMBERS), st.tuples(st.just(3), st.text(max_size=3))),
    *(st.tuples(st.just(4), st.booleans()), st.tuples(st.just(5), NUMBERS)),
)
RECORDS = st.tuples(st.sampled_from(["T24", "Nf"]), SAMPLES, st.integers(0, 3)).map(
    lambda found: {0: found[0], found[1][0]: found[1][1], 6: START + found[2]}
)
TESTS = st.tuples(st.sampled_from(["above", "below"]), NUMBERS).map(lambda found: {found[0]: found[1]})
SECONDS = (st.integers(0, 2),)
RULES = fields(
    id=IDS, signal="T24", test=TESTS, severity="high", deadband=(st.sampled_from([0, 0.0, 1, 2.5]),),
    delay_on=SECONDS, delay_off=SECONDS, text=(st.just("x"),),
)  # fmt: skip
SIGNALS = st.sampled_from([[["T24", 2]], [["a", -2.5], ["b", 1]]])
CASES = fields(
    detector=IDS, score=NUMBERS, since=NUMBERS, signals=SIGNALS, hints=(st.just(["x"]),), fleet=(st.just([1, 2]),)
)
TRANSITIONS = st.sampled_from(["raise", "clear"])
ALARMS = fields(rule=IDS, transition=TRANSITIONS, value=(NUMBERS,), time=(NUMBERS,), case=(CASES,))
ANSWERS = fields(rule=IDS, transition=st.sampled_from(["acknowledge", "unshelve"]))
SHELVINGS = fields(rule=IDS, transition="shelve", until=TIMES)
STAGES = st.sampled_from(["candidate", "active", "retired"])
PREDICTORS = fields(
    model=DIGESTS, stage=STAGES, unit="h", coverage=st.sampled_from([0.5, 0.9]), trained=TRAINED, text=(st.just("x"),)
)
POLICIES = fields(
    id=IDS, unit="h", below=st.sampled_from([30, 2.5]), coverage=st.sampled_from([1, 0.5]), chain=5,
    contract=bytes(20), agreement=1,
)  # fmt: skip
ARGUMENTS = fields(
    tokenId=(WIDE,), child=(WIDE,), orderId=(WIDE,), id=(WIDE,), parent=(WIDE,), status=(st.integers(0, 5),),
    to=(st.just(b"\x01" * 20),), manufacturer=(st.sampled_from([b"\x03" * 20, None]),),
)  # fmt: skip
CHAIN_EVENTS = fields(
    chain=st.sampled_from([1, 2]), contract=b"\x0b" * 20, event=st.sampled_from(EVENTS), time=TIMES,
    block=st.integers(1, 3).map(lambda number: [number, bytes(32)]), transaction=bytes(32),
    position=st.integers(0, 2), args=ARGUMENTS, retracted=(st.just(True),),
)  # fmt: skip
SAID = st.one_of(
    DESCRIPTIONS,
    st.lists(RECORDS, min_size=1, max_size=3).map(lambda found: payload("readings", found)),
    st.sampled_from(sorted(EXAMPLES)).map(EXAMPLES.__getitem__),
    kind("desired", fields(set=SETS, unset=st.lists(NAMES, max_size=2)).map(desired)),
    kind("command", fields(name=NAMES)),
    st.sampled_from(["accepted", "rejected", "done", "failed"]),
    kind("rule", RULES, REMOVAL),
    kind("alarm", ALARMS),
    kind("alarm-response", ANSWERS, SHELVINGS),
    kind("predictor", PREDICTORS),
    kind("policy", POLICIES, REMOVAL),
    kind("chain-event", CHAIN_EVENTS),
    kind("installation", fields(part=DIGESTS, order=DIGESTS)),
)


def told(said: list[Any]) -> Log:
    """A log with these statements; a word answers the newest request."""
    log = Log()
    log.grant(FOLLOWER, Capability)
    request = bytes(32)
    for one in said:
        if isinstance(one, Description):
            log.describe(FOLLOWER, one)
        elif isinstance(one, str):
            log.say(FOLLOWER, TWIN, *payload("acknowledgement", {"request": request, "status": one}))
        else:
            found = log.say(FOLLOWER, TWIN, *one)
            if one[0] in (payload("desired", {})[0], payload("command", {})[0]):
                request = found.digest
    return log


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(histories=st.lists(st.lists(SAID, min_size=5, max_size=25), min_size=2, max_size=5))
def test_any_history(ask: Ask, histories: list[list[Any]]) -> None:
    logs = [told(said) for said in histories]
    compare(ask, [(log.bundle_bytes(), log.policy()) for log in logs])


def test_many_requests_and_predictors(ask: Ask) -> None:
    """More than the state keeps: the oldest answered request goes first, the passive predictor of the lowest entry."""
    log = Log()
    log.grant(FOLLOWER, Capability)
    for number in range(70):
        found = log.say(FOLLOWER, TWIN, *payload("command", {"name": f"c{number}"}))
        if number % 7 == 3:
            log.say(FOLLOWER, TWIN, *payload("acknowledgement", {"request": found.digest, "status": "done"}))
    for number in range(70):
        stage = "active" if number in (0, 30) else "candidate"
        predictor = {
            "model": bytes([200 - number]) * 32,
            "stage": stage,
            "unit": "h",
            "coverage": 0.9,
            "trained": TRAINED,
        }
        log.say(FOLLOWER, TWIN, *payload("predictor", predictor))
    assert compare(ask, [(log.bundle_bytes(), log.policy())]) == 150


@pytest.mark.parametrize("retracted", [False, True], ids=["as it came", "taken back"])
def test_an_order_on_the_chain(ask: Ask, retracted: bool) -> None:
    """A whole order, and its retraction newest first."""
    log = Log()
    log.grant(FOLLOWER, Capability)
    base = {"chain": 1, "contract": bytes(20), "time": START, "transaction": bytes(32), "block": [1, bytes(32)]}
    events = [
        {**base, "event": name, "position": at, "args": {"orderId": 1, "tokenId": 2, "id": 3}}
        for at, name in enumerate(EVENTS)
    ]
    for event in events:
        log.say(FOLLOWER, TWIN, *payload("chain-event", event))
    for event in reversed(events) if retracted else []:
        log.say(FOLLOWER, TWIN, *payload("chain-event", {**event, "retracted": True}))
    assert compare(ask, [(log.bundle_bytes(), log.policy())]) == len(EVENTS) * (2 if retracted else 1)


def test_the_example_of_the_specification() -> None:
    """What this file calls Python's bytes are those that the specification prints."""
    log = example_log()
    data, policy = log.bundle_bytes(), log.policy()
    history = verify_bundle(data, policy)
    assert states(data, policy)[-1] == history.state.to_cbor().hex()
    assert parse_statement(log.raws[2]).digest == history.entries[0].statement.digest
