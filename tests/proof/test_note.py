"""Signed notes, vkeys and signature lines."""

from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.proof.material import (
    CHECKPOINT,
    LOG,
    LOG_LINE,
    LOG_VKEY,
    NOTE,
    PQ_WITNESS,
    STRANGER,
    TEXT,
    TIME,
    WITNESS,
    WITNESS_LINE,
    WITNESS_VKEY,
    checkpoint_note,
)
from twinproof.errors import BadSignature, Malformed, TooLarge, Untrusted
from twinproof.proof import note
from twinproof.proof.cosignature import sign_checkpoint, verifier
from twinproof.proof.note import Note, Signature, SignerKey

# C2SP signed-note, "Verifier keys"
SPEC_VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
SPEC_NOTE = (
    "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYj"
    "OBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
).encode()
# golang.org/x/mod/sumdb/note, package documentation
GO_SIGNER = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
GO_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"

LINE = "— n AAAAAAE=\n"


def test_the_note_of_the_specification() -> None:
    key = note.parse_verifier_key(SPEC_VKEY)
    assert str(key) == SPEC_VKEY
    parsed = note.parse_note(SPEC_NOTE)
    assert parsed.text == "This is an example message.\n"
    assert note.open_note(parsed, [verifier(key)]) == {key: ()}
    assert note.format_note(parsed) == SPEC_NOTE


def test_the_keys_of_gos_documentation() -> None:
    signer = note.parse_signer_key(GO_SIGNER)
    assert signer.to_text() == GO_SIGNER
    assert str(signer.verifier) == GO_VKEY
    assert note.parse_verifier_key(GO_VKEY) == signer.verifier
    assert signer.seed.hex() not in repr(signer)
    assert repr(signer) == "<SignerKey PeterNeumann+c74f20a3>"


def test_the_fixed_keys_and_lines() -> None:
    assert str(LOG.verifier) == LOG_VKEY
    assert str(WITNESS.verifier) == WITNESS_VKEY
    assert PQ_WITNESS.verifier.key_id.hex() == "bbe6d884"
    assert note.format_signature(sign_checkpoint(LOG, CHECKPOINT, TIME)) == LOG_LINE
    assert note.format_signature(sign_checkpoint(WITNESS, CHECKPOINT, TIME)) == WITNESS_LINE
    assert checkpoint_note(LOG, WITNESS) == NOTE


@pytest.mark.parametrize("key", [LOG, WITNESS, PQ_WITNESS])
def test_keys_come_back_from_text(key: SignerKey) -> None:
    assert note.parse_signer_key(key.to_text()) == key
    assert note.parse_verifier_key(str(key.verifier)) == key.verifier


# --- parsing --------------------------------------------------------------------------------

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.just("\n"), max_size=60).map(lambda t: t + "\n")
NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1, max_size=20).map(
    lambda name: name.replace("+", "-")
)
SIGNATURES = st.builds(Signature, NAMES, st.binary(min_size=4, max_size=4), st.binary(min_size=1, max_size=90))


@given(text=TEXTS, signatures=st.lists(SIGNATURES, min_size=1, max_size=5))
def test_notes_come_back(text: str, signatures: list[Signature]) -> None:
    made = Note(text, tuple(signatures))
    assert note.parse_note(note.format_note(made)) == made


def check_any(data: bytes) -> None:
    try:
        parsed = note.parse_note(data)
    except Malformed:
        return
    assert note.format_note(parsed) == data


@given(st.binary(max_size=80))
def test_any_bytes(data: bytes) -> None:
    check_any(data)
    check_any(b"text\n\n" + data)
    check_any(b"text\n\n" + LINE.encode() + data)


@given(
    st.lists(st.sampled_from(["\n", "\n\n", "— ", "n", " ", "AAAAAAE=", LINE, "text\n", "é"]), max_size=12).map("".join)
)
def test_text_like_a_note(text: str) -> None:
    check_any(text.encode())


