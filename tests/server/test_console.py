"""The console's files: which are served, with which headers, and that no request names another."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.testclient import TestClient

from tests.server.live_rig import REMOTE, live_rig
from twinproof.errors import ConfigError
from twinproof.node.config import Access, parse_config
from twinproof.server.console import Console, policy, read_files, takes_gzip

SCRIPT: Final = b"console.log(1);\n" * 100
FILES: Final = {
    "index.html": b"<!doctype html><title>x</title>",
    "manifest.json": b"{}",
    "verify.html": b"<!doctype html><title>alone</title>",
    "favicon.svg": b"<svg/>",
    "assets/index-BIMkAyvM.js": SCRIPT,
    "assets/index-a1.css": b"a{}",
    "assets/font-b2.woff2": b"wOF2",
    "assets/picture-c3.png": b"\x89PNG",
    "assets/model-d4.bin": b"\x00\x01",
}
SECRET: Final = b"nothing for the world"
HEADERS: Final = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
        "worker-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


def client_of(console: Console) -> TestClient:
    app = Starlette(routes=console.routes())
    app.router.redirect_slashes = False
    return TestClient(app, follow_redirects=False, headers={"accept-encoding": "identity"})


@dataclass(frozen=True)
class Built:
    """A console in a folder, with secrets around it."""

    folder: Path
    client: TestClient


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    place = tmp_path_factory.mktemp("console")
    folder = place / "web"
    for name, data in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    (place / "secret.txt").write_bytes(SECRET)
    (folder / ".hidden").write_bytes(SECRET)
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_bytes(SECRET)
    (folder / "link.txt").symlink_to(place / "secret.txt")
    (folder / "out").symlink_to(place)
    return Built(folder, client_of(Console(Access(), folder)))


def test_every_file_is_served_whole_and_nothing_else(built: Built) -> None:
    assert read_files(built.folder) == FILES
    for name, data in FILES.items():
        answer = built.client.get(f"/console/{name}")
        assert (answer.status_code, answer.content) == (200, data)
        assert {key: answer.headers[key] for key in HEADERS} == HEADERS
    assert built.client.get("/console/").content == FILES["index.html"]


def test_the_page_without_a_node_is_to_be_kept(built: Built) -> None:
    found = {name: built.client.get(f"/console/{name}").headers.get("content-disposition") for name in FILES}
    assert {name: said for name, said in found.items() if said} == {"verify.html": 'attachment; filename="verify.html"'}


def test_content_types_and_caching(built: Built) -> None:
    def told(name: str) -> tuple[str, str]:
        headers = built.client.get(f"/console/{name}").headers
        return headers["content-type"], headers["cache-control"]

    forever = "public, max-age=31536000, immutable"
    assert told("") == told("index.html") == ("text/html; charset=utf-8", "no-store")
    assert told("manifest.json") == ("application/json", "no-store")
    assert told("favicon.svg") == ("image/svg+xml", "no-store")
    assert told("assets/index-BIMkAyvM.js") == ("text/javascript; charset=utf-8", forever)
    assert told("assets/index-a1.css") == ("text/css; charset=utf-8", forever)
    assert told("assets/font-b2.woff2") == ("font/woff2", forever)
    assert told("assets/picture-c3.png") == ("image/png", forever)
    assert told("assets/model-d4.bin") == ("application/octet-stream", forever)


def test_compression(built: Built) -> None:
    for _ in range(2):
        answer = built.client.get("/console/assets/index-BIMkAyvM.js", headers={"accept-encoding": "br, gzip"})
        assert answer.content == SCRIPT
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.headers["vary"] == "accept-encoding"
        assert int(answer.headers["content-length"]) == len(gzip.compress(SCRIPT, 9, mtime=0)) < 100
    packed = built.client.get("/console/assets/picture-c3.png", headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in packed.headers
    plain = built.client.get("/console/assets/index-BIMkAyvM.js")
    assert "content-encoding" not in plain.headers
    assert plain.headers["vary"] == "accept-encoding"


@pytest.mark.parametrize(
    ("accepted", "taken"),
    [
        ("gzip", True),
        ("GZIP", True),
        ("br;q=1.0, gzip;q=0.8, *;q=0.1", True),
        ("*", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("*;q=0", False),
        ("gzip;q=0, *", False),
        ("identity", False),
        ("xgzip", False),
        ("", False),
    ],
)
def test_when_gzip_is_taken(accepted: str, taken: bool) -> None:
    assert takes_gzip(accepted) is taken


def test_the_way_there(built: Built) -> None:
    for path in ("/", "/console"):
        answer = built.client.get(path)
        assert (answer.status_code, answer.headers["location"]) == (307, "/console/")
        assert {key: answer.headers[key] for key in HEADERS} == HEADERS
    assert built.client.head("/console/").status_code == 200
    assert built.client.post("/console/").status_code == 405


@pytest.mark.parametrize(
    "path",
    [
        "..%2fsecret.txt",
        "%2e%2e/secret.txt",
        "%2e%2e%2fsecret.txt",
        "assets/%2e%2e/%2e%2e/secret.txt",
        "/index.html",
        "//index.html",
        "assets",
        "assets/",
        "assets//index-a1.css",
        "assets%5cindex-a1.css",
        "INDEX.HTML",
        "index.html/",
        "index.html%00",
        "index.html%20",
        ".hidden",
        ".git/config",
        "link.txt",
        "out/secret.txt",
        "%252e%252e/secret.txt",
        "%ff",
        "é",
        "C:/secret.txt",
        "x" * 5000,
    ],
)
def test_no_other_path_is_a_file(built: Built, path: str) -> None:
    answer = built.client.get(f"/console/{path}")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8"), answer.content
    assert {key: answer.headers[key] for key in HEADERS} == HEADERS
    assert SECRET not in answer.content


@settings(max_examples=200)
@given(
    st.lists(st.sampled_from(["..", ".", "assets", "secret.txt", "out", "link.txt", "index.html", "%2e"]), max_size=6)
)
def test_any_way_through_the_folders(built: Built, steps: list[str]) -> None:
    answer = built.client.get("/console/" + "/".join(map(quote, steps)))
    assert answer.status_code in (200, 404, 307)
    assert SECRET not in answer.content


def test_files_that_come_later_are_not_served(built: Built) -> None:
    (built.folder / "later.js").write_bytes(SECRET)
    try:
        assert built.client.get("/console/later.js").status_code == 404
    finally:
        (built.folder / "later.js").unlink()


def test_without_the_files_the_page_says_what_to_do(tmp_path: Path) -> None:
    client = client_of(Console(Access(), tmp_path / "nothing"))
    for path in ("", "assets/index-BIMkAyvM.js"):
        answer = client.get(f"/console/{path}")
        assert answer.status_code == 503
        assert "make console" in answer.text
        assert '<html lang="en">' in answer.text
        assert "<style" not in answer.text
        assert "<script" not in answer.text
        assert {key: answer.headers[key] for key in HEADERS} == HEADERS
    assert client.get("/").headers["location"] == "/console/"


@pytest.mark.parametrize(
    ("issuer", "asked"),
    [
        ("https://login.example/realms/a", "'self' https://login.example"),
        ("https://login.example:8443", "'self' https://login.example:8443"),
        ("http://127.0.0.1:9000/x", "'self' http://127.0.0.1:9000"),
        ("https://login.example; script-src *", "'self'"),
        ("https://a.example b", "'self'"),
        ("https://user@login.example/", "'self'"),
        ("login.example", "'self'"),
        ("", "'self'"),
    ],
)
def test_the_issuer_may_be_asked(issuer: str, asked: str) -> None:
    assert policy(issuer) == HEADERS["content-security-policy"].replace("connect-src 'self'", f"connect-src {asked}")


def test_an_issuer_without_sign_in_is_not_asked(built: Built) -> None:
    access = Access(issuer="https://login.example", audience="a", jwks="b")
    assert client_of(Console(access, built.folder)).get("/console/").headers["content-security-policy"] == policy()
    access = Access(issuer="https://login.example", audience="a", jwks="b", client_id="console")
    found = client_of(Console(access, built.folder)).get("/console/").headers["content-security-policy"]
    assert found == policy("https://login.example")


def test_a_client_without_an_issuer_is_refused() -> None:
    with pytest.raises(ConfigError, match="client_id"):
        parse_config({"origin": "twin.example/log0", "access": {"client_id": "console"}}, "x")


def test_a_node_serves_it_to_everybody(tmp_path: Path) -> None:
    with live_rig(tmp_path / "node", Access(open=False)) as rig:
        client = rig.client(REMOTE)
        answer = client.get("/")
        assert answer.url.path == "/console/"
        assert answer.status_code in (200, 503)
        assert answer.headers["content-security-policy"] == policy()
        assert client.get("/console/index.html%0a").status_code == 404
        assert client.get("/console%0a", follow_redirects=False).status_code == 404
