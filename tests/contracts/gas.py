"""What the contracts cost: `python -m tests.contracts.gas` runs them on the engine and writes contracts/gas.md.

Everything is deterministic, so the page changes just when a contract does; a test compares.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from tests.contracts.agreement_rig import (
    EARLY,
    IRI,
    NATIVE,
    OPERATOR,
    OTHER_IRI,
    PRICE,
    STRANGER,
    SUPPLIER,
    Rig,
    twin,
)
from tests.contracts.anchoring import NONE, Head, signature
from tests.contracts.forms import KEY, build
from tests.contracts.kit import ALICE, BOB, World
from tests.contracts.passports import BIRTH, LEAF, MANUFACTURER, OWNER, TWIN, Passports, token_id
from tests.contracts.proofs import consistency, inclusion, sparse
from twinproof.chain.abi import Artifact, artifact_names
from twinproof.chain.accounts import Account
from twinproof.chain.transactions import floor_gas
from twinproof.proof import merkle

PAGE: Final = Path(__file__).resolve().parents[2] / "contracts" / "gas.md"

HEAD: Final = """# Gas

Written by `python -m tests.contracts.gas`; not by hand. Each row is a transaction of its own, calldata included, on the
embedded engine: Prague's rules and the P-256 precompile of RIP-7212. Under "aim" stands what prototypes of the same
operation cost, a dash where there was none.

| operation | aim | gas |
|---|---|---|
"""
CODE: Final = """
The largest code that a chain takes has 24,576 bytes (EIP-170).

| contract | code, bytes | creation, gas |
|---|---|---|
"""


class Row(NamedTuple):
    """A line of the page."""

    operation: str
    aim: int | None
    gas: int


def merkle_rows() -> Iterator[Row]:
    """Checks of proofs and statements, alone."""
    harness = World().deploy("Rfc9162Harness")
    claim = inclusion(0xA5A5A, 1 << 20, sparse((0xA5A5A,)))
    assert len(claim.proof) == 20
    arguments = (claim.leaf, claim.index, claim.size, claim.proof, claim.root)
    done = harness.send(ALICE, "checkInclusion", *arguments)
    floor = floor_gas(harness.encode("checkInclusion", *arguments))
    what = ": the least for so much calldata (EIP-7623)" if done.gas == floor else ""
    yield Row(f"inclusion proof of 20 hashes, as a transaction{what}", 50_485, done.gas)
    yield Row("– the check alone", 17_725, harness.call("inclusionGas", claim))
    old, new, get = long_consistency()
    yield Row(
        "consistency proof of 15 hashes, the check alone",
        None,
        harness.call("consistencyGas", consistency(old, new, get)),
    )
    statements = World().deploy("CoseStatementHarness")
    raw = build()
    parsing, native, solidity = statements.call("gasOf", raw, (KEY.public.raw[:32], KEY.public.raw[32:]))
    yield Row(f"statement of {len(raw)} bytes: its form", None, parsing)
    yield Row("– its ES256 signature, with the precompile", None, native)
    yield Row("– ECDSA without the precompile (OpenZeppelin)", None, solidity)


def long_consistency() -> tuple[int, int, merkle.NodeReader]:
    """Sizes whose consistency proof has 15 hashes, and their tree."""
    old, new = 16_420, 32_841
    get = sparse((old - 1, old, new - 1))
    assert len(consistency(old, new, get).proof) == 15
    return old, new, get


def anchor_rows() -> Iterator[Row]:
    """A log's first heads."""
    world = World()
    anchors = world.deploy("CheckpointAnchor")
    made = anchors.send(ALICE, "register", "twin.example/log0", ALICE.address)
    yield Row("register a log", None, made.gas)
    claim = consistency(*long_consistency())
    old = Head(claim.old_size, world.time, claim.old_root)
    first = anchors.send(ALICE, "anchor", made.value, NONE, old.size, old.root, [])
    yield Row("anchor the first head", 68_915, first.gas)
    before = world.snapshot()
    later = (made.value, old, claim.new_size, claim.new_root)
    gas = anchors.send(ALICE, "anchor", *later, claim.proof).gas
    yield Row("anchor a later head, with a consistency proof of 15 hashes; every head is kept", 54_229, gas)
    yield Row("– without the slot that keeps it (22,100)", 54_229, gas - 22_100)
    world.revert(before)
    consent = signature(ALICE, anchors, *later)
    yield Row(
        "– by anybody with the owner's signature",
        None,
        anchors.send(BOB, "anchorSigned", *later, claim.proof, consent).gas,
    )
    world.revert(before)
    yield from attestation_rows(world, anchors.address, made.value)


