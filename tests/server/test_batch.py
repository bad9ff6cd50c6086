"""The batch endpoint: order, mixed outcomes, receipts, limits, and bodies that are no sequence of statements."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.builders import DEVICE, GATEWAY, STRANGER, TWIN, Log
from tests.node.refusals import draft, with_headers
from tests.server.process import SEQUENCE, Served, make_folder, serve
from twinproof.node.node import read_node
from twinproof.proof import cbor, merkle
from twinproof.proof.keys import PublicKey
from twinproof.proof.receipt import check_inclusion_receipt, parse_receipt
from twinproof.twin import senml
from twinproof.twin.grants import Capability, Scope
from twinproof.twin.reading import Reading
from twinproof.twin.statement import PREV, SEQ

RECORD = {Capability.RECORD}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """As everybody's, with a small limit of statements."""
    running = serve(make_folder(tmp_path_factory.mktemp("batch") / "node", rate=0, max_batch=300))
    running.script.grant(DEVICE, RECORD)
    running.grow()
    try:
        yield running
    finally:
        running.client.close()
        assert running.node.stop() == 0


def readings(script: Log, count: int) -> list[bytes]:
    return [script.record(DEVICE, float(number)).raw for number in range(count)]


def test_indices_come_back_in_order(served: Served) -> None:
    size = served.head().size
    raws = readings(served.script, 50)
    answer = served.client.batch(raws)
    assert answer.status == 200
    assert answer.value.keys() == {"results", "checkpoint"}
    assert answer.value["results"] == [{"status": 201, "index": size + number} for number in range(50)]
    checkpoint = served.policy.check(answer.value["checkpoint"]).checkpoint
    assert checkpoint == served.head()
    assert checkpoint.size == size + 50
    assert cbor.encode(answer.value) == answer.body
    again = served.client.batch(raws[::-1] + raws[:1]).value["results"]
    assert again == [{"status": 200, "index": size + number} for number in [*range(49, -1, -1), 0]]
    assert served.head() == checkpoint


def test_receipts(served: Served) -> None:
    (value,) = served.client.get("/.well-known/scitt-keys").value
    key = PublicKey.from_cose_key({label: value[label] for label in (1, -1, -2)})
    old = served.script.raws[1]
    raws = [*readings(served.script, 20), old]
    answer = served.client.batch([*raws, b"\x00"], "?receipts=1").value
    root = served.policy.check(answer["checkpoint"]).checkpoint.root
    assert [result["status"] for result in answer["results"]] == [201] * 20 + [200, 400]
    assert "receipt" not in answer["results"][-1]
    for raw, result in zip(raws, answer["results"], strict=False):
        receipt = parse_receipt(result["receipt"])
        assert receipt.second == result["index"]
        assert check_inclusion_receipt(receipt, merkle.hash_leaf(raw), key) == root
    for query in ("?receipts=2", "?receipts=true", "?receipts="):
        refused = served.client.batch(raws, query)
        assert (refused.status, refused.problem[1]) == (400, "malformed: receipts: must be 0 or 1")
    plain = served.client.batch(raws[:1], "?receipts=0").value["results"]
    assert plain[0].keys() == {"status", "index"}


def test_mixed_outcomes_each_in_its_place(served: Served) -> None:
    script = served.script
    first = script.record(DEVICE, 1.0)
    size = served.head().size
    equivocation = with_headers(
        draft(script, DEVICE, at=first.issued_at + 1), DEVICE, {SEQ: first.seq, PREV: first.prev}
    )
    gap = with_headers(draft(script, DEVICE), DEVICE, {SEQ: first.seq + 9})
    broken = with_headers(draft(script, DEVICE), DEVICE, {PREV: b"\1" * 32})
    stranger = draft(script, STRANGER)
    second = script.record(DEVICE, 2.0).raw
    sent = [stranger, first.raw, equivocation, b"\x80", gap, broken, first.raw, second]
    results = served.client.batch(sent).value["results"]
    assert [result["status"] for result in results] == [403, 201, 409, 400, 409, 409, 200, 201]
    codes = [result.get("code") for result in results]
    assert codes == ["unknown-signer", None, "equivocation", "malformed", "gap", "chain-broken", None, None]
    assert results[1]["index"] == results[6]["index"] == results[2]["index"] == size
    assert results[7]["index"] == size + 1
    assert results[4]["expected"] == first.seq + 1
    assert results[3]["detail"] == "statement: not tagged as COSE_Sign1 (18)"
    assert served.head().size == size + 2
    with read_node(served.node.folder) as node:
        assert [kept.data for kept in node.store.conflicts()] == [equivocation]


def test_a_grant_its_statements_and_its_revocation_in_one_request(served: Served) -> None:
    script = served.script
    twin = "https://fleet.example/engine/7"
    grant = script.grant(GATEWAY, RECORD, Scope("twin", twin))
    first = script.record(GATEWAY, 1.0, subject=twin).raw
    revocation = script.revoke(grant).raw
    late = draft(script, GATEWAY, subject=twin)
    results = served.client.batch([grant.raw, first, revocation, late, first]).value["results"]
    assert [result["status"] for result in results] == [201, 201, 201, 403, 200]
    assert results[3]["code"] == "revoked"
    assert f"revoked at index {results[2]['index']}" in results[3]["detail"]


