"""Keys of the node's own services: each signs statements under a name and with a grant of its own.

A service's key is FOLDER/keys/NAME.pem, its card FOLDER/NAME.json, its issuer an IRI below the log's own. The
operator grants it one capability about every twin; until then intake refuses what it says.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from twinproof.errors import StorageFailed
from twinproof.log.files import replace_file
from twinproof.node import keyring
from twinproof.node.cards import SignerCard
from twinproof.node.intake import Accepted
from twinproof.node.node import WritingNode
from twinproof.proof.keys import EDDSA, ES256, PrivateKey
from twinproof.twin.grants import GRANT, Capability, GrantTerms, Scope, format_grant, log_subject
from twinproof.twin.stream import sign_next

PATIENCE: Final = 30.0
"""Seconds that intake may take for an answer."""
EVERY_TWIN: Final = Scope("prefix", "")


@dataclass(frozen=True, slots=True)
class Service:
    """One service of a node."""

    name: str
    capability: Capability
    algorithm: int = EDDSA
    """Of its key."""

    def issuer(self, origin: str) -> str:
        """Who it is, in the log of this origin."""
        return f"{log_subject(origin)}#{self.name}"

    def has_key(self, folder: Path) -> bool:
        """Whether it was enabled here."""
        return self._path(folder).exists()

    def key(self, folder: Path, origin: str) -> PrivateKey:
        """Its key, made with its signer card if there is none; raises `ConfigError` or `StorageFailed`."""
        if not self.has_key(folder):
            keyring.write_secret(self._path(folder), keyring.new_private_key(self.algorithm).to_pem())
        key = keyring.read_private_key(self._path(folder))
        path, card = folder / f"{self.name}.json", SignerCard(self.issuer(origin), key.public).to_json()
        try:
            if not path.exists() or path.read_text() != card:
                replace_file(path, card.encode())
        except (OSError, UnicodeDecodeError) as problem:
            raise StorageFailed(f"{path}: {problem}") from None
        return key

    def _path(self, folder: Path) -> Path:
        return folder / "keys" / f"{self.name}.pem"

    def is_enabled(self, node: WritingNode, key: PrivateKey) -> bool:
        """Whether a grant that stands lets it speak about every twin."""
        authority = node.intake.authority
        return any(
            grant.terms.key.thumbprint == key.public.thumbprint
            and grant.terms.issuer == self.issuer(node.config.origin)
            and self.capability in grant.terms.can
            and grant.terms.scope == EVERY_TWIN
            and authority.revoked_at(grant) is None
            for grant in authority.grants.values()
        )

    def enable(self, node: WritingNode, key: PrivateKey) -> int | None:
        """Let the operator grant it its capability; the grant's index, None if it has one.

        Raises `ConfigError` if the operator's key is kept elsewhere, or what intake refuses it for.
        """
        if self.is_enabled(node, key):
            return None
        operator, about = node.operator_key(), log_subject(node.config.origin)
        issuer = node.intake.authority.root.terms.issuer
        terms = GrantTerms(self.issuer(node.config.origin), key.public, frozenset({self.capability}), EVERY_TWIN)
        raw = sign_next(
            node.intake.stream_head(issuer, about),
            operator,
            issuer=issuer,
            subject=about,
            content_type=GRANT,
            payload=format_grant(terms),
            issued_at=int(node.clock()),
        )
        (outcome,) = node.intake.submit([raw]).result(PATIENCE)
        if not isinstance(outcome, Accepted):
            raise outcome
        return outcome.index


CHAIN: Final = Service("chain", Capability.RECORD)
"""States what contracts said."""
MONITOR: Final = Service("monitor", Capability.PREDICT)
"""States the cases that detectors make of readings."""
FORECAST: Final = Service("forecast", Capability.PREDICT, ES256)
"""States what models predict, with a key whose signatures contracts can check."""
CONSOLE: Final = Service("console", Capability.OPERATE)
"""States what people ask for and answer through the console."""
