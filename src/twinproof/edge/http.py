"""What every HTTP client of a node does alike: its address, its refusals, how long to wait.

Refusals are RFC 9290 concise problem details, {-1: title, -2: detail}, in CBOR. They are shown to people, and
come from outside: what is not printable is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from twinproof.errors import ConfigError, Malformed, Overloaded, RateLimited
from twinproof.proof import cbor

RETRY_AFTER: Final = 30.0
"""Seconds, where the log says "later" and not when."""
_MAX_SHOWN: Final = 300
_SECONDS = re.compile(r"[0-9]{1,9}\Z")


def check_address(url: str) -> str:
    """A node's base address without a slash at its end; raises `ConfigError`."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        good = good and not parts.query and not parts.fragment
    except ValueError:  # an IPv6 address without its end, a port that is none
        good = False
    if not good:
        raise ConfigError(
            f"{url!r} is not the address of a node, such as https://twin.example or http://127.0.0.1:8600"
        )
    return url.rstrip("/")


def printable(text: str) -> str:
    """Text from outside, cut and without control characters."""
    return "".join(character if character.isprintable() else " " for character in text[:_MAX_SHOWN])


def parse_problem(answer: bytes) -> str | None:
    """The detail, or else the title, of problem details (RFC 9290 §2), printable; None if the answer is none."""
    try:
        value = cbor.decode(answer, what="problem details")
    except Malformed:
        return None
    said = value.get(-2, value.get(-1)) if type(value) is dict else None
    return printable(said) if type(said) is str else None


def busy(base: str, status: int, answer: bytes, headers: Mapping[str, str]) -> Overloaded:
    """The error for an answer of 429 or 503."""
    text = headers.get("Retry-After", "").strip()
    kind = RateLimited if status == 429 else Overloaded
    wait = float(text) if _SECONDS.match(text) else RETRY_AFTER
    return kind(f"{base} is busy: {parse_problem(answer) or f'status {status}'}", wait)
