"""`twinproof grant`, `revoke`, `grants`: who may say what about which twin."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from twinproof.cli.options import DIGEST, FILE, INDEX, IRI, TIME, json_option, read_card, require_one, target_options
from twinproof.cli.output import count, heading, print_json, utc
from twinproof.cli.state import scope as scope_text
from twinproof.cli.target import open_log, open_sink, read_authority, say
from twinproof.errors import NotAuthorised, NotFound, UnknownSigner
from twinproof.node import keyring
from twinproof.proof.keys import PrivateKey
from twinproof.twin.authority import Authority, Grant
from twinproof.twin.grants import (
    GRANT,
    REVOKE,
    Capability,
    GrantTerms,
    Revocation,
    Scope,
    Window,
    format_grant,
    format_revocation,
    log_subject,
    parse_grant,
)
from twinproof.twin.statement import check_iri

F = TypeVar("F", bound=Callable[..., Any])


class Capabilities(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions only
    """Capabilities, divided by commas."""

    name = "list"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> frozenset[Capability]:
        """The set of them."""
        if isinstance(value, frozenset):
            return value
        known = {str(capability) for capability in Capability}
        words = [word.strip() for word in value.split(",") if word.strip()]
        for word in words:
            if word not in known:
                self.fail(f"{word!r} is none of {', '.join(Capability)}", param, ctx)
        if not words:
            self.fail("names no capability", param, ctx)
        return frozenset(map(Capability, words))


def key_option(command: F) -> F:
    """`--key`: the granter's."""
    text = "The granter's key; by default NODE/keys/operator.pem."
    return click.option("--key", "key_file", type=FILE, metavar="FILE.pem", help=text)(command)


def granter_key(key_file: Path | None, folder: Path | None) -> PrivateKey:
    """The granter's key: the one given, or the operator's in the node's folder."""
    if key_file is None and folder is None:
        raise click.UsageError("Give the granter's key: --key operator.pem")
    return keyring.read_private_key(key_file or Path(folder or "") / "keys" / "operator.pem")


def granter(authority: Authority, key: PrivateKey, via: bytes | None) -> Grant:
    """The grant that the holder of `key` relies on: `via`, else the genesis, else the only one to administer."""
    kid = key.public.thumbprint
    if via is not None:
        if via not in authority.grants:
            raise NotFound(f"no grant {via.hex()} in the log; `twinproof grants` lists them")
        return authority.grants[via]
    held = [grant for grant in authority.grants.values() if grant.terms.key.thumbprint == kid]
    if not held:
        raise UnknownSigner(f"no grant in the log introduces the key {kid.hex()}")
    able = [grant for grant in held if len(grant.chain) == 1] or [
        grant for grant in held if Capability.ADMINISTER in grant.terms.can and authority.revoked_at(grant) is None
    ]
    if not able:
        raise NotAuthorised(f"{held[0].terms.issuer} holds no grant to administer")
    if len(able) > 1:
        raise click.UsageError("this key holds several grants to administer; say which one with --via DIGEST")
    return able[0]


@click.command()
@click.argument("card", type=FILE, metavar="CARD.json")
@click.option("--can", type=Capabilities(), required=True, help=f"Of {', '.join(Capability)}; divide by commas.")
@click.option("--twin", type=IRI, metavar="IRI", help="About one twin,")
@click.option("--prefix", metavar="P", help="or about those whose IRI begins with P (ends in / : or #),")
@click.option("--model", type=IRI, metavar="IRI", help="or about those that declare this model.")
@click.option("--from", "from_time", type=TIME, help="For statements that claim this time or a later one.")
@click.option("--until", "until_time", type=TIME, help="For statements that claim an earlier time.")
@click.option("--from-index", type=INDEX, help="For entries from this log index on.")
@click.option("--until-index", type=INDEX, help="For entries below this log index.")
@click.option("--via", type=DIGEST, metavar="DIGEST", help="The granter's own grant, if that is not the genesis.")
@target_options
@key_option
@json_option
def grant(
    card: Path,
    can: frozenset[Capability],
    twin: str | None,
    prefix: str | None,
    model: str | None,
    from_time: int | None,
    until_time: int | None,
    from_index: int | None,
    until_index: int | None,
    via: bytes | None,
    folder: Path | None,
    url: str | None,
    key_file: Path | None,
    as_json: bool,
) -> None:
    """Let the signer of CARD.json speak about twins, by a statement in the log.

    \b
    Examples:
      twinproof grant pump7.json --can record,describe --twin https://twin.example/pump/7 --folder ./node
      twinproof grant mro.json --can maintain,attest --prefix https://twin.example/engine/ --until 2027-01-01 \\
        --url http://127.0.0.1:8600 --key operator.pem

    A grant never gives more than the granter holds. Its digest, which is printed, is what `revoke` takes.
    """
    require_one(folder, url)
    scopes = [("twin", twin), ("prefix", prefix), ("model", model)]
    given = [Scope(kind, value) for kind, value in scopes if value is not None]
    if len(given) != 1:
        raise click.UsageError("Say about which twins: one of --twin, --prefix and --model.")
    if prefix:
        check_iri(f"{prefix}x", "--prefix")
    signer = read_card(card)
    key = granter_key(key_file, folder)
    with open_log(folder, url) as log:
        authority, about = read_authority(log), log_subject(log.origin)
    relied = granter(authority, key, via)
    terms = GrantTerms(
        signer.issuer,
        signer.key,
        can,
        given[0],
        Window(from_time, until_time, from_index, until_index),
        None if len(relied.chain) == 1 else relied.id,
    )
    payload = format_grant(terms)
    parse_grant(payload)
    with open_sink(folder, url) as sink:
        index, digest = say(sink, key, relied.terms.issuer, about, GRANT, payload)
    if as_json:
        print_json({"grant": digest.hex(), "index": index, **_terms_json(terms)})
        return
    click.echo(f"{terms.issuer} may {', '.join(sorted(can))} about {scope_text(terms)}.")
    click.echo(f"  entry   {index}\n  grant   {digest.hex()}")


