"""Parts, batches, agreements, policies, attestations: each command once, and who may not."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path

import pytest

from tests.cli.chain_rig import LATER, PART_TWIN, Parties, in_two_hours
from tests.cli.rig import TWIN, Cli
from twinproof.errors import Malformed

WORD = "0x" + "8c" * 32


@pytest.fixture(scope="module")
def accredited(parties: Parties) -> Parties:
    parties.operator_does("part", "accredit", parties.supplier_address)
    return parties


def mint(us: Parties, serial: str, number: str = "HPT-7") -> str:
    token: str = us.supplier_does("part", "mint", number, serial, "--twin", PART_TWIN, "--leaf", WORD)["token"]
    return token


def test_parts_are_put_together_and_handed_over_whole(accredited: Parties, cli: Cli) -> None:
    us = accredited
    disk, blade = mint(us, "D1"), mint(us, "B1")
    assert "NotOwner" in us.refused("part", "install", blade, disk)
    us.supplier_does("part", "install", blade, disk)
    assert us.operator_does("part", "show", disk)["parts"] == [blade]
    assert us.operator_does("part", "show", blade)["parent"] == disk
    assert "take it out first" in us.refused(
        "part", "offer", blade, us.operator_address, "--until", LATER, supplier=True
    )
    us.supplier_does("part", "offer", disk, us.operator_address, "--until", LATER)
    assert us.operator_does("part", "show", disk)["offer"]["to"] == us.operator_address
    assert "AssemblyMismatch" in us.refused("part", "accept", disk)
    us.operator_does("part", "accept", disk, blade)
    assert us.operator_does("part", "show", blade)["owner"] == us.operator_address
    us.operator_does("part", "remove", blade)
    us.operator_does("part", "offer", blade, us.supplier_address, "--until", LATER)
    us.supplier_does("part", "cancel", blade)
    us.operator_does("part", "status", blade, "quarantined", "--entry", "2")
    us.operator_does("part", "status", blade, "scrapped")
    assert us.operator_does("part", "show", blade)["status"] == "scrapped"
    life = us.operator_does("part", "life", blade)
    assert [row["event"] for row in life] == [
        "Minted", "Installed", "HandedOver", "Removed", "Offered", "OfferCancelled", "StatusChanged", "StatusChanged",
    ]  # fmt: skip
    assert life[-1]["args"]["status"] == "scrapped"
    told = cli("part", "life", blade, "--folder", us.node).stdout
    assert "8 events" in told
    assert "status scrapped" in told
    assert re.search(r"  Offered +to 0x\w+, expires \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$", told, re.MULTILINE)
    shown = cli("part", "show", disk, "--folder", us.node).stdout
    assert shown.startswith("HPT-7 D1, in-service\n")


def test_parts_are_found(accredited: Parties, cli: Cli) -> None:
    us = accredited
    token = mint(us, "F1", "BLISK")
    for words in (("--number", "BLISK"), ("--serial", "F1"), ("--by", us.supplier_address, "--number", "BLISK")):
        assert [row["token"] for row in us.operator_does("part", "find", *words)] == [token]
    assert token in [row["token"] for row in us.operator_does("part", "find", "--twin", PART_TWIN)]
    assert us.operator_does("part", "find", "--twin", TWIN) == []
    assert f"{token}  BLISK F1" in cli("part", "find", "--number", "BLISK", "--folder", us.node).stdout
    assert "twinproof part find" in us.refused(
        "part", "mint", "BLISK", "F1", "--twin", PART_TWIN, "--leaf", WORD, supplier=True
    )


def test_a_serial_does_not_reach_the_terminal_raw(accredited: Parties, cli: Cli) -> None:
    us = accredited
    token = mint(us, "S\x1b[2J\x9b", "BELL")
    assert us.operator_does("part", "show", token)["serial"] == "S\x1b[2J\x9b"
    for words in (("show", token), ("life", token), ("find", "--number", "BELL")):
        said = cli("part", *words, "--folder", us.node).stdout
        assert "\x1b" not in said
        assert "\x9b" not in said
        assert "S\N{REPLACEMENT CHARACTER}[2J" in said


def test_batches_are_counted(accredited: Parties, cli: Cli) -> None:
    us = accredited
    batch = us.supplier_does("part", "batch", "release", "BOLT", "L1", 500, "--entry", "2")["batch"]
    disk = mint(us, "D2")
    us.supplier_does("part", "batch", "offer", batch, us.operator_address, 40, "--until", LATER)
    assert "WrongQuantity" in us.refused("part", "batch", "accept", batch, us.supplier_address, 39)
    us.operator_does("part", "batch", "accept", batch, us.supplier_address, 40)
    us.supplier_does("part", "batch", "offer", batch, us.operator_address, 60, "--until", LATER)
    us.supplier_does("part", "batch", "cancel", batch, us.supplier_address, us.operator_address)
    us.supplier_does("part", "batch", "install", batch, disk, 8)
    us.supplier_does("part", "batch", "remove", batch, disk, 2)
    us.supplier_does("part", "batch", "remove", batch, disk, 1, "--scrap")
    us.supplier_does("part", "batch", "scrap", batch, 10)
    found = us.operator_does("part", "batch", "show", batch, "--holder", us.supplier_address)
    assert (found["released"], found["installed"], found["scrapped"]) == (500, 5, 11)
    assert (found["available"], found["offered"]) == (500 - 40 - 8 + 2 - 10, 0)
    assert "reserved" in us.refused("part", "batch", "scrap", batch, 5000, supplier=True)
    assert "released      500" in cli("part", "batch", "show", batch, "--folder", us.node).stdout


# --- agreements -----------------------------------------------------------------------------------------


def propose(us: Parties, deposit: str = "2", **changes: str) -> int:
    agreement: int = us.operator_does("agreement", "propose", us.terms(**changes), "--deposit", deposit)["agreement"]
    return agreement


def test_an_agreement_from_proposal_to_end(accredited: Parties, cli: Cli) -> None:
    us = accredited
    id_ = propose(us)
    found = us.operator_does("agreement", "show", id_)
    assert (found["state"], found["free"], found["price"]) == ("proposed", str(2 * 10**18), str(5 * 10**17))
    assert found["twins"] == ["0x" + sha256(TWIN.encode()).hexdigest()]
    terms = found["terms"]
    assert (terms["operator"], terms["supplier"]) == (us.operator_address, us.supplier_address)
    assert (terms["below"], terms["coverage"], terms["arbiter"], terms["currency"]) == (30.0, 0.9, None, None)
    assert (terms["max_age"], terms["dispute_within"]) == (2 * 86400, 14 * 86400)
    assert "another party" in us.refused("agreement", "agree", id_)
    us.supplier_does("agreement", "agree", id_)
    us.supplier_does("agreement", "suspend", id_)
    assert us.operator_does("agreement", "show", id_)["state"] == "suspended"
    us.supplier_does("agreement", "suspend", id_, "--resume")
    assert us.operator_does("agreement", "show", id_)["state"] == "active"
    us.operator_does("agreement", "reclaim", id_, "0.5")
    assert us.operator_does("agreement", "owed", "--of", us.operator_address)["amount"] == str(5 * 10**17)
    assert us.operator_does("agreement", "withdraw")["amount"] == str(5 * 10**17)
    us.operator_does("agreement", "end", id_)
    told = cli("agreement", "show", id_, "--folder", us.node).stdout
    assert told.startswith(f"Agreement {id_}: ended\n")
    assert "price            0.5 coins" in told
    assert "max age          172,800 s" in told


def test_amounts_of_an_erc20_are_said_in_its_units(accredited: Parties, cli: Cli) -> None:
    us = accredited
    # Any contract will do: nothing is taken from it here.
    token = us.operator_does("chain", "status")["contracts"]["Attestations"]
    id_ = propose(us, deposit="0", currency=f'"{token}"', price='"250000000units"')
    found = us.operator_does("agreement", "show", id_)
    assert (found["price"], found["terms"]["currency"]) == ("250000000", token)
    assert "price            250,000,000 units" in cli("agreement", "show", id_, "--folder", us.node).stdout
    for words in (("deposit", id_, "1.5"), ("reclaim", id_, "1.5"), ("deposit", id_, "3wei")):
        assert "smallest unit" in us.refused("agreement", *words, code=2)
    assert "InsufficientEscrow" in us.refused("agreement", "reclaim", id_, "5units")
    owed = cli("agreement", "owed", "--currency", token, "--folder", us.node).stdout
    assert owed == f"{us.operator_address} is owed 0 units.\n"


def order(us: Parties, id_: int) -> str:
    entry = us.predict(20.0)
    us.operator_does("anchor", "now")
    name: str = us.operator_does("agreement", "order", id_, entry)["order"]
    return name


def test_orders_are_cancelled_disputed_and_resolved(accredited: Parties, cli: Cli) -> None:
    us = accredited
    assert "its own arbiter" in us.refused("agreement", "propose", us.terms(arbiter=f'"{us.operator_address}"'))
    arbiter = us.node / "arbiter.json"
    judge = cli.json("chain", "account", "new", arbiter, "--light")["account"]
    us.operator_does("chain", "transfer", judge, "1")
    id_ = propose(us, arbiter=f'"{judge}"')
    us.supplier_does("agreement", "agree", id_)
    first = order(us, id_)
    again = us.predict(19.0)
    us.operator_does("anchor", "now")
    assert "has an open order" in us.refused("agreement", "order", id_, again)
    assert us.operator_does("agreement", "cancel", first)["state"] == "cancelled"
    second = order(us, id_)
    us.supplier_does("agreement", "accept", second)
    assert "deadline is not over" in us.refused("agreement", "expire", second)
    token = mint(us, f"S{id_}")
    us.supplier_does("part", "offer", token, us.operator_address, "--until", in_two_hours())
    us.supplier_does("agreement", "ship", second, token)
    assert us.supplier_does("agreement", "dispute", second)["state"] == "disputed"
    assert "another party" in us.refused("agreement", "resolve", second, "0.2")
    assert "5units" not in us.refused("agreement", "resolve", second, "5units", code=2)
    done = cli.json("agreement", "resolve", second, "0.2", "--folder", us.node, "--account", arbiter)
    assert done["state"] == "resolved"
    owed = cli("agreement", "owed", "--folder", us.node, "--account", us.supplier).stdout
    assert owed == f"{us.supplier_address} is owed 0.2 coins.\n"
    us.supplier_does("agreement", "withdraw")
    found = us.operator_does("agreement", "show", second)
    assert (found["state"], found["part"], len(found["order_key"])) == ("resolved", token, 64)
    text = cli("agreement", "show", second, "--folder", us.node).stdout
    assert text.startswith(f"Order {second}: resolved\n")
    assert f"order key  {found['order_key']}" in text


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"supplier": '"0x12"'}, "terms.supplier"),
        ({"supplier": "7"}, "terms.supplier"),
        ({"supplier": '"0x70997970C51812dc3A010C7d01b50e0d17dc79c8"'}, "terms.supplier"),
        ({"twins": "[]"}, "terms.twins"),
        ({"twins": '["no iri"]'}, "terms.twins[0]"),
        ({"predictor": '"pump7.json"'}, "terms.predictor"),
        ({"predictor": '"nobody.json"'}, "signer card"),
        ({"unit": '""'}, "terms.unit"),
        ({"below": '"30"'}, "terms.below"),
        ({"below": "-1.0"}, "terms.below"),
        ({"below": "inf"}, "terms.below"),
        ({"coverage": "true"}, "terms.coverage"),
        ({"price": "0.5"}, "terms.price"),
        ({"price": '"5units"'}, "terms.price"),
        ({"currency": '"0x70997970C51812dc3A010C7d01b50e0d17dc79C8"'}, "terms.price"),
        ({"accept": "3600"}, "terms.within.accept"),
        ({"accept": '"1w"'}, "terms.within.accept"),
        ({"accept": '"99999999d"'}, "terms.within.accept"),
        ({"log_id": '"0x12"'}, "terms.log_id"),
        ({"part_number": '""\ncolour = "red"'}, "terms.colour"),
        ({"part_number": "["}, "terms"),
    ],
    ids=lambda value: "-".join(f"{k}={v}" for k, v in value.items())[:40] if isinstance(value, dict) else value,
)
def test_wrong_terms_are_named(parties: Parties, changes: dict[str, str], field: str) -> None:
    from twinproof.cli.agreement_terms import read_terms
    from twinproof.node.chain_setup import read_contracts

    path = parties.terms(**changes)
    with pytest.raises(Malformed) as problem:
        read_terms(path, bytes(20), read_contracts(parties.node))
    assert problem.value.field == field
    assert field in parties.refused("agreement", "propose", path, code=2)


def test_terms_that_lack_something(parties: Parties, tmp_path: Path) -> None:
    path = tmp_path / "terms.toml"
    text = parties.terms().read_text()
    for name in ("supplier", "price", "twins"):
        path.write_text("\n".join(line for line in text.splitlines() if not line.startswith(name)))
        assert f"terms.{name}" in parties.refused("agreement", "propose", path, code=2)


# --- policies and attestations ------------------------------------------------------------------------------


def test_policies_are_stated_listed_and_removed(parties: Parties, cli: Cli) -> None:
    us = parties
    words = ("policy", "set", TWIN, "spare", "--agreement", 7, "--unit", "{cycle}", "--below", 30, "--coverage", 0.9)
    made = us.operator_does(*words)
    (found,) = us.operator_does("policy", "list", TWIN)
    contract = us.operator_does("chain", "status")["contracts"]["MaintenanceAgreement"]
    assert (found["id"], found["agreement"], found["entry"]) == ("spare", 7, made["index"])
    assert found["contract"] == contract.lower()
    assert "below 30 {cycle} at 0.9: agreement 7" in cli("policy", "list", TWIN, "--folder", us.node).stdout
    us.operator_does("policy", "remove", TWIN, "spare")
    assert us.operator_does("policy", "list", TWIN) == []
    assert "twinproof policy list" in us.refused("policy", "remove", TWIN, "spare", code=2)
    for wrong, code in ((("--coverage", "2"), 2), (("--below", "-1"), 2), (("--below", "nan"), 2)):
        us.refused(*words, *wrong, code=code)
    assert "policy.id" in us.refused("policy", "set", TWIN, "Spare!", *words[4:], code=2)
    known = cli.json("log", "head", "--folder", us.node)["size"]
    stranger = ("--key", us.node / "forecaster.pem")
    assert "operate" in us.refused(*words, *stranger)
    assert cli.json("log", "head", "--folder", us.node)["size"] == known


def test_an_installation_names_its_order_one_way(parties: Parties) -> None:
    words = ("tell", "installation", TWIN, "--part", WORD, "--key", parties.node / "technician.pem")
    assert "--order-key" in parties.refused(*words, code=2)
    assert "--order-key" in parties.refused(*words, "--order", "1-1", "--order-key", "8c" * 32, code=2)
    parties.operator_does(*words, "--order-key", "8c" * 32, "--remark", "tight")


def test_attestations_are_issued_proved_and_revoked(parties: Parties, cli: Cli) -> None:
    us = parties
    fields = "string standard,uint64 inspected,address by,bytes32 report,uint8[] marks"
    uid = us.operator_does("attest", "schema", fields)["schema"]
    assert "AlreadyRegistered" in us.refused("attest", "schema", fields)
    values = ("--set", "standard=9100", "--set", "inspected=1767225600", "--set", f"by={us.supplier_address}",
              "--set", f"report={WORD}", "--set", "marks=[1, 2]")  # fmt: skip
    issue = ("attest", "issue", TWIN, "--schema", uid)
    plain = us.supplier_does(*issue, *values, "--until", LATER)["attestation"]
    found = us.operator_does("attest", "show", plain)
    assert found["data"] == {
        "standard": "9100", "inspected": 1767225600, "by": us.supplier_address, "report": WORD, "marks": [1, 2],
    }  # fmt: skip
    assert (found["valid"], found["anchored"], found["by"]) == (True, None, us.supplier_address)
    us.operator_does("anchor", "now")
    proven = us.operator_does(*issue, *values, "--entry", 3, "--ref", plain)["attestation"]
    found = us.operator_does("attest", "show", proven)
    assert found["anchored"]
    assert found["ref"] == plain
    assert "only who attested it" in us.refused("attest", "revoke", plain)
    us.supplier_does("attest", "revoke", plain)
    assert us.operator_does("attest", "show", plain)["valid"] is False
    assert "revoked" in cli("attest", "show", plain, "--folder", us.node).stdout
    assert "data.colour" in us.refused(*issue, *values, "--set", "colour=red", code=2)
    assert "needs exactly the fields" in us.refused(*issue, "--set", "standard=x", code=2)
    assert "data.by" in us.refused(*issue, *values, "--set", "by=0x12", code=2)
    last = us.operator_does("attest", "schema", "", "--irrevocable")["schema"]
    kept = us.operator_does("attest", "issue", TWIN, "--schema", last)["attestation"]
    assert "Irrevocable" in us.refused("attest", "revoke", kept)
