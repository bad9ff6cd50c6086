"""Contracts' calls, answers, events and refusals (Solidity's ABI specification), over the artifacts in `artifacts/`.

    contract = Contract(Artifact.load("CheckpointAnchor"), address)
    data = contract.encode("latest", log_id)
    size, time, count = contract.decode("latest", chain.call(contract.address, data))
    name, fields = contract.event(log)

| Solidity           | Python                                                                        |
|--------------------|-------------------------------------------------------------------------------|
| address, bytes32 … | bytes of exactly that length                                                  |
| bytes, string      | bytes, str                                                                    |
| uint…, int…, enum  | int in range; never a bool                                                    |
| bool               | bool                                                                          |
| T[], T[3]          | list or tuple in, tuple out                                                   |
| struct             | tuple, or dataclass with the same fields in order (`logId` is `log_id`); tuple out |

Strict both ways: a value of another type or length is refused with its path, and bytes that are not the one
encoding that the compiler writes are refused, too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from twinproof.chain.abi_types import Parameter, decode_values, encode_values, parse_parameters, show_values
from twinproof.chain.hexadecimal import ADDRESS_SIZE, HASH_SIZE, format_address, keccak, parse_data
from twinproof.errors import Malformed, NotFound

if TYPE_CHECKING:
    from twinproof.chain.model import Log

SELECTOR_SIZE: Final = 4
_ERROR: Final = bytes.fromhex("08c379a0")
"""Selector of `Error(string)`: require and revert with a text."""
_PANIC: Final = bytes.fromhex("4e487b71")
"""Selector of `Panic(uint256)`: a broken invariant of the contract."""
_PANICS: Final = {
    0x00: "compiler-inserted panic",
    0x01: "assertion failed",
    0x11: "arithmetic overflow",
    0x12: "division by zero",
    0x21: "no such enum value",
    0x22: "storage byte array wrongly encoded",
    0x31: "pop of an empty array",
    0x32: "index out of bounds",
    0x41: "out of memory",
    0x51: "call of an uninitialised function",
}
"""Solidity documentation, "Panic via assert and Error via require"."""


@dataclass(frozen=True, slots=True)
class Member:
    """A function, event or error of a contract."""

    name: str
    inputs: tuple[Parameter, ...]
    outputs: tuple[Parameter, ...]

    @property
    def signature(self) -> str:
        """The canonical text that is hashed: `anchor(bytes32,(uint64,uint64,bytes32),uint64,bytes32,bytes32[])`."""
        return f"{self.name}({','.join(parameter.canonical for parameter in self.inputs)})"

    @property
    def topic(self) -> bytes:
        """Topic 0 of an event, 32 bytes."""
        return keccak(self.signature.encode())

    @property
    def selector(self) -> bytes:
        """The first four bytes of a call or an error."""
        return self.topic[:SELECTOR_SIZE]


@dataclass(frozen=True)
class Artifact:
    """What the compiler made of one contract."""

    name: str
    members: Mapping[str, tuple[Member, ...]]
    """By kind: `function`, `event`, `error`, `constructor`."""
    bytecode: bytes
    """Creation code, without constructor arguments; empty for an interface."""
    deployed_bytecode: bytes
    """Code at the address; immutables are zero in it."""

    @staticmethod
    @cache
    def load(name: str) -> Artifact:
        """A packaged artifact; raises `NotFound`."""
        if not name.isidentifier() or name not in artifact_names():
            raise NotFound(f"there is no contract {name!r}: have {', '.join(artifact_names()) or 'none'}")
        return Artifact.parse(name, (_folder() / f"{name}.json").read_text("utf-8"))

    @classmethod
    def parse(cls, name: str, text: str) -> Artifact:
        """An artifact from the compiler's JSON; raises `Malformed`."""
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as problem:
            raise Malformed(name, f"is not JSON: {problem}") from None
        if not isinstance(value, dict) or not isinstance(value.get("abi"), list):
            raise Malformed(f"{name}.abi", "is not a list")
        members: dict[str, list[Member]] = {"function": [], "event": [], "error": [], "constructor": []}
        for number, item in enumerate(value["abi"]):
            field = f"{name}.abi[{number}]"
            kind = item.get("type") if isinstance(item, dict) else None
            if kind in ("fallback", "receive"):
                continue
            if kind not in members or item.get("anonymous"):
                raise Malformed(f"{field}.type", "is none of function, event, error, constructor")
            inputs = parse_parameters(item.get("inputs", []), f"{field}.inputs")
            outputs = parse_parameters(item.get("outputs", []), f"{field}.outputs")
            members[kind].append(Member(str(item.get("name", "constructor")), inputs, outputs))
        return cls(
            name,
            {kind: tuple(found) for kind, found in members.items()},
            _code(value.get("bytecode"), f"{name}.bytecode"),
            _code(value.get("deployedBytecode"), f"{name}.deployedBytecode"),
        )

    def deployment(self, *arguments: object) -> bytes:
        """The data of the transaction that creates the contract; raises `Malformed`."""
        if not self.bytecode:
            raise Malformed(self.name, "has no code: an interface or an abstract contract")
        inputs = next((member.inputs for member in self.members["constructor"]), ())
        return self.bytecode + encode_values(inputs, arguments, f"{self.name}.constructor")

    def find(self, kind: str, name: str, count: int | None = None) -> Member:
        """The member of a name or whole signature; of overloads the one with `count` inputs. Raises `Malformed`."""
        found = [member for member in self.members[kind] if name in (member.name, member.signature)]
        if len(found) > 1 and count is not None:
            found = [member for member in found if len(member.inputs) == count]
        if len(found) != 1:
            many = f"is ambiguous; name it as {' or '.join(sorted(member.signature for member in found))}"
            raise Malformed(f"{self.name}.{name}", many if found else f"{self.name} has no such {kind}")
        return found[0]

    @cached_property
    def events(self) -> Mapping[bytes, Member]:
        """Events by topic 0."""
        return {member.topic: member for member in self.members["event"]}

    @cached_property
    def errors(self) -> Mapping[bytes, Member]:
        """Errors by selector."""
        return {member.selector: member for member in self.members["error"]}


