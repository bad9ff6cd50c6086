"""`twinproof attest`: claims about twins on the chain."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from twinproof.chain.forms import twin_name
from twinproof.cli.chain_values import HASH, address_name, hex_of, visible
from twinproof.cli.evidence_options import proof_of
from twinproof.cli.options import INDEX, IRI, TIME, json_option
from twinproof.cli.output import print_json, utc
from twinproof.cli.receipts import report
from twinproof.cli.spending import ChainGroup, Desk, chain_options, open_desk, spender_options
from twinproof.cli.tell import SETTING
from twinproof.errors import Malformed

if TYPE_CHECKING:
    from twinproof.chain.attestations import Attestations

ZERO = bytes(32)


@click.group(cls=ChainGroup)
def attest() -> None:
    """Claims about twins on the chain, in the shape of the Ethereum Attestation Service; `tell attest` is the log's.

    \b
    Example:
      twinproof attest schema "string standard,uint64 inspected" --folder ./node
    """


def _attestations(desk: Desk) -> Attestations:
    from twinproof.chain.attestations import Attestations

    return Attestations(desk.chain, desk.contracts.addresses["Attestations"])


@attest.command()
@click.argument("fields")
@click.option("--irrevocable", is_flag=True, help="What is attested by it cannot be revoked.")
@spender_options
@json_option
def schema(fields: str, irrevocable: bool, as_json: bool, **where: Any) -> None:
    """Register FIELDS, such as "string standard,uint64 inspected", as a schema that anybody may use.

    \b
    Example:
      twinproof attest schema "string standard,uint64 inspected" --folder ./node
    """
    with open_desk(**where) as desk:
        from twinproof.chain.attestations import schema_fields

        schema_fields(fields)
        contract = _attestations(desk).contract
        data = contract.encode("registerSchema", fields, not irrevocable)
        done = desk.spend("The schema is registered", contract.address, data)
        uid = _attestations(desk).uid_of(done.receipt)
    report(done, as_json, {"schema": hex_of(uid)})


@attest.command()
@click.argument("twin", type=IRI, metavar="IRI")
@click.option("--schema", "schema_uid", type=HASH, required=True, metavar="UID", help="What kind of claim it is.")
@click.option("--set", "settings", type=SETTING, multiple=True, help="A field of it; JSON, bytes and addresses as 0x….")
@click.option("--entry", type=INDEX, metavar="INDEX", help="The log entry behind it, proved to the contract.")
@click.option("--until", type=TIME, help="When it ends; never without.")
@click.option("--ref", type=HASH, metavar="UID", help="An attestation that it refers to.")
@spender_options
@json_option
def issue(
    twin: str,
    schema_uid: bytes,
    settings: tuple[tuple[str, Any], ...],
    entry: int | None,
    until: int | None,
    ref: bytes | None,
    as_json: bool,
    **where: Any,
) -> None:
    """Attest something of the twin IRI, under the account's address, for ever readable by everybody.

    \b
    Example:
      twinproof attest issue https://twin.example/pump/7 --schema 0x3f0c…(64 digits) --set standard=EN9100 \\
        --set inspected=1767225600 --entry 42 --folder ./node

    With --entry the contract checks that the anchored log holds that entry.
    """
    with open_desk(**where) as desk:
        from twinproof.chain.attestations import Claim, encode_fields
        from twinproof.proof.merkle import hash_leaf

        attestations = _attestations(desk)
        contract = attestations.contract
        fields = attestations.fields_of(schema_uid)
        data = encode_fields(fields, _typed(fields, dict(settings)))
        if entry is None:
            claim = Claim(schema_uid, twin_name(twin), until or 0, ref or ZERO, ZERO, ZERO, data)
            call = contract.encode("attest", claim)
        else:
            anchors, log_id = desk.contracts.addresses["CheckpointAnchor"], desk.contracts.log_id
            proof = proof_of(desk, entry, anchors, log_id)
            leaf = hash_leaf(proof.statement)
            claim = Claim(schema_uid, twin_name(twin), until or 0, ref or ZERO, log_id, leaf, data)
            call = contract.encode("attestProven", claim, proof.head, entry, list(proof.path))
        done = desk.spend(f"It is attested of {twin}", contract.address, call)
        uid = attestations.uid_of(done.receipt)
    report(done, as_json, {"attestation": hex_of(uid)})


def _typed(fields: str, settings: dict[str, Any]) -> dict[str, object]:
    """JSON's values as the ABI takes them; raises `Malformed`."""
    from twinproof.chain.attestations import schema_fields
    from twinproof.chain.hexadecimal import parse_data

    kinds = {field.name: field.type for field in schema_fields(fields)}

    def typed(name: str, kind: str, value: Any) -> object:
        if kind.endswith("]") and isinstance(value, list):
            return [typed(name, kind[: kind.rindex("[")], item) for item in value]
        if kind.startswith(("bytes", "address")) and not kind.endswith("]"):
            return parse_data(value, f"data.{name}")
        # What JSON took for a number may be meant as text: serial=007 is text, serial=7 is both.
        return json.dumps(value) if kind == "string" and type(value) in (int, float, bool) else value

    if unknown := sorted(settings.keys() - kinds.keys()):
        raise Malformed(f"data.{unknown[0]}", f"is no field of the schema: {fields}")
    return {name: typed(name, kinds[name], value) for name, value in settings.items()}