@given(
    st.lists(st.sampled_from(["+", "a", "530d903a", SPEC_VKEY, "AekyeRrm", "=", " ", "PRIVATE+KEY+", "é"])).map("".join)
)
def test_text_like_a_key(text: str) -> None:
    for parse in (note.parse_verifier_key, note.parse_signer_key):
        try:
            key = parse(text)
        except Malformed:
            continue
        assert isinstance(key, note.VerifierKey)
        assert str(key) == text


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "note: needs text, an empty line and signature lines"),
        (b"text\n", "note: needs text"),
        (b"text\n\n", "note: needs text"),
        (LINE.encode(), "note: needs text"),
        (b"\n" + LINE.encode(), "note: needs text"),
        (b"text\n\n" + LINE.encode()[:-1], "end in a newline"),
        (b"text\n\n" + LINE.encode() + b"\n", "end in a newline"),
        (b"text\xff\n\n" + LINE.encode(), "note: not UTF-8"),
        (b"te\txt\n\n" + LINE.encode(), "note: holds a control character"),
        (b"text\r\n\n" + LINE.encode(), "note: holds a control character"),
        (b"te\x00xt\n\n" + LINE.encode(), "note: holds a control character"),
        (b"te\x1fxt\n\n" + LINE.encode(), "note: holds a control character"),
        (b"text\n\n- n AAAAAAE=\n", "signature line: not of the form"),
        ("text\n\n—n AAAAAAE=\n".encode(), "signature line: not of the form"),
        ("text\n\n— n  AAAAAAE=\n".encode(), "signature line: not of the form"),
        ("text\n\n— n AAAAAAE= \n".encode(), "signature line: not of the form"),
        ("text\n\n— n\n".encode(), "signature line: not of the form"),
        ("text\n\n—  AAAAAAE=\n".encode(), "signature line: must be non-empty"),
        ("text\n\n— a+b AAAAAAE=\n".encode(), "without '\\+'"),
        ("text\n\n— a\u00a0b AAAAAAE=\n".encode(), "without white space"),
        ("text\n\n— a\u2028b AAAAAAE=\n".encode(), "without white space"),
        ("text\n\n— a\u0085b AAAAAAE=\n".encode(), "without white space"),
        ("text\n\n— n AAAAAAE\n".encode(), "signature line: not base64"),
        ("text\n\n— n AAAA*AE=\n".encode(), "signature line: not base64"),
        ("text\n\n— n AAAA_AE=\n".encode(), "signature line: not base64"),
        ("text\n\n— n AAAAAAÉ=\n".encode(), "signature line: not base64"),
        ("text\n\n— n AAAAAAF=\n".encode(), "signature line: not canonical base64"),
        ("text\n\n— n AAAAAA==\n".encode(), "signature line: too short"),
        ("text\n\n— n \n".encode(), "signature line: too short"),
        (b"text\n\n" + LINE.encode() + b"junk\n", "signature line: not of the form"),
    ],
)
def test_each_refusal_of_a_note(data: bytes, message: str) -> None:
    with pytest.raises(Malformed, match=message):
        note.parse_note(data)


def test_the_last_empty_line_divides() -> None:
    parsed = note.parse_note(f"one\n\ntwo\n\n\n{LINE}".encode())
    assert parsed.text == "one\n\ntwo\n\n"
    assert len(parsed.signatures) == 1
    assert note.parse_note(f"\n\n{LINE}".encode()).text == "\n"


def test_limits() -> None:
    line = LINE.encode()
    assert len(note.parse_note(b"t\n\n" + line * 64).signatures) == note.MAX_SIGNATURES == 64
    with pytest.raises(TooLarge, match="65 signatures, the limit is 64"):
        note.parse_note(b"t\n\n" + line * 65)
    room = note.MAX_NOTE - len(line) - 2
    note.parse_note(b"t" * room + b"\n\n" + line)
    with pytest.raises(TooLarge, match="the limit is 262144"):
        note.parse_note(b"t" * (room + 1) + b"\n\n" + line)
    note.parse_note(f"t\n\n— {'é' * 127}n AAAAAAE=\n".encode())
    with pytest.raises(TooLarge, match="longer than 255 bytes"):
        note.parse_note(f"t\n\n— {'é' * 128} AAAAAAE=\n".encode())


def test_signature_lines_of_a_witness() -> None:
    lines = (WITNESS_LINE + LINE).encode()
    assert [signature.name for signature in note.parse_signature_lines(lines)] == ["wit.example/w1", "n"]
    for wrong in (
        b"",
        b"\n",
        lines[:-1],
        b"text\n\n" + lines,
        b"text\n" + lines,
        lines + b"\n" + lines,
        b"\n\n" + lines,
    ):
        with pytest.raises(Malformed):
            note.parse_signature_lines(wrong)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not of the form name"),
        ("name", "not of the form name"),
        ("name+530d903a", "not of the form name"),
        (SPEC_VKEY.replace("530d903a", "530D903A"), "not of the form name"),
        (SPEC_VKEY.replace("530d903a", "530d903"), "not of the form name"),
        (SPEC_VKEY.replace("530d903a", "530d903a\n"), "not of the form name"),
        (SPEC_VKEY.replace("530d903a", "530d903b"), "its hash should be 530d903a"),
        (SPEC_VKEY.replace("example.com/foo", "example.com/fop"), "name or key was altered"),
        (SPEC_VKEY.replace("example.com/foo", ""), "must be non-empty"),
        (SPEC_VKEY.replace("example.com/foo", "a b"), "without white space"),
        (SPEC_VKEY.replace("example.com/foo", "\udcff"), "not UTF-8"),
        (SPEC_VKEY + "\n", "not base64|not canonical"),
        (SPEC_VKEY[:-4], "type 01 needs 32 key bytes, not 29"),
        ("n+00000000+", "signature type missing is not supported"),
        ("n+00000000+AgAA", "signature type 02 is not supported"),
        ("n+00000000+Bg==", "type 06 needs 1312 key bytes, not 0"),
    ],
)
def test_each_refusal_of_a_verifier_key(text: str, message: str) -> None:
    with pytest.raises(Malformed, match=message) as caught:
        note.parse_verifier_key(text)
    assert caught.value.field == "verifier key"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GO_VKEY, "does not begin with PRIVATE"),
        (GO_SIGNER.replace("c74f20a3", "c74f20a4"), "its hash belongs to another key"),
        (GO_SIGNER.replace("PeterNeumann", "Peter"), "its hash belongs to another key"),
        (GO_SIGNER[:-4], "needs a seed of 32 bytes, not 29"),
        ("PRIVATE+KEY+n+00000000+BQ==", "signature type 05 is not supported"),
    ],
)
def test_each_refusal_of_a_signer_key(text: str, message: str) -> None:
    with pytest.raises(Malformed, match=message) as caught:
        note.parse_signer_key(text)
    assert caught.value.field == "signer key"


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "x" * 256, "\ud800"])
def test_no_signer_has_a_name_that_no_note_can_carry(name: str) -> None:
    with pytest.raises(Malformed, match="key name"):
        SignerKey(name, note.ED25519, bytes(32))


