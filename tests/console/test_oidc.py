"""Sign-in at an outside issuer: authorization code with PKCE, against an issuer of the test's own."""

from __future__ import annotations

import json
import re
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from playwright.sync_api import expect

from tests.console.conftest import Desk, Faults
from tests.console.world import World, served
from twinproof.node.config import Access as AccessSettings
from twinproof.server.access import Access

CLIENT = "twinproof-console"
AUDIENCE = "https://twin.example"


class FakeIssuer(ThreadingHTTPServer):
    """Says yes to everybody who comes; checks what PKCE (RFC 7636) asks."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.key = generate_private_key(SECP256R1())
        self.scope = "twinproof:all twinproof:operate"
        self.refuses = False
        self.asked: dict[str, str] = {}
        """The parameters of the newest authorization request."""

    def jwks(self) -> str:
        """The keys, as the node reads them from a file."""
        key = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self.key.public_key()))
        return json.dumps({"keys": [{**key, "kid": "1", "alg": "ES256", "use": "sig"}]})

    def token(self, **claims: object) -> str:
        """A signed token that holds for an hour."""
        now = int(time.time())
        said = {"iss": self.url, "sub": "ada", "iat": now, "exp": now + 3600, **claims}
        return jwt.encode(said, self.key, algorithm="ES256", headers={"kid": "1"})


class Handler(BaseHTTPRequestHandler):
    """Discovery, authorization, token."""

    server: FakeIssuer

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is printed."""

    def answer(self, body: Any, status: int = 200) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("access-control-allow-origin", "*")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        issuer, parts = self.server, urlsplit(self.path)
        if parts.path == "/.well-known/openid-configuration":
            self.answer(
                {
                    "issuer": issuer.url,
                    "authorization_endpoint": f"{issuer.url}/authorize",
                    "token_endpoint": f"{issuer.url}/token",
                    "jwks_uri": f"{issuer.url}/jwks",
                }
            )
            return
        issuer.asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        said = {"error": "access_denied", "error_description": "not today"} if issuer.refuses else {"code": "a-code"}
        self.send_response(302)
        self.send_header(
            "location", f"{issuer.asked['redirect_uri']}?{urlencode({**said, 'state': issuer.asked['state']})}"
        )
        self.send_header("content-length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        issuer = self.server
        sent = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
        challenge = urlsafe_b64encode(sha256(sent["code_verifier"][0].encode()).digest()).rstrip(b"=").decode()
        if sent["code"] != ["a-code"] or challenge != issuer.asked["code_challenge"]:
            self.answer({"error": "invalid_grant"}, 400)
            return
        access = issuer.token(aud=AUDIENCE, scope=f"openid {issuer.scope}")
        self.answer({"access_token": access, "id_token": issuer.token(aud=CLIENT), "token_type": "Bearer"})


@pytest.fixture
def issuer() -> Iterator[FakeIssuer]:
    server = FakeIssuer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def node(world: World, issuer: FakeIssuer) -> Iterator[str]:
    """The address of the shared node as one that trusts the issuer."""
    live = world.live.node
    (live.folder / "jwks.json").write_text(issuer.jwks())
    settings = AccessSettings(
        open=False, issuer=issuer.url, audience=AUDIENCE, jwks="jwks.json", client_id=CLIENT, claim="scope"
    )
    with (
        patch.object(live, "config", replace(live.config, access=settings)),
        served(world.live, Access(live)) as url,
    ):
        yield url


def test_a_sign_in_leads_back_with_what_the_issuer_granted(
    desk: Desk, faults: Faults, issuer: FakeIssuer, node: str
) -> None:
    faults.allow("status of 401")
    faults.allow(f"request to {issuer.url}/")
    page = desk.page(f"{node}/console/#/ledger")
    page.get_by_role("button", name=f"Sign in at {urlsplit(issuer.url).netloc}").click()
    expect(page.get_by_role("heading", level=1, name="Ledger")).to_be_visible()
    expect(page.get_by_role("banner")).to_contain_text(re.compile("ada · may act"))
    asked = issuer.asked
    assert (asked["response_type"], asked["client_id"], asked["code_challenge_method"]) == ("code", CLIENT, "S256")
    assert asked["redirect_uri"] == f"{node}/console/"
    # Nothing of the exchange stays: neither in the address, nor in storage but for the token.
    assert page.url == f"{node}/console/#/ledger"
    assert page.evaluate("() => Object.keys(sessionStorage)") == ["twinproof.token"]
    assert page.evaluate("() => localStorage.length") == 0


def test_an_issuer_that_says_no_is_told(desk: Desk, faults: Faults, issuer: FakeIssuer, node: str) -> None:
    faults.allow("status of 401")
    faults.allow(f"request to {issuer.url}/")
    issuer.refuses = True
    page = desk.page(f"{node}/console/")
    page.get_by_role("button", name="Sign in at").click()
    expect(page.get_by_role("alert").filter(has_text="did not succeed")).to_contain_text("not today")
    expect(page.get_by_label("Token")).to_be_visible()


def test_an_answer_that_nobody_asked_for_is_not_taken(
    desk: Desk, faults: Faults, issuer: FakeIssuer, node: str
) -> None:
    faults.allow("status of 401")
    faults.allow(f"request to {issuer.url}/")
    page = desk.page(f"{node}/console/?code=a-code&state=made-up")
    expect(page.get_by_role("alert").filter(has_text="did not succeed")).to_be_visible()
    assert "a-code" not in page.url
    assert page.evaluate("() => sessionStorage.length") == 0
