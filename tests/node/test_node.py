"""A node's folder: made, opened, read beside a writer, left half-made, mixed up."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.builders import DEVICE, ORIGIN, START, STRANGER, TWIN
from tests.node.folders import OPERATOR_IRI, continue_log
from twinproof.errors import ConfigError, Conflict, Malformed, NotFound, RolledBack, StorageFailed, Untrusted
from twinproof.log.fsck import fsck
from twinproof.log.pin import Pin
from twinproof.node import keyring
from twinproof.node import node as node_module
from twinproof.node.cards import parse_card
from twinproof.node.config import FILE_NAME, load_config
from twinproof.node.examine import Examiner
from twinproof.node.intake import Accepted
from twinproof.node.node import DATABASE, OPERATOR_CARD, PIN, POLICY, init_node, open_node, read_node
from twinproof.proof.checkpoint import parse_checkpoint
from twinproof.proof.note import parse_note
from twinproof.proof.policy import parse_policy
from twinproof.testing import ManualClock
from twinproof.twin.grants import GENESIS, Capability, log_subject, parse_genesis
from twinproof.twin.statement import parse_statement
from twinproof.twin.stream import position_of
from twinproof.verify import verify_bundle, verify_tlog_proof, verify_transparent

RECORD = {Capability.RECORD}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "node"
    init_node(made, ORIGIN, OPERATOR_IRI, clock=ManualClock(START))
    return made


def sound(folder: Path) -> None:
    with read_node(folder) as node:
        found = fsck(
            node.store,
            verifiers=node.verifiers,
            pin=Pin(folder / PIN),
            key_of=position_of,
            check_entry=Examiner().examine,
        )
        assert [str(finding) for finding in found] == []


# --- init -------------------------------------------------------------------------------------


def test_what_init_makes(folder: Path) -> None:
    files = {str(path.relative_to(folder)): path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()}
    assert files.keys() == {
        FILE_NAME,
        DATABASE,
        f"{DATABASE}.lock",
        PIN,
        POLICY,
        OPERATOR_CARD,
        "keys/log.key",
        "keys/log-pq.key",
        "keys/operator.pem",
    }
    for secret in ("keys/log.key", "keys/log-pq.key", "keys/operator.pem", DATABASE, PIN):
        assert files[secret] == 0o600, secret
    assert (folder / "keys").stat().st_mode & 0o777 == 0o700
    assert load_config(folder).origin == ORIGIN
    with open_node(folder) as node:
        genesis = parse_statement(node.reader.entry(0))
        assert node.reader.head().size == 1
        assert (genesis.content_type, genesis.issuer, genesis.subject) == (GENESIS, OPERATOR_IRI, log_subject(ORIGIN))
        assert genesis.issued_at == START
        said = parse_genesis(genesis.payload)
        card = parse_card((folder / OPERATOR_CARD).read_text())
        assert said.operator == card.key == node.operator_key().public
        assert card.issuer == OPERATOR_IRI
        policy = parse_policy((folder / POLICY).read_bytes())
        trusted = policy.check(node.reader.head().checkpoint)
        assert trusted.checkpoint.size == 1
        assert trusted.not_after == START
        assert {str(key) for key in said.log_keys} == {str(signer.verifier) for signer in node.signers}
    sound(folder)


def test_init_refuses_a_folder_that_holds_anything(tmp_path: Path, folder: Path) -> None:
    before = (folder / "keys" / "operator.pem").read_bytes()
    with pytest.raises(ConfigError, match="node is not an empty folder"):
        init_node(folder, ORIGIN, OPERATOR_IRI)
    assert (folder / "keys" / "operator.pem").read_bytes() == before
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match="file is not an empty folder"):
        init_node(tmp_path / "file", ORIGIN, OPERATOR_IRI)
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / ".x").write_text("")
    with pytest.raises(ConfigError, match="hidden is not an empty folder"):
        init_node(tmp_path / "hidden", ORIGIN, OPERATOR_IRI)
    with pytest.raises(StorageFailed, match="Not a directory"):
        init_node(tmp_path / "file" / "below", ORIGIN, OPERATOR_IRI)


def test_init_takes_an_empty_folder_and_makes_those_above(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    init_node(tmp_path / "empty", ORIGIN, OPERATOR_IRI)
    init_node(tmp_path / "a" / "b" / "c", ORIGIN, OPERATOR_IRI)
    sound(tmp_path / "a" / "b" / "c")


@pytest.mark.parametrize(
    ("origin", "operator", "error"),
    [("a b", OPERATOR_IRI, ConfigError), (ORIGIN, "somebody", Malformed), (ORIGIN, "urn:x\n", Malformed)],
)
def test_init_refuses_bad_names_before_it_makes_anything(
    tmp_path: Path, origin: str, operator: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        init_node(tmp_path / "node", origin, operator)
    assert not (tmp_path / "node").exists()


def test_two_nodes_never_share_a_key(tmp_path: Path, folder: Path) -> None:
    init_node(tmp_path / "other", ORIGIN, OPERATOR_IRI)
    for name in ("log.key", "log-pq.key", "operator.pem"):
        assert (folder / "keys" / name).read_bytes() != (tmp_path / "other" / "keys" / name).read_bytes()


class Interrupted(BaseException):
    """As a signal would."""


def steps() -> list[tuple[str, Any]]:
    return [("write_secret", 3), ("replace_file", 3), ("Writer", 1)]


@pytest.mark.parametrize(("place", "after"), [(place, after) for place, count in steps() for after in range(count)])
def test_an_interrupted_init_is_no_node_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, after: int
) -> None:
    owner: Any = keyring if place == "write_secret" else node_module
    real = getattr(owner, place)
    calls = 0

    def interrupted(*arguments: Any) -> Any:
        nonlocal calls
        if calls == after:
            raise Interrupted
        calls += 1
        return real(*arguments)

    monkeypatch.setattr(owner, place, interrupted)
    folder = tmp_path / "node"
    with pytest.raises(Interrupted):
        init_node(folder, ORIGIN, OPERATOR_IRI)
    monkeypatch.undo()
    with pytest.raises(ConfigError, match="make one with: twinproof init"), open_node(folder):
        pass
    with pytest.raises(ConfigError, match="left over from an init that did not end; delete it and start again"):
        init_node(folder, ORIGIN, OPERATOR_IRI)
    shutil.rmtree(folder)
    init_node(folder, ORIGIN, OPERATOR_IRI)
    sound(folder)


# --- opening ----------------------------------------------------------------------------------


def test_a_node_goes_on_where_it_was(folder: Path) -> None:
    with open_node(folder) as node:
        script = continue_log(node)
        script.grant(DEVICE, RECORD)
        script.record(DEVICE, 1.0)
        assert node.intake.submit(script.raws[1:]).result(30) == [Accepted(1, True), Accepted(2, True)]
    with open_node(folder) as node:
        assert node.intake.submit(script.raws).result(30) == [Accepted(index, False) for index in range(3)]
        assert node.intake.submit([script.record(DEVICE, 2.0).raw]).result(30) == [Accepted(3, True)]
        assert [index for index, _ in node.entries_about(TWIN)] == [2, 3]
        state = node.state(TWIN)
        assert state.statements == 2
        assert node.state(TWIN, at=2).statements == 1
        with pytest.raises(NotFound, match="up to entry 1"):
            node.state(TWIN, at=1)
        with pytest.raises(NotFound, match="holds nothing about urn:nothing"):
            node.state("urn:nothing")
    sound(folder)


OPEN = """
import sys
from pathlib import Path
from twinproof.errors import Conflict
from twinproof.node.node import open_node
try:
    with open_node(Path(sys.argv[1])):
        print("opened", flush=True)
        sys.stdin.read()
