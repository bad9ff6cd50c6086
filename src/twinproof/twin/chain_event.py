"""What a contract on a chain said about a twin: one event, as the node that follows the chain read it.

    {"chain": id, "contract": address, "event": name, "block": [number, hash], "time": s, "transaction": hash,
     "position": n, "args": {name: value, …}, ? "retracted": true}

A retraction names the event that a reorganisation of the chain took away. Whoever wants to know rather than
believe asks the chain: block, transaction and position say where. Normative page: spec/chain.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from twinproof.errors import Malformed, TooLarge
from twinproof.proof import cbor
from twinproof.twin.fields import digest, fields, octets, posix_time, whole
from twinproof.twin.policy import ADDRESS_SIZE, MAX_CHAIN_ID

CHAIN_EVENT: Final = "application/vnd.twinproof.chain-event+cbor"
MAX_ARGS: Final = 32
MAX_ARG: Final = 4096
"""Bytes of an argument's encoding; a longer one is null, and stands on the chain."""
MAX_DEPTH: Final = 8
"""Arrays and maps of the payload inside each other."""
MAX_BLOCK: Final = 2**63
"""Block numbers, and positions in a block, lie below it."""

_NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]{0,63}\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class ChainEvent:
    """One log of one contract."""

    chain: int
    """Chain id (EIP-155)."""
    contract: bytes
    """Address, 20 bytes."""
    event: str
    block: int
    block_hash: bytes
    time: int
    """The block's, POSIX seconds."""
    transaction: bytes
    """Hash, 32 bytes."""
    position: int
    """Of the log among those of its block, from 0."""
    args: Mapping[str, cbor.Value]
    """By the ABI's names; see `arg`."""
    retracted: bool = False

    @property
    def place(self) -> tuple[int, int]:
        """(block, position): the order of a chain's events."""
        return self.block, self.position


def event_args(decoded: Mapping[str, object]) -> dict[str, cbor.Value]:
    """Decoded arguments as a payload has them; null for one that is too long to repeat. Raises as `arg` does."""
    values = {name: arg(value) for name, value in decoded.items()}
    return {name: value if len(cbor.encode(value)) <= MAX_ARG else None for name, value in values.items()}


def arg(value: object) -> cbor.Value:
    """A decoded argument as a payload has it; raises `ValueError` for what no event of ours holds.

    Integers of more than 64 bits travel as 32 bytes; text with control characters as its UTF-8 bytes.
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        if not 0 <= value < 2**256:
            raise ValueError(f"{value} is no unsigned integer of 256 bits")
        return value if value < 2**64 else value.to_bytes(32, "big")
    if isinstance(value, str):
        return value.encode() if _CONTROL.search(value) else value
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    if isinstance(value, list | tuple):
        return [arg(item) for item in value]
    raise ValueError(f"an argument of type {type(value).__name__}")


def format_chain_event(event: ChainEvent) -> bytes:
    """The payload of a chain-event statement."""
    value: dict[int | str, cbor.Value] = {
        "chain": event.chain,
        "contract": event.contract,
        "event": event.event,
        "block": [event.block, event.block_hash],
        "time": event.time,
        "transaction": event.transaction,
        "position": event.position,
        "args": dict(event.args),
    }
    if event.retracted:
        value["retracted"] = True
    return cbor.encode(value)


def parse_chain_event(payload: bytes, issued_at: int = 0) -> ChainEvent:
    """Read a chain-event payload; raises `Malformed` naming the key."""
    what = "chain-event"
    value = fields(
        cbor.decode(payload, what=what, max_depth=MAX_DEPTH),
        what,
        ("chain", "contract", "event", "block", "time", "transaction", "position", "args"),
        ("retracted",),
    )
    block = value["block"]
    if type(block) is not list or len(block) != 2:
        raise Malformed(f"{what}.block", "not an array of number and hash")
    if "retracted" in value and value["retracted"] is not True:
        raise Malformed(f"{what}.retracted", "not true")
    return ChainEvent(
        chain=whole(value["chain"], f"{what}.chain", 1, MAX_CHAIN_ID),
        contract=octets(value["contract"], f"{what}.contract", ADDRESS_SIZE),
        event=_name(value["event"], f"{what}.event"),
        block=whole(block[0], f"{what}.block", 0, MAX_BLOCK),
        block_hash=digest(block[1], f"{what}.block"),
        time=posix_time(value["time"], f"{what}.time"),
        transaction=digest(value["transaction"], f"{what}.transaction"),
        position=whole(value["position"], f"{what}.position", 0, MAX_BLOCK),
        args=_args(value["args"], f"{what}.args"),
        retracted="retracted" in value,
    )


def _name(value: cbor.Value, name: str) -> str:
    if type(value) is not str or not _NAME.match(value):
        raise Malformed(name, "not a name of 1..64 letters, digits, _ or $")
    return value


def _args(value: cbor.Value, name: str) -> dict[str, cbor.Value]:
    if type(value) is not dict:
        raise Malformed(name, "not a map")
    if len(value) > MAX_ARGS:
        raise TooLarge(name, f"more than {MAX_ARGS} members")
    for key, item in value.items():
        _name(key, name)
        if item is not None:
            _check_arg(item, name)
            if len(cbor.encode(item)) > MAX_ARG:
                raise TooLarge(name, f"{key} has more than {MAX_ARG} bytes; it is null then")
    return value


def _check_arg(value: cbor.Value, name: str) -> None:
    kind = type(value)
    if kind is bool or kind is bytes:
        return
    if kind is int and value >= 0:
        return
    if kind is str:
        if _CONTROL.search(value):
            raise Malformed(name, "text with a control character; it travels as bytes")
        return
    if kind is not list:
        raise Malformed(name, "not an unsigned integer, true, false, bytes, text or an array of these")
    for item in value:
        _check_arg(item, name)
