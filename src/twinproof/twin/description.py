"""Description payload: what a twin is, as a change to what was described before.

    {? "model": IRI, ? "lifecycle": stage, ? "set": {name: value, …}, ? "unset": [name, …],
     ? "relate": [[name, target IRI], …], ? "unrelate": [[name, target IRI], …], ? "cause": digest}

`cause` names the request that this is the effect of. At least one other key; names are 1..128 characters
without spaces at their ends or invisible characters. Values are any CBOR that statements may hold.
Normative page: spec/statement.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from twinproof.errors import Malformed, TooLarge
from twinproof.proof import cbor
from twinproof.twin.grants import digest, fields, text
from twinproof.twin.statement import HIDDEN, check_iri, shown

DESCRIPTION: Final = "application/vnd.twinproof.description+cbor"
MAX_NAME: Final = 128
MAX_DEPTH: Final = 10
"""Of a payload; states nest values deeper, and must still be encodable."""
MAX_CHANGES: Final = 2048
"""Members of `set`, `unset`, `relate` and `unrelate`, each."""
_NAME = re.compile(rf"[^{HIDDEN} ](?:[^{HIDDEN}]*[^{HIDDEN} ])?")


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
    changed = value.get("set", {})
    if type(changed) is not dict or len(changed) > MAX_CHANGES or ("set" in value and not changed):
        raise Malformed("description.set", f"not a map of 1..{MAX_CHANGES} properties")
    for name in changed:
        check_property_name(name, "description.set")
    unset = _array(value, "unset")
    names = tuple(check_property_name(name, "description.unset") for name in unset)
    if list(names) != sorted(set(names)) or not changed.keys().isdisjoint(names):
        raise Malformed("description.unset", "not sorted without repeats, or names a property that is set too")
    relate, unrelate = _relationships(value, "relate"), _relationships(value, "unrelate")
    if not set(relate).isdisjoint(unrelate):
        raise Malformed("description.unrelate", "names a relationship that is stated too")
    return Description(
        model=check_iri(value["model"], "description.model") if "model" in value else None,
        lifecycle=None if lifecycle is None else Lifecycle(lifecycle),
        set=changed or None,
        unset=names,
        relate=relate,
        unrelate=unrelate,
        cause=digest(value["cause"], "description.cause") if "cause" in value else None,
    )


def _array(value: dict[str, cbor.Value], key: str) -> list[cbor.Value]:
    items = value.get(key, [])
    if type(items) is not list or (key in value and not items):
        raise Malformed(f"description.{key}", "not an array, or empty")
    if len(items) > MAX_CHANGES:
        raise TooLarge(f"description.{key}", f"more than {MAX_CHANGES} members")
    return items


def check_property_name(value: cbor.Value, field: str) -> str:
    """Return `value` if it can name a property, command or relationship."""
    name = text(value, field, MAX_NAME)
    if not _NAME.fullmatch(name):
        raise Malformed(field, f"{shown(name)} has a space at an end, or an invisible character")
    return name


def _relationships(value: dict[str, cbor.Value], key: str) -> tuple[Relationship, ...]:
    field = f"description.{key}"
    found: list[Relationship] = []
    for item in _array(value, key):
        if type(item) is not list or len(item) != 2:
            raise Malformed(field, "members must be [name, target IRI]")
        found.append((check_property_name(item[0], field), check_iri(item[1], field)))
    if found != sorted(set(found)):
        raise Malformed(field, "not sorted without repeats")
    return tuple(found)
