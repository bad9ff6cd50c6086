"""Bundles of a dishonest sender or of a dishonest log: each fails at its step, and the entry is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.builders import (
    DEVICE,
    GATEWAY,
    INSPECTOR,
    LOG_KEY,
    LOG_PQ_KEY,
    OPERATOR,
    OTHER_TWIN,
    START,
    STRANGER,
    TWIN,
    WITNESS,
    Log,
    Signer,
    policy_of,
    summaries,
)
from twinproof.errors import VerificationFailed
from twinproof.proof import merkle
from twinproof.proof.note import SignerKey
from twinproof.proof.policy import Policy
from twinproof.twin import grants
from twinproof.twin.description import DESCRIPTION
from twinproof.twin.evidence import Bundle, Manifest, Mark, format_bundle
from twinproof.twin.grants import Capability, Genesis, Scope
from twinproof.verify import verify_bundle

RECORD = {Capability.RECORD}
Made = tuple[Bundle, Policy]


def honest() -> Log:
    """0 genesis, 1-2 grants, 3-5 device, 6 gateway, 7 revocation of the gateway, 8 another twin, 9-10 device."""
    log = Log(keys=(LOG_KEY, LOG_PQ_KEY))
    log.grant(DEVICE, RECORD, Scope("prefix", "https://fleet.example/"))
    gateway = log.grant(GATEWAY, RECORD)
    for number in range(3):
        log.record(DEVICE, float(number))
    log.record(GATEWAY, 9.0)
    log.revoke(gateway)
    log.record(DEVICE, 7.0, subject=OTHER_TWIN)
    log.record(DEVICE, 3.0)
    log.record(DEVICE, 4.0)
    return log


def whole() -> Made:
    log = honest()
    return log.bundle(marks=[(5, START + 10)]), log.policy()


def manifest_of(bundle: Bundle) -> Bundle:
    """The bundle with a manifest that fits its entries, as a careful forger makes it."""
    raws = [raw for _, raw in bundle.entries]
    return replace(bundle, manifest=Manifest(len(raws), summaries(raws), "forger"))


def edited(edit: Callable[[list[tuple[int, bytes]]], list[tuple[int, bytes]]]) -> Made:
    """A sender's change: the entries, with a fitting manifest; the log has signed something else."""
    bundle, policy = whole()
    return manifest_of(replace(bundle, entries=tuple(edit(list(bundle.entries))))), policy


def forged(edit: Callable[[Log], None], subject: str = TWIN) -> Made:
    """A log's change: it signs a tree of the edited entries; all proofs are right."""
    log = honest()
    edit(log)
    rebuilt = Log.of(log.raws, log.keys)
    return rebuilt.bundle(subject), rebuilt.policy()


def without(*indices: int) -> Made:
    """A sender leaves entries out and makes a proof that fits: everybody who has the tree can."""
    log = honest()
    return log.bundle(indices=[index for index in log.indices() if index not in indices]), log.policy()


# --- a sender's changes to the entries ------------------------------------------------------


