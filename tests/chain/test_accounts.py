"""Accounts: the vectors of EIP-55, EIP-712 and the Web3 Secret Storage, eth-account as the other side, and refusals."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account as Foreign
from eth_account.messages import encode_typed_data
from hypothesis import given, settings
from hypothesis import strategies as st

from twinproof.chain.accounts import Account, recover_address
from twinproof.chain.hexadecimal import format_address, keccak, parse_address
from twinproof.chain.keystore import LIGHT_SCRYPT_N, format_keystore, parse_keystore, read_keystore, write_keystore
from twinproof.chain.recovery import SECP256K1_ORDER, recover
from twinproof.chain.signing import Unsigned, unsigned
from twinproof.chain.transactions import parse_transaction
from twinproof.chain.typed_data import typed_digest
from twinproof.errors import BadSignature, ConfigError, Malformed, TooLarge, WrongPassword

KEY = keccak(b"cow")
"""The EIP-712 example's."""
COW = Account(KEY)
N = 16
"""Of scrypt: tests derive many keys."""

EIP_55 = [
    "0x52908400098527886E0F7030069857D2E4169EE7",
    "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
    "0xde709f2102306220921060314715629080e2fb77",
    "0x27b1fdb04752bbc536007a920d24acb045561c26",
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
    "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
]


@pytest.mark.parametrize("text", EIP_55)
def test_the_vectors_of_eip_55(text: str) -> None:
    assert format_address(parse_address(text)) == text
    assert format_address(parse_address(text.lower())) == text
    assert parse_address("0x" + text[2:].upper()) == bytes.fromhex(text[2:])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0x",
        EIP_55[4][:-1],
        EIP_55[4] + "0",
        EIP_55[4][2:],
        EIP_55[4].replace("A", "a", 1),
        EIP_55[4] + "\n",
        "0X" + EIP_55[4][2:],
        "0x" + "٣" * 40,
    ],
    ids=["empty", "prefix", "short", "long", "bare", "checksum", "newline", "0X", "digits"],
)
def test_wrong_addresses(text: str) -> None:
    with pytest.raises(Malformed, match="to: "):
        parse_address(text, "to")


@pytest.mark.parametrize(
    "key",
    [b"", bytes(32), b"\xff" * 32, SECP256K1_ORDER.to_bytes(32, "big"), bytes(31) + b"\1\0"],
    ids=["none", "zero", "high", "order", "33 bytes"],
)
def test_wrong_keys(key: bytes) -> None:
    with pytest.raises(Malformed, match="key: is not a secp256k1 key") as caught:
        Account(key)
    assert key.hex() not in str(caught.value) or not key


def test_a_key_is_shown_nowhere() -> None:
    assert repr(COW) == "<Account 0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826>"
    assert str(COW) == Foreign.from_key(KEY).address
    assert Account.generate().address != Account.generate().address


@given(
    st.binary(min_size=32, max_size=32),
    st.integers(0, 1 << 63),
    st.integers(0, 1 << 90),
    st.integers(0, 1 << 90),
    st.integers(0, 1 << 63),
    st.none() | st.binary(min_size=20, max_size=20),
    st.integers(0, 1 << 100),
    st.binary(max_size=200),
    st.lists(
        st.tuples(
            st.binary(min_size=20, max_size=20), st.lists(st.binary(min_size=32, max_size=32), max_size=2).map(tuple)
        ),
        max_size=2,
    ).map(tuple),
)
@settings(max_examples=50)
def test_eth_account_signs_the_same_bytes(
    key: bytes, nonce: int, tip: int, more: int, gas: int, to: bytes | None, value: int, data: bytes, access: Any
) -> None:
    if not 0 < int.from_bytes(key, "big") < SECP256K1_ORDER:
        return
    transaction = Unsigned(31337, nonce, tip, tip + more, gas, to, value, data, access)
    account = Account(key)
    raw = account.sign_transaction(transaction)
    fields = {
        "type": 2,
        "chainId": 31337,
        "nonce": nonce,
        "maxPriorityFeePerGas": tip,
        "maxFeePerGas": tip + more,
        "gas": gas,
        "to": to or b"",
        "value": value,
        "data": data,
        "accessList": [{"address": format_address(a), "storageKeys": ["0x" + k.hex() for k in ks]} for a, ks in access],
    }
    assert Foreign.sign_transaction(fields, key).raw_transaction == raw
    read = parse_transaction(raw)
    assert (unsigned(read), read.sender) == (transaction, account.address)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"nonce": -1}, "nonce"),
        ({"nonce": (1 << 64) - 1}, "nonce"),
        ({"gas": 1 << 64}, "gas"),
        ({"gas": True}, "gas"),
        ({"max_tip": 3}, "max_tip"),
        ({"max_fee": 1 << 256}, "max_fee"),
        ({"to": b""}, "to"),
        ({"value": 1.0}, "value"),
    ],
    ids=["negative", "last nonce", "gas", "bool", "tip", "fee", "to", "float"],
)
def test_impossible_transactions(changes: dict[str, Any], field: str) -> None:
    fields = {"chain_id": 1, "nonce": 0, "max_tip": 1, "max_fee": 2, "gas": 21000, "to": bytes(20)}
    with pytest.raises(Malformed, match=rf"transaction\.{field}"):
        Unsigned(**{**fields, **changes})


