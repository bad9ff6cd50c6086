"""Passwords of keystores: from a file, the environment, or a prompt; never an argument, which others can read."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

import click

from twinproof.cli.options import read_file
from twinproof.errors import ConfigError

VARIABLE: Final = "TWINPROOF_CHAIN_PASSWORD"
MAX_PASSWORD: Final = 4096


def given_password(file: Path | None) -> str | None:
    """From the file, else from the environment; None if neither is there. Raises `ConfigError`."""
    if file is None:
        return os.environ.get(VARIABLE)
    if os.name == "posix" and file.stat().st_mode & 0o077:
        raise ConfigError(f"{file} may be read by others; mend it with: chmod 600 {file}")
    try:
        return read_file(file, MAX_PASSWORD, "password file").decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise ConfigError(f"{file} is not text") from None


def ask_password(keystore: Path, file: Path | None) -> str:
    """The password of a keystore; raises `ConfigError` if nobody can be asked."""
    found = given_password(file)
    return found if found is not None else _prompt(f"Password of {keystore}", confirm=False)


def new_password(keystore: Path, file: Path | None) -> str:
    """The password for a new keystore; raises `ConfigError` as well for an empty one."""
    found = given_password(file)
    password = found if found is not None else _prompt(f"New password for {keystore}", confirm=True)
    if not password:
        raise ConfigError("the password is empty")
    return password


def can_ask() -> bool:
    """Whether somebody sits there to type it."""
    return sys.stdin.isatty()


def _prompt(text: str, *, confirm: bool) -> str:
    if not can_ask():
        raise ConfigError(f"the password is missing: set {VARIABLE}, or give --password-file")
    return str(click.prompt(text, hide_input=True, confirmation_prompt=confirm, err=True))
