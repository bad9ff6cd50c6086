"""Bearer tokens of an outside issuer: JWTs (RFC 7519, 9068) under the keys of its JWK Set (RFC 7517).

What a bearer may read stands in one claim, `scope` unless [access] says otherwise: words separated by
spaces, or a list of them, among which those count that begin with `twinproof:`

    "scope": "openid twinproof:prefix:https://fleet.example/engine/ twinproof:twin:https://fleet.example/site"

`twinproof:operate` lets the bearer act through the node as well.

Only asymmetric signatures are known here, and a key decides on its algorithm, never the token.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import jwt
import urllib3

from twinproof.errors import ConfigError, Malformed, Unauthenticated, Unreachable
from twinproof.node.config import Access
from twinproof.node.tokens import ReadScope, parse_scope

ALGORITHMS: Final = frozenset({"ES256", "ES384", "EdDSA", "PS256", "RS256", "RS384", "RS512"})
MAX_TOKEN: Final = 8192
"""Characters."""
MAX_JWKS: Final = 256 * 1024
"""Bytes."""
FRESH: Final = 300.0
"""Seconds that fetched keys are used without asking again."""
STALE: Final = 3600.0
"""Seconds that they are used while the issuer cannot be reached."""
PAUSE: Final = 10.0
"""Seconds between two fetches: unknown key ids must not make this node knock at the issuer's door."""
LEEWAY: Final = 30
"""Seconds that the issuer's clock may be off."""
_WORD: Final = "twinproof:"
_LOG = logging.getLogger(__name__)


class Bearer(NamedTuple):
    """Whom a token speaks for."""

    subject: str
    scopes: tuple[ReadScope, ...]


class Issuer:
    """Checks tokens; `check` may be called from any thread, and may fetch the issuer's keys."""

    def __init__(
        self,
        settings: Access,
        folder: Path,
        clock: Callable[[], float],
        fetch: Callable[[str], bytes] | None = None,
    ) -> None:
        """`clock` counts seconds and never goes back; `fetch` gets an https URL."""
        self._settings = settings
        self._folder = folder
        self._clock = clock
        self._fetch = fetch or _fetch
        self._lock = threading.Lock()
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._fetched = self._tried = float("-inf")

    def check(self, token: str) -> Bearer:
        """Whom the token speaks for; raises `Unauthenticated`."""
        if len(token) > MAX_TOKEN:
            raise Unauthenticated(f"the token is longer than {MAX_TOKEN} characters")
        try:
            header = jwt.get_unverified_header(token)
            if "crit" in header:
                raise Unauthenticated("the token has critical header parameters, which are unknown here")
            key = self._key(header.get("kid"))
            claims = jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                audience=self._settings.audience,
                issuer=self._settings.issuer,
                leeway=LEEWAY,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.PyJWTError as problem:
            raise Unauthenticated(f"the token does not hold: {problem}") from None
        except (ValueError, TypeError, RecursionError) as problem:
            raise Unauthenticated(f"the token cannot be read: {type(problem).__name__}") from None
        return Bearer(str(claims["sub"])[:200], self._scopes(claims))

    def _scopes(self, claims: dict[str, Any]) -> tuple[ReadScope, ...]:
        said = claims.get(self._settings.claim)
        words = said.split() if isinstance(said, str) else said
        if not isinstance(words, list):
            return ()
        found = []
        for word in words:
            if isinstance(word, str) and word.startswith(_WORD):
                try:
                    found.append(parse_scope(word.removeprefix(_WORD)))
                except Malformed as problem:
                    raise Unauthenticated(f"the claim {self._settings.claim}: {problem}") from None
        return tuple(found)

    # --- the issuer's keys ---

    def _key(self, kid: object) -> jwt.PyJWK:
        if kid is not None and type(kid) is not str:
            raise Unauthenticated("the token's kid is not text")
        with self._lock:
            if self._clock() - self._fetched > FRESH or kid not in self._keys:
                self._refresh()
            if self._clock() - self._fetched > STALE:
                self._keys = {}
            key = self._keys.get(kid)
            # A token may leave the kid out where there is no choice.
            if kid is None and key is None and len(self._keys) == 1:
                (key,) = self._keys.values()
        if key is None:
            raise Unauthenticated("the token names no key of the issuer")
        return key

    def _refresh(self) -> None:
        now = self._clock()
        if now - self._tried < PAUSE:
            return
        self._tried = now
        try:
            self._keys = parse_jwks(self._read())
            self._fetched = now
        except (ConfigError, Unreachable) as problem:
            _LOG.error("the keys of %s are not renewed: %s", self._settings.issuer, problem)

    def _read(self) -> bytes:
        place = self._settings.jwks
        if place.startswith("https://"):
            return self._fetch(place)
        path = self._folder / place
        try:
            return path.read_bytes()
        except OSError as problem:
            raise ConfigError(f"{path}: {problem.strerror}") from None


def parse_jwks(data: bytes) -> dict[str | None, jwt.PyJWK]:
    """Usable keys of a JWK Set by `kid`; raises `ConfigError` if there are none.

    Keys for other uses, symmetric ones and RSA below 2048 bits do not count.
    """
    if len(data) > MAX_JWKS:
        raise ConfigError(f"the JWK Set has over {MAX_JWKS} bytes")
    try:
        rows = json.loads(data)["keys"]
        usable = [key for row in rows if isinstance(row, dict) and (key := _usable(row)) is not None]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ConfigError("not a JWK Set") from None
    if not usable:
        raise ConfigError("the JWK Set holds no key that signs tokens")
    return {key.key_id: key for key in usable}


def _usable(row: dict[str, Any]) -> jwt.PyJWK | None:
    if row.get("use", "sig") != "sig" or row.get("kty") not in ("EC", "RSA", "OKP"):
        return None
    if type(row.get("kid", "")) is not str:
        return None
    try:
        key = jwt.PyJWK(row)
    except jwt.PyJWTError:
        return None
    short = row["kty"] == "RSA" and key.key.key_size < 2048
    return key if key.algorithm_name in ALGORITHMS and not short else None


def _fetch(url: str) -> bytes:
    try:
        answer = urllib3.request("GET", url, timeout=5, retries=1, redirect=False, preload_content=False)
        try:
            data: bytes = answer.read(MAX_JWKS + 1)
        finally:
            answer.release_conn()
    except urllib3.exceptions.HTTPError as problem:
        raise Unreachable(f"{url}: {problem}") from None
    if answer.status != 200:
        raise Unreachable(f"{url}: status {answer.status}")
    return data