def test_a_transaction_is_at_most_128_kib() -> None:
    with pytest.raises(TooLarge):
        COW.sign_transaction(Unsigned(1, 0, 1, 2, 21000, bytes(20), 0, bytes(128 * 1024)))


def test_what_it_costs_at_most() -> None:
    assert Unsigned(1, 0, 1, 2, 21000, bytes(20), 5).max_cost == 42005


MAIL = {
    "Person": [("name", "string"), ("wallet", "address")],
    "Mail": [("from", "Person"), ("to", "Person"), ("contents", "string")],
}
MAIL_DOMAIN = {"name": "Ether Mail", "version": "1", "chainId": 1, "verifyingContract": bytes.fromhex("cc" * 20)}
LETTER = {
    "from": {"name": "Cow", "wallet": bytes.fromhex("cd2a3d9f938e13cd947ec05abc7fe734df8dd826")},
    "to": {"name": "Bob", "wallet": bytes.fromhex("bb" * 20)},
    "contents": "Hello, Bob!",
}


def test_the_example_of_eip_712() -> None:
    digest = typed_digest(MAIL_DOMAIN, MAIL, LETTER)
    assert digest.hex() == "be609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2"
    signature = COW.sign_typed(MAIL_DOMAIN, MAIL, LETTER)
    assert recover_address(digest, signature) == COW.address
    listed = {name: [{"name": field, "type": kind} for field, kind in fields] for name, fields in MAIL.items()}
    shown = {**MAIL_DOMAIN, "verifyingContract": "0x" + "cc" * 20}
    assert Foreign.sign_message(encode_typed_data(shown, listed, LETTER), KEY).signature == signature


NESTED = {
    "Leaf": [("at", "uint64"), ("raw", "bytes"), ("tags", "string[]")],
    "Top": [
        ("leaves", "Leaf[]"),
        ("pair", "int16[2]"),
        ("ok", "bool"),
        ("who", "address[]"),
        ("root", "bytes32"),
        ("grid", "uint8[2][]"),
    ],
}


@given(
    st.lists(
        st.tuples(st.integers(0, 2**64 - 1), st.binary(max_size=40), st.lists(st.text(max_size=5), max_size=3)),
        max_size=3,
    ),
    st.integers(-(2**15), 2**15 - 1),
    st.booleans(),
    st.lists(st.binary(min_size=20, max_size=20), max_size=2),
)
@settings(max_examples=30)
def test_eth_account_hashes_nested_data_alike(leaves: Any, number: int, ok: bool, who: list[bytes]) -> None:
    message = {
        "leaves": [dict(zip(("at", "raw", "tags"), leaf, strict=True)) for leaf in leaves],
        "pair": [number, 0],
        "ok": ok,
        "who": who,
        "root": b"\7" * 32,
        "grid": [[1, 2], [3, 4]],
    }
    listed = {name: [{"name": field, "type": kind} for field, kind in fields] for name, fields in NESTED.items()}
    domain = {"name": "x", "version": "1", "chainId": 5, "salt": b"\1" * 32}
    theirs = Foreign.sign_message(encode_typed_data(domain, listed, message), KEY)
    assert theirs.signature == COW.sign_typed(domain, NESTED, message)


