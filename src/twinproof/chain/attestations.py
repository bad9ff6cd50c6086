"""The Attestations contract, typed: schemas, claims about twins that name one, and what became of them.

attestations = Attestations(chain, address)
uid = schema_uid_of("string standard,uint64 inspected", True)
data = attestations.contract.encode("attest", Claim(uid, twin, ...))      # for a sender
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from twinproof.chain.abi import Artifact, Contract
from twinproof.chain.abi_types import Parameter, decode_values, encode_values, parse_parameters
from twinproof.chain.asking import ask
from twinproof.chain.hexadecimal import keccak
from twinproof.chain.model import Chain, Receipt
from twinproof.errors import ChainLied, Malformed, NotFound

NAME: Final = "Attestations"
_SCHEMA_ID: Final = parse_parameters(
    [{"name": "schema", "type": "string"}, {"name": "revocable", "type": "bool"}], "uid"
)


@dataclass(frozen=True, slots=True)
class Claim:
    """What is to be attested: the contract's `Request`."""

    schema: bytes
    twin: bytes
    """SHA-256 of the twin's IRI."""
    expires: int
    """POSIX seconds; 0 for never."""
    ref_uid: bytes
    """Another attestation, or zeros."""
    log_id: bytes
    """The log of the statement behind it, or zeros."""
    leaf: bytes
    """That statement's leaf hash, or zeros."""
    data: bytes
    """ABI-encoded fields of the schema."""


@dataclass(frozen=True, slots=True)
class Attestation:
    """What was attested, as the contract has it now. Times are POSIX seconds, 0 for none."""

    schema: bytes
    twin: bytes
    attester: bytes
    time: int
    ref_uid: bytes
    log_id: bytes
    leaf: bytes
    expires: int
    revoked: int
    anchored: int
    """When the head was anchored that was shown to hold the leaf."""
    data: bytes


def schema_uid_of(schema: str, revocable: bool) -> bytes:
    """keccak256(abi.encode(schema, revocable))."""
    return keccak(encode_values(_SCHEMA_ID, [schema, revocable], "uid"))


def schema_fields(schema: str) -> tuple[Parameter, ...]:
    """The fields of a schema such as `string standard,uint64 inspected`; raises `Malformed`."""
    fields = []
    for place, field in enumerate(filter(None, (part.strip() for part in schema.split(",")))):
        kind, _, name = field.partition(" ")
        if not name.isidentifier():
            raise Malformed(f"schema field {place}", f"{field!r} is not a Solidity type and a name")
        fields.append({"name": name, "type": kind})
    return parse_parameters(fields, "schema")


def encode_fields(schema: str, values: dict[str, object]) -> bytes:
    """An attestation's data; raises `Malformed` for a missing, unknown or ill-typed field."""
    fields = schema_fields(schema)
    names = [field.name for field in fields]
    if set(names) != values.keys():
        raise Malformed("data", f"needs exactly the fields {', '.join(names) or '(none)'}")
    return encode_values(fields, [values[name] for name in names], "data") if fields else b""


def decode_fields(schema: str, data: bytes) -> dict[str, Any]:
    """The fields of an attestation's data by name; raises `Malformed`."""
    fields = schema_fields(schema)
    if not fields:
        return {}
    return dict(zip([field.name for field in fields], decode_values(fields, data, "data"), strict=True))


class Attestations:
    """One contract on one chain. Methods raise what the chain raises."""

    def __init__(self, chain: Chain, address: bytes) -> None:
        self.contract = Contract(Artifact.load(NAME), address)
        self._chain = chain

    def ask(self, function: str, *arguments: object) -> Any:
        """The answer of a view function."""
        return ask(self._chain, self.contract, function, *arguments)

    def attestation(self, uid: bytes) -> Attestation:
        """By its uid; raises `NotFound`."""
        found = Attestation(*self.ask("getAttestation", uid))
        if not any(found.attester):
            raise NotFound(f"there is no attestation {uid.hex()}")
        return found

    def fields_of(self, schema: bytes) -> str:
        """A schema's fields, as `schema_fields` takes them; raises `NotFound`."""
        registered, _, fields = self.ask("getSchema", schema)
        if not registered:
            raise NotFound(f"there is no schema {schema.hex()}")
        return str(fields)

    def is_valid(self, uid: bytes) -> bool:
        """Whether it exists, is not revoked and has not expired."""
        return self.ask("isValid", uid) is True

    def uid_of(self, receipt: Receipt) -> bytes:
        """The attestation or schema that a transaction made; raises `ChainLied` if its receipt shows none."""
        for log in receipt.logs:
            if log.address == self.contract.address:
                name, args = self.contract.event(log)
                if name in ("Attested", "SchemaRegistered"):
                    uid: bytes = args["uid"]
                    return uid
        raise ChainLied("the receipt shows no attestation")
