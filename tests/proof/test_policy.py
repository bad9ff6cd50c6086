"""Policies: what the parser takes and refuses, and which signatures make a quorum."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.proof.material import (
    CHECKPOINT,
    LOG,
    LOG_KEY,
    LOG_VKEY,
    NOTE,
    ORIGIN,
    PQ_WITNESS,
    ROOT,
    STRANGER,
    TIME,
    WITNESS,
    checkpoint_note,
    policy_text,
)
from twinproof.errors import BadSignature, Malformed, TooLarge, TwinproofError, Untrusted
from twinproof.proof.checkpoint import Checkpoint
from twinproof.proof.note import COSIGNATURE_ED25519, COSIGNATURE_ML_DSA_44, ED25519, SignerKey
from twinproof.proof.policy import MAX_COMPONENTS, MAX_POLICY, Group, parse_policy

X = [SignerKey(f"wit.example/x{i}", COSIGNATURE_ED25519, bytes([16 + i]) * 32) for i in range(3)]
Y = [SignerKey(f"wit.example/y{i}", COSIGNATURE_ED25519, bytes([32 + i]) * 32) for i in range(3)]

# The example of the specification, with keys.
TWO_LEVELS = "".join(
    [
        f"log {LOG.verifier}\n\n",
        *(f"witness X{i} {key.verifier}\n" for i, key in enumerate(X)),
        "group X-witnesses 2 X0 X1 X2\n\n",
        *(f"witness Y{i} {key.verifier}\n" for i, key in enumerate(Y)),
        "group Y-witnesses any Y0 Y1 Y2\n\ngroup X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n",
    ]
).encode()


def test_the_two_level_quorum() -> None:
    policy = parse_policy(TWO_LEVELS)
    for count in range(7):
        for signers in combinations([*X, *Y], count):
            enough = sum(key in X for key in signers) >= 2 and any(key in Y for key in signers)
            note = checkpoint_note(LOG, *signers)
            if enough:
                trusted = policy.check(note)
                assert trusted.checkpoint == CHECKPOINT
                assert len(trusted.witnesses) == count
            else:
                with pytest.raises(Untrusted, match="the quorum 'X-and-Y' is not reached"):
                    policy.check(note)


@pytest.mark.parametrize(
    ("quorum", "needed"),
    [
        ("quorum none", 0),
        ("quorum a", 1),
        ("group g any a b c\nquorum g", 1),
        ("group g 1 a b c\nquorum g", 1),
        ("group g 2 a b c\nquorum g", 2),
        ("group g 3 a b c\nquorum g", 3),
        ("group g all a b c\nquorum g", 3),
        ("group g all a b\ngroup h all g c\nquorum h", 3),
        ("group g 1 a\nquorum g", 1),
    ],
)
def test_thresholds(quorum: str, needed: int) -> None:
    named = "".join(f"witness {name} {key.verifier}\n" for name, key in zip("abc", X, strict=True))
    policy = parse_policy(f"log {LOG_VKEY}\n{named}{quorum}\n".encode())
    for count in range(4):
        note = checkpoint_note(LOG, *X[:count])
        if count >= needed:
            assert policy.check(note).witnesses == tuple("abc"[:count])
        else:
            with pytest.raises(Untrusted):
                policy.check(note)


def test_one_witness_cannot_stand_in_for_another() -> None:
    policy = parse_policy(f"log {LOG_VKEY}\nwitness a {X[0].verifier}\nwitness b {X[1].verifier}\nquorum a\n".encode())
    with pytest.raises(Untrusted, match="cosigned by 'b': the quorum 'a' is not reached"):
        policy.check(checkpoint_note(LOG, X[1]))
    with pytest.raises(Untrusted, match="cosigned by no trusted witness"):
        policy.check(checkpoint_note(LOG, X[2]))


def test_a_signature_counts_once() -> None:
    policy = parse_policy(TWO_LEVELS)
    with pytest.raises(Untrusted, match="cosigned by 'X0', 'Y0'"):
        policy.check(checkpoint_note(LOG, X[0], X[0], X[0], Y[0]))


def test_the_log_itself_must_sign() -> None:
    policy = parse_policy(policy_text("none"))
    with pytest.raises(Untrusted, match=r"no signature of the log 'twin\.example/log0' itself"):
        policy.check(checkpoint_note(WITNESS))
    with pytest.raises(Untrusted, match="no signature of a known key"):
        policy.check(checkpoint_note(STRANGER))
    other = Checkpoint("twin.example/log1", 3, ROOT)
    with pytest.raises(Untrusted, match=r"no log with the origin 'twin\.example/log1'"):
        policy.check(checkpoint_note(LOG, WITNESS, checkpoint=other))


def test_a_log_cannot_sign_for_another() -> None:
    second = SignerKey("twin.example/log1", ED25519, b"\x02" * 32)
    policy = parse_policy(f"log {LOG_VKEY}\nlog {second.verifier}\nquorum none\n".encode())
    assert policy.origins == (ORIGIN, "twin.example/log1")
    with pytest.raises(Untrusted):
        policy.check(checkpoint_note(second))
    assert policy.check(checkpoint_note(second, LOG)).checkpoint == CHECKPOINT


def test_a_bad_line_of_a_trusted_key_is_fatal_even_if_not_needed() -> None:
    policy = parse_policy(policy_text("none"))
    assert policy.check(NOTE).witnesses == ("w1",)
    broken = NOTE.replace(b"J8sNjQAAAABlU/EAf3t0", b"J8sNjQAAAABlU/EAf3t1")
    assert broken != NOTE
    with pytest.raises(BadSignature, match=r"wit\.example/w1"):
        policy.check(broken)


def test_times() -> None:
    policy = parse_policy(policy_text("none"))
    assert policy.check(checkpoint_note(LOG)).not_before is None
    assert policy.check(checkpoint_note(LOG)).not_after is None
    trusted = policy.check(checkpoint_note(LOG, WITNESS, PQ_WITNESS))
    assert trusted.times == (TIME, TIME)
    assert trusted.witnesses == ("w1", "pq1")
    assert (trusted.not_before, trusted.not_after) == (TIME, TIME)


def test_a_log_that_signs_with_several_keys() -> None:
    pq = SignerKey(ORIGIN, COSIGNATURE_ML_DSA_44, b"\x0b" * 32)
    policy = parse_policy(f"log {LOG_VKEY}\nlog {pq.verifier}\nquorum none\n".encode())
    for signers in ((LOG,), (pq,), (LOG, pq)):
        assert policy.check(checkpoint_note(*signers)).checkpoint == CHECKPOINT
    assert policy.receipt_keys(ORIGIN) == [LOG_KEY.public.raw]
    assert policy.receipt_keys("other") == []


def test_extension_lines_that_no_log_signature_covers_are_refused() -> None:
    pq = SignerKey(ORIGIN, COSIGNATURE_ML_DSA_44, b"\x0b" * 32)
    policy = parse_policy(f"log {LOG_VKEY}\nlog {pq.verifier}\nquorum none\n".encode())
    extended = checkpoint_note(pq).replace(b"=\n\n", b"=\nslipped in\n\n", 1)
    with pytest.raises(Untrusted, match="extension lines that no signature covers"):
        policy.check(extended)
    signed = Checkpoint(ORIGIN, 3, ROOT, ("slipped in",))
    assert policy.check(checkpoint_note(LOG, pq, checkpoint=signed)).checkpoint == signed


# --- parsing --------------------------------------------------------------------------------


def test_white_space_comments_and_urls() -> None:
    policy = parse_policy(
        (
            f"# a comment\n\t # another\n\n  log\t{LOG_VKEY}  https://twin.example/#top \n"
            f"witness w {WITNESS.verifier} https://wit.example/\n\tgroup  g  any \t w\nquorum g"
        ).encode()
    )
    assert policy.logs[0].url == "https://twin.example/#top"
    assert policy.witnesses["w"].url == "https://wit.example/"
    assert policy.groups == {"g": Group(1, ("w",))}
    assert policy.quorum == "g"
    assert parse_policy(b"quorum none").quorum is None


def test_names_are_opaque_bytes() -> None:
    # A no-break space, a Kelvin sign and bytes that are no UTF-8 divide nothing and equal nothing.
    names = [b"a\xc2\xa0b", b"a\xe2\x80\x83b", b"a\xc2\x85b", b"K", b"\xe2\x84\xaa", b"\xff"]
    keys = [*X, *Y]
    lines = [b"witness %s %s\n" % (name, str(key.verifier).encode()) for name, key in zip(names, keys, strict=True)]
    text = b"log %s\n%sgroup \xfe all %s\nquorum \xfe\n" % (LOG_VKEY.encode(), b"".join(lines), b" ".join(names))
    policy = parse_policy(text)
    assert len(policy.witnesses) == 6
    assert len(policy.check(checkpoint_note(LOG, *keys)).witnesses) == 6
    with pytest.raises(Untrusted) as caught:
        policy.check(checkpoint_note(LOG, *keys[:5]))
    str(caught.value).encode()


W, V = f"witness w {WITNESS.verifier}", f"witness v {X[0].verifier}"
RENAMED = SignerKey("other.example", COSIGNATURE_ED25519, WITNESS.seed).verifier
OF_LOG = SignerKey("wit.example/log", COSIGNATURE_ED25519, LOG.seed).verifier


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "policy: needs exactly one quorum line"),
        (f"log {LOG_VKEY}\n", "policy: needs exactly one quorum line"),
        ("quorum none\nquorum none\n", "policy line 2: a second quorum line"),
        ("quorum w\n", "policy line 1: 'w' is not defined above"),
        (f"quorum w\n{W}\n", "policy line 1: 'w' is not defined above"),
        ("quorum\n", "policy line 1: not a log, witness"),
        ("quorum none none\n", "policy line 1: not a log, witness"),
        ("quorum none # none\n", "policy line 1: not a log, witness"),
        ("Quorum none\n", "policy line 1: not a log, witness"),
        ("\n\nwhatever\n", "policy line 3: not a log, witness"),
        ("log\n", "policy line 1: not a log, witness"),
        (f"log {LOG_VKEY} u v\n", "policy line 1: not a log, witness"),
        ("log x\n", "policy line 1: verifier key: not of the form"),
        (f"log {LOG_VKEY.replace('2776', '2777')}\n", "policy line 1: verifier key: its hash should be 277609b4"),
        (f"log \xff{LOG_VKEY[4:]}\n", "policy line 1: verifier key: not UTF-8"),
        (f"log {LOG_VKEY}\nlog {LOG_VKEY}\n", "policy line 2: this public key is named before"),
        (f"{W}\nwitness v {WITNESS.verifier}\n", "policy line 2: this public key is named before"),
        (f"{W}\nwitness v {RENAMED}\n", "policy line 2: this public key is named before"),
        (f"log {LOG_VKEY}\nwitness v {OF_LOG}\n", "policy line 2: this public key is named before"),
        (f"witness w {LOG_VKEY}\n", "policy line 1: a witness key is of type 04 or 06"),
        (f"witness none {WITNESS.verifier}\n", "policy line 1: the name 'none' is taken"),
        (f"{W}\n{V.replace('witness v', 'witness w')}\n", "policy line 2: the name 'w' is taken"),
        (f"{W}\ngroup w any w\n", "policy line 2: the name 'w' is taken"),
        (f"{W}\ngroup none any w\n", "policy line 2: the name 'none' is taken"),
        (f"{W}\ngroup g any w\n{V}\ngroup g any v\n", "policy line 4: the name 'g' is taken"),
        (f"{W} u v\n", "policy line 1: not a log, witness"),
        ("witness w\n", "policy line 1: not a log, witness"),
        (f"{W}\ngroup g any\n", "policy line 2: not a log, witness"),
        (f"{W}\ngroup g w\n", "policy line 2: not a log, witness"),
        ("group g any w\n", "policy line 1: 'w' is not defined above"),
        ("group g any g\n", "policy line 1: 'g' is not defined above"),
        (f"{W}\ngroup g any none\n", "policy line 2: 'none' is not defined above"),
        (f"{W}\ngroup g any w w\n", "policy line 2: 'w' is already a member"),
        (f"{W}\n{V}\ngroup g any w\ngroup h any w v\n", "policy line 4: 'w' is already a member"),
        *((f"{W}\n{V}\ngroup g {k} w v\n", "policy line 3: the threshold is all, any or 1..2") for k in ("0", "3")),
        *(
            (f"{W}\ngroup g {k} w\n", "the threshold is all, any or 1..1")
            for k in ("01", "+1", "-1", "1.0", "ALL", "1_", "\u0661")
        ),
        ("quorum none\r\n", "policy: holds a control character"),
        ("quorum\x0bnone\n", "policy: holds a control character"),
        ("quorum none\x00\n", "policy: holds a control character"),
        ("quorum none\x7f\n", "policy: holds a control character"),
    ],
)
def test_each_refusal(text: str, message: str) -> None:
    data = text.replace("\xff", "\udcff").encode("utf-8", "surrogateescape")
    with pytest.raises(Malformed) as caught:
        parse_policy(data)
    assert str(caught.value).startswith(message) or message in str(caught.value)


def test_limits() -> None:
    assert parse_policy(b"#" * (MAX_POLICY - 12) + b"\nquorum none").quorum is None
    with pytest.raises(TooLarge, match="the limit is 262144"):
        parse_policy(b"#" * (MAX_POLICY - 11) + b"\nquorum none")
    groups = [f"group g{i} any {f'g{i - 1}' if i else 'w'}\n" for i in range(MAX_COMPONENTS)]
    # A chain of 255 groups in each other, at the limit, is a policy that works.
    policy = parse_policy(f"log {LOG_VKEY}\n{W}\n{''.join(groups[:254])}quorum g253\n".encode())
    assert policy.check(checkpoint_note(LOG, WITNESS)).witnesses == ("w",)
    with pytest.raises(Untrusted):
        policy.check(checkpoint_note(LOG))
    with pytest.raises(TooLarge, match="policy line 257: more than 256 logs, witnesses and groups"):
        parse_policy(f"log {LOG_VKEY}\n{W}\n{''.join(groups[:255])}quorum g254\n".encode())


WORDS = st.sampled_from(
    [
        *(
            "log",
            "witness",
            "group",
            "quorum",
            "none",
            "any",
            "all",
            "1",
            "2",
            "w",
            "v",
            "g",
            "#",
            " ",
            "\t",
            "\n",
            "\udcff",
        ),
        *(LOG_VKEY, str(WITNESS.verifier), str(X[0].verifier), "https://x/"),
    ]
)


@given(st.lists(WORDS, max_size=30).map(" ".join))
def test_any_words(text: str) -> None:
    try:
        policy = parse_policy(text.encode("utf-8", "surrogateescape"))
    except TwinproofError:
        return
    with pytest.raises(TwinproofError):
        policy.check(checkpoint_note(STRANGER))


@given(st.binary(max_size=60))
def test_any_bytes(data: bytes) -> None:
    for text in (data, b"log " + data, b"quorum none\nlog " + data + LOG_VKEY[3:].encode()):
        try:
            parse_policy(text)
        except TwinproofError:
            continue
