"""Parts, attestations and agreements as typed classes, each held against the real contract."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

import pytest

from tests.node.chain_rig import ACCOUNTS, deploy, new_chain, transact
from twinproof.chain.abi import Artifact
from twinproof.chain.agreements import Agreements, Key, OrderState, Standing, Terms, order_key_of
from twinproof.chain.asking import ask
from twinproof.chain.attestations import Attestations, Claim, decode_fields, encode_fields, schema_uid_of
from twinproof.chain.embedded import EmbeddedChain
from twinproof.chain.parts import PartPassport, Status, batch_id_of, token_id_of
from twinproof.errors import ChainLied, Malformed, NotFound, Reverted
from twinproof.testing import ManualClock

OWNER, MAKER, OTHER = ACCOUNTS[:3]
TWIN = sha256(b"https://twin.example/blade/1").digest()
LEAF = sha256(b"birth").digest()
KEY = Key(
    # Any point of the curve: the contract only keeps it. This is P-256's base point (FIPS 186-4).
    bytes.fromhex("6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"),
    bytes.fromhex("4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"),
)


@pytest.fixture
def chain() -> Iterator[EmbeddedChain]:
    with new_chain(ManualClock(1_700_000_000)) as chain:
        yield chain


@pytest.fixture
def passports(chain: EmbeddedChain) -> PartPassport:
    contract = deploy(chain, "PartPassport", OWNER.address)
    transact(chain, OWNER, contract.address, contract.encode("setAccredited", MAKER.address, True))
    return PartPassport(chain, contract.address)


def test_ids_are_those_that_the_contract_gives(chain: EmbeddedChain, passports: PartPassport) -> None:
    contract = passports.contract
    data = contract.encode("mint", "HPT-7", "SN-001", TWIN, LEAF)
    answer = contract.decode("mint", chain.call(contract.address, data, sender=MAKER.address))
    assert answer == token_id_of(MAKER.address, "HPT-7", "SN-001")
    data = contract.encode("releaseBatch", "BOLT", "LOT-3", 50, LEAF)
    answer = contract.decode("releaseBatch", chain.call(contract.address, data, sender=MAKER.address))
    assert answer == batch_id_of(MAKER.address, "BOLT", "LOT-3")
    assert token_id_of(MAKER.address, "HPT-7S", "N-001") != token_id_of(MAKER.address, "HPT-7", "SN-001")


def test_a_part_and_its_life(chain: EmbeddedChain, passports: PartPassport) -> None:
    contract = passports.contract
    for serial in ("A", "B", "C"):
        transact(chain, MAKER, contract.address, contract.encode("mint", "P", serial, TWIN, LEAF))
    a, b, c = (token_id_of(MAKER.address, "P", serial) for serial in "ABC")
    for call in (
        ("install", b, a),
        ("install", c, a),
        ("remove", b),
        ("setUser", a, OTHER.address),
        ("setStatus", b, Status.QUARANTINED, LEAF),
        ("offer", a, OTHER.address, 1_700_009_999),
    ):
        transact(chain, MAKER, contract.address, contract.encode(*call))
    part = passports.part(a)
    assert (part.manufacturer, part.owner, part.user) == (MAKER.address, MAKER.address, OTHER.address)
    assert (part.offered_to, part.offer_expires, part.twin, part.birth) == (OTHER.address, 1_700_009_999, TWIN, LEAF)
    assert passports.part(b).status is Status.QUARANTINED
    assert Status.IN_SERVICE.word == "in-service"
    assert passports.part(c).parent == a
    assert passports.parts_in(a) == [c]
    assert passports.minted(a).args["serial"] == "A"
    assert [one["serial"] for one in passports.all_minted()] == ["A", "B", "C"]
    assert [one["serial"] for one in passports.all_minted(0, MAKER.address, TWIN)] == ["A", "B", "C"]
    assert passports.all_minted(0, OTHER.address) == passports.all_minted(0, None, LEAF) == []
    assert [happening.name for happening in passports.life(b)] == ["Minted", "Installed", "Removed", "StatusChanged"]
    for missing in (passports.part, passports.minted, passports.batch):
        with pytest.raises(NotFound):
            missing(7)
    assert passports.life(7) == []


def test_texts_that_are_none_hide_no_other_part(chain: EmbeddedChain, passports: PartPassport) -> None:
    contract = passports.contract
    data = contract.encode("mint", "P", "wrong", TWIN, LEAF)
    assert data.count(b"wrong") == 1
    transact(chain, MAKER, contract.address, data.replace(b"wrong", b"\xff\xfe\x80\x81\x82"))
    transact(chain, MAKER, contract.address, contract.encode("mint", "P", "right", TWIN, LEAF))
    first, second = passports.all_minted()
    assert (first["serial"], first["manufacturer"], first["twin"]) == (None, MAKER.address, TWIN)
    assert second["serial"] == "right"
    assert passports.part(first["tokenId"]).manufacturer == MAKER.address
    assert [happening.name for happening in passports.life(first["tokenId"])] == ["Minted"]


def test_a_batch(chain: EmbeddedChain, passports: PartPassport) -> None:
    contract = passports.contract
    batch = batch_id_of(MAKER.address, "BOLT", "L")
    transact(chain, MAKER, contract.address, contract.encode("releaseBatch", "BOLT", "L", 50, LEAF))
    transact(chain, MAKER, contract.address, contract.encode("scrapQuantity", batch, 3))
    found = passports.batch(batch)
    assert (found.manufacturer, found.released, found.installed, found.scrapped) == (MAKER.address, 50, 0, 3)


def test_events_are_found_across_ranges(
    chain: EmbeddedChain, passports: PartPassport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twinproof.chain.asking.RANGE", 2)
    contract = passports.contract
    for serial in ("A", "B", "C"):
        transact(chain, MAKER, contract.address, contract.encode("mint", "P", serial, TWIN, LEAF))
        chain.mine(2)
    assert len(passports.all_minted()) == 3


def test_asking_tells_the_contracts_own_refusal(chain: EmbeddedChain, passports: PartPassport) -> None:
    with pytest.raises(Reverted) as refusal:
        ask(chain, passports.contract, "ownerOf", 7)
    assert refusal.value.reason == "ERC721NonexistentToken(7)"


SCHEMA = "string standard,uint64 inspected,address by,bytes32 digest"


def test_schemas_and_fields(chain: EmbeddedChain) -> None:
    anchors = deploy(chain, "CheckpointAnchor")
    contract = deploy(chain, "Attestations", anchors.address)
    attestations = Attestations(chain, contract.address)
    made = transact(chain, OWNER, contract.address, contract.encode("registerSchema", SCHEMA, True))
    uid = attestations.uid_of(made)
    assert uid == schema_uid_of(SCHEMA, True) != schema_uid_of(SCHEMA, False)
    assert attestations.fields_of(uid) == SCHEMA
    values = {"standard": "EN 9100", "inspected": 1_700_000_000, "by": OTHER.address, "digest": LEAF}
    claim = Claim(uid, TWIN, 0, bytes(32), bytes(32), bytes(32), encode_fields(SCHEMA, values))
    receipt = transact(chain, MAKER, contract.address, contract.encode("attest", claim))
    named = attestations.uid_of(receipt)
    found = attestations.attestation(named)
    assert (found.attester, found.twin, found.schema, found.anchored) == (MAKER.address, TWIN, uid, 0)
    assert decode_fields(SCHEMA, found.data) == values
    assert attestations.is_valid(named)
    transact(chain, MAKER, contract.address, contract.encode("revoke", named))
    assert not attestations.is_valid(named)
    assert attestations.attestation(named).revoked
    with pytest.raises(NotFound):
        attestations.attestation(LEAF)
    with pytest.raises(NotFound):
        attestations.fields_of(LEAF)
    with pytest.raises(ChainLied):
        Attestations(chain, anchors.address).uid_of(receipt)


@pytest.mark.parametrize(
    ("schema", "values"),
    [
        ("uint64", {}),
        ("uint65 x", {"x": 1}),
        ("uint64 x", {}),
        ("uint64 x", {"x": 1, "y": 2}),
        ("uint64 x", {"x": -1}),
        ("uint8 x", {"x": 256}),
        ("bytes32 x", {"x": b"short"}),
        ("string x", {"x": 7}),
        ("", {"x": 7}),
    ],
)
def test_wrong_fields_are_refused(schema: str, values: dict[str, object]) -> None:
    with pytest.raises(Malformed):
        encode_fields(schema, values)


def test_no_fields_are_no_data() -> None:
    assert encode_fields("", {}) == b""
    assert decode_fields("", b"") == {}


def terms(anchors: bytes, passports: bytes, **changes: object) -> Terms:
    fields: dict[str, object] = {
        "operator": OWNER.address, "supplier": MAKER.address, "arbiter": bytes(20), "anchors": anchors,
        "passports": passports, "log_id": LEAF, "predictor": KEY, "technician": KEY, "unit": LEAF,
        "below": 0x403E000000000000, "coverage": 0x3FECCCCCCCCCCCCD, "part_number": LEAF, "currency": bytes(20),
        "price": 500, "max_age": 1, "accept_within": 2, "ship_within": 3, "receive_within": 4, "install_within": 5,
        "dispute_within": 6,
    }  # fmt: skip
    return Terms(**{**fields, **changes})  # type: ignore[arg-type]


def test_an_agreement_is_read_as_it_was_proposed(
    chain: EmbeddedChain, passports: PartPassport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twinproof.chain.asking.RANGE", 2)
    anchors = deploy(chain, "CheckpointAnchor").address
    contract = deploy(chain, "MaintenanceAgreement")
    agreements = Agreements(chain, contract.address)
    proposed = []
    for price in (500, 700):
        wanted = terms(anchors, passports.contract.address, price=price)
        receipt = transact(chain, OWNER, contract.address, contract.encode("propose", wanted, [TWIN, LEAF]), 40)
        made = agreements.made(receipt, "Proposed")["id"]
        proposed.append((made, wanted))
        chain.mine(3)
    for made, wanted in proposed:
        found = agreements.proposal(made)
        assert (found.id, found.terms, found.twins) == (made, wanted, (TWIN, LEAF))
        assert agreements.standing(made) == Standing(40, 0, False, False, False, False)
        assert agreements.standing(made).word == "proposed"
    first = proposed[0][1]
    transact(chain, MAKER, contract.address, contract.encode("agree", 1, first))
    assert agreements.standing(1).word == "active"
    transact(chain, MAKER, contract.address, contract.encode("suspend", 1, first, True))
    assert agreements.standing(1).word == "suspended"
    transact(chain, OWNER, contract.address, contract.encode("end", 1, first))
    assert agreements.standing(1).word == "ended"
    transact(chain, OWNER, contract.address, contract.encode("reclaim", 1, first, 30))
    assert agreements.owed(OWNER.address, bytes(20)) == 30
    order = 1 << 32 | 1
    assert agreements.ask("orderKey", order) == order_key_of(chain.chain_id, contract.address, order)
    for missing in (agreements.proposal, agreements.standing, lambda id_: agreements.order(id_ << 32 | 1)):
        with pytest.raises(NotFound):
            missing(9)
    with pytest.raises(ChainLied):
        agreements.made(receipt, "OrderPlaced")


def test_the_terms_have_the_contracts_fields() -> None:
    (inputs,) = [member.inputs for member in Artifact.load("MaintenanceAgreement").members["event"]
                 if member.name == "Proposed"]  # fmt: skip
    (struct,) = [parameter.components for parameter in inputs if parameter.name == "terms"]
    camel = ["".join(w if n == 0 else w.title() for n, w in enumerate(name.split("_"))) for name in Terms.__slots__]
    assert [component.name for component in struct] == camel
    assert [state.word for state in OrderState if state.is_open] == [
        "placed", "accepted", "shipped", "received", "disputed",
    ]  # fmt: skip