except Conflict as problem:
    print("conflict", flush=True)
"""


@pytest.fixture
def elsewhere(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the folder open for writing."""
    command = [sys.executable, "-c", OPEN, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "opened\n"
        yield process


def test_one_writer_at_a_time(folder: Path, elsewhere: subprocess.Popen[str]) -> None:
    with pytest.raises(Conflict, match=r"open for writing elsewhere.*Stop it first"), open_node(folder):
        pass
    with read_node(folder) as node:
        assert node.reader.head().size == 1
    elsewhere.communicate("", timeout=30)
    with open_node(folder) as node:
        assert (
            subprocess.run(
                [sys.executable, "-c", OPEN, str(folder)], capture_output=True, text=True, input="", timeout=30
            ).stdout
            == "conflict\n"
        )


def test_reading_beside_a_writer(folder: Path) -> None:
    with open_node(folder) as writing, read_node(folder) as reading:
        script = continue_log(writing)
        script.grant(DEVICE, RECORD)
        script.record(DEVICE, 1.0)
        for raw in script.raws[1:]:
            writing.intake.submit([raw]).result(30)
            assert reading.reader.head() == writing.reader.head()
        assert reading.reader.entries(0, 3) == script.raws
        policy = parse_policy((folder / POLICY).read_bytes())
        assert verify_bundle(reading.evidence.bundle(TWIN, "tests"), policy).state.statements == 1
        assert not hasattr(reading, "intake")
        with pytest.raises(StorageFailed, match="open for reading only"):
            reading.store.keep_conflict(b"k", 0, b"d", 1)


def test_a_mixed_up_folder(tmp_path: Path, folder: Path) -> None:
    other = tmp_path / "other"
    init_node(other, ORIGIN, OPERATOR_IRI)
    third = tmp_path / "third"
    init_node(third, "twin.example/log1", OPERATOR_IRI)

    def opened(source: Path, *names: str) -> type[BaseException]:
        mixed = tmp_path / "mixed"
        shutil.copytree(folder, mixed)
        for name in names:
            shutil.copy2(source / name, mixed / name)
        try:
            with pytest.raises((ConfigError, Untrusted, RolledBack)) as caught, open_node(mixed):
                pass
            return caught.type
        finally:
            shutil.rmtree(mixed)

    # Another log's keys, of the same name and of another; swapped files; another log's database or pin.
    assert opened(other, "keys/log.key", "keys/log-pq.key") is Untrusted
    assert opened(third, "keys/log.key") is ConfigError
    assert opened(third, "keys/log-pq.key") is ConfigError
    assert opened(third, FILE_NAME) is ConfigError
    assert opened(third, FILE_NAME, "keys/log.key", "keys/log-pq.key") is Untrusted
    assert opened(other, DATABASE) is Untrusted
    assert opened(other, PIN) is Untrusted
    shutil.copy2(folder / "keys" / "log.key", third / "keys" / "log-pq.key")
    assert opened(third, "keys/log-pq.key") is ConfigError


@pytest.mark.parametrize("name", ["keys/log.key", "keys/log-pq.key"])
def test_without_a_key(folder: Path, name: str) -> None:
    (folder / name).unlink()
    for opening in (open_node, read_node):
        with pytest.raises(ConfigError, match=f"{name}: No such file"), opening(folder):
            pass


def test_the_operators_key_may_be_kept_elsewhere(folder: Path) -> None:
    (folder / "keys" / "operator.pem").unlink()
    with open_node(folder) as node, pytest.raises(ConfigError, match=r"operator\.pem: No such file"):
        node.operator_key()


def test_without_a_database(folder: Path) -> None:
    (folder / DATABASE).unlink()
    with pytest.raises(NotFound, match="no such log"), read_node(folder):
        pass
    with pytest.raises(RolledBack, match="has signed a checkpoint of 1"), open_node(folder):
        pass


def test_without_a_pin(folder: Path) -> None:
    (folder / PIN).unlink()
    with pytest.raises(RolledBack, match="no pin"), open_node(folder):
        pass


def test_a_failed_opening_leaves_nothing_open(folder: Path) -> None:
    pin = (folder / PIN).read_bytes()
    (folder / PIN).write_bytes(b"torn")
    for _ in range(3):
        with pytest.raises(RolledBack), open_node(folder):
            pass
    (folder / PIN).write_bytes(pin)
    with open_node(folder):
        pass


# --- evidence ---------------------------------------------------------------------------------


def test_evidence_of_every_entry(folder: Path) -> None:
    with open_node(folder, clock=ManualClock(START)) as node:
        script = continue_log(node)
        script.grant(DEVICE, RECORD)
        for value in range(5):
            script.record(DEVICE, float(value))
        node.intake.submit(script.raws[1:]).result(30)
        policy = parse_policy((folder / POLICY).read_bytes())
        for index, raw in enumerate(script.raws):
            proven = verify_transparent(node.evidence.transparent(index), policy)
            assert (proven.index, proven.size, proven.statement.raw) == (index, 7, raw)
            found, trusted = verify_tlog_proof(node.evidence.tlog_proof(index), raw, policy)
            assert (found.index, trusted.checkpoint.size) == (index, 7)
        for make in (node.evidence.receipt, node.evidence.transparent, node.evidence.tlog_proof):
            for index in (-1, 7, 1 << 62):
                with pytest.raises(NotFound, match=f"no entry {index}"):
                    make(index)


def test_the_only_entry_has_no_receipt(folder: Path) -> None:
    with open_node(folder) as node:
        with pytest.raises(NotFound, match="no receipt while it is the only one"):
            node.evidence.receipt(0)
        with pytest.raises(NotFound):
            node.evidence.transparent(0)
        policy = parse_policy((folder / POLICY).read_bytes())
        assert verify_tlog_proof(node.evidence.tlog_proof(0), node.reader.entry(0), policy)[0].index == 0


def test_marks_bracket_each_entry_as_closely_as_checkpoints_were_kept(folder: Path) -> None:
    """One commit every 40 s; one checkpoint in 60 s is kept."""
    clock = ManualClock(START)
    policy = parse_policy((folder / POLICY).read_bytes())
    with open_node(folder, clock=clock) as node:
        script = continue_log(node)
        script.grant(DEVICE, RECORD)
        sent = 1
        times: dict[int, int] = {}
        for number in range(30):
            clock.advance(40)
            subject = TWIN if number % 3 else "https://fleet.example/engine/2"
            if number % 3:
                script.record(DEVICE, float(number), subject=subject, at=int(clock.time))
            else:
                script.grant(STRANGER, RECORD)
            node.intake.submit(script.raws[sent:]).result(30)
            times.update({index: int(clock.time) for index in range(sent, len(script))})
            sent = len(script)
        seen: list[tuple[int, int]] = []
        data = node.evidence.bundle(TWIN, "tests", lambda done, total: seen.append((done, total)))
        history = verify_bundle(data, policy)
        assert seen == [(n + 1, len(script)) for n in range(len(script))]
        kept = {item.size: item.time for item in node.reader.checkpoints() if item.size}
        assert 15 < len(kept) < 25
        for entry in history.entries:
            bracket = entry.time
            assert bracket.not_before == max(time for size, time in kept.items() if size <= entry.index)
            assert bracket.not_after == min(time for size, time in kept.items() if size > entry.index)
            assert bracket.not_before < times[entry.index] <= bracket.not_after


def test_more_marks_than_a_bundle_holds_are_thinned(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twinproof.node.evidence.MAX_MARKS", 5)
    clock = ManualClock(START)
    policy = parse_policy((folder / POLICY).read_bytes())
    with open_node(folder, clock=clock) as node:
        script = continue_log(node)
        script.grant(DEVICE, RECORD)
        for number in range(20):
            script.record(DEVICE, float(number))
        for raw in script.raws[1:]:
            clock.advance(61)
            node.intake.submit([raw]).result(30)
        history = verify_bundle(node.evidence.bundle(TWIN, "tests"), policy)
        assert len(history.entries) == 20
        brackets = {(entry.time.not_before, entry.time.not_after) for entry in history.entries}
        assert 4 <= len(brackets) <= 6


def test_a_bundle_of_nothing(folder: Path) -> None:
    with open_node(folder) as node:
        with pytest.raises(NotFound, match="nothing about urn:x"):
            node.evidence.bundle("urn:x", "tests")
        own = verify_bundle(
            node.evidence.bundle(log_subject(ORIGIN), "tests"), parse_policy((folder / POLICY).read_bytes())
        )
        assert own.state.statements == 1


def test_a_checkpoint_is_signed_by_both_keys(folder: Path) -> None:
    with open_node(folder) as node:
        parsed = parse_note(node.reader.head().checkpoint)
        assert parse_checkpoint(parsed.text).origin == ORIGIN
        assert len(parsed.signatures) == 2
