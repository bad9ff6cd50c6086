"""C2SP tlog-policy: which logs and witnesses somebody trusts, as text.

    log twin.example/log0+277609b4+AYqI4910CfGV…  https://twin.example/
    witness w1 wit.example/w1+27cb0d8d+BP0XJDha…  https://wit.example/
    witness w2 wit.example/w2+…
    group any-witness any w1 w2
    quorum any-witness

A checkpoint is trusted when a `log` key of its origin signed it and the witnesses whose
cosignatures verify make up the quorum. `quorum none` trusts the log alone. Comments are lines of
their own that begin with `#`; words are divided by spaces and tabs.
Source: C2SP tlog-policy, main branch of 2026-06-22 (a draft).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from twinproof.errors import Malformed, TooLarge, Untrusted
from twinproof.proof.checkpoint import Checkpoint, parse_checkpoint
from twinproof.proof.cosignature import verifier
from twinproof.proof.note import (
    COSIGNATURE_ML_DSA_44,
    ED25519,
    VerifierKey,
    open_note,
    parse_note,
    parse_verifier_key,
)

MAX_POLICY: Final = 256 * 1024
MAX_COMPONENTS: Final = 256
"""Logs, witnesses and groups together; the draft asks for 32 of each at least."""

_ALLOWED = re.compile(rb"[\x09\x0a\x20-\x7e\x80-\xff]*\Z")
_COUNT = re.compile(r"[1-9][0-9]{0,2}\Z")


@dataclass(frozen=True, slots=True)
class PolicyKey:
    """The key of a log or witness that the policy names, and where its owner answers."""

    key: VerifierKey
    url: str | None


@dataclass(frozen=True, slots=True)
class Group:
    """`threshold` of `members` (names of witnesses or groups)."""

    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TrustedCheckpoint:
    """A checkpoint that satisfied a policy."""

    checkpoint: Checkpoint
    witnesses: tuple[str, ...]
    """Policy names of the witnesses whose cosignatures verified."""
    times: tuple[int, ...]
    """POSIX seconds of all verified timestamped signatures, ascending."""

    @property
    def not_before(self) -> int | None:
        """The first time at which a trusted signer called this the largest tree."""
        return self.times[0] if self.times else None

    @property
    def not_after(self) -> int | None:
        """The time by which every counted signer had seen this tree."""
        return self.times[-1] if self.times else None


@dataclass(frozen=True)
class Policy:
    """A parsed policy. `check` is what it is for."""

    logs: tuple[PolicyKey, ...] = ()
    witnesses: Mapping[str, PolicyKey] = field(default_factory=dict)
    groups: Mapping[str, Group] = field(default_factory=dict)
    """In the order of definition: a group's members come before it."""
    quorum: str | None = None
    """The witness or group that must be satisfied; None trusts the log alone."""

    @property
    def origins(self) -> tuple[str, ...]:
        """The origins of the trusted logs."""
        return tuple(dict.fromkeys(log.key.name for log in self.logs))

    def check(self, data: bytes) -> TrustedCheckpoint:
        """Open a signed checkpoint note.

        Raises `Malformed`, `BadSignature` (a trusted key's line fails) or `Untrusted` (origin not
        named by the policy, no log signature, quorum not reached).
        """
        note = parse_note(data)
        checkpoint = parse_checkpoint(note.text)
        logs = [log.key for log in self.logs if log.key.name == checkpoint.origin]
        if not logs:
            raise Untrusted(f"the policy names no log with the origin {checkpoint.origin!r}")
        keys = [*logs, *(witness.key for witness in self.witnesses.values())]
        opened = open_note(note, [verifier(key) for key in keys])
        if not any(key in opened for key in logs):
            raise Untrusted(f"no signature of the log {checkpoint.origin!r} itself")
        seen = tuple(name for name, witness in self.witnesses.items() if witness.key in opened)
        if self.quorum is not None and not self._satisfied(self.quorum, seen):
            names = ", ".join(map(repr, seen)) or "no trusted witness"
            raise Untrusted(f"cosigned by {names}: the quorum {self.quorum!r} is not reached")
        if checkpoint.extensions and all(key.type == COSIGNATURE_ML_DSA_44 for key in logs if key in opened):
            raise Untrusted("extension lines that no signature covers: the log signed with ML-DSA-44 alone")
        times = tuple(sorted(time for times in opened.values() for time in times))
        return TrustedCheckpoint(checkpoint, seen, times)

    def receipt_keys(self, origin: str) -> list[bytes]:
        """The log's Ed25519 public keys (32 bytes), which also sign its COSE receipts."""
        return [log.key.public for log in self.logs if log.key.name == origin and log.key.type == ED25519]

    def _satisfied(self, quorum: str, seen: tuple[str, ...]) -> bool:
        satisfied = set(seen)
        # Members are defined before their group, so one pass in that order meets each of them decided.
        for name, group in self.groups.items():
            if sum(member in satisfied for member in group.members) >= group.threshold:
                satisfied.add(name)
        return quorum in satisfied


