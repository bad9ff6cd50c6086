"""Description payload: what a twin is, as a change to what was described before.

    {? "model": IRI, ? "lifecycle": stage, ? "set": {name: value, …}, ? "unset": [name, …],
     ? "relate": [[name, target IRI], …], ? "unrelate": [[name, target IRI], …], ? "cause": digest}

`cause` names the request that this is the effect of. At least one other key; names are 1..128 characters
without spaces at their ends or invisible characters. Values are any CBOR that statements may hold.
Normative page: spec/statement.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from twinproof.errors import Malformed
from twinproof.proof import cbor
from twinproof.twin.fields import changes, digest, fields, property_changes, property_name
from twinproof.twin.statement import check_iri

DESCRIPTION: Final = "application/vnd.twinproof.description+cbor"
MAX_DEPTH: Final = 10
"""Of a payload; states nest values deeper, and must still be encodable."""


class Lifecycle(StrEnum):
    """Where an asset is in its life."""

    PLANNED = "planned"
    MANUFACTURED = "manufactured"
    IN_SERVICE = "in-service"
    OUT_OF_SERVICE = "out-of-service"
    RETIRED = "retired"


Relationship = tuple[str, str]
"""(name, target twin's IRI)."""


@dataclass(frozen=True, slots=True)
class Description:
    """A change; absent parts leave things as they are."""

    model: str | None = None
    lifecycle: Lifecycle | None = None
    set: dict[str, cbor.Value] | None = None
    unset: tuple[str, ...] = ()
    relate: tuple[Relationship, ...] = ()
    unrelate: tuple[Relationship, ...] = ()
    cause: bytes | None = None
    """Digest of the desired or command statement that this is the effect of."""


def format_description(description: Description) -> bytes:
    """The payload of a description statement."""
    value: dict[int | str, cbor.Value] = {}
    if description.model is not None:
        value["model"] = description.model
    if description.lifecycle is not None:
        value["lifecycle"] = description.lifecycle.value
    if description.set:
        value["set"] = dict(description.set)
    for name in ("unset", "relate", "unrelate"):
        changes = getattr(description, name)
        if changes:
            value[name] = [list(change) if type(change) is tuple else change for change in sorted(changes)]
    if description.cause is not None:
        value["cause"] = description.cause
    return cbor.encode(value)


def parse_description(payload: bytes, issued_at: int = 0) -> Description:
    """Read a description payload; raises `Malformed` naming the key."""
    keys = ("model", "lifecycle", "set", "unset", "relate", "unrelate", "cause")
    value = fields(cbor.decode(payload, what="description", max_depth=MAX_DEPTH), "description", (), keys)
    if not value.keys() - {"cause"}:
        raise Malformed("description", "changes nothing")
    lifecycle = value.get("lifecycle")
    if "lifecycle" in value and lifecycle not in tuple(Lifecycle):
        raise Malformed("description.lifecycle", f"none of {', '.join(Lifecycle)}")
    changed, unset = property_changes(value, "description")
    relate, unrelate = _relationships(value, "relate"), _relationships(value, "unrelate")
    if not set(relate).isdisjoint(unrelate):
        raise Malformed("description.unrelate", "names a relationship that is stated too")
    return Description(
        model=check_iri(value["model"], "description.model") if "model" in value else None,
        lifecycle=None if lifecycle is None else Lifecycle(lifecycle),
        set=changed,
        unset=unset,
        relate=relate,
        unrelate=unrelate,
        cause=digest(value["cause"], "description.cause") if "cause" in value else None,
    )


def _relationships(value: dict[str, cbor.Value], key: str) -> tuple[Relationship, ...]:
    field = f"description.{key}"
    found: list[Relationship] = []
    for item in changes(value, key, "description"):
        if type(item) is not list or len(item) != 2:
            raise Malformed(field, "members must be [name, target IRI]")
        found.append((property_name(item[0], field), check_iri(item[1], field)))
    if found != sorted(set(found)):
        raise Malformed(field, "not sorted without repeats")
    return tuple(found)
