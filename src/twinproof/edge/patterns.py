"""Topic patterns, and the templates that what they match fills in.

    plant/{line}/{machine}/temperature     matches   plant/a/7/temperature     {"line": "a", "machine": "7"}
    https://fleet.example/{line}/{machine}  gives     https://fleet.example/a/7

A pattern is an MQTT topic filter (MQTT 5 §4.7) in which a level may also be `{name}`: it matches as `+`
does, and keeps what it matched. In an IRI, characters that RFC 3986 does not allow in a path segment are
percent-encoded, `%` and `/` among them, so two different matches never become one twin.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from twinproof.errors import Malformed, TooLarge

MAX_TOPIC: Final = 65_535
"""Bytes of UTF-8 (MQTT 5 §4.7.3)."""

_GROUP = re.compile(r"\{([a-z][a-z0-9_]{0,31})\}")
_GROUP_ONLY = re.compile(rf"{_GROUP.pattern}\Z")
_SEGMENT: Final = "-._~!$&'()*+,;=:@"
"""Beside letters and digits, what a path segment of an IRI holds as it is (RFC 3986 §3.3, `pchar`)."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A parsed topic pattern."""

    text: str
    levels: tuple[str, ...]
    """A literal, `+` or `#`; named groups are `+`."""
    groups: tuple[str | None, ...]
    """For each level the name of its group."""

    @property
    def filter(self) -> str:
        """The MQTT topic filter to subscribe to."""
        return "/".join(self.levels)

    @property
    def names(self) -> frozenset[str]:
        """The names of all groups."""
        return frozenset(name for name in self.groups if name is not None)

    def match(self, topic: str) -> dict[str, str] | None:
        """What the groups matched; None if the topic does not match."""
        found = topic.split("/")
        # Wildcards at the first level pass over the broker's own topics (MQTT 5 §4.7.2).
        if topic.startswith("$") and self.levels[0] in ("+", "#"):
            return None
        many = self.levels[-1] == "#"
        fixed = len(self.levels) - many
        # `a/#` matches `a` too.
        if len(found) < fixed or (len(found) > fixed and not many):
            return None
        values: dict[str, str] = {}
        for level, name, part in zip(self.levels[:fixed], self.groups, found, strict=False):
            if level != "+" and level != part:
                return None
            if name is not None:
                values[name] = part
        return values


def parse_pattern(text: str) -> Pattern:
    """Read a topic pattern; raises `Malformed`."""
    if not text:
        raise Malformed("topic", "is empty")
    if len(text.encode(errors="surrogatepass")) > MAX_TOPIC:
        raise TooLarge("topic", f"has more than {MAX_TOPIC} bytes")
    if not text.isprintable():
        raise Malformed("topic", "holds a character that does not print")
    if text.startswith("$share/"):
        raise Malformed("topic", "is a shared subscription, which would break the order of a twin's readings")
    levels: list[str] = []
    groups: list[str | None] = []
    parts = text.split("/")
    for at, part in enumerate(parts):
        group = _GROUP_ONLY.match(part)
        if group:
            if group[1] in groups:
                raise Malformed("topic", f"has the group {{{group[1]}}} twice")
            levels.append("+")
            groups.append(group[1])
            continue
        if part != "+" and (part != "#" or at < len(parts) - 1) and any(mark in part for mark in "+#{}"):
            rule = "+, # (at the end alone) and {name} (a-z 0-9 _) are whole levels"
            raise Malformed("topic", f"level {part!r:.60}: {rule}")
        levels.append(part)
        groups.append(None)
    return Pattern(text, tuple(levels), tuple(groups))


def contains(wide: Pattern, narrow: Pattern) -> bool:
    """Whether every topic that `narrow` matches is matched by `wide` too."""
    if narrow.levels[0] not in ("+", "#") and narrow.levels[0].startswith("$") and wide.levels[0] in ("+", "#"):
        return False
    for at, level in enumerate(wide.levels):
        if level == "#":
            return True
        if at >= len(narrow.levels):
            return False
        other = narrow.levels[at]
        if other == "#" or (level != "+" and level != other):
            return False
    return len(narrow.levels) == len(wide.levels)


def overlaps(one: Pattern, other: Pattern) -> bool:
    """Whether some topic is matched by both."""
    first, second = one.levels[0], other.levels[0]
    for wild, literal in ((first, second), (second, first)):
        if wild in ("+", "#") and literal.startswith("$"):
            return False
    for at in range(max(len(one.levels), len(other.levels)) + 1):
        left = one.levels[at] if at < len(one.levels) else None
        right = other.levels[at] if at < len(other.levels) else None
        if left == "#" or right == "#":
            return True
        if left is None or right is None:
            return left is right
        if "+" not in (left, right) and left != right:
            return False
    return False


# --- templates ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Template:
    """Text with `{name}` in it."""

    text: str
    parts: tuple[str, ...]
    """Literal, group, literal, …, literal."""

    @property
    def names(self) -> frozenset[str]:
        """The groups that must be filled in."""
        return frozenset(self.parts[1::2])

    def fill(self, groups: Mapping[str, str]) -> str:
        """The text with the groups as they are."""
        return "".join(groups[part] if at % 2 else part for at, part in enumerate(self.parts))

    def fill_iri(self, groups: Mapping[str, str]) -> str:
        """The text with the groups as segments of an IRI; raises `Malformed` for a group that matched nothing."""
        for name in self.names:
            if not groups[name]:
                raise Malformed(name, "is empty in this topic, and names no twin")
        return self.fill({name: quote(groups[name], safe=_SEGMENT) for name in self.names})


def parse_template(text: str) -> Template:
    """Read a template; raises `Malformed` for braces that are none of a group."""
    parts = tuple(_GROUP.split(text))
    for literal in parts[::2]:
        if "{" in literal or "}" in literal:
            raise Malformed("template", "braces are for groups alone, such as {machine}: a-z first, then a-z 0-9 _")
    return Template(text, parts)


def check_names(template: Template, groups: Iterable[str]) -> None:
    """Raise `Malformed` if the template needs a group that is not there."""
    missing = sorted(template.names - set(groups))
    if missing:
        raise Malformed("template", f"there is no group {{{missing[0]}}} to fill in")
