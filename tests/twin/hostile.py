"""Malformed and hostile statements, each with the error it must meet. Other tests send the same table over HTTP.

    CASES: (name, bytes, error class, field, fragment of the message)

Cases are made from one good statement by changing a single thing, and are signed again, so that the
signature is not what is wrong with them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from tests.builders import DEVICE, START, TWIN
from twinproof.errors import Malformed, TooLarge
from twinproof.proof import cbor, cose
from twinproof.proof.keys import EDDSA, ES256, PrivateKey
from twinproof.twin import senml
from twinproof.twin.reading import Reading
from twinproof.twin.statement import MAX_STATEMENT, PREV, SEQ

KEY = PrivateKey(EDDSA, b"\x21" * 32)
P256_KEY = DEVICE.key
PAYLOAD = senml.format_senml([Reading("T24", 600.5, "K", float(START), None)])


class Case(NamedTuple):
    """One statement that must be refused."""

    name: str
    raw: bytes
    error: type[Malformed]
    field: str
    fragment: str


def headers() -> dict[Any, Any]:
    """The protected header of a good statement, second of its stream."""
    return {
        cose.ALG: EDDSA,
        cose.CONTENT_TYPE: senml.SENML,
        cose.KID: KEY.public.thumbprint,
        cose.CWT_CLAIMS: {cose.ISS: "urn:example:device:1", cose.SUB: TWIN, cose.IAT: START},
        SEQ: 1,
        PREV: b"\x5a" * 32,
    }


def build(
    protected: dict[Any, Any] | bytes | None = None,
    *,
    unprotected: Any = None,
    payload: Any = PAYLOAD,
    signature: Any = None,
    tag: int | None = 18,
    more: tuple[Any, ...] = (),
) -> bytes:
    """The bytes of a statement with these parts, signed if `signature` is not given."""
    encoded = protected if type(protected) is bytes else cbor.encode(headers() if protected is None else protected)
    if signature is None:
        signature = KEY.sign(cose.sig_structure(encoded, payload if type(payload) is bytes else b""))
    parts = [encoded, {} if unprotected is None else unprotected, payload, signature, *more]
    return cbor.encode(parts if tag is None else cbor.Tagged(tag, parts))


def good() -> bytes:
    """The statement that all cases were made from: accepted."""
    return build()


def _with(label: Any, value: Any) -> bytes:
    return build({**headers(), label: value})


def _without(label: Any) -> bytes:
    changed = headers()
    del changed[label]
    return build(changed)


def _claim(label: Any, value: Any) -> bytes:
    return _with(cose.CWT_CLAIMS, {**headers()[cose.CWT_CLAIMS], label: value})


def _without_claim(label: Any) -> bytes:
    claims = dict(headers()[cose.CWT_CLAIMS])
    del claims[label]
    return _with(cose.CWT_CLAIMS, claims)


def _first(**changes: Any) -> bytes:
    changed = headers()
    changed[SEQ] = 0
    del changed[PREV]
    return build(changed, **changes)


def _indefinite() -> bytes:
    """The array of four with indefinite length."""
    raw = good()
    assert raw[:2] == b"\xd2\x84"
    return b"\xd2\x9f" + raw[2:] + b"\xff"


def _long_form() -> bytes:
    """The tag in two bytes where one says it."""
    return b"\xd8\x12" + good()[1:]


def _unsorted() -> bytes:
    """The protected header with its first two pairs exchanged."""
    encoded = cbor.encode(headers())
    pairs = [cbor.encode(cose.ALG) + cbor.encode(EDDSA), cbor.encode(cose.CONTENT_TYPE) + cbor.encode(senml.SENML)]
    start = 1 + len(pairs[0]) + len(pairs[1])
    assert encoded[:start] == encoded[:1] + pairs[0] + pairs[1]
    return build(encoded[:1] + pairs[1] + pairs[0] + encoded[start:])


def _twice() -> bytes:
    """The protected header with `alg` twice."""
    encoded = cbor.encode(headers())
    pair = cbor.encode(cose.ALG) + cbor.encode(EDDSA)
    return build(bytes((encoded[0] + 1,)) + pair + encoded[1:])


def _nested(depth: int) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = [value]
    return value


IRI_TRICKS = {
    "empty": "",
    "no scheme": "engine/1",
    "scheme alone": "urn:",
    "scheme that begins with a digit": "1rn:x",
    "white space in front": " urn:x",
    "white space behind": "urn:x ",
    "space inside": "urn:x y",
    "line feed at the end": "urn:x\n",
    "tab": "urn:x\ty",
    "NUL": "urn:x\x00",
    "DEL": "urn:x\x7f",
    "C1 control": "urn:x\x85y",
    "no-break space": "urn:x\u00a0y",
    "soft hyphen": "urn:x\u00ady",
    "zero width space": "urn:x\u200by",
    "zero width joiner": "urn:x\u200dy",
    "left-to-right mark": "urn:x\u200e",
    "right-to-left override": "urn:x\u202egnp",
    "isolate": "urn:x\u2066y",
    "line separator": "urn:x\u2028y",
    "ideographic space": "urn:x\u3000",
    "byte order mark": "\ufeffurn:x",
    "byte order mark inside": "urn:\ufeffx",
    "private use": "urn:\ue000",
    "noncharacter": "urn:\ufffe",
    "tag character": "urn:x\U000e0041",
    "angle brackets": "<urn:x>",
    "quote": 'urn:x"',
    "backslash": "https://x\\y",
    "braces": "https://x/{id}",
    "pipe": "urn:x|y",
    "percent without digits": "https://x/%",
    "percent with one digit": "https://x/%4",
    "percent with wrong digits": "https://x/%zz",
}
"""What `iss`, `sub` and every other IRI must not be."""


def _framing() -> list[Case]:
    """Size, CBOR and COSE_Sign1."""
    s = "statement"
    padded = build(payload=b"\0" * MAX_STATEMENT)
    protected = cbor.encode(headers())
    return [
        Case("no bytes", b"", Malformed, s, "ends in the middle"),
        Case("cut in the middle", good()[:-1], Malformed, s, "ends in the middle"),
        Case("trailing byte", good() + b"\0", Malformed, s, "1 bytes after"),
        Case("two statements", good() * 2, Malformed, s, "after the item"),
        Case("over 60 KiB", padded, TooLarge, s, "the limit is 61440"),
        Case("not CBOR", b"\xff" * 40, Malformed, s, "not accepted"),
        Case("text of JSON", b'{"iss":"x"}', Malformed, s, ""),
        Case("indefinite length", _indefinite(), Malformed, s, "indefinite"),
        Case("tag in long form", _long_form(), Malformed, s, "shortest"),
        Case("nested without end", b"\x81" * 4000, TooLarge, s, "deep"),
        Case("no tag", build(tag=None), Malformed, s, "not tagged"),
        Case("tag of COSE_Sign", build(tag=98), Malformed, s, "not tagged"),
        Case("tag of CWT", build(tag=61), Malformed, s, "not tagged"),
        Case("tagged twice", b"\xd2" + good(), Malformed, s, "array of four"),
        Case("self-described", b"\xd9\xd9\xf7" + good(), Malformed, s, "not tagged"),
        Case("three members", cbor.encode(cbor.Tagged(18, [protected, {}, PAYLOAD])), Malformed, s, "array of four"),
        Case("five members", build(more=(b"",)), Malformed, s, "array of four"),
        Case(
            "protected header as a map", cbor.encode(cbor.Tagged(18, [{}, {}, b"", b"\0" * 64])), Malformed, s, "byte"
        ),
        Case("unprotected header as bytes", build(unprotected=b""), Malformed, s, "must be a map"),
        Case("payload as text", build(payload="x"), Malformed, s, "byte string or nil"),
        Case("signature as text", build(signature="x" * 64), Malformed, s, "byte strings"),
        Case("unprotected kid", build(unprotected={4: b"x"}), Malformed, "unprotected header", "empty"),
        Case("unprotected receipts", build(unprotected={394: [b"x"]}), Malformed, "unprotected header", "empty"),
        Case("detached payload", build(payload=None), Malformed, "payload", "attached"),
        Case("no signature", build(signature=b""), Malformed, "signature", "0 bytes"),
        Case("short signature", build(signature=b"\1" * 63), Malformed, "signature", "63 bytes"),
        Case("signature in DER", build(signature=b"\x30\x44" + b"\1" * 68), Malformed, "signature", "70 bytes"),
    ]


def _protected() -> list[Case]:
    """The protected header as a whole, and its labels."""
    p = "protected header"
    return [
        Case("empty protected header", build(b""), Malformed, "alg", "missing"),
        Case("protected header of an empty map", build(b"\xa0"), Malformed, "alg", "missing"),
        Case("protected header not a map", build(b"\x80"), Malformed, p, "not a map"),
        Case("protected header not CBOR", build(b"\xa1\x01"), Malformed, p, "ends in the middle"),
        Case("protected header with a byte behind", build(cbor.encode(headers()) + b"\0"), Malformed, p, "after"),
        Case("protected header unsorted", _unsorted(), Malformed, p, "out of order"),
        Case("alg twice", _twice(), Malformed, p, "repeated"),
        Case("bytes as a label", build(b"\xa1\x41\x00\x00"), Malformed, p, "neither integer nor text"),
        Case("crit", _with(cose.CRIT, [SEQ]), Malformed, p, "unknown label 2"),
        Case("x5chain", _with(cose.X5CHAIN, b"x"), Malformed, p, "unknown label 33"),
        Case("IV", _with(5, b"\0" * 12), Malformed, p, "unknown label 5"),
        Case("typ", _with(16, "statement"), Malformed, p, "unknown label 16"),
        Case("text label", _with("seq", 1), Malformed, p, "'seq'"),
        Case("unknown label", _with(-70003, 0), Malformed, p, "-70003"),
        Case("a label as long as the statement", _with("x" * 30000, 0), Malformed, p, "xxx…"),
        Case("lacks alg", _without(cose.ALG), Malformed, "alg", "missing"),
        Case("lacks content type", _without(cose.CONTENT_TYPE), Malformed, "content type", "missing"),
        Case("lacks kid", _without(cose.KID), Malformed, "kid", "missing"),
        Case("lacks CWT claims", _without(cose.CWT_CLAIMS), Malformed, "CWT claims", "missing"),
        Case("lacks seq", _without(SEQ), Malformed, "seq", "missing"),
        Case("lacks prev", _without(PREV), Malformed, "prev", "32 bytes"),
        Case("prev at seq 0", _with(SEQ, 0), Malformed, "prev", "absent"),
        Case("null prev at seq 0", build({**headers(), SEQ: 0, PREV: None}), Malformed, "prev", "absent"),
        Case("null prev", _with(PREV, None), Malformed, "prev", "32 bytes"),
        Case("short prev", _with(PREV, b"\0" * 31), Malformed, "prev", "32 bytes"),
        Case("long prev", _with(PREV, b"\0" * 33), Malformed, "prev", "32 bytes"),
        Case("prev as text", _with(PREV, "0" * 32), Malformed, "prev", "32 bytes"),
        Case("negative seq", _with(SEQ, -1), Malformed, "seq", "from 0"),
        Case("seq of 2^63", _with(SEQ, 1 << 63), Malformed, "seq", "2^63-1"),
        Case("seq as float", _with(SEQ, 1.0), Malformed, "seq", "number"),
        Case("seq as boolean", _with(SEQ, True), Malformed, "seq", "number"),
        Case("seq as text", _with(SEQ, "1"), Malformed, "seq", "number"),
        Case("seq null", _with(SEQ, None), Malformed, "seq", "number"),
    ]


def _fields() -> list[Case]:
    """alg, content type, kid, claims."""
    c = "content type"
    return [
        Case("alg 0", _with(cose.ALG, 0), Malformed, "alg", "0 is neither"),
        Case("alg ES384", _with(cose.ALG, -35), Malformed, "alg", "-35"),
        Case("alg HMAC", _with(cose.ALG, 5), Malformed, "alg", "5 is neither"),
        Case("alg Ed25519 of RFC 9864", _with(cose.ALG, -19), Malformed, "alg", "-19"),
        Case("alg as float", _with(cose.ALG, -8.0), Malformed, "alg", "-8.0"),
        Case("alg as text", _with(cose.ALG, "EdDSA"), Malformed, "alg", "'EdDSA'"),
        Case("alg as array", _with(cose.ALG, [-8]), Malformed, "alg", "[-8]"),
        Case("alg as map", _with(cose.ALG, {1: -8}), Malformed, "alg", "neither"),
        Case("alg as tag", _with(cose.ALG, cbor.Tagged(1, [])), Malformed, "alg", "neither"),
        Case("content type as number", _with(cose.CONTENT_TYPE, 112), Malformed, c, "media type"),
        Case("content type empty", _with(cose.CONTENT_TYPE, ""), Malformed, c, "media type"),
        Case("content type in capitals", _with(cose.CONTENT_TYPE, "Application/CBOR"), Malformed, c, "lower-case"),
        Case("content type with parameter", _with(cose.CONTENT_TYPE, "a/b;c=d"), Malformed, c, "parameters"),
        Case("content type without slash", _with(cose.CONTENT_TYPE, "cbor"), Malformed, c, "media type"),
        Case("content type with a line feed", _with(cose.CONTENT_TYPE, "a/b\n"), Malformed, c, "media type"),
        Case("content type too long", _with(cose.CONTENT_TYPE, "a/" + "b" * 128), Malformed, c, "media type"),
        Case("kid as text", _with(cose.KID, "k" * 32), Malformed, "kid", "thumbprint"),
        Case("kid short", _with(cose.KID, b"k" * 31), Malformed, "kid", "thumbprint"),
        Case("kid long", _with(cose.KID, b"k" * 33), Malformed, "kid", "thumbprint"),
        Case("kid empty", _with(cose.KID, b""), Malformed, "kid", "thumbprint"),
        Case("claims as array", _with(cose.CWT_CLAIMS, []), Malformed, "CWT claims", "not a map"),
        Case("claims as bytes", _with(cose.CWT_CLAIMS, b"\xa0"), Malformed, "CWT claims", "not a map"),
        Case("claims nested without end", _with(cose.CWT_CLAIMS, _nested(15)), Malformed, "CWT claims", "not a map"),
        Case("lacks iss", _without_claim(cose.ISS), Malformed, "iss", "missing"),
        Case("lacks sub", _without_claim(cose.SUB), Malformed, "sub", "missing"),
        Case("lacks iat", _without_claim(cose.IAT), Malformed, "iat", "missing"),
        Case("exp", _claim(4, START + 1), Malformed, "CWT claims", "unknown label 4"),
        Case("claim under a text label", _claim("iss", "urn:x"), Malformed, "CWT claims", "'iss'"),
        Case("iat as float", _claim(cose.IAT, 1.5), Malformed, "iat", "whole number"),
        Case("iat as whole float", _claim(cose.IAT, float(START)), Malformed, "iat", "whole number"),
        Case("iat 0", _claim(cose.IAT, 0), Malformed, "iat", "whole number"),
        Case("iat negative", _claim(cose.IAT, -1), Malformed, "iat", "whole number"),
        Case("iat of 2^53", _claim(cose.IAT, 1 << 53), Malformed, "iat", "whole number"),
        Case("iat of 64 bits", _claim(cose.IAT, (1 << 64) - 1), Malformed, "iat", "whole number"),
        Case("iat as a date", _claim(cose.IAT, "2026-01-01T00:00:00Z"), Malformed, "iat", "whole number"),
        Case("iat with tag 1", _claim(cose.IAT, cbor.Tagged(1, START)), Malformed, "iat", "whole number"),
        Case("iat boolean", _claim(cose.IAT, True), Malformed, "iat", "whole number"),
        Case("iss too long", _claim(cose.ISS, "urn:" + "x" * 509), TooLarge, "iss", "512"),
        Case("sub too long", _claim(cose.SUB, "urn:" + "x" * 509), TooLarge, "sub", "512"),
        Case("iss as bytes", _claim(cose.ISS, b"urn:x"), Malformed, "iss", "not text"),
        Case("sub null", _claim(cose.SUB, None), Malformed, "sub", "not text"),
        Case("sub as array", _claim(cose.SUB, ["urn:x"]), Malformed, "sub", "not text"),
        *(
            Case(f"iss: {name}", _claim(cose.ISS, iri), Malformed, "iss", "not an IRI")
            for name, iri in IRI_TRICKS.items()
        ),
        *(
            Case(f"sub: {name}", _claim(cose.SUB, iri), Malformed, "sub", "not an IRI")
            for name, iri in IRI_TRICKS.items()
        ),
    ]


@cache
def cases() -> tuple[Case, ...]:
    """The whole table; made when first asked for, since it takes signatures."""
    return (*_framing(), *_protected(), *_fields())


def wrong_keys() -> dict[str, tuple[bytes, str]]:
    """Well-formed statements that `check_statement` must refuse for the key that `kid` names: (bytes, fragment)."""
    p256 = {**headers(), cose.ALG: ES256, cose.KID: P256_KEY.public.thumbprint}
    encoded = cbor.encode(p256)
    honest = P256_KEY.sign(cose.sig_structure(encoded, PAYLOAD))
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    high = honest[:32] + (order - int.from_bytes(honest[32:], "big")).to_bytes(32, "big")
    signed: Callable[..., bytes] = lambda signature: build(encoded, signature=signature)  # noqa: E731
    return {
        "high s": (signed(high), "high s"),
        "r and s zero": (signed(b"\0" * 64), "does not verify"),
        "r above the order": (signed(b"\xff" * 32 + honest[32:]), "does not verify"),
        "r and s exchanged": (signed(honest[32:] + honest[:32]), ""),
        "another payload's signature": (signed(P256_KEY.sign(b"x")), "does not verify"),
        "Ed25519 signature of zeros": (build(signature=b"\0" * 64), "does not verify"),
        "Ed25519 under alg ES256": (build({**headers(), cose.ALG: ES256}), "alg"),
        "ES256 under alg EdDSA": (
            build({**p256, cose.ALG: EDDSA}, signature=P256_KEY.sign(cose.sig_structure(encoded, PAYLOAD))),
            "alg",
        ),
        "kid of another key": (_with(cose.KID, b"\7" * 32), "names another key"),
    }