UNFIT: dict[str, tuple[Any, Any, str]] = {
    "text for bytes": ({"A": [("x", "bytes32")]}, {"x": "zz"}, r"message\.x"),
    "out of range": ({"A": [("x", "uint8")]}, {"x": 256}, r"message\.x"),
    "a bool": ({"A": [("x", "uint8")]}, {"x": True}, r"message\.x"),
    "missing": ({"A": [("x", "uint8")]}, {}, "needs exactly the fields x of A"),
    "too much": ({"A": [("x", "uint8")]}, {"x": 1, "y": 1}, "needs exactly the fields x of A"),
    "short address": ({"A": [("x", "address")]}, {"x": b"\1"}, r"message\.x"),
    "unknown type": ({"A": [("x", "B")]}, {"x": {}}, r"message\.x"),
    "a tuple": ({"A": [("x", "tuple")]}, {"x": ()}, r"message\.x"),
    "not a list": ({"A": [("x", "uint8[]")]}, {"x": 1}, r"message\.x: needs a list"),
    "short list": ({"A": [("x", "uint8[2]")]}, {"x": [1]}, r"message\.x: needs a list"),
    "in a list": ({"A": [("x", "B[]")], "B": [("y", "bytes")]}, {"x": [{"y": ""}]}, r"message\.x\[0\]\.y"),
    "surrogate": ({"A": [("x", "string")]}, {"x": "\ud800"}, r"message\.x"),
    "two roots": ({"A": [], "B": []}, {}, "types"),
    "a circle": ({"A": [("x", "B")], "B": [("y", "A")]}, {}, "types"),
}


@pytest.mark.parametrize("case", UNFIT)
def test_typed_data_that_does_not_fit(case: str) -> None:
    types, message, expected = UNFIT[case]
    with pytest.raises(Malformed, match=expected):
        typed_digest({"name": "x", "chainId": 1}, types, message)


def test_a_wrong_domain() -> None:
    for domain in ({"nme": "x"}, {"chainId": -1}, {"verifyingContract": "0x" + "cc" * 20}):
        with pytest.raises(Malformed, match="domain"):
            typed_digest(domain, {"A": []}, {})


@pytest.mark.parametrize(
    "signature",
    [b"", bytes(65), bytes(64) + b"\x1b", b"\1" * 64 + b"\x1d", b"\1" * 32 + b"\xff" * 32 + b"\x1b"],
    ids=["none", "zeros", "zero r", "v 29", "high s"],
)
def test_wrong_signatures(signature: bytes) -> None:
    with pytest.raises(BadSignature):
        recover_address(b"\1" * 32, signature)
    with pytest.raises(BadSignature):
        recover(b"\1" * 31, bytes(65))


def test_a_malleated_signature_is_refused() -> None:
    signature = COW.sign_digest(b"\1" * 32)
    assert recover_address(b"\1" * 32, signature) == COW.address
    s = SECP256K1_ORDER - int.from_bytes(signature[32:64], "big")
    with pytest.raises(BadSignature, match="high"):
        recover_address(b"\1" * 32, signature[:32] + s.to_bytes(32, "big") + bytes([55 - signature[64]]))
    with pytest.raises(Malformed):
        COW.sign_digest(b"\1" * 31)


# --- keystore ---

GETH = {
    "crypto": {
        "cipher": "aes-128-ctr",
        "cipherparams": {"iv": "83dbcc02d8ccb40e466191a123791e0e"},
        "ciphertext": "d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c",
        "kdf": "scrypt",
        "kdfparams": {
            "dklen": 32,
            "n": 262144,
            "r": 1,
            "p": 8,
            "salt": "ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19",
        },
        "mac": "2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097",
    },
    "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
    "version": 3,
}
"""The scrypt example of the Web3 Secret Storage Definition; its password is testpassword."""


def test_the_vector_of_the_secret_storage_definition() -> None:
    account = parse_keystore(json.dumps(GETH).encode(), "testpassword")
    assert account.key.hex() == "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d"


def test_eth_account_reads_ours_and_we_read_eth_accounts() -> None:
    ours = json.loads(format_keystore(COW, "pässword", n=N))
    assert Foreign.decrypt(ours, "pässword") == KEY
    theirs = json.dumps(Foreign.encrypt(KEY, "pässword", kdf="scrypt", iterations=LIGHT_SCRYPT_N))
    assert parse_keystore(theirs.encode(), "pässword").key == KEY


