"""Which receipts a device believes."""

from __future__ import annotations

from collections.abc import Sequence

from twinproof.errors import ConfigError, Malformed, Untrusted
from twinproof.proof.keys import EDDSA, PublicKey
from twinproof.proof.merkle import hash_leaf
from twinproof.proof.note import ED25519, VerifierKey
from twinproof.proof.receipt import check_inclusion_receipt, parse_receipt


class ReceiptChecker:
    """Checks receipts with the log's Ed25519 verifier keys, as the genesis and the node publish them."""

    def __init__(self, log_keys: Sequence[VerifierKey]) -> None:
        self._keys = {
            (key.name, public.thumbprint): public
            for key in log_keys
            if key.type == ED25519
            for public in [PublicKey(EDDSA, key.public)]
        }
        if log_keys and not self._keys:
            raise ConfigError("none of the log's keys is Ed25519, the type that signs receipts")

    def check(self, statement: bytes, receipt: bytes | None) -> bool:
        """Whether the receipt proves that the log holds `statement`; False if there are no keys.

        Raises `Untrusted` if there is no receipt that can be read or its key is another log's, `BadProof` and
        `BadSignature`.
        """
        if not self._keys:
            return False
        if receipt is None:
            raise Untrusted("the log says that it took a statement, and gives no receipt")
        try:
            parsed = parse_receipt(receipt)
        except Malformed as problem:
            raise Untrusted(f"the log's receipt cannot be read ({problem})") from None
        key = self._keys.get((parsed.issuer, parsed.kid))
        if key is None:
            raise Untrusted(f"a receipt of {parsed.issuer!r} is signed with a key that is not among the log's keys")
        check_inclusion_receipt(parsed, hash_leaf(statement), key)
        return True