class Contract:
    """An artifact at an address (20 bytes)."""

    def __init__(self, artifact: Artifact, address: bytes) -> None:
        if len(address) != ADDRESS_SIZE:
            raise Malformed("address", f"has {len(address)} bytes, not {ADDRESS_SIZE}")
        self.artifact = artifact
        self.address = address

    def __repr__(self) -> str:
        return f"<{self.artifact.name} at {format_address(self.address)}>"

    def encode(self, function: str, *arguments: object) -> bytes:
        """The data of a call; raises `Malformed` with the path of the argument."""
        member = self.artifact.find("function", function, len(arguments))
        return member.selector + encode_values(member.inputs, arguments, f"{self.artifact.name}.{member.name}")

    def decode(self, function: str, data: bytes) -> Any:
        """A call's answer: None, the one value, or a tuple of them; raises `Malformed`."""
        member = self.artifact.find("function", function)
        field = f"{self.artifact.name}.{member.name}"
        if member.outputs and not data:
            raise Malformed(field, f"answered nothing: there is no such contract at {format_address(self.address)}")
        values = decode_values(member.outputs, data, field)
        return None if not values else values[0] if len(values) == 1 else values

    def arguments(self, data: bytes) -> tuple[str, dict[str, Any]]:
        """A call taken apart: the function's name and its arguments; raises `Malformed`."""
        for member in self.artifact.members["function"]:
            if data[:SELECTOR_SIZE] == member.selector:
                values = decode_values(member.inputs, data[SELECTOR_SIZE:], f"{self.artifact.name}.{member.name}")
                return member.name, _named(member.inputs, values)
        raise Malformed(self.artifact.name, f"has no function with selector 0x{data[:SELECTOR_SIZE].hex()}")

    def topic(self, event: str) -> bytes:
        """Topic 0 of an event, to filter logs by; raises `Malformed`."""
        return self.artifact.find("event", event).topic

    def event(self, log: Log) -> tuple[str, dict[str, Any]]:
        """An event's name and fields; of an indexed dynamic field its Keccak-256.

        Raises `Malformed` for another contract's log, an unknown event and wrong bytes.
        """
        if log.address != self.address:
            raise Malformed("log.address", f"is {format_address(log.address)}, not {format_address(self.address)}")
        member = self.artifact.events.get(log.topics[0]) if log.topics else None
        if member is None:
            raise Malformed("log.topics[0]", f"is no event of {self.artifact.name}")
        field = f"{self.artifact.name}.{member.name}"
        indexed = [parameter for parameter in member.inputs if parameter.indexed]
        if len(log.topics) != 1 + len(indexed) or any(len(topic) != HASH_SIZE for topic in log.topics):
            raise Malformed(field, f"needs {len(indexed)} indexed fields of {HASH_SIZE} bytes")
        topics = iter(log.topics[1:])
        plain = iter(decode_values([item for item in member.inputs if not item.indexed], log.data, field))
        values = []
        for parameter in member.inputs:
            if not parameter.indexed:
                values.append(next(plain))
            elif parameter.dynamic or parameter.compound:
                values.append(next(topics))
            else:
                values.extend(decode_values([parameter], next(topics), field))
        return member.name, _named(member.inputs, values)

    def error(self, data: bytes) -> str:
        """A refusal in words: see `explain_revert`."""
        return explain_revert(data, self.artifact)


