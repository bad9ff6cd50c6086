"""Local tokens: what they cover, when they hold, how they are kept; the outside issuer's: a table of attacks."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from twinproof.errors import ConfigError, Malformed, NotFound, Unauthenticated, Unreachable
from twinproof.node.config import Access
from twinproof.node.oidc import FRESH, PAUSE, STALE, Issuer, parse_jwks
from twinproof.node.tokens import EVERYTHING, FILE, OPERATE, ReadScope, TokenFile, parse_scope
from twinproof.testing import ManualClock

TWIN = "https://fleet.example/engine/1"

# --- scopes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["all", "operate", "prefix:https://fleet.example/", f"twin:{TWIN}", "prefix:x"])
def test_a_scope_reads_back(text: str) -> None:
    assert str(parse_scope(text)) == text


@pytest.mark.parametrize(
    "text",
    ["", "ALL", "all:", "all:x", "operate:", "operate:x", "prefix", "prefix:", "twin:", "twin:no iri", "model:x", ":"],
)
def test_what_is_no_scope(text: str) -> None:
    with pytest.raises(Malformed, match="scope"):
        parse_scope(text)


def test_what_scopes_cover() -> None:
    assert EVERYTHING.covers(TWIN)
    assert not OPERATE.covers(TWIN)
    assert ReadScope("prefix", "https://fleet.example/").covers(TWIN)
    assert ReadScope("twin", TWIN).covers(TWIN)
    assert not ReadScope("twin", TWIN).covers(TWIN + "0")
    assert not ReadScope("prefix", TWIN + "/").covers(TWIN)


# --- local tokens ---------------------------------------------------------------------------------


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_700_000_000)


@pytest.fixture
def tokens(tmp_path: Path, clock: ManualClock) -> TokenFile:
    return TokenFile(tmp_path, clock)


def test_a_token_holds_until_it_expires(tokens: TokenFile, clock: ManualClock) -> None:
    text, made = tokens.new([EVERYTHING], lifetime=60, note="console")
    assert tokens.check(text) == made
    clock.advance(59)
    assert tokens.check(text).scopes == (EVERYTHING,)
    clock.advance(1)
    with pytest.raises(Unauthenticated, match="expired"):
        tokens.check(text)


def test_a_token_that_another_process_revokes_ends_at_once(
    tokens: TokenFile, tmp_path: Path, clock: ManualClock
) -> None:
    text, made = tokens.new([EVERYTHING])
    tokens.check(text)
    elsewhere = TokenFile(tmp_path, clock)
    assert elsewhere.revoke(made.id).revoked == 1_700_000_000
    with pytest.raises(Unauthenticated, match="revoked"):
        tokens.check(text)
    clock.advance(5)
    assert elsewhere.revoke(made.id).revoked == 1_700_000_000
    with pytest.raises(NotFound):
        elsewhere.revoke("00" * 8)
    (tmp_path / FILE).unlink()
    with pytest.raises(Unauthenticated):
        tokens.check(text)


def test_the_file_holds_no_secret_and_only_the_owner_reads_it(tokens: TokenFile, tmp_path: Path) -> None:
    texts = [tokens.new([ReadScope("twin", TWIN)], note=f"nr {number}")[0] for number in range(3)]
    kept = (tmp_path / FILE).read_text()
    for text in texts:
        assert text[20:] not in kept
        assert base64.urlsafe_b64decode(text[20:] + "=").hex() not in kept
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert [token.note for token in tokens.list()] == ["nr 0", "nr 1", "nr 2"] or len(
        {t.id for t in tokens.list()}
    ) == 3


def test_a_file_that_others_may_read_or_that_is_damaged_lets_nobody_in(tokens: TokenFile, tmp_path: Path) -> None:
    text, _ = tokens.new([EVERYTHING])
    path = tmp_path / FILE
    path.chmod(0o644)
    os.utime(path, ns=(1, 1))
    with pytest.raises(ConfigError, match="chmod 600"):
        tokens.check(text)
    good = path.read_text()
    for bad in ("", "{}", "[]", '{"tokens": [1]}', good.replace('"all"', '"everything"'), good[:-20]):
        path.write_text(bad)
        path.chmod(0o600)
        with pytest.raises(ConfigError, match="damaged"):
            TokenFile(tmp_path, ManualClock()).check(text)


def test_every_changed_character_of_a_token_counts(tokens: TokenFile) -> None:
    text, _ = tokens.new([EVERYTHING])
    for at in range(len(text) - 1):
        changed = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
        with pytest.raises(Unauthenticated):
            tokens.check(changed)
    for other in (text + "A", text[:-1], text + "\n", " " + text, text.upper()):
        with pytest.raises(Unauthenticated):
            tokens.check(other)


@given(st.text(max_size=80) | st.from_regex(r"tp_[0-9a-f]{16}_[A-Za-z0-9_-]{43}", fullmatch=True))
def test_no_text_is_a_token_by_chance(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.getbasetemp() / "chance"
    if not folder.exists():
        folder.mkdir()
        TokenFile(folder, time.time).new([EVERYTHING])
    with pytest.raises(Unauthenticated):
        TokenFile(folder, time.time).check(text)


def test_what_no_token_can_be(tokens: TokenFile) -> None:
    with pytest.raises(Malformed, match="scope"):
        tokens.new([])
    for note in ("x" * 201, "two\nlines"):
        with pytest.raises(Malformed, match="note"):
            tokens.new([EVERYTHING], note=note)
    assert tokens.list() == []


# --- an outside issuer's --------------------------------------------------------------------------

ISS, AUD = "https://login.example", "https://twin.example"
RSA = rsa.generate_private_key(65537, 2048)
SHORT = rsa.generate_private_key(65537, 1024)  # noqa: S505 - to be refused
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
STRANGER = rsa.generate_private_key(65537, 2048)


def jwk(key: Any, kid: str, **more: str) -> dict[str, Any]:
    maker = {rsa.RSAPublicKey: "RS256", ec.EllipticCurvePublicKey: "ES256"}
    name = next((name for kind, name in maker.items() if isinstance(key.public_key(), kind)), "EdDSA")
    row = jwt.get_algorithm_by_name(name).to_jwk(key.public_key(), as_dict=True)
    return {**row, "kid": kid, **more}


JWKS = {
    "keys": [
        jwk(RSA, "r", alg="RS256"),
        jwk(EC, "e"),
        jwk(ED, "d"),
        jwk(SHORT, "short"),
        jwk(STRANGER, "enc", use="enc"),
        {"kty": "oct", "kid": "o", "k": base64.urlsafe_b64encode(b"k" * 32).decode()},
        {"kty": "RSA", "kid": "broken"},
    ]
}
PEM = RSA.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def claims(**changed: Any) -> dict[str, Any]:
    now = int(time.time())
    said = {"iss": ISS, "aud": AUD, "sub": "alice", "iat": now, "exp": now + 300, "scope": "openid twinproof:all"}
    return {name: value for name, value in {**said, **changed}.items() if value is not None}


def token(key: Any = RSA, algorithm: str = "RS256", kid: str | None = "r", **changed: Any) -> str:
    headers = {} if kid is None else {"kid": kid}
    return jwt.encode(claims(**changed), key, algorithm, headers=headers)


def part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def forged(header: dict[str, Any], sign: Callable[[bytes], bytes] = lambda _: b"") -> str:
    body = f"{part(header)}.{part(claims())}"
    return f"{body}.{base64.urlsafe_b64encode(sign(body.encode())).rstrip(b'=').decode()}"


def hs256(secret: bytes) -> Callable[[bytes], bytes]:
    return lambda body: hmac.new(secret, body, hashlib.sha256).digest()


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    (tmp_path / "jwks.json").write_text(json.dumps(JWKS))
    return Issuer(Access(issuer=ISS, audience=AUD, jwks="jwks.json"), tmp_path, ManualClock())


@pytest.mark.parametrize(
    ("key", "algorithm", "kid"),
    [(RSA, "RS256", "r"), (EC, "ES256", "e"), (ED, "EdDSA", "d")],
    ids=["RS256", "ES256", "EdDSA"],
)
def test_good_tokens(issuer: Issuer, key: Any, algorithm: str, kid: str) -> None:
    assert issuer.check(token(key, algorithm, kid)) == ("alice", (EVERYTHING,))


NOW = int(time.time())
ATTACKS: dict[str, Callable[[], str]] = {
    "nothing": lambda: "",
    "no JWT": lambda: "a.b.c",
    "four parts": lambda: token() + ".x",
    "not ASCII": lambda: token() + "é",
    "alg none": lambda: forged({"alg": "none", "kid": "r"}),
    "alg None": lambda: forged({"alg": "None", "typ": "JWT", "kid": "r"}),
    "no alg": lambda: forged({"kid": "r"}),
    "alg a list": lambda: forged({"alg": ["RS256"], "kid": "r"}),
    "HS256 with the public key": lambda: forged({"alg": "HS256", "kid": "r"}, hs256(PEM)),
    "HS256 with the JWK": lambda: forged({"alg": "HS256", "kid": "r"}, hs256(json.dumps(JWKS["keys"][0]).encode())),
    "HS256 with the oct key": lambda: forged({"alg": "HS256", "kid": "o"}, hs256(b"k" * 32)),
    "RS512 under a key for RS256": lambda: token(RSA, "RS512"),
    "PS256 under a key for RS256": lambda: token(RSA, "PS256"),
    "signed by a stranger": lambda: token(STRANGER),
    "signed by a stranger, no kid": lambda: token(STRANGER, kid=None),
    "another key of the issuer": lambda: token(EC, "ES256", "r"),
    "a key that does not sign": lambda: token(STRANGER, kid="enc"),
    "a short key": lambda: jwt.encode(claims(), SHORT, "RS256", headers={"kid": "short"}),
    "an unknown kid": lambda: token(kid="nobody"),
    "no kid, several keys": lambda: token(kid=None),
    "a kid that is a path": lambda: token(kid="../jwks.json"),
    "its own key in the header": lambda: jwt.encode(
        claims(), STRANGER, "RS256", headers={"kid": "x", "jwk": jwk(STRANGER, "x")}
    ),
    "a key's address in the header": lambda: jwt.encode(
        claims(), STRANGER, "RS256", headers={"kid": "x", "jku": "https://evil.example/jwks"}
    ),
    "critical header": lambda: jwt.encode(claims(), RSA, "RS256", headers={"kid": "r", "crit": ["x"], "x": 1}),
    "changed payload": lambda: ".".join([token().split(".")[0], part(claims(sub="bob")), token().split(".")[2]]),
    "no signature": lambda: token().rpartition(".")[0] + ".",
    "expired": lambda: token(exp=NOW - 3600),
    "no exp": lambda: token(exp=None),
    "exp no number": lambda: token(exp="tomorrow"),
    "not yet": lambda: token(nbf=NOW + 3600),
    "issued in the future": lambda: token(iat=NOW + 3600),
    "another audience": lambda: token(aud="https://other.example"),
    "other audiences": lambda: token(aud=["https://other.example", AUD + "/"]),
    "no audience": lambda: token(aud=None),
    "another issuer": lambda: token(iss="https://evil.example"),
    "an issuer that begins like it": lambda: token(iss=ISS + ".evil.example"),
    "no issuer": lambda: token(iss=None),
    "no subject": lambda: token(sub=None),
    "a scope that is none": lambda: token(scope="twinproof:everything"),
    "too long": lambda: token(more="x" * 9000),
}


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_attacks(issuer: Issuer, name: str) -> None:
    with pytest.raises(Unauthenticated):
        issuer.check(ATTACKS[name]())
    assert issuer.check(token()).subject == "alice"


@pytest.mark.parametrize(
    ("said", "scopes"),
    [
        (None, ""),
        ("openid all prefix:x", ""),
        (7, ""),
        ({"twinproof:all": 1}, ""),
        ("twinproof:prefix:https://fleet.example/", "prefix:https://fleet.example/"),
        (["twinproof:all", 7, "x"], "all"),
        (f"twinproof:twin:{TWIN} email twinproof:twin:{TWIN}/2", f"twin:{TWIN} twin:{TWIN}/2"),
    ],
)
def test_scopes_of_claims(issuer: Issuer, said: Any, scopes: str) -> None:
    assert " ".join(map(str, issuer.check(token(scope=said)).scopes)) == scopes


def test_another_claim(tmp_path: Path) -> None:
    (tmp_path / "jwks.json").write_text(json.dumps(JWKS))
    issuer = Issuer(Access(issuer=ISS, audience=AUD, jwks="jwks.json", claim="may"), tmp_path, ManualClock())
    assert issuer.check(token()).scopes == ()
    assert issuer.check(token(may=["twinproof:all"])).scopes == (EVERYTHING,)


class Server:
    """The issuer's address."""

    def __init__(self, *keys: dict[str, Any]) -> None:
        self.keys = list(keys)
        self.asked = 0
        self.down = False

    def __call__(self, url: str) -> bytes:
        assert url == ISS + "/jwks"
        self.asked += 1
        if self.down:
            raise Unreachable("down")
        return json.dumps({"keys": self.keys}).encode()


