"""`twinproof key`: keys of devices, people and organisations."""

from __future__ import annotations

from pathlib import Path

import click

from twinproof.cli.options import FILE, IRI, NEW_FILE, json_option, read_card
from twinproof.cli.output import print_json
from twinproof.errors import ConfigError
from twinproof.node import keyring
from twinproof.node.cards import SignerCard
from twinproof.proof import keys


@click.group()
def key() -> None:
    """Make and show signing keys.

    \b
    Example:
      twinproof key new pump7.pem --iss urn:dev:mac:0024befffe804ff1
    """


@key.command()
@click.argument("file", type=NEW_FILE)
@click.option("--iss", "issuer", required=True, type=IRI, help="The signer's IRI, such as urn:dev:… or https://….")
@click.option("--es256", is_flag=True, help="ECDSA P-256 (for secure elements that know nothing else), not Ed25519.")
@json_option
def new(file: Path, issuer: str, es256: bool, as_json: bool) -> None:
    """Make a key: the secret in FILE (mode 0600), the public signer card beside it.

    \b
    Example:
      twinproof key new pump7.pem --iss urn:dev:mac:0024befffe804ff1

    The operator lets the signer speak with `twinproof grant` and the card, here pump7.json.
    """
    card_file = file.with_suffix(".json")
    if file.suffix == ".json":
        raise click.UsageError("FILE takes the secret key: call it NAME.pem; NAME.json becomes the signer card")
    if card_file.exists():
        raise ConfigError(f"{card_file} exists; a signer card is never overwritten")
    secret = keyring.new_private_key(keys.ES256 if es256 else keys.EDDSA)
    card = SignerCard(issuer, secret.public)
    keyring.write_secret(file, secret.to_pem())
    card_file.write_text(card.to_json())
    if as_json:
        print_json({"key": str(file), "card": str(card_file), **_described(card)})
        return
    click.echo(f"{file} (secret) and {card_file} (signer card, public)")
    _show(card)


@key.command()
@click.argument("file", type=FILE)
@json_option
def show(file: Path, as_json: bool) -> None:
    """Show a signer card, or the public part of a secret key.

    \b
    Example:
      twinproof key show pump7.json
    """
    if file.suffix == ".json":
        card = read_card(file)
        if as_json:
            print_json(_described(card))
        else:
            _show(card)
        return
    public = keyring.read_private_key(file).public
    if as_json:
        print_json({"kid": public.thumbprint.hex(), "algorithm": keys.ALGORITHM_NAMES[public.algorithm]})
        return
    click.echo(f"  kid         {public.thumbprint.hex()}")
    click.echo(f"  algorithm   {keys.ALGORITHM_NAMES[public.algorithm]}")


def _described(card: SignerCard) -> dict[str, str]:
    return {
        "iss": card.issuer,
        "kid": card.key.thumbprint.hex(),
        "algorithm": keys.ALGORITHM_NAMES[card.key.algorithm],
    }


def _show(card: SignerCard) -> None:
    for name, value in _described(card).items():
        click.echo(f"  {name:<11} {value}")