def explain_revert(data: bytes, *artifacts: Artifact) -> str:
    """`NotOwner(0x…)`, the text of `Error(string)`, or `Panic(0x11): arithmetic overflow`; never raises.

    Errors are looked for in `artifacts`, then in all packaged ones, as one contract passes on another's refusal.
    """
    if not data:
        return "no reason given"
    selector, rest = data[:SELECTOR_SIZE], data[SELECTOR_SIZE:]
    try:
        if selector == _ERROR:
            return show_values(decode_values(_TEXT, rest, "Error"))[1:-1]
        if selector == _PANIC:
            code = decode_values(_NUMBER, rest, "Panic")[0]
            return f"Panic(0x{code:02x}): {_PANICS.get(code, 'unknown code')}"
        for artifact in (*artifacts, *(Artifact.load(name) for name in artifact_names())):
            if member := artifact.errors.get(selector):
                return member.name + show_values(decode_values(member.inputs, rest, member.name))
    except Malformed:
        # The contract's own words are beyond reading; they are shown as they are.
        pass
    return f"unknown error 0x{data[:36].hex()}" + (f"… ({len(data)} bytes)" if len(data) > 36 else "")


@cache
def artifact_names() -> tuple[str, ...]:
    """The packaged contracts."""
    found = (entry.name for entry in _folder().iterdir())
    return tuple(sorted(name.removesuffix(".json") for name in found if name.endswith(".json")))


def _folder() -> Any:
    return resources.files("twinproof.chain") / "artifacts"


def _code(text: object, field: str) -> bytes:
    if isinstance(text, str) and "__$" in text:
        raise Malformed(field, "is not linked: it needs a library's address")
    return parse_data(text if not isinstance(text, str) or text.startswith("0x") else "0x" + text, field)


def _named(parameters: Sequence[Parameter], values: Sequence[Any]) -> dict[str, Any]:
    return {item.name or str(place): value for place, (item, value) in enumerate(zip(parameters, values, strict=True))}


_TEXT: Final = parse_parameters([{"name": "reason", "type": "string"}], "Error")
_NUMBER: Final = parse_parameters([{"name": "code", "type": "uint256"}], "Panic")
