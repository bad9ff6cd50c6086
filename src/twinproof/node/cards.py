"""Signer cards: what a signer hands to the operator, and an auditor to the verifier. Nothing in them is secret.

{"iss": IRI, "kid": thumbprint of the key in hex, "cose_key": base64 of the COSE_Key}      JSON, in `NAME.json`
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from twinproof.errors import Malformed
from twinproof.proof import cbor
from twinproof.proof.keys import PublicKey
from twinproof.proof.note import decode_base64, encode_base64
from twinproof.twin.statement import check_iri


@dataclass(frozen=True, slots=True)
class SignerCard:
    """A signer's public identity: who (`issuer`) signs with which key."""

    issuer: str
    key: PublicKey

    def to_json(self) -> str:
        """The card as it is handed over."""
        card = {
            "iss": self.issuer,
            "kid": self.key.thumbprint.hex(),
            "cose_key": encode_base64(cbor.encode(self.key.cose_key)),
        }
        return json.dumps(card, indent=2) + "\n"


def parse_card(text: str) -> SignerCard:
    """Read a signer card; raises `Malformed`."""
    try:
        card = json.loads(text)
    except (ValueError, RecursionError):
        raise Malformed("signer card", "not JSON; the card is the public file NAME.json beside NAME.pem") from None
    if type(card) is not dict or card.keys() != {"iss", "kid", "cose_key"} or type(card["cose_key"]) is not str:
        raise Malformed("signer card", "must hold iss, kid and cose_key")
    raw = decode_base64(card["cose_key"], "signer card cose_key")
    key = PublicKey.from_cose_key(cbor.decode(raw, what="signer card cose_key"))
    if card["kid"] != key.thumbprint.hex():
        raise Malformed("signer card kid", "is not the thumbprint of its key")
    return SignerCard(check_iri(card["iss"], "signer card iss"), key)
