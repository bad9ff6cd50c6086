"""Checkpoints and the messages that log and witnesses sign over them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.proof.material import CHECKPOINT, LOG, ORIGIN, PQ_WITNESS, ROOT, TEXT, TIME, WITNESS
from twinproof.errors import BadSignature, Malformed
from twinproof.proof import checkpoint, cosignature
from twinproof.proof.checkpoint import Checkpoint, parse_checkpoint, parse_decimal
from twinproof.proof.merkle import EMPTY_ROOT
from twinproof.proof.note import SignerKey

ROOT64 = "OF2jDzkXKCyJOd/4UZV+UZqxhGsTUaFMCts7EWMnQqo="


def test_the_fixed_checkpoint() -> None:
    assert parse_checkpoint(TEXT) == CHECKPOINT
    assert CHECKPOINT.text == TEXT
    assert CHECKPOINT.root == ROOT


LINES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30)


@given(
    origin=LINES,
    size=st.integers(1, 2**63 - 1),
    root=st.binary(min_size=32, max_size=32),
    extensions=st.lists(LINES, max_size=3),
)
def test_checkpoints_come_back(origin: str, size: int, root: bytes, extensions: list[str]) -> None:
    made = Checkpoint(origin, size, root, tuple(extensions))
    assert parse_checkpoint(made.text) == made


@given(
    st.lists(st.sampled_from(["\n", "log", "0", "3", "03", ROOT64, "=", " ", "+"]), max_size=10).map("".join)
    | st.text()
)
def test_any_text(text: str) -> None:
    try:
        parsed = parse_checkpoint(text)
    except Malformed:
        return
    assert parsed.text == text


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("", "checkpoint"),
        (TEXT[:-1], "checkpoint"),
        (TEXT + "\n", "checkpoint"),
        ("\n" + TEXT, "checkpoint"),
        (f"{ORIGIN}\n3\n", "checkpoint"),
        (f"{ORIGIN}\n3\n{ROOT64}\n\next\n", "checkpoint"),
        (f"{'o' * 256}\n3\n{ROOT64}\n", "checkpoint origin"),
        (f"{'é' * 128}\n3\n{ROOT64}\n", "checkpoint origin"),
        (f"{ORIGIN}\n03\n{ROOT64}\n", "checkpoint size"),
        (f"{ORIGIN}\n+3\n{ROOT64}\n", "checkpoint size"),
        (f"{ORIGIN}\n-3\n{ROOT64}\n", "checkpoint size"),
        (f"{ORIGIN}\n 3\n{ROOT64}\n", "checkpoint size"),
        (f"{ORIGIN}\n1_0\n{ROOT64}\n", "checkpoint size"),
        (f"{ORIGIN}\n٣\n{ROOT64}\n", "checkpoint size"),
        (f"{ORIGIN}\n9223372036854775808\n{ROOT64}\n", "checkpoint size"),
        (f"{ORIGIN}\n{'9' * 5000}\n{ROOT64}\n", "checkpoint size"),
        (f"{ORIGIN}\n3\n{ROOT64[:-1]}\n", "checkpoint root"),
        (f"{ORIGIN}\n3\n{ROOT64[:-2]}p=\n", "checkpoint root"),
        (f"{ORIGIN}\n3\nAAAA\n", "checkpoint root"),
        (f"{ORIGIN}\n0\n{ROOT64}\n", "checkpoint root"),
    ],
)
def test_each_refusal(text: str, field: str) -> None:
    with pytest.raises(Malformed) as caught:
        parse_checkpoint(text)
    assert caught.value.field == field


def test_the_empty_tree_and_the_largest() -> None:
    assert parse_checkpoint(Checkpoint(ORIGIN, 0, EMPTY_ROOT).text).size == 0
    assert parse_checkpoint(Checkpoint(ORIGIN, 2**63 - 1, ROOT).text).size == 2**63 - 1
    assert len(parse_checkpoint(Checkpoint("o" * checkpoint.MAX_ORIGIN, 1, ROOT).text).origin) == 255


@pytest.mark.parametrize(
    "text", ["", "00", "01", "+1", "-0", "1 ", "1\n", "1.0", "1e3", "0x1", "१", "9223372036854775808"]
)
def test_decimals_have_one_form(text: str) -> None:
    with pytest.raises(Malformed, match=r"^n: not a decimal number"):
        parse_decimal(text, "n")


def test_the_ed25519_message() -> None:
    assert cosignature.ed25519_message(TEXT, TIME) == b"cosignature/v1\ntime 1700000000\n" + TEXT.encode()


def test_the_ml_dsa_message() -> None:
    assert cosignature.ml_dsa_message("wit.example/pq1", CHECKPOINT, TIME).hex() == (
        "737562747265652f76310a000f7769742e6578616d706c652f707131000000006553f100117477696e2e6578616d706c652f6c6f6730"
        "00000000000000000000000000000003385da30f3917282c8939dff851957e519ab1846b1351a14c0adb3b11632742aa"
    )


@pytest.mark.parametrize("key", [LOG, WITNESS, PQ_WITNESS])
def test_a_signature_holds_for_its_checkpoint_alone(key: SignerKey) -> None:
    verifier = cosignature.verifier(key.verifier)
    blob = cosignature.sign_checkpoint(key, CHECKPOINT, TIME).blob
    assert verifier.check(TEXT, blob) == (None if key is LOG else TIME)
    for other in (
        Checkpoint("twin.example/log1", 3, ROOT),
        Checkpoint(ORIGIN, 4, ROOT),
        Checkpoint(ORIGIN, 3, EMPTY_ROOT),
    ):
        with pytest.raises(BadSignature):
            verifier.check(other.text, blob)


def test_only_ml_dsa_leaves_extension_lines_unsigned() -> None:
    extended = Checkpoint(ORIGIN, 3, ROOT, ("extension",))
    for key in (LOG, WITNESS, PQ_WITNESS):
        verifier = cosignature.verifier(key.verifier)
        blob = cosignature.sign_checkpoint(key, CHECKPOINT, TIME).blob
        if key is PQ_WITNESS:
            assert verifier.check(extended.text, blob) == TIME
        else:
            with pytest.raises(BadSignature):
                verifier.check(extended.text, blob)


@pytest.mark.parametrize("key", [WITNESS, PQ_WITNESS])
def test_the_time_is_signed_and_in_range(key: SignerKey) -> None:
    verifier = cosignature.verifier(key.verifier)
    blob = cosignature.sign_checkpoint(key, CHECKPOINT, TIME).blob
    assert blob[:8] == TIME.to_bytes(8, "big")
    with pytest.raises(BadSignature, match="does not verify"):
        verifier.check(TEXT, (TIME + 1).to_bytes(8, "big") + blob[8:])
    for time in (0, 2**63, 2**64 - 1):
        with pytest.raises(BadSignature, match="a cosignature is a time in"):
            verifier.check(TEXT, time.to_bytes(8, "big") + blob[8:])
        signed = cosignature.sign_checkpoint(key, CHECKPOINT, time)
        with pytest.raises(BadSignature, match="a cosignature is a time in"):
            verifier.check(TEXT, signed.blob)
    for wrong in (b"", blob[:7], blob[:-1], blob + b"\0"):
        with pytest.raises(BadSignature, match="a cosignature is a time in"):
            verifier.check(TEXT, wrong)


def test_cosigners_refuse_a_text_that_is_no_checkpoint() -> None:
    for key in (WITNESS, PQ_WITNESS):
        blob = cosignature.sign_checkpoint(key, CHECKPOINT, TIME).blob
        with pytest.raises(Malformed, match="checkpoint"):
            cosignature.verifier(key.verifier).check("no checkpoint\n", blob)
