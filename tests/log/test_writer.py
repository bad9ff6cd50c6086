"""Appending: indices, repeats, refusals, the signed head, time."""

from __future__ import annotations

from dataclasses import replace
from threading import Thread

import pytest

from tests.log.rig import (
    ORIGIN,
    PQ_SIGNER,
    SIGNER,
    STRANGER,
    Rig,
    audit,
    entries,
    entry,
    indices,
    naive_root,
)
from twinproof.errors import Conflict, Corrupt, Equivocation, Malformed, NotFound, StorageFailed, TooLarge, Untrusted
from twinproof.log import writer as writer_module
from twinproof.log.memory import MemoryStore
from twinproof.log.signing import open_timed, sign_head
from twinproof.log.store import MAX_ENTRY, Entry, Group, KeptConflict
from twinproof.log.writer import Appended, Writer
from twinproof.proof.checkpoint import Checkpoint, parse_checkpoint
from twinproof.proof.cosignature import sign_checkpoint, verifier
from twinproof.proof.merkle import EMPTY_ROOT
from twinproof.proof.note import COSIGNATURE_ED25519, Note, SignerKey, format_note, open_note, parse_note
from twinproof.testing import ManualClock, MemoryPin

WITNESS = SignerKey("witness.example/w1", COSIGNATURE_ED25519, b"\x31" * 32)


def test_a_new_log_signs_its_emptiness(rig: Rig) -> None:
    writer = rig.open()
    head = writer.published
    assert (head.size, head.root, writer.size) == (0, EMPTY_ROOT, 0)
    assert parse_checkpoint(parse_note(head.checkpoint).text) == Checkpoint(ORIGIN, 0, EMPTY_ROOT)
    assert rig.pin.read() == head.checkpoint
    audit(rig, {})


def test_entries_get_consecutive_indices(rig: Rig) -> None:
    writer = rig.open()
    assert writer.append(entries(0, 3)) == [Appended(0, True), Appended(1, True), Appended(2, True)]
    assert writer.append([entry(0, 1)]) == [Appended(3, True)]
    assert writer.append([]) == []
    assert (writer.size, writer.published.size) == (4, 4)
    assert writer.published == rig.store.head()
    assert writer.published.root == naive_root(rig.stored())
    audit(rig, dict(enumerate([*entries(0, 3), entry(0, 1)])))


def test_repeats_get_their_index_and_sign_nothing(rig: Rig) -> None:
    writer = rig.open()
    writer.append(entries(0, 3))
    signed = len(rig.signed)
    rig.clock.advance(1000)
    assert writer.append(entries(0, 3)[::-1]) == [Appended(2, False), Appended(1, False), Appended(0, False)]
    assert len(rig.signed) == signed
    assert rig.open().append([entry(1)]) == [Appended(1, False)]


def test_repeats_inside_a_group(rig: Rig) -> None:
    writer = rig.open()
    given = [entry(0), entry(0), entry(1), entry(0), entry(1)]
    results = writer.append(given)
    assert results[:3] == [Appended(0, True), Appended(0, False), Appended(1, True)]
    assert results[3:] == [Appended(0, False), Appended(1, False)]
    assert writer.size == 2


def test_old_and_new_mixed(rig: Rig) -> None:
    writer = rig.open()
    writer.append(entries(0, 4))
    results = writer.append([entry(4), entry(1), entry(5), entry(3)])
    assert results == [Appended(4, True), Appended(1, False), Appended(5, True), Appended(3, False)]
    audit(rig, dict(enumerate(entries(0, 6))))


def test_equivocation_is_refused_and_kept(rig: Rig) -> None:
    writer = rig.open()
    writer.append(entries(0, 3))
    other = entry(1, payload=b"another story")
    good, refused, again = writer.append([entry(3), other, entry(4)])
    assert (good, again) == (Appended(3, True), Appended(4, True))
    assert isinstance(refused, Equivocation)
    assert refused.index == 1
    assert "index 1" in str(refused)
    kept = rig.store.conflicts()
    assert kept == [KeptConflict(other.key, 1, other.data, int(rig.clock()))]
    assert rig.stored()[1] == entry(1).data
    audit(rig, dict(enumerate(entries(0, 5))))


def test_equivocation_inside_a_group(rig: Rig) -> None:
    writer = rig.open()
    first, refused, repeat = writer.append([entry(0), entry(0, payload=b"other"), entry(0)])
    assert (first, repeat) == (Appended(0, True), Appended(0, False))
    assert isinstance(refused, Equivocation)
    assert refused.index == 0
    assert [kept.data for kept in rig.store.conflicts()] == [entry(0, payload=b"other").data]


