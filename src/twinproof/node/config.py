"""The node's settings: `twinproof.toml` in the node's folder.

    origin = "twin.example/log0"          # the log's name; never changes
    [listen]
    host = "127.0.0.1"
    port = 8600
    [limits]                              # defaults in `Limits`
    max_batch = 1000
    [access]                              # who may read: `Access`
    open = false
    [log]                                 # the node's own messages: `Messages`
    format = "json"
    [forecast]                            # when predictions are stated: `ForecastSettings`
    every_rows = 1
    [chain]                               # where the log is anchored: `ChainSettings`
    driver = "embedded"

Unknown keys and wrong types are refused: a misspelt limit must not be silently ignored.
"""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import dataclass, field, fields
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from twinproof.errors import ConfigError, Malformed
from twinproof.log.writer import MAX_GROUP, MAX_GROUP_BYTES
from twinproof.proof.note import check_name
from twinproof.twin.grants import log_subject
from twinproof.twin.statement import check_iri
from twinproof.verify import CLOCK_TOLERANCE

FILE_NAME: Final = "twinproof.toml"


@dataclass(frozen=True, slots=True)
class Listen:
    """Where the HTTP server listens."""

    host: str = "127.0.0.1"
    port: int = 8600


@dataclass(frozen=True, slots=True)
class Limits:
    """What the node takes before it says 413, 429 or 503."""

    max_batch: int = 1000
    """Statements in one request."""
    max_request_bytes: int = 8 * 1024 * 1024
    queue_statements: int = 20_000
    """Statements waiting for the writer; beyond it: 503 with Retry-After."""
    queue_bytes: int = 64 * 1024 * 1024
    group_statements: int = 2048
    """Statements in one commit."""
    rate: int = 5000
    """Statements per second and client address, sustained; 0 is unlimited."""
    burst: int = 20_000
    """Statements a client may send at once before `rate` holds it."""
    clock_tolerance: int = 300
    """Seconds that a statement's `iat` may be ahead of this node's clock; at most 300, which verifiers allow."""
    body_seconds: int = 60
    """Seconds that a request's body may take to arrive; beyond them: 408."""


@dataclass(frozen=True, slots=True)
class Access:
    """Who may read. Writing needs no token: a statement's signature and the grants in the log decide."""

    open: bool | None = None
    """Whether anybody may read. Left out: callers on this machine may, if the node listens on loopback only."""
    issuer: str = ""
    """The `iss` of tokens (JWT) that an outside issuer signs; empty: there is none."""
    audience: str = ""
    """The `aud` that they must carry."""
    jwks: str = ""
    """The issuer's keys (RFC 7517): an https URL, or a file, relative to the node's folder."""
    claim: str = "scope"
    """The claim that says what the bearer may read."""
    client_id: str = ""
    """The console's own name at the issuer, for signing in there (OIDC, code with PKCE); empty: by token alone."""
    denied_log_bytes: int = 4 * 1024 * 1024
    """Size at which access.log is put aside."""
    denied_log_files: int = 5
    """How many of them are kept besides the newest."""


@dataclass(frozen=True, slots=True)
class Messages:
    """The node's own messages, on standard error."""

    format: str = "text"
    """text, or json: one object a line."""
    level: str = "warning"
    """debug, info, warning or error."""


@dataclass(frozen=True, slots=True)
class ForecastSettings:
    """When the active models' predictions are stated, once `twinproof predictor enable` has made a key for it."""

    every_rows: int = 1
    """A twin's prediction is due after so many rows of it."""
    every_seconds: int = 0
    """It is stated so many seconds after the twin's last one at the earliest."""