def attestation_rows(world: World, anchors: bytes, log_id: bytes) -> Iterator[Row]:
    """About a twin of a log that has a head."""
    book = world.deploy("Attestations", anchors)
    schema = book.send(ALICE, "registerSchema", "string standard,uint64 inspected", True)
    yield Row("register a schema", None, schema.gas)
    claim = inclusion(0x1000, 1 << 20, sparse((0x1000,)))
    other = world.at("CheckpointAnchor", anchors).send(ALICE, "register", "twin.example/log1", ALICE.address).value
    head = Head(claim.size, world.time, claim.root)
    world.at("CheckpointAnchor", anchors).send(ALICE, "anchor", other, NONE, head.size, head.root, [])
    request = (schema.value, b"\1" * 32, world.time + 10**6, bytes(32), other, claim.leaf, b"\2" * 64)
    made = book.send(ALICE, "attest", request)
    yield Row("attest, 64 bytes of data", None, made.gas)
    proven = book.send(ALICE, "attestProven", request, head, claim.index, claim.proof)
    yield Row("– with an inclusion proof of 20 hashes", None, proven.gas)
    yield Row("revoke", None, book.send(ALICE, "revoke", made.value).gas)


def part_rows() -> Iterator[Row]:
    """The life of a part."""
    there = Passports()

    def gas(sender: Account, function: str, *arguments: object) -> int:
        return there.contract.send(sender, function, *arguments).gas

    yield Row("mint a manufacturer's first part", 95_376, gas(MANUFACTURER, "mint", "PN-4711", "SN-1", TWIN, BIRTH))
    yield Row("– the next", 78_276, gas(MANUFACTURER, "mint", "PN-4711", "SN-2", TWIN, BIRTH))
    token = token_id(MANUFACTURER, "PN-4711", "SN-1")
    parent = token_id(MANUFACTURER, "PN-4711", "SN-2")
    yield Row("install a part in another", None, gas(MANUFACTURER, "install", token, parent))
    yield Row("remove it", None, gas(MANUFACTURER, "remove", token))
    yield Row("change its status", None, gas(MANUFACTURER, "setStatus", token, 1, LEAF))
    there.send(MANUFACTURER, "setStatus", token, 0, LEAF)
    yield Row("offer it", 48_064, gas(MANUFACTURER, "offer", token, OWNER.address, there.soon))
    yield Row("accept it", 59_609, gas(OWNER, "accept", token))
    yield Row("release a batch", None, gas(MANUFACTURER, "releaseBatch", "BOLT-M8", "LOT-1", 1000, BIRTH))


def agreement_rows() -> Iterator[Row]:
    """An order from the agreement to the payment."""
    rig = Rig.fresh()
    terms = rig.terms()
    twins = [twin(IRI), twin(OTHER_IRI)]
    proposed = rig.send(OPERATOR, "propose", terms, twins)
    agreement = proposed.value
    yield Row("propose an agreement about two twins", 180_905, proposed.gas)
    yield Row("agree", None, rig.send(SUPPLIER, "agree", agreement, terms).gas)
    yield Row("deposit", None, rig.send(OPERATOR, "deposit", agreement, terms, 10 * PRICE, value=10 * PRICE).gas)
    proof = rig.proof(EARLY)
    assert len(proof.path) == 21
    placed = rig.send(STRANGER, "order", agreement, terms, proof)
    yield Row(f"place an order by proof: {len(proof.path)} hashes, ES256, escrow", 130_669, placed.gas)
    order = placed.value
    yield Row("accept the order", None, rig.send(SUPPLIER, "acceptOrder", order, terms).gas)
    token = rig.part()
    rig.offer(token, SUPPLIER, OPERATOR)
    yield Row("ship", None, rig.send(SUPPLIER, "ship", order, terms, token).gas)
    rig.passports.send(OPERATOR, "accept", token)
    yield Row("receive", None, rig.send(STRANGER, "receivePart", order, terms).gas)
    installed = rig.logged(rig.installation(order, token))
    done = rig.send(STRANGER, "confirmInstallation", order, terms, installed)
    yield Row(f"confirm the installation by proof: {len(installed.path)} hashes, ES256; pays", None, done.gas)
    yield Row("withdraw", None, rig.send(SUPPLIER, "withdraw", NATIVE).gas)


def code_rows() -> Iterator[tuple[str, int, int]]:
    """Name, bytes of code and gas of creation, of every contract."""
    addresses = {"Attestations": (bytes(20),), "PartPassport": (ALICE.address,)}
    for name in artifact_names():
        made = World().deploy(name, *addresses.get(name, ()))
        yield name, len(Artifact.load(name).deployed_bytecode), made.gas


def page() -> str:
    """The page, measured now."""
    rows = [*merkle_rows(), *anchor_rows(), *part_rows(), *agreement_rows()]
    lines = [f"| {row.operation} | {f'{row.aim:,}' if row.aim else '–'} | {row.gas:,} |" for row in rows]
    code = [f"| {name} | {size:,} | {gas:,} |" for name, size, gas in code_rows()]
    return HEAD + "\n".join(lines) + "\n" + CODE + "\n".join(code) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