@pytest.mark.parametrize(("kind", "seed"), [(2, bytes(32)), (1, bytes(31)), (6, b"")])
def test_no_signer_has_another_type_or_seed(kind: int, seed: bytes) -> None:
    with pytest.raises(Malformed, match="signer key"):
        SignerKey("n", kind, seed)


# --- opening --------------------------------------------------------------------------------


def test_unknown_lines_are_ignored() -> None:
    signed = checkpoint_note(STRANGER, LOG, WITNESS)
    verifiers = [verifier(LOG.verifier)]
    assert note.open_note(note.parse_note(signed), verifiers) == {LOG.verifier: ()}
    with pytest.raises(Untrusted, match=r"signed by stranger\.example/s\+[0-9a-f]{8}, twin\.example/log0\+"):
        note.open_note(note.parse_note(signed), [verifier(PQ_WITNESS.verifier)])
    with pytest.raises(Untrusted, match="no signature of a known key"):
        note.open_note(note.parse_note(signed), [])


def test_name_and_id_must_both_match() -> None:
    line = sign_checkpoint(LOG, CHECKPOINT, TIME)
    for name, key_id in (("other", line.key_id), (line.name, b"\0\0\0\0")):
        signed = Note(TEXT, (Signature(name, key_id, line.blob),))
        with pytest.raises(Untrusted):
            note.open_note(signed, [verifier(LOG.verifier)])


def test_one_bad_line_of_a_known_key_spoils_the_note() -> None:
    bad = sign_checkpoint(WITNESS, CHECKPOINT, TIME)
    bad = Signature(bad.name, bad.key_id, bad.blob[:-1] + bytes([bad.blob[-1] ^ 1]))
    signed = Note(TEXT, (sign_checkpoint(LOG, CHECKPOINT, TIME), bad))
    assert note.open_note(signed, [verifier(LOG.verifier)])
    with pytest.raises(BadSignature, match=r"note signature of wit\.example/w1: the Ed25519 signature"):
        note.open_note(signed, [verifier(LOG.verifier), verifier(WITNESS.verifier)])


def test_times_and_repeated_lines() -> None:
    first, second = (sign_checkpoint(WITNESS, CHECKPOINT, time) for time in (5, 9))
    opened = note.open_note(Note(TEXT, (first, second)), [verifier(WITNESS.verifier)])
    assert opened == {WITNESS.verifier: (5, 9)}
    altered = Signature(second.name, second.key_id, second.blob[:-1] + bytes([second.blob[-1] ^ 1]))
    for lines in ((first, altered), (altered, first)):
        with pytest.raises(BadSignature):
            note.open_note(Note(TEXT, lines), [verifier(WITNESS.verifier)])


def test_a_signature_covers_the_text_alone_and_all_of_it() -> None:
    for text in (TEXT[:-1], TEXT + "\n", TEXT.replace("3", "4"), "x" + TEXT):
        line = sign_checkpoint(LOG, CHECKPOINT, TIME)
        with pytest.raises(BadSignature):
            note.open_note(Note(text, (line,)), [verifier(LOG.verifier)])


@given(st.binary(max_size=120))
def test_any_blob_of_a_known_key_is_refused(blob: bytes) -> None:
    for key in (LOG, WITNESS, PQ_WITNESS):
        signed = Note(TEXT, (Signature(key.name, key.verifier.key_id, blob + b"\0"),))
        with pytest.raises(BadSignature):
            note.open_note(signed, [verifier(key.verifier)])


def test_base64_has_one_form() -> None:
    for raw in (b"", b"a", b"ab", b"abc", bytes(range(256))):
        text = b64encode(raw).decode()
        assert note.decode_base64(text, "f") == raw
        for wrong in (text + "=", text + "\n", " " + text, text.rstrip("=") + "===", text + "A"):
            with pytest.raises(Malformed, match=r"^f: "):
                note.decode_base64(wrong, "f")