def test_a_refusal_alone_signs_nothing(rig: Rig) -> None:
    writer = rig.open()
    writer.append([entry(0)])
    signed = len(rig.signed)
    for _ in range(3):
        (refused,) = writer.append([entry(0, payload=b"other")])
        assert isinstance(refused, Equivocation)
    assert len(rig.signed) == signed
    assert len(rig.store.conflicts()) == 1


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (Entry(b"", b"data"), "key of entry 1 .* 0 bytes"),
        (Entry(b"k" * 65, b"data"), "key of entry 1 .* 65 bytes"),
        (Entry(b"k", b""), "entry 1 .* is empty"),
        (Entry(b"k", b"x" * (MAX_ENTRY + 1)), "entry 1 .* 65536 bytes, the limit is 65535"),
    ],
)
def test_bad_entries_are_named_and_change_nothing(rig: Rig, bad: Entry, message: str) -> None:
    writer = rig.open()
    with pytest.raises(Malformed, match=message):
        writer.append([entry(0), bad, entry(1)])
    assert writer.size == 0
    assert rig.store.find(entry(0).key) is None


def test_the_largest_entry_and_key_fit(rig: Rig) -> None:
    writer = rig.open()
    largest = Entry(b"k" * 64, b"x" * MAX_ENTRY)
    assert writer.append([largest]) == [Appended(0, True)]
    assert rig.stored() == [largest.data]


