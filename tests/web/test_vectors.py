"""The TypeScript verifier on foreign vectors (Merkle proofs, Wycheproof) and on the examples of spec/."""

from __future__ import annotations

import json
import re
import struct
from base64 import b64decode
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests import spec_examples
from tests.builders import LOG_KEY, PQ_WITNESS, START, WITNESS, policy_of
from tests.twin import hostile
from tests.web.conftest import Ask
from tests.web.verdicts import policy_text
from twinproof.errors import TwinproofError
from twinproof.proof import cbor
from twinproof.proof.keys import EDDSA, ES256, P256_ORDER, PublicKey
from twinproof.proof.policy import parse_policy

SPEC = Path(__file__).resolve().parents[2] / "spec"
POLICY = policy_text(policy_of(LOG_KEY)).hex()


def is_refused(answer: Any) -> bool:
    return type(answer) is dict and "refused" in answer


def example(page: str, name: str) -> str:
    """Hexadecimal of a fenced block."""
    found = re.search(rf"^```(hex|text) {name}\n(.*?)```$", (SPEC / f"{page}.md").read_text(), re.DOTALL | re.MULTILINE)
    assert found is not None
    return "".join(found[2].split()) if found[1] == "hex" else found[2].encode().hex()


# --- the specification's examples ---------------------------------------------------------------


def test_the_example_statement(ask: Ask) -> None:
    key, payload = example("statement", "cose-key"), example("statement", "payload")
    answers = ask(
        [
            {"ask": "statement", "data": example("statement", "statement")},
            {"ask": "thumbprint", "data": key},
            {"ask": "signed", "header": example("statement", "protected"), "data": payload},
            {"ask": "signature", "key": key, "data": example("statement", "to-be-signed"),
             "signature": example("statement", "statement")[-128:]},
            {"ask": "leaf", "data": example("statement", "statement")},
        ]
    )  # fmt: skip
    names = ("digest", "kid", "to-be-signed")
    assert answers == [*(example("statement", name) for name in names), True, example("log", "leaf")]


def test_the_example_evidence(ask: Ask) -> None:
    raw, key = example("statement", "statement"), example("statement", "cose-key")
    anchors = [cbor.decode(bytes.fromhex(example("anchor", "anchor")))]
    bundle: Any = cbor.decode(bytes.fromhex(example("evidence", "bundle")))
    anchored = cbor.encode({**bundle, "anchors": anchors}).hex()
    block = example("anchor", "block-hash")
    common = {"policy": POLICY, "signer": key}
    found = ask(
        [
            {"ask": "bundle", "data": example("evidence", "bundle"), "policy": POLICY},
            {"ask": "bundle", "data": anchored, "policy": POLICY, "trust": {"blocks": [block]}},
            {"ask": "transparent", "data": example("evidence", "transparent"), **common},
            {"ask": "tlogProof", "data": example("evidence", "tlog-proof"), "raw": raw, **common},
        ]
    )
    plain, proved, transparent, tlog_proof = found
    assert plain["operator"] == spec_examples.OPERATOR.key.public.thumbprint.hex()
    assert [entry[2] for entry in plain["entries"]] == [example("statement", "digest")]
    transaction = proved["anchors"][0][2]
    assert proved["anchors"] == [["2", block, transaction, "1700000060", True]]
    assert transparent == tlog_proof
    assert (transparent["index"], transparent["size"], transparent["signerChecked"]) == ("2", "3", True)


@pytest.mark.parametrize(
    ("page", "kind", "content_type"),
    [
        ("authority", "genesis", "application/vnd.twinproof.genesis+cbor"),
        ("authority", "grant", "application/vnd.twinproof.grant+cbor"),
        ("authority", "revoke", "application/vnd.twinproof.revoke+cbor"),
        ("prediction", "prediction", "application/vnd.twinproof.prediction+cbor"),
        ("prediction", "predictor", "application/vnd.twinproof.predictor+cbor"),
        ("chain", "installation", "application/vnd.twinproof.installation+cbor"),
        ("chain", "policy", "application/vnd.twinproof.policy+cbor"),
        ("chain", "chain-event", "application/vnd.twinproof.chain-event+cbor"),
    ],
)
def test_example_payloads(ask: Ask, page: str, kind: str, content_type: str) -> None:
    question = {"ask": "payload", "contentType": content_type, "data": example(page, kind), "issuedAt": str(START)}
    assert ask([question]) == [[]]


def test_example_readings(ask: Ask) -> None:
    """The tables of readings.md, whose blocks stand under other names."""
    page = (SPEC / "readings.md").read_text()
    questions, tables = [], []
    for name, kind in (("senml", "senml+cbor"), ("columns", "vnd.twinproof.columns+cbor")):
        block = re.search(rf"^```{name}\n(.*?)```.*?\n\n(\| name .*?)\n\n", f"{page}\n\n", re.DOTALL | re.MULTILINE)
        assert block is not None
        data = "".join(block[1].split())
        questions.append({"ask": "payload", "contentType": f"application/{kind}", "data": data, "issuedAt": "1"})
        rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in block[2].splitlines()[2:]]
        tables.append([(row[0], float(row[1]), float(row[3])) for row in rows])
    answers = ask(questions)
    read = [[(row[0], float(row[1][1] if type(row[1]) is list else row[1]), row[2]) for row in one] for one in answers]
    assert read == tables
    assert [len(table) for table in tables] == [3, 5]