@dataclass(frozen=True, slots=True)
class ChainSettings:
    """The blockchain that the log is anchored on. Its contracts' addresses are in FOLDER/chain/contracts.json."""

    driver: str = ""
    """Empty: no chain. embedded: one of this node's own, in FOLDER/chain/chain.db. rpc: a network's node at `url`."""
    url: str = ""
    """JSON-RPC endpoint, for rpc."""
    chain_id: int = 0
    """The network's (EIP-155), for rpc: a node of another chain is refused."""
    keystore: str = "chain/account.json"
    """The account's encrypted key (keystore V3), relative to the node's folder."""
    password_file: str = ""
    """A file with its password, relative to the node's folder; empty: TWINPROOF_CHAIN_PASSWORD in the environment."""
    confirmations: int = 2
    """Blocks upon a transaction's or an event's until it counts; none on an embedded chain."""
    anchor_every_seconds: int = 3600
    """An anchor is due when the newest one is this old and the log has grown."""
    anchor_every_entries: int = 100_000
    """An anchor is due when the log has grown by so many entries since."""
    max_fee: int = 100
    """Gwei per gas that a transaction may cost at most."""
    events: bool = True
    """Whether events of the contracts become statements, once `twinproof chain enable` has made a key for it."""
    speakers: str = ""
    """Addresses, parted by commas, whose attestations and agreements are stated beside the node's own; *: anybody's."""
    relay: bool = True
    """Whether predictions that a policy names are handed to the maintenance contract."""
    replay: str = "required"
    """Of these, required: only those that were computed again, bit by bit. if-possible: those too that cannot be."""

    @property
    def heard(self) -> frozenset[bytes] | None:
        """The speakers' addresses (20 bytes); None for all. Raises `ConfigError`."""
        if self.speakers == "*":
            return None
        named = [one.strip() for one in self.speakers.split(",") if one.strip()]
        if wrong := [one for one in named if not _ADDRESS.match(one)]:
            raise ConfigError(f"speakers: {wrong[0]!r} is not 0x and 40 hexadecimal digits")
        return frozenset(bytes.fromhex(one[2:]) for one in named)


_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}\Z")
_RANGES: Final = {
    "every_rows": (1, 1 << 31),
    "every_seconds": (0, 1 << 31),
    "chain_id": (0, (1 << 63) - 1),
    "confirmations": (0, 10_000),
    "anchor_every_seconds": (1, 1 << 40),
    "anchor_every_entries": (1, 1 << 53),
    "max_fee": (1, 1 << 40),
    "denied_log_bytes": (4096, 1 << 40),
    "denied_log_files": (0, 1000),
    "port": (0, 65535),
    "max_batch": (1, MAX_GROUP),
    "max_request_bytes": (1, MAX_GROUP_BYTES),
    "group_statements": (1, MAX_GROUP),
    "body_seconds": (1, 3600),
    "clock_tolerance": (0, CLOCK_TOLERANCE),
}
"""Smallest and largest value where it is not `_ANY`: what one request holds, one commit must hold."""
_ANY: Final = (0, 1 << 53)
_WORDS: Final = {
    "format": ("text", "json"),
    "level": ("debug", "info", "warning", "error"),
    "driver": ("", "embedded", "rpc"),
    "replay": ("required", "if-possible"),
}
"""The words that a setting may be."""
_TYPES: Final = {"open": bool}
"""Of settings whose default does not tell."""


@dataclass(frozen=True, slots=True)
class Config:
    """All settings."""

    origin: str
    listen: Listen = field(default_factory=Listen)
    limits: Limits = field(default_factory=Limits)
    access: Access = field(default_factory=Access)
    log: Messages = field(default_factory=Messages)
    forecast: ForecastSettings = field(default_factory=ForecastSettings)
    chain: ChainSettings = field(default_factory=ChainSettings)

    @property
    def open_here(self) -> bool:
        """Whether callers on this machine, and only they, may read without a token."""
        return self.access.open is None and is_loopback(self.listen.host)

    @property
    def readers(self) -> str:
        """Who may read, in a sentence."""
        if self.access.open:
            return "anybody may read"
        if self.open_here:
            return "who is on this machine may read without a token; behind a proxy set [access] open = false"
        return "readers need a token"


def is_loopback(host: str) -> bool:
    """Whether an address, or the name localhost, is this machine's own."""
    try:
        return host == "localhost" or ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def check_origin(origin: str) -> str:
    """Return `origin` if it can name a log; raises `ConfigError`."""
    try:
        check_name(origin, "origin")
        check_iri(log_subject(origin), "origin")
    except Malformed as problem:
        raise ConfigError(f"{problem}; use a name like twin.example/log0") from None
    return origin


