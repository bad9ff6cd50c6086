"""The pages in spec/: their examples are what the code makes, and the numbers they state are the code's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import spec_examples
from twinproof import errors, verify
from twinproof.proof import anchor, cbor, checkpoint, cose, note, receipt, rlp, tlog_proof
from twinproof.proof.keccak import keccak256
from twinproof.proof.policy import Policy
from twinproof.twin import (
    attestation,
    authority,
    chain_event,
    description,
    evidence,
    fields,
    grants,
    installation,
    kinds,
    ledger,
    prediction,
    predictor,
    statement,
)
from twinproof.twin import policy as policies
from twinproof.twin.anchors import AnchorTrust
from twinproof.twin.grants import Capability

SPEC = Path(__file__).resolve().parent.parent / "spec"
PAGES = ("statement", "authority", "log", "evidence", "prediction", "chain", "anchor")


def text(page: str) -> str:
    return (SPEC / f"{page}.md").read_text()


def blocks(page: str) -> dict[str, bytes]:
    """The fenced blocks that bear a name."""
    found: dict[str, bytes] = {}
    for kind, name, content in re.findall(r"^```(hex|text) (\S+)\n(.*?)```$", text(page), re.DOTALL | re.MULTILINE):
        assert name not in found
        found[name] = bytes.fromhex(content) if kind == "hex" else content.encode()
    return found


@pytest.mark.parametrize("page", PAGES)
def test_examples_are_what_the_code_makes(page: str) -> None:
    assert blocks(page) == spec_examples.examples()[page]


def policy() -> Policy:
    return spec_examples.example_log().policy()


def test_the_examples_verify() -> None:
    found = blocks("evidence")
    log = spec_examples.example_log()
    history = verify.verify_bundle(found["bundle"], policy())
    assert history.state.to_cbor() == blocks("statement")["state"]
    assert history.operator == spec_examples.OPERATOR.key.public
    key = spec_examples.DEVICE.key.public
    assert verify.verify_transparent(found["transparent"], policy(), key).signer_checked
    assert verify.verify_tlog_proof(found["tlog-proof"], log.raws[2], policy(), key)[0].index == 2


def test_the_example_anchor_holds() -> None:
    found, log = blocks("anchor"), spec_examples.example_log()
    bundle = cbor.decode(blocks("evidence")["bundle"])
    assert type(bundle) is dict
    data = cbor.encode({**bundle, "anchors": [cbor.decode(found["anchor"])]})
    history = verify.verify_bundle(data, log.policy(), anchors=AnchorTrust(frozenset([found["block-hash"]])))
    (proved,) = history.anchors
    assert (proved.trusted, proved.head.size, proved.head.time) == (True, 2, 1_700_000_060)
    assert proved.head.transaction == keccak256(found["transaction"])
    assert found["receipt"] in found["anchor"]


def test_the_index_names_every_page() -> None:
    linked = set(re.findall(r"\]\((\w+\.md)\)", text("README")))
    assert linked <= {path.name for path in SPEC.glob("*.md")}
    assert {f"{page}.md" for page in PAGES} | {"readings.md"} <= linked


@pytest.mark.parametrize("page", ["README", *PAGES])
def test_links_lead_somewhere(page: str) -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", text(page)):
        assert (SPEC / link).exists(), link


@pytest.mark.parametrize(
    ("page", "stated", "value"),
    [
        ("statement", "at most 61,440 bytes", statement.MAX_STATEMENT == 61_440),
        ("statement", "at most 512 characters", statement.MAX_IRI == 512),
        ("statement", f"{statement.SEQ}: number", True),
        ("statement", f"? {statement.PREV}: bstr", True),
        ("statement", "0 ≤ seq < 2^63", statement.MAX_SEQ == 2**63),
        ("README", "0 < t < 2^53", statement.MAX_TIME == 2**53),
        ("statement", "nested at most 10 deep", description.MAX_DEPTH == 10),
        ("statement", "1..128 characters", fields.MAX_NAME == 128),
        ("statement", "1..2048 members", fields.MAX_CHANGES == 2048),
        ("statement", '"text": text up to 4000', attestation.MAX_TEXT == 4000),
        ("statement", '{"reason": text up to 500}', attestation.MAX_REASON == 500),
        ("authority", '"reason": text up to 500', grants.MAX_REASON == 500),
        ("authority", "at most 8 grants", authority.MAX_DEPTH == 8),
        ("log", "at most 8,192 bytes", receipt.MAX_RECEIPT == 8_192),
        ("log", "[1*126 hash]", receipt.MAX_PATH == 126),
        ("log", "262,144 bytes, 64 signature lines", (note.MAX_NOTE, note.MAX_SIGNATURES) == (262_144, 64)),
        ("log", "255\nbytes", (note.MAX_NAME, checkpoint.MAX_ORIGIN) == (255, 255)),
        ("log", "300 seconds", verify.CLOCK_TOLERANCE == 300),
        ("evidence", "300 seconds", verify.CLOCK_TOLERANCE == 300),
        ("evidence", "0*4096", evidence.MAX_MARKS == 4096),
        ("evidence", "2^30 bytes", evidence.MAX_BUNDLE == 2**30),
        ("evidence", "1*1024", evidence.MAX_ANCHORS == 1024),
        ("evidence", "1*64 [digest, bstr]", evidence.MAX_BLOBS == 64),
        ("evidence", "67,108,864", evidence.MAX_BLOB == 67_108_864),
        ("anchor", "1*1024", evidence.MAX_ANCHORS == 1024),
        ("anchor", "16,384 bytes", anchor.MAX_ANCHOR == 16_384),
        ("anchor", "[1*16 bstr]", anchor.MAX_NODES == 16),
        ("anchor", "number < 2^32", anchor.MAX_INDEX == 2**32),
        ("anchor", "0 < chain < 2^63", anchor.MAX_CHAIN_ID == 2**63),
        ("anchor", "list of 15 to 64 strings", anchor.MAX_HEADER_ITEMS == 64),
        ("anchor", "0 < t < 2^53", anchor.MAX_TIME == 2**53),
        ("anchor", "4,096 logs", anchor.MAX_LOGS == 4096),
        ("anchor", "at most 8 lists inside each other", rlp.MAX_DEPTH == 8),
        ("evidence", evidence.FORMAT, True),
        ("evidence", evidence.MEDIA_TYPE, True),
        ("evidence", "1..16 bstr", verify.MAX_RECEIPTS == 16),
        ("evidence", "200,704 bytes", verify.MAX_TRANSPARENT == 200_704),
        ("evidence", f"{{{cose.RECEIPTS}: [", True),
        ("evidence", "at most 63 hashes", tlog_proof.MAX_HASHES == 63),
        ("evidence", "65,536 bytes", tlog_proof.MAX_EXTRA == 65_536),
        ("prediction", "bstr of 32 bytes", prediction.RUL_SIZE == 32),
        ("prediction", "1*256 [IRI", prediction.MAX_READS == 256),
        ("prediction", "1*64 name", prediction.MAX_DRIVERS == 64),
        ("prediction", "text up to 64", prediction.MAX_EPISODE == 64),
        ("prediction", "1*32 word", prediction.MAX_REMARKS == 32),
        ("prediction", "is 0.001", prediction.UNCLAIMED == 0.001),
        ("prediction", "text up to 1000", predictor.MAX_TEXT == 1000),
        ("prediction", "keeps 64 a subject", predictor.MAX_PREDICTORS == 64),
        ("prediction", "1..16 characters U+0021–007E", prediction.MAX_UNIT == 16),
        ("chain", "20 bytes", policies.ADDRESS_SIZE == 20),
        ("chain", "0 < id < 2^63", policies.MAX_CHAIN_ID == 2**63),
        ("chain", "text up to 1000", installation.MAX_REMARK == 1000),
        ("chain", "text up to 128", installation.MAX_SERIAL == 128),
        ("chain", "0*32 name", chain_event.MAX_ARGS == 32),
        ("chain", "nested at most 8\ndeep", chain_event.MAX_DEPTH == 8),
        ("chain", "more than 4,096 bytes", chain_event.MAX_ARG == 4096),
        ("chain", "numbers < 2^63", chain_event.MAX_BLOCK == 2**63),
    ],
)
def test_numbers_are_the_codes(page: str, stated: str, value: bool) -> None:
    assert stated in text(page)
    assert value


def test_the_ten_steps_have_their_names() -> None:
    named = re.findall(r"^(\d+)\. \*\*(.+?)\.\*\*", text("evidence"), re.MULTILINE)
    assert {int(number): title.lower() for number, title in named} == verify.STEPS


def test_capabilities_lifecycle_and_kinds_are_listed() -> None:
    for capability in Capability:
        assert f"`{capability}`" in text("authority")
    for stage in description.Lifecycle:
        assert f'"{stage}"' in text("statement")
    pages = "".join(path.read_text() for path in SPEC.glob("*.md"))
    for kind in kinds.KINDS.values():
        row = re.search(rf"^\| `{re.escape(kind.content_type)}` \| {kind.name} \| ([^|]*?) \|", pages, re.MULTILINE)
        assert row is not None
        assert row[1] == kind.capability or (kind.capability is None and row[1] in ("–", "any grant on the twin"))


def test_hidden_characters_are_those_of_the_page() -> None:
    listed = re.search(r"\*\*Hidden characters\*\* are (.*?):", text("statement"), re.DOTALL)
    assert listed is not None
    ranges = re.findall(r"(?:U\+)?([0-9A-F]{4,6})(?:–([0-9A-F]{4,6}))?", listed[1])
    hidden = {code for low, high in ranges for code in range(int(low, 16), int(high or low, 16) + 1)}
    pattern = re.compile(f"[{statement.HIDDEN}]")
    assert {code for code in range(0x110000) if pattern.match(chr(code))} == hidden


def test_refusals_of_authority_bear_the_codes_of_the_page() -> None:
    codes = {
        error.code
        for error in vars(errors).values()
        if isinstance(error, type) and issubclass(error, errors.NotAuthorised)
    }
    assert codes <= set(re.findall(r"[a-z]+(?:-[a-z]+)*", text("authority")))


def test_the_table_of_events_is_the_folds() -> None:
    page = text("chain")
    for event, (state, _) in ledger.ORDER_STATES.items():
        assert event in page
        assert f"`{state}`" in page
    assert ", ".join(f"`{status}`" for status in ledger.STATUSES) in page
    assert f"`{ledger.UNKNOWN}`" in page
    members = ledger.LedgerState.__dataclass_fields__
    assert set(re.findall(r'^"(\w+)": ', page, re.MULTILINE)) == set(members)