# --- Merkle proofs ------------------------------------------------------------------------------


def hexed(value: str | None) -> str:
    return b64decode(value or "", validate=True).hex()


def vectors(shared: Path, kind: str) -> list[dict[str, Any]]:
    files = sorted((shared / "vectors" / "merkle" / "testdata" / kind).rglob("*.json"))
    return [json.loads(file.read_text()) for file in files]


def test_inclusion_vectors(shared: Path, ask: Ask) -> None:
    cases = vectors(shared, "inclusion")
    assert len(cases) == 98
    answers = ask(
        [
            {"ask": "inclusion", "index": str(case["leafIdx"]), "size": str(case["treeSize"]),
             "leaf": hexed(case["leafHash"]), "path": [hexed(one) for one in case["proof"] or []]}
            for case in cases
        ]
    )  # fmt: skip
    # Two vectors have a leaf and a root of no bytes, which the fold from leaf to root cannot see.
    wrong = [is_refused(a) or a != hexed(c["root"]) or len(a) != 64 for a, c in zip(answers, cases, strict=True)]
    assert wrong == [case["wantErr"] for case in cases]


def test_consistency_vectors(shared: Path, ask: Ask) -> None:
    """Short roots are made whole, so that length decides nothing; size 0 leads to every tree, as spec/log.md says."""
    cases = vectors(shared, "consistency")
    assert len(cases) == 98
    roots = [[b64decode(case[name] or "") for name in ("root1", "root2")] for case in cases]
    whole = [[r.hex() if len(r) == 32 else sha256(r).hexdigest() for r in two] for two in roots]
    answers = ask(
        [
            {"ask": "consistency", "size1": str(case["size1"]), "size2": str(case["size2"]), "root1": one, "root2": two,
             "path": [hexed(hash_) for hash_ in case["proof"] or []]}
            for case, (one, two) in zip(cases, whole, strict=True)
        ]
    )  # fmt: skip
    empty = sha256(b"").hexdigest()
    for case, answer, (one, _) in zip(cases, answers, whole, strict=True):
        from_nothing = case["size1"] == 0 < case["size2"] and not case["proof"] and one == empty
        assert is_refused(answer) == (case["wantErr"] and not from_nothing), case


# --- signatures ---------------------------------------------------------------------------------


def signature_case(key: PublicKey, message: str, signature: str) -> dict[str, Any]:
    return {"ask": "signature", "key": cbor.encode(key.cose_key).hex(), "data": message, "signature": signature}


@pytest.mark.parametrize("engine", ["webcrypto", "noble"])
@pytest.mark.parametrize("file", ["ed25519", "ecdsa_secp256r1_sha256_p1363"])
def test_wycheproof(shared: Path, ask: Ask, file: str, engine: str) -> None:
    content = json.loads((shared / "vectors" / "wycheproof" / "testvectors_v1" / f"{file}_test.json").read_text())
    questions, wanted = [], []
    for group in content["testGroups"]:
        public = group["publicKey"]
        key = (
            PublicKey(EDDSA, bytes.fromhex(public["pk"]))
            if file == "ed25519"
            else PublicKey(ES256, bytes.fromhex(public["uncompressed"])[1:])
        )
        for case in group["tests"]:
            signature = case["sig"]
            # A high s is valid ECDSA and refused here: the same signature must not have two forms.
            high = file != "ed25519" and len(signature) == 128 and int(signature[64:], 16) > P256_ORDER // 2
            questions.append(signature_case(key, case["msg"], signature))
            wanted.append(case["result"] == "valid" and not high)
    assert len(wanted) == content["numberOfTests"]
    assert ask(questions, engine=engine) == wanted


SMALL_ORDER = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
]


@pytest.mark.parametrize("engine", ["webcrypto", "noble"])
def test_small_order_keys_sign_nothing(ask: Ask, engine: str) -> None:
    """OpenSSL, which is behind WebCrypto here, lets the identity as a key "sign" everything."""
    questions = [
        signature_case(PublicKey(EDDSA, bytes.fromhex(public)), (b"message %d" % number).hex(), r + "00" * 32)
        for public in SMALL_ORDER
        for r in (SMALL_ORDER[0], public)
        for number in range(16)
    ]
    assert not any(ask(questions, engine=engine))


# --- CBOR, statements, policies -----------------------------------------------------------------


def test_hostile_statements(ask: Ask) -> None:
    cases = hostile.cases()
    answers = ask([{"ask": "statement", "data": case.raw.hex()} for case in cases])
    assert [case.name for case, answer in zip(cases, answers, strict=True) if not is_refused(answer)] == []
    assert ask([{"ask": "statement", "data": hostile.good().hex()}]) == [sha256(hostile.good()).hexdigest()]