def test_a_file_for_the_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    write_keystore(path, COW, "secret", n=N)
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_keystore(path, "secret").address == COW.address
    with pytest.raises(WrongPassword, match=r"key\.json: the password is wrong"):
        read_keystore(path, "Secret")
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="never overwritten"):
        write_keystore(path, Account.generate(), "secret", n=N)
    assert path.read_bytes() == before
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        read_keystore(path, "secret")
    with pytest.raises(ConfigError, match="No such file"):
        read_keystore(tmp_path / "none.json", "secret")
    with pytest.raises(ConfigError, match="No such file"):
        write_keystore(tmp_path / "none" / "key.json", COW, "secret", n=N)


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Exception, match="No space left") as caught:
        write_keystore(tmp_path / "key.json", COW, "secret", n=N)
    assert type(caught.value).__name__ == "StorageFailed"
    assert list(tmp_path.iterdir()) == []


SMALL = json.loads(format_keystore(COW, "secret", n=N))


def _changed(path: str, value: Any) -> bytes:
    copy = json.loads(json.dumps(SMALL))
    *way, last = path.split(".")
    place = copy
    for step in way:
        place = place[step]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return json.dumps(copy).encode()


HOSTILE = {
    "no version": ("version", None, Malformed, "version"),
    "version 4": ("version", 4, Malformed, "version"),
    "version 3.0": ("version", 3.0, Malformed, "version"),
    "no crypto": ("crypto", None, Malformed, "crypto: is not an object"),
    "another cipher": ("crypto.cipher", "aes-256-gcm", Malformed, "crypto.cipher: is not aes-128-ctr"),
    "pbkdf2": ("crypto.kdf", "pbkdf2", Malformed, "crypto.kdf: is not scrypt"),
    "a short key": ("crypto.kdfparams.dklen", 16, Malformed, "kdfparams.dklen"),
    "n as text": ("crypto.kdfparams.n", "16", Malformed, "kdfparams.n: is not an integer"),
    "n as bool": ("crypto.kdfparams.n", True, Malformed, "kdfparams.n: is not an integer"),
    "n of 0": ("crypto.kdfparams.n", 0, Malformed, "power of two"),
    "n of 3": ("crypto.kdfparams.n", 3, Malformed, "power of two"),
    "negative r": ("crypto.kdfparams.r", -1, Malformed, "at least 1"),
    "64 GiB": ("crypto.kdfparams.n", 1 << 26, TooLarge, "512 MiB"),
    "huge r": ("crypto.kdfparams.r", 1 << 60, TooLarge, "512 MiB"),
    "hours": ("crypto.kdfparams.p", 1 << 30, TooLarge, "too long"),
    "no salt": ("crypto.kdfparams.salt", None, Malformed, "salt"),
    "odd salt": ("crypto.kdfparams.salt", "abc", Malformed, "salt"),
    "short iv": ("crypto.cipherparams.iv", "00", Malformed, "iv: is not hexadecimal text of 16 bytes"),
    "long ciphertext": ("crypto.ciphertext", "00" * 33, Malformed, "ciphertext"),
    "another ciphertext": ("crypto.ciphertext", "00" * 32, WrongPassword, "was changed"),
    "another mac": ("crypto.mac", "00" * 32, WrongPassword, "was changed"),
    "another address": ("address", "00" * 20, Malformed, "but the key is that of 0xCD2a"),
    "no address": ("address", "", Malformed, "address"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_files(case: str) -> None:
    path, value, error, message = HOSTILE[case]
    with pytest.raises(error, match=message) as caught:
        parse_keystore(_changed(path, value), "secret")
    assert type(caught.value) is error
    assert KEY.hex() not in str(caught.value)


@pytest.mark.parametrize(
    "data", [b"", b"[", b"[]", b"3", b"\xff", b"[" * 9999], ids=["none", "[", "[]", "3", "ff", "deep"]
)
def test_files_that_are_no_keystore(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse_keystore(data, "secret")


def test_a_file_is_bounded() -> None:
    with pytest.raises(TooLarge):
        parse_keystore(b" " * (16 * 1024) + b"{}", "secret")
    with pytest.raises(Malformed, match="password"):
        parse_keystore(json.dumps(SMALL).encode(), "\ud800")
    with pytest.raises(Malformed, match="power of two"):
        format_keystore(COW, "secret", n=1000)