def parse_policy(text: bytes) -> Policy:
    """Read a policy; raises `Malformed` naming the line."""
    if len(text) > MAX_POLICY:
        raise TooLarge("policy", f"{len(text)} bytes, the limit is {MAX_POLICY}")
    if not _ALLOWED.fullmatch(text):
        raise Malformed("policy", "holds a control character")
    reading = _Reading()
    # Names are opaque bytes; surrogateescape keeps every byte apart without judging the encoding.
    for number, line in enumerate(text.decode("utf-8", "surrogateescape").split("\n"), 1):
        # Space and tab alone divide words: other Unicode spaces are bytes of a name.
        words = [word for word in line.replace("\t", " ").split(" ") if word]
        if words and not words[0].startswith("#"):
            reading.line(f"policy line {number}", words)
    return reading.finish()


class _Reading:
    def __init__(self) -> None:
        self.logs: list[PolicyKey] = []
        self.witnesses: dict[str, PolicyKey] = {}
        self.groups: dict[str, Group] = {}
        self.quorums: list[str] = []
        self.used: set[str] = set()
        self.publics: set[bytes] = set()

    def line(self, where: str, words: list[str]) -> None:
        match words:
            case ["log", vkey, *url] if len(url) <= 1:
                self.logs.append(PolicyKey(self.key(where, vkey), url[0] if url else None))
            case ["witness", name, vkey, *url] if len(url) <= 1:
                self.new_name(where, name)
                key = self.key(where, vkey)
                if key.type == ED25519:
                    raise Malformed(where, "a witness key is of type 04 or 06, this one makes plain signatures (01)")
                self.witnesses[name] = PolicyKey(key, url[0] if url else None)
            case ["group", name, threshold, *members] if members:
                self.new_name(where, name)
                self.groups[name] = self.group(where, threshold, members)
            case ["quorum", name]:
                if self.quorums:
                    raise Malformed(where, "a second quorum line")
                if name != "none" and name not in self.witnesses and name not in self.groups:
                    raise Malformed(where, f"{name!r} is not defined above")
                self.quorums.append(name)
            case _:
                raise Malformed(where, "not a log, witness, group or quorum line with the right number of words")
        if len(self.logs) + len(self.witnesses) + len(self.groups) > MAX_COMPONENTS:
            raise TooLarge(where, f"more than {MAX_COMPONENTS} logs, witnesses and groups")

    def key(self, where: str, vkey: str) -> VerifierKey:
        try:
            key = parse_verifier_key(vkey)
        except Malformed as problem:
            raise Malformed(where, str(problem)) from None
        if key.public in self.publics:
            raise Malformed(where, "this public key is named before")
        self.publics.add(key.public)
        return key

    def new_name(self, where: str, name: str) -> None:
        if name == "none" or name in self.witnesses or name in self.groups:
            raise Malformed(where, f"the name {name!r} is taken")

    def group(self, where: str, threshold: str, members: list[str]) -> Group:
        for member in members:
            if member not in self.witnesses and member not in self.groups:
                raise Malformed(where, f"{member!r} is not defined above")
            if member in self.used:
                raise Malformed(where, f"{member!r} is already a member of a group")
            self.used.add(member)
        if threshold in ("all", "any"):
            return Group(len(members) if threshold == "all" else 1, tuple(members))
        if not _COUNT.fullmatch(threshold) or int(threshold) > len(members):
            raise Malformed(where, f"the threshold is all, any or 1..{len(members)}")
        return Group(int(threshold), tuple(members))

    def finish(self) -> Policy:
        if not self.quorums:
            raise Malformed("policy", "needs exactly one quorum line ('quorum none' trusts the log alone)")
        quorum = None if self.quorums == ["none"] else self.quorums[0]
        return Policy(tuple(self.logs), self.witnesses, self.groups, quorum)
