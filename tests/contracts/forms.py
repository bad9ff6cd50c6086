"""Statements put together by hand, piece by piece, so that each piece can be wrong; the signature is always right."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from twinproof.proof import cbor
from twinproof.proof.keys import ES256, PrivateKey

KEY: Final = PrivateKey(ES256, sha256(b"predictor").digest())
OTHER_KEY: Final = PrivateKey(ES256, sha256(b"somebody else").digest())
KID: Final = KEY.public.thumbprint

PIECES: Final[dict[str, bytes]] = {
    "alg": b"\x01\x26",
    "content type": b"\x03" + cbor.encode("application/vnd.twinproof.prediction+cbor"),
    "kid": b"\x04" + cbor.encode(KID),
    "claims": b"\x0f\xa3",
    "iss": b"\x01" + cbor.encode("urn:example:predictor"),
    "sub": b"\x02" + cbor.encode("https://fleet.example/engine/1"),
    "iat": b"\x06" + cbor.encode(1_700_000_000),
    "seq": cbor.encode(-70001) + cbor.encode(7),
    "prev": cbor.encode(-70002) + cbor.encode(bytes(32)),
}
"""The entries of the protected header in their order, encoded."""


def build(
    changes: dict[str, bytes] | None = None,
    *,
    tag: bytes = b"\xd2",
    array: bytes = b"\x84",
    entries: bytes | None = None,
    protected: bytes | None = None,
    unprotected: bytes = b"\xa0",
    payload: bytes = b"\x4401234"[:5],
    signature: bytes | None = None,
    tail: bytes = b"",
) -> bytes:
    """A statement of these pieces. `changes` replace entries of the header, an empty one removes it; `entries` is its
    map's head; `protected`, `payload` and `signature` are whole items with their heads.
    """
    pieces = {**PIECES, **(changes or {})}
    if entries is None:
        entries = bytes(
            [0xA0 + sum(bool(pieces[name]) for name in ("alg", "content type", "kid", "claims", "seq", "prev"))]
        )
    header = entries + b"".join(pieces.values())
    protected = cbor.encode(header) if protected is None else protected
    if signature is None:
        signature = cbor.encode(KEY.sign(b"\x84\x6aSignature1" + protected + b"\x40" + payload))
    return tag + array + protected + unprotected + payload + signature + tail


def without(*names: str) -> dict[str, bytes]:
    """Changes that remove entries."""
    return dict.fromkeys(names, b"")


FIRST: Final = {"seq": cbor.encode(-70001) + b"\x00", "prev": b""}
"""Changes that make it the first of its stream."""


def _header(changes: dict[str, bytes] | None = None) -> bytes:
    return bytes(cbor.decode(build(changes)).value[0])


RIGHT: Final[dict[str, bytes]] = {
    "as it is": build(),
    "first of its stream": build(FIRST),
    "empty payload": build(payload=b"\x40"),
    "payload of 23 bytes": build(payload=cbor.encode(bytes(23))),
    "payload of 24 bytes": build(payload=cbor.encode(bytes(24))),
    "payload of 255 bytes": build(payload=cbor.encode(bytes(255))),
    "payload of 256 bytes": build(payload=cbor.encode(bytes(256))),
    "payload to the limit": build(
        payload=cbor.encode(bytes(61_440 - len(build(payload=cbor.encode(bytes(256)))) + 256))
    ),
    "time 1": build({"iat": b"\x06\x01"}),
    "time 24": build({"iat": b"\x06\x18\x18"}),
    "the last time": build({"iat": b"\x06" + cbor.encode((1 << 53) - 1)}),
    "the last seq": build({"seq": cbor.encode(-70001) + cbor.encode((1 << 63) - 1)}),
    "short names": build({"iss": b"\x01\x63a:b", "sub": b"\x02\x63c:d", "content type": b"\x03\x63a/b"}),
    "header of 255 bytes or less": build(
        {**FIRST, "iss": b"\x01\x63a:b", "sub": b"\x02" + cbor.encode("c:" + "d" * 90)}
    ),
    "long names": build(
        {"iss": b"\x01" + cbor.encode("u:" + "x" * 510), "sub": b"\x02" + cbor.encode("v:" + "y" * 510)}
    ),
    "longest media type": build({"content type": b"\x03" + cbor.encode("a" * 64 + "/" + "b" * 127)}),
    "names of characters beyond ASCII": build({"sub": b"\x02" + cbor.encode("urn:größe:\U0001f600")}),
}
"""Taken in both languages."""

WRONG: Final[dict[str, bytes]] = {
    "nothing": b"",
    "tag in two bytes": build(tag=b"\xd8\x12"),
    "no tag": build(tag=b""),
    "another tag": build(tag=b"\xd1"),
    "array in two bytes": build(array=b"\x98\x04"),
    "array without end": build(array=b"\x9f", tail=b"\xff"),
    "array of five": build(array=b"\x85", tail=b"\x00"),
    "a byte after it": build(tail=b"\x00"),
    "protected header not in bytes": build(protected=_header()),
    "protected header as text": build(protected=b"\x79" + len(_header()).to_bytes(2, "big") + _header()),
    "protected length in four bytes": build(protected=b"\x5a" + len(_header()).to_bytes(4, "big") + _header()),
    "protected length in two bytes": build(protected=b"\x59" + len(_header(FIRST)).to_bytes(2, "big") + _header(FIRST)),
    "protected without end": build(protected=b"\x5f" + cbor.encode(_header()) + b"\xff"),
    "empty protected header": build(protected=b"\x40"),
    "protected length beyond the end": build(protected=b"\x59\xf0\x00" + _header()),
    "protected length beyond everything": build(protected=b"\x5b" + b"\xff" * 8 + _header()),
    "header map in two bytes": build(entries=b"\xb8\x06"),
    "header map without end": build(entries=b"\xbf", changes={"prev": PIECES["prev"] + b"\xff"}),
    "header map says five": build(entries=b"\xa5"),
    "header map says seven": build(entries=b"\xa7"),
    "a byte after the header map": build({"prev": PIECES["prev"] + b"\x00"}),
    "another entry": build({"prev": PIECES["prev"] + b"\x3a\x00\x01\x11\x72\x00"}, entries=b"\xa7"),
    "an entry between": build({"kid": PIECES["kid"] + b"\x05\x40"}, entries=b"\xa7"),
    "alg twice": build({"alg": PIECES["alg"] * 2}, entries=b"\xa7"),
    "alg EdDSA": build({"alg": b"\x01\x27"}),
    "alg in two bytes": build({"alg": b"\x01\x38\x06"}),
    "alg as a float": build({"alg": b"\x01\xf9\xc7\x00"}),
    "label 1 in two bytes": build({"alg": b"\x18\x01\x26"}),
    "content type as bytes": build({"content type": b"\x03\x43a/b"}),
    "content type as a number": build({"content type": b"\x03\x18\x3c"}),
    "content type empty": build({"content type": b"\x03\x60"}),
    "content type too long": build({"content type": b"\x03" + cbor.encode("a" * 64 + "/" + "b" * 128)}),
    "content type's length in two bytes": build({"content type": b"\x03\x78\x03a/b"}),
    "content type's length in three bytes": build({"content type": b"\x03\x79\x00\x29" + PIECES["content type"][3:]}),
    "content type's length beyond the header": build({"content type": b"\x03\x78\xbf" + PIECES["content type"][3:]}),
    "kid of 31 bytes": build({"kid": b"\x04" + cbor.encode(KID[:31])}),
    "kid of 33 bytes": build({"kid": b"\x04" + cbor.encode(KID + b"\x00")}),
    "kid's length in three bytes": build({"kid": b"\x04\x59\x00\x20" + KID}),
    "kid as text": build({"kid": b"\x04\x78\x20" + b"k" * 32}),
    "four claims": build({"claims": b"\x0f\xa4", "iat": PIECES["iat"] + b"\x07\x40"}),
    "two claims": build({"claims": b"\x0f\xa2", "iat": b""}),
    "claims in two bytes": build({"claims": b"\x0f\xb8\x03"}),
    "claims in another order": build({"iss": PIECES["sub"], "sub": PIECES["iss"]}),
    "iss twice": build({"sub": PIECES["iss"]}),
    "iss empty": build({"iss": b"\x01\x60"}),
    "iss as bytes": build({"iss": b"\x01" + cbor.encode(b"urn:example:predictor")}),
    "iss without end": build({"iss": b"\x01\x7f\x63a:b\xff"}),
    "iss too long": build({"iss": b"\x01" + cbor.encode("u:" + "x" * 2047)}),
    "iss beyond the end, in a header beyond the end": build(
        {"iss": b"\x01\x79\x07\x00"}, protected=b"\x59\xf0\x00" + _header({"iss": b"\x01\x79\x07\x00"})
    ),
    "iat 0": build({"iat": b"\x06\x00"}),
    "iat of 2^53": build({"iat": b"\x06" + cbor.encode(1 << 53)}),
    "iat before 1970": build({"iat": b"\x06\x20"}),
    "iat as a float": build({"iat": b"\x06\xfa\x4e\xca\xa4\x5e"}),
    "iat in nine bytes": build({"iat": b"\x06\x1b" + (1_700_000_000).to_bytes(8, "big")}),
    "iat under a tag": build({"iat": b"\x06\xc1" + PIECES["iat"][1:]}),
    "23 in two bytes": build({"iat": b"\x06\x18\x17"}),
    "255 in three bytes": build({"iat": b"\x06\x19\x00\xff"}),
    "65535 in five bytes": build({"iat": b"\x06\x1a\x00\x00\xff\xff"}),
    "reserved length": build({"iat": b"\x06\x1c"}),
    "seq of 2^63": build({"seq": cbor.encode(-70001) + cbor.encode(1 << 63)}),
    "seq below 0": build({"seq": cbor.encode(-70001) + b"\x20"}),
    "seq in two bytes": build({"seq": cbor.encode(-70001) + b"\x18\x07"}),
    "seq's label in nine bytes": build({"seq": b"\x3b\x00\x00\x00\x00\x00\x01\x11\x70\x07"}),
    "seq 0 with prev": build({"seq": FIRST["seq"]}),
    "seq 7 without prev": build(without("prev")),
    "prev of 31 bytes": build({"prev": cbor.encode(-70002) + cbor.encode(bytes(31))}),
    "prev null": build({"prev": cbor.encode(-70002) + b"\xf6"}),
    "prev before seq": build({"seq": PIECES["prev"], "prev": PIECES["seq"]}),
    "no alg": build(without("alg")),
    "no content type": build(without("content type")),
    "no kid": build(without("kid")),
    "no claims": build(without("claims", "iss", "sub", "iat")),
    "no seq": build(without("seq", "prev")),
    "something unprotected": build(unprotected=b"\xa1\x01\x26"),
    "unprotected in two bytes": build(unprotected=b"\xb8\x00"),
    "unprotected as an array": build(unprotected=b"\x80"),
    "payload nil": build(payload=b"\xf6"),
    "payload as text": build(payload=b"\x64abcd"),
    "payload's length in two bytes": build(payload=b"\x58\x04abcd"),
    "payload without end": build(payload=b"\x5f\x44abcd\xff"),
    "payload's length beyond the end": build(payload=b"\x59\xee\xeeabcd"),
    "payload's length beyond everything": build(payload=b"\x5b" + b"\xff" * 8 + b"abcd"),
    "payload's length in a reserved form": build(payload=b"\x5c" + bytes(16)),
    "payload's length in the next reserved form": build(payload=b"\x5d" + bytes(32)),
    "payload's length in the last reserved form": build(payload=b"\x5e" + bytes(64)),
    "signature of 63 bytes": build(signature=cbor.encode(bytes(63))),
    "signature of 65 bytes": build(signature=cbor.encode(bytes(65))),
    "signature's length in three bytes": build(signature=b"\x59\x00\x40" + bytes(64)),
    "signature as text": build(signature=b"\x78\x40" + b"s" * 64),
    "too long": build(payload=cbor.encode(bytes(61_441 - len(build(payload=cbor.encode(bytes(256)))) + 256))),
}
"""Refused in both languages for their form."""
