"""The corpus: good bundles, dishonest senders, logs and chains, flipped bits, hostile values.

Made from what tests/verify and tests/twin try on the Python verifier, deterministically.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from typing import Any

from tests.builders import (
    DEVICE,
    GATEWAY,
    INSPECTOR,
    LOG_KEY,
    LOG_PQ_KEY,
    MODEL,
    OTHER_TWIN,
    PQ_WITNESS,
    START,
    STRANGER,
    TWIN,
    WITNESS,
    Log,
    Signer,
    busy_log,
    policy_of,
    small_log,
)
from tests.spec_examples import example_log
from tests.twin import test_kinds
from tests.verify import test_anchors_tampering as anchor_tables
from tests.verify import test_bit_flips as flips
from tests.verify import test_single as single
from tests.verify import test_tampering as tables
from tests.verify.anchorkit import anchor, block_at, recorded, with_anchors
from tests.web.verdicts import Case, bundle_case, tlog_proof_case, transparent_case
from twinproof.proof import cbor
from twinproof.testing.anchors import CONTRACT, DEFAULT_CHAIN, LOG_ID, AnchorBlock
from twinproof.twin.anchors import AnchorTrust, ExpectedAnchor
from twinproof.twin.description import Description
from twinproof.twin.evidence import format_bundle
from twinproof.twin.grants import Capability, Scope, Window
from twinproof.twin.statement import Statement

EVERYTHING = AnchorTrust(confirms=lambda *_: True)
COMMON: list[Any] = [
    None, True, False, 0, 1, -1, 2**53, 2**63, 2**64 - 1, -(2**64), 0.0, -0.5, 1.5, 1e300, float("nan"), float("inf"),
    "", "x", "urn:x", "a b", "a\n", "\ue000", "\U0001f600", b"", b"x", bytes(32), bytes(20), b"\x01" * 32,
    [], [1], ["a"], ["b", "a"], [[]], {}, {"a": 1}, {1: 1}, {"\u200b": 1}, {"a": None}, {"above": 1}, {"missing": 0},
    cbor.Tagged(1, 0), cbor.Tagged(86, bytes(8)), cbor.Tagged(64, b"\x01"), [bytes(32)] * 2,
]  # fmt: skip
"""What stands at any place, in turn."""


# --- bundles ----------------------------------------------------------------------------------


def good_bundles() -> Iterator[Case]:
    """Everything that must verify, and say the same."""
    for name, log in (("small", small_log()), ("busy", busy_log()), ("example", example_log())):
        for subject in (TWIN, OTHER_TWIN) if name == "busy" else (TWIN,):
            yield bundle_case(f"{name} about {subject}", log.bundle_bytes(subject), log.policy())
    keys = (LOG_KEY, LOG_PQ_KEY)
    log = Log(keys=keys)
    log.grant(DEVICE, {Capability.RECORD})
    for number in range(20):
        log.record(DEVICE, float(number), at=START + 10 * number)
    marks = [(size, START + 10 * size) for size in (3, 8, 16, 17, 21)]
    witnesses = [WITNESS, PQ_WITNESS]
    for threshold in ("all", "any", "1", "2"):
        data = format_bundle(log.bundle(marks=marks, time=START + 500, cosigners=witnesses))
        yield bundle_case(f"marks, {threshold}", data, policy_of(*keys, witnesses=witnesses, threshold=threshold))
    partial = format_bundle(log.bundle(indices=[0, 1, *range(9, 15)], marks=marks[:2]))
    yield bundle_case("from the middle", partial, log.policy())
    yield bundle_case("clock back", format_bundle(log.bundle(marks=[(4, START + 900), (9, START + 5)])), log.policy())
    yield bundle_case("a bundle about the log", log.bundle_bytes(log.subject), log.policy())
    blobs = {sha256(data).digest(): data for data in (b"model", b"card")}
    yield bundle_case("blobs", format_bundle(replace(log.bundle(), blobs=blobs)), log.policy())
    resumed = small_log()
    resumed.resume(DEVICE, "card \u00e4 \U0001f600")
    yield bundle_case("resumed", resumed.bundle_bytes(), resumed.policy())


def authority_bundles() -> Iterator[Case]:
    """Grants of every scope and window, to names with two keys, stated by whoever: some logs are honest."""
    chance = random.Random(7)
    fleet = Scope("prefix", "https://fleet.example/")
    scopes = [Scope("prefix", ""), fleet, Scope("twin", TWIN), Scope("model", MODEL)]
    windows = [Window(), Window(until_index=9), Window(from_time=START), Window(until_time=START + 1)]
    people = [GATEWAY, INSPECTOR, DEVICE, Signer(GATEWAY.issuer, STRANGER.key), Signer(DEVICE.issuer, STRANGER.key)]
    for number in range(240):
        log = Log()
        granted: list[tuple[Signer, Statement, set[Capability], Scope, Window]] = []
        for _ in range(chance.randint(1, 4)):
            by, via, can, scope, window = None, None, set(Capability), scopes[0], Window()
            if granted and chance.random() < 0.6:
                by, via, can, scope, window = chance.choice(granted)
            to = chance.choice(people)
            given = set(chance.sample(sorted(can), chance.randint(1, len(can)))) | (can & {Capability.ADMINISTER})
            scope = chance.choice([scope, scope, scope, *scopes])
            window = chance.choice([window, window, *windows])
            found = log.grant(to, given, scope, by=by, via=via, window=window, at=START + chance.randint(0, 1))
            granted.append((to, found, given, scope, window))
            if chance.random() < 0.1:
                log.revoke(chance.choice(granted)[1], by=chance.choice([None, *people]))
        for _ in range(chance.randint(1, 2)):
            by, what = chance.choice(granted)[0], chance.randrange(4)
            if what == 0:
                log.record(by, 1.0, at=START + chance.randint(0, 2))
            elif what == 1:
                log.describe(by, Description(model=MODEL))
            else:
                log.attest(by, "urn:x", subject=TWIN if what == 2 else log.subject)
        yield bundle_case(f"authority {number}", log.bundle_bytes(), log.policy())
    for introduced in (False, True):
        log = Log()
        via = log.grant(GATEWAY, Capability)
        log.grant(DEVICE, {Capability.RECORD}, by=GATEWAY if introduced else None, via=via if introduced else None)
        log.grant(Signer(DEVICE.issuer, STRANGER.key), {Capability.RECORD}, by=GATEWAY, via=via)
        log.record(DEVICE, 1.0)
        case = bundle_case(f"a name of its own: {introduced}", log.bundle_bytes(), log.policy())
        assert (case.expected == {"refused": 6}) is not introduced
        yield case


def tampered_bundles() -> Iterator[Case]:
    """The tables of tests/verify: dishonest senders and logs, checkpoints, manifests."""
    for table in (tables.SENDER, tables.CHECKPOINTS, tables.LOG, tables.MANIFEST):
        for name, make, step, _ in table:
            bundle, policy = make()
            case = bundle_case(f"tampered: {name}", format_bundle(bundle), policy)
            assert case.expected == {"refused": step}
            yield case


def anchored_bundles() -> Iterator[Case]:
    """Good anchors under every kind of trust, and the lies of tests/verify."""
    log = recorded()
    sizes = (4, 7, 10)
    blocks = [
        block_at(log, size, START + 20 * at, before=at - 1, after=3, number=100 + at)
        for at, size in enumerate(sizes, 1)
    ]
    parts = [anchor(log, block.evidence(at), sizes[at]) for at, block in enumerate(blocks)]
    data = with_anchors(log, parts)
    hashes = frozenset(block.hash for block in blocks)
    trusts = [
        None,
        EVERYTHING,
        AnchorTrust(hashes),
        AnchorTrust(frozenset([blocks[1].hash])),
        AnchorTrust(hashes, expected=(ExpectedAnchor(DEFAULT_CHAIN, CONTRACT),)),
        AnchorTrust(hashes, expected=(ExpectedAnchor(DEFAULT_CHAIN, CONTRACT, LOG_ID),)),
        AnchorTrust(hashes, expected=(ExpectedAnchor(1, CONTRACT),)),
        AnchorTrust(hashes, expected=(ExpectedAnchor(DEFAULT_CHAIN, CONTRACT, bytes(32)),)),
    ]
    for number, trust in enumerate(trusts):
        yield bundle_case(f"anchors under trust {number}", data, log.policy(), trust)
    for kind in range(5):
        block = AnchorBlock(time=START + 30, chain_id=1 << 40, later=(b"\x01", bytes(32)))
        block.anchor(size=10, root=log.head(10).root, kind=kind)
        made = with_anchors(log, [anchor(log, block.evidence(0), 10)])
        yield bundle_case(f"a transaction of type {kind}", made, log.policy(), EVERYTHING)
    tried = anchor_tables.LOG
    for name, make, _ in anchor_tables.LIES:
        made = with_anchors(tried, [anchor(tried, make(), anchor_tables.SIZE)])
        yield bundle_case(f"anchor: {name}", made, tried.policy(), EVERYTHING)
    for name, anchors, _ in anchor_tables.FORMS:
        yield bundle_case(f"anchor form: {name}", anchor_tables.form(anchors), tried.policy(), EVERYTHING)
    for order in ((5, 3), (3, 3), (3, 5, 4), (3, 5, 8)):
        made = with_anchors(tried, anchor_tables.several(order))
        yield bundle_case(f"anchors of {order}", made, tried.policy(), EVERYTHING)
    for time in (0, 1 << 53, (1 << 64) - 1, START - 400, START + 20_000):
        block = block_at(tried, 7, time)
        made = with_anchors(tried, [anchor(tried, block.evidence(0), 7)])
        yield bundle_case(f"a block of the time {time}", made, tried.policy(), EVERYTHING)
    begin, end = anchor_tables.BEGIN, anchor_tables.BEGIN + len(anchor_tables.REGION)
    chance = random.Random(3)
    for at in range(begin, end, 3):
        changed = bytearray(anchor_tables.PARTS)
        changed[at] ^= 1 << chance.randrange(8)
        yield bundle_case(f"anchor byte {at - begin}", bytes(changed), tried.policy(), EVERYTHING)


def flipped_bundles() -> Iterator[Case]:
    """A bit of every byte of a small bundle; every seventh cut."""
    data = flips.small_bundle()
    chance = random.Random(1)
    for at in range(len(data)):
        changed = bytearray(data)
        changed[at] ^= 1 << chance.randrange(8)
        yield bundle_case(f"flip in byte {at}", bytes(changed), flips.POLICY)
    for size in range(0, len(data), 37):
        yield bundle_case(f"cut at {size}", data[:size], flips.POLICY)
    yield bundle_case("the bundle of the flips", data, flips.POLICY)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values inside a decoded item."""
    found = [path]
    items = value.items() if type(value) is dict else enumerate(value) if type(value) is list else ()
    for key, item in items:
        found += places(item, (*path, key))
    return found


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """The value with another one at that place."""
    if not path:
        return new
    changed = dict(value) if type(value) is dict else list(value)
    changed[path[0]] = replaced(value[path[0]], path[1:], new)
    return changed


