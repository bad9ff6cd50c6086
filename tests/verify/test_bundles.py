"""Bundles that verify, in several shapes, and what their histories say."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import (
    DEVICE,
    GATEWAY,
    INSPECTOR,
    LOG_KEY,
    LOG_PQ_KEY,
    MODEL,
    OPERATOR,
    OTHER_TWIN,
    PQ_WITNESS,
    START,
    TWIN,
    WITNESS,
    Log,
    busy_log,
    policy_of,
    small_log,
)
from twinproof.errors import TwinproofError, VerificationFailed
from twinproof.twin.description import Description
from twinproof.twin.evidence import format_bundle, parse_bundle
from twinproof.twin.grants import Capability, Scope
from twinproof.twin.state import TwinState
from twinproof.twin.stream import check_next
from twinproof.verify import STEPS, History, TimeBracket, verify_bundle


def refold(log: Log, subject: str = TWIN) -> TwinState:
    state = TwinState(subject)
    for index in range(len(log)):
        if log.statement(index).subject == subject:
            state.apply(index, log.statement(index))
    return state


def test_a_small_history() -> None:
    log = small_log()
    history = verify_bundle(log.bundle_bytes(), log.policy())
    assert history.subject == TWIN
    assert history.head.checkpoint == log.head()
    assert [entry.index for entry in history.entries] == [2, 3, 4, 5, 6, 7]
    assert {entry.kind.name for entry in history.entries} == {"description", "readings"}
    assert [entry.statement.raw for entry in history.entries] == log.raws[2:]
    assert {entry.grant.index for entry in history.entries} == {1}
    assert history.operator == OPERATOR.key.public
    assert history.state == refold(log)
    assert history.entries[0].time == TimeBracket(START, None, None)
    assert [(s.issuer, s.subject, s.first, s.last) for s in history.streams] == [
        (DEVICE.issuer, TWIN, 0, 5),
        (OPERATOR.issuer, log.subject, 0, 1),
    ]
    assert history.remarks == ("no trusted signature carries a time: only the signers' own times are known",)


def test_steps_are_told_in_order() -> None:
    log = small_log()
    told: list[tuple[int, str, str]] = []
    verify_bundle(log.bundle_bytes(), log.policy(), lambda *step: told.append(step))
    assert [(number, title) for number, title, _ in told] == list(STEPS.items())
    assert all(found for _, _, found in told)


def test_a_failed_step_is_the_last_one_taken() -> None:
    log = small_log()
    log.append(log.raws[-1][:-1] + b"\0")
    told: list[int] = []
    with pytest.raises(VerificationFailed) as failure:
        verify_bundle(log.bundle_bytes(), log.policy(), lambda number, *_: told.append(number))
    assert told == list(range(1, failure.value.step))


@pytest.mark.parametrize("subject", [TWIN, OTHER_TWIN])
def test_a_busy_history_of_either_twin(subject: str) -> None:
    log = busy_log()
    history = verify_bundle(log.bundle_bytes(subject), log.policy())
    assert history.state == refold(log, subject)
    assert len(history.authority.grants) == 5
    assert sorted(history.authority.revoked.values()) == [13, 19]
    if subject == TWIN:
        assert any("memory card" in remark for remark in history.remarks)
        relied = {entry.index: entry.grant.index for entry in history.entries}
        assert (relied[5], relied[12], relied[17], relied[18]) == (2, 11, 16, 11)


def test_a_history_of_the_log_itself() -> None:
    log = busy_log()
    history = verify_bundle(log.bundle_bytes(log.subject), log.policy())
    assert {entry.kind.name for entry in history.entries} == {"genesis", "grant", "revoke"}


def test_gateway_and_device_interleave_in_two_streams() -> None:
    log = Log()
    log.grant(DEVICE, {Capability.RECORD})
    log.grant(GATEWAY, {Capability.RECORD}, Scope("prefix", "https://fleet.example/"))
    for number in range(6):
        log.record((DEVICE, GATEWAY)[number % 2], float(number))
    history = verify_bundle(log.bundle_bytes(), log.policy())
    assert [(s.issuer, s.last) for s in history.streams if s.subject == TWIN] == [
        (DEVICE.issuer, 2),
        (GATEWAY.issuer, 2),
    ]


def test_a_key_is_changed_in_the_middle_of_a_stream() -> None:
    log = Log()
    grant = log.grant(DEVICE, {Capability.RECORD})
    log.record(DEVICE, 1.0)
    new = type(DEVICE)(DEVICE.issuer, GATEWAY.key)
    log.grant(new, {Capability.RECORD})
    log.revoke(grant)
    log.record(new, 2.0)
    history = verify_bundle(log.bundle_bytes(), log.policy())
    assert [entry.grant.index for entry in history.entries] == [1, 3]
    assert history.streams[0].last == 1


def test_a_partial_stream_is_remarked() -> None:
    log = small_log()
    bundle = log.bundle(indices=[0, 1, 4, 5, 6, 7])
    history = verify_bundle(format_bundle(bundle), log.policy())
    assert [entry.statement.seq for entry in history.entries] == [2, 3, 4, 5]
    assert any("begins at seq 2" in remark for remark in history.remarks)
    assert bundle.nodes != ()


def test_a_stream_may_end_early() -> None:
    log = small_log()
    history = verify_bundle(format_bundle(log.bundle(indices=[0, 1, 2, 3])), log.policy())
    assert history.streams[0].last == 1
    assert len(history.remarks) == 1


def test_entries_are_verified_in_a_large_tree() -> None:
    log = Log()
    log.grant(DEVICE, {Capability.RECORD}, Scope("prefix", "https://fleet.example/"))
    for number in range(200):
        log.record(DEVICE, float(number), subject=TWIN if number % 40 == 0 else OTHER_TWIN)
    history = verify_bundle(log.bundle_bytes(), log.policy())
    assert [entry.index for entry in history.entries] == [2, 42, 82, 122, 162]


def test_a_model_grant_follows_the_model() -> None:
    log = Log()
    log.grant(GATEWAY, {Capability.DESCRIBE})
    log.grant(INSPECTOR, {Capability.ATTEST}, Scope("model", MODEL))
    log.describe(GATEWAY, Description(model=MODEL))
    log.attest(INSPECTOR, "urn:example:release")
    verify_bundle(log.bundle_bytes(), log.policy())
    log.describe(GATEWAY, Description(model="dtmi:example:pump;1"))
    verify_bundle(log.bundle_bytes(), log.policy())
    log.attest(INSPECTOR, "urn:example:release")
    with pytest.raises(VerificationFailed, match=r"entry 6.*no grant to attest") as failure:
        verify_bundle(log.bundle_bytes(), log.policy())
    assert failure.value.step == 7


# --- time -----------------------------------------------------------------------------------


def timed_log() -> Log:
    """A log whose checkpoints carry a time, by its ML-DSA-44 key."""
    log = Log(keys=(LOG_KEY, LOG_PQ_KEY))
    log.grant(DEVICE, {Capability.RECORD})
    for number in range(6):
        log.record(DEVICE, float(number), at=START + number)
    return log


def brackets(history: History) -> list[tuple[int | None, int | None]]:
    return [(entry.time.not_before, entry.time.not_after) for entry in history.entries]


def test_marks_bracket_the_times() -> None:
    log = timed_log()
    bundle = log.bundle(marks=[(0, START - 9), (2, START + 1), (4, START + 10), (6, START + 20)], time=START + 100)
    history = verify_bundle(format_bundle(bundle), log.policy())
    assert brackets(history) == [
        *[(START + 1, START + 10)] * 2,
        *[(START + 10, START + 20)] * 2,
        *[(START + 20, START + 100)] * 2,
    ]
    assert history.remarks == ()


def test_without_marks_the_head_alone_bounds() -> None:
    log = timed_log()
    history = verify_bundle(format_bundle(log.bundle(time=START + 50)), log.policy())
    assert set(brackets(history)) == {(None, START + 50)}


def test_the_latest_of_several_signatures_bounds_above_and_the_earliest_below() -> None:
    log = timed_log()
    plain, late = log.bundle(marks=[(4, START + 10)]), log.bundle(marks=[(4, START + 40)], cosigners=[WITNESS])
    line = late.marks[0].checkpoint.split(b"\n")[-2] + b"\n"
    mark = type(plain.marks[0])(plain.marks[0].checkpoint + line, plain.marks[0].proof)
    bundle = type(plain)(plain.subject, plain.head, (mark,), plain.entries, plain.nodes, plain.manifest)
    trust = policy_of(LOG_KEY, LOG_PQ_KEY, witnesses=[WITNESS], quorum=False)
    assert brackets(verify_bundle(format_bundle(bundle), trust)) == [
        *[(None, START + 40)] * 2,
        *[(START + 10, START + 100)] * 4,
    ]


def test_a_clock_that_went_back_is_remarked() -> None:
    log = timed_log()
    history = verify_bundle(format_bundle(log.bundle(marks=[(4, START + 200)])), log.policy())
    assert any("clock went back" in remark for remark in history.remarks)


def test_a_time_far_behind_is_accepted_and_one_far_ahead_is_not() -> None:
    log = Log(keys=(LOG_KEY, LOG_PQ_KEY))
    log.grant(DEVICE, {Capability.RECORD})
    log.record(DEVICE, 1.0, at=START - 10**9)
    log.record(DEVICE, 2.0, at=START + 100 + 300)
    verify_bundle(log.bundle_bytes(), log.policy())
    log.record(DEVICE, 3.0, at=START + 100 + 301)
    with pytest.raises(VerificationFailed, match="entry 4 claims the time") as failure:
        verify_bundle(log.bundle_bytes(), log.policy())
    assert failure.value.step == 10


# --- witnesses ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cosigners", "threshold", "reached"),
    [
        ([WITNESS, PQ_WITNESS], "all", True),
        ([WITNESS], "all", False),
        ([PQ_WITNESS], "any", True),
        ([], "any", False),
        ([WITNESS], "1", True),
        ([WITNESS], "2", False),
    ],
)
def test_the_quorum_decides(cosigners: list[object], threshold: str, reached: bool) -> None:
    log = Log(keys=(LOG_KEY, LOG_PQ_KEY))
    log.record(OPERATOR, 1.0)
    trust = policy_of(LOG_KEY, LOG_PQ_KEY, witnesses=[WITNESS, PQ_WITNESS], threshold=threshold)
    data = format_bundle(log.bundle(cosigners=cosigners))  # type: ignore[arg-type]
    if reached:
        history = verify_bundle(data, trust)
        assert len(history.head.witnesses) == len(cosigners)
        return
    with pytest.raises(VerificationFailed, match="quorum") as failure:
        verify_bundle(data, trust)
    assert failure.value.step == 2


# --- random histories -----------------------------------------------------------------------


@settings(max_examples=25)
@given(st.data())
def test_random_honest_histories_verify_and_their_prefixes_too(data: st.DataObject) -> None:
    """What a log accepts, statement by statement, a verifier accepts at every size."""
    log = Log()
    log.grant(GATEWAY, Capability, Scope("prefix", "https://fleet.example/"))
    for _ in range(data.draw(st.integers(1, 12))):
        by = data.draw(st.sampled_from([OPERATOR, GATEWAY, DEVICE]))
        subject = data.draw(st.sampled_from([TWIN, OTHER_TWIN]))
        size, heads = len(log), dict(log.heads)
        action = data.draw(st.sampled_from(["record", "describe", "grant", "revoke"]))
        if action == "record":
            log.record(by, float(size), subject=subject)
        elif action == "describe":
            log.describe(by, Description(set={"size": size}), subject=subject)
        elif action == "grant":
            log.grant(DEVICE, {Capability.RECORD}, Scope("twin", subject))
        else:
            grants = [index for index in range(1, size) if log.statement(index).content_type.endswith("grant+cbor")]
            log.revoke(log.statement(data.draw(st.sampled_from(grants))))
        try:
            verify_bundle(log.bundle_bytes(log.statement(size).subject), log.policy())
        except TwinproofError:
            log.raws.pop()
            log.heads = heads
    for subject in (TWIN, OTHER_TWIN):
        if any(log.statement(index).subject == subject for index in range(len(log))):
            bundle = log.bundle(subject)
            assert parse_bundle(format_bundle(bundle)) == bundle
            history = verify_bundle(format_bundle(bundle), log.policy())
            assert history.state == refold(log, subject)
            for stream in history.streams:
                head = None
                for entry in history.entries:
                    if (entry.statement.issuer, entry.statement.subject) == (stream.issuer, stream.subject):
                        head = check_next(head, entry.statement)
                assert head is None or (head.seq, head.digest) == (stream.last, stream.digest)
