"""How everybody sees that a gateway signed, and not the device: the issuer's IRI ends in `#gateway`.

    iss = "urn:dev:gateway-1#gateway"

The issuer stands in the signed header of every statement and in the grant that admits its key. So the mark is in every
bundle, verifies with the statement, cannot be taken off afterwards, needs no capability and no model's leave, and the
operator has read it before granting. A bridge signs under no other issuer. What it carries of devices that sign
themselves keeps their issuer.
"""

from __future__ import annotations

from typing import Final

from twinproof.errors import Malformed
from twinproof.twin.statement import Statement, check_iri

GATEWAY: Final = "#gateway"
"""Ending of the IRI of an issuer that signs on behalf of unsigned equipment."""


def check_gateway_iri(iri: str) -> str:
    """Return `iri` if it is that of a gateway; raises `Malformed`."""
    check_iri(iri, "issuer")
    if not iri.endswith(GATEWAY) or iri == GATEWAY:
        raise Malformed("issuer", f"must end in {GATEWAY}: what it signs is on behalf of equipment that cannot sign")
    return iri


def is_gateway_signed(statement: Statement) -> bool:
    """Whether a gateway signed on behalf of others. Trust in the answer is trust in the grant of this issuer."""
    return statement.issuer.endswith(GATEWAY)
