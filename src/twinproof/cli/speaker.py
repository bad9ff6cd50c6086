"""Who states something: the options `--key` and `--iss`, and one statement said in that name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import click

from twinproof.cli.grant import granter_key
from twinproof.cli.options import FILE, IRI, require_one, target_options
from twinproof.cli.target import open_log, open_sink, read_authority, say
from twinproof.errors import UnknownSigner
from twinproof.proof.keys import PrivateKey
from twinproof.twin.authority import Authority

F = TypeVar("F", bound=Callable[..., object])

_KEY_HELP: Final = "The signer's key; by default NODE/keys/operator.pem."


@dataclass(frozen=True, slots=True)
class Said:
    """A statement that the log took."""

    index: int
    digest: bytes
    issuer: str


def speaker_options(command: F) -> F:
    """`--folder` or `--url`, `--key`, `--iss`: where the log is, and who states it."""
    command = click.option("--iss", "issuer", type=IRI, metavar="IRI", help="In whose name, if the key has several.")(
        command
    )
    command = click.option("--key", "key_file", type=FILE, metavar="FILE.pem", help=_KEY_HELP)(command)
    return target_options(command)


def issuer_of(authority: Authority, key: PrivateKey, issuer: str | None) -> str:
    """Whom a key speaks for; raises `UnknownSigner` or a usage error."""
    kid = key.public.thumbprint
    names = sorted({g.terms.issuer for g in authority.grants.values() if g.terms.key.thumbprint == kid})
    if issuer is not None:
        return issuer
    if not names:
        raise UnknownSigner(f"no grant in the log introduces the key {kid.hex()}")
    if len(names) > 1:
        raise click.UsageError(f"this key speaks for {', '.join(names)}; say for whom with --iss IRI")
    return names[0]


def state_it(
    content_type: str,
    subject: str,
    payload: bytes,
    *,
    folder: Path | None,
    url: str | None,
    key_file: Path | None,
    issuer: str | None,
) -> Said:
    """Sign one statement in the name of the key's holder and deliver it; raises what the log refuses it for."""
    require_one(folder, url)
    key = granter_key(key_file, folder)
    with open_log(folder, url) as log:
        name = issuer_of(read_authority(log), key, issuer)
    with open_sink(folder, url) as sink:
        index, digest = say(sink, key, name, subject, content_type, payload)
    return Said(index, digest, name)