@click.command()
@click.argument("digest", type=DIGEST)
@click.option("--reason", help="Why, for everybody to read.")
@target_options
@key_option
@json_option
def revoke(
    digest: bytes, reason: str | None, folder: Path | None, url: str | None, key_file: Path | None, as_json: bool
) -> None:
    """Take back the grant with this DIGEST, from now on: what was said under it stays valid.

    \b
    Example:
      twinproof revoke 4f1c…(64 digits) --reason "key lost" --folder ./node
    """
    require_one(folder, url)
    key = granter_key(key_file, folder)
    with open_log(folder, url) as log:
        authority, about = read_authority(log), log_subject(log.origin)
    held = authority.grants.get(digest)
    if held is None:
        raise NotFound(f"no grant {digest.hex()} in the log; `twinproof grants` lists them")
    kid = key.public.thumbprint
    above = [authority.grants[id_].terms for id_ in held.chain if authority.grants[id_].terms.key.thumbprint == kid]
    if not above:
        raise NotAuthorised("this key holds neither that grant nor one above it")
    with open_sink(folder, url) as sink:
        payload = format_revocation(Revocation(digest, reason))
        index, _ = say(sink, key, above[0].issuer, about, REVOKE, payload)
    if as_json:
        print_json({"revoked": digest.hex(), "index": index, "iss": held.terms.issuer})
        return
    click.echo(f"{held.terms.issuer} may no longer {', '.join(sorted(held.terms.can))} about {scope_text(held.terms)}.")
    click.echo(f"  entry   {index}: statements after it are refused")


@click.command()
@target_options
@json_option
def grants(folder: Path | None, url: str | None, as_json: bool) -> None:
    """List all grants with their state.

    \b
    Example:
      twinproof grants --folder ./node
    """
    with open_log(folder, url) as log:
        authority = read_authority(log)
    every = list(authority.grants.values())
    if as_json:
        print_json(
            [
                {
                    "grant": item.id.hex(),
                    "index": item.index,
                    "revoked_at": authority.revoked_at(item),
                    **_terms_json(item.terms),
                }
                for item in every
            ]
        )
        return
    for item in every:
        revoked = authority.revoked_at(item)
        state = "holds" if revoked is None else f"revoked by entry {revoked}"
        if len(item.chain) == 1:
            state = "genesis"
        heading(f"{item.terms.issuer}  ({state})")
        click.echo(f"  may     {', '.join(sorted(item.terms.can))}")
        click.echo(f"  about   {scope_text(item.terms)}")
        for line in _window(item.terms.window):
            click.echo(f"  {line}")
        click.echo(f"  key     {item.terms.key.thumbprint.hex()}")
        click.echo(f"  grant   {item.id.hex()} (entry {item.index})")
    click.echo(f"\n{count(len(every), 'grant')}, {len(authority.revoked)} revoked")


def _window(window: Window) -> list[str]:
    lines = []
    for label, value in (("from    ", window.from_time), ("until   ", window.until_time)):
        if value is not None:
            lines.append(label + utc(value))
    for label, value in (("from    ", window.from_index), ("until   ", window.until_index)):
        if value is not None:
            lines.append(f"{label}entry {value}")
    return lines


def _terms_json(terms: GrantTerms) -> dict[str, Any]:
    window = terms.window
    limits = {name: getattr(window, name) for name in ("from_time", "until_time", "from_index", "until_index")}
    return {
        "iss": terms.issuer,
        "kid": terms.key.thumbprint.hex(),
        "can": sorted(str(capability) for capability in terms.can),
        "scope": {terms.scope.kind: terms.scope.value},
        "via": terms.via.hex() if terms.via else None,
        **{name: limit for name, limit in limits.items() if limit is not None},
    }
