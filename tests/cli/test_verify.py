"""prove and verify: three kinds of evidence, and every way to be refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.cli.rig import DEVICE, ORIGIN, TWIN, Cli
from twinproof.twin.statement import parse_statement
from twinproof.verify import STEPS


@pytest.fixture(scope="module")
def evidence(cli: Cli, template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all kinds of evidence and what an auditor is given."""
    folder = tmp_path_factory.mktemp("evidence")
    cli("prove", TWIN, "-o", folder / "pump.twinproof", "--folder", template)
    cli("prove", "--entry", 3, "-o", folder / "entry3", "--folder", template)
    for name in ("policy.txt", "operator.json", "pump7.json"):
        shutil.copy(template / name, folder)
    return folder


def bundle_words(evidence: Path, *more: object, file: str = "pump.twinproof") -> tuple[object, ...]:
    return ("verify", evidence / file, "--policy", evidence / "policy.txt", *more)


def test_a_bundle_verifies_step_by_step(cli: Cli, evidence: Path) -> None:
    found = cli.json(*bundle_words(evidence, "--operator", evidence / "operator.json"))
    assert (found["verified"], found["kind"], found["subject"], found["origin"]) == (True, "bundle", TWIN, ORIGIN)
    assert [(step["step"], step["title"]) for step in found["steps"]] == list(STEPS.items())
    assert [(entry["index"], entry["iss"], entry["seq"]) for entry in found["entries"]] == [
        (2, DEVICE, 0),
        (3, DEVICE, 1),
        (4, DEVICE, 2),
    ]
    assert found["state"]["readings"]["speed"]["value"] == 1485


def test_a_bundle_for_people(cli: Cli, evidence: Path) -> None:
    text = cli(*bundle_words(evidence, "--entries", "--state")).stdout
    for title in STEPS.values():
        assert f"  {title}" in text
    assert text.splitlines()[-1] == f"VERIFIED: 3 statements about {TWIN}, in {ORIGIN}"
    assert "by the grant at entry 1" in text
    assert "you did not say which operator you expect" in text
    assert "no witness cosigned" in text
    assert "NOT" not in text


def test_the_operator_is_compared(cli: Cli, evidence: Path) -> None:
    kid = json.loads((evidence / "operator.json").read_text())["kid"]
    text = cli(*bundle_words(evidence, "--operator", kid)).stdout
    assert "you did not say" not in text
    other = cli.json(*bundle_words(evidence, "--operator", evidence / "pump7.json"), code=1)
    assert (other["verified"], other["failed"]["step"]) == (False, None)
    assert [step["step"] for step in other["steps"]] == list(STEPS), "the history itself is verified"
    assert kid in other["failed"]["problems"][0]
    cli(*bundle_words(evidence, "--operator", "ab"), code=2)


def test_the_state_at_an_older_entry(cli: Cli, evidence: Path) -> None:
    newest = cli.json(*bundle_words(evidence))["state"]
    older = cli.json(*bundle_words(evidence, "--at", 2))["state"]
    assert older["statements"] < newest["statements"]
    assert older["readings"]["speed"]["value"] < newest["readings"]["speed"]["value"]
    assert "State after entry 2" in cli(*bundle_words(evidence, "--at", 2)).stdout
    entry = ("verify", evidence / "entry3.cose", "--policy", evidence / "policy.txt")
    assert "--at is for" in cli.error(*entry, "--at", 2, code=2)["message"]


def test_single_statements_verify(cli: Cli, evidence: Path) -> None:
    signer = ("--signer", evidence / "pump7.json")
    statement = ("--statement", evidence / "entry3.statement")
    digest = parse_statement((evidence / "entry3.statement").read_bytes()).digest.hex()
    for file, more in (("entry3.cose", ()), ("entry3.tlog-proof", statement)):
        for by, checked in (((), False), (signer, True)):
            found = cli.json(*bundle_words(evidence, *more, *by, file=file))
            assert (found["verified"], found["signer_checked"], found["statement"]) == (True, checked, digest)
            assert (found["iss"], found["sub"], found["seq"]) == (DEVICE, TWIN, 1)
            assert (found["index"], found["size"] > 3) == (3, True)
    text = cli(*bundle_words(evidence, file="entry3.cose")).stdout
    assert "VERIFIED: transparent statement" in text
    assert "it is entry 3, in the tree of" in text
    assert "Not checked: the signer's own signature" in text


@pytest.mark.parametrize("file", ["pump.twinproof", "entry3.cose", "entry3.tlog-proof"])
def test_another_policy_does_not_trust_it(cli: Cli, evidence: Path, tmp_path: Path, file: str) -> None:
    cli("init", tmp_path / "other", "--origin", ORIGIN, "--operator", "urn:example:other")
    more = ("--statement", evidence / "entry3.statement") if file.endswith("proof") and "entry" in file else ()
    words = ("verify", evidence / file, "--policy", tmp_path / "other" / "policy.txt", *more)
    assert cli.json(*words, code=1)["verified"] is False
    assert "NOT VERIFIED" in cli(*words, code=1).stdout


def flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :]


def test_any_altered_byte_of_a_bundle_is_noticed(cli: Cli, evidence: Path, tmp_path: Path) -> None:
    """Every 37th byte, whatever it is: the answer is "not verified" (1), or that the file is no evidence (2)."""
    whole = (evidence / "pump.twinproof").read_bytes()
    forged = tmp_path / "forged.twinproof"
    seen: set[Any] = set()
    for at in range(1, len(whole), 37):
        forged.write_bytes(flip(whole, at))
        found = cli.json("verify", forged, "--policy", evidence / "policy.txt", code=1)
        assert found["verified"] is False
        seen.add(found["failed"]["step"])
    assert {1, 2, 4} <= seen


def test_the_altered_entry_is_named(cli: Cli, evidence: Path, tmp_path: Path) -> None:
    whole = (evidence / "pump.twinproof").read_bytes()
    raw = (evidence / "entry3.statement").read_bytes()
    (tmp_path / "forged").write_bytes(flip(whole, whole.index(raw) + len(raw) - 1))
    result = cli("verify", tmp_path / "forged", "--policy", evidence / "policy.txt", code=1)
    assert "entry 3: the Ed25519 signature does not verify" in result.stdout
    assert "NOT VERIFIED: step 4, prove inclusion" in result.stdout


@pytest.mark.parametrize("file", ["entry3.cose", "entry3.tlog-proof"])
def test_another_statement_is_not_proved(cli: Cli, evidence: Path, template: Path, tmp_path: Path, file: str) -> None:
    cli("prove", "--entry", 4, "-o", tmp_path / "entry4", "--folder", template)
    policy = ("--policy", evidence / "policy.txt")
    if file.endswith("tlog-proof"):
        words: tuple[object, ...] = (evidence / file, "--statement", tmp_path / "entry4.statement")
    else:
        (tmp_path / "forged").write_bytes(flip((evidence / file).read_bytes(), 120))
        words = (tmp_path / "forged",)
    assert cli.json("verify", *words, *policy, code=1)["verified"] is False


def test_the_wrong_signer_is_refused(cli: Cli, evidence: Path) -> None:
    found = cli.json(*bundle_words(evidence, "--signer", evidence / "operator.json", file="entry3.cose"), code=1)
    assert found["verified"] is False


def test_what_is_no_evidence_is_two(cli: Cli, evidence: Path, tmp_path: Path) -> None:
    for name, data in (("empty", b""), ("text", b"hello"), ("zip", b"PK\x03\x04"), ("policy", b"log x\nquorum none\n")):
        (tmp_path / name).write_bytes(data)
        assert cli.error("verify", tmp_path / name, "--policy", evidence / "policy.txt", code=2)["code"] == "malformed"
    bad_policy = ("verify", evidence / "pump.twinproof", "--policy", tmp_path / "policy")
    assert "line 1" in cli.error(*bad_policy, code=2)["message"]
    cli("verify", tmp_path / "missing", "--policy", evidence / "policy.txt", code=2)
    cli("verify", evidence / "pump.twinproof", code=2)


@pytest.mark.parametrize(
    ("file", "more"),
    [
        ("entry3.tlog-proof", ()),
        ("entry3.cose", ("--statement", "entry3.statement")),
        ("pump.twinproof", ("--statement", "entry3.statement")),
        ("pump.twinproof", ("--signer", "pump7.json")),
        ("entry3.cose", ("--operator", "operator.json")),
    ],
)
def test_options_that_do_not_fit_the_evidence(cli: Cli, evidence: Path, file: str, more: tuple[str, ...]) -> None:
    placed = [evidence / word if "." in word else word for word in more]
    cli(*bundle_words(evidence, *placed, file=file), code=2)


def test_prove_wants_one_thing_and_a_place_for_it(cli: Cli, template: Path, evidence: Path, tmp_path: Path) -> None:
    there = ("--folder", template)
    cli("prove", *there, code=2)
    cli("prove", TWIN, "--entry", 1, "-o", tmp_path / "x", *there, code=2)
    assert "-o FILE" in cli("prove", TWIN, *there, code=2).stderr
    assert cli.error("prove", "urn:example:none", "-o", tmp_path / "x", *there, code=2)["code"] == "not-found"
    assert cli.error("prove", "--entry", 99, "-o", tmp_path / "x", *there, code=2)["code"] == "not-found"
    before = (evidence / "pump.twinproof").read_bytes()
    cli("prove", TWIN, "-o", evidence / "pump.twinproof", *there, code=2)
    assert (evidence / "pump.twinproof").read_bytes() == before
    assert not list(tmp_path.iterdir())