def test_groups_are_limited(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = rig.open()
    with pytest.raises(TooLarge, match="8193 entries, the limit is 8192"):
        writer.append([entry(0)] * 8193)
    monkeypatch.setattr(writer_module, "MAX_GROUP_BYTES", 100)
    with pytest.raises(TooLarge, match="the limit is 100"):
        writer.append(entries(0, 4))
    assert writer.size == 0


# --- signatures and time ---


def test_every_signer_signs_and_tells_the_time(tmp_path_factory: pytest.TempPathFactory) -> None:
    rig = Rig("memory", tmp_path_factory.mktemp("both"), signers=(SIGNER, PQ_SIGNER))
    writer = rig.open()
    writer.append(entries(0, 5))
    both = [verifier(SIGNER.verifier), verifier(PQ_SIGNER.verifier)]
    checkpoint, times = open_timed(writer.published.checkpoint, both, ORIGIN, "the head")
    assert checkpoint == Checkpoint(ORIGIN, 5, naive_root(rig.stored()))
    assert times == {SIGNER.verifier: (), PQ_SIGNER.verifier: (int(rig.clock()),)}


def test_a_log_needs_a_signer() -> None:
    with pytest.raises(ValueError, match="at least one signer"):
        Writer(MemoryStore(), MemoryPin(), [], ORIGIN, ManualClock())


def test_time_never_runs_backwards(rig: Rig) -> None:
    writer = rig.open()
    times = []
    for start, now in enumerate((1000.9, 2000.0, 1500.0, -5.0, 2000.5, 3000.0)):
        rig.clock.time = now
        writer.append([entry(start)])
        times.append(writer.published.time)
        if start == 3:
            writer = rig.open()
    first = writer.published.time
    assert times == sorted(times)
    assert times[0] == 1_700_000_000 == first, "the empty checkpoint was signed before the clock went back"


def test_a_clock_before_1970_still_signs(tmp_path_factory: pytest.TempPathFactory) -> None:
    rig = Rig("memory", tmp_path_factory.mktemp("early"), signers=(PQ_SIGNER,))
    rig.clock.time = -100.0
    writer = rig.open()
    writer.append([entry(0)])
    _, times = open_timed(writer.published.checkpoint, [verifier(PQ_SIGNER.verifier)], ORIGIN, "the head")
    assert times == {PQ_SIGNER.verifier: (1,)}


def test_a_signer_that_fails_leaves_no_trace(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = rig.open()
    writer.append(entries(0, 3))
    with monkeypatch.context() as patch:
        patch.setattr(writer_module, "sign_head", lambda *_: (_ for _ in ()).throw(OSError("the key is gone")))
        with pytest.raises(OSError, match="the key is gone"):
            writer.append(entries(3, 9))
    assert writer.append(entries(5, 7)) == [Appended(3, True), Appended(4, True)]
    audit(rig, dict(enumerate([*entries(0, 3), *entries(5, 7)])))


# --- opening ---


def test_reopening_goes_on_where_it_was(rig: Rig) -> None:
    acknowledged: dict[int, Entry] = {}
    for start in range(0, 600, 75):
        for added in entries(start, start + 75):
            acknowledged[len(acknowledged)] = added
        rig.open().append(entries(start, start + 75))
    audit(rig, acknowledged)


@pytest.mark.parametrize(("signer", "origin"), [(STRANGER, ORIGIN), (SIGNER, "log.example/elsewhere")])
def test_another_logs_key_or_name_is_refused(rig: Rig, signer: SignerKey, origin: str) -> None:
    rig.open().append(entries(0, 3))
    before = rig.store.head()
    with pytest.raises(Untrusted, match=r"key of this log|belongs to the log"):
        Writer(rig.store, rig.pin, [signer], origin, rig.clock)
    assert rig.store.head() == before


def test_a_further_key_can_be_added(rig: Rig) -> None:
    rig.open().append(entries(0, 3))
    writer = Writer(rig.store, rig.pin, [SIGNER, PQ_SIGNER], ORIGIN, rig.clock)
    writer.append(entries(3, 4))
    signed = open_note(parse_note(writer.published.checkpoint), [verifier(PQ_SIGNER.verifier)])
    assert signed == {PQ_SIGNER.verifier: (int(rig.clock()),)}


@pytest.mark.parametrize("what", ["note", "size", "tile", "missing"])
def test_a_damaged_edge_is_not_signed_upon(what: str) -> None:
    store, pin = MemoryStore(), MemoryPin()
    Writer(store, pin, [SIGNER], ORIGIN, ManualClock()).append(entries(0, 5))
    head = store.head()
    assert head
    if what == "note":
        store._head = head.__class__(5, head.root, head.checkpoint[:-3] + b"A==\n", 1)
    elif what == "size":
        store._head = head.__class__(4, head.root, head.checkpoint, 1)
    elif what == "tile":
        store._tiles[0, 0] = b"\0" + store._tiles[0, 0][1:]
    else:
        store._tiles.clear()
    with pytest.raises(Corrupt, match=r"damaged|not the one of its checkpoint|twinproof fsck"):
        Writer(store, pin, [SIGNER], ORIGIN, ManualClock())


def test_another_writer_on_the_same_store_is_noticed() -> None:
    store, pin = MemoryStore(), MemoryPin()
    one = Writer(store, pin, [SIGNER], ORIGIN, ManualClock())
    two = Writer(store, pin, [SIGNER], ORIGIN, ManualClock())
    one.append(entries(0, 3))
    with pytest.raises(Conflict, match="another writer"):
        two.append(entries(5, 6))
    assert two.append(entries(5, 6)) == [Appended(3, True)]
    with pytest.raises(Conflict, match="another writer"):
        one.append(entries(5, 6))
    assert one.append(entries(5, 6)) == [Appended(3, False)]


def test_a_position_without_its_entry_is_corrupt() -> None:
    store = MemoryStore()
    writer = Writer(store, MemoryPin(), [SIGNER], ORIGIN, ManualClock())
    writer.append(entries(0, 3))
    store._entries.pop()
    with pytest.raises(Corrupt, match="entry 2"):
        writer.append([entry(2)])


def test_threads_take_turns(rig: Rig) -> None:
    writer = rig.open()
    results: dict[int, list[int]] = {}

    def work(stream: int) -> None:
        results[stream] = [
            index for n in range(20) for index in indices(writer.append(entries(n * 3, n * 3 + 3, stream)))
        ]

    threads = [Thread(target=work, args=(stream,)) for stream in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    acknowledged = {index: entry(n, stream) for stream, found in results.items() for n, index in enumerate(found)}
    assert len(acknowledged) == 240 == writer.size
    audit(rig, acknowledged)


# --- publishing ---


def test_nothing_is_published_before_it_is_pinned(rig: Rig) -> None:
    writer = rig.open()
    writer.append(entries(0, 3))
    for _ in range(3):
        rig.pin.fail("write")
        with pytest.raises(StorageFailed):
            writer.append(entries(3, 5))
        assert writer.published.size == 3
        durable = rig.store.head()
        assert durable
        assert durable.size == 5
    rig.pin.fail("write")
    with pytest.raises(StorageFailed):
        assert writer.size == 5
    assert writer.size == 5
    assert writer.published.size == 5
    assert writer.append(entries(3, 5)) == [Appended(3, False), Appended(4, False)]
    audit(rig, dict(enumerate(entries(0, 5))))


# --- cosignatures ---


def cosign(note: bytes, time: int = 1_700_000_100, witness: SignerKey = WITNESS) -> bytes:
    parsed = parse_note(note)
    line = sign_checkpoint(witness, parse_checkpoint(parsed.text), time)
    return format_note(Note(parsed.text, (*parsed.signatures, line)))


def test_a_cosignature_is_kept_and_shown(rig: Rig) -> None:
    writer = rig.open()
    writer.append(entries(0, 3))
    cosigned = cosign(writer.published.checkpoint)
    writer.add_signatures(cosigned)
    assert writer.published.checkpoint == cosigned
    writer.append(entries(3, 4))
    rig.clock.advance(60)
    writer.append(entries(4, 5))
    assert rig.open().published.size == 5
    audit(rig, dict(enumerate(entries(0, 5))))


def test_witnesses_that_answer_at_once_do_not_lose_each_others_lines(rig: Rig) -> None:
    writer = rig.open()
    writer.append(entries(0, 3))
    note = writer.published.checkpoint
    others = [SignerKey(f"witness.example/w{n}", COSIGNATURE_ED25519, bytes((n,)) * 32) for n in range(2, 5)]
    for witness in (WITNESS, *others):
        writer.add_signatures(cosign(note, witness=witness))
    writer.add_signatures(cosign(note, time=1_800_000_000))
    lines = parse_note(writer.published.checkpoint).signatures
    assert [line.name for line in lines] == [ORIGIN, WITNESS.name, *(witness.name for witness in others)]
    signed = open_note(parse_note(writer.published.checkpoint), [verifier(WITNESS.verifier)])
    assert signed == {WITNESS.verifier: (1_700_000_100,)}, "the earliest time is the strongest"
    assert writer.published == rig.store.head()


def test_a_note_holds_only_so_many_lines(rig: Rig) -> None:
    writer = rig.open()
    note = writer.published.checkpoint
    parsed = parse_note(note)
    own = parsed.signatures[0]
    for start in (0, 60):
        lines = [replace(own, name=f"w{n}") for n in range(start, start + 60)]
        full = format_note(Note(parsed.text, (own, *lines)))
        if start == 0:
            writer.add_signatures(full)
    before = rig.store.head()
    with pytest.raises(TooLarge, match="121 signatures, the limit is 64"):
        writer.add_signatures(full)
    assert rig.store.head() == before == writer.published


def test_a_late_cosignature_brings_its_checkpoint_back(rig: Rig) -> None:
    writer = rig.open()
    writer.append(entries(0, 3))
    note, time = writer.published.checkpoint, writer.published.time
    for number in range(3, 6):
        writer.append([entry(number)])
    with pytest.raises(NotFound, match="size 3"):
        writer.add_signatures(cosign(note))
    writer.add_signatures(cosign(note), time)
    kept = rig.store.checkpoint_at_or_before(3)
    assert kept
    assert kept.note == cosign(note)
    audit(rig, dict(enumerate(entries(0, 6))))


def test_only_this_logs_own_checkpoints_are_kept(rig: Rig) -> None:
    writer = rig.open()
    writer.append(entries(0, 3))
    before = rig.store.checkpoints()
    fork = sign_head([SIGNER], ORIGIN, 2, b"\x01" * 32, 5).checkpoint
    future = sign_head([SIGNER], ORIGIN, 4, b"\x01" * 32, 5).checkpoint
    stranger = sign_head([STRANGER], ORIGIN, 3, writer.published.root, 5).checkpoint
    other = sign_head([SIGNER], "log.example/elsewhere", 3, writer.published.root, 5).checkpoint
    for note, error in ((fork, Conflict), (future, NotFound), (stranger, Untrusted), (other, Untrusted)):
        with pytest.raises(error):
            writer.add_signatures(note, 5)
    with pytest.raises(Corrupt):
        writer.add_signatures(b"no note", 5)
    assert rig.store.checkpoints() == before


def test_a_cosignature_alone_does_not_unseat_a_head(rig: Rig) -> None:
    writer = rig.open()
    writer.append(entries(0, 3))
    rig.store.inner.replace_checkpoint(3, cosign(writer.published.checkpoint))
    assert writer.append(entries(3, 5)) == [Appended(3, True), Appended(4, True)]
    rig.store.inner.commit(writer.published, Group((), (), writer.published))