def test_every_half_float_and_its_neighbours(ask: Ask) -> None:
    """Shortest floats: each half, and singles and doubles that are, or nearly are, a half or a single."""
    encoded = [b"\xf9" + bits.to_bytes(2, "big") for bits in range(0, 1 << 16, 7)]
    for bits in range(0, 1 << 16, 97):
        value = struct.unpack(">e", bits.to_bytes(2, "big"))[0]
        single = struct.pack(">f", value)
        encoded += [b"\xfa" + single, b"\xfb" + struct.pack(">d", value)]
        encoded += [
            b"\xfa" + single[:2] + bytes((single[2] ^ low, single[3] ^ last)) for low, last in ((0x10, 0), (0, 1))
        ]
        encoded.append(b"\xfb" + struct.pack(">d", value)[:-1] + b"\x01")
    compare_cbor(ask, encoded)


def test_every_short_item(ask: Ask) -> None:
    items = [bytes((first, second)) for first in range(256) for second in range(0, 256, 5)]
    items += [b"\xa2" + one + b"\x01" + two + b"\x02" for one in KEYS for two in KEYS]
    items += [
        b"\x63\xed\xa0\x80",
        b"\x64\xf4\x90\x80\x80",
        b"\x62\xc0\x80",
        b"\x63\xef\xbb\xbf",
        b"\x81" * 16 + b"\x80",
    ]
    items += [b"\x81" * 15 + b"\x80", b"\xd2" * 16 + b"\x01", b"\xd2" * 17 + b"\x01", b"\xc2\x49" + b"\x01" * 9, b""]
    compare_cbor(ask, items)


KEYS = [
    b"\x00",
    b"\x18\x18",
    b"\x19\x01\x00",
    b"\x20",
    b"\x38\x18",
    b"\x60",
    b"\x61a",
    b"\x61b",
    b"\x62aa",
    b"\x40",
    b"\xf6",
]


def compare_cbor(ask: Ask, items: list[bytes]) -> None:
    answers = ask([{"ask": "cbor", "data": item.hex()} for item in items])
    for item, answer in zip(items, answers, strict=True):
        try:
            cbor.decode(item)
        except TwinproofError:
            assert is_refused(answer), item.hex()
        else:
            assert answer is True, (item.hex(), answer)


def test_policies(ask: Ask) -> None:
    log, *_ = policy_text(policy_of(LOG_KEY)).splitlines()
    w = [str(key.verifier).encode() for key in (WITNESS, PQ_WITNESS)]
    tail = b"quorum none\n"
    texts = [
        b"",
        tail,
        log,
        log + b"\n" + tail,
        log + b" https://x\n" + tail,
        log + b" a b\n" + tail,
        log + b"\n" + log + b"\n" + tail,
        b"# x\n\n\t" + log + b"\t\n  # y\n" + tail,
        log + b"\r\n" + tail,
        log + b"\n" + tail + tail,
        tail + b"quorum none",
        b"log x\n" + tail,
        b"log \xff+00000000+AAAA\n" + tail,
        log[:-1] + b"\n" + tail,
        log.replace(b"+", b"+0", 1) + b"\n" + tail,
        b"witness a " + w[0] + b"\nquorum a\n",
        b"witness \xff " + w[0] + b"\nquorum \xff\n",
        b"witness a " + log[4:] + b"\n" + tail,
        b"witness none " + w[0] + b"\n" + tail,
        b"witness a " + w[0] + b"\nwitness a " + w[1] + b"\n" + tail,
        b"witness a " + w[0] + b"\nwitness b " + w[0] + b"\n" + tail,
        b"quorum a\nwitness a " + w[0] + b"\n",
        *(
            b"witness a " + w[0] + b"\nwitness b " + w[1] + b"\n" + rest
            for rest in (
                b"group g all a b\nquorum g\n",
                b"group g any a b\nquorum g\n",
                b"group g 2 a b\nquorum g\n",
                b"group g 3 a b\nquorum g\n",
                b"group g 0 a\nquorum g\n",
                b"group g 01 a\nquorum g\n",
                b"group g +1 a\nquorum g\n",
                b"group g all\nquorum g\n",
                b"group g all a a\nquorum g\n",
                b"group g all a c\nquorum g\n",
                b"group g all a\ngroup h all a\nquorum h\n",
                b"group g all a\ngroup h any g b\nquorum h\n",
                b"group a all b\nquorum a\n",
                b"group g all b\ngroup g all a\nquorum g\n",
                b"nonsense\nquorum none\n",
                b"quorum g\n",
            )
        ),
    ]
    answers = ask([{"ask": "policy", "data": text.hex()} for text in texts])
    for text, answer in zip(texts, answers, strict=True):
        try:
            count = len(parse_policy(text).logs)
        except TwinproofError:
            assert is_refused(answer), text
        else:
            assert answer == count, (text, answer)