# --- bodies that are refused as a whole -------------------------------------------------------


def long_form(raw: bytes) -> bytes:
    """The tag in two bytes where one says it."""
    assert raw[0] == 0xD2
    return b"\xd8\x12" + raw[1:]


def bodies(raw: bytes) -> dict[str, tuple[bytes, int, str]]:
    """Bodies with a good statement in them, none of which may be taken."""
    limit = 8 * 1024 * 1024
    return {
        "empty": (b"", 400, "malformed: batch: holds no statement"),
        "cut in the first": (raw[:-1], 400, "malformed: batch: item 0 ends in the middle"),
        "cut in the second": (raw + raw[:-1], 400, "malformed: batch: item 1 ends in the middle"),
        "a break between": (raw + b"\xff" + raw, 400, "malformed: batch: item 1: simple value or break"),
        "undefined between": (raw + b"\xf7" + raw, 400, "malformed: batch: item 1: simple value or break"),
        "reserved behind": (raw + b"\x1c", 400, "malformed: batch: item 1: indefinite length or reserved form"),
        "indefinite array": (b"\x9f" + raw + b"\xff", 400, "malformed: batch: item 0: indefinite length"),
        "indefinite bytes": (raw + b"\x5f\x41\x00\xff", 400, "malformed: batch: item 1: indefinite length"),
        "long form": (raw + long_form(raw), 400, f"malformed: batch: item 1: not the shortest form at byte {len(raw)}"),
        "length of 2^64-1": (raw + b"\x5b" + b"\xff" * 8, 400, "malformed: batch: item 1 ends in the middle"),
        "array of 2^64-1": (raw + b"\x9b" + b"\xff" * 8, 400, "malformed: batch: item 1 ends in the middle"),
        "map of 2^63": (raw + b"\xbb\x80" + b"\0" * 7, 400, "malformed: batch: item 1 ends in the middle"),
        "text": (b"hello " + raw, 400, "malformed: batch: item"),
        "JSON": (b'[{"iss": "x"}]', 400, "malformed: batch: item 0"),
        "one too many": (raw * 301, 413, "too-large: batch: more than 300 items"),
        "numbers without end": (b"\x00" * 100_000, 413, "too-large: batch: more than 300 items"),
        "over 8 MiB": (raw + bytes(limit), 413, f"too-large: body: over {limit} bytes"),
    }


@pytest.mark.parametrize("name", bodies(b"\xd2\x80"))
def test_a_body_that_is_no_sequence_is_refused_whole(served: Served, name: str) -> None:
    raw = draft(served.script, DEVICE)
    body, status, detail = bodies(raw)[name]
    before = served.head()
    answer = served.client.batch(body)
    assert answer.status == status
    assert answer.problem[1].startswith(detail), answer.problem
    assert served.head() == before


def test_an_array_is_no_sequence(served: Served) -> None:
    """Well-formed CBOR, but its one item is no statement."""
    raw = draft(served.script, DEVICE)
    before = served.head()
    for body, items in ((b"\x82" + raw + raw, 1), (b"\x00\xf6\xf9\x00\x00", 3), (b"\xa1\x00" + raw, 1)):
        results = served.client.batch(body).value["results"]
        assert [(result["status"], result["code"]) for result in results] == [(400, "malformed")] * items
        assert all(result["detail"] == "statement: not tagged as COSE_Sign1 (18)" for result in results)
    nested = served.client.batch(b"\x81" * 50_000 + b"\x00").value["results"]
    assert [(result["status"], result["code"]) for result in nested] == [(413, "too-large")]
    assert served.head() == before


def test_limits_are_taken(served: Served) -> None:
    """300 statements of 10 KiB: as many as one request may hold, in a few MiB."""
    script = served.script
    size = served.head().size
    raws = []
    for number in range(300):
        pack = [Reading(f"T{at:04}", (number + at) / 7, "K", 1_700_000_000.0, None) for at in range(750)]
        raws.append(script.say(DEVICE, TWIN, senml.SENML, senml.format_senml(pack)).raw)
    assert 3_000_000 < sum(map(len, raws)) < 8_388_608
    assert served.client.take(*raws) == list(range(size, size + 300))
    assert served.client.take(*raws) == list(range(size, size + 300))


def test_limits_are_those_of_the_settings(tmp_path: Path) -> None:
    running = serve(make_folder(tmp_path / "node", rate=0, max_batch=2, max_request_bytes=2000))
    try:
        script = running.script
        script.grant(DEVICE, RECORD)
        assert running.grow() == [1]
        raws = readings(script, 3)
        assert running.client.batch(raws).problem[1] == "too-large: batch: more than 2 items"
        assert running.client.take(*raws[:2]) == [2, 3]
        assert running.client.batch(bytes(2001)).problem[1] == "too-large: body: over 2000 bytes"
        assert running.client.take(raws[2]) == [4]
    finally:
        running.client.close()
        assert running.node.stop() == 0


def test_chunked_batches(served: Served) -> None:
    raws = readings(served.script, 30)
    body = b"".join(raws)
    pieces: Any = iter([body[at : at + 97] for at in range(0, len(body), 97)])
    answer = served.client.request("POST", "/entries/batch", pieces, {"content-type": SEQUENCE})
    assert [result["status"] for result in answer.value["results"]] == [201] * 30