def load_config(folder: Path) -> Config:
    """Read `twinproof.toml`; raises `ConfigError` naming file and key."""
    path = folder / FILE_NAME
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"{folder} is not a node's folder (no {FILE_NAME}); make one with: twinproof init") from None
    except OSError as problem:
        raise ConfigError(f"{path}: {problem.strerror}") from None
    try:
        value = tomllib.loads(text.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise ConfigError(f"{path}: {problem}") from None
    return parse_config(value, str(path))


def parse_config(value: dict[str, Any], where: str) -> Config:
    """Check a decoded TOML document; `where` names it in errors."""
    unknown = value.keys() - {"origin", "listen", "limits", "access", "log", "forecast", "chain"}
    if unknown:
        raise ConfigError(f"{where}: unknown key {sorted(unknown)[0]!r}")
    origin = value.get("origin")
    if type(origin) is not str:
        raise ConfigError(f"{where}: origin is missing or not text")
    listen = _section(Listen, value.get("listen", {}), f"{where}: listen")
    limits = _section(Limits, value.get("limits", {}), f"{where}: limits")
    if not listen.host:
        raise ConfigError(f"{where}: listen.host is empty; 0.0.0.0 or :: means every address")
    access = _section(Access, value.get("access", {}), f"{where}: access")
    _check_issuer(access, f"{where}: access")
    log = _section(Messages, value.get("log", {}), f"{where}: log")
    forecast = _section(ForecastSettings, value.get("forecast", {}), f"{where}: forecast")
    chain = _section(ChainSettings, value.get("chain", {}), f"{where}: chain")
    _check_chain(chain, f"{where}: chain")
    try:
        return Config(check_origin(origin), listen, limits, access, log, forecast, chain)
    except ConfigError as problem:
        raise ConfigError(f"{where}: {problem}") from None


def _check_issuer(access: Access, where: str) -> None:
    """An issuer is trusted for its keys and for tokens meant for this node, so all three belong together."""
    given = {name: getattr(access, name) for name in ("issuer", "audience", "jwks")}
    missing = [name for name, text in given.items() if not text]
    if 0 < len(missing) < len(given):
        raise ConfigError(f"{where}.{missing[0]} is missing: issuer, audience and jwks belong together")
    if "://" in access.jwks and not access.jwks.startswith("https://"):
        raise ConfigError(f"{where}.jwks must be an https URL or a file")
    if access.client_id and not access.issuer:
        raise ConfigError(f"{where}.client_id belongs to an issuer, which is missing")
    if not access.claim:
        raise ConfigError(f"{where}.claim is empty")


def _check_chain(chain: ChainSettings, where: str) -> None:
    try:
        chain.heard  # noqa: B018 - asked for its refusal
    except ConfigError as problem:
        raise ConfigError(f"{where}.{problem}") from None
    if chain.driver == "rpc":
        if not chain.url.startswith(("https://", "http://")):
            raise ConfigError(f"{where}.url must be an http or https URL for driver rpc")
        if not chain.chain_id:
            raise ConfigError(f"{where}.chain_id is missing: with driver rpc it says which chain is meant")
    elif chain.url or chain.chain_id:
        raise ConfigError(f"{where}.{'url' if chain.url else 'chain_id'} belongs to driver rpc")
    if not chain.keystore:
        raise ConfigError(f"{where}.keystore is empty")


def _section(kind: type[Any], value: Any, where: str) -> Any:
    if type(value) is not dict:
        raise ConfigError(f"{where} is not a table")
    known = {f.name: _TYPES.get(f.name, type(f.default)) for f in fields(kind)}
    for name, setting in value.items():
        if name not in known:
            raise ConfigError(f"{where}.{name} is unknown; known are {', '.join(known)}")
        if type(setting) is not known[name]:
            raise ConfigError(f"{where}.{name} must be {known[name].__name__}, not {setting!r}")
        low, high = _RANGES.get(name, _ANY)
        if type(setting) is int and not low <= setting <= high:
            raise ConfigError(f"{where}.{name} must be {low}..{high}, not {setting}")
        if name in _WORDS and setting not in _WORDS[name]:
            raise ConfigError(f"{where}.{name} must be one of {', '.join(_WORDS[name])}, not {setting!r}")
    return kind(**value)


def format_config(config: Config) -> str:
    """The text of a new `twinproof.toml`, every setting spelt out but one that is left open."""
    lines = [f"origin = {_toml(config.origin)}"]
    for part in fields(config)[1:]:
        section = getattr(config, part.name)
        settings = [(item.name, getattr(section, item.name)) for item in fields(section)]
        lines += ["", f"[{part.name}]"]
        lines += [f"{name} = {_toml(setting)}" for name, setting in settings if setting is not None]
    return "\n".join(lines) + "\n"


def _toml(value: str | int) -> str:
    # A JSON string is a TOML basic string too, but for a bare DEL, which no setting holds.
    return json.dumps(value, ensure_ascii=False)
