"""SCRAPI (draft-ietf-scitt-scrapi) and evidence over HTTP, checked with our verifier and with scitt-cose."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from urllib.parse import quote, urlencode

import pytest
import scitt_cose  # type: ignore[import-untyped]
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.builders import DEVICE, ORIGIN, STRANGER, TWIN
from tests.server.process import CBOR, COSE, Answer, Served
from twinproof.node.blobs import Blobs
from twinproof.proof import cbor, merkle
from twinproof.proof.keys import PublicKey
from twinproof.proof.receipt import check_inclusion_receipt, parse_receipt
from twinproof.twin.grants import Capability, log_subject
from twinproof.twin.statement import MAX_STATEMENT
from twinproof.verify import verify_bundle, verify_tlog_proof, verify_transparent

RECORD = {Capability.RECORD}


@pytest.fixture(autouse=True, scope="module")
def granted(served: Served) -> None:
    served.script.grant(DEVICE, RECORD)
    served.script.record(DEVICE, 0.0)
    served.grow()


def log_key(served: Served) -> PublicKey:
    """The receipt key, as the node tells it."""
    (value,) = served.client.get("/.well-known/scitt-keys").value
    return PublicKey.from_cose_key({label: value[label] for label in (1, -1, -2)})


def refusal(answer: Answer, status: int, title: str, fragment: str) -> None:
    assert answer.status == status, answer.body
    assert answer.problem[0] == title
    assert fragment in answer.problem[1]


# --- registering ------------------------------------------------------------------------------


def test_register_answers_with_a_receipt(served: Served) -> None:
    raw = served.script.record(DEVICE, 1.0).raw
    answer = served.client.post(raw)
    index = len(served.script) - 1
    assert answer.status == 201
    assert answer.headers["content-type"] == COSE
    assert answer.headers["location"] == f"/entries/{index}"
    receipt = parse_receipt(answer.body)
    assert (receipt.issuer, receipt.first, receipt.second) == (ORIGIN, index + 1, index)
    key = log_key(served)
    assert check_inclusion_receipt(receipt, merkle.hash_leaf(raw), key) == served.head().root
    # The same once more: 200, the same place.
    again = served.client.post(raw)
    assert (again.status, again.headers["location"]) == (200, f"/entries/{index}")
    assert served.head().size == index + 1
    # What the Location gives is a receipt too, fresh as the log grows.
    served.client.take(served.script.record(DEVICE, 2.0).raw)
    later = served.client.get(answer.headers["location"])
    assert (later.status, later.headers["content-type"]) == (200, COSE)
    assert parse_receipt(later.body).first == index + 2
    check_inclusion_receipt(parse_receipt(later.body), merkle.hash_leaf(raw), key)


def test_a_foreign_verifier_takes_the_receipts(served: Served) -> None:
    key = log_key(served)
    public = Ed25519PublicKey.from_public_bytes(key.raw)
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for index in (0, 1, served.head().size - 1):
        raw = served.client.get(f"/entries/{index}/statement").body
        receipt = served.client.get(f"/entries/{index}").body
        result = scitt_cose.verify_receipt(receipt, leaf_entry_hex=raw.hex(), log_public_key_pem=pem)
        assert result.ok, result.errors
        assert (result.leaf_index, result.tree_size) == (index, served.head().size)
        assert result.root == served.head().root.hex()
        wrong = scitt_cose.verify_receipt(receipt, leaf_entry_hex=(raw + b"\0").hex(), log_public_key_pem=pem)
        assert not wrong.ok


@pytest.mark.parametrize(
    "content_type", ["", "application/cbor", "application/cbor-seq", "application/json", "text/plain", "cose", "*/*"]
)
def test_another_content_type(served: Served, content_type: str) -> None:
    before = served.head()
    raw = served.script.draft(DEVICE, TWIN, "application/senml+cbor", b"\x80")
    headers = {"content-type": content_type} if content_type else {}
    for path in ("/entries", "/entries/batch"):
        if (path, content_type) != ("/entries/batch", "application/cbor-seq"):
            answer = served.client.request("POST", path, raw, headers)
            refusal(answer, 400, "Malformed request", "content-type: must be application/c")
    assert served.head() == before


def test_content_types_with_parameters_and_capitals(served: Served) -> None:
    raw = served.script.record(DEVICE, 3.0).raw
    assert served.client.post(raw, "Application/COSE; cose-type=cose-sign1").status == 201


def test_no_body_and_bodies_at_the_limit(served: Served) -> None:
    before = served.head()
    refusal(served.client.post(b""), 400, "Malformed request", "malformed: statement: ends in the middle")
    refusal(served.client.post(bytes(MAX_STATEMENT)), 400, "Malformed request", "malformed: statement")
    refusal(served.client.post(bytes(MAX_STATEMENT + 1)), 413, "Too Large", f"body: over {MAX_STATEMENT} bytes")
    refusal(served.client.post(bytes(9_000_000)), 413, "Too Large", "too-large: body")
    assert served.head() == before


def test_chunked_bodies(served: Served) -> None:
    raw = served.script.record(DEVICE, 4.0).raw
    parts = iter([raw[:1], raw[1:7], b"", raw[7:]])
    answer = served.client.request("POST", "/entries", parts, {"content-type": COSE})
    assert answer.status == 201


# --- keys -------------------------------------------------------------------------------------


def test_keys(served: Served) -> None:
    answer = served.client.get("/.well-known/scitt-keys")
    assert (answer.status, answer.headers["content-type"]) == (200, CBOR)
    (value,) = answer.value
    key = log_key(served)
    assert value == {**key.cose_key, 2: key.thumbprint, 3: -8}
    for kid in (key.thumbprint.hex(), urlsafe_b64encode(key.thumbprint).rstrip(b"=").decode()):
        one = served.client.get(f"/.well-known/scitt-keys/{kid}")
        assert (one.status, one.value) == (200, value)
    receipt = parse_receipt(served.client.get("/entries/0").body)
    assert receipt.kid == key.thumbprint


@pytest.mark.parametrize("kid", ["00", "x", "%00", "a" * 64, "é", "%2e%2e"])
def test_no_such_key(served: Served, kid: str) -> None:
    refusal(served.client.get(f"/.well-known/scitt-keys/{quote(kid, safe='%')}"), 404, "No such key", "not-found")


# --- entries ----------------------------------------------------------------------------------


def test_evidence_of_every_entry(served: Served) -> None:
    served.grow()
    for index, raw in enumerate(served.script.raws):
        logged = served.client.get(f"/entries/{index}/statement")
        assert (logged.status, logged.headers["content-type"], logged.body) == (200, COSE, raw)
        assert logged.headers["cache-control"] == "public, max-age=31536000, immutable"
        transparent = served.client.get(f"/entries/{index}/transparent")
        assert transparent.headers["content-type"] == COSE
        assert verify_transparent(transparent.body, served.policy).statement.raw == raw
        proof = served.client.get(f"/entries/{index}/tlog-proof")
        assert proof.headers["content-type"] == "text/plain; charset=utf-8"
        proven, trusted = verify_tlog_proof(proof.body, raw, served.policy)
        assert (proven.index, trusted.checkpoint) == (index, served.head())


@pytest.mark.parametrize("part", ["", "/statement", "/transparent", "/tlog-proof"])
def test_locators(served: Served, part: str) -> None:
    size = served.head().size
    for index in (str(size), str(size + 1), str((1 << 63) - 1)):
        refusal(served.client.get(f"/entries/{index}{part}"), 404, "Not Found", "not-found: no entry")
    for index in ("x", "-1", "+1", "01", "1.0", "0x1", "1_0", "%20", "1%20", "%C2%B2", str(1 << 63), "9" * 100):
        refusal(served.client.get(f"/entries/{index}{part}"), 400, "Invalid locator", "malformed: entry")


def test_streams(served: Served) -> None:
    def ask(**query: str) -> Answer:
        return served.client.get(f"/streams?{urlencode(query)}")

    head = served.script.heads[DEVICE.issuer, TWIN]
    answer = ask(iss=DEVICE.issuer, sub=TWIN)
    assert (answer.status, answer.value) == (200, {"seq": head.seq, "digest": head.digest})
    refusal(ask(iss=STRANGER.issuer, sub=TWIN), 404, "Not Found", "has said nothing about")
    refusal(ask(iss=TWIN, sub=DEVICE.issuer), 404, "Not Found", "has said nothing about")
    refusal(ask(sub=TWIN), 400, "Malformed request", "malformed: iss")
    refusal(ask(iss=DEVICE.issuer), 400, "Malformed request", "malformed: sub")
    refusal(ask(iss="no scheme", sub=TWIN), 400, "Malformed request", "malformed: iss")
    refusal(ask(iss="urn:" + "x" * 600, sub=TWIN), 413, "Too Large", "too-large: iss")
    refusal(served.client.get("/streams?iss=%ff%fe&sub=urn:x"), 400, "Malformed request", "malformed: iss")


def test_bundle(served: Served) -> None:
    served.grow()
    answer = served.client.get(f"/bundle?{urlencode({'sub': TWIN})}")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/vnd.twinproof.bundle+cbor")
    history = verify_bundle(answer.body, served.policy)
    about = [index for index, raw in enumerate(served.script.raws) if served.script.statement(index).subject == TWIN]
    assert [entry.index for entry in history.entries] == about
    assert history.operator == served.script.operator.key.public
    own = served.client.get(f"/bundle?{urlencode({'sub': log_subject(ORIGIN)})}")
    assert len(verify_bundle(own.body, served.policy).entries) == 2
    refusal(served.client.get("/bundle?sub=urn:nothing"), 404, "Not Found", "holds nothing about urn:nothing")
    refusal(served.client.get("/bundle"), 400, "Malformed request", "malformed: sub")
    refusal(served.client.get("/bundle?sub=x"), 400, "Malformed request", "malformed: sub")


def test_a_bundle_carries_the_models_of_its_predictions_if_asked_to(served: Served) -> None:
    served.grow()
    plain = served.client.get(f"/bundle?{urlencode({'sub': TWIN})}")
    asked = served.client.get(f"/bundle?{urlencode({'sub': TWIN, 'models': '1'})}")
    assert asked.body == plain.body  # nothing is predicted here
    refusal(
        served.client.get(f"/bundle?{urlencode({'sub': TWIN, 'models': 'yes'})}"), 400, "Malformed request", "models"
    )


def test_blobs(served: Served) -> None:
    name = Blobs(served.node.folder).put(b"a model")
    answer = served.client.get(f"/blobs/{name.hex()}")
    assert (answer.status, answer.headers["content-type"], answer.body) == (200, "application/octet-stream", b"a model")
    refusal(served.client.get(f"/blobs/{'00' * 32}"), 404, "Not Found", "no blob 0000")
    refusal(served.client.get(f"/blobs/{name.hex().upper()}"), 400, "Malformed request", "malformed: digest")
    refusal(served.client.get("/blobs/00"), 400, "Malformed request", "malformed: digest")


def test_health(served: Served) -> None:
    answer = served.client.get("/health")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.body == b'{"origin":"%s","size":%d}' % (ORIGIN.encode(), served.head().size)


# --- routes and methods -----------------------------------------------------------------------

ROUTES = {
    "/entries": "POST",
    "/entries/batch": "POST",
    "/entries/0": "GET, HEAD",
    "/entries/0/statement": "GET, HEAD",
    "/entries/0/transparent": "GET, HEAD",
    "/entries/0/tlog-proof": "GET, HEAD",
    "/streams": "GET, HEAD",
    "/bundle": "GET, HEAD",
    "/blobs/x": "GET, HEAD",
    "/checkpoint": "GET, HEAD",
    "/tile/0/000": "GET, HEAD",
    "/.well-known/scitt-keys": "GET, HEAD",
    "/.well-known/scitt-keys/x": "GET, HEAD",
    "/health": "GET, HEAD",
}


@pytest.mark.parametrize("path", ROUTES)
def test_wrong_methods(served: Served, path: str) -> None:
    for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"):
        if method in ROUTES[path] or (path, method) == ("/entries/batch", "GET"):
            continue
        answer = served.client.request(method, path)
        refusal(answer, 405, "Method Not Allowed", f"method: '{method}' is not for '{path}'")
        assert sorted(answer.headers["allow"].split(", ")) == sorted(ROUTES[path].split(", "))


@pytest.mark.parametrize(
    "path",
    [
        "/entry",
        "/entries/",
        "/entries/0/",
        "/entries/0/receipt",
        "/checkpoint/",
        "/tiles/0/000",
        "//checkpoint",
        "/checkpoint%2f",
        "/checkpoint%0a",
        "/entries/0/statement%0A",
        "/Checkpoint",
        "/%00",
        "/%ff",
        "/" + "x" * 5000,
        "/docs",
        "/.well-known/",
    ],
)
def test_unknown_routes(served: Served, path: str) -> None:
    answer = served.client.get(path)
    refusal(answer, 404, "Not Found", "not-found")
    assert len(answer.body) < 300


def test_head_answers_as_get_without_a_body(served: Served) -> None:
    for path in ("/checkpoint", "/entries/0", "/entries/0/statement", "/health", "/nowhere", "/entries/x"):
        got, headed = served.client.get(path), served.client.request("HEAD", path)
        assert headed.body == b""
        assert headed.status == got.status
        for name in ("content-type", "content-length", "cache-control"):
            assert headed.headers.get(name) == got.headers.get(name), name


def test_no_header_tells_the_software(served: Served) -> None:
    headers = served.client.get("/checkpoint").headers
    assert "server" not in headers
    assert headers["content-type"] == "text/plain; charset=utf-8"
    assert headers["cache-control"] == "public, max-age=1"


def test_cbor_answers_are_deterministic(served: Served) -> None:
    for path in ("/.well-known/scitt-keys", f"/streams?{urlencode({'iss': DEVICE.issuer, 'sub': TWIN})}", "/nowhere"):
        body = served.client.get(path).body
        assert cbor.encode(cbor.decode(body)) == body