@attest.command()
@click.argument("uid", type=HASH)
@spender_options
@json_option
def revoke(uid: bytes, as_json: bool, **where: Any) -> None:
    """Take back the attestation UID. For who attested it.

    \b
    Example:
      twinproof attest revoke 0x9d2e…(64 digits) --folder ./node
    """
    with open_desk(**where) as desk:
        contract = _attestations(desk).contract
        done = desk.spend("The attestation is revoked", contract.address, contract.encode("revoke", uid))
    report(done, as_json)


@attest.command()
@click.argument("uid", type=HASH)
@chain_options
@json_option
def show(uid: bytes, as_json: bool, **where: Any) -> None:
    """Show the attestation UID, and whether it holds.

    \b
    Example:
      twinproof attest show 0x9d2e…(64 digits) --folder ./node
    """
    with open_desk(**where) as desk:
        from twinproof.chain.attestations import decode_fields

        attestations = _attestations(desk)
        found, valid = attestations.attestation(uid), attestations.is_valid(uid)
        fields = attestations.fields_of(found.schema)
        try:
            data: Any = {name: _shown(value) for name, value in decode_fields(fields, found.data).items()}
        except Malformed:
            # The contract takes any bytes; another program may not have kept to the schema.
            data = hex_of(found.data)
    told = {
        "attestation": hex_of(uid),
        "valid": valid,
        "twin": hex_of(found.twin),
        "by": address_name(found.attester),
        "time": found.time,
        "expires": found.expires or None,
        "revoked": found.revoked or None,
        "schema": hex_of(found.schema),
        "fields": fields,
        "data": data,
        "log_id": hex_of(found.log_id) if any(found.log_id) else None,
        "leaf": hex_of(found.leaf) if any(found.leaf) else None,
        "anchored": found.anchored or None,
        "ref": hex_of(found.ref_uid) if any(found.ref_uid) else None,
    }
    if as_json:
        print_json(told)
        return
    times = {name: utc(told[name]) for name in ("time", "expires", "revoked", "anchored") if told[name]}
    for name, value in {**told, **times}.items():
        if value is not None:
            click.echo(f"{name:<12} {json.dumps(value) if isinstance(value, dict | bool) else visible(value)}")


def _shown(value: Any) -> Any:
    if isinstance(value, bytes):
        return address_name(value) if len(value) == 20 else hex_of(value)
    return [_shown(item) for item in value] if isinstance(value, tuple) else value