@pytest.fixture
def clocked(tmp_path: Path) -> tuple[Issuer, Server, ManualClock]:
    clock, server = ManualClock(), Server(jwk(RSA, "r"))
    return Issuer(Access(issuer=ISS, audience=AUD, jwks=ISS + "/jwks"), tmp_path, clock, server), server, clock


def test_keys_are_kept_renewed_and_forgotten(clocked: tuple[Issuer, Server, ManualClock]) -> None:
    issuer, server, clock = clocked
    for _ in range(3):
        issuer.check(token())
        issuer.check(token(kid=None))
    assert server.asked == 1
    server.keys = [jwk(EC, "e")]
    clock.advance(PAUSE)
    issuer.check(token(EC, "ES256", "e"))
    asked = server.asked
    with pytest.raises(Unauthenticated):
        issuer.check(token())
    assert server.asked == asked, "unknown kids make no storm"
    server.down = True
    clock.advance(FRESH + 1)
    issuer.check(token(EC, "ES256", "e"))
    assert server.asked == asked + 1
    clock.advance(STALE)
    with pytest.raises(Unauthenticated):
        issuer.check(token(EC, "ES256", "e"))
    server.down = False
    clock.advance(PAUSE)
    issuer.check(token(EC, "ES256", "e"))


def test_a_missing_file_lets_nobody_in(tmp_path: Path) -> None:
    with pytest.raises(Unauthenticated):
        Issuer(Access(issuer=ISS, audience=AUD, jwks="none"), tmp_path, ManualClock()).check(token())


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{}", b'{"keys": 1}', b'{"keys": [1]}', b'{"keys": []}', b"[" * 5000, b" " * 300_000]
    + [json.dumps({"keys": [JWKS["keys"][at]]}).encode() for at in (3, 4, 5, 6)],
    ids=lambda data: data[:12].decode() + str(len(data)),
)
def test_no_key_sets(data: bytes) -> None:
    with pytest.raises(ConfigError):
        parse_jwks(data)