def hostile_bundles() -> Iterator[Case]:
    """Any value at any place of a bundle, spliced bytes, and no bundle at all."""
    log = example_log()
    data = format_bundle(log.bundle(marks=[(2, START + 5)]))
    parts = cbor.decode(data)
    for path in places(parts):
        for number, value in enumerate(COMMON):
            yield bundle_case(f"{path}: value {number}", cbor.encode(replaced(parts, path, value)), log.policy())
    chance = random.Random(5)
    for number in range(150):
        changed = bytearray(data)
        at, piece = chance.randrange(len(data)), chance.randbytes(chance.randint(1, 8))
        changed[at : at + len(piece)] = piece
        yield bundle_case(f"splice {number}", bytes(changed), log.policy())
        yield bundle_case(f"noise {number}", chance.randbytes(chance.randint(0, 60)), log.policy())
    dense = b"\xa2gentries" + cbor.head(4, 100_000) + b"\x80" * 100_000 + b"fformat" + cbor.encode("twinproof-bundle/1")
    yield bundle_case("dense", dense, log.policy())
    for manifest in ({"generator": "\U0001f600" * 200}, {"generator": "\U0001f600" * 201}, {"generator": "a\u0085"}):
        made = {**parts, "manifest": {**parts["manifest"], **manifest}}
        yield bundle_case(f"manifest {manifest!a:.30}", cbor.encode(made), log.policy())


