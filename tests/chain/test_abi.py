"""ABI: the vectors of the specification first, then eth-abi as the other side, then what is refused."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import IntEnum
from types import SimpleNamespace
from typing import Any

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from twinproof.chain.abi import Artifact, Contract, artifact_names, explain_revert
from twinproof.chain.abi_types import MAX_DATA, MAX_SHOWN, decode_values, encode_values, parse_parameters
from twinproof.chain.hexadecimal import format_address, keccak
from twinproof.errors import Malformed, NotFound, TooLarge

ADDRESS = bytes(range(20))
OTHER = bytes(range(20, 40))
HEAD = [{"name": "size", "type": "uint64"}, {"name": "time", "type": "uint64"}, {"name": "root", "type": "bytes32"}]


def _item(kind: str, name: str, inputs: list[Any], outputs: list[Any] | None = None) -> dict[str, Any]:
    return {"type": kind, "name": name, "inputs": inputs, "outputs": outputs or []}


def _input(name: str, kind: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, **more}


ABI = [
    {"type": "constructor", "inputs": [_input("owner", "address")]},
    {"type": "receive", "stateMutability": "payable"},
    _item("function", "baz", [_input("x", "uint32"), _input("y", "bool")], [_input("", "bool")]),
    _item("function", "sam", [_input("a", "bytes"), _input("b", "bool"), _input("c", "uint256[]")]),
    _item(
        "function", "f", [_input("a", "uint256"), _input("b", "uint32[]"), _input("c", "bytes10"), _input("d", "bytes")]
    ),
    _item(
        "function",
        "anchor",
        [_input("logId", "bytes32"), _input("old", "tuple", components=HEAD), _input("proof", "bytes32[]")],
        [_input("", "uint64"), _input("head", "tuple", components=HEAD), _input("who", "address[2]")],
    ),
    _item("function", "over", [_input("a", "uint8")]),
    _item("function", "over", [_input("a", "string")]),
    _item("function", "over", [_input("a", "string"), _input("b", "int8")]),
    _item(
        "event",
        "Moved",
        [
            _input("who", "address", indexed=True),
            _input("name", "string", indexed=True),
            _input("heads", "tuple[]", components=HEAD, indexed=True),
            _input("amount", "uint128"),
            _input("note", "string"),
        ],
    ),
    _item("error", "NotOwner", [_input("who", "address")]),
    _item(
        "error", "Bad", [_input("at", "uint256"), _input("why", "string"), _input("raw", "bytes"), _input("ok", "bool")]
    ),
]
ARTIFACT = Artifact.parse("Sample", json.dumps({"abi": ABI, "bytecode": "0x6001", "deployedBytecode": "6002"}))
CONTRACT = Contract(ARTIFACT, ADDRESS)


@dataclass
class Head:
    size: int
    time: int
    root: bytes


@dataclass
class Swapped:
    time: int
    size: int
    root: bytes


class Kind(IntEnum):
    A = 7


def test_the_vectors_of_the_abi_specification() -> None:
    """docs.soliditylang.org, Contract ABI Specification, "Examples" and "Use of Dynamic Types"."""
    assert CONTRACT.encode("baz", 69, True).hex() == "cdcd77c0" + f"{69:064x}" + f"{1:064x}"
    expected = (
        "a5643bf2"
        + f"{0x60:064x}"
        + f"{1:064x}"
        + f"{0xA0:064x}"
        + f"{4:064x}"
        + b"dave".hex().ljust(64, "0")
        + f"{3:064x}{1:064x}{2:064x}{3:064x}"
    )
    assert CONTRACT.encode("sam", b"dave", True, [1, 2, 3]).hex() == expected
    expected = (
        "8be65246"
        + f"{0x123:064x}"
        + f"{0x80:064x}"
        + b"1234567890".hex().ljust(64, "0")
        + f"{0xE0:064x}"
        + f"{2:064x}{0x456:064x}{0x789:064x}"
        + f"{13:064x}"
        + b"Hello, world!".hex().ljust(64, "0")
    )
    assert CONTRACT.encode("f", 0x123, [0x456, 0x789], b"1234567890", b"Hello, world!").hex() == expected


def test_a_struct_is_a_tuple_or_a_dataclass() -> None:
    plain = CONTRACT.encode("anchor", b"\1" * 32, (1, 2, b"\3" * 32), [b"\4" * 32])
    assert CONTRACT.encode("anchor", b"\1" * 32, Head(1, 2, b"\3" * 32), (b"\4" * 32,)) == plain
    assert plain[:4] == keccak(b"anchor(bytes32,(uint64,uint64,bytes32),bytes32[])")[:4]
    assert CONTRACT.arguments(plain) == (
        "anchor",
        {"logId": b"\1" * 32, "old": (1, 2, b"\3" * 32), "proof": (b"\4" * 32,)},
    )


REFUSED = {
    "too few": ((b"\1" * 32,), "Sample.anchor: needs 3 values"),
    "short bytes32": ((b"\1" * 31, (1, 2, b"\3" * 32), []), "Sample.anchor.logId: needs 32 bytes"),
    "text for bytes": (("0x" + "01" * 32, (1, 2, b"\3" * 32), []), "Sample.anchor.logId"),
    "a bool for a number": ((b"\1" * 32, (True, 2, b"\3" * 32), []), "Sample.anchor.old.size: needs an integer"),
    "negative": ((b"\1" * 32, (1, -1, b"\3" * 32), []), "Sample.anchor.old.time"),
    "65 bits": ((b"\1" * 32, (1 << 64, 1, b"\3" * 32), []), "Sample.anchor.old.size"),
    "another dataclass": ((b"\1" * 32, Swapped(1, 2, b"\3" * 32), []), "Swapped does not have the fields"),
    "a dataclass itself": ((b"\1" * 32, Head, []), "Sample.anchor.old: needs 3 values"),
    "short struct": ((b"\1" * 32, (1, 2), []), "Sample.anchor.old: needs 3 values: size, time, root"),
    "bytes for a list": ((b"\1" * 32, (1, 2, b"\3" * 32), b"\4" * 32), "Sample.anchor.proof: needs a list"),
    "bad item": ((b"\1" * 32, (1, 2, b"\3" * 32), [b"\4" * 32, b""]), r"Sample.anchor.proof\[1\]: needs 32 bytes"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_wrong_values_are_refused_with_their_path(case: str) -> None:
    arguments, message = REFUSED[case]
    with pytest.raises(Malformed, match=message):
        CONTRACT.encode("anchor", *arguments)


def test_overloads() -> None:
    assert CONTRACT.encode("over", "x", -1)[:4] == keccak(b"over(string,int8)")[:4]
    assert CONTRACT.encode("over(uint8)", Kind.A) == keccak(b"over(uint8)")[:4] + bytes(31) + b"\7"
    with pytest.raises(Malformed, match=r"ambiguous; name it as over\(string\) or over\(uint8\)"):
        CONTRACT.encode("over", 1)
    with pytest.raises(Malformed, match="Sample has no such function"):
        CONTRACT.encode("undo")
    with pytest.raises(Malformed, match="needs text"):
        CONTRACT.encode("over(string)", "\ud800")
    with pytest.raises(Malformed, match="needs an integer in range"):
        CONTRACT.encode("over", "x", 128)


def test_answers() -> None:
    types = ["uint64", "(uint64,uint64,bytes32)", "address[2]"]
    data = encode(types, [9, (1, 2, b"\3" * 32), ["0x" + ADDRESS.hex(), "0x" + OTHER.hex()]])
    assert CONTRACT.decode("anchor", data) == (9, (1, 2, b"\3" * 32), (ADDRESS, OTHER))
    assert CONTRACT.decode("baz", bytes(31) + b"\1") is True
    assert CONTRACT.decode("sam", b"") is None


def test_a_missing_contract_answers_nothing() -> None:
    with pytest.raises(Malformed, match=f"no such contract at {format_address(ADDRESS)}"):
        CONTRACT.decode("baz", b"")


@pytest.mark.parametrize(
    ("data", "case"),
    [
        (bytes(31) + b"\2", "a bool of 2"),
        (bytes(31), "short"),
        (bytes(64), "long"),
        (b"\1" + bytes(31), "dirty"),
    ],
    ids=["a bool of 2", "short", "long", "dirty"],
)
def test_answers_are_in_their_one_encoding(data: bytes, case: str) -> None:
    assert case
    with pytest.raises(Malformed, match=r"Sample.baz: is not the encoding of \(bool\)"):
        CONTRACT.decode("baz", data)


def test_offsets_that_share_or_skip_bytes_are_refused() -> None:
    parameters = parse_parameters([_input("a", "bytes"), _input("b", "bytes")], "x")
    data = encode(["bytes", "bytes"], [b"same", b"same"])
    assert decode_values(parameters, data, "x") == (b"same", b"same")
    shared = bytes(31) + b"\x40" + bytes(31) + b"\x40" + data[64:128]
    with pytest.raises(Malformed, match="is not the encoding"):
        decode_values(parameters, shared, "x")
    with pytest.raises(Malformed, match="is not the encoding"):
        decode_values(parameters, b"\xff" * 32 + data[32:], "x")
    with pytest.raises(TooLarge):
        decode_values(parameters, bytes(MAX_DATA + 1), "x")


def test_text_is_utf_8() -> None:
    parameters = parse_parameters([_input("a", "string")], "x")
    with pytest.raises(Malformed, match="is not the encoding"):
        decode_values(parameters, encode(["bytes"], [b"\xff\xfe"]), "x")


KINDS = st.sampled_from(["uint8", "uint256", "int64", "bool", "bytes", "bytes4", "bytes32", "string", "address"])


def _values(kind: str) -> st.SearchStrategy[Any]:
    if kind.startswith("uint"):
        return st.integers(0, (1 << int(kind[4:])) - 1)
    if kind.startswith("int"):
        return st.integers(-(1 << int(kind[3:]) - 1), (1 << int(kind[3:]) - 1) - 1)
    size = {"bytes4": 4, "bytes32": 32, "address": 20}.get(kind)
    if size is not None:
        return st.binary(min_size=size, max_size=size)
    return {"bool": st.booleans(), "bytes": st.binary(max_size=70), "string": st.text(max_size=40)}[kind]


@given(st.data(), st.lists(KINDS, min_size=1, max_size=5))
def test_what_is_encoded_is_decoded_and_eth_abi_agrees(data: st.DataObject, kinds: list[str]) -> None:
    inner = [_input(f"f{place}", kind) for place, kind in enumerate(kinds)]
    raw = [*inner, _input("s", "tuple[]", components=inner), _input("l", "uint16[2][]")]
    parameters = parse_parameters(raw, "x")
    row = st.tuples(*(_values(kind) for kind in kinds))
    pairs = st.lists(st.tuples(_values("uint16"), _values("uint16")), max_size=3).map(tuple)
    values = (*data.draw(row), data.draw(st.lists(row, max_size=3).map(tuple)), data.draw(pairs))
    encoded = encode_values(parameters, values, "x")
    assert encoded == encode([*kinds, f"({','.join(kinds)})[]", "uint16[2][]"], values)
    assert decode_values(parameters, encoded, "x") == values


def _log(**changes: Any) -> Any:
    topics = (
        keccak(b"Moved(address,string,(uint64,uint64,bytes32)[],uint128,string)"),
        bytes(12) + OTHER,
        b"\5" * 32,
        b"\6" * 32,
    )
    return SimpleNamespace(
        **{"address": ADDRESS, "topics": topics, "data": encode(["uint128", "string"], [5, "hi"]), **changes}
    )


def test_events() -> None:
    assert CONTRACT.topic("Moved") == _log().topics[0]
    fields = {"who": OTHER, "name": b"\5" * 32, "heads": b"\6" * 32, "amount": 5, "note": "hi"}
    assert CONTRACT.event(_log()) == ("Moved", fields)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"address": OTHER}, "log.address"),
        ({"topics": ()}, "no event of Sample"),
        ({"topics": (b"\1" * 32,)}, "no event of Sample"),
        ({"topics": _log().topics[:3]}, "needs 3 indexed fields"),
        ({"topics": (*_log().topics[:3], b"\1" * 31)}, "needs 3 indexed fields"),
        ({"topics": (_log().topics[0], b"\1" * 32, *_log().topics[2:])}, "is not the encoding"),
        ({"data": b""}, "is not the encoding"),
    ],
    ids=["address", "none", "unknown", "few", "short", "dirty address", "data"],
)
def test_wrong_logs_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(Malformed, match=message):
        CONTRACT.event(_log(**changes))


def _refusal(signature: str, *values: Any) -> bytes:
    kinds = signature[signature.index("(") + 1 : -1]
    return keccak(signature.encode())[:4] + encode(kinds.split(",") if kinds else [], values)


def test_refusals_in_words() -> None:
    assert CONTRACT.error(_refusal("NotOwner(address)", "0x" + OTHER.hex())) == f"NotOwner({format_address(OTHER)})"
    bad = _refusal("Bad(uint256,string,bytes,bool)", 7, 'a"b\n', b"\xff", True)
    assert CONTRACT.error(bad) == r'Bad(7, "a\"b\n", 0xff, true)'
    assert CONTRACT.error(_refusal("Error(string)", "not yet")) == '"not yet"'
    assert CONTRACT.error(_refusal("Panic(uint256)", 0x11)) == "Panic(0x11): arithmetic overflow"
    assert CONTRACT.error(_refusal("Panic(uint256)", 0x99)) == "Panic(0x99): unknown code"
    assert CONTRACT.error(b"") == "no reason given"
    assert CONTRACT.error(b"\1\2\3\4\5") == "unknown error 0x0102030405"
    assert CONTRACT.error(b"\1" * 100) == f"unknown error 0x{'01' * 36}… (100 bytes)"
    assert explain_revert(_refusal("NotOwner(address)", "0x" + OTHER.hex())).startswith("unknown error 0x")


def test_a_refusal_shows_tokens_as_commands_take_them() -> None:
    """A number that large is a hash; amounts and times stay decimal."""
    token = int.from_bytes(keccak(b"a part"), "big")
    told = explain_revert(_refusal("OfferExpired(uint256,uint64)", token, 1_798_761_600))
    assert told == f"OfferExpired(0x{token:064x}, 1798761600)"
    assert CONTRACT.error(_refusal("Bad(uint256,string,bytes,bool)", 2**128 - 1, "", b"", True)).startswith(
        "Bad(340282366920938463463374607431768211455,"
    )


def test_a_refusal_that_lies_about_its_own_form_is_shown_raw() -> None:
    assert CONTRACT.error(keccak(b"NotOwner(address)")[:4] + b"\1").startswith("unknown error 0x")
    assert CONTRACT.error(bytes.fromhex("08c379a0") + b"\xff" * 64).startswith("unknown error 0x08c379a0")
    long = CONTRACT.error(_refusal("Bad(uint256,string,bytes,bool)", 7, "x" * 9999, b"y" * 9999, True))
    assert len(long) <= MAX_SHOWN + len("Bad")


@given(st.binary(max_size=300))
def test_no_refusal_breaks_the_reader(data: bytes) -> None:
    for selector in (b"", bytes.fromhex("08c379a0"), bytes.fromhex("4e487b71"), *ARTIFACT.errors):
        assert CONTRACT.error(selector + data).isprintable()


def test_deployment() -> None:
    assert ARTIFACT.deployment(OTHER) == b"\x60\x01" + bytes(12) + OTHER
    assert ARTIFACT.deployed_bytecode == b"\x60\x02"
    with pytest.raises(Malformed, match=r"Sample\.constructor: needs 1 values"):
        ARTIFACT.deployment()
    interface = Artifact.parse("I", json.dumps({"abi": [], "bytecode": "0x", "deployedBytecode": "0x"}))
    with pytest.raises(Malformed, match="has no code"):
        interface.deployment()


def _broken(**changes: Any) -> str:
    return json.dumps({"abi": [], "bytecode": "0x", "deployedBytecode": "0x", **changes})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "S.abi: is not a list"),
        (_broken(abi=[1]), r"S.abi\[0\].type"),
        (_broken(abi=[{"type": "event", "name": "E", "anonymous": True, "inputs": []}]), r"S.abi\[0\].type"),
        (_broken(abi=[_item("function", "f", [_input("a", "uint9")])]), r"S.abi\[0\].inputs\[0\].type: uint9"),
        (_broken(abi=[_item("function", "f", [_input("a", "bytes33")])]), "bytes33 does not exist"),
        (_broken(abi=[_item("function", "f", [_input("a", "tuple")])]), "components: is not a list"),
        (_broken(abi=[_item("function", "f", [{"name": 1, "type": "bool"}])]), "is not a parameter"),
        (_broken(bytecode="0x__$aaaa$__"), "not linked"),
        (_broken(bytecode="0x1"), "S.bytecode: is not 0x"),
        (_broken(bytecode=None), "S.bytecode: is null"),
    ],
    ids=["no JSON", "deep", "list", "item", "anonymous", "uint9", "bytes33", "tuple", "name", "link", "odd", "null"],
)
def test_broken_artifacts(text: str, message: str) -> None:
    with pytest.raises(Malformed, match=message):
        Artifact.parse("S", text)


def test_packaged_artifacts_load() -> None:
    assert all(Artifact.load(name).members for name in artifact_names())
    for name in ("Nothing", "../model", ""):
        with pytest.raises(NotFound):
            Artifact.load(name)