def changed_byte(entries: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    raw = bytearray(entries[4][1])
    raw[-70] ^= 1
    return [*entries[:4], (entries[4][0], bytes(raw)), *entries[5:]]


def exchanged(entries: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    entries[3], entries[4] = (entries[3][0], entries[4][1]), (entries[4][0], entries[3][1])
    return entries


def of_another_twin(entries: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    return [*entries[:4], (entries[4][0], honest().raws[8]), *entries[5:]]


def foreign_genesis(entries: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    return [(0, Log(operator=STRANGER).raws[0]), *entries[1:]]


SENDER: list[tuple[str, Callable[[], Made], int, str]] = [
    ("a byte changed", lambda: edited(changed_byte), 4, "entry 4: the ES256 signature does not verify"),
    ("an entry dropped", lambda: edited(lambda e: e[:4] + e[5:]), 4, "too few hashes"),
    ("the last entry dropped", lambda: edited(lambda e: e[:-1]), 4, "too few hashes"),
    ("an entry added", lambda: edited(lambda e: [*e[:8], (8, b"x"), *e[8:]]), 4, "entry 8"),
    ("an entry behind the head", lambda: edited(lambda e: [*e, (11, e[-1][1])]), 4, "outside a tree of 11"),
    ("an entry far behind the head", lambda: edited(lambda e: [*e, (2**62, e[-1][1])]), 4, "outside a tree"),
    ("two entries exchanged", lambda: edited(exchanged), 4, "does not lead to the root"),
    ("an entry at another index", lambda: edited(lambda e: [*e[:7], (8, e[7][1]), *e[8:]]), 4, "does not lead"),
    ("an entry twice", lambda: edited(lambda e: [*e, e[-1]]), 1, "ascend"),
    ("entries in another order", lambda: edited(lambda e: e[::-1]), 1, "ascend"),
    ("a statement of another twin", lambda: edited(of_another_twin), 4, "does not lead"),
    ("another genesis", lambda: edited(foreign_genesis), 4, "does not lead"),
    ("the genesis left out, with a fitting proof", lambda: without(0), 6, "no genesis"),
    ("a grant left out, with a fitting proof", lambda: without(1), 7, "entry 3 "),
    ("a statement left out, with a fitting proof", lambda: without(4), 8, "entry 5: seq 2 skips"),
    ("two left out, with a fitting proof", lambda: without(4, 5), 8, "entry 9: seq 3 skips"),
    ("all statements left out, with a fitting proof", lambda: without(3, 4, 5, 6, 9, 10), 5, "no statement is about"),
]


def with_marks(*marks: Mark, policy: Policy | None = None) -> Made:
    bundle, trust = whole()
    return replace(bundle, marks=marks), policy or trust


def mark(size: int, log: Log | None = None, *, proof_from: int | None = None, time: int = START) -> Mark:
    log = log or honest()
    hashes = merkle.prove_consistency(proof_from or size, len(log), log.nodes())
    return Mark(log.checkpoint(size, time=time), tuple(hashes))


def fork() -> Log:
    """Another log under the same keys, alike up to entry 2."""
    log = Log(keys=(LOG_KEY, LOG_PQ_KEY))
    log.grant(DEVICE, RECORD, Scope("prefix", "https://fleet.example/"))
    for number in range(9):
        log.record(DEVICE, 100.0 + number)
    return log


def stranger_log() -> Log:
    """A log of the same origin under keys that nobody trusts."""
    return Log(keys=(SignerKey(LOG_KEY.name, 1, b"\x55" * 32),))


def altered_note(note: bytes, old: bytes, new: bytes) -> bytes:
    assert note.count(old) >= 1
    return note.replace(old, new, 1)


def headless(change: Callable[[bytes], bytes]) -> Made:
    bundle, policy = whole()
    return replace(bundle, head=change(bundle.head)), policy


def cut_back(size: int) -> Made:
    """An older head, without marks."""
    bundle, policy = whole()
    return replace(bundle, head=honest().checkpoint(size), marks=()), policy


def relabelled(note: bytes, old: bytes, new: bytes) -> Mark:
    return Mark(altered_note(note, old, new), mark(5).proof)


def nodes(change: Callable[[list[bytes]], list[bytes]]) -> Made:
    bundle, policy = whole()
    assert len(bundle.nodes) == 1
    return replace(bundle, nodes=tuple(change(list(bundle.nodes)))), policy


def other_policy(policy: Policy) -> Made:
    return whole()[0], policy


def two_logs() -> Made:
    """A mark of a second log that the policy trusts as well."""
    second = SignerKey("second.example", 1, b"\x66" * 32)
    other = Log(keys=(second,), origin="second.example")
    return with_marks(Mark(other.checkpoint(), ()), policy=policy_of(LOG_KEY, LOG_PQ_KEY, second))


CHECKPOINTS: list[tuple[str, Callable[[], Made], int, str]] = [
    ("a head that is no note", lambda: headless(lambda note: b"x"), 2, "note"),
    ("a head without signatures", lambda: headless(lambda note: note.partition(b"\n\n")[0] + b"\n\n"), 2, "note"),
    ("a head of another size", lambda: headless(lambda note: altered_note(note, b"\n11\n", b"\n12\n")), 2, "verify"),
    ("a head of another origin", lambda: headless(lambda n: altered_note(n, b"twin.", b"twim.")), 2, "names no log"),
    ("a head of untrusted keys", lambda: headless(lambda note: stranger_log().checkpoint()), 2, "no signature"),
    ("a head of size 0", lambda: cut_back(0), 4, "outside a tree of 0"),
    ("an older head", lambda: cut_back(9), 4, "outside a tree of 9"),
    ("the head of a fork", lambda: headless(lambda note: fork().checkpoint()), 3, "mark 0"),
    ("a policy of other keys", lambda: other_policy(policy_of(WITNESS)), 2, "names no log"),
    ("a quorum not reached", lambda: other_policy(policy_of(LOG_KEY, witnesses=[WITNESS])), 2, "quorum"),
    (
        "a mark with a changed time",
        lambda: with_marks(replace(mark(5), checkpoint=mark(5).checkpoint[:-9] + b"AAAAAAA=\n")),
        3,
        "mark 0",
    ),
    ("a mark of another size", lambda: with_marks(relabelled(mark(5).checkpoint, b"\n5\n", b"\n6\n")), 3, "mark 0"),
    ("a mark with the proof of another size", lambda: with_marks(mark(5, proof_from=6)), 3, "mark 0"),
    ("a mark without proof", lambda: with_marks(Mark(mark(5).checkpoint, ())), 3, "mark 0"),
    (
        "a mark with a hash too many",
        lambda: with_marks(replace(mark(5), proof=(*mark(5).proof, bytes(32)))),
        3,
        "mark 0",
    ),
    ("a mark of a fork", lambda: with_marks(mark(5), Mark(fork().checkpoint(6), mark(6).proof)), 3, "mark 1"),
    ("a mark of untrusted keys", lambda: with_marks(Mark(stranger_log().checkpoint(), mark(1).proof)), 3, "mark 0"),
    ("a mark of another trusted log", two_logs, 3, "of another log"),
    ("marks out of order", lambda: with_marks(mark(5), mark(4)), 3, "mark 1"),
    ("a mark twice", lambda: with_marks(mark(5), mark(5)), 3, "mark 1"),
    ("the head as a mark", lambda: with_marks(mark(11)), 3, "mark 0"),
    ("a mark above the head", lambda: with_marks(Mark(fork().checkpoint(), ())), 3, "mark 0"),
    ("a node changed", lambda: nodes(lambda n: [b"\0" * 32]), 4, "does not lead"),
    ("a node dropped", lambda: nodes(lambda n: []), 4, "too few"),
    ("a node added", lambda: nodes(lambda n: [*n, *n]), 4, "too many"),
]


# --- a dishonest log ------------------------------------------------------------------------


def by_a_stranger(log: Log) -> None:
    log.record(STRANGER, 1.0)


def under_a_borrowed_name(log: Log) -> None:
    log.record(Signer(DEVICE.issuer, STRANGER.key), 1.0)


def revoked(log: Log) -> None:
    log.record(GATEWAY, 1.0)


def before_its_grant(log: Log) -> None:
    log.raws[1], log.raws[3] = log.raws[3], log.raws[1]


def beyond_its_grant(log: Log) -> None:
    log.say(DEVICE, TWIN, DESCRIPTION, b"\xa1\x65model\x65urn:x")


def bad_signature(log: Log) -> None:
    log.raws[10] = log.raws[10][:-1] + bytes((log.raws[10][-1] ^ 1,))


def nonsense(log: Log) -> None:
    """Noticed only if the file holds it; the builder takes no entry that it cannot read."""
    log.say(DEVICE, TWIN, "application/vnd.example.unknown", b"")


def bad_payload(log: Log) -> None:
    log.say(DEVICE, TWIN, DESCRIPTION, b"\xa0")


def gap(log: Log) -> None:
    log.raws[4] = log.raws[8]


def swapped(log: Log) -> None:
    log.raws[4], log.raws[5] = log.raws[5], log.raws[4]


def repeated(log: Log) -> None:
    log.append(log.raws[10])


def forked_stream(log: Log) -> None:
    """Two statements at one place of a stream."""
    del log.heads[DEVICE.issuer, TWIN]
    for _ in range(5):
        log.record(DEVICE, 99.0)
        last = log.raws.pop()
    log.append(last)


def broken_chain(log: Log) -> None:
    other = fork()
    log.raws[10] = next(raw for raw in other.raws[3:] if log.statement(10).seq == Log.of([raw]).statement(0).seq)


def second_genesis(log: Log) -> None:
    log.append(log.raws[0])


def amplified(log: Log) -> None:
    via = log.grant(INSPECTOR, {Capability.ADMINISTER, Capability.ATTEST})
    log.grant(STRANGER, {Capability.OPERATE}, by=INSPECTOR, via=via)


def unsigned_grant(log: Log) -> None:
    log.grant(STRANGER, RECORD)
    log.raws[-1] = log.raws[-1][:-1] + bytes((log.raws[-1][-1] ^ 1,))


def grant_by_a_stranger(log: Log) -> None:
    log.grant(STRANGER, RECORD, by=STRANGER)


def revocation_by_a_stranger(log: Log) -> None:
    log.revoke(log.statement(1), by=GATEWAY)


def grant_about_a_twin(log: Log) -> None:
    log.say(OPERATOR, TWIN, grants.REVOKE, grants.format_revocation(grants.Revocation(log.statement(1).digest)))


def genesis_of_another_origin(log: Log) -> None:
    other = SignerKey("other.example", 1, b"\x77" * 32)
    log.raws[:] = Log(keys=(other,), origin="other.example").raws
    log.append(log.draft(OPERATOR, TWIN, DESCRIPTION, b"\xa1\x65model\x65urn:x"))


def genesis_later(log: Log) -> None:
    log.raws.insert(0, log.raws[3])
    del log.raws[4]


def genesis_signed_by_another(log: Log) -> None:
    genesis = Genesis(log.origin, tuple(key.verifier for key in log.keys), DEVICE.key.public)
    log.heads.clear()
    log.raws[0] = log.draft(OPERATOR, log.subject, grants.GENESIS, grants.format_genesis(genesis))


def from_the_future(log: Log) -> None:
    log.record(DEVICE, 1.0, at=START + 100 + 301)


LOG: list[tuple[str, Callable[[], Made], int, str]] = [
    (edit.__name__, lambda edit=edit: forged(edit), step, fragment)  # type: ignore[misc]
    for edit, step, fragment in [
        (by_a_stranger, 7, "entry 11 (readings by urn:example:stranger): no grant"),
        (under_a_borrowed_name, 7, "entry 11"),
        (revoked, 7, "entry 11 (readings by urn:example:gateway:1): the grant of"),
        (before_its_grant, 7, "entry 1 "),
        (beyond_its_grant, 7, "no grant to describe"),
        (bad_signature, 7, "entry 10 (readings by urn:example:device:1): the ES256 signature"),
        (nonsense, 5, "entry 11: content type"),
        (bad_payload, 5, "entry 11: description"),
        (gap, 8, "entry 5: seq 2 skips"),
        (swapped, 8, "entry 4: seq 2 skips"),
        (repeated, 8, "entry 11: seq 4 repeats"),
        (forked_stream, 8, "entry 11: seq 4 repeats"),
        (broken_chain, 8, "entry 10: prev"),
        (second_genesis, 6, "entry 11 (genesis"),
        (amplified, 6, "entry 12 (grant by urn:example:inspector): can"),
        (unsigned_grant, 6, "entry 11 (grant"),
        (grant_by_a_stranger, 6, "entry 11 (grant by urn:example:stranger): no grant"),
        (revocation_by_a_stranger, 6, "entry 11 (revoke"),
        (grant_about_a_twin, 6, "entry 11 (revoke"),
        (genesis_later, 6, "no genesis statement at index 0"),
        (genesis_signed_by_another, 6, "entry 0 (genesis"),
        (from_the_future, 10, "entry 11 claims the time"),
    ]
]


def other_origin() -> Made:
    log = Log(keys=(LOG_KEY,), empty=True)
    genesis_of_another_origin(log)
    rebuilt = Log.of(log.raws)
    bundle = rebuilt.bundle(indices=range(len(log.raws)))
    return bundle, rebuilt.policy()


def other_origin_as_the_subject() -> Made:
    """The other log's name as the twin that the bundle is about: its genesis is then about the right subject."""
    bundle, policy = other_origin()
    other = Log.of([raw for _, raw in bundle.entries][:1])
    return other.bundle("https://other.example", indices=[0]), policy


LOG.append(("genesis of another origin", other_origin, 5, "entry 0: sub"))
LOG.append(
    ("genesis of another origin that the bundle is about", other_origin_as_the_subject, 6, "the genesis names the log")
)


# --- the manifest ---------------------------------------------------------------------------


def announced(change: Callable[[Manifest], Manifest]) -> Made:
    bundle, policy = whole()
    return replace(bundle, manifest=change(bundle.manifest)), policy


def _first(m: Manifest, **changes: object) -> Manifest:
    return replace(m, streams=(replace(m.streams[0], **changes), *m.streams[1:]))  # type: ignore[arg-type]


def _one_more(m: Manifest) -> Manifest:
    return replace(m, streams=(replace(m.streams[0], issuer="urn:a"), *m.streams))


MANIFEST: list[tuple[str, Callable[[], Made], int, str]] = [
    ("more statements", lambda: announced(lambda m: replace(m, statements=m.statements + 1)), 9, "announces 11"),
    ("fewer statements", lambda: announced(lambda m: replace(m, statements=0)), 9, "announces 0"),
    ("a stream too few", lambda: announced(lambda m: replace(m, streams=m.streams[1:])), 9, "announced nothing"),
    ("no streams", lambda: announced(lambda m: replace(m, streams=())), 9, "announced nothing"),
    ("a stream too many", lambda: announced(_one_more), 9, "found nothing"),
    ("a stream twice", lambda: announced(lambda m: replace(m, streams=(m.streams[0], *m.streams))), 9, "not in order"),
    ("streams out of order", lambda: announced(lambda m: replace(m, streams=m.streams[::-1])), 9, "not in order"),
    ("a later end", lambda: announced(lambda m: _first(m, last=9)), 9, "announced seq 0..9"),
    ("a later beginning", lambda: announced(lambda m: _first(m, first=1)), 9, "announced seq 1..4"),
    ("another last digest", lambda: announced(lambda m: _first(m, digest=b"\0" * 32)), 9, "ending in 00000000"),
    ("another subject", lambda: (replace(whole()[0], subject=OTHER_TWIN), whole()[1]), 5, "is another twin"),
]


ALL = [pytest.param(*row[1:], id=row[0]) for row in (*SENDER, *CHECKPOINTS, *LOG, *MANIFEST)]


@pytest.mark.parametrize(("make", "step", "fragment"), ALL)
def test_tampering_fails_at_its_step_and_names_the_place(make: Callable[[], Made], step: int, fragment: str) -> None:
    bundle, policy = make()
    with pytest.raises(VerificationFailed) as failure:
        verify_bundle(format_bundle(bundle), policy)
    assert failure.value.step == step, failure.value
    assert any(fragment in problem for problem in failure.value.problems), failure.value.problems


def test_the_honest_bundle_behind_the_tables_verifies() -> None:
    bundle, policy = whole()
    assert len(verify_bundle(format_bundle(bundle), policy).entries) == 6
    verify_bundle(format_bundle(honest().bundle(OTHER_TWIN)), policy)


def test_every_finding_of_a_step_is_reported() -> None:
    log = honest()
    for _ in range(3):
        log.record(STRANGER, 1.0)
    log.record(GATEWAY, 1.0)
    with pytest.raises(VerificationFailed) as failure:
        verify_bundle(log.bundle_bytes(), log.policy())
    assert [problem.split(" ")[1] for problem in failure.value.problems] == ["11", "12", "13", "14"]


def test_an_authority_stream_must_be_there_from_its_beginning() -> None:
    log = Log()
    via = log.grant(GATEWAY, {*RECORD, Capability.ADMINISTER})
    for to in (STRANGER, DEVICE):
        log.grant(to, RECORD, by=GATEWAY, via=via)
    log.record(DEVICE, 1.0)
    verify_bundle(log.bundle_bytes(), log.policy())
    with pytest.raises(VerificationFailed, match="gateway:1's authority statements begin at seq 1") as failure:
        verify_bundle(format_bundle(log.bundle(indices=[0, 1, 3, 4])), log.policy())
    assert failure.value.step == 8


# --- what a bundle cannot show (spec/evidence.md, "Limits") ---------------------------------


def test_a_statement_left_out_at_the_end_of_a_stream_is_not_noticed() -> None:
    bundle, policy = without(10)
    assert len(verify_bundle(format_bundle(bundle), policy).entries) == 5


def test_a_whole_stream_left_out_is_not_noticed() -> None:
    bundle, policy = without(6)
    assert len(verify_bundle(format_bundle(bundle), policy).entries) == 5


def test_a_revocation_left_out_at_the_end_is_not_noticed_but_one_in_the_middle_is() -> None:
    def sold(*, then_granted: bool) -> Made:
        log = honest()
        log.record(DEVICE, 1.0)
        revocation = log.revoke(log.statement(1))
        if then_granted:
            log.grant(INSPECTOR, RECORD)
        dishonest = Log.of(log.raws, log.keys)
        dishonest.heads = log.heads
        dishonest.record(DEVICE, 2.0)
        chosen = [index for index in dishonest.indices() if index != log.raws.index(revocation.raw)]
        return dishonest.bundle(indices=chosen), dishonest.policy()

    bundle, policy = sold(then_granted=False)
    assert len(verify_bundle(format_bundle(bundle), policy).entries) == 8
    bundle, policy = sold(then_granted=True)
    with pytest.raises(VerificationFailed, match="skips numbers of urn:example:operator") as failure:
        verify_bundle(format_bundle(bundle), policy)
    assert failure.value.step == 8


def test_authority_streams_begin_at_0_also_where_the_log_is_the_twin() -> None:
    """What a bundle about the log cuts off may be a revocation."""
    log = Log()
    via = log.grant(GATEWAY, {Capability.RECORD, Capability.ADMINISTER})
    log.revoke(log.grant(DEVICE, {Capability.RECORD}, by=GATEWAY, via=via), by=GATEWAY)
    log.grant(INSPECTOR, {Capability.RECORD}, by=GATEWAY, via=via)
    verify_bundle(log.bundle_bytes(log.subject), log.policy())
    with pytest.raises(VerificationFailed, match="begin at seq 2, not at 0") as failure:
        verify_bundle(format_bundle(log.bundle(log.subject, indices=[0, 1, 4])), log.policy())
    assert failure.value.step == 8