def bundles_of_kinds() -> Iterator[Case]:
    """One bundle with a statement of every kind, and each kind with a payload of the next."""
    examples = {name: row for name, row in test_kinds.EXAMPLES.items() if name not in ("genesis", "grant", "revoke")}
    names = list(examples)
    log = Log()
    log.grant(GATEWAY, Capability)
    for content_type, _, payload in examples.values():
        log.say(GATEWAY, TWIN, content_type, payload)
    yield bundle_case("every kind", log.bundle_bytes(), log.policy())
    for name, other in zip(names, names[1:] + names[:1], strict=True):
        log = Log()
        log.grant(GATEWAY, Capability)
        log.say(GATEWAY, TWIN, examples[name][0], examples[other][2])
        yield bundle_case(f"{name} with the payload of {other}", log.bundle_bytes(), log.policy())
        log = Log()
        log.grant(GATEWAY, set(Capability) - {examples[name][1]})
        log.say(GATEWAY, TWIN, examples[name][0], examples[name][2])
        yield bundle_case(f"{name} without its capability", log.bundle_bytes(), log.policy())


# --- single statements -----------------------------------------------------------


def single_statements() -> Iterator[Case]:
    """Transparent statements and tlog-proofs: good, tampered, a bit of every byte."""
    log, policy, key = single.LOG, single.LOG.policy(), single.KEY
    chance = random.Random(2)
    for index in range(8):
        yield transparent_case(f"transparent {index}", log.transparent(index), policy)
        yield tlog_proof_case(f"tlog-proof {index}", log.tlog_proof(index), log.raws[index], policy)
    yield transparent_case("with signer", single.GOOD, policy, key)
    yield transparent_case("another signer", single.GOOD, policy, GATEWAY.key.public)
    for name, make, _, _ in single.BAD:
        yield transparent_case(f"transparent: {name}", make(), policy)
    for data, what in ((single.GOOD, "transparent"), (log.tlog_proof(single.ENTRY), "tlog-proof")):
        for at in range(len(data)):
            changed = bytearray(data)
            changed[at] ^= 1 << chance.randrange(8)
            if what == "transparent":
                yield transparent_case(f"transparent byte {at}", bytes(changed), policy, key)
            else:
                yield tlog_proof_case(f"tlog-proof byte {at}", bytes(changed), log.raws[single.ENTRY], policy, key)


def all_bundles() -> list[Case]:
    """Every bundle, under names that tell them apart."""
    makers = (
        good_bundles, authority_bundles, tampered_bundles, anchored_bundles, flipped_bundles, hostile_bundles,
        bundles_of_kinds,
    )  # fmt: skip
    return [case for make in makers for case in make()]
