"""Key files: never overwritten, never readable by others, never taken for another kind."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import DEVICE, GATEWAY
from twinproof.errors import ConfigError, Malformed, StorageFailed, TwinproofError
from twinproof.node.cards import SignerCard, parse_card
from twinproof.node.keyring import (
    new_private_key,
    new_signer_key,
    read_private_key,
    read_secret,
    read_signer_key,
    write_secret,
)
from twinproof.proof import note
from twinproof.proof.keys import EDDSA, ES256


def test_a_secret_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    old = os.umask(0)
    try:
        write_secret(path, b"secret")
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_secret(path) == b"secret"


def test_a_secret_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    write_secret(path, b"first")
    with pytest.raises(ConfigError, match=r"a\.key exists; a key is never overwritten"):
        write_secret(path, b"second")
    assert path.read_bytes() == b"first"
    link = tmp_path / "link.key"
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="never overwritten"):
        write_secret(link, b"second")
    assert not (tmp_path / "elsewhere").exists()


def test_a_secret_that_cannot_be_written_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageFailed, match=r"a\.key: No space left"):
        write_secret(tmp_path / "a.key", b"secret")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConfigError, match="No such file"):
        write_secret(tmp_path / "nowhere" / "a.key", b"secret")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o601, 0o610, 0o777])
def test_a_secret_that_others_may_read_is_not_used(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "a.key"
    write_secret(path, new_private_key().to_pem())
    path.chmod(mode)
    with pytest.raises(ConfigError, match=f"mend it with: chmod 600 {path}"):
        read_private_key(path)
    path.chmod(0o600)
    read_private_key(path)


def test_missing_files_are_named(tmp_path: Path) -> None:
    for read in (read_secret, read_private_key):
        with pytest.raises(ConfigError, match=r"nowhere\.key: No such file"):
            read(tmp_path / "nowhere.key")
    (tmp_path / "folder").mkdir(mode=0o700)
    with pytest.raises(ConfigError, match="folder: Is a directory"):
        read_secret(tmp_path / "folder")


@pytest.mark.parametrize("algorithm", [EDDSA, ES256])
def test_private_keys_are_read_back(tmp_path: Path, algorithm: int) -> None:
    key = new_private_key(algorithm)
    write_secret(tmp_path / "a.pem", key.to_pem())
    assert read_private_key(tmp_path / "a.pem") == key
    assert new_private_key(algorithm) != key


def test_files_of_the_wrong_kind(tmp_path: Path) -> None:
    log_key = new_signer_key("log.example", note.ED25519)
    contents = {
        "empty": b"",
        "binary": b"\xff\xfe",
        "text": b"hello\n",
        "public": new_private_key().public.thumbprint,
        "pem": new_private_key().to_pem(),
        "vkey": str(log_key.verifier).encode(),
        "cut": log_key.to_text().encode()[:-4],
        "another name": new_signer_key("other.example", note.ED25519).to_text().encode(),
        "another type": new_signer_key("log.example", note.COSIGNATURE_ML_DSA_44).to_text().encode(),
    }
    for name, data in contents.items():
        path = tmp_path / f"{name}.key"
        write_secret(path, data)
        with pytest.raises(ConfigError) as caught:
            read_signer_key(path, "log.example", note.ED25519)
        assert str(path) in str(caught.value), name
        if name != "pem":
            with pytest.raises(ConfigError) as caught:
                read_private_key(path)
            assert str(path) in str(caught.value), name
    good = tmp_path / "good.key"
    write_secret(good, log_key.to_text().encode() + b"\n")
    assert read_signer_key(good, "log.example", note.ED25519) == log_key


# --- signer cards -----------------------------------------------------------------------------


def test_cards_are_read_back() -> None:
    for signer in (DEVICE, GATEWAY):
        card = SignerCard(signer.issuer, signer.key.public)
        assert parse_card(card.to_json()) == card
        assert signer.key.seed.hex() not in card.to_json()


CARD = json.loads(SignerCard(DEVICE.issuer, DEVICE.key.public).to_json())
OTHER = json.loads(SignerCard(GATEWAY.issuer, GATEWAY.key.public).to_json())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "[" * 100_000,
        "[]",
        "null",
        json.dumps({**CARD, "more": 1}),
        json.dumps({key: CARD[key] for key in ("iss", "kid")}),
        json.dumps({**CARD, "iss": 7}),
        json.dumps({**CARD, "iss": "no scheme"}),
        json.dumps({**CARD, "kid": CARD["kid"].upper()}),
        json.dumps({**CARD, "kid": OTHER["kid"]}),
        json.dumps({**CARD, "kid": None}),
        json.dumps({**CARD, "cose_key": OTHER["cose_key"]}),
        json.dumps({**CARD, "cose_key": None}),
        json.dumps({**CARD, "cose_key": CARD["cose_key"] + "\n"}),
        json.dumps({**CARD, "cose_key": ""}),
        json.dumps({**CARD, "cose_key": "oA=="}),
    ],
)
def test_refused_cards(text: str) -> None:
    with pytest.raises(Malformed):
        parse_card(text)


@given(st.text() | st.builds(json.dumps, st.dictionaries(st.sampled_from(["iss", "kid", "cose_key"]), st.text())))
def test_any_text_is_a_card_or_refused(text: str) -> None:
    with pytest.raises(TwinproofError):
        parse_card(text)
